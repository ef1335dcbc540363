/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One verb at a time that something happens to: all is as before it afterwards, or as after it. */
#ifndef BN_TEST_TRIALS_H
#define BN_TEST_TRIALS_H

#include "../case.h"
#include "world.h"

#define WHAT_MAX 4096

#ifdef __SANITIZE_ADDRESS__
#define SHARE 10 /* it is the same code, and takes its time */
#else
#define SHARE 1
#endif

struct trial {
	enum world world;
	const struct verb *verb;
	struct setting setting;
};

enum standing {
	STANDS_BEFORE,
	STANDS_AFTER,
	STANDS_BETWEEN,
};

/* BN_SOAK: every verb with every setting, rather than settings in turns. */
bool is_soak(void);

/* Of every stride-th point, where it is not all of them: others each day, and by chance when the time
 * is limited. */
size_t first_of(size_t stride);

/* A job for each verb, by workers; BN_TRIALS is a regular expression of those to run: full/detach.
 * Fails the case when one has failed. */
void trials_run(bool (*job)(const struct trial *trial));

/* In a child that has called its own preparations. */
void trial_verb(const struct trial *trial, uint32_t timeout_ms, struct answer *answer);

/* What is there before and after. The world is as before then. */
int trial_begin(const struct trial *trial);
/* May something be left to the next call? A move of backends is done when the state has moved: the rules
 * that it leaves behind may go later. */
bool trial_left_open(const struct trial *trial, const struct answer *answer);
/* What is there now? what: the differences to the nearer of the two. */
enum standing trial_look(char what[static WHAT_MAX]);
/* A repair has no way back: what has failed of it is found by the next one. */
bool trial_goes_on(const struct trial *trial);
/* What was left half done is found by the next call, or by a repair, which has nothing left to tell
 * then. */
int trial_recover(const struct trial *trial, size_t turn, char what[static WHAT_MAX]);
/* After a trial_look(): where only what a sandbox has by source differs from what is there after the
 * verb, the next change in that sandbox puts it right. */
enum standing trial_visit(char what[static WHAT_MAX]);
/* After a trial_look(): but for what interfaces are set to. */
enum standing trial_look_past_settings(void);
/* After a trial_look(): the world is as before. Negative: something was left, as what says. */
int trial_again(const struct trial *trial, char what[static WHAT_MAX]);
/* Looks first, and says it as a fault. */
bool trial_again_unseen(const struct trial *trial);
int trial_end(char what[static WHAT_MAX]);

/* Says what is wrong with it; returns false. */
bool trial_fault(const struct trial *trial, const struct answer *answer, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
