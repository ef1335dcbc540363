/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "bn.h"

static int version_command(struct cli *cli, int argc, char **argv);
static int help_command(struct cli *cli, int argc, char **argv);

static const struct command commands[] = {
	{ "network", "create",
	  "NAME [--subnet CIDR]... [--gateway IP]... [--ip-range RANGE]... [--reserve [NAME=]IP]..."
	  " [--pool CIDR:LENGTH]... [--id ID] [--persistent] [--ipv6] [--mtu N] [--bridge IFNAME] "
	  "[--opt KEY=VALUE]... [--existing-ok]"
	  " [--host-subnet-ok]",
	  "Make a network and print its id", network_create_command, COLLECT_BEFORE },
	{ "network", "update", "NAME [--mtu N] [--label KEY=VALUE]... [--opt KEY=VALUE]...",
	  "Change a network that stands; KEY= is the default again", network_update_command,
	  COLLECT_BEFORE },
	{ "network", "ls", "", "List the networks", network_ls_command },
	{ "network", "inspect", "NAME", "Show a network and its bridge", network_inspect_command },
	{ "network", "rm", "NAME...", "Remove networks", network_rm_command, COLLECT_BEFORE },
	{ "endpoint", "update",
	  "NETWORK ENDPOINT [--gateway-priority N] [--label KEY=VALUE]... [--opt KEY=VALUE]...",
	  "Change an endpoint that is attached", endpoint_update_command, COLLECT_BEFORE },
	{ "backend", "switch", "NAME", "Move everything to another backend",
	  backend_switch_command },
	{ NULL, "backend", "", "Show the backend in use and why it is used", backend_command },
	{ NULL, "attach",
	  "NETWORK ENDPOINT --netns PATH | --pid PID [--ifname eth0] [--ip IP]... [--mac MAC]"
	  " [-p SPEC [--port-opt KEY=VALUE]...]... [--route DEST=VIA]... [--gateway-priority N] "
	  "[--hostname NAME]"
	  " [--label KEY=VALUE]... [--opt KEY=VALUE]... [--same-network]"
	  " [--over-listener] [--skip-family] [--network NETWORK [--ip IP]...]...",
	  "Join a network namespace to a network, or to several", attach_command, COLLECT_BEFORE },
	{ NULL, "detach", "NETWORK ENDPOINT... [--delete-empty] [--move-ports]", "Undo attach",
	  detach_command, COLLECT_AFTER },
	{ "port", "move", "NETWORK ENDPOINT TO-NETWORK TO-ENDPOINT [-p SPEC]",
	  "Move ports to another endpoint of the same namespace", move_command, COLLECT_BEFORE },
	{ NULL, "publish",
	  "NETWORK ENDPOINT [-p SPEC [--port-opt KEY=VALUE]...]... [--over-listener]"
	  " [--skip-family] [--update]",
	  "Publish ports of an endpoint", publish_command, COLLECT_BEFORE },
	{ NULL, "unpublish", "NETWORK ENDPOINT -p SPEC...", "Undo publish", unpublish_command,
	  COLLECT_AFTER },
	{ NULL, "collect", "[NETWORK]",
	  "Detach the endpoints whose namespaces are gone, and print them", collect_command },
	{ NULL, "ps", "[-v]", "List the endpoints; -v with their interfaces", ps_command },
	{ NULL, "rules", "[-v] [NETWORK] [--plan]",
	  "List the packet-filter rules; -v with counters and purpose, --plan as they should be",
	  rules_command },
	{ NULL, "check", "[NETWORK [ENDPOINT]]",
	  "Say what is not as it should be: exit 0 for nothing, 3 for something", check_command },
	{ NULL, "repair", "[NETWORK [ENDPOINT]] [--plan] [--remove-unknown]",
	  "Put it right; --plan only says what is wrong", repair_command },
	{ "state", "dump", "", "Print the state as JSON, of a damaged one what can be read",
	  state_dump_command },
	{ NULL, "watch", "[--repair] [--listeners]",
	  "Tell what others do to networks; --repair puts it right", watch_command },
	{ NULL, "exec", "NETWORK ENDPOINT -- COMMAND...",
	  "Run a command in the namespace of an endpoint", exec_command },
	{ NULL, "run", "[--network NAME]... [--name NAME] [-p SPEC]... [-d] -- COMMAND...",
	  "Run a command in a namespace of its own, on a network or several", run_command,
	  COLLECT_BEFORE },
	{ NULL, "names", "[NETWORK]", "List the names of endpoints and their addresses",
	  names_command },
	{ NULL, "files", "NETWORK ENDPOINT",
	  "Print the hosts and resolv.conf that suit the namespace of an endpoint", files_command },
	{ NULL, "options", "[network|endpoint|port|context]", "List the options that there are",
	  options_command },
	{ NULL, "version", "", "Print the version of the library", version_command },
	{ NULL, "help", "[COMMAND...]", "Print help", help_command },
};

static const char global_usage[] =
	"[--state-dir DIR] [--backend NAME] [--timeout SECONDS] [--take-over-state WHEN]"
	" [--sandbox-ipv6 leave] [--option KEY=VALUE]... [--json]";

static void print_usage(FILE *file, const struct command *command)
{
	if (!command) {
		fprintf(file, "usage: bn %s COMMAND [ARGUMENT]... (bn help lists the commands)\n",
			global_usage);
		return;
	}
	fprintf(file, "usage: bn %s%s%s%s%s\n", command->group ? command->group : "",
		command->group ? " " : "", command->name, *command->usage ? " " : "",
		command->usage);
}

_Noreturn void cli_usage(const struct cli *cli, const char *format, ...)
{
	va_list args;
	char *text = NULL, *safe;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		out_of_memory();
	va_end(args);
	safe = safe_text(text);
	fprintf(stderr, "bn: %s\n", safe);
	print_usage(stderr, cli->command);
	free(safe);
	free(text);
	exit(EXIT_USAGE);
}

_Noreturn void cli_help(const struct cli *cli)
{
	char name[32];

	print_usage(stdout, cli->command);
	if (cli->command) {
		printf("%s.\n", cli->command->summary);
		exit(EXIT_SUCCESS);
	}
	printf("\nCommands:\n");
	for (size_t i = 0; i < LENGTH(commands); i++) {
		snprintf(name, sizeof(name), "%s%s%s", commands[i].group ? commands[i].group : "",
			 commands[i].group ? " " : "", commands[i].name);
		printf("  %-16s %s\n", name, commands[i].summary);
	}
	printf("\nOptions, before or after the command:\n"
	       "  --state-dir DIR  where the state is kept (" DEFAULT_STATE_DIR ")\n"
	       "  --backend NAME   nftables, iptables-legacy or auto\n"
	       "  --timeout SECONDS\n"
	       "                   how long it may take (10); 0 is as long as it takes\n"
	       "  --take-over-state if-gone|yes\n"
	       "                   forget what the state has of another network namespace: if\n"
	       "                   that has gone, or at any rate\n"
	       "  --sandbox-ipv6 leave\n"
	       "                   where it can't be turned off, leave IPv6 as it is\n"
	       "  --option KEY=VALUE\n"
	       "                   an option of the context, as in bridgenet-options(7)\n"
	       "  --json           print JSON\n"
	       "\nSPEC is [HOSTIP:][HOSTPORT[-LAST]:]PORT[-LAST][/tcp|udp|sctp].\n");
	exit(EXIT_SUCCESS);
}

/* What can't be detached now is for the next one to try. */
static void collect(struct cli *cli, enum collect when)
{
	if (cli->ctx && cli->command->collect == when)
		bn_endpoints_collect(cli->ctx, NULL, 0, NULL);
}

static void print_log(void *userdata, int level, const char *text)
{
	(void)userdata;
	if (level <= LOG_WARNING)
		cli_fail_text("%s", text);
}

int cli_open(struct cli *cli)
{
	int r = bn_ctx_new(0, &cli->ctx);

	if (r >= 0 && cli->state_dir)
		r = bn_ctx_set_state_dir(cli->ctx, cli->state_dir);
	if (r >= 0 && cli->backend)
		r = bn_ctx_set_backend(cli->ctx, cli->backend);
	if (r >= 0 && cli->has_timeout)
		r = bn_ctx_set_timeout_ms(cli->ctx, (uint32_t)cli->timeout_ms);
	for (size_t i = 0; i < cli->setting_count && r >= 0; i++)
		r = bn_ctx_set_option(cli->ctx, cli->settings[i].key, cli->settings[i].value);
	/* what an option lets pass is to be known */
	if (r >= 0 && (cli->warn || cli->setting_count))
		r = bn_ctx_set_log(cli->ctx, print_log, NULL);
	if (r < 0)
		return cli_fail(cli, r);
	collect(cli, COLLECT_BEFORE);
	return 0;
}

int cli_fail_text(const char *format, ...)
{
	va_list args;
	char *text = NULL, *safe;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		out_of_memory();
	va_end(args);
	safe = safe_text(text);
	fprintf(stderr, "bn: %s\n", safe);
	free(safe);
	free(text);
	return EXIT_FAILURE;
}

int cli_fail(const struct cli *cli, int r)
{
	const char *message = cli->ctx ? bn_error_message(cli->ctx) : "";

	return cli_fail_text("%s", *message ? message : strerror(-r));
}

static int version_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 0);
	arguments_free(&arguments);
	if (cli->json) {
		json_t *object = json_object();

		json_set(object, "version", json_text(bn_version_string()));
		json_print(object);
	} else {
		printf("%s\n", bn_version_string());
	}
	return EXIT_SUCCESS;
}

/* The command that the words at the beginning of argv name; *ret_words is how many they are. */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
	for (size_t i = 0; i < LENGTH(commands); i++) {
		const struct command *command = &commands[i];
		int words = command->group ? 2 : 1;

		if (argc < words || strcmp(argv[words - 1], command->name) != 0)
			continue;
		if (command->group && strcmp(argv[0], command->group) != 0)
			continue;
		*ret_words = words;
		return command;
	}
	return NULL;
}

static _Noreturn void unknown_command(struct cli *cli, int argc, char **argv)
{
	char names[64] = "";
	size_t len = 0;

	cli->command = NULL;
	for (size_t i = 0; i < LENGTH(commands); i++)
		if (commands[i].group && strcmp(argv[0], commands[i].group) == 0)
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? ", " : "", commands[i].name);
	if (!len)
		cli_usage(cli, "there is no command '%s'", argv[0]);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		cli_help(cli);
	if (argc < 2)
		cli_usage(cli, "%s needs one of %s", argv[0], names);
	cli_usage(cli, "there is no command '%s %s'", argv[0], argv[1]);
}

static int help_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	int words;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	cli->command = NULL;
	if (arguments.word_count) {
		cli->command = find_command((int)arguments.word_count, arguments.words, &words);
		if (!cli->command)
			unknown_command(cli, (int)arguments.word_count, arguments.words);
	}
	arguments_free(&arguments);
	cli_help(cli);
}

/* A disk that is full is met only here. */
static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return status ? status : cli_fail_text("can't write the output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct cli cli = { .state_dir = NULL };
	struct arguments arguments;
	int words, status;

	arguments_parse(&cli, argc, argv, STOP_AT_WORD, options, &arguments);
	if (!arguments.word_count)
		cli_usage(&cli, "a command is needed");
	cli.command = find_command((int)arguments.word_count, arguments.words, &words);
	if (!cli.command)
		unknown_command(&cli, (int)arguments.word_count, arguments.words);
	/* argv[0] of the command is the last word of its name */
	status = cli.command->run(&cli, (int)arguments.word_count - words + 1,
				  arguments.words + words - 1);
	arguments_free(&arguments);
	if (status == EXIT_SUCCESS)
		collect(&cli, COLLECT_AFTER);
	bn_ctx_free(cli.ctx);
	for (size_t i = 0; i < cli.setting_count; i++)
		free(cli.settings[i].key);
	free(cli.settings);
	return finish_output(status);
}
