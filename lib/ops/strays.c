/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/strays.h"

#include <errno.h>

#include "model/ipam.h"
#include "ops/plan.h"
#include "ops/rows.h"

struct search {
	rule_vector kernel;  /* what is there */
	rule_vector planned; /* what the state has, with what is on its way in or out; sorted */
	struct rows rows;    /* of that */
	/* what tells of other states: where a rule says whose it is, their links; else what the
	 * host routes to */
	mark_vector marks;
	prefix_vector routed;
};

static void search_clear(struct search *search)
{
	rules_clear(&search->kernel);
	rules_clear(&search->planned);
	rows_clear(&search->rows);
	free(search->marks.items);
	free(search->routed.items);
}

static int compare_rules(const void *a, const void *b)
{
	return rule_compare(a, b);
}

static bool owners_are_told(const bn_ctx *ctx)
{
	return ctx->firewall->backend->traits() & PLAN_OWNERS;
}

static int rows_of_all(bn_ctx *ctx, struct rows *rows)
{
	int r = store_networks(ctx->store, STORE_PENDING, &rows->networks, &ctx->error);

	if (r >= 0)
		r = store_endpoints(ctx->store, NULL, STORE_PENDING, &rows->endpoints, &ctx->error);
	return r < 0 ? r :
		       store_ports(ctx->store, NULL, NULL, STORE_PENDING, &rows->ports,
				   &ctx->error);
}

/* Whoever adds rules has reserved their rows before: so the kernel is read first, but where the
 * base is made again, which is alone. */
static int search_load(bn_ctx *ctx, struct search *search)
{
	bool begins = !store_has_begun(ctx->store);
	int r = ctx->firewall->backend->list(ctx->firewall, NULL, &search->kernel, &ctx->error);

	if (r >= 0 && begins)
		r = store_begin_read(ctx->store, &ctx->error);
	if (r >= 0)
		r = rows_of_all(ctx, &search->rows);
	if (begins)
		store_rollback(ctx->store);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ROWS | PLAN_GUARD, &search->rows, &search->planned);
	if (r >= 0)
		r = owners_are_told(ctx) ?
			    link_marks(ctx->link, &search->marks, &ctx->error) :
			    link_routed_prefixes(ctx->link, &search->routed, &ctx->error);
	rules_sort(&search->planned);
	return r;
}

/* ---- in the way ---- */

static bool addresses_meet(const struct prefix *a, const struct prefix *b)
{
	if (!addr_is_set(&a->addr) || !addr_is_set(&b->addr))
		return addr_is_set(&a->addr) == addr_is_set(&b->addr);
	return prefix_overlaps(a, b);
}

static bool ports_meet(const struct rule *a, const struct rule *b)
{
	if (!a->host_port || !b->host_port)
		return a->host_port == b->host_port;
	return a->protocol == b->protocol && a->host_port < b->host_port + b->count &&
	       b->host_port < a->host_port + a->count;
}

static bool devices_meet(const struct rule *a, const struct rule *b)
{
	/* of an address there is one rule, whatever its devices are */
	if (addr_is_set(&a->source.addr) || addr_is_set(&a->destination.addr))
		return true;
	return strcmp(a->in, b->in) == 0 && strcmp(a->out, b->out) == 0;
}

static bool rules_meet(const struct rule *a, const struct rule *b)
{
	return a->kind == b->kind && a->family == b->family && ports_meet(a, b) &&
	       addresses_meet(&a->source, &b->source) &&
	       addresses_meet(&a->destination, &b->destination) && devices_meet(a, b);
}

static bool is_in_the_way(const struct rule *rule, const rule_vector *add)
{
	for (size_t i = 0; i < add->len; i++) {
		if (rules_meet(rule, &add->items[i]))
			return true;
	}
	return false;
}

/* ---- of nobody ---- */

static const struct network *network_of(const struct search *search, const char *name)
{
	for (size_t i = 0; i < search->rows.networks.len; i++) {
		if (strcmp(search->rows.networks.items[i].name, name) == 0)
			return &search->rows.networks.items[i];
	}
	return NULL;
}

/* An endpoint of that id in another state; of its network the kernel's rule says only the name. */
static bool endpoint_is_elsewhere(const struct search *search, const struct rule *rule)
{
	const struct network *network = network_of(search, rule->network);
	char own[ALIAS_MAX] = "";

	if (network)
		link_alias(network->id, rule->endpoint, own);
	for (size_t i = 0; i < search->marks.len; i++) {
		const char *alias = search->marks.items[i].alias;
		const char *slash = strchr(alias, '/');

		if (slash && strcmp(slash + 1, rule->endpoint) == 0 && strcmp(alias, own) != 0)
			return true;
	}
	return false;
}

static bool has_bridge(const struct search *search, const char *name)
{
	for (size_t i = 0; i < search->rows.networks.len; i++) {
		if (strcmp(search->rows.networks.items[i].bridge, name) == 0)
			return true;
	}
	return false;
}

/* Does a bridge of that network stand which is none of this state? Its rules name it. */
static int network_is_elsewhere(bn_ctx *ctx, const struct search *search, const struct rule *rule)
{
	int r = 0;

	for (size_t i = 0; i < search->kernel.len && r == 0; i++) {
		const struct rule *other = &search->kernel.items[i];
		const char *const devices[] = { other->in, other->out };

		if (strcmp(other->network, rule->network) != 0)
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(devices) && r == 0; j++) {
			if (devices[j][0] && strcmp(devices[j], LOOPBACK_DEVICE) != 0 &&
			    !has_bridge(search, devices[j]))
				r = link_exists(ctx->link, devices[j], &ctx->error);
		}
	}
	return r;
}

/* ---- whose a port is that a rule leads, by where it leads to ---- */

static bool leads_to_this_state(const struct search *search, const struct addr *to)
{
	for (size_t i = 0; i < search->rows.networks.len; i++) {
		const struct subnet *subnet =
			network_subnet(&search->rows.networks.items[i], to->family);

		/* no other state has a subnet that overlaps */
		if (subnet && prefix_contains(&subnet->prefix, to))
			return true;
	}
	return false;
}

static bool leads_somewhere(const struct search *search, const struct addr *to)
{
	for (size_t i = 0; i < search->routed.len; i++) {
		const struct prefix *prefix = &search->routed.items[i];

		if (ipam_route_blocks(prefix) && prefix_contains(prefix, to))
			return true;
	}
	return false;
}

/* This state has given the port to whom it is added for: so whom it leads to has it no more. */
static bool leads_to_nobody(const struct search *search, const struct rule *rule)
{
	return rule->kind == RULE_PORT_DNAT &&
	       (leads_to_this_state(search, &rule->to) || !leads_somewhere(search, &rule->to));
}

/* 1, 0 or negative. */
static int is_stray(bn_ctx *ctx, const struct search *search, const struct rule *rule,
		    const rule_vector *add)
{
	int r;

	if (rule->kind == RULE_FOREIGN || !rule->network[0])
		return 0;
	if (!owners_are_told(ctx))
		return is_in_the_way(rule, add) && leads_to_nobody(search, rule);
	if (search->planned.len &&
	    bsearch(rule, search->planned.items, search->planned.len, sizeof(*rule), compare_rules))
		return 0;
	if (!is_in_the_way(rule, add))
		return 0;
	if (rule->endpoint[0])
		return !endpoint_is_elsewhere(search, rule);
	r = network_is_elsewhere(ctx, search, rule);
	return r < 0 ? r : !r;
}

int strays_find(bn_ctx *ctx, const rule_vector *add, rule_vector *ret_strays)
{
	CLEANUP(search_clear) struct search search = { 0 };
	int r = search_load(ctx, &search);

	for (size_t i = 0; i < search.kernel.len && r >= 0; i++) {
		r = is_stray(ctx, &search, &search.kernel.items[i], add);
		if (r > 0 && vector_append(ret_strays, search.kernel.items[i]) < 0)
			r = error_oom(&ctx->error);
	}
	return r < 0 ? r : 0;
}
