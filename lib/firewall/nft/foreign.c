/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules that others put in our chains, in nft's words where they are plain, else as the kernel's
 * expressions. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "firewall/nft/nft.h"

struct decoder {
	struct rule *rule;
	enum nft_field subject; /* of a comparison: what the expression before it loaded */
	size_t pending;         /* where the text of the load stands, to be replaced */
	uint8_t prefix_len;     /* of a masked address, in bits */
	struct addr mask;       /* that is not of a prefix; family 0: it is */
	char *text;             /* RULE_TEXT_MAX */
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

/* header 0: of a packet's metadata, by the key. */
static enum nft_field loaded_field(const struct decoder *decoder, uint32_t header, uint32_t place,
				   uint32_t len)
{
	for (enum nft_field i = FIELD_NONE + 1; i < FIELD_TO4; i++) {
		const struct nft_field_type *type = &nft_fields[i];

		if (type->header == header && type->place == place && len <= type->size &&
		    (!type->family || type->family == decoder->rule->family))
			return i;
	}
	return FIELD_NONE;
}

static void decode_meta(struct decoder *decoder, const struct nftnl_expr *expression)
{
	uint32_t key = nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY);

	decoder->subject = loaded_field(decoder, 0, key, 0);
	decoder->pending = decoder->len;
	append_expression(decoder, expression);
}

static void decode_payload(struct decoder *decoder, const struct nftnl_expr *expression)
{
	uint32_t header = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_BASE);
	uint32_t offset = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET);
	uint32_t len = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_LEN);

	decoder->subject = header == NFT_PAYLOAD_LL_HEADER ?
				   FIELD_NONE :
				   loaded_field(decoder, header, offset, len);
	/* nft loads only the bytes of a prefix that ends on a byte */
	decoder->prefix_len = (uint8_t)(len * 8);
	decoder->mask.family = 0;
	decoder->pending = decoder->len;
	append_expression(decoder, expression);
}

static bool is_address(enum nft_field field)
{
	return nft_fields[field].form == FORM_PREFIX;
}

/* The mask of an address whose prefix ends within a byte, or that has holes. */
static void decode_mask(struct decoder *decoder, const struct nftnl_expr *expression)
{
	static const struct addr zero;
	uint32_t len = 0, xor_len = 0;
	const uint8_t *bits = nftnl_expr_get(expression, NFTNL_EXPR_BITWISE_MASK, &len);
	const uint8_t * xor = nftnl_expr_get(expression, NFTNL_EXPR_BITWISE_XOR, &xor_len);
	struct prefix mask = { 0 };

	append_expression(decoder, expression);
	if (!is_address(decoder->subject) || !bits || len > sizeof(mask.addr.bytes) ||
	    nftnl_expr_get_u32(expression, NFTNL_EXPR_BITWISE_OP) != NFT_BITWISE_BOOL ||
	    (xor&&memcmp(xor, zero.bytes, xor_len < len ? xor_len : len) != 0)) {
		decoder->subject = FIELD_NONE;
		return;
	}
	memcpy(mask.addr.bytes, bits, len);
	mask.addr.family = nft_fields[decoder->subject].family;
	while (mask.len < len * 8 && bits[mask.len / 8] & 0x80 >> mask.len % 8)
		mask.len++;
	decoder->prefix_len = mask.len;
	if (!prefix_is_masked(&mask))
		decoder->mask = mask.addr;
}

static bool compare_interface(struct decoder *decoder, const char *name, uint32_t len, bool negated)
{
	bool in = decoder->subject == FIELD_IN;
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
	bool ipv4 = nft_fields[decoder->subject].family == AF_INET;
	bool source = decoder->subject == FIELD_SOURCE4 || decoder->subject == FIELD_SOURCE6;
	struct prefix *field = source ? &decoder->rule->source : &decoder->rule->destination;
	struct prefix prefix = { .addr.family = ipv4 ? AF_INET : AF_INET6,
				 .len = decoder->prefix_len };
	char text[PREFIX_TEXT_MAX], mask[ADDR_TEXT_MAX];

	if (len > (ipv4 ? 4u : 16u))
		return false;
	memcpy(prefix.addr.bytes, data, len);
	if (decoder->mask.family) {
		append_words(decoder, "%s %s & %s %s %s", ipv4 ? "ip" : "ip6",
			     source ? "saddr" : "daddr", addr_format(&decoder->mask, mask),
			     negated ? "!=" : "==", addr_format(&prefix.addr, text));
		return true;
	}
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
	case FIELD_FAMILY:
		/* Said by "ip saddr" and the like, which follow. */
		if (negated || (data[0] != AF_INET && data[0] != AF_INET6))
			return false;
		decoder->rule->family = data[0];
		return true;
	case FIELD_PROTOCOL:
		append_words(decoder, "meta l4proto %s%u", negation, (unsigned int)data[0]);
		if (!negated)
			decoder->rule->protocol = data[0];
		return true;
	case FIELD_SOURCE_PORT:
	case FIELD_PORT:
		if (len != 2)
			return false;
		append_words(decoder, "th %s %s%u",
			     decoder->subject == FIELD_SOURCE_PORT ? "sport" : "dport", negation,
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
	enum nft_field subject = decoder->subject;
	size_t end = decoder->len;
	char saved[RULE_TEXT_MAX];
	bool known = false, negated = relation == NFT_CMP_NEQ;

	memcpy(saved, decoder->text, end + 1);
	if (subject != FIELD_NONE && data && len && (negated || relation == NFT_CMP_EQ)) {
		/* The words of the comparison take the place of the load's. */
		decoder->len = decoder->pending;
		decoder->text[decoder->len] = '\0';
		if (subject == FIELD_IN || subject == FIELD_OUT)
			known = compare_interface(decoder, (const char *)data, len, negated);
		else if (is_address(subject))
			known = compare_address(decoder, data, len, negated);
		else
			known = compare_number(decoder, data, len, negated);
	}
	decoder->subject = FIELD_NONE;
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
		{ NF_ACCEPT, "accept", TARGET_ACCEPT },  { NF_DROP, "drop", TARGET_DROP },
		{ NFT_RETURN, "return", TARGET_RETURN }, { NFT_JUMP, "jump", TARGET_OTHER },
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
		decode_meta(decoder, expression);
	} else if (strcmp(name, "payload") == 0) {
		decode_payload(decoder, expression);
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
		decoder->subject = FIELD_NONE;
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

/* ---- as the kernel's expressions ---- */

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
