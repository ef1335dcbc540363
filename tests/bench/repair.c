/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Check and repair of a state with 10,000 published ports, of nftables, beside a bare load of as
 * many rules.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "floor/nft.h"

#define PORTS 10000
#define ROUNDS 9
#define MANY_ROUNDS 200

/* How many things were found. */
static size_t look(bn_ctx *ctx, const char *network, const char *endpoint, struct samples *samples)
{
	double start = bench_now();
	bn_finding_list *list;
	size_t len;

	bench_check(ctx, bn_check(ctx, network, endpoint, 0, &list), "check");
	samples_add(samples, bench_now() - start);
	len = bn_finding_list_len(list);
	bn_finding_list_free(list);
	return len;
}

static void repair(bn_ctx *ctx, struct samples *samples)
{
	double start = bench_now();
	bn_finding_list *list;

	bench_check(ctx, bn_repair(ctx, NULL, NULL, 0, &list), "repair");
	samples_add(samples, bench_now() - start);
	for (size_t i = 0; i < bn_finding_list_len(list); i++) {
		const bn_finding *finding = bn_finding_list_at(list, i);

		if (!bn_finding_repaired(finding)) {
			fprintf(stderr, "not repaired: %s\n", bn_finding_text(finding));
			exit(1);
		}
	}
	bn_finding_list_free(list);
}

static void sound(bn_ctx *ctx)
{
	static struct samples unused;

	unused.len = 0;
	if (look(ctx, NULL, NULL, &unused)) {
		fputs("something is left to repair\n", stderr);
		exit(1);
	}
}

/* In a namespace of its own, or the library's table would go with the floor's. */
static struct floor_nft *open_floor(void)
{
	int host = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct floor_nft *floor;

	bench_enter(bench_sandbox());
	floor_check(floor_nft_open(&floor));
	bench_enter(host);
	close(host);
	return floor;
}

static void flushed(bn_ctx *ctx)
{
	static struct samples library, bare;
	struct floor_nft *floor = open_floor();

	for (int i = 0; i < ROUNDS; i++) {
		double start;

		bench_run("nft flush ruleset");
		repair(ctx, &library);
		start = bench_now();
		floor_check(floor_nft_add(floor, 0, PORTS));
		samples_add(&bare, bench_now() - start);
		floor_check(floor_nft_delete(floor, 0, PORTS));
	}
	floor_nft_close(floor);
	sound(ctx);
	bench_report("repair 10,000 ports after a flush", &library, &bare);
}

static void one_gone(bn_ctx *ctx)
{
	static struct samples samples;

	for (int i = 0; i < ROUNDS; i++) {
		bench_run("nft delete element inet bridgenet ports4 '{ tcp . 600 }'");
		repair(ctx, &samples);
	}
	sound(ctx);
	bench_report("repair one of 10,000 ports", &samples, NULL);
}

static void checks(bn_ctx *ctx)
{
	static struct samples all, one, network;

	for (int i = 0; i < MANY_ROUNDS; i++) {
		if (i < ROUNDS)
			look(ctx, NULL, NULL, &all);
		look(ctx, "bench", "endpoint-1", &one);
		look(ctx, "few", NULL, &network);
	}
	bench_report("check 10,000 ports", &all, NULL);
	bench_report("check a network among 10,000 ports", &network, NULL);
	bench_report("check an endpoint among 10,000 ports", &one, NULL);
}

int main(void)
{
	bn_ctx *ctx = bench_stage("nftables");

	puts("nftables, beside bare netlink messages");
	bench_network(ctx);
	bench_network_named(ctx, "few", 78);
	bench_attach(ctx, bench_sandbox(), 0, 0);
	bench_attach(ctx, bench_sandbox(), 1, 1);
	bench_publish(ctx, 0, PORTS);
	sound(ctx);
	checks(ctx);
	one_gone(ctx);
	flushed(ctx);
	bench_leave(ctx);
	return 0;
}
