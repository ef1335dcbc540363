/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of others, as far as what networks forward goes through them. */
#ifndef BN_FIREWALL_NFT_OTHERS_H
#define BN_FIREWALL_NFT_OTHERS_H

#include "firewall/nft/nft.h"

struct nftnl_rule;

#define OTHERS_NAME 64 /* what has a longer one is passed by */

struct others_chain {
	uint8_t family; /* NFPROTO_* */
	char table[OTHERS_NAME], name[OTHERS_NAME];
	bool drops; /* by its policy */
};

struct others_element {
	uint8_t key[FACT_MAX];
	size_t len;
	bool end; /* of an interval, which does not hold it */
	int verdict;
	char chain[OTHERS_NAME];
};

struct others_set {
	char name[OTHERS_NAME];
	bool intervals, odd; /* odd: of a form that is not understood */
	VECTOR(struct others_element) elements;
};

struct others_rule {
	char chain[OTHERS_NAME];
	struct nftnl_rule *kernel;
};

/* A table is read as it is come to. */
struct others {
	struct nft *nft;
	struct nft_reply reply;
	VECTOR(struct others_chain) chains; /* at the forward hook, but ours */
	/* of the table that was read last */
	const struct others_chain *of;
	VECTOR(struct others_rule) rules;
	VECTOR(struct others_set) sets;
	uint32_t flags; /* NFT_TABLE_F_* */
};
/* The chains; then what a chain's table has. 0, or a negative errno with the reply. */
int others_read(struct nft *nft, struct others *ret_others);
int others_read_table(struct others *others, const struct others_chain *chain);
/* NULL and an error in *ret_r. */
const struct others_set *others_set(struct others *others, const char *name, int *ret_r);
void others_clear(struct others *others);
const char *others_family(uint8_t family);

/* ---- judge.c ---- */

/* What the chain, whose table was read, does with the packet. cause: of FATE_STOPS. */
int others_judge(struct others *others, const struct others_chain *chain,
		 const struct packet *packet, enum fate *ret_fate, char cause[static BARRIER_TEXT]);

/* ---- openings.c ---- */

/* A rule of ours that lets pass; false: it is another. */
bool others_read_opening(const struct others_chain *chain, struct nftnl_rule *kernel,
			 struct opening *ret_opening);

#endif
