/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/mtu.h"

#include <errno.h>

#include "base/fault.h"

/* ---- what is asked ---- */

/* Below, the kernel takes IPv6 off an interface, with all that was set there; once it is large
 * enough again, IPv6 begins anew as on any interface, and takes what routers advertise. */
static bool crosses(uint32_t before, uint32_t after)
{
	return (before < IPV6_MTU_MIN) != (after < IPV6_MTU_MIN);
}

static int crosses_error(bn_ctx *ctx, const char *what, const char *name, uint32_t before,
			 uint32_t after)
{
	return error_set(&ctx->error, -EBUSY, BN_REASON_NOT_LIVE,
			 "the MTU of %s %s is %u and can't become %u while its links stand, as "
			 "IPv6 needs %d: choose one on the same side of that, or make it anew",
			 what, name, before, after, IPV6_MTU_MIN);
}

/* Those that have the MTU of their network. */
static bool follows(const struct endpoint *endpoint)
{
	return endpoint->host_interface[0] && !endpoint->policy.mtu;
}

int mtu_check_network(bn_ctx *ctx, const struct network *before, const struct network *after)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	int r;

	if (before->mtu == after->mtu)
		return 0;
	if (crosses(before->mtu, after->mtu))
		return crosses_error(ctx, "network", after->name, before->mtu, after->mtu);
	r = store_endpoints(ctx->store, after->name, 0, &endpoints, &ctx->error);
	for (size_t i = 0; i < endpoints.len && r >= 0; i++) {
		struct endpoint *endpoint = &endpoints.items[i];

		if (!follows(endpoint))
			continue;
		endpoint->mtu = after->mtu;
		r = link_shape_check(endpoint, &ctx->error);
	}
	return r;
}

int mtu_check_endpoint(bn_ctx *ctx, const struct endpoint *before, const struct endpoint *after)
{
	return crosses(before->mtu, after->mtu) ?
		       crosses_error(ctx, "endpoint", after->id, before->mtu, after->mtu) :
		       0;
}

/* ---- the kernel ---- */

typedef VECTOR(struct link_end) end_vector;

static int set_ends(bn_ctx *ctx, const endpoint_vector *endpoints, const struct network *before,
		    const struct network *after)
{
	CLEANUP_VECTOR end_vector ends = { 0 };
	int r = 0;

	for (size_t i = 0; i < endpoints->len && r >= 0; i++) {
		const struct link_end end = { &endpoints->items[i], after->id };
		struct endpoint was = endpoints->items[i], is = was;

		if (!follows(end.endpoint))
			continue;
		if (vector_append(&ends, end) < 0)
			return error_oom(&ctx->error);
		was.mtu = before->mtu;
		is.mtu = after->mtu;
		r = link_shape(ctx->link, after, &was, &is, &ctx->error);
	}
	return r < 0 || !ends.len ?
		       r :
		       link_endpoints_set_mtu(ctx->link, ends.items, ends.len, after->mtu,
					      after->mtu > before->mtu, &ctx->error);
}

/* What is sent by the bridge is never longer than what an endpoint takes: who sends more by the
 * host hears of that. */
int mtu_update_network(bn_ctx *ctx, const struct bridge_config *bridge,
		       const struct network *before, const struct network *after)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	bool grows = after->mtu > before->mtu;
	int r;

	if (after->mtu == before->mtu)
		return 0;
	r = store_endpoints(ctx->store, after->name, STORE_PENDING, &endpoints, &ctx->error);
	if (r < 0)
		return r;
	ctx->changed = true;
	if (!grows)
		r = bridge_set_mtu(ctx->link, bridge, &ctx->error);
	if (r >= 0)
		r = set_ends(ctx, &endpoints, before, after);
	return r < 0 || !grows ? r : bridge_set_mtu(ctx->link, bridge, &ctx->error);
}

int mtu_update_endpoint(bn_ctx *ctx, const struct network *network, const struct endpoint *before,
			const struct endpoint *after)
{
	const struct link_end end = { after, network->id };

	if (after->mtu == before->mtu)
		return 0;
	ctx->changed = true;
	return link_endpoints_set_mtu(ctx->link, &end, 1, after->mtu, after->mtu > before->mtu,
				      &ctx->error);
}
