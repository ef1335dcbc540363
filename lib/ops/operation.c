/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/operation.h"

#include <errno.h>

#include "model/fault.h"
#include "ops/ops.h"

/* While the state is being moved to another backend nothing else begins, nor before what a move
 * left half done is cleaned up: that goes by the state as it was then. */
static int begin_unmoved(struct engine *engine)
{
	int r;

	for (;;) {
		r = store_begin(engine->store, &engine->error);
		if (r >= 0)
			r = store_operation_pending(engine->store, OPERATION_BACKEND_SWITCH,
						    &engine->error);
		if (r <= 0)
			return r;
		store_rollback(engine->store);
		r = ops_recover(engine);
		if (r < 0)
			return r;
		if (!engine_nap(engine))
			return error_set(&engine->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
					 "the state in %s is being moved to another backend; try "
					 "again, or allow more time", engine->state_dir);
	}
}

int operation_begin(struct engine *engine, enum operation_kind kind, struct operation *operation)
{
	int r;

	if (kind == OPERATION_BACKEND_SWITCH)
		r = store_begin(engine->store, &engine->error);
	else
		r = begin_unmoved(engine);
	if (r >= 0)
		r = engine_open_firewall(engine);
	if (r >= 0)
		r = store_operation_open(engine->store, kind, operation, &engine->error);
	return r;
}

static int settle(struct engine *engine, const struct operation *operation, bool keep)
{
	int r;

	r = store_begin(engine->store, &engine->error);
	if (r >= 0)
		r = keep ? store_operation_close(engine->store, operation, &engine->error)
			 : store_operation_abandon(engine->store, operation, &engine->error);
	if (r >= 0 && keep)
		r = FAULT("settle");
	if (r >= 0)
		r = store_commit(engine->store, &engine->error);
	store_rollback(engine->store);
	return r;
}

int operation_settle(struct engine *engine, const struct operation *operation)
{
	int r = settle(engine, operation, true);

	switch (operation->kind) {
	case OPERATION_NETWORK_CREATE:
	case OPERATION_ATTACH:
	case OPERATION_PUBLISH:
	case OPERATION_BACKEND_SWITCH:
		break;
	case OPERATION_NETWORK_DELETE:
	case OPERATION_DETACH:
	case OPERATION_UNPUBLISH:
		/* the kernel objects are gone: the next call finishes it */
		if (r < 0)
			store_operation_leave(engine->store, operation);
		break;
	}
	return r;
}

void operation_abandon(struct engine *engine, const struct operation *operation)
{
	struct error cause;
	int r = -EUCLEAN;

	engine_undo_begin(engine, &cause);
	/* rows must outlive what they describe */
	if (!engine->undo_failed)
		r = settle(engine, operation, false);
	if (r < 0)
		store_operation_leave(engine->store, operation);
	engine_undo_end(engine, &cause, r);
}
