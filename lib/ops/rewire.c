/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/rewire.h"

#include <errno.h>
#include <syslog.h>

#include "ops/behind.h"
#include "ops/driver.h"
#include "ops/siblings.h"
#include "ops/wiring.h"

struct rewiring {
	const struct network *network;
	const struct endpoint *endpoint;
	const struct link_sight *sight;
	struct sandbox sandbox; /* fd -1: it can't be looked into */
	endpoint_vector siblings;
	source_vector sources;
	struct wiring wiring;
	struct link_within within;
};

static void rewiring_clear(struct rewiring *rewiring)
{
	sandbox_close(&rewiring->sandbox);
	endpoints_clear(&rewiring->siblings);
	free(rewiring->sources.items);
	wiring_clear(&rewiring->wiring);
}

/* None of them is to be on its way, in or out; the endpoint is there among them for as long as that
 * takes. */
static int choose_sources(bn_ctx *ctx, struct rewiring *rewiring)
{
	static const struct operation none;
	endpoint_vector *all = &rewiring->siblings;
	int r = store_siblings(ctx->store, &none, rewiring->endpoint, all, &ctx->error);

	if (r < 0)
		return r;
	if (vector_append(all, *rewiring->endpoint) < 0)
		return error_oom(&ctx->error);
	r = sources_choose(ctx, all, rewiring->network, &rewiring->sources);
	all->len--;
	return r;
}

/* In which a part of the host's processes alone may be seen. */
static int open_sandbox(bn_ctx *ctx, struct rewiring *rewiring)
{
	int r = sandbox_find(rewiring->endpoint, &ctx->deadline, &rewiring->sandbox, &ctx->error);

	if (r != -EACCES)
		return r;
	error_clear(&ctx->error);
	return 0;
}

static int look(bn_ctx *ctx, struct rewiring *rewiring)
{
	CLEANUP_VECTOR link_route_vector routes = { 0 };
	int r = choose_sources(ctx, rewiring);

	if (r >= 0)
		r = open_sandbox(ctx, rewiring);
	if (r >= 0)
		r = wiring_make(ctx, rewiring->network, rewiring->endpoint, &rewiring->wiring);
	rewiring->wiring.config.sources = &rewiring->sources;
	rewiring->wiring.config.again = true;
	rewiring->within =
		(struct link_within){ .endpoint = rewiring->endpoint, .host = rewiring->sight };
	if (r < 0 || rewiring->sandbox.fd < 0)
		return r;
	return link_within_get(ctx->link, &rewiring->sandbox, &rewiring->sources, &rewiring->within,
			       1, &routes, &ctx->error);
}

/* Somebody else's may have its name. */
static int find_bridge(bn_ctx *ctx, struct rewiring *rewiring)
{
	const struct rows rows = rows_view(rewiring->network, NULL, NULL, 0);

	return driver_of(rewiring->network)
		->network_check(ctx, &rows, &rewiring->wiring.config.bridge_index);
}

/* Of a pair, one end goes with the other. */
static int make_again(bn_ctx *ctx, struct rewiring *rewiring)
{
	const struct endpoint *endpoint = rewiring->endpoint;
	const struct link_end end = { endpoint, rewiring->network->id };
	struct link_endpoint_made made;
	int r;

	if (rewiring->within.is_taken)
		return error_set(&ctx->error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
				 "namespace %s has another interface %s by now, which endpoint %s "
				 "of network %s needs; delete or rename that one",
				 sandbox_name(&rewiring->sandbox), endpoint->interface,
				 endpoint->id, endpoint->network);
	r = find_bridge(ctx, rewiring);
	if (r >= 0 && rewiring->sight->index)
		r = link_endpoints_delete(ctx->link, &end, 1, &ctx->error);
	if (r >= 0)
		r = link_endpoint_create(ctx->link, &rewiring->sandbox, &rewiring->wiring.config,
					 &made, &ctx->error);
	if (r < 0)
		return r;
	link_announcer_close(&made.announcer);
	if (made.note[0])
		ctx_log(ctx, LOG_WARNING, "%s", made.note);
	return link_shape(ctx->link, rewiring->network, NULL, endpoint, &ctx->error);
}

/* A rate that is in force stays so. */
static int limit(bn_ctx *ctx, const struct rewiring *rewiring)
{
	struct endpoint before = *rewiring->endpoint;

	if (rewiring->sight->unlimited_in)
		before.policy.rate_in = before.policy.burst_in = 0;
	if (rewiring->sight->unlimited_out)
		before.policy.rate_out = before.policy.burst_out = 0;
	return link_shape(ctx->link, rewiring->network, &before, rewiring->endpoint, &ctx->error);
}

static int put_right(bn_ctx *ctx, struct rewiring *rewiring, bool inside)
{
	const struct network *network = rewiring->network;
	int r = 0;

	if (rewiring->sight->bridge != link_index(ctx->link, network->bridge))
		r = find_bridge(ctx, rewiring);
	if (r >= 0)
		r = link_end_mend(ctx->link, rewiring->sight, &rewiring->wiring.config,
				  &ctx->error);
	if (r >= 0)
		r = limit(ctx, rewiring);
	if (r < 0 || !inside || !rewiring->within.index)
		return r;
	return link_endpoint_mend(ctx->link, &rewiring->sandbox, &rewiring->within,
				  &rewiring->wiring.config, &ctx->error);
}

int rewire(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	   const struct link_sight *sight, bool inside)
{
	static const struct endpoint nothing;
	CLEANUP(rewiring_clear)
	struct rewiring rewiring = {
		.network = network,
		.endpoint = endpoint,
		.sight = sight,
		.sandbox.fd = -1,
	};
	int r = look(ctx, &rewiring);

	if (r < 0)
		return r;
	if (rewiring.sandbox.fd >= 0 && !rewiring.within.index)
		r = make_again(ctx, &rewiring);
	else if (sight->index)
		r = put_right(ctx, &rewiring, inside);
	return r < 0 ? r : behind_add(ctx, network, endpoint, &nothing);
}
