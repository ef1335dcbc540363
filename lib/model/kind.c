/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/kind.h"

#include "model/policy.h"

#define NEGATED true

static bool translates(const struct rule_subject *subject)
{
	return network_translates(subject->network, subject->family);
}

static bool is_for_this_host_alone(const struct rule_subject *subject)
{
	return addr_is_loopback(&subject->port->host_addr) && translates(subject);
}

static bool reaches_no_ports(const struct rule_subject *subject)
{
	return network_host_access(subject->network, subject->family) == HOST_ACCESS_NONE;
}

static bool is_by_interface(const struct rule_subject *subject)
{
	return translates(subject) && subject->port->interface[0];
}

static bool is_by_address(const struct rule_subject *subject)
{
	return translates(subject) && !subject->port->interface[0];
}

static bool gives_host_addresses(const struct rule_subject *subject)
{
	return translates(subject) && subject->network->policy.masquerade == MASQUERADE_YES;
}

/* An address of the caller's, or of the host's own choice; and which ports of it. */
static bool gives(const struct rule_subject *subject, bool named, enum source_ports ports)
{
	return gives_host_addresses(subject) &&
	       named == (network_snat_addr(subject->network, subject->family) != NULL) &&
	       subject->network->policy.source_ports == ports;
}

static bool snats_at_random(const struct rule_subject *subject)
{
	return gives(subject, true, SOURCE_PORTS_RANDOM);
}

static bool snats_port_by_port(const struct rule_subject *subject)
{
	return gives(subject, true, SOURCE_PORTS_KEEP);
}

static bool masquerades_at_random(const struct rule_subject *subject)
{
	return gives(subject, false, SOURCE_PORTS_RANDOM);
}

static bool masquerades_port_by_port(const struct rule_subject *subject)
{
	return gives(subject, false, SOURCE_PORTS_KEEP);
}

/* Where it has no address of its own it knows the way to no source; but what nobody is to send is
 * from nowhere. */
static bool judges_sources(const struct rule_subject *subject)
{
	return !network_subnet(subject->network, subject->family) ||
	       network_host_addr(subject->network, subject->family);
}

static bool is_closed(const struct rule_subject *subject)
{
	return network_is_closed(subject->network, subject->family);
}

static bool is_open_to_answers(const struct rule_subject *subject)
{
	return network_awaits_answers(subject->network, subject->family) &&
	       !network_is_entered(subject->network, subject->family);
}

static bool trusts_sources(const struct rule_subject *subject)
{
	return network_trusts_sources(subject->network, subject->family);
}

static bool looks_at_first_packets(const struct rule_subject *subject)
{
	return is_open_to_answers(subject) || trusts_sources(subject);
}

static bool has_connections_limited(const struct rule_subject *subject)
{
	return subject->endpoint->policy.connections;
}

/* clang-format off */
#define LOOPBACK_IPV4 { { AF_INET, { 127 } }, 8 }
#define LOOPBACK_IPV6 { { AF_INET6, { [15] = 1 } }, 128 }
#define UNSPECIFIED_IPV4 { { AF_INET, { 0 } }, 32 }
#define LINK_LOCAL_IPV6 { { AF_INET6, { 0xfe, 0x80 } }, 10 }

/* In the order of the enum. */
static const struct kind arriving_kinds[] = {
	/* ---- raw prerouting ---- */
	{
		.kind = RULE_RAW_JUMP, .scope = PLAN_BASE, .needs = PLAN_OWN_CHAINS,
		.chain = CHAIN_RAW_PREROUTING, .target = TARGET_JUMP, .jump = CHAIN_RAW_PREROUTING,
		.purpose = "What arrives first meets bridgenet's drops, before the kernel looks "
			   "for its connection.",
	},
	{
		.kind = RULE_LOOPBACK_JUMP, .scope = PLAN_BASE, .needs = PLAN_OWN_CHAINS,
		.families = FAMILIES_IPV4, .chain = CHAIN_RAW_PREROUTING, .target = TARGET_JUMP,
		.jump = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_LOOPBACK, NEGATED },
		.destination = { ADDRESS_FIXED, .fixed = LOOPBACK_IPV4 },
		.purpose = "What arrives for 127.0.0.0/8 by another interface than lo meets the "
			   "rules that keep the loopback addresses of the host apart.",
	},
	{
		.kind = RULE_LOOPBACK_SOURCE_JUMP, .scope = PLAN_BASE, .needs = PLAN_OWN_CHAINS,
		.families = FAMILIES_IPV4, .chain = CHAIN_RAW_PREROUTING, .target = TARGET_JUMP,
		.jump = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_LOOPBACK, NEGATED },
		.source = { ADDRESS_FIXED, .fixed = LOOPBACK_IPV4 },
		.purpose = "What arrives as if from 127.0.0.0/8 by another interface than lo meets "
			   "the rules that keep the loopback addresses of the host apart.",
	},
	{
		.kind = RULE_NETWORK_RAW_JUMP, .scope = PLAN_NETWORKS, .needs = PLAN_OWN_CHAINS,
		.applies = is_closed,
		.chain = CHAIN_RAW_PREROUTING, .target = TARGET_JUMP, .jump = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_BRIDGE, NEGATED }, .destination = { ADDRESS_SUBNET },
		.purpose = "Packets for network {network} that arrive by any interface but its "
			   "bridge {in} meet the drops of its endpoints.",
	},
	{
		.kind = RULE_NETWORK_RAW_SOURCE_JUMP, .scope = PLAN_NETWORKS,
		.needs = PLAN_OWN_CHAINS, .bridges = BRIDGES_ADOPTED,
		.chain = CHAIN_RAW_PREROUTING, .target = TARGET_JUMP, .jump = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_BRIDGE, NEGATED }, .source = { ADDRESS_SUBNET },
		.purpose = "Packets as if from network {network} that arrive by any interface but "
			   "its bridge {in} meet the drops of its endpoints.",
	},
	DROP_AND_LOG(LOOPBACK_PORT, LOOPBACK,
		.scope = PLAN_PORTS, .families = FAMILIES_IPV4,
		.applies = is_for_this_host_alone, .chain = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_LOOPBACK, NEGATED }, .destination = { ADDRESS_HOST },
		.host_ports = true,
		.purpose = "Endpoint {endpoint} on network {network} publishes {host_ports} of "
			   "{host} to this host alone: what arrives for it by any interface but "
			   "{in} is dropped."
	),
	/*
	 * With route_localnet on the bridge the kernel routes 127.0.0.0/8 on it both ways: the
	 * host's own connections get out that way, and an endpoint's must not get in. Nor does it
	 * refuse what claims to come from there any longer, but for the very addresses that the
	 * host has.
	 */
	DROP_AND_LOG(LOOPBACK, LOOPBACK,
		.scope = PLAN_NETWORKS, .families = FAMILIES_IPV4,
		.chain = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_BRIDGE }, .destination = { ADDRESS_FIXED, .fixed = LOOPBACK_IPV4 },
		.purpose = "Packets from network {network} ({in}) to 127.0.0.0/8 are dropped: the "
			   "host's loopback services are not for endpoints."
	),
	DROP_AND_LOG(LOOPBACK_SOURCE, FORGED,
		.scope = PLAN_NETWORKS,
		.families = FAMILIES_IPV4, .chain = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_FIXED, .fixed = LOOPBACK_IPV4 },
		.purpose = "Packets from network {network} ({in}) that claim to come from "
			   "127.0.0.0/8 are dropped: only the host itself has such addresses."
	),
	DROP_AND_LOG(DIRECT, DIRECT,
		.scope = PLAN_ENDPOINTS, .applies = is_closed,
		.chain = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_BRIDGE, NEGATED }, .destination = { ADDRESS_ENDPOINT },
		.purpose = "Packets sent straight to endpoint {endpoint} on network {network} "
			   "({destination}) by any interface but {in} are dropped: from outside, "
			   "it is reached by its published ports."
	),
	/*
	 * What is behind this one meets nothing that comes by a bridge of ours. The family that a
	 * network lacks has it too: what nobody is to send there is to come from nowhere.
	 */
	{
		.kind = RULE_SOURCES_GOTO, .scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.bridges = BRIDGES_OWN, .chain = CHAIN_RAW_PREROUTING, .target = TARGET_GOTO,
		.jump = CHAIN_RAW_SOURCES,
		.in = { DEVICE_BRIDGE },
		.purpose = "What arrives by bridge {in} of network {network} must come from an "
			   "address that lies behind it, and is then through with these rules.",
	},
	/* On a bridge of our own the whole subnet is the network's: RULE_SUBNET_SOURCE_DROP. */
	DROP_AND_LOG(ENDPOINT_SOURCE, FORGED,
		.scope = PLAN_ENDPOINTS,
		.bridges = BRIDGES_ADOPTED, .chain = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_BRIDGE, NEGATED }, .source = { ADDRESS_ENDPOINT },
		.purpose = "Packets that claim to come from endpoint {endpoint} on network "
			   "{network} ({source}) but arrive by any interface but {in} are dropped: "
			   "their source is forged."
	),
	{
		.kind = RULE_OUTSIDE_JUMP, .scope = PLAN_BASE, .needs = PLAN_OWN_CHAINS,
		.chain = CHAIN_RAW_PREROUTING, .target = TARGET_JUMP, .jump = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_LOOPBACK, NEGATED },
		.purpose = "What arrives neither by a bridge of bridgenet nor by lo meets the "
			   "rules about who may claim to be in a network, and reach it.",
	},
	DROP_AND_LOG(SUBNET_SOURCE, FORGED,
		.scope = PLAN_NETWORKS, .bridges = BRIDGES_OWN,
		.chain = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_LOOPBACK, NEGATED }, .source = { ADDRESS_SUBNET },
		.purpose = "Packets that claim to come from network {network} ({source}) but "
			   "arrive neither by a bridge of bridgenet nor by lo are dropped: their "
			   "source is forged, and the answer would open a way in."
	),
	/* Not of the gateway alone: the host takes packets for the subnet's broadcast address, and
	 * for the anycast address of its routers, as if they were for it. */
	DROP_AND_LOG(SUBNET, OUTSIDE,
		.scope = PLAN_NETWORKS, .bridges = BRIDGES_OWN,
		.chain = CHAIN_RAW_PREROUTING,
		.in = { DEVICE_LOOPBACK, NEGATED }, .destination = { ADDRESS_SUBNET_OR_HOST },
		.purpose = "The addresses of network {network} ({destination}), that of its "
			   "gateway too, are there for this host and for networks on bridges of "
			   "bridgenet's own: what arrives for them by any other interface is "
			   "dropped."
	),
	/* ---- raw sources ---- */
	/* Who asks for an address by DHCP has none yet; and what comes from there in IPv6 passes
	 * the kernel's look-ups as it is. */
	DROP_AND_LOG(SOURCE, FORGED,
		.scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.bridges = BRIDGES_OWN, .applies = judges_sources,
		.chain = CHAIN_RAW_SOURCES,
		.in = { DEVICE_BRIDGE },
		.source = { ADDRESS_FIXED, NEGATED, UNSPECIFIED_IPV4, LINK_LOCAL_IPV6 },
		.match = RULE_SOURCE_ASTRAY,
		.purpose = "What arrives by bridge {in} of network {network} from an address that "
			   "this host does not reach by {in} is dropped: its source is forged."
	),
	/* ---- mangle prerouting ---- */
	{
		.kind = RULE_DIRECT_JUMP, .scope = PLAN_NETWORKS,
		.applies = looks_at_first_packets,
		.chain = CHAIN_MANGLE_PREROUTING, .target = TARGET_JUMP,
		.jump = CHAIN_MANGLE_DIRECT,
		.destination = { ADDRESS_SUBNET }, .match = RULE_STATE_NEW,
		.purpose = "What arrives for network {network} ({destination}) and belongs to no "
			   "connection that was let through before meets the rules about who may "
			   "send straight to its endpoints.",
	},
	/* What the kernel has not confirmed yet is on its way for the first time, and not a packet
	 * of one that stays unanswered. */
	{
		.kind = RULE_CONNECTIONS_JUMP, .scope = PLAN_ENDPOINTS, .needs = PLAN_OWN_CHAINS,
		.applies = has_connections_limited,
		.chain = CHAIN_MANGLE_PREROUTING, .target = TARGET_JUMP,
		.jump = CHAIN_MANGLE_PREROUTING,
		.source = { ADDRESS_ENDPOINT }, .match = RULE_BEGINS,
		.purpose = "What begins a connection of endpoint {endpoint} on network {network} "
			   "({source}) meets the rule about how many it may have.",
	},
	{
		.kind = RULE_CONNECTIONS_DROP, .scope = PLAN_ENDPOINTS,
		.applies = has_connections_limited,
		.chain = CHAIN_MANGLE_PREROUTING, .target = TARGET_DROP,
		.source = { ADDRESS_ENDPOINT }, .match = RULE_BEGINS, .connections = true,
		.purpose = "Endpoint {endpoint} on network {network} ({source}) may have "
			   "{connections} connections open at once that it began itself: what "
			   "begins another is dropped until one of them ends.",
	},
	/* ---- mangle direct ---- */
	/* Further on a backend may not be able to ask. */
	DROP_AND_LOG(TRUSTED_FORGED, FORGED,
		.scope = PLAN_NETWORKS,
		.applies = trusts_sources, .each = EACH_TRUSTED_SOURCE,
		.chain = CHAIN_MANGLE_DIRECT,
		.source = { ADDRESS_EACH }, .destination = { ADDRESS_SUBNET },
		.match = RULE_SOURCE_ASTRAY,
		.purpose = "Network {network} trusts {source}: what claims to come from there but "
			   "arrives by another interface than the one by which this host would "
			   "answer is dropped."
	),
	DROP_AND_LOG(DIRECT_NEW, DIRECT,
		.scope = PLAN_ENDPOINTS,
		.applies = is_open_to_answers, .chain = CHAIN_MANGLE_DIRECT,
		.in = { DEVICE_BRIDGE, NEGATED }, .destination = { ADDRESS_ENDPOINT },
		.purpose = "Packets sent straight to endpoint {endpoint} on network {network} "
			   "({destination}) by any interface but {in} are dropped, unless they "
			   "answer: from outside, it is reached by its published ports."
	),
	/* ---- nat prerouting, output ---- */
	/* The kernel can tell whose address it is only where it knows by what it came: so these
	 * stand apart from what the host's own connections meet as well. */
	{
		.kind = RULE_INTERFACE_JUMP, .scope = PLAN_PORTS, .applies = is_by_interface,
		.needs = PLAN_OWN_CHAINS, .chain = CHAIN_NAT_PREROUTING, .target = TARGET_JUMP,
		.jump = CHAIN_NAT_PREROUTING,
		.in = { DEVICE_PORT },
		.destination = { ADDRESS_FIXED, NEGATED, LINK_LOCAL_IPV6 }, .host_ports = true,
		.match = RULE_INTERFACE_DESTINATION,
		.purpose = "Connections to {host_ports} that arrive by {in}, for an address that "
			   "it has, are looked up among the ports of network {network} there.",
	},
	{
		.kind = RULE_INTERFACE_DNAT, .scope = PLAN_PORTS, .applies = is_by_interface,
		.chain = CHAIN_NAT_PREROUTING, .target = TARGET_DNAT,
		.in = { DEVICE_PORT },
		.destination = { ADDRESS_FIXED, NEGATED, LINK_LOCAL_IPV6 }, .host_ports = true,
		.match = RULE_INTERFACE_DESTINATION,
		.purpose = "Connections to {host_ports} that arrive by {in}, for an address that "
			   "it has, go to {to_ports} of endpoint {endpoint} on network {network} "
			   "({to}).",
	},
	{
		.kind = RULE_PORTS_JUMP_PREROUTING, .scope = PLAN_BASE,
		.chain = CHAIN_NAT_PREROUTING, .target = TARGET_JUMP, .jump = CHAIN_NAT_PORTS,
		.match = RULE_LOCAL_DESTINATION,
		.purpose = "Connections that arrive for an address of this host are looked up "
			   "among the published ports.",
	},
	{
		.kind = RULE_PORTS_JUMP_OUTPUT, .scope = PLAN_BASE,
		.chain = CHAIN_NAT_OUTPUT, .target = TARGET_JUMP, .jump = CHAIN_NAT_PORTS,
		.match = RULE_LOCAL_DESTINATION,
		.purpose = "Connections that this host makes to one of its own addresses are "
			   "looked up among the published ports.",
	},
	/* ---- nat ports ---- */
	{
		.kind = RULE_HOST_PORTS_RETURN, .scope = PLAN_NETWORKS, .applies = reaches_no_ports,
		.chain = CHAIN_NAT_PORTS, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Endpoints of network {network} ({in}) have no access to this host "
			   "(host-access=none), and so to no port that is published on it.",
	},
	/* An answer to a link-local address goes out by the link that it means, which is not that
	 * of the endpoint; refused at once, the client tries the next address. */
	{
		.kind = RULE_LINK_LOCAL_RETURN, .scope = PLAN_BASE, .families = FAMILIES_IPV6,
		.chain = CHAIN_NAT_PORTS, .target = TARGET_RETURN,
		.destination = { ADDRESS_FIXED, .fixed = LINK_LOCAL_IPV6 },
		.purpose = "Connections to a link-local address of this host are not looked up: "
			   "such an address means one link only, and the kernel can't pass them "
			   "on.",
	},
	/* The kernel can't route from ::1 to another interface. */
	{
		.kind = RULE_LOOPBACK_RETURN, .scope = PLAN_BASE, .families = FAMILIES_IPV6,
		.chain = CHAIN_NAT_PORTS, .target = TARGET_RETURN,
		.destination = { ADDRESS_FIXED, .fixed = LOOPBACK_IPV6 },
		.purpose = "Connections to ::1 are not looked up, since the kernel can't pass them "
			   "on.",
	},
	{
		.kind = RULE_NETWORK_PORTS_JUMP, .scope = PLAN_NETWORKS, .needs = PLAN_OWN_CHAINS,
		.chain = CHAIN_NAT_PORTS, .target = TARGET_JUMP, .jump = CHAIN_NAT_PORTS,
		.purpose = "The published ports of network {network}.",
	},
	{
		.kind = RULE_PORT_DNAT, .scope = PLAN_PORTS, .applies = is_by_address,
		.chain = CHAIN_NAT_PORTS, .target = TARGET_DNAT,
		.destination = { ADDRESS_HOST }, .host_ports = true,
		.purpose = "Connections to {host_ports} of {host} go to {to_ports} of endpoint "
			   "{endpoint} on network {network} ({to}).",
	},
};

/* Those of what is for the host itself come between: kind_input.c. */
static const struct kind onward_kinds[] = {
	/* ---- filter guard ---- */
	/* On a bridge of the library's own all has been decided. */
	{
		.kind = RULE_GUARD_IN_RETURN, .scope = PLAN_NETWORKS, .families = FAMILIES_GUARDED,
		.bridges = BRIDGES_ADOPTED, .chain = CHAIN_FILTER_GUARD, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE },
		.purpose = "What enters by bridge {in}, which network {network} is on, passes the "
			   "guard.",
	},
	{
		.kind = RULE_GUARD_OUT_RETURN, .scope = PLAN_NETWORKS, .families = FAMILIES_GUARDED,
		.bridges = BRIDGES_ADOPTED, .chain = CHAIN_FILTER_GUARD, .target = TARGET_RETURN,
		.out = { DEVICE_BRIDGE },
		.purpose = "What leaves by bridge {out}, which network {network} is on, passes the "
			   "guard.",
	},
	{
		.kind = RULE_GUARD_BRIDGED_RETURN, .scope = PLAN_GUARD,
		.families = FAMILIES_GUARDED,
		.chain = CHAIN_FILTER_GUARD, .target = TARGET_RETURN,
		.in = { DEVICE_OTHER_BRIDGE }, .out = { DEVICE_OTHER_BRIDGE },
		.purpose = "What stays on bridge {in}, which is not bridgenet's, passes the guard.",
	},
	{
		.kind = RULE_GUARD_DROP, .scope = PLAN_GUARD, .families = FAMILIES_GUARDED,
		.chain = CHAIN_FILTER_GUARD, .target = TARGET_DROP,
		.purpose = "Packets that neither come from a network nor go to one are dropped: "
			   "without bridgenet the host would not forward them.",
	},
	/* ---- nat postrouting ---- */
	{
		.kind = RULE_POSTROUTING_JUMP, .scope = PLAN_BASE, .needs = PLAN_OWN_CHAINS,
		.chain = CHAIN_NAT_POSTROUTING, .target = TARGET_JUMP,
		.jump = CHAIN_NAT_POSTROUTING,
		.purpose = "What leaves meets bridgenet's rules about the address that it leaves "
			   "with.",
	},
	{
		.kind = RULE_NETWORK_POSTROUTING_JUMP, .scope = PLAN_NETWORKS,
		.needs = PLAN_OWN_CHAINS, .chain = CHAIN_NAT_POSTROUTING, .target = TARGET_JUMP,
		.jump = CHAIN_NAT_POSTROUTING,
		.purpose = "What network {network} sends, and what goes to it, meets the rules "
			   "about the address that it goes with.",
	},
	/* By the subnet: where bridged packets pass the IP hooks (bridge-nf-call-iptables), one
	 * that comes back to its bridge is not routed, and has no incoming interface here. */
	{
		.kind = RULE_HAIRPIN_MASQUERADE, .scope = PLAN_NETWORKS, .applies = translates,
		.chain = CHAIN_NAT_POSTROUTING, .target = TARGET_MASQUERADE,
		.out = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET }, .match = RULE_STATUS_DNAT,
		.random_ports = true,
		.purpose = "An endpoint of network {network} that connects to a port which it or "
			   "its neighbour publishes on this host takes the address of {out}, so "
			   "that the answer comes back by way of the host.",
	},
	{
		.kind = RULE_LOOPBACK_MASQUERADE, .scope = PLAN_NETWORKS, .families = FAMILIES_IPV4,
		.applies = translates,
		.chain = CHAIN_NAT_POSTROUTING, .target = TARGET_MASQUERADE,
		.out = { DEVICE_BRIDGE }, .source = { ADDRESS_FIXED, .fixed = LOOPBACK_IPV4 },
		.random_ports = true,
		.purpose = "Connections of this host from 127.0.0.0/8 to a published port of "
			   "network {network} take the address of {out}, since endpoints can't "
			   "answer to a loopback address.",
	},
	{
		.kind = RULE_UNTRANSLATED_RETURN, .scope = PLAN_NETWORKS,
		.applies = gives_host_addresses, .each = EACH_UNTRANSLATED,
		.chain = CHAIN_NAT_POSTROUTING, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE_IF_KNOWN }, .source = { ADDRESS_SUBNET_FOR_DEVICE },
		.destination = { ADDRESS_EACH },
		.purpose = "Packets from network {network} to {destination} keep their address.",
	},
	{
		.kind = RULE_SNAT, .scope = PLAN_NETWORKS, .applies = snats_at_random,
		.chain = CHAIN_NAT_POSTROUTING, .target = TARGET_SNAT,
		.in = { DEVICE_BRIDGE_IF_KNOWN }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_FOR_DEVICE }, .random_ports = true,
		.purpose = "Packets from network {network} that leave by another interface than "
			   "{out} take the address {to}, and any port of it that is free; traffic "
			   "that stays on the bridge is left alone.",
	},
	{
		.kind = RULE_SNAT_KEEP, .scope = PLAN_NETWORKS, .applies = snats_port_by_port,
		.chain = CHAIN_NAT_POSTROUTING, .target = TARGET_SNAT,
		.in = { DEVICE_BRIDGE_IF_KNOWN }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_FOR_DEVICE },
		.purpose = "Packets from network {network} that leave by another interface than "
			   "{out} take the address {to}, and keep their port where it is free; "
			   "traffic that stays on the bridge is left alone.",
	},
	{
		.kind = RULE_MASQUERADE, .scope = PLAN_NETWORKS, .applies = masquerades_at_random,
		.chain = CHAIN_NAT_POSTROUTING, .target = TARGET_MASQUERADE,
		.in = { DEVICE_BRIDGE_IF_KNOWN }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_FOR_DEVICE }, .random_ports = true,
		.purpose = "Packets from network {network} that leave by another interface than "
			   "{out} take the host's address, and any port of it that is free; "
			   "traffic that stays on the bridge is left alone.",
	},
	{
		.kind = RULE_MASQUERADE_KEEP, .scope = PLAN_NETWORKS,
		.applies = masquerades_port_by_port, .chain = CHAIN_NAT_POSTROUTING,
		.target = TARGET_MASQUERADE,
		.in = { DEVICE_BRIDGE_IF_KNOWN }, .out = { DEVICE_BRIDGE, NEGATED },
		.source = { ADDRESS_SUBNET_FOR_DEVICE },
		.purpose = "Packets from network {network} that leave by another interface than "
			   "{out} take the host's address, and keep their port where it is free; "
			   "traffic that stays on the bridge is left alone.",
	},
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(arriving_kinds) == RULE_INPUT_FIRST, "each kind has its row");
_Static_assert(ARRAY_SIZE(onward_kinds) == RULE_FRAMES_FIRST - RULE_FORWARD_END,
	       "each kind has its row");

/* clang-format off */
static const struct kind other_kinds[] = {
	/* ---- others' ---- */
	{
		.kind = RULE_FOREIGN, .target = TARGET_OTHER,
		.purpose = "{whose}: {foreign}",
	},
	/* ---- ours in others' chains, which no plan has ---- */
	{
		.kind = RULE_COEXIST_FROM, .chain = CHAIN_FILTER_FORWARD, .target = TARGET_ACCEPT,
		.in = { DEVICE_BRIDGE },
		.purpose = "What network {network} sends gets past the chain {foreign} of "
			   "somebody else, which would stop it (coexist=insert).",
	},
	{
		.kind = RULE_COEXIST_TO, .chain = CHAIN_FILTER_FORWARD, .target = TARGET_ACCEPT,
		.out = { DEVICE_BRIDGE },
		.purpose = "What is sent to network {network} gets past the chain {foreign} of "
			   "somebody else, which would stop it (coexist=insert); what is to be "
			   "kept out our own rules drop.",
	},
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(other_kinds) == RULE_KIND_COUNT - RULE_FOREIGN, "each kind has its row");

const struct kind *kind_of(enum rule_kind kind)
{
	if (kind < RULE_INPUT_FIRST)
		return &arriving_kinds[kind];
	if (kind < RULE_INPUT_END)
		return &input_kinds[kind - RULE_INPUT_FIRST];
	if (kind < RULE_FORWARD_END)
		return &forward_kinds[kind - RULE_INPUT_END];
	if (kind < RULE_FRAMES_FIRST)
		return &onward_kinds[kind - RULE_FORWARD_END];
	return kind < RULE_FOREIGN ? &frame_kinds[kind - RULE_FRAMES_FIRST] :
				     &other_kinds[kind - RULE_FOREIGN];
}
