/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/operation.h"

#include <errno.h>

#include "model/fault.h"

int operation_begin(struct engine *engine, enum operation_kind kind, struct operation *operation)
{
	int r;

	r = store_begin(engine->store, &engine->error);
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
