/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before those of Linux, which define the same unless they see it. */
#include <netinet/in.h>

#include <errno.h>
#include <linux/netconf.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "link/private.h"

enum { IPV4, IPV6 };

/* What the kernel shows of the bridge, for each family. */
struct sight {
	const struct bridge_config *config;
	uint32_t index, flags; /* index 0: there is nothing of the name */
	char name[IFNAMSIZ];   /* which the name may be an alternative one of */
	uint8_t mac[MAC_LEN];
	bool is_kept; /* and so it is ours */
	bool forwards[2], has_localnet;
	unsigned int on_it[2]; /* how many of the gateways' addresses are */
};

/* ---- looking ---- */

static void take_forwarding(struct sight *sight, const struct nlmsghdr *reply)
{
	const struct netconfmsg *conf = nlmsg_data(reply);
	struct nlattr *value =
		nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(*conf), NETCONFA_FORWARDING);

	sight->forwards[conf->ncm_family == AF_INET6] = value && nla_get_u32(value) != 0;
}

/* The one that the kernel would take a packet to that address by: its own. */
static void take_route(struct sight *sight, const struct nlmsghdr *reply)
{
	const struct rtmsg *route = nlmsg_data(reply);
	struct nlattr *interface =
		nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(*route), RTA_OIF);

	if (route->rtm_type == RTN_LOCAL && interface && nla_get_u32(interface) == sight->index)
		sight->on_it[route->rtm_family == AF_INET6]++;
}

static int take_sight(void *userdata, const struct nlmsghdr *reply)
{
	struct sight *sight = userdata;

	if (reply->nlmsg_type == RTM_NEWNETCONF)
		take_forwarding(sight, reply);
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

/* Of IPv6 what is set for all decides: an interface's own value is about router advertisements. */
static void ask_for_forwarding(struct rtnl_batch *batch, int family, uint32_t index)
{
	const struct netconfmsg header = { .ncm_family = family == IPV4 ? AF_INET : AF_INET6 };

	rtnl_add(batch, RTM_GETNETCONF, 0, &header, sizeof(header));
	rtnl_put_u32(batch, NETCONFA_IFINDEX,
		     family == IPV4 ? index : (uint32_t)NETCONFA_IFINDEX_ALL);
}

/* NULL: there is none. */
static const struct subnet *subnet_at(const struct bridge_config *config, int family, size_t i)
{
	const struct subnet *subnets = family == IPV4 ? config->ipv4_subnets : config->ipv6_subnets;

	return i < SUBNETS_MAX && subnets[i].prefix.addr.family ? &subnets[i] : NULL;
}

static const struct subnet *subnet_of(const struct bridge_config *config, int family)
{
	return subnet_at(config, family, 0);
}

static unsigned int count_gateways(const struct bridge_config *config, int family)
{
	unsigned int count = 0;

	for (size_t i = 0; subnet_at(config, family, i); i++)
		count += addr_is_set(&subnet_at(config, family, i)->gateway);
	return count;
}

static void look_for_device(struct link_handle *handle, struct sight *sight)
{
	const char *name = sight->config->name;
	struct ifreq answer = { 0 };

	answer.ifr_ifindex = (int)link_index(handle, name);
	if (!answer.ifr_ifindex || ioctl(handle->fd, SIOCGIFNAME, &answer) < 0)
		return;
	sight->index = (uint32_t)answer.ifr_ifindex;
	string_copy(sight->name, sizeof(sight->name), answer.ifr_name);
	if (rtnl_link_ask(handle, name, SIOCGIFHWADDR, &answer))
		memcpy(sight->mac, answer.ifr_hwaddr.sa_data, MAC_LEN);
}

static void look_at_device(struct link_handle *handle, bool joins, struct sight *sight)
{
	const char *name = sight->config->name;
	struct kept_settings settings;
	struct ifreq answer;

	sight->is_kept = kept_bridge_read(handle, sight->config, joins, &settings);
	if (sight->is_kept) {
		sight->index = settings.index;
		sight->forwards[IPV4] = settings.forwards;
		sight->has_localnet = settings.localnet;
	} else {
		look_for_device(handle, sight);
	}
	if (sight->index && rtnl_link_ask(handle, name, SIOCGIFFLAGS, &answer))
		sight->flags = (uint32_t)(unsigned short)answer.ifr_flags;
}

/* What can't be read for want of /proc/sys is not to be held against the bridge. */
static int read_setting(const char *family, const char *bridge, const char *key, bool *ret_on,
			struct error *error)
{
	int value = sysctl_interface_read(family, bridge, key);

	if (value == -EMFILE || value == -ENFILE)
		return error_set(error, value, BN_REASON_KERNEL,
				 "cannot read net.%s.conf.%s.%s: %s", family, bridge, key,
				 errno_text(-value));
	*ret_on = value > 0 || (value < 0 && value != -ENOENT);
	return 0;
}

/*
 * For the most part everything is as it should be. Nothing here waits for the lock that all of
 * rtnetlink waits for, which a link that is being deleted holds for 20 ms: the link itself is asked
 * for, and its addresses are listed, by whoever has found something amiss.
 */
static int look(struct link_handle *handle, bool localnet, bool joins, struct sight *sight,
		struct error *error)
{
	const struct bridge_config *config = sight->config;
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_sight, .userdata = sight };
	int r;

	look_at_device(handle, joins, sight);
	for (int family = IPV4; family <= IPV6 && sight->index; family++) {
		if (!subnet_of(config, family))
			continue;
		for (size_t i = 0; subnet_at(config, family, i); i++)
			if (addr_is_set(&subnet_at(config, family, i)->gateway))
				ask_for_route(&batch, &subnet_at(config, family, i)->gateway);
		if (family == IPV6 || !sight->is_kept)
			ask_for_forwarding(&batch, family, sight->index);
	}
	r = rtnl_run(handle, &batch);
	/* each of them may fail by itself, and says enough by that */
	if (r < 0 && batch.failed == batch.len)
		return rtnl_failure(error, &batch, r, "look at bridge %s", config->name);
	r = 0;
	if (subnet_of(config, IPV6) && !sight->forwards[IPV6])
		r = read_setting("ipv6", config->name, "force_forwarding", &sight->forwards[IPV6],
				 error);
	if (r == 0 && localnet && subnet_of(config, IPV4) && !sight->is_kept)
		r = read_setting("ipv4", config->name, "route_localnet", &sight->has_localnet,
				 error);
	return r;
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
	const char *again = config->adopt ? "its owner make it again" :
					    "bn_repair() (bn repair) make it again";

	if (sight->index)
		return error_set(error, -ENODEV, BN_REASON_BRIDGE_INVALID,
				 "interface %s is not the bridge of network %s, but another's of "
				 "that name; delete that one, and have %s",
				 config->name, network, again);
	return error_set(error, -ENODEV, BN_REASON_BRIDGE_INVALID,
			 "bridge %s of network %s does not exist any more; have %s", config->name,
			 network, again);
}

/* By its alias or, where nothing is to be written or somebody has taken that away, by a MAC that
 * nobody else would give a bridge of that name. */
static int is_ours(struct link_handle *handle, struct sight *sight, bool joins, struct error *error)
{
	const struct bridge_config *config = sight->config;
	uint8_t mac[MAC_LEN];
	struct link_info info;
	int r;

	bridge_own_mac(config, mac);
	if (!sight->index || (!joins && (config->adopt || memcmp(sight->mac, mac, MAC_LEN) == 0)))
		return sight->index != 0;
	r = link_info_get(handle, config->name, NULL, &info, error);
	if (r < 0 || info.interface.index != sight->index)
		sight->index = 0;
	if (r < 0)
		return r == -ENODEV ? 0 : r;
	return sight->index && strcmp(info.kind, "bridge") == 0 &&
	       (config->adopt || strcmp(info.alias, config->alias) == 0 ||
		bridge_was_ours(config, &info));
}

static int check_identity(struct link_handle *handle, struct sight *sight, bool joins,
			  const char *network, struct error *error)
{
	const struct bridge_config *config = sight->config;
	struct link_info other;
	int r = is_ours(handle, sight, joins, error);

	/* what has the name as an alternative one is found by it too */
	if (r > 0 && strcmp(sight->name, config->name) != 0)
		return renamed_error(config, network, sight->name, false, error);
	if (r != 0)
		return r < 0 ? r : 0;
	if (config->adopt)
		return absent_error(sight, network, error);
	r = link_find_alias(handle, "bridge", config->alias, &other, error);
	if (r == 0)
		return renamed_error(config, network, other.interface.name, sight->index, error);
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
			 const struct subnet *subnet, const char *network, struct error *error)
{
	const struct bridge_config *config = sight->config;
	CLEANUP_VECTOR address_vector addresses = { 0 };
	char gateway[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX];
	const struct addr link_local = bridge_link_local(config).addr;
	int r;

	r = link_addresses(handle, sight->index, false, &addresses, error);
	if (r < 0 || !addr_is_set(&subnet->gateway) || has_address(&addresses, &subnet->gateway))
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

	if (family == IPV6 && has_force_forwarding()) {
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
	if (!(sight->flags & IFF_UP))
		return error_set(error, -ENETDOWN, BN_REASON_BRIDGE_INVALID,
				 "bridge %s of network %s is down; bring it up: ip link set %s up",
				 name, network, name);
	for (int family = IPV4; family <= IPV6 && r == 0; family++) {
		if (!subnet_of(sight->config, family))
			continue;
		for (size_t i = 0; sight->on_it[family] < count_gateways(sight->config, family) &&
				   subnet_at(sight->config, family, i) && r == 0;
		     i++)
			r = check_gateway(handle, sight, family,
					  subnet_at(sight->config, family, i), network, error);
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
	bool joins = ret_index;
	int r;

	r = look(handle, localnet, joins, &sight, error);
	if (r == 0 && !sight.is_kept) {
		r = check_identity(handle, &sight, joins, network, error);
		if (r == 0)
			kept_bridge_keep(handle, config, sight.index, joins);
	}
	if (r == 0)
		r = check_condition(handle, &sight, localnet, network, error);
	if (r == 0 && ret_index)
		*ret_index = sight.index;
	return r;
}
