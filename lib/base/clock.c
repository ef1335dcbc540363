/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

#define SHORT_PAUSES 20
#define SHORT_PAUSE_NS 20000
#define LONG_PAUSE_NS 500000

uint64_t clock_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct deadline deadline_after(uint32_t timeout_ms)
{
	return (struct deadline){ .end = timeout_ms ? clock_now_ms() + timeout_ms : 0 };
}

struct deadline deadline_within(const struct deadline *deadline, uint32_t ms)
{
	struct deadline within = deadline_after(ms);

	if (!deadline)
		return within;
	if (deadline->end && deadline->end < within.end)
		within.end = deadline->end;
	return within;
}

int deadline_check(const struct deadline *deadline)
{
	return deadline && deadline->end && clock_now_ms() >= deadline->end ? -ETIMEDOUT : 0;
}

int deadline_left_ms(const struct deadline *deadline)
{
	uint64_t now;

	if (!deadline || !deadline->end)
		return -1;
	now = clock_now_ms();
	if (now >= deadline->end)
		return 0;
	return deadline->end - now > INT32_MAX ? INT32_MAX : (int)(deadline->end - now);
}

int deadline_pause(const struct deadline *deadline, unsigned int attempt)
{
	struct timespec pause = {
		.tv_nsec = attempt < SHORT_PAUSES ? SHORT_PAUSE_NS : LONG_PAUSE_NS,
	};
	int r = deadline_check(deadline);

	if (r == 0)
		nanosleep(&pause, NULL);
	return r;
}
