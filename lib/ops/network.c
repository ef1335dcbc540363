/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/network.h"

#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "ops/base.h"
#include "ops/detach.h"
#include "ops/recover.h"
#include "ops/resolve.h"

#define RESERVE_TRIES 16 /* against other processes that pick at the same time */

/* ---- create ---- */

static int check_overlap(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(networks_clear) network_vector others = { 0 };
	char mine[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	const struct subnet *a, *b;
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &others, &ctx->error);
	for (size_t i = 0; i < others.len && r >= 0; i++)
		for_each_family(family) {
			a = network_subnet(network, family);
			b = network_subnet(&others.items[i], family);
			if (!a || !b || !prefix_overlaps(&a->prefix, &b->prefix))
				continue;
			return error_set(&ctx->error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
					 "subnet %s overlaps %s of network %s; choose another",
					 prefix_format(&a->prefix, mine),
					 prefix_format(&b->prefix, theirs), others.items[i].name);
		}
	return r;
}

static int reserve_network(bn_ctx *ctx, const struct network *network, struct operation *operation)
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

/* Unless another network has come to rely on it meanwhile. */
static void restore_forwarding(bn_ctx *ctx, const struct network *network,
			       const struct forwarding *changed)
{
	struct error cause;
	int r;

	ctx_undo_begin(ctx, &cause);
	r = base_is_needed(ctx, network);
	if (r == 0) {
		sysctl_forwarding_restore(AF_INET, changed->ipv4);
		sysctl_forwarding_restore(AF_INET6, changed->ipv6);
	}
	ctx_undo_end(ctx, &cause, r);
}

static void undo_network(bn_ctx *ctx, const struct network *network)
{
	struct error cause;

	ctx_undo_begin(ctx, &cause);
	ctx_undo_end(ctx, &cause, driver_of(network)->network_remove(ctx, network));
}

/* In the kernel, and settled: all of it or nothing. */
static int create_network(bn_ctx *ctx, const struct network *network,
			  const struct operation *operation)
{
	struct forwarding forwarding = { 0 };
	int r;

	r = driver_of(network)->network_create(ctx, network);
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
		       const struct result *result, struct network *ret_network)
{
	CLEANUP(network_clear) struct network network = { 0 };
	struct operation operation;
	struct rows rows;
	int r;

	for (int tries = 0;; tries++) {
		r = network_resolve(ctx, request, &network);
		if (r < 0)
			return r;
		r = reserve_network(ctx, &network, &operation);
		if (r >= 0)
			break;
		/* another process took the subnet that was picked meanwhile: pick again */
		if (r != -EADDRINUSE || !network_picks_subnet(request) || tries == RESERVE_TRIES)
			return r;
		network_clear(&network);
		error_clear(&ctx->error);
	}
	rows = rows_view(&network, NULL, NULL, 0);
	r = result_prepare(ctx, result, &rows);
	if (r >= 0)
		r = create_network(ctx, &network, &operation);
	if (r < 0) {
		operation_abandon(ctx, &operation);
		base_remove_if_unused(ctx);
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
	if (deadline_pause(&ctx->deadline, attempt) < 0)
		return error_set(&ctx->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
				 "network %s is still being made by another process; try again",
				 DEFAULT_NETWORK);
	return recover_dead(ctx);
}

int ops_network_ready(bn_ctx *ctx, const char *name, struct network *ret_network)
{
	static const struct options no_options;
	static const struct result no_result;
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
		if (network_is_ready(&network)) {
			*ret_network = network;
			return 0;
		}
		network_clear(&network);
		r = ops_network_create(ctx, &request, &no_result, ret_network);
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

static int check_deletable(bn_ctx *ctx, const struct network *network)
{
	if (!driver_of(network)->network_remove)
		return error_set(&ctx->error, -EPERM, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and can't be deleted", network->name);
	if (network_is_ready(network))
		return 0;
	return error_set(&ctx->error, -ENOENT, BN_REASON_NETWORK_BUILTIN,
			 "network %s is built in and not in use; there is nothing to delete",
			 network->name);
}

int ops_network_delete(bn_ctx *ctx, const char *name, uint32_t flags)
{
	CLEANUP(network_clear) struct network network = { 0 };
	struct operation operation;
	int r;

	r = store_network_get(ctx->store, name, &network, &ctx->error);
	if (r >= 0)
		r = check_deletable(ctx, &network);
	if (r == -ENOENT && (flags & BN_DELETE_MISSING_OK)) {
		error_clear(&ctx->error);
		return 0;
	}
	if (r >= 0 && (flags & BN_DELETE_ENDPOINTS))
		r = detach_all(ctx, &network);
	if (r >= 0)
		r = reserve_delete(ctx, &network, &operation);
	if (r < 0)
		return r;
	r = driver_of(&network)->network_remove(ctx, &network);
	if (r < 0) {
		operation_abandon(ctx, &operation);
		return r;
	}
	base_remove_rules_but(ctx, &network);
	r = operation_settle(ctx, &operation);
	if (r >= 0)
		base_remove_if_unused(ctx);
	return r;
}
