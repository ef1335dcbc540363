/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attaching to a bridge that has many ports already, up to 1,000, beside the bare netlink messages
 * for a bridge that has as many. What the kernel does for each port that there is, such as showing
 * it a multicast packet of the new one, is in both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"
#include "floor/floor.h"

#define CROWD 1000 /* a bridge takes 1023 */

struct crowd {
	bn_ctx *ctx;
	struct floor_link floor;
	int ours[CROWD], theirs[CROWD];
	double library[CROWD], bare[CROWD];
};

static void dual_network(bn_ctx *ctx)
{
	bn_network_spec *spec;

	bench_check(ctx, bn_network_spec_new("bench", &spec), "network spec");
	bench_check(ctx, bn_network_spec_add_subnet(spec, "10.77.0.0/16"), "subnet");
	bench_check(ctx, bn_network_spec_add_subnet(spec, "fd00:77::/64"), "subnet");
	bench_check(ctx, bn_network_create(ctx, spec, 0, NULL), "create");
	bn_network_spec_free(spec);
}

static double attach_bare(struct crowd *crowd, unsigned int n)
{
	double start = bench_now();

	floor_check(floor_attach(&crowd->floor, crowd->theirs[n], n));
	return bench_now() - start;
}

static void report(const struct crowd *crowd, unsigned int first, unsigned int end,
		   const char *families)
{
	static struct samples library, bare;
	char what[64], number[16];

	library.len = bare.len = 0;
	for (unsigned int n = first; n < end; n++) {
		samples_add(&library, crowd->library[n]);
		samples_add(&bare, crowd->bare[n]);
	}
	snprintf(what, sizeof(what), "attach at %u to %s%s", first, bench_thousands(number, end),
		 families);
	bench_report(what, &library, &bare);
}

/* The library and the floor take turns at being first, and nothing leaves. */
static void fill(struct crowd *crowd, int dual)
{
	const char *families = dual ? ", IPv4 and IPv6" : "";

	crowd->ctx = bench_stage("nftables");
	if (dual)
		dual_network(crowd->ctx);
	else
		bench_network(crowd->ctx);
	floor_check(floor_link_open(&crowd->floor));
	crowd->floor.dual = dual;
	for (unsigned int n = 0; n < CROWD; n++) {
		crowd->ours[n] = bench_sandbox();
		crowd->theirs[n] = bench_sandbox();
		if (n % 2)
			crowd->bare[n] = attach_bare(crowd, n);
		crowd->library[n] = bench_attach(crowd->ctx, crowd->ours[n], n, 0);
		if (n % 2 == 0)
			crowd->bare[n] = attach_bare(crowd, n);
	}
	report(crowd, 0, 10, families);
	report(crowd, 90, 100, families);
	report(crowd, 900, CROWD, families);
	bench_leave(crowd->ctx);
	floor_link_close(&crowd->floor);
	for (unsigned int n = 0; n < CROWD; n++) {
		close(crowd->ours[n]);
		close(crowd->theirs[n]);
	}
}

int main(void)
{
	static struct crowd crowd;
	const struct rlimit descriptors = { 2 * CROWD + 100, 2 * CROWD + 100 };

	if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		bench_fail("descriptors for the sandboxes");
	fill(&crowd, 0);
	fill(&crowd, 1);
	return 0;
}
