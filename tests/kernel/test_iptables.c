/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The iptables-legacy backend in the real kernel; iptables-legacy-save(8) is the judge. */
#include "firewall_stage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "firewall/iptables/iptables.h"

#define BASE FIREWALL_BASE

const struct firewall_backend *const backend = &iptables_backend;

static void test_read_back(void **state)
{
	rule_vector rules = { 0 }, none = { 0 };

	(void)state;
	plan_all(&rules);
	/* Asking must not make tables. */
	assert_int_equal(backend->present(firewall, &error), 0);
	assert_int_equal(backend->in_use(firewall, &error), 0);
	run("! grep . /proc/net/ip_tables_names /proc/net/ip6_tables_names");
	assert_int_equal(apply(&none, NULL, BASE), 0);
	assert_int_equal(backend->present(firewall, &error), 0);
	assert_int_equal(backend->in_use(firewall, &error), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(apply(&rules, NULL, 0), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(backend->present(firewall, &error), 1);
	assert_int_equal(backend->in_use(firewall, &error), 0);
	assert_int_equal(count_lines("DNAT --to"), 8);
	assert_int_equal(count_lines("to-destination 172.31.0.2:17000-17099/7000"), 1);
	assert_int_equal(count_lines("comment"), 0);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_kernel_holds(&none, NULL);
	assert_int_equal(count_lines("BN-"), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	rules_clear(&rules);
}

static void test_iptables_reads_what_it_writes(void **state)
{
	rule_vector rules = { 0 };
	char *before;

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	before = output_of(SAVE_ALL);
	run("iptables-legacy-save | iptables-legacy-restore");
	run("ip6tables-legacy-save | ip6tables-legacy-restore");
	assert_output_is(SAVE_ALL, before);
	assert_kernel_holds(&rules, NULL);
	free(before);
	rules_clear(&rules);
}

/* Each by itself, too: what two of them share goes with the last. */
static void test_policies(void **state)
{
	rule_vector rules = { 0 }, none = { 0 };
	size_t first = 0, next;

	(void)state;
	plan_policies(&rules);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_kernel_holds(&rules, NULL);
	run("iptables-legacy-save | iptables-legacy-restore");
	run("ip6tables-legacy-save | ip6tables-legacy-restore");
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_kernel_holds(&none, NULL);
	for (; first < rules.len; first = next) {
		rule_vector one = { 0 };

		for (next = first; next < rules.len; next++)
			if (strcmp(rules.items[next].network, rules.items[first].network) != 0)
				break;
		one.items = rules.items + first;
		one.len = next - first;
		assert_int_equal(apply(&one, NULL, 0), 0);
		assert_kernel_holds(&one, NULL);
		assert_int_equal(apply(NULL, &one, 0), 0);
		assert_int_equal(count_lines("BN-\\|BRIDGENET-PEERS\\|BRIDGENET-OPEN"), 0);
	}
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	rules_clear(&rules);
}

static void test_in_use(void **state)
{
	(void)state;
	run("ip6tables-legacy -t nat -A OUTPUT -d ::2 -j ACCEPT");
	assert_int_equal(backend->in_use(firewall, &error), 1);
	assert_int_equal(backend->present(firewall, &error), 0);
}

static void test_base_missing(void **state)
{
	static const struct {
		const char *command;
		bool network_alone; /* what is missing belongs to a network, not to the base */
	} accidents[] = {
		{ "iptables-legacy -F", false },
		{ "iptables-legacy -t nat -F BRIDGENET", true },
		{ "iptables-legacy -t raw -F BRIDGENET-RAW", false },
		{ "ip6tables-legacy -F FORWARD", false },
		{ "iptables-legacy -t nat -F PREROUTING", false },
		{ "iptables-legacy -t nat -F POSTROUTING", false },
		{ "iptables-legacy -F BRIDGENET-FORWARD", true },
		{ "iptables-legacy -D BRIDGENET-FORWARD -i nf-blue -j BN-blue:from", true },
		{ "iptables-legacy -t nat -F BRIDGENET-POSTROUTING", true },
		{ "ip6tables-legacy -t nat -D BRIDGENET -d ::1 -j RETURN", false },
		{ "iptables-legacy -F BN-blue", true },
		{ "iptables-legacy -F BN-blue:from", true },
		{ "iptables-legacy -t nat -F BN-blue:post", true },
		{ "iptables-legacy -t raw -F BN-blue:from", true },
		{ "iptables-legacy -t raw -F BRIDGENET-OUTSIDE", true },
		/* in the wrong order */
		{ "ip6tables-legacy -t nat -D BRIDGENET -d ::1 -j RETURN &&"
		  "ip6tables-legacy -t nat -A BRIDGENET -d ::1 -j RETURN",
		  true },
		{ "iptables-legacy -t raw -D BRIDGENET-RAW ! -i lo -j BRIDGENET-OUTSIDE &&"
		  "iptables-legacy -t raw -I BRIDGENET-RAW ! -i lo -j BRIDGENET-OUTSIDE",
		  true },
		{ "iptables-legacy -D FORWARD -j BRIDGENET-USER &&"
		  "iptables-legacy -A FORWARD -j BRIDGENET-USER",
		  false },
	};
	rule_vector rules = { 0 }, more = { 0 };
	struct endpoint web;

	(void)state;
	plan_all(&rules);
	web = endpoints.items[0];
	plan_mapping(&web, IPPROTO_TCP, NULL, 9999, 1337, 1, &more);
	assert_int_equal(apply(&rules, NULL, 0), FIREWALL_BASE_MISSING);
	assert_string_equal(error.message, "");
	assert_int_equal(apply(NULL, &rules, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(NULL, &rules, FIREWALL_MISSING_OK | FIREWALL_LEAVING), 0);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(accidents); i++) {
		set_counters("nat", "dport 8799");
		set_counters("raw", "-d 172.30.0.2");
		run(accidents[i].command);
		/* A port alone, also where what is missing is in another table. */
		if (apply_beside(&rules, &more) != FIREWALL_BASE_MISSING)
			fail_msg("a port is added after %s", accidents[i].command);
		if (!accidents[i].network_alone && apply(&rules, NULL, 0) != FIREWALL_BASE_MISSING)
			fail_msg("all rules are added after %s", accidents[i].command);
		assert_int_equal(apply(&rules, NULL, BASE), 0);
		assert_kernel_holds(&rules, NULL);
		/* 8799/tcp and sctp, and the drop, stood all the time */
		assert_int_equal(count_lines("^.7:700. .*dport 8799"), 2);
		assert_int_equal(count_lines("^.7:700. .*-d 172.30.0.2"), 1);
	}
	rules_clear(&rules);
	rules_clear(&more);
}

/* An endpoint more, of which there is nothing but a drop. */
static void plan_another(const rule_vector *rules, rule_vector *more)
{
	for (size_t i = 0; i < rules->len && !more->len; i++) {
		if (rules->items[i].kind != RULE_DIRECT_DROP || rules->items[i].family != AF_INET)
			continue;
		*vector_push(more) = rules->items[i];
		more->items[0].destination.addr.bytes[3] = 99;
	}
	assert_int_equal(more->len, 1);
}

/* It stays where others put it, and ours come before it. */
static void test_no_packet_gets_past(void **state)
{
	static const char *const ends[][2] = {
		{ "iptables-legacy", "FORWARD -j ACCEPT" },
		{ "iptables-legacy", "BRIDGENET-FORWARD -j ACCEPT" },
		{ "iptables-legacy", "BN-blue -j RETURN" },
		{ "iptables-legacy", "BN-blue:from -j DROP" },
		{ "iptables-legacy -t raw", "PREROUTING -j ACCEPT" },
		{ "iptables-legacy -t raw", "BRIDGENET-RAW -j RETURN" },
		{ "iptables-legacy -t raw", "BRIDGENET-OUTSIDE -j ACCEPT" },
		{ "iptables-legacy -t raw", "BN-blue:from -j ACCEPT" },
		{ "ip6tables-legacy -t nat", "BRIDGENET -j RETURN" },
		{ "iptables-legacy -t nat", "BN-blue:post -j ACCEPT" },
	};
	rule_vector rules = { 0 }, more = { 0 };
	char command[120];

	(void)state;
	plan_all(&rules);
	plan_another(&rules, &more);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(command, sizeof(command), "%s -I %s", ends[i][0], ends[i][1]);
		run(command);
		if (apply_beside(&rules, &more) != FIREWALL_BASE_MISSING)
			fail_msg("an endpoint is added after %s", command);
		assert_int_equal(apply(&rules, NULL, BASE), 0);
		if (apply_beside(&rules, &more) != 0)
			fail_msg("ours are not put first after %s: %s", command, error.message);
		assert_int_equal(apply(NULL, &more, 0), 0);
		snprintf(command, sizeof(command), "%s -D %s", ends[i][0], ends[i][1]);
		run(command);
		assert_kernel_holds(&rules, NULL);
	}
	rules_clear(&rules);
	rules_clear(&more);
}

/* A saved rule set was loaded twice: the second copy goes, the first keeps its counters. */
static void test_copies(void **state)
{
	static const char *const twice =
		"for ip in ip ip6; do ${ip}tables-legacy-save -c | grep -v '^:B' |"
		"sed 's/^.[0-9]*:[0-9]*./[0:0]/' | ${ip}tables-legacy-restore --noflush -c; done";
	rule_vector rules = { 0 }, more = { 0 };

	(void)state;
	plan_all(&rules);
	plan_another(&rules, &more);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	set_counters("raw", "-d 172.30.0.2");
	run(twice);
	assert_int_equal(count_lines("-d 172.30.0.2.*-i nf-blue -j DROP"), 2);
	assert_int_equal(apply_beside(&rules, &more), 0);
	assert_int_equal(apply(NULL, &more, 0), 0);
	assert_int_equal(count_lines("-d 172.30.0.2.*-i nf-blue -j DROP"), 1);
	assert_int_equal(count_lines("^.7:700. .*-d 172.30.0.2"), 1);
	/* those of ports go with the original */
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	/* and at once */
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	run(twice);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	rules_clear(&rules);
	rules_clear(&more);
}

static void test_base_is_added_once(void **state)
{
	rule_vector rules = { 0 };
	char *before;

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	before = output_of(SAVE_ALL);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_output_is(SAVE_ALL, before);
	free(before);
	rules_clear(&rules);
}

static void assert_taken(const rule_vector *rules, const char *port)
{
	char *before = output_of(SAVE_ALL);

	assert_int_equal(apply(rules, NULL, 0), -EEXIST);
	assert_int_equal(error.reason, BN_REASON_PORT_IN_USE);
	if (!strstr(error.message, port))
		fail_msg("no '%s' in: %s", port, error.message);
	assert_output_is(SAVE_ALL, before);
	free(before);
}

static void test_port_taken(void **state)
{
	static const struct {
		const char *address;
		uint16_t first, count;
		const char *taken; /* NULL: it is free */
	} cases[] = {
		{ NULL, 8799, 1, "8799/tcp" },
		{ "0.0.0.0", 8799, 1, "8799/tcp" },
		{ "198.51.100.1", 8799, 1, "8799/tcp" },
		{ NULL, 8790, 20, "8799/tcp" },
		{ NULL, 8080, 1, "8080/tcp of 192.0.2.1" },
		{ "192.0.2.1", 8080, 1, "8080/tcp" },
		{ "192.0.2.2", 8080, 1, NULL },
		{ NULL, 9099, 10, "9099/tcp" },
		{ NULL, 8990, 11, "9000/tcp" },
		{ "192.0.2.1", 9050, 1, "9050/tcp" },
		{ NULL, 8990, 10, NULL },
		{ NULL, 9100, 1, NULL },
	};
	rule_vector rules = { 0 }, ports = { 0 }, one = { 0 };
	struct endpoint web, rival;

	(void)state;
	web = plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, &rules);
	rival = plan_pair("red", "nf-red", "172.31.0.0/16", NULL, &rules);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &ports);
	plan_mapping(&web, IPPROTO_TCP, "192.0.2.1", 8080, 1337, 1, &ports);
	plan_mapping(&web, IPPROTO_TCP, NULL, 9000, 9000, 100, &ports);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		one.len = 0;
		plan_mapping(&rival, IPPROTO_TCP, cases[i].address, cases[i].first, 80,
			     cases[i].count, &one);
		if (cases[i].taken) {
			assert_taken(&one, cases[i].taken);
			continue;
		}
		assert_int_equal(apply(&one, NULL, 0), 0);
		assert_int_equal(apply(NULL, &one, 0), 0);
	}
	/* The same number of another protocol is another port; in place of the first it goes. */
	one.len = 0;
	plan_mapping(&rival, IPPROTO_UDP, NULL, 8799, 80, 1, &one);
	assert_int_equal(apply(&one, NULL, 0), 0);
	assert_int_equal(apply(NULL, &one, 0), 0);
	one.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, NULL, 9000, 80, 100, &one);
	assert_int_equal(apply(&one, &ports, 0), 0);
	assert_kernel_holds(&rules, &one);
	/* The same rule twice is there once; another network's, to the same address, is not it. */
	assert_int_equal(apply(&one, NULL, 0), 0);
	assert_int_equal(apply(&rules, NULL, 0), 0);
	assert_kernel_holds(&rules, &one);
	string_copy(rival.network, sizeof(rival.network), "blue");
	one.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, NULL, 9000, 80, 100, &one);
	assert_taken(&one, "9000/tcp");
	rules_clear(&rules);
	rules_clear(&ports);
	rules_clear(&one);
}

static void test_missing(void **state)
{
	rule_vector rules = { 0 }, ports = { 0 }, more = { 0 };
	struct endpoint web, rival;

	(void)state;
	web = plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, &rules);
	rival = plan_pair("red", "nf-red", "172.31.0.0/16", NULL, &rules);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &ports);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_int_equal(apply(&ports, NULL, 0), 0);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &more);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8801, 1339, 1, &more);
	assert_int_equal(apply(NULL, &more, 0), -ENOENT);
	assert_string_not_equal(error.message, "");
	assert_kernel_holds(&rules, &ports);
	/* What has the port of a rule to remove but leads to another stays. */
	more.len = 0;
	plan_mapping(&rival, IPPROTO_TCP, NULL, 8799, 1337, 1, &more);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1338, 1, &more);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&rules, &ports);
	more.len = 0;
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &more);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8801, 1339, 1, &more);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(NULL, &more, FIREWALL_MISSING_OK), 0);
	rules_clear(&rules);
	rules_clear(&ports);
	rules_clear(&more);
}

static void test_replace(void **state)
{
	rule_vector rules = { 0 }, old = { 0 }, new = { 0 }, more = { 0 };
	struct endpoint web;

	(void)state;
	web = plan_pair("blue", "nf-blue", "172.30.0.0/16", NULL, &rules);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &old);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8800, 1338, 1, &old);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_int_equal(apply(&old, NULL, 0), 0);
	set_counters("nat", "--dport 8799");
	/* One that is there as planned (it keeps its counters), and one more. */
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &new);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8801, 1338, 2, &new);
	assert_int_equal(apply(&new, NULL, 0), 0);
	assert_int_equal(apply(&rules, NULL, 0), 0);
	assert_int_equal(count_lines("^.7:700. -A BN-blue -p tcp -m tcp --dport 8799 "), 1);
	assert_int_equal(apply(NULL, &old, 0), 0);
	plan_mapping(&web, IPPROTO_TCP, NULL, 8799, 1337, 1, &more);
	assert_int_equal(apply(&more, NULL, 0), 0);
	assert_int_equal(apply(&new, NULL, 0), 0);
	assert_kernel_holds(&rules, &new);
	/* What leads elsewhere has the port all the same. */
	more.len = 0;
	plan_mapping(&web, IPPROTO_TCP, NULL, 8802, 9999, 1, &more);
	assert_int_equal(apply(&more, NULL, 0), -EEXIST);
	assert_non_null(strstr(error.message, "8802/tcp"));
	assert_kernel_holds(&rules, &new);
	rules_clear(&more);
	rules_clear(&rules);
	rules_clear(&old);
	rules_clear(&new);
}

/* Each of a kind that only iptables itself can make, with counters. */
static const char others[] =
	"ipset create bn-test hash:ip && set -e;"
	"for i in iptables ip6tables; do $i-legacy -P INPUT DROP;"
	"$i-legacy -A FORWARD -c 1 10 -p tcp -m string --string 'a \"b' --algo bm -j DROP;"
	"$i-legacy -A FORWARD -c 2 20 -m recent --set --name x --rsource;"
	"$i-legacy -t raw -A PREROUTING -c 3 30 -j LOG --log-prefix 'x: ';"
	"$i-legacy -A FORWARD -c 4 40 -m bpf --bytecode '1,6 0 0 1' -m limit -j REJECT;"
	"$i-legacy -t nat -N OTHER; $i-legacy -t nat -A PREROUTING -c 5 50 -i e+ -g OTHER;"
	"$i-legacy -t nat -A OTHER -c 6 60 -p tcp --dport 8799 -j REDIRECT --to-ports 1;"
	"$i-legacy -t mangle -A FORWARD -c 7 70 -j MARK --set-mark 1; done;"
	"iptables-legacy -A FORWARD -c 8 80 -m set --match-set bn-test src -j ACCEPT;"
	"iptables-legacy -t nat -A POSTROUTING -c 9 90 -j MASQUERADE --random";

static void test_others_stay(void **state)
{
	rule_vector rules = { 0 };
	char *before;

	(void)state;
	run(others);
	before = output_of(SAVE_ALL);
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(backend->in_use(firewall, &error), 1);
	assert_output_is(SAVE_ALL " | grep -v -e BRIDGENET -e ' BN-' -e ':BN-'", before);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_output_is(SAVE_ALL, before);
	free(before);
	rules_clear(&rules);
}

static void test_comments(void **state)
{
	rule_vector rules = { 0 };

	(void)state;
	plan_all(&rules);
	open_with(&(struct firewall_config){ .comments = true });
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(count_lines("--dport 8799 .*--comment \"?blue/web\"? "), 3);
	assert_int_equal(count_lines("-A FORWARD .*--comment \"?bridgenet\"? "), 4);
	assert_int_equal(count_lines("^.[0-9]*:[0-9]*. -A"), count_lines("--comment"));
	/* Whoever made them, they are the same rules. */
	open_with(&(struct firewall_config){ .comments = false });
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	rules_clear(&rules);
}

static void test_lock(void **state)
{
	rule_vector rules = { 0 }, read = { 0 };
	struct deadline deadline;
	int fd = open(XTABLES_LOCK, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	plan_all(&rules);
	/* Two openings of a file exclude each other like two processes. */
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	firewall->deadline = &deadline;
	deadline = deadline_after(50);
	assert_int_equal(apply(&rules, NULL, BASE), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	assert_non_null(strstr(error.message, XTABLES_LOCK));
	assert_true(clock_now_ms() >= deadline.end);
	deadline = deadline_after(50);
	assert_int_equal(backend->list(firewall, NULL, &read, &error), -ETIMEDOUT);
	/* It is about that file alone. */
	open_with(&(struct firewall_config){ .lock_file = "/run/bn-test-other.lock" });
	deadline = deadline_after(30000);
	firewall->deadline = &deadline;
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	open_with(NULL);
	close(fd);
	deadline = deadline_after(30000);
	firewall->deadline = &deadline;
	assert_kernel_holds(&rules, NULL);
	/* also where there is no lock to wait for */
	deadline.end = 1;
	assert_int_equal(backend->in_use(firewall, &error), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	open_with(&(struct firewall_config){ .lock_file = "/no/such/directory/lock" });
	assert_int_equal(apply(NULL, &rules, 0), -ENOENT);
	assert_non_null(strstr(error.message, "/no/such/directory/lock"));
	rules_clear(&rules);
}

/* iptables waits as well while we change something, and the other way round. */
static void test_lock_is_shared_with_iptables(void **state)
{
	rule_vector rules = { 0 };
	int status;
	pid_t child;

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(NULL, NULL, BASE), 0);
	child = fork();
	if (child == 0)
		_exit(system("for i in $(seq 40); do iptables-legacy -w -A INPUT -s 192.0.2.$i "
			     "-j DROP || exit 1; done") != 0);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(apply(&rules, NULL, 0), 0);
		assert_int_equal(apply(NULL, &rules, 0), 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_kernel_holds(NULL, NULL);
	assert_int_equal(count_lines("-A INPUT -s 192.0.2"), 40);
	rules_clear(&rules);
}

static void test_remove_base(void **state)
{
	rule_vector rules = { 0 }, read = { 0 };

	(void)state;
	plan_all(&rules);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	/* Networks are left: nothing happens. */
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_kernel_holds(&rules, NULL);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	run("iptables-legacy -A BRIDGENET-USER -s 192.0.2.7 -c 9 90 -j DROP");
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	/* the chain, the jump to it, and the rule */
	assert_int_equal(count_lines("BRIDGENET"), 3);
	assert_int_equal(count_lines("-A FORWARD -j BRIDGENET-USER"), 1);
	list(NULL, &read);
	assert_int_equal(read.len, 2);
	assert_int_equal(read.items[0].kind, RULE_USER_JUMP);
	assert_int_equal(read.items[1].chain, CHAIN_FILTER_USER);
	assert_int_equal(read.items[1].target, TARGET_DROP);
	assert_int_equal(read.items[1].packets, 9);
	assert_int_equal(read.items[1].bytes, 90);
	assert_string_equal(read.items[1].foreign, "-s 192.0.2.7/32 -j DROP");
	rules_clear(&read);
	assert_int_equal(apply(&rules, NULL, 0), FIREWALL_BASE_MISSING);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_int_equal(count_lines("-A FORWARD -j BRIDGENET-USER"), 2);
	assert_int_equal(apply(NULL, &rules, 0), 0);
	run("iptables-legacy -F BRIDGENET-USER");
	assert_int_equal(backend->remove_base(firewall, &error), 0);
	assert_only_empty_tables();
	rules_clear(&rules);
}

/* Rules of one network leave those of another where they are, in every chain that they share. */
static void test_networks_come_and_go(void **state)
{
	rule_vector one = { 0 }, two = { 0 };
	char *before;

	(void)state;
	plan_pair("blue", "nf-blue", "172.30.0.0/16", "fd30::/64", &one);
	plan_pair("red", "nf-red", "172.31.0.0/16", "fd31::/64", &two);
	assert_int_equal(apply(&one, NULL, BASE), 0);
	set_counters("raw", "BN-blue");
	set_counters("filter", "nf-blue");
	set_counters("nat", "BN-blue");
	before = output_of(SAVE_ALL);
	assert_int_equal(apply(&two, NULL, 0), 0);
	assert_kernel_holds(&one, &two);
	/* What leads to a network comes before what lets networks out: none gets into another. */
	run("iptables-legacy -S BRIDGENET-FORWARD | awk '/-i .* BN-/ {out++} "
	    "/-o .* BN-/ {if (out) exit 1; jumps++} END {if (jumps != 2 || out != 2) exit 1}'");
	/* and what comes from one of them meets no drop about the others */
	run("iptables-legacy -t raw -S BRIDGENET-RAW | awk '/-j BRIDGENET-OUTSIDE/ {end++} "
	    "/-g BN-/ {if (end) exit 1; gotos++} END {if (gotos != 2 || end != 1) exit 1}'");
	assert_int_equal(apply(NULL, &two, 0), 0);
	assert_output_is(SAVE_ALL, before);
	free(before);
	rules_clear(&one);
	rules_clear(&two);
}

/* A chain has the name of a network only as far as there is room. */
static void test_long_names(void **state)
{
	/* a short hash of them is the same */
	static const char first[] = "the-very-same-beginning-2978";
	static const char second[] = "the-very-same-beginning-4441";
	rule_vector one = { 0 }, two = { 0 };
	struct endpoint web;

	(void)state;
	web = plan_pair(first, "nf-one", "172.30.0.0/16", "fd30::/64", &one);
	plan_mapping(&web, IPPROTO_TCP, NULL, 80, 80, 1, &one);
	web = plan_pair(second, "nf-two", "172.31.0.0/16", "fd31::/64", &two);
	plan_mapping(&web, IPPROTO_TCP, NULL, 81, 80, 1, &two);
	assert_int_equal(apply(&one, NULL, BASE), 0);
	assert_int_equal(apply(&two, NULL, 0), 0);
	assert_kernel_holds(&one, &two);
	assert_int_equal(count_lines("^:BN-th~"), 2 * 2 * 6);
	assert_int_equal(apply(NULL, &one, 0), 0);
	assert_kernel_holds(&two, NULL);
	rules_clear(&one);
	rules_clear(&two);
}

static void test_order_in_own_chains(void **state)
{
	rule_vector rules = { 0 };
	char *before;

	(void)state;
	plan_all(&rules);
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	before = output_of("iptables-legacy -S BRIDGENET-FORWARD; iptables-legacy -S BN-blue");
	/* the last that leads to a network, and the first rule of one */
	run("iptables-legacy -D BRIDGENET-FORWARD 4; iptables-legacy -D BN-blue 1");
	assert_int_equal(apply(&rules, NULL, BASE), 0);
	assert_output_is("iptables-legacy -S BRIDGENET-FORWARD; iptables-legacy -S BN-blue",
			 before);
	free(before);
	rules_clear(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIREWALL_TEST(test_read_back),
		FIREWALL_TEST(test_iptables_reads_what_it_writes),
		FIREWALL_TEST(test_policies),
		FIREWALL_TEST(test_in_use),
		FIREWALL_TEST(test_base_missing),
		FIREWALL_TEST(test_no_packet_gets_past),
		FIREWALL_TEST(test_copies),
		FIREWALL_TEST(test_base_is_added_once),
		FIREWALL_TEST(test_port_taken),
		FIREWALL_TEST(test_missing),
		FIREWALL_TEST(test_replace),
		FIREWALL_TEST(test_others_stay),
		FIREWALL_TEST(test_comments),
		FIREWALL_TEST(test_lock),
		FIREWALL_TEST(test_lock_is_shared_with_iptables),
		FIREWALL_TEST(test_remove_base),
		FIREWALL_TEST(test_networks_come_and_go),
		FIREWALL_TEST(test_long_names),
		FIREWALL_TEST(test_order_in_own_chains),
		FIREWALL_TEST(test_privilege),
	};

	return cmocka_run_group_tests_name("iptables-legacy backend", tests, NULL, NULL);
}
