/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What turning on forwarding changes of the host. In the order of what is there: nothing, where it
 * is on as a whole; each interface that packets come by, where the kernel can be told so of one
 * alone; all.
 */
/* Before those of Linux, which define the same unless they see it. */
#include <netinet/in.h>

#include <errno.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/netconf.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "link/private.h"

static bool interface_name(const struct link_handle *handle, uint32_t index,
			   char name[static IFNAMSIZ])
{
	struct ifreq request = { .ifr_ifindex = (int)index };

	/* else it has gone meanwhile */
	if (ioctl(handle->fd, SIOCGIFNAME, &request) < 0)
		return false;
	memcpy(name, request.ifr_name, IFNAMSIZ);
	return true;
}

/* ---- what there is ---- */

bool has_force_forwarding(void)
{
	/* one that can't be read now is there */
	return sysctl_interface_read("ipv6", "all", "force_forwarding") != -ENOENT;
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

struct conf_query {
	const struct link_handle *handle;
	conf_vector *confs;
};

/* The kernel tells of IPv4 by index: -2 is what new interfaces begin with, -1 all. */
static int take_ipv4_conf(void *userdata, const struct nlmsghdr *reply)
{
	struct conf_query *query = userdata;
	struct nlattr *attrs[NETCONFA_MAX + 1];
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
	if (index != NETCONFA_IFINDEX_DEFAULT &&
	    !interface_name(query->handle, (uint32_t)index, conf.name))
		return 0;
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
	conf.index = (uint32_t)((const struct ifinfomsg *)nlmsg_data(reply))->ifi_index;
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
 * told to (2), and the host would lose its default route. 2 means the same as 1 otherwise. A port
 * of a bridge takes none, which is for the bridge to do. */
static bool needs_accept_ra(const struct conf *conf, const index_vector *ports)
{
	return conf->accept_ra == 1 && !conf->forwarding && strcmp(conf->name, "lo") != 0 &&
	       !index_is_in(ports, conf->index);
}

static int take_port(void *userdata, const struct nlmsghdr *reply)
{
	index_vector *ports = userdata;
	const struct ifinfomsg *link;

	if (!reply) {
		ports->len = 0;
		return 0;
	}
	link = nlmsg_data(reply);
	/* bridges are there too */
	if (!nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(*link), IFLA_MASTER))
		return 0;
	return vector_append(ports, (uint32_t)link->ifi_index);
}

static int ports_read(struct link_handle *handle, index_vector *ports, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_port, .userdata = ports };
	const struct ifinfomsg header = { .ifi_family = AF_BRIDGE };
	int r;

	rtnl_add(&batch, RTM_GETLINK, 0, &header, sizeof(header));
	r = rtnl_dump(handle, &batch);
	return r < 0 ? rtnl_failure(error, &batch, r, "list the ports of bridges") : 0;
}

/* ---- by which interfaces packets come ---- */

/* To nobody further than the link, or to many. */
static bool is_of_the_link(const struct nlattr *destination, int family)
{
	struct addr addr = { .family = family };

	if (!destination || nla_len(destination) != (int)addr_size(family))
		return false;
	memcpy(addr.bytes, nla_data(destination), addr_size(family));
	return addr_is_link_local(&addr) || addr_is_multicast(&addr);
}

static int take_hops(index_vector *uplinks, struct nlattr *hops)
{
	const struct rtnexthop *hop = nla_data(hops);
	int left = nla_len(hops), r = 0;

	while (r == 0 && RTNH_OK(hop, left)) {
		r = index_add(uplinks, (uint32_t)hop->rtnh_ifindex);
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return r;
}

static int take_route(void *userdata, const struct nlmsghdr *reply)
{
	index_vector *uplinks = userdata;
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtmsg *route;

	if (!reply) {
		uplinks->len = 0;
		return 0;
	}
	route = nlmsg_data(reply);
	if (reply->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST ||
	    (route->rtm_flags & RTM_F_CLONED) ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0 ||
	    is_of_the_link(attrs[RTA_DST], route->rtm_family))
		return 0;
	if (attrs[RTA_MULTIPATH])
		return take_hops(uplinks, attrs[RTA_MULTIPATH]);
	return attrs[RTA_OIF] ? index_add(uplinks, nla_get_u32(attrs[RTA_OIF])) : 0;
}

/* Those that lead further than the link, by default or to a subnet: from there published ports are
 * asked for, and by there the answers come to what endpoints ask. */
static int uplinks_read(struct link_handle *handle, int family, index_vector *uplinks,
			struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_route, .userdata = uplinks };
	const struct rtmsg header = { .rtm_family = (uint8_t)family };
	int r;

	rtnl_add(&batch, RTM_GETROUTE, 0, &header, sizeof(header));
	r = rtnl_dump(handle, &batch);
	return r < 0 ? rtnl_failure(error, &batch, r, "list the routes of the host") : 0;
}

int is_uplink(struct link_handle *handle, int family, const char *interface, struct error *error)
{
	CLEANUP_VECTOR index_vector uplinks = { 0 };
	int r = uplinks_read(handle, family, &uplinks, error);

	return r < 0 ? r : index_is_in(&uplinks, link_index(handle, interface));
}

/* ---- the plan ---- */

static int add_setting(setting_vector *plan, const char *interface, const char *key, int was,
		       int wanted)
{
	struct host_setting setting = { .key = key, .was = was, .wanted = wanted };

	string_copy(setting.interface, sizeof(setting.interface), interface);
	return vector_append(plan, setting);
}

static int add_interface(setting_vector *plan, int family, const char *interface, const char *key)
{
	/* one that has no such file has none of the family */
	if (sysctl_interface_read(sysctl_family(family), interface, key) != 0)
		return 0;
	return add_setting(plan, interface, key, 0, 1);
}

/* Where packets come by no interface yet, so that there is none to turn on, that is noted of
 * all. */
static int plan_each(struct link_handle *handle, int family, const char *key, const char *adopted,
		     setting_vector *plan, struct error *error)
{
	CLEANUP_VECTOR index_vector uplinks = { 0 };
	char name[IFNAMSIZ];
	bool has_adopted = !adopted, has_uplink = false;
	int r = uplinks_read(handle, family, &uplinks, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < uplinks.len && r == 0; i++) {
		if (!interface_name(handle, uplinks.items[i], name) || strcmp(name, "lo") == 0)
			continue;
		has_uplink = true;
		has_adopted |= adopted && strcmp(name, adopted) == 0;
		r = add_interface(plan, family, name, key);
	}
	if (r == 0 && !has_adopted)
		r = add_interface(plan, family, adopted, key);
	if (r == 0 && !has_uplink)
		r = add_setting(plan, "all", "force_forwarding", 0, 0);
	return r < 0 ? error_oom(error) : 0;
}

/* That writes every interface's own value too, and for IPv4 whether the host lets itself be told of
 * better routers: the kernel sets that to what forwarding is not. */
static int plan_all(struct link_handle *handle, int family, setting_vector *plan,
		    struct error *error)
{
	CLEANUP_VECTOR conf_vector confs = { 0 };
	CLEANUP_VECTOR index_vector ports = { 0 };
	int r = confs_read(handle, family, &confs, error);

	if (r == 0 && family == AF_INET6)
		r = ports_read(handle, &ports, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < confs.len && r == 0; i++) {
		const struct conf *conf = &confs.items[i];

		if (conf->forwarding)
			r = add_setting(plan, conf->name, "forwarding", conf->forwarding,
					conf->forwarding);
		else if (needs_accept_ra(conf, &ports))
			r = add_setting(plan, conf->name, "accept_ra", 1, 2);
	}
	if (r == 0 && family == AF_INET &&
	    sysctl_interface_read("ipv4", "all", "accept_redirects") == 0)
		r = add_setting(plan, "all", "accept_redirects", 0, 0);
	if (r == 0)
		r = add_setting(plan, "all", "forwarding", 0, 1);
	return r < 0 ? error_oom(error) : 0;
}

/* Of IPv4 each interface has its own, whatever all have: a bridge of somebody else's may be without
 * it where new interfaces are. */
static int plan_adopted(int all, const char *adopted, setting_vector *plan, struct error *error)
{
	int r = 0;

	if (adopted && sysctl_interface_read("ipv4", adopted, "forwarding") == 0)
		r = add_setting(plan, "all", "forwarding", all, all);
	if (r == 0 && plan->len)
		r = add_interface(plan, AF_INET, adopted, "forwarding");
	return r < 0 ? error_oom(error) : 0;
}

int forwarding_plan(struct link_handle *handle, int family, const char *adopted,
		    setting_vector *ret_plan, struct error *error)
{
	int all = sysctl_forwarding_of_all(family, error);

	if (all < 0)
		return all;
	if (all)
		return family == AF_INET ? plan_adopted(all, adopted, ret_plan, error) : 0;
	if (family == AF_INET6 && has_force_forwarding())
		return plan_each(handle, family, "force_forwarding", adopted, ret_plan, error);
	/* then by netlink */
	if (family == AF_INET && !sysctl_interface_is_writable("ipv4", "all", "forwarding"))
		return plan_each(handle, family, "forwarding", adopted, ret_plan, error);
	return plan_all(handle, family, ret_plan, error);
}

static int forwarding_enable(struct link_handle *handle, int family, const char *adopted,
			     struct error *error)
{
	CLEANUP_VECTOR setting_vector plan = { 0 };
	int r = forwarding_plan(handle, family, adopted, &plan, error);

	for (size_t i = 0; i < plan.len && r == 0; i++) {
		const struct host_setting *setting = &plan.items[i];

		if (setting->wanted == setting->was)
			continue;
		r = FAULT("link.forwarding");
		if (r == 0)
			r = conf_write(handle, family, setting->interface, setting->key,
				       setting->wanted, error);
	}
	return r;
}

int host_forwarding_lacking(struct link_handle *handle, int family, bool each,
			    link_setting_vector *lacking, struct error *error)
{
	CLEANUP_VECTOR setting_vector plan = { 0 };
	int r;

	if (!each && family == AF_INET6 && has_force_forwarding())
		return 0;
	r = forwarding_plan(handle, family, NULL, &plan, error);
	for (size_t i = 0; i < plan.len && r == 0; i++) {
		const struct host_setting *planned = &plan.items[i];
		struct link_setting setting = { .family = family, .key = planned->key };

		if (planned->was != 0 || planned->wanted != 1)
			continue;
		setting.should_be = 1;
		string_copy(setting.interface, sizeof(setting.interface), planned->interface);
		r = vector_append(lacking, setting) < 0 ? error_oom(error) : 0;
	}
	return r;
}

int host_forwarding_enable(struct link_handle *handle, bool ipv4, bool ipv6, const char *adopted,
			   struct error *error)
{
	int r = 0;

	if (ipv4)
		r = forwarding_enable(handle, AF_INET, adopted, error);
	if (r == 0 && ipv6)
		r = forwarding_enable(handle, AF_INET6, adopted, error);
	return r;
}
