/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../case.h"

#include <errno.h>
#include <stdio.h>

#include "model/metric.h"

static struct endpoint others[40];
static endpoint_vector siblings = { .items = others };
static struct error error;

static void add(int priority, uint32_t metric)
{
	struct endpoint *other = &others[siblings.len++];

	*other = (struct endpoint){ .network = "net",
				    .gateway_priority = priority,
				    .metric_ipv4 = metric,
				    .metric_ipv6 = metric };
	snprintf(other->id, sizeof(other->id), "e%zu", siblings.len);
}

/* 0 if there is none. */
static uint32_t choose_for(const struct endpoint *endpoint, int family)
{
	uint32_t metric = 0;
	uint64_t end = 0;
	int r;

	error_clear(&error);
	r = metric_choose(&siblings, endpoint, family, &metric, &end, &error);
	if (r < 0) {
		assert_int_equal(r, -ENOSPC);
		assert_int_equal(error.reason, BN_REASON_METRIC_NONE_FREE);
		assert_non_null(strstr(error.message, "endpoint new"));
		return 0;
	}
	assert_true(metric > 0 && metric < end);
	for (size_t i = 0; i < siblings.len; i++)
		assert_true(endpoint_metric(&others[i], family) < metric ||
			    endpoint_metric(&others[i], family) >= end);
	return metric;
}

/* Of both families, where all have the same of each. */
static uint32_t choose(int priority, uint32_t asked)
{
	const struct endpoint endpoint = {
		.id = "new", .network = "own", .gateway_priority = priority, .policy.metric = asked
	};
	uint32_t ipv4 = choose_for(&endpoint, AF_INET);

	assert_int_equal(ipv4, choose_for(&endpoint, AF_INET6));
	return ipv4;
}

static int reset(void **state)
{
	(void)state;
	siblings.len = 0;
	return 0;
}

static void test_alone(void **state)
{
	uint32_t last = UINT32_MAX;

	(void)state;
	assert_int_equal(choose(0, 0), 100);
	for (int priority = -5; priority <= 10; priority++) {
		assert_true(choose(priority, 0) < last);
		last = choose(priority, 0);
	}
	assert_in_range(choose(INT32_MAX, 0), 1, 99);
	assert_in_range(choose(INT32_MIN, 0), 101, UINT32_MAX);
	add(0, 0); /* it has no default route */
	assert_int_equal(choose(0, 0), 100);
}

static void test_order_of_attaching(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 30; i++) {
		assert_int_equal(choose(0, 0), 100 + i);
		add(0, 100 + i);
	}
	others[3].metric_ipv4 = others[3].metric_ipv6 =
		0; /* gone: its number is not before those that were later */
	assert_int_equal(choose(0, 0), 130);
}

/* Whatever the order, the kernel prefers what has the higher priority. */
static void test_any_order_of_priorities(void **state)
{
	static const int priorities[] = {
		0, 5, -3, 5, 100, 1, -3, 1000, 0, 7, INT32_MIN, INT32_MAX
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(priorities); i++) {
		uint32_t metric = choose(priorities[i], 0);

		assert_int_not_equal(metric, 0);
		for (size_t j = 0; j < siblings.len; j++)
			if (others[j].gateway_priority >= priorities[i])
				assert_true(others[j].metric_ipv4 < metric);
			else
				assert_true(others[j].metric_ipv4 > metric);
		add(priorities[i], metric);
	}
}

/* In any order. */
static void test_likely_priorities(void **state)
{
	int priorities[] = { 0,  1,  2,  3,  4,  5,  6,   7,   8,   9,    10,
			     11, 12, 13, 14, 15, 20, 100, 200, 500, 1000, 10000 };

	(void)state;
	for (unsigned int seed = 1; seed <= 500; seed++) {
		srand(seed);
		siblings.len = 0;
		for (size_t i = ARRAY_SIZE(priorities) - 1; i > 0; i--) {
			size_t j = (size_t)rand() % (i + 1);
			int priority = priorities[i];

			priorities[i] = priorities[j];
			priorities[j] = priority;
		}
		for (size_t i = 0; i < ARRAY_SIZE(priorities); i++) {
			uint32_t metric = choose(priorities[i], 0);

			if (!metric)
				fail_msg("seed %u: %s", seed, error.message);
			add(priorities[i], metric);
		}
	}
}

static void test_room_is_used_up(void **state)
{
	uint32_t metric;
	int priority = 0;

	(void)state;
	for (; (metric = choose(++priority, 0)); siblings.len--, add(priority, metric))
		add(0, 0);
	assert_int_equal(others[siblings.len - 1].metric_ipv4, 1);
	assert_non_null(strstr(error.message, "of priority"));
}

static void test_between_two(void **state)
{
	(void)state;
	add(5, 10);
	add(0, 12);
	assert_int_equal(choose(3, 0), 11);
	add(3, 11);
	assert_int_equal(choose(3, 0), 0);
	assert_string_equal(error.message,
			    "no metric is free for endpoint new of network own, of priority 3: "
			    "endpoint e3 of network net, of priority 3, has 11, and endpoint e2 of "
			    "network net, of priority 0, has 12; give it a metric, or attach them "
			    "in another order");
	add(-1, 2); /* asked for, against the priorities */
	assert_int_equal(choose(-1, 0), 0 + 13 + 187);
	siblings.len = 0;
	add(0, 1);
	assert_int_equal(choose(1, 0), 0);
	add(0, UINT32_MAX);
	assert_int_equal(choose(0, 0), 0);
}

static void test_asked(void **state)
{
	(void)state;
	assert_int_equal(choose(0, 7), 7);
	add(0, 7);
	add(0, 8);
	add(0, 10);
	assert_int_equal(choose(9, 7), 9);
	assert_int_equal(choose(9, 10), 11);
	assert_int_equal(choose(0, UINT32_MAX), UINT32_MAX);
	add(0, UINT32_MAX);
	assert_int_equal(choose(0, UINT32_MAX), 0);
}

static void test_best(void **state)
{
	(void)state;
	assert_null(metric_best(&siblings, AF_INET));
	add(0, 100);
	add(0, 0);
	add(0, 50);
	others[0].ipv4.addr.family = others[1].ipv4.addr.family = AF_INET;
	others[2].ipv4.addr.family = AF_INET;
	others[0].ipv6.addr.family = AF_INET6;
	assert_ptr_equal(metric_best(&siblings, AF_INET), &others[2]);
	assert_ptr_equal(metric_best(&siblings, AF_INET6), &others[0]);
}

/* Its own priority of a family counts in that family alone, whichever has it. */
static void test_families(void **state)
{
	struct endpoint endpoint = { .id = "new", .network = "own", .gateway_priority = 1 };

	(void)state;
	add(0, 100);
	assert_int_equal(choose_for(&endpoint, AF_INET), 96);
	assert_int_equal(choose_for(&endpoint, AF_INET6), 96);
	endpoint.policy.has_gateway_priority_ipv6 = true; /* and it is 0 */
	assert_int_equal(choose_for(&endpoint, AF_INET), 96);
	assert_int_equal(choose_for(&endpoint, AF_INET6), 101);
	endpoint.policy.has_gateway_priority_ipv4 = true;
	endpoint.policy.gateway_priority_ipv4 = -1;
	assert_int_equal(choose_for(&endpoint, AF_INET), 200);
	others[0].policy.has_gateway_priority_ipv4 = true;
	others[0].policy.gateway_priority_ipv4 = -2;
	others[0].metric_ipv4 = 300;
	assert_int_equal(choose_for(&endpoint, AF_INET), 200);
	assert_int_equal(choose_for(&endpoint, AF_INET6), 101);
	endpoint.policy.metric = 300;
	assert_int_equal(choose_for(&endpoint, AF_INET), 301);
	assert_int_equal(choose_for(&endpoint, AF_INET6), 300);
}

static void test_best_of_each_family(void **state)
{
	(void)state;
	add(0, 100);
	add(0, 101);
	others[0].metric_ipv6 = 102;
	for (size_t i = 0; i < 2; i++) {
		others[i].ipv4.addr.family = AF_INET;
		others[i].ipv6.addr.family = AF_INET6;
	}
	assert_ptr_equal(metric_best(&siblings, AF_INET), &others[0]);
	assert_ptr_equal(metric_best(&siblings, AF_INET6), &others[1]);
	others[0].metric_ipv4 = 0;
	assert_ptr_equal(metric_best(&siblings, AF_INET), &others[1]);
}

#define TEST(test) cmocka_unit_test_setup(test, reset)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_alone),
		TEST(test_order_of_attaching),
		TEST(test_any_order_of_priorities),
		TEST(test_likely_priorities),
		TEST(test_room_is_used_up),
		TEST(test_between_two),
		TEST(test_asked),
		TEST(test_best),
		TEST(test_families),
		TEST(test_best_of_each_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
