/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What processes that died half way have left. Making is undone, deleting is finished: either way
 * the kernel objects of the operation's rows go, and then the rows.
 */
#include <errno.h>
#include <syslog.h>

#include "ops/detach.h"
#include "ops/operation.h"
#include "ops/ops.h"
#include "ops/rules.h"

/* How many ports from here on have the same owner. */
static size_t run_length(const port_vector *ports, size_t first)
{
	const struct port *owner = &ports->items[first];
	size_t len = 1;

	while (first + len < ports->len &&
	       strcmp(ports->items[first + len].network, owner->network) == 0 &&
	       strcmp(ports->items[first + len].endpoint, owner->endpoint) == 0)
		len++;
	return len;
}

static int demolish_endpoint(bn_ctx *ctx, const struct endpoint *endpoint, const port_vector *ports)
{
	CLEANUP(network_clear) struct network network = { 0 };
	endpoint_vector one = { .items = (struct endpoint *)endpoint, .len = 1 };
	port_vector own = { 0 };
	int r;

	r = store_network_get(ctx->store, endpoint->network, &network, &ctx->error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ports->len; i++)
		if (strcmp(ports->items[i].network, endpoint->network) == 0 &&
		    strcmp(ports->items[i].endpoint, endpoint->id) == 0) {
			own.items = ports->items + i;
			own.len = run_length(ports, i);
			break;
		}
	return endpoints_demolish(ctx, &network, &one, &own, false);
}

/* Ports of one endpoint that stays. */
static int demolish_ports(bn_ctx *ctx, const struct port *ports, size_t len)
{
	CLEANUP(endpoint_clear) struct endpoint endpoint = { 0 };
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = store_endpoint_get(ctx->store, ports->network, ports->endpoint, &endpoint, &ctx->error);
	if (r >= 0)
		r = rules_plan_ports(ctx, &endpoint, ports, len, &rules);
	if (r >= 0)
		r = rules_remove(ctx, &rules);
	if (r >= 0)
		r = rules_drop_flows(ctx, &endpoint, 1, ports, len, false);
	return r;
}

static int demolish_rows(bn_ctx *ctx, const struct operation *operation)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	const port_vector *ports = &rows.ports;
	int r;

	r = store_operation_rows(ctx->store, operation, &rows, &ctx->error);
	for (size_t i = 0; i < rows.endpoints.len && r >= 0; i++)
		r = demolish_endpoint(ctx, &rows.endpoints.items[i], ports);
	for (size_t i = 0; !rows.endpoints.len && i < ports->len && r >= 0;
	     i += run_length(ports, i))
		r = demolish_ports(ctx, &ports->items[i], run_length(ports, i));
	for (size_t i = 0; i < rows.networks.len && r >= 0; i++)
		r = network_demolish(ctx, &rows.networks.items[i]);
	return r;
}

/* Negative: it is left for the next call. */
static int recover_one(bn_ctx *ctx, const struct operation *operation)
{
	int r;

	ctx_log(ctx, LOG_NOTICE, "cleaning up after a process that died");
	/* it may have died after it had moved the state */
	r = ctx_open_firewall(ctx);
	if (r >= 0)
		r = demolish_rows(ctx, operation);
	if (r < 0) {
		store_operation_leave(ctx->store, operation);
		return r;
	}
	switch (operation->kind) {
	case OPERATION_NETWORK_CREATE:
	case OPERATION_ATTACH:
	case OPERATION_PUBLISH:
		operation_abandon(ctx, operation);
		r = ctx->undo_failed ? -EIO : 0;
		break;
	case OPERATION_BACKEND_SWITCH:
		r = backend_clean(ctx);
		if (r < 0)
			store_operation_leave(ctx->store, operation);
		else
			operation_abandon(ctx, operation);
		break;
	case OPERATION_NETWORK_DELETE:
	case OPERATION_DETACH:
	case OPERATION_UNPUBLISH:
		r = operation_settle(ctx, operation);
		break;
	}
	if (r >= 0)
		remove_base_if_unused(ctx);
	return r;
}

int ops_recover(bn_ctx *ctx)
{
	struct operation operation;
	int r;

	while ((r = store_operation_take_dead(ctx->store, &operation, &ctx->error)) > 0) {
		r = recover_one(ctx, &operation);
		/* rules in a backend that nobody looks at any more must not be forgotten */
		if (r < 0 && operation.kind == OPERATION_BACKEND_SWITCH)
			return r;
		if (r < 0) {
			/* it stays reserved, and must not keep everything else from working */
			ctx_log(ctx, LOG_ERR, "can't clean up yet: %s", ctx->error.message);
			ctx->undo_failed = false;
			error_clear(&ctx->error);
			return 0;
		}
	}
	return r;
}
