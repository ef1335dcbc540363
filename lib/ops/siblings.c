/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/siblings.h"

#include <syslog.h>

#include "model/metric.h"
#include "model/policy.h"

/* ---- sources ---- */

/* Of each of its addresses. gateway: unset where there is none. */
static int add_sources(const struct endpoint *endpoint, int family, const struct addr *gateway,
		       enum source_way way, source_vector *sources)
{
	for_each_address(address, endpoint, family) {
		struct link_source *source = vector_push(sources);

		if (!source)
			return -ENOMEM;
		source->way = way;
		string_copy(source->interface, sizeof(source->interface), endpoint->interface);
		source->address = address->addr;
		source->gateway = *gateway;
		source->metric = endpoint_metric(endpoint, family);
	}
	return 0;
}

int sources_choose(bn_ctx *ctx, const endpoint_vector *endpoints, const struct network *network,
		   source_vector *ret_sources)
{
	bool alone = endpoints->len < 2;
	int r = 0;

	for (size_t i = 0; i < endpoints->len && r >= 0; i++) {
		const struct endpoint *endpoint = &endpoints->items[i];
		CLEANUP(network_clear) struct network other = { 0 };
		const struct network *its = network;

		if (!network || strcmp(network->name, endpoint->network) != 0) {
			r = store_network_get(ctx->store, endpoint->network, &other, &ctx->error);
			its = &other;
		}
		for_each_family(family) {
			/* what leads nowhere is no way for answers either */
			bool best = alone || metric_best(endpoints, family) == endpoint ||
				    !network_leads_out(its, family);

			if (r < 0 || !endpoint_prefix(endpoint, family) ||
			    !network_subnet(its, family))
				continue;
			if (add_sources(endpoint, family, endpoint_gateway(endpoint, its, family),
					best ? SOURCE_BY_BEST : SOURCE_BY_RULE, ret_sources) < 0)
				r = error_oom(&ctx->error);
		}
	}
	return r;
}

/* ---- one that goes ---- */

int siblings_mark(bn_ctx *ctx, const struct operation *operation, const struct endpoint *endpoint)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	int r;

	/* none of which is to be on its way, in or out */
	r = store_siblings(ctx->store, operation, endpoint, &siblings, &ctx->error);
	return r < 0 ? r :
		       store_endpoint_mark(ctx->store, operation, endpoint->network, endpoint->id,
					   &ctx->error);
}

/* ---- those that stay ---- */

static bool are_siblings(const struct endpoint *a, const struct endpoint *b)
{
	struct sandbox one, other;

	/* of many that go at once nearly all differ here */
	if (a->sandbox_inode != b->sandbox_inode)
		return false;
	one = sandbox_of(a);
	other = sandbox_of(b);
	return sandbox_is_same(&one, &other);
}

/* The sandbox has a path by one that knows one. */
static int open_sandbox_of(bn_ctx *ctx, const endpoint_vector *endpoints, const struct endpoint *of,
			   struct sandbox *ret_sandbox)
{
	int r = -ENOENT;

	for (size_t i = 0; i < endpoints->len && r < 0; i++)
		if (are_siblings(&endpoints->items[i], of))
			r = sandbox_reopen(&endpoints->items[i], ret_sandbox, &ctx->error);
	if (r >= 0)
		error_clear(&ctx->error);
	return r;
}

/* Of those in the sandbox of this one. */
static int add_gone(bn_ctx *ctx, const endpoint_vector *gone, const struct endpoint *of,
		    source_vector *sources)
{
	for (size_t i = 0; i < gone->len; i++)
		for_each_family(family) {
			const struct addr any = { .family = family };

			if (are_siblings(&gone->items[i], of) &&
			    add_sources(&gone->items[i], family, &any, SOURCE_GONE, sources) < 0)
				return error_oom(&ctx->error);
		}
	return 0;
}

static bool has_several(const endpoint_vector *gone, const struct endpoint *of)
{
	size_t count = 0;

	for (size_t i = 0; i < gone->len; i++)
		count += are_siblings(&gone->items[i], of);
	return count > 1;
}

static void set_sources_of(bn_ctx *ctx, const struct endpoint *gone, const endpoint_vector *all)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	CLEANUP_VECTOR source_vector sources = { 0 };
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	int r;

	r = store_siblings(ctx->store, NULL, gone, &siblings, &ctx->error);
	/* of one that was alone there is nothing */
	if (r >= 0 && !siblings.len && !has_several(all, gone))
		return;
	if (r >= 0)
		r = sources_choose(ctx, &siblings, NULL, &sources);
	if (r >= 0)
		r = add_gone(ctx, all, gone, &sources);
	if (r >= 0)
		r = open_sandbox_of(ctx, siblings.len ? &siblings : all, gone, &sandbox);
	if (r >= 0)
		r = link_sources_sync(ctx->link, &sandbox, &sources, &ctx->error);
	/* with a namespace that is gone its rules are gone */
	if (r < 0 && ctx->error.reason != BN_REASON_SANDBOX_GONE)
		ctx_log(ctx, LOG_WARNING, "after endpoint %s of network %s: %s", gone->id,
			gone->network, ctx->error.message);
	error_clear(&ctx->error);
}

void siblings_set_sources(bn_ctx *ctx, const endpoint_vector *gone)
{
	for (size_t i = 0; i < gone->len; i++) {
		bool first = gone->items[i].interface[0] && gone->items[i].sandbox_inode;

		for (size_t j = 0; j < i && first; j++)
			first = !are_siblings(&gone->items[i], &gone->items[j]);
		if (first)
			set_sources_of(ctx, &gone->items[i], gone);
	}
}
