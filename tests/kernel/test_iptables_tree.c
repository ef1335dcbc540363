/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many ports with the iptables-legacy backend: the tree of chains that they stand in. */
#include "firewall_stage.h"

#include "firewall/iptables/iptables.h"

#define MANY 10000

const struct firewall_backend *const backend = &iptables_backend;

static rule_vector rules, ports;
static struct endpoint web;

static int setup_network(void **state)
{
	int r = stage_setup(state);

	if (r < 0)
		return r;
	web = plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, &rules);
	return apply(&rules, NULL, FIREWALL_BASE);
}

static int teardown_network(void **state)
{
	rules_clear(&rules);
	rules_clear(&ports);
	return stage_teardown(state);
}

static void add_ports(uint16_t first, uint16_t count)
{
	for (uint32_t port = first; port < first + (uint32_t)count; port++)
		plan_mapping(&web, IPPROTO_TCP, NULL, (uint16_t)port, (uint16_t)port, 1, &ports);
}

/* Packets are looked up in few steps: no chain holds many rules; and get everywhere. */
static void assert_tree_is_sound(void)
{
	char *text = output_of("iptables-legacy -t nat -S | awk '/^-A BN-/ && $2 !~ /:post/ "
			       "{if (++count[$2] > most) most++} END {print most}'");

	/* in a network's own FLAT_MAX, jumps to 32 branches for each protocol, and ranges */
	assert_in_range(atoi(text), 1, FLAT_MAX + 3 * 32 + 8);
	free(text);
	run("! iptables-legacy -t nat -nL | grep '(0 references)'");
	/* what leads on does not come back to rules behind it */
	run("iptables-legacy -t nat -S | "
	    "awk '/ -g / {gone[$2] = 1} / -j DNAT / && gone[$2] {print; exit 1}'");
}

static void test_many(void **state)
{
	static const struct {
		uint16_t first, count;
		const char *chain; /* behind BN-blue */
	} ranges[] = {
		{ 20000, 10, ":tcp19968" }, /* of one leaf */
		{ 20030, 2, ":tcp19968" },  /* to its end */
		{ 20080, 50, ":tcp18k" },   /* crosses a border of 64 */
		{ 20470, 20, "" },          /* crosses one of 2048 */
		{ 30000, 5000, "" },        { 65535, 1, ":tcp65472" },
	};
	rule_vector half = { 0 }, rest = { 0 }, none = { 0 };
	char line[96];

	(void)state;
	add_ports(1, MANY);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		plan_mapping(&web, IPPROTO_TCP, NULL, ranges[i].first, 1000, ranges[i].count,
			     &ports);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	assert_kernel_holds(&rules, &ports);
	assert_tree_is_sound();
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		snprintf(line, sizeof(line), "-A BN-blue%s -p tcp -m tcp --dport %u(:%u)? -j DNAT",
			 ranges[i].chain, ranges[i].first, ranges[i].first + ranges[i].count - 1u);
		if (count_lines(line) != 1)
			fail_msg("no '%s'", line);
	}
	/* Each way out, and back in: whatever was there is found again. */
	assert_int_equal(apply(&ports, NULL, 0), 0);
	for (size_t i = 0; i < ports.len; i++)
		*vector_push(i % 2 ? &half : &rest) = ports.items[i];
	assert_int_equal(apply(NULL, &half, 0), 0);
	assert_kernel_holds(&rules, &rest);
	assert_tree_is_sound();
	assert_int_equal(apply(NULL, &half, 0), -ENOENT);
	assert_int_equal(apply(&half, NULL, 0), 0);
	assert_kernel_holds(&rules, &ports);
	assert_int_equal(apply(NULL, &half, 0), 0);
	assert_int_equal(apply(NULL, &rest, 0), 0);
	assert_kernel_holds(&rules, &none);
	assert_int_equal(count_lines("BN-.*:(tcp|udp|sctp)"), 0);
	rules_clear(&half);
	rules_clear(&rest);
}

/* Few in each leaf, in whatever order they come. */
static void test_sparse(void **state)
{
	(void)state;
	for (uint16_t port = 1000; port <= 2000; port += 10)
		add_ports(port, 1);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	assert_kernel_holds(&rules, &ports);
	assert_tree_is_sound();
	assert_int_equal(apply(NULL, &ports, 0), 0);
	for (size_t i = ports.len; i > 0; i--) {
		rule_vector one = { .items = &ports.items[i - 1], .len = 1 };

		assert_int_equal(apply(&one, NULL, 0), 0);
	}
	assert_kernel_holds(&rules, &ports);
	assert_tree_is_sound();
	for (size_t i = 0; i < ports.len; i++) {
		rule_vector one = { .items = &ports.items[i], .len = 1 };

		assert_int_equal(apply(NULL, &one, 0), 0);
	}
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(count_lines("BN-.*:(tcp|udp|sctp)"), 0);
}

/* The same number on many addresses, and by all protocols. */
static void test_addresses_and_protocols(void **state)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	char address[ADDR_TEXT_MAX];

	(void)state;
	for (int i = 1; i < 100; i++) {
		snprintf(address, sizeof(address), "192.0.2.%d", i);
		for (size_t j = 0; j < ARRAY_SIZE(protocols); j++)
			plan_mapping(&web, protocols[j], address, 443, 8443, 1, &ports);
	}
	assert_int_equal(apply(&ports, NULL, 0), 0);
	assert_kernel_holds(&rules, &ports);
	assert_int_equal(apply(NULL, &ports, 0), 0);
	assert_int_equal(count_lines("BN-.*:(tcp|udp|sctp)"), 0);
	assert_kernel_holds(&rules, NULL);
}

/* Taken is taken, wherever in the tree the one stands and the other would. */
static void test_taken(void **state)
{
	static const uint16_t counts[] = { 1, 64, 2048, 20000 };
	rule_vector one = { 0 };

	(void)state;
	add_ports(1, FLAT_MAX);
	plan_mapping(&web, IPPROTO_TCP, NULL, 10000, 1, 1, &ports);
	plan_mapping(&web, IPPROTO_TCP, NULL, 12030, 1, 4, &ports);
	plan_mapping(&web, IPPROTO_TCP, NULL, 14300, 1, 100, &ports);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	for (size_t i = FLAT_MAX; i < ports.len; i++) {
		const struct rule *taken = &ports.items[i];

		for (size_t j = 0; j < ARRAY_SIZE(counts); j++) {
			one.len = 0;
			plan_mapping(&web, IPPROTO_TCP, "192.0.2.1",
				     (uint16_t)(taken->host_port + taken->count - 1), 1, counts[j],
				     &one);
			assert_int_equal(apply(&one, NULL, 0), -EEXIST);
			assert_int_equal(error.reason, BN_REASON_PORT_IN_USE);
		}
	}
	assert_kernel_holds(&rules, &ports);
	rules_clear(&one);
}

/* What is there as planned is found, flat or in its node; the rest comes to it. */
static void test_partly_there(void **state)
{
	rule_vector first = { 0 };

	(void)state;
	add_ports(1, FLAT_MAX);
	add_ports(10000, 10);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	first = ports;
	ports = (rule_vector){ 0 };
	add_ports(1, FLAT_MAX + 10);
	add_ports(9990, 30);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	assert_kernel_holds(&rules, &ports);
	assert_tree_is_sound();
	assert_int_equal(apply(NULL, &ports, 0), 0);
	assert_int_equal(count_lines("BN-.*:(tcp|udp|sctp)"), 0);
	rules_clear(&first);
}

/* What counts goes on counting while others come and go around it. */
static void test_counters_stay(void **state)
{
	rule_vector first = { 0 };

	(void)state;
	add_ports(1000, 200);
	first = ports;
	ports = (rule_vector){ 0 };
	assert_int_equal(apply(&first, NULL, 0), 0);
	/* one in the network's own chain, one in a leaf, the jumps to it, and a drop */
	set_counters("nat", "--dport 10[01][0-9] -j DNAT");
	set_counters("nat", "--dport 1150 -j DNAT");
	set_counters("nat", " -g BN-blue:tcp");
	set_counters("raw", "-d 172.30.0.2");
	assert_int_equal(count_lines("^.7:700. .*-j DNAT"), 21);
	assert_int_equal(count_lines("^.7:700. .*-j DROP"), 1);
	add_ports(1200, 500);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	assert_int_equal(count_lines("^.7:700. .*-j DNAT"), 21);
	assert_int_equal(apply(NULL, &ports, 0), 0);
	assert_int_equal(count_lines("^.7:700. .*-j DNAT"), 21);
	assert_true(count_lines("^.7:700. .*-g BN-blue:tcp") >= 3);
	assert_int_equal(count_lines("^.7:700. .*-j DROP"), 1);
	ports.len = 0;
	plan_mapping(&web, IPPROTO_TCP, NULL, 1150, 1150, 1, &ports);
	assert_int_equal(apply(NULL, &ports, 0), 0);
	assert_int_equal(count_lines("^.7:700. .*-j DNAT"), 20);
	rules_clear(&first);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_network, teardown_network)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_many),  CASE(test_sparse),       CASE(test_addresses_and_protocols),
		CASE(test_taken), CASE(test_partly_there), CASE(test_counters_stay),
	};

	return cmocka_run_group_tests_name("iptables-legacy ports", tests, NULL, NULL);
}
