/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/gateway.h"

#include <errno.h>
#include <syslog.h>

#include "model/ipam.h"

int siblings_find(bn_ctx *ctx, const struct endpoint *endpoint, endpoint_vector *ret_siblings)
{
	endpoint_vector *all = ret_siblings;
	size_t kept = 0;
	int r;

	r = store_endpoints_in_sandbox(ctx->store, endpoint, all, &ctx->error);
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

/* Also of one that is just being made, `bridge` say, whose first form has no subnet. */
static int find_network(bn_ctx *ctx, const char *name, struct network *ret_network)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r = store_network_get(ctx->store, name, ret_network, &ctx->error);

	if (r != -ENOENT && (r < 0 || ret_network->bridge[0]))
		return r;
	network_clear(ret_network);
	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	for (size_t i = 0; i < networks.len && r >= 0; i++) {
		if (strcmp(networks.items[i].name, name) != 0)
			continue;
		*ret_network = networks.items[i];
		networks.items[i] = (struct network){ 0 };
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

static void give_default_route(bn_ctx *ctx, const struct endpoint *endpoint, int family,
			       struct sandbox *sandbox)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r = 0;

	if (sandbox->fd < 0)
		r = sandbox_reopen(endpoint, sandbox, &ctx->error);
	if (r >= 0)
		r = find_network(ctx, endpoint->network, &network);
	if (r >= 0 && network_subnet(&network, family))
		r = link_set_default_route(sandbox, endpoint->interface,
					   &network_subnet(&network, family)->gateway,
					   &ctx->deadline, &ctx->error);
	if (r < 0)
		ctx_log(ctx, LOG_WARNING, "default route: %s", ctx->error.message);
	error_clear(&ctx->error);
}

void gateway_pass_on(bn_ctx *ctx, const struct endpoint *gone)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	const struct endpoint *next;

	if (!gone->interface[0])
		return;
	if (siblings_find(ctx, gone, &siblings) < 0) {
		ctx_log(ctx, LOG_WARNING, "default route: %s", ctx->error.message);
		error_clear(&ctx->error);
	}
	for_each_family(family) {
		next = ipam_gateway_endpoint(&siblings, NULL, family);
		if (next && endpoint_prefix(gone, family))
			give_default_route(ctx, next, family, &sandbox);
	}
}

void gateway_take(bn_ctx *ctx, const struct endpoint *endpoint, struct sandbox *sandbox)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };

	if (siblings_find(ctx, endpoint, &siblings) < 0) {
		ctx_log(ctx, LOG_WARNING, "default route: %s", ctx->error.message);
		error_clear(&ctx->error);
		return;
	}
	for_each_family(family) {
		if (ipam_gateway_endpoint(&siblings, endpoint, family) == endpoint)
			give_default_route(ctx, endpoint, family, sandbox);
	}
}
