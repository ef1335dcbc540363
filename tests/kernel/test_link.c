/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links in the real kernel, in a network namespace of the test's own; ip(8) is the judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it */
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link/link.h"
#include "model/fault.h"

#define BRIDGE "lk-bridge"
#define ALIAS "bridgenet:0123456789ab"
#define FIRST_PACKET_ROUNDS 200
#define FIRST_PACKET_MS 100
#define MANY 1000
#define LIMIT_PORTS 1023                /* of a bridge */

static struct link_handle *handle;
static struct error error;
static int host_ns = -1;

/* ---- namespaces, ip(8) ---- */

static void *namespace_thread(void *argument)
{
	int *fd = argument;

	*fd = unshare(CLONE_NEWNET) < 0 ? -1 : open("/proc/thread-self/ns/net",
						    O_RDONLY | O_CLOEXEC);
	return NULL;
}

static struct sandbox sandbox_new(void)
{
	struct sandbox sandbox = {.fd = -1};
	pthread_t thread;
	int fd = -1;

	assert_int_equal(pthread_create(&thread, NULL, namespace_thread, &fd), 0);
	pthread_join(thread, NULL);
	assert_true(fd >= 0);
	assert_int_equal(sandbox_open_fd(fd, &sandbox, &error), 0);
	close(fd);
	return sandbox;
}

/* ip(8) in a namespace, its output parsed; NULL if it failed or said nothing. */
static json_t *ip_json(int ns, const char *const *arguments)
{
	static char text[4 << 20];
	size_t len = 0;
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (setns(ns, CLONE_NEWNET) < 0 || dup2(pipes[1], 1) < 0)
			_exit(126);
		close(2);
		execvp("ip", (char *const *)arguments);
		_exit(127);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(pipes[0]);
	text[len] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0 ? json_loads(text, 0, NULL) : NULL;
}
#define IP(ns, ...) ip_json(ns, (const char *const[]){"ip", "-j", "-d", __VA_ARGS__, NULL})

static void ip_run(int ns, const char *const *arguments)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setns(ns, CLONE_NEWNET) < 0)
			_exit(126);
		execvp("ip", (char *const *)arguments);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
#define IP_RUN(ns, ...) ip_run(ns, (const char *const[]){"ip", __VA_ARGS__, NULL})

static bool link_is_there(int ns, const char *name)
{
	json_t *list = IP(ns, "link", "show", "dev", name);
	bool there = list != NULL;

	json_decref(list);
	return there;
}

static size_t link_count(int ns)
{
	json_t *list = IP(ns, "link", "show");
	size_t count = json_array_size(list);

	json_decref(list);
	return count;
}

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* "172.30.0.2/16" is on the interface; its broadcast and protocol by the way. */
static bool has_address(int ns, const char *interface, const char *address, unsigned int len)
{
	json_t *list = IP(ns, "addr", "show", "dev", interface), *entry;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(json_array_get(list, 0), "addr_info"), i, entry) {
		if (strcmp(text_of(entry, "local"), address) == 0 &&
		    json_integer_value(json_object_get(entry, "prefixlen")) == len)
			found = !json_object_get(entry, "tentative");
	}
	json_decref(list);
	return found;
}

static bool has_flag(json_t *link, const char *flag)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(link, "flags"), i, entry) {
		if (strcmp(json_string_value(entry), flag) == 0)
			return true;
	}
	return false;
}

static int read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static void write_number(const char *path, int value)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file, "%d", value);
	assert_int_equal(fclose(file), 0);
}

static size_t entries(const char *path)
{
	DIR *directory = opendir(path);
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* ---- values ---- */

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static struct prefix prefix(const char *text)
{
	struct prefix value;

	assert_int_equal(prefix_parse(text, &value), 0);
	return value;
}

static struct subnet subnet(const char *cidr, const char *gateway)
{
	return (struct subnet){.prefix = prefix(cidr), .gateway = address(gateway)};
}

static struct bridge_config bridge_config(bool ipv6)
{
	struct bridge_config config = {
		.name = BRIDGE, .alias = ALIAS, .mtu = 1500,
		.ipv4 = subnet("172.30.0.0/16", "172.30.0.1"),
	};

	if (ipv6)
		config.ipv6 = subnet("fd00:30::/64", "fd00:30::1");
	return config;
}

static struct endpoint endpoint_number(unsigned int n, bool ipv6)
{
	struct endpoint endpoint = {.network = "lk", .interface = "eth0", .mtu = 1500};
	char text[PREFIX_TEXT_MAX];

	snprintf(endpoint.id, sizeof(endpoint.id), "endpoint%u", n);
	snprintf(endpoint.host_interface, IFNAMSIZ, "bv%u", n);
	snprintf(text, sizeof(text), "172.30.%u.%u/16", (n + 2) / 256, (n + 2) % 256);
	endpoint.ipv4 = prefix(text);
	mac_from_addr(&endpoint.ipv4.addr, endpoint.mac);
	if (ipv6) {
		snprintf(text, sizeof(text), "fd00:30::%x/64", n + 2);
		endpoint.ipv6 = prefix(text);
	}
	return endpoint;
}

static struct link_endpoint_config endpoint_config(const struct endpoint *endpoint)
{
	struct link_endpoint_config config = {
		.endpoint = endpoint, .bridge = BRIDGE, .alias = ALIAS "/endpoint",
		.gateway_ipv4 = address("172.30.0.1"),
	};

	if (endpoint->ipv6.addr.family)
		config.gateway_ipv6 = address("fd00:30::1");
	return config;
}

static int attach(const struct sandbox *sandbox, const struct endpoint *endpoint)
{
	struct link_endpoint_config config = endpoint_config(endpoint);

	error_clear(&error);
	return link_endpoint_create(handle, sandbox, &config, &error);
}

static int delete_one(const char *name)
{
	return link_endpoints_delete(handle, &name, 1, &error);
}

/* bv0, bv1, ... in one call */
static void delete_numbered(unsigned int count)
{
	static char names[MANY][IFNAMSIZ];
	static const char *pointers[MANY];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(names[i], IFNAMSIZ, "bv%u", i);
		pointers[i] = names[i];
	}
	assert_int_equal(link_endpoints_delete(handle, pointers, count, &error), 0);
}

/* ---- fixtures ---- */

static int setup_group(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	host_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	IP_RUN(host_ns, "link", "set", "lo", "up");
	return host_ns < 0 ? -1 : link_open(&handle, NULL);
}

static int teardown_group(void **state)
{
	(void)state;
	link_close(handle);
	close(host_ns);
	return 0;
}

static int setup_bridge(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	error_clear(&error);
	fault_hook = NULL;
	link_set_deadline(handle, 0);
	return bridge_create(handle, &config, &error);
}

static int teardown_bridge(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	fault_hook = NULL;
	link_set_deadline(handle, 0);
	return bridge_delete(handle, &config, &error);
}

/* ---- bridges ---- */

static void test_bridge(void **state)
{
	struct bridge_config config = bridge_config(true);
	json_t *list, *link;

	(void)state;
	config.mtu = 1400;
	assert_int_equal(bridge_create(handle, &config, &error), 0);
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
	assert_int_equal(read_number("/proc/sys/net/ipv6/conf/" BRIDGE "/accept_ra"), 0);
	assert_int_equal(read_number("/proc/sys/net/ipv6/conf/" BRIDGE "/disable_ipv6"), 0);

	assert_int_equal(bridge_create(handle, &config, &error), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_INTERFACE_EXISTS);
	assert_non_null(strstr(error.message, BRIDGE));
	assert_true(has_address(host_ns, BRIDGE, "172.30.0.1", 16));

	assert_int_equal(bridge_delete(handle, &config, &error), 0);
	assert_false(link_is_there(host_ns, BRIDGE));
	assert_int_equal(bridge_delete(handle, &config, &error), 0);
}

static void test_bridge_ipv4_only(void **state)
{
	struct bridge_config config = bridge_config(false);

	(void)state;
	config.name = "lk.dot.10";      /* dots are no separators */
	assert_int_equal(bridge_create(handle, &config, &error), 0);
	assert_int_equal(read_number("/proc/sys/net/ipv6/conf/lk.dot.10/disable_ipv6"), 1);
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/lk.dot.10/route_localnet"), 1);
	assert_int_equal(bridge_delete(handle, &config, &error), 0);
}

/* The MTU stays when ports with another come and go, and below 1280 there is no IPv6 at all. */
static void test_bridge_mtu(void **state)
{
	static const uint32_t sizes[] = {576, 1500, 9000};
	struct sandbox sandbox = sandbox_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bridge_config config = bridge_config(false);
		struct endpoint endpoint = endpoint_number(0, false);
		struct interface interface;

		config.mtu = endpoint.mtu = sizes[i];
		assert_int_equal(bridge_create(handle, &config, &error), 0);
		assert_int_equal(attach(&sandbox, &endpoint), 0);
		assert_int_equal(sandbox_interface_get(&sandbox, "eth0", 0, &interface, &error), 0);
		assert_int_equal(interface.mtu, sizes[i]);
		interface_clear(&interface);
		assert_int_equal(delete_one("bv0"), 0);
		assert_int_equal(link_interface_get(handle, BRIDGE, &interface, &error), 0);
		assert_int_equal(interface.mtu, sizes[i]);
		interface_clear(&interface);
		assert_int_equal(bridge_delete(handle, &config, &error), 0);
	}
	sandbox_close(&sandbox);
}

/* Someone deleted ours and made another of the same name. */
static void test_bridge_of_a_stranger(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	IP_RUN(host_ns, "link", "add", BRIDGE, "type", "bridge");
	assert_int_equal(bridge_delete(handle, &config, &error), 0);
	assert_true(link_is_there(host_ns, BRIDGE));
	IP_RUN(host_ns, "link", "del", BRIDGE);
}

static void test_bridge_adopted(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	config.adopt = true;
	assert_int_equal(bridge_create(handle, &config, &error), -ENODEV);
	IP_RUN(host_ns, "link", "add", BRIDGE, "type", "veth");
	assert_int_equal(bridge_create(handle, &config, &error), -EINVAL);
	assert_int_equal(error.reason, BN_REASON_BRIDGE_INVALID);
	assert_non_null(strstr(error.message, "veth"));
	IP_RUN(host_ns, "link", "del", BRIDGE);

	IP_RUN(host_ns, "link", "add", BRIDGE, "mtu", "1450", "type", "bridge");
	IP_RUN(host_ns, "addr", "add", "172.30.0.1/16", "dev", BRIDGE);
	IP_RUN(host_ns, "addr", "add", "10.77.0.1/24", "dev", BRIDGE);
	assert_int_equal(bridge_create(handle, &config, &error), 0);
	assert_true(has_address(host_ns, BRIDGE, "fd00:30::1", 64));
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet"), 1);
	assert_int_equal(bridge_delete(handle, &config, &error), 0);
	/* what was there stays, what we added went */
	assert_true(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	assert_true(has_address(host_ns, BRIDGE, "10.77.0.1", 24));
	assert_false(has_address(host_ns, BRIDGE, "fd00:30::1", 64));
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet"), 0);

	write_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet", 1);
	IP_RUN(host_ns, "addr", "del", "172.30.0.1/16", "dev", BRIDGE);
	assert_int_equal(bridge_create(handle, &config, &error), 0);
	assert_true(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	assert_int_equal(bridge_delete(handle, &config, &error), 0);
	assert_false(has_address(host_ns, BRIDGE, "172.30.0.1", 16));
	assert_int_equal(read_number("/proc/sys/net/ipv4/conf/" BRIDGE "/route_localnet"), 1);
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
	assert_string_equal(text_of(link, "ifalias"), ALIAS "/endpoint");
	assert_string_equal(text_of(link, "master"), BRIDGE);
	assert_string_equal(text_of(link, "group"), "default");
	assert_string_equal(text_of(json_object_get(json_object_get(link, "linkinfo"),
						    "info_slave_data"), "state"), "forwarding");
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
	json_array_foreach(list, i, entry) {
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

	assert_int_equal(delete_one("bv0"), 0);
	assert_false(link_is_there(host_ns, "bv0"));
	assert_false(link_is_there(sandbox.fd, "eth0"));
	assert_int_equal(delete_one("bv0"), 0);
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
	assert_int_equal(delete_one("bv0"), 0);
	sandbox_close(&sandbox);
}

static void assert_nothing_left(const struct sandbox *sandbox, const char *name)
{
	assert_false(link_is_there(host_ns, name));
	assert_int_equal(link_count(sandbox->fd), 1);
}

static void test_endpoint_refused(void **state)
{
	struct sandbox sandbox = sandbox_new(), broken = {.fd = -1, .path = "/dev/null"};
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
	assert_int_equal(delete_one("bv0"), 0);
	assert_true(link_is_there(host_ns, "bv0"));
	IP_RUN(host_ns, "link", "del", "bv0");
	assert_nothing_left(&sandbox, "bv0");

	config.bridge = "lk-none";
	assert_int_equal(link_endpoint_create(handle, &sandbox, &config, &error), -ENODEV);
	assert_non_null(strstr(error.message, "lk-none"));
	assert_nothing_left(&sandbox, "bv0");

	config.bridge = "lo";
	assert_int_equal(link_endpoint_create(handle, &sandbox, &config, &error), -EINVAL);
	assert_int_equal(error.reason, BN_REASON_BRIDGE_INVALID);
	assert_nothing_left(&sandbox, "bv0");

	endpoint.mac[0] = 0x03;         /* multicast */
	assert_int_equal(attach(&sandbox, &endpoint), -EINVAL);
	assert_non_null(strstr(error.message, "03:42:ac:1e:00:02"));
	assert_nothing_left(&sandbox, "bv0");
	endpoint.mac[0] = 0x02;

	broken.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(attach(&broken, &endpoint), -EINVAL);
	sandbox_close(&broken);
	assert_nothing_left(&sandbox, "bv0");

	link_set_deadline(handle, 1);
	assert_int_equal(attach(&sandbox, &endpoint), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	link_set_deadline(handle, 0);
	assert_nothing_left(&sandbox, "bv0");
	sandbox_close(&sandbox);
}

/* A second network's endpoint takes the default route; when it fails, the first's is unchanged. */
static void test_default_route_survives_a_failure(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint first = endpoint_number(0, false), second = endpoint_number(1, false);
	struct route *route = vector_push(&second.routes);
	struct addr gateway = address("172.30.0.77");
	json_t *list;

	(void)state;
	assert_int_equal(attach(&sandbox, &first), 0);
	string_copy(second.interface, IFNAMSIZ, "eth1");
	route->destination = prefix("10.8.0.0/16");
	route->gateway = address("198.51.100.1");       /* nowhere */
	assert_int_equal(attach(&sandbox, &second), -ENETUNREACH);
	assert_non_null(strstr(error.message, "10.8.0.0/16"));
	assert_string_not_equal(error.kernel, "");
	assert_false(link_is_there(host_ns, "bv1"));
	list = IP(sandbox.fd, "route", "show", "default");
	assert_string_equal(text_of(json_array_get(list, 0), "dev"), "eth0");
	json_decref(list);

	assert_int_equal(link_set_default_route(&sandbox, "eth0", &gateway, 0, &error), 0);
	list = IP(sandbox.fd, "route", "show", "default");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_of(json_array_get(list, 0), "gateway"), "172.30.0.77");
	json_decref(list);
	assert_int_equal(link_set_default_route(&sandbox, "eth7", &gateway, 0, &error), -ENODEV);

	assert_int_equal(delete_one("bv0"), 0);
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

static void test_failure_at_each_step(void **state)
{
	static const char *const steps[] = {
		"link.endpoint.create", "link.endpoint.join", "link.endpoint.enter",
		"link.endpoint.address", "link.route.default",
	};
	static const char *const bridge_steps[] = {
		"link.bridge.create", "link.bridge.sysctl", "link.bridge.mark",
		"link.bridge.address",
	};
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	struct bridge_config other = bridge_config(false);

	(void)state;
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
		assert_int_equal(bridge_create(handle, &other, &error), -EIO);
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
			bridge_create(handle, config, &error);
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
		"link.endpoint.join", "link.endpoint.enter", "link.endpoint.address",
		"link.route.default",
	};
	static const char *const bridge_steps[] = {
		"link.bridge.sysctl", "link.bridge.mark", "link.bridge.address",
	};
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	struct bridge_config other = bridge_config(false);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		die_while(steps[i], &sandbox, &endpoint, NULL);
		assert_true(link_is_there(host_ns, "bv0"));
		assert_int_equal(delete_one("bv0"), 0);
		assert_nothing_left(&sandbox, "bv0");
	}
	other.name = "lk-other";
	other.ipv4 = subnet("172.31.0.0/16", "172.31.0.1");
	for (size_t i = 0; i < ARRAY_SIZE(bridge_steps); i++) {
		die_while(bridge_steps[i], NULL, NULL, &other);
		assert_true(link_is_there(host_ns, "lk-other"));
		assert_int_equal(bridge_delete(handle, &other, &error), 0);
		assert_false(link_is_there(host_ns, "lk-other"));
	}
	sandbox_close(&sandbox);
}

static void test_cut(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, false);
	json_t *list;

	(void)state;
	assert_int_equal(attach(&sandbox, &endpoint), 0);
	assert_int_equal(link_endpoint_cut(handle, "bv0", &error), 0);
	list = IP(host_ns, "link", "show", "dev", "bv0");
	assert_string_equal(text_of(json_array_get(list, 0), "master"), "");
	assert_false(has_flag(json_array_get(list, 0), "UP"));
	json_decref(list);
	assert_int_equal(delete_one("bv0"), 0);
	assert_int_equal(link_endpoint_cut(handle, "bv0", &error), 0);
	sandbox_close(&sandbox);
}

static void test_loopback(void **state)
{
	struct sandbox sandbox = sandbox_new();

	(void)state;
	assert_false(has_address(sandbox.fd, "lo", "127.0.0.1", 8));
	assert_int_equal(link_loopback_up(&sandbox, 0, &error), 0);
	assert_true(has_address(sandbox.fd, "lo", "127.0.0.1", 8));
	assert_int_equal(link_count(sandbox.fd), 1);
	sandbox_close(&sandbox);
}

/* ---- the first packet ---- */

struct socket_request {
	int ns, family, fd;
	uint16_t port;
};

static void *socket_thread(void *argument)
{
	struct socket_request *request = argument;
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(request->port)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(request->port)};
	int on = 1;

	request->fd = -1;
	if (setns(request->ns, CLONE_NEWNET) < 0)
		return NULL;
	request->fd = socket(request->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (request->family == AF_INET) {
		bind(request->fd, (struct sockaddr *)&ipv4, sizeof(ipv4));
	} else {
		setsockopt(request->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		bind(request->fd, (struct sockaddr *)&ipv6, sizeof(ipv6));
	}
	return NULL;
}

static int socket_in(int ns, int family, uint16_t port)
{
	struct socket_request request = {.ns = ns, .family = family, .port = port};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, socket_thread, &request), 0);
	pthread_join(thread, NULL);
	assert_true(request.fd >= 0);
	return request.fd;
}

static bool datagram_passes(int from, int to, const struct addr *addr, uint16_t port)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct pollfd pollfd = {.fd = to, .events = POLLIN};
	char byte = 0;
	ssize_t sent;

	memcpy(&ipv4.sin_addr, addr->bytes, 4);
	memcpy(&ipv6.sin6_addr, addr->bytes, 16);
	if (addr->family == AF_INET)
		sent = sendto(from, "x", 1, 0, (struct sockaddr *)&ipv4, sizeof(ipv4));
	else
		sent = sendto(from, "x", 1, 0, (struct sockaddr *)&ipv6, sizeof(ipv6));
	return sent == 1 && poll(&pollfd, 1, FIRST_PACKET_MS) == 1 && read(to, &byte, 1) == 1;
}

struct party {
	struct sandbox sandbox;
	int fds[2];
	struct addr addrs[2];
};

static void party_open(struct party *party, int ns, uint16_t port)
{
	party->fds[0] = socket_in(ns, AF_INET, port);
	party->fds[1] = socket_in(ns, AF_INET6, port);
}

static void party_close(struct party *party)
{
	close(party->fds[0]);
	close(party->fds[1]);
	sandbox_close(&party->sandbox);
}

/* Six first packets: each direction and family, begun at another one each round, since the first
 * finds the addresses for those that follow. */
static unsigned int first_packets(unsigned int round, struct party *host, struct party *before,
				  struct party *now)
{
	struct party *ways[][2] = {{host, now}, {now, host}, {now, before}};
	unsigned int lost = 0;

	for (unsigned int i = 0; i < 6; i++) {
		unsigned int n = (i + round) % 6;
		struct party **way = ways[n / 2];
		unsigned int family = n % 2;

		if (!datagram_passes(way[0]->fds[family], way[1]->fds[family],
				     &way[1]->addrs[family], 4242)) {
			print_message("round %u: packet %u (way %u, IPv%u) lost\n", round, i, n / 2,
				      family ? 6 : 4);
			lost++;
		}
	}
	return lost;
}

static void test_first_packet(void **state)
{
	struct party host = {.sandbox = {.fd = -1}}, parties[2] = {0};
	struct bridge_config config = bridge_config(true);
	unsigned int lost = 0;

	(void)state;
	party_open(&host, host_ns, 4242);
	host.addrs[0] = address("172.30.0.1");
	host.addrs[1] = address("fd00:30::1");
	for (unsigned int i = 0; i < FIRST_PACKET_ROUNDS; i++) {
		struct party *now = &parties[i % 2], *before = &parties[(i + 1) % 2];
		struct endpoint endpoint = endpoint_number(i, true);

		/* Every so often a bridge without a port, whose carrier is yet to come. */
		if (i % 10 == 0) {
			assert_int_equal(bridge_delete(handle, &config, &error), 0);
			assert_int_equal(bridge_create(handle, &config, &error), 0);
		}
		now->sandbox = sandbox_new();
		party_open(now, now->sandbox.fd, 4242);
		now->addrs[0] = endpoint.ipv4.addr;
		now->addrs[1] = endpoint.ipv6.addr;
		assert_int_equal(attach(&now->sandbox, &endpoint), 0);
		lost += first_packets(i, &host, i % 10 ? before : &host, now);
		if (i % 10)
			party_close(before);
		if (i % 10 == 9)
			party_close(now);
	}
	party_close(&host);
	/* The kernel takes its time to delete what was in the namespaces. */
	delete_numbered(FIRST_PACKET_ROUNDS);
	assert_int_equal(lost, 0);
}

/* ---- many ---- */

static void test_many(void **state)
{
	struct sandbox sandbox = sandbox_new();
	size_t before = link_count(host_ns);

	(void)state;
	for (unsigned int i = 0; i < MANY; i++) {
		struct endpoint endpoint = endpoint_number(i, false);

		snprintf(endpoint.interface, IFNAMSIZ, "eth%u", i);
		endpoint.ipv4.len = 32;
		struct link_endpoint_config config = {
			.endpoint = &endpoint, .bridge = BRIDGE, .alias = ALIAS "/many",
		};
		assert_int_equal(link_endpoint_create(handle, &sandbox, &config, &error), 0);
	}
	/* one gone, one a stranger's */
	IP_RUN(host_ns, "link", "del", "bv5");
	IP_RUN(host_ns, "link", "set", "bv7", "alias", "mine");
	delete_numbered(MANY);
	assert_int_equal(link_count(host_ns), before + 1);
	assert_true(link_is_there(host_ns, "bv7"));
	IP_RUN(host_ns, "link", "del", "bv7");
	sandbox_close(&sandbox);
}

static void test_bridge_full(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, false);
	char batch[] = "/tmp/lk-ports-XXXXXX";
	int fd = mkstemp(batch);

	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < LIMIT_PORTS; i++)
		dprintf(fd, i % 2 ? "link set p%d master " BRIDGE "\n" :
			"link add d%d master " BRIDGE " type veth peer p%d\n", i % 2 ? i - 1 : i, i);
	close(fd);
	IP_RUN(host_ns, "-batch", batch);
	unlink(batch);
	assert_int_equal(attach(&sandbox, &endpoint), -EXFULL);
	assert_int_equal(error.reason, BN_REASON_BRIDGE_FULL);
	assert_non_null(strstr(error.message, BRIDGE));
	assert_nothing_left(&sandbox, "bv0");
	sandbox_close(&sandbox);
}

/* ---- namespaces ---- */

static void test_sandboxes(void **state)
{
	struct sandbox made = sandbox_new(), sandbox = {.fd = -1};
	struct endpoint endpoint = {.id = "one"};
	char path[64];
	int pipes[2];

	(void)state;
	assert_int_equal(sandbox_open_path("/run/netns/lk-missing", &sandbox, &error), -ENOENT);
	assert_int_equal(error.reason, BN_REASON_SANDBOX_GONE);
	assert_int_equal(sandbox_open_path("/dev/null", &sandbox, &error), -EINVAL);
	assert_int_equal(error.reason, BN_REASON_SANDBOX_INVALID);
	assert_non_null(strstr(error.message, "/dev/null"));
	assert_int_equal(sandbox_open_path("/proc/self/ns/uts", &sandbox, &error), -EINVAL);
	assert_int_equal(sandbox_open_path("/proc/thread-self/ns/net", &sandbox, &error), -EINVAL);
	assert_non_null(strstr(error.message, "host"));
	assert_int_equal(sandbox_open_pid(0, &sandbox, &error), -EINVAL);
	assert_int_equal(sandbox_open_pid(0x3fffffff, &sandbox, &error), -ENOENT);
	assert_int_equal(sandbox_open_pid(getpid(), &sandbox, &error), -EINVAL);
	assert_int_equal(sandbox_open_fd(-1, &sandbox, &error), -EBADF);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(sandbox_open_fd(pipes[0], &sandbox, &error), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(sandbox.fd, -1);

	/* a path that another process can use, and that leads to the same */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), made.fd);
	assert_int_equal(sandbox_open_path(path, &sandbox, &error), 0);
	assert_string_equal(sandbox.path, path);
	assert_true(sandbox.inode == made.inode && sandbox.device == made.device);
	assert_true(fcntl(sandbox.fd, F_GETFD) & FD_CLOEXEC);
	sandbox_close(&sandbox);
	string_copy(endpoint.sandbox, sizeof(endpoint.sandbox), path);
	endpoint.sandbox_device = made.device;
	endpoint.sandbox_inode = made.inode;
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), 0);
	sandbox_close(&sandbox);
	endpoint.sandbox_inode++;
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), -ENOENT);
	sandbox_close(&made);
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), -ENOENT);
	assert_int_equal(error.reason, BN_REASON_SANDBOX_GONE);
}

/* ---- what the kernel shows ---- */

static void test_inspect(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	struct interface interface;
	json_t *list, *stats;

	(void)state;
	assert_int_equal(attach(&sandbox, &endpoint), 0);
	assert_int_equal(sandbox_interface_get(&sandbox, "eth0", 0, &interface, &error), 0);
	assert_string_equal(interface.name, "eth0");
	assert_memory_equal(interface.mac, endpoint.mac, MAC_LEN);
	assert_true(interface.flags & IFF_RUNNING);
	assert_true(interface.addresses.len >= 2);
	assert_int_equal(prefix_compare(&interface.addresses.items[0], &endpoint.ipv4), 0);
	interface_clear(&interface);
	assert_int_equal(link_endpoint_cut(handle, "bv0", &error), 0);
	assert_int_equal(link_interface_get(handle, "bv0", &interface, &error), 0);
	list = IP(host_ns, "-s", "link", "show", "dev", "bv0");
	stats = json_object_get(json_array_get(list, 0), "stats64");
	assert_int_equal(interface.tx_bytes, json_integer_value(json_object_get(
		json_object_get(stats, "tx"), "bytes")));
	assert_int_equal(interface.rx_packets, json_integer_value(json_object_get(
		json_object_get(stats, "rx"), "packets")));
	assert_int_equal(interface.index, json_integer_value(json_object_get(
		json_array_get(list, 0), "ifindex")));
	json_decref(list);
	interface_clear(&interface);
	assert_int_equal(link_exists(handle, "bv0", &error), 1);
	assert_int_equal(delete_one("bv0"), 0);
	assert_int_equal(link_exists(handle, "bv0", &error), 0);
	assert_int_equal(link_interface_get(handle, "bv0", &interface, &error), -ENODEV);
	sandbox_close(&sandbox);
}

static bool holds(const prefix_vector *prefixes, const char *text)
{
	struct prefix wanted = prefix(text);

	for (size_t i = 0; i < prefixes->len; i++) {
		if (prefix_compare(&prefixes->items[i], &wanted) == 0)
			return true;
	}
	return false;
}

static void test_routes(void **state)
{
	prefix_vector prefixes = {0};
	uint32_t mtu = 0;

	(void)state;
	assert_int_equal(link_default_mtu(handle, &mtu, &error), 0);
	assert_int_equal(mtu, 1500);
	IP_RUN(host_ns, "link", "add", "lk-uplink", "mtu", "1420", "up", "type", "veth");
	IP_RUN(host_ns, "link", "add", "lk-spare", "mtu", "1300", "up", "type", "veth");
	IP_RUN(host_ns, "addr", "add", "192.0.2.9/24", "dev", "lk-uplink");
	IP_RUN(host_ns, "addr", "add", "10.9.9.1", "peer", "10.9.8.1/32", "dev", "lk-uplink");
	IP_RUN(host_ns, "-6", "route", "add", "default", "dev", "lk-spare");
	assert_int_equal(link_default_mtu(handle, &mtu, &error), 0);
	assert_int_equal(mtu, 1300);
	IP_RUN(host_ns, "route", "add", "default", "dev", "lk-spare", "metric", "200");
	IP_RUN(host_ns, "route", "add", "default", "via", "192.0.2.1", "metric", "100");
	IP_RUN(host_ns, "route", "add", "172.19.0.0/16", "via", "192.0.2.1", "table", "77");
	IP_RUN(host_ns, "route", "add", "blackhole", "172.20.0.0/16");
	IP_RUN(host_ns, "-6", "route", "add", "2001:db8:5::/48", "dev", "lk-uplink");
	assert_int_equal(link_default_mtu(handle, &mtu, &error), 0);
	assert_int_equal(mtu, 1420);

	assert_int_equal(link_routed_prefixes(handle, &prefixes, &error), 0);
	assert_true(holds(&prefixes, "192.0.2.0/24"));
	assert_true(holds(&prefixes, "10.9.8.1/32"));
	assert_true(holds(&prefixes, "172.19.0.0/16"));
	assert_true(holds(&prefixes, "172.20.0.0/16"));
	assert_true(holds(&prefixes, "2001:db8:5::/48"));
	assert_false(holds(&prefixes, "192.0.2.9/32"));
	free(prefixes.items);
	assert_int_equal(link_local_addresses(handle, &prefixes, &error), 0);
	assert_true(holds(&prefixes, "192.0.2.9/24"));
	assert_true(holds(&prefixes, "10.9.9.1/32"));
	assert_false(holds(&prefixes, "10.9.8.1/32"));
	assert_true(holds(&prefixes, "127.0.0.1/8"));
	free(prefixes.items);
	IP_RUN(host_ns, "link", "del", "lk-uplink");
	IP_RUN(host_ns, "link", "del", "lk-spare");
}

static void test_forwarding(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};
	static const char *const paths[] = {
		"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding",
	};

	(void)state;
	IP_RUN(host_ns, "link", "add", "lk.ra", "type", "bridge");
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		bool changed = false, again = true;

		write_number(paths[i], 0);
		assert_int_equal(sysctl_forwarding_enable(families[i], &changed, &error), 0);
		assert_true(changed);
		assert_int_equal(read_number(paths[i]), 1);
		assert_int_equal(sysctl_forwarding_enable(families[i], &again, &error), 0);
		assert_false(again);
		assert_int_equal(sysctl_forwarding_restore(families[i], again), 0);
		assert_int_equal(read_number(paths[i]), 1);
		assert_int_equal(sysctl_forwarding_restore(families[i], changed), 0);
		assert_int_equal(read_number(paths[i]), 0);
	}
	assert_int_equal(read_number("/proc/sys/net/ipv6/conf/lk.ra/accept_ra"), 2);
	IP_RUN(host_ns, "link", "del", "lk.ra");
}

/* ---- host ports ---- */

static int listener(int family, const char *text, uint16_t port, int type, bool listening)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (family == AF_INET) {
		inet_pton(AF_INET, text, &ipv4.sin_addr);
		assert_int_equal(bind(fd, (struct sockaddr *)&ipv4, sizeof(ipv4)), 0);
	} else {
		inet_pton(AF_INET6, text, &ipv6.sin6_addr);
		assert_int_equal(bind(fd, (struct sockaddr *)&ipv6, sizeof(ipv6)), 0);
	}
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int check_port(const char *host, uint16_t first, uint16_t count, uint8_t protocol)
{
	struct port port = {.protocol = protocol, .host_port = first, .count = count};

	if (host)
		port.host_addr = address(host);
	error_clear(&error);
	return hostport_check(&port, 1, &error);
}

/* The same verdict for one port, by bind, and for one of many, by listing. */
static void assert_taken(uint16_t number, uint8_t protocol)
{
	char owner[64];

	snprintf(owner, sizeof(owner), "process %d (", getpid());
	for (uint16_t count = 1; count <= 401; count = (uint16_t)(count + 400)) {
		assert_int_equal(check_port(NULL, (uint16_t)(number - count / 2), count, protocol),
				 -EADDRINUSE);
		assert_int_equal(error.reason, BN_REASON_PORT_LISTENER);
		assert_non_null(strstr(error.message, owner));
	}
}

static void assert_free(uint16_t number, uint8_t protocol)
{
	assert_int_equal(check_port(NULL, number, 1, protocol), 0);
	assert_int_equal(check_port(NULL, (uint16_t)(number - 200), 401, protocol), 0);
}

static void test_hostport_check(void **state)
{
	int fd;

	(void)state;
	assert_free(18080, IPPROTO_TCP);
	assert_free(18080, IPPROTO_UDP);
	fd = listener(AF_INET, "127.0.0.1", 18080, SOCK_STREAM, true);
	assert_taken(18080, IPPROTO_TCP);
	assert_int_equal(check_port("127.0.0.2", 18080, 1, IPPROTO_TCP), 0);
	assert_free(18080, IPPROTO_UDP);
	close(fd);
	fd = listener(AF_INET6, "::", 18080, SOCK_STREAM, true);        /* both families */
	assert_taken(18080, IPPROTO_TCP);
	assert_int_equal(check_port("127.0.0.1", 18080, 1, IPPROTO_TCP), -EADDRINUSE);
	close(fd);
	fd = listener(AF_INET6, "::1", 18080, SOCK_STREAM, true);
	assert_taken(18080, IPPROTO_TCP);
	assert_int_equal(check_port("0.0.0.0", 18080, 1, IPPROTO_TCP), 0);
	close(fd);
	fd = listener(AF_INET, "0.0.0.0", 18080, SOCK_STREAM, false);   /* bound, not listening */
	assert_taken(18080, IPPROTO_TCP);
	close(fd);
	fd = listener(AF_INET, "0.0.0.0", 18080, SOCK_DGRAM, false);
	assert_taken(18080, IPPROTO_UDP);
	assert_free(18080, IPPROTO_TCP);
	close(fd);
	assert_int_equal(check_port("10.99.99.99", 18080, 1, IPPROTO_TCP), -EADDRNOTAVAIL);
	assert_non_null(strstr(error.message, "10.99.99.99"));
	assert_int_equal(check_port(NULL, 18080, 1, IPPROTO_SCTP), 0);
	assert_int_equal(check_port(NULL, 65535, 1, IPPROTO_TCP), 0);
}

static void test_hostport_hold(void **state)
{
	struct port port = {.protocol = IPPROTO_TCP, .host_port = 18090, .count = 3};
	fd_vector fds = {0};
	int fd;

	(void)state;
	assert_int_equal(hostport_hold(&port, &fds, &error), 0);
	assert_int_equal(fds.len, 6);
	assert_taken(18092, IPPROTO_TCP);
	assert_int_equal(hostport_hold(&port, &fds, &error), -EADDRINUSE);
	assert_int_equal(fds.len, 6);
	while (fds.len > 0)
		close(fds.items[--fds.len]);
	assert_free(18092, IPPROTO_TCP);
	fd = listener(AF_INET, "0.0.0.0", 18092, SOCK_STREAM, true);
	assert_int_equal(hostport_hold(&port, &fds, &error), -EADDRINUSE);
	assert_int_equal(fds.len, 0);
	close(fd);
	assert_free(18091, IPPROTO_TCP);
	free(fds.items);
}

static void test_hostport_ephemeral(void **state)
{
	struct ephemeral_ports ports;
	FILE *file;

	(void)state;
	file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "we");
	fprintf(file, "40000 40100");
	fclose(file);
	file = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "we");
	fprintf(file, "40003,40010-40012");
	fclose(file);
	assert_int_equal(hostport_ephemeral(&ports, &error), 0);
	assert_int_equal(ports.first, 40000);
	assert_int_equal(ports.last, 40100);
	for (unsigned int n = 40000; n <= 40100; n++)
		assert_int_equal(ports.reserved[n / 8] >> n % 8 & 1,
				 n == 40003 || (n >= 40010 && n <= 40012));
}

/* ---- what is left of it all in the process ---- */

static void test_no_descriptor_and_no_thread_left(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	size_t fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct interface interface;

		assert_int_equal(attach(&sandbox, &endpoint), 0);
		assert_int_equal(sandbox_interface_get(&sandbox, "eth0", 0, &interface, &error), 0);
		interface_clear(&interface);
		assert_int_equal(delete_one("bv0"), 0);
		string_copy(fault_step, sizeof(fault_step), "link.endpoint.address");
		fault_hook = fault_at_step;
		assert_int_equal(attach(&sandbox, &endpoint), -EIO);
		fault_hook = NULL;
		check_port(NULL, 18080, 400, IPPROTO_TCP);
	}
	assert_int_equal(entries("/proc/self/fd"), fds);
	assert_int_equal(entries("/proc/self/task"), threads);
	sandbox_close(&sandbox);
}

#define BRIDGE_TEST(test) cmocka_unit_test_setup_teardown(test, setup_bridge, teardown_bridge)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bridge),
		cmocka_unit_test(test_bridge_ipv4_only),
		cmocka_unit_test(test_bridge_mtu),
		cmocka_unit_test(test_bridge_of_a_stranger),
		cmocka_unit_test(test_bridge_adopted),
		BRIDGE_TEST(test_endpoint),
		BRIDGE_TEST(test_endpoint_where_ipv6_is_off),
		BRIDGE_TEST(test_endpoint_refused),
		BRIDGE_TEST(test_default_route_survives_a_failure),
		BRIDGE_TEST(test_failure_at_each_step),
		BRIDGE_TEST(test_death_at_each_step),
		BRIDGE_TEST(test_cut),
		cmocka_unit_test(test_loopback),
		BRIDGE_TEST(test_first_packet),
		BRIDGE_TEST(test_many),
		cmocka_unit_test(test_sandboxes),
		BRIDGE_TEST(test_inspect),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_hostport_check),
		cmocka_unit_test(test_hostport_hold),
		cmocka_unit_test(test_hostport_ephemeral),
		BRIDGE_TEST(test_no_descriptor_and_no_thread_left),
		BRIDGE_TEST(test_bridge_full),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
