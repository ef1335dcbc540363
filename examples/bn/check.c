/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "bn.h"

#define EXIT_FOUND 3 /* check has found something, or repair has left something */

enum { PLAN = 256, DRY_RUN, REMOVE_UNKNOWN };

static json_t *json_finding(const bn_finding *finding)
{
	json_t *object = json_object();

	json_set(object, "code", json_text(bn_finding_code(finding)));
	json_set(object, "severity", json_integer(bn_finding_severity(finding)));
	json_set(object, "network", json_text(bn_finding_network(finding)));
	json_set(object, "endpoint", json_text(bn_finding_endpoint(finding)));
	json_set(object, "object", json_text(bn_finding_object(finding)));
	json_set(object, "is", json_text(bn_finding_is(finding)));
	json_set(object, "should_be", json_text(bn_finding_should_be(finding)));
	json_set(object, "text", json_text(bn_finding_text(finding)));
	json_set(object, "repaired", json_boolean(bn_finding_repaired(finding)));
	return object;
}

static void print_json(const bn_finding_list *list, bool ok)
{
	json_t *object = json_object(), *findings = json_array();

	for (size_t i = 0; i < bn_finding_list_len(list); i++)
		json_append(findings, json_finding(bn_finding_list_at(list, i)));
	json_set(object, "ok", json_boolean(ok));
	json_set(object, "findings", findings);
	json_print(object);
}

static const char *severity_word(const bn_finding *finding)
{
	switch (bn_finding_severity(finding)) {
	case BN_SEVERITY_OPEN:
		return "open";
	case BN_SEVERITY_BROKEN:
		return "broken";
	default:
		return "note";
	}
}

static void print_finding(const bn_finding *finding)
{
	char *text = safe_text(bn_finding_text(finding));

	printf("%-8s  %s\n", bn_finding_repaired(finding) ? "repaired" : severity_word(finding),
	       text);
	free(text);
}

/* Prints and frees the list; the exit status. `nothing` is what there is to say of an empty one. */
static int show(const struct cli *cli, bn_finding_list *list, const char *nothing)
{
	size_t len = bn_finding_list_len(list), left = 0;

	for (size_t i = 0; i < len; i++)
		left += !bn_finding_repaired(bn_finding_list_at(list, i));
	if (cli->json)
		print_json(list, left == 0);
	for (size_t i = 0; i < len && !cli->json; i++)
		print_finding(bn_finding_list_at(list, i));
	if (!cli->json && !len)
		puts(nothing);
	bn_finding_list_free(list);
	return left ? EXIT_FOUND : EXIT_SUCCESS;
}

/* The network and the endpoint that were named; NULL for those that were not. */
static void words(const struct cli *cli, const struct arguments *arguments, const char *names[2])
{
	arguments_words(cli, arguments, 0, 2);
	for (size_t i = 0; i < 2; i++)
		names[i] = arguments->word_count > i ? arguments->words[i] : NULL;
}

int check_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_finding_list *list;
	const char *names[2];
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	words(cli, &arguments, names);
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_check(cli->ctx, names[0], names[1], 0, &list);
	return r < 0 ? cli_fail(cli, r) : show(cli, list, "all is as it should be");
}

int repair_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "plan", no_argument, NULL, PLAN },
		{ "dry-run", no_argument, NULL, DRY_RUN },
		{ "remove-unknown", no_argument, NULL, REMOVE_UNKNOWN },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_finding_list *list;
	const char *names[2];
	uint32_t flags = 0;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	words(cli, &arguments, names);
	if (arguments_has(&arguments, PLAN) || arguments_has(&arguments, DRY_RUN))
		flags |= BN_REPAIR_PLAN;
	if (arguments_has(&arguments, REMOVE_UNKNOWN))
		flags |= BN_REPAIR_REMOVE_UNKNOWN;
	arguments_free(&arguments);
	/* why something is left is in no finding */
	cli->warn = true;
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_repair(cli->ctx, names[0], names[1], flags, &list);
	return r < 0 ? cli_fail(cli, r) : show(cli, list, "nothing to repair");
}
