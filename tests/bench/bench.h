/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the benchmarks share: a stage to work on, a clock, and medians. */
#ifndef BN_BENCH_BENCH_H
#define BN_BENCH_BENCH_H

#include <stddef.h>
#include <sys/types.h>

#include "bridgenet.h"

/* A network namespace that stands for the host, and a state directory in memory; the backend of
 * that name. Several may be made: the calling thread is left in the namespace of the last. */
bn_ctx *bench_stage(const char *backend);
const char *bench_state_dir(void); /* of the last */
void bench_leave(bn_ctx *ctx);

/* Ends the program with the library's sentence when a call failed. */
void bench_check(bn_ctx *ctx, int r, const char *what);

/* Ends the program with what was tried, and why that failed. */
void bench_fail(const char *what);
void bench_enter(int namespace_);
void bench_run(const char *command);

/* A network with room for 65,000 endpoints. */
void bench_network(bn_ctx *ctx);
/* A fresh namespace, as a descriptor. */
int bench_sandbox(void);
/* Attach "endpoint-<n>", with port 20000 + n if with_port; microseconds it took. */
double bench_attach(bn_ctx *ctx, int sandbox, unsigned int n, int with_port);

/* Port n of the host, which leads to port 80: the first so that 65,000 follow. */
#define BENCH_FIRST_PORT 500
bn_port_spec *bench_port(unsigned int n);
bn_port_spec_list *bench_ports(unsigned int first, unsigned int len);
/* Publish them on "endpoint-0" in one call. */
void bench_publish(bn_ctx *ctx, unsigned int first, unsigned int len);

/* Ends the program when a floor failed. */
void floor_check(int r);

double bench_now(void); /* microseconds */

struct samples {
	double values[4096];
	size_t len;
};
void samples_add(struct samples *samples, double value);
double samples_percentile(struct samples *samples, int percent);
/* One line: both medians and their ratio. */
void bench_report(const char *what, struct samples *library, struct samples *floor);

#endif
