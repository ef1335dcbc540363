/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock of the tables: waiting in line for it, and what a call leaves behind that gave up. */
#include "firewall_stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fault.h"
#include "firewall/iptables/iptables.h"

#define BASE FIREWALL_BASE
#define HOLDERS 4
#define HELD_US 3000

const struct firewall_backend *const backend = &iptables_backend;

static struct deadline deadline;

static void within(uint32_t ms)
{
	deadline = deadline_after(ms);
	firewall->deadline = &deadline;
}

static int open_lock(void)
{
	int fd = open(XTABLES_LOCK, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static int held(void)
{
	int fd = open_lock();

	assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

static bool is_free(void)
{
	int fd = open_lock();
	bool is = flock(fd, LOCK_EX | LOCK_NB) == 0;

	close(fd);
	return is;
}

static size_t threads_of_others;

/* The threads but this one and those; *ret_blocked is what the last of them blocks. */
static size_t count_threads(uint64_t *ret_blocked)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	char path[300], line[200];
	size_t count = 0;
	FILE *status;

	assert_non_null(tasks);
	while ((task = readdir(tasks))) {
		if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
			continue;
		count++;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
		status = fopen(path, "re");
		while (status && ret_blocked && fgets(line, sizeof(line), status))
			sscanf(line, "SigBlk: %" SCNx64, ret_blocked);
		if (status)
			fclose(status);
	}
	closedir(tasks);
	return count - threads_of_others;
}

/* They end by themselves, soon. */
static void assert_no_threads(void)
{
	for (int i = 0; i < 2000 && count_threads(NULL) > 0; i++)
		usleep(5000);
	assert_int_equal(count_threads(NULL), 0);
}

static void assert_times_out(void)
{
	rule_vector read = { 0 };

	within(30);
	assert_int_equal(backend->list(firewall, NULL, &read, &error), -ETIMEDOUT);
	assert_non_null(strstr(error.message, "another program held the xtables lock"));
}

/* ---- others that hold it in turns ---- */

static pid_t start_holder(void)
{
	pid_t child = fork();
	int fd;

	if (child != 0)
		return child;
	fd = open(XTABLES_LOCK, O_RDONLY | O_CREAT, 0600);
	for (;;) {
		if (flock(fd, LOCK_EX) < 0)
			_exit(1);
		usleep(HELD_US);
		flock(fd, LOCK_UN);
	}
}

static void test_in_line(void **state)
{
	rule_vector rules = { 0 };
	uint64_t begun, took, most = 0;
	pid_t holders[HOLDERS];

	(void)state;
	plan_pair("blue", "ip-blue", "172.30.0.0/16", NULL, &rules);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	for (size_t i = 0; i < HOLDERS; i++)
		holders[i] = start_holder();
	usleep(20000);
	for (int i = 0; i < 10; i++) {
		begun = clock_now_ms();
		within(20000);
		if (apply(i % 2 ? NULL : &rules, i % 2 ? &rules : NULL, 0) < 0)
			fail_msg("change %d: %s", i, error.message);
		took = clock_now_ms() - begun;
		most = took > most ? took : most;
	}
	print_message("beside %d holders of %d us the longest of 10 changes took %" PRIu64 " ms\n",
		      HOLDERS, HELD_US, most);
	for (size_t i = 0; i < HOLDERS; i++) {
		kill(holders[i], SIGKILL);
		waitpid(holders[i], NULL, 0);
	}
	assert_no_threads();
	assert_true(is_free());
	rules_clear(&rules);
}

/* ---- a call that gave up ---- */

static void test_left_in_line(void **state)
{
	uint64_t blocked = 0, all_but = UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1);
	int fd = held();

	(void)state;
	/* those that the C library keeps to itself */
	all_but |= UINT64_C(3) << 31;
	for (int i = 0; i < 3; i++) {
		assert_times_out();
		assert_int_equal(count_threads(&blocked), 1);
	}
	assert_int_equal(blocked | all_but, UINT64_MAX);
	close(fd);
	assert_no_threads();
	assert_true(is_free());
	/* the context goes on */
	within(20000);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
}

static void *close_soon(void *data)
{
	usleep(50000);
	close(*(int *)data);
	return NULL;
}

static void test_found_in_line_again(void **state)
{
	int fd = held();
	pthread_t thread;

	(void)state;
	assert_times_out();
	within(20000);
	assert_int_equal(pthread_create(&thread, NULL, close_soon, &fd), 0);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	pthread_join(thread, NULL);
	assert_no_threads();
	assert_true(is_free());
}

/* The file was removed and made again: the line of the old one leads nowhere. */
static void test_another_file(void **state)
{
	int old = held(), fd;

	(void)state;
	assert_times_out();
	assert_int_equal(unlink(XTABLES_LOCK), 0);
	fd = held();
	assert_times_out();
	assert_int_equal(count_threads(NULL), 2);
	close(fd);
	within(20000);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	close(old);
	assert_no_threads();
}

static void test_object_is_closed(void **state)
{
	int fd = held();

	(void)state;
	assert_times_out();
	open_with(NULL);
	assert_int_equal(count_threads(NULL), 1);
	close(fd);
	assert_no_threads();
	assert_true(is_free());
}

static void *cancel_soon(void *data)
{
	usleep(30000);
	cancel_ask(data);
	return NULL;
}

static void test_cancelled(void **state)
{
	struct cancel cancel = CANCEL_NONE;
	int fd = held();
	pthread_t thread;

	(void)state;
	assert_int_equal(cancel_open(&cancel), 0);
	within(20000);
	deadline.cancel = &cancel;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
	assert_int_equal(apply(NULL, NULL, BASE), -ECANCELED);
	pthread_join(thread, NULL);
	assert_true(clock_now_ms() + 10000 < deadline.end);
	close(fd);
	assert_no_threads();
	assert_true(is_free());
	cancel_close(&cancel);
}

/* ---- what else can be ---- */

static int no_thread(const char *step)
{
	return strcmp(step, "waiter.thread") == 0 ? -EAGAIN : 0;
}

static void test_no_room_for_a_thread(void **state)
{
	int fd = held();
	pthread_t thread;

	(void)state;
	fault_hook = no_thread;
	assert_times_out();
	assert_int_equal(count_threads(NULL), 0);
	within(20000);
	assert_int_equal(pthread_create(&thread, NULL, close_soon, &fd), 0);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	pthread_join(thread, NULL);
	assert_true(is_free());
}

static pid_t sleeper;

/* The program forks while we hold the lock. */
static int fork_at_commit(const char *step)
{
	if (strcmp(step, "iptables.commit") == 0 && !sleeper) {
		sleeper = fork();
		if (sleeper == 0) {
			pause();
			_exit(0);
		}
	}
	return 0;
}

static void test_forked_meanwhile(void **state)
{
	(void)state;
	sleeper = 0;
	fault_hook = fork_at_commit;
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	assert_true(sleeper > 0);
	assert_true(is_free());
	kill(sleeper, SIGKILL);
	waitpid(sleeper, NULL, 0);
}

/* It forks while a thread of a call that gave up stands in line. */
static void test_forked_in_line(void **state)
{
	int fd = held();

	(void)state;
	assert_times_out();
	sleeper = fork();
	if (sleeper == 0) {
		close(fd);
		pause();
		_exit(0);
	}
	close(fd);
	assert_no_threads();
	usleep(1000);
	assert_true(is_free());
	kill(sleeper, SIGKILL);
	waitpid(sleeper, NULL, 0);
}

static int teardown_hook(void **state)
{
	fault_hook = NULL;
	return stage_teardown(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, stage_setup, teardown_hook)

static void *give_number(void *data)
{
	*(pid_t *)data = gettid();
	return NULL;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_in_line),
		CASE(test_left_in_line),
		CASE(test_found_in_line_again),
		CASE(test_another_file),
		CASE(test_object_is_closed),
		CASE(test_cancelled),
		CASE(test_no_room_for_a_thread),
		CASE(test_forked_meanwhile),
		CASE(test_forked_in_line),
	};
	pthread_t thread;
	char path[64];
	pid_t number = 0;

	/* a sanitizer's begins with the first other one, which the kernel shows until it is buried */
	pthread_create(&thread, NULL, give_number, &number);
	pthread_join(thread, NULL);
	snprintf(path, sizeof(path), "/proc/self/task/%d", number);
	while (access(path, F_OK) == 0)
		usleep(1000);
	threads_of_others = count_threads(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
