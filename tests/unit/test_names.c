/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

static void test_network_name(void **state)
{
	static const char *const good[] = {
		"a", "bridge", "My_net-1.2", "0",
		"123456789012345678901234567890123456789012345678901234567890"
	};
	static const char *const bad[] = { "-a",  "_a",       ".a",  "a b",  "a/b",
					   "a:b", "\xc3\xa9", "a\n", "a\"b", "a\\b" };
	struct error error = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(network_name_check(good[i], &error), 0);
	assert_int_equal(error.code, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (network_name_check(bad[i], &error) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(error.reason, BN_REASON_INVALID);
		assert_non_null(strstr(error.message, "network name '"));
	}
	assert_error(network_name_check("a b", &error), -EINVAL, BN_REASON_INVALID, error,
		     "network name 'a b' is not valid; begin with a letter or digit and use "
		     "letters, digits, '_', '.' and '-' only");
	assert_error(network_name_check("", &error), -EINVAL, BN_REASON_INVALID, error,
		     "the network name is empty; give 1 to 60 letters, digits, '_', '.' or '-'");
	assert_int_equal(network_name_check(NULL, NULL), -EINVAL);
}

static void test_names_of_full_length(void **state)
{
	char name[ENDPOINT_ID_MAX + 2];
	struct error error = { 0 };

	(void)state;
	memset(name, 'a', sizeof(name));
	name[NETWORK_NAME_MAX + 1] = '\0';
	assert_int_equal(network_name_check(name, &error), -ENAMETOOLONG);
	assert_non_null(strstr(error.message, "is longer than 60 bytes; shorten it"));
	name[NETWORK_NAME_MAX] = '\0';
	assert_int_equal(network_name_check(name, &error), 0);
	memset(name, 'a', sizeof(name));
	name[ENDPOINT_ID_MAX + 1] = '\0';
	assert_int_equal(endpoint_id_check(name, &error), -ENAMETOOLONG);
	name[ENDPOINT_ID_MAX] = '\0';
	assert_int_equal(endpoint_id_check(name, &error), 0);
}

static void test_endpoint_id(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(endpoint_id_check("web-1", &error), 0);
	assert_error(endpoint_id_check("web/1", &error), -EINVAL, BN_REASON_INVALID, error,
		     "endpoint id 'web/1' is not valid; begin with a letter or digit and use "
		     "letters, digits, '_', '.' and '-' only");
	assert_error(endpoint_id_check("web\n1", &error), -EINVAL, BN_REASON_INVALID, error,
		     "endpoint id 'web?1' is not valid; begin with a letter or digit and use "
		     "letters, digits, '_', '.' and '-' only");
}

static void test_interface_name(void **state)
{
	static const char *const good[] = { "lo",  "eth0",   "bn-0123456789ab", "a.b",
					    "...", "wl@n+1", "\xc3\xa9" };
	static const char *const bad[] = { "",    ".",   "..",    "a/b",   "a:b",  "a b",
					   "a\t", "a%d", "a\xa0", "a\x7f", "a\x01" };
	struct error error = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (interface_name_check(good[i], &error) < 0)
			fail_msg("'%s': %s", good[i], error.message);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (interface_name_check(bad[i], &error) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_error(interface_name_check("a234567890123456", &error), -ENAMETOOLONG,
		     BN_REASON_INVALID, error,
		     "interface name 'a234567890123456' is longer than 15 bytes; shorten it");
	assert_int_equal(interface_name_check(NULL, NULL), -EINVAL);
}

static void test_bridge_name(void **state)
{
	static const char *const bad[] = { "+", "br+", "b*", "\"b", "b\\r" };
	struct error error = { 0 };

	(void)state;
	assert_int_equal(bridge_name_check("bn-0123456789ab", &error), 0);
	assert_int_equal(bridge_name_check("!br.5@#$'", &error), 0);
	assert_int_equal(bridge_name_check("a/b", &error), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (interface_name_check(bad[i], &error) < 0 ||
		    bridge_name_check(bad[i], &error) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_error(
		bridge_name_check("br+", &error), -EINVAL, BN_REASON_INVALID, error,
		"bridge name 'br+' is not valid: saved rules with a '+', '*', '\"' or '\\' can't "
		"be restored, or match other bridges; use another");
}

static void test_ids(void **state)
{
	char id[ID_LEN + 1], name[IFNAMSIZ];
	uint8_t bytes[32];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(0xf8 + i);
	id_format(bytes, id);
	assert_string_equal(id, "f8f9fafbfcfdfeff0001020304050607"
				"08090a0b0c0d0e0f1011121314151617");
	bridge_name(id, name);
	assert_string_equal(name, "bn-f8f9fafbfcfd");
}

static void test_host_interface_name(void **state)
{
	char name[IFNAMSIZ], again[IFNAMSIZ], other[IFNAMSIZ];

	(void)state;
	host_interface_name("0123", "web", name);
	assert_int_equal(strlen(name), 14);
	assert_memory_equal(name, "bv", 2);
	assert_int_equal(strspn(name + 2, "0123456789abcdef"), 12);
	assert_int_equal(interface_name_check(name, NULL), 0);
	host_interface_name("0123", "web", again);
	assert_string_equal(name, again);
	host_interface_name("0124", "web", other);
	assert_string_not_equal(name, other);
	host_interface_name("0123", "wec", other);
	assert_string_not_equal(name, other);
	/* Where one id ends and the other begins is part of it. */
	host_interface_name("012", "3web", other);
	assert_string_not_equal(name, other);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void test_host_interface_names_do_not_collide(void **state)
{
	static char names[50000][IFNAMSIZ];
	char id[32];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(id, sizeof(id), "endpoint-%u", i);
		host_interface_name("8d3c", id, names[i]);
	}
	qsort(names, ARRAY_SIZE(names), IFNAMSIZ, compare_names);
	for (size_t i = 1; i < ARRAY_SIZE(names); i++)
		assert_string_not_equal(names[i - 1], names[i]);
}

static void test_network_label(void **state)
{
	static const char *const whole[] = { "a", "bridge", "exactly-fifteen" };
	char label[NETWORK_LABEL_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		network_label(whole[i], "0123456789abcdef", label);
		assert_string_equal(label, whole[i]);
	}
	network_label("exactly-sixteen-", "0123456789abcdef", label);
	assert_string_equal(label, "ex~0123456789ab");
	/* No name of a network has a '~': what is shortened never looks like one that is whole. */
	assert_int_equal(network_name_check(label, NULL), -EINVAL);
}

/* Nor may somebody choose two names so. */
static void test_network_labels_are_distinct(void **state)
{
	char one[NETWORK_LABEL_MAX], other[NETWORK_LABEL_MAX];

	(void)state;
	network_label("the-very-same-name", "00000000000a", one);
	network_label("the-very-same-name", "00000000000b", other);
	assert_string_not_equal(one, other);
}

static void test_link_alias(void **state)
{
	char alias[ALIAS_MAX], id[ENDPOINT_ID_MAX + 1], expected[ALIAS_MAX];

	(void)state;
	link_alias("0123456789abcdef", NULL, alias);
	assert_string_equal(alias, "bridgenet:0123456789ab");
	memset(id, 'e', ENDPOINT_ID_MAX);
	id[ENDPOINT_ID_MAX] = '\0';
	link_alias("0123456789abcdef", id, alias);
	snprintf(expected, sizeof(expected), "bridgenet:0123456789ab/%s", id);
	assert_string_equal(alias, expected);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_name),
		cmocka_unit_test(test_names_of_full_length),
		cmocka_unit_test(test_endpoint_id),
		cmocka_unit_test(test_interface_name),
		cmocka_unit_test(test_bridge_name),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_host_interface_name),
		cmocka_unit_test(test_host_interface_names_do_not_collide),
		cmocka_unit_test(test_network_label),
		cmocka_unit_test(test_network_labels_are_distinct),
		cmocka_unit_test(test_link_alias),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
