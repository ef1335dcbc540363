/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How calls and operations begin: with what processes that died half way have left. */
#ifndef BN_OPS_RECOVER_H
#define BN_OPS_RECOVER_H

#include "ops/context.h"

/* Every call begins here: the context is opened, and before a change what dead processes left is
 * finished or undone. */
int ops_begin(bn_ctx *ctx, enum ctx_need need);
/* The latter again, by one that waits for another process. */
int recover_dead(bn_ctx *ctx);

/*
 * Begin the first transaction with an operation, in the backend that the state is in by now:
 * another process may have moved it. Waits while the state is being moved, and a move until nothing
 * else is under way.
 */
int operation_begin(bn_ctx *ctx, enum operation_kind kind, struct operation *ret_operation);
/* Another transaction of a move. */
int operation_begin_again(bn_ctx *ctx, const struct operation *operation);

#endif
