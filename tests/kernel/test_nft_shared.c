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
	" | sed -n 's/.*@ports4 .*# handle //p') counter",
	"h=$(" LIST " | sed -n 's/.*@unpublished .*# handle //p');"
	"nft delete rule inet bridgenet to-networks handle $h;"
	"nft insert rule inet bridgenet to-networks counter",
};

static void put_back(const rule_vector *stand)
{
	assert_int_equal(apply(stand, NULL, FIREWALL_BASE | FIREWALL_REPLACE), 0);
	run("! nft list table inet bridgenet | grep dormant");
}

/* Whichever way the next change goes. */
static void test_damage_is_noticed(void **state)
{
	rule_vector stand = { 0 }, port = { 0 };

	(void)state;
	plan_stage(&stand, &port);
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
		assert_int_equal(apply(&stand, NULL, FIREWALL_REPLACE), FIREWALL_BASE_MISSING);
		put_back(&stand);
		run(damages[i]);
		/* by who comes new */
		open_with(&(struct firewall_config){ 0 });
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

static void commit_other_table(struct nft *nft, uint16_t type)
{
	struct nlmsghdr *message;
	struct nft_reply reply;

	if (nft_batch_begin(nft, 0) < 0)
		_exit(1);
	message = nft_batch_message(nft, type, NLM_F_CREATE, 64);
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, "storm");
	if (nft_batch_commit(nft, &reply) < 0)
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
	assert_int_equal(apply(&stand, NULL, FIREWALL_BASE | FIREWALL_REPLACE), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIREWALL_TEST(test_damage_is_noticed),
		FIREWALL_TEST(test_quiet_costs_nothing),
		FIREWALL_TEST(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
