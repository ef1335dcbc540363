/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in its chain a rule is put. */
#include "firewall/iptables/iptables.h"

struct position {
	enum rule_kind kind;
	bool is_node_jump;
	enum place place;
	unsigned int index, past;
};

/* Jumps to nodes stand behind those of their kind. */
static int comes_before(const struct table *table, const struct table_entry *entry, void *data)
{
	struct position *position = data;
	enum rule_kind kind;
	bool is_node_jump;
	struct rule rule;
	int decoded;

	(void)table;
	if (entry->index >= position->past) {
		position->index = entry->index;
		return 1;
	}
	decoded = place_read(position->place, entry, &rule);
	kind = dispatch_read(entry, decoded, &rule);
	is_node_jump = kind != RULE_FOREIGN;
	if (!is_node_jump)
		kind = rule.kind;
	if (kind == RULE_FOREIGN && !is_node_jump && entry_is_dead_end(entry))
		kind = RULE_KIND_COUNT;
	if (kind == RULE_FOREIGN || kind < position->kind ||
	    (kind == position->kind && is_node_jump <= position->is_node_jump))
		return 0;
	position->index = entry->index;
	return 1;
}

static int is_user_jump(const struct table *table, const struct table_entry *entry, void *data)
{
	struct position *position = data;
	struct rule rule;

	(void)table;
	if (place_read(PLACE_FORWARD, entry, &rule) != 0 || rule.kind != RULE_USER_JUMP)
		return 0;
	position->index = entry->index + 1;
	return 1;
}

static int comes_to_end(const struct table *table, const struct table_entry *entry, void *data)
{
	(void)table;
	if (!entry_is_dead_end(entry))
		return 0;
	((struct position *)data)->index = entry->index;
	return 1;
}

/* What others keep out before ours was kept out so far, and stays so. */
static unsigned int position_in_front(const struct table *table, const char *chain, bool moved,
				      unsigned int past)
{
	struct position end = { .index = TABLE_END };

	if (!moved)
		return 0;
	table_walk(table, chain, comes_to_end, &end);
	if (past < end.index)
		end.index = past;
	return end.index == TABLE_END ? 0 : end.index;
}

/*
 * In a chain of the kernel ours come first: what others append after their own verdicts would never
 * be reached. But in nat the first that translates a connection decides about it, and others know
 * better; there ours come last. In our own chains the order of kinds is that of the enum.
 */
unsigned int edit_position(const struct edit *edit, const char *chain, enum rule_kind kind,
			   bool is_node_jump, bool moved)
{
	struct position position = { kind, is_node_jump, PLACE_COUNT, TABLE_END, TABLE_END };
	const struct table *table = edit->table;
	struct rule rule = { .kind = kind };

	position.place = rule_place(&rule);
	if (edit_repairs(edit) &&
	    foreign_first_past(edit, position.place, chain, &position.past) < 0)
		return 0;
	if (kind == RULE_FORWARD_JUMP) {
		/* behind that to the administrator's rules */
		position.index = position_in_front(table, chain, moved, position.past);
		table_walk(table, chain, is_user_jump, &position);
		return position.index;
	}
	if (places[position.place].type != PLACE_BUILTIN)
		table_walk(table, chain, comes_before, &position);
	else if (table->id == TABLE_NAT)
		table_walk(table, chain, comes_to_end, &position);
	else
		position.index = position_in_front(table, chain, moved, position.past);
	return position.index;
}
