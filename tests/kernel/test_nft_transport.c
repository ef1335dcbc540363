/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nftables backend with what an unprivileged process may send at once, and beside programs that
 * commit all the time. */
#include "firewall_stage.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bridgenet.h"
#include "firewall/nft/nft.h"

const struct firewall_backend *const backend = &nft_backend;

#define PORTS 5000
#define WMEM_MAX 212992 /* of a kernel that nobody has told otherwise */

/* ---- what may be sent ---- */

static bool is_unprivileged;

/* In place of libc's: as it is in a user namespace, where the machine's own limits do not count. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int size = WMEM_MAX;

	if (is_unprivileged && level == SOL_SOCKET && name == SO_SNDBUFFORCE) {
		errno = EPERM;
		return -1;
	}
	if (is_unprivileged && level == SOL_SOCKET && name == SO_SNDBUF &&
	    *(const int *)value > size)
		value = &size;
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

static size_t count(const rule_vector *rules, enum rule_target target)
{
	size_t found = 0;

	for (size_t i = 0; i < rules->len; i++)
		found += rules->items[i].target == target &&
			 kind_of(rules->items[i].kind)->scope == PLAN_PORTS;
	return found;
}

static void plan_ports(struct endpoint *web, rule_vector *rules)
{
	*web = endpoint_of("blue", "web", "172.30.0.2/16", "fd30::2/64");
	plan_mapping(web, IPPROTO_TCP, NULL, 10000, 10000, PORTS, rules);
	plan_mapping(web, IPPROTO_UDP, "127.0.0.1", 10000, 10000, PORTS, rules);
	assert_int_equal(rules->len, 4 * PORTS);
}

static int unprivileged_setup(void **state)
{
	is_unprivileged = true;
	return stage_setup(state);
}

static int unprivileged_teardown(void **state)
{
	is_unprivileged = false;
	return stage_teardown(state);
}

static void test_in_parts(void **state)
{
	rule_vector rules = { 0 }, none = { 0 };
	struct endpoint web;

	(void)state;
	plan_ports(&web, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_true(firewall->partly);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_true(firewall->partly);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK), 0);
	assert_false(firewall->partly);
	rules_clear(&rules);
}

/* What lets in comes after all that keeps out, and goes before. */
static void test_a_part_fails(void **state)
{
	rule_vector rules = { 0 }, read = { 0 }, none = { 0 };
	struct endpoint web;

	(void)state;
	plan_ports(&web, &rules);
	assert_int_equal(apply(&none, NULL, FIREWALL_BASE), 0);
	run("nft add element inet bridgenet ports6 "
	    "'{ tcp . 14999 comment \"red/web\" : fd31::2 . 1 }'");
	assert_int_equal(apply(&rules, NULL, 0), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_PORT_IN_USE);
	assert_non_null(strstr(error.message, "14999/tcp"));
	assert_non_null(strstr(error.message, "'red'"));
	assert_true(firewall->partly);
	list(NULL, &read);
	assert_int_equal(count(&read, TARGET_DROP), PORTS);
	assert_in_range(count(&read, TARGET_DNAT), 1, 3 * PORTS);
	rules_clear(&read);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	run("nft delete element inet bridgenet ports6 '{ tcp . 14999 }'");
	assert_kernel_holds(&none, NULL);
	rules_clear(&rules);
}

/* ---- beside others' commits ---- */

#define LOOPS 2
#define LISTS 3

/* Until it is killed: a table of its own comes and goes. */
static void commit_forever(const char *table)
{
	struct firewall *own;
	struct nft_reply reply;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (backend->open(&(struct firewall_config){ 0 }, &own, &error) < 0)
		_exit(1);
	for (bool there = false;; there = !there) {
		struct nft *nft = (struct nft *)own;
		struct nlmsghdr *message;

		nft_batch_begin(nft, 0);
		message =
			nft_batch_message(nft, there ? NFT_MSG_DELTABLE : NFT_MSG_NEWTABLE, 0, 256);
		mnl_attr_put_strz(message, NFTA_TABLE_NAME, table);
		if (nft_batch_commit(nft, NULL, NULL, &reply) < 0)
			_exit(1);
	}
}

static void begin_commits(pid_t loops[static LOOPS])
{
	static const char *const tables[LOOPS] = { "one", "two" };

	for (size_t i = 0; i < LOOPS; i++) {
		loops[i] = fork();
		if (!loops[i])
			commit_forever(tables[i]);
	}
}

static void end_commits(const pid_t loops[static LOOPS])
{
	int status;

	for (size_t i = 0; i < LOOPS; i++) {
		kill(loops[i], SIGKILL);
		assert_int_equal(waitpid(loops[i], &status, 0), loops[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

static void test_listing_beside_commits(void **state)
{
	rule_vector rules = { 0 }, some = { 0 }, read = { 0 };
	pid_t loops[LOOPS];
	struct endpoint web;

	(void)state;
	plan_ports(&web, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	begin_commits(loops);
	for (int i = 0; i < LISTS; i++)
		assert_kernel_holds(&rules, NULL);
	some = rules;
	some.len = PORTS;
	list(&some, &read);
	assert_int_equal(read.len, PORTS);
	rules_clear(&read);
	end_commits(loops);
	rules_clear(&rules);
}

/* ---- the verbs, in a user namespace ---- */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Returns an endpoint's namespace. */
static int enter_user_namespace(void)
{
	int host, sandbox;

	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	write_text("/proc/self/uid_map", "0 0 1");
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/gid_map", "0 0 1");
	host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	sandbox = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(host, CLONE_NEWNET), 0);
	close(host);
	return sandbox;
}

#define MUST(call)                                                               \
	do {                                                                     \
		int r_ = call;                                                   \
		if (r_ < 0)                                                      \
			fail_msg("%s: %d %s", #call, r_, bn_error_message(ctx)); \
	} while (0)

static void join(bn_ctx *ctx, int sandbox)
{
	bn_network_spec *network;
	bn_endpoint_spec *endpoint;

	MUST(bn_network_spec_new("front", &network));
	MUST(bn_network_spec_add_subnet(network, "10.81.0.0/24"));
	MUST(bn_network_spec_add_subnet(network, "fd00:81::/64"));
	MUST(bn_network_create(ctx, network, 0, NULL));
	MUST(bn_endpoint_spec_new("front", "web", &endpoint));
	MUST(bn_endpoint_spec_set_sandbox_fd(endpoint, sandbox));
	MUST(bn_endpoint_attach(ctx, endpoint, 0, NULL));
	bn_endpoint_spec_free(endpoint);
	bn_network_spec_free(network);
}

static void assert_elements(size_t expected)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "test $(nft list table inet bridgenet | grep -o 'tcp [.] 1[0-9]* ' | wc -l) = %zu",
		 expected);
	run(command);
}

static void publish_many(bn_ctx *ctx)
{
	bn_port_spec *ports;
	bn_rule_list *rules;

	MUST(bn_port_spec_new("10000-14999:10000-14999/tcp", &ports));
	/* the part that fails is undone with those before it */
	run("nft add element inet bridgenet ports6 '{ tcp . 14999 : fd31::2 . 1 }'");
	assert_int_equal(bn_port_publish(ctx, "front", "web", ports, 0, NULL), -EADDRINUSE);
	assert_non_null(strstr(bn_error_message(ctx), "14999/tcp"));
	assert_elements(1);
	run("nft delete element inet bridgenet ports6 '{ tcp . 14999 }'");

	MUST(bn_port_publish(ctx, "front", "web", ports, 0, NULL));
	assert_elements(2 * PORTS);
	MUST(bn_rules_list(ctx, NULL, 0, &rules));
	assert_true(bn_rule_list_len(rules) > 2 * PORTS);
	bn_rule_list_free(rules);
	MUST(bn_port_unpublish(ctx, "front", "web", ports, 0));
	assert_elements(0);
	MUST(bn_port_publish(ctx, "front", "web", ports, 0, NULL));
	MUST(bn_endpoint_detach(ctx, "front", "web", 0));
	assert_elements(0);
	bn_port_spec_free(ports);
}

static void test_user_namespace(void **state)
{
	char state_dir[] = "/tmp/bn-transport-XXXXXX", command[64];
	pid_t child;
	int status;

	(void)state;
	assert_non_null(mkdtemp(state_dir));
	child = fork();
	if (!child) {
		int sandbox = enter_user_namespace();
		bn_ctx *ctx;

		is_unprivileged = true;
		assert_int_equal(bn_ctx_new(0, &ctx), 0);
		MUST(bn_ctx_set_state_dir(ctx, state_dir));
		MUST(bn_ctx_set_backend(ctx, "nftables"));
		join(ctx, sandbox);
		publish_many(ctx);
		MUST(bn_network_delete(ctx, "front", 0));
		bn_ctx_free(ctx);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	snprintf(command, sizeof(command), "rm -r %s", state_dir);
	run(command);
	assert_int_equal(status, 0);
}

int main(void)
{
#define UNPRIVILEGED_TEST(test) \
	cmocka_unit_test_setup_teardown(test, unprivileged_setup, unprivileged_teardown)
	const struct CMUnitTest tests[] = {
		UNPRIVILEGED_TEST(test_in_parts),
		UNPRIVILEGED_TEST(test_a_part_fails),
		FIREWALL_TEST(test_listing_beside_commits),
		cmocka_unit_test(test_user_namespace),
	};

	return cmocka_run_group_tests_name("nftables transport", tests, NULL, NULL);
}
