/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/macro.h"

#define STAT_MAX 1024

struct status {
	char state;
	long threads;
	uint64_t started;
};

/* Fields of proc(5): 3 is the state, 20 the number of threads, 22 the start. The name of the
 * program, in brackets, may hold anything, brackets and blanks too. */
static bool parse_status(const char *text, struct status *ret_status)
{
	const char *rest = strrchr(text, ')');

	return rest && sscanf(rest,
			      ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			      "%*s %ld %*s %" SCNu64,
			      &ret_status->state, &ret_status->threads, &ret_status->started) == 3;
}

/* False where /proc does not say. */
static bool read_status_at(const char *path, struct status *ret_status)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[STAT_MAX];
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len <= 0)
		return false;
	text[len] = '\0';
	return parse_status(text, ret_status);
}

static bool read_status(int64_t pid, struct status *ret_status)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	return read_status_at(path, ret_status);
}

/* Or is it mounted from another namespace of processes, whose numbers are others'? */
static bool proc_is_ours(void)
{
	char text[24];
	ssize_t len = readlink("/proc/self", text, sizeof(text) - 1);

	text[len < 0 ? 0 : len] = '\0';
	return atoi(text) == getpid();
}

void process_self(struct process *ret_self)
{
	struct status status;
	struct stat file;

	*ret_self = (struct process){ .pid = getpid() };
	if (!proc_is_ours() || stat("/proc/self/ns/pid", &file) < 0 ||
	    !read_status(ret_self->pid, &status))
		return;
	ret_self->started = status.started;
	snprintf(ret_self->pid_namespace, sizeof(ret_self->pid_namespace), "%ju:%ju",
		 (uintmax_t)file.st_dev, (uintmax_t)file.st_ino);
}

/* One that has ended and was not waited for yet has an entry still, as has one whose first thread
 * alone has ended. */
static bool has_ended(const struct status *status)
{
	return (status->state == 'Z' || status->state == 'X') && status->threads <= 1;
}

bool process_is_gone(const struct process *self, const struct process *other)
{
	struct status status;

	if (!other->pid_namespace[0] || strcmp(self->pid_namespace, other->pid_namespace) != 0)
		return false;
	if (kill((pid_t)other->pid, 0) < 0 && errno == ESRCH)
		return true;
	if (!read_status(other->pid, &status))
		return false;
	return has_ended(&status) || status.started != other->started;
}

/* ---- the guard ---- */

/* 0: /proc does not say. Its own entry shows a process whatever pid namespace /proc is of. */
static uint64_t own_start(void)
{
	struct status status;

	return read_status_at("/proc/self/stat", &status) ? status.started : 0;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int fork_guard_open(struct fork_guard *guard)
{
	size_t size = page_size();
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*guard = (struct fork_guard){ .pid = getpid() };
	if (page == MAP_FAILED)
		return -ENOMEM;
	if (FAULT("fork.wipe") == 0 && madvise(page, size, MADV_WIPEONFORK) == 0) {
		guard->page = page;
		*guard->page = 1;
		return 0;
	}
	munmap(page, size);
	guard->started = own_start();
	return 0;
}

void fork_guard_close(struct fork_guard *guard)
{
	if (guard->page)
		munmap(guard->page, page_size());
	guard->page = NULL;
}

bool fork_guard_is_child(const struct fork_guard *guard)
{
	if (guard->page)
		return *(volatile unsigned char *)guard->page == 0;
	/* in a pid namespace of its own a child may have the pid that its parent has in another */
	return guard->pid != getpid() || guard->started != own_start();
}

/* The hooks of the packet filter are passed within one section of RCU, of which this waits for the
 * end on all processors; see membarrier(2). */
void process_await_packets(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}
