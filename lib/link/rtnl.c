/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/private.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/netlink.h"

#define DUMP_TRIES 5
#define AWAIT_MS 1000

int rtnl_open_family(struct link_handle *handle, int netlink_family)
{
	int on = 1;

	handle->family = netlink_family;
	handle->fd = netlink_open(netlink_family);
	if (handle->fd < 0)
		return handle->fd;
	/* Before Linux 4.20 a dump can't be told what to leave out. */
	setsockopt(handle->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return 0;
}

int rtnl_open(struct link_handle *handle, struct error *error)
{
	int r = rtnl_open_family(handle, NETLINK_ROUTE);

	if (r < 0)
		return error_set(error, r, BN_REASON_KERNEL,
				 "cannot open a route netlink socket: %s", errno_text(-r));
	handle->has_ipv6 = sysctl_has_ipv6();
	return 0;
}

void rtnl_close(struct link_handle *handle)
{
	if (handle->fd >= 0)
		close(handle->fd);
	handle->fd = -1;
	handle->watched_index = 0;
}

int link_open(const struct deadline *deadline, struct link_handle **ret_handle, struct error *error)
{
	CLEANUP_FREE struct link_handle *handle = calloc(1, sizeof(*handle));
	int r;

	if (!handle)
		return error_oom(error);
	r = rtnl_open(handle, error);
	if (r < 0)
		return r;
	handle->deadline = deadline;
	*ret_handle = TAKE_POINTER(handle);
	return 0;
}

void link_close_in_child(struct link_handle *handle)
{
	if (!handle)
		return;
	kept_bridge_forget(handle);
	deletions_forget(handle);
	rtnl_close(handle);
	free(handle);
}

void link_close(struct link_handle *handle)
{
	if (handle)
		link_deletions_await(handle);
	link_close_in_child(handle);
}

/* The requests of a batch, or one for a dump, and the answers to them. */
struct exchange {
	struct link_handle *handle;
	struct rtnl_batch *batch;
	uint32_t first;             /* sequence number of the first request */
	size_t open;                /* requests that have no acknowledgement yet */
	bool interrupted;           /* a dump, by a change of what it shows */
	bool ended;                 /* a dump: nothing more comes of it */
	struct shown *shown;        /* by this dump; NULL: no matter */
	const struct shown *before; /* what is not to be shown once more; NULL: nothing */
};

/* Each kind of object has four types: new, delete, get, set. */
static bool is_question(const struct nlmsghdr *header)
{
	return (header->nlmsg_type & 3) == 2;
}

/* That it is about the same kind of object was asked for. A damaged one is as good as lost. */
static int rtnl_take_reply(struct exchange *exchange, size_t request, const struct nlmsghdr *header)
{
	struct rtnl_batch *batch = exchange->batch;

	if (!batch->reply)
		return 0;
	if ((header->nlmsg_type ^ nlmsg_hdr(batch->messages[request])->nlmsg_type) & ~3 ||
	    !rtnl_is_whole(exchange->handle->family, header))
		return -EBADMSG;
	return batch->reply(batch->userdata, header);
}

static int rtnl_send(struct exchange *exchange, int flags)
{
	struct link_handle *handle = exchange->handle;
	struct rtnl_batch *batch = exchange->batch;
	struct iovec parts[RTNL_BATCH_MAX];
	int r;

	batch->failed = batch->len;
	r = batch->error ? batch->error : deadline_check(handle->deadline);
	if (r < 0)
		return r;
	if (handle->fd < 0) {
		if (handle->single_use)
			return -EBADF;
		r = rtnl_open(handle, NULL);
		if (r < 0)
			return r;
	}
	exchange->first = handle->sequence + 1;
	exchange->open = batch->len;
	for (size_t i = 0; i < batch->len; i++) {
		struct nlmsghdr *header = nlmsg_hdr(batch->messages[i]);

		/* the answer to a question is all that is to be heard of it */
		header->nlmsg_flags |=
			(uint16_t)(NLM_F_REQUEST |
				   (is_question(header) ? flags & ~NLM_F_ACK : flags));
		header->nlmsg_seq = ++handle->sequence;
		header->nlmsg_pid = 0;
		parts[i] = (struct iovec){ header, header->nlmsg_len };
		batch->results[i] = 1;
		batch->changes |= !is_question(header);
	}
	return netlink_send(handle->fd, parts, batch->len);
}

/* The acknowledgement of a request, or why it failed. */
static void rtnl_take_result(struct exchange *exchange, size_t request,
			     const struct nlmsghdr *header)
{
	struct rtnl_batch *batch = exchange->batch;

	if (batch->results[request] <= 0)
		return;
	exchange->open--;
	batch->results[request] = netlink_result(header);
	if (batch->results[request] < 0 && batch->failed == batch->len) {
		batch->failed = request;
		netlink_text(header, batch->kernel);
	}
}

/* Announcements have no sequence number. */
static void rtnl_take_announcement(struct link_handle *handle, const struct nlmsghdr *header)
{
	const struct ifaddrmsg *message = nlmsg_data(header);
	struct nlattr *attr;

	if (!handle->watched_index || header->nlmsg_type != RTM_NEWADDR || header->nlmsg_seq ||
	    !rtnl_is_whole(handle->family, header) || message->ifa_index != handle->watched_index)
		return;
	attr = nlmsg_find_attr((struct nlmsghdr *)header, sizeof(*message), IFA_ADDRESS);
	if (attr && nla_len(attr) == 16 && memcmp(nla_data(attr), handle->watched.bytes, 16) == 0)
		handle->watched_index = 0;
}

static int rtnl_take_answer(const struct nlmsghdr *header, void *userdata)
{
	struct exchange *exchange = userdata;
	struct rtnl_batch *batch = exchange->batch;
	size_t request;
	int r = 0;

	if (!header)
		return 0;
	rtnl_take_announcement(exchange->handle, header);
	request = header->nlmsg_seq - exchange->first;
	if (request >= batch->len)
		return 0;
	if (header->nlmsg_type == NLMSG_ERROR) {
		rtnl_take_result(exchange, request, header);
	} else {
		if (batch->results[request] > 0 &&
		    is_question(nlmsg_hdr(batch->messages[request]))) {
			batch->results[request] = 0;
			exchange->open--;
		}
		r = rtnl_take_reply(exchange, request, header);
	}
	return r < 0 ? r : exchange->open == 0;
}

static int rtnl_take_dump_part(const struct nlmsghdr *header, void *userdata)
{
	struct exchange *exchange = userdata;
	struct rtnl_batch *batch = exchange->batch;
	int r;

	if (!header)
		return 0;
	rtnl_take_announcement(exchange->handle, header);
	if (header->nlmsg_seq != exchange->first)
		return 0;
	if (header->nlmsg_flags & NLM_F_DUMP_INTR)
		exchange->interrupted = true;
	if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
		rtnl_take_result(exchange, 0, header);
		exchange->ended = true;
		return batch->results[0] < 0 ? batch->results[0] : 1;
	}
	r = exchange->shown ? shown_add(exchange->shown, header) : 1;
	if (r <= 0 || (exchange->before && shown_has(exchange->before, header)))
		return r < 0 ? r : 0;
	return rtnl_take_reply(exchange, 0, header);
}

static int rtnl_receive(struct exchange *exchange, netlink_message_fn message)
{
	struct link_handle *handle = exchange->handle;
	int r = netlink_receive(handle->fd, handle->deadline, message, exchange);

	if (r < 0 && !exchange->ended) {
		/* Answers to come would be taken for those of later requests. */
		rtnl_close(handle);
		exchange->batch->failed = exchange->batch->len;
	}
	return r;
}

int rtnl_run(struct link_handle *handle, struct rtnl_batch *batch)
{
	struct exchange exchange = { .handle = handle, .batch = batch };
	int r;

	batch->failed = batch->len;
	if (!batch->len && !batch->error)
		return 0;
	r = rtnl_send(&exchange, NLM_F_ACK);
	if (r == 0) {
		r = rtnl_receive(&exchange, rtnl_take_answer);
		batch->lost = r < 0 && batch->changes;
	}
	if (r < 0)
		return r;
	return batch->failed < batch->len ? batch->results[batch->failed] : 0;
}

int rtnl_run_step(struct link_handle *handle, struct rtnl_batch *batch, const char *step)
{
	int r = FAULT(step);

	return r < 0 ? r : rtnl_run(handle, batch);
}

int rtnl_run_passing(struct link_handle *handle, struct rtnl_batch *batch, int passed)
{
	int r = rtnl_run(handle, batch);

	if (!passed || batch->failed == batch->len)
		return r;
	for (; batch->failed < batch->len; batch->failed++) {
		r = batch->results[batch->failed];
		if (r < 0 && r != passed)
			return r;
	}
	return 0;
}

int rtnl_run_surely(struct link_handle *handle, struct rtnl_batch *batch, int passed,
		    const char *step)
{
	const struct deadline *deadline = handle->deadline;
	struct deadline look;
	int r = FAULT(step);

	if (r == 0)
		r = rtnl_run_passing(handle, batch, passed);
	if (!batch->lost)
		return r;
	look = deadline_after(OUTCOME_LOOK_MS);
	handle->deadline = &look;
	for (int i = 1; i < OUTCOME_LOOKS && batch->lost; i++)
		r = rtnl_run_passing(handle, batch, passed);
	handle->deadline = deadline;
	return batch->lost ? OUTCOME_UNKNOWN : r;
}

int rtnl_delete_link(struct link_handle *handle, uint32_t index)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	const struct deadline *deadline = handle->deadline;
	int r;

	handle->deadline = NULL;
	rtnl_add_link(&batch, RTM_DELLINK, 0, index);
	r = rtnl_run_surely(handle, &batch, -ENODEV, "link.delete.undo");
	handle->deadline = deadline;
	return r;
}

static int dump_once(struct exchange *exchange)
{
	struct rtnl_batch *batch = exchange->batch;
	int r = exchange->before ? 0 : batch->reply(batch->userdata, NULL);

	if (r == 0)
		r = rtnl_send(exchange, NLM_F_DUMP);
	if (r == 0)
		r = rtnl_receive(exchange, rtnl_take_dump_part);
	return r;
}

/*
 * What comes or goes between two parts of a dump may hide neighbours of it, and on a host where
 * something comes and goes all the time each dump is interrupted. Two in a row that show the same
 * are right; if there are none, what stood all the while is in one of the last two.
 */
int rtnl_dump(struct link_handle *handle, struct rtnl_batch *batch)
{
	CLEANUP(shown_clear) struct shown before = { 0 };
	CLEANUP(shown_clear) struct shown shown = { 0 };

	for (unsigned int attempt = 0;; attempt++) {
		bool last = attempt + 1 == DUMP_TRIES;
		struct exchange exchange = { .handle = handle,
					     .batch = batch,
					     .shown = attempt ? &shown : NULL,
					     .before = last ? &before : NULL };
		int r = attempt ? deadline_back_off(handle->deadline, attempt) : 0;

		shown_clear(&before);
		before = shown;
		shown = (struct shown){ 0 };
		if (r == 0)
			r = dump_once(&exchange);
		if (r < 0 || !exchange.interrupted || last ||
		    (attempt > 1 && shown_same(&before, &shown)))
			return r;
	}
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

static int rtnl_take_watched(const struct nlmsghdr *header, void *userdata)
{
	struct link_handle *handle = userdata;

	if (header)
		rtnl_take_announcement(handle, header);
	return !handle->watched_index;
}

void rtnl_await_address(struct link_handle *handle)
{
	struct deadline deadline = deadline_within(handle->deadline, AWAIT_MS);

	if (handle->watched_index)
		netlink_receive(handle->fd, &deadline, rtnl_take_watched, handle);
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
	if (deadline_ended(code))
		return deadline_error(error, code, "before it could %s", what);
	if (code == OUTCOME_UNKNOWN)
		return error_unknown_outcome(error, what);
	if (code == -EPERM) {
		reason = BN_REASON_PRIVILEGE;
		hint = "; run as root or with CAP_NET_ADMIN and CAP_SYS_ADMIN";
	}
	if (batch && batch->kernel[0])
		return error_set(error, code, reason, "cannot %s: %s (the kernel says: %s)%s", what,
				 errno_text(-code), batch->kernel, hint);
	return error_set(error, code, reason, "cannot %s: %s%s", what, errno_text(-code), hint);
}

bool rtnl_link_ask(struct link_handle *handle, const char *name, unsigned long command,
		   struct ifreq *ret_answer)
{
	struct ifreq request = { 0 };

	if (handle->fd < 0 && (handle->single_use || rtnl_open(handle, NULL) < 0))
		return false;
	if (string_copy(request.ifr_name, sizeof(request.ifr_name), name) < 0 ||
	    ioctl(handle->fd, command, &request) < 0)
		return false;
	*ret_answer = request;
	return true;
}

uint32_t rtnl_link_index(struct link_handle *handle, const char *name)
{
	struct ifreq answer;

	return rtnl_link_ask(handle, name, SIOCGIFINDEX, &answer) ? (uint32_t)answer.ifr_ifindex :
								    0;
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
