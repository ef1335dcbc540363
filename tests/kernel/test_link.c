/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bridges and endpoints in the real kernel; ip(8) is the judge. */
#include "link_stage.h"

#include <sched.h>
#include <sys/wait.h>

/* ---- bridges ---- */

static void test_bridge(void **state)
{
	struct bridge_config config = bridge_config(true);
	json_t *list, *link;

	(void)state;
	config.mtu = 1400;
	assert_int_equal(bridge_create(handle, &config, NULL, &error), 0);
	list = IP(host_ns, "link", "show", "dev", BRIDGE);
	link = json_array_get(list, 0);
	assert_string_equal(text_of(link, "address"), "02:42:ac:1e:00:01");
	assert_string_equal(text_of(link, "ifalias"), ALIAS);
	assert_int_equal(json_integer_value(json_object_get(link, "mtu")), 1400);
	assert_string_equal(text_of(json_object_get(link, "linkinfo"), "info_kind"), "bridge");
	assert_true(has_flag(link, "UP"));
	json_decref(list);
	assert_true(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	assert_true(has_address(host_ns, BRIDGE, "fd00:30::1", 64));
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet"), 1);
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/" BRIDGE "/forwarding"), 1);
	assert_int_equal(read_number("/proc/sys/net/ipv6/conf/" BRIDGE "/accept_ra"), 0);
	assert_int_equal(read_number("/proc/sys/net/ipv6/conf/" BRIDGE "/disable_ipv6"), 0);

	assert_int_equal(bridge_create(handle, &config, NULL, &error), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_INTERFACE_EXISTS);
	assert_non_null(strstr(error.message, BRIDGE));
	assert_true(has_address(host_ns, BRIDGE, "172.30.0.1", 16));

	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	assert_false(link_is_there(host_ns, BRIDGE));
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
}

static void test_bridge_ipv4_only(void **state)
{
	struct bridge_config config = bridge_config(false);

	(void)state;
	config.name = "lk.dot.10"; /* dots are no separators */
	assert_int_equal(bridge_create(handle, &config, NULL, &error), 0);
	assert_int_equal(read_number("/proc/sys/net/ipv6/conf/lk.dot.10/disable_ipv6"), 1);
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/lk.dot.10/route_localnet"), 1);
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
}

/* The MTU stays when ports with another come and go, and below 1280 there is no IPv6 at all. */
static void test_bridge_mtu(void **state)
{
	static const uint32_t sizes[] = { 576, 1500, 9000 };
	struct sandbox sandbox = sandbox_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bridge_config config = bridge_config(false);
		struct endpoint endpoint = endpoint_number(0, false);
		struct interface interface;

		config.mtu = endpoint.mtu = sizes[i];
		assert_int_equal(bridge_create(handle, &config, NULL, &error), 0);
		assert_int_equal(attach(&sandbox, &endpoint), 0);
		assert_int_equal(sandbox_interface_get(&sandbox, "eth0", 0, &interface, &error), 0);
		assert_int_equal(interface.mtu, sizes[i]);
		interface_clear(&interface);
		assert_int_equal(delete_one(), 0);
		assert_int_equal(link_interface_get(handle, BRIDGE, NULL, &interface, &error), 0);
		assert_int_equal(interface.mtu, sizes[i]);
		interface_clear(&interface);
		assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	}
	sandbox_close(&sandbox);
}

/* Someone deleted ours and made another of the same name. */
static void test_bridge_of_a_stranger(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	IP_RUN(host_ns, "link", "add", BRIDGE, "type", "bridge");
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	assert_true(link_is_there(host_ns, BRIDGE));
	IP_RUN(host_ns, "link", "del", BRIDGE);
}

/* ---- endpoints ---- */

static void test_endpoint(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	struct route *route = vector_push(&endpoint.routes);
	json_t *list, *link, *entry;
	char mac[MAC_TEXT_MAX];
	bool static_route = false, default_route = false;
	size_t i;

	(void)state;
	route->destination = prefix("10.8.0.0/16");
	route->gateway = address("172.30.0.9");
	assert_int_equal(attach(&sandbox, &endpoint), 0);

	list = IP(host_ns, "link", "show", "dev", "bv0");
	link = json_array_get(list, 0);
	assert_string_equal(text_of(link, "ifalias"), ALIAS "/endpoint0");
	assert_string_equal(text_of(link, "master"), BRIDGE);
	assert_string_equal(text_of(link, "group"), "default");
	assert_string_equal(
		text_of(json_object_get(json_object_get(link, "linkinfo"), "info_slave_data"),
			"state"),
		"forwarding");
	assert_int_equal(json_integer_value(json_object_get(link, "num_tx_queues")), 1);
	json_decref(list);

	list = IP(sandbox.fd, "link", "show", "dev", "eth0");
	link = json_array_get(list, 0);
	assert_string_equal(text_of(link, "address"), mac_format(endpoint.mac, mac));
	assert_string_equal(text_of(link, "operstate"), "UP");
	assert_int_equal(json_integer_value(json_object_get(link, "num_rx_queues")), 1);
	json_decref(list);
	assert_true(has_address(sandbox.fd, "eth0", "172.30.0.2", 16));
	assert_true(has_address(sandbox.fd, "eth0", "fd00:30::2", 64));
	assert_true(has_address(sandbox.fd, "lo", "127.0.0.1", 8));

	list = IP(sandbox.fd, "route", "show");
	json_array_foreach(list, i, entry)
	{
		static_route |= strcmp(text_of(entry, "dst"), "10.8.0.0/16") == 0 &&
				strcmp(text_of(entry, "gateway"), "172.30.0.9") == 0;
		default_route |= strcmp(text_of(entry, "dst"), "default") == 0 &&
				 strcmp(text_of(entry, "gateway"), "172.30.0.1") == 0;
	}
	assert_true(static_route && default_route);
	json_decref(list);
	list = IP(sandbox.fd, "-6", "route", "show", "default");
	assert_string_equal(text_of(json_array_get(list, 0), "gateway"), "fd00:30::1");
	json_decref(list);

	assert_int_equal(delete_one(), 0);
	assert_false(link_is_there(host_ns, "bv0"));
	assert_false(link_is_there(sandbox.fd, "eth0"));
	assert_int_equal(delete_one(), 0);
	endpoint_clear(&endpoint);
	sandbox_close(&sandbox);
}

/* Docker and others turn IPv6 off in new namespaces: then it is turned on for this interface. */
static void test_endpoint_where_ipv6_is_off(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);

	(void)state;
	assert_int_equal(setns(sandbox.fd, CLONE_NEWNET), 0);
	write_number("/proc/sys/net/ipv6/conf/default/disable_ipv6", 1);
	assert_int_equal(setns(host_ns, CLONE_NEWNET), 0);
	assert_int_equal(attach(&sandbox, &endpoint), 0);
	assert_true(has_address(sandbox.fd, "eth0", "fd00:30::2", 64));
	assert_int_equal(delete_one(), 0);
	sandbox_close(&sandbox);
}

static void assert_nothing_left(const struct sandbox *sandbox, const char *name)
{
	assert_false(link_is_there(host_ns, name));
	assert_int_equal(link_count(sandbox->fd), 1);
}

static void test_endpoint_refused(void **state)
{
	struct sandbox sandbox = sandbox_new(), broken = { .fd = -1, .path = "/dev/null" };
	struct endpoint endpoint = endpoint_number(0, true);
	struct link_endpoint_config config = endpoint_config(&endpoint);

	(void)state;
	/* taken inside */
	IP_RUN(sandbox.fd, "link", "add", "eth0", "type", "bridge");
	assert_int_equal(attach(&sandbox, &endpoint), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_INTERFACE_EXISTS);
	assert_non_null(strstr(error.message, "eth0 exists already in namespace"));
	IP_RUN(sandbox.fd, "link", "del", "eth0");
	assert_nothing_left(&sandbox, "bv0");

	/* taken on the host, by a stranger who is left alone */
	IP_RUN(host_ns, "link", "add", "bv0", "type", "bridge");
	assert_int_equal(attach(&sandbox, &endpoint), -EEXIST);
	assert_non_null(strstr(error.message, "bv0"));
	assert_int_equal(delete_one(), 0);
	assert_true(link_is_there(host_ns, "bv0"));
	IP_RUN(host_ns, "link", "del", "bv0");
	assert_nothing_left(&sandbox, "bv0");

	config.bridge = "lk-none";
	config.bridge_index = 999999;
	assert_int_equal(link_endpoint_create(handle, &sandbox, &config, &endpoint_made, &error),
			 -ENODEV);
	assert_non_null(strstr(error.message, "lk-none"));
	assert_nothing_left(&sandbox, "bv0");

	config.bridge = "lo";
	config.bridge_index = 1;
	assert_int_equal(link_endpoint_create(handle, &sandbox, &config, &endpoint_made, &error),
			 -EINVAL);
	assert_int_equal(error.reason, BN_REASON_BRIDGE_INVALID);
	assert_nothing_left(&sandbox, "bv0");

	endpoint.mac[0] = 0x03; /* multicast */
	assert_int_equal(attach(&sandbox, &endpoint), -EINVAL);
	assert_non_null(strstr(error.message, "03:42:ac:1e:00:02"));
	assert_nothing_left(&sandbox, "bv0");
	endpoint.mac[0] = 0x02;

	broken.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(attach(&broken, &endpoint), -EINVAL);
	sandbox_close(&broken);
	assert_nothing_left(&sandbox, "bv0");

	link_deadline = (struct deadline){ .end = 1 };
	assert_int_equal(attach(&sandbox, &endpoint), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	link_deadline = (struct deadline){ 0 };
	assert_nothing_left(&sandbox, "bv0");
	sandbox_close(&sandbox);
}

/* A second network's endpoint may get the better default route; when it fails, the first's is
 * unchanged. */
static void test_default_route_survives_a_failure(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint first = endpoint_number(0, false), second = endpoint_number(1, false);
	struct route *route = vector_push(&second.routes);
	json_t *list;

	(void)state;
	assert_int_equal(attach(&sandbox, &first), 0);
	string_copy(second.interface, IFNAMSIZ, "eth1");
	second.metric_ipv4 = second.metric_ipv6 = first.metric_ipv4 - 1;
	route->destination = prefix("10.8.0.0/16");
	route->gateway = address("198.51.100.1"); /* nowhere */
	assert_int_equal(attach(&sandbox, &second), -ENETUNREACH);
	assert_non_null(strstr(error.message, "10.8.0.0/16"));
	assert_string_not_equal(error.kernel, "");
	assert_false(link_is_there(host_ns, "bv1"));
	list = IP(sandbox.fd, "route", "show", "default");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_of(json_array_get(list, 0), "dev"), "eth0");
	json_decref(list);
	assert_int_equal(delete_one(), 0);
	endpoint_clear(&second);
	sandbox_close(&sandbox);
}

static char fault_step[64];
static int fault_met;

static int fault_at_step(const char *step)
{
	if (strcmp(step, fault_step) != 0)
		return 0;
	fault_met++;
	return -EIO;
}

/* What is the first interface of its sandbox is made in fewer steps. */
static void let_go_of_first_index(const struct sandbox *sandbox)
{
	IP_RUN(sandbox->fd, "link", "add", "first", "type", "bridge");
	IP_RUN(sandbox->fd, "link", "del", "first");
}

static void test_failure_at_each_step(void **state)
{
	static const char *const steps[] = {
		"link.endpoint.create",  "link.endpoint.mark", "link.endpoint.enter",
		"link.endpoint.address", "link.route.default",
	};
	static const char *const bridge_steps[] = {
		"link.bridge.create",
		"link.bridge.sysctl",
		"link.bridge.mark",
		"link.bridge.address",
	};
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	struct bridge_config other = bridge_config(false);

	(void)state;
	let_go_of_first_index(&sandbox);
	fault_hook = fault_at_step;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		fault_met = 0;
		string_copy(fault_step, sizeof(fault_step), steps[i]);
		assert_int_equal(attach(&sandbox, &endpoint), -EIO);
		assert_int_equal(fault_met, 1);
		assert_nothing_left(&sandbox, "bv0");
	}
	other.name = "lk-other";
	other.ipv4 = subnet("172.31.0.0/16", "172.31.0.1");
	for (size_t i = 0; i < ARRAY_SIZE(bridge_steps); i++) {
		fault_met = 0;
		string_copy(fault_step, sizeof(fault_step), bridge_steps[i]);
		assert_int_equal(bridge_create(handle, &other, NULL, &error), -EIO);
		assert_int_equal(fault_met, 1);
		assert_false(link_is_there(host_ns, "lk-other"));
	}
	fault_hook = NULL;
	sandbox_close(&sandbox);
}

static int die_at_step(const char *step)
{
	if (strcmp(step, fault_step) == 0)
		_exit(42);
	return 0;
}

/* In a process of its own, which is gone when it comes to the step. */
static void die_while(const char *step, const struct sandbox *sandbox,
		      const struct endpoint *endpoint, const struct bridge_config *config)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		string_copy(fault_step, sizeof(fault_step), step);
		fault_hook = die_at_step;
		if (config)
			bridge_create(handle, config, NULL, &error);
		else
			attach(sandbox, endpoint);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 42);
}

/* What a dead process left half made is known for ours and can be deleted. */
static void test_death_at_each_step(void **state)
{
	static const char *const steps[] = {
		"link.endpoint.mark",
		"link.endpoint.enter",
		"link.endpoint.address",
		"link.route.default",
	};
	static const char *const bridge_steps[] = {
		"link.bridge.sysctl",
		"link.bridge.mark",
		"link.bridge.address",
	};
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	struct bridge_config other = bridge_config(false);

	(void)state;
	let_go_of_first_index(&sandbox);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		die_while(steps[i], &sandbox, &endpoint, NULL);
		assert_true(link_is_there(host_ns, "bv0"));
		assert_int_equal(delete_one(), 0);
		assert_nothing_left(&sandbox, "bv0");
	}
	other.name = "lk-other";
	other.ipv4 = subnet("172.31.0.0/16", "172.31.0.1");
	for (size_t i = 0; i < ARRAY_SIZE(bridge_steps); i++) {
		die_while(bridge_steps[i], NULL, NULL, &other);
		assert_true(link_is_there(host_ns, "lk-other"));
		assert_int_equal(bridge_delete(handle, &other, NULL, &error), 0);
		assert_false(link_is_there(host_ns, "lk-other"));
	}
	sandbox_close(&sandbox);
}

/* Without IPv6 neither end has a link-local address, nor a reason to speak of IPv6. */
static void test_endpoint_ipv4_only(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, false);
	json_t *list;

	(void)state;
	assert_int_equal(attach(&sandbox, &endpoint), 0);
	list = IP(host_ns, "-6", "addr", "show", "dev", "bv0");
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "addr_info")), 0);
	json_decref(list);
	list = IP(sandbox.fd, "addr", "show", "dev", "eth0");
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "addr_info")), 1);
	json_decref(list);
	assert_int_equal(delete_one(), 0);
	sandbox_close(&sandbox);
}

static void test_cut(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, false);
	json_t *list;

	(void)state;
	assert_int_equal(attach(&sandbox, &endpoint), 0);
	assert_int_equal(cut_one(), 0);
	list = IP(host_ns, "link", "show", "dev", "bv0");
	assert_string_equal(text_of(json_array_get(list, 0), "master"), "");
	assert_false(has_flag(json_array_get(list, 0), "UP"));
	json_decref(list);
	assert_int_equal(delete_one(), 0);
	assert_int_equal(cut_one(), 0);
	sandbox_close(&sandbox);
}

static void test_loopback(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct link_visit *visit;

	(void)state;
	assert_false(has_address(sandbox.fd, "lo", "127.0.0.1", 8));
	assert_int_equal(link_visit_start(handle, &sandbox, &visit, &error), 0);
	assert_int_equal(link_loopback_up(&sandbox, visit, &error), 0);
	link_visit_close(visit);
	assert_true(has_address(sandbox.fd, "lo", "127.0.0.1", 8));
	assert_int_equal(link_count(sandbox.fd), 1);
	sandbox_close(&sandbox);
}

/* ---- what is left of it all in the process ---- */

static void test_no_descriptor_and_no_thread_left(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	size_t fds, threads;

	(void)state;
	link_deletions_await(handle);
	fds = entries("/proc/self/fd");
	threads = entries("/proc/self/task");
	for (int i = 0; i < 5; i++) {
		struct interface interface;

		assert_int_equal(attach(&sandbox, &endpoint), 0);
		assert_int_equal(sandbox_interface_get(&sandbox, "eth0", 0, &interface, &error), 0);
		interface_clear(&interface);
		assert_int_equal(delete_one(), 0);
		string_copy(fault_step, sizeof(fault_step), "link.endpoint.address");
		fault_hook = fault_at_step;
		assert_int_equal(attach(&sandbox, &endpoint), -EIO);
		fault_hook = NULL;
	}
	link_deletions_await(handle);
	assert_int_equal(entries("/proc/self/fd"), fds);
	assert_int_equal(entries("/proc/self/task"), threads);
	sandbox_close(&sandbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bridge),
		cmocka_unit_test(test_bridge_ipv4_only),
		cmocka_unit_test(test_bridge_mtu),
		cmocka_unit_test(test_bridge_of_a_stranger),
		BRIDGE_TEST(test_endpoint),
		BRIDGE_TEST(test_endpoint_ipv4_only),
		BRIDGE_TEST(test_endpoint_where_ipv6_is_off),
		BRIDGE_TEST(test_endpoint_refused),
		BRIDGE_TEST(test_default_route_survives_a_failure),
		BRIDGE_TEST(test_failure_at_each_step),
		BRIDGE_TEST(test_death_at_each_step),
		BRIDGE_TEST(test_cut),
		cmocka_unit_test(test_loopback),
		BRIDGE_TEST(test_no_descriptor_and_no_thread_left),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
