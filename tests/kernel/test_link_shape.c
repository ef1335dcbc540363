/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of bandwidth as tc(8) shows them: from each to each, at once and after half of it. */
#include "link_stage.h"

#include <sched.h>
#include <sys/wait.h>

#define TEXT_MAX 16384
#define STEPS 8

static struct sandbox sandbox;
static struct network network;

/* What is asked of an endpoint, and words of what tc(8) then shows. */
static const struct wish {
	uint64_t in, out;
	uint64_t burst;
	bool leaving;
	const char *shown[5];
} wishes[] = {
	{ .in = 0 },
	{ .in = 20000000, .shown = { "tbf", "rate 20Mbit" } },
	{ .in = 20000000, .burst = 100000, .shown = { "burst 100000b" } },
	{ .in = 40000000000, .shown = { "rate 40Gbit" } },
	{ .out = 30000000, .shown = { "ingress", "mirred", "rate 30Mbit" } },
	{ .in = 1000000, .out = 2000000, .shown = { "rate 1Mbit", "rate 2Mbit", "ingress" } },
	{ .in = 5000000,
	  .leaving = true,
	  .shown = { "htb", "rate 5Mbit", "protocol ipv6", "protocol arp", "ac1e0000/ffff0000" } },
	{ .in = 6000000,
	  .out = 7000000,
	  .leaving = true,
	  .shown = { "rate 6Mbit", "rate 7Mbit", "mirred", "ac1e0001/ffffffff" } },
};

static struct endpoint wished(const struct wish *wish)
{
	struct endpoint endpoint = endpoint_number(0, true);

	endpoint.policy = (struct endpoint_policy){
		.rate_in = wish->in,
		.rate_out = wish->out,
		.burst_in = wish->burst,
		.burst_out = wish->burst,
		.rate_local = wish->leaving ? RATE_LOCAL_NO : RATE_LOCAL_YES,
	};
	return endpoint;
}

static int setup(void **state)
{
	const struct bridge_config config = bridge_config(true);
	const struct endpoint endpoint = endpoint_number(0, true);
	int r = stage_setup_bridge(state);

	sandbox = sandbox_new();
	network = (struct network){
		.name = "lk", .id = NETWORK_ID, .ipv4 = config.ipv4, .ipv6 = config.ipv6
	};
	return r < 0 ? r : attach(&sandbox, &endpoint);
}

static int teardown(void **state)
{
	int r;

	fault_hook = NULL;
	r = delete_one();
	sandbox_close(&sandbox);
	return r < 0 ? r : stage_teardown_bridge(state);
}

/* Without what the kernel numbers, and the devices' own disciplines. */
static void look(char text[static TEXT_MAX])
{
	static const char script[] =
		"{ for dev in $(ls /sys/class/net | grep ^b[vi]); do echo $dev; "
		"ip -o link show $dev | grep -o 'mtu [0-9]*\\|alias .*'; "
		"ip addr show $dev scope link | grep inet6; for what in qdisc class; do "
		"tc $what show dev $dev; done; for from in b0e7: ffff:; do "
		"tc filter show dev $dev parent $from; done; done; } 2>&1 | "
		"sed 's/index [0-9]*//; s/qdisc bfifo [0-9a-f]*:/qdisc bfifo/; "
		"s/leaf [0-9a-f]*:/leaf/; s/refcnt [0-9]*//; s/fh [0-9a-f:]*//; "
		"s/ht [0-9a-f]*//; s/direct_packets_stat [0-9]*//' | grep -v 'qdisc noqueue\\|^ *$'";
	int pipes[2], status;
	ssize_t len = 0, got;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		if (setns(host_ns, CLONE_NEWNET) < 0 || dup2(pipes[1], STDOUT_FILENO) < 0)
			_exit(126);
		/* a new mount of sysfs shows the namespace that it was made in */
		if (unshare(CLONE_NEWNS) < 0 || system("mount -t sysfs none /sys") != 0)
			_exit(125);
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(127);
	}
	close(pipes[1]);
	while ((got = read(pipes[0], text + len, (size_t)(TEXT_MAX - 1 - len))) > 0)
		len += got;
	close(pipes[0]);
	text[len] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void assert_set(const struct endpoint *before, const struct endpoint *after)
{
	error_clear(&error);
	if (link_shape(handle, &network, before, after, &error) < 0)
		fail_msg("%s", error.message);
}

static void test_shown(void **state)
{
	char text[TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		const struct endpoint endpoint = wished(&wishes[i]), none = wished(&wishes[0]);

		assert_set(NULL, &endpoint);
		look(text);
		for (size_t j = 0; j < ARRAY_SIZE(wishes[i].shown); j++)
			if (wishes[i].shown[j] && !strstr(text, wishes[i].shown[j]))
				fail_msg("%zu: no '%s' in:\n%s", i, wishes[i].shown[j], text);
		assert_set(&endpoint, &none);
	}
}

static int failing_at, seen;

static int fail_step(const char *step)
{
	if (strncmp(step, "link.", 5) != 0)
		return 0;
	return seen++ == failing_at ? -EIO : 0;
}

/* From each to each: done, done twice, broken off at each step and undone, and undone although
 * nothing was done. */
static void test_changed(void **state)
{
	static char fresh[ARRAY_SIZE(wishes)][TEXT_MAX], text[TEXT_MAX];
	const struct endpoint none = wished(&wishes[0]);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		const struct endpoint endpoint = wished(&wishes[i]);

		assert_set(NULL, &endpoint);
		look(fresh[i]);
		assert_set(&endpoint, &none);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		const struct endpoint from = wished(&wishes[i]);

		assert_set(&none, &from);
		for (size_t j = 0; j < ARRAY_SIZE(wishes); j++) {
			const struct endpoint to = wished(&wishes[j]);
			bool failed = i != j;

			for (failing_at = 0; failed && failing_at < STEPS; failing_at++) {
				seen = 0;
				fault_hook = fail_step;
				failed = link_shape(handle, &network, &from, &to, NULL) < 0;
				fault_hook = NULL;
				assert_set(&to, &from);
				look(text);
				assert_string_equal(text, fresh[i]);
			}
			assert_set(&to, &from);
			assert_set(&from, &to);
			look(text);
			assert_string_equal(text, fresh[j]);
			assert_set(&from, &to);
			look(text);
			assert_string_equal(text, fresh[j]);
			assert_set(&to, &from);
		}
		assert_set(&from, &none);
	}
	look(text);
	assert_string_equal(text, fresh[0]);
}

/* ---- with the endpoint ---- */

static size_t detours(void)
{
	json_t *list = IP(host_ns, "link", "show", "type", "ifb");
	size_t count = json_array_size(list);

	json_decref(list);
	return count;
}

static void test_deleted(void **state)
{
	const struct endpoint endpoint = wished(&wishes[5]);
	const struct link_end end = end_of(&endpoint);

	(void)state;
	assert_set(NULL, &endpoint);
	assert_int_equal(detours(), 1);
	assert_int_equal(link_endpoints_delete(handle, &end, 1, &error), 0);
	assert_int_equal(detours(), 0);
	assert_false(link_is_there(host_ns, endpoint.host_interface));
}

/* A quick detach leaves the pair to its namespace. */
static void test_cut(void **state)
{
	const struct endpoint endpoint = wished(&wishes[5]);
	const struct link_end end = end_of(&endpoint);

	(void)state;
	assert_set(NULL, &endpoint);
	assert_int_equal(link_endpoints_cut(handle, &end, 1, &error), 0);
	assert_int_equal(detours(), 0);
	assert_true(link_is_there(host_ns, endpoint.host_interface));
}

/* By whoever has not heard of the rate, as the update that set it died. */
static void test_unknown(void **state)
{
	const struct endpoint endpoint = wished(&wishes[4]), none = wished(&wishes[0]);
	const struct link_end end = end_of(&none);

	(void)state;
	assert_set(NULL, &endpoint);
	assert_int_equal(link_endpoints_delete(handle, &end, 1, &error), 0);
	assert_int_equal(detours(), 0);
}

static void test_renamed(void **state)
{
	const struct endpoint endpoint = wished(&wishes[4]);
	const struct link_end end = end_of(&endpoint);
	char name[IFNAMSIZ];

	(void)state;
	detour_name(endpoint.host_interface, name);
	assert_set(NULL, &endpoint);
	IP_RUN(host_ns, "link", "set", name, "name", "renamed");
	assert_int_equal(link_endpoints_delete(handle, &end, 1, &error), 0);
	assert_int_equal(detours(), 0);
}

/* What others have made under such a name, or have put at the end of the pair, stays theirs. */
static void test_of_others(void **state)
{
	const struct endpoint endpoint = wished(&wishes[5]);
	const struct link_end end = end_of(&endpoint);
	char name[IFNAMSIZ];

	(void)state;
	detour_name(endpoint.host_interface, name);
	IP_RUN(host_ns, "link", "add", name, "type", "ifb");
	assert_int_equal(link_shape(handle, &network, NULL, &endpoint, &error), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_INTERFACE_EXISTS);
	assert_non_null(strstr(error.message, name));
	assert_int_equal(link_endpoints_delete(handle, &end, 1, &error), 0);
	assert_int_equal(detours(), 1);
	IP_RUN(host_ns, "link", "del", name);
}

static void test_foreign_discipline(void **state)
{
	const struct endpoint endpoint = wished(&wishes[1]), none = wished(&wishes[0]);
	char before[TEXT_MAX], text[TEXT_MAX];

	(void)state;
	assert_int_equal(system("tc qdisc add dev bv0 root handle 7: tbf rate 1gbit burst 100k "
				"limit 1m"),
			 0);
	look(before);
	assert_int_equal(link_shape(handle, &network, &none, &endpoint, &error), -EEXIST);
	assert_non_null(strstr(error.message, "bv0"));
	assert_set(&endpoint, &none);
	look(text);
	assert_string_equal(text, before);
}

/* ---- what the kernel lacks ---- */

static const char *lacking;
static int lack;

static int lack_step(const char *step)
{
	return strcmp(step, lacking) == 0 ? lack : 0;
}

static void test_lacking(void **state)
{
	static const struct {
		const char *step;
		int errno_of;
		const char *option, *mention;
	} parts[] = {
		{ "link.detour.create", -EOPNOTSUPP, "rate-out", "ifb" },
		{ "link.shape.detour", -ENOENT, "rate-out", "tbf" },
		{ "link.shape.out", -ENOENT, "rate-out", "mirred" },
		{ "link.shape.in", -ENOENT, "rate-in", "tbf" },
	};
	const struct endpoint endpoint = wished(&wishes[5]), none = wished(&wishes[0]);
	char before[TEXT_MAX], text[TEXT_MAX];

	(void)state;
	look(before);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		lacking = parts[i].step;
		lack = parts[i].errno_of;
		fault_hook = lack_step;
		assert_int_equal(link_shape(handle, &network, &none, &endpoint, &error),
				 -EOPNOTSUPP);
		fault_hook = NULL;
		assert_int_equal(error.reason, BN_REASON_UNSUPPORTED);
		assert_non_null(strstr(error.message, parts[i].option));
		assert_non_null(strstr(error.message, parts[i].mention));
		assert_non_null(strstr(error.message, endpoint.id));
		assert_set(&endpoint, &none);
		look(text);
		assert_string_equal(text, before);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_shown),     TEST(test_changed),
		TEST(test_deleted),   TEST(test_cut),
		TEST(test_unknown),   TEST(test_renamed),
		TEST(test_of_others), TEST(test_foreign_discipline),
		TEST(test_lacking),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
