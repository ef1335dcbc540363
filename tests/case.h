/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every test program begins with: cmocka, and a filter for its cases. */
#ifndef BN_TESTS_CASE_H
#define BN_TESTS_CASE_H

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants some of those before it */
#include <cmocka.h>

/* Run a group; with BN_CASES in the environment, what of it matches that regular expression. */
static inline int run_cases(const char *group, const struct CMUnitTest *cases, size_t count,
			    CMFixtureFunction setup, CMFixtureFunction teardown)
{
	const char *pattern = getenv("BN_CASES");
	struct CMUnitTest *matching;
	size_t matches = 0;
	regex_t regex;
	int r = 0;

	if (!pattern || !*pattern)
		return _cmocka_run_group_tests(group, cases, count, setup, teardown);
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return 1;
	matching = calloc(count, sizeof(*matching));
	if (!matching)
		return 1;
	for (size_t i = 0; i < count; i++) {
		if (regexec(&regex, cases[i].name, 0, NULL, 0) == 0)
			matching[matches++] = cases[i];
	}
	if (matches > 0)
		r = _cmocka_run_group_tests(group, matching, matches, setup, teardown);
	free(matching);
	regfree(&regex);
	return r;
}
/* which is what cmocka's own macros call */
#define _cmocka_run_group_tests run_cases

#endif
