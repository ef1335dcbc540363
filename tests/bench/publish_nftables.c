/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "floor/nft.h"
#include "publish.h"

#define ROUNDS 200
#define BULK 10000
#define MOST 65000
#define FEW_AMONG 4000
/* What a network has without endpoints; each is an element. */
#define RULES_OF_NETWORK 19
/* Beyond those of TCP, of which there are as many as are present. */
#define FLOOR_UDP (FLOOR_NFT_PORTS - 1)

struct work {
	bn_ctx *ctx;
	struct floor_nft *floor;
	struct samples add, floor_add, delete, floor_delete;
};

static void clear(struct work *work)
{
	work->add.len = work->floor_add.len = work->delete.len = work->floor_delete.len = 0;
}

static void report(struct work *work, const char *what)
{
	char row[64];

	snprintf(row, sizeof(row), "publish %s", what);
	bench_report(row, &work->add, &work->floor_add);
	snprintf(row, sizeof(row), "unpublish %s", what);
	bench_report(row, &work->delete, &work->floor_delete);
}

static void publish_one(struct work *work, const bn_port_spec *spec)
{
	double start = bench_now();

	bench_check(work->ctx, bn_port_publish(work->ctx, "bench", "endpoint-0", spec, 0, NULL),
		    "publish");
	samples_add(&work->add, bench_now() - start);
}

static void unpublish_one(struct work *work, const bn_port_spec *spec)
{
	double start = bench_now();

	bench_check(work->ctx, bn_port_unpublish(work->ctx, "bench", "endpoint-0", spec, 0),
		    "unpublish");
	samples_add(&work->delete, bench_now() - start);
}

static void by_floor(struct work *work, size_t first, size_t len)
{
	double start = bench_now();

	floor_check(floor_nft_add(work->floor, first, len));
	samples_add(&work->floor_add, bench_now() - start);
	start = bench_now();
	floor_check(floor_nft_delete(work->floor, first, len));
	samples_add(&work->floor_delete, bench_now() - start);
}

/* The library and the floor take turns, so that both see the same machine. */
static void one_of(struct work *work, bn_port_spec *spec, size_t floor_port, const char *protocol,
		   unsigned int present)
{
	char what[64], number[16];

	clear(work);
	for (int i = 0; i < ROUNDS; i++) {
		publish_one(work, spec);
		unpublish_one(work, spec);
		by_floor(work, floor_port, 1);
	}
	bn_port_spec_free(spec);
	snprintf(what, sizeof(what), "one %s, %s present", protocol,
		 bench_thousands(number, present));
	report(work, what);
}

static void one_at(struct work *work, unsigned int present)
{
	one_of(work, bench_port(present), present, "TCP", present);
	one_of(work, bench_udp_port(present), FLOOR_UDP, "UDP", present);
}

/* A mapping that was used has counted it, and may have flows to end. */
static void used_at(struct work *work, unsigned int present)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)(BENCH_FIRST_PORT + present)),
				  .sin_addr.s_addr = inet_addr(BENCH_GATEWAY) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bn_port_spec *spec = bench_udp_port(present);

	clear(work);
	for (int i = 0; i < ROUNDS; i++) {
		publish_one(work, spec);
		if (sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			bench_fail("send");
		unpublish_one(work, spec);
		by_floor(work, FLOOR_UDP, 1);
	}
	close(fd);
	bn_port_spec_free(spec);
	bench_report("unpublish one UDP that was used", &work->delete, &work->floor_delete);
}

static void fill(struct work *work, unsigned int from, unsigned int to)
{
	bench_publish(work->ctx, from, to - from);
	floor_check(floor_nft_add(work->floor, from, to - from));
}

static void bulk(struct work *work, unsigned int len, int rounds, const char *what)
{
	bn_port_spec_list *specs = bench_ports(0, len);
	double start;

	clear(work);
	for (int i = 0; i < rounds; i++) {
		start = bench_now();
		bench_check(work->ctx,
			    bn_ports_publish(work->ctx, "bench", "endpoint-0", specs, 0, NULL),
			    "publish");
		samples_add(&work->add, bench_now() - start);
		start = bench_now();
		bench_check(work->ctx,
			    bn_ports_unpublish(work->ctx, "bench", "endpoint-0", specs, 0),
			    "unpublish");
		samples_add(&work->delete, bench_now() - start);
		by_floor(work, 0, len);
	}
	bn_port_spec_list_free(specs);
	report(work, what);
}

/* What others commit where the library works makes it look at its base once more. The commit itself
 * is not counted. */
static void beside_others(struct work *work, unsigned int present)
{
	bn_port_spec *spec = bench_port(present);
	struct floor_nft *others;

	clear(work);
	floor_check(floor_nft_open(&others));
	for (size_t i = 0; i < ROUNDS; i++) {
		floor_check(floor_nft_add(others, i, 1));
		publish_one(work, spec);
		unpublish_one(work, spec);
		by_floor(work, present, 1);
	}
	floor_nft_close(others);
	bn_port_spec_free(spec);
	bench_report("publish one TCP, after another's commit", &work->add, &work->floor_add);
}

/* Of that network, or with NULL of all: how many rules there are. */
static size_t list_by_library(struct work *work, const char *network)
{
	double start = bench_now();
	bn_rule_list *rules;
	uint64_t packets = 0;
	size_t len;

	bench_check(work->ctx, bn_rules_list(work->ctx, network, BN_RULES_VERBOSE, &rules), "list");
	len = bn_rule_list_len(rules);
	for (size_t i = 0; i < len; i++)
		packets += bn_rule_packets(bn_rule_list_at(rules, i));
	bn_rule_list_free(rules);
	samples_add(&work->add, bench_now() - start);
	if (packets > 1000000)
		exit(1);
	return len;
}

static void list_all(struct work *work)
{
	double start;
	size_t len;

	clear(work);
	for (int i = 0; i < 25; i++) {
		if (list_by_library(work, NULL) < BULK)
			exit(1);
		start = bench_now();
		floor_check(floor_nft_dump(work->floor, &len));
		samples_add(&work->floor_add, bench_now() - start);
		if (len != BULK)
			exit(1);
	}
	bench_report("list 10,000 rules with counters", &work->add, &work->floor_add);
}

static void list_few(struct work *work)
{
	double start;
	size_t len;

	bench_network_named(work->ctx, "few", 78);
	clear(work);
	for (int i = 0; i < ROUNDS; i++) {
		if (list_by_library(work, "few") != RULES_OF_NETWORK)
			exit(1);
		start = bench_now();
		floor_check(floor_nft_get(work->floor, 0, RULES_OF_NETWORK, &len));
		samples_add(&work->floor_add, bench_now() - start);
		if (len != RULES_OF_NETWORK)
			exit(1);
	}
	bench_report("list a network's 19 rules among 4,000", &work->add, &work->floor_add);
	bench_check(work->ctx, bn_network_delete(work->ctx, "few", 0), "delete");
}

/* In a namespace of its own, or each of its commits would be another's to the library. */
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
	static struct work work;

	work.ctx = bench_stage("nftables");
	work.floor = open_floor();
	puts("nftables, beside bare netlink messages");
	bench_network(work.ctx);
	bench_attach(work.ctx, bench_sandbox(), 0, 0);
	bench_connections(CONNECTIONS);
	bulk(&work, 100, 50, "100 in one call");
	bulk(&work, BULK, 9, "10,000 in one call");
	one_at(&work, 0);
	fill(&work, 0, 1000);
	one_at(&work, 1000);
	fill(&work, 1000, FEW_AMONG);
	list_few(&work);
	fill(&work, FEW_AMONG, BULK);
	one_at(&work, BULK);
	used_at(&work, BULK);
	beside_others(&work, BULK);
	list_all(&work);
	fill(&work, BULK, MOST);
	one_at(&work, MOST);
	floor_nft_close(work.floor);
	bench_leave(work.ctx);
}
