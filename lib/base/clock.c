/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#define SHORT_PAUSES 20
#define SHORT_PAUSE_NS 20000
#define LONG_PAUSE_NS 500000
#define BACK_OFFS 7 /* that grow, up to 128 ms */

uint64_t clock_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- being asked to end ---- */

int cancel_open(struct cancel *cancel)
{
	int fd;

	if (cancel->fd >= 0)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	cancel->fd = fd;
	return 0;
}

void cancel_close(struct cancel *cancel)
{
	int fd = atomic_exchange(&cancel->fd, -1);

	cleanup_close(&fd);
}

/* First asked, then woken: who asks while the descriptor is being made is seen before the first
 * wait. */
void cancel_ask(struct cancel *cancel)
{
	const uint64_t one = 1;
	ssize_t written;
	int fd;

	cancel->asked = true;
	fd = cancel->fd;
	written = fd >= 0 ? write(fd, &one, sizeof(one)) : 0;
	(void)written; /* it is full: then it wakes already */
}

static void quieten(struct cancel *cancel)
{
	uint64_t count;
	ssize_t len = cancel->fd >= 0 ? read(cancel->fd, &count, sizeof(count)) : 0;

	(void)len; /* nothing there is fine too */
}

void cancel_forget(struct cancel *cancel)
{
	if (atomic_exchange(&cancel->asked, false))
		quieten(cancel);
}

/* ---- when to end ---- */

struct deadline deadline_after(uint32_t timeout_ms)
{
	return (struct deadline){ .end = timeout_ms ? clock_now_ms() + timeout_ms : 0 };
}

struct deadline deadline_within(const struct deadline *deadline, uint32_t ms)
{
	struct deadline within = deadline_after(ms);

	if (!deadline)
		return within;
	within.cancel = deadline->cancel;
	if (deadline->end && deadline->end < within.end)
		within.end = deadline->end;
	return within;
}

int deadline_check(const struct deadline *deadline)
{
	if (!deadline)
		return 0;
	if (deadline->cancel && deadline->cancel->asked)
		return -ECANCELED;
	return deadline->end && clock_now_ms() >= deadline->end ? -ETIMEDOUT : 0;
}

bool deadline_ended(int r)
{
	return r == -ECANCELED || r == -ETIMEDOUT;
}

int deadline_error(struct error *error, int r, const char *where, ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, where);
	vsnprintf(text, sizeof(text), where, arguments);
	va_end(arguments);
	if (r == -ECANCELED)
		return error_set(error, r, BN_REASON_CANCELLED, "the call was cancelled %s", text);
	return error_set(error, r, BN_REASON_TIMEOUT,
			 "the time limit was over %s; try again, or allow the call more time",
			 text);
}

/* ---- waiting ---- */

/* most: NULL for as long as it takes. */
static int wait_once(const struct deadline *deadline, int fd, const struct timespec *most)
{
	struct cancel *cancel = deadline ? deadline->cancel : NULL;
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = cancel ? cancel->fd : -1, .events = POLLIN },
	};

	if (ppoll(fds, 2, most, NULL) < 0)
		return errno == EINTR ? 0 : -errno;
	/* Left by one that asked an earlier call, as that ended: whoever asks from now on is seen
	 * before the next wait. */
	if (fds[1].revents && !cancel->asked)
		quieten(cancel);
	return 0;
}

int deadline_wait(const struct deadline *deadline, int fd)
{
	struct timespec left;
	uint64_t now, ms;
	int r = deadline_check(deadline);

	if (r < 0)
		return r;
	if (!deadline || !deadline->end)
		return wait_once(deadline, fd, NULL);
	now = clock_now_ms();
	ms = deadline->end > now ? deadline->end - now : 0;
	left = (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };
	return wait_once(deadline, fd, &left);
}

static int pause_for(const struct deadline *deadline, long ns)
{
	const struct timespec pause = { .tv_nsec = ns };
	int r = deadline_check(deadline);

	return r < 0 ? r : wait_once(deadline, -1, &pause);
}

int deadline_pause(const struct deadline *deadline, unsigned int attempt)
{
	return pause_for(deadline, attempt < SHORT_PAUSES ? SHORT_PAUSE_NS : LONG_PAUSE_NS);
}

int deadline_back_off(const struct deadline *deadline, unsigned int attempt)
{
	return pause_for(deadline, 1000000L << (attempt < BACK_OFFS ? attempt : BACK_OFFS));
}
