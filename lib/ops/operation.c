/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/operation.h"

#include <errno.h>

#include "base/fault.h"
#include "ops/ops.h"

/* While the state is being moved to another backend nothing else begins, nor before what a move
 * left half done is cleaned up: that goes by the state as it was then. */
static int begin_unmoved(bn_ctx *ctx)
{
	int r;

	for (unsigned int attempt = 0;; attempt++) {
		r = store_begin(ctx->store, &ctx->error);
		if (r >= 0)
			r = store_operation_pending(ctx->store, OPERATION_BACKEND_SWITCH,
						    &ctx->error);
		if (r <= 0)
			return r;
		store_rollback(ctx->store);
		r = ops_recover(ctx);
		if (r < 0)
			return r;
		if (!deadline_pause(ctx->deadline, attempt))
			return error_set(&ctx->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
					 "the state in %s is being moved to another backend; try "
					 "again, or allow more time",
					 ctx->state_dir);
	}
}

int operation_begin(bn_ctx *ctx, enum operation_kind kind, struct operation *operation)
{
	int r;

	if (kind == OPERATION_BACKEND_SWITCH)
		r = store_begin(ctx->store, &ctx->error);
	else
		r = begin_unmoved(ctx);
	if (r >= 0)
		r = ctx_open_firewall(ctx);
	if (r >= 0)
		r = store_operation_open(ctx->store, kind, operation, &ctx->error);
	return r;
}

static int settle(bn_ctx *ctx, const struct operation *operation, bool keep)
{
	int r;

	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = keep ? store_operation_close(ctx->store, operation, &ctx->error) :
			   store_operation_abandon(ctx->store, operation, &ctx->error);
	if (r >= 0 && keep)
		r = FAULT("settle");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int operation_settle(bn_ctx *ctx, const struct operation *operation)
{
	int r = settle(ctx, operation, true);

	switch (operation->kind) {
	case OPERATION_NETWORK_CREATE:
	case OPERATION_ATTACH:
	case OPERATION_PUBLISH:
	case OPERATION_BACKEND_SWITCH:
		break;
	case OPERATION_NETWORK_DELETE:
	case OPERATION_DETACH:
	case OPERATION_UNPUBLISH:
		/* the kernel objects are gone: the next call finishes it */
		if (r < 0)
			store_operation_leave(ctx->store, operation);
		break;
	}
	return r;
}

void operation_abandon(bn_ctx *ctx, const struct operation *operation)
{
	struct error cause;
	int r = -EUCLEAN;

	ctx_undo_begin(ctx, &cause);
	/* rows must outlive what they describe */
	if (!ctx->undo_failed)
		r = settle(ctx, operation, false);
	if (r < 0)
		store_operation_leave(ctx->store, operation);
	ctx_undo_end(ctx, &cause, r);
}
