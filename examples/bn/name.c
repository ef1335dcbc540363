/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "bn.h"

static json_t *json_name_at(const void *list, size_t i)
{
	const bn_name *name = bn_names_at(list, i);
	json_t *object = json_object();

	json_set(object, "name", json_text(bn_name_text(name)));
	json_set(object, "network", json_text(bn_name_network(name)));
	json_set(object, "endpoint", json_text(bn_name_endpoint(name)));
	json_set(object, "address", json_text(bn_name_address(name)));
	return object;
}

static void print_names(const bn_names *names)
{
	char *texts[3];

	for (size_t i = 0; i < bn_names_len(names); i++) {
		const bn_name *name = bn_names_at(names, i);

		texts[0] = safe_text(bn_name_text(name));
		texts[1] = safe_text(bn_name_network(name));
		texts[2] = safe_text(bn_name_endpoint(name));
		printf("%-40s %s (%s on %s)\n", bn_name_address(name), texts[0], texts[2],
		       texts[1]);
		for (size_t j = 0; j < LENGTH(texts); j++)
			free(texts[j]);
	}
}

int names_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_names *names;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 1);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_names_list(cli->ctx, arguments.word_count ? arguments.words[0] : NULL, 0, &names);
	arguments_free(&arguments);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json)
		json_print_list(names, bn_names_len(names), json_name_at);
	else
		print_names(names);
	bn_names_free(names);
	return EXIT_SUCCESS;
}

int files_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_sandbox_files *files;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 2, 2);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_sandbox_files_get(cli->ctx, arguments.words[0], arguments.words[1], 0, &files);
	arguments_free(&arguments);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json) {
		json_t *object = json_object();

		json_set(object, "hosts", json_text(bn_sandbox_files_hosts(files)));
		json_set(object, "resolv_conf", json_text(bn_sandbox_files_resolv_conf(files)));
		json_print(object);
	} else {
		printf("# /etc/hosts\n%s# /etc/resolv.conf\n%s", bn_sandbox_files_hosts(files),
		       bn_sandbox_files_resolv_conf(files));
	}
	bn_sandbox_files_free(files);
	return EXIT_SUCCESS;
}
