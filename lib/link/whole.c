/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel's answers have to be for those who read them. */
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/inet_diag.h>
#include <linux/net_namespace.h>
#include <linux/netconf.h>
#include <linux/sock_diag.h>

#include "base/netlink.h"
#include "link/private.h"

static const char link_forms[] = {
	[IFLA_IFNAME] = 's', [IFLA_MTU] = '4',   [IFLA_LINK] = '4',
	[IFLA_MASTER] = '4', [IFLA_GROUP] = '4', [IFLA_LINK_NETNSID] = '4',
};

static const char address_forms[] = { [IFA_PROTO_ATTRIBUTE] = '1' };

static const char route_forms[] = {
	[RTA_OIF] = '4',
	[RTA_PRIORITY] = '4',
	[RTA_TABLE] = '4',
};

static const char rule_forms[] = {
	[FRA_PRIORITY] = '4',
	[FRA_TABLE] = '4',
	[FRA_PROTOCOL] = '1',
};

static const char netconf_forms[] = { [NETCONFA_IFINDEX] = '4', [NETCONFA_FORWARDING] = '4' };

static const char namespace_forms[] = { [NETNSA_NSID] = '4' };

#define SHAPE(type, header, forms)                         \
	{                                                  \
		type, sizeof(header), forms, sizeof(forms) \
	}

static const struct netlink_shape shapes[] = {
	SHAPE(RTM_NEWLINK, struct ifinfomsg, link_forms),
	SHAPE(RTM_NEWADDR, struct ifaddrmsg, address_forms),
	SHAPE(RTM_NEWROUTE, struct rtmsg, route_forms),
	SHAPE(RTM_NEWRULE, struct fib_rule_hdr, rule_forms),
	SHAPE(RTM_NEWNETCONF, struct netconfmsg, netconf_forms),
	SHAPE(RTM_NEWNSID, struct rtgenmsg, namespace_forms),
	{ .type = RTM_NEWNEIGH, .header = sizeof(struct ndmsg) },
};

/* Its number is that of addresses, too. */
static const struct netlink_shape socket_shape = { .type = SOCK_DIAG_BY_FAMILY,
						   .header = sizeof(struct inet_diag_msg) };

bool rtnl_is_whole(int netlink_family, const struct nlmsghdr *message)
{
	if (netlink_family == NETLINK_SOCK_DIAG)
		return netlink_is_whole(message, &socket_shape, 1);
	return netlink_is_whole(message, shapes, ARRAY_SIZE(shapes));
}
