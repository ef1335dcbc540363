/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel that takes no look-up in a map but for what its keys lead to: a set has the ports again,
 * for what fits no connection, so that nothing of it is counted as what came by a mapping. */
#include "firewall_stage.h"

#include <sys/utsname.h>

#include "../unit/plan_parts.h"
#include "firewall/nft/nft.h"

const struct firewall_backend *const backend = &nft_backend;

/* In place of libc's. */
int uname(struct utsname *name)
{
	*name = (struct utsname){ .release = "5.10.0-old" };
	return 0;
}

static void test_which_kernel(void **state)
{
	static const struct {
		const char *release;
		uint32_t trait;
	} cases[] = {
		{ "", PLAN_LISTS_PORTS },       { "5.10.0-23-amd64", PLAN_LISTS_PORTS },
		{ "6.5.13", PLAN_LISTS_PORTS }, { "6.6", PLAN_ASKS_PORTS },
		{ "6.18.4", PLAN_ASKS_PORTS },  { "7.0", PLAN_ASKS_PORTS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(nft_traits(cases[i].release) &
					 (PLAN_ASKS_PORTS | PLAN_LISTS_PORTS),
				 cases[i].trait);
}

static void test_a_set_has_the_ports(void **state)
{
	rule_vector rules = { 0 }, none = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules, NULL);
	/* no rule asks a map that it does not take a target from */
	assert_output_is(
		"nft list chain inet bridgenet unconnected | grep -c -e @ports -e ' drop'; "
		"nft list chain inet bridgenet unconnected | grep -c '@invalid'",
		"4\n4\n");
	/* TCP alone: 8799, 65535 and a range of 100 */
	assert_output_is("nft list set inet bridgenet invalid4 | grep -o 'tcp \\.' | wc -l",
			 "102\n");
	assert_output_is("nft list set inet bridgenet invalid6 | grep -o 'tcp \\.' | wc -l", "1\n");
	assert_output_is("nft list set inet bridgenet invalid4-address | grep -o 'tcp \\.' | wc -l",
			 "1\n");
	run("nft list ruleset >/tmp/nft-old.$$ && nft flush ruleset && nft -f /tmp/nft-old.$$; "
	    "r=$?; rm -f /tmp/nft-old.$$; exit $r");
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_output_is("nft list ruleset", "");
	rules_clear(&rules);
}

static void plan_on_interface(const struct network *network, const struct endpoint *endpoint,
			      const char *name, rule_vector *rules)
{
	struct port port = { .protocol = IPPROTO_TCP,
			     .host_addr = { .family = AF_INET },
			     .host_port = 8080,
			     .container_port = 80,
			     .count = 1 };

	string_copy(port.interface, sizeof(port.interface), name);
	assert_int_equal(plan_parts(backend->traits(), PLAN_PORTS, network, endpoint, &port, rules),
			 0);
}

/* They are two mappings, of two endpoints: a set of ports alone would have room for one. */
static void test_a_port_of_two_interfaces(void **state)
{
	struct network network = { .name = "blue", .bridge = "nf-blue" };
	struct endpoint web = { .id = "web", .network = "blue" };
	struct endpoint other = { .id = "other", .network = "blue" };
	rule_vector rules = { 0 };

	(void)state;
	assert_int_equal(prefix_parse("172.30.0.0/16", &network.ipv4.prefix), 0);
	assert_int_equal(prefix_parse("172.30.0.2/16", &web.ipv4), 0);
	assert_int_equal(prefix_parse("172.30.0.3/16", &other.ipv4), 0);
	plan_on_interface(&network, &web, "eth0", &rules);
	plan_on_interface(&network, &other, "eth1", &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_output_is("nft list map inet bridgenet ports4-interface | grep -o ' : 172' | wc -l",
			 "2\n");
	rules_clear(&rules);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_kernel),
		cmocka_unit_test_setup_teardown(test_a_set_has_the_ports, stage_setup,
						stage_teardown),
		cmocka_unit_test_setup_teardown(test_a_port_of_two_interfaces, stage_setup,
						stage_teardown),
	};

	return cmocka_run_group_tests_name("nftables of an old kernel", tests, NULL, NULL);
}
