/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nodes that jumps to the chains of many networks stand in, by the names of their bridges. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"

#define DIGITS "0123456789abcdef"
#define MADE_UP "bn-" /* bridges: this and 12 digits */
#define MADE_UP_LEN 3

static const struct {
	enum rule_kind kind;
	const char *node; /* with a digit behind */
} dispatched[] = {
	{ RULE_SOURCES_GOTO, "BRIDGENET-RAW:" },
	{ RULE_TO_JUMP, "BRIDGENET-TO:" },
	{ RULE_FROM_JUMP, "BRIDGENET-FROM:" },
};

/* ---- names ---- */

static void node_name(size_t index, char digit, char name[static CHAIN_NAME_MAX])
{
	memset(name, 0, CHAIN_NAME_MAX);
	snprintf(name, CHAIN_NAME_MAX, "%s%c", dispatched[index].node, digit);
}

bool dispatch_node(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	const char *bridge = rule->in[0] ? rule->in : rule->out;

	/* on somebody else's bridge it says more than the bridge */
	if (strncmp(bridge, MADE_UP, MADE_UP_LEN) != 0 || strlen(bridge) != IFNAMSIZ - 1 ||
	    strspn(bridge + MADE_UP_LEN, DIGITS) != IFNAMSIZ - 1 - MADE_UP_LEN ||
	    rule->source.addr.family || rule->destination.addr.family)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(dispatched); i++) {
		if (dispatched[i].kind != rule->kind)
			continue;
		node_name(i, bridge[MADE_UP_LEN], name);
		return true;
	}
	return false;
}

enum rule_kind dispatch_kind(const char *chain)
{
	for (size_t i = 0; i < ARRAY_SIZE(dispatched); i++) {
		size_t len = strlen(dispatched[i].node);

		if (strncmp(chain, dispatched[i].node, len) == 0 && chain[len] &&
		    strchr(DIGITS, chain[len]) && !chain[len + 1])
			return dispatched[i].kind;
	}
	return RULE_FOREIGN;
}

static const char *parent_of(enum rule_kind kind)
{
	return places[rule_place(&(struct rule){ .kind = kind })].name;
}

/* The rule that leads to a node. What would come back from one of gotos to a chain of gotos would
 * meet what follows there: it is reached by a goto too. */
static void jump_to_node(enum rule_kind kind, char digit, int family, struct rule *ret_jump)
{
	const struct kind *row = kind_of(kind);
	bool by_in = row->in.is == DEVICE_BRIDGE;

	*ret_jump = (struct rule){
		.kind = RULE_FOREIGN, .chain = row->chain, .target = row->target, .family = family
	};
	snprintf(by_in ? ret_jump->in : ret_jump->out, IFNAMSIZ, MADE_UP "%c", digit);
}

enum rule_kind dispatch_read(const struct table_entry *entry, int decoded, const struct rule *rule)
{
	enum rule_kind kind = RULE_FOREIGN;
	struct rule jump;

	if (decoded == DECODED_PREFIX)
		kind = dispatch_kind(entry->target);
	if (kind == RULE_FOREIGN)
		return kind;
	jump_to_node(kind, entry->target[strlen(entry->target) - 1], entry->family, &jump);
	return rule_compare_unowned(rule, &jump) == 0 ? kind : RULE_FOREIGN;
}

/* ---- nodes ---- */

/* Who has come to a node of gotos from a bridge that is not in it goes on as if there were none. */
static bool goes_on(const struct table_entry *entry)
{
	struct rule rule;

	return place_read(PLACE_RAW, entry, &rule) == 0 && rule.kind == RULE_OUTSIDE_JUMP;
}

static int holds_rule(const struct table *table, const struct table_entry *entry, void *data)
{
	(void)table;
	(void)data;
	return !goes_on(entry);
}

static int put_end(struct table *table, const char *node, uint32_t comments)
{
	const char *outside = places[PLACE_OUTSIDE].name;
	struct entry entry;
	struct rule rule;
	int r = table_create_chain(table, outside);

	rule_init(&rule, kind_of(RULE_OUTSIDE_JUMP), table->family);
	entry_encode(&rule, outside, comments, &entry);
	return r < 0 ? r : table_insert(table, node, TABLE_END, &entry);
}

static int make_node(const struct edit *edit, const char *node)
{
	enum rule_kind kind = dispatch_kind(node);
	uint32_t comments = edit->comments ? ENTRY_COMMENT : 0;
	struct table *table = edit->table;
	struct entry entry;
	struct rule jump;
	int r = table_create_chain(table, node);

	if (r == 0 && kind == RULE_SOURCES_GOTO && table_chain_is_empty(table, node))
		r = put_end(table, node, comments);
	if (r < 0 || table_references(table, node))
		return r;
	r = table_create_chain(table, parent_of(kind));
	jump_to_node(kind, node[strlen(node) - 1], table->family, &jump);
	entry_encode(&jump, node, ENTRY_PREFIX | comments, &entry);
	return r < 0 ? r :
		       table_insert(table, parent_of(kind),
				    edit_position(table, parent_of(kind), kind, true), &entry);
}

/* With what leads there, if it is left without a rule. */
static int prune_node(struct table *table, const char *node)
{
	const char *parent = parent_of(dispatch_kind(node));
	unsigned int index;
	int r = 0;

	if (table_walk(table, node, holds_rule, NULL))
		return 0;
	if (!table_chain_is_empty(table, node))
		r = table_delete(table, node, 0);
	index = table_find_jump(table, parent, node);
	if (r == 0 && index != TABLE_END)
		r = table_delete(table, parent, index);
	return r < 0 ? r : table_drop_chain(table, node);
}

int dispatch_check(struct edit *edit)
{
	char node[CHAIN_NAME_MAX];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dispatched) * strlen(DIGITS) && r == 0; i++) {
		node_name(i / strlen(DIGITS), DIGITS[i % strlen(DIGITS)], node);
		if (!table_has_chain(edit->table, node) || table_references(edit->table, node))
			continue;
		if (!(edit->flags & FIREWALL_BASE))
			return FIREWALL_BASE_MISSING;
		r = prune_node(edit->table, node);
		if (r == 0 && table_has_chain(edit->table, node))
			r = make_node(edit, node);
	}
	return r;
}

/* ---- rules in them ---- */

/* Parts of the work on those items that are not found yet, where there is a node for them. */
static int add_parts(const struct table *table, struct item *items, size_t len, item_vector *parts)
{
	char node[CHAIN_NAME_MAX];
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		if (items[i].found || !dispatch_node(items[i].rule, node) ||
		    !table_has_chain(table, node))
			continue;
		r = item_add(parts, items[i].rule);
		if (r < 0)
			break;
		parts->items[parts->len - 1].origin = &items[i];
		memcpy(parts->items[parts->len - 1].chain, node, sizeof(node));
	}
	items_sort(parts);
	return r;
}

int dispatch_find(struct table *table, struct item *items, size_t len, uint32_t flags)
{
	CLEANUP_VECTOR item_vector parts = { 0 };
	int r = add_parts(table, items, len, &parts);

	for (size_t i = 0, run; i < parts.len && r == 0; i += run) {
		run = items_run(&parts, i);
		r = chain_find(table, &parts.items[i], run, flags);
		if (r == 0 && flags & FIND_DELETE)
			r = prune_node(table, parts.items[i].chain);
	}
	for (size_t i = 0; i < parts.len && r == 0; i++)
		parts.items[i].origin->found = parts.items[i].found;
	return r;
}

int dispatch_place(struct edit *edit)
{
	enum rule_kind kind = RULE_FOREIGN;
	char node[CHAIN_NAME_MAX];
	size_t flat = 0;
	int r = 0;

	/* sorted by chain and kind */
	for (size_t i = 0; i < edit->add.len && r == 0; i++) {
		struct item *item = &edit->add.items[i];

		if (item->rule->kind != kind)
			flat = item->flat;
		kind = item->rule->kind;
		if (item->found)
			continue;
		if (flat < FLAT_MAX || !dispatch_node(item->rule, node)) {
			flat++;
			continue;
		}
		memcpy(item->chain, node, sizeof(node));
		r = make_node(edit, node);
	}
	return r;
}
