/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/inspection.h"

#include <errno.h>
#include <syslog.h>

#include "ops/rows.h"

/* ---- what has to be there ---- */

static int compare_networks(const void *left, const void *right)
{
	const struct network *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static int compare_endpoints(const void *left, const void *right)
{
	const struct endpoint *a = left, *b = right;
	int r = strcmp(a->network, b->network);

	return r ? r : strcmp(a->id, b->id);
}

static int compare_ports(const void *left, const void *right)
{
	const struct port *a = left, *b = right;
	int r = strcmp(a->network, b->network);

	if (r == 0)
		r = strcmp(a->endpoint, b->endpoint);
	if (r == 0)
		r = a->protocol - b->protocol;
	if (r == 0)
		r = port_host_compare(a, b);
	if (r == 0)
		r = a->host_port - b->host_port;
	if (r == 0)
		r = a->container_port - b->container_port;
	return r ? r : a->count - b->count;
}

typedef int (*compare_fn)(const void *left, const void *right);
#define KEY_MAX sizeof(struct network)

/* Those of the items that the others (sorted) have too, or have not, come first; how many. */
static size_t partition(char *items, size_t len, size_t size, const char *others, size_t others_len,
			bool common, compare_fn compare)
{
	char swap[KEY_MAX];
	size_t first = 0;

	for (size_t i = 0; i < len; i++) {
		char *item = items + i * size, *place = items + first * size;
		bool found = others_len && bsearch(item, others, others_len, size, compare);

		if (found != common)
			continue;
		if (item != place) {
			memcpy(swap, place, size);
			memcpy(place, item, size);
			memcpy(item, swap, size);
		}
		first++;
	}
	return first;
}

static void sort_items(void *items, size_t len, size_t size, compare_fn compare)
{
	if (len > 1)
		qsort(items, len, size, compare);
}

/* What is settled and will stay has to be there; what is in one of the two alone is moving. */
#define SPLIT(list, compare)                                                                       \
	({                                                                                         \
		__typeof__(&rows->list) settled_ = &rows->list, coming_ = &standing.list;          \
		size_t size_ = sizeof(*settled_->items), stays_, new_;                             \
		int split_ = vector_reserve(&moving->list, settled_->len + coming_->len);          \
                                                                                                   \
		sort_items(settled_->items, settled_->len, size_, compare);                        \
		sort_items(coming_->items, coming_->len, size_, compare);                          \
		stays_ = partition((char *)settled_->items, settled_->len, size_,                  \
				   (char *)coming_->items, coming_->len, true, compare);           \
		sort_items(settled_->items, stays_, size_, compare);                               \
		new_ = partition((char *)coming_->items, coming_->len, size_,                      \
				 (char *)settled_->items, stays_, false, compare);                 \
		while (split_ == 0 && settled_->len > stays_)                                      \
			moving->list.items[moving->list.len++] = settled_->items[--settled_->len]; \
		for (size_t i_ = 0; split_ == 0 && i_ < new_; i_++) {                              \
			moving->list.items[moving->list.len++] = coming_->items[i_];               \
			memset(&coming_->items[i_], 0, size_);                                     \
		}                                                                                  \
		split_;                                                                            \
	})

static int split_rows(bn_ctx *ctx, struct rows *rows, struct rows *moving)
{
	CLEANUP(rows_clear) struct rows standing = { 0 };
	int r = rows_load_standing(ctx, &standing);

	if (r < 0)
		return r;
	if (SPLIT(networks, compare_networks) < 0 || SPLIT(endpoints, compare_endpoints) < 0 ||
	    SPLIT(ports, compare_ports) < 0)
		return error_oom(&ctx->error);
	return 0;
}

/* Of one network or endpoint alone. */
static bool is_asked(const struct inspection *inspection, const char *network, const char *endpoint)
{
	return strcmp(network, inspection->network) == 0 &&
	       (!inspection->endpoint || !endpoint || strcmp(endpoint, inspection->endpoint) == 0);
}

#define KEEP(list, clear, network_, endpoint_)                                 \
	do {                                                                   \
		size_t kept_ = 0;                                              \
		for (size_t i_ = 0; i_ < (list).len; i_++) {                   \
			__typeof__((list).items) item = &(list).items[i_];     \
			if (is_asked(inspection, item->network_, endpoint_)) { \
				if (kept_ != i_)                               \
					(list).items[kept_] = *item;           \
				kept_++;                                       \
			} else {                                               \
				clear(item);                                   \
			}                                                      \
		}                                                              \
		(list).len = kept_;                                            \
	} while (0)

static void keep_asked(const struct inspection *inspection, struct rows *rows)
{
	KEEP(rows->networks, network_clear, name, NULL);
	KEEP(rows->endpoints, endpoint_clear, network, item->id);
	KEEP(rows->ports, port_clear, network, item->endpoint);
}

/* By its whole name from here on. */
static int find_asked(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r;

	if (!inspection->network)
		return 0;
	r = rows_load_network(ctx, inspection->network, &rows);
	if (r >= 0 && inspection->endpoint)
		r = rows_load_endpoint(ctx, inspection->endpoint, &rows);
	if (r < 0)
		return r;
	string_copy(inspection->name, sizeof(inspection->name), rows.networks.items->name);
	inspection->network = inspection->name;
	return 0;
}

static int load_rows(bn_ctx *ctx, struct inspection *inspection)
{
	int r = store_look(ctx->store, &ctx->look, &ctx->error);

	if (r >= 0)
		r = find_asked(ctx, inspection);
	if (r < 0)
		return r;
	if (!ctx->look.has_operations)
		return rows_load(ctx, inspection->network, inspection->endpoint, &inspection->rows);
	r = rows_load(ctx, NULL, NULL, &inspection->rows);
	if (r >= 0)
		r = split_rows(ctx, &inspection->rows, &inspection->moving);
	if (r >= 0 && inspection->network) {
		keep_asked(inspection, &inspection->rows);
		keep_asked(inspection, &inspection->moving);
	}
	return r;
}

static bool has_network(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, name) == 0)
			return true;
	return false;
}

#define KEEP_OWNED(list, clear)                                                \
	do {                                                                   \
		size_t kept_ = 0;                                              \
		for (size_t i_ = 0; i_ < (list).len; i_++) {                   \
			__typeof__((list).items) item = &(list).items[i_];     \
			if (has_network(&inspection->rows, item->network) ||   \
			    has_network(&inspection->moving, item->network)) { \
				if (kept_ != i_)                               \
					(list).items[kept_] = *item;           \
				kept_++;                                       \
			} else {                                               \
				clear(item);                                   \
			}                                                      \
		}                                                              \
		(list).len = kept_;                                            \
	} while (0)

/* Of a state that was damaged. */
static int pass_orphans(bn_ctx *ctx, struct inspection *inspection)
{
	int r = store_check_whole(ctx->store, &ctx->error);

	inspection->is_damaged = r == -EBADMSG;
	if (!inspection->is_damaged)
		return r;
	error_clear(&ctx->error);
	KEEP_OWNED(inspection->rows.endpoints, endpoint_clear);
	KEEP_OWNED(inspection->rows.ports, port_clear);
	KEEP_OWNED(inspection->moving.endpoints, endpoint_clear);
	KEEP_OWNED(inspection->moving.ports, port_clear);
	return 0;
}

static int load(bn_ctx *ctx, struct inspection *inspection)
{
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = load_rows(ctx, inspection);
	if (r >= 0 && !inspection->network)
		r = pass_orphans(ctx, inspection);
	if (r >= 0 && !inspection->network)
		r = store_networks_found(ctx->store, 0, &inspection->host, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

void inspection_forget(struct inspection *inspection)
{
	rows_clear(&inspection->rows);
	rows_clear(&inspection->moving);
	host_text_clear(&inspection->host);
	free(inspection->bridges);
	free(inspection->aliases);
	inspection->bridges = NULL;
	inspection->aliases = NULL;
	findings_clear(&inspection->findings);
	rules_clear(&inspection->strays);
}

int inspection_look(bn_ctx *ctx, struct inspection *inspection,
		    const struct inspector *const *inspectors, uint32_t parts)
{
	uint64_t before = 0, after = 0;
	int r;

	inspection_forget(inspection);
	r = store_generation(ctx->store, &before, &ctx->error);
	if (r >= 0)
		r = load(ctx, inspection);
	for (size_t i = 0; inspectors[i] && r >= 0; i++) {
		if (!(parts & 1u << i) || (inspection->network && !inspectors[i]->of_part))
			continue;
		inspection->inspector = i;
		r = inspectors[i]->look(ctx, inspection);
	}
	if (r >= 0)
		r = store_generation(ctx->store, &after, &ctx->error);
	findings_sort(&inspection->findings);
	return r < 0 ? r : before == after && !ctx->look.has_operations;
}

/* ---- what is found ---- */

int inspection_find(bn_ctx *ctx, struct inspection *inspection, const struct finding *finding)
{
	if (findings_add(&inspection->findings, finding) < 0)
		return error_oom(&ctx->error);
	inspection->findings.items[inspection->findings.len - 1].inspector = inspection->inspector;
	return 0;
}

int inspection_pass(bn_ctx *ctx, int r)
{
	if (r >= 0)
		return 0;
	if (deadline_ended(r) || r == -ENOMEM)
		return r;
	/* somebody is at it, or it has gone */
	if (ctx->error.reason != BN_REASON_BUSY && r != -ENOENT)
		ctx_log(ctx, LOG_WARNING, "can't be put right: %s", ctx->error.message);
	error_clear(&ctx->error);
	return 0;
}

bool inspection_has(const struct inspection *inspection, enum finding_code code,
		    const char *network, const char *endpoint)
{
	for (size_t i = 0; i < inspection->findings.len; i++) {
		const struct finding *finding = &inspection->findings.items[i];

		if (finding->code == code && finding->inspector == inspection->inspector &&
		    (!network || strcmp(finding->network, network) == 0) &&
		    (!endpoint || strcmp(finding->endpoint, endpoint) == 0))
			return true;
	}
	return false;
}
