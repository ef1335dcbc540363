/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/plan.h"

#include <errno.h>

#include "model/policy.h"
#include "model/port.h"

/* The rules of one kind on their way. */
struct planner {
	const struct kind *kind;
	uint32_t traits;
	rule_vector *rules;
};

/* ---- whether there is a rule ---- */

static bool is_present(const struct rule_subject *subject)
{
	if (subject->port && !port_has_family(subject->port, subject->family))
		return false;
	if (subject->endpoint)
		return endpoint_prefix(subject->endpoint, subject->family);
	return !subject->network || network_subnet(subject->network, subject->family);
}

static bool kind_has_family(const struct kind *kind, const struct rule_subject *subject)
{
	switch (kind->families) {
	case FAMILIES_PRESENT:
	case FAMILIES_EACH:
		break;
	case FAMILIES_ALL:
		if (!subject->network->bridge_adopted)
			return true;
		break;
	case FAMILIES_IPV4:
		if (subject->family != AF_INET)
			return false;
		break;
	case FAMILIES_IPV6:
		if (subject->family != AF_INET6)
			return false;
		break;
	case FAMILIES_NONE:
		return true;
	case FAMILIES_GUARDED:
		return guard_has(subject->guard, subject->family);
	}
	return is_present(subject);
}

static bool has_rule(const struct kind *kind, const struct rule_subject *subject)
{
	const struct network *network = subject->network;

	if (kind->target == TARGET_LOG && network->policy.log_drops != LOG_DROPS_YES)
		return false;
	if (network && kind->bridges != BRIDGES_ALL &&
	    network->bridge_adopted != (kind->bridges == BRIDGES_ADOPTED))
		return false;
	return kind_has_family(kind, subject) && (!kind->applies || kind->applies(subject));
}

/* ---- which values it has ---- */

/* Interface names and owners come from records, where they fit the same sizes. */
#define COPY_TEXT(dst, src)                                                         \
	do {                                                                        \
		_Static_assert(sizeof(dst) == sizeof(src), "the sizes must agree"); \
		memcpy(dst, src, sizeof(dst));                                      \
	} while (0)

static bool takes_bridge(enum kind_device is, uint32_t traits)
{
	return is == DEVICE_BRIDGE ||
	       (is == DEVICE_BRIDGE_IF_KNOWN && traits & PLAN_POSTROUTING_IN);
}

static struct prefix host_prefix(const struct addr *addr)
{
	return (struct prefix){ *addr, (uint8_t)(addr_size(addr->family) * 8) };
}

static void fill_address(enum kind_address is, uint32_t traits, const struct rule_subject *subject,
			 struct prefix *ret_prefix)
{
	const struct addr *host;

	switch (is) {
	case ADDRESS_ANY:
	case ADDRESS_FIXED:
	case ADDRESS_ALLOWED:
	case ADDRESS_DENIED:
		break;
	case ADDRESS_SUBNET_FOR_DEVICE:
		if (traits & PLAN_POSTROUTING_IN && !subject->network->bridge_adopted)
			break;
		*ret_prefix = subject->subnet->prefix;
		break;
	case ADDRESS_SUBNET_IF_ADOPTED:
		if (!subject->network->bridge_adopted)
			break;
		__attribute__((fallthrough));
	case ADDRESS_SUBNET:
	case ADDRESS_SUBNET_OR_HOST:
		*ret_prefix = subject->subnet->prefix;
		break;
	case ADDRESS_ENDPOINT:
		*ret_prefix = host_prefix(&subject->address->addr);
		break;
	case ADDRESS_EACH:
		*ret_prefix = subject->each;
		break;
	case ADDRESS_HOST:
		host = &subject->port->host_addr;
		if (addr_is_set(host) && !addr_is_unspecified(host))
			*ret_prefix = host_prefix(host);
		break;
	}
}

/* NULL without memory. */
static struct rule *add_rule(const struct planner *planner, const struct rule_subject *subject)
{
	const struct kind *kind = planner->kind;
	struct rule *rule = vector_push(planner->rules);

	if (!rule)
		return NULL;
	rule_init(rule, kind, subject->family);
	if (kind->in.is == DEVICE_EACH)
		string_copy(rule->in, sizeof(rule->in), subject->interface_);
	if (kind->in.is == DEVICE_OTHER_BRIDGE)
		string_copy(rule->in, sizeof(rule->in), subject->bridge);
	if (kind->out.is == DEVICE_OTHER_BRIDGE)
		string_copy(rule->out, sizeof(rule->out), subject->bridge);
	if (kind->in.is == DEVICE_PORT)
		COPY_TEXT(rule->in, subject->port->interface);
	if (!subject->network)
		return rule;
	COPY_TEXT(rule->network, subject->network->name);
	network_label(subject->network->name, subject->network->id, rule->label);
	if (kind->target == TARGET_LOG && planner->traits & PLAN_OWN_CHAINS)
		COPY_TEXT(rule->logged_as, rule->label);
	if (subject->endpoint)
		COPY_TEXT(rule->endpoint, subject->endpoint->id);
	if (kind->in.is == DEVICE_ENDPOINT)
		COPY_TEXT(rule->in, subject->endpoint->host_interface);
	if (kind->mac)
		memcpy(rule->mac, subject->endpoint->mac, sizeof(rule->mac));
	if (takes_bridge(kind->in.is, planner->traits))
		COPY_TEXT(rule->in, subject->network->bridge);
	if (takes_bridge(kind->out.is, planner->traits))
		COPY_TEXT(rule->out, subject->network->bridge);
	if (kind->target == TARGET_SNAT)
		rule->to = *network_snat_addr(subject->network, subject->family);
	if (kind->connections)
		rule->connections = subject->endpoint->policy.connections;
	fill_address(kind->source.is, planner->traits, subject, &rule->source);
	fill_address(kind->destination.is, planner->traits, subject, &rule->destination);
	return rule;
}

/* One rule for `count` ports from the `offset`-th of the mapping on. */
static int add_port_rule(const struct planner *planner, const struct rule_subject *subject,
			 const struct prefix *source, unsigned int offset, uint16_t count)
{
	const struct port *port = subject->port;
	struct rule *rule = add_rule(planner, subject);

	if (!rule)
		return -ENOMEM;
	if (source)
		rule->source = *source;
	rule->protocol = port->protocol;
	rule->host_port =
		(uint16_t)(offset + (planner->kind->container_ports ? port->container_port :
								      port->host_port));
	rule->count = count;
	if (rule->target != TARGET_DNAT)
		return 0;
	rule->to = subject->address->addr;
	rule->to_port = (uint16_t)(port->container_port + offset);
	return 0;
}

/* source: NULL for what the kind says. */
static int add_port_rules(const struct planner *planner, const struct rule_subject *subject,
			  const struct prefix *source)
{
	uint16_t all = subject->port->count;
	uint16_t step = planner->traits & PLAN_PORT_RANGES ? all : 1;
	int r = 0;

	for (unsigned int offset = 0; offset < all && r == 0; offset += step)
		r = add_port_rule(planner, subject, source, offset, step);
	return r;
}

static int add_list_rules(const struct planner *planner, const struct rule_subject *subject)
{
	const struct port_policy *policy = &subject->port->options->policy;
	const prefix_vector *list = planner->kind->source.is == ADDRESS_DENIED ?
					    &policy->deny_from :
					    &policy->allow_from;
	int r = 0;

	for (size_t i = 0; i < list->len && r == 0; i++)
		if (list->items[i].addr.family == subject->family)
			r = add_port_rules(planner, subject, &list->items[i]);
	return r;
}

/* What the host takes for itself of a subnet: its own address; what it hears as the broadcast
 * address, of old also the first; and that as the anycast address of the subnet's routers. */
static size_t host_addresses(const struct network *network, const struct subnet *subnet,
			     struct addr addresses[3])
{
	int family = subnet->prefix.addr.family;
	const struct addr *host = subnet_host_addr(network, subnet);
	const struct addr last = prefix_last(&subnet->prefix);
	size_t len = 0;

	if (!host)
		return 0;
	addresses[len++] = *host;
	/* of two addresses the other is an endpoint's (RFC 3021, RFC 6164) */
	if (subnet->prefix.len + 1u < addr_size(family) * 8 &&
	    addr_compare(&subnet->prefix.addr, host) != 0)
		addresses[len++] = subnet->prefix.addr;
	if (family == AF_INET && subnet->prefix.len < 31)
		addresses[len++] = last;
	return len;
}

static int add_host_rules(const struct planner *planner, const struct rule_subject *subject)
{
	struct addr addresses[3];
	size_t len = host_addresses(subject->network, subject->subnet, addresses);

	for (size_t i = 0; i < len; i++) {
		struct rule *rule = add_rule(planner, subject);

		if (!rule)
			return -ENOMEM;
		rule->destination = host_prefix(&addresses[i]);
	}
	return 0;
}

/* As no backend has a rule of everything there is: of two halves. */
static int add_prefix_rules(const struct planner *planner, const struct prefix *prefix,
			    struct rule_subject *subject)
{
	subject->each = *prefix;
	if (prefix->len)
		return add_rule(planner, subject) ? 0 : -ENOMEM;
	subject->each.len = 1;
	if (!add_rule(planner, subject))
		return -ENOMEM;
	subject->each.addr.bytes[0] = 0x80;
	return add_rule(planner, subject) ? 0 : -ENOMEM;
}

/* They are sorted: what lies in another follows it. */
static int add_each_prefix(const struct planner *planner, const struct rule_subject *whole,
			   const prefix_vector *prefixes)
{
	struct rule_subject subject = *whole;
	const struct prefix *last = NULL;
	int r = 0;

	for (size_t i = 0; i < prefixes->len && r == 0; i++) {
		const struct prefix *prefix = &prefixes->items[i];

		if (prefix->addr.family != subject.family || (last && prefix_covers(last, prefix)))
			continue;
		last = prefix;
		r = add_prefix_rules(planner, prefix, &subject);
	}
	return r;
}

static int add_each_interface(const struct planner *planner, const struct rule_subject *whole,
			      const interface_vector *interfaces)
{
	struct rule_subject subject = *whole;

	for (size_t i = 0; i < interfaces->len; i++) {
		subject.interface_ = interfaces->items[i].text;
		if (!add_rule(planner, &subject))
			return -ENOMEM;
	}
	return 0;
}

/* Who has no address yet, or asks whether one is free, sends from none: DHCP, ARP, ND. */
static int add_each_own(const struct planner *planner, const struct rule_subject *whole,
			bool unspecified)
{
	struct addr addrs[SUBNETS_MAX + 2], link_local;
	struct rule_subject subject = *whole;
	bool is_own = false;
	size_t len = 0;

	mac_link_local(whole->endpoint->mac, &link_local);
	for_each_address(own, whole->endpoint, whole->family) {
		addrs[len++] = own->addr;
		/* it may have been given just that */
		is_own |= addr_compare(&own->addr, &link_local) == 0;
	}
	if (unspecified)
		addrs[len++] = (struct addr){ .family = whole->family };
	if (whole->family == AF_INET6 && !is_own)
		addrs[len++] = link_local;
	for (size_t i = 0; i < len; i++) {
		subject.each = host_prefix(&addrs[i]);
		if (!add_rule(planner, &subject))
			return -ENOMEM;
	}
	return 0;
}

static int add_each(const struct planner *planner, const struct rule_subject *subject)
{
	const struct network_policy *policy = &subject->network->policy;

	switch (planner->kind->each) {
	case EACH_NONE:
		break;
	case EACH_UNTRANSLATED:
		return add_each_prefix(planner, subject, &policy->nat_exclude);
	case EACH_TRUSTED_INTERFACE:
		return add_each_interface(planner, subject, &policy->trusted_interfaces);
	case EACH_TRUSTED_SOURCE:
		return add_each_prefix(planner, subject, &policy->trusted);
	case EACH_BEHIND:
		return add_each_prefix(planner, subject, &subject->endpoint->policy.routes_for);
	case EACH_SOURCE:
		return add_each_own(planner, subject, true);
	case EACH_OWN:
		return add_each_own(planner, subject, false);
	}
	return 0;
}

static int add_rules(const struct planner *planner, const struct rule_subject *subject)
{
	const struct kind *kind = planner->kind;

	if (kind->source.is == ADDRESS_ALLOWED || kind->source.is == ADDRESS_DENIED)
		return add_list_rules(planner, subject);
	if (kind->each)
		return add_each(planner, subject);
	if (kind->host_ports || kind->container_ports)
		return add_port_rules(planner, subject, NULL);
	if (kind->destination.is == ADDRESS_SUBNET_OR_HOST &&
	    !network_is_closed(subject->network, subject->family))
		return add_host_rules(planner, subject);
	return add_rule(planner, subject) ? 0 : -ENOMEM;
}

/* ---- walking through the rows ---- */

static bool names_subnet(enum kind_address is, uint32_t traits, const struct network *network)
{
	switch (is) {
	case ADDRESS_SUBNET:
	case ADDRESS_SUBNET_OR_HOST:
		return true;
	case ADDRESS_SUBNET_FOR_DEVICE:
		return !(traits & PLAN_POSTROUTING_IN) || network->bridge_adopted;
	case ADDRESS_SUBNET_IF_ADOPTED:
		return network->bridge_adopted;
	default:
		return false;
	}
}

/* Another rule of that kind, for the next subnet of the network, or address of the endpoint, is
 * there one? */
static bool has_more(const struct planner *planner, struct rule_subject *subject)
{
	const struct kind *kind = planner->kind;

	if (subject->address &&
	    (kind->source.is == ADDRESS_ENDPOINT || kind->destination.is == ADDRESS_ENDPOINT)) {
		subject->address = endpoint_prefix_after(subject->endpoint, subject->address);
		return subject->address;
	}
	if (subject->subnet &&
	    (names_subnet(kind->source.is, planner->traits, subject->network) ||
	     names_subnet(kind->destination.is, planner->traits, subject->network))) {
		subject->subnet = network_subnet_after(subject->network, subject->subnet);
		return subject->subnet;
	}
	return false;
}

static int plan_subject(const struct planner *planner, const struct rule_subject *whole)
{
	struct rule_subject subject = *whole;
	int r = 0;

	if (planner->kind->families == FAMILIES_NONE)
		return has_rule(planner->kind, &subject) ? add_rules(planner, &subject) : 0;
	for_each_family(family) {
		subject.family = family;
		subject.subnet = subject.network ? network_subnet(subject.network, family) : NULL;
		subject.address = subject.endpoint ? endpoint_prefix(subject.endpoint, family) :
						     NULL;
		if (r < 0 || !has_rule(planner->kind, &subject))
			continue;
		do {
			r = add_rules(planner, &subject);
		} while (r == 0 && has_more(planner, &subject));
	}
	return r;
}

static int plan_base(const struct planner *planner)
{
	static const struct rule_subject nothing;
	bool both = planner->kind->families == FAMILIES_PRESENT;

	if (!both || !(planner->traits & PLAN_BOTH_FAMILIES))
		return plan_subject(planner, &nothing);
	return add_rule(planner, &nothing) ? 0 : -ENOMEM;
}

static int plan_networks(const struct planner *planner, const struct rows *rows)
{
	int r = 0;

	for (size_t i = 0; i < rows->networks.len && r == 0; i++) {
		const struct rule_subject subject = { .network = &rows->networks.items[i],
						      .guard = &rows->guard };

		if (network_has_rules(subject.network))
			r = plan_subject(planner, &subject);
	}
	return r;
}

static int plan_guard(const struct planner *planner, const struct guard *guard)
{
	struct rule_subject subject = { .guard = guard };
	int r = 0;

	if (planner->kind->in.is != DEVICE_OTHER_BRIDGE)
		return plan_subject(planner, &subject);
	for (size_t i = 0; i < guard->bridges.len && r == 0; i++) {
		subject.bridge = guard->bridges.items[i].name;
		r = plan_subject(planner, &subject);
	}
	return r;
}

/* Neighbours mostly belong to the same: a search begins where the last one ended. */
static const struct network *find_network(const struct rows *rows, const char *name, size_t *at)
{
	for (size_t i = 0; i < rows->networks.len; i++, (*at)++) {
		const struct network *network;

		*at %= rows->networks.len;
		network = &rows->networks.items[*at];
		if (strcmp(network->name, name) == 0)
			return network_has_rules(network) ? network : NULL;
	}
	return NULL;
}

static const struct endpoint *find_endpoint(const struct rows *rows, const struct port *port,
					    size_t *at)
{
	for (size_t i = 0; i < rows->endpoints.len; i++, (*at)++) {
		*at %= rows->endpoints.len;
		if (port_is_of(port, &rows->endpoints.items[*at]))
			return &rows->endpoints.items[*at];
	}
	return NULL;
}

static int plan_endpoints(const struct planner *planner, const struct rows *rows)
{
	struct rule_subject subject = { 0 };
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < rows->endpoints.len && r == 0; i++) {
		subject.endpoint = &rows->endpoints.items[i];
		subject.network = find_network(rows, subject.endpoint->network, &at);
		if (subject.network)
			r = plan_subject(planner, &subject);
	}
	return r;
}

static int plan_ports(const struct planner *planner, const struct rows *rows)
{
	struct rule_subject subject = { 0 };
	size_t network_at = 0, endpoint_at = 0;
	int r = 0;

	for (size_t i = 0; i < rows->ports.len && r == 0; i++) {
		subject.port = &rows->ports.items[i];
		subject.endpoint = find_endpoint(rows, subject.port, &endpoint_at);
		subject.network = find_network(rows, subject.port->network, &network_at);
		if (subject.endpoint && subject.network)
			r = plan_subject(planner, &subject);
	}
	return r;
}

int plan_kind(const struct kind *kind, uint32_t traits, const struct rows *rows, rule_vector *rules)
{
	const struct planner planner = { .kind = kind, .traits = traits, .rules = rules };

	if (kind->needs & ~traits)
		return 0;
	switch (kind->scope) {
	case PLAN_BASE:
		return plan_base(&planner);
	case PLAN_NETWORKS:
		return plan_networks(&planner, rows);
	case PLAN_ENDPOINTS:
		return plan_endpoints(&planner, rows);
	case PLAN_PORTS:
		return plan_ports(&planner, rows);
	case PLAN_GUARD:
		return plan_guard(&planner, &rows->guard);
	}
	return 0;
}

static bool is_wanted(const struct kind *kind, uint32_t scopes)
{
	/* What is dropped for the sake of connections is in nobody's way before there are any; and
	 * what is looked up on the way in stands together with the jump there. */
	bool lets_in = kind->scope == PLAN_PORTS &&
		       (kind->target != TARGET_DROP || kind->chain == CHAIN_FILTER_INVALID ||
			kind->chain == CHAIN_FILTER_SOURCES);

	return kind->scope & scopes && !(scopes & (lets_in ? PLAN_OTHERS : PLAN_LETTING_IN));
}

/* rows: NULL for none. */
static bool log_drops(const struct rows *rows)
{
	for (size_t i = 0; rows && i < rows->networks.len; i++)
		if (rows->networks.items[i].policy.log_drops == LOG_DROPS_YES)
			return true;
	return false;
}

int plan_rules(uint32_t traits, uint32_t scopes, const struct rows *rows, rule_vector *rules)
{
	bool logs = log_drops(rows);
	int r = 0;

	for (enum rule_kind i = 0; i < RULE_KIND_COUNT && r == 0; i++) {
		if (is_wanted(kind_of(i), scopes) && (logs || kind_of(i)->target != TARGET_LOG))
			r = plan_kind(kind_of(i), traits, rows, rules);
	}
	return r;
}
