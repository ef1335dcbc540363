/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bridge of somebody else's, which is used and is left as it was. */
#include "link_stage.h"

/* With all that is found before, and given back after. */
static void adopt_and_leave(const struct bridge_config *config, int localnet)
{
	static const char path[] = "/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet";
	char *found = NULL;

	assert_int_equal(host_found(handle, true, true, BRIDGE, false, &found, &error), 0);
	assert_int_equal(bridge_create(handle, config, NULL, &error), 0);
	assert_true(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	assert_true(has_address(host_ns, BRIDGE, "fd00:30::1", 64));
	assert_int_equal(read_number(path), 1);
	assert_int_equal(bridge_delete(handle, config, NULL, &error), 0);
	assert_false(has_address(host_ns, BRIDGE, "fd00:30::1", 64));
	assert_int_equal(host_give_back(handle, found, true, true, &error), 0);
	assert_int_equal(read_number(path), localnet);
	free(found);
}

static void test_bridge_adopted(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	config.adopt = true;
	assert_int_equal(bridge_create(handle, &config, NULL, &error), -ENODEV);
	IP_RUN(host_ns, "link", "add", BRIDGE, "type", "veth");
	assert_int_equal(bridge_create(handle, &config, NULL, &error), -EINVAL);
	assert_int_equal(error.reason, BN_REASON_BRIDGE_INVALID);
	assert_non_null(strstr(error.message, "veth"));
	IP_RUN(host_ns, "link", "del", BRIDGE);

	IP_RUN(host_ns, "link", "add", BRIDGE, "mtu", "1450", "type", "bridge");
	IP_RUN(host_ns, "addr", "add", "172.30.0.1/16", "dev", BRIDGE);
	IP_RUN(host_ns, "addr", "add", "10.77.0.1/24", "dev", BRIDGE);
	adopt_and_leave(&config, 0);
	/* what was there stays, what we added went */
	assert_true(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	assert_true(has_address(host_ns, BRIDGE, "10.77.0.1", 24));
	write_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet", 1);
	IP_RUN(host_ns, "addr", "del", "172.30.0.1/16", "dev", BRIDGE);
	adopt_and_leave(&config, 1);
	assert_false(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	IP_RUN(host_ns, "link", "del", BRIDGE);
}

/* What the version before had set, which marked it by a name. */
static void test_bridge_adopted_before(void **state)
{
	struct bridge_config config = bridge_config(true);
	json_t *list;

	(void)state;
	config.adopt = true;
	IP_RUN(host_ns, "link", "add", BRIDGE, "type", "bridge");
	IP_RUN(host_ns, "link", "property", "add", "dev", BRIDGE, "altname",
	       "bridgenet-route-localnet-" BRIDGE);
	write_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet", 1);
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet"), 0);
	list = IP(host_ns, "link", "show", "dev", BRIDGE);
	assert_null(json_object_get(json_array_get(list, 0), "altnames"));
	json_decref(list);
	IP_RUN(host_ns, "link", "del", BRIDGE);
}

#define ACCEPT_RA "/proc/sys/net/ipv6/conf/" BRIDGE "/accept_ra"

/* One that has but ports of ours takes no router advertisements meanwhile; by another the host may
 * learn of its routers, and then it is said who else can send some. */
static void test_bridge_adopted_and_advertisements(void **state)
{
	struct bridge_config config = bridge_config(true);
	char note[LINK_NOTE_MAX] = "?", *found = NULL;

	(void)state;
	config.adopt = true;
	IP_RUN(host_ns, "link", "add", BRIDGE, "type", "bridge");
	IP_RUN(host_ns, "link", "add", "lk-left", "type", "veth", "peer", "name", "lk-right");
	IP_RUN(host_ns, "link", "set", "lk-left", "alias", "bridgenet:0123456789ab/one", "master",
	       BRIDGE);
	for (int accepted = 0; accepted < 3; accepted++) {
		write_number(ACCEPT_RA, accepted);
		assert_int_equal(host_found(handle, true, true, BRIDGE, false, &found, &error), 0);
		assert_int_equal(bridge_create(handle, &config, note, &error), 0);
		assert_string_equal(note, "");
		assert_int_equal(read_number(ACCEPT_RA), 0);
		assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
		assert_int_equal(host_give_back(handle, found, true, true, &error), 0);
		assert_int_equal(read_number(ACCEPT_RA), accepted);
		free(found);
	}
	/* set by somebody since */
	assert_int_equal(host_found(handle, true, true, BRIDGE, false, &found, &error), 0);
	assert_int_equal(bridge_create(handle, &config, note, &error), 0);
	write_number(ACCEPT_RA, 1);
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	assert_int_equal(host_give_back(handle, found, true, true, &error), 0);
	assert_int_equal(read_number(ACCEPT_RA), 1);
	free(found);

	IP_RUN(host_ns, "link", "set", "lk-left", "alias", "uplink");
	for (int accepted = 0; accepted < 3; accepted++) {
		write_number(ACCEPT_RA, accepted);
		assert_int_equal(bridge_create(handle, &config, note, &error), 0);
		assert_int_equal(read_number(ACCEPT_RA), accepted);
		assert_int_equal(strstr(note, "net.ipv6.conf." BRIDGE ".accept_ra=0") != NULL,
				 accepted > 0);
		assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	}
	/* as a router it takes none */
	write_number("/proc/sys/net/ipv6/conf/" BRIDGE "/forwarding", 1);
	write_number(ACCEPT_RA, 1);
	assert_int_equal(bridge_create(handle, &config, note, &error), 0);
	assert_string_equal(note, "");
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	IP_RUN(host_ns, "link", "del", "lk-left");
	IP_RUN(host_ns, "link", "del", BRIDGE);
}

static int time_is_up(const char *step)
{
	if (strcmp(step, "link.bridge.localnet") != 0)
		return 0;
	link_deadline.end = 1;
	return -ETIMEDOUT;
}

/* What ran out of time has time to take back what it did. */
static void test_bridge_adopted_out_of_time(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	config.adopt = true;
	IP_RUN(host_ns, "link", "add", BRIDGE, "type", "bridge");
	fault_hook = time_is_up;
	assert_int_equal(bridge_create(handle, &config, NULL, &error), -ETIMEDOUT);
	fault_hook = NULL;
	link_deadline = (struct deadline){ 0 };
	assert_false(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	assert_false(has_address(host_ns, BRIDGE, "fd00:30::1", 64));
	IP_RUN(host_ns, "link", "del", BRIDGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bridge_adopted),
		cmocka_unit_test(test_bridge_adopted_before),
		cmocka_unit_test(test_bridge_adopted_and_advertisements),
		cmocka_unit_test(test_bridge_adopted_out_of_time),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
