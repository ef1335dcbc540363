/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

static void test_options_are_sorted_and_replaced(void **state)
{
	struct options options = { 0 };

	(void)state;
	assert_int_equal(options_set(&options, "label.m", "1"), 0);
	assert_int_equal(options_set(&options, "label.z", "2"), 0);
	assert_int_equal(options_set(&options, "label.a", "3"), 0);
	assert_int_equal(options_set(&options, "label.m", "4"), 0);
	assert_int_equal(options.len, 3);
	assert_string_equal(options.items[0].key, "label.a");
	assert_string_equal(options.items[1].key, "label.m");
	assert_string_equal(options.items[2].key, "label.z");
	assert_string_equal(options_get(&options, "label.m"), "4");
	assert_null(options_get(&options, "label.b"));
	assert_null(options_get(&options, "label"));
	options_clear(&options);
	assert_int_equal(options.len, 0);
	assert_null(options_get(&options, "label.m"));
}

static void test_options_set_refuses(void **state)
{
	struct options options = { 0 };

	(void)state;
	assert_int_equal(options_set(&options, "", "1"), -EINVAL);
	assert_int_equal(options_set(&options, "a=b", "1"), -EINVAL);
	assert_int_equal(options_set(&options, "a\nb", "1"), -EINVAL);
	assert_int_equal(options_set(&options, "a", "1\n2"), -EINVAL);
	assert_int_equal(options_set(&options, "a", "\x7f"), -EINVAL);
	assert_int_equal(options_set(&options, NULL, "1"), -EINVAL);
	assert_int_equal(options_set(&options, "a", NULL), -EINVAL);
	assert_int_equal(options.len, 0);
}

static void test_options_round_trip(void **state)
{
	struct options options = { 0 }, parsed = { 0 }, copy = { 0 };
	char *text = NULL, *again = NULL;

	(void)state;
	assert_int_equal(options_set(&options, "label.b", "x=y = z"), 0);
	assert_int_equal(options_set(&options, "label.a", ""), 0);
	assert_int_equal(options_set(&options, "label.\xc3\xa9", "\xe2\x82\xac"), 0);
	assert_int_equal(options_serialize(&options, &text), 0);
	assert_string_equal(text, "label.a=\nlabel.b=x=y = z\nlabel.\xc3\xa9=\xe2\x82\xac\n");
	assert_int_equal(options_parse(text, &parsed), 0);
	assert_int_equal(options_copy(&copy, &parsed), 0);
	options_clear(&parsed);
	assert_int_equal(options_serialize(&copy, &again), 0);
	assert_string_equal(again, text);
	free(text);
	free(again);
	options_clear(&options);
	options_clear(&copy);
}

static void test_options_parse(void **state)
{
	struct options options = { 0 };
	char *text = NULL;

	(void)state;
	assert_int_equal(options_parse(NULL, &options), 0);
	assert_int_equal(options_parse("", &options), 0);
	assert_int_equal(options.len, 0);
	assert_int_equal(options_serialize(&options, &text), 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(options_parse("a=1\nb", &options), -EINVAL);
	assert_int_equal(options_parse("a=1\nb\n", &options), -EINVAL);
	assert_int_equal(options_parse("a=1\n\n", &options), -EINVAL);
	assert_int_equal(options_parse("=1\n", &options), -EINVAL);
	assert_int_equal(options_parse("a=1", &options), -EINVAL);
	assert_int_equal(options.len, 0);
}

static int check_one(enum option_scope scope, const char *key, const char *value,
		     struct error *error)
{
	union {
		struct network_policy network;
		struct endpoint_policy endpoint;
		struct context_policy context;
	} policy = { 0 };
	struct options options = { 0 };
	int r;

	assert_int_equal(options_set(&options, key, value), 0);
	r = options_check(&options, scope, &policy, error);
	options_clear(&options);
	return r;
}

static void test_options_table(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(check_one(OPTION_NETWORK, "label.com.example.x", "any thing", NULL), 0);
	assert_int_equal(check_one(OPTION_ENDPOINT, "label.x", "", NULL), 0);
	assert_int_equal(check_one(OPTION_ENDPOINT, "hostname", "web-1", NULL), 0);
	assert_error(check_one(OPTION_NETWORK, "hostname", "web", &error), -ENOTSUP,
		     BN_REASON_OPTION_UNKNOWN, error,
		     "option 'hostname' is not known for a network; it takes label.NAME, internal, "
		     "icc, masquerade, gateway-mode-ipv4, gateway-mode-ipv6, source-ports, "
		     "advertise-count and advertise-interval-ms");
	assert_error(check_one(OPTION_ENDPOINT, "host", "web", &error), -ENOTSUP,
		     BN_REASON_OPTION_UNKNOWN, error,
		     "option 'host' is not known for an endpoint; it takes label.NAME, hostname, "
		     "default-route and metric");
	assert_int_equal(check_one(OPTION_NETWORK, "label.", "x", NULL), -ENOTSUP);
	assert_int_equal(check_one(OPTION_NETWORK, "label", "x", NULL), -ENOTSUP);
	assert_int_equal(check_one(OPTION_NETWORK, "Label.x", "x", NULL), -ENOTSUP);
}

/* So far each of them is as it always was. */
static void test_policy_of_a_network(void **state)
{
	static const char *const now[][2] = { { "internal", "no" },
					      { "icc", "yes" },
					      { "masquerade", "yes" },
					      { "gateway-mode-ipv4", "nat" },
					      { "gateway-mode-ipv6", "nat" } };
	struct error error = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(now); i++)
		assert_int_equal(check_one(OPTION_NETWORK, now[i][0], now[i][1], NULL), 0);
	assert_error(check_one(OPTION_NETWORK, "icc", "no", &error), -EINVAL, BN_REASON_INVALID,
		     error, "option icc can't be 'no'; give yes");
	assert_error(check_one(OPTION_NETWORK, "gateway-mode-ipv6", "routed", &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option gateway-mode-ipv6 can't be 'routed'; give nat");
}

static void test_policy_is_typed(void **state)
{
	struct context_policy policy = { 0 };
	struct options options = { 0 };

	(void)state;
	assert_int_equal(options_check(&options, OPTION_CONTEXT, &policy, NULL), 0);
	assert_int_equal(policy.iptables_comments, COMMENTS_NO);
	assert_int_equal(options_set(&options, "iptables.comments", "yes"), 0);
	assert_int_equal(options_check(&options, OPTION_CONTEXT, &policy, NULL), 0);
	assert_int_equal(policy.iptables_comments, COMMENTS_YES);
	assert_int_equal(policy.take_over, TAKE_OVER_NO);
	assert_int_equal(options_set(&options, "state.take-over", "if-gone"), 0);
	assert_int_equal(options_check(&options, OPTION_CONTEXT, &policy, NULL), 0);
	assert_int_equal(policy.take_over, TAKE_OVER_IF_GONE);
	options_clear(&options);
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "",    "-1",  "+1",         "00",
					   "007", " 1",  "1 ",         "4",
					   "0x1", "1.0", "4294967296", "99999999999999999999",
					   "a",   "1a",  "01",         "1e0" };
	struct network_policy policy = { 0 };
	struct endpoint_policy endpoint = { .metric = 7 };
	struct options options = { 0 };
	struct error error = { 0 };

	(void)state;
	assert_int_equal(options_check(&options, OPTION_ENDPOINT, &endpoint, NULL), 0);
	assert_int_equal(endpoint.metric, 0);
	assert_int_equal(options_check(&options, OPTION_NETWORK, &policy, NULL), 0);
	assert_int_equal(policy.advertise_count, 1);
	assert_int_equal(policy.advertise_interval_ms, 1000);
	assert_int_equal(options_set(&options, "advertise-count", "0"), 0);
	assert_int_equal(options_check(&options, OPTION_NETWORK, &policy, NULL), 0);
	assert_int_equal(policy.advertise_count, 0);
	options_clear(&options);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (check_one(OPTION_NETWORK, "advertise-count", bad[i], NULL) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(check_one(OPTION_ENDPOINT, "metric", "4294967295", NULL), 0);
	assert_int_equal(check_one(OPTION_ENDPOINT, "metric", "0", NULL), -EINVAL);
	assert_error(check_one(OPTION_ENDPOINT, "metric", "4294967296", &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option metric can't be '4294967296'; give a number from 1 to 4294967295");
}

static void test_options_of_a_context(void **state)
{
	char path[4097];
	struct error error = { 0 };

	(void)state;
	assert_int_equal(check_one(OPTION_CONTEXT, "iptables.comments", "yes", NULL), 0);
	assert_int_equal(check_one(OPTION_CONTEXT, "iptables.comments", "no", NULL), 0);
	assert_error(check_one(OPTION_CONTEXT, "iptables.comments", "1", &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option iptables.comments can't be '1'; give yes or no");
	assert_int_equal(check_one(OPTION_CONTEXT, "iptables.lock-file", "/x", NULL), 0);
	assert_error(check_one(OPTION_CONTEXT, "iptables.lock-file", "x", &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option iptables.lock-file can't be 'x'; give an absolute path");
	assert_int_equal(check_one(OPTION_CONTEXT, "iptables.lock-file", "", NULL), -EINVAL);
	memset(path, '/', sizeof(path));
	path[4096] = '\0';
	assert_int_equal(check_one(OPTION_CONTEXT, "iptables.lock-file", path, NULL), -EINVAL);
	path[4095] = '\0';
	assert_int_equal(check_one(OPTION_CONTEXT, "iptables.lock-file", path, NULL), 0);
	assert_error(check_one(OPTION_CONTEXT, "state.take-over", "1", &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option state.take-over can't be '1'; give no or if-gone or yes");
	/* Each scope has its own. */
	assert_error(check_one(OPTION_CONTEXT, "label.x", "x", &error), -ENOTSUP,
		     BN_REASON_OPTION_UNKNOWN, error,
		     "option 'label.x' is not known for a context; it takes iptables.comments, "
		     "iptables.lock-file, state.take-over, sandbox-ipv6 and forwarding");
	assert_int_equal(check_one(OPTION_NETWORK, "iptables.comments", "yes", NULL), -ENOTSUP);
	assert_int_equal(check_one(OPTION_ENDPOINT, "iptables.comments", "yes", NULL), -ENOTSUP);
}

static void test_hostname(void **state)
{
	static const char *const good[] = {
		"a",     "1",  "a-b",
		"a.b.c", "A9", "a23456789012345678901234567890123456789012345678901234567890123"
	};
	static const char *const bad[] = {
		"",     "-a",
		"a-",   "a..b",
		".a",   "a.",
		"a_b",  "a b",
		"a.-b", "\xc3\xa9",
		"a/b",  "a234567890123456789012345678901234567890123456789012345678901234"
	};
	struct error error = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(check_one(OPTION_ENDPOINT, "hostname", good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (check_one(OPTION_ENDPOINT, "hostname", bad[i], &error) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_error(check_one(OPTION_ENDPOINT, "hostname", "a_b", &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option hostname can't be 'a_b'; give a host name: letters, digits and '-' in "
		     "parts joined by '.', 63 bytes at most");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_are_sorted_and_replaced),
		cmocka_unit_test(test_options_set_refuses),
		cmocka_unit_test(test_options_round_trip),
		cmocka_unit_test(test_options_parse),
		cmocka_unit_test(test_options_table),
		cmocka_unit_test(test_policy_of_a_network),
		cmocka_unit_test(test_policy_is_typed),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_options_of_a_context),
		cmocka_unit_test(test_hostname),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
