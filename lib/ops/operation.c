/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/operation.h"

#include <errno.h>

#include "base/fault.h"

int result_prepare(bn_ctx *ctx, const struct result *result, const struct rows *rows)
{
	return result->prepare ? result->prepare(ctx, rows, result->snapshot) : 0;
}

static int settle_rows(bn_ctx *ctx, const struct operation *operation, bool keep)
{
	int r;

	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = keep ? store_operation_close(ctx->store, operation, &ctx->error) :
			   store_operation_abandon(ctx->store, operation, &ctx->error);
	if (r >= 0)
		r = keep ? FAULT("settle") : FAULT("abandon");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int operation_settle(bn_ctx *ctx, const struct operation *operation)
{
	int r = settle_rows(ctx, operation, true);

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
	int r;

	/* rows must outlive what they describe */
	if (ctx->undo_failed) {
		store_operation_leave(ctx->store, operation);
		return;
	}
	ctx_undo_begin(ctx, &cause);
	r = settle_rows(ctx, operation, false);
	if (r < 0)
		store_operation_leave(ctx->store, operation);
	ctx_undo_end(ctx, &cause, r);
}
