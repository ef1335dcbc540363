/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many ports in one transaction, and those that go with an operation. */
#include "store_fixture.h"

#define MANY 300

static void make_many(port_vector *ports, const char *endpoint, const char *host, uint16_t first,
		      size_t len)
{
	ports->len = 0;
	for (size_t i = 0; i < len; i++)
		assert_ok(vector_append(ports, make_port(endpoint, IPPROTO_TCP, host,
							 (uint16_t)(first + i), 1)));
}

static int insert_many(struct fixture *f, const port_vector *ports)
{
	struct operation operation = begin(f, OPERATION_PUBLISH);
	int rc = store_ports_insert(f->store, &operation, ports->items, ports->len, &f->error);

	if (rc == 0)
		finish(f, operation);
	else
		store_rollback(f->store);
	return rc;
}

/* A batch meets what is in its way at whatever place, and is not stopped by what is not. */
static void test_batch_meets(void **state)
{
	static const struct {
		const char *host;
		uint16_t host_port, count;
	} others[] = { { "", 2005, 1 }, { "", 3000, 10 }, { "10.0.0.1", 4005, 1 } };
	static const struct {
		const char *host;
		uint16_t first;
		size_t len;
		const char *in_the_way; /* NULL: nothing */
	} batches[] = {
		{ "", 1000, MANY, NULL },
		{ "", 2000, 5, NULL },
		{ "", 2000, 1, "2000/tcp" },
		{ "", 2001, 10, "2001/tcp" },
		{ "", 2006, MANY, NULL },
		{ "", 1990, 10, NULL },
		{ "", 2990, 20, "3000/tcp" },
		{ "", 3005, 20, "3005/tcp" },
		{ "", 3010, 20, NULL },
		{ "10.0.0.2", 4000, 11, NULL },
		{ "10.0.0.1", 4000, 11, "4005/tcp" },
		{ "", 3900, 150, "4000/tcp" },
		{ "", 65500, 36, NULL },
	};
	struct fixture *f = *state;
	port_vector ports = { 0 };
	size_t count;

	set_up_web(f);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct port port = make_port("db", IPPROTO_TCP, others[i].host, others[i].host_port,
					     others[i].count);

		assert_ok(publish(f, &port));
	}
	for (size_t i = 0; i < ARRAY_SIZE(batches); i++) {
		count = count_ports(f, NULL, NULL, STORE_PENDING);
		make_many(&ports, "web", batches[i].host, batches[i].first, batches[i].len);
		if (!batches[i].in_the_way) {
			assert_ok(insert_many(f, &ports));
			count += ports.len;
			for (size_t j = 0; j < ports.len; j++)
				assert_true(port_is_taken(f, &ports.items[j]));
		} else {
			assert_int_equal(insert_many(f, &ports), -EADDRINUSE);
			assert_says(batches[i].in_the_way);
		}
		assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), count);
	}
	make_many(&ports, "web", "", 5000, MANY);
	assert_ok(vector_append(&ports, ports.items[MANY / 2]));
	assert_int_equal(insert_many(f, &ports), -EADDRINUSE);
	assert_says("twice");
	free(ports.items);
}

/* Of ranges first, of single ports far behind them, and then of one that meets a single port. */
static void test_batch_of_all_lengths(void **state)
{
	struct fixture *f = *state;
	port_vector ports = { 0 };

	set_up_web(f);
	for (uint16_t count = 1; count <= 2; count++) {
		make_many(&ports, "web", "", 8000, 12);
		ports.items[0].count = ports.items[1].count = 10;
		ports.items[1].host_port = 8100;
		for (size_t i = 2; i < ports.len; i++)
			ports.items[i].host_port = (uint16_t)(8200 + i);
		assert_ok(vector_append(&ports, make_port("web", IPPROTO_TCP, "", 8205, count)));
		assert_int_equal(insert_many(f, &ports), -EADDRINUSE);
		assert_says("8205/tcp is asked for twice");
	}
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
	free(ports.items);
}

/* Each keeps what it leads to. */
static void test_batch_leads(void **state)
{
	struct fixture *f = *state;
	port_vector ports = { 0 }, found = { 0 };
	struct operation operation;

	set_up_web(f);
	make_many(&ports, "web", "", 1000, MANY);
	for (size_t i = 0; i < MANY; i++)
		ports.items[i].container_port = (uint16_t)(i < MANY / 2 ? 7000 + i : 80);
	assert_ok(insert_many(f, &ports));
	assert_ok(store_ports(f->store, "blue", "web", 0, &found, &f->error));
	assert_int_equal(found.len, MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(found.items[i].host_port, ports.items[i].host_port);
		assert_int_equal(found.items[i].container_port, ports.items[i].container_port);
	}
	ports_clear(&found);
	/* to be unpublished, they are named with that */
	for (int wrong = 1; wrong >= 0; wrong--) {
		ports.items[MANY / 3].container_port = (uint16_t)(7000 + MANY / 3 + wrong);
		operation = begin(f, OPERATION_UNPUBLISH);
		assert_int_equal(store_ports_mark(f->store, &operation, false, &ports, &f->error),
				 wrong ? -ENOENT : 0);
		store_rollback(f->store);
		ports.len = MANY;
	}
	free(ports.items);
}

static void test_batch_marks(void **state)
{
	struct fixture *f = *state;
	port_vector ports = { 0 };
	struct operation operation;
	struct port hole, other;
	struct rows rows = { 0 };

	set_up_web(f);
	make_many(&ports, "web", "10.0.0.1", 1000, MANY);
	assert_ok(insert_many(f, &ports));
	other = make_port("db", IPPROTO_TCP, "10.0.0.2", 1000 + MANY / 3, 1);
	assert_ok(publish(f, &other));
	hole = ports.items[MANY / 2];
	unpublish(f, &hole);
	assert_int_equal(count_ports(f, NULL, NULL, 0), MANY);

	operation = begin(f, OPERATION_UNPUBLISH);
	assert_fails(store_ports_mark(f->store, &operation, false, &ports, &f->error), -ENOENT,
		     BN_REASON_PORT_UNKNOWN);
	store_rollback(f->store);
	/* given up, by the one that marked them and by another */
	for (int i = 0; i < 2; i++) {
		make_many(&ports, "web", "10.0.0.1", 1000, MANY);
		operation = begin(f, OPERATION_UNPUBLISH);
		assert_ok(store_ports_mark(f->store, &operation, true, &ports, &f->error));
		assert_int_equal(ports.len, MANY - 1);
		for (size_t j = 0; j < ports.len; j++)
			assert_int_not_equal(ports.items[j].host_port, hole.host_port);
		commit(f);
		assert_ok(store_operation_rows(f->store, &operation, &rows, &f->error));
		assert_int_equal(rows.ports.len, MANY - 1);
		rows_clear(&rows);
		if (i) {
			reopen(f);
			assert_int_equal(
				store_operation_take_dead(f->store, 0, &operation, &f->error), 1);
		}
		give_up(f, operation);
		assert_int_equal(count_ports(f, NULL, NULL, STORE_STANDING), MANY);
	}
	operation = begin(f, OPERATION_UNPUBLISH);
	assert_ok(store_ports_mark(f->store, &operation, false, &ports, &f->error));
	commit(f);
	assert_int_equal(count_ports(f, NULL, NULL, STORE_STANDING), 1);
	settle(f, operation);
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 1);
	assert_true(port_is_taken(f, &other));
	free(ports.items);
}

/* A number that was not kept is given again, to another store: what that one has left is found. */
static void test_number_of_another(void **state)
{
	struct fixture *f = *state;
	struct operation first, second;
	struct port port = make_port("web", IPPROTO_TCP, "", 80, 1);
	struct store *other, *own = f->store;

	set_up_web(f);
	first = begin(f, OPERATION_PUBLISH);
	store_rollback(f->store);
	assert_ok(store_open(f->directory, false, 0, &other, &f->error));
	f->store = other;
	second = begin(f, OPERATION_PUBLISH);
	assert_int_equal(first.id, second.id);
	assert_ok(store_ports_insert(other, &second, &port, 1, &f->error));
	commit(f);
	store_close(other);
	f->store = own;
	assert_int_equal(store_operation_take_dead(own, 0, &second, &f->error), 1);
	give_up(f, second);
	assert_int_equal(count_ports(f, NULL, NULL, STORE_PENDING), 0);
}

/* No mark of their own is needed. */
static void test_ports_go_with_endpoint(void **state)
{
	struct fixture *f = *state;
	struct port port = make_port("web", IPPROTO_TCP, "", 80, 1);
	struct port same = make_port("db", IPPROTO_TCP, "", 80, 1);
	struct operation operation;
	struct rows rows = { 0 };

	set_up_web(f);
	assert_ok(publish(f, &port));
	for (int i = 0; i < 2; i++) {
		operation = begin(f, OPERATION_DETACH);
		assert_ok(store_endpoint_mark(f->store, &operation, "blue", "web", &f->error));
		commit(f);
		assert_int_equal(publish(f, &same), -EBUSY); /* it may be free in a moment */
		assert_int_equal(count_ports(f, NULL, NULL, 0), 1);
		assert_int_equal(count_ports(f, NULL, NULL, STORE_STANDING), 0);
		assert_ok(store_operation_rows(f->store, &operation, &rows, &f->error));
		assert_int_equal(rows.ports.len, 1);
		rows_clear(&rows);
		if (i == 0)
			give_up(f, operation);
		else
			settle(f, operation);
		assert_int_equal(publish(f, &same), i == 0 ? -EADDRINUSE : 0);
	}
}

/* The store knows where the endpoint is of the operation that it has opened last, and looks through
 * all for that of another. */
static void test_endpoints_of_operations(void **state)
{
	struct fixture *f = *state;
	static const char *const ids[] = { "a", "b", "c" };
	struct operation operations[3];
	CLEANUP(rows_clear) struct rows rows = { 0 };

	set_up_blue(f, "10.1.0.0/16");
	add_endpoint(f, "blue", "web", "10.1.0.2/16");
	for (int i = 0; i < 3; i++) {
		char address[] = "10.1.0.5/16";
		struct endpoint endpoint;

		address[7] = (char)('5' + i);
		endpoint = make_endpoint("blue", ids[i], address);
		operations[i] = begin(f, OPERATION_ATTACH);
		assert_ok(store_endpoint_insert(f->store, &operations[i], &endpoint, &f->error));
		commit(f);
	}
	assert_int_equal(count_endpoints(f, "blue", STORE_PENDING), 4);
	for (int i = 0; i < 3; i++) {
		rows_clear(&rows);
		assert_ok(store_operation_rows(f->store, &operations[i], &rows, &f->error));
		assert_int_equal(rows.endpoints.len, 1);
		assert_string_equal(rows.endpoints.items->id, ids[i]);
	}
	give_up(f, operations[2]);
	assert_int_equal(count_endpoints(f, "blue", STORE_PENDING), 3);
	give_up(f, operations[0]);
	assert_int_equal(count_endpoints(f, "blue", STORE_PENDING), 2);
	settle(f, operations[1]);
	assert_int_equal(count_endpoints(f, "blue", 0), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_endpoints_of_operations),
		TEST(test_batch_meets),
		TEST(test_batch_of_all_lengths),
		TEST(test_batch_leads),
		TEST(test_batch_marks),
		TEST(test_number_of_another),
		TEST(test_ports_go_with_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
