/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "firewall_stage.h"

#include <sched.h>
#include <sys/wait.h>

#include "../unit/plan_parts.h"
#include "model/owner.h"

struct firewall *firewall;
struct error error;
network_vector networks;
endpoint_vector endpoints;

/* ---- the judges ---- */

void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("this failed: %s", command);
}

char *output_of(const char *command)
{
	FILE *pipe = popen(command, "r");
	char *text = NULL;
	size_t size = 0;

	assert_non_null(pipe);
	if (getdelim(&text, &size, '\0', pipe) < 0)
		text[0] = '\0';
	assert_int_equal(pclose(pipe), 0);
	return text;
}

void assert_output_is(const char *command, const char *expected)
{
	char *text = output_of(command);

	assert_string_equal(text, expected);
	free(text);
}

size_t count_lines(const char *pattern)
{
	char command[256];
	size_t count;
	char *text;

	snprintf(command, sizeof(command), SAVE_ALL " | grep -cE -e '%s'; true", pattern);
	text = output_of(command);
	count = (size_t)atoi(text);
	free(text);
	return count;
}

void assert_only_empty_tables(void)
{
	assert_output_is(SAVE_ALL " | grep -vE '^(\\*|COMMIT|:[A-Z]+ ACCEPT)'; true", "");
}

void set_counters(const char *table, const char *pattern)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "iptables-legacy-save -c -t %s | sed '/%s/s/^\\[[0-9:]*\\]/[7:700]/' | "
		 "iptables-legacy-restore -c -T %s",
		 table, pattern, table);
	run(command);
}

/* ---- what is planned ---- */

static struct prefix prefix_of(const char *text)
{
	struct prefix prefix = { 0 };

	assert_int_equal(prefix_parse(text, &prefix), 0);
	return prefix;
}

static struct network network_of(const char *name, const char *bridge, const char *ipv4,
				 const char *ipv6)
{
	struct network network = { .driver = DRIVER_BRIDGE };

	string_copy(network.name, sizeof(network.name), name);
	string_copy(network.bridge, sizeof(network.bridge), bridge);
	snprintf(network.id, sizeof(network.id), "%016jx",
		 (uintmax_t)hash_text(hash_text(HASH_START, bridge), name));
	network.ipv4.prefix = prefix_of(ipv4);
	addr_add(&network.ipv4.prefix.addr, 1, &network.ipv4.gateway);
	if (ipv6) {
		network.ipv6.prefix = prefix_of(ipv6);
		addr_add(&network.ipv6.prefix.addr, 1, &network.ipv6.gateway);
	}
	return network;
}

struct endpoint endpoint_of(const char *network, const char *id, const char *ipv4, const char *ipv6)
{
	struct endpoint endpoint = { 0 };

	string_copy(endpoint.network, sizeof(endpoint.network), network);
	string_copy(endpoint.id, sizeof(endpoint.id), id);
	endpoint.ipv4 = prefix_of(ipv4);
	if (ipv6)
		endpoint.ipv6 = prefix_of(ipv6);
	*vector_push(&endpoints) = endpoint;
	return endpoint;
}

void plan_mapping(const struct endpoint *endpoint, uint8_t protocol, const char *address,
		  uint16_t host_port, uint16_t container_port, uint16_t count, rule_vector *rules)
{
	struct port port = { .protocol = protocol,
			     .host_port = host_port,
			     .container_port = container_port,
			     .count = count };

	const struct network *network = NULL;

	for (size_t i = 0; i < networks.len; i++)
		if (strcmp(networks.items[i].name, endpoint->network) == 0)
			network = &networks.items[i];
	if (address)
		assert_int_equal(addr_parse(address, &port.host_addr), 0);
	assert_int_equal(plan_parts(backend->traits(), PLAN_PORTS, network, endpoint, &port, rules),
			 0);
}

static struct endpoint plan_network(const struct network *network, rule_vector *rules)
{
	struct endpoint endpoint = { .id = "web" };

	string_copy(endpoint.network, sizeof(endpoint.network), network->name);
	endpoint.ipv4 = network->ipv4.prefix;
	endpoint.ipv6 = network->ipv6.prefix;
	addr_add(&network->ipv4.prefix.addr, 2, &endpoint.ipv4.addr);
	if (addr_is_set(&network->ipv6.prefix.addr))
		addr_add(&network->ipv6.prefix.addr, 2, &endpoint.ipv6.addr);
	*vector_push(&networks) = *network;
	*vector_push(&endpoints) = endpoint;
	assert_int_equal(plan_parts(backend->traits(), PLAN_NETWORKS | PLAN_ENDPOINTS, network,
				    &endpoint, NULL, rules),
			 0);
	return endpoint;
}

struct endpoint plan_pair(const char *name, const char *bridge, const char *ipv4, const char *ipv6,
			  rule_vector *rules)
{
	struct network network = network_of(name, bridge, ipv4, ipv6);

	return plan_network(&network, rules);
}

/* On a bridge that serves others too, and with all that an option changes. */
static void plan_guest(rule_vector *rules)
{
	struct network network = network_of("guest", "nf-guest", "172.29.0.0/20", "fd29::/60");

	network.bridge_adopted = true;
	plan_network(&network, rules);
	network = network_of("keep", "nf-keep", "172.28.0.0/24", "fd28::/64");
	network.policy.source_ports = SOURCE_PORTS_KEEP;
	plan_network(&network, rules);
}

void plan_all(rule_vector *rules)
{
	struct endpoint web = plan_pair("blue", "nf-blue", "172.30.0.0/16", "fd30::/64", rules);
	struct endpoint db = plan_pair("red", "nf-red", "172.31.0.0/16", NULL, rules);

	plan_guest(rules);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, rules);
	plan_mapping(&web, IPPROTO_SCTP, "0.0.0.0", 8799, 1337, 1, rules);
	plan_mapping(&web, IPPROTO_UDP, "127.0.0.1", 53, 5353, 3, rules);
	plan_mapping(&web, IPPROTO_TCP, "192.0.2.1", 80, 8080, 1, rules);
	plan_mapping(&web, IPPROTO_TCP, "2001:db8::1", 80, 8080, 1, rules);
	plan_mapping(&db, IPPROTO_TCP, NULL, 65535, 65535, 1, rules);
	plan_mapping(&db, IPPROTO_TCP, NULL, 7000, 17000, 100, rules);
}

void plan_policies(rule_vector *rules)
{
	static const struct network_policy policies[] = {
		{ .internal = INTERNAL_YES },
		{ .icc = ICC_NO },
		{ .internal = INTERNAL_YES, .gateway_mode_ipv6 = GATEWAY_MODE_ISOLATED },
		{ .gateway_mode_ipv4 = GATEWAY_MODE_NAT_UNPROTECTED },
		{ .gateway_mode_ipv4 = GATEWAY_MODE_ROUTED,
		  .gateway_mode_ipv6 = GATEWAY_MODE_ROUTED },
		{ .gateway_mode_ipv6 = GATEWAY_MODE_ROUTED },
		{ .isolate = ISOLATE_NO },
		{ .isolate = ISOLATE_YES, .icc = ICC_NO },
		{ .host_access = HOST_ACCESS_DNS_ICMP },
		{ .host_access = HOST_ACCESS_PUBLISHED },
		{ .host_access = HOST_ACCESS_NONE },
		{ .mss_clamp = MSS_CLAMP_YES },
	};

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(policies); i++) {
		char name[16], bridge[IFNAMSIZ], ipv4[32], ipv6[32];
		struct network network;
		struct endpoint web;

		snprintf(name, sizeof(name), "policy%u", i);
		snprintf(bridge, sizeof(bridge), "nf-%u", i);
		snprintf(ipv4, sizeof(ipv4), "10.%u.0.0/16", i);
		snprintf(ipv6, sizeof(ipv6), "fd31:%u::/64", i);
		network = network_of(name, bridge, ipv4, ipv6);
		network.policy = policies[i / 2];
		network.bridge_adopted = i % 2;
		web = plan_network(&network, rules);
		if (network.policy.internal == INTERNAL_YES)
			continue;
		plan_mapping(&web, IPPROTO_TCP, NULL, (uint16_t)(8000 + i), 1337, 1, rules);
		plan_mapping(&web, IPPROTO_UDP, NULL, (uint16_t)(9000 + 10 * i), 53, 5, rules);
	}
}

/* ---- what is there ---- */

int apply(const rule_vector *add, const rule_vector *remove, uint32_t flags)
{
	struct firewall_change change = { .add = add ? add->items : NULL,
					  .add_len = add ? add->len : 0,
					  .remove = remove ? remove->items : NULL,
					  .remove_len = remove ? remove->len : 0,
					  .flags = flags };

	error_clear(&error);
	return backend->apply(firewall, &change, &error);
}

int apply_beside(const rule_vector *stand, const rule_vector *add)
{
	struct firewall_change change = { .add = add->items,
					  .add_len = add->len,
					  .stand = stand->items,
					  .stand_len = stand->len };

	error_clear(&error);
	return backend->apply(firewall, &change, &error);
}

void list(const rule_vector *wanted, rule_vector *rules)
{
	assert_int_equal(backend->list(firewall, wanted, rules, &error), 0);
	if (backend->traits() & PLAN_OWNERS)
		return;
	assert_int_equal(owners_find(rules, &networks, &endpoints), 0);
	rules_sort(rules);
}

static void add_all(rule_vector *to, const rule_vector *from)
{
	for (size_t i = 0; from && i < from->len; i++)
		*vector_push(to) = from->items[i];
}

void assert_kernel_holds(const rule_vector *rules, const rule_vector *more)
{
	rule_vector planned = { 0 }, read = { 0 };

	assert_int_equal(plan_parts(backend->traits(), PLAN_BASE, NULL, NULL, NULL, &planned), 0);
	add_all(&planned, rules);
	add_all(&planned, more);
	rules_sort(&planned);
	list(NULL, &read);
	for (size_t i = 0; i < read.len && i < planned.len; i++) {
		const struct rule *is = &read.items[i], *should = &planned.items[i];

		if (rule_compare(is, should) != 0)
			fail_msg("rule %zu: kind %d family %d %s/%s in %s out %s port %u+%u %s is "
				 "read, kind %d family %d %s/%s port %u+%u is planned",
				 i, (int)is->kind, is->family, is->network, is->endpoint, is->in,
				 is->out, is->host_port, is->count, is->foreign ? is->foreign : "",
				 (int)should->kind, should->family, should->network,
				 should->endpoint, should->host_port, should->count);
	}
	assert_int_equal(read.len, planned.len);
	free(planned.items);
	rules_clear(&read);
}

/* ---- the cases ---- */

int stage_setup(void **state)
{
	(void)state;
	memset(&error, 0, sizeof(error));
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	return backend->open(&(struct firewall_config){ 0 }, &firewall, &error);
}

int stage_teardown(void **state)
{
	(void)state;
	backend->close(firewall);
	firewall = NULL;
	networks_clear(&networks);
	endpoints_clear(&endpoints);
	return 0;
}

void open_with(const struct firewall_config *config)
{
	backend->close(firewall);
	firewall = NULL;
	if (backend->open(config, &firewall, &error) < 0)
		fail_msg("%s", error.message);
}

void test_privilege(void **state)
{
	struct firewall *unused = NULL;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(setresuid(65534, 65534, 65534) < 0 ||
		      backend->open(NULL, &unused, &error) != -EPERM ||
		      error.reason != BN_REASON_PRIVILEGE || unused);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}
