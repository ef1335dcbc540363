/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules into and out of a table that was read, before it is committed. */
#include "firewall/iptables/iptables.h"

int item_add(item_vector *items, const struct rule *rule)
{
	struct item item = { .rule = rule };

	iptables_chain_name(rule, item.chain);
	iptables_jump_name(rule, item.jump);
	return vector_append(items, item);
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
	struct item *items;
	size_t len;
	VECTOR(unsigned int) indexes; /* of what is to be taken out */
	uint32_t flags;               /* FIND_* */
	size_t kinds[RULE_KIND_COUNT];
	enum rule_kind highest; /* of those items that stand in their place */
	bool dead;              /* no packet gets here */
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

static int find_entry(const struct table *table, const struct table_entry *entry, void *data)
{
	struct chain_search *search = data;
	enum place place = rule_place(search->items->rule);
	struct item *item;
	struct rule rule;
	const struct wanted wanted = { &rule, entry->target };
	bool is_copy;

	(void)table;
	if (is_other_port(search, entry))
		return 0;
	/* What others wrote is none of ours, whatever it is. */
	if (place_read(place, entry, &rule) != 0 || rule.kind == RULE_FOREIGN) {
		search->dead |= entry_is_dead_end(entry);
		return 0;
	}
	item = bsearch(&wanted, search->items, search->len, sizeof(*item), compare_wanted);
	is_copy = item && (item->found || item->moved);
	if (item && !is_copy) {
		item->found = search->flags & FIND_DELETE || is_in_place(search, &rule);
		item->moved = !item->found && search->flags & FIND_REVIVE;
	}
	if (is_copy || (item && (search->flags & FIND_DELETE || item->moved)))
		return vector_append(&search->indexes, entry->index);
	search->kinds[rule.kind]++;
	return 0;
}

int chain_find(struct table *table, struct item *items, size_t len, uint32_t flags)
{
	struct chain_search search = { .items = items, .len = len, .flags = flags };
	int r = table_walk(table, items->chain, find_entry, &search);

	/* From the end, so that the others keep their places. */
	for (size_t i = search.indexes.len; i > 0 && r >= 0; i--)
		r = table_delete(table, items->chain, search.indexes.items[i - 1]);
	free(search.indexes.items);
	for (size_t i = 0; i < len; i++) {
		items[i].flat = search.kinds[items[i].rule->kind];
		items[i].is_blocked = search.dead;
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
static int run_find(struct table *table, struct item *run, size_t len, uint32_t flags)
{
	int r = chain_find(table, run, len, flags);

	return r < 0 ? r : dispatch_find(table, run, len, flags);
}

int base_check(struct table *table, item_vector *base, uint32_t flags, item_vector *add)
{
	int r = 0;

	items_sort(base);
	for (size_t i = 0, len; i < base->len && r == 0; i += len) {
		len = items_run(base, i);
		r = run_find(table, &base->items[i], len, flags & FIREWALL_BASE ? FIND_REVIVE : 0);
	}
	for (size_t i = 0; i < base->len && r == 0; i++) {
		const struct item *item = &base->items[i];

		if (item->found)
			continue;
		r = flags & FIREWALL_BASE ? item_add(add, item->rule) : FIREWALL_BASE_MISSING;
		if (r == 0)
			add->items[add->len - 1].moved = item->moved;
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
			r = run_find(edit->table, &run[first], i - first, FIND_DELETE);
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

struct position {
	enum rule_kind kind;
	bool is_node_jump;
	enum place place;
	unsigned int index;
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

/*
 * In a chain of the kernel ours come first: what others append after their own verdicts would never
 * be reached. But in nat the first that translates a connection decides about it, and others know
 * better; there ours come last. In our own chains the order of kinds is that of the enum.
 */
unsigned int edit_position(const struct table *table, const char *chain, enum rule_kind kind,
			   bool is_node_jump)
{
	struct position position = { kind, is_node_jump, PLACE_COUNT, TABLE_END };
	struct rule rule = { .kind = kind };

	position.place = rule_place(&rule);
	if (kind == RULE_FORWARD_JUMP) {
		/* behind that to the administrator's rules */
		position.index = 0;
		table_walk(table, chain, is_user_jump, &position);
		return position.index;
	}
	if (places[position.place].type != PLACE_BUILTIN)
		table_walk(table, chain, comes_before, &position);
	else if (table->id == TABLE_NAT)
		table_walk(table, chain, comes_to_end, &position);
	else
		position.index = 0;
	return position.index;
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
	entry_encode(item->rule, item->jump, edit->comments ? ENTRY_COMMENT : 0, &entry);
	if (!rule_in_any_order(item->rule) || item->is_blocked)
		index = edit_position(edit->table, item->chain, item->rule->kind, false);
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
			r = run_find(edit->table, &items->items[i], len, FIND_REVIVE);
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

	if (r == 0)
		r = ports_place(edit, error);
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
