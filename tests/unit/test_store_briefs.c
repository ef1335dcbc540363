/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of many endpoints at once, and which of them is still the one that it was. */
#include "store_fixture.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct {
	const char *id, *host_interface;
	uint64_t sandbox_inode, sandbox_cookie;
} first = { "web", "bv000000000001", 77, 7 }, others[] = {
	{ "web", "bv000000000001", 77, 8 }, /* the number of its namespace was given again, too */
	{ "web", "bv000000000001", 78, 7 },
	{ "web", "bv000000000002", 77, 7 },
	{ "db", "bv000000000002", 78, 8 },
};

static uint64_t add(struct fixture *f, const char *id, const char *host_interface,
		    uint64_t sandbox_inode, uint64_t sandbox_cookie)
{
	struct operation operation = begin(f, OPERATION_ATTACH);
	struct endpoint endpoint = make_endpoint("blue", id, NULL);

	string_copy(endpoint.host_interface, sizeof(endpoint.host_interface), host_interface);
	endpoint.sandbox_inode = sandbox_inode;
	endpoint.sandbox_cookie = sandbox_cookie;
	assert_ok(store_endpoint_insert(f->store, &operation, &endpoint, &f->error));
	finish(f, operation);
	return endpoint.sequence;
}

static struct endpoint_brief add_first(struct fixture *f)
{
	brief_vector briefs = { 0 };
	struct endpoint_brief brief;

	add(f, first.id, first.host_interface, first.sandbox_inode, first.sandbox_cookie);
	assert_ok(store_endpoint_briefs(f->store, &briefs, &f->error));
	assert_int_equal(briefs.len, 1);
	brief = briefs.items[0];
	free(briefs.items);
	return brief;
}

static int look(struct fixture *f, const struct endpoint_brief *brief)
{
	struct endpoint found = { 0 };
	int r = store_endpoint_of_brief(f->store, brief, &found, &f->error);

	if (r > 0)
		assert_string_equal(found.id, first.id);
	endpoint_clear(&found);
	return r;
}

static void test_the_same(void **state)
{
	struct fixture *f = *state;
	struct endpoint_brief brief;
	struct operation operation;

	set_up_blue(f, "10.1.0.0/16");
	brief = add_first(f);
	assert_string_equal(brief.network, "blue");
	assert_string_equal(brief.host_interface, first.host_interface);
	assert_true(brief.sandbox_inode == first.sandbox_inode);
	assert_true(brief.sandbox_cookie == first.sandbox_cookie);
	assert_int_equal(look(f, &brief), 1);
	operation = begin(f, OPERATION_DETACH);
	assert_ok(store_endpoint_mark(f->store, &operation, "blue", first.id, &f->error));
	commit(f);
	assert_int_equal(look(f, &brief), 0);
	settle(f, operation);
	assert_int_equal(look(f, &brief), 0);
}

/* Numbers of rows are given again: what lives now is not what was found dead. */
static void test_number_given_again(void **state)
{
	struct fixture *f = *state;
	struct endpoint_brief brief;

	set_up_blue(f, "10.1.0.0/16");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		brief = add_first(f);
		remove_endpoint(f, "blue", first.id);
		assert_true(add(f, others[i].id, others[i].host_interface, others[i].sandbox_inode,
				others[i].sandbox_cookie) == brief.sequence);
		assert_int_equal(look(f, &brief), 0);
		remove_endpoint(f, "blue", others[i].id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_same),
		TEST(test_number_given_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
