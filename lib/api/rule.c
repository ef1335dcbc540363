/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "api/api.h"

/* What a rule says in words, one after the other, each with its NUL. */
enum part {
	PART_SOURCE,
	PART_DESTINATION,
	PART_EXTRA,
	PART_IN,
	PART_OUT,
	PART_PURPOSE,
	PART_CHAIN,
	PART_JUMP,
	PART_COUNT
};

struct rule_text {
	uint16_t starts[PART_COUNT];
	char chars[];
};

struct rule_owner {
	char network[NETWORK_NAME_MAX + 1], endpoint[ENDPOINT_ID_MAX + 1], label[NETWORK_LABEL_MAX];
};

/* A long listing is kept as small as it can be: neighbours mostly have an owner in common, so of
 * the rule only its head is there. */
struct bn_rule {
	const struct bn_rule_list *list;
	/* Most callers of a long listing look at counters alone: the words are made when the first
	 * of them is asked for. Snapshots are shared between threads, hence atomic. */
	struct rule_text *_Atomic text;
	size_t owner;
	struct rule rule; /* RULE_HEAD bytes of it */
};
#define RULE_SIZE (offsetof(struct bn_rule, rule) + RULE_HEAD)
_Static_assert(RULE_SIZE % _Alignof(struct bn_rule) == 0, "rules stand one behind the other");

struct bn_rule_list {
	const struct firewall_backend *backend;
	bool verbose;
	char *rules;
	size_t len;
	VECTOR(struct rule_owner) owners;
};

static struct bn_rule *rule_at(const struct bn_rule_list *list, size_t i)
{
	return (struct bn_rule *)(void *)(list->rules + i * RULE_SIZE);
}

static const struct rule_owner *owner_of(const struct bn_rule *self)
{
	return &self->list->owners.items[self->owner];
}

static struct rule whole_rule(const struct bn_rule *self)
{
	const struct rule_owner *owner = owner_of(self);
	struct rule rule;

	memcpy(&rule, &self->rule, RULE_HEAD);
	memcpy(rule.network, owner->network, sizeof(rule.network));
	memcpy(rule.endpoint, owner->endpoint, sizeof(rule.endpoint));
	memcpy(rule.label, owner->label, sizeof(rule.label));
	return rule;
}

/* ---- verbs ---- */

/* The last one, if the rule is of the same. 0, -ENOMEM */
static int add_owner(struct bn_rule_list *list, const struct rule *rule)
{
	struct rule_owner *owner = list->owners.items + list->owners.len;

	if (list->owners.len && strcmp(owner[-1].network, rule->network) == 0 &&
	    strcmp(owner[-1].endpoint, rule->endpoint) == 0 &&
	    strcmp(owner[-1].label, rule->label) == 0)
		return 0;
	owner = vector_push(&list->owners);
	if (!owner)
		return -ENOMEM;
	memcpy(owner->network, rule->network, sizeof(owner->network));
	memcpy(owner->endpoint, rule->endpoint, sizeof(owner->endpoint));
	memcpy(owner->label, rule->label, sizeof(owner->label));
	return 0;
}

/* What a rule owns is moved over. */
static int add_rules(struct bn_rule_list *list, rule_vector *rules)
{
	list->rules = malloc((rules->len + 1) * RULE_SIZE);
	if (!list->rules)
		return -ENOMEM;
	for (size_t i = 0; i < rules->len; i++) {
		struct bn_rule *slot = rule_at(list, i);

		if (add_owner(list, &rules->items[i]) < 0)
			return -ENOMEM;
		slot->list = list;
		atomic_init(&slot->text, NULL);
		slot->owner = list->owners.len - 1;
		memcpy(&slot->rule, &rules->items[i], RULE_HEAD);
		rules->items[i].foreign = NULL;
		list->len++;
	}
	return 0;
}

typedef int (*list_fn)(bn_ctx *ctx, const char *network,
		       const struct firewall_backend **ret_backend, rule_vector *rules);

static int rule_list_new(bn_ctx *ctx, const struct api_call *call, const char *network,
			 uint32_t flags, list_fn list_them, bn_rule_list **ret_list)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	bn_rule_list *list = NULL;
	int r;

	if (!ret_list)
		return api_missing(ctx, "the result");
	r = api_enter(ctx, call, flags);
	if (r >= 0) {
		list = calloc(1, sizeof(*list));
		r = list ? list_them(ctx, network, &list->backend, &rules) : error_oom(&ctx->error);
	}
	if (r >= 0 && add_rules(list, &rules) < 0)
		r = error_oom(&ctx->error);
	if (r >= 0) {
		list->verbose = flags & BN_RULES_VERBOSE;
		*ret_list = TAKE_POINTER(list);
	}
	bn_rule_list_free(list);
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

GETTER(size_t, bn_rule_list_len, bn_rule_list, self->len, 0)
GETTER_AT(const bn_rule *, bn_rule_list_at, bn_rule_list, bn_rule_list_len, rule_at(self, i), NULL)

void bn_rule_list_free(bn_rule_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->len; i++) {
		free(rule_at(list, i)->rule.foreign);
		free(atomic_load(&rule_at(list, i)->text));
	}
	free(list->rules);
	free(list->owners.items);
	free(list);
}

/* In the order of enum part. */
struct rendered {
	char source[PREFIX_TEXT_MAX + 1], destination[PREFIX_TEXT_MAX + 1];
	char extra[RULE_EXTRA_MAX];
	char in[IFNAMSIZ + 1], out[IFNAMSIZ + 1];
	char purpose[PURPOSE_MAX];
	char chain[CHAIN_NAME_MAX], jump[CHAIN_NAME_MAX];
};
_Static_assert(sizeof(struct rendered) <= UINT16_MAX, "a start is 16 bits");

static void render(const struct bn_rule *self, struct rendered *text)
{
	const struct rule rule = whole_rule(self);

	rule_render_address(&rule, &rule.source, rule.source_not, text->source);
	rule_render_address(&rule, &rule.destination, rule.destination_not, text->destination);
	rule_render_extra(&rule, text->extra);
	rule_render_interface(rule.in, rule.in_not, text->in);
	rule_render_interface(rule.out, rule.out_not, text->out);
	rule_purpose(&rule, text->purpose);
	if (rule.kind == RULE_COEXIST_FROM || rule.kind == RULE_COEXIST_TO)
		snprintf(text->chain, sizeof(text->chain), "%.31s", strrchr(rule.foreign, ' ') + 1);
	else
		firewall_chain_name(self->list->backend, &rule, text->chain);
	firewall_jump_name(self->list->backend, &rule, text->jump);
}

/* NULL without memory. */
static struct rule_text *text_new(const struct bn_rule *self)
{
	struct rendered all;
	const char *const parts[PART_COUNT] = { all.source, all.destination, all.extra, all.in,
						all.out,    all.purpose,     all.chain, all.jump };
	struct rule_text *text;
	size_t len = 0;

	render(self, &all);
	for (size_t i = 0; i < PART_COUNT; i++)
		len += strlen(parts[i]) + 1;
	text = malloc(sizeof(*text) + len);
	if (!text)
		return NULL;
	len = 0;
	for (size_t i = 0; i < PART_COUNT; i++) {
		text->starts[i] = (uint16_t)len;
		len += (size_t)(stpcpy(text->chars + len, parts[i]) - (text->chars + len)) + 1;
	}
	return text;
}

static const char *part_of(const bn_rule *self, enum part part)
{
	struct bn_rule *cache = (struct bn_rule *)self;
	struct rule_text *text, *other = NULL;

	if (!self)
		return "";
	text = atomic_load(&cache->text);
	if (!text) {
		text = text_new(self);
		if (!text)
			return "";
		if (!atomic_compare_exchange_strong(&cache->text, &other, text)) {
			free(text);
			text = other;
		}
	}
	return text->chars + text->starts[part];
}

const char *bn_rule_family(const bn_rule *rule)
{
	if (!rule)
		return "";
	if (rule->rule.chain >= CHAIN_FRAMES_FIRST)
		return "bridge";
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
GETTER(const char *, bn_rule_chain, bn_rule, part_of(self, PART_CHAIN), "")

const char *bn_rule_target(const bn_rule *rule)
{
	if (rule && !rule_leads_on(&rule->rule))
		return rule_target_name(&rule->rule);
	return part_of(rule, PART_JUMP);
}

GETTER(const char *, bn_rule_protocol, bn_rule, protocol_name(self->rule.protocol), "")
GETTER(const char *, bn_rule_source, bn_rule, part_of(self, PART_SOURCE), "")
GETTER(const char *, bn_rule_destination, bn_rule, part_of(self, PART_DESTINATION), "")
GETTER(const char *, bn_rule_extra, bn_rule, part_of(self, PART_EXTRA), "")

/* What only a verbose list says. */
#define VERBOSE_GETTER(type, name, value, none) \
	GETTER(type, name, bn_rule, self->list->verbose ? (value) : (none), none)

VERBOSE_GETTER(uint64_t, bn_rule_packets, self->rule.packets, 0)
VERBOSE_GETTER(uint64_t, bn_rule_bytes, self->rule.bytes, 0)
VERBOSE_GETTER(const char *, bn_rule_in_interface, part_of(self, PART_IN), "")
VERBOSE_GETTER(const char *, bn_rule_out_interface, part_of(self, PART_OUT), "")
VERBOSE_GETTER(uint64_t, bn_rule_handle, self->rule.handle, 0)
VERBOSE_GETTER(const char *, bn_rule_network, owner_of(self)->network, "")
VERBOSE_GETTER(const char *, bn_rule_endpoint, owner_of(self)->endpoint, "")
VERBOSE_GETTER(const char *, bn_rule_purpose, part_of(self, PART_PURPOSE), "")
