/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The catalogue of rules: a row for each kind, with all that is true of every rule of that kind.
 * The plan makes rules of it, the backends check against it what they read, and their tables of
 * encodings have a line for each row.
 */
#ifndef BN_MODEL_KIND_H
#define BN_MODEL_KIND_H

#include "model/records.h"

/* In the order in which a packet meets them, and a listing shows them. */
enum rule_chain {
	CHAIN_RAW_PREROUTING,
	CHAIN_RAW_SOURCES, /* what comes in by a bridge of our own */
	CHAIN_MANGLE_PREROUTING,
	CHAIN_MANGLE_DIRECT, /* what begins a connection straight to an endpoint */
	CHAIN_NAT_PREROUTING,
	CHAIN_NAT_OUTPUT,
	CHAIN_NAT_PORTS, /* the DNAT rules, from both of the above */
	CHAIN_FILTER_INPUT,
	CHAIN_FILTER_INVALID, /* what is for the host, and of no connection */
	CHAIN_FILTER_HOST,    /* what is for the host, and comes from a network */
	CHAIN_MANGLE_FORWARD,
	CHAIN_MANGLE_CLAMP, /* what begins a connection of TCP */
	CHAIN_FILTER_FORWARD,
	CHAIN_FILTER_USER,    /* the user's hook */
	CHAIN_FILTER_TO,      /* what goes to a network */
	CHAIN_FILTER_SOURCES, /* from whom a published port with lists is reached */
	CHAIN_FILTER_PEERS,   /* which other networks reach one that most reach */
	CHAIN_FILTER_OPEN,    /* and one that only those reach which all reach */
	CHAIN_FILTER_TRUSTED, /* what comes from where a network trusts */
	CHAIN_FILTER_FROM,    /* what comes from one */
	CHAIN_FILTER_GUARD,   /* what does neither */
	CHAIN_NAT_POSTROUTING,
	CHAIN_FRAMES,         /* of Ethernet, as they come to a bridge by one of its ports */
	CHAIN_FRAMES_JUDGED,  /* those of an endpoint that is to send as itself alone */
	CHAIN_FRAMES_ALLOWED, /* of these what comes from addresses of its own */
	CHAIN_COUNT,
	CHAIN_FRAMES_FIRST = CHAIN_FRAMES
};

/* What a rule is for; within a chain also its order. A packet that an endpoint sends meets those
 * with its bridge as the input device, one that it gets those with the bridge as the output. What
 * is told of before it is dropped has a kind for that, right before the other: DROP_AND_LOG(). */
enum rule_kind {
	/* raw prerouting */
	RULE_RAW_JUMP,
	RULE_LOOPBACK_JUMP,
	RULE_LOOPBACK_SOURCE_JUMP,
	RULE_NETWORK_RAW_JUMP,
	RULE_NETWORK_RAW_SOURCE_JUMP,
	RULE_LOOPBACK_PORT_LOG,
	RULE_LOOPBACK_PORT_DROP,
	RULE_LOOPBACK_LOG,
	RULE_LOOPBACK_DROP,
	RULE_LOOPBACK_SOURCE_LOG,
	RULE_LOOPBACK_SOURCE_DROP,
	RULE_DIRECT_LOG,
	RULE_DIRECT_DROP,
	RULE_SOURCES_GOTO,
	RULE_ENDPOINT_SOURCE_LOG,
	RULE_ENDPOINT_SOURCE_DROP,
	RULE_OUTSIDE_JUMP,
	RULE_SUBNET_SOURCE_LOG,
	RULE_SUBNET_SOURCE_DROP,
	RULE_SUBNET_LOG,
	RULE_SUBNET_DROP,
	/* raw sources */
	RULE_SOURCE_LOG,
	RULE_SOURCE_DROP,
	/* mangle prerouting */
	RULE_DIRECT_JUMP,
	RULE_CONNECTIONS_JUMP,
	RULE_CONNECTIONS_DROP,
	/* mangle direct */
	RULE_TRUSTED_FORGED_LOG,
	RULE_TRUSTED_FORGED_DROP,
	RULE_DIRECT_NEW_LOG,
	RULE_DIRECT_NEW_DROP,
	/* nat prerouting, output */
	RULE_INTERFACE_JUMP,
	RULE_INTERFACE_DNAT,
	RULE_PORTS_JUMP_PREROUTING,
	RULE_PORTS_JUMP_OUTPUT,
	/* nat ports */
	RULE_HOST_PORTS_RETURN,
	RULE_LINK_LOCAL_RETURN,
	RULE_LOOPBACK_RETURN,
	RULE_NETWORK_PORTS_JUMP,
	RULE_PORT_DNAT,
	/* filter input */
	RULE_INVALID_JUMP,
	RULE_HOST_JUMP,
	/* filter invalid */
	RULE_OTHER_PORT_RETURN,
	RULE_PUBLISHED_INVALID_DROP,
	RULE_PORT_INVALID_DROP,
	/* filter host */
	RULE_HOST_ESTABLISHED_RETURN,
	RULE_HOST_NEIGHBOURS_RETURN,
	RULE_HOST_ECHO_RETURN,
	RULE_HOST_DNS_RETURN,
	RULE_HOST_DNS_TCP_RETURN,
	RULE_HOST_LOG,
	RULE_HOST_DROP,
	/* mangle forward */
	RULE_CLAMP_JUMP,
	RULE_NETWORK_CLAMP_JUMP,
	/* mangle clamp */
	RULE_CLAMP_FROM,
	RULE_CLAMP_TO,
	/* filter forward */
	RULE_USER_JUMP,
	RULE_FORWARD_JUMP,
	RULE_INTERNAL_LOG,
	RULE_INTERNAL_DROP,
	RULE_TO_JUMP,
	RULE_FROM_JUMP,
	RULE_BRIDGE_TO_JUMP,
	RULE_BRIDGE_FROM_JUMP,
	RULE_GUARD_JUMP,
	/* filter to */
	RULE_ESTABLISHED_ACCEPT,
	RULE_INTERNAL_TO_LOG,
	RULE_INTERNAL_TO_DROP,
	RULE_LISTED_JUMP,
	RULE_DNAT_ACCEPT,
	RULE_BRIDGED_ACCEPT,
	RULE_NEIGHBOUR_LOG,
	RULE_NEIGHBOUR_DROP,
	RULE_PEERS_JUMP,
	RULE_OPEN_JUMP,
	RULE_UNPROTECTED_ACCEPT,
	RULE_ROUTED_PORT_ACCEPT,
	RULE_ROUTED_ECHO_ACCEPT,
	RULE_TRUSTED_INTERFACE_JUMP,
	RULE_TRUSTED_SOURCE_JUMP,
	RULE_UNPUBLISHED_LOG,
	RULE_UNPUBLISHED_DROP,
	/* filter sources */
	RULE_DENIED_LOG,
	RULE_DENIED_DROP,
	RULE_ALLOWED_RETURN,
	RULE_OTHERS_LOG,
	RULE_OTHERS_DROP,
	/* filter peers */
	RULE_PEER_ACCEPT,
	/* filter open */
	RULE_OPEN_ACCEPT,
	/* filter trusted */
	RULE_TRUSTED_PORT_ACCEPT,
	/* filter from */
	RULE_INVALID_LOG,
	RULE_INVALID_DROP,
	RULE_OUTGOING_ACCEPT,
	RULE_INTERNAL_FROM_LOG,
	RULE_INTERNAL_FROM_DROP,
	/* filter guard */
	RULE_GUARD_IN_RETURN,
	RULE_GUARD_OUT_RETURN,
	RULE_GUARD_BRIDGED_RETURN,
	RULE_GUARD_DROP,
	/* nat postrouting */
	RULE_POSTROUTING_JUMP,
	RULE_NETWORK_POSTROUTING_JUMP,
	RULE_HAIRPIN_MASQUERADE,
	RULE_LOOPBACK_MASQUERADE,
	RULE_UNTRANSLATED_RETURN,
	RULE_SNAT,
	RULE_SNAT_KEEP,
	RULE_MASQUERADE,
	RULE_MASQUERADE_KEEP,
	/* frames */
	RULE_FRAME_STRAY_DROP,
	RULE_FRAME_JUDGED_GOTO,
	/* frames judged */
	RULE_FRAME_TAGGED_DROP,
	RULE_FRAME_ARP_RETURN,
	RULE_FRAME_SOURCE_GOTO,
	RULE_FRAME_BEHIND_GOTO,
	RULE_FRAME_DROP,
	/* frames allowed */
	RULE_FRAME_DHCP_DROP,
	RULE_FRAME_REDIRECT_DROP,
	RULE_FRAME_ROUTER_DROP,
	RULE_FRAME_NEIGHBOUR_RETURN,
	RULE_FRAME_NEIGHBOUR_DROP,
	RULE_FRAME_PROBE_RETURN,
	RULE_FRAME_PROBE_DROP,
	/* not ours; the last of those in tables of ours */
	RULE_FOREIGN,
	/* ours, in a chain of somebody else's; rule.foreign names it */
	RULE_COEXIST_FROM,
	RULE_COEXIST_TO,
	RULE_KIND_COUNT,
	/* about what is for the host itself */
	RULE_INPUT_FIRST = RULE_INVALID_JUMP,
	RULE_INPUT_END = RULE_CLAMP_JUMP,
	/* about what is forwarded, up to the guard */
	RULE_FORWARD_END = RULE_GUARD_IN_RETURN,
	/* about frames */
	RULE_FRAMES_FIRST = RULE_FRAME_STRAY_DROP
};

enum rule_target {
	TARGET_ACCEPT,
	TARGET_DROP,
	TARGET_LOG, /* a line in the kernel's log, of some packets; all go on */
	TARGET_DNAT,
	TARGET_SNAT,
	TARGET_MASQUERADE,
	TARGET_CLAMP_MSS, /* segments no larger than the route takes them */
	TARGET_RETURN,
	TARGET_JUMP,
	TARGET_GOTO, /* a jump that does not come back to its chain */
	TARGET_OTHER
};

/* Why something is dropped, in a word of the kernel's log. */
enum log_reason {
	LOGS_NOTHING,
	LOGS_LOOPBACK, /* for 127.0.0.0/8 of the host */
	LOGS_FORGED,   /* a source that is not there */
	LOGS_DIRECT,   /* straight to an endpoint */
	LOGS_OUTSIDE,  /* for the subnet, from outside */
	LOGS_HOST,
	LOGS_INTERNAL,
	LOGS_ICC,
	LOGS_NO_PORT, /* that is published */
	LOGS_DENIED,  /* by the lists of a port */
	LOGS_INVALID, /* of no connection */
	LOGS_COUNT
};
/* So many lines a second of each rule, after so many at once. */
#define LOG_RATE 5
#define LOG_BURST 10

/* Match bits beyond addresses and interfaces. */
#define RULE_LOCAL_DESTINATION 0x1u        /* the destination is an address of this host */
#define RULE_STATE_ESTABLISHED 0x2u        /* connection established or related */
#define RULE_STATUS_DNAT 0x4u              /* connection with a translated destination */
#define RULE_STATE_INVALID 0x8u            /* of no connection that there could be */
#define RULE_SOURCE_ASTRAY 0x10u           /* the host would not answer to it by that interface */
#define RULE_FROM_BRIDGE 0x20u             /* the input device is a bridge, whoever's */
#define RULE_TO_BRIDGE 0x40u               /* the output device is */
#define RULE_UNPUBLISHED 0x80u             /* nothing is published under that address and port */
#define RULE_ORIGINAL 0x4000u              /* address and ports are those before translation */
#define RULE_INTERFACE_DESTINATION 0x8000u /* an address of the interface that it came by */
#define RULE_STATE_NEW 0x10000u            /* of no connection that was let through before */
#define RULE_BEGINS 0x40000u               /* the first packet of a connection */
#define RULE_TCP_SYN 0x20000u              /* the first segment of one side */
#define RULE_ECHO_REQUEST 0x1000u          /* of ICMP or ICMPv6 */
#define RULE_ICMPV6_OTHER 0x100u           /* any other message of ICMPv6 */
#define RULE_TAGGED 0x100000u              /* of a VLAN */
#define RULE_ARP 0x200000u                 /* of ARP, of a sender with that MAC, and the source */
#define RULE_DHCP_ANSWER 0x400000u         /* what a server sends to a client */
#define RULE_REDIRECT 0x800000u            /* of ICMP or ICMPv6 */
#define RULE_ROUTER_ADVERT 0x1000000u      /* of ICMPv6 */
/* That an address is there, which is the destination here; and a probe whether it is. */
#define RULE_NEIGHBOUR_ADVERT 0x2000000u
#define RULE_NEIGHBOUR_PROBE 0x4000000u
#define RULE_LIMITED 0x8000000u /* of all that match only some: what goes with TARGET_LOG */
#define RULE_ASKED_DNS 0x200u   /* the connection was begun to port 53, of its protocol */

/* What a backend can say in a rule, where backends differ. */
#define PLAN_BOTH_FAMILIES 0x1u  /* one base rule serves IPv4 and IPv6 */
#define PLAN_POSTROUTING_IN 0x2u /* the input device is known after routing */
#define PLAN_PORT_RANGES 0x4u    /* a range of ports is one rule, not one each */
#define PLAN_OWN_CHAINS \
	0x8u                    /* our rules stand in chains of our own, and those of the
				  * networks in chains below: to each a rule jumps */
#define PLAN_OWNERS 0x10u       /* a rule in the kernel says whose it is */
#define PLAN_DEVICE_KINDS 0x20u /* a rule can tell bridges from other devices */
/* Who fits no connection is told by the port, at little cost. */
#define PLAN_INVALID_INPUT 0x40u
#define PLAN_ASKS_PORTS 0x80u   /* one rule can ask whether a port is published */
#define PLAN_LISTS_PORTS 0x100u /* it can't: there is one for each that is */

#define PLAN_FRAMES 0x200u /* frames of bridges are judged as well */

/* Of what there is a rule: the library as a whole, each network, endpoint or port. */
#define PLAN_BASE 0x1u
#define PLAN_NETWORKS 0x2u
#define PLAN_ENDPOINTS 0x4u
#define PLAN_PORTS 0x8u
#define PLAN_GUARD 0x10u /* of the guard, where there is one */
/* Of these a part: what lets in to an endpoint, which comes last and goes first, or the others.
 * Neither: all. */
#define PLAN_LETTING_IN 0x20u
#define PLAN_OTHERS 0x40u

/* For which families; a rule of the base for both. */
enum kind_families {
	FAMILIES_PRESENT, /* those that the network, the endpoint or the port has */
	FAMILIES_EACH,    /* the same, and one for each of the base, too */
	FAMILIES_ALL,     /* also one that it lacks, on a bridge of our own */
	FAMILIES_IPV4,    /* where it has IPv4 */
	FAMILIES_IPV6,
	FAMILIES_GUARDED, /* those that the guard is about */
	FAMILIES_NONE,    /* of no family: one for all frames */
};

enum kind_bridges { BRIDGES_ALL, BRIDGES_OWN, BRIDGES_ADOPTED };

#define LOOPBACK_DEVICE "lo"

enum kind_device {
	DEVICE_ANY,
	DEVICE_LOOPBACK,
	DEVICE_BRIDGE,         /* of the network */
	DEVICE_EACH,           /* see enum kind_each */
	DEVICE_OTHER_BRIDGE,   /* each that the guard lets pass */
	DEVICE_PORT,           /* that the port is published on */
	DEVICE_ENDPOINT,       /* the host's end of its link */
	DEVICE_BRIDGE_IF_KNOWN /* with PLAN_POSTROUTING_IN; else any */
};

enum kind_address {
	ADDRESS_ANY,
	ADDRESS_FIXED,             /* in rules of its family; else any */
	ADDRESS_SUBNET,            /* of the network */
	ADDRESS_SUBNET_OR_HOST,    /* the same; of one that is entered those that the host takes */
	ADDRESS_SUBNET_IF_ADOPTED, /* on somebody else's bridge; else any */
	ADDRESS_SUBNET_FOR_DEVICE, /* the same, and where the input device is not known */
	ADDRESS_ENDPOINT,
	ADDRESS_EACH,    /* see enum kind_each */
	ADDRESS_ALLOWED, /* each source that the port allows, or denies */
	ADDRESS_DENIED,
	ADDRESS_HOST /* that the port is published on; any for every address */
};

/* Of what that its network names there is a rule each. */
enum kind_each {
	EACH_NONE,         /* there is one */
	EACH_UNTRANSLATED, /* to where addresses are kept */
	EACH_TRUSTED_INTERFACE,
	EACH_TRUSTED_SOURCE,
	EACH_SOURCE, /* of the endpoint's own, with those that stand for none yet */
	EACH_BEHIND, /* that it routes for */
	EACH_OWN,    /* that it may say it has */
};

/* What a rule is planned about. What the kind's scope does not reach is NULL. */
struct rule_subject {
	const struct network *network;
	const struct endpoint *endpoint;
	const struct port *port;
	const struct guard *guard;
	const char *bridge;     /* somebody else's */
	int family;             /* of the rule; AF_UNSPEC: of one of the base for both */
	struct prefix each;     /* what ADDRESS_EACH is */
	const char *interface_; /* what DEVICE_EACH is */
	/* Of the network and the endpoint, which one: the first, but where the rule names it, for
	 * then there is one of each. */
	const struct subnet *subnet;
	const struct prefix *address;
};

struct kind_address_match {
	enum kind_address is;
	bool negated;
	struct prefix fixed, other; /* of ADDRESS_FIXED; other: of the other family */
};

struct kind {
	enum rule_kind kind;
	/* when there is such a rule */
	uint32_t scope; /* PLAN_BASE, ... */
	uint32_t needs; /* PLAN_* of the backend */
	enum kind_families families;
	enum kind_bridges bridges;
	bool (*applies)(const struct rule_subject *subject); /* NULL: always */
	enum kind_each each;
	/* where it stands and what it does */
	enum rule_chain chain;
	/* TARGET_DNAT: to the endpoint's address and port; TARGET_SNAT: to the network's */
	enum rule_target target;
	enum rule_chain jump;
	/* what it matches; all that is said must be true */
	struct {
		enum kind_device is;
		bool negated;
	} in, out;
	struct kind_address_match source, destination;
	/* protocol and ports of the port mapping: those of the host, or those of the endpoint */
	bool host_ports, container_ports;
	bool mac;         /* the endpoint's, as the source of the frame */
	uint8_t protocol; /* where it is the same for all of them; 0: any */
	uint32_t match;   /* RULE_* bits */
	bool connections; /* only when more are open than the endpoint may have */
	/* TARGET_MASQUERADE, TARGET_SNAT: takes any port, and not the sender's if it can */
	bool random_ports;
	uint8_t reason; /* TARGET_LOG: enum log_reason */
	/* What it is for, in a sentence with blanks: see purpose.c. */
	const char *purpose;
};

/* Two rows: what drops, and before it, on a network with log-drops=yes, what tells of it. */
/* clang-format off */
#define DROP_AND_LOG(name, reason_, ...) \
	{ .kind = RULE_##name##_LOG, .target = TARGET_LOG, .reason = LOGS_##reason_, \
	  __VA_ARGS__ }, \
	{ .kind = RULE_##name##_DROP, .target = TARGET_DROP, __VA_ARGS__ }
/* clang-format on */

extern const struct kind input_kinds[]; /* parts of the rows: kind_input.c, kind_forward.c */
extern const struct kind forward_kinds[];
extern const struct kind frame_kinds[]; /* kind_frames.c */
/* The row; of RULE_FOREIGN too. */
const struct kind *kind_of(enum rule_kind kind);

#endif
