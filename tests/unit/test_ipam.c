/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include <time.h>

#include "model/ipam.h"
#include "model/policy.h"

static void test_route_blocks(void **state)
{
	struct prefix all = prefix_of("0.0.0.0/0"), half = prefix_of("128.0.0.0/1");
	struct prefix narrow = prefix_of("128.0.0.0/2"), ipv6 = prefix_of("8000::/1");

	(void)state;
	assert_false(ipam_route_blocks(&all) || ipam_route_blocks(&half));
	assert_false(ipam_route_blocks(&ipv6));
	assert_true(ipam_route_blocks(&narrow));
}

static const struct network plain = { .name = "plain" };

static int complete(const struct network *network, const char *prefix, const char *gateway,
		    const char *range, struct subnet *subnet, struct error *error)
{
	*subnet = (struct subnet){ .prefix = prefix_of(prefix) };
	*error = (struct error){ 0 };
	if (gateway)
		subnet->gateway = addr_of(gateway);
	if (range)
		assert_int_equal(range_parse(range, &subnet->range), 0);
	return ipam_complete_subnet(network, subnet, error);
}

static void test_complete_subnet_picks_the_gateway(void **state)
{
	static const struct {
		const char *prefix, *gateway, *range, *expected;
	} good[] = {
		{ "172.30.0.0/16", NULL, NULL, "172.30.0.1" },
		{ "172.30.0.0/16", "172.30.255.254", NULL, "172.30.255.254" },
		{ "172.30.0.0/16", NULL, "172.30.4.0/24", "172.30.4.0" },
		{ "172.30.0.0/16", NULL, "172.30.0.0/24", "172.30.0.1" },
		{ "172.30.0.0/16", "172.30.9.9", "172.30.4.0/32", "172.30.9.9" },
		{ "172.30.0.0/16", NULL, "172.30.0.0/16", "172.30.0.1" },
		{ "10.0.0.4/30", NULL, NULL, "10.0.0.5" },
		{ "10.0.0.4/31", NULL, NULL, "10.0.0.4" },
		{ "10.0.0.4/31", "10.0.0.5", NULL, "10.0.0.5" },
		{ "240.0.0.0/16", NULL, NULL, "240.0.0.1" },
		{ "fd00:30::/64", NULL, NULL, "fd00:30::1" },
		{ "fd00:30::/126", NULL, NULL, "fd00:30::1" },
		{ "fd00:30::/127", NULL, NULL, "fd00:30::" },
		{ "fd00:30::/64", "fd00:30::ffff:ffff:ffff:ffff", NULL,
		  "fd00:30::ffff:ffff:ffff:ffff" },
		{ "2001:db8::/32", NULL, "2001:db8:0:5::/64", "2001:db8:0:5::" },
		{ "172.30.0.0/16", NULL, "172.30.4.10-172.30.4.11", "172.30.4.10" },
		{ "fd00:30::/48", NULL,
		  "fd00:30::ffff:ffff:ffff:ffff-fd00:30:0:1::", "fd00:30::ffff:ffff:ffff:ffff" },
	};
	struct subnet subnet;
	struct error error;
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (complete(&plain, good[i].prefix, good[i].gateway, good[i].range, &subnet,
			     &error) < 0)
			fail_msg("%s: %s", good[i].prefix, error.message);
		assert_string_equal(addr_format(&subnet.gateway, text), good[i].expected);
	}
}

static const struct {
	const char *prefix, *gateway, *range;
	int code;
	const char *sentence;
} refused[] = {
	{ "172.30.0.5/16", NULL, NULL, -EINVAL,
	  "subnet 172.30.0.5/16 has host bits set; use 172.30.0.0/16" },
	{ "fd00::1/64", NULL, NULL, -EINVAL, "subnet fd00::1/64 has host bits set; use fd00::/64" },
	{ "10.0.0.1/32", NULL, NULL, -EINVAL,
	  "subnet 10.0.0.1/32 has no room for a gateway and an endpoint; use /31 or "
	  "shorter" },
	{ "fd00::1/128", NULL, NULL, -EINVAL,
	  "subnet fd00::1/128 has no room for a gateway and an endpoint; use /127 or "
	  "shorter" },
	{ "224.1.0.0/16", NULL, NULL, -EINVAL,
	  "subnet 224.1.0.0/16 can't be used: 224.0.0.0/4 is for multicast; use one such as "
	  "172.30.0.0/16" },
	{ "127.0.0.0/24", NULL, NULL, -EINVAL,
	  "subnet 127.0.0.0/24 can't be used: 127.0.0.0/8 is for the loopback interface; "
	  "use "
	  "one such as 172.30.0.0/16" },
	{ "0.0.0.0/0", NULL, NULL, -EINVAL,
	  "subnet 0.0.0.0/0 can't be used: 0.0.0.0/8 is no network's, it means this host; "
	  "use one such as 172.30.0.0/16" },
	{ "255.255.255.0/24", NULL, NULL, -EINVAL,
	  "subnet 255.255.255.0/24 can't be used: 255.255.255.255/32 is for broadcast; use "
	  "one such as 172.30.0.0/16" },
	{ "ff02::/64", NULL, NULL, -EINVAL,
	  "subnet ff02::/64 can't be used: ff00::/8 is for multicast; use one such as "
	  "fd00:30::/64" },
	{ "fe80::/64", NULL, NULL, -EINVAL,
	  "subnet fe80::/64 can't be used: fe80::/10 is for link-local addresses; use one "
	  "such as fd00:30::/64" },
	{ "::/64", NULL, NULL, -EINVAL,
	  "subnet ::/64 can't be used: ::/127 is for the loopback interface; use one such "
	  "as "
	  "fd00:30::/64" },
	{ "172.30.0.0/16", "172.31.0.1", NULL, -ERANGE,
	  "gateway 172.31.0.1 is outside subnet 172.30.0.0/16; give an address of the "
	  "subnet" },
	{ "172.30.0.0/16", "172.30.0.0", NULL, -EINVAL,
	  "gateway 172.30.0.0 is the first address of subnet 172.30.0.0/16, which no host "
	  "may have; give another" },
	{ "172.30.0.0/16", "172.30.255.255", NULL, -EINVAL,
	  "gateway 172.30.255.255 is the last address of subnet 172.30.0.0/16, which no "
	  "host "
	  "may have; give another" },
	{ "172.30.0.0/16", NULL, "172.31.0.0/24", -ERANGE,
	  "ip-range 172.31.0.0/24 is not inside subnet 172.30.0.0/16; give a part of the "
	  "subnet" },
	{ "172.30.0.0/16", NULL, "172.0.0.0/8", -ERANGE,
	  "ip-range 172.0.0.0/8 is not inside subnet 172.30.0.0/16; give a part of the "
	  "subnet" },
	{ "172.30.0.0/16", NULL, "172.30.0.0/32", -EINVAL,
	  "subnet 172.30.0.0/16 has no address for the gateway in its ip-range that is not "
	  "reserved; give a gateway or a wider ip-range" },
	{ "172.30.0.0/16", NULL, "172.30.4.4/32", -EINVAL,
	  "ip-range 172.30.4.4/32 has no address for an endpoint beside the gateway and what "
	  "is reserved; widen it, or give a gateway outside it" },
};

static void test_complete_subnet_refuses(void **state)
{
	struct subnet subnet;
	struct error error;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		int r = complete(&plain, refused[i].prefix, refused[i].gateway, refused[i].range,
				 &subnet, &error);

		assert_error(r, refused[i].code,
			     refused[i].code == -ERANGE ? BN_REASON_ADDRESS_OUTSIDE :
							  BN_REASON_INVALID,
			     error, refused[i].sentence);
		/* What was not given stays unset. */
		assert_int_equal(addr_is_set(&subnet.gateway), refused[i].gateway != NULL);
	}
}

static void test_complete_subnet_keeps_away_from_the_reserved(void **state)
{
	struct network network = { .name = "net" };
	struct subnet subnet;
	struct error error;
	char text[ADDR_TEXT_MAX];

	(void)state;
	*vector_push(&network.reserved) = addr_of("10.0.0.1");
	*vector_push(&network.reserved) = addr_of("10.0.0.2");
	network.policy.default_gateway_ipv4 = addr_of("10.0.0.3");
	assert_int_equal(complete(&network, "10.0.0.0/29", NULL, NULL, &subnet, &error), 0);
	assert_string_equal(addr_format(&subnet.gateway, text), "10.0.0.4");
	/* one that is named may be any of them */
	assert_int_equal(complete(&network, "10.0.0.0/29", "10.0.0.2", NULL, &subnet, &error), 0);
	assert_error(complete(&network, "10.0.0.0/29", NULL, "10.0.0.0/30", &subnet, &error),
		     -EINVAL, BN_REASON_INVALID, error,
		     "subnet 10.0.0.0/29 has no address for the gateway in its ip-range that is "
		     "not reserved; give a gateway or a wider ip-range");
	assert_error(complete(&network, "10.0.0.0/30", "10.0.0.2", NULL, &subnet, &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "subnet 10.0.0.0/30 has no address for an endpoint beside the gateway and "
		     "what is reserved; widen it, or give a gateway outside it");
	free(network.reserved.items);
}

/* Every address that the walk gives, joined by spaces. */
static void check_walk(const struct network *network, int family, const char *from,
		       const char *expected)
{
	const struct subnet *subnet = network_subnet(network, family);
	struct addr addr = { 0 }, next = { 0 };
	char walked[512] = "", text[ADDR_TEXT_MAX];

	if (from)
		addr = addr_of(from);
	while (subnet && ipam_next_address(network, subnet, &addr, &next) && strlen(walked) < 400) {
		strcat(strcat(walked, walked[0] ? " " : ""), addr_format(&next, text));
		if (!addr_add(&next, 1, &addr))
			break;
	}
	assert_string_equal(walked, expected);
}

static void test_no_gateway(void **state)
{
	static const char *const good[] = { "10.0.0.4/30", "10.0.0.4/31", "10.0.0.4/32",
					    "fd00::4/126", "fd00::4/127", "fd00::4/128" };
	struct network network = { .name = "net" };
	struct subnet subnet;
	struct error error;

	(void)state;
	network.policy.bridge_address_ipv4 = network.policy.bridge_address_ipv6 = BRIDGE_ADDRESS_NO;
	assert_true(network_keeps_gateway(&network, AF_INET));
	network.policy.internal = INTERNAL_YES;
	assert_false(network_keeps_gateway(&network, AF_INET6));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (complete(&network, good[i], NULL, NULL, &subnet, &error) < 0)
			fail_msg("%s: %s", good[i], error.message);
		assert_false(addr_is_set(&subnet.gateway));
	}
	assert_error(complete(&network, "10.0.0.4/30", "10.0.0.5", NULL, &subnet, &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "subnet 10.0.0.4/30 of network net has no use for a gateway: the bridge has "
		     "no address there, and nothing is beyond it; give none");
	network.policy = (struct network_policy){ .gateway_mode_ipv6 = GATEWAY_MODE_ISOLATED };
	assert_true(network_keeps_gateway(&network, AF_INET));
	assert_false(network_keeps_gateway(&network, AF_INET6));
	network.ipv4.prefix = prefix_of("10.0.0.4/31");
	check_walk(&network, AF_INET, NULL, "10.0.0.4 10.0.0.5");
}

static void test_parse_range(void **state)
{
	struct range range;
	struct error error = { 0 };

	(void)state;
	assert_int_equal(ipam_parse_range("172.30.4.0/24", &range, &error), 0);
	assert_int_equal(ipam_parse_range("172.30.4.1-172.30.4.9", &range, &error), 0);
	assert_error(ipam_parse_range("172.30.4.1/24", &range, &error), -EINVAL, BN_REASON_INVALID,
		     error, "ip-range 172.30.4.1/24 has host bits set; use 172.30.4.0/24");
	assert_error(ipam_parse_range("172.30.4.9-172.30.4.1", &range, &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "ip-range '172.30.4.9-172.30.4.1' is not of the form 172.30.4.0/24 or "
		     "172.30.4.10-172.30.4.20, fd00:30::4:0/112 or fd00:30::10-fd00:30::20, the "
		     "first address before the last");
}

static int check_address(const struct network *network, const char *text, struct error *error)
{
	struct addr addr = addr_of(text);

	return ipam_check_address(network, &addr, error);
}

static void test_check_address(void **state)
{
	struct network network = network_of("172.17.0.0/16", NULL);
	struct error error = { 0 };

	(void)state;
	*vector_push(&network.reserved) = addr_of("172.17.0.9");
	assert_int_equal(check_address(&network, "172.17.0.2", &error), 0);
	assert_int_equal(check_address(&network, "172.17.255.254", &error), 0);
	assert_error(check_address(&network, "10.0.0.1", &error), -ERANGE,
		     BN_REASON_ADDRESS_OUTSIDE, error,
		     "address 10.0.0.1 is outside subnet 172.17.0.0/16 of network bridge; give one "
		     "inside");
	assert_error(check_address(&network, "172.17.0.0", &error), -EINVAL, BN_REASON_INVALID,
		     error,
		     "address 172.17.0.0 is the first of subnet 172.17.0.0/16 of network bridge, "
		     "which no endpoint may have; give another");
	assert_error(
		check_address(&network, "172.17.255.255", &error), -EINVAL, BN_REASON_INVALID,
		error,
		"address 172.17.255.255 is the last of subnet 172.17.0.0/16 of network bridge, "
		"which no endpoint may have; give another");
	assert_error(check_address(&network, "172.17.0.1", &error), -EADDRINUSE,
		     BN_REASON_ADDRESS_IN_USE, error,
		     "address 172.17.0.1 is the gateway of network bridge; give another");
	assert_error(check_address(&network, "172.17.0.9", &error), -EADDRINUSE,
		     BN_REASON_ADDRESS_IN_USE, error,
		     "address 172.17.0.9 is reserved in network bridge; give another");
	assert_error(check_address(&network, "fd00::2", &error), -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
		     error, "address fd00::2 can't be given: network bridge has no IPv6 subnet");
	network_clear(&network);
}

static void test_check_address_ipv6_has_no_broadcast(void **state)
{
	struct network network = network_of(NULL, "fd00::/64");

	(void)state;
	assert_int_equal(check_address(&network, "fd00::ffff:ffff:ffff:ffff", NULL), 0);
	assert_int_equal(check_address(&network, "fd00::", NULL), -EINVAL);
	assert_int_equal(check_address(&network, "fd00:0:0:1::", NULL), -ERANGE);
	assert_int_equal(check_address(&network, "172.17.0.2", NULL), -ERANGE);
}

static void test_next_address(void **state)
{
	struct network network = network_of("10.0.0.0/29", "fd00::/126");

	(void)state;
	*vector_push(&network.reserved) = addr_of("10.0.0.4");
	*vector_push(&network.reserved) = addr_of("fd00::2");
	check_walk(&network, AF_INET, NULL, "10.0.0.2 10.0.0.3 10.0.0.5 10.0.0.6");
	check_walk(&network, AF_INET, "10.0.0.4", "10.0.0.5 10.0.0.6");
	check_walk(&network, AF_INET, "9.0.0.0", "10.0.0.2 10.0.0.3 10.0.0.5 10.0.0.6");
	check_walk(&network, AF_INET, "10.0.0.7", "");
	check_walk(&network, AF_INET, "10.0.0.8", "");
	check_walk(&network, AF_INET6, NULL, "fd00::3");
	assert_int_equal(range_parse("10.0.0.2/31", &network.ipv4.range), 0);
	check_walk(&network, AF_INET, NULL, "10.0.0.2 10.0.0.3");
	assert_int_equal(range_parse("10.0.0.3-10.0.0.5", &network.ipv4.range), 0);
	check_walk(&network, AF_INET, NULL, "10.0.0.3 10.0.0.5");
	network.policy.default_gateway_ipv4 = addr_of("10.0.0.3");
	check_walk(&network, AF_INET, NULL, "10.0.0.5");
	assert_int_equal(ipam_check_address(&network, &network.policy.default_gateway_ipv4, NULL),
			 0);
	/* across the 64th bit */
	network.ipv6.prefix = prefix_of("fd00::/48");
	assert_int_equal(
		range_parse("fd00::ffff:ffff:ffff:fffe-fd00:0:0:1::1", &network.ipv6.range), 0);
	check_walk(&network, AF_INET6, NULL,
		   "fd00::ffff:ffff:ffff:fffe fd00::ffff:ffff:ffff:ffff fd00:0:0:1:: "
		   "fd00:0:0:1::1");
	network_clear(&network);
	network = network_of("10.0.0.0/31", NULL);
	check_walk(&network, AF_INET, NULL, "10.0.0.0");
	check_walk(&network, AF_INET6, NULL, "");
	network_clear(&network);
}

static void check_counts(const struct network *network, int family, uint64_t used, uint64_t free)
{
	const struct subnet *subnet = network_subnet(network, family);
	struct addr addr = { 0 };
	uint64_t walked = 0;

	assert_true(ipam_count_used(network, subnet, 3) == used + 3);
	assert_true(ipam_count_free(network, subnet, 0) == free);
	/* as many as can be given */
	for (; free < 100000 && ipam_next_address(network, subnet, &addr, &addr); walked++)
		assert_true(addr_add(&addr, 1, &addr));
	if (free < 100000)
		assert_int_equal(walked, free);
}

static void test_counts(void **state)
{
	struct network network = network_of("10.0.0.0/24", "fd00::/64");

	(void)state;
	check_counts(&network, AF_INET, 1, 253);
	check_counts(&network, AF_INET6, 1, UINT64_MAX - 1);
	network.ipv6.prefix = prefix_of("fd00::/60");
	check_counts(&network, AF_INET6, 1, UINT64_MAX);
	*vector_push(&network.reserved) = addr_of("10.0.0.1"); /* the gateway, and the last */
	*vector_push(&network.reserved) = addr_of("10.0.0.9");
	*vector_push(&network.reserved) = addr_of("10.0.0.255");
	*vector_push(&network.reserved) = addr_of("fd00::9");
	check_counts(&network, AF_INET, 3, 252);
	network.policy.default_gateway_ipv4 = addr_of("10.0.0.9");
	check_counts(&network, AF_INET, 3, 252);
	network.policy.default_gateway_ipv4 = addr_of("10.0.0.10");
	check_counts(&network, AF_INET, 3, 251);
	assert_int_equal(range_parse("10.0.0.8-10.0.0.12", &network.ipv4.range), 0);
	check_counts(&network, AF_INET, 3, 3);
	assert_int_equal(ipam_count_free(&network, &network.ipv4, 3), 0);
	assert_int_equal(ipam_count_free(&network, &network.ipv4, 9), 0);
	network_clear(&network);
	network = network_of("10.0.0.0/31", "fd00::/127");
	check_counts(&network, AF_INET, 1, 1);
	network.ipv4.gateway = (struct addr){ 0 };
	check_counts(&network, AF_INET, 0, 2);
	network_clear(&network);
}

#define MANY 60000

/* One walk past them, and a search for each that is asked about; not a search of all for each. */
static void test_many_reserved(void **state)
{
	struct network network = network_of("10.0.0.0/15", "fd00::/64");
	struct addr first = addr_of("10.0.0.2"), next, odd;
	char text[ADDR_TEXT_MAX];
	clock_t started;

	(void)state;
	/* backwards, the middle one twice, and one of the other family */
	for (uint64_t i = MANY; i-- > 0;) {
		assert_true(addr_add(&first, i, &next));
		*vector_push(&network.reserved) = next;
		if (i == MANY / 2)
			*vector_push(&network.reserved) = next;
	}
	*vector_push(&network.reserved) = addr_of("fd00::2");
	ipam_sort_reserved(&network);
	assert_int_equal(network.reserved.len, MANY + 1);
	started = clock();
	assert_true(ipam_next_address(&network, &network.ipv4, &(struct addr){ 0 }, &next));
	assert_string_equal(addr_format(&next, text), "10.0.234.98");
	for (uint64_t i = 0; i < MANY + 2; i++) {
		assert_true(addr_add(&first, i, &odd));
		assert_int_equal(ipam_is_reserved(&network, &odd), i < MANY);
		assert_int_equal(ipam_check_address(&network, &odd, NULL),
				 i < MANY ? -EADDRINUSE : 0);
	}
	assert_in_range(clock() - started, 0, CLOCKS_PER_SEC);
	next = addr_of("fd00::2");
	assert_true(ipam_next_address(&network, &network.ipv6, &next, &next));
	assert_string_equal(addr_format(&next, text), "fd00::3");
	network_clear(&network);
}

static void test_next_address_at_the_end_of_the_address_space(void **state)
{
	struct network network = { .name = "last", .driver = DRIVER_BRIDGE };

	(void)state;
	network.ipv6.prefix = prefix_of("feff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124");
	network.ipv6.gateway = addr_of("feff:ffff:ffff:ffff:ffff:ffff:ffff:fff1");
	check_walk(
		&network, AF_INET6, "feff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
		"feff:ffff:ffff:ffff:ffff:ffff:ffff:fffe feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	network.ipv4.prefix = prefix_of("255.255.255.252/30");
	network.ipv4.gateway = addr_of("255.255.255.254");
	check_walk(&network, AF_INET, NULL, "255.255.255.253");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route_blocks),
		cmocka_unit_test(test_complete_subnet_picks_the_gateway),
		cmocka_unit_test(test_complete_subnet_refuses),
		cmocka_unit_test(test_complete_subnet_keeps_away_from_the_reserved),
		cmocka_unit_test(test_no_gateway),
		cmocka_unit_test(test_parse_range),
		cmocka_unit_test(test_check_address),
		cmocka_unit_test(test_check_address_ipv6_has_no_broadcast),
		cmocka_unit_test(test_next_address),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_many_reserved),
		cmocka_unit_test(test_next_address_at_the_end_of_the_address_space),
	};

	return cmocka_run_group_tests_name("ipam", tests, NULL, NULL);
}
