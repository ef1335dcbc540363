/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is on the host's links already. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "link/private.h"

struct candidate {
	struct prefix prefix;
	uint32_t interface;
	bool is_route;
};
typedef VECTOR(struct candidate) candidate_vector;

struct on_link_query {
	const struct prefix *subnet;
	uint32_t except; /* 0: none */
	candidate_vector *candidates;
	size_t before; /* how many there were */
};

static int add_candidate(struct on_link_query *query, const struct candidate *candidate)
{
	if (candidate->interface == query->except ||
	    !prefix_overlaps(&candidate->prefix, query->subnet))
		return 0;
	return vector_append(query->candidates, *candidate);
}

/* Both ends of a point-to-point link: IFA_LOCAL is ours, IFA_ADDRESS the other's; else they are the
 * same, or there is but the latter. */
static int take_address(void *userdata, const struct nlmsghdr *reply)
{
	static const int ends[] = { IFA_LOCAL, IFA_ADDRESS };
	struct on_link_query *query = userdata;
	const struct ifaddrmsg *header;
	struct nlattr *attrs[IFA_MAX + 1];
	struct candidate candidate = { 0 };
	int r = 0;

	if (!reply) {
		query->candidates->len = query->before;
		return 0;
	}
	header = nlmsg_data(reply);
	if (reply->nlmsg_type != RTM_NEWADDR ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*header), attrs, IFA_MAX, NULL) < 0)
		return 0;
	candidate.interface = header->ifa_index;
	candidate.prefix.len = header->ifa_prefixlen;
	for (size_t i = 0; i < ARRAY_SIZE(ends) && r == 0; i++)
		if (attr_addr(attrs[ends[i]], header->ifa_family, &candidate.prefix.addr))
			r = add_candidate(query, &candidate);
	return r;
}

/* A route of main without a gateway says what is on a link; one with a gateway, that it is. */
static int take_route(void *userdata, const struct nlmsghdr *reply)
{
	struct on_link_query *query = userdata;
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtmsg *route;
	struct candidate candidate = { .is_route = true };
	struct prefix *prefix = &candidate.prefix;

	if (!reply) {
		query->candidates->len = query->before;
		return 0;
	}
	route = nlmsg_data(reply);
	/* A kernel without strict checking shows other tables too. */
	if (reply->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST ||
	    route->rtm_table != RT_TABLE_MAIN || (route->rtm_flags & RTM_F_CLONED) ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0 ||
	    !attrs[RTA_OIF] || attrs[RTA_VIA] || attrs[RTA_ENCAP])
		return 0;
	candidate.interface = nla_get_u32(attrs[RTA_OIF]);
	prefix->len = route->rtm_dst_len;
	if (attr_addr(attrs[RTA_GATEWAY], route->rtm_family, &prefix->addr))
		prefix->len = (uint8_t)(addr_size(route->rtm_family) * 8);
	else if (!attr_addr(attrs[RTA_DST], route->rtm_family, &prefix->addr))
		return 0;
	return add_candidate(query, &candidate);
}

static int collect(struct link_handle *handle, struct on_link_query *query, struct error *error)
{
	const uint8_t family = (uint8_t)query->subnet->addr.family;
	const struct ifaddrmsg address = { .ifa_family = family };
	const struct rtmsg route = { .rtm_family = family, .rtm_table = RT_TABLE_MAIN };
	CLEANUP_BATCH struct rtnl_batch addresses = { .reply = take_address, .userdata = query };
	CLEANUP_BATCH struct rtnl_batch routes = { .reply = take_route, .userdata = query };
	int r;

	rtnl_add(&addresses, RTM_GETADDR, 0, &address, sizeof(address));
	r = rtnl_dump(handle, &addresses);
	if (r < 0)
		return rtnl_failure(error, &addresses, r, "list the addresses of the host");
	query->before = query->candidates->len;
	rtnl_add(&routes, RTM_GETROUTE, 0, &route, sizeof(route));
	r = rtnl_dump(handle, &routes);
	/* a table that has had no route yet does not exist */
	if (r < 0 && r != -ENOENT)
		return rtnl_failure(error, &routes, r, "list the routes of the host");
	return 0;
}

static int take_link(void *userdata, const struct nlmsghdr *reply)
{
	link_info_parse(reply, userdata);
	return 0;
}

/* 1 or 0; an interface that is gone by now has nothing on it. */
static int counts(struct link_handle *handle, const struct candidate *candidate,
		  char ret_interface[static IFNAMSIZ], struct error *error)
{
	struct link_info info = { 0 };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_link, .userdata = &info };
	int r;

	rtnl_add_link(&batch, RTM_GETLINK, 0, candidate->interface);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_run(handle, &batch);
	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return rtnl_failure(error, &batch, r, "look up an interface of the host");
	string_copy(ret_interface, IFNAMSIZ, info.interface.name);
	return !(info.interface.flags & IFF_LOOPBACK) &&
	       (!candidate->is_route || (info.interface.flags & IFF_BROADCAST));
}

int link_find_on_link(struct link_handle *handle, const struct prefix *subnet, const char *except,
		      struct link_on_link *ret_found, struct error *error)
{
	CLEANUP_VECTOR candidate_vector candidates = { 0 };
	struct on_link_query query = {
		.subnet = subnet,
		.except = except[0] ? link_index(handle, except) : 0,
		.candidates = &candidates,
	};
	int r;

	if (subnet->addr.family == AF_INET6 && !handle->has_ipv6)
		return 0;
	r = collect(handle, &query, error);
	for (size_t i = 0; i < candidates.len && r == 0; i++) {
		ret_found->prefix = candidates.items[i].prefix;
		r = counts(handle, &candidates.items[i], ret_found->interface, error);
	}
	return r;
}
