/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plan of whole scenarios, rule by rule, as text: NAME.BACKEND.plan beside this file. After a
 * wanted change run it with UPDATE_GOLDEN=1 and read the difference.
 */
#include "../unit/fixture.h"

#include "firewall/firewall.h"

static const struct scenario {
	const char *name;
	const char *subnet_ipv4, *subnet_ipv6; /* of network `bridge` */
	const char *ipv4, *ipv6;               /* of endpoint `web`; both NULL: no endpoint */
	const char *port;
	bool adopted, keeps_ports;
	const char *guard;
	struct network_policy policy;
	const char *allow, *deny; /* of the port */
	const char *options;      /* the same as text, "KEY=VALUE\n" each */
	bool several;             /* a second subnet of each family, and an address of it */
	struct endpoint_policy endpoint;
} scenarios[] = {
	{ "bridge-ipv4", "172.17.0.0/16", NULL, NULL, NULL, NULL },
	{ "bridge-ipv6", NULL, "fd00:30::/64", NULL, NULL, NULL },
	{ "dual-stack", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", NULL },
	{ "adopted-ipv4", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL, .adopted = true },
	{ "adopted-dual-stack", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .adopted = true },
	{ "keep-source-ports", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL,
	  .keeps_ports = true },
	{ "guarded", "172.17.0.0/16", NULL, NULL, NULL, NULL, .guard = "ipv4\nbridge virbr0\n" },
	{ "guarded-adopted", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL, .adopted = true,
	  .guard = "ipv6\nbridge virbr1\nbridge virbr0\nipv4\nbridge virbr1\n" },
	{ "port-any", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, "8799:1337" },
	{ "port-any-dual-stack", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337" },
	{ "port-any-ipv4", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "0.0.0.0:8799:1337" },
	{ "port-bound", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "192.0.2.1:8799:1337" },
	{ "port-bound-ipv6", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "[2001:db8::1]:8799:1337" },
	{ "port-loopback", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "127.0.0.1:8799:1337" },
	{ "port-loopback-range", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL,
	  "127.0.0.1:8000-8002:9000-9002" },
	{ "port-range", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, "8000-8002:9000-9002" },
	{ "port-udp", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "53:5353/udp" },
	{ "port-sctp", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, "3868:3868/sctp" },
	{ "port-interface", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "%eth0:8000-8001:9000-9001" },
	{ "port-lists", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .allow = "192.0.2.0/24,192.0.2.7,2001:db8::/32", .deny = "192.0.2.9" },
	{ "port-lists-bound", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL,
	  "192.0.2.1:8000-8001:9000-9001", .deny = "0.0.0.0/0,2001:db8::/32" },
	{ "internal", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL,
	  .policy.internal = INTERNAL_YES },
	{ "internal-adopted", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  NULL, .adopted = true, .policy.internal = INTERNAL_YES },
	{ "icc-no", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, "8799:1337",
	  .policy.icc = ICC_NO },
	{ "icc-no-adopted", "172.17.0.0/16", NULL, NULL, NULL, NULL, .adopted = true,
	  .policy.icc = ICC_NO },
	{ "anti-spoof-full", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  NULL, .policy.anti_spoof = ANTI_SPOOF_FULL },
	{ "anti-spoof-full-adopted", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL,
	  .adopted = true, .policy.anti_spoof = ANTI_SPOOF_FULL },
	{ "unmanaged", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", NULL,
	  .policy.managed = MANAGED_NO },
	{ "internal-icc-no", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL,
	  .policy = { .internal = INTERNAL_YES, .icc = ICC_NO } },
	{ "isolated", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", NULL,
	  .policy = { .internal = INTERNAL_YES,
		      .gateway_mode_ipv4 = GATEWAY_MODE_ISOLATED,
		      .gateway_mode_ipv6 = GATEWAY_MODE_ISOLATED } },
	{ "unprotected", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337",
	  .policy = { .gateway_mode_ipv4 = GATEWAY_MODE_NAT_UNPROTECTED,
		      .gateway_mode_ipv6 = GATEWAY_MODE_NAT_UNPROTECTED } },
	{ "unprotected-adopted", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL,
	  .adopted = true, .policy.gateway_mode_ipv4 = GATEWAY_MODE_NAT_UNPROTECTED },
	{ "routed", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8000-8002:9000-9002/udp",
	  .policy = { .gateway_mode_ipv4 = GATEWAY_MODE_ROUTED,
		      .gateway_mode_ipv6 = GATEWAY_MODE_ROUTED } },
	{ "routed-ipv6", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .policy.gateway_mode_ipv6 = GATEWAY_MODE_ROUTED },
	{ "routed-ipv4-loopback", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL,
	  "127.0.0.1:8799:1337", .policy.gateway_mode_ipv4 = GATEWAY_MODE_ROUTED },
	{ "routed-adopted", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .adopted = true,
	  .policy = { .gateway_mode_ipv4 = GATEWAY_MODE_ROUTED,
		      .gateway_mode_ipv6 = GATEWAY_MODE_ROUTED } },
	{ "host-dns-icmp", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL,
	  .policy.host_access = HOST_ACCESS_DNS_ICMP },
	{ "host-published", "172.17.0.0/16", NULL, NULL, NULL, NULL,
	  .policy.host_access = HOST_ACCESS_PUBLISHED },
	{ "host-none", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .policy.host_access = HOST_ACCESS_NONE },
	{ "host-dns-icmp-adopted", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL,
	  .adopted = true, .policy.host_access = HOST_ACCESS_DNS_ICMP },
	{ "host-none-adopted", "172.17.0.0/16", NULL, NULL, NULL, NULL, .adopted = true,
	  .policy.host_access = HOST_ACCESS_NONE },
	{ "isolate-no", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", NULL,
	  .policy.isolate = ISOLATE_NO },
	{ "isolate-yes", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL,
	  .policy.isolate = ISOLATE_YES },
	{ "masquerade-off", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .policy.masquerade = MASQUERADE_NO },
	{ "masquerade-off-adopted", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL,
	  .adopted = true, .policy.masquerade = MASQUERADE_NO },
	{ "masquerade-off-isolate-yes", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL,
	  .policy = { .masquerade = MASQUERADE_NO, .isolate = ISOLATE_YES } },
	{ "snat", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL,
	  .options = "snat-ipv4=203.0.113.5\nsnat-ipv6=2001:db8::5\n" },
	{ "snat-ipv4-keep-adopted", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL,
	  .adopted = true, .options = "snat-ipv4=203.0.113.5\nsource-ports=keep\n" },
	{ "nat-exclude", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", NULL,
	  .options = "nat-exclude=10.1.0.0/16,10.0.0.0/8,192.0.2.0/24\n" },
	{ "nat-exclude-all-adopted", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL,
	  .adopted = true, .options = "nat-exclude=0.0.0.0/0,::/0\nsnat-ipv4=203.0.113.5\n" },
	{ "trusted", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", "8799:1337",
	  .options = "trusted=eth1,10.8.0.0/24\n" },
	{ "trusted-adopted", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8000-8002:9000-9002/udp", .adopted = true, .options = "trusted=fd08::/16,wg0\n" },
	{ "trusted-loopback", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, "127.0.0.1:8799:1337",
	  .options = "trusted=0.0.0.0/0\nmasquerade=no\n" },
	{ "direct-routing", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .options = "direct-routing=yes\n" },
	{ "mss-clamp", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL,
	  .policy.mss_clamp = MSS_CLAMP_YES },
	{ "mss-clamp-adopted", "172.17.0.0/16", "fd00:30::/64", NULL, NULL, NULL, .adopted = true,
	  .policy.mss_clamp = MSS_CLAMP_YES },
	{ "several", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", "8799:1337",
	  .several = true, .options = "nat-exclude=10.0.0.0/8\n" },
	{ "several-adopted", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .several = true, .adopted = true },
	{ "several-routed", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .several = true,
	  .policy = { .gateway_mode_ipv4 = GATEWAY_MODE_ROUTED,
		      .gateway_mode_ipv6 = GATEWAY_MODE_ROUTED } },
	{ "several-trusted", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "8799:1337", .several = true, .options = "trusted=10.8.0.0/24\n" },
	{ "connections", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64", NULL,
	  .endpoint.connections = 20 },
	{ "log-drops", "172.17.0.0/16", "fd00:30::/64", "172.17.0.4/16", "fd00:30::4/64",
	  "127.0.0.1:8799:1337",
	  .policy = { .log_drops = LOG_DROPS_YES,
		      .icc = ICC_NO,
		      .host_access = HOST_ACCESS_DNS_ICMP } },
	{ "isolate-no-adopted", "172.17.0.0/16", NULL, "172.17.0.4/16", NULL, NULL, .adopted = true,
	  .policy.isolate = ISOLATE_NO },
};

static const char *family_name(int family)
{
	if (family == AF_UNSPEC)
		return "any";
	return family == AF_INET ? "ipv4" : "ipv6";
}

static void print_rule(FILE *out, const struct firewall_backend *backend, const struct rule *rule)
{
	char in[IFNAMSIZ + 1], source[PREFIX_TEXT_MAX + 1], extra[RULE_EXTRA_MAX];
	char interface[IFNAMSIZ + 1], destination[PREFIX_TEXT_MAX + 1], purpose[PURPOSE_MAX];
	char chain[CHAIN_NAME_MAX], target[CHAIN_NAME_MAX];

	rule_render_interface(rule->in, rule->in_not, in);
	rule_render_interface(rule->out, rule->out_not, interface);
	rule_render_address(rule, &rule->source, rule->source_not, source);
	rule_render_address(rule, &rule->destination, rule->destination_not, destination);
	rule_render_extra(rule, extra);
	rule_purpose(rule, purpose);
	firewall_chain_name(backend, rule, chain);
	if (rule_leads_on(rule))
		firewall_jump_name(backend, rule, target);
	else
		string_copy(target, sizeof(target), rule_target_name(rule));
	fprintf(out, "%-6s %-21s %-4s %-21s %-4s %-4s %-4s %-16s %-16s %s | %s/%s | %s\n",
		rule_table_name(rule->chain), chain, family_name(rule->family), target,
		protocol_name(rule->protocol), in, interface, source, destination, extra,
		rule->network, rule->endpoint, purpose);
}

/* As on all but old kernels, whatever the one here is. */
static uint32_t traits_of(const struct firewall_backend *backend)
{
	uint32_t traits = backend->traits() | PLAN_POSTROUTING_IN;

	if (traits & PLAN_BOTH_FAMILIES)
		traits = (traits & ~PLAN_LISTS_PORTS) | PLAN_ASKS_PORTS;
	return traits;
}

static void decide(const char *text, struct network_policy *policy)
{
	struct options options = { 0 };
	struct error error = { 0 };

	assert_int_equal(options_parse(text, &options), 0);
	if (options_check(&options, OPTION_NETWORK, policy, &error) < 0)
		fail_msg("the test's own options: %s", error.message);
	options_clear(&options);
}

static void add_second(struct network *network, struct endpoint *endpoint)
{
	static const char *const subnets[] = { "172.18.0.0/16", "fd00:31::/64" };
	static const char *const addresses[] = { "172.18.0.4/16", "fd00:31::4/64" };

	for_each_family(family) {
		struct subnet *subnet = &network_subnets(network, family)[1];

		subnet->prefix = prefix_of(subnets[family == AF_INET6]);
		addr_add(&subnet->prefix.addr, 1, &subnet->gateway);
		endpoint_prefixes(endpoint, family)[1] = prefix_of(addresses[family == AF_INET6]);
	}
}

/* The plan of the scenario as text; free it. */
static char *render(const struct scenario *scenario, const struct firewall_backend *backend)
{
	uint32_t traits = traits_of(backend);
	struct network network = network_of(scenario->subnet_ipv4, scenario->subnet_ipv6);
	struct endpoint endpoint = endpoint_of(scenario->ipv4, scenario->ipv6);
	struct rows rows = rows_view(&network, NULL, NULL, 0);
	rule_vector rules = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	string_copy(endpoint.host_interface, sizeof(endpoint.host_interface), "bv0");
	memcpy(endpoint.mac, "\x02\x42\xac\x11\x00\x04", sizeof(endpoint.mac));
	network.policy = scenario->policy;
	endpoint.policy = scenario->endpoint;
	if (scenario->several)
		add_second(&network, &endpoint);
	if (scenario->options)
		decide(scenario->options, &network.policy);
	network.bridge_adopted = scenario->adopted;
	if (scenario->keeps_ports)
		network.policy.source_ports = SOURCE_PORTS_KEEP;
	assert_non_null(out);
	assert_int_equal(plan_parts(traits, PLAN_BASE, NULL, NULL, NULL, &rules), 0);
	assert_int_equal(guard_parse(scenario->guard ? scenario->guard : "", &rows.guard), 0);
	assert_int_equal(plan_rules(traits, PLAN_NETWORKS | PLAN_GUARD, &rows, &rules), 0);
	guard_clear(&rows.guard);
	if (scenario->ipv4 || scenario->ipv6)
		assert_int_equal(
			plan_parts(traits, PLAN_ENDPOINTS, &network, &endpoint, NULL, &rules), 0);
	if (scenario->port) {
		struct port port = port_of(scenario->port);
		struct options options = { 0 };

		if (scenario->allow)
			assert_int_equal(options_set(&options, "allow-from", scenario->allow), 0);
		if (scenario->deny)
			assert_int_equal(options_set(&options, "deny-from", scenario->deny), 0);
		assert_int_equal(port_options_new(&options, &port.options, NULL), 0);
		assert_int_equal(plan_parts(traits, PLAN_PORTS, &network, &endpoint, &port, &rules),
				 0);
		options_clear(&options);
		port_clear(&port);
	}
	rules_sort(&rules);
	for (size_t i = 0; i < rules.len; i++)
		print_rule(out, backend, &rules.items[i]);
	rules_clear(&rules);
	policy_clear(OPTION_NETWORK, &network.policy);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* The file as text, NULL if there is none; free it. */
static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re"), *out;
	char *text = NULL, line[1024];
	size_t size = 0;

	if (!file)
		return NULL;
	out = open_memstream(&text, &size);
	assert_non_null(out);
	while (fgets(line, sizeof(line), file))
		fputs(line, out);
	assert_int_equal(ferror(file), 0);
	fclose(file);
	fclose(out);
	return text;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Is the line at `line`, `len` bytes with its newline, one of the lines of `text`? */
static bool has_line(const char *text, const char *line, size_t len)
{
	for (; *text; text += strcspn(text, "\n") + 1) {
		if (strncmp(text, line, len) == 0)
			return true;
	}
	return false;
}

/* The lines of `text` that `other` lacks, each behind `mark`. */
static void print_missing(const char *text, const char *other, char mark)
{
	while (*text) {
		size_t len = strcspn(text, "\n") + 1;

		if (!has_line(other, text, len))
			print_error("%c%.*s", mark, (int)len, text);
		text += len;
	}
}

static void check_golden(const struct scenario *scenario, const struct firewall_backend *backend)
{
	CLEANUP_FREE char *planned = render(scenario, backend);
	CLEANUP_FREE char *golden = NULL;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.%s.plan", GOLDEN_DIR, scenario->name, backend->name);
	if (getenv("UPDATE_GOLDEN"))
		write_file(path, planned);
	golden = read_file(path);
	if (!golden)
		fail_msg("%s: %s", path, strerror(errno));
	if (strcmp(golden, planned) == 0)
		return;
	print_error("--- %s\n+++ planned\n", path);
	print_missing(golden, planned, '-');
	print_missing(planned, golden, '+');
	/* A failed test leaves by longjmp(), past the cleanups. */
	free(TAKE_POINTER(golden));
	free(TAKE_POINTER(planned));
	fail_msg("the plan differs from %s (in the lines above, or in their order)", path);
}

static void test_goldens(void **state)
{
	const struct firewall_backend *backend = firewall_backend_by_name((const char *)*state);

	if (!backend)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		check_golden(&scenarios[i], backend);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "nftables", test_goldens, NULL, NULL, (void *)"nftables" },
		{ "iptables-legacy", test_goldens, NULL, NULL, (void *)"iptables-legacy" },
	};

	return cmocka_run_group_tests_name("golden plans", tests, NULL, NULL);
}
