/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

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

deadline_ms deadline_after(uint32_t timeout_ms)
{
	return timeout_ms ? clock_now_ms() + timeout_ms : 0;
}

bool deadline_passed(deadline_ms deadline)
{
	return deadline && clock_now_ms() >= deadline;
}

int deadline_left_ms(deadline_ms deadline)
{
	uint64_t now;

	if (!deadline)
		return -1;
	now = clock_now_ms();
	if (now >= deadline)
		return 0;
	return deadline - now > INT32_MAX ? INT32_MAX : (int)(deadline - now);
}

bool deadline_pause(deadline_ms deadline, unsigned int attempt)
{
	struct timespec pause = {
		.tv_nsec = attempt < SHORT_PAUSES ? SHORT_PAUSE_NS : LONG_PAUSE_NS,
	};

	if (deadline_passed(deadline))
		return false;
	nanosleep(&pause, NULL);
	return true;
}
