/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bn run: two processes. The front is the one that the user started and may kill; the supervisor
 * (supervisor.c) owns the command and cleans up. They hold the two ends of a socket, so that each
 * learns of the other's death.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bn.h"

#define NAME_BYTES 6

static void random_name(char name[static 2 * NAME_BYTES + 1])
{
	unsigned char bytes[NAME_BYTES] = { 0 };

	/* never short for so few bytes; without them the attach finds the name taken */
	(void)getrandom(bytes, sizeof(bytes), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(name + 2 * i, "%02x", bytes[i]);
}

static void print_started(const struct cli *cli, const struct run *run, pid_t command,
			  pid_t supervisor)
{
	json_t *object, *networks;

	if (!cli->json) {
		printf("%s\n", run->name);
		return;
	}
	object = json_object();
	networks = json_array();
	for (size_t i = 0; i < run->network_count; i++)
		json_append(networks, json_text(run->networks[i]));
	json_set(object, "network", json_text(run->networks[0]));
	json_set(object, "networks", networks);
	json_set(object, "name", json_text(run->name));
	json_set(object, "pid", json_integer(command));
	json_set(object, "supervisor", json_integer(supervisor));
	json_print(object);
}

/* Killing the supervisor kills the command too, but only the front is left to clean up. */
static int clean_up_after_supervisor(struct cli *cli, const struct run *run, int signal_)
{
	if (cli_open(cli) != 0)
		return 128 + signal_;
	if (detach_run(cli, run, 0) == 0)
		cli_fail_text("the supervisor of '%s' was killed by signal %d, so the command was"
			      " ended and its endpoint detached",
			      run->name, signal_);
	return 128 + signal_;
}

static int run_fail(const char *what)
{
	cli_fail_text("%s: %s", what, strerror(errno));
	return EXIT_OURS;
}

static int supervisor_status(struct cli *cli, const struct run *run, pid_t supervisor)
{
	int status;

	while (waitpid(supervisor, &status, 0) < 0)
		if (errno != EINTR)
			return run_fail("the supervisor is lost");
	if (WIFSIGNALED(status))
		return clean_up_after_supervisor(cli, run, WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int front(struct cli *cli, const struct run *run, int socket_, pid_t supervisor)
{
	struct pollfd fds[] = { { .fd = socket_, .events = POLLIN }, { .events = POLLIN } };
	struct parent parent = { .child = supervisor, .signals = parent_signals(), .front = -1 };
	struct news news;

	fds[1].fd = parent.signals;
	for (;;) {
		if (poll(fds, LENGTH(fds), -1) < 0)
			continue;
		if (fds[1].revents & POLLIN)
			parent_forward(&parent);
		if (!fds[0].revents)
			continue;
		if (recv(socket_, &news, sizeof(news), 0) != sizeof(news))
			break;
		if (!news.command)
			return news.status;
		if (run->detach) {
			print_started(cli, run, news.command, supervisor);
			return EXIT_SUCCESS;
		}
	}
	return supervisor_status(cli, run, supervisor);
}

static int start(struct cli *cli, const struct run *run)
{
	int sockets[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return run_fail("there is no socket for a supervisor");
	fflush(NULL);
	/* signals are not yet blocked: one that comes now ends the two, instead of being taken for
	 * one that the other has */
	pid = fork();
	if (pid < 0)
		return run_fail("there is no process for a supervisor");
	close(sockets[pid == 0 ? 0 : 1]);
	if (pid == 0)
		return supervise(cli, run, sockets[1]);
	return front(cli, run, sockets[0], pid);
}

/* So that nothing of ours gets the numbers 0 to 2 where they are closed, as they are to the command
 * again. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/* All that were given, else the one that there always is. To be freed. */
static const char **networks_of(const struct arguments *arguments, size_t *ret_count)
{
	const char **networks = calloc(arguments->len + 1, sizeof(*networks));
	size_t count = 0;

	if (!networks)
		out_of_memory();
	for (size_t i = 0; i < arguments->len; i++)
		if (arguments->items[i].option == 'n')
			networks[count++] = arguments->items[i].value;
	if (!count)
		networks[count++] = "bridge";
	*ret_count = count;
	return networks;
}

int run_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "network", required_argument, NULL, 'n' },
		{ "name", required_argument, NULL, 'N' },
		{ "publish", required_argument, NULL, 'p' },
		{ "detach", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	char name[2 * NAME_BYTES + 1];
	sigset_t mask;
	struct run run = { .name = name, .arguments = &arguments };
	int status;

	arguments_parse(cli, argc, argv, STOP_AT_WORD, options, &arguments);
	if (!arguments.word_count)
		cli_usage(cli, "a command is needed");
	fill_standard_descriptors();
	random_name(name);
	run.networks = networks_of(&arguments, &run.network_count);
	if (arguments_has(&arguments, 'N'))
		run.name = arguments_value(&arguments, 'N');
	run.detach = arguments_has(&arguments, 'd');
	run.command = arguments.words;
	/* where it is ignored, nobody can be waited for */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	run.mask = &mask;
	status = start(cli, &run);
	free(run.networks);
	arguments_free(&arguments);
	return status;
}
