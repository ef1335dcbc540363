/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold of every plan; the rules in full are in tests/golden/. */
#include "fixture.h"

#include "model/plan.h"

#define NFT (PLAN_BOTH_FAMILIES | PLAN_POSTROUTING_IN | PLAN_INVALID_INPUT | PLAN_ASKS_PORTS)
#define RANGES PLAN_PORT_RANGES
#define IPTABLES (PLAN_PORT_RANGES | PLAN_OWN_CHAINS)

static size_t count_kind(const rule_vector *rules, enum rule_kind kind, int family)
{
	size_t count = 0;

	for (size_t i = 0; i < rules->len; i++)
		count += rules->items[i].kind == kind && rules->items[i].family == family;
	return count;
}

static void test_base(void **state)
{
	rule_vector nft = { 0 }, iptables = { 0 };

	(void)state;
	assert_int_equal(plan_parts(NFT, PLAN_BASE, NULL, NULL, NULL, &nft), 0);
	assert_int_equal(count_kind(&nft, RULE_PORTS_JUMP_OUTPUT, AF_UNSPEC), 1);
	assert_int_equal(count_kind(&nft, RULE_FORWARD_JUMP, AF_UNSPEC), 0);
	assert_int_equal(plan_parts(IPTABLES, PLAN_BASE, NULL, NULL, NULL, &iptables), 0);
	assert_int_equal(count_kind(&iptables, RULE_LOOPBACK_JUMP, AF_INET), 1);
	assert_int_equal(count_kind(&iptables, RULE_LOOPBACK_SOURCE_JUMP, AF_INET), 1);
	assert_int_equal(count_kind(&iptables, RULE_LOOPBACK_JUMP, AF_INET6), 0);
	assert_int_equal(count_kind(&iptables, RULE_PORTS_JUMP_OUTPUT, AF_UNSPEC), 0);
	for (size_t i = 0; i < iptables.len; i++) {
		assert_string_equal(iptables.items[i].network, "");
		assert_true(iptables.items[i].chain < CHAIN_COUNT);
	}
	rules_clear(&nft);
	rules_clear(&iptables);
}

/* The base decides about nothing but where to look, and drops nothing but what fits no connection
 * and is for a published port. */
static void test_base_accepts_and_drops_nothing(void **state)
{
	static const uint32_t traits[] = { NFT, IPTABLES };

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(traits); t++) {
		rule_vector rules = { 0 };

		assert_int_equal(plan_parts(traits[t], PLAN_BASE, NULL, NULL, NULL, &rules), 0);
		for (size_t i = 0; i < rules.len; i++)
			assert_true(rules.items[i].target == TARGET_JUMP ||
				    rules.items[i].target == TARGET_RETURN ||
				    rules.items[i].kind == RULE_PUBLISHED_INVALID_DROP);
		assert_int_equal(count_kind(&rules, RULE_OTHER_PORT_RETURN, AF_INET),
				 count_kind(&rules, RULE_PUBLISHED_INVALID_DROP, AF_UNSPEC));
		assert_int_equal(count_kind(&rules, RULE_OTHER_PORT_RETURN, AF_INET6),
				 count_kind(&rules, RULE_PUBLISHED_INVALID_DROP, AF_UNSPEC));
		assert_int_equal(count_kind(&rules, RULE_LINK_LOCAL_RETURN, AF_INET6), 1);
		assert_int_equal(count_kind(&rules, RULE_LOOPBACK_RETURN, AF_INET6), 1);
		assert_int_equal(count_kind(&rules, RULE_LINK_LOCAL_RETURN, AF_INET), 0);
		rules_clear(&rules);
	}
}

/* Each rule of a network names its bridge or its own addresses; on a bridge that serves others too,
 * the jumps say the subnet as well. */
static void test_rules_are_bounded(void **state)
{
	static const uint32_t traits[] = { NFT, IPTABLES, IPTABLES | PLAN_POSTROUTING_IN };
	struct network network = network_of("172.17.0.0/16", "fd00::/64");

	(void)state;
	for (size_t t = 0; t < 2 * ARRAY_SIZE(traits); t++) {
		rule_vector rules = { 0 };

		network.bridge_adopted = t % 2;
		assert_int_equal(
			plan_parts(traits[t / 2], PLAN_NETWORKS, &network, NULL, NULL, &rules), 0);
		for (size_t i = 0; i < rules.len; i++) {
			const struct rule *rule = &rules.items[i];
			bool addresses = addr_is_set(&rule->source.addr) ||
					 addr_is_set(&rule->destination.addr);

			if (rule->kind == RULE_NETWORK_PORTS_JUMP ||
			    rule->kind == RULE_NETWORK_POSTROUTING_JUMP)
				continue;
			assert_true(strcmp(rule->in, "bn0") == 0 || strcmp(rule->out, "bn0") == 0 ||
				    addresses);
			if (network.bridge_adopted && rule->chain > CHAIN_NAT_PORTS)
				assert_true(addresses);
		}
		rules_clear(&rules);
	}
}

static void test_only_bridges_are_filtered(void **state)
{
	struct network network = network_of("172.17.0.0/16", NULL);
	struct endpoint endpoint = endpoint_of("172.17.0.2/16", NULL);
	rule_vector rules = { 0 };

	(void)state;
	network.bridge[0] = '\0';
	assert_int_equal(plan_parts(NFT, PLAN_NETWORKS, &network, NULL, NULL, &rules), 0);
	assert_int_equal(plan_parts(NFT, PLAN_ENDPOINTS, &network, &endpoint, NULL, &rules), 0);
	assert_int_equal(rules.len, 0);
}

static void test_network_by_family(void **state)
{
	static const enum rule_kind both[] = { RULE_SOURCES_GOTO, RULE_SOURCE_DROP,
					       RULE_BRIDGED_ACCEPT, RULE_UNPUBLISHED_DROP };
	struct network ipv4 = network_of("172.17.0.0/16", NULL),
		       ipv6 = network_of(NULL, "fd00::/64");
	struct network dual = network_of("172.17.0.0/16", "fd00::/64");
	rule_vector rules = { 0 };
	size_t of_each;

	(void)state;
	assert_int_equal(plan_parts(NFT, PLAN_NETWORKS, &ipv4, NULL, NULL, &rules), 0);
	assert_int_equal(plan_parts(NFT, PLAN_NETWORKS, &ipv6, NULL, NULL, &rules), 0);
	of_each = rules.len;
	assert_int_equal(count_kind(&rules, RULE_LOOPBACK_DROP, AF_INET6), 0);
	assert_int_equal(count_kind(&rules, RULE_LOOPBACK_SOURCE_DROP, AF_INET6), 0);
	assert_int_equal(count_kind(&rules, RULE_LOOPBACK_MASQUERADE, AF_INET6), 0);
	assert_int_equal(count_kind(&rules, RULE_OUTGOING_ACCEPT, AF_INET6), 1);
	/* nothing gets in by the family that a network lacks */
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		assert_int_equal(count_kind(&rules, both[i], AF_INET), 2);
		assert_int_equal(count_kind(&rules, both[i], AF_INET6), 2);
	}
	assert_int_equal(plan_parts(NFT, PLAN_NETWORKS, &dual, NULL, NULL, &rules), 0);
	assert_int_equal(rules.len, 2 * of_each - 2 * ARRAY_SIZE(both));
	for (size_t i = 0; i < rules.len; i++) {
		assert_string_equal(rules.items[i].network, "bridge");
		assert_string_equal(rules.items[i].endpoint, "");
	}
	rules_clear(&rules);
}

/* Somebody else's bridge may carry the family for others. */
static void test_adopted_bridge_is_left_alone_in_the_other_family(void **state)
{
	struct network ipv4 = network_of("172.17.0.0/16", NULL);
	rule_vector rules = { 0 };

	(void)state;
	ipv4.bridge_adopted = true;
	assert_int_equal(plan_parts(IPTABLES, PLAN_NETWORKS, &ipv4, NULL, NULL, &rules), 0);
	for (size_t i = 0; i < rules.len; i++) {
		assert_int_equal(rules.items[i].family, AF_INET);
		assert_true(rules.items[i].kind != RULE_SOURCES_GOTO);
		assert_true(rules.items[i].kind != RULE_SUBNET_DROP);
	}
	rules_clear(&rules);
}

/* Without the in-interface after routing, the source subnet stands for it. */
static void test_masquerade_by_trait(void **state)
{
	struct network network = network_of("172.17.0.0/16", "fd00::/64");
	rule_vector nft = { 0 }, iptables = { 0 };

	(void)state;
	assert_int_equal(plan_parts(NFT, PLAN_NETWORKS, &network, NULL, NULL, &nft), 0);
	assert_int_equal(plan_parts(RANGES, PLAN_NETWORKS, &network, NULL, NULL, &iptables), 0);
	assert_int_equal(nft.len, iptables.len);
	for (size_t i = 0; i < nft.len; i++) {
		const struct rule *with = &nft.items[i], *without = &iptables.items[i];
		const struct prefix *subnet = &network_subnet(&network, with->family)->prefix;

		assert_int_equal(with->kind, without->kind);
		if (with->kind != RULE_MASQUERADE) {
			assert_int_equal(rule_compare(with, without), 0);
			continue;
		}
		assert_string_equal(with->in, "bn0");
		assert_false(addr_is_set(&with->source.addr));
		assert_string_equal(without->in, "");
		assert_int_equal(prefix_compare(&without->source, subnet), 0);
		assert_string_equal(without->out, "bn0");
		assert_true(without->out_not);
	}
	rules_clear(&nft);
	rules_clear(&iptables);
}

/* Where networks have chains, each family of a network has five jumps to them. */
static void test_network_jumps_by_trait(void **state)
{
	static const enum rule_kind kinds[] = { RULE_NETWORK_RAW_JUMP, RULE_NETWORK_PORTS_JUMP,
						RULE_TO_JUMP, RULE_FROM_JUMP,
						RULE_NETWORK_POSTROUTING_JUMP };
	struct network dual = network_of("172.17.0.0/16", "fd00::/64");
	struct network ipv4 = network_of("172.17.0.0/16", NULL);
	rule_vector rules = { 0 };

	(void)state;
	assert_int_equal(plan_parts(IPTABLES, PLAN_NETWORKS, &ipv4, NULL, NULL, &rules), 0);
	assert_int_equal(plan_parts(IPTABLES, PLAN_NETWORKS, &dual, NULL, NULL, &rules), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(count_kind(&rules, kinds[i], AF_INET), 2);
		assert_int_equal(count_kind(&rules, kinds[i], AF_INET6),
				 kinds[i] == RULE_TO_JUMP ? 2 : 1);
	}
	for (size_t i = 0; i < rules.len; i++) {
		const struct rule *rule = &rules.items[i];

		assert_string_equal(rule->network, "bridge");
		if (rule->kind != RULE_NETWORK_RAW_JUMP)
			continue;
		/* What comes by the bridge itself never meets the drops. */
		assert_string_equal(rule->in, "bn0");
		assert_true(rule->in_not);
		assert_int_equal(prefix_compare(&rule->destination,
						&network_subnet(&dual, rule->family)->prefix),
				 0);
	}
	rules_clear(&rules);
}

static void test_endpoint_is_shut_for_each_address(void **state)
{
	struct network network = network_of("172.17.0.0/16", "fd00::/64");
	struct endpoint dual = endpoint_of("172.17.0.2/16", "fd00::2/64");
	struct endpoint ipv6 = endpoint_of(NULL, "fd00::2/64"), none = endpoint_of(NULL, NULL);
	rule_vector rules = { 0 };
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_int_equal(plan_parts(NFT, PLAN_ENDPOINTS, &network, &dual, NULL, &rules), 0);
	assert_int_equal(count_kind(&rules, RULE_DIRECT_DROP, AF_INET), 1);
	assert_int_equal(count_kind(&rules, RULE_DIRECT_DROP, AF_INET6), 1);
	for (size_t i = 0; i < rules.len; i++) {
		if (rules.items[i].kind != RULE_DIRECT_DROP)
			continue;
		assert_string_equal(prefix_format(&rules.items[i].destination, text),
				    rules.items[i].family == AF_INET ? "172.17.0.2/32" :
								       "fd00::2/128");
		assert_int_equal(rules.items[i].chain, CHAIN_RAW_PREROUTING);
		assert_int_equal(rules.items[i].target, TARGET_DROP);
		assert_string_equal(rules.items[i].in, "bn0");
		assert_true(rules.items[i].in_not);
		assert_string_equal(rules.items[i].endpoint, "web");
	}
	rules_clear(&rules);
	assert_int_equal(plan_parts(NFT, PLAN_ENDPOINTS, &network, &ipv6, NULL, &rules), 0);
	assert_int_equal(count_kind(&rules, RULE_DIRECT_DROP, AF_INET), 0);
	assert_int_equal(count_kind(&rules, RULE_DIRECT_DROP, AF_INET6), 1);
	rules_clear(&rules);
	assert_int_equal(plan_parts(NFT, PLAN_ENDPOINTS, &network, &none, NULL, &rules), 0);
	assert_int_equal(rules.len, 0);
	rules_clear(&rules);
}

static void check_port(uint32_t traits, const char *ipv4, const char *ipv6, const char *port_text,
		       size_t dnat4, size_t dnat6, size_t drops)
{
	struct endpoint endpoint = endpoint_of(ipv4, ipv6);
	struct port port = port_of(port_text);
	rule_vector rules = { 0 };

	assert_int_equal(plan_parts(traits, PLAN_PORTS, NULL, &endpoint, &port, &rules), 0);
	if (count_kind(&rules, RULE_PORT_DNAT, AF_INET) != dnat4 ||
	    count_kind(&rules, RULE_PORT_DNAT, AF_INET6) != dnat6 ||
	    count_kind(&rules, RULE_LOOPBACK_PORT_DROP, AF_INET) != drops)
		fail_msg("%s for %s %s", port_text, ipv4 ? ipv4 : "-", ipv6 ? ipv6 : "-");
	assert_int_equal(rules.len, dnat4 + dnat6 + drops);
	rules_clear(&rules);
}

static void test_port_by_family(void **state)
{
	const char *v4 = "172.17.0.2/16", *v6 = "fd00::2/64";

	(void)state;
	check_port(NFT, v4, v6, "80:80", 1, 1, 0);
	check_port(NFT, v4, NULL, "80:80", 1, 0, 0);
	check_port(NFT, NULL, v6, "80:80", 0, 1, 0);
	check_port(NFT, v4, v6, "0.0.0.0:80:80", 1, 0, 0);
	check_port(NFT, v4, v6, "[::]:80:80", 0, 1, 0);
	check_port(NFT, v4, v6, "10.0.0.1:80:80", 1, 0, 0);
	check_port(NFT, v4, NULL, "[fd00::1]:80:80", 0, 0, 0);
	check_port(NFT, v4, v6, "127.0.0.1:80:80", 1, 0, 1);
	check_port(NFT, NULL, v6, "127.0.0.1:80:80", 0, 0, 0);
	check_port(NFT, v4, v6, "80-89:80-89", 10, 10, 0);
	check_port(IPTABLES, v4, v6, "80-89:80-89", 1, 1, 0);
	check_port(NFT, v4, v6, "127.0.0.9:80-89:80-89", 10, 0, 10);
	check_port(IPTABLES, v4, v6, "127.0.0.9:80-89:80-89", 1, 0, 1);
}

/* One port of two interfaces is two mappings, and no port of the host is dropped that is its own. */
static void test_what_fits_no_connection(void **state)
{
	const uint32_t lists = (NFT & ~PLAN_ASKS_PORTS) | PLAN_LISTS_PORTS;
	struct endpoint endpoint = endpoint_of("172.17.0.2/16", "fd00::2/64");
	struct network network = network_of("172.17.0.0/16", "fd00::/64");
	struct port port = port_of("80-81:80-81"), udp = port_of("80:80/udp");
	rule_vector rules = { 0 };

	(void)state;
	assert_int_equal(plan_parts(lists, PLAN_PORTS, &network, &endpoint, &udp, &rules), 0);
	assert_int_equal(count_kind(&rules, RULE_PORT_INVALID_DROP, AF_INET), 0);
	assert_int_equal(plan_parts(lists, PLAN_PORTS, &network, &endpoint, &port, &rules), 0);
	assert_int_equal(count_kind(&rules, RULE_PORT_INVALID_DROP, AF_INET), 2);
	assert_int_equal(count_kind(&rules, RULE_PORT_INVALID_DROP, AF_INET6), 2);
	rules_clear(&rules);
	network.policy.gateway_mode_ipv6 = GATEWAY_MODE_ROUTED;
	assert_int_equal(plan_parts(lists, PLAN_PORTS, &network, &endpoint, &port, &rules), 0);
	assert_int_equal(count_kind(&rules, RULE_PORT_INVALID_DROP, AF_INET), 2);
	assert_int_equal(count_kind(&rules, RULE_PORT_INVALID_DROP, AF_INET6), 0);
	rules_clear(&rules);
	string_copy(port.interface, sizeof(port.interface), "eth0");
	assert_int_equal(plan_parts(lists, PLAN_PORTS, &network, &endpoint, &port, &rules), 0);
	assert_int_equal(count_kind(&rules, RULE_INTERFACE_DNAT, AF_INET), 2);
	assert_int_equal(count_kind(&rules, RULE_PORT_INVALID_DROP, AF_INET), 0);
	rules_clear(&rules);
}

static void test_port_range_to_the_last(void **state)
{
	struct endpoint endpoint = endpoint_of("172.17.0.2/16", NULL);
	struct port port = port_of("1-65535:1-65535");
	rule_vector rules = { 0 };

	(void)state;
	assert_int_equal(plan_parts(NFT, PLAN_PORTS, NULL, &endpoint, &port, &rules), 0);
	assert_int_equal(rules.len, 65535);
	for (size_t i = 0; i < rules.len; i++) {
		assert_int_equal(rules.items[i].host_port, i + 1);
		assert_int_equal(rules.items[i].to_port, i + 1);
		assert_int_equal(rules.items[i].count, 1);
	}
	rules_clear(&rules);
	assert_int_equal(plan_parts(IPTABLES, PLAN_PORTS, NULL, &endpoint, &port, &rules), 0);
	assert_int_equal(rules.len, 1);
	assert_int_equal(rules.items[0].count, 65535);
	rules_clear(&rules);
}

static void test_wildcard_address_is_no_match(void **state)
{
	struct endpoint endpoint = endpoint_of("172.17.0.2/16", "fd00::2/64");
	struct port port = port_of("[::]:80:8080/sctp");
	rule_vector rules = { 0 };

	(void)state;
	assert_int_equal(plan_parts(NFT, PLAN_PORTS, NULL, &endpoint, &port, &rules), 0);
	assert_int_equal(rules.len, 1);
	assert_false(addr_is_set(&rules.items[0].destination.addr));
	assert_int_equal(rules.items[0].protocol, IPPROTO_SCTP);
	assert_int_equal(rules.items[0].to_port, 8080);
	rules_clear(&rules);
}

/* Sorted, a plan is the same whatever order it was made in, and no two rules are equal. */
static void check_plan_is_a_set(uint32_t traits)
{
	struct network network = network_of("172.17.0.0/16", "fd00::/64");
	struct endpoint endpoint = endpoint_of("172.17.0.2/16", "fd00::2/64");
	struct port port = port_of("127.0.0.1:80-82:90-92");
	rule_vector forth = { 0 }, back = { 0 };

	assert_int_equal(plan_parts(traits, PLAN_BASE, NULL, NULL, NULL, &forth), 0);
	assert_int_equal(plan_parts(traits, PLAN_NETWORKS, &network, NULL, NULL, &forth), 0);
	assert_int_equal(plan_parts(traits, PLAN_ENDPOINTS, &network, &endpoint, NULL, &forth), 0);
	assert_int_equal(plan_parts(traits, PLAN_PORTS, NULL, &endpoint, &port, &forth), 0);
	assert_int_equal(plan_parts(traits, PLAN_PORTS, NULL, &endpoint, &port, &back), 0);
	assert_int_equal(plan_parts(traits, PLAN_ENDPOINTS, &network, &endpoint, NULL, &back), 0);
	assert_int_equal(plan_parts(traits, PLAN_NETWORKS, &network, NULL, NULL, &back), 0);
	assert_int_equal(plan_parts(traits, PLAN_BASE, NULL, NULL, NULL, &back), 0);
	rules_sort(&forth);
	rules_sort(&back);
	assert_int_equal(forth.len, back.len);
	for (size_t i = 0; i < forth.len; i++) {
		assert_int_equal(rule_compare(&forth.items[i], &back.items[i]), 0);
		if (i > 0)
			assert_true(rule_compare(&forth.items[i - 1], &forth.items[i]) < 0);
	}
	rules_clear(&forth);
	rules_clear(&back);
}

static void test_plan_is_a_set(void **state)
{
	(void)state;
	check_plan_is_a_set(NFT);
	check_plan_is_a_set(IPTABLES);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_base_accepts_and_drops_nothing),
		cmocka_unit_test(test_rules_are_bounded),
		cmocka_unit_test(test_adopted_bridge_is_left_alone_in_the_other_family),
		cmocka_unit_test(test_only_bridges_are_filtered),
		cmocka_unit_test(test_network_by_family),
		cmocka_unit_test(test_masquerade_by_trait),
		cmocka_unit_test(test_network_jumps_by_trait),
		cmocka_unit_test(test_endpoint_is_shut_for_each_address),
		cmocka_unit_test(test_port_by_family),
		cmocka_unit_test(test_what_fits_no_connection),
		cmocka_unit_test(test_port_range_to_the_last),
		cmocka_unit_test(test_wildcard_address_is_no_match),
		cmocka_unit_test(test_plan_is_a_set),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
