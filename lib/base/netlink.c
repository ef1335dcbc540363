/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/netlink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fault.h"

/* The kernel makes the parts of a dump as large as the largest buffer that the socket was ever read
 * with, 32 KiB at most; no other answer to what we ask is larger. */
#define DATAGRAM_MAX 32768
#define RECEIVE_QUEUE (1 << 20)

int netlink_open(int family)
{
	int on = 1, queue = RECEIVE_QUEUE;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, family);

	if (fd < 0)
		return -errno;
	/* None of these is needed for right answers, and an old kernel may lack some. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof(queue)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue));
	return fd;
}

int netlink_open_listener(int family)
{
	const struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	CLEANUP_CLOSE int fd = netlink_open(family);

	if (fd < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return -errno;
	return take_fd(&fd);
}

int netlink_send(int fd, struct iovec *parts, size_t len)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct msghdr datagram = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = parts,
		.msg_iovlen = len,
	};
	int r = FAULT("netlink.send");

	if (r < 0)
		return r;
	while (sendmsg(fd, &datagram, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Its length, 0 for one that is to be passed over: anyone may send to a netlink socket. */
static ssize_t receive_datagram(int fd, void *buffer, size_t size)
{
	struct sockaddr_nl sender = { 0 };
	struct iovec part = { buffer, size };
	struct msghdr datagram = {
		.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &part,
		.msg_iovlen = 1,
	};
	ssize_t len = recvmsg(fd, &datagram, 0);

	if (len < 0)
		return errno == EINTR ? 0 : -errno;
	if (sender.nl_pid != 0)
		return 0;
	return datagram.msg_flags & MSG_TRUNC ? -EMSGSIZE : len;
}

bool netlink_message_fits(const struct nlmsghdr *header, int left)
{
	return mnl_nlmsg_ok(header, left) && header->nlmsg_len <= (uint32_t)left;
}

/* *ret_dump: it is a part of a dump, and more are to come. */
static int walk_datagram(const void *buffer, ssize_t len, netlink_message_fn message,
			 void *userdata, bool *ret_dump)
{
	const struct nlmsghdr *header = buffer;
	int left = (int)len, r = 0;

	*ret_dump = false;
	for (; r == 0 && netlink_message_fits(header, left);
	     header = mnl_nlmsg_next(header, &left)) {
		*ret_dump = header->nlmsg_flags & NLM_F_MULTI;
		r = message(header, userdata);
	}
	return r;
}

int netlink_receive(int fd, const struct deadline *deadline, netlink_message_fn message,
		    void *userdata)
{
	_Alignas(struct nlmsghdr) char buffer[DATAGRAM_MAX];
	bool dump;
	/* The kernel has done the work, but what it answers is not heard. */
	int r = FAULT("netlink.receive");

	while (r == 0) {
		ssize_t len = receive_datagram(fd, buffer, sizeof(buffer));

		if (len >= 0) {
			r = walk_datagram(buffer, len, message, userdata, &dump);
			/* a long dump always has its next part ready: it would never wait */
			if (r == 0 && dump)
				r = deadline_check(deadline);
		} else if (len == -EAGAIN) {
			r = message(NULL, userdata);
			if (r == 0)
				r = deadline_wait(deadline, fd);
		} else {
			r = (int)len;
		}
	}
	return r < 0 ? r : 0;
}

int netlink_result(const struct nlmsghdr *message)
{
	const int *code = mnl_nlmsg_get_payload(message);

	/* Both begin with it. */
	if (mnl_nlmsg_get_payload_len(message) < sizeof(*code) || *code > 0)
		return -EBADMSG;
	return *code;
}

static void attributes_between(const void *first, const void *end,
			       const struct nlattr **ret_attributes, uint16_t max)
{
	const struct nlattr *attribute;

	memset(ret_attributes, 0, (max + 1u) * sizeof(*ret_attributes));
	for_each_between(attribute, first, end) {
		if (attribute_type(attribute) <= max)
			ret_attributes[attribute_type(attribute)] = attribute;
	}
}

void netlink_attributes(const struct nlmsghdr *message, size_t skip,
			const struct nlattr **ret_attributes, uint16_t max)
{
	attributes_between(mnl_nlmsg_get_payload_offset(message, skip),
			   mnl_nlmsg_get_payload_tail(message), ret_attributes, max);
}

void netlink_nested(const struct nlattr *nest, const struct nlattr **ret_attributes, uint16_t max)
{
	attributes_between(nest ? attribute_payload(nest) : NULL, nest ? attribute_end(nest) : NULL,
			   ret_attributes, max);
}

const struct nlattr *netlink_of(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attribute, *found = NULL;

	if (!nest)
		return NULL;
	for_each_nested(attribute, nest)
		if (attribute_type(attribute) == type)
			found = attribute;
	return found;
}

bool netlink_fits(const struct nlattr *attribute, char form)
{
	size_t len = attribute_payload_len(attribute);

	if (form == 's')
		return len > 0 && ((const char *)attribute_payload(attribute))[len - 1] == '\0';
	if (form == 'n')
		return len == 0 || len >= sizeof(*attribute);
	return form < '1' || form > '8' || len == (size_t)(form - '0');
}

bool netlink_is_whole(const struct nlmsghdr *message, const struct netlink_shape *shapes,
		      size_t len)
{
	const struct netlink_shape *shape = shapes;
	const struct nlattr *attribute;

	while (shape < shapes + len && shape->type != message->nlmsg_type)
		shape++;
	if (shape == shapes + len || mnl_nlmsg_get_payload_len(message) < shape->header)
		return false;
	if (!shape->len)
		return true;
	for_each_between(attribute, mnl_nlmsg_get_payload_offset(message, shape->header),
			 mnl_nlmsg_get_payload_tail(message)) {
		if (attribute_type(attribute) < shape->len &&
		    !netlink_fits(attribute, shape->forms[attribute_type(attribute)]))
			return false;
	}
	return true;
}

void netlink_text(const struct nlmsghdr *message, char text[static KERNEL_TEXT_MAX])
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[NLMSGERR_ATTR_MSG + 1];
	size_t skip = sizeof(*error);

	text[0] = '\0';
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS) || mnl_nlmsg_get_payload_len(message) < skip)
		return;
	/* Unless it was left out, the request stands between its header and the attributes. */
	if (!(message->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	netlink_attributes(message, skip, attributes, NLMSGERR_ATTR_MSG);
	if (attributes[NLMSGERR_ATTR_MSG])
		snprintf(text, KERNEL_TEXT_MAX, "%.*s",
			 (int)mnl_attr_get_payload_len(attributes[NLMSGERR_ATTR_MSG]),
			 mnl_attr_get_str(attributes[NLMSGERR_ATTR_MSG]));
}
