/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/detach.h"

#include <errno.h>

#include "base/fault.h"
#include "ops/driver.h"
#include "ops/operation.h"
#include "ops/recover.h"
#include "ops/rows.h"

/* One named twice is meant once. */
static int load_endpoint(bn_ctx *ctx, const char *id, struct rows *rows)
{
	int r;

	for (size_t i = 0; i < rows->endpoints.len; i++)
		if (strcmp(rows->endpoints.items[i].id, id) == 0)
			return 0;
	r = rows_load_endpoint(ctx, id, rows);
	return r < 0 ? r :
		       store_ports(ctx->store, rows->networks.items->name, id, 0, &rows->ports,
				   &ctx->error);
}

static int reserve_detach(bn_ctx *ctx, const char *const *ids, size_t len, bool missing_ok,
			  struct operation *operation, struct rows *rows)
{
	int r;

	r = operation_begin(ctx, OPERATION_DETACH, operation);
	for (size_t i = 0; i < len && r >= 0; i++) {
		r = load_endpoint(ctx, ids[i], rows);
		if (r >= 0)
			r = store_endpoint_mark(ctx->store, operation, rows->networks.items->name,
						ids[i], &ctx->error);
		if (r == -ENOENT && missing_ok) {
			error_clear(&ctx->error);
			r = 0;
		}
	}
	if (r >= 0)
		r = FAULT("detach.reserve");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int ops_detach(bn_ctx *ctx, const char *name, const char *const *ids, size_t len, uint32_t flags)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	bool missing_ok = flags & BN_DETACH_MISSING_OK;
	const struct driver_ops *driver;
	struct operation operation;
	int r;

	r = rows_load_network(ctx, name, &rows);
	if (r == -ENOENT && missing_ok) {
		error_clear(&ctx->error);
		return 0;
	}
	if (r >= 0)
		r = reserve_detach(ctx, ids, len, missing_ok, &operation, &rows);
	if (r < 0)
		return r;
	driver = driver_of(rows.networks.items);
	if (driver->endpoints_remove)
		r = driver->endpoints_remove(ctx, &rows, flags & BN_DETACH_QUICK);
	if (r < 0) {
		operation_abandon(ctx, &operation);
		return r;
	}
	return operation_settle(ctx, &operation);
}
