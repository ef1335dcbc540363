/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/driver.h"

/* On the host network an endpoint has the host's addresses, whatever they are now. */
static int host_addresses(bn_ctx *ctx, prefix_vector *ret_addresses)
{
	size_t kept = 0;
	int r;

	r = ctx_open_links(ctx);
	if (r >= 0)
		r = link_local_addresses(ctx->link, ret_addresses, &ctx->error);
	for (size_t i = 0; i < ret_addresses->len; i++)
		if (!addr_is_loopback(&ret_addresses->items[i].addr))
			ret_addresses->items[kept++] = ret_addresses->items[i];
	ret_addresses->len = kept;
	return r;
}

bool endpoint_needs_interface(const struct endpoint_policy *policy)
{
	return policy->rate_in || policy->rate_out || policy->connections;
}

int no_interface_error(bn_ctx *ctx, const struct network *network)
{
	return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			 "network %s gives no interface of its own, so addresses, routes, a MAC, "
			 "an interface name, rates, a number of connections and ports have no "
			 "meaning there; attach to a bridge network",
			 network->name);
}

static int check_update(bn_ctx *ctx, const struct operation *operation,
			const struct network *network, const struct endpoint *before,
			struct endpoint *after)
{
	(void)operation;
	(void)before;
	return endpoint_needs_interface(&after->policy) ? no_interface_error(ctx, network) : 0;
}

static int none_create(bn_ctx *ctx, struct attach *attach)
{
	return link_loopback_up(&attach->sandbox, attach->visit, &ctx->error);
}

static const struct driver_ops host_driver = {
	.in_host = true,
	.no_interface = true,
	.endpoint_addresses = host_addresses,
	.endpoint_update_check = check_update,
};

static const struct driver_ops none_driver = {
	.no_interface = true,
	.endpoint_create = none_create,
	.endpoint_update_check = check_update,
};

const struct driver_ops *driver_of(const struct network *network)
{
	static const struct driver_ops *const drivers[] = {
		[DRIVER_BRIDGE] = &bridge_driver,
		[DRIVER_HOST] = &host_driver,
		[DRIVER_NONE] = &none_driver,
	};

	return drivers[network->driver];
}

bool network_is_ready(const struct network *network)
{
	return !driver_of(network)->network_create || network->bridge[0];
}
