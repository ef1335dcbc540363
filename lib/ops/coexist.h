/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Firewalls of the host that stop what networks forward (option coexist): what there is to say of
 * them, and the rules of ours in their chains. Those stand in whatever tables there are, whichever
 * backend the state is in; who they are of they say themselves.
 */
#ifndef BN_OPS_COEXIST_H
#define BN_OPS_COEXIST_H

#include "ops/context.h"

/* Has the network such rules, where a firewall stops it? */
bool coexist_inserts(const struct network *network);
/* Of a network that was made or changed, for the log. What can't be looked at is passed by. */
void coexist_say(bn_ctx *ctx, const struct network *network);
/* Rules of ours at the head of each chain that stops it. strict: -EOPNOTSUPP BN_REASON_UNSUPPORTED
 * where one of them takes none, and nothing is put anywhere; else that is for a check to tell. */
int coexist_open(bn_ctx *ctx, const struct network *network, bool strict);
/* None of them any more: those of the network, whatever it is to have. */
int coexist_close(bn_ctx *ctx, const struct network *network);
/* By a repair: what is there of it, and is not two rules, goes first. */
int coexist_mend(bn_ctx *ctx, const struct network *network);
/* Those of networks that are none of these. */
int coexist_close_unknown(bn_ctx *ctx, const network_vector *networks);
/* From a network as it is to one as it is to be, before anything else changes, and after.
 * What was asked for anew may be refused; what is undone, or stays, is not. */
int coexist_change_before(bn_ctx *ctx, const struct network *before, const struct network *after);
int coexist_change_after(bn_ctx *ctx, const struct network *before, const struct network *after,
			 bool undoes);
/* The state is in another backend now: where its own rules stand others' are not passed. */
int coexist_move(bn_ctx *ctx);

/* All that there is of it, by the backends in order. */
struct coexist_sight {
	VECTOR(struct passage) passages; /* of the networks that were asked about */
	barrier_vector barriers;
	opening_vector openings;
};
void coexist_sight_clear(struct coexist_sight *sight);
int coexist_look(bn_ctx *ctx, const network_vector *networks, struct coexist_sight *ret_sight);
const struct network *coexist_owner(const struct opening *opening, const network_vector *networks);
/* What there is of a network in the chain in which one of its openings is; whole: one for each
 * direction, as it is to be. odd: for another bridge. */
struct coexist_pair {
	size_t from, to, odd;
	bool whole;
};
struct coexist_pair coexist_pair(const opening_vector *openings, const struct opening *opening,
				 const struct network *network);
/* Appends them, as rules; network NULL: of all. */
int coexist_list(bn_ctx *ctx, const char *network, rule_vector *rules);

#endif
