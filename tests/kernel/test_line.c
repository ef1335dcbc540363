/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line of those that wait to write the state: turns, and those who don't take theirs. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "../unit/store_fixture.h"

#include "base/clock.h"

#define MANY 64
#define TURNS 16
#define HELD_US 500
#define TRIES 5        /* a machine that does something else makes single waits longer */
#define SOON_MS 10000  /* before the time of those that wait is over */
#define AT_ONCE_MS 500 /* rather than after looking at whom it passes over */
#ifdef __SANITIZE_THREAD__
#define THREADS_MAX 2 /* its own, which it makes with the first */
#else
#define THREADS_MAX 1
#endif

/* Of all processes. */
static struct shared {
	int ready, held;
	struct {
		double waits[TURNS];
		int r;
		size_t threads;
	} of[MANY];
} * shared;

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static pid_t start(struct fixture *f, void (*job)(struct fixture *f, int i), int i)
{
	pid_t pid;

	/* SQLite would take the child for the parent */
	store_close(f->store);
	f->store = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	job(f, i);
	_exit(0);
}

static void expect_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- waits of many ---- */

static void take_turns(struct fixture *f, int i)
{
	struct store *store;

	if (store_open(f->directory, false, NULL, &store, NULL) < 0)
		_exit(1);
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < MANY)
		usleep(1000);
	for (int turn = 0; turn < TURNS; turn++) {
		double begun = now_us();

		if (store_begin(store, NULL) < 0)
			_exit(1);
		shared->of[i].waits[turn] = now_us() - begun;
		usleep(HELD_US);
		if (store_commit(store, NULL) < 0)
			_exit(1);
	}
	store_close(store);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* The longest wait beside the one in the middle. */
static double waits_of_many(struct fixture *f)
{
	static double waits[MANY * TURNS];
	pid_t pids[MANY];

	memset(shared, 0, sizeof(*shared));
	for (int i = 0; i < MANY; i++)
		pids[i] = start(f, take_turns, i);
	for (int i = 0; i < MANY; i++) {
		expect_end(pids[i]);
		memcpy(&waits[i * TURNS], shared->of[i].waits, sizeof(shared->of[i].waits));
	}
	qsort(waits, MANY * TURNS, sizeof(*waits), compare);
	print_message("# of %d at once: wait of the middle one %.1f ms, the longest %.1f ms\n",
		      MANY, waits[MANY * TURNS / 2] / 1e3, waits[MANY * TURNS - 1] / 1e3);
	return waits[MANY * TURNS - 1] / waits[MANY * TURNS / 2];
}

static void test_waits_are_alike(void **state)
{
	double ratio = 1e9;

	for (int i = 0; i < TRIES && ratio > 4; i++)
		ratio = waits_of_many(*state);
	print_message("# figure longest-wait-in-percent-of-the-middle-one %.0f\n", ratio * 100);
	if (ratio > 4)
		fail_msg("the longest wait is %.1f times the middle one", ratio);
}

/* ---- those who don't take their turns ---- */

static void hold_state(struct fixture *f, int i)
{
	struct store *store;

	(void)i;
	if (store_open(f->directory, false, NULL, &store, NULL) < 0 || store_begin(store, NULL) < 0)
		_exit(1);
	for (__atomic_store_n(&shared->held, 1, __ATOMIC_SEQ_CST);
	     __atomic_load_n(&shared->held, __ATOMIC_SEQ_CST);)
		usleep(1000);
	if (store_commit(store, NULL) < 0)
		_exit(1);
	store_close(store);
}

static pid_t holder;

static void hold(struct fixture *f)
{
	memset(shared, 0, sizeof(*shared));
	holder = start(f, hold_state, 0);
	while (!__atomic_load_n(&shared->held, __ATOMIC_SEQ_CST))
		usleep(1000);
}

static void let_go(void)
{
	__atomic_store_n(&shared->held, 0, __ATOMIC_SEQ_CST);
	expect_end(holder);
}

static void wait_once(struct fixture *f, int i)
{
	struct deadline deadline = deadline_after(20000);
	struct store *store;

	if (store_open(f->directory, false, &deadline, &store, NULL) < 0)
		_exit(1);
	shared->of[i].r = store_begin(store, NULL);
	if (shared->of[i].r < 0 || store_commit(store, NULL) < 0)
		_exit(1);
	store_close(store);
}

/* Who is in line, by the kernel's list of locks. */
static size_t count_in_line(const struct fixture *f)
{
	char path[128], line[256], inode[32];
	struct stat status;
	size_t count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/operations.lock", f->directory);
	assert_ok(stat(path, &status));
	snprintf(inode, sizeof(inode), ":%ju ", (uintmax_t)status.st_ino);
	file = fopen("/proc/locks", "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, inode) && strstr(line, "WRITE") && !strstr(line, "->") &&
			 strstr(line, " 46116860184273879"); /* 2^62 and some */
	fclose(file);
	return count;
}

static void await_in_line(const struct fixture *f, size_t count)
{
	size_t is = count_in_line(f);

	/* a read of it may miss one while others lock and unlock elsewhere: no second look */
	for (int i = 0; i < 30000 && is != count; i++) {
		usleep(1000);
		is = count_in_line(f);
	}
	assert_int_equal(is, count);
}

static uint64_t expect_served(struct fixture *f)
{
	uint64_t begun = clock_now_ms();

	expect_end(start(f, wait_once, MANY - 1));
	return clock_now_ms() - begun;
}

static void test_dead_are_passed_over(void **state)
{
	struct fixture *f = *state;
	pid_t dead, next;

	hold(f);
	dead = start(f, wait_once, 0);
	await_in_line(f, 1);
	next = start(f, wait_once, 1);
	await_in_line(f, 2);
	assert_ok(kill(dead, SIGKILL));
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	let_go();
	expect_end(next);
	await_in_line(f, 0);
}

/* It keeps its place, and nobody waits for it for long: those behind it once, later ones never. */
static void test_stopped_are_passed_over(void **state)
{
	struct fixture *f = *state;
	pid_t stopped, next[3];
	uint64_t begun, took = UINT64_MAX;

	hold(f);
	stopped = start(f, wait_once, 0);
	await_in_line(f, 1);
	for (int i = 0; i < 3; i++) {
		next[i] = start(f, wait_once, i + 1);
		await_in_line(f, (size_t)i + 2);
	}
	assert_ok(kill(stopped, SIGSTOP));
	begun = clock_now_ms();
	let_go();
	for (int i = 0; i < 3; i++)
		expect_end(next[i]);
	assert_in_range(clock_now_ms() - begun, 0, SOON_MS);
	for (int i = 0; i < TRIES && took > AT_ONCE_MS; i++)
		took = expect_served(f);
	assert_in_range(took, 0, AT_ONCE_MS);
	assert_int_equal(count_in_line(f), 1);
	assert_ok(kill(stopped, SIGCONT));
	expect_end(stopped);
	assert_int_equal(count_in_line(f), 0);
}

static void *fork_and_die(void *data)
{
	struct fixture *f = data;
	pid_t child;

	await_in_line(f, 1);
	child = fork();
	if (child == 0)
		while (true)
			pause();
	__atomic_store_n(&shared->ready, child, __ATOMIC_SEQ_CST);
	kill(getpid(), SIGKILL);
	return NULL;
}

static void wait_and_die(struct fixture *f, int i)
{
	pthread_t thread;

	(void)i;
	if (pthread_create(&thread, NULL, fork_and_die, f) == 0)
		wait_once(f, 0);
}

/* The child has the descriptor that the place is locked with. */
static void test_dead_with_child_are_passed_over(void **state)
{
	struct fixture *f = *state;
	uint64_t took = UINT64_MAX;
	pid_t dead, child;

	hold(f);
	dead = start(f, wait_and_die, 0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	child = __atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST);
	assert_true(child > 0);
	assert_int_equal(count_in_line(f), 1);
	let_go();
	assert_in_range(expect_served(f), 0, SOON_MS);
	for (int i = 0; i < TRIES && took > AT_ONCE_MS; i++)
		took = expect_served(f);
	assert_in_range(took, 0, AT_ONCE_MS);
	kill(child, SIGKILL);
}

static size_t count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	size_t count = 0;

	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count;
}

/* Again and again, and no more than one thread stays in line. */
static void wait_in_vain(struct fixture *f, int i)
{
	static struct cancel cancel = CANCEL_NONE;
	struct deadline deadline = { .cancel = &cancel };
	size_t others = count_threads();
	struct error error;
	struct store *store;

	if (cancel_open(&cancel) < 0 ||
	    store_open(f->directory, false, &deadline, &store, NULL) < 0)
		_exit(1);
	for (int turn = 0; turn < 5; turn++) {
		deadline.end = clock_now_ms() + 60;
		shared->of[i].r = store_begin(store, &error);
		if (shared->of[i].r != -ETIMEDOUT || error.reason != BN_REASON_TIMEOUT ||
		    clock_now_ms() > deadline.end + SOON_MS || !strstr(error.message, f->directory))
			_exit(1);
	}
	shared->of[i].threads = count_threads() - others;
	deadline.end = clock_now_ms() + 20000;
	__atomic_store_n(&shared->ready, 1, __ATOMIC_SEQ_CST);
	shared->of[i].r = store_begin(store, &error);
	store_close(store);
}

static void test_waits_end(void **state)
{
	struct fixture *f = *state;
	pid_t others[2];

	hold(f);
	others[0] = start(f, wait_once, 0);
	await_in_line(f, 1);
	others[1] = start(f, wait_in_vain, 1);
	for (int i = 0; i < 30000 && !__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	assert_int_equal(shared->of[1].r, -ETIMEDOUT);
	assert_in_range(shared->of[1].threads, 0, THREADS_MAX);
	let_go();
	for (int i = 0; i < 2; i++)
		expect_end(others[i]);
	assert_int_equal(shared->of[1].r, 0);
}

/* What is written there makes no sense: turns are taken wrongly, and that is all. */
static void test_damaged_numbers(void **state)
{
	static const uint64_t senseless[][2] = {
		{ UINT64_MAX, 0 },
		{ 5, 900 },
		{ UINT64_C(1) << 59, UINT64_C(1) << 59 },
	};
	struct fixture *f = *state;
	char path[128];
	pid_t pids[4];
	int fd;

	snprintf(path, sizeof(path), "%s/operations.lock", f->directory);
	for (size_t i = 0; i < ARRAY_SIZE(senseless); i++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_int_equal(pwrite(fd, senseless[i], 16, 0), 16);
		hold(f);
		for (int n = 0; n < 4; n++)
			pids[n] = start(f, wait_once, n);
		usleep(20000);
		let_go();
		for (int n = 0; n < 4; n++)
			expect_end(pids[n]);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits_are_alike, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_are_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped_are_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_with_child_are_passed_over, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_waits_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_numbers, setup, teardown),
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return shared == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
