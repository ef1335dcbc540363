/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/strays.h"

#include <errno.h>

#include "model/ipam.h"
#include "ops/plan.h"
#include "ops/rows.h"

/* Whoever makes a network has its rules first, and then its bridge. */
#define BRIDGE_COMES_MS 1500

struct search {
	const struct firewall *firewall;
	rule_vector kernel;  /* what is there */
	rule_vector planned; /* what the state has, with what is on its way in or out; sorted */
	struct rows rows;    /* of that */
	struct strays_view view;
};

static void search_clear(struct search *search)
{
	rules_clear(&search->kernel);
	rules_clear(&search->planned);
	rows_clear(&search->rows);
	strays_view_clear(&search->view);
}

void strays_view_clear(struct strays_view *view)
{
	free(view->routed.items);
	free(view->known.items);
	*view = (struct strays_view){ 0 };
}

int strays_view(bn_ctx *ctx, const rule_vector *kernel, const network_vector *networks,
		struct strays_view *ret_view)
{
	*ret_view = (struct strays_view){ .kernel = kernel, .networks = networks };
	return link_routed_prefixes(ctx->link, &ret_view->routed, &ctx->error);
}

static int compare_rules(const void *a, const void *b)
{
	return rule_compare(a, b);
}

static bool has_rule(const rule_vector *rules, const struct rule *rule)
{
	return rules->len && bsearch(rule, rules->items, rules->len, sizeof(*rule), compare_rules);
}

static bool owners_are_told(const struct search *search)
{
	return search->firewall->backend->traits() & PLAN_OWNERS;
}

/* As the kernel's rules tell of their owners: a chain has the label of a network, and no more. */
static void keep_labels(rule_vector *rules)
{
	for (size_t i = 0; i < rules->len; i++) {
		struct rule *rule = &rules->items[i];

		/* they are in nftables, with their owners */
		if (rule_is_of_frames(rule))
			continue;
		string_copy(rule->network, sizeof(rule->network), rule->label);
		rule->endpoint[0] = '\0';
	}
}

/* Whoever adds rules has reserved their rows before: so the kernel is read first, but where the
 * base is made again, which is alone. */
static int search_load(bn_ctx *ctx, struct firewall *firewall, struct search *search)
{
	const struct firewall_backend *backend = firewall->backend;
	bool begins = !store_has_begun(ctx->store);
	int r = firewall_list(firewall, NULL, &search->kernel, &ctx->error);

	search->firewall = firewall;
	if (r >= 0 && begins)
		r = store_begin_read(ctx->store, &ctx->error);
	if (r >= 0)
		r = rows_load_all(ctx, &search->rows);
	if (r >= 0)
		r = rules_plan_with(ctx, backend->traits(), PLAN_ROWS | PLAN_GUARD, &search->rows,
				    &search->planned);
	if (begins)
		store_rollback(ctx->store);
	if (r >= 0)
		r = strays_view(ctx, &search->kernel, &search->rows.networks, &search->view);
	if (!owners_are_told(search))
		keep_labels(&search->planned);
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

/* Of a MAC there is one drop; all else is said of a port. */
static bool frames_meet(const struct rule *a, const struct rule *b)
{
	if (a->kind == RULE_FRAME_STRAY_DROP)
		return memcmp(a->mac, b->mac, MAC_LEN) == 0;
	return strcmp(a->in, b->in) == 0;
}

bool strays_meet(const struct rule *a, const struct rule *b)
{
	return a->kind == b->kind && a->family == b->family && ports_meet(a, b) &&
	       addresses_meet(&a->source, &b->source) &&
	       addresses_meet(&a->destination, &b->destination) &&
	       (rule_is_of_frames(a) ? frames_meet(a, b) : devices_meet(a, b));
}

static bool meets_any(const struct rule *rule, const rule_vector *add)
{
	for (size_t i = 0; i < add->len; i++) {
		if (strays_meet(rule, &add->items[i]))
			return true;
	}
	return false;
}

/* With the drop of its MAC goes all that is said of a port. */
static bool is_in_the_way(const struct strays_view *view, const struct rule *rule,
			  const rule_vector *add)
{
	bool met = meets_any(rule, add);

	for (size_t i = 0; i < view->kernel->len && !met && rule_is_of_frames(rule); i++) {
		const struct rule *other = &view->kernel->items[i];

		met = other->kind == RULE_FRAME_STRAY_DROP && strcmp(other->in, rule->in) == 0 &&
		      meets_any(other, add);
	}
	return met;
}

static bool is_in_this_state(const struct strays_view *view, const struct addr *addr);
static bool leads_somewhere(const struct strays_view *view, const struct addr *to);

/* ---- of nobody: rules of networks ---- */

/* Does a bridge of that name stand that was not made for a network of this state? One that was
 * adopted may serve another state as well. */
static int bridge_is_of_others(bn_ctx *ctx, const struct strays_view *view, const char *name)
{
	for (size_t i = 0; i < view->networks->len; i++) {
		const struct network *network = &view->networks->items[i];
		struct interface bridge = { 0 };
		char alias[ALIAS_MAX];
		int r;

		if (network->bridge_adopted || strcmp(network->bridge, name) != 0)
			continue;
		link_alias(network->id, NULL, alias);
		r = link_interface_get(ctx->link, name, alias, &bridge, &ctx->error);
		interface_clear(&bridge);
		if (r != -ENODEV)
			return r;
		error_clear(&ctx->error);
	}
	return link_exists(ctx->link, name, &ctx->error);
}

/* Is a bridge that the rule itself names one that was made for this state? */
static int is_about_own_bridge(bn_ctx *ctx, const struct strays_view *view, const struct rule *rule)
{
	int r = 0;

	for (size_t i = 0; i < view->networks->len && r == 0; i++) {
		const struct network *network = &view->networks->items[i];

		if (network->bridge_adopted || !network->bridge[0] ||
		    (strcmp(network->bridge, rule->in) != 0 &&
		     strcmp(network->bridge, rule->out) != 0))
			continue;
		r = bridge_is_of_others(ctx, view, network->bridge);
		return r < 0 ? r : !r;
	}
	return r;
}

/* Does the rule name a device that stands, and is no bridge of this state, or a subnet that the
 * host reaches and that is none of this state's? */
int strays_names_others(bn_ctx *ctx, const struct strays_view *view, const struct rule *rule)
{
	const char *const devices[] = { rule->in, rule->out };
	const struct prefix *const prefixes[] = { &rule->source, &rule->destination };
	bool named = false; /* what names a bridge is told by that alone */

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		size_t j = 0;
		int r;

		if (!devices[i][0] || strcmp(devices[i], LOOPBACK_DEVICE) == 0)
			continue;
		named = true;
		while (j < view->networks->len &&
		       strcmp(view->networks->items[j].bridge, devices[i]) != 0)
			j++;
		r = j < view->networks->len ? 0 : link_exists(ctx->link, devices[i], &ctx->error);
		if (r != 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(prefixes) && !named; i++)
		if (addr_is_set(&prefixes[i]->addr) && !addr_is_loopback(&prefixes[i]->addr) &&
		    !is_in_this_state(view, &prefixes[i]->addr) &&
		    leads_somewhere(view, &prefixes[i]->addr))
			return 1;
	return 0;
}

/* Does a bridge stand that rules of that network name? */
static int network_is_elsewhere(bn_ctx *ctx, const struct strays_view *view,
				const struct rule *rule)
{
	int r = 0;

	for (size_t i = 0; i < view->kernel->len && r == 0; i++) {
		const struct rule *other = &view->kernel->items[i];
		const char *const devices[] = { other->in, other->out };

		if (strcmp(other->network, rule->network) != 0)
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(devices) && r == 0; j++) {
			if (devices[j][0] && strcmp(devices[j], LOOPBACK_DEVICE) != 0)
				r = bridge_is_of_others(ctx, view, devices[j]);
		}
	}
	return r;
}

/* ---- of nobody: rules of endpoints and ports, by the addresses that they are about ---- */

/* No other state has a subnet that overlaps. */
static bool is_in_this_state(const struct strays_view *view, const struct addr *addr)
{
	for (size_t i = 0; i < view->networks->len; i++)
		if (network_subnet_with(&view->networks->items[i], addr))
			return true;
	return false;
}

static bool leads_somewhere(const struct strays_view *view, const struct addr *to)
{
	for (size_t i = 0; i < view->routed.len; i++) {
		const struct prefix *prefix = &view->routed.items[i];

		if (ipam_route_blocks(prefix) && prefix_contains(prefix, to))
			return true;
	}
	return false;
}

static bool is_of_one_mapping(const struct rule *a, const struct rule *b)
{
	return strcmp(a->network, b->network) == 0 && strcmp(a->endpoint, b->endpoint) == 0 &&
	       a->family == b->family && a->protocol == b->protocol &&
	       a->host_port == b->host_port && a->count == b->count &&
	       prefix_compare(&a->destination, &b->destination) == 0;
}

/* What does not say where the port leads is told by what does; its owner may have got no further
 * yet. */
static const struct rule *mapping_of(const struct strays_view *view, const struct rule *rule)
{
	for (size_t i = 0; i < view->kernel->len; i++) {
		const struct rule *other = &view->kernel->items[i];

		if (other->target == TARGET_DNAT && other->kind != RULE_FOREIGN &&
		    is_of_one_mapping(rule, other))
			return other;
	}
	return NULL;
}

/* Frames are told by the port that they come by; that had an address of this state. What lies
 * behind it may be anybody's. */
static bool had_address_here(const struct strays_view *view, const char *port)
{
	for (size_t i = 0; i < view->kernel->len; i++) {
		const struct rule *other = &view->kernel->items[i];

		if (rule_is_of_frames(other) && strcmp(other->in, port) == 0 &&
		    kind_of(other->kind)->each != EACH_BEHIND && addr_is_set(&other->source.addr) &&
		    is_in_this_state(view, &other->source.addr))
			return true;
	}
	return false;
}

/* This state has given the address, or the port, to whom it is added for: so whoever of this state
 * had it has it no more. */
static bool is_left_over(const struct strays_view *view, const struct rule *rule)
{
	const struct rule *mapping = rule->target == TARGET_DNAT ? rule :
				     rule->host_port             ? mapping_of(view, rule) :
								   NULL;
	const struct prefix *address = addr_is_set(&rule->source.addr) ? &rule->source :
									 &rule->destination;

	if (rule_is_of_frames(rule))
		return had_address_here(view, rule->in);
	if (mapping)
		return is_in_this_state(view, &mapping->to) || !leads_somewhere(view, &mapping->to);
	return addr_is_set(&address->addr) && is_in_this_state(view, &address->addr);
}

static bool is_of_this_state(const struct strays_view *view, const struct rule *rule)
{
	const struct rule *mapping = rule->target == TARGET_DNAT ? rule :
				     rule->host_port             ? mapping_of(view, rule) :
								   NULL;

	return !mapping || is_in_this_state(view, &mapping->to);
}

static int network_verdict(bn_ctx *ctx, struct strays_view *view, const struct rule *rule)
{
	struct strays_network *known;
	int r = strays_names_others(ctx, view, rule);

	if (r != 0)
		return r < 0 ? r : STRAYS_MAYBE_OTHERS;
	for (size_t i = 0; i < view->known.len; i++)
		if (strcmp(view->known.items[i].name, rule->network) == 0)
			return view->known.items[i].elsewhere ? STRAYS_MAYBE_OTHERS :
								STRAYS_NOBODYS_NOW;
	r = network_is_elsewhere(ctx, view, rule);
	if (r < 0)
		return r;
	known = vector_push(&view->known);
	if (!known)
		return error_oom(&ctx->error);
	*known = (struct strays_network){ rule->network, r };
	return r ? STRAYS_MAYBE_OTHERS : STRAYS_NOBODYS_NOW;
}

int strays_judge(bn_ctx *ctx, struct strays_view *view, const struct rule *rule)
{
	int r = kind_of(rule->kind)->scope == PLAN_NETWORKS ? is_about_own_bridge(ctx, view, rule) :
							      is_left_over(view, rule);

	bool here = kind_of(rule->kind)->scope == PLAN_NETWORKS || is_of_this_state(view, rule);

	/* that it leads nowhere may be what somebody has done to another state */
	return r < 0 ? r : r && here ? STRAYS_NOBODYS : network_verdict(ctx, view, rule);
}

/* ---- what is both ---- */

/* strays_verdict, or negative. */
static int judge(bn_ctx *ctx, struct search *search, const struct rule *rule,
		 const rule_vector *add)
{
	bool of_network = kind_of(rule->kind)->scope == PLAN_NETWORKS;
	int r;

	if (rule->kind == RULE_FOREIGN || !rule->network[0] || has_rule(&search->planned, rule) ||
	    !is_in_the_way(&search->view, rule, add))
		return STRAYS_MAYBE_OTHERS;
	/* elsewhere they keep nothing out */
	if (of_network && !owners_are_told(search))
		return STRAYS_MAYBE_OTHERS;
	if (!of_network && !rule_is_of_frames(rule))
		return is_left_over(&search->view, rule) ? STRAYS_NOBODYS : STRAYS_MAYBE_OTHERS;
	r = strays_judge(ctx, &search->view, rule);
	return of_network && r == STRAYS_NOBODYS ? STRAYS_NOBODYS_NOW : r;
}

/* seen: what is nobody's now must have been so before; NULL: not yet. 1: some is. */
static int find(bn_ctx *ctx, struct search *search, const rule_vector *add, const rule_vector *seen,
		rule_vector *strays)
{
	bool waits = false;
	int r = 0;

	for (size_t i = 0; i < search->kernel.len && r >= 0; i++) {
		const struct rule *rule = &search->kernel.items[i];

		r = judge(ctx, search, rule, add);
		if (r == STRAYS_NOBODYS_NOW && seen && !has_rule(seen, rule))
			continue;
		waits |= r == STRAYS_NOBODYS_NOW;
		if (r > STRAYS_MAYBE_OTHERS && vector_append(strays, *rule) < 0)
			r = error_oom(&ctx->error);
	}
	return r < 0 ? r : waits;
}

int strays_wait(bn_ctx *ctx)
{
	const struct deadline pause = deadline_within(&ctx->deadline, BRIDGE_COMES_MS);
	int r;

	while (clock_now_ms() < pause.end) {
		r = deadline_wait(&pause, -1);
		if (deadline_ended(r))
			break;
		if (r < 0)
			return error_set(&ctx->error, r, BN_REASON_KERNEL, "wait for a bridge: %s",
					 strerror(-r));
	}
	r = deadline_check(&ctx->deadline);
	return r < 0 ? deadline_error(&ctx->error, r,
				      "before rules were taken out that may be of "
				      "another state directory") :
		       0;
}

int strays_find(bn_ctx *ctx, struct firewall *firewall, const rule_vector *add,
		rule_vector *ret_strays)
{
	CLEANUP(search_clear) struct search search = { 0 };
	CLEANUP(search_clear) struct search again = { 0 };
	CLEANUP_VECTOR rule_vector seen = { 0 };
	int r;

	r = search_load(ctx, firewall, &search);
	if (r >= 0)
		r = find(ctx, &search, add, NULL, &seen);
	if (r < 0)
		return r;
	if (!r) {
		*ret_strays = seen;
		seen = (rule_vector){ 0 };
		return 0;
	}
	rules_sort(&seen);
	r = strays_wait(ctx);
	if (r >= 0)
		r = search_load(ctx, firewall, &again);
	if (r >= 0)
		r = find(ctx, &again, add, &seen, ret_strays);
	return r < 0 ? r : 0;
}
