/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stale flows of published UDP ports: one filtered dump a family, then exact deletes. */
#include "firewall/firewall.h"
#include "firewall/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <poll.h>

/* Since Linux 5.8; older kernels do not look at the attribute and show every flow. */
#ifndef CTA_FILTER_MAX
#define CTA_FILTER 25
#define CTA_FILTER_ORIG_FLAGS 1
#define CTA_FILTER_REPLY_FLAGS 2
#endif
#define FILTER_PROTOCOL (1u << 3)
#define FILTER_DESTINATION_PORT (1u << 5)

#define RECEIVE_SIZE 65536
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

struct sweep {
	struct mnl_socket *socket;
	uint32_t sequence;
	deadline_ms deadline;
	char *replies;
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

static bool is_local(const struct sweep *sweep, const struct addr *addr)
{
	return addr_is_loopback(addr) ||
	       bsearch(addr, sweep->local, sweep->local_len, sizeof(*addr), local_order);
}

static bool filter_takes(const struct sweep *sweep, const struct flow_filter *filter,
			 const struct tuple *original, const struct tuple *reply)
{
	uint32_t offset = (uint32_t)original->destination_port - filter->host_port;
	bool anywhere = !addr_is_set(&filter->host_addr) || addr_is_unspecified(&filter->host_addr);
	bool endpoint;

	if (offset >= filter->count)
		return false;
	if (anywhere ? !is_local(sweep, &original->destination) :
		       addr_compare(&filter->host_addr, &original->destination) != 0)
		return false;
	endpoint = addr_compare(&reply->source, &filter->to) == 0 &&
		   reply->source_port == filter->to_port + offset;
	return filter->published ? !endpoint : endpoint;
}

static bool flow_is_stale(const struct sweep *sweep, const struct tuple *original,
			  const struct tuple *reply)
{
	size_t low = 0, high = sweep->filters_len;
	uint16_t port = original->destination_port;

	if (original->protocol != IPPROTO_UDP)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sweep->filters[middle].filter->host_port <= port)
			low = middle + 1;
		else
			high = middle;
	}
	/* Backwards as long as any range that began before may still reach the port. */
	while (low-- > 0 && sweep->filters[low].end > port) {
		if (filter_takes(sweep, sweep->filters[low].filter, original, reply))
			return true;
	}
	return false;
}

/* ---- reading flows ---- */

static void read_address(const struct nlattr *attribute, int family, struct addr *ret_addr)
{
	if (mnl_attr_get_payload_len(attribute) != addr_size(family))
		return;
	ret_addr->family = family;
	memcpy(ret_addr->bytes, mnl_attr_get_payload(attribute), addr_size(family));
}

static uint16_t read_port(const struct nlattr *attribute)
{
	return mnl_attr_get_payload_len(attribute) == 2 ? ntohs(mnl_attr_get_u16(attribute)) : 0;
}

static void read_part(const struct nlattr *attribute, bool addresses, struct tuple *tuple)
{
	uint16_t type = mnl_attr_get_type(attribute);

	if (addresses && (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC))
		read_address(attribute, type == CTA_IP_V4_SRC ? AF_INET : AF_INET6, &tuple->source);
	else if (addresses && (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST))
		read_address(attribute, type == CTA_IP_V4_DST ? AF_INET : AF_INET6,
			     &tuple->destination);
	else if (!addresses && type == CTA_PROTO_NUM)
		tuple->protocol = mnl_attr_get_u8(attribute);
	else if (!addresses && type == CTA_PROTO_SRC_PORT)
		tuple->source_port = read_port(attribute);
	else if (!addresses && type == CTA_PROTO_DST_PORT)
		tuple->destination_port = read_port(attribute);
}

static void read_tuple(const struct nlattr *nest, struct tuple *ret_tuple)
{
	const struct nlattr *part, *attribute;

	memset(ret_tuple, 0, sizeof(*ret_tuple));
	for_each_nested(part, nest) {
		uint16_t type = mnl_attr_get_type(part);

		if (type != CTA_TUPLE_IP && type != CTA_TUPLE_PROTO)
			continue;
		for_each_nested(attribute, part)
			read_part(attribute, type == CTA_TUPLE_IP, ret_tuple);
	}
}

static struct nlmsghdr *request(struct sweep *sweep, void *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header;

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->nlmsg_seq = ++sweep->sequence;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = (uint8_t)sweep->family;
	header->version = NFNETLINK_V0;
	return message;
}

/* Its id makes sure that no later flow with the same tuple goes. */
static int delete_later(struct sweep *sweep, const struct nlattr *original, const struct nlattr *id,
			const struct nlattr *zone)
{
	uint32_t sequence = sweep->sequence;
	struct nlmsghdr *message;

	if (vector_reserve(&sweep->deletes, DELETE_ROOM) < 0)
		return -ENOMEM;
	if (mnl_attr_get_payload_len(original) > DELETE_ROOM - 64)
		return 0;
	memset(sweep->deletes.items + sweep->deletes.len, 0, DELETE_ROOM);
	message =
		request(sweep, sweep->deletes.items + sweep->deletes.len, IPCTNL_MSG_CT_DELETE, 0);
	/* Numbered when it is sent: the dump goes on under its own number. */
	sweep->sequence = sequence;
	mnl_attr_put(message, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(original),
		     mnl_attr_get_payload(original));
	if (id)
		mnl_attr_put(message, CTA_ID, mnl_attr_get_payload_len(id),
			     mnl_attr_get_payload(id));
	if (zone)
		mnl_attr_put(message, CTA_ZONE, mnl_attr_get_payload_len(zone),
			     mnl_attr_get_payload(zone));
	sweep->deletes.len += DELETE_ROOM;
	return 0;
}

static int flow_message(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attribute, *original = NULL, *reply = NULL, *id = NULL, *zone = NULL;
	struct tuple original_tuple, reply_tuple;
	struct sweep *sweep = data;

	for_each_attribute(attribute, message, sizeof(struct nfgenmsg)) {
		uint16_t type = mnl_attr_get_type(attribute);

		if (type == CTA_TUPLE_ORIG)
			original = attribute;
		else if (type == CTA_TUPLE_REPLY)
			reply = attribute;
		else if (type == CTA_ID)
			id = attribute;
		else if (type == CTA_ZONE)
			zone = attribute;
	}
	if (!original || !reply)
		return MNL_CB_OK;
	read_tuple(original, &original_tuple);
	read_tuple(reply, &reply_tuple);
	if (!flow_is_stale(sweep, &original_tuple, &reply_tuple))
		return MNL_CB_OK;
	if (delete_later(sweep, original, id, zone) == 0)
		return MNL_CB_OK;
	errno = ENOMEM;
	return MNL_CB_ERROR;
}

/* ---- talking ---- */

static int wait_reply(const struct sweep *sweep)
{
	struct pollfd poll_fd = { .fd = mnl_socket_get_fd(sweep->socket), .events = POLLIN };
	int ready;

	/* Before looking: a long dump always has its next part ready. */
	if (deadline_passed(sweep->deadline))
		return -ETIMEDOUT;
	ready = poll(&poll_fd, 1, deadline_left_ms(sweep->deadline));
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

/* Until the answer to `sequence` is complete: 0 or what the kernel said. */
static int receive(struct sweep *sweep, uint32_t sequence, mnl_cb_t message)
{
	unsigned int port = mnl_socket_get_portid(sweep->socket);
	int more = MNL_CB_OK, r;
	ssize_t len;

	while (more > MNL_CB_STOP) {
		r = wait_reply(sweep);
		if (r < 0)
			return r;
		len = mnl_socket_recvfrom(sweep->socket, sweep->replies, RECEIVE_SIZE);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (len < 0)
			return -errno;
		more = mnl_cb_run(sweep->replies, (size_t)len, sequence, port, message, sweep);
	}
	return more < 0 ? -errno : 0;
}

/* Ask for one port where there is only one, else for all of UDP. */
static void put_filter(const struct sweep *sweep, struct nlmsghdr *message)
{
	const struct flow_filter *first = sweep->filters[0].filter;
	uint32_t flags = FILTER_PROTOCOL;
	struct nlattr *tuple, *nest;

	tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
	nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_UDP);
	if (sweep->filters_len == 1 && first->count == 1) {
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

static int dump_flows(struct sweep *sweep, bool filtered)
{
	/* Zeroed, like room for a delete: libmnl leaves the padding of an attribute as it is. */
	_Alignas(struct nlmsghdr) char buffer[256] = { 0 };
	struct nlmsghdr *message = request(sweep, buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP);

	if (filtered)
		put_filter(sweep, message);
	sweep->deletes.len = 0;
	if (mnl_socket_sendto(sweep->socket, message, message->nlmsg_len) < 0)
		return -errno;
	return receive(sweep, message->nlmsg_seq, flow_message);
}

static int delete_flow(struct sweep *sweep, struct nlmsghdr *message)
{
	int r;

	message->nlmsg_seq = ++sweep->sequence;
	message->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(sweep->socket, message, message->nlmsg_len) < 0)
		return -errno;
	r = receive(sweep, message->nlmsg_seq, NULL);
	/* It timed out meanwhile. */
	return r == -ENOENT ? 0 : r;
}

static int sweep_family(struct sweep *sweep, int family, const struct flow_filter *filters,
			size_t len)
{
	uint32_t end = 0;
	int r;

	sweep->family = family;
	sweep->filters_len = 0;
	for (size_t i = 0; i < len; i++) {
		if (filters[i].to.family == family && filters[i].count)
			sweep->filters[sweep->filters_len++].filter = &filters[i];
	}
	if (!sweep->filters_len)
		return 0;
	qsort(sweep->filters, sweep->filters_len, sizeof(*sweep->filters), filter_order);
	for (size_t i = 0; i < sweep->filters_len; i++) {
		const struct flow_filter *filter = sweep->filters[i].filter;
		uint32_t last = (uint32_t)filter->host_port + filter->count;

		end = last > end ? last : end;
		sweep->filters[i].end = end;
	}
	r = dump_flows(sweep, true);
	if (r == -EINVAL || r == -EOPNOTSUPP)
		r = dump_flows(sweep, false);
	/* What nfnetlink says for a subsystem that the kernel does not have. */
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return 0;
	for (size_t i = 0; r == 0 && i < sweep->deletes.len; i += DELETE_ROOM)
		r = delete_flow(sweep, (struct nlmsghdr *)(sweep->deletes.items + i));
	return r;
}

static int sweep_open(struct sweep *sweep, size_t len, const struct addr *local, size_t local_len)
{
	sweep->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!sweep->socket || mnl_socket_bind(sweep->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	sweep->filters = calloc(len, sizeof(*sweep->filters));
	sweep->local = calloc(local_len + 1, sizeof(*sweep->local));
	sweep->replies = malloc(RECEIVE_SIZE);
	if (!sweep->filters || !sweep->local || !sweep->replies)
		return -ENOMEM;
	if (local_len)
		memcpy(sweep->local, local, local_len * sizeof(*local));
	sweep->local_len = local_len;
	qsort(sweep->local, local_len, sizeof(*sweep->local), local_order);
	return 0;
}

static void sweep_close(struct sweep *sweep)
{
	if (sweep->socket)
		mnl_socket_close(sweep->socket);
	free(sweep->filters);
	free(sweep->local);
	free(sweep->replies);
	free(sweep->deletes.items);
}

int conntrack_drop_flows(const struct flow_filter *filters, size_t len, const struct addr *local,
			 size_t local_len, deadline_ms deadline, struct error *error)
{
	struct sweep sweep = { .deadline = deadline };
	int r;

	if (!len)
		return 0;
	r = sweep_open(&sweep, len, local, local_len);
	if (r == 0)
		r = sweep_family(&sweep, AF_INET, filters, len);
	if (r == 0)
		r = sweep_family(&sweep, AF_INET6, filters, len);
	sweep_close(&sweep);
	switch (r) {
	case 0:
	case -EPROTONOSUPPORT:
		return 0;
	case -ENOMEM:
		return error_oom(error);
	case -ETIMEDOUT:
		return error_set(error, r, BN_REASON_TIMEOUT,
				 "the time for the call was over before stale UDP flows were "
				 "dropped; allow it more");
	case -EPERM:
		return error_set(error, r, BN_REASON_PRIVILEGE,
				 "no privilege to drop UDP flows: run as root or with "
				 "CAP_NET_ADMIN");
	default:
		return error_set(error, r, BN_REASON_KERNEL,
				 "the kernel refused to drop stale UDP flows: %s", strerror(-r));
	}
}
