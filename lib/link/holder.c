/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has an address, as the host sees it: by its routes, and by its neighbours. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>

#include "link/private.h"

#ifndef RTM_F_FIB_MATCH /* Linux 4.13 */
#define RTM_F_FIB_MATCH 0x2000
#endif
#define NUD_ANSWERS (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)
#define QUESTIONS 2 /* about each */
#define HOLDERS_MAX (RTNL_BATCH_MAX / QUESTIONS)

struct holders_query {
	struct link_holder *holders;
	uint32_t first;               /* number of the first request */
	size_t asked[RTNL_BATCH_MAX]; /* about which, by request */
	size_t len;
};

static void take_way(struct link_holder *holder, const struct nlmsghdr *reply)
{
	const struct rtmsg *route = nlmsg_data(reply);
	struct nlattr *attrs[RTA_MAX + 1];

	if (nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0)
		return;
	holder->is_routed = true;
	holder->is_local = route->rtm_type == RTN_LOCAL;
	holder->matched = route->rtm_dst_len;
	holder->interface = attrs[RTA_OIF] ? nla_get_u32(attrs[RTA_OIF]) : 0;
}

static void take_neighbour(struct link_holder *holder, const struct nlmsghdr *reply)
{
	const struct ndmsg *entry = nlmsg_data(reply);
	struct nlattr *attrs[NDA_MAX + 1];

	if (!(entry->ndm_state & NUD_ANSWERS) ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*entry), attrs, NDA_MAX, NULL) < 0 ||
	    !attrs[NDA_LLADDR] || nla_len(attrs[NDA_LLADDR]) != MAC_LEN)
		return;
	holder->is_neighbour = true;
	memcpy(holder->mac, nla_data(attrs[NDA_LLADDR]), MAC_LEN);
}

static int take_answer(void *userdata, const struct nlmsghdr *reply)
{
	const struct holders_query *query = userdata;
	uint32_t request = reply->nlmsg_seq - query->first;

	if (request >= query->len)
		return 0;
	if (reply->nlmsg_type == RTM_NEWROUTE)
		take_way(&query->holders[query->asked[request]], reply);
	else if (reply->nlmsg_type == RTM_NEWNEIGH)
		take_neighbour(&query->holders[query->asked[request]], reply);
	return 0;
}

/* For the entry that matches, and not what is made of it: it has the length of its prefix. */
static void ask_way(struct rtnl_batch *batch, const struct addr *addr)
{
	const struct rtmsg header = {
		.rtm_family = (uint8_t)addr->family,
		.rtm_dst_len = (uint8_t)(addr_size(addr->family) * 8),
		.rtm_flags = RTM_F_FIB_MATCH,
	};

	rtnl_add(batch, RTM_GETROUTE, 0, &header, sizeof(header));
	rtnl_put(batch, RTA_DST, addr->bytes, addr_size(addr->family));
}

static void ask_neighbour(struct rtnl_batch *batch, const struct link_holder *holder)
{
	const struct ndmsg header = {
		.ndm_family = (uint8_t)holder->addr.family,
		.ndm_ifindex = (int)holder->bridge,
	};

	rtnl_add(batch, RTM_GETNEIGH, 0, &header, sizeof(header));
	rtnl_put(batch, NDA_DST, holder->addr.bytes, addr_size(holder->addr.family));
}

static int ask(struct link_handle *handle, struct holders_query *query, size_t begin, size_t end)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_answer, .userdata = query };
	int r;

	query->len = 0;
	for (size_t i = begin; i < end; i++) {
		const struct link_holder *holder = &query->holders[i];

		if (holder->addr.family == AF_INET6 && !handle->has_ipv6)
			continue;
		query->asked[query->len++] = i;
		ask_way(&batch, &holder->addr);
		if (!holder->bridge)
			continue;
		query->asked[query->len++] = i;
		ask_neighbour(&batch, holder);
	}
	if (batch.error)
		return batch.error;
	query->first = handle->sequence + 1;
	r = rtnl_run(handle, &batch);
	/* there is no way, or no such neighbour, or the kernel can't be asked for one */
	return r < 0 && batch.failed < batch.len ? 0 : r;
}

int link_holders_get(struct link_handle *handle, struct link_holder *holders, size_t len,
		     struct error *error)
{
	struct holders_query query = { .holders = holders };
	int r = 0;

	for (size_t i = 0; i < len; i++)
		holders[i] = (struct link_holder){ .addr = holders[i].addr,
						   .bridge = holders[i].bridge };
	for (size_t i = 0; i < len && r == 0; i += HOLDERS_MAX)
		r = ask(handle, &query, i, i + HOLDERS_MAX < len ? i + HOLDERS_MAX : len);
	if (r == 0)
		return 0;
	return rtnl_failure(error, &(struct rtnl_batch){ 0 }, r,
			    "ask who has the addresses of endpoints");
}

/* ---- by interface ---- */

struct reaches_query {
	reach_vector *reaches;
	size_t before; /* how many there were */
};

static int add_reach(struct reaches_query *query, const struct prefix *prefix, uint32_t interface)
{
	return vector_append(query->reaches,
			     ((struct link_reach){ prefix_mask(prefix), interface }));
}

static int take_address(void *userdata, const struct nlmsghdr *reply)
{
	struct reaches_query *query = userdata;
	struct nlattr *attrs[IFA_MAX + 1];
	const struct ifaddrmsg *header;
	struct prefix prefix = { 0 };

	if (!reply) {
		query->reaches->len = query->before;
		return 0;
	}
	header = nlmsg_data(reply);
	if (reply->nlmsg_type != RTM_NEWADDR ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*header), attrs, IFA_MAX, NULL) < 0 ||
	    !attr_addr(attrs[IFA_ADDRESS], header->ifa_family, &prefix.addr))
		return 0;
	prefix.len = header->ifa_prefixlen;
	return add_reach(query, &prefix, header->ifa_index);
}

static int take_route(void *userdata, const struct nlmsghdr *reply)
{
	struct reaches_query *query = userdata;
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtmsg *route;
	struct prefix prefix = { 0 };

	if (!reply) {
		query->reaches->len = query->before;
		return 0;
	}
	route = nlmsg_data(reply);
	/* A kernel without strict checking shows other tables too. */
	if (reply->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST ||
	    route->rtm_table != RT_TABLE_MAIN || (route->rtm_flags & RTM_F_CLONED) ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0 ||
	    !attr_addr(attrs[RTA_DST], route->rtm_family, &prefix.addr))
		return 0;
	prefix.len = route->rtm_dst_len;
	return add_reach(query, &prefix, attrs[RTA_OIF] ? nla_get_u32(attrs[RTA_OIF]) : 0);
}

static int dump_family(struct link_handle *handle, uint8_t family, struct reaches_query *query)
{
	const struct ifaddrmsg address = { .ifa_family = family };
	const struct rtmsg route = { .rtm_family = family, .rtm_table = RT_TABLE_MAIN };
	CLEANUP_BATCH struct rtnl_batch addresses = { .reply = take_address, .userdata = query };
	CLEANUP_BATCH struct rtnl_batch routes = { .reply = take_route, .userdata = query };
	int r;

	if (family == AF_INET6 && !handle->has_ipv6)
		return 0;
	query->before = query->reaches->len;
	rtnl_add(&addresses, RTM_GETADDR, 0, &address, sizeof(address));
	r = rtnl_dump(handle, &addresses);
	if (r < 0)
		return r;
	query->before = query->reaches->len;
	rtnl_add(&routes, RTM_GETROUTE, 0, &route, sizeof(route));
	r = rtnl_dump(handle, &routes);
	/* a table that has had no route yet does not exist */
	return r == -ENOENT ? 0 : r;
}

int link_reaches(struct link_handle *handle, reach_vector *reaches, struct error *error)
{
	struct reaches_query query = { .reaches = reaches };
	int r = 0;

	for_each_family(family)
		if (r == 0)
			r = dump_family(handle, (uint8_t)family, &query);
	if (r == 0)
		return 0;
	return rtnl_failure(error, &(struct rtnl_batch){ 0 }, r,
			    "list the addresses and routes of the host");
}
