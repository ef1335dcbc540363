/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/plan.h"

#include <errno.h>

#include "model/port.h"

static const int families[] = { AF_INET, AF_INET6 };
static const struct prefix loopback_ipv6 = { { AF_INET6, { [15] = 1 } }, 128 };

/* NULL without memory. */
static struct rule *rule_add(rule_vector *rules, enum rule_kind kind, int family)
{
	struct rule *rule = vector_push(rules);

	if (rule)
		rule_init(rule, kind, family);
	return rule;
}

/* Interface names and owners come from records, where they fit the same sizes. */
#define COPY_TEXT(dst, src)                                                         \
	do {                                                                        \
		_Static_assert(sizeof(dst) == sizeof(src), "the sizes must agree"); \
		memcpy(dst, src, sizeof(dst));                                      \
	} while (0)

static int plan_base_family(int family, rule_vector *rules)
{
	static const enum rule_kind base[] = { RULE_PORTS_JUMP_PREROUTING, RULE_USER_JUMP,
					       RULE_ESTABLISHED_ACCEPT, RULE_DNAT_ACCEPT };

	for (size_t i = 0; i < ARRAY_SIZE(base); i++) {
		if (!rule_add(rules, base[i], family))
			return -ENOMEM;
	}
	return 0;
}

/*
 * The kernel can't route from ::1 to another interface: a connection of the host to ::1 that were
 * given to an endpoint would get no answer, so it is left alone and refused at once.
 */
static int plan_output_jumps(rule_vector *rules)
{
	struct rule *rule;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		rule = rule_add(rules, RULE_PORTS_JUMP_OUTPUT, families[i]);
		if (!rule)
			return -ENOMEM;
		if (families[i] == AF_INET6) {
			rule->destination = loopback_ipv6;
			rule->destination_not = true;
		}
	}
	return 0;
}

/* The jumps from the kernel's chains to our own. */
static int plan_own_chains(int family, rule_vector *rules)
{
	static const enum rule_kind jumps[] = { RULE_RAW_JUMP, RULE_FORWARD_JUMP,
						RULE_POSTROUTING_JUMP, RULE_LOOPBACK_JUMP,
						RULE_LOOPBACK_SOURCE_JUMP };
	size_t len = family == AF_INET ? ARRAY_SIZE(jumps) : 3;

	for (size_t i = 0; i < len; i++) {
		if (!rule_add(rules, jumps[i], family))
			return -ENOMEM;
	}
	return 0;
}

static int plan_base(uint32_t traits, rule_vector *rules)
{
	int r;

	if (traits & PLAN_BOTH_FAMILIES) {
		r = plan_base_family(AF_UNSPEC, rules);
	} else {
		r = plan_base_family(AF_INET, rules);
		if (r == 0)
			r = plan_base_family(AF_INET6, rules);
	}
	for (size_t i = 0; r == 0 && traits & PLAN_OWN_CHAINS && i < ARRAY_SIZE(families); i++)
		r = plan_own_chains(families[i], rules);
	return r < 0 ? r : plan_output_jumps(rules);
}

static struct rule *network_rule_add(rule_vector *rules, enum rule_kind kind, int family,
				     const struct network *network)
{
	struct rule *rule = rule_add(rules, kind, family);

	if (rule)
		COPY_TEXT(rule->network, network->name);
	return rule;
}

static int plan_forward(const struct network *network, int family, rule_vector *rules)
{
	static const struct {
		enum rule_kind kind;
		bool in, out;
	} forward[] = {
		{ RULE_BRIDGED_ACCEPT, true, true },
		{ RULE_UNPUBLISHED_DROP, false, true },
		{ RULE_OUTGOING_ACCEPT, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forward); i++) {
		struct rule *rule = network_rule_add(rules, forward[i].kind, family, network);

		if (!rule)
			return -ENOMEM;
		if (forward[i].in)
			COPY_TEXT(rule->in, network->bridge);
		if (forward[i].out)
			COPY_TEXT(rule->out, network->bridge);
	}
	return 0;
}

static int plan_masquerade(uint32_t traits, const struct network *network, int family,
			   rule_vector *rules)
{
	static const enum rule_kind masquerade[] = { RULE_HAIRPIN_MASQUERADE, RULE_MASQUERADE };

	for (size_t i = 0; i < ARRAY_SIZE(masquerade); i++) {
		struct rule *rule = network_rule_add(rules, masquerade[i], family, network);

		if (!rule)
			return -ENOMEM;
		if (traits & PLAN_POSTROUTING_IN)
			COPY_TEXT(rule->in, network->bridge);
		else
			rule->source = network_subnet(network, family)->prefix;
		COPY_TEXT(rule->out, network->bridge);
		rule->out_not = masquerade[i] == RULE_MASQUERADE;
	}
	return 0;
}

/*
 * With route_localnet on the bridge the kernel routes 127.0.0.0/8 on it both ways: the host's own
 * connections get out that way, and an endpoint's must not get in. Nor does it refuse what claims
 * to come from there any longer, but for the very addresses that the host has.
 */
static int plan_loopback(const struct network *network, rule_vector *rules)
{
	static const enum rule_kind drops[] = { RULE_LOOPBACK_DROP, RULE_LOOPBACK_SOURCE_DROP };
	struct rule *rule;

	for (size_t i = 0; i < ARRAY_SIZE(drops); i++) {
		rule = network_rule_add(rules, drops[i], AF_INET, network);
		if (!rule)
			return -ENOMEM;
		COPY_TEXT(rule->in, network->bridge);
	}
	rule = network_rule_add(rules, RULE_LOOPBACK_MASQUERADE, AF_INET, network);
	if (!rule)
		return -ENOMEM;
	COPY_TEXT(rule->out, network->bridge);
	return 0;
}

/* The jumps to the chains of a network: each as narrow as what stands there. */
static int plan_network_jumps(const struct network *network, int family, rule_vector *rules)
{
	static const enum rule_kind jumps[] = { RULE_NETWORK_RAW_JUMP, RULE_NETWORK_PORTS_JUMP,
						RULE_NETWORK_FORWARD_JUMP,
						RULE_NETWORK_POSTROUTING_JUMP };

	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		struct rule *rule = network_rule_add(rules, jumps[i], family, network);

		if (!rule)
			return -ENOMEM;
		if (jumps[i] == RULE_NETWORK_RAW_JUMP) {
			COPY_TEXT(rule->in, network->bridge);
			rule->in_not = true;
			rule->destination = network_subnet(network, family)->prefix;
		} else if (jumps[i] == RULE_NETWORK_FORWARD_JUMP) {
			COPY_TEXT(rule->out, network->bridge);
		}
	}
	return 0;
}

static bool network_is_filtered(const struct network *network)
{
	return network->driver == DRIVER_BRIDGE && network->bridge[0];
}

static int plan_network(uint32_t traits, const struct network *network, rule_vector *rules)
{
	int r = 0;

	if (!network_is_filtered(network))
		return 0;
	if (network_subnet(network, AF_INET))
		r = plan_loopback(network, rules);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++) {
		if (!network_subnet(network, families[i]))
			continue;
		r = plan_forward(network, families[i], rules);
		if (r == 0)
			r = plan_masquerade(traits, network, families[i], rules);
		if (r == 0 && traits & PLAN_OWN_CHAINS)
			r = plan_network_jumps(network, families[i], rules);
	}
	return r;
}

static struct prefix host_prefix(const struct addr *addr)
{
	return (struct prefix){ *addr, (uint8_t)(addr_size(addr->family) * 8) };
}

static int plan_endpoint(uint32_t traits, const struct network *network,
			 const struct endpoint *endpoint, rule_vector *rules)
{
	(void)traits;
	if (!network_is_filtered(network))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const struct prefix *prefix = endpoint_prefix(endpoint, families[i]);
		struct rule *rule;

		if (!prefix)
			continue;
		rule = network_rule_add(rules, RULE_DIRECT_DROP, families[i], network);
		if (!rule)
			return -ENOMEM;
		COPY_TEXT(rule->endpoint, endpoint->id);
		COPY_TEXT(rule->in, network->bridge);
		rule->in_not = true;
		rule->destination = host_prefix(&prefix->addr);
	}
	return 0;
}

/* One rule for `count` ports from the `offset`-th of the mapping on. */
static struct rule *port_rule_add(rule_vector *rules, enum rule_kind kind,
				  const struct endpoint *endpoint, const struct port *port,
				  int family, unsigned int offset, uint16_t count)
{
	struct rule *rule = rule_add(rules, kind, family);

	if (!rule)
		return NULL;
	COPY_TEXT(rule->network, endpoint->network);
	COPY_TEXT(rule->endpoint, endpoint->id);
	rule->protocol = port->protocol;
	if (addr_is_set(&port->host_addr) && !addr_is_unspecified(&port->host_addr))
		rule->destination = host_prefix(&port->host_addr);
	rule->host_port = (uint16_t)(port->host_port + offset);
	rule->count = count;
	return rule;
}

static int plan_port_part(const struct endpoint *endpoint, const struct port *port, int family,
			  unsigned int offset, uint16_t count, rule_vector *rules)
{
	struct rule *rule;

	if (family == AF_INET && addr_is_loopback(&port->host_addr)) {
		rule = port_rule_add(rules, RULE_LOOPBACK_PORT_DROP, endpoint, port, family, offset,
				     count);
		if (!rule)
			return -ENOMEM;
	}
	rule = port_rule_add(rules, RULE_PORT_DNAT, endpoint, port, family, offset, count);
	if (!rule)
		return -ENOMEM;
	rule->to = endpoint_prefix(endpoint, family)->addr;
	rule->to_port = (uint16_t)(port->container_port + offset);
	return 0;
}

static int plan_port(uint32_t traits, const struct endpoint *endpoint, const struct port *port,
		     rule_vector *rules)
{
	uint16_t step = traits & PLAN_PORT_RANGES ? port->count : 1;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (!port_has_family(port, families[i]) || !endpoint_prefix(endpoint, families[i]))
			continue;
		for (unsigned int offset = 0; offset < port->count; offset += step) {
			int r = plan_port_part(endpoint, port, families[i], offset, step, rules);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Neighbours mostly belong to the same: the search begins where the last one ended. */
static const struct network *network_of(const struct rows *rows, const char *name, size_t *at)
{
	for (size_t i = 0; i < rows->networks.len; i++, (*at)++) {
		if (*at >= rows->networks.len)
			*at = 0;
		if (strcmp(rows->networks.items[*at].name, name) == 0)
			return &rows->networks.items[*at];
	}
	return NULL;
}

static const struct endpoint *endpoint_of(const struct rows *rows, const struct port *port,
					  size_t *at)
{
	for (size_t i = 0; i < rows->endpoints.len; i++, (*at)++) {
		if (*at >= rows->endpoints.len)
			*at = 0;
		if (port_is_of(port, &rows->endpoints.items[*at]))
			return &rows->endpoints.items[*at];
	}
	return NULL;
}

int plan_rules(uint32_t traits, uint32_t scopes, const struct rows *rows, rule_vector *rules)
{
	size_t network_at = 0, endpoint_at = 0;
	int r = scopes & PLAN_BASE ? plan_base(traits, rules) : 0;

	for (size_t i = 0; r == 0 && scopes & PLAN_NETWORKS && i < rows->networks.len; i++)
		r = plan_network(traits, &rows->networks.items[i], rules);
	for (size_t i = 0; r == 0 && scopes & PLAN_ENDPOINTS && i < rows->endpoints.len; i++) {
		const struct endpoint *endpoint = &rows->endpoints.items[i];
		const struct network *network = network_of(rows, endpoint->network, &network_at);

		if (network)
			r = plan_endpoint(traits, network, endpoint, rules);
	}
	for (size_t i = 0; r == 0 && scopes & PLAN_PORTS && i < rows->ports.len; i++) {
		const struct port *port = &rows->ports.items[i];
		const struct endpoint *endpoint = endpoint_of(rows, port, &endpoint_at);

		if (endpoint && network_of(rows, endpoint->network, &network_at))
			r = plan_port(traits, endpoint, port, rules);
	}
	return r;
}
