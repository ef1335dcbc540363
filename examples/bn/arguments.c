/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

#define OPTIONS_MAX 40
#define TIMEOUT_MAX 86400

enum {
	OPTION_STATE_DIR = 1000,
	OPTION_BACKEND,
	OPTION_TIMEOUT,
	OPTION_TAKE_OVER,
	OPTION_SANDBOX_IPV6,
	OPTION_OPTION,
	OPTION_JSON,
	OPTION_HELP
};

static const struct option global_options[] = {
	{ "state-dir", required_argument, NULL, OPTION_STATE_DIR },
	{ "backend", required_argument, NULL, OPTION_BACKEND },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "take-over-state", required_argument, NULL, OPTION_TAKE_OVER },
	{ "sandbox-ipv6", required_argument, NULL, OPTION_SANDBOX_IPV6 },
	{ "option", required_argument, NULL, OPTION_OPTION },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, OPTION_HELP },
};

static void collect_options(const struct option *options, unsigned flags,
			    struct option all[static OPTIONS_MAX],
			    char shorts[static 2 * OPTIONS_MAX])
{
	size_t count = LENGTH(global_options);

	memcpy(all, global_options, sizeof(global_options));
	if (flags & STOP_AT_WORD)
		*shorts++ = '+';
	*shorts++ = ':';
	*shorts++ = 'h';
	for (; options->name && count < OPTIONS_MAX - 1; options++) {
		all[count++] = *options;
		if (options->val > CHAR_MAX || !isgraph(options->val))
			continue;
		*shorts++ = (char)options->val;
		if (options->has_arg == required_argument)
			*shorts++ = ':';
	}
	all[count] = (struct option){ NULL, 0, NULL, 0 };
	*shorts = '\0';
}

/* Takes the key over. */
static void add_setting(struct cli *cli, char *key, const char *value)
{
	struct setting *settings =
		reallocarray(cli->settings, cli->setting_count + 1, sizeof(*settings));

	if (!settings || !key)
		out_of_memory();
	settings[cli->setting_count++] = (struct setting){ key, value ? value : "" };
	cli->settings = settings;
}

static bool take_global_option(struct cli *cli, int option)
{
	const char *value;
	char *key;

	switch (option) {
	case OPTION_STATE_DIR:
		cli->state_dir = optarg;
		return true;
	case OPTION_BACKEND:
		cli->backend = optarg;
		return true;
	case OPTION_TIMEOUT:
		cli->timeout_ms = 1000 * argument_number(cli, optarg, 0, TIMEOUT_MAX);
		cli->has_timeout = true;
		return true;
	case OPTION_TAKE_OVER:
		add_setting(cli, strdup("state.take-over"), optarg);
		return true;
	case OPTION_SANDBOX_IPV6:
		add_setting(cli, strdup("sandbox-ipv6"), optarg);
		return true;
	case OPTION_OPTION:
		argument_split(optarg, &key, &value);
		add_setting(cli, key, value);
		return true;
	case OPTION_JSON:
		cli->json = true;
		return true;
	case 'h':
	case OPTION_HELP:
		cli_help(cli);
	default:
		return false;
	}
}

/* The word that getopt stopped at is the one before optind; but letters that are joined are looked
 * at one by one, and of them optopt is the one. */
static _Noreturn void bad_option(const struct cli *cli, int answer, char **argv,
				 const struct option *all)
{
	const char *word = argv[optind - 1];

	if (answer == ':' && strncmp(word, "--", 2) == 0)
		cli_usage(cli, "option '%s' needs a value", word);
	if (answer == ':')
		cli_usage(cli, "option '-%c' needs a value", optopt);
	for (; optopt && all->name; all++)
		if (all->val == optopt)
			cli_usage(cli, "option '--%s' takes no value", all->name);
	if (optopt)
		cli_usage(cli, "option '-%c' is not known here", optopt);
	cli_usage(cli, "option '%s' is not known here", word);
}

void arguments_parse(struct cli *cli, int argc, char **argv, unsigned flags,
		     const struct option *options, struct arguments *ret_arguments)
{
	struct argument *items = calloc((size_t)argc + 1, sizeof(*items));
	struct option all[OPTIONS_MAX];
	char shorts[2 * OPTIONS_MAX];
	size_t len = 0;
	int option;

	if (!items)
		out_of_memory();
	collect_options(options, flags, all, shorts);
	opterr = 0;
	optind = 0; /* start afresh: the global options were read in an earlier pass */
	while ((option = getopt_long(argc, argv, shorts, all, NULL)) != -1) {
		if (option == ':' || option == '?')
			bad_option(cli, option, argv, all);
		if (!take_global_option(cli, option))
			items[len++] = (struct argument){ option, optarg };
	}
	*ret_arguments = (struct arguments){
		.items = items,
		.len = len,
		.words = argv + optind,
		.word_count = (size_t)(argc - optind),
	};
}

void arguments_words(const struct cli *cli, const struct arguments *arguments, size_t min,
		     size_t max)
{
	if (arguments->word_count < min)
		cli_usage(cli, "an argument is missing");
	if (arguments->word_count > max)
		cli_usage(cli, "the argument '%s' is too many", arguments->words[max]);
}

const char *arguments_value(const struct arguments *arguments, int option)
{
	for (size_t i = arguments->len; i-- > 0;)
		if (arguments->items[i].option == option)
			return arguments->items[i].value;
	return NULL;
}

bool arguments_has(const struct arguments *arguments, int option)
{
	for (size_t i = 0; i < arguments->len; i++)
		if (arguments->items[i].option == option)
			return true;
	return false;
}

void arguments_free(struct arguments *arguments)
{
	free(arguments->items);
	*arguments = (struct arguments){ .items = NULL };
}

void argument_split(const char *text, char **ret_key, const char **ret_value)
{
	const char *equals = strchr(text, '=');

	*ret_key = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
	if (!*ret_key)
		out_of_memory();
	*ret_value = equals ? equals + 1 : NULL;
}

int argument_number(const struct cli *cli, const char *text, long min, long max)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < min || number > max)
		cli_usage(cli, "'%s' is not a number from %ld to %ld", text, min, max);
	return (int)number;
}

int argument_fail(const struct argument *argument, int r)
{
	const char *value = argument->value ? argument->value : "";

	if (r == -EINVAL)
		return cli_fail_text("'%s' holds a control character; leave it out", value);
	return cli_fail_text("'%s' is not taken: %s", value, strerror(-r));
}
