/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of an operation (recover.h begins it). */
#ifndef BN_OPS_OPERATION_H
#define BN_OPS_OPERATION_H

#include "ops/context.h"

/*
 * What a verb returns is made of the rows that it has reserved, before it changes the kernel: so
 * what can fail of it fails in time. May be called again for another try. NULL: no result is asked
 * for.
 */
struct result {
	int (*prepare)(bn_ctx *ctx, const struct rows *rows, void *snapshot);
	void *snapshot;
};
int result_prepare(bn_ctx *ctx, const struct result *result, const struct rows *rows);

/* The second transaction: what the operation reserved stands, what it marked is gone. */
int operation_settle(bn_ctx *ctx, const struct operation *operation);

/* As if it had never been; keeps the error that led here. Where the undoing failed it is left open
 * instead, for the next call to undo. */
void operation_abandon(bn_ctx *ctx, const struct operation *operation);

#endif
