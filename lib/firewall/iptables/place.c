/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The chains, which rule stands in which, and what kind a rule in one of them is. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"
#include "model/port.h"

/* clang-format off */
const struct place_info places[PLACE_COUNT] = {
	[PLACE_RAW_PREROUTING] = {PLACE_BUILTIN, TABLE_RAW, CHAIN_RAW_PREROUTING, "PREROUTING"},
	[PLACE_RAW] = {PLACE_BASE, TABLE_RAW, CHAIN_RAW_PREROUTING, "BRIDGENET-RAW"},
	[PLACE_LOOPBACK] = {PLACE_BASE, TABLE_RAW, CHAIN_RAW_PREROUTING, "BRIDGENET-LOOPBACK"},
	[PLACE_NETWORK_RAW] = {PLACE_NETWORK, TABLE_RAW, CHAIN_RAW_PREROUTING, "BN-%s"},
	[PLACE_FORWARD] = {PLACE_BUILTIN, TABLE_FILTER, CHAIN_FILTER_FORWARD, "FORWARD"},
	[PLACE_USER] = {PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_USER, "BRIDGENET-USER"},
	[PLACE_OWN_FORWARD] = {PLACE_BASE, TABLE_FILTER, CHAIN_FILTER_FORWARD, "BRIDGENET-FORWARD"},
	[PLACE_NETWORK_FORWARD] = {PLACE_NETWORK, TABLE_FILTER, CHAIN_FILTER_FORWARD, "BN-%s"},
	[PLACE_NAT_PREROUTING] = {PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_PREROUTING, "PREROUTING"},
	[PLACE_NAT_OUTPUT] = {PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_OUTPUT, "OUTPUT"},
	[PLACE_PORTS] = {PLACE_BASE, TABLE_NAT, CHAIN_NAT_PORTS, "BRIDGENET"},
	[PLACE_NETWORK_PORTS] = {PLACE_NETWORK, TABLE_NAT, CHAIN_NAT_PORTS, "BN-%s"},
	[PLACE_POSTROUTING] = {PLACE_BUILTIN, TABLE_NAT, CHAIN_NAT_POSTROUTING, "POSTROUTING"},
	[PLACE_OWN_POSTROUTING] = {PLACE_BASE, TABLE_NAT, CHAIN_NAT_POSTROUTING,
				   "BRIDGENET-POSTROUTING"},
	[PLACE_NETWORK_POSTROUTING] = {PLACE_NETWORK, TABLE_NAT, CHAIN_NAT_POSTROUTING,
				       "BN-%s:post"},
};
/* clang-format on */

/* Which fields of a rule are set. */
#define HAS_IN 0x1u
#define HAS_IN_NOT 0x2u
#define HAS_OUT 0x4u
#define HAS_OUT_NOT 0x8u
#define HAS_SOURCE 0x10u
#define HAS_DESTINATION 0x20u
#define HAS_DESTINATION_NOT 0x40u
#define HAS_PORTS 0x80u

static const struct {
	uint8_t place;            /* enum place */
	uint8_t jump;             /* enum place, of a rule that jumps */
	uint8_t fields, optional; /* HAS_* */
} kinds[RULE_KIND_COUNT] = {
	[RULE_RAW_JUMP] = { PLACE_RAW_PREROUTING, PLACE_RAW, 0, 0 },
	[RULE_LOOPBACK_JUMP] = { PLACE_RAW, PLACE_LOOPBACK, HAS_IN | HAS_IN_NOT | HAS_DESTINATION,
				 0 },
	[RULE_LOOPBACK_SOURCE_JUMP] = { PLACE_RAW, PLACE_LOOPBACK, HAS_IN | HAS_IN_NOT | HAS_SOURCE,
					0 },
	[RULE_NETWORK_RAW_JUMP] = { PLACE_RAW, PLACE_NETWORK_RAW,
				    HAS_IN | HAS_IN_NOT | HAS_DESTINATION, 0 },
	[RULE_LOOPBACK_PORT_DROP] = { PLACE_LOOPBACK, 0,
				      HAS_IN | HAS_IN_NOT | HAS_DESTINATION | HAS_PORTS, 0 },
	[RULE_LOOPBACK_DROP] = { PLACE_LOOPBACK, 0, HAS_IN | HAS_DESTINATION, 0 },
	[RULE_LOOPBACK_SOURCE_DROP] = { PLACE_LOOPBACK, 0, HAS_IN | HAS_SOURCE, 0 },
	[RULE_DIRECT_DROP] = { PLACE_NETWORK_RAW, 0, HAS_IN | HAS_IN_NOT | HAS_DESTINATION, 0 },
	[RULE_PORTS_JUMP_PREROUTING] = { PLACE_NAT_PREROUTING, PLACE_PORTS, 0, 0 },
	[RULE_PORTS_JUMP_OUTPUT] = { PLACE_NAT_OUTPUT, PLACE_PORTS, 0,
				     HAS_DESTINATION | HAS_DESTINATION_NOT },
	[RULE_NETWORK_PORTS_JUMP] = { PLACE_PORTS, PLACE_NETWORK_PORTS, 0, 0 },
	[RULE_PORT_DNAT] = { PLACE_NETWORK_PORTS, 0, HAS_PORTS, HAS_DESTINATION },
	[RULE_USER_JUMP] = { PLACE_FORWARD, PLACE_USER, 0, 0 },
	[RULE_FORWARD_JUMP] = { PLACE_FORWARD, PLACE_OWN_FORWARD, 0, 0 },
	[RULE_ESTABLISHED_ACCEPT] = { PLACE_OWN_FORWARD, 0, 0, 0 },
	[RULE_DNAT_ACCEPT] = { PLACE_OWN_FORWARD, 0, 0, 0 },
	[RULE_NETWORK_FORWARD_JUMP] = { PLACE_OWN_FORWARD, PLACE_NETWORK_FORWARD, HAS_OUT, 0 },
	[RULE_BRIDGED_ACCEPT] = { PLACE_NETWORK_FORWARD, 0, HAS_IN | HAS_OUT, 0 },
	[RULE_UNPUBLISHED_DROP] = { PLACE_NETWORK_FORWARD, 0, HAS_OUT, 0 },
	[RULE_OUTGOING_ACCEPT] = { PLACE_OWN_FORWARD, 0, HAS_IN, 0 },
	[RULE_POSTROUTING_JUMP] = { PLACE_POSTROUTING, PLACE_OWN_POSTROUTING, 0, 0 },
	[RULE_NETWORK_POSTROUTING_JUMP] = { PLACE_OWN_POSTROUTING, PLACE_NETWORK_POSTROUTING, 0,
					    0 },
	[RULE_HAIRPIN_MASQUERADE] = { PLACE_NETWORK_POSTROUTING, 0, HAS_SOURCE | HAS_OUT, 0 },
	[RULE_LOOPBACK_MASQUERADE] = { PLACE_NETWORK_POSTROUTING, 0, HAS_SOURCE | HAS_OUT, 0 },
	[RULE_MASQUERADE] = { PLACE_NETWORK_POSTROUTING, 0, HAS_SOURCE | HAS_OUT | HAS_OUT_NOT, 0 },
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

enum place rule_place(const struct rule *rule)
{
	return rule->kind == RULE_FOREIGN ? foreign_place(rule) : kinds[rule->kind].place;
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
	place_chain(kinds[rule->kind].jump, label, name);
}

/* ---- reading ---- */

static uint8_t fields_of(const struct rule *rule)
{
	uint8_t fields = 0;

	fields |= rule->in[0] ? HAS_IN : 0;
	fields |= rule->in_not ? HAS_IN_NOT : 0;
	fields |= rule->out[0] ? HAS_OUT : 0;
	fields |= rule->out_not ? HAS_OUT_NOT : 0;
	fields |= rule->source.addr.family ? HAS_SOURCE : 0;
	fields |= rule->destination.addr.family ? HAS_DESTINATION : 0;
	fields |= rule->destination_not ? HAS_DESTINATION_NOT : 0;
	fields |= rule->host_port ? HAS_PORTS : 0;
	return fields;
}

/* What all rules of the kind have is what this one has. */
static bool fits(const struct rule *rule, const struct rule *pattern)
{
	if (pattern->target != rule->target || pattern->match != rule->match ||
	    (fields_of(rule) & ~kinds[pattern->kind].optional) != kinds[pattern->kind].fields)
		return false;
	if (pattern->in[0] && strcmp(pattern->in, rule->in) != 0)
		return false;
	if (pattern->source.addr.family && prefix_compare(&pattern->source, &rule->source) != 0)
		return false;
	return !pattern->destination.addr.family ||
	       prefix_compare(&pattern->destination, &rule->destination) == 0;
}

static bool jumps_there(enum rule_kind kind, const char *jump)
{
	const struct place_info *target = &places[kinds[kind].jump];

	if (target->type == PLACE_BASE)
		return strcmp(target->name, jump) == 0;
	return strncmp(jump, "BN-", 3) == 0;
}

void place_classify(enum place place, const char *jump, struct rule *rule)
{
	struct rule pattern;

	rule->chain = places[place].chain;
	rule->kind = RULE_FOREIGN;
	for (enum rule_kind kind = 0; kind < RULE_FOREIGN; kind++) {
		if (kinds[kind].place != place)
			continue;
		rule_init(&pattern, kind, rule->family);
		if (!fits(rule, &pattern) ||
		    (rule->target == TARGET_JUMP && !jumps_there(kind, jump)))
			continue;
		rule->kind = kind;
		rule->jump = pattern.jump;
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
