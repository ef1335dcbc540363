/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many hosts at once: a job takes the kernel's time more than the processor's. */
#include "world.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 12

void *shared_new(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

void shared_free(void *memory, size_t size)
{
	munmap(memory, size);
}

void tell(const char *format, ...)
{
	char line[8192];
	va_list list;
	int len;

	va_start(list, format);
	len = vsnprintf(line, sizeof(line) - 1, format, list);
	va_end(list);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		abort();
}

static time_t ends; /* 0: when all is done */

static time_t now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

bool is_timed(void)
{
	return getenv("BN_SECONDS") != NULL;
}

void time_begin(int cases)
{
	srandom((unsigned int)time(NULL));
	if (is_timed())
		ends = now() + atoi(getenv("BN_SECONDS")) / cases;
}

bool time_is_over(void)
{
	return ends && now() >= ends;
}

static const char *const figure_names[FIGURES] = {
	[FIGURE_KILLS] = "kills-at-system-calls",
	[FIGURE_KILLS_BY_TIMER] = "kills-at-any-moment",
	[FIGURE_NEXT_CALLS] = "states-taken-up-by-the-next-call",
	[FIGURE_REPAIRS] = "states-taken-up-by-repair",
	[FIGURE_FAULTS] = "system-calls-made-to-fail",
	[FIGURE_FAULTS_TOLD] = "of-them-told-as-an-error",
	[FIGURE_ANSWERS_LOST] = "answers-of-the-kernel-lost",
	[FIGURE_PAIRS] = "steps-at-which-another-verb-ran",
	[FIGURE_OPERATIONS] = "operations-under-contention",
	[FIGURE_OPERATIONS_REFUSED] = "of-them-refused",
	[FIGURE_OPERATIONS_IN_VAIN] = "of-them-given-up-for-want-of-time",
	[FIGURE_STOPS] = "processes-stopped-or-killed-among-them",
};
static size_t *figures;

/* Before there are workers. */
__attribute__((constructor)) static void make_figures(void)
{
	figures = shared_new(FIGURES * sizeof(*figures));
}

void figure_add(enum figure figure, size_t count)
{
	__atomic_fetch_add(&figures[figure], count, __ATOMIC_RELAXED);
}

void figures_tell(void)
{
	for (size_t i = 0; i < FIGURES; i++) {
		if (figures[i])
			tell("# figure %s %zu", figure_names[i], figures[i]);
		figures[i] = 0;
	}
}

int wait_for(pid_t pid, int seconds)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	struct timespec start, now;
	int status;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		pid_t done = waitpid(pid, &status, WNOHANG);

		if (done == pid)
			return status;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (done < 0 || now.tv_sec - start.tv_sec > seconds)
			break;
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

struct progress {
	size_t next, failed, done;
};

static void work(struct progress *progress, size_t len, bool (*job)(size_t i))
{
	size_t i;

	if (host_make() < 0) {
		tell("a worker can't make its host: %s", strerror(errno));
		_exit(1);
	}
	while ((i = __atomic_fetch_add(&progress->next, 1, __ATOMIC_RELAXED)) < len) {
		if (!job(i))
			__atomic_fetch_add(&progress->failed, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&progress->done, 1, __ATOMIC_RELAXED);
	}
	host_remove();
	_exit(0);
}

size_t workers_run(size_t len, bool (*job)(size_t i))
{
	struct progress *progress = shared_new(sizeof(*progress));
	const char *wanted = getenv("BN_WORKERS");
	size_t workers = wanted ? (size_t)atoi(wanted) : WORKERS, failed;
	pid_t parent = getpid();

	for (size_t i = 0; i < workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			abort();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() == parent)
				work(progress, len, job);
			_exit(1);
		}
	}
	while (wait(NULL) > 0)
		;
	failed = progress->failed + (len - progress->done);
	munmap(progress, sizeof(*progress));
	return failed;
}
