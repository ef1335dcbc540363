/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/rows.h"

#include <errno.h>

#include "ops/persistent.h"

typedef int (*network_fn)(struct store *store, const char *name, struct network *ret_network,
			  struct error *error);
typedef int (*endpoint_fn)(struct store *store, const char *network, const char *id,
			   struct endpoint *ret_endpoint, struct error *error);

static int add_network(bn_ctx *ctx, network_fn get, const char *network, struct rows *rows)
{
	struct network *slot = vector_push(&rows->networks);
	int r;

	if (!slot)
		return error_oom(&ctx->error);
	r = get(ctx->store, network, slot, &ctx->error);
	if (r < 0)
		rows->networks.len--;
	return r;
}

static int add_endpoint(bn_ctx *ctx, endpoint_fn get, const char *network, const char *id,
			struct rows *rows)
{
	struct endpoint *slot = vector_push(&rows->endpoints);
	int r;

	if (!slot)
		return error_oom(&ctx->error);
	r = get(ctx->store, network, id, slot, &ctx->error);
	if (r < 0)
		rows->endpoints.len--;
	return r;
}

static const char *last_network(const struct rows *rows)
{
	return rows->networks.items[rows->networks.len - 1].name;
}

int rows_load_network(bn_ctx *ctx, const char *network, struct rows *rows)
{
	return persistent_explain(ctx, network, add_network(ctx, store_network_get, network, rows));
}

int rows_load_endpoint(bn_ctx *ctx, const char *id, struct rows *rows)
{
	return add_endpoint(ctx, store_endpoint_get, last_network(rows), id, rows);
}

int rows_use_network(bn_ctx *ctx, const char *network, struct rows *rows)
{
	return persistent_explain(ctx, network, add_network(ctx, store_network_use, network, rows));
}

int rows_use_network_alone(bn_ctx *ctx, const char *network, struct rows *rows)
{
	return persistent_explain(ctx, network,
				  add_network(ctx, store_network_use_alone, network, rows));
}

int rows_use_endpoint(bn_ctx *ctx, const char *id, struct rows *rows)
{
	return add_endpoint(ctx, store_endpoint_use, last_network(rows), id, rows);
}

int rows_use(bn_ctx *ctx, const char *network, const char *id, struct rows *rows)
{
	int r;

	networks_clear(&rows->networks);
	endpoints_clear(&rows->endpoints);
	r = rows_use_network(ctx, network, rows);
	return r < 0 ? r : rows_use_endpoint(ctx, id, rows);
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

bool rows_have_network(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, name) == 0)
			return true;
	return false;
}

static bool same_endpoint(const struct port *a, const struct port *b)
{
	return strcmp(a->endpoint, b->endpoint) == 0 && strcmp(a->network, b->network) == 0;
}

static bool has_endpoint(const struct rows *rows, const struct port *port)
{
	for (size_t i = rows->endpoints.len; i-- > 0;)
		if (port_is_of(port, &rows->endpoints.items[i]))
			return true;
	return false;
}

/* What a state that was damaged lacks has no rules, and what has rules goes all the same. */
static int pass_missing(bn_ctx *ctx, int r)
{
	if (r != -ENOENT)
		return r;
	error_clear(&ctx->error);
	return 0;
}

int rows_complete(bn_ctx *ctx, struct rows *rows)
{
	const struct port *port, *last = NULL;
	int r = 0;

	for (size_t i = 0; i < rows->ports.len && r >= 0; i++, last = port) {
		port = &rows->ports.items[i];
		/* they come by endpoint */
		if ((!last || !same_endpoint(port, last)) && !has_endpoint(rows, port))
			r = pass_missing(ctx, add_endpoint(ctx, store_endpoint_get, port->network,
							   port->endpoint, rows));
	}
	for (size_t i = 0; i < rows->endpoints.len && r >= 0; i++)
		if (!rows_have_network(rows, rows->endpoints.items[i].network))
			r = pass_missing(ctx, rows_load_network(
						      ctx, rows->endpoints.items[i].network, rows));
	return r;
}

int rows_load_standing(bn_ctx *ctx, struct rows *rows)
{
	int r;

	r = store_networks(ctx->store, STORE_STANDING, &rows->networks, &ctx->error);
	if (r >= 0)
		r = store_endpoints(ctx->store, NULL, STORE_STANDING, &rows->endpoints,
				    &ctx->error);
	if (r >= 0)
		r = store_ports(ctx->store, NULL, NULL, STORE_STANDING, &rows->ports, &ctx->error);
	return r;
}

int rows_load_all(bn_ctx *ctx, struct rows *rows)
{
	int r = store_networks(ctx->store, STORE_PENDING, &rows->networks, &ctx->error);

	if (r >= 0)
		r = store_endpoints(ctx->store, NULL, STORE_PENDING, &rows->endpoints, &ctx->error);
	return r < 0 ? r :
		       store_ports(ctx->store, NULL, NULL, STORE_PENDING, &rows->ports,
				   &ctx->error);
}
