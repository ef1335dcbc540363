/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../case.h"

#include <stdio.h>
#include <string.h>

#include "model/finding.h"

static char *text_of(struct finding finding)
{
	finding_vector findings = { 0 };
	char *text = NULL;

	assert_int_equal(findings_add(&findings, &finding), 0);
	assert_int_equal(finding_text(&findings.items[0], &text), 0);
	findings_clear(&findings);
	return text;
}

static void assert_text(struct finding finding, const char *wanted)
{
	char *text = text_of(finding);

	assert_string_equal(text, wanted);
	free(text);
}

static void test_blanks_are_filled_in(void **state)
{
	(void)state;
	assert_text((struct finding){ .code = FINDING_SETTING_CHANGED,
				      .network = "front",
				      .object = "rp_filter",
				      .is = "1",
				      .should_be = "2" },
		    "rp_filter of network front is 1; it should be 2; repair sets it");
	assert_text((struct finding){ .code = FINDING_LINK_DOWN,
				      .network = "front",
				      .endpoint = "web",
				      .object = "veth0" },
		    "interface veth0 of endpoint web on network front is down; repair brings it "
		    "up");
	/* nobody's */
	assert_text((struct finding){ .code = FINDING_SETTING_CHANGED,
				      .object = "ip_forward",
				      .is = "0",
				      .should_be = "1" },
		    "ip_forward is 0; it should be 1; repair sets it");
}

static void test_a_remedy_is_for_what_is_still_wrong(void **state)
{
	(void)state;
	assert_text((struct finding){ .code = FINDING_BRIDGE_DOWN,
				      .network = "front",
				      .object = "bn0",
				      .repaired = true },
		    "bridge bn0 of network front is down");
	/* there is none for what is another's */
	assert_text((struct finding){ .code = FINDING_RULE_ALIEN,
				      .object = "chain x",
				      .is = "y",
				      .should_be = "none" },
		    "chain x has what is not ours: y; there should be none");
}

/* A blank that nobody knows would leave its braces, or two spaces. Not empty: none is left out. */
static void test_every_code_has_a_sentence(void **state)
{
	(void)state;
	for (int code = 0; code < FINDING_COUNT; code++) {
		struct finding finding = { .code = (enum finding_code)code,
					   .network = "NET",
					   .endpoint = "END",
					   .object = "OBJECT",
					   .is = "IS",
					   .should_be = "BE" };
		const char *name = finding_code_text(finding.code);
		char *text = text_of(finding);

		assert_non_null(name);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		if (strpbrk(text, "{}\n") || strstr(text, "  ") || strstr(text, " ;") ||
		    (!strstr(text, "OBJECT") && !strstr(text, "IS") && !strstr(text, "BE")))
			fail_msg("%s: '%s'", name, text);
		for (int other = 0; other < code; other++)
			assert_string_not_equal(finding_code_text((enum finding_code)other), name);
		free(text);
	}
}

static void test_words_are_copies(void **state)
{
	char object[] = "bn0", should_be[] = "10.0.0.1/24";
	struct finding finding = { .code = FINDING_BRIDGE_ADDRESS_MISSING,
				   .object = object,
				   .should_be = should_be };
	finding_vector findings = { 0 };

	(void)state;
	assert_int_equal(findings_add(&findings, &finding), 0);
	object[0] = should_be[0] = 'X';
	assert_string_equal(findings.items[0].object, "bn0");
	assert_string_equal(findings.items[0].should_be, "10.0.0.1/24");
	/* what there is nothing to say of is no NULL to who reads it */
	assert_string_equal(findings.items[0].network, "");
	assert_string_equal(findings.items[0].endpoint, "");
	assert_string_equal(findings.items[0].is, "");
	findings_clear(&findings);
	assert_int_equal(findings.len, 0);
}

static void test_severity_is_that_of_the_code_or_its_own(void **state)
{
	struct finding finding = { .code = FINDING_RULE_MISSING };
	finding_vector findings = { 0 };

	(void)state;
	assert_int_equal(findings_add(&findings, &finding), 0);
	finding.severity = BN_SEVERITY_OPEN;
	assert_int_equal(findings_add(&findings, &finding), 0);
	assert_int_equal(findings.items[0].severity, BN_SEVERITY_BROKEN);
	assert_int_equal(findings.items[1].severity, BN_SEVERITY_OPEN);
	findings_clear(&findings);
}

static void test_one_that_says_the_same_of_the_same_is_there(void **state)
{
	struct finding finding = { .code = FINDING_LINK_DOWN, .network = "front", .object = "a" };
	struct finding others[] = { finding, finding, finding, finding, finding, finding };
	finding_vector findings = { 0 }, first = { 0 };

	(void)state;
	others[0].code = FINDING_LINK_MISSING;
	others[1].network = "back";
	others[2].endpoint = "web";
	others[3].object = "b";
	others[4].is = "x";
	others[5].should_be = "x";
	assert_int_equal(findings_add(&findings, &finding), 0);
	assert_int_equal(findings_add(&first, &finding), 0);
	finding.repaired = true;
	finding.inspector = 3;
	assert_int_equal(findings_add(&findings, &finding), 0);
	assert_true(findings_have(&first, &findings.items[1]));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(findings_add(&findings, &others[i]), 0);
		assert_false(findings_have(&first, &findings.items[2 + i]));
	}
	findings_clear(&findings);
	findings_clear(&first);
}

static void test_the_worst_comes_first(void **state)
{
	static const struct finding given[] = {
		{ .code = FINDING_LINK_STRAY, .object = "1" },
		{ .code = FINDING_LINK_DOWN, .network = "b", .object = "2" },
		{ .code = FINDING_LINK_DOWN, .network = "a", .endpoint = "y", .object = "3" },
		{ .code = FINDING_TABLE_DORMANT, .network = "z", .object = "4" },
		{ .code = FINDING_LINK_DOWN, .network = "a", .endpoint = "x", .object = "6" },
		{ .code = FINDING_LINK_DOWN, .network = "a", .endpoint = "x", .object = "5" },
		{ .code = FINDING_BRIDGE_DOWN, .network = "a", .endpoint = "x", .object = "7" },
	};
	finding_vector findings = { 0 };
	char order[ARRAY_SIZE(given) + 1] = "";

	(void)state;
	findings_sort(&findings); /* of none */
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		assert_int_equal(findings_add(&findings, &given[i]), 0);
	findings_sort(&findings);
	for (size_t i = 0; i < findings.len; i++)
		order[i] = findings.items[i].object[0];
	assert_string_equal(order, "4756321");
	findings_clear(&findings);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(test_blanks_are_filled_in),
		cmocka_unit_test(test_a_remedy_is_for_what_is_still_wrong),
		cmocka_unit_test(test_every_code_has_a_sentence),
		cmocka_unit_test(test_words_are_copies),
		cmocka_unit_test(test_severity_is_that_of_the_code_or_its_own),
		cmocka_unit_test(test_one_that_says_the_same_of_the_same_is_there),
		cmocka_unit_test(test_the_worst_comes_first),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
