/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "firewall/passage.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/policy.h"

bool network_passes(const struct network *network, int family)
{
	return network_has_rules(network) && network_is_forwarded(network, family) &&
	       !network_is_internal(network);
}

bool passage_packet(const struct passage *passage, const struct subnet *subnet,
		    enum passing passing, struct packet *ret_packet)
{
	int family = subnet->prefix.addr.family;
	const char *uplink = family == AF_INET ? passage->uplink_ipv4 : passage->uplink_ipv6;
	bool out = passing == PASSING_OUT || passing == PASSING_PORT_ANSWER;
	bool of_port = passing == PASSING_PORT || passing == PASSING_PORT_ANSWER;

	if (of_port && subnet != network_subnet(passage->network, family) &&
	    network_translates(passage->network, family))
		return false;

	*ret_packet = (struct packet){
		.family = family,
		.in = out ? passage->network->bridge : uplink,
		.out = out ? uplink : passage->network->bridge,
		.established = passing == PASSING_ANSWER || passing == PASSING_PORT_ANSWER,
		.translated = of_port,
		.from_network = out,
	};
	if (out)
		ret_packet->source = &subnet->prefix;
	else
		ret_packet->destination = &subnet->prefix;
	return true;
}

/* ---- facts ---- */

void fact_know(struct fact *fact, const void *data, size_t len)
{
	*fact = (struct fact){ .len = len };
	memcpy(fact->data, data, len);
	memset(fact->known, 0xff, len);
}

void fact_unknown(struct fact *fact, size_t len, bool narrow)
{
	*fact = (struct fact){ .len = len < FACT_MAX ? len : FACT_MAX, .narrow = narrow };
}

void fact_interface(struct fact *fact, const char *name)
{
	char padded[IFNAMSIZ] = { 0 };

	string_copy(padded, sizeof(padded), name);
	if (name[0])
		fact_know(fact, padded, sizeof(padded));
	else
		fact_unknown(fact, sizeof(padded), false);
}

/* Beyond the network there is any address: what matches some is narrower. */
void fact_address(struct fact *fact, const struct prefix *prefix, int family)
{
	size_t size = addr_size(family);

	fact_unknown(fact, size, !prefix);
	for (size_t i = 0; prefix && i < prefix->len; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		fact->known[i / 8] |= bit;
		fact->data[i / 8] |= prefix->addr.bytes[i / 8] & bit;
	}
}

enum match fact_match(const struct fact *fact, const void *data, const uint8_t *mask, size_t len)
{
	const uint8_t *wanted = data;
	bool whole = true;

	for (size_t i = 0; i < len; i++) {
		uint8_t asked = mask ? mask[i] : 0xff, known = i < fact->len ? fact->known[i] : 0;

		if ((fact->data[i < fact->len ? i : 0] ^ wanted[i]) & asked & known)
			return MATCH_NO;
		whole = whole && !(asked & (uint8_t)~known);
	}
	if (whole)
		return MATCH_YES;
	return fact->narrow ? MATCH_NARROW : MATCH_MAYBE;
}

/* ---- matches of xtables ---- */

static enum match match_conntrack(const struct xt_conntrack_mtinfo3 *info,
				  const struct packet *packet)
{
	unsigned int state =
		XT_CONNTRACK_STATE_BIT(packet->established ? IP_CT_ESTABLISHED : IP_CT_NEW);
	enum match match;

	if (info->match_flags & ~(XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS))
		return MATCH_NARROW;
	if (packet->translated)
		state |= XT_CONNTRACK_STATE_DNAT;
	match = info->state_mask & state ? MATCH_YES : MATCH_NO;
	/* an address of its own may be given to what is sent, or not */
	if (match == MATCH_NO && info->state_mask & XT_CONNTRACK_STATE_SNAT)
		match = MATCH_MAYBE;
	return info->invert_flags & XT_CONNTRACK_STATE ? match_not(match) : match;
}

enum match xtables_match(const char *name, uint8_t revision, const void *data, size_t len,
			 const struct packet *packet)
{
	struct xt_conntrack_mtinfo3 conntrack;

	if (strcmp(name, "comment") == 0)
		return MATCH_YES;
	if (strcmp(name, "conntrack") == 0 && revision == 3 && len >= sizeof(conntrack)) {
		memcpy(&conntrack, data, sizeof(conntrack));
		return match_conntrack(&conntrack, packet);
	}
	/* bridged frames are not what is forwarded; a set may hold the network */
	return strcmp(name, "set") == 0 ? MATCH_MAYBE : MATCH_NARROW;
}

/* ---- what there is to say ---- */

enum keeper keeper_by_chain(const char *chain)
{
	if (strcmp(chain, "FORWARD_IN_ZONES") == 0 || strcmp(chain, "FORWARD_direct") == 0)
		return KEEPER_FIREWALLD;
	if (strncmp(chain, "ufw-", 4) == 0 || strncmp(chain, "ufw6-", 5) == 0)
		return KEEPER_UFW;
	return strcmp(chain, "DOCKER-USER") == 0 ? KEEPER_DOCKER : KEEPER_NONE;
}

void barrier_note(struct barrier *barrier, const struct passage *passage,
		  const struct subnet *subnet, enum passing passing, const char *cause)
{
	char prefix[PREFIX_TEXT_MAX];

	/* of several subnets it may be one that is stopped */
	prefix_format(&subnet->prefix, prefix);
	if (!barrier->stops && network_subnet_at(passage->network, subnet->prefix.addr.family, 1))
		snprintf(barrier->cause, sizeof(barrier->cause), "%s: %.340s", prefix, cause);
	else if (!barrier->stops)
		string_copy(barrier->cause, sizeof(barrier->cause), cause);
	barrier->stops |= 1u << passing;
}

void barrier_text(const struct barrier *barrier, char text[static BARRIER_TEXT * 2])
{
	static const char *const words[PASSING_COUNT] = {
		[PASSING_OUT] = "what its endpoints send",
		[PASSING_PORT] = "what comes for its published ports",
		[PASSING_ANSWER] = "answers to its endpoints",
		[PASSING_PORT_ANSWER] = "answers of its published ports",
	};
	const char *separator = "";
	size_t len = 0;

	text[0] = '\0';
	for (enum passing i = 0; i < PASSING_COUNT; i++) {
		if (!(barrier->stops & 1u << i))
			continue;
		len += (size_t)snprintf(text + len, BARRIER_TEXT * 2 - len, "%s%s", separator,
					words[i]);
		separator = ", ";
	}
	snprintf(text + len, BARRIER_TEXT * 2 - len, " (%s)", barrier->cause);
}

void barrier_set_remedy(struct barrier *barrier, const char *bridge, const char *tool)
{
	static const char *const families[] = {
		[NFPROTO_INET] = "inet", [NFPROTO_IPV4] = "ip", [NFPROTO_IPV6] = "ip6"
	};
	char *text = barrier->remedy;

	switch (barrier->keeper) {
	case KEEPER_FIREWALLD:
		snprintf(text, BARRIER_TEXT,
			 "firewall-cmd --permanent --zone=trusted --add-interface=%s, and the same "
			 "without --permanent, lets it pass",
			 bridge);
		return;
	case KEEPER_UFW:
		snprintf(text, BARRIER_TEXT,
			 "ufw route allow in on %s, and ufw route allow out on %s, let it pass",
			 bridge, bridge);
		return;
	case KEEPER_DOCKER:
		snprintf(text, BARRIER_TEXT,
			 "%s -I DOCKER-USER -i %s -j ACCEPT, and the same with -o %s, let it pass",
			 tool ? tool : "iptables", bridge, bridge);
		return;
	case KEEPER_NONE:
		break;
	}
	if (tool)
		snprintf(text, BARRIER_TEXT,
			 "%s -I FORWARD -i %s -j ACCEPT, and the same with -o %s, let it pass",
			 tool, bridge, bridge);
	else
		snprintf(
			text, BARRIER_TEXT,
			"nft insert rule %s %s %s iifname %s accept, and the same with oifname %s, "
			"let it pass",
			families[barrier->family], barrier->table, barrier->chain, bridge, bridge);
}

bool barrier_opens(const struct barrier *barrier, const char *bridge, char why[static BARRIER_TEXT])
{
	if (barrier->keeper == KEEPER_FIREWALLD)
		snprintf(why, BARRIER_TEXT,
			 "firewalld takes out what others put into its chains when it is reloaded: "
			 "give it the bridge instead, with firewall-cmd --permanent --zone=trusted "
			 "--add-interface=%s, and the same without --permanent",
			 bridge);
	else if (barrier->is_owned)
		snprintf(
			why, BARRIER_TEXT,
			"its table is owned by a program, and nobody else may change it: have that "
			"program let pass what comes from %s and goes to it",
			bridge);
	else if (barrier->is_ours_in)
		snprintf(why, BARRIER_TEXT, "our own rules stand in that chain, behind it");
	else
		return true;
	return false;
}
