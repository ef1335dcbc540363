/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A verb whose steps take their time, or that needs a lock which somebody holds, ends about when its
 * time is over, and 2 s later when there is something to undo. Then all is as before it or as after it.
 */
#include "trials.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"

#define LIMIT_MS 200
#define UNDO_MS 2000
/* Of a machine that does other things, too; and what the kernel won't break off: of links, a deletion.
 * Who does not look at the time at all waits for as long as the lock is held. */
#define LATE_MS 1500
#define BUSY_MS 3000
#define HANGS_S 60
#define TRIES 3

static struct shared {
	struct answer answer;
	long ms;
} * shared;
static long dawdle_ms;

static int dawdle(const char *step)
{
	const struct timespec pause = {
		.tv_sec = dawdle_ms / 1000,
		.tv_nsec = dawdle_ms % 1000 * 1000000,
	};

	if (strncmp(step, "netlink.", 8) != 0)
		nanosleep(&pause, NULL);
	return 0;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int run_timed(const struct trial *trial, int (*hook)(const char *step))
{
	long start;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid < 0)
		abort();
	if (pid)
		return wait_for(pid, HANGS_S);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fault_hook = hook;
	start = now_ms();
	trial_verb(trial, LIMIT_MS, &shared->answer);
	shared->ms = now_ms() - start;
	_exit(0);
}

static bool fault(const struct trial *trial, const char *how, const char *what)
{
	return trial_fault(trial, &shared->answer, "%s, back after %ld ms: %s", how, shared->ms,
			   what);
}

/* What is there, once the next call has run if it was left to that. */
static enum standing look_afterwards(const struct trial *trial, const char *how, bool *well)
{
	bool goes_on = trial_goes_on(trial);
	enum standing standing;
	char what[WHAT_MAX];
	bool open = goes_on ? shared->answer.r < 0 : trial_left_open(trial, &shared->answer);

	if (open && trial_recover(trial, 0, what) < 0)
		*well = fault(trial, how, what);
	standing = trial_look(what);
	if (standing == STANDS_BETWEEN)
		*well = fault(trial, how, what);
	else if (shared->answer.r == 0 && standing != STANDS_AFTER && !goes_on)
		*well = fault(trial, how, "it says that it is done, and it isn't");
	return standing;
}

static bool take_time(const struct trial *trial, long ms)
{
	char how[64], what[WHAT_MAX];
	bool well = true;

	dawdle_ms = ms;
	snprintf(how, sizeof(how), "%ld ms at each step", ms);
	if (run_timed(trial, dawdle) != 0)
		well = fault(trial, how, "it crashes or hangs");
	if (shared->ms > LIMIT_MS + LATE_MS + UNDO_MS + BUSY_MS + 2 * ms)
		well = fault(trial, how, "too late");
	if (shared->answer.r < 0 && !in_vain(&shared->answer) && !left_open(&shared->answer))
		well = fault(trial, how, "another error");
	look_afterwards(trial, how, &well);
	if (trial_again(trial, what) < 0)
		well = fault(trial, how, what);
	return well;
}

static bool dawdle_everywhere(const struct trial *trial)
{
	static const long pauses[] = { 5, 20, 60, 250 };
	char what[WHAT_MAX];
	bool well = true;

	if (!shared)
		shared = shared_new(sizeof(*shared));
	if (trial_begin(trial) < 0)
		return false;
	for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++)
		well = take_time(trial, pauses[i]) && well;
	if (trial_end(what) < 0)
		well = fault(trial, "", what);
	return well;
}

static void test_slow_steps(void **state)
{
	(void)state;
	trials_run(dawdle_everywhere);
}

/* ---- locks ---- */

static pid_t hold(void (*take)(void))
{
	int taken[2];
	char byte;
	pid_t pid;

	if (pipe(taken) < 0)
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take();
		if (write(taken[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(taken[1]);
	if (read(taken[0], &byte, 1) != 1)
		abort();
	close(taken[0]);
	return pid;
}

static void take_xtables_lock(void)
{
	int fd = open("/run/xtables.lock", O_CREAT | O_RDONLY | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		_exit(1);
}

static void take_state(void)
{
	sqlite3 *database;

	if (sqlite3_open(STATE_DIR "/state.db", &database) != SQLITE_OK ||
	    sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		_exit(1);
}

/* A machine that does other things may be late once, not each time. */
static bool wait_in_vain(const struct trial *trial, void (*take)(void), const char *how)
{
	long shortest = -1;
	enum standing standing = STANDS_BEFORE;
	char what[WHAT_MAX];
	bool well = true;
	pid_t holder;

	for (int i = 0; i < TRIES && standing == STANDS_BEFORE && well; i++) {
		holder = hold(take);
		if (run_timed(trial, NULL) != 0)
			well = fault(trial, how, "it crashes or hangs");
		kill(holder, SIGKILL);
		wait_for(holder, HANGS_S);
		/* it needs no such lock, or not any more */
		if (shared->answer.r == 0) {
			shortest = 0;
			break;
		}
		if (!in_vain(&shared->answer) && !left_open(&shared->answer))
			well = fault(trial, how, "another error");
		standing = look_afterwards(trial, how, &well);
		if (shortest < 0 || shared->ms < shortest)
			shortest = shared->ms;
	}
	if (standing == STANDS_BEFORE && shortest > LIMIT_MS + LATE_MS)
		well = fault(trial, how, "too late, though nothing was changed");
	if (standing != STANDS_BEFORE && shortest > LIMIT_MS + LATE_MS + UNDO_MS + BUSY_MS)
		well = fault(trial, how, "too late");
	if (shared->answer.r == 0)
		trial_look(what);
	if (trial_again(trial, what) < 0)
		well = fault(trial, how, what);
	return well;
}

static bool wait_for_locks(const struct trial *trial)
{
	bool legacy = strcmp(trial->setting.backend, "iptables-legacy") == 0, well = true;
	char what[WHAT_MAX];

	if (!shared)
		shared = shared_new(sizeof(*shared));
	if (trial_begin(trial) < 0)
		return false;
	if (legacy || strcmp(trial->verb->name, "switch") == 0)
		well = wait_in_vain(trial, take_xtables_lock, "xtables lock held");
	well = wait_in_vain(trial, take_state, "the state held") && well;
	if (trial_end(what) < 0)
		well = fault(trial, "", what);
	return well;
}

static void test_locks_are_held(void **state)
{
	(void)state;
	trials_run(wait_for_locks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_steps),
		cmocka_unit_test(test_locks_are_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
