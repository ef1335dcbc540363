/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before those of Linux, which define the same unless they see it. */
#include <netinet/in.h>

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netconf.h>

#include "link/private.h"

#define IPV6_FORCE_FORWARDING 59 /* DEVCONF_FORCE_FORWARDING of the headers of Linux 6.17 */

/* What the kernel shows of the bridge, for each family. */
struct sight {
	const struct bridge_config *config;
	bool is_there;
	struct link_info info;
	bool has_gateway[2], forwards[2];
	uint32_t route_index[2]; /* of the interface that the gateway's address is on */
	bool can_force, has_localnet;
};

enum { IPV4, IPV6 };

/* ---- looking ---- */

static bool conf_value(const struct nlattr *values, int index, bool *ret_set)
{
	const int32_t *value;

	if (!values || nla_len(values) < (int)((size_t)(index + 1) * sizeof(*value)))
		return false;
	value = nla_data(values);
	*ret_set |= value[index] != 0;
	return true;
}

static void take_confs(struct sight *sight, struct nlattr *spec)
{
	struct nlattr *ipv4 = nla_find(nla_data(spec), nla_len(spec), AF_INET);
	struct nlattr *ipv6 = nla_find(nla_data(spec), nla_len(spec), AF_INET6);
	struct nlattr *values;

	if (ipv4) {
		values = nla_find(nla_data(ipv4), nla_len(ipv4), IFLA_INET_CONF);
		conf_value(values, IPV4_DEVCONF_FORWARDING - 1, &sight->forwards[IPV4]);
		conf_value(values, IPV4_DEVCONF_ROUTE_LOCALNET - 1, &sight->has_localnet);
	}
	if (ipv6) {
		values = nla_find(nla_data(ipv6), nla_len(ipv6), IFLA_INET6_CONF);
		sight->can_force =
			conf_value(values, IPV6_FORCE_FORWARDING, &sight->forwards[IPV6]);
	}
}

static void take_bridge(struct sight *sight, const struct nlmsghdr *reply)
{
	struct nlattr *spec;

	sight->is_there = link_info_parse(reply, &sight->info);
	spec = nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), IFLA_AF_SPEC);
	if (sight->is_there && spec)
		take_confs(sight, spec);
}

/* Of IPv6, where an interface's own value is about routers and their advertisements alone. */
static void take_forwarding_of_all(struct sight *sight, const struct nlmsghdr *reply)
{
	struct nlattr *value = nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct netconfmsg),
					       NETCONFA_FORWARDING);

	sight->forwards[IPV6] |= value && nla_get_u32(value) != 0;
}

/* The one that the kernel would take a packet to that address by: its own. */
static void take_route(struct sight *sight, const struct nlmsghdr *reply)
{
	const struct rtmsg *route = nlmsg_data(reply);
	struct nlattr *interface =
		nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(*route), RTA_OIF);

	if (route->rtm_type == RTN_LOCAL && interface)
		sight->route_index[route->rtm_family == AF_INET6] = nla_get_u32(interface);
}

static int take_sight(void *userdata, const struct nlmsghdr *reply)
{
	struct sight *sight = userdata;

	if (reply->nlmsg_type == RTM_NEWLINK)
		take_bridge(sight, reply);
	else if (reply->nlmsg_type == RTM_NEWNETCONF)
		take_forwarding_of_all(sight, reply);
	else if (reply->nlmsg_type == RTM_NEWROUTE)
		take_route(sight, reply);
	return 0;
}

static void ask_for_route(struct rtnl_batch *batch, const struct addr *gateway)
{
	const struct rtmsg header = {
		.rtm_family = (uint8_t)gateway->family,
		.rtm_dst_len = (uint8_t)(addr_size(gateway->family) * 8),
		.rtm_flags = RTM_F_FIB_MATCH,
	};

	rtnl_add(batch, RTM_GETROUTE, 0, &header, sizeof(header));
	rtnl_put(batch, RTA_DST, gateway->bytes, addr_size(gateway->family));
}

static void ask_for_forwarding_of_all(struct rtnl_batch *batch)
{
	const struct netconfmsg header = { .ncm_family = AF_INET6 };

	rtnl_add(batch, RTM_GETNETCONF, 0, &header, sizeof(header));
	rtnl_put_u32(batch, NETCONFA_IFINDEX, (uint32_t)NETCONFA_IFINDEX_ALL);
}

static const struct subnet *subnet_of(const struct bridge_config *config, int family)
{
	const struct subnet *subnet = family == IPV4 ? &config->ipv4 : &config->ipv6;

	return subnet->prefix.addr.family ? subnet : NULL;
}

/* All of it in one send: for the most part everything is as it should be. A dump of the bridge's
 * addresses would take as long as all of this. */
static int look(struct link_handle *handle, struct sight *sight, struct error *error)
{
	const struct bridge_config *config = sight->config;
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_sight, .userdata = sight };
	int r;

	rtnl_add_named(&batch, RTM_GETLINK, 0, config->name);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	for (int family = IPV4; family <= IPV6; family++)
		if (subnet_of(config, family))
			ask_for_route(&batch, &subnet_of(config, family)->gateway);
	if (subnet_of(config, IPV6))
		ask_for_forwarding_of_all(&batch);
	r = rtnl_run(handle, &batch);
	/* each of them may fail by itself, and says enough by that */
	if (r < 0 && batch.failed == batch.len)
		return rtnl_failure(error, &batch, r, "look at bridge %s", config->name);
	for (int family = IPV4; family <= IPV6; family++)
		sight->has_gateway[family] = sight->is_there && sight->route_index[family] ==
									sight->info.interface.index;
	return 0;
}

/* ---- which device it is ---- */

/* Rules, and the files of its settings, go by its name. taken: another has that by now. */
static int renamed_error(const struct bridge_config *config, const char *network, const char *now,
			 bool taken, struct error *error)
{
	return error_set(error, -ENODEV, BN_REASON_BRIDGE_INVALID,
			 "bridge %s of network %s is called %s now, and its rules go by the name; "
			 "%sgive it back: ip link set %s name %s",
			 config->name, network, now,
			 taken ? "rename the interface that has it, and " : "", now, config->name);
}

static int absent_error(const struct sight *sight, const char *network, struct error *error)
{
	const struct bridge_config *config = sight->config;

	if (sight->is_there)
		return error_set(error, -ENODEV, BN_REASON_BRIDGE_INVALID,
				 "interface %s is not the bridge of network %s, but another's of "
				 "that name; delete that one and the network, and create the "
				 "network again",
				 config->name, network);
	return error_set(error, -ENODEV, BN_REASON_BRIDGE_INVALID,
			 "bridge %s of network %s does not exist any more; delete the network and "
			 "create it again",
			 config->name, network);
}

static int check_identity(struct link_handle *handle, const struct sight *sight,
			  const char *network, struct error *error)
{
	const struct bridge_config *config = sight->config;
	const struct link_info *info = &sight->info;
	bool ours = sight->is_there && strcmp(info->kind, "bridge") == 0;
	struct link_info other;
	int r;

	if (!config->adopt)
		ours = ours && strcmp(info->alias, config->alias) == 0;
	/* what has the name as an alternative one is found by it too */
	if (ours && strcmp(info->interface.name, config->name) == 0)
		return 0;
	if (ours)
		return renamed_error(config, network, info->interface.name, false, error);
	if (config->adopt)
		return absent_error(sight, network, error);
	r = link_find_alias(handle, "bridge", config->alias, &other, error);
	if (r == 0)
		return renamed_error(config, network, other.interface.name, sight->is_there, error);
	return r == -ENODEV ? absent_error(sight, network, error) : r;
}

/* ---- how it is ---- */

static bool has_address(const address_vector *addresses, const struct addr *address)
{
	for (size_t i = 0; i < addresses->len; i++)
		if (addr_compare(&addresses->items[i].address.addr, address) == 0)
			return true;
	return false;
}

/* The route may lead elsewhere, by a rule of the host's or because two have the address. */
static int check_gateway(struct link_handle *handle, const struct sight *sight, int family,
			 const char *network, struct error *error)
{
	const struct bridge_config *config = sight->config;
	const struct subnet *subnet = subnet_of(config, family);
	CLEANUP_VECTOR address_vector addresses = { 0 };
	char gateway[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX];
	const struct addr link_local = bridge_link_local(config).addr;
	int r;

	r = link_addresses(handle, sight->info.interface.index, false, &addresses, error);
	if (r < 0 || has_address(&addresses, &subnet->gateway))
		return r;
	addr_format(&subnet->gateway, gateway);
	/* setting a bridge down takes both away */
	if (family == IPV6 && !config->adopt && !has_address(&addresses, &link_local))
		return error_set(error, -ENETDOWN, BN_REASON_BRIDGE_INVALID,
				 "bridge %s of network %s has lost its addresses %s and %s; add "
				 "them: ip address add %s/%u dev %s nodad; "
				 "ip address add %s/64 dev %s nodad",
				 config->name, network, gateway, addr_format(&link_local, local),
				 gateway, subnet->prefix.len, config->name, local, config->name);
	return error_set(error, -ENETDOWN, BN_REASON_BRIDGE_INVALID,
			 "bridge %s of network %s has lost its address %s; add it: "
			 "ip address add %s/%u dev %s%s",
			 config->name, network, gateway, gateway, subnet->prefix.len, config->name,
			 family == IPV6 ? " nodad" : "");
}

/* Turning it off for the whole host turns it off on each interface. */
static int forwarding_error(const struct sight *sight, int family, const char *network,
			    struct error *error)
{
	const char *name = sight->config->name, *key = "forwarding";
	bool all = sysctl_interface_read(family == IPV4 ? "ipv4" : "ipv6", "all", key) == 0;

	if (family == IPV6 && sight->can_force) {
		key = "force_forwarding";
		all = false;
	}
	return error_set(error, -ENETDOWN, BN_REASON_BRIDGE_INVALID,
			 "the host does not forward %s from bridge %s of network %s; turn it on: "
			 "sysctl -w net/%s/conf/%s/%s=1",
			 family == IPV4 ? "IPv4" : "IPv6", name, network,
			 family == IPV4 ? "ipv4" : "ipv6", all ? "all" : name, key);
}

static int check_condition(struct link_handle *handle, const struct sight *sight, bool localnet,
			   const char *network, struct error *error)
{
	const char *name = sight->config->name;
	int r = 0;

	/* without a port it has no carrier, which is as it should be */
	if (!(sight->info.interface.flags & IFF_UP))
		return error_set(error, -ENETDOWN, BN_REASON_BRIDGE_INVALID,
				 "bridge %s of network %s is down; bring it up: ip link set %s up",
				 name, network, name);
	for (int family = IPV4; family <= IPV6 && r == 0; family++) {
		if (!subnet_of(sight->config, family))
			continue;
		if (!sight->has_gateway[family])
			r = check_gateway(handle, sight, family, network, error);
		if (r == 0 && !sight->forwards[family])
			r = forwarding_error(sight, family, network, error);
	}
	if (r < 0 || !localnet || !subnet_of(sight->config, IPV4) || sight->has_localnet)
		return r;
	return error_set(error, -ENETDOWN, BN_REASON_BRIDGE_INVALID,
			 "the host's own connections to 127.0.0.0/8 do not get out by bridge %s of "
			 "network %s; allow it: sysctl -w net/ipv4/conf/%s/route_localnet=1",
			 name, network, name);
}

int bridge_ready(struct link_handle *handle, const struct bridge_config *config, bool localnet,
		 const char *network, uint32_t *ret_index, struct error *error)
{
	struct sight sight = { .config = config };
	int r;

	r = look(handle, &sight, error);
	if (r == 0)
		r = check_identity(handle, &sight, network, error);
	if (r == 0)
		r = check_condition(handle, &sight, localnet, network, error);
	if (r == 0)
		*ret_index = sight.info.interface.index;
	return r;
}
