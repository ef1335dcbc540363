/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules that others put in our chains, in nft's words where they are plain, else as the kernel's
 * expressions. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "firewall/nft/nft.h"

/* What a comparison is about: loaded into a register by the expression before it. */
enum subject {
	SUBJECT_NONE,
	SUBJECT_IN,
	SUBJECT_OUT,
	SUBJECT_FAMILY,
	SUBJECT_PROTOCOL,
	SUBJECT_SOURCE4,
	SUBJECT_DESTINATION4,
	SUBJECT_SOURCE6,
	SUBJECT_DESTINATION6,
	SUBJECT_SOURCE_PORT,
	SUBJECT_DESTINATION_PORT
};

struct decoder {
	struct rule *rule;
	enum subject subject;
	size_t pending;     /* where the text of the load stands, to be replaced */
	uint8_t prefix_len; /* of a masked address, in bits */
	char *text;         /* RULE_TEXT_MAX */
	size_t len;
	bool full;
};

/* With a space before all but the first; what doesn't fit is left out, and ends the text. */
static void PRINTF(2, 3) append_words(struct decoder *decoder, const char *format, ...)
{
	size_t space = decoder->len ? 1 : 0, room = RULE_TEXT_MAX - decoder->len;
	char *end = decoder->text + decoder->len;
	va_list arguments;
	int len;

	end[0] = ' ';
	va_start(arguments, format);
	len = vsnprintf(end + space, room - space, format, arguments);
	va_end(arguments);
	if (len < 0 || (size_t)len + space >= room) {
		end[0] = '\0';
		decoder->full = true;
		return;
	}
	decoder->len += (size_t)len + space;
}

static void append_expression(struct decoder *decoder, const struct nftnl_expr *expression)
{
	char text[256];

	if (nftnl_expr_snprintf(text, sizeof(text), expression, NFTNL_OUTPUT_DEFAULT, 0) < 0)
		text[0] = '\0';
	append_words(decoder, "[ %s %s]", nftnl_expr_get_str(expression, NFTNL_EXPR_NAME), text);
}

static enum subject meta_subject(const struct nftnl_expr *expression)
{
	switch (nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY)) {
	case NFT_META_IIFNAME:
		return SUBJECT_IN;
	case NFT_META_OIFNAME:
		return SUBJECT_OUT;
	case NFT_META_NFPROTO:
		return SUBJECT_FAMILY;
	case NFT_META_L4PROTO:
		return SUBJECT_PROTOCOL;
	default:
		return SUBJECT_NONE;
	}
}

static enum subject address_subject(const struct decoder *decoder, uint32_t offset, uint32_t len)
{
	static const struct {
		int family;
		uint32_t offset, size;
		enum subject subject;
	} addresses[] = {
		{ AF_INET, 12, 4, SUBJECT_SOURCE4 },
		{ AF_INET, 16, 4, SUBJECT_DESTINATION4 },
		{ AF_INET6, 8, 16, SUBJECT_SOURCE6 },
		{ AF_INET6, 24, 16, SUBJECT_DESTINATION6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		if (decoder->rule->family == addresses[i].family && offset == addresses[i].offset &&
		    len <= addresses[i].size)
			return addresses[i].subject;
	}
	return SUBJECT_NONE;
}

static enum subject payload_subject(struct decoder *decoder, const struct nftnl_expr *expression)
{
	uint32_t base = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_BASE);
	uint32_t offset = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET);
	uint32_t len = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_LEN);

	/* nft loads only the bytes of a prefix that ends on a byte */
	decoder->prefix_len = (uint8_t)(len * 8);
	if (base == NFT_PAYLOAD_NETWORK_HEADER)
		return address_subject(decoder, offset, len);
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && len == 2 && offset == 0)
		return SUBJECT_SOURCE_PORT;
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && len == 2 && offset == 2)
		return SUBJECT_DESTINATION_PORT;
	return SUBJECT_NONE;
}

static void decode_load(struct decoder *decoder, enum subject subject,
			const struct nftnl_expr *expression)
{
	decoder->subject = subject;
	decoder->pending = decoder->len;
	append_expression(decoder, expression);
}

/* The mask of an address whose prefix ends within a byte. */
static void decode_mask(struct decoder *decoder, const struct nftnl_expr *expression)
{
	uint32_t len = 0;
	const uint8_t *bits = nftnl_expr_get(expression, NFTNL_EXPR_BITWISE_MASK, &len);
	uint8_t prefix_len = 0;

	append_expression(decoder, expression);
	if (decoder->subject < SUBJECT_SOURCE4 || decoder->subject > SUBJECT_DESTINATION6 || !bits)
		decoder->subject = SUBJECT_NONE;
	while (bits && prefix_len < len * 8 && bits[prefix_len / 8] & 0x80 >> prefix_len % 8)
		prefix_len++;
	decoder->prefix_len = prefix_len;
}

static bool compare_interface(struct decoder *decoder, const char *name, uint32_t len, bool negated)
{
	bool in = decoder->subject == SUBJECT_IN;
	char *field = in ? decoder->rule->in : decoder->rule->out;

	/* A name without its NUL stands for all that begin so. */
	if (field[0] || !len || len > IFNAMSIZ || name[len - 1] != '\0')
		return false;
	memcpy(field, name, len);
	*(in ? &decoder->rule->in_not : &decoder->rule->out_not) = negated;
	append_words(decoder, "%s %s\"%s\"", in ? "iifname" : "oifname", negated ? "!= " : "",
		     field);
	return true;
}

static bool compare_address(struct decoder *decoder, const uint8_t *data, uint32_t len,
			    bool negated)
{
	bool ipv4 = decoder->subject <= SUBJECT_DESTINATION4;
	bool source = decoder->subject == SUBJECT_SOURCE4 || decoder->subject == SUBJECT_SOURCE6;
	struct prefix *field = source ? &decoder->rule->source : &decoder->rule->destination;
	struct prefix prefix = { .addr.family = ipv4 ? AF_INET : AF_INET6,
				 .len = decoder->prefix_len };
	char text[PREFIX_TEXT_MAX];

	if (len > (ipv4 ? 4u : 16u))
		return false;
	memcpy(prefix.addr.bytes, data, len);
	append_words(decoder, "%s %s %s%s", ipv4 ? "ip" : "ip6", source ? "saddr" : "daddr",
		     negated ? "!= " : "", prefix_format(&prefix, text));
	if (!field->addr.family) {
		*field = prefix;
		*(source ? &decoder->rule->source_not : &decoder->rule->destination_not) = negated;
	}
	return true;
}

static bool compare_number(struct decoder *decoder, const uint8_t *data, uint32_t len, bool negated)
{
	const char *negation = negated ? "!= " : "";

	switch (decoder->subject) {
	case SUBJECT_FAMILY:
		/* Said by "ip saddr" and the like, which follow. */
		if (negated || (data[0] != AF_INET && data[0] != AF_INET6))
			return false;
		decoder->rule->family = data[0];
		return true;
	case SUBJECT_PROTOCOL:
		append_words(decoder, "meta l4proto %s%u", negation, (unsigned int)data[0]);
		if (!negated)
			decoder->rule->protocol = data[0];
		return true;
	case SUBJECT_SOURCE_PORT:
	case SUBJECT_DESTINATION_PORT:
		if (len != 2)
			return false;
		append_words(decoder, "th %s %s%u",
			     decoder->subject == SUBJECT_SOURCE_PORT ? "sport" : "dport", negation,
			     (unsigned int)(data[0] << 8 | data[1]));
		return true;
	default:
		return false;
	}
}

static void decode_compare(struct decoder *decoder, const struct nftnl_expr *expression)
{
	uint32_t relation = nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_OP), len = 0;
	const uint8_t *data = nftnl_expr_get(expression, NFTNL_EXPR_CMP_DATA, &len);
	enum subject subject = decoder->subject;
	size_t end = decoder->len;
	char saved[RULE_TEXT_MAX];
	bool known = false, negated = relation == NFT_CMP_NEQ;

	memcpy(saved, decoder->text, end + 1);
	if (subject != SUBJECT_NONE && data && len && (negated || relation == NFT_CMP_EQ)) {
		/* The words of the comparison take the place of the load's. */
		decoder->len = decoder->pending;
		decoder->text[decoder->len] = '\0';
		if (subject == SUBJECT_IN || subject == SUBJECT_OUT)
			known = compare_interface(decoder, (const char *)data, len, negated);
		else if (subject >= SUBJECT_SOURCE4 && subject <= SUBJECT_DESTINATION6)
			known = compare_address(decoder, data, len, negated);
		else
			known = compare_number(decoder, data, len, negated);
	}
	decoder->subject = SUBJECT_NONE;
	if (known)
		return;
	memcpy(decoder->text, saved, end + 1);
	decoder->len = end;
	append_expression(decoder, expression);
}

static void decode_immediate(struct decoder *decoder, const struct nftnl_expr *expression)
{
	static const struct {
		int verdict;
		const char *name;
		enum rule_target target;
	} verdicts[] = {
		{ NF_ACCEPT, "accept", TARGET_ACCEPT }, { NF_DROP, "drop", TARGET_DROP },
		{ NFT_RETURN, "return", TARGET_OTHER }, { NFT_JUMP, "jump", TARGET_OTHER },
		{ NFT_GOTO, "goto", TARGET_OTHER },
	};
	const char *chain = nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN);
	uint32_t verdict = nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT);

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		if (!nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT) ||
		    (int)verdict != verdicts[i].verdict)
			continue;
		decoder->rule->target = verdicts[i].target;
		append_words(decoder, "%s%s%s", verdicts[i].name, chain ? " " : "",
			     chain ? chain : "");
		return;
	}
	append_expression(decoder, expression);
}

static int decode_expression(struct nftnl_expr *expression, void *data)
{
	const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
	struct decoder *decoder = data;

	if (strcmp(name, "counter") == 0) {
		append_words(decoder, "counter");
	} else if (strcmp(name, "meta") == 0) {
		decode_load(decoder, meta_subject(expression), expression);
	} else if (strcmp(name, "payload") == 0) {
		decode_load(decoder, payload_subject(decoder, expression), expression);
	} else if (strcmp(name, "bitwise") == 0) {
		decode_mask(decoder, expression);
	} else if (strcmp(name, "cmp") == 0) {
		decode_compare(decoder, expression);
	} else if (strcmp(name, "immediate") == 0) {
		decode_immediate(decoder, expression);
	} else if (strcmp(name, "masq") == 0) {
		decoder->rule->target = TARGET_MASQUERADE;
		append_words(decoder, "masquerade");
	} else {
		decoder->subject = SUBJECT_NONE;
		append_expression(decoder, expression);
	}
	return decoder->full ? -1 : 0;
}

int nft_foreign_decode(struct nftnl_rule *kernel, struct rule *rule)
{
	char text[RULE_TEXT_MAX] = "";
	struct decoder decoder = { .rule = rule, .text = text };

	rule->target = TARGET_OTHER;
	nftnl_expr_foreach(kernel, decode_expression, &decoder);
	rule->foreign = strdup(text);
	return rule->foreign ? 0 : -ENOMEM;
}
