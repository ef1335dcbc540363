/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one clock, CLOCK_MONOTONIC in milliseconds, and the times at which calls must end. */
#ifndef BN_BASE_CLOCK_H
#define BN_BASE_CLOCK_H

#include <stdint.h>

/* When a call must end. The context owns one, and all that wait or loop for it point to that, so
 * that whoever changes it changes it for all. NULL is one that never ends, as is { 0 }. */
struct deadline {
	uint64_t end; /* by clock_now_ms(); 0: never */
};

uint64_t clock_now_ms(void);
/* That many milliseconds from now; of 0: never. */
struct deadline deadline_after(uint32_t timeout_ms);
/* The same, or that many milliseconds from now, if that is sooner. */
struct deadline deadline_within(const struct deadline *deadline, uint32_t ms);
/* 0 to go on, -ETIMEDOUT once it has passed. */
int deadline_check(const struct deadline *deadline);
/* As poll(2) takes it: what is left, at least 0; -1 for no end. */
int deadline_left_ms(const struct deadline *deadline);

/*
 * A pause before another look at what somebody else is at: short for the first looks, as mostly it
 * takes microseconds, then longer. 0, or, without a pause, what deadline_check() says.
 */
int deadline_pause(const struct deadline *deadline, unsigned int attempt);

#endif
