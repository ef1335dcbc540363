/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many networks with the iptables-legacy backend: the nodes that lead to their chains. */
#include "firewall_stage.h"

#include "firewall/iptables/iptables.h"

#define MANY 200

const struct firewall_backend *const backend = &iptables_backend;

static rule_vector rules;
static size_t begins[MANY + 1]; /* of the rules of each network */

/* Digits that lie as those of ids do. */
static void add_network(unsigned int number)
{
	char name[16], bridge[IFNAMSIZ], ipv4[32], ipv6[32];

	snprintf(name, sizeof(name), "net%u", number);
	snprintf(bridge, sizeof(bridge), "bn-%012llx", (number + 1) * 0x9e3779b97f4a7c15ull >> 16);
	/* some are named by whoever made the network */
	if (number % 16 == 3)
		snprintf(bridge, sizeof(bridge), "bn-a%u", number);
	snprintf(ipv4, sizeof(ipv4), "10.0.%u.0/24", number);
	snprintf(ipv6, sizeof(ipv6), "fd00:%x::/64", number + 1);
	begins[number] = rules.len;
	plan_pair(name, bridge, ipv4, ipv6, &rules);
	begins[number + 1] = rules.len;
}

static rule_vector networks_from(unsigned int first, unsigned int end)
{
	return (rule_vector){ .items = &rules.items[begins[first]],
			      .len = begins[end] - begins[first] };
}

/* They come by one, so that those which come first are of all digits. */
static void apply_networks(unsigned int end)
{
	rule_vector rest = networks_from(DISPATCH_BRIDGES + 1, end);

	for (unsigned int i = 0; i < DISPATCH_BRIDGES + 1; i++) {
		rule_vector one = networks_from(i, i + 1);

		assert_int_equal(apply(&one, NULL, i ? 0 : FIREWALL_BASE), 0);
	}
	assert_int_equal(apply(&rest, NULL, 0), 0);
}

static int setup_networks(void **state)
{
	int r = stage_setup(state);

	for (unsigned int i = 0; i < MANY && r == 0; i++)
		add_network(i);
	return r;
}

static int teardown_networks(void **state)
{
	rules_clear(&rules);
	return stage_teardown(state);
}

/* What a packet of the last network meets, in rules that lead on. */
static void assert_short(void)
{
	static const struct {
		const char *chain, *way, *node;
	} cases[] = {
		{ "raw -S BRIDGENET-RAW", "-i .* -g", "BRIDGENET-RAW:" },
		{ "filter -S BRIDGENET-FORWARD", "-o .* -j", "BRIDGENET-TO:" },
		{ "filter -S BRIDGENET-FORWARD", "-i .* -j", "BRIDGENET-FROM:" },
	};
	static const char *const programs[] = { "iptables-legacy", "ip6tables-legacy" };
	char command[256], *text;

	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		snprintf(command, sizeof(command),
			 "%s -t %s | grep -v '! -i' | grep -c -e '%s BN-'", programs[i % 2],
			 cases[i / 2].chain, cases[i / 2].way);
		text = output_of(command);
		assert_in_range(atoi(text), DISPATCH_BRIDGES, DISPATCH_BRIDGES + MANY / 16 + 1);
		free(text);
		snprintf(command, sizeof(command),
			 "%s -t %s | grep -v '! -i' | grep -c -e '%s %s.$'", programs[i % 2],
			 cases[i / 2].chain, cases[i / 2].way, cases[i / 2].node);
		text = output_of(command);
		assert_int_equal(atoi(text), 16);
		free(text);
	}
	run("! iptables-legacy -t raw -nL | grep '(0 references)'");
	run("! iptables-legacy -nL | grep '(0 references)'");
	/* and all subnets of one node are behind one rule */
	assert_int_equal(count_lines("-A BRIDGENET-RAW .*-d 10.*-j BN-"), DISPATCH_SUBNETS);
	assert_int_equal(count_lines("-A BRIDGENET-RAW -d 10.0.0.0/12 -j BRIDGENET-RAW-TO:10.0$"),
			 1);
	assert_int_equal(count_lines("-A BRIDGENET-OUTSIDE .*-s 10"), DISPATCH_SUBNETS + 1);
	assert_int_equal(count_lines("-A BRIDGENET-OUTSIDE .*-d fd"), DISPATCH_SUBNETS + 1);
	assert_int_equal(count_lines("-d fd00::/16 -j BRIDGENET-SUBNETS:fd00$"), 1);
}

/* In each chain: jumps by kinds, of each first those to networks, then those to nodes. */
static void assert_order(void)
{
	run("iptables-legacy -S BRIDGENET-FORWARD | awk '"
	    "/-o .*-j BN-/ {n = 1} /-j BRIDGENET-TO/ {n = 2} /-i .*-j BN-/ {n = 3} "
	    "/-j BRIDGENET-FROM/ {n = 4} {if (n < last) exit 1; last = n} END {exit last != 4}'");
	run("iptables-legacy -t raw -S BRIDGENET-RAW | awk '"
	    "/! -i .*-j BN-/ {n = 1} /-g BN-/ {n = 2} /-g BRIDGENET-RAW/ {n = 3} "
	    "/-j BRIDGENET-OUTSIDE/ {n = 4} {if (n < last) exit 1; last = n} END {exit last != 4}'");
	/* who has come there by mistake goes on */
	run("iptables-legacy -t raw -S | awk '/^-A BRIDGENET-RAW:/ {last[$2] = $0} "
	    "END {for (i in last) if (last[i] !~ /! -i lo -j BRIDGENET-OUTSIDE/) exit 1}'");
}

static void test_many(void **state)
{
	rule_vector first = networks_from(0, 150), more = networks_from(150, MANY), none = { 0 };
	char *before;

	(void)state;
	apply_networks(150);
	assert_kernel_holds(&first, NULL);
	assert_order();
	before = output_of(SAVE_ALL);
	assert_int_equal(apply(&first, NULL, FIREWALL_BASE), 0);
	assert_output_is(SAVE_ALL, before);
	/* one after the other, and out again */
	for (unsigned int i = 150; i < MANY; i++) {
		rule_vector one = networks_from(i, i + 1);

		assert_int_equal(apply(&one, NULL, 0), 0);
	}
	assert_kernel_holds(&first, &more);
	assert_short();
	assert_order();
	assert_int_equal(apply(NULL, &more, 0), 0);
	assert_output_is(SAVE_ALL, before);
	assert_int_equal(apply(NULL, &more, 0), -ENOENT);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	assert_int_equal(apply(NULL, &first, 0), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(count_lines("BRIDGENET-[A-Z-]*:[0-9a-f]"), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	free(before);
}

/* Room in the chain itself is taken again; what is in a node stays there, and goes on counting. */
static void test_counters_stay(void **state)
{
	rule_vector all = networks_from(0, MANY), few = networks_from(0, 100);

	(void)state;
	apply_networks(MANY);
	set_counters("filter", "BRIDGENET");
	set_counters("raw", "BRIDGENET");
	assert_int_equal(apply(NULL, &few, 0), 0);
	assert_int_equal(apply(&few, NULL, 0), 0);
	assert_kernel_holds(&all, NULL);
	assert_order();
	/* two jumps and a goto of each */
	assert_int_equal(count_lines("^.7:700. .*-[jg] BN-net1[0-9][0-9](:from)?$"), 100 * 4);
	assert_int_equal(count_lines("^.7:700. .*-[jg] BRIDGENET-(RAW|TO|FROM):"), 16 * 3);
	assert_int_equal(count_lines("^.0:0. .*-o .* -j BN-net[0-9][0-9]?$"), 2 * 100);
}

/* Whatever of it others take away is put back, and only that. */
static void test_accidents(void **state)
{
	static const char *const accidents[] = {
		"iptables-legacy -F BRIDGENET-FORWARD",
		"iptables-legacy -F",
		"iptables-legacy -t raw -F",
		"iptables-legacy -t raw -F BRIDGENET-RAW",
		"iptables-legacy -D BRIDGENET-FORWARD -o bn-f+ -j BRIDGENET-TO:f",
		"iptables-legacy -t raw -D BRIDGENET-RAW -i bn-f+ -g BRIDGENET-RAW:f",
		"iptables-legacy -F BRIDGENET-FROM:e",
		"iptables-legacy -t raw -F BRIDGENET-OUTSIDE",
		"iptables-legacy -t raw -D BRIDGENET-RAW -d 10.0.0.0/12 -j BRIDGENET-RAW-TO:10.0",
	};
	rule_vector all = networks_from(0, MANY), port = { 0 };

	(void)state;
	apply_networks(MANY);
	for (size_t i = 0; i < ARRAY_SIZE(accidents); i++) {
		run(accidents[i]);
		assert_int_equal(apply(&all, NULL, FIREWALL_BASE), 0);
		assert_kernel_holds(&all, NULL);
		assert_order();
		run("! iptables-legacy -nL | grep '(0 references)'");
		run("! iptables-legacy -t raw -nL | grep '(0 references)'");
	}
	/* a jump to a node that is gone is seen by whoever comes next */
	plan_mapping(&endpoints.items[0], IPPROTO_TCP, NULL, 80, 80, 1, &port);
	run("iptables-legacy -D BRIDGENET-FORWARD -i bn-d+ -j BRIDGENET-FROM:d");
	assert_int_equal(apply(&port, NULL, 0), FIREWALL_BASE_MISSING);
	rules_clear(&port);
}

/* What looks like a node's, and is not. */
static void test_others(void **state)
{
	rule_vector all = networks_from(0, MANY), read = { 0 }, none = { 0 };
	size_t foreign = 0;

	(void)state;
	apply_networks(MANY);
	run("iptables-legacy -A BRIDGENET-FORWARD -o bn-0+ -s 192.0.2.1 -j BRIDGENET-TO:0;"
	    "iptables-legacy -A BRIDGENET-TO:0 -s 192.0.2.1 -j DROP;"
	    "iptables-legacy -I BRIDGENET-FORWARD -i bn-0+ -j ACCEPT");
	list(NULL, &read);
	for (size_t i = 0; i < read.len; i++)
		foreign += read.items[i].kind == RULE_FOREIGN;
	assert_int_equal(foreign, 3);
	rules_clear(&read);
	assert_int_equal(apply(NULL, &all, 0), 0);
	/* the chain stays as long as it holds a rule, and what leads there */
	assert_int_equal(count_lines("BRIDGENET-(RAW|TO|FROM):"), 4);
	run("iptables-legacy -F BRIDGENET-FORWARD; iptables-legacy -F BRIDGENET-TO:0;"
	    "iptables-legacy -X BRIDGENET-TO:0");
	assert_kernel_holds(&none, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_networks, teardown_networks)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_many),
		CASE(test_counters_stay),
		CASE(test_accidents),
		CASE(test_others),
	};

	return cmocka_run_group_tests_name("iptables-legacy networks", tests, NULL, NULL);
}
