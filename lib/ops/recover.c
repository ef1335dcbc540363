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

static int demolish_endpoint(struct engine *engine, const struct endpoint *endpoint,
			     const port_vector *ports)
{
	CLEANUP(network_clear) struct network network = { 0 };
	endpoint_vector one = { .items = (struct endpoint *)endpoint, .len = 1 };
	port_vector own = { 0 };
	int r;

	r = store_network_get(engine->store, endpoint->network, &network, &engine->error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ports->len; i++)
		if (strcmp(ports->items[i].network, endpoint->network) == 0 &&
		    strcmp(ports->items[i].endpoint, endpoint->id) == 0) {
			own.items = ports->items + i;
			own.len = run_length(ports, i);
			break;
		}
	return endpoints_demolish(engine, &network, &one, &own, false);
}

/* Ports of one endpoint that stays. */
static int demolish_ports(struct engine *engine, const struct port *ports, size_t len)
{
	CLEANUP(endpoint_clear) struct endpoint endpoint = { 0 };
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = store_endpoint_get(engine->store, ports->network, ports->endpoint, &endpoint,
			       &engine->error);
	if (r >= 0)
		r = rules_plan_ports(engine, &endpoint, ports, len, &rules);
	if (r >= 0)
		r = rules_remove(engine, &rules);
	if (r >= 0)
		r = rules_drop_flows(engine, &endpoint, 1, ports, len, false);
	return r;
}

static int demolish_rows(struct engine *engine, const struct operation *operation)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	CLEANUP(ports_clear) port_vector ports = { 0 };
	int r;

	r = store_operation_rows(engine->store, operation, &networks, &endpoints, &ports,
				 &engine->error);
	for (size_t i = 0; i < endpoints.len && r >= 0; i++)
		r = demolish_endpoint(engine, &endpoints.items[i], &ports);
	for (size_t i = 0; !endpoints.len && i < ports.len && r >= 0; i += run_length(&ports, i))
		r = demolish_ports(engine, &ports.items[i], run_length(&ports, i));
	for (size_t i = 0; i < networks.len && r >= 0; i++)
		r = network_demolish(engine, &networks.items[i]);
	return r;
}

/* Negative: it is left for the next call. */
static int recover_one(struct engine *engine, const struct operation *operation)
{
	int r;

	engine_log(engine, LOG_NOTICE, "cleaning up after a process that died");
	/* it may have died after it had moved the state */
	r = engine_open_firewall(engine);
	if (r >= 0)
		r = demolish_rows(engine, operation);
	if (r < 0) {
		store_operation_leave(engine->store, operation);
		return r;
	}
	switch (operation->kind) {
	case OPERATION_NETWORK_CREATE:
	case OPERATION_ATTACH:
	case OPERATION_PUBLISH:
		operation_abandon(engine, operation);
		r = engine->undo_failed ? -EIO : 0;
		break;
	case OPERATION_BACKEND_SWITCH:
		r = backend_clean(engine);
		if (r < 0)
			store_operation_leave(engine->store, operation);
		else
			operation_abandon(engine, operation);
		break;
	case OPERATION_NETWORK_DELETE:
	case OPERATION_DETACH:
	case OPERATION_UNPUBLISH:
		r = operation_settle(engine, operation);
		break;
	}
	if (r >= 0)
		remove_base_if_unused(engine);
	return r;
}

int ops_recover(struct engine *engine)
{
	struct operation operation;
	int r;

	while ((r = store_operation_take_dead(engine->store, &operation, &engine->error)) > 0) {
		r = recover_one(engine, &operation);
		/* rules in a backend that nobody looks at any more must not be forgotten */
		if (r < 0 && operation.kind == OPERATION_BACKEND_SWITCH)
			return r;
		if (r < 0) {
			/* it stays reserved, and must not keep everything else from working */
			engine_log(engine, LOG_ERR, "can't clean up yet: %s",
				   engine->error.message);
			engine->undo_failed = false;
			error_clear(&engine->error);
			return 0;
		}
	}
	return r;
}
