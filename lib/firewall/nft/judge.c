/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A packet of a network in a chain of others: rule by rule, as far as it is known (passage.h). */
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>
#include <net/if.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "firewall/nft/others.h"

#define STEPS_MAX 100000 /* rules that are looked at; chains may be come to many times */
#define DEPTH_MAX 16     /* as the kernel has it */
#define WORDS 16

/* Of what no rule can be told that reads it all is unknown. */
struct registers {
	uint8_t data[FACT_MAX], known[FACT_MAX];
	bool narrow[WORDS];
};

struct judging {
	struct others *others;
	const struct packet *packet;
	size_t steps;
	bool may_pass;
	int r;
	char *cause; /* BARRIER_TEXT */
};

/* A rule, as far as it was read. */
struct reading {
	struct judging *judging;
	struct registers registers;
	enum match match;
	bool decides;
	int verdict; /* NF_*, NFT_* */
	const char *chain;
};

/* ---- registers ---- */

static size_t register_offset(uint32_t number)
{
	if (number >= NFT_REG_1 && number <= NFT_REG_4)
		return (number - NFT_REG_1) * 16;
	if (number >= NFT_REG32_00 && number <= NFT_REG32_15)
		return (number - NFT_REG32_00) * 4;
	return FACT_MAX;
}

static void store(struct registers *registers, uint32_t number, const struct fact *fact)
{
	size_t offset = register_offset(number);

	for (size_t i = 0; i < fact->len && offset + i < FACT_MAX; i++) {
		registers->data[offset + i] = fact->data[i];
		registers->known[offset + i] = fact->known[i];
		registers->narrow[(offset + i) / 4] = fact->narrow;
	}
}

/* It is narrow if all is that is not known of it. */
static void load(const struct registers *registers, uint32_t number, size_t len, struct fact *fact)
{
	size_t offset = register_offset(number);

	fact_unknown(fact, len, true);
	for (size_t i = 0; i < fact->len && offset + i < FACT_MAX; i++) {
		fact->data[i] = registers->data[offset + i];
		fact->known[i] = registers->known[offset + i];
		if (fact->known[i] != 0xff && !registers->narrow[(offset + i) / 4])
			fact->narrow = false;
	}
}

static void forget_registers(struct registers *registers)
{
	*registers = (struct registers){ 0 };
	memset(registers->narrow, true, sizeof(registers->narrow));
}

/* ---- what is loaded ---- */

static void load_index(const char *name, struct fact *fact)
{
	uint32_t index = name[0] ? if_nametoindex(name) : 0;

	if (index)
		fact_know(fact, &index, sizeof(index));
	else
		fact_unknown(fact, sizeof(index), false);
}

/* Of the network's own device. */
static void load_kind(bool is_bridge, struct fact *fact)
{
	static const char bridge[IFNAMSIZ] = "bridge";

	if (is_bridge)
		fact_know(fact, bridge, sizeof(bridge));
	else
		fact_unknown(fact, sizeof(bridge), false);
}

static void read_meta(struct reading *reading, const struct nftnl_expr *expression)
{
	const struct packet *packet = reading->judging->packet;
	uint8_t family = packet->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6, host = 0;
	uint16_t protocol = htons(packet->family == AF_INET ? 0x0800 : 0x86dd);
	struct fact fact;

	if (!nftnl_expr_is_set(expression, NFTNL_EXPR_META_DREG))
		return;
	switch (nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY)) {
	case NFT_META_IIFNAME:
		fact_interface(&fact, packet->in);
		break;
	case NFT_META_OIFNAME:
		fact_interface(&fact, packet->out);
		break;
	case NFT_META_IIF:
		load_index(packet->in, &fact);
		break;
	case NFT_META_OIF:
		load_index(packet->out, &fact);
		break;
	case NFT_META_IIFKIND:
		load_kind(packet->from_network, &fact);
		break;
	case NFT_META_OIFKIND:
		load_kind(!packet->from_network, &fact);
		break;
	case NFT_META_NFPROTO:
		fact_know(&fact, &family, sizeof(family));
		break;
	case NFT_META_PROTOCOL:
		fact_know(&fact, &protocol, sizeof(protocol));
		break;
	case NFT_META_PKTTYPE:
		fact_know(&fact, &host, sizeof(host));
		break;
	default:
		fact_unknown(&fact, 16, true);
	}
	store(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_META_DREG), &fact);
}

static void read_ct(struct reading *reading, const struct nftnl_expr *expression)
{
	const struct packet *packet = reading->judging->packet;
	uint32_t state = packet->established ? XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) :
					       XT_CONNTRACK_STATE_BIT(IP_CT_NEW);
	uint32_t dnat = IPS_DST_NAT, status = packet->translated ? IPS_DST_NAT : 0;
	struct fact fact;

	if (!nftnl_expr_is_set(expression, NFTNL_EXPR_CT_DREG))
		return;
	switch (nftnl_expr_get_u32(expression, NFTNL_EXPR_CT_KEY)) {
	case NFT_CT_STATE:
		fact_know(&fact, &state, sizeof(state));
		break;
	case NFT_CT_STATUS:
		fact_know(&fact, &status, sizeof(status));
		fact.narrow = true;
		memcpy(fact.known, &dnat, sizeof(dnat));
		break;
	default:
		fact_unknown(&fact, 16, true);
	}
	store(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_CT_DREG), &fact);
}

/* A part of an address, as nft(8) loads only what a prefix has. */
static bool read_address(const struct packet *packet, uint32_t offset, uint32_t len,
			 struct fact *fact)
{
	uint32_t size = (uint32_t)addr_size(packet->family);
	uint32_t source = packet->family == AF_INET ? 12 : 8;
	bool is_source = offset >= source && offset + len <= source + size;
	uint32_t at = offset - (is_source ? source : source + size);

	if (!is_source && (offset < source + size || offset + len > source + 2 * size))
		return false;
	fact_address(fact, is_source ? packet->source : packet->destination, packet->family);
	memmove(fact->data, fact->data + at, len);
	memmove(fact->known, fact->known + at, len);
	fact->len = len;
	return true;
}

static void read_payload(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t offset = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET);
	uint32_t len = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_LEN);
	struct fact fact;

	if (!nftnl_expr_is_set(expression, NFTNL_EXPR_PAYLOAD_DREG))
		return;
	if (nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_BASE) != NFT_PAYLOAD_NETWORK_HEADER ||
	    !read_address(reading->judging->packet, offset, len, &fact))
		fact_unknown(&fact, len, true);
	store(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_DREG), &fact);
}

static void read_bitwise(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t mask_len = 0, xor_len = 0;
	const uint8_t *mask = nftnl_expr_get(expression, NFTNL_EXPR_BITWISE_MASK, &mask_len);
	const uint8_t *bits = nftnl_expr_get(expression, NFTNL_EXPR_BITWISE_XOR, &xor_len);
	struct fact fact;

	load(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_BITWISE_SREG),
	     nftnl_expr_get_u32(expression, NFTNL_EXPR_BITWISE_LEN), &fact);
	/* a shift */
	if (!mask || !bits || mask_len < fact.len || xor_len < fact.len)
		fact_unknown(&fact, fact.len, fact.narrow);
	for (size_t i = 0; mask && bits && i < fact.len && i < mask_len && i < xor_len; i++) {
		fact.data[i] = (uint8_t)((fact.data[i] & mask[i]) ^ bits[i]);
		fact.known[i] |= (uint8_t)~mask[i];
	}
	store(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_BITWISE_DREG), &fact);
}

/* ---- what is compared ---- */

static enum match not_known(const struct fact *fact)
{
	return fact->narrow ? MATCH_NARROW : MATCH_MAYBE;
}

/* first, last: both in it; NULL: without that end. Numbers as they come over the wire. */
static enum match match_range(const struct fact *fact, const uint8_t *first, const uint8_t *last)
{
	uint8_t lowest[FACT_MAX], highest[FACT_MAX];

	for (size_t i = 0; i < fact->len; i++) {
		lowest[i] = fact->data[i] & fact->known[i];
		highest[i] = lowest[i] | (uint8_t)~fact->known[i];
	}
	if ((first && memcmp(highest, first, fact->len) < 0) ||
	    (last && memcmp(lowest, last, fact->len) > 0))
		return MATCH_NO;
	if ((!first || memcmp(lowest, first, fact->len) >= 0) &&
	    (!last || memcmp(highest, last, fact->len) <= 0))
		return MATCH_YES;
	return not_known(fact);
}

static enum match read_compare(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t len = 0;
	const uint8_t *data = nftnl_expr_get(expression, NFTNL_EXPR_CMP_DATA, &len);
	struct fact fact;

	load(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_SREG), len, &fact);
	if (!data || len > FACT_MAX)
		return MATCH_NARROW;
	switch (nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_OP)) {
	case NFT_CMP_EQ:
		return fact_match(&fact, data, NULL, len);
	case NFT_CMP_NEQ:
		return match_not(fact_match(&fact, data, NULL, len));
	case NFT_CMP_GTE:
		return match_range(&fact, data, NULL);
	case NFT_CMP_LTE:
		return match_range(&fact, NULL, data);
	case NFT_CMP_LT:
		return match_not(match_range(&fact, data, NULL));
	default:
		return match_not(match_range(&fact, NULL, data));
	}
}

static enum match read_range(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t from_len = 0, to_len = 0;
	const uint8_t *from = nftnl_expr_get(expression, NFTNL_EXPR_RANGE_FROM_DATA, &from_len);
	const uint8_t *to = nftnl_expr_get(expression, NFTNL_EXPR_RANGE_TO_DATA, &to_len);
	enum match match;
	struct fact fact;

	if (!from || !to || from_len != to_len || from_len > FACT_MAX)
		return MATCH_NARROW;
	load(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_RANGE_SREG), from_len,
	     &fact);
	match = match_range(&fact, from, to);
	return nftnl_expr_get_u32(expression, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_NEQ ?
		       match_not(match) :
		       match;
}

/* ---- sets and maps ---- */

static enum match match_element(const struct others_set *set, size_t i, const struct fact *fact)
{
	const struct others_element *element = &set->elements.items[i];
	uint8_t last[FACT_MAX];
	size_t at = fact->len;

	if (element->end)
		return MATCH_NO;
	if (!set->intervals)
		return fact_match(fact, element->key, NULL, fact->len);
	if (i + 1 >= set->elements.len)
		return match_range(fact, element->key, NULL);
	/* the next key is the first that is not in it */
	memcpy(last, set->elements.items[i + 1].key, sizeof(last));
	while (at && !last[at - 1]--)
		at--;
	return match_range(fact, element->key, last);
}

static void take_verdict(struct reading *reading, int verdict, const char *chain)
{
	reading->decides = true;
	reading->verdict = verdict;
	reading->chain = chain;
}

static bool is_blank(const struct fact *fact)
{
	for (size_t i = 0; i < fact->len; i++)
		if (fact->known[i])
			return false;
	return true;
}

/* The best match there is, and what it leads to. */
static enum match look_up(struct reading *reading, const char *name, uint32_t sreg, bool is_map)
{
	const struct others_set *set;
	enum match best = MATCH_NO;
	struct fact fact;

	/* a set that says nothing of the network is not read, however large */
	load(&reading->registers, sreg, FACT_MAX, &fact);
	if (is_blank(&fact)) {
		load(&reading->registers, sreg, 4, &fact);
		return not_known(&fact);
	}
	set = others_set(reading->judging->others, name, &reading->judging->r);
	if (!set)
		return MATCH_NARROW;
	for (size_t i = 0; i < set->elements.len; i++) {
		enum match match;

		load(&reading->registers, sreg, set->elements.items[i].len, &fact);
		match = match_element(set, i, &fact);
		if (match <= best)
			continue;
		best = match;
		if (is_map)
			take_verdict(reading, set->elements.items[i].verdict,
				     set->elements.items[i].chain);
	}
	return set->odd ? MATCH_MAYBE : best;
}

static enum match read_lookup(struct reading *reading, const struct nftnl_expr *expression)
{
	const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_LOOKUP_SET);
	bool has_result = nftnl_expr_is_set(expression, NFTNL_EXPR_LOOKUP_DREG);
	uint32_t result = has_result ? nftnl_expr_get_u32(expression, NFTNL_EXPR_LOOKUP_DREG) :
				       NFT_REG_1;
	bool is_map = has_result && result == NFT_REG_VERDICT;
	enum match match;
	struct fact unknown;

	if (!name)
		return MATCH_NARROW;
	match = look_up(reading, name, nftnl_expr_get_u32(expression, NFTNL_EXPR_LOOKUP_SREG),
			is_map);
	if (has_result && !is_map) {
		fact_unknown(&unknown, 16, false);
		store(&reading->registers, result, &unknown);
	}
	/* what is not in a map goes on to the next rule */
	if (is_map && match == MATCH_NO)
		return MATCH_NO;
	return nftnl_expr_get_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV ?
		       match_not(match) :
		       match;
}

/* ---- a rule ---- */

static void read_immediate(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t len = 0;
	const void *data;
	struct fact fact;

	if (nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT)) {
		take_verdict(reading, (int)nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT),
			     nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN));
		return;
	}
	data = nftnl_expr_get(expression, NFTNL_EXPR_IMM_DATA, &len);
	if (!data || len > FACT_MAX)
		return;
	fact_know(&fact, data, len);
	store(&reading->registers, nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_DREG), &fact);
}

static enum match read_xtables(struct reading *reading, const struct nftnl_expr *expression)
{
	uint32_t len = 0;
	const void *data = nftnl_expr_get(expression, NFTNL_EXPR_MT_INFO, &len);

	return xtables_match(nftnl_expr_get_str(expression, NFTNL_EXPR_MT_NAME),
			     (uint8_t)nftnl_expr_get_u32(expression, NFTNL_EXPR_MT_REV), data,
			     data ? len : 0, reading->judging->packet);
}

static void read_target(struct reading *reading, const struct nftnl_expr *expression)
{
	const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_TG_NAME);

	if (strcmp(name, "REJECT") == 0 || strcmp(name, "DROP") == 0)
		take_verdict(reading, NF_DROP, NULL);
	else if (strcmp(name, "NFQUEUE") == 0)
		take_verdict(reading, NF_QUEUE, NULL);
}

/* Statements that match nothing and decide nothing. */
static bool is_passed_by(const char *name)
{
	static const char *const names[] = {
		"counter", "log",  "notrack", "objref", "masq",
		"nat",     "last", "redir",   "dup",    "flow_offload"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static enum match read_other(struct reading *reading, const char *name)
{
	if (strcmp(name, "reject") == 0)
		take_verdict(reading, NF_DROP, NULL);
	else if (strcmp(name, "queue") == 0)
		take_verdict(reading, NF_QUEUE, NULL);
	else if (!is_passed_by(name)) {
		/* it may have loaded anything, or match anything */
		forget_registers(&reading->registers);
		return strcmp(name, "limit") == 0 || strcmp(name, "quota") == 0 ||
				       strcmp(name, "connlimit") == 0 ||
				       strcmp(name, "dynset") == 0 ?
			       MATCH_NARROW :
			       MATCH_YES;
	}
	return MATCH_YES;
}

static int read_expression(struct nftnl_expr *expression, void *data)
{
	const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
	struct reading *reading = data;
	enum match match = MATCH_YES;

	if (strcmp(name, "meta") == 0)
		read_meta(reading, expression);
	else if (strcmp(name, "ct") == 0)
		read_ct(reading, expression);
	else if (strcmp(name, "payload") == 0)
		read_payload(reading, expression);
	else if (strcmp(name, "bitwise") == 0)
		read_bitwise(reading, expression);
	else if (strcmp(name, "immediate") == 0)
		read_immediate(reading, expression);
	else if (strcmp(name, "target") == 0)
		read_target(reading, expression);
	else if (strcmp(name, "cmp") == 0)
		match = read_compare(reading, expression);
	else if (strcmp(name, "range") == 0)
		match = read_range(reading, expression);
	else if (strcmp(name, "lookup") == 0)
		match = read_lookup(reading, expression);
	else if (strcmp(name, "match") == 0)
		match = read_xtables(reading, expression);
	else
		match = read_other(reading, name);
	reading->match = match_both(reading->match, match);
	return reading->match == MATCH_NO ? -1 : 0;
}

/* ---- chains ---- */

static void say_cause(const struct judging *judging, const struct others_chain *chain,
		      const struct others_rule *rule)
{
	struct rule said = { .family = judging->packet->family };

	if (nft_foreign_decode(rule->kernel, &said) < 0)
		return;
	if (strcmp(rule->chain, chain->name) == 0)
		snprintf(judging->cause, BARRIER_TEXT, "its rule: %.360s", said.foreign);
	else
		snprintf(judging->cause, BARRIER_TEXT, "the rule of chain %s: %.300s", rule->chain,
			 said.foreign);
	free(said.foreign);
}

static enum fate judge_chain(struct judging *judging, const struct others_chain *chain,
			     const char *name, unsigned int depth);

/* FATE_UNKNOWN: on to the next rule. */
static enum fate judge_rule(struct judging *judging, const struct others_chain *chain,
			    const struct others_rule *rule, unsigned int depth)
{
	struct reading reading = { .judging = judging, .match = MATCH_YES };
	enum fate fate;

	forget_registers(&reading.registers);
	nftnl_expr_foreach(rule->kernel, read_expression, &reading);
	if (!reading.decides || reading.match <= MATCH_NARROW)
		return FATE_UNKNOWN;
	switch (reading.verdict) {
	case NF_ACCEPT:
		fate = FATE_PASSES;
		break;
	case NF_QUEUE:
		fate = FATE_MAY_PASS;
		break;
	case NF_DROP:
		fate = FATE_STOPS;
		if (reading.match == MATCH_YES)
			say_cause(judging, chain, rule);
		break;
	case NFT_JUMP:
	case NFT_GOTO:
		fate = judge_chain(judging, chain, reading.chain, depth + 1);
		if (fate == FATE_GOES_ON && reading.verdict == NFT_JUMP)
			return FATE_UNKNOWN;
		break;
	case NFT_RETURN:
		fate = FATE_GOES_ON;
		break;
	default:
		return FATE_UNKNOWN;
	}
	if (reading.match == MATCH_YES && fate != FATE_MAY_PASS)
		return fate;
	judging->may_pass |= fate != FATE_STOPS;
	return FATE_UNKNOWN;
}

static enum fate judge_chain(struct judging *judging, const struct others_chain *chain,
			     const char *name, unsigned int depth)
{
	const struct others *others = judging->others;
	enum fate fate = FATE_UNKNOWN;

	if (depth > DEPTH_MAX || judging->steps > STEPS_MAX || !name)
		return FATE_MAY_PASS;
	for (size_t i = 0; i < others->rules.len && fate == FATE_UNKNOWN && judging->r == 0; i++) {
		if (strcmp(others->rules.items[i].chain, name) != 0)
			continue;
		judging->steps++;
		fate = judge_rule(judging, chain, &others->rules.items[i], depth);
	}
	return fate == FATE_UNKNOWN ? FATE_GOES_ON : fate;
}

int others_judge(struct others *others, const struct others_chain *chain,
		 const struct packet *packet, enum fate *ret_fate, char cause[static BARRIER_TEXT])
{
	struct judging judging = { .others = others, .packet = packet, .cause = cause };

	cause[0] = '\0';
	*ret_fate = judge_chain(&judging, chain, chain->name, 0);
	if (*ret_fate == FATE_GOES_ON) {
		*ret_fate = chain->drops ? FATE_STOPS : FATE_PASSES;
		snprintf(cause, BARRIER_TEXT, "its policy is drop");
	}
	if (*ret_fate == FATE_STOPS && judging.may_pass)
		*ret_fate = FATE_MAY_PASS;
	return judging.r;
}
