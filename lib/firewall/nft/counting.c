/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Elements that count connections. Few have any, and not each kernel takes them: so their sets, and
 * the rules that look them up, are in the base only while there is one.
 */
#include <stdio.h> /* libnftnl's headers use FILE */
#include <sys/utsname.h>

#include "firewall/nft/nft.h"

#define PROBE_TABLE NFT_TABLE "-probe"
#define PROBE_ROOM 256

bool nft_counts_any(const nft_element_vector *elements)
{
	for (size_t i = 0; i < elements->len; i++)
		if (nft_fixed_at(elements->items[i].set)->counts)
			return true;
	return false;
}

bool nft_counting_stands(const struct nft_base_state *state)
{
	for (size_t i = 0; i < NFT_FIXED; i++)
		if (nft_fixed_has_rule(i) && nft_fixed_at(i)->counts && !state->handle[i])
			return false;
	return true;
}

/* ---- the end ---- */

static bool is_empty(struct nft *nft, size_t set, struct nft_reply *reply)
{
	bool found = false;

	return nft_set_dump(nft, set, nft_element_found, &found, reply) == 0 && !found;
}

static int set_delete(struct nft *nft, size_t set)
{
	struct nlmsghdr *message =
		nft_object_message(nft, NFT_MSG_DELSET, 0, NFTA_SET_TABLE, PROBE_ROOM);

	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_NAME, nft_fixed_at(set)->set);
	return 0;
}

/* Sets are there together, or not at all. */
static bool all_are_empty(struct nft *nft, struct nft_reply *reply)
{
	for (size_t i = 0; i < NFT_FIXED; i++)
		if (nft_has_set(i) && nft_fixed_at(i)->counts && !is_empty(nft, i, reply))
			return false;
	return true;
}

static int write_end(struct nft *nft, const struct nft_base_state *state)
{
	int r = nft_batch_begin(nft, state->generation);

	for (size_t i = 0; i < NFT_FIXED && r == 0; i++)
		if (nft_has_set(i) && nft_fixed_at(i)->counts && state->handle[i])
			r = nft_rule_delete(nft, kind_of(nft_fixed_kind(i))->chain,
					    state->handle[i]);
	for (size_t i = 0; i < NFT_FIXED && r == 0; i++)
		if (nft_has_set(i) && nft_fixed_at(i)->counts && state->set[i])
			r = set_delete(nft, i);
	return r;
}

void nft_counting_end(struct nft *nft)
{
	struct nft_base_state state = { 0 };
	struct nft_reply reply = { 0 };
	bool known;
	int r;

	r = nft_base_look(nft, true, &state, &reply);
	known = r == 0 && nft->generation == state.generation;
	if (r == 0 && all_are_empty(nft, &reply)) {
		/* all that was read is of that rule set, or nothing is done */
		nft->generation = 0;
		r = write_end(nft, &state);
		if (r == 0)
			r = nft_batch_commit(nft, NULL, NULL, &reply);
		if (r == 0 && known)
			nft->generation = nft_generation_next(state.generation);
		nft_known_keep(nft);
	}
	nft_base_state_clear(&state);
}

/* ---- asking ---- */

/* The last of these the kernel refuses, and with it all: nothing has ever been there. */
static int write_probe(struct nft *nft, uint32_t *ret_set)
{
	size_t set = NFT_FIXED_OF(RULE_CONNECTIONS_DROP);
	struct nlmsghdr *message;
	int r = nft_batch_begin(nft, 0);

	if (r < 0)
		return r;
	message = nft_batch_message(nft, NFT_MSG_NEWTABLE, NLM_F_CREATE, PROBE_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, PROBE_TABLE);
	r = nft_set_add(nft, set, PROBE_TABLE);
	*ret_set = nft->sequence;
	message = r < 0 ? NULL : nft_batch_message(nft, NFT_MSG_DELTABLE, 0, PROBE_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, PROBE_TABLE "-none");
	return 0;
}

int nft_can_count(struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	struct utsname name;
	uint32_t set = 0;
	int r;

	/* an older kernel would take the elements, and not what they count */
	if (uname(&name) < 0 || !firewall_kernel_is(name.release, 5, 11))
		return error_set(error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "option connections needs Linux 5.11 or newer with nftables; use "
				 "iptables-legacy, or leave it out");
	r = write_probe(nft, &set);
	if (r == 0)
		r = nft_batch_commit(nft, NULL, NULL, &reply);
	if (reply.code == -ENOENT && reply.sequence > set)
		return 0;
	if (reply.code && reply.sequence == set)
		return error_set(error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "the kernel can't count connections for nftables (%s): load the "
				 "module nft_connlimit, use a kernel that has it, or leave out "
				 "option connections",
				 errno_text(-reply.code));
	return nft_error(error, r < 0 ? r : -EIO, &reply,
			 "ask whether nftables can count connections");
}
