/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that the kernel and the state show, as lines in one order: of rules that two verbs have added at
 * once none was promised but that of the plan. What is random is written as a word.
 */
#include "look.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

#define DIFFERENCES_SHOWN 8

/* ---- what is random ---- */

static size_t count_of(const char *text, const char *set)
{
	return strspn(text, set);
}

#define HEX "0123456789abcdef"

/* The length of what is random at the beginning of text, and what is written for it. */
static size_t random_len(const char *text, const char **ret_word)
{
	size_t hex = count_of(text, HEX), digits = count_of(text, "0123456789");
	bool ends = !isalnum((unsigned char)text[hex]);

	*ret_word = "ID";
	if ((hex == 64 || hex == 12) && ends)
		return hex;
	if (strncmp(text, "bv", 2) == 0 || strncmp(text, "bi", 2) == 0) {
		*ret_word = text[1] == 'v' ? "bv" : "bi";
		return 2 + count_of(text + 2, HEX);
	}
	*ret_word = "PICK";
	if (digits == 5 && text[0] >= '3' && text[0] <= '6' && !isalnum((unsigned char)text[5]))
		return 5;
	return 0;
}

static void add_masked(struct lines *lines, const char *text)
{
	char masked[4096];
	const char *word;
	size_t len = 0, skip;

	for (bool inside = false; *text && len < sizeof(masked) - 8;) {
		skip = inside ? 0 : random_len(text, &word);
		inside = isalnum((unsigned char)*text);
		if (skip) {
			len += (size_t)snprintf(masked + len, sizeof(masked) - len, "%s", word);
			text += skip;
		} else {
			masked[len++] = *text++;
		}
	}
	while (len && (masked[len - 1] == ' ' || masked[len - 1] == ','))
		len--;
	masked[len] = '\0';
	if (lines->len == LINES_MAX || !(lines->at[lines->len++] = strdup(masked)))
		abort();
}

void look_add(struct lines *lines, const char *format, ...)
{
	char text[4096];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	add_masked(lines, text);
}

static int compare_lines(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* ---- rules, as nft and iptables show them ---- */

/* Whatever stands in a chain or set, behind its name; elements one by one. */
static void add_nft(struct lines *lines, char *line, char place[static 256])
{
	char *text = line + count_of(line, "\t }"), *comma;

	if (strncmp(line, "table ", 6) == 0)
		snprintf(place, 256, "%.255s", line);
	else if (line[0] == '\t' && isalpha((unsigned char)line[1]))
		snprintf(place, 256, "%.255s", text);
	if (strncmp(text, "elements = { ", 13) == 0)
		text += 13;
	for (; text; text = comma) {
		comma = strstr(text, ", ");
		if (comma) {
			*comma = '\0';
			comma += 2;
		}
		text[strcspn(text, "}")] = '\0';
		if (*text)
			look_add(lines, "nft %s %s", place, text);
	}
}

/* A table without rules and chains of anybody is as good as none: the kernel makes it when it is asked
 * for, and keeps it. */
/* Whether a rule stands in the chain itself or in a node of it goes by what was there when it
 * came. */
static const struct {
	const char *node, *chain;
} nodes[] = {
	{ "BRIDGENET-RAW-TO:", "BRIDGENET-RAW" },
	{ "BRIDGENET-RAW-FROM:", "BRIDGENET-RAW" },
	{ "BRIDGENET-RAW:", "BRIDGENET-RAW" },
	{ "BRIDGENET-OUTSIDE:", "BRIDGENET-OUTSIDE" },
	{ "BRIDGENET-SUBNETS:", "BRIDGENET-OUTSIDE" },
	{ "BRIDGENET-TO:", "BRIDGENET-FORWARD" },
	{ "BRIDGENET-FROM:", "BRIDGENET-FORWARD" },
};

/* A rule of a node as one of its chain; false for what only makes the node. */
static bool take_out_of_node(char *line)
{
	char rest[1024];

	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		char *at = strstr(line, nodes[i].node);

		if (!at)
			continue;
		if (at != line + strlen("-A ") || line[0] != '-' ||
		    strstr(line, "-j BRIDGENET-OUTSIDE"))
			return false;
		snprintf(rest, sizeof(rest), "%s", at + strcspn(at, " "));
		sprintf(at, "%s%s", nodes[i].chain, rest);
	}
	return true;
}

static void add_legacy(struct lines *lines, char *line, char place[static 256])
{
	char *counters = strstr(line, " [");

	if (!take_out_of_node(line))
		return;

	if (line[0] == '*')
		snprintf(place, 256, "%.255s", line);
	if (line[0] == ':' && strstr(line, " ACCEPT"))
		return;
	if (line[0] == ':' && counters)
		*counters = '\0';
	if (line[0] == ':' || line[0] == '-')
		look_add(lines, "legacy %s %s", place, line);
}

/* The flags as far as they are anyone's wish, the bridge, the alias. */
static void add_link(struct lines *lines, char *line)
{
	char *name = strchr(line, ' '), *end = name ? strpbrk(name + 1, "@:") : NULL;
	char *flags = strchr(line, '<'), *master = strstr(line, " master "), *alias, *mtu;

	if (!end || !flags)
		return;
	*end = '\0';
	flags[strcspn(flags, ">")] = '\0';
	mtu = strstr(flags + strlen(flags) + 1, "mtu ");
	alias = mtu ? strstr(mtu, "alias ") : NULL;
	if (master)
		master[8 + strcspn(master + 8, " ")] = '\0';
	if (mtu)
		mtu[4 + strcspn(mtu + 4, " ")] = '\0';
	look_add(lines, "link %s %s %s%s %s", name + 1,
		 strstr(flags, ",UP") || strstr(flags, "<UP") ? "up" : "down", mtu ? mtu : "",
		 master ? master : "", alias ? alias : "");
}

static void add_programs(struct lines *lines)
{
	/* one shell for all; the names of tables are there once there is one */
	static const char script[] =
		"nft -s list ruleset; echo -; for program in iptables ip6tables; do "
		"! read -r name </proc/self/net/${program%tables}_tables_names || "
		"$program-legacy-save; echo -; done; ip -o link";
	char line[16384], place[256] = "";
	FILE *pipe = popen(script, "re");
	int part = 0;

	if (!pipe)
		abort();
	while (fgets(line, sizeof(line), pipe)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "-") == 0)
			part++;
		else if (part == 0)
			add_nft(lines, line, place);
		else if (part < 3)
			add_legacy(lines, line, place);
		else
			add_link(lines, line);
	}
	if (pclose(pipe) != 0)
		look_add(lines, "nft, iptables or ip fails");
}

/* ---- the rules, and what they should be ---- */

static void add_rules(struct lines *lines, const bn_rule_list *list)
{
	for (size_t i = 0; i < bn_rule_list_len(list); i++) {
		const bn_rule *rule = bn_rule_list_at(list, i);

		look_add(lines, "%s %s %s %s %s %s>%s %s %s %s [%s/%s] %s", bn_rule_table(rule),
			 bn_rule_chain(rule), bn_rule_family(rule), bn_rule_target(rule),
			 bn_rule_protocol(rule), bn_rule_in_interface(rule),
			 bn_rule_out_interface(rule), bn_rule_source(rule),
			 bn_rule_destination(rule), bn_rule_extra(rule), bn_rule_network(rule),
			 bn_rule_endpoint(rule), bn_rule_purpose(rule));
	}
	qsort(lines->at, lines->len, sizeof(*lines->at), compare_lines);
}

static void clear_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->len; i++)
		free(lines->at[i]);
	lines->len = 0;
}

static void add_differences(struct lines *lines, const struct lines *kernel,
			    const struct lines *plan)
{
	for (size_t i = 0, j = 0; i < kernel->len || j < plan->len;) {
		int order = i == kernel->len ? 1 :
			    j == plan->len   ? -1 :
					       strcmp(kernel->at[i], plan->at[j]);

		if (order < 0)
			look_add(lines, "not planned: %s", kernel->at[i]);
		if (order > 0)
			look_add(lines, "not there: %s", plan->at[j]);
		i += order <= 0;
		j += order >= 0;
	}
}

static struct lines kernel, plan; /* the rules of the last look */

static void add_plan(struct lines *lines)
{
	bn_ctx *ctx = context_new(20000, true);
	bn_rule_list *list = NULL, *planned = NULL;
	int r;

	clear_lines(&kernel);
	clear_lines(&plan);
	r = bn_rules_list(ctx, NULL, BN_RULES_VERBOSE, &list);
	if (r == 0)
		r = bn_rules_plan(ctx, NULL, BN_RULES_VERBOSE, &planned);
	if (r == 0) {
		add_rules(&kernel, list);
		add_rules(&plan, planned);
		add_differences(lines, &kernel, &plan);
	} else {
		look_add(lines, "no list of rules: %s", bn_error_message(ctx));
	}
	bn_rule_list_free(list);
	bn_rule_list_free(planned);
	bn_ctx_free(ctx);
}

static bool has_line(const struct lines *lines, const char *one, const char *other)
{
	for (size_t i = 0; i < lines->len; i++)
		if (strstr(lines->at[i], one) && strstr(lines->at[i], other))
			return true;
	return false;
}

/* Is what the rule is about still there: the DNAT of a port, the bridge, the link on it? */
static bool is_needed(const struct lines *links, const char *rule)
{
	const char *owner = strchr(rule, '['), *end = owner ? strchr(owner, ']') : NULL;
	const char *slash = owner ? strchr(owner, '/') : NULL;
	char text[256];

	if (!end || !slash || slash > end)
		return true;
	if (strstr(rule, "127.0.0.1")) {
		snprintf(text, sizeof(text), "%.*s", (int)(end - owner + 1), owner);
		return has_line(&kernel, " DNAT ", text);
	}
	if (slash + 1 == end) {
		snprintf(text, sizeof(text), "link %.*s0 ", (int)(slash - owner - 1), owner + 1);
		return has_line(links, text, "alias");
	}
	snprintf(text, sizeof(text), ":ID%.*s", (int)(end - slash), slash);
	return has_line(links, text, " master ");
}

bool missing_drops(char *what, size_t size)
{
	static struct lines lines;
	bool missing = false;

	add_programs(&lines);
	add_plan(&lines);
	for (size_t i = 0; i < lines.len && !missing; i++) {
		missing = strncmp(lines.at[i], "not there: ", 11) == 0 &&
			  strstr(lines.at[i], " DROP ") && is_needed(&lines, lines.at[i]);
		if (missing)
			snprintf(what, size, "%s", lines.at[i]);
	}
	clear_lines(&lines);
	return missing;
}

/* ---- the state ---- */

static void add_rows(struct lines *lines, sqlite3 *database, const char *query)
{
	sqlite3_stmt *statement;
	char row[2048];
	int r;

	if (sqlite3_prepare_v2(database, query, -1, &statement, NULL) != SQLITE_OK) {
		look_add(lines, "state: %s", sqlite3_errmsg(database));
		return;
	}
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		size_t len = 0;

		for (int i = 0; i < sqlite3_column_count(statement) && len < sizeof(row); i++) {
			const char *text = (const char *)sqlite3_column_text(statement, i);

			len += (size_t)snprintf(row + len, sizeof(row) - len, "%s|",
						text ? text : "");
		}
		look_add(lines, "row %s", row);
	}
	if (r != SQLITE_DONE)
		look_add(lines, "state: %s", sqlite3_errmsg(database));
	sqlite3_finalize(statement);
}

static void add_state(struct lines *lines)
{
	static const char *const queries[] = {
		"SELECT 'network', name, builtin, bridge, bridge_adopted, mtu, ipv4_subnet,"
		" ipv6_subnet, ipv4_gateway, ipv6_gateway, reserved,"
		" replace(options, char(10), ' '), removal, updating, next_options,"
		" persistent FROM networks",
		"SELECT 'endpoint', network, id, interface, ipv4, ipv6, mac, metric, metric_ipv6,"
		" mtu, replace(options, char(10), ' '), removal, updating, next_options"
		" FROM endpoints",
		"SELECT 'port', endpoints.id, key >> 16 & 65535, host_addr, container_port, count,"
		" ports.removal FROM ports LEFT JOIN endpoints ON sequence = endpoint",
		"SELECT 'operation', kind FROM operations WHERE id > 0",
		"SELECT 'address', network, address FROM addresses WHERE endpoint IS NOT NULL",
		"SELECT 'address given twice', network, ipv4, ipv6 FROM endpoints WHERE"
		" ipv4 <> '' GROUP BY network, ipv4 HAVING count(*) > 1",
		"SELECT 'bound', key FROM facts WHERE key IN ('namespace', 'backend')"
		" AND value <> ''",
	};
	sqlite3 *database;

	if (sqlite3_open_v2(STATE_DIR "/state.db", &database, SQLITE_OPEN_READWRITE, NULL) !=
	    SQLITE_OK)
		look_add(lines, "state: %s", sqlite3_errmsg(database));
	sqlite3_busy_timeout(database, 5000);
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
		add_rows(lines, database, queries[i]);
	sqlite3_close(database);
}

/* ---- all of it ---- */

static const char *const forwarding[] = { "/proc/sys/net/ipv4/ip_forward",
					  "/proc/sys/net/ipv6/conf/all/forwarding" };

static void add_forwarding(struct lines *lines)
{
	char value[8] = "";

	for (size_t i = 0; i < 2; i++) {
		int fd = open(forwarding[i], O_RDONLY | O_CLOEXEC);

		if (read(fd, value, 1) != 1)
			abort();
		close(fd);
		look_add(lines, "%s %c", forwarding[i], value[0]);
	}
}

static void add_kept(struct lines *lines)
{
	DIR *list = opendir(KEPT_DIR);
	const struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			look_add(lines, "kept %s", entry->d_name);
	if (list)
		closedir(list);
}

void forwarding_restore(const char *seen)
{
	char line[64];

	for (size_t i = 0; i < 2; i++) {
		int fd = open(forwarding[i], O_RDWR | O_CLOEXEC);
		char wanted, now;

		snprintf(line, sizeof(line), "%s 1\n", forwarding[i]);
		wanted = strstr(seen, line) ? '1' : '0';
		if (read(fd, &now, 1) != 1)
			abort();
		/* to write 0 over 0 turns off force_forwarding of every interface */
		if (now != wanted && pwrite(fd, &wanted, 1, 0) != 1)
			abort();
		close(fd);
	}
}

void look(char seen[static SEEN_MAX])
{
	static struct lines lines;
	size_t len = 0;

	add_programs(&lines);
	add_plan(&lines);
	look_namespaces(&lines);
	add_forwarding(&lines);
	add_state(&lines);
	add_kept(&lines);
	qsort(lines.at, lines.len, sizeof(*lines.at), compare_lines);
	seen[0] = '\0';
	for (size_t i = 0; i < lines.len && len < SEEN_MAX; i++)
		len += (size_t)snprintf(seen + len, SEEN_MAX - len, "%s\n", lines.at[i]);
	if (len >= SEEN_MAX)
		abort();
	clear_lines(&lines);
}

size_t differences(const char *before, const char *after, char *text, size_t size)
{
	FILE *out = fmemopen(text, size, "w");
	size_t len = 0;

	while (out && (*before || *after)) {
		size_t left = strcspn(before, "\n"), right = strcspn(after, "\n");
		size_t shorter = left < right ? left : right;
		int order = !*before ? 1 : !*after ? -1 : memcmp(before, after, shorter);

		if (!order)
			order = left < right ? -1 : left > right;
		if (order && len++ < DIFFERENCES_SHOWN)
			fprintf(out, "\n      %c %.*s", order < 0 ? '-' : '+',
				(int)(order < 0 ? left : right), order < 0 ? before : after);
		if (order <= 0)
			before += left + (before[left] != '\0');
		if (order >= 0)
			after += right + (after[right] != '\0');
	}
	if (out)
		fclose(out);
	text[size - 1] = '\0';
	return len;
}

static bool has_text(const char *line, const char *text)
{
	const char *at = strstr(line, text);

	return at && at < line + strcspn(line, "\n");
}

/* Of a sandbox: a default route, or a rule that says which one. */
static bool is_by_source(const char *line, bool rules)
{
	if (line[0] != 's' || line[1] < '0' || line[1] > '9')
		return false;
	return (rules && strncmp(line + 2, " rule ", 6) == 0) ||
	       has_text(line, " to 0.0.0.0/0 by ") || has_text(line, " to ::/0 by ");
}

static const char *skip_by_source(const char *lines, bool rules)
{
	while (is_by_source(lines, rules))
		lines += strcspn(lines, "\n") + 1;
	return lines;
}

static bool same_but(const char *a, const char *b, bool rules)
{
	for (;;) {
		size_t len;

		a = skip_by_source(a, rules);
		b = skip_by_source(b, rules);
		len = strcspn(a, "\n") + (*a != '\0');
		if (!*a || !*b || strncmp(a, b, len) != 0)
			return !*a && !*b;
		a += len;
		b += len;
	}
}

bool same_but_sources(const char *a, const char *b)
{
	return same_but(a, b, true);
}

bool same_but_defaults(const char *a, const char *b)
{
	return same_but(a, b, false);
}

/* Mostly they are wishes: without them an interface works as well. */
static const char *skip_settings(const char *lines)
{
	for (;;) {
		size_t len = strcspn(lines, "\n");
		const char *words = strstr(lines, " settings ");

		if (!words || words > lines + len)
			return lines;
		lines += len + (lines[len] != '\0');
	}
}

bool same_but_settings(const char *a, const char *b)
{
	for (;;) {
		size_t len;

		a = skip_settings(a);
		b = skip_settings(b);
		len = strcspn(a, "\n") + (*a != '\0');
		if (!*a || !*b || strncmp(a, b, len) != 0)
			return !*a && !*b;
		a += len;
		b += len;
	}
}
