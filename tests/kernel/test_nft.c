/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nftables backend in the real kernel, in a network namespace; nft(8) is the judge. */
#include "firewall_stage.h"

#include <jansson.h>

#include "base/fault.h"

#define MANY 10000

extern const struct firewall_backend nft_backend;
const struct firewall_backend *const backend = &nft_backend;

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

static void test_read_back(void **state)
{
	rule_vector rules = { 0 }, none = { 0 };
	size_t fixed;

	(void)state;
	plan_all(&rules);
	assert_int_equal(backend->present(firewall, &error), 0);
	assert_int_equal(apply(&none, NULL, FIREWALL_BASE), 0);
	fixed = count_objects("rule");
	assert_int_equal(backend->present(firewall, &error), 0);
	assert_int_equal(count_elements(NULL), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(apply(&rules, NULL, 0), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(backend->present(firewall, &error), 1);
	/* 8799/tcp, 8799/sctp, 65535/tcp and a range of 100; of IPv6 the first */
	assert_int_equal(count_elements("ports4"), 103);
	assert_int_equal(count_elements("ports6"), 1);
	assert_int_equal(count_elements("ports4-address"), 4);
	assert_int_equal(count_elements("ports6-address"), 1);
	assert_int_equal(count_elements("loopback-ports"), 3);
	/* own bridges in both families, whatever they have */
	assert_int_equal(count_elements("own-bridges"), 6);
	assert_int_equal(count_elements("bridged"), 6);
	assert_int_equal(count_elements("unpublished"), 6);
	assert_int_equal(count_elements("established"), 5);
	assert_int_equal(count_elements("established4-adopted"), 1);
	assert_int_equal(count_elements("bridged6-adopted"), 1);
	assert_int_equal(count_elements("outgoing6-adopted"), 1);
	assert_int_equal(count_elements("behind4"), 3);
	assert_int_equal(count_elements("masquerade-leave"), 3);
	assert_int_equal(count_elements("masquerade6-adopted"), 1);
	assert_int_equal(count_elements("keep-leave"), 2);
	assert_int_equal(count_elements("direct4"), 4);
	assert_int_equal(count_elements("direct6"), 3);
	/* the chains don't grow */
	assert_int_equal(count_objects("rule"), fixed);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(count_elements(NULL), 0);
	rules_clear(&rules);
}

/* Of another state directory: the same, one that begins elsewhere, one that holds it. */
static void test_subnets_overlap(void **state)
{
	static const char *const subnets[] = { "172.30.0.0/16", "172.30.5.0/24", "172.16.0.0/12" };
	rule_vector rules = { 0 };

	(void)state;
	plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	for (size_t i = 0; i < sizeof(subnets) / sizeof(*subnets); i++) {
		rule_vector pair = { 0 }, rivals = { 0 };

		plan_pair("rival", "nf-rival", subnets[i], NULL, &pair);
		for (size_t j = 0; j < pair.len; j++)
			if (!pair.items[j].endpoint[0])
				*vector_push(&rivals) = pair.items[j];
		rules_clear(&pair);
		assert_int_equal(apply(&rivals, NULL, 0), -EEXIST);
		assert_int_equal(error.reason, BN_REASON_SUBNET_OVERLAP);
		assert_non_null(strstr(error.message, subnets[i]));
		rules_clear(&rivals);
	}
	assert_kernel_holds(&rules, NULL);
	rules_clear(&rules);
}

/* nft(8) puts an end into each set of ranges, where there is none of ours. */
static void test_nothing_is_left_after_a_reload(void **state)
{
	rule_vector rules = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	run("set -e; listing=$(mktemp); nft list table inet bridgenet >$listing;"
	    "nft delete table inet bridgenet; nft -f $listing; rm $listing");
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_int_equal(backend->present(firewall, &error), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	run("! nft list table inet bridgenet 2>/dev/null");
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
	assert_kernel_holds(&rules, NULL);
	rules_clear(&rules);
}

static void test_policies(void **state)
{
	rule_vector rules = { 0 }, none = { 0 };

	(void)state;
	plan_policies(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules, NULL);
	run("set -e; listing=$(mktemp); nft list table inet bridgenet >$listing;"
	    "nft delete table inet bridgenet; nft -f $listing;"
	    "nft list table inet bridgenet | cmp - $listing; rm $listing");
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	run("! nft list table inet bridgenet 2>/dev/null");
	rules_clear(&rules);
}

/* Of what is asked for that which is there, as it is there; the rest is not even read. */
static void test_list_of_some(void **state)
{
	rule_vector rules = { 0 }, wanted = { 0 }, read = { 0 };
	struct rule elsewhere;
	size_t red = 0;

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	for (size_t i = 0; i < rules.len; i++)
		if (strcmp(rules.items[i].network, "red") == 0)
			*vector_push(&wanted) = rules.items[i];
	red = wanted.len;
	assert_true(red > 101); /* the ports, and more */
	elsewhere = wanted.items[red - 1];
	elsewhere.host_port = 9;
	*vector_push(&wanted) = elsewhere; /* not there */
	run("nft add element inet bridgenet ports4 "
	    "'{ tcp . 7 comment \"red/stray\" : 172.30.0.2 . 1337 }'");
	list(&wanted, &read);
	assert_int_equal(read.len, red);
	rules_sort(&wanted);
	for (size_t i = 0, j = 0; i < wanted.len; i++)
		if (rule_compare(&wanted.items[i], &elsewhere) != 0)
			assert_int_equal(rule_compare(&read.items[j++], &wanted.items[i]), 0);
	rules_clear(&read);
	wanted.len = 0;
	list(&wanted, &read);
	assert_int_equal(read.len, 0);
	/* strays are in the list of all */
	list(NULL, &read);
	for (size_t i = 0; i < read.len; i++)
		red -= strcmp(read.items[i].network, "red") == 0;
	assert_true(red == (size_t)-1);
	rules_clear(&read);
	free(wanted.items);
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
	assert_kernel_holds(&first, NULL);

	second.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, "192.0.2.1", 8080, 80, 1, &second);
	assert_int_equal(apply(&second, NULL, 0), -EEXIST);
	assert_non_null(strstr(error.message, "8080/tcp of 192.0.2.1"));
	assert_kernel_holds(&first, NULL);

	/* The same number of another protocol is another port; in place of the first it goes. */
	second.len = 0;
	plan_mapping(&rival, IPPROTO_UDP, NULL, 8799, 80, 1, &second);
	assert_int_equal(apply(&second, NULL, 0), 0);
	assert_int_equal(apply(NULL, &second, 0), 0);
	second.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, NULL, 8799, 80, 1, &second);
	assert_int_equal(apply(&second, &first, 0), 0);
	assert_kernel_holds(&second, NULL);
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
	assert_kernel_holds(&rules, NULL);
	/* What stands under the key of a rule to remove but is another's stays. */
	more.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, NULL, 8799, 1337, 3, &more);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&rules, NULL);
	more.len = 0;
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 3, &more);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	rules_clear(&rules);
	rules_clear(&more);
}

static void test_replace(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", NULL);
	rule_vector old = { 0 }, new = { 0 }, gone = { 0 }, read = { 0 };

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
	assert_non_null(strstr(error.message, "8800/tcp"));
	plan_mapping(&web, IPPROTO_TCP, NULL, 8800, 1338, 1, &gone);
	assert_int_equal(apply(&new, &gone, 0), 0);
	assert_kernel_holds(&new, NULL);
	list(&new, &read);
	assert_int_equal(read.items[0].host_port, 8799);
	assert_int_equal(read.items[0].packets, 7);
	assert_int_equal(read.items[0].bytes, 700);
	rules_clear(&read);
	/* Removed and added again in one change: there, with counters from nothing. */
	assert_int_equal(apply(&new, &new, 0), 0);
	assert_kernel_holds(&new, NULL);
	list(&new, &read);
	assert_int_equal(read.items[0].packets, 0);
	rules_clear(&gone);
	rules_clear(&old);
	rules_clear(&new);
	rules_clear(&read);
}

/* Some of what is added is there already, as somebody's mending of the base has put it: only the
 * rest is added, and what was there counts on. */
static void test_partly_there(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", NULL);
	struct endpoint rival = endpoint_of("red", "web", "172.30.0.2/16", NULL);
	rule_vector all = { 0 }, half = { 0 }, taken = { 0 }, none = { 0 };

	(void)state;
	plan_all(&all);
	plan_mapping(&web, IPPROTO_UDP, NULL, 20000, 1, MANY, &all);
	for (size_t i = 0; i < all.len; i += 2)
		*vector_push(&half) = all.items[i];
	assert_int_equal(apply(&half, NULL, FIREWALL_BASE), 0);
	run("nft delete element inet bridgenet ports4 '{ udp . 20000 }';"
	    "nft add element inet bridgenet ports4 "
	    "'{ udp . 20000 counter packets 7 bytes 700 comment \"blue/web\" : "
	    "172.30.0.2 . 1 }'");
	assert_int_equal(apply(&all, NULL, 0), 0);
	assert_kernel_holds(&all, NULL);
	run("nft list map inet bridgenet ports4 | grep -q 'packets 7 bytes 700'");
	assert_int_equal(apply(&all, NULL, 0), 0);
	assert_kernel_holds(&all, NULL);
	run("nft list map inet bridgenet ports4 | grep -q 'packets 7 bytes 700'");
	/* The same value of another owner is another rule, and the one of many that is named. */
	plan_mapping(&web, IPPROTO_UDP, NULL, 20000, 1, 10, &taken);
	plan_mapping(&rival, IPPROTO_UDP, NULL, 20010, 11, 1, &taken);
	assert_int_equal(apply(&taken, NULL, 0), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_PORT_IN_USE);
	assert_non_null(strstr(error.message, "20010/udp"));
	assert_non_null(strstr(error.message, "of network 'blue'"));
	assert_kernel_holds(&all, NULL);
	/* Twice in one change is a mistake, told at once. */
	taken.len = 0;
	plan_mapping(&web, IPPROTO_TCP, NULL, 30000, 1, 1, &taken);
	plan_mapping(&web, IPPROTO_TCP, NULL, 30000, 1, 1, &taken);
	assert_int_equal(apply(&taken, NULL, 0), -EEXIST);
	assert_int_equal(apply(NULL, &all, 0), 0);
	assert_kernel_holds(&none, NULL);
	rules_clear(&all);
	rules_clear(&half);
	rules_clear(&taken);
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
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK | FIREWALL_LEAVING), 0);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(accidents); i++) {
		run(accidents[i]);
		list(NULL, &none);
		assert_int_equal(none.len, 0);
		assert_int_equal(backend->present(firewall, &error), 0);
		assert_int_equal(apply(&rules, NULL, 0), FIREWALL_BASE_MISSING);
		assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
		assert_kernel_holds(&rules, NULL);
	}
	rules_clear(&rules);
}

static void test_base_is_mended(void **state)
{
	rule_vector rules = { 0 }, read = { 0 };
	struct rule *hook;
	size_t fixed;

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	fixed = count_objects("rule");
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_int_equal(count_objects("rule"), fixed);
	assert_kernel_holds(&rules, NULL);
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
	assert_int_equal(count_objects("rule"), fixed + 1);
	run("nft flush chain inet bridgenet raw-prerouting");
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules, NULL);
	rules_clear(&rules);
}

/* A rule that was lost in the middle comes back to its place. */
static void test_base_order(void **state)
{
	char *before;
	size_t fixed;

	(void)state;
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	fixed = count_objects("rule");
	before = output_of("nft list table inet bridgenet");
	run("for set in direct4 direct6; do "
	    "nft delete rule inet bridgenet raw-prerouting handle $(nft -a list chain inet "
	    "bridgenet raw-prerouting | sed -n \"s/.*@$set .*# handle //p\") || exit; done");
	assert_int_equal(count_objects("rule"), fixed - 2);
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_output_is("nft list table inet bridgenet", before);
	free(before);
}

static void test_remove_base(void **state)
{
	rule_vector rules = { 0 }, read = { 0 };
	char *before;

	(void)state;
	plan_all(&rules);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	run("nft add table inet other; nft add chain inet other c; "
	    "nft add rule inet other c counter packets 5 bytes 50 drop");
	before = output_of("nft list table inet other");
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	/* Networks are left: nothing happens. */
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	run("nft add rule inet bridgenet BRIDGENET-USER ip saddr 192.0.2.7 "
	    "counter packets 9 bytes 90 drop");
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
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
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	run("! nft list table inet bridgenet 2>/dev/null");
	assert_output_is("nft list table inet other", before);
	free(before);
	rules_clear(&rules);
}

static void test_others_stay(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", NULL);
	rule_vector rules = { 0 };
	char *before;

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
	assert_output_is("nft -a list table inet bridgenet", before);
	free(before);
	rules_clear(&rules);
}

/* ---- answers that are lost ---- */

static const char *lost_step;
static int lost_from, lost_count; /* which of them */

static int lose_answer(const char *step)
{
	if (strcmp(step, lost_step) != 0 || lost_from-- > 0 || lost_count == 0)
		return 0;
	lost_count--;
	return -ENOBUFS;
}

static void lose(const char *step, int from, int count)
{
	lost_step = step;
	lost_from = from;
	lost_count = count;
	fault_hook = lose_answer;
}

#define ALWAYS 1000
/* The answers that a change waits for before that of its commit: with the base, and of one that was
 * looked at before. */
#define COMMIT_OF_BASE 3
#define COMMIT 0

static void lose_commit(int count)
{
	assert_int_equal(apply(NULL, NULL, 0), 0);
	lose("netlink.receive", COMMIT, count);
}

static void test_lost_answer(void **state)
{
	struct endpoint rival = endpoint_of("red", "rival", "172.31.0.9/16", NULL);
	rule_vector rules = { 0 }, taken = { 0 }, none = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	for (int i = 0; i < 6; i++) {
		lose("netlink.receive", COMMIT_OF_BASE, 1);
		assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
		assert_kernel_holds(&rules, NULL);
		lose_commit(1);
		assert_int_equal(apply(NULL, &rules, 0), 0);
		assert_kernel_holds(&none, NULL);
		/* what it finds lost once more it looks at again */
		lose_commit(i % 3 + 1);
		assert_int_equal(apply(&rules, NULL, 0), 0);
		assert_kernel_holds(&rules, NULL);
		lose_commit(1);
		assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK), 0);
	}
	/* not even sent: nothing is changed */
	lose("netlink.send", 0, ALWAYS);
	assert_int_equal(apply(&rules, NULL, 0), -ENOBUFS);
	assert_int_equal(error.reason, BN_REASON_KERNEL);
	fault_hook = NULL;
	assert_kernel_holds(&none, NULL);
	/* refused, which is not heard at first */
	assert_int_equal(apply(&rules, NULL, 0), 0);
	plan_mapping(&rival, IPPROTO_TCP, NULL, 8799, 1337, 1, &taken);
	lose_commit(1);
	assert_int_equal(apply(&taken, NULL, 0), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_PORT_IN_USE);
	assert_kernel_holds(&rules, NULL);
	/* never heard: it can't be told, and is done */
	lose_commit(ALWAYS);
	assert_int_equal(apply(NULL, &rules, 0), OUTCOME_UNKNOWN);
	assert_int_equal(error.reason, BN_REASON_UNKNOWN_OUTCOME);
	fault_hook = NULL;
	assert_kernel_holds(&none, NULL);
	rules_clear(&rules);
	rules_clear(&taken);
}

static void test_lost_answer_of_the_base(void **state)
{
	int r = -1, lost = 0;

	(void)state;
	/* at each answer once, until there are no more */
	for (int i = 0; r < 0 || lost_count == 0; i++) {
		fault_hook = NULL;
		assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
		lose("netlink.receive", i, 1);
		r = backend->remove_base(firewall, &error);
		fault_hook = NULL;
		lost += lost_count == 0;
		if (r == 0)
			run("! nft list table inet bridgenet 2>/dev/null");
		else
			run("nft list table inet bridgenet >/dev/null");
		assert_int_not_equal(r, OUTCOME_UNKNOWN);
		assert_in_range(i, 0, 200);
	}
	assert_in_range(lost, 4, 200);
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	/* the last of them is that of the commit */
	lose("netlink.receive", lost - 1, ALWAYS);
	assert_int_equal(backend->remove_base(firewall, &error), OUTCOME_UNKNOWN);
	assert_int_equal(error.reason, BN_REASON_UNKNOWN_OUTCOME);
	fault_hook = NULL;
	run("! nft list table inet bridgenet 2>/dev/null");
}

static void test_many(void **state)
{
	struct endpoint web = endpoint_of("blue", "web", "172.30.0.2/16", "fd30::2/64");
	rule_vector rules = { 0 }, none = { 0 };
	struct deadline deadline;

	(void)state;
	plan_mapping(&web, IPPROTO_TCP, NULL, 1, 1, MANY, &rules);
	plan_mapping(&web, IPPROTO_TCP, "127.0.0.1", 20000, 1, MANY, &rules);
	assert_int_equal(rules.len, 4 * MANY);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(count_elements("ports6"), MANY);
	/* A reading that is given up in the middle keeps nothing from the next. */
	firewall->deadline = &deadline;
	deadline = deadline_after(2);
	assert_int_equal(backend->list(firewall, NULL, &none, &error), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	firewall->deadline = NULL;
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(&rules, NULL, 0), 0);
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&none, NULL);
	rules_clear(&rules);
}

static void test_deadline(void **state)
{
	struct deadline deadline = { .end = 1 };
	rule_vector rules = { 0 };

	(void)state;
	plan_all(&rules);
	firewall->deadline = &deadline;
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	deadline = deadline_after(60000);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	firewall->deadline = NULL;
	assert_kernel_holds(&rules, NULL);
	rules_clear(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIREWALL_TEST(test_read_back),
		FIREWALL_TEST(test_subnets_overlap),
		FIREWALL_TEST(test_nothing_is_left_after_a_reload),
		FIREWALL_TEST(test_nft_reads_what_it_writes),
		FIREWALL_TEST(test_policies),
		FIREWALL_TEST(test_list_of_some),
		FIREWALL_TEST(test_port_taken),
		FIREWALL_TEST(test_missing),
		FIREWALL_TEST(test_replace),
		FIREWALL_TEST(test_base_missing),
		FIREWALL_TEST(test_base_is_mended),
		FIREWALL_TEST(test_base_order),
		FIREWALL_TEST(test_remove_base),
		FIREWALL_TEST(test_others_stay),
		FIREWALL_TEST(test_many),
		FIREWALL_TEST(test_privilege),
		FIREWALL_TEST(test_deadline),
		FIREWALL_TEST(test_partly_there),
		FIREWALL_TEST(test_lost_answer),
		FIREWALL_TEST(test_lost_answer_of_the_base),
	};

	return cmocka_run_group_tests_name("nftables backend", tests, NULL, NULL);
}
