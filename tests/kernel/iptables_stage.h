/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the iptables-legacy backend share; each begins in an empty namespace. */
#ifndef BN_TESTS_IPTABLES_STAGE_H
#define BN_TESTS_IPTABLES_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it */
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "firewall/iptables/iptables.h"
#include "../unit/plan_parts.h"
#include "model/owner.h"

#define UNUSED __attribute__((unused))

static struct firewall *firewall;
static struct error error;
/* The records, of which the kernel's rules say nothing. */
static network_vector networks;
static endpoint_vector endpoints;

/* ---- the judge ---- */

UNUSED static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("this failed: %s", command);
}

/* The output of a command; the caller frees. */
UNUSED static char *output_of(const char *command)
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

/* All rules of both families with their counters, without what has a time in it. */
#define SAVE_ALL "{ iptables-legacy-save -c && ip6tables-legacy-save -c; } | grep -v '^#'"

UNUSED static size_t count_lines(const char *pattern)
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

UNUSED static void assert_only_empty_tables(void)
{
	char *text = output_of(SAVE_ALL " | grep -vE '^(\\*|COMMIT|:[A-Z]+ ACCEPT)'; true");

	assert_string_equal(text, "");
	free(text);
}

/* The counters of the rules that match, in a table of IPv4. */
UNUSED static void set_counters(const char *table, const char *pattern)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "iptables-legacy-save -c -t %s | sed '/%s/s/^\\[[0-9:]*\\]/[7:700]/' | "
		 "iptables-legacy-restore -c -T %s",
		 table, pattern, table);
	run(command);
}

/* ---- what is planned ---- */

UNUSED static struct prefix prefix_of(const char *text)
{
	struct prefix prefix = { 0 };

	assert_int_equal(prefix_parse(text, &prefix), 0);
	return prefix;
}

UNUSED static struct network network_of(const char *name, const char *bridge, const char *ipv4,
					const char *ipv6)
{
	struct network network = { .driver = DRIVER_BRIDGE };

	string_copy(network.name, sizeof(network.name), name);
	string_copy(network.bridge, sizeof(network.bridge), bridge);
	if (ipv4)
		network.ipv4.prefix = prefix_of(ipv4);
	if (ipv6)
		network.ipv6.prefix = prefix_of(ipv6);
	*vector_push(&networks) = network;
	return network;
}

UNUSED static struct endpoint endpoint_of(const char *network, const char *id, const char *ipv4,
					  const char *ipv6)
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

UNUSED static void plan_mapping(const struct endpoint *endpoint, uint8_t protocol,
				const char *address, uint16_t host_port, uint16_t container_port,
				uint16_t count, rule_vector *rules)
{
	struct port port = { .protocol = protocol,
			     .host_port = host_port,
			     .container_port = container_port,
			     .count = count };

	if (address)
		assert_int_equal(addr_parse(address, &port.host_addr), 0);
	assert_int_equal(plan_parts(IPTABLES_TRAITS, PLAN_PORTS, NULL, endpoint, &port, rules), 0);
}

/* A network and its endpoint. */
UNUSED static struct endpoint plan_pair(const char *name, const char *bridge, const char *ipv4,
					const char *ipv6, rule_vector *rules)
{
	struct network network = network_of(name, bridge, ipv4, ipv6);
	struct endpoint endpoint = endpoint_of(name, "web", ipv4, ipv6);

	addr_add(&network.ipv4.prefix.addr, 2, &endpoint.ipv4.addr);
	if (ipv6)
		addr_add(&network.ipv6.prefix.addr, 2, &endpoint.ipv6.addr);
	endpoints.items[endpoints.len - 1] = endpoint;
	assert_int_equal(plan_parts(IPTABLES_TRAITS, PLAN_NETWORKS, &network, NULL, NULL, rules),
			 0);
	assert_int_equal(
		plan_parts(IPTABLES_TRAITS, PLAN_ENDPOINTS, &network, &endpoint, NULL, rules), 0);
	return endpoint;
}

UNUSED static int apply(const rule_vector *add, const rule_vector *remove, uint32_t flags)
{
	struct firewall_change change = { .add = add ? add->items : NULL,
					  .add_len = add ? add->len : 0,
					  .remove = remove ? remove->items : NULL,
					  .remove_len = remove ? remove->len : 0,
					  .flags = flags };

	error_clear(&error);
	return iptables_backend.apply(firewall, &change, &error);
}

UNUSED static void list(rule_vector *rules)
{
	assert_int_equal(iptables_backend.list(firewall, NULL, rules, &error), 0);
	assert_int_equal(owners_find(rules, &networks, &endpoints), 0);
	rules_sort(rules);
}

UNUSED static void add_all(rule_vector *to, const rule_vector *from)
{
	for (size_t i = 0; from && i < from->len; i++)
		*vector_push(to) = from->items[i];
}

/* The kernel holds the base and these rules, nothing else, in this order. */
UNUSED static void assert_kernel_holds(const rule_vector *rules, const rule_vector *more)
{
	rule_vector planned = { 0 }, read = { 0 };

	assert_int_equal(plan_parts(IPTABLES_TRAITS, PLAN_BASE, NULL, NULL, NULL, &planned), 0);
	add_all(&planned, rules);
	add_all(&planned, more);
	rules_sort(&planned);
	list(&read);
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

/* ---- the stage ---- */

UNUSED static void open_with(const struct firewall_config *config)
{
	iptables_backend.close(firewall);
	firewall = NULL;
	if (iptables_backend.open(config, &firewall, &error) < 0)
		fail_msg("%s", error.message);
}

UNUSED static int setup(void **state)
{
	(void)state;
	memset(&error, 0, sizeof(error));
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	return iptables_backend.open(&(struct firewall_config){ 0 }, &firewall, &error);
}

UNUSED static int teardown(void **state)
{
	(void)state;
	iptables_backend.close(firewall);
	firewall = NULL;
	networks_clear(&networks);
	endpoints_clear(&endpoints);
	return 0;
}

#endif
