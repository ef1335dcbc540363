/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stale flows of published UDP ports: one filtered dump a family, then exact deletes. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/netlink.h"
#include "firewall/firewall.h"

/* Since Linux 5.8; older kernels do not look at the attribute and show every flow. */
#ifndef CTA_FILTER_MAX
#define CTA_FILTER 25
#define CTA_FILTER_ORIG_FLAGS 1
#define CTA_FILTER_REPLY_FLAGS 2
#endif
#define FILTER_PROTOCOL (1u << 3)
#define FILTER_DESTINATION_PORT (1u << 5)

#define DELETE_ROOM 192 /* two addresses, ports, id and zone take 120 */

struct tuple {
	struct addr source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol;
};

struct sorted_filter {
	const struct flow_filter *filter;
	uint32_t end; /* behind the highest port of this and all before */
};

struct flow_search {
	int fd;
	uint32_t sequence; /* of the last request */
	const struct deadline *deadline;
	struct sorted_filter *filters; /* of one family, by first port */
	size_t filters_len;
	struct addr *local; /* sorted */
	size_t local_len;
	int family;
	VECTOR(char) deletes; /* messages, DELETE_ROOM apart */
};

/* ---- which flows ---- */

static int filter_order(const void *a, const void *b)
{
	const struct sorted_filter *left = a, *right = b;

	return (int)left->filter->host_port - (int)right->filter->host_port;
}

static int local_order(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static bool is_local(const struct flow_search *search, const struct addr *addr)
{
	return addr_is_loopback(addr) ||
	       bsearch(addr, search->local, search->local_len, sizeof(*addr), local_order);
}

static bool filter_takes(const struct flow_search *search, const struct flow_filter *filter,
			 const struct tuple *original, const struct tuple *reply)
{
	uint32_t offset = (uint32_t)original->destination_port - filter->host_port;
	bool anywhere = !addr_is_set(&filter->host_addr) || addr_is_unspecified(&filter->host_addr);
	bool endpoint;

	if (offset >= filter->count)
		return false;
	if (anywhere && !is_local(search, &original->destination))
		return false;
	if (!anywhere && addr_compare(&filter->host_addr, &original->destination) != 0)
		return false;
	endpoint = addr_compare(&reply->source, &filter->to) == 0 &&
		   reply->source_port == filter->to_port + offset;
	return filter->published ? !endpoint : endpoint;
}

static bool flow_is_stale(const struct flow_search *search, const struct tuple *original,
			  const struct tuple *reply)
{
	size_t low = 0, high = search->filters_len;
	uint16_t port = original->destination_port;

	if (original->protocol != IPPROTO_UDP)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (search->filters[middle].filter->host_port <= port)
			low = middle + 1;
		else
			high = middle;
	}
	/* Backwards as long as any range that began before may still reach the port. */
	while (low-- > 0 && search->filters[low].end > port) {
		if (filter_takes(search, search->filters[low].filter, original, reply))
			return true;
	}
	return false;
}

/* ---- reading flows ---- */

static void read_address(const struct nlattr *attribute, int family, struct addr *addr)
{
	if (!attribute || mnl_attr_get_payload_len(attribute) != addr_size(family))
		return;
	addr->family = family;
	memcpy(addr->bytes, mnl_attr_get_payload(attribute), addr_size(family));
}

static uint16_t read_port(const struct nlattr *attribute)
{
	if (!attribute || mnl_attr_get_payload_len(attribute) != 2)
		return 0;
	return ntohs(mnl_attr_get_u16(attribute));
}

static void read_tuple(const struct nlattr *nest, struct tuple *ret_tuple)
{
	const struct nlattr *parts[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1];
	const struct nlattr *protocol[CTA_PROTO_MAX + 1];

	netlink_nested(nest, parts, CTA_TUPLE_MAX);
	netlink_nested(parts[CTA_TUPLE_IP], ip, CTA_IP_MAX);
	netlink_nested(parts[CTA_TUPLE_PROTO], protocol, CTA_PROTO_MAX);
	memset(ret_tuple, 0, sizeof(*ret_tuple));
	read_address(ip[CTA_IP_V4_SRC], AF_INET, &ret_tuple->source);
	read_address(ip[CTA_IP_V6_SRC], AF_INET6, &ret_tuple->source);
	read_address(ip[CTA_IP_V4_DST], AF_INET, &ret_tuple->destination);
	read_address(ip[CTA_IP_V6_DST], AF_INET6, &ret_tuple->destination);
	if (protocol[CTA_PROTO_NUM])
		ret_tuple->protocol = mnl_attr_get_u8(protocol[CTA_PROTO_NUM]);
	ret_tuple->source_port = read_port(protocol[CTA_PROTO_SRC_PORT]);
	ret_tuple->destination_port = read_port(protocol[CTA_PROTO_DST_PORT]);
}

static struct nlmsghdr *conntrack_request(const struct flow_search *search, void *buffer,
					  uint16_t type, uint16_t flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header;

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = (uint8_t)search->family;
	header->version = NFNETLINK_V0;
	return message;
}

static void copy_attribute(struct nlmsghdr *message, uint16_t type, const struct nlattr *attribute)
{
	if (attribute)
		mnl_attr_put(message, type, mnl_attr_get_payload_len(attribute),
			     mnl_attr_get_payload(attribute));
}

static int delete_later(struct flow_search *search, const struct nlattr *const *flow)
{
	struct nlmsghdr *message;

	if (vector_reserve(&search->deletes, DELETE_ROOM) < 0)
		return -ENOMEM;
	if (mnl_attr_get_payload_len(flow[CTA_TUPLE_ORIG]) > DELETE_ROOM - 64)
		return 0;
	memset(search->deletes.items + search->deletes.len, 0, DELETE_ROOM);
	message = conntrack_request(search, search->deletes.items + search->deletes.len,
				    IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
	copy_attribute(message, CTA_TUPLE_ORIG | NLA_F_NESTED, flow[CTA_TUPLE_ORIG]);
	/* makes sure that no later flow with the same tuple goes */
	copy_attribute(message, CTA_ID, flow[CTA_ID]);
	copy_attribute(message, CTA_ZONE, flow[CTA_ZONE]);
	search->deletes.len += DELETE_ROOM;
	return 0;
}

static int take_flow(struct flow_search *search, const struct nlmsghdr *message)
{
	const struct nlattr *flow[CTA_MAX + 1];
	struct tuple original, reply;

	netlink_attributes(message, sizeof(struct nfgenmsg), flow, CTA_MAX);
	if (!flow[CTA_TUPLE_ORIG] || !flow[CTA_TUPLE_REPLY])
		return 0;
	read_tuple(flow[CTA_TUPLE_ORIG], &original);
	read_tuple(flow[CTA_TUPLE_REPLY], &reply);
	return flow_is_stale(search, &original, &reply) ? delete_later(search, flow) : 0;
}

/* ---- talking ---- */

static int conntrack_take_answer(const struct nlmsghdr *message, void *userdata)
{
	struct flow_search *search = userdata;
	int r;

	if (!message || message->nlmsg_seq != search->sequence)
		return 0;
	if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
		r = netlink_result(message);
		return r < 0 ? r : 1;
	}
	return message->nlmsg_type < NLMSG_MIN_TYPE ? 0 : take_flow(search, message);
}

/* 0 or what the kernel said. */
static int conntrack_exchange(struct flow_search *search, struct nlmsghdr *message)
{
	struct iovec part = { message, message->nlmsg_len };
	int r = deadline_check(search->deadline);

	if (r < 0)
		return r;
	message->nlmsg_seq = ++search->sequence;
	r = netlink_send(search->fd, &part, 1);
	if (r == 0)
		r = netlink_receive(search->fd, search->deadline, conntrack_take_answer, search);
	return r;
}

/* Ask for one port where there is only one, else for all of UDP. */
static void put_filter(const struct flow_search *search, struct nlmsghdr *message)
{
	const struct flow_filter *first = search->filters[0].filter;
	uint32_t flags = FILTER_PROTOCOL;
	struct nlattr *tuple, *nest;

	tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
	nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_UDP);
	if (search->filters_len == 1 && first->count == 1) {
		mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(first->host_port));
		flags |= FILTER_DESTINATION_PORT;
	}
	mnl_attr_nest_end(message, nest);
	mnl_attr_nest_end(message, tuple);
	nest = mnl_attr_nest_start(message, CTA_FILTER);
	mnl_attr_put_u32(message, CTA_FILTER_ORIG_FLAGS, flags);
	mnl_attr_put_u32(message, CTA_FILTER_REPLY_FLAGS, 0);
	mnl_attr_nest_end(message, nest);
}

static int dump_flows(struct flow_search *search, bool filtered)
{
	/* Zeroed, like room for a delete: libmnl leaves the padding of an attribute as it is. */
	_Alignas(struct nlmsghdr) char buffer[256] = { 0 };
	struct nlmsghdr *message = conntrack_request(search, buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP);

	if (filtered)
		put_filter(search, message);
	search->deletes.len = 0;
	return conntrack_exchange(search, message);
}

static int drop_family(struct flow_search *search, int family, const struct flow_filter *filters,
		       size_t len)
{
	uint32_t end = 0;
	int r;

	search->family = family;
	search->filters_len = 0;
	for (size_t i = 0; i < len; i++) {
		if (filters[i].to.family == family && filters[i].count)
			search->filters[search->filters_len++].filter = &filters[i];
	}
	if (!search->filters_len)
		return 0;
	qsort(search->filters, search->filters_len, sizeof(*search->filters), filter_order);
	for (size_t i = 0; i < search->filters_len; i++) {
		const struct flow_filter *filter = search->filters[i].filter;
		uint32_t last = (uint32_t)filter->host_port + filter->count;

		end = last > end ? last : end;
		search->filters[i].end = end;
	}
	r = dump_flows(search, true);
	if (r == -EINVAL || r == -EOPNOTSUPP)
		r = dump_flows(search, false);
	/* What nfnetlink says for a subsystem that the kernel does not have. */
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return 0;
	for (size_t i = 0; r == 0 && i < search->deletes.len; i += DELETE_ROOM) {
		r = conntrack_exchange(search, (struct nlmsghdr *)(search->deletes.items + i));
		if (r == -ENOENT) /* it timed out meanwhile */
			r = 0;
	}
	return r;
}

static int flow_search_open(struct flow_search *search, size_t len, const struct addr *local,
			    size_t local_len)
{
	search->fd = netlink_open(NETLINK_NETFILTER);
	if (search->fd < 0)
		return search->fd;
	search->filters = calloc(len, sizeof(*search->filters));
	search->local = calloc(local_len + 1, sizeof(*search->local));
	if (!search->filters || !search->local)
		return -ENOMEM;
	if (local_len)
		memcpy(search->local, local, local_len * sizeof(*local));
	search->local_len = local_len;
	qsort(search->local, local_len, sizeof(*search->local), local_order);
	return 0;
}

static void flow_search_close(struct flow_search *search)
{
	cleanup_close(&search->fd);
	free(search->filters);
	free(search->local);
	free(search->deletes.items);
}

int conntrack_drop_flows(const struct flow_filter *filters, size_t len, const struct addr *local,
			 size_t local_len, const struct deadline *deadline, struct error *error)
{
	struct flow_search search = { .deadline = deadline };
	int r;

	if (!len)
		return 0;
	r = flow_search_open(&search, len, local, local_len);
	if (r == 0)
		r = drop_family(&search, AF_INET, filters, len);
	if (r == 0)
		r = drop_family(&search, AF_INET6, filters, len);
	flow_search_close(&search);
	switch (r) {
	case 0:
	case -EPROTONOSUPPORT:
		return 0;
	case -ENOMEM:
		return error_oom(error);
	case -ETIMEDOUT:
	case -ECANCELED:
		return deadline_error(error, r, "before stale UDP flows were dropped");
	case -EPERM:
		return error_set(error, r, BN_REASON_PRIVILEGE,
				 "no privilege to drop UDP flows: run as root or with "
				 "CAP_NET_ADMIN");
	default:
		return error_set(error, r, BN_REASON_KERNEL,
				 "the kernel refused to drop stale UDP flows: %s", errno_text(-r));
	}
}
