/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Updates. Until one is closed its row is for readers what it was; what it is to be stands beside
 * it, in the same row.
 */
#include <errno.h>

#include "store/private.h"

/* ---- what is to be ---- */

static int check_update(struct store *store, const struct operation *operation, struct error *error)
{
	int r = transaction_check(store, error);

	if (r < 0 || operation->kind == OPERATION_UPDATE)
		return r;
	return error_set(error, -EINVAL, BN_REASON_STATE,
			 "operation %lld in %s is no update, and can't change a row",
			 (long long)operation->id, store->directory);
}

/* Is another operation at what belongs to the network? */
static int check_network_idle(struct store *store, const struct operation *operation,
			      const char *name, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = store_claim_network(store, name, error);

	if (r == 0)
		r = store_operation_is_alone(store, operation, error);
	if (r != 0)
		return r < 0 ? r : 0;
	r = statement_look_up(store, STATEMENT_NETWORK_BUSY, VALUES(TEXT(name)), &row, error);
	if (r <= 0)
		return r;
	claim_note_blocker(store, sqlite3_column_int64(row, 1));
	return error_set(error, -EBUSY, BN_REASON_BUSY,
			 "another process is just at work on endpoint %s of network %s; try again",
			 column_text(row, 0), name);
}

int endpoint_check_idle(struct store *store, int64_t operation, const struct endpoint_row *endpoint,
			const char *network, const char *id, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int64_t other = endpoint->operation;
	int r = claim_check(store, CLAIM_ENDPOINT, true, network, id, error);

	if (r < 0)
		return r;
	if (endpoint->removal && endpoint->removal != operation)
		other = endpoint->removal;
	if (endpoint->updating && endpoint->updating != operation)
		other = endpoint->updating;
	if (other)
		return endpoint_busy_error(store, network, id, other, error);
	r = statement_look_up(store, STATEMENT_PORT_BUSY,
			      VALUES(INT(endpoint->sequence), INT(operation)), &row, error);
	return r > 0 ? endpoint_busy_error(store, network, id, sqlite3_column_int64(row, 0),
					   error) :
		       r;
}

/* After the statement that has marked it. */
static int check_marked(struct store *store, const char *what, const char *name,
			struct error *error)
{
	if (sqlite3_changes(store->database) == 1)
		return 0;
	return error_set(error, -EBUSY, BN_REASON_BUSY,
			 "another process is just changing %s %s; try again", what, name);
}

int store_network_update(struct store *store, const struct operation *operation,
			 const struct network *network, struct error *error)
{
	CLEANUP_FREE char *options = NULL;
	int r = check_update(store, operation, error);

	if (r >= 0)
		r = check_network_idle(store, operation, network->name, error);
	if (r >= 0 && options_serialize(&network->options, &options) < 0)
		r = error_oom(error);
	if (r >= 0)
		r = statement_run(store, STATEMENT_NETWORK_UPDATE,
				  VALUES(INT(operation->id), TEXT(network->name), TEXT(options),
					 INT(network->mtu)),
				  error);
	return r < 0 ? r : check_marked(store, "network", network->name, error);
}

int store_endpoint_update(struct store *store, const struct operation *operation,
			  const struct endpoint *endpoint, struct error *error)
{
	CLEANUP_FREE char *options = NULL;
	struct endpoint_row row;
	int r = check_update(store, operation, error);

	if (r >= 0)
		r = endpoint_find(store, endpoint->network, endpoint->id, &row, error);
	if (r == 0)
		return endpoint_unknown_error(endpoint->network, endpoint->id, error);
	if (r > 0)
		r = endpoint_check_idle(store, operation->id, &row, endpoint->network, endpoint->id,
					error);
	if (r >= 0 && options_serialize(&endpoint->options, &options) < 0)
		r = error_oom(error);
	if (r >= 0)
		r = statement_run(store, STATEMENT_ENDPOINT_UPDATE,
				  VALUES(INT(operation->id), INT(row.sequence), TEXT(options),
					 INT(endpoint->mtu), INT(endpoint->metric_ipv4),
					 INT(endpoint->metric_ipv6),
					 INT(endpoint->gateway_priority)),
				  error);
	return r < 0 ? r : check_marked(store, "endpoint", endpoint->id, error);
}

/* ---- its end ---- */

static int run_all(struct store *store, const enum statement *statements, size_t len,
		   int64_t operation, struct error *error)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++)
		r = statement_run(store, statements[i], VALUES(INT(operation)), error);
	return r;
}

int updates_close(struct store *store, int64_t operation, struct error *error)
{
	/* the endpoints first: theirs goes by what the network was, and is to be */
	static const enum statement statements[] = {
		STATEMENT_ENDPOINT_FOLLOW_MTU,
		STATEMENT_ENDPOINT_UPDATE_CLOSE,
		STATEMENT_NETWORK_UPDATE_CLOSE,
	};

	return run_all(store, statements, ARRAY_SIZE(statements), operation, error);
}

int updates_abandon(struct store *store, int64_t operation, struct error *error)
{
	static const enum statement statements[] = {
		STATEMENT_ENDPOINT_UPDATE_ABANDON,
		STATEMENT_NETWORK_UPDATE_ABANDON,
	};

	return run_all(store, statements, ARRAY_SIZE(statements), operation, error);
}

int store_operation_updates(struct store *store, const struct operation *operation,
			    struct rows *before, struct rows *after, struct error *error)
{
	int64_t id = operation->id;
	int r = networks_updating(store, id, false, &before->networks, error);

	if (r == 0)
		r = networks_updating(store, id, true, &after->networks, error);
	if (r == 0)
		r = endpoints_updating(store, id, false, &before->endpoints, error);
	if (r == 0)
		r = endpoints_updating(store, id, true, &after->endpoints, error);
	return r;
}
