/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nftables backend in the real kernel, in a network namespace; nft(8) is the judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it */
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/plan_parts.h"
#include "firewall/firewall.h"

#define MANY 10000

extern const struct firewall_backend nft_backend;

static struct firewall *firewall;
static struct error error;

/* ---- the judge ---- */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("this failed: %s", command);
}

/* The output of a command; the caller frees. */
static char *output_of(const char *command)
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

static json_t *ruleset(void)
{
	char *text = output_of("nft -j list table inet bridgenet");
	json_error_t json_error;
	json_t *root = json_loads(text, 0, &json_error);

	free(text);
	assert_non_null(root);
	return root;
}

/* How many objects of that type ("set", "map", "chain", "rule") nft shows. */
static size_t count_objects(const char *type)
{
	json_t *root = ruleset(), *object;
	size_t i, count = 0;

	json_array_foreach(json_object_get(root, "nftables"), i, object)
	{
		if (json_object_get(object, type))
			count++;
	}
	json_decref(root);
	return count;
}

/* How many elements nft shows, in one set or (NULL) in all. */
static size_t count_elements(const char *name)
{
	json_t *root = ruleset(), *object;
	size_t i, count = 0;

	json_array_foreach(json_object_get(root, "nftables"), i, object)
	{
		const json_t *set = json_object_get(object, "set");

		if (!set)
			set = json_object_get(object, "map");
		if (!name ||
		    (set && strcmp(json_string_value(json_object_get(set, "name")), name) == 0))
			count += json_array_size(json_object_get(set, "elem"));
	}
	json_decref(root);
	return count;
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
	if (ipv4)
		network.ipv4.prefix = prefix_of(ipv4);
	if (ipv6)
		network.ipv6.prefix = prefix_of(ipv6);
	return network;
}

static struct endpoint endpoint_of(const char *network, const char *id, const char *ipv4,
				   const char *ipv6)
{
	struct endpoint endpoint = { 0 };

	string_copy(endpoint.network, sizeof(endpoint.network), network);
	string_copy(endpoint.id, sizeof(endpoint.id), id);
	endpoint.ipv4 = prefix_of(ipv4);
	if (ipv6)
		endpoint.ipv6 = prefix_of(ipv6);
	return endpoint;
}

static void plan_mapping(const struct endpoint *endpoint, uint8_t protocol, const char *address,
			 uint16_t host_port, uint16_t container_port, uint16_t count,
			 rule_vector *rules)
{
	struct port port = { .protocol = protocol,
			     .host_port = host_port,
			     .container_port = container_port,
			     .count = count };

	if (address)
		assert_int_equal(addr_parse(address, &port.host_addr), 0);
	assert_int_equal(plan_parts(nft_backend.traits, PLAN_PORTS, NULL, endpoint, &port, rules),
			 0);
}

/* Two networks, one of both families, with endpoints and every kind of mapping. */
static void plan_all(rule_vector *rules)
{
	struct network blue = network_of("blue", "nf-blue", "172.30.0.0/16", "fd30::/64");
	struct network red = network_of("red", "nf-red", "172.31.0.0/16", NULL);
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", "fd30::2/64");
	struct endpoint db = endpoint_of("red", "db", "172.31.0.2/16", NULL);

	assert_int_equal(plan_parts(nft_backend.traits, PLAN_NETWORKS, &blue, NULL, NULL, rules),
			 0);
	assert_int_equal(plan_parts(nft_backend.traits, PLAN_NETWORKS, &red, NULL, NULL, rules), 0);
	assert_int_equal(plan_parts(nft_backend.traits, PLAN_ENDPOINTS, &blue, &web, NULL, rules),
			 0);
	assert_int_equal(plan_parts(nft_backend.traits, PLAN_ENDPOINTS, &red, &db, NULL, rules), 0);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, rules);
	plan_mapping(&web, IPPROTO_SCTP, "0.0.0.0", 8799, 1337, 1, rules);
	plan_mapping(&web, IPPROTO_UDP, "127.0.0.1", 53, 5353, 3, rules);
	plan_mapping(&web, IPPROTO_TCP, "192.0.2.1", 80, 8080, 1, rules);
	plan_mapping(&web, IPPROTO_TCP, "2001:db8::1", 80, 8080, 1, rules);
	plan_mapping(&db, IPPROTO_TCP, NULL, 65535, 65535, 1, rules);
}

static int apply(const rule_vector *add, const rule_vector *remove, uint32_t flags)
{
	struct firewall_change change = { .add = add ? add->items : NULL,
					  .add_len = add ? add->len : 0,
					  .remove = remove ? remove->items : NULL,
					  .remove_len = remove ? remove->len : 0,
					  .flags = flags };

	error_clear(&error);
	return nft_backend.apply(firewall, &change, &error);
}

static void list(const char *network, rule_vector *rules)
{
	assert_int_equal(nft_backend.list(firewall, network, rules, &error), 0);
}

/* The kernel holds the base and these rules, nothing else, in this order. */
static void assert_kernel_holds(const rule_vector *rules)
{
	rule_vector planned = { 0 }, read = { 0 };
	size_t foreign = 0;

	assert_int_equal(plan_parts(nft_backend.traits, PLAN_BASE, NULL, NULL, NULL, &planned), 0);
	for (size_t i = 0; i < rules->len; i++)
		*vector_push(&planned) = rules->items[i];
	rules_sort(&planned);
	list(NULL, &read);
	for (size_t i = 0; i < read.len; i++) {
		if (read.items[i].kind == RULE_FOREIGN)
			foreign++;
	}
	assert_int_equal(foreign, 0);
	assert_int_equal(read.len, planned.len);
	for (size_t i = 0; i < read.len; i++) {
		if (rule_compare(&read.items[i], &planned.items[i]) != 0)
			fail_msg("rule %zu read (kind %d, %s/%s, in %s, out %s) is not the planned "
				 "one (kind %d)",
				 i, (int)read.items[i].kind, read.items[i].network,
				 read.items[i].endpoint, read.items[i].in, read.items[i].out,
				 (int)planned.items[i].kind);
	}
	free(planned.items);
	rules_clear(&read);
}

/* ---- each test begins in an empty namespace ---- */

static int setup(void **state)
{
	(void)state;
	memset(&error, 0, sizeof(error));
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	return nft_backend.open(&(struct firewall_config){ 0 }, &firewall, &error);
}

static int teardown(void **state)
{
	(void)state;
	nft_backend.close(firewall);
	return 0;
}

static void test_read_back(void **state)
{
	rule_vector rules = { 0 }, none = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(nft_backend.present(firewall, &error), 0);
	assert_int_equal(apply(&none, NULL, FIREWALL_BASE), 0);
	assert_int_equal(nft_backend.present(firewall, &error), 0);
	assert_int_equal(count_elements(NULL), 0);
	assert_kernel_holds(&none);
	assert_int_equal(apply(&rules, NULL, 0), 0);
	assert_kernel_holds(&rules);
	assert_int_equal(nft_backend.present(firewall, &error), 1);
	/* 8799/tcp and 65535/tcp and 8799/sctp; the same for IPv6 but for what is bound to IPv4 */
	assert_int_equal(count_elements("ports4"), 3);
	assert_int_equal(count_elements("ports6"), 1);
	assert_int_equal(count_elements("ports4-address"), 4);
	assert_int_equal(count_elements("ports6-address"), 1);
	assert_int_equal(count_elements("loopback-ports"), 3);
	assert_int_equal(count_elements("bridged"), 3);
	assert_int_equal(count_elements("direct4"), 2);
	assert_int_equal(count_elements("direct6"), 1);
	assert_int_equal(count_objects("rule"), 25);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_kernel_holds(&none);
	assert_int_equal(count_elements(NULL), 0);
	rules_clear(&rules);
}

static void test_nft_reads_what_it_writes(void **state)
{
	rule_vector rules = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	run("set -e; listing=$(mktemp); nft list table inet bridgenet >$listing;"
	    "nft delete table inet bridgenet; nft -f $listing;"
	    "nft list table inet bridgenet | cmp - $listing; rm $listing");
	assert_kernel_holds(&rules);
	rules_clear(&rules);
}

static void test_filter_by_network(void **state)
{
	rule_vector rules = { 0 }, read = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	list("red", &read);
	/* of the network 8, the endpoint 1, the port 1 */
	assert_int_equal(read.len, 10);
	for (size_t i = 0; i < read.len; i++)
		assert_string_equal(read.items[i].network, "red");
	rules_clear(&read);
	list("re", &read);
	assert_int_equal(read.len, 0);
	rules_clear(&rules);
}

static void test_port_taken(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", NULL);
	struct endpoint rival = endpoint_of("red", "rival", "172.31.0.9/16", NULL);
	rule_vector first = { 0 }, second = { 0 };

	(void)state;
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &first);
	plan_mapping(&web, IPPROTO_TCP, "192.0.2.1", 8080, 1337, 1, &first);
	assert_int_equal(apply(&first, NULL, FIREWALL_BASE), 0);

	plan_mapping(&rival, IPPROTO_TCP, NULL, 8790, 80, 20, &second);
	assert_int_equal(apply(&second, NULL, 0), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_PORT_IN_USE);
	assert_non_null(strstr(error.message, "8799/tcp"));
	assert_non_null(strstr(error.message, "'web' of network 'blue'"));
	assert_kernel_holds(&first);

	second.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, "192.0.2.1", 8080, 80, 1, &second);
	assert_int_equal(apply(&second, NULL, 0), -EEXIST);
	assert_non_null(strstr(error.message, "8080/tcp of 192.0.2.1"));
	assert_kernel_holds(&first);

	/* The same number of another protocol is another port; in place of the first it goes. */
	second.len = 0;
	plan_mapping(&rival, IPPROTO_UDP, NULL, 8799, 80, 1, &second);
	assert_int_equal(apply(&second, NULL, 0), 0);
	assert_int_equal(apply(NULL, &second, 0), 0);
	second.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, NULL, 8799, 80, 1, &second);
	assert_int_equal(apply(&second, &first, 0), 0);
	assert_kernel_holds(&second);
	rules_clear(&first);
	rules_clear(&second);
}

static void test_missing(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", NULL);
	struct endpoint rival = endpoint_of("red", "rival", "172.31.0.9/16", NULL);
	rule_vector rules = { 0 }, more = { 0 }, none = { 0 };

	(void)state;
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 2, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 3, &more);
	assert_int_equal(apply(NULL, &more, 0), -ENOENT);
	assert_non_null(strstr(error.message, "8801/tcp"));
	assert_kernel_holds(&rules);
	/* What stands under the key of a rule to remove but is another's stays. */
	more.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, NULL, 8799, 1337, 3, &more);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&rules);
	more.len = 0;
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 3, &more);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&none);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	rules_clear(&rules);
	rules_clear(&more);
}

static void test_replace(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", NULL);
	rule_vector old = { 0 }, new = { 0 }, read = { 0 };

	(void)state;
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 2, &old);
	assert_int_equal(apply(&old, NULL, FIREWALL_BASE), 0);
	run("nft delete element inet bridgenet ports4 '{ tcp . 8799 }';"
	    "nft add element inet bridgenet ports4 "
	    "'{ tcp . 8799 counter packets 7 bytes 700 comment \"blue/web\" : "
	    "172.30.0.2 . 1337 }'");
	/* One that is there as planned (it keeps its counters), one that differs, one more. */
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &new);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8800, 9999, 2, &new);
	assert_int_equal(apply(&new, NULL, 0), -EEXIST);
	assert_int_equal(apply(&new, NULL, FIREWALL_REPLACE), 0);
	assert_kernel_holds(&new);
	list("blue", &read);
	assert_int_equal(read.items[0].host_port, 8799);
	assert_int_equal(read.items[0].packets, 7);
	assert_int_equal(read.items[0].bytes, 700);
	rules_clear(&read);
	/* Removed and added again in one change: there, with counters from nothing. */
	assert_int_equal(apply(&new, &new, FIREWALL_REPLACE), 0);
	assert_kernel_holds(&new);
	list("blue", &read);
	assert_int_equal(read.items[0].packets, 0);
	rules_clear(&old);
	rules_clear(&new);
	rules_clear(&read);
}

static void test_base_missing(void **state)
{
	static const char *const accidents[] = { "nft flush ruleset",
						 "nft delete table inet bridgenet" };
	rule_vector rules = { 0 }, none = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, 0), FIREWALL_BASE_MISSING);
	assert_string_equal(error.message, "");
	assert_int_equal(apply(NULL, &rules, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK), 0);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(accidents); i++) {
		run(accidents[i]);
		list(NULL, &none);
		assert_int_equal(none.len, 0);
		assert_int_equal(nft_backend.present(firewall, &error), 0);
		assert_int_equal(apply(&rules, NULL, FIREWALL_REPLACE), FIREWALL_BASE_MISSING);
		assert_int_equal(apply(&rules, NULL, FIREWALL_REPLACE | FIREWALL_BASE), 0);
		assert_kernel_holds(&rules);
	}
	rules_clear(&rules);
}

static void test_base_is_mended(void **state)
{
	rule_vector rules = { 0 }, read = { 0 };
	struct rule *hook;

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_int_equal(count_objects("rule"), 25);
	assert_kernel_holds(&rules);
	run("nft flush chain inet bridgenet filter-forward;"
	    "nft flush chain inet bridgenet raw-prerouting;"
	    "nft add rule inet bridgenet raw-prerouting counter packets 3 bytes 30 accept");
	list(NULL, &read);
	/* Elements that no rule looks up do nothing, and are not shown. */
	for (size_t i = 0; i < read.len; i++)
		assert_true(read.items[i].chain != CHAIN_FILTER_FORWARD);
	hook = &read.items[0];
	assert_int_equal(hook->kind, RULE_FOREIGN);
	assert_int_equal(hook->chain, CHAIN_RAW_PREROUTING);
	assert_int_equal(hook->target, TARGET_ACCEPT);
	assert_int_equal(hook->packets, 3);
	assert_int_equal(hook->bytes, 30);
	assert_true(hook->handle != 0);
	assert_string_equal(hook->foreign, "counter accept");
	rules_clear(&read);
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_int_equal(count_objects("rule"), 26);
	run("nft flush chain inet bridgenet raw-prerouting");
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules);
	rules_clear(&rules);
}

/* A rule that was lost in the middle comes back to its place. */
static void test_base_order(void **state)
{
	char *before, *after;

	(void)state;
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	before = output_of("nft list table inet bridgenet");
	run("for set in direct4-allowed direct4; do "
	    "nft delete rule inet bridgenet raw-prerouting handle $(nft -a list chain inet "
	    "bridgenet raw-prerouting | sed -n \"s/.*@$set .*# handle //p\") || exit; done");
	assert_int_equal(count_objects("rule"), 23);
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	after = output_of("nft list table inet bridgenet");
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void test_remove_base(void **state)
{
	rule_vector rules = { 0 }, read = { 0 };
	char *before, *after;

	(void)state;
	plan_all(&rules);
	assert_int_equal(nft_backend.remove_base(firewall, &error), 0);
	run("nft add table inet other; nft add chain inet other c; "
	    "nft add rule inet other c counter packets 5 bytes 50 drop");
	before = output_of("nft list table inet other");
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	/* Networks are left: nothing happens. */
	assert_int_equal(nft_backend.remove_base(firewall, &error), 0);
	assert_kernel_holds(&rules);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	run("nft add rule inet bridgenet BRIDGENET-USER ip saddr 192.0.2.7 "
	    "counter packets 9 bytes 90 drop");
	assert_int_equal(nft_backend.remove_base(firewall, &error), 0);
	assert_int_equal(nft_backend.remove_base(firewall, &error), 0);
	/* the administrator's chain, and what leads to it: it stays in force */
	assert_int_equal(count_objects("chain"), 2);
	assert_int_equal(count_objects("set") + count_objects("map"), 0);
	list(NULL, &read);
	assert_int_equal(read.len, 2);
	assert_int_equal(read.items[0].kind, RULE_USER_JUMP);
	assert_int_equal(read.items[1].packets, 9);
	assert_string_equal(read.items[1].foreign, "ip saddr 192.0.2.7/32 counter drop");
	rules_clear(&read);
	assert_int_equal(apply(&rules, NULL, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	run("nft flush chain inet bridgenet BRIDGENET-USER");
	assert_int_equal(nft_backend.remove_base(firewall, &error), 0);
	run("! nft list table inet bridgenet 2>/dev/null");
	after = output_of("nft list table inet other");
	assert_string_equal(before, after);
	free(before);
	free(after);
	rules_clear(&rules);
}

static void test_others_stay(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", NULL);
	rule_vector rules = { 0 };
	char *before, *after;

	(void)state;
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	run("nft add element inet bridgenet ports4 '{ tcp . 1 counter packets 7 bytes 700 "
	    "comment \"blue/web\" : 172.30.0.2 . 1 }';"
	    "nft add rule inet bridgenet BRIDGENET-USER counter packets 3 bytes 30");
	before = output_of("nft -a list table inet bridgenet");
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	plan_mapping(&web, IPPROTO_TCP, NULL, 1, 2, 1, &rules);
	/* One of them can't be added: all or nothing. */
	assert_int_equal(apply(&rules, NULL, 0), -EEXIST);
	rules.len--;
	assert_int_equal(apply(NULL, &rules, 0), 0);
	after = output_of("nft -a list table inet bridgenet");
	assert_string_equal(before, after);
	free(before);
	free(after);
	rules_clear(&rules);
}

static void test_many(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", "fd30::2/64");
	rule_vector rules = { 0 }, none = { 0 };

	(void)state;
	plan_mapping(&web, IPPROTO_TCP, NULL, 1, 1, MANY, &rules);
	plan_mapping(&web, IPPROTO_TCP, "127.0.0.1", 20000, 1, MANY, &rules);
	assert_int_equal(rules.len, 4 * MANY);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules);
	assert_int_equal(count_elements("ports6"), MANY);
	assert_int_equal(apply(&rules, NULL, FIREWALL_REPLACE), 0);
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&none);
	rules_clear(&rules);
}

static void test_privilege(void **state)
{
	struct firewall *unused = NULL;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(setresuid(65534, 65534, 65534) < 0 ||
		      nft_backend.open(NULL, &unused, &error) != -EPERM ||
		      error.reason != BN_REASON_PRIVILEGE || unused);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_deadline(void **state)
{
	rule_vector rules = { 0 };
	struct timespec now;

	(void)state;
	plan_all(&rules);
	clock_gettime(CLOCK_MONOTONIC, &now);
	firewall->deadline = (uint64_t)now.tv_sec * 1000 - 1;
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	firewall->deadline += 60000;
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules);
	rules_clear(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nft_reads_what_it_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter_by_network, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base_is_mended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_base, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_privilege, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
	};

	return cmocka_run_group_tests_name("nftables backend", tests, NULL, NULL);
}
