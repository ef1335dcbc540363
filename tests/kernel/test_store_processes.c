/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store, several processes and threads: nothing is given out twice, nothing of the dead stays.
 */
#include <pthread.h>
#include <signal.h>

#include "../unit/store_fixture.h"

#define ENDPOINTS 500
#define PORTS 300

/* A worker has no cmocka: the parent reads its exit status, 0 for good, else the failed line. */
#define MUST(condition)                                               \
	do {                                                          \
		if (!(condition))                                     \
			return __LINE__ & 0xff ? __LINE__ & 0xff : 1; \
	} while (0)

/* In a process of its own with the parent's store closed, as locks are shared over a fork. */
static pid_t start(struct fixture *f, int (*worker)(const char *directory, int number), int number)
{
	pid_t child;

	store_close(f->store);
	f->store = NULL;
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(worker(f->directory, number));
	return child;
}

static void expect_success(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_killed(pid_t child)
{
	int status;

	assert_ok(kill(child, SIGKILL));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void open_again(struct fixture *f)
{
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
}

/* One number, asked of the database itself. */
static int64_t query(struct fixture *f, const char *text)
{
	char path[128];
	sqlite3 *database;
	sqlite3_stmt *statement;
	int64_t value;

	snprintf(path, sizeof(path), "%s/state.db", f->directory);
	assert_ok(sqlite3_open(path, &database));
	assert_ok(sqlite3_prepare_v2(database, text, -1, &statement, NULL));
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return value;
}

/* ---- many at once ---- */

static int attach_one(struct store *store, const struct network *network, const char *id)
{
	struct endpoint endpoint = { .mtu = 1500 };
	struct operation operation;

	strcpy(endpoint.network, network->name);
	strcpy(endpoint.id, id);
	endpoint.ipv4.len = 16;
	MUST(store_begin(store, NULL) == 0);
	MUST(store_operation_open(store, OPERATION_ATTACH, &operation, NULL) == 0);
	MUST(store_address_pick(store, network, AF_INET, 0, &endpoint.ipv4.addr, NULL) == 0);
	MUST(store_endpoint_insert(store, &operation, &endpoint, NULL) == 0);
	MUST(store_commit(store, NULL) == 0);
	MUST(store_begin(store, NULL) == 0);
	MUST(store_operation_close(store, &operation, NULL) == 0);
	MUST(store_commit(store, NULL) == 0);
	return 0;
}

static int attach_many(const char *directory, int number)
{
	struct network network;
	struct store *store;
	char id[32];

	MUST(store_open(directory, false, 0, &store, NULL) == 0);
	MUST(store_network_get(store, "blue", &network, NULL) == 0);
	for (int i = 0; i < ENDPOINTS; i++) {
		int r;

		snprintf(id, sizeof(id), "p%d-%d", number, i);
		r = attach_one(store, &network, id);
		MUST(r == 0);
	}
	network_clear(&network);
	store_close(store);
	return 0;
}

static void check_attached(struct fixture *f, int workers)
{
	assert_int_equal(query(f, "SELECT count(*) FROM endpoints"), workers * ENDPOINTS);
	assert_int_equal(query(f, "SELECT count(DISTINCT ipv4) FROM endpoints"),
			 workers * ENDPOINTS);
	assert_int_equal(query(f, "SELECT count(*) FROM addresses WHERE endpoint IS NOT NULL"),
			 workers * ENDPOINTS);
	assert_int_equal(query(f, "SELECT count(*) FROM operations"), 1);
}

static void test_addresses_once(void **state)
{
	struct fixture *f = *state;
	pid_t children[2];

	set_up_blue(f, "10.1.0.0/16");
	for (int i = 0; i < 2; i++)
		children[i] = start(f, attach_many, i);
	for (int i = 0; i < 2; i++)
		expect_success(children[i]);
	check_attached(f, 2);
}

struct thread {
	pthread_t id;
	const char *directory;
	int number, result;
};

static void *run_thread(void *data)
{
	struct thread *thread = data;

	thread->result = attach_many(thread->directory, thread->number);
	return NULL;
}

/* Threads of one process: SQLite's own locks belong to the process, those of operations do not. */
static void test_addresses_once_in_threads(void **state)
{
	struct fixture *f = *state;
	struct thread threads[2];

	set_up_blue(f, "10.1.0.0/16");
	for (int i = 0; i < 2; i++) {
		threads[i] =
			(struct thread){ .directory = f->directory, .number = i, .result = -1 };
		assert_ok(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]));
	}
	for (int i = 0; i < 2; i++) {
		assert_ok(pthread_join(threads[i].id, NULL));
		assert_int_equal(threads[i].result, 0);
	}
	check_attached(f, 2);
}

/* Everyone wants the same ports; each is had by one. */
static int publish_many(const char *directory, int number)
{
	struct port port = { .network = "blue",
			     .endpoint = "web",
			     .protocol = IPPROTO_TCP,
			     .container_port = (uint16_t)(number + 1),
			     .count = 1 };
	struct store *store;

	MUST(store_open(directory, false, 0, &store, NULL) == 0);
	for (int i = 0; i < PORTS; i++) {
		struct operation operation;
		int r;

		port.host_port = (uint16_t)(8000 + i);
		MUST(store_begin(store, NULL) == 0);
		MUST(store_operation_open(store, OPERATION_PUBLISH, &operation, NULL) == 0);
		r = store_ports_insert(store, &operation, &port, 1, NULL);
		MUST(r == 0 || r == -EADDRINUSE);
		if (r < 0) {
			store_rollback(store);
			continue;
		}
		MUST(store_operation_close(store, &operation, NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
	}
	store_close(store);
	return 0;
}

static void test_ports_once(void **state)
{
	struct fixture *f = *state;
	pid_t children[3];

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	for (int i = 0; i < 3; i++)
		children[i] = start(f, publish_many, i);
	for (int i = 0; i < 3; i++)
		expect_success(children[i]);
	assert_int_equal(query(f, "SELECT count(*) FROM ports"), PORTS);
	assert_int_equal(query(f, "SELECT count(DISTINCT key >> 16) FROM ports"), PORTS);
}

/* 0 for who made it, 1 for who came late. */
static int create_same(const char *directory, int number)
{
	struct network network = make_network("green", (char)('a' + number), "10.1.0.0/16");
	struct operation operation;
	struct store *store;
	int r;

	MUST(store_open(directory, false, 0, &store, NULL) == 0);
	MUST(store_begin(store, NULL) == 0);
	MUST(store_operation_open(store, OPERATION_NETWORK_CREATE, &operation, NULL) == 0);
	r = store_network_insert(store, &operation, &network, NULL);
	if (r == 0) {
		MUST(store_operation_close(store, &operation, NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
	}
	store_close(store);
	return r == 0 ? 0 : r == -EEXIST ? 1 : 2;
}

/* In a directory that they all make, too. */
static void test_first_open_and_names(void **state)
{
	struct fixture *f = *state;
	pid_t children[6];
	int made = 0;

	teardown((void **)&f);
	f = calloc(1, sizeof(*f));
	strcpy(f->directory, "/tmp/bn-store-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	*state = f;
	assert_ok(rmdir(f->directory));
	for (int i = 0; i < 6; i++)
		children[i] = start(f, create_same, i);
	for (int i = 0; i < 6; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		made += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(made, 1);
	open_again(f);
	assert_int_equal(count_networks(f, STORE_PENDING), 4);
}

/* ---- the dead ---- */

/* Reserves an endpoint and a port, says so on descriptor `number`, and waits for its end. */
static int reserve_and_wait(const char *directory, int number)
{
	struct endpoint endpoint = { .network = "blue", .id = "web" };
	struct port port = { .network = "blue",
			     .endpoint = "web",
			     .protocol = IPPROTO_TCP,
			     .host_port = 80,
			     .container_port = 80,
			     .count = 1 };
	struct network network;
	struct operation operation;
	struct store *store;

	MUST(store_open(directory, false, 0, &store, NULL) == 0);
	MUST(store_network_get(store, "blue", &network, NULL) == 0);
	MUST(store_begin(store, NULL) == 0);
	MUST(store_operation_open(store, OPERATION_ATTACH, &operation, NULL) == 0);
	MUST(store_address_pick(store, &network, AF_INET, 0, &endpoint.ipv4.addr, NULL) == 0);
	endpoint.ipv4.len = 16;
	MUST(store_endpoint_insert(store, &operation, &endpoint, NULL) == 0);
	MUST(store_ports_insert(store, &operation, &port, 1, NULL) == 0);
	MUST(store_commit(store, NULL) == 0);
	MUST(write(number, "x", 1) == 1);
	pause();
	return 1;
}

/* The same, stopped within the transaction. */
static int begin_and_wait(const char *directory, int number)
{
	struct endpoint endpoint = { .network = "blue", .id = "web" };
	struct operation operation;
	struct store *store;

	MUST(store_open(directory, false, 0, &store, NULL) == 0);
	MUST(store_begin(store, NULL) == 0);
	MUST(store_operation_open(store, OPERATION_ATTACH, &operation, NULL) == 0);
	MUST(store_endpoint_insert(store, &operation, &endpoint, NULL) == 0);
	MUST(write(number, "x", 1) == 1);
	pause();
	return 1;
}

static pid_t start_and_wait(struct fixture *f, int (*worker)(const char *, int))
{
	int ends[2];
	char byte;
	pid_t child;

	assert_ok(pipe2(ends, O_CLOEXEC));
	child = start(f, worker, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	open_again(f);
	return child;
}

static void test_killed_after_reserving(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	struct port port = { .protocol = IPPROTO_TCP, .host_port = 80, .count = 1 };
	struct network blue = make_network("blue", 'b', "10.1.0.0/16");
	pid_t child;

	set_up_blue(f, "10.1.0.0/16");
	child = start_and_wait(f, reserve_and_wait);
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 0);
	assert_int_equal(port_is_taken(f, &port), 1);
	assert_int_equal(count_endpoints(f, "blue", 0), 0);
	assert_int_equal(count_endpoints(f, "blue", STORE_PENDING), 1);
	expect_killed(child);
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 1);
	assert_int_equal(operation.kind, OPERATION_ATTACH);
	give_up(f, operation);
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 0);
	assert_int_equal(port_is_taken(f, &port), 0);
	assert_int_equal(count_endpoints(f, "blue", STORE_PENDING), 0);
	/* Its address is not lost, but comes last. */
	assert_string_equal(attach_dynamic(f, &blue, "db"), "10.1.0.3");
	assert_int_equal(query(f, "SELECT count(*) FROM addresses WHERE released IS NOT NULL"), 1);
}

static void test_killed_in_transaction(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	pid_t child;

	set_up_blue(f, "10.1.0.0/16");
	child = start_and_wait(f, begin_and_wait);
	expect_killed(child);
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 0);
	assert_int_equal(count_endpoints(f, "blue", STORE_PENDING), 0);
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
}

/* Exit status: how many it took. It keeps them until everyone has looked. */
static int take_all(const char *directory, int number)
{
	struct operation operation;
	struct store *store;
	int r, taken = 0;
	char byte;

	if (store_open(directory, false, 0, &store, NULL) < 0)
		return 100;
	while ((r = store_operation_take_dead(store, 0, &operation, NULL)) > 0)
		taken++;
	if (r < 0)
		return 101;
	/* The parent closes its end when all have said that they are done. */
	if (write(number + 1, "x", 1) != 1 || read(number, &byte, 1) < 0)
		return 102;
	return taken;
}

static void test_taken_once(void **state)
{
	struct fixture *f = *state;
	int hold[2], done[2], taken = 0, status;
	pid_t children[4];
	char byte;

	set_up_blue(f, "10.1.0.0/16");
	for (int i = 0; i < 20; i++) {
		begin(f, OPERATION_PUBLISH);
		commit(f);
	}
	assert_ok(pipe2(hold, O_CLOEXEC));
	assert_ok(pipe2(done, O_CLOEXEC));
	assert_int_equal(dup2(hold[0], 200), 200);
	assert_int_equal(dup2(done[1], 201), 201);
	close(hold[0]);
	close(done[1]);
	for (int i = 0; i < 4; i++) {
		children[i] = start(f, take_all, 200);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(read(done[0], &byte, 1), 1);
	assert_int_equal(write(hold[1], "xxxx", 4), 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		taken += WEXITSTATUS(status);
	}
	assert_int_equal(taken, 20);
	close(hold[1]);
	close(done[0]);
	close(200);
	close(201);
}

/* Opens and settles one operation after another. */
static int stay_alive(const char *directory, int number)
{
	struct operation operation;
	struct store *store;

	MUST(store_open(directory, false, 0, &store, NULL) == 0);
	for (int i = 0; i < number; i++) {
		MUST(store_begin(store, NULL) == 0);
		MUST(store_operation_open(store, OPERATION_PUBLISH, &operation, NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
		MUST(store_begin(store, NULL) == 0);
		MUST(store_operation_close(store, &operation, NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
	}
	store_close(store);
	return 0;
}

/* Whoever looks for dead operations meanwhile finds none. */
static void test_alive_not_taken(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	int status, looks = 0;
	pid_t child = start(f, stay_alive, 10000);

	open_again(f);
	while (waitpid(child, &status, WNOHANG) == 0) {
		assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 0);
		looks++;
	}
	assert_int_equal(status, 0);
	assert_true(looks > 100);
}

/* Attach with a port, detach; for ever. */
static int come_and_go(const char *directory, int number)
{
	struct port port = { .network = "blue",
			     .endpoint = "web",
			     .protocol = IPPROTO_TCP,
			     .host_port = 80,
			     .container_port = 80,
			     .count = 1 };
	struct network network;
	struct operation operation;
	struct store *store;

	MUST(number == 0);
	MUST(store_open(directory, false, 0, &store, NULL) == 0);
	MUST(store_network_get(store, "blue", &network, NULL) == 0);
	for (;;) {
		MUST(attach_one(store, &network, "web") == 0);
		MUST(store_begin(store, NULL) == 0);
		MUST(store_operation_open(store, OPERATION_PUBLISH, &operation, NULL) == 0);
		MUST(store_ports_insert(store, &operation, &port, 1, NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
		MUST(store_begin(store, NULL) == 0);
		MUST(store_operation_close(store, &operation, NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
		MUST(store_begin(store, NULL) == 0);
		MUST(store_operation_open(store, OPERATION_DETACH, &operation, NULL) == 0);
		MUST(store_endpoint_mark(store, &operation, "blue", "web", NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
		MUST(store_begin(store, NULL) == 0);
		MUST(store_operation_close(store, &operation, NULL) == 0);
		MUST(store_commit(store, NULL) == 0);
	}
}

static bool is_undone(enum operation_kind kind)
{
	return kind == OPERATION_ATTACH || kind == OPERATION_PUBLISH;
}

static void clean_up(struct fixture *f, unsigned int *dead)
{
	struct operation operation;

	while (store_operation_take_dead(f->store, 0, &operation, &f->error) > 0) {
		++*dead;
		if (is_undone(operation.kind))
			give_up(f, operation);
		else
			settle(f, operation);
	}
	if (count_endpoints(f, "blue", STORE_PENDING) > 0)
		remove_endpoint(f, "blue", "web");
}

/* Killed anywhere: the file is whole, and after the dead are dealt with nothing is left over. */
static void test_killed_anywhere(void **state)
{
	struct fixture *f = *state;
	unsigned int dead = 0, seed = 7;

	set_up_blue(f, "10.1.0.0/28");
	for (int round = 0; round < 60; round++) {
		struct timespec nap = { .tv_nsec = 1000000 + rand_r(&seed) % 4000000 };
		pid_t child = start(f, come_and_go, 0);

		nanosleep(&nap, NULL);
		expect_killed(child);
		open_again(f);
		clean_up(f, &dead);
		assert_int_equal(query(f, "SELECT count(*) FROM operations"), 1);
		assert_int_equal(query(f, "SELECT count(*) FROM ports"), 0);
		assert_int_equal(query(f, "SELECT count(*) FROM endpoints"), 0);
		assert_int_equal(query(f, "SELECT count(*) FROM addresses WHERE endpoint"), 0);
	}
	assert_int_equal(query(f, "SELECT count(*) = 1 AND sum(integrity_check = 'ok') = 1 "
				  "FROM pragma_integrity_check"),
			 1);
	assert_true(dead > 0); /* else no kill hit an open operation */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_addresses_once),
		TEST(test_addresses_once_in_threads),
		TEST(test_ports_once),
		TEST(test_first_open_and_names),
		TEST(test_killed_after_reserving),
		TEST(test_killed_in_transaction),
		TEST(test_taken_once),
		TEST(test_alive_not_taken),
		TEST(test_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
