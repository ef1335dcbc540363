/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/restraint.h"

#include <errno.h>

#include "model/policy.h"

static int check_frames(bn_ctx *ctx, const char *what, const char *name)
{
	int r = firewall_has_frames(ctx->firewall, &ctx->error);

	if (r != 0)
		return r < 0 ? r : 0;
	return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			 "anti-spoof=full of %s %s takes nf_tables and its bridge family, which "
			 "this kernel or this build of the library lacks; give mac",
			 what, name);
}

int restraint_check_network(bn_ctx *ctx, const struct network *network)
{
	int r = 0;

	if (network->bridge_adopted && network->policy.coexist == COEXIST_INSERT)
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "coexist=insert of network %s would let pass all that crosses the "
				 "bridge %s, which is somebody else's; give report",
				 network->name, network->bridge);
	if (network->policy.anti_spoof == ANTI_SPOOF_FULL)
		r = check_frames(ctx, "network", network->name);
	if (r == 0 && network->policy.log_drops == LOG_DROPS_YES)
		r = ctx->firewall->backend->can_log(ctx->firewall, &ctx->error);
	return r;
}

static int check_anti_spoof(bn_ctx *ctx, const struct network *network,
			    const struct endpoint *endpoint)
{
	if (endpoint_anti_spoof(network, endpoint) != ANTI_SPOOF_FULL)
		return 0;
	if (!network_is_managed(network))
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "anti-spoof=full of endpoint %s can't be: network %s has no rules "
				 "(managed=no); give mac",
				 endpoint->id, network->name);
	return check_frames(ctx, "endpoint", endpoint->id);
}

static int check_connections(bn_ctx *ctx, const struct network *network,
			     const struct endpoint *endpoint)
{
	if (!endpoint->policy.connections)
		return 0;
	if (!network_has_rules(network))
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "network %s has no rules (managed=no), so nothing counts the "
				 "connections of endpoint %s; leave out option connections",
				 network->name, endpoint->id);
	return ctx->firewall->backend->can_count(ctx->firewall, &ctx->error);
}

int restraint_check(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint)
{
	int r = check_anti_spoof(ctx, network, endpoint);

	if (r >= 0)
		r = check_connections(ctx, network, endpoint);
	return r < 0 ? r : link_shape_check(endpoint, &ctx->error);
}

struct link_apart restraint_apart(const struct network *network, const struct endpoint *endpoint)
{
	return (struct link_apart){
		.isolated = network->policy.icc == ICC_NO,
		.locked = endpoint_anti_spoof(network, endpoint) != ANTI_SPOOF_NO,
	};
}

/* Two updates may have died one after the other: what is told a port again changes nothing. */
static int set_apart(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint)
{
	const struct link_end end = { endpoint, network->id };
	const struct link_apart apart = restraint_apart(network, endpoint);

	ctx->changed = true;
	return link_apart_set(ctx->link, &end, &apart, &ctx->error);
}

static bool same_apart(const struct link_apart *a, const struct link_apart *b)
{
	return a->isolated == b->isolated && a->locked == b->locked;
}

int restraint_update(bn_ctx *ctx, const struct network *network, const struct endpoint *before,
		     const struct endpoint *after)
{
	const struct link_apart was = restraint_apart(network, before);
	const struct link_apart is = restraint_apart(network, after);
	int r = 0;

	if (!same_apart(&was, &is))
		r = set_apart(ctx, network, after);
	if (r < 0)
		return r;
	ctx->changed = true;
	return link_shape(ctx->link, network, before, after, &ctx->error);
}

int restraint_update_network(bn_ctx *ctx, const struct network *before, const struct network *after)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	int r = 0;

	if (before->policy.icc == after->policy.icc &&
	    before->policy.anti_spoof == after->policy.anti_spoof)
		return 0;
	r = store_endpoints(ctx->store, after->name, STORE_PENDING, &endpoints, &ctx->error);
	for (size_t i = 0; i < endpoints.len && r >= 0; i++) {
		const struct endpoint *endpoint = &endpoints.items[i];
		const struct link_apart was = restraint_apart(before, endpoint);
		const struct link_apart is = restraint_apart(after, endpoint);

		if (endpoint->host_interface[0] && !same_apart(&was, &is))
			r = set_apart(ctx, after, endpoint);
	}
	return r;
}
