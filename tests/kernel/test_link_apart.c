/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports that are isolated or locked: from each to each, and where the kernel can't. */
#include "link_stage.h"

static struct sandbox sandbox;
static struct endpoint endpoint;

static int setup(void **state)
{
	int r = stage_setup_bridge(state);

	sandbox = sandbox_new();
	endpoint = endpoint_number(0, true);
	return r;
}

static int teardown(void **state)
{
	int r;

	fault_hook = NULL;
	r = delete_one();
	sandbox_close(&sandbox);
	return r < 0 ? r : stage_teardown_bridge(state);
}

static bool flag_of(json_t *list, const char *key)
{
	json_t *info = json_object_get(json_array_get(list, 0), "linkinfo");

	return json_is_true(json_object_get(json_object_get(info, "info_slave_data"), key));
}

/* How often the bridge has the endpoint's MAC as one that is told it. */
static int known_macs(void)
{
	char command[160], mac[MAC_TEXT_MAX];

	snprintf(command, sizeof(command),
		 "test $(bridge fdb show dev bv0 | grep -c '%s.* sticky.* static') = 1",
		 mac_format(endpoint.mac, mac));
	return system(command) == 0;
}

static void assert_port(const struct link_apart *apart)
{
	json_t *list = IP(host_ns, "link", "show", "dev", "bv0");

	assert_int_equal(flag_of(list, "isolated"), apart->isolated);
	assert_int_equal(flag_of(list, "locked"), apart->locked);
	assert_int_equal(flag_of(list, "learning"), !apart->locked);
	assert_true(flag_of(list, "hairpin"));
	assert_int_equal(known_macs(), apart->locked);
	json_decref(list);
}

static const struct link_apart all[] = {
	{ false, false },
	{ true, false },
	{ false, true },
	{ true, true },
};

static int attach_apart(const struct link_apart *apart)
{
	struct link_endpoint_config config = endpoint_config(&endpoint);

	config.apart = *apart;
	error_clear(&error);
	return link_endpoint_create(handle, &sandbox, &config, &endpoint_made, &error);
}

static void test_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(attach_apart(&all[i]), 0);
		assert_port(&all[i]);
		assert_int_equal(delete_one(), 0);
	}
}

static void test_changed(void **state)
{
	const struct link_end end = end_of(&endpoint);

	(void)state;
	assert_int_equal(attach_apart(&all[0]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(all); j++) {
			/* twice, as after an answer that was lost */
			assert_int_equal(link_apart_set(handle, &end, &all[i], &error), 0);
			assert_int_equal(link_apart_set(handle, &end, &all[i], &error), 0);
			assert_port(&all[i]);
			assert_int_equal(link_apart_set(handle, &end, &all[j], &error), 0);
			assert_port(&all[j]);
		}
	}
}

static void test_gone(void **state)
{
	const struct link_end end = end_of(&endpoint);

	(void)state;
	assert_int_equal(link_apart_set(handle, &end, &all[3], &error), 0);
}

static int lack_step(const char *step)
{
	return strcmp(step, "link.apart.check") == 0 ? -EOPNOTSUPP : 0;
}

/* An older kernel takes the words that it does not know, and does nothing about them. */
static void test_lacking(void **state)
{
	(void)state;
	fault_hook = lack_step;
	assert_int_equal(attach_apart(&all[0]), 0);
	assert_int_equal(delete_one(), 0);
	for (size_t i = 1; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(attach_apart(&all[i]), -EOPNOTSUPP);
		assert_int_equal(error.reason, BN_REASON_UNSUPPORTED);
		assert_non_null(strstr(error.message, all[i].locked ? "anti-spoof" : "icc=no"));
		assert_non_null(strstr(error.message, endpoint.id));
		assert_false(link_is_there(host_ns, "bv0"));
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_made),
		TEST(test_changed),
		TEST(test_gone),
		TEST(test_lacking),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
