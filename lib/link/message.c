/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Building rtnetlink messages. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>

#include "link/rtnl.h"

#define MESSAGE_SIZE 1024

void rtnl_batch_clear(struct rtnl_batch *batch)
{
	for (size_t i = 0; i < batch->len; i++)
		nlmsg_free(batch->messages[i]);
	*batch = (struct rtnl_batch){ 0 };
}

static struct nl_msg *last_message(struct rtnl_batch *batch)
{
	return batch->error || !batch->len ? NULL : batch->messages[batch->len - 1];
}

void rtnl_add(struct rtnl_batch *batch, int type, int flags, const void *header, size_t len)
{
	struct nl_msg *message;

	if (batch->error)
		return;
	if (batch->len == RTNL_BATCH_MAX) {
		batch->error = -E2BIG;
		return;
	}
	message = nlmsg_alloc_size(MESSAGE_SIZE);
	if (message && nlmsg_put(message, 0, 0, type, 0, flags) &&
	    nlmsg_append(message, (void *)header, len, NLMSG_ALIGNTO) == 0) {
		batch->messages[batch->len++] = message;
		return;
	}
	nlmsg_free(message);
	batch->error = -ENOMEM;
}

void rtnl_add_link(struct rtnl_batch *batch, int type, int flags, uint32_t index)
{
	struct ifinfomsg header = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };

	rtnl_add(batch, type, flags, &header, sizeof(header));
}

void rtnl_add_named(struct rtnl_batch *batch, int type, int flags, const char *name)
{
	rtnl_add_link(batch, type, flags, 0);
	rtnl_put_string(batch, IFLA_IFNAME, name);
}

void rtnl_add_link_up(struct rtnl_batch *batch, uint32_t index)
{
	rtnl_add_link(batch, RTM_NEWLINK, 0, index);
	rtnl_put_flags(batch, IFF_UP, IFF_UP);
}

void rtnl_append(struct rtnl_batch *batch, const void *data, size_t len)
{
	struct nl_msg *message = last_message(batch);

	if (message && nlmsg_append(message, (void *)data, len, NLMSG_ALIGNTO) < 0)
		batch->error = -ENOMEM;
}

void rtnl_put(struct rtnl_batch *batch, int attribute, const void *data, size_t len)
{
	struct nl_msg *message = last_message(batch);

	if (message && nla_put(message, attribute, (int)len, data) < 0)
		batch->error = -ENOMEM;
}

void rtnl_put_u8(struct rtnl_batch *batch, int attribute, uint8_t value)
{
	rtnl_put(batch, attribute, &value, sizeof(value));
}

void rtnl_put_u32(struct rtnl_batch *batch, int attribute, uint32_t value)
{
	rtnl_put(batch, attribute, &value, sizeof(value));
}

void rtnl_put_string(struct rtnl_batch *batch, int attribute, const char *value)
{
	rtnl_put(batch, attribute, value, strlen(value) + 1);
}

static void rtnl_put_addr(struct rtnl_batch *batch, int attribute, const struct addr *addr)
{
	rtnl_put(batch, attribute, addr->bytes, addr_size(addr->family));
}

void rtnl_put_flags(struct rtnl_batch *batch, uint32_t flags, uint32_t change)
{
	struct nl_msg *message = last_message(batch);
	struct ifinfomsg *header;

	if (!message)
		return;
	header = nlmsg_data(nlmsg_hdr(message));
	header->ifi_flags = flags;
	header->ifi_change = change;
}

struct nlattr *rtnl_nest(struct rtnl_batch *batch, int attribute)
{
	struct nl_msg *message = last_message(batch);
	struct nlattr *nest = message ? nla_nest_start(message, attribute) : NULL;

	if (message && !nest)
		batch->error = -ENOMEM;
	return nest;
}

void rtnl_nest_end(struct rtnl_batch *batch, struct nlattr *nest)
{
	struct nl_msg *message = last_message(batch);

	if (message && nest)
		nla_nest_end(message, nest);
}

/* No link-local address, and so none of the multicast chatter that every new port would send to all
 * the others of its bridge. */
void rtnl_put_no_addr_gen(struct rtnl_batch *batch)
{
	struct nlattr *spec = rtnl_nest(batch, IFLA_AF_SPEC);
	struct nlattr *ipv6 = rtnl_nest(batch, AF_INET6);

	rtnl_put_u8(batch, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	rtnl_nest_end(batch, ipv6);
	rtnl_nest_end(batch, spec);
}

void rtnl_add_address(struct rtnl_batch *batch, int type, uint32_t index,
		      const struct prefix *address, uint8_t protocol)
{
	struct ifaddrmsg header = {
		.ifa_family = (uint8_t)address->addr.family,
		.ifa_prefixlen = address->len,
		.ifa_index = index,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		/* Nobody else has the address: don't wait for duplicate address detection. */
		.ifa_flags = address->addr.family == AF_INET6 ? IFA_F_NODAD : 0,
	};
	struct addr broadcast = prefix_last(address);

	rtnl_add(batch, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0, &header,
		 sizeof(header));
	rtnl_put_addr(batch, IFA_LOCAL, &address->addr);
	rtnl_put_addr(batch, IFA_ADDRESS, &address->addr);
	if (type != RTM_NEWADDR)
		return;
	if (address->addr.family == AF_INET && address->len < 31)
		rtnl_put_addr(batch, IFA_BROADCAST, &broadcast);
	if (protocol)
		rtnl_put_u8(batch, IFA_PROTO_ATTRIBUTE, protocol);
}

void rtnl_add_route(struct rtnl_batch *batch, int type, int flags, const struct rtnl_route *route)
{
	const struct prefix *destination = route->destination;
	bool has_gateway = !addr_is_unspecified(route->gateway);
	struct rtmsg header = {
		.rtm_family = (uint8_t)route->gateway->family,
		.rtm_dst_len = destination ? destination->len : 0,
		/* the attribute has it */
		.rtm_table = route->table ? RT_TABLE_UNSPEC : RT_TABLE_MAIN,
		.rtm_protocol = route->table || route->is_ours ? PROTOCOL_OURS : RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = route->type ? route->type : RTN_UNICAST,
		/* For another table than main, IPv6 looks the gateway up as packets are routed: in
		 * vain when ignore_routes_with_linkdown is set, and the kernel has not noticed the
		 * carrier yet. */
		.rtm_flags = route->table ? RTNH_F_ONLINK : 0,
	};

	if (type == RTM_NEWROUTE && !has_gateway && header.rtm_type == RTN_UNICAST)
		header.rtm_scope = RT_SCOPE_LINK;
	rtnl_add(batch, type, flags, &header, sizeof(header));
	if (destination)
		rtnl_put_addr(batch, RTA_DST, &destination->addr);
	if (has_gateway)
		rtnl_put_addr(batch, RTA_GATEWAY, route->gateway);
	if (route->index)
		rtnl_put_u32(batch, RTA_OIF, route->index);
	if (route->metric)
		rtnl_put_u32(batch, RTA_PRIORITY, route->metric);
	if (route->table)
		rtnl_put_u32(batch, RTA_TABLE, route->table);
}

void rtnl_add_rule(struct rtnl_batch *batch, int type, int family, const struct rtnl_rule *rule)
{
	struct fib_rule_hdr header = {
		.family = (uint8_t)family,
		.src_len = rule->source.family ? (uint8_t)(addr_size(family) * 8) : 0,
		.action = FR_ACT_TO_TBL,
	};

	rtnl_add(batch, type, type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0, &header,
		 sizeof(header));
	if (rule->source.family)
		rtnl_put_addr(batch, FRA_SRC, &rule->source);
	rtnl_put_u32(batch, FRA_PRIORITY, rule->priority);
	rtnl_put_u32(batch, FRA_TABLE, rule->table);
	rtnl_put_u8(batch, FRA_PROTOCOL, PROTOCOL_OURS);
	/* all but default routes */
	if (!rule->source.family)
		rtnl_put_u32(batch, FRA_SUPPRESS_PREFIXLEN, 0);
}

/* Of IPv4, what an interface is told by the file of the same name below net.ipv4.conf. */
void rtnl_put_ipv4_conf(struct rtnl_batch *batch, const int (*values)[2], size_t len)
{
	struct nlattr *spec = rtnl_nest(batch, IFLA_AF_SPEC);
	struct nlattr *ipv4 = rtnl_nest(batch, AF_INET);
	struct nlattr *conf = rtnl_nest(batch, IFLA_INET_CONF);

	for (size_t i = 0; i < len; i++)
		rtnl_put_u32(batch, values[i][0], (uint32_t)values[i][1]);
	rtnl_nest_end(batch, conf);
	rtnl_nest_end(batch, ipv4);
	rtnl_nest_end(batch, spec);
}
