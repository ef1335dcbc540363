/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdatomic.h>

#include "api/api.h"

struct rule_text {
	char source[PREFIX_TEXT_MAX + 1], destination[PREFIX_TEXT_MAX + 1];
	char extra[RULE_EXTRA_MAX];
	char in[IFNAMSIZ + 1], out[IFNAMSIZ + 1];
	char purpose[PURPOSE_MAX];
	char chain[CHAIN_NAME_MAX], jump[CHAIN_NAME_MAX];
};

struct bn_rule {
	struct rule rule;
	const struct firewall_backend *backend;
	bool verbose;
	/* Most callers of a long listing look at counters alone: the words are made when the first
	 * of them is asked for. Snapshots are shared between threads, hence atomic. */
	struct rule_text *_Atomic text;
};

struct bn_rule_list {
	VECTOR(struct bn_rule) rules;
};

/* ---- verbs ---- */

static int rule_list_fill(bn_ctx *ctx, const struct firewall_backend *backend,
			  const rule_vector *rules, bool verbose, bn_rule_list **ret_list)
{
	bn_rule_list *list = calloc(1, sizeof(*list));
	struct bn_rule *slot;

	if (!list || vector_reserve(&list->rules, rules->len) < 0) {
		free(list);
		return error_oom(&ctx->error);
	}
	for (size_t i = 0; i < rules->len; i++) {
		slot = vector_push(&list->rules);
		slot->rule = rules->items[i];
		slot->backend = backend;
		slot->verbose = verbose;
		/* moved over: the foreign text has one owner */
		rules->items[i].foreign = NULL;
	}
	*ret_list = list;
	return 0;
}

typedef int (*list_fn)(bn_ctx *ctx, const char *network,
		       const struct firewall_backend **ret_backend, rule_vector *rules);

static int rule_list_new(bn_ctx *ctx, const struct api_call *call, const char *network,
			 uint32_t flags, list_fn list_them, bn_rule_list **ret_list)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	const struct firewall_backend *backend;
	int r;

	if (!ret_list)
		return api_missing(ctx, "the result");
	r = api_enter(ctx, call, flags);
	if (r >= 0)
		r = list_them(ctx, network, &backend, &rules);
	if (r >= 0)
		r = rule_list_fill(ctx, backend, &rules, flags & BN_RULES_VERBOSE, ret_list);
	return api_leave(ctx, call, r);
}

static const struct api_call list_call = {
	.names = "bn_rules_list",
	.flags = BN_RULES_VERBOSE,
	.need = CTX_RULES,
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
		API_ERRNO(EAGAIN, "The rules kept changing while they were read."),
		API_ERRNO(EPERM, "No privilege to read the rules."),
	},
};

int bn_rules_list(bn_ctx *ctx, const char *network, uint32_t flags, bn_rule_list **ret_list)
{
	return rule_list_new(ctx, &list_call, network, flags, list_rules, ret_list);
}

static const struct api_call plan_call = {
	.names = "bn_rules_plan",
	.flags = BN_RULES_VERBOSE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
	},
};

int bn_rules_plan(bn_ctx *ctx, const char *network, uint32_t flags, bn_rule_list **ret_list)
{
	return rule_list_new(ctx, &plan_call, network, flags, list_plan, ret_list);
}

/* ---- snapshots ---- */

GETTER(size_t, bn_rule_list_len, bn_rule_list, self->rules.len, 0)
GETTER_AT(const bn_rule *, bn_rule_list_at, bn_rule_list, bn_rule_list_len, &self->rules.items[i],
	  NULL)

void bn_rule_list_free(bn_rule_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->rules.len; i++) {
		free(list->rules.items[i].rule.foreign);
		free(atomic_load(&list->rules.items[i].text));
	}
	free(list->rules.items);
	free(list);
}

static const struct rule_text *text_of(const bn_rule *rule)
{
	static const struct rule_text empty;
	struct bn_rule *cache = (struct bn_rule *)rule;
	struct rule_text *text, *other = NULL;

	if (!rule)
		return &empty;
	text = atomic_load(&cache->text);
	if (text)
		return text;
	text = malloc(sizeof(*text));
	if (!text)
		return &empty;
	rule_render_address(&rule->rule, &rule->rule.source, rule->rule.source_not, text->source);
	rule_render_address(&rule->rule, &rule->rule.destination, rule->rule.destination_not,
			    text->destination);
	rule_render_extra(&rule->rule, text->extra);
	rule_render_interface(rule->rule.in, rule->rule.in_not, text->in);
	rule_render_interface(rule->rule.out, rule->rule.out_not, text->out);
	rule_purpose(&rule->rule, text->purpose);
	rule->backend->chain_name(&rule->rule, text->chain);
	rule->backend->jump_name(&rule->rule, text->jump);
	if (!atomic_compare_exchange_strong(&cache->text, &other, text)) {
		free(text);
		text = other;
	}
	return text;
}

const char *bn_rule_family(const bn_rule *rule)
{
	if (!rule)
		return "";
	switch (rule->rule.family) {
	case AF_INET:
		return "ipv4";
	case AF_INET6:
		return "ipv6";
	default:
		return "any";
	}
}

GETTER(const char *, bn_rule_table, bn_rule, rule_table_name(self->rule.chain), "")
GETTER(const char *, bn_rule_chain, bn_rule, text_of(self)->chain, "")

const char *bn_rule_target(const bn_rule *rule)
{
	if (rule && !rule_leads_on(&rule->rule))
		return rule_target_name(&rule->rule);
	return text_of(rule)->jump;
}

GETTER(const char *, bn_rule_protocol, bn_rule, protocol_name(self->rule.protocol), "")
GETTER(const char *, bn_rule_source, bn_rule, text_of(self)->source, "")
GETTER(const char *, bn_rule_destination, bn_rule, text_of(self)->destination, "")
GETTER(const char *, bn_rule_extra, bn_rule, text_of(self)->extra, "")

/* What only a verbose list says. */
#define VERBOSE_GETTER(type, name, value, none) \
	GETTER(type, name, bn_rule, self->verbose ? (value) : (none), none)

VERBOSE_GETTER(uint64_t, bn_rule_packets, self->rule.packets, 0)
VERBOSE_GETTER(uint64_t, bn_rule_bytes, self->rule.bytes, 0)
VERBOSE_GETTER(const char *, bn_rule_in_interface, text_of(self)->in, "")
VERBOSE_GETTER(const char *, bn_rule_out_interface, text_of(self)->out, "")
VERBOSE_GETTER(uint64_t, bn_rule_handle, self->rule.handle, 0)
VERBOSE_GETTER(const char *, bn_rule_network, self->rule.network, "")
VERBOSE_GETTER(const char *, bn_rule_endpoint, self->rule.endpoint, "")
VERBOSE_GETTER(const char *, bn_rule_purpose, text_of(self)->purpose, "")
