/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small facts: one text under one key. */
#include <errno.h>

#include "store/private.h"

int store_fact_get(struct store *store, const char *key, char ret_value[static FACT_MAX],
		   struct error *error)
{
	sqlite3_stmt *row CLEANUP_STATEMENT = NULL;
	int rc = statement_get(store, STATEMENT_FACT_GET, &row, error);

	if (rc < 0)
		return rc;
	bind_text(row, 1, key);
	rc = statement_step(store, row, error);
	if (rc < 0)
		return rc;
	if (strlen(column_text(row, 0)) >= FACT_MAX)
		return damaged(store, key, error);
	strcpy(ret_value, rc > 0 ? column_text(row, 0) : "");
	return 0;
}

int store_fact_set(struct store *store, const char *key, const char *value, struct error *error)
{
	sqlite3_stmt *statement CLEANUP_STATEMENT = NULL;
	int rc = transaction_check(store, error);

	if (rc < 0)
		return rc;
	if (strlen(value) >= FACT_MAX)
		return error_set(error, -ENAMETOOLONG, BN_REASON_STATE,
				 "the value of %s is longer than %d bytes: %s", key, FACT_MAX - 1,
				 value);
	rc = statement_get(store, STATEMENT_FACT_SET, &statement, error);
	if (rc < 0)
		return rc;
	bind_text(statement, 1, key);
	bind_text(statement, 2, value);
	return statement_step(store, statement, error);
}
