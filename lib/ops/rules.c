/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/rules.h"

#include <errno.h>
#include <syslog.h>

#include "model/owner.h"
#include "model/port.h"

static uint32_t traits_of(const bn_ctx *ctx)
{
	return ctx->firewall->backend->traits;
}

static int plan_scopes(bn_ctx *ctx, uint32_t scopes, const struct rows *rows, rule_vector *rules)
{
	int r = plan_rules(traits_of(ctx), scopes, rows, rules);

	return r < 0 ? error_oom(&ctx->error) : 0;
}

int rules_plan_network(bn_ctx *ctx, const struct network *network, rule_vector *rules)
{
	const struct rows rows = rows_view(network, NULL, NULL, 0);

	return plan_scopes(ctx, PLAN_NETWORKS, &rows, rules);
}

int rules_plan_endpoint(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
			rule_vector *rules)
{
	const struct rows rows = rows_view(network, endpoint, NULL, 0);

	return plan_scopes(ctx, PLAN_ENDPOINTS, &rows, rules);
}

int rules_plan_ports(bn_ctx *ctx, const struct endpoint *endpoint, const struct port *ports,
		     size_t len, rule_vector *rules)
{
	CLEANUP(network_clear) struct network network = { 0 };
	struct rows rows;
	int r;

	if (!len)
		return 0;
	r = store_network_get(ctx->store, endpoint->network, &network, &ctx->error);
	if (r < 0)
		return r;
	rows = rows_view(&network, endpoint, ports, len);
	return plan_scopes(ctx, PLAN_PORTS, &rows, rules);
}

int rules_plan_state(bn_ctx *ctx, uint32_t traits, const char *name, rule_vector *rules)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	struct network *network;
	int r;

	if (name) {
		network = vector_push(&rows.networks);
		r = network ? store_network_get(ctx->store, name, network, &ctx->error) :
			      error_oom(&ctx->error);
		if (r >= 0)
			name = network->name;
	} else {
		r = store_networks(ctx->store, 0, &rows.networks, &ctx->error);
	}
	if (r >= 0)
		r = store_endpoints(ctx->store, name, 0, &rows.endpoints, &ctx->error);
	if (r >= 0)
		r = store_ports(ctx->store, name, NULL, 0, &rows.ports, &ctx->error);
	if (r < 0)
		return r;
	r = plan_rules(traits, PLAN_NETWORKS | PLAN_ENDPOINTS | PLAN_PORTS, &rows, rules);
	return r < 0 ? error_oom(&ctx->error) : 0;
}

/* The kernel's rules do not say whose they are: the state does. */
static int find_owners(bn_ctx *ctx, rule_vector *rules)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	if (r >= 0)
		r = store_endpoints(ctx->store, NULL, STORE_PENDING, &endpoints, &ctx->error);
	if (r < 0)
		return r;
	return owners_find(rules, &networks, &endpoints) < 0 ? error_oom(&ctx->error) : 0;
}

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

int rules_list(bn_ctx *ctx, const char *network, rule_vector *rules)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	int r;

	r = backend->list(ctx->firewall, network, rules, &ctx->error);
	if (r < 0 || backend->traits & PLAN_OWNERS)
		return r;
	r = find_owners(ctx, rules);
	if (r < 0)
		return r;
	if (network)
		keep_network(rules, network);
	rules_sort(rules);
	return 0;
}

static int apply(bn_ctx *ctx, const rule_vector *add, const rule_vector *remove, uint32_t flags)
{
	const struct firewall_change change = {
		.add = add ? add->items : NULL,
		.add_len = add ? add->len : 0,
		.remove = remove ? remove->items : NULL,
		.remove_len = remove ? remove->len : 0,
		.flags = flags,
	};

	int r = ctx->firewall->backend->apply(ctx->firewall, &change, &ctx->error);

	/* a port that only the kernel knows is taken, by another state directory */
	return r == -EEXIST && ctx->error.reason == BN_REASON_PORT_IN_USE ? -EADDRINUSE : r;
}

static int compare_rules(const void *a, const void *b)
{
	return rule_compare(a, b);
}

/* all := all without those in gone; both sorted on the way. */
static void subtract(rule_vector *all, rule_vector *gone)
{
	size_t kept = 0;

	rules_sort(gone);
	for (size_t i = 0; i < all->len; i++) {
		if (gone->len && bsearch(&all->items[i], gone->items, gone->len,
					 sizeof(*gone->items), compare_rules))
			continue;
		all->items[kept++] = all->items[i];
	}
	all->len = kept;
}

static int copy_rules(bn_ctx *ctx, const rule_vector *from, rule_vector *to)
{
	if (!from || !from->len)
		return 0;
	if (vector_reserve(to, from->len) < 0)
		return error_oom(&ctx->error);
	memcpy(to->items + to->len, from->items, from->len * sizeof(*from->items));
	to->len += from->len;
	return 0;
}

/* The base and everything of the state, plus add, less remove. */
static int rebuild(bn_ctx *ctx, const rule_vector *add, const rule_vector *remove)
{
	CLEANUP(rules_clear) rule_vector all = { 0 };
	CLEANUP(rules_clear) rule_vector gone = { 0 };
	int r;

	r = rules_plan_state(ctx, traits_of(ctx), NULL, &all);
	if (r >= 0)
		r = copy_rules(ctx, remove, &gone);
	if (r < 0)
		return r;
	/* what is added may be in the state already (a deletion that is being undone) */
	subtract(&all, &gone);
	gone.len = 0;
	r = copy_rules(ctx, add, &gone);
	if (r < 0)
		return r;
	subtract(&all, &gone);
	r = copy_rules(ctx, add, &all);
	if (r < 0 || (!all.len && !remove))
		return r;
	ctx_log(ctx, LOG_INFO, "making the rule base and %zu rules", all.len);
	/* only a part of the base may be gone, and what is to be removed still there */
	return apply(ctx, &all, remove, FIREWALL_BASE | FIREWALL_REPLACE | FIREWALL_MISSING_OK);
}

int rules_add(bn_ctx *ctx, const rule_vector *rules)
{
	int r;

	if (!rules->len)
		return 0;
	r = apply(ctx, rules, NULL, 0);
	return r == FIREWALL_BASE_MISSING ? rebuild(ctx, rules, NULL) : r;
}

int rules_remove(bn_ctx *ctx, const rule_vector *rules)
{
	int r;

	if (!rules->len)
		return 0;
	/* mostly all is there, and looking first can be spared */
	r = apply(ctx, NULL, rules, 0);
	if (r == -ENOENT) {
		error_clear(&ctx->error);
		r = apply(ctx, NULL, rules, FIREWALL_MISSING_OK);
	}
	return r == FIREWALL_BASE_MISSING ? rebuild(ctx, NULL, rules) : r;
}

void rules_undo_add(bn_ctx *ctx, const rule_vector *rules)
{
	struct error cause;
	int r = 0;

	ctx_undo_begin(ctx, &cause);
	if (rules->len)
		r = apply(ctx, NULL, rules, FIREWALL_MISSING_OK);
	ctx_undo_end(ctx, &cause, r == FIREWALL_BASE_MISSING ? 0 : r);
}

void rules_undo_remove(bn_ctx *ctx, const rule_vector *rules)
{
	struct error cause;
	int r = 0;

	ctx_undo_begin(ctx, &cause);
	if (rules->len)
		r = apply(ctx, rules, NULL, FIREWALL_REPLACE);
	if (r == FIREWALL_BASE_MISSING)
		r = rebuild(ctx, rules, NULL);
	ctx_undo_end(ctx, &cause, r);
}

static const struct endpoint *owner_of(const struct port *port, const struct endpoint *endpoints,
				       size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (port_is_of(port, &endpoints[i]))
			return &endpoints[i];
	return NULL;
}

typedef VECTOR(struct flow_filter) filter_vector;

static int add_filters(const struct port *port, const struct endpoint *endpoint, bool published,
		       filter_vector *filters)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct flow_filter *filter;
	const struct prefix *address;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		address = endpoint_prefix(endpoint, families[i]);
		if (!address || !port_has_family(port, families[i]))
			continue;
		filter = vector_push(filters);
		if (!filter)
			return -ENOMEM;
		*filter = (struct flow_filter){
			.host_addr = port->host_addr,
			.host_port = port->host_port,
			.count = port->count,
			.to = address->addr,
			.to_port = port->container_port,
			.published = published,
		};
	}
	return 0;
}

static int drop_flows(bn_ctx *ctx, const filter_vector *filters)
{
	CLEANUP_FREE struct addr *local = NULL;
	prefix_vector addresses = { 0 };
	int r;

	r = link_local_addresses(ctx->link, &addresses, &ctx->error);
	if (r >= 0) {
		local = calloc(addresses.len + 1, sizeof(*local));
		r = local ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0) {
		for (size_t i = 0; i < addresses.len; i++)
			local[i] = addresses.items[i].addr;
		r = conntrack_drop_flows(filters->items, filters->len, local, addresses.len,
					 ctx->deadline, &ctx->error);
	}
	free(addresses.items);
	return r;
}

int rules_drop_flows(bn_ctx *ctx, const struct endpoint *endpoints, size_t endpoints_len,
		     const struct port *ports, size_t ports_len, bool published)
{
	filter_vector filters = { 0 };
	const struct endpoint *endpoint;
	int r = 0;

	for (size_t i = 0; i < ports_len && r >= 0; i++) {
		if (ports[i].protocol != IPPROTO_UDP)
			continue;
		endpoint = owner_of(&ports[i], endpoints, endpoints_len);
		if (endpoint)
			r = add_filters(&ports[i], endpoint, published, &filters);
	}
	if (r < 0)
		error_oom(&ctx->error);
	else if (filters.len)
		r = drop_flows(ctx, &filters);
	free(filters.items);
	return r;
}
