/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel does what it is asked, and its answer is lost: once at each place, then for good. */
#include "link_stage.h"

static const char *lost_step;
static int lost_from, lost_count;

static int lose_answer(const char *step)
{
	if (strcmp(step, lost_step) != 0 || lost_from-- > 0 || lost_count == 0)
		return 0;
	lost_count--;
	return -ENOBUFS;
}

static void lose(const char *step, int from, int count)
{
	lost_step = step;
	lost_from = from;
	lost_count = count;
	error_clear(&error);
	fault_hook = lose_answer;
}

#define ALWAYS 10000
#define EXCHANGES_MAX 60

static struct sandbox sandbox;
static struct endpoint endpoint;
static struct bridge_config other;

/* ---- what is done, and how the kernel shows it ---- */

struct work {
	int (*make)(void);
	int (*take)(void);
	bool (*is_made)(void);
	bool (*is_gone)(void);
};

static int make_endpoint(void)
{
	struct link_endpoint_config config = endpoint_config(&endpoint);

	return link_endpoint_create(handle, &sandbox, &config, &endpoint_made, &error);
}

static int take_endpoint(void)
{
	return delete_one();
}

static bool endpoint_is_made(void)
{
	json_t *list = IP(host_ns, "link", "show", "dev", "bv0");
	bool whole;

	whole = strcmp(text_of(json_array_get(list, 0), "ifalias"), ALIAS "/endpoint0") == 0 &&
		has_address(sandbox.fd, "eth0", "172.30.0.2", 16) &&
		has_address(sandbox.fd, "eth0", "fd00:30::2", 64);
	json_decref(list);
	list = IP(sandbox.fd, "route", "show", "default");
	whole = whole && json_array_size(list) == 1;
	json_decref(list);
	list = IP(sandbox.fd, "route", "show", "198.51.100.0/24");
	whole = whole && json_array_size(list) == 1;
	json_decref(list);
	return whole;
}

static bool endpoint_is_gone(void)
{
	return !link_is_there(host_ns, "bv0") && link_count(sandbox.fd) == 1;
}

static int make_bridge(void)
{
	return bridge_create(handle, &other, NULL, &error);
}

static int take_bridge(void)
{
	return bridge_delete(handle, &other, NULL, &error);
}

static bool bridge_is_made(void)
{
	json_t *list = IP(host_ns, "link", "show", "dev", other.name);
	bool whole;

	whole = (other.adopt ||
		 strcmp(text_of(json_array_get(list, 0), "ifalias"), other.alias) == 0) &&
		has_address(host_ns, other.name, "172.31.0.1", 16) &&
		read_number("/proc/sys/net/ipv4/conf/lk-other/route_localnet") == 1;
	json_decref(list);
	return whole;
}

static bool bridge_is_gone(void)
{
	return other.adopt ? !has_address(host_ns, other.name, "172.31.0.1", 16) :
			     !link_is_there(host_ns, other.name);
}

/* ---- the cases ---- */

static void assert_can_be_taken(const struct work *work)
{
	fault_hook = NULL;
	error_clear(&error);
	if (work->take() < 0)
		fail_msg("%s", error.message);
	assert_true(work->is_gone());
}

/* What is said is what stands, wherever one answer is lost. */
static void lose_each_once(const struct work *work)
{
	int i, r;

	for (i = 0, lost_count = 0; lost_count == 0; i++) {
		lose("netlink.receive", i, 1);
		r = work->make();
		fault_hook = NULL;
		assert_int_not_equal(r, OUTCOME_UNKNOWN);
		assert_true(r == 0 ? work->is_made() : work->is_gone());
		assert_can_be_taken(work);
		assert_in_range(i, 0, EXCHANGES_MAX);
	}
	assert_in_range(i, 3, EXCHANGES_MAX);
	for (i = 0, lost_count = 0; lost_count == 0; i++) {
		assert_int_equal(work->make(), 0);
		lose("netlink.receive", i, 1);
		r = work->take();
		fault_hook = NULL;
		assert_int_not_equal(r, OUTCOME_UNKNOWN);
		assert_true(r == 0 ? work->is_gone() : !work->is_gone());
		assert_can_be_taken(work);
		assert_in_range(i, 0, EXCHANGES_MAX);
	}
	assert_in_range(i, 2, EXCHANGES_MAX);
}

/* From some answer on none is heard: no success is told that is none, and what is made can go. */
static void lose_all_after_each(const struct work *work)
{
	bool unknown = false;
	int i, r;

	for (i = 0, lost_count = ALWAYS - 1; lost_count < ALWAYS; i++) {
		lose("netlink.receive", i, ALWAYS);
		r = work->make();
		fault_hook = NULL;
		if (r == 0)
			assert_true(work->is_made());
		if (r == OUTCOME_UNKNOWN)
			assert_int_equal(error.reason, BN_REASON_UNKNOWN_OUTCOME);
		unknown |= r == OUTCOME_UNKNOWN;
		assert_can_be_taken(work);
		assert_in_range(i, 0, EXCHANGES_MAX);
	}
	assert_true(unknown);
}

static void lose_requests(const struct work *work)
{
	int i, r;

	for (i = 0, lost_count = 0; lost_count == 0; i++) {
		lose("netlink.send", i, 1);
		r = work->make();
		fault_hook = NULL;
		assert_int_not_equal(r, OUTCOME_UNKNOWN);
		assert_true(r == 0 ? work->is_made() : work->is_gone());
		assert_can_be_taken(work);
	}
}

static void lose_all(const struct work *work)
{
	lose_each_once(work);
	lose_all_after_each(work);
	lose_requests(work);
}

static void test_endpoint(void **state)
{
	static const struct work work = { make_endpoint, take_endpoint, endpoint_is_made,
					  endpoint_is_gone };
	struct route route = { prefix("198.51.100.0/24"), address("172.30.0.77") };

	(void)state;
	sandbox = sandbox_new();
	endpoint = endpoint_number(0, true);
	assert_int_equal(vector_append(&endpoint.routes, route), 0);
	lose_all(&work);
	/* isolated, and known to be */
	assert_int_equal(make_endpoint(), 0);
	lose("netlink.receive", 1, 1);
	assert_int_equal(cut_one(), 0);
	lose("netlink.receive", 1, ALWAYS);
	assert_int_equal(cut_one(), OUTCOME_UNKNOWN);
	assert_can_be_taken(&work);
	endpoint_clear(&endpoint);
	sandbox_close(&sandbox);
}

static const struct work bridge_work = { make_bridge, take_bridge, bridge_is_made, bridge_is_gone };

static void test_bridge(void **state)
{
	(void)state;
	other = bridge_config(true);
	other.name = "lk-other";
	other.ipv4 = subnet("172.31.0.0/16", "172.31.0.1");
	lose_all(&bridge_work);
}

static void test_bridge_adopted(void **state)
{
	(void)state;
	other = bridge_config(false);
	other.name = "lk-other";
	other.ipv4 = subnet("172.31.0.0/16", "172.31.0.1");
	other.adopt = true;
	IP_RUN(host_ns, "link", "add", "lk-other", "type", "bridge");
	lose_all(&bridge_work);
	IP_RUN(host_ns, "link", "del", "lk-other");
}

/* By name and alias: what another made under the name stays. */
static void test_owned(void **state)
{
	struct work work = { make_endpoint, take_endpoint, endpoint_is_made, endpoint_is_gone };

	(void)state;
	sandbox = sandbox_new();
	endpoint = endpoint_number(0, true);
	assert_int_equal(make_endpoint(), 0);
	assert_int_equal(link_endpoint_delete_owned(handle, "bv1", ALIAS "/endpoint0", &error), 0);
	assert_int_equal(link_endpoint_delete_owned(handle, "bv0", ALIAS "/other", &error), 0);
	assert_true(link_is_there(host_ns, "bv0"));
	lose("netlink.receive", 1, 1);
	assert_int_equal(link_endpoint_delete_owned(handle, "bv0", ALIAS "/endpoint0", &error), 1);
	assert_can_be_taken(&work);
	sandbox_close(&sandbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BRIDGE_TEST(test_endpoint),
		cmocka_unit_test(test_bridge),
		cmocka_unit_test(test_bridge_adopted),
		BRIDGE_TEST(test_owned),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
