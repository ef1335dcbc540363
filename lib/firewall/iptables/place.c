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

/* Of each chain of the plan: the kernel's, our own, and a network's; PLACE_COUNT: none. */
static const struct {
	enum place builtin, own, network;
} chain_places[CHAIN_COUNT] = {
	[CHAIN_RAW_PREROUTING] = { PLACE_RAW_PREROUTING, PLACE_RAW, PLACE_NETWORK_RAW },
	[CHAIN_NAT_PREROUTING] = { PLACE_NAT_PREROUTING, PLACE_COUNT, PLACE_COUNT },
	[CHAIN_NAT_OUTPUT] = { PLACE_NAT_OUTPUT, PLACE_COUNT, PLACE_COUNT },
	[CHAIN_NAT_PORTS] = { PLACE_COUNT, PLACE_PORTS, PLACE_NETWORK_PORTS },
	[CHAIN_FILTER_FORWARD] = { PLACE_FORWARD, PLACE_OWN_FORWARD, PLACE_NETWORK_FORWARD },
	[CHAIN_FILTER_USER] = { PLACE_COUNT, PLACE_USER, PLACE_COUNT },
	[CHAIN_NAT_POSTROUTING] = { PLACE_POSTROUTING, PLACE_OWN_POSTROUTING,
				    PLACE_NETWORK_POSTROUTING },
};

/* What arrives for or from 127.0.0.0/8 by another interface than lo has a chain of its own, so that
 * other packets meet one rule a network and not one for each loopback port. */
static bool is_about_loopback(const struct kind *kind)
{
	return kind->chain == CHAIN_RAW_PREROUTING &&
	       (addr_is_loopback(&kind->source.fixed.addr) ||
		addr_is_loopback(&kind->destination.fixed.addr) ||
		kind->destination.is == ADDRESS_HOST);
}

/* The jump to the chain of a network; NULL if there is none. */
static const struct kind *network_jump(enum rule_chain chain)
{
	for (enum rule_kind i = 0; i < RULE_FOREIGN; i++) {
		const struct kind *kind = kind_of(i);

		if (kind->chain == chain && kind->scope == PLAN_NETWORKS &&
		    kind->target == TARGET_JUMP)
			return kind;
	}
	return NULL;
}

/* Does the jump to a network's chain let in all that rules of this kind match? */
static bool lets_in(const struct kind *jump, const struct kind *kind)
{
	bool in = jump->in.is == DEVICE_ANY ||
		  (jump->in.is == kind->in.is && jump->in.negated == kind->in.negated);
	bool out = jump->out.is == DEVICE_ANY ||
		   (jump->out.is == kind->out.is && jump->out.negated == kind->out.negated);
	bool within = kind->destination.is == ADDRESS_SUBNET ||
		      kind->destination.is == ADDRESS_ENDPOINT;

	return in && out &&
	       (jump->destination.is == ADDRESS_ANY || (within && !kind->destination.negated));
}

/* A rule about a network stands in the network's chain, if the jump there lets in what it is about;
 * any other in ours. From the kernel's chains only jumps of the base lead on. */
static enum place kind_place(const struct kind *kind)
{
	const struct kind *jump;

	if (is_about_loopback(kind))
		return kind->target == TARGET_JUMP ? PLACE_RAW : PLACE_LOOPBACK;
	if (kind->scope == PLAN_BASE && kind->target == TARGET_JUMP)
		return chain_places[kind->chain].builtin;
	if (kind->scope == PLAN_BASE || kind->target == TARGET_JUMP)
		return chain_places[kind->chain].own;
	jump = network_jump(kind->chain);
	return jump && lets_in(jump, kind) ? chain_places[kind->chain].network :
					     chain_places[kind->chain].own;
}

static enum place kind_jump(const struct kind *kind)
{
	if (is_about_loopback(kind))
		return PLACE_LOOPBACK;
	return kind->scope == PLAN_BASE ? chain_places[kind->jump].own :
					  chain_places[kind->jump].network;
}

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
	return rule->kind == RULE_FOREIGN ? foreign_place(rule) : kind_place(kind_of(rule->kind));
}

bool rule_in_any_order(const struct rule *rule)
{
	const struct kind *kind = kind_of(rule->kind);

	/* that of each endpoint and port there only drops, and no rule behind it accepts */
	return kind->chain == CHAIN_RAW_PREROUTING && kind->target == TARGET_DROP &&
	       kind->scope & (PLAN_ENDPOINTS | PLAN_PORTS);
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
	place_chain(kind_jump(kind_of(rule->kind)), label, name);
}

/* ---- reading ---- */

static bool jumps_there(const struct kind *kind, const char *jump)
{
	const struct place_info *target = &places[kind_jump(kind)];

	if (target->type == PLACE_BASE)
		return strcmp(target->name, jump) == 0;
	return strncmp(jump, "BN-", 3) == 0;
}

int place_read(enum place place, const struct table_entry *entry, struct rule *rule)
{
	int decoded = entry_decode(entry, rule);

	rule->chain = places[place].chain;
	rule->kind = RULE_FOREIGN;
	for (enum rule_kind i = 0; decoded >= 0 && i < RULE_FOREIGN; i++) {
		const struct kind *kind = kind_of(i);

		if (kind->chain != rule->chain || !rule_fits(rule, kind, IPTABLES_TRAITS) ||
		    kind_place(kind) != place ||
		    (rule->target == TARGET_JUMP && !jumps_there(kind, entry->target)))
			continue;
		rule->kind = i;
		rule->jump = kind->jump;
		break;
	}
	return decoded;
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
