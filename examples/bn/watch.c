/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tell what happens, a line for each event, and put it right at once if that is asked for. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bn.h"

enum { REPAIR = 256, LISTENERS };
#define AGAIN_MS 1000 /* after a repair that failed */

/* For the handler. */
static volatile sig_atomic_t ended;
static bn_ctx *running;
static int wake;

static void end(int signal_)
{
	const uint64_t one = 1;
	int before = errno;
	ssize_t written;

	(void)signal_;
	ended = 1;
	bn_ctx_cancel(running);
	written = write(wake, &one, sizeof(one));
	(void)written;
	errno = before;
}

static int catch_signals(const struct cli *cli)
{
	struct sigaction action = { .sa_handler = end };

	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0)
		return cli_fail_text("cannot make an eventfd: %s", strerror(errno));
	running = cli->ctx;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return 0;
}

/* ---- what happens ---- */

struct line {
	const char *kind, *network, *endpoint, *program, *text;
};

static void print_event_json(const struct line *line)
{
	json_t *object = json_object();

	json_set(object, "kind", json_text(line->kind));
	json_set(object, "network", json_text(line->network));
	json_set(object, "endpoint", json_text(line->endpoint));
	json_set(object, "program", json_text(line->program));
	json_set(object, "text", json_text(line->text));
	json_print_line(object);
}

static void print_event(const struct line *line)
{
	char *text = safe_text(line->text), *program = safe_text(line->program);

	printf("%-8s  %s%s%s%s\n", line->kind, text, *program ? " (by " : "", program,
	       *program ? ")" : "");
	free(program);
	free(text);
}

static void print(const struct cli *cli, const struct line *line)
{
	if (cli->json)
		print_event_json(line);
	else
		print_event(line);
	/* who reads a pipe is to see it now */
	fflush(stdout);
}

/* ---- putting right ---- */

/* What is to be repaired; with its network "", everything. */
struct wanted {
	char *network, *endpoint;
};

struct repairs {
	struct wanted *items;
	size_t len;
};
#define REPAIRS_MAX 16 /* of more than these everything is repaired */

static char *copy(const char *text)
{
	char *made = strdup(text);

	if (!made)
		out_of_memory();
	return made;
}

static void repairs_clear(struct repairs *repairs)
{
	for (size_t i = 0; i < repairs->len; i++) {
		free(repairs->items[i].network);
		free(repairs->items[i].endpoint);
	}
	repairs->len = 0;
}

/* Rules are asked for as a whole: one look finds all that was done to them. */
static void repairs_add(struct repairs *repairs, const bn_event *event)
{
	const char *kind = bn_event_kind(event);
	bool whole = strcmp(kind, "rules") == 0 || strcmp(kind, "lost") == 0;
	const char *network = whole ? "" : bn_event_network(event);
	const char *endpoint = whole ? "" : bn_event_endpoint(event);

	if (!whole && strcmp(kind, "link") != 0)
		return;
	for (size_t i = 0; i < repairs->len; i++)
		if (strcmp(repairs->items[i].network, network) == 0 &&
		    strcmp(repairs->items[i].endpoint, endpoint) == 0)
			return;
	if (repairs->len == REPAIRS_MAX) {
		repairs_clear(repairs);
		network = endpoint = "";
	}
	repairs->items[repairs->len++] = (struct wanted){ copy(network), copy(endpoint) };
}

static void print_repaired(const struct cli *cli, const bn_finding *finding)
{
	if (bn_finding_repaired(finding))
		print(cli,
		      &(struct line){ "repaired", bn_finding_network(finding),
				      bn_finding_endpoint(finding), "", bn_finding_text(finding) });
}

/* False: it is to be tried again. What has gone meanwhile needs no repair. */
static bool repair(const struct cli *cli, const struct wanted *wanted)
{
	bn_finding_list *list;
	int r = bn_repair(cli->ctx, *wanted->network ? wanted->network : NULL,
			  *wanted->endpoint ? wanted->endpoint : NULL, 0, &list);

	if (r < 0 && r != -ENOENT && !ended)
		cli_fail(cli, r);
	if (r < 0)
		return r == -ENOENT;
	for (size_t i = 0; i < bn_finding_list_len(list); i++)
		print_repaired(cli, bn_finding_list_at(list, i));
	bn_finding_list_free(list);
	return true;
}

static bool repair_all(const struct cli *cli)
{
	char everything[] = "";

	return repair(cli, &(struct wanted){ everything, everything });
}

/* True: something is to be tried again. */
static bool repair_wanted(const struct cli *cli, struct repairs *repairs)
{
	bool again = false, whole = false;

	for (size_t i = 0; i < repairs->len; i++)
		whole |= !*repairs->items[i].network;
	if (whole)
		again = !repair_all(cli);
	for (size_t i = 0; i < repairs->len && !whole && !ended; i++)
		again |= !repair(cli, &repairs->items[i]);
	repairs_clear(repairs);
	return again;
}

/* ---- the loop ---- */

static int read_events(const struct cli *cli, bn_watch *watch, struct repairs *repairs)
{
	bn_event *event;
	int r = 0;

	while (!ended && (r = bn_watch_next(watch, 0, &event)) == 0) {
		print(cli, &(struct line){ bn_event_kind(event), bn_event_network(event),
					   bn_event_endpoint(event), bn_event_program(event),
					   bn_event_text(event) });
		if (repairs)
			repairs_add(repairs, event);
		bn_event_free(event);
	}
	if (ended || r == -EAGAIN)
		return ferror(stdout) ? cli_fail_text("cannot write: %s", strerror(errno)) : 0;
	return cli_fail_text("cannot watch: %s", strerror(-r));
}

static int watch_on(const struct cli *cli, bn_watch *watch, struct repairs *repairs)
{
	struct pollfd fds[] = {
		{ .fd = bn_watch_fd(watch), .events = POLLIN },
		{ .fd = wake, .events = POLLIN },
	};
	bool again = repairs && !repair_all(cli);
	int status = 0;

	while (!ended && status == 0) {
		if (poll(fds, LENGTH(fds), again ? AGAIN_MS : -1) == 0)
			again = !repair_all(cli);
		status = read_events(cli, watch, repairs);
		if (repairs && repairs->len)
			again = repair_wanted(cli, repairs);
	}
	return status;
}

int watch_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "repair", no_argument, NULL, REPAIR },
		{ "listeners", no_argument, NULL, LISTENERS },
		{ NULL, 0, NULL, 0 },
	};
	struct wanted room[REPAIRS_MAX];
	struct repairs repairs = { room, 0 };
	struct arguments arguments;
	uint32_t flags = 0;
	bn_watch *watch;
	bool repairing;
	int r, status;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 0);
	repairing = arguments_has(&arguments, REPAIR);
	if (arguments_has(&arguments, LISTENERS))
		flags |= BN_WATCH_LISTENERS;
	arguments_free(&arguments);
	if (cli_open(cli) != 0 || catch_signals(cli) != 0)
		return EXIT_FAILURE;
	/* it hears before anything is repaired */
	r = bn_watch_new(cli->ctx, flags, &watch);
	if (r < 0)
		return ended ? EXIT_SUCCESS : cli_fail(cli, r);
	status = watch_on(cli, watch, repairing ? &repairs : NULL);
	repairs_clear(&repairs);
	bn_watch_free(watch);
	running = NULL;
	return status;
}
