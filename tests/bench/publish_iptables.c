/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "floor/floor.h"
#include "floor/iptables.h"
#include "publish.h"

#define MANY 100  /* in one attach */
#define BULK 1000 /* in one call */
#define MOST 10000
#define IN_A_ROW 5

/* The ways of doing the same, in columns. */
enum { LIBRARY, RAW, LIBIPTC, PROGRAM, RESTORE, WAYS };
static const char *const way_names[WAYS] = { "library", "raw", "libiptc", "program", "restore" };

struct work {
	bn_ctx *ctx;
	struct floor_iptables *floor;
	struct floor_link links;
	bool programs; /* those of iptables-legacy are installed */
	struct samples add[WAYS], delete[WAYS];
};

static void print_heading(void)
{
	puts("iptables-legacy, beside bare socket options, libiptc, iptables-legacy for each\n"
	     "rule, and iptables-legacy-restore --noflush; microseconds, and the ratio to each");
	printf("%-34s", "");
	for (int way = 0; way < WAYS; way++)
		printf(way == LIBRARY ? " %10s" : " %10s  ratio", way_names[way]);
	puts("");
}

/* Beside what it must be measured with, and what people use. */
static void add_rows(const char *what, struct samples ways[WAYS])
{
	char row[96];

	snprintf(row, sizeof(row), "iptables-legacy, %s", what);
	bench_row(row, &ways[LIBRARY], &ways[RAW]);
	snprintf(row, sizeof(row), "iptables-legacy, %s, beside its program", what);
	if (ways[PROGRAM].len)
		bench_row(row, &ways[LIBRARY], &ways[PROGRAM]);
}

static void report(const char *what, struct samples ways[WAYS])
{
	double ours = samples_percentile(&ways[LIBRARY], 50), theirs;

	printf("%-34s %10.1f", what, ours);
	for (int way = LIBRARY + 1; way < WAYS; way++) {
		theirs = samples_percentile(&ways[way], 50);
		if (theirs > 0)
			printf(" %10.1f %6.2f", theirs, ours / theirs);
		else
			printf(" %10s %6s", "-", "-");
	}
	puts("");
	fflush(stdout);
	add_rows(what, ways);
}

static void clear(struct work *work)
{
	for (int way = 0; way < WAYS; way++)
		work->add[way].len = work->delete[way].len = 0;
}

static int change(struct work *work, int way, bool add, size_t first, size_t len)
{
	switch (way) {
	case RAW:
		return add ? floor_iptables_add(work->floor, first, len) :
			     floor_iptables_delete(work->floor, len);
	case LIBIPTC:
		return add ? floor_libiptc_add(first, len) : floor_libiptc_delete(first + len, len);
	case PROGRAM:
		return add ? floor_program_add(first, len) : floor_program_delete(first, len);
	default:
		return add ? floor_restore_add(first, len) : floor_restore_delete(first, len);
	}
}

/* Going to the namespace of the floor is not counted. */
static double change_floor(struct work *work, int way, bool add, size_t first, size_t len)
{
	double start;
	int r;

	floor_iptables_enter(work->floor);
	start = bench_now();
	r = change(work, way, add, first, len);
	start = bench_now() - start;
	floor_iptables_leave(work->floor);
	floor_check(r);
	return start;
}

static bool is_possible(const struct work *work, int way)
{
	return work->programs || (way != PROGRAM && way != RESTORE);
}

static void one_by_library(struct work *work, const bn_port_spec *spec)
{
	double start = bench_now();

	bench_check(work->ctx, bn_port_publish(work->ctx, "bench", "endpoint-0", spec, 0, NULL),
		    "publish");
	samples_add(&work->add[LIBRARY], bench_now() - start);
	start = bench_now();
	bench_check(work->ctx, bn_port_unpublish(work->ctx, "bench", "endpoint-0", spec, 0),
		    "unpublish");
	samples_add(&work->delete[LIBRARY], bench_now() - start);
}

static void bulk_by_library(struct work *work, const bn_port_spec_list *specs)
{
	double start = bench_now();

	bench_check(work->ctx, bn_ports_publish(work->ctx, "bench", "endpoint-0", specs, 0, NULL),
		    "publish");
	samples_add(&work->add[LIBRARY], bench_now() - start);
	start = bench_now();
	bench_check(work->ctx, bn_ports_unpublish(work->ctx, "bench", "endpoint-0", specs, 0),
		    "unpublish");
	samples_add(&work->delete[LIBRARY], bench_now() - start);
}

static void by_floor(struct work *work, int way, size_t first, size_t len)
{
	samples_add(&work->add[way], change_floor(work, way, true, first, len));
	samples_add(&work->delete[way], change_floor(work, way, false, first, len));
}

/* Some in a row, or each would find the processor's caches full of what the last way did. */
static void one_turn(struct work *work, int way, unsigned int existing, const bn_port_spec *spec)
{
	for (int i = 0; i < IN_A_ROW; i++) {
		if (way == LIBRARY)
			one_by_library(work, spec);
		else if (is_possible(work, way))
			by_floor(work, way, existing, 1);
	}
}

static void one_at(struct work *work, unsigned int existing)
{
	int rounds = existing >= MOST ? 6 : existing >= BULK ? 12 : 24;
	bn_port_spec *spec = bench_port(existing);
	char what[64], number[16];

	clear(work);
	for (int i = 0; i < rounds * WAYS; i++) /* each is the first in its turn */
		one_turn(work, (i / WAYS + i) % WAYS, existing, spec);
	bn_port_spec_free(spec);
	snprintf(what, sizeof(what), "publish one, %s present", bench_thousands(number, existing));
	report(what, work->add);
	snprintf(what, sizeof(what), "unpublish one, %s present",
		 bench_thousands(number, existing));
	report(what, work->delete);
}

/* Into a table that has no port, and out of it again. */
static void bulk(struct work *work)
{
	bn_port_spec_list *specs = bench_ports(0, BULK);

	clear(work);
	for (int i = 0; i < 15 * WAYS; i++) {
		int way = (i / WAYS + i) % WAYS;

		if (way == LIBRARY)
			bulk_by_library(work, specs);
		else if (way != PROGRAM && is_possible(work, way))
			by_floor(work, way, 0, BULK);
	}
	bn_port_spec_list_free(specs);
	report("publish 1,000 in one call", work->add);
	report("unpublish 1,000 in one call", work->delete);
}

static double attach_many(struct work *work, int sandbox, unsigned int existing)
{
	bn_endpoint_spec *spec;
	bn_port_spec *port;
	double start;

	bench_check(work->ctx, bn_endpoint_spec_new("bench", "many", &spec), "endpoint spec");
	bench_check(work->ctx, bn_endpoint_spec_set_sandbox_fd(spec, sandbox), "sandbox");
	for (unsigned int i = existing; i < existing + MANY; i++) {
		port = bench_port(i);
		bench_check(work->ctx, bn_endpoint_spec_add_port(spec, port), "port");
		bn_port_spec_free(port);
	}
	start = bench_now();
	bench_check(work->ctx, bn_endpoint_attach(work->ctx, spec, 0, NULL), "attach");
	start = bench_now() - start;
	bn_endpoint_spec_free(spec);
	return start;
}

/* Every floor has the same links, made by bare netlink, and its own rules. */
static void attach_round(struct work *work, unsigned int existing, int round)
{
	int ours = bench_sandbox(), theirs = bench_sandbox();
	double start, links;

	start = bench_now();
	floor_check(floor_attach(&work->links, theirs, 0));
	links = bench_now() - start;
	samples_add(&work->add[LIBRARY], attach_many(work, ours, existing));
	for (int way = LIBRARY + 1; way < WAYS; way++) {
		/* A process for each of so many rules takes seconds: once. */
		if (!is_possible(work, way) || (way == PROGRAM && round > 0))
			continue;
		samples_add(&work->add[way], links + change_floor(work, way, true, existing, MANY));
		change_floor(work, RAW, false, existing, MANY);
	}
	start = bench_now();
	bench_check(work->ctx, bn_endpoint_detach(work->ctx, "bench", "many", 0), "detach");
	samples_add(&work->delete[LIBRARY], bench_now() - start);
	floor_check(floor_detach(&work->links, 0, 1));
	/* The kernel takes namespaces apart in the background, under the lock that links need. */
	close(ours);
	close(theirs);
	usleep(50 * 1000);
}

static void attach_at(struct work *work, unsigned int existing)
{
	char what[64], number[16];

	clear(work);
	for (int round = 0; round < 11; round++)
		attach_round(work, existing, round);
	snprintf(what, sizeof(what), "attach, 100 ports, %s present",
		 bench_thousands(number, existing));
	report(what, work->add);
}

static void list_by_library(struct work *work)
{
	double start = bench_now();
	bn_rule_list *rules;
	uint64_t packets = 0;

	bench_check(work->ctx, bn_rules_list(work->ctx, NULL, BN_RULES_VERBOSE, &rules), "list");
	for (size_t i = 0; i < bn_rule_list_len(rules); i++)
		packets += bn_rule_packets(bn_rule_list_at(rules, i));
	if (bn_rule_list_len(rules) < MOST || packets > 1000000)
		exit(1);
	bn_rule_list_free(rules);
	samples_add(&work->add[LIBRARY], bench_now() - start);
}

static void list_by_floor(struct work *work, int way)
{
	size_t len = MOST;
	double start;
	int r;

	floor_iptables_enter(work->floor);
	start = bench_now();
	r = way == RAW     ? floor_iptables_read(work->floor, &len) :
	    way == LIBIPTC ? floor_libiptc_list(&len) :
			     floor_program_list();
	samples_add(&work->add[way], bench_now() - start);
	floor_iptables_leave(work->floor);
	floor_check(r);
	if (len != MOST)
		exit(1);
}

static void list(struct work *work)
{
	clear(work);
	for (int i = 0; i < 15 * WAYS; i++) {
		int way = (i / WAYS + i) % WAYS;

		if (way == LIBRARY)
			list_by_library(work);
		else if (way != RESTORE && is_possible(work, way))
			list_by_floor(work, way);
	}
	report("list 10,000 rules with counters", work->add);
}

void publish_iptables(void)
{
	static const char *const version[] = { "iptables-legacy", "-V", NULL };
	static const unsigned int steps[] = { 1, 100, 1000, MOST };
	static struct work work;
	unsigned int existing = 0;

	work.ctx = bench_stage("iptables-legacy");
	work.programs = floor_run_program(version, NULL) == 0;
	bench_network(work.ctx);
	floor_check(floor_link_open(&work.links));
	floor_check(floor_iptables_open(&work.floor));
	bench_attach(work.ctx, bench_sandbox(), 0, 0);
	bench_connections(CONNECTIONS);
	print_heading();
	bulk(&work);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		bench_publish(work.ctx, existing, steps[i] - existing);
		change_floor(&work, RAW, true, existing, steps[i] - existing);
		existing = steps[i];
		one_at(&work, existing);
		attach_at(&work, existing);
	}
	list(&work);
	floor_iptables_close(work.floor);
	floor_link_close(&work.links);
	bench_leave(work.ctx);
}
