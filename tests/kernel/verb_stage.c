/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verb_stage.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATE_DIR "/tmp/bn-verbs-XXXXXX"
#define TRIES 10
#define OUT_OF_TIME "can't clean up yet: the time limit was over"
#define PATIENCE_MS 100000 /* with a machine that does other things */
char state_dir[] = STATE_DIR;
const char *backend;
void (*verb_begins)(void);
static pid_t sandbox_pid;

/* ---- what is there ---- */

void assert_same(const char *before, const char *after)
{
	const char *line = before;

	if (strcmp(before, after) == 0)
		return;
	/* cmocka cuts long strings: show where they part */
	for (size_t i = 0; before[i] == after[i]; i++)
		if (before[i] == '\n')
			line = before + i + 1;
	fail_msg("before:\n%.200s\nafter:\n%.200s", line, after + (line - before));
}

/* Each rule behind the name of its table, without counters. A table without rules and chains of
 * anybody is as good as none: the kernel makes it when it is asked for, and keeps it. */
#define LEGACY_RULES(program)                                                                 \
	program "-save | awk '/^[*]/ {table = \"" program " \" $0} /^:[A-Z]+ ACCEPT/ {next} " \
		"/^[:-]/ {sub(/ \\[[0-9:]*\\]$/, \"\"); print table, $0}'; "

void snapshot(char text[static SNAPSHOT_MAX])
{
	static const char format[] = "set -e; nft -s list ruleset; " LEGACY_RULES("iptables-legacy")
		LEGACY_RULES("ip6tables-legacy")
		/* the ends of an endpoint are named after the network's id, which is random */
		"ip -br link | sed 's/@.*//; s/ .*//; s/^bv[0-9a-f]*$/bv/'; "
		"ip -br -4 addr show up | awk '{$2=\"\"; print}'; "
		"cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; "
		"nsenter -t %d -n sh -c 'ip -br addr; ip route; ip -6 route' | "
		"sed '/^lo/d; s/@[^ ]*//; s/  */ /g'; "
		"sqlite3 %s/state.db 'select count(*) from networks; select count(*) from "
		"endpoints; select count(*) from ports; select count(*) from operations; "
		"select count(*) from addresses where endpoint is not null'";
	char command[sizeof(format) + sizeof(state_dir) + 16];
	size_t len;
	FILE *pipe;

	snprintf(command, sizeof(command), format, sandbox_pid, state_dir);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	len = fread(text, 1, SNAPSHOT_MAX - 1, pipe);
	text[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
}

bool step_is_tolerated(const char *step)
{
	return strcmp(step, "sandbox.id") == 0 || strcmp(step, "fork.wipe") == 0 ||
	       strncmp(step, "netlink.", strlen("netlink.")) == 0;
}

int stage_sandbox(void)
{
	return sandbox_pid;
}

const char *stage_sql(const char *statements)
{
	static char command[512];

	snprintf(command, sizeof(command), "sqlite3 -cmd '.timeout 1000' %s/state.db '%s'",
		 state_dir, statements);
	return command;
}

size_t stage_count(const char *table)
{
	char text[64];
	size_t count = 0;
	FILE *pipe;

	snprintf(text, sizeof(text), "SELECT count(*) FROM %s", table);
	pipe = popen(stage_sql(text), "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%zu", &count), 1);
	assert_int_equal(pclose(pipe), 0);
	return count;
}

bn_ctx *new_context(void)
{
	bn_ctx *ctx;

	assert_int_equal(bn_ctx_new(0, &ctx), 0);
	assert_int_equal(bn_ctx_set_state_dir(ctx, state_dir), 0);
	assert_int_equal(bn_ctx_set_backend(ctx, backend), 0);
	assert_int_equal(bn_ctx_set_timeout_ms(ctx, PATIENCE_MS), 0);
	return ctx;
}

/* ---- the verbs ---- */

int create(bn_ctx *ctx)
{
	bn_network *network = NULL;
	bn_network_spec *spec;
	int r;

	assert_int_equal(bn_network_spec_new("front", &spec), 0);
	bn_network_spec_set_bridge(spec, "front0");
	bn_network_spec_add_subnet(spec, "172.30.0.0/24");
	bn_network_spec_add_subnet(spec, "fd00:30::/64");
	BEGIN_VERB();
	r = bn_network_create(ctx, spec, 0, &network);
	assert_int_equal(r < 0, network == NULL);
	bn_network_free(network);
	bn_network_spec_free(spec);
	return r;
}

static void add_port(bn_endpoint_spec *spec, const char *mapping)
{
	bn_port_spec *port;

	assert_int_equal(bn_port_spec_new(mapping, &port), 0);
	assert_int_equal(bn_endpoint_spec_add_port(spec, port), 0);
	bn_port_spec_free(port);
}

static int attach_process(bn_ctx *ctx, pid_t pid)
{
	bn_endpoint *endpoint = NULL;
	bn_endpoint_spec *spec;
	int r;

	assert_int_equal(bn_endpoint_spec_new("front", "web", &spec), 0);
	bn_endpoint_spec_set_sandbox_pid(spec, pid);
	bn_endpoint_spec_add_address(spec, "172.30.0.2");
	bn_endpoint_spec_add_address(spec, "fd00:30::2");
	add_port(spec, "8799:1337");
	add_port(spec, "5353:53/udp");
	BEGIN_VERB();
	r = bn_endpoint_attach(ctx, spec, BN_ATTACH_HOLD_PORTS, &endpoint);
	assert_int_equal(r < 0, endpoint == NULL);
	bn_endpoint_free(endpoint);
	bn_endpoint_spec_free(spec);
	return r;
}

int attach(bn_ctx *ctx)
{
	return attach_process(ctx, sandbox_pid);
}

/* A process in a namespace of its own. */
static pid_t inhabit(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	if (pid > 0 && read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* The kernel takes a namespace, and its links, apart in the background. */
static void await_end_of_link(void)
{
	for (int i = 0; i < 3000; i++, usleep(10 * 1000))
		if (system("! ip -br link show type veth | grep -q ^bv") == 0)
			return;
	fail_msg("a link outlives its namespace");
}

int attach_lost(bn_ctx *ctx)
{
	pid_t pid = inhabit();
	int r;

	assert_true(pid > 0);
	r = attach_process(ctx, pid);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (r == 0)
		await_end_of_link();
	return r;
}

int collect(bn_ctx *ctx)
{
	bn_endpoint_list *list = NULL;
	int r;

	BEGIN_VERB();
	r = bn_endpoints_collect(ctx, NULL, 0, &list);
	assert_int_equal(r < 0, list == NULL);
	bn_endpoint_list_free(list);
	return r;
}

static bn_port_spec *range(void)
{
	bn_port_spec *spec;

	assert_int_equal(bn_port_spec_new("9000-9003:9000-9003/udp", &spec), 0);
	return spec;
}

int publish(bn_ctx *ctx)
{
	bn_port_spec *spec = range();
	bn_port *port = NULL;
	int r;

	BEGIN_VERB();
	r = bn_port_publish(ctx, "front", "web", spec, BN_PUBLISH_HOLD_PORTS, &port);

	assert_int_equal(r < 0, port == NULL);
	bn_port_free(port);
	bn_port_spec_free(spec);
	return r;
}

int unpublish(bn_ctx *ctx)
{
	bn_port_spec *spec = range();
	int r;

	BEGIN_VERB();
	r = bn_port_unpublish(ctx, "front", "web", spec, 0);

	bn_port_spec_free(spec);
	return r;
}

int detach(bn_ctx *ctx)
{
	BEGIN_VERB();
	return bn_endpoint_detach(ctx, "front", "web", 0);
}

int delete (bn_ctx *ctx)
{
	BEGIN_VERB();
	return bn_network_delete(ctx, "front", 0);
}

/* Any change makes the library look for what was left half done. */
static void note_lateness(void *is_late, int level, const char *message)
{
	(void)level;
	if (strncmp(message, OUT_OF_TIME, strlen(OUT_OF_TIME)) == 0)
		*(bool *)is_late = true;
}

/* What the dead left a call takes up for 2 s at most (ops/recover.c), which a machine that does other
 * things may take for a part of it: then the next one goes on. */
void touch(void)
{
	bool is_late = true;

	for (int i = 0; i < TRIES && is_late; i++) {
		bn_ctx *ctx = new_context();

		is_late = false;
		assert_int_equal(bn_ctx_set_log(ctx, note_lateness, &is_late), 0);
		assert_int_equal(bn_network_delete(ctx, "no-such-network", BN_DELETE_MISSING_OK),
				 0);
		bn_ctx_free(ctx);
	}
}

/* Whatever a failed case has left. */
int tidy(void **state)
{
	bn_ctx *ctx = new_context();
	int r;

	(void)state;
	r = bn_network_delete(ctx, "front", BN_DELETE_MISSING_OK | BN_DELETE_ENDPOINTS);
	bn_ctx_free(ctx);
	return r;
}

void run(verb_fn verb)
{
	bn_ctx *ctx = new_context();
	int r = verb(ctx);

	if (r < 0)
		fail_msg("%s", bn_error_message(ctx));
	bn_ctx_free(ctx);
}

/* ---- the stage: a namespace for the host, one for the endpoint ---- */

int stage_setup(void **state)
{
	(void)state;
	memcpy(state_dir, STATE_DIR, sizeof(STATE_DIR));
	if (!mkdtemp(state_dir) || unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0)
		return -1;
	sandbox_pid = inhabit();
	if (sandbox_pid < 0)
		return -1;
	touch();
	return 0;
}

int stage_teardown(void **state)
{
	char command[128];

	(void)state;
	kill(sandbox_pid, SIGKILL);
	waitpid(sandbox_pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -r %s", state_dir);
	return system(command);
}
