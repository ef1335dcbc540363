/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moving a state from one backend to another. */
#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "base/fault.h"
#include "ops/operation.h"
#include "ops/ops.h"
#include "ops/rules.h"

/* What the state says, as rules of that backend, in its tables or out of them. */
static int put_rules(bn_ctx *ctx, struct firewall *firewall)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	struct firewall_change change = { .flags = FIREWALL_BASE | FIREWALL_REPLACE };
	int r;

	r = rules_plan_state(ctx, firewall->backend->traits, NULL, &rules);
	if (r < 0)
		return r;
	change.add = rules.items;
	change.add_len = rules.len;
	r = firewall->backend->apply(firewall, &change, &ctx->error);
	return r == -EEXIST && ctx->error.reason == BN_REASON_PORT_IN_USE ? -EADDRINUSE : r;
}

/* Take these rules out of a backend that is left, and its base. */
static int take_rules(bn_ctx *ctx, struct firewall *firewall, const rule_vector *rules)
{
	const struct firewall_change change = {
		.remove = rules->items,
		.remove_len = rules->len,
		.flags = FIREWALL_MISSING_OK,
	};
	int r;

	r = firewall->backend->apply(firewall, &change, &ctx->error);
	if (r >= 0 || r == FIREWALL_BASE_MISSING)
		r = firewall->backend->remove_base(firewall, &ctx->error);
	return r;
}

static int take_state(bn_ctx *ctx, struct firewall *firewall)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = rules_plan_state(ctx, firewall->backend->traits, NULL, &rules);
	return r < 0 ? r : take_rules(ctx, firewall, &rules);
}

/*
 * Begin a transaction in which no other operation is under way: what that one is about to do would
 * be done in the backend that is left. The first time, the move's own operation is opened in it, so
 * no two moves ever wait for each other.
 */
static int begin_alone(bn_ctx *ctx, struct operation *operation, bool open)
{
	int r;

	for (unsigned int attempt = 0;; attempt++) {
		r = open ? operation_begin(ctx, OPERATION_BACKEND_SWITCH, operation) :
			   store_begin(ctx->store, &ctx->error);
		if (r >= 0)
			r = store_operation_is_alone(ctx->store, operation, &ctx->error);
		if (r != 0)
			return r < 0 ? r : 0;
		store_rollback(ctx->store);
		r = ops_recover(ctx);
		if (r < 0)
			return r;
		if (!deadline_pause(ctx->deadline, attempt))
			return error_set(&ctx->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
					 "other calls on the state in %s did not end until the "
					 "time limit; try again, or allow more time",
					 ctx->state_dir);
	}
}

/* 1 when the state has no network any more, and so is in no backend; else 0. */
static int is_nowhere(bn_ctx *ctx)
{
	char recorded[META_MAX];
	int r;

	r = store_meta_get(ctx->store, "backend", recorded, &ctx->error);
	return r < 0 ? r : !recorded[0];
}

/* The transaction is open while the kernel is at work, unlike any other: so the state can't change
 * meanwhile, and whoever comes next finds the new backend. ret_left: what is to be taken out of the
 * one that is left. 1 when there is nothing to move any more. */
static int move(bn_ctx *ctx, struct firewall *target, struct operation *operation,
		rule_vector *ret_left)
{
	int r;

	r = begin_alone(ctx, operation, false);
	if (r >= 0)
		r = is_nowhere(ctx);
	if (r > 0) {
		store_rollback(ctx->store);
		return r;
	}
	if (r >= 0)
		r = rules_plan_state(ctx, ctx->firewall->backend->traits, NULL, ret_left);
	if (r >= 0)
		r = FAULT("switch.put");
	if (r >= 0)
		r = put_rules(ctx, target);
	if (r >= 0)
		r = store_meta_set(ctx->store, "backend", target->backend->name, &ctx->error);
	if (r >= 0)
		r = FAULT("switch.commit");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

static void undo_move(bn_ctx *ctx, struct firewall *target)
{
	struct error cause;

	ctx_undo_begin(ctx, &cause);
	target->deadline = ctx->deadline;
	ctx_undo_end(ctx, &cause, take_state(ctx, target));
}

/* 1 when the operation is open, 0 when another call has moved the state there meanwhile. */
static int open_operation(bn_ctx *ctx, const struct firewall *target, struct operation *operation)
{
	int r;

	r = begin_alone(ctx, operation, true);
	if (r >= 0 && ctx->firewall->backend == target->backend) {
		store_rollback(ctx->store);
		return 0;
	}
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r < 0 ? r : 1;
}

/* 1 when *target is in use now, 0 when there was nothing to do. */
static int switch_to(bn_ctx *ctx, struct firewall *target)
{
	CLEANUP(rules_clear) rule_vector left = { 0 };
	struct operation operation;
	struct firewall *old;
	int r;

	r = open_operation(ctx, target, &operation);
	if (r <= 0)
		return r;
	r = move(ctx, target, &operation, &left);
	if (r < 0) {
		undo_move(ctx, target);
		operation_abandon(ctx, &operation);
		return r;
	}
	if (r > 0) {
		operation_abandon(ctx, &operation);
		return 0;
	}
	old = ctx->firewall;
	ctx->firewall = target;
	r = FAULT("switch.take");
	if (r >= 0)
		r = take_rules(ctx, old, &left);
	old->backend->close(old);
	if (r >= 0)
		r = operation_settle(ctx, &operation);
	/* the move itself is done: what is left of the old backend goes with the next call */
	if (r < 0) {
		ctx_log(ctx, LOG_WARNING, "rules of the old backend stay for now: %s",
			ctx->error.message);
		store_operation_leave(ctx->store, &operation);
		error_clear(&ctx->error);
	}
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
		backend->close(target);
	else
		snprintf(ctx->backend_reason, sizeof(ctx->backend_reason),
			 "the state was moved to it");
	return r < 0 ? r : 0;
}

int backend_clean(bn_ctx *ctx)
{
	const struct firewall_backend *const *backend;
	struct firewall *other;
	int r = 0;

	for (backend = firewall_backends; *backend && r >= 0; backend++) {
		if (*backend == ctx->firewall->backend)
			continue;
		r = ctx_try_backend(ctx, *backend, &other);
		if (r == -EOPNOTSUPP) {
			/* what this kernel lacks holds nothing of ours */
			error_clear(&ctx->error);
			r = 0;
			continue;
		}
		if (r < 0)
			return r;
		r = take_state(ctx, other);
		(*backend)->close(other);
	}
	return r;
}
