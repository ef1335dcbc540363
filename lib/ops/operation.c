/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/operation.h"

#include <syslog.h>

#include "base/fault.h"
#include "ops/base.h"
#include "ops/change.h"
#include "ops/rows.h"
#include "ops/settings.h"

#define IN_VAIN_MS 50 /* to forget what has waited for a lock in vain: not for that once more */

int result_prepare(bn_ctx *ctx, const struct result *result, const struct rows *rows)
{
	return result->prepare ? result->prepare(ctx, rows, result->snapshot) : 0;
}

typedef int (*change_fn)(struct store *store, const struct operation *operation,
			 struct error *error);

/* A transaction about nothing but the operation. */
static int transact(bn_ctx *ctx, const struct operation *operation, change_fn change,
		    const char *step)
{
	int r;

	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = change(ctx->store, operation, &ctx->error);
	if (r >= 0)
		r = FAULT(step);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int operation_settle(bn_ctx *ctx, const struct operation *operation)
{
	return transact(ctx, operation, store_operation_close, "settle");
}

/* ---- finishing ---- */

static int leave_base(bn_ctx *ctx)
{
	struct base_needs needs;
	int r = base_needs_of(ctx, &needs);

	if (r < 0 || needs.rules)
		return r;
	r = settings_guard_stays(ctx);
	if (r == 0)
		return base_leave(ctx);
	return r < 0 || needs.state ? r : ctx_release_state(ctx);
}

int operations_settle(bn_ctx *ctx, const struct operation *operations, size_t len,
		      const struct removal *removal)
{
	CLEANUP(settings_clear) struct settings settings = { 0 };
	bool changed = removal->networks && !removal->untouched;
	int r;

	r = store_begin(ctx->store, &ctx->error);
	/* networks go one by one */
	if (r >= 0 && changed)
		r = settings_load(ctx, operations, &settings);
	for (size_t i = 0; i < len && r >= 0; i++)
		r = operation_removes(operations[i].kind) ?
			    store_operation_close(ctx->store, &operations[i], &ctx->error) :
			    store_operation_abandon(ctx->store, &operations[i], &ctx->error);
	if (r >= 0)
		r = FAULT("finish");
	if (r >= 0 && changed)
		r = settings_give_back(ctx, &settings);
	if (r >= 0 && removal->networks)
		r = leave_base(ctx);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int operations_finish(bn_ctx *ctx, const struct operation *operations, size_t len,
		      const struct removal *removal)
{
	int r = removal_run(ctx, operations, removal);

	return r < 0 ? r : operations_settle(ctx, operations, len, removal);
}

static int finish_update(bn_ctx *ctx, const struct operation *operation)
{
	static const struct removal nothing;
	int r = change_undo(ctx, operation);

	return r < 0 ? r : operations_settle(ctx, operation, 1, &nothing);
}

int operation_finish(bn_ctx *ctx, const struct operation *operation)
{
	CLEANUP(removal_clear) struct removal removal = { 0 };
	int r;

	if (operation->kind == OPERATION_UPDATE)
		return finish_update(ctx, operation);
	r = removal_load_whole(ctx, operation, &removal);
	return r < 0 ? r : operations_finish(ctx, operation, 1, &removal);
}

/* ---- what the caller is told ---- */

static const char *what_is_left(enum operation_kind kind)
{
	if (kind == OPERATION_UPDATE)
		return "will put back what this has changed";
	return operation_removes(kind) ? "will finish this" : "will take out what is left of this";
}

/* The next call that changes something finds it, as if its owner had died. */
void operation_leave(bn_ctx *ctx, const struct operation *operation)
{
	const struct error cause = ctx->error;

	store_operation_leave(ctx->store, operation);
	error_set(&ctx->error, cause.code, cause.reason,
		  "%s; the next call that changes something in %s, of any process, %s",
		  cause.message, ctx->state_dir, what_is_left(operation->kind));
}

int operation_result(bn_ctx *ctx, int r)
{
	if (r != OUTCOME_UNKNOWN && r != OPERATION_GONE)
		return r;
	ctx->error.code = -EIO;
	return -EIO;
}

uint32_t undo_ms(const bn_ctx *ctx, int r)
{
	return deadline_ended(r) && !ctx->changed ? IN_VAIN_MS : UNDO_MS;
}

/* ---- a maker or an update that failed ---- */

static int undo(bn_ctx *ctx, const struct operation *operation)
{
	/* whoever makes the rule base again meanwhile leaves this out */
	int r = transact(ctx, operation, store_operation_turn_back, "turn-back");

	return r < 0 ? r : operation_finish(ctx, operation);
}

/*
 * Somebody has undone the operation while it was at work, so its rows are gone, and what the rows
 * of others describe by now must stay. Only what nobody else can have made is looked for.
 */
static int remove_lost(bn_ctx *ctx, const struct rows *rows)
{
	int r;

	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = removal_run_lost(ctx, rows);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* Nothing was changed by us; nor has anybody made the rules again meanwhile, with those of what we
 * make and without those of what we remove, or left us what it had found of the host? */
static bool is_untouched(bn_ctx *ctx, const struct operation *operation)
{
	return !ctx->changed && store_operation_is_rebuilt(ctx->store, operation, &ctx->error) == 0;
}

static int undo_or_forget(bn_ctx *ctx, const struct operation *operation, const struct rows *rows)
{
	const struct removal unchanged = { .networks = rows->networks.len, .untouched = true };

	return is_untouched(ctx, operation) ? operations_settle(ctx, operation, 1, &unchanged) :
					      undo(ctx, operation);
}

int operation_fail(bn_ctx *ctx, const struct operation *operation, const struct rows *rows, int r)
{
	struct aside aside;
	int undone = r;

	ctx_aside_begin(ctx, undo_ms(ctx, r), &aside);
	if (r != OPERATION_GONE)
		undone = undo_or_forget(ctx, operation, rows);
	if (undone == OPERATION_GONE)
		undone = operation->kind == OPERATION_UPDATE ? change_lost(ctx, rows) :
							       remove_lost(ctx, rows);
	if (undone < 0)
		ctx_log(ctx, LOG_ERR, "undo: %s", ctx->error.message);
	ctx_aside_end(ctx, &aside);
	if (undone < 0)
		operation_leave(ctx, operation);
	return operation_result(ctx, r);
}

/* ---- a remover ---- */

int operation_carry_out(bn_ctx *ctx, const struct operation *operation,
			const struct removal *removal)
{
	struct removal begun = *removal; /* a view of it */
	int r = operations_finish(ctx, operation, 1, removal);
	struct aside aside;
	bool untouched;
	int again;

	if (r >= 0)
		return 0;
	ctx_aside_begin(ctx, undo_ms(ctx, r), &aside);
	untouched = is_untouched(ctx, operation);
	begun.settled = false;
	if (r == OPERATION_GONE)
		again = 0;
	else if (untouched)
		again = transact(ctx, operation, store_operation_abandon, "abandon");
	else
		again = operations_finish(ctx, operation, 1, &begun);
	ctx_aside_end(ctx, &aside);
	if (again >= 0 && !untouched && r != OPERATION_GONE) {
		ctx_log(ctx, LOG_WARNING, "done at the second try: %s", ctx->error.message);
		error_clear(&ctx->error);
		return 0;
	}
	/* whoever has taken it over finishes it */
	if (again < 0 && again != OPERATION_GONE)
		operation_leave(ctx, operation);
	return operation_result(ctx, r);
}

int operation_abandon(bn_ctx *ctx, const struct operation *operation, int r)
{
	struct aside aside;
	int abandoned;

	ctx_aside_begin(ctx, undo_ms(ctx, r), &aside);
	abandoned = transact(ctx, operation, store_operation_abandon, "abandon");
	ctx_aside_end(ctx, &aside);
	if (abandoned < 0 && abandoned != OPERATION_GONE)
		operation_leave(ctx, operation);
	return operation_result(ctx, r);
}
