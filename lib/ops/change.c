/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/change.h"

#include <errno.h>

#include "base/fault.h"
#include "model/reach.h"
#include "ops/coexist.h"
#include "ops/driver.h"
#include "ops/persistent.h"
#include "ops/rows.h"
#include "ops/rules.h"

/* ---- which rules ---- */

/* Both with the endpoints and ports of the network, where those have rules that differ. */
struct sides {
	struct rows before, after; /* views */
	struct rows shared;
	uint32_t scopes;
};

static void sides_clear(struct sides *sides)
{
	rows_clear(&sides->shared);
}

static int add_what_is_attached(bn_ctx *ctx, const char *network, struct rows *rows)
{
	int r = store_endpoints(ctx->store, network, 0, &rows->endpoints, &ctx->error);

	return r < 0 ? r : store_ports(ctx->store, network, NULL, 0, &rows->ports, &ctx->error);
}

/* Of a network with many endpoints their rules are not made twice to find that they are the
 * same. */
static int load_sides(bn_ctx *ctx, struct sides *sides)
{
	const struct network *before = sides->before.networks.items;
	const struct network *after = sides->after.networks.items;
	struct rows *shared = &sides->shared;
	int r;

	sides->scopes = PLAN_NETWORKS;
	if (!plan_reaches_endpoints(ctx->firewall->backend->traits(), before, after))
		return 0;
	sides->scopes |= PLAN_ENDPOINTS | PLAN_PORTS;
	r = add_what_is_attached(ctx, after->name, shared);
	sides->before.endpoints = sides->after.endpoints = shared->endpoints;
	sides->before.ports = sides->after.ports = shared->ports;
	return r;
}

static int plan_change(bn_ctx *ctx, const struct rows *before, const struct rows *after,
		       struct rules_difference *ret_difference)
{
	CLEANUP(sides_clear)
	struct sides sides = {
		.before = *before,
		.after = *after,
		.scopes = PLAN_ROWS,
	};
	CLEANUP(rules_clear) rule_vector old = { 0 };
	CLEANUP(rules_clear) rule_vector new = { 0 };
	int r = 0;

	if (!after->endpoints.len)
		r = load_sides(ctx, &sides);
	if (r >= 0)
		r = rules_plan(ctx, sides.scopes, &sides.before, &old);
	if (r >= 0)
		r = rules_plan(ctx, sides.scopes, &sides.after, &new);
	if (r >= 0 && rules_difference(&old, &new, ret_difference) < 0)
		r = error_oom(&ctx->error);
	return r;
}

/* ---- the kernel ---- */

static int change_links(bn_ctx *ctx, const struct rows *before, const struct rows *after)
{
	const struct network *network = after->networks.items;
	const struct driver_ops *driver = driver_of(network);
	int r = FAULT("update.links");

	if (r < 0)
		return r;
	if (after->endpoints.len)
		return driver->endpoint_update ?
			       driver->endpoint_update(ctx, network, before->endpoints.items,
						       after->endpoints.items) :
			       0;
	return driver->network_update ?
		       driver->network_update(ctx, before->networks.items, network) :
		       0;
}

static bool has_rules(const struct rules_step *step)
{
	return step->add.len || step->remove.len;
}

int change_make(bn_ctx *ctx, const struct rows *before, const struct rows *after,
		bool before_stands)
{
	CLEANUP(rules_difference_clear) struct rules_difference difference = { 0 };
	int r;

	r = plan_change(ctx, before, after, &difference);
	if (r >= 0 && !after->endpoints.len)
		r = coexist_change_before(ctx, before->networks.items, after->networks.items);
	if (r >= 0)
		r = FAULT("update.rules");
	if (r >= 0)
		r = rules_change_step(ctx, &difference, &difference.shut, before_stands);
	if (r >= 0 && has_rules(&difference.shut) && has_rules(&difference.rest))
		process_await_packets();
	if (r >= 0)
		r = change_links(ctx, before, after);
	if (r >= 0)
		r = FAULT("update.rest");
	if (r >= 0)
		r = rules_change_step(ctx, &difference, &difference.rest, before_stands);
	if (r >= 0 && !after->endpoints.len)
		r = coexist_change_after(ctx, before->networks.items, after->networks.items,
					 !before_stands);
	return r < 0 || after->endpoints.len ? r : persistent_write(ctx, after->networks.items);
}

/* ---- undoing ---- */

/* What an endpoint that changes has its rules by. */
static int complete(bn_ctx *ctx, struct rows *before, struct rows *after)
{
	const struct endpoint *endpoint = before->endpoints.items;
	int r;

	if (!before->endpoints.len)
		return 0;
	r = store_ports(ctx->store, endpoint->network, endpoint->id, 0, &before->ports,
			&ctx->error);
	if (r >= 0)
		r = rows_complete(ctx, before);
	if (r < 0)
		return r;
	after->ports = before->ports;
	after->networks = before->networks;
	return 0;
}

int change_undo(bn_ctx *ctx, const struct operation *operation)
{
	CLEANUP(rows_clear) struct rows before = { 0 };
	CLEANUP(rows_clear) struct rows after = { 0 };
	struct rows changed;
	int r;

	r = store_operation_updates(ctx->store, operation, &before, &after, &ctx->error);
	if (r < 0 || (!before.networks.len && !before.endpoints.len))
		return r;
	changed = after;
	r = complete(ctx, &before, &changed);
	return r < 0 ? r : change_make(ctx, &changed, &before, false);
}

/* ---- what another has undone ---- */

/* 1, or 0 if the very same are not there any more. */
static int load_now(bn_ctx *ctx, const struct rows *after, struct rows *now)
{
	const struct endpoint *endpoint = after->endpoints.items;
	int r;

	r = rows_load_network(ctx, after->networks.items->id, now);
	if (r >= 0 && after->endpoints.len)
		r = rows_load_endpoint(ctx, endpoint->id, now);
	if (r == -ENOENT) {
		error_clear(&ctx->error);
		return 0;
	}
	if (r >= 0 && after->endpoints.len)
		return now->endpoints.items->sequence == endpoint->sequence;
	return r < 0 ? r : 1;
}

static int put_as_it_is(bn_ctx *ctx, const struct rows *after)
{
	CLEANUP(rows_clear) struct rows now = { 0 };
	CLEANUP(rows_clear) struct rows attached = { 0 };
	CLEANUP(rules_clear) rule_vector gone = { 0 };
	struct rows changed = *after;
	int r = 0;

	if (!after->endpoints.len) {
		r = add_what_is_attached(ctx, after->networks.items->name, &attached);
		changed.endpoints = attached.endpoints;
		changed.ports = attached.ports;
	}
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ROWS, &changed, &gone);
	if (r >= 0)
		r = rules_change_lost(ctx, &gone);
	if (r >= 0)
		r = load_now(ctx, after, &now);
	if (r >= 0 && !after->endpoints.len && coexist_inserts(after->networks.items) &&
	    (r == 0 || !coexist_inserts(now.networks.items))) {
		int closed = coexist_close(ctx, after->networks.items);

		r = closed < 0 ? closed : r;
	}
	return r <= 0 ? r : change_links(ctx, after, &now);
}

int change_lost(bn_ctx *ctx, const struct rows *after)
{
	int r;

	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = put_as_it_is(ctx, after);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}
