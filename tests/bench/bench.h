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

/* A network of a /16, "bench" for one; another, 10.<n>.0.0/16. */
#define BENCH_GATEWAY "10.77.0.1"
void bench_network(bn_ctx *ctx);
void bench_network_named(bn_ctx *ctx, const char *name, unsigned int n);
/* A fresh namespace, as a descriptor. */
int bench_sandbox(void);
/* Attach "endpoint-<n>" to "bench", with port 20000 + n if with_port; microseconds it took. */
double bench_attach(bn_ctx *ctx, int sandbox, unsigned int n, int with_port);
double bench_attach_to(bn_ctx *ctx, const char *network, int sandbox, unsigned int n,
		       int with_port);

/* Connections within the caller's namespace, as many as that, which stay; below BENCH_FIRST_PORT.
 * They are tracked if there is a network already. */
void bench_connections(unsigned int len);

/* Port n of the host, which leads to port 80: the first so that 65,000 follow. */
#define BENCH_FIRST_PORT 500
bn_port_spec *bench_port(unsigned int n); /* of TCP */
bn_port_spec *bench_udp_port(unsigned int n);
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
/* "10,000" */
const char *bench_thousands(char text[static 16], unsigned int number);
/* A row of the file that BN_BENCH_ROWS names in the environment, if it does, in microseconds, with
 * "-" where there is no floor:
 *
 *     what<TAB>library p10<TAB>library p50<TAB>floor p10<TAB>floor p50
 *
 * No two rows of all the benchmarks have the same name. tables.py knows what is aimed at. */
void bench_row(const char *what, struct samples *library, struct samples *floor);
/* The same, and a line to read: both medians and their ratio. floor may be NULL. */
void bench_report(const char *what, struct samples *library, struct samples *floor);

#endif
