/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Endpoints as rows. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/private.h"

/* ENDPOINT_COLUMNS */
enum {
	SEQUENCE,
	NETWORK,
	ID,
	SANDBOX,
	SANDBOX_DEVICE,
	SANDBOX_INODE,
	INTERFACE,
	HOST_INTERFACE,
	MAC,
	MTU,
	IPV4,
	IPV6,
	GATEWAY_PRIORITY,
	ROUTES,
	OPTIONS,
	SANDBOX_COOKIE,
	METRIC,
	METRIC_IPV6,
	GATEWAY_IPV4,
	GATEWAY_IPV6,
	PENDING,
	OPERATION,
	REMOVAL,
	UPDATING
};

int endpoint_unknown_error(const char *network, const char *id, struct error *error)
{
	return error_set(error, -ENOENT, BN_REASON_ENDPOINT_UNKNOWN,
			 "network %s has no endpoint %s; list its endpoints, or attach it", network,
			 id);
}

int endpoint_busy_error(struct store *store, const char *network, const char *endpoint,
			int64_t operation, struct error *error)
{
	claim_note_blocker(store, operation);
	return error_set(error, -EBUSY, BN_REASON_BUSY,
			 "another process is just at work on endpoint %s of network %s; try again",
			 endpoint, network);
}

#define ROUTE_LINE_MAX (PREFIX_TEXT_MAX + ADDR_TEXT_MAX + 32)

/* "TYPE METRIC", after the gateway, of one that is not as most are. */
static int parse_route_kind(const char *text, struct route *route)
{
	size_t len = strcspn(text, " ");
	char *end;

	while (route->type < ROUTE_TYPE_COUNT &&
	       (strncmp(text, route_type_name(route->type), len) != 0 ||
		route_type_name(route->type)[len]))
		route->type++;
	if (route->type == ROUTE_TYPE_COUNT || text[len] != ' ')
		return -EINVAL;
	route->metric = (uint32_t)strtoul(text + len + 1, &end, 10);
	return *end ? -EINVAL : 0;
}

/* The line is cut up. */
static int parse_route_line(char *line, struct route *route)
{
	char *gateway = strchr(line, ' '), *kind;

	if (!gateway)
		return -EINVAL;
	*gateway++ = '\0';
	kind = strchr(gateway, ' ');
	if (kind)
		*kind++ = '\0';
	if (prefix_parse(line, &route->destination) < 0)
		return -EINVAL;
	if (strcmp(gateway, "-") == 0)
		route->gateway.family = route->destination.addr.family;
	else if (addr_parse(gateway, &route->gateway) < 0)
		return -EINVAL;
	return kind ? parse_route_kind(kind, route) : 0;
}

/* One route to a line: destination, gateway or "-", and maybe more, with blanks between. */
static int parse_route_lines(const char *text, struct endpoint *endpoint)
{
	char line[ROUTE_LINE_MAX];

	while (*text) {
		size_t len = strcspn(text, "\n");
		struct route *route = vector_push(&endpoint->routes);

		if (!route)
			return -ENOMEM;
		if (len >= sizeof(line))
			return -EINVAL;
		memcpy(line, text, len);
		line[len] = '\0';
		if (parse_route_line(line, route) < 0)
			return -EINVAL;
		text += len + (text[len] == '\n');
	}
	return 0;
}

static int format_route_lines(const struct endpoint *endpoint, char **ret_text)
{
	char *text, *end;
	char destination[PREFIX_TEXT_MAX], gateway[ADDR_TEXT_MAX];

	text = end = malloc(endpoint->routes.len * ROUTE_LINE_MAX + 1);
	if (!text)
		return -ENOMEM;
	*end = '\0';
	for (size_t i = 0; i < endpoint->routes.len; i++) {
		const struct route *route = &endpoint->routes.items[i];

		end = stpcpy(end, prefix_format(&route->destination, destination));
		end = stpcpy(end, " ");
		end = stpcpy(end, addr_is_unspecified(&route->gateway) ?
					  "-" :
					  addr_format(&route->gateway, gateway));
		if (route->type != ROUTE_UNICAST || route->metric)
			end += sprintf(end, " %s %" PRIu32, route_type_name(route->type),
				       route->metric);
		end = stpcpy(end, "\n");
	}
	*ret_text = text;
	return 0;
}

static int read_names(sqlite3_stmt *row, struct endpoint *endpoint)
{
	int r = column_copy(row, NETWORK, endpoint->network, sizeof(endpoint->network));

	if (r == 0)
		r = column_copy(row, ID, endpoint->id, sizeof(endpoint->id));
	if (r == 0)
		r = column_copy(row, SANDBOX, endpoint->sandbox, sizeof(endpoint->sandbox));
	if (r == 0)
		r = column_copy(row, INTERFACE, endpoint->interface, sizeof(endpoint->interface));
	if (r == 0)
		r = column_copy(row, HOST_INTERFACE, endpoint->host_interface,
				sizeof(endpoint->host_interface));
	return r;
}

/* The MAC address of an endpoint that has no interface of its own is all zeros: "". */
static int read_mac(const char *text, uint8_t mac[static MAC_LEN])
{
	return *text ? mac_parse(text, mac) : 0;
}

static int read_endpoint_columns(sqlite3_stmt *row, struct endpoint *endpoint)
{
	int r = read_names(row, endpoint);

	endpoint->sequence = (uint64_t)sqlite3_column_int64(row, SEQUENCE);
	endpoint->leaving = sqlite3_column_int64(row, REMOVAL) != 0;
	endpoint->sandbox_device = (uint64_t)sqlite3_column_int64(row, SANDBOX_DEVICE);
	endpoint->sandbox_inode = (uint64_t)sqlite3_column_int64(row, SANDBOX_INODE);
	endpoint->sandbox_cookie = (uint64_t)sqlite3_column_int64(row, SANDBOX_COOKIE);
	endpoint->mtu = (uint32_t)sqlite3_column_int64(row, MTU);
	endpoint->gateway_priority = sqlite3_column_int(row, GATEWAY_PRIORITY);
	endpoint->metric_ipv4 = (uint32_t)sqlite3_column_int64(row, METRIC);
	endpoint->metric_ipv6 = (uint32_t)sqlite3_column_int64(row, METRIC_IPV6);
	if (r == 0)
		r = read_mac(column_text(row, MAC), endpoint->mac);
	if (r == 0)
		r = column_addresses(row, IPV4, endpoint->ipv4_addresses);
	if (r == 0)
		r = column_addresses(row, IPV6, endpoint->ipv6_addresses);
	if (r == 0)
		r = column_addr(row, GATEWAY_IPV4, &endpoint->gateway_ipv4);
	if (r == 0)
		r = column_addr(row, GATEWAY_IPV6, &endpoint->gateway_ipv6);
	if (r == 0)
		r = parse_route_lines(column_text(row, ROUTES), endpoint);
	if (r == 0)
		r = options_parse(column_text(row, OPTIONS), &endpoint->options);
	return r;
}

static int read_endpoint(struct store *store, sqlite3_stmt *row, struct endpoint *ret_endpoint,
			 struct error *error)
{
	CLEANUP(endpoint_clear) struct endpoint endpoint = { 0 };
	int r = read_endpoint_columns(row, &endpoint);

	if (r == -ENOMEM)
		return error_oom(error);
	if (r < 0)
		return store_damaged_error(store, "an endpoint", error);
	r = options_check(&endpoint.options, OPTION_ENDPOINT, &endpoint.policy, NULL);
	if (r == -ENOMEM)
		return error_oom(error);
	if (r < 0)
		return error_set(error, -ENOTSUP, BN_REASON_STATE,
				 "endpoint %s of network %s in the state in %s has an option that "
				 "this version does not know; use the newer version that made it",
				 endpoint.id, endpoint.network, store->directory);
	*ret_endpoint = endpoint;
	memset(&endpoint, 0, sizeof(endpoint));
	return 0;
}

static int append_endpoints(struct store *store, sqlite3_stmt *row, uint32_t flags,
			    endpoint_vector *endpoints, struct error *error)
{
	int r;

	while ((r = statement_step(store, row, error)) > 0) {
		if (sqlite3_column_int(row, PENDING) && !(flags & (STORE_PENDING | STORE_STANDING)))
			continue;
		if (vector_reserve(endpoints, 1) < 0)
			return error_oom(error);
		r = read_endpoint(store, row, &endpoints->items[endpoints->len], error);
		if (r < 0)
			return r;
		endpoints->len++;
	}
	return r;
}

int store_endpoints(struct store *store, const char *network, uint32_t flags,
		    endpoint_vector *endpoints, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	enum statement which = STATEMENT_ENDPOINT_LIST;
	int r;

	if (flags & STORE_STANDING)
		which = STATEMENT_ENDPOINT_STANDING;
	else if (network)
		which = STATEMENT_ENDPOINT_LIST_NETWORK;
	r = statement_get(store, which, VALUES(TEXT(network)), &row, error);

	return r < 0 ? r : append_endpoints(store, row, flags, endpoints, error);
}

/* The operation that makes, changes or removes it; 0: none does. */
static int64_t operation_at(sqlite3_stmt *row)
{
	int64_t operation = sqlite3_column_int64(row, REMOVAL);

	if (!operation)
		operation = sqlite3_column_int64(row, UPDATING);
	return !operation && sqlite3_column_int(row, PENDING) ?
		       sqlite3_column_int64(row, OPERATION) :
		       operation;
}

/* 1 if it is one of them. */
static int is_sibling(struct store *store, sqlite3_stmt *row, const struct operation *operation,
		      const struct endpoint *endpoint, struct error *error)
{
	const char *network = column_text(row, NETWORK), *id = column_text(row, ID);
	int64_t at = operation_at(row);

	if ((strcmp(network, endpoint->network) == 0 && strcmp(id, endpoint->id) == 0) ||
	    !*column_text(row, HOST_INTERFACE))
		return 0;
	if (operation && at && at != operation->id)
		return endpoint_busy_error(store, network, id, at, error);
	return !sqlite3_column_int64(row, REMOVAL) &&
	       (operation || !sqlite3_column_int(row, PENDING));
}

int store_siblings(struct store *store, const struct operation *operation,
		   const struct endpoint *endpoint, endpoint_vector *siblings, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r;

	if (!endpoint->sandbox_inode)
		return 0;
	r = statement_get(store, STATEMENT_ENDPOINT_LIST_SANDBOX,
			  VALUES(INT(endpoint->sandbox_inode), INT(endpoint->sandbox_device),
				 INT(endpoint->sandbox_cookie)),
			  &row, error);
	while (r >= 0 && (r = statement_step(store, row, error)) > 0) {
		r = is_sibling(store, row, operation, endpoint, error);
		if (r > 0 && vector_reserve(siblings, 1) < 0)
			return error_oom(error);
		if (r > 0)
			r = read_endpoint(store, row, &siblings->items[siblings->len], error);
		else if (r == 0)
			continue;
		if (r == 0)
			siblings->len++;
	}
	return r;
}

int store_host_interface_check(struct store *store, const struct endpoint *endpoint,
			       struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_ENDPOINT_HOST_INTERFACE,
				  VALUES(TEXT(endpoint->host_interface)), &row, error);

	if (r <= 0)
		return r;
	if (sqlite3_column_int(row, 2))
		return endpoint_busy_error(store, column_text(row, 0), column_text(row, 1),
					   sqlite3_column_int64(row, 3), error);
	return error_set(error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
			 "interface %s of the host is that of endpoint %s of network %s; choose "
			 "another host-interface-name for endpoint %s",
			 endpoint->host_interface, column_text(row, 1), column_text(row, 0),
			 endpoint->id);
}

int store_endpoint_set_metric(struct store *store, const struct endpoint *endpoint,
			      struct error *error)
{
	int r = transaction_check(store, error);

	return r < 0 ? r :
		       statement_run(store, STATEMENT_ENDPOINT_SET_METRIC,
				     VALUES(INT(endpoint->metric_ipv4), INT(endpoint->metric_ipv6),
					    INT(endpoint->sequence)),
				     error);
}

int store_endpoint_briefs(struct store *store, brief_vector *briefs, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_get(store, STATEMENT_ENDPOINT_BRIEFS, NULL, &row, error);

	if (r < 0)
		return r;
	while ((r = statement_step(store, row, error)) > 0) {
		struct endpoint_brief *brief = vector_push(briefs);

		if (!brief)
			return error_oom(error);
		brief->sequence = (uint64_t)sqlite3_column_int64(row, 0);
		if (column_copy(row, 1, brief->network, sizeof(brief->network)) < 0 ||
		    column_copy(row, 2, brief->host_interface, sizeof(brief->host_interface)) < 0)
			return store_damaged_error(store, "an endpoint", error);
		brief->sandbox_inode = (uint64_t)sqlite3_column_int64(row, 3);
		brief->sandbox_cookie = (uint64_t)sqlite3_column_int64(row, 4);
	}
	return r;
}

int store_endpoint_of_brief(struct store *store, const struct endpoint_brief *brief,
			    struct endpoint *ret_endpoint, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	/* the number alone may be that of a younger one */
	int r = statement_look_up(store, STATEMENT_ENDPOINT_NUMBER,
				  VALUES(INT(brief->sequence), TEXT(brief->host_interface),
					 INT(brief->sandbox_inode), INT(brief->sandbox_cookie)),
				  &row, error);

	if (r > 0)
		r = read_endpoint(store, row, ret_endpoint, error) < 0 ? error->code : 1;
	return r;
}

int store_endpoint_set_cookie(struct store *store, const struct endpoint *endpoint,
			      struct error *error)
{
	int r = transaction_check(store, error);

	return r < 0 ? r :
		       statement_run(store, STATEMENT_ENDPOINT_SET_COOKIE,
				     VALUES(INT(endpoint->sandbox_cookie), INT(endpoint->sequence)),
				     error);
}

int endpoints_of_operation(struct store *store, int64_t operation, endpoint_vector *endpoints,
			   struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_get(store, STATEMENT_ENDPOINT_OF_OPERATION,
			      ENDPOINTS_OF(store, operation), &row, error);

	return r < 0 ? r : append_endpoints(store, row, STORE_PENDING, endpoints, error);
}

int endpoints_updating(struct store *store, int64_t operation, bool next,
		       endpoint_vector *endpoints, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_get(store,
			      next ? STATEMENT_ENDPOINT_UPDATED : STATEMENT_ENDPOINT_UPDATING,
			      VALUES(INT(operation)), &row, error);

	return r < 0 ? r : append_endpoints(store, row, STORE_PENDING, endpoints, error);
}

/* Is another operation at it, or does another wait to have it alone? */
static int check_endpoint_row(struct store *store, sqlite3_stmt *row, struct error *error)
{
	const char *network = column_text(row, NETWORK), *id = column_text(row, ID);
	int r = claim_check(store, CLAIM_ENDPOINT, false, network, id, error);
	int64_t at = operation_at(row);

	if (r < 0)
		return r;
	return at ? endpoint_busy_error(store, network, id, at, error) : 1;
}

static int get_endpoint(struct store *store, const char *network, const char *id, bool to_change,
			struct endpoint *ret_endpoint, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_ENDPOINT_GET, VALUES(TEXT(network), TEXT(id)),
				  &row, error);

	if (r < 0)
		return r;
	if (r > 0 && to_change)
		r = check_endpoint_row(store, row, error);
	if (r < 0)
		return r;
	if (r == 0 || sqlite3_column_int(row, PENDING))
		return endpoint_unknown_error(network, id, error);
	return read_endpoint(store, row, ret_endpoint, error);
}

int store_endpoint_get(struct store *store, const char *network, const char *id,
		       struct endpoint *ret_endpoint, struct error *error)
{
	return get_endpoint(store, network, id, false, ret_endpoint, error);
}

int store_endpoint_use(struct store *store, const char *network, const char *id,
		       struct endpoint *ret_endpoint, struct error *error)
{
	return get_endpoint(store, network, id, true, ret_endpoint, error);
}

int endpoint_find(struct store *store, const char *network, const char *id,
		  struct endpoint_row *ret_row, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_ENDPOINT_GET, VALUES(TEXT(network), TEXT(id)),
				  &row, error);

	if (r <= 0)
		return r;
	ret_row->sequence = sqlite3_column_int64(row, SEQUENCE);
	ret_row->operation = 0;
	if (sqlite3_column_int(row, PENDING))
		ret_row->operation = sqlite3_column_int64(row, OPERATION);
	ret_row->removal = sqlite3_column_int64(row, REMOVAL);
	ret_row->updating = sqlite3_column_int64(row, UPDATING);
	return 1;
}

static void note_endpoint(struct key_range *range, int64_t sequence)
{
	if (range->first > range->last)
		range->first = range->last = sequence;
	else if (sequence > range->last)
		range->last = sequence;
	else if (sequence < range->first)
		range->first = sequence;
}

/* 1, or 0 if something is in the way. */
static int insert_endpoint(struct store *store, int64_t operation, struct endpoint *endpoint,
			   struct error *error)
{
	CLEANUP_FREE char *routes = NULL, *options = NULL;
	static const uint8_t no_mac[MAC_LEN];
	char mac[MAC_TEXT_MAX] = "", ipv4[ADDRESSES_TEXT_MAX], ipv6[ADDRESSES_TEXT_MAX];
	int r;

	if (format_route_lines(endpoint, &routes) < 0 ||
	    options_serialize(&endpoint->options, &options) < 0)
		return error_oom(error);
	if (memcmp(endpoint->mac, no_mac, MAC_LEN) != 0)
		mac_format(endpoint->mac, mac);
	r = statement_run(store, STATEMENT_ENDPOINT_INSERT,
			  VALUES(TEXT(endpoint->network), TEXT(endpoint->id),
				 TEXT(endpoint->sandbox), INT(endpoint->sandbox_device),
				 INT(endpoint->sandbox_inode), TEXT(endpoint->interface),
				 TEXT(endpoint->host_interface), TEXT(mac), INT(endpoint->mtu),
				 TEXT(format_addresses(endpoint, AF_INET, ipv4)),
				 TEXT(format_addresses(endpoint, AF_INET6, ipv6)),
				 INT(endpoint->gateway_priority), TEXT(routes), TEXT(options),
				 INT(endpoint->sandbox_cookie), INT(endpoint->metric_ipv4),
				 INT(endpoint->metric_ipv6), ADDR(&endpoint->gateway_ipv4),
				 ADDR(&endpoint->gateway_ipv6), INT(operation)),
			  error);
	if (r < 0 || sqlite3_changes(store->database) == 0)
		return r;
	endpoint->sequence = (uint64_t)sqlite3_last_insert_rowid(store->database);
	if (store->ranges_of == operation)
		note_endpoint(&store->endpoints, (int64_t)endpoint->sequence);
	return 1;
}

/* Why it was not inserted. */
static int not_inserted_error(struct store *store, int64_t operation,
			      const struct endpoint *endpoint, struct error *error)
{
	struct endpoint_row row;
	int r = network_check_usable(store, operation, endpoint->network, error);

	if (r == 0)
		r = endpoint_find(store, endpoint->network, endpoint->id, &row, error);
	if (r > 0 && (row.removal || row.operation))
		return endpoint_busy_error(store, endpoint->network, endpoint->id,
					   row.removal ? row.removal : row.operation, error);
	if (r > 0)
		return error_set(error, -EEXIST, BN_REASON_ENDPOINT_EXISTS,
				 "network %s has an endpoint %s already; detach it first, or "
				 "choose another id",
				 endpoint->network, endpoint->id);
	if (r == 0)
		r = addresses_check(store, endpoint, error);
	if (r == 0)
		r = mac_check(store, endpoint, error);
	return r < 0 ? r : store_damaged_error(store, "an endpoint", error);
}

int store_endpoint_insert(struct store *store, const struct operation *operation,
			  struct endpoint *endpoint, struct error *error)
{
	int r = operation_check(store, operation, false, error);

	if (r == 0)
		r = claim_check(store, CLAIM_ENDPOINT, true, endpoint->network, endpoint->id,
				error);
	if (r == 0)
		r = insert_endpoint(store, operation->id, endpoint, error);
	if (r < 0)
		return r;
	if (r == 0)
		return not_inserted_error(store, operation->id, endpoint, error);
	return addresses_take(store, endpoint, error);
}

int store_endpoint_mark(struct store *store, const struct operation *operation, const char *network,
			const char *endpoint, struct error *error)
{
	struct endpoint_row row;
	int r = operation_check(store, operation, true, error);

	if (r == 0)
		r = endpoint_find(store, network, endpoint, &row, error);
	if (r < 0)
		return r;
	if (r == 0)
		return endpoint_unknown_error(network, endpoint, error);
	r = endpoint_check_idle(store, operation->id, &row, network, endpoint, error);
	if (r == 0)
		r = statement_run(store, STATEMENT_ENDPOINT_MARK,
				  VALUES(INT(operation->id), INT(row.sequence)), error);
	return r;
}

int endpoints_delete(struct store *store, int64_t operation, struct error *error)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	int r = endpoints_of_operation(store, operation, &endpoints, error);

	for (size_t i = 0; i < endpoints.len && r == 0; i++)
		r = addresses_release(store, &endpoints.items[i], error);
	if (r < 0)
		return r;
	return statement_run(store, STATEMENT_ENDPOINT_DELETE, ENDPOINTS_OF(store, operation),
			     error);
}
