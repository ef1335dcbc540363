/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/detach.h"

#include <errno.h>

#include "base/fault.h"
#include "ops/move.h"
#include "ops/network.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/siblings.h"

struct detachment {
	const char *network;
	const char *const *ids;
	size_t len;
	uint32_t flags;
	struct removal removal;
};

static void detachment_clear(struct detachment *detachment)
{
	removal_clear(&detachment->removal);
}

/* One named twice is meant once. */
static bool has_endpoint(const struct rows *rows, const char *id)
{
	for (size_t i = 0; i < rows->endpoints.len; i++)
		if (strcmp(rows->endpoints.items[i].id, id) == 0)
			return true;
	return false;
}

static int mark_endpoint(bn_ctx *ctx, const struct operation *operation, const char *id,
			 struct rows *rows)
{
	const char *network = rows->networks.items->name;
	int r;

	if (has_endpoint(rows, id))
		return 0;
	r = rows_use_endpoint(ctx, id, rows);
	if (r >= 0)
		r = siblings_mark(ctx, operation, &rows->endpoints.items[rows->endpoints.len - 1]);
	return r < 0 ? r : store_ports(ctx->store, network, id, 0, &rows->ports, &ctx->error);
}

/* The network goes with its last endpoint, if it is one that can go. */
static int mark_empty(bn_ctx *ctx, const struct operation *operation, struct removal *removal)
{
	const struct network *network = removal->rows.networks.items;
	int r;

	r = network_check_deletable(ctx, network);
	if (r >= 0)
		r = store_network_check_empty(ctx->store, operation, network->name, &ctx->error);
	if (r >= 0)
		r = store_network_mark(ctx->store, operation, network->name, &ctx->error);
	if (r >= 0) {
		removal->networks = true;
		return 0;
	}
	if (r != -EPERM && r != -ENOENT && ctx->error.reason != BN_REASON_NETWORK_IN_USE)
		return r;
	error_clear(&ctx->error);
	return 0;
}

static int reserve_detachment(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct detachment *detachment = verb;
	struct removal *removal = &detachment->removal;
	int r;

	removal_clear(removal);
	removal->endpoints = removal->settled = true;
	removal->quick = detachment->flags & BN_DETACH_QUICK;
	removal->async = detachment->flags & BN_DETACH_ASYNC;
	r = rows_use_network(ctx, detachment->network, &removal->rows);
	/* one by one they would hardly be idle all at once */
	if (r >= 0 && detachment->len > 1)
		r = store_claim_network(ctx->store, removal->rows.networks.items->name,
					&ctx->error);
	for (size_t i = 0; i < detachment->len && r >= 0; i++) {
		r = mark_endpoint(ctx, operation, detachment->ids[i], &removal->rows);
		if (r == -ENOENT && (detachment->flags & BN_DETACH_MISSING_OK)) {
			error_clear(&ctx->error);
			r = 0;
		}
	}
	if (r >= 0 && (detachment->flags & BN_DETACH_MOVE_PORTS))
		r = move_ports_on(ctx, operation, removal);
	if (r >= 0 && (detachment->flags & BN_DETACH_DELETE_EMPTY))
		r = mark_empty(ctx, operation, removal);
	return r < 0 ? r : FAULT("detach.reserve");
}

int ops_detach(bn_ctx *ctx, const char *network, const char *const *ids, size_t len, uint32_t flags)
{
	CLEANUP(detachment_clear)
	struct detachment detachment = {
		.network = network,
		.ids = ids,
		.len = len,
		.flags = flags,
	};
	struct operation operation;
	int r;

	r = operation_reserve(
		ctx, flags & BN_DETACH_MOVE_PORTS ? OPERATION_DETACH_MOVE : OPERATION_DETACH,
		reserve_detachment, &detachment, &operation);
	if (r == -ENOENT && (flags & BN_DETACH_MISSING_OK)) {
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : operation_carry_out(ctx, &operation, &detachment.removal);
}
