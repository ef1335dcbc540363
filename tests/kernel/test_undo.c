/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * With each backend: what fails or dies half way leaves the host as it was, whatever it had made or
 * found on its way; removals that got going are finished; and what the dead left holds up nobody.
 */
#include "verb_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"

#define STEPS_MAX 64
#define DEAD 12

/* ---- faults ---- */

static int steps_left = -1;   /* before the fault; negative: never */
static const char *step_name; /* or the step that it is at, once `skip_hits` of it have passed */
static int skip_hits;
static void (*at_fault)(void); /* before it fails, or instead */
static bool and_fail;

static int fault(const char *step)
{
	bool now;

	if (step_is_tolerated(step))
		return 0;
	if (step_name)
		now = strcmp(step, step_name) == 0 && skip_hits-- == 0;
	else
		now = steps_left >= 0 && steps_left-- == 0;
	if (!now)
		return 0;
	if (!at_fault)
		return -EIO;
	at_fault();
	return and_fail ? -EIO : 0;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
}

static void fail_at(const char *name, int hits)
{
	step_name = name;
	skip_hits = hits;
}

static int calm(void **state)
{
	steps_left = -1;
	step_name = NULL;
	at_fault = NULL;
	and_fail = false;
	return tidy(state);
}

/* ---- the host, as others have set it ---- */

static void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void settings(char text[static SNAPSHOT_MAX])
{
	FILE *pipe = popen("ip -o link show type bridge | sed 's/^[0-9]*: //; s/ qdisc [a-z]*//'; "
			   "grep -H . /proc/sys/net/ipv4/conf/*/forwarding "
			   "/proc/sys/net/ipv6/conf/*/forwarding "
			   "/proc/sys/net/ipv6/conf/*/accept_ra "
			   "$(ls /proc/sys/net/ipv6/conf/*/force_forwarding 2>/dev/null) "
			   "/proc/sys/net/ipv4/conf/*/route_localnet",
			   "r");
	size_t len;

	assert_non_null(pipe);
	len = fread(text, 1, SNAPSHOT_MAX - 1, pipe);
	text[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
}

/* Forwarding off as a whole, on for one; one that learns routes from router advertisements; and a
 * bridge that is down. */
static int set_up_host(void **state)
{
	(void)state;
	shell("ip link add up0 type veth peer name up1 && ip link set up0 up && "
	      "ip addr add 2001:db8:77::1/64 dev up0 nodad && "
	      "ip link add one0 type veth peer name one1 && ip link set one0 up && "
	      "ip link add adopt0 type bridge && "
	      "echo 0 > /proc/sys/net/ipv4/ip_forward && "
	      "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding && "
	      "echo 1 > /proc/sys/net/ipv4/conf/one0/forwarding && "
	      "echo 1 > /proc/sys/net/ipv6/conf/one0/forwarding && "
	      "echo 1 > /proc/sys/net/ipv6/conf/up0/accept_ra");
	return 0;
}

static int clear_host(void **state)
{
	int r = calm(state);

	shell("ip link del up0; ip link del one0; ip link del adopt0; "
	      "echo 0 > /proc/sys/net/ipv4/ip_forward; "
	      "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding");
	return r;
}

static int adopt(bn_ctx *ctx)
{
	bn_network_spec *spec;
	int r;

	assert_int_equal(bn_network_spec_new("front", &spec), 0);
	bn_network_spec_set_bridge(spec, "adopt0");
	bn_network_spec_add_subnet(spec, "172.30.0.0/24");
	bn_network_spec_add_subnet(spec, "fd00:30::/64");
	r = bn_network_create(ctx, spec, 0, NULL);
	bn_network_spec_free(spec);
	return r;
}

/* ---- making ---- */

/* Fails, and dies, at every step: rules, links, rows and the host's own settings are as before. */
static void fail_and_die_at_every_step(verb_fn verb, verb_fn reverse)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	static char set_before[SNAPSHOT_MAX], set_after[SNAPSHOT_MAX];
	int status = 0, step;

	snapshot(before);
	settings(set_before);
	for (step = 0; step < 2 * STEPS_MAX; step++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid) {
			steps_left = step / 2;
			at_fault = step % 2 ? die : NULL;
			_exit(verb(new_context()) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		if (step % 2)
			touch();
		snapshot(after);
		assert_same(before, after);
		settings(set_after);
		assert_same(set_before, set_after);
	}
	assert_in_range(step, 8, 2 * STEPS_MAX - 1);
	run(reverse);
	settings(set_after);
	assert_same(set_before, set_after);
}

static void test_host_settings(void **state)
{
	(void)state;
	fail_and_die_at_every_step(create, delete);
}

static void test_adopted_bridge(void **state)
{
	(void)state;
	fail_and_die_at_every_step(adopt, delete);
}

/* Once it has begun it is finished; and what the network has found is given back all the same. */
static void test_deleting_gives_back(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	int status = 1, step;

	(void)state;
	settings(before);
	for (step = 0; step < STEPS_MAX; step++) {
		pid_t pid;

		run(adopt);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			steps_left = step;
			at_fault = step % 2 ? die : NULL;
			delete (new_context());
			_exit(steps_left >= 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		touch();
		if (stage_count("networks WHERE NOT builtin"))
			run(delete);
		settings(after);
		assert_same(before, after);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			break;
	}
	assert_in_range(step, 6, STEPS_MAX - 1);
}

/* What others have changed meanwhile is theirs. */
static void change_meanwhile(void)
{
	shell("echo 0 > /proc/sys/net/ipv4/conf/one0/forwarding && "
	      "echo 0 > /proc/sys/net/ipv6/conf/up0/accept_ra");
}

static void test_settings_changed_meanwhile(void **state)
{
	static char text[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();

	(void)state;
	fail_at("settle", 0);
	at_fault = change_meanwhile;
	and_fail = true;
	assert_int_equal(create(ctx), -EIO);
	bn_ctx_free(ctx);
	settings(text);
	assert_non_null(strstr(text, "up0/accept_ra:0"));
	assert_non_null(strstr(text, "all/forwarding:0"));
	assert_null(strstr(text, "all/forwarding:1"));
}

/* While one fails another is being made, which relies on what the first has turned on, and gives it
 * back when it fails as well. */
static int create_back(bn_ctx *ctx)
{
	bn_network_spec *spec;
	int r;

	assert_int_equal(bn_network_spec_new("back", &spec), 0);
	r = bn_network_create(ctx, spec, 0, NULL);
	bn_network_spec_free(spec);
	return r;
}

static int ready[2], go[2];

static void wait_to_go_on(void)
{
	char byte;

	if (write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 1)
		_exit(2);
}

static void test_two_fail(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();
	int status;
	pid_t pid;
	char byte;

	(void)state;
	settings(before);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* it stands by with its row, until the other has failed */
		fail_at("network.rules", 0);
		at_fault = wait_to_go_on;
		and_fail = true;
		_exit(create_back(new_context()) == -EIO ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	fail_at("settle", 0);
	assert_int_equal(create(ctx), -EIO);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	step_name = NULL;
	touch();
	settings(after);
	assert_same(before, after);
	bn_ctx_free(ctx);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
}

/* The first who attaches to `bridge` makes it. */
static int attach_to_default(bn_ctx *ctx)
{
	bn_endpoint_spec *spec;
	int r;

	assert_int_equal(bn_endpoint_spec_new("bridge", "web", &spec), 0);
	bn_endpoint_spec_set_sandbox_pid(spec, stage_sandbox());
	r = bn_endpoint_attach(ctx, spec, 0, NULL);
	bn_endpoint_spec_free(spec);
	return r;
}

static int leave_default(bn_ctx *ctx)
{
	return bn_network_delete(ctx, "bridge", BN_DELETE_ENDPOINTS);
}

static void test_default_network(void **state)
{
	(void)state;
	fail_and_die_at_every_step(attach_to_default, leave_default);
}

/* ---- removing ---- */

static int attach_named(bn_ctx *ctx, const char *id)
{
	bn_endpoint_spec *spec;
	int r;

	assert_int_equal(bn_endpoint_spec_new("front", id, &spec), 0);
	bn_endpoint_spec_set_sandbox_pid(spec, stage_sandbox());
	r = bn_endpoint_attach(ctx, spec, BN_ATTACH_SAME_NETWORK, NULL);
	bn_endpoint_spec_free(spec);
	return r;
}

static void attach_three(void)
{
	static const char *const ids[] = { "one", "two", "three" };
	bn_ctx *ctx = new_context();

	for (size_t i = 0; i < 3; i++)
		if (attach_named(ctx, ids[i]) != 0)
			fail_msg("%s", bn_error_message(ctx));
	bn_ctx_free(ctx);
}

static int detach_three(bn_ctx *ctx, uint32_t flags)
{
	bn_name_list *names;
	int r;

	assert_int_equal(bn_name_list_new(&names), 0);
	bn_name_list_add(names, "one");
	bn_name_list_add(names, "two");
	bn_name_list_add(names, "three");
	r = bn_endpoints_detach(ctx, "front", names, flags);
	bn_name_list_free(names);
	return r;
}

static int detach_slowly(bn_ctx *ctx)
{
	return detach_three(ctx, 0);
}

static int detach_quickly(bn_ctx *ctx)
{
	return detach_three(ctx, BN_DETACH_QUICK);
}

static int detach_all_but_the_network(bn_ctx *ctx)
{
	return detach_three(ctx, BN_DETACH_DELETE_EMPTY);
}

static int delete_with_endpoints(bn_ctx *ctx)
{
	return bn_network_delete(ctx, "front", BN_DELETE_ENDPOINTS);
}

/* At each step, or each third outside of a soak run, the verb fails once: either nothing has
 * happened, or it is done all the same. */
static void removes_all_or_nothing(verb_fn verb, size_t endpoints_left)
{
	int stride = getenv("BN_SOAK") ? 1 : 3;
	bool untouched = false, done = false;

	for (int step = 0; step < STEPS_MAX && !done; step += stride) {
		bn_ctx *ctx = new_context();
		size_t left;
		int r;

		run(create);
		attach_three();
		steps_left = step;
		r = verb(ctx);
		done = steps_left >= 0; /* no such step any more */
		steps_left = -1;
		left = stage_count("endpoints");
		if (r == 0) {
			assert_int_equal(left, endpoints_left);
		} else {
			untouched = true;
			assert_int_equal(r, -EIO);
			/* or it says who finishes it */
			if (!strstr(bn_error_message(ctx), "will finish this"))
				assert_int_equal(left, 3);
		}
		bn_ctx_free(ctx);
		assert_int_equal(tidy(NULL), 0);
	}
	assert_true(untouched && done);
}

static void test_detach_of_several(void **state)
{
	(void)state;
	removes_all_or_nothing(detach_slowly, 0);
	removes_all_or_nothing(detach_quickly, 0);
}

static void test_delete_with_endpoints(void **state)
{
	(void)state;
	removes_all_or_nothing(delete_with_endpoints, 0);
	removes_all_or_nothing(detach_all_but_the_network, 0);
}

/* Only when it is empty, and not the built-in ones. */
static void test_delete_empty(void **state)
{
	bn_ctx *ctx = new_context();

	(void)state;
	run(create);
	attach_three();
	assert_int_equal(bn_endpoint_detach(ctx, "front", "one", BN_DETACH_DELETE_EMPTY), 0);
	assert_int_equal(stage_count("endpoints"), 2);
	assert_int_equal(bn_endpoint_detach(ctx, "front", "two", 0), 0);
	assert_int_equal(bn_endpoint_detach(ctx, "front", "three", BN_DETACH_DELETE_EMPTY), 0);
	assert_int_equal(bn_network_get(ctx, "front", 0, &(bn_network *){ NULL }), -ENOENT);
	assert_int_equal(bn_endpoint_detach(ctx, "front", "three",
					    BN_DETACH_DELETE_EMPTY | BN_DETACH_MISSING_OK),
			 0);
	assert_int_equal(bn_endpoint_detach(ctx, "none", "x",
					    BN_DETACH_DELETE_EMPTY | BN_DETACH_MISSING_OK),
			 0);
	bn_ctx_free(ctx);
}

/* Settling fails also when it is tried again: the error says that it will be finished, and the next
 * call of anybody does. */
static int always_fail_to_finish(const char *step)
{
	return strcmp(step, "finish") == 0 ? -EIO : 0;
}

static void test_settling_fails(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();

	(void)state;
	run(create);
	snapshot(before);
	run(attach);
	fault_hook = always_fail_to_finish;
	assert_int_equal(detach(ctx), -EIO);
	assert_non_null(strstr(bn_error_message(ctx), "the next call that changes something in"));
	assert_non_null(strstr(bn_error_message(ctx), "will finish this"));
	fault_hook = fault;
	touch();
	snapshot(after);
	assert_same(before, after);
	fault_hook = always_fail_to_finish;
	assert_int_equal(delete (ctx), -EIO);
	assert_non_null(strstr(bn_error_message(ctx), "will finish this"));
	fault_hook = fault;
	touch();
	assert_int_equal(bn_network_get(ctx, "front", 0, &(bn_network *){ NULL }), -ENOENT);
	bn_ctx_free(ctx);
}

/* ---- the dead ---- */

/* A child of the dead holds all its descriptors, and so its lock. */
static void die_with_a_child(void)
{
	if (!fork()) {
		pause();
		_exit(0);
	}
	die();
}

static void test_child_of_the_dead(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	pid_t pid;
	int status;

	(void)state;
	run(create);
	snapshot(before);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setpgid(0, 0);
		fail_at("attach.flows", 0);
		at_fault = die_with_a_child;
		attach(new_context());
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	touch();
	snapshot(after);
	kill(-pid, SIGKILL);
	assert_same(before, after);
	run(delete);
}

/* Each has a sandbox of its own, which outlives the processes, and an address that nobody else asks
 * for: who needs what another has waits for it. */
static int dead_sandboxes[DEAD];

static int new_sandbox(void)
{
	int host = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), made;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	made = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(host, CLONE_NEWNET), 0);
	assert_true(made >= 0);
	close(host);
	return made;
}

static void attach_dead(bn_ctx *ctx, int n)
{
	bn_endpoint_spec *spec;
	char id[16], address[32];

	snprintf(id, sizeof(id), "dead%d", n);
	snprintf(address, sizeof(address), "172.30.0.%d", 100 + n);
	if (bn_endpoint_spec_new("front", id, &spec) < 0)
		return;
	bn_endpoint_spec_set_sandbox_fd(spec, dead_sandboxes[n]);
	bn_endpoint_spec_add_address(spec, address);
	snprintf(address, sizeof(address), "fd00:30::%d", 100 + n);
	bn_endpoint_spec_add_address(spec, address);
	bn_endpoint_attach(ctx, spec, 0, NULL);
}

static void wait_for_the_end(void)
{
	if (write(ready[1], "", 1) != 1)
		_exit(2);
	pause();
}

/* So many processes at work at once, that die together. */
static void leave_dead(int count)
{
	pid_t pids[DEAD];
	char byte;

	assert_int_equal(pipe(ready), 0);
	for (int i = 0; i < count; i++) {
		dead_sandboxes[i] = new_sandbox();
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i]) {
			fail_at("attach.flows", 0);
			at_fault = wait_for_the_end;
			attach_dead(new_context(), i);
			_exit(1);
		}
		/* one after another, so that their order is known */
		assert_int_equal(read(ready[0], &byte, 1), 1);
	}
	for (int i = 0; i < count; i++) {
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
	close(ready[0]);
	close(ready[1]);
}

static void close_dead_sandboxes(int count)
{
	for (int i = 0; i < count; i++)
		close(dead_sandboxes[i]);
}

/* All of them by one call. */
static void test_many_dead(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];

	(void)state;
	run(create);
	snapshot(before);
	leave_dead(DEAD);
	assert_int_equal(stage_count("operations"), DEAD + 1);
	touch();
	assert_int_equal(stage_count("operations"), 1);
	snapshot(after);
	assert_same(before, after);
	run(delete);
	close_dead_sandboxes(DEAD);
}

static int fail_links_of_first;

static int fail_first_alone(const char *step)
{
	/* all together, then the oldest alone */
	if (strcmp(step, "removal.links") != 0)
		return 0;
	return fail_links_of_first++ < 2 ? -EIO : 0;
}

static void test_one_that_stays(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];

	(void)state;
	run(create);
	snapshot(before);
	leave_dead(3);
	fail_links_of_first = 0;
	fault_hook = fail_first_alone;
	/* a verb of an innocent caller goes well */
	run(attach);
	fault_hook = fault;
	assert_int_equal(stage_count("operations"), 2);
	run(detach);
	snapshot(after);
	assert_same(before, after);
	run(delete);
	close_dead_sandboxes(3);
}

/* Another process has taken the operation for a dead one's, undone it, and given its address and
 * port away: what is left is this call's own. */
static void undo_behind_its_back(void)
{
	shell(stage_sql("DELETE FROM operations WHERE id > 0; DELETE FROM ports; "
			"DELETE FROM endpoints; DELETE FROM addresses"));
}

static void test_operation_gone(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();

	(void)state;
	run(create);
	snapshot(before);
	fail_at("attach.flows", 0);
	at_fault = undo_behind_its_back;
	assert_int_equal(attach(ctx), -EIO);
	assert_int_equal(bn_error_reason(ctx), BN_REASON_STATE);
	assert_string_not_equal(bn_error_message(ctx), "");
	step_name = NULL;
	snapshot(after);
	assert_same(before, after);
	bn_ctx_free(ctx);
	run(delete);
}

static int attach_router(bn_ctx *ctx)
{
	bn_endpoint_spec *spec;
	int r;

	assert_int_equal(bn_endpoint_spec_new("front", "router", &spec), 0);
	bn_endpoint_spec_set_sandbox_pid(spec, stage_sandbox());
	bn_endpoint_spec_set_option(spec, "routes-for", "10.68.0.0/16,10.69.0.0/16");
	r = bn_endpoint_attach(ctx, spec, 0, NULL);
	bn_endpoint_spec_free(spec);
	return r;
}

/* The host's routes to what lies behind it go, too. */
static void test_router_gone(void **state)
{
	bn_ctx *ctx = new_context();

	(void)state;
	run(create);
	fail_at("attach.flows", 0);
	at_fault = undo_behind_its_back;
	assert_int_equal(attach_router(ctx), -EIO);
	step_name = NULL;
	shell("test -z \"$(ip route show 10.68.0.0/15; ip route | grep -E '10.6[89]')\"");
	/* those who have them by now keep theirs */
	assert_int_equal(attach_router(ctx), 0);
	shell("test $(ip route | grep -cE '^10.6[89]') = 2");
	assert_int_equal(bn_endpoint_detach(ctx, "front", "router", 0), 0);
	bn_ctx_free(ctx);
	run(delete);
}

/* ---- one that is there already ---- */

static void test_existing(void **state)
{
	bn_network_spec *spec;
	bn_network *network = NULL;
	bn_ctx *ctx = new_context();

	(void)state;
	run(create);
	assert_int_equal(bn_network_spec_new("front", &spec), 0);
	assert_int_equal(bn_network_create(ctx, spec, BN_CREATE_EXISTING_OK, &network), 0);
	assert_string_equal(bn_network_bridge(network), "front0");
	bn_network_free(network);
	bn_network_spec_add_subnet(spec, "172.30.0.0/24");
	bn_network_spec_set_bridge(spec, "front0");
	assert_int_equal(bn_network_create(ctx, spec, BN_CREATE_EXISTING_OK, NULL), 0);
	assert_int_equal(bn_network_create(ctx, spec, 0, NULL), -EEXIST);
	assert_int_equal(bn_error_reason(ctx), BN_REASON_NETWORK_EXISTS);
	bn_network_spec_set_mtu(spec, 1400);
	assert_int_equal(bn_network_create(ctx, spec, BN_CREATE_EXISTING_OK, NULL), -EEXIST);
	assert_non_null(strstr(bn_error_message(ctx), "its MTU is 1500, not 1400"));
	bn_network_spec_free(spec);
	assert_int_equal(bn_network_spec_new("front", &spec), 0);
	bn_network_spec_set_option(spec, "label.note", "x");
	assert_int_equal(bn_network_create(ctx, spec, BN_CREATE_EXISTING_OK, NULL), -EEXIST);
	assert_non_null(strstr(bn_error_message(ctx), "label.note"));
	bn_network_spec_free(spec);
	bn_ctx_free(ctx);
	run(delete);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host_settings, set_up_host, clear_host),
		cmocka_unit_test_setup_teardown(test_adopted_bridge, set_up_host, clear_host),
		cmocka_unit_test_setup_teardown(test_deleting_gives_back, set_up_host, clear_host),
		cmocka_unit_test_setup_teardown(test_settings_changed_meanwhile, set_up_host,
						clear_host),
		cmocka_unit_test_setup_teardown(test_two_fail, set_up_host, clear_host),
		cmocka_unit_test_setup_teardown(test_default_network, set_up_host, clear_host),
		cmocka_unit_test_teardown(test_detach_of_several, calm),
		cmocka_unit_test_teardown(test_delete_with_endpoints, calm),
		cmocka_unit_test_teardown(test_delete_empty, calm),
		cmocka_unit_test_teardown(test_settling_fails, calm),
		cmocka_unit_test_teardown(test_child_of_the_dead, calm),
		cmocka_unit_test_teardown(test_many_dead, calm),
		cmocka_unit_test_teardown(test_one_that_stays, calm),
		cmocka_unit_test_teardown(test_operation_gone, calm),
		cmocka_unit_test_teardown(test_router_gone, calm),
		cmocka_unit_test_teardown(test_existing, calm),
	};

	fault_hook = fault;
	return RUN_WITH_BACKENDS(tests);
}
