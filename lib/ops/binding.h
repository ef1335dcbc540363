/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which network namespace, of which boot, a state is about. */
#ifndef BN_OPS_BINDING_H
#define BN_OPS_BINDING_H

#include "ops/context.h"

/* When a call begins, in this order. */

/* A state of another boot becomes an empty one. */
int ctx_check_boot(bn_ctx *ctx);
/* The thread is still where the context was first used. */
int ctx_check_thread(bn_ctx *ctx);
/* ctx_check_state(), after taking the state over if the context says so; change: one of the first
 * release learns what that did not record. */
int ctx_settle_state(bn_ctx *ctx, bool change);

/* -EXDEV if the state is about another namespace. Cheap; inside a transaction, too. */
int ctx_check_state(bn_ctx *ctx);
/* Inside a transaction: checks that, and from then on the state is about this network namespace,
 * and in this backend; or, when the last network goes, about none. */
int ctx_bind_state(bn_ctx *ctx);
int ctx_release_state(bn_ctx *ctx);

#endif
