/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Others at the same tables, and commits that the kernel refuses, between the tables of a change. */
#include "firewall_stage.h"

#include "base/fault.h"
#include "firewall/iptables/iptables.h"

const struct firewall_backend *const backend = &iptables_backend;

static int commits;           /* seen so far */
static int at;                /* the one that something happens at */
static bool from_then_on;     /* at all that follow, too */
static int refusal;           /* negative errno, 0 for none */
static const char *meanwhile; /* a command, NULL for none */

/* Called before each commit. */
static int at_commit(const char *step)
{
	if (strcmp(step, "iptables.commit") != 0 ||
	    (from_then_on ? commits++ < at : commits++ != at))
		return 0;
	/* a program that does not wait for the lock which we hold */
	if (meanwhile && system(meanwhile) != 0)
		return -EIO;
	return refusal;
}

static void at_commit_number(int number, int code, const char *command)
{
	commits = 0;
	at = number;
	refusal = code;
	meanwhile = command;
	fault_hook = at_commit;
}

static int teardown_hook(void **state)
{
	fault_hook = NULL;
	from_then_on = false;
	return stage_teardown(state);
}

#define STRANGER "XTABLES_LOCKFILE=/run/other.lock iptables-legacy "

static void test_changed_meanwhile(void **state)
{
	rule_vector rules = { 0 }, more = { 0 };
	struct endpoint web;

	(void)state;
	web = plan_pair("blue", "ip-blue", "172.30.0.0/16", NULL, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	plan_mapping(&web, IPPROTO_TCP, "0.0.0.0", 8799, 1337, 1, &more);
	at_commit_number(0, 0, STRANGER "-t nat -A POSTROUTING -s 203.0.113.1 -j ACCEPT");
	assert_int_equal(apply(&more, NULL, 0), 0);
	fault_hook = NULL;
	assert_true(commits > 1);
	/* nothing of either is lost */
	assert_kernel_holds(&rules, &more);
	assert_int_equal(count_lines("-A POSTROUTING -s 203.0.113.1"), 1);

	at_commit_number(0, 0, STRANGER "-t nat -D POSTROUTING -s 203.0.113.1 -j ACCEPT");
	assert_int_equal(apply(NULL, &more, 0), 0);
	fault_hook = NULL;
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(count_lines("203.0.113.1"), 0);
	rules_clear(&rules);
	rules_clear(&more);
}

/* Whichever commit is refused, all is as it was. */
static void test_refused(void **state)
{
	rule_vector rules = { 0 }, more = { 0 };
	struct endpoint web;
	char *before;
	int tries = 0;

	(void)state;
	web = plan_pair("blue", "ip-blue", "172.30.0.0/16", "fd30::/64", &rules);
	plan_mapping(&web, IPPROTO_TCP, NULL, 80, 80, 1, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	plan_pair("red", "ip-red", "172.31.0.0/16", "fd31::/64", &more);
	plan_mapping(&web, IPPROTO_TCP, "127.0.0.1", 8799, 1337, 1, &more);
	before = output_of(SAVE_ALL);
	for (;; tries++) {
		at_commit_number(tries, -E2BIG, NULL);
		if (apply(&more, NULL, 0) == 0)
			break;
		fault_hook = NULL;
		assert_int_equal(error.code, -E2BIG);
		assert_non_null(strstr(error.message, "table "));
		assert_output_is(SAVE_ALL, before);
	}
	fault_hook = NULL;
	assert_int_equal(tries, 6);
	assert_kernel_holds(&rules, &more);
	free(before);
	before = output_of(SAVE_ALL);
	for (tries = 0;; tries++) {
		at_commit_number(tries, -E2BIG, NULL);
		if (apply(NULL, &more, 0) == 0)
			break;
		fault_hook = NULL;
		assert_kernel_holds(&rules, &more);
	}
	fault_hook = NULL;
	assert_int_equal(tries, 6);
	assert_kernel_holds(&rules, NULL);
	free(before);
	rules_clear(&rules);
	rules_clear(&more);
}

/* A rebuild that comes to nothing leaves what stood: above all the drops. */
static void test_refused_rebuild(void **state)
{
	rule_vector rules = { 0 };
	struct endpoint web;

	(void)state;
	web = plan_pair("blue", "ip-blue", "172.30.0.0/16", NULL, &rules);
	plan_mapping(&web, IPPROTO_TCP, "0.0.0.0", 80, 80, 1, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	for (int number = 0; number < 6; number++) {
		run("iptables-legacy -t raw -D PREROUTING -j BRIDGENET-RAW");
		at_commit_number(number, -E2BIG, NULL);
		if (apply(&rules, NULL, FIREWALL_BASE) == 0)
			run("iptables-legacy -t raw -D PREROUTING -j BRIDGENET-RAW");
		fault_hook = NULL;
		assert_int_equal(count_lines("-A BN-blue .*172.30.0.2.*-j DROP"), 1);
		assert_int_equal(count_lines("-A BN-blue -o ip-blue -j DROP"), 2);
		assert_int_equal(count_lines("-A BN-blue .*-j DNAT"), 1);
		assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
		assert_kernel_holds(&rules, NULL);
	}
	rules_clear(&rules);
}

/* What two states have under one name does not get in each other's way. */
static void test_one_name_twice(void **state)
{
	rule_vector first = { 0 }, second = { 0 };
	struct endpoint web;

	(void)state;
	web = plan_pair("net", "ip-a", "172.30.0.0/16", NULL, &first);
	plan_mapping(&web, IPPROTO_TCP, "0.0.0.0", 80, 80, 1, &first);
	web = plan_pair("net", "ip-b", "172.31.0.0/16", NULL, &second);
	plan_mapping(&web, IPPROTO_TCP, "0.0.0.0", 81, 80, 1, &second);
	assert_int_equal(apply(&first, NULL, FIREWALL_BASE), 0);
	assert_int_equal(apply(&second, NULL, 0), 0);
	assert_int_equal(apply(NULL, &first, 0), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_kernel_holds(&second, NULL);
	assert_int_equal(apply(NULL, &second, 0), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	rules_clear(&first);
	rules_clear(&second);
}

/* Nor can it be taken back: a half is never called a failure that left all as it was. */
static void test_refused_for_good(void **state)
{
	rule_vector rules = { 0 }, more = { 0 };
	struct endpoint web;
	char *before;

	(void)state;
	web = plan_pair("blue", "ip-blue", "172.30.0.0/16", "fd30::/64", &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	plan_mapping(&web, IPPROTO_TCP, "127.0.0.1", 8799, 1337, 1, &more);
	before = output_of(SAVE_ALL);
	from_then_on = true;
	for (int tries = 0; tries < 2; tries++) {
		at_commit_number(tries, -EIO, NULL);
		assert_int_equal(apply(&more, NULL, 0), tries ? OUTCOME_UNKNOWN : -EIO);
		assert_int_equal(error.reason,
				 tries ? BN_REASON_UNKNOWN_OUTCOME : BN_REASON_KERNEL);
		assert_non_null(strstr(error.message, "table "));
		fault_hook = NULL;
		/* taken out as what is found later is */
		assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
		assert_output_is(SAVE_ALL, before);
	}
	free(before);
	rules_clear(&rules);
	rules_clear(&more);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, stage_setup, teardown_hook)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_changed_meanwhile), CASE(test_refused),
		CASE(test_refused_rebuild),   CASE(test_one_name_twice),
		CASE(test_refused_for_good),
	};

	return cmocka_run_group_tests_name("iptables-legacy and others", tests, NULL, NULL);
}
