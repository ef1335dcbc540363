/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

static void test_driver_name(void **state)
{
	(void)state;
	assert_string_equal(driver_name(DRIVER_BRIDGE), "bridge");
	assert_string_equal(driver_name(DRIVER_HOST), "host");
	assert_string_equal(driver_name(DRIVER_NONE), "null");
}

static void test_endpoint_copy_shares_nothing(void **state)
{
	struct endpoint endpoint = endpoint_of("172.17.0.2/16", NULL), copy = { 0 }, empty = { 0 };
	endpoint_vector endpoints = { 0 };
	struct route *route = vector_push(&endpoint.routes);

	(void)state;
	route->destination = prefix_of("10.8.0.0/16");
	route->gateway = addr_of("172.17.0.7");
	assert_int_equal(options_set(&endpoint.options, "hostname", "web"), 0);
	assert_int_equal(endpoint_copy(&copy, &endpoint), 0);
	endpoint_clear(&endpoint);
	assert_string_equal(copy.id, "web");
	assert_int_equal(copy.routes.len, 1);
	assert_int_equal(copy.routes.items[0].gateway.bytes[3], 7);
	assert_string_equal(options_get(&copy.options, "hostname"), "web");
	*vector_push(&endpoints) = copy;
	assert_int_equal(endpoint_copy(vector_push(&endpoints), &empty), 0);
	assert_null(endpoints.items[1].routes.items);
	endpoints_clear(&endpoints);
	assert_null(endpoints.items);
}

static void test_families(void **state)
{
	struct network network = network_of("172.17.0.0/16", NULL),
		       dual = network_of("10.0.0.0/8", "fd00::/64");
	struct endpoint endpoint = endpoint_of(NULL, "fd00::2/64");

	(void)state;
	assert_ptr_equal(network_subnet(&network, AF_INET), &network.ipv4);
	assert_null(network_subnet(&network, AF_INET6));
	assert_ptr_equal(network_subnet(&dual, AF_INET6), &dual.ipv6);
	assert_null(network_subnet(&dual, AF_UNSPEC));
	assert_null(endpoint_prefix(&endpoint, AF_INET));
	assert_ptr_equal(endpoint_prefix(&endpoint, AF_INET6), &endpoint.ipv6);
	assert_null(endpoint_prefix(&endpoint, AF_UNSPEC));
}

static void test_ports_clear(void **state)
{
	port_vector ports = { 0 };

	(void)state;
	*vector_push(&ports) = port_of("80:80");
	ports_clear(&ports);
	assert_null(ports.items);
	assert_int_equal(ports.len + ports.capacity, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_driver_name),
		cmocka_unit_test(test_endpoint_copy_shares_nothing),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_ports_clear),
	};

	return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
