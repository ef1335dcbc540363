/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "model/ipam.h"
#include "ops/detach.h"
#include "ops/operation.h"
#include "ops/ops.h"
#include "ops/rules.h"

static int load_endpoint(bn_ctx *ctx, const struct network *network, const char *id,
			 endpoint_vector *endpoints, port_vector *ports)
{
	struct endpoint *slot;
	int r;

	for (size_t i = 0; i < endpoints->len; i++)
		if (strcmp(endpoints->items[i].id, id) == 0)
			return 0;
	slot = vector_push(endpoints);
	if (!slot)
		return error_oom(&ctx->error);
	r = store_endpoint_get(ctx->store, network->name, id, slot, &ctx->error);
	if (r < 0) {
		endpoints->len--;
		return r;
	}
	return store_ports(ctx->store, network->name, id, 0, ports, &ctx->error);
}

static int reserve(bn_ctx *ctx, const struct network *network, const char *const *ids, size_t len,
		   bool missing_ok, struct operation *operation, endpoint_vector *endpoints,
		   port_vector *ports)
{
	int r;

	r = operation_begin(ctx, OPERATION_DETACH, operation);
	for (size_t i = 0; i < len && r >= 0; i++) {
		r = load_endpoint(ctx, network, ids[i], endpoints, ports);
		if (r >= 0)
			r = store_endpoint_mark(ctx->store, operation, network->name, ids[i],
						&ctx->error);
		if (r == -ENOENT && missing_ok) {
			error_clear(&ctx->error);
			r = 0;
		}
	}
	if (r >= 0)
		r = FAULT("detach.reserve");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

static int plan(bn_ctx *ctx, const struct network *network, const endpoint_vector *endpoints,
		const port_vector *ports, rule_vector *rules)
{
	size_t j = 0;
	int r = 0;

	for (size_t i = 0; i < endpoints->len && r >= 0; i++) {
		const struct endpoint *endpoint = &endpoints->items[i];
		size_t first = j;

		/* the ports were read endpoint by endpoint, in this order */
		while (j < ports->len && strcmp(ports->items[j].endpoint, endpoint->id) == 0)
			j++;
		r = rules_plan_endpoint(ctx, network, endpoint, rules);
		if (r >= 0)
			r = rules_plan_ports(ctx, endpoint, ports->items + first, j - first, rules);
	}
	return r;
}

static int cut_links(bn_ctx *ctx, const endpoint_vector *endpoints, bool quick)
{
	CLEANUP_FREE const char **names = calloc(endpoints->len + 1, sizeof(*names));
	size_t len = 0;
	int r = 0;

	if (!names)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < endpoints->len && r >= 0; i++) {
		if (!endpoints->items[i].host_interface[0])
			continue;
		names[len++] = endpoints->items[i].host_interface;
		if (quick)
			r = link_endpoint_cut(ctx->link, endpoints->items[i].host_interface,
					      &ctx->error);
	}
	if (r < 0 || quick || !len)
		return r;
	return link_endpoints_delete(ctx->link, names, len, &ctx->error);
}

int siblings_find(bn_ctx *ctx, const struct endpoint *endpoint, endpoint_vector *ret_siblings)
{
	endpoint_vector *all = ret_siblings;
	size_t kept = 0;
	int r;

	r = store_endpoints_in_sandbox(ctx->store, endpoint->sandbox_device,
				       endpoint->sandbox_inode, all, &ctx->error);
	for (size_t i = 0; i < all->len; i++) {
		struct endpoint *other = &all->items[i];
		bool same = strcmp(other->network, endpoint->network) == 0 &&
			    strcmp(other->id, endpoint->id) == 0;

		if (r >= 0)
			r = same || !other->host_interface[0] ?
				    0 :
				    link_exists(ctx->link, other->host_interface, &ctx->error);
		if (r == 1)
			all->items[kept++] = *other;
		else
			endpoint_clear(other);
	}
	all->len = kept;
	return r < 0 ? r : 0;
}

static void give_default_route(bn_ctx *ctx, const struct endpoint *endpoint, int family,
			       struct sandbox *sandbox)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r = 0;

	if (sandbox->fd < 0)
		r = sandbox_reopen(endpoint, sandbox, &ctx->error);
	if (r >= 0)
		r = store_network_get(ctx->store, endpoint->network, &network, &ctx->error);
	if (r >= 0 && network_subnet(&network, family))
		r = link_set_default_route(sandbox, endpoint->interface,
					   &network_subnet(&network, family)->gateway,
					   ctx->deadline, &ctx->error);
	if (r < 0)
		ctx_log(ctx, LOG_WARNING, "default route: %s", ctx->error.message);
	error_clear(&ctx->error);
}

void pass_gateway_on(bn_ctx *ctx, const struct endpoint *gone)
{
	static const int families[] = { AF_INET, AF_INET6 };
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	CLEANUP_FREE const struct endpoint **rest = NULL;
	const struct endpoint *next;

	if (!gone->interface[0] || siblings_find(ctx, gone, &siblings) < 0 || !siblings.len)
		return;
	rest = calloc(siblings.len, sizeof(*rest));
	for (size_t i = 0; rest && i < siblings.len; i++)
		rest[i] = &siblings.items[i];
	for (size_t f = 0; rest && f < ARRAY_SIZE(families); f++) {
		next = ipam_gateway_endpoint(rest, siblings.len, families[f]);
		if (next && endpoint_prefix(gone, families[f]))
			give_default_route(ctx, next, families[f], &sandbox);
	}
}

int endpoints_demolish(bn_ctx *ctx, const struct network *network, const endpoint_vector *endpoints,
		       const port_vector *ports, bool quick)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = plan(ctx, network, endpoints, ports, &rules);
	if (r >= 0)
		r = rules_remove(ctx, &rules);
	if (r < 0)
		return r;
	r = FAULT("detach.link");
	if (r >= 0)
		r = cut_links(ctx, endpoints, quick);
	if (r < 0) {
		rules_undo_remove(ctx, &rules);
		return r;
	}
	for (size_t i = 0; i < endpoints->len; i++)
		pass_gateway_on(ctx, &endpoints->items[i]);
	if (rules_drop_flows(ctx, endpoints->items, endpoints->len, ports->items, ports->len,
			     false) < 0) {
		ctx_log(ctx, LOG_WARNING, "stale flows: %s", ctx->error.message);
		error_clear(&ctx->error);
	}
	return 0;
}

int ops_detach(bn_ctx *ctx, const char *name, const char *const *ids, size_t len, uint32_t flags)
{
	CLEANUP(network_clear) struct network network = { 0 };
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	CLEANUP(ports_clear) port_vector ports = { 0 };
	bool missing_ok = flags & BN_DETACH_MISSING_OK;
	struct operation operation;
	int r;

	r = store_network_get(ctx->store, name, &network, &ctx->error);
	if (r == -ENOENT && missing_ok) {
		error_clear(&ctx->error);
		return 0;
	}
	if (r >= 0)
		r = reserve(ctx, &network, ids, len, missing_ok, &operation, &endpoints, &ports);
	if (r < 0)
		return r;
	r = endpoints_demolish(ctx, &network, &endpoints, &ports, flags & BN_DETACH_QUICK);
	if (r < 0) {
		operation_abandon(ctx, &operation);
		return r;
	}
	return operation_settle(ctx, &operation);
}
