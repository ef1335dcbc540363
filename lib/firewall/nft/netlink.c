/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transport: one netlink socket, messages gathered in one buffer, one send for a transaction. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "firewall/nft/nft.h"

#define BATCH_INITIAL 4096
#define SEND_RESERVED 32 /* of a socket's buffer */

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
	return message_open(nft, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags,
			    nft->table->family, 0, room);
}

struct nlmsghdr *nft_object_message(struct nft *nft, uint16_t type, uint16_t flags, uint16_t table,
				    size_t room)
{
	struct nlmsghdr *message = nft_batch_message(nft, type, flags, room);

	if (message)
		mnl_attr_put_strz(message, table, NFT_TABLE);
	return message;
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
	uint32_t first, last; /* sequence numbers of the requests */
	nft_message_fn message;
	void *data;
	struct nft_reply *reply;
	int r;       /* what `message` returned */
	bool commit; /* it ends with a result, whatever is echoed before */
	bool sent;   /* the kernel has got them */
};

/* The kernel takes all of a batch in one send, and that only if it fits the socket's buffer. */
static void read_send_limit(struct nft *nft)
{
	int size = 0;
	socklen_t len = sizeof(size);

	nft->send_limit = 0;
	if (getsockopt(nft->fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 && size > SEND_RESERVED)
		nft->send_limit = (size_t)size - SEND_RESERVED;
}

/* Who has no privilege outside a user namespace gets twice net.core.wmem_max at most. */
static void widen_socket(struct nft *nft)
{
	/* the kernel doubles it */
	int size = (int)(nft->batch_len < INT32_MAX / 4 ? nft->batch_len : INT32_MAX / 2);

	if (setsockopt(nft->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(nft->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	read_send_limit(nft);
}

int nft_socket_open(struct nft *nft)
{
	cleanup_close(&nft->fd);
	nft->fd = netlink_open(NETLINK_NETFILTER);
	if (nft->fd < 0)
		return nft->fd;
	read_send_limit(nft);
	return 0;
}

static int nft_send(struct nft *nft, struct exchange *exchange)
{
	struct iovec batch;
	int r;

	memset(exchange->reply, 0, sizeof(*exchange->reply));
	message_close(nft);
	r = deadline_check(nft->base.deadline);
	/* where none could be opened after a failure */
	if (r == 0 && nft->fd < 0)
		r = nft_socket_open(nft);
	if (r < 0)
		return r;
	exchange->first = ((struct nlmsghdr *)nft->batch)->nlmsg_seq;
	if (nft->batch_len > nft->send_limit)
		widen_socket(nft);
	if (nft->batch_len > nft->send_limit)
		return -EMSGSIZE;
	batch = (struct iovec){ nft->batch, nft->batch_len };
	r = netlink_send(nft->fd, &batch, 1);
	exchange->sent = r == 0;
	return r;
}

static void nft_take_result(struct nft_reply *reply, const struct nlmsghdr *message)
{
	int code = netlink_result(message);

	if (code == 0 || reply->code)
		return;
	reply->code = code;
	reply->sequence = message->nlmsg_seq;
	netlink_text(message, reply->text);
}

/* A damaged one is as good as lost. */
static int nft_take_message(const struct exchange *exchange, const struct nlmsghdr *message)
{
	if (!exchange->message)
		return 0;
	return nft_message_is_whole(message) ? exchange->message(message, exchange->data) :
					       -EBADMSG;
}

static int nft_take_answer(const struct nlmsghdr *message, void *userdata)
{
	struct exchange *exchange = userdata;
	bool is_result;

	/* The kernel does the work within the send, so an answer that is not there after an error
	 * was heard won't come: a refused batch gets no last acknowledgement. */
	if (!message)
		return exchange->reply->code != 0;
	/* What was asked by an earlier call that gave up comes late; echoes have no number. */
	if (message->nlmsg_seq == 0 && exchange->commit)
		return nft_take_message(exchange, message);
	if (message->nlmsg_seq - exchange->first > exchange->last - exchange->first)
		return 0;
	is_result = message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE;
	if (is_result)
		nft_take_result(exchange->reply, message);
	else if (message->nlmsg_type >= NLMSG_MIN_TYPE && !exchange->r)
		exchange->r = nft_take_message(exchange, message);
	return message->nlmsg_seq == exchange->last &&
	       (is_result || !(exchange->commit || message->nlmsg_flags & NLM_F_MULTI));
}

static int nft_exchange(struct nft *nft, struct exchange *exchange)
{
	int r = nft_send(nft, exchange);

	if (r == 0) {
		r = netlink_receive(nft->fd, nft->base.deadline, nft_take_answer, exchange);
		/* The kernel begins no dump on a socket on which one was given up, and may hold
		 * what it could not deliver against the next answer. */
		if (r < 0)
			nft_socket_open(nft);
	}
	if (r == 0)
		r = exchange->r;
	return r ? r : exchange->reply->code;
}

int nft_batch_commit(struct nft *nft, nft_message_fn message, void *data, struct nft_reply *reply)
{
	struct exchange exchange = {
		.message = message, .data = data, .reply = reply, .commit = true
	};
	int r;

	/* Errors are always told; of successes only the last one, lest the answers overflow the
	 * socket's queue. Kernels before 6.10 give no acknowledgement for the end of the batch. */
	((struct nlmsghdr *)(nft->batch + nft->message))->nlmsg_flags |= NLM_F_ACK;
	exchange.last = nft->sequence;
	if (!message_open(nft, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 0))
		return -ENOMEM;
	r = nft_exchange(nft, &exchange);
	reply->lost = r < 0 && exchange.sent && (!reply->code || reply->code == -EBADMSG);
	return r;
}

int nft_batch_send(struct nft *nft, nft_message_fn message, void *data, struct nft_reply *reply)
{
	struct exchange exchange = {
		.last = nft->sequence, .message = message, .data = data, .reply = reply
	};

	return nft_exchange(nft, &exchange);
}

int nft_generation_message(const struct nlmsghdr *message, void *ret_generation)
{
	const struct nlattr *attributes[NFTA_GEN_MAX + 1];

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_GEN_MAX);
	if (attributes[NFTA_GEN_ID] &&
	    mnl_attr_validate(attributes[NFTA_GEN_ID], MNL_TYPE_U32) == 0)
		*(uint32_t *)ret_generation = ntohl(mnl_attr_get_u32(attributes[NFTA_GEN_ID]));
	return 0;
}

int nft_generation(struct nft *nft, uint32_t *ret_generation, struct nft_reply *reply)
{
	nft_requests_begin(nft);
	if (!nft_batch_message(nft, NFT_MSG_GETGEN, 0, 0))
		return -ENOMEM;
	return nft_batch_send(nft, nft_generation_message, ret_generation, reply);
}

/* Each commit that changes something counts up by one, and no batch of ours changes nothing. */
uint32_t nft_generation_next(uint32_t generation)
{
	return generation + 1 ? generation + 1 : 1;
}

int nft_error(struct error *error, int r, const struct nft_reply *reply, const char *what)
{
	int reason = BN_REASON_KERNEL;

	if (r == -ENOMEM)
		return error_oom(error);
	if (deadline_ended(r))
		return deadline_error(error, r, "before it could %s", what);
	if (reply->lost)
		return error_set(error, r, reason,
				 "could not %s: the kernel's answer was lost (%s), and it was not "
				 "done; try again",
				 what, errno_text(-r));
	if (r == -EPERM || r == -EACCES)
		r = error_set(error, -EPERM, BN_REASON_PRIVILEGE,
			      "no privilege to %s: run as root or with CAP_NET_ADMIN", what);
	else if (r == -ERESTART || r == -EAGAIN)
		r = error_set(error, -EAGAIN, reason,
			      "could not %s: other programs kept changing the rules; try again",
			      what);
	else
		r = error_set(error, r, reason, "the kernel refused to %s: %s", what,
			      errno_text(-r));
	if (reply->text[0])
		error_set_kernel(error, reply->text);
	return r;
}
