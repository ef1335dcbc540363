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

/* A vector of any of them. */
struct list {
	char *items;
	size_t *len, size;
	int (*compare)(const void *left, const void *right);
};
#define LIST(vector, compare) \
	((struct list){ (char *)(vector).items, &(vector).len, sizeof(*(vector).items), compare })

static char *item_at(const struct list *list, size_t i)
{
	return list->items + i * list->size;
}

static void sort_list(const struct list *list)
{
	if (*list->len > 1)
		qsort(list->items, *list->len, list->size, list->compare);
}

/* Of a sorted one. */
static bool list_has(const struct list *list, const char *item)
{
	return *list->len && bsearch(item, list->items, *list->len, list->size, list->compare);
}

/* There is room for it. */
static void move_to(const struct list *list, const char *item)
{
	memcpy(item_at(list, (*list->len)++), item, list->size);
}

/* What is settled and will stay has to be there; what is in one of the two alone is moving. */
static void split_list(struct list settled, struct list standing, struct list moving)
{
	size_t stays = 0;

	sort_list(&settled);
	sort_list(&standing);
	for (size_t i = 0; i < *settled.len; i++) {
		char *item = item_at(&settled, i);

		if (!list_has(&standing, item))
			move_to(&moving, item);
		else
			memmove(item_at(&settled, stays++), item, settled.size);
	}
	*settled.len = stays;
	for (size_t i = 0; i < *standing.len; i++) {
		char *item = item_at(&standing, i);

		if (list_has(&settled, item))
			continue;
		move_to(&moving, item);
		memset(item, 0, standing.size); /* what it owned is moving's */
	}
}

static int split_rows(bn_ctx *ctx, struct rows *rows, struct rows *moving)
{
	CLEANUP(rows_clear) struct rows standing = { 0 };
	int r = rows_load_standing(ctx, &standing);

	if (r < 0)
		return r;
#define RESERVE(list) vector_reserve(&moving->list, rows->list.len + standing.list.len)
#define SPLIT(list, compare)                                                \
	split_list(LIST(rows->list, compare), LIST(standing.list, compare), \
		   LIST(moving->list, compare))
	if (RESERVE(networks) < 0 || RESERVE(endpoints) < 0 || RESERVE(ports) < 0)
		return error_oom(&ctx->error);
	SPLIT(networks, compare_networks);
	SPLIT(endpoints, compare_endpoints);
	SPLIT(ports, compare_ports);
#undef RESERVE
#undef SPLIT
	return 0;
}

/* What is being taken back is neither settled nor will it stay, and is there for a while yet. */
static void add_turned_back(struct list pending, struct list settled, struct list moving)
{
	size_t len = *moving.len;
	struct list known = moving;

	known.len = &len;
	sort_list(&settled);
	sort_list(&known);
	for (size_t i = 0; i < *pending.len; i++) {
		char *item = item_at(&pending, i);

		if (list_has(&settled, item) || list_has(&known, item))
			continue;
		move_to(&moving, item);
		memset(item, 0, pending.size);
	}
}

static int add_pending(bn_ctx *ctx, struct rows *rows, struct rows *moving)
{
	CLEANUP(rows_clear) struct rows pending = { 0 };
	int r = rows_load_all(ctx, &pending);

	if (r < 0)
		return r;
#define RESERVE(list) vector_reserve(&moving->list, pending.list.len)
#define ADD(list, compare)                                                      \
	add_turned_back(LIST(pending.list, compare), LIST(rows->list, compare), \
			LIST(moving->list, compare))
	if (RESERVE(networks) < 0 || RESERVE(endpoints) < 0 || RESERVE(ports) < 0)
		return error_oom(&ctx->error);
	ADD(networks, compare_networks);
	ADD(endpoints, compare_endpoints);
	ADD(ports, compare_ports);
#undef RESERVE
#undef ADD
	return 0;
}

/* Those of a vector that the condition, about `item`, holds for. */
#define KEEP(list, clear, condition)                                       \
	do {                                                               \
		size_t kept_ = 0;                                          \
		for (size_t i_ = 0; i_ < (list).len; i_++) {               \
			__typeof__((list).items) item = &(list).items[i_]; \
			if (condition)                                     \
				(list).items[kept_++] = *item;             \
			else                                               \
				clear(item);                               \
		}                                                          \
		(list).len = kept_;                                        \
	} while (0)

/* Of one network or endpoint alone. */
static bool is_asked(const struct inspection *inspection, const char *network, const char *endpoint)
{
	return strcmp(network, inspection->network) == 0 &&
	       (!inspection->endpoint || !endpoint || strcmp(endpoint, inspection->endpoint) == 0);
}

static void keep_asked(const struct inspection *inspection, struct rows *rows)
{
	KEEP(rows->networks, network_clear, is_asked(inspection, item->name, NULL));
	KEEP(rows->endpoints, endpoint_clear, is_asked(inspection, item->network, item->id));
	KEEP(rows->ports, port_clear, is_asked(inspection, item->network, item->endpoint));
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
	if (r >= 0)
		r = add_pending(ctx, &inspection->rows, &inspection->moving);
	if (r >= 0 && inspection->network) {
		keep_asked(inspection, &inspection->rows);
		keep_asked(inspection, &inspection->moving);
	}
	return r;
}

static bool has_network(const struct inspection *inspection, const char *name)
{
	return rows_have_network(&inspection->rows, name) ||
	       rows_have_network(&inspection->moving, name);
}

/* Of a state that was damaged. */
static int pass_orphans(bn_ctx *ctx, struct inspection *inspection)
{
	int r = store_check_whole(ctx->store, &ctx->error);

	inspection->is_damaged = r == -EBADMSG;
	if (!inspection->is_damaged)
		return r;
	error_clear(&ctx->error);
	KEEP(inspection->rows.endpoints, endpoint_clear, has_network(inspection, item->network));
	KEEP(inspection->rows.ports, port_clear, has_network(inspection, item->network));
	KEEP(inspection->moving.endpoints, endpoint_clear, has_network(inspection, item->network));
	KEEP(inspection->moving.ports, port_clear, has_network(inspection, item->network));
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

/* What a look has seen of the kernel. */
static void forget_seen(struct inspection *inspection)
{
	free(inspection->bridges);
	free(inspection->aliases);
	inspection->bridges = NULL;
	inspection->aliases = NULL;
	findings_clear(&inspection->findings);
	rules_clear(&inspection->strays);
}

void inspection_forget(struct inspection *inspection)
{
	inspection->generation = 0;
	rows_clear(&inspection->rows);
	rows_clear(&inspection->moving);
	rules_clear(&inspection->planned);
	host_text_clear(&inspection->host);
	forget_seen(inspection);
}

/* Of a network that somebody makes, changes or removes, or is undoing that of, the kernel may have
 * what neither end of it has: that is for the next look. */
static int pass_busy(bn_ctx *ctx, struct inspection *inspection)
{
	const char *last = NULL;
	bool busy = false;
	int r = store_begin_read(ctx->store, &ctx->error);

	for (size_t i = 0; i < inspection->findings.len && r >= 0; i++) {
		CLEANUP(network_clear) struct network network = { 0 };
		const char *name = inspection->findings.items[i].network;

		if (!last || strcmp(last, name) != 0)
			busy = name[0] &&
			       store_network_use(ctx->store, name, &network, NULL) == -EBUSY;
		last = name;
		inspection->findings.items[i].is_passing =
			busy && inspection->findings.items[i].code != FINDING_OPERATION_DEAD;
	}
	store_rollback(ctx->store);
	if (r >= 0)
		KEEP(inspection->findings, finding_clear, !item->is_passing);
	return r;
}

int inspection_look(bn_ctx *ctx, struct inspection *inspection,
		    const struct inspector *const *inspectors, uint32_t parts)
{
	uint64_t before = 0, after = 0;
	int r;

	r = store_generation(ctx->store, &before, &ctx->error);
	if (r < 0 || !inspection->generation || inspection->generation != before)
		inspection_forget(inspection);
	else
		forget_seen(inspection);
	if (r >= 0 && !inspection->generation)
		r = load(ctx, inspection);
	for (size_t i = 0; inspectors[i] && r >= 0; i++) {
		if (!(parts & 1u << i) || (inspection->network && !inspectors[i]->of_part))
			continue;
		inspection->inspector = i;
		r = inspectors[i]->look(ctx, inspection);
	}
	if (r >= 0 && ctx->look.has_operations && inspection->findings.len)
		r = pass_busy(ctx, inspection);
	if (r >= 0)
		r = store_generation(ctx->store, &after, &ctx->error);
	findings_sort(&inspection->findings);
	if (r < 0 || before != after || ctx->look.has_operations) {
		inspection->generation = 0;
		return r < 0 ? r : 0;
	}
	inspection->generation = before;
	return 1;
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
