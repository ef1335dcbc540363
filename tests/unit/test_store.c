/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store, one process: networks, endpoints, operations. */
#include "store_fixture.h"

/* ---- networks ---- */

static void test_builtins(void **state)
{
	struct fixture *f = *state;
	network_vector networks = { 0 };
	struct network again = { 0 };

	assert_ok(store_networks(f->store, 0, &networks, &f->error));
	assert_int_equal(networks.len, 3);
	assert_string_equal(networks.items[0].name, "bridge");
	assert_string_equal(networks.items[1].name, "host");
	assert_string_equal(networks.items[2].name, "none");
	assert_int_equal(networks.items[1].driver, DRIVER_HOST);
	assert_int_equal(networks.items[2].driver, DRIVER_NONE);
	assert_string_equal(networks.items[0].bridge, "");
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(strspn(networks.items[i].id, "0123456789abcdef"), ID_LEN);
	assert_string_not_equal(networks.items[0].id, networks.items[1].id);
	reopen(f);
	assert_ok(store_network_get(f->store, "host", &again, &f->error));
	assert_string_equal(again.id, networks.items[1].id);
	network_clear(&again);
	networks_clear(&networks);
}

static void test_network_round_trip(void **state)
{
	struct fixture *f = *state;
	struct network network = make_network("blue", 'b', "10.1.0.0/16"), found = { 0 };
	struct addr *reserved;

	network.bridge_adopted = true;
	network.mtu = 9000;
	assert_ok(range_parse("10.1.4.3-10.1.4.9", &network.ipv4.range));
	assert_ok(prefix_parse("fd00:1::/64", &network.ipv6.prefix));
	assert_ok(addr_parse("fd00:1::1", &network.ipv6.gateway));
	for (int i = 0; i < 2; i++) {
		reserved = vector_push(&network.reserved);
		assert_ok(addr_parse(i ? "fd00:1::9" : "10.1.4.9", reserved));
	}
	assert_ok(options_set(&network.options, "label.note", "a=b, 'c'"));
	add_network(f, &network);
	assert_ok(store_network_get(f->store, "blue", &found, &f->error));
	assert_string_equal(found.id, network.id);
	assert_string_equal(found.bridge, "br-blue");
	assert_true(found.bridge_adopted);
	assert_int_equal(found.mtu, 9000);
	assert_true(range_equals(&found.ipv4.range, &network.ipv4.range));
	assert_int_equal(prefix_compare(&found.ipv6.prefix, &network.ipv6.prefix), 0);
	assert_int_equal(addr_compare(&found.ipv6.gateway, &network.ipv6.gateway), 0);
	assert_int_equal(found.ipv6.range.first.family, 0);
	assert_int_equal(found.reserved.len, 2);
	assert_int_equal(addr_compare(&found.reserved.items[1], reserved), 0);
	assert_string_equal(options_get(&found.options, "label.note"), "a=b, 'c'");
	network_clear(&found);
	network_clear(&network);
}

/* Which rules such a network has, only the version that made it can say. */
static void test_network_of_a_newer_version(void **state)
{
	struct network network = make_network("blue", 'b', "10.1.0.0/16"), found = { 0 };
	struct fixture *f = *state;

	assert_ok(options_set(&network.options, "icc", "some-day"));
	add_network(f, &network);
	assert_int_equal(store_network_get(f->store, "blue", &found, &f->error), -ENOTSUP);
	assert_int_equal(f->error.reason, BN_REASON_STATE);
	assert_non_null(strstr(f->error.message, "network blue of the state in"));
	network_clear(&network);
}

static void test_network_get_by_id(void **state)
{
	struct fixture *f = *state;
	struct network one = make_network("one", 'a', "10.1.0.0/16"), found = { 0 };
	struct network two = make_network("two", 'a', "10.2.0.0/16");
	struct network word = make_network("aaaa", 'c', "10.3.0.0/16");

	two.id[6] = 'b';
	add_network(f, &one);
	add_network(f, &two);
	assert_ok(store_network_get(f->store, one.id, &found, &f->error));
	assert_string_equal(found.name, "one");
	assert_ok(store_network_get(f->store, "aaaaaab", &found, &f->error));
	assert_string_equal(found.name, "two");
	assert_fails(store_network_get(f->store, "aaaaa", &found, &f->error), -EINVAL,
		     BN_REASON_INVALID);
	assert_says("ambiguous");
	assert_fails(store_network_get(f->store, "aaa", &found, &f->error), -ENOENT,
		     BN_REASON_NETWORK_UNKNOWN);
	assert_fails(store_network_get(f->store, "nowhere", &found, &f->error), -ENOENT,
		     BN_REASON_NETWORK_UNKNOWN);
	assert_says("nowhere");
	assert_string_equal(found.name, "two"); /* untouched by failures */
	add_network(f, &word);
	assert_ok(store_network_get(f->store, "aaaa", &found, &f->error));
	assert_string_equal(found.name, "aaaa");
	/* To change something: a name, whatever it looks like, or 12 digits. */
	assert_ok(store_network_use(f->store, "aaaa", &found, &f->error));
	assert_string_equal(found.name, "aaaa");
	assert_fails(store_network_use(f->store, "aaaaaab", &found, &f->error), -EINVAL,
		     BN_REASON_INVALID);
	assert_says("network two");
	assert_fails(store_network_use(f->store, "aaaaaabaaaa", &found, &f->error), -EINVAL,
		     BN_REASON_INVALID);
	assert_ok(store_network_use(f->store, "aaaaaabaaaaa", &found, &f->error));
	assert_string_equal(found.name, "two");
	assert_fails(store_network_use(f->store, "dddd", &found, &f->error), -ENOENT,
		     BN_REASON_NETWORK_UNKNOWN);
}

static void test_network_conflicts(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/16"), other = blue;
	struct network host = make_network("host", 'd', "10.4.0.0/16");
	struct operation operation;

	add_network(f, &blue);
	operation = begin(f, OPERATION_NETWORK_CREATE);
	assert_fails(store_network_insert(f->store, &operation, &blue, &f->error), -EEXIST,
		     BN_REASON_NETWORK_EXISTS);
	strcpy(other.name, "green");
	assert_fails(store_network_insert(f->store, &operation, &other, &f->error), -EEXIST,
		     BN_REASON_NETWORK_EXISTS);
	other.id[0] = 'c';
	assert_fails(store_network_insert(f->store, &operation, &other, &f->error), -EEXIST,
		     BN_REASON_BRIDGE_INVALID);
	assert_says("br-blue belongs to network blue");
	assert_fails(store_network_insert(f->store, &operation, &host, &f->error), -EEXIST,
		     BN_REASON_NETWORK_BUILTIN);
	strcpy(other.bridge, "br-green");
	assert_ok(store_network_insert(f->store, &operation, &other, &f->error));
	commit(f);
	/* Not settled yet: not listed, but its name is taken. */
	assert_int_equal(count_networks(f, 0), 4);
	assert_int_equal(count_networks(f, STORE_PENDING), 5);
	assert_ok(store_begin(f->store, &f->error));
	assert_fails(store_network_insert(f->store, &operation, &other, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	give_up(f, operation);
	assert_int_equal(count_networks(f, STORE_PENDING), 4);
}

static void test_network_removal(void **state)
{
	struct fixture *f = *state;
	struct operation first, second;
	struct endpoint endpoint = make_endpoint("blue", "web", NULL);
	size_t count = 9;

	set_up_blue(f, "10.1.0.0/16");
	first = begin(f, OPERATION_NETWORK_DELETE);
	assert_fails(store_network_mark(f->store, &first, "red", &f->error), -ENOENT,
		     BN_REASON_NETWORK_UNKNOWN);
	assert_fails(store_network_mark(f->store, &first, "host", &f->error), -EPERM,
		     BN_REASON_NETWORK_BUILTIN);
	assert_ok(store_network_mark(f->store, &first, "blue", &f->error));
	commit(f);
	assert_int_equal(count_networks(f, 0), 4); /* on its way out, still listed */
	second = begin(f, OPERATION_NETWORK_DELETE);
	assert_fails(store_network_mark(f->store, &second, "blue", &f->error), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	second = begin(f, OPERATION_ATTACH);
	assert_fails(store_endpoint_insert(f->store, &second, &endpoint, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	give_up(f, first);
	add_endpoint(f, "blue", "web", NULL);
	assert_ok(store_endpoint_count(f->store, "blue", &count, &f->error));
	assert_int_equal(count, 1);
	first = begin(f, OPERATION_NETWORK_DELETE);
	assert_ok(store_network_mark(f->store, &first, "blue", &f->error));
	assert_ok(store_endpoint_mark(f->store, &first, "blue", "web", &f->error));
	finish(f, first);
	assert_int_equal(count_networks(f, STORE_PENDING), 3);
	assert_int_equal(count_endpoints(f, NULL, STORE_PENDING), 0);
}

/* The built-in bridge is defined on first use, under the id it has, and can be undefined. */
static void test_bridge_definition(void **state)
{
	struct fixture *f = *state;
	struct network empty = { 0 }, found = { 0 };
	struct network bridge = make_network("bridge", 'e', "172.17.0.0/16");
	struct rows rows = { 0 };
	struct operation operation;

	assert_ok(store_network_get(f->store, "bridge", &empty, &f->error));
	operation = begin(f, OPERATION_NETWORK_CREATE);
	assert_ok(store_network_insert(f->store, &operation, &bridge, &f->error));
	commit(f);
	assert_ok(store_network_get(f->store, "bridge", &found, &f->error));
	assert_string_equal(found.bridge, "");
	assert_int_equal(count_networks(f, STORE_PENDING), 3);
	assert_ok(store_operation_rows(f->store, &operation, &rows, &f->error));
	assert_int_equal(rows.networks.len, 1);
	assert_string_equal(rows.networks.items[0].bridge, "br-bridge");
	rows_clear(&rows);
	give_up(f, operation);
	assert_ok(store_network_get(f->store, "bridge", &found, &f->error));
	assert_string_equal(found.bridge, "");

	add_network(f, &bridge);
	assert_ok(store_network_get(f->store, empty.id, &found, &f->error));
	assert_string_equal(found.bridge, "br-bridge");
	assert_string_equal(found.id, empty.id);
	assert_int_equal(count_networks(f, 0), 3);
	operation = begin(f, OPERATION_NETWORK_CREATE);
	assert_fails(store_network_insert(f->store, &operation, &bridge, &f->error), -EEXIST,
		     BN_REASON_NETWORK_EXISTS);
	store_rollback(f->store);
	operation = begin(f, OPERATION_NETWORK_DELETE);
	assert_ok(store_network_mark(f->store, &operation, "bridge", &f->error));
	finish(f, operation);
	assert_ok(store_network_get(f->store, "bridge", &found, &f->error));
	assert_string_equal(found.bridge, "");
	assert_string_equal(found.id, empty.id);
}

/* ---- endpoints ---- */

static void test_endpoint_round_trip(void **state)
{
	struct fixture *f = *state;
	struct operation operation = { 0 };
	struct endpoint endpoint = make_endpoint("blue", "web", "10.1.0.2/16"), found = { 0 };
	struct route *route;

	set_up_blue(f, "10.1.0.0/16");
	strcpy(endpoint.sandbox, "/run/netns/a b");
	endpoint.sandbox_device = UINT64_MAX - 1;
	endpoint.sandbox_inode = 4026531840;
	endpoint.sandbox_cookie = UINT64_MAX;
	strcpy(endpoint.interface, "eth0");
	strcpy(endpoint.host_interface, "bv0123456789ab");
	assert_ok(mac_parse("02:42:0a:01:00:02", endpoint.mac));
	assert_ok(prefix_parse("fd00:1::2/64", &endpoint.ipv6));
	endpoint.gateway_priority = -3;
	for (int i = 0; i < 2; i++) {
		route = vector_push(&endpoint.routes);
		assert_ok(prefix_parse(i ? "fd00:9::/48" : "10.8.0.0/16", &route->destination));
		assert_ok(addr_parse(i ? "fd00:1::1" : "10.1.0.1", &route->gateway));
	}
	assert_ok(options_set(&endpoint.options, "hostname", "web"));
	operation = begin(f, OPERATION_ATTACH);
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	assert_int_equal(endpoint.sequence, 1);
	finish(f, operation);
	assert_ok(store_endpoint_get(f->store, "blue", "web", &found, &f->error));
	assert_string_equal(found.sandbox, "/run/netns/a b");
	assert_true(found.sandbox_device == UINT64_MAX - 1);
	assert_true(found.sandbox_inode == 4026531840);
	assert_true(found.sandbox_cookie == UINT64_MAX);
	assert_string_equal(found.host_interface, "bv0123456789ab");
	assert_memory_equal(found.mac, endpoint.mac, MAC_LEN);
	assert_int_equal(prefix_compare(&found.ipv4, &endpoint.ipv4), 0);
	assert_int_equal(prefix_compare(&found.ipv6, &endpoint.ipv6), 0);
	assert_int_equal(found.gateway_priority, -3);
	assert_int_equal(found.sequence, 1);
	assert_int_equal(found.routes.len, 2);
	assert_int_equal(prefix_compare(&found.routes.items[1].destination, &route->destination),
			 0);
	assert_int_equal(addr_compare(&found.routes.items[1].gateway, &route->gateway), 0);
	assert_string_equal(options_get(&found.options, "hostname"), "web");
	endpoint_clear(&found);
	endpoint_clear(&endpoint);
}

static void test_endpoint_refusals(void **state)
{
	struct fixture *f = *state;
	struct operation operation, other;
	struct endpoint web = make_endpoint("blue", "web", "10.1.0.2/16"), found;
	struct endpoint db = make_endpoint("blue", "db", "10.1.0.2/16");
	struct endpoint lost = make_endpoint("red", "web", NULL);
	struct port port = make_port("web", IPPROTO_TCP, "", 80, 1);

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	operation = begin(f, OPERATION_ATTACH);
	assert_fails(store_endpoint_insert(f->store, &operation, &web, &f->error), -EEXIST,
		     BN_REASON_ENDPOINT_EXISTS);
	assert_fails(store_endpoint_insert(f->store, &operation, &lost, &f->error), -ENOENT,
		     BN_REASON_NETWORK_UNKNOWN);
	assert_fails(store_endpoint_insert(f->store, &operation, &db, &f->error), -EADDRINUSE,
		     BN_REASON_ADDRESS_IN_USE);
	assert_says("10.1.0.2 of network blue is already used by endpoint web");
	store_rollback(f->store);

	operation = begin(f, OPERATION_DETACH);
	assert_fails(store_endpoint_mark(f->store, &operation, "blue", "db", &f->error), -ENOENT,
		     BN_REASON_ENDPOINT_UNKNOWN);
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "web", &f->error));
	commit(f);
	other = begin(f, OPERATION_DETACH);
	assert_fails(store_endpoint_mark(f->store, &other, "blue", "web", &f->error), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	other = begin(f, OPERATION_PUBLISH);
	assert_fails(store_ports_insert(f->store, &other, &port, 1, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	assert_ok(store_endpoint_get(f->store, "blue", "web", &found, &f->error));
	settle(f, operation);
	assert_fails(store_endpoint_get(f->store, "blue", "web", &found, &f->error), -ENOENT,
		     BN_REASON_ENDPOINT_UNKNOWN);
	/* A port that is just being published keeps its endpoint. */
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	other = begin(f, OPERATION_PUBLISH);
	assert_ok(store_ports_insert(f->store, &other, &port, 1, &f->error));
	commit(f);
	operation = begin(f, OPERATION_DETACH);
	assert_fails(store_endpoint_mark(f->store, &operation, "blue", "web", &f->error), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	settle(f, other);
	remove_endpoint(f, "blue", "web");
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
}

static void test_endpoint_listings(void **state)
{
	struct fixture *f = *state;
	struct network red = make_network("red", 'c', "10.2.0.0/16");
	struct endpoint pending = make_endpoint("red", "z", NULL);
	struct operation operation;
	endpoint_vector found = { 0 };

	set_up_blue(f, "10.1.0.0/16");
	add_network(f, &red);
	add_endpoint(f, "red", "a", NULL);
	add_endpoint(f, "blue", "c", NULL);
	add_endpoint(f, "blue", "b", NULL);
	pending.sandbox_device = 4;
	pending.sandbox_inode = 77;
	operation = begin(f, OPERATION_ATTACH);
	assert_ok(store_endpoint_insert(f->store, &operation, &pending, &f->error));
	assert_int_equal(pending.sequence, 4);
	commit(f);
	assert_ok(store_endpoints(f->store, NULL, STORE_PENDING, &found, &f->error));
	assert_int_equal(found.len, 4);
	assert_string_equal(found.items[0].id, "b");
	assert_string_equal(found.items[1].id, "c");
	assert_string_equal(found.items[2].id, "a");
	assert_string_equal(found.items[3].id, "z");
	endpoints_clear(&found);
	assert_int_equal(count_endpoints(f, NULL, 0), 3);
	assert_int_equal(count_endpoints(f, "red", 0), 1);
	assert_int_equal(count_endpoints(f, "red", STORE_PENDING), 2);
	assert_fails(store_endpoint_get(f->store, "red", "z", &pending, &f->error), -ENOENT,
		     BN_REASON_ENDPOINT_UNKNOWN);
}

static void test_thousand_endpoints(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/16");
	struct operation operation;
	char id[16];
	size_t count = 0;

	add_network(f, &blue);
	operation = begin(f, OPERATION_ATTACH);
	for (int i = 0; i < 1000; i++) {
		struct endpoint endpoint;

		snprintf(id, sizeof(id), "e%d", i);
		endpoint = make_endpoint("blue", id, NULL);
		assert_ok(store_address_pick(f->store, &blue, AF_INET, 0, &endpoint.ipv4.addr,
					     &f->error));
		endpoint.ipv4.len = 16;
		assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
		assert_int_equal(endpoint.ipv4.addr.bytes[2] * 256 + endpoint.ipv4.addr.bytes[3],
				 i + 2);
	}
	commit(f);
	assert_int_equal(count_endpoints(f, NULL, 0), 0);
	settle(f, operation);
	assert_int_equal(count_endpoints(f, "blue", 0), 1000);
	assert_ok(store_endpoint_count(f->store, "blue", &count, &f->error));
	assert_int_equal(count, 1000);
}

/* ---- operations ---- */

static void test_transactions(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/16");
	struct operation operation = { .id = 1, .kind = OPERATION_NETWORK_CREATE }, found, wrong;
	char value[META_MAX] = "old";

	assert_fails(store_commit(f->store, &f->error), -EINVAL, BN_REASON_STATE);
	assert_fails(store_operation_open(f->store, OPERATION_ATTACH, &found, &f->error), -EINVAL,
		     BN_REASON_STATE);
	assert_fails(store_network_insert(f->store, &operation, &blue, &f->error), -EINVAL,
		     BN_REASON_STATE);
	assert_fails(store_meta_set(f->store, "backend", "nftables", &f->error), -EINVAL,
		     BN_REASON_STATE);
	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_meta_set(f->store, "backend", "nftables", &f->error));
	store_rollback(f->store);
	store_rollback(f->store);
	assert_ok(store_meta_get(f->store, "backend", value, &f->error));
	assert_string_equal(value, "");
	/* An operation that was rolled back leaves no lock: its number comes again. */
	operation = begin(f, OPERATION_ATTACH);
	store_rollback(f->store);
	wrong = begin(f, OPERATION_DETACH);
	assert_int_equal(wrong.id, operation.id);
	assert_fails(store_network_insert(f->store, &wrong, &blue, &f->error), -EINVAL,
		     BN_REASON_STATE);
	assert_fails(store_operation_take_dead(f->store, 0, &found, &f->error), -EINVAL,
		     BN_REASON_STATE);
	finish(f, wrong);
	operation = begin(f, OPERATION_ATTACH);
	assert_fails(store_network_mark(f->store, &operation, "bridge", &f->error), -EINVAL,
		     BN_REASON_STATE);
	assert_int_equal(operation.id, wrong.id + 1); /* a number that was used never does */
	store_rollback(f->store);
}

static void test_meta(void **state)
{
	struct fixture *f = *state;
	char value[META_MAX], large[META_MAX + 1] = "";

	memset(large, 'x', META_MAX);
	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_meta_set(f->store, "port.last", "32768", &f->error));
	assert_ok(store_meta_set(f->store, "port.last", "32769", &f->error));
	assert_fails(store_meta_set(f->store, "backend", large, &f->error), -ENAMETOOLONG,
		     BN_REASON_STATE);
	commit(f);
	reopen(f);
	assert_ok(store_meta_get(f->store, "port.last", value, &f->error));
	assert_string_equal(value, "32769");
}

/* A number that someone has locked is passed over; one of a transaction rolled back is free. */
static void test_operation_numbers(void **state)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1 };
	struct fixture *f = *state;
	struct operation operation, found = { 0 };
	struct store *other;
	char path[128];
	int fd;

	assert_int_equal(begin(f, OPERATION_ATTACH).id, 1);
	store_rollback(f->store);
	snprintf(path, sizeof(path), "%s/operations.lock", f->directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_ok(fcntl(fd, F_OFD_SETLK, &range));
	operation = begin(f, OPERATION_ATTACH);
	assert_int_equal(operation.id, 2);
	commit(f);
	range.l_start = 2;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), -1);
	assert_ok(store_open(f->directory, false, 0, &other, &f->error));
	assert_int_equal(store_operation_take_dead(other, 0, &found, &f->error), 0);
	settle(f, operation);
	assert_ok(fcntl(fd, F_OFD_SETLK, &range));
	close(fd);
	/* Left, it is anyone's. */
	operation = begin(f, OPERATION_ATTACH);
	commit(f);
	store_operation_leave(f->store, &operation);
	assert_int_equal(store_operation_take_dead(other, 0, &found, &f->error), 1);
	assert_int_equal(found.id, operation.id);
	store_close(other);
}

/* What another process, here another store, sees of an operation and its rows. */
static void test_visibility_and_owners(void **state)
{
	struct fixture *f = *state;
	struct store *other;
	struct operation operation, found = { 0 };
	struct endpoint endpoint = make_endpoint("blue", "web", "10.1.0.2/16");
	endpoint_vector endpoints = { 0 };

	set_up_blue(f, "10.1.0.0/16");
	assert_ok(store_open(f->directory, false, 0, &other, &f->error));
	operation = begin(f, OPERATION_ATTACH);
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	assert_ok(store_endpoints(other, NULL, STORE_PENDING, &endpoints, &f->error));
	assert_int_equal(endpoints.len, 0); /* not committed */
	commit(f);
	assert_ok(store_endpoints(other, NULL, 0, &endpoints, &f->error));
	assert_int_equal(endpoints.len, 0);
	assert_ok(store_endpoints(other, NULL, STORE_PENDING, &endpoints, &f->error));
	assert_int_equal(endpoints.len, 1);
	endpoints_clear(&endpoints);
	/* Alive: for others, and for its own store. */
	assert_int_equal(store_operation_take_dead(other, 0, &found, &f->error), 0);
	assert_int_equal(store_operation_take_dead(f->store, 0, &found, &f->error), 0);

	store_close(f->store);
	f->store = other;
	assert_int_equal(store_operation_take_dead(other, 0, &found, &f->error), 1);
	assert_int_equal(found.id, operation.id);
	assert_int_equal(found.kind, OPERATION_ATTACH);
	/* Taken: nobody else gets it. */
	assert_ok(store_open(f->directory, false, 0, &other, &f->error));
	assert_int_equal(store_operation_take_dead(other, 0, &operation, &f->error), 0);
	give_up(f, found);
	assert_int_equal(store_operation_take_dead(other, 0, &operation, &f->error), 0);
	assert_int_equal(count_endpoints(f, NULL, STORE_PENDING), 0);
	store_close(other);
}

/* Several dead ones come oldest first, past a live one, with exactly their rows. */
static void test_dead_in_order(void **state)
{
	struct fixture *f = *state;
	struct store *live;
	struct operation dead[2], alive, found;
	struct endpoint web = make_endpoint("blue", "web", "10.1.0.2/16");
	struct port port = make_port("web", IPPROTO_TCP, "", 80, 1);
	struct rows rows = { 0 };

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "db", "10.1.0.3/16");
	assert_ok(store_open(f->directory, false, 0, &live, &f->error));
	dead[0] = begin(f, OPERATION_ATTACH);
	assert_ok(store_endpoint_insert(f->store, &dead[0], &web, &f->error));
	assert_ok(store_ports_insert(f->store, &dead[0], &port, 1, &f->error));
	commit(f);
	assert_ok(store_begin(live, &f->error));
	assert_ok(store_operation_open(live, OPERATION_PUBLISH, &alive, &f->error));
	assert_ok(store_commit(live, &f->error));
	dead[1] = begin(f, OPERATION_DETACH);
	assert_ok(store_endpoint_mark(f->store, &dead[1], "blue", "db", &f->error));
	commit(f);
	reopen(f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_operation_take_dead(f->store, 0, &found, &f->error), 1);
		assert_int_equal(found.id, dead[i].id);
		assert_ok(store_operation_rows(f->store, &found, &rows, &f->error));
		assert_int_equal(rows.networks.len, 0);
		assert_int_equal(rows.endpoints.len, 1);
		assert_string_equal(rows.endpoints.items[0].id, i ? "db" : "web");
		assert_int_equal(rows.ports.len, i ? 0 : 1);
		rows_clear(&rows);
		if (i)
			settle(f, found);
		else
			give_up(f, found);
	}
	assert_int_equal(store_operation_take_dead(f->store, 0, &found, &f->error), 0);
	assert_int_equal(count_endpoints(f, NULL, STORE_PENDING), 0);
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
	store_close(live);
}

/* What another store commits meanwhile is for the next to see. */
static void test_reading_sees_one_state(void **state)
{
	struct fixture *f = *state;
	struct store *reader;
	network_vector networks = { 0 };
	endpoint_vector endpoints = { 0 };
	size_t counts[8];

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "db", "10.1.0.3/16");
	assert_ok(store_open(f->directory, false, 0, &reader, &f->error));
	assert_ok(store_begin_read(reader, &f->error));
	assert_ok(store_networks(reader, 0, &networks, &f->error));
	add_endpoint(f, "blue", "web", "10.1.0.4/16");
	assert_in_range(networks.len, 2, 8);
	assert_ok(store_endpoint_counts(reader, &networks, counts, &f->error));
	assert_ok(store_endpoints(reader, NULL, 0, &endpoints, &f->error));
	assert_int_equal(endpoints.len, 1);
	for (size_t i = 0; i < networks.len; i++)
		assert_int_equal(counts[i], strcmp(networks.items[i].name, "blue") == 0);
	/* nor may it write */
	assert_int_equal(store_meta_set(reader, "key", "value", &f->error), -EINVAL);
	store_rollback(reader);
	endpoints_clear(&endpoints);
	assert_ok(store_endpoint_counts(reader, &networks, counts, &f->error));
	for (size_t i = 0; i < networks.len; i++)
		assert_int_equal(counts[i], strcmp(networks.items[i].name, "blue") == 0 ? 2 : 0);
	networks_clear(&networks);
	store_close(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_builtins),
		TEST(test_network_round_trip),
		TEST(test_network_of_a_newer_version),
		TEST(test_network_get_by_id),
		TEST(test_network_conflicts),
		TEST(test_network_removal),
		TEST(test_bridge_definition),
		TEST(test_endpoint_round_trip),
		TEST(test_endpoint_refusals),
		TEST(test_endpoint_listings),
		TEST(test_thousand_endpoints),
		TEST(test_transactions),
		TEST(test_operation_numbers),
		TEST(test_meta),
		TEST(test_visibility_and_owners),
		TEST(test_dead_in_order),
		TEST(test_reading_sees_one_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
