/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tracing.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANGS_S 60

static pid_t traced;

static void kill_traced(int number)
{
	(void)number;
	kill(traced, SIGKILL);
}

static pid_t fork_traced(const struct trial *trial, struct answer *answer)
{
	struct answer own;
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
		_exit(2);
	raise(SIGSTOP);
	trial_verb(trial, 20000, answer ? answer : &own);
	_exit(0);
}

/* A stop at a system call that counts. */
static bool is_point(const struct tracing *tracing, pid_t thread, int status, struct point *point)
{
	struct __ptrace_syscall_info info = { 0 };
	static uint64_t arguments[6];
	static long entered;

	if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80) ||
	    ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0)
		return false;
	point->on_way_out = info.op == PTRACE_SYSCALL_INFO_EXIT;
	/* the way out doesn't say of what; a helper thread runs while its maker waits */
	if (!point->on_way_out) {
		entered = (long)info.entry.nr;
		memcpy(arguments, info.entry.args, sizeof(arguments));
	}
	point->number = entered;
	return (tracing->ways_out || !point->on_way_out) && tracing->counts(entered, arguments);
}

/* ---- a system call that fails ---- */

#ifdef __x86_64__
bool trace_can_fail(void)
{
	return true;
}

/* There is no such system call, and what it returned was that. */
static void skip_call(pid_t thread)
{
	if (ptrace(PTRACE_POKEUSER, thread, offsetof(struct user_regs_struct, orig_rax), -1L) < 0)
		abort();
}

static void set_result(pid_t thread, long result)
{
	if (ptrace(PTRACE_POKEUSER, thread, offsetof(struct user_regs_struct, rax), result) < 0)
		abort();
}
#else
bool trace_can_fail(void)
{
	return false;
}

static void skip_call(pid_t thread)
{
	(void)thread;
	abort();
}

static void set_result(pid_t thread, long result)
{
	(void)thread;
	(void)result;
	abort();
}
#endif

/* On its way out, if it is the one that was skipped. */
static void end_call(pid_t thread, int status, pid_t *failing, long result)
{
	if (thread != *failing || !WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
		return;
	set_result(thread, result);
	*failing = 0;
}

/* ---- a verb ---- */

static void go_on(pid_t thread, int status)
{
	int signal = WSTOPSIG(status) & ~0x80;

	if (signal == SIGTRAP || signal == SIGSTOP)
		signal = 0;
	ptrace(PTRACE_SYSCALL, thread, 0, signal);
}

int trace_verb(const struct trial *trial, const struct tracing *tracing, struct point *point,
	       struct answer *answer)
{
	pid_t thread, failing = 0;
	struct point at = { 0 };
	int status, code = 0;

	traced = fork_traced(trial, answer);
	signal(SIGALRM, kill_traced);
	alarm(HANGS_S);
	if (waitpid(traced, &status, 0) != traced || !WIFSTOPPED(status))
		abort();
	ptrace(PTRACE_SETOPTIONS, traced, 0,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
	ptrace(PTRACE_SYSCALL, traced, 0, 0);
	for (;;) {
		thread = waitpid(-1, &status, __WALL);
		if (thread < 0 && errno == EINTR)
			continue;
		if (thread < 0 || (thread == traced && !WIFSTOPPED(status)))
			break;
		if (!WIFSTOPPED(status))
			continue;
		end_call(thread, status, &failing, -code);
		if (is_point(tracing, thread, status, &at) && at.count++ == tracing->n) {
			*point = at;
			code = tracing->code ? tracing->code(at.number, tracing->n) : 0;
			if (code)
				skip_call(failing = thread);
			else
				kill(traced, SIGKILL);
		}
		go_on(thread, status);
	}
	alarm(0);
	if (at.count <= tracing->n)
		*point = at;
	point->count = at.count;
	while (waitpid(-1, NULL, __WALL | WNOHANG) > 0)
		;
	return status;
}

static const struct {
	long number;
	const char *name;
} names[] = {
	{ SYS_sendto, "sendto" },
	{ SYS_sendmsg, "sendmsg" },
	{ SYS_recvmsg, "recvmsg" },
	{ SYS_recvfrom, "recvfrom" },
	{ SYS_setsockopt, "setsockopt" },
	{ SYS_getsockopt, "getsockopt" },
	{ SYS_socket, "socket" },
	{ SYS_bind, "bind" },
	{ SYS_read, "read" },
	{ SYS_write, "write" },
	{ SYS_pread64, "pread64" },
	{ SYS_pwrite64, "pwrite64" },
	{ SYS_ftruncate, "ftruncate" },
	{ SYS_fallocate, "fallocate" },
	{ SYS_openat, "openat" },
	{ SYS_unlink, "unlink" },
	{ SYS_unlinkat, "unlinkat" },
	{ SYS_mkdir, "mkdir" },
	{ SYS_mkdirat, "mkdirat" },
	{ SYS_mknodat, "mknodat" },
	{ SYS_renameat, "renameat" },
	{ SYS_fcntl, "fcntl" },
	{ SYS_flock, "flock" },
	{ SYS_close, "close" },
	{ SYS_setns, "setns" },
	{ SYS_fsync, "fsync" },
	{ SYS_mmap, "mmap" },
	{ SYS_clone3, "clone3" },
	{ SYS_ioctl, "ioctl" },
	{ SYS_ppoll, "ppoll" },
	{ SYS_poll, "poll" },
	{ SYS_eventfd2, "eventfd2" },
	{ SYS_newfstatat, "newfstatat" },
	{ SYS_fstat, "fstat" },
	{ SYS_getdents64, "getdents64" },
	{ SYS_readlink, "readlink" },
};

const char *system_call_name(long number, char text[static 24])
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].number == number)
			return names[i].name;
	snprintf(text, 24, "system call %ld", number);
	return text;
}
