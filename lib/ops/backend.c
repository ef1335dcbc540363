/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moving a state from one backend to another. */
#include "ops/backend.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "base/fault.h"
#include "ops/base.h"
#include "ops/coexist.h"
#include "ops/operation.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/rules.h"

/* 1 when the state has no network any more, and so is in no backend; else 0. */
static int is_nowhere(bn_ctx *ctx)
{
	char recorded[META_MAX];
	int r;

	r = store_meta_get(ctx->store, "backend", recorded, &ctx->error);
	return r < 0 ? r : !recorded[0];
}

/* The transaction is open while the kernel is at work: so the state can't change meanwhile, and
 * whoever comes next finds the new backend. ret_left: what is to be taken out of the
 * one that is left. 1 when there is nothing to move any more. */
static int move_state(bn_ctx *ctx, struct firewall *target, const struct operation *operation,
		      rule_vector *ret_left)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r;

	r = operation_begin_again(ctx, operation);
	if (r >= 0)
		r = is_nowhere(ctx);
	if (r > 0) {
		store_rollback(ctx->store);
		return r;
	}
	if (r >= 0)
		r = rows_load(ctx, NULL, NULL, &rows);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ROWS | PLAN_GUARD, &rows, ret_left);
	if (r >= 0)
		r = FAULT("switch.put");
	if (r >= 0)
		r = base_put_state(ctx, target);
	ctx->changed = r >= 0 || r == OUTCOME_UNKNOWN || target->partly;
	if (r >= 0)
		r = store_meta_set(ctx->store, "backend", target->backend->name, &ctx->error);
	if (r >= 0)
		r = FAULT("switch.commit");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* The move came to nothing: what it has put there goes, as it would had it died. */
static int fail_move(bn_ctx *ctx, const struct operation *operation, int r)
{
	static const struct removal nothing;
	struct aside aside;
	int undone;

	ctx_aside_begin(ctx, undo_ms(ctx, r), &aside);
	undone = ctx->changed ? base_take_others(ctx) : 0;
	if (undone >= 0)
		undone = operations_settle(ctx, operation, 1, &nothing);
	if (undone < 0)
		ctx_log(ctx, LOG_ERR, "undo: %s", ctx->error.message);
	ctx_aside_end(ctx, &aside);
	if (undone < 0)
		operation_leave(ctx, operation);
	return operation_result(ctx, r);
}

/* -EALREADY when another call has moved the state there meanwhile. */
static int reserve_move(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	const struct firewall *target = verb;

	(void)operation;
	return ctx->firewall->backend == target->backend ? -EALREADY : FAULT("switch.reserve");
}

/* The move itself is done: what is left of the old backend may go with the next call. */
static void leave_old(bn_ctx *ctx, struct firewall *old, const struct operation *operation,
		      const rule_vector *left)
{
	int r;

	r = coexist_move(ctx);
	if (r >= 0)
		r = FAULT("switch.take");
	if (r >= 0)
		r = base_take_rules(ctx, old, left);
	firewall_close(old);
	if (r >= 0)
		r = operation_settle(ctx, operation);
	if (r >= 0)
		return;
	ctx_log(ctx, LOG_WARNING, "rules of the old backend stay for now: %s", ctx->error.message);
	store_operation_leave(ctx->store, operation);
	error_clear(&ctx->error);
}

/* 1 when *target is in use now, 0 when there was nothing to do. */
static int switch_to(bn_ctx *ctx, struct firewall *target)
{
	CLEANUP(rules_clear) rule_vector left = { 0 };
	struct operation operation;
	struct firewall *old;
	int r;

	r = operation_reserve(ctx, OPERATION_BACKEND_SWITCH, reserve_move, target, &operation);
	if (r < 0)
		return r == -EALREADY ? 0 : r;
	r = move_state(ctx, target, &operation, &left);
	if (r != 0)
		return fail_move(ctx, &operation, r < 0 ? r : 0);
	old = ctx->firewall;
	ctx->firewall = target;
	leave_old(ctx, old, &operation, &left);
	return 1;
}

int ops_backend_switch(bn_ctx *ctx, const char *name)
{
	const struct firewall_backend *backend = firewall_backend_by_name(name);
	struct firewall *target;
	char recorded[META_MAX];
	int r;

	if (!backend)
		return error_set(&ctx->error, -EINVAL, BN_REASON_BACKEND_UNAVAILABLE,
				 "backend '%.32s' is unknown to this build", name);
	r = store_meta_get(ctx->store, "backend", recorded, &ctx->error);
	/* nothing was made yet, or it is there already */
	if (r < 0 || !recorded[0] || strcmp(recorded, name) == 0)
		return r;
	r = ctx_try_backend(ctx, backend, &target);
	if (r < 0)
		return r;
	r = switch_to(ctx, target);
	if (r <= 0)
		firewall_close(target);
	else
		snprintf(ctx->backend_reason, sizeof(ctx->backend_reason),
			 "the state was moved to it");
	return r < 0 ? r : 0;
}
