/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bn.h"

struct supervisor {
	struct cli *cli;
	const struct run *run;
	bool own_network; /* not "host" */
	size_t published; /* which of the networks has the ports */
	struct parent parent;
	struct started started;
};

/* 0, or 1 with the reason on standard error. */
static int start(struct supervisor *supervisor)
{
	int network = supervisor->own_network ? CLONE_NEWNET | CLONE_NEWNS : 0;
	int refusal = start_command(supervisor->run, CLONE_NEWPID | CLONE_NEWNS | network,
				    &supervisor->started);
	int r = refusal;

	if (refusal < 0)
		r = start_command(supervisor->run, network, &supervisor->started);
	if (r < 0)
		return cli_fail_text("a process%s can't be made: %s%s",
				     network ? " in a network namespace of its own" : "",
				     strerror(-r), r == -EPERM ? "; run as root" : "");
	if (refusal < 0)
		cli_fail_text("the command's processes may outlive bn, if that is killed: there can"
			      " be no pid namespace with a /proc for them: %s",
			      strerror(-refusal));
	supervisor->parent.child = supervisor->started.child;
	return 0;
}

static int add_ports(const struct supervisor *supervisor, bn_endpoint_spec *spec)
{
	const struct arguments *arguments = supervisor->run->arguments;
	int r = 0;

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

static int add_spec(const struct supervisor *supervisor, bn_endpoint_spec_list *specs, size_t i)
{
	const struct run *run = supervisor->run;
	bn_endpoint_spec *spec;
	int r = bn_endpoint_spec_new(run->networks[i], run->name, &spec);

	if (r < 0)
		return r;
	r = bn_endpoint_spec_set_sandbox_pid(spec, supervisor->started.child);
	if (r >= 0 && i == supervisor->published)
		r = add_ports(supervisor, spec);
	if (r >= 0)
		r = bn_endpoint_spec_list_add(specs, spec);
	bn_endpoint_spec_free(spec);
	return r;
}

static int attach(struct supervisor *supervisor)
{
	struct cli *cli = supervisor->cli;
	bn_endpoint_spec_list *specs;
	int r = bn_endpoint_spec_list_new(&specs);

	if (r < 0)
		return cli_fail(cli, r);
	for (size_t i = 0; i < supervisor->run->network_count && r >= 0; i++)
		r = add_spec(supervisor, specs, i);
	if (r >= 0)
		r = bn_endpoints_attach(cli->ctx, specs, 0, NULL);
	bn_endpoint_spec_list_free(specs);
	return r < 0 ? cli_fail(cli, r) : 0;
}

int detach_run(struct cli *cli, const struct run *run, uint32_t flags)
{
	int status = 0;

	for (size_t i = 0; i < run->network_count; i++) {
		int r = bn_endpoint_detach(cli->ctx, run->networks[i], run->name,
					   BN_DETACH_MISSING_OK | flags);

		if (r < 0)
			status = cli_fail(cli, r);
	}
	return status;
}

/* The link is out of sight, whoever else may keep its namespace; but this process can't end before
 * the kernel has forgotten the device, and nobody is to wait for that. */
static void tell_status(const struct supervisor *supervisor, int status)
{
	const struct news ended = { .status = status };

	if (supervisor->parent.front < 0)
		return;
	leave_terminal(false);
	/* what was mounted there may go at once */
	(void)!chdir("/");
	send(supervisor->parent.front, &ended, sizeof(ended), MSG_NOSIGNAL);
}

/* What the command left behind without a pid namespace became our child, as we are its sub-reaper;
 * with one, only a first process whose command never went is still there. */
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

/* Let the command go, tell the front, wait for the end. */
static int run_to_end(struct supervisor *supervisor)
{
	const struct run *run = supervisor->run;
	struct parent *parent = &supervisor->parent, held = *parent;
	const struct news started = { .command = supervisor->started.command };
	int gate = supervisor->started.gate, error;
	bool told;

	/* what came meanwhile may have come before the command's process did */
	held.child = supervisor->started.command;
	held.held = true;
	while (parent_event(&held, 0))
		;
	send(gate, "g", 1, MSG_NOSIGNAL);
	if (recv(gate, &error, sizeof(error), 0) == sizeof(error))
		return exec_failed(run->command[0], error);
	if (run->detach)
		leave_terminal(false);
	told = send(parent->front, &started, sizeof(started), MSG_NOSIGNAL) > 0;
	if (run->detach && told) {
		close(parent->front);
		parent->front = -1;
	}
	return parent_wait(parent);
}

static bool is_internal(const bn_network *network)
{
	for (size_t i = 0; i < bn_network_option_count(network); i++)
		if (strcmp(bn_network_option_key_at(network, i), "internal") == 0)
			return strcmp(bn_network_option_value_at(network, i), "yes") == 0;
	return false;
}

/* 0, with own_network and published said, or 1. */
static int look_up_networks(struct supervisor *supervisor)
{
	const struct run *run = supervisor->run;
	struct cli *cli = supervisor->cli;

	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	supervisor->own_network = true;
	for (size_t i = run->network_count; i-- > 0;) {
		bn_network *network;
		int r = bn_network_get(cli->ctx, run->networks[i], 0, &network);

		if (r < 0)
			return cli_fail(cli, r);
		if (strcmp(bn_network_driver(network), "host") == 0)
			supervisor->own_network = false;
		if (!is_internal(network))
			supervisor->published = i;
		bn_network_free(network);
	}
	if (!supervisor->own_network && run->network_count > 1)
		return cli_fail_text("the network 'host' is that of the host itself: a command "
				     "that runs there is on no other");
	return 0;
}

int supervise(struct cli *cli, const struct run *run, int front)
{
	struct supervisor supervisor = {
		.cli = cli,
		.run = run,
		.parent = { .child = -1, .signals = parent_signals(), .front = front },
	};
	sigset_t set;
	int status;

	/* a reader of our messages that has gone must not keep us from cleaning up */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (run->detach)
		setsid();
	status = look_up_networks(&supervisor);
	if (status == 0)
		status = start(&supervisor);
	if (status == 0)
		status = attach(&supervisor);
	if (status != 0) {
		kill_children();
		return EXIT_OURS;
	}
	status = run_to_end(&supervisor);
	kill_children();
	if (detach_run(cli, run, BN_DETACH_ASYNC) != 0 && status == 0)
		status = EXIT_OURS;
	tell_status(&supervisor, status);
	return status;
}
