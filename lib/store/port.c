/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Published ports as rows.
 *
 * A key holds, from the top: protocol, class, first host port, slot. The class is the bit length of
 * count - 1, so no range of a class is longer than 2^class. What meets a range of host ports is
 * then in one window of keys for each class that the protocol has, and a window holds little else:
 * the question costs the same with one port published as with 65,535. Slots tell apart ports that
 * differ by host address only, or hold none of the host; the first bits of one say in which
 * families that is, and the next whether it is over a listener.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "model/port.h"
#include "store/ports.h"

#define CLASS_SHIFT 32
#define PROTOCOL_SHIFT 37
#define SLOT_BITS 16
#define ROUTED_SHIFT 14
#define OVER_SHIFT 13
#define SLOTS (1u << OVER_SHIFT)
#define CLASS_COUNT 17
#define CLASSES_KNOWN (UINT32_C(1) << 31)

/* STATEMENT_PORT_LIST and its like */
enum {
	LIST_NETWORK,
	LIST_ENDPOINT,
	LIST_KEY,
	LIST_HOST_ADDR,
	LIST_CONTAINER_PORT,
	LIST_COUNT,
	LIST_OPTIONS
};

unsigned int port_class(uint16_t count)
{
	return count > 1 ? 32 - (unsigned int)__builtin_clz(count - 1U) : 0;
}

int64_t port_key(uint8_t protocol, unsigned int size_class, unsigned int host_port,
		 unsigned int slot)
{
	return (int64_t)protocol << PROTOCOL_SHIFT | (int64_t)size_class << CLASS_SHIFT |
	       (int64_t)host_port << SLOT_BITS | slot;
}

static unsigned int first_slot(const struct port *port)
{
	return (unsigned int)port->routed << ROUTED_SHIFT | (unsigned int)port->over_listener
								    << OVER_SHIFT;
}

int port_read_columns(struct store *store, sqlite3_stmt *row, int key_column, struct port *port,
		      struct error *error)
{
	/* key, host_addr, container_port, count stand together in every statement */
	int64_t key = sqlite3_column_int64(row, key_column);
	const char *host;

	port->protocol = (uint8_t)(key >> PROTOCOL_SHIFT);
	port->host_port = (uint16_t)(key >> SLOT_BITS);
	port->routed = (uint8_t)((key & SLOT_MAX) >> ROUTED_SHIFT);
	port->over_listener = key >> OVER_SHIFT & 1;
	port->container_port = (uint16_t)sqlite3_column_int(row, key_column + 2);
	port->count = (uint16_t)sqlite3_column_int(row, key_column + 3);
	host = column_text(row, key_column + 1);
	port->host_addr = (struct addr){ 0 };
	port->interface[0] = '\0';
	if (host[0] == '%' ? string_copy(port->interface, sizeof(port->interface), host + 1) < 0 :
			     column_addr(row, key_column + 1, &port->host_addr) < 0)
		return store_damaged_error(store, "a port", error);
	return 0;
}

int port_read_options(struct store *store, sqlite3_stmt *row, int column, struct port *port,
		      struct error *error)
{
	struct options options = { 0 };
	int r;

	if (sqlite3_column_type(row, column) == SQLITE_NULL)
		return 0;
	r = options_parse(column_text(row, column), &options);
	if (r == -ENOMEM)
		return error_oom(error);
	if (r == 0)
		r = port_options_new(&options, &port->options, error);
	options_clear(&options);
	return r == 0 || r == -ENOMEM ? r : store_damaged_error(store, "a port", error);
}

/* Which classes the protocol has ports of, by leaping from one to the next. */
static int find_classes(struct store *store, uint8_t protocol, uint32_t *ret_classes,
			struct error *error)
{
	uint32_t classes = CLASSES_KNOWN;
	unsigned int size_class = 0;
	int r;

	if (store->in_transaction && store->classes && store->classes_protocol == protocol) {
		*ret_classes = store->classes;
		return 0;
	}
	while (size_class < CLASS_COUNT) {
		CLEANUP_STATEMENT sqlite3_stmt *next = NULL;
		int64_t key;

		r = statement_look_up(store, STATEMENT_PORT_NEXT,
				      VALUES(INT(port_key(protocol, size_class, 0, 0)),
					     INT(port_key(protocol, CLASS_COUNT, 0, 0))),
				      &next, error);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		key = sqlite3_column_int64(next, 0);
		size_class = (unsigned int)(key >> CLASS_SHIFT) & 0x1f;
		classes |= UINT32_C(1) << size_class++;
	}
	if (store->in_transaction) {
		store->classes = classes;
		store->classes_protocol = protocol;
	}
	*ret_classes = classes;
	return 0;
}

int port_window(struct store *store, uint8_t protocol, unsigned int size_class, unsigned int first,
		unsigned int last, sqlite3_stmt **ret_statement, struct error *error)
{
	return statement_get(store, STATEMENT_PORT_WINDOW,
			     VALUES(INT(port_key(protocol, size_class, first, 0)),
				    INT(port_key(protocol, size_class, last, SLOT_MAX))),
			     ret_statement, error);
}

/* A port that is in the way. */
struct holder {
	struct port port;
	int64_t endpoint;        /* the sequence of its endpoint */
	int64_t making, removal; /* the operation that does that; 0: none does */
};

/* The search for one. */
struct search {
	const struct port *port;
	int64_t making; /* the operation: what it removes makes room */
	struct holder holder;
	unsigned int slot; /* the first that is free for a port that begins where this one does */
	bool met;          /* some ports reach into its range, on other addresses at least */
};

/* Ports go with their endpoint without a mark of their own. */
static int find_removal(struct store *store, struct holder *holder, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *names = NULL;
	int r = statement_look_up(store, STATEMENT_ENDPOINT_NAMES, VALUES(INT(holder->endpoint)),
				  &names, error);

	if (r > 0)
		holder->removal = sqlite3_column_int64(names, 2);
	return r < 0 ? r : 0;
}

/* Who has a port that collides, and what becomes of it. 1: it is in the way, 0: it is about to make
 * room. */
static int find_holder(struct store *store, sqlite3_stmt *row, const struct port *found,
		       struct search *search, struct error *error)
{
	struct holder *holder = &search->holder;
	int r = 0;

	*holder = (struct holder){
		.port = *found,
		.endpoint = sqlite3_column_int64(row, ENDPOINT),
		.removal = sqlite3_column_int64(row, REMOVAL),
	};
	if (sqlite3_column_int(row, PENDING))
		holder->making = sqlite3_column_int64(row, OPERATION);
	if (!holder->removal && !holder->making)
		r = find_removal(store, holder, error);
	return r < 0 ? r : !holder->removal || holder->removal != search->making;
}

/* 1 and the holder if a port of the class collides, else 0. */
static int find_in_class(struct store *store, struct search *search, unsigned int size_class,
			 struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	const struct port *port = search->port;
	unsigned int reach = (1U << size_class) - 1, last = port->host_port + port->count - 1U;
	unsigned int first = port->host_port > reach ? port->host_port - reach : 0;
	struct port found = { 0 };
	int r = port_window(store, port->protocol, size_class, first, last, &row, error);

	if (r < 0)
		return r;
	while ((r = statement_step(store, row, error)) > 0) {
		search->met = true;
		r = port_read_columns(store, row, KEY, &found, error);
		if (r < 0)
			return r;
		if (port_collides(port, &found)) {
			r = find_holder(store, row, &found, search, error);
			if (r)
				return r;
		}
		if (sqlite3_column_int64(row, KEY) == port_key(port->protocol,
							       port_class(port->count),
							       port->host_port, search->slot))
			search->slot++;
	}
	return r;
}

/* How far behind a port that meets no other no port begins: a batch of many asks that once for all
 * of them that fit in. */
static int find_clear(struct store *store, const struct port *port, uint32_t classes,
		      struct error *error)
{
	unsigned int after = (unsigned int)port->host_port + port->count, to = 65535;

	for (unsigned int size_class = 0; size_class < CLASS_COUNT; size_class++) {
		CLEANUP_STATEMENT sqlite3_stmt *next = NULL;
		unsigned int begin;
		int r;

		if (!(classes & UINT32_C(1) << size_class))
			continue;
		r = statement_look_up(store, STATEMENT_PORT_NEXT,
				      VALUES(INT(port_key(port->protocol, size_class, after, 0)),
					     INT(port_key(port->protocol, size_class + 1, 0, 0))),
				      &next, error);
		if (r < 0)
			return r;
		begin = (unsigned int)(sqlite3_column_int64(next, 0) >> SLOT_BITS) & 0xffff;
		if (r > 0 && begin <= to)
			to = begin - 1;
	}
	store->clear_protocol = port->protocol;
	store->clear_to = to;
	return 0;
}

static bool is_clear(const struct store *store, const struct port *port)
{
	return store->clear_protocol == port->protocol && port->host_port >= store->clear_from &&
	       port->host_port + port->count - 1U <= store->clear_to;
}

static int find_collision(struct store *store, struct search *search, struct error *error)
{
	const struct port *port = search->port;
	bool is_batch = store->classes && store->classes_protocol == port->protocol;
	uint32_t classes;
	int r = 0;

	if (!is_clear(store, port)) {
		store->clear_to = 0;
		r = find_classes(store, port->protocol, &classes, error);
		for (unsigned int size_class = 0; size_class < CLASS_COUNT && r == 0; size_class++)
			if (classes & UINT32_C(1) << size_class)
				r = find_in_class(store, search, size_class, error);
		if (r == 0 && is_batch && !search->met)
			r = find_clear(store, port, classes, error);
	}
	store->clear_from = (unsigned int)port->host_port + port->count;
	return r;
}

/* "8080", or "8080-8089" */
static void format_range(unsigned int first, unsigned int count, char *text, size_t size)
{
	if (count > 1)
		snprintf(text, size, "%u-%u", first, first + count - 1);
	else
		snprintf(text, size, "%u", first);
}

/* Another operation's is waited for: one that has an operation is of the same call. */
static int port_in_use_error(struct store *store, const struct port *port,
			     const struct holder *in_the_way, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *names = NULL;
	char host[16], container[16], addr[ADDR_TEXT_MAX] = "0.0.0.0";
	const struct port *holder = &in_the_way->port;
	const char *left = "", *right = "";
	unsigned int first;
	int r = statement_look_up(store, STATEMENT_ENDPOINT_NAMES,
				  VALUES(INT(in_the_way->endpoint)), &names, error);

	if (r < 0)
		return r;
	format_range(holder->host_port, holder->count, host, sizeof(host));
	format_range(holder->container_port, holder->count, container, sizeof(container));
	if (addr_is_set(&holder->host_addr) || holder->interface[0])
		port_host_format(holder, addr);
	if (holder->host_addr.family == AF_INET6) {
		left = "[";
		right = "]";
	}
	first = port->host_port > holder->host_port ? port->host_port : holder->host_port;
	if (in_the_way->making)
		return error_set(
			error, -EADDRINUSE, BN_REASON_PORT_IN_USE,
			"host port %u/%s is asked for twice in one call: %s%s%s:%s->%s has "
			"it too; name it once",
			first, protocol_name(port->protocol), left, addr, right, host, container);
	return error_set(error, -EADDRINUSE, BN_REASON_PORT_IN_USE,
			 "host port %u/%s is already published by endpoint %s of network %s "
			 "(%s%s%s:%s->%s); unpublish it or choose another port",
			 first, protocol_name(port->protocol), column_text(names, 1),
			 column_text(names, 0), left, addr, right, host, container);
}

int port_check_numbers(const struct port *port, struct error *error)
{
	if (port->host_port > 0 && port->count > 0 && port->host_port + port->count - 1 <= 65535)
		return 0;
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "%u host ports from %u on can't be published; ports are 1 to 65535",
			 port->count, port->host_port);
}

int port_busy_error(struct store *store, const struct port *port, int64_t operation,
		    struct error *error)
{
	claim_note_blocker(store, operation);
	return error_set(error, -EBUSY, BN_REASON_BUSY,
			 "another process is just at work on endpoint %s of network %s or its port "
			 "%u/%s; try again",
			 port->endpoint, port->network, port->host_port,
			 protocol_name(port->protocol));
}

int port_find_endpoint(struct store *store, int64_t operation, const struct port *port,
		       struct error *error)
{
	struct endpoint_row row = { 0 };
	int r;

	if (store->endpoint.sequence && strcmp(store->endpoint_id, port->endpoint) == 0 &&
	    strcmp(store->endpoint_network, port->network) == 0)
		return 0;
	r = endpoint_find(store, port->network, port->endpoint, &row, error);
	if (r < 0)
		return r;
	if (r == 0)
		return endpoint_unknown_error(port->network, port->endpoint, error);
	if (row.removal || (row.operation && row.operation != operation))
		return port_busy_error(store, port, row.removal ? row.removal : row.operation,
				       error);
	strcpy(store->endpoint_id, port->endpoint);
	strcpy(store->endpoint_network, port->network);
	store->endpoint = row;
	return 0;
}

static int insert_row(struct store *store, int64_t operation, int64_t key, const struct port *port,
		      struct error *error)
{
	CLEANUP_FREE char *options = NULL;
	char host[PORT_HOST_MAX];

	if (port->options && options_serialize(&port->options->options, &options) < 0)
		return error_oom(error);
	return statement_run(store, STATEMENT_PORT_INSERT,
			     VALUES(INT(key), TEXT(port_host_format(port, host)),
				    INT(port->container_port), INT(port->count),
				    INT(store->endpoint.sequence), INT(operation), TEXT(options)),
			     error);
}

/* The row of a port, and where it belongs. */
static int insert_port(struct store *store, int64_t operation, const struct port *port,
		       struct error *error)
{
	unsigned int size_class = port_class(port->count);
	struct search search = { .port = port, .making = operation, .slot = first_slot(port) };
	struct holder *holder = &search.holder;
	int64_t key;
	int r = port_check_numbers(port, error);

	if (r == 0)
		r = port_find_endpoint(store, operation, port, error);
	if (r == 0)
		r = find_collision(store, &search, error);
	if (r < 0)
		return r;
	claim_note_blocker(store, holder->removal ? holder->removal : holder->making);
	if (r > 0 && (holder->removal || (holder->making && holder->making != operation)))
		return error_set(error, -EBUSY, BN_REASON_BUSY,
				 "host port %u/%s is just being published or given up by another "
				 "process; try again",
				 port->host_port, protocol_name(port->protocol));
	if (r > 0)
		return port_in_use_error(store, port, holder, error);
	if (search.slot - first_slot(port) >= SLOTS)
		return error_set(error, -ENOSPC, BN_REASON_PORT_IN_USE,
				 "host port %u/%s is published on %u addresses; publish it on "
				 "every address instead",
				 port->host_port, protocol_name(port->protocol), SLOTS);
	store->classes |= UINT32_C(1) << size_class;
	key = port_key(port->protocol, size_class, port->host_port, search.slot);
	port_note_range(store, operation, key, key);
	return insert_row(store, operation, key, port, error);
}

/* Those of the run that begin where no port is, behind one of the same endpoint: how many. */
static int insert_run(struct store *store, int64_t operation, const struct port *ports, size_t len,
		      struct error *error)
{
	char host[PORT_HOST_MAX];
	unsigned int first = ports->host_port, last = first + (unsigned int)len - 1;
	int64_t key = port_key(ports->protocol, 0, first, first_slot(ports));
	int r;

	if (last > store->clear_to)
		last = store->clear_to;
	r = port_find_endpoint(store, operation, ports, error);
	if (r < 0)
		return r;
	r = statement_run(store, STATEMENT_PORT_INSERT_RUN,
			  VALUES(INT(key), TEXT(port_host_format(ports, host)),
				 INT(ports->container_port), INT(ports->count),
				 INT(store->endpoint.sequence), INT(operation),
				 INT(port_run_stride(ports, len)), INT(last - first)),
			  error);
	if (r < 0)
		return r;
	port_note_range(store, operation, key,
			port_key(ports->protocol, 0, last, first_slot(ports)));
	store->classes |= UINT32_C(1) << port_class(1);
	store->clear_from = last + 1;
	return (int)(last - first + 1);
}

int store_ports_insert(struct store *store, const struct operation *operation,
		       const struct port *ports, size_t len, struct error *error)
{
	int r = operation_check(store, operation, false, error);

	for (size_t i = 0; i < len && r >= 0; i += (size_t)r) {
		size_t most = len - i < PORT_RUN_MAX ? len - i : PORT_RUN_MAX;
		size_t run = port_run_length(&ports[i], most);

		if (run > 1 && is_clear(store, &ports[i])) {
			r = insert_run(store, operation->id, &ports[i], run, error);
			continue;
		}
		r = insert_port(store, operation->id, &ports[i], error);
		if (r == 0)
			r = 1;
	}
	return r < 0 ? r : 0;
}

int store_ports_taken(struct store *store, uint8_t protocol, const struct addr *host_addr,
		      uint8_t bits[static PORT_BITS], struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	struct port found = { 0 }, probe;
	int r = statement_get(store, STATEMENT_PORT_WINDOW,
			      VALUES(INT(port_key(protocol, 0, 0, 0)),
				     INT(port_key(protocol, CLASS_COUNT, 0, 0))),
			      &row, error);

	if (r < 0)
		return r;
	while ((r = statement_step(store, row, error)) > 0) {
		r = port_read_columns(store, row, KEY, &found, error);
		if (r < 0)
			return r;
		probe = found;
		probe.host_addr = *host_addr;
		if (port_collides(&found, &probe))
			port_bits_set(bits, found.host_port, found.count);
	}
	return r;
}

/* Of one endpoint. */
static int listing_order(const void *left, const void *right)
{
	const struct port *a = left, *b = right;
	int order;

	if (a->protocol != b->protocol)
		return a->protocol < b->protocol ? -1 : 1;
	order = port_host_compare(a, b);
	if (order)
		return order;
	return (a->host_port > b->host_port) - (a->host_port < b->host_port);
}

/* As the keys of most have it. */
static bool is_in_order(const struct port *ports, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (listing_order(&ports[i - 1], &ports[i]) > 0)
			return false;
	return true;
}

/* Rows come by network and endpoint; within one, keys may have another order than a listing. */
static void sort_each_endpoint(struct port *ports, size_t len)
{
	for (size_t first = 0, i = 1; i <= len; i++) {
		if (i < len && strcmp(ports[i].endpoint, ports[first].endpoint) == 0 &&
		    strcmp(ports[i].network, ports[first].network) == 0)
			continue;
		if (!is_in_order(&ports[first], i - first))
			qsort(&ports[first], i - first, sizeof(*ports), listing_order);
		first = i;
	}
}

int ports_append(struct store *store, sqlite3_stmt *row, port_vector *ports, struct error *error)
{
	size_t first = ports->len;
	int r;

	while ((r = statement_step(store, row, error)) > 0) {
		struct port *port = vector_push(ports);

		if (!port)
			return error_oom(error);
		r = port_read_columns(store, row, LIST_KEY, port, error);
		if (r < 0)
			return r;
		if (column_copy(row, LIST_NETWORK, port->network, sizeof(port->network)) < 0 ||
		    column_copy(row, LIST_ENDPOINT, port->endpoint, sizeof(port->endpoint)) < 0)
			return store_damaged_error(store, "a port", error);
		r = port_read_options(store, row, LIST_OPTIONS, port, error);
		if (r < 0)
			return r;
	}
	if (r == 0 && ports->len > first)
		sort_each_endpoint(&ports->items[first], ports->len - first);
	return r;
}

int store_ports(struct store *store, const char *network, const char *endpoint, uint32_t flags,
		port_vector *ports, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	enum statement which = STATEMENT_PORT_LIST;
	int r;

	if (flags & STORE_STANDING)
		which = STATEMENT_PORT_STANDING;
	else if (network)
		which = endpoint ? STATEMENT_PORT_LIST_ENDPOINT : STATEMENT_PORT_LIST_NETWORK;
	else if (endpoint)
		which = STATEMENT_PORT_LIST_ID;
	r = statement_get(store, which, VALUES(INT(flags != 0), TEXT(network), TEXT(endpoint)),
			  &row, error);
	return r < 0 ? r : ports_append(store, row, ports, error);
}
