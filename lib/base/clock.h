/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one clock, CLOCK_MONOTONIC in milliseconds, and the times at which calls must end. */
#ifndef BN_BASE_CLOCK_H
#define BN_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* When a call must end; 0: never. */
typedef uint64_t deadline_ms;

uint64_t clock_now_ms(void);
/* That many milliseconds from now; of 0: never. */
deadline_ms deadline_after(uint32_t timeout_ms);
bool deadline_passed(deadline_ms deadline);
/* As poll(2) takes it: what is left, at least 0; -1 for no end. */
int deadline_left_ms(deadline_ms deadline);

/*
 * A pause before another look at what somebody else is at: short for the first looks, as mostly it
 * takes microseconds, then longer. False, without a pause, once the deadline has passed.
 */
bool deadline_pause(deadline_ms deadline, unsigned int attempt);

#endif
