/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A number that each write transaction raises, in the state and, once it is committed, in a file
 * beside it. A damaged journal ends for SQLite where its first bad frame is, without a word, and
 * what is left is an older state, whose rows name kernel objects that others have by now; that
 * state's number is then smaller than the file's. What dies between its commit and the file leaves
 * the state the newer one, and what dies before its commit has not touched the file.
 *
 * The file has two records that take turns, so that a write that is cut off harms the one that
 * nobody needs. A number that comes late, after that of a later commit, is no harm: the file is
 * allowed to be behind.
 *
 * Behind them are two of the same form for what the processes that share the state tell each other,
 * outside its transactions. What it holds for is in the check: to whoever asks for something else
 * there is nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "store/private.h"

struct record {
	uint64_t number, check;
};

enum { RECORDS_GENERATION, RECORDS_HINT };

static uint64_t check_of(uint64_t number, uint64_t key)
{
	return (~number * 0x9e3779b97f4a7c15u) ^ key;
}

int generation_open(struct store *store, struct error *error)
{
	int r = 0;

	if (!store->read_only)
		r = place_secure_file(&store->place, PLACE_GENERATION, error);
	if (r < 0 || !place_has(&store->place, PLACE_GENERATION))
		return r;
	r = place_open_file(&store->place, PLACE_GENERATION, store->read_only ? O_RDONLY : O_RDWR,
			    error);
	store->generation_fd = r;
	return r < 0 ? r : 0;
}

/* 0 for an empty file, or one that makes no sense. */
static uint64_t read_number(const struct store *store, off_t which, uint64_t key)
{
	struct record records[2] = { 0 };
	uint64_t number = 0;

	if (store->generation_fd < 0 || pread(store->generation_fd, records, sizeof(records),
					      which * (off_t)sizeof(records)) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		if (records[i].check == check_of(records[i].number, key) &&
		    records[i].number > number)
			number = records[i].number;
	return number;
}

/* One that is missing makes the file older, which is no harm. */
static void write_number(const struct store *store, off_t which, uint64_t key, uint64_t number)
{
	const struct record record = { number, check_of(number, key) };
	off_t offset = (which * 2 + (off_t)(number % 2)) * (off_t)sizeof(record);

	if (store->generation_fd >= 0 &&
	    pwrite(store->generation_fd, &record, sizeof(record), offset) < 0)
		return;
}

uint64_t store_hint_get(const struct store *store, uint64_t key)
{
	return read_number(store, RECORDS_HINT, key);
}

void store_hint_set(const struct store *store, uint64_t key, uint64_t number)
{
	write_number(store, RECORDS_HINT, key, number);
}

/* Of the last transaction, and of the last operation. */
static int read_numbers(struct store *store, uint64_t *ret_generation, int64_t *ret_operation,
			struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_NUMBERS_GET, NULL, &row, error);

	if (r == 0)
		return store_damaged_error(store, "its number", error);
	if (r < 0)
		return r;
	*ret_generation = (uint64_t)sqlite3_column_int64(row, 0);
	*ret_operation = sqlite3_column_int64(row, 1);
	return 0;
}

int store_generation(struct store *store, uint64_t *ret_number, struct error *error)
{
	int64_t operation;

	return read_numbers(store, ret_number, &operation, error);
}

static int copy_fact(struct store *store, sqlite3_stmt *row, int column, const char *key,
		     char ret_value[static META_MAX], struct error *error)
{
	int r = column_copy(row, column, ret_value, META_MAX);

	return r < 0 ? store_damaged_error(store, key, error) : 0;
}

int store_look(struct store *store, struct store_look *ret_look, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	bool begins = !store_has_begun(store);
	int r = begins ? store_begin_read(store, error) : 0;

	if (r == 0)
		r = statement_look_up(store, STATEMENT_LOOK, NULL, &row, error);
	if (r == 0)
		return store_damaged_error(store, "its number", error);
	if (r < 0)
		return r;
	store->generation = (uint64_t)sqlite3_column_int64(row, 0);
	store->last = sqlite3_column_int64(row, 1);
	store->looked = begins;
	ret_look->has_operations = sqlite3_column_int(row, 2);
	ret_look->has_persistent = *column_text(row, 5);
	r = copy_fact(store, row, 3, "namespace", ret_look->about, error);
	return r < 0 ? r : copy_fact(store, row, 4, "backend", ret_look->backend, error);
}

void generation_look(struct store *store)
{
	store->newest = read_number(store, RECORDS_GENERATION, 0);
}

int store_check(struct store *store, struct error *error)
{
	if (store->generation >= store->newest)
		return 0;
	return error_set(
		error, -EBADMSG, BN_REASON_STATE,
		"the state in %s is older than its last change (%" PRIu64 " of %" PRIu64
		"): its journal is damaged, or an old copy was put there; put the newer "
		"one back, or remove %s/generation to go on without what was changed since",
		store->directory, store->generation, store->newest, store->place.path);
}

int generation_check(struct store *store, struct error *error)
{
	int r = read_numbers(store, &store->generation, &store->last, error);

	return r < 0 ? r : store_check(store, error);
}

bool store_has_changed(const struct store *store)
{
	return read_number(store, RECORDS_GENERATION, 0) > store->generation;
}

/* Past what the file has, too, for a state that is made anew. */
int generation_skip(struct store *store, struct error *error)
{
	int r = read_numbers(store, &store->generation, &store->last, error);

	if (store->generation < store->newest)
		store->generation = store->newest;
	return r;
}

int generation_raise(struct store *store, struct error *error)
{
	store->generation++;
	return statement_run(store, STATEMENT_NUMBERS_SET,
			     VALUES(INT(store->generation), INT(store->last)), error);
}

void generation_write(const struct store *store)
{
	write_number(store, RECORDS_GENERATION, 0, store->generation);
}
