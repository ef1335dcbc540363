/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How it grows: networks, endpoints and ports, each number four times the one before, and what one more
 * takes, a list, a check and a repair of what is right; and the memory of the listings. Nothing here
 * has a floor: what counts is that four times as many take little more than four times as long, and
 * one more as long as ever. `scale BACKEND all` goes on to 10,000 endpoints, which takes minutes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define OF_NETWORK 1000 /* endpoints; a bridge takes 1023 */
#define SAMPLES 9

/* ---- what is asked of all that is there ---- */

struct asked {
	double list_us, check_us, repair_us;
	long list_kb; /* beyond what the process has anyway */
};

static long peak_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

typedef void (*list_fn)(bn_ctx *ctx);

static void list_networks(bn_ctx *ctx)
{
	bn_network_list *list;

	bench_check(ctx, bn_networks_list(ctx, 0, &list), "list networks");
	bn_network_list_free(list);
}

static void list_endpoints(bn_ctx *ctx)
{
	bn_endpoint_list *list;

	bench_check(ctx, bn_endpoints_list(ctx, NULL, 0, &list), "list endpoints");
	bn_endpoint_list_free(list);
}

static void list_rules(bn_ctx *ctx)
{
	bn_rule_list *list;

	bench_check(ctx, bn_rules_list(ctx, NULL, BN_RULES_VERBOSE, &list), "list rules");
	bn_rule_list_free(list);
}

static void check(bn_ctx *ctx)
{
	bn_finding_list *list;

	bench_check(ctx, bn_check(ctx, NULL, NULL, 0, &list), "check");
	for (size_t i = 0; i < bn_finding_list_len(list) && i < 3; i++)
		printf("found: %s\n", bn_finding_text(bn_finding_list_at(list, i)));
	bn_finding_list_free(list);
}

static void repair(bn_ctx *ctx)
{
	bn_finding_list *list;

	bench_check(ctx, bn_repair(ctx, NULL, NULL, 0, &list), "repair");
	bn_finding_list_free(list);
}

static double median_of(bn_ctx *ctx, list_fn ask)
{
	static struct samples samples;
	double start;

	samples.len = 0;
	for (int i = 0; i < SAMPLES; i++) {
		start = bench_now();
		ask(ctx);
		samples_add(&samples, bench_now() - start);
	}
	return samples_percentile(&samples, 50);
}

/* In a process of its own, so that its peak is its own, with a context of its own. */
static struct asked ask_all(const char *backend, list_fn list)
{
	struct asked *asked = mmap(NULL, sizeof(*asked), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct asked answer;
	int status = -1;
	pid_t pid;

	if (asked == MAP_FAILED)
		bench_fail("mmap");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		bn_ctx *ctx;
		long before;

		if (bn_ctx_new(0, &ctx) < 0)
			_exit(1);
		bn_ctx_set_state_dir(ctx, bench_state_dir());
		bn_ctx_set_backend(ctx, backend);
		list_networks(ctx);
		before = peak_kb();
		list(ctx);
		asked->list_kb = peak_kb() - before;
		asked->list_us = median_of(ctx, list);
		asked->check_us = median_of(ctx, check);
		asked->repair_us = median_of(ctx, repair);
		bn_ctx_free(ctx);
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		bench_fail("ask");
	answer = *asked;
	munmap(asked, sizeof(*asked));
	return answer;
}

static void report(const char *what, unsigned int number, double one_more_us,
		   const struct asked *now, const struct asked *before)
{
	char text[16];

	printf("%7s %-10s one more %8.0f us   list %7.1f ms %6ld kB   check %7.1f ms   "
	       "repair %7.1f ms",
	       bench_thousands(text, number), what, one_more_us, now->list_us / 1000, now->list_kb,
	       now->check_us / 1000, now->repair_us / 1000);
	if (before->list_us > 0)
		printf("   x4: list %.1f, check %.1f, repair %.1f", now->list_us / before->list_us,
		       now->check_us / before->check_us, now->repair_us / before->repair_us);
	printf("\n");
}

/* ---- the three ---- */

static void grow_networks(bn_ctx *ctx, const char *backend, unsigned int most)
{
	static struct samples samples;
	struct asked before = { 0 }, now;
	unsigned int made = 0;
	char name[32], subnet[32];
	bn_network_spec *spec;
	double start;

	for (unsigned int number = most / 16; number <= most; number *= 4) {
		samples.len = 0;
		for (; made < number; made++) {
			snprintf(name, sizeof(name), "network-%u", made);
			snprintf(subnet, sizeof(subnet), "10.%u.%u.0/28", made / 250, made % 250);
			if (bn_network_spec_new(name, &spec) < 0 ||
			    bn_network_spec_add_subnet(spec, subnet) < 0)
				bench_fail("a network's spec");
			start = bench_now();
			bench_check(ctx, bn_network_create(ctx, spec, 0, NULL), "create");
			if (made + SAMPLES >= number)
				samples_add(&samples, bench_now() - start);
			bn_network_spec_free(spec);
		}
		now = ask_all(backend, list_networks);
		report("networks", number, samples_percentile(&samples, 50), &now, &before);
		before = now;
	}
}

static void grow_endpoints(bn_ctx *ctx, const char *backend, unsigned int most)
{
	static struct samples samples;
	struct asked before = { 0 }, now;
	unsigned int made = 0;
	char name[32];

	for (unsigned int number = most / 16; number <= most; number *= 4) {
		samples.len = 0;
		for (; made < number; made++) {
			double took;

			snprintf(name, sizeof(name), "scale-%u", made / OF_NETWORK);
			if (made % OF_NETWORK == 0)
				bench_network_named(ctx, name, 100 + made / OF_NETWORK);
			took = bench_attach_to(ctx, name, bench_sandbox(), made, 0);
			if (made + SAMPLES >= number)
				samples_add(&samples, took);
		}
		now = ask_all(backend, list_endpoints);
		report("endpoints", number, samples_percentile(&samples, 50), &now, &before);
		before = now;
	}
}

static void grow_ports(bn_ctx *ctx, const char *backend, unsigned int most)
{
	static struct samples samples;
	struct asked before = { 0 }, now;
	unsigned int made = 0;
	double start;

	bench_network(ctx);
	bench_attach(ctx, bench_sandbox(), 0, 0);
	for (unsigned int number = most / 16; number <= most; number *= 4) {
		samples.len = 0;
		bench_publish(ctx, made, number - SAMPLES - made);
		for (made = number - SAMPLES; made < number; made++) {
			start = bench_now();
			bench_publish(ctx, made, 1);
			samples_add(&samples, bench_now() - start);
		}
		now = ask_all(backend, list_rules);
		report("ports", number, samples_percentile(&samples, 50), &now, &before);
		before = now;
	}
}

int main(int argc, char **argv)
{
	const struct rlimit descriptors = { 20000, 20000 };
	const char *backend = argc > 1 ? argv[1] : "nftables";
	unsigned int endpoints = argc > 2 && strcmp(argv[2], "all") == 0 ? 10000 : 2000;
	static void (*const grow[])(bn_ctx * ctx, const char *backend,
				    unsigned int most) = { grow_networks, grow_endpoints,
							   grow_ports };
	const unsigned int most[] = { 1000, endpoints, 65000 };

	if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		bench_fail("setrlimit");
	for (size_t i = 0; i < sizeof(grow) / sizeof(*grow); i++) {
		bn_ctx *ctx = bench_stage(backend);

		grow[i](ctx, backend, most[i]);
		bench_leave(ctx);
	}
	return 0;
}
