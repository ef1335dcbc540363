/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * With each backend, every step of create, attach, publish and their reverses fails once, and dies
 * once (SIGKILL): what the kernel and the state show afterwards is what they showed before.
 */
#include "verb_stage.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"

#define STEPS_MAX 64

/* ---- faults ---- */

static int steps_left; /* before the fault; negative: never */
static bool die;
static bool dawdle; /* until the call's time is up, rather than fail */

#define TIMEOUT_MS 20
#define LONGER_MS 1000

static int fault_at_step(const char *step)
{
	if (step_is_tolerated(step))
		return 0;
	if (steps_left < 0 || steps_left-- > 0)
		return 0;
	if (die)
		kill(getpid(), SIGKILL);
	if (dawdle)
		usleep((TIMEOUT_MS + 5) * 1000);
	return dawdle ? 0 : -EIO;
}

/* ---- the cases ---- */

/* Fail the verb at its first step, its second, and so on, until it gets through. */
static void fail_every_step(verb_fn verb)
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
static void die_at_every_step(verb_fn verb, verb_fn reverse)
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

static void test_create_fails(void **state)
{
	(void)state;
	fail_every_step(create);
	run(delete);
}

static void test_create_dies(void **state)
{
	(void)state;
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
static void fail_to_remove(verb_fn make, verb_fn remove)
{
	static char before[SNAPSHOT_MAX], gone[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();
	int step, r;

	run(create);
	snapshot(gone);
	run(make);
	snapshot(before);
	for (step = 0; step < STEPS_MAX; step++) {
		steps_left = step;
		r = remove(ctx);
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

static void test_detach_fails(void **state)
{
	(void)state;
	fail_to_remove(attach, detach);
}

static void test_collect_fails(void **state)
{
	(void)state;
	fail_to_remove(attach_lost, collect);
}

static void test_collect_dies(void **state)
{
	(void)state;
	run(create);
	run(attach_lost);
	die_at_every_step(collect, attach_lost);
	run(collect);
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

/* ---- what a dead process left can't be undone either ---- */

static const char *last_step; /* of the process that dies */

static int die_at_last_step(const char *step)
{
	if (strcmp(step, last_step) == 0)
		kill(getpid(), SIGKILL);
	return 0;
}

static int fail_to_finish(const char *step)
{
	return strcmp(step, "finish") == 0 ? -EIO : 0;
}

static void die_at(const char *step, verb_fn verb)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		last_step = step;
		fault_hook = die_at_last_step;
		verb(new_context());
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

/* The next call gets on with its own work, and the one after that finds it still to be done. */
static void test_dead_create_stays(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];

	(void)state;
	run(create);
	run(delete);
	snapshot(before);
	die_at("network.bridge", create);
	fault_hook = fail_to_finish;
	touch();
	fault_hook = fault_at_step;
	touch();
	snapshot(after);
	assert_same(before, after);
}

static int move_away(bn_ctx *ctx)
{
	bool first = strcmp(backend, firewall_backends[0]->name) == 0;

	return bn_backend_switch(ctx, firewall_backends[first]->name, 0);
}

/* A move that is half done must not be forgotten: what goes by it waits, what does not goes on. */
static void test_dead_move_stays(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx;

	(void)state;
	if (!firewall_backends[1])
		skip();
	run(create);
	snapshot(before);
	die_at("switch.commit", move_away);
	fault_hook = fail_to_finish;
	touch();
	ctx = new_context();
	/* so long that it comes to see what it waits for */
	assert_int_equal(bn_ctx_set_timeout_ms(ctx, LONGER_MS), 0);
	assert_int_equal(delete (ctx), -EBUSY);
	assert_int_equal(bn_error_reason(ctx), BN_REASON_BUSY);
	bn_ctx_free(ctx);
	run(attach);
	fault_hook = fault_at_step;
	touch();
	run(detach);
	snapshot(after);
	assert_same(before, after);
	run(delete);
}

static int calm(void **state)
{
	fault_hook = fault_at_step;
	steps_left = -1;
	dawdle = false;
	return tidy(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_create_fails, calm),
		cmocka_unit_test_teardown(test_create_dies, calm),
		cmocka_unit_test_teardown(test_delete_dies, calm),
		cmocka_unit_test_teardown(test_attach_fails, calm),
		cmocka_unit_test_teardown(test_attach_times_out, calm),
		cmocka_unit_test_teardown(test_attach_dies, calm),
		cmocka_unit_test_teardown(test_detach_fails, calm),
		cmocka_unit_test_teardown(test_detach_dies, calm),
		cmocka_unit_test_teardown(test_collect_fails, calm),
		cmocka_unit_test_teardown(test_collect_dies, calm),
		cmocka_unit_test_teardown(test_publish_fails, calm),
		cmocka_unit_test_teardown(test_publish_dies, calm),
		cmocka_unit_test_teardown(test_unpublish_dies, calm),
		cmocka_unit_test_teardown(test_dead_create_stays, calm),
		cmocka_unit_test_teardown(test_dead_move_stays, calm),
	};

	steps_left = -1;
	fault_hook = fault_at_step;
	return RUN_WITH_BACKENDS(tests);
}
