/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/port.h"
#include "model/rule.h"

#include <stdio.h>

/* "port 80/tcp" or "ports 8000-8010/tcp". */
#define PORTS_TEXT_MAX 32
static const char *ports_text(uint16_t first, uint16_t count, const char *separator,
			      const char *protocol, char text[static PORTS_TEXT_MAX])
{
	if (count > 1)
		snprintf(text, PORTS_TEXT_MAX, "ports %u-%u%s%s", first, first + count - 1u,
			 separator, protocol);
	else
		snprintf(text, PORTS_TEXT_MAX, "port %u%s%s", first, separator, protocol);
	return text;
}

static void port_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	char host_ports[PORTS_TEXT_MAX], to_ports[PORTS_TEXT_MAX];
	char host[ADDR_TEXT_MAX] = "this host", to[ADDR_TEXT_MAX];

	ports_text(rule->host_port, rule->count, "/", protocol_name(rule->protocol), host_ports);
	if (addr_is_set(&rule->destination.addr))
		addr_format(&rule->destination.addr, host);
	if (rule->kind == RULE_LOOPBACK_PORT_DROP)
		snprintf(text, PURPOSE_MAX,
			 "Endpoint %s on network %s publishes %s of %s to this host alone: what "
			 "arrives for it by any interface but %s is dropped.",
			 rule->endpoint, rule->network, host_ports, host, rule->in);
	else
		snprintf(text, PURPOSE_MAX,
			 "Connections to %s of %s go to %s of endpoint %s on network %s (%s).",
			 host_ports, host, ports_text(rule->to_port, rule->count, "", "", to_ports),
			 rule->endpoint, rule->network, addr_format(&rule->to, to));
}

/* Rules of the library as a whole, and those of others. */
static void base_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	const char *foreign = rule->foreign ? rule->foreign : "";

	switch ((int)rule->kind) {
	case RULE_PORTS_JUMP_PREROUTING:
		snprintf(text, PURPOSE_MAX,
			 "Connections that arrive for an address of this host "
			 "are looked up among the published ports.");
		break;
	case RULE_PORTS_JUMP_OUTPUT:
		snprintf(text, PURPOSE_MAX,
			 "Connections that this host makes to one of its own "
			 "addresses are looked up among the published ports%s.",
			 rule->family == AF_INET6 ?
				 "; those to ::1 are not, since the kernel can't pass them on" :
				 "");
		break;
	case RULE_USER_JUMP:
		snprintf(text, PURPOSE_MAX,
			 "Forwarded packets first meet the rules that the "
			 "host's administrator keeps in BRIDGENET-USER.");
		break;
	case RULE_ESTABLISHED_ACCEPT:
		snprintf(text, PURPOSE_MAX,
			 "Packets of connections that were let through before "
			 "pass, in both directions, and so do error messages about them.");
		break;
	case RULE_DNAT_ACCEPT:
		snprintf(text, PURPOSE_MAX,
			 "Connections to published ports pass to their "
			 "endpoints.");
		break;
	default:
		snprintf(text, PURPOSE_MAX, "%s: %s",
			 rule->chain == CHAIN_FILTER_USER ?
				 "A rule of the host's administrator in BRIDGENET-USER" :
				 "Not made by bridgenet",
			 foreign[0] ? foreign : "unknown");
		break;
	}
}

static void forward_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	const char *bridge = rule->out[0] ? rule->out : rule->in;

	switch ((int)rule->kind) {
	case RULE_BRIDGED_ACCEPT:
		snprintf(text, PURPOSE_MAX,
			 "Endpoints of network %s reach each other over its bridge %s.",
			 rule->network, bridge);
		break;
	case RULE_UNPUBLISHED_DROP:
		snprintf(text, PURPOSE_MAX,
			 "What goes to network %s by its bridge %s and no earlier rule let pass is "
			 "dropped: from outside, only published ports are reached.",
			 rule->network, bridge);
		break;
	default:
		snprintf(text, PURPOSE_MAX,
			 "Endpoints of network %s may connect to the outside by its bridge %s.",
			 rule->network, bridge);
		break;
	}
}

static void raw_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	char addr[ADDR_TEXT_MAX];

	if (rule->kind == RULE_LOOPBACK_DROP)
		snprintf(text, PURPOSE_MAX,
			 "Packets from network %s (%s) to 127.0.0.0/8 are dropped: the host's "
			 "loopback services are not for endpoints.",
			 rule->network, rule->in);
	else if (rule->kind == RULE_LOOPBACK_SOURCE_DROP)
		snprintf(text, PURPOSE_MAX,
			 "Packets from network %s (%s) that claim to come from 127.0.0.0/8 are "
			 "dropped: only the host itself has such addresses.",
			 rule->network, rule->in);
	else
		snprintf(text, PURPOSE_MAX,
			 "Packets sent straight to endpoint %s on network %s (%s) by any interface "
			 "but %s are dropped: from outside, it is reached by its published ports.",
			 rule->endpoint, rule->network, addr_format(&rule->destination.addr, addr),
			 rule->in);
}

static void masquerade_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	switch ((int)rule->kind) {
	case RULE_HAIRPIN_MASQUERADE:
		snprintf(text, PURPOSE_MAX,
			 "An endpoint of network %s that connects to a port which it or its "
			 "neighbour publishes on this host takes the address of %s, so that the "
			 "answer comes back by way of the host.",
			 rule->network, rule->out);
		break;
	case RULE_LOOPBACK_MASQUERADE:
		snprintf(text, PURPOSE_MAX,
			 "Connections of this host from 127.0.0.0/8 to a published port of network "
			 "%s take the address of %s, since endpoints can't answer to a loopback "
			 "address.",
			 rule->network, rule->out);
		break;
	default:
		snprintf(text, PURPOSE_MAX,
			 "Packets from network %s that leave by another interface than %s take the "
			 "host's address; traffic that stays on the bridge is left alone.",
			 rule->network, rule->out);
		break;
	}
}

/* Where our rules stand in chains of their own. */
static void jump_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	switch ((int)rule->kind) {
	case RULE_RAW_JUMP:
		snprintf(text, PURPOSE_MAX,
			 "What arrives first meets bridgenet's drops, before the "
			 "kernel looks for its connection.");
		break;
	case RULE_LOOPBACK_JUMP:
	case RULE_LOOPBACK_SOURCE_JUMP:
		snprintf(text, PURPOSE_MAX,
			 "What arrives %s 127.0.0.0/8 by another interface than lo "
			 "meets the rules that keep the loopback addresses of the host apart.",
			 rule->kind == RULE_LOOPBACK_JUMP ? "for" : "as if from");
		break;
	case RULE_NETWORK_RAW_JUMP:
		snprintf(text, PURPOSE_MAX,
			 "Packets for network %s that arrive by any interface but "
			 "its bridge %s meet the drops of its endpoints.",
			 rule->network, rule->in);
		break;
	case RULE_NETWORK_PORTS_JUMP:
		snprintf(text, PURPOSE_MAX, "The published ports of network %s.", rule->network);
		break;
	case RULE_FORWARD_JUMP:
		snprintf(text, PURPOSE_MAX, "Forwarded packets meet bridgenet's rules.");
		break;
	case RULE_NETWORK_FORWARD_JUMP:
		snprintf(text, PURPOSE_MAX,
			 "Packets that are forwarded to network %s by its bridge %s "
			 "meet its rules.",
			 rule->network, rule->out);
		break;
	case RULE_POSTROUTING_JUMP:
		snprintf(text, PURPOSE_MAX,
			 "What leaves meets bridgenet's rules about the address that "
			 "it leaves with.");
		break;
	default:
		snprintf(text, PURPOSE_MAX,
			 "What network %s sends, and what goes to it, meets the rules "
			 "about the address that it goes with.",
			 rule->network);
		break;
	}
}

void rule_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	switch (rule->kind) {
	case RULE_RAW_JUMP:
	case RULE_LOOPBACK_JUMP:
	case RULE_LOOPBACK_SOURCE_JUMP:
	case RULE_NETWORK_RAW_JUMP:
	case RULE_NETWORK_PORTS_JUMP:
	case RULE_FORWARD_JUMP:
	case RULE_NETWORK_FORWARD_JUMP:
	case RULE_POSTROUTING_JUMP:
	case RULE_NETWORK_POSTROUTING_JUMP:
		jump_purpose(rule, text);
		break;
	case RULE_LOOPBACK_PORT_DROP:
	case RULE_PORT_DNAT:
		port_purpose(rule, text);
		break;
	case RULE_LOOPBACK_DROP:
	case RULE_LOOPBACK_SOURCE_DROP:
	case RULE_DIRECT_DROP:
		raw_purpose(rule, text);
		break;
	case RULE_BRIDGED_ACCEPT:
	case RULE_UNPUBLISHED_DROP:
	case RULE_OUTGOING_ACCEPT:
		forward_purpose(rule, text);
		break;
	case RULE_HAIRPIN_MASQUERADE:
	case RULE_LOOPBACK_MASQUERADE:
	case RULE_MASQUERADE:
		masquerade_purpose(rule, text);
		break;
	case RULE_PORTS_JUMP_PREROUTING:
	case RULE_PORTS_JUMP_OUTPUT:
	case RULE_USER_JUMP:
	case RULE_ESTABLISHED_ACCEPT:
	case RULE_DNAT_ACCEPT:
	case RULE_FOREIGN:
	case RULE_KIND_COUNT:
		base_purpose(rule, text);
		break;
	}
}
