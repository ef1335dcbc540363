/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/ip.h>
#include <stdio.h>
#include <unistd.h>

#include "link/private.h"

#define CONF_PATH_MAX 96

int sysctl_value_of(int fd)
{
	char text[16] = "";
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	return len < 0 ? -errno : atoi(text);
}

static int sysctl_read(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : sysctl_value_of(fd);
}

/* Only if it has another value. Of what that costs most is to open it. */
static int sysctl_write(const char *path, int value, struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	char text[16];
	int len;

	/* /proc/sys may be read-only, and yet be as we need it. */
	if ((fd < 0 ? sysctl_read(path) : sysctl_value_of(fd)) == value)
		return 0;
	len = snprintf(text, sizeof(text), "%d", value);
	if (fd < 0)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && pwrite(fd, text, (size_t)len, 0) == len)
		return 0;
	return error_set(error, -errno, error_reason(errno, BN_REASON_KERNEL),
			 "cannot write %d to %s: %s; write it yourself or allow it", value, path,
			 errno_text(errno));
}

/* Dotted names would take the dots of an interface's name (eth0.10) for separators. */
static const char *interface_path(char path[static CONF_PATH_MAX], const char *family,
				  const char *interface, const char *key)
{
	snprintf(path, CONF_PATH_MAX, "/proc/sys/net/%s/conf/%s/%s", family, interface, key);
	return path;
}

int sysctl_interface_read(const char *family, const char *interface, const char *key)
{
	char path[CONF_PATH_MAX];

	return sysctl_read(interface_path(path, family, interface, key));
}

int sysctl_interface_open(const char *family, const char *interface, const char *key)
{
	char path[CONF_PATH_MAX];
	int fd = open(interface_path(path, family, interface, key), O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool sysctl_interface_is_writable(const char *family, const char *interface, const char *key)
{
	char path[CONF_PATH_MAX];
	CLEANUP_CLOSE int fd =
		open(interface_path(path, family, interface, key), O_WRONLY | O_CLOEXEC);

	/* who has no descriptor left is told so when it is written */
	return fd >= 0 || errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EINTR;
}

int sysctl_interface_write(const char *family, const char *interface, const char *key, int value,
			   struct error *error)
{
	char path[CONF_PATH_MAX];

	return sysctl_write(interface_path(path, family, interface, key), value, error);
}

bool link_frames_are_filtered(int family)
{
	return sysctl_read(family == AF_INET ? "/proc/sys/net/bridge/bridge-nf-call-iptables" :
					       "/proc/sys/net/bridge/bridge-nf-call-ip6tables") > 0;
}

bool sysctl_has_ipv6(void)
{
	CLEANUP_CLOSE int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 || errno != EAFNOSUPPORT)
		return true;
	/* that may be refused to this process; the look takes the longer, the more namespaces there
	 * are: the entries of all of them for that name share a chain */
	return access("/proc/sys/net/ipv6", F_OK) == 0;
}

const char *sysctl_family(int family)
{
	return family == AF_INET ? "ipv4" : "ipv6";
}

/* ---- by netlink ---- */

static const struct {
	const char *key;
	int number;
} ipv4_keys[] = {
	{ "forwarding", IPV4_DEVCONF_FORWARDING },
	{ "route_localnet", IPV4_DEVCONF_ROUTE_LOCALNET },
};

/* What CAP_NET_ADMIN alone allows, of one interface; neither of `all`, nor of IPv6. */
static int write_by_netlink(struct link_handle *handle, const char *interface, const char *key,
			    int value)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(ipv4_keys); i++) {
		const int conf[][2] = { { ipv4_keys[i].number, value } };

		if (strcmp(key, ipv4_keys[i].key) != 0)
			continue;
		rtnl_add_named(&batch, RTM_NEWLINK, 0, interface);
		rtnl_put_ipv4_conf(&batch, conf, ARRAY_SIZE(conf));
		return rtnl_run_surely(handle, &batch, -ENODEV, "link.conf");
	}
	return -EOPNOTSUPP;
}

int conf_write(struct link_handle *handle, int family, const char *interface, const char *key,
	       int value, struct error *error)
{
	struct error cause = { 0 };
	int r;

	r = sysctl_interface_write(sysctl_family(family), interface, key, value, &cause);
	if (r == 0 || r == -ENOENT)
		return 0;
	if (family == AF_INET && strcmp(interface, "all") != 0 &&
	    strcmp(interface, "default") != 0 &&
	    write_by_netlink(handle, interface, key, value) == 0)
		return 0;
	return error_set(error, r, cause.reason, "%s", cause.message);
}

/* ---- what was asked for ---- */

#define VALUE_MAX 4096

/* Where the kernel shows tabs, blanks are meant. */
static bool is_same_value(const char *a, const char *b)
{
	for (;;) {
		size_t blanks = strspn(a, " \t\n"), len;

		a += blanks;
		b += strspn(b, " \t\n");
		len = strcspn(a, " \t\n");
		if (len != strcspn(b, " \t\n") || strncmp(a, b, len) != 0)
			return false;
		if (len == 0)
			return true;
		a += len;
		b += len;
	}
}

static bool has_value(const char *path, const char *value)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[VALUE_MAX];
	ssize_t len = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (len < 0)
		return false;
	text[len] = '\0';
	return is_same_value(text, value);
}

static int write_one(const struct sysctl *sysctl, const char *endpoint, struct error *error)
{
	char path[SYSCTL_PATH_MAX + 16];
	size_t len = strlen(sysctl->value);
	CLEANUP_CLOSE int fd = -1;
	int r;

	snprintf(path, sizeof(path), "/proc/sys/%s", sysctl->path);
	if (has_value(path, sysctl->value))
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	r = FAULT("link.endpoint.sysctl");
	if (r == 0 && (fd < 0 || write(fd, sysctl->value, len) != (ssize_t)len))
		r = -errno;
	if (r == 0)
		return 0;
	if (r == -ENOENT)
		return error_set(error, r, BN_REASON_KERNEL,
				 "there is no %s in the namespace of endpoint %s; name a setting "
				 "that this kernel has",
				 path, endpoint);
	return error_set(error, r, error_reason(-r, BN_REASON_KERNEL),
			 "cannot write '%.80s' to %s in the namespace of endpoint %s: %s; give a "
			 "value that it takes, or make it writable",
			 sysctl->value, path, endpoint, errno_text(-r));
}

static int write_all(void *userdata, struct error *error)
{
	const struct link_endpoint_config *config = userdata;
	int r = 0;

	for (size_t i = 0; i < config->sysctls->len && r == 0; i++)
		r = write_one(&config->sysctls->items[i], config->endpoint->id, error);
	return r;
}

int sysctls_write(const struct sandbox *sandbox, const struct link_endpoint_config *config,
		  struct error *error)
{
	return sandbox_run(sandbox, write_all, (void *)config, error);
}

struct comparison {
	const sysctl_vector *sysctls;
	bool *differ;
};

static int compare_all(void *userdata, struct error *error)
{
	const struct comparison *comparison = userdata;
	char path[SYSCTL_PATH_MAX + 16];

	(void)error;
	for (size_t i = 0; i < comparison->sysctls->len; i++) {
		const struct sysctl *sysctl = &comparison->sysctls->items[i];

		snprintf(path, sizeof(path), "/proc/sys/%s", sysctl->path);
		comparison->differ[i] = !has_value(path, sysctl->value);
	}
	return 0;
}

int link_sysctls_differ(const struct sandbox *sandbox, const sysctl_vector *sysctls, bool *differ,
			struct error *error)
{
	struct comparison comparison = { sysctls, differ };

	return sandbox_run(sandbox, compare_all, &comparison, error);
}
