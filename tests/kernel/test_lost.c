/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel does what it is asked for, and the answer is lost: one, or that one and all that follow.
 * What the verb returns is what has happened; where it can't be known, the verb says so, and after the
 * next call all is as before or as after. Whatever the state has is protected all the while.
 */
#include "trials.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fault.h"

#define HANGS_S 60
#define STRIDE_IN_CI 5 /* others each day */
#define ANSWERS_MAX 400
#define STRIDE_MAX 12 /* when the time is limited */

static struct shared {
	size_t received;
	struct answer answer;
} * shared;
static size_t lost;   /* which answer */
static bool lose_all; /* from that one on */

static int lose_answer(const char *step)
{
	size_t i;

	if (strcmp(step, "netlink.receive") != 0)
		return 0;
	i = shared->received++;
	return i == lost || (lose_all && i > lost) ? -ENOBUFS : 0;
}

static int run_losing(const struct trial *trial)
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid < 0)
		abort();
	if (pid)
		return wait_for(pid, HANGS_S);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fault_hook = lose_answer;
	trial_verb(trial, 20000, &shared->answer);
	_exit(0);
}

static bool fault(const struct trial *trial, const char *how, const char *what)
{
	return trial_fault(trial, &shared->answer, "answer %zu%s is lost: %s%s", lost,
			   lose_all ? " and what follows" : "", how, what);
}

/* Is what has happened what was said? */
static bool judge(const struct trial *trial, enum standing standing, bool open, const char *what)
{
	if (trial_goes_on(trial))
		return shared->answer.r < 0 || shared->answer.text[0] ||
		       standing != STANDS_BETWEEN || fault(trial, "it is not all: ", what);
	if (standing == STANDS_BETWEEN)
		return fault(trial, "neither before nor after: ", what);
	if (shared->answer.r == 0 && standing != STANDS_AFTER)
		return fault(trial, "it says that it is done, and it isn't", "");
	if (shared->answer.r < 0 && !open && standing != STANDS_BEFORE)
		return fault(trial, "it says that it failed, and it is done", "");
	if (shared->answer.reason == BN_REASON_UNKNOWN_OUTCOME && shared->answer.r != -EIO)
		return fault(trial, "an unknown outcome that is not -EIO", "");
	return true;
}

static bool lose(const struct trial *trial)
{
	bool well = true, open;
	char what[WHAT_MAX];
	enum standing standing;

	if (run_losing(trial) != 0)
		well = fault(trial, "it crashes or hangs", "");
	if (trial->world != WORLD_FLUSHED && missing_drops(what, sizeof(what)))
		well = fault(trial, "without protection: ", what);
	figure_add(FIGURE_ANSWERS_LOST, shared->received > lost);
	open = trial_left_open(trial, &shared->answer);
	if (open && touch_state() < 0)
		well = fault(trial, "the next call fails", "");
	standing = trial_look(what);
	if (standing == STANDS_BETWEEN && shared->answer.r == 0)
		standing = trial_visit(what);
	well = judge(trial, standing, open, what) && well;
	/* whatever it said, the next call leaves nothing between */
	if (standing == STANDS_BETWEEN && !open) {
		if (trial_recover(trial, 0, what) < 0)
			well = fault(trial, "", what);
		if (trial_look(what) == STANDS_BETWEEN)
			well = fault(trial, "after the next call, too: ", what);
	}
	if (trial_again(trial, what) < 0)
		well = fault(trial, "", what);
	return well;
}

static bool lose_each(const struct trial *trial)
{
	size_t faults = 0, stride = is_soak() ? 1 : STRIDE_IN_CI * SHARE;
	char what[WHAT_MAX];

	if (!shared)
		shared = shared_new(sizeof(*shared));
	if (trial_begin(trial) < 0)
		return false;
	if (is_timed())
		stride += (size_t)random() % STRIDE_MAX;
	for (lost = first_of(stride); lost < ANSWERS_MAX && !time_is_over(); lost += stride) {
		lose_all = false;
		faults += !lose(trial);
		if (shared->received <= lost)
			break;
		lose_all = true;
		faults += !lose(trial);
	}
	if (trial_end(what) < 0)
		faults += !fault(trial, "", what);
	return faults == 0;
}

static void test_lost_answers(void **state)
{
	(void)state;
	trials_run(lose_each);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
