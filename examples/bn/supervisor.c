/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bn.h"

struct supervisor {
	struct cli *cli;
	const struct run *run;
	bool own_namespace; /* not on the network "host" */
	int front;          /* to the front process; -1 once it is gone */
	int signals;        /* signalfd */
	int gate;           /* to the command before its exec: errno out, go in */
	pid_t command;
};

void forwarded_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

	sigemptyset(set);
	for (size_t i = 0; i < LENGTH(signals); i++)
		sigaddset(set, signals[i]);
}

/* Off the terminal and off pipes, whose reader would wait for the command; a file stays. */
static void leave_terminal(bool keep_files)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat status;

	if (null < 0)
		return;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fd == STDIN_FILENO || !keep_files || fstat(fd, &status) < 0 ||
		    !S_ISREG(status.st_mode))
			dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

/* The command's process until its exec. It goes on only when its network is there. */
static _Noreturn void become_command(const struct supervisor *supervisor, int gate, pid_t parent)
{
	const struct run *run = supervisor->run;
	int error = 0;
	char go;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	if (supervisor->own_namespace && unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		error = errno;
	if (send(gate, &error, sizeof(error), MSG_NOSIGNAL) < 0 || error)
		_exit(EXIT_FAILURE);
	if (recv(gate, &go, 1, 0) != 1)
		_exit(EXIT_FAILURE);
	if (supervisor->own_namespace)
		sandbox_mount_sysfs();
	if (run->detach)
		leave_terminal(true);
	sigprocmask(SIG_SETMASK, run->mask, NULL);
	execvp(run->command[0], run->command);
	error = errno;
	send(gate, &error, sizeof(error), MSG_NOSIGNAL);
	_exit(EXIT_NOT_FOUND);
}

/* An errno from the command's process; 0 also when there came none. */
static int gate_error(const struct supervisor *supervisor)
{
	int error;

	return recv(supervisor->gate, &error, sizeof(error), 0) == sizeof(error) ? error : 0;
}

static int fork_command(struct supervisor *supervisor)
{
	pid_t parent = getpid();
	int gates[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gates) < 0)
		return cli_fail_text("no socket for the command: %s", strerror(errno));
	supervisor->command = fork();
	if (supervisor->command < 0)
		return cli_fail_text("no process for the command: %s", strerror(errno));
	if (supervisor->command == 0) {
		close(gates[0]);
		become_command(supervisor, gates[1], parent);
	}
	close(gates[1]);
	supervisor->gate = gates[0];
	error = gate_error(supervisor);
	if (error)
		return cli_fail_text("a network namespace can't be made: %s%s", strerror(error),
				     error == EPERM ? "; run as root" : "");
	return 0;
}

static int build_spec(const struct supervisor *supervisor, bn_endpoint_spec *spec)
{
	const struct arguments *arguments = supervisor->run->arguments;
	int r = bn_endpoint_spec_set_sandbox_pid(spec, supervisor->command);

	for (size_t i = 0; i < arguments->len && r >= 0; i++) {
		bn_port_spec *port;

		if (arguments->items[i].option != 'p')
			continue;
		r = bn_port_spec_new(arguments->items[i].value, &port);
		if (r < 0)
			break;
		r = bn_endpoint_spec_add_port(spec, port);
		bn_port_spec_free(port);
	}
	return r;
}

static int attach(struct supervisor *supervisor)
{
	const struct run *run = supervisor->run;
	struct cli *cli = supervisor->cli;
	bn_endpoint_spec *spec;
	int r = bn_endpoint_spec_new(run->network, run->name, &spec);

	if (r < 0)
		return cli_fail(cli, r);
	r = build_spec(supervisor, spec);
	if (r >= 0)
		r = bn_endpoint_attach(cli->ctx, spec, 0, NULL);
	bn_endpoint_spec_free(spec);
	return r < 0 ? cli_fail(cli, r) : 0;
}

static int detach(struct supervisor *supervisor)
{
	const struct run *run = supervisor->run;
	int r = bn_endpoint_detach(supervisor->cli->ctx, run->network, run->name,
				   BN_DETACH_MISSING_OK);

	return r < 0 ? cli_fail(supervisor->cli, r) : 0;
}

/* What the command left behind became our child, as we are its sub-reaper. */
static void kill_children(void)
{
	char path[64];
	FILE *file;
	int pid;

	do {
		snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
		file = fopen(path, "re");
		if (!file)
			return;
		while (fscanf(file, "%d", &pid) == 1)
			kill(pid, SIGKILL);
		fclose(file);
	} while (waitpid(-1, NULL, 0) > 0);
}

/* True once the command has ended, with its status as a shell would give it. */
static bool reap(const struct supervisor *supervisor, int *ret_status)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != supervisor->command)
			continue;
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		ended = true;
	}
	return ended;
}

static void take_signal(const struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	/* what the terminal sends, it sends to the command too */
	if (info.ssi_signo != SIGCHLD && info.ssi_code != SI_KERNEL)
		kill(supervisor->command, (int)info.ssi_signo);
}

static int wait_command(struct supervisor *supervisor)
{
	struct pollfd fds[] = {
		{ .fd = supervisor->signals, .events = POLLIN },
		{ .fd = supervisor->front, .events = POLLIN },
	};
	int status = EXIT_FAILURE;

	while (!reap(supervisor, &status)) {
		if (poll(fds, LENGTH(fds), -1) < 0)
			continue;
		if (fds[0].revents & POLLIN)
			take_signal(supervisor);
		if (fds[1].revents) {
			kill(supervisor->command, SIGKILL);
			fds[1].fd = -1;
		}
	}
	return status;
}

/* Let the command go, tell the front, wait for the end. */
static int run_to_end(struct supervisor *supervisor)
{
	struct started started = { .command = supervisor->command };
	bool told;
	int error;

	send(supervisor->gate, "g", 1, MSG_NOSIGNAL);
	error = gate_error(supervisor);
	if (error)
		return exec_failed(supervisor->run->command[0], error);
	if (supervisor->run->detach)
		leave_terminal(false);
	told = send(supervisor->front, &started, sizeof(started), MSG_NOSIGNAL) > 0;
	if (supervisor->run->detach && told) {
		close(supervisor->front);
		supervisor->front = -1;
	}
	return wait_command(supervisor);
}

/* 0, with own_namespace said, or 1. */
static int look_up_network(struct supervisor *supervisor)
{
	struct cli *cli = supervisor->cli;
	bn_network *network;
	int r;

	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_network_get(cli->ctx, supervisor->run->network, 0, &network);
	if (r < 0)
		return cli_fail(cli, r);
	supervisor->own_namespace = strcmp(bn_network_driver(network), "host") != 0;
	bn_network_free(network);
	return 0;
}

int supervise(struct cli *cli, const struct run *run, int front)
{
	struct supervisor supervisor = {
		.cli = cli,
		.run = run,
		.front = front,
		.gate = -1,
		.command = -1,
	};
	sigset_t set;
	int status;

	forwarded_signals(&set);
	sigaddset(&set, SIGCHLD);
	supervisor.signals = signalfd(-1, &set, SFD_CLOEXEC);
	/* a reader of our messages that has gone must not keep us from cleaning up */
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (run->detach)
		setsid();
	status = look_up_network(&supervisor);
	if (status == 0)
		status = fork_command(&supervisor);
	if (status == 0)
		status = attach(&supervisor);
	if (status != 0) {
		kill_children();
		return status;
	}
	status = run_to_end(&supervisor);
	kill_children();
	if (detach(&supervisor) != 0 && status == 0)
		status = EXIT_FAILURE;
	return status;
}
