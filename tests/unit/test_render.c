/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "firewall/firewall.h"

static void check_extra(const struct rule *rule, const char *expected)
{
	char text[RULE_EXTRA_MAX];

	rule_render_extra(rule, text);
	assert_string_equal(text, expected);
}

static void test_extra_of_ports(void **state)
{
	struct rule rule = { .target = TARGET_DNAT,
			     .protocol = IPPROTO_TCP,
			     .host_port = 8799,
			     .count = 1,
			     .to_port = 1337 };

	(void)state;
	rule.to = addr_of("172.17.0.4");
	check_extra(&rule, "tcp dpt:8799 to:172.17.0.4:1337");
	rule.count = 11;
	rule.host_port = 8000;
	rule.to_port = 9000;
	check_extra(&rule, "tcp dpts:8000:8010 to:172.17.0.4:9000-9010");
	rule.to = addr_of("fd00::2");
	rule.protocol = IPPROTO_UDP;
	check_extra(&rule, "udp dpts:8000:8010 to:[fd00::2]:9000-9010");
	rule.count = 1;
	rule.to_port = 80;
	check_extra(&rule, "udp dpt:8000 to:[fd00::2]:80");
	rule.target = TARGET_DROP;
	check_extra(&rule, "udp dpt:8000");
	rule.protocol = IPPROTO_SCTP;
	rule.host_port = 1;
	rule.count = 65535;
	check_extra(&rule, "sctp dpts:1:65535");
}

static void test_extra_of_matches(void **state)
{
	struct rule rule = { .target = TARGET_ACCEPT };

	(void)state;
	check_extra(&rule, "");
	rule.match = RULE_STATE_ESTABLISHED;
	check_extra(&rule, "ctstate RELATED,ESTABLISHED");
	rule.match = RULE_STATUS_DNAT;
	check_extra(&rule, "ctstate DNAT");
	rule.match = RULE_LOCAL_DESTINATION;
	check_extra(&rule, "ADDRTYPE match dst-type LOCAL");
	rule.match = RULE_LOCAL_DESTINATION | RULE_STATUS_DNAT;
	check_extra(&rule, "ADDRTYPE match dst-type LOCAL ctstate DNAT");
}

static void test_extra_of_foreign(void **state)
{
	char words[] = "tcp dport 22 counter drop", endless[2 * RULE_EXTRA_MAX];
	struct rule rule = { .kind = RULE_FOREIGN, .target = TARGET_OTHER, .foreign = words };
	char text[RULE_EXTRA_MAX];

	(void)state;
	check_extra(&rule, "tcp dport 22 counter drop");
	rule.foreign = NULL;
	check_extra(&rule, "");
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	rule.foreign = endless;
	rule_render_extra(&rule, text);
	assert_int_equal(strlen(text), RULE_EXTRA_MAX - 1);
}

static void check_address(int family, const char *prefix_text, bool negated, const char *expected)
{
	struct rule rule = { .family = family };
	struct prefix prefix = { 0 };
	char text[PREFIX_TEXT_MAX + 1];

	if (prefix_text)
		prefix = prefix_of(prefix_text);
	rule_render_address(&rule, &prefix, negated, text);
	assert_string_equal(text, expected);
}

static void test_address(void **state)
{
	(void)state;
	check_address(AF_INET, "172.17.0.0/16", false, "172.17.0.0/16");
	check_address(AF_INET, "127.0.0.0/8", true, "!127.0.0.0/8");
	check_address(AF_INET, "172.17.0.2/32", false, "172.17.0.2");
	check_address(AF_INET6, "::1/128", true, "!::1");
	check_address(AF_INET6, "fd00::/64", false, "fd00::/64");
	check_address(AF_INET6, "1111:1111:1111:1111:1111:1111:1111:1110/124", true,
		      "!1111:1111:1111:1111:1111:1111:1111:1110/124");
	check_address(AF_INET, NULL, false, "0.0.0.0/0");
	check_address(AF_INET6, NULL, false, "::/0");
	check_address(AF_UNSPEC, NULL, false, "anywhere");
}

static void test_interface(void **state)
{
	char text[IFNAMSIZ + 1];

	(void)state;
	rule_render_interface("bn0", false, text);
	assert_string_equal(text, "bn0");
	rule_render_interface("bn-0123456789ab", true, text);
	assert_string_equal(text, "!bn-0123456789ab");
	rule_render_interface("", false, text);
	assert_string_equal(text, "*");
	rule_render_interface("", true, text);
	assert_string_equal(text, "*");
}

static void test_backends_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; firewall_backends[i]; i++)
		assert_ptr_equal(firewall_backend_by_name(firewall_backends[i]->name),
				 firewall_backends[i]);
#ifdef HAVE_NFTABLES
	assert_string_equal(firewall_backends[0]->name, "nftables");
#endif
	assert_null(firewall_backend_by_name("nftable"));
	assert_null(firewall_backend_by_name(""));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extra_of_ports),   cmocka_unit_test(test_extra_of_matches),
		cmocka_unit_test(test_extra_of_foreign), cmocka_unit_test(test_address),
		cmocka_unit_test(test_interface),        cmocka_unit_test(test_backends_by_name),
	};

	return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
