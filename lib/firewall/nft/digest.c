/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A number for what a rule matches and does, from the message that has it: many rules are compared
 * with ours at each look, and their texts take fifty times as long. What the kernel adds to a rule
 * that we have left out is zero, and the order of attributes says nothing; should a kernel say more
 * than that, the numbers differ, and the texts are compared.
 */
#include <endian.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/rule.h>

#include "firewall/nft/nft.h"

#define RULE_MESSAGE_MAX 8192

static uint64_t mix(uint64_t digest, uint64_t number)
{
	digest ^= number + 0x9e3779b97f4a7c15u + (digest << 6) + (digest >> 2);
	digest *= 0xff51afd7ed558ccdu;
	return digest ^ digest >> 33;
}

static uint64_t bytes_digest(uint64_t digest, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
		uint32_t word = 0;

		memcpy(&word, bytes + i, len - i < sizeof(word) ? len - i : sizeof(word));
		digest = mix(digest, word);
	}
	return mix(digest, len);
}

/* What holds attributes itself, on whichever side the flag that says so was set: the types, as
 * bits. */
static uint32_t nests_of(const char *expression)
{
	static const struct {
		const char *expression;
		uint32_t types;
	} nests[] = {
		{ "cmp", 1u << NFTA_CMP_DATA },
		{ "immediate", 1u << NFTA_IMMEDIATE_DATA },
		{ "bitwise", 1u << NFTA_BITWISE_MASK | 1u << NFTA_BITWISE_XOR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nests); i++) {
		if (strcmp(expression, nests[i].expression) == 0)
			return nests[i].types;
	}
	return 0;
}

/* nests: of an expression's attributes; 0: these are data, or the parts of a verdict. */
static uint64_t attributes_digest(const struct nlattr *nest, uint32_t nests, bool data)
{
	const struct nlattr *attribute;
	static const uint32_t zero;
	uint64_t sum = 0;

	for_each_nested(attribute, nest) {
		uint16_t type = mnl_attr_get_type(attribute);
		uint16_t len = mnl_attr_get_payload_len(attribute);
		const void *payload = mnl_attr_get_payload(attribute);

		if (type < 32 && nests >> type & 1)
			sum += mix(type,
				   attributes_digest(attribute, data ? 0 : 1u << NFTA_DATA_VERDICT,
						     true));
		else if (data || len != sizeof(zero) || memcmp(payload, &zero, len) != 0)
			sum += bytes_digest(type, payload, len);
	}
	return sum;
}

static void counter_read(const struct nlattr *nest, struct rule *rule)
{
	const struct nlattr *attributes[NFTA_COUNTER_MAX + 1];

	netlink_nested(nest, attributes, NFTA_COUNTER_MAX);
	if (attributes[NFTA_COUNTER_PACKETS] && netlink_fits(attributes[NFTA_COUNTER_PACKETS], '8'))
		rule->packets = be64toh(mnl_attr_get_u64(attributes[NFTA_COUNTER_PACKETS]));
	if (attributes[NFTA_COUNTER_BYTES] && netlink_fits(attributes[NFTA_COUNTER_BYTES], '8'))
		rule->bytes = be64toh(mnl_attr_get_u64(attributes[NFTA_COUNTER_BYTES]));
}

uint64_t nft_rule_digest(const struct nlattr *expressions, struct rule *rule)
{
	const struct nlattr *item, *attributes[NFTA_EXPR_MAX + 1];
	uint64_t digest = 1;

	if (!expressions)
		return digest;
	for_each_nested(item, expressions) {
		const struct nlattr *data;
		const char *name;

		netlink_nested(item, attributes, NFTA_EXPR_MAX);
		data = attributes[NFTA_EXPR_DATA];
		name = nft_text(attributes[NFTA_EXPR_NAME]);
		digest = bytes_digest(digest, (const uint8_t *)name, strlen(name));
		if (strcmp(name, "counter") == 0)
			counter_read(data, rule);
		else if (data)
			digest = mix(digest, attributes_digest(data, nests_of(name), false));
	}
	return digest;
}

static int fixed_digest(size_t id, uint64_t *ret_digest)
{
	_Alignas(struct nlmsghdr) char buffer[RULE_MESSAGE_MAX] = "";
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nftnl_rule *rule = nft_fixed_build(id);
	const struct nlattr *attributes[NFTA_RULE_MAX + 1];
	struct rule counted;

	if (!rule)
		return -ENOMEM;
	mnl_nlmsg_put_extra_header(message, sizeof(struct nfgenmsg));
	nftnl_rule_nlmsg_build_payload(message, rule);
	nftnl_rule_free(rule);
	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_RULE_MAX);
	*ret_digest = nft_rule_digest(attributes[NFTA_RULE_EXPRESSIONS], &counted);
	return 0;
}

/* Of those that always stand, or of the others. */
static int make_some(const struct nft *nft, bool extra, uint64_t *digests)
{
	int r = 0;

	for (size_t i = nft->table->first; r == 0 && i < nft->table->end; i++)
		if (nft_fixed_has_rule(i) && !nft_fixed_always_stands(i) == extra)
			r = fixed_digest(i, &digests[i]);
	return r;
}

int nft_extra_digests_make(struct nft *nft)
{
	int r = nft->extra_digests ? 0 : make_some(nft, true, nft->digests);

	nft->extra_digests = r == 0;
	return r;
}

int nft_digests_make(struct nft *nft)
{
	CLEANUP_FREE uint64_t *digests = NULL;
	int r;

	if (nft->digests)
		return 0;
	digests = calloc(NFT_FIXED, sizeof(*digests));
	if (!digests)
		return -ENOMEM;
	r = make_some(nft, false, digests);
	if (r == 0)
		nft->digests = TAKE_POINTER(digests);
	return r;
}
