/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests that run verbs beside each other share: workers, each a host of its own; what is
 * there when a verb begins; the verbs; and all that the kernel and the state show.
 *
 * Nothing here asserts: a worker is a process beside the test program, and says what it found.
 */
#ifndef BN_TEST_WORLD_H
#define BN_TEST_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridgenet.h"

#define PATIENCE_MS 100000 /* with a machine that does other things */
#define SEEN_MAX (128 * 1024)
#define ANSWER_MAX 2048
#define STEPS_MAX 160 /* more than any verb has */

#ifndef BN_REASON_BUSY
#define BN_REASON_BUSY 30
#endif
#ifndef BN_REASON_UNKNOWN_OUTCOME
#define BN_REASON_UNKNOWN_OUTCOME 34
#endif

/* ---- the host of a worker ---- */

enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILY_DUAL, FAMILIES };

struct setting {
	const char *backend;
	enum family family;
};
extern struct setting setting;
/* After a quick detach they die with their namespaces, which is left to world_clear(). */
extern bool links_stay;
#define STATE_DIR "/run/bn"     /* there is a /run for each */
#define KEPT_DIR "/run/bn-kept" /* of what outlives a state */
#define SANDBOXES 4
#define HOST_BRIDGE "host0" /* one that is there, and nobody's */

/* Namespaces, mounts, sandboxes and a state of its own for the calling process, in place of those
 * that it may have. */
int host_make(void);
void host_remove(void);
/* The namespaces that endpoints are attached to; one more is made to be lost. */
const char *sandbox_path(size_t i);
#define LOST_SANDBOX SANDBOXES

/* A context, which takes the setting's backend unless the state is to say it; NULL for want of
 * memory. */
bn_ctx *context_new(uint32_t timeout_ms, bool by_state);
/* Any change makes the library look for what was left half done. */
int touch_state(void);
/* And a repair says so. Negative, and what says what it has not put right. */
int repair_state(char *what, size_t size);

/* Rules, whether they are what is planned, links, addresses, routes and rows, without what is random.
 */
void look(char seen[static SEEN_MAX]);
/* Is a rule that drops planned, and not in the kernel, although what it is about is there? what: the
 * first one. */
bool missing_drops(char *what, size_t size);
/* Forwarding as it is in what was seen. */
void forwarding_restore(const char *seen);
/* How many lines only one of them has; the first of those are written to text. */
size_t differences(const char *before, const char *after, char *text, size_t size);

/* But for the default routes of sandboxes, and the rules that say which one: those of endpoints that are
 * gone may stay until the next change in the sandbox, when there was no time for them. */
bool same_but_sources(const char *a, const char *b);
/* That of an interface that is cut off is passed over, and may stay as long as the interface. */
bool same_but_defaults(const char *a, const char *b);
/* But for what interfaces are set to inside, which may be not to be had. */
bool same_but_settings(const char *a, const char *b);

/* ---- what is there when a verb begins ---- */

enum world {
	WORLD_EMPTY,   /* nothing, not even the base; forwarding is off */
	WORLD_BARE,    /* network front */
	WORLD_FULL,    /* and endpoints web, with ports, and db; network spare */
	WORLD_FLUSHED, /* WORLD_FULL, and somebody has flushed all rules */
	WORLD_LOST,    /* WORLD_FULL, and endpoint lost, with a port, whose namespace is gone */
	WORLD_JOINED,  /* web on network front and twin on spare, in one namespace; network side */
	WORLDS,
};
extern const char *const world_names[WORLDS];

int world_build(enum world world);
/* From what is seen to what was prepared, by the verbs that it takes: to make all anew takes links to
 * be deleted, for each of which the kernel keeps the whole machine waiting. 0, or negative: it won't do,
 * and world_clear() is to come. */
int world_restore(enum world world, const char *seen, const char *prepared);
/* All networks go. 0 when the host is as it was made; else -1, what is left is said, and the host is
 * made anew. */
int world_clear(char *what, size_t size);

/* ---- the verbs ---- */

struct answer {
	int r, reason;
	char text[ANSWER_MAX]; /* the result */
	char message[512];     /* and the error in words, which may differ */
};

typedef int (*act_fn)(bn_ctx *ctx, char text[static ANSWER_MAX]);

#define ACTS_MAX 3
#define IN(world) (1u << (world))

struct verb {
	const char *name;
	act_fn acts[ACTS_MAX]; /* most have one */
	unsigned int worlds;   /* where it is worth trying */
	unsigned int alone;    /* where it does its work when nothing comes between */
	const char *fails;     /* the step that fails, once; NULL for most */
	int r; /* and what comes of it: -EIO, and all is as before; 0, for it goes on */
};
extern const struct verb verbs[];
extern const size_t verbs_len;
const struct verb *verb_find(const char *name);
size_t acts_of(const struct verb *verb);

/* It was given up because another was at work. */
bool in_vain(const struct answer *answer);
/* It failed on a way that only goes on: the next call does the rest. */
bool left_open(const struct answer *answer);

/* With a context of its own for each act; those in skip are left out. */
void verb_run(const struct verb *verb, uint32_t timeout_ms, bool by_state, unsigned int skip,
	      struct answer answers[static ACTS_MAX]);

/* ---- many at once ---- */

/* Memory that forked processes share. */
void *shared_new(size_t size);
void shared_free(void *memory, size_t size);

/* Calls job(i) for each of len in the workers, each on a host of its own; returns how many of the jobs
 * have failed (false). BN_WORKERS says how many there are. */
size_t workers_run(size_t len, bool (*job)(size_t i));
/* BN_SECONDS: all settings, and parts of the jobs by chance, in rounds until the time is over. It is
 * that of a case, of which there are so many. */
bool is_timed(void);
void time_begin(int cases);
bool time_is_over(void);

/* What was done, by all workers: written to standard error as "# figure NAME NUMBER". */
enum figure {
	FIGURE_KILLS,
	FIGURE_KILLS_BY_TIMER,
	FIGURE_NEXT_CALLS,
	FIGURE_REPAIRS,
	FIGURE_FAULTS,
	FIGURE_FAULTS_TOLD,
	FIGURE_ANSWERS_LOST,
	FIGURE_PAIRS,
	FIGURE_OPERATIONS,
	FIGURE_OPERATIONS_REFUSED,
	FIGURE_OPERATIONS_IN_VAIN,
	FIGURE_STOPS,
	FIGURES
};
void figure_add(enum figure figure, size_t count);
void figures_tell(void); /* and forget */

/* One line, whole, on standard error. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For another process; seconds until it counts as hung. The exit status as of waitpid(), or -1. */
int wait_for(pid_t pid, int seconds);

#endif
