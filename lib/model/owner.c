/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/owner.h"

#include <errno.h>

/* An address of an endpoint, or a port on a loopback address or of an interface, and who has it. */
struct holder {
	struct addr addr;
	uint16_t port;
	uint8_t protocol;
	const char *in; /* NULL: of none */
	const char *network, *endpoint;
};
typedef VECTOR(struct holder) holder_vector;

static int compare_holders(const void *left, const void *right)
{
	const struct holder *a = left, *b = right;
	int order = addr_compare(&a->addr, &b->addr);

	if (!order)
		order = (int)a->port - (int)b->port;
	if (!order)
		order = (int)a->protocol - (int)b->protocol;
	if (!order)
		order = (a->in != NULL) - (b->in != NULL);
	return order || !a->in ? order : strcmp(a->in, b->in);
}

static int holder_add(holder_vector *holders, const struct holder *holder)
{
	struct holder *slot = vector_push(holders);

	if (!slot)
		return -ENOMEM;
	*slot = *holder;
	return 0;
}

static int endpoint_holders(const endpoint_vector *endpoints, holder_vector *holders)
{
	int r = 0;

	for (size_t i = 0; i < endpoints->len; i++) {
		const struct endpoint *endpoint = &endpoints->items[i];
		struct holder holder = { .network = endpoint->network, .endpoint = endpoint->id };

		for_each_family(family)
			for_each_address(prefix, endpoint, family) {
				if (r < 0)
					continue;
				holder.addr = prefix->addr;
				r = holder_add(holders, &holder);
			}
	}
	if (holders->len)
		qsort(holders->items, holders->len, sizeof(*holders->items), compare_holders);
	return r;
}

static bool give(struct rule *rule, const holder_vector *holders, const struct holder *wanted)
{
	const struct holder *found = NULL;

	if (holders->len)
		found = bsearch(wanted, holders->items, holders->len, sizeof(*wanted),
				compare_holders);
	if (!found)
		return false;
	string_copy(rule->network, sizeof(rule->network), found->network);
	string_copy(rule->endpoint, sizeof(rule->endpoint), found->endpoint);
	return true;
}

/* By its bridge, by the chain that it stands in or leads to, or by what else only one has. */
static bool is_about(const struct rule *rule, const struct network *network)
{
	const struct kind *kind = kind_of(rule->kind);
	char label[NETWORK_LABEL_MAX];

	network_label(network->name, network->id, label);
	/* two may have adopted one bridge, each in its own state */
	if (rule->label[0] && strcmp(rule->label, label) != 0)
		return false;
	if (kind->in.is == DEVICE_BRIDGE)
		return strcmp(rule->in, network->bridge) == 0;
	if (kind->out.is == DEVICE_BRIDGE)
		return strcmp(rule->out, network->bridge) == 0;
	if (kind->in.is == DEVICE_LOOPBACK)
		return network_subnet_with(network, addr_is_set(&rule->source.addr) ?
							    &rule->source.addr :
							    &rule->destination.addr);
	return rule->label[0] && strcmp(rule->label, label) == 0;
}

static void find_owner_network(struct rule *rule, const network_vector *networks)
{
	for (size_t i = 0; i < networks->len; i++) {
		if (!is_about(rule, &networks->items[i]))
			continue;
		string_copy(rule->network, sizeof(rule->network), networks->items[i].name);
		return;
	}
}

/* The host's side of a port, as the rules of a family have it. */
static struct holder host_side(const struct rule *rule)
{
	struct holder holder = { .addr = rule->destination.addr,
				 .port = rule->host_port,
				 .protocol = rule->protocol,
				 .network = rule->network,
				 .endpoint = rule->endpoint };

	if (!addr_is_set(&holder.addr))
		holder.addr.family = rule->family;
	if (kind_of(rule->kind)->in.is == DEVICE_PORT)
		holder.in = rule->in;
	return holder;
}

/* Rules of ports that say nothing of the endpoint, beside the drops for loopback addresses. */
static bool has_others(const rule_vector *rules)
{
	for (size_t i = 0; i < rules->len; i++)
		if (rules->items[i].match & RULE_ORIGINAL ||
		    rules->items[i].kind == RULE_INTERFACE_JUMP)
			return true;
	return false;
}

/* The drop of a port on a loopback address stands beside the DNAT of the same port, and so do the
 * rules about who reaches one, and the jump for one of an interface. */
static int port_holders(const rule_vector *rules, holder_vector *holders)
{
	bool all = has_others(rules);
	int r = 0;

	for (size_t i = 0; r == 0 && i < rules->len; i++) {
		const struct rule *rule = &rules->items[i];
		const struct holder holder = host_side(rule);

		if (rule->target == TARGET_DNAT && rule->kind != RULE_FOREIGN &&
		    (all || addr_is_loopback(&rule->destination.addr)))
			r = holder_add(holders, &holder);
	}
	if (holders->len)
		qsort(holders->items, holders->len, sizeof(*holders->items), compare_holders);
	return r;
}

static int find_port_owners(rule_vector *rules)
{
	holder_vector holders = { 0 };
	int r = port_holders(rules, &holders);

	for (size_t i = 0; r == 0 && i < rules->len; i++) {
		struct rule *rule = &rules->items[i];
		const struct holder wanted = host_side(rule);

		if (kind_of(rule->kind)->scope == PLAN_PORTS && rule->target != TARGET_DNAT)
			give(rule, &holders, &wanted);
	}
	free(holders.items);
	return r;
}

/* That of the endpoint which the rule is about, where it says one; else family 0. */
static struct addr endpoint_address(const struct rule *rule)
{
	const struct kind *kind = kind_of(rule->kind);

	if (kind->target == TARGET_DNAT)
		return rule->to;
	if (kind->destination.is == ADDRESS_ENDPOINT)
		return rule->destination.addr;
	if (kind->source.is == ADDRESS_ENDPOINT)
		return rule->source.addr;
	return (struct addr){ 0 };
}

int owners_find(rule_vector *rules, const network_vector *networks,
		const endpoint_vector *endpoints)
{
	holder_vector holders = { 0 };
	int r = endpoint_holders(endpoints, &holders);

	for (size_t i = 0; r == 0 && i < rules->len; i++) {
		struct rule *rule = &rules->items[i];
		const struct holder wanted = { .addr = endpoint_address(rule) };

		/* those of ports that say no address come below */
		if (kind_of(rule->kind)->scope == PLAN_PORTS && !addr_is_set(&wanted.addr))
			continue;
		if (addr_is_set(&wanted.addr) && give(rule, &holders, &wanted))
			continue;
		if (kind_of(rule->kind)->scope != PLAN_BASE)
			find_owner_network(rule, networks);
	}
	free(holders.items);
	return r < 0 ? r : find_port_owners(rules);
}
