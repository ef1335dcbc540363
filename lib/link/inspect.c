/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "link/private.h"

#define DEFAULT_MTU 1500
#define LARGEST_MTU 65535 /* of a veth and of a bridge; lo, a tunnel and others take more */

void interface_clear(struct interface *interface)
{
	free(interface->addresses.items);
	*interface = (struct interface){ 0 };
}

bool attr_addr(const struct nlattr *attr, int family, struct addr *ret_addr)
{
	struct addr addr = { .family = family };

	if (!attr || addr_size(family) == 0 || nla_len(attr) != (int)addr_size(family))
		return false;
	memcpy(addr.bytes, nla_data(attr), addr_size(family));
	*ret_addr = addr;
	return true;
}

/* ---- addresses ---- */

struct addresses_query {
	uint32_t index;
	bool prefix;
	address_vector *addresses;
	size_t before; /* how many there were */
};

static int take_address(void *userdata, const struct nlmsghdr *reply)
{
	struct addresses_query *query = userdata;
	const struct ifaddrmsg *header;
	struct nlattr *attrs[IFA_PROTO_ATTRIBUTE + 1];
	struct address_info info = { 0 };

	if (!reply) {
		query->addresses->len = query->before;
		return 0;
	}
	header = nlmsg_data(reply);
	if (reply->nlmsg_type != RTM_NEWADDR ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*header), attrs, IFA_PROTO_ATTRIBUTE,
			NULL) < 0)
		return 0;
	/* A kernel without strict checking ignores the filter. */
	if (query->index && header->ifa_index != query->index)
		return 0;
	/* Between the ends of a point-to-point link IFA_ADDRESS is the other's; IPv6 gives
	 * IFA_LOCAL only then. */
	if (query->prefix || !attr_addr(attrs[IFA_LOCAL], header->ifa_family, &info.address.addr)) {
		if (!attr_addr(attrs[IFA_ADDRESS], header->ifa_family, &info.address.addr))
			return 0;
	}
	info.address.len = header->ifa_prefixlen;
	info.index = header->ifa_index;
	if (attrs[IFA_PROTO_ATTRIBUTE])
		info.protocol = nla_get_u8(attrs[IFA_PROTO_ATTRIBUTE]);
	return vector_append(query->addresses, info);
}

int link_addresses(struct link_handle *handle, uint32_t index, bool prefix,
		   address_vector *addresses, struct error *error)
{
	for_each_family(family) {
		struct addresses_query query = { index, prefix, addresses, addresses->len };
		struct ifaddrmsg header = { .ifa_family = (uint8_t)family, .ifa_index = index };
		CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_address,
							  .userdata = &query };
		int r;

		if (family == AF_INET6 && !handle->has_ipv6)
			continue;
		rtnl_add(&batch, RTM_GETADDR, 0, &header, sizeof(header));
		r = rtnl_dump(handle, &batch);
		if (r < 0)
			return rtnl_failure(error, &batch, r, "list the addresses of the host");
	}
	return 0;
}

/* on_link: as prefixes of what is on the link. */
static int append_addresses(struct link_handle *handle, uint32_t index, bool on_link,
			    prefix_vector *prefixes, struct error *error)
{
	CLEANUP_VECTOR address_vector addresses = { 0 };
	int r = link_addresses(handle, index, on_link, &addresses, error);

	for (size_t i = 0; r == 0 && i < addresses.len; i++) {
		const struct prefix *address = &addresses.items[i].address;

		r = vector_append(prefixes, on_link ? prefix_mask(address) : *address);
	}
	return r == -ENOMEM ? error_oom(error) : r;
}

int link_local_addresses(struct link_handle *handle, prefix_vector *ret_addresses,
			 struct error *error)
{
	prefix_vector addresses = { 0 };
	int r = append_addresses(handle, 0, false, &addresses, error);

	if (r < 0)
		free(addresses.items);
	else
		*ret_addresses = addresses;
	return r;
}

/* ---- links ---- */

struct link_query {
	const char *altname;
	struct link_info info;
};

static bool has_altname(const struct nlattr *list, const char *altname)
{
	struct nlattr *entry;
	int left;

	if (!list || !altname)
		return false;
	nla_for_each_nested(entry, list, left)
	{
		if (nla_type(entry) == IFLA_ALT_IFNAME &&
		    strncmp(nla_data(entry), altname, (size_t)nla_len(entry)) == 0)
			return true;
	}
	return false;
}

static void read_stats(const struct nlattr *attr, struct interface *interface)
{
	struct rtnl_link_stats64 stats = { 0 };

	if (attr)
		nla_memcpy(&stats, attr, sizeof(stats));
	interface->rx_packets = stats.rx_packets;
	interface->rx_bytes = stats.rx_bytes;
	interface->rx_errors = stats.rx_errors;
	interface->rx_dropped = stats.rx_dropped;
	interface->tx_packets = stats.tx_packets;
	interface->tx_bytes = stats.tx_bytes;
	interface->tx_errors = stats.tx_errors;
	interface->tx_dropped = stats.tx_dropped;
}

static void read_string(const struct nlattr *attr, char *text, size_t size)
{
	if (attr)
		nla_strlcpy(text, attr, size);
}

static void read_kind(struct nlattr *const *attrs, struct link_info *info)
{
	if (attrs[IFLA_LINKINFO])
		read_string(nla_find(nla_data(attrs[IFLA_LINKINFO]), nla_len(attrs[IFLA_LINKINFO]),
				     IFLA_INFO_KIND),
			    info->kind, sizeof(info->kind));
}

static bool parse_link(const struct nlmsghdr *reply, struct link_info *ret_info,
		       struct nlattr **attrs)
{
	struct link_info info = { .peer_namespace = -1 };
	struct interface *interface = &info.interface;
	const struct ifinfomsg *link = nlmsg_data(reply);

	if (reply->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*link), attrs, IFLA_MAX, NULL) < 0)
		return false;
	interface->index = (uint32_t)link->ifi_index;
	interface->flags = link->ifi_flags;
	read_string(attrs[IFLA_IFNAME], interface->name, sizeof(interface->name));
	if (attrs[IFLA_MTU])
		interface->mtu = nla_get_u32(attrs[IFLA_MTU]);
	if (attrs[IFLA_ADDRESS])
		nla_memcpy(interface->mac, attrs[IFLA_ADDRESS], MAC_LEN);
	read_kind(attrs, &info);
	if (attrs[IFLA_GROUP])
		info.group = nla_get_u32(attrs[IFLA_GROUP]);
	if (attrs[IFLA_MASTER])
		info.bridge = nla_get_u32(attrs[IFLA_MASTER]);
	if (attrs[IFLA_LINK_NETNSID])
		info.peer_namespace = nla_get_s32(attrs[IFLA_LINK_NETNSID]);
	read_string(attrs[IFLA_IFALIAS], info.alias, sizeof(info.alias));
	*ret_info = info;
	return true;
}

bool link_info_parse(const struct nlmsghdr *reply, struct link_info *ret_info)
{
	struct nlattr *attrs[IFLA_MAX + 1];

	return parse_link(reply, ret_info, attrs);
}

static int take_link(void *userdata, const struct nlmsghdr *reply)
{
	struct link_query *query = userdata;
	struct nlattr *attrs[IFLA_MAX + 1];

	if (!parse_link(reply, &query->info, attrs))
		return 0;
	read_stats(attrs[IFLA_STATS64], &query->info.interface);
	query->info.has_altname = has_altname(attrs[IFLA_PROP_LIST], query->altname);
	return 0;
}

static int look_up_link(struct link_handle *handle, const char *name, uint32_t filter,
			struct link_query *query, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_link, .userdata = query };
	int r;

	rtnl_add_named(&batch, RTM_GETLINK, 0, name);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, filter);
	r = rtnl_run(handle, &batch);
	if (r == 0 || r == -ENODEV)
		return r;
	return rtnl_failure(error, &batch, r, "look up interface %s", name);
}

int link_info_get(struct link_handle *handle, const char *name, const char *altname,
		  struct link_info *ret_info, struct error *error)
{
	struct link_query query = { .altname = altname };
	int r = look_up_link(handle, name, RTEXT_FILTER_SKIP_STATS, &query, error);

	if (r == 0)
		*ret_info = query.info;
	return r;
}

int links_dump_kind(struct link_handle *handle, const char *kind, rtnl_reply_fn reply,
		    void *userdata, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = reply, .userdata = userdata };
	struct nlattr *info;
	int r;

	rtnl_add_link(&batch, RTM_GETLINK, 0, 0);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	info = rtnl_nest(&batch, IFLA_LINKINFO);
	rtnl_put_string(&batch, IFLA_INFO_KIND, kind);
	rtnl_nest_end(&batch, info);
	r = rtnl_dump(handle, &batch);
	return r < 0 ? rtnl_failure(error, &batch, r, "list the interfaces of the host") : 0;
}

bool index_is_in(const index_vector *indexes, uint32_t index)
{
	for (size_t i = 0; i < indexes->len; i++)
		if (indexes->items[i] == index)
			return true;
	return false;
}

int index_add(index_vector *indexes, uint32_t index)
{
	return index_is_in(indexes, index) ? 0 : vector_append(indexes, index);
}

int link_interface_get(struct link_handle *handle, const char *name, const char *alias,
		       struct interface *ret_interface, struct error *error)
{
	struct link_query query = { 0 };
	struct interface *interface = &query.info.interface;
	int r = look_up_link(handle, name, 0, &query, error);

	if (r == 0 && alias && strcmp(query.info.alias, alias) != 0)
		return error_set(error, -ENODEV, BN_REASON_KERNEL,
				 "interface %s is not ours, which someone has deleted or renamed",
				 name);
	if (r == -ENODEV)
		return error_set(error, r, BN_REASON_KERNEL,
				 "interface %s does not exist; it was deleted by someone", name);
	if (r == 0)
		r = append_addresses(handle, interface->index, false, &interface->addresses, error);
	if (r < 0)
		interface_clear(interface);
	else
		*ret_interface = *interface;
	return r;
}

int sandbox_interface_get(const struct sandbox *sandbox, const char *name,
			  const struct deadline *deadline, struct interface *ret_interface,
			  struct error *error)
{
	CLEANUP_RTNL struct link_handle inside = { .fd = -1 };
	int r = sandbox_link_open(sandbox, deadline, &inside, error);

	return r < 0 ? r : link_interface_get(&inside, name, NULL, ret_interface, error);
}

int link_exists(struct link_handle *handle, const char *name, struct error *error)
{
	struct link_info info;
	int r = link_info_get(handle, name, NULL, &info, error);

	if (r == -ENODEV)
		return 0;
	return r < 0 ? r : 1;
}

/*
 * SIOCGIFINDEX would have the kernel run modprobe for a name that nothing has, and that twice. To
 * bind a socket to a device means nothing to one of netlink; without CAP_NET_RAW it is -EPERM the
 * second time, once the name was found.
 */
bool link_is_known(struct link_handle *handle, const char *name)
{
	if (handle->fd < 0 && (handle->single_use || rtnl_open(handle, NULL) < 0))
		return true;
	return setsockopt(handle->fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) ==
		       0 ||
	       errno != ENODEV;
}

uint32_t link_index(struct link_handle *handle, const char *name)
{
	return link_is_known(handle, name) ? rtnl_link_index(handle, name) : 0;
}

/* ---- ports ---- */

struct ports_query {
	struct link_port **ports; /* by name */
	size_t len;
};

static int compare_ports(const void *left, const void *right)
{
	const struct link_port *const *a = left, *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static int take_port(void *userdata, const struct nlmsghdr *reply)
{
	const struct ports_query *query = userdata;
	const struct link_port *key;
	struct nlattr *attrs[IFLA_MAX + 1];
	const struct ifinfomsg *link;
	struct link_port **found;

	/* of a dump that starts anew */
	for (size_t i = 0; !reply && i < query->len; i++)
		*query->ports[i] = (struct link_port){ .name = query->ports[i]->name };
	if (!reply || reply->nlmsg_type != RTM_NEWLINK)
		return 0;
	link = nlmsg_data(reply);
	if (nlmsg_parse((struct nlmsghdr *)reply, sizeof(*link), attrs, IFLA_MAX, NULL) < 0 ||
	    !attrs[IFLA_IFNAME])
		return 0;
	key = &(struct link_port){ .name = nla_get_string(attrs[IFLA_IFNAME]) };
	found = bsearch(&key, query->ports, query->len, sizeof(*query->ports), compare_ports);
	if (!found)
		return 0;
	(*found)->bridge = attrs[IFLA_MASTER] ? nla_get_u32(attrs[IFLA_MASTER]) : 0;
	(*found)->up = link->ifi_flags & IFF_UP;
	return 0;
}

static int look_up_ports(struct link_handle *handle, struct ports_query *query, struct error *error)
{
	for (size_t done = 0; done < query->len;) {
		CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_port, .userdata = query };
		int r;

		for (; done < query->len && batch.len < RTNL_BATCH_MAX && !batch.error; done++) {
			rtnl_add_named(&batch, RTM_GETLINK, 0, query->ports[done]->name);
			rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		}
		r = rtnl_run_passing(handle, &batch, -ENODEV);
		if (r < 0)
			return rtnl_failure(error, &batch, r,
					    "look up the interfaces of endpoints");
	}
	return 0;
}

/* What bridges say of their ports is short: of a thousand it is a seventh of what the links would
 * say of themselves. */
static int dump_ports(struct link_handle *handle, struct ports_query *query, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_port, .userdata = query };
	const struct ifinfomsg header = { .ifi_family = AF_BRIDGE };
	int r;

	rtnl_add(&batch, RTM_GETLINK, 0, &header, sizeof(header));
	r = rtnl_dump(handle, &batch);
	return r < 0 ? rtnl_failure(error, &batch, r, "list the ports of bridges") : 0;
}

int link_ports_get(struct link_handle *handle, struct link_port *ports, size_t len,
		   struct error *error)
{
	CLEANUP_FREE struct link_port **by_name = calloc(len + 1, sizeof(*by_name));
	struct ports_query query = { by_name, len };

	if (!by_name)
		return error_oom(error);
	for (size_t i = 0; i < len; i++)
		by_name[i] = &ports[i];
	qsort(by_name, len, sizeof(*by_name), compare_ports);
	return len > 1 ? dump_ports(handle, &query, error) : look_up_ports(handle, &query, error);
}

bool link_mtu(struct link_handle *handle, const char *name, uint32_t *ret_mtu)
{
	struct ifreq answer;

	if (!link_is_known(handle, name) || !rtnl_link_ask(handle, name, SIOCGIFMTU, &answer))
		return false;
	*ret_mtu = (uint32_t)answer.ifr_mtu;
	return true;
}

/* ---- routes ---- */

static uint32_t route_interface(struct nlattr *const *attrs)
{
	if (attrs[RTA_OIF])
		return nla_get_u32(attrs[RTA_OIF]);
	if (attrs[RTA_MULTIPATH] && nla_len(attrs[RTA_MULTIPATH]) >= (int)sizeof(struct rtnexthop))
		return (uint32_t)((struct rtnexthop *)nla_data(attrs[RTA_MULTIPATH]))->rtnh_ifindex;
	return 0;
}

int routes_take(void *userdata, const struct nlmsghdr *reply)
{
	struct host_routes *query = userdata;
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtmsg *route;
	struct prefix destination;
	uint32_t metric;

	if (!reply) {
		query->prefixes->len = query->before;
		query->interface = 0;
		return 0;
	}
	route = nlmsg_data(reply);
	if (reply->nlmsg_type != RTM_NEWROUTE || (route->rtm_flags & RTM_F_CLONED) ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0)
		return 0;
	if (attr_addr(attrs[RTA_DST], route->rtm_family, &destination.addr)) {
		/* Those of the host's own addresses come with the addresses. */
		if (route->rtm_type == RTN_LOCAL || route->rtm_type == RTN_BROADCAST ||
		    route->rtm_type == RTN_ANYCAST || route->rtm_type == RTN_MULTICAST)
			return 0;
		destination.len = route->rtm_dst_len;
		return vector_append(query->prefixes, prefix_mask(&destination));
	}
	if (route->rtm_dst_len || route->rtm_type != RTN_UNICAST ||
	    route->rtm_table != RT_TABLE_MAIN)
		return 0;
	metric = attrs[RTA_PRIORITY] ? nla_get_u32(attrs[RTA_PRIORITY]) : 0;
	if (!query->interface || metric < query->metric) {
		query->interface = route_interface(attrs);
		query->metric = metric;
	}
	return 0;
}

int routes_each(struct link_handle *handle, int family, uint8_t table, rtnl_reply_fn take,
		struct host_routes *query, struct error *error)
{
	struct rtmsg header = { .rtm_family = (uint8_t)family, .rtm_table = table };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take, .userdata = query };
	int r;

	if (family == AF_INET6 && !handle->has_ipv6)
		return 0;
	rtnl_add(&batch, RTM_GETROUTE, 0, &header, sizeof(header));
	r = rtnl_dump(handle, &batch);
	/* a table that has had no route yet does not exist */
	if (r == -ENOENT)
		return 0;
	return r < 0 ? rtnl_failure(error, &batch, r, "list the routes of the host") : 0;
}

int link_routed_prefixes(struct link_handle *handle, prefix_vector *ret_prefixes,
			 struct error *error)
{
	prefix_vector prefixes = { 0 };
	int r = append_addresses(handle, 0, true, &prefixes, error);

	for_each_family(family) {
		struct host_routes query = { .prefixes = &prefixes, .before = prefixes.len };

		if (r == 0)
			r = routes_each(handle, family, 0, routes_take, &query, error);
	}
	if (r < 0)
		free(prefixes.items);
	else
		*ret_prefixes = prefixes;
	return r;
}

static int take_local_route(void *userdata, const struct nlmsghdr *reply)
{
	struct host_routes *query = userdata;
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtmsg *route;
	struct prefix destination = { 0 };

	if (!reply) {
		query->prefixes->len = query->before;
		return 0;
	}
	route = nlmsg_data(reply);
	/* A kernel without strict checking shows other tables too. */
	if (reply->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_LOCAL ||
	    route->rtm_table != RT_TABLE_LOCAL ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0)
		return 0;
	destination.addr.family = route->rtm_family;
	attr_addr(attrs[RTA_DST], route->rtm_family, &destination.addr);
	destination.len = route->rtm_dst_len;
	return vector_append(query->prefixes, destination);
}

int link_local_prefixes(struct link_handle *handle, prefix_vector *ret_prefixes,
			struct error *error)
{
	prefix_vector prefixes = { 0 };
	int r = append_addresses(handle, 0, false, &prefixes, error);

	/* that of a new IPv6 address comes a moment after it, and a VRF has its own elsewhere */
	for (size_t i = 0; i < prefixes.len; i++)
		prefixes.items[i].len = (uint8_t)(addr_size(prefixes.items[i].addr.family) * 8);
	for_each_family(family) {
		struct host_routes query = { .prefixes = &prefixes, .before = prefixes.len };

		if (r == 0)
			r = routes_each(handle, family, RT_TABLE_LOCAL, take_local_route, &query,
					error);
	}
	if (r < 0)
		free(prefixes.items);
	else
		*ret_prefixes = prefixes;
	return r;
}

static int interface_mtu(struct link_handle *handle, uint32_t index, uint32_t *ret_mtu,
			 struct error *error)
{
	struct link_query query = { 0 };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_link, .userdata = &query };
	int r;

	rtnl_add_link(&batch, RTM_GETLINK, 0, index);
	r = rtnl_run(handle, &batch);
	if (r < 0)
		return rtnl_failure(error, &batch, r, "look up the interface of the default route");
	*ret_mtu = query.info.interface.mtu < LARGEST_MTU ? query.info.interface.mtu : LARGEST_MTU;
	return 0;
}

int link_default_mtu(struct link_handle *handle, int first, uint32_t *ret_mtu, struct error *error)
{
	const int families[] = { first, first == AF_INET ? AF_INET6 : AF_INET };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		CLEANUP_VECTOR prefix_vector routes = { 0 };
		struct host_routes query = { .prefixes = &routes };
		int r = routes_each(handle, families[i], RT_TABLE_MAIN, routes_take, &query, error);

		if (r < 0)
			return r;
		if (query.interface)
			return interface_mtu(handle, query.interface, ret_mtu, error);
	}
	*ret_mtu = DEFAULT_MTU;
	return 0;
}
