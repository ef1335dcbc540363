/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options as they are kept: by our own keys, whatever name they were given by. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/option_table.h"

/* "yes" for what others write, where there is a yes. */
static const char *own_word(const struct known_option *known, const char *value)
{
	bool is_bool = false;

	for (size_t i = 0; known->words && known->words[i]; i++)
		is_bool |= strcmp(known->words[i], "yes") == 0;
	if (!is_bool)
		return value;
	if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		return "yes";
	if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		return "no";
	return value;
}

static int set_own(struct options *own, const char *key, const char *value, const char *given,
		   struct error *error)
{
	const char *is = options_get(own, key);
	int r;

	if (is && strcmp(is, value) != 0)
		return error_set(
			error, -EINVAL, BN_REASON_INVALID,
			"option %s is given by two names of it, as '%.80s' and as '%.80s'; "
			"leave one out",
			key, is, value);
	r = options_set(own, key, value);
	if (r == -EINVAL)
		return error_set(
			error, r, BN_REASON_INVALID,
			"option %.80s can't be '%.80s': a key has no '=', and neither has a "
			"control character",
			given, value);
	return r < 0 ? error_oom(error) : 0;
}

/* PREFIX KEY, where the KEY is that of a network. */
static int normalise_default(const struct option *option, const char *prefix, struct options *own,
			     struct error *error)
{
	CLEANUP(options_clear) struct options one = { 0 };
	int r;

	if (options_set(&one, option->key + strlen(prefix), option->value) < 0)
		return error_oom(error);
	r = options_normalise(&one, OPTION_NETWORK, error);
	for (size_t i = 0; i < one.len && r >= 0; i++) {
		CLEANUP_FREE char *key = malloc(strlen(prefix) + strlen(one.items[i].key) + 1);

		if (!key)
			return error_oom(error);
		stpcpy(stpcpy(key, prefix), one.items[i].key);
		r = set_own(own, key, one.items[i].value, option->key, error);
	}
	return r;
}

/* By its own key, or by one that is not known. */
static int normalise_own(const struct option *option, enum option_scope scope, struct options *own,
			 struct error *error)
{
	const struct known_option *known = option_find(scope, option->key);

	if (known && known->type == &option_network_option)
		return normalise_default(option, known->key, own, error);
	return set_own(own, option->key, known ? own_word(known, option->value) : option->value,
		       option->key, error);
}

/* KEY=VALUE,KEY=VALUE as options PREFIX KEY. */
static int set_list(enum option_scope scope, const char *prefix, char *list, const char *given,
		    struct options *own, struct error *error)
{
	char *rest = NULL;
	int r = 0;

	for (char *item = strtok_r(list, ",", &rest); item && r >= 0;
	     item = strtok_r(NULL, ",", &rest)) {
		CLEANUP_FREE char *key = NULL;
		char *equals = strchr(item, '=');

		if (!equals || equals == item)
			return error_set(error, -EINVAL, BN_REASON_INVALID,
					 "option %.80s can't have '%.80s'; give KEY=VALUE", given,
					 item);
		*equals = '\0';
		key = malloc(strlen(prefix) + strlen(item) + 1);
		if (!key)
			return error_oom(error);
		stpcpy(stpcpy(key, prefix), item);
		r = normalise_own(&(struct option){ key, equals + 1 }, scope, own, error);
	}
	return r;
}

/* Of one option, which may be several of ours. */
static int normalise_alias(const struct option *option, const struct known_option *known,
			   struct options *own, struct error *error)
{
	/* ours may be a longer word */
	size_t size = strlen(option->value) + 16;
	CLEANUP_FREE char *value = malloc(size);

	if (!value)
		return error_oom(error);
	string_copy(value, size, option->value);
	if (known->rest)
		return set_list(known->scope, known->key, value, option->key, own, error);
	if (known->translate)
		known->translate(option->value, value, size);
	return set_own(own, known->key, own_word(known, value), option->key, error);
}

int options_normalise(struct options *options, enum option_scope scope, struct error *error)
{
	CLEANUP(options_clear) struct options own = { 0 };
	const struct known_option *known;
	int r = 0;

	for (size_t i = 0; i < options->len && r >= 0; i++) {
		const struct option *option = &options->items[i];
		bool is_alias = false;

		for (size_t j = 0; (known = option_at(j)) && r >= 0; j++) {
			if (known->scope != scope || !known->alias ||
			    strcmp(known->alias, option->key) != 0)
				continue;
			is_alias = true;
			r = normalise_alias(option, known, &own, error);
		}
		if (!is_alias && r >= 0)
			r = normalise_own(option, scope, &own, error);
	}
	if (r < 0)
		return r;
	options_clear(options);
	*options = own;
	own = (struct options){ 0 };
	return 0;
}
