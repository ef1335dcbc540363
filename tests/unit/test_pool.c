/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include <time.h>

#include "model/pool.h"

static prefix_vector taken;

static int clear_taken(void **state)
{
	(void)state;
	free(taken.items);
	taken = (prefix_vector){ 0 };
	return 0;
}

static void take(const char *prefix)
{
	assert_int_equal(vector_append(&taken, prefix_of(prefix)), 0);
	prefixes_sort(&taken);
}

static void parse_pools(const char *text, subnet_pool_vector *pools)
{
	char copy[256], *rest = copy, *one;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((one = strsep(&rest, ",")))
		assert_int_equal(pool_parse(one, vector_push(pools), NULL), 0);
}

/* "" for none. */
static const char *pick(const char *pools_text, int family, uint8_t len, struct error *error)
{
	static char text[PREFIX_TEXT_MAX];
	struct prefix subnet = prefix_of("1.1.1.1/32");
	subnet_pool_vector pools = { 0 };
	int r;

	*error = (struct error){ 0 };
	if (pools_text) {
		parse_pools(pools_text, &pools);
		r = pool_pick(pools.items, pools.len, family, len, &taken, &subnet, error);
	} else {
		r = pool_pick(default_pools_ipv4, default_pools_ipv4_len, family, len, &taken,
			      &subnet, error);
	}
	prefix_format(&subnet, text);
	if (r < 0) {
		assert_string_equal(text, "1.1.1.1/32");
		text[0] = '\0';
	} else if (pools_text) {
		assert_true(pools_have(pools.items, pools.len, &subnet));
	}
	free(pools.items);
	return text;
}

static void test_the_31_of_docker(void **state)
{
	struct error error;
	char expected[PREFIX_TEXT_MAX];

	(void)state;
	for (unsigned int second = 17; second <= 31; second++) {
		snprintf(expected, sizeof(expected), "172.%u.0.0/16", second);
		assert_string_equal(pick(NULL, AF_INET, 0, &error), expected);
		take(expected);
	}
	for (unsigned int third = 0; third < 256; third += 16) {
		snprintf(expected, sizeof(expected), "192.168.%u.0/20", third);
		assert_string_equal(pick(NULL, AF_INET, 0, &error), expected);
		take(expected);
	}
	assert_int_equal(taken.len, 31);
	assert_string_equal(pick(NULL, AF_INET, 0, &error), "");
	assert_error(error.code, -ENOSPC, BN_REASON_POOL_EXHAUSTED, error,
		     "no IPv4 subnet is free in the pools 172.17.0.0/16, 172.18.0.0/16, "
		     "172.19.0.0/16, 172.20.0.0/14, 172.24.0.0/14, 172.28.0.0/14, 192.168.0.0/16: "
		     "networks, routes or nameservers of this host are everywhere; give a subnet "
		     "or a pool, or delete a network");
	/* the gap that a deleted network leaves is found */
	taken.items[3] = prefix_of("10.0.0.0/8");
	prefixes_sort(&taken);
	assert_string_equal(pick(NULL, AF_INET, 0, &error), "172.20.0.0/16");
}

static void test_passes_over_what_meets(void **state)
{
	static const struct {
		const char *taken[6];
		const char *expected;
	} cases[] = {
		{ { "172.16.0.0/14", "172.20.1.1/32", "::/0" }, "172.21.0.0/16" },
		{ { "172.16.0.0/12" }, "192.168.0.0/20" },
		{ { "172.16.0.0/12", "192.168.0.0/17" }, "192.168.128.0/20" },
		{ { "0.0.0.0/2" }, "172.17.0.0/16" },
		{ { "172.17.0.0/24", "172.17.255.0/24" }, "172.18.0.0/16" },
		{ { "172.16.0.0/13", "172.17.0.0/16", "172.24.5.0/24" }, "172.25.0.0/16" },
		{ { "172.17.0.0/16", "172.17.3.0/24", "172.18.0.0/15", "172.20.0.0/14",
		    "172.26.0.0/15" },
		  "172.24.0.0/16" },
		{ { "172.16.0.0/12", "192.168.4.0/30", "192.168.16.0/24", "192.168.17.0/24",
		    "192.168.40.0/21" },
		  "192.168.48.0/20" },
		{ { "128.0.0.0/1" }, "" },
	};
	struct error error;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		clear_taken(NULL);
		for (size_t j = 0; j < ARRAY_SIZE(cases[i].taken) && cases[i].taken[j]; j++)
			take(cases[i].taken[j]);
		assert_string_equal(pick(NULL, AF_INET, 0, &error), cases[i].expected);
	}
}

/* Any of that size: the smallest gap that it fits in. */
static void test_by_size(void **state)
{
	struct error error;

	(void)state;
	assert_string_equal(pick(NULL, AF_INET, 28, &error), "172.17.0.0/28");
	assert_string_equal(pick(NULL, AF_INET, 15, &error), "172.20.0.0/15");
	take("172.17.0.0/28");
	assert_string_equal(pick(NULL, AF_INET, 28, &error), "172.17.0.16/28");
	assert_string_equal(pick(NULL, AF_INET, 0, &error), "172.18.0.0/16");
	assert_string_equal(pick(NULL, AF_INET, 8, &error), "");
	assert_error(error.code, -EINVAL, BN_REASON_INVALID, error,
		     "no IPv4 pool is as large as a subnet of /8: they are 172.17.0.0/16, "
		     "172.18.0.0/16, 172.19.0.0/16, 172.20.0.0/14, 172.24.0.0/14, 172.28.0.0/14, "
		     "192.168.0.0/16; ask for a smaller one, or give another pool or a subnet");
	assert_string_equal(pick("fd00:99::/48:64", AF_INET6, 80, &error), "fd00:99::/80");
	take("fd00:99::/49");
	assert_string_equal(pick("fd00:99::/48:64", AF_INET6, 80, &error), "fd00:99:0:8000::/80");
	take("172.16.0.0/12");
	take("192.168.0.0/16");
	assert_string_equal(pick(NULL, AF_INET, 28, &error), "");
	assert_int_equal(error.reason, BN_REASON_POOL_EXHAUSTED);
	assert_non_null(strstr(error.message, "no IPv4 subnet of that size is free"));
}

static void test_pools_in_their_order(void **state)
{
	static const char pools[] = "10.2.0.0/23:24,fd00:2::/63:64,10.1.0.0/24:24";
	struct error error;

	(void)state;
	assert_string_equal(pick(pools, AF_INET, 0, &error), "10.2.0.0/24");
	take("10.2.0.0/24");
	take("10.2.1.9/32");
	assert_string_equal(pick(pools, AF_INET, 0, &error), "10.1.0.0/24");
	assert_string_equal(pick(pools, AF_INET6, 0, &error), "fd00:2::/64");
	take("10.1.0.0/24");
	assert_string_equal(pick(pools, AF_INET, 0, &error), "");
	assert_non_null(strstr(error.message, "in the pools 10.2.0.0/23, 10.1.0.0/24: "));
	take("fd00:2::/64");
	assert_string_equal(pick(pools, AF_INET6, 0, &error), "fd00:2:0:1::/64");
	take("fd00:2:0:1::/64");
	assert_string_equal(pick(pools, AF_INET6, 0, &error), "");
}

static void test_at_the_ends_of_the_address_space(void **state)
{
	struct error error;

	(void)state;
	take("239.255.255.0/24");
	assert_string_equal(pick("240.0.0.0/5:24", AF_INET, 0, &error), "240.0.0.0/24");
	take("240.0.0.0/5");
	assert_string_equal(pick("240.0.0.0/5:24", AF_INET, 0, &error), "");
	take("fdff:ffff:ffff:ffff::/64");
	assert_string_equal(pick("fdff:ffff:ffff:ffff::/64:127", AF_INET6, 0, &error), "");
	/* more blocks than can be counted */
	take("fc00::/8");
	assert_string_equal(pick("fc00::/7:127", AF_INET6, 0, &error), "fd00::/127");
}

static void test_unique_local(void **state)
{
	static const uint8_t global_id[5] = { 0x12, 0x34, 0x56, 0x78, 0x9a };
	struct subnet_pool pool = pool_unique_local(global_id);
	struct prefix subnet;
	struct error error = { 0 };
	char text[PREFIX_TEXT_MAX];

	(void)state;
	take("fd12:3456:789a::/64");
	take("fd12:3456:789a:1::5/128");
	assert_int_equal(pool_pick(&pool, 1, AF_INET6, 0, &taken, &subnet, &error), 0);
	assert_string_equal(prefix_format(&subnet, text), "fd12:3456:789a:2::/64");
	take("fd12::/16");
	assert_int_equal(pool_pick(&pool, 1, AF_INET6, 0, &taken, &subnet, &error), -ENOSPC);
}

/* A whole table of the Internet's routes is looked at once. */
static void test_many_taken(void **state)
{
	struct addr addr = addr_of("10.0.0.0");
	struct error error;
	clock_t started;

	(void)state;
	for (uint64_t i = 0; i < 500000; i++) {
		struct prefix prefix = { .len = 28 };

		assert_true(addr_add(&addr, i * 16, &prefix.addr));
		assert_int_equal(vector_append(&taken, prefix), 0);
	}
	prefixes_sort(&taken);
	started = clock();
	assert_string_equal(pick("10.0.0.0/8:28", AF_INET, 0, &error), "10.122.18.0/28");
	assert_in_range(clock() - started, 0, CLOCKS_PER_SEC);
}

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"",
		"10.0.0.0/8",
		"10.0.0.0:24",
		"10.0.0.0/8:",
		"10.0.0.0/8:24x",
		"/8:24",
		"10.0.0.0/8:024",
		"10.0.0.0/8:24,",
		"10.0.0.0/8:24 ",
		"10.0.0.0/8:7",
		"10.0.0.0/8:32",
		"fd00::/48:47",
		"fd00::/48:128",
		"fd00:::64",
		"10.0.0.1/8:24",
		"224.0.0.0/8:24",
		"fe80::/16:64",
		"127.0.0.0/8:24",
		"10.0.0.0/8:99999",
		"fd00:99::",
	};
	subnet_pool_vector pools = { 0 };
	struct subnet_pool pool = { .prefix_len = 99 };
	struct error error = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (pool_parse(bad[i], &pool, &error) != -EINVAL || !error.message[0])
			fail_msg("'%s'", bad[i]);
		assert_int_equal(pool.prefix_len, 99);
	}
	assert_error(pool_parse("10.0.0.0/24:20", &pool, &error), -EINVAL, BN_REASON_INVALID, error,
		     "pool 10.0.0.0/24:20 can't be cut into subnets of /20; give a length from 24 "
		     "to 31");
	assert_error(pool_parse("junk", &pool, &error), -EINVAL, BN_REASON_INVALID, error,
		     "pool 'junk' is not of the form 10.99.0.0/16:24 or fd00:99::/48:64");
	assert_false(pools_have_family(&pools, AF_INET));
	parse_pools("10.0.0.0/8:31,fd00::/48:127", &pools);
	assert_true(pools_have_family(&pools, AF_INET) && pools_have_family(&pools, AF_INET6));
	free(pools.items);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_the_31_of_docker, clear_taken),
		cmocka_unit_test_teardown(test_passes_over_what_meets, clear_taken),
		cmocka_unit_test_teardown(test_by_size, clear_taken),
		cmocka_unit_test_teardown(test_pools_in_their_order, clear_taken),
		cmocka_unit_test_teardown(test_at_the_ends_of_the_address_space, clear_taken),
		cmocka_unit_test_teardown(test_unique_local, clear_taken),
		cmocka_unit_test_teardown(test_many_taken, clear_taken),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
