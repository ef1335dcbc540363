/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * With each backend, verbs of a process that may open no file more, one, and so on until it is
 * enough: it is told so, and what the kernel and the state show is what they showed before.
 */
#include "verb_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_MAX 40 /* that a verb has open at once */
#define CHECK_EACH 4 /* a look at all that there is takes longer than a verb */

static rlim_t usual, allowed;

static void set_limit(rlim_t limit)
{
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = limit;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static void begin_lack(void)
{
	set_limit(allowed);
}

/* The verb with `more` files than are open now. */
static int lack(verb_fn verb, bn_ctx *ctx, rlim_t more)
{
	int r, first = dup(STDIN_FILENO);

	assert_true(first >= 0);
	close(first);
	allowed = (rlim_t)first + more;
	verb_begins = begin_lack;
	r = verb(ctx);
	verb_begins = NULL;
	set_limit(usual);
	return r;
}

/* undo takes back what the verb did, once it could. */
static void lack_files(verb_fn verb, verb_fn undo)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	unsigned int failures = 0;
	int r = -EMFILE;

	snapshot(before);
	for (rlim_t more = 0; r < 0; more++) {
		/* all is opened anew */
		bn_ctx *ctx = new_context();

		assert_in_range(more, 0, FILES_MAX);
		r = lack(verb, ctx, more);
		/* what the last one could not undo, this one could not either */
		if (r == -EBUSY && failures && bn_error_reason(ctx) == BN_REASON_BUSY)
			r = -EMFILE;
		else if (r < 0 && (r != -EMFILE || bn_error_reason(ctx) != BN_REASON_NONE ||
				   !strstr(bn_error_message(ctx), "RLIMIT_NOFILE")))
			fail_msg("with %u more files: %d, reason %d, %s", (unsigned int)more, r,
				 bn_error_reason(ctx), bn_error_message(ctx));
		failures += r < 0;
		bn_ctx_free(ctx);
		if (r == 0)
			run(undo);
		else if (more % CHECK_EACH)
			continue;
		touch();
		snapshot(after);
		assert_same(before, after);
	}
	assert_true(failures >= 3);
}

static void test_create(void **state)
{
	(void)state;
	/* what is turned on stays on */
	run(create);
	run(delete);
	lack_files(create, delete);
}

static void test_attach(void **state)
{
	(void)state;
	run(create);
	lack_files(attach, detach);
}

static void test_publish(void **state)
{
	(void)state;
	run(create);
	run(attach);
	lack_files(publish, unpublish);
}

static int list_rules(bn_ctx *ctx)
{
	bn_rule_list *list = NULL;
	int r;

	BEGIN_VERB();
	r = bn_rules_list(ctx, NULL, BN_RULES_VERBOSE, &list);
	bn_rule_list_free(list);
	return r;
}

static int nothing(bn_ctx *ctx)
{
	(void)ctx;
	return 0;
}

static void test_list(void **state)
{
	(void)state;
	run(create);
	run(attach);
	lack_files(list_rules, nothing);
}

int main(void)
{
	struct rlimit files;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_create, tidy),
		cmocka_unit_test_teardown(test_attach, tidy),
		cmocka_unit_test_teardown(test_publish, tidy),
		cmocka_unit_test_teardown(test_list, tidy),
	};

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	usual = files.rlim_cur;
	return RUN_WITH_BACKENDS(tests);
}
