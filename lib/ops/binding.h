/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which network namespace, of which boot, a state is about. */
#ifndef BN_OPS_BINDING_H
#define BN_OPS_BINDING_H

#include "ops/context.h"

/* The thread is still where the context was first used. */
int ctx_check_thread(bn_ctx *ctx);
/* When a call begins, after that: -EBADMSG for a state that is older than it was, -EXDEV for one of
 * another namespace, but for CTX_READ. One of another boot becomes an empty one; one of another
 * namespace too, if the context says so. One of the first release learns what that did not
 * record. */
int ctx_begin_state(bn_ctx *ctx, enum ctx_need need);

/* -EXDEV if the state is about another namespace. Cheap; inside a transaction, too. */
int ctx_check_state(bn_ctx *ctx);
/* Inside a transaction: checks that, and from then on the state is about this network namespace,
 * and in this backend; or, when the last network goes, about none. */
int ctx_bind_state(bn_ctx *ctx);
int ctx_release_state(bn_ctx *ctx);

#endif
