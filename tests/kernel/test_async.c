/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BN_DETACH_ASYNC: when the call returns nothing shows the endpoint any more, and all of it can be
 * given again; a thread waits for the kernel, and nothing is lost with it.
 */
#include "verb_stage.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "link/rtnl.h"

#define ROUNDS 10
#define IN_A_ROW 100
#define THREADS_MAX 16 /* of a context at once */

static size_t threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	size_t count = 0;

	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static int detach_async(bn_ctx *ctx)
{
	return bn_endpoint_detach(ctx, "front", "web", BN_DETACH_ASYNC);
}

static void must(bn_ctx *ctx, int r)
{
	if (r < 0)
		fail_msg("%s", bn_error_message(ctx));
}

/* What is seen is seen at once: to look takes longer than the kernel does. */
static bool has_link(void)
{
	int r = system("ip -br link show type veth | grep -q ^bv");

	assert_int_equal(r & 0xff, 0);
	return r == 0;
}

static void test_out_of_sight(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();

	(void)state;
	must(ctx, create(ctx));
	snapshot(before);
	must(ctx, attach(ctx));
	must(ctx, detach_async(ctx));
	snapshot(after);
	assert_same(before, after);
	bn_ctx_free(ctx);
}

static size_t threads_then;

/* What comes next once the link is out of sight. */
static int count_threads(const char *step)
{
	if (strcmp(step, "removal.flows") == 0)
		threads_then = threads();
	return 0;
}

/* Id, addresses, ports, and the names of both ends, with no time in between. */
static void test_again_at_once(void **state)
{
	size_t alone = threads(), ran_on = 0;
	bn_ctx *ctx = new_context(), *other = new_context();

	(void)state;
	must(ctx, create(ctx));
	/* on a busy machine the kernel may be done before the call looks */
	for (int i = 0; i < ROUNDS || (ran_on == 0 && i < IN_A_ROW); i++) {
		must(ctx, attach(ctx));
		fault_hook = count_threads;
		must(ctx, detach_async(ctx));
		fault_hook = NULL;
		ran_on += threads_then > alone;
		must(other, attach(other));
		must(other, detach_async(other));
	}
	assert_true(ran_on > 0);
	must(ctx, delete (ctx));
	bn_ctx_free(other);
	bn_ctx_free(ctx);
	assert_int_equal(threads(), alone);
	assert_false(has_link());
}

static void test_killed_after_it(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	int status;
	pid_t pid;

	(void)state;
	run(create);
	snapshot(before);
	for (int i = 0; i < ROUNDS; i++) {
		run(attach);
		pid = fork();
		if (pid == 0) {
			bn_ctx *ctx = new_context();

			if (detach_async(ctx) < 0)
				_exit(1);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		snapshot(after);
		assert_same(before, after);
	}
}

/* The child has none of the threads, and must not wait for them. */
static void test_child(void **state)
{
	size_t alone = threads();
	bn_ctx *ctx = new_context();
	int status;
	pid_t pid;

	(void)state;
	must(ctx, create(ctx));
	must(ctx, attach(ctx));
	must(ctx, detach_async(ctx));
	pid = fork();
	if (pid == 0) {
		alarm(60);
		if (detach_async(ctx) != -ECHILD)
			_exit(1);
		bn_ctx_free(ctx);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	must(ctx, attach(ctx));
	must(ctx, detach(ctx));
	assert_int_equal(threads(), alone);
	bn_ctx_free(ctx);
}

static void test_many_in_a_row(void **state)
{
	size_t alone = threads(), most = 0;
	bn_ctx *ctx = new_context();

	(void)state;
	must(ctx, create(ctx));
	for (int i = 0; i < IN_A_ROW; i++) {
		size_t now;

		must(ctx, attach(ctx));
		must(ctx, detach_async(ctx));
		now = threads() - alone;
		most = now > most ? now : most;
	}
	assert_in_range(most, 1, THREADS_MAX);
	assert_false(has_link());
	bn_ctx_free(ctx);
	assert_int_equal(threads(), alone);
}

static void test_cancelled(void **state)
{
	bn_ctx *ctx = new_context();

	(void)state;
	must(ctx, create(ctx));
	must(ctx, attach(ctx));
	bn_ctx_cancel(ctx);
	assert_int_equal(detach_async(ctx), -ECANCELED);
	assert_int_equal(stage_count("endpoints"), 1);
	assert_true(has_link());
	must(ctx, detach_async(ctx));
	bn_ctx_cancel(ctx); /* too late for it, and not for the next */
	bn_ctx_free(ctx);
	assert_int_equal(stage_count("endpoints"), 0);
	assert_false(has_link());
}

static void test_with_its_network(void **state)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();

	(void)state;
	touch();
	snapshot(before);
	must(ctx, create(ctx));
	must(ctx, attach(ctx));
	must(ctx,
	     bn_endpoint_detach(ctx, "front", "web", BN_DETACH_ASYNC | BN_DETACH_DELETE_EMPTY));
	snapshot(after);
	assert_same(before, after);
	must(ctx, create(ctx));
	bn_ctx_free(ctx);
}

/* Who asks for it gets the number of a link as soon as that is out of sight. */
static void *take_index(void *argument)
{
	const uint32_t *index = argument;
	struct link_handle *own;
	int r = -EBUSY;

	assert_int_equal(link_open(NULL, &own, NULL), 0);
	while (r == -EBUSY || r == -EEXIST) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };
		struct nlattr *info;

		rtnl_add_link(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, *index);
		rtnl_put_string(&batch, IFLA_IFNAME, "stranger");
		info = rtnl_nest(&batch, IFLA_LINKINFO);
		rtnl_put_string(&batch, IFLA_INFO_KIND, "bridge");
		rtnl_nest_end(&batch, info);
		r = rtnl_run(own, &batch);
	}
	link_close(own);
	assert_int_equal(r, 0);
	return NULL;
}

static uint32_t index_of_host_end(void)
{
	struct if_nameindex *links = if_nameindex();
	uint32_t index = 0;

	assert_non_null(links);
	for (const struct if_nameindex *link = links; link->if_index; link++)
		if (strncmp(link->if_name, "bv", 2) == 0)
			index = link->if_index;
	if_freenameindex(links);
	return index;
}

static void test_number_given_again(void **state)
{
	bn_ctx *ctx = new_context();
	pthread_t stranger;

	(void)state;
	must(ctx, create(ctx));
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t index;

		must(ctx, attach(ctx));
		index = index_of_host_end();
		assert_int_not_equal(index, 0);
		assert_int_equal(pthread_create(&stranger, NULL, take_index, &index), 0);
		must(ctx, i % 2 ? detach(ctx) : detach_async(ctx));
		assert_int_equal(pthread_join(stranger, NULL), 0);
		assert_int_equal(if_nametoindex("stranger"), index);
		assert_int_equal(system("ip link del stranger"), 0);
	}
	bn_ctx_free(ctx);
}

static int refuse_threads(const char *step)
{
	return strcmp(step, "link.delete.thread") == 0 ? -EAGAIN : 0;
}

/* Then it is waited for. */
static void test_no_room_for_a_thread(void **state)
{
	size_t alone = threads();
	bn_ctx *ctx = new_context();

	(void)state;
	must(ctx, create(ctx));
	must(ctx, attach(ctx));
	fault_hook = refuse_threads;
	must(ctx, detach_async(ctx));
	fault_hook = NULL;
	assert_int_equal(threads(), alone);
	assert_false(has_link());
	bn_ctx_free(ctx);
}

static void test_not_with_quick(void **state)
{
	bn_ctx *ctx = new_context();

	(void)state;
	must(ctx, create(ctx));
	must(ctx, attach(ctx));
	assert_int_equal(bn_endpoint_detach(ctx, "front", "web", BN_DETACH_ASYNC | BN_DETACH_QUICK),
			 -EINVAL);
	assert_int_equal(bn_endpoint_detach(ctx, "front", "web", BN_DETACH_ASYNC | 0x80000000u),
			 -EINVAL);
	assert_int_equal(stage_count("endpoints"), 1);
	bn_ctx_free(ctx);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_out_of_sight, tidy),
		cmocka_unit_test_teardown(test_again_at_once, tidy),
		cmocka_unit_test_teardown(test_killed_after_it, tidy),
		cmocka_unit_test_teardown(test_child, tidy),
		cmocka_unit_test_teardown(test_many_in_a_row, tidy),
		cmocka_unit_test_teardown(test_cancelled, tidy),
		cmocka_unit_test_teardown(test_with_its_network, tidy),
		cmocka_unit_test_teardown(test_number_given_again, tidy),
		cmocka_unit_test_teardown(test_no_room_for_a_thread, tidy),
		cmocka_unit_test_teardown(test_not_with_quick, tidy),
	};

	return RUN_WITH_BACKENDS(tests);
}
