/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom the host asks for names. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "link/private.h"

/* Where systemd-resolved answers for the host, the second has those whom it asks itself. */
static const char *const paths[] = { "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf" };

#define SIZE_MAX_READ 65536 /* no resolver reads more lines than fit */

/* What can't be read says nothing: "". */
static int read_text(const char *path, char **ret_text)
{
	/* O_NONBLOCK: it may be a pipe that nobody writes to */
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	ssize_t len = 0;
	char *text = malloc(SIZE_MAX_READ + 1);

	if (!text)
		return -ENOMEM;
	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		len = read(fd, text, SIZE_MAX_READ);
	text[len > 0 ? len : 0] = '\0';
	*ret_text = text;
	return 0;
}

/* "nameserver ADDRESS", with a zone behind it or not. */
static int take_line(char *line, addr_vector *servers)
{
	static const char keyword[] = "nameserver";
	struct addr addr;

	if (strncmp(line, keyword, sizeof(keyword) - 1) != 0)
		return 0;
	line += sizeof(keyword) - 1;
	if (*line != ' ' && *line != '\t')
		return 0;
	line += strspn(line, " \t");
	line[strcspn(line, " \t\r%")] = '\0';
	return addr_parse(line, &addr) < 0 ? 0 : vector_append(servers, addr);
}

int link_nameservers(addr_vector *servers, struct error *error)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths) && r == 0; i++) {
		CLEANUP_FREE char *text = NULL;
		char *rest, *line;

		r = read_text(paths[i], &text);
		for (rest = text; r == 0 && (line = strsep(&rest, "\n"));)
			r = take_line(line, servers);
	}
	return r < 0 ? error_oom(error) : 0;
}
