/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A context in a forked child: refused, and what it closes is no loss for the parent. */
#include "verb_stage.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/process.h"

#define MUST(condition)                         \
	do {                                    \
		if (!(condition))               \
			_exit(__LINE__ & 0x7f); \
	} while (0)

/* The line that a child left at, 0 for none. */
static int child_result(pid_t pid)
{
	int status;

	assert_true(pid >= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int refuse_wiping(const char *step)
{
	return strcmp(step, "fork.wipe") == 0 ? -EINVAL : 0;
}

/* ---- the guard ---- */

static void check_guard(bool wipes)
{
	struct fork_guard guard;
	pid_t pid;

	assert_int_equal(fork_guard_open(&guard), 0);
	assert_int_equal(guard.page != NULL, wipes);
	assert_int_equal(guard.started != 0, !wipes);
	assert_false(fork_guard_is_child(&guard));
	pid = fork();
	if (pid == 0) {
		MUST(fork_guard_is_child(&guard));
		pid = fork();
		if (pid == 0)
			_exit(!fork_guard_is_child(&guard));
		_exit(child_result(pid));
	}
	assert_int_equal(child_result(pid), 0);
	assert_false(fork_guard_is_child(&guard));
	fork_guard_close(&guard);
}

static void test_guard(void **state)
{
	(void)state;
	check_guard(true);
	fault_hook = refuse_wiping;
	check_guard(false);
	fault_hook = NULL;
}

/* Both are the first process of a pid namespace: they have one pid. */
static void test_guard_with_the_same_pid(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct fork_guard guard;

		MUST(unshare(CLONE_NEWPID) == 0);
		pid = fork();
		if (pid == 0) {
			fault_hook = refuse_wiping;
			MUST(getpid() == 1 && fork_guard_open(&guard) == 0);
			MUST(!guard.page && !fork_guard_is_child(&guard));
			usleep(20000); /* two ticks: only the start time tells */
			MUST(unshare(CLONE_NEWPID) == 0);
			pid = fork();
			if (pid == 0)
				_exit(!(getpid() == 1 && fork_guard_is_child(&guard)));
			MUST(waitpid(pid, &status, 0) == pid);
			_exit(WEXITSTATUS(status));
		}
		MUST(waitpid(pid, &status, 0) == pid);
		_exit(WEXITSTATUS(status));
	}
	assert_int_equal(child_result(pid), 0);
}

/* ---- the context ---- */

/* Descriptors that are not of the state's files. */
static size_t other_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[512];
	size_t count = 0;

	while ((entry = readdir(directory))) {
		ssize_t len =
			readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		count += !strstr(target, "/state.db");
	}
	closedir(directory);
	return count;
}

static void use_in_child(bn_ctx *ctx, size_t before)
{
	bn_network_list *list;

	MUST(bn_networks_list(ctx, 0, &list) == -ECHILD);
	MUST(bn_error_errno(ctx) == ECHILD);
	MUST(bn_network_delete(ctx, "front", 0) == -ECHILD);
	MUST(bn_ctx_set_timeout_ms(ctx, 1) == -ECHILD);
	bn_ctx_cancel(ctx); /* not the parent's call */
	bn_ctx_free(ctx);
	MUST(other_descriptors() == before);
	_exit(0);
}

static void check_context(void)
{
	size_t before = other_descriptors();
	bn_ctx *ctx = new_context();
	bn_network_list *list;
	pid_t pid;

	assert_int_equal(create(ctx), 0);
	pid = fork();
	if (pid == 0)
		use_in_child(ctx, before);
	assert_int_equal(child_result(pid), 0);
	assert_int_equal(bn_networks_list(ctx, 0, &list), 0);
	bn_network_list_free(list);
	assert_int_equal(attach(ctx), 0);
	assert_int_equal(detach(ctx), 0);
	assert_int_equal(delete (ctx), 0);
	bn_ctx_free(ctx);
	assert_int_equal(other_descriptors(), before);
}

static void test_context(void **state)
{
	(void)state;
	check_context();
}

static void test_context_where_nothing_is_wiped(void **state)
{
	(void)state;
	fault_hook = refuse_wiping;
	check_context();
	fault_hook = NULL;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_guard_with_the_same_pid),
		cmocka_unit_test_teardown(test_context, tidy),
		cmocka_unit_test_teardown(test_context_where_nothing_is_wiped, tidy),
	};

	return RUN_WITH_BACKENDS(tests);
}
