/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "fixture.h"

#include "model/plan.h"

static struct rule sample(void)
{
	struct rule rule = { .kind = RULE_PORT_DNAT,
			     .chain = CHAIN_NAT_PORTS,
			     .target = TARGET_DNAT,
			     .family = AF_INET,
			     .protocol = IPPROTO_TCP,
			     .host_port = 80,
			     .count = 1,
			     .to_port = 8080,
			     .network = "bridge",
			     .endpoint = "web" };

	rule.to = addr_of("172.17.0.2");
	rule.destination = prefix_of("10.0.0.1/32");
	rule.source = prefix_of("10.0.0.0/8");
	return rule;
}

static void test_compare_leaves_out_what_only_the_kernel_knows(void **state)
{
	struct rule a = sample(), b = sample();

	(void)state;
	b.packets = 5;
	b.bytes = 6;
	b.handle = 7;
	assert_int_equal(rule_compare(&a, &b), 0);
}

/* Every planned field counts: change one, and the rule is another. */
#define CHECK_FIELD(change)                                                   \
	do {                                                                  \
		struct rule a = sample(), b = sample();                       \
		b.change;                                                     \
		if (rule_compare(&a, &b) == 0 || rule_compare(&b, &a) == 0 || \
		    (rule_compare(&a, &b) < 0) == (rule_compare(&b, &a) < 0)) \
			fail_msg("%s", #change);                              \
	} while (0)

static void test_compare_sees_every_field(void **state)
{
	char foreign[] = "text";

	(void)state;
	CHECK_FIELD(kind = RULE_FOREIGN);
	CHECK_FIELD(chain = CHAIN_NAT_OUTPUT);
	CHECK_FIELD(target = TARGET_DROP);
	CHECK_FIELD(family = AF_INET6);
	CHECK_FIELD(protocol = IPPROTO_UDP);
	CHECK_FIELD(in[0] = 'x');
	CHECK_FIELD(out[0] = 'x');
	CHECK_FIELD(in_not = true);
	CHECK_FIELD(out_not = true);
	CHECK_FIELD(source.len = 9);
	CHECK_FIELD(source.addr.family = 0);
	CHECK_FIELD(destination.addr.bytes[3] = 2);
	CHECK_FIELD(destination_not = true);
	CHECK_FIELD(match = RULE_STATUS_DNAT);
	CHECK_FIELD(random_ports = true);
	CHECK_FIELD(host_port = 81);
	CHECK_FIELD(count = 2);
	CHECK_FIELD(to.bytes[3] = 3);
	CHECK_FIELD(to_port = 1);
	CHECK_FIELD(network[0] = 'x');
	CHECK_FIELD(endpoint[0] = 'x');
	CHECK_FIELD(foreign = foreign);
}

static void test_compare_of_jumps(void **state)
{
	struct rule a = sample(), b = sample();

	(void)state;
	/* Where there is no jump its chain says nothing. */
	b.jump = CHAIN_NAT_PORTS;
	assert_int_equal(rule_compare(&a, &b), 0);
	a.target = b.target = TARGET_JUMP;
	assert_int_not_equal(rule_compare(&a, &b), 0);
	a.target = b.target = TARGET_GOTO;
	assert_int_not_equal(rule_compare(&a, &b), 0);
}

static void test_order_of_a_listing(void **state)
{
	rule_vector rules = { 0 };
	struct rule *rule;

	(void)state;
	/* Each earlier than the one before it, from the least significant key to the most. */
	*vector_push(&rules) = sample();
	rule = vector_push(&rules);
	*rule = sample();
	rule->host_port = 79;
	rule = vector_push(&rules);
	*rule = rules.items[1];
	rule->host_port = 99;
	rule->destination = prefix_of("9.9.9.9/32");
	rule = vector_push(&rules);
	*rule = sample();
	rule->protocol = 1;
	rule->destination = prefix_of("99.9.9.9/32");
	rule = vector_push(&rules);
	*rule = sample();
	strcpy(rule->endpoint, "a");
	rule->protocol = 99;
	rule = vector_push(&rules);
	*rule = sample();
	strcpy(rule->network, "a");
	strcpy(rule->endpoint, "z");
	rule = vector_push(&rules);
	*rule = sample();
	rule->family = AF_UNSPEC;
	strcpy(rule->network, "z");
	rule = vector_push(&rules);
	*rule = sample();
	rule->kind = RULE_PORTS_JUMP_OUTPUT;
	rule->family = AF_INET6;
	rule = vector_push(&rules);
	*rule = sample();
	rule->chain = CHAIN_RAW_PREROUTING;
	rule->kind = RULE_FOREIGN;
	for (size_t i = 0; i < rules.len; i++)
		rules.items[i].handle = rules.len - i;
	rules_sort(&rules);
	for (size_t i = 0; i < rules.len; i++)
		assert_int_equal(rules.items[i].handle, i + 1);
	rules_clear(&rules);
}

static void test_foreign_rules_keep_their_order(void **state)
{
	static const char *const texts[] = { "zebra", "apple", "mango" };
	rule_vector rules = { 0 };
	struct rule *rule;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		rule = vector_push(&rules);
		rule->kind = RULE_FOREIGN;
		rule->chain = CHAIN_FILTER_USER;
		rule->family = i == 1 ? AF_INET : AF_UNSPEC;
		rule->foreign = strdup(texts[i]);
	}
	rule = vector_push(&rules);
	*rule = sample();
	rules_sort(&rules);
	assert_int_equal(rules.items[0].kind, RULE_PORT_DNAT);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_string_equal(rules.items[i + 1].foreign, texts[i]);
	rules_clear(&rules);
	assert_null(rules.items);
}

static void test_sort_of_every_port(void **state)
{
	struct timespec start, end;
	rule_vector rules = { 0 };
	uint32_t random = 1;

	(void)state;
	for (uint32_t port = 1; port <= 65535; port++) {
		struct rule *rule = vector_push(&rules);

		*rule = sample();
		rule->host_port = (uint16_t)port;
		rule->handle = port;
	}
	for (size_t i = rules.len - 1; i > 0; i--) {
		struct rule kept = rules.items[i];
		size_t other;

		random = random * 1664525u + 1013904223u;
		other = random % (i + 1);
		rules.items[i] = rules.items[other];
		rules.items[other] = kept;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	rules_sort(&rules);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	for (size_t i = 0; i < rules.len; i++)
		assert_int_equal(rules.items[i].handle, i + 1);
	rules_clear(&rules);
	/* Far above what it takes even under sanitizers, far below what n * n would. */
	assert_true(end.tv_sec - start.tv_sec < 5);
}

static uint32_t next_random(uint32_t *random)
{
	*random = *random * 1664525u + 1013904223u;
	return *random >> 8;
}

static int compare_by_rule(const void *a, const void *b)
{
	return rule_compare(a, b);
}

/* Rules that differ in a few values of every field stand in the order of rule_compare(). */
static void test_sort_of_anything(void **state)
{
	static const char *const prefixes[] = { "10.0.0.1/32", "10.0.0.1/31",    "10.0.0.2/32",
						"fd00::1/128", "fd00:0:1::/128", "fe00::/16" };
	static const int any_family[] = { AF_UNSPEC, AF_INET, AF_INET6 };
	rule_vector rules = { 0 }, expected = { 0 };
	uint32_t random = 7;

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		struct rule *rule = vector_push(&rules);
		uint32_t which = next_random(&random) % 8;

		*rule = sample();
		rule->chain = next_random(&random) % CHAIN_COUNT;
		rule->kind = next_random(&random) % RULE_FOREIGN;
		rule->family = any_family[next_random(&random) % 3];
		rule->network[0] = (char)('a' + next_random(&random) % 3);
		rule->endpoint[1] = next_random(&random) % 2 ? 'x' : '\0';
		rule->protocol = (uint8_t)(next_random(&random) % 3);
		rule->destination = (struct prefix){ 0 };
		if (which < ARRAY_SIZE(prefixes))
			rule->destination = prefix_of(prefixes[which]);
		rule->host_port = (uint16_t)(next_random(&random) % 3 * 30000);
		rule->to_port = (uint16_t)(next_random(&random) % 3);
		*vector_push(&expected) = *rule;
	}
	rules_sort(&rules);
	qsort(expected.items, expected.len, sizeof(*expected.items), compare_by_rule);
	for (size_t i = 0; i < rules.len; i++)
		assert_int_equal(rule_compare(&rules.items[i], &expected.items[i]), 0);
	rules_clear(&rules);
	rules_clear(&expected);
}

static void test_sort_of_little(void **state)
{
	rule_vector rules = { 0 };

	(void)state;
	rules_sort(&rules);
	assert_int_equal(rules.len, 0);
	*vector_push(&rules) = sample();
	rules_sort(&rules);
	assert_int_equal(rules.len, 1);
	rules_clear(&rules);
}

static void test_names_of_targets_and_tables(void **state)
{
	struct rule rule = { .target = TARGET_JUMP, .jump = CHAIN_FILTER_USER };

	(void)state;
	/* Each backend has its own name for the chain. */
	assert_string_equal(rule_target_name(&rule), "-");
	rule.target = TARGET_DNAT;
	assert_string_equal(rule_target_name(&rule), "DNAT");
	rule.target = TARGET_MASQUERADE;
	assert_string_equal(rule_target_name(&rule), "MASQUERADE");
	rule.target = TARGET_ACCEPT;
	assert_string_equal(rule_target_name(&rule), "ACCEPT");
	rule.target = TARGET_DROP;
	assert_string_equal(rule_target_name(&rule), "DROP");
	rule.target = TARGET_OTHER;
	assert_string_equal(rule_target_name(&rule), "-");
	assert_string_equal(rule_table_name(CHAIN_RAW_PREROUTING), "raw");
	assert_string_equal(rule_table_name(CHAIN_RAW_SOURCES), "raw");
	assert_string_equal(rule_table_name(CHAIN_FILTER_TO), "filter");
	assert_string_equal(rule_table_name(CHAIN_FILTER_FROM), "filter");
	assert_string_equal(rule_table_name(CHAIN_NAT_PREROUTING), "nat");
	assert_string_equal(rule_table_name(CHAIN_NAT_OUTPUT), "nat");
	assert_string_equal(rule_table_name(CHAIN_NAT_PORTS), "nat");
	assert_string_equal(rule_table_name(CHAIN_NAT_POSTROUTING), "nat");
	assert_string_equal(rule_table_name(CHAIN_FILTER_FORWARD), "filter");
	assert_string_equal(rule_table_name(CHAIN_FILTER_USER), "filter");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare_leaves_out_what_only_the_kernel_knows),
		cmocka_unit_test(test_compare_sees_every_field),
		cmocka_unit_test(test_compare_of_jumps),
		cmocka_unit_test(test_order_of_a_listing),
		cmocka_unit_test(test_foreign_rules_keep_their_order),
		cmocka_unit_test(test_sort_of_every_port),
		cmocka_unit_test(test_sort_of_anything),
		cmocka_unit_test(test_sort_of_little),
		cmocka_unit_test(test_names_of_targets_and_tables),
	};

	return cmocka_run_group_tests_name("rule", tests, NULL, NULL);
}
