/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

static void test_addr_parse_takes_what_it_formats(void **state)
{
	static const char *const texts[] = { "0.0.0.0", "172.17.0.2", "255.255.255.255",     "::",
					     "::1",     "fd00::2",    "2001:db8:1:2:3:4:5:6" };
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct addr addr = addr_of(texts[i]);

		assert_int_equal(addr.family, strchr(texts[i], ':') ? AF_INET6 : AF_INET);
		assert_string_equal(addr_format(&addr, text), texts[i]);
	}
}

static void test_addr_parse_refuses(void **state)
{
	static const char *const texts[] = { "",         "1.2.3",       "1.2.3.256", "1.2.3.4.5",
					     " 1.2.3.4", "1.2.3.4 ",    "01.2.3.4",  "fe80::1%eth0",
					     "[::1]",    "1:2:3:4:5:6", "::1::",     "host" };
	struct addr addr = { .family = 77 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (addr_parse(texts[i], &addr) != -EINVAL)
			fail_msg("'%s' was taken", texts[i]);
	}
	assert_int_equal(addr.family, 77);
}

static void test_addr_ipv4_leaves_the_rest_zero(void **state)
{
	struct addr addr = addr_of("1.2.3.4");

	(void)state;
	for (size_t i = 4; i < sizeof(addr.bytes); i++)
		assert_int_equal(addr.bytes[i], 0);
}

static void test_addr_format_of_none_is_empty(void **state)
{
	struct addr none = { 0 };
	char text[ADDR_TEXT_MAX] = "x";

	(void)state;
	assert_string_equal(addr_format(&none, text), "");
}

static void test_addr_kinds(void **state)
{
	struct addr none = { 0 }, any4 = addr_of("0.0.0.0"), any6 = addr_of("::");
	struct addr loop4 = addr_of("127.255.0.9"), loop6 = addr_of("::1");
	struct addr group4 = addr_of("239.1.1.1"), group6 = addr_of("ff02::1");
	struct addr host4 = addr_of("10.0.0.1"), host6 = addr_of("fd00::1");
	struct addr last4 = addr_of("240.0.0.0");

	(void)state;
	assert_false(addr_is_set(&none));
	assert_false(addr_is_unspecified(&none) || addr_is_loopback(&none));
	assert_false(addr_is_multicast(&none));
	assert_true(addr_is_unspecified(&any4) && addr_is_unspecified(&any6));
	assert_false(addr_is_unspecified(&host4) || addr_is_unspecified(&loop6));
	assert_true(addr_is_loopback(&loop4) && addr_is_loopback(&loop6));
	assert_false(addr_is_loopback(&host4) || addr_is_loopback(&any6));
	assert_true(addr_is_multicast(&group4) && addr_is_multicast(&group6));
	assert_false(addr_is_multicast(&host6) || addr_is_multicast(&last4));
}

static void test_addr_compare_orders_by_family_then_value(void **state)
{
	struct addr none = { 0 }, low = addr_of("9.255.255.255"), high = addr_of("10.0.0.0");
	struct addr ipv6 = addr_of("::");

	(void)state;
	assert_true(addr_compare(&none, &low) < 0);
	assert_true(addr_compare(&low, &high) < 0);
	assert_true(addr_compare(&high, &low) > 0);
	assert_true(addr_compare(&high, &ipv6) < 0);
	assert_int_equal(addr_compare(&ipv6, &ipv6), 0);
	assert_int_equal(addr_compare(&none, &none), 0);
}

static void check_add(const char *from, uint64_t offset, const char *expected)
{
	struct addr addr = addr_of(from), sum = { 0 };
	char text[ADDR_TEXT_MAX];

	if (!addr_add(&addr, offset, &sum))
		fail_msg("%s + %llu has no sum", from, (unsigned long long)offset);
	assert_string_equal(addr_format(&sum, text), expected);
}

static void test_addr_add(void **state)
{
	struct addr last4 = addr_of("255.255.255.255"), kept = addr_of("1.1.1.1");
	struct addr last6 = addr_of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	struct addr one = addr_of("0.0.0.1");

	(void)state;
	check_add("10.0.0.255", 1, "10.0.1.0");
	check_add("10.0.0.1", 0, "10.0.0.1");
	check_add("0.0.0.0", 0xffffffffu, "255.255.255.255");
	check_add("fd00::ffff:ffff:ffff:ffff", 1, "fd00:0:0:1::");
	check_add("fd00::1", UINT64_MAX, "fd00:0:0:1::");
	check_add("fd00::ffff:ffff:ffff:ffff", UINT64_MAX, "fd00::1:ffff:ffff:ffff:fffe");
	assert_false(addr_add(&last4, 1, &kept));
	assert_false(addr_add(&last6, 1, &kept));
	assert_false(addr_add(&one, 0xffffffffu, &kept));
	assert_false(addr_add(&one, 1ull << 32, &kept));
	assert_int_equal(kept.bytes[0], 1);
}

static void test_prefix_parse(void **state)
{
	static const char *const good[] = { "0.0.0.0/0", "172.17.0.5/16", "10.0.0.1/32",
					    "::/0",      "fd00:30::/64",  "::1/128" };
	static const char *const bad[] = {
		"",
		"10.0.0.0",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/016",
		"10.0.0.0/8 ",
		"10.0.0.0/+8",
		"fd00::/129",
		"fd00::/1281",
		"/8",
		"10.0.0/8",
		"10.0.0.0/8/",
		"10.0.0.0/x",
		"10.0.0.0/256",
		"1111111111111111111111111111111111111111111111111111111111/8"
	};
	struct prefix prefix = { .len = 99 };
	char text[PREFIX_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (prefix_parse(bad[i], &prefix) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_int_equal(prefix.len, 99);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		prefix = prefix_of(good[i]);
		assert_string_equal(prefix_format(&prefix, text), good[i]);
	}
	prefix = (struct prefix){ 0 };
	assert_string_equal(prefix_format(&prefix, text), "");
}

static void check_mask(const char *given, const char *masked, const char *last)
{
	struct prefix prefix = prefix_of(given), result = prefix_mask(&prefix);
	struct addr end = prefix_last(&prefix);
	char text[PREFIX_TEXT_MAX];

	assert_string_equal(prefix_format(&result, text), masked);
	assert_string_equal(addr_format(&end, text), last);
	assert_int_equal(prefix_is_masked(&prefix), strcmp(given, masked) == 0);
	assert_true(prefix_is_masked(&result));
}

static void test_prefix_mask_and_last(void **state)
{
	(void)state;
	check_mask("172.30.0.5/16", "172.30.0.0/16", "172.30.255.255");
	check_mask("172.30.0.0/16", "172.30.0.0/16", "172.30.255.255");
	check_mask("10.1.2.3/0", "0.0.0.0/0", "255.255.255.255");
	check_mask("10.1.2.3/32", "10.1.2.3/32", "10.1.2.3");
	check_mask("10.1.2.3/31", "10.1.2.2/31", "10.1.2.3");
	check_mask("10.255.2.3/11", "10.224.0.0/11", "10.255.255.255");
	check_mask("fd00::1/64", "fd00::/64", "fd00::ffff:ffff:ffff:ffff");
	check_mask("fd00::1:8000:0:0:1/65", "fd00:0:0:1:8000::/65", "fd00::1:ffff:ffff:ffff:ffff");
	check_mask("fd00::ff/63", "fd00::/63", "fd00::1:ffff:ffff:ffff:ffff");
	check_mask("fd00::2/128", "fd00::2/128", "fd00::2");
}

static void test_prefix_contains(void **state)
{
	struct prefix subnet = prefix_of("172.17.0.0/16"), all = prefix_of("0.0.0.0/0");
	struct prefix ipv6 = prefix_of("fd00::/63"), none = { 0 };
	struct addr first = addr_of("172.17.0.0"), last = addr_of("172.17.255.255");
	struct addr before = addr_of("172.16.255.255"), after = addr_of("172.18.0.0");
	struct addr in6 = addr_of("fd00:0:0:1::1"), out6 = addr_of("fd00:0:0:2::"), unset = { 0 };

	(void)state;
	assert_true(prefix_contains(&subnet, &first) && prefix_contains(&subnet, &last));
	assert_false(prefix_contains(&subnet, &before) || prefix_contains(&subnet, &after));
	assert_true(prefix_contains(&all, &after));
	assert_false(prefix_contains(&all, &in6));
	assert_true(prefix_contains(&ipv6, &in6));
	assert_false(prefix_contains(&ipv6, &out6));
	assert_false(prefix_contains(&none, &unset) || prefix_contains(&none, &first));
}

static void test_prefix_covers_and_overlaps(void **state)
{
	struct prefix wide = prefix_of("172.16.0.0/12"), narrow = prefix_of("172.17.0.0/16");
	struct prefix other = prefix_of("172.18.0.0/16"), ipv6 = prefix_of("::/0");

	(void)state;
	assert_true(prefix_covers(&wide, &narrow));
	assert_true(prefix_covers(&wide, &wide));
	assert_false(prefix_covers(&narrow, &wide));
	assert_true(prefix_overlaps(&narrow, &wide) && prefix_overlaps(&wide, &narrow));
	assert_false(prefix_overlaps(&narrow, &other));
	assert_false(prefix_overlaps(&ipv6, &narrow));
}

static void test_prefix_compare(void **state)
{
	struct prefix a = prefix_of("10.0.0.0/8"), b = prefix_of("10.0.0.0/16");
	struct prefix c = prefix_of("10.1.0.0/8");

	(void)state;
	assert_true(prefix_compare(&a, &b) < 0 && prefix_compare(&b, &a) > 0);
	assert_true(prefix_compare(&b, &c) < 0);
	assert_int_equal(prefix_compare(&c, &c), 0);
}

static struct range range_of(const char *text)
{
	struct range range;

	assert_int_equal(range_parse(text, &range), 0);
	return range;
}

static void test_range_parse(void **state)
{
	static const struct {
		const char *text, *formatted;
	} good[] = {
		{ "172.30.4.0/24", "172.30.4.0/24" },
		{ "172.30.4.9/24", "172.30.4.0/24" },
		{ "172.30.4.0-172.30.4.255", "172.30.4.0/24" },
		{ "172.30.4.10-172.30.4.20", "172.30.4.10-172.30.4.20" },
		{ "172.30.4.1-172.30.5.0", "172.30.4.1-172.30.5.0" },
		{ "172.30.4.10-172.30.4.10", "172.30.4.10/32" },
		{ "0.0.0.0-255.255.255.255", "0.0.0.0/0" },
		{ "fd00::10-fd00::1f", "fd00::10/124" },
		{ "fd00::10-fd00::20", "fd00::10-fd00::20" },
		{ "fd00::ffff:ffff:ffff:fffe-fd00:0:0:1::2",
		  "fd00::ffff:ffff:ffff:fffe-fd00:0:0:1::2" },
	};
	static const char *const bad[] = { "",
					   "-",
					   "172.30.4.10",
					   "172.30.4.10-",
					   "-172.30.4.10",
					   "172.30.4.20-172.30.4.10",
					   "172.30.4.10-fd00::1",
					   "172.30.4.10-20",
					   "172.30.4.10 - 172.30.4.20",
					   "172.30.4.10-172.30.4.20-172.30.4.30",
					   "172.30.4.0/24-172.30.5.0/24" };
	char text[RANGE_TEXT_MAX];
	struct range range;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		range = range_of(good[i].text);
		assert_string_equal(range_format(&range, text), good[i].formatted);
		assert_true(range_equals(&range, &(struct range){ range.first, range.last }));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (range_parse(bad[i], &range) != -EINVAL)
			fail_msg("'%s'", bad[i]);
	}
	assert_string_equal(range_format(&(struct range){ 0 }, text), "");
}

static void test_range_contains(void **state)
{
	struct range range = range_of("10.0.0.5-10.0.1.4");
	static const struct {
		const char *addr;
		bool inside;
	} cases[] = { { "10.0.0.4", false }, { "10.0.0.5", true },  { "10.0.0.255", true },
		      { "10.0.1.4", true },  { "10.0.1.5", false }, { "a00:5::", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct addr addr = addr_of(cases[i].addr);

		assert_int_equal(range_contains(&range, &addr), cases[i].inside);
	}
	assert_false(range_contains(&range, &(struct addr){ 0 }));
}

static void test_range_size(void **state)
{
	static const struct {
		const char *range;
		uint64_t without, expected;
	} cases[] = {
		{ "10.0.0.0/24", 0, 256 },
		{ "10.0.0.0/24", 3, 253 },
		{ "10.0.0.0/24", 256, 0 },
		{ "10.0.0.0/24", 257, 0 },
		{ "10.0.0.5/32", 0, 1 },
		{ "10.0.0.5-10.0.1.4", 0, 256 },
		{ "0.0.0.0/0", 0, 1ull << 32 },
		/* 2^64 is one too many */
		{ "fd00::/64", 0, UINT64_MAX },
		{ "fd00::/64", 1, UINT64_MAX },
		{ "fd00::/64", 2, UINT64_MAX - 1 },
		{ "fd00::/65", 0, 1ull << 63 },
		{ "fd00::/63", 5, UINT64_MAX },
		{ "::/0", 0, UINT64_MAX },
		{ "::/0", UINT64_MAX, UINT64_MAX },
		{ "fd00::ffff:ffff:ffff:fffe-fd00:0:0:1::2", 0, 5 },
		{ "fd00::ffff:ffff:ffff:fffe-fd00:0:0:1::2", 5, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct range range = range_of(cases[i].range);

		if (range_size(&range, cases[i].without) != cases[i].expected)
			fail_msg("%s without %llu", cases[i].range,
				 (unsigned long long)cases[i].without);
	}
}

static void test_prefixes_sort(void **state)
{
	prefix_vector prefixes = { 0 };
	static const char *const sorted[] = { "10.0.0.0/8",    "10.0.0.0/9", "10.1.0.0/16",
					      "172.16.0.0/12", "::/0",       "fd00::/8" };
	static const size_t order[] = { 4, 2, 0, 5, 1, 3 };
	char text[PREFIX_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		*vector_push(&prefixes) = prefix_of(sorted[order[i]]);
	prefixes_sort(&prefixes);
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		assert_string_equal(prefix_format(&prefixes.items[i], text), sorted[i]);
	free(prefixes.items);
	prefixes_sort(&(prefix_vector){ 0 });
}

static void test_mac(void **state)
{
	static const char *const bad[] = {
		"",
		"02:42:ac:11:00",
		"02:42:ac:11:00:0g",
		"02-42-ac-11-00-02",
		"02:42:ac:11:00:02:03",
		"2:42:ac:11:00:02",
		"00:00:00:00:00:00",
		"01:42:ac:11:00:02",
		"ff:ff:ff:ff:ff:ff",
		"02:42:ac:11:00 02",
	};
	uint8_t mac[MAC_LEN] = { 9 };
	char text[MAC_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (mac_parse(bad[i], mac) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_int_equal(mac[0], 9);
	assert_int_equal(mac_parse("02:42:AC:11:00:fe", mac), 0);
	assert_string_equal(mac_format(mac, text), "02:42:ac:11:00:fe");
}

static uint64_t mac_number(const char *addr_text, unsigned int variant)
{
	struct addr addr = addr_of(addr_text);
	uint8_t mac[MAC_LEN];
	uint64_t number = 0;

	mac_from_addr(&addr, variant, mac);
	for (size_t i = 0; i < MAC_LEN; i++)
		number = number << 8 | mac[i];
	return number;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void test_mac_from_addr(void **state)
{
	static const char *const pairs[][2] = {
		{ "fd00::1:0:5", "fd00::2:0:5" }, { "fd00:1::5", "fd00:2::5" },
		{ "fd00:0:0:1::2", "fd00::1:2" }, { "fe00::1", "fd00::1" },
		{ "fd00::a00:1", "10.0.0.1" },    { "::a00:1", "10.0.0.1" },
	};

	(void)state;
	assert_true(mac_number("172.17.0.2", 0) == 0x0242ac110002);
	/* what was given once is given again: after an update, too */
	assert_true(mac_number("fd00::2", 0) == 0x02423e5dbfb8);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (mac_number(pairs[i][0], 0) == mac_number(pairs[i][1], 0))
			fail_msg("%s and %s have the same", pairs[i][0], pairs[i][1]);
	for (unsigned int i = 0; i < 9; i++)
		for (unsigned int j = 0; j < i; j++) {
			assert_true(mac_number("10.0.0.1", i) != mac_number("10.0.0.1", j));
			assert_true(mac_number("fd00::1", i) != mac_number("fd00::1", j));
		}
}

/* All that a network is likely to give out, and that of its gateway. */
static void test_macs_of_a_subnet(void **state)
{
	static uint64_t numbers[0x10000];
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(numbers); i++) {
		snprintf(text, sizeof(text), "fd12:3456:789a:1::%x", i);
		numbers[i] = mac_number(text, 0);
		assert_true(numbers[i] >> 32 == 0x0242);
	}
	qsort(numbers, ARRAY_SIZE(numbers), sizeof(numbers[0]), compare_numbers);
	for (unsigned int i = 1; i < ARRAY_SIZE(numbers); i++)
		assert_true(numbers[i] != numbers[i - 1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_parse_takes_what_it_formats),
		cmocka_unit_test(test_addr_parse_refuses),
		cmocka_unit_test(test_addr_ipv4_leaves_the_rest_zero),
		cmocka_unit_test(test_addr_format_of_none_is_empty),
		cmocka_unit_test(test_addr_kinds),
		cmocka_unit_test(test_addr_compare_orders_by_family_then_value),
		cmocka_unit_test(test_addr_add),
		cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_prefix_mask_and_last),
		cmocka_unit_test(test_prefix_contains),
		cmocka_unit_test(test_prefix_covers_and_overlaps),
		cmocka_unit_test(test_prefix_compare),
		cmocka_unit_test(test_range_parse),
		cmocka_unit_test(test_range_contains),
		cmocka_unit_test(test_range_size),
		cmocka_unit_test(test_prefixes_sort),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_mac_from_addr),
		cmocka_unit_test(test_macs_of_a_subnet),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
