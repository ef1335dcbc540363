/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "link/private.h"

#define IPV4_FORWARD "/proc/sys/net/ipv4/ip_forward"
#define IPV6_CONF "/proc/sys/net/ipv6/conf"
#define IPV6_FORWARD IPV6_CONF "/all/forwarding"
#define SYSCTL_PATH_MAX 96

int sysctl_read(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	return len < 0 ? -errno : atoi(text);
}

/* Only if it has another value. */
static int sysctl_write(const char *path, int value, struct error *error)
{
	CLEANUP_CLOSE int fd = -1;
	char text[16];
	int len;

	/* Read first: /proc/sys may be read-only and yet be as we need it. */
	if (sysctl_read(path) == value)
		return 0;
	len = snprintf(text, sizeof(text), "%d", value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, (size_t)len) == len)
		return 0;
	return error_set(error, -errno, error_reason(errno, BN_REASON_KERNEL),
			 "cannot write %d to %s: %s; write it yourself or allow it", value, path,
			 errno_text(errno));
}

/* Dotted names would take the dots of an interface's name (eth0.10) for separators. */
static const char *interface_path(char path[static SYSCTL_PATH_MAX], const char *family,
				  const char *interface, const char *key)
{
	snprintf(path, SYSCTL_PATH_MAX, "/proc/sys/net/%s/conf/%s/%s", family, interface, key);
	return path;
}

int sysctl_interface_read(const char *family, const char *interface, const char *key)
{
	char path[SYSCTL_PATH_MAX];

	return sysctl_read(interface_path(path, family, interface, key));
}

int sysctl_interface_write(const char *family, const char *interface, const char *key, int value,
			   struct error *error)
{
	char path[SYSCTL_PATH_MAX];

	return sysctl_write(interface_path(path, family, interface, key), value, error);
}

/* An interface that takes router advertisements stops taking them when it forwards, unless it is
 * told to (2), and the host would lose its default route. 2 means the same as 1 otherwise. */
static int keep_router_advertisements(struct error *error)
{
	DIR *directory = opendir(IPV6_CONF);
	struct dirent *entry;
	int r = 0;

	if (!directory)
		return error_set(error, -errno, BN_REASON_KERNEL, "cannot read %s: %s", IPV6_CONF,
				 errno_text(errno));
	while (r == 0 && (entry = readdir(directory))) {
		const char *name = entry->d_name;

		if (name[0] == '.' || strlen(name) >= IFNAMSIZ || strcmp(name, "all") == 0 ||
		    strcmp(name, "default") == 0 || strcmp(name, "lo") == 0)
			continue;
		if (sysctl_interface_read("ipv6", name, "accept_ra") == 1 &&
		    sysctl_interface_read("ipv6", name, "forwarding") == 0)
			r = sysctl_interface_write("ipv6", name, "accept_ra", 2, error);
		if (r == -ENOENT) /* the interface went away meanwhile */
			r = 0;
	}
	closedir(directory);
	return r;
}

int sysctl_forwarding_enable(int family, bool *ret_changed, struct error *error)
{
	const char *path = family == AF_INET6 ? IPV6_FORWARD : IPV4_FORWARD;
	int value = sysctl_read(path);
	int r;

	if (value == -ENOENT)
		return error_set(error, -EAFNOSUPPORT, BN_REASON_UNSUPPORTED,
				 "this kernel has no %s: %s does not exist",
				 family == AF_INET6 ? "IPv6" : "IPv4", path);
	if (value > 0) {
		*ret_changed = false;
		return 0;
	}
	r = family == AF_INET6 ? keep_router_advertisements(error) : 0;
	if (r == 0)
		r = FAULT("link.forwarding");
	if (r == 0)
		r = sysctl_write(path, 1, error);
	if (r == 0)
		*ret_changed = true;
	return r;
}

void sysctl_forwarding_restore(int family, bool changed)
{
	if (changed)
		sysctl_write(family == AF_INET6 ? IPV6_FORWARD : IPV4_FORWARD, 0, NULL);
}
