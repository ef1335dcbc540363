/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The database of a state directory: opening, transactions, and what its failures mean. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "store/private.h"

/*
 * The journal is never synced: the state describes kernel objects and is lost with them, and what a
 * killed process has written is in the page cache. Small pages make small commits: one is a frame
 * for each page touched, checksummed and written whole. A short journal is read fast by the first
 * to open it, and no commit that carries it over takes long.
 */
static const char make_settings[] = "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL;";
static const char open_settings[] =
	"PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 1000;";

#define PROGRESS_STEPS 1000 /* some 20 us */

static int on_busy(void *data, int attempt)
{
	const struct store *store = data;

	return deadline_pause(store->deadline, (unsigned int)attempt) == 0;
}

/* Asked every so many steps of a statement: non-zero breaks it off. What ends a transaction must
 * not be. */
static int on_progress(void *data)
{
	const struct store *store = data;

	return !store->is_ending && deadline_check(store->deadline) < 0;
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

static int directory_error(const char *directory, const char *what, struct error *error)
{
	int number = errno;

	return error_set(error, -number, BN_REASON_STATE,
			 "%s the state directory %s: %s; use a directory that this user can write",
			 what, directory, errno_text(number));
}

/* Open to readers whatever the umask is, as their listings need no privilege. */
static int make_directory(const char *directory, struct error *error)
{
	if (mkdir(directory, 0755) == 0) {
		if (chmod(directory, 0755) < 0)
			return directory_error(directory, "can't set the mode of", error);
	} else if (errno != EEXIST) {
		return directory_error(directory, "can't make", error);
	}
	return 0;
}

/*
 * The file is made without opening it: closing any descriptor of a database file would drop the
 * locks that SQLite holds on it for another store of this process. SQLite gives the journal and
 * the shared memory the mode of the database.
 */
static int make_database(const char *directory, const char *path, struct error *error)
{
	if (mknod(path, S_IFREG | 0644, 0) == 0) {
		if (chmod(path, 0644) < 0)
			return directory_error(directory, "can't set the mode of a file of", error);
	} else if (errno != EEXIST) {
		return directory_error(directory, "can't make a file in", error);
	}
	return 0;
}

static int open_locks(struct store *store, struct error *error)
{
	CLEANUP_FREE char *path = NULL;

	if (asprintf(&path, "%s/" LOCK_FILE, store->directory) < 0) {
		path = NULL;
		return error_oom(error);
	}
	/* Not readable by others: a lock for reading would make a dead operation look alive. */
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd >= 0)
		store->probe_fd = open(path, O_RDWR | O_CLOEXEC);
	if (store->lock_fd < 0 || store->probe_fd < 0)
		return directory_error(store->directory, "can't open " LOCK_FILE " in", error);
	return 0;
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

static int open_for_writing(struct store *store, const char *path, struct error *error)
{
	int r = make_directory(store->directory, error);

	if (r == 0)
		r = open_locks(store, error);
	if (r == 0)
		r = make_database(store->directory, path, error);
	if (r == 0)
		r = open_database(store, path, SQLITE_OPEN_READWRITE, error);
	return r < 0 ? r : make_schema(store, error);
}

/* What is missing, or is being made by another process just now, is empty. */
static int open_for_reading(struct store *store, const char *path, struct error *error)
{
	int version = 0, r = 0;

	if (access(path, F_OK) == 0) {
		r = open_database(store, path, SQLITE_OPEN_READONLY, error);
		if (r == 0)
			r = schema_version(store, &version, error);
	} else if (errno != ENOENT) {
		return directory_error(store->directory, "can't look into", error);
	}
	if (r == 0 && version == 0) {
		sqlite3_close(store->database);
		r = open_database(store, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY,
				  error);
	}
	return r < 0 ? r : schema_migrate(store, error);
}

static void cleanup_store(struct store **store)
{
	store_close(*store);
}

int store_open(const char *directory, bool read_only, const struct deadline *deadline,
	       struct store **ret_store, struct error *error)
{
	CLEANUP(cleanup_store) struct store *store = calloc(1, sizeof(*store));
	CLEANUP_FREE char *path = NULL;
	int r;

	if (!store)
		return error_oom(error);
	store->lock_fd = store->probe_fd = -1;
	store->read_only = read_only;
	store->deadline = deadline;
	process_self(&store->self);
	store->directory = strdup(directory);
	if (!store->directory)
		return error_oom(error);
	if (asprintf(&path, "%s/" DATABASE_FILE, directory) < 0) {
		path = NULL;
		return error_oom(error);
	}
	r = read_only ? open_for_reading(store, path, error) : open_for_writing(store, path, error);
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
	sqlite3_close(store->database);
	store_close_in_child(store);
}

void store_close_in_child(struct store *store)
{
	if (!store)
		return;
	cleanup_close(&store->probe_fd);
	cleanup_close(&store->lock_fd);
	free(store->opened.items);
	free(store->closed.items);
	free(store->directory);
	free(store);
}

/* What was learnt within a transaction holds no longer. */
static void forget_transaction(struct store *store)
{
	store->opened.len = store->closed.len = 0;
	store->endpoint.sequence = 0;
	store->classes = 0;
}

static int injected_error(struct store *store, int r, struct error *error)
{
	return error_set(error, r, BN_REASON_STATE, "the state in %s can't be written: %s",
			 store->directory, errno_text(-r));
}

/* The way out is prepared before the way in is taken: for want of memory later there would be
 * none. */
static int begin(struct store *store, enum statement how, struct error *error)
{
	sqlite3_stmt *rollback;
	int r = statement_get(store, STATEMENT_ROLLBACK, NULL, &rollback, error);

	return r < 0 ? r : statement_run(store, how, NULL, error);
}

int store_begin(struct store *store, struct error *error)
{
	int r = FAULT("store.begin");

	if (r < 0)
		return injected_error(store, r, error);
	if (store->read_only)
		return error_set(error, -EROFS, BN_REASON_STATE,
				 "the state in %s was opened for reading only", store->directory);
	r = deadline_check(store->deadline);
	if (r < 0)
		return deadline_error(error, r, "before the state in %s could be changed",
				      store->directory);
	r = begin(store, STATEMENT_BEGIN, error);
	if (r < 0)
		return r;
	forget_transaction(store);
	store->in_transaction = true;
	return 0;
}

static int end_transaction(struct store *store, enum statement how, struct error *error)
{
	int r;

	store->is_ending = true;
	r = statement_run(store, how, NULL, error);
	store->is_ending = false;
	return r;
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
		r = end_transaction(store, STATEMENT_COMMIT, error);
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	/* Only now: whoever sees the row of an operation that is alive must see its lock. */
	operations_unlock(store, &store->closed);
	forget_transaction(store);
	store->in_transaction = false;
	return 0;
}

int store_begin_read(struct store *store, struct error *error)
{
	return begin(store, STATEMENT_BEGIN_READ, error);
}

void store_rollback(struct store *store)
{
	/* SQLite has rolled back by itself after some failures, and says so with an error. */
	if (store->database && !sqlite3_get_autocommit(store->database))
		end_transaction(store, STATEMENT_ROLLBACK, NULL);
	if (!store->in_transaction)
		return;
	operations_unlock(store, &store->opened);
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
