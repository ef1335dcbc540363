/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/routing.h"

#include <errno.h>
#include <syslog.h>

#include "model/metric.h"
#include "model/policy.h"
#include "ops/siblings.h"

/* ---- routes that are asked for ---- */

int routing_check(bn_ctx *ctx, const struct attach *attach)
{
	char gateway[ADDR_TEXT_MAX], destination[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < attach->endpoint.routes.len; i++) {
		const struct route *route = &attach->endpoint.routes.items[i];
		bool has_family = network_subnet(&attach->network, route->gateway.family);

		if (route->type != ROUTE_UNICAST ||
		    (has_family && addr_is_unspecified(&route->gateway)))
			continue;
		prefix_format(&route->destination, destination);
		if (addr_is_unspecified(&route->gateway))
			return error_set(&ctx->error, -EINVAL, BN_REASON_ADDRESS_OUTSIDE,
					 "the route to %s is on a link of network %s, which has no "
					 "%s subnet; give it one, or leave the route out",
					 destination, attach->network.name,
					 route->gateway.family == AF_INET ? "IPv4" : "IPv6");
		if (!network_subnet_with(&attach->network, &route->gateway))
			return error_set(&ctx->error, -EINVAL, BN_REASON_ADDRESS_OUTSIDE,
					 "the route to %s goes by way of %s, which is not in %s "
					 "subnet of network %s",
					 destination, addr_format(&route->gateway, gateway),
					 network_subnet_at(&attach->network, route->gateway.family,
							   1) ?
						 "any" :
						 "the",
					 attach->network.name);
	}
	return 0;
}

static const struct route *find_same(const struct route *routes, size_t len,
				     const struct route *wanted)
{
	for (size_t i = 0; i < len; i++)
		if (route_metric(&routes[i]) == route_metric(wanted) &&
		    prefix_compare(&routes[i].destination, &wanted->destination) == 0)
			return &routes[i];
	return NULL;
}

/* The kernel would refuse the second; and of those that lead nowhere it could not be told, when one
 * endpoint goes, that the other is to keep it. */
static int check_taken(bn_ctx *ctx, const struct attach *attach)
{
	const struct endpoint *endpoint = &attach->endpoint;
	char destination[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < endpoint->routes.len; i++) {
		const struct route *route = &endpoint->routes.items[i];

		prefix_format(&route->destination, destination);
		if (find_same(endpoint->routes.items, i, route))
			return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
					 "endpoint %s is to have two routes to %s of one metric; "
					 "give one of them another metric",
					 endpoint->id, destination);
		for (size_t j = 0; j < attach->siblings.len; j++) {
			const struct endpoint *other = &attach->siblings.items[j];

			if (find_same(other->routes.items, other->routes.len, route))
				return error_set(
					&ctx->error, -EEXIST, BN_REASON_INVALID,
					"endpoint %s of network %s, in the same namespace, "
					"has a route to %s of that metric already; give "
					"that of endpoint %s another metric, or leave it "
					"out",
					other->id, other->network, destination, endpoint->id);
		}
	}
	return 0;
}

/* ---- default routes ---- */

/* One that is the others' gateway itself goes by the network's. */
static void choose_gateways(struct attach *attach)
{
	const struct network_policy *policy = &attach->network.policy;
	struct endpoint *endpoint = &attach->endpoint;

	endpoint->gateway_ipv4 = policy->default_gateway_ipv4;
	endpoint->gateway_ipv6 = policy->default_gateway_ipv6;
	if (endpoint_place(endpoint, &endpoint->gateway_ipv4) < SUBNETS_MAX)
		endpoint->gateway_ipv4 = (struct addr){ 0 };
	if (endpoint_place(endpoint, &endpoint->gateway_ipv6) < SUBNETS_MAX)
		endpoint->gateway_ipv6 = (struct addr){ 0 };
}

/* The others' gateway itself may have none. */
static bool leads_by(const struct endpoint *endpoint, const struct network *network, int family)
{
	return addr_is_set(family == AF_INET6 ? &endpoint->gateway_ipv6 :
						&endpoint->gateway_ipv4) ||
	       network_host_addr(network, family);
}

/* Known by which number, it is known which of the sandbox is the best. */
static int choose_metrics(bn_ctx *ctx, struct attach *attach)
{
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	endpoint->metric_ipv4 = endpoint->metric_ipv6 = 0;
	attach->metric_room = UINT32_MAX;
	if (endpoint->policy.default_route == DEFAULT_ROUTE_NO)
		return 0;
	for_each_family(family) {
		uint32_t metric;
		uint64_t end;

		if (!network_leads_out(&attach->network, family) ||
		    !leads_by(endpoint, &attach->network, family))
			continue;
		r = metric_choose(&attach->siblings, endpoint, family, &metric, &end, &ctx->error);
		if (r < 0)
			return r;
		endpoint_set_metric(endpoint, family, metric);
		if (end - metric < attach->metric_room)
			attach->metric_room = end - metric;
	}
	return 0;
}

int routing_choose(bn_ctx *ctx, struct attach *attach)
{
	int r = check_taken(ctx, attach);

	if (r < 0)
		return r;
	choose_gateways(attach);
	return choose_metrics(ctx, attach);
}

/* The endpoint is there among the others for as long as that takes. */
int routing_choose_sources(bn_ctx *ctx, struct attach *attach)
{
	endpoint_vector *all = &attach->siblings;
	int r;

	if (vector_append(all, attach->endpoint) < 0)
		return error_oom(&ctx->error);
	r = sources_choose(ctx, all, &attach->network, &attach->sources);
	all->len--;
	return r;
}

/* ---- of an endpoint that stands ---- */

static bool way_differs(const struct endpoint *before, const struct endpoint *after, int family)
{
	return before->policy.default_route != after->policy.default_route ||
	       before->policy.metric != after->policy.metric ||
	       endpoint_priority(before, family) != endpoint_priority(after, family);
}

static bool is_of_others(const default_vector *others, int family, uint64_t metric)
{
	for (size_t i = 0; i < others->len; i++)
		if (others->items[i].family == family && others->items[i].metric == metric)
			return true;
	return false;
}

static int choose_again(bn_ctx *ctx, const endpoint_vector *siblings, const default_vector *others,
			struct endpoint *endpoint, int family)
{
	uint32_t first;
	uint64_t metric, end;
	int r = metric_choose(siblings, endpoint, family, &first, &end, &ctx->error);

	if (r < 0)
		return r;
	for (metric = first; metric < end && is_of_others(others, family, metric);)
		metric++;
	if (metric == end)
		return error_set(&ctx->error, -ENOSPC, BN_REASON_METRIC_NONE_FREE,
				 "the namespace of endpoint %s has default routes of others of "
				 "every metric from %u up to that of the next endpoint; give it "
				 "another metric",
				 endpoint->id, first);
	endpoint_set_metric(endpoint, family, (uint32_t)metric);
	return 0;
}

int routing_choose_again(bn_ctx *ctx, const struct operation *operation,
			 const struct network *network, const struct endpoint *before,
			 struct endpoint *after)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	CLEANUP_VECTOR default_vector others = { 0 };
	int r;

	if (!way_differs(before, after, AF_INET) && !way_differs(before, after, AF_INET6))
		return 0;
	/* none of which is to be on its way, in or out */
	r = store_siblings(ctx->store, operation, before, &siblings, &ctx->error);
	if (r >= 0)
		r = sandbox_reopen(before, &sandbox, &ctx->error);
	if (r >= 0)
		r = link_ways_of_others(ctx->link, &sandbox, before, &others, &ctx->error);
	for_each_family(family) {
		if (r < 0 || !network_leads_out(network, family) ||
		    !leads_by(after, network, family) || !way_differs(before, after, family))
			continue;
		if (after->policy.default_route == DEFAULT_ROUTE_NO)
			endpoint_set_metric(after, family, 0);
		else
			r = choose_again(ctx, &siblings, &others, after, family);
	}
	return r;
}

/* As one of those of its sandbox. */
static int sources_with(bn_ctx *ctx, endpoint_vector *siblings, const struct network *network,
			const struct endpoint *endpoint, source_vector *ret_sources)
{
	int r;

	if (vector_append(siblings, *endpoint) < 0)
		return error_oom(&ctx->error);
	r = sources_choose(ctx, siblings, network, ret_sources);
	siblings->len--;
	return r;
}

/* The old way and the new: until it is settled which the best is, what is by a rule in either is by
 * a rule. */
static int change_ways(bn_ctx *ctx, endpoint_vector *siblings, const struct network *network,
		       const struct sandbox *sandbox, struct link_ways *ways)
{
	CLEANUP_VECTOR source_vector between = { 0 };
	CLEANUP_VECTOR source_vector sources = { 0 };
	int r = 0;

	if (siblings->len)
		r = sources_with(ctx, siblings, network, ways->before, &between);
	if (r >= 0 && siblings->len)
		r = sources_with(ctx, siblings, network, ways->after, &sources);
	/* of the same endpoints, in the same order */
	for (size_t i = 0; i < between.len && r >= 0; i++)
		if (sources.items[i].way == SOURCE_BY_RULE)
			between.items[i].way = SOURCE_BY_RULE;
	if (r < 0)
		return r;
	ways->between = &between;
	ways->sources = &sources;
	ctx->changed = true;
	return link_ways_change(ctx->link, sandbox, ways, &ctx->error);
}

int routing_update(bn_ctx *ctx, const struct network *network, const struct endpoint *before,
		   const struct endpoint *after)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	struct link_ways ways = { .before = before, .after = after };
	int r;

	if (before->metric_ipv4 == after->metric_ipv4 && before->metric_ipv6 == after->metric_ipv6)
		return 0;
	if (endpoint_prefix(after, AF_INET))
		ways.gateway_ipv4 = *endpoint_gateway(after, network, AF_INET);
	if (endpoint_prefix(after, AF_INET6))
		ways.gateway_ipv6 = *endpoint_gateway(after, network, AF_INET6);
	r = store_siblings(ctx->store, NULL, after, &siblings, &ctx->error);
	if (r >= 0)
		r = sandbox_reopen(after, &sandbox, &ctx->error);
	if (r >= 0)
		r = change_ways(ctx, &siblings, network, &sandbox, &ways);
	if (r >= 0 || ctx->error.reason != BN_REASON_SANDBOX_GONE)
		return r;
	error_clear(&ctx->error);
	return 0;
}

/* ---- what stays ---- */

static void remove_of(bn_ctx *ctx, const struct endpoint *endpoint)
{
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	int r = sandbox_reopen(endpoint, &sandbox, &ctx->error);

	if (r >= 0)
		r = link_routes_remove(ctx->link, &sandbox, endpoint, &ctx->error);
	if (r < 0 && ctx->error.reason != BN_REASON_SANDBOX_GONE)
		ctx_log(ctx, LOG_WARNING, "after endpoint %s of network %s: %s", endpoint->id,
			endpoint->network, ctx->error.message);
	error_clear(&ctx->error);
}

void routing_remove(bn_ctx *ctx, const endpoint_vector *endpoints)
{
	for (size_t i = 0; i < endpoints->len; i++)
		if (link_routes_stay(&endpoints->items[i]))
			remove_of(ctx, &endpoints->items[i]);
}
