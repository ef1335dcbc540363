/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a repair finds in a table beside the rules that are to be there. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"

int edit_report(const struct edit *edit, const struct finding *finding, const char *chain)
{
	const struct table *table = edit->table;
	struct finding named = *finding;
	char object[CHAIN_NAME_MAX + 64];

	if (!edit->findings)
		return 0;
	snprintf(object, sizeof(object), "chain %s of table %s (%s)", chain, table_name(table->id),
		 table->family == AF_INET ? "IPv4" : "IPv6");
	named.object = object;
	return findings_add(edit->findings, &named);
}

static int report_missing(const struct edit *edit, const struct item *item)
{
	char should_be[ENTRY_TEXT_MAX];
	const struct finding finding = {
		.code = FINDING_RULES_BASE,
		.severity = edit->table->id == TABLE_NAT ? BN_SEVERITY_BROKEN : 0,
		.is = "a rule is missing",
		.should_be = should_be,
	};
	struct table_entry entry = { .family = edit->table->family };
	struct entry encoded;

	item_encode(edit, item, &encoded);
	entry.data = encoded.data;
	entry.len = encoded.len;
	entry.target = item->jump[0] ? item->jump : rule_target_name(item->rule);
	entry_text(&entry, should_be);
	return edit_report(edit, &finding, item->chain);
}

int edit_report_missing(const struct edit *edit)
{
	int r = 0;

	for (size_t i = 0; i < edit->add.len && r == 0; i++) {
		const struct item *item = &edit->add.items[i];

		if (!item->found && !item->moved && kind_of(item->rule->kind)->scope & PLAN_BASE)
			r = report_missing(edit, item);
	}
	return r;
}

/* ---- what is left over ---- */

static int compare_chain(const void *chain, const void *item)
{
	return strcmp(chain, ((const struct item *)item)->chain);
}

/* They are sorted by chain, and few lead on. */
static bool is_to_be_there(const struct edit *edit, const char *chain)
{
	const item_vector *add = &edit->add;

	if (add->len && bsearch(chain, add->items, add->len, sizeof(*add->items), compare_chain))
		return true;
	for (size_t i = 0; i < add->len; i++)
		if (add->items[i].jump[0] && strcmp(add->items[i].jump, chain) == 0)
			return true;
	return false;
}

static bool is_base_chain(const char *chain)
{
	for (enum place i = 0; i < PLACE_COUNT; i++)
		if (places[i].type == PLACE_BASE && strcmp(places[i].name, chain) == 0)
			return true;
	return false;
}

/* A node of the tree that is empty serves nobody, whosever it is. */
static bool is_left_over(const struct edit *edit, const char *chain, bool *ret_is_node)
{
	const struct table *table = edit->table;
	enum place place;

	if (!is_own_chain(chain) || table_references(table, chain) ||
	    dispatch_kind(chain) != RULE_FOREIGN || is_base_chain(chain))
		return false;
	place = network_place(table->id, chain);
	*ret_is_node = place == PLACE_NETWORK_PORTS && strchr(chain, ':');
	return !is_to_be_there(edit, chain) &&
	       (!*ret_is_node || table_chain_is_empty(table, chain));
}

struct contents {
	enum place place;
	VECTOR(unsigned int) ours;
};

static int note_ours(const struct table *table, const struct table_entry *entry, void *data)
{
	struct contents *contents = data;
	struct rule rule;
	int decoded = place_read(contents->place, entry, &rule);

	(void)table;
	if (decoded < 0 ||
	    (rule.kind == RULE_FOREIGN && !place_is_node_jump(contents->place, decoded, &rule)))
		return 0;
	return vector_append(&contents->ours, entry->index);
}

static int drop_chain(struct edit *edit, const char *chain, bool is_node)
{
	const struct finding finding = { .code = FINDING_RULE_STRAY,
					 .severity = BN_SEVERITY_NOTE,
					 .is = "a chain that nothing leads to" };
	struct contents contents = { .place = network_place(edit->table->id, chain) };
	int r = is_node ? 0 : edit_report(edit, &finding, chain);

	if (r == 0 && contents.place != PLACE_COUNT)
		r = table_walk(edit->table, chain, note_ours, &contents);
	for (size_t i = contents.ours.len; i > 0 && r == 0; i--)
		r = table_delete(edit->table, chain, contents.ours.items[i - 1]);
	free(contents.ours.items);
	return r < 0 ? r : table_drop_chain(edit->table, chain);
}

int edit_drop_leftovers(struct edit *edit)
{
	const struct table *table = edit->table;
	size_t dropped;
	int r = 0;

	/* what one led to is left over with it */
	do {
		CLEANUP_VECTOR item_vector chains = { 0 };
		const char *chain;
		bool is_node;

		for (chain = table_first_chain(table); chain && r == 0;
		     chain = table_next_chain(table)) {
			if (!is_left_over(edit, chain, &is_node))
				continue;
			r = chain_note(&chains, chain, false);
			if (r == 0)
				chains.items[chains.len - 1].found = is_node;
		}
		dropped = 0;
		for (size_t i = 0; i < chains.len && r == 0; i++) {
			r = drop_chain(edit, chains.items[i].chain, chains.items[i].found);
			/* others' rules may hold it */
			dropped += !table_has_chain(table, chains.items[i].chain);
		}
	} while (r == 0 && dropped);
	return r;
}
