/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From one plan to another: what comes and goes first, and what a change reaches. */
#include "../case.h"

#include "model/difference.h"
#include "model/reach.h"

static struct rule make(enum rule_kind kind, const char *destination)
{
	struct rule rule = { 0 };

	rule_init(&rule, kind_of(kind), AF_INET);
	strcpy(rule.network, "red");
	if (destination)
		assert_int_equal(prefix_parse(destination, &rule.destination), 0);
	return rule;
}

#define PLAN(...)                                                                    \
	{                                                                            \
		.items = (struct rule[]){ __VA_ARGS__ },                             \
		.len = sizeof((struct rule[]){ __VA_ARGS__ }) / sizeof(struct rule), \
	}

static void differ(const rule_vector *before, const rule_vector *after,
		   struct rules_difference *difference)
{
	*difference = (struct rules_difference){ 0 };
	assert_int_equal(rules_difference(before, after, difference), 0);
}

static void assert_step(const struct rules_step *step, size_t add, size_t remove)
{
	assert_int_equal(step->add.len, add);
	assert_int_equal(step->remove.len, remove);
}

/* What only shuts, or only opens, or does neither, is one step. */
static void test_one_step(void **state)
{
	const rule_vector open = PLAN(make(RULE_BRIDGED_ACCEPT, NULL), make(RULE_MASQUERADE, NULL));
	const rule_vector shut =
		PLAN(make(RULE_UNPUBLISHED_DROP, NULL), make(RULE_MASQUERADE, NULL));
	const rule_vector kept =
		PLAN(make(RULE_UNPUBLISHED_DROP, NULL), make(RULE_MASQUERADE_KEEP, NULL));
	struct rules_difference difference;

	(void)state;
	differ(&open, &shut, &difference);
	assert_step(&difference.shut, 1, 1);
	assert_step(&difference.rest, 0, 0);
	assert_int_equal(difference.kept.len, 1);
	rules_difference_clear(&difference);
	differ(&shut, &open, &difference);
	assert_step(&difference.shut, 0, 0);
	assert_step(&difference.rest, 1, 1);
	rules_difference_clear(&difference);
	differ(&shut, &kept, &difference);
	assert_step(&difference.shut, 1, 1);
	assert_step(&difference.rest, 0, 0);
	rules_difference_clear(&difference);
}

/* A drop in an early hook goes, and one in a late hook comes: that comes first. */
static void test_shut_before_open(void **state)
{
	const rule_vector before = PLAN(make(RULE_DIRECT_DROP, "172.30.0.2/32"));
	const rule_vector after = PLAN(make(RULE_UNPUBLISHED_DROP, NULL));
	struct rules_difference difference;

	(void)state;
	differ(&before, &after, &difference);
	assert_step(&difference.shut, 1, 0);
	assert_step(&difference.rest, 0, 1);
	assert_int_equal(difference.shut.add.items->kind, RULE_UNPUBLISHED_DROP);
	rules_difference_clear(&difference);
}

/* A drop of a part of what was dropped takes its place, and so does one of more. */
static void test_in_its_place(void **state)
{
	const rule_vector whole = PLAN(make(RULE_SUBNET_DROP, "172.30.0.0/24"));
	const rule_vector part = PLAN(make(RULE_SUBNET_DROP, "172.30.0.0/32"),
				      make(RULE_SUBNET_DROP, "172.30.0.1/32"));
	struct rules_difference difference;

	(void)state;
	differ(&whole, &part, &difference);
	assert_step(&difference.shut, 0, 0);
	assert_step(&difference.rest, 2, 1);
	rules_difference_clear(&difference);
	differ(&part, &whole, &difference);
	assert_step(&difference.shut, 1, 2);
	assert_step(&difference.rest, 0, 0);
	rules_difference_clear(&difference);
}

/* Wherever the rules of an endpoint or a port differ, it is said so. */
static void test_reach(void **state)
{
	struct network networks[2] = { 0 };
	struct endpoint endpoint = { .network = "red", .id = "web" };
	struct port port = { .network = "red",
			     .endpoint = "web",
			     .protocol = IPPROTO_TCP,
			     .host_port = 80,
			     .container_port = 80,
			     .count = 1 };
	const uint8_t modes[] = { GATEWAY_MODE_NAT, GATEWAY_MODE_NAT_UNPROTECTED,
				  GATEWAY_MODE_ROUTED };
	size_t reached = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		strcpy(networks[i].name, "red");
		strcpy(networks[i].bridge, "red0");
		assert_int_equal(prefix_parse("172.30.0.0/24", &networks[i].ipv4.prefix), 0);
		assert_int_equal(addr_parse("172.30.0.1", &networks[i].ipv4.gateway), 0);
	}
	assert_int_equal(prefix_parse("172.30.0.2/24", &endpoint.ipv4), 0);
	for (int i = 0; i < 2 * 2 * 2 * 3 * 2 * 2 * 2 * 3; i++) {
		rule_vector rules[2] = { { 0 }, { 0 } };
		bool same;
		int rest = i;

		for (int j = 0; j < 2; j++) {
			struct network_policy *policy = &networks[j].policy;

			policy->icc = rest & 1;
			policy->internal = rest >> 1 & 1;
			policy->source_ports = rest >> 2 & 1;
			policy->gateway_mode_ipv4 = modes[(rest >> 3) % 3];
			rest = (rest >> 3) / 3;
			const struct rows rows = rows_view(&networks[j], &endpoint, &port, 1);

			assert_int_equal(plan_rules(PLAN_BOTH_FAMILIES | PLAN_PORT_RANGES,
						    PLAN_ENDPOINTS | PLAN_PORTS, &rows, &rules[j]),
					 0);
		}
		same = rules[0].len == rules[1].len;
		for (size_t k = 0; same && k < rules[0].len; k++)
			same = rule_compare(&rules[0].items[k], &rules[1].items[k]) == 0;
		if (plan_reaches_endpoints(PLAN_BOTH_FAMILIES | PLAN_PORT_RANGES, &networks[0],
					   &networks[1]))
			reached++;
		else
			assert_true(same);
		rules_clear(&rules[0]);
		rules_clear(&rules[1]);
	}
	/* and not always */
	assert_in_range(reached, 1, 2 * 2 * 2 * 3 * 2 * 2 * 2 * 3 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_step),
		cmocka_unit_test(test_shut_before_open),
		cmocka_unit_test(test_in_its_place),
		cmocka_unit_test(test_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
