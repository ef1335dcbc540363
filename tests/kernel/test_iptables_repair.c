/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done to the chains of the iptables-legacy backend: a look tells of it, and one repair
 * makes it as it was. */
#include "firewall_stage.h"

#include "../unit/plan_parts.h"
#include "firewall/iptables/iptables.h"

const struct firewall_backend *const backend = &iptables_backend;

static rule_vector rules, planned;
static bool has_nodes;

static int setup_all(void **state)
{
	int r = stage_setup(state);

	if (r < 0)
		return r;
	plan_all(&rules);
	return apply(&rules, NULL, FIREWALL_BASE);
}

static int setup_policies(void **state)
{
	int r = stage_setup(state);

	if (r < 0)
		return r;
	plan_policies(&rules);
	return apply(&rules, NULL, FIREWALL_BASE);
}

/* Chains below chains: of ports, and of networks on bridges that the library has named. */
static int setup_nodes(void **state)
{
	int r = stage_setup(state);
	char name[16], bridge[IFNAMSIZ], ipv4[32], ipv6[32];
	struct endpoint web;

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "net%u", i);
		snprintf(bridge, sizeof(bridge), "bn-%x%011x", i % 16, i);
		snprintf(ipv4, sizeof(ipv4), "10.%u.0.0/16", i);
		snprintf(ipv6, sizeof(ipv6), "fd%02x:%u::/64", i % 4, i);
		web = plan_pair(name, bridge, ipv4, ipv6, &rules);
	}
	for (unsigned int i = 0; i < 300; i++)
		plan_mapping(&web, i % 2 ? IPPROTO_TCP : IPPROTO_UDP, NULL,
			     (uint16_t)(8000 + 30 * i), 80, 1, &rules);
	has_nodes = true;
	return apply(&rules, NULL, FIREWALL_BASE);
}

static int teardown(void **state)
{
	has_nodes = false;
	rules_clear(&rules);
	rules_clear(&planned);
	return stage_teardown(state);
}

/* Of the networks; the base is the backend's own to know. */
static const rule_vector *all_planned(void)
{
	if (planned.len)
		return &planned;
	for (size_t i = 0; i < rules.len; i++)
		*vector_push(&planned) = rules.items[i];
	rules_sort(&planned);
	return &planned;
}

static void say(const finding_vector *findings)
{
	char *text;

	for (size_t i = 0; i < findings->len; i++) {
		assert_int_equal(finding_text(&findings->items[i], &text), 0);
		print_message("    %d %s\n", findings->items[i].severity, text);
		free(text);
	}
}

static finding_vector inspected(void)
{
	finding_vector findings = { 0 };
	int r;

	error_clear(&error);
	r = backend->inspect(firewall, all_planned(), true, &findings, &error);
	if (r < 0)
		fail_msg("inspect: %d %s", r, error.message);
	return findings;
}

static size_t count_found(enum finding_code code, int severity)
{
	finding_vector findings = inspected();
	size_t count = 0;

	for (size_t i = 0; i < findings.len; i++)
		count += findings.items[i].code == code && findings.items[i].severity == severity;
	findings_clear(&findings);
	return count;
}

/* How many findings, less those of others' rules. */
static size_t look(bool aloud)
{
	finding_vector findings = inspected();
	size_t count = 0;

	for (size_t i = 0; i < findings.len; i++)
		count += findings.items[i].code != FINDING_RULE_ALIEN &&
			 findings.items[i].code != FINDING_RULE_SHADOWS;
	if (aloud)
		say(&findings);
	findings_clear(&findings);
	return count;
}

/* What list() shows to be missing. */
static bool is_whole(void)
{
	rule_vector read = { 0 }, base = { 0 };
	size_t ours = 0, due;

	list(NULL, &read);
	for (size_t i = 0; i < read.len; i++)
		ours += read.items[i].kind != RULE_FOREIGN;
	rules_clear(&read);
	assert_int_equal(plan_parts(backend->traits(), PLAN_BASE, NULL, NULL, NULL, &base), 0);
	due = all_planned()->len + base.len;
	rules_clear(&base);
	return ours == due;
}

static void repair(const rule_vector *remove)
{
	const struct firewall_change change = {
		.remove = remove ? remove->items : NULL,
		.remove_len = remove ? remove->len : 0,
		.stand = rules.items,
		.stand_len = rules.len,
		.flags = FIREWALL_REPAIR | FIREWALL_BASE | FIREWALL_MISSING_OK,
	};

	error_clear(&error);
	if (backend->apply(firewall, &change, &error) < 0)
		fail_msg("repair: %s", error.message);
}

/* Some are of IPv4 alone; what was not done at all, nobody sees. */
#define IPTABLES "exec 2>/dev/null; for iptables in iptables-legacy ip6tables-legacy; do "

#define ANY_PLACE "-w " /* what comes back is behind others of its kind */

/* Of both families, and of each table in turn. */
static const char *const damages[] = {
	/* chains of ours */
	"-t raw -F BRIDGENET-RAW",
	"-t raw -F BRIDGENET-LOOPBACK",
	"-t raw -F BRIDGENET-OUTSIDE",
	"-t raw -F BN-blue",
	"-t filter -F BRIDGENET-FORWARD",
	"-t filter -F BN-blue",
	"-t filter -F BN-blue:from",
	"-t nat -F BRIDGENET",
	"-t nat -F BN-blue",
	"-t nat -F BRIDGENET-POSTROUTING",
	"-t nat -F BN-blue:post",
	/* all of the kernel's */
	"-t raw -F PREROUTING",
	"-t filter -F FORWARD",
	"-t nat -F PREROUTING",
	"-t nat -F OUTPUT",
	"-t nat -F POSTROUTING",
	/* all of a table */
	"-t raw -F",
	"-t filter -F",
	"-t nat -F",
	"-t raw -F;$iptables -t raw -X",
	"-t filter -F;$iptables -t filter -X",
	"-t nat -F;$iptables -t nat -X",
	/* jumps */
	"-t raw -D PREROUTING -j BRIDGENET-RAW",
	"-t filter -D FORWARD -j BRIDGENET-FORWARD",
	"-t filter -D FORWARD -j BRIDGENET-USER",
	"-t nat -D PREROUTING 1",
	"-t nat -D OUTPUT 1",
	"-t nat -D POSTROUTING -j BRIDGENET-POSTROUTING",
	ANY_PLACE "-t filter -D BRIDGENET-FORWARD 1",
	ANY_PLACE "-t filter -D BRIDGENET-FORWARD -i nf-keep -j BN-keep:from",
	ANY_PLACE "-t raw -D BRIDGENET-RAW 1",
	ANY_PLACE "-t raw -D BRIDGENET-RAW 3",
	ANY_PLACE "-t nat -D BRIDGENET-POSTROUTING -j BN-keep:post",
	/* the same twice */
	"-t raw -A PREROUTING -j BRIDGENET-RAW",
	"-t filter -A FORWARD -j BRIDGENET-FORWARD",
	"-t filter -I FORWARD -j BRIDGENET-USER",
	"-t nat -A POSTROUTING -j BRIDGENET-POSTROUTING",
	"-t filter -A BN-blue:from -i nf-blue -j ACCEPT",
	/* in another order */
	"-t filter -D FORWARD -j BRIDGENET-USER;"
	"$iptables -t filter -A FORWARD -j BRIDGENET-USER",
};

/* Counters are of another case: the commands themselves lose some. */
#define SAVE "{ iptables-legacy-save && ip6tables-legacy-save; } | grep -v '^#' | sed 's/ \\[.*//'"

static void assert_repaired(const char *damage, const char *before)
{
	bool in_order = strncmp(damage, ANY_PLACE, strlen(ANY_PLACE)) != 0;
	bool missing = !is_whole();
	size_t seen = look(false);
	char *after;

	if (!seen && !missing)
		fail_msg("nobody sees '%s'", damage);
	repair(NULL);
	after = output_of(in_order ? SAVE : SAVE " | sort");
	if (strcmp(before, after) != 0)
		fail_msg("after '%s' it is\n%s", damage, after);
	free(after);
	if (look(false)) {
		look(true);
		fail_msg("this is still seen after '%s'", damage);
	}
}

static void assert_each_repaired(const char *const *each, size_t len)
{
	char *before = NULL, command[512];

	if (look(false)) {
		look(true);
		fail_msg("nothing was done yet");
	}
	for (size_t i = 0; i < len; i++) {
		free(before);
		before = output_of(strncmp(each[i], ANY_PLACE, strlen(ANY_PLACE)) ? SAVE :
										    SAVE " | sort");
		snprintf(command, sizeof(command), IPTABLES "$iptables %s; done; true", each[i]);
		run(command);
		assert_repaired(each[i], before);
	}
	free(before);
}

static void test_damages(void **state)
{
	(void)state;
	assert_each_repaired(damages, ARRAY_SIZE(damages));
}

static void test_damaged_nodes(void **state)
{
	static const char *const nodes[] = {
		ANY_PLACE "-t nat -F BN-net39",
		ANY_PLACE "-t nat -F BN-net39:tcp14k",
		ANY_PLACE "-t nat -F BN-net39:tcp14336",
		ANY_PLACE "-t nat -F BN-net39:tcp14336;"
			  "$iptables -t nat -D BN-net39:tcp14k -p tcp --dport 14336:14399 -g "
			  "BN-net39:tcp14336",
		ANY_PLACE "-t nat -D BN-net39 -p tcp --dport 14336:16383 -g BN-net39:tcp14k",
		ANY_PLACE "-t nat -D BN-net39 -p udp --dport 14336:16383 -g BN-net39:udp14k;"
			  "$iptables -t nat -A BN-net39 -p udp --dport 14336:16384 -g "
			  "BN-net39:udp14k",
		"-t nat -A BN-net39 -p tcp --dport 14336:16383 -g BN-net39:tcp14k",
		ANY_PLACE "-t nat -I BN-net39 -p tcp --dport 14336:16383 -g BN-net39:tcp12k",
		ANY_PLACE "-t nat -D BN-net39 1;$iptables -t nat -A BN-net39:tcp14k -p tcp "
			  "--dport 8030 -j DNAT --to 10.39.0.2:80",
		ANY_PLACE "-t filter -F BRIDGENET-TO:3",
		ANY_PLACE "-t filter -D BRIDGENET-FORWARD -o bn-3+ -j BRIDGENET-TO:3",
		"-t filter -A BRIDGENET-FORWARD -o bn-3+ -j BRIDGENET-TO:3",
		ANY_PLACE "-t filter -D BRIDGENET-FORWARD -o bn-3+ -j BRIDGENET-TO:3;"
			  "$iptables -t filter -A BRIDGENET-FORWARD -o bn-3+ -j BRIDGENET-TO:3",
		"-t raw -D BRIDGENET-RAW:3 ! -i lo -j BRIDGENET-OUTSIDE",
		"-t raw -A BRIDGENET-RAW:3 ! -i lo -j BRIDGENET-OUTSIDE",
		ANY_PLACE "-t raw -F BRIDGENET-RAW:3",
		ANY_PLACE "-t raw -F BRIDGENET-RAW",
		ANY_PLACE "-t raw -F BRIDGENET-OUTSIDE",
		ANY_PLACE "-t filter -F BRIDGENET-FORWARD",
	};

	(void)state;
	assert_each_repaired(nodes, ARRAY_SIZE(nodes));
}

/* Each rule in turn taken out, put last, put twice, put before its neighbour. */
static const char *const edits[] = {
	"/^-A/ && ++n == N {next} {print}",
	"/^-A/ && ++n == N {last = $0; next} /^COMMIT/ && last {print last; last = \"\"} {print}",
	"/^-A/ && ++n == N {print} {print}",
	"/^-A/ && ++n == N {held = $0; next} {print} held {print held; held = \"\"}",
};

static void edit_rule(const char *command, size_t number, const char *edit, const char *before)
{
	char line[512], *after;

	/* what is held at the end of a table has nothing behind it */
	snprintf(line, sizeof(line),
		 "%s-save | awk -v N=%zu '%s' | awk '/^COMMIT/ {c = 1} c && /^-A/ {next} {print} "
		 "/^\\*/ {c = 0}' | %s-restore",
		 command, number, edit, command);
	run(line);
	repair(NULL);
	after = output_of(SAVE " | sort");
	/* what was put at the end of a chain that leads on goes into a node */
	if (strcmp(before, after) != 0 && !has_nodes)
		fail_msg("%s: rule %zu, edit %s", command, number, edit);
	free(after);
	assert_kernel_holds(&rules, NULL);
	if (look(false)) {
		look(true);
		fail_msg("this is still seen: %s, rule %zu, edit %s", command, number, edit);
	}
}

static void test_each_rule(void **state)
{
	static const char *const commands[] = { "iptables-legacy", "ip6tables-legacy" };
	char *before = output_of(SAVE " | sort"), line[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char *count;
		size_t len;

		snprintf(line, sizeof(line), "%s-save | grep -c ^-A", commands[i]);
		count = output_of(line);
		len = (size_t)atoi(count);
		free(count);
		for (size_t j = 1; j <= len; j += len / 16 + 1)
			for (size_t k = 0; k < ARRAY_SIZE(edits); k++)
				edit_rule(commands[i], j, edits[k], before);
	}
	free(before);
}

/* ---- rules of others ---- */

/* Beside what is others'. */
static void assert_kernel_holds_all(const char *after)
{
	if (!is_whole())
		fail_msg("something is missing, or twice there, after '%s'", after);
}

/* Each is put in, and taken out again. */
static const struct foreign {
	const char *rules; /* of IPv4: of iptables-restore(8), with --noflush */
	enum finding_code code;
	int severity;
	const char *before, *after; /* a repair: the one stands before the other; or NULL */
} foreigners[] = {
	/* what lets past ours */
	{ "*filter\n-I FORWARD -i eth9 -j ACCEPT", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A FORWARD -j BRIDGENET-FORWARD", "-A FORWARD -i eth9 -j ACCEPT" },
	{ "*filter\n-I FORWARD -j RETURN", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A FORWARD -j BRIDGENET-FORWARD", "-A FORWARD -j RETURN" },
	{ "*filter\n-I FORWARD 2 -p udp -j ACCEPT", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A FORWARD -j BRIDGENET-FORWARD", "-A FORWARD -p udp -j ACCEPT" },
	{ "*filter\n:ONE -\n:TWO -\n-A TWO -s 192.0.2.1 -j ACCEPT\n-A ONE -j TWO\n"
	  "-I FORWARD -j ONE",
	  FINDING_RULES_ORDER, BN_SEVERITY_OPEN, "-A FORWARD -j BRIDGENET-FORWARD",
	  "-A FORWARD -j ONE" },
	{ "*filter\n:ONE -\n-I FORWARD -g ONE", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A FORWARD -j BRIDGENET-FORWARD", "-A FORWARD -g ONE" },
	{ "*filter\n-I FORWARD -s 192.0.2.1 -j ACCEPT\n-I FORWARD -s 192.0.2.2 -j DROP",
	  FINDING_RULES_ORDER, BN_SEVERITY_OPEN, "-A FORWARD -j BRIDGENET-FORWARD",
	  "-A FORWARD -s 192.0.2.1/32 -j ACCEPT" },
	{ "*filter\n-I FORWARD -s 192.0.2.1 -j ACCEPT\n-I FORWARD -s 192.0.2.2 -j DROP",
	  FINDING_RULES_ORDER, BN_SEVERITY_OPEN, "-A FORWARD -s 192.0.2.2/32 -j DROP",
	  "-A FORWARD -j BRIDGENET-USER" },
	{ "*raw\n-I PREROUTING -i eth9 -j ACCEPT", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A PREROUTING -j BRIDGENET-RAW", "-A PREROUTING -i eth9 -j ACCEPT" },
	{ "*filter\n-I BN-blue -s 192.0.2.0/24 -j ACCEPT", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A BN-blue -o nf-blue -j DROP", "-A BN-blue -s 192.0.2.0/24 -j ACCEPT" },
	{ "*filter\n-I BN-blue -s 192.0.2.0/24 -j ACCEPT", FINDING_RULE_ALIEN, BN_SEVERITY_OPEN,
	  NULL, NULL },
	{ "*raw\n-I BN-blue -s 192.0.2.0/24 -j RETURN", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A BN-blue -d 172.30.0.2/32 ! -i nf-blue -j DROP",
	  "-A BN-blue -s 192.0.2.0/24 -j RETURN" },
	{ "*filter\n-I BRIDGENET-FORWARD -j ACCEPT", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A BRIDGENET-FORWARD -o nf-blue -j BN-blue", "-A BRIDGENET-FORWARD -j ACCEPT" },
	/* what ends ours */
	{ "*filter\n-I FORWARD -j DROP", FINDING_RULES_ORDER, BN_SEVERITY_OPEN,
	  "-A FORWARD -j BRIDGENET-FORWARD", "-A FORWARD -j DROP" },
	{ "*nat\n-I PREROUTING -j ACCEPT", FINDING_RULES_ORDER, BN_SEVERITY_BROKEN,
	  "-A PREROUTING -m addrtype --dst-type LOCAL -j BRIDGENET", "-A PREROUTING -j ACCEPT" },
	{ "*nat\n-I BN-blue -j RETURN", FINDING_RULES_ORDER, BN_SEVERITY_BROKEN,
	  "-A BN-blue -p tcp -m tcp --dport 8799 -j DNAT", "-A BN-blue -j RETURN" },
	/* what translates first */
	{ "*nat\n-I PREROUTING -p tcp --dport 8799 -j DNAT --to 192.0.2.5", FINDING_RULE_SHADOWS,
	  BN_SEVERITY_BROKEN, "-A PREROUTING -p tcp -m tcp --dport 8799",
	  "-A PREROUTING -m addrtype" },
	{ "*nat\n-I OUTPUT -p tcp --dport 8000:9000 -j REDIRECT --to-ports 1", FINDING_RULE_SHADOWS,
	  BN_SEVERITY_BROKEN, NULL, NULL },
	{ "*nat\n-I PREROUTING -i eth9 -j ACCEPT", FINDING_RULE_SHADOWS, BN_SEVERITY_BROKEN, NULL,
	  NULL },
	{ "*nat\n:ONE -\n:TWO -\n-A TWO -j DNAT --to-destination 192.0.2.5\n"
	  "-A ONE -p tcp --dport 80 -d 192.0.2.1 -j TWO\n-I PREROUTING -j ONE",
	  FINDING_RULE_SHADOWS, BN_SEVERITY_BROKEN, NULL, NULL },
	/* what keeps out */
	{ "*filter\n-I FORWARD -s 192.0.2.2 -j DROP", FINDING_RULE_SHADOWS, BN_SEVERITY_NOTE,
	  "-A FORWARD -s 192.0.2.2/32 -j DROP", "-A FORWARD -j BRIDGENET-USER" },
	/* in chains of ours, behind all of it */
	{ "*filter\n-A BN-blue -s 192.0.2.0/24 -j ACCEPT", FINDING_RULE_ALIEN, BN_SEVERITY_NOTE,
	  NULL, NULL },
	{ "*filter\n-A FORWARD -s 192.0.2.0/24 -j BRIDGENET-FORWARD", FINDING_RULE_ALIEN,
	  BN_SEVERITY_NOTE, NULL, NULL },
};

/* None of ours is about that. */
static const char *const harmless[] = {
	"*filter\n-I FORWARD -i eth9 -o eth8 -j ACCEPT",
	"*filter\n-I FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
	"*filter\n-I INPUT -j ACCEPT",
	"*filter\n:ONE -\n-A ONE -i eth9 -o eth8 -j ACCEPT\n-A ONE -j RETURN\n-I FORWARD -j ONE",
	"*filter\n-I FORWARD -j LOG",
	"*filter\n-I FORWARD -o eth9 -j DROP",
	"*filter\n-A FORWARD -j ACCEPT",
	"*filter\n-A BRIDGENET-USER -j ACCEPT",
	"*raw\n-I PREROUTING -i lo -j ACCEPT",
	"*raw\n-I PREROUTING -p udp -j CT --notrack",
	"*nat\n-I PREROUTING -p tcp --dport 9 -j DNAT --to 192.0.2.5",
	"*nat\n-I PREROUTING -p udp --dport 8799 -j DNAT --to 192.0.2.5",
	"*nat\n-I PREROUTING -d 198.51.100.7 -p tcp --dport 8799 -j DNAT --to 192.0.2.5",
	"*nat\n:ONE -\n-A ONE -d 198.51.100.7 -j DNAT --to 192.0.2.5\n-I PREROUTING -j ONE",
	"*nat\n-A PREROUTING -j ACCEPT",
};

static void put_in(const char *text)
{
	FILE *pipe = popen("iptables-legacy-restore --noflush", "w");

	assert_non_null(pipe);
	fprintf(pipe, "%s\nCOMMIT\n", text);
	if (pclose(pipe) != 0)
		fail_msg("iptables-legacy-restore: %s", text);
}

static void assert_order(const char *before, const char *after, const char *what)
{
	char *all = output_of(SAVE_ALL " | sed 's/^\\[[0-9:]*\\] //'");
	const char *first = strstr(all, before), *second = strstr(all, after);

	if (!first || !second || first > second)
		fail_msg("of '%s' '%s' is to come before '%s'", what, before, after);
	free(all);
}

static void test_foreign(void **state)
{
	(void)state;
	run("iptables-legacy-save > /run/saved; ip link set lo up; ip address add 192.0.2.1 dev lo");
	for (size_t i = 0; i < ARRAY_SIZE(foreigners); i++) {
		const struct foreign *foreign = &foreigners[i];

		put_in(foreign->rules);
		if (count_found(foreign->code, foreign->severity) == 0) {
			look(true);
			fail_msg("nobody sees '%s'", foreign->rules);
		}
		repair(NULL);
		if (look(false)) {
			look(true);
			fail_msg("this is still seen after '%s'", foreign->rules);
		}
		if (foreign->before)
			assert_order(foreign->before, foreign->after, foreign->rules);
		assert_kernel_holds_all(foreign->rules);
		run("iptables-legacy-restore < /run/saved");
	}
}

static void test_harmless(void **state)
{
	(void)state;
	/* a host without addresses takes any for its own */
	run("ip link set lo up");
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		char *before, *after;
		finding_vector findings;

		put_in(harmless[i]);
		findings = inspected();
		if (findings.len) {
			say(&findings);
			fail_msg("it is said about '%s'", harmless[i]);
		}
		before = output_of(SAVE);
		repair(NULL);
		after = output_of(SAVE);
		assert_string_equal(before, after);
		free(before);
		free(after);
		run("iptables-legacy-save | sed '/BN-\\|BRIDGENET/!{/^-A/d}; "
		    "/^-A BRIDGENET-USER/d; /^:ONE/d; /-j ONE/d' | iptables-legacy-restore");
	}
}

/* What stands keeps its counters, and what is put elsewhere does too. */
static void test_counters(void **state)
{
	size_t count;

	(void)state;
	set_counters("filter", "BN-");
	set_counters("filter", "BRIDGENET");
	set_counters("raw", "-j");
	set_counters("nat", "-j");
	count = count_lines("^.7:700.");
	assert_in_range(count, 40, 200);
	put_in("*filter\n-I FORWARD -j ACCEPT\n-I BN-blue -j ACCEPT\n-D FORWARD -j BRIDGENET-USER\n"
	       "-A FORWARD -j BRIDGENET-USER");
	put_in("*raw\n-I PREROUTING -i eth9 -j ACCEPT");
	put_in("*nat\n-I PREROUTING -j ACCEPT\n-I BN-blue -j ACCEPT");
	/* the jump that was put in anew */
	count--;
	assert_int_equal(count_lines("^.7:700."), count);
	repair(NULL);
	assert_int_equal(look(false), 0);
	assert_int_equal(count_lines("^.7:700."), count);
}

/* Of many ports all that can be done to them; how long that takes is for the benchmarks. */
static void test_many(void **state)
{
	static const char *const many[] = {
		ANY_PLACE "-t nat -F",
		ANY_PLACE "-t nat -F;$iptables -t nat -X",
		ANY_PLACE "-t nat -F BN-blue",
		/* a save loaded twice */
		ANY_PLACE "-t nat -Z;$iptables-save -t nat | awk '/^-A/ {print} "
			  "{print}' | $iptables-restore",
	};
	struct endpoint web = plan_pair("blue", "nf-blue", "172.30.0.0/16", "fd30::/64", &rules);

	(void)state;
	for (uint32_t i = 0; i < 10000; i++)
		plan_mapping(&web, IPPROTO_TCP, NULL, (uint16_t)(1000 + 2 * i), 80, 1, &rules);
	assert_int_equal(apply(&rules, NULL, FIREWALL_BASE), 0);
	assert_each_repaired(many, ARRAY_SIZE(many));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_damages, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_each_rule, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_each_rule, setup_policies, teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_harmless, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_counters, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_many, stage_setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_nodes, setup_nodes, teardown),
		cmocka_unit_test_setup_teardown(test_each_rule, setup_nodes, teardown),
	};

	return cmocka_run_group_tests_name("iptables-legacy repair", tests, NULL, NULL);
}
