/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks that the kernel gives in the order in which they are asked for, and that know no time limit
 * there. A library has no signal to interrupt itself with, so a thread stands in line for the call.
 * When the call ends before it is served the thread stays, and drops the lock as soon as it has it;
 * the next call finds it there, so that there is never more than one.
 */
#ifndef BN_BASE_WAITER_H
#define BN_BASE_WAITER_H

#include "base/clock.h"

struct waiter;

struct waited_for {
	int (*take)(int fd, int64_t what); /* 0 or -errno */
	void (*drop)(int fd, int64_t what);
};

/*
 * Until it is taken: 0 and *fd holds it. Else -errno of taking it, or what deadline_check() says;
 * *fd is the waiter's from then on. -EAGAIN, and *fd is still the caller's, where there is no room
 * for a thread, or that of an earlier call waits for something else.
 */
int waiter_wait(struct waiter **waiter, const struct waited_for *how, int *fd, int64_t what,
		const struct deadline *deadline);
/* No call waits with it any more. NULL is fine. */
void waiter_put(struct waiter *waiter);

#endif
