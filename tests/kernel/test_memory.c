/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * With each backend, every allocation of every verb and listing fails once, whether it is the
 * library's own or one of SQLite, libnl, libmnl, libnftnl or libiptc: the call says so, and what the
 * kernel and the state show is what they showed before.
 */
#include "verb_stage.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALLOCATIONS_MAX 20000
#define CHECK_EACH 16 /* a look at all that there is takes longer than a verb */

/* ---- allocations ---- */

/* That succeed before the one that fails; negative: all do. Threads of the library count too. */
static atomic_int allocations_left = -1;

/* A program's own malloc() serves every library that it is linked with. Memory comes from where
 * free() will look for it: from the sanitizers, if they are there, else from libc. */
#define NEXT(function) (__interceptor_##function ? __interceptor_##function : __libc_##function)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t len, size_t size);
void *__libc_realloc(void *pointer, size_t size);
__attribute__((weak)) void *__interceptor_malloc(size_t size);
__attribute__((weak)) void *__interceptor_calloc(size_t len, size_t size);
__attribute__((weak)) void *__interceptor_realloc(void *pointer, size_t size);

/* libiptc makes one for each rule that it reads, in the same line: some of them will do. */
#define LIBIPTC_EACH 7
static atomic_int of_libiptc;

/* dlopen() does not say why it fails. The sanitizers give up when a thread begins without. */
static bool is_excused(const void *caller)
{
	static const char *const libraries[] = { "/ld-", "/libasan." };
	Dl_info info;

	if (__interceptor_malloc && gettid() != getpid())
		return true;
	if (!dladdr(caller, &info))
		return false;
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		if (strstr(info.dli_fname, libraries[i]))
			return true;
	return (strstr(info.dli_fname, "/libip4tc.") || strstr(info.dli_fname, "/libip6tc.")) &&
	       atomic_fetch_add(&of_libiptc, 1) % LIBIPTC_EACH != 0;
}

/* Called before the sanitizers are set up, and so without them. */
#define EARLY __attribute__((no_sanitize("address", "undefined")))

EARLY static bool allocation_fails(const void *caller)
{
	if (atomic_load(&allocations_left) < 0 || is_excused(caller) ||
	    atomic_fetch_sub(&allocations_left, 1) != 0)
		return false;
	errno = ENOMEM;
	return true;
}

EARLY void *malloc(size_t size)
{
	return allocation_fails(__builtin_return_address(0)) ? NULL : NEXT(malloc)(size);
}

EARLY void *calloc(size_t len, size_t size)
{
	return allocation_fails(__builtin_return_address(0)) ? NULL : NEXT(calloc)(len, size);
}

EARLY void *realloc(void *pointer, size_t size)
{
	return allocation_fails(__builtin_return_address(0)) ? NULL : NEXT(realloc)(pointer, size);
}

static int allocations_to_come = -1; /* of the next verb */

static void begin_starving(void)
{
	atomic_store(&of_libiptc, 0);
	atomic_store(&allocations_left, allocations_to_come);
}

/* The verb with its n-th allocation failing. *ret_reached: it had as many. */
static int starve(verb_fn verb, bn_ctx *ctx, int n, bool *ret_reached)
{
	int r;

	allocations_to_come = n;
	r = verb(ctx);
	*ret_reached = atomic_exchange(&allocations_left, -1) < 0;
	allocations_to_come = -1;
	return r;
}

/* ---- the cases ---- */

static int list_networks(bn_ctx *ctx)
{
	bn_network_list *list = NULL;
	int r;

	BEGIN_VERB();
	r = bn_networks_list(ctx, BN_GET_INTERFACE, &list);

	assert_int_equal(r < 0, list == NULL);
	bn_network_list_free(list);
	return r;
}

static int get_network(bn_ctx *ctx)
{
	bn_network *network = NULL;
	int r;

	BEGIN_VERB();
	r = bn_network_get(ctx, "front", BN_GET_INTERFACE, &network);

	assert_int_equal(r < 0, network == NULL);
	bn_network_free(network);
	return r;
}

static int list_endpoints(bn_ctx *ctx)
{
	bn_endpoint_list *list = NULL;
	int r;

	BEGIN_VERB();
	r = bn_endpoints_list(ctx, NULL, BN_GET_INTERFACE, &list);

	assert_int_equal(r < 0, list == NULL);
	bn_endpoint_list_free(list);
	return r;
}

static int get_endpoint(bn_ctx *ctx)
{
	bn_endpoint *endpoint = NULL;
	int r;

	BEGIN_VERB();
	r = bn_endpoint_get(ctx, "front", "web", BN_GET_INTERFACE, &endpoint);

	assert_int_equal(r < 0, endpoint == NULL);
	bn_endpoint_free(endpoint);
	return r;
}

static int open_sandbox(bn_ctx *ctx)
{
	int fd = -1, r;

	BEGIN_VERB();
	r = bn_endpoint_open_sandbox(ctx, "front", "web", 0, &fd);
	assert_int_equal(r < 0, fd < 0);
	if (fd >= 0)
		close(fd);
	return r;
}

static int list_ports(bn_ctx *ctx)
{
	bn_port_list *list = NULL;
	int r;

	BEGIN_VERB();
	r = bn_ports_list(ctx, "front", NULL, 0, &list);

	assert_int_equal(r < 0, list == NULL);
	bn_port_list_free(list);
	return r;
}

static int list_rules(bn_ctx *ctx)
{
	bn_rule_list *list = NULL;
	int r;

	BEGIN_VERB();
	r = bn_rules_list(ctx, NULL, BN_RULES_VERBOSE, &list);

	assert_int_equal(r < 0, list == NULL);
	bn_rule_list_free(list);
	return r;
}

static int plan_rules_of_front(bn_ctx *ctx)
{
	bn_rule_list *list = NULL;
	int r;

	BEGIN_VERB();
	r = bn_rules_plan(ctx, "front", 0, &list);

	assert_int_equal(r < 0, list == NULL);
	bn_rule_list_free(list);
	return r;
}

static int create_other(bn_ctx *ctx)
{
	bn_network_spec *spec;
	int r;

	assert_int_equal(bn_network_spec_new("other", &spec), 0);
	bn_network_spec_add_subnet(spec, "172.31.0.0/24");
	r = bn_network_create(ctx, spec, 0, NULL);
	bn_network_spec_free(spec);
	return r;
}

static int delete_other(bn_ctx *ctx)
{
	return bn_network_delete(ctx, "other", BN_DELETE_MISSING_OK);
}

static int delete_all(bn_ctx *ctx)
{
	return bn_network_delete(ctx, "front", BN_DELETE_ENDPOINTS);
}

static int update_with(bn_ctx *ctx, const char *const (*options)[2])
{
	bn_endpoint *endpoint = NULL;
	bn_endpoint_spec *spec;
	int r;

	assert_int_equal(bn_endpoint_spec_new("front", "web", &spec), 0);
	for (; (*options)[0]; options++)
		bn_endpoint_spec_set_option(spec, (*options)[0], (*options)[1]);
	BEGIN_VERB();
	r = bn_endpoint_update(ctx, spec, 0, &endpoint);
	assert_int_equal(r < 0, endpoint == NULL);
	bn_endpoint_free(endpoint);
	bn_endpoint_spec_free(spec);
	return r;
}

static int update(bn_ctx *ctx)
{
	static const char *const options[][2] = {
		{ "metric", "7" },
		{ "mtu", "1400" },
		{ "routes-for", "10.68.0.0/16" },
		{ NULL },
	};

	return update_with(ctx, options);
}

static int update_back(bn_ctx *ctx)
{
	static const char *const options[][2] = {
		{ "metric", "" },
		{ "mtu", "" },
		{ "routes-for", "" },
		{ NULL },
	};

	return update_with(ctx, options);
}

static void assert_failed(bn_ctx *ctx, int r, int n)
{
	if (r != -ENOMEM || !bn_error_message(ctx)[0])
		fail_msg("allocation %d: %d, %s", n, r, bn_error_message(ctx));
}

/* Each of the first, then ever fewer: rule after rule is made and read in the same way. All of them
 * in a soak run. */
static int after_allocation(int n)
{
	return n + 1 + (getenv("BN_SOAK") ? 0 : n / 100);
}

/* fresh: with a context that has to open everything first. */
static void starve_reading(verb_fn verb, bool fresh)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();
	bool reached = true;
	int failures = 0, r;

	snapshot(before);
	assert_int_equal(verb(ctx), 0);
	for (int n = 0; reached; n = after_allocation(n)) {
		assert_in_range(n, 0, ALLOCATIONS_MAX);
		if (fresh) {
			bn_ctx_free(ctx);
			ctx = new_context();
		}
		r = starve(verb, ctx, n, &reached);
		if (r < 0)
			assert_failed(ctx, r, n);
		failures += r < 0;
	}
	assert_int_equal(r, 0);
	assert_in_range(failures, 10, ALLOCATIONS_MAX);
	bn_ctx_free(ctx);
	snapshot(after);
	assert_same(before, after);
}

/* What a change that failed in part may leave to the next call is done. */
static void assert_one_of(const char *before, const char *done)
{
	static char after[SNAPSHOT_MAX];

	touch();
	snapshot(after);
	if (strcmp(after, done) != 0)
		assert_same(before, after);
}

/*
 * undo: what takes back the verb. lasts: once it is begun there may be no way back, and the next
 * call finishes it. SQLite and libnl can do without some of their allocations.
 */
static void starve_change(verb_fn verb, verb_fn undo, bool lasts)
{
	static char before[SNAPSHOT_MAX], done[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context();
	bool reached = true, look;
	int failures = 0, undone, r;

	assert_int_equal(verb(ctx), 0);
	touch();
	snapshot(done);
	assert_int_equal(undo(ctx), 0);
	touch();
	snapshot(before);
	for (int n = 0, i = 0; reached; n = after_allocation(n), i++) {
		assert_in_range(n, 0, ALLOCATIONS_MAX);
		look = i % CHECK_EACH == 0;
		r = starve(verb, ctx, n, &reached);
		failures += r < 0;
		if (r < 0)
			assert_failed(ctx, r, n);
		if (look)
			assert_one_of(before, r < 0 && !lasts ? before : done);
		if (r == 0) {
			assert_int_equal(undo(ctx), 0);
		} else if (lasts) {
			touch();
			undone = undo(ctx);
			/* or there was nothing to take back */
			assert_true(undone == 0 || undone == -EEXIST || undone == -EADDRINUSE);
		}
		if (!look)
			continue;
		touch();
		snapshot(after);
		assert_same(before, after);
	}
	assert_int_equal(r, 0);
	assert_in_range(failures, 10, ALLOCATIONS_MAX);
	bn_ctx_free(ctx);
}

static void test_create(void **state)
{
	(void)state;
	starve_change(create, delete, false);
}

/* Another network stands, so that the rule base does. */
static void test_delete(void **state)
{
	(void)state;
	run(create_other);
	run(create);
	starve_change(delete, create, true);
	run(delete);
	run(delete_other);
}

static void test_attach(void **state)
{
	(void)state;
	run(create);
	starve_change(attach, detach, false);
}

static void test_detach(void **state)
{
	(void)state;
	run(create);
	run(attach);
	starve_change(detach, attach, true);
}

static void test_update(void **state)
{
	(void)state;
	run(create);
	run(attach);
	starve_change(update, update_back, false);
	run(detach);
}

static void test_collect(void **state)
{
	(void)state;
	run(create);
	run(attach_lost);
	starve_change(collect, attach_lost, true);
}

static void test_publish(void **state)
{
	(void)state;
	run(create);
	run(attach);
	starve_change(publish, unpublish, false);
}

static void test_unpublish(void **state)
{
	(void)state;
	run(create);
	run(attach);
	run(publish);
	starve_change(unpublish, publish, true);
}

static const char *there, *back;

static int switch_there(bn_ctx *ctx)
{
	BEGIN_VERB();
	return bn_backend_switch(ctx, there, 0);
}

static int switch_back(bn_ctx *ctx)
{
	return bn_backend_switch(ctx, back, 0);
}

static void test_switch(void **state)
{
	(void)state;
	if (!firewall_backends[1])
		skip();
	back = backend;
	there = firewall_backends[backend == firewall_backends[0]->name]->name;
	run(create);
	run(attach);
	backend = "auto";
	starve_change(switch_there, switch_back, true);
	run(delete_all);
	backend = back;
}

static void test_listings(void **state)
{
	static const verb_fn listings[] = { list_networks, get_network,        list_endpoints,
					    get_endpoint,  open_sandbox,       list_ports,
					    list_rules,    plan_rules_of_front };

	(void)state;
	run(create);
	run(attach);
	for (size_t i = 0; i < sizeof(listings) / sizeof(listings[0]); i++)
		starve_reading(listings[i], false);
	starve_reading(get_network, true);
	starve_reading(get_endpoint, true);
	starve_reading(list_rules, true);
}

/* After a case that failed in the middle. */
static int feed(void **state)
{
	atomic_store(&allocations_left, -1);
	allocations_to_come = -1;
	run(delete_other);
	return tidy(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_create, feed),
		cmocka_unit_test_teardown(test_delete, feed),
		cmocka_unit_test_teardown(test_attach, feed),
		cmocka_unit_test_teardown(test_detach, feed),
		cmocka_unit_test_teardown(test_update, feed),
		cmocka_unit_test_teardown(test_collect, feed),
		cmocka_unit_test_teardown(test_publish, feed),
		cmocka_unit_test_teardown(test_unpublish, feed),
		cmocka_unit_test_teardown(test_switch, feed),
		cmocka_unit_test_teardown(test_listings, feed),
	};

	verb_begins = begin_starving;
	return RUN_WITH_BACKENDS(tests);
}
