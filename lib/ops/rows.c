/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/rows.h"

int rows_load_network(bn_ctx *ctx, const char *network, struct rows *rows)
{
	struct network *slot = vector_push(&rows->networks);
	int r;

	if (!slot)
		return error_oom(&ctx->error);
	r = store_network_get(ctx->store, network, slot, &ctx->error);
	if (r < 0)
		rows->networks.len--;
	return r;
}

static const char *last_network(const struct rows *rows)
{
	return rows->networks.items[rows->networks.len - 1].name;
}

int rows_load_endpoint(bn_ctx *ctx, const char *id, struct rows *rows)
{
	struct endpoint *slot = vector_push(&rows->endpoints);
	int r;

	if (!slot)
		return error_oom(&ctx->error);
	r = store_endpoint_get(ctx->store, last_network(rows), id, slot, &ctx->error);
	if (r < 0)
		rows->endpoints.len--;
	return r;
}

int rows_load(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows)
{
	int r;

	if (network) {
		r = rows_load_network(ctx, network, rows);
		if (r < 0)
			return r;
		network = last_network(rows);
	} else {
		r = store_networks(ctx->store, 0, &rows->networks, &ctx->error);
	}
	if (r >= 0)
		r = endpoint ?
			    rows_load_endpoint(ctx, endpoint, rows) :
			    store_endpoints(ctx->store, network, 0, &rows->endpoints, &ctx->error);
	if (r >= 0)
		r = store_ports(ctx->store, network, endpoint, 0, &rows->ports, &ctx->error);
	return r;
}

int rows_read(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows)
{
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = rows_load(ctx, network, endpoint, rows);
	store_rollback(ctx->store);
	return r;
}

/* An operation is about one network, and ports alone about one endpoint. */
int rows_load_operation(bn_ctx *ctx, const struct operation *operation, struct rows *rows)
{
	int r = store_operation_rows(ctx->store, operation, rows, &ctx->error);

	if (r < 0 || rows->networks.len || (!rows->endpoints.len && !rows->ports.len))
		return r;
	r = rows_load_network(ctx,
			      rows->endpoints.len ? rows->endpoints.items->network :
						    rows->ports.items->network,
			      rows);
	return r < 0 || rows->endpoints.len ?
		       r :
		       rows_load_endpoint(ctx, rows->ports.items->endpoint, rows);
}
