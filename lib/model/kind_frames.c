/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows of the catalogue about frames: what an endpoint may send that is to send as itself
 * alone. All are of endpoints, so that the table is there as long as one of them is. */
#include "model/kind.h"

#include "model/policy.h"

static bool is_judged(const struct rule_subject *subject)
{
	return endpoint_anti_spoof(subject->network, subject->endpoint) == ANTI_SPOOF_FULL;
}

#define NEGATED true
#define FRAME(name)                                                               \
	.kind = RULE_FRAME_##name, .scope = PLAN_ENDPOINTS, .needs = PLAN_FRAMES, \
	.applies = is_judged

/* clang-format off */
const struct kind frame_kinds[] = {
	/* ---- frames ---- */
	/*
	 * Its port is told by its name. Somebody may give the link another: then it has no port of
	 * that name any more, and its frames pass nowhere. A bridge of others may lead to where
	 * its own frames come back from.
	 */
	{
		FRAME(STRAY_DROP), .families = FAMILIES_NONE, .bridges = BRIDGES_OWN,
		.chain = CHAIN_FRAMES, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT, NEGATED }, .mac = true,
		.purpose = "Frames with the MAC of endpoint {endpoint} on network {network} come "
			   "by its own link {in} alone; from elsewhere they are dropped.",
	},
	{
		FRAME(JUDGED_GOTO), .families = FAMILIES_NONE,
		.chain = CHAIN_FRAMES, .target = TARGET_GOTO, .jump = CHAIN_FRAMES_JUDGED,
		.in = { DEVICE_ENDPOINT },
		.purpose = "What endpoint {endpoint} on network {network} sends is to come from "
			   "its own addresses.",
	},
	/* ---- frames judged ---- */
	{
		FRAME(TAGGED_DROP), .families = FAMILIES_NONE,
		.chain = CHAIN_FRAMES_JUDGED, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT }, .match = RULE_TAGGED,
		.purpose = "Endpoint {endpoint} on network {network} sends no frames of a VLAN: "
			   "what is in them is not looked at.",
	},
	{
		FRAME(ARP_RETURN), .families = FAMILIES_IPV4, .each = EACH_SOURCE,
		.chain = CHAIN_FRAMES_JUDGED, .target = TARGET_RETURN,
		.in = { DEVICE_ENDPOINT }, .mac = true, .source = { ADDRESS_EACH },
		.match = RULE_ARP,
		.purpose = "Endpoint {endpoint} on network {network} says by ARP that it has "
			   "{source}, or asks from there.",
	},
	{
		FRAME(SOURCE_GOTO), .families = FAMILIES_PRESENT, .each = EACH_SOURCE,
		.chain = CHAIN_FRAMES_JUDGED, .target = TARGET_GOTO, .jump = CHAIN_FRAMES_ALLOWED,
		.in = { DEVICE_ENDPOINT }, .mac = true, .source = { ADDRESS_EACH },
		.purpose = "Endpoint {endpoint} on network {network} sends from {source}, which "
			   "is its own, or stands for none.",
	},
	{
		FRAME(BEHIND_GOTO), .families = FAMILIES_PRESENT, .each = EACH_BEHIND,
		.chain = CHAIN_FRAMES_JUDGED, .target = TARGET_GOTO, .jump = CHAIN_FRAMES_ALLOWED,
		.in = { DEVICE_ENDPOINT }, .mac = true, .source = { ADDRESS_EACH },
		.purpose = "Endpoint {endpoint} on network {network} routes for {source} "
			   "(routes-for).",
	},
	{
		FRAME(DROP), .families = FAMILIES_NONE,
		.chain = CHAIN_FRAMES_JUDGED, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT },
		.purpose = "Whatever else endpoint {endpoint} on network {network} sends is "
			   "forged, or of no protocol that it needs, and dropped.",
	},
	/* ---- frames allowed ---- */
	{
		FRAME(DHCP_DROP), .families = FAMILIES_PRESENT,
		.chain = CHAIN_FRAMES_ALLOWED, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT }, .protocol = IPPROTO_UDP, .match = RULE_DHCP_ANSWER,
		.purpose = "Endpoint {endpoint} on network {network} is no DHCP server.",
	},
	{
		FRAME(REDIRECT_DROP), .families = FAMILIES_PRESENT,
		.chain = CHAIN_FRAMES_ALLOWED, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT }, .match = RULE_REDIRECT,
		.purpose = "Endpoint {endpoint} on network {network} tells nobody of better "
			   "routes.",
	},
	{
		FRAME(ROUTER_DROP), .families = FAMILIES_IPV6,
		.chain = CHAIN_FRAMES_ALLOWED, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT }, .match = RULE_ROUTER_ADVERT,
		.purpose = "Endpoint {endpoint} on network {network} does not advertise itself as "
			   "a router.",
	},
	{
		FRAME(NEIGHBOUR_RETURN), .families = FAMILIES_IPV6, .each = EACH_OWN,
		.chain = CHAIN_FRAMES_ALLOWED, .target = TARGET_RETURN,
		.in = { DEVICE_ENDPOINT }, .destination = { ADDRESS_EACH },
		.match = RULE_NEIGHBOUR_ADVERT,
		.purpose = "Endpoint {endpoint} on network {network} says that it has "
			   "{destination}.",
	},
	{
		FRAME(NEIGHBOUR_DROP), .families = FAMILIES_IPV6,
		.chain = CHAIN_FRAMES_ALLOWED, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT }, .match = RULE_NEIGHBOUR_ADVERT,
		.purpose = "Endpoint {endpoint} on network {network} does not say that it has "
			   "others' addresses.",
	},
	{
		FRAME(PROBE_RETURN), .families = FAMILIES_IPV6, .each = EACH_OWN,
		.chain = CHAIN_FRAMES_ALLOWED, .target = TARGET_RETURN,
		.in = { DEVICE_ENDPOINT }, .destination = { ADDRESS_EACH },
		.match = RULE_NEIGHBOUR_PROBE,
		.purpose = "Endpoint {endpoint} on network {network} asks whether anybody has "
			   "{destination} already.",
	},
	{
		FRAME(PROBE_DROP), .families = FAMILIES_IPV6,
		.chain = CHAIN_FRAMES_ALLOWED, .target = TARGET_DROP,
		.in = { DEVICE_ENDPOINT }, .match = RULE_NEIGHBOUR_PROBE,
		.purpose = "Endpoint {endpoint} on network {network} does not dispute others' "
			   "addresses.",
	},
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(frame_kinds) == RULE_FOREIGN - RULE_FRAMES_FIRST,
	       "each kind has its row");
