/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The chains, which rule stands in which, and what kind a rule in one of them is. */
#include "firewall/iptables/iptables.h"
#include "model/port.h"

const struct place_info places[PLACE_COUNT] = {
	[PLACE_RAW_PREROUTING] = { PLACE_BUILTIN, TABLE_RAW, CHAIN_RAW_PREROUTING, "PREROUTING" },
	[PLACE_RAW] = { PLACE_BASE, TABLE_RAW, CHAIN_RAW_PREROUTING, "BRIDGENET-RAW" },
	[PLACE_LOOPBACK] = { PLACE_BASE, TABLE_RAW, CHAIN_RAW_PREROUTING, "BRIDGENET-LOOPBACK" },
	[PLACE_OUTSIDE] = { PLACE_BASE, TABLE_RAW, CHAIN_RAW_PREROUTING, "BRIDGENET-OUTSIDE" },
	[PLACE_NETWORK_RAW] = { PLACE_NETWORK, TABLE_RAW, CHAIN_RAW_PREROUTING, "BN-", "" },
	[PLACE_SOURCES] = { PLACE_NETWORK, TABLE_RAW, CHAIN_RAW_SOURCES, "BN-", ":from" },
	[PLACE_MANGLE_PREROUTING] = { PLACE_BUILTIN, TABLE_MANGLE, CHAIN_MANGLE_PREROUTING,
				      "PREROUTING" },
	[PLACE_NETWORK_DIRECT] = { PLACE_NETWORK, TABLE_MANGLE, CHAIN_MANGLE_DIRECT, "BN-", "" },
	[PLACE_CONNECTIONS] = { PLACE_NETWORK, TABLE_MANGLE, CHAIN_MANGLE_PREROUTING, "BN-",
				":count" },
	[PLACE_MANGLE_FORWARD] = { PLACE_BUILTIN, TABLE_MANGLE, CHAIN_MANGLE_FORWARD, "FORWARD" },
	[PLACE_NETWORK_CLAMP] = { PLACE_NETWORK, TABLE_MANGLE, CHAIN_MANGLE_CLAMP, "BN-", ":mss" },
	[PLACE_INPUT] = { PLACE_BUILTIN, TABLE_FILTER, CHAIN_FILTER_INPUT, "INPUT" },
	[PLACE_HOST] = { PLACE_NETWORK, TABLE_FILTER, CHAIN_FILTER_HOST, "BN-", ":in" },
	[PLACE_FORWARD] = { PLACE_BUILTIN, TABLE_FILTER, CHAIN_FILTER_FORWARD, "FORWARD" },
	[PLACE_USER] = { PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_USER, "BRIDGENET-USER" },
	[PLACE_OWN_FORWARD] = { PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_FORWARD,
				"BRIDGENET-FORWARD" },
	[PLACE_TO] = { PLACE_NETWORK, TABLE_FILTER, CHAIN_FILTER_TO, "BN-", "" },
	[PLACE_PEERS] = { PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_PEERS, "BRIDGENET-PEERS",
			  .shared = true },
	[PLACE_OPEN] = { PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_OPEN, "BRIDGENET-OPEN",
			 .shared = true },
	[PLACE_LISTS] = { PLACE_NETWORK, TABLE_FILTER, CHAIN_FILTER_SOURCES, "BN-", ":list" },
	[PLACE_NETWORK_TRUSTED] = { PLACE_NETWORK, TABLE_FILTER, CHAIN_FILTER_TRUSTED, "BN-",
				    ":trusted" },
	[PLACE_FROM] = { PLACE_NETWORK, TABLE_FILTER, CHAIN_FILTER_FROM, "BN-", ":from" },
	[PLACE_GUARD] = { PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_GUARD, "BRIDGENET-GUARD" },
	[PLACE_NAT_PREROUTING] = { PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_PREROUTING, "PREROUTING" },
	[PLACE_NAT_OUTPUT] = { PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_OUTPUT, "OUTPUT" },
	[PLACE_INTERFACES] = { PLACE_NETWORK, TABLE_NAT, CHAIN_NAT_PREROUTING, "BN-", ":in" },
	[PLACE_PORTS] = { PLACE_BASE, TABLE_NAT, CHAIN_NAT_PORTS, "BRIDGENET" },
	[PLACE_NETWORK_PORTS] = { PLACE_NETWORK, TABLE_NAT, CHAIN_NAT_PORTS, "BN-", "" },
	[PLACE_POSTROUTING] = { PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_POSTROUTING, "POSTROUTING" },
	[PLACE_OWN_POSTROUTING] = { PLACE_BASE, TABLE_NAT, CHAIN_NAT_POSTROUTING,
				    "BRIDGENET-POSTROUTING" },
	[PLACE_NETWORK_POSTROUTING] = { PLACE_NETWORK, TABLE_NAT, CHAIN_NAT_POSTROUTING, "BN-",
					":post" },
};

/*
 * Where each kind stands, and where what it leads to does. What arrives for or from 127.0.0.0/8 by
 * another interface than lo has a chain of its own, so that other packets meet one rule a network
 * and not one for each loopback port.
 */
static const struct {
	uint8_t place, jump; /* enum place; jump: of a kind that leads on */
} kind_places[RULE_FOREIGN] = {
	[RULE_RAW_JUMP] = { PLACE_RAW_PREROUTING, PLACE_RAW },
	[RULE_LOOPBACK_JUMP] = { PLACE_RAW, PLACE_LOOPBACK },
	[RULE_LOOPBACK_SOURCE_JUMP] = { PLACE_RAW, PLACE_LOOPBACK },
	[RULE_NETWORK_RAW_JUMP] = { PLACE_RAW, PLACE_NETWORK_RAW },
	[RULE_NETWORK_RAW_SOURCE_JUMP] = { PLACE_RAW, PLACE_NETWORK_RAW },
	[RULE_LOOPBACK_PORT_DROP] = { PLACE_LOOPBACK, 0 },
	[RULE_LOOPBACK_DROP] = { PLACE_LOOPBACK, 0 },
	[RULE_LOOPBACK_SOURCE_DROP] = { PLACE_LOOPBACK, 0 },
	[RULE_DIRECT_DROP] = { PLACE_NETWORK_RAW, 0 },
	[RULE_ENDPOINT_SOURCE_DROP] = { PLACE_NETWORK_RAW, 0 },
	[RULE_SOURCES_GOTO] = { PLACE_RAW, PLACE_SOURCES },
	[RULE_OUTSIDE_JUMP] = { PLACE_RAW, PLACE_OUTSIDE },
	[RULE_SUBNET_SOURCE_DROP] = { PLACE_OUTSIDE, 0 },
	[RULE_SUBNET_DROP] = { PLACE_OUTSIDE, 0 },
	[RULE_SOURCE_DROP] = { PLACE_SOURCES, 0 },
	[RULE_DIRECT_JUMP] = { PLACE_MANGLE_PREROUTING, PLACE_NETWORK_DIRECT },
	[RULE_CONNECTIONS_JUMP] = { PLACE_MANGLE_PREROUTING, PLACE_CONNECTIONS },
	[RULE_CONNECTIONS_DROP] = { PLACE_CONNECTIONS, 0 },
	[RULE_TRUSTED_FORGED_DROP] = { PLACE_NETWORK_DIRECT, 0 },
	[RULE_DIRECT_NEW_DROP] = { PLACE_NETWORK_DIRECT, 0 },
	[RULE_INTERFACE_JUMP] = { PLACE_NAT_PREROUTING, PLACE_INTERFACES },
	[RULE_INTERFACE_DNAT] = { PLACE_INTERFACES, 0 },
	[RULE_PORTS_JUMP_PREROUTING] = { PLACE_NAT_PREROUTING, PLACE_PORTS },
	[RULE_PORTS_JUMP_OUTPUT] = { PLACE_NAT_OUTPUT, PLACE_PORTS },
	[RULE_HOST_PORTS_RETURN] = { PLACE_PORTS, 0 },
	[RULE_LINK_LOCAL_RETURN] = { PLACE_PORTS, 0 },
	[RULE_LOOPBACK_RETURN] = { PLACE_PORTS, 0 },
	[RULE_NETWORK_PORTS_JUMP] = { PLACE_PORTS, PLACE_NETWORK_PORTS },
	[RULE_PORT_DNAT] = { PLACE_NETWORK_PORTS, 0 },
	[RULE_HOST_JUMP] = { PLACE_INPUT, PLACE_HOST },
	[RULE_HOST_ESTABLISHED_RETURN] = { PLACE_HOST, 0 },
	[RULE_HOST_NEIGHBOURS_RETURN] = { PLACE_HOST, 0 },
	[RULE_HOST_ECHO_RETURN] = { PLACE_HOST, 0 },
	[RULE_HOST_DNS_RETURN] = { PLACE_HOST, 0 },
	[RULE_HOST_DNS_TCP_RETURN] = { PLACE_HOST, 0 },
	[RULE_HOST_DROP] = { PLACE_HOST, 0 },
	[RULE_NETWORK_CLAMP_JUMP] = { PLACE_MANGLE_FORWARD, PLACE_NETWORK_CLAMP },
	[RULE_CLAMP_FROM] = { PLACE_NETWORK_CLAMP, 0 },
	[RULE_CLAMP_TO] = { PLACE_NETWORK_CLAMP, 0 },
	[RULE_USER_JUMP] = { PLACE_FORWARD, PLACE_USER },
	[RULE_FORWARD_JUMP] = { PLACE_FORWARD, PLACE_OWN_FORWARD },
	[RULE_INTERNAL_DROP] = { PLACE_OWN_FORWARD, 0 },
	[RULE_TO_JUMP] = { PLACE_OWN_FORWARD, PLACE_TO },
	[RULE_FROM_JUMP] = { PLACE_OWN_FORWARD, PLACE_FROM },
	[RULE_GUARD_JUMP] = { PLACE_OWN_FORWARD, PLACE_GUARD },
	[RULE_ESTABLISHED_ACCEPT] = { PLACE_TO, 0 },
	[RULE_INTERNAL_TO_DROP] = { PLACE_TO, 0 },
	[RULE_LISTED_JUMP] = { PLACE_TO, PLACE_LISTS },
	[RULE_DNAT_ACCEPT] = { PLACE_TO, 0 },
	[RULE_BRIDGED_ACCEPT] = { PLACE_TO, 0 },
	[RULE_NEIGHBOUR_DROP] = { PLACE_TO, 0 },
	[RULE_PEERS_JUMP] = { PLACE_TO, PLACE_PEERS },
	[RULE_OPEN_JUMP] = { PLACE_TO, PLACE_OPEN },
	[RULE_UNPROTECTED_ACCEPT] = { PLACE_TO, 0 },
	[RULE_ROUTED_PORT_ACCEPT] = { PLACE_TO, 0 },
	[RULE_ROUTED_ECHO_ACCEPT] = { PLACE_TO, 0 },
	[RULE_TRUSTED_INTERFACE_JUMP] = { PLACE_TO, PLACE_NETWORK_TRUSTED },
	[RULE_TRUSTED_SOURCE_JUMP] = { PLACE_TO, PLACE_NETWORK_TRUSTED },
	[RULE_TRUSTED_PORT_ACCEPT] = { PLACE_NETWORK_TRUSTED, 0 },
	[RULE_UNPUBLISHED_DROP] = { PLACE_TO, 0 },
	[RULE_DENIED_DROP] = { PLACE_LISTS, 0 },
	[RULE_ALLOWED_RETURN] = { PLACE_LISTS, 0 },
	[RULE_OTHERS_DROP] = { PLACE_LISTS, 0 },
	[RULE_PEER_ACCEPT] = { PLACE_PEERS, 0 },
	[RULE_OPEN_ACCEPT] = { PLACE_OPEN, 0 },
	[RULE_INVALID_DROP] = { PLACE_FROM, 0 },
	[RULE_OUTGOING_ACCEPT] = { PLACE_FROM, 0 },
	[RULE_INTERNAL_FROM_DROP] = { PLACE_FROM, 0 },
	[RULE_GUARD_IN_RETURN] = { PLACE_GUARD, 0 },
	[RULE_GUARD_OUT_RETURN] = { PLACE_GUARD, 0 },
	[RULE_GUARD_BRIDGED_RETURN] = { PLACE_GUARD, 0 },
	[RULE_GUARD_DROP] = { PLACE_GUARD, 0 },
	[RULE_POSTROUTING_JUMP] = { PLACE_POSTROUTING, PLACE_OWN_POSTROUTING },
	[RULE_NETWORK_POSTROUTING_JUMP] = { PLACE_OWN_POSTROUTING, PLACE_NETWORK_POSTROUTING },
	[RULE_HAIRPIN_MASQUERADE] = { PLACE_NETWORK_POSTROUTING, 0 },
	[RULE_LOOPBACK_MASQUERADE] = { PLACE_NETWORK_POSTROUTING, 0 },
	[RULE_UNTRANSLATED_RETURN] = { PLACE_NETWORK_POSTROUTING, 0 },
	[RULE_SNAT] = { PLACE_NETWORK_POSTROUTING, 0 },
	[RULE_SNAT_KEEP] = { PLACE_NETWORK_POSTROUTING, 0 },
	[RULE_MASQUERADE] = { PLACE_NETWORK_POSTROUTING, 0 },
	[RULE_MASQUERADE_KEEP] = { PLACE_NETWORK_POSTROUTING, 0 },
};

static enum place foreign_place(const struct rule *rule)
{
	for (enum place i = 0; i < PLACE_COUNT; i++) {
		if (places[i].chain == rule->chain &&
		    places[i].type == (rule->network[0] ? PLACE_NETWORK : PLACE_BASE))
			return i;
	}
	return PLACE_USER;
}

/* Up to 5.6 the kernel shows postrouting no input device. */
uint32_t iptables_traits(const char *release)
{
	return IPTABLES_TRAITS & ~(firewall_kernel_is(release, 5, 7) ? 0 : PLAN_POSTROUTING_IN);
}

/* What tells of a drop stands where that does. */
static enum place kind_place(enum rule_kind kind)
{
	return kind_places[kind + (kind_of(kind)->target == TARGET_LOG)].place;
}

enum place rule_place(const struct rule *rule)
{
	return rule->kind == RULE_FOREIGN ? foreign_place(rule) : kind_place(rule->kind);
}

bool rule_in_any_order(const struct rule *rule)
{
	enum place place = rule_place(rule);

	/* there the next comes last, and no two of ours are about the same packets */
	if (places[place].type == PLACE_BUILTIN && places[place].table == TABLE_NAT)
		return true;
	/* their chains only drop, and no rule behind one lets anything pass */
	return rule->target == TARGET_DROP &&
	       (rule->chain == CHAIN_RAW_PREROUTING || rule->chain == CHAIN_MANGLE_DIRECT);
}

enum table_id rule_table(const struct rule *rule)
{
	return places[rule_place(rule)].table;
}

/* Without formats: each rule of thousands has the name of its chain made. */
static char *append(char *at, const char *end, const char *text)
{
	while (*text && at < end)
		*at++ = *text++;
	return at;
}

void place_chain(enum place place, const char *label, char name[static CHAIN_NAME_MAX])
{
	char *end = name + CHAIN_NAME_MAX - 1, *at = name;

	memset(name, 0, CHAIN_NAME_MAX);
	at = append(at, end, places[place].name);
	if (places[place].type != PLACE_NETWORK)
		return;
	at = append(at, end, label);
	append(at, end, places[place].end);
}

void iptables_chain_name(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	place_chain(rule_place(rule), rule->label, name);
}

enum place jump_place(const struct rule *rule)
{
	return kind_places[rule->kind].jump;
}

void iptables_jump_name(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	name[0] = '\0';
	if (!rule_leads_on(rule) || rule->kind == RULE_FOREIGN)
		return;
	place_chain(jump_place(rule), rule->label, name);
}

/* ---- reading ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

enum place network_place(enum table_id id, const char *chain)
{
	enum place plain = PLACE_COUNT;

	for (enum place i = 0; i < PLACE_COUNT; i++) {
		if (places[i].table != id || places[i].type != PLACE_NETWORK)
			continue;
		if (!places[i].end[0])
			plain = i;
		else if (ends_with(chain, places[i].end))
			return i;
	}
	return plain;
}

static bool leads_there(enum place place, const char *chain)
{
	if (places[place].type == PLACE_BASE)
		return strcmp(places[place].name, chain) == 0;
	return strncmp(chain, "BN-", 3) == 0 && network_place(places[place].table, chain) == place;
}

/* Whichever kernel it was written on. */
static bool fits(const struct rule *rule, const struct kind *kind)
{
	return rule_fits(rule, kind, 0) || rule_fits(rule, kind, PLAN_POSTROUTING_IN);
}

int place_read(enum place place, const struct table_entry *entry, struct rule *rule)
{
	int decoded = entry_decode(entry, rule);

	rule->chain = places[place].chain;
	rule->kind = RULE_FOREIGN;
	/* there port 53 is that of a mapping, and no question */
	if (place == PLACE_LISTS && rule->match & RULE_ASKED_DNS) {
		rule->match ^= RULE_ASKED_DNS | RULE_ORIGINAL;
		rule->host_port = 53;
		rule->count = 1;
	}
	for (enum rule_kind i = 0; decoded >= 0 && i < RULE_FOREIGN; i++) {
		if (kind_place(i) != place || kind_of(i)->needs & ~IPTABLES_TRAITS ||
		    !fits(rule, kind_of(i)) ||
		    (rule_leads_on(rule) && !leads_there(kind_places[i].jump, entry->target)))
			continue;
		rule->kind = i;
		rule->jump = kind_of(i)->jump;
		break;
	}
	return decoded;
}

bool place_is_node_jump(enum place place, int decoded, const struct rule *rule)
{
	return place == PLACE_NETWORK_PORTS && decoded == 0 && rule->target == TARGET_GOTO &&
	       rule->count;
}

/* ---- the tree ---- */

uint32_t node_span(const struct rule *rule)
{
	uint32_t last = rule->host_port + rule->count - 1u;

	if (rule->host_port / LEAF_PORTS == last / LEAF_PORTS)
		return LEAF_PORTS;
	return rule->host_port / BRANCH_PORTS == last / BRANCH_PORTS ? BRANCH_PORTS : 0;
}

void node_chain(const struct rule *rule, uint32_t span, const char *chain,
		char name[static CHAIN_NAME_MAX])
{
	unsigned int first = rule->host_port / span * span;
	char number[8], *digit = number + sizeof(number) - 1;
	char *end = name + CHAIN_NAME_MAX - 1, *at = name;

	*digit = '\0';
	if (span == BRANCH_PORTS) {
		*--digit = 'k';
		first /= 1024;
	}
	do
		*--digit = (char)('0' + first % 10);
	while (first /= 10);
	memset(name, 0, CHAIN_NAME_MAX);
	at = append(at, name + 18, chain);
	at = append(at, end, ":");
	at = append(at, end, protocol_name(rule->protocol));
	append(at, end, digit);
}

void node_jump(const struct rule *rule, uint32_t span, struct rule *ret_jump)
{
	uint32_t first = rule->host_port / span * span;

	*ret_jump = (struct rule){ .target = TARGET_GOTO,
				   .family = rule->family,
				   .protocol = rule->protocol,
				   .host_port = (uint16_t)first,
				   .count = (uint16_t)span };
	string_copy(ret_jump->network, sizeof(ret_jump->network), rule->network);
	string_copy(ret_jump->label, sizeof(ret_jump->label), rule->label);
}
