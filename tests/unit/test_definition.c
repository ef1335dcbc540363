/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "model/definition.h"
#include "model/ipam.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char whole[] = "bridgenet-network 1\n"
			    "name blue\n"
			    "id " ID "\n"
			    "bridge bn-0123456789ab\n"
			    "mtu 1400\n"
			    "subnet 10.1.0.0/24\n"
			    "gateway 10.1.0.1\n"
			    "ip-range 10.1.0.3-10.1.0.9\n"
			    "subnet fd00:1::/64\n"
			    "gateway fd00:1::1\n"
			    "reserved 10.1.0.5\n"
			    "reserved fd00:1::5\n"
			    "option internal=no\n"
			    "option label.note=a=b 'c'\n"
			    "end\n";

static int parse(const char *text, struct network *network, struct error *error)
{
	char *copy = strdup(text);
	int r;

	assert_non_null(copy);
	*network = (struct network){ 0 };
	*error = (struct error){ 0 };
	r = definition_parse(copy, network, error);
	free(copy);
	return r;
}

static void test_round_trip(void **state)
{
	struct network network;
	struct error error;
	char *text;

	(void)state;
	assert_int_equal(parse(whole, &network, &error), 0);
	assert_string_equal(network.name, "blue");
	assert_int_equal(network.mtu, 1400);
	assert_int_equal(network.reserved.len, 2);
	assert_int_equal(network.policy.advertise_interval_ms, 1000);
	assert_int_equal(definition_format(&network, &text), 0);
	assert_string_equal(text, whole);
	free(text);
	/* as it comes back from the state, without its bridge */
	memcpy(network.planned_bridge, network.bridge, sizeof(network.bridge));
	network.bridge[0] = '\0';
	assert_int_equal(definition_format(&network, &text), 0);
	assert_string_equal(text, whole);
	free(text);
	network_clear(&network);
}

/* What follows a subnet is of that one. */
static void test_several(void **state)
{
	static const char several[] = "bridgenet-network 1\n"
				      "name blue\n"
				      "id " ID "\n"
				      "bridge bn-0123456789ab\n"
				      "mtu 1400\n"
				      "subnet 10.1.0.0/24\n"
				      "gateway 10.1.0.1\n"
				      "subnet 10.2.0.0/24\n"
				      "gateway 10.2.0.9\n"
				      "ip-range 10.2.0.128/25\n"
				      "subnet fd00:1::/64\n"
				      "gateway fd00:1::1\n"
				      "subnet fd00:2::/64\n"
				      "gateway fd00:2::9\n"
				      "end\n";
	const char *end = several + sizeof(several) - 1 - strlen("end\n");
	char many[1024];
	struct network network;
	struct error error;
	char *text;

	(void)state;
	assert_int_equal(parse(several, &network, &error), 0);
	assert_null(network_subnet_at(&network, AF_INET, 2));
	assert_int_equal(definition_format(&network, &text), 0);
	assert_string_equal(text, several);
	free(text);
	network_clear(&network);
	/* of a family there are eight at most */
	for (int more = 6; more <= 7; more++) {
		snprintf(many, sizeof(many), "%.*s", (int)(end - several), several);
		for (int i = 0; i < more; i++)
			snprintf(many + strlen(many), 32, "subnet 10.%d.0.0/24\n", 20 + i);
		strcat(many, "end\n");
		assert_int_equal(parse(many, &network, &error), more == 6 ? 0 : -EBADMSG);
		network_clear(&network);
	}
}

/* Cut anywhere it is not whole, and no line of it can be left out but those that not every network
 * has. */
static void test_cut(void **state)
{
	static const char *const dispensable[] = { "ip-range", "reserved", "option", "gateway" };
	struct network network;
	struct error error;
	char text[sizeof(whole)];

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		memcpy(text, whole, len);
		text[len] = '\0';
		assert_int_equal(parse(text, &network, &error), -EBADMSG);
		assert_true(error.message[0]);
	}
	for (const char *line = whole, *next; *line; line = next) {
		bool may_lack = false;

		next = strchr(line, '\n') + 1;
		for (size_t i = 0; i < ARRAY_SIZE(dispensable); i++)
			may_lack |= strncmp(line, dispensable[i], strlen(dispensable[i])) == 0;
		/* without the gateway it is picked anew, and without one subnet there is the other */
		if (may_lack || strncmp(line, "subnet", 6) == 0)
			continue;
		snprintf(text, sizeof(text), "%.*s%s", (int)(line - whole), whole, next);
		if (parse(text, &network, &error) != -EBADMSG)
			fail_msg("without %s", line);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *instead, *sentence;
	} cases[] = {
		{ "bridgenet-network 1", "bridgenet-network 2",
		  "line 1 can't be understood: 'bridgenet-network 2'" },
		{ "name blue", "name ../blue", "line 2 can't be understood: 'name ../blue'" },
		{ "name blue", "name", "line 2 can't be understood: 'name'" },
		{ "bridge bn-0123456789ab", "bridge a+b",
		  "line 4 can't be understood: 'bridge a+b'" },
		{ "mtu 1400", "mtu 67", "line 5 can't be understood: 'mtu 67'" },
		{ "mtu 1400", "mtu -1", "line 5 can't be understood: 'mtu -1'" },
		{ "subnet 10.1.0.0/24", "subnet 10.1.0.1/24",
		  "subnet 10.1.0.1/24 has host bits set; use 10.1.0.0/24" },
		{ "gateway 10.1.0.1", "gateway 10.2.0.1",
		  "gateway 10.2.0.1 is outside subnet 10.1.0.0/24; give an address of the subnet" },
		{ "subnet fd00:1::/64", "subnet 10.2.0.0/24",
		  "line 10 can't be understood: 'gateway fd00:1::1'" },
		{ "subnet fd00:1::/64", "subnet 10.1.0.128/25\nsubnet fd00:1::/64",
		  "subnets 10.1.0.0/24 and 10.1.0.128/25 of network blue overlap; choose another "
		  "in place of one of them" },
		{ "ip-range 10.1.0.3-10.1.0.9", "ip-range 10.1.0.9-10.1.0.3",
		  "line 8 can't be understood: 'ip-range 10.1.0.9-10.1.0.3'" },
		{ "reserved 10.1.0.5", "reserved x", "line 11 can't be understood: 'reserved x'" },
		{ "reserved 10.1.0.5", "reserve 10.1.0.5",
		  "line 11 can't be understood: 'reserve 10.1.0.5'" },
		{ "option internal=no", "option internal",
		  "line 13 can't be understood: 'option internal'" },
	};
	struct network network;
	struct error error;
	char text[2 * sizeof(whole)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *at = strstr(whole, cases[i].line);

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - whole), whole, cases[i].instead,
			 at + strlen(cases[i].line));
		assert_int_equal(parse(text, &network, &error), -EBADMSG);
		assert_string_equal(error.message, cases[i].sentence);
		assert_int_equal(network.reserved.len, 0);
	}
	/* nothing follows the end */
	snprintf(text, sizeof(text), "%sname green\n", whole);
	assert_int_equal(parse(text, &network, &error), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("definition", tests, NULL, NULL);
}
