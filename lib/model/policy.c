/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/policy.h"

#include "model/port.h"

enum gateway_mode network_gateway_mode(const struct network *network, int family)
{
	const struct network_policy *policy = &network->policy;

	return family == AF_INET6 ? policy->gateway_mode_ipv6 : policy->gateway_mode_ipv4;
}

bool network_is_managed(const struct network *network)
{
	return network->policy.managed == MANAGED_YES;
}

bool network_has_rules(const struct network *network)
{
	return network->bridge[0] && network_is_managed(network);
}

bool network_is_forwarded(const struct network *network, int family)
{
	return network_subnet(network, family) && network_is_managed(network);
}

bool network_is_internal(const struct network *network)
{
	return network->policy.internal == INTERNAL_YES;
}

bool network_leads_out(const struct network *network, int family)
{
	const struct network_policy *policy = &network->policy;
	const struct addr *other = family == AF_INET6 ? &policy->default_gateway_ipv6 :
							&policy->default_gateway_ipv4;

	return network_subnet(network, family) && !network_is_internal(network) &&
	       (addr_is_set(other) || network_host_addr(network, family));
}

bool network_has_host(const struct network *network, int family)
{
	return network_is_forwarded(network, family) &&
	       network_gateway_mode(network, family) != GATEWAY_MODE_ISOLATED;
}

/* Internal comes before all modes. */
static bool has_mode(const struct network *network, int family, enum gateway_mode mode)
{
	return network_is_managed(network) && !network_is_internal(network) &&
	       network_gateway_mode(network, family) == mode;
}

bool network_translates(const struct network *network, int family)
{
	return has_mode(network, family, GATEWAY_MODE_NAT) ||
	       has_mode(network, family, GATEWAY_MODE_NAT_UNPROTECTED);
}

bool network_routes(const struct network *network, int family)
{
	return has_mode(network, family, GATEWAY_MODE_ROUTED);
}

/* A mapping of one address of the host, or of what arrives by an interface, was never to be open to
 * everybody. */
bool port_opens(const struct port *port, const struct network *network, int family)
{
	return (network_routes(network, family) || network_is_direct(network, family)) &&
	       port_has_family(port, family) && !port->interface[0] &&
	       (!addr_is_set(&port->host_addr) || addr_is_unspecified(&port->host_addr));
}

bool network_is_unprotected(const struct network *network, int family)
{
	return has_mode(network, family, GATEWAY_MODE_NAT_UNPROTECTED);
}

const struct addr *network_bind(const struct network *network)
{
	static const struct addr every;
	const struct addr *bind = &network->policy.bind;
	bool is_every = bind->family == AF_INET && addr_is_unspecified(bind);

	return !addr_is_set(bind) || is_every || network_routes(network, bind->family) ? &every :
											 bind;
}

const char *port_way_round(const struct port *port, const struct network *network, int family)
{
	if (!network_subnet(network, family) || !port_has_family(port, family))
		return NULL;
	if (!network_translates(network, family) || network_is_unprotected(network, family))
		return family == AF_INET ? "gateway-mode-ipv4" : "gateway-mode-ipv6";
	if (network->policy.isolate != ISOLATE_STRICT)
		return "isolate";
	if (port_opens(port, network, family))
		return "direct-routing";
	return network_trusts(network, family) && !addr_is_loopback(&port->host_addr) ? "trusted" :
											NULL;
}

static bool has_family(const prefix_vector *prefixes, int family)
{
	for (size_t i = 0; i < prefixes->len; i++)
		if (prefixes->items[i].addr.family == family)
			return true;
	return false;
}

bool network_is_direct(const struct network *network, int family)
{
	return network_translates(network, family) &&
	       network->policy.direct_routing == DIRECT_ROUTING_YES;
}

bool network_trusts_sources(const struct network *network, int family)
{
	return network_translates(network, family) && has_family(&network->policy.trusted, family);
}

bool network_trusts(const struct network *network, int family)
{
	return network_trusts_sources(network, family) ||
	       (network_translates(network, family) && network->policy.trusted_interfaces.len);
}

bool network_is_entered(const struct network *network, int family)
{
	return network_is_direct(network, family) || network_trusts(network, family) ||
	       network_routes(network, family) || network_is_unprotected(network, family) ||
	       (!network_is_internal(network) && network->policy.isolate != ISOLATE_STRICT);
}

static bool wants_bridge_address(const struct network *network, int family)
{
	const struct network_policy *policy = &network->policy;

	return (family == AF_INET6 ? policy->bridge_address_ipv6 : policy->bridge_address_ipv4) ==
	       BRIDGE_ADDRESS_YES;
}

bool network_keeps_gateway(const struct network *network, int family)
{
	return network_is_managed(network) &&
	       network_gateway_mode(network, family) != GATEWAY_MODE_ISOLATED &&
	       (wants_bridge_address(network, family) || !network_is_internal(network));
}

const struct addr *network_snat_addr(const struct network *network, int family)
{
	const struct addr *addr = family == AF_INET6 ? &network->policy.snat_ipv6 :
						       &network->policy.snat_ipv4;

	return addr_is_set(addr) ? addr : NULL;
}

bool network_awaits_answers(const struct network *network, int family)
{
	return network_translates(network, family) &&
	       (network->policy.masquerade == MASQUERADE_NO ||
		has_family(&network->policy.nat_exclude, family));
}

bool network_is_closed(const struct network *network, int family)
{
	return !network_is_entered(network, family) && !network_awaits_answers(network, family);
}

const struct addr *subnet_host_addr(const struct network *network, const struct subnet *subnet)
{
	int family = subnet->prefix.addr.family;

	if (!network_has_host(network, family) || !addr_is_set(&subnet->gateway) ||
	    !wants_bridge_address(network, family))
		return NULL;
	return &subnet->gateway;
}

const struct addr *network_host_addr(const struct network *network, int family)
{
	const struct subnet *subnet = network_subnet(network, family);

	return subnet ? subnet_host_addr(network, subnet) : NULL;
}

enum anti_spoof endpoint_anti_spoof(const struct network *network, const struct endpoint *endpoint)
{
	switch ((enum endpoint_anti_spoof)endpoint->policy.anti_spoof) {
	case ENDPOINT_ANTI_SPOOF_INHERIT:
		break;
	case ENDPOINT_ANTI_SPOOF_NO:
		return ANTI_SPOOF_NO;
	case ENDPOINT_ANTI_SPOOF_MAC:
		return ANTI_SPOOF_MAC;
	case ENDPOINT_ANTI_SPOOF_FULL:
		return ANTI_SPOOF_FULL;
	}
	return network->policy.anti_spoof;
}

enum host_access network_host_access(const struct network *network, int family)
{
	if (network_gateway_mode(network, family) == GATEWAY_MODE_ISOLATED)
		return HOST_ACCESS_NONE;
	return network->policy.host_access;
}

const char *port_mode(const struct port *port, const struct endpoint *endpoint,
		      const struct network *network, int family)
{
	if (!port_has_family(port, family) || !endpoint_prefix(endpoint, family))
		return "";
	if (network_translates(network, family))
		return "nat";
	return port_opens(port, network, family) ? "routed" : "";
}
