/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What processes that died half way have left. Making is undone, deleting is finished: either way
 * the kernel objects of the operation's rows go, and then the rows. What was being changed becomes
 * what it was.
 */
#include "ops/recover.h"

#include <errno.h>
#include <syslog.h>

#include "ops/base.h"
#include "ops/operation.h"
#include "ops/persistent.h"
#include "ops/rows.h"

#define RECOVER_MS 2000
#define DEAD_MAX 1024 /* of one call: the others are left to the next */

typedef VECTOR(struct operation) operation_vector;

/* ---- one, or many at once ---- */

static int finish_move(bn_ctx *ctx, const struct operation *operation)
{
	static const struct removal nothing;
	int r = base_take_others(ctx);

	return r < 0 ? r : operations_settle(ctx, operation, 1, &nothing);
}

static int finish_one(bn_ctx *ctx, const struct operation *operation)
{
	return operation->kind == OPERATION_BACKEND_SWITCH ? finish_move(ctx, operation) :
							     operation_finish(ctx, operation);
}

static void say_what_stays(bn_ctx *ctx)
{
	ctx_log(ctx, LOG_ERR, "can't clean up yet: %s", ctx->error.message);
	ctx->left = ctx->error;
}

/* One that can't be finished yet stays reserved, and keeps nobody else from working. */
static void finish_singly(bn_ctx *ctx, const operation_vector *operations)
{
	for (size_t i = 0; i < operations->len; i++) {
		error_clear(&ctx->error);
		if (finish_one(ctx, &operations->items[i]) >= 0)
			continue;
		say_what_stays(ctx);
		store_operation_leave(ctx->store, &operations->items[i]);
	}
}

static int finish_together(bn_ctx *ctx, const operation_vector *operations)
{
	CLEANUP(removal_clear) struct removal removal = { 0 };
	int r = 0;

	for (size_t i = 0; i < operations->len && r >= 0; i++)
		r = removal_load(ctx, &operations->items[i], &removal);
	if (r >= 0)
		r = rows_complete(ctx, &removal.rows);
	return r < 0 ? r : operations_finish(ctx, operations->items, operations->len, &removal);
}

/* ---- those that are found ---- */

/* How they can be finished together: ports alone, endpoints, networks one by one; moves last, for
 * what they left is told by what the state has. */
enum batch { BATCH_PORTS, BATCH_ENDPOINTS, BATCH_SINGLE, BATCH_COUNT };

/* Deleting many interfaces takes hardly longer than deleting one. */
static void finish(bn_ctx *ctx, enum batch batch, const operation_vector *operations)
{
	if (batch == BATCH_SINGLE || operations->len == 1 || finish_together(ctx, operations) < 0)
		finish_singly(ctx, operations);
}

static enum batch batch_of(const struct operation *operation, bool has_network)
{
	switch (operation->kind) {
	case OPERATION_PUBLISH:
	case OPERATION_UNPUBLISH:
		return BATCH_PORTS;
	case OPERATION_ATTACH:
	case OPERATION_DETACH:
		return has_network ? BATCH_SINGLE : BATCH_ENDPOINTS;
	case OPERATION_NETWORK_CREATE:
	case OPERATION_NETWORK_DELETE:
	case OPERATION_BACKEND_SWITCH:
	case OPERATION_UPDATE:
	case OPERATION_PORT_CHANGE:
	case OPERATION_DETACH_MOVE:
		break;
	}
	return BATCH_SINGLE;
}

static int add_dead(bn_ctx *ctx, const struct operation *operation, operation_vector *batches)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r;

	r = store_operation_rows(ctx->store, operation, &rows, &ctx->error);
	if (r < 0)
		return r;
	return vector_append(&batches[batch_of(operation, rows.networks.len)], *operation);
}

static int take_dead(bn_ctx *ctx, operation_vector *batches)
{
	struct operation operation = { 0 };
	int r = 0;

	for (int taken = 0; taken < DEAD_MAX; taken++) {
		r = store_operation_take_dead(ctx->store, operation.id, &operation, &ctx->error);
		if (r <= 0)
			return r;
		if (add_dead(ctx, &operation, batches) >= 0)
			continue;
		/* one whose rows can't be read is passed over */
		say_what_stays(ctx);
		store_operation_leave(ctx->store, &operation);
	}
	return r;
}

static void leave_all(bn_ctx *ctx, const operation_vector *operations)
{
	for (size_t i = 0; i < operations->len; i++)
		store_operation_leave(ctx->store, &operations->items[i]);
}

static void recover(bn_ctx *ctx)
{
	operation_vector batches[BATCH_COUNT] = { 0 };
	int r;

	r = take_dead(ctx, batches);
	if (r < 0)
		ctx_log(ctx, LOG_ERR, "can't look for what the dead left: %s", ctx->error.message);
	for (enum batch i = 0; i < BATCH_COUNT; i++) {
		if (!batches[i].len)
			continue;
		ctx_log(ctx, LOG_NOTICE, "cleaning up after processes that died");
		/* they may have died after they had moved the state */
		r = ctx_open_firewall(ctx);
		if (r >= 0) {
			finish(ctx, i, &batches[i]);
		} else {
			say_what_stays(ctx);
			leave_all(ctx, &batches[i]);
		}
		free(batches[i].items);
	}
}

/* Whatever comes of it is no failure of the call that found it. */
static void recover_dead(bn_ctx *ctx)
{
	uint64_t begun = clock_now_ms(), spent;
	struct aside aside;

	if (!ctx->recover_ms)
		return;
	ctx_aside_begin(ctx, ctx->recover_ms, &aside);
	/* unlike undoing: what the dead left may wait for the next call */
	ctx->deadline.cancel = &ctx->cancel;
	recover(ctx);
	ctx_aside_end(ctx, &aside);
	spent = clock_now_ms() - begun;
	ctx->recover_ms -= spent < ctx->recover_ms ? (uint32_t)spent : ctx->recover_ms;
}

int ops_begin(bn_ctx *ctx, enum ctx_need need)
{
	int r;

	error_clear(&ctx->error);
	ctx->changed = false;
	ctx->ruled = 0;
	ctx->recover_ms = RECOVER_MS;
	error_clear(&ctx->left);
	ctx->deadline = deadline_after(ctx->timeout_ms);
	ctx->deadline.cancel = &ctx->cancel;
	r = deadline_check(&ctx->deadline);
	if (r < 0)
		return deadline_error(&ctx->error, r, "before it began");

	r = ctx_open_store(ctx, need == CTX_CHANGE);
	if (r >= 0 && need != CTX_READ)
		r = ctx_check_thread(ctx);
	if (r >= 0)
		r = ctx_begin_state(ctx, need);
	if (r >= 0)
		r = persistent_load(ctx, need);
	if (r >= 0 && (need == CTX_LINKS || need == CTX_CHANGE))
		r = ctx_open_links(ctx);
	if (r >= 0 && (need == CTX_RULES || need == CTX_CHANGE))
		r = ctx_open_backend(ctx);
	if (r >= 0 && need == CTX_CHANGE && ctx->look.has_operations)
		recover_dead(ctx);
	/* lists of rules read the kernel first, and then what has become of the state since */
	if (need == CTX_RULES)
		store_rollback(ctx->store);
	return r;
}

void ops_end(bn_ctx *ctx)
{
	store_rollback(ctx->store);
}

/* ---- beginning ---- */

static int move_busy_error(bn_ctx *ctx, const char *why)
{
	return error_set(&ctx->error, -EBUSY, BN_REASON_BUSY, "%s (the state in %s); try again",
			 why, ctx->state_dir);
}

/*
 * While the state is being moved to another backend nothing else begins: what another operation is
 * about to do would be done in the backend that the move leaves.
 */
static int check_move(bn_ctx *ctx, enum operation_kind kind, const struct operation *own)
{
	bool alive = false;
	int r;

	if (kind == OPERATION_BACKEND_SWITCH) {
		r = store_operation_is_alone(ctx->store, own, &ctx->error);
		if (r == 0)
			r = move_busy_error(ctx, "other calls are at work");
		return r < 0 ? r : 0;
	}
	r = store_operation_pending(ctx->store, OPERATION_BACKEND_SWITCH, &alive, &ctx->error);
	if (r > 0 && alive)
		r = move_busy_error(ctx, "everything is being moved to another backend");
	return r < 0 ? r : 0;
}

/* What a dead move has left, and could not be cleaned up, is told from what the state has: so
 * nothing goes from there before it. */
static int check_left_by_move(bn_ctx *ctx)
{
	bool alive = false;
	int r;

	r = store_operation_pending(ctx->store, OPERATION_BACKEND_SWITCH, &alive, &ctx->error);
	if (r > 0)
		r = move_busy_error(ctx, "rules that a process left when it died, while it moved "
					 "them to another backend, can't be taken out yet");
	return r < 0 ? r : 0;
}

/* Whoever waits for others looks again and again, and says in the end what it has waited for. */
struct wait {
	unsigned int attempt;
	struct error busy; /* code 0: nothing was in the way yet */
};

#define LOOK_AGAIN_MS 50 /* although nothing has changed: who is at work may have died */

/* In line, and for the operation that is in the way. Where it is not known which that is, or nobody
 * is at it any more, by looks at one number: many may wait for one, who needs the processor. */
static int wait_for_others(bn_ctx *ctx, struct wait *wait)
{
	uint64_t end = clock_now_ms() + LOOK_AGAIN_MS;
	int r = store_claim_wait(ctx->store);

	if (r != 0)
		return r < 0 ? r : 0;
	do
		r = deadline_pause(&ctx->deadline, wait->attempt++);
	while (r == 0 && !store_has_changed(ctx->store) && clock_now_ms() < end);
	return r;
}

/* Nobody may be at work any more, and what is in the way be what could not be cleaned up. */
static int busy_error(bn_ctx *ctx, const struct wait *wait)
{
	const struct error busy = wait->busy;

	if (ctx->left.code)
		return error_set(&ctx->error, -EBUSY, BN_REASON_BUSY,
				 "%s; what an earlier call has left can't be taken out: %s",
				 busy.message, ctx->left.message);
	ctx->error = busy;
	return -EBUSY;
}

/* Until nobody else is at it, or the time is up. *r becomes what the verb is to return. */
static bool wait_again(bn_ctx *ctx, struct wait *wait, int *r)
{
	int ended;

	if (*r == -ETIMEDOUT && wait->busy.code) {
		*r = busy_error(ctx, wait);
		return false;
	}
	if (*r != -EBUSY || ctx->error.reason != BN_REASON_BUSY)
		return false;
	wait->busy = ctx->error;
	recover_dead(ctx);
	ended = wait_for_others(ctx, wait);
	if (ended == -ECANCELED)
		*r = deadline_error(&ctx->error, ended, "while another call was at the same");
	else if (ended < 0)
		*r = busy_error(ctx, wait);
	return ended == 0;
}

/* Mostly the state is still as the call found it when it began: then all that was asked there is
 * known to hold. */
static int begin_reservation(bn_ctx *ctx, enum operation_kind kind)
{
	static const struct operation none;
	int r = store_begin(ctx->store, &ctx->error);
	bool same = r > 0;

	if (r == 0)
		r = store_look(ctx->store, &ctx->look, &ctx->error);
	if (r >= 0)
		r = store_claim_state(ctx->store, kind == OPERATION_BACKEND_SWITCH, &ctx->error);
	if (r >= 0 && ctx->look.has_operations)
		r = check_move(ctx, kind, &none);
	/* another process may have bound the state, or moved it, since the call began */
	if (r >= 0 && !same)
		r = ctx_check_look(ctx);
	if (r >= 0 && !same)
		r = ctx_open_backend(ctx);
	return r;
}

int operation_reserve(bn_ctx *ctx, enum operation_kind kind, reserve_fn reserve, void *verb,
		      struct operation *ret_operation)
{
	struct wait wait = { 0 };
	int r;

	do {
		error_clear(&ctx->error);
		ctx->changed = false;
		store_claim_begin(ctx->store);
		r = begin_reservation(ctx, kind);
		if (r >= 0)
			r = store_operation_open(ctx->store, kind, ret_operation, &ctx->error);
		if (r >= 0)
			r = reserve(ctx, ret_operation, verb);
		if (r >= 0 && operation_removes(kind) && ctx->look.has_operations)
			r = check_left_by_move(ctx);
		if (r >= 0)
			r = store_commit(ctx->store, &ctx->error);
		store_rollback(ctx->store);
	} while (wait_again(ctx, &wait, &r));
	store_claim_end(ctx->store);
	return r;
}

int operation_hold(bn_ctx *ctx)
{
	struct wait wait = { 0 };
	int r;

	do {
		error_clear(&ctx->error);
		/* as one that changes what stands */
		r = begin_reservation(ctx, OPERATION_UPDATE);
		if (r < 0)
			store_rollback(ctx->store);
	} while (wait_again(ctx, &wait, &r));
	return r;
}

int operation_begin_again(bn_ctx *ctx, const struct operation *operation)
{
	struct wait wait = { 0 };
	int r;

	do {
		error_clear(&ctx->error);
		r = store_begin(ctx->store, &ctx->error);
		if (r >= 0)
			r = check_move(ctx, operation->kind, operation);
		if (r < 0)
			store_rollback(ctx->store);
	} while (wait_again(ctx, &wait, &r));
	return r;
}
