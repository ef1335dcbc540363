/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table inet bridgenet is not ours alone: what others do to it is noticed, and what they put
 * there stays. */
#include "firewall_stage.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "firewall/nft/nft.h"

const struct firewall_backend *const backend = &nft_backend;

#define LIST "nft -a list table inet bridgenet"

/* A network with an endpoint and its port, and another port to come and go. */
static void plan_stage(rule_vector *stand, rule_vector *port)
{
	struct endpoint web = plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, stand);

	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, stand);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8800, 1337, 1, port);
	assert_int_equal(apply(stand, NULL, FIREWALL_BASE), 0);
}

/* ---- noticing ---- */

/* What leaves the base such that it does not hold, and is put back. */
static const char *const damages[] = {
	"nft flush table inet bridgenet",
	"nft flush chain inet bridgenet raw-prerouting",
	"nft flush chain inet bridgenet to-networks",
	"nft add table inet bridgenet '{ flags dormant; }'",
	"nft flush chain inet bridgenet nat-output; nft delete chain inet bridgenet nat-output",
	"nft flush chain inet bridgenet nat-output; nft delete chain inet bridgenet nat-output;"
	"nft add table inet bridgenet '{ flags dormant; }'",
	"nft replace rule inet bridgenet ports handle $(" LIST
	" | sed -n 's/.*map @ports4 .*# handle //p') counter",
	"h=$(" LIST " | sed -n 's/.*@unpublished .*# handle //p');"
	"nft delete rule inet bridgenet to-networks handle $h;"
	"nft insert rule inet bridgenet to-networks counter",
};

static void put_back(const rule_vector *stand)
{
	assert_int_equal(apply(stand, NULL, FIREWALL_BASE), 0);
	run("! nft list table inet bridgenet | grep dormant");
}

/* ---- what processes tell each other ---- */

static struct {
	uint64_t key, number;
} told;

static uint64_t recall(void *data, uint64_t key)
{
	(void)data;
	return key == told.key ? told.number : 0;
}

static void keep(void *data, uint64_t key, uint64_t number)
{
	(void)data;
	told.key = key;
	told.number = number;
}

static const struct firewall_memory memory = { recall, keep, NULL };

/* As the first call of another process. */
static void come_new(void)
{
	open_with(&(struct firewall_config){ 0 });
	firewall->memory = memory;
}

/* Whichever way the next change goes. */
static void test_damage_is_noticed(void **state)
{
	rule_vector stand = { 0 }, port = { 0 };

	(void)state;
	firewall->memory = memory;
	plan_stage(&stand, &port);
	assert_int_not_equal(told.number, 0);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		run(damages[i]);
		assert_int_equal(apply(&port, NULL, 0), FIREWALL_BASE_MISSING);
		assert_string_equal(error.message, "");
		put_back(&stand);
		assert_int_equal(apply(&port, NULL, 0), 0);
		run(damages[i]);
		assert_int_equal(apply(NULL, &port, 0), FIREWALL_BASE_MISSING);
		put_back(&stand);
		run(damages[i]);
		/* nothing to be removed, so nothing to be committed */
		assert_int_equal(apply(NULL, &port, FIREWALL_MISSING_OK), FIREWALL_BASE_MISSING);
		put_back(&stand);
		run(damages[i]);
		/* nor to be added */
		assert_int_equal(apply(&stand, NULL, 0), FIREWALL_BASE_MISSING);
		put_back(&stand);
		run(damages[i]);
		/* by who comes new */
		come_new();
		assert_int_equal(apply(&port, NULL, 0), FIREWALL_BASE_MISSING);
		put_back(&stand);
		assert_int_equal(apply(NULL, &port, FIREWALL_MISSING_OK), 0);
	}
	rules_clear(&stand);
	rules_clear(&port);
}

static unsigned int sent;

static int count_sends(const char *step)
{
	sent += strcmp(step, "netlink.send") == 0;
	return 0;
}

static unsigned int sends_of_a_change(const rule_vector *port)
{
	sent = 0;
	fault_hook = count_sends;
	assert_int_equal(apply(port, NULL, 0), 0);
	fault_hook = NULL;
	assert_int_equal(apply(NULL, port, 0), 0);
	return sent;
}

/* As long as nobody else changes anything, nothing is looked at. */
static void test_quiet_costs_nothing(void **state)
{
	rule_vector stand = { 0 }, port = { 0 };

	(void)state;
	plan_stage(&stand, &port);
	for (int i = 0; i < 5; i++)
		assert_int_equal(sends_of_a_change(&port), 1);
	run("nft add table inet other");
	/* in vain, two for the look, and then */
	assert_int_equal(sends_of_a_change(&port), 4);
	assert_int_equal(sends_of_a_change(&port), 1);
	/* what changes nothing does not count: a chain that is flushed next is seen */
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_int_equal(sends_of_a_change(&port), 1);
	assert_int_equal(apply(NULL, &port, FIREWALL_MISSING_OK), 0);
	run("nft flush chain inet bridgenet ports");
	assert_int_equal(apply(&port, NULL, 0), FIREWALL_BASE_MISSING);
	rules_clear(&stand);
	rules_clear(&port);
}

/* Who comes new, or is overtaken, goes by what another knows. */
static void test_told(void **state)
{
	rule_vector stand = { 0 }, port = { 0 };
	struct firewall *first;

	(void)state;
	firewall->memory = memory;
	plan_stage(&stand, &port);
	first = firewall;
	assert_int_equal(backend->open(&(struct firewall_config){ 0 }, &firewall, &error), 0);
	firewall->memory = memory;
	assert_int_equal(sends_of_a_change(&port), 1);
	for (int i = 0; i < 4; i++) {
		struct firewall *other = firewall;

		firewall = first;
		first = other;
		/* in vain, and then */
		assert_int_equal(sends_of_a_change(&port), 2);
	}
	/* what another has told is no truer than what was known */
	run("nft add table inet other");
	assert_int_equal(sends_of_a_change(&port), 4);
	backend->close(first);
	come_new();
	assert_int_equal(sends_of_a_change(&port), 1);
	run("nft delete table inet other");
	come_new();
	assert_int_equal(sends_of_a_change(&port), 4);
	/* of another version's base: a rule that this one would make otherwise */
	come_new();
	assert_int_equal(nft_digests_make((struct nft *)firewall), 0);
	for (size_t i = 0; i < NFT_FIXED; i++)
		if (nft_fixed_has_rule(i) && i > NFT_FIXED / 2)
			((struct nft *)firewall)->digests[i] ^= 1;
	assert_int_equal(sends_of_a_change(&port), 3);
	rules_clear(&stand);
	rules_clear(&port);
}

#define HIS "{ tcp . 8800 : 192.0.2.7 . 80 }"

/* It is of the base alone: what stands under a key that is to go may be somebody else's by now. */
static void test_told_of_no_element(void **state)
{
	rule_vector stand = { 0 }, port = { 0 }, more = { 0 };

	(void)state;
	firewall->memory = memory;
	plan_stage(&stand, &port);
	assert_int_equal(apply(&port, NULL, 0), 0);
	plan_mapping(endpoints.items, IPPROTO_TCP, NULL, 8801, 1337, 1, &more);
	run("nft 'delete element inet bridgenet ports4 { tcp . 8800 } ;"
	    "add element inet bridgenet ports4 " HIS "'");
	assert_int_equal(apply(&more, NULL, 0), 0);
	come_new();
	assert_int_equal(apply(NULL, &port, 0), 0);
	run("nft get element inet bridgenet ports4 '{ tcp . 8800 }' | grep -q 192.0.2.7");
	rules_clear(&stand);
	rules_clear(&port);
	rules_clear(&more);
}

static void commit_other_table(struct nft *nft, uint16_t type)
{
	struct nlmsghdr *message;
	struct nft_reply reply;

	if (nft_batch_begin(nft, 0) < 0)
		_exit(1);
	message = nft_batch_message(nft, type, NLM_F_CREATE, 64);
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, "storm");
	if (nft_batch_commit(nft, NULL, NULL, &reply) < 0)
		_exit(1);
}

/* Another program commits as fast as it can. */
static pid_t begin_storm(void)
{
	struct firewall *other;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	if (backend->open(&(struct firewall_config){ 0 }, &other, NULL) < 0)
		_exit(1);
	for (;;) {
		commit_other_table((struct nft *)other, NFT_MSG_NEWTABLE);
		commit_other_table((struct nft *)other, NFT_MSG_DELTABLE);
	}
}

static void test_storm(void **state)
{
	struct deadline deadline;
	rule_vector stand = { 0 }, port = { 0 };
	pid_t storm;

	(void)state;
	plan_stage(&stand, &port);
	storm = begin_storm();
	firewall->deadline = &deadline;
	for (int i = 0; i < 100; i++) {
		deadline = deadline_after(1000);
		assert_int_equal(apply(&port, NULL, 0), 0);
		assert_int_equal(apply(NULL, &port, 0), 0);
	}
	run("nft flush chain inet bridgenet ports");
	deadline = deadline_after(2000);
	assert_int_equal(apply(&port, NULL, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(&stand, NULL, FIREWALL_BASE), 0);
	assert_int_equal(apply(NULL, &port, FIREWALL_MISSING_OK), 0);
	assert_int_equal(apply(NULL, &stand, 0), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	firewall->deadline = NULL;
	assert_int_equal(waitpid(storm, NULL, WNOHANG), 0);
	kill(storm, SIGKILL);
	waitpid(storm, NULL, 0);
	run("! nft list table inet bridgenet 2>/dev/null");
	rules_clear(&stand);
	rules_clear(&port);
}

#define BASE "nft -s list table inet bridgenet | grep -cE '^\t(chain|set|map)|^\t\t.* @'"

static unsigned int last_send;

/* Somebody commits before each of our sends, and an element comes before the last. */
static int overtake(const char *step)
{
	if (strcmp(step, "netlink.send") != 0)
		return 0;
	if (++sent == last_send)
		run("nft add element inet bridgenet ports4 '{ udp . 20000 : 192.0.2.7 . 80 }'");
	else
		run("nft 'add table inet storm ; delete table inet storm'");
	return 0;
}

static void remove_overtaken(const rule_vector *stand)
{
	assert_int_equal(apply(stand, NULL, FIREWALL_BASE), 0);
	assert_int_equal(apply(NULL, stand, FIREWALL_MISSING_OK), 0);
	sent = 0;
	fault_hook = overtake;
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	fault_hook = NULL;
}

/* Who insists on taking the base away looks again at what has come meanwhile. */
static void test_element_comes_as_the_base_goes(void **state)
{
	rule_vector stand = { 0 }, port = { 0 };
	char *base;

	(void)state;
	plan_stage(&stand, &port);
	base = output_of(BASE);
	last_send = 0;
	remove_overtaken(&stand);
	run("! nft list table inet bridgenet 2>/dev/null");
	last_send = sent;
	remove_overtaken(&stand);
	assert_string_equal(firewall->note, "");
	assert_output_is(BASE, base);
	free(base);
	run("nft delete table inet bridgenet");
	rules_clear(&stand);
	rules_clear(&port);
}

/* ---- what is ours ---- */

#define THEIRS                                                                            \
	"chain inet bridgenet theirs { type filter hook input priority 5; policy drop; }" \
	" ; add set inet bridgenet mine { type ipv4_addr; elements = { 192.0.2.1 }; }"    \
	" ; add map inet bridgenet ways { type inet_proto : verdict; }"                   \
	" ; add counter inet bridgenet some"                                              \
	" ; add quota inet bridgenet much { over 5 mbytes; }"                             \
	" ; add rule inet bridgenet theirs ip saddr @mine counter packets 3 bytes 30 accept"

static void take_away(const rule_vector *rules)
{
	assert_int_equal(apply(NULL, rules, FIREWALL_MISSING_OK), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
}

/* Byte for byte with handles, in a table of their own making and in one of ours. */
static void test_pieces_of_others_stay(void **state)
{
	rule_vector stand = { 0 }, port = { 0 };
	char *before;

	(void)state;
	run("nft 'add table inet bridgenet ; add " THEIRS "'");
	before = output_of(LIST);
	plan_stage(&stand, &port);
	take_away(&stand);
	assert_string_equal(firewall->note, "");
	assert_output_is(LIST, before);
	/* it is not ours, though nothing is in it */
	run("nft 'delete table inet bridgenet ; add table inet bridgenet'");
	assert_int_equal(apply(&stand, NULL, FIREWALL_BASE), 0);
	take_away(&stand);
	assert_output_is("nft list table inet bridgenet", "table inet bridgenet {\n}\n");
	free(before);
	run("nft delete table inet bridgenet");
	assert_int_equal(apply(&stand, NULL, FIREWALL_BASE), 0);
	run("nft 'add " THEIRS "'");
	take_away(&stand);
	run("test $(" LIST " | grep -cE '^\t(chain|set|map|counter|quota)') = 5");
	run(LIST " | grep -q 'counter packets 3 bytes 30 accept'");
	/* once these have gone the table goes */
	run("nft 'delete chain inet bridgenet theirs ; delete set inet bridgenet mine ; "
	    "delete map inet bridgenet ways ; delete counter inet bridgenet some ; "
	    "delete quota inet bridgenet much'");
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	run("! nft list table inet bridgenet 2>/dev/null");
	rules_clear(&stand);
	rules_clear(&port);
}

/* What stands under a name of ours. */
static void test_another_of_our_name(void **state)
{
	static const struct {
		const char *made, *said;
	} others[] = {
		{ "add chain inet bridgenet filter-forward { type filter hook input priority 3; }",
		  "chain filter-forward of the nftables table inet bridgenet is not ours (type "
		  "filter, hook input, priority 3): rename or delete it" },
		{ "add chain inet bridgenet nat-output { type filter hook output priority 0; }",
		  "chain nat-output of" },
		{ "add chain inet bridgenet nat-output", "is not ours (it has no hook)" },
		{ "add chain inet bridgenet ports { type filter hook input priority 0; }",
		  "chain ports of" },
		{ "add set inet bridgenet ports4 { type ipv4_addr; }",
		  "map ports4 of the nftables table inet bridgenet is not ours" },
		{ "add set inet bridgenet direct4 { type ipv4_addr; flags timeout; }",
		  "set direct4 of" },
	};
	rule_vector rules = { 0 };
	char command[256], *before;

	(void)state;
	plan_all(&rules);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(command, sizeof(command), "nft 'add table inet bridgenet ; %s'",
			 others[i].made);
		run(command);
		before = output_of(LIST);
		assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), -EEXIST);
		assert_int_equal(error.reason, BN_REASON_KERNEL);
		assert_non_null(strstr(error.message, others[i].said));
		assert_int_equal(backend->remove_base(firewall, &error), 0);
		assert_output_is(LIST, before);
		free(before);
		run("nft delete table inet bridgenet");
	}
	rules_clear(&rules);
}

/* What others' rules stand in or use is not given up, all else is; and it serves again. */
static void test_what_others_use_stays(void **state)
{
	static const struct {
		const char *holds, *note, *lets_go;
		size_t chains, sets;
	} holders[] = {
		{ "add rule inet bridgenet theirs jump ports", ": chain ports",
		  "flush chain inet bridgenet theirs", 1, 0 },
		{ "add rule inet bridgenet theirs ip daddr @direct4 counter", ": set direct4",
		  "flush chain inet bridgenet theirs", 0, 1 },
		{ "add map inet bridgenet ways { type inet_proto : verdict; elements = { tcp : "
		  "jump to-networks, udp : jump ports }; }",
		  ": chain ports, chain to-networks", "delete map inet bridgenet ways", 2, 0 },
		{ "add rule inet bridgenet sources ip saddr @direct4 jump from-networks",
		  ": chain sources, chain from-networks, set direct4",
		  "flush chain inet bridgenet sources", 2, 1 },
		{ "chain inet bridgenet filter-forward { policy drop; }", ": chain filter-forward",
		  "chain inet bridgenet filter-forward { policy accept; }", 1, 0 },
	};
	rule_vector stand = { 0 }, port = { 0 };
	char command[512], *left;

	(void)state;
	plan_stage(&stand, &port);
	for (size_t i = 0; i < ARRAY_SIZE(holders); i++) {
		run("nft add chain inet bridgenet theirs");
		snprintf(command, sizeof(command), "nft '%s'", holders[i].holds);
		run(command);
		take_away(&stand);
		assert_non_null(strstr(firewall->note, holders[i].note));
		snprintf(command, sizeof(command),
			 "test $(" LIST " | grep -cE '^\tchain') = %zu &&"
			 "test $(" LIST " | grep -cE '^\t(set|map) [a-z]*[46]') = %zu",
			 holders[i].chains + 1, holders[i].sets);
		run(command);
		left = output_of(LIST);
		/* as if they were ours alone */
		assert_int_equal(apply(&stand, NULL, FIREWALL_BASE), 0);
		assert_int_equal(apply(&port, NULL, 0), 0);
		assert_int_equal(apply(NULL, &port, 0), 0);
		take_away(&stand);
		/* that much was there before, and nothing of it was made anew */
		assert_output_is(LIST, left);
		free(left);
		snprintf(command, sizeof(command), "nft '%s ; delete chain inet bridgenet theirs'",
			 holders[i].lets_go);
		run(command);
		assert_int_equal(backend->remove_base(firewall, &error), 0);
		assert_string_equal(firewall->note, "");
		run("! nft list table inet bridgenet 2>/dev/null");
		assert_int_equal(apply(&stand, NULL, FIREWALL_BASE), 0);
	}
	rules_clear(&stand);
	rules_clear(&port);
}

#define LOAD_ONCE_MORE                                                                   \
	"listing=$(mktemp); nft list table inet bridgenet >$listing && nft -f $listing;" \
	"rm $listing"

/* Each fixed rule is there twice then. */
static void test_loaded_twice(void **state)
{
	rule_vector stand = { 0 }, port = { 0 };
	char *once;

	(void)state;
	plan_stage(&stand, &port);
	once = output_of("nft list table inet bridgenet");
	run(LOAD_ONCE_MORE);
	assert_kernel_holds(&stand, NULL);
	assert_int_equal(apply(&port, NULL, 0), 0);
	assert_int_equal(apply(NULL, &port, 0), 0);
	assert_int_equal(apply(NULL, NULL, FIREWALL_BASE), 0);
	assert_output_is("nft list table inet bridgenet", once);
	run(LOAD_ONCE_MORE ";" LOAD_ONCE_MORE);
	take_away(&stand);
	run("! nft list table inet bridgenet 2>/dev/null");
	free(once);
	rules_clear(&stand);
	rules_clear(&port);
}

/* ---- what is said ---- */

static void test_dormant_is_listed(void **state)
{
	rule_vector stand = { 0 }, port = { 0 }, read = { 0 };
	size_t rows = 0;

	(void)state;
	plan_stage(&stand, &port);
	run("nft add table inet bridgenet '{ flags dormant; }'");
	list(NULL, &read);
	for (size_t i = 0; i < read.len; i++) {
		if (read.items[i].kind != RULE_FOREIGN)
			continue;
		assert_non_null(strstr(read.items[i].foreign, "inet bridgenet is dormant"));
		rows++;
	}
	assert_int_equal(rows, 1);
	rules_clear(&read);
	/* of a network, too */
	list(&stand, &read);
	assert_int_equal(read.len, stand.len + 1);
	rules_clear(&read);
	/* by the words that the row says */
	run("nft add table inet bridgenet");
	assert_kernel_holds(&stand, NULL);
	/* whoever made the table wants it so */
	run("nft delete table inet bridgenet; nft add table inet bridgenet '{ flags dormant; }'");
	assert_int_equal(apply(&stand, NULL, FIREWALL_BASE), -EEXIST);
	assert_non_null(strstr(error.message, "is not ours, and dormant"));
	rules_clear(&stand);
	rules_clear(&port);
}

static void test_owned_by_a_socket(void **state)
{
	struct firewall *other;
	struct nft_reply reply;
	struct nlmsghdr *message;
	rule_vector rules = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(backend->open(&(struct firewall_config){ 0 }, &other, NULL), 0);
	assert_int_equal(nft_batch_begin((struct nft *)other, 0), 0);
	message = nft_object_message((struct nft *)other, NFT_MSG_NEWTABLE, NLM_F_CREATE,
				     NFTA_TABLE_NAME, 64);
	mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_OWNER));
	assert_int_equal(nft_batch_commit((struct nft *)other, NULL, NULL, &reply), 0);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), -EPERM);
	assert_int_equal(error.reason, BN_REASON_KERNEL);
	assert_non_null(strstr(error.message, "another program's socket owns the nftables table"));
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	backend->close(other);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	rules_clear(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIREWALL_TEST(test_damage_is_noticed),
		FIREWALL_TEST(test_quiet_costs_nothing),
		FIREWALL_TEST(test_told),
		FIREWALL_TEST(test_told_of_no_element),
		FIREWALL_TEST(test_storm),
		FIREWALL_TEST(test_element_comes_as_the_base_goes),
		FIREWALL_TEST(test_pieces_of_others_stay),
		FIREWALL_TEST(test_another_of_our_name),
		FIREWALL_TEST(test_what_others_use_stays),
		FIREWALL_TEST(test_loaded_twice),
		FIREWALL_TEST(test_dormant_is_listed),
		FIREWALL_TEST(test_owned_by_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
