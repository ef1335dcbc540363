/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/rules.h"

#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "ops/rows.h"
#include "ops/strays.h"

/* Of a backend's apply(): a port, a subnet or a MAC that only the kernel knows is taken, by another
 * state directory. */
static int rules_result(const bn_ctx *ctx, int r)
{
	bool taken = ctx->error.reason == BN_REASON_PORT_IN_USE ||
		     ctx->error.reason == BN_REASON_SUBNET_OVERLAP ||
		     ctx->error.reason == BN_REASON_ADDRESS_IN_USE;

	return r == -EEXIST && taken ? -EADDRINUSE : r;
}

struct change {
	struct firewall *firewall;
	const rule_vector *add, *remove, *stand; /* NULL: none */
	uint32_t flags;
};

static int apply_once(bn_ctx *ctx, const struct change *asked)
{
	const struct firewall_change change = {
		.add = asked->add ? asked->add->items : NULL,
		.add_len = asked->add ? asked->add->len : 0,
		.remove = asked->remove ? asked->remove->items : NULL,
		.remove_len = asked->remove ? asked->remove->len : 0,
		.stand = asked->stand ? asked->stand->items : NULL,
		.stand_len = asked->stand ? asked->stand->len : 0,
		.flags = asked->flags,
	};
	int r = firewall_apply(asked->firewall, &change, &ctx->error);

	if (r >= 0 || r == OUTCOME_UNKNOWN || r == FIREWALL_BASE_MISSING || asked->firewall->partly)
		ctx->changed = true;
	return rules_result(ctx, r);
}

/* Something has the place of one of them in the kernel alone: somebody has loaded a saved rule set.
 * What nobody has makes room; for what another state has, the call fails as it has. */
static int apply_over_strays(bn_ctx *ctx, const struct change *change, int taken)
{
	const struct error error = ctx->error;
	CLEANUP_VECTOR rule_vector gone = { 0 };
	struct change again = *change;
	size_t strays;
	int r;

	r = strays_find(ctx, change->firewall, change->add, &gone);
	if (r < 0 || !gone.len) {
		ctx->error = error;
		return taken;
	}
	strays = gone.len;
	error_clear(&ctx->error);
	for (size_t i = 0; change->remove && i < change->remove->len && r >= 0; i++)
		r = vector_append(&gone, change->remove->items[i]) < 0 ? error_oom(&ctx->error) : 0;
	if (r < 0)
		return r;
	ctx_log(ctx, LOG_NOTICE,
		"taking out %zu rules that are in the way, and that nobody has any more: %s",
		strays, error.message);
	again.remove = &gone;
	again.flags |= FIREWALL_MISSING_OK;
	/* there may be flows of what was there, which counts them no more */
	again.flags &= ~FIREWALL_FIRST;
	return apply_once(ctx, &again);
}

static int apply_rules(bn_ctx *ctx, const struct change *change)
{
	int r = apply_once(ctx, change);

	return change->add && (r == -EADDRINUSE || r == -EEXIST) ?
		       apply_over_strays(ctx, change, r) :
		       r;
}

int rules_put(bn_ctx *ctx, struct firewall *firewall, const rule_vector *rules)
{
	const struct change change = { .firewall = firewall, .add = rules, .flags = FIREWALL_BASE };

	return apply_rules(ctx, &change);
}

static int remove_with(bn_ctx *ctx, const rule_vector *rules, uint32_t flags)
{
	const struct change change = { .firewall = ctx->firewall, .remove = rules, .flags = flags };

	return apply_rules(ctx, &change);
}

static int compare_rules(const void *a, const void *b)
{
	return rule_compare(a, b);
}

/* all := all without those in gone, which is sorted on the way. */
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
	if (!from->len)
		return 0;
	if (vector_reserve(to, from->len) < 0)
		return error_oom(&ctx->error);
	memcpy(to->items, from->items, from->len * sizeof(*from->items));
	to->len = from->len;
	return 0;
}

static int vanishing_error(bn_ctx *ctx)
{
	return error_set(&ctx->error, -EAGAIN, BN_REASON_KERNEL,
			 "another program removes the rule base as fast as it is made; try again");
}

/* All that stands, as rules; and out with what is gone of other rows. */
static int apply_all(bn_ctx *ctx, rule_vector *gone)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	CLEANUP(rules_clear) rule_vector all = { 0 };
	int r;

	r = rows_load_standing(ctx, &rows);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ROWS | PLAN_GUARD, &rows, &all);
	if (r < 0)
		return r;
	subtract(gone, &all);
	if (!all.len && !gone->len)
		return 0;
	if (!all.len)
		return remove_with(ctx, gone, FIREWALL_MISSING_OK | FIREWALL_LEAVING);
	ctx_log(ctx, LOG_INFO, "making the rule base and %zu rules", all.len);
	/* only a part of the base may be gone, and what is to be removed still there */
	r = apply_rules(ctx, &(struct change){ .firewall = ctx->firewall,
					       .add = &all,
					       .remove = gone,
					       .flags = FIREWALL_BASE | FIREWALL_MISSING_OK });
	return r == FIREWALL_BASE_MISSING ? vanishing_error(ctx) : r;
}

/*
 * Make the base again, with the rules of all that the state has by now and of all that is on its
 * way: alone, for what others are about to add is added here, and what they have taken out must not
 * come back. They are told, by the mark on their operations.
 */
static int rebuild(bn_ctx *ctx, const rule_vector *remove)
{
	CLEANUP(rules_clear) rule_vector gone = { 0 };
	int r = 0;

	if (remove)
		r = copy_rules(ctx, remove, &gone);
	if (r >= 0)
		r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = store_operations_set_rebuilt(ctx->store, &ctx->error);
	if (r >= 0)
		r = FAULT("rules.rebuild");
	if (r >= 0)
		r = apply_all(ctx, &gone);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int rules_rebuild(bn_ctx *ctx)
{
	return rebuild(ctx, NULL);
}

int rules_repair(bn_ctx *ctx, const rule_vector *planned, const rule_vector *add,
		 const rule_vector *remove)
{
	bool base = planned->len > 0;
	const struct change change = {
		.firewall = ctx->firewall,
		.add = add,
		.remove = remove,
		.stand = planned,
		.flags = FIREWALL_MISSING_OK |
			 (base ? FIREWALL_BASE | FIREWALL_REPAIR : FIREWALL_LEAVING),
	};
	int r = store_operations_set_rebuilt(ctx->store, &ctx->error);

	if (r >= 0)
		r = FAULT("rules.repair");
	if (r >= 0)
		r = apply_once(ctx, &change);
	if (r == FIREWALL_BASE_MISSING)
		return base ? vanishing_error(ctx) : 0;
	return r;
}

/* What must stand in the tables beside what comes or goes: of those rows, or, where a network does,
 * of every network. A backend that can look up single rules does not read it. */
static int plan_beside(bn_ctx *ctx, const struct rows *rows, uint32_t scopes, rule_vector *stand)
{
	CLEANUP(rows_clear) struct rows all = { 0 };
	int r;

	if (ctx->firewall->backend->traits() & PLAN_OWNERS)
		return 0;
	if (rows)
		return rules_plan(ctx, scopes, rows, stand);
	r = store_networks(ctx->store, 0, &all.networks, &ctx->error);
	return r < 0 ? r : rules_plan(ctx, PLAN_NETWORKS, &all, stand);
}

int rules_add(bn_ctx *ctx, const rule_vector *rules, const struct rows *rows, uint32_t scopes)
{
	CLEANUP(rules_clear) rule_vector stand = { 0 };
	int r;

	if (!rules->len)
		return 0;
	r = plan_beside(ctx, rows, scopes, &stand);
	if (r >= 0)
		r = apply_rules(ctx, &(struct change){ .firewall = ctx->firewall,
						       .add = rules,
						       .stand = &stand,
						       .flags = FIREWALL_FIRST });
	return r == FIREWALL_BASE_MISSING ? rebuild(ctx, NULL) : r;
}

int rules_add_flushed(bn_ctx *ctx, const rule_vector *stood, rule_vector *rules)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	CLEANUP(rules_clear) rule_vector found = { 0 };
	int r = 0;

	if (backend->traits() & PLAN_OWNERS) {
		r = firewall_list(ctx->firewall, stood, &found, &ctx->error);
		return r < 0 || found.len == stood->len ? r : rebuild(ctx, NULL);
	}
	for (size_t i = 0; i < stood->len && r == 0; i++)
		r = vector_append(rules, stood->items[i]);
	return r < 0 ? error_oom(&ctx->error) : 0;
}

int rules_remove(bn_ctx *ctx, const rule_vector *rules, bool settled, const struct rows *rows)
{
	CLEANUP(rules_clear) rule_vector stand = { 0 };
	int r = -ENOENT;

	if (!rules->len)
		return 0;
	/* What was settled is there, mostly, and looking first can be spared. What was not may have
	 * failed for what another state has under the same key. */
	if (settled)
		r = plan_beside(ctx, rows, PLAN_NETWORKS, &stand);
	if (settled && r >= 0)
		r = apply_rules(ctx, &(struct change){ .firewall = ctx->firewall,
						       .remove = rules,
						       .stand = &stand });
	if (r == -ENOENT) {
		error_clear(&ctx->error);
		r = remove_with(ctx, rules, FIREWALL_MISSING_OK);
	}
	if (r == FIREWALL_BASE_MISSING)
		return rebuild(ctx, rules);
	return r < 0 ? r : ctx->firewall->unmet;
}

/* ---- from one plan to another ---- */

int rules_change_step(bn_ctx *ctx, const struct rules_difference *difference,
		      const struct rules_step *step, bool settled)
{
	bool looks_up = ctx->firewall->backend->traits() & PLAN_OWNERS;
	struct change asked = {
		.firewall = ctx->firewall,
		.add = &step->add,
		.remove = &step->remove,
		.stand = looks_up ? NULL : &difference->kept,
		.flags = settled ? 0 : FIREWALL_MISSING_OK,
	};
	int r;

	if (!step->add.len && !step->remove.len)
		return 0;
	r = apply_rules(ctx, &asked);
	/* somebody has flushed them, or made the rules again */
	if (r == -ENOENT && settled) {
		error_clear(&ctx->error);
		asked.flags = FIREWALL_MISSING_OK;
		r = apply_rules(ctx, &asked);
	}
	return r == FIREWALL_BASE_MISSING ? rebuild(ctx, &step->remove) : r;
}

int rules_change_lost(bn_ctx *ctx, rule_vector *gone)
{
	return apply_all(ctx, gone);
}

int rules_exchange(bn_ctx *ctx, rule_vector *add, rule_vector *remove, bool settled,
		   const struct rows *rows, uint32_t scopes)
{
	CLEANUP(rules_clear) rule_vector stand = { 0 };
	struct change change = {
		.firewall = ctx->firewall, .add = add, .remove = remove, .stand = &stand
	};
	int r;

	/* what is in both is to be there, so it is added, and stays if it is */
	subtract(remove, add);
	if (!add->len && !remove->len)
		return 0;
	if (!settled)
		change.flags = FIREWALL_MISSING_OK;
	r = plan_beside(ctx, rows, scopes, &stand);
	if (r >= 0)
		r = apply_rules(ctx, &change);
	if (r == -ENOENT) {
		error_clear(&ctx->error);
		change.flags = FIREWALL_MISSING_OK;
		r = apply_rules(ctx, &change);
	}
	return r == FIREWALL_BASE_MISSING ? rebuild(ctx, remove) : r;
}

/* ---- what is gone ---- */

/* Inside a transaction, where nothing is made again. */
static int remove_standing(bn_ctx *ctx, const rule_vector *rules)
{
	int r = rules->len ? remove_with(ctx, rules, FIREWALL_MISSING_OK | FIREWALL_LEAVING) : 0;

	return r == FIREWALL_BASE_MISSING ? 0 : r;
}

int rules_remove_lost(bn_ctx *ctx, const struct rows *lost, const struct rows *standing,
		      uint32_t part)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	CLEANUP(rules_clear) rule_vector all = { 0 };
	int r;

	r = rules_plan(ctx, PLAN_ROWS | part, lost, &rules);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ROWS | part, standing, &all);
	if (r < 0)
		return r;
	subtract(&rules, &all);
	return remove_standing(ctx, &rules);
}

int rules_remove_guard(bn_ctx *ctx, const struct guard *before, const struct guard *after)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	CLEANUP(rules_clear) rule_vector kept = { 0 };
	uint32_t traits = ctx->firewall->backend->traits(), scopes = PLAN_NETWORKS | PLAN_GUARD;
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &rows.networks, &ctx->error);
	if (r >= 0)
		r = rules_plan_guarded(ctx, traits, scopes, &rows, before, &rules);
	if (r >= 0)
		r = rules_plan_guarded(ctx, traits, scopes, &rows, after, &kept);
	if (r >= 0)
		r = FAULT("rules.guard");
	if (r < 0)
		return r;
	subtract(&rules, &kept);
	return remove_standing(ctx, &rules);
}
