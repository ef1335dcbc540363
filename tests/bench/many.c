/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many endpoints: detached in one call, listed, and looked at for what is gone, beside the bare
 * netlink messages for as many links.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "floor/floor.h"

#define FEW 32
#define MANY 1000 /* a bridge takes 1023 */
#define OF_NETWORK 100

struct work {
	bn_ctx *ctx;
	struct floor_link links;
	int ours[MANY], theirs[MANY];
	size_t sandboxes; /* how many there are of each */
};

static void make_sandboxes(struct work *work, size_t len)
{
	for (; work->sandboxes < len; work->sandboxes++) {
		work->ours[work->sandboxes] = bench_sandbox();
		work->theirs[work->sandboxes] = bench_sandbox();
	}
}

static bn_name_list *name_endpoints(unsigned int len)
{
	bn_name_list *names;
	char id[32];

	if (bn_name_list_new(&names) < 0)
		exit(1);
	for (unsigned int i = 0; i < len; i++) {
		snprintf(id, sizeof(id), "endpoint-%u", i);
		if (bn_name_list_add(names, id) < 0)
			exit(1);
	}
	return names;
}

static void detach_together(struct work *work, unsigned int len, int rounds, const char *row)
{
	static struct samples library, bare;
	bn_name_list *names = name_endpoints(len);
	double start;

	library.len = bare.len = 0;
	make_sandboxes(work, len);
	for (int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < len; i++) {
			bench_attach(work->ctx, work->ours[i], i, 0);
			floor_check(floor_attach(&work->links, work->theirs[i], i));
		}
		start = bench_now();
		bench_check(work->ctx, bn_endpoints_detach(work->ctx, "bench", names, 0), "detach");
		samples_add(&library, bench_now() - start);
		start = bench_now();
		floor_check(floor_detach(&work->links, 0, len));
		samples_add(&bare, bench_now() - start);
	}
	bn_name_list_free(names);
	bench_report(row, &library, &bare);
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
static void collect(struct work *work)
{
	static struct samples library, bare;
	bn_endpoint_list *list;
	double start;

	for (int round = 0; round < 60; round++) {
		start = bench_now();
		bench_check(work->ctx, bn_endpoints_collect(work->ctx, NULL, 0, &list), "collect");
		samples_add(&library, bench_now() - start);
		if (bn_endpoint_list_len(list))
			exit(1);
		bn_endpoint_list_free(list);
		samples_add(&bare, look_for_links(MANY));
	}
	bench_report("collect, none of 1,000 gone", &library, &bare);
}

/* With the state of each. The floor is one dump of the same links. */
static void list(struct work *work)
{
	static struct samples library, bare;
	bn_endpoint_list *endpoints;
	double start;
	size_t len;

	for (int round = 0; round < 30; round++) {
		start = bench_now();
		bench_check(work->ctx, bn_endpoints_list(work->ctx, NULL, 0, &endpoints), "list");
		len = bn_endpoint_list_len(endpoints);
		for (size_t i = 0; i < len; i++) {
			const bn_endpoint *endpoint = bn_endpoint_list_at(endpoints, i);

			if (strcmp(bn_endpoint_state(endpoint), "running") != 0)
				exit(1);
		}
		bn_endpoint_list_free(endpoints);
		samples_add(&library, bench_now() - start);
		if (len != MANY)
			exit(1);
		start = bench_now();
		floor_check(floor_list(&work->links, &len));
		samples_add(&bare, bench_now() - start);
		if (len != MANY)
			exit(1);
	}
	bench_report("list 1,000 endpoints", &library, &bare);
}

static void name_network(unsigned int n, char name[static 16])
{
	snprintf(name, 16, "more-%u", n);
}

/* On more than one bridge: to attach to one takes the longer the more there are. */
static void fill(struct work *work)
{
	char name[16];

	for (unsigned int n = 0; n < MANY / OF_NETWORK; n++) {
		name_network(n, name);
		bench_network_named(work->ctx, name, 100 + n);
		for (unsigned int i = n * OF_NETWORK; i < (n + 1) * OF_NETWORK; i++)
			bench_attach_to(work->ctx, name, work->ours[i], i, 0);
	}
}

static void empty(struct work *work)
{
	char name[16];

	for (unsigned int n = 0; n < MANY / OF_NETWORK; n++) {
		name_network(n, name);
		bench_check(work->ctx, bn_network_delete(work->ctx, name, BN_DELETE_ENDPOINTS),
			    "delete");
	}
}

int main(void)
{
	static struct work work;
	const struct rlimit descriptors = { 3 * MANY, 3 * MANY };

	if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		bench_fail("setrlimit");
	work.ctx = bench_stage("nftables");
	bench_network(work.ctx);
	floor_check(floor_link_open(&work.links));
	detach_together(&work, FEW, 15, "detach 32 in one call");
	detach_together(&work, MANY, 2, "detach 1,000 in one call");
	fill(&work);
	collect(&work);
	list(&work);
	empty(&work);
	floor_link_close(&work.links);
	bench_leave(work.ctx);
	return 0;
}
