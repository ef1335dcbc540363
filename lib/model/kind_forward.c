/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows of the catalogue about what is forwarded: who reaches whom, and by how large
 * segments. */
#include "model/kind.h"

#include "model/policy.h"

#define NEGATED true

static bool translates(const struct rule_subject *subject)
{
	return network_translates(subject->network, subject->family);
}

static bool allows_some(const struct rule_subject *subject)
{
	return translates(subject) && subject->port->options &&
	       subject->port->options->policy.allow_from.len;
}

static bool has_lists(const struct rule_subject *subject)
{
	return allows_some(subject) || (translates(subject) && subject->port->options &&
					subject->port->options->policy.deny_from.len);
}

static bool is_internal(const struct rule_subject *subject)
{
	return network_is_internal(subject->network);
}

static bool is_not_internal(const struct rule_subject *subject)
{
	return !is_internal(subject);
}

static bool has_neighbours(const struct rule_subject *subject)
{
	return subject->network->policy.icc == ICC_YES;
}

static bool lacks_neighbours(const struct rule_subject *subject)
{
	return !has_neighbours(subject);
}

static bool isolates(const struct rule_subject *subject, enum isolate isolate)
{
	return is_not_internal(subject) && subject->network->policy.isolate == isolate;
}

static bool is_reached_by_peers(const struct rule_subject *subject)
{
	return isolates(subject, ISOLATE_NO);
}

static bool is_reached_by_open(const struct rule_subject *subject)
{
	return isolates(subject, ISOLATE_YES);
}

static bool is_peer(const struct rule_subject *subject)
{
	return is_reached_by_peers(subject) || is_reached_by_open(subject);
}

static bool is_unprotected(const struct rule_subject *subject)
{
	return network_is_unprotected(subject->network, subject->family);
}

static bool is_protected(const struct rule_subject *subject)
{
	return !is_unprotected(subject);
}

static bool routes(const struct rule_subject *subject)
{
	return network_routes(subject->network, subject->family);
}

static bool opens_port(const struct rule_subject *subject)
{
	return port_opens(subject->port, subject->network, subject->family);
}

static bool trusts(const struct rule_subject *subject)
{
	return network_trusts(subject->network, subject->family);
}

static bool trusts_sources(const struct rule_subject *subject)
{
	return network_trusts_sources(subject->network, subject->family);
}

/* What is there for the host alone is so for those whom the network trusts, too. */
static bool is_published_to_trusted(const struct rule_subject *subject)
{
	return trusts(subject) && !addr_is_loopback(&subject->port->host_addr);
}

static bool clamps_mss(const struct rule_subject *subject)
{
	return subject->network->policy.mss_clamp == MSS_CLAMP_YES;
}

/* clang-format off */
const struct kind forward_kinds[] = {
	/* ---- mangle forward ---- */
	/* Where all networks share the chain, this spares what begins no connection. */
	{
		.kind = RULE_CLAMP_JUMP, .scope = PLAN_BASE, .needs = PLAN_DEVICE_KINDS,
		.chain = CHAIN_MANGLE_FORWARD, .target = TARGET_JUMP, .jump = CHAIN_MANGLE_CLAMP,
		.protocol = IPPROTO_TCP, .match = RULE_TCP_SYN,
		.purpose = "Segments that begin a TCP connection meet the rules about how large "
			   "its segments may be.",
	},
	{
		.kind = RULE_NETWORK_CLAMP_JUMP, .scope = PLAN_NETWORKS, .needs = PLAN_OWN_CHAINS,
		.applies = clamps_mss,
		.chain = CHAIN_MANGLE_FORWARD, .target = TARGET_JUMP, .jump = CHAIN_MANGLE_CLAMP,
		.protocol = IPPROTO_TCP, .match = RULE_TCP_SYN,
		.purpose = "Segments that begin a TCP connection meet the rules about how large "
			   "those from and to network {network} may be.",
	},
	/* ---- mangle clamp ---- */
	{
		.kind = RULE_CLAMP_FROM, .scope = PLAN_NETWORKS, .applies = clamps_mss,
		.chain = CHAIN_MANGLE_CLAMP, .target = TARGET_CLAMP_MSS,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.protocol = IPPROTO_TCP, .match = RULE_TCP_SYN,
		.purpose = "TCP connections from network {network}, by its bridge {in}, ask for "
			   "segments that fit the route, and no larger ones.",
	},
	{
		.kind = RULE_CLAMP_TO, .scope = PLAN_NETWORKS, .applies = clamps_mss,
		.chain = CHAIN_MANGLE_CLAMP, .target = TARGET_CLAMP_MSS,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.protocol = IPPROTO_TCP, .match = RULE_TCP_SYN,
		.purpose = "TCP connections to network {network}, by its bridge {out}, ask for "
			   "segments that fit the route, and no larger ones.",
	},
	/* ---- filter forward ---- */
	{
		.kind = RULE_USER_JUMP, .scope = PLAN_BASE, .chain = CHAIN_FILTER_FORWARD,
		.target = TARGET_JUMP, .jump = CHAIN_FILTER_USER,
		.purpose = "Forwarded packets first meet the rules that the host's administrator "
			   "keeps in BRIDGENET-USER.",
	},
	{
		.kind = RULE_FORWARD_JUMP, .scope = PLAN_BASE, .needs = PLAN_OWN_CHAINS,
		.chain = CHAIN_FILTER_FORWARD, .target = TARGET_JUMP, .jump = CHAIN_FILTER_FORWARD,
		.purpose = "Forwarded packets meet bridgenet's rules.",
	},
	/* First of all, for what is accepted on the way to another network has left this one. */
	DROP_AND_LOG(INTERNAL, INTERNAL,
		.scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.needs = PLAN_OWN_CHAINS, .applies = is_internal,
		.chain = CHAIN_FILTER_FORWARD,
		.in = { DEVICE_BRIDGE }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} is internal: nothing that comes from its bridge {in} "
			   "leaves it."
	),
	{
		.kind = RULE_TO_JUMP, .scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.needs = PLAN_OWN_CHAINS, .chain = CHAIN_FILTER_FORWARD, .target = TARGET_JUMP,
		.jump = CHAIN_FILTER_TO,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Packets that are forwarded to network {network} by its bridge {out} "
			   "meet the rules about what may get there.",
	},
	{
		.kind = RULE_FROM_JUMP, .scope = PLAN_NETWORKS, .needs = PLAN_OWN_CHAINS,
		.applies = is_not_internal,
		.chain = CHAIN_FILTER_FORWARD, .target = TARGET_JUMP, .jump = CHAIN_FILTER_FROM,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Packets from network {network} that are forwarded to elsewhere from "
			   "its bridge {in} meet the rules about what may leave.",
	},
	/* Where all networks share the chains, this spares those whom no bridge concerns. */
	{
		.kind = RULE_BRIDGE_TO_JUMP, .scope = PLAN_BASE, .needs = PLAN_DEVICE_KINDS,
		.chain = CHAIN_FILTER_FORWARD, .target = TARGET_JUMP, .jump = CHAIN_FILTER_TO,
		.match = RULE_TO_BRIDGE,
		.purpose = "Packets that are forwarded to a bridge meet the rules about what may "
			   "get to a network.",
	},
	{
		.kind = RULE_BRIDGE_FROM_JUMP, .scope = PLAN_BASE, .needs = PLAN_DEVICE_KINDS,
		.chain = CHAIN_FILTER_FORWARD, .target = TARGET_JUMP, .jump = CHAIN_FILTER_FROM,
		.match = RULE_FROM_BRIDGE,
		.purpose = "Packets that are forwarded from a bridge meet the rules about what "
			   "may leave a network.",
	},
	{
		.kind = RULE_GUARD_JUMP, .scope = PLAN_GUARD, .families = FAMILIES_GUARDED,
		.chain = CHAIN_FILTER_FORWARD, .target = TARGET_JUMP, .jump = CHAIN_FILTER_GUARD,
		.purpose = "The host forwards only because networks need it: packets that no "
			   "earlier rule has decided about meet the guard.",
	},
	/* ---- filter to ---- */
	{
		.kind = RULE_ESTABLISHED_ACCEPT, .scope = PLAN_NETWORKS, .applies = is_not_internal,
		.chain = CHAIN_FILTER_TO, .target = TARGET_ACCEPT,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.match = RULE_STATE_ESTABLISHED,
		.purpose = "Packets to network {network} of connections that were let through "
			   "before pass, and so do error messages about them.",
	},
	/* Behind what is let through of connections that there are, so that their packets need not
	 * be looked up once more. */
	DROP_AND_LOG(INTERNAL_TO, INTERNAL,
		.scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.needs = PLAN_DEVICE_KINDS, .applies = is_internal,
		.chain = CHAIN_FILTER_TO,
		.in = { DEVICE_BRIDGE }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} is internal: nothing that comes from its bridge {in} "
			   "gets to another network, by a published port neither."
	),
	/* Before translation: of two ports that lead to the same place one may have lists. */
	{
		.kind = RULE_LISTED_JUMP, .scope = PLAN_PORTS, .applies = has_lists,
		.chain = CHAIN_FILTER_TO, .target = TARGET_JUMP, .jump = CHAIN_FILTER_SOURCES,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_HOST }, .host_ports = true,
		.match = RULE_STATUS_DNAT | RULE_ORIGINAL,
		.purpose = "Not everybody reaches {host_ports} of {host}, which endpoint "
			   "{endpoint} on network {network} ({out}) publishes: who connects is "
			   "looked up in its lists.",
	},
	{
		.kind = RULE_DNAT_ACCEPT, .scope = PLAN_NETWORKS, .applies = translates,
		.chain = CHAIN_FILTER_TO, .target = TARGET_ACCEPT,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.match = RULE_STATUS_DNAT,
		.purpose = "Connections to published ports of network {network} pass to their "
			   "endpoints.",
	},
	{
		.kind = RULE_BRIDGED_ACCEPT, .scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.applies = has_neighbours,
		.chain = CHAIN_FILTER_TO, .target = TARGET_ACCEPT,
		.in = { DEVICE_BRIDGE }, .out = { DEVICE_BRIDGE },
		.destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Endpoints of network {network} reach each other over its bridge {out}.",
	},
	DROP_AND_LOG(NEIGHBOUR, ICC,
		.scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.applies = lacks_neighbours, .chain = CHAIN_FILTER_TO,
		.in = { DEVICE_BRIDGE }, .out = { DEVICE_BRIDGE },
		.destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Endpoints of network {network} don't reach each other over its bridge "
			   "{out}: with icc=no, only by published ports."
	),
	/* Other networks, one rule for each of the two: who is reached, and by whom. */
	{
		.kind = RULE_PEERS_JUMP, .scope = PLAN_NETWORKS, .applies = is_reached_by_peers,
		.chain = CHAIN_FILTER_TO, .target = TARGET_JUMP, .jump = CHAIN_FILTER_PEERS,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} ({out}) does not isolate itself from others: it is "
			   "reached from those that don't either, or not strictly.",
	},
	{
		.kind = RULE_OPEN_JUMP, .scope = PLAN_NETWORKS, .applies = is_reached_by_open,
		.chain = CHAIN_FILTER_TO, .target = TARGET_JUMP, .jump = CHAIN_FILTER_OPEN,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} ({out}) isolates itself, but not strictly: it is "
			   "reached from networks that don't isolate themselves.",
	},
	{
		.kind = RULE_UNPROTECTED_ACCEPT, .scope = PLAN_NETWORKS, .applies = is_unprotected,
		.chain = CHAIN_FILTER_TO, .target = TARGET_ACCEPT,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} is not protected (gateway mode nat-unprotected): "
			   "whoever knows the way by its bridge {out} reaches every port of its "
			   "endpoints.",
	},
	{
		.kind = RULE_ROUTED_PORT_ACCEPT, .scope = PLAN_PORTS, .applies = opens_port,
		.chain = CHAIN_FILTER_TO, .target = TARGET_ACCEPT,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_ENDPOINT },
		.container_ports = true,
		.purpose = "Endpoint {endpoint} on network {network} publishes {host_ports} at its "
			   "own address {destination}, to which the network routes by {out}.",
	},
	{
		.kind = RULE_ROUTED_ECHO_ACCEPT, .scope = PLAN_NETWORKS, .applies = routes,
		.chain = CHAIN_FILTER_TO, .target = TARGET_ACCEPT,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.match = RULE_ECHO_REQUEST,
		.purpose = "Network {network} is routed: its endpoints, which are reached by {out} "
			   "at their own addresses, can be pinged.",
	},
	{
		.kind = RULE_TRUSTED_INTERFACE_JUMP, .scope = PLAN_NETWORKS, .applies = trusts,
		.each = EACH_TRUSTED_INTERFACE, .chain = CHAIN_FILTER_TO, .target = TARGET_JUMP,
		.jump = CHAIN_FILTER_TRUSTED,
		.in = { DEVICE_EACH }, .out = { DEVICE_BRIDGE },
		.destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} ({out}) trusts what arrives by {in}: from there its "
			   "published ports are reached at the endpoints' own addresses, too.",
	},
	{
		.kind = RULE_TRUSTED_SOURCE_JUMP, .scope = PLAN_NETWORKS,
		.applies = trusts_sources, .each = EACH_TRUSTED_SOURCE,
		.chain = CHAIN_FILTER_TO, .target = TARGET_JUMP, .jump = CHAIN_FILTER_TRUSTED,
		.out = { DEVICE_BRIDGE }, .source = { ADDRESS_EACH },
		.destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} ({out}) trusts {source}: from there its published "
			   "ports are reached at the endpoints' own addresses, too.",
	},
	DROP_AND_LOG(UNPUBLISHED, NO_PORT,
		.scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.applies = is_protected,
		.chain = CHAIN_FILTER_TO,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "What goes to network {network} by its bridge {out} and no earlier rule "
			   "let pass is dropped: from outside, only published ports are reached."
	),
	/* ---- filter sources ---- */
	DROP_AND_LOG(DENIED, DENIED,
		.scope = PLAN_PORTS, .applies = has_lists,
		.chain = CHAIN_FILTER_SOURCES,
		.out = { DEVICE_BRIDGE }, .source = { ADDRESS_DENIED },
		.destination = { ADDRESS_HOST }, .host_ports = true, .match = RULE_ORIGINAL,
		.purpose = "{source} is denied {host_ports} of {host}, which endpoint {endpoint} "
			   "on network {network} ({out}) publishes."
	),
	{
		.kind = RULE_ALLOWED_RETURN, .scope = PLAN_PORTS, .applies = has_lists,
		.chain = CHAIN_FILTER_SOURCES, .target = TARGET_RETURN,
		.out = { DEVICE_BRIDGE }, .source = { ADDRESS_ALLOWED },
		.destination = { ADDRESS_HOST }, .host_ports = true, .match = RULE_ORIGINAL,
		.purpose = "{source} is allowed {host_ports} of {host}, which endpoint {endpoint} "
			   "on network {network} ({out}) publishes.",
	},
	DROP_AND_LOG(OTHERS, DENIED,
		.scope = PLAN_PORTS, .applies = allows_some,
		.chain = CHAIN_FILTER_SOURCES,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_HOST }, .host_ports = true,
		.match = RULE_ORIGINAL,
		.purpose = "Nobody else reaches {host_ports} of {host}, which endpoint {endpoint} "
			   "on network {network} ({out}) publishes."
	),
	/* ---- filter peers ---- */
	{
		.kind = RULE_PEER_ACCEPT, .scope = PLAN_NETWORKS, .applies = is_peer,
		.chain = CHAIN_FILTER_PEERS, .target = TARGET_ACCEPT,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Endpoints of network {network} ({in}), which does not isolate itself "
			   "strictly, reach those of networks that don't isolate themselves.",
	},
	/* ---- filter open ---- */
	{
		.kind = RULE_OPEN_ACCEPT, .scope = PLAN_NETWORKS, .applies = is_reached_by_peers,
		.chain = CHAIN_FILTER_OPEN, .target = TARGET_ACCEPT,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Endpoints of network {network} ({in}), which does not isolate itself, "
			   "reach those of networks that don't do so strictly.",
	},
	/* ---- filter trusted ---- */
	{
		.kind = RULE_TRUSTED_PORT_ACCEPT, .scope = PLAN_PORTS,
		.applies = is_published_to_trusted,
		.chain = CHAIN_FILTER_TRUSTED, .target = TARGET_ACCEPT,
		.out = { DEVICE_BRIDGE }, .destination = { ADDRESS_ENDPOINT },
		.container_ports = true,
		.purpose = "Endpoint {endpoint} on network {network} publishes {host_ports} at its "
			   "own address {destination} by {out} to those whom the network trusts.",
	},
	/* ---- filter from ---- */
	/* What belongs to no connection is not translated, and would show the outside the address
	 * of the endpoint. */
	DROP_AND_LOG(INVALID, INVALID,
		.scope = PLAN_NETWORKS, .applies = is_not_internal,
		.chain = CHAIN_FILTER_FROM,
		.in = { DEVICE_BRIDGE }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_IF_ADOPTED },
		.match = RULE_STATE_INVALID,
		.purpose = "Packets from network {network} that leave its bridge {in} but belong "
			   "to no connection are dropped: nothing would give them the host's "
			   "address."
	),
	{
		.kind = RULE_OUTGOING_ACCEPT, .scope = PLAN_NETWORKS, .applies = is_not_internal,
		.chain = CHAIN_FILTER_FROM, .target = TARGET_ACCEPT,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Endpoints of network {network} may connect to the outside by its "
			   "bridge {in}.",
	},
	DROP_AND_LOG(INTERNAL_FROM, INTERNAL,
		.scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.needs = PLAN_DEVICE_KINDS, .applies = is_internal,
		.chain = CHAIN_FILTER_FROM,
		.in = { DEVICE_BRIDGE }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Network {network} is internal: nothing that comes from its bridge {in} "
			   "gets to the outside."
	),
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(forward_kinds) == RULE_FORWARD_END - RULE_INPUT_END,
	       "each kind has its row");
