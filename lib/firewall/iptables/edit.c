/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules into and out of a table that was read, before it is committed. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"
#include "firewall/iptables/kernel.h"

int item_add(item_vector *items, const struct rule *rule)
{
	struct item item = { .rule = rule, .packets = rule->packets, .bytes = rule->bytes };

	iptables_chain_name(rule, item.chain);
	iptables_jump_name(rule, item.jump);
	return vector_append(items, item);
}

int items_pick(item_vector *items, const struct rule *rules, size_t len, const struct table *table)
{
	if (len && vector_reserve(items, items->len + len) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		if (rules[i].family == table->family && rule_table(&rules[i]) == table->id &&
		    item_add(items, &rules[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Jumps to the chains of two networks may differ in nothing but the chain. */
static int compare_in_chain(const struct rule *a, const char *jump, const struct item *b)
{
	int order = rule_compare_unowned(a, b->rule);

	return order || !rule_leads_on(a) ? order : strcmp(jump, b->jump);
}

static int compare_items(const void *left, const void *right)
{
	const struct item *a = left, *b = right;
	int order = strcmp(a->chain, b->chain);

	return order ? order : compare_in_chain(a->rule, a->jump, b);
}

/* A plan mostly is in that order, of many ports, too. */
void items_sort(item_vector *items)
{
	size_t sorted = 1;

	while (sorted < items->len &&
	       compare_items(&items->items[sorted - 1], &items->items[sorted]) <= 0)
		sorted++;
	if (sorted < items->len)
		qsort(items->items, items->len, sizeof(*items->items), compare_items);
}

size_t items_run(const item_vector *items, size_t first)
{
	size_t len = 1;

	while (first + len < items->len &&
	       strcmp(items->items[first].chain, items->items[first + len].chain) == 0)
		len++;
	return len;
}

/* ---- which are there ---- */

struct chain_search {
	const struct edit *edit;
	struct item *items;
	size_t len;
	VECTOR(unsigned int) indexes; /* of what is to be taken out */
	uint32_t flags;               /* FIND_* */
	size_t kinds[RULE_KIND_COUNT];
	enum rule_kind highest; /* of those items that stand in their place */
	bool dead;              /* no packet gets here */
	unsigned int past;      /* from there on packets are missing that ours are about */
	bool is_past;
	struct foreign_notes notes;
	struct {
		char first[ENTRY_TEXT_MAX];
		size_t count;
	} late, twice;
};

struct wanted {
	const struct rule *rule;
	const char *jump;
};

static int compare_wanted(const void *key, const void *item)
{
	const struct wanted *wanted = key;

	return compare_in_chain(wanted->rule, wanted->jump, item);
}

/* A rule behind such an end does nothing, and one behind its later kinds comes too late. */
static bool is_in_place(struct chain_search *search, const struct rule *rule)
{
	if (search->dead || (rule->kind < search->highest && !rule_in_any_order(rule)))
		return false;
	search->highest = rule->kind;
	return true;
}

#define FEW_PORTS 8

/* Nearly all rules of a chain are of other ports than those few, and can be passed by unread. */
static bool is_other_port(const struct chain_search *search, const struct table_entry *entry)
{
	uint16_t first, last;
	uint8_t protocol;

	if (search->items->rule->kind != RULE_PORT_DNAT || search->len > FEW_PORTS ||
	    !entry_ports(entry, &protocol, &first, &last))
		return false;
	for (size_t i = 0; i < search->len; i++) {
		const struct rule *rule = search->items[i].rule;

		if (rule->protocol == protocol && rule->host_port == first)
			return false;
	}
	return true;
}

static void note_entry(const struct table_entry *entry, size_t *count,
		       char first[static ENTRY_TEXT_MAX])
{
	if (!(*count)++)
		entry_text(entry, first);
}

void item_take(struct item *item, const struct table_entry *entry)
{
	struct entry_head head;

	entry_head(entry->family, (void *)entry->data, &head);
	item->moved = true;
	item->packets = head.counters->pcnt;
	item->bytes = head.counters->bcnt;
}

/* It may lead to a node of ours; what is behind it must be of such a kind, too. */
static int pass_foreign(struct chain_search *search, const struct table_entry *entry, int decoded,
			const struct rule *rule)
{
	enum rule_kind node = edit_repairs(search->edit) ? dispatch_read(entry, decoded, rule) :
							   RULE_FOREIGN;

	if (node == RULE_FOREIGN) {
		search->dead |= entry_is_dead_end(entry);
		return foreign_note(search->edit, rule_place(search->items->rule), entry,
				    search->items, &search->notes);
	}
	if (node > search->highest)
		search->highest = node;
	return 0;
}

static int find_entry(const struct table *table, const struct table_entry *entry, void *data)
{
	struct chain_search *search = data;
	enum place place = rule_place(search->items->rule);
	struct item *item;
	struct rule rule;
	const struct wanted wanted = { &rule, entry->target };
	bool is_copy;
	int decoded;

	(void)table;
	if (is_other_port(search, entry))
		return 0;
	decoded = place_read(place, entry, &rule);
	/* What others wrote is none of ours, whatever it is. */
	if (decoded != 0 || rule.kind == RULE_FOREIGN)
		return pass_foreign(search, entry, decoded, &rule);
	if (entry->index >= search->past)
		search->dead = search->is_past = true;
	search->notes.last_of_ours = entry->index;
	item = bsearch(&wanted, search->items, search->len, sizeof(*item), compare_wanted);
	is_copy = item && (item->found || item->moved);
	if (item && !is_copy) {
		item->found = search->flags & FIND_DELETE || is_in_place(search, &rule);
		if (!item->found && search->flags & FIND_REVIVE) {
			item_take(item, entry);
			note_entry(entry, &search->late.count, search->late.first);
		}
	}
	if (is_copy)
		note_entry(entry, &search->twice.count, search->twice.first);
	if (is_copy || (item && (search->flags & FIND_DELETE || item->moved)))
		return vector_append(&search->indexes, entry->index);
	search->kinds[rule.kind]++;
	return 0;
}

static int report_chain(const struct chain_search *search)
{
	const struct edit *edit = search->edit;
	const struct item *item = search->items;
	char is[ENTRY_TEXT_MAX + 64];
	struct finding finding = { .network = item->rule->network, .is = is };
	int r = 0;

	if (!edit->findings)
		return 0;
	if (search->late.count) {
		finding.code = FINDING_RULES_ORDER;
		if (!search->is_past && edit->table->id == TABLE_NAT)
			finding.severity = BN_SEVERITY_BROKEN;
		snprintf(is, sizeof(is), "%zu come too late, the first is %s", search->late.count,
			 search->late.first);
		r = edit_report(edit, &finding, item->chain);
	}
	if (r == 0 && search->twice.count) {
		finding.code = FINDING_RULE_TWICE;
		finding.severity = 0;
		snprintf(is, sizeof(is), "%zu, the first is %s", search->twice.count,
			 search->twice.first);
		r = edit_report(edit, &finding, item->chain);
	}
	return r;
}

int chain_find(const struct edit *edit, struct item *items, size_t len, uint32_t flags)
{
	struct chain_search search = {
		.edit = edit, .items = items, .len = len, .flags = flags, .past = TABLE_END
	};
	int r = 0;

	if (edit_repairs(edit) && flags & FIND_REVIVE)
		r = foreign_first_past(edit, rule_place(items->rule), items->chain, &search.past);
	if (r == 0)
		r = table_walk(edit->table, items->chain, find_entry, &search);
	foreign_notes_end(edit, &search.notes);
	free(search.notes.indexes.items);
	if (r == 0)
		r = report_chain(&search);
	/* From the end, so that the others keep their places. */
	for (size_t i = search.indexes.len; i > 0 && r >= 0; i--)
		r = table_delete(edit->table, items->chain, search.indexes.items[i - 1]);
	free(search.indexes.items);
	for (size_t i = 0; i < len; i++) {
		items[i].flat = search.kinds[items[i].rule->kind];
		items[i].is_blocked = search.dead || search.past != TABLE_END;
	}
	return r < 0 ? r : 0;
}

int chain_note(item_vector *chains, const char *chain, bool may_be_known)
{
	struct item item = { 0 };

	for (size_t i = 0; may_be_known && i < chains->len; i++) {
		if (strcmp(chains->items[i].chain, chain) == 0)
			return 0;
	}
	string_copy(item.chain, sizeof(item.chain), chain);
	return vector_append(chains, item);
}

/* In their chain, or in the nodes below it. */
static int run_find(const struct edit *edit, struct item *run, size_t len, uint32_t flags)
{
	int r = chain_find(edit, run, len, flags);

	return r < 0 ? r : dispatch_find(edit, run, len, flags);
}

/* One of each, with what it has counted. */
static void keep_first_of_each(item_vector *items)
{
	size_t kept = 0;

	for (size_t i = 0; i < items->len; i++) {
		struct item *item = &items->items[i], *last = &items->items[kept - !!kept];

		if (!kept || compare_items(last, item) != 0)
			items->items[kept++] = *item;
		else if (item->packets)
			*last = *item;
	}
	items->len = kept;
}

int base_check(struct edit *edit, item_vector *base)
{
	uint32_t flags = edit->flags & FIREWALL_BASE ? FIND_REVIVE : 0;
	int r = 0;

	items_sort(base);
	for (size_t i = 0, len; i < base->len && r == 0 && !edit_repairs(edit); i += len) {
		len = items_run(base, i);
		r = run_find(edit, &base->items[i], len, flags);
	}
	for (size_t i = 0; i < base->len && r == 0; i++) {
		const struct item *item = &base->items[i];

		if (item->found)
			continue;
		r = flags ? vector_append(&edit->add, *item) : FIREWALL_BASE_MISSING;
	}
	return r;
}

/* ---- taking out ---- */

static int entry_is_ours(const struct table *table, const struct table_entry *entry, void *data)
{
	enum place place = *(const enum place *)data;
	struct rule rule;
	int decoded = place_read(place, entry, &rule);

	(void)table;
	return decoded >= 0 &&
	       (rule.kind != RULE_FOREIGN || place_is_node_jump(place, decoded, &rule));
}

struct ours {
	enum place place;
	VECTOR(unsigned int) indexes;
};

static int note_ours(const struct table *table, const struct table_entry *entry, void *data)
{
	struct ours *ours = data;

	return entry_is_ours(table, entry, &ours->place) ?
		       vector_append(&ours->indexes, entry->index) :
		       0;
}

/* Networks of one name, of two state directories, share a chain: the jump to it stays as long as
 * one has a rule there. */
static bool is_shared(const struct edit *edit, const struct item *item)
{
	enum place place = PLACE_NETWORK_PORTS;

	if (item->rule->kind == RULE_NETWORK_POSTROUTING_JUMP)
		place = PLACE_NETWORK_POSTROUTING;
	else if (item->rule->kind != RULE_NETWORK_PORTS_JUMP)
		return false;
	return table_walk(edit->table, item->jump, entry_is_ours, &place) > 0;
}

/* The network goes: what leads to it, of an old rule set, must not pass for another state's. */
static int remove_strays(struct edit *edit, const struct rule *jump)
{
	if (jump->kind != RULE_NETWORK_PORTS_JUMP)
		return 0;
	for (size_t i = 0; i < edit->remove.len; i++) {
		const struct rule *rule = edit->remove.items[i].rule;

		if (rule->kind == RULE_HAIRPIN_MASQUERADE && strcmp(rule->label, jump->label) == 0)
			return ports_remove_strays(edit, jump, &rule->source);
	}
	return 0;
}

/* What stands in the chains of networks was removed before: they come first in the order. */
static int remove_run(struct edit *edit, struct item *run, size_t len)
{
	size_t first = 0;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++)
		r = remove_strays(edit, run[i].rule);
	for (size_t i = 0; i <= len && r == 0; i++) {
		if (i < len && !is_shared(edit, &run[i]))
			continue;
		if (i > first)
			r = run_find(edit, &run[first], i - first, FIND_DELETE);
		if (i < len)
			run[i].found = true;
		first = i + 1;
	}
	return r;
}

static int remove_items(struct edit *edit, struct error *error)
{
	item_vector *items = &edit->remove;
	int r = 0;

	for (size_t i = 0, len; i < items->len && r == 0; i += len) {
		struct item *run = &items->items[i];

		len = items_run(items, i);
		if (run->rule->kind == RULE_PORT_DNAT)
			r = ports_remove(edit, run, len);
		else
			r = remove_run(edit, run, len);
		for (size_t j = 0; j < len && r == 0 && !(edit->flags & FIREWALL_MISSING_OK); j++) {
			if (!run[j].found)
				r = error_set(error, -ENOENT, BN_REASON_KERNEL,
					      "a rule to remove is not in chain %s of table %s any "
					      "more: someone else removed it",
					      run[j].chain, rule_table_name(run[j].rule->chain));
		}
	}
	return r;
}

/* What is in a chain that nothing leads to any more is nobody's. */
static int empty_chain(struct edit *edit, const struct item *jump)
{
	struct ours ours = { .place = jump_place(jump->rule) };
	const char *chain = jump->jump;
	int r = 0;

	if (places[ours.place].type == PLACE_NETWORK && !table_references(edit->table, chain))
		r = table_walk(edit->table, chain, note_ours, &ours);
	for (size_t i = ours.indexes.len; i > 0 && r == 0; i--)
		r = table_delete(edit->table, chain, ours.indexes.items[i - 1]);
	free(ours.indexes.items);
	return r;
}

/* The chains that were left without a rule, and without a jump to them. */
static int drop_chains(struct edit *edit)
{
	int r = 0;

	for (size_t i = 0; i < edit->remove.len && r == 0; i++) {
		const struct item *item = &edit->remove.items[i];
		const struct place_info *place = &places[rule_place(item->rule)];

		/* of one chain they come in a row */
		if ((place->type == PLACE_NETWORK || place->shared) &&
		    (!i || strcmp(item->chain, item[-1].chain) != 0))
			r = table_drop_chain(edit->table, item->chain);
		if (r == 0 && item->jump[0])
			r = empty_chain(edit, item);
		if (r == 0 && item->jump[0])
			r = table_drop_chain(edit->table, item->jump);
	}
	return r;
}

/* ---- putting in ---- */

void item_encode(const struct edit *edit, const struct item *item, struct entry *entry)
{
	struct entry_head head;

	entry_encode(item->rule, item->jump, edit->comments ? ENTRY_COMMENT : 0, entry);
	entry_head(item->rule->family, entry->data, &head);
	head.counters->pcnt = item->packets;
	head.counters->bcnt = item->bytes;
}

static int insert_item(struct edit *edit, const struct item *item)
{
	unsigned int index = TABLE_END;
	struct entry entry;
	int r;

	if (item->rule->kind == RULE_PORT_DNAT)
		return ports_insert(edit, item);
	r = table_create_chain(edit->table, item->chain);
	if (r == 0 && item->jump[0])
		r = table_create_chain(edit->table, item->jump);
	if (r < 0)
		return r;
	item_encode(edit, item, &entry);
	if (!rule_in_any_order(item->rule) || item->is_blocked)
		index = edit_position(edit, item->chain, item->rule->kind, false, item->moved);
	return table_insert(edit->table, item->chain, index, &entry);
}

/* What is there already needs no adding; whose ports those are is looked at apart. */
static int find_existing(struct edit *edit)
{
	item_vector *items = &edit->add;
	int r = 0;

	for (size_t i = 0, len; i < items->len && r == 0; i += len) {
		len = items_run(items, i);
		if (items->items[i].rule->kind != RULE_PORT_DNAT)
			r = run_find(edit, &items->items[i], len, FIND_REVIVE);
	}
	return r;
}

/* A rule in a chain that nothing jumps to does nothing: somebody took the jump away, if there was
 * to be one already. */
static int check_reached(struct edit *edit)
{
	char chain[CHAIN_NAME_MAX], last[CHAIN_NAME_MAX] = { 0 };

	/* what is put back is as it was before, whoever took the jump away */
	if (edit->flags & (FIREWALL_BASE | FIREWALL_LEAVING))
		return 0;
	for (size_t i = 0; i < edit->add.len; i++) {
		const struct rule *rule = edit->add.items[i].rule;
		const struct place_info *place = &places[rule_place(rule)];

		/* not the node of the tree, but the chain that the tree hangs from */
		iptables_chain_name(rule, chain);
		if (place->type == PLACE_BUILTIN || place->shared || strcmp(chain, last) == 0)
			continue;
		if (!table_references(edit->table, chain))
			return FIREWALL_BASE_MISSING;
		memcpy(last, chain, sizeof(last));
	}
	return 0;
}

static int add_items(struct edit *edit, struct error *error)
{
	int r = find_existing(edit);

	if (r == 0 && edit_repairs(edit))
		r = dispatch_check(edit);
	if (r == 0)
		r = ports_place(edit, error);
	if (r == 0 && edit_repairs(edit) && !edit->is_part)
		r = edit_drop_leftovers(edit);
	if (edit->findings)
		return r < 0 ? r : edit_report_missing(edit);
	if (r == 0)
		r = dispatch_place(edit);
	for (size_t i = 0; i < edit->add.len && r == 0; i++) {
		if (!edit->add.items[i].found)
			r = insert_item(edit, &edit->add.items[i]);
	}
	return r < 0 ? r : check_reached(edit);
}

int edit_table(struct edit *edit, struct error *error)
{
	int r;

	items_sort(&edit->remove);
	items_sort(&edit->add);
	if (edit_repairs(edit))
		keep_first_of_each(&edit->add);
	r = remove_items(edit, error);
	if (r == 0)
		r = drop_chains(edit);
	if (r == 0)
		r = add_items(edit, error);
	if (r == -ENOMEM)
		return error_oom(error);
	if (r < 0 && r != FIREWALL_BASE_MISSING && error && !error->message[0])
		return error_set(error, r, BN_REASON_KERNEL,
				 "table %s can't be changed: %s; see whether iptables-legacy-save "
				 "can read it",
				 table_name(edit->table->id), errno_text(-r));
	return r;
}
