/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command of bn run, and the first process that it runs under: pid 1 of a pid namespace, whose
 * death is that of all others in it, however they have left the command behind. The first process
 * dies with the supervisor: it stays what it is, where the command's own parent-death signal would
 * be forgotten over a set-uid program, and would not be its children's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bn.h"

int parent_signals(void)
{
	static const int signals[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD,
	};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < LENGTH(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

void leave_terminal(bool keep_files)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat status;

	if (null < 0)
		return;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fd == STDIN_FILENO || !keep_files || fstat(fd, &status) < 0 ||
		    !S_ISREG(status.st_mode))
			dup2(null, fd);
	close(null);
}

/* ---- a parent and its child ---- */

/* The terminal's signals are for all of its foreground group, a hangup for the session's leader. */
static bool child_has_it(const struct parent *parent, const struct signalfd_siginfo *info)
{
	if (parent->held || info->ssi_code != SI_KERNEL)
		return false;
	if (info->ssi_signo == SIGHUP && getsid(0) == getpid())
		return false;
	return getpgid(parent->child) == getpgrp();
}

void parent_forward(const struct parent *parent)
{
	struct signalfd_siginfo info;

	if (read(parent->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD && !child_has_it(parent, &info))
		kill(parent->child, (int)info.ssi_signo);
}

bool parent_event(struct parent *parent, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = parent->signals, .events = POLLIN },
		{ .fd = parent->front, .events = POLLIN },
	};

	if (poll(fds, LENGTH(fds), timeout_ms) <= 0)
		return false;
	if (fds[0].revents & POLLIN)
		parent_forward(parent);
	if (fds[1].revents) {
		kill(parent->child, SIGKILL);
		parent->front = -1;
	}
	return true;
}

/* True once the child has ended, with its status as a shell would give it. */
static bool reap(pid_t child, int *ret_status)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != child)
			continue;
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		ended = true;
	}
	return ended;
}

int parent_wait(struct parent *parent)
{
	int status = EXIT_FAILURE;

	while (!reap(parent->child, &status))
		parent_event(parent, -1);
	return status;
}

/* ---- the processes ---- */

/* As pid 1 it gets what it blocks; the kernel drops other signals that have no handler. */
static _Noreturn void be_first(const struct run *run, int gate, pid_t command)
{
	struct parent parent = { .child = command, .front = -1 };

	if (run->detach)
		leave_terminal(false);
	/* the gate alone too, where Linux is old: its end says that the command runs */
	close(gate);
	syscall(SYS_close_range, STDERR_FILENO + 1, UINT_MAX, 0);
	parent.signals = parent_signals();
	_exit(parent_wait(&parent));
}

/* The command's process until its exec. It goes on only when its network is there. */
static _Noreturn void become_command(const struct run *run, int gate, int error)
{
	char go;

	/* EPIPE from a supervisor that died before PR_SET_PDEATHSIG */
	if (send(gate, &error, sizeof(error), MSG_NOSIGNAL) < 0 || error)
		_exit(EXIT_FAILURE);
	if (recv(gate, &go, 1, 0) != 1)
		_exit(EXIT_FAILURE);
	if (run->detach)
		leave_terminal(true);
	sigprocmask(SIG_SETMASK, run->mask, NULL);
	execvp(run->command[0], run->command);
	error = errno;
	send(gate, &error, sizeof(error), MSG_NOSIGNAL);
	_exit(EXIT_NOT_FOUND);
}

static _Noreturn void become_child(const struct run *run, int namespaces, int gate)
{
	bool first = namespaces & CLONE_NEWPID;
	int error = 0;
	pid_t command;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(namespaces & ~CLONE_NEWPID) < 0)
		error = errno;
	else if (first)
		error = -sandbox_mount_proc();
	if (!error && namespaces & CLONE_NEWNET)
		sandbox_mount_sysfs();
	if (!error && first) {
		command = fork();
		if (command > 0)
			be_first(run, gate, command);
		error = command < 0 ? errno : 0;
	}
	become_command(run, gate, error);
}

/* The process is then in the namespace, which unshare(2) would give only to its children. */
static pid_t fork_into_pid_namespace(void)
{
	struct clone_args args = { .flags = CLONE_NEWPID, .exit_signal = SIGCHLD };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* The errno that the command's process says, 0 if it can't any more; and who that is to us. */
static int first_words(int gate, pid_t *ret_command)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	int error = 0;
	struct iovec text = { .iov_base = &error, .iov_len = sizeof(error) };
	struct msghdr message = {
		.msg_iov = &text,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct ucred sender;

	if (recvmsg(gate, &message, 0) == sizeof(error) && CMSG_FIRSTHDR(&message)) {
		memcpy(&sender, CMSG_DATA(&control.header), sizeof(sender));
		*ret_command = sender.pid;
	}
	return error;
}

int start_command(const struct run *run, int namespaces, struct started *ret_started)
{
	int gates[2], error;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gates) < 0)
		return -errno;
	setsockopt(gates[0], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int));
	child = namespaces & CLONE_NEWPID ? fork_into_pid_namespace() : fork();
	if (child == 0) {
		close(gates[0]);
		become_child(run, namespaces, gates[1]);
	}
	error = errno;
	close(gates[1]);
	ret_started->child = ret_started->command = child;
	ret_started->gate = gates[0];
	if (child > 0)
		error = first_words(gates[0], &ret_started->command);
	if (!error)
		return 0;
	close(gates[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return -error;
}
