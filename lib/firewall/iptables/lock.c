/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock of the xtables tables. Who asks again and again never finds it free beside programs
 * that hold it in turns: one has to wait in the kernel's line. flock(2) knows no time limit, and a
 * library has no signal to interrupt it with, so a thread stands in line for the call. When the
 * call ends before it is served the thread stays, and drops the lock as soon as it has it; the next
 * call of the context finds it there, so that there is never more than one.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "firewall/iptables/iptables.h"
#include "base/fault.h"
#include "base/thread.h"

enum waiter_state {
	WAITER_CALLED, /* a call waits with it */
	WAITER_LEFT,   /* nobody does */
	WAITER_SERVED  /* it has come to its end */
};

/* Of the thread and of the object that it was made for; the last one frees it. */
struct lock_waiter {
	atomic_int owners, state;
	int lock, served; /* descriptors; an eventfd, for the call that waits */
	int result;       /* once it is served */
};

/* A child that was forked meanwhile has the descriptor too, and closing ours alone would leave the
 * lock to it. */
void xtables_unlock(const int *lock)
{
	if (*lock < 0)
		return;
	flock(*lock, LOCK_UN);
	close(*lock);
}

static void waiter_put(struct lock_waiter *waiter)
{
	if (atomic_fetch_sub(&waiter->owners, 1) > 1)
		return;
	xtables_unlock(&waiter->lock);
	cleanup_close(&waiter->served);
	free(waiter);
}

void lock_waiter_put(struct lock_waiter *waiter)
{
	if (waiter)
		waiter_put(waiter);
}

static void *stand_in_line(void *data)
{
	struct lock_waiter *waiter = data;
	const uint64_t one = 1;
	ssize_t written = 0;
	int r;

	do
		r = flock(waiter->lock, LOCK_EX) < 0 ? -errno : 0;
	while (r == -EINTR);
	waiter->result = r;
	if (atomic_exchange(&waiter->state, WAITER_SERVED) == WAITER_CALLED)
		written = write(waiter->served, &one, sizeof(one));
	else if (r == 0)
		flock(waiter->lock, LOCK_UN);
	(void)written; /* there is room for one */
	waiter_put(waiter);
	return NULL;
}

static int start_thread(struct lock_waiter *waiter)
{
	int r = FAULT("iptables.lock-thread");

	return r ? r : thread_start(stand_in_line, waiter, NULL);
}

/* Takes the descriptor. NULL, and it stays the caller's, where there is no room for a thread. */
static struct lock_waiter *waiter_start(int *lock)
{
	struct lock_waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	*waiter = (struct lock_waiter){ .owners = 2,
					.state = WAITER_CALLED,
					.lock = *lock,
					.served = eventfd(0, EFD_CLOEXEC) };
	if (waiter->served < 0 || start_thread(waiter) != 0) {
		cleanup_close(&waiter->served);
		free(waiter);
		return NULL;
	}
	*lock = -1;
	return waiter;
}

static bool is_same_file(int a, int b)
{
	struct stat left, right;

	return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev &&
	       left.st_ino == right.st_ino;
}

/* The one that an earlier call left in line, if it is there still; else a new one. */
static struct lock_waiter *waiter_call(struct lock_waiter **left, int *lock)
{
	struct lock_waiter *waiter = TAKE_POINTER(*left);
	int state = WAITER_LEFT;

	if (waiter && is_same_file(waiter->lock, *lock) &&
	    atomic_compare_exchange_strong(&waiter->state, &state, WAITER_CALLED))
		return waiter;
	lock_waiter_put(waiter);
	return waiter_start(lock);
}

/* In *lock, which is the waiter's from then on. 0, or -errno of flock(2) or of the deadline. */
static int wait_in_line(struct iptables *iptables, struct lock_waiter *waiter, int *lock)
{
	int state = WAITER_CALLED, r = 0;

	while (r == 0 && atomic_load(&waiter->state) != WAITER_SERVED)
		r = deadline_wait(iptables->base.deadline, waiter->served);
	if (r < 0 && atomic_compare_exchange_strong(&waiter->state, &state, WAITER_LEFT)) {
		iptables->waiter = waiter;
		return r;
	}
	if (r < 0)
		flock(waiter->lock, LOCK_UN); /* served as the time was over */
	else
		r = waiter->result;
	if (r == 0) {
		cleanup_close(lock);
		*lock = take_fd(&waiter->lock);
	}
	waiter_put(waiter);
	return r;
}

/* Without a thread. */
static int ask_again(int lock, const struct deadline *deadline)
{
	int r = 0;

	for (unsigned int attempt = 0; r == 0 && flock(lock, LOCK_EX | LOCK_NB) < 0; attempt++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		r = deadline_pause(deadline, attempt);
	}
	return r;
}

static int take_lock(struct iptables *iptables, int *lock)
{
	struct lock_waiter *waiter;

	if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK && errno != EINTR)
		return -errno;
	waiter = waiter_call(&iptables->waiter, lock);
	return waiter ? wait_in_line(iptables, waiter, lock) :
			ask_again(*lock, iptables->base.deadline);
}

/* The kernel only looks at the number of entries: of two programs that read a table, and write it
 * with as many, the second undoes what the first did. */
int xtables_lock(struct iptables *iptables, int *ret_lock, struct error *error)
{
	const char *path = iptables->lock_file;
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	int code = errno, r = deadline_check(iptables->base.deadline);

	if (r < 0)
		return deadline_error(error, r, "before the xtables lock %s was taken", path);
	if (fd < 0)
		return error_set(error, -code, error_reason(code, BN_REASON_KERNEL),
				 "can't open the xtables lock %s: %s; run as root, or name a file "
				 "that can be written with option iptables.lock-file",
				 path, errno_text(code));
	r = take_lock(iptables, &fd);
	if (deadline_ended(r))
		return deadline_error(error, r, "while another program held the xtables lock %s",
				      path);
	if (r < 0)
		return error_set(error, r, BN_REASON_KERNEL,
				 "can't lock %s: %s; is that file system able to lock?", path,
				 errno_text(-r));
	*ret_lock = take_fd(&fd);
	return 0;
}
