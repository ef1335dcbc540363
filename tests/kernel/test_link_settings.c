/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What turning on forwarding sets of the host, and what is given back. */
#include "link_stage.h"

#include <sys/mount.h>

/* ---- what is found, and given back ---- */

#define CONF_MAX 4096

/* Every value of the host that a network changes, by the files. */
static void read_confs(char text[static CONF_MAX])
{
	static const char command[] =
		"cd /proc/sys/net && for f in ipv4/conf/*/forwarding ipv4/conf/*/route_localnet "
		"ipv6/conf/*/forwarding ipv6/conf/*/accept_ra; do echo $f $(cat $f); done; "
		"ip -o link show up | cut -d' ' -f2";
	FILE *pipe = popen(command, "re");
	size_t len;

	assert_non_null(pipe);
	len = fread(text, 1, CONF_MAX - 1, pipe);
	text[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
	assert_in_range(len, 1, CONF_MAX - 2);
}

static char *found(const char *bridge)
{
	char *text = NULL;

	if (host_found(handle, true, true, bridge, false, &text, &error) < 0)
		fail_msg("%s", error.message);
	return text;
}

#define CONF(family, interface, key) "/proc/sys/net/" family "/conf/" interface "/" key

static int conf_setup(void **state)
{
	(void)state;
	error_clear(&error);
	fault_hook = NULL;
	IP_RUN(host_ns, "link", "add", "lk.own", "type", "bridge");
	IP_RUN(host_ns, "link", "add", "lk.off", "type", "bridge");
	IP_RUN(host_ns, "link", "add", "lk-gone", "type", "bridge");
	write_number(CONF("ipv4", "all", "forwarding"), 0);
	write_number(CONF("ipv6", "all", "forwarding"), 0);
	write_number(CONF("ipv4", "lk.own", "forwarding"), 1);
	write_number(CONF("ipv4", "default", "forwarding"), 1);
	write_number(CONF("ipv6", "lk.own", "forwarding"), 1);
	write_number(CONF("ipv6", "lk.off", "accept_ra"), 1);
	return 0;
}

static int conf_teardown(void **state)
{
	(void)state;
	fault_hook = NULL;
	write_number(CONF("ipv4", "all", "forwarding"), 0);
	write_number(CONF("ipv6", "all", "forwarding"), 0);
	write_number(CONF("ipv4", "default", "forwarding"), 0);
	IP_RUN(host_ns, "link", "del", "lk.own");
	IP_RUN(host_ns, "link", "del", "lk.off");
	return 0;
}
#define CONF_TEST(test) cmocka_unit_test_setup_teardown(test, conf_setup, conf_teardown)

static void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* As before Linux 6.17: without force_forwarding. */
static int old_setup(void **state)
{
	conf_setup(state);
	shell("all=/proc/sys/net/ipv6/conf/all; mkdir -p /run/lk-all && "
	      "mount --bind $all /run/lk-all && mount -t tmpfs none $all && cd /run/lk-all && "
	      "for file in *; do if [ $file != force_forwarding ]; then "
	      ": >$all/$file && mount --bind $file $all/$file; fi; done");
	return 0;
}

static int old_teardown(void **state)
{
	shell("umount -R /proc/sys/net/ipv6/conf/all && umount /run/lk-all");
	return conf_teardown(state);
}
#define OLD_TEST(test) cmocka_unit_test_setup_teardown(test, old_setup, old_teardown)

static void test_forwarding_comes_back(void **state)
{
	static char before[CONF_MAX], on[CONF_MAX], after[CONF_MAX];
	char *text, *none;

	(void)state;
	text = found(NULL);
	read_confs(before);
	assert_int_equal(host_forwarding_enable(handle, true, true, NULL, &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv6", "lk.off", "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv6", "lk.off", "accept_ra")), 2);
	none = found(NULL);
	assert_string_equal(none, "");
	read_confs(on);
	/* others rely on it */
	assert_int_equal(host_give_back(handle, text, false, false, &error), 0);
	read_confs(after);
	assert_string_equal(after, on);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
		read_confs(after);
		assert_string_equal(after, before);
	}
	/* and nothing is given back of nothing */
	assert_int_equal(host_give_back(handle, none, true, true, &error), 0);
	read_confs(after);
	assert_string_equal(after, before);
	IP_RUN(host_ns, "link", "del", "lk-gone");
	free(text);
	free(none);
}

static void test_changed_since(void **state)
{
	char *text;

	(void)state;
	write_number(CONF("ipv4", "lk-gone", "forwarding"), 1);
	write_number(CONF("ipv6", "lk-gone", "forwarding"), 1);
	text = found(NULL);
	assert_non_null(strstr(text, "net/ipv4/conf/lk-gone/forwarding 1\n"));
	assert_int_equal(host_forwarding_enable(handle, true, true, NULL, &error), 0);
	IP_RUN(host_ns, "link", "del", "lk-gone");
	write_number(CONF("ipv4", "lk.own", "forwarding"), 0);
	write_number(CONF("ipv6", "lk.own", "forwarding"), 2);
	write_number(CONF("ipv6", "lk.off", "accept_ra"), 0);
	assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "all", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv6", "all", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.own", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv4", "default", "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv6", "lk.own", "forwarding")), 2);
	assert_int_equal(read_number(CONF("ipv6", "lk.off", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv6", "lk.off", "accept_ra")), 0);
	free(text);
}

/* Who gave back died when `all` was written, which has cleared the interfaces' own. */
static void test_give_back_dies(void **state)
{
	static char before[CONF_MAX], after[CONF_MAX];
	char *text = found(NULL);

	(void)state;
	read_confs(before);
	assert_int_equal(host_forwarding_enable(handle, true, true, NULL, &error), 0);
	write_number(CONF("ipv4", "all", "forwarding"), 0);
	write_number(CONF("ipv6", "all", "forwarding"), 0);
	assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
	read_confs(after);
	assert_string_equal(after, before);
	IP_RUN(host_ns, "link", "del", "lk-gone");
	free(text);
}

static int refuse(const char *step)
{
	return strcmp(step, "link.give-back") == 0 ? -EROFS : 0;
}

static void test_adopted_comes_back(void **state)
{
	static char before[CONF_MAX], after[CONF_MAX];
	struct bridge_config config = bridge_config(true);
	char *text;

	(void)state;
	config.adopt = true;
	config.name = "lk.off";
	IP_RUN(host_ns, "addr", "add", "192.0.2.1/24", "dev", "lk.off");
	IP_RUN(host_ns, "link", "add", "lk-port", "type", "veth");
	IP_RUN(host_ns, "link", "set", "lk-port", "master", "lk.off");
	for (int added = 0; added < 3; added++) {
		text = found("lk.off");
		read_confs(before);
		assert_int_equal(bridge_create(handle, &config, NULL, &error), 0);
		assert_int_equal(host_forwarding_enable(handle, true, true, NULL, &error), 0);
		if (added == 1)
			IP_RUN(host_ns, "addr", "add", "192.0.2.2/24", "dev", "lk.off");
		if (added == 2)
			IP_RUN(host_ns, "link", "add", "lk-more", "master", "lk.off", "type",
			       "veth");
		assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
		/* what fails keeps nothing else, and is told */
		fault_hook = refuse;
		assert_int_equal(host_give_back(handle, text, true, true, &error), -EROFS);
		fault_hook = NULL;
		error_clear(&error);
		assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
		read_confs(after);
		if (!added)
			assert_string_equal(after, before);
		else
			assert_non_null(strstr(after, "\nlk.off:"));
		assert_int_equal(read_number(CONF("ipv4", "lk.off", "route_localnet")), 0);
		assert_int_equal(read_number(CONF("ipv4", "all", "forwarding")), 0);
		IP_RUN(host_ns, "link", "set", "lk.off", "down");
		free(text);
	}
	IP_RUN(host_ns, "link", "del", "lk-port");
	IP_RUN(host_ns, "link", "del", "lk-more");
	IP_RUN(host_ns, "link", "del", "lk-gone");
}

/* ---- on older kernels ---- */

/* The interface that may learn of a router is to go on, and no other is touched: a port takes no
 * advertisements, and what comes later is its maker's. */
static void test_whom_routers_tell(void **state)
{
	char *text;

	(void)state;
	IP_RUN(host_ns, "link", "add", "lk-port", "type", "veth", "peer", "name", "lk-zero");
	IP_RUN(host_ns, "link", "set", "lk-port", "master", "lk.off");
	write_number(CONF("ipv6", "lk-port", "accept_ra"), 1);
	write_number(CONF("ipv6", "lk-zero", "accept_ra"), 0);
	text = found(NULL);
	assert_non_null(strstr(text, "net/ipv6/conf/lk.off/accept_ra 1\n"));
	assert_null(strstr(text, "ipv6/conf/lk-port"));
	assert_null(strstr(text, "ipv6/conf/lk-zero"));
	assert_int_equal(host_forwarding_enable(handle, true, true, NULL, &error), 0);
	assert_int_equal(read_number(CONF("ipv6", "lk.off", "accept_ra")), 2);
	assert_int_equal(read_number(CONF("ipv6", "lk-port", "accept_ra")), 1);
	assert_int_equal(read_number(CONF("ipv6", "lk-zero", "accept_ra")), 0);
	assert_int_equal(read_number(CONF("ipv6", "default", "accept_ra")), 1);
	assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
	assert_int_equal(read_number(CONF("ipv6", "lk.off", "accept_ra")), 1);
	free(text);
	IP_RUN(host_ns, "link", "del", "lk-port");
	IP_RUN(host_ns, "link", "del", "lk-gone");
}

/* ---- one interface at a time ---- */

/* By three of these packets come: one is on a subnet, by two together goes the default route. */
static int uplinks_setup(void **state)
{
	conf_setup(state);
	write_number(CONF("ipv4", "default", "forwarding"), 0);
	for (int i = 0; i < 2; i++) {
		const char *names[][2] = { { "lk-net", "lk-idle" }, { "lk-way", "lk-other" } };

		IP_RUN(host_ns, "link", "add", names[i][0], "up", "type", "veth", "peer", "name",
		       names[i][1]);
		IP_RUN(host_ns, "link", "set", names[i][1], "up");
	}
	IP_RUN(host_ns, "addr", "add", "2001:db8:7::1/64", "dev", "lk-net", "nodad");
	IP_RUN(host_ns, "addr", "add", "192.0.2.1/24", "dev", "lk-net");
	IP_RUN(host_ns, "-6", "route", "add", "default", "nexthop", "via", "fe80::1", "dev",
	       "lk-way", "nexthop", "via", "fe80::1", "dev", "lk-other");
	IP_RUN(host_ns, "route", "add", "default", "dev", "lk-way");
	return 0;
}

static int uplinks_teardown(void **state)
{
	IP_RUN(host_ns, "link", "del", "lk-net");
	IP_RUN(host_ns, "link", "del", "lk-way");
	IP_RUN(host_ns, "link", "del", "lk-gone");
	return conf_teardown(state);
}
#define UPLINKS_TEST(test) cmocka_unit_test_setup_teardown(test, uplinks_setup, uplinks_teardown)

static void skip_without_force_forwarding(void)
{
	if (read_number(CONF("ipv6", "all", "force_forwarding")) < 0)
		skip();
}

#define FORCED(interface) read_number(CONF("ipv6", interface, "force_forwarding"))

static void test_forced(void **state)
{
	static char before[CONF_MAX], after[CONF_MAX];
	char *text, *none;

	(void)state;
	skip_without_force_forwarding();
	write_number(CONF("ipv4", "all", "forwarding"), 1);
	read_confs(before);
	text = found("lk.off");
	assert_int_equal(host_forwarding_enable(handle, true, true, "lk.off", &error), 0);
	assert_int_equal(read_number(CONF("ipv6", "all", "forwarding")), 0);
	assert_int_equal(FORCED("lk-net"), 1);
	assert_int_equal(FORCED("lk-way"), 1);
	assert_int_equal(FORCED("lk-other"), 1);
	assert_int_equal(FORCED("lk.off"), 1);
	assert_int_equal(FORCED("lk-idle"), 0);
	assert_int_equal(FORCED("lo"), 0);
	assert_int_equal(FORCED("all"), 0);
	assert_int_equal(FORCED("default"), 0);
	none = found("lk.off");
	assert_null(strstr(none, "forwarding"));
	free(none);
	/* others rely on it; one has set its own since */
	assert_int_equal(host_give_back(handle, text, true, false, &error), 0);
	assert_int_equal(FORCED("lk-net"), 1);
	assert_int_equal(host_found_forwarding(text, false, true, &none, &error), 0);
	write_number(CONF("ipv6", "all", "forwarding"), 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(host_give_back(handle, i ? text : none, true, true, &error), 0);
	assert_int_equal(read_number(CONF("ipv6", "all", "forwarding")), 1);
	write_number(CONF("ipv6", "all", "forwarding"), 0);
	assert_int_equal(FORCED("lk-net") + FORCED("lk-way") + FORCED("lk-other"), 0);
	assert_int_equal(FORCED("lk.off"), 0);
	write_number(CONF("ipv6", "lk.own", "forwarding"), 1);
	read_confs(after);
	assert_string_equal(after, before);
	free(none);
	free(text);
}

/* Others have the names by now of those that were turned on, and are set as those were. */
static void test_other_interfaces(void **state)
{
	static char after[CONF_MAX];
	char *text, *rest;

	(void)state;
	skip_without_force_forwarding();
	write_number(CONF("ipv4", "all", "forwarding"), 1);
	write_number(CONF("ipv4", "lk.off", "forwarding"), 0);
	text = found("lk.off");
	assert_int_equal(host_forwarding_enable(handle, true, true, "lk.off", &error), 0);
	IP_RUN(host_ns, "link", "del", "lk.off");
	IP_RUN(host_ns, "link", "add", "lk.off", "up", "type", "bridge");
	IP_RUN(host_ns, "link", "set", "lk-net", "name", "lk-old");
	IP_RUN(host_ns, "link", "add", "lk-net", "type", "bridge");
	write_number(CONF("ipv4", "lk.off", "route_localnet"), 1);
	write_number(CONF("ipv6", "lk.off", "accept_ra"), 0);
	write_number(CONF("ipv6", "lk.off", "force_forwarding"), 1);
	write_number(CONF("ipv6", "lk-net", "force_forwarding"), 1);
	assert_int_equal(host_found_forwarding(text, true, true, &rest, &error), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(host_give_back(handle, i ? text : rest, true, true, &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "route_localnet")), 1);
	assert_int_equal(read_number(CONF("ipv6", "lk.off", "accept_ra")), 0);
	assert_int_equal(FORCED("lk.off") + FORCED("lk-net"), 2);
	assert_int_equal(FORCED("lk-way") + FORCED("lk-other"), 0);
	read_confs(after);
	assert_non_null(strstr(after, "\nlk.off:"));
	IP_RUN(host_ns, "link", "del", "lk-net");
	IP_RUN(host_ns, "link", "set", "lk-old", "name", "lk-net");
	free(text);
	free(rest);
}

/* The host has no route of IPv6 yet. */
static void test_nothing_to_force(void **state)
{
	char *text;

	(void)state;
	skip_without_force_forwarding();
	IP_RUN(host_ns, "-6", "route", "del", "default");
	IP_RUN(host_ns, "-6", "addr", "flush", "dev", "lk-net");
	text = found(NULL);
	assert_true(host_found_no_way(text, AF_INET6));
	assert_true(host_found_off(text, AF_INET6));
	assert_false(host_found_no_way(text, AF_INET));
	assert_int_equal(host_forwarding_enable(handle, true, true, NULL, &error), 0);
	assert_int_equal(FORCED("all"), 0);
	/* nor is it ours when somebody sets it */
	write_number(CONF("ipv6", "all", "force_forwarding"), 1);
	assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
	assert_int_equal(FORCED("all"), 1);
	write_number(CONF("ipv6", "all", "force_forwarding"), 0);
	free(text);
}

/* Nothing is to be done where all forward, but that IPv4 asks each. */
static void test_all_forward(void **state)
{
	char *text;

	(void)state;
	write_number(CONF("ipv4", "all", "forwarding"), 1);
	write_number(CONF("ipv6", "all", "forwarding"), 1);
	text = found(NULL);
	assert_string_equal(text, "");
	free(text);
	write_number(CONF("ipv4", "lk.off", "forwarding"), 0);
	text = found("lk.off");
	assert_false(host_found_off(text, AF_INET));
	assert_int_equal(host_forwarding_enable(handle, true, true, "lk.off", &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 1);
	assert_int_equal(host_give_back(handle, text, false, true, &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 1);
	assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv4", "all", "forwarding")), 1);
	free(text);
}

/* ---- many interfaces ---- */

#define MANY 100

/* How often this thread has read and written, but for sockets; of a process the kernel counts what
 * its children did, too, when it has waited for them. */
static long file_calls(void)
{
	FILE *file = fopen("/proc/thread-self/io", "re");
	char line[64];
	long count = 0, value;

	if (!file)
		skip();
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "syscr: %ld", &value) == 1 ||
		    sscanf(line, "syscw: %ld", &value) == 1)
			count += value;
	}
	fclose(file);
	return count;
}

/* The calls that turning on forwarding takes beside MANY interfaces, and giving back after it. */
static long calls_beside_many(void)
{
	char name[IFNAMSIZ], peer[IFNAMSIZ], *text;
	long before, calls;

	for (int i = 0; i < MANY; i += 2) {
		snprintf(name, sizeof(name), "lk-many%d", i);
		snprintf(peer, sizeof(peer), "lk-many%d", i + 1);
		IP_RUN(host_ns, "link", "add", name, "up", "type", "veth", "peer", "name", peer);
	}
	write_number(CONF("ipv4", "all", "forwarding"), 1);
	before = file_calls();
	text = found(NULL);
	assert_int_equal(host_forwarding_enable(handle, true, true, NULL, &error), 0);
	calls = file_calls() - before;
	assert_int_equal(host_give_back(handle, text, true, true, &error), 0);
	free(text);
	for (int i = 0; i < MANY; i += 2) {
		snprintf(name, sizeof(name), "lk-many%d", i);
		IP_RUN(host_ns, "link", "del", name);
	}
	return calls;
}

static void test_many(void **state)
{
	(void)state;
	skip_without_force_forwarding();
	assert_in_range(calls_beside_many(), 1, 50);
}

static void test_many_on_older_kernels(void **state)
{
	(void)state;
	assert_in_range(calls_beside_many(), 2 * MANY, 2 * MANY + 50);
	IP_RUN(host_ns, "link", "del", "lk-gone");
}

/* ---- where /proc/sys is read-only ---- */

static int read_only_setup(void **state)
{
	uplinks_setup(state);
	shell("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys");
	return 0;
}

static int read_only_teardown(void **state)
{
	if (umount("/proc/sys") < 0)
		return -1;
	return uplinks_teardown(state);
}
#define READ_ONLY_TEST(test) \
	cmocka_unit_test_setup_teardown(test, read_only_setup, read_only_teardown)

static void test_read_only_ipv4(void **state)
{
	static char before[CONF_MAX], after[CONF_MAX];
	struct bridge_config config = bridge_config(false);
	char *text = NULL, note[LINK_NOTE_MAX];

	(void)state;
	read_confs(before);
	assert_int_equal(host_found(handle, true, false, NULL, false, &text, &error), 0);
	assert_true(host_found_off(text, AF_INET));
	assert_false(host_found_off(text, AF_INET6));
	assert_int_equal(bridge_create(handle, &config, note, &error), 0);
	/* what endpoints may tell the host */
	assert_non_null(strstr(note, "/" BRIDGE "/disable_ipv6"));
	assert_int_equal(read_number(CONF("ipv4", BRIDGE, "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv4", BRIDGE, "route_localnet")), 1);
	assert_int_equal(host_forwarding_enable(handle, true, false, NULL, &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "all", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk-net", "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv4", "lk-way", "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv4", "lk-idle", "forwarding")), 0);
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	assert_int_equal(host_give_back(handle, text, true, false, &error), 0);
	read_confs(after);
	assert_string_equal(after, before);
	free(text);
}

static void test_read_only_adopted(void **state)
{
	struct bridge_config config = bridge_config(false);
	char *text = NULL, note[LINK_NOTE_MAX];

	(void)state;
	config.name = "lk.off";
	config.adopt = true;
	assert_int_equal(host_found(handle, true, false, "lk.off", false, &text, &error), 0);
	assert_int_equal(bridge_create(handle, &config, note, &error), 0);
	assert_non_null(strstr(note, "/lk.off/accept_ra"));
	assert_int_equal(host_forwarding_enable(handle, true, false, "lk.off", &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 1);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "route_localnet")), 1);
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
	assert_int_equal(host_give_back(handle, text, true, false, &error), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "forwarding")), 0);
	assert_int_equal(read_number(CONF("ipv4", "lk.off", "route_localnet")), 0);
	free(text);
}

/* IPv6 has nothing but files: what is right already is enough, and else it is said which is not. */
static void test_read_only_ipv6(void **state)
{
	struct bridge_config config = bridge_config(true);
	char note[LINK_NOTE_MAX];

	(void)state;
	if (read_number(CONF("ipv6", "all", "force_forwarding")) >= 0) {
		assert_int_equal(bridge_create(handle, &config, note, &error), -EROFS);
		assert_non_null(strstr(error.message, "net.ipv6.conf.all.forwarding to 1"));
		assert_false(link_is_there(host_ns, BRIDGE));
	}
	assert_int_equal(host_forwarding_enable(handle, false, true, NULL, &error), -EROFS);
	assert_non_null(strstr(error.message, "cannot write 1 to /proc/sys/net/ipv6/conf/"));
	umount("/proc/sys");
	write_number(CONF("ipv6", "all", "forwarding"), 1);
	shell("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys");
	error_clear(&error);
	assert_int_equal(host_forwarding_enable(handle, false, true, NULL, &error), 0);
	assert_int_equal(bridge_create(handle, &config, note, &error), 0);
	assert_non_null(strstr(note, "/" BRIDGE "/accept_ra"));
	assert_int_equal(bridge_delete(handle, &config, NULL, &error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OLD_TEST(test_forwarding_comes_back),   OLD_TEST(test_changed_since),
		OLD_TEST(test_give_back_dies),          OLD_TEST(test_adopted_comes_back),
		OLD_TEST(test_whom_routers_tell),       UPLINKS_TEST(test_forced),
		UPLINKS_TEST(test_other_interfaces),    UPLINKS_TEST(test_nothing_to_force),
		UPLINKS_TEST(test_all_forward),         UPLINKS_TEST(test_many),
		OLD_TEST(test_many_on_older_kernels),   READ_ONLY_TEST(test_read_only_ipv4),
		READ_ONLY_TEST(test_read_only_adopted), READ_ONLY_TEST(test_read_only_ipv6),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
