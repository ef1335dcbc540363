/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A verb under a tracer that meets it at its system calls. */
#ifndef BN_TEST_TRACING_H
#define BN_TEST_TRACING_H

#include "trials.h"

struct point {
	long number; /* of the system call */
	bool on_way_out;
	size_t count; /* of the points before the end, or before what happened */
};

#define NEVER SIZE_MAX

struct tracing {
	/* Is a system call a point? */
	bool (*counts)(long number, const uint64_t *arguments);
	bool ways_out; /* its way out, too */
	/* What happens at the n-th point: the process is killed, or the system call is not done and
	 * fails with that errno. */
	size_t n;
	int (*code)(long number, size_t n); /* NULL: it is killed */
};

/* Its threads are traced as well. Returns the status as of waitpid(); answer may be NULL, else it is
 * in shared memory. */
int trace_verb(const struct trial *trial, const struct tracing *tracing, struct point *point,
	       struct answer *answer);
/* Can system calls be made to fail on this machine? */
bool trace_can_fail(void);
const char *system_call_name(long number, char text[static 24]);

#endif
