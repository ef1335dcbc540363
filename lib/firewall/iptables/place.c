/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The chains, which rule stands in which, and what kind a rule in one of them is. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"
#include "model/port.h"

const struct place_info places[PLACE_COUNT] = {
	[PLACE_RAW_PREROUTING] = { PLACE_BUILTIN, TABLE_RAW, CHAIN_RAW_PREROUTING, "PREROUTING" },
	[PLACE_RAW] = { PLACE_BASE, TABLE_RAW, CHAIN_RAW_PREROUTING, "BRIDGENET-RAW" },
	[PLACE_LOOPBACK] = { PLACE_BASE, TABLE_RAW, CHAIN_RAW_PREROUTING, "BRIDGENET-LOOPBACK" },
	[PLACE_NETWORK_RAW] = { PLACE_NETWORK, TABLE_RAW, CHAIN_RAW_PREROUTING, "BN-%s" },
	[PLACE_FORWARD] = { PLACE_BUILTIN, TABLE_FILTER, CHAIN_FILTER_FORWARD, "FORWARD" },
	[PLACE_USER] = { PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_USER, "BRIDGENET-USER" },
	[PLACE_OWN_FORWARD] = { PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_FORWARD,
				"BRIDGENET-FORWARD" },
	[PLACE_NETWORK_FORWARD] = { PLACE_NETWORK, TABLE_FILTER, CHAIN_FILTER_FORWARD, "BN-%s" },
	[PLACE_NAT_PREROUTING] = { PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_PREROUTING, "PREROUTING" },
	[PLACE_NAT_OUTPUT] = { PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_OUTPUT, "OUTPUT" },
	[PLACE_PORTS] = { PLACE_BASE, TABLE_NAT, CHAIN_NAT_PORTS, "BRIDGENET" },
	[PLACE_NETWORK_PORTS] = { PLACE_NETWORK, TABLE_NAT, CHAIN_NAT_PORTS, "BN-%s" },
	[PLACE_POSTROUTING] = { PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_POSTROUTING, "POSTROUTING" },
	[PLACE_OWN_POSTROUTING] = { PLACE_BASE, TABLE_NAT, CHAIN_NAT_POSTROUTING,
				    "BRIDGENET-POSTROUTING" },
	[PLACE_NETWORK_POSTROUTING] = { PLACE_NETWORK, TABLE_NAT, CHAIN_NAT_POSTROUTING,
					"BN-%s:post" },
};

/* Where each kind stands, and where it jumps to; in the order of the kinds. */
static const struct {
	enum rule_kind kind;
	uint8_t place, jump; /* enum place */
	bool any_order;      /* among what stands there: put in last, which is fast */
} kind_places[] = {
	{ .kind = RULE_RAW_JUMP, .place = PLACE_RAW_PREROUTING, .jump = PLACE_RAW },
	{ .kind = RULE_LOOPBACK_JUMP, .place = PLACE_RAW, .jump = PLACE_LOOPBACK },
	{ .kind = RULE_LOOPBACK_SOURCE_JUMP, .place = PLACE_RAW, .jump = PLACE_LOOPBACK },
	{ .kind = RULE_NETWORK_RAW_JUMP, .place = PLACE_RAW, .jump = PLACE_NETWORK_RAW },
	{ .kind = RULE_LOOPBACK_PORT_DROP, .place = PLACE_LOOPBACK, .any_order = true },
	{ .kind = RULE_LOOPBACK_DROP, .place = PLACE_LOOPBACK },
	{ .kind = RULE_LOOPBACK_SOURCE_DROP, .place = PLACE_LOOPBACK },
	{ .kind = RULE_DIRECT_DROP, .place = PLACE_NETWORK_RAW, .any_order = true },
	{ .kind = RULE_PORTS_JUMP_PREROUTING, .place = PLACE_NAT_PREROUTING, .jump = PLACE_PORTS },
	{ .kind = RULE_PORTS_JUMP_OUTPUT, .place = PLACE_NAT_OUTPUT, .jump = PLACE_PORTS },
	{ .kind = RULE_PORTS_JUMP_OUTPUT_IPV6, .place = PLACE_NAT_OUTPUT, .jump = PLACE_PORTS },
	{ .kind = RULE_NETWORK_PORTS_JUMP, .place = PLACE_PORTS, .jump = PLACE_NETWORK_PORTS },
	{ .kind = RULE_PORT_DNAT, .place = PLACE_NETWORK_PORTS },
	{ .kind = RULE_USER_JUMP, .place = PLACE_FORWARD, .jump = PLACE_USER },
	{ .kind = RULE_FORWARD_JUMP, .place = PLACE_FORWARD, .jump = PLACE_OWN_FORWARD },
	{ .kind = RULE_ESTABLISHED_ACCEPT, .place = PLACE_OWN_FORWARD },
	{ .kind = RULE_DNAT_ACCEPT, .place = PLACE_OWN_FORWARD },
	{ .kind = RULE_NETWORK_FORWARD_JUMP,
	  .place = PLACE_OWN_FORWARD,
	  .jump = PLACE_NETWORK_FORWARD },
	{ .kind = RULE_BRIDGED_ACCEPT, .place = PLACE_NETWORK_FORWARD },
	{ .kind = RULE_UNPUBLISHED_DROP, .place = PLACE_NETWORK_FORWARD },
	/* behind the drops of all networks, or one would open the others */
	{ .kind = RULE_OUTGOING_ACCEPT, .place = PLACE_OWN_FORWARD },
	{
		.kind = RULE_POSTROUTING_JUMP,
		.place = PLACE_POSTROUTING,
		.jump = PLACE_OWN_POSTROUTING,
	},
	{ .kind = RULE_NETWORK_POSTROUTING_JUMP,
	  .place = PLACE_OWN_POSTROUTING,
	  .jump = PLACE_NETWORK_POSTROUTING },
	{ .kind = RULE_HAIRPIN_MASQUERADE, .place = PLACE_NETWORK_POSTROUTING },
	{ .kind = RULE_LOOPBACK_MASQUERADE, .place = PLACE_NETWORK_POSTROUTING },
	{ .kind = RULE_MASQUERADE, .place = PLACE_NETWORK_POSTROUTING },
};
_Static_assert(ARRAY_SIZE(kind_places) == RULE_FOREIGN, "each kind has its line");

static enum place foreign_place(const struct rule *rule)
{
	for (enum place i = 0; i < PLACE_COUNT; i++) {
		if (places[i].chain == rule->chain &&
		    places[i].type == (rule->network[0] ? PLACE_NETWORK : PLACE_BASE))
			return i;
	}
	return PLACE_USER;
}

enum place rule_place(const struct rule *rule)
{
	return rule->kind == RULE_FOREIGN ? foreign_place(rule) : kind_places[rule->kind].place;
}

bool rule_in_any_order(const struct rule *rule)
{
	return rule->kind != RULE_FOREIGN && kind_places[rule->kind].any_order;
}

enum table_id rule_table(const struct rule *rule)
{
	return places[rule_place(rule)].table;
}

void place_chain(enum place place, const char *label, char name[static CHAIN_NAME_MAX])
{
	const char *format = places[place].name;
	const char *gap = strstr(format, "%s");

	memset(name, 0, CHAIN_NAME_MAX);
	if (gap)
		snprintf(name, CHAIN_NAME_MAX, "%.*s%s%s", (int)(gap - format), format, label,
			 gap + 2);
	else
		snprintf(name, CHAIN_NAME_MAX, "%s", format);
}

void iptables_chain_name(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	char label[NETWORK_LABEL_MAX];

	network_label(rule->network, label);
	place_chain(rule_place(rule), label, name);
}

void iptables_jump_name(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	char label[NETWORK_LABEL_MAX];

	name[0] = '\0';
	if (rule->target != TARGET_JUMP || rule->kind == RULE_FOREIGN)
		return;
	network_label(rule->network, label);
	place_chain(kind_places[rule->kind].jump, label, name);
}

/* ---- reading ---- */

static bool jumps_there(enum rule_kind kind, const char *jump)
{
	const struct place_info *target = &places[kind_places[kind].jump];

	if (target->type == PLACE_BASE)
		return strcmp(target->name, jump) == 0;
	return strncmp(jump, "BN-", 3) == 0;
}

void place_classify(enum place place, const char *jump, struct rule *rule)
{
	rule->chain = places[place].chain;
	rule->kind = RULE_FOREIGN;
	for (enum rule_kind kind = 0; kind < RULE_FOREIGN; kind++) {
		if (kind_places[kind].place != place ||
		    !rule_fits(rule, kind_of(kind), IPTABLES_TRAITS) ||
		    (rule->target == TARGET_JUMP && !jumps_there(kind, jump)))
			continue;
		rule->kind = kind;
		rule->jump = kind_of(kind)->jump;
		return;
	}
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
	char number[8];

	if (span == BRANCH_PORTS)
		snprintf(number, sizeof(number), "%uk", first / 1024 & 0x7f);
	else
		snprintf(number, sizeof(number), "%u", first & 0xffff);
	memset(name, 0, CHAIN_NAME_MAX);
	snprintf(name, CHAIN_NAME_MAX, "%.18s:%.4s%s", chain, protocol_name(rule->protocol),
		 number);
}

void node_jump(const struct rule *rule, uint32_t span, struct rule *ret_jump)
{
	uint32_t first = rule->host_port / span * span;

	*ret_jump = (struct rule){ .target = TARGET_JUMP,
				   .family = rule->family,
				   .protocol = rule->protocol,
				   .host_port = (uint16_t)first,
				   .count = (uint16_t)span };
	string_copy(ret_jump->network, sizeof(ret_jump->network), rule->network);
}
