/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports of an endpoint that is there already. */
#include "ops/publish.h"

#include <errno.h>

#include "base/fault.h"
#include "ops/driver.h"
#include "ops/flows.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/rules.h"

/* One publish on its way. */
struct publish {
	const char *network, *id;
	const struct port_request *requests;
	size_t len;
	uint32_t flags; /* BN_PUBLISH_* */
	bool picks;
	uint64_t picked_for; /* the sequence of the endpoint */
	struct rows rows;    /* the network, the endpoint, the ports */
	struct operation operation;
};

static void publish_clear(struct publish *publish)
{
	rows_clear(&publish->rows);
}

/* ---- publish ---- */

/* Picking a port takes trial binds, which must not keep other writers waiting: so it goes by the
 * endpoint as it is before the transaction. */
static int pick_ports(bn_ctx *ctx, struct publish *publish)
{
	struct rows *rows = &publish->rows;
	int r;

	rows_clear(rows);
	publish->picked_for = 0;
	r = rows_load_network(ctx, publish->network, rows);
	if (r >= 0)
		r = rows_load_endpoint(ctx, publish->id, rows);
	if (r < 0)
		return r == -ENOENT ? 0 : r; /* it may be in a moment */
	publish->picked_for = rows->endpoints.items->sequence;
	return ports_choose(ctx, rows->networks.items, rows->endpoints.items, publish->requests,
			    publish->len, publish->flags, &rows->ports);
}

static int reserve_ports(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct publish *publish = verb;
	struct rows *rows = &publish->rows;
	int r;

	r = rows_use(ctx, publish->network, publish->id, rows);
	if (r < 0)
		return r;
	if (publish->picks && rows->endpoints.items->sequence != publish->picked_for)
		return error_set(&ctx->error, -ESTALE, BN_REASON_BUSY,
				 "endpoint %s of network %s is detached and attached all the time; "
				 "try again",
				 publish->id, publish->network);
	if (!publish->picks) {
		ports_empty(&rows->ports);
		r = ports_choose(ctx, rows->networks.items, rows->endpoints.items,
				 publish->requests, publish->len, publish->flags, &rows->ports);
	}
	if (r >= 0)
		r = ports_reserve(ctx, operation, rows->networks.items, publish->requests,
				  publish->len, &rows->ports);
	return r < 0 ? r : FAULT("publish.reserve");
}

static int reserve_publish(bn_ctx *ctx, struct publish *publish)
{
	int r = 0;

	for (int tries = 0;; tries++) {
		if (publish->picks)
			r = pick_ports(ctx, publish);
		if (r >= 0)
			r = operation_reserve(ctx, OPERATION_PUBLISH, reserve_ports, publish,
					      &publish->operation);
		if (!publish->picks || tries == PICK_TRIES || (r != -EADDRINUSE && r != -ESTALE))
			return r == -ESTALE ? -EBUSY : r;
	}
}

/* A packet on its way while rules are made meets the old ones in one hook and the new ones in the
 * next: the drops, which a port of the host alone has, are in force for every packet before the
 * mapping is made. */
static int add_rules(bn_ctx *ctx, const struct rows *rows, uint32_t part)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = rules_plan(ctx, PLAN_PORTS | part, rows, &rules);
	if (r >= 0)
		r = rules_add(ctx, &rules, rows, PLAN_NETWORKS | PLAN_ENDPOINTS);
	if (r >= 0 && part == PLAN_OTHERS && rules.len)
		process_await_packets();
	return r;
}

static int make_ports(bn_ctx *ctx, const struct publish *publish, held_vector *held)
{
	CLEANUP_VECTOR prefix_vector local = { 0 };
	const struct rows *rows = &publish->rows;
	int r;

	r = driver_of(rows->networks.items)->network_check(ctx, rows, NULL);
	if (r >= 0)
		r = ports_probe(ctx, rows->endpoints.items, &rows->ports, publish->flags, held);
	if (r >= 0)
		r = FAULT("publish.rules");
	if (r >= 0)
		r = add_rules(ctx, rows, PLAN_OTHERS);
	if (r >= 0)
		r = flows_drop_led_away(ctx, rows, &local);
	if (r >= 0)
		r = add_rules(ctx, rows, PLAN_LETTING_IN);
	if (r >= 0)
		r = FAULT("publish.flows");
	if (r >= 0)
		r = flows_drop_past(ctx, rows, &local);
	return r < 0 ? r : operation_settle(ctx, &publish->operation);
}

int ops_publish(bn_ctx *ctx, const char *network, const char *id,
		const struct port_request *requests, size_t len, uint32_t flags,
		const struct result *result, held_vector *ret_held)
{
	CLEANUP(held_clear) held_vector held = { 0 };
	CLEANUP(publish_clear)
	struct publish publish = {
		.network = network,
		.id = id,
		.requests = requests,
		.len = len,
		.flags = flags,
		.picks = ports_have_picks(requests, len),
	};
	int r;

	r = reserve_publish(ctx, &publish);
	if (r < 0)
		return r;
	r = result_prepare(ctx, result, &publish.rows);
	if (r >= 0)
		r = make_ports(ctx, &publish, &held);
	if (r < 0)
		return operation_fail(ctx, &publish.operation, &publish.rows, r);
	*ret_held = held;
	held = (held_vector){ 0 };
	return 0;
}

/* ---- unpublish ---- */

/* One unpublish on its way. */
struct retraction {
	const char *network, *id;
	const struct port_request *requests;
	size_t len;
	bool missing_ok;
	struct removal removal;
};

static void retraction_clear(struct retraction *retraction)
{
	removal_clear(&retraction->removal);
}

static int reserve_retraction(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct retraction *retraction = verb;
	struct rows *rows = &retraction->removal.rows;
	int r;

	ports_empty(&rows->ports);
	r = rows_use(ctx, retraction->network, retraction->id, rows);
	if (r >= 0)
		r = ports_name(ctx, rows->networks.items, rows->endpoints.items,
			       retraction->requests, retraction->len, retraction->missing_ok,
			       &rows->ports);
	if (r >= 0)
		r = store_ports_mark(ctx->store, operation, retraction->missing_ok, &rows->ports,
				     &ctx->error);
	return r < 0 ? r : FAULT("unpublish.reserve");
}

int ops_unpublish(bn_ctx *ctx, const char *network, const char *id,
		  const struct port_request *requests, size_t len, uint32_t flags)
{
	CLEANUP(retraction_clear)
	struct retraction retraction = {
		.network = network,
		.id = id,
		.requests = requests,
		.len = len,
		.missing_ok = flags & BN_UNPUBLISH_MISSING_OK,
		.removal.settled = true,
	};
	struct operation operation;
	int r;

	r = operation_reserve(ctx, OPERATION_UNPUBLISH, reserve_retraction, &retraction,
			      &operation);
	if (r == -ENOENT && retraction.missing_ok) {
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : operation_carry_out(ctx, &operation, &retraction.removal);
}
