/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows of the catalogue about what is for the host itself. */
#include "model/kind.h"

#include "model/policy.h"

static bool has_host_access(const struct rule_subject *subject, enum host_access access)
{
	return network_host_access(subject->network, subject->family) == access;
}

static bool limits_host_access(const struct rule_subject *subject)
{
	return !has_host_access(subject, HOST_ACCESS_ALL);
}

static bool reaches_no_ports(const struct rule_subject *subject)
{
	return has_host_access(subject, HOST_ACCESS_NONE);
}

static bool asks_names(const struct rule_subject *subject)
{
	return has_host_access(subject, HOST_ACCESS_DNS_ICMP);
}

static bool pings_host(const struct rule_subject *subject)
{
	return limits_host_access(subject) && !reaches_no_ports(subject);
}

/* A port that the host looks up by its address, which may be any: those of interfaces are looked up
 * among themselves, and of a family that is routed the host holds none. */
static bool is_mapped_tcp(const struct rule_subject *subject)
{
	return subject->port->protocol == IPPROTO_TCP && !subject->port->interface[0] &&
	       network_translates(subject->network, subject->family);
}

/* clang-format off */
const struct kind input_kinds[] = {
	/* ---- filter input ---- */
	/*
	 * The connection is known, but the segment is not of its window: it is not translated, so
	 * it gets to the host, which has no such connection, and would reset it for both sides.
	 */
	{
		.kind = RULE_INVALID_JUMP, .scope = PLAN_BASE, .needs = PLAN_INVALID_INPUT,
		.chain = CHAIN_FILTER_INPUT, .target = TARGET_JUMP, .jump = CHAIN_FILTER_INVALID,
		.protocol = IPPROTO_TCP, .match = RULE_STATE_INVALID,
		.purpose = "TCP segments for this host that fit no connection are looked up among "
			   "the published ports.",
	},
	{
		.kind = RULE_HOST_JUMP, .scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.applies = limits_host_access,
		.chain = CHAIN_FILTER_INPUT, .target = TARGET_JUMP, .jump = CHAIN_FILTER_HOST,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "What network {network} sends to this host itself by its bridge {in} "
			   "meets the rules about what it may reach there.",
	},
	/* ---- filter invalid ---- */
	{
		.kind = RULE_OTHER_PORT_RETURN, .scope = PLAN_BASE, .families = FAMILIES_EACH,
		.needs = PLAN_ASKS_PORTS,
		.chain = CHAIN_FILTER_INVALID, .target = TARGET_RETURN, .match = RULE_UNPUBLISHED,
		.purpose = "Of those, what is for a port that is not published is none of "
			   "bridgenet's business.",
	},
	{
		.kind = RULE_PUBLISHED_INVALID_DROP, .scope = PLAN_BASE, .needs = PLAN_ASKS_PORTS,
		.chain = CHAIN_FILTER_INVALID, .target = TARGET_DROP,
		.purpose = "Segments for a published port that fit no connection are dropped: this "
			   "host would answer them, and end the connection of an endpoint.",
	},
	{
		.kind = RULE_PORT_INVALID_DROP, .scope = PLAN_PORTS, .needs = PLAN_LISTS_PORTS,
		.applies = is_mapped_tcp, .chain = CHAIN_FILTER_INVALID, .target = TARGET_DROP,
		.destination = { ADDRESS_HOST }, .host_ports = true,
		.purpose = "Segments for {host_ports} of {host} that fit no connection are "
			   "dropped: this host would answer them, and end a connection of endpoint "
			   "{endpoint} on network {network}.",
	},
	/* ---- filter host ---- */
	/* Never an accept: what is not dropped is for the host's own firewall to decide about. */
	{
		.kind = RULE_HOST_ESTABLISHED_RETURN, .scope = PLAN_NETWORKS,
		.applies = limits_host_access,
		.chain = CHAIN_FILTER_HOST, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.match = RULE_STATE_ESTABLISHED,
		.purpose = "Answers from network {network} ({in}) to this host are not stopped.",
	},
	{
		.kind = RULE_HOST_NEIGHBOURS_RETURN, .scope = PLAN_NETWORKS,
		.families = FAMILIES_IPV6, .applies = limits_host_access,
		.chain = CHAIN_FILTER_HOST, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE }, .match = RULE_ICMPV6_OTHER,
		.purpose = "Nor is what IPv6 on network {network} ({in}) can't do without: the "
			   "search for neighbours, and who listens to multicasts.",
	},
	{
		.kind = RULE_HOST_ECHO_RETURN, .scope = PLAN_NETWORKS, .applies = pings_host,
		.chain = CHAIN_FILTER_HOST, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.match = RULE_ECHO_REQUEST,
		.purpose = "Endpoints of network {network} ({in}) may ping this host.",
	},
	/* What the host redirects to where its resolver listens was asked of port 53 all the
	 * same. */
	{
		.kind = RULE_HOST_DNS_RETURN, .scope = PLAN_NETWORKS, .applies = asks_names,
		.chain = CHAIN_FILTER_HOST, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.protocol = IPPROTO_UDP, .match = RULE_ASKED_DNS,
		.purpose = "Endpoints of network {network} ({in}) may ask this host for names, at "
			   "port 53.",
	},
	{
		.kind = RULE_HOST_DNS_TCP_RETURN, .scope = PLAN_NETWORKS, .applies = asks_names,
		.chain = CHAIN_FILTER_HOST, .target = TARGET_RETURN,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.protocol = IPPROTO_TCP, .match = RULE_ASKED_DNS,
		.purpose = "Endpoints of network {network} ({in}) may ask this host for names, at "
			   "port 53, also by TCP.",
	},
	DROP_AND_LOG(HOST, HOST,
		.scope = PLAN_NETWORKS, .families = FAMILIES_ALL,
		.applies = limits_host_access,
		.chain = CHAIN_FILTER_HOST,
		.in = { DEVICE_BRIDGE }, .source = { ADDRESS_SUBNET_IF_ADOPTED },
		.purpose = "Whatever else network {network} sends to this host itself by its "
			   "bridge {in} is dropped (host-access)."
	),
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(input_kinds) == RULE_INPUT_END - RULE_INPUT_FIRST,
	       "each kind has its row");
