/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_OPERATION_H
#define BN_OPS_OPERATION_H

#include "ops/context.h"

/* Begin the first transaction with an operation, in the backend that the state is in by now:
 * another process may have moved it. */
int operation_begin(bn_ctx *ctx, enum operation_kind kind, struct operation *operation);

/* The second transaction: what the operation reserved stands, what it marked is gone. */
int operation_settle(bn_ctx *ctx, const struct operation *operation);

/* As if it had never been; keeps the error that led here. Where the undoing failed it is left open
 * instead, for the next call to undo. */
void operation_abandon(bn_ctx *ctx, const struct operation *operation);

/* Take a half-made network out of the kernel. */
int network_demolish(bn_ctx *ctx, const struct network *network);

/* Take what the state describes out of all backends but the one that it is in: the move from or to
 * one of them came to nothing. */
int backend_clean(bn_ctx *ctx);

/* Once no network is left there is nothing that the rule base serves, and any backend may be chosen
 * for the next. A base that stays is harmless: the failure is only logged. */
void remove_base_if_unused(bn_ctx *ctx);

#endif
