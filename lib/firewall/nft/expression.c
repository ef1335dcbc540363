/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fixed rules, written as steps, and the expressions that libnftnl makes of them. */
#include <arpa/inet.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/rtnetlink.h>

#include "firewall/nft/nft.h"

#define LOOKUP_RULE(rule_chain, rule_family, rule_set, text, ...)                        \
	{                                                                                \
		.chain = (rule_chain), .kind = RULE_KIND_COUNT, .family = (rule_family), \
		.set = (rule_set), .comment = (text), .steps = {                         \
			__VA_ARGS__                                                      \
		}                                                                        \
	}
#define BASE_RULE(rule_chain, rule_kind, rule_family, text, ...)                     \
	{                                                                            \
		.chain = (rule_chain), .kind = (rule_kind), .family = (rule_family), \
		.set = SET_NONE, .comment = (text), .steps = {                       \
			__VA_ARGS__                                                  \
		}                                                                    \
	}

/* A map of one family is looked up for that family alone: a packet of the other would count. */
/* clang-format off */
const struct nft_fixed_rule nft_fixed_rules[] = {
	LOOKUP_RULE(CHAIN_RAW_PREROUTING, AF_INET, SET_LOOPBACK_PORTS,
		    "ports bound to 127.0.0.0/8 are for this host alone",
		    STEP_NOT_LOOPBACK_INTERFACE, STEP_IPV4, STEP_LOOKUP, STEP_DROP),
	LOOKUP_RULE(CHAIN_RAW_PREROUTING, AF_INET, SET_LOOPBACK_BRIDGES,
		    "endpoints have no business with the host's 127.0.0.0/8",
		    STEP_IPV4, STEP_LOOPBACK_DESTINATION, STEP_LOOKUP, STEP_DROP),
	LOOKUP_RULE(CHAIN_RAW_PREROUTING, AF_INET, SET_LOOPBACK_SOURCES,
		    "nor do they come from there",
		    STEP_IPV4, STEP_LOOPBACK_SOURCE, STEP_LOOKUP, STEP_DROP),
	LOOKUP_RULE(CHAIN_RAW_PREROUTING, AF_INET, SET_DIRECT4_ALLOWED,
		    "an endpoint's own bridge may reach its address",
		    STEP_IPV4, STEP_LOOKUP, STEP_RETURN),
	LOOKUP_RULE(CHAIN_RAW_PREROUTING, AF_INET, SET_DIRECT4,
		    "nothing else sends straight to an endpoint's address",
		    STEP_IPV4, STEP_LOOKUP, STEP_DROP),
	LOOKUP_RULE(CHAIN_RAW_PREROUTING, AF_INET6, SET_DIRECT6_ALLOWED,
		    "an endpoint's own bridge may reach its address",
		    STEP_IPV6, STEP_LOOKUP, STEP_RETURN),
	LOOKUP_RULE(CHAIN_RAW_PREROUTING, AF_INET6, SET_DIRECT6,
		    "nothing else sends straight to an endpoint's address",
		    STEP_IPV6, STEP_LOOKUP, STEP_DROP),

	BASE_RULE(CHAIN_NAT_PREROUTING, RULE_PORTS_JUMP_PREROUTING, AF_UNSPEC,
		  "to an address of this host: is the port published?",
		  STEP_LOCAL_DESTINATION, STEP_COUNTER, STEP_JUMP_PORTS),
	BASE_RULE(CHAIN_NAT_OUTPUT, RULE_PORTS_JUMP_OUTPUT, AF_INET,
		  "this host's own connections to its published ports",
		  STEP_IPV4, STEP_LOCAL_DESTINATION, STEP_COUNTER, STEP_JUMP_PORTS),
	BASE_RULE(CHAIN_NAT_OUTPUT, RULE_PORTS_JUMP_OUTPUT, AF_INET6,
		  "the same for IPv6, but for ::1, which can't be routed",
		  STEP_IPV6, STEP_NOT_LOOPBACK_DESTINATION6, STEP_LOCAL_DESTINATION, STEP_COUNTER,
		  STEP_JUMP_PORTS),

	LOOKUP_RULE(CHAIN_NAT_PORTS, AF_INET, SET_PORTS4_ADDRESS,
		    "ports published on one address of the host",
		    STEP_IPV4, STEP_LOOKUP, STEP_DNAT4),
	LOOKUP_RULE(CHAIN_NAT_PORTS, AF_INET, SET_PORTS4,
		    "ports published on every address of the host",
		    STEP_IPV4, STEP_LOOKUP, STEP_DNAT4),
	LOOKUP_RULE(CHAIN_NAT_PORTS, AF_INET6, SET_PORTS6_ADDRESS,
		    "ports published on one address of the host",
		    STEP_IPV6, STEP_LOOKUP, STEP_DNAT6),
	LOOKUP_RULE(CHAIN_NAT_PORTS, AF_INET6, SET_PORTS6,
		    "ports published on every address of the host",
		    STEP_IPV6, STEP_LOOKUP, STEP_DNAT6),

	BASE_RULE(CHAIN_FILTER_FORWARD, RULE_USER_JUMP, AF_UNSPEC,
		  "your own rules come first", STEP_COUNTER, STEP_JUMP_USER),
	BASE_RULE(CHAIN_FILTER_FORWARD, RULE_ESTABLISHED_ACCEPT, AF_UNSPEC,
		  "what was let in goes on", STEP_ESTABLISHED, STEP_COUNTER, STEP_ACCEPT),
	BASE_RULE(CHAIN_FILTER_FORWARD, RULE_DNAT_ACCEPT, AF_UNSPEC,
		  "connections to published ports", STEP_STATUS_DNAT, STEP_COUNTER, STEP_ACCEPT),
	LOOKUP_RULE(CHAIN_FILTER_FORWARD, AF_UNSPEC, SET_BRIDGED,
		    "between endpoints of one network", STEP_LOOKUP, STEP_ACCEPT),
	LOOKUP_RULE(CHAIN_FILTER_FORWARD, AF_UNSPEC, SET_UNPUBLISHED,
		    "into a network only by a published port", STEP_LOOKUP, STEP_DROP),
	LOOKUP_RULE(CHAIN_FILTER_FORWARD, AF_UNSPEC, SET_OUTGOING,
		    "from a network to the outside", STEP_LOOKUP, STEP_ACCEPT),

	LOOKUP_RULE(CHAIN_NAT_POSTROUTING, AF_UNSPEC, SET_HAIRPIN,
		    "endpoints that use a port which their own network publishes",
		    STEP_STATUS_DNAT, STEP_LOOKUP, STEP_MASQUERADE),
	/* Where bridged packets pass the IP hooks too (bridge-nf-call-iptables), one that comes
	 * back to its bridge is not routed, and has no incoming interface here. */
	LOOKUP_RULE(CHAIN_NAT_POSTROUTING, AF_UNSPEC, SET_HAIRPIN_BRIDGED,
		    "the same where bridged packets are filtered",
		    STEP_STATUS_DNAT, STEP_NO_INTERFACE, STEP_NOT_LOCAL_SOURCE, STEP_LOOKUP,
		    STEP_MASQUERADE),
	LOOKUP_RULE(CHAIN_NAT_POSTROUTING, AF_INET, SET_LOOPBACK_MASQUERADE,
		    "the host's 127.0.0.0/8 means nothing to an endpoint",
		    STEP_IPV4, STEP_LOOPBACK_SOURCE, STEP_LOOKUP, STEP_MASQUERADE),
	LOOKUP_RULE(CHAIN_NAT_POSTROUTING, AF_UNSPEC, SET_MASQUERADE_STAY,
		    "what stays on its bridge keeps its source", STEP_LOOKUP, STEP_RETURN),
	LOOKUP_RULE(CHAIN_NAT_POSTROUTING, AF_UNSPEC, SET_MASQUERADE_LEAVE,
		    "what leaves a network takes the host's address", STEP_LOOKUP,
		    STEP_MASQUERADE),
};
/* clang-format on */
const size_t nft_fixed_rules_len = ARRAY_SIZE(nft_fixed_rules);
_Static_assert(ARRAY_SIZE(nft_fixed_rules) <= FIXED_RULES, "FIXED_RULES is too small");

/* ---- single expressions ---- */

struct builder {
	struct nftnl_rule *rule;
	bool failed; /* out of memory */
};

static struct nftnl_expr *add(struct builder *builder, const char *name)
{
	struct nftnl_expr *expression = nftnl_expr_alloc(name);

	if (expression)
		nftnl_rule_add_expr(builder->rule, expression);
	else
		builder->failed = true;
	return expression;
}

static void load_meta(struct builder *builder, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *expression = add(builder, "meta");

	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_META_DREG, reg);
}

static void load_payload(struct builder *builder, uint32_t base, uint32_t offset, uint32_t len,
			 uint32_t reg)
{
	struct nftnl_expr *expression = add(builder, "payload");

	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, reg);
}

static void compare(struct builder *builder, uint32_t relation, const void *data, uint32_t len)
{
	struct nftnl_expr *expression = add(builder, "cmp");

	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, relation);
	if (nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, data, len) < 0)
		builder->failed = true;
}

static void match_family(struct builder *builder, uint8_t family)
{
	load_meta(builder, NFT_META_NFPROTO, NFT_REG_1);
	compare(builder, NFT_CMP_EQ, &family, sizeof(family));
}

/* The first byte of an IPv4 address at that offset of the header. */
static void match_loopback(struct builder *builder, uint32_t offset)
{
	static const uint8_t first = 127;

	load_payload(builder, NFT_PAYLOAD_NETWORK_HEADER, offset, 1, NFT_REG_1);
	compare(builder, NFT_CMP_EQ, &first, sizeof(first));
}

static void match_local(struct builder *builder, uint32_t address, uint32_t relation)
{
	static const uint32_t local = RTN_LOCAL;
	struct nftnl_expr *expression = add(builder, "fib");

	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_FLAGS, address);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	compare(builder, relation, &local, sizeof(local));
}

static void match_no_interface(struct builder *builder)
{
	static const uint32_t none;

	load_meta(builder, NFT_META_IIF, NFT_REG_1);
	compare(builder, NFT_CMP_EQ, &none, sizeof(none));
}

/* Any of the bits of a conntrack word. */
static void match_conntrack(struct builder *builder, uint32_t key, uint32_t bits)
{
	static const uint32_t zero;
	struct nftnl_expr *expression = add(builder, "ct");

	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	expression = add(builder, "bitwise");
	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, sizeof(bits));
	if (nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, &bits, sizeof(bits)) < 0 ||
	    nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, &zero, sizeof(zero)) < 0)
		builder->failed = true;
	compare(builder, NFT_CMP_NEQ, &zero, sizeof(zero));
}

/* Registers are numbered in words of four bytes; the kernel names each fourth by its old number,
 * and rules are compared by what it shows. */
static uint32_t word_register(size_t offset)
{
	uint32_t word = (uint32_t)offset / 4;

	return word % 4 ? NFT_REG32_00 + word : NFT_REG_1 + word / 4;
}

static void load_field(struct builder *builder, enum nft_field field, uint32_t reg)
{
	switch (field) {
	case FIELD_DESTINATION4:
		load_payload(builder, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, reg);
		break;
	case FIELD_DESTINATION6:
		load_payload(builder, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, reg);
		break;
	case FIELD_PROTOCOL:
		load_meta(builder, NFT_META_L4PROTO, reg);
		break;
	case FIELD_PORT:
		load_payload(builder, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg);
		break;
	case FIELD_FAMILY:
		load_meta(builder, NFT_META_NFPROTO, reg);
		break;
	case FIELD_IN:
		load_meta(builder, NFT_META_IIFNAME, reg);
		break;
	case FIELD_OUT:
		load_meta(builder, NFT_META_OIFNAME, reg);
		break;
	default:
		break;
	}
}

static void lookup(struct builder *builder, const struct nft_set_type *set)
{
	struct nftnl_expr *expression;
	size_t offset = 0;

	for (size_t i = 0; i < FIELDS_MAX && set->key[i]; i++) {
		load_field(builder, set->key[i], word_register(offset));
		offset += FIELD_SPACE(set->key[i]);
	}
	expression = add(builder, "lookup");
	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, 0);
	if (set->value[0])
		nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
	if (nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, set->name) < 0)
		builder->failed = true;
}

static void counter(struct builder *builder)
{
	struct nftnl_expr *expression = add(builder, "counter");

	if (!expression)
		return;
	nftnl_expr_set_u64(expression, NFTNL_EXPR_CTR_PACKETS, 0);
	nftnl_expr_set_u64(expression, NFTNL_EXPR_CTR_BYTES, 0);
}

static void verdict(struct builder *builder, int r, const char *chain)
{
	struct nftnl_expr *expression = add(builder, "immediate");

	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, (uint32_t)r);
	if (chain && nftnl_expr_set_str(expression, NFTNL_EXPR_IMM_CHAIN, chain) < 0)
		builder->failed = true;
}

/* To what the lookup left in the registers: address, port. */
static void dnat(struct builder *builder, uint32_t family)
{
	struct nftnl_expr *expression = add(builder, "nat");
	uint32_t port = word_register(family == NFPROTO_IPV4 ? 4 : 16);

	if (!expression)
		return;
	nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FAMILY, family);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MIN, port);
	/* What the kernel would fill in, so that it shows the rule as it was written. */
	nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MAX, port);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FLAGS,
			   NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED);
}

/* ---- rules ---- */

static void match_not_loopback(struct builder *builder, enum nft_step step)
{
	static const uint8_t loopback6[16] = { [15] = 1 };
	static const char loopback[IFNAMSIZ] = "lo";

	if (step == STEP_NOT_LOOPBACK_INTERFACE) {
		load_meta(builder, NFT_META_IIFNAME, NFT_REG_1);
		compare(builder, NFT_CMP_NEQ, loopback, sizeof(loopback));
	} else {
		load_payload(builder, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, NFT_REG_1);
		compare(builder, NFT_CMP_NEQ, loopback6, sizeof(loopback6));
	}
}

static void add_match(struct builder *builder, enum nft_step step, enum nft_set set)
{
	switch (step) {
	case STEP_IPV4:
		match_family(builder, NFPROTO_IPV4);
		break;
	case STEP_IPV6:
		match_family(builder, NFPROTO_IPV6);
		break;
	case STEP_NOT_LOOPBACK_INTERFACE:
	case STEP_NOT_LOOPBACK_DESTINATION6:
		match_not_loopback(builder, step);
		break;
	case STEP_LOOPBACK_SOURCE:
		match_loopback(builder, 12);
		break;
	case STEP_LOOPBACK_DESTINATION:
		match_loopback(builder, 16);
		break;
	case STEP_LOCAL_DESTINATION:
		match_local(builder, NFTA_FIB_F_DADDR, NFT_CMP_EQ);
		break;
	case STEP_NOT_LOCAL_SOURCE:
		match_local(builder, NFTA_FIB_F_SADDR, NFT_CMP_NEQ);
		break;
	case STEP_NO_INTERFACE:
		match_no_interface(builder);
		break;
	case STEP_ESTABLISHED:
		match_conntrack(builder, NFT_CT_STATE,
				NF_CT_STATE_BIT(IP_CT_ESTABLISHED) |
					NF_CT_STATE_BIT(IP_CT_RELATED));
		break;
	case STEP_STATUS_DNAT:
		match_conntrack(builder, NFT_CT_STATUS, IPS_DST_NAT);
		break;
	case STEP_LOOKUP:
		lookup(builder, &nft_sets[set]);
		break;
	default:
		break;
	}
}

static void add_action(struct builder *builder, enum nft_step step)
{
	switch (step) {
	case STEP_COUNTER:
		counter(builder);
		break;
	case STEP_ACCEPT:
		verdict(builder, NF_ACCEPT, NULL);
		break;
	case STEP_DROP:
		verdict(builder, NF_DROP, NULL);
		break;
	case STEP_RETURN:
		verdict(builder, NFT_RETURN, NULL);
		break;
	case STEP_JUMP_PORTS:
		verdict(builder, NFT_JUMP, nft_chain_name(CHAIN_NAT_PORTS));
		break;
	case STEP_JUMP_USER:
		verdict(builder, NFT_JUMP, nft_chain_name(CHAIN_FILTER_USER));
		break;
	case STEP_DNAT4:
		dnat(builder, NFPROTO_IPV4);
		break;
	case STEP_DNAT6:
		dnat(builder, NFPROTO_IPV6);
		break;
	case STEP_MASQUERADE:
		add(builder, "masq");
		break;
	default:
		break;
	}
}

struct nftnl_rule *nft_fixed_rule_build(const struct nft_fixed_rule *fixed)
{
	struct builder builder = { .rule = nftnl_rule_alloc() };
	struct nft_comment comment;

	if (!builder.rule)
		return NULL;
	nftnl_rule_set_u32(builder.rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nft_comment_text(fixed->comment, &comment);
	if (nftnl_rule_set_str(builder.rule, NFTNL_RULE_TABLE, NFT_TABLE) < 0 ||
	    nftnl_rule_set_str(builder.rule, NFTNL_RULE_CHAIN, nft_chain_name(fixed->chain)) < 0 ||
	    nftnl_rule_set_data(builder.rule, NFTNL_RULE_USERDATA, comment.data, comment.len) < 0)
		builder.failed = true;
	for (size_t i = 0; i < STEPS_MAX && fixed->steps[i]; i++) {
		add_match(&builder, fixed->steps[i], fixed->set);
		add_action(&builder, fixed->steps[i]);
	}
	if (!builder.failed)
		return builder.rule;
	nftnl_rule_free(builder.rule);
	return NULL;
}

struct text {
	char *data;
	size_t len;
};

static int expression_text(struct nftnl_expr *expression, void *data)
{
	struct text *text = data;
	size_t room = RULE_TEXT_MAX - text->len;
	const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
	int len;

	len = snprintf(text->data + text->len, room, "%s%s ", text->len ? "; " : "", name);
	if (len < 0 || (size_t)len >= room)
		return -1;
	text->len += (size_t)len;
	room -= (size_t)len;
	if (strcmp(name, "counter") == 0) {
		text->data[--text->len] = '\0';
		return 0;
	}
	len = nftnl_expr_snprintf(text->data + text->len, room, expression, NFTNL_OUTPUT_DEFAULT,
				  0);
	if (len < 0 || (size_t)len >= room)
		return -1;
	text->len += (size_t)len;
	while (text->len && text->data[text->len - 1] == ' ')
		text->data[--text->len] = '\0';
	return 0;
}

void nft_rule_text(struct nftnl_rule *rule, char text[static RULE_TEXT_MAX])
{
	struct text output = { .data = text };

	text[0] = '\0';
	nftnl_expr_foreach(rule, expression_text, &output);
}
