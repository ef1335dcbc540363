/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

static json_t *json_option_at(const void *list, size_t i)
{
	const bn_option *option = bn_option_list_at(list, i);
	json_t *object = json_object();

	json_set(object, "scope", json_text(bn_option_scope(option)));
	json_set(object, "key", json_text(bn_option_key(option)));
	json_set(object, "type", json_text(bn_option_type(option)));
	json_set(object, "default", json_text(bn_option_default(option)));
	json_set(object, "live", json_text(bn_option_live(option)));
	json_set(object, "alias", json_text(bn_option_alias(option)));
	json_set(object, "since", json_text(bn_option_since(option)));
	json_set(object, "description", json_text(bn_option_description(option)));
	return object;
}

static void print_known_option(const bn_option *option)
{
	const char *live = bn_option_live(option);

	printf("%s %s: %s\n", bn_option_scope(option), bn_option_key(option),
	       bn_option_type(option));
	if (*bn_option_default(option))
		printf("    by default %s\n", bn_option_default(option));
	if (strcmp(live, "no") != 0)
		printf("    can be changed%s\n",
		       strcmp(live, "new") == 0 ? ", for what is made from then on" : "");
	if (*bn_option_alias(option))
		printf("    also %s\n", bn_option_alias(option));
	printf("    %s\n", bn_option_description(option));
}

int options_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_option_list *list;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 1);
	r = bn_options_list(arguments.word_count ? arguments.words[0] : NULL, 0, &list);
	if (r < 0 && arguments.word_count)
		cli_usage(cli, "'%s' has no options; give network, endpoint, port or context",
			  arguments.words[0]);
	arguments_free(&arguments);
	if (r < 0)
		return cli_fail_text("%s", strerror(-r));
	if (cli->json) {
		json_print_list(list, bn_option_list_len(list), json_option_at);
	} else {
		for (size_t i = 0; i < bn_option_list_len(list); i++)
			print_known_option(bn_option_list_at(list, i));
	}
	bn_option_list_free(list);
	return EXIT_SUCCESS;
}
