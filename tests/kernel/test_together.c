/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that begin at the same moment, over and over, and what each of them is told. */
#include "../case.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firewall/firewall.h"

#define MANY 8
#define ROUNDS 12
#define HANGS_S 60

/* The answers of those that ran at once. */
static struct answer (*answers)[ACTS_MAX];

static void run_one(const struct verb *verb, size_t i, int start, void (*prepare)(size_t i))
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prepare)
		prepare(i);
	/* ends when all have been forked, for each of them at once */
	if (read(start, &byte, 1) < 0)
		_exit(1);
	verb_run(verb, 20000, false, 0, answers[i]);
	_exit(0);
}

static bool run_at_once(const char *const *names, size_t len, void (*prepare)(size_t i))
{
	pid_t pids[MANY];
	bool well = true;
	int start[2];

	memset(answers, 0, sizeof(*answers) * MANY);
	if (pipe2(start, O_CLOEXEC) < 0)
		abort();
	for (size_t i = 0; i < len; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			abort();
		if (!pids[i]) {
			close(start[1]);
			run_one(verb_find(names[i]), i, start[0], prepare);
		}
	}
	close(start[0]);
	close(start[1]);
	for (size_t i = 0; i < len; i++)
		well = wait_for(pids[i], HANGS_S) == 0 && well;
	return well;
}

static bool fault(const char *what, size_t len)
{
	for (size_t i = 0; i < len; i++)
		tell("    %d (%s) %s", answers[i][0].r, bn_reason_name(answers[i][0].reason),
		     answers[i][0].message);
	tell("# FAULT %s: %s", setting.backend, what);
	return false;
}

static size_t count_answers(size_t len, int r, int reason)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += answers[i][0].r == r && answers[i][0].reason == reason;
	return count;
}

static bool clear_world(void)
{
	char what[4096];

	return world_clear(what, sizeof(what)) == 0 || fault(what, 0);
}

static void set_setting(size_t i)
{
	setting.backend = firewall_backends[i % 2 && firewall_backends[1] ? 1 : 0]->name;
	setting.family = i / 2 % FAMILIES;
}

/* ---- one name, one winner ---- */

static bool make_one_network(size_t i)
{
	static const char *const names[MANY] = { "create", "create", "create", "create",
						 "create", "create", "create", "create" };

	set_setting(i);
	if (!run_at_once(names, MANY, NULL))
		return fault("a process crashes or hangs", MANY);
	if (count_answers(MANY, 0, 0) != 1 ||
	    count_answers(MANY, -EEXIST, BN_REASON_NETWORK_EXISTS) != MANY - 1)
		return fault("one makes the network, and to the others it exists", MANY);
	return clear_world();
}

static bool delete_one_network(size_t i)
{
	static const char *const names[] = { "delete-missing-ok", "delete-missing-ok" };

	set_setting(i);
	if (world_build(WORLD_BARE) < 0)
		return false;
	if (!run_at_once(names, 2, NULL) || count_answers(2, 0, 0) != 2)
		return fault("both delete it, and that it is gone is no error", 2);
	return clear_world();
}

static bool last_and_first(size_t i)
{
	static const char *const names[] = { "delete", "create-back", "list-rules" };

	set_setting(i);
	if (world_build(WORLD_BARE) < 0)
		return false;
	if (!run_at_once(names, 3, NULL) || count_answers(3, 0, 0) != 3)
		return fault("the last network goes while another is made", 3);
	return clear_world();
}

static bool detach_after_flush(size_t i)
{
	static const char *const names[] = { "detach", "detach-db", "attach-ports" };
	static char seen[SEEN_MAX];

	set_setting(i);
	if (world_build(WORLD_FLUSHED) < 0)
		return false;
	if (!run_at_once(names, 3, NULL) || count_answers(3, 0, 0) != 3)
		return fault("three change what was flushed", 3);
	look(seen);
	if (strstr(seen, "not there: ") || strstr(seen, "not planned: ")) {
		fault(strstr(seen, "not "), 3);
		clear_world();
		return false;
	}
	return clear_world();
}

/* ---- one state, two hosts ---- */

static void go_elsewhere(size_t i)
{
	if (i == 1 && (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0))
		_exit(1);
}

static bool share_state(size_t i)
{
	static const char *const names[] = { "create", "create-back" };
	bool well = true;

	set_setting(i);
	if (system("rm -rf " STATE_DIR) != 0)
		return false;
	if (!run_at_once(names, 2, go_elsewhere) || count_answers(2, 0, 0) != 1)
		well = fault("a fresh state becomes that of one namespace", 2);
	host_remove();
	if (host_make() < 0)
		abort();
	return well;
}

/* ---- the cases ---- */

static bool (*round_job)(size_t i);

/* Each worker has answers of its own. */
static bool run_round(size_t i)
{
	if (!answers)
		answers = shared_new(sizeof(*answers) * MANY);
	return round_job(i);
}

static void run_rounds(bool (*job)(size_t i))
{
	/* few, so that the processes of each are at work at the same time */
	setenv("BN_WORKERS", "2", 0);
	round_job = job;
	assert_int_equal(workers_run(ROUNDS, run_round), 0);
}

static void test_eight_make_one_network(void **state)
{
	(void)state;
	run_rounds(make_one_network);
}

static void test_two_delete_one_network(void **state)
{
	(void)state;
	run_rounds(delete_one_network);
}

static void test_last_goes_while_first_comes(void **state)
{
	(void)state;
	run_rounds(last_and_first);
}

static void test_three_after_a_flush(void **state)
{
	(void)state;
	run_rounds(detach_after_flush);
}

static void test_two_namespaces_one_state(void **state)
{
	(void)state;
	run_rounds(share_state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eight_make_one_network),
		cmocka_unit_test(test_two_delete_one_network),
		cmocka_unit_test(test_last_goes_while_first_comes),
		cmocka_unit_test(test_three_after_a_flush),
		cmocka_unit_test(test_two_namespaces_one_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
