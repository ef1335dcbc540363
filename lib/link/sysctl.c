/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before those of Linux, which define the same unless they see it. */
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/netconf.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "link/private.h"

#define SYSCTL_PATH_MAX 96

/* The value, negative on failure. */
static int sysctl_read(const char *path)
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

bool sysctl_has_ipv6(void)
{
	CLEANUP_CLOSE int fd = -1;

	if (access("/proc/sys/net/ipv6", F_OK) == 0)
		return true;
	/* that may be hidden */
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 || errno != EAFNOSUPPORT;
}

const char *sysctl_family(int family)
{
	return family == AF_INET ? "ipv4" : "ipv6";
}

/* ---- forwarding ---- */

struct conf_query {
	const struct link_handle *handle;
	conf_vector *confs;
};

/* The kernel tells of IPv4 by index: -2 is what new interfaces begin with, -1 all. */
static int take_ipv4_conf(void *userdata, const struct nlmsghdr *reply)
{
	struct conf_query *query = userdata;
	struct nlattr *attrs[NETCONFA_MAX + 1];
	struct ifreq request = { 0 };
	struct conf conf = { .name = "default" };
	int index;

	if (!reply) {
		query->confs->len = 0;
		return 0;
	}
	if (reply->nlmsg_type != RTM_NEWNETCONF ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(struct netconfmsg), attrs, NETCONFA_MAX,
			NULL) < 0 ||
	    !attrs[NETCONFA_IFINDEX] || !attrs[NETCONFA_FORWARDING])
		return 0;
	index = (int)nla_get_u32(attrs[NETCONFA_IFINDEX]);
	conf.forwarding = (int)nla_get_u32(attrs[NETCONFA_FORWARDING]);
	if (!conf.forwarding || index == NETCONFA_IFINDEX_ALL)
		return 0;
	if (index != NETCONFA_IFINDEX_DEFAULT) {
		request.ifr_ifindex = index;
		/* gone meanwhile */
		if (ioctl(query->handle->fd, SIOCGIFNAME, &request) < 0)
			return 0;
		memcpy(conf.name, request.ifr_name, sizeof(conf.name));
	}
	return vector_append(query->confs, conf);
}

static int take_ipv6_conf(void *userdata, const struct nlmsghdr *reply)
{
	struct conf_query *query = userdata;
	struct nlattr *attrs[IFLA_MAX + 1], *values;
	const int32_t *value;
	struct conf conf = { 0 };

	if (!reply) {
		query->confs->len = 0;
		return 0;
	}
	if (reply->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) <
		    0 ||
	    !attrs[IFLA_IFNAME] || !attrs[IFLA_PROTINFO])
		return 0;
	values = nla_find(nla_data(attrs[IFLA_PROTINFO]), nla_len(attrs[IFLA_PROTINFO]),
			  IFLA_INET6_CONF);
	if (!values || nla_len(values) < (int)((DEVCONF_ACCEPT_RA + 1) * sizeof(*value)))
		return 0;
	value = nla_data(values);
	conf.forwarding = value[DEVCONF_FORWARDING];
	conf.accept_ra = value[DEVCONF_ACCEPT_RA];
	nla_strlcpy(conf.name, attrs[IFLA_IFNAME], sizeof(conf.name));
	if (!conf.forwarding && conf.accept_ra != 1)
		return 0;
	return vector_append(query->confs, conf);
}

/* One dump is some twenty times as fast as the files of a thousand interfaces. */
int confs_read(struct link_handle *handle, int family, conf_vector *confs, struct error *error)
{
	struct conf_query query = { handle, confs };
	const struct netconfmsg ipv4 = { .ncm_family = AF_INET };
	const struct ifinfomsg ipv6 = { .ifi_family = AF_INET6 };
	CLEANUP_BATCH struct rtnl_batch batch = { .userdata = &query };
	struct conf conf = { .name = "default" };
	int r;

	batch.reply = family == AF_INET ? take_ipv4_conf : take_ipv6_conf;
	if (family == AF_INET)
		rtnl_add(&batch, RTM_GETNETCONF, 0, &ipv4, sizeof(ipv4));
	else
		rtnl_add(&batch, RTM_GETLINK, 0, &ipv6, sizeof(ipv6));
	r = rtnl_dump(handle, &batch);
	if (r < 0)
		return rtnl_failure(error, &batch, r, "see which interfaces forward %s",
				    family == AF_INET ? "IPv4" : "IPv6");
	if (family == AF_INET)
		return 0;
	conf.forwarding = sysctl_interface_read("ipv6", "default", "forwarding");
	r = conf.forwarding > 0 ? vector_append(confs, conf) : 0;
	return r < 0 ? error_oom(error) : 0;
}

/* An interface that takes router advertisements stops taking them when it forwards, unless it is
 * told to (2), and the host would lose its default route. 2 means the same as 1 otherwise. */
bool conf_needs_accept_ra(const struct conf *conf)
{
	return conf->accept_ra == 1 && !conf->forwarding && strcmp(conf->name, "lo") != 0;
}

int sysctl_forwarding_of_all(int family, struct error *error)
{
	int value = sysctl_interface_read(sysctl_family(family), "all", "forwarding");

	if (value == -ENOENT)
		return error_set(error, -EAFNOSUPPORT, BN_REASON_UNSUPPORTED,
				 "this kernel has no %s: net.%s.conf.all.forwarding does not exist",
				 family == AF_INET ? "IPv4" : "IPv6", sysctl_family(family));
	if (value < 0)
		return error_set(error, value, error_reason(-value, BN_REASON_KERNEL),
				 "cannot read net.%s.conf.all.forwarding: %s",
				 sysctl_family(family), errno_text(-value));
	return value;
}

int conf_write(int family, const char *interface, const char *key, int value, struct error *error)
{
	int r = sysctl_interface_read(sysctl_family(family), interface, key);

	if (r == -ENOENT)
		return 0;
	r = sysctl_interface_write(sysctl_family(family), interface, key, value, error);
	if (r == -ENOENT) {
		error_clear(error);
		return 0;
	}
	return r;
}

static int keep_advertisements(struct link_handle *handle, struct error *error)
{
	CLEANUP_VECTOR conf_vector confs = { 0 };
	int r = confs_read(handle, AF_INET6, &confs, error);

	for (size_t i = 0; i < confs.len && r == 0; i++) {
		if (conf_needs_accept_ra(&confs.items[i]))
			r = conf_write(AF_INET6, confs.items[i].name, "accept_ra", 2, error);
	}
	return r;
}

static int forwarding_enable(struct link_handle *handle, int family, struct error *error)
{
	int r = sysctl_forwarding_of_all(family, error);

	if (r != 0)
		return r < 0 ? r : 0;
	r = family == AF_INET6 ? keep_advertisements(handle, error) : 0;
	if (r == 0)
		r = FAULT("link.forwarding");
	if (r == 0)
		r = sysctl_interface_write(sysctl_family(family), "all", "forwarding", 1, error);
	return r;
}

int host_forwarding_enable(struct link_handle *handle, bool ipv4, bool ipv6, struct error *error)
{
	int r = 0;

	if (ipv4)
		r = forwarding_enable(handle, AF_INET, error);
	if (r == 0 && ipv6)
		r = forwarding_enable(handle, AF_INET6, error);
	return r;
}
