/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of options, for who shows it. */
#include <errno.h>
#include <stdio.h>

#include "api/api.h"
#include "model/option_table.h"

struct bn_option {
	const struct known_option *known;
	char key[64];
	char type[OPTION_LEGAL_MAX], default_[OPTION_LEGAL_MAX];
};
struct bn_option_list {
	VECTOR(struct bn_option) options;
};

static int add_option(struct bn_option_list *list, const struct known_option *known)
{
	struct bn_option *option = vector_push(&list->options);

	if (!option)
		return -ENOMEM;
	option->known = known;
	snprintf(option->key, sizeof(option->key), "%s%s", known->key,
		 known->rest ? known->rest : "");
	option_legal(known, option->type);
	option_default(known, option->default_);
	return 0;
}

int bn_options_list(const char *scope, uint32_t flags, bn_option_list **ret_list)
{
	const struct known_option *known;
	bn_option_list *list;
	int r = 0;

	if (!ret_list || flags)
		return -EINVAL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; (known = option_at(i)) && r >= 0; i++)
		if (!scope || strcmp(scope, option_scope_name(known->scope)) == 0)
			r = add_option(list, known);
	/* each scope has some */
	if (r >= 0 && !list->options.len)
		r = -EINVAL;
	if (r >= 0)
		*ret_list = TAKE_POINTER(list);
	bn_option_list_free(list);
	return r;
}

GETTER(size_t, bn_option_list_len, bn_option_list, self->options.len, 0)
GETTER_AT(const bn_option *, bn_option_list_at, bn_option_list, bn_option_list_len,
	  &self->options.items[i], NULL)

void bn_option_list_free(bn_option_list *list)
{
	if (!list)
		return;
	free(list->options.items);
	free(list);
}

static const char *live_text(enum option_live live)
{
	static const char *const texts[] = {
		[LIVE_NO] = "no", [LIVE_YES] = "yes", [LIVE_NEW] = "new"
	};

	return texts[live];
}

GETTER(const char *, bn_option_scope, bn_option, option_scope_name(self->known->scope), "")
GETTER(const char *, bn_option_key, bn_option, self->key, "")
GETTER(const char *, bn_option_type, bn_option, self->type, "")
GETTER(const char *, bn_option_default, bn_option, self->default_, "")
GETTER(const char *, bn_option_live, bn_option, live_text(self->known->live), "")
GETTER(const char *, bn_option_alias, bn_option, self->known->alias ? self->known->alias : "", "")
GETTER(const char *, bn_option_since, bn_option, self->known->since, "")
GETTER(const char *, bn_option_description, bn_option, self->known->description, "")
