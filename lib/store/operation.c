/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Operations: what a call is about to do, so that another can undo or finish it.
 *
 * An operation is owned by whoever locks its byte of the lock file. The lock belongs to the open
 * file description, not to the process: two stores of one process see each other's, and it goes
 * with the last descriptor. A child that the owner has forked holds it too and may outlive the
 * owner, so where the process can be seen it has to be alive as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/process.h"
#include "store/private.h"

/* STATEMENT_OPERATION_LIST */
enum { ID, KIND, LOCK, LOCK_INODE, PID, STARTED, PID_NAMESPACE, REBUILT };

bool operation_replaces(enum operation_kind kind)
{
	return kind == OPERATION_PORT_CHANGE || kind == OPERATION_DETACH_MOVE;
}

bool operation_removes(enum operation_kind kind)
{
	return kind == OPERATION_NETWORK_DELETE || kind == OPERATION_DETACH ||
	       kind == OPERATION_UNPUBLISH || operation_replaces(kind);
}

int operation_check(struct store *store, const struct operation *operation, bool removes,
		    struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if (operation_removes(operation->kind) == removes ||
	    (!removes && operation_replaces(operation->kind)))
		return 0;
	return error_set(error, -EINVAL, BN_REASON_STATE,
			 "operation %lld in %s can't both make and remove",
			 (long long)operation->id, store->directory);
}

int lock_byte(int fd, int64_t byte, short type)
{
	struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &range) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static int lock_error(struct store *store, int r, struct error *error)
{
	return error_set(error, r, BN_REASON_STATE,
			 "can't lock %s/operations.lock: %s; is that file system able to lock?",
			 store->directory, errno_text(-r));
}

int migration_lock(struct store *store, struct error *error)
{
	int r;

	for (unsigned int attempt = 0; (r = lock_byte(store->lock_fd, 0, F_WRLCK)) == -EAGAIN;
	     attempt++)
		if (deadline_pause(store->deadline, attempt) < 0)
			return store_busy_error(store, error);
	return r < 0 ? lock_error(store, r, error) : 0;
}

void migration_unlock(struct store *store)
{
	lock_byte(store->lock_fd, 0, F_UNLCK);
}

void operations_unlock(struct store *store, id_vector *ids)
{
	/* Nothing to do about a failure: the lock is dropped when the store is closed. */
	for (size_t i = 0; i < ids->len; i++)
		lock_byte(store->lock_fd, ids->items[i], F_UNLCK);
}

/* A number that no operation has had, for it and for its lock. */
static int next_number(struct store *store, int64_t *ret_number, struct error *error)
{
	int64_t number = store->last;
	int r;

	/* A number is locked for a moment after the transaction that had it was rolled back. */
	do {
		r = lock_byte(store->lock_fd, ++number, F_WRLCK);
	} while (r == -EAGAIN);
	if (r < 0)
		return lock_error(store, r, error);
	if (vector_append(&store->opened, number) < 0) {
		lock_byte(store->lock_fd, number, F_UNLCK);
		return error_oom(error);
	}
	*ret_number = store->last = number;
	return 0;
}

/* Of the row: which lock file, and which process, it belongs to. */
#define OWNER(store)                                                          \
	INT((store)->place.files[PLACE_LOCKS].inode), INT((store)->self.pid), \
		INT((store)->self.started), TEXT((store)->self.pid_namespace)

int store_operation_open(struct store *store, enum operation_kind kind,
			 struct operation *ret_operation, struct error *error)
{
	int64_t id = 0;
	int r = transaction_check(store, error);

	if (r == 0)
		r = next_number(store, &id, error);
	if (r == 0)
		r = statement_run(store, STATEMENT_OPERATION_INSERT,
				  VALUES(INT(id), INT(kind), OWNER(store)), error);
	if (r < 0)
		return r;
	note_operation(store, id);
	*ret_operation = (struct operation){ .id = id, .lock = id, .kind = kind };
	return 0;
}

/* After a statement on the row of an operation that is still ours. */
static int check_owned(struct store *store, const struct operation *operation, struct error *error)
{
	if (sqlite3_changes(store->database) == 1)
		return 0;
	return error_set(error, OPERATION_GONE, BN_REASON_STATE,
			 "another process has taken operation %lld in %s for one of a process that "
			 "died; was a file removed there?",
			 (long long)operation->id, store->directory);
}

/* The operation's row goes, and its lock with the commit. */
static int settle_operation(struct store *store, const struct operation *operation,
			    struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if (vector_append(&store->closed, operation->lock) < 0)
		return error_oom(error);
	r = statement_run(store, STATEMENT_OPERATION_DELETE,
			  VALUES(INT(operation->id), INT(operation->lock)), error);
	return r < 0 ? r : check_owned(store, operation, error);
}

static bool has_ports_alone(const struct operation *operation)
{
	return operation->kind == OPERATION_PUBLISH || operation->kind == OPERATION_UNPUBLISH ||
	       operation->kind == OPERATION_PORT_CHANGE;
}

static int delete_rows(struct store *store, const struct operation *operation, struct error *error)
{
	int r = ports_delete(store, operation, error);

	/* Networks first: what their endpoints release need not be remembered then. */
	if (r == 0 && !has_ports_alone(operation))
		r = networks_delete(store, operation->id, error);
	if (r == 0 && !has_ports_alone(operation))
		r = endpoints_delete(store, operation->id, error);
	return r;
}

int store_operation_close(struct store *store, const struct operation *operation,
			  struct error *error)
{
	int r = settle_operation(store, operation, error);

	if (r < 0)
		return r;
	if (operation->kind == OPERATION_UPDATE)
		return updates_close(store, operation->id, error);
	return operation_removes(operation->kind) ? delete_rows(store, operation, error) : 0;
}

void store_operation_leave(struct store *store, const struct operation *operation)
{
	lock_byte(store->lock_fd, operation->lock, F_UNLCK);
}

static int unmark_rows(struct store *store, const struct operation *operation, struct error *error)
{
	int r = 0;

	if (operation_replaces(operation->kind))
		r = ports_delete_replacing(store, operation, error);
	if (r < 0)
		return r;
	if (has_ports_alone(operation))
		return ports_unmark(store, operation, error);
	r = statement_run(store, STATEMENT_ENDPOINT_UNMARK, VALUES(INT(operation->id)), error);
	if (r == 0)
		r = statement_run(store, STATEMENT_NETWORK_UNMARK, VALUES(INT(operation->id)),
				  error);
	return r;
}

int store_operation_abandon(struct store *store, const struct operation *operation,
			    struct error *error)
{
	int r = settle_operation(store, operation, error);

	if (r < 0)
		return r;
	if (operation->kind == OPERATION_UPDATE)
		return updates_abandon(store, operation->id, error);
	if (operation_removes(operation->kind))
		return unmark_rows(store, operation, error);
	return delete_rows(store, operation, error);
}

int store_operation_turn_back(struct store *store, const struct operation *operation,
			      struct error *error)
{
	int r = transaction_check(store, error);

	if (r == 0)
		r = statement_run(store, STATEMENT_OPERATION_TURN_BACK,
				  VALUES(INT(operation->id), INT(operation->lock)), error);
	return r < 0 ? r : check_owned(store, operation, error);
}

int store_operations_set_rebuilt(struct store *store, struct error *error)
{
	int r = transaction_check(store, error);

	return r < 0 ? r : statement_run(store, STATEMENT_OPERATION_SET_REBUILT, NULL, error);
}

/* The oldest operation after that number: 1, or 0 if there is none. */
static int next_operation(struct store *store, int64_t after, sqlite3_stmt **ret_row,
			  struct operation *ret_operation, struct error *error)
{
	int r = statement_look_up(store, STATEMENT_OPERATION_LIST, VALUES(INT(after)), ret_row,
				  error);

	if (r > 0)
		*ret_operation = (struct operation){
			.id = sqlite3_column_int64(*ret_row, ID),
			.lock = sqlite3_column_int64(*ret_row, LOCK),
			.kind = (enum operation_kind)sqlite3_column_int(*ret_row, KIND),
		};
	return r;
}

/* That very one: 1, or 0 if it is gone. */
static int find_operation(struct store *store, int64_t id, sqlite3_stmt **ret_row,
			  struct error *error)
{
	struct operation found = { 0 };
	int r = next_operation(store, id - 1, ret_row, &found, error);

	return r > 0 ? found.id == id : r;
}

int operation_find_lock(struct store *store, int64_t operation, int64_t *ret_lock,
			struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = find_operation(store, operation, &row, error);

	if (r > 0)
		*ret_lock = sqlite3_column_int64(row, LOCK);
	return r;
}

/*
 * The lock file was removed while a call was at work: its lock is on the file that nobody can open
 * any more, but that the kernel lists. The number is not given again for as long as it is held.
 */
static bool is_listed(uint64_t inode, int64_t lock)
{
	FILE *file = fopen("/proc/locks", "re");
	char line[256], last[24];
	bool found = false;
	uint64_t number;
	int64_t first;

	/* Rather wait for one that is dead than undo the work of one that lives. */
	if (!file)
		return true;
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%*u: OFDLCK %*s %*s %*d %*x:%*x:%" SCNu64 " %" SCNd64 " %23s",
			       &number, &first, last) == 3 &&
			number == inode && first == lock;
	fclose(file);
	return found;
}

/* 1, 0, or negative. */
static int is_locked(struct store *store, int64_t lock, uint64_t inode, struct error *error)
{
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = lock, .l_len = 1
	};

	if (inode && inode != store->place.files[PLACE_LOCKS].inode && is_listed(inode, lock))
		return 1;
	/* Asked of the other description: on our own, a lock that we hold is no obstacle. */
	if (fcntl(store->probe_fd, F_OFD_GETLK, &range) < 0)
		return lock_error(store, -errno, error);
	return range.l_type != F_UNLCK;
}

/* 1, 0, or negative. */
static int is_alive(struct store *store, const struct operation *operation, sqlite3_stmt *row,
		    struct error *error)
{
	struct process owner = {
		.pid = sqlite3_column_int64(row, PID),
		.started = (uint64_t)sqlite3_column_int64(row, STARTED),
	};
	int r = is_locked(store, operation->lock, (uint64_t)sqlite3_column_int64(row, LOCK_INODE),
			  error);

	if (r <= 0)
		return r;
	if (column_copy(row, PID_NAMESPACE, owner.pid_namespace, sizeof(owner.pid_namespace)) < 0)
		return store_damaged_error(store, "an operation", error);
	return !process_is_gone(&store->self, &owner);
}

int operations_check_dead(struct store *store, struct error *error)
{
	struct operation operation = { 0 };
	int r;

	for (;;) {
		CLEANUP_STATEMENT sqlite3_stmt *row = NULL;

		r = next_operation(store, operation.id, &row, &operation, error);
		if (r <= 0)
			return r;
		r = is_alive(store, &operation, row, error);
		if (r < 0)
			return r;
		if (r > 0)
			return error_set(error, -EBUSY, BN_REASON_BUSY,
					 "another process is at work on the state in %s, so it "
					 "can't be taken over; try again when that has ended",
					 store->directory);
	}
}

/* Within a transaction, so that of several who find it dead one gets it: 1, or 0 if it is alive or
 * gone by now. With a lock of its own: a child of the owner may hold the old one for as long as it
 * lives. */
static int take_over(struct store *store, struct operation *operation, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	struct operation found = { 0 };
	int r = next_operation(store, operation->id - 1, &row, &found, error);

	if (r <= 0 || found.id != operation->id)
		return r < 0 ? r : 0;
	r = is_alive(store, &found, row, error);
	if (r)
		return r < 0 ? r : 0;
	r = next_number(store, &operation->lock, error);
	if (r == 0)
		r = statement_run(store, STATEMENT_OPERATION_TAKE,
				  VALUES(INT(found.id), INT(operation->lock), OWNER(store),
					 INT(!operation_removes(found.kind))),
				  error);
	return r < 0 ? r : 1;
}

/* The oldest dead one after that number, by a look that costs no transaction. */
static int find_dead(struct store *store, int64_t after, struct operation *ret_operation,
		     struct error *error)
{
	int r;

	ret_operation->id = after;
	for (;;) {
		CLEANUP_STATEMENT sqlite3_stmt *row = NULL;

		r = next_operation(store, ret_operation->id, &row, ret_operation, error);
		if (r <= 0)
			return r;
		r = is_alive(store, ret_operation, row, error);
		if (r <= 0)
			return r < 0 ? r : 1;
	}
}

int store_operation_find_dead(struct store *store, int64_t after, struct operation *ret_operation,
			      struct error *error)
{
	/* where nothing can be written there is no lock to be asked */
	return store->read_only ? 0 : find_dead(store, after, ret_operation, error);
}

int store_operation_take_dead(struct store *store, int64_t after, struct operation *ret_operation,
			      struct error *error)
{
	struct operation operation = { 0 };
	int r;

	if (store->read_only || store->in_transaction)
		return error_set(error, -EINVAL, BN_REASON_STATE,
				 "dead operations in %s are looked for in a transaction or a store "
				 "for reading",
				 store->directory);
	while ((r = find_dead(store, after, &operation, error)) > 0) {
		r = store_begin(store, error);
		if (r >= 0)
			r = take_over(store, &operation, error);
		if (r > 0) {
			r = store_commit(store, error);
			if (r == 0)
				*ret_operation = operation;
			return r < 0 ? r : 1;
		}
		store_rollback(store);
		if (r < 0)
			return r;
		after = operation.id;
	}
	return r;
}

int store_operation_is_alone(struct store *store, const struct operation *operation,
			     struct error *error)
{
	struct operation other = { 0 };
	int r;

	do {
		CLEANUP_STATEMENT sqlite3_stmt *row = NULL;

		r = next_operation(store, other.id, &row, &other, error);
	} while (r > 0 && other.id == operation->id);
	if (r > 0)
		claim_note_blocker(store, other.id);
	return r < 0 ? r : r == 0;
}

int store_operation_pending(struct store *store, enum operation_kind kind, bool *ret_alive,
			    struct error *error)
{
	struct operation operation = { 0 };
	int r;

	for (;;) {
		CLEANUP_STATEMENT sqlite3_stmt *row = NULL;

		r = next_operation(store, operation.id, &row, &operation, error);
		if (r <= 0)
			return r;
		if (operation.kind != kind)
			continue;
		claim_note_blocker(store, operation.id);
		r = is_alive(store, &operation, row, error);
		*ret_alive = r > 0;
		return r < 0 ? r : 1;
	}
}

int store_operation_is_rebuilt(struct store *store, const struct operation *operation,
			       struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = find_operation(store, operation->id, &row, error);

	return r > 0 ? sqlite3_column_int(row, REBUILT) : r;
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
