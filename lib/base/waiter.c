/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/waiter.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/macro.h"
#include "base/thread.h"

enum waiter_state {
	WAITER_CALLED, /* a call waits with it */
	WAITER_LEFT,   /* nobody does */
	WAITER_SERVED  /* it has come to its end */
};

/* Of the thread and of the object that it was made for; the last one frees it. */
struct waiter {
	atomic_int owners, state;
	const struct waited_for *how;
	int fd, served; /* served: an eventfd, for the call that waits */
	int64_t what;
	int result; /* once it is served */
};

static void put(struct waiter *waiter)
{
	if (atomic_fetch_sub(&waiter->owners, 1) > 1)
		return;
	cleanup_close(&waiter->fd);
	cleanup_close(&waiter->served);
	free(waiter);
}

void waiter_put(struct waiter *waiter)
{
	if (waiter)
		put(waiter);
}

static void *stand_in_line(void *data)
{
	struct waiter *waiter = data;
	const uint64_t one = 1;
	ssize_t written = 0;
	int r;

	do
		r = waiter->how->take(waiter->fd, waiter->what);
	while (r == -EINTR);
	waiter->result = r;
	if (atomic_exchange(&waiter->state, WAITER_SERVED) == WAITER_CALLED)
		written = write(waiter->served, &one, sizeof(one));
	else if (r == 0)
		waiter->how->drop(waiter->fd, waiter->what);
	(void)written; /* there is room for one */
	put(waiter);
	return NULL;
}

static int start_thread(struct waiter *waiter)
{
	int r = FAULT("waiter.thread");

	return r ? r : thread_start(stand_in_line, waiter, NULL);
}

/* Takes the descriptor. NULL, and it stays the caller's, where there is no room for a thread. */
static struct waiter *waiter_start(const struct waited_for *how, int *fd, int64_t what)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	*waiter = (struct waiter){ .owners = 2,
				   .state = WAITER_CALLED,
				   .how = how,
				   .fd = *fd,
				   .what = what,
				   .served = eventfd(0, EFD_CLOEXEC) };
	if (waiter->served < 0 || start_thread(waiter) != 0) {
		cleanup_close(&waiter->served);
		free(waiter);
		return NULL;
	}
	*fd = -1;
	return waiter;
}

static bool is_same_file(int a, int b)
{
	struct stat left, right;

	return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev &&
	       left.st_ino == right.st_ino;
}

/* The one that an earlier call left in line, if it waits for the same; else a new one. */
static struct waiter *waiter_call(struct waiter **left, const struct waited_for *how, int *fd,
				  int64_t what)
{
	struct waiter *waiter = *left;
	int state = WAITER_LEFT;

	if (waiter && is_same_file(waiter->fd, *fd)) {
		if (waiter->what != what && atomic_load(&waiter->state) != WAITER_SERVED)
			return NULL;
		if (waiter->what == what &&
		    atomic_compare_exchange_strong(&waiter->state, &state, WAITER_CALLED)) {
			*left = NULL;
			return waiter;
		}
	}
	*left = NULL;
	waiter_put(waiter);
	return waiter_start(how, fd, what);
}

int waiter_wait(struct waiter **left, const struct waited_for *how, int *fd, int64_t what,
		const struct deadline *deadline)
{
	struct waiter *waiter = waiter_call(left, how, fd, what);
	int state = WAITER_CALLED, r = 0;

	if (!waiter)
		return -EAGAIN;
	while (r == 0 && atomic_load(&waiter->state) != WAITER_SERVED)
		r = deadline_wait(deadline, waiter->served);
	if (r < 0 && atomic_compare_exchange_strong(&waiter->state, &state, WAITER_LEFT)) {
		*left = waiter;
		return r;
	}
	if (r == 0)
		r = waiter->result;
	else if (waiter->result == 0)
		how->drop(waiter->fd, what); /* served as the time was over */
	if (r == 0) {
		cleanup_close(fd);
		*fd = take_fd(&waiter->fd);
	}
	put(waiter);
	return r;
}
