/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Endpoints whose namespace is gone. Their link has gone with it, so all that nothing is wrong with
 * costs one short look for its name; of the others alone the namespace itself is looked for.
 */
#include "ops/collect.h"

#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "ops/driver.h"
#include "ops/recover.h"
#include "ops/rows.h"

struct collection {
	brief_vector gone;
	const struct result *result;
	struct removal removal;
};

static void collection_clear(struct collection *collection)
{
	free(collection->gone.items);
	removal_clear(&collection->removal);
}

/* ---- looking ---- */

/* Of an endpoint without a link, `none`'s, there is no such sign; where the kernel tells of the
 * namespace itself, that is as cheap. */
static bool is_suspect(bn_ctx *ctx, const struct endpoint_brief *brief)
{
	if (brief->host_interface[0])
		return !link_is_known(ctx->link, brief->host_interface);
	return sandbox_number_is_gone(brief->sandbox_cookie, brief->sandbox_inode);
}

/* network: a name, or NULL */
static int find_suspects(bn_ctx *ctx, const char *network, brief_vector *briefs)
{
	size_t kept = 0;
	int r;

	r = store_endpoint_briefs(ctx->store, briefs, &ctx->error);
	for (size_t i = 0; i < briefs->len && r >= 0; i++) {
		const struct endpoint_brief *brief = &briefs->items[i];

		r = deadline_check(&ctx->deadline);
		if (r < 0)
			return deadline_error(&ctx->error, r,
					      "while it looked for endpoints that "
					      "have lost their namespaces");
		if ((!network || strcmp(brief->network, network) == 0) && is_suspect(ctx, brief))
			briefs->items[kept++] = *brief;
	}
	briefs->len = kept;
	return r;
}

/* Those of them that are still there. */
static int load_suspects(bn_ctx *ctx, brief_vector *briefs, struct rows *rows)
{
	size_t kept = 0;
	int r = 0;

	if (vector_reserve(&rows->endpoints, briefs->len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < briefs->len && r >= 0; i++) {
		r = store_endpoint_of_brief(ctx->store, &briefs->items[i],
					    &rows->endpoints.items[kept], &ctx->error);
		if (r > 0)
			briefs->items[kept++] = briefs->items[i];
		rows->endpoints.len = kept;
	}
	briefs->len = kept;
	return r < 0 ? r : rows_complete(ctx, rows);
}

static bool lives_in_host(const struct rows *rows, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, endpoint->network) == 0)
			return driver_of(&rows->networks.items[i])->in_host;
	return false;
}

/* Whoever sees a part of /proc alone may not see a namespace that is there; but its link is not. */
static int keep_gone(bn_ctx *ctx, const struct rows *rows, brief_vector *briefs)
{
	size_t len = briefs->len, kept = 0;
	CLEANUP_FREE const struct endpoint **endpoints = calloc(len + 1, sizeof(*endpoints));
	CLEANUP_FREE enum sandbox_sight *sights = calloc(len + 1, sizeof(*sights));
	int r;

	if (!endpoints || !sights)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < len; i++)
		endpoints[i] = &rows->endpoints.items[i];
	r = sandboxes_look(endpoints, len, &ctx->deadline, sights, &ctx->error);
	for (size_t i = 0; i < len && r >= 0; i++)
		if (sights[i] == SANDBOX_GONE && !lives_in_host(rows, endpoints[i]))
			briefs->items[kept++] = briefs->items[i];
	briefs->len = kept;
	return r;
}

static int find_gone(bn_ctx *ctx, const char *network, brief_vector *gone)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r;

	r = find_suspects(ctx, network, gone);
	if (r < 0 || !gone->len)
		return r;
	r = load_suspects(ctx, gone, &rows);
	return r < 0 ? r : keep_gone(ctx, &rows, gone);
}

/* ---- removing ---- */

static int compare_endpoints(const void *left, const void *right)
{
	const struct endpoint *a = left, *b = right;
	int order = strcmp(a->network, b->network);

	return order ? order : strcmp(a->id, b->id);
}

/* A namespace that is gone does not come back, so the same endpoint has lost it still. */
static int mark_gone(bn_ctx *ctx, const struct operation *operation,
		     const struct endpoint_brief *brief, struct rows *rows)
{
	CLEANUP(network_clear) struct network network = { 0 };
	struct endpoint *slot = vector_push(&rows->endpoints);
	int r;

	if (!slot)
		return error_oom(&ctx->error);
	r = store_endpoint_of_brief(ctx->store, brief, slot, &ctx->error);
	if (r <= 0) {
		rows->endpoints.len--;
		return r;
	}
	/* an update of the network is about its rules, and waited for */
	r = store_network_use(ctx->store, slot->network, &network, &ctx->error);
	if (r < 0)
		return r;
	r = store_endpoint_mark(ctx->store, operation, slot->network, slot->id, &ctx->error);
	if (r >= 0)
		return 0;
	endpoint_clear(slot);
	rows->endpoints.len--;
	/* a port of it is coming or going */
	if (r != -EBUSY || ctx->error.reason != BN_REASON_BUSY)
		return r;
	error_clear(&ctx->error);
	return 0;
}

static int load_ports(bn_ctx *ctx, struct rows *rows)
{
	int r = 0;

	for (size_t i = 0; i < rows->endpoints.len && r >= 0; i++)
		r = store_ports(ctx->store, rows->endpoints.items[i].network,
				rows->endpoints.items[i].id, 0, &rows->ports, &ctx->error);
	return r;
}

/* -EALREADY: there is nothing to do any more. */
static int reserve_collection(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct collection *collection = verb;
	struct rows *rows = &collection->removal.rows;
	int r = 0;

	removal_clear(&collection->removal);
	collection->removal.endpoints = collection->removal.settled = true;
	for (size_t i = 0; i < collection->gone.len && r >= 0; i++)
		r = mark_gone(ctx, operation, &collection->gone.items[i], rows);
	if (r >= 0 && !rows->endpoints.len)
		return -EALREADY;
	if (r >= 0) {
		qsort(rows->endpoints.items, rows->endpoints.len, sizeof(*rows->endpoints.items),
		      compare_endpoints);
		r = load_ports(ctx, rows);
	}
	if (r >= 0)
		r = rows_complete(ctx, rows);
	if (r >= 0)
		r = result_prepare(ctx, collection->result, rows);
	return r < 0 ? r : FAULT("collect.reserve");
}

static int collect(bn_ctx *ctx, struct collection *collection)
{
	struct operation operation;
	int r;

	r = operation_reserve(ctx, OPERATION_DETACH, reserve_collection, collection, &operation);
	if (r == -EALREADY)
		return 0;
	if (r >= 0)
		r = operation_carry_out(ctx, &operation, &collection->removal);
	if (r >= 0)
		ctx_log(ctx, LOG_NOTICE,
			"%zu endpoints had lost their namespaces, and are detached",
			collection->removal.rows.endpoints.len);
	return r;
}

/* A network that is just being made or removed has nothing to collect. */
static int resolve(bn_ctx *ctx, const char *network, struct rows *rows)
{
	int r = rows_use_network(ctx, network, rows);

	if (r != -EBUSY)
		return r;
	error_clear(&ctx->error);
	return 0;
}

int ops_collect(bn_ctx *ctx, const char *network, const struct result *result)
{
	CLEANUP(collection_clear) struct collection collection = { .result = result };
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = 0;

	if (network)
		r = resolve(ctx, network, &rows);
	if (r < 0 || (network && !rows.networks.len))
		return r;
	if (network)
		network = rows.networks.items->name;
	r = find_gone(ctx, network, &collection.gone);
	return r < 0 || !collection.gone.len ? r : collect(ctx, &collection);
}

int ops_collect_found(bn_ctx *ctx, const struct endpoint *const *endpoints, size_t len)
{
	static const struct result none;
	CLEANUP(collection_clear) struct collection collection = { .result = &none };

	for (size_t i = 0; i < len; i++) {
		struct endpoint_brief brief = {
			.sequence = endpoints[i]->sequence,
			.sandbox_inode = endpoints[i]->sandbox_inode,
			.sandbox_cookie = endpoints[i]->sandbox_cookie,
		};

		string_copy(brief.network, sizeof(brief.network), endpoints[i]->network);
		string_copy(brief.host_interface, sizeof(brief.host_interface),
			    endpoints[i]->host_interface);
		if (vector_append(&collection.gone, brief) < 0)
			return error_oom(&ctx->error);
	}
	return collect(ctx, &collection);
}
