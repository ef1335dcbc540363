/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What iptables-legacy's rules look like on kernels of all kinds, and where its jumps stand. */
#include "firewall_stage.h"

#include "../unit/plan_parts.h"
#include "firewall/iptables/iptables.h"

#define BASE FIREWALL_BASE

const struct firewall_backend *const backend = &iptables_backend;

static void test_traits(void **state)
{
	static const struct {
		const char *release;
		bool knows_in;
	} cases[] = {
		{ "5.6.19", false },     { "5.7.0", true },   { "5.10.0-8-amd64", true },
		{ "4.18.0-553", false }, { "6.1", true },     { "10.0.0", true },
		{ "2.6.32.el6", false }, { "", false },       { "none", false },
		{ "5", false },          { "6.18.44", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(!!(iptables_traits(cases[i].release) & PLAN_POSTROUTING_IN),
				 cases[i].knows_in);
}

/* What a kernel of before writes is read by whoever comes later, and the other way round. */
static void test_both_forms(void **state)
{
	static const struct {
		const char *release, *line;
		size_t count; /* a subnet is of one family */
	} forms[] = {
		{ "5.6", "-A BN-blue:post -s 172.30.0.0/16 ! -o nf-blue -j MASQUERADE", 1 },
		{ "5.7", "-A BN-blue:post -i nf-blue ! -o nf-blue -j MASQUERADE", 2 },
	};
	rule_vector rules = { 0 }, unused = { 0 };
	struct endpoint web;

	(void)state;
	web = plan_pair("blue", "nf-blue", "172.30.0.0/16", "fd30::/64", &unused);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		rules.len = 0;
		assert_int_equal(plan_parts(iptables_traits(forms[i].release),
					    PLAN_NETWORKS | PLAN_ENDPOINTS, networks.items, &web,
					    NULL, &rules),
				 0);
		assert_int_equal(apply(&rules, NULL, BASE), 0);
		assert_kernel_holds(&rules, NULL);
		assert_int_equal(count_lines(forms[i].line), forms[i].count);
		assert_int_equal(apply(NULL, &rules, 0), 0);
	}
	rules_clear(&rules);
	rules_clear(&unused);
}

/* A network of IPv4 has rules in both families, and does without those of IPv6. */
static void test_no_ipv6(void **state)
{
	struct iptables *iptables = (struct iptables *)firewall;
	rule_vector ipv4 = { 0 }, both = { 0 };
	size_t here = 0;

	(void)state;
	plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, &ipv4);
	plan_pair("red", "nf-red", "172.31.0.0/16", "fd31::/64", &both);
	cleanup_close(&iptables->fd[FAMILY_IPV6]);
	iptables->fd[FAMILY_IPV6] = -1;
	assert_int_equal(apply(&ipv4, NULL, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(&ipv4, NULL, BASE), 0);
	assert_int_equal(apply(&ipv4, NULL, 0), 0);
	for (size_t i = 0; i < ipv4.len; i++)
		here += ipv4.items[i].family == AF_INET;
	assert_true(here < ipv4.len);
	run("! grep . /proc/net/ip6_tables_names");
	assert_int_equal(apply(&both, NULL, 0), -EOPNOTSUPP);
	assert_non_null(strstr(error.message, "ip6_tables"));
	assert_int_equal(apply(NULL, &ipv4, 0), 0);
	assert_int_equal(count_lines("BN-"), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	rules_clear(&ipv4);
	rules_clear(&both);
}

/* Near to what we write, and not it. */
static void test_foreign_flags(void **state)
{
	static const char *const lines[] = {
		"-t raw -A BN-blue:from -i nf-blue -m rpfilter --invert --loose -j DROP",
		"-t raw -A BN-blue:from -i nf-blue -m rpfilter -j DROP",
		"-t nat -A BN-blue:post -i nf-blue ! -o nf-blue -j MASQUERADE --random",
		"-t raw -A BRIDGENET-RAW -i nf-blue -g BN-blue",
		"-t filter -A BRIDGENET-FORWARD -o nf-blue -g BN-blue",
		"-t filter -A BRIDGENET-FORWARD -i nf-b+ -j BN-blue:from",
	};
	rule_vector rules = { 0 }, read = { 0 };
	char command[160];
	size_t foreign = 0;

	(void)state;
	plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, &rules);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(command, sizeof(command), "iptables-legacy %s", lines[i]);
		run(command);
	}
	list(NULL, &read);
	for (size_t i = 0; i < read.len; i++)
		foreign += read.items[i].kind == RULE_FOREIGN;
	assert_int_equal(foreign, ARRAY_SIZE(lines));
	rules_clear(&read);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_int_equal(count_lines("nf-b"), ARRAY_SIZE(lines));
	rules_clear(&rules);
}

static void assert_forward_is(const char *expected)
{
	assert_output_is("iptables-legacy -S FORWARD | sed 's/^-A FORWARD //; /^-P/d' | "
			 "tr '\\n' ';'",
			 expected);
}

#define JUMPS "-j BRIDGENET-USER;-j BRIDGENET-FORWARD;"

static void test_jumps_come_first(void **state)
{
	rule_vector rules = { 0 };

	(void)state;
	plan_all(&rules);
	run("iptables-legacy -A FORWARD -j ACCEPT");
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_forward_is(JUMPS "-j ACCEPT;");
	/* Whoever puts a rule in front has a reason; but nothing gets past a verdict for all. */
	run("iptables-legacy -I FORWARD -s 192.0.2.1 -j DROP");
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	assert_forward_is("-s 192.0.2.1/32 -j DROP;" JUMPS "-j ACCEPT;");
	run("iptables-legacy -I FORWARD -j ACCEPT");
	assert_int_equal(apply(NULL, NULL, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	assert_forward_is(JUMPS "-j ACCEPT;-s 192.0.2.1/32 -j DROP;-j ACCEPT;");
	assert_kernel_holds(&rules, NULL);
	/* What is behind the administrator's own chain stays behind it. */
	run("iptables-legacy -D FORWARD -j BRIDGENET-FORWARD");
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_forward_is(JUMPS "-j ACCEPT;-s 192.0.2.1/32 -j DROP;-j ACCEPT;");
	rules_clear(&rules);
}

static void assert_nat_is(const char *chain, const char *expected)
{
	char command[160];

	snprintf(command, sizeof(command),
		 "iptables-legacy -t nat -S %s | sed 's/^-A [A-Z]* //; /^-P/d' | tr '\\n' ';'",
		 chain);
	assert_output_is(command, expected);
}

#define TO_PORTS "-m addrtype --dst-type LOCAL -j BRIDGENET;"
#define TO_POST "-j BRIDGENET-POSTROUTING;"

/* Whoever translates a connection before us has decided about it, as with nftables. */
static void test_nat_jumps_come_last(void **state)
{
	static const struct {
		const char *last;
		bool is_end; /* no packet gets past it */
	} cases[] = {
		{ "-j ACCEPT;", true }, { "-j RETURN;", true },         { "-g OTHER;", true },
		{ "-j OTHER;", false }, { "-p tcp -j ACCEPT;", false }, { "-j MASQUERADE;", false },
	};
	char command[256], expected[160];
	rule_vector none = { 0 };

	(void)state;
	run("iptables-legacy -t nat -N OTHER");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(command, sizeof(command),
			 "iptables-legacy -t nat -F POSTROUTING; iptables-legacy -t nat -A "
			 "POSTROUTING -s 203.0.113.0/24 -j ACCEPT; iptables-legacy -t nat -A "
			 "POSTROUTING %s",
			 cases[i].last);
		run(command);
		assert_int_equal(apply(NULL, NULL, BASE), 0);
		snprintf(expected, sizeof(expected), "-s 203.0.113.0/24 -j ACCEPT;%s%s%s",
			 cases[i].is_end ? "" : cases[i].last, TO_POST,
			 cases[i].is_end ? cases[i].last : "");
		assert_nat_is("POSTROUTING", expected);
		/* that is where it belongs: it stays there */
		assert_int_equal(apply(NULL, NULL, 0), 0);
		assert_int_equal(apply(NULL, NULL, BASE), 0);
		assert_nat_is("POSTROUTING", expected);
	}
	assert_nat_is("PREROUTING", TO_PORTS);
	run("iptables-legacy -t nat -I OUTPUT -j RETURN");
	assert_int_equal(apply(NULL, NULL, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	assert_nat_is("OUTPUT", TO_PORTS "-j RETURN;");
	assert_kernel_holds(&none, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traits),        FIREWALL_TEST(test_both_forms),
		FIREWALL_TEST(test_no_ipv6),          FIREWALL_TEST(test_foreign_flags),
		FIREWALL_TEST(test_jumps_come_first), FIREWALL_TEST(test_nat_jumps_come_last),
	};

	return cmocka_run_group_tests_name("iptables-legacy rules", tests, NULL, NULL);
}
