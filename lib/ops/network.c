/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "ops/design.h"
#include "ops/operation.h"
#include "ops/ops.h"
#include "ops/rules.h"

#define RESERVE_TRIES 16 /* against other processes that pick at the same time */

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

static int check_overlap(bn_ctx *ctx, const struct network *network)
{
	static const int families[] = { AF_INET, AF_INET6 };
	CLEANUP(networks_clear) network_vector others = { 0 };
	char mine[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	const struct subnet *a, *b;
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &others, &ctx->error);
	for (size_t i = 0; i < others.len && r >= 0; i++)
		for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
			a = network_subnet(network, families[f]);
			b = network_subnet(&others.items[i], families[f]);
			if (!a || !b || !prefix_overlaps(&a->prefix, &b->prefix))
				continue;
			return error_set(&ctx->error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
					 "subnet %s overlaps %s of network %s; choose another",
					 prefix_format(&a->prefix, mine),
					 prefix_format(&b->prefix, theirs), others.items[i].name);
		}
	return r;
}

static int reserve(bn_ctx *ctx, const struct network *network, struct operation *operation)
{
	int r;

	r = operation_begin(ctx, OPERATION_NETWORK_CREATE, operation);
	if (r >= 0)
		r = check_overlap(ctx, network);
	if (r >= 0)
		r = store_network_insert(ctx->store, operation, network, &ctx->error);
	if (r >= 0)
		r = ctx_bind_state(ctx);
	if (r >= 0)
		r = FAULT("network.reserve");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* ---- kernel ---- */

/* What was turned on for a network, in case it comes to nothing. */
struct forwarding {
	bool ipv4, ipv6;
};

static int enable_forwarding(bn_ctx *ctx, const struct network *network, struct forwarding *changed)
{
	int r = 0;

	if (network->ipv4.prefix.addr.family)
		r = sysctl_forwarding_enable(AF_INET, &changed->ipv4, &ctx->error);
	if (r >= 0 && network->ipv6.prefix.addr.family)
		r = sysctl_forwarding_enable(AF_INET6, &changed->ipv6, &ctx->error);
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
static void restore_forwarding(bn_ctx *ctx, const struct network *network,
			       const struct forwarding *changed)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	struct error cause;
	int r;

	ctx_undo_begin(ctx, &cause);
	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	if (r >= 0 && !any_network(&networks, network)) {
		sysctl_forwarding_restore(AF_INET, changed->ipv4);
		sysctl_forwarding_restore(AF_INET6, changed->ipv6);
	}
	ctx_undo_end(ctx, &cause, r);
}

/* The drops stand before there is a device that they are about. */
static int build(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	char alias[ALIAS_MAX];
	struct bridge_config config;
	int r;

	link_alias(network->id, NULL, alias);
	config = network_bridge_config(network, alias);
	r = rules_plan_network(ctx, network, &rules);
	if (r >= 0)
		r = FAULT("network.rules");
	if (r >= 0)
		r = rules_add(ctx, &rules);
	if (r < 0)
		return r;
	r = FAULT("network.bridge");
	if (r >= 0)
		r = bridge_create(ctx->link, &config, &ctx->error);
	if (r < 0)
		rules_undo_add(ctx, &rules);
	return r;
}

/* 1 when there is no network, but for the one that is being deleted, and so no base any more. */
static int remove_rule_base(bn_ctx *ctx, const struct network *but)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	if (r < 0 || any_network(&networks, but))
		return r < 0 ? r : 0;
	r = ctx->firewall->backend->remove_base(ctx->firewall, &ctx->error);
	return r < 0 ? r : 1;
}

static int remove_base(bn_ctx *ctx)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r;

	r = remove_rule_base(ctx, NULL);
	if (r <= 0)
		return r;
	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	if (r >= 0 && !any_network(&networks, NULL))
		r = ctx_release_state(ctx);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

void remove_base_if_unused(bn_ctx *ctx)
{
	struct error cause = ctx->error;

	if (remove_base(ctx) < 0)
		ctx_log(ctx, LOG_WARNING, "the rule base stays: %s", ctx->error.message);
	ctx->error = cause;
}

int network_demolish(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	char alias[ALIAS_MAX];
	struct bridge_config config;
	int r;

	link_alias(network->id, NULL, alias);
	config = network_bridge_config(network, alias);
	r = bridge_delete(ctx->link, &config, &ctx->error);
	if (r < 0)
		return r;
	r = rules_plan_network(ctx, network, &rules);
	return r < 0 ? r : rules_remove(ctx, &rules);
}

static void undo_network(bn_ctx *ctx, const struct network *network)
{
	struct error cause;

	ctx_undo_begin(ctx, &cause);
	ctx_undo_end(ctx, &cause, network_demolish(ctx, network));
}

/* Between the transactions: the kernel, all of it or nothing. */
static int build_and_settle(bn_ctx *ctx, const struct network *network,
			    const struct operation *operation)
{
	struct forwarding forwarding = { 0 };
	int r;

	r = build(ctx, network);
	if (r < 0)
		return r;
	/* last, so that there is next to nothing left that could ask for turning it off again */
	r = enable_forwarding(ctx, network, &forwarding);
	if (r >= 0)
		r = operation_settle(ctx, operation);
	if (r < 0) {
		restore_forwarding(ctx, network, &forwarding);
		undo_network(ctx, network);
	}
	return r;
}

int ops_network_create(bn_ctx *ctx, const struct network_request *request,
		       struct network *ret_network)
{
	CLEANUP(network_clear) struct network network = { 0 };
	struct operation operation;
	int r;

	for (int tries = 0;; tries++) {
		r = network_design(ctx, request, &network);
		if (r < 0)
			return r;
		r = reserve(ctx, &network, &operation);
		if (r >= 0)
			break;
		/* another process took the subnet that was picked meanwhile: pick again */
		if (r != -EADDRINUSE || !network_picks_subnet(request) || tries == RESERVE_TRIES)
			return r;
		network_clear(&network);
		network = (struct network){ 0 };
		error_clear(&ctx->error);
	}
	r = build_and_settle(ctx, &network, &operation);
	if (r < 0) {
		operation_abandon(ctx, &operation);
		remove_base_if_unused(ctx);
		return r;
	}
	ctx_log(ctx, LOG_INFO, "network %s is on bridge %s", network.name, network.bridge);
	*ret_network = network;
	network = (struct network){ 0 };
	return 0;
}

/* The default network is being made by another process: wait until it stands, or that process is
 * dead and what it left has been undone. */
static int wait_for_default(bn_ctx *ctx, unsigned int attempt)
{
	error_clear(&ctx->error);
	if (!deadline_pause(ctx->deadline, attempt))
		return error_set(&ctx->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
				 "network %s is still being made by another process; try again",
				 DEFAULT_NETWORK);
	return ops_recover(ctx);
}

int ops_network_ready(bn_ctx *ctx, const char *name, struct network *ret_network)
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

	for (unsigned int attempt = 0;; attempt++) {
		r = store_network_get(ctx->store, name, &network, &ctx->error);
		if (r < 0)
			return r;
		if (network.driver != DRIVER_BRIDGE || network.bridge[0]) {
			*ret_network = network;
			return 0;
		}
		network_clear(&network);
		r = ops_network_create(ctx, &request, ret_network);
		if (r >= 0 || ctx->error.reason != BN_REASON_NETWORK_EXISTS)
			return r;
		r = wait_for_default(ctx, attempt);
		if (r < 0)
			return r;
	}
}

/* ---- delete ---- */

static int detach_all(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	CLEANUP_FREE const char **ids = NULL;
	int r;

	r = store_endpoints(ctx->store, network->name, 0, &endpoints, &ctx->error);
	if (r < 0 || !endpoints.len)
		return r;
	ids = calloc(endpoints.len, sizeof(*ids));
	if (!ids)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < endpoints.len; i++)
		ids[i] = endpoints.items[i].id;
	return ops_detach(ctx, network->name, ids, endpoints.len, BN_DETACH_MISSING_OK);
}

static int reserve_delete(bn_ctx *ctx, const struct network *network, struct operation *operation)
{
	size_t endpoints = 0;
	int r;

	r = operation_begin(ctx, OPERATION_NETWORK_DELETE, operation);
	if (r >= 0)
		r = store_endpoint_count(ctx->store, network->name, &endpoints, &ctx->error);
	if (r >= 0 && endpoints)
		r = error_set(&ctx->error, -EBUSY, BN_REASON_NETWORK_IN_USE,
			      "network %s still has %zu endpoint%s; detach %s first", network->name,
			      endpoints, endpoints == 1 ? "" : "s", endpoints == 1 ? "it" : "them");
	if (r >= 0)
		r = store_network_mark(ctx->store, operation, network->name, &ctx->error);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int ops_network_delete(bn_ctx *ctx, const char *name, uint32_t flags)
{
	CLEANUP(network_clear) struct network network = { 0 };
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	struct operation operation;
	struct bridge_config config;
	char alias[ALIAS_MAX];
	int r;

	r = store_network_get(ctx->store, name, &network, &ctx->error);
	if (r == -ENOENT && (flags & BN_DELETE_MISSING_OK)) {
		error_clear(&ctx->error);
		return 0;
	}
	if (r < 0)
		return r;
	if (network.driver != DRIVER_BRIDGE)
		return error_set(&ctx->error, -EPERM, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and can't be deleted", network.name);
	if (!network.bridge[0])
		return flags & BN_DELETE_MISSING_OK ?
			       0 :
			       error_set(
				       &ctx->error, -ENOENT, BN_REASON_NETWORK_BUILTIN,
				       "network %s is built in and not in use; there is nothing to "
				       "delete",
				       network.name);
	if (flags & BN_DELETE_ENDPOINTS) {
		r = detach_all(ctx, &network);
		if (r < 0)
			return r;
	}

	r = reserve_delete(ctx, &network, &operation);
	if (r < 0)
		return r;
	link_alias(network.id, NULL, alias);
	config = network_bridge_config(&network, alias);
	r = rules_plan_network(ctx, &network, &rules);
	if (r >= 0)
		r = rules_remove(ctx, &rules);
	if (r >= 0) {
		r = bridge_delete(ctx->link, &config, &ctx->error);
		if (r < 0)
			rules_undo_remove(ctx, &rules);
	}
	if (r < 0) {
		operation_abandon(ctx, &operation);
		return r;
	}
	/* now, so that the base of the last network goes also if this process dies meanwhile */
	if (remove_rule_base(ctx, &network) < 0)
		error_clear(&ctx->error);
	r = operation_settle(ctx, &operation);
	if (r >= 0)
		remove_base_if_unused(ctx);
	return r;
}
