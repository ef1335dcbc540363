/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How calls and operations begin: with what processes that died half way have left. */
#ifndef BN_OPS_RECOVER_H
#define BN_OPS_RECOVER_H

#include "ops/context.h"

/* Every call begins here: the context is opened, and before a change what dead processes left is
 * finished or undone. */
int ops_begin(bn_ctx *ctx, enum ctx_need need);
/* And ends here, whatever came of it. */
void ops_end(bn_ctx *ctx);

/*
 * The first transaction: an operation of that kind, and what the verb reads, decides, inserts and
 * marks, in the backend that the state is in by now (another process may have moved it). Waits
 * while the state is being moved, and a move until nothing else is under way; and for whoever makes
 * or removes what the verb is about, then -EBUSY BN_REASON_BUSY. So `reserve` may be called again,
 * and must begin by forgetting what it found the time before.
 */
typedef int (*reserve_fn)(bn_ctx *ctx, const struct operation *operation, void *verb);
int operation_reserve(bn_ctx *ctx, enum operation_kind kind, reserve_fn reserve, void *verb,
		      struct operation *ret_operation);
/* A transaction without an operation, for what is done while nobody else begins anything: it sees
 * the state as the first one of an operation does. */
int operation_hold(bn_ctx *ctx);
/* Another transaction of a move. */
int operation_begin_again(bn_ctx *ctx, const struct operation *operation);

#endif
