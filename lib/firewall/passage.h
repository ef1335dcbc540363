/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What chains of others at the forward hook do to what a network forwards. An accept of ours never
 * helps against a drop in another table, so such a chain is told of, or two rules are put at its
 * head. Of what its rules match that which is known of all packets of the network is judged; what
 * is narrower (a port, a protocol, a mark) lets some of them pass, which is not what is asked.
 */
#ifndef BN_FIREWALL_PASSAGE_H
#define BN_FIREWALL_PASSAGE_H

#include "model/rule.h" /* <netinet/in.h> comes before <linux/netfilter.h> */

#include <linux/netfilter.h>

/* Packets that are to pass. */
enum passing { PASSING_OUT, PASSING_PORT, PASSING_ANSWER, PASSING_PORT_ANSWER, PASSING_COUNT };

struct passage {
	const struct network *network;
	/* the interface of the host's default route, of each family; "": there is none */
	char uplink_ipv4[IFNAMSIZ], uplink_ipv6[IFNAMSIZ];
	/* our own rules stand in tables of that backend: its own accepts and drops are final */
	bool own_tables;
};

struct packet {
	int family;
	const char *in, *out; /* "": not known */
	const struct prefix *source, *destination;
	bool established, translated;
	bool from_network;
};
/* Of one of its subnets. false: there is none, as what is translated is led to the first alone. */
bool passage_packet(const struct passage *passage, const struct subnet *subnet,
		    enum passing passing, struct packet *ret_packet);
/* Does it send or get anything by way of the host? */
bool network_passes(const struct network *network, int family);

/* Does a packet of that kind match? What is narrower than all such packets is NARROW, and of which
 * that can't be told MAYBE. Of several conditions the least holds. */
enum match { MATCH_NO, MATCH_NARROW, MATCH_MAYBE, MATCH_YES };
static inline enum match match_both(enum match a, enum match b)
{
	return a < b ? a : b;
}
static inline enum match match_not(enum match match)
{
	return match == MATCH_YES ? MATCH_NO : match == MATCH_NO ? MATCH_YES : match;
}

/* A value of the packet, bit by bit: where `known` has a one. */
#define FACT_MAX 64
struct fact {
	size_t len;
	bool narrow; /* what is not known of it differs from packet to packet of the network */
	uint8_t data[FACT_MAX], known[FACT_MAX];
};
void fact_know(struct fact *fact, const void *data, size_t len);
void fact_unknown(struct fact *fact, size_t len, bool narrow);
void fact_interface(struct fact *fact, const char *name);
/* len: of both, or less */
void fact_address(struct fact *fact, const struct prefix *prefix, int family);
/* mask NULL: all of it */
enum match fact_match(const struct fact *fact, const void *data, const uint8_t *mask, size_t len);
/* A match of xtables, in whatever table. */
enum match xtables_match(const char *name, uint8_t revision, const void *data, size_t len,
			 const struct packet *packet);

/* How a chain has dealt with a packet. */
enum fate { FATE_GOES_ON, FATE_PASSES, FATE_MAY_PASS, FATE_STOPS, FATE_UNKNOWN };

/* Whose chain it is, as far as that says how to mend it. */
enum keeper { KEEPER_NONE, KEEPER_FIREWALLD, KEEPER_UFW, KEEPER_DOCKER };
enum keeper keeper_by_chain(const char *chain);

#define BARRIER_TEXT 400
struct barrier {
	size_t passage;  /* whose it is, by number */
	uint32_t stops;  /* a bit for each enum passing */
	bool may_pass;   /* by a rule of which it can't be told */
	bool is_owned;   /* by a program's socket: nobody else changes it */
	bool is_ours_in; /* and so our own rules stand behind what stops it */
	enum keeper keeper;
	/* of nftables; table "": of iptables-legacy, of that family */
	uint8_t family;
	char table[64], chain[64];
	char object[200], cause[BARRIER_TEXT], remedy[BARRIER_TEXT];
};
typedef VECTOR(struct barrier) barrier_vector;
/* Such packets of that subnet are stopped, too; the cause is that of the first. */
void barrier_note(struct barrier *barrier, const struct passage *passage,
		  const struct subnet *subnet, enum passing passing, const char *cause);
/* "all that its endpoints send (its policy is drop)" */
void barrier_text(const struct barrier *barrier, char text[static BARRIER_TEXT * 2]);
/* How it is mended by hand; tool: of iptables(8), NULL for nft(8). */
void barrier_set_remedy(struct barrier *barrier, const char *bridge, const char *tool);
/* Can rules of ours be put there, to stay? If not, `why` says why. */
bool barrier_opens(const struct barrier *barrier, const char *bridge,
		   char why[static BARRIER_TEXT]);

/* A rule of ours that is there. */
struct opening {
	char owner[ID_SHORT_LEN + 1]; /* digits of the network's id; "": its bridge alone says it */
	char bridge[IFNAMSIZ];
	bool from; /* the network; else to it */
	uint8_t family;
	char table[64], chain[64], object[200];
	uint64_t handle, packets, bytes;
};
typedef VECTOR(struct opening) opening_vector;

#endif
