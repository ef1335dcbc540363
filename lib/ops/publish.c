/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports of an endpoint that is there already. */
#include "ops/publish.h"

#include <errno.h>

#include "base/fault.h"
#include "ops/flows.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/rules.h"

/* One publish, or its reverse, on its way. */
struct publish {
	const char *network, *id;
	const struct port_request *requests;
	size_t len;
	struct rows rows; /* the network, the endpoint, the ports */
	struct operation operation;
};

static void publish_clear(struct publish *publish)
{
	rows_clear(&publish->rows);
}

/* ---- publish ---- */

static int choose_ports(bn_ctx *ctx, struct publish *publish)
{
	int r;

	rows_clear(&publish->rows);
	r = rows_load_network(ctx, publish->network, &publish->rows);
	if (r >= 0)
		r = rows_load_endpoint(ctx, publish->id, &publish->rows);
	if (r >= 0)
		r = ports_choose(ctx, publish->rows.endpoints.items, publish->requests,
				 publish->len, &publish->rows.ports);
	return r;
}

/* Picking a port takes trial binds, which must not keep other writers waiting; without any, all
 * that is read is read in the transaction, where it costs least. */
static int reserve_once(bn_ctx *ctx, struct publish *publish, bool picks)
{
	int r;

	r = picks ? choose_ports(ctx, publish) : 0;
	if (r >= 0)
		r = operation_begin(ctx, OPERATION_PUBLISH, &publish->operation);
	if (r >= 0 && !picks)
		r = choose_ports(ctx, publish);
	if (r >= 0)
		r = ports_reserve(ctx, &publish->operation, &publish->rows.ports, picks);
	if (r >= 0)
		r = FAULT("publish.reserve");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

static int reserve_publish(bn_ctx *ctx, struct publish *publish)
{
	bool picks = ports_have_picks(publish->requests, publish->len);
	int r;

	for (int tries = 0;; tries++) {
		r = reserve_once(ctx, publish, picks);
		if (r != -EADDRINUSE || !picks || tries == PICK_TRIES)
			return r;
	}
}

/* In the kernel, and settled: all of it or nothing. */
static int create_ports(bn_ctx *ctx, const struct publish *publish, bool hold, held_vector *held)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	const struct rows *rows = &publish->rows;
	int r;

	r = ports_probe(ctx, rows->endpoints.items, &rows->ports, hold, held);
	if (r >= 0)
		r = FAULT("publish.rules");
	if (r >= 0)
		r = rules_plan(ctx, PLAN_PORTS, rows, &rules);
	if (r >= 0)
		r = rules_add(ctx, &rules);
	if (r < 0)
		return r;
	r = FAULT("publish.flows");
	if (r >= 0)
		r = flows_drop(ctx, rows, true);
	if (r >= 0)
		r = operation_settle(ctx, &publish->operation);
	if (r < 0)
		rules_undo_add(ctx, &rules);
	return r;
}

int ops_publish(bn_ctx *ctx, const char *network, const char *id,
		const struct port_request *requests, size_t len, bool hold,
		const struct result *result, held_vector *ret_held)
{
	CLEANUP(held_clear) held_vector held = { 0 };
	CLEANUP(publish_clear)
	struct publish publish = {
		.network = network,
		.id = id,
		.requests = requests,
		.len = len,
	};
	int r;

	r = reserve_publish(ctx, &publish);
	if (r < 0)
		return r;
	r = result_prepare(ctx, result, &publish.rows);
	if (r >= 0)
		r = create_ports(ctx, &publish, hold, &held);
	if (r < 0) {
		operation_abandon(ctx, &publish.operation);
		return r;
	}
	*ret_held = held;
	held = (held_vector){ 0 };
	return 0;
}

/* ---- unpublish ---- */

/* A request without a host port means the endpoint's mapping to that container port. */
static int find_port(bn_ctx *ctx, const struct endpoint *endpoint, struct port *port)
{
	CLEANUP(ports_clear) port_vector existing = { 0 };
	int r;

	r = store_ports(ctx->store, endpoint->network, endpoint->id, 0, &existing, &ctx->error);
	for (size_t i = 0; i < existing.len && r >= 0; i++)
		if (existing.items[i].protocol == port->protocol &&
		    existing.items[i].container_port == port->container_port &&
		    existing.items[i].count == port->count &&
		    addr_compare(&existing.items[i].host_addr, &port->host_addr) == 0) {
			port->host_port = existing.items[i].host_port;
			return 0;
		}
	if (r < 0)
		return r;
	return error_set(&ctx->error, -ENOENT, BN_REASON_PORT_UNKNOWN,
			 "endpoint %s of network %s publishes no port to %u/%s; list its ports",
			 endpoint->id, endpoint->network, port->container_port,
			 protocol_name(port->protocol));
}

static int compare_host_side(const void *left, const void *right)
{
	const struct port *a = left, *b = right;
	int order = (int)a->protocol - (int)b->protocol;

	if (!order)
		order = addr_compare(&a->host_addr, &b->host_addr);
	if (!order)
		order = (int)a->host_port - (int)b->host_port;
	if (!order)
		order = (int)a->container_port - (int)b->container_port;
	return order ? order : (int)a->count - (int)b->count;
}

/* What is named twice is meant once. */
static void drop_repeats(port_vector *ports)
{
	size_t kept = 0;

	if (ports->len)
		qsort(ports->items, ports->len, sizeof(*ports->items), compare_host_side);
	for (size_t i = 0; i < ports->len; i++)
		if (!kept || compare_host_side(&ports->items[kept - 1], &ports->items[i]) != 0)
			ports->items[kept++] = ports->items[i];
	ports->len = kept;
}

static int name_ports(bn_ctx *ctx, struct publish *publish, bool missing_ok)
{
	port_vector *ret_ports = &publish->rows.ports;
	struct port *port;
	int r = 0;

	if (vector_reserve(ret_ports, publish->len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < publish->len && r >= 0; i++) {
		port = vector_push(ret_ports);
		*port = publish->requests[i].port;
		port_set_owner(port, publish->rows.endpoints.items);
		if (!port->host_port)
			r = find_port(ctx, publish->rows.endpoints.items, port);
		if (r == -ENOENT && missing_ok) {
			error_clear(&ctx->error);
			ret_ports->len--;
			r = 0;
		}
	}
	drop_repeats(ret_ports);
	return r;
}

/* Marks those that exist; with missing_ok the others leave the list. */
static int mark_ports(bn_ctx *ctx, const struct operation *operation, bool missing_ok,
		      port_vector *ports)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < ports->len && r >= 0; i++) {
		r = store_port_mark(ctx->store, operation, &ports->items[i], &ctx->error);
		if (r >= 0) {
			ports->items[kept++] = ports->items[i];
		} else if (r == -ENOENT && missing_ok) {
			error_clear(&ctx->error);
			r = 0;
		}
	}
	ports->len = kept;
	return r;
}

static int reserve_unpublish(bn_ctx *ctx, struct publish *publish, bool missing_ok)
{
	int r;

	r = operation_begin(ctx, OPERATION_UNPUBLISH, &publish->operation);
	if (r >= 0)
		r = rows_load_network(ctx, publish->network, &publish->rows);
	if (r >= 0)
		r = rows_load_endpoint(ctx, publish->id, &publish->rows);
	if (r >= 0)
		r = name_ports(ctx, publish, missing_ok);
	if (r >= 0)
		r = mark_ports(ctx, &publish->operation, missing_ok, &publish->rows.ports);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

static int remove_ports(bn_ctx *ctx, const struct publish *publish)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = rules_plan(ctx, PLAN_PORTS, &publish->rows, &rules);
	if (r >= 0)
		r = rules_remove(ctx, &rules);
	if (r >= 0) {
		r = flows_drop(ctx, &publish->rows, false);
		if (r < 0)
			rules_undo_remove(ctx, &rules);
	}
	if (r < 0) {
		operation_abandon(ctx, &publish->operation);
		return r;
	}
	return operation_settle(ctx, &publish->operation);
}

int ops_unpublish(bn_ctx *ctx, const char *network, const char *id,
		  const struct port_request *requests, size_t len, uint32_t flags)
{
	CLEANUP(publish_clear)
	struct publish publish = {
		.network = network,
		.id = id,
		.requests = requests,
		.len = len,
	};
	bool missing_ok = flags & BN_UNPUBLISH_MISSING_OK;
	int r;

	r = reserve_unpublish(ctx, &publish, missing_ok);
	if (r >= 0)
		return remove_ports(ctx, &publish);
	if (r != -ENOENT || !missing_ok)
		return r;
	error_clear(&ctx->error);
	return 0;
}
