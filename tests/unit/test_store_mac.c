/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MAC addresses of endpoints, each once in a network. */
#include "store_fixture.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const uint8_t bridge[MAC_LEN] = { 2, 0x42, 10, 1, 0, 1 };

static void add_networks(struct fixture *f)
{
	const struct network blue = make_network("blue", 'b', "10.1.0.0/16");
	const struct network red = make_network("red", 'c', "10.1.0.0/16");

	add_network(f, &blue);
	add_network(f, &red);
}

static struct endpoint with_mac(const char *network, const char *id, const char *mac)
{
	struct endpoint endpoint = make_endpoint(network, id, NULL);

	if (mac[0])
		assert_ok(mac_parse(mac, endpoint.mac));
	return endpoint;
}

static int insert(struct fixture *f, struct operation operation, struct endpoint endpoint)
{
	return store_endpoint_insert(f->store, &operation, &endpoint, &f->error);
}

static void add(struct fixture *f, const char *network, const char *id, const char *mac)
{
	struct operation operation = begin(f, OPERATION_ATTACH);

	assert_ok(insert(f, operation, with_mac(network, id, mac)));
	finish(f, operation);
}

/* What is picked for an endpoint with that address, inside a transaction. */
static const char *pick(struct fixture *f, const char *network, const char *address)
{
	static char text[MAC_TEXT_MAX];
	struct endpoint endpoint = make_endpoint(network, "picked", address);

	if (endpoint.ipv4.addr.family == AF_INET6) {
		endpoint.ipv6 = endpoint.ipv4;
		endpoint.ipv4 = (struct prefix){ 0 };
	}
	assert_ok(store_mac_pick(f->store, &endpoint, bridge, &f->error));
	return mac_format(endpoint.mac, text);
}

static void test_given(void **state)
{
	struct fixture *f = *state;
	struct operation operation, other;

	add_networks(f);
	add(f, "blue", "web", "02:00:00:00:00:01");
	add(f, "red", "web", "02:00:00:00:00:01"); /* another bridge */
	add(f, "blue", "without", "");
	add(f, "blue", "without-too", "");
	operation = begin(f, OPERATION_ATTACH);
	assert_fails(insert(f, operation, with_mac("blue", "db", "02:00:00:00:00:01")), -EADDRINUSE,
		     BN_REASON_ADDRESS_IN_USE);
	assert_says("02:00:00:00:00:01 of network blue is already used by endpoint web");
	/* whoever attaches the same twice is to hear that */
	assert_fails(insert(f, operation, with_mac("blue", "web", "02:00:00:00:00:01")), -EEXIST,
		     BN_REASON_ENDPOINT_EXISTS);
	store_rollback(f->store);

	/* what is on its way, in or out, is waited for */
	operation = begin(f, OPERATION_ATTACH);
	assert_ok(insert(f, operation, with_mac("blue", "new", "02:00:00:00:00:02")));
	commit(f);
	other = begin(f, OPERATION_ATTACH);
	assert_fails(insert(f, other, with_mac("blue", "db", "02:00:00:00:00:02")), -EBUSY,
		     BN_REASON_BUSY);
	assert_says("02:00:00:00:00:02 of network blue");
	store_rollback(f->store);
	give_up(f, operation);
	add(f, "blue", "db", "02:00:00:00:00:02");
	operation = begin(f, OPERATION_DETACH);
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "db", &f->error));
	commit(f);
	other = begin(f, OPERATION_ATTACH);
	assert_fails(insert(f, other, with_mac("blue", "next", "02:00:00:00:00:02")), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	settle(f, operation);
	add(f, "blue", "next", "02:00:00:00:00:02");
}

static void test_picked(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	struct endpoint endpoint;
	char first[MAC_TEXT_MAX];

	add_networks(f);
	endpoint = make_endpoint("blue", "outside", "10.1.0.7/16");
	assert_fails(store_mac_pick(f->store, &endpoint, bridge, &f->error), -EINVAL,
		     BN_REASON_STATE);
	add(f, "blue", "web", "02:42:0a:01:00:07");
	operation = begin(f, OPERATION_ATTACH);
	assert_string_equal(pick(f, "red", "10.1.0.7/16"), "02:42:0a:01:00:07");
	string_copy(first, sizeof(first), pick(f, "blue", "10.1.0.7/16"));
	assert_memory_equal(first, "02:42:", 6);
	assert_string_not_equal(first, "02:42:0a:01:00:07");
	/* the bridge's own */
	assert_string_not_equal(pick(f, "blue", "10.1.0.1/16"), "02:42:0a:01:00:01");
	assert_ok(insert(f, operation, with_mac("blue", "pending", first)));
	commit(f);
	settle(f, operation);
	operation = begin(f, OPERATION_DETACH);
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "pending", &f->error));
	/* another one yet, also for one that is just going */
	assert_string_not_equal(pick(f, "blue", "10.1.0.7/16"), "02:42:0a:01:00:07");
	assert_string_not_equal(pick(f, "blue", "10.1.0.7/16"), first);
	store_rollback(f->store);
}

static void test_picked_of_ipv6(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	char first[MAC_TEXT_MAX];

	add_networks(f);
	operation = begin(f, OPERATION_ATTACH);
	string_copy(first, sizeof(first), pick(f, "blue", "fd00::1:0:5/64"));
	assert_string_not_equal(pick(f, "blue", "fd00::2:0:5/64"), first);
	assert_string_equal(pick(f, "blue", "fd00::1:0:5/64"), first);
	assert_ok(insert(f, operation, with_mac("blue", "web", first)));
	assert_string_not_equal(pick(f, "blue", "fd00::1:0:5/64"), first);
	store_rollback(f->store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_given),
		TEST(test_picked),
		TEST(test_picked_of_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
