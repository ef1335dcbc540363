/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attaching and detaching beside the bare netlink messages for the same links, in turns, and the
 * memory of a context with nothing attached.
 */
#include <malloc.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "floor/floor.h"

#define ROUNDS 60
#define MANY 32
#define LOOKED_AT 1000

static double floor_time(int r, double start)
{
	floor_check(r);
	return bench_now() - start;
}

static double detach_one(bn_ctx *ctx, unsigned int n)
{
	char id[32];
	double start = bench_now();

	snprintf(id, sizeof(id), "endpoint-%u", n);
	bench_check(ctx, bn_endpoint_detach(ctx, "bench", id, 0), "detach");
	return bench_now() - start;
}

static double attach_floor(struct floor_link *floor, int sandbox, unsigned int n)
{
	double start = bench_now();

	return floor_time(floor_attach(floor, sandbox, n), start);
}

/* The kernel takes namespaces apart in the background, under the lock that links need. */
static void let_namespaces_go(int ours, int theirs)
{
	close(ours);
	close(theirs);
	usleep(50 * 1000);
}

/* The library and the floor take turns at being first, each time in fresh namespaces. */
static void one(bn_ctx *ctx, struct floor_link *floor, int with_port, const char *attach_name,
		const char *detach_name)
{
	static struct samples attach, detach, floor_attaches, floor_detaches;
	int ours, theirs;
	double start;

	attach.len = detach.len = floor_attaches.len = floor_detaches.len = 0;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		ours = bench_sandbox();
		theirs = bench_sandbox();
		if (i % 2)
			samples_add(&floor_attaches, attach_floor(floor, theirs, i));
		samples_add(&attach, bench_attach(ctx, ours, i, with_port));
		if (i % 2 == 0)
			samples_add(&floor_attaches, attach_floor(floor, theirs, i));
		samples_add(&detach, detach_one(ctx, i));
		start = bench_now();
		samples_add(&floor_detaches, floor_time(floor_detach(floor, i, 1), start));
		let_namespaces_go(ours, theirs);
	}
	bench_report(attach_name, &attach, &floor_attaches);
	bench_report(detach_name, &detach, &floor_detaches);
}

static void many(bn_ctx *ctx, struct floor_link *floor)
{
	static struct samples library, bare;
	bn_name_list *names;
	int ours[MANY], theirs[MANY];
	char id[32];
	double start;

	for (int round = 0; round < 5; round++) {
		if (bn_name_list_new(&names) < 0)
			exit(1);
		for (unsigned int i = 0; i < MANY; i++) {
			ours[i] = bench_sandbox();
			theirs[i] = bench_sandbox();
			bench_attach(ctx, ours[i], i, 0);
			floor_time(floor_attach(floor, theirs[i], i), 0);
			snprintf(id, sizeof(id), "endpoint-%u", i);
			if (bn_name_list_add(names, id) < 0)
				exit(1);
		}
		start = bench_now();
		bench_check(ctx, bn_endpoints_detach(ctx, "bench", names, 0), "detach");
		samples_add(&library, bench_now() - start);
		start = bench_now();
		samples_add(&bare, floor_time(floor_detach(floor, 0, MANY), start));
		bn_name_list_free(names);
		for (unsigned int i = 0; i < MANY; i++) {
			close(ours[i]);
			close(theirs[i]);
		}
	}
	bench_report("detach 32 in one call", &library, &bare);
}

/* What it takes to see that a link is there; the names need not be right. */
static double look_for_links(size_t len)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[IFNAMSIZ];
	double start = bench_now();

	for (size_t i = 0; i < len; i++) {
		snprintf(name, sizeof(name), "bv%zx", i);
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name));
	}
	start = bench_now() - start;
	close(fd);
	return start;
}

/* What every change could begin with. */
static void collect(bn_ctx *ctx)
{
	static struct samples library, bare;
	const struct rlimit descriptors = { LOOKED_AT + 100, LOOKED_AT + 100 };
	static int sandboxes[LOOKED_AT];
	bn_endpoint_list *list;
	double start;

	if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		exit(1);
	for (unsigned int i = 0; i < LOOKED_AT; i++) {
		sandboxes[i] = bench_sandbox();
		bench_attach(ctx, sandboxes[i], i, 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		start = bench_now();
		bench_check(ctx, bn_endpoints_collect(ctx, NULL, 0, &list), "collect");
		samples_add(&library, bench_now() - start);
		if (bn_endpoint_list_len(list))
			exit(1);
		bn_endpoint_list_free(list);
		samples_add(&bare, look_for_links(LOOKED_AT));
	}
	bench_report("collect, none of 1,000 gone (floor: by name)", &library, &bare);
	for (unsigned int i = 0; i < LOOKED_AT; i++)
		close(sandboxes[i]);
}

int main(void)
{
	size_t before = mallinfo2().uordblks, after;
	bn_ctx *ctx = bench_stage("nftables");
	struct floor_link floor;

	bench_network(ctx);
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	printf("%-44s %10.1f kB   aim below 2,000 kB\n", "heap of a context with nothing attached",
	       (double)(after - before) / 1000);
	if (floor_link_open(&floor) < 0)
		exit(1);
	one(ctx, &floor, 0, "attach, no port", "detach, no port");
	one(ctx, &floor, 1, "attach with a port (floor: links alone)", "detach with a port");
	many(ctx, &floor);
	collect(ctx);
	floor_link_close(&floor);
	bench_leave(ctx);
	return 0;
}
