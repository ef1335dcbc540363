/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small info: one text under one key. */
#include <errno.h>
#include <stdio.h>

#include "store/private.h"

int store_meta_get(struct store *store, const char *key, char ret_value[static META_MAX],
		   struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_META_GET, VALUES(TEXT(key)), &row, error);

	if (r < 0)
		return r;
	if (strlen(column_text(row, 0)) >= META_MAX)
		return store_damaged_error(store, key, error);
	strcpy(ret_value, r > 0 ? column_text(row, 0) : "");
	return 0;
}

int store_meta_set(struct store *store, const char *key, const char *value, struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if (strlen(value) >= META_MAX)
		return error_set(error, -ENAMETOOLONG, BN_REASON_STATE,
				 "the value of %s is longer than %d bytes: %s", key, META_MAX - 1,
				 value);
	return statement_run(store, STATEMENT_META_SET, VALUES(TEXT(key), TEXT(value)), error);
}

/* ---- rows that belong to nothing ---- */

int store_orphans(struct store *store, orphan_vector *orphans, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_get(store, STATEMENT_ORPHANS, NULL, &row, error);

	while (r >= 0 && (r = statement_step(store, row, error)) > 0) {
		struct orphan *orphan = vector_push(orphans);

		if (!orphan)
			return error_oom(error);
		snprintf(orphan->text, sizeof(orphan->text), "%s", column_text(row, 0));
		orphan->is_object = sqlite3_column_int(row, 1);
	}
	return r < 0 ? r : 0;
}

int store_check_whole(struct store *store, struct error *error)
{
	CLEANUP_VECTOR orphan_vector orphans = { 0 };
	int r = store_orphans(store, &orphans, error);

	/* those that are objects come first; an address that is lost is in nobody's way */
	if (r < 0 || !orphans.len || !orphans.items->is_object)
		return r;
	return store_damaged_error(store, orphans.items->text, error);
}

static const char remove_objects[] =
	"DELETE FROM endpoints WHERE network NOT IN (SELECT name FROM networks);"
	"DELETE FROM ports WHERE endpoint NOT IN (SELECT sequence FROM endpoints);";
static const char remove_addresses[] =
	"DELETE FROM addresses WHERE network NOT IN (SELECT name FROM networks)"
	" OR (endpoint IS NOT NULL AND endpoint NOT IN (SELECT sequence FROM endpoints));"
	"DELETE FROM searches WHERE network NOT IN (SELECT name FROM networks);";

int store_orphans_remove(struct store *store, bool objects, struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if ((objects && sqlite3_exec(store->database, remove_objects, NULL, NULL, NULL)) ||
	    sqlite3_exec(store->database, remove_addresses, NULL, NULL, NULL))
		return store_error(store, error);
	return 0;
}
