/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The base taken away: what we made, part by part, and the table only if then nothing is in it.
 * What somebody else's rules use the kernel does not give up: that stays, and all else goes.
 */
#include <arpa/inet.h>

#include "firewall/nft/nft.h"

#define REMOVE_ROOM 256

struct removal {
	struct nft_base_state state;
	bool in_use; /* a set has an element */
	/* what stays, for others use it */
	bool chain_held[CHAIN_COUNT], set_held[NFT_FIXED], table_held;
	/* the messages of the batch, 0 for none */
	uint32_t chain[CHAIN_COUNT], set[NFT_FIXED], table;
	bool empty;
	bool hurried; /* the rule set may be another than the one that was read */
};

/* ---- what is to go ---- */

/* Rules of others stay, and what the administrator has set. */
static void hold_others(const struct nft *nft, struct removal *removal)
{
	const struct nft_base_state *state = &removal->state;

	for (enum rule_chain i = nft->table->first_chain; i < nft->table->end_chain; i++)
		removal->chain_held[i] |= state->settled[i];
	for (size_t i = 0; i < state->foreign.len; i++)
		removal->chain_held[state->foreign.items[i].chain] = true;
}

/* The administrator's rules stay in force. */
static bool user_rules_stand(const struct removal *removal)
{
	for (size_t i = 0; i < removal->state.foreign.len; i++) {
		if (removal->state.foreign.items[i].chain == CHAIN_FILTER_USER)
			return true;
	}
	return false;
}

static int removal_read(struct nft *nft, struct removal *removal, struct nft_reply *reply)
{
	int r;

	nft_base_state_clear(&removal->state);
	removal->in_use = false;
	r = nft_base_look(nft, true, &removal->state, reply);
	for (size_t i = nft->table->first; r == 0 && i < nft->table->end && !removal->in_use; i++) {
		if (!removal->state.set[i])
			continue;
		r = nft_set_dump(nft, i, nft_element_found, &removal->in_use, reply);
		if (r == -ENOENT)
			r = -ERESTART;
	}
	hold_others(nft, removal);
	return r;
}

/* ---- the transaction ---- */

/* Rules before the chains they jump to and the sets they look into. */
static int rules_delete(struct nft *nft, struct removal *removal)
{
	const struct nft_base_state *state = &removal->state;
	bool user = user_rules_stand(removal);
	int r = 0;

	for (size_t i = nft->table->first; r == 0 && i < nft->table->end; i++) {
		enum rule_kind kind = nft_fixed_kind(i);

		if (!state->handle[i] || (kind == RULE_USER_JUMP && user))
			continue;
		r = nft_rule_delete(nft, kind_of(kind)->chain, state->handle[i]);
		removal->empty = false;
	}
	for (size_t i = 0; r == 0 && i < state->copies.len; i++) {
		r = nft_rule_delete(nft, state->copies.items[i].chain,
				    state->copies.items[i].handle);
		removal->empty = false;
	}
	return r;
}

/* flags: NLM_F_NONREC for what must be found empty. name: 0 of the table itself */
static int object_delete(struct nft *nft, uint16_t type, uint16_t flags, uint16_t table,
			 uint16_t attribute, const char *name, uint32_t *ret_sequence)
{
	struct nlmsghdr *message = nft_object_message(nft, type, flags, table, REMOVE_ROOM);

	if (!message)
		return -ENOMEM;
	if (name)
		mnl_attr_put_strz(message, attribute, name);
	*ret_sequence = nft->sequence;
	return 0;
}

static int chains_and_sets_delete(struct nft *nft, struct removal *removal)
{
	const struct nft_base_state *state = &removal->state;
	bool forward = user_rules_stand(removal);
	/* an end of no range, which nft(8) puts there, goes with its set */
	uint16_t empty = removal->hurried ? NLM_F_NONREC : 0;
	int r = 0;

	for (enum rule_chain i = nft->table->first_chain; r == 0 && i < nft->table->end_chain;
	     i++) {
		if (!state->chain[i] || removal->chain_held[i] ||
		    (i == CHAIN_FILTER_FORWARD && forward))
			continue;
		r = object_delete(nft, NFT_MSG_DELCHAIN, NLM_F_NONREC, NFTA_CHAIN_TABLE,
				  NFTA_CHAIN_NAME, nft_chain_name(i), &removal->chain[i]);
		removal->empty = false;
	}
	for (size_t i = nft->table->first; r == 0 && i < nft->table->end; i++) {
		if (!state->set[i] || removal->set_held[i])
			continue;
		r = object_delete(nft, NFT_MSG_DELSET, empty, NFTA_SET_TABLE, NFTA_SET_NAME,
				  nft_fixed_at(i)->set, &removal->set[i]);
		removal->empty = false;
	}
	return r;
}

static int removal_write(struct nft *nft, struct removal *removal)
{
	const struct nft_base_state *state = &removal->state;
	int r;

	memset(removal->chain, 0, sizeof(removal->chain));
	memset(removal->set, 0, sizeof(removal->set));
	removal->table = 0;
	removal->empty = true;
	/* Whatever is decided here holds only for the rule set that was read. */
	r = nft_batch_begin(nft, removal->hurried ? 0 : state->generation);
	if (r == 0)
		r = rules_delete(nft, removal);
	if (r == 0)
		r = chains_and_sets_delete(nft, removal);
	/* that it is dormant, whoever said so, says nothing of an empty one */
	if (r < 0 || !state->own || state->table_flags & ~(uint32_t)NFT_TABLE_F_DORMANT ||
	    removal->table_held)
		return r;
	removal->empty = false;
	return object_delete(nft, NFT_MSG_DELTABLE, NLM_F_NONREC, NFTA_TABLE_NAME, 0, NULL,
			     &removal->table);
}

/* Whoever is in a hurry is refused a set in which there is something by now, too. */
static bool is_held(struct nft *nft, const struct removal *removal, size_t set)
{
	struct nft_reply reply = { 0 };
	bool found = false;

	return !removal->hurried ||
	       (nft_set_dump(nft, set, nft_element_found, &found, &reply) == 0 && !found);
}

/* What the kernel does not give up; false: it was none of these, or is to be read again. */
static bool hold_busy(struct nft *nft, struct removal *removal, const struct nft_reply *reply)
{
	uint32_t sequence = reply->sequence;

	if (reply->code != -EBUSY)
		return false;
	if (sequence == removal->table)
		return removal->table_held = true;
	for (enum rule_chain i = nft->table->first_chain; i < nft->table->end_chain; i++) {
		if (removal->chain[i] == sequence)
			return removal->chain_held[i] = true;
	}
	for (size_t i = nft->table->first; i < nft->table->end; i++) {
		if (removal->set[i] == sequence)
			return removal->set_held[i] = is_held(nft, removal, i);
	}
	return false;
}

static int base_delete(struct nft *nft, struct removal *removal, struct nft_reply *reply)
{
	int r = removal_read(nft, removal, reply);

	/* what a program's socket owns has nothing of ours, or nothing that can be had */
	if (r < 0 || removal->in_use || removal->state.table_flags & NFT_TABLE_F_OWNER)
		return r;
	nft->generation = 0;
	do {
		r = removal_write(nft, removal);
		if (r == 0 && !removal->empty)
			r = nft_batch_commit(nft, NULL, NULL, reply);
	} while (r == -EBUSY && hold_busy(nft, removal, reply));
	/* what was to go has gone, or come: it is to be read again */
	return r == -ENOENT || r == -EBUSY ? -ERESTART : r;
}

/* It begins with a look, so it also tells what became of one whose answer was lost. */
static int base_delete_again(struct nft *nft, struct removal *removal, struct nft_reply *reply)
{
	const struct deadline *deadline = nft->base.deadline;
	const struct deadline look = deadline_after(OUTCOME_LOOK_MS);
	int r = OUTCOME_UNKNOWN;

	nft->base.deadline = &look;
	for (int i = 0; i < OUTCOME_LOOKS && r != 0 && r != -ERESTART; i++)
		r = base_delete(nft, removal, reply);
	nft->base.deadline = deadline;
	return r == 0 || r == -ERESTART ? r : OUTCOME_UNKNOWN;
}

/* ---- saying what stays ---- */

static void note_add(struct firewall *firewall, const char *what, const char *name)
{
	size_t len = strlen(firewall->note);

	if (!len)
		snprintf(firewall->note, sizeof(firewall->note),
			 "others' rules stand in or use these parts of the nftables table %s, "
			 "which stay:",
			 ((struct nft *)firewall)->table->name);
	snprintf(firewall->note + strlen(firewall->note),
		 sizeof(firewall->note) - strlen(firewall->note), "%s %s %s", len ? "," : "", what,
		 name);
}

static void note_held(struct firewall *firewall, const struct removal *removal)
{
	const struct nft *nft = (struct nft *)firewall;

	firewall->note[0] = '\0';
	for (enum rule_chain i = nft->table->first_chain; i < nft->table->end_chain; i++) {
		/* that of the administrator stays by design */
		if (removal->chain_held[i] && i != CHAIN_FILTER_USER)
			note_add(firewall, "chain", nft_chain_name(i));
	}
	for (size_t i = nft->table->first; i < nft->table->end; i++) {
		if (removal->set_held[i])
			note_add(firewall, "set", nft_fixed_at(i)->set);
	}
}

int nft_remove_base(struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct removal removal = { 0 };
	struct nft_reply reply = { 0 };
	int r = -ERESTART, ended = 0;

	for (unsigned int i = 0; i < NFT_ATTEMPTS && r == -ERESTART && ended == 0; i++) {
		if (i)
			ended = deadline_pause(firewall->deadline, i - 1);
		removal.hurried = i >= NFT_INSISTS;
		r = base_delete(nft, &removal, &reply);
		if (reply.lost)
			r = base_delete_again(nft, &removal, &reply);
	}
	if (r == 0 && !removal.in_use)
		note_held(firewall, &removal);
	nft_base_state_clear(&removal.state);
	if (r == OUTCOME_UNKNOWN)
		return error_unknown_outcome(error, "remove the nftables base");
	return r < 0 ? nft_error(error, r, &reply, "remove the nftables base") : 0;
}
