/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * With each backend, every step of create, attach, publish and their reverses fails once, and dies
 * once (SIGKILL): what the kernel and the state show afterwards is what they showed before.
 */
#include "../case.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridgenet.h"
#include "firewall/firewall.h"
#include "base/fault.h"

#define SNAPSHOT_MAX 65536
#define STEPS_MAX 64

#define STATE_DIR "/tmp/bn-fault-XXXXXX"
static char state_dir[] = STATE_DIR;
static const char *backend;
static pid_t sandbox_pid;

/* ---- faults ---- */

static int steps_left; /* before the fault; negative: never */
static bool die;
static bool dawdle; /* until the call's time is up, rather than fail */

#define TIMEOUT_MS 20

static int fault_at_step(const char *step)
{
	(void)step;
	if (steps_left < 0 || steps_left-- > 0)
		return 0;
	if (die)
		kill(getpid(), SIGKILL);
	if (dawdle)
		usleep((TIMEOUT_MS + 5) * 1000);
	return dawdle ? 0 : -EIO;
}

/* ---- what is there ---- */

static void append_output(char *text, const char *command)
{
	size_t len = strlen(text);
	FILE *pipe = popen(command, "r");

	assert_non_null(pipe);
	len += fread(text + len, 1, SNAPSHOT_MAX - len - 1, pipe);
	text[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
}

static void assert_same(const char *before, const char *after)
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
#define LEGACY_RULES                                                           \
	"%s-save | awk '/^[*]/ {table = \"%s \" $0} /^:[A-Z]+ ACCEPT/ {next} " \
	"/^[:-]/ {sub(/ \\[[0-9:]*\\]$/, \"\"); print table, $0}'"

static void snapshot_legacy(char *text, const char *program)
{
	char command[256];

	snprintf(command, sizeof(command), LEGACY_RULES, program, program);
	append_output(text, command);
}

static void snapshot(char *text)
{
	char command[256];

	text[0] = '\0';
	append_output(text, "nft -s list ruleset");
	snapshot_legacy(text, "iptables-legacy");
	snapshot_legacy(text, "ip6tables-legacy");
	/* the ends of an endpoint are named after the network's id, which is random */
	append_output(text, "ip -br link | sed 's/@.*//; s/ .*//; s/^bv[0-9a-f]*$/bv/'");
	append_output(text, "ip -br -4 addr show up | awk '{$2=\"\"; print}'");
	append_output(text, "cat /proc/sys/net/ipv4/ip_forward "
			    "/proc/sys/net/ipv6/conf/all/forwarding");
	/* but for lo, which an attach leaves up */
	snprintf(command, sizeof(command), "nsenter -t %d -n ip -br addr | sed '/^lo/d; s/@.*//'",
		 sandbox_pid);
	append_output(text, command);
	snprintf(command, sizeof(command),
		 "sqlite3 %s/state.db 'select count(*) from networks; select count(*) from "
		 "endpoints; select count(*) from ports; select count(*) from operations; "
		 "select count(*) from addresses where endpoint is not null'",
		 state_dir);
	append_output(text, command);
}

static bn_ctx *new_context(void)
{
	bn_ctx *ctx;

	assert_int_equal(bn_ctx_new(0, &ctx), 0);
	assert_int_equal(bn_ctx_set_state_dir(ctx, state_dir), 0);
	assert_int_equal(bn_ctx_set_backend(ctx, backend), 0);
	return ctx;
}

/* ---- the verbs ---- */

static int create(bn_ctx *ctx)
{
	bn_network_spec *spec;
	int r;

	assert_int_equal(bn_network_spec_new("front", &spec), 0);
	bn_network_spec_set_bridge(spec, "front0");
	bn_network_spec_add_subnet(spec, "172.30.0.0/24");
	bn_network_spec_add_subnet(spec, "fd00:30::/64");
	r = bn_network_create(ctx, spec, 0, NULL);
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

static int attach(bn_ctx *ctx)
{
	bn_endpoint_spec *spec;
	int r;

	assert_int_equal(bn_endpoint_spec_new("front", "web", &spec), 0);
	bn_endpoint_spec_set_sandbox_pid(spec, sandbox_pid);
	bn_endpoint_spec_add_address(spec, "172.30.0.2");
	bn_endpoint_spec_add_address(spec, "fd00:30::2");
	add_port(spec, "8799:1337");
	add_port(spec, "5353:53/udp");
	r = bn_endpoint_attach(ctx, spec, 0, NULL);
	bn_endpoint_spec_free(spec);
	return r;
}

static int with_port(bn_ctx *ctx, bool publish)
{
	bn_port_spec *port;
	int r;

	assert_int_equal(bn_port_spec_new("9000-9003:9000-9003/udp", &port), 0);
	r = publish ? bn_port_publish(ctx, "front", "web", port, 0, NULL) :
		      bn_port_unpublish(ctx, "front", "web", port, 0);
	bn_port_spec_free(port);
	return r;
}

static int publish(bn_ctx *ctx)
{
	return with_port(ctx, true);
}

static int unpublish(bn_ctx *ctx)
{
	return with_port(ctx, false);
}

static int detach(bn_ctx *ctx)
{
	return bn_endpoint_detach(ctx, "front", "web", 0);
}

static int delete (bn_ctx *ctx)
{
	return bn_network_delete(ctx, "front", 0);
}

/* ---- the cases ---- */

/* Any change makes the library look for what was left half done. */
static void touch(void)
{
	bn_ctx *ctx = new_context();

	assert_int_equal(bn_network_delete(ctx, "no-such-network", BN_DELETE_MISSING_OK), 0);
	bn_ctx_free(ctx);
}

/* Fail the verb at its first step, its second, and so on, until it gets through. */
static void fail_every_step(int (*verb)(bn_ctx *))
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();
	int step, r;

	snapshot(before);
	for (step = 0; step < STEPS_MAX; step++) {
		steps_left = step;
		r = verb(ctx);
		steps_left = -1;
		if (r == 0)
			break;
		assert_int_equal(r, -EIO);
		assert_string_not_equal(bn_error_message(ctx), "");
		snapshot(after);
		assert_same(before, after);
	}
	assert_in_range(step, 2, STEPS_MAX - 1);
	bn_ctx_free(ctx);
}

/* Kill a process at every step of the verb. Afterwards all is as before it, or, when the verb takes
 * something away, as after it. */
static void die_at_every_step(int (*verb)(bn_ctx *), int (*reverse)(bn_ctx *))
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX], done[SNAPSHOT_MAX];
	bn_ctx *ctx;
	int step, status;
	pid_t pid;

	snapshot(before);
	ctx = new_context();
	assert_int_equal(verb(ctx), 0);
	snapshot(done);
	assert_int_equal(reverse(ctx), 0);
	bn_ctx_free(ctx);

	for (step = 0; step < STEPS_MAX; step++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			die = true;
			steps_left = step;
			ctx = new_context();
			_exit(verb(ctx) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status))
			break;
		touch();
		snapshot(after);
		if (strcmp(after, done) == 0) {
			ctx = new_context();
			assert_int_equal(reverse(ctx), 0);
			bn_ctx_free(ctx);
			snapshot(after);
		}
		assert_same(before, after);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_in_range(step, 2, STEPS_MAX - 1);
	ctx = new_context();
	assert_int_equal(reverse(ctx), 0);
	bn_ctx_free(ctx);
}

/* Whatever a failed case has left. */
static int tidy(void **state)
{
	bn_ctx *ctx = new_context();
	int r;

	(void)state;
	steps_left = -1;
	r = bn_network_delete(ctx, "front", BN_DELETE_MISSING_OK | BN_DELETE_ENDPOINTS);
	bn_ctx_free(ctx);
	return r;
}

static void run(int (*verb)(bn_ctx *))
{
	bn_ctx *ctx = new_context();
	int r = verb(ctx);

	if (r < 0)
		fail_msg("%s", bn_error_message(ctx));
	bn_ctx_free(ctx);
}

static void test_create_fails(void **state)
{
	(void)state;
	fail_every_step(create);
	run(delete);
}

static void test_create_dies(void **state)
{
	(void)state;
	/* Forwarding that a network has turned on stays on. */
	run(create);
	run(delete);
	die_at_every_step(create, delete);
}

static void test_delete_dies(void **state)
{
	(void)state;
	run(create);
	die_at_every_step(delete, create);
	run(delete);
}

static void test_attach_fails(void **state)
{
	(void)state;
	run(create);
	fail_every_step(attach);
	run(detach);
	run(delete);
}

/* The time is up in the middle, or in undoing what came before. */
static void test_attach_times_out(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	int failures = 0, r;
	bn_ctx *ctx;

	(void)state;
	run(create);
	snapshot(before);
	for (int step = 0; step < 12; step++) {
		ctx = new_context();
		assert_int_equal(bn_ctx_set_timeout_ms(ctx, TIMEOUT_MS), 0);
		steps_left = step;
		dawdle = true;
		r = attach(ctx);
		dawdle = false;
		steps_left = -1;
		bn_ctx_free(ctx);
		if (r == 0)
			run(detach);
		else
			failures++;
		assert_true(r == 0 || r == -ETIMEDOUT);
		snapshot(after);
		assert_same(before, after);
	}
	assert_in_range(failures, 3, 12);
	run(delete);
}

static void test_attach_dies(void **state)
{
	(void)state;
	run(create);
	die_at_every_step(attach, detach);
	run(delete);
}

/* Once the interface is gone there is no way back: a detach that can't be written down is finished
 * by the next call. */
static void test_detach_fails(void **state)
{
	static char before[SNAPSHOT_MAX], gone[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();
	int step, r;

	(void)state;
	run(create);
	snapshot(gone);
	run(attach);
	snapshot(before);
	for (step = 0; step < STEPS_MAX; step++) {
		steps_left = step;
		r = detach(ctx);
		steps_left = -1;
		touch();
		snapshot(after);
		if (strcmp(after, gone) == 0)
			break;
		assert_int_equal(r, -EIO);
		assert_same(before, after);
	}
	assert_in_range(step, 2, STEPS_MAX - 1);
	bn_ctx_free(ctx);
	run(delete);
}

static void test_detach_dies(void **state)
{
	(void)state;
	run(create);
	run(attach);
	die_at_every_step(detach, attach);
	run(detach);
	run(delete);
}

static void test_publish_fails(void **state)
{
	(void)state;
	run(create);
	run(attach);
	fail_every_step(publish);
	run(unpublish);
	run(detach);
	run(delete);
}

static void test_publish_dies(void **state)
{
	(void)state;
	run(create);
	run(attach);
	die_at_every_step(publish, unpublish);
	run(detach);
	run(delete);
}

static void test_unpublish_dies(void **state)
{
	(void)state;
	run(create);
	run(attach);
	run(publish);
	die_at_every_step(unpublish, publish);
	run(detach);
	run(delete);
}

/* ---- the stage: a namespace for the host, one for the endpoint ---- */

static int setup(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	fault_hook = fault_at_step;
	steps_left = -1;
	memcpy(state_dir, STATE_DIR, sizeof(STATE_DIR));
	if (!mkdtemp(state_dir) || pipe(ready) < 0 || unshare(CLONE_NEWNET) < 0 ||
	    system("ip link set lo up") != 0)
		return -1;
	sandbox_pid = fork();
	if (!sandbox_pid) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	if (sandbox_pid < 0 || read(ready[0], &byte, 1) != 1)
		return -1;
	touch();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	kill(sandbox_pid, SIGKILL);
	waitpid(sandbox_pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -r %s", state_dir);
	return system(command);
}

/* All of it, in namespaces and with a state of its own. */
static int run_with(const char *name)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_create_fails, tidy),
		cmocka_unit_test_teardown(test_create_dies, tidy),
		cmocka_unit_test_teardown(test_delete_dies, tidy),
		cmocka_unit_test_teardown(test_attach_fails, tidy),
		cmocka_unit_test_teardown(test_attach_times_out, tidy),
		cmocka_unit_test_teardown(test_attach_dies, tidy),
		cmocka_unit_test_teardown(test_detach_fails, tidy),
		cmocka_unit_test_teardown(test_detach_dies, tidy),
		cmocka_unit_test_teardown(test_publish_fails, tidy),
		cmocka_unit_test_teardown(test_publish_dies, tidy),
		cmocka_unit_test_teardown(test_unpublish_dies, tidy),
	};

	backend = name;
	return cmocka_run_group_tests_name(name, tests, setup, teardown);
}

int main(void)
{
	int failed = 0;

	for (size_t i = 0; firewall_backends[i]; i++)
		failed += run_with(firewall_backends[i]->name);
	return failed;
}
