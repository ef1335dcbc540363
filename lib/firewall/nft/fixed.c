/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How each kind of rule is said in nftables: a fixed rule for one of the base, for others a fixed
 * rule and the set or map that it looks packets up in.
 */
#include <linux/if_ether.h>

#include "firewall/nft/nft.h"

/* clang-format off */
#define FIELDS(...) { __VA_ARGS__ }
#define BASE(text) { .comment = (text) }
#define SET(name, key_fields, text) { .set = (name), .key = key_fields, .comment = (text) }
#define MAP(name, key_fields, value_fields, text) \
	{ .set = (name), .key = key_fields, .value = value_fields, .comment = (text) }
#define BRIDGES(name, key_fields, text) \
	{ .set = (name), .key = key_fields, .comment = (text), .bridges = true }
/* nft(8) takes the port that a connection was made to into a concatenation only in a rule that
 * names the protocol. */
#define TWIN(number, text) { .part = NFT_PART_TWIN, .protocol = (number), .comment = (text) }
#define ORIGINAL(name, key_fields, text) \
	TWIN(IPPROTO_TCP, text), TWIN(IPPROTO_UDP, text), \
	{ .set = (name), .key = key_fields, .protocol = IPPROTO_SCTP, .comment = (text) }
#define MADE_TO FIELD_ORIGINAL_PROTOCOL, FIELD_ORIGINAL_PORT
#define SOURCES(name, text) \
	ORIGINAL(name "4", FIELDS(FIELD_OUT, MADE_TO, FIELD_SOURCE4_NET), text), \
	ORIGINAL(name "4-address", \
		 FIELDS(FIELD_OUT, MADE_TO, FIELD_ORIGINAL4, FIELD_SOURCE4_NET), text), \
	ORIGINAL(name "6", FIELDS(FIELD_OUT, MADE_TO, FIELD_SOURCE6_NET), text), \
	ORIGINAL(name "6-address", \
		 FIELDS(FIELD_OUT, MADE_TO, FIELD_ORIGINAL6, FIELD_SOURCE6_NET), text)
#define BRIDGE_MAP(name, key_fields, value_fields, text) \
	{ .set = (name), .key = key_fields, .value = value_fields, .comment = (text), \
	  .bridges = true }
#define OF_FAMILY(number, name, text) \
	{ .set = (name), .key = FIELDS(FIELD_IN), .family = (number), .comment = (text) }
#define COUNTING(name, key_fields, text) \
	{ .set = (name), .key = key_fields, .comment = (text), .counts = true }
#define PART(type, name, key_fields) \
	{ .set = (name), .key = key_fields, .part = NFT_PART_##type }

/*
 * What drops, and what tells of it before: the same look-ups, each in sets of its own.
 * end: of their names; says: how their comments begin.
 */
#define LOGGED "in the log: "
#define DROP_AND_LOG_OF(name) \
	{ RULE_##name##_LOG, { name##_RULES("-log", LOGGED) } }, \
	{ RULE_##name##_DROP, { name##_RULES("", "") } }
#define LOOPBACK_PORT_RULES(end, says) \
	{ .set = "loopback-ports" end, \
		.key = FIELDS(FIELD_DESTINATION4, FIELD_PROTOCOL, FIELD_PORT), \
		.within = &loopback_ipv4, \
		.comment = says "ports bound to 127.0.0.0/8 are for this host alone" }
#define LOOPBACK_RULES(end, says) \
	SET("loopback-bridges" end, FIELDS(FIELD_IN), \
		says "endpoints have no business with the host's 127.0.0.0/8")
#define LOOPBACK_SOURCE_RULES(end, says) \
	SET("loopback-sources" end, FIELDS(FIELD_IN), says "nor do they come from there")
#define DIRECT_RULES(end, says) \
	PART(GUARD, "endpoints4" end, FIELDS(FIELD_DESTINATION4)), \
	PART(EXCEPTION, "direct4-allowed" end, FIELDS(FIELD_DESTINATION4, FIELD_IN)), \
	SET("direct4" end, FIELDS(FIELD_DESTINATION4), \
		says "nothing else sends straight to an endpoint's address"), \
	PART(GUARD, "endpoints6" end, FIELDS(FIELD_DESTINATION6)), \
	PART(EXCEPTION, "direct6-allowed" end, FIELDS(FIELD_DESTINATION6, FIELD_IN)), \
	SET("direct6" end, FIELDS(FIELD_DESTINATION6), \
		says "nothing else sends straight to an endpoint's address")
#define ENDPOINT_SOURCE_RULES(end, says) \
	PART(GUARD, "adopted4" end, FIELDS(FIELD_SOURCE4)), \
	PART(EXCEPTION, "adopted4-allowed" end, FIELDS(FIELD_SOURCE4, FIELD_IN)), \
	SET("adopted4-forged" end, FIELDS(FIELD_SOURCE4), \
		says "an endpoint's packets come by its own bridge"), \
	PART(GUARD, "adopted6" end, FIELDS(FIELD_SOURCE6)), \
	PART(EXCEPTION, "adopted6-allowed" end, FIELDS(FIELD_SOURCE6, FIELD_IN)), \
	SET("adopted6-forged" end, FIELDS(FIELD_SOURCE6), \
		says "an endpoint's packets come by its own bridge")
#define SUBNET_SOURCE_RULES(end, says) \
	SET("behind4" end, FIELDS(FIELD_SOURCE4_NET), \
		says "no source from elsewhere that lies behind such a bridge"), \
	SET("behind6" end, FIELDS(FIELD_SOURCE6_NET), \
		says "no source from elsewhere that lies behind such a bridge")
#define SUBNET_RULES(end, says) \
	SET("subnets4" end, FIELDS(FIELD_DESTINATION4_NET), \
		says "the addresses of such a bridge are not for others"), \
	SET("subnets6" end, FIELDS(FIELD_DESTINATION6_NET), \
		says "the addresses of such a bridge are not for others")
#define SOURCE_RULES(end, says) \
	{ .set = "forged4" end, .key = FIELDS(FIELD_IN), .family = AF_INET, \
		.comment = says "from a bridge only what lies behind it" }, \
	{ .set = "forged6" end, .key = FIELDS(FIELD_IN), .family = AF_INET6, \
		.comment = says "from a bridge only what lies behind it" }
#define TRUSTED_FORGED_RULES(end, says) \
	SET("trusted4-forged" end, FIELDS(FIELD_SOURCE4_NET, FIELD_DESTINATION4_NET), \
		says "no source that is trusted from elsewhere than it is"), \
	SET("trusted6-forged" end, FIELDS(FIELD_SOURCE6_NET, FIELD_DESTINATION6_NET), \
		says "no source that is trusted from elsewhere than it is")
#define DIRECT_NEW_RULES(end, says) \
	PART(EXCEPTION, "answered4-allowed" end, FIELDS(FIELD_DESTINATION4, FIELD_IN)), \
	SET("answered4-direct" end, FIELDS(FIELD_DESTINATION4), \
		says "nothing but answers comes straight to an endpoint's address"), \
	PART(EXCEPTION, "answered6-allowed" end, FIELDS(FIELD_DESTINATION6, FIELD_IN)), \
	SET("answered6-direct" end, FIELDS(FIELD_DESTINATION6), \
		says "nothing but answers comes straight to an endpoint's address")
#define HOST_RULES(end, says) \
	SET("host-dropped" end, FIELDS(FIELD_FAMILY, FIELD_IN), \
		says "nothing else of the host is reached"), \
	SET("host4-dropped-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE4_NET), \
		says "nothing else of the host is reached"), \
	SET("host6-dropped-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE6_NET), \
		says "nothing else of the host is reached")
#define INTERNAL_TO_RULES(end, says) \
	PART(GUARD, "internal" end, FIELDS(FIELD_FAMILY, FIELD_IN)), \
	PART(EXCEPTION, "internal-stay" end, FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT)), \
	SET("internal-to" end, FIELDS(FIELD_FAMILY, FIELD_IN), \
		says "from an internal network to none, even by a published port"), \
	SET("internal4-to-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE4_NET), \
		says "from an internal network to none, even by a published port"), \
	SET("internal6-to-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE6_NET), \
		says "from an internal network to none, even by a published port")
#define INTERNAL_FROM_RULES(end, says) \
	PART(EXCEPTION, "internal-inside" end, FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT)), \
	SET("internal-from" end, FIELDS(FIELD_FAMILY, FIELD_IN), \
		says "from an internal network to nowhere"), \
	SET("internal4-from-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE4_NET), \
		says "from an internal network to nowhere"), \
	SET("internal6-from-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE6_NET), \
		says "from an internal network to nowhere")
#define NEIGHBOUR_RULES(end, says) \
	SET("apart" end, FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT), \
		says "endpoints of such a network don't reach each other"), \
	SET("apart4-adopted" end, FIELDS(FIELD_IN, FIELD_OUT, FIELD_DESTINATION4_NET), \
		says "endpoints of such a network don't reach each other"), \
	SET("apart6-adopted" end, FIELDS(FIELD_IN, FIELD_OUT, FIELD_DESTINATION6_NET), \
		says "endpoints of such a network don't reach each other")
#define UNPUBLISHED_RULES(end, says) \
	SET("unpublished" end, FIELDS(FIELD_FAMILY, FIELD_OUT), \
		says "into a network only by a published port"), \
	SET("unpublished4-adopted" end, FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET), \
		says "into a network only by a published port"), \
	SET("unpublished6-adopted" end, FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET), \
		says "into a network only by a published port")
#define DENIED_RULES(end, says) \
	SOURCES("denied" end, says "sources that are denied a port")
#define OTHERS_RULES(end, says) \
	ORIGINAL("only-allowed" end, FIELDS(FIELD_FAMILY, FIELD_OUT, MADE_TO), \
		says "of a port that is for some nobody else"), \
	ORIGINAL("only-allowed4-address" end, FIELDS(FIELD_OUT, MADE_TO, FIELD_ORIGINAL4), \
		says "of a port that is for some nobody else"), \
	ORIGINAL("only-allowed6-address" end, FIELDS(FIELD_OUT, MADE_TO, FIELD_ORIGINAL6), \
		says "of a port that is for some nobody else")
#define INVALID_RULES(end, says) \
	PART(EXCEPTION, "invalid-stay" end, FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT)), \
	SET("invalid-leave" end, FIELDS(FIELD_FAMILY, FIELD_IN), \
		says "what leaves a network belongs to a connection"), \
	SET("invalid4-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE4_NET), \
		says "what leaves a network belongs to a connection"), \
	SET("invalid6-adopted" end, FIELDS(FIELD_IN, FIELD_SOURCE6_NET), \
		says "what leaves a network belongs to a connection")
/* clang-format on */

static const struct prefix loopback_ipv4 = { { AF_INET, { 127 } }, 8 };

/*
 * In the order of the kinds, and so of the chains; within a kind exceptions come first. What the
 * catalogue says of all rules of a kind is matched before the look-up, what differs is in the key.
 * No set may have a word of nft's grammar ("masquerade") for a name, or a listing could not be read
 * back.
 */
static const struct nft_kind {
	enum rule_kind kind;
	struct nft_fixed rules[NFT_FIXED_PER_KIND];
} nft_kinds[] = {
	/* The chains of a table of our own need no jumps to them, nor do those of networks. */
	{ RULE_RAW_JUMP, {} },
	{ RULE_LOOPBACK_JUMP, {} },
	{ RULE_LOOPBACK_SOURCE_JUMP, {} },
	{ RULE_NETWORK_RAW_JUMP, {} },
	{ RULE_NETWORK_RAW_SOURCE_JUMP, {} },
	/* what comes by lo is through with the chain, whether any drop is logged or not */
	{ RULE_LOOPBACK_PORT_LOG,
	  { { .part = NFT_PART_PASS, .comment = "what this host sends itself is its own business" },
	    LOOPBACK_PORT_RULES("-log", LOGGED) } },
	{ RULE_LOOPBACK_PORT_DROP, { LOOPBACK_PORT_RULES("", "") } },
	DROP_AND_LOG_OF(LOOPBACK),
	DROP_AND_LOG_OF(LOOPBACK_SOURCE),
	DROP_AND_LOG_OF(DIRECT),
	{ RULE_SOURCES_GOTO,
	  { BRIDGES("own-bridges", FIELDS(FIELD_FAMILY, FIELD_IN),
		    "what comes by a bridge of bridgenet's own meets nothing more here") } },
	DROP_AND_LOG_OF(ENDPOINT_SOURCE),
	{ RULE_OUTSIDE_JUMP, {} },
	DROP_AND_LOG_OF(SUBNET_SOURCE),
	DROP_AND_LOG_OF(SUBNET),
	DROP_AND_LOG_OF(SOURCE),

	{ RULE_DIRECT_JUMP,
	  { SET("answered4", FIELDS(FIELD_DESTINATION4_NET),
		"to a network whose endpoints are answered straight"),
	    SET("answered6", FIELDS(FIELD_DESTINATION6_NET),
		"to a network whose endpoints are answered straight") } },
	{ RULE_CONNECTIONS_JUMP, {} },
	{ RULE_CONNECTIONS_DROP,
	  { COUNTING("connections4", FIELDS(FIELD_SOURCE4), "more connections than it may"),
	    COUNTING("connections6", FIELDS(FIELD_SOURCE6), "more connections than it may") } },
	DROP_AND_LOG_OF(TRUSTED_FORGED),
	DROP_AND_LOG_OF(DIRECT_NEW),

	{ RULE_INTERFACE_JUMP, {} },
	{ RULE_INTERFACE_DNAT,
	  { { .set = "interfaces4",
	      .key = FIELDS(FIELD_IN, FIELD_PROTOCOL, FIELD_PORT),
	      .part = NFT_PART_GUARD,
	      .family = AF_INET },
	    MAP("ports4-interface", FIELDS(FIELD_IN, FIELD_PROTOCOL, FIELD_PORT),
		FIELDS(FIELD_TO4, FIELD_TO_PORT),
		"ports published on what arrives by an "
		"interface"),
	    { .set = "interfaces6",
	      .key = FIELDS(FIELD_IN, FIELD_PROTOCOL, FIELD_PORT),
	      .part = NFT_PART_GUARD,
	      .family = AF_INET6 },
	    MAP("ports6-interface", FIELDS(FIELD_IN, FIELD_PROTOCOL, FIELD_PORT),
		FIELDS(FIELD_TO6, FIELD_TO_PORT),
		"ports published on what arrives by an interface") } },
	{ RULE_PORTS_JUMP_PREROUTING,
	  { BASE("to an address of this host: is the port published?") } },
	{ RULE_PORTS_JUMP_OUTPUT, { BASE("this host's own connections to its published ports") } },

	{ RULE_HOST_PORTS_RETURN,
	  { BRIDGES("host-no-ports", FIELDS(FIELD_FAMILY, FIELD_IN),
		    "whoever has no access to the host has none to its ports"),
	    BRIDGES("host4-no-ports-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		    "whoever has no access to the host has none to its ports"),
	    BRIDGES("host6-no-ports-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		    "whoever has no access to the host has none to its ports") } },
	{ RULE_LINK_LOCAL_RETURN, { BASE("a link-local address means one link only") } },
	{ RULE_LOOPBACK_RETURN, { BASE("::1 can't be routed") } },
	{ RULE_NETWORK_PORTS_JUMP, {} },
	{ RULE_PORT_DNAT,
	  { MAP("ports4-address", FIELDS(FIELD_DESTINATION4, FIELD_PROTOCOL, FIELD_PORT),
		FIELDS(FIELD_TO4, FIELD_TO_PORT), "ports published on one address of the host"),
	    MAP("ports4", FIELDS(FIELD_PROTOCOL, FIELD_PORT), FIELDS(FIELD_TO4, FIELD_TO_PORT),
		"ports published on every address of the host"),
	    MAP("ports6-address", FIELDS(FIELD_DESTINATION6, FIELD_PROTOCOL, FIELD_PORT),
		FIELDS(FIELD_TO6, FIELD_TO_PORT), "ports published on one address of the host"),
	    MAP("ports6", FIELDS(FIELD_PROTOCOL, FIELD_PORT), FIELDS(FIELD_TO6, FIELD_TO_PORT),
		"ports published on every address of the host") } },

	{ RULE_INVALID_JUMP, { BASE("of no connection, and not for a published port?") } },
	{ RULE_HOST_JUMP,
	  { BRIDGES("host-limited", FIELDS(FIELD_FAMILY, FIELD_IN),
		    "from networks that reach little of the host"),
	    BRIDGES("host4-limited-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		    "from networks that reach little of the host"),
	    BRIDGES("host6-limited-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		    "from networks that reach little of the host") } },
	{ RULE_OTHER_PORT_RETURN,
	  { { .family = AF_INET, .comment = "what is for other ports is others' business" },
	    { .family = AF_INET6, .comment = "what is for other ports is others' business" } } },
	{ RULE_PUBLISHED_INVALID_DROP,
	  { BASE("this host would end the connection of an endpoint") } },
	{ RULE_PORT_INVALID_DROP,
	  { SET("invalid4-address", FIELDS(FIELD_DESTINATION4, FIELD_PROTOCOL, FIELD_PORT),
		"this host would end the connection of an endpoint"),
	    { .set = "invalid4",
	      .key = FIELDS(FIELD_PROTOCOL, FIELD_PORT),
	      .family = AF_INET,
	      .comment = "this host would end the connection of an endpoint" },
	    SET("invalid6-address", FIELDS(FIELD_DESTINATION6, FIELD_PROTOCOL, FIELD_PORT),
		"this host would end the connection of an endpoint"),
	    { .set = "invalid6",
	      .key = FIELDS(FIELD_PROTOCOL, FIELD_PORT),
	      .family = AF_INET6,
	      .comment = "this host would end the connection of an endpoint" } } },

	{ RULE_HOST_ESTABLISHED_RETURN,
	  { SET("host-answers", FIELDS(FIELD_FAMILY, FIELD_IN), "answers to the host"),
	    SET("host4-answers-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		"answers to the "
		"host"),
	    SET("host6-answers-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"answers to the host") } },
	{ RULE_HOST_NEIGHBOURS_RETURN,
	  { SET("host-neighbours", FIELDS(FIELD_IN), "IPv6 can't do without") } },
	{ RULE_HOST_ECHO_RETURN,
	  { { .set = "host4-echo",
	      .key = FIELDS(FIELD_IN),
	      .family = AF_INET,
	      .comment = "the host is pinged" },
	    { .set = "host6-echo",
	      .key = FIELDS(FIELD_IN),
	      .family = AF_INET6,
	      .comment = "the host is pinged" },
	    SET("host4-echo-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET), "the host is pinged"),
	    SET("host6-echo-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"the host is "
		"pinged") } },
	{ RULE_HOST_DNS_RETURN,
	  { SET("host-names", FIELDS(FIELD_FAMILY, FIELD_IN), "the host is asked for names"),
	    SET("host4-names-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		"the host is asked for names"),
	    SET("host6-names-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"the host is asked for names") } },
	{ RULE_HOST_DNS_TCP_RETURN,
	  { SET("host-names-tcp", FIELDS(FIELD_FAMILY, FIELD_IN),
		"the host is asked for names by TCP"),
	    SET("host4-names-tcp-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		"the host is asked for names by TCP"),
	    SET("host6-names-tcp-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"the host is asked for names by TCP") } },
	DROP_AND_LOG_OF(HOST),

	{ RULE_CLAMP_JUMP, { BASE("how large are a connection's segments?") } },
	{ RULE_NETWORK_CLAMP_JUMP, {} },
	{ RULE_CLAMP_FROM,
	  { SET("clamp-from", FIELDS(FIELD_FAMILY, FIELD_IN), "no larger than the route takes"),
	    SET("clamp4-from-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		"no larger than the route takes them"),
	    SET("clamp6-from-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"no larger than the route takes them") } },
	{ RULE_CLAMP_TO,
	  { SET("clamp-to", FIELDS(FIELD_FAMILY, FIELD_OUT), "no larger than the route takes them"),
	    SET("clamp4-to-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET),
		"no larger than the route takes them"),
	    SET("clamp6-to-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET),
		"no larger than the route takes them") } },

	{ RULE_USER_JUMP, { BASE("your own rules come first") } },
	{ RULE_FORWARD_JUMP, {} },
	{ RULE_INTERNAL_LOG, {} },
	{ RULE_INTERNAL_DROP, {} },
	{ RULE_TO_JUMP, {} },
	{ RULE_FROM_JUMP, {} },
	{ RULE_BRIDGE_TO_JUMP, { BASE("to a network?") } },
	{ RULE_BRIDGE_FROM_JUMP, { BASE("from a network?") } },
	{ RULE_GUARD_JUMP,
	  { SET("guarded", FIELDS(FIELD_FAMILY),
		"what is forwarded only because networks need forwarding") } },

	{ RULE_ESTABLISHED_ACCEPT,
	  { SET("established", FIELDS(FIELD_FAMILY, FIELD_OUT), "what was let in goes on"),
	    SET("established4-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET),
		"what was let in goes on"),
	    SET("established6-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET),
		"what was let in goes on") } },
	DROP_AND_LOG_OF(INTERNAL_TO),
	{ RULE_LISTED_JUMP,
	  { ORIGINAL("listed", FIELDS(FIELD_FAMILY, FIELD_OUT, MADE_TO),
		     "published ports that not everybody reaches"),
	    ORIGINAL("listed4-address", FIELDS(FIELD_OUT, MADE_TO, FIELD_ORIGINAL4),
		     "published ports that not everybody reaches"),
	    ORIGINAL("listed6-address", FIELDS(FIELD_OUT, MADE_TO, FIELD_ORIGINAL6),
		     "published ports that not everybody reaches") } },
	{ RULE_DNAT_ACCEPT,
	  { SET("published", FIELDS(FIELD_FAMILY, FIELD_OUT), "connections to published ports"),
	    SET("published4-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET),
		"connections to published ports"),
	    SET("published6-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET),
		"connections to published ports") } },
	{ RULE_BRIDGED_ACCEPT,
	  { SET("bridged", FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT),
		"between endpoints of one network"),
	    SET("bridged4-adopted", FIELDS(FIELD_IN, FIELD_OUT, FIELD_DESTINATION4_NET),
		"between endpoints of one network"),
	    SET("bridged6-adopted", FIELDS(FIELD_IN, FIELD_OUT, FIELD_DESTINATION6_NET),
		"between endpoints of one network") } },
	DROP_AND_LOG_OF(NEIGHBOUR),
	{ RULE_PEERS_JUMP,
	  { SET("to-peers", FIELDS(FIELD_FAMILY, FIELD_OUT), "to networks that others reach"),
	    SET("to-peers4-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET),
		"to networks that others reach"),
	    SET("to-peers6-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET),
		"to networks that others reach") } },
	{ RULE_OPEN_JUMP,
	  { SET("to-open", FIELDS(FIELD_FAMILY, FIELD_OUT), "to networks that some reach"),
	    SET("to-open4-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET),
		"to networks that some reach"),
	    SET("to-open6-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET),
		"to networks that some reach") } },
	{ RULE_UNPROTECTED_ACCEPT,
	  { SET("unprotected", FIELDS(FIELD_FAMILY, FIELD_OUT), "every port of an endpoint"),
	    SET("unprotected4-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET),
		"every port of an endpoint"),
	    SET("unprotected6-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET),
		"every port of an endpoint") } },
	{ RULE_ROUTED_PORT_ACCEPT,
	  { SET("routed4", FIELDS(FIELD_DESTINATION4, FIELD_PROTOCOL, FIELD_PORT, FIELD_OUT),
		"ports published at an endpoint's own address"),
	    SET("routed6", FIELDS(FIELD_DESTINATION6, FIELD_PROTOCOL, FIELD_PORT, FIELD_OUT),
		"ports published at an endpoint's own address") } },
	{ RULE_ROUTED_ECHO_ACCEPT,
	  { { .set = "routed4-echo",
	      .key = FIELDS(FIELD_OUT),
	      .family = AF_INET,
	      .comment = "endpoints of routed networks are pinged" },
	    { .set = "routed6-echo",
	      .key = FIELDS(FIELD_OUT),
	      .family = AF_INET6,
	      .comment = "endpoints of routed networks are pinged" },
	    SET("routed4-echo-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION4_NET),
		"endpoints of routed networks are pinged"),
	    SET("routed6-echo-adopted", FIELDS(FIELD_OUT, FIELD_DESTINATION6_NET),
		"endpoints of routed networks are pinged") } },
	{ RULE_TRUSTED_INTERFACE_JUMP,
	  { SET("trusted-by", FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT),
		"by an interface that the network trusts"),
	    SET("trusted4-by-adopted", FIELDS(FIELD_IN, FIELD_OUT, FIELD_DESTINATION4_NET),
		"by an interface that the network trusts"),
	    SET("trusted6-by-adopted", FIELDS(FIELD_IN, FIELD_OUT, FIELD_DESTINATION6_NET),
		"by an interface that the network trusts") } },
	{ RULE_TRUSTED_SOURCE_JUMP,
	  { SET("trusted4-from", FIELDS(FIELD_SOURCE4_NET, FIELD_OUT),
		"from where the network trusts"),
	    SET("trusted6-from", FIELDS(FIELD_SOURCE6_NET, FIELD_OUT),
		"from where the network trusts"),
	    SET("trusted4-from-adopted",
		FIELDS(FIELD_SOURCE4_NET, FIELD_OUT, FIELD_DESTINATION4_NET),
		"from where the network trusts"),
	    SET("trusted6-from-adopted",
		FIELDS(FIELD_SOURCE6_NET, FIELD_OUT, FIELD_DESTINATION6_NET),
		"from where the network trusts") } },
	DROP_AND_LOG_OF(UNPUBLISHED),

	DROP_AND_LOG_OF(DENIED),
	{ RULE_ALLOWED_RETURN, { SOURCES("allowed", "sources that are allowed a port") } },
	DROP_AND_LOG_OF(OTHERS),
	{ RULE_PEER_ACCEPT,
	  { SET("peers", FIELDS(FIELD_FAMILY, FIELD_IN), "from networks that reach them"),
	    SET("peers4-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		"from networks that reach them"),
	    SET("peers6-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"from networks that reach them") } },
	{ RULE_OPEN_ACCEPT,
	  { SET("open-peers", FIELDS(FIELD_FAMILY, FIELD_IN), "from networks that reach them"),
	    SET("open-peers4-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		"from networks that reach them"),
	    SET("open-peers6-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"from networks that reach them") } },
	{ RULE_TRUSTED_PORT_ACCEPT,
	  { SET("trusted4-ports", FIELDS(FIELD_DESTINATION4, FIELD_PROTOCOL, FIELD_PORT, FIELD_OUT),
		"ports published at an endpoint's own address"),
	    SET("trusted6-ports", FIELDS(FIELD_DESTINATION6, FIELD_PROTOCOL, FIELD_PORT, FIELD_OUT),
		"ports published at an endpoint's own address") } },

	DROP_AND_LOG_OF(INVALID),
	{ RULE_OUTGOING_ACCEPT,
	  { SET("outgoing", FIELDS(FIELD_FAMILY, FIELD_IN), "from a network to the outside"),
	    SET("outgoing4-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		"from a network to the outside"),
	    SET("outgoing6-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		"from a network to the outside") } },
	DROP_AND_LOG_OF(INTERNAL_FROM),

	{ RULE_GUARD_IN_RETURN,
	  { SET("guard-in", FIELDS(FIELD_FAMILY, FIELD_IN),
		"from a bridge that a network is on") } },
	{ RULE_GUARD_OUT_RETURN,
	  { SET("guard-out", FIELDS(FIELD_FAMILY, FIELD_OUT),
		"to a bridge that a network is on") } },
	{ RULE_GUARD_BRIDGED_RETURN,
	  { SET("guard-bridged", FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT),
		"frames that stay on a bridge of others") } },
	{ RULE_GUARD_DROP,
	  { SET("guard-stopped", FIELDS(FIELD_FAMILY), "nothing else is forwarded") } },

	{ RULE_POSTROUTING_JUMP, {} },
	{ RULE_NETWORK_POSTROUTING_JUMP, {} },
	{ RULE_HAIRPIN_MASQUERADE,
	  { PART(GUARD, "hairpin4-from", FIELDS(FIELD_SOURCE4_NET)),
	    SET("hairpin4", FIELDS(FIELD_SOURCE4_NET, FIELD_OUT),
		"endpoints that use a port which their own network publishes"),
	    PART(GUARD, "hairpin6-from", FIELDS(FIELD_SOURCE6_NET)),
	    SET("hairpin6", FIELDS(FIELD_SOURCE6_NET, FIELD_OUT),
		"endpoints that use a port which their own network publishes") } },
	{ RULE_LOOPBACK_MASQUERADE,
	  { SET("loopback-masquerade", FIELDS(FIELD_OUT),
		"the host's 127.0.0.0/8 means nothing to an endpoint") } },
	{ RULE_UNTRANSLATED_RETURN,
	  { BRIDGES("untranslated4", FIELDS(FIELD_IN, FIELD_DESTINATION4_NET),
		    "what goes there keeps its address"),
	    BRIDGES("untranslated6", FIELDS(FIELD_IN, FIELD_DESTINATION6_NET),
		    "what goes there keeps its address"),
	    BRIDGES("untranslated4-adopted",
		    FIELDS(FIELD_IN, FIELD_SOURCE4_NET, FIELD_DESTINATION4_NET),
		    "what goes there keeps its address"),
	    BRIDGES("untranslated6-adopted",
		    FIELDS(FIELD_IN, FIELD_SOURCE6_NET, FIELD_DESTINATION6_NET),
		    "what goes there keeps its address") } },
	{ RULE_SNAT,
	  { PART(EXCEPTION, "snat-stay", FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT)),
	    BRIDGE_MAP("snat4", FIELDS(FIELD_IN), FIELDS(FIELD_TO4),
		       "what leaves a network takes that address"),
	    BRIDGE_MAP("snat6", FIELDS(FIELD_IN), FIELDS(FIELD_TO6),
		       "what leaves a network takes that address"),
	    BRIDGE_MAP("snat4-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET), FIELDS(FIELD_TO4),
		       "what leaves a network takes that address"),
	    BRIDGE_MAP("snat6-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET), FIELDS(FIELD_TO6),
		       "what leaves a network takes that address") } },
	{ RULE_SNAT_KEEP,
	  { PART(EXCEPTION, "snat-keep-stay", FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT)),
	    BRIDGE_MAP("snat4-keep", FIELDS(FIELD_IN), FIELDS(FIELD_TO4),
		       "what leaves takes that address, and keeps its port"),
	    BRIDGE_MAP("snat6-keep", FIELDS(FIELD_IN), FIELDS(FIELD_TO6),
		       "what leaves takes that address, and keeps its port"),
	    BRIDGE_MAP("snat4-keep-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET), FIELDS(FIELD_TO4),
		       "what leaves takes that address, and keeps its port"),
	    BRIDGE_MAP("snat6-keep-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET), FIELDS(FIELD_TO6),
		       "what leaves takes that address, and keeps its "
		       "port") } },
	{ RULE_MASQUERADE,
	  { PART(EXCEPTION, "masquerade-stay", FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT)),
	    BRIDGES("masquerade-leave", FIELDS(FIELD_FAMILY, FIELD_IN),
		    "what leaves a network takes the host's address"),
	    BRIDGES("masquerade4-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		    "what leaves a network takes the host's address"),
	    BRIDGES("masquerade6-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		    "what leaves a network takes the host's address") } },
	{ RULE_MASQUERADE_KEEP,
	  { PART(EXCEPTION, "keep-stay", FIELDS(FIELD_FAMILY, FIELD_IN, FIELD_OUT)),
	    BRIDGES("keep-leave", FIELDS(FIELD_FAMILY, FIELD_IN),
		    "what leaves takes the host's address, and keeps its port"),
	    BRIDGES("keep4-adopted", FIELDS(FIELD_IN, FIELD_SOURCE4_NET),
		    "what leaves takes the host's address, and keeps its port"),
	    BRIDGES("keep6-adopted", FIELDS(FIELD_IN, FIELD_SOURCE6_NET),
		    "what leaves takes the host's address, and keeps its port") } },

	{ RULE_FRAME_STRAY_DROP,
	  { PART(EXCEPTION, "frames-own", FIELDS(FIELD_IN, FIELD_MAC)),
	    SET("frames-strays", FIELDS(FIELD_MAC),
		"the MAC of an endpoint comes by its own link") } },
	{ RULE_FRAME_JUDGED_GOTO,
	  { SET("judged", FIELDS(FIELD_IN), "endpoints that send as themselves alone") } },
	{ RULE_FRAME_TAGGED_DROP,
	  { { .part = NFT_PART_TWIN, .ether = ETH_P_8021AD, .comment = "no frames of a VLAN" },
	    { .set = "tagged",
	      .key = FIELDS(FIELD_IN),
	      .ether = ETH_P_8021Q,
	      .comment = "no frames of a VLAN" } } },
	{ RULE_FRAME_ARP_RETURN,
	  { { .set = "senders4",
	      .key = FIELDS(FIELD_IN, FIELD_MAC, FIELD_ARP_MAC, FIELD_ARP_SOURCE),
	      .ether = ETH_P_ARP,
	      .comment = "an endpoint says where it is itself" } } },
	{ RULE_FRAME_SOURCE_GOTO,
	  { SET("sources4", FIELDS(FIELD_IN, FIELD_MAC, FIELD_SOURCE4),
		"from an address of its own, or from none"),
	    SET("sources6", FIELDS(FIELD_IN, FIELD_MAC, FIELD_SOURCE6),
		"from an address of its own, or from none") } },
	{ RULE_FRAME_BEHIND_GOTO,
	  { SET("sources4-behind", FIELDS(FIELD_IN, FIELD_MAC, FIELD_SOURCE4_NET),
		"from what it routes for"),
	    SET("sources6-behind", FIELDS(FIELD_IN, FIELD_MAC, FIELD_SOURCE6_NET),
		"from what it routes for") } },
	{ RULE_FRAME_DROP, { SET("forged", FIELDS(FIELD_IN), "nothing else") } },
	{ RULE_FRAME_DHCP_DROP,
	  { OF_FAMILY(AF_INET, "dhcp4", "no DHCP server"),
	    OF_FAMILY(AF_INET6, "dhcp6", "no DHCP server") } },
	{ RULE_FRAME_REDIRECT_DROP,
	  { OF_FAMILY(AF_INET, "redirects4", "no better routes"),
	    OF_FAMILY(AF_INET6, "redirects6", "no better routes") } },
	{ RULE_FRAME_ROUTER_DROP, { OF_FAMILY(AF_INET6, "routers6", "no router") } },
	{ RULE_FRAME_NEIGHBOUR_RETURN,
	  { SET("adverts6", FIELDS(FIELD_IN, FIELD_TARGET6), "it has an address of its own") } },
	{ RULE_FRAME_NEIGHBOUR_DROP, { OF_FAMILY(AF_INET6, "adverts6-forged", "and no other") } },
	{ RULE_FRAME_PROBE_RETURN,
	  { SET("probes6", FIELDS(FIELD_IN, FIELD_TARGET6),
		"is an address free that is to be its own?") } },
	{ RULE_FRAME_PROBE_DROP, { OF_FAMILY(AF_INET6, "probes6-forged", "and no other") } },
};
_Static_assert(ARRAY_SIZE(nft_kinds) == RULE_FOREIGN, "each kind has its line");
_Static_assert(ARRAY_SIZE(nft_kinds) * NFT_FIXED_PER_KIND == NFT_FIXED, "the sizes must agree");

const struct nft_fixed *nft_fixed_at(size_t id)
{
	const struct nft_fixed *fixed =
		&nft_kinds[id / NFT_FIXED_PER_KIND].rules[id % NFT_FIXED_PER_KIND];

	return fixed->comment || fixed->part ? fixed : NULL;
}

enum rule_kind nft_fixed_kind(size_t id)
{
	return nft_kinds[id / NFT_FIXED_PER_KIND].kind;
}
