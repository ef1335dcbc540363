/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What networks cost a packet: round trips of UDP by flows that stand, between a client and an
 * endpoint of the youngest network, by a published port and outwards, and between the client and a
 * machine that has to do with no network, by way of the same host. Both ends are sockets of this
 * thread, so that a round trip is the kernel's work and nobody's waking up. The ratio is against
 * one network, for others' packets against none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define HOSTS_MAX 2
#define ROUNDS 40
#define TRIPS 50 /* of a round, of which the median counts */
#define WARM_UP 200
#define HOST_PORT 9 /* published */
/* Of each flow: of the far end, and the near one's too. */
#define PORT(flow) (uint16_t)(7 + (flow))

enum { PUBLISHED, OUTWARDS, OTHERS, FLOWS };
static const char *const flow_names[FLOWS] = { "published", "outwards", "others'" };

struct flow {
	int near, far; /* sockets: of who sends first, and who answers; -1: there is none */
	struct samples times, one; /* now; with one network, or none */
};

struct host {
	const char *name;
	bn_ctx *ctx;
	int namespace_, client, inner, sandbox;
	unsigned int networks;
	struct flow flows[FLOWS];
};

static struct host hosts[HOSTS_MAX];
static size_t hosts_len;

/* ---- hosts ---- */

/* A machine on a link of its own, NUMBER in its name and its addresses. */
static int add_machine(const struct host *host, int number)
{
	int namespace_ = bench_sandbox();
	char command[256];

	snprintf(command, sizeof(command),
		 "ip link add up%d type veth peer name eth0 netns /proc/%d/fd/%d &&"
		 "ip address add 192.0.%d.1/24 dev up%d && ip link set up%d up",
		 number, getpid(), namespace_, number, number, number);
	bench_run(command);
	bench_enter(namespace_);
	snprintf(command, sizeof(command),
		 "ip address add 192.0.%d.2/24 dev eth0 && ip link set eth0 up &&"
		 "ip route add default via 192.0.%d.1",
		 number, number);
	bench_run(command);
	bench_enter(host->namespace_);
	return namespace_;
}

/* Connection tracking is on before there is a network, and forwarding too. */
static void add_host(const char *backend)
{
	struct host *host = &hosts[hosts_len];

	if (!bn_has_feature(backend)) {
		printf("backend '%s' is not in this build\n", backend);
		return;
	}
	host->ctx = bench_stage(backend);
	host->name = backend;
	host->namespace_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (host->namespace_ < 0)
		bench_fail("namespace");
	bench_run("echo 1 >/proc/sys/net/ipv4/ip_forward &&"
		  "iptables-legacy -t mangle -A FORWARD -m conntrack --ctstate NEW -j ACCEPT");
	host->client = add_machine(host, 2);
	host->inner = add_machine(host, 3);
	host->sandbox = bench_sandbox();
	for (int i = 0; i < FLOWS; i++)
		host->flows[i].near = host->flows[i].far = -1;
	hosts_len++;
}

static void name_network(unsigned int n, char name[static 16])
{
	snprintf(name, 16, "net%u", n);
}

/* In the host's namespace. */
static void add_network(struct host *host)
{
	bn_network_spec *spec = NULL;
	char name[16], subnet[32];
	unsigned int n = host->networks++;

	name_network(n, name);
	snprintf(subnet, sizeof(subnet), "10.%u.%u.0/24", n / 256, n % 256);
	bench_check(host->ctx, bn_network_spec_new(name, &spec), "spec");
	bench_check(host->ctx, bn_network_spec_add_subnet(spec, subnet), "subnet");
	bench_check(host->ctx, bn_network_create(host->ctx, spec, 0, NULL), "network");
	bn_network_spec_free(spec);
}

/* ---- flows ---- */

static int open_socket(int namespace_, const char *address, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = inet_addr(address) };
	struct timeval patience = { .tv_sec = 2 };
	int fd;

	bench_enter(namespace_);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		bench_fail("socket");
	return fd;
}

static void aim(int fd, const char *address, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = inet_addr(address) };

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		bench_fail("connect");
}

/* The far end answers to whoever has sent the first datagram. */
static void flow_begin(struct flow *flow, int near, int far)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char byte = 0;

	flow->near = near;
	flow->far = far;
	if (send(near, &byte, 1, 0) < 0 ||
	    recvfrom(far, &byte, 1, 0, (struct sockaddr *)&from, &len) < 0 ||
	    connect(far, (struct sockaddr *)&from, len) < 0)
		bench_fail("first datagram");
}

static void flow_end(struct flow *flow)
{
	if (flow->near >= 0)
		close(flow->near);
	if (flow->far >= 0)
		close(flow->far);
	flow->near = flow->far = -1;
}

static void trip(const struct flow *flow)
{
	char byte = 0;

	if (send(flow->near, &byte, 1, 0) < 0 || recv(flow->far, &byte, 1, 0) < 0 ||
	    send(flow->far, &byte, 1, 0) < 0 || recv(flow->near, &byte, 1, 0) < 0)
		bench_fail("round trip");
}

static void begin_others(struct host *host)
{
	int near = open_socket(host->client, "192.0.2.2", PORT(OTHERS));
	int far = open_socket(host->inner, "192.0.3.2", PORT(OTHERS));

	aim(near, "192.0.3.2", PORT(OTHERS));
	flow_begin(&host->flows[OTHERS], near, far);
}

/* An endpoint on the youngest network, with a port; the flows by it. */
static void begin_endpoint(struct host *host)
{
	bn_endpoint_spec *spec = NULL;
	bn_port_spec *port = NULL;
	char name[16], address[32];
	unsigned int n = host->networks - 1;
	int near, far;

	bench_enter(host->namespace_);
	name_network(n, name);
	snprintf(address, sizeof(address), "10.%u.%u.2", n / 256, n % 256);
	bench_check(host->ctx, bn_endpoint_spec_new(name, "end", &spec), "spec");
	bench_check(host->ctx, bn_endpoint_spec_set_sandbox_fd(spec, host->sandbox), "sandbox");
	bench_check(host->ctx, bn_port_spec_new("9:7/udp", &port), "port");
	bench_check(host->ctx, bn_endpoint_spec_add_port(spec, port), "port");
	bench_check(host->ctx, bn_endpoint_attach(host->ctx, spec, 0, NULL), "attach");
	bn_port_spec_free(port);
	bn_endpoint_spec_free(spec);

	near = open_socket(host->client, "192.0.2.2", PORT(PUBLISHED));
	aim(near, "192.0.2.1", HOST_PORT);
	far = open_socket(host->sandbox, address, PORT(PUBLISHED));
	flow_begin(&host->flows[PUBLISHED], near, far);
	near = open_socket(host->sandbox, address, PORT(OUTWARDS));
	aim(near, "192.0.3.2", PORT(OUTWARDS));
	far = open_socket(host->inner, "192.0.3.2", PORT(OUTWARDS));
	flow_begin(&host->flows[OUTWARDS], near, far);
}

static void end_endpoint(struct host *host)
{
	char name[16];

	flow_end(&host->flows[PUBLISHED]);
	flow_end(&host->flows[OUTWARDS]);
	bench_enter(host->namespace_);
	name_network(host->networks - 1, name);
	bench_check(host->ctx, bn_endpoint_detach(host->ctx, name, "end", 0), "detach");
}

/* ---- measuring ---- */

static void measure(struct flow *flow)
{
	struct samples round = { .len = 0 };

	if (flow->near < 0)
		return;
	for (int i = 0; i < TRIPS; i++) {
		double start = bench_now();

		trip(flow);
		samples_add(&round, bench_now() - start);
	}
	samples_add(&flow->times, samples_percentile(&round, 50));
}

static void report(unsigned int networks)
{
	for (int i = 0; i < FLOWS; i++) {
		if (hosts[0].flows[i].near < 0)
			continue;
		printf("%8u %-12s", networks, flow_names[i]);
		for (size_t h = 0; h < hosts_len; h++) {
			struct flow *flow = &hosts[h].flows[i];
			double median = samples_percentile(&flow->times, 50);

			if (!flow->one.len)
				flow->one = flow->times;
			printf("  %10.2f %6.2f", median,
			       median / samples_percentile(&flow->one, 50));
		}
		puts("");
	}
	fflush(stdout);
}

/* With the most networks, beside one or none. */
static void add_rows(void)
{
	char row[64];

	for (size_t h = 0; h < hosts_len; h++) {
		for (int i = 0; i < FLOWS; i++) {
			struct flow *flow = &hosts[h].flows[i];

			snprintf(row, sizeof(row), "round trip, %s, 1,000 networks, %s",
				 hosts[h].name, flow_names[i]);
			bench_row(row, &flow->times, &flow->one);
		}
	}
}

static void begin_flows(struct host *host)
{
	bench_enter(host->namespace_);
	begin_others(host);
	if (host->networks)
		begin_endpoint(host);
	for (int i = 0; i < FLOWS; i++) {
		host->flows[i].times.len = 0;
		for (int j = 0; j < WARM_UP && host->flows[i].near >= 0; j++)
			trip(&host->flows[i]);
	}
}

static void step(unsigned int networks)
{
	for (size_t i = 0; i < hosts_len; i++) {
		bench_enter(hosts[i].namespace_);
		while (hosts[i].networks < networks)
			add_network(&hosts[i]);
		begin_flows(&hosts[i]);
	}
	for (size_t i = 0; i < ROUNDS * hosts_len * FLOWS; i++)
		measure(&hosts[i / FLOWS % hosts_len].flows[i % FLOWS]);
	report(networks);
	for (size_t i = 0; i < hosts_len; i++) {
		flow_end(&hosts[i].flows[OTHERS]);
		if (networks)
			end_endpoint(&hosts[i]);
	}
}

/* Of the backends that are named, or of both. */
int main(int argc, char **argv)
{
	static const unsigned int steps[] = { 0, 1, 10, 64, 100, 1000 };

	for (int i = 1; i < argc && i <= HOSTS_MAX; i++)
		add_host(argv[i]);
	if (argc == 1) {
		add_host("nftables");
		add_host("iptables-legacy");
	}
	if (!hosts_len)
		return 0;
	printf("%-21s", "round trip");
	for (size_t i = 0; i < hosts_len; i++)
		printf("  %17s", hosts[i].name);
	printf("\n%8s %-12s", "networks", "packets");
	for (size_t i = 0; i < hosts_len; i++)
		printf("  %10s %6s", "us", "ratio");
	puts("");
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		step(steps[i]);
	add_rows();
	for (size_t i = 0; i < hosts_len; i++) {
		bench_enter(hosts[i].namespace_);
		bench_leave(hosts[i].ctx);
	}
	return 0;
}
