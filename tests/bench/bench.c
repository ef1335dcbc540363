/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* One directory for all that a program leaves behind while it runs. */
static char work_dir[] = "/dev/shm/bn-bench-XXXXXX";
static unsigned int stages;
static char state_dir[64];

static void remove_work_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", work_dir);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", work_dir);
}

static int make_work_dir(void)
{
	char lock[64];

	if (stages++ > 0)
		return 0;
	if (!mkdtemp(work_dir))
		return -1;
	atexit(remove_work_dir);
	/* The lock of iptables is the machine's; what is measured is not to wait for strangers. */
	snprintf(lock, sizeof(lock), "%s/xtables.lock", work_dir);
	return setenv("XTABLES_LOCKFILE", lock, 1);
}

bn_ctx *bench_stage(const char *backend)
{
	bn_ctx *ctx;

	if (make_work_dir() < 0 || unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0) {
		perror("a network namespace can't be made (run as root)");
		exit(1);
	}
	if (bn_ctx_new(0, &ctx) < 0)
		exit(1);
	if (strcmp(backend, "iptables-legacy") == 0)
		bench_check(ctx,
			    bn_ctx_set_option(ctx, "iptables.lock-file",
					      getenv("XTABLES_LOCKFILE")),
			    "lock file");
	snprintf(state_dir, sizeof(state_dir), "%s/%u", work_dir, stages);
	bench_check(ctx, bn_ctx_set_backend(ctx, backend), "backend");
	bench_check(ctx, bn_ctx_set_state_dir(ctx, state_dir), "state directory");
	bench_check(ctx, bn_ctx_set_timeout_ms(ctx, 0), "timeout");
	return ctx;
}

const char *bench_state_dir(void)
{
	return state_dir;
}

void bench_leave(bn_ctx *ctx)
{
	bn_network_delete(ctx, "bench", BN_DELETE_ENDPOINTS);
	bn_ctx_free(ctx);
}

void bench_check(bn_ctx *ctx, int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s (%s)\n", what, bn_error_message(ctx), strerror(-r));
	exit(1);
}

void bench_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

void bench_enter(int namespace_)
{
	if (setns(namespace_, CLONE_NEWNET) < 0)
		bench_fail("setns");
}

void bench_run(const char *command)
{
	if (system(command) != 0)
		bench_fail(command);
}

void bench_network_named(bn_ctx *ctx, const char *name, unsigned int n)
{
	bn_network_spec *spec;
	char subnet[32];

	snprintf(subnet, sizeof(subnet), "10.%u.0.0/16", n);
	bench_check(ctx, bn_network_spec_new(name, &spec), "network spec");
	bench_check(ctx, bn_network_spec_add_subnet(spec, subnet), "subnet");
	bench_check(ctx, bn_network_create(ctx, spec, 0, NULL), "create");
	bn_network_spec_free(spec);
}

void bench_network(bn_ctx *ctx)
{
	bench_network_named(ctx, "bench", 77);
}

int bench_sandbox(void)
{
	int host = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int sandbox;

	if (host < 0 || unshare(CLONE_NEWNET) < 0)
		exit(1);
	sandbox = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (sandbox < 0 || setns(host, CLONE_NEWNET) < 0)
		exit(1);
	close(host);
	return sandbox;
}

double bench_attach_to(bn_ctx *ctx, const char *network, int sandbox, unsigned int n, int with_port)
{
	bn_endpoint_spec *spec;
	bn_port_spec *port;
	char text[32];
	double start;
	int r;

	snprintf(text, sizeof(text), "endpoint-%u", n);
	bench_check(ctx, bn_endpoint_spec_new(network, text, &spec), "endpoint spec");
	bench_check(ctx, bn_endpoint_spec_set_sandbox_fd(spec, sandbox), "sandbox");
	if (with_port) {
		snprintf(text, sizeof(text), "%u:80", 20000 + n);
		bench_check(ctx, bn_port_spec_new(text, &port), "port spec");
		bench_check(ctx, bn_endpoint_spec_add_port(spec, port), "port");
		bn_port_spec_free(port);
	}
	start = bench_now();
	r = bn_endpoint_attach(ctx, spec, 0, NULL);
	start = bench_now() - start;
	bench_check(ctx, r, "attach");
	bn_endpoint_spec_free(spec);
	return start;
}

double bench_attach(bn_ctx *ctx, int sandbox, unsigned int n, int with_port)
{
	return bench_attach_to(ctx, "bench", sandbox, n, with_port);
}

static struct sockaddr_in loopback(unsigned int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int tcp_socket(unsigned int port)
{
	struct sockaddr_in at = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		bench_fail("socket");
	return fd;
}

void bench_connections(unsigned int len)
{
	struct sockaddr_in to = loopback(1);

	if (listen(tcp_socket(1), (int)len) < 0)
		bench_fail("listener");
	for (unsigned int i = 0; i < len; i++) {
		if (connect(tcp_socket(2 + i), (struct sockaddr *)&to, sizeof(to)) < 0)
			bench_fail("connect");
	}
}

static bn_port_spec *make_port(unsigned int n, const char *protocol)
{
	bn_port_spec *spec;
	char text[32];

	snprintf(text, sizeof(text), "%u:80/%s", BENCH_FIRST_PORT + n, protocol);
	if (bn_port_spec_new(text, &spec) < 0)
		exit(1);
	return spec;
}

bn_port_spec *bench_port(unsigned int n)
{
	return make_port(n, "tcp");
}

bn_port_spec *bench_udp_port(unsigned int n)
{
	return make_port(n, "udp");
}

bn_port_spec_list *bench_ports(unsigned int first, unsigned int len)
{
	bn_port_spec_list *list;
	bn_port_spec *spec;

	if (bn_port_spec_list_new(&list) < 0)
		exit(1);
	for (unsigned int i = first; i < first + len; i++) {
		spec = bench_port(i);
		if (bn_port_spec_list_add(list, spec) < 0)
			exit(1);
		bn_port_spec_free(spec);
	}
	return list;
}

void bench_publish(bn_ctx *ctx, unsigned int first, unsigned int len)
{
	bn_port_spec_list *specs = bench_ports(first, len);

	bench_check(ctx, bn_ports_publish(ctx, "bench", "endpoint-0", specs, 0, NULL), "publish");
	bn_port_spec_list_free(specs);
}

void floor_check(int r)
{
	if (r < 0) {
		fprintf(stderr, "floor: %s\n", strerror(-r));
		exit(1);
	}
}

double bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

void samples_add(struct samples *samples, double value)
{
	if (samples->len < sizeof(samples->values) / sizeof(*samples->values))
		samples->values[samples->len++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_percentile(struct samples *samples, int percent)
{
	if (!samples->len)
		return 0;
	qsort(samples->values, samples->len, sizeof(*samples->values), compare);
	return samples->values[(samples->len - 1) * (size_t)percent / 100];
}

const char *bench_thousands(char text[static 16], unsigned int number)
{
	if (number < 1000)
		snprintf(text, 16, "%u", number);
	else
		snprintf(text, 16, "%u,%03u", number / 1000, number % 1000);
	return text;
}

void bench_row(const char *what, struct samples *library, struct samples *floor)
{
	const char *path = getenv("BN_BENCH_ROWS");
	FILE *rows;

	if (!path)
		return;
	rows = fopen(path, "ae");
	if (!rows)
		bench_fail(path);
	fprintf(rows, "%s\t%.2f\t%.2f", what, samples_percentile(library, 10),
		samples_percentile(library, 50));
	if (floor)
		fprintf(rows, "\t%.2f\t%.2f\n", samples_percentile(floor, 10),
			samples_percentile(floor, 50));
	else
		fputs("\t-\t-\n", rows);
	if (fclose(rows) != 0)
		bench_fail(path);
}

void bench_report(const char *what, struct samples *library, struct samples *floor)
{
	double ours = samples_percentile(library, 50), bare;

	printf("%-44s %10.1f us", what, ours);
	if (floor) {
		bare = samples_percentile(floor, 50);
		printf("   floor %10.1f us   ratio %5.2f", bare, bare > 0 ? ours / bare : 0);
	}
	puts("");
	fflush(stdout);
	bench_row(what, library, floor);
}
