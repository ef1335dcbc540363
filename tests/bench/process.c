/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What bn costs as a whole process, from its start to its end: process BN. The floors are programs
 * that do as much of the kernel's work, or where that is little, true(1).
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 60
#define ENDPOINTS 1000
#define SANDBOX "@" /* in a command line: the path of a namespace */

extern char **environ;

/* Words of a command line, by blanks. */
struct command {
	char text[512];
	char *words[32];
};

static char bn[256], sandbox_path[64];
static bn_ctx *ctx;

static void command_split(struct command *command)
{
	size_t len = 0;

	for (char *word = strtok(command->text, " "); word && len < 31; word = strtok(NULL, " "))
		command->words[len++] = strcmp(word, SANDBOX) == 0 ? sandbox_path : word;
	command->words[len] = NULL;
}

static double run(const struct command *command)
{
	posix_spawn_file_actions_t actions;
	double start = bench_now();
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, command->words[0], &actions, NULL, command->words, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "%s %s fails\n", command->words[0], command->words[1]);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&actions);
	return bench_now() - start;
}

static void undo_attach(void)
{
	bench_check(ctx, bn_endpoint_detach(ctx, "bench", "box", 0), "detach");
}

static void undo_link(void)
{
	bench_run("ip link delete floor0");
}

static void undo_publish(void)
{
	bn_port_spec *spec;

	if (bn_port_spec_new("8080:80", &spec) < 0)
		exit(1);
	bench_check(ctx, bn_port_unpublish(ctx, "bench", "endpoint-0", spec, 0), "unpublish");
	bn_port_spec_free(spec);
	/* whoever closes a socket of netfilter waits for what the kernel has yet to free */
	usleep(50 * 1000);
}

/* words: of bn. What they do is undone outside of what is measured. */
static void measure(const char *row, const char *words, void (*undo)(void), const char *floor,
		    void (*undo_floor)(void))
{
	struct command ours, bare;
	struct samples library = { .len = 0 }, least = { .len = 0 };

	snprintf(ours.text, sizeof(ours.text), "%s --state-dir %s %s", bn, bench_state_dir(),
		 words);
	snprintf(bare.text, sizeof(bare.text), "%s", floor);
	command_split(&ours);
	command_split(&bare);
	for (int i = -1; i < ROUNDS; i++) {
		double time = run(&ours);

		if (undo)
			undo();
		/* the first round only fills the page cache */
		if (i >= 0)
			samples_add(&library, time);
		time = run(&bare);
		if (undo_floor)
			undo_floor();
		if (i >= 0)
			samples_add(&least, time);
	}
	bench_report(row, &library, &least);
}

static void stage(void)
{
	ctx = bench_stage("nftables");
	bench_network(ctx);
	bench_attach(ctx, bench_sandbox(), 0, 0);
}

int main(int argc, char **argv)
{
	int sandbox;

	if (argc != 2) {
		fprintf(stderr, "usage: process BN\n");
		return 2;
	}
	snprintf(bn, sizeof(bn), "%s", argv[1]);
	stage();
	sandbox = bench_sandbox();
	snprintf(sandbox_path, sizeof(sandbox_path), "/proc/%d/fd/%d", getpid(), sandbox);
	measure("bn version, whole process", "version", NULL, "true", NULL);
	measure("bn attach, whole process", "attach bench box --netns " SANDBOX, undo_attach,
		"ip link add floor0 type veth peer name eth0 netns " SANDBOX, undo_link);
	measure("bn publish, whole process", "publish bench endpoint-0 -p 8080:80", undo_publish,
		"true", NULL);
	measure("bn run, whole process", "run --network bench -- true", NULL,
		"unshare --net --mount --pid --fork true", NULL);
	measure("bn network ls, whole process", "network ls", NULL, "true", NULL);
	measure("bn rules, whole process", "rules", NULL, "true", NULL);
	bench_leave(ctx);

	stage();
	for (unsigned int i = 1; i < ENDPOINTS; i++)
		bench_attach(ctx, bench_sandbox(), i, 0);
	measure("bn ps of 1,000 endpoints, whole process", "ps", NULL, "true", NULL);
	measure("bn rules of 1,000 endpoints, whole process", "rules", NULL, "true", NULL);
	bench_leave(ctx);
	return 0;
}
