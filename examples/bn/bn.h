/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bn: bridge networks from the command line, over the public interface of libbridgenet. */
#ifndef BN_COMMAND_H
#define BN_COMMAND_H

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <bridgenet.h>

#define EXIT_USAGE 2
#define EXIT_OURS 125 /* of run and exec, where others are the command's */
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct cli;

/* What lost its namespace is detached before a command does its work, so that it finds addresses
 * and ports free; or after it, so that it finds what it is about. */
enum collect { COLLECT_NEVER, COLLECT_BEFORE, COLLECT_AFTER };

struct command {
	const char *group; /* "network", or NULL */
	const char *name;
	const char *usage; /* what follows the name */
	const char *summary;
	int (*run)(struct cli *cli, int argc, char **argv); /* returns the exit status */
	enum collect collect;
};

struct cli {
	const char *state_dir;
	const char *backend;
	int timeout_ms;
	bool has_timeout;
	struct setting {
		char *key;
		const char *value;
	} * settings; /* options of the context */
	size_t setting_count;
	bool json;
	bool warn; /* print the library's warnings */
	const struct command *command;
	bn_ctx *ctx;
};

/* ---- main.c ---- */

/* The two lines of a usage error, or the help of cli->command or of the whole; both exit. */
_Noreturn void cli_usage(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
_Noreturn void cli_help(const struct cli *cli);

/* 0, or 1 with the reason on standard error. */
int cli_open(struct cli *cli);

/* Say in one line why the library's call failed, or why something of ours did; both return 1. */
int cli_fail(const struct cli *cli, int r);
int cli_fail_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- arguments.c ---- */

struct argument {
	int option;        /* val of the option */
	const char *value; /* NULL if it takes none */
};

struct arguments {
	struct argument *items; /* in the order given */
	size_t len;
	char **words; /* what is no option */
	size_t word_count;
};

#define WORDS_ANY SIZE_MAX
#define STOP_AT_WORD 0x1u /* what follows the first word belongs to the command */

/* Global options are taken out here. An option whose val is a printable character is also a short
 * option. A usage error ends the program. */
void arguments_parse(struct cli *cli, int argc, char **argv, unsigned flags,
		     const struct option *options, struct arguments *ret_arguments);
void arguments_words(const struct cli *cli, const struct arguments *arguments, size_t min,
		     size_t max);
bool arguments_has(const struct arguments *arguments, int option);
/* The last one given, or NULL. */
const char *arguments_value(const struct arguments *arguments, int option);
void arguments_free(struct arguments *arguments);

/* "KEY=VALUE" in two; *ret_key is to be freed. A text without '=' has the value NULL. */
void argument_split(const char *text, char **ret_key, const char **ret_value);

/* A text that is no such number is a usage error. */
int argument_number(const struct cli *cli, const char *text, long min, long max);

/* Say that the library did not take the option; returns 1. */
int argument_fail(const struct argument *argument, int r);

/* ---- output.c ---- */

/* One that grows; chars is to be freed, and NULL as long as nothing was added. */
struct text {
	char *chars;
	size_t len, capacity;
};
void text_clear(struct text *text); /* "" */
void text_add(struct text *text, const char *more);

/* A copy in which nothing can steer a terminal or break a line. To be freed. */
char *safe_text(const char *text);
_Noreturn void out_of_memory(void);
/* JSON, which is UTF-8, with escapes for all that safe_text() escapes; the margin comes before all
 * lines but the first. */
void print_json_text(const char *text, const char *margin);

struct column {
	const char *title;
	size_t min_width;
	bool right;
};

#define COLUMNS_MAX 10
struct table {
	const struct column *columns;
	size_t column_count, gap;
	struct text cells; /* each with its NUL */
	size_t cell_count, widths[COLUMNS_MAX];
};

void table_add(struct table *table, const char *text);
void table_add_number(struct table *table, uint64_t number);
/* With its header; frees the cells. */
void table_print(struct table *table);

void print_line(const char *text);
/* "Name:        value" */
void print_field(const char *name, const char *value);
void print_option(const char *key, const char *value);
/* As ifconfig(8) shows it. */
void print_interface(const bn_interface *interface_);

/* ---- json.c ---- */

/* Never NULL. */
json_t *json_text(const char *text);
json_t *json_network(const bn_network *network);
json_t *json_endpoint(const bn_endpoint *endpoint, bool with_interface);
json_t *json_endpoints(const bn_endpoint_list *list);
json_t *json_interface(const bn_interface *interface_);
void json_set(json_t *object, const char *key, json_t *value);
json_t *json_number(uint64_t number);
void json_append(json_t *array, json_t *value);
/* To standard output; frees it. */
void json_print(json_t *value);
void json_print_line(json_t *value); /* in one line */
/* The same for a list, of which only one value is there at a time. */
typedef json_t *(*json_at_fn)(const void *list, size_t i);
void json_print_list(const void *list, size_t len, json_at_fn at);
json_t *json_network_at(const void *list, size_t i);
json_t *json_endpoint_at(const void *list, size_t i);
json_t *json_endpoint_at_whole(const void *list, size_t i); /* with its interface */
json_t *json_port_at(const void *list, size_t i);
json_t *json_rule_at(const void *list, size_t i);

/* ---- port.c ---- */

/* Of the verbs that publish: -p, and what goes with it. */
enum { OVER_LISTENER = 512, SKIP_FAMILY, PORT_OPT, UPDATE };
#define PUBLISH_OPTIONS                                                \
	{ "publish", required_argument, NULL, 'p' },                   \
		{ "port-opt", required_argument, NULL, PORT_OPT },     \
		{ "over-listener", no_argument, NULL, OVER_LISTENER }, \
	{                                                              \
		"skip-family", no_argument, NULL, SKIP_FAMILY          \
	}
/* The mapping of the i-th argument, which is -p, with the options behind it. */
/* Each option of a port has a port before it; else it does not return. */
void check_port_options(const struct cli *cli, const struct arguments *arguments);
int publish_spec(const struct arguments *arguments, size_t i, bn_port_spec **ret_spec);
/* BN_PUBLISH_*, and BN_ATTACH_* that are the same. */
uint32_t publish_flags(const struct arguments *arguments);

/* "0.0.0.0:8799->1337/tcp" */
void text_add_port(struct text *text, const bn_port *port, bool ipv6);
/* All of an endpoint's, separated by ", ". */
void text_add_ports(struct text *text, const bn_endpoint *endpoint);

/* ---- endpoint.c ---- */

void print_endpoints(const bn_endpoint_list *list);

/* ---- sandbox.c ---- */

/* Give this process, which has a mount namespace of its own, the /sys of its network namespace, and
 * the /proc of its pid namespace, or a negative errno. */
void sandbox_mount_sysfs(void);
int sandbox_mount_proc(void);
/* The exit status for a command that exec() refused. */
int exec_failed(const char *command, int errno_);

/* ---- init.c ---- */

struct run {
	const char **networks; /* one at least */
	size_t network_count;
	const char *name; /* the same on each */
	bool detach;
	const struct arguments *arguments; /* -p */
	char **command;
	const sigset_t *mask; /* what the command starts with */
};

/* One that hands signals on: the front to the supervisor, that to the first process, and that to
 * the command. */
struct parent {
	pid_t child;
	bool held;   /* the child holds its signals back, so two are one to it */
	int signals; /* signalfd */
	int front;   /* to the front process, which the child dies with; or -1 */
};

/* Block what is handed on, and SIGCHLD, to be taken by the signalfd that this returns. */
int parent_signals(void);
/* Hand one on that is there, unless the child has it already. */
void parent_forward(const struct parent *parent);
/* Wait for a signal or the front's end, and do as it says; false if there was none. */
bool parent_event(struct parent *parent, int timeout_ms);
/* Bury whatever ends, until the child has; its exit status. */
int parent_wait(struct parent *parent);

/* Off the terminal and off pipes, whose reader would wait for the command; a file may stay. */
void leave_terminal(bool keep_files);

struct started {
	pid_t child;   /* ours, in the new namespaces */
	pid_t command; /* it, or its child */
	int gate;      /* socket: a byte in lets the command go; then an errno, or the end, comes */
};

/* Start the command, held before its exec, in new namespaces (CLONE_NEW*). With one of pids there
 * is a first process too, and a /proc. 0 or a negative errno. */
int start_command(const struct run *run, int namespaces, struct started *ret_started);

/* ---- supervisor.c ---- */

/* From each network, where it may be gone already. 0, or 1 with the reasons on standard error. */
int detach_run(struct cli *cli, const struct run *run, uint32_t flags);

/* What the front is told: that the command runs, and once all is cleaned up, how it ended. */
struct news {
	pid_t command; /* 0: it has ended */
	int status;
};

/* Start the command on the network, wait for its end or the front's, clean up. Returns the exit
 * status, for a front that was not told. */
int supervise(struct cli *cli, const struct run *run, int front);

/* ---- The commands ---- */

int names_command(struct cli *cli, int argc, char **argv);
int files_command(struct cli *cli, int argc, char **argv);
int options_command(struct cli *cli, int argc, char **argv);
int network_create_command(struct cli *cli, int argc, char **argv);
int network_update_command(struct cli *cli, int argc, char **argv);
int network_ls_command(struct cli *cli, int argc, char **argv);
int network_inspect_command(struct cli *cli, int argc, char **argv);
int network_rm_command(struct cli *cli, int argc, char **argv);
int endpoint_update_command(struct cli *cli, int argc, char **argv);
int attach_command(struct cli *cli, int argc, char **argv);
int detach_command(struct cli *cli, int argc, char **argv);
int publish_command(struct cli *cli, int argc, char **argv);
int unpublish_command(struct cli *cli, int argc, char **argv);
int move_command(struct cli *cli, int argc, char **argv);
int collect_command(struct cli *cli, int argc, char **argv);
int ps_command(struct cli *cli, int argc, char **argv);
int rules_command(struct cli *cli, int argc, char **argv);
int check_command(struct cli *cli, int argc, char **argv);
int repair_command(struct cli *cli, int argc, char **argv);
int state_dump_command(struct cli *cli, int argc, char **argv);
int backend_command(struct cli *cli, int argc, char **argv);
int backend_switch_command(struct cli *cli, int argc, char **argv);
int exec_command(struct cli *cli, int argc, char **argv);
int watch_command(struct cli *cli, int argc, char **argv);
int run_command(struct cli *cli, int argc, char **argv);

#endif
