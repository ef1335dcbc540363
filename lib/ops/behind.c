/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/behind.h"

#include <errno.h>

#include "model/policy.h"

static bool has(const struct endpoint *endpoint, const struct prefix *prefix)
{
	for (size_t i = 0; endpoint && i < endpoint->policy.routes_for.len; i++)
		if (prefix_compare(&endpoint->policy.routes_for.items[i], prefix) == 0)
			return true;
	return false;
}

static int overlap_error(bn_ctx *ctx, const struct endpoint *endpoint, const struct prefix *prefix,
			 const struct prefix *other, const char *whose)
{
	char text[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];

	return error_set(&ctx->error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
			 "option routes-for of endpoint %s has %s, which overlaps %s of %s; leave "
			 "it out, or choose another network for what lies behind the endpoint",
			 endpoint->id, prefix_format(prefix, text), prefix_format(other, theirs),
			 whose);
}

/* ---- by the state ---- */

static int check_prefix(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
			const struct prefix *prefix)
{
	char text[PREFIX_TEXT_MAX];

	prefix_format(prefix, text);
	if (!endpoint_prefix(endpoint, prefix->addr.family))
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "option routes-for of endpoint %s has %s, and the endpoint has no "
				 "address of that family on network %s",
				 endpoint->id, text, network->name);
	if (prefix->len < 2)
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "option routes-for of endpoint %s has %s, which would take the "
				 "host's default route away; name what lies behind the endpoint",
				 endpoint->id, text);
	return 0;
}

static int check_networks(bn_ctx *ctx, const struct endpoint *endpoint)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	const prefix_vector *list = &endpoint->policy.routes_for;
	int r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);

	for (size_t i = 0; i < networks.len * list->len && r >= 0; i++) {
		const struct prefix *prefix = &list->items[i % list->len];
		const struct network *network = &networks.items[i / list->len];

		for_each_subnet(subnet, network, prefix->addr.family)
			if (r >= 0 && prefix_overlaps(&subnet->prefix, prefix))
				r = overlap_error(ctx, endpoint, prefix, &subnet->prefix,
						  network->name);
	}
	return r;
}

static int check_endpoints(bn_ctx *ctx, const struct endpoint *endpoint)
{
	CLEANUP(endpoints_clear) endpoint_vector others = { 0 };
	const prefix_vector *list = &endpoint->policy.routes_for;
	int r = store_endpoints(ctx->store, NULL, STORE_PENDING, &others, &ctx->error);

	for (size_t i = 0; i < others.len * list->len && r >= 0; i++) {
		const struct endpoint *other = &others.items[i / list->len];

		if ((strcmp(other->id, endpoint->id) != 0 ||
		     strcmp(other->network, endpoint->network) != 0) &&
		    has(other, &list->items[i % list->len]))
			r = overlap_error(ctx, endpoint, &list->items[i % list->len],
					  &list->items[i % list->len], other->id);
	}
	return r;
}

/* There the host would send on what it has no rule to translate by. */
static int check_backend(bn_ctx *ctx, const struct network *network,
			 const struct endpoint *endpoint)
{
	int r = ctx_open_firewall(ctx);

	if (r < 0 || ctx->firewall->backend->traits() & PLAN_POSTROUTING_IN ||
	    network->policy.masquerade == MASQUERADE_NO || network_is_internal(network))
		return r < 0 ? r : 0;
	return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			 "option routes-for of endpoint %s: before Linux 5.7 the iptables-legacy "
			 "backend translates by the subnet of network %s alone; use the nftables "
			 "backend, or a network with masquerade=no",
			 endpoint->id, network->name);
}

int behind_check(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint)
{
	const prefix_vector *list = &endpoint->policy.routes_for;
	int r = 0;

	if (!list->len)
		return 0;
	if (network->bridge_adopted || network->policy.managed == MANAGED_NO)
		return error_set(
			&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
			"option routes-for of endpoint %s: network %s is not on a bridge of "
			"bridgenet's own that has rules; attach to one that is",
			endpoint->id, network->name);
	for (size_t i = 0; i < list->len && r >= 0; i++)
		r = check_prefix(ctx, network, endpoint, &list->items[i]);
	if (r >= 0)
		r = check_backend(ctx, network, endpoint);
	if (r >= 0)
		r = check_networks(ctx, endpoint);
	return r < 0 ? r : check_endpoints(ctx, endpoint);
}

/* ---- by the host ---- */

/* A route that leads to more goes on where this one does not lead; one to a part would take
 * that. */
int behind_check_host(bn_ctx *ctx, const struct endpoint *endpoint, const struct endpoint *except)
{
	CLEANUP_VECTOR prefix_vector routed = { 0 };
	const prefix_vector *list = &endpoint->policy.routes_for;
	struct link_on_link found;
	int r = 0;

	if (list->len)
		r = link_routed_prefixes(ctx->link, &routed, &ctx->error);
	for (size_t i = 0; i < list->len && r >= 0; i++) {
		if (has(except, &list->items[i]))
			continue;
		for (size_t j = 0; j < routed.len && r >= 0; j++)
			if (routed.items[j].addr.family == list->items[i].addr.family &&
			    prefix_covers(&list->items[i], &routed.items[j]))
				r = overlap_error(ctx, endpoint, &list->items[i], &routed.items[j],
						  "the host's routes");
		if (r >= 0)
			r = link_find_on_link(ctx->link, &list->items[i], "", &found, &ctx->error);
		if (r > 0)
			r = overlap_error(ctx, endpoint, &list->items[i], &found.prefix,
					  found.interface);
	}
	return r < 0 ? r : 0;
}

static int change(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		  const struct endpoint *except, bool adds)
{
	const prefix_vector *list = &endpoint->policy.routes_for;
	int r = 0;

	for (size_t i = 0; i < list->len && r >= 0; i++) {
		if (has(except, &list->items[i]) ||
		    !endpoint_prefix(endpoint, list->items[i].addr.family))
			continue;
		ctx->changed = true;
		r = link_behind_change(ctx->link, network->bridge, endpoint, &list->items[i], adds,
				       except != NULL, &ctx->error);
	}
	return r;
}

int behind_add(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	       const struct endpoint *except)
{
	return change(ctx, network, endpoint, except, true);
}

int behind_remove(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		  const struct endpoint *except)
{
	return change(ctx, network, endpoint, except, false);
}
