/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports of an operation: those that it removes are marked, and where its rows are is remembered,
 * for an index of them would be one more page of each transaction.
 */
#include <errno.h>

#include "model/port.h"
#include "store/ports.h"

/* ---- where the rows of an operation are ---- */

static const struct key_range all_rows = { 0, INT64_MAX };

void note_operation(struct store *store, int64_t operation)
{
	store->ranges.len = 0;
	store->endpoints = (struct key_range){ 1, 0 };
	store->ranges_of = operation;
}

const struct key_range *endpoint_range(const struct store *store, int64_t operation)
{
	return store->ranges_of == operation ? &store->endpoints : &all_rows;
}

/* Those of one host port after the other make one range, though others may have rows in it. */
void port_note_range(struct store *store, int64_t operation, int64_t first, int64_t last)
{
	struct key_range *end = store->ranges.items + store->ranges.len;

	if (store->ranges_of != operation)
		return;
	if (store->ranges.len && first > end[-1].last && first - end[-1].last <= SLOT_MAX + 1)
		end[-1].last = last;
	else if (vector_append(&store->ranges, ((struct key_range){ first, last })) < 0)
		store->ranges_of = 0;
}

/* Of an operation that this store has not opened they can be anywhere. */
static const struct key_range *ranges_of(const struct store *store, int64_t operation,
					 size_t *ret_len)
{
	bool known = store->ranges_of == operation;

	*ret_len = known ? store->ranges.len : 1;
	return known ? store->ranges.items : &all_rows;
}

static int run_on_ranges(struct store *store, enum statement which, int64_t operation,
			 struct error *error)
{
	size_t len;
	const struct key_range *ranges = ranges_of(store, operation, &len);
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++)
		r = statement_run(store, which,
				  VALUES(INT(operation), INT(ranges[i].first), INT(ranges[i].last)),
				  error);
	return r;
}

int ports_delete(struct store *store, const struct operation *operation, struct error *error)
{
	if (operation->kind == OPERATION_PUBLISH)
		return run_on_ranges(store, STATEMENT_PORT_DELETE_INSERTED, operation->id, error);
	if (operation->kind == OPERATION_UNPUBLISH || operation->kind == OPERATION_PORT_CHANGE)
		return run_on_ranges(store, STATEMENT_PORT_DELETE_MARKED, operation->id, error);
	return statement_run(store, STATEMENT_PORT_DELETE_ENDPOINTS,
			     ENDPOINTS_OF(store, operation->id), error);
}

int ports_delete_replacing(struct store *store, const struct operation *operation,
			   struct error *error)
{
	return run_on_ranges(store, STATEMENT_PORT_DELETE_INSERTED, operation->id, error);
}

int ports_unmark(struct store *store, const struct operation *operation, struct error *error)
{
	return run_on_ranges(store, STATEMENT_PORT_UNMARK, operation->id, error);
}

/* ---- ports in a row ---- */

unsigned int port_run_stride(const struct port *ports, size_t len)
{
	return len > 1 && ports[1].container_port != ports->container_port;
}

size_t port_run_length(const struct port *ports, size_t len)
{
	const struct port *first = ports;
	unsigned int stride = port_run_stride(ports, len);
	size_t i = 1;

	while (i < len && first->count == 1 && ports[i].count == 1 && !first->options &&
	       !ports[i].options && ports[i].routed == first->routed &&
	       ports[i].over_listener == first->over_listener &&
	       ports[i].protocol == first->protocol && ports[i].host_port == first->host_port + i &&
	       ports[i].container_port == first->container_port + stride * i &&
	       port_host_compare(&ports[i], first) == 0 &&
	       strcmp(ports[i].endpoint, first->endpoint) == 0 &&
	       strcmp(ports[i].network, first->network) == 0)
		i++;
	return i;
}

/* ---- marking ---- */

static int port_unknown_error(const struct port *port, struct error *error)
{
	return error_set(error, -ENOENT, BN_REASON_PORT_UNKNOWN,
			 "endpoint %s of network %s has not published host port %u/%s that way; "
			 "list its ports",
			 port->endpoint, port->network, port->host_port,
			 protocol_name(port->protocol));
}

/* Is this row that very port? */
static bool is_same(const struct port *found, const struct port *port)
{
	return found->count == port->count && found->container_port == port->container_port &&
	       port_host_compare(found, port) == 0;
}

/* One with options is marked by its key, and has them then: 1. */
static int mark_row(struct store *store, int64_t operation, sqlite3_stmt *row, struct port *port,
		    struct error *error)
{
	int64_t key = sqlite3_column_int64(row, KEY);
	int64_t removal = sqlite3_column_int64(row, REMOVAL);
	bool busy = sqlite3_column_int(row, PENDING) || (removal && removal != operation);
	int r;

	if (busy || sqlite3_column_type(row, OPTIONS) == SQLITE_NULL)
		return port_busy_error(store, port,
				       removal ? removal : sqlite3_column_int64(row, OPERATION),
				       error);
	r = port_read_options(store, row, OPTIONS, port, error);
	if (r == 0)
		r = statement_run(store, STATEMENT_PORT_MARK_KEY, VALUES(INT(operation), INT(key)),
				  error);
	if (r < 0)
		return r;
	port_note_range(store, operation, key, key);
	return 1;
}

/* It has options, or else: another operation is at it, or it is not there. */
static int mark_with_options(struct store *store, int64_t operation, struct port *port,
			     struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	struct port found = { 0 };
	int r = port_window(store, port->protocol, port_class(port->count), port->host_port,
			    port->host_port, &row, error);

	if (r < 0)
		return r;
	while ((r = statement_step(store, row, error)) > 0) {
		r = port_read_columns(store, row, KEY, &found, error);
		if (r < 0)
			return r;
		if (sqlite3_column_int64(row, ENDPOINT) == store->endpoint.sequence &&
		    is_same(&found, port))
			return mark_row(store, operation, row, port, error);
	}
	return r < 0 ? r : port_unknown_error(port, error);
}

/* A run of them, in one statement: how many were. */
static int mark_run(struct store *store, int64_t operation, const struct port *ports, size_t len,
		    struct error *error)
{
	char host[PORT_HOST_MAX];
	unsigned int size_class = port_class(ports->count), last = ports[len - 1].host_port;
	int64_t from = port_key(ports->protocol, size_class, ports->host_port, 0);
	int64_t to = port_key(ports->protocol, size_class, last, SLOT_MAX);
	int r = port_check_numbers(ports, error);

	if (r == 0)
		r = port_find_endpoint(store, operation, ports, error);
	if (r < 0)
		return r;
	port_note_range(store, operation, from, to);
	r = statement_run(store, STATEMENT_PORT_MARK,
			  VALUES(INT(operation), INT(from), INT(to), INT(store->endpoint.sequence),
				 TEXT(port_host_format(ports, host)), INT(ports->count),
				 INT(ports->container_port), INT(port_run_stride(ports, len))),
			  error);
	return r < 0 ? r : sqlite3_changes(store->database);
}

/* Those of a run one by one, in place: the ones that are there move up behind the first *kept. */
static int mark_each(struct store *store, int64_t operation, bool missing_ok, port_vector *ports,
		     size_t first, size_t len, size_t *kept, struct error *error)
{
	int r = 0;

	for (size_t i = first; i < first + len && r >= 0; i++) {
		struct port port = ports->items[i];

		r = mark_run(store, operation, &port, 1, error);
		if (r == 0)
			r = mark_with_options(store, operation, &port, error);
		if (r > 0) {
			ports->items[(*kept)++] = port;
			continue;
		}
		port_clear(&port);
		if (r == -ENOENT && missing_ok) {
			error_clear(error);
			r = 0;
		}
	}
	return r;
}

int store_ports_mark(struct store *store, const struct operation *operation, bool missing_ok,
		     port_vector *ports, struct error *error)
{
	size_t kept = 0, len;
	int r = operation_check(store, operation, true, error);

	for (size_t i = 0; i < ports->len && r >= 0; i += len) {
		len = port_run_length(&ports->items[i], ports->len - i);
		if (len > 1)
			r = mark_run(store, operation->id, &ports->items[i], len, error);
		if (len > 1 && r == (int)len) {
			if (kept < i)
				memmove(&ports->items[kept], &ports->items[i],
					len * sizeof(*ports->items));
			kept += len;
		} else if (r >= 0) {
			r = mark_each(store, operation->id, missing_ok, ports, i, len, &kept,
				      error);
		}
	}
	ports->len = kept;
	return r < 0 ? r : 0;
}

/* What the ranges of the operation are within. */
static struct key_range span_of(const struct store *store, int64_t operation)
{
	size_t len;
	const struct key_range *ranges = ranges_of(store, operation, &len);
	struct key_range span = { 0 };

	for (size_t i = 0; i < len; i++) {
		if (i == 0 || ranges[i].first < span.first)
			span.first = ranges[i].first;
		if (ranges[i].last > span.last)
			span.last = ranges[i].last;
	}
	return span;
}

int ports_of_operation(struct store *store, const struct operation *operation, port_vector *ports,
		       struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	const struct key_range span = span_of(store, operation->id);
	const struct value *values = VALUES(INT(operation->id), INT(span.first), INT(span.last));
	int r;

	if (operation->kind == OPERATION_PUBLISH)
		r = statement_get(store, STATEMENT_PORT_INSERTED, values, &row, error);
	else if (operation->kind == OPERATION_UNPUBLISH || operation->kind == OPERATION_PORT_CHANGE)
		r = statement_get(store, STATEMENT_PORT_MARKED, values, &row, error);
	else
		r = statement_get(store, STATEMENT_PORT_OF_ENDPOINTS,
				  ENDPOINTS_OF(store, operation->id), &row, error);
	return r < 0 ? r : ports_append(store, row, ports, error);
}

int store_ports_replacing(struct store *store, const struct operation *operation,
			  port_vector *ports, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	const struct key_range span = span_of(store, operation->id);
	int r;

	if (!operation_replaces(operation->kind))
		return 0;
	r = statement_get(store, STATEMENT_PORT_INSERTED,
			  VALUES(INT(operation->id), INT(span.first), INT(span.last)), &row, error);
	return r < 0 ? r : ports_append(store, row, ports, error);
}
