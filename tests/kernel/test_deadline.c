/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A call ends within its time, or when it is cancelled, whatever it is at. */
#include "verb_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define LIMIT_MS 200
#define SOON_MS 30
#define SLACK_MS 5000 /* the manual has 100; the rest is that of a machine that does other things */
#define LONGER_MS 2000
#define UNDO_MS 2000 /* as well */
#define XTABLES_LOCK "/run/xtables.lock"

static const verb_fn verbs[] = { create, attach, publish, unpublish, detach, delete };
static const char *const names[] = {
	"create", "attach", "publish", "unpublish", "detach", "delete"
};

/* ---- somebody else, who has a lock ---- */

struct holder {
	pid_t pid;
};

/* The child that takes it returns, the parent goes on once it has been told. */
static bool holder_forked(struct holder *holder, int *ret_ready)
{
	int pipe_fds[2];
	char byte;

	assert_int_equal(pipe(pipe_fds), 0);
	holder->pid = fork();
	assert_true(holder->pid >= 0);
	if (holder->pid == 0) {
		*ret_ready = pipe_fds[1];
		return true;
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	close(pipe_fds[0]);
	return false;
}

static void holder_serve(int ready, bool has)
{
	if (!has || write(ready, "", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

static void hold_state(struct holder *holder)
{
	char path[128];
	sqlite3 *database;
	int ready;

	if (!holder_forked(holder, &ready))
		return;
	snprintf(path, sizeof(path), "%s/state.db", state_dir);
	holder_serve(ready, sqlite3_open(path, &database) == SQLITE_OK &&
				    sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL) ==
					    SQLITE_OK);
}

static void hold_xtables(struct holder *holder)
{
	int ready, fd;

	if (!holder_forked(holder, &ready))
		return;
	fd = open(XTABLES_LOCK, O_RDONLY | O_CREAT, 0600);
	holder_serve(ready, fd >= 0 && flock(fd, LOCK_EX) == 0);
}

static void let_go(struct holder *holder)
{
	kill(holder->pid, SIGKILL);
	waitpid(holder->pid, NULL, 0);
}

/* ---- a call that ends early ---- */

static bn_ctx *ready_context(uint32_t limit_ms)
{
	bn_ctx *ctx = new_context();
	bn_network *network = NULL;

	assert_int_equal(bn_ctx_set_timeout_ms(ctx, limit_ms), 0);
	/* what it opens takes its time only once */
	assert_int_equal(bn_network_get(ctx, "host", 0, &network), 0);
	bn_network_free(network);
	return ctx;
}

static void assert_ended(bn_ctx *ctx, const char *what, int r, int expected, uint64_t begun,
			 uint64_t least_ms)
{
	uint64_t took = clock_now_ms() - begun;

	if (r != expected || took < least_ms || took > least_ms + SLACK_MS)
		fail_msg("%s: %d after %u ms: %s", what, r, (unsigned int)took,
			 bn_error_message(ctx));
	assert_int_equal(bn_error_reason(ctx),
			 expected == -ECANCELED ? BN_REASON_CANCELLED : BN_REASON_TIMEOUT);
}

static void test_state_is_locked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		bn_ctx *ctx = ready_context(LIMIT_MS);
		struct holder holder;
		uint64_t begun;
		int r;

		hold_state(&holder);
		begun = clock_now_ms();
		r = verbs[i](ctx);
		assert_ended(ctx, names[i], r, -ETIMEDOUT, begun, LIMIT_MS);
		/* what it waited for, the limit, and what comes after it */
		assert_non_null(strstr(bn_error_message(ctx), state_dir));
		assert_non_null(strstr(bn_error_message(ctx), "200 ms"));
		assert_non_null(strstr(bn_error_message(ctx), "2 s"));
		let_go(&holder);
		bn_ctx_free(ctx);
		run(verbs[i]);
	}
}

static void test_xtables_are_locked(void **state)
{
	struct holder holder;
	uint64_t begun;
	bn_rule_list *list;
	bn_ctx *ctx;
	int r;

	(void)state;
	if (strcmp(backend, "iptables-legacy") != 0)
		return; /* it has no such lock */
	run(create);
	ctx = ready_context(LIMIT_MS);
	hold_xtables(&holder);
	begun = clock_now_ms();
	r = bn_rules_list(ctx, NULL, 0, &list);
	assert_ended(ctx, "list", r, -ETIMEDOUT, begun, LIMIT_MS);
	assert_non_null(strstr(bn_error_message(ctx), XTABLES_LOCK));
	assert_null(strstr(bn_error_message(ctx), "2 s"));
	let_go(&holder);
	bn_ctx_free(ctx);
}

/* Undoing needs the lock as well, and is left to the next call. */
static void test_nothing_stays_that_xtables_kept_from_being_undone(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];

	(void)state;
	if (strcmp(backend, "iptables-legacy") != 0)
		return; /* it has no such lock */
	for (size_t i = 0; i < 3; i++) {
		bn_ctx *ctx = ready_context(LIMIT_MS);
		struct holder holder;
		uint64_t begun;
		int r;

		snapshot(before);
		hold_xtables(&holder);
		begun = clock_now_ms();
		r = verbs[i](ctx);
		assert_int_equal(r, -ETIMEDOUT);
		assert_in_range(clock_now_ms() - begun, LIMIT_MS, LIMIT_MS + UNDO_MS + SLACK_MS);
		assert_non_null(strstr(bn_error_message(ctx), "limit was 200 ms"));
		let_go(&holder);
		bn_ctx_free(ctx);
		touch();
		snapshot(after);
		assert_same(before, after);
		run(verbs[i]);
	}
}

/* ---- cancelling ---- */

static void *cancel_soon(void *data)
{
	usleep(SOON_MS * 1000);
	bn_ctx_cancel(data);
	return NULL;
}

static void test_cancelled_while_waiting(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		bn_ctx *ctx = ready_context(0);
		struct holder holder;
		pthread_t thread;
		uint64_t begun;
		int r;

		hold_state(&holder);
		begun = clock_now_ms();
		assert_int_equal(pthread_create(&thread, NULL, cancel_soon, ctx), 0);
		r = verbs[i](ctx);
		assert_ended(ctx, names[i], r, -ECANCELED, begun, SOON_MS - 1);
		pthread_join(thread, NULL);
		let_go(&holder);
		/* that was for one call */
		r = verbs[i](ctx);
		if (r < 0)
			fail_msg("%s: %s", names[i], bn_error_message(ctx));
		bn_ctx_free(ctx);
	}
}

static void test_cancelled_at_the_xtables_lock(void **state)
{
	struct holder holder;
	pthread_t thread;
	bn_rule_list *list;
	uint64_t begun;
	bn_ctx *ctx;
	int r;

	(void)state;
	if (strcmp(backend, "iptables-legacy") != 0)
		return; /* it has no such lock */
	run(create);
	ctx = ready_context(0);
	hold_xtables(&holder);
	begun = clock_now_ms();
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, ctx), 0);
	r = bn_rules_list(ctx, NULL, 0, &list);
	assert_ended(ctx, "list", r, -ECANCELED, begun, SOON_MS - 1);
	pthread_join(thread, NULL);
	let_go(&holder);
	bn_ctx_free(ctx);
}

static void test_cancelled_before(void **state)
{
	bn_ctx *ctx = ready_context(0), *other = ready_context(0);
	bn_network_list *list = NULL;

	(void)state;
	bn_ctx_cancel(NULL);
	bn_ctx_cancel(ctx);
	bn_ctx_cancel(ctx);
	/* no verb, so it takes nothing */
	assert_int_equal(bn_ctx_set_timeout_ms(ctx, 1), -EBUSY);
	assert_int_equal(bn_networks_list(other, 0, &list), 0);
	bn_network_list_free(list);
	assert_int_equal(bn_networks_list(ctx, 0, &list), -ECANCELED);
	assert_int_equal(bn_error_errno(ctx), ECANCELED);
	assert_int_equal(bn_networks_list(ctx, 0, &list), 0);
	bn_network_list_free(list);
	bn_ctx_free(other);
	bn_ctx_free(ctx);
	/* of a context that has nothing open yet */
	ctx = new_context();
	bn_ctx_cancel(ctx);
	assert_int_equal(create(ctx), -ECANCELED);
	assert_int_equal(create(ctx), 0);
	bn_ctx_free(ctx);
}

static bn_ctx *signalled;

static void on_alarm(int number)
{
	(void)number;
	bn_ctx_cancel(signalled);
}

static void test_cancelled_by_a_signal(void **state)
{
	const struct itimerval soon = { .it_value.tv_usec = SOON_MS * 1000 };
	const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct sigaction before;
	struct holder holder;
	uint64_t begun;
	int r;

	(void)state;
	signalled = ready_context(0);
	hold_state(&holder);
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	begun = clock_now_ms();
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	r = create(signalled);
	assert_ended(signalled, "create", r, -ECANCELED, begun, SOON_MS - 1);
	sigaction(SIGALRM, &before, NULL);
	let_go(&holder);
	bn_ctx_free(signalled);
}

/* ---- two at once ---- */

struct caller {
	bn_ctx *ctx;
	int result;
	bool begins;
};

static void *call_create(void *data)
{
	struct caller *caller = data;

	__atomic_store_n(&caller->begins, true, __ATOMIC_SEQ_CST);
	caller->result = create(caller->ctx);
	return NULL;
}

/* It has begun, and has not ended, when the others are refused. */
static void test_two_threads_in_one_context(void **state)
{
	struct caller caller = { .ctx = ready_context(LONGER_MS) };
	bn_network_list *list = NULL;
	struct holder holder;
	pthread_t thread;

	(void)state;
	hold_state(&holder);
	assert_int_equal(pthread_create(&thread, NULL, call_create, &caller), 0);
	while (!__atomic_load_n(&caller.begins, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(LIMIT_MS * 1000);
	assert_int_equal(bn_networks_list(caller.ctx, 0, &list), -EBUSY);
	assert_int_equal(bn_error_reason(caller.ctx), BN_REASON_BUSY);
	assert_int_equal(bn_error_errno(caller.ctx), EBUSY);
	assert_non_null(strstr(bn_error_message(caller.ctx), "another call"));
	assert_string_equal(bn_error_kernel_message(caller.ctx), "");
	/* nothing of it may reach the context */
	assert_int_equal(bn_networks_list(caller.ctx, 0x80, &list), -EBUSY);
	assert_int_equal(bn_networks_list(caller.ctx, 0, NULL), -EBUSY);
	assert_int_equal(bn_ctx_set_timeout_ms(caller.ctx, 1), -EBUSY);
	assert_int_equal(bn_ctx_set_log(caller.ctx, NULL, NULL), -EBUSY);
	assert_int_equal(bn_backend_switch(caller.ctx, "auto", 0), -EBUSY);
	assert_int_equal(bn_port_publish(caller.ctx, "front", "web", NULL, 0, NULL), -EBUSY);
	pthread_join(thread, NULL);
	let_go(&holder);
	assert_int_equal(caller.result, -ETIMEDOUT);
	assert_int_equal(bn_error_errno(caller.ctx), ETIMEDOUT);
	assert_non_null(strstr(bn_error_message(caller.ctx), "locked by another process"));
	bn_ctx_free(caller.ctx);
}

static bn_ctx *logging;
static int from_the_log;

static void call_back(void *data, int level, const char *message)
{
	bn_network_list *list;

	(void)data;
	(void)level;
	(void)message;
	from_the_log = bn_networks_list(logging, 0, &list);
}

static void test_a_call_from_the_log(void **state)
{
	(void)state;
	from_the_log = 0;
	logging = ready_context(0);
	assert_int_equal(bn_ctx_set_log(logging, call_back, NULL), 0);
	assert_int_equal(create(logging), 0);
	assert_int_equal(from_the_log, -EBUSY);
	bn_ctx_free(logging);
}

/* ---- what takes long by itself ---- */

static void test_long_work(void **state)
{
	bn_network_spec *spec;
	bn_port_spec *port;
	uint64_t begun;
	bn_ctx *ctx;
	int r;

	(void)state;
	/* 30,000 routes, which a pick has to read */
	assert_int_equal(
		system("for i in 1 2 3; do for j in $(seq 100); do for k in $(seq 100); do "
		       "echo route add blackhole 100.$i.$j.$k; done; done; done | ip -b -"),
		0);
	run(create);
	run(attach);
	ctx = ready_context(1);
	assert_int_equal(bn_network_spec_new("picked", &spec), 0);
	begun = clock_now_ms();
	r = bn_network_create(ctx, spec, 0, NULL);
	assert_ended(ctx, "routes", r, -ETIMEDOUT, begun, 0);
	bn_network_spec_free(spec);
	/* 56,000 ports, which are tried, planned and encoded each, or nearly so */
	assert_int_equal(bn_port_spec_new("127.0.0.1:9000-64999:9000-64999", &port), 0);
	begun = clock_now_ms();
	r = bn_port_publish(ctx, "front", "web", port, 0, NULL);
	if (r < 0)
		assert_ended(ctx, "ports", r, -ETIMEDOUT, begun, 0);
	else
		assert_true(clock_now_ms() - begun <= SLACK_MS);
	bn_port_spec_free(port);
	bn_ctx_free(ctx);
	assert_int_equal(system("ip route flush type blackhole"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_state_is_locked, tidy),
		cmocka_unit_test_teardown(test_xtables_are_locked, tidy),
		cmocka_unit_test_teardown(test_nothing_stays_that_xtables_kept_from_being_undone,
					  tidy),
		cmocka_unit_test_teardown(test_cancelled_while_waiting, tidy),
		cmocka_unit_test_teardown(test_cancelled_at_the_xtables_lock, tidy),
		cmocka_unit_test_teardown(test_cancelled_before, tidy),
		cmocka_unit_test_teardown(test_cancelled_by_a_signal, tidy),
		cmocka_unit_test_teardown(test_two_threads_in_one_context, tidy),
		cmocka_unit_test_teardown(test_a_call_from_the_log, tidy),
		cmocka_unit_test_teardown(test_long_work, tidy),
	};

	return RUN_WITH_BACKENDS(tests);
}
