/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Endpoints: their links in the host, all at once, and then each sandbox, for all who are in it. */
#include <errno.h>
#include <syslog.h>

#include "ops/collect.h"
#include "ops/driver.h"
#include "ops/inspection.h"
#include "ops/judge.h"
#include "ops/recover.h"
#include "ops/rewire.h"
#include "ops/rows.h"
#include "ops/siblings.h"

/* ---- which there are ---- */

struct view {
	bn_ctx *ctx;
	const struct inspection *inspection;
	struct inspection *findings; /* the same; NULL: nothing is to be found */
	struct judged *all;          /* by sandbox */
	size_t len;
	struct link_sight *sights;
	/* whose sandbox was not opened at once, and may be gone */
	VECTOR(struct judged *) lost;
};

static void view_clear(struct view *view)
{
	free(view->all);
	free(view->sights);
	free(view->lost.items);
}

static int compare_names(const void *left, const void *right)
{
	const struct network *a = left, *b = right;

	return strcmp(a->name, b->name);
}

/* NULL in a state that is damaged. */
static const struct network *network_of(const struct rows *rows, const char *name)
{
	struct network key;

	string_copy(key.name, sizeof(key.name), name);
	return rows->networks.len ? bsearch(&key, rows->networks.items, rows->networks.len,
					    sizeof(key), compare_names) :
				    NULL;
}

static int compare_sandboxes(const void *left, const void *right)
{
	const struct endpoint *a = ((const struct judged *)left)->endpoint;
	const struct endpoint *b = ((const struct judged *)right)->endpoint;

	if (a->sandbox_inode != b->sandbox_inode)
		return a->sandbox_inode < b->sandbox_inode ? -1 : 1;
	if (a->sandbox_cookie != b->sandbox_cookie)
		return a->sandbox_cookie < b->sandbox_cookie ? -1 : 1;
	return 0;
}

static bool share_sandbox(const struct endpoint *a, const struct endpoint *b)
{
	const struct sandbox one = sandbox_of(a), other = sandbox_of(b);

	return a->sandbox_inode == b->sandbox_inode && sandbox_is_same(&one, &other);
}

/* Of the endpoints of the rows, each; for what is to be put right. */
#define WRONG_LINK 0x1   /* anything */
#define WRONG_INSIDE 0x2 /* that, and in its sandbox */
#define WRONG_GONE 0x4

/* wrong: those alone whose link is to be put right; NULL: all. Those that live in the host have
 * nothing of their own. */
static int view_make(struct view *view, const uint8_t *wrong)
{
	const struct rows *rows = &view->inspection->rows;
	size_t ends = 0;

	view->all = calloc(rows->endpoints.len + 1, sizeof(*view->all));
	view->sights = calloc(rows->endpoints.len + 1, sizeof(*view->sights));
	if (!view->all || !view->sights)
		return error_oom(&view->ctx->error);
	for (size_t i = 0; i < rows->endpoints.len; i++) {
		const struct endpoint *endpoint = &rows->endpoints.items[i];
		const struct network *network = network_of(rows, endpoint->network);
		struct judged *judged = &view->all[view->len];

		if ((wrong && !(wrong[i] & WRONG_LINK)) || !network || driver_of(network)->in_host)
			continue;
		*judged = (struct judged){ .endpoint = endpoint, .network = network };
		if (endpoint->host_interface[0]) {
			judged->host = &view->sights[ends++];
			judged->host->end = (struct link_end){ endpoint, network->id };
		}
		view->len++;
	}
	if (view->len > 1)
		qsort(view->all, view->len, sizeof(*view->all), compare_sandboxes);
	return link_sights_get(view->ctx->link, view->sights, ends, &view->ctx->error);
}

/* ---- a sandbox ---- */

/* What comes or goes there changes how the others leave. */
static bool is_moving(const struct view *view, const struct endpoint *endpoint)
{
	const endpoint_vector *moving = &view->inspection->moving.endpoints;

	for (size_t i = 0; i < moving->len; i++)
		if (share_sandbox(&moving->items[i], endpoint))
			return true;
	return view->inspection->network && view->ctx->look.has_operations;
}

/* Beside an endpoint there may be others in its sandbox that were not asked about. */
static int choose_sources(struct view *view, const struct judged *first, size_t len,
			  source_vector *sources)
{
	CLEANUP(endpoints_clear) endpoint_vector siblings = { 0 };
	CLEANUP_VECTOR endpoint_vector all = { 0 }; /* the items are others' */
	bn_ctx *ctx = view->ctx;
	int r;

	/* of those without a link there is nothing */
	for (; len && !first->host; first++)
		len--;
	if (!len || is_moving(view, first->endpoint) || (len < 2 && !view->inspection->network))
		return 0;
	r = store_begin_read(ctx->store, &ctx->error);
	if (r >= 0 && view->inspection->network) {
		r = store_siblings(ctx->store, NULL, first->endpoint, &siblings, &ctx->error);
		len = 1;
	}
	for (size_t i = 0; i < len && r >= 0; i++)
		if (first[i].host && vector_append(&all, *first[i].endpoint) < 0)
			r = error_oom(&ctx->error);
	for (size_t i = 0; i < siblings.len && r >= 0; i++)
		if (vector_append(&all, siblings.items[i]) < 0)
			r = error_oom(&ctx->error);
	if (r >= 0 && all.len > 1)
		r = sources_choose(ctx, &all, NULL, sources);
	store_rollback(ctx->store);
	return r;
}

static int look_into(struct view *view, const struct sandbox *sandbox, struct judged *first,
		     size_t len)
{
	CLEANUP_FREE struct link_within *ends = calloc(len, sizeof(*ends));
	CLEANUP_VECTOR source_vector sources = { 0 };
	CLEANUP_VECTOR link_route_vector routes = { 0 };
	bn_ctx *ctx = view->ctx;
	size_t count = 0;
	int r;

	if (!ends)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < len; i++) {
		if (!first[i].host)
			continue;
		ends[count] = (struct link_within){ .endpoint = first[i].endpoint,
						    .host = first[i].host };
		first[i].within = &ends[count++];
	}
	r = choose_sources(view, first, len, &sources);
	if (r >= 0 && count)
		r = link_within_get(ctx->link, sandbox, &sources, ends, count, &routes,
				    &ctx->error);
	for (size_t i = 0; i < len && r >= 0; i++) {
		first[i].routes = &routes;
		r = judge(ctx, view->findings, sandbox, &first[i]);
	}
	for (size_t i = 0; i < len; i++)
		first[i].within = NULL;
	return r;
}

static int look_at_sandbox(struct view *view, struct judged *first, size_t len)
{
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	bn_ctx *ctx = view->ctx;
	int r = -ENOENT;

	for (size_t i = 0; i < len && r < 0; i++)
		r = sandbox_reopen(first[i].endpoint, &sandbox, &ctx->error);
	/* which says nothing of the sandbox */
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return r;
	error_clear(&ctx->error);
	if (r >= 0)
		return look_into(view, &sandbox, first, len);
	for (size_t i = 0; i < len; i++)
		if (vector_append(&view->lost, &first[i]) < 0)
			return error_oom(&ctx->error);
	return 0;
}

/* ---- those that are lost ---- */

static int look_at_lost(struct view *view, struct judged *judged, enum sandbox_sight sight)
{
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	bn_ctx *ctx = view->ctx;

	if (sight == SANDBOX_THERE &&
	    sandbox_find(judged->endpoint, &ctx->deadline, &sandbox, NULL) >= 0)
		return look_into(view, &sandbox, judged, 1);
	/* its link goes with a namespace: one that a descriptor, or mounts that are not seen from
	 * here, keep is not gone, unless the kernel says so */
	if (sight == SANDBOX_GONE && (!judged->host || !judged->host->index ||
				      sandbox_number_is_gone(judged->endpoint->sandbox_cookie,
							     judged->endpoint->sandbox_inode)))
		return judge_gone(ctx, view->findings, judged->endpoint);
	return judge(ctx, view->findings, NULL, judged);
}

static int look_for_lost(struct view *view)
{
	size_t len = view->lost.len;
	CLEANUP_FREE const struct endpoint **endpoints = calloc(len + 1, sizeof(*endpoints));
	CLEANUP_FREE enum sandbox_sight *sights = calloc(len + 1, sizeof(*sights));
	int r;

	if (!endpoints || !sights)
		return error_oom(&view->ctx->error);
	for (size_t i = 0; i < len; i++)
		endpoints[i] = view->lost.items[i]->endpoint;
	r = sandboxes_look(endpoints, len, &view->ctx->deadline, sights, &view->ctx->error);
	for (size_t i = 0; i < len && r >= 0; i++)
		r = look_at_lost(view, view->lost.items[i], sights[i]);
	return r;
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP(view_clear) struct view view = { ctx, inspection, .findings = inspection };
	int r = view_make(&view, NULL);
	size_t len;

	for (size_t i = 0; i < view.len && r >= 0; i += len) {
		for (len = 1; i + len < view.len; len++)
			if (!share_sandbox(view.all[i].endpoint, view.all[i + len].endpoint))
				break;
		r = look_at_sandbox(&view, &view.all[i], len);
	}
	return r < 0 || !view.lost.len ? r : look_for_lost(&view);
}

/* ---- putting right ---- */

static int compare_pointers(const void *left, const void *right)
{
	const struct endpoint *const *a = left, *const *b = right;
	int order = strcmp((*a)->network, (*b)->network);

	return order ? order : strcmp((*a)->id, (*b)->id);
}

static uint8_t wrong_by(enum finding_code code)
{
	if (code == FINDING_SANDBOX_GONE)
		return WRONG_GONE;
	return code >= FINDING_INTERFACE_MISSING && code <= FINDING_ROUTE_REPLACED ?
		       WRONG_LINK | WRONG_INSIDE :
		       WRONG_LINK;
}

static int find_wrong(bn_ctx *ctx, const struct inspection *inspection, uint8_t *wrong)
{
	const endpoint_vector *all = &inspection->rows.endpoints;
	CLEANUP_FREE const struct endpoint **sorted = calloc(all->len + 1, sizeof(*sorted));

	if (!sorted)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < all->len; i++)
		sorted[i] = &all->items[i];
	qsort(sorted, all->len, sizeof(*sorted), compare_pointers);
	for (size_t i = 0; i < inspection->findings.len; i++) {
		const struct finding *finding = &inspection->findings.items[i];
		struct endpoint named;
		const struct endpoint *key = &named, **found;

		if (finding->inspector != inspection->inspector)
			continue;
		string_copy(named.network, sizeof(named.network), finding->network);
		string_copy(named.id, sizeof(named.id), finding->endpoint);
		found = bsearch(&key, sorted, all->len, sizeof(*sorted), compare_pointers);
		if (found)
			wrong[*found - all->items] |= wrong_by(finding->code);
	}
	return 0;
}

/* What is in the way of one is not in that of the others. */
static int pass_failure(bn_ctx *ctx, const struct endpoint *endpoint, int r)
{
	if (r >= 0 || deadline_ended(r) || r == -ENOMEM)
		return r;
	if (r != -ENOENT && (r != -EBUSY || ctx->error.reason != BN_REASON_BUSY))
		ctx_log(ctx, LOG_WARNING, "endpoint %s of network %s: %s", endpoint->id,
			endpoint->network, ctx->error.message);
	error_clear(&ctx->error);
	return 0;
}

static int mend_one(bn_ctx *ctx, const struct judged *judged, bool inside)
{
	const struct endpoint *endpoint = judged->endpoint;
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = operation_hold(ctx);

	if (r >= 0)
		r = rows_use(ctx, endpoint->network, endpoint->id, &rows);
	/* it may be another of that name by now */
	if (r >= 0 && rows.endpoints.items->sequence == endpoint->sequence)
		r = rewire(ctx, rows.networks.items, rows.endpoints.items, judged->host, inside);
	store_rollback(ctx->store);
	return pass_failure(ctx, endpoint, r);
}

static int collect(bn_ctx *ctx, const struct inspection *inspection, const uint8_t *wrong)
{
	const endpoint_vector *all = &inspection->rows.endpoints;
	CLEANUP_FREE const struct endpoint **gone = calloc(all->len + 1, sizeof(*gone));
	size_t len = 0;

	if (!gone)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < all->len; i++)
		if (wrong[i] & WRONG_GONE)
			gone[len++] = &all->items[i];
	return len ? pass_failure(ctx, gone[0], ops_collect_found(ctx, gone, len)) : 0;
}

/* Their links are looked at once more, all at once. */
static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	const endpoint_vector *all = &inspection->rows.endpoints;
	CLEANUP_FREE uint8_t *wrong = calloc(all->len + 1, sizeof(*wrong));
	CLEANUP(view_clear)
	struct view view = { .ctx = ctx, .inspection = inspection };
	int r = wrong ? find_wrong(ctx, inspection, wrong) : error_oom(&ctx->error);

	if (r >= 0)
		r = collect(ctx, inspection, wrong);
	if (r >= 0)
		r = view_make(&view, wrong);
	for (size_t i = 0; i < view.len && r >= 0; i++) {
		const struct judged *judged = &view.all[i];

		if (judged->host)
			r = mend_one(ctx, judged,
				     wrong[judged->endpoint - all->items] & WRONG_INSIDE);
	}
	return r;
}

const struct inspector inspect_endpoints = { "endpoints", true, look, mend };
