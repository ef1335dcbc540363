/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nodes that rules about many networks stand in. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"

#define DIGITS "0123456789abcdef"
#define MADE_UP "bn-" /* bridges: this and 12 digits */
#define MADE_UP_LEN 3

/* What all rules of a node have in common. */
enum node_key {
	BY_BRIDGE, /* the first digit of a name that the library made up */
	BY_SOURCE, /* the first 12 bits of IPv4, so that private ranges part; 16 of IPv6 */
	BY_DESTINATION
};

static const struct dispatch {
	enum rule_kind kind;
	enum node_key by;
	const char *node; /* with the key behind */
	size_t flat;      /* before there are nodes */
} dispatched[] = {
	{ RULE_NETWORK_RAW_JUMP, BY_DESTINATION, "BRIDGENET-RAW-TO:", DISPATCH_SUBNETS },
	{ RULE_NETWORK_RAW_SOURCE_JUMP, BY_SOURCE, "BRIDGENET-RAW-FROM:", DISPATCH_SUBNETS },
	{ RULE_SOURCES_GOTO, BY_BRIDGE, "BRIDGENET-RAW:", DISPATCH_BRIDGES },
	{ RULE_SUBNET_SOURCE_DROP, BY_SOURCE, "BRIDGENET-OUTSIDE:", DISPATCH_SUBNETS },
	{ RULE_SUBNET_DROP, BY_DESTINATION, "BRIDGENET-SUBNETS:", DISPATCH_SUBNETS },
	{ RULE_INTERNAL_DROP, BY_BRIDGE, "BRIDGENET-INTERNAL:", DISPATCH_BRIDGES },
	{ RULE_TO_JUMP, BY_BRIDGE, "BRIDGENET-TO:", DISPATCH_BRIDGES },
	{ RULE_FROM_JUMP, BY_BRIDGE, "BRIDGENET-FROM:", DISPATCH_BRIDGES },
	{ RULE_PEER_ACCEPT, BY_BRIDGE, "BRIDGENET-PEERS:", DISPATCH_BRIDGES },
	{ RULE_OPEN_ACCEPT, BY_BRIDGE, "BRIDGENET-OPEN:", DISPATCH_BRIDGES },
};

/* ---- keys ---- */

#define KEY_MAX 8 /* "192.160" */

static bool bridge_key(const struct rule *rule, char key[static KEY_MAX])
{
	const char *bridge = rule->in[0] ? rule->in : rule->out;

	/* on somebody else's bridge it says more than the bridge */
	if (strncmp(bridge, MADE_UP, MADE_UP_LEN) != 0 || strlen(bridge) != IFNAMSIZ - 1 ||
	    strspn(bridge + MADE_UP_LEN, DIGITS) != IFNAMSIZ - 1 - MADE_UP_LEN ||
	    rule->source.addr.family || rule->destination.addr.family)
		return false;
	snprintf(key, KEY_MAX, "%c", bridge[MADE_UP_LEN]);
	return true;
}

static uint8_t key_bits(int family)
{
	return family == AF_INET ? 12 : 16;
}

static bool address_key(const struct prefix *prefix, char key[static KEY_MAX])
{
	const uint8_t *bytes = prefix->addr.bytes;

	if (!prefix->addr.family || prefix->len < key_bits(prefix->addr.family))
		return false;
	if (prefix->addr.family == AF_INET)
		snprintf(key, KEY_MAX, "%u.%u", bytes[0], bytes[1] & 0xf0u);
	else
		snprintf(key, KEY_MAX, "%02x%02x", bytes[0], bytes[1]);
	return true;
}

static bool key_of(const struct dispatch *dispatch, const struct rule *rule,
		   char key[static KEY_MAX])
{
	switch (dispatch->by) {
	case BY_BRIDGE:
		return bridge_key(rule, key);
	case BY_SOURCE:
		return address_key(&rule->source, key);
	case BY_DESTINATION:
		return address_key(&rule->destination, key);
	}
	return false;
}

/* Of a node, by its name; NULL if it is none. */
static const struct dispatch *dispatch_of(const char *chain)
{
	/* mostly it is asked of a target that is no chain of ours */
	if (strncmp(chain, "BRIDGENET-", 10) != 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(dispatched); i++) {
		if (strncmp(chain, dispatched[i].node, strlen(dispatched[i].node)) == 0)
			return &dispatched[i];
	}
	return NULL;
}

static const struct dispatch *dispatch_of_kind(enum rule_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(dispatched); i++) {
		if (dispatched[i].kind == kind)
			return &dispatched[i];
	}
	return NULL;
}

bool dispatch_node(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	const struct dispatch *dispatch = dispatch_of_kind(rule->kind);
	char key[KEY_MAX];

	if (!dispatch || !key_of(dispatch, rule, key))
		return false;
	memset(name, 0, CHAIN_NAME_MAX);
	snprintf(name, CHAIN_NAME_MAX, "%s%s", dispatch->node, key);
	return true;
}

enum rule_kind dispatch_kind(const char *chain)
{
	const struct dispatch *dispatch = dispatch_of(chain);

	return dispatch ? dispatch->kind : RULE_FOREIGN;
}

static const char *parent_of(const struct dispatch *dispatch)
{
	return places[rule_place(&(struct rule){ .kind = dispatch->kind })].name;
}

static void address_of_key(const char *key, int family, struct prefix *ret_prefix)
{
	uint8_t *bytes = ret_prefix->addr.bytes;
	char *end;
	unsigned long number = strtoul(key, &end, family == AF_INET ? 10 : 16);

	*ret_prefix = (struct prefix){ { .family = family }, key_bits(family) };
	if (family == AF_INET) {
		bytes[0] = (uint8_t)number;
		bytes[1] = (uint8_t)strtoul(end + (*end == '.'), NULL, 10);
	} else {
		bytes[0] = (uint8_t)(number >> 8);
		bytes[1] = (uint8_t)number;
	}
}

/* The rule that leads to a node. What would come back from one of gotos to a chain of gotos would
 * meet what follows there: it is reached by a goto too. */
static void jump_to_node(const char *node, int family, struct rule *ret_jump)
{
	const struct dispatch *dispatch = dispatch_of(node);
	const struct kind *kind = kind_of(dispatch->kind);
	const char *key = node + strlen(dispatch->node);
	bool by_in = kind->in.is == DEVICE_BRIDGE;

	*ret_jump =
		(struct rule){ .kind = RULE_FOREIGN,
			       .chain = kind->chain,
			       .target = kind->target == TARGET_GOTO ? TARGET_GOTO : TARGET_JUMP,
			       .family = family };
	switch (dispatch->by) {
	case BY_BRIDGE:
		snprintf(by_in ? ret_jump->in : ret_jump->out, IFNAMSIZ, MADE_UP "%s", key);
		break;
	case BY_SOURCE:
		address_of_key(key, family, &ret_jump->source);
		break;
	case BY_DESTINATION:
		address_of_key(key, family, &ret_jump->destination);
		break;
	}
}

enum rule_kind dispatch_read(const struct table_entry *entry, int decoded, const struct rule *rule)
{
	const struct dispatch *dispatch = dispatch_of(entry->target);
	struct rule jump;

	if (!dispatch || decoded != (dispatch->by == BY_BRIDGE ? DECODED_PREFIX : 0))
		return RULE_FOREIGN;
	jump_to_node(entry->target, entry->family, &jump);
	return rule_compare_unowned(rule, &jump) == 0 ? dispatch->kind : RULE_FOREIGN;
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

static int put_end(const struct edit *edit, const char *node)
{
	const char *outside = places[PLACE_OUTSIDE].name;
	struct entry entry;
	struct rule rule;
	int r = table_create_chain(edit->table, outside);

	rule_init(&rule, kind_of(RULE_OUTSIDE_JUMP), edit->table->family);
	entry_encode(&rule, outside, edit->comments ? ENTRY_COMMENT : 0, &entry);
	return r < 0 ? r : table_insert(edit->table, node, TABLE_END, &entry);
}

static int put_jump(const struct edit *edit, const char *node)
{
	uint32_t flags = edit->comments ? ENTRY_COMMENT : 0;
	const struct dispatch *dispatch = dispatch_of(node);
	const char *parent = parent_of(dispatch);
	struct entry entry;
	struct rule jump;
	int r = table_create_chain(edit->table, parent);

	if (r < 0)
		return r;
	jump_to_node(node, edit->table->family, &jump);
	if (dispatch->by == BY_BRIDGE)
		flags |= ENTRY_PREFIX;
	entry_encode(&jump, node, flags, &entry);
	return table_insert(edit->table, parent,
			    edit_position(edit, parent, dispatch->kind, true, false), &entry);
}

static int make_node(const struct edit *edit, const char *node)
{
	int r = table_create_chain(edit->table, node);

	if (r == 0 && dispatch_kind(node) == RULE_SOURCES_GOTO &&
	    table_chain_is_empty(edit->table, node))
		r = put_end(edit, node);
	if (r < 0 || table_references(edit->table, node))
		return r;
	return put_jump(edit, node);
}

/* With what leads there, if it is left without a rule. */
static int prune_node(struct table *table, const char *node)
{
	const char *parent = parent_of(dispatch_of(node));
	int r = 0;

	if (table_walk(table, node, holds_rule, NULL))
		return 0;
	while (r == 0 && !table_chain_is_empty(table, node))
		r = table_delete(table, node, 0);
	if (r == 0)
		r = table_delete_jumps(table, parent, node);
	return r < 0 ? r : table_drop_chain(table, node);
}

/* ---- as they were made ---- */

/* What leads to a node, or from one of gotos on: there is to be one, in its place. */
struct lead_search {
	const struct edit *edit;
	const char *node; /* NULL: where the end of a node is looked for */
	enum place place;
	unsigned int past;
	enum rule_kind highest;
	bool dead, found;
	VECTOR(unsigned int) wrong;
};

static int find_lead(const struct table *table, const struct table_entry *entry, void *data)
{
	struct lead_search *search = data;
	struct rule rule;
	int decoded = place_read(search->place, entry, &rule);
	enum rule_kind kind = dispatch_read(entry, decoded, &rule);
	bool is_node = kind != RULE_FOREIGN;

	(void)table;
	search->dead |= entry->index >= search->past;
	if (!is_node && decoded == 0)
		kind = rule.kind;
	if (kind == RULE_FOREIGN) {
		search->dead |= entry_is_dead_end(entry);
		return 0;
	}
	if (is_node && strcmp(entry->target, search->node) == 0) {
		if (search->found || search->dead || kind < search->highest)
			return vector_append(&search->wrong, entry->index);
		search->found = true;
	}
	if (kind > search->highest)
		search->highest = kind;
	return 0;
}

/* Who falls out of such a node has to go on: it is its last rule, or what follows is not met. */
static int find_end(const struct table *table, const struct table_entry *entry, void *data)
{
	struct lead_search *search = data;

	(void)table;
	if (goes_on(entry)) {
		if (search->found)
			return vector_append(&search->wrong, entry->index);
		search->found = true;
	} else if (search->found && !search->wrong.len) {
		search->dead = true;
	}
	return 0;
}

static int delete_wrong(struct lead_search *search, const char *chain)
{
	int r = 0;

	for (size_t i = search->wrong.len; i > 0 && r == 0; i--)
		r = table_delete(search->edit->table, chain, search->wrong.items[i - 1]);
	free(search->wrong.items);
	return r;
}

static int report_lead(const struct edit *edit, const char *node, const char *is)
{
	const struct finding finding = { .code = FINDING_RULES_BASE,
					 .is = is,
					 .should_be = "there once, in its place" };

	return edit_report(edit, &finding, node);
}

static int mend_end(const struct edit *edit, const char *node)
{
	struct lead_search search = { .edit = edit };
	int r = table_walk(edit->table, node, find_end, &search);

	/* rules behind it are put before it as they are found late */
	if (r == 0 && (!search.found || search.wrong.len))
		r = report_lead(edit, node, "the rule at its end is missing, or there twice");
	if (r == 0)
		r = delete_wrong(&search, node);
	return r == 0 && !search.found ? put_end(edit, node) : r;
}

/* With the jump that leads there. */
static int mend_node(const struct edit *edit, const char *node)
{
	const struct dispatch *dispatch = dispatch_of(node);
	const char *parent = parent_of(dispatch);
	struct lead_search search = { .edit = edit,
				      .node = node,
				      .place = rule_place(&(struct rule){ .kind = dispatch->kind }),
				      .past = TABLE_END };
	int r = prune_node(edit->table, node);

	if (r < 0 || !table_has_chain(edit->table, node))
		return r;
	r = foreign_first_past(edit, search.place, parent, &search.past);
	if (r == 0)
		r = table_walk(edit->table, parent, find_lead, &search);
	if (r == 0 && (!search.found || search.wrong.len))
		r = report_lead(edit, node,
				search.wrong.len ? "what leads there is not in its place" :
						   "nothing leads there");
	if (r == 0)
		r = delete_wrong(&search, parent);
	if (r == 0 && !search.found)
		r = put_jump(edit, node);
	if (r == 0 && dispatch->kind == RULE_SOURCES_GOTO)
		r = mend_end(edit, node);
	return r;
}

int dispatch_check(struct edit *edit)
{
	CLEANUP_VECTOR item_vector nodes = { 0 };
	struct table *table = edit->table;
	const char *chain;
	int r = 0;

	for (chain = table_first_chain(table); chain && r == 0; chain = table_next_chain(table)) {
		if (dispatch_of(chain) && (edit_repairs(edit) || !table_references(table, chain)))
			r = chain_note(&nodes, chain, false);
	}
	if (r == 0 && nodes.len && !(edit->flags & FIREWALL_BASE))
		return FIREWALL_BASE_MISSING;
	for (size_t i = 0; i < nodes.len && r == 0; i++)
		r = mend_node(edit, nodes.items[i].chain);
	return r;
}

/* ---- rules in them ---- */

/* Parts of the work on those items that are not found yet, where there is a node for them. */
static int add_parts(const struct edit *edit, struct item *items, size_t len, item_vector *parts)
{
	char node[CHAIN_NAME_MAX];
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		/* in a repair there may be a copy */
		if ((items[i].found && !edit_repairs(edit)) ||
		    !dispatch_node(items[i].rule, node) || !table_has_chain(edit->table, node))
			continue;
		r = vector_append(parts, items[i]);
		if (r < 0)
			break;
		parts->items[parts->len - 1].origin = &items[i];
		memcpy(parts->items[parts->len - 1].chain, node, sizeof(node));
	}
	items_sort(parts);
	return r;
}

int dispatch_find(const struct edit *edit, struct item *items, size_t len, uint32_t flags)
{
	CLEANUP_VECTOR item_vector parts = { 0 };
	int r = add_parts(edit, items, len, &parts);

	for (size_t i = 0, run; i < parts.len && r == 0; i += run) {
		run = items_run(&parts, i);
		r = chain_find(edit, &parts.items[i], run, flags);
		if (r == 0 && flags & FIND_DELETE)
			r = prune_node(edit->table, parts.items[i].chain);
	}
	for (size_t i = 0; i < parts.len && r == 0; i++) {
		struct item *origin = parts.items[i].origin;

		origin->found = parts.items[i].found;
		origin->moved |= parts.items[i].moved;
		origin->packets = parts.items[i].packets;
		origin->bytes = parts.items[i].bytes;
		origin->is_blocked |= parts.items[i].is_blocked;
	}
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
		if (!dispatch_node(item->rule, node) || flat < dispatch_of_kind(kind)->flat) {
			flat++;
			continue;
		}
		memcpy(item->chain, node, sizeof(node));
		r = make_node(edit, node);
	}
	return r;
}
