/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The expressions that libnftnl makes of a fixed rule. */
#include <arpa/inet.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <syslog.h>

#include "firewall/nft/nft.h"

/* ---- single expressions ---- */

struct builder {
	struct nftnl_rule *rule;
	bool failed;    /* out of memory */
	uint8_t family; /* of the packets, still to be matched; 0: none */
	uint16_t ether; /* in its place, the type of the frames */
	bool by_meta;   /* which is told as nft(8) has it beside an address */
};

/* What an expression is told in numbers: NUMBERS({ attribute, number }, ...). */
struct number {
	uint16_t attribute;
	uint32_t value;
};
#define NUMBERS(...) ((const struct number[]){ __VA_ARGS__, { NFTNL_EXPR_NAME, 0 } })

static struct nftnl_expr *add(struct builder *builder, const char *name,
			      const struct number *numbers)
{
	struct nftnl_expr *expression = nftnl_expr_alloc(name);

	if (!expression) {
		builder->failed = true;
		return NULL;
	}
	for (; numbers && numbers->attribute != NFTNL_EXPR_NAME; numbers++)
		nftnl_expr_set_u32(expression, numbers->attribute, numbers->value);
	nftnl_rule_add_expr(builder->rule, expression);
	return expression;
}

/* What is no number; expression: NULL for one that could not be added. */
static void put(struct builder *builder, struct nftnl_expr *expression, uint16_t attribute,
		const void *data, uint32_t len)
{
	if (expression && nftnl_expr_set(expression, attribute, data, len) < 0)
		builder->failed = true;
}

static void load_meta(struct builder *builder, uint32_t key, uint32_t reg)
{
	add(builder, "meta", NUMBERS({ NFTNL_EXPR_META_KEY, key }, { NFTNL_EXPR_META_DREG, reg }));
}

static void load_payload(struct builder *builder, uint32_t base, uint32_t offset, uint32_t len,
			 uint32_t reg)
{
	add(builder, "payload",
	    NUMBERS({ NFTNL_EXPR_PAYLOAD_BASE, base }, { NFTNL_EXPR_PAYLOAD_OFFSET, offset },
		    { NFTNL_EXPR_PAYLOAD_LEN, len }, { NFTNL_EXPR_PAYLOAD_DREG, reg }));
}

static void compare(struct builder *builder, uint32_t relation, const void *data, uint32_t len)
{
	struct nftnl_expr *expression =
		add(builder, "cmp",
		    NUMBERS({ NFTNL_EXPR_CMP_SREG, NFT_REG_1 }, { NFTNL_EXPR_CMP_OP, relation }));

	put(builder, expression, NFTNL_EXPR_CMP_DATA, data, len);
}

static void mask_bits(struct builder *builder, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *expression = add(builder, "bitwise",
					    NUMBERS({ NFTNL_EXPR_BITWISE_SREG, NFT_REG_1 },
						    { NFTNL_EXPR_BITWISE_DREG, NFT_REG_1 },
						    { NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL },
						    { NFTNL_EXPR_BITWISE_LEN, len }));

	put(builder, expression, NFTNL_EXPR_BITWISE_MASK, mask, len);
	put(builder, expression, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

/* Of a frame with a tag what comes behind it is told by the one, and the tag by the other. */
static void match_ether(struct builder *builder)
{
	uint16_t type = htons(builder->ether);

	builder->ether = 0;
	if (builder->by_meta)
		load_meta(builder, NFT_META_PROTOCOL, NFT_REG_1);
	else
		load_payload(builder, NFT_PAYLOAD_LL_HEADER, offsetof(struct ethhdr, h_proto),
			     sizeof(type), NFT_REG_1);
	compare(builder, NFT_CMP_EQ, &type, sizeof(type));
}

/* Before the first look at the header, which is where nft(8) puts it back when it reads its own
 * listing. */
static void match_family(struct builder *builder)
{
	uint8_t family = builder->family;

	if (builder->ether)
		match_ether(builder);
	if (!family)
		return;
	builder->family = 0;
	load_meta(builder, NFT_META_NFPROTO, NFT_REG_1);
	compare(builder, NFT_CMP_EQ, &family, sizeof(family));
}

/* As nft(8) writes it: by as many bytes as there are, or all of them and a mask. The kernel shows a
 * rule as it was written. */
static void match_prefix(struct builder *builder, const struct prefix *prefix, bool source,
			 bool negated)
{
	uint32_t size = (uint32_t)addr_size(prefix->addr.family);
	uint32_t len = prefix->len % 8 ? size : prefix->len / 8u;
	uint32_t first = size == 4 ? 12 : 8; /* the source's place in the header */
	uint8_t mask[16] = { 0 };

	match_family(builder);
	load_payload(builder, NFT_PAYLOAD_NETWORK_HEADER, source ? first : first + size, len,
		     NFT_REG_1);
	if (prefix->len % 8) {
		for (size_t bit = 0; bit < prefix->len; bit++)
			mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		mask_bits(builder, mask, len);
	}
	compare(builder, negated ? NFT_CMP_NEQ : NFT_CMP_EQ, prefix->addr.bytes, len);
}

/* Of a device its name, or the name of its kind. */
static void match_device(struct builder *builder, uint32_t key, const char *name)
{
	char data[IFNAMSIZ] = "";

	string_copy(data, sizeof(data), name);
	load_meta(builder, key, NFT_REG_1);
	compare(builder, NFT_CMP_EQ, data, sizeof(data));
}

static void match_protocol(struct builder *builder, uint8_t protocol)
{
	load_meta(builder, NFT_META_L4PROTO, NFT_REG_1);
	compare(builder, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

/* by: of any interface, or of the one that it came by */
static void match_local_destination(struct builder *builder, uint32_t by)
{
	static const uint32_t local = RTN_LOCAL;

	add(builder, "fib",
	    NUMBERS({ NFTNL_EXPR_FIB_FLAGS, by },
		    { NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE },
		    { NFTNL_EXPR_FIB_DREG, NFT_REG_1 }));
	compare(builder, NFT_CMP_EQ, &local, sizeof(local));
}

/* No route to the source by the interface that it came by; one to an address of the host itself is
 * none either. */
static void match_source_astray(struct builder *builder)
{
	static const uint32_t missing;

	add(builder, "fib",
	    NUMBERS({ NFTNL_EXPR_FIB_FLAGS,
		      NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT },
		    { NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_OIF },
		    { NFTNL_EXPR_FIB_DREG, NFT_REG_1 }));
	compare(builder, NFT_CMP_EQ, &missing, sizeof(missing));
}

static void match_icmp(struct builder *builder, int family, uint32_t relation, uint8_t type)
{
	match_family(builder);
	match_protocol(builder, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	load_payload(builder, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(type), NFT_REG_1);
	compare(builder, relation, &type, sizeof(type));
}

static void match_dhcp_answer(struct builder *builder, int family)
{
	const uint16_t ports4[] = { htons(67), htons(68) }, ports6[] = { htons(547), htons(546) };

	load_payload(builder, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(ports4), NFT_REG_1);
	compare(builder, NFT_CMP_EQ, family == AF_INET ? ports4 : ports6, sizeof(ports4));
}

/* Duplicate address detection: a solicitation from no address. */
static void match_probe(struct builder *builder)
{
	static const uint8_t unspecified[16];

	match_icmp(builder, AF_INET6, NFT_CMP_EQ, ND_NEIGHBOR_SOLICIT);
	load_payload(builder, NFT_PAYLOAD_NETWORK_HEADER, 8, sizeof(unspecified), NFT_REG_1);
	compare(builder, NFT_CMP_EQ, unspecified, sizeof(unspecified));
}

static void match_syn(struct builder *builder)
{
	static const uint8_t mask = TH_SYN | TH_RST, syn = TH_SYN;

	load_payload(builder, NFT_PAYLOAD_TRANSPORT_HEADER, 13, sizeof(mask), NFT_REG_1);
	mask_bits(builder, &mask, sizeof(mask));
	compare(builder, NFT_CMP_EQ, &syn, sizeof(syn));
}

static void match_asked_dns(struct builder *builder)
{
	struct nftnl_expr *expression = add(builder, "ct",
					    NUMBERS({ NFTNL_EXPR_CT_KEY, NFT_CT_PROTO_DST },
						    { NFTNL_EXPR_CT_DREG, NFT_REG_1 }));
	uint16_t port = htons(53);

	if (expression)
		nftnl_expr_set_u8(expression, NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
	compare(builder, NFT_CMP_EQ, &port, sizeof(port));
}

/* The bits of a conntrack word: any of them, or none. What has no connection is neither. */
static void compare_conntrack(struct builder *builder, uint32_t key, uint32_t bits,
			      uint32_t relation)
{
	static const uint32_t zero;

	add(builder, "ct", NUMBERS({ NFTNL_EXPR_CT_KEY, key }, { NFTNL_EXPR_CT_DREG, NFT_REG_1 }));
	mask_bits(builder, &bits, sizeof(bits));
	compare(builder, relation, &zero, sizeof(zero));
}

static void match_conntrack(struct builder *builder, uint32_t key, uint32_t bits)
{
	compare_conntrack(builder, key, bits, NFT_CMP_NEQ);
}

/* Registers are numbered in words of four bytes; the kernel names each fourth by its old number,
 * and rules are compared by what it shows. */
static uint32_t word_register(size_t offset)
{
	uint32_t word = (uint32_t)offset / 4;

	return word % 4 ? NFT_REG32_00 + word : NFT_REG_1 + word / 4;
}

static void load_original(struct builder *builder, uint32_t key, uint32_t reg)
{
	static const uint8_t original = IP_CT_DIR_ORIGINAL;
	struct nftnl_expr *expression = add(
		builder, "ct", NUMBERS({ NFTNL_EXPR_CT_KEY, key }, { NFTNL_EXPR_CT_DREG, reg }));

	/* the kernel shows no direction of what is the same in both */
	if (key != NFT_CT_PROTOCOL)
		put(builder, expression, NFTNL_EXPR_CT_DIR, &original, sizeof(original));
}

static void load_field(struct builder *builder, enum nft_field field, uint32_t reg)
{
	const struct nft_field_type *type = &nft_fields[field];

	if (type->header == HEADER_CONNTRACK)
		load_original(builder, type->place, reg);
	else if (type->header == HEADER_FRAME)
		load_payload(builder, NFT_PAYLOAD_LL_HEADER, type->place, type->size, reg);
	else if (type->header)
		load_payload(builder, type->header, type->place, type->size, reg);
	else
		load_meta(builder, type->place, reg);
}

static bool looks_at_header(const struct nft_fixed *fixed)
{
	for (size_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++) {
		if (nft_fields[fixed->key[i]].header == NFT_PAYLOAD_NETWORK_HEADER)
			return true;
	}
	return false;
}

static void lookup(struct builder *builder, const struct nft_fixed *fixed, uint32_t flags)
{
	struct nftnl_expr *expression;
	size_t offset = 0;

	if (looks_at_header(fixed))
		match_family(builder);
	for (size_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++) {
		load_field(builder, fixed->key[i], word_register(offset));
		offset += FIELD_SPACE(fixed->key[i]);
	}
	expression = add(builder, "lookup",
			 NUMBERS({ NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1 },
				 { NFTNL_EXPR_LOOKUP_FLAGS, flags }));
	if (expression && fixed->value[0] && !(flags & NFT_LOOKUP_F_INV))
		nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
	put(builder, expression, NFTNL_EXPR_LOOKUP_SET, fixed->set,
	    (uint32_t)strlen(fixed->set) + 1);
}

static void verdict(struct builder *builder, int r, const char *chain)
{
	struct nftnl_expr *expression = add(builder, "immediate",
					    NUMBERS({ NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT },
						    { NFTNL_EXPR_IMM_VERDICT, (uint32_t)r }));

	if (chain)
		put(builder, expression, NFTNL_EXPR_IMM_CHAIN, chain, (uint32_t)strlen(chain) + 1);
}

/* To what the lookup left in the registers: address, port. */
static void dnat(struct builder *builder, uint32_t family)
{
	uint32_t port = word_register(family == NFPROTO_IPV4 ? 4 : 16);

	/* The kernel would fill in the ends of the ranges; it shows a rule as it was written. */
	add(builder, "nat",
	    NUMBERS({ NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT }, { NFTNL_EXPR_NAT_FAMILY, family },
		    { NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1 },
		    { NFTNL_EXPR_NAT_REG_PROTO_MIN, port },
		    { NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1 },
		    { NFTNL_EXPR_NAT_REG_PROTO_MAX, port },
		    { NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED }));
}

static void snat(struct builder *builder, uint32_t family, bool random_ports)
{
	uint32_t ports = random_ports ? NF_NAT_RANGE_PROTO_RANDOM_FULLY : 0;

	add(builder, "nat",
	    NUMBERS({ NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT }, { NFTNL_EXPR_NAT_FAMILY, family },
		    { NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1 },
		    { NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1 },
		    { NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS | ports }));
}

/* The kernel lowers what the option says, and never raises it. */
static void clamp_mss(struct builder *builder)
{
	struct nftnl_expr *expression;

	add(builder, "rt",
	    NUMBERS({ NFTNL_EXPR_RT_KEY, NFT_RT_TCPMSS }, { NFTNL_EXPR_RT_DREG, NFT_REG_1 }));
	add(builder, "byteorder",
	    NUMBERS({ NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1 },
		    { NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1 },
		    { NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON },
		    { NFTNL_EXPR_BYTEORDER_LEN, 2 }, { NFTNL_EXPR_BYTEORDER_SIZE, 2 }));
	expression = add(builder, "exthdr",
			 NUMBERS({ NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT },
				 { NFTNL_EXPR_EXTHDR_OFFSET, 2 }, { NFTNL_EXPR_EXTHDR_LEN, 2 },
				 { NFTNL_EXPR_EXTHDR_SREG, NFT_REG_1 }));
	if (expression)
		nftnl_expr_set_u8(expression, NFTNL_EXPR_EXTHDR_TYPE, TCPOPT_MAXSEG);
}

/* Of the kernel's own level, which it shows. */
static void write_log(struct builder *builder, const struct kind *kind)
{
	struct nftnl_expr *expression =
		add(builder, "log", NUMBERS({ NFTNL_EXPR_LOG_LEVEL, LOG_WARNING }));
	char prefix[LOG_PREFIX_MAX];
	struct rule rule;

	rule_init(&rule, kind, AF_UNSPEC);
	rule_log_prefix(&rule, prefix);
	put(builder, expression, NFTNL_EXPR_LOG_PREFIX, prefix, (uint32_t)strlen(prefix) + 1);
}

/* ---- rules ---- */

/* No map of ports has it. What is found there is not counted, as it comes by no mapping. */
static void match_unpublished(struct builder *builder, int family)
{
	for (size_t i = NFT_FIXED_OF(RULE_PORT_DNAT); i < NFT_FIXED_OF(RULE_PORT_DNAT + 1); i++) {
		if (nft_fixed_at(i) && nft_fixed_family(i) == family)
			lookup(builder, nft_fixed_at(i), NFT_LOOKUP_F_INV);
	}
}

static void add_frame_matches(struct builder *builder, const struct kind *kind, int family)
{
	if (kind->match & RULE_DHCP_ANSWER)
		match_dhcp_answer(builder, family);
	if (kind->match & RULE_REDIRECT)
		match_icmp(builder, family, NFT_CMP_EQ,
			   family == AF_INET ? ICMP_REDIRECT : ND_REDIRECT);
	if (kind->match & RULE_ROUTER_ADVERT)
		match_icmp(builder, family, NFT_CMP_EQ, ND_ROUTER_ADVERT);
	if (kind->match & RULE_NEIGHBOUR_ADVERT)
		match_icmp(builder, family, NFT_CMP_EQ, ND_NEIGHBOR_ADVERT);
	if (kind->match & RULE_NEIGHBOUR_PROBE)
		match_probe(builder);
}

/* What the catalogue says of all rules of the kind. */
static void add_matches(struct builder *builder, const struct kind *kind, int family)
{
	const struct prefix *source = kind_fixed(&kind->source, family);
	uint8_t echo = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	const struct prefix *destination = kind_fixed(&kind->destination, family);

	/* What comes by lo has passed: NFT_PART_PASS. */
	if (kind->match & RULE_FROM_BRIDGE)
		match_device(builder, NFT_META_IIFKIND, "bridge");
	if (kind->match & RULE_TO_BRIDGE)
		match_device(builder, NFT_META_OIFKIND, "bridge");
	if (kind->match & RULE_ECHO_REQUEST)
		match_icmp(builder, family, NFT_CMP_EQ, echo);
	if (kind->match & RULE_ICMPV6_OTHER)
		match_icmp(builder, family, NFT_CMP_NEQ, echo);
	if (kind->protocol)
		match_protocol(builder, kind->protocol);
	add_frame_matches(builder, kind, family);
	if (kind->match & RULE_TCP_SYN)
		match_syn(builder);
	if (kind->match & RULE_ASKED_DNS)
		match_asked_dns(builder);
	if (kind->match & RULE_STATE_ESTABLISHED)
		match_conntrack(builder, NFT_CT_STATE,
				NF_CT_STATE_BIT(IP_CT_ESTABLISHED) |
					NF_CT_STATE_BIT(IP_CT_RELATED));
	if (kind->match & RULE_STATE_NEW)
		match_conntrack(builder, NFT_CT_STATE,
				NF_CT_STATE_INVALID_BIT | NF_CT_STATE_UNTRACKED_BIT |
					NF_CT_STATE_BIT(IP_CT_NEW));
	if (kind->match & RULE_BEGINS)
		compare_conntrack(builder, NFT_CT_STATUS, IPS_CONFIRMED, NFT_CMP_EQ);
	if (kind->match & RULE_STATE_INVALID)
		match_conntrack(builder, NFT_CT_STATE, NF_CT_STATE_INVALID_BIT);
	if (kind->match & RULE_STATUS_DNAT)
		match_conntrack(builder, NFT_CT_STATUS, IPS_DST_NAT);
	if (source)
		match_prefix(builder, source, true, kind->source.negated);
	if (destination)
		match_prefix(builder, destination, false, kind->destination.negated);
	if (kind->match & RULE_LOCAL_DESTINATION)
		match_local_destination(builder, NFTA_FIB_F_DADDR);
	if (kind->match & RULE_SOURCE_ASTRAY)
		match_source_astray(builder);
	if (kind->match & RULE_UNPUBLISHED)
		match_unpublished(builder, family);
}

static void add_action(struct builder *builder, const struct kind *kind, int family)
{
	uint32_t nf_family = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;

	switch (kind->target) {
	case TARGET_ACCEPT:
		verdict(builder, NF_ACCEPT, NULL);
		break;
	case TARGET_DROP:
		verdict(builder, NF_DROP, NULL);
		break;
	case TARGET_LOG:
		write_log(builder, kind);
		break;
	case TARGET_DNAT:
		dnat(builder, nf_family);
		break;
	case TARGET_SNAT:
		snat(builder, nf_family, kind->random_ports);
		break;
	case TARGET_MASQUERADE:
		add(builder, "masq",
		    kind->random_ports ?
			    NUMBERS({ NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY }) :
			    NULL);
		break;
	case TARGET_CLAMP_MSS:
		clamp_mss(builder);
		break;
	case TARGET_RETURN:
		verdict(builder, NFT_RETURN, NULL);
		break;
	case TARGET_GOTO:
		verdict(builder, NFT_GOTO, nft_chain_name(kind->jump));
		break;
	case TARGET_JUMP:
		verdict(builder, NFT_JUMP, nft_chain_name(kind->jump));
		break;
	case TARGET_OTHER:
		break;
	}
}

static void add_parts(struct builder *builder, size_t id)
{
	for (size_t part = NFT_FIXED_OF(nft_fixed_kind(id)); part < id; part++) {
		const struct nft_fixed *fixed = nft_fixed_at(part);

		if (nft_fixed_takes_part(id, part))
			lookup(builder, fixed,
			       fixed->part == NFT_PART_EXCEPTION ? NFT_LOOKUP_F_INV : 0);
	}
}

static void add_expressions(struct builder *builder, size_t id)
{
	const struct kind *kind = kind_of(nft_fixed_kind(id));
	uint8_t protocol = nft_fixed_at(id)->protocol;
	uint16_t ether = nft_fixed_at(id)->ether;
	const struct nft_fixed *fixed;
	int family;

	while (nft_fixed_at(id)->part == NFT_PART_TWIN)
		id++;
	fixed = nft_fixed_at(id);
	family = nft_fixed_family(id);
	if (fixed->part == NFT_PART_PASS) {
		match_device(builder, NFT_META_IIFNAME, LOOPBACK_DEVICE);
		verdict(builder, NFT_RETURN, NULL);
		return;
	}
	if (family && kind->chain < CHAIN_FRAMES_FIRST)
		builder->family = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	else if (family && !ether)
		builder->ether = family == AF_INET ? ETH_P_IP : ETH_P_IPV6;
	else
		builder->ether = ether;
	builder->by_meta = !ether && looks_at_header(fixed);
	if (fixed->set && !looks_at_header(fixed))
		match_family(builder);
	if (fixed->bridges)
		match_device(builder,
			     memchr(fixed->key, FIELD_IN, FIELDS_MAX) ? NFT_META_IIFKIND :
									NFT_META_OIFKIND,
			     "bridge");
	if (protocol)
		match_protocol(builder, protocol);
	add_matches(builder, kind, family);
	if (fixed->within)
		match_prefix(builder, fixed->within, false, false);
	add_parts(builder, id);
	/* dearer than a look whether it is about such a packet at all */
	if (kind->match & RULE_INTERFACE_DESTINATION)
		match_local_destination(builder, NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF);
	/* the last, for it counts what it finds */
	if (fixed->set)
		lookup(builder, fixed, 0);
	else
		add(builder, "counter", NULL);
	add_action(builder, kind, family);
}

struct nftnl_rule *nft_fixed_build(size_t id)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);
	const struct kind *kind = kind_of(nft_fixed_kind(id));
	struct builder builder = { .rule = nftnl_rule_alloc() };
	struct nft_comment comment;

	if (!builder.rule)
		return NULL;
	nftnl_rule_set_u32(builder.rule, NFTNL_RULE_FAMILY,
			   kind->chain < CHAIN_FRAMES_FIRST ? NFPROTO_INET : NFPROTO_BRIDGE);
	nft_comment_text(fixed->comment, &comment);
	if (nftnl_rule_set_str(builder.rule, NFTNL_RULE_TABLE, NFT_TABLE) < 0 ||
	    nftnl_rule_set_str(builder.rule, NFTNL_RULE_CHAIN, nft_chain_name(kind->chain)) < 0 ||
	    nftnl_rule_set_data(builder.rule, NFTNL_RULE_USERDATA, comment.data, comment.len) < 0)
		builder.failed = true;
	add_expressions(&builder, id);
	if (!builder.failed)
		return builder.rule;
	nftnl_rule_free(builder.rule);
	return NULL;
}
