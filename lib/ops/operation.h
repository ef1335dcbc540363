/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of an operation (recover.h begins it). */
#ifndef BN_OPS_OPERATION_H
#define BN_OPS_OPERATION_H

#include "ops/removal.h"

/* Undoing has time of its own: it must not fail for want of it, which may be why it is needed. */
#define UNDO_MS 2000

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

/* What an operation made is in the kernel: now it stands. */
int operation_settle(bn_ctx *ctx, const struct operation *operation);

/* A verb that makes or changes something has failed with r: undo all of it, as would be done had it
 * died. Returns what the verb is to return. rows: what it has reserved, or what it was changing to.
 */
int operation_fail(bn_ctx *ctx, const struct operation *operation, const struct rows *rows, int r);

/*
 * Take out what an operation has marked for removal, and settle. Where that fails before anything
 * has changed, all stands as before; later there is no way back, only on: once more in the time of
 * undoing, then it is left to the next call.
 */
int operation_carry_out(bn_ctx *ctx, const struct operation *operation,
			const struct removal *removal);

/* The same of one that fails before it has changed anything, with r: all stands as before. */
int operation_abandon(bn_ctx *ctx, const struct operation *operation, int r);

/* For verbs that have an end of their own: how long undoing may take after that failure; leave it
 * to the next call, which the error says from then on; and what the verb is to return. */
uint32_t undo_ms(const bn_ctx *ctx, int r);
void operation_leave(bn_ctx *ctx, const struct operation *operation);
int operation_result(bn_ctx *ctx, int r);

/* One that ends here: a maker or an update is undone, a remover finished. */
int operation_finish(bn_ctx *ctx, const struct operation *operation);
/* The same of many that make or remove, together: the kernel's part, then the rows of all of
 * them in one transaction, in which the rule base goes with the last network. */
int operations_finish(bn_ctx *ctx, const struct operation *operations, size_t len,
		      const struct removal *removal);
/* The latter part alone. */
int operations_settle(bn_ctx *ctx, const struct operation *operations, size_t len,
		      const struct removal *removal);

#endif
