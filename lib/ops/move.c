/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/move.h"

#include <errno.h>

#include "base/fault.h"
#include "model/policy.h"
#include "ops/driver.h"
#include "ops/opened.h"
#include "ops/recover.h"
#include "ops/rows.h"

/* The same mapping, of another endpoint. */
static int add_replacing(bn_ctx *ctx, const struct port *port, const struct network *network,
			 const struct endpoint *to, port_vector *replacing)
{
	struct port *copy = vector_push(replacing);
	int r;

	if (!copy)
		return error_oom(&ctx->error);
	port_copy(copy, port);
	r = ports_take_over(ctx, network, to, copy);
	if (r >= 0)
		r = opened_check_one(ctx, network, copy, replacing->items, replacing->len - 1);
	if (r < 0) {
		port_clear(copy);
		replacing->len--;
	}
	return r;
}

/* What a verb is about: ports of an endpoint, and the endpoint that they are of then. */
struct move {
	const char *network, *id, *to_network, *to_id;
	const struct port_request *requests;
	size_t len;
	struct removal removal;
};

static void move_clear(struct move *move)
{
	removal_clear(&move->removal);
}

static int replace_ports(bn_ctx *ctx, const struct operation *operation, struct move *move)
{
	const port_vector *ports = &move->removal.replacing.ports;

	return store_ports_insert(ctx->store, operation, ports->items, ports->len, &ctx->error);
}

static int run(bn_ctx *ctx, reserve_fn reserve, struct move *move, const struct result *result)
{
	const struct rows *replacing = &move->removal.replacing;
	struct operation operation;
	int r;

	r = operation_reserve(ctx, OPERATION_PORT_CHANGE, reserve, move, &operation);
	if (r < 0)
		return r;
	r = result_prepare(ctx, result, replacing);
	if (r >= 0 && replacing->ports.len)
		r = driver_of(replacing->networks.items)->network_check(ctx, replacing, NULL);
	return r < 0 ? operation_abandon(ctx, &operation, r) :
		       operation_carry_out(ctx, &operation, &move->removal);
}

/* ---- from one endpoint to another ---- */

static int check_sandboxes(bn_ctx *ctx, const struct endpoint *from, const struct endpoint *to)
{
	if (strcmp(from->id, to->id) == 0 && strcmp(from->network, to->network) == 0)
		return error_set(
			&ctx->error, -EINVAL, BN_REASON_INVALID,
			"ports of endpoint %s of network %s can't be moved to itself; name "
			"another endpoint of its namespace",
			from->id, from->network);
	if (from->sandbox_inode && from->sandbox_inode == to->sandbox_inode &&
	    from->sandbox_device == to->sandbox_device &&
	    from->sandbox_cookie == to->sandbox_cookie)
		return 0;
	return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
			 "endpoints %s of network %s and %s of network %s are in different "
			 "namespaces, so what answers at a port of the one does not at the other; "
			 "unpublish the ports, and publish them there",
			 from->id, from->network, to->id, to->network);
}

static int reserve_move(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct move *move = verb;
	struct rows *rows = &move->removal.rows, *replacing = &move->removal.replacing;
	const struct endpoint *to;
	int r;

	removal_clear(&move->removal);
	move->removal.settled = true;
	r = rows_use(ctx, move->network, move->id, rows);
	if (r >= 0)
		r = rows_use(ctx, move->to_network, move->to_id, replacing);
	if (r < 0)
		return r;
	to = replacing->endpoints.items;
	r = check_sandboxes(ctx, rows->endpoints.items, to);
	if (r >= 0)
		r = ports_name(ctx, rows->networks.items, rows->endpoints.items, move->requests,
			       move->len, false, &rows->ports);
	if (r >= 0)
		r = store_ports_mark(ctx->store, operation, false, &rows->ports, &ctx->error);
	for (size_t i = 0; i < rows->ports.len && r >= 0; i++)
		r = add_replacing(ctx, &rows->ports.items[i], replacing->networks.items, to,
				  &replacing->ports);
	if (r >= 0)
		r = replace_ports(ctx, operation, move);
	return r < 0 ? r : FAULT("move.reserve");
}

int ops_move(bn_ctx *ctx, const char *network, const char *id, const char *to_network,
	     const char *to_id, const struct port_request *requests, size_t len,
	     const struct result *result)
{
	CLEANUP(move_clear)
	struct move move = {
		.network = network,
		.id = id,
		.to_network = to_network,
		.to_id = to_id,
		.requests = requests,
		.len = len,
	};
	return run(ctx, reserve_move, &move, result);
}

/* ---- other options ---- */

/* The request that the mapping came of. */
static const struct port_request *request_of(const struct move *move, const struct port *port)
{
	const struct addr *bind = network_bind(move->removal.rows.networks.items);

	for (size_t i = 0; i < move->len; i++)
		if (port_request_find(&move->requests[i], bind, port, 1, 0) == 0)
			return &move->requests[i];
	return NULL;
}

static int reserve_update(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct move *move = verb;
	struct rows *rows = &move->removal.rows, *replacing = &move->removal.replacing;
	int r;

	removal_clear(&move->removal);
	move->removal.settled = true;
	r = rows_use(ctx, move->network, move->id, rows);
	if (r >= 0)
		r = rows_use(ctx, move->network, move->id, replacing);
	if (r >= 0)
		r = ports_name(ctx, rows->networks.items, rows->endpoints.items, move->requests,
			       move->len, false, &rows->ports);
	if (r >= 0)
		r = store_ports_mark(ctx->store, operation, false, &rows->ports, &ctx->error);
	for (size_t i = 0; i < rows->ports.len && r >= 0; i++) {
		struct port with = rows->ports.items[i];
		const struct port_request *request = request_of(move, &with);

		with.options = request ? request->port.options : NULL;
		r = add_replacing(ctx, &with, rows->networks.items, rows->endpoints.items,
				  &replacing->ports);
	}
	if (r >= 0)
		r = replace_ports(ctx, operation, move);
	return r < 0 ? r : FAULT("update.reserve");
}

int ops_update_ports(bn_ctx *ctx, const char *network, const char *id,
		     const struct port_request *requests, size_t len, const struct result *result)
{
	CLEANUP(move_clear)
	struct move move = { .network = network, .id = id, .requests = requests, .len = len };

	return run(ctx, reserve_update, &move, result);
}

/* ---- when endpoints go ---- */

/* Of its default routes the better one; none is worse than all. */
static uint32_t best_metric(const struct endpoint *endpoint)
{
	uint32_t best = UINT32_MAX;

	for_each_family(family) {
		uint32_t metric = endpoint_metric(endpoint, family);

		if (metric && metric < best)
			best = metric;
	}
	return best;
}

static bool comes_before(const struct endpoint *a, const struct endpoint *b)
{
	if (!b || best_metric(a) != best_metric(b))
		return !b || best_metric(a) < best_metric(b);
	return a->sequence < b->sequence;
}

static bool goes_too(const struct rows *rows, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < rows->endpoints.len; i++)
		if (strcmp(rows->endpoints.items[i].id, endpoint->id) == 0 &&
		    strcmp(rows->endpoints.items[i].network, endpoint->network) == 0)
			return true;
	return false;
}

/* Can the ports be there? 1, 0, or negative. */
static int can_publish(bn_ctx *ctx, const struct endpoint *endpoint)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r;

	if (!endpoint_has_address(endpoint))
		return 0;
	r = store_network_use(ctx->store, endpoint->network, &network, &ctx->error);
	return r < 0 ? r : network.policy.internal == INTERNAL_NO && network_is_managed(&network);
}

/* *ret_heir: NULL for none. */
static int find_heir(bn_ctx *ctx, const struct rows *rows, const endpoint_vector *siblings,
		     const struct endpoint **ret_heir)
{
	int r = 0;

	*ret_heir = NULL;
	for (size_t i = 0; i < siblings->len && r >= 0; i++) {
		const struct endpoint *sibling = &siblings->items[i];

		if (goes_too(rows, sibling) || !comes_before(sibling, *ret_heir))
			continue;
		r = can_publish(ctx, sibling);
		if (r > 0)
			*ret_heir = sibling;
	}
	return r < 0 ? r : 0;
}

static int move_ports_of(bn_ctx *ctx, const struct operation *operation,
			 const struct endpoint *endpoint, struct removal *removal)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	CLEANUP(network_clear) struct network network = { 0 };
	const port_vector *ports = &removal->rows.ports;
	const struct endpoint *heir = NULL;
	int r;

	r = store_siblings(ctx->store, operation, endpoint, &siblings, &ctx->error);
	if (r >= 0)
		r = find_heir(ctx, &removal->rows, &siblings, &heir);
	if (r >= 0 && heir)
		r = store_network_use(ctx->store, heir->network, &network, &ctx->error);
	for (size_t i = 0; i < ports->len && r >= 0 && heir; i++) {
		if (!port_is_of(&ports->items[i], endpoint))
			continue;
		r = add_replacing(ctx, &ports->items[i], &network, heir, &removal->replacing.ports);
		/* what it can't have */
		if (r < 0 && r != -ENOMEM) {
			error_clear(&ctx->error);
			r = 0;
		}
	}
	return r;
}

int move_ports_on(bn_ctx *ctx, const struct operation *operation, struct removal *removal)
{
	struct rows *replacing = &removal->replacing;
	int r = 0;

	for (size_t i = 0; i < removal->rows.endpoints.len && r >= 0; i++)
		r = move_ports_of(ctx, operation, &removal->rows.endpoints.items[i], removal);
	if (r >= 0)
		r = store_ports_insert(ctx->store, operation, replacing->ports.items,
				       replacing->ports.len, &ctx->error);
	return r < 0 ? r : rows_complete(ctx, replacing);
}
