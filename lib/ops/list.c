/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/list.h"

#include <errno.h>

#include "model/owner.h"
#include "ops/driver.h"
#include "ops/rows.h"
#include "ops/rules.h"

/* ---- the state ---- */

int list_networks(bn_ctx *ctx, const char *network, network_vector *networks,
		  count_vector *endpoint_counts)
{
	struct rows rows = { 0 };
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = network ? rows_load_network(ctx, network, &rows) :
			      store_networks(ctx->store, 0, &rows.networks, &ctx->error);
	*networks = rows.networks;
	if (r >= 0 && vector_reserve(endpoint_counts, networks->len) < 0)
		r = error_oom(&ctx->error);
	if (r >= 0)
		r = store_endpoint_counts(ctx->store, networks, endpoint_counts->items,
					  &ctx->error);
	store_rollback(ctx->store);
	endpoint_counts->len = r < 0 ? 0 : networks->len;
	return r;
}

/* The name of a network that is asked for by name or id, for as long as *rows lives. */
static int resolve_name(bn_ctx *ctx, const char **network, struct rows *rows)
{
	int r;

	if (!*network)
		return 0;
	r = rows_load_network(ctx, *network, rows);
	if (r >= 0)
		*network = rows->networks.items->name;
	return r;
}

int list_ports(bn_ctx *ctx, const char *network, const char *endpoint, port_vector *ports)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = resolve_name(ctx, &network, &rows);
	if (r >= 0)
		r = store_ports(ctx->store, network, endpoint, 0, ports, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* ---- rules ---- */

static void keep_network(rule_vector *rules, const char *network)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->len; i++) {
		if (strcmp(rules->items[i].network, network) == 0 &&
		    rules->items[i].kind != RULE_FOREIGN)
			rules->items[kept++] = rules->items[i];
		else
			free(rules->items[i].foreign);
	}
	rules->len = kept;
}

/* The kernel's rules do not say whose they are: the state does. */
static int find_owners(bn_ctx *ctx, const char *network, rule_vector *rules)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	CLEANUP(rows_clear) struct rows asked = { 0 };
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = resolve_name(ctx, &network, &asked);
	if (r >= 0)
		r = store_networks(ctx->store, STORE_PENDING, &rows.networks, &ctx->error);
	if (r >= 0)
		r = store_endpoints(ctx->store, NULL, STORE_PENDING, &rows.endpoints, &ctx->error);
	store_rollback(ctx->store);
	if (r < 0)
		return r;
	if (owners_find(rules, &rows.networks, &rows.endpoints) < 0)
		return error_oom(&ctx->error);
	if (network)
		keep_network(rules, network);
	rules_sort(rules);
	return 0;
}

int list_rules(bn_ctx *ctx, const char *network, const struct firewall_backend **ret_backend,
	       rule_vector *rules)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	bool owned = backend->traits & PLAN_OWNERS;
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = 0;

	*ret_backend = backend;
	if (!owned) {
		r = backend->list(ctx->firewall, NULL, rules, &ctx->error);
		return r < 0 ? r : find_owners(ctx, network, rules);
	}
	r = resolve_name(ctx, &network, &rows);
	return r < 0 ? r : backend->list(ctx->firewall, network, rules, &ctx->error);
}

/* The backend that is open, or recorded, or asked for; without any, the one that would be used. */
static int planning_backend(bn_ctx *ctx, const struct firewall_backend **ret_backend)
{
	char recorded[META_MAX];
	int r;

	r = store_meta_get(ctx->store, "backend", recorded, &ctx->error);
	if (r < 0)
		return r;
	*ret_backend = ctx->firewall ? ctx->firewall->backend : NULL;
	if (!*ret_backend && recorded[0])
		*ret_backend = firewall_backend_by_name(recorded);
	if (!*ret_backend && ctx->backend[0])
		*ret_backend = firewall_backend_by_name(ctx->backend);
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
	store_rollback(ctx->store);
	if (r < 0)
		return r;
	r = plan_rules((*ret_backend)->traits, PLAN_ROWS, &rows, rules);
	/* the base is there as long as there is a network that it serves */
	if (r >= 0 && !network && rules->len)
		r = plan_rules((*ret_backend)->traits, PLAN_BASE, NULL, rules);
	if (r < 0)
		return error_oom(&ctx->error);
	rules_sort(rules);
	return 0;
}

/* ---- the kernel ---- */

int list_bridge(bn_ctx *ctx, const struct network *network, struct interface *ret_interface)
{
	int r;

	if (!network->bridge[0])
		return 0;
	r = link_interface_get(ctx->link, network->bridge, ret_interface, &ctx->error);
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
	if (r >= 0)
		r = sandbox_interface_get(&sandbox, endpoint->interface, &ctx->deadline,
					  ret_interface, &ctx->error);
	if (r == -ENOENT || r == -ENODEV || r == -EINVAL) {
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
	const struct prefix *prefix;
	int r = 0;

	if (driver->endpoint_addresses && !shared->len)
		r = driver->endpoint_addresses(ctx, shared);
	if (r < 0 || driver->endpoint_addresses)
		return r < 0 ? r : copy_addresses(ctx, shared, addresses);
	if (vector_reserve(addresses, 2) < 0)
		return error_oom(&ctx->error);
	for_each_family(family) {
		prefix = endpoint_prefix(endpoint, family);
		if (prefix)
			*vector_push(addresses) = *prefix;
	}
	return 0;
}
