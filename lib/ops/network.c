/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <syslog.h>

#include "model/fault.h"
#include "ops/design.h"
#include "ops/operation.h"
#include "ops/ops.h"
#include "ops/rules.h"

#define RESERVE_TRIES 16        /* against other processes that pick at the same time */

struct bridge_config network_bridge_config(const struct network *network, const char *alias)
{
	return (struct bridge_config){
		.name = network->bridge,
		.alias = alias,
		.mtu = network->mtu,
		.ipv4 = network->ipv4,
		.ipv6 = network->ipv6,
		.adopt = network->bridge_adopted,
	};
}

/* ---- reserve ---- */

static int check_overlap(struct engine *engine, const struct network *network)
{
	static const int families[] = { AF_INET, AF_INET6 };
	CLEANUP(networks_clear) network_vector others = { 0 };
	char mine[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	const struct subnet *a, *b;
	int r;

	r = store_networks(engine->store, STORE_PENDING, &others, &engine->error);
	for (size_t i = 0; i < others.len && r >= 0; i++)
		for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
			a = network_subnet(network, families[f]);
			b = network_subnet(&others.items[i], families[f]);
			if (!a || !b || !prefix_overlaps(&a->prefix, &b->prefix))
				continue;
			return error_set(&engine->error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
					 "subnet %s overlaps %s of network %s; choose another",
					 prefix_format(&a->prefix, mine),
					 prefix_format(&b->prefix, theirs), others.items[i].name);
		}
	return r;
}

static int reserve(struct engine *engine, const struct network *network,
		   struct operation *operation)
{
	int r;

	r = operation_begin(engine, OPERATION_NETWORK_CREATE, operation);
	if (r >= 0)
		r = check_overlap(engine, network);
	if (r >= 0)
		r = store_network_insert(engine->store, operation, network, &engine->error);
	if (r >= 0)
		r = engine_bind_state(engine);
	if (r >= 0)
		r = FAULT("network.reserve");
	if (r >= 0)
		r = store_commit(engine->store, &engine->error);
	store_rollback(engine->store);
	return r;
}

/* ---- kernel ---- */

/* What was turned on for a network, in case it comes to nothing. */
struct forwarding {
	bool ipv4, ipv6;
};

static int enable_forwarding(struct engine *engine, const struct network *network,
			     struct forwarding *changed)
{
	int r = 0;

	if (network->ipv4.prefix.addr.family)
		r = sysctl_forwarding_enable(AF_INET, &changed->ipv4, &engine->error);
	if (r >= 0 && network->ipv6.prefix.addr.family)
		r = sysctl_forwarding_enable(AF_INET6, &changed->ipv6, &engine->error);
	return r;
}

static bool any_network(const network_vector *networks, const struct network *but)
{
	for (size_t i = 0; i < networks->len; i++)
		if (networks->items[i].bridge[0] &&
		    (!but || strcmp(networks->items[i].id, but->id) != 0))
			return true;
	return false;
}

/* Unless another network has come to rely on it meanwhile. */
static void restore_forwarding(struct engine *engine, const struct network *network,
			       const struct forwarding *changed)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	struct error cause;
	int r;

	engine_undo_begin(engine, &cause);
	r = store_networks(engine->store, STORE_PENDING, &networks, &engine->error);
	if (r >= 0 && !any_network(&networks, network)) {
		sysctl_forwarding_restore(AF_INET, changed->ipv4);
		sysctl_forwarding_restore(AF_INET6, changed->ipv6);
	}
	engine_undo_end(engine, &cause, r);
}

/* The drops stand before there is a device that they are about. */
static int build(struct engine *engine, const struct network *network)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	char alias[ALIAS_MAX];
	struct bridge_config config;
	int r;

	link_alias(network->id, NULL, alias);
	config = network_bridge_config(network, alias);
	if (plan_network(engine->firewall->backend->traits, network, &rules) < 0)
		return error_oom(&engine->error);
	r = FAULT("network.rules");
	if (r >= 0)
		r = rules_add(engine, &rules);
	if (r < 0)
		return r;
	r = FAULT("network.bridge");
	if (r >= 0)
		r = bridge_create(engine->link, &config, &engine->error);
	if (r < 0)
		rules_undo_add(engine, &rules);
	return r;
}

/* 1 when there is no network, but for the one that is being deleted, and so no base any more. */
static int remove_rule_base(struct engine *engine, const struct network *but)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r;

	r = store_networks(engine->store, STORE_PENDING, &networks, &engine->error);
	if (r < 0 || any_network(&networks, but))
		return r < 0 ? r : 0;
	r = engine->firewall->backend->remove_base(engine->firewall, &engine->error);
	return r < 0 ? r : 1;
}

static int remove_base(struct engine *engine)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r;

	r = remove_rule_base(engine, NULL);
	if (r <= 0)
		return r;
	r = store_begin(engine->store, &engine->error);
	if (r >= 0)
		r = store_networks(engine->store, STORE_PENDING, &networks, &engine->error);
	if (r >= 0 && !any_network(&networks, NULL))
		r = engine_release_state(engine);
	if (r >= 0)
		r = store_commit(engine->store, &engine->error);
	store_rollback(engine->store);
	return r;
}

void remove_base_if_unused(struct engine *engine)
{
	struct error cause = engine->error;

	if (remove_base(engine) < 0)
		engine_log(engine, LOG_WARNING, "the rule base stays: %s", engine->error.message);
	engine->error = cause;
}

int network_demolish(struct engine *engine, const struct network *network)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	char alias[ALIAS_MAX];
	struct bridge_config config;
	int r;

	link_alias(network->id, NULL, alias);
	config = network_bridge_config(network, alias);
	r = bridge_delete(engine->link, &config, &engine->error);
	if (r < 0)
		return r;
	if (plan_network(engine->firewall->backend->traits, network, &rules) < 0)
		return error_oom(&engine->error);
	return rules_remove(engine, &rules);
}

static void undo_network(struct engine *engine, const struct network *network)
{
	struct error cause;

	engine_undo_begin(engine, &cause);
	engine_undo_end(engine, &cause, network_demolish(engine, network));
}

/* Between the transactions: the kernel, all of it or nothing. */
static int build_and_settle(struct engine *engine, const struct network *network,
			    const struct operation *operation)
{
	struct forwarding forwarding = { 0 };
	int r;

	r = build(engine, network);
	if (r < 0)
		return r;
	/* last, so that there is next to nothing left that could ask for turning it off again */
	r = enable_forwarding(engine, network, &forwarding);
	if (r >= 0)
		r = operation_settle(engine, operation);
	if (r < 0) {
		restore_forwarding(engine, network, &forwarding);
		undo_network(engine, network);
	}
	return r;
}

int ops_network_create(struct engine *engine, const struct network_request *request,
		       struct network *ret_network)
{
	CLEANUP(network_clear) struct network network = { 0 };
	struct operation operation;
	int r;

	for (int tries = 0;; tries++) {
		r = network_design(engine, request, &network);
		if (r < 0)
			return r;
		r = reserve(engine, &network, &operation);
		if (r >= 0)
			break;
		/* another process took the subnet that was picked meanwhile: pick again */
		if (r != -EADDRINUSE || !network_picks_subnet(request) || tries == RESERVE_TRIES)
			return r;
		network_clear(&network);
		network = (struct network){ 0 };
		error_clear(&engine->error);
	}
	r = build_and_settle(engine, &network, &operation);
	if (r < 0) {
		operation_abandon(engine, &operation);
		remove_base_if_unused(engine);
		return r;
	}
	engine_log(engine, LOG_INFO, "network %s is on bridge %s", network.name, network.bridge);
	*ret_network = network;
	network = (struct network){ 0 };
	return 0;
}

/* The default network is being made by another process: wait until it stands, or that process is
 * dead and what it left has been undone. */
static int wait_for_default(struct engine *engine)
{
	error_clear(&engine->error);
	if (!engine_nap(engine))
		return error_set(&engine->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
				 "network %s is still being made by another process; try again",
				 DEFAULT_NETWORK);
	return ops_recover(engine);
}

int ops_network_ready(struct engine *engine, const char *name, struct network *ret_network)
{
	static const struct options no_options;
	const struct network_request request = {
		.name = DEFAULT_NETWORK,
		.want_ipv4 = true,
		.bridge = "",
		.options = &no_options,
	};
	struct network network = { 0 };
	int r;

	for (;;) {
		r = store_network_get(engine->store, name, &network, &engine->error);
		if (r < 0)
			return r;
		if (network.driver != DRIVER_BRIDGE || network.bridge[0]) {
			*ret_network = network;
			return 0;
		}
		network_clear(&network);
		r = ops_network_create(engine, &request, ret_network);
		if (r >= 0 || engine->error.reason != BN_REASON_NETWORK_EXISTS)
			return r;
		r = wait_for_default(engine);
		if (r < 0)
			return r;
	}
}

/* ---- delete ---- */

static int detach_all(struct engine *engine, const struct network *network)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	CLEANUP_FREE const char **ids = NULL;
	int r;

	r = store_endpoints(engine->store, network->name, 0, &endpoints, &engine->error);
	if (r < 0 || !endpoints.len)
		return r;
	ids = calloc(endpoints.len, sizeof(*ids));
	if (!ids)
		return error_oom(&engine->error);
	for (size_t i = 0; i < endpoints.len; i++)
		ids[i] = endpoints.items[i].id;
	return ops_detach(engine, network->name, ids, endpoints.len, BN_DETACH_MISSING_OK);
}

static int reserve_delete(struct engine *engine, const struct network *network,
			  struct operation *operation)
{
	size_t endpoints = 0;
	int r;

	r = operation_begin(engine, OPERATION_NETWORK_DELETE, operation);
	if (r >= 0)
		r = store_endpoint_count(engine->store, network->name, &endpoints, &engine->error);
	if (r >= 0 && endpoints)
		r = error_set(&engine->error, -EBUSY, BN_REASON_NETWORK_IN_USE,
			      "network %s still has %zu endpoint%s; detach %s first",
			      network->name, endpoints, endpoints == 1 ? "" : "s",
			      endpoints == 1 ? "it" : "them");
	if (r >= 0)
		r = store_network_mark(engine->store, operation, network->name, &engine->error);
	if (r >= 0)
		r = store_commit(engine->store, &engine->error);
	store_rollback(engine->store);
	return r;
}

int ops_network_delete(struct engine *engine, const char *name, uint32_t flags)
{
	CLEANUP(network_clear) struct network network = { 0 };
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	struct operation operation;
	struct bridge_config config;
	char alias[ALIAS_MAX];
	int r;

	r = store_network_get(engine->store, name, &network, &engine->error);
	if (r == -ENOENT && (flags & BN_DELETE_MISSING_OK)) {
		error_clear(&engine->error);
		return 0;
	}
	if (r < 0)
		return r;
	if (network.driver != DRIVER_BRIDGE)
		return error_set(&engine->error, -EPERM, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and can't be deleted", network.name);
	if (!network.bridge[0])
		return flags & BN_DELETE_MISSING_OK ? 0 :
		       error_set(&engine->error, -ENOENT, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and not in use; there is nothing to "
				 "delete", network.name);
	if (flags & BN_DELETE_ENDPOINTS) {
		r = detach_all(engine, &network);
		if (r < 0)
			return r;
	}

	r = reserve_delete(engine, &network, &operation);
	if (r < 0)
		return r;
	link_alias(network.id, NULL, alias);
	config = network_bridge_config(&network, alias);
	if (plan_network(engine->firewall->backend->traits, &network, &rules) < 0)
		r = error_oom(&engine->error);
	if (r >= 0)
		r = rules_remove(engine, &rules);
	if (r >= 0) {
		r = bridge_delete(engine->link, &config, &engine->error);
		if (r < 0)
			rules_undo_remove(engine, &rules);
	}
	if (r < 0) {
		operation_abandon(engine, &operation);
		return r;
	}
	/* now, so that the base of the last network goes also if this process dies meanwhile */
	if (remove_rule_base(engine, &network) < 0)
		error_clear(&engine->error);
	r = operation_settle(engine, &operation);
	if (r >= 0)
		remove_base_if_unused(engine);
	return r;
}
