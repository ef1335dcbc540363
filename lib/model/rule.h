/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A packet-filter rule as a value: what is planned, what a backend encodes, and what it reads
 * back. Planned and read-back rules are equal under rule_compare(), which leaves counters and
 * handles out.
 */
#ifndef BN_MODEL_RULE_H
#define BN_MODEL_RULE_H

#include "model/records.h"

/* In the order in which a packet meets them, and a listing shows them. */
enum rule_chain {
	CHAIN_RAW_PREROUTING,
	CHAIN_NAT_PREROUTING,
	CHAIN_NAT_OUTPUT,
	CHAIN_NAT_PORTS, /* the DNAT rules, from both of the above */
	CHAIN_FILTER_FORWARD,
	CHAIN_FILTER_USER, /* the user's hook */
	CHAIN_NAT_POSTROUTING,
	CHAIN_COUNT
};

/* What a rule is for; within a chain also its order. */
enum rule_kind {
	/* raw prerouting */
	RULE_RAW_JUMP,             /* to our own chain; base of a backend with such chains */
	RULE_LOOPBACK_JUMP,        /* to 127.0.0.0/8, not by lo; the same, IPv4 */
	RULE_LOOPBACK_SOURCE_JUMP, /* from 127.0.0.0/8, not by lo; the same, IPv4 */
	RULE_NETWORK_RAW_JUMP,     /* to a network, not by its bridge; the same, per network */
	RULE_LOOPBACK_PORT_DROP,   /* port bound to 127.x, asked for from elsewhere: a port */
	RULE_LOOPBACK_DROP,        /* from a bridge to 127.0.0.0/8: per network, IPv4 */
	RULE_LOOPBACK_SOURCE_DROP, /* from a bridge, as if from 127.0.0.0/8: the same */
	RULE_DIRECT_DROP,          /* to an endpoint, not by its bridge: per address */
	/* nat prerouting, output */
	RULE_PORTS_JUMP_PREROUTING, /* to an address of the host: published ports; base */
	RULE_PORTS_JUMP_OUTPUT,     /* the same for the host's own connections; base */
	/* nat ports */
	RULE_NETWORK_PORTS_JUMP, /* to the ports of a network, where it has a chain */
	RULE_PORT_DNAT,          /* per port and family */
	/* filter forward */
	RULE_USER_JUMP,            /* base */
	RULE_FORWARD_JUMP,         /* to our own chain; base of a backend with such chains */
	RULE_ESTABLISHED_ACCEPT,   /* base */
	RULE_DNAT_ACCEPT,          /* a connection to a published port; base */
	RULE_NETWORK_FORWARD_JUMP, /* to a network, where it has a chain */
	RULE_BRIDGED_ACCEPT,       /* between endpoints of one network: per network */
	RULE_UNPUBLISHED_DROP,     /* to a network, not to a published port: per network */
	RULE_OUTGOING_ACCEPT,      /* from a network to outside: per network */
	/* nat postrouting */
	RULE_POSTROUTING_JUMP,         /* to our own chain; base of a backend with such chains */
	RULE_NETWORK_POSTROUTING_JUMP, /* to the rules of a network, where it has a chain */
	RULE_HAIRPIN_MASQUERADE,       /* endpoint to a port it or its neighbour publishes */
	RULE_LOOPBACK_MASQUERADE,      /* the host's 127.x to a published port; IPv4 */
	RULE_MASQUERADE,               /* from a network to outside */
	/* not ours */
	RULE_FOREIGN,
	RULE_KIND_COUNT
};

enum rule_target {
	TARGET_ACCEPT,
	TARGET_DROP,
	TARGET_DNAT,
	TARGET_MASQUERADE,
	TARGET_JUMP,
	TARGET_OTHER
};

/* Match bits beyond addresses and interfaces. */
#define RULE_LOCAL_DESTINATION 0x1u /* the destination is an address of this host */
#define RULE_STATE_ESTABLISHED 0x2u /* connection established or related */
#define RULE_STATUS_DNAT 0x4u       /* connection with a translated destination */

struct rule {
	enum rule_kind kind;
	enum rule_chain chain;
	enum rule_target target;
	int family;                         /* AF_INET, AF_INET6; AF_UNSPEC: both */
	uint8_t protocol;                   /* 0: any */
	char in[IFNAMSIZ], out[IFNAMSIZ];   /* "": any */
	bool in_not, out_not;               /* any other interface than that one */
	struct prefix source, destination;  /* family 0: anywhere */
	bool destination_not;               /* any other destination */
	uint32_t match;                     /* RULE_* bits */
	uint16_t host_port;                 /* first of count; 0: any */
	uint16_t count;                     /* of consecutive ports, 1 or more with host_port */
	struct addr to;                     /* DNAT: where to */
	uint16_t to_port;                   /* DNAT: first */
	enum rule_chain jump;               /* TARGET_JUMP */
	char network[NETWORK_NAME_MAX + 1]; /* owner; "": the library's own */
	char endpoint[ENDPOINT_ID_MAX + 1];
	/* what only the kernel knows */
	uint64_t packets, bytes, handle;
	char *foreign; /* RULE_FOREIGN: its text, owned */
};

/* A rule with what all rules of its kind have in common, and nothing else. */
void rule_init(struct rule *rule, enum rule_kind kind, int family);

typedef VECTOR(struct rule) rule_vector;
void rules_clear(rule_vector *rules);

/* Order of a listing: chain, kind, family, network, endpoint, protocol, host address, host port,
 * then every other planned field. 0 means: the same rule. */
int rule_compare(const struct rule *a, const struct rule *b);
/* The same order without the owners: what the kernel tells apart. */
int rule_compare_unowned(const struct rule *a, const struct rule *b);
void rules_sort(rule_vector *rules);

const char *rule_target_name(const struct rule *rule); /* "DNAT"; "-" for a jump */
const char *rule_table_name(enum rule_chain chain);    /* "raw", "nat", "filter" */

/* One sentence: what the rule is for. It is derived from the rule's own values alone, so that it
 * also speaks for a rule read from the kernel. */
#define PURPOSE_MAX 400
void rule_purpose(const struct rule *rule, char text[static PURPOSE_MAX]);

#endif
