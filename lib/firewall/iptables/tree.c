/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree of ports, as it was made: to each node one rule leads, from the node above. */
#include "firewall/iptables/iptables.h"
#include "model/port.h"

struct node {
	char chain[CHAIN_NAME_MAX];
	struct rule rule; /* the protocol and the first port */
	uint32_t span;    /* 0: the network's own chain */
	bool is_led_to;
};

struct tree {
	struct edit *edit;
	const char *network; /* the chain that it hangs from */
	VECTOR(struct node) nodes;
	const struct node *from; /* is looked at */
	bool ended;
	VECTOR(unsigned int) wrong;
};

bool ports_are_reached(const char *chain, const struct item *item)
{
	uint32_t span = node_span(item->rule);
	char node[CHAIN_NAME_MAX];

	if (strcmp(chain, item->chain) == 0)
		return true;
	if (!span)
		return false;
	node_chain(item->rule, span, item->chain, node);
	return strcmp(chain, node) == 0;
}

/* ---- the nodes, by their names ---- */

static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };

/* False for what no rule of ours would be put into. */
static bool read_name(const char *network, const char *chain, struct node *node)
{
	const char *end = chain + strlen(network) + 1;
	char name[CHAIN_NAME_MAX], *rest = NULL;
	unsigned long first = 0;

	*node = (struct node){ 0 };
	string_copy(node->chain, sizeof(node->chain), chain);
	if (strcmp(chain, network) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(protocols) && !rest; i++) {
		size_t len = strlen(protocol_name(protocols[i]));

		if (strncmp(end, protocol_name(protocols[i]), len) != 0)
			continue;
		node->rule.protocol = protocols[i];
		first = strtoul(end + len, &rest, 10);
	}
	if (!rest || first > UINT16_MAX)
		return false;
	node->span = *rest == 'k' ? BRANCH_PORTS : LEAF_PORTS;
	node->rule.host_port = (uint16_t)(*rest == 'k' ? first * 1024 : first);
	node->rule.count = (uint16_t)node->span;
	node_chain(&node->rule, node->span, network, name);
	return strcmp(chain, name) == 0;
}

static int find_nodes(struct tree *tree)
{
	const struct table *table = tree->edit->table;
	const char *chain;
	struct node node;

	for (chain = table_first_chain(table); chain; chain = table_next_chain(table)) {
		if (!ports_chain_is_of(chain, tree->network) ||
		    network_place(TABLE_NAT, chain) != PLACE_NETWORK_PORTS ||
		    !read_name(tree->network, chain, &node))
			continue;
		node.rule.family = table->family;
		if (vector_append(&tree->nodes, node) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- what leads to them ---- */

/* The node that hangs from that one and has its name. */
static struct node *find_below(const struct tree *tree, const struct node *from, const char *chain)
{
	char above[CHAIN_NAME_MAX];

	for (size_t i = 0; i < tree->nodes.len; i++) {
		struct node *node = &tree->nodes.items[i];

		if (!node->span || strcmp(node->chain, chain) != 0)
			continue;
		if (node->span == BRANCH_PORTS)
			return from->span ? NULL : node;
		node_chain(&node->rule, BRANCH_PORTS, tree->network, above);
		return strcmp(above, from->chain) == 0 ? node : NULL;
	}
	return NULL;
}

static int find_lead(const struct table *table, const struct table_entry *entry, void *data)
{
	struct tree *tree = data;
	struct node *node;
	struct rule rule;
	int decoded;

	(void)table;
	if (strncmp(entry->target, "BN-", 3) != 0) {
		tree->ended |= entry_is_dead_end(entry);
		return 0;
	}
	decoded = place_read(PLACE_NETWORK_PORTS, entry, &rule);
	if (!place_is_node_jump(PLACE_NETWORK_PORTS, decoded, &rule))
		return 0;
	node = find_below(tree, tree->from, entry->target);
	if (!node || node->is_led_to || tree->ended || node->rule.protocol != rule.protocol ||
	    node->rule.host_port != rule.host_port || node->rule.count != rule.count)
		return vector_append(&tree->wrong, entry->index);
	node->is_led_to = true;
	return 0;
}

static int report(const struct tree *tree, const char *chain, const char *is)
{
	const struct finding finding = { .code = FINDING_RULES_BASE,
					 .severity = BN_SEVERITY_BROKEN,
					 .is = is,
					 .should_be = "there once, with the ports of its name" };

	return edit_report(tree->edit, &finding, chain);
}

static int find_leads_from(struct tree *tree, const struct node *from)
{
	struct table *table = tree->edit->table;
	int r;

	tree->from = from;
	tree->ended = false;
	tree->wrong.len = 0;
	r = table_walk(table, from->chain, find_lead, tree);
	if (r == 0 && tree->wrong.len)
		r = report(tree, from->chain, "what leads on to other chains is wrong");
	for (size_t i = tree->wrong.len; i > 0 && r == 0; i--)
		r = table_delete(table, from->chain, tree->wrong.items[i - 1]);
	return r;
}

/* Those above come first: ports_make_node() has what it hangs it from. */
static int lead_to(struct tree *tree, struct node *node)
{
	struct edit *edit = tree->edit;
	char above[CHAIN_NAME_MAX];
	int r;

	if (node->is_led_to || table_chain_is_empty(edit->table, node->chain))
		return 0;
	r = report(tree, node->chain, "nothing leads there");
	if (r < 0 || edit->findings)
		return r;
	r = table_create_chain(edit->table, tree->network);
	if (r < 0)
		return r;
	string_copy(above, sizeof(above), tree->network);
	if (node->span == LEAF_PORTS) {
		node_chain(&node->rule, BRANCH_PORTS, tree->network, above);
		r = ports_make_node(edit, &node->rule, BRANCH_PORTS, tree->network, above);
	}
	return r < 0 ? r : ports_put_node(edit, &node->rule, node->span, above, node->chain);
}

static int mend(struct tree *tree)
{
	int r = find_nodes(tree);

	for (size_t i = 0; i < tree->nodes.len && r == 0; i++) {
		/* a leaf leads nowhere, but what is in it may be what has been loaded there */
		r = find_leads_from(tree, &tree->nodes.items[i]);
	}
	for (uint32_t span = BRANCH_PORTS; span && r == 0;
	     span = span == BRANCH_PORTS ? LEAF_PORTS : 0)
		for (size_t i = 0; i < tree->nodes.len && r == 0; i++)
			if (tree->nodes.items[i].span == span)
				r = lead_to(tree, &tree->nodes.items[i]);
	return r;
}

int tree_mend(struct edit *edit)
{
	const char *last = "";
	int r = 0;

	for (size_t i = 0; i < edit->add.len && r == 0; i++) {
		struct tree tree = { .edit = edit, .network = edit->add.items[i].chain };

		/* they are sorted by chain */
		if (edit->add.items[i].rule->kind != RULE_PORT_DNAT ||
		    strcmp(last, tree.network) == 0)
			continue;
		last = tree.network;
		r = mend(&tree);
		free(tree.nodes.items);
		free(tree.wrong.items);
	}
	return r;
}
