/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bn.h"

void sandbox_mount_sysfs(void)
{
	/* a sysfs shows the network namespace that it was mounted in; a command that doesn't look
	 * at /sys/class/net runs as well without, so failing is no error */
	if (mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) == 0)
		(void)mount("bn", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

int exec_failed(const char *command, int errno_)
{
	cli_fail_text("%s can't be run: %s", command, strerror(errno_));
	return errno_ == ENOENT || errno_ == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

/* The path of the endpoint's namespace, to be freed; NULL once the reason is printed. */
static char *find_sandbox(struct cli *cli, const char *network, const char *name)
{
	bn_endpoint *endpoint;
	char *path;
	int r;

	if (cli_open(cli) != 0)
		return NULL;
	r = bn_endpoint_get(cli->ctx, network, name, 0, &endpoint);
	if (r < 0) {
		cli_fail(cli, r);
		return NULL;
	}
	path = strdup(bn_endpoint_sandbox(endpoint));
	bn_endpoint_free(endpoint);
	if (!path)
		out_of_memory();
	if (*path)
		return path;
	free(path);
	cli_fail_text("the namespace of endpoint '%s' on network '%s' has no path to enter it by;"
		      " attach it with --netns or --pid",
		      name, network);
	return NULL;
}

int exec_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	char **command, *path;
	int r;

	arguments_parse(cli, argc, argv, STOP_AT_WORD, options, &arguments);
	arguments_words(cli, &arguments, 2, WORDS_ANY);
	argv = arguments.words;
	command = argv + 2;
	arguments_free(&arguments);
	if (*command && strcmp(*command, "--") == 0)
		command++;
	if (!*command)
		cli_usage(cli, "a command is needed");
	path = find_sandbox(cli, argv[0], argv[1]);
	if (!path)
		return EXIT_FAILURE;
	r = enter(path);
	if (r < 0) {
		cli_fail_text("the namespace %s of endpoint '%s' can't be entered: %s", path,
			      argv[1], strerror(-r));
		free(path);
		return EXIT_FAILURE;
	}
	free(path);
	if (unshare(CLONE_NEWNS) == 0)
		sandbox_mount_sysfs();
	execvp(*command, command);
	return exec_failed(*command, errno);
}
