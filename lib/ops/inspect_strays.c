/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What nobody owns: links and routes with our mark that no row of the state is about, and rows of
 * the state that are about nothing. Another state of the same host has links with the same mark, so
 * these are taken out only where that was said.
 */
#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "link/around.h"
#include "ops/base.h"
#include "ops/inspection.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/settings.h"

struct alias {
	char text[ALIAS_MAX];
};
typedef VECTOR(struct alias) alias_vector;

/* ---- links ---- */

static int compare_aliases(const void *left, const void *right)
{
	const struct alias *a = left, *b = right;

	return strcmp(a->text, b->text);
}

static int add_alias(alias_vector *aliases, const char *network, const char *endpoint)
{
	struct alias *alias = vector_push(aliases);

	if (!alias)
		return -ENOMEM;
	link_alias(network, endpoint, alias->text);
	return 0;
}

static const struct network *network_named(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, name) == 0)
			return &rows->networks.items[i];
	return NULL;
}

/* What they have in the kernel; of an endpoint that comes or goes the network may stand. */
static int add_aliases(const struct rows *rows, const struct rows *others, alias_vector *aliases)
{
	const struct network *network = NULL;
	int r = 0;

	for (size_t i = 0; i < rows->networks.len && r == 0; i++)
		r = add_alias(aliases, rows->networks.items[i].id, NULL);
	for (size_t i = 0; i < rows->endpoints.len && r == 0; i++) {
		const struct endpoint *endpoint = &rows->endpoints.items[i];

		if (!network || strcmp(network->name, endpoint->network) != 0)
			network = network_named(rows, endpoint->network);
		if (!network)
			network = network_named(others, endpoint->network);
		if (network)
			r = add_alias(aliases, network->id, endpoint->id);
	}
	return r;
}

static int list_aliases(bn_ctx *ctx, const struct rows *rows, const struct rows *others,
			alias_vector *aliases)
{
	int r = add_aliases(rows, others, aliases);

	if (r == 0)
		r = add_aliases(others, rows, aliases);
	if (r < 0)
		return error_oom(&ctx->error);
	if (aliases->len)
		qsort(aliases->items, aliases->len, sizeof(*aliases->items), compare_aliases);
	return 0;
}

/* Those of the links whose alias is none of these. */
static int list_strays(bn_ctx *ctx, const alias_vector *aliases, marked_vector *marked)
{
	int r = link_marked_list(ctx->link, marked, &ctx->error);
	size_t kept = 0;

	for (size_t i = 0; i < marked->len && r >= 0; i++) {
		struct alias key;

		string_copy(key.text, sizeof(key.text), marked->items[i].alias);
		if (!aliases->len ||
		    !bsearch(&key, aliases->items, aliases->len, sizeof(key), compare_aliases))
			marked->items[kept++] = marked->items[i];
	}
	marked->len = kept;
	return r;
}

static int look_for_links(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP_VECTOR alias_vector aliases = { 0 };
	CLEANUP_VECTOR marked_vector strays = { 0 };
	int r = list_aliases(ctx, &inspection->rows, &inspection->moving, &aliases);

	if (r >= 0)
		r = list_strays(ctx, &aliases, &strays);
	for (size_t i = 0; i < strays.len && r >= 0; i++) {
		const struct link_marked *stray = &strays.items[i];
		const struct finding finding = {
			.code = strcmp(stray->kind, "bridge") == 0 ? FINDING_BRIDGE_STRAY :
								     FINDING_LINK_STRAY,
			.object = stray->name,
			.is = stray->alias,
		};

		r = inspection_find(ctx, inspection, &finding);
	}
	return r;
}

/* Endpoints before their bridges. */
static int remove_links(bn_ctx *ctx, const marked_vector *strays)
{
	int r = 0;

	for (int bridges = 0; bridges <= 1; bridges++)
		for (size_t i = 0; i < strays->len && r >= 0; i++) {
			const struct link_marked *stray = &strays->items[i];

			if ((strcmp(stray->kind, "bridge") == 0) != bridges)
				continue;
			r = link_marked_delete(ctx->link, stray, &ctx->error);
			if (r > 0)
				ctx_log(ctx, LOG_NOTICE, "removed %s %s, which was nobody's (%s)",
					stray->kind, stray->name, stray->alias);
		}
	return r;
}

/* By what the state has now, and while nobody can add to it. */
static int mend_links(bn_ctx *ctx, const struct rows *all)
{
	static const struct rows none;
	CLEANUP_VECTOR alias_vector aliases = { 0 };
	CLEANUP_VECTOR marked_vector strays = { 0 };
	int r = list_aliases(ctx, all, &none, &aliases);

	if (r >= 0)
		r = list_strays(ctx, &aliases, &strays);
	return r < 0 ? r : remove_links(ctx, &strays);
}

/* ---- routes ---- */

static bool has_route(const struct rows *rows, const struct network *network,
		      const struct prefix *destination)
{
	for (size_t i = 0; i < rows->endpoints.len; i++) {
		const struct endpoint *endpoint = &rows->endpoints.items[i];
		const prefix_vector *list = &endpoint->policy.routes_for;

		for (size_t j = 0; j < list->len; j++)
			if (prefix_compare(&list->items[j], destination) == 0 &&
			    strcmp(endpoint->network, network->name) == 0)
				return true;
	}
	return false;
}

/* By a bridge of this state: what is by others' is theirs. */
static const struct network *network_of_bridge(bn_ctx *ctx, const struct rows *rows, uint32_t index)
{
	for (size_t i = 0; i < rows->networks.len; i++) {
		const struct network *network = &rows->networks.items[i];

		if (network->bridge[0] && link_index(ctx->link, network->bridge) == index)
			return network;
	}
	return NULL;
}

/* Of a network that stands: those without an endpoint, in the order of the kernel. */
static int list_behinds(bn_ctx *ctx, const struct rows *rows, const struct rows *others,
			behind_vector *behinds)
{
	int r = link_behinds_list(ctx->link, behinds, &ctx->error);
	size_t kept = 0;

	for (size_t i = 0; i < behinds->len && r >= 0; i++) {
		const struct link_behind *behind = &behinds->items[i];
		const struct network *network = network_of_bridge(ctx, rows, behind->interface);

		if (network && !has_route(rows, network, &behind->destination) &&
		    !has_route(others, network, &behind->destination))
			behinds->items[kept++] = *behind;
	}
	behinds->len = kept;
	return r;
}

static int look_for_routes(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP_VECTOR behind_vector strays = { 0 };
	int r = list_behinds(ctx, &inspection->rows, &inspection->moving, &strays);

	for (size_t i = 0; i < strays.len && r >= 0; i++) {
		const struct link_behind *stray = &strays.items[i];
		char prefix[PREFIX_TEXT_MAX], gateway[ADDR_TEXT_MAX], name[IFNAMSIZ];
		char is[PREFIX_TEXT_MAX + ADDR_TEXT_MAX + IFNAMSIZ + 16];
		const struct network *network =
			network_of_bridge(ctx, &inspection->rows, stray->interface);
		const struct finding finding = {
			.code = FINDING_ROUTE_STRAY,
			.network = network ? network->name : NULL,
			.object = prefix_format(&stray->destination, prefix),
			.is = is,
		};

		link_name(ctx->link, stray->interface, name);
		snprintf(is, sizeof(is), "%s via %s dev %s", prefix,
			 addr_format(&stray->gateway, gateway), name);
		r = inspection_find(ctx, inspection, &finding);
	}
	return r;
}

static int mend_routes(bn_ctx *ctx, const struct rows *all)
{
	static const struct rows none;
	CLEANUP_VECTOR behind_vector strays = { 0 };
	int r = list_behinds(ctx, all, &none, &strays);

	for (size_t i = 0; i < strays.len && r >= 0; i++)
		r = link_behind_remove(ctx->link, &strays.items[i], &ctx->error);
	return r;
}

/* ---- the state ---- */

static const char *kind_text(enum operation_kind kind)
{
	switch (kind) {
	case OPERATION_NETWORK_CREATE:
		return "making a network";
	case OPERATION_NETWORK_DELETE:
		return "deleting a network";
	case OPERATION_ATTACH:
		return "attaching";
	case OPERATION_DETACH:
	case OPERATION_DETACH_MOVE:
		return "detaching";
	case OPERATION_PUBLISH:
		return "publishing";
	case OPERATION_UNPUBLISH:
		return "unpublishing";
	case OPERATION_BACKEND_SWITCH:
		return "moving to another backend";
	case OPERATION_UPDATE:
		return "an update";
	case OPERATION_PORT_CHANGE:
		return "moving a port";
	}
	return "something that this version does not know";
}

static int find_operation(bn_ctx *ctx, struct inspection *inspection,
			  const struct operation *operation)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	struct finding finding = {
		.code = FINDING_OPERATION_DEAD,
		.object = kind_text(operation->kind),
		.is = ctx->left.code ? ctx->left.message : "what it has done is there still",
	};
	int r = store_operation_rows(ctx->store, operation, &rows, &ctx->error);

	if (r < 0)
		return r;
	if (rows.networks.len)
		finding.network = rows.networks.items->name;
	if (rows.endpoints.len) {
		finding.network = rows.endpoints.items->network;
		finding.endpoint = rows.endpoints.items->id;
	} else if (rows.ports.len) {
		finding.network = rows.ports.items->network;
		finding.endpoint = rows.ports.items->endpoint;
	}
	return inspection_find(ctx, inspection, &finding);
}

/* A repair has ended those that it can end before it looks. */
static int look_for_operations(bn_ctx *ctx, struct inspection *inspection)
{
	struct operation operation = { 0 };
	int r = ctx->look.has_operations;

	while (r > 0) {
		r = store_operation_find_dead(ctx->store, operation.id, &operation, &ctx->error);
		if (r > 0 && find_operation(ctx, inspection, &operation) < 0)
			return ctx->error.code;
	}
	return r;
}

static int look_for_orphans(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP_VECTOR orphan_vector orphans = { 0 };
	int r = store_orphans(ctx->store, &orphans, &ctx->error);

	for (size_t i = 0; i < orphans.len && r >= 0; i++) {
		const struct finding finding = {
			.code = orphans.items[i].is_object ? FINDING_STATE_DAMAGED :
							     FINDING_STATE_ROW,
			.object = orphans.items[i].text,
		};

		r = inspection_find(ctx, inspection, &finding);
	}
	return r;
}

static bool has_bridge(const struct rows *rows)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (rows->networks.items[i].bridge[0])
			return true;
	return false;
}

/* It is about a network namespace, and nothing is there that could be. */
static int look_at_binding(bn_ctx *ctx, struct inspection *inspection)
{
	static const struct finding finding = {
		.code = FINDING_STATE_ROW,
		.object = "the network namespace that it is about",
	};

	if (!ctx->look.about[0] || ctx->look.has_operations || inspection->is_damaged ||
	    has_bridge(&inspection->rows) || has_bridge(&inspection->moving))
		return 0;
	return inspection_find(ctx, inspection, &finding);
}

static int mend_binding(bn_ctx *ctx)
{
	struct base_needs needs;
	int r = base_needs_of(ctx, &needs);

	if (r < 0 || needs.state || needs.rules || !ctx->look.about[0])
		return r;
	r = settings_guard_stays(ctx);
	if (r == 0)
		r = ctx_open_firewall(ctx);
	else if (r > 0)
		return ctx_release_state(ctx);
	return r < 0 ? r : base_leave(ctx);
}

static int mend_state(bn_ctx *ctx, bool objects)
{
	int r = store_orphans_remove(ctx->store, objects, &ctx->error);

	if (r >= 0 && !ctx->look.has_operations)
		r = mend_binding(ctx);
	return r < 0 ? r : store_commit(ctx->store, &ctx->error);
}

/* ---- all of it ---- */

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	int r = look_for_links(ctx, inspection);

	if (r >= 0)
		r = look_for_routes(ctx, inspection);
	if (r >= 0)
		r = look_for_operations(ctx, inspection);
	if (r >= 0)
		r = look_for_orphans(ctx, inspection);
	return r < 0 ? r : look_at_binding(ctx, inspection);
}

static void note_left(bn_ctx *ctx, const char *what, int r)
{
	if (r >= 0)
		return;
	ctx_log(ctx, LOG_ERR, "%s stay: %s", what, ctx->error.message);
	error_clear(&ctx->error);
}

static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	CLEANUP(rows_clear) struct rows all = { 0 };
	bool unknown = inspection->flags & BN_REPAIR_REMOVE_UNKNOWN;
	int r = operation_hold(ctx);

	if (r >= 0)
		r = rows_load_all(ctx, &all);
	if (r < 0) {
		note_left(ctx, "what is nobody's", r);
		return 0;
	}
	if (unknown)
		note_left(ctx, "links that are nobody's", mend_links(ctx, &all));
	if (!inspection->is_damaged)
		note_left(ctx, "routes that are nobody's", mend_routes(ctx, &all));
	note_left(ctx, "rows that belong to nothing", mend_state(ctx, unknown));
	return 0;
}

const struct inspector inspect_strays = { "strays", false, look, mend, .is_apart = true };
