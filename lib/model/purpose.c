/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sentences of the catalogue, with their blanks filled in from a rule. */
#include <stdio.h>

#include "model/port.h"
#include "model/rule.h"

#define BLANK_MAX PURPOSE_MAX

/* "port 80/tcp" or "ports 8000-8010/tcp". */
static void ports_text(uint16_t first, uint16_t count, const char *protocol,
		       char text[static BLANK_MAX])
{
	const char *separator = protocol[0] ? "/" : "";

	if (count > 1)
		snprintf(text, BLANK_MAX, "ports %u-%u%s%s", first, first + count - 1u, separator,
			 protocol);
	else
		snprintf(text, BLANK_MAX, "port %u%s%s", first, separator, protocol);
}

/* A single address without its length. */
static void prefix_text(const struct prefix *prefix, char text[static BLANK_MAX])
{
	if (prefix->len == addr_size(prefix->addr.family) * 8)
		addr_format(&prefix->addr, text);
	else
		prefix_format(prefix, text);
}

enum blank_type {
	BLANK_TEXT,
	BLANK_ADDRESS,
	BLANK_PREFIX,
	BLANK_HOST,
	BLANK_PORTS,
	BLANK_NUMBER,
	BLANK_WHOSE,
	BLANK_FOREIGN
};

/* field: of the rule, a text, an address, the first port or a number. */
#define BLANK(name, type, field)                                 \
	{                                                        \
		name, BLANK_##type, offsetof(struct rule, field) \
	}
static const struct blank {
	const char *name;
	enum blank_type type;
	size_t offset;
} blanks[] = {
	BLANK("network", TEXT, network),
	BLANK("endpoint", TEXT, endpoint),
	BLANK("in", TEXT, in),
	BLANK("out", TEXT, out),
	BLANK("source", PREFIX, source),
	BLANK("destination", PREFIX, destination),
	BLANK("to", ADDRESS, to),
	BLANK("host", HOST, destination.addr),
	BLANK("host_ports", PORTS, host_port),
	BLANK("to_ports", PORTS, to_port),
	BLANK("connections", NUMBER, connections),
	BLANK("whose", WHOSE, chain),
	BLANK("foreign", FOREIGN, foreign),
};

static void fill_blank(const struct rule *rule, const struct blank *blank,
		       char text[static BLANK_MAX])
{
	const void *field = (const char *)rule + blank->offset;
	bool host_side = field == (const void *)&rule->host_port;

	switch (blank->type) {
	case BLANK_TEXT:
		snprintf(text, BLANK_MAX, "%s", (const char *)field);
		break;
	case BLANK_HOST:
		if (!addr_is_set(field)) {
			snprintf(text, BLANK_MAX, "this host");
			break;
		}
		__attribute__((fallthrough));
	case BLANK_ADDRESS:
		addr_format(field, text);
		break;
	case BLANK_PREFIX:
		prefix_text(field, text);
		break;
	case BLANK_PORTS:
		ports_text(*(const uint16_t *)field, rule->count,
			   host_side ? protocol_name(rule->protocol) : "", text);
		break;
	case BLANK_NUMBER:
		snprintf(text, BLANK_MAX, "%u", *(const uint32_t *)field);
		break;
	case BLANK_WHOSE:
		snprintf(text, BLANK_MAX, "%s",
			 rule->chain == CHAIN_FILTER_USER ?
				 "A rule of the host's administrator in BRIDGENET-USER" :
				 "Not made by bridgenet");
		break;
	case BLANK_FOREIGN:
		snprintf(text, BLANK_MAX, "%s",
			 rule->foreign && rule->foreign[0] ? rule->foreign : "unknown");
		break;
	}
}

/* A name that is none leaves a gap, which the test of all kinds finds. */
static void say_blank(const struct rule *rule, const char *name, size_t len,
		      char text[static BLANK_MAX])
{
	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(blanks); i++) {
		if (strlen(blanks[i].name) == len && memcmp(blanks[i].name, name, len) == 0)
			fill_blank(rule, &blanks[i], text);
	}
}

void rule_purpose(const struct rule *rule, char text[static PURPOSE_MAX])
{
	const char *sentence = kind_of(rule->kind)->purpose;
	size_t len = 0;

	text[0] = '\0';
	if (rule->target == TARGET_LOG)
		len = (size_t)snprintf(text, PURPOSE_MAX,
				       "Told in the kernel's log, %d times a second "
				       "at most: ",
				       LOG_RATE);
	while (*sentence && len < PURPOSE_MAX - 1) {
		size_t words = strcspn(sentence, "{");
		char blank[BLANK_MAX] = "";
		const char *end = strchr(sentence, '}');

		if (sentence[words] && end)
			say_blank(rule, sentence + words + 1, (size_t)(end - sentence) - words - 1,
				  blank);
		snprintf(text + len, PURPOSE_MAX - len, "%.*s%s", (int)words, sentence, blank);
		len += strlen(text + len);
		sentence = sentence[words] && end ? end + 1 : "";
	}
}
