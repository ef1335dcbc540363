/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

/* Those of iptables -L and iptables -L -v. */
static const struct column brief_columns[] = {
	{ "target", 10, false },      { "prot", 4, false }, { "source", 20, false },
	{ "destination", 20, false }, { "", 0, false },
};

static const struct column verbose_columns[] = {
	{ "pkts", 5, true },  { "bytes", 5, true },    { "target", 10, false },
	{ "prot", 4, false }, { "opt", 3, false },     { "in", 6, false },
	{ "out", 6, false },  { "source", 20, false }, { "destination", 20, false },
	{ "", 0, false },
};

static void add_rule(struct table *table, const bn_rule *rule, bool verbose)
{
	struct text last = { 0 };

	if (verbose) {
		table_add_number(table, bn_rule_packets(rule));
		table_add_number(table, bn_rule_bytes(rule));
	}
	table_add(table, bn_rule_target(rule));
	table_add(table, bn_rule_protocol(rule));
	if (verbose) {
		table_add(table, "--");
		table_add(table, bn_rule_in_interface(rule));
		table_add(table, bn_rule_out_interface(rule));
	}
	table_add(table, bn_rule_source(rule));
	table_add(table, bn_rule_destination(rule));
	if (!verbose || !*bn_rule_purpose(rule)) {
		table_add(table, bn_rule_extra(rule));
		return;
	}
	text_add(&last, bn_rule_extra(rule));
	text_add(&last, *bn_rule_extra(rule) ? "  # " : " # ");
	text_add(&last, bn_rule_purpose(rule));
	table_add(table, last.chars);
	free(last.chars);
}

static bool same_chain(const bn_rule *a, const bn_rule *b)
{
	return strcmp(bn_rule_table(a), bn_rule_table(b)) == 0 &&
	       strcmp(bn_rule_chain(a), bn_rule_chain(b)) == 0;
}

/* The rules from first to the end of their chain; returns the index after the last. */
static size_t print_chain(const bn_rule_list *list, size_t first, bool verbose)
{
	struct table table = {
		.columns = verbose ? verbose_columns : brief_columns,
		.column_count = verbose ? LENGTH(verbose_columns) : LENGTH(brief_columns),
		.gap = 1,
	};
	const bn_rule *rule = bn_rule_list_at(list, first);
	char *chain = safe_text(bn_rule_chain(rule));
	size_t i = first;

	printf("%sChain %s (table %s)\n", first ? "\n" : "", chain, bn_rule_table(rule));
	free(chain);
	while (i < bn_rule_list_len(list) && same_chain(rule, bn_rule_list_at(list, i)))
		add_rule(&table, bn_rule_list_at(list, i++), verbose);
	table_print(&table);
	return i;
}

static void print_rules(const struct cli *cli, const bn_rule_list *list, bool verbose)
{
	if (cli->json)
		json_print_list(list, bn_rule_list_len(list), json_rule_at);
	for (size_t i = 0; !cli->json && i < bn_rule_list_len(list);)
		i = print_chain(list, i, verbose);
}

int rules_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "plan", no_argument, NULL, 256 },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	const char *network;
	bn_rule_list *list;
	bool verbose, plan;
	uint32_t flags;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 1);
	network = arguments.word_count ? arguments.words[0] : NULL;
	verbose = arguments_has(&arguments, 'v');
	plan = arguments_has(&arguments, 256);
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	/* JSON has every field anyway */
	flags = verbose ? BN_RULES_VERBOSE : 0;
	if (plan)
		r = bn_rules_plan(cli->ctx, network, flags, &list);
	else
		r = bn_rules_list(cli->ctx, network, flags, &list);
	if (r < 0)
		return cli_fail(cli, r);
	print_rules(cli, list, verbose);
	bn_rule_list_free(list);
	return EXIT_SUCCESS;
}
