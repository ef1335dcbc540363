/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What processes that died half way have left. Making is undone, deleting is finished: either way
 * the kernel objects of the operation's rows go, and then the rows.
 */
#include "ops/recover.h"

#include <errno.h>
#include <syslog.h>

#include "ops/base.h"
#include "ops/driver.h"
#include "ops/flows.h"
#include "ops/operation.h"
#include "ops/rows.h"
#include "ops/rules.h"

/* Ports of one endpoint that stays. */
static int remove_port_rules(bn_ctx *ctx, const struct rows *rows)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = rules_plan(ctx, PLAN_PORTS, rows, &rules);
	if (r >= 0)
		r = rules_remove(ctx, &rules);
	return r < 0 ? r : flows_drop(ctx, rows, false);
}

static int remove_rows(bn_ctx *ctx, const struct operation *operation)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	const struct driver_ops *driver;
	int r;

	r = rows_load_operation(ctx, operation, &rows);
	if (r < 0 || !rows.networks.len)
		return r;
	driver = driver_of(rows.networks.items);
	switch (operation->kind) {
	case OPERATION_NETWORK_CREATE:
	case OPERATION_NETWORK_DELETE:
		return driver->network_remove ? driver->network_remove(ctx, rows.networks.items) :
						0;
	case OPERATION_ATTACH:
	case OPERATION_DETACH:
		return driver->endpoints_remove ? driver->endpoints_remove(ctx, &rows, false) : 0;
	case OPERATION_PUBLISH:
	case OPERATION_UNPUBLISH:
		return remove_port_rules(ctx, &rows);
	case OPERATION_BACKEND_SWITCH:
		break;
	}
	return 0;
}

/* 0, or negative: it is left for the next call. */
static int undo_dead(bn_ctx *ctx, const struct operation *operation)
{
	operation_abandon(ctx, operation);
	return ctx->undo_failed ?
		       error_set(&ctx->error, -EIO, BN_REASON_STATE,
				 "what a process that died has left can't be taken out of the "
				 "state in %s; is its file system full?",
				 ctx->state_dir) :
		       0;
}

/* Negative: it is left for the next call. */
static int recover_one(bn_ctx *ctx, const struct operation *operation)
{
	int r;

	ctx_log(ctx, LOG_NOTICE, "cleaning up after a process that died");
	/* it may have died after it had moved the state */
	r = ctx_open_firewall(ctx);
	if (r >= 0)
		r = remove_rows(ctx, operation);
	if (r < 0) {
		store_operation_leave(ctx->store, operation);
		return r;
	}
	switch (operation->kind) {
	case OPERATION_NETWORK_CREATE:
	case OPERATION_ATTACH:
	case OPERATION_PUBLISH:
		r = undo_dead(ctx, operation);
		break;
	case OPERATION_BACKEND_SWITCH:
		r = base_take_others(ctx);
		if (r < 0)
			store_operation_leave(ctx->store, operation);
		else
			r = undo_dead(ctx, operation);
		break;
	case OPERATION_NETWORK_DELETE:
	case OPERATION_DETACH:
	case OPERATION_UNPUBLISH:
		r = operation_settle(ctx, operation);
		break;
	}
	if (r >= 0)
		base_remove_if_unused(ctx);
	return r;
}

int recover_dead(bn_ctx *ctx)
{
	struct operation operation;
	int r;

	while ((r = store_operation_take_dead(ctx->store, &operation, &ctx->error)) > 0) {
		r = recover_one(ctx, &operation);
		/* rules in a backend that nobody looks at any more must not be forgotten */
		if (r < 0 && operation.kind == OPERATION_BACKEND_SWITCH)
			return r;
		if (r < 0) {
			/* it stays reserved, and must not keep everything else from working */
			ctx_log(ctx, LOG_ERR, "can't clean up yet: %s", ctx->error.message);
			ctx->undo_failed = false;
			error_clear(&ctx->error);
			return 0;
		}
	}
	return r;
}

int ops_begin(bn_ctx *ctx, enum ctx_need need)
{
	int r = ctx_open(ctx, need);

	return r >= 0 && need == CTX_CHANGE ? recover_dead(ctx) : r;
}

/*
 * While the state is being moved to another backend nothing else begins, nor before what a move
 * left half done is cleaned up: that goes by the state as it was then. And what another operation
 * is about to do would be done in the backend that a move leaves.
 */
static int is_in_the_way(bn_ctx *ctx, enum operation_kind kind, const struct operation *own)
{
	int r;

	if (kind != OPERATION_BACKEND_SWITCH)
		return store_operation_pending(ctx->store, OPERATION_BACKEND_SWITCH, &ctx->error);
	r = store_operation_is_alone(ctx->store, own, &ctx->error);
	return r < 0 ? r : !r;
}

static int begin_when_free(bn_ctx *ctx, enum operation_kind kind, const struct operation *own)
{
	int r;

	for (unsigned int attempt = 0;; attempt++) {
		r = store_begin(ctx->store, &ctx->error);
		if (r >= 0)
			r = is_in_the_way(ctx, kind, own);
		if (r <= 0)
			return r;
		store_rollback(ctx->store);
		r = recover_dead(ctx);
		if (r < 0)
			return r;
		if (deadline_pause(&ctx->deadline, attempt) < 0)
			return error_set(&ctx->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
					 kind == OPERATION_BACKEND_SWITCH ?
						 "other calls on the state in %s did not end until "
						 "the time limit; try again, or allow more time" :
						 "the state in %s is being moved to another "
						 "backend; try again, or allow more time",
					 ctx->state_dir);
	}
}

/* A move's operation is opened in the same transaction in which nothing else is under way, so no
 * two moves ever wait for each other. */
int operation_begin(bn_ctx *ctx, enum operation_kind kind, struct operation *ret_operation)
{
	static const struct operation none;
	int r;

	r = begin_when_free(ctx, kind, &none);
	if (r >= 0)
		r = ctx_open_firewall(ctx);
	if (r >= 0)
		r = store_operation_open(ctx->store, kind, ret_operation, &ctx->error);
	return r;
}

int operation_begin_again(bn_ctx *ctx, const struct operation *operation)
{
	return begin_when_free(ctx, operation->kind, operation);
}
