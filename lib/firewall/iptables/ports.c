/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The DNAT rules of published ports: who has a port, and where in the tree it stands. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"
#include "model/port.h"

/* ---- taking out ---- */

/* The chains above a leaf that has become empty go with it. */
static int prune_nodes(struct table *table, const struct rule *rule, uint32_t span,
		       const char *chain)
{
	char node[CHAIN_NAME_MAX], parent[CHAIN_NAME_MAX];
	int r = 0;

	memcpy(parent, chain, sizeof(parent));
	for (; span && r == 0; span = span == LEAF_PORTS ? BRANCH_PORTS : 0) {
		node_chain(rule, span, chain, node);
		if (!table_has_chain(table, node) || !table_chain_is_empty(table, node))
			break;
		if (span == LEAF_PORTS)
			node_chain(rule, BRANCH_PORTS, chain, parent);
		else
			memcpy(parent, chain, sizeof(parent));
		r = table_delete_jumps(table, parent, node);
		if (r == 0)
			r = table_drop_chain(table, node);
	}
	return r;
}

/* What does not stand in the network's own chain stands in its node. */
int ports_remove(struct edit *edit, struct item *items, size_t len)
{
	char chain[CHAIN_NAME_MAX];
	CLEANUP_VECTOR item_vector rest = { 0 };
	int r = chain_find(edit, items, len, FIND_DELETE);

	memcpy(chain, items->chain, sizeof(chain));
	for (size_t i = 0; i < len && r == 0; i++) {
		uint32_t span = node_span(items[i].rule);

		if (items[i].found || !span)
			continue;
		r = item_add(&rest, items[i].rule);
		if (r < 0)
			break;
		rest.items[rest.len - 1].origin = &items[i];
		node_chain(items[i].rule, span, chain, rest.items[rest.len - 1].chain);
	}
	items_sort(&rest);
	for (size_t i = 0, run; i < rest.len && r == 0; i += run) {
		run = items_run(&rest, i);
		r = chain_find(edit, &rest.items[i], run, FIND_DELETE);
		if (r == 0)
			r = prune_nodes(edit->table, rest.items[i].rule,
					node_span(rest.items[i].rule), chain);
	}
	for (size_t i = 0; i < rest.len && r == 0; i++)
		rest.items[i].origin->found = rest.items[i].found;
	return r;
}

/* It stands in the chain of that network, or in the tree below. */
bool ports_chain_is_of(const char *chain, const char *network)
{
	size_t len = strlen(network);

	return strncmp(chain, network, len) == 0 && (!chain[len] || chain[len] == ':');
}

struct strays {
	const struct rule *jump; /* to the network's chain */
	const struct prefix *subnet;
	rule_vector rules;
};

static int note_stray(const struct table *table, const struct table_entry *entry, void *data)
{
	struct strays *strays = data;
	struct rule rule;

	(void)table;
	if (place_read(PLACE_NETWORK_PORTS, entry, &rule) != 0 || rule.kind != RULE_PORT_DNAT ||
	    !prefix_contains(strays->subnet, &rule.to))
		return 0;
	string_copy(rule.label, sizeof(rule.label), strays->jump->label);
	return vector_append(&strays->rules, rule);
}

/* What leads to a network that goes, and nobody took out: somebody has loaded an old rule set. */
int ports_remove_strays(struct edit *edit, const struct rule *jump, const struct prefix *subnet)
{
	struct strays strays = { .jump = jump, .subnet = subnet };
	CLEANUP_VECTOR item_vector chains = { 0 };
	CLEANUP_VECTOR item_vector items = { 0 };
	char network[CHAIN_NAME_MAX];
	const char *chain;
	int r = 0;

	iptables_jump_name(jump, network);
	for (chain = table_first_chain(edit->table); chain && r == 0;
	     chain = table_next_chain(edit->table))
		if (ports_chain_is_of(chain, network))
			r = chain_note(&chains, chain, false);
	for (size_t i = 0; i < chains.len && r == 0; i++)
		r = table_walk(edit->table, chains.items[i].chain, note_stray, &strays);
	for (size_t i = 0; i < strays.rules.len && r == 0; i++)
		r = item_add(&items, &strays.rules.items[i]);
	items_sort(&items);
	if (r == 0 && items.len)
		r = ports_remove(edit, items.items, items.len);
	free(strays.rules.items);
	return r;
}

/* ---- who has which port ---- */

/* A bit for each port of the three protocols. */
struct port_map {
	uint8_t bits[3][65536 / 8];
};

static int map_index(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? 0 : protocol == IPPROTO_UDP ? 1 : 2;
}

static void map_set(struct port_map *map, const struct rule *rule)
{
	uint8_t *bits = map->bits[map_index(rule->protocol)];

	for (uint32_t port = rule->host_port; port < rule->host_port + (uint32_t)rule->count;
	     port++)
		bits[port / 8] |= (uint8_t)(1u << port % 8);
}

static bool map_has(const struct port_map *map, uint8_t protocol, uint32_t first, uint32_t last)
{
	const uint8_t *bits = map->bits[map_index(protocol)];

	for (uint32_t port = first; port <= last; port++) {
		if (bits[port / 8] & 1u << port % 8)
			return true;
	}
	return false;
}

struct port_search {
	struct edit *edit;
	struct port_map map;   /* of what is to be added */
	struct item **by_port; /* the same, by protocol and port */
	size_t len;
	uint16_t longest;           /* how many ports one has at the most */
	item_vector chains;         /* still to be looked at */
	char chain[CHAIN_NAME_MAX]; /* is being looked at */
	size_t flat;                /* rules that stand in the chains of networks */
	/* of a repair, in the chain that is looked at */
	bool ended; /* no packet of any port gets here for sure */
	struct foreign_notes notes;
	VECTOR(unsigned int) wrong;
	size_t late, twice;
	char first[ENTRY_TEXT_MAX];
	struct error *error;
};

static bool ports_overlap(const struct rule *a, const struct rule *b)
{
	return a->protocol == b->protocol && a->host_port < b->host_port + (uint32_t)b->count &&
	       b->host_port < a->host_port + (uint32_t)a->count &&
	       (!a->destination.addr.family || !b->destination.addr.family ||
		prefix_compare(&a->destination, &b->destination) == 0);
}

static int taken_error(const struct port_search *search, const struct rule *rule,
		       const struct rule *holder)
{
	uint16_t port = rule->host_port > holder->host_port ? rule->host_port : holder->host_port;
	char host[ADDR_TEXT_MAX] = "the host", to[ADDR_TEXT_MAX];

	if (holder->destination.addr.family)
		addr_format(&holder->destination.addr, host);
	return error_set(search->error, -EEXIST, BN_REASON_PORT_IN_USE,
			 "port %u/%s of %s leads to %s port %u already, by chain %s of table nat; "
			 "remove it there or choose another",
			 (unsigned int)port, protocol_name(rule->protocol), host,
			 addr_format(&holder->to, to),
			 (unsigned int)(holder->to_port + port - holder->host_port), search->chain);
}

static int compare_port(const struct rule *a, uint8_t protocol, uint32_t port)
{
	if (a->protocol != protocol)
		return a->protocol < protocol ? -1 : 1;
	return a->host_port < port ? -1 : a->host_port > port;
}

static int compare_by_port(const void *left, const void *right)
{
	const struct rule *a = (*(struct item *const *)left)->rule;
	const struct rule *b = (*(struct item *const *)right)->rule;

	return compare_port(a, b->protocol, b->host_port);
}

static int sort_by_port(struct port_search *search)
{
	item_vector *add = &search->edit->add;
	size_t sorted = 1;

	search->by_port = calloc(add->len + 1, sizeof(*search->by_port));
	if (!search->by_port)
		return -ENOMEM;
	for (size_t i = 0; i < add->len; i++) {
		const struct rule *rule = add->items[i].rule;

		if (rule->kind != RULE_PORT_DNAT)
			continue;
		map_set(&search->map, rule);
		search->by_port[search->len++] = &add->items[i];
		if (rule->count > search->longest)
			search->longest = rule->count;
	}
	while (sorted < search->len &&
	       compare_by_port(&search->by_port[sorted - 1], &search->by_port[sorted]) <= 0)
		sorted++;
	if (sorted < search->len)
		qsort(search->by_port, search->len, sizeof(*search->by_port), compare_by_port);
	return 0;
}

/* The first that may have a port from `port` on. */
static size_t first_by_port(const struct port_search *search, uint8_t protocol, uint32_t port)
{
	uint32_t lowest = port < search->longest ? 0 : port - search->longest;
	size_t first = 0, end = search->len;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (compare_port(search->by_port[middle]->rule, protocol, lowest) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

/* A repair: it has to be one alone, where packets of its ports get to. */
static int check_standing(struct port_search *search, const struct table_entry *entry,
			  struct item *item)
{
	bool twice = item->found || item->moved;

	if (!twice && !search->ended && ports_are_reached(search->chain, item)) {
		item->found = true;
		search->notes.last_of_ours = entry->index;
		return 0;
	}
	if (!search->late && !search->twice)
		entry_text(entry, search->first);
	if (twice) {
		search->twice++;
	} else {
		item_take(item, entry);
		search->late++;
	}
	return vector_append(&search->wrong, entry->index);
}

/* An entry that has a port of one of those that are to be added, on an address of theirs. */
static int check_port_holder(struct port_search *search, const struct table_entry *entry,
			     struct rule *holder)
{
	bool repairs = edit_repairs(search->edit);
	uint32_t last = holder->host_port + holder->count - 1u;

	holder->kind = RULE_PORT_DNAT;
	holder->chain = CHAIN_NAT_PORTS;
	for (size_t i = first_by_port(search, holder->protocol, holder->host_port);
	     i < search->len && compare_port(search->by_port[i]->rule, holder->protocol, last) <= 0;
	     i++) {
		struct item *item = search->by_port[i];

		if (!ports_overlap(item->rule, holder))
			continue;
		if (repairs && rule_compare_unowned(item->rule, holder) == 0 &&
		    ports_chain_is_of(search->chain, item->chain))
			return check_standing(search, entry, item);
		/* it may be nobody's, or another state's: that is told of as soon as it is seen */
		if (repairs) {
			item->found = true;
			continue;
		}
		if (rule_compare_unowned(item->rule, holder) != 0 ||
		    !ports_chain_is_of(search->chain, item->chain))
			return taken_error(search, item->rule, holder);
		item->found = true;
	}
	return 0;
}

/* Not of ports that are to be there. */
static int check_other(struct port_search *search, const struct table_entry *entry)
{
	const struct item *item = search->by_port[0];
	enum place place = PLACE_NETWORK_PORTS;
	struct rule rule;
	int decoded;

	/* "": the chain that all hang from is looked at with others of its kind */
	if (!edit_repairs(search->edit) || !search->chain[0])
		return 0;
	decoded = place_read(place, entry, &rule);
	if (decoded >= 0 &&
	    (rule.kind != RULE_FOREIGN || place_is_node_jump(place, decoded, &rule)))
		return 0;
	search->ended |= entry_is_dead_end(entry);
	for (size_t i = 0; i + 1 < search->len && !ports_chain_is_of(search->chain, item->chain);
	     i++)
		item = search->by_port[i + 1];
	return foreign_note(search->edit, place, entry, item, &search->notes);
}

static int check_entry(const struct table *table, const struct table_entry *entry, void *data)
{
	struct port_search *search = data;
	uint16_t first, last;
	uint8_t protocol;
	struct rule rule;

	/* Mostly one jump leads to each; who adds another must not have it looked at twice. */
	if (strncmp(entry->target, "BN-", 3) == 0) {
		search->ended = true;
		return chain_note(&search->chains, entry->target,
				  table_references(table, entry->target) > 1);
	}
	if (!strchr(search->chain, ':'))
		search->flat++;
	if (!entry_ports(entry, &protocol, &first, &last) ||
	    !map_has(&search->map, protocol, first, last) || entry_decode(entry, &rule) != 0 ||
	    rule.target != TARGET_DNAT)
		return check_other(search, entry);
	return check_port_holder(search, entry, &rule);
}

/* Their own chains are looked at in any case: somebody may have taken the jumps to them away. */
static int add_own_chains(struct port_search *search)
{
	const char *last = "";
	int r = 0;

	for (size_t i = 0; i < search->len && r == 0; i++) {
		const char *chain = search->by_port[i]->chain;

		if (strcmp(chain, last) != 0)
			r = chain_note(&search->chains, chain, true);
		last = chain;
	}
	return r;
}

static int take_out_wrong(struct port_search *search)
{
	char is[ENTRY_TEXT_MAX + 64];
	struct finding finding = { .code = FINDING_RULE_TWICE, .is = is };
	int r = 0;

	if (search->late) {
		finding.code = FINDING_RULES_ORDER;
		finding.severity = BN_SEVERITY_BROKEN;
	}
	snprintf(is, sizeof(is), "%zu, the first is %s", search->late + search->twice,
		 search->first);
	if (search->wrong.len)
		r = edit_report(search->edit, &finding, search->chain);
	for (size_t i = search->wrong.len; i > 0 && r == 0; i--)
		r = table_delete(search->edit->table, search->chain, search->wrong.items[i - 1]);
	search->wrong.len = search->late = search->twice = 0;
	return r;
}

/* Breadth first: the walk through one chain can't be interrupted by another. */
static int search_chains(struct port_search *search)
{
	int r = table_walk(search->edit->table, places[PLACE_PORTS].name, check_entry, search);

	search->flat = 0;
	if (r == 0)
		r = add_own_chains(search);
	for (size_t i = 0; i < search->chains.len && r == 0; i++) {
		memcpy(search->chain, search->chains.items[i].chain, sizeof(search->chain));
		search->ended = false;
		r = table_walk(search->edit->table, search->chain, check_entry, search);
		foreign_notes_end(search->edit, &search->notes);
		if (r == 0)
			r = take_out_wrong(search);
	}
	return r;
}

/* ---- putting in ---- */

static void choose_chain(struct item *item, size_t *flat)
{
	uint32_t span = node_span(item->rule);
	char chain[CHAIN_NAME_MAX];

	if (*flat < FLAT_MAX || !span) {
		(*flat)++;
		return;
	}
	memcpy(chain, item->chain, sizeof(chain));
	node_chain(item->rule, span, chain, item->chain);
}

int ports_place(struct edit *edit, struct error *error)
{
	struct port_search *search;
	int r;

	if (edit->table->id != TABLE_NAT)
		return 0;
	search = calloc(1, sizeof(*search));
	if (!search)
		return -ENOMEM;
	search->edit = edit;
	search->error = error;
	r = sort_by_port(search);
	if (r == 0 && search->len && edit_repairs(edit))
		r = tree_mend(edit);
	if (r == 0 && search->len)
		r = search_chains(search);
	for (size_t i = 0; i < search->len && r == 0; i++) {
		if (!search->by_port[i]->found)
			choose_chain(search->by_port[i], &search->flat);
	}
	free(search->by_port);
	free(search->chains.items);
	free(search->wrong.items);
	free(search->notes.indexes.items);
	free(search);
	return r;
}

static int is_end(const struct table *table, const struct table_entry *entry, void *data)
{
	(void)table;
	if (!entry_is_dead_end(entry))
		return 0;
	*(unsigned int *)data = entry->index;
	return 1;
}

static int is_goto(const struct table *table, const struct table_entry *entry, void *data)
{
	(void)table;
	if (strncmp(entry->target, "BN-", 3) != 0 && !entry_is_dead_end(entry))
		return 0;
	*(unsigned int *)data = entry->index;
	return 1;
}

int ports_put_node(struct edit *edit, const struct rule *rule, uint32_t span, const char *parent,
		   const char *node)
{
	unsigned int end = TABLE_END;
	struct entry entry;
	struct rule jump;

	node_jump(rule, span, &jump);
	entry_encode(&jump, node, edit->comments ? ENTRY_COMMENT : 0, &entry);
	table_walk(edit->table, parent, is_end, &end);
	return table_insert(edit->table, parent, end, &entry);
}

int ports_make_node(struct edit *edit, const struct rule *rule, uint32_t span, const char *parent,
		    const char *node)
{
	int r;

	if (table_has_chain(edit->table, node) && table_references(edit->table, node))
		return 0;
	r = table_create_chain(edit->table, node);
	return r < 0 ? r : ports_put_node(edit, rule, span, parent, node);
}

/* The chain that it goes into, and where in it: before what leads on, and before others' rules that
 * take every packet, as neither gives one back. */
static int begin_filling(struct edit *edit, const struct item *item)
{
	char network[CHAIN_NAME_MAX], branch[CHAIN_NAME_MAX];
	bool is_node = strchr(item->chain, ':');
	int r;

	iptables_chain_name(item->rule, network);
	r = table_create_chain(edit->table, network);
	if (r == 0 && is_node) {
		node_chain(item->rule, BRANCH_PORTS, network, branch);
		r = ports_make_node(edit, item->rule, BRANCH_PORTS, network, branch);
	}
	if (r == 0 && is_node && strcmp(branch, item->chain) != 0)
		r = ports_make_node(edit, item->rule, LEAF_PORTS, branch, item->chain);
	memcpy(edit->filling.chain, item->chain, sizeof(edit->filling.chain));
	edit->filling.index = TABLE_END;
	if (r == 0)
		table_walk(edit->table, item->chain, is_goto, &edit->filling.index);
	return r;
}

int ports_insert(struct edit *edit, const struct item *item)
{
	struct entry entry;
	int r = 0;

	if (strcmp(edit->filling.chain, item->chain) != 0)
		r = begin_filling(edit, item);
	if (r < 0)
		return r;
	item_encode(edit, item, &entry);
	r = table_insert(edit->table, item->chain, edit->filling.index, &entry);
	if (edit->filling.index != TABLE_END)
		edit->filling.index++;
	return r;
}
