/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many endpoints: their first packets, their end in one call, and how many there can be. */
#include "link_stage.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>

#define FIRST_PACKET_ROUNDS 200
#define FIRST_PACKET_MS 900 /* before anybody asks for an address a second time */
#define MANY NUMBERED_MAX
#define LIMIT_PORTS 1023 /* of a bridge */

/* ---- the first packet ---- */

struct socket_request {
	int ns, family, fd;
	uint16_t port;
};

static void *socket_thread(void *argument)
{
	struct socket_request *request = argument;
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(request->port) };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(request->port) };
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
	struct socket_request request = { .ns = ns, .family = family, .port = port };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, socket_thread, &request), 0);
	pthread_join(thread, NULL);
	assert_true(request.fd >= 0);
	return request.fd;
}

static bool datagram_passes(int from, int to, const struct addr *addr, uint16_t port)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct pollfd pollfd = { .fd = to, .events = POLLIN };
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
	struct party *ways[][2] = { { host, now }, { now, host }, { now, before } };
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
	struct party host = { .sandbox = { .fd = -1 } }, parties[2] = { 0 };
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
			assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
			assert_int_equal(bridge_create(handle, &config, NULL, &error), 0);
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
		struct link_endpoint_config config = endpoint_config(&endpoint);

		config.gateway_ipv4.family = 0;
		assert_int_equal(
			link_endpoint_create(handle, &sandbox, &config, &endpoint_made, &error), 0);
	}
	/* one gone, one a stranger's, and ours that were renamed, one of which has lost its name to
	 * a stranger */
	IP_RUN(host_ns, "link", "del", "bv5");
	IP_RUN(host_ns, "link", "set", "bv7", "name", "lk-seventh");
	IP_RUN(host_ns, "link", "add", "bv7", "type", "bridge");
	IP_RUN(host_ns, "link", "set", "bv9", "name", "lk-ninth");
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
		dprintf(fd,
			i % 2 ? "link set p%d master " BRIDGE "\n" :
				"link add d%d master " BRIDGE " type veth peer p%d\n",
			i % 2 ? i - 1 : i, i);
	close(fd);
	IP_RUN(host_ns, "-batch", batch);
	unlink(batch);
	assert_int_equal(attach(&sandbox, &endpoint), -EXFULL);
	assert_int_equal(error.reason, BN_REASON_BRIDGE_FULL);
	assert_non_null(strstr(error.message, BRIDGE));
	assert_false(link_is_there(host_ns, "bv0"));
	assert_int_equal(link_count(sandbox.fd), 1);
	sandbox_close(&sandbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BRIDGE_TEST(test_first_packet),
		BRIDGE_TEST(test_many),
		BRIDGE_TEST(test_bridge_full),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
