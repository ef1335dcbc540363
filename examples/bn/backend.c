/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "bn.h"

int backend_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_rule_list *list;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 0);
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	/* a context picks its backend when it first needs one */
	r = bn_rules_list(cli->ctx, NULL, 0, &list);
	if (r < 0)
		return cli_fail(cli, r);
	bn_rule_list_free(list);
	if (cli->json) {
		json_t *object = json_object();

		json_set(object, "backend", json_text(bn_ctx_backend(cli->ctx)));
		json_set(object, "reason", json_text(bn_ctx_backend_reason(cli->ctx)));
		json_print(object);
	} else {
		printf("%s: %s\n", bn_ctx_backend(cli->ctx), bn_ctx_backend_reason(cli->ctx));
	}
	return EXIT_SUCCESS;
}

int backend_switch_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	const char *name;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 1, 1);
	name = arguments.words[0];
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_backend_switch(cli->ctx, name, 0);
	return r < 0 ? cli_fail(cli, r) : EXIT_SUCCESS;
}
