/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "firewall/ctnetlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/fault.h"
#include "base/netlink.h"
#include "firewall/firewall.h"

/* Since Linux 5.8 for dumps, and 6.12 for deletions; older kernels do not look at the attribute. */
#ifndef CTA_FILTER_MAX
#define CTA_FILTER 25
#define CTA_FILTER_ORIG_FLAGS 1
#define CTA_FILTER_REPLY_FLAGS 2
#endif
#define STATUS_MASK 26 /* CTA_STATUS_MASK, which headers before 5.18 lack */

#define FILTER_SOURCE (1u << 0)
#define FILTER_DESTINATION (1u << 1)
#define FILTER_PROTOCOL (1u << 3)
#define FILTER_SOURCE_PORT (1u << 4)
#define FILTER_DESTINATION_PORT (1u << 5)

#define MESSAGE_ROOM 256 /* a query with all of both tuples takes 224 */
#define BATCH_MAX 128    /* more acknowledgements may not fit the socket's buffer */

/* ---- building ---- */

/* It may grow to MESSAGE_ROOM, and becomes one of the messages by end_message(). */
static struct nlmsghdr *begin_message(struct conntrack *ct, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *message;
	struct nfgenmsg *header;

	if (vector_reserve(&ct->messages, MESSAGE_ROOM) < 0)
		return NULL;
	/* libmnl leaves the padding of an attribute as it is */
	memset(ct->messages.items + ct->messages.len, 0, MESSAGE_ROOM);
	message = mnl_nlmsg_put_header(ct->messages.items + ct->messages.len);
	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = (uint8_t)ct->family;
	header->version = NFNETLINK_V0;
	return message;
}

static void end_message(struct conntrack *ct, const struct nlmsghdr *message)
{
	ct->messages.len += NLMSG_ALIGN(message->nlmsg_len);
}

static void put_address(struct nlmsghdr *message, uint16_t ipv4, uint16_t ipv6,
			const struct addr *addr)
{
	mnl_attr_put(message, addr->family == AF_INET ? ipv4 : ipv6, addr_size(addr->family),
		     addr->bytes);
}

static uint32_t put_addresses(struct nlmsghdr *message, const struct flow_tuple *tuple)
{
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_IP);
	uint32_t flags = 0;

	if (addr_is_set(&tuple->source)) {
		put_address(message, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &tuple->source);
		flags |= FILTER_SOURCE;
	}
	if (addr_is_set(&tuple->destination)) {
		put_address(message, CTA_IP_V4_DST, CTA_IP_V6_DST, &tuple->destination);
		flags |= FILTER_DESTINATION;
	}
	mnl_attr_nest_end(message, nest);
	return flags;
}

static uint32_t put_protocol(struct nlmsghdr *message, const struct flow_tuple *tuple)
{
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	uint32_t flags = FILTER_PROTOCOL;

	mnl_attr_put_u8(message, CTA_PROTO_NUM, tuple->protocol);
	if (tuple->source_port) {
		mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(tuple->source_port));
		flags |= FILTER_SOURCE_PORT;
	}
	if (tuple->destination_port) {
		mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(tuple->destination_port));
		flags |= FILTER_DESTINATION_PORT;
	}
	mnl_attr_nest_end(message, nest);
	return flags;
}

/* What is to be compared, nothing and 0 if there is nothing. */
static uint32_t put_tuple(struct nlmsghdr *message, uint16_t type, const struct flow_tuple *tuple)
{
	struct nlattr *nest;
	uint32_t flags = 0;

	if (!addr_is_set(&tuple->source) && !addr_is_set(&tuple->destination) && !tuple->protocol)
		return 0;
	nest = mnl_attr_nest_start(message, type);
	if (addr_is_set(&tuple->source) || addr_is_set(&tuple->destination))
		flags |= put_addresses(message, tuple);
	if (tuple->protocol)
		flags |= put_protocol(message, tuple);
	mnl_attr_nest_end(message, nest);
	return flags;
}

static void put_query(struct nlmsghdr *message, const struct flow_query *query)
{
	uint32_t original = put_tuple(message, CTA_TUPLE_ORIG, &query->flow.original);
	uint32_t reply = put_tuple(message, CTA_TUPLE_REPLY, &query->flow.reply);
	struct nlattr *nest;

	/* without it all zones are meant */
	mnl_attr_put_u16(message, CTA_ZONE, 0);
	if (query->status_mask) {
		mnl_attr_put_u32(message, CTA_STATUS, htonl(query->flow.status));
		mnl_attr_put_u32(message, STATUS_MASK, htonl(query->status_mask));
	}
	nest = mnl_attr_nest_start(message, CTA_FILTER);
	mnl_attr_put_u32(message, CTA_FILTER_ORIG_FLAGS, original);
	mnl_attr_put_u32(message, CTA_FILTER_REPLY_FLAGS, reply);
	mnl_attr_nest_end(message, nest);
}

/* Linux 6.18 compares ports of TCP and UDP alone, and takes the IPv6 addresses that differ. */
static bool is_compared(const struct flow_tuple *tuple)
{
	return tuple->source.family != AF_INET6 && tuple->destination.family != AF_INET6 &&
	       (!tuple->protocol || tuple->protocol == IPPROTO_TCP ||
		tuple->protocol == IPPROTO_UDP);
}

/* Without a tuple to compare, a deletion empties the table. */
static bool is_narrow(const struct flow_query *query)
{
	const struct flow_tuple *original = &query->flow.original, *reply = &query->flow.reply;

	return is_compared(original) && is_compared(reply) &&
	       (addr_is_set(&original->source) || addr_is_set(&original->destination) ||
		addr_is_set(&reply->source) || addr_is_set(&reply->destination) ||
		original->protocol || reply->protocol);
}

/* ---- reading ---- */

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

static uint32_t read_number(const struct nlattr *attribute)
{
	if (!attribute || mnl_attr_get_payload_len(attribute) != 4)
		return 0;
	return ntohl(mnl_attr_get_u32(attribute));
}

/* False: it is of a zone. */
static bool read_tuple(const struct nlattr *nest, struct flow_tuple *ret_tuple)
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
	if (protocol[CTA_PROTO_NUM] && netlink_fits(protocol[CTA_PROTO_NUM], '1'))
		ret_tuple->protocol = mnl_attr_get_u8(protocol[CTA_PROTO_NUM]);
	ret_tuple->source_port = read_port(protocol[CTA_PROTO_SRC_PORT]);
	ret_tuple->destination_port = read_port(protocol[CTA_PROTO_DST_PORT]);
	return !parts[CTA_TUPLE_ZONE];
}

static void copy_attribute(struct nlmsghdr *message, uint16_t type, const struct nlattr *attribute)
{
	if (attribute)
		mnl_attr_put(message, type, mnl_attr_get_payload_len(attribute),
			     mnl_attr_get_payload(attribute));
}

static int delete_later(struct conntrack *ct, const struct flow *flow,
			const struct nlattr *const *attributes)
{
	struct nlmsghdr *message;
	struct nfgenmsg *header;

	if (mnl_attr_get_payload_len(attributes[CTA_TUPLE_ORIG]) > MESSAGE_ROOM - 64)
		return 0;
	message = begin_message(ct, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
	if (!message)
		return -ENOMEM;
	/* what was asked for may be both */
	header = mnl_nlmsg_get_payload(message);
	header->nfgen_family = (uint8_t)flow->original.source.family;
	copy_attribute(message, CTA_TUPLE_ORIG | NLA_F_NESTED, attributes[CTA_TUPLE_ORIG]);
	/* makes sure that no later flow with the same tuple goes */
	copy_attribute(message, CTA_ID, attributes[CTA_ID]);
	end_message(ct, message);
	return 0;
}

static int take_flow(struct conntrack *ct, const struct nlmsghdr *message)
{
	const struct nlattr *attributes[CTA_MAX + 1];
	struct flow flow;

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, CTA_MAX);
	if (!attributes[CTA_TUPLE_ORIG] || !attributes[CTA_TUPLE_REPLY] || attributes[CTA_ZONE] ||
	    !read_tuple(attributes[CTA_TUPLE_ORIG], &flow.original) ||
	    !read_tuple(attributes[CTA_TUPLE_REPLY], &flow.reply))
		return 0;
	flow.status = read_number(attributes[CTA_STATUS]);
	return ct->takes(ct->userdata, &flow) ? delete_later(ct, &flow, attributes) : 0;
}

/* ---- talking ---- */

static void take_count(struct conntrack *ct, const struct nlmsghdr *message, uint16_t type)
{
	const struct nlattr *attributes[CTA_STATS_MAX + 1];

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, CTA_STATS_MAX);
	ct->told = attributes[type];
	ct->count += read_number(attributes[type]);
}

static int take_answer(const struct nlmsghdr *message, void *userdata)
{
	struct conntrack *ct = userdata;
	int r;

	if (!message || message->nlmsg_seq != ct->sequence)
		return 0;
	if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
		r = netlink_result(message);
		/* it timed out meanwhile; or a flow table of the host has it, and keeps it */
		if (ct->exact && (r == -ENOENT || r == -EBUSY))
			r = 0;
		ct->result = ct->result ? ct->result : r;
		return --ct->awaited ? 0 : 1;
	}
	switch (message->nlmsg_type) {
	case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS:
		take_count(ct, message, CTA_STATS_GLOBAL_ENTRIES);
		return 0;
	case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS_CPU:
		take_count(ct, message, CTA_STATS_INSERT);
		return 0;
	default:
		return message->nlmsg_type < NLMSG_MIN_TYPE || !ct->takes ? 0 :
									    take_flow(ct, message);
	}
}

/* Numbers the messages that go out at once; how many they are, and bytes. */
static size_t next_batch(struct conntrack *ct, const char *messages, size_t len, size_t *ret_size)
{
	size_t count = 0;

	*ret_size = 0;
	ct->sequence++;
	while (*ret_size < len && count < BATCH_MAX) {
		struct nlmsghdr *message = (struct nlmsghdr *)(messages + *ret_size);

		message->nlmsg_seq = ct->sequence;
		*ret_size += NLMSG_ALIGN(message->nlmsg_len);
		count++;
	}
	return count;
}

/* All the messages; 0 or the first failure of the batch that had one. */
static int exchange(struct conntrack *ct, char *messages, size_t len)
{
	size_t size;
	int r = 0;

	for (size_t at = 0; at < len && r == 0; at += size) {
		struct iovec part = { messages + at, 0 };

		r = deadline_check(ct->deadline);
		if (r < 0)
			return r;
		ct->awaited = next_batch(ct, messages + at, len - at, &size);
		ct->result = 0;
		part.iov_len = size;
		r = netlink_send(ct->fd, &part, 1);
		if (r == 0)
			r = netlink_receive(ct->fd, ct->deadline, take_answer, ct);
		if (r == 0)
			r = ct->result;
	}
	return r;
}

/* The messages so far, which are none afterwards. */
static int exchange_built(struct conntrack *ct)
{
	char *messages = ct->messages.items;
	size_t len = ct->messages.len;
	int r;

	/* what comes of it may be messages too */
	memset(&ct->messages, 0, sizeof(ct->messages));
	r = exchange(ct, messages, len);
	free(messages);
	return r;
}

int ctnetlink_open(struct conntrack **ret_ct)
{
	struct conntrack *ct = calloc(1, sizeof(*ct));
	int r;

	if (!ct)
		return -ENOMEM;
	ct->fd = netlink_open(NETLINK_NETFILTER);
	if (ct->fd < 0) {
		r = ct->fd;
		free(ct);
		return r;
	}
	*ret_ct = ct;
	return 0;
}

void conntrack_close(struct conntrack *conntrack)
{
	if (!conntrack)
		return;
	cleanup_close(&conntrack->fd);
	free(conntrack->messages.items);
	free(conntrack);
}

static int count(struct conntrack *ct, uint16_t type, uint16_t flags, uint64_t *ret_count)
{
	struct nlmsghdr *message = begin_message(ct, type, flags);
	int r;

	if (!message)
		return -ENOMEM;
	end_message(ct, message);
	ct->count = 0;
	ct->told = false;
	r = exchange_built(ct);
	*ret_count = ct->count;
	return r;
}

int ctnetlink_count(struct conntrack *ct, uint64_t *ret_count)
{
	return count(ct, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, ret_count);
}

/* Packets are not among what each CPU has inserted, since Linux 4.9. */
int ctnetlink_count_inserted(struct conntrack *ct, uint64_t *ret_count)
{
	int r = count(ct, IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_DUMP, ret_count);

	return r < 0 || ct->told ? r : -ENODATA;
}

int ctnetlink_delete(struct conntrack *ct, const struct flow_query *queries, size_t len)
{
	int r = FAULT("flows.delete");

	for (size_t i = 0; i < len && r == 0; i++) {
		struct nlmsghdr *message = begin_message(ct, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);

		if (!message) {
			r = -ENOMEM;
		} else if (!is_narrow(&queries[i])) {
			r = -EINVAL;
		} else {
			put_query(message, &queries[i]);
			end_message(ct, message);
		}
	}
	if (r == 0)
		return exchange_built(ct);
	ct->messages.len = 0;
	return r;
}

static int dump(struct conntrack *ct, const struct flow_query *query)
{
	struct nlmsghdr *message = begin_message(ct, IPCTNL_MSG_CT_GET, NLM_F_DUMP);

	if (!message)
		return -ENOMEM;
	if (query)
		put_query(message, query);
	end_message(ct, message);
	return exchange_built(ct);
}

int ctnetlink_delete_each(struct conntrack *ct, const struct flow_query *query,
			  bool (*takes)(const void *userdata, const struct flow *flow),
			  const void *userdata)
{
	int r;

	ct->takes = takes;
	ct->userdata = userdata;
	r = dump(ct, query);
	if (query && (r == -EINVAL || r == -EOPNOTSUPP)) {
		ct->messages.len = 0;
		r = dump(ct, NULL);
	}
	ct->takes = NULL;
	ct->exact = true;
	if (r == 0)
		r = exchange_built(ct);
	ct->exact = false;
	ct->messages.len = 0;
	return r;
}
