/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: rows that change. */
#include "store_fixture.h"

/* What readers, and who makes all rules again, see of network blue: its label, and the MTU. */
static void look(struct fixture *f, uint32_t flags, const char *label, uint32_t mtu)
{
	network_vector networks = { 0 };
	const char *is = NULL;

	assert_ok(store_networks(f->store, flags, &networks, &f->error));
	for (size_t i = 0; i < networks.len; i++) {
		if (strcmp(networks.items[i].name, "blue") != 0)
			continue;
		is = options_get(&networks.items[i].options, "label.is");
		assert_int_equal(networks.items[i].mtu, mtu);
	}
	assert_string_equal(is ? is : "", label);
	networks_clear(&networks);
}

static void look_at_endpoint(struct fixture *f, const char *id, uint32_t flags, const char *label,
			     uint32_t mtu, uint32_t metric)
{
	endpoint_vector endpoints = { 0 };
	const char *is = NULL;

	assert_ok(store_endpoints(f->store, flags ? NULL : "blue", flags, &endpoints, &f->error));
	for (size_t i = 0; i < endpoints.len; i++) {
		if (strcmp(endpoints.items[i].id, id) != 0)
			continue;
		is = options_get(&endpoints.items[i].options, "label.is");
		assert_int_equal(endpoints.items[i].mtu, mtu);
		assert_int_equal(endpoints.items[i].metric_ipv4, metric);
		assert_int_equal(endpoints.items[i].metric_ipv6, metric ? metric + 1 : 0);
	}
	assert_string_equal(is ? is : "", label);
	endpoints_clear(&endpoints);
}

/* Begun, and committed: blue is to be like that. */
static struct operation update_network(struct fixture *f, const char *label, uint32_t mtu)
{
	struct operation operation = begin(f, OPERATION_UPDATE);
	struct network network = { 0 };

	assert_ok(store_network_use(f->store, "blue", &network, &f->error));
	assert_ok(options_set(&network.options, "label.is", label));
	network.mtu = mtu;
	assert_ok(store_network_update(f->store, &operation, &network, &f->error));
	commit(f);
	network_clear(&network);
	return operation;
}

static struct operation update_endpoint(struct fixture *f, const char *id, const char *label,
					uint32_t metric)
{
	struct operation operation = begin(f, OPERATION_UPDATE);
	struct endpoint endpoint = { 0 };

	assert_ok(store_endpoint_use(f->store, "blue", id, &endpoint, &f->error));
	assert_ok(options_set(&endpoint.options, "label.is", label));
	endpoint.metric_ipv4 = metric;
	endpoint.metric_ipv6 = metric + 1;
	assert_ok(store_endpoint_update(f->store, &operation, &endpoint, &f->error));
	commit(f);
	endpoint_clear(&endpoint);
	return operation;
}

static void test_network(void **state)
{
	struct fixture *f = *state;
	struct operation operation;

	set_up_web(f);
	operation = update_network(f, "new", 9000);
	look(f, 0, "", 1500);
	look(f, STORE_PENDING, "", 1500);
	look(f, STORE_STANDING, "new", 9000);
	settle(f, operation);
	look(f, 0, "new", 9000);
	look(f, STORE_STANDING, "new", 9000);

	operation = update_network(f, "newer", 1400);
	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_operation_turn_back(f->store, &operation, &f->error));
	commit(f);
	look(f, STORE_STANDING, "new", 9000);
	give_up(f, operation);
	look(f, 0, "new", 9000);
	look(f, STORE_STANDING, "new", 9000);
}

static void test_endpoint(void **state)
{
	struct fixture *f = *state;
	struct operation operation;

	set_up_web(f);
	operation = update_endpoint(f, "web", "new", 90);
	look_at_endpoint(f, "web", 0, "", 1500, 0);
	look_at_endpoint(f, "web", STORE_STANDING, "new", 1500, 90);
	settle(f, operation);
	look_at_endpoint(f, "web", 0, "new", 1500, 90);
	operation = update_endpoint(f, "web", "newer", 91);
	give_up(f, operation);
	look_at_endpoint(f, "web", 0, "new", 1500, 90);
	look_at_endpoint(f, "db", 0, "", 1500, 0);
}

/* Those that have no MTU of their own have the network's, before and after. */
static void test_mtu_is_followed(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	struct endpoint endpoint;

	set_up_web(f);
	operation = begin(f, OPERATION_ATTACH);
	endpoint = make_endpoint("blue", "own", "10.1.0.4/16");
	endpoint.mtu = 1280;
	assert_ok(options_set(&endpoint.options, "mtu", "1280"));
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	finish(f, operation);
	endpoint_clear(&endpoint);

	operation = update_network(f, "new", 9000);
	look_at_endpoint(f, "web", 0, "", 1500, 0);
	settle(f, operation);
	look_at_endpoint(f, "web", 0, "", 9000, 0);
	look_at_endpoint(f, "own", 0, "", 1280, 0);
	operation = update_network(f, "new", 1400);
	give_up(f, operation);
	look_at_endpoint(f, "web", 0, "", 9000, 0);
}

/* Nothing else begins at what changes; and that does not begin to change while something else is at
 * it. */
static void test_alone(void **state)
{
	struct fixture *f = *state;
	struct operation operation, other;
	struct network network = { 0 };
	struct endpoint endpoint = { 0 };
	struct port port = make_port("web", IPPROTO_TCP, "", 80, 1);

	set_up_web(f);
	operation = update_network(f, "new", 1500);
	assert_fails(store_network_use(f->store, "blue", &network, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	assert_says("network blue is just being changed");
	settle(f, operation);
	operation = update_endpoint(f, "web", "new", 90);
	assert_fails(store_endpoint_use(f->store, "blue", "web", &endpoint, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	other = begin(f, OPERATION_DETACH);
	assert_fails(store_endpoint_mark(f->store, &other, "blue", "web", &f->error), -EBUSY,
		     BN_REASON_BUSY);
	store_rollback(f->store);
	assert_ok(store_network_get(f->store, "blue", &network, &f->error));
	other = begin(f, OPERATION_UPDATE);
	assert_fails(store_network_update(f->store, &other, &network, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	assert_says("endpoint web of network blue");
	store_rollback(f->store);
	settle(f, operation);

	operation = begin(f, OPERATION_PUBLISH);
	assert_ok(store_ports_insert(f->store, &operation, &port, 1, &f->error));
	commit(f);
	other = begin(f, OPERATION_UPDATE);
	assert_fails(store_network_update(f->store, &other, &network, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	assert_ok(store_endpoint_get(f->store, "blue", "web", &endpoint, &f->error));
	assert_fails(store_endpoint_update(f->store, &other, &endpoint, &f->error), -EBUSY,
		     BN_REASON_BUSY);
	/* a neighbour is in nobody's way */
	endpoint_clear(&endpoint);
	assert_ok(store_endpoint_get(f->store, "blue", "db", &endpoint, &f->error));
	assert_ok(store_endpoint_update(f->store, &other, &endpoint, &f->error));
	store_rollback(f->store);
	settle(f, operation);
	endpoint_clear(&endpoint);
	network_clear(&network);
}

static void test_dead(void **state)
{
	struct fixture *f = *state;
	struct rows before = { 0 }, after = { 0 };
	struct operation operation;

	set_up_web(f);
	update_network(f, "new", 9000);
	reopen(f);
	look(f, STORE_STANDING, "new", 9000);
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 1);
	assert_int_equal(operation.kind, OPERATION_UPDATE);
	look(f, STORE_STANDING, "", 1500);
	assert_ok(store_operation_updates(f->store, &operation, &before, &after, &f->error));
	assert_int_equal(before.networks.len, 1);
	assert_int_equal(after.networks.len, 1);
	assert_null(options_get(&before.networks.items->options, "label.is"));
	assert_string_equal(options_get(&after.networks.items->options, "label.is"), "new");
	assert_int_equal(before.networks.items->mtu, 1500);
	assert_int_equal(after.networks.items->mtu, 9000);
	rows_clear(&before);
	rows_clear(&after);
	give_up(f, operation);
	look(f, 0, "", 1500);

	update_endpoint(f, "web", "new", 90);
	reopen(f);
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 1);
	assert_ok(store_operation_updates(f->store, &operation, &before, &after, &f->error));
	assert_int_equal(before.endpoints.len, 1);
	assert_int_equal(before.endpoints.items->metric_ipv4, 0);
	assert_int_equal(after.endpoints.items->metric_ipv4, 90);
	assert_int_equal(after.endpoints.items->metric_ipv6, 91);
	rows_clear(&before);
	rows_clear(&after);
	give_up(f, operation);
}

/* What is no update changes nothing. */
static void test_misuse(void **state)
{
	struct fixture *f = *state;
	struct network network = make_network("blue", 'b', "10.1.0.0/16");
	struct endpoint endpoint = make_endpoint("blue", "nobody", NULL);
	struct operation operation;

	set_up_web(f);
	operation = begin(f, OPERATION_ATTACH);
	assert_fails(store_network_update(f->store, &operation, &network, &f->error), -EINVAL,
		     BN_REASON_STATE);
	store_rollback(f->store);
	assert_fails(store_network_update(f->store, &operation, &network, &f->error), -EINVAL,
		     BN_REASON_STATE);
	operation = begin(f, OPERATION_UPDATE);
	assert_fails(store_endpoint_update(f->store, &operation, &endpoint, &f->error), -ENOENT,
		     BN_REASON_ENDPOINT_UNKNOWN);
	store_rollback(f->store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_network), TEST(test_endpoint), TEST(test_mtu_is_followed),
		TEST(test_alone),   TEST(test_dead),     TEST(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
