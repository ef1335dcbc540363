/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only files can set of an interface in a sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "link/private.h"

enum need {
	MUST,        /* without it the endpoint can't be */
	UNLESS_LEFT, /* nor without this, unless the caller takes IPv6 as it is */
	SHOULD,
};

/* Of net.ipv6.conf.INTERFACE, on networks with IPv6 and without. Nobody but us gives addresses and
 * routes: no router advertisement does, and there is no duplicate to wait for. */
static const struct {
	bool with_ipv6;
	const char *key;
	int value;
	enum need need;
} settings[] = {
	{ false, "disable_ipv6", 1, UNLESS_LEFT },
	{ true, "disable_ipv6", 0, MUST },
	{ true, "accept_ra", 0, UNLESS_LEFT },
	{ true, "autoconf", 0, SHOULD },
	{ true, "accept_dad", 0, SHOULD },
	{ true, "ignore_routes_with_linkdown", 1, SHOULD },
};

#define KEY_PATH_MAX (IFNAMSIZ + 40)

static const char *key_path(char path[static KEY_PATH_MAX], const char *interface, const char *key)
{
	snprintf(path, KEY_PATH_MAX, "%s/%s", interface, key);
	return path;
}

/* Where files can't be written they may be right all the same. */
static bool has_value(int directory, const char *path, int value)
{
	CLEANUP_CLOSE int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	char text[16] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && atoi(text) == value;
}

static int write_value(int directory, const char *path, int value)
{
	CLEANUP_CLOSE int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
	char digit = (char)('0' + value);
	int r = fd >= 0 && write(fd, &digit, 1) == 1 ? 0 : -errno;

	return r == 0 || has_value(directory, path, value) ? 0 : r;
}

static int setting_failed(const struct link_endpoint_config *config, size_t i, int r,
			  char note[static LINK_NOTE_MAX], struct error *error)
{
	bool must = settings[i].need == MUST ||
		    (settings[i].need == UNLESS_LEFT && !config->leaves_ipv6);
	char what[160];

	snprintf(what, sizeof(what), "cannot write %d to /proc/sys/net/ipv6/conf/%s/%s",
		 settings[i].value, config->endpoint->interface, settings[i].key);
	/* the first is the gravest */
	if (!must && note[0])
		return 0;
	if (!must) {
		snprintf(note, LINK_NOTE_MAX, "endpoint %s: %s: %s", config->endpoint->id, what,
			 errno_text(-r));
		return 0;
	}
	return error_set(error, r, error_reason(-r, BN_REASON_KERNEL),
			 "%s in the namespace of endpoint %s: %s; make it writable%s", what,
			 config->endpoint->id, errno_text(-r),
			 settings[i].need == MUST ? "" :
						    ", or leave it as it is with the option "
						    "sandbox-ipv6=leave of the context");
}

int ipv6_set_up(const struct link_endpoint_config *config, int directory,
		char note[static LINK_NOTE_MAX], struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	bool with_ipv6 = endpoint->ipv6.addr.family;
	char path[KEY_PATH_MAX];
	int r = FAULT("link.endpoint.ipv6");

	note[0] = '\0';
	/* too small for IPv6: it has no files, and no IPv6 */
	if (!with_ipv6 && endpoint->mtu < IPV6_MTU_MIN)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(settings) && r == 0; i++) {
		if (settings[i].with_ipv6 != with_ipv6)
			continue;
		key_path(path, endpoint->interface, settings[i].key);
		r = directory < 0 ? directory : write_value(directory, path, settings[i].value);
		/* that an older kernel has no such file is no failure */
		if (r == -ENOENT && directory >= 0 && settings[i].need == SHOULD)
			r = 0;
		else if (r < 0)
			r = setting_failed(config, i, r, note, error);
	}
	return r;
}

int ipv6_open_notify(int directory, const char *interface)
{
	char path[KEY_PATH_MAX];

	key_path(path, interface, "ndisc_notify");
	return directory < 0 ? -1 : openat(directory, path, O_WRONLY | O_CLOEXEC);
}
