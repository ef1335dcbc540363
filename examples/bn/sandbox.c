/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bn.h"

static int mount_own(const char *type, const char *point)
{
	if (mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    mount("bn", point, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	return 0;
}

void sandbox_mount_sysfs(void)
{
	/* a sysfs shows the network namespace that it was mounted in; a command that doesn't look
	 * at /sys/class/net runs as well without, so failing is no error */
	(void)mount_own("sysfs", "/sys");
}

int sandbox_mount_proc(void)
{
	return mount_own("proc", "/proc");
}

int exec_failed(const char *command, int errno_)
{
	cli_fail_text("%s can't be run: %s", command, strerror(errno_));
	return errno_ == ENOENT || errno_ == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/* Into the namespace of an endpoint; 1 once the reason why not is printed. */
static int enter(struct cli *cli, const char *network, const char *name)
{
	int fd, r;

	if (cli_open(cli) != 0)
		return 1;
	r = bn_endpoint_open_sandbox(cli->ctx, network, name, 0, &fd);
	if (r < 0)
		return cli_fail(cli, r);
	r = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
	close(fd);
	return r == 0 ? 0 :
			cli_fail_text("the namespace of endpoint '%s' on network '%s' can't be "
				      "entered: %s",
				      name, network, strerror(-r));
}

int exec_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	char **command;

	arguments_parse(cli, argc, argv, STOP_AT_WORD, options, &arguments);
	arguments_words(cli, &arguments, 2, WORDS_ANY);
	argv = arguments.words;
	command = argv + 2;
	arguments_free(&arguments);
	if (*command && strcmp(*command, "--") == 0)
		command++;
	if (!*command)
		cli_usage(cli, "a command is needed");
	if (enter(cli, argv[0], argv[1]) != 0)
		return EXIT_OURS;
	if (unshare(CLONE_NEWNS) == 0)
		sandbox_mount_sysfs();
	execvp(*command, command);
	return exec_failed(*command, errno);
}
