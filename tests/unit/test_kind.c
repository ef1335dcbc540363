/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The catalogue, and what its rows can say that none of them does yet. The rules that it makes are
 * in tests/golden/. */
#include "fixture.h"

#include "firewall/nft/nft.h"
#include "model/plan.h"

static void test_rows_are_in_the_order_of_their_kinds(void **state)
{
	(void)state;
	for (enum rule_kind kind = 0; kind < RULE_KIND_COUNT; kind++) {
		const struct kind *row = kind_of(kind);

		assert_int_equal(row->kind, kind);
		assert_non_null(row->purpose);
		/* a listing runs through the chains from top to bottom */
		if (kind > 0 && kind < RULE_FOREIGN)
			assert_true(row->chain >= kind_of(kind - 1)->chain);
	}
}

/* Counted at compile time; in the right order? Each kind that needs no chains of our own is said. */
static void test_nft_lines_are_in_the_order_of_their_kinds(void **state)
{
#ifdef HAVE_NFTABLES
	for (enum rule_kind kind = 0; kind < RULE_FOREIGN; kind++) {
		size_t id = NFT_FIXED_OF(kind);
		const struct nft_fixed *first = nft_fixed_at(id);

		/* past what looks nothing up, or in the set of another */
		while (first && first->part && !first->set)
			first = nft_fixed_at(++id);

		assert_int_equal(nft_fixed_kind(NFT_FIXED_OF(kind)), kind);
		assert_int_equal(first != NULL, !(kind_of(kind)->needs & ~NFT_TRAITS));
		if (first)
			assert_int_equal(first->set == NULL, kind_of(kind)->scope == PLAN_BASE);
	}
	(void)state;
#else
	(void)state;
	skip();
#endif
}

/* nftables has one rule at the head of the chain that lets pass what comes by lo, and says so in no
 * other. */
static void test_only_raw_rules_know_lo(void **state)
{
	(void)state;
	for (enum rule_kind kind = 0; kind < RULE_FOREIGN; kind++) {
		const struct kind *row = kind_of(kind);

		assert_true(row->out.is != DEVICE_LOOPBACK);
		if (row->in.is != DEVICE_LOOPBACK)
			continue;
		assert_true(row->in.negated);
		assert_int_equal(row->chain, CHAIN_RAW_PREROUTING);
	}
}

/* The longest names and addresses there are fit, to the last full stop, and no blank stays. */
static void test_purposes_are_whole(void **state)
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
	rule.source = prefix_of("1111:1111:1111:1111:1111:1111:1111:1111/128");
	rule.destination = rule.source;
	for (rule.kind = 0; rule.kind < RULE_FOREIGN; rule.kind++) {
		rule_purpose(&rule, text);
		assert_in_range(strlen(text), 20, PURPOSE_MAX - 2);
		assert_int_equal(text[strlen(text) - 1], '.');
		/* what a blank of an unknown name would leave */
		assert_null(strpbrk(text, "{}"));
		assert_null(strstr(text, "  "));
		assert_null(strstr(text, "()"));
		assert_null(strstr(text, " ."));
	}
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

/* ---- rows that are made up ---- */

static size_t plan_row(const struct kind *row, const struct network *network,
		       const struct endpoint *endpoint, rule_vector *rules)
{
	const struct rows rows = rows_view(network, endpoint, NULL, 0);

	rules_clear(rules);
	assert_int_equal(plan_kind(row, 0, &rows, rules), 0);
	for (size_t i = 0; i < rules->len; i++)
		assert_true(rule_fits(&rules->items[i], row, 0));
	return rules->len;
}

/* What an endpoint sends elsewhere than to a prefix, and only if it comes from there. */
static void test_sources_and_negations(void **state)
{
	const struct kind row = {
		.scope = PLAN_ENDPOINTS,
		.families = FAMILIES_IPV4,
		.chain = CHAIN_FILTER_FORWARD,
		.target = TARGET_DROP,
		.in = { DEVICE_BRIDGE },
		.out = { DEVICE_LOOPBACK, true },
		.source = { ADDRESS_ENDPOINT, true },
		.destination = { ADDRESS_FIXED, true, { { AF_INET, { 192, 0, 2 } }, 24 } },
		.match = RULE_STATE_INVALID,
	};
	struct network network = network_of("172.17.0.0/16", "fd00::/64");
	struct endpoint endpoint = endpoint_of("172.17.0.4/16", "fd00::4/64");
	rule_vector rules = { 0 };
	char text[PREFIX_TEXT_MAX];
	struct rule other;

	(void)state;
	assert_int_equal(plan_row(&row, &network, &endpoint, &rules), 1);
	assert_string_equal(rules.items[0].in, "bn0");
	assert_false(rules.items[0].in_not);
	assert_string_equal(rules.items[0].out, "lo");
	assert_true(rules.items[0].out_not);
	assert_string_equal(prefix_format(&rules.items[0].source, text), "172.17.0.4/32");
	assert_true(rules.items[0].source_not);
	assert_string_equal(prefix_format(&rules.items[0].destination, text), "192.0.2.0/24");
	assert_true(rules.items[0].destination_not);
	assert_int_equal(rules.items[0].match, RULE_STATE_INVALID);
	assert_string_equal(rules.items[0].endpoint, "web");

	/* each of these makes it another kind of rule */
	other = rules.items[0];
	other.source_not = false;
	assert_false(rule_fits(&other, &row, 0));
	other = rules.items[0];
	other.destination.len = 25;
	assert_false(rule_fits(&other, &row, 0));
	other = rules.items[0];
	other.in[0] = '\0';
	assert_false(rule_fits(&other, &row, 0));
	other = rules.items[0];
	other.match = 0;
	assert_false(rule_fits(&other, &row, 0));
	rules_clear(&rules);
}

/* A family that a network lacks is shut like one that it has. */
static void test_families(void **state)
{
	struct kind row = { .scope = PLAN_NETWORKS,
			    .target = TARGET_DROP,
			    .in = { DEVICE_BRIDGE } };
	struct network network = network_of("172.17.0.0/16", NULL);
	rule_vector rules = { 0 };

	(void)state;
	assert_int_equal(plan_row(&row, &network, NULL, &rules), 1);
	row.families = FAMILIES_ALL;
	assert_int_equal(plan_row(&row, &network, NULL, &rules), 2);
	assert_int_equal(rules.items[1].family, AF_INET6);
	assert_string_equal(rules.items[1].in, "bn0");
	row.families = FAMILIES_IPV4;
	assert_int_equal(plan_row(&row, &network, NULL, &rules), 1);
	row.families = FAMILIES_IPV6;
	assert_int_equal(plan_row(&row, &network, NULL, &rules), 0);
	rules_clear(&rules);
}

static void test_own_and_adopted_bridges(void **state)
{
	struct kind row = { .scope = PLAN_NETWORKS,
			    .target = TARGET_DROP,
			    .in = { DEVICE_BRIDGE } };
	struct network own = network_of("172.17.0.0/16", NULL), adopted = own;
	rule_vector rules = { 0 };

	(void)state;
	adopted.bridge_adopted = true;
	row.bridges = BRIDGES_OWN;
	assert_int_equal(plan_row(&row, &own, NULL, &rules), 1);
	assert_int_equal(plan_row(&row, &adopted, NULL, &rules), 0);
	row.bridges = BRIDGES_ADOPTED;
	assert_int_equal(plan_row(&row, &own, NULL, &rules), 0);
	assert_int_equal(plan_row(&row, &adopted, NULL, &rules), 1);
	rules_clear(&rules);
}

/* A row that wants what the backend lacks is not for it. */
static void test_needs(void **state)
{
	const struct kind row = { .scope = PLAN_NETWORKS,
				  .needs = PLAN_OWN_CHAINS | PLAN_OWNERS,
				  .target = TARGET_JUMP };
	struct network network = network_of("172.17.0.0/16", NULL);
	const struct rows rows = rows_view(&network, NULL, NULL, 0);
	rule_vector rules = { 0 };

	(void)state;
	assert_int_equal(plan_kind(&row, PLAN_OWN_CHAINS, &rows, &rules), 0);
	assert_int_equal(rules.len, 0);
	assert_int_equal(plan_kind(&row, PLAN_OWN_CHAINS | PLAN_OWNERS, &rows, &rules), 0);
	assert_int_equal(rules.len, 1);
	rules_clear(&rules);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_in_the_order_of_their_kinds),
		cmocka_unit_test(test_nft_lines_are_in_the_order_of_their_kinds),
		cmocka_unit_test(test_only_raw_rules_know_lo),
		cmocka_unit_test(test_purposes_are_whole),
		cmocka_unit_test(test_purpose_of_foreign_rules),
		cmocka_unit_test(test_sources_and_negations),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_own_and_adopted_bridges),
		cmocka_unit_test(test_needs),
	};

	return cmocka_run_group_tests_name("kinds", tests, NULL, NULL);
}
