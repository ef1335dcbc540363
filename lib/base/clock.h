/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one clock, CLOCK_MONOTONIC in milliseconds, and when calls must end. */
#ifndef BN_BASE_CLOCK_H
#define BN_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

uint64_t clock_now_ms(void);
uint64_t clock_now_ns(void); /* for what takes less */

/* Somebody else wants a call to end. All that is used of it by another thread, or by a signal
 * handler, is atomic. */
struct cancel {
	atomic_bool asked;
	atomic_int fd; /* an eventfd, which wakes those that wait; -1: none yet */
};
#define CANCEL_NONE      \
	{                \
		.fd = -1 \
	}
/* Before the first call that may wait. 0 or -errno. */
int cancel_open(struct cancel *cancel);
void cancel_close(struct cancel *cancel);
void cancel_ask(struct cancel *cancel); /* async-signal-safe */
/* A call has ended: the next one was not asked to. */
void cancel_forget(struct cancel *cancel);

/*
 * When a call must end. The context owns one, and all that wait or loop for it point to that, so
 * that whoever changes it changes it for all. NULL is one that never ends, as is { 0 }.
 */
struct deadline {
	uint64_t end;          /* by clock_now_ms(); 0: never */
	struct cancel *cancel; /* what may end it before; NULL: nothing */
};

/* That many milliseconds from now, and nothing else ends it; of 0: never. */
struct deadline deadline_after(uint32_t timeout_ms);
/* The same, or that many milliseconds from now, if that is sooner. */
struct deadline deadline_within(const struct deadline *deadline, uint32_t ms);

/* 0 to go on, -ECANCELED once that is asked for, -ETIMEDOUT once it has passed. To be asked before
 * each step that takes time, and by every loop that may be long. */
int deadline_check(const struct deadline *deadline);
/* Is it one of the two? */
bool deadline_ended(int r);
/* The sentence for one of the two; `where` goes on from "the call was cancelled": "while ...",
 * "before ...". Returns r. */
int deadline_error(struct error *error, int r, const char *where, ...) PRINTF(3, 4);

/* Until there may be something to read from fd. 0, or what deadline_check() says, or -errno. */
int deadline_wait(const struct deadline *deadline, int fd);
/*
 * A pause before another look at what somebody else is at: short for the first looks, as mostly it
 * takes microseconds, then longer. 0, or, without a pause, what deadline_check() says.
 */
int deadline_pause(const struct deadline *deadline, unsigned int attempt);
/* The same before work is done again that others made void: each pause is twice the one before. */
int deadline_back_off(const struct deadline *deadline, unsigned int attempt);

#endif
