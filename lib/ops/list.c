/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/list.h"

#include <errno.h>

#include "model/owner.h"
#include "ops/coexist.h"
#include "ops/driver.h"
#include "ops/rows.h"
#include "ops/rules.h"

/* ---- the state ---- */

/* *counts has room. */
static int count_all(bn_ctx *ctx, const network_vector *networks, counts_vector *counts)
{
	CLEANUP_FREE size_t *endpoints = calloc(networks->len + 1, sizeof(*endpoints));
	CLEANUP_FREE struct address_usage *usages = calloc(networks->len + 1, sizeof(*usages));
	int r;

	if (!endpoints || !usages)
		return error_oom(&ctx->error);
	r = store_endpoint_counts(ctx->store, networks, endpoints, &ctx->error);
	if (r >= 0)
		r = store_address_usages(ctx->store, networks, usages, &ctx->error);
	for (size_t i = 0; i < networks->len && r >= 0; i++)
		counts->items[counts->len++] = (struct network_counts){ endpoints[i], usages[i] };
	return r;
}

int list_networks(bn_ctx *ctx, const char *network, network_vector *networks, counts_vector *counts)
{
	struct rows rows = { 0 };
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = network ? rows_load_network(ctx, network, &rows) :
			      store_networks(ctx->store, 0, &rows.networks, &ctx->error);
	*networks = rows.networks;
	if (r >= 0 && vector_reserve(counts, networks->len) < 0)
		r = error_oom(&ctx->error);
	if (r >= 0)
		r = count_all(ctx, networks, counts);
	store_rollback(ctx->store);
	return r;
}

int list_counts(bn_ctx *ctx, const struct network *network, struct network_counts *ret_counts)
{
	const struct rows rows = rows_view(network, NULL, NULL, 0);
	counts_vector counts = { .items = ret_counts };

	return count_all(ctx, &rows.networks, &counts);
}

/* Of one endpoint, or of all of a network or of the state; one that is not there has none. */
static int load_endpoints(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows)
{
	int r;

	if (!network || !endpoint)
		return store_endpoints(ctx->store, network, 0, &rows->endpoints, &ctx->error);
	r = rows_load_endpoint(ctx, endpoint, rows);
	if (r != -ENOENT)
		return r;
	error_clear(&ctx->error);
	return 0;
}

int list_ports(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows)
{
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = network ? rows_load_network(ctx, network, rows) :
			      store_networks(ctx->store, 0, &rows->networks, &ctx->error);
	if (r >= 0 && network)
		network = rows->networks.items->name;
	if (r >= 0)
		r = load_endpoints(ctx, network, endpoint, rows);
	if (r >= 0)
		r = store_ports(ctx->store, network, endpoint, 0, &rows->ports, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* ---- rules ---- */

static int compare_rules(const void *left, const void *right)
{
	return rule_compare(left, right);
}

/* Those that are wanted, sorted. */
static void keep_wanted(rule_vector *rules, const rule_vector *wanted)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->len; i++) {
		if (bsearch(&rules->items[i], wanted->items, wanted->len, sizeof(*wanted->items),
			    compare_rules))
			rules->items[kept++] = rules->items[i];
		else
			free(rules->items[i].foreign);
	}
	rules->len = kept;
}

/* Rules stand in the kernel from before a row is settled until shortly before it goes. */
static int read_rows(bn_ctx *ctx, const char *network, struct rows *rows)
{
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = network ?
			    rows_load_network(ctx, network, rows) :
			    store_networks(ctx->store, STORE_PENDING, &rows->networks, &ctx->error);
	if (r >= 0 && network)
		network = rows->networks.items->name;
	if (r >= 0)
		r = store_endpoints(ctx->store, network, STORE_PENDING, &rows->endpoints,
				    &ctx->error);
	if (r >= 0 && network)
		r = store_ports(ctx->store, network, NULL, STORE_PENDING, &rows->ports,
				&ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* The kernel's rules do not say whose they are: the state does. */
static int find_owners(bn_ctx *ctx, const struct rows *rows, rule_vector *rules)
{
	if (owners_find(rules, &rows->networks, &rows->endpoints) < 0)
		return error_oom(&ctx->error);
	rules_sort(rules);
	return 0;
}

static int list_of_network(bn_ctx *ctx, const char *network, rule_vector *rules)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	CLEANUP(rows_clear) struct rows rows = { 0 };
	CLEANUP(rules_clear) rule_vector wanted = { 0 };
	int r;

	r = read_rows(ctx, network, &rows);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ROWS, &rows, &wanted);
	if (r >= 0 && wanted.len)
		r = firewall_list(ctx->firewall, &wanted, rules, &ctx->error);
	if (r < 0 || !wanted.len || (backend->traits() & PLAN_OWNERS))
		return r;
	r = find_owners(ctx, &rows, rules);
	rules_sort(&wanted);
	keep_wanted(rules, &wanted);
	return r;
}

static int list_all(bn_ctx *ctx, rule_vector *rules)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = 0;

	if (!(backend->traits() & PLAN_OWNERS))
		r = read_rows(ctx, NULL, &rows);
	if (r >= 0)
		r = firewall_list(ctx->firewall, NULL, rules, &ctx->error);
	if (r < 0 || (backend->traits() & PLAN_OWNERS))
		return r;
	return find_owners(ctx, &rows, rules);
}

#define LIST_TRIES 4 /* against a state that changes while the kernel's rules are read */

/* What was read of the kernel goes with the state as it is now: 1; or only with the backend that
 * the state is in: 0; or, of a state that has moved, with neither: -ESTALE. */
static int check_view(bn_ctx *ctx, uint64_t before)
{
	char recorded[META_MAX];
	uint64_t after = before;
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = store_meta_get(ctx->store, "backend", recorded, &ctx->error);
	if (r >= 0)
		r = store_generation(ctx->store, &after, &ctx->error);
	store_rollback(ctx->store);
	if (r < 0)
		return r;
	if (recorded[0] && strcmp(recorded, ctx->firewall->backend->name) != 0)
		return -ESTALE;
	return before == after;
}

int list_rules(bn_ctx *ctx, const char *network, const struct firewall_backend **ret_backend,
	       rule_vector *rules)
{
	uint64_t generation = 0;
	int r;

	for (unsigned int attempt = 0;; attempt++) {
		r = ctx_open_firewall(ctx);
		if (r >= 0)
			r = store_generation(ctx->store, &generation, &ctx->error);
		if (r >= 0)
			r = network ? list_of_network(ctx, network, rules) : list_all(ctx, rules);
		if (r >= 0)
			r = coexist_list(ctx, network, rules);
		if (r >= 0)
			r = check_view(ctx, generation);
		if (r > 0 || (r == 0 && attempt >= LIST_TRIES))
			break;
		if (r < 0 && r != -ESTALE)
			return r;
		rules_clear(rules);
		r = deadline_pause(&ctx->deadline, attempt);
		if (r < 0)
			return deadline_error(&ctx->error, r,
					      "while the state was moved to another backend");
	}
	*ret_backend = ctx->firewall->backend;
	return 0;
}

/* The backend that is recorded, or asked for, or open; without any, the one that would be used. */
static int planning_backend(bn_ctx *ctx, const struct firewall_backend **ret_backend)
{
	char recorded[META_MAX];
	int r;

	r = store_meta_get(ctx->store, "backend", recorded, &ctx->error);
	if (r < 0)
		return r;
	*ret_backend = NULL;
	if (recorded[0] || ctx->backend[0])
		*ret_backend = firewall_backend_by_name(recorded[0] ? recorded : ctx->backend);
	if (!*ret_backend && ctx->firewall)
		*ret_backend = ctx->firewall->backend;
	if (!*ret_backend)
		*ret_backend = firewall_backends[0];
	return 0;
}

int list_plan(bn_ctx *ctx, const char *network, const struct firewall_backend **ret_backend,
	      rule_vector *rules)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = planning_backend(ctx, ret_backend);
	if (r >= 0)
		r = rows_load(ctx, network, NULL, &rows);
	if (r >= 0)
		r = store_check_whole(ctx->store, &ctx->error);
	if (r >= 0)
		r = rules_plan_with(ctx, (*ret_backend)->traits(),
				    network ? PLAN_ROWS : PLAN_ROWS | PLAN_GUARD, &rows, rules);
	store_rollback(ctx->store);
	/* the base is there as long as there is a network that it serves */
	if (r >= 0 && !network && rules->len &&
	    plan_rules((*ret_backend)->traits(), PLAN_BASE, NULL, rules) < 0)
		r = error_oom(&ctx->error);
	if (r < 0)
		return r;
	rules_sort(rules);
	return 0;
}

/* ---- the kernel ---- */

int list_bridge(bn_ctx *ctx, const struct network *network, struct interface *ret_interface)
{
	char alias[ALIAS_MAX];
	int r;

	if (!network->bridge[0])
		return 0;
	link_alias(network->id, NULL, alias);
	r = link_interface_get(ctx->link, network->bridge, network->bridge_adopted ? NULL : alias,
			       ret_interface, &ctx->error);
	if (r == -ENODEV) {
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : 1;
}

int list_interface(bn_ctx *ctx, const struct endpoint *endpoint, struct interface *ret_interface)
{
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	int r;

	if (!endpoint->interface[0])
		return 0;
	r = sandbox_reopen(endpoint, &sandbox, &ctx->error);
	/* the path of a process that ends just then gives one of these, and next time -ENOENT */
	if (r == -EACCES || r == -ESRCH)
		r = sandbox_reopen(endpoint, &sandbox, &ctx->error);
	if (r >= 0)
		r = sandbox_interface_get(&sandbox, endpoint->interface, &ctx->deadline,
					  ret_interface, &ctx->error);
	if (r == -ENOENT || r == -ENODEV || r == -EINVAL || r == -ESRCH) {
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : 1;
}

static int copy_addresses(bn_ctx *ctx, const prefix_vector *from, prefix_vector *to)
{
	if (vector_reserve(to, from->len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < from->len; i++)
		*vector_push(to) = from->items[i];
	return 0;
}

int list_addresses(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		   prefix_vector *shared, prefix_vector *addresses)
{
	const struct driver_ops *driver = driver_of(network);
	int r = 0;

	if (driver->endpoint_addresses && !shared->len)
		r = driver->endpoint_addresses(ctx, shared);
	if (r < 0 || driver->endpoint_addresses)
		return r < 0 ? r : copy_addresses(ctx, shared, addresses);
	for_each_family(family)
		for_each_address(prefix, endpoint, family)
			if (vector_append(addresses, *prefix) < 0)
				return error_oom(&ctx->error);
	return 0;
}
