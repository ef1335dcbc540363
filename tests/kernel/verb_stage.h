/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests that make verbs fail share: a host, a namespace for an endpoint, the verbs, and
 * all that the kernel and the state show. */
#ifndef BN_TEST_VERB_STAGE_H
#define BN_TEST_VERB_STAGE_H

#include "../case.h"

#include <stdbool.h>

#include "bridgenet.h"
#include "firewall/firewall.h"

#define SNAPSHOT_MAX 65536

typedef int (*verb_fn)(bn_ctx *ctx);

extern const char *backend; /* of the contexts */
extern char state_dir[];    /* theirs */

/* NULL, or called when all is made up that a verb is asked for. */
extern void (*verb_begins)(void);
#define BEGIN_VERB() (verb_begins ? verb_begins() : (void)0)

/* Rules, links, addresses and rows; of an endpoint's namespace all but lo, which an attach leaves
 * up. */
void snapshot(char text[static SNAPSHOT_MAX]);
void assert_same(const char *before, const char *after);
bn_ctx *new_context(void);
/* Without this step there is another way, or what is lost is looked for (test_lost.c). */
bool step_is_tolerated(const char *step);
int stage_sandbox(void); /* a process in the endpoint's namespace */
/* A shell command that runs statements on the state; how many rows a table of it has. */
const char *stage_sql(const char *statements);
size_t stage_count(const char *table);

/* Network "front", endpoint "web" of it, ports of that. Results are asked for, and let go. */
int create(bn_ctx *ctx);
int delete (bn_ctx *ctx);
int attach(bn_ctx *ctx);
int detach(bn_ctx *ctx);
int publish(bn_ctx *ctx);
int unpublish(bn_ctx *ctx);

/* "web" as attach() attaches it, in a namespace that is gone when this returns; and what lost its
 * namespace goes, or finds that it went. */
int attach_lost(bn_ctx *ctx);
int collect(bn_ctx *ctx);

/* With a context of its own; it must succeed. */
void run(verb_fn verb);
/* Any change makes the library look for what was left half done. */
void touch(void);
/* Whatever a failed case has left. */
int tidy(void **state);

int stage_setup(void **state);
int stage_teardown(void **state);
/* The tests with each backend, in namespaces and with a state of its own: how many failed. */
#define RUN_WITH_BACKENDS(tests)                                                            \
	({                                                                                  \
		int failed_ = 0;                                                            \
		for (size_t i_ = 0; firewall_backends[i_]; i_++) {                          \
			backend = firewall_backends[i_]->name;                              \
			failed_ += cmocka_run_group_tests_name(backend, tests, stage_setup, \
							       stage_teardown);             \
		}                                                                           \
		failed_;                                                                    \
	})

#endif
