/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGKILL on the way into a system call, and on the way out of it, at any point of any verb: once the
 * next call has run, all is as before the verb or as after it.
 *
 * Backends and families take turns over the verbs, and of the system calls that can leave something
 * there are as many as are done in two minutes; with BN_SOAK=1 each verb is killed at each system call,
 * with each backend.
 */
#include "trials.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS_IN_CI 40 /* of each verb */
#define NEVER SIZE_MAX

/* Those that change what outlives a process: a kill between others is no different. */
static const struct {
	long number;
	const char *name;
} lasting[] = {
	{ SYS_sendto, "sendto" },         { SYS_sendmsg, "sendmsg" }, { SYS_recvmsg, "recvmsg" },
	{ SYS_setsockopt, "setsockopt" }, { SYS_write, "write" },     { SYS_pwrite64, "pwrite64" },
	{ SYS_ftruncate, "ftruncate" },   { SYS_unlink, "unlink" },   { SYS_unlinkat, "unlinkat" },
	{ SYS_mkdir, "mkdir" },           { SYS_fcntl, "fcntl" },     { SYS_flock, "flock" },
	{ SYS_close, "close" },           { SYS_setns, "setns" },     { SYS_renameat, "renameat" },
	{ SYS_fsync, "fsync" },
};

static const char *lasting_name(long number)
{
	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++)
		if (lasting[i].number == number)
			return lasting[i].name;
	return NULL;
}

/* ---- a verb that is watched ---- */

struct point {
	long number; /* of the system call */
	bool on_way_out;
	size_t count; /* of the points before the end, or before the kill */
};

static pid_t fork_traced(const struct trial *trial)
{
	struct answer answer;
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
		_exit(2);
	raise(SIGSTOP);
	trial_verb(trial, 20000, &answer);
	_exit(0);
}

/* A stop at a system call that counts. */
static bool is_point(pid_t thread, int status, struct point *point)
{
	struct __ptrace_syscall_info info = { 0 };
	static long entered;

	if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80) ||
	    ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0)
		return false;
	point->on_way_out = info.op == PTRACE_SYSCALL_INFO_EXIT;
	/* the way out doesn't say of what; a helper thread runs while its maker waits */
	if (!point->on_way_out)
		entered = (long)info.entry.nr;
	point->number = entered;
	return is_soak() || lasting_name(entered);
}

/* Let it run to the n-th point, and kill it there. Its threads are watched as well. */
static void run_to(const struct trial *trial, size_t n, struct point *point)
{
	pid_t pid = fork_traced(trial), thread;
	int status, signal;

	memset(point, 0, sizeof(*point));
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		abort();
	ptrace(PTRACE_SETOPTIONS, pid, 0,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	while ((thread = waitpid(-1, &status, __WALL)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (thread == pid)
				break;
			continue;
		}
		if (is_point(thread, status, point) && point->count++ == n)
			kill(pid, SIGKILL);
		signal = WSTOPSIG(status) & ~0x80;
		if (signal == SIGTRAP || signal == SIGSTOP)
			signal = 0;
		ptrace(PTRACE_SYSCALL, thread, 0, signal);
	}
}

/* ---- a verb that is killed ---- */

static bool fault(const struct trial *trial, size_t n, const struct point *point, const char *what)
{
	const char *name = lasting_name(point->number);
	char number[24];

	snprintf(number, sizeof(number), "system call %ld", point->number);
	return trial_fault(trial, NULL, "killed on the way %s %s, point %zu: %s",
			   point->on_way_out ? "out of" : "into", name ? name : number, n, what);
}

static bool kill_at(const struct trial *trial, size_t n)
{
	enum standing standing;
	char what[WHAT_MAX];
	struct point point;
	bool well = true;

	run_to(trial, n, &point);
	if (touch_state() < 0)
		well = fault(trial, n, &point, "the next call fails");
	standing = trial_look(what);
	if (standing == STANDS_BETWEEN)
		well = fault(trial, n, &point, what);
	if (trial_again(trial, what) < 0)
		well = fault(trial, n, &point, what);
	return well;
}

static bool kill_everywhere(const struct trial *trial)
{
	size_t stride = 1, faults = 0;
	struct point point;
	char what[WHAT_MAX];

	if (trial_begin(trial) < 0)
		return false;
	run_to(trial, NEVER, &point);
	trial_look(what);
	if (trial_again(trial, what) < 0)
		return trial_fault(trial, NULL, "%s", what);
	/* odd, so that both ways in and ways out are met */
	if (!is_soak())
		stride = (point.count * SHARE / KILLS_IN_CI) | 1;
	for (size_t n = 0, count = point.count; n < count; n += stride)
		faults += !kill_at(trial, n);
	if (trial_end(what) < 0)
		faults += !trial_fault(trial, NULL, "%s", what);
	return faults == 0;
}

static void test_killed_anywhere(void **state)
{
	(void)state;
	trials_run(kill_everywhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
