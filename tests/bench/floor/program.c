/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iptables.h"

#define RULE_ROOM 128
#define RULE_FORMAT                                               \
	"%s " FLOOR_IPTABLES_CHAIN " -p tcp --dport %zu -j DNAT " \
	"--to-destination 10.250.0.2:80\n"

static int run(const char *const argv[], const posix_spawn_file_actions_t *actions)
{
	int r, status;
	pid_t pid;

	r = posix_spawnp(&pid, argv[0], actions, NULL, (char *const *)argv, environ);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* A file in memory: a pipe would hold back a text that is longer than it. */
static int input_file(const char *input)
{
	size_t len = strlen(input);
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd >= 0 && pwrite(fd, input, len, 0) != (ssize_t)len) {
		close(fd);
		return -EIO;
	}
	return fd < 0 ? -errno : fd;
}

int floor_run_program(const char *const argv[], const char *input)
{
	posix_spawn_file_actions_t actions;
	int fd = input ? input_file(input) : open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0)
		return fd;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	r = run(argv, &actions);
	posix_spawn_file_actions_destroy(&actions);
	close(fd);
	return r;
}

static int each(const char *command, size_t first, size_t len)
{
	char port[8];
	const char *argv[] = {
		"iptables-legacy",
		"-t",
		"nat",
		command,
		FLOOR_IPTABLES_CHAIN,
		"-p",
		"tcp",
		"--dport",
		port,
		"-j",
		"DNAT",
		"--to-destination",
		"10.250.0.2:80",
		NULL,
	};
	int r = 0;

	for (size_t n = first; r == 0 && n < first + len; n++) {
		snprintf(port, sizeof(port), "%u", (unsigned int)(n + 1) % 65536);
		r = floor_run_program(argv, NULL);
	}
	return r;
}

static int restore(const char *command, size_t first, size_t len)
{
	static const char *const argv[] = { "iptables-legacy-restore", "--noflush", NULL };
	char *text = malloc(len * RULE_ROOM + RULE_ROOM), *at = text;
	int r;

	if (!text)
		return -ENOMEM;
	at = stpcpy(at, "*nat\n");
	for (size_t n = first; n < first + len; n++)
		at += snprintf(at, RULE_ROOM, RULE_FORMAT, command, n + 1);
	strcpy(at, "COMMIT\n");
	r = floor_run_program(argv, text);
	free(text);
	return r;
}

int floor_program_add(size_t first, size_t len)
{
	return each("-A", first, len);
}

int floor_program_delete(size_t first, size_t len)
{
	return each("-D", first, len);
}

int floor_restore_add(size_t first, size_t len)
{
	return restore("-A", first, len);
}

int floor_restore_delete(size_t first, size_t len)
{
	return restore("-D", first, len);
}

int floor_program_list(void)
{
	static const char *const argv[] = { "iptables-legacy", "-t", "nat", "-L", "-v", "-n", NULL };

	return floor_run_program(argv, NULL);
}
