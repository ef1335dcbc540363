/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is given out once only: addresses and host ports. */
#include "store_fixture.h"

/* ---- addresses ---- */

static void test_new_before_released(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/29");

	add_network(f, &blue);
	assert_string_equal(attach_dynamic(f, &blue, "a"), "10.1.0.2");
	assert_string_equal(attach_dynamic(f, &blue, "b"), "10.1.0.3");
	remove_endpoint(f, "blue", "a");
	/* One that was never given out comes first, one asked for is stepped over. */
	add_endpoint(f, "blue", "static", "10.1.0.4/29");
	assert_string_equal(attach_dynamic(f, &blue, "c"), "10.1.0.5");
	assert_string_equal(attach_dynamic(f, &blue, "d"), "10.1.0.6");
	/* Then the one released longest ago. */
	remove_endpoint(f, "blue", "d");
	remove_endpoint(f, "blue", "b");
	reopen(f);
	assert_string_equal(attach_dynamic(f, &blue, "e"), "10.1.0.2");
	assert_string_equal(attach_dynamic(f, &blue, "g"), "10.1.0.6");
	assert_string_equal(attach_dynamic(f, &blue, "h"), "10.1.0.3");
	assert_string_equal(attach_dynamic(f, &blue, "i"), "");
	assert_int_equal(f->error.code, -ENOSPC);
	assert_int_equal(f->error.reason, BN_REASON_ADDRESS_EXHAUSTED);
	assert_says("10.1.0.0/29");
	remove_endpoint(f, "blue", "static");
	assert_string_equal(attach_dynamic(f, &blue, "i"), "10.1.0.4");
}

/* Rows of addresses, whatever they are for. */
static int count_addresses(struct fixture *f)
{
	sqlite3 *database;
	sqlite3_stmt *statement;
	char path[128];
	int count;

	snprintf(path, sizeof(path), "%s/state.db", f->directory);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM addresses", -1,
					    &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	count = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return count;
}

#define CYCLES 5000 /* more than are remembered */

/* Attach and detach, all in one transaction: the address, as a number in the subnet. */
static unsigned int take_one(struct fixture *f, const struct network *network)
{
	struct operation attach, detach;
	struct endpoint endpoint = make_endpoint(network->name, "cycle", NULL);

	assert_ok(store_operation_open(f->store, OPERATION_ATTACH, &attach, &f->error));
	assert_ok(
		store_address_pick(f->store, network, AF_INET, 0, &endpoint.ipv4.addr, &f->error));
	endpoint.ipv4.len = network->ipv4.prefix.len;
	assert_ok(store_endpoint_insert(f->store, &attach, &endpoint, &f->error));
	assert_ok(store_operation_close(f->store, &attach, &f->error));
	assert_ok(store_operation_open(f->store, OPERATION_DETACH, &detach, &f->error));
	assert_ok(store_endpoint_mark(f->store, &detach, network->name, "cycle", &f->error));
	assert_ok(store_operation_close(f->store, &detach, &f->error));
	return endpoint.ipv4.addr.bytes[2] * 256u + endpoint.ipv4.addr.bytes[3];
}

/* The state does not grow with every endpoint that ever was; what is forgotten is found again, in
 * the order of release still, and nothing that is in use is. */
static void test_released_are_forgotten(void **state)
{
	struct network blue = make_network("blue", 'b', "10.1.0.0/19"); /* 8,190 addresses */
	struct fixture *f = *state;
	unsigned int usable = 8192 - 3, kept = 0;

	add_network(f, &blue);
	add_endpoint(f, "blue", "lasting", "10.1.0.9/19");
	assert_ok(store_begin(f->store, &f->error));
	for (unsigned int i = 0; i < CYCLES; i++, kept++) {
		if (kept + 2 == 9)
			kept++;
		assert_int_equal(take_one(f, &blue), kept + 2);
	}
	commit(f);
	assert_int_equal(count_addresses(f), 4096 + 1);
	/* to the end, and twice more around */
	assert_ok(store_begin(f->store, &f->error));
	for (unsigned int i = 0; i < 2 * usable + 100; i++, kept++) {
		unsigned int expected = kept % usable + 2;

		if (expected == 9)
			expected = ++kept % usable + 2;
		assert_int_equal(take_one(f, &blue), expected);
	}
	commit(f);
	assert_int_equal(count_addresses(f), 4096 + 1);
}

/* In a subnet that is remembered whole, nothing changes by that. */
static void test_released_of_a_small_subnet(void **state)
{
	struct network blue = make_network("blue", 'b', "10.1.0.0/28");
	struct fixture *f = *state;

	add_network(f, &blue);
	assert_ok(store_begin(f->store, &f->error));
	for (unsigned int i = 0; i < CYCLES; i++)
		assert_int_equal(take_one(f, &blue), i % 13 + 2);
	commit(f);
	assert_int_equal(count_addresses(f), 13);
}

static void test_released_then_asked_for(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/29");

	assert_ok(range_parse("10.1.0.4/30", &blue.ipv4.range));
	add_network(f, &blue);
	/* Outside the range: in use, released, and yet never chosen. */
	add_endpoint(f, "blue", "low", "10.1.0.2/29");
	remove_endpoint(f, "blue", "low");
	assert_string_equal(attach_dynamic(f, &blue, "a"), "10.1.0.4");
	assert_string_equal(attach_dynamic(f, &blue, "b"), "10.1.0.5");
	assert_string_equal(attach_dynamic(f, &blue, "c"), "10.1.0.6");
	remove_endpoint(f, "blue", "a");
	remove_endpoint(f, "blue", "b");
	add_endpoint(f, "blue", "static", "10.1.0.4/29");
	assert_string_equal(attach_dynamic(f, &blue, "d"), "10.1.0.5");
	assert_string_equal(attach_dynamic(f, &blue, "e"), "");
	assert_says("10.1.0.4/30");
}

static void test_smallest_subnet(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/30");

	add_network(f, &blue);
	assert_string_equal(attach_dynamic(f, &blue, "a"), "10.1.0.2");
	assert_string_equal(attach_dynamic(f, &blue, "b"), "");
	assert_int_equal(f->error.code, -ENOSPC);
	remove_endpoint(f, "blue", "a");
	assert_string_equal(attach_dynamic(f, &blue, "b"), "10.1.0.2");
}

/* What was picked and not taken is picked again; what was taken and abandoned is not lost. */
static void test_pick_without_taking(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/30");
	struct operation operation;
	struct endpoint endpoint = make_endpoint("blue", "a", NULL);
	struct addr addr;

	assert_ok(prefix_parse("fd00:1::/64", &blue.ipv6.prefix));
	assert_ok(addr_parse("fd00:1::1", &blue.ipv6.gateway));
	add_network(f, &blue);
	operation = begin(f, OPERATION_ATTACH);
	assert_ok(store_address_pick(f->store, &blue, AF_INET, 0, &addr, &f->error));
	finish(f, operation);
	operation = begin(f, OPERATION_ATTACH);
	assert_ok(store_address_pick(f->store, &blue, AF_INET, 0, &endpoint.ipv4.addr, &f->error));
	assert_int_equal(addr_compare(&addr, &endpoint.ipv4.addr), 0);
	assert_ok(store_address_pick(f->store, &blue, AF_INET6, 0, &endpoint.ipv6.addr, &f->error));
	assert_int_equal(endpoint.ipv6.addr.bytes[15], 2);
	endpoint.ipv4.len = 30;
	endpoint.ipv6.len = 64;
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	commit(f);
	give_up(f, operation);
	assert_string_equal(attach_dynamic(f, &blue, "b"), "10.1.0.2");
	assert_fails(store_address_pick(f->store, &blue, AF_INET, 0, &addr, &f->error), -EINVAL,
		     BN_REASON_STATE);
}

static void test_no_subnet(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/30");
	struct addr addr;

	add_network(f, &blue);
	assert_ok(store_begin(f->store, &f->error));
	assert_fails(store_address_pick(f->store, &blue, AF_INET6, 0, &addr, &f->error), -EINVAL,
		     BN_REASON_INVALID);
	store_rollback(f->store);
}

/* Of each subnet what was given out last is by itself; -ENOSPC of one takes nothing of the other. */
static const char *attach_to_both(struct fixture *f, const struct network *network, const char *id)
{
	static char text[2 * ADDR_TEXT_MAX];
	struct operation operation = begin(f, OPERATION_ATTACH);
	struct endpoint endpoint = make_endpoint(network->name, id, NULL);
	char addr[ADDR_TEXT_MAX];
	int r = 0;

	text[0] = '\0';
	for (size_t at = 0; at < 2 && r == 0; at++) {
		struct prefix *prefix = &endpoint.ipv4_addresses[at];

		prefix->len = network->ipv4_subnets[at].prefix.len;
		r = store_address_pick(f->store, network, AF_INET, at, &prefix->addr, &f->error);
		if (r == 0)
			strcat(strcat(text, at ? " " : ""), addr_format(&prefix->addr, addr));
	}
	if (r < 0) {
		store_rollback(f->store);
		return "";
	}
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	commit(f);
	settle(f, operation);
	return text;
}

static void test_several_subnets(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/24"), found;
	network_vector networks = { .items = &blue, .len = 1 };
	struct address_usage usage;
	struct operation operation;
	struct endpoint web;

	assert_ok(prefix_parse("10.2.0.0/29", &blue.ipv4_subnets[1].prefix));
	assert_ok(addr_parse("10.2.0.1", &blue.ipv4_subnets[1].gateway));
	assert_ok(range_parse("10.2.0.2-10.2.0.4", &blue.ipv4_subnets[1].range));
	add_network(f, &blue);
	assert_ok(store_network_get(f->store, "blue", &found, &f->error));
	for (size_t at = 0; at < 2; at++) {
		const struct subnet *is = &found.ipv4_subnets[at], *was = &blue.ipv4_subnets[at];

		assert_int_equal(prefix_compare(&is->prefix, &was->prefix), 0);
		assert_int_equal(addr_compare(&is->gateway, &was->gateway), 0);
		assert_true(range_equals(&is->range, &was->range));
	}
	assert_null(network_subnet_at(&found, AF_INET, 2));
	network_clear(&found);
	assert_string_equal(attach_to_both(f, &blue, "a"), "10.1.0.2 10.2.0.2");
	assert_string_equal(attach_to_both(f, &blue, "b"), "10.1.0.3 10.2.0.3");
	assert_string_equal(attach_to_both(f, &blue, "c"), "10.1.0.4 10.2.0.4");
	assert_string_equal(attach_to_both(f, &blue, "d"), "");
	assert_int_equal(f->error.code, -ENOSPC);
	assert_says("10.2.0.2-10.2.0.4");
	assert_ok(store_endpoint_get(f->store, "blue", "b", &web, &f->error));
	assert_int_equal(web.ipv4_addresses[1].addr.bytes[1], 2);
	assert_int_equal(web.ipv4_addresses[1].len, 29);
	assert_null(endpoint_prefix_at(&web, AF_INET, 2));
	endpoint_clear(&web);
	assert_ok(store_address_usages(f->store, &networks, &usage, &f->error));
	assert_int_equal(usage.ipv4[0].endpoints, 3);
	assert_int_equal(usage.ipv4[1].dynamic, 3);
	assert_int_equal(usage.ipv6[0].endpoints, 0);
	/* the one that was released longest ago */
	remove_endpoint(f, "blue", "b");
	remove_endpoint(f, "blue", "a");
	assert_string_equal(attach_to_both(f, &blue, "d"), "10.1.0.5 10.2.0.3");
	assert_string_equal(attach_to_both(f, &blue, "e"), "10.1.0.6 10.2.0.2");
	/* a network of that name that comes after it starts afresh */
	operation = begin(f, OPERATION_NETWORK_DELETE);
	assert_ok(store_network_mark(f->store, &operation, "blue", &f->error));
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "c", &f->error));
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "d", &f->error));
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "e", &f->error));
	finish(f, operation);
	add_network(f, &blue);
	assert_string_equal(attach_to_both(f, &blue, "a"), "10.1.0.2 10.2.0.2");
}

/* A network of the same name starts afresh. */
static void test_network_forgets(void **state)
{
	struct fixture *f = *state;
	struct network blue = make_network("blue", 'b', "10.1.0.0/29");
	struct operation operation;

	for (int round = 0; round < 2; round++) {
		add_network(f, &blue);
		assert_string_equal(attach_dynamic(f, &blue, "a"), "10.1.0.2");
		assert_string_equal(attach_dynamic(f, &blue, "b"), "10.1.0.3");
		operation = begin(f, OPERATION_NETWORK_DELETE);
		assert_ok(store_network_mark(f->store, &operation, "blue", &f->error));
		assert_ok(store_endpoint_mark(f->store, &operation, "blue", "a", &f->error));
		assert_ok(store_endpoint_mark(f->store, &operation, "blue", "b", &f->error));
		finish(f, operation);
	}
}

/* ---- ports ---- */

static void test_port_matrix(void **state)
{
	static const struct {
		const char *first, *second;
		bool collide;
	} cases[] = {
		{ "", "", true },
		{ "", "0.0.0.0", true },
		{ "", "::", true },
		{ "", "127.0.0.1", true },
		{ "", "::1", true },
		{ "0.0.0.0", "0.0.0.0", true },
		{ "0.0.0.0", "192.0.2.1", true },
		{ "0.0.0.0", "::", false },
		{ "0.0.0.0", "::1", false },
		{ "::", "2001:db8::1", true },
		{ "::", "192.0.2.1", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "2001:db8::1", "2001:db8::2", false },
	};
	struct fixture *f = *state;

	set_up_web(f);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		bool turned = i % 2;
		struct port a = make_port("web", IPPROTO_TCP, cases[i / 2].first, 8080, 1);
		struct port b = make_port("db", IPPROTO_TCP, cases[i / 2].second, 8080, 1);
		struct port udp = b;

		udp.protocol = IPPROTO_UDP;
		assert_ok(publish(f, turned ? &b : &a));
		assert_int_equal(publish(f, &udp), 0);
		assert_int_equal(port_is_taken(f, turned ? &a : &b), cases[i / 2].collide);
		assert_int_equal(publish(f, turned ? &a : &b),
				 cases[i / 2].collide ? -EADDRINUSE : 0);
		if (!cases[i / 2].collide)
			unpublish(f, turned ? &a : &b);
		unpublish(f, turned ? &b : &a);
		unpublish(f, &udp);
	}
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
}

static void test_port_ranges(void **state)
{
	static const struct {
		uint16_t first, count, other, other_count;
		bool collide;
	} cases[] = {
		{ 8000, 10, 8009, 1, true },      { 8000, 10, 8010, 1, false },
		{ 8000, 10, 7999, 1, false },     { 8000, 10, 7999, 2, true },
		{ 8000, 10, 8003, 3, true },      { 1, 65535, 65535, 1, true },
		{ 1, 65535, 32000, 1, true },     { 1, 32768, 32769, 32767, false },
		{ 1, 32769, 32769, 32767, true }, { 2, 65534, 1, 1, false },
		{ 100, 5, 104, 5, true },         { 100, 5, 105, 5, false },
	};
	struct fixture *f = *state;

	set_up_web(f);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		bool turned = i % 2;
		struct port a =
			make_port("web", IPPROTO_SCTP, "", cases[i / 2].first, cases[i / 2].count);
		struct port b = make_port("db", IPPROTO_SCTP, "", cases[i / 2].other,
					  cases[i / 2].other_count);

		assert_ok(publish(f, turned ? &b : &a));
		assert_int_equal(port_is_taken(f, turned ? &a : &b), cases[i / 2].collide);
		unpublish(f, turned ? &b : &a);
	}
}

/* Against a plain table of who has what, with lengths of every class and two addresses. */
static void test_ports_by_chance(void **state)
{
	static bool taken[2][65537];
	struct fixture *f = *state;
	struct operation operation;
	unsigned int seed = 20, refused = 0;

	memset(taken, 0, sizeof(taken));
	set_up_web(f);
	operation = begin(f, OPERATION_PUBLISH);
	for (int i = 0; i < 3000; i++) {
		uint16_t count = (uint16_t)(1U << ((unsigned int)rand_r(&seed) % 11));
		uint16_t first = (uint16_t)(1 + (unsigned int)rand_r(&seed) % 60000);
		int where = rand_r(&seed) % 2, expected = 0;
		struct port port =
			make_port("web", IPPROTO_TCP, where ? "192.0.2.1" : "192.0.2.2", first, 1);

		port.count = (uint16_t)(1 + (unsigned int)rand_r(&seed) % count);
		for (unsigned int j = first; j < first + port.count; j++)
			expected |= taken[where][j];
		assert_int_equal(port_is_taken(f, &port), expected);
		assert_int_equal(store_ports_insert(f->store, &operation, &port, 1, &f->error),
				 expected ? -EADDRINUSE : 0);
		refused += expected != 0;
		for (unsigned int j = first; j < first + port.count && !expected; j++)
			taken[where][j] = true;
	}
	assert_in_range(refused, 500, 2500);
	finish(f, operation);
}

/* Which hold no port of the host: any number of endpoints may have the same, and a run of them. */
static void test_routed_ports(void **state)
{
	struct port ports[40], nat = make_port("web", IPPROTO_TCP, "", 80, 1);
	struct fixture *f = *state;
	struct operation operation;
	port_vector found = { 0 };

	set_up_web(f);
	nat.container_port = 8080;
	operation = begin(f, OPERATION_PUBLISH);
	for (uint16_t i = 0; i < 20; i++) {
		ports[i] = make_port("web", IPPROTO_TCP, "", (uint16_t)(80 + i), 1);
		ports[i].routed = PORT_ROUTED_IPV4 | PORT_ROUTED_IPV6;
		ports[20 + i] = ports[i];
		strcpy(ports[20 + i].endpoint, "db");
	}
	assert_ok(store_ports_insert(f->store, &operation, ports, ARRAY_SIZE(ports), &f->error));
	finish(f, operation);
	assert_false(port_is_taken(f, &nat));
	assert_ok(publish(f, &nat));
	nat.routed = PORT_ROUTED_IPV4;
	strcpy(nat.endpoint, "db");
	assert_int_equal(publish(f, &nat), -EADDRINUSE);
	assert_ok(store_ports(f->store, NULL, "db", 0, &found, &f->error));
	assert_int_equal(found.len, 20);
	for (size_t i = 0; i < found.len; i++)
		assert_int_equal(found.items[i].routed, PORT_ROUTED_IPV4 | PORT_ROUTED_IPV6);
	ports_clear(&found);
	/* which ones those are the request does not say */
	ports[0].routed = 0;
	unpublish(f, &ports[0]);
	assert_int_equal(count_ports(f, NULL, "web", 0), 20);
	assert_int_equal(count_ports(f, NULL, "db", 0), 20);
}

/* Which ports are over a listener, in a run of them and beside those that are not. */
static void test_over_listeners(void **state)
{
	struct port ports[20], other = make_port("db", IPPROTO_TCP, "127.0.0.1", 80, 1);
	struct fixture *f = *state;
	struct operation operation;
	port_vector found = { 0 };

	set_up_web(f);
	for (uint16_t i = 0; i < ARRAY_SIZE(ports); i++) {
		ports[i] = make_port("web", IPPROTO_TCP, "", (uint16_t)(80 + i), 1);
		ports[i].over_listener = i >= 5 && i < 15;
		ports[i].routed = i >= 10 ? PORT_ROUTED_IPV6 : 0;
	}
	operation = begin(f, OPERATION_PUBLISH);
	assert_ok(store_ports_insert(f->store, &operation, ports, ARRAY_SIZE(ports), &f->error));
	finish(f, operation);
	assert_int_equal(publish(f, &other), -EADDRINUSE);
	assert_ok(store_ports(f->store, NULL, "web", 0, &found, &f->error));
	assert_int_equal(found.len, ARRAY_SIZE(ports));
	for (size_t i = 0; i < found.len; i++) {
		assert_int_equal(found.items[i].over_listener, ports[i].over_listener);
		assert_int_equal(found.items[i].routed, ports[i].routed);
	}
	ports_clear(&found);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		/* the request does not say */
		ports[i].over_listener = false;
		unpublish(f, &ports[i]);
	}
	assert_int_equal(count_ports(f, NULL, "web", 0), 0);
}

static void test_port_refusals(void **state)
{
	struct fixture *f = *state;
	struct port web = make_port("web", IPPROTO_TCP, "0.0.0.0", 8080, 1);
	struct port db = make_port("db", IPPROTO_TCP, "", 8000, 200), other = web;
	struct operation operation;

	set_up_web(f);
	assert_ok(publish(f, &web));
	error_clear(&f->error);
	assert_int_equal(publish(f, &db), -EADDRINUSE);
	assert_int_equal(f->error.reason, BN_REASON_PORT_IN_USE);
	assert_string_equal(
		f->error.message,
		"host port 8080/tcp is already published by endpoint web of network blue "
		"(0.0.0.0:8080->80); unpublish it or choose another port");
	strcpy(other.endpoint, "lost");
	assert_int_equal(publish(f, &other), -ENOENT);
	assert_int_equal(f->error.reason, BN_REASON_ENDPOINT_UNKNOWN);
	other = make_port("web", IPPROTO_TCP, "", 0, 1);
	assert_int_equal(publish(f, &other), -EINVAL);
	other = make_port("web", IPPROTO_TCP, "", 65535, 2);
	assert_int_equal(publish(f, &other), -EINVAL);

	operation = begin(f, OPERATION_UNPUBLISH);
	other = web;
	other.container_port = 81;
	assert_fails(mark_port(f, &operation, &other), -ENOENT, BN_REASON_PORT_UNKNOWN);
	other = make_port("web", IPPROTO_TCP, "", 8080, 1);
	assert_fails(mark_port(f, &operation, &other), -ENOENT, BN_REASON_PORT_UNKNOWN);
	strcpy(other.endpoint, "db");
	assert_fails(mark_port(f, &operation, &other), -ENOENT, BN_REASON_PORT_UNKNOWN);
	strcpy(other.endpoint, "lost");
	assert_fails(mark_port(f, &operation, &other), -ENOENT, BN_REASON_ENDPOINT_UNKNOWN);
	store_rollback(f->store);
}

/* A port is taken from its reservation to the end of its removal. */
static void test_port_life(void **state)
{
	struct fixture *f = *state;
	struct port port = make_port("web", IPPROTO_TCP, "::1", 443, 3);
	struct operation operation, other;

	set_up_web(f);
	operation = begin(f, OPERATION_PUBLISH);
	assert_ok(store_ports_insert(f->store, &operation, &port, 1, &f->error));
	commit(f);
	assert_int_equal(port_is_taken(f, &port), 1);
	assert_int_equal(count_ports(f, NULL, NULL, 0), 0);
	other = begin(f, OPERATION_UNPUBLISH);
	assert_fails(mark_port(f, &other, &port), -EBUSY, BN_REASON_BUSY);
	store_rollback(f->store);
	settle(f, operation);
	operation = begin(f, OPERATION_UNPUBLISH);
	assert_ok(mark_port(f, &operation, &port));
	commit(f);
	assert_int_equal(count_ports(f, NULL, NULL, 0), 1);
	other = begin(f, OPERATION_UNPUBLISH);
	assert_fails(mark_port(f, &other, &port), -EBUSY, BN_REASON_BUSY);
	store_rollback(f->store);
	assert_int_equal(publish(f, &port), -EBUSY); /* it may be free in a moment */
	give_up(f, operation);
	assert_int_equal(publish(f, &port), -EADDRINUSE);
	assert_says("[::1]:443-445->80-82");
	assert_int_equal(count_ports(f, NULL, NULL, 0), 1);
	unpublish(f, &port);
	assert_int_equal(port_is_taken(f, &port), 0);
	operation = begin(f, OPERATION_PUBLISH);
	assert_ok(store_ports_insert(f->store, &operation, &port, 1, &f->error));
	commit(f);
	give_up(f, operation);
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
}

static void test_port_order(void **state)
{
	struct fixture *f = *state;
	port_vector ports = { 0 };
	struct port given[] = {
		/* in the order of the listing */
		make_port("db", IPPROTO_TCP, "", 5432, 1),
		make_port("web", IPPROTO_TCP, "", 80, 1),
		make_port("web", IPPROTO_TCP, "", 90, 20),
		make_port("web", IPPROTO_TCP, "", 443, 1),
		make_port("web", IPPROTO_TCP, "127.0.0.1", 7, 1),
		make_port("web", IPPROTO_TCP, "192.0.2.9", 7, 1),
		make_port("web", IPPROTO_TCP, "::1", 7, 1),
		make_port("web", IPPROTO_UDP, "", 53, 1),
		make_port("web", IPPROTO_SCTP, "", 5, 1),
	};

	set_up_web(f);
	for (size_t i = ARRAY_SIZE(given); i-- > 0;)
		assert_ok(publish(f, &given[i]));
	assert_ok(store_ports(f->store, NULL, NULL, 0, &ports, &f->error));
	assert_int_equal(ports.len, ARRAY_SIZE(given));
	for (size_t i = 0; i < ports.len; i++) {
		assert_string_equal(ports.items[i].network, "blue");
		assert_string_equal(ports.items[i].endpoint, given[i].endpoint);
		assert_int_equal(ports.items[i].protocol, given[i].protocol);
		assert_int_equal(ports.items[i].host_port, given[i].host_port);
		assert_int_equal(ports.items[i].container_port, 80);
		assert_int_equal(ports.items[i].count, given[i].count);
		assert_int_equal(addr_compare(&ports.items[i].host_addr, &given[i].host_addr), 0);
	}
	ports_clear(&ports);
	assert_int_equal(count_ports(f, "blue", NULL, 0), 9);
	assert_int_equal(count_ports(f, "blue", "web", 0), 8);
	assert_int_equal(count_ports(f, NULL, "db", 0), 1);
	assert_int_equal(count_ports(f, "bridge", NULL, 0), 0);
	remove_endpoint(f, "blue", "web");
	assert_int_equal(count_ports(f, NULL, NULL, 0), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new_before_released),
		TEST(test_released_then_asked_for),
		TEST(test_released_are_forgotten),
		TEST(test_released_of_a_small_subnet),
		TEST(test_smallest_subnet),
		TEST(test_pick_without_taking),
		TEST(test_no_subnet),
		TEST(test_several_subnets),
		TEST(test_network_forgets),
		TEST(test_port_matrix),
		TEST(test_port_ranges),
		TEST(test_ports_by_chance),
		TEST(test_routed_ports),
		TEST(test_over_listeners),
		TEST(test_port_refusals),
		TEST(test_port_life),
		TEST(test_port_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
