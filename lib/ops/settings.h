/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's settings, as networks need them: how they were, changing them, and back. */
#ifndef BN_OPS_SETTINGS_H
#define BN_OPS_SETTINGS_H

#include "ops/context.h"

/* In the transaction that makes the network: how the host is now, and the guard that the context
 * asks for. -EOPNOTSUPP BN_REASON_UNSUPPORTED where it wants forwarding to be on, and it is off. */
int settings_record(bn_ctx *ctx, const struct operation *operation, const struct network *network);
/* Once its rules stand: the guard, then forwarding. */
int settings_change(bn_ctx *ctx, const struct operation *operation, const struct network *network);

/* Somebody has turned forwarding of a family off, which that network needs. In a transaction that
 * is committed: what the host is like by now, to be given back with the last network, and what the
 * context asks for of a guard, as if the network were made now. Where that is more than there is,
 * rules_rebuild(). Then it is turned on again, in a transaction, so that no network that goes gives
 * it back meanwhile. */
int settings_keep_again(bn_ctx *ctx, const struct network *network, int family, bool *ret_guards);
int settings_turn_on(bn_ctx *ctx, int family);

/* What is given back with a network that goes. */
struct settings {
	struct host_text text;
	struct guard guard; /* of the whole state, as it was with the network */
	bool undone;        /* it comes to nothing: nor is anything left of what it asked for */
};
void settings_clear(struct settings *settings);
/* Of a bridge that was adopted, what is its own. */
int settings_give_back_bridge(bn_ctx *ctx, const struct operation *operation,
			      const struct network *network);
/* The rest. Before its row goes, and after that; in one transaction, for whoever makes a network
 * next finds what is given back here, and what dies half way is done again with the row. What other
 * networks need passes to one of them. */
int settings_load(bn_ctx *ctx, const struct operation *operation, struct settings *settings);
int settings_give_back(bn_ctx *ctx, const struct settings *settings);
/* With the last network: 1 where the host goes on to forward behind a guard. */
int settings_guard_stays(bn_ctx *ctx);

#endif
