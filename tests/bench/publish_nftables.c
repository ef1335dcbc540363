/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "floor/nft.h"
#include "publish.h"

#define ROUNDS 200
#define BULK 10000

/* The library and the floor take turns, so that both see the same machine. */
static void one_at(bn_ctx *ctx, struct floor_nft *floor, unsigned int existing)
{
	static struct samples add, floor_add, delete, floor_delete;
	bn_port_spec *spec = bench_port(existing);
	char what[64];
	double start;

	add.len = floor_add.len = delete.len = floor_delete.len = 0;
	for (int i = 0; i < ROUNDS; i++) {
		start = bench_now();
		bench_check(ctx, bn_port_publish(ctx, "bench", "endpoint-0", spec, 0, NULL),
			    "publish");
		samples_add(&add, bench_now() - start);
		start = bench_now();
		bench_check(ctx, bn_port_unpublish(ctx, "bench", "endpoint-0", spec, 0),
			    "unpublish");
		samples_add(&delete, bench_now() - start);

		start = bench_now();
		floor_check(floor_nft_add(floor, existing, 1));
		samples_add(&floor_add, bench_now() - start);
		start = bench_now();
		floor_check(floor_nft_delete(floor, existing, 1));
		samples_add(&floor_delete, bench_now() - start);
	}
	bn_port_spec_free(spec);
	snprintf(what, sizeof(what), "publish one at %u", existing);
	bench_report(what, &add, &floor_add);
	snprintf(what, sizeof(what), "unpublish one at %u", existing);
	bench_report(what, &delete, &floor_delete);
}

static void fill(bn_ctx *ctx, struct floor_nft *floor, unsigned int from, unsigned int to)
{
	bench_publish(ctx, from, to - from);
	floor_check(floor_nft_add(floor, from, to - from));
}

static void bulk(bn_ctx *ctx, struct floor_nft *floor)
{
	static struct samples add, floor_add, delete, floor_delete;
	bn_port_spec_list *specs = bench_ports(0, BULK);
	double start;

	for (int i = 0; i < 7; i++) {
		start = bench_now();
		bench_check(ctx, bn_ports_publish(ctx, "bench", "endpoint-0", specs, 0, NULL),
			    "publish");
		samples_add(&add, bench_now() - start);
		start = bench_now();
		bench_check(ctx, bn_ports_unpublish(ctx, "bench", "endpoint-0", specs, 0),
			    "unpublish");
		samples_add(&delete, bench_now() - start);
		start = bench_now();
		floor_check(floor_nft_add(floor, 0, BULK));
		samples_add(&floor_add, bench_now() - start);
		start = bench_now();
		floor_check(floor_nft_delete(floor, 0, BULK));
		samples_add(&floor_delete, bench_now() - start);
	}
	bn_port_spec_list_free(specs);
	bench_report("publish 10,000 in one call", &add, &floor_add);
	bench_report("unpublish 10,000 in one call", &delete, &floor_delete);
}

static void list(bn_ctx *ctx, struct floor_nft *floor)
{
	static struct samples library, bare;
	bn_rule_list *rules;
	uint64_t packets;
	double start;
	size_t len;

	for (int i = 0; i < 15; i++) {
		start = bench_now();
		bench_check(ctx, bn_rules_list(ctx, NULL, BN_RULES_VERBOSE, &rules), "list");
		packets = 0;
		for (size_t j = 0; j < bn_rule_list_len(rules); j++)
			packets += bn_rule_packets(bn_rule_list_at(rules, j));
		bn_rule_list_free(rules);
		samples_add(&library, bench_now() - start);
		start = bench_now();
		floor_check(floor_nft_dump(floor, &len));
		samples_add(&bare, bench_now() - start);
		if (len != BULK || packets > 1000000)
			exit(1);
	}
	bench_report("list 10,000 with counters", &library, &bare);
}

/* In a namespace of its own: what others commit where the library works makes it look at its base
 * once more. */
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

void publish_nftables(void)
{
	bn_ctx *ctx = bench_stage("nftables");
	struct floor_nft *floor = open_floor();

	puts("nftables, beside bare netlink messages");
	bench_network(ctx);
	bench_attach(ctx, bench_sandbox(), 0, 0);
	bulk(ctx, floor);
	one_at(ctx, floor, 0);
	fill(ctx, floor, 0, 1000);
	one_at(ctx, floor, 1000);
	fill(ctx, floor, 1000, BULK);
	one_at(ctx, floor, BULK);
	list(ctx, floor);
	fill(ctx, floor, BULK, 65000);
	one_at(ctx, floor, 65000);
	floor_nft_close(floor);
	bench_leave(ctx);
}
