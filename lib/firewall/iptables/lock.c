/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/file.h>

#include "firewall/iptables/iptables.h"

/* The kernel only looks at the number of entries: of two programs that read a table, and write it
 * with as many, the second undoes what the first did. */
int xtables_lock(const char *path, const struct deadline *deadline, int *ret_fd,
		 struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	int r = deadline_check(deadline);

	if (r < 0)
		return deadline_error(error, r, "before the xtables lock %s was taken", path);

	if (fd < 0)
		return error_set(error, -errno, error_reason(errno, BN_REASON_KERNEL),
				 "can't open the xtables lock %s: %s; run as root, or name a file "
				 "that can be written with option iptables.lock-file",
				 path, errno_text(errno));
	for (unsigned int attempt = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; attempt++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(error, -errno, BN_REASON_KERNEL,
					 "can't lock %s: %s; is that file system able to lock?",
					 path, errno_text(errno));
		r = deadline_pause(deadline, attempt);
		if (r < 0)
			return deadline_error(
				error, r, "while another program held the xtables lock %s", path);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}
