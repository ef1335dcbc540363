/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What published ports cost a connection: TCP connect and close, from a client through the host to
 * an endpoint, and to a service of the host that is not published. For both backends, and for a
 * linear list of rules as others make it. Each has a host of its own, with a client and an
 * endpoint; they take turns. The ratio is against one published port of the same host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "floor/floor.h"
#include "floor/iptables.h"

#define HOSTS_MAX 3
#define ROUNDS 20
#define CONNECTIONS 200 /* of a round; together they fit into struct samples */
#define WARM_UP 50
#define SERVICE 61000 /* behind the last published port */
#define HOST_ADDRESS "192.0.2.1"
#define CLIENT_ADDRESS "192.0.2.2"

enum { FIRST, MIDDLE, LAST, UNPUBLISHED, TARGETS };
static const char *const target_names[TARGETS] = { "first", "middle", "last", "unpublished" };

struct host {
	const char *name;
	bn_ctx *ctx; /* NULL for the linear list */
	int namespace_, client, sandbox;
	struct samples times[TARGETS];
	double elapsed[TARGETS];
	struct samples one[TARGETS]; /* with one published port */
};

static struct host hosts[HOSTS_MAX];
static size_t hosts_len;
static struct pollfd listeners[2 * HOSTS_MAX];
static nfds_t listeners_len;

/* ---- Hosts ---- */

static void add_listener(unsigned int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1024) < 0)
		bench_fail("listener");
	listeners[listeners_len++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static void add_client(struct host *host)
{
	char command[256];

	host->client = bench_sandbox();
	snprintf(command, sizeof(command),
		 "ip link add uplink type veth peer name client netns /proc/%d/fd/%d &&"
		 "ip address add " HOST_ADDRESS "/24 dev uplink && ip link set uplink up",
		 getpid(), host->client);
	bench_run(command);
	bench_enter(host->client);
	bench_run("ip address add " CLIENT_ADDRESS "/24 dev client && ip link set client up");
	bench_enter(host->namespace_);
}

/* The caller is in the namespace of the host, which has a network by now. */
static void add_host(const char *name, bn_ctx *ctx, int sandbox)
{
	struct host *host = &hosts[hosts_len++];

	host->name = name;
	host->ctx = ctx;
	host->sandbox = sandbox;
	host->namespace_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (host->namespace_ < 0)
		bench_fail("namespace");
	add_client(host);
	add_listener(SERVICE);
	bench_enter(sandbox);
	add_listener(80);
	bench_enter(host->namespace_);
}

static void add_library(const char *backend)
{
	bn_ctx *ctx;
	int sandbox;

	if (!bn_has_feature(backend)) {
		printf("backend '%s' is not in this build\n", backend);
		return;
	}
	ctx = bench_stage(backend);
	bench_network(ctx);
	sandbox = bench_sandbox();
	bench_attach(ctx, sandbox, 0, 0);
	add_host(backend, ctx, sandbox);
}

/* One chain of DNAT rules behind "--dst-type LOCAL", and links that lead to where they say. */
static void add_linear(void)
{
	static const char *const argv[] = { "iptables-legacy-restore", "--noflush", NULL };
	static const char chain[] =
		"*nat\n:" FLOOR_IPTABLES_CHAIN " - [0:0]\n"
		"-A PREROUTING -m addrtype --dst-type LOCAL -j " FLOOR_IPTABLES_CHAIN "\nCOMMIT\n";
	struct floor_link links;
	int sandbox;

	if (unshare(CLONE_NEWNET) < 0)
		bench_fail("unshare");
	if (floor_run_program(argv, chain) < 0) {
		printf("%s is not there: no linear list\n", argv[0]);
		return;
	}
	sandbox = bench_sandbox();
	floor_check(floor_link_open(&links));
	floor_check(floor_attach(&links, sandbox, 1));
	floor_link_close(&links);
	bench_run("ip link set lo up && ip address add 10.250.255.254/16 dev floor0 &&"
		  "echo 1 >/proc/sys/net/ipv4/ip_forward");
	add_host("linear list", NULL, sandbox);
}

static void publish(struct host *host, unsigned int from, unsigned int to)
{
	bench_enter(host->namespace_);
	if (host->ctx)
		bench_publish(host->ctx, from, to - from);
	else
		floor_check(floor_restore_add(BENCH_FIRST_PORT - 1 + from, to - from));
}

static void *serve(void *unused)
{
	int fd;

	(void)unused;
	while (poll(listeners, listeners_len, -1) >= 0) {
		for (nfds_t i = 0; i < listeners_len; i++) {
			if (!listeners[i].revents)
				continue;
			while ((fd = accept4(listeners[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
				close(fd);
		}
	}
	return NULL;
}

/* ---- Measuring ---- */

/* Microseconds. Closed by a reset, so that no port of the client waits for a minute. */
static double connect_once(unsigned int port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = inet_addr(HOST_ADDRESS),
	};
	struct timeval patience = { .tv_sec = 5 };
	struct linger reset = { .l_onoff = 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	double start;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	start = bench_now();
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		fprintf(stderr, "port %u: ", port);
		bench_fail("connect");
	}
	close(fd);
	return bench_now() - start;
}

static unsigned int target_port(int target, unsigned int published)
{
	switch (target) {
	case FIRST:
		return BENCH_FIRST_PORT;
	case MIDDLE:
		return BENCH_FIRST_PORT + published / 2;
	case LAST:
		return BENCH_FIRST_PORT + published - 1;
	default:
		return SERVICE;
	}
}

static void measure(struct host *host, unsigned int published)
{
	double start;

	bench_enter(host->client);
	for (int target = 0; target < TARGETS; target++) {
		unsigned int port = target_port(target, published);

		start = bench_now();
		for (int i = 0; i < CONNECTIONS; i++)
			samples_add(&host->times[target], connect_once(port));
		host->elapsed[target] += bench_now() - start;
	}
}

/* The first, the middle and the last of one are the same. */
static void keep_one(struct host *host)
{
	for (int target = 0; target < TARGETS; target++)
		host->one[target] = host->times[target == UNPUBLISHED ? target : FIRST];
}

static void report(unsigned int published)
{
	for (int target = 0; target < TARGETS; target++) {
		printf("%6u %-12s", published, target_names[target]);
		for (size_t i = 0; i < hosts_len; i++) {
			struct host *host = &hosts[i];
			double median = samples_percentile(&host->times[target], 50);

			printf("  %7.1f %7.0f %6.2f", median,
			       1e6 * (double)host->times[target].len / host->elapsed[target],
			       median / samples_percentile(&host->one[target], 50));
		}
		puts("");
	}
	fflush(stdout);
}

/* With the most ports, beside one. */
static void add_rows(void)
{
	char row[64];

	for (size_t i = 0; i < hosts_len; i++) {
		for (int target = 0; target < TARGETS; target++) {
			snprintf(row, sizeof(row), "connect, %s, 10,000 ports, %s", hosts[i].name,
				 target_names[target]);
			bench_row(row, &hosts[i].times[target], &hosts[i].one[target]);
		}
	}
}

static void step(unsigned int from, unsigned int to)
{
	for (size_t i = 0; i < hosts_len; i++) {
		publish(&hosts[i], from, to);
		bench_enter(hosts[i].client);
		for (int j = 0; j < WARM_UP; j++)
			connect_once(target_port(j % TARGETS, to));
		memset(hosts[i].elapsed, 0, sizeof(hosts[i].elapsed));
		for (int target = 0; target < TARGETS; target++)
			hosts[i].times[target].len = 0;
	}
	for (size_t i = 0; i < ROUNDS * hosts_len; i++)
		measure(&hosts[(i / hosts_len + i) % hosts_len], to);
	for (size_t i = 0; i < hosts_len && to == 1; i++)
		keep_one(&hosts[i]);
	report(to);
}

static void print_heading(void)
{
	printf("%-19s", "connect and close");
	for (size_t i = 0; i < hosts_len; i++)
		printf("  %22s", hosts[i].name);
	printf("\n%6s %-12s", "ports", "target");
	for (size_t i = 0; i < hosts_len; i++)
		printf("  %7s %7s %6s", "us", "conn/s", "ratio");
	puts("");
}

int main(void)
{
	static const unsigned int steps[] = { 1, 100, 1000, 10000 };
	unsigned int published = 0;
	pthread_t server;

	add_library("nftables");
	add_library("iptables-legacy");
	add_linear();
	if (pthread_create(&server, NULL, serve, NULL) != 0)
		bench_fail("thread");
	print_heading();
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		step(published, steps[i]);
		published = steps[i];
	}
	add_rows();
	for (size_t i = 0; i < hosts_len; i++) {
		bench_enter(hosts[i].namespace_);
		if (hosts[i].ctx)
			bench_leave(hosts[i].ctx);
	}
	return 0;
}
