/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/coexist.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "base/fault.h"
#include "model/policy.h"

/* ---- each backend ---- */

/* 0: this host has nothing of that kind, or nothing that can be looked at; 1 and it is open. */
static int open_beside(bn_ctx *ctx, const struct firewall_backend *backend,
		       struct firewall **ret_firewall)
{
	int r;

	if (!backend->may_stop())
		return 0;
	if (ctx->firewall && ctx->firewall->backend == backend) {
		*ret_firewall = ctx->firewall;
		return 1;
	}
	r = ctx_try_backend(ctx, backend, ret_firewall);
	if (r == -EOPNOTSUPP || r == -EPERM) {
		ctx_log(ctx, LOG_DEBUG, "%s is not looked at: %s", backend->name,
			ctx->error.message);
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : 1;
}

static void close_beside(bn_ctx *ctx, struct firewall *firewall)
{
	if (firewall && firewall != ctx->firewall)
		firewall_close(firewall);
}

typedef int (*backend_fn)(bn_ctx *ctx, struct firewall *firewall, void *data);

static int each_backend(bn_ctx *ctx, backend_fn fn, void *data)
{
	int r = 0;

	for (const struct firewall_backend *const *backend = firewall_backends; *backend && r >= 0;
	     backend++) {
		struct firewall *firewall = NULL;

		r = open_beside(ctx, *backend, &firewall);
		if (r > 0)
			r = fn(ctx, firewall, data);
		close_beside(ctx, firewall);
	}
	return r < 0 ? r : 0;
}

/* ---- looking ---- */

static bool is_forwarded(const struct network *network)
{
	return network_passes(network, AF_INET) || network_passes(network, AF_INET6);
}

bool coexist_inserts(const struct network *network)
{
	/* one that came back from its definition may find the bridge to be somebody else's */
	return network->policy.coexist == COEXIST_INSERT && !network->bridge_adopted &&
	       is_forwarded(network);
}

void coexist_sight_clear(struct coexist_sight *sight)
{
	free(sight->passages.items);
	free(sight->barriers.items);
	free(sight->openings.items);
	*sight = (struct coexist_sight){ 0 };
}

static int add_passages(bn_ctx *ctx, const network_vector *networks, struct coexist_sight *sight)
{
	struct passage passage = { 0 };
	int r = 0;

	for (size_t i = 0; i < networks->len && r >= 0; i++) {
		passage.network = &networks->items[i];
		if (!is_forwarded(passage.network))
			continue;
		if (!sight->passages.len) {
			r = link_uplink(ctx->link, AF_INET, passage.uplink_ipv4, &ctx->error);
			if (r >= 0)
				r = link_uplink(ctx->link, AF_INET6, passage.uplink_ipv6,
						&ctx->error);
		}
		if (r >= 0 && vector_append(&sight->passages, passage) < 0)
			r = error_oom(&ctx->error);
	}
	return r;
}

static int find_barriers(bn_ctx *ctx, struct firewall *firewall, void *data)
{
	struct coexist_sight *sight = data;

	for (size_t i = 0; i < sight->passages.len; i++)
		sight->passages.items[i].own_tables = firewall == ctx->firewall;
	return firewall->backend->find_barriers(firewall, sight->passages.items,
						sight->passages.len, &sight->barriers, &ctx->error);
}

static int find_openings(bn_ctx *ctx, struct firewall *firewall, void *data)
{
	opening_vector *openings = data;

	return firewall->backend->find_openings(firewall, openings, &ctx->error);
}

static int look_with(bn_ctx *ctx, struct firewall *firewall, void *data)
{
	struct coexist_sight *sight = data;
	int r = sight->passages.len ? find_barriers(ctx, firewall, sight) : 0;

	return r < 0 ? r : find_openings(ctx, firewall, &sight->openings);
}

int coexist_look(bn_ctx *ctx, const network_vector *networks, struct coexist_sight *ret_sight)
{
	int r = add_passages(ctx, networks, ret_sight);

	return r < 0 ? r : each_backend(ctx, look_with, ret_sight);
}

/* What names its bridge alone is of the network that has made that: others have none. */
static bool is_of(const struct opening *opening, const struct network *network)
{
	if (opening->owner[0])
		return strncmp(opening->owner, network->id, ID_SHORT_LEN) == 0;
	return !network->bridge_adopted && strcmp(opening->bridge, network->bridge) == 0;
}

const struct network *coexist_owner(const struct opening *opening, const network_vector *networks)
{
	for (size_t i = 0; i < networks->len; i++)
		if (is_of(opening, &networks->items[i]))
			return &networks->items[i];
	return NULL;
}

struct coexist_pair coexist_pair(const opening_vector *openings, const struct opening *opening,
				 const struct network *network)
{
	struct coexist_pair pair = { 0 };

	for (size_t i = 0; i < openings->len; i++) {
		const struct opening *other = &openings->items[i];

		if (!is_of(other, network) || other->family != opening->family ||
		    strcmp(other->table, opening->table) != 0 ||
		    strcmp(other->chain, opening->chain) != 0)
			continue;
		if (strcmp(other->bridge, network->bridge) != 0)
			pair.odd++;
		else if (other->from)
			pair.from++;
		else
			pair.to++;
	}
	pair.whole = pair.from == 1 && pair.to == 1 && !pair.odd;
	return pair;
}

/* ---- of one network ---- */

static network_vector alone(const struct network *network)
{
	return (network_vector){ .items = (struct network *)network, .len = 1 };
}

static void say(bn_ctx *ctx, const struct network *network, const struct barrier *barrier)
{
	char text[BARRIER_TEXT * 2];

	barrier_text(barrier, text);
	ctx_log(ctx, LOG_NOTICE, "%s, which is somebody else's, stops what network %s forwards: %s",
		barrier->object, network->name, text);
	ctx_log(ctx, LOG_NOTICE, "network %s: %s", network->name, barrier->remedy);
}

void coexist_say(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(coexist_sight_clear) struct coexist_sight sight = { 0 };
	const network_vector networks = alone(network);
	struct error error = ctx->error;
	int r;

	if (!ctx->log || !is_forwarded(network))
		return;
	r = add_passages(ctx, &networks, &sight);
	if (r >= 0)
		r = each_backend(ctx, find_barriers, &sight);
	for (size_t i = 0; i < sight.barriers.len && r >= 0; i++)
		if (!sight.barriers.items[i].may_pass)
			say(ctx, network, &sight.barriers.items[i]);
	if (r < 0)
		ctx_log(ctx, LOG_DEBUG, "whether others stop network %s is not known: %s",
			network->name, ctx->error.message);
	ctx->error = error;
}

struct setting {
	const struct network *network;
	struct coexist_sight *sight; /* what is opened; NULL: all go */
};

/* What takes none is refused before anything is put anywhere; what stands behind our own rules in
 * the same chain is for a check to tell. */
static int check_barriers(bn_ctx *ctx, const struct network *network,
			  const struct coexist_sight *sight)
{
	char why[BARRIER_TEXT], text[BARRIER_TEXT * 2];

	for (size_t i = 0; i < sight->barriers.len; i++) {
		const struct barrier *barrier = &sight->barriers.items[i];

		if (barrier->is_ours_in || barrier_opens(barrier, network->bridge, why))
			continue;
		barrier_text(barrier, text);
		return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "option coexist=insert of network %s: %s stops %.120s, and takes "
				 "no rules of ours: %s",
				 network->name, barrier->object, text, why);
	}
	return 0;
}

static int set_with(bn_ctx *ctx, struct firewall *firewall, void *data)
{
	const struct setting *setting = data;
	const struct network *network = setting->network;
	CLEANUP_VECTOR barrier_vector here = { 0 };
	char why[BARRIER_TEXT];

	/* an opening lies in the tables of the backend whose barriers it is about */
	for (size_t i = 0; setting->sight && i < setting->sight->barriers.len; i++) {
		const struct barrier *barrier = &setting->sight->barriers.items[i];
		bool of_nft = barrier->table[0];

		if (of_nft == (strcmp(firewall->backend->name, "nftables") == 0) &&
		    barrier_opens(barrier, network->bridge, why) &&
		    vector_append(&here, *barrier) < 0)
			return error_oom(&ctx->error);
	}
	if (setting->sight && !here.len)
		return 0;
	return firewall->backend->set_openings(firewall, network->id, network->bridge,
					       setting->sight ? &here : NULL, &ctx->error);
}

int coexist_open(bn_ctx *ctx, const struct network *network, bool strict)
{
	CLEANUP(coexist_sight_clear) struct coexist_sight sight = { 0 };
	const network_vector networks = alone(network);
	struct setting setting = { .network = network, .sight = &sight };
	int r = add_passages(ctx, &networks, &sight);

	if (r >= 0)
		r = each_backend(ctx, find_barriers, &sight);
	if (r >= 0 && strict)
		r = check_barriers(ctx, network, &sight);
	if (r < 0 || !sight.barriers.len)
		return r;
	r = FAULT("coexist.open");
	if (r < 0)
		return r;
	ctx->changed = true;
	return each_backend(ctx, set_with, &setting);
}

int coexist_mend(bn_ctx *ctx, const struct network *network)
{
	CLEANUP_VECTOR opening_vector openings = { 0 };
	bool whole = true;
	int r = each_backend(ctx, find_openings, &openings);

	for (size_t i = 0; i < openings.len && r >= 0; i++)
		whole &= !is_of(&openings.items[i], network) ||
			 coexist_pair(&openings, &openings.items[i], network).whole;
	if (r >= 0 && !whole)
		r = coexist_close(ctx, network);
	return r < 0 ? r : coexist_open(ctx, network, false);
}

/* What says whose one is differs from backend to backend: in each its own go. */
static int close_unknown(bn_ctx *ctx, struct firewall *firewall, void *networks)
{
	CLEANUP_VECTOR opening_vector openings = { 0 };
	int r = find_openings(ctx, firewall, &openings);

	for (size_t i = 0; i < openings.len && r >= 0; i++) {
		const struct opening *opening = &openings.items[i];

		if (!coexist_owner(opening, networks))
			r = firewall->backend->set_openings(firewall, opening->owner,
							    opening->bridge, NULL, &ctx->error);
	}
	return r;
}

int coexist_close_unknown(bn_ctx *ctx, const network_vector *networks)
{
	return each_backend(ctx, close_unknown, (void *)networks);
}

int coexist_close(bn_ctx *ctx, const struct network *network)
{
	struct setting setting = { .network = network };
	int r = FAULT("coexist.close");

	if (r < 0)
		return r;
	ctx->changed = true;
	return each_backend(ctx, set_with, &setting);
}

int coexist_change_before(bn_ctx *ctx, const struct network *before, const struct network *after)
{
	return coexist_inserts(before) && !coexist_inserts(after) ? coexist_close(ctx, before) : 0;
}

int coexist_change_after(bn_ctx *ctx, const struct network *before, const struct network *after,
			 bool undoes)
{
	return coexist_inserts(after) ?
		       coexist_open(ctx, after, !undoes && !coexist_inserts(before)) :
		       0;
}

/* ---- moving ---- */

static int close_own(bn_ctx *ctx, const struct network *network)
{
	const struct setting setting = { .network = network };

	return set_with(ctx, ctx->firewall, (void *)&setting);
}

int coexist_move(bn_ctx *ctx)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	bool own = strcmp(ctx->firewall->backend->name, "nftables") != 0;
	int r = store_networks(ctx->store, STORE_STANDING, &networks, &ctx->error);

	for (size_t i = 0; i < networks.len && r >= 0; i++) {
		const struct network *network = &networks.items[i];

		if (!coexist_inserts(network))
			continue;
		/* an accept there would be final, before our own drops */
		if (own)
			r = close_own(ctx, network);
		if (r >= 0)
			r = coexist_open(ctx, network, false);
	}
	return r;
}

/* ---- listing ---- */

static int add_rule(const struct opening *opening, const struct network *network,
		    rule_vector *rules)
{
	struct rule *rule = vector_push(rules);
	char where[160];

	if (!rule)
		return -ENOMEM;
	rule_init(rule, kind_of(opening->from ? RULE_COEXIST_FROM : RULE_COEXIST_TO),
		  opening->family == NFPROTO_INET ? AF_UNSPEC :
		  opening->family == NFPROTO_IPV4 ? AF_INET :
						    AF_INET6);
	string_copy(opening->from ? rule->in : rule->out, IFNAMSIZ, opening->bridge);
	string_copy(rule->network, sizeof(rule->network), network->name);
	rule->packets = opening->packets;
	rule->bytes = opening->bytes;
	rule->handle = opening->handle;
	snprintf(where, sizeof(where), "%s%s %s",
		 !opening->table[0]              ? "" :
		 opening->family == NFPROTO_INET ? "inet " :
		 opening->family == NFPROTO_IPV4 ? "ip " :
						   "ip6 ",
		 opening->table[0] ? opening->table : "iptables-legacy filter", opening->chain);
	rule->foreign = strdup(where);
	return rule->foreign ? 0 : -ENOMEM;
}

int coexist_list(bn_ctx *ctx, const char *name, rule_vector *rules)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	CLEANUP_VECTOR opening_vector openings = { 0 };
	bool any = false;
	int r = store_networks(ctx->store, STORE_STANDING, &networks, &ctx->error);

	for (size_t i = 0; i < networks.len && r >= 0; i++)
		any |= coexist_inserts(&networks.items[i]);
	if (r < 0 || !any)
		return r;
	r = each_backend(ctx, find_openings, &openings);
	for (size_t i = 0; i < openings.len && r >= 0; i++) {
		const struct network *owner = coexist_owner(&openings.items[i], &networks);

		if (!owner || (name && strcmp(name, owner->name) != 0 && strcmp(name, owner->id)))
			continue;
		if (add_rule(&openings.items[i], owner, rules) < 0)
			r = error_oom(&ctx->error);
	}
	if (r >= 0 && openings.len)
		rules_sort(rules);
	return r < 0 ? r : 0;
}
