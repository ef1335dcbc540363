/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Namespaces, what the kernel shows, and ports of the host. */
#include "link_stage.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "link/private.h"

/* ---- namespaces ---- */

static void test_sandboxes(void **state)
{
	struct sandbox made = sandbox_new(), sandbox = { .fd = -1 };
	struct endpoint endpoint = { .id = "one" };
	char path[64];
	int pipes[2];

	(void)state;
	assert_int_equal(sandbox_open_path("/run/netns/lk-missing", &sandbox, &error), -ENOENT);
	assert_int_equal(error.reason, BN_REASON_SANDBOX_GONE);
	assert_int_equal(sandbox_open_path("/dev/null", &sandbox, &error), -EINVAL);
	assert_int_equal(error.reason, BN_REASON_SANDBOX_INVALID);
	assert_non_null(strstr(error.message, "/dev/null"));
	assert_int_equal(sandbox_open_path("/proc/self/ns/uts", &sandbox, &error), -EINVAL);
	assert_int_equal(sandbox_open_pid(0, &sandbox, &error), -EINVAL);
	assert_int_equal(sandbox_open_pid(0x3fffffff, &sandbox, &error), -ENOENT);
	assert_int_equal(sandbox_open_fd(-1, -1, &sandbox, &error), -EBADF);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(sandbox_open_fd(pipes[0], 5, &sandbox, &error), -EINVAL);
	assert_non_null(strstr(error.message, "descriptor 5"));
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(sandbox.fd, -1);

	assert_int_equal(sandbox_open_pid(getpid(), &sandbox, &error), 0);
	assert_false(sandbox_is_same(&sandbox, &made));
	sandbox_close(&sandbox);

	/* a path that another process can use, and that leads to the same */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), made.fd);
	assert_int_equal(sandbox_open_path(path, &sandbox, &error), 0);
	assert_string_equal(sandbox.path, path);
	assert_true(sandbox_is_same(&sandbox, &made));
	assert_true(sandbox.inode == made.inode && sandbox.device == made.device);
	assert_true(fcntl(sandbox.fd, F_GETFD) & FD_CLOEXEC);
	sandbox_close(&sandbox);
	string_copy(endpoint.sandbox, sizeof(endpoint.sandbox), path);
	endpoint.sandbox_device = made.device;
	endpoint.sandbox_inode = made.inode;
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), 0);
	sandbox_close(&sandbox);
	/* a number that was given again */
	endpoint.sandbox_cookie = made.cookie + 1;
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), -ENOENT);
	endpoint.sandbox_cookie = made.cookie;
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), 0);
	sandbox_close(&sandbox);
	endpoint.sandbox_cookie = 0;
	endpoint.sandbox_inode++;
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), -ENOENT);
	sandbox_close(&made);
	assert_int_equal(sandbox_reopen(&endpoint, &sandbox, &error), -ENOENT);
	assert_int_equal(error.reason, BN_REASON_SANDBOX_GONE);
}

/* A sentence about one that has no path names it all the same. */
static void test_name_of_a_descriptor(void **state)
{
	struct sandbox made = sandbox_new(), sandbox = { .fd = -1 };
	struct endpoint endpoint = endpoint_number(0, false);
	struct link_endpoint_config config = endpoint_config(&endpoint);
	char name[64];

	(void)state;
	assert_int_equal(sandbox_open_fd(made.fd, 5, &sandbox, &error), 0);
	snprintf(name, sizeof(name), "net:[%" PRIu64 "] (descriptor 5)", made.inode);
	assert_string_equal(sandbox_name(&sandbox), name);
	IP_RUN(sandbox.fd, "link", "add", "eth0", "type", "bridge");
	assert_int_equal(link_endpoint_create(handle, &sandbox, &config, &endpoint_made, &error),
			 -EEXIST);
	assert_non_null(strstr(error.message, name));
	IP_RUN(sandbox.fd, "link", "del", "eth0");
	sandbox_close(&made);
	sandbox_close(&sandbox);
}

/* However it is asked for, the cookie is the same, and no other namespace's. */
static void test_cookies(void **state)
{
	struct sandbox made = sandbox_new(), other = sandbox_new(), own;

	(void)state;
	assert_int_equal(sandbox_open_pid(getpid(), &own, &error), 0);
	assert_true(made.cookie && other.cookie && own.cookie);
	assert_true(made.cookie != other.cookie && made.cookie != own.cookie);
	assert_true(sandbox_cookie_inside(made.fd) == made.cookie);
	assert_true(sandbox_cookie_inside(own.fd) == own.cookie);
	assert_true(sandbox_current_cookie() == own.cookie);
	assert_true(sandbox_exists(&own));
	assert_false(sandbox_exists(&made)); /* a descriptor of ours is not looked for */
	sandbox_close(&made);
	sandbox_close(&other);
	sandbox_close(&own);
}

/* ---- what the kernel shows ---- */

static void test_inspect(void **state)
{
	struct sandbox sandbox = sandbox_new();
	struct endpoint endpoint = endpoint_number(0, true);
	struct interface interface;
	json_t *list, *stats;
	uint32_t index;

	(void)state;
	assert_int_equal(attach(&sandbox, &endpoint), 0);
	assert_int_equal(sandbox_interface_get(&sandbox, "eth0", 0, &interface, &error), 0);
	assert_string_equal(interface.name, "eth0");
	assert_memory_equal(interface.mac, endpoint.mac, MAC_LEN);
	assert_true(interface.flags & IFF_RUNNING);
	assert_true(interface.addresses.len >= 2);
	assert_int_equal(prefix_compare(&interface.addresses.items[0], &endpoint.ipv4), 0);
	interface_clear(&interface);
	assert_int_equal(cut_one(), 0);
	assert_int_equal(link_interface_get(handle, "bv0", NULL, &interface, &error), 0);
	list = IP(host_ns, "-s", "link", "show", "dev", "bv0");
	stats = json_object_get(json_array_get(list, 0), "stats64");
	assert_int_equal(interface.tx_bytes, json_integer_value(json_object_get(
						     json_object_get(stats, "tx"), "bytes")));
	assert_int_equal(interface.rx_packets, json_integer_value(json_object_get(
						       json_object_get(stats, "rx"), "packets")));
	index = interface.index;
	assert_int_equal(index,
			 json_integer_value(json_object_get(json_array_get(list, 0), "ifindex")));
	json_decref(list);
	interface_clear(&interface);
	assert_int_equal(link_exists(handle, "bv0", &error), 1);
	assert_true(link_is_known(handle, "bv0"));
	assert_int_equal(link_index(handle, "bv0"), index);
	assert_int_equal(delete_one(), 0);
	assert_int_equal(link_exists(handle, "bv0", &error), 0);
	assert_false(link_is_known(handle, "bv0"));
	assert_int_equal(link_index(handle, "bv0"), 0);
	assert_int_equal(link_interface_get(handle, "bv0", NULL, &interface, &error), -ENODEV);
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
	prefix_vector prefixes = { 0 };
	uint32_t mtu = 0;

	(void)state;
	assert_int_equal(link_default_mtu(handle, AF_INET, &mtu, &error), 0);
	assert_int_equal(mtu, 1500);
	IP_RUN(host_ns, "link", "add", "lk-uplink", "mtu", "1420", "up", "type", "veth");
	IP_RUN(host_ns, "link", "add", "lk-spare", "mtu", "1300", "up", "type", "veth");
	IP_RUN(host_ns, "addr", "add", "192.0.2.9/24", "dev", "lk-uplink");
	IP_RUN(host_ns, "addr", "add", "10.9.9.1", "peer", "10.9.8.1/32", "dev", "lk-uplink");
	IP_RUN(host_ns, "-6", "route", "add", "default", "dev", "lk-spare");
	assert_int_equal(link_default_mtu(handle, AF_INET, &mtu, &error), 0);
	assert_int_equal(mtu, 1300);
	IP_RUN(host_ns, "route", "add", "default", "dev", "lk-spare", "metric", "200");
	IP_RUN(host_ns, "route", "add", "default", "via", "192.0.2.1", "metric", "100");
	IP_RUN(host_ns, "route", "add", "172.19.0.0/16", "via", "192.0.2.1", "table", "77");
	IP_RUN(host_ns, "route", "add", "blackhole", "172.20.0.0/16");
	IP_RUN(host_ns, "-6", "route", "add", "2001:db8:5::/48", "dev", "lk-uplink");
	assert_int_equal(link_default_mtu(handle, AF_INET, &mtu, &error), 0);
	assert_int_equal(mtu, 1420);
	assert_true(link_mtu(handle, "lk-spare", &mtu));
	assert_int_equal(mtu, 1300);
	assert_false(link_mtu(handle, "lk-missing", &mtu));

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
	IP_RUN(host_ns, "route", "add", "local", "10.99.0.0/24", "dev", "lo");
	IP_RUN(host_ns, "-6", "route", "add", "local", "2001:db8:99::/64", "dev", "lo");
	/* of another table: who meets it is a matter of policy */
	IP_RUN(host_ns, "route", "add", "local", "10.98.0.0/24", "dev", "lo", "table", "77");
	assert_int_equal(link_local_prefixes(handle, &prefixes, &error), 0);
	assert_true(holds(&prefixes, "192.0.2.9/32"));
	assert_false(holds(&prefixes, "192.0.2.9/24"));
	assert_true(holds(&prefixes, "127.0.0.0/8"));
	assert_true(holds(&prefixes, "10.99.0.0/24"));
	assert_true(holds(&prefixes, "2001:db8:99::/64"));
	assert_false(holds(&prefixes, "10.98.0.0/24"));
	assert_false(holds(&prefixes, "192.0.2.0/24"));
	free(prefixes.items);
	IP_RUN(host_ns, "route", "del", "local", "10.99.0.0/24", "dev", "lo");
	IP_RUN(host_ns, "-6", "route", "del", "local", "2001:db8:99::/64", "dev", "lo");
	IP_RUN(host_ns, "route", "del", "local", "10.98.0.0/24", "dev", "lo", "table", "77");
	IP_RUN(host_ns, "link", "del", "lk-uplink");
	IP_RUN(host_ns, "link", "del", "lk-spare");
	/* lo has one that neither a veth nor a bridge can have */
	IP_RUN(host_ns, "-6", "route", "add", "default", "dev", "lo");
	assert_int_equal(link_default_mtu(handle, AF_INET, &mtu, &error), 0);
	assert_int_equal(mtu, 65535);
	IP_RUN(host_ns, "-6", "route", "del", "default", "dev", "lo");
}

/* ---- host ports ---- */

static int listener(int family, const char *text, uint16_t port, int type, bool listening)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
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
	struct port port = { .protocol = protocol, .host_port = first, .count = count };

	if (host)
		port.host_addr = address(host);
	error_clear(&error);
	return hostport_check(&port, 1, HOSTPORT_LISTENERS, NULL, &error);
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
	fd = listener(AF_INET6, "::", 18080, SOCK_STREAM, true); /* both families */
	assert_taken(18080, IPPROTO_TCP);
	assert_int_equal(check_port("127.0.0.1", 18080, 1, IPPROTO_TCP), -EADDRINUSE);
	close(fd);
	fd = listener(AF_INET6, "::1", 18080, SOCK_STREAM, true);
	assert_taken(18080, IPPROTO_TCP);
	assert_int_equal(check_port("0.0.0.0", 18080, 1, IPPROTO_TCP), 0);
	close(fd);
	fd = listener(AF_INET, "0.0.0.0", 18080, SOCK_STREAM, false); /* bound, not listening */
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
	struct port port = { .protocol = IPPROTO_TCP, .host_port = 18090, .count = 3 };
	fd_vector fds = { 0 };
	int fd;

	(void)state;
	assert_int_equal(hostport_hold(&port, NULL, &fds, &error), 0);
	assert_int_equal(fds.len, 6);
	assert_taken(18092, IPPROTO_TCP);
	assert_int_equal(hostport_hold(&port, NULL, &fds, &error), -EADDRINUSE);
	assert_int_equal(fds.len, 6);
	while (fds.len > 0)
		close(fds.items[--fds.len]);
	assert_free(18092, IPPROTO_TCP);
	fd = listener(AF_INET, "0.0.0.0", 18092, SOCK_STREAM, true);
	assert_int_equal(hostport_hold(&port, NULL, &fds, &error), -EADDRINUSE);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sandboxes),     BRIDGE_TEST(test_name_of_a_descriptor),
		cmocka_unit_test(test_cookies),       BRIDGE_TEST(test_inspect),
		cmocka_unit_test(test_routes),        cmocka_unit_test(test_hostport_check),
		cmocka_unit_test(test_hostport_hold), cmocka_unit_test(test_hostport_ephemeral),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
