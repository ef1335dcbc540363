/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What bn becomes with this and the testing library: BN_FAULT=N makes the N-th of its steps that can
 * fail do so, and BN_FAULT_LOG=PATH is where the step is named, if there are so many.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

static long steps_left;

/* Answers of the kernel that get lost are test_lost's business; and a process does without these. */
static bool is_tolerated(const char *step)
{
	return strncmp(step, "netlink.", strlen("netlink.")) == 0 || strcmp(step, "fork.wipe") == 0;
}

static void note(const char *step)
{
	const char *path = getenv("BN_FAULT_LOG");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;

	if (fd < 0 || write(fd, step, strlen(step)) < 0)
		abort();
	close(fd);
}

static int fail_once(const char *step)
{
	if (steps_left == 0 || is_tolerated(step) || --steps_left > 0)
		return 0;
	note(step);
	return -EIO;
}

__attribute__((constructor)) static void set_up(void)
{
	const char *number = getenv("BN_FAULT");

	steps_left = number ? atol(number) : 0;
	if (steps_left > 0)
		fault_hook = fail_once;
}
