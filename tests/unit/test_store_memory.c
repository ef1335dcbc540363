/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever SQLite has no memory for: what is read is whole or an error, never an empty text. */
#include "store_fixture.h"

static sqlite3_mem_methods real;
static long left = -1; /* allocations until one fails, once; -1: none does */

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

static void *failing_malloc(int size)
{
	return fails() ? NULL : real.xMalloc(size);
}

static void *failing_realloc(void *memory, int size)
{
	return fails() ? NULL : real.xRealloc(memory, size);
}

static int setup_sqlite(void **state)
{
	sqlite3_mem_methods methods;

	(void)state;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real), SQLITE_OK);
	methods = real;
	methods.xMalloc = failing_malloc;
	methods.xRealloc = failing_realloc;
	/* else most small things come from a pool that was had before */
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

/* Reads, with each allocation failing in turn, until none does. */
static void sweep(struct fixture *f, int (*read)(struct fixture *f))
{
	long fails_at = 0;
	int r;

	do {
		reopen(f); /* statements are prepared again */
		error_clear(&f->error);
		left = fails_at++;
		r = read(f);
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(f->error.code, -ENOMEM);
		}
	} while (left < 0 && fails_at < 10000);
	left = -1;
	assert_ok(r);
	assert_true(fails_at > 5);
}

static int read_endpoint(struct fixture *f)
{
	struct endpoint endpoint = { 0 };
	int r = store_endpoint_get(f->store, "blue", "a", &endpoint, &f->error);

	if (r == 0) {
		assert_string_equal(endpoint.id, "a");
		assert_string_equal(endpoint.sandbox, "/run/netns/somewhere");
		assert_true(addr_is_set(&endpoint.ipv4.addr));
		assert_int_equal(endpoint.options.len, 1);
	}
	endpoint_clear(&endpoint);
	return r;
}

static int read_network(struct fixture *f)
{
	struct network network = { 0 };
	int r = store_network_get(f->store, "blue", &network, &f->error);

	if (r == 0) {
		assert_string_equal(network.bridge, "br-blue");
		assert_true(addr_is_set(&network.ipv4.prefix.addr));
	}
	network_clear(&network);
	return r;
}

static int read_meta(struct fixture *f)
{
	char value[META_MAX];
	int r = store_meta_get(f->store, "backend", value, &f->error);

	if (r == 0)
		assert_string_equal(value, "nftables");
	return r;
}

/* An address that a detach did not release would be taken for ever. */
static int attach_and_detach(struct fixture *f)
{
	struct endpoint endpoint = make_endpoint("blue", "b", "10.1.0.9/16");
	struct operation operation;
	int r = store_begin(f->store, &f->error);

	if (r == 0)
		r = store_operation_open(f->store, OPERATION_ATTACH, &operation, &f->error);
	if (r == 0)
		r = store_endpoint_insert(f->store, &operation, &endpoint, &f->error);
	if (r == 0)
		r = store_operation_abandon(f->store, &operation, &f->error);
	if (r == 0)
		r = store_commit(f->store, &f->error);
	store_rollback(f->store);
	if (r == 0) {
		long before = left;

		left = -1;
		add_endpoint(f, "blue", "c", "10.1.0.9/16");
		remove_endpoint(f, "blue", "c");
		left = before;
	}
	return r;
}

static void test_reads(void **state)
{
	struct fixture *f = *state;
	struct operation operation;
	struct endpoint endpoint;

	set_up_blue(f, "10.1.0.0/16");
	operation = begin(f, OPERATION_ATTACH);
	endpoint = make_endpoint("blue", "a", "10.1.0.2/16");
	strcpy(endpoint.sandbox, "/run/netns/somewhere");
	assert_ok(options_set(&endpoint.options, "label.a", "b"));
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	assert_ok(store_meta_set(f->store, "backend", "nftables", &f->error));
	finish(f, operation);
	endpoint_clear(&endpoint);
	sweep(f, read_endpoint);
	sweep(f, read_network);
	sweep(f, read_meta);
	sweep(f, attach_and_detach);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_sqlite, NULL);
}
