/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "model/plan.h"

#define NFT (PLAN_BOTH_FAMILIES | PLAN_POSTROUTING_IN)
#define IPTABLES (PLAN_PORT_RANGES | PLAN_OWN_CHAINS)

/* The purpose of the first rule of that kind in the plan of one whole state. */
static void check_purpose(uint32_t traits, const char *port_text, enum rule_kind kind, int family,
			  const char *expected)
{
	struct network network = network_of("172.17.0.0/16", "fd00::/64");
	struct endpoint endpoint = endpoint_of("172.17.0.4/16", "fd00::4/64");
	struct port port = port_of(port_text);
	rule_vector rules = { 0 };
	char text[PURPOSE_MAX];
	bool found = false;

	assert_int_equal(plan_parts(traits, PLAN_BASE, NULL, NULL, NULL, &rules), 0);
	assert_int_equal(plan_parts(traits, PLAN_NETWORKS, &network, NULL, NULL, &rules), 0);
	assert_int_equal(plan_parts(traits, PLAN_ENDPOINTS, &network, &endpoint, NULL, &rules), 0);
	assert_int_equal(plan_parts(traits, PLAN_PORTS, NULL, &endpoint, &port, &rules), 0);
	for (size_t i = 0; i < rules.len && !found; i++) {
		if (rules.items[i].kind != kind || rules.items[i].family != family)
			continue;
		found = true;
		rule_purpose(&rules.items[i], text);
		assert_string_equal(text, expected);
	}
	assert_true(found);
	rules_clear(&rules);
}

static void test_purpose_of_ports(void **state)
{
	(void)state;
	check_purpose(
		NFT, "8799:1337", RULE_PORT_DNAT, AF_INET,
		"Connections to port 8799/tcp of this host go to port 1337 of endpoint web on "
		"network bridge (172.17.0.4).");
	check_purpose(NFT, "53:53/udp", RULE_PORT_DNAT, AF_INET6,
		      "Connections to port 53/udp of this host go to port 53 of endpoint web on "
		      "network bridge (fd00::4).");
	check_purpose(IPTABLES, "10.0.0.1:8000-8010:9000-9010", RULE_PORT_DNAT, AF_INET,
		      "Connections to ports 8000-8010/tcp of 10.0.0.1 go to ports 9000-9010 of "
		      "endpoint web on network bridge (172.17.0.4).");
	check_purpose(NFT, "127.0.0.1:8799:1337", RULE_LOOPBACK_PORT_DROP, AF_INET,
		      "Endpoint web on network bridge publishes port 8799/tcp of 127.0.0.1 to this "
		      "host alone: what arrives for it by any interface but lo is dropped.");
}

static void test_purpose_of_network_rules(void **state)
{
	static const uint32_t traits[] = { NFT, IPTABLES };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(traits); i++) {
		check_purpose(
			traits[i], "80", RULE_MASQUERADE, AF_INET,
			"Packets from network bridge that leave by another interface than bn0 "
			"take the host's address; traffic that stays on the bridge is left "
			"alone.");
		check_purpose(
			traits[i], "80", RULE_HAIRPIN_MASQUERADE, AF_INET6,
			"An endpoint of network bridge that connects to a port which it or its "
			"neighbour publishes on this host takes the address of bn0, so that "
			"the answer comes back by way of the host.");
	}
	check_purpose(NFT, "80", RULE_LOOPBACK_MASQUERADE, AF_INET,
		      "Connections of this host from 127.0.0.0/8 to a published port of network "
		      "bridge take the address of bn0, since endpoints can't answer to a loopback "
		      "address.");
	check_purpose(NFT, "80", RULE_BRIDGED_ACCEPT, AF_INET,
		      "Endpoints of network bridge reach each other over its bridge bn0.");
	check_purpose(
		NFT, "80", RULE_UNPUBLISHED_DROP, AF_INET6,
		"What goes to network bridge by its bridge bn0 and no earlier rule let pass is "
		"dropped: from outside, only published ports are reached.");
	check_purpose(NFT, "80", RULE_OUTGOING_ACCEPT, AF_INET,
		      "Endpoints of network bridge may connect to the outside by its bridge bn0.");
	check_purpose(NFT, "80", RULE_LOOPBACK_DROP, AF_INET,
		      "Packets from network bridge (bn0) to 127.0.0.0/8 are dropped: the host's "
		      "loopback services are not for endpoints.");
	check_purpose(NFT, "80", RULE_LOOPBACK_SOURCE_DROP, AF_INET,
		      "Packets from network bridge (bn0) that claim to come from 127.0.0.0/8 are "
		      "dropped: only the host itself has such addresses.");
	check_purpose(NFT, "80", RULE_DIRECT_DROP, AF_INET6,
		      "Packets sent straight to endpoint web on network bridge (fd00::4) by any "
		      "interface but bn0 are dropped: from outside, it is reached by its published "
		      "ports.");
}

static void test_purpose_of_base_rules(void **state)
{
	(void)state;
	check_purpose(NFT, "80", RULE_PORTS_JUMP_PREROUTING, AF_UNSPEC,
		      "Connections that arrive for an address of this host are looked up among the "
		      "published ports.");
	check_purpose(NFT, "80", RULE_PORTS_JUMP_OUTPUT, AF_INET,
		      "Connections that this host makes to one of its own addresses are looked up "
		      "among the published ports.");
	check_purpose(
		NFT, "80", RULE_PORTS_JUMP_OUTPUT, AF_INET6,
		"Connections that this host makes to one of its own addresses are looked up "
		"among the published ports; those to ::1 are not, since the kernel can't pass "
		"them on.");
	check_purpose(
		NFT, "80", RULE_USER_JUMP, AF_UNSPEC,
		"Forwarded packets first meet the rules that the host's administrator keeps in "
		"BRIDGENET-USER.");
	check_purpose(
		NFT, "80", RULE_ESTABLISHED_ACCEPT, AF_UNSPEC,
		"Packets of connections that were let through before pass, in both directions, "
		"and so do error messages about them.");
	check_purpose(NFT, "80", RULE_DNAT_ACCEPT, AF_UNSPEC,
		      "Connections to published ports pass to their endpoints.");
}

static void test_purpose_of_jumps(void **state)
{
	(void)state;
	check_purpose(IPTABLES, "80", RULE_RAW_JUMP, AF_INET,
		      "What arrives first meets bridgenet's drops, before the kernel looks for its "
		      "connection.");
	check_purpose(IPTABLES, "80", RULE_LOOPBACK_JUMP, AF_INET,
		      "What arrives for 127.0.0.0/8 by another interface than lo meets the rules "
		      "that keep the loopback addresses of the host apart.");
	check_purpose(IPTABLES, "80", RULE_LOOPBACK_SOURCE_JUMP, AF_INET,
		      "What arrives as if from 127.0.0.0/8 by another interface than lo meets the "
		      "rules that keep the loopback addresses of the host apart.");
	check_purpose(IPTABLES, "80", RULE_NETWORK_RAW_JUMP, AF_INET6,
		      "Packets for network bridge that arrive by any interface but its bridge bn0 "
		      "meet the drops of its endpoints.");
	check_purpose(IPTABLES, "80", RULE_NETWORK_PORTS_JUMP, AF_INET,
		      "The published ports of network bridge.");
	check_purpose(IPTABLES, "80", RULE_FORWARD_JUMP, AF_INET6,
		      "Forwarded packets meet bridgenet's rules.");
	check_purpose(IPTABLES, "80", RULE_NETWORK_FORWARD_JUMP, AF_INET,
		      "Packets that are forwarded to network bridge by its bridge bn0 meet its "
		      "rules.");
	check_purpose(IPTABLES, "80", RULE_POSTROUTING_JUMP, AF_INET6,
		      "What leaves meets bridgenet's rules about the address that it leaves with.");
	check_purpose(IPTABLES, "80", RULE_NETWORK_POSTROUTING_JUMP, AF_INET,
		      "What network bridge sends, and what goes to it, meets the rules about the "
		      "address that it goes with.");
}

static void test_purpose_of_foreign_rules(void **state)
{
	char words[] = "tcp dport 22 drop", endless[2 * PURPOSE_MAX], text[PURPOSE_MAX];
	struct rule rule = { .kind = RULE_FOREIGN, .chain = CHAIN_FILTER_USER, .foreign = words };

	(void)state;
	rule_purpose(&rule, text);
	assert_string_equal(text, "A rule of the host's administrator in BRIDGENET-USER: tcp dport "
				  "22 drop");
	rule.chain = CHAIN_NAT_PORTS;
	rule_purpose(&rule, text);
	assert_string_equal(text, "Not made by bridgenet: tcp dport 22 drop");
	rule.foreign = NULL;
	rule_purpose(&rule, text);
	assert_string_equal(text, "Not made by bridgenet: unknown");
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	rule.foreign = endless;
	rule_purpose(&rule, text);
	assert_int_equal(strlen(text), PURPOSE_MAX - 1);
}

/* The longest names and addresses there are fit, to the last full stop. */
static void test_purpose_is_never_cut(void **state)
{
	struct rule rule = { .protocol = IPPROTO_SCTP, .host_port = 50000, .to_port = 50000 };
	char text[PURPOSE_MAX];

	(void)state;
	memset(rule.network, 'n', sizeof(rule.network) - 1);
	memset(rule.endpoint, 'e', sizeof(rule.endpoint) - 1);
	memset(rule.in, 'i', sizeof(rule.in) - 1);
	memset(rule.out, 'o', sizeof(rule.out) - 1);
	rule.count = 10000;
	rule.family = AF_INET6;
	rule.to = addr_of("1111:1111:1111:1111:1111:1111:1111:1111");
	rule.destination = prefix_of("1111:1111:1111:1111:1111:1111:1111:1111/128");
	for (rule.kind = 0; rule.kind < RULE_FOREIGN; rule.kind++) {
		rule_purpose(&rule, text);
		assert_in_range(strlen(text), 20, PURPOSE_MAX - 2);
		assert_int_equal(text[strlen(text) - 1], '.');
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_purpose_of_ports),
		cmocka_unit_test(test_purpose_of_network_rules),
		cmocka_unit_test(test_purpose_of_base_rules),
		cmocka_unit_test(test_purpose_of_jumps),
		cmocka_unit_test(test_purpose_of_foreign_rules),
		cmocka_unit_test(test_purpose_is_never_cut),
	};

	return cmocka_run_group_tests_name("purpose", tests, NULL, NULL);
}
