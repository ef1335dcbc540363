/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that work on one state at once, and how long a call of one takes then beside the same
 * call alone: half, and what one in twenty and one in a hundred exceed.
 *
 * Each process publishes and unpublishes on an endpoint of its own; then each attaches and detaches,
 * with a port.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PROCESSES 8
#define PUBLISHES 400
#define ATTACHES 40
#define CROWD 64
#define CROWD_CALLS 24

/* What each process found, in memory that they share. */
struct found {
	struct samples publish, unpublish, attach, detach;
};
static struct found *found;
#define FOUND (PROCESSES + 1 + CROWD)
#define CROWD_FOUND (&found[PROCESSES + 1])

static bn_ctx *join(const char *backend)
{
	bn_ctx *ctx;

	if (bn_ctx_new(0, &ctx) < 0)
		exit(1);
	bench_check(ctx, bn_ctx_set_backend(ctx, backend), "backend");
	bench_check(ctx, bn_ctx_set_state_dir(ctx, bench_state_dir()), "state directory");
	bench_check(ctx, bn_ctx_set_timeout_ms(ctx, 60000), "timeout");
	return ctx;
}

/* Callers do something else, too: else what is measured is how long the scheduler lets one of them
 * run before it is the others' turn. */
static void rest(unsigned int *seed)
{
	usleep(1000 + (useconds_t)(rand_r(seed) % 2000));
}

static void publish(bn_ctx *ctx, unsigned int n, struct found *into)
{
	bn_port_spec *port = bench_port(n);
	unsigned int seed = n;
	char endpoint[32];
	double start;
	int r;

	snprintf(endpoint, sizeof(endpoint), "endpoint-%u", n);
	for (int i = 0; i < PUBLISHES; i++) {
		rest(&seed);
		start = bench_now();
		r = bn_port_publish(ctx, "bench", endpoint, port, 0, NULL);
		samples_add(&into->publish, bench_now() - start);
		bench_check(ctx, r, "publish");
		rest(&seed);
		start = bench_now();
		r = bn_port_unpublish(ctx, "bench", endpoint, port, 0);
		samples_add(&into->unpublish, bench_now() - start);
		bench_check(ctx, r, "unpublish");
	}
	bn_port_spec_free(port);
}

static void attach(bn_ctx *ctx, unsigned int n, struct found *into)
{
	char endpoint[32];
	double start;
	int r;

	n += PROCESSES;
	snprintf(endpoint, sizeof(endpoint), "endpoint-%u", n);
	for (int i = 0; i < ATTACHES; i++) {
		int sandbox = bench_sandbox();

		samples_add(&into->attach, bench_attach(ctx, sandbox, n, 1));
		start = bench_now();
		r = bn_endpoint_detach(ctx, "bench", endpoint, BN_DETACH_QUICK);
		samples_add(&into->detach, bench_now() - start);
		bench_check(ctx, r, "detach");
		close(sandbox);
	}
}

/* Without a rest: there are always others in line. */
static void crowd(bn_ctx *ctx, unsigned int n, struct found *into)
{
	bn_port_spec *port = bench_port(n);
	double start;
	int r = 0;

	for (int i = 0; i < CROWD_CALLS; i++) {
		start = bench_now();
		if (i % 2)
			r = bn_port_unpublish(ctx, "bench", "endpoint-0", port, 0);
		else
			r = bn_port_publish(ctx, "bench", "endpoint-0", port, 0, NULL);
		samples_add(&into->publish, bench_now() - start);
		bench_check(ctx, r, "publish");
	}
	bn_port_spec_free(port);
}

typedef void (*work_fn)(bn_ctx *ctx, unsigned int n, struct found *into);

/* All of them begin when all are there: the pipe ends. */
static void run(const char *backend, work_fn work, unsigned int processes, struct found *into)
{
	int ends[2], status, failed = 0;
	char none;

	if (pipe(ends) < 0)
		bench_fail("pipe");
	for (unsigned int n = 0; n < processes; n++) {
		pid_t pid = fork();

		if (pid < 0)
			bench_fail("fork");
		if (pid > 0)
			continue;
		close(ends[1]);
		bn_ctx *ctx = join(backend);
		if (read(ends[0], &none, 1) != 0)
			_exit(1);
		work(ctx, n, &into[n]);
		bn_ctx_free(ctx);
		_exit(0);
	}
	close(ends[0]);
	close(ends[1]);
	for (unsigned int n = 0; n < processes; n++)
		failed |= wait(&status) < 0 || status != 0;
	if (failed)
		exit(1);
}

static void report(const char *what, size_t offset)
{
	static struct samples all, alone;
	char text[64];

	all.len = 0;
	alone = *(struct samples *)((char *)&found[PROCESSES] + offset);
	for (int n = 0; n < PROCESSES; n++) {
		const struct samples *one = (struct samples *)((char *)&found[n] + offset);

		for (size_t i = 0; i < one->len; i++)
			samples_add(&all, one->values[i]);
	}
	snprintf(text, sizeof(text), "%s, %d processes at once", what, PROCESSES);
	bench_report(text, &all, &alone);
	printf("%-44s %10.1f us, one in a hundred %.1f us\n", "    one in twenty takes more than",
	       samples_percentile(&all, 95), samples_percentile(&all, 99));
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* The longest wait beside the one in the middle. */
static void report_crowd(void)
{
	static double all[CROWD * CROWD_CALLS];
	size_t len = 0;

	for (int n = 0; n < CROWD; n++)
		for (size_t i = 0; i < CROWD_FOUND[n].publish.len; i++)
			all[len++] = CROWD_FOUND[n].publish.values[i];
	qsort(all, len, sizeof(*all), compare);
	printf("%-44s %10.1f us, 95 %% %.1f, 99 %% %.1f, longest %.1f us: %.1f times\n",
	       "publish, 64 processes without a rest", all[len / 2], all[len * 95 / 100],
	       all[len * 99 / 100], all[len - 1], all[len - 1] / all[len / 2]);
}

int main(int argc, char **argv)
{
	const char *backend = argc > 1 ? argv[1] : "nftables";
	const size_t size = FOUND * sizeof(*found);
	bn_ctx *ctx = bench_stage(backend);

	found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (found == MAP_FAILED)
		bench_fail("mmap");
	bench_network(ctx);
	for (unsigned int n = 0; n < PROCESSES; n++)
		bench_attach(ctx, bench_sandbox(), n, 0);
	run(backend, publish, 1, &found[PROCESSES]);
	run(backend, attach, 1, &found[PROCESSES]);
	run(backend, publish, PROCESSES, found);
	run(backend, attach, PROCESSES, found);
	run(backend, crowd, CROWD, CROWD_FOUND);
	report_crowd();
	report("publish", offsetof(struct found, publish));
	report("unpublish", offsetof(struct found, unpublish));
	report("attach with a port", offsetof(struct found, attach));
	report("detach, quick", offsetof(struct found, detach));
	bench_leave(ctx);
	return 0;
}
