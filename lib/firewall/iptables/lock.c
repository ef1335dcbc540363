/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock of the xtables tables. Who asks again and again never finds it free beside programs
 * that hold it in turns: one has to wait in the kernel's line.
 */
#include <fcntl.h>
#include <sys/file.h>

#include "firewall/iptables/iptables.h"
#include "base/waiter.h"

/* A child that was forked meanwhile has the descriptor too, and closing ours alone would leave the
 * lock to it. */
void xtables_unlock(const int *lock)
{
	if (*lock < 0)
		return;
	flock(*lock, LOCK_UN);
	close(*lock);
}

static int stand_in_line(int lock, int64_t what)
{
	(void)what;
	return flock(lock, LOCK_EX) < 0 ? -errno : 0;
}

static void drop(int lock, int64_t what)
{
	(void)what;
	flock(lock, LOCK_UN);
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
	static const struct waited_for tables = { stand_in_line, drop };
	const struct deadline *deadline = iptables->base.deadline;
	int r;

	if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK && errno != EINTR)
		return -errno;
	r = waiter_wait(&iptables->waiter, &tables, lock, 0, deadline);
	return r == -EAGAIN ? ask_again(*lock, deadline) : r;
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
