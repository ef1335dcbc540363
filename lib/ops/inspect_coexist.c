/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Firewalls of the host in the way of what networks forward, and the rules of ours in their chains
 * (option coexist). */
#include <errno.h>
#include <stdio.h>

#include "ops/coexist.h"
#include "ops/inspection.h"
#include "ops/recover.h"
#include "ops/rows.h"

/* ---- looking ---- */

static int find_stopped(bn_ctx *ctx, struct inspection *inspection, const struct network *network,
			const struct barrier *barrier)
{
	bool inserts = coexist_inserts(network);
	char text[BARRIER_TEXT * 2], why[BARRIER_TEXT] = "", should_be[BARRIER_TEXT + 64];
	struct finding finding = { .code = FINDING_FORWARD_STOPPED,
				   .network = network->name,
				   .object = barrier->object,
				   .is = text,
				   .should_be = should_be };

	barrier_text(barrier, text);
	/* some of it gets through: whether that is all that is meant is for others to say */
	if (barrier->may_pass)
		finding.severity = BN_SEVERITY_NOTE;
	if (inserts && barrier_opens(barrier, network->bridge, why)) {
		finding.code = FINDING_COEXIST_MISSING;
		finding.severity = 0;
		snprintf(why, sizeof(why), "iifname %s accept, oifname %s accept", network->bridge,
			 network->bridge);
	}
	snprintf(should_be, sizeof(should_be), "%s",
		 inserts && barrier->keeper != KEEPER_FIREWALLD ? why : barrier->remedy);
	return inspection_find(ctx, inspection, &finding);
}

static bool is_same_chain(const struct opening *a, const struct opening *b)
{
	return a->family == b->family && strcmp(a->table, b->table) == 0 &&
	       strcmp(a->chain, b->chain) == 0;
}

static int find_odd(bn_ctx *ctx, struct inspection *inspection, const struct network *network,
		    const struct opening *opening, const struct coexist_pair *pair)
{
	char how[96], more[48] = "";
	const struct finding finding = { .code = coexist_inserts(network) ?
							 FINDING_COEXIST_MISSING :
							 FINDING_COEXIST_STRAY,
					 .network = network->name,
					 .object = opening->object,
					 .is = how };

	if (pair->whole && coexist_inserts(network))
		return 0;
	if (pair->odd)
		snprintf(more, sizeof(more), ", %zu of other bridges", pair->odd);
	snprintf(how, sizeof(how), "%zu of iifname %s, %zu of oifname %s%s", pair->from,
		 network->bridge, pair->to, network->bridge, more);
	return inspection_find(ctx, inspection, &finding);
}

static int find_unknown(bn_ctx *ctx, struct inspection *inspection, const struct opening *opening)
{
	char object[48 + sizeof(opening->object)], how[64];

	snprintf(object, sizeof(object), "rules in %s", opening->object);
	snprintf(how, sizeof(how), "for network %s on bridge %s",
		 opening->owner[0] ? opening->owner : "-", opening->bridge);
	return inspection_find(
		ctx, inspection,
		&(struct finding){ .code = FINDING_RULES_UNKNOWN, .object = object, .is = how });
}

/* Is another before it, in the same chain, of the same owner? */
static bool is_further(const opening_vector *openings, size_t i, const network_vector *networks)
{
	const struct opening *opening = &openings->items[i];
	const struct network *network = coexist_owner(opening, networks);

	for (size_t j = 0; j < i; j++) {
		const struct opening *other = &openings->items[j];

		if (!is_same_chain(opening, other) || coexist_owner(other, networks) != network)
			continue;
		if (network || (strcmp(opening->owner, other->owner) == 0 &&
				strcmp(opening->bridge, other->bridge) == 0))
			return true;
	}
	return false;
}

/* Each chain of each network once. */
static int find_openings(bn_ctx *ctx, struct inspection *inspection,
			 const struct coexist_sight *sight)
{
	const network_vector *networks = &inspection->rows.networks;
	int r = 0;

	for (size_t i = 0; i < sight->openings.len && r >= 0; i++) {
		const struct opening *opening = &sight->openings.items[i];
		const struct network *network = coexist_owner(opening, networks);
		struct coexist_pair pair;

		if (is_further(&sight->openings, i, networks))
			continue;
		if (network) {
			pair = coexist_pair(&sight->openings, opening, network);
			r = find_odd(ctx, inspection, network, opening, &pair);
		} else if (!coexist_owner(opening, &inspection->moving.networks)) {
			r = find_unknown(ctx, inspection, opening);
		}
	}
	return r;
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP(coexist_sight_clear) struct coexist_sight sight = { 0 };
	int r = coexist_look(ctx, &inspection->rows.networks, &sight);

	for (size_t i = 0; i < sight.barriers.len && r >= 0; i++) {
		const struct barrier *barrier = &sight.barriers.items[i];

		r = find_stopped(ctx, inspection, sight.passages.items[barrier->passage].network,
				 barrier);
	}
	return r < 0 ? r : find_openings(ctx, inspection, &sight);
}

/* ---- putting right ---- */

static int mend_network(bn_ctx *ctx, const char *name)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = operation_hold(ctx);

	if (r >= 0)
		r = rows_use_network(ctx, name, &rows);
	if (r >= 0)
		r = coexist_inserts(rows.networks.items) ? coexist_mend(ctx, rows.networks.items) :
							   coexist_close(ctx, rows.networks.items);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return inspection_pass(ctx, r);
}

static int mend_unknown(bn_ctx *ctx, const struct inspection *inspection)
{
	CLEANUP(rows_clear) struct rows all = { 0 };
	int r;

	if (!(inspection->flags & BN_REPAIR_REMOVE_UNKNOWN) ||
	    !inspection_has(inspection, FINDING_RULES_UNKNOWN, NULL, NULL))
		return 0;
	r = operation_hold(ctx);
	if (r >= 0)
		r = rows_load_all(ctx, &all);
	if (r >= 0)
		r = coexist_close_unknown(ctx, &all.networks);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return inspection_pass(ctx, r);
}

static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	int r = 0;

	for (size_t i = 0; i < inspection->rows.networks.len && r >= 0; i++) {
		const char *name = inspection->rows.networks.items[i].name;

		if (inspection_has(inspection, FINDING_COEXIST_MISSING, name, NULL) ||
		    inspection_has(inspection, FINDING_COEXIST_STRAY, name, NULL))
			r = mend_network(ctx, name);
	}
	return r < 0 ? r : mend_unknown(ctx, inspection);
}

const struct inspector inspect_coexist = { "rules in others' chains", false, look, mend };
