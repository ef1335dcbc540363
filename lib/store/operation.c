/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Operations: what a call is about to do, so that another can undo or finish it.
 *
 * Operation n is owned by whoever locks byte n of the lock file. The lock belongs to the open file
 * description, not to the process: two stores of one process see each other's, and it goes with
 * the last descriptor, however the process ends.
 */
#include <errno.h>
#include <fcntl.h>

#include "store/private.h"

bool operation_removes(enum operation_kind kind)
{
	return kind == OPERATION_NETWORK_DELETE || kind == OPERATION_DETACH ||
	       kind == OPERATION_UNPUBLISH;
}

int operation_check(struct store *store, const struct operation *operation, bool removes,
		    struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if (operation_removes(operation->kind) == removes)
		return 0;
	return error_set(error, -EINVAL, BN_REASON_STATE,
			 "operation %lld in %s can't both make and remove",
			 (long long)operation->id, store->directory);
}

/* 0, or -errno; -EAGAIN when another description holds it. */
static int lock_operation(int fd, int64_t id, short type)
{
	struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = id, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &range) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static int lock_error(struct store *store, int r, struct error *error)
{
	return error_set(error, r, BN_REASON_STATE,
			 "can't lock %s/" LOCK_FILE ": %s; is that file system able to lock?",
			 store->directory, errno_text(-r));
}

int migration_lock(struct store *store, struct error *error)
{
	int r;

	for (unsigned int attempt = 0; (r = lock_operation(store->lock_fd, 0, F_WRLCK)) == -EAGAIN;
	     attempt++)
		if (deadline_pause(store->deadline, attempt) < 0)
			return store_busy_error(store, error);
	return r < 0 ? lock_error(store, r, error) : 0;
}

void migration_unlock(struct store *store)
{
	lock_operation(store->lock_fd, 0, F_UNLCK);
}

void operations_unlock(struct store *store, id_vector *ids)
{
	/* Nothing to do about a failure: the lock is dropped when the store is closed. */
	for (size_t i = 0; i < ids->len; i++)
		lock_operation(store->lock_fd, ids->items[i], F_UNLCK);
}

int store_operation_open(struct store *store, enum operation_kind kind,
			 struct operation *ret_operation, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *last = NULL;
	int64_t id;
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	r = statement_look_up(store, STATEMENT_OPERATION_LAST, NULL, &last, error);
	if (r < 0)
		return r;
	if (r == 0)
		return store_damaged_error(store, "the last operation's number", error);
	id = sqlite3_column_int64(last, 0);
	/* A number is locked for a moment after the transaction that had it was rolled back. */
	do {
		r = lock_operation(store->lock_fd, ++id, F_WRLCK);
	} while (r == -EAGAIN);
	if (r < 0)
		return lock_error(store, r, error);
	if (vector_append(&store->opened, id) < 0) {
		lock_operation(store->lock_fd, id, F_UNLCK);
		return error_oom(error);
	}
	r = statement_run(store, STATEMENT_OPERATION_INSERT, VALUES(INT(id), INT(kind)), error);
	if (r < 0)
		return r;
	*ret_operation = (struct operation){ .id = id, .kind = kind };
	return 0;
}

/* The operation's row goes, and its lock with the commit. */
static int settle_operation(struct store *store, const struct operation *operation,
			    struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if (vector_append(&store->closed, operation->id) < 0)
		return error_oom(error);
	return statement_run(store, STATEMENT_OPERATION_DELETE, VALUES(INT(operation->id)), error);
}

int store_operation_close(struct store *store, const struct operation *operation,
			  struct error *error)
{
	int r = settle_operation(store, operation, error);

	if (r < 0 || !operation_removes(operation->kind))
		return r;
	r = statement_run(store, STATEMENT_PORT_DELETE_MARKED, VALUES(INT(operation->id)), error);
	/* Networks first: what their endpoints release need not be remembered then. */
	if (r == 0 && operation->kind == OPERATION_NETWORK_DELETE)
		r = networks_delete(store, operation->id, error);
	if (r == 0 && operation->kind != OPERATION_UNPUBLISH)
		r = endpoints_delete(store, operation->id, error);
	return r;
}

void store_operation_leave(struct store *store, const struct operation *operation)
{
	lock_operation(store->lock_fd, operation->id, F_UNLCK);
}

static int unmark_rows(struct store *store, int64_t id, struct error *error)
{
	int r = statement_run(store, STATEMENT_PORT_UNMARK, VALUES(INT(id)), error);

	if (r == 0)
		r = statement_run(store, STATEMENT_ENDPOINT_UNMARK, VALUES(INT(id)), error);
	if (r == 0)
		r = statement_run(store, STATEMENT_NETWORK_UNMARK, VALUES(INT(id)), error);
	return r;
}

int store_operation_abandon(struct store *store, const struct operation *operation,
			    struct error *error)
{
	int r = settle_operation(store, operation, error);

	if (r < 0)
		return r;
	if (operation_removes(operation->kind))
		return unmark_rows(store, operation->id, error);
	r = statement_run(store, STATEMENT_PORT_DELETE_INSERTED, VALUES(INT(operation->id)), error);
	if (r == 0)
		r = networks_delete(store, operation->id, error);
	if (r == 0)
		r = endpoints_delete(store, operation->id, error);
	return r;
}

/* The oldest operation after that number: 1, or 0 if there is none. */
static int next_operation(struct store *store, int64_t after, struct operation *ret_operation,
			  struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
	int r = statement_look_up(store, STATEMENT_OPERATION_LIST, VALUES(INT(after)), &statement,
				  error);

	if (r > 0) {
		ret_operation->id = sqlite3_column_int64(statement, 0);
		ret_operation->kind = (enum operation_kind)sqlite3_column_int(statement, 1);
	}
	return r;
}

/* 1 if it is ours now; 0 if its owner is alive, or had just settled it. */
static int take_over(struct store *store, const struct operation *operation, struct error *error)
{
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = operation->id, .l_len = 1
	};
	struct operation found = { 0 };
	int r;

	/* Asked of the other description: on our own, a lock that we hold is no obstacle. */
	if (fcntl(store->probe_fd, F_OFD_GETLK, &range) < 0)
		return lock_error(store, -errno, error);
	if (range.l_type != F_UNLCK)
		return 0;
	r = lock_operation(store->lock_fd, operation->id, F_WRLCK);
	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return lock_error(store, r, error);
	r = next_operation(store, operation->id - 1, &found, error);
	if (r > 0 && found.id == operation->id)
		return 1;
	lock_operation(store->lock_fd, operation->id, F_UNLCK);
	return r < 0 ? r : 0;
}

int store_operation_take_dead(struct store *store, struct operation *ret_operation,
			      struct error *error)
{
	struct operation operation = { 0 };
	int r;

	if (store->read_only || store->in_transaction)
		return error_set(error, -EINVAL, BN_REASON_STATE,
				 "dead operations in %s are looked for in a transaction or a store "
				 "for reading",
				 store->directory);
	while ((r = next_operation(store, operation.id, &operation, error)) > 0) {
		r = take_over(store, &operation, error);
		if (r == 0)
			continue;
		if (r > 0)
			*ret_operation = operation;
		return r;
	}
	return r;
}

int store_operation_is_alone(struct store *store, const struct operation *operation,
			     struct error *error)
{
	struct operation other = { 0 };
	int r;

	while ((r = next_operation(store, other.id, &other, error)) > 0) {
		if (other.id != operation->id)
			return 0;
	}
	return r < 0 ? r : 1;
}

int store_operation_pending(struct store *store, enum operation_kind kind, struct error *error)
{
	struct operation operation = { 0 };
	int r;

	while ((r = next_operation(store, operation.id, &operation, error)) > 0) {
		if (operation.kind == kind)
			return 1;
	}
	return r;
}

int store_operation_rows(struct store *store, const struct operation *operation, struct rows *rows,
			 struct error *error)
{
	int r = networks_of_operation(store, operation->id, &rows->networks, error);

	if (r == 0)
		r = endpoints_of_operation(store, operation->id, &rows->endpoints, error);
	if (r == 0)
		r = ports_of_operation(store, operation, &rows->ports, error);
	return r;
}
