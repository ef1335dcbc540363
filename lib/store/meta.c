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

int store_check_whole(struct store *store, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	char what[64 + NETWORK_NAME_MAX];
	int r = statement_look_up(store, STATEMENT_ORPHAN, NULL, &row, error);

	if (r <= 0)
		return r;
	snprintf(what, sizeof(what), "%s", column_text(row, 0));
	return store_damaged_error(store, what, error);
}
