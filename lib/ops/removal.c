/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/removal.h"

#include "base/fault.h"
#include "ops/base.h"
#include "ops/behind.h"
#include "ops/coexist.h"
#include "ops/driver.h"
#include "ops/flows.h"
#include "ops/routing.h"
#include "ops/persistent.h"
#include "ops/rows.h"
#include "ops/rules.h"
#include "ops/settings.h"
#include "ops/siblings.h"

void removal_clear(struct removal *removal)
{
	rows_clear(&removal->rows);
	rows_clear(&removal->replacing);
	*removal = (struct removal){ 0 };
}

int removal_load(bn_ctx *ctx, const struct operation *operation, struct removal *removal)
{
	size_t networks = removal->rows.networks.len;
	int r;

	r = store_operation_rows(ctx->store, operation, &removal->rows, &ctx->error);
	if (r < 0)
		return r;
	removal->networks = removal->rows.networks.len > networks;
	removal->endpoints = operation->kind != OPERATION_PUBLISH &&
			     operation->kind != OPERATION_UNPUBLISH &&
			     operation->kind != OPERATION_PORT_CHANGE;
	r = store_ports_replacing(ctx->store, operation, &removal->replacing.ports, &ctx->error);
	return r < 0 ? r : rows_complete(ctx, &removal->replacing);
}

int removal_load_whole(bn_ctx *ctx, const struct operation *operation, struct removal *removal)
{
	size_t going;
	int r = removal_load(ctx, operation, removal);

	if (r < 0)
		return r;
	going = removal->rows.networks.len;
	r = rows_complete(ctx, &removal->rows);
	if (removal->networks)
		removal->staying = removal->rows.networks.len - going;
	return r;
}

static int remove_rules(bn_ctx *ctx, uint32_t scopes, const struct removal *removal)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = rules_plan(ctx, scopes, &removal->rows, &rules);
	return r < 0 ? r :
		       rules_remove(ctx, &rules, removal->settled,
				    removal->networks ? NULL : &removal->rows);
}

/* They are of the same endpoint, and only their options differ. */
static bool is_update(const struct removal *removal)
{
	const struct port *old = removal->rows.ports.items;
	const struct port *new = removal->replacing.ports.items;

	return removal->rows.ports.len && strcmp(old->endpoint, new->endpoint) == 0 &&
	       strcmp(old->network, new->network) == 0;
}

/* Connections of TCP go on to where they went for as long as that is there; who sends by UDP does
 * not know of any, and is led to the new place. */
static int exchange_ports(bn_ctx *ctx, const struct removal *removal)
{
	CLEANUP(rules_clear) rule_vector add = { 0 };
	CLEANUP(rules_clear) rule_vector remove = { 0 };
	int r = FAULT("removal.exchange");

	if (r >= 0)
		r = rules_plan(ctx, PLAN_PORTS, &removal->replacing, &add);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_PORTS, &removal->rows, &remove);
	if (r >= 0)
		r = rules_exchange(ctx, &add, &remove, removal->settled, &removal->replacing,
				   PLAN_NETWORKS | PLAN_ENDPOINTS);
	if (r >= 0)
		r = FAULT("removal.flows");
	return r < 0 || is_update(removal) ? r : flows_drop_moved(ctx, &removal->rows);
}

static int remove_ports(bn_ctx *ctx, const struct removal *removal)
{
	bool unmet;
	int r;

	if (removal->replacing.ports.len)
		return exchange_ports(ctx, removal);
	if (!removal->rows.ports.len)
		return 0;
	r = remove_rules(ctx, PLAN_PORTS | PLAN_LETTING_IN, removal);
	/* those of the endpoints are dropped with all their others */
	if (r < 0 || removal->endpoints)
		return r;
	unmet = r > 0;
	r = FAULT("removal.flows");
	return r < 0 ? r : flows_drop_ports(ctx, &removal->rows, unmet);
}

static const char *network_id_of(const struct rows *rows, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, endpoint->network) == 0)
			return rows->networks.items[i].id;
	return ""; /* of a state that is damaged; no link has that */
}

static int remove_behind(bn_ctx *ctx, const struct rows *rows)
{
	int r = 0;

	for (size_t i = 0; i < rows->endpoints.len && r >= 0; i++) {
		const struct endpoint *endpoint = &rows->endpoints.items[i];

		for (size_t j = 0; endpoint->policy.routes_for.len && j < rows->networks.len; j++)
			if (r >= 0 && strcmp(rows->networks.items[j].name, endpoint->network) == 0)
				r = behind_remove(ctx, &rows->networks.items[j], endpoint, NULL);
	}
	return r;
}

static int remove_links(bn_ctx *ctx, const struct removal *removal)
{
	const endpoint_vector *endpoints = &removal->rows.endpoints;
	CLEANUP_FREE struct link_end *ends = calloc(endpoints->len + 1, sizeof(*ends));
	size_t len = 0;
	int r;

	if (!ends)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < endpoints->len; i++) {
		const struct endpoint *endpoint = &endpoints->items[i];

		if (endpoint->host_interface[0])
			ends[len++] = (struct link_end){ endpoint,
							 network_id_of(&removal->rows, endpoint) };
	}
	if (!len)
		return 0;
	r = remove_behind(ctx, &removal->rows);
	if (r >= 0)
		r = FAULT("removal.links");
	if (r < 0)
		return r;
	ctx->changed = true;
	return removal->quick ? link_endpoints_cut(ctx->link, ends, len, &ctx->error) :
				link_endpoints_delete(ctx->link, ends, len, &ctx->error);
}

static int remove_endpoints(bn_ctx *ctx, const struct removal *removal)
{
	const struct rows *rows = &removal->rows;
	int r;

	if (!removal->endpoints || !rows->endpoints.len)
		return 0;
	r = remove_links(ctx, removal);
	if (r >= 0)
		r = FAULT("removal.flows");
	if (r >= 0)
		r = flows_drop_endpoints(ctx, rows);
	if (r >= 0)
		siblings_set_sources(ctx, &rows->endpoints);
	if (r >= 0)
		routing_remove(ctx, &rows->endpoints);
	return r;
}

/* On somebody's bridge the host's loopback addresses are kept apart by drops: what lets them be
 * reached goes before those. */
static int remove_networks(bn_ctx *ctx, const struct operation *operation,
			   const struct removal *removal)
{
	const network_vector *networks = &removal->rows.networks;
	int r = 0;

	if (!removal->networks)
		return 0;
	for (size_t i = 0; i + removal->staying < networks->len && r >= 0; i++) {
		const struct driver_ops *driver = driver_of(&networks->items[i]);

		/* before our own drops */
		if (coexist_inserts(&networks->items[i]))
			r = coexist_close(ctx, &networks->items[i]);
		if (r >= 0 && driver->network_remove && network_is_ready(&networks->items[i]))
			r = driver->network_remove(ctx, &networks->items[i]);
		if (r >= 0 && networks->items[i].bridge_adopted)
			r = settings_give_back_bridge(ctx, operation, &networks->items[i]);
	}
	return r;
}

/* Nothing is left that the drops keep anything out of. */
static int remove_protection(bn_ctx *ctx, const struct removal *removal)
{
	uint32_t scopes = PLAN_OTHERS;
	struct removal networks = { .networks = true, .settled = removal->settled };
	int r = FAULT("removal.protection");

	/* what was replaced has gone in the same step */
	if (!removal->replacing.ports.len)
		scopes |= PLAN_PORTS;

	if (removal->endpoints)
		scopes |= PLAN_ENDPOINTS;
	if (removal->networks && !removal->staying)
		scopes |= PLAN_NETWORKS;
	if (r >= 0)
		r = remove_rules(ctx, scopes, removal);
	if (r < 0 || !removal->staying)
		return r;
	networks.rows.networks.items = removal->rows.networks.items;
	networks.rows.networks.len = removal->rows.networks.len - removal->staying;
	return remove_rules(ctx, PLAN_NETWORKS | PLAN_OTHERS, &networks);
}

/* Last: until then it could come back after a reboot, and be removed again. What an attach has made
 * for itself was defined before it. */
static int remove_definitions(bn_ctx *ctx, const struct operation *operation,
			      const struct removal *removal)
{
	const network_vector *networks = &removal->rows.networks;
	int r = 0;

	if (!removal->networks || operation->kind == OPERATION_ATTACH)
		return 0;
	for (size_t i = 0; i < networks->len && r >= 0; i++)
		r = persistent_remove(ctx, &networks->items[i]);
	return r;
}

int removal_run(bn_ctx *ctx, const struct operation *operation, const struct removal *removal)
{
	int r;

	r = remove_ports(ctx, removal);
	if (r >= 0)
		r = remove_endpoints(ctx, removal);
	if (r >= 0)
		r = remove_networks(ctx, operation, removal);
	if (r >= 0)
		r = remove_protection(ctx, removal);
	if (r >= 0)
		r = remove_definitions(ctx, operation, removal);
	if (!removal->async)
		link_deletions_await(ctx->link);
	return r;
}

/* ---- what nobody knows of any more ---- */

static bool has_interface(const struct rows *rows, const char *host_interface)
{
	for (size_t i = 0; i < rows->endpoints.len; i++)
		if (strcmp(rows->endpoints.items[i].host_interface, host_interface) == 0)
			return true;
	return false;
}

static bool has_bridge(const struct rows *rows, const char *bridge)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].bridge, bridge) == 0)
			return true;
	return false;
}

/* By an attach that has made it again, say. */
static bool is_defined(const struct rows *rows, const struct network *network)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, network->name) == 0)
			return true;
	return false;
}

/* But those of prefixes that an endpoint by now has again. */
static int remove_lost_behind(bn_ctx *ctx, const struct rows *lost, const struct endpoint *endpoint,
			      const struct rows *standing)
{
	struct endpoint has = { 0 };
	prefix_vector *list = &has.policy.routes_for;
	int r = 0;

	for (size_t i = 0; i < standing->endpoints.len && r >= 0; i++) {
		const prefix_vector *its = &standing->endpoints.items[i].policy.routes_for;

		for (size_t j = 0; j < its->len && r >= 0; j++)
			if (vector_append(list, its->items[j]) < 0)
				r = error_oom(&ctx->error);
	}
	for (size_t i = 0; i < lost->networks.len && r >= 0; i++)
		if (strcmp(lost->networks.items[i].name, endpoint->network) == 0)
			r = behind_remove(ctx, &lost->networks.items[i], endpoint, &has);
	free(list->items);
	return r;
}

static int remove_lost_links(bn_ctx *ctx, const struct rows *lost, const struct rows *standing)
{
	char alias[ALIAS_MAX], detour[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lost->endpoints.len && r >= 0; i++) {
		const struct endpoint *endpoint = &lost->endpoints.items[i];

		if (endpoint->policy.routes_for.len)
			r = remove_lost_behind(ctx, lost, endpoint, standing);
		if (r < 0 || !endpoint->host_interface[0] ||
		    has_interface(standing, endpoint->host_interface))
			continue;
		link_alias(network_id_of(lost, endpoint), endpoint->id, alias);
		detour_name(endpoint->host_interface, detour);
		r = link_endpoint_delete_owned(ctx->link, endpoint->host_interface, alias,
					       &ctx->error);
		if (r >= 0)
			r = link_endpoint_delete_owned(ctx->link, detour, alias, &ctx->error);
	}
	for (size_t i = 0; i < lost->networks.len && r >= 0; i++) {
		const struct network *network = &lost->networks.items[i];
		const struct driver_ops *driver = driver_of(network);

		if (coexist_inserts(network) && !is_defined(standing, network))
			r = coexist_close(ctx, network);
		if (r < 0 || !driver->network_remove || has_bridge(standing, network->bridge))
			continue;
		r = driver->network_remove(ctx, network);
		/* what came of a definition keeps it */
		if (r >= 0 && !network->planned_bridge[0] && !is_defined(standing, network))
			r = persistent_remove(ctx, network);
	}
	return r;
}

int removal_run_lost(bn_ctx *ctx, const struct rows *lost)
{
	CLEANUP(rows_clear) struct rows standing = { 0 };
	int r;

	r = rows_load_standing(ctx, &standing);
	if (r >= 0)
		r = rules_remove_lost(ctx, lost, &standing, PLAN_LETTING_IN);
	if (r >= 0)
		r = remove_lost_links(ctx, lost, &standing);
	if (r >= 0)
		r = flows_drop_lost(ctx, lost, &standing);
	if (r >= 0)
		r = rules_remove_lost(ctx, lost, &standing, PLAN_OTHERS);
	link_deletions_await(ctx->link);
	return r < 0 ? r : base_leave(ctx);
}
