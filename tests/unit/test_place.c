/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory of a state: whose it is, and that it stays what it was. */
#include "store_fixture.h"

#define NOBODY 65534

static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm", "operations.lock",
				     "generation" };

/* The path of a file in the directory, until the next call but three. */
static const char *in(const struct fixture *f, const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->directory, name);
	return path;
}

static int mode_of(const char *path)
{
	struct stat status;

	assert_ok(lstat(path, &status));
	return status.st_mode & 07777;
}

static void assert_private(const struct fixture *f)
{
	assert_int_equal(mode_of(f->directory), 0700);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_int_equal(mode_of(in(f, files[i])), 0600);
}

/* ---- for the owner alone ---- */

static void test_modes(void **state)
{
	static const mode_t masks[] = { 0, 077, 0777 };
	struct fixture *f = *state;
	struct fixture *inside;
	mode_t mask;

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		inside = calloc(1, sizeof(*inside));
		snprintf(inside->directory, sizeof(inside->directory), "%.40s/state", f->directory);
		mask = umask(masks[i]);
		assert_ok(store_open(inside->directory, false, 0, &inside->store, &f->error));
		umask(mask);
		assert_private(inside);
		teardown((void **)&inside);
	}
}

/* The first release let everybody read. */
static void test_older_modes(void **state)
{
	struct fixture *f = *state;

	for (int read_only = 0; read_only < 2; read_only++) {
		store_close(f->store);
		assert_ok(chmod(f->directory, 0755));
		for (size_t i = 0; i < ARRAY_SIZE(files); i++)
			assert_ok(chmod(in(f, files[i]), 0644));
		assert_ok(store_open(f->directory, read_only, 0, &f->store, &f->error));
		assert_private(f);
	}
}

static void assert_refused(struct fixture *f, const char *directory, int code)
{
	struct store *store = NULL;

	for (int read_only = 0; read_only < 2; read_only++) {
		assert_fails(store_open(directory, read_only, 0, &store, &f->error), code,
			     BN_REASON_STATE);
		assert_says(directory);
		assert_null(store);
	}
}

/* A directory that is not the state's alone stays open to those who need it. */
static void test_shared_directory(void **state)
{
	struct fixture *f = *state;

	assert_ok(mkdir(in(f, "theirs"), 0755));
	assert_ok(chmod(f->directory, 0755));
	assert_refused(f, f->directory, -EACCES);
	assert_says("theirs");
	assert_int_equal(mode_of(f->directory), 0755);
	assert_ok(chmod(f->directory, 0700));
	reopen(f);
	assert_ok(rmdir(in(f, "theirs")));
}

static void test_writable_by_others(void **state)
{
	static const mode_t modes[] = { 0770, 0707, 0777, 01777, 0720 };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_ok(chmod(f->directory, modes[i]));
		assert_refused(f, f->directory, -EACCES);
		assert_says("chmod");
		assert_int_equal(mode_of(f->directory), (int)modes[i]);
	}
	assert_ok(chmod(f->directory, 0700));
}

static void test_parents(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner;
		bool legal;
	} cases[] = {
		{ 0755, 0, true },  { 01777, 0, true },      { 0777, 0, false },
		{ 0775, 0, false }, { 0755, NOBODY, false }, { 01777, NOBODY, false },
	};
	struct fixture *f = *state;
	struct store *store;

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(mkdir(in(f, "parent"), 0700));
		assert_ok(chown(in(f, "parent"), cases[i].owner, 0));
		assert_ok(chmod(in(f, "parent"), cases[i].mode));
		assert_ok(mkdir(in(f, "parent/way"), 0700));
		if (cases[i].legal) {
			assert_ok(
				store_open(in(f, "parent/way/state"), true, 0, &store, &f->error));
			store_close(store);
		} else {
			assert_refused(f, in(f, "parent/way/state"), -EACCES);
			assert_says("parent");
		}
		assert_ok(rmdir(in(f, "parent/way")));
		assert_ok(rmdir(in(f, "parent")));
	}
}

static void test_belongs_to_another(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_ok(chown(f->directory, NOBODY, NOBODY));
	assert_refused(f, f->directory, -EACCES);
	assert_says("user 65534");
	assert_ok(chown(f->directory, 0, 0));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_ok(chown(in(f, files[i]), NOBODY, 0));
		assert_refused(f, f->directory, -EACCES);
		assert_says(files[i]);
		assert_ok(chown(in(f, files[i]), 0, 0));
	}
}

static void test_links(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct store *store;

	snprintf(path, sizeof(path), "%s-link", f->directory);
	assert_ok(symlink(f->directory, path));
	assert_refused(f, path, -ENOTDIR);
	assert_says("symbolic link");
	/* one on the way is resolved */
	strcat(path, "/state");
	assert_ok(store_open(path, false, 0, &store, &f->error));
	store_close(store);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "state/%s", files[i]);
		assert_ok(unlink(in(f, path)));
	}
	assert_ok(rmdir(in(f, "state")));
	snprintf(path, sizeof(path), "%s-link", f->directory);
	assert_ok(unlink(path));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_ok(rename(in(f, files[i]), in(f, "kept")));
		assert_ok(symlink("kept", in(f, files[i])));
		assert_refused(f, f->directory, -EACCES);
		assert_says(files[i]);
		assert_ok(unlink(in(f, files[i])));
		assert_ok(link(in(f, "kept"), in(f, files[i])));
		assert_refused(f, f->directory, -EACCES);
		assert_ok(unlink(in(f, "kept")));
	}
	reopen(f);
}

/* In a child, as nobody: 0 if nothing of the state can be opened. */
static int look_as_nobody(const struct fixture *f)
{
	struct error error = { 0 };
	struct store *store;

	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 1;
	for (int read_only = 0; read_only < 2; read_only++)
		if (store_open(f->directory, read_only, 0, &store, &error) != -EACCES ||
		    !strstr(error.message, "run as that user"))
			return 2;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (open(in(f, files[i]), O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
			return 3;
	return 0;
}

/* Not even a lock for reading, which would hold up every writer. */
static void test_nobody(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t child;

	if (geteuid() != 0)
		skip();
	child = fork();
	if (child == 0)
		_exit(look_as_nobody(f));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- the same from call to call ---- */

/* What was looked at is to be changed now; in between, the files are somebody else's. */
static void test_removed_after_look(void **state)
{
	struct fixture *f = *state;
	struct store_look look;

	for (size_t i = 0; i < 3; i++) {
		assert_ok(store_look(f->store, &look, &f->error));
		assert_ok(rename(in(f, files[i]), in(f, "kept")));
		assert_fails(store_begin(f->store, &f->error), -EBADMSG, BN_REASON_STATE);
		assert_ok(rename(in(f, "kept"), in(f, files[i])));
	}
	assert_ok(store_look(f->store, &look, &f->error));
	assert_int_equal(store_begin(f->store, &f->error), 1);
	store_rollback(f->store);
}

static void test_removed_file(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_false(store_is_stale(f->store));
		assert_ok(rename(in(f, files[i]), in(f, "kept")));
		assert_true(store_is_stale(f->store));
		/* what goes on in the lock file and the generation is not lost with them */
		if (i < 3)
			assert_fails(store_begin(f->store, &f->error), -EBADMSG, BN_REASON_STATE);
		else
			assert_ok(store_begin(f->store, &f->error));
		store_rollback(f->store);
		close(open(in(f, files[i]), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
		assert_true(store_is_stale(f->store));
		assert_ok(rename(in(f, "kept"), in(f, files[i])));
	}
	assert_false(store_is_stale(f->store));
	assert_ok(store_begin(f->store, &f->error));
	store_rollback(f->store);
}

static void test_removed_directory(void **state)
{
	struct fixture *f = *state;
	char aside[128];

	snprintf(aside, sizeof(aside), "%s-aside", f->directory);
	set_up_blue(f, "10.1.0.0/16");
	assert_ok(rename(f->directory, aside));
	assert_true(store_is_stale(f->store));
	assert_fails(store_begin(f->store, &f->error), -EBADMSG, BN_REASON_STATE);
	assert_ok(mkdir(f->directory, 0700));
	assert_true(store_is_stale(f->store));
	assert_ok(rmdir(f->directory));
	assert_ok(rename(aside, f->directory));
	assert_false(store_is_stale(f->store));
	assert_int_equal(count_networks(f, 0), 4);
}

/* Its owner holds its lock where nobody else can look for it. */
static void test_removed_lock_file(void **state)
{
	struct fixture *f = *state;
	struct operation operation, found;
	struct store *other;

	set_up_blue(f, "10.1.0.0/16");
	for (int dies = 0; dies < 2; dies++) {
		operation = begin(f, OPERATION_UNPUBLISH);
		commit(f);
		assert_ok(unlink(in(f, "operations.lock")));
		assert_ok(store_open(f->directory, false, 0, &other, &f->error));
		assert_int_equal(store_operation_take_dead(other, 0, &found, &f->error), 0);
		assert_fails(store_take_over(other, "namespace", "", &f->error), -EBUSY,
			     BN_REASON_BUSY);
		if (dies) {
			reopen(f);
			assert_int_equal(store_operation_take_dead(other, 0, &found, &f->error), 1);
			assert_int_equal(found.id, operation.id);
			assert_int_equal(store_operation_take_dead(f->store, 0, &found, &f->error),
					 0);
			operation = found;
		} else {
			settle(f, operation);
			assert_int_equal(store_operation_take_dead(other, 0, &found, &f->error), 0);
		}
		store_close(other);
	}
	assert_int_equal(store_operation_take_dead(f->store, 0, &found, &f->error), 1);
	settle(f, found);
}

/* ---- taking over ---- */

static void set_meta(struct fixture *f, const char *key, const char *value)
{
	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_meta_set(f->store, key, value, &f->error));
	commit(f);
}

static void test_take_over(void **state)
{
	struct fixture *f = *state;
	struct network bridge, again;
	char value[META_MAX];
	struct operation operation;
	struct port port;

	assert_ok(store_network_get(f->store, "bridge", &bridge, &f->error));
	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "a", "10.1.0.2/16");
	port = make_port("a", IPPROTO_TCP, "", 80, 1);
	assert_ok(publish(f, &port));
	operation = begin(f, OPERATION_DETACH);
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "a", &f->error));
	commit(f);
	set_meta(f, "namespace", "there");
	set_meta(f, "backend", "nftables");
	set_meta(f, "ipv6.global-id", "1234");
	reopen(f); /* its owner is dead */
	assert_int_equal(store_take_over(f->store, "namespace", "elsewhere", &f->error), 0);
	assert_int_equal(count_networks(f, 0), 4);
	assert_int_equal(store_take_over(f->store, "namespace", "there", &f->error), 1);
	assert_int_equal(store_take_over(f->store, "namespace", "there", &f->error), 0);
	assert_int_equal(count_networks(f, STORE_PENDING), 3);
	assert_int_equal(count_endpoints(f, NULL, STORE_PENDING), 0);
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
	assert_int_equal(store_operation_take_dead(f->store, 0, &operation, &f->error), 0);
	assert_ok(store_meta_get(f->store, "namespace", value, &f->error));
	assert_string_equal(value, "");
	assert_ok(store_meta_get(f->store, "backend", value, &f->error));
	assert_string_equal(value, "");
	assert_ok(store_meta_get(f->store, "ipv6.global-id", value, &f->error));
	assert_string_equal(value, "1234");
	assert_ok(store_network_get(f->store, "bridge", &again, &f->error));
	assert_string_equal(again.id, bridge.id);
	network_clear(&bridge);
	network_clear(&again);
	/* and its addresses are free */
	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "b", "10.1.0.2/16");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_older_modes),
		TEST(test_shared_directory),
		TEST(test_writable_by_others),
		TEST(test_parents),
		TEST(test_belongs_to_another),
		TEST(test_links),
		TEST(test_nobody),
		TEST(test_removed_after_look),
		TEST(test_removed_file),
		TEST(test_removed_directory),
		TEST(test_removed_lock_file),
		TEST(test_take_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
