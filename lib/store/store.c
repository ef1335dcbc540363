/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The database of a state directory: opening, transactions, and what its failures mean. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/waiter.h"
#include "store/private.h"

/*
 * The journal is never synced: the state describes kernel objects and is lost with them, and what a
 * killed process has written is in the page cache. Small pages make small commits: one is a frame
 * for each page touched, checksummed and written whole.
 *
 * Who opens the state with nobody beside him reads the whole journal. A commit carries a long one
 * over to the database, and so does whoever leaves with more than a few frames in it; he empties it
 * too, for what was carried over the next one alone would not know.
 */
#define JOURNAL_MAX 1000
#define JOURNAL_LEFT 32

static const char make_settings[] = "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL;";
static const char open_settings[] = "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;";

#define PROGRESS_STEPS 1000 /* some 20 us */

static int on_busy(void *data, int attempt)
{
	const struct store *store = data;

	return !store->is_hasty && deadline_pause(store->deadline, (unsigned int)attempt) == 0;
}

/* Asked every so many steps of a statement: non-zero breaks it off. What ends a transaction must
 * not be. */
static int on_progress(void *data)
{
	const struct store *store = data;

	return !store->is_ending && deadline_check(store->deadline) < 0;
}

static int on_commit(void *data, sqlite3 *database, const char *name, int frames)
{
	struct store *store = data;

	store->frames = frames;
	if (frames >= JOURNAL_MAX)
		sqlite3_wal_checkpoint_v2(database, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* Nobody is waited for: who is still there does it when he leaves. */
static void empty_journal(struct store *store)
{
	if (store->frames <= JOURNAL_LEFT)
		return;
	sqlite3_busy_handler(store->database, NULL, NULL);
	sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

int store_busy_error(struct store *store, struct error *error)
{
	int r = deadline_check(store->deadline);

	/* some locks SQLite does not wait for */
	return deadline_error(error, r < 0 ? r : -ETIMEDOUT,
			      "while the state in %s was locked by another process",
			      store->directory);
}

static int errno_of(int code, int system)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* no such table, say */
		return EBADMSG;
	default:
		return system > 0 ? system : EIO;
	}
}

int store_error(struct store *store, struct error *error)
{
	int code = sqlite3_extended_errcode(store->database);
	int number = errno_of(code, sqlite3_system_errno(store->database));

	if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_PROTOCOL)
		return store_busy_error(store, error);
	if ((code & 0xff) == SQLITE_INTERRUPT)
		return deadline_error(error, deadline_check(store->deadline),
				      "before the state in %s was read or written",
				      store->directory);
	if (number == ENOMEM)
		return error_oom(error);
	if (number == EBADMSG)
		return error_set(error, -EBADMSG, BN_REASON_STATE,
				 "the state in %s is damaged or not ours (%s); detach everything "
				 "and remove that directory, or name another",
				 store->directory, sqlite3_errmsg(store->database));
	return error_set(error, -number, BN_REASON_STATE,
			 "the state in %s can't be used: %s (%s); see that the directory can be "
			 "written and has room, or name another",
			 store->directory, errno_text(number), sqlite3_errmsg(store->database));
}

static int open_locks(struct store *store, struct error *error)
{
	int r = place_secure_file(&store->place, PLACE_LOCKS, error);

	if (r == 0)
		r = store->lock_fd = place_open_file(&store->place, PLACE_LOCKS, O_RDWR, error);
	if (r >= 0)
		r = store->probe_fd = place_open_file(&store->place, PLACE_LOCKS, O_RDWR, error);
	return r < 0 ? r : 0;
}

static int open_database(struct store *store, const char *path, int flags, struct error *error)
{
	if (sqlite3_open_v2(path, &store->database, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return store->database ? store_error(store, error) : error_oom(error);
	sqlite3_busy_handler(store->database, on_busy, store);
	sqlite3_progress_handler(store->database, PROGRESS_STEPS, on_progress, store);
	/* Else the last to close would remove the journal, and without one a reader that may not
	 * write in the directory can't open the database. */
	sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_wal_hook(store->database, on_commit, store);
	if (sqlite3_exec(store->database, open_settings, NULL, NULL, NULL) != SQLITE_OK)
		return store_error(store, error);
	return 0;
}

/* The change to a journal of its own kind needs the database alone, and fails where it would have
 * to wait for another that wants the same: so one at a time. */
static int make_schema(struct store *store, struct error *error)
{
	int version, r = migration_lock(store, error);

	if (r < 0)
		return r;
	r = schema_version(store, &version, error);
	if (r == 0 && version == 0 &&
	    sqlite3_exec(store->database, make_settings, NULL, NULL, NULL) != SQLITE_OK)
		r = store_error(store, error);
	if (r == 0)
		r = schema_migrate(store, error);
	migration_unlock(store);
	return r;
}

static int open_nothing(struct store *store, struct error *error)
{
	int r;

	sqlite3_close(store->database);
	store->database = NULL;
	store->read_only = true;
	r = open_database(store, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, error);
	return r < 0 ? r : schema_migrate(store, error);
}

static int open_files(struct store *store, const char *path, bool read_only, struct error *error)
{
	int version = 0, r = place_secure(&store->place, error);

	if (r == 0)
		r = open_locks(store, error);
	/* SQLite gives the journal and the shared memory the mode of the database. */
	if (r == 0)
		r = place_secure_file(&store->place, PLACE_DATABASE, error);
	if (r == 0)
		r = open_database(store, path, SQLITE_OPEN_READWRITE, error);
	if (r == 0 && read_only)
		r = schema_version(store, &version, error);
	if (r == 0 && read_only && version == 0)
		return open_nothing(store, error); /* it is being made just now */
	if (r == 0)
		r = make_schema(store, error);
	return r < 0 ? r : generation_open(store, error);
}

/* On a file system that can't be written: as it is, with the journal that is there. */
static int open_files_for_reading(struct store *store, const char *path, bool read_only,
				  struct error *error)
{
	int version, r;

	if (!read_only)
		return error_set(error, -EROFS, BN_REASON_STATE,
				 "the state in %s is on a file system that can't be written; "
				 "mount it for writing, or use another directory",
				 store->directory);
	store->read_only = true;
	r = open_database(store, path, SQLITE_OPEN_READONLY, error);
	if (r == 0)
		r = schema_version(store, &version, error);
	if (r == 0 && version == 0)
		return open_nothing(store, error);
	if (r == 0)
		r = schema_migrate(store, error);
	return r < 0 ? r : generation_open(store, error);
}

static int replaced_error(struct store *store, struct error *error)
{
	return error_set(error, -EBADMSG, BN_REASON_STATE,
			 "the state directory %s, or a file in it, was removed or replaced during "
			 "the call; leave it alone, and see what is left with bn check",
			 store->directory);
}

/* By name, so it may be another one by now than what is open. */
static int remember_place(struct store *store, struct error *error)
{
	struct stat status = { 0 };
	int moved = 0;

	place_remember(&store->place);
	sqlite3_file_control(store->database, NULL, SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved ||
	    (!store->read_only && (fstat(store->lock_fd, &status) < 0 ||
				   status.st_ino != store->place.files[PLACE_LOCKS].inode)))
		return replaced_error(store, error);
	return 0;
}

static int open_place(struct store *store, bool read_only, struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	int r = place_open(store->directory, !read_only, &store->place, error);

	if (r < 0)
		return r;
	if (r == 0 || (read_only && !place_has(&store->place, PLACE_DATABASE)))
		return open_nothing(store, error);
	path = place_path(&store->place, PLACE_DATABASE);
	if (!path)
		return error_oom(error);
	r = place_is_read_only(&store->place) ?
		    open_files_for_reading(store, path, read_only, error) :
		    open_files(store, path, read_only, error);
	return r < 0 ? r : remember_place(store, error);
}

static void cleanup_store(struct store **store)
{
	store_close(*store);
}

int store_open(const char *directory, bool read_only, const struct deadline *deadline,
	       struct store **ret_store, struct error *error)
{
	CLEANUP(cleanup_store) struct store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return error_oom(error);
	store->lock_fd = store->probe_fd = store->generation_fd = store->place.fd = -1;
	store->deadline = deadline;
	process_self(&store->self);
	store->directory = strdup(directory);
	if (!store->directory)
		return error_oom(error);
	r = open_place(store, read_only, error);
	if (r < 0)
		return r;
	*ret_store = TAKE_POINTER(store);
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_rollback(store);
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
	empty_journal(store);
	sqlite3_close(store->database);
	store_close_in_child(store);
}

void store_close_in_child(struct store *store)
{
	if (!store)
		return;
	waiter_put(store->waiter);
	waiter_put(store->claim_waiter);
	cleanup_close(&store->probe_fd);
	cleanup_close(&store->lock_fd);
	cleanup_close(&store->generation_fd);
	place_close(&store->place);
	free(store->opened.items);
	free(store->closed.items);
	free(store->ranges.items);
	free(store->directory);
	free(store);
}

bool store_is_stale(struct store *store)
{
	return store->read_only || !place_is_same(&store->place, PLACE_FILES);
}

/*
 * Of the files that a transaction goes to. Without the lock file it still ends well: the others
 * look for the lock where it was (is_locked).
 */
static int check_files(struct store *store, struct error *error)
{
	if (store->read_only || place_is_untouched(&store->place) ||
	    place_is_same(&store->place, PLACE_LOCKS))
		return 0;
	return replaced_error(store, error);
}

/* What was learnt within a transaction holds no longer. */
static void forget_transaction(struct store *store)
{
	store->opened.len = store->closed.len = 0;
	store->endpoint.sequence = 0;
	store->classes = 0;
	store->clear_to = 0;
	store->looked = false;
}

static int injected_error(struct store *store, int r, struct error *error)
{
	return error_set(error, r, BN_REASON_STATE, "the state in %s can't be written: %s",
			 store->directory, errno_text(-r));
}

bool store_has_begun(const struct store *store)
{
	return !sqlite3_get_autocommit(store->database);
}

/* Did the transaction begin with a look, and was no other begun since? */
static bool goes_on(const struct store *store)
{
	return store->looked && store_has_begun(store);
}

/* The way out is prepared before the way in is taken: for want of memory later there would be
 * none. */
static int begin(struct store *store, enum statement how, struct error *error)
{
	sqlite3_stmt *rollback;
	int r = statement_get(store, STATEMENT_ROLLBACK, NULL, &rollback, error);

	store->looked = false;
	generation_look(store);
	return r < 0 ? r : statement_run(store, how, NULL, error);
}

static int end_transaction(struct store *store, enum statement how, struct error *error)
{
	int r;

	store->is_ending = true;
	r = statement_run(store, how, NULL, error);
	store->is_ending = false;
	return r;
}

/* From reading on to writing: 1. Or 0, and back to nothing, if something was committed since the
 * look, or another is just writing. */
static int go_on(struct store *store, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *lock = NULL;
	int r = statement_get(store, STATEMENT_LOCK, NULL, &lock, error);

	if (r < 0)
		return r;
	switch (sqlite3_step(lock) & 0xff) {
	case SQLITE_DONE:
		return 1;
	case SQLITE_BUSY:
		cleanup_statement(&lock);
		end_transaction(store, STATEMENT_ROLLBACK, NULL);
		return 0;
	default:
		return store_error(store, error);
	}
}

/* -EAGAIN: another is writing. */
static int begin_hastily(struct store *store, struct error *error)
{
	int r;

	store->is_hasty = true;
	r = begin(store, STATEMENT_BEGIN, error);
	store->is_hasty = false;
	if (r != -ETIMEDOUT || (sqlite3_errcode(store->database) & 0xff) != SQLITE_BUSY)
		return r;
	error_clear(error);
	return -EAGAIN;
}

static int begin_in_line(struct store *store, struct error *error)
{
	int is_first, r;

	line_join(store);
	do {
		is_first = line_wait(store);
		if (is_first < 0)
			r = store_busy_error(store, error);
		else
			r = is_first ? begin(store, STATEMENT_BEGIN, error) :
				       begin_hastily(store, error);
	} while (r == -EAGAIN);
	line_leave(store, is_first || r < 0);
	return r;
}

/* 1 if the state is what was looked at. */
static int begin_in_turn(struct store *store, struct error *error)
{
	bool alone = line_is_empty(store);
	int r = 0;

	if (alone && goes_on(store))
		r = go_on(store, error);
	if (r != 0)
		return r;
	/* what was looked at will have changed */
	if (goes_on(store))
		end_transaction(store, STATEMENT_ROLLBACK, NULL);
	r = alone ? begin_hastily(store, error) : -EAGAIN;
	return r == -EAGAIN ? begin_in_line(store, error) : r;
}

/* 1 if the state is what was looked at. */
static int begin_write(struct store *store, struct error *error)
{
	int r = FAULT("store.begin"), same;

	if (r < 0)
		return injected_error(store, r, error);
	if (store->read_only)
		return error_set(error, -EROFS, BN_REASON_STATE,
				 "the state in %s was opened for reading only", store->directory);
	r = deadline_check(store->deadline);
	if (r < 0)
		return deadline_error(error, r, "before the state in %s could be changed",
				      store->directory);
	same = begin_in_turn(store, error);
	if (same < 0)
		return same;
	forget_transaction(store);
	store->in_transaction = true;
	r = check_files(store, error);
	return r < 0 ? r : same;
}

int store_begin(struct store *store, struct error *error)
{
	int r = begin_write(store, error), same = r;

	if (r >= 0)
		r = same ? store_check(store, error) : generation_check(store, error);
	if (r < 0)
		store_rollback(store);
	return r < 0 ? r : same;
}

int store_commit(struct store *store, struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	r = FAULT("store.commit");
	if (r < 0)
		r = injected_error(store, r, error);
	else
		r = generation_raise(store, error);
	if (r == 0)
		r = end_transaction(store, STATEMENT_COMMIT, error);
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	generation_write(store);
	/* Only now: whoever sees the row of an operation that is alive must see its lock. */
	operations_unlock(store, &store->closed);
	forget_transaction(store);
	store->in_transaction = false;
	return 0;
}

int store_begin_read(struct store *store, struct error *error)
{
	return goes_on(store) ? 0 : begin(store, STATEMENT_BEGIN_READ, error);
}

void store_rollback(struct store *store)
{
	if (!store)
		return;
	/* SQLite has rolled back by itself after some failures, and says so with an error. */
	if (store->database && !sqlite3_get_autocommit(store->database))
		end_transaction(store, STATEMENT_ROLLBACK, NULL);
	store->looked = false;
	if (!store->in_transaction)
		return;
	operations_unlock(store, &store->opened);
	/* its number is given again */
	if (store->opened.len)
		note_operation(store, 0);
	forget_transaction(store);
	store->in_transaction = false;
}

int transaction_check(struct store *store, struct error *error)
{
	if (store->in_transaction)
		return 0;
	return error_set(error, -EINVAL, BN_REASON_STATE,
			 "the state in %s is written outside a transaction", store->directory);
}

/* ---- taking over ---- */

/* 1 when it is empty, 0 when somebody was faster. */
static int take_over(struct store *store, const char *key, const char *value, struct error *error)
{
	char now[META_MAX];
	int r = generation_skip(store, error);

	if (r == 0)
		r = store_meta_get(store, key, now, error);
	if (r < 0 || strcmp(now, value) != 0)
		return r;
	r = operations_check_dead(store, error);
	if (r == 0)
		r = schema_empty(store, error);
	return r < 0 ? r : 1;
}

int store_take_over(struct store *store, const char *key, const char *value, struct error *error)
{
	int r = begin_write(store, error), taken;

	taken = r < 0 ? r : take_over(store, key, value, error);
	r = taken > 0 ? store_commit(store, error) : 0;
	store_rollback(store);
	return r < 0 ? r : taken;
}
