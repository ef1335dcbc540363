/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every allocation of model/ fails once: the caller gets -ENOMEM, its result is untouched, and
 * nothing leaks. Linked with --wrap for malloc, realloc and strdup.
 */
#include "fixture.h"

#include "model/finding.h"
#include "model/owner.h"
#include "model/plan.h"

static int allocations_left = -1; /* that succeed; negative: all */

void *__real_malloc(size_t size);
void *__real_realloc(void *pointer, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *pointer, size_t size);
char *__wrap_strdup(const char *text);

static bool allocation_fails(void)
{
	if (allocations_left < 0)
		return false;
	return allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
	return allocation_fails() ? NULL : __real_realloc(pointer, size);
}

char *__wrap_strdup(const char *text)
{
	return allocation_fails() ? NULL : __real_strdup(text);
}

/* Call with the first allocation failing, then the second, ... until it needs no more. Gives how
 * many failures it met. */
static unsigned int sweep(int (*call)(void))
{
	unsigned int failures = 0;
	int r;

	for (;;) {
		allocations_left = (int)failures;
		r = call();
		allocations_left = -1;
		if (r == 0)
			return failures;
		assert_int_equal(r, -ENOMEM);
		failures++;
	}
}

static struct network network;
static struct endpoint endpoint;
static struct port port;
static uint32_t traits;

static int call_endpoint_copy(void)
{
	struct endpoint copy = { .mtu = 77 };
	int r = endpoint_copy(&copy, &endpoint);

	if (r < 0)
		assert_int_equal(copy.mtu, 77);
	else
		endpoint_clear(&copy);
	return r;
}

static int call_options_replace(void)
{
	struct options options = { 0 };
	int r = options_set(&options, "label.a", "1");

	if (r == 0)
		r = options_set(&options, "label.a", "2");
	if (r < 0 && options.len > 0)
		assert_string_equal(options_get(&options, "label.a"), "1");
	options_clear(&options);
	return r;
}

static int call_options_text(void)
{
	struct options parsed = { .len = 77 };
	char *text = NULL;
	int r = options_serialize(&network.options, &text);

	if (r < 0) {
		assert_null(text);
		return r;
	}
	r = options_parse(text, &parsed);
	free(text);
	if (r < 0)
		assert_int_equal(parsed.len, 77);
	else
		options_clear(&parsed);
	return r;
}

static int call_port_parse(void)
{
	struct port_request request = { .host_range_last = 77 };
	struct error error = { 0 };
	int r = port_parse("127.0.0.1:8000-8010:80", &request, &error);

	if (r < 0) {
		assert_int_equal(request.host_range_last, 77);
		assert_int_equal(error.code, -ENOMEM);
	}
	return r;
}

static int call_plan(void)
{
	rule_vector rules = { 0 };
	int r = plan_parts(traits, PLAN_BASE, NULL, NULL, NULL, &rules);

	if (r == 0)
		r = plan_parts(traits, PLAN_NETWORKS, &network, NULL, NULL, &rules);
	if (r == 0)
		r = plan_parts(traits, PLAN_ENDPOINTS, &network, &endpoint, NULL, &rules);
	if (r == 0)
		r = plan_parts(traits, PLAN_PORTS, NULL, &endpoint, &port, &rules);
	rules_clear(&rules);
	return r;
}

static rule_vector read_rules;

static int call_owners(void)
{
	network_vector networks = { .items = &network, .len = 1 };
	endpoint_vector endpoints = { .items = &endpoint, .len = 1 };

	return owners_find(&read_rules, &networks, &endpoints);
}

static int call_findings(void)
{
	const struct finding finding = { .code = FINDING_BRIDGE_DOWN, .object = "bn0" };
	finding_vector findings = { 0 };
	char *text = NULL;
	int r = findings_add(&findings, &finding);

	assert_int_equal(findings.len, r < 0 ? 0 : 1);
	if (r == 0)
		r = finding_text(&findings.items[0], &text);
	if (r < 0)
		assert_null(text);
	findings_clear(&findings);
	free(text);
	return r;
}

static void test_failures_of_memory(void **state)
{
	(void)state;
	network = network_of("172.17.0.0/16", "fd00::/64");
	endpoint = endpoint_of("172.17.0.2/16", "fd00::2/64");
	*vector_push(&network.reserved) = addr_of("172.17.0.9");
	*vector_push(&endpoint.routes) = (struct route){ prefix_of("10.0.0.0/8"), { 0 } };
	assert_int_equal(options_set(&network.options, "label.a", "1"), 0);
	assert_int_equal(options_set(&network.options, "label.b", "2"), 0);
	assert_int_equal(options_set(&endpoint.options, "hostname", "web"), 0);
	assert_int_equal(sweep(call_endpoint_copy), 4);
	assert_int_equal(sweep(call_options_replace), 4);
	assert_int_equal(sweep(call_options_text), 7);
	assert_int_equal(sweep(call_port_parse), 1);
	assert_in_range(sweep(call_findings), 3, 9);
	network_clear(&network);
	endpoint_clear(&endpoint);
}

static void test_failures_of_the_plan(void **state)
{
	(void)state;
	network = network_of("172.17.0.0/16", "fd00::/64");
	endpoint = endpoint_of("172.17.0.2/16", "fd00::2/64");
	port = port_of("127.0.0.1:8000-8010:8000-8010");
	assert_in_range(sweep(call_plan), 3, 20);
	traits = PLAN_PORT_RANGES | PLAN_OWN_CHAINS;
	assert_in_range(sweep(call_plan), 3, 20);
	/* the endpoints' addresses, and the ports on loopback addresses */
	assert_int_equal(plan_parts(traits, PLAN_PORTS, NULL, &endpoint, &port, &read_rules), 0);
	assert_int_equal(sweep(call_owners), 2);
	rules_clear(&read_rules);
	traits = 0;
}

/* Sorting has no way to fail: without memory for its keys it does without them. */
static void test_sort_without_memory(void **state)
{
	rule_vector rules = { 0 };

	(void)state;
	for (uint16_t i = 0; i < 100; i++) {
		struct rule *rule = vector_push(&rules);

		rule->kind = RULE_PORT_DNAT;
		rule->host_port = (uint16_t)(100 - i);
	}
	for (int left = 0; left < 2; left++) {
		struct rule last = rules.items[rules.len - 1];

		rules.items[rules.len - 1] = rules.items[0];
		rules.items[0] = last;
		allocations_left = left;
		rules_sort(&rules);
		allocations_left = -1;
		for (size_t i = 0; i < rules.len; i++)
			assert_int_equal(rules.items[i].host_port, i + 1);
	}
	rules_clear(&rules);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures_of_memory),
		cmocka_unit_test(test_failures_of_the_plan),
		cmocka_unit_test(test_sort_without_memory),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
