/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transport: one netlink socket, messages gathered in one buffer, one send for a transaction. */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firewall/nft/nft.h"

/* The kernel fills at most 32 KiB of a dump at once, and remembers the largest buffer it was ever
 * given: one size for all, never a smaller one. An element message of a dump stays below it. */
#define RECEIVE_SIZE 65536
#define RECEIVE_QUEUE (1 << 20)
#define SEND_DEFAULT 65536
#define BATCH_INITIAL 4096

int nft_socket_open(struct nft *nft)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int on = 1, queue = RECEIVE_QUEUE;

	nft->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (nft->fd < 0)
		return -errno;
	if (bind(nft->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		nft_socket_close(nft);
		return r;
	}
	/* None of these is needed for right answers: better texts, short errors, room for many. */
	setsockopt(nft->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nft->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (setsockopt(nft->fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof(queue)) < 0)
		setsockopt(nft->fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue));
	nft->send_limit = SEND_DEFAULT;
	return 0;
}

void nft_socket_close(struct nft *nft)
{
	if (nft->fd >= 0)
		close(nft->fd);
	nft->fd = -1;
	free(nft->batch);
	free(nft->replies);
	nft->batch = NULL;
	nft->replies = NULL;
	nft->batch_capacity = 0;
}

/* ---- gathering ---- */

/* Room behind batch_len, zeroed: libmnl leaves the padding of an attribute as it finds it. */
static int batch_grow(struct nft *nft, size_t room)
{
	size_t capacity = nft->batch_capacity ? nft->batch_capacity : BATCH_INITIAL;
	char *batch;

	while (capacity - nft->batch_len < room)
		capacity *= 2;
	if (capacity > nft->batch_capacity) {
		batch = realloc(nft->batch, capacity);
		if (!batch)
			return -ENOMEM;
		nft->batch = batch;
		nft->batch_capacity = capacity;
	}
	memset(nft->batch + nft->batch_len, 0, room);
	return 0;
}

/* The open message gets its length only when the next one begins. */
static void message_close(struct nft *nft)
{
	struct nlmsghdr *message;

	if (nft->message == SIZE_MAX)
		return;
	message = (struct nlmsghdr *)(nft->batch + nft->message);
	nft->batch_len = nft->message + NFT_ALIGN(message->nlmsg_len);
	nft->message = SIZE_MAX;
}

static struct nlmsghdr *message_open(struct nft *nft, uint16_t type, uint16_t flags, uint8_t family,
				     uint16_t resource, size_t room)
{
	struct nlmsghdr *message;
	struct nfgenmsg *header;

	message_close(nft);
	if (batch_grow(nft, NFT_ALIGN(sizeof(*message)) + sizeof(*header) + room) < 0)
		return NULL;
	nft->message = nft->batch_len;
	message = mnl_nlmsg_put_header(nft->batch + nft->message);
	message->nlmsg_type = type;
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->nlmsg_seq = ++nft->sequence;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = family;
	header->version = NFNETLINK_V0;
	header->res_id = htons(resource);
	return message;
}

void nft_requests_begin(struct nft *nft)
{
	nft->batch_len = 0;
	nft->message = SIZE_MAX;
}

int nft_batch_begin(struct nft *nft, uint32_t generation)
{
	struct nlmsghdr *message;

	nft_requests_begin(nft);
	message = message_open(nft, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 16);
	if (!message)
		return -ENOMEM;
	if (generation)
		mnl_attr_put_u32(message, NFNL_BATCH_GENID, htonl(generation));
	return 0;
}

struct nlmsghdr *nft_batch_message(struct nft *nft, uint16_t type, uint16_t flags, size_t room)
{
	return message_open(nft, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET,
			    0, room);
}

struct nlmsghdr *nft_batch_room(struct nft *nft, size_t room)
{
	struct nlmsghdr *message = (struct nlmsghdr *)(nft->batch + nft->message);

	nft->batch_len = nft->message + message->nlmsg_len;
	if (batch_grow(nft, room) < 0)
		return NULL;
	return (struct nlmsghdr *)(nft->batch + nft->message);
}

/* ---- exchanging ---- */

struct exchange {
	uint32_t first, last;
	nft_message_fn message;
	void *data;
	struct nft_reply *reply;
	bool finished;
	int r; /* what `message` returned */
};

static int send_batch(struct nft *nft)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t sent;

	if (nft->batch_len > nft->send_limit) {
		int limit = (int)(nft->batch_len < INT32_MAX / 4 ? nft->batch_len * 2 : INT32_MAX);

		if (setsockopt(nft->fd, SOL_SOCKET, SO_SNDBUFFORCE, &limit, sizeof(limit)) == 0)
			nft->send_limit = nft->batch_len;
	}
	do {
		sent = sendto(nft->fd, nft->batch, nft->batch_len, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static int reply_error(const struct nlmsghdr *message, struct nft_reply *reply)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	size_t skip = sizeof(*error);
	const struct nlattr *attribute;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*error))
		return -EBADMSG;
	if (error->error == 0 || reply->code)
		return 0;
	reply->code = error->error;
	reply->sequence = message->nlmsg_seq;
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return 0;
	if (!(message->nlmsg_flags & NLM_F_CAPPED))
		skip += NFT_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	for_each_attribute(attribute, message, skip) {
		if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
			snprintf(reply->text, sizeof(reply->text), "%s",
				 mnl_attr_get_str(attribute));
	}
	return 0;
}

static int exchange_message(struct exchange *exchange, const struct nlmsghdr *message)
{
	bool multi = message->nlmsg_flags & NLM_F_MULTI;
	int r = 0;

	/* What was asked by an earlier call that gave up comes late. */
	if (message->nlmsg_seq - exchange->first > exchange->last - exchange->first)
		return 0;
	if (message->nlmsg_type == NLMSG_ERROR)
		r = reply_error(message, exchange->reply);
	else if (message->nlmsg_type >= NLMSG_MIN_TYPE && exchange->message && !exchange->r)
		exchange->r = exchange->message(message, exchange->data);
	if (message->nlmsg_seq == exchange->last &&
	    (!multi || message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR))
		exchange->finished = true;
	return r;
}

static int wait_reply(struct nft *nft)
{
	struct pollfd poll_fd = { .fd = nft->fd, .events = POLLIN };
	int ready = poll(&poll_fd, 1, deadline_left_ms(nft->base.deadline));

	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

static int receive(struct nft *nft, ssize_t *ret_len)
{
	struct sockaddr_nl sender;
	struct iovec vector = { .iov_base = nft->replies, .iov_len = RECEIVE_SIZE };
	struct msghdr header = { .msg_name = &sender, .msg_iov = &vector, .msg_iovlen = 1 };
	ssize_t len;

	do {
		header.msg_namelen = sizeof(sender);
		len = recvmsg(nft->fd, &header, 0);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (header.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	*ret_len = sender.nl_pid == 0 ? len : 0;
	return 0;
}

static int exchange_run(struct nft *nft, struct exchange *exchange)
{
	const struct nlmsghdr *message;
	ssize_t len = 0;
	int rest, r;

	while (!exchange->finished) {
		r = receive(nft, &len);
		/* The kernel does the work within the send, so an answer that is not there after an
		 * error was heard won't come: a refused batch gets no last acknowledgement. */
		if (r == -EAGAIN && exchange->reply->code)
			return 0;
		if (r == -EAGAIN) {
			r = wait_reply(nft);
			len = 0;
		}
		if (r < 0)
			return r;
		rest = (int)len;
		message = (const struct nlmsghdr *)nft->replies;
		for (; mnl_nlmsg_ok(message, rest); message = mnl_nlmsg_next(message, &rest)) {
			r = exchange_message(exchange, message);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int exchange_start(struct nft *nft, struct exchange *exchange)
{
	memset(exchange->reply, 0, sizeof(*exchange->reply));
	message_close(nft);
	if (!nft->replies)
		nft->replies = malloc(RECEIVE_SIZE);
	if (!nft->replies)
		return -ENOMEM;
	if (deadline_passed(nft->base.deadline))
		return -ETIMEDOUT;
	exchange->first = ((struct nlmsghdr *)nft->batch)->nlmsg_seq;
	return send_batch(nft);
}

int nft_batch_commit(struct nft *nft, struct nft_reply *reply)
{
	struct exchange exchange = { .reply = reply };
	int r;

	/* Errors are always told; of successes only the last one, lest the answers overflow the
	 * socket's queue. Kernels before 6.10 give no acknowledgement for the end of the batch. */
	((struct nlmsghdr *)(nft->batch + nft->message))->nlmsg_flags |= NLM_F_ACK;
	exchange.last = nft->sequence;
	if (!message_open(nft, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 0))
		return -ENOMEM;
	r = exchange_start(nft, &exchange);
	if (r == 0)
		r = exchange_run(nft, &exchange);
	return r < 0 ? r : reply->code;
}

int nft_batch_send(struct nft *nft, nft_message_fn message, void *data, struct nft_reply *reply)
{
	struct exchange exchange = {
		.last = nft->sequence, .message = message, .data = data, .reply = reply
	};
	int r;

	r = exchange_start(nft, &exchange);
	if (r == 0)
		r = exchange_run(nft, &exchange);
	return r < 0 ? r : exchange.r ? exchange.r : reply->code;
}

static int generation_message(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attribute;

	for_each_attribute(attribute, message, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attribute) == NFTA_GEN_ID &&
		    mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
			*(uint32_t *)data = ntohl(mnl_attr_get_u32(attribute));
	}
	return 0;
}

int nft_generation(struct nft *nft, uint32_t *ret_generation, struct nft_reply *reply)
{
	nft_requests_begin(nft);
	if (!nft_batch_message(nft, NFT_MSG_GETGEN, 0, 0))
		return -ENOMEM;
	return nft_batch_send(nft, generation_message, ret_generation, reply);
}

int nft_error(struct error *error, int r, const struct nft_reply *reply, const char *what)
{
	int reason = BN_REASON_KERNEL;

	if (r == -ENOMEM)
		return error_oom(error);
	if (r == -ETIMEDOUT)
		return error_set(error, r, BN_REASON_TIMEOUT,
				 "the time for the call was over before it could %s; allow it more",
				 what);
	if (r == -EPERM || r == -EACCES)
		error_set(error, -EPERM, BN_REASON_PRIVILEGE,
			  "no privilege to %s: run as root or with CAP_NET_ADMIN", what);
	else if (r == -EAGAIN)
		error_set(error, r, reason,
			  "could not %s: other programs kept changing the rules; try again", what);
	else
		error_set(error, r, reason, "the kernel refused to %s: %s", what, strerror(-r));
	if (reply->text[0])
		error_set_kernel(error, reply->text);
	return r == -EACCES ? -EPERM : r;
}
