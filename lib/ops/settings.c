/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/settings.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "base/fault.h"
#include "link/bridge.h"
#include "model/policy.h"
#include "ops/base.h"
#include "ops/rules.h"

static const char *family_word(int family)
{
	return family == AF_INET ? "ipv4" : "ipv6";
}

static const char *family_name(int family)
{
	return family == AF_INET ? "IPv4" : "IPv6";
}

/* ---- before ---- */

static int check_required(bn_ctx *ctx, const struct network *network, const char *found)
{
	for_each_family(family) {
		if (!network_is_forwarded(network, family) || !host_found_off(found, family))
			continue;
		return error_set(
			&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			"network %s needs forwarding of %s, and net.%s.conf.all.forwarding "
			"is 0, which option forwarding=require does not change; set it to "
			"1, or choose forwarding=guard or forwarding=on",
			network->name, family_name(family), family_word(family));
	}
	return 0;
}

/* As lines that guard_parse() reads, of one family or, for AF_UNSPEC, of all of it. */
static int format_guard(bn_ctx *ctx, const struct guard *guard, int family, char **ret_text)
{
	size_t size = 2 * sizeof("ipv4\n") + guard->bridges.len * (sizeof("bridge \n") + IFNAMSIZ);
	char *text = malloc(size), *end = text;

	if (!text)
		return error_oom(&ctx->error);
	*end = '\0';
	for_each_family(one)
		if (guard_has(guard, one) && (family == AF_UNSPEC || family == one))
			end += sprintf(end, "%s\n", family_word(one));
	for (size_t i = 0; i < guard->bridges.len && end > text; i++)
		end += sprintf(end, "bridge %s\n", guard->bridges.items[i].name);
	*ret_text = text;
	return 0;
}

/* Those that no network with rules is on. */
static int find_other_bridges(bn_ctx *ctx, struct guard *guard)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	size_t kept = 0;
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	if (r >= 0)
		r = link_bridges(ctx->link, guard, &ctx->error);
	for (size_t i = 0; i < guard->bridges.len && r >= 0; i++) {
		size_t j = 0;

		while (j < networks.len &&
		       (!network_has_rules(&networks.items[j]) ||
			strcmp(networks.items[j].bridge, guard->bridges.items[i].name) != 0))
			j++;
		if (j == networks.len)
			guard->bridges.items[kept++] = guard->bridges.items[i];
	}
	guard->bridges.len = kept;
	return r;
}

/* Only what we turn on, or have turned on for others, is guarded. */
static int choose_guard(bn_ctx *ctx, const struct network *network, struct host_text *text)
{
	CLEANUP(host_text_clear) struct host_text others = { 0 };
	CLEANUP(guard_clear) struct guard guard = { 0 };
	int r = 0;

	if (ctx->policy.forwarding == FORWARDING_GUARD)
		r = store_networks_found(ctx->store, STORE_PENDING, &others, &ctx->error);
	for_each_family(family) {
		bool *has = family == AF_INET ? &guard.ipv4 : &guard.ipv6;

		if (others.found && network_is_forwarded(network, family))
			*has = host_found_off(text->found, family) ||
			       host_found_off(others.found, family);
	}
	if (r >= 0 && (guard.ipv4 || guard.ipv6))
		r = find_other_bridges(ctx, &guard);
	return r < 0 ? r : format_guard(ctx, &guard, AF_UNSPEC, &text->guard);
}

int settings_record(bn_ctx *ctx, const struct operation *operation, const struct network *network)
{
	const char *adopted = network->bridge_adopted ? network->bridge : NULL;
	CLEANUP(host_text_clear) struct host_text text = { 0 };
	int r;

	r = host_found(ctx->link, network_is_forwarded(network, AF_INET),
		       network_is_forwarded(network, AF_INET6), adopted,
		       !network_is_managed(network), &text.found, &ctx->error);
	if (r >= 0 && ctx->policy.forwarding == FORWARDING_REQUIRE)
		r = check_required(ctx, network, text.found);
	if (r >= 0)
		r = choose_guard(ctx, network, &text);
	if (r < 0 || (!text.found[0] && !text.guard[0]))
		return r;
	return store_network_set_found(ctx->store, operation, &text, &ctx->error);
}

/* ---- changing ---- */

/* Nothing to be done where networks that stand have asked for as much. */
static int put_guard(bn_ctx *ctx, const struct guard *guard)
{
	CLEANUP(host_text_clear) struct host_text settled = { 0 };
	CLEANUP(guard_clear) struct guard stands = { 0 };
	int r;

	r = store_networks_found(ctx->store, 0, &settled, &ctx->error);
	if (r < 0)
		return r;
	if (guard_parse(settled.guard, &stands) < 0)
		return error_oom(&ctx->error);
	if (guard_includes(&stands, guard))
		return 0;
	r = FAULT("network.guard");
	return r < 0 ? r : rules_rebuild(ctx);
}

/* Who comes later is not turned on but with another network: to look at all routes with each attach
 * would take too long. */
static void say_what_is_shut(bn_ctx *ctx, const struct network *network,
			     const struct host_text *text)
{
	for_each_family(family) {
		if (!host_found_no_way(text->found, family))
			continue;
		ctx_log(ctx, LOG_NOTICE,
			"the host has no route of %s beyond its links, and so no interface by "
			"which network %s reaches the outside; once it has one, set "
			"net.%s.conf.INTERFACE.%s to 1, or create another network",
			family_name(family), network->name, family_word(family),
			family == AF_INET ? "forwarding" : "force_forwarding");
	}
}

static void say_what_is_open(bn_ctx *ctx, const struct network *network,
			     const struct host_text *text, const struct guard *guard)
{
	for_each_family(family) {
		if (!host_found_off(text->found, family) || guard_has(guard, family) ||
		    host_found_no_way(text->found, family))
			continue;
		ctx_log(ctx, LOG_NOTICE,
			"the host forwards %s between all its interfaces now, as network %s needs "
			"forwarding; with option forwarding=guard it forwards for networks alone",
			family_name(family), network->name);
	}
}

int settings_change(bn_ctx *ctx, const struct operation *operation, const struct network *network)
{
	CLEANUP(host_text_clear) struct host_text text = { 0 };
	CLEANUP(guard_clear) struct guard own = { 0 };
	CLEANUP(guard_clear) struct guard all = { 0 };
	int r;

	r = store_network_found(ctx->store, operation, &text, &ctx->error);
	if (r >= 0 && guard_parse(text.guard, &own) < 0)
		r = error_oom(&ctx->error);
	if (r >= 0)
		r = rules_guard(ctx, &all);
	if (r >= 0 && (own.ipv4 || own.ipv6))
		r = put_guard(ctx, &own);
	if (r < 0)
		return r;
	ctx->changed = true;
	r = host_forwarding_enable(ctx->link, network_is_forwarded(network, AF_INET),
				   network_is_forwarded(network, AF_INET6),
				   network->bridge_adopted ? network->bridge : NULL, &ctx->error);
	if (r < 0)
		return r;
	say_what_is_open(ctx, network, &text, &all);
	say_what_is_shut(ctx, network, &text);
	return r;
}

/* ---- changing again ---- */

/* What nobody has kept yet; *ret_guards: more of the guard than there is. */
static int find_new(bn_ctx *ctx, const struct network *network, int family, struct host_text *text,
		    bool *ret_guards)
{
	CLEANUP(host_text_clear) struct host_text kept = { 0 };
	CLEANUP(guard_clear) struct guard stands = { 0 };
	CLEANUP(guard_clear) struct guard wanted = { 0 };
	CLEANUP_FREE char *found = NULL;
	int r;

	r = store_networks_found(ctx->store, STORE_PENDING, &kept, &ctx->error);
	if (r >= 0)
		r = host_found(ctx->link, family == AF_INET, family == AF_INET6, NULL, true, &found,
			       &ctx->error);
	if (r >= 0)
		r = host_found_beyond(found, kept.found, &text->found, &ctx->error);
	if (r >= 0)
		r = choose_guard(ctx, network, text);
	if (r >= 0 &&
	    (guard_parse(kept.guard, &stands) < 0 || guard_parse(text->guard, &wanted) < 0))
		r = error_oom(&ctx->error);
	*ret_guards = r >= 0 && !guard_includes(&stands, &wanted);
	if (r >= 0 && !*ret_guards)
		text->guard[0] = '\0';
	return r;
}

int settings_keep_again(bn_ctx *ctx, const struct network *network, int family, bool *ret_guards)
{
	CLEANUP(host_text_clear) struct host_text text = { 0 };
	int r = find_new(ctx, network, family, &text, ret_guards);

	return r < 0 || (!text.found[0] && !*ret_guards) ?
		       r :
		       store_network_hand_over(ctx->store, family, &text, &ctx->error);
}

int settings_turn_on(bn_ctx *ctx, int family)
{
	struct base_needs needs;
	int r = base_needs_of(ctx, &needs);

	return r < 0 ? r :
		       host_forwarding_enable(ctx->link, family == AF_INET && needs.ipv4,
					      family == AF_INET6 && needs.ipv6, NULL, &ctx->error);
}

/* ---- giving back ---- */

void settings_clear(struct settings *settings)
{
	host_text_clear(&settings->text);
	guard_clear(&settings->guard);
}

int settings_load(bn_ctx *ctx, const struct operation *operation, struct settings *settings)
{
	int r;

	settings->undone = !operation_removes(operation->kind);
	r = store_network_found(ctx->store, operation, &settings->text, &ctx->error);
	return r < 0 ? r : rules_guard(ctx, &settings->guard);
}

/* /proc/sys may be read-only by now. No later try would do better, and the network is gone. */
static bool is_refused(int r)
{
	return r == -EROFS || r == -EACCES || r == -EPERM;
}

int settings_give_back_bridge(bn_ctx *ctx, const struct operation *operation,
			      const struct network *network)
{
	CLEANUP(host_text_clear) struct host_text text = { 0 };
	int r = store_network_found(ctx->store, operation, &text, &ctx->error);

	if (r >= 0)
		r = host_give_back_bridge(ctx->link, text.found, network->bridge, &ctx->error);
	if (!is_refused(r))
		return r;
	/* to be said with the rest */
	error_clear(&ctx->error);
	return 0;
}

/* Who needs forwarding by now gives it back when it goes; and the guard stays with it, but one that
 * was to come over what was on. */
static int hand_over(bn_ctx *ctx, const struct settings *settings, int family)
{
	CLEANUP(host_text_clear) struct host_text rest = { 0 };
	CLEANUP(guard_clear) struct guard guard = { 0 };
	int r;

	r = host_found_forwarding(settings->text.found, family == AF_INET, family == AF_INET6,
				  &rest.found, &ctx->error);
	if (r < 0)
		return r;
	if ((!settings->undone || host_found_off(rest.found, family)) &&
	    guard_parse(settings->text.guard, &guard) < 0)
		return error_oom(&ctx->error);
	r = format_guard(ctx, &guard, family, &rest.guard);
	return r < 0 || (!rest.found[0] && !rest.guard[0]) ?
		       r :
		       store_network_hand_over(ctx->store, family, &rest, &ctx->error);
}

/* ---- networks of other states ---- */

/* By a rule that each network has of just its families. */
static bool is_of_another_state(const struct rule *rule, int family, const network_vector *networks)
{
	if (rule->kind != RULE_ESTABLISHED_ACCEPT || rule->family != family)
		return false;
	for (size_t i = 0; i < networks->len; i++)
		if (strcmp(networks->items[i].bridge, rule->out) == 0)
			return false;
	return true;
}

/* No state knows of another: their rules are what shows them. */
static int others_in(bn_ctx *ctx, struct firewall *firewall, int family)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	/* without the lock that listing takes */
	int r = firewall->backend->present(firewall, &ctx->error);

	if (r <= 0)
		return r;
	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	if (r >= 0)
		r = firewall_list(firewall, NULL, &rules, &ctx->error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rules.len; i++)
		if (is_of_another_state(&rules.items[i], family, &networks))
			return 1;
	return 0;
}

/* Do networks of another state in this namespace rely on what we have turned on? */
static int serves_another_state(bn_ctx *ctx, const char *found, int family)
{
	const struct firewall_backend *const *backend;
	CLEANUP_FREE char *forwarding = NULL;
	struct firewall *other;
	int r;

	r = host_found_forwarding(found, family == AF_INET, family == AF_INET6, &forwarding,
				  &ctx->error);
	if (r < 0 || !forwarding[0])
		return r;
	r = others_in(ctx, ctx->firewall, family);
	for (backend = firewall_backends; *backend && r == 0; backend++) {
		if (*backend == ctx->firewall->backend)
			continue;
		if (ctx_try_backend(ctx, *backend, &other) < 0) {
			/* what can't be had holds nothing of bridgenet's */
			error_clear(&ctx->error);
			continue;
		}
		r = others_in(ctx, other, family);
		firewall_close(other);
	}
	if (r > 0)
		ctx_log(ctx, LOG_NOTICE,
			"forwarding of %s stays as it is: networks of another state use it",
			family_name(family));
	return r;
}

static int add_bridge(struct guard *guard, const char *name)
{
	struct guard_bridge bridge;

	for (size_t i = 0; i < guard->bridges.len; i++)
		if (strcmp(guard->bridges.items[i].name, name) == 0)
			return 0;
	string_copy(bridge.name, sizeof(bridge.name), name);
	return vector_append(&guard->bridges, bridge);
}

/* The guard of a family goes once forwarding is off; not where that stays. */
static int drop_guard(bn_ctx *ctx, const struct guard *before, bool stays_ipv4, bool stays_ipv6)
{
	CLEANUP(guard_clear) struct guard after = { 0 };
	int r = rules_guard(ctx, &after);

	after.ipv4 |= stays_ipv4 && before->ipv4;
	after.ipv6 |= stays_ipv6 && before->ipv6;
	for (size_t i = 0; i < before->bridges.len && r >= 0 && (stays_ipv4 || stays_ipv6); i++)
		if (add_bridge(&after, before->bridges.items[i].name) < 0)
			r = error_oom(&ctx->error);
	return r < 0 || guard_includes(&after, before) ? r :
							 rules_remove_guard(ctx, before, &after);
}

/* 1 where the host stays as it is, in part. */
static int give_back(bn_ctx *ctx, const char *found, bool ipv4, bool ipv6)
{
	int r = host_give_back(ctx->link, found, ipv4, ipv6, &ctx->error);

	if (!is_refused(r))
		return r;
	ctx_log(ctx, LOG_WARNING, "a setting of the host stays as the network needed it: %s",
		ctx->error.message);
	error_clear(&ctx->error);
	return 1;
}

int settings_give_back(bn_ctx *ctx, const struct settings *settings)
{
	const char *found = settings->text.found;
	int r, ipv4 = 0, ipv6 = 0, left = 0;
	struct base_needs needs;

	r = base_needs_of(ctx, &needs);
	if (r >= 0 && !needs.ipv4)
		r = ipv4 = serves_another_state(ctx, found, AF_INET);
	if (r >= 0 && !needs.ipv6)
		r = ipv6 = serves_another_state(ctx, found, AF_INET6);
	if (r >= 0 && found[0])
		r = left = give_back(ctx, found, !needs.ipv4 && !ipv4, !needs.ipv6 && !ipv6);
	if (r >= 0 && needs.ipv4)
		r = hand_over(ctx, settings, AF_INET);
	if (r >= 0 && needs.ipv6)
		r = hand_over(ctx, settings, AF_INET6);
	return r < 0 ? r : drop_guard(ctx, &settings->guard, ipv4 || left, ipv6 || left);
}

static int host_forwards(bn_ctx *ctx, int family)
{
	CLEANUP_FREE char *found = NULL;
	int r = host_found(ctx->link, family == AF_INET, family == AF_INET6, NULL, false, &found,
			   &ctx->error);

	if (r == -EAFNOSUPPORT) {
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : !host_found_off(found, family);
}

/* What is in the kernel, whoever has put it there. */
static int read_guard(bn_ctx *ctx, struct guard *guard)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r = firewall_list(ctx->firewall, NULL, &rules, &ctx->error);

	for (size_t i = 0; i < rules.len && r >= 0; i++) {
		const struct rule *rule = &rules.items[i];

		if (rule->kind == RULE_GUARD_DROP)
			*(rule->family == AF_INET ? &guard->ipv4 : &guard->ipv6) = true;
		if (rule->kind == RULE_GUARD_BRIDGED_RETURN && add_bridge(guard, rule->in) < 0)
			r = error_oom(&ctx->error);
	}
	return r;
}

/* Is there one? Which is looked up alone, where a backend can. */
static int find_guard(bn_ctx *ctx)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	const struct guard guard = { .ipv4 = true, .ipv6 = true };
	const struct rows none = { 0 };
	CLEANUP(rules_clear) rule_vector wanted = { 0 };
	CLEANUP(rules_clear) rule_vector found = { 0 };
	int r = rules_plan_guarded(ctx, backend->traits(), PLAN_GUARD, &none, &guard, &wanted);

	if (r >= 0)
		r = firewall_list(ctx->firewall, &wanted, &found, &ctx->error);
	for (size_t i = 0; i < found.len && r == 0; i++)
		r = found.items[i].kind == RULE_GUARD_DROP;
	return r;
}

int settings_guard_stays(bn_ctx *ctx)
{
	CLEANUP(guard_clear) struct guard before = { 0 };
	struct guard after;
	int r = find_guard(ctx);

	if (r <= 0)
		return r;
	r = read_guard(ctx, &before);
	after = before;
	for_each_family(family) {
		if (r < 0 || !guard_has(&before, family))
			continue;
		r = host_forwards(ctx, family);
		*(family == AF_INET ? &after.ipv4 : &after.ipv6) = r > 0;
	}
	if (r >= 0)
		r = rules_remove_guard(ctx, &before, &after);
	if (r < 0 || (!after.ipv4 && !after.ipv6))
		return r;
	ctx_log(ctx, LOG_NOTICE,
		"the guard stays, as the host goes on to forward; it goes with the last network "
		"that is deleted once forwarding is off");
	return 1;
}
