/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGKILL on the way into a system call, and on the way out of it, at any point of any verb, or at a
 * moment between: once the next call has run, or a repair, in turn, all is as before the verb or as
 * after it.
 *
 * Backends and families take turns over the verbs, and of the system calls that can leave something
 * there are as many as are done in a minute, others each day; with BN_SOAK=1 each verb is killed at each system call,
 * with each backend; with BN_SECONDS too, at some of them, until they are over.
 */
#include "tracing.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS_IN_CI 20 /* of each verb, others each day */
#define KILLS_IN_ROUND 12
#define MOMENTS_IN_CI 2
#define MOMENTS 40

/* Those that change what outlives a process: a kill between others is no different. */
static const long lasting[] = {
	SYS_sendto, SYS_sendmsg,   SYS_recvmsg, SYS_setsockopt, SYS_write, SYS_pwrite64,
	SYS_unlink, SYS_ftruncate, SYS_mkdir,   SYS_unlinkat,   SYS_fcntl, SYS_flock,
	SYS_close,  SYS_setns,     SYS_fsync,   SYS_renameat,
};

static bool is_lasting(long number, const uint64_t *arguments)
{
	(void)arguments;
	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++)
		if (lasting[i] == number)
			return true;
	return is_soak() || is_timed();
}

/* ---- what is left ---- */

struct killed {
	const struct trial *trial;
	size_t turn;
	char at[96];
};

static bool fault(const struct killed *killed, const char *what)
{
	return trial_fault(killed->trial, NULL, "killed %s: %s", killed->at, what);
}

/* Of the next call and a repair it is the other's turn each time. */
static bool judge(const struct killed *killed)
{
	bool well = true;
	char what[WHAT_MAX];

	if (trial_recover(killed->trial, killed->turn, what) < 0)
		well = fault(killed, what);
	if (trial_look(what) == STANDS_BETWEEN)
		well = fault(killed, what);
	if (trial_again(killed->trial, what) < 0)
		well = fault(killed, what);
	return well;
}

/* ---- at a system call ---- */

static bool kill_at(const struct trial *trial, size_t n)
{
	const struct tracing tracing = { .counts = is_lasting, .ways_out = true, .n = n };
	struct killed killed = { .trial = trial, .turn = n / 2 };
	struct point point;
	char name[24];

	if (WIFSIGNALED(trace_verb(trial, &tracing, &point, NULL)))
		figure_add(FIGURE_KILLS, 1);
	snprintf(killed.at, sizeof(killed.at), "on the way %s %s, point %zu",
		 point.on_way_out ? "out of" : "into", system_call_name(point.number, name), n);
	return judge(&killed);
}

static bool kill_everywhere(const struct trial *trial)
{
	const struct tracing tracing = { .counts = is_lasting, .ways_out = true, .n = NEVER };
	size_t stride = 1, faults = 0;
	struct point point;
	char what[WHAT_MAX];

	if (trial_begin(trial) < 0)
		return false;
	trace_verb(trial, &tracing, &point, NULL);
	if (!trial_again_unseen(trial))
		return false;
	/* odd, so that both ways in and ways out are met */
	if (is_timed())
		stride = (point.count * SHARE / KILLS_IN_ROUND) | 1;
	else if (!is_soak())
		stride = (point.count * SHARE / KILLS_IN_CI) | 1;
	for (size_t n = first_of(stride), count = point.count; n < count && !time_is_over();
	     n += stride)
		faults += !kill_at(trial, n);
	if (trial_end(what) < 0)
		faults += !trial_fault(trial, NULL, "%s", what);
	return faults == 0;
}

/* ---- at any moment ---- */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* after_us: NEVER for not at all. Returns how long it took. */
static uint64_t kill_after(const struct trial *trial, uint64_t after_us)
{
	uint64_t begun = now_us();
	struct answer answer;
	pid_t pid = fork();
	int status;

	if (pid < 0)
		abort();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		trial_verb(trial, 20000, &answer);
		_exit(0);
	}
	if (after_us != NEVER) {
		usleep((useconds_t)after_us);
		kill(pid, SIGKILL);
	}
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		figure_add(FIGURE_KILLS_BY_TIMER, 1);
	return now_us() - begun;
}

static bool kill_at_moments(const struct trial *trial)
{
	size_t moments = is_soak() || is_timed() ? MOMENTS : MOMENTS_IN_CI, faults = 0;
	struct killed killed = { .trial = trial };
	char what[WHAT_MAX];
	uint64_t took, after;

	if (trial_begin(trial) < 0)
		return false;
	took = kill_after(trial, NEVER);
	if (!trial_again_unseen(trial))
		return false;
	for (size_t i = 0; i < moments && !time_is_over(); i++) {
		after = (uint64_t)random() % (took + 1);
		killed.turn = i;
		kill_after(trial, after);
		snprintf(killed.at, sizeof(killed.at), "after %llu us", (unsigned long long)after);
		faults += !judge(&killed);
	}
	if (trial_end(what) < 0)
		faults += !trial_fault(trial, NULL, "%s", what);
	return faults == 0;
}

static void test_killed_anywhere(void **state)
{
	(void)state;
	trials_run(kill_everywhere);
}

static void test_killed_at_any_moment(void **state)
{
	(void)state;
	trials_run(kill_at_moments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_anywhere),
		cmocka_unit_test(test_killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
