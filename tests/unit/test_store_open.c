/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a state directory: who may, what is refused, and what a transaction waits for. */
#include <signal.h>
#include <sys/resource.h>

#include "store_fixture.h"

#define LATE_MS \
	30000 /* on a machine that does other things; without a deadline it would be never */

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	struct deadline deadline = { 0 };
	struct store *other;
	uint64_t start = clock_now_ms(), waited;

	assert_ok(store_open(f->directory, false, &deadline, &other, &f->error));
	assert_ok(store_begin(f->store, &f->error));
	deadline.end = start + 50;
	assert_fails(store_begin(other, &f->error), -ETIMEDOUT, BN_REASON_TIMEOUT);
	waited = clock_now_ms() - start;
	assert_in_range(waited, 50, LATE_MS);
	assert_says(f->directory);
	store_rollback(f->store);
	/* also without waiting */
	assert_fails(store_begin(other, &f->error), -ETIMEDOUT, BN_REASON_TIMEOUT);
	deadline.end = 0;
	assert_ok(store_begin(other, &f->error));
	store_close(other); /* rolls back */
	assert_ok(store_begin(f->store, &f->error));
	store_rollback(f->store);
}

/* Somebody has the whole database to himself. */
static void test_open_deadline(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;
	char path[128];
	sqlite3 *database;
	struct deadline deadline = { 0 };
	uint64_t start;

	store_close(f->store);
	f->store = NULL;
	snprintf(path, sizeof(path), "%s/state.db", f->directory);
	assert_ok(sqlite3_open(path, &database));
	assert_ok(sqlite3_exec(database, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;", NULL,
			       NULL, NULL));
	start = clock_now_ms();
	deadline.end = start + 50;
	assert_fails(store_open(f->directory, false, &deadline, &other, &f->error), -ETIMEDOUT,
		     BN_REASON_TIMEOUT);
	assert_in_range(clock_now_ms() - start, 50, LATE_MS);
	assert_null(other);
	sqlite3_close(database);
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
}

static void execute(struct fixture *f, const char *text)
{
	char path[128];
	sqlite3 *database;

	snprintf(path, sizeof(path), "%s/state.db", f->directory);
	assert_ok(sqlite3_open(path, &database));
	assert_ok(sqlite3_exec(database, text, NULL, NULL, NULL));
	sqlite3_close(database);
}

static void test_newer_format(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;

	execute(f, "PRAGMA user_version = 99");
	for (int read_only = 0; read_only < 2; read_only++) {
		assert_fails(store_open(f->directory, read_only, 0, &store, &f->error), -ENOTSUP,
			     BN_REASON_STATE);
		assert_says("format 99");
		assert_says(f->directory);
		assert_null(store);
	}
}

/* What the seventh version added, and the sixth. */
#define WITHOUT_VERSION_7 "DROP TABLE searches;"
#define WITHOUT_VERSION_6                                              \
	WITHOUT_VERSION_7                                              \
	"DROP INDEX networks_updating; DROP INDEX endpoints_updating;" \
	"ALTER TABLE networks DROP COLUMN persistent;"                 \
	"ALTER TABLE networks DROP COLUMN updating;"                   \
	"ALTER TABLE networks DROP COLUMN next_options;"               \
	"ALTER TABLE networks DROP COLUMN next_mtu;"                   \
	"ALTER TABLE endpoints DROP COLUMN updating;"                  \
	"ALTER TABLE endpoints DROP COLUMN next_options;"              \
	"ALTER TABLE endpoints DROP COLUMN next_mtu;"                  \
	"ALTER TABLE endpoints DROP COLUMN next_gateway_priority;"     \
	"ALTER TABLE endpoints DROP COLUMN next_metric;"               \
	"ALTER TABLE endpoints DROP COLUMN next_metric_ipv6;"          \
	"ALTER TABLE endpoints DROP COLUMN gateway_ipv4;"              \
	"ALTER TABLE endpoints DROP COLUMN gateway_ipv6;"              \
	"ALTER TABLE endpoints DROP COLUMN metric_ipv6;"               \
	"ALTER TABLE ports DROP COLUMN options;"

/* A state of the fourth version had ports marked with their endpoint. Of two dead detaches, one is
 * finished and one, as no caller would, given up: nothing of the marks stays. */
static void test_fourth_version(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	struct port port = make_port("web", IPPROTO_TCP, "", 80, 1);
	struct rows rows = { 0 };

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	add_endpoint(f, "blue", "db", "10.1.0.3/16");
	assert_ok(publish(f, &port));
	strcpy(port.endpoint, "db");
	port.host_port = 81;
	assert_ok(publish(f, &port));
	for (int i = 0; i < 2; i++) {
		operation = begin(f, OPERATION_DETACH);
		assert_ok(store_endpoint_mark(f->store, &operation, "blue", i ? "db" : "web",
					      &f->error));
		commit(f);
	}
	store_close(f->store);
	execute(f, WITHOUT_VERSION_6);
	execute(f, "DROP INDEX networks_bridge; DROP INDEX networks_operation;"
		   "DROP INDEX networks_removal; DROP INDEX networks_found;"
		   "UPDATE ports SET removal = (SELECT removal FROM endpoints "
		   "WHERE sequence = ports.endpoint);"
		   "CREATE INDEX endpoints_operation ON endpoints (operation);"
		   "CREATE INDEX ports_removal ON ports (removal) WHERE removal IS NOT NULL;"
		   "PRAGMA user_version = 4;");
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 1);
		assert_ok(store_operation_rows(f->store, &operation, &rows, &f->error));
		assert_int_equal(rows.ports.len, 1);
		rows_clear(&rows);
		if (i)
			give_up(f, operation);
		else
			settle(f, operation);
	}
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 1);
	assert_int_equal(count_ports(f, NULL, NULL, STORE_STANDING), 1);
	remove_endpoint(f, "blue", "db");
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
}

/* One of the fifth version had one metric for both families. */
static void test_fifth_version(void **state)
{
	struct fixture *f = *state;
	struct endpoint endpoint;

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	store_close(f->store);
	execute(f, WITHOUT_VERSION_6);
	execute(f, "UPDATE endpoints SET metric = 96; PRAGMA user_version = 5;");
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
	assert_ok(store_endpoint_get(f->store, "blue", "web", &endpoint, &f->error));
	assert_int_equal(endpoint.metric_ipv4, 96);
	assert_int_equal(endpoint.metric_ipv6, 96);
	endpoint_clear(&endpoint);
}

/* In one of the sixth version a network had one subnet of a family. */
static void test_sixth_version(void **state)
{
	struct fixture *f = *state;
	struct network network;
	struct endpoint endpoint;
	struct addr addr;

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	store_close(f->store);
	execute(f, WITHOUT_VERSION_7 "PRAGMA user_version = 6;");
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
	assert_ok(store_network_get(f->store, "blue", &network, &f->error));
	assert_ok(store_endpoint_get(f->store, "blue", "web", &endpoint, &f->error));
	assert_non_null(network_subnet(&network, AF_INET));
	assert_null(network_subnet_at(&network, AF_INET, 1));
	assert_non_null(endpoint_prefix(&endpoint, AF_INET));
	assert_null(endpoint_prefix_at(&endpoint, AF_INET, 1));
	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_address_pick(f->store, &network, AF_INET, 0, &addr, &f->error));
	store_rollback(f->store);
	endpoint_clear(&endpoint);
	network_clear(&network);
}

static void test_damage(void **state)
{
	struct fixture *f = *state;
	struct network network;
	network_vector networks = { 0 };
	struct store *store = NULL;
	char path[128];
	int fd;

	set_up_blue(f, "10.1.0.0/16");
	execute(f, "UPDATE networks SET ipv4_subnet = 'oops' WHERE name = 'blue'");
	assert_fails(store_network_get(f->store, "blue", &network, &f->error), -EBADMSG,
		     BN_REASON_STATE);
	assert_fails(store_networks(f->store, 0, &networks, &f->error), -EBADMSG, BN_REASON_STATE);
	networks_clear(&networks);
	store_close(f->store);
	f->store = NULL;
	snprintf(path, sizeof(path), "%s/state.db-wal", f->directory);
	assert_ok(unlink(path));
	snprintf(path, sizeof(path), "%s/state.db", f->directory);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	for (int i = 0; i < 100; i++)
		assert_int_equal(write(fd, "not a database, but text\n", 25), 25);
	close(fd);
	assert_fails(store_open(f->directory, false, 0, &store, &f->error), -EBADMSG,
		     BN_REASON_STATE);
	assert_says(f->directory);
}

static void test_open_errors(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;
	char path[128];

	assert_fails(store_open("/proc/bridgenet", false, 0, &store, &f->error), -ENOENT,
		     BN_REASON_STATE);
	assert_says("/proc/bridgenet");
	snprintf(path, sizeof(path), "%s/state.db", f->directory);
	assert_fails(store_open(path, false, 0, &store, &f->error), -ENOTDIR, BN_REASON_STATE);
	assert_null(store);
}

/* A listing makes nothing, and what is not there is empty. */
static void test_nothing_to_read(void **state)
{
	struct fixture *f = *state;
	struct store *store;
	network_vector networks = { 0 };
	char path[128];

	for (int with_directory = 0; with_directory < 2; with_directory++) {
		snprintf(path, sizeof(path), "%s/none", f->directory);
		if (with_directory)
			assert_ok(mkdir(path, 0755));
		assert_ok(store_open(path, true, 0, &store, &f->error));
		assert_ok(store_networks(store, 0, &networks, &f->error));
		assert_int_equal(networks.len, 3);
		networks_clear(&networks);
		assert_fails(store_begin(store, &f->error), -EROFS, BN_REASON_STATE);
		assert_true(store_is_stale(store)); /* there may be something by now */
		store_close(store);
		assert_int_equal(rmdir(path), with_directory ? 0 : -1);
	}
}

/* In a child, whose files may not grow: 0 if a commit fails, says so and leaves nothing. */
static int fill_up(const char *directory)
{
	static const struct rlimit limit = { 40000, 40000 };
	char value[META_MAX] = "", key[16];
	struct error error = { 0 };
	struct store *store;
	struct operation operation;
	int r = 0;

	signal(SIGXFSZ, SIG_IGN);
	if (store_open(directory, false, 0, &store, &error) < 0 ||
	    setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	memset(value, 'x', sizeof(value) - 1);
	for (int i = 0; i < 1000 && r == 0; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		if (store_begin(store, &error) < 0)
			return 2;
		if (store_operation_open(store, OPERATION_ATTACH, &operation, &error) < 0 ||
		    store_meta_set(store, key, value, &error) < 0 ||
		    store_operation_close(store, &operation, &error) < 0)
			return 3;
		r = store_commit(store, &error);
	}
	if (r >= 0 || error.reason != BN_REASON_STATE || !strstr(error.message, directory))
		return 4;
	if (store_meta_get(store, key, value, &error) < 0 || *value)
		return 5;
	store_rollback(store);
	store_close(store);
	return 0;
}

static void test_no_room(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	int status;
	pid_t child;

	store_close(f->store);
	f->store = NULL;
	child = fork();
	if (child == 0)
		_exit(fill_up(f->directory));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 0);
	set_up_blue(f, "10.1.0.0/16");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deadline),       TEST(test_open_deadline), TEST(test_newer_format),
		TEST(test_fourth_version), TEST(test_fifth_version), TEST(test_sixth_version),
		TEST(test_damage),         TEST(test_open_errors),   TEST(test_nothing_to_read),
		TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
