/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "model/owner.h"
#include "model/plan.h"

#define IPTABLES (PLAN_PORT_RANGES | PLAN_OWN_CHAINS)
#define LONG_NAME "a-name-that-is-longer-than-a-label"

static network_vector networks;
static endpoint_vector endpoints;

static void add_network(const char *name, const char *bridge, const char *ipv4, const char *ipv6)
{
	struct network *network = vector_push(&networks);

	*network = network_of(ipv4, ipv6);
	string_copy(network->name, sizeof(network->name), name);
	string_copy(network->bridge, sizeof(network->bridge), bridge);
}

static void add_endpoint(const char *network, const char *id, const char *ipv4, const char *ipv6)
{
	struct endpoint *endpoint = vector_push(&endpoints);

	*endpoint = endpoint_of(ipv4, ipv6);
	string_copy(endpoint->network, sizeof(endpoint->network), network);
	string_copy(endpoint->id, sizeof(endpoint->id), id);
}

static int setup(void **state)
{
	(void)state;
	add_network("front", "bn0", "172.17.0.0/16", "fd00:17::/64");
	add_network(LONG_NAME, "bn1", "172.18.0.0/16", NULL);
	add_network("free", "bn2", "172.19.0.0/16", NULL);
	networks.items[2].policy.isolate = ISOLATE_NO;
	add_network("secret", "bn3", "172.20.0.0/16", NULL);
	networks.items[3].policy.internal = INTERNAL_YES;
	add_endpoint("front", "web", "172.17.0.2/16", "fd00:17::2/64");
	add_endpoint("front", "db", "172.17.0.3/16", NULL);
	add_endpoint(LONG_NAME, "web", "172.18.0.2/16", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	networks_clear(&networks);
	endpoints_clear(&endpoints);
	return 0;
}

static void plan_mapping(size_t endpoint, const char *text, rule_vector *rules)
{
	struct port port = port_of(text);

	assert_int_equal(plan_parts(IPTABLES, PLAN_PORTS, NULL, &endpoints.items[endpoint], &port,
				    rules),
			 0);
}

static void plan_all(rule_vector *rules)
{
	assert_int_equal(plan_parts(IPTABLES, PLAN_BASE, NULL, NULL, NULL, rules), 0);
	for (size_t i = 0; i < networks.len; i++)
		assert_int_equal(plan_parts(IPTABLES, PLAN_NETWORKS, &networks.items[i], NULL, NULL,
					    rules),
				 0);
	for (size_t i = 0; i < endpoints.len; i++)
		assert_int_equal(plan_parts(IPTABLES, PLAN_ENDPOINTS, &networks.items[i / 2],
					    &endpoints.items[i], NULL, rules),
				 0);
	plan_mapping(0, "80:80", rules);
	plan_mapping(1, "127.0.0.1:80:80/udp", rules);
	plan_mapping(2, "127.0.0.1:80:80/tcp", rules);
	plan_mapping(2, "127.0.0.2:80-82:80-82/udp", rules);
}

/* What a backend without room for owners reads: in a network's chain its label, else nothing. */
static void forget_owner(struct rule *rule)
{
	memset(rule->endpoint, 0, sizeof(rule->endpoint));
	string_copy(rule->network, sizeof(rule->network), rule->label);
	switch (rule->kind) {
	case RULE_LOOPBACK_DROP:
	case RULE_LOOPBACK_SOURCE_DROP:
	case RULE_LOOPBACK_PORT_DROP:
	case RULE_OUTGOING_ACCEPT:
	case RULE_SUBNET_DROP:
	case RULE_INTERNAL_DROP:
	case RULE_PEER_ACCEPT:
	case RULE_OPEN_ACCEPT:
		rule->network[0] = rule->label[0] = '\0';
		break;
	default:
		break;
	}
}

static void test_whole_plan(void **state)
{
	rule_vector planned = { 0 }, read = { 0 };

	(void)state;
	plan_all(&planned);
	for (size_t i = 0; i < planned.len; i++) {
		*vector_push(&read) = planned.items[i];
		forget_owner(&read.items[i]);
	}
	assert_int_equal(owners_find(&read, &networks, &endpoints), 0);
	for (size_t i = 0; i < planned.len; i++) {
		assert_string_equal(read.items[i].network, planned.items[i].network);
		assert_string_equal(read.items[i].endpoint, planned.items[i].endpoint);
	}
	rules_clear(&planned);
	rules_clear(&read);
}

/* Rules of another state, or of what is recorded no more, keep what was read. */
static void test_strangers(void **state)
{
	network_vector no_networks = { 0 };
	endpoint_vector no_endpoints = { 0 };
	rule_vector read = { 0 };
	char label[NETWORK_LABEL_MAX];

	(void)state;
	network_label(LONG_NAME, networks.items[1].id, label);
	plan_all(&read);
	for (size_t i = 0; i < read.len; i++)
		forget_owner(&read.items[i]);
	assert_int_equal(owners_find(&read, &no_networks, &no_endpoints), 0);
	for (size_t i = 0; i < read.len; i++) {
		const char *network = read.items[i].network;

		assert_true(!network[0] || strcmp(network, "front") == 0 ||
			    strcmp(network, label) == 0 || strcmp(network, "free") == 0 ||
			    strcmp(network, "secret") == 0);
		assert_string_equal(read.items[i].endpoint, "");
	}
	assert_int_equal(owners_find(&(rule_vector){ 0 }, &networks, &endpoints), 0);
	rules_clear(&read);
}

static void test_foreign_rules(void **state)
{
	rule_vector read = { 0 };
	struct rule *rule;

	(void)state;
	/* The administrator's rule about a bridge is not the network's. */
	rule = vector_push(&read);
	rule->kind = RULE_FOREIGN;
	rule->chain = CHAIN_FILTER_USER;
	rule->family = AF_INET;
	string_copy(rule->in, sizeof(rule->in), "bn0");
	/* In a chain of the network it is shown with it. */
	rule = vector_push(&read);
	*rule = read.items[0];
	network_label(LONG_NAME, networks.items[1].id, rule->label);
	assert_int_equal(owners_find(&read, &networks, &endpoints), 0);
	assert_string_equal(read.items[0].network, "");
	assert_string_equal(read.items[1].network, LONG_NAME);
	rules_clear(&read);
}

/* The drop of a port belongs to whom that very address, port and protocol leads. */
static void test_loopback_drop_without_its_port(void **state)
{
	rule_vector read = { 0 };

	(void)state;
	plan_mapping(2, "127.0.0.1:80:80/tcp", &read);
	assert_int_equal(read.items[0].kind, RULE_LOOPBACK_PORT_DROP);
	assert_int_equal(read.items[1].kind, RULE_PORT_DNAT);
	forget_owner(&read.items[0]);
	forget_owner(&read.items[1]);
	read.items[1].protocol = IPPROTO_UDP;
	assert_int_equal(owners_find(&read, &networks, &endpoints), 0);
	assert_string_equal(read.items[0].network, "");
	assert_string_equal(read.items[0].endpoint, "");
	assert_string_equal(read.items[1].endpoint, "web");
	rules_clear(&read);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_plan),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_foreign_rules),
		cmocka_unit_test(test_loopback_drop_without_its_port),
	};

	return cmocka_run_group_tests_name("owner", tests, setup, teardown);
}
