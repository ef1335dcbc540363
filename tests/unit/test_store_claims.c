/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: calls that wait for what others are at, and those that come later. */
#include "store_fixture.h"

#include "base/clock.h"

#define SHORT_MS 1000 /* others wait as long for what does not move */
#define TRIES 5       /* a machine that does something else makes single waits longer */

/* Each is a call of its own: what it has locked the others see, in one process, too. */
static struct store *open_another(struct fixture *f, const struct deadline *deadline)
{
	struct store *store;

	assert_ok(store_open(f->directory, false, deadline, &store, &f->error));
	return store;
}

typedef int (*try_fn)(struct store *store, struct operation *operation, struct error *error);

static int want_network(struct store *store, const char *name, struct operation *operation,
			struct error *error)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r = store_operation_open(store, OPERATION_UPDATE, operation, error);

	if (r == 0)
		r = store_network_get(store, name, &network, error);
	return r < 0 ? r : store_network_update(store, operation, &network, error);
}

static int want_blue(struct store *store, struct operation *operation, struct error *error)
{
	return want_network(store, "blue", operation, error);
}

static int want_red(struct store *store, struct operation *operation, struct error *error)
{
	return want_network(store, "red", operation, error);
}

static int want_web(struct store *store, struct operation *operation, struct error *error)
{
	int r = store_operation_open(store, OPERATION_DETACH, operation, error);

	return r < 0 ? r : store_endpoint_mark(store, operation, "blue", "web", error);
}

static int use(struct store *store, const char *network, const char *id, struct error *error)
{
	CLEANUP(network_clear) struct network with = { 0 };
	CLEANUP(endpoint_clear) struct endpoint endpoint = { 0 };
	int r = store_network_use(store, network, &with, error);

	return r < 0 || !id ? r : store_endpoint_use(store, network, id, &endpoint, error);
}

static int use_db(struct store *store, struct operation *operation, struct error *error)
{
	(void)operation;
	return use(store, "blue", "db", error);
}

static int use_web(struct store *store, struct operation *operation, struct error *error)
{
	(void)operation;
	return use(store, "blue", "web", error);
}

static int use_red(struct store *store, struct operation *operation, struct error *error)
{
	(void)operation;
	return use(store, "red", NULL, error);
}

/* One try, as operation_reserve() has it. */
static int reserve(struct fixture *f, struct store *store, try_fn try, struct operation *operation)
{
	int r;

	store_claim_begin(store);
	assert_in_range(store_begin(store, &f->error), 0, 1);
	r = store_claim_state(store, false, &f->error);
	if (r == 0)
		r = try(store, operation, &f->error);
	if (r == 0)
		assert_ok(store_commit(store, &f->error));
	store_rollback(store);
	if (r == 0)
		store_claim_end(store);
	return r;
}

static void close_operation(struct fixture *f, struct store *store,
			    const struct operation *operation)
{
	assert_in_range(store_begin(store, &f->error), 0, 1);
	assert_ok(store_operation_close(store, operation, &f->error));
	assert_ok(store_commit(store, &f->error));
}

static int use_once(struct fixture *f, try_fn try)
{
	struct store *store = open_another(f, NULL);
	int r = reserve(f, store, try, NULL);

	store_close(store);
	return r;
}

static void set_up_two(struct fixture *f)
{
	struct network red = make_network("red", 'a', "10.2.0.0/16");

	set_up_web(f);
	add_network(f, &red);
}

/* Somebody is at endpoint db. */
static struct operation be_at_db(struct fixture *f)
{
	struct operation operation = begin(f, OPERATION_DETACH);

	assert_ok(store_endpoint_mark(f->store, &operation, "blue", "db", &f->error));
	commit(f);
	return operation;
}

static struct store *claim(struct fixture *f, try_fn try, const struct deadline *deadline)
{
	struct store *store = open_another(f, deadline);

	assert_int_equal(reserve(f, store, try, &(struct operation){ 0 }), -EBUSY);
	assert_int_equal(store_claim_wait(store), 1);
	return store;
}

static void test_later_ones_stand_behind(void **state)
{
	struct fixture *f = *state;
	struct operation busy, update;
	struct store *waits;

	set_up_two(f);
	busy = be_at_db(f);
	assert_ok(use_once(f, use_web));
	waits = claim(f, want_blue, NULL);
	assert_fails(use_once(f, use_web), -EBUSY, BN_REASON_BUSY);
	assert_says("another call waits for network blue");
	assert_ok(use_once(f, use_red));
	/* what is under way comes to its end */
	settle(f, busy);
	assert_int_equal(use_once(f, use_web), -EBUSY);
	assert_ok(reserve(f, waits, want_blue, &update));
	assert_fails(use_once(f, use_web), -EBUSY, BN_REASON_BUSY);
	assert_says("is just being changed");
	close_operation(f, waits, &update);
	assert_ok(use_once(f, use_web));
	store_close(waits);
}

static void test_endpoint(void **state)
{
	struct fixture *f = *state;
	struct port port = make_port("web", 6, "", 8080, 1);
	struct operation publishes, detach;
	struct store *waits;

	set_up_two(f);
	publishes = begin(f, OPERATION_PUBLISH);
	assert_ok(store_ports_insert(f->store, &publishes, &port, 1, &f->error));
	commit(f);
	waits = claim(f, want_web, NULL);
	assert_fails(use_once(f, use_web), -EBUSY, BN_REASON_BUSY);
	assert_says("another call waits for endpoint web of network blue");
	assert_ok(use_once(f, use_db));
	settle(f, publishes);
	assert_ok(reserve(f, waits, want_web, &detach));
	close_operation(f, waits, &detach);
	store_close(waits);
}

/* Who was there before stands behind nobody that came later. */
static void test_first_goes_on(void **state)
{
	struct fixture *f = *state;
	struct store *first, *second;
	struct operation busy, other;

	set_up_two(f);
	busy = be_at_db(f);
	other = begin(f, OPERATION_UPDATE);
	assert_ok(want_red(f->store, &other, &f->error));
	commit(f);
	first = claim(f, want_blue, NULL);
	second = claim(f, want_red, NULL);
	settle(f, other);
	assert_int_equal(reserve(f, second, use_web, NULL), -EBUSY);
	assert_ok(reserve(f, first, use_red, NULL));
	settle(f, busy);
	store_close(first);
	assert_ok(reserve(f, second, use_web, NULL));
	store_close(second);
}

static void test_dead_claim_nothing(void **state)
{
	struct fixture *f = *state;
	struct store *dead;

	set_up_two(f);
	be_at_db(f);
	dead = claim(f, want_blue, NULL);
	assert_int_equal(use_once(f, use_web), -EBUSY);
	store_close(dead);
	assert_ok(use_once(f, use_web));
}

/* Once, and by nobody after that. */
static void test_what_does_not_move_is_passed_over(void **state)
{
	struct fixture *f = *state;
	struct deadline deadline = { 0 };
	struct store *stopped, *behind;
	uint64_t begun, took = UINT64_MAX;
	int r = 0;

	set_up_two(f);
	be_at_db(f);
	/* half of its time, where that is less than others would wait */
	for (int i = 0; i < TRIES && took >= SHORT_MS; i++) {
		if (i > 0) {
			store_close(stopped);
			store_close(behind);
		}
		stopped = claim(f, want_blue, NULL);
		behind = open_another(f, &deadline);
		begun = clock_now_ms();
		deadline = deadline_after(SHORT_MS);
		assert_int_equal(reserve(f, behind, use_web, NULL), -EBUSY);
		r = store_claim_wait(behind);
		took = clock_now_ms() - begun;
		deadline.end = 0;
	}
	assert_int_equal(r, 1);
	assert_in_range(took, SHORT_MS / 2 - 50, SHORT_MS - 10);
	assert_ok(reserve(f, behind, use_web, NULL));
	assert_ok(use_once(f, use_web));
	/* it is in line no more, and waits all the same */
	assert_int_equal(reserve(f, stopped, want_blue, &(struct operation){ 0 }), -EBUSY);
	store_close(stopped);
	store_close(behind);
}

/* Who waits for something else, and was there before, keeps his place. */
static void test_others_of_that_age_are_not(void **state)
{
	struct fixture *f = *state;
	struct deadline deadline = deadline_after(800);
	struct store *waits, *stopped, *behind;
	struct operation busy, other;

	set_up_two(f);
	busy = be_at_db(f);
	other = begin(f, OPERATION_UPDATE);
	assert_ok(want_red(f->store, &other, &f->error));
	commit(f);
	waits = claim(f, want_red, NULL);
	stopped = claim(f, want_blue, NULL);
	behind = open_another(f, &deadline);
	assert_int_equal(reserve(f, behind, use_web, NULL), -EBUSY);
	assert_int_equal(store_claim_wait(behind), 1);
	assert_ok(reserve(f, behind, use_web, NULL));
	settle(f, other);
	assert_fails(use_once(f, use_red), -EBUSY, BN_REASON_BUSY);
	assert_says("another call waits for network red");
	settle(f, busy);
	store_close(waits);
	assert_ok(use_once(f, use_red));
	store_close(stopped);
	store_close(behind);
}

/* What is written there makes no sense: that costs turns, and that is all. */
static void test_damaged_tickets(void **state)
{
	static const uint64_t senseless[][2] = {
		{ UINT64_MAX, 0 },
		{ 5, 900 },
		{ UINT64_C(1) << 50, UINT64_C(1) << 50 },
	};
	struct fixture *f = *state;
	struct store *waits;
	char path[128];
	int fd;

	set_up_two(f);
	be_at_db(f);
	snprintf(path, sizeof(path), "%s/operations.lock", f->directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(senseless); i++) {
		assert_int_equal(pwrite(fd, senseless[i], 16, 16), 16);
		waits = claim(f, want_blue, NULL);
		assert_int_equal(use_once(f, use_web), -EBUSY);
		store_close(waits);
		assert_ok(use_once(f, use_web));
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_later_ones_stand_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_claim_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_does_not_move_is_passed_over, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_others_of_that_age_are_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_tickets, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
