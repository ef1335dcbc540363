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
