/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attaching and detaching one endpoint, and creating and deleting one network, beside the bare
 * netlink messages for the same links and rules, in turns; and the memory of a context with nothing
 * attached.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "floor/floor.h"
#include "floor/nft.h"

#define ROUNDS 60
/* What a network has without endpoints; each is an element. */
#define RULES_OF_NETWORK 19

struct work {
	bn_ctx *ctx;
	struct floor_link links;
	struct floor_nft *nft;
	struct samples add, floor_add, delete, floor_delete;
};

/* The rows that a way of attaching and detaching is for. */
static const struct way {
	const char *attach, *detach; /* NULL: another says it */
	bool port;
	uint32_t flags;
} ways[] = {
	{ "attach, no port", "detach, no port", false, 0 },
	{ "attach, one port", "detach, one port", true, 0 },
	{ NULL, "detach, quick", false, BN_DETACH_QUICK },
#ifdef BN_DETACH_ASYNC
	{ NULL, "detach, asynchronous", false, BN_DETACH_ASYNC },
#endif
};

static void clear(struct work *work)
{
	work->add.len = work->floor_add.len = work->delete.len = work->floor_delete.len = 0;
}

/* ---- Endpoints ---- */

static void attach_floor(struct work *work, const struct way *way, int sandbox, unsigned int n)
{
	double start = bench_now();

	if (way->port)
		floor_check(floor_nft_add(work->nft, n, 1));
	floor_check(floor_attach(&work->links, sandbox, n));
	samples_add(&work->floor_add, bench_now() - start);
}

static void detach(struct work *work, const struct way *way, unsigned int n)
{
	char id[32];
	double start;

	snprintf(id, sizeof(id), "endpoint-%u", n);
	start = bench_now();
	bench_check(work->ctx, bn_endpoint_detach(work->ctx, "bench", id, way->flags), "detach");
	samples_add(&work->delete, bench_now() - start);
}

/* What does not wait for the link's deletion has the floor that does not. */
static void detach_floor(struct work *work, const struct way *way, unsigned int n)
{
	double start = bench_now();

	if (way->port)
		floor_check(floor_nft_delete(work->nft, n, 1));
	floor_check(way->flags ? floor_cut(&work->links, n) : floor_detach(&work->links, n, 1));
	samples_add(&work->floor_delete, bench_now() - start);
}

/* The kernel takes namespaces apart in the background, under the lock that links need. */
static void let_namespaces_go(int ours, int theirs)
{
	close(ours);
	close(theirs);
	usleep(50 * 1000);
}

/* The library and the floor take turns at being first, each time in fresh namespaces. No number
 * comes twice, since a link that was cut off may be there for a while. */
static void measure_way(struct work *work, const struct way *way, unsigned int first)
{
	int ours, theirs;

	clear(work);
	for (unsigned int n = first; n < first + ROUNDS; n++) {
		ours = bench_sandbox();
		theirs = bench_sandbox();
		if (n % 2)
			attach_floor(work, way, theirs, n);
		samples_add(&work->add, bench_attach(work->ctx, ours, n, way->port));
		if (n % 2 == 0)
			attach_floor(work, way, theirs, n);
		detach(work, way, n);
		detach_floor(work, way, n);
		let_namespaces_go(ours, theirs);
	}
	if (way->attach)
		bench_report(way->attach, &work->add, &work->floor_add);
	bench_report(way->detach, &work->delete, &work->floor_delete);
}

/* ---- Networks ---- */

static void network_by_library(struct work *work)
{
	double start = bench_now();

	bench_network_named(work->ctx, "other", 78);
	samples_add(&work->add, bench_now() - start);
	start = bench_now();
	bench_check(work->ctx, bn_network_delete(work->ctx, "other", 0), "delete");
	samples_add(&work->delete, bench_now() - start);
}

static void network_by_floor(struct work *work, unsigned int n)
{
	double start = bench_now();

	floor_check(floor_nft_add(work->nft, 0, RULES_OF_NETWORK));
	floor_check(floor_network_create(&work->links, n));
	samples_add(&work->floor_add, bench_now() - start);
	start = bench_now();
	floor_check(floor_network_delete(&work->links, n));
	floor_check(floor_nft_delete(work->nft, 0, RULES_OF_NETWORK));
	samples_add(&work->floor_delete, bench_now() - start);
}

static void networks(struct work *work)
{
	clear(work);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		network_by_library(work);
		network_by_floor(work, i);
	}
	bench_report("create a network", &work->add, &work->floor_add);
	bench_report("delete a network", &work->delete, &work->floor_delete);
}

/* In a namespace of its own, or each of its commits would be another's to the library. */
static void open_rules(struct work *work)
{
	int host = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	bench_enter(bench_sandbox());
	floor_check(floor_nft_open(&work->nft));
	bench_enter(host);
	close(host);
}

int main(void)
{
	static struct work work;
	size_t before = mallinfo2().uordblks, after;

	work.ctx = bench_stage("nftables");
	bench_network(work.ctx);
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	printf("%-44s %10.1f kB   aim below 2,000 kB\n", "heap of a context with nothing attached",
	       (double)(after - before) / 1000);
	floor_check(floor_link_open(&work.links));
	open_rules(&work);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		measure_way(&work, &ways[i], (unsigned int)i * ROUNDS);
	networks(&work);
	floor_nft_close(work.nft);
	floor_link_close(&work.links);
	bench_leave(work.ctx);
	return 0;
}
