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
		struct port_policy port;
		struct context_policy context;
	} policy = { 0 };
	struct options options = { 0 };
	int r;

	assert_int_equal(options_set(&options, key, value), 0);
	r = options_check(&options, scope, &policy, error);
	policy_clear(scope, &policy);
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
		     "option 'hostname' is not known for a network; bridgenet-options(7) has those "
		     "that are");
	assert_error(
		check_one(OPTION_ENDPOINT, "host", "web", &error), -ENOTSUP,
		BN_REASON_OPTION_UNKNOWN, error,
		"option 'host' is not known for an endpoint; bridgenet-options(7) has those that "
		"are");
	assert_error(
		check_one(OPTION_NETWORK, "intenal", "yes", &error), -ENOTSUP,
		BN_REASON_OPTION_UNKNOWN, error,
		"option 'intenal' is not known for a network; the nearest that is is internal");
	assert_error(check_one(OPTION_NETWORK, "com.docker.network.bridge.icc", "1", &error),
		     -ENOTSUP, BN_REASON_OPTION_UNKNOWN, error,
		     "option 'com.docker.network.bridge.icc' is not known for a network; "
		     "bridgenet-options(7) has those that are");
	assert_error(check_one(OPTION_ENDPOINT, "com.docker.compose.project", "x", &error),
		     -ENOTSUP, BN_REASON_OPTION_UNKNOWN, error,
		     "option 'com.docker.compose.project' is not known for an endpoint; if it is "
		     "to be kept, give it as label.com.docker.compose.project");
	assert_int_equal(check_one(OPTION_NETWORK, "label.", "x", NULL), -ENOTSUP);
	assert_int_equal(check_one(OPTION_NETWORK, "label", "x", NULL), -ENOTSUP);
	assert_int_equal(check_one(OPTION_NETWORK, "Label.x", "x", NULL), -ENOTSUP);
}

/* Some values that each type does not take. */
static void test_types(void **state)
{
	static const struct {
		enum option_scope scope;
		const char *key, *value;
	} bad[] = {
		{ OPTION_NETWORK, "icc", "maybe" },
		{ OPTION_NETWORK, "icc", "" },
		{ OPTION_NETWORK, "snat-ipv4", "fd00::1" },
		{ OPTION_NETWORK, "snat-ipv6", "10.0.0.1" },
		{ OPTION_NETWORK, "snat-ipv4", "10.0.0.1/24" },
		{ OPTION_NETWORK, "nat-exclude", "" },
		{ OPTION_NETWORK, "nat-exclude", "10.0.0.0/8," },
		{ OPTION_NETWORK, "nat-exclude", ",10.0.0.0/8" },
		{ OPTION_NETWORK, "nat-exclude", "10.0.0.1/8" },
		{ OPTION_NETWORK, "nat-exclude", "10.0.0.0/33" },
		{ OPTION_NETWORK, "nat-exclude", "eth0" },
		{ OPTION_NETWORK, "trusted", "an interface" },
		{ OPTION_NETWORK, "trusted", "0123456789abcdef" },
		{ OPTION_NETWORK, "interface-prefix", "a/b" },
		{ OPTION_NETWORK, "dns", "1.1.1.1;8.8.8.8" },
		{ OPTION_ENDPOINT, "rate-in", "0" },
		{ OPTION_ENDPOINT, "rate-in", "999" },
		{ OPTION_ENDPOINT, "rate-in", "20m" },
		{ OPTION_ENDPOINT, "rate-in", "M" },
		{ OPTION_ENDPOINT, "rate-in", "1001G" },
		{ OPTION_ENDPOINT, "rate-in", "99999999999999999G" },
		{ OPTION_ENDPOINT, "alias.db", "x" },
		{ OPTION_ENDPOINT, "gateway-priority-ipv4", "-0" },
		{ OPTION_ENDPOINT, "gateway-priority-ipv4", "2147483648" },
		{ OPTION_ENDPOINT, "gateway-priority-ipv4", "-2147483649" },
		{ OPTION_CONTEXT, "pools", "10.0.0.0/8" },
		{ OPTION_CONTEXT, "pools", "10.0.0.0/8:7" },
		{ OPTION_CONTEXT, "pools", "10.0.0.0/8:33" },
		{ OPTION_CONTEXT, "pools", "10.0.0.1/8:24" },
		{ OPTION_CONTEXT, "network-default.icc", "perhaps" },
		{ OPTION_CONTEXT, "persistent-dir", "x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (check_one(bad[i].scope, bad[i].key, bad[i].value, NULL) != -EINVAL)
			fail_msg("%s=%s was taken", bad[i].key, bad[i].value);
	assert_int_equal(check_one(OPTION_CONTEXT, "network-default.icx", "no", NULL), -ENOTSUP);
	assert_int_equal(check_one(OPTION_CONTEXT, "network-default.icc", "no", NULL), 0);
	assert_int_equal(check_one(OPTION_CONTEXT, "network-default.mtu", "1400", NULL), 0);
	assert_int_equal(check_one(OPTION_CONTEXT, "network-default.snat-ipv4", "10.0.0.1", NULL),
			 0);
}

static void test_lists_are_sorted_and_said_once(void **state)
{
	struct network_policy policy = { 0 };
	struct options options = { 0 };
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_int_equal(options_set(&options, "trusted",
				     "up0,10.2.0.0/16,10.1.0.7,up1,up0,"
				     "10.2.0.0/16,fd00::/8"),
			 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(options_check(&options, OPTION_NETWORK, &policy, NULL), 0);
		assert_int_equal(policy.trusted.len, 3);
		assert_string_equal(prefix_format(&policy.trusted.items[0], text), "10.1.0.7/32");
		assert_string_equal(prefix_format(&policy.trusted.items[2], text), "fd00::/8");
		assert_int_equal(policy.trusted_interfaces.len, 2);
		assert_string_equal(policy.trusted_interfaces.items[1].text, "up1");
	}
	policy_clear(OPTION_NETWORK, &policy);
	assert_null(policy.trusted.items);
	options_clear(&options);
}

static void test_rates(void **state)
{
	struct endpoint_policy policy = { 0 };
	struct options options = { 0 };

	(void)state;
	assert_int_equal(options_set(&options, "rate-in", "20M"), 0);
	assert_int_equal(options_set(&options, "burst-in", "64k"), 0);
	assert_int_equal(options_set(&options, "rate-out", "1500"), 0);
	assert_int_equal(options_set(&options, "gateway-priority-ipv6", "-3"), 0);
	assert_int_equal(options_check(&options, OPTION_ENDPOINT, &policy, NULL), 0);
	assert_true(policy.rate_in == 20000000 && policy.burst_in == 65536);
	assert_true(policy.rate_out == 1500 && policy.burst_out == 0);
	assert_true(policy.has_gateway_priority_ipv6 && !policy.has_gateway_priority_ipv4);
	assert_int_equal(policy.gateway_priority_ipv6, -3);
	options_clear(&options);
}

static void test_conflicts(void **state)
{
	struct network_policy policy = { 0 };
	struct options options = { 0 };
	struct error error = { 0 };

	(void)state;
	assert_error(check_one(OPTION_NETWORK, "gateway-mode-ipv4", "isolated", &error), -EINVAL,
		     BN_REASON_OPTION_CONFLICT, error,
		     "option gateway-mode-ipv4=isolated needs internal=yes: a network that the "
		     "host is not on leads nowhere; give both or neither");
	assert_int_equal(options_set(&options, "gateway-mode-ipv4", "isolated"), 0);
	assert_int_equal(options_set(&options, "internal", "yes"), 0);
	assert_int_equal(options_check(&options, OPTION_NETWORK, &policy, NULL), 0);
	assert_int_equal(options_set(&options, "trusted", "eth0"), 0);
	assert_error(options_check(&options, OPTION_NETWORK, &policy, &error), -EINVAL,
		     BN_REASON_OPTION_CONFLICT, error,
		     "options internal=yes and trusted exclude each other: nobody reaches an "
		     "internal network; leave one out");
	policy_clear(OPTION_NETWORK, &policy);
	options_clear(&options);
}

static void assert_normal(enum option_scope scope, const char *given, const char *own)
{
	struct options options = { 0 };
	char *text;

	assert_int_equal(options_parse(given, &options), 0);
	assert_int_equal(options_normalise(&options, scope, NULL), 0);
	assert_int_equal(options_serialize(&options, &text), 0);
	assert_string_equal(text, own);
	free(text);
	options_clear(&options);
}

static void test_other_names(void **state)
{
	struct options options = { 0 };
	struct error error = { 0 };

	(void)state;
	assert_normal(OPTION_NETWORK,
		      "com.docker.network.bridge.enable_icc=false\n"
		      "com.docker.network.bridge.inhibit_ipv4=true\n"
		      "com.docker.network.bridge.trusted_host_interfaces=a:b\n"
		      "com.docker.network.bridge.name=br0\ncom.docker.network.driver.mtu=1400\n"
		      "com.docker.network.enable_ipv6=1\nlabel.x=true\nisolate=true\n"
		      "mode=unmanaged\nunknown=true\n",
		      "bridge=br0\nbridge-address-ipv4=no\nicc=no\nipv6=yes\nisolate=yes\n"
		      "label.x=true\nmanaged=no\nmtu=1400\ntrusted=a,b\nunknown=true\n");
	assert_normal(OPTION_ENDPOINT,
		      "gw-priority=-7\ncom.docker.network.endpoint.sysctls="
		      "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=0\n",
		      "gateway-priority-ipv4=-7\ngateway-priority-ipv6=-7\n"
		      "sysctl.net.ipv4.conf.IFNAME.log_martians=1\n"
		      "sysctl.net.ipv6.conf.IFNAME.accept_ra=0\n");
	assert_normal(OPTION_CONTEXT,
		      "ip-forward=false\niptables.comments=1\n"
		      "network-default.com.docker.network.bridge.enable_icc=0\n"
		      "default-network-opts=internal=true\n",
		      "forwarding=require\niptables.comments=yes\nnetwork-default.icc=no\n"
		      "network-default.internal=yes\n");
	assert_int_equal(options_set(&options, "icc", "yes"), 0);
	assert_int_equal(options_set(&options, "com.docker.network.bridge.enable_icc", "1"), 0);
	assert_int_equal(options_normalise(&options, OPTION_NETWORK, &error), 0);
	assert_int_equal(options_set(&options, "com.docker.network.bridge.enable_icc", "no"), 0);
	assert_error(options_normalise(&options, OPTION_NETWORK, &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option icc is given by two names of it, as 'no' and as 'yes'; leave one out");
	options_clear(&options);
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
	assert_error(check_one(OPTION_CONTEXT, "iptables.comments", "2", &error), -EINVAL,
		     BN_REASON_INVALID, error,
		     "option iptables.comments can't be '2'; give no or yes");
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
		     "option 'label.x' is not known for a context; bridgenet-options(7) has those "
		     "that are");
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
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_lists_are_sorted_and_said_once),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_other_names),
		cmocka_unit_test(test_policy_is_typed),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_options_of_a_context),
		cmocka_unit_test(test_hostname),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
