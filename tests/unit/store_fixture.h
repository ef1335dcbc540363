/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the store share: a state directory for each, and steps that must succeed. */
#ifndef BN_TESTS_STORE_FIXTURE_H
#define BN_TESTS_STORE_FIXTURE_H

#include "../case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "store/store.h"

struct fixture {
	char directory[64];
	struct store *store;
	struct error error;
};

#define assert_ok(call) assert_int_equal((call), 0)
#define assert_fails(call, code_, reason_)                    \
	do {                                                  \
		error_clear(&f->error);                       \
		assert_int_equal((call), (code_));            \
		assert_int_equal(f->error.code, (code_));     \
		assert_int_equal(f->error.reason, (reason_)); \
		assert_true(strlen(f->error.message) > 20);   \
	} while (0)
#define assert_says(text) assert_non_null(strstr(f->error.message, (text)))

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->directory, "/tmp/bn-store-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	*state = f;
	return store_open(f->directory, false, 0, &f->store, &f->error);
}

static inline int teardown(void **state)
{
	static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm",
					     "operations.lock", "generation" };
	struct fixture *f = *state;
	char path[128];

	store_close(f->store);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->directory, files[i]);
		unlink(path);
	}
	assert_ok(rmdir(f->directory));
	free(f);
	return 0;
}

/* As after the end of the process: what it left open is dead. */
static inline void reopen(struct fixture *f)
{
	store_close(f->store);
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
}

static inline struct operation begin(struct fixture *f, enum operation_kind kind)
{
	struct operation operation = { 0 };

	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_operation_open(f->store, kind, &operation, &f->error));
	assert_true(operation.id > 0);
	assert_int_equal(operation.kind, kind);
	return operation;
}

static inline void commit(struct fixture *f)
{
	assert_ok(store_commit(f->store, &f->error));
}

static inline void finish(struct fixture *f, struct operation operation)
{
	assert_ok(store_operation_close(f->store, &operation, &f->error));
	commit(f);
}

static inline void settle(struct fixture *f, struct operation operation)
{
	assert_ok(store_begin(f->store, &f->error));
	finish(f, operation);
}

static inline void give_up(struct fixture *f, struct operation operation)
{
	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_operation_abandon(f->store, &operation, &f->error));
	commit(f);
}

static inline struct network make_network(const char *name, char digit, const char *subnet)
{
	struct network network = { .driver = DRIVER_BRIDGE, .mtu = 1500 };

	strcpy(network.name, name);
	memset(network.id, digit, ID_LEN);
	snprintf(network.bridge, sizeof(network.bridge), "br-%.11s", name);
	assert_ok(prefix_parse(subnet, &network.ipv4.prefix));
	assert_true(addr_add(&network.ipv4.prefix.addr, 1, &network.ipv4.gateway));
	return network;
}

static inline void add_network(struct fixture *f, const struct network *network)
{
	struct operation operation = begin(f, OPERATION_NETWORK_CREATE);

	assert_ok(store_network_insert(f->store, &operation, network, &f->error));
	finish(f, operation);
}

static inline struct endpoint make_endpoint(const char *network, const char *id,
					    const char *address)
{
	struct endpoint endpoint = { .mtu = 1500 };

	strcpy(endpoint.network, network);
	strcpy(endpoint.id, id);
	if (address)
		assert_ok(prefix_parse(address, &endpoint.ipv4));
	return endpoint;
}

static inline void add_endpoint(struct fixture *f, const char *network, const char *id,
				const char *address)
{
	struct operation operation = begin(f, OPERATION_ATTACH);
	struct endpoint endpoint = make_endpoint(network, id, address);

	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	finish(f, operation);
}

static inline void remove_endpoint(struct fixture *f, const char *network, const char *id)
{
	struct operation operation = begin(f, OPERATION_DETACH);

	assert_ok(store_endpoint_mark(f->store, &operation, network, id, &f->error));
	commit(f);
	settle(f, operation);
}

/* Attach with the address that the store picks: its text, or "" with f->error. */
static inline const char *attach_dynamic(struct fixture *f, const struct network *network,
					 const char *id)
{
	static char text[ADDR_TEXT_MAX];
	struct operation operation = begin(f, OPERATION_ATTACH);
	struct endpoint endpoint = make_endpoint(network->name, id, NULL);

	if (store_address_pick(f->store, network, AF_INET, 0, &endpoint.ipv4.addr, &f->error) < 0) {
		store_rollback(f->store);
		return "";
	}
	endpoint.ipv4.len = network->ipv4.prefix.len;
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	finish(f, operation);
	return addr_format(&endpoint.ipv4.addr, text);
}

static inline size_t count_networks(struct fixture *f, uint32_t flags)
{
	network_vector networks = { 0 };
	size_t len;

	assert_ok(store_networks(f->store, flags, &networks, &f->error));
	len = networks.len;
	networks_clear(&networks);
	return len;
}

static inline size_t count_endpoints(struct fixture *f, const char *network, uint32_t flags)
{
	endpoint_vector endpoints = { 0 };
	size_t len;

	assert_ok(store_endpoints(f->store, network, flags, &endpoints, &f->error));
	len = endpoints.len;
	endpoints_clear(&endpoints);
	return len;
}

static inline struct port make_port(const char *endpoint, uint8_t protocol, const char *host,
				    uint16_t host_port, uint16_t count)
{
	struct port port = {
		.protocol = protocol, .host_port = host_port, .container_port = 80, .count = count
	};

	strcpy(port.network, "blue");
	strcpy(port.endpoint, endpoint);
	if (*host)
		assert_ok(addr_parse(host, &port.host_addr));
	return port;
}

/* What store_ports_insert() says, in an operation of its own that is settled or rolled back. */
static inline int publish(struct fixture *f, const struct port *port)
{
	struct operation operation = begin(f, OPERATION_PUBLISH);
	int rc = store_ports_insert(f->store, &operation, port, 1, &f->error);

	if (rc == 0)
		finish(f, operation);
	else
		store_rollback(f->store);
	return rc;
}

static inline int mark_port(struct fixture *f, const struct operation *operation,
			    const struct port *port)
{
	struct port copy = *port;
	port_vector ports = { .items = &copy, .len = 1, .capacity = 1 };

	return store_ports_mark(f->store, operation, false, &ports, &f->error);
}

static inline int port_is_taken(struct fixture *f, const struct port *port)
{
	uint8_t bits[PORT_BITS] = { 0 };

	assert_ok(store_ports_taken(f->store, port->protocol, &port->host_addr, bits, &f->error));
	return port_bits_last(bits, port->host_port, port->count) != 0;
}

static inline size_t count_ports(struct fixture *f, const char *network, const char *endpoint,
				 uint32_t flags)
{
	port_vector ports = { 0 };
	size_t len;

	assert_ok(store_ports(f->store, network, endpoint, flags, &ports, &f->error));
	len = ports.len;
	ports_clear(&ports);
	return len;
}

static inline void set_up_blue(struct fixture *f, const char *subnet)
{
	struct network network = make_network("blue", 'b', subnet);

	add_network(f, &network);
}

static inline void set_up_web(struct fixture *f)
{
	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	add_endpoint(f, "blue", "db", "10.1.0.3/16");
}

static inline void unpublish(struct fixture *f, const struct port *port)
{
	struct operation operation = begin(f, OPERATION_UNPUBLISH);

	assert_ok(mark_port(f, &operation, port));
	finish(f, operation);
}

#endif
