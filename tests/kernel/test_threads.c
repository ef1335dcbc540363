/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of one process, each with a context, at work on one state. Meant for the build with
 * ThreadSanitizer; what threads may do with one context is in test_deadline.c. */
#include "../case.h"
#include "world.h"

#include <pthread.h>
#include <string.h>

#include "firewall/firewall.h"

#define THREADS 3
#define ROUNDS 8

static void *use_own_context(void *userdata)
{
	static const char *const names[THREADS][2] = {
		{ "attach", "publish" },
		{ "create-back", "unpublish" },
		{ "list-rules", "list-endpoints" },
	};
	const char *const *verbs_of = names[*(size_t *)userdata];
	struct answer answers[ACTS_MAX];
	bn_ctx *ctx;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 2; i++)
			verb_run(verb_find(verbs_of[i]), 20000, false, 0, answers);
		ctx = context_new(20000, false);
		bn_endpoint_detach(ctx, "front", "new", BN_DETACH_MISSING_OK);
		bn_network_delete(ctx, "back", BN_DELETE_MISSING_OK);
		bn_ctx_free(ctx);
	}
	return NULL;
}

static bool use_contexts(size_t turn)
{
	pthread_t threads[THREADS];
	size_t numbers[THREADS];
	char what[4096];
	static char seen[SEEN_MAX];

	setting.backend = firewall_backends[turn]->name;
	setting.family = FAMILY_DUAL;
	if (world_build(WORLD_FULL) < 0)
		return false;
	for (size_t i = 0; i < THREADS; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, use_own_context, &numbers[i]) != 0)
			abort();
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	look(seen);
	if (strstr(seen, "not there: ") || strstr(seen, "not planned: ") ||
	    strstr(seen, "row operation")) {
		tell("# FAULT rules or operations are left");
		return false;
	}
	if (world_clear(what, sizeof(what)) == 0)
		return true;
	tell("# FAULT %s", what);
	return false;
}

static void test_context_for_each_thread(void **state)
{
	(void)state;
	assert_int_equal(workers_run(firewall_backends[1] ? 2 : 1, use_contexts), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context_for_each_thread),
	};

	setenv("BN_WORKERS", "2", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
