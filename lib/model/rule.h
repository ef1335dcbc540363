/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A packet-filter rule as a value: what is planned, what a backend encodes, and what it reads
 * back. Planned and read-back rules are equal under rule_compare(), which leaves counters and
 * handles out.
 */
#ifndef BN_MODEL_RULE_H
#define BN_MODEL_RULE_H

#include "model/kind.h"

struct rule {
	enum rule_kind kind;
	enum rule_chain chain;
	enum rule_target target;
	int family;                        /* AF_INET, AF_INET6; AF_UNSPEC: both */
	uint8_t protocol;                  /* 0: any */
	char in[IFNAMSIZ], out[IFNAMSIZ];  /* "": any */
	bool in_not, out_not;              /* any other interface than that one */
	uint8_t mac[MAC_LEN];              /* the source of the frame; all 0: any */
	struct prefix source, destination; /* family 0: anywhere */
	bool source_not, destination_not;  /* any other address */
	uint32_t match;                    /* RULE_* bits */
	uint16_t host_port;                /* first of count; 0: any */
	uint16_t count;                    /* of consecutive ports, 1 or more with host_port */
	struct addr to;                    /* DNAT: where to; SNAT: from then on from where */
	uint16_t to_port;                  /* DNAT: first */
	bool random_ports;                 /* TARGET_MASQUERADE, TARGET_SNAT */
	uint32_t connections;              /* more than these are open; 0: however many */
	uint8_t reason;                    /* TARGET_LOG: enum log_reason */
	/* TARGET_LOG with PLAN_OWN_CHAINS: of the network, as the line has it */
	char logged_as[NETWORK_LABEL_MAX];
	enum rule_chain jump; /* TARGET_JUMP, TARGET_GOTO */
	/* what only the kernel knows */
	uint64_t packets, bytes, handle;
	char *foreign; /* RULE_FOREIGN: its text, owned */
	/* whose it is: last, as it can be kept apart */
	char network[NETWORK_NAME_MAX + 1]; /* owner; "": the library's own */
	char endpoint[ENDPOINT_ID_MAX + 1];
	char label[NETWORK_LABEL_MAX]; /* of the network, as chains are named */
};
#define RULE_HEAD offsetof(struct rule, network)

/* The fixed address that rules of that family match; NULL: none. */
const struct prefix *kind_fixed(const struct kind_address_match *match, int family);
/* A rule with what all rules of its kind have in common, and nothing else. */
void rule_init(struct rule *rule, const struct kind *kind, int family);
/* Could a rule that matches and does this be one of that kind, in a backend with these traits? */
bool rule_fits(const struct rule *rule, const struct kind *kind, uint32_t traits);
static inline bool rule_leads_on(const struct rule *rule)
{
	return rule->target == TARGET_JUMP || rule->target == TARGET_GOTO;
}

typedef VECTOR(struct rule) rule_vector;
void rules_clear(rule_vector *rules);

/* Is it about frames of Ethernet, and so in a table that both backends have in nftables? */
static inline bool rule_is_of_frames(const struct rule *rule)
{
	return rule->chain >= CHAIN_FRAMES_FIRST && rule->chain < CHAIN_COUNT;
}

/* Order of a listing: chain, kind, family, network, endpoint, protocol, host address, host port,
 * then every other planned field. 0 means: the same rule. */
int rule_compare(const struct rule *a, const struct rule *b);
/* The same order without the owners: what the kernel tells apart. */
int rule_compare_unowned(const struct rule *a, const struct rule *b);
void rules_sort(rule_vector *rules);

/* How the line begins that it writes: "bn net direct: ", or "bn direct: ". */
#define LOG_PREFIX_MAX 30 /* as the kernel's xtables take it */
void rule_log_prefix(const struct rule *rule, char text[static LOG_PREFIX_MAX]);
/* The other way round; false of what is none. */
bool rule_log_read(const char *prefix, struct rule *rule);

const char *rule_target_name(const struct rule *rule); /* "DNAT"; "-" for a jump */
const char *rule_table_name(enum rule_chain chain);    /* "raw", "nat", ... */

/* One sentence: what the rule is for. It is derived from the rule's own values alone, so that it
 * also speaks for a rule read from the kernel. */
#define PURPOSE_MAX 480
void rule_purpose(const struct rule *rule, char text[static PURPOSE_MAX]);

#endif
