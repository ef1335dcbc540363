/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/rtnl.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECEIVE_SIZE 32768 /* the most that the kernel puts into one part of a dump */
#define SOCKET_BUFFER (1024 * 1024)
#define DUMP_TRIES 8
#define AWAIT_MS 1000

int rtnl_open_family(struct link_handle *handle, int netlink_family)
{
	int on = 1, size = SOCKET_BUFFER;

	handle->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, netlink_family);
	if (handle->fd < 0)
		return -errno;
	/* Each of these only makes it better; an old kernel may lack some. */
	setsockopt(handle->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(handle->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(handle->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (setsockopt(handle->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(handle->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return 0;
}

int rtnl_open(struct link_handle *handle, struct error *error)
{
	int r = rtnl_open_family(handle, NETLINK_ROUTE);

	if (r < 0)
		return error_set(error, r, BN_REASON_KERNEL,
				 "cannot open a route netlink socket: %s", strerror(-r));
	handle->has_ipv6 = access("/proc/sys/net/ipv6", F_OK) == 0;
	return 0;
}

void rtnl_close(struct link_handle *handle)
{
	if (handle->fd >= 0)
		close(handle->fd);
	handle->fd = -1;
}

int link_open(struct link_handle **ret_handle, struct error *error)
{
	CLEANUP_FREE struct link_handle *handle = calloc(1, sizeof(*handle));
	int r;

	if (!handle)
		return error_oom(error);
	r = rtnl_open(handle, error);
	if (r < 0)
		return r;
	*ret_handle = TAKE_POINTER(handle);
	return 0;
}

void link_close(struct link_handle *handle)
{
	if (!handle)
		return;
	rtnl_close(handle);
	free(handle);
}

void link_set_deadline(struct link_handle *handle, deadline_ms deadline)
{
	handle->deadline = deadline;
}

/* Wait for the kernel; anyone may send to a netlink socket, so other senders are passed over. */
static ssize_t receive(struct link_handle *handle, void *buffer)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		struct iovec iov = { buffer, RECEIVE_SIZE };
		struct msghdr message = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
		};
		ssize_t len = recvmsg(handle->fd, &message, 0);
		struct pollfd pollfd = { .fd = handle->fd, .events = POLLIN };

		if (len >= 0 && from.nl_pid != 0)
			continue;
		if (len >= 0)
			return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : len;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (deadline_passed(handle->deadline))
			return -ETIMEDOUT;
		if (poll(&pollfd, 1, deadline_left_ms(handle->deadline)) < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_batch(struct link_handle *handle, struct rtnl_batch *batch, int flags)
{
	struct iovec iov[RTNL_BATCH_MAX];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct msghdr message = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = iov,
		.msg_iovlen = batch->len,
	};
	int r;

	batch->failed = batch->len;
	if (batch->error)
		return batch->error;
	if (deadline_passed(handle->deadline))
		return -ETIMEDOUT;
	if (handle->fd < 0) {
		if (handle->single_use)
			return -EBADF;
		r = rtnl_open(handle, NULL);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < batch->len; i++) {
		struct nlmsghdr *header = nlmsg_hdr(batch->messages[i]);

		header->nlmsg_flags |= (uint16_t)(NLM_F_REQUEST | flags);
		header->nlmsg_seq = ++handle->sequence;
		header->nlmsg_pid = 0;
		iov[i] = (struct iovec){ header, header->nlmsg_len };
		batch->results[i] = 1;
	}
	while (sendmsg(handle->fd, &message, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	batch->sent = true;
	return 0;
}

static void keep_kernel_text(struct rtnl_batch *batch, const struct nlmsghdr *header)
{
	const struct nlmsgerr *answer = nlmsg_data(header);
	size_t offset = sizeof(*answer);
	struct nlattr *text;

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	/* Unless capped, the request stands between the error and the attributes. */
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		offset += NLMSG_ALIGN(answer->msg.nlmsg_len) - sizeof(answer->msg);
	if (header->nlmsg_len < NLMSG_HDRLEN + offset)
		return;
	text = nla_find((struct nlattr *)((char *)nlmsg_data(header) + offset),
			(int)(header->nlmsg_len - NLMSG_HDRLEN - offset), NLMSGERR_ATTR_MSG);
	if (text)
		snprintf(batch->kernel, sizeof(batch->kernel), "%.*s", nla_len(text),
			 (const char *)nla_data(text));
}

/* An acknowledgement or an error; 1 if it was the answer to a request that had none yet. */
static int take_answer(struct rtnl_batch *batch, size_t request, const struct nlmsghdr *header)
{
	const struct nlmsgerr *answer = nlmsg_data(header);

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)) || answer->error > 0)
		return -EBADMSG;
	if (batch->results[request] <= 0)
		return 0;
	batch->results[request] = answer->error;
	if (answer->error < 0 && batch->failed == batch->len) {
		batch->failed = request;
		keep_kernel_text(batch, header);
	}
	return 1;
}

/* Announcements have no sequence number. */
static void take_announcement(struct link_handle *handle, const struct nlmsghdr *header)
{
	const struct ifaddrmsg *message = nlmsg_data(header);
	struct nlattr *attr;

	if (!handle->watched_index || header->nlmsg_type != RTM_NEWADDR || header->nlmsg_seq ||
	    message->ifa_index != handle->watched_index)
		return;
	attr = nlmsg_find_attr((struct nlmsghdr *)header, sizeof(*message), IFA_ADDRESS);
	if (attr && nla_len(attr) == 16 && memcmp(nla_data(attr), handle->watched.bytes, 16) == 0)
		handle->watched_index = 0;
}

/* One datagram of answers. Returns how many requests it settled. */
static int take_datagram(struct link_handle *handle, struct rtnl_batch *batch, uint32_t first,
			 void *buffer, int len)
{
	struct nlmsghdr *header = buffer;
	int settled = 0, r;

	for (; nlmsg_ok(header, len); header = nlmsg_next(header, &len)) {
		size_t request = header->nlmsg_seq - first;

		take_announcement(handle, header);
		if (request >= batch->len)
			continue;
		if (header->nlmsg_type == NLMSG_ERROR) {
			r = take_answer(batch, request, header);
			settled += r;
		} else {
			r = batch->reply ? batch->reply(batch->userdata, request, header) : 0;
		}
		if (r < 0)
			return r;
	}
	return settled;
}

static int fail_transport(struct link_handle *handle, struct rtnl_batch *batch, int code)
{
	/* Answers to come would be taken for those of later requests. */
	rtnl_close(handle);
	batch->failed = batch->len;
	return code;
}

int rtnl_run(struct link_handle *handle, struct rtnl_batch *batch)
{
	_Alignas(struct nlmsghdr) char buffer[RECEIVE_SIZE];
	uint32_t first = handle->sequence + 1;
	size_t open = batch->len;
	int r;

	r = send_batch(handle, batch, NLM_F_ACK);
	if (r < 0)
		return r;
	while (open > 0) {
		ssize_t len = receive(handle, buffer);

		if (len < 0)
			return fail_transport(handle, batch, (int)len);
		r = take_datagram(handle, batch, first, buffer, (int)len);
		if (r < 0)
			return fail_transport(handle, batch, r);
		open -= (size_t)r;
	}
	return batch->failed < batch->len ? batch->results[batch->failed] : 0;
}

/* 0 to go on, 1 at the end of the dump. */
static int take_dump_part(struct rtnl_batch *batch, uint32_t sequence, void *buffer, int len,
			  bool *interrupted)
{
	struct nlmsghdr *header = buffer;

	for (; nlmsg_ok(header, len); header = nlmsg_next(header, &len)) {
		int r;

		if (header->nlmsg_seq != sequence)
			continue;
		if (header->nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		if (header->nlmsg_type == NLMSG_DONE) {
			r = header->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) ?
				    *(int *)nlmsg_data(header) :
				    0;
			return r < 0 ? r : 1;
		}
		if (header->nlmsg_type == NLMSG_ERROR) {
			r = take_answer(batch, 0, header);
			return r < 0 ? r : batch->results[0] < 0 ? batch->results[0] : 1;
		}
		r = batch->reply(batch->userdata, 0, header);
		if (r < 0)
			return r;
	}
	return 0;
}

static int dump_once(struct link_handle *handle, struct rtnl_batch *batch, bool *interrupted)
{
	_Alignas(struct nlmsghdr) char buffer[RECEIVE_SIZE];
	int r;

	r = send_batch(handle, batch, NLM_F_DUMP);
	while (r == 0) {
		ssize_t len = receive(handle, buffer);

		r = len < 0 ?
			    (int)len :
			    take_dump_part(batch, handle->sequence, buffer, (int)len, interrupted);
	}
	if (r < 0)
		fail_transport(handle, batch, r);
	return r < 0 ? r : 0;
}

int rtnl_dump(struct link_handle *handle, struct rtnl_batch *batch)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		bool interrupted = false;
		int r;

		r = batch->reply(batch->userdata, 0, NULL);
		if (r == 0)
			r = dump_once(handle, batch, &interrupted);
		if (r < 0 || !interrupted)
			return r;
	}
	return -EAGAIN;
}

static void set_membership(struct link_handle *handle, int option)
{
	int group = RTNLGRP_IPV6_IFADDR;

	setsockopt(handle->fd, SOL_NETLINK, option, &group, sizeof(group));
}

void rtnl_watch_address(struct link_handle *handle, uint32_t index, const struct addr *addr)
{
	set_membership(handle, NETLINK_ADD_MEMBERSHIP);
	handle->watched_index = index;
	handle->watched = *addr;
}

void rtnl_unwatch_address(struct link_handle *handle)
{
	handle->watched_index = 0;
	set_membership(handle, NETLINK_DROP_MEMBERSHIP);
}

void rtnl_await_address(struct link_handle *handle)
{
	_Alignas(struct nlmsghdr) char buffer[RECEIVE_SIZE];
	deadline_ms deadline = handle->deadline, last = deadline_after(AWAIT_MS);

	if (!deadline || deadline > last)
		handle->deadline = last;
	while (handle->watched_index) {
		struct nlmsghdr *header = (struct nlmsghdr *)buffer;
		ssize_t received = receive(handle, buffer);
		int len = (int)received;

		if (received < 0)
			break;
		for (; nlmsg_ok(header, len); header = nlmsg_next(header, &len))
			take_announcement(handle, header);
	}
	handle->deadline = deadline;
	rtnl_unwatch_address(handle);
}

int rtnl_failure(struct error *error, const struct rtnl_batch *batch, int code, const char *format,
		 ...)
{
	char what[300];
	const char *hint = "";
	int reason = BN_REASON_KERNEL;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (batch && batch->kernel[0])
		error_set_kernel(error, batch->kernel);
	if (code == -ENOMEM)
		return error_oom(error);
	if (code == -EPERM) {
		reason = BN_REASON_PRIVILEGE;
		hint = "; run as root or with CAP_NET_ADMIN and CAP_SYS_ADMIN";
	} else if (code == -ETIMEDOUT) {
		reason = BN_REASON_TIMEOUT;
		hint = "; try again or allow the call more time";
	}
	if (batch && batch->kernel[0])
		return error_set(error, code, reason, "cannot %s: %s (the kernel says: %s)%s", what,
				 strerror(-code), batch->kernel, hint);
	return error_set(error, code, reason, "cannot %s: %s%s", what, strerror(-code), hint);
}

uint32_t rtnl_link_index(struct link_handle *handle, const char *name)
{
	struct ifreq request = { 0 };

	if (handle->fd < 0 && (handle->single_use || rtnl_open(handle, NULL) < 0))
		return 0;
	if (string_copy(request.ifr_name, sizeof(request.ifr_name), name) < 0)
		return 0;
	return ioctl(handle->fd, SIOCGIFINDEX, &request) < 0 ? 0 : (uint32_t)request.ifr_ifindex;
}

/*
 * When a carrier appears, a work queue later gives the device its queueing discipline, and the
 * bridge learns of it and lets the port forward; until then packets are dropped. Asking ethtool for
 * the link state does that work for the device at once, on the asking thread.
 */
void rtnl_settle_carrier(struct link_handle *handle, const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GLINK };
	struct ifreq request = { .ifr_data = (void *)&value };

	if (handle->fd >= 0 && string_copy(request.ifr_name, sizeof(request.ifr_name), name) == 0)
		ioctl(handle->fd, SIOCETHTOOL, &request);
}
