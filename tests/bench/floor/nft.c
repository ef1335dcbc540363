/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <libnftnl/set.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nft.h"

#define TABLE "floor"
#define MAP "ports"
#define OWNER "network/endpoint"
#define PORTS_OF_PROTOCOL 65000
#define RECEIVE_SIZE 65536
#define ELEMENTS_LIMIT 60000
#define ELEMENT_ROOM 128

struct floor_nft {
	struct mnl_socket *socket;
	uint32_t sequence;
	char *buffer;
	size_t len, capacity;
	int send_limit;
	char replies[RECEIVE_SIZE];
};

static struct nlmsghdr *put_message(struct floor_nft *floor, uint16_t type, uint16_t flags,
				    uint8_t family, uint16_t resource)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(floor->buffer + floor->len);
	struct nfgenmsg *header;

	message->nlmsg_type = type;
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->nlmsg_seq = ++floor->sequence;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = family;
	header->version = NFNETLINK_V0;
	header->res_id = htons(resource);
	return message;
}

static void end_message(struct floor_nft *floor, const struct nlmsghdr *message)
{
	floor->len += (message->nlmsg_len + 3u) & ~3u;
}

static struct nlmsghdr *put_nft(struct floor_nft *floor, uint16_t type, uint16_t flags)
{
	return put_message(floor, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET,
			   0);
}

static void put_batch(struct floor_nft *floor, uint16_t type)
{
	end_message(floor, put_message(floor, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

/* Send the batch and wait for the answer to `sequence`. */
static int commit(struct floor_nft *floor, uint32_t sequence)
{
	const struct nlmsghdr *message;
	int limit = (int)floor->len * 2, rest;
	ssize_t len;

	if (limit > floor->send_limit) {
		setsockopt(mnl_socket_get_fd(floor->socket), SOL_SOCKET, SO_SNDBUFFORCE, &limit,
			   sizeof(limit));
		floor->send_limit = limit;
	}
	if (mnl_socket_sendto(floor->socket, floor->buffer, floor->len) < 0)
		return -errno;
	for (;;) {
		len = mnl_socket_recvfrom(floor->socket, floor->replies, RECEIVE_SIZE);
		if (len < 0)
			return -errno;
		rest = (int)len;
		message = (const struct nlmsghdr *)floor->replies;
		for (; mnl_nlmsg_ok(message, rest); message = mnl_nlmsg_next(message, &rest)) {
			const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

			if (message->nlmsg_type == NLMSG_ERROR && error->error)
				return error->error;
			if (message->nlmsg_seq == sequence)
				return 0;
		}
	}
}

static void put_value(struct nlmsghdr *message, uint16_t type, const void *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put(message, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(message, nest);
}

static void put_element(struct nlmsghdr *message, size_t port, bool value)
{
	static const uint8_t comment[] = "\0\021" OWNER;
	uint8_t key[8] = { port < PORTS_OF_PROTOCOL ? IPPROTO_TCP : IPPROTO_UDP };
	uint8_t data[8] = { 172, 17, 0, 2 };
	uint16_t number = htons((uint16_t)(port % PORTS_OF_PROTOCOL + 1));
	struct nlattr *nest = mnl_attr_nest_start(message, NFTA_LIST_ELEM);

	memcpy(key + 4, &number, sizeof(number));
	memcpy(data + 4, &number, sizeof(number));
	put_value(message, NFTA_SET_ELEM_KEY, key, sizeof(key));
	if (value) {
		put_value(message, NFTA_SET_ELEM_DATA, data, sizeof(data));
		mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, sizeof(comment), comment);
	}
	mnl_attr_nest_end(message, nest);
}

/* As many elements as one message takes; returns how many. */
static size_t put_elements(struct floor_nft *floor, uint16_t type, size_t first, size_t len)
{
	bool add = type == NFT_MSG_NEWSETELEM;
	struct nlmsghdr *message;
	struct nlattr *nest;
	size_t i;

	message = put_nft(floor, type, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, MAP);
	nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (i = 0; i < len && message->nlmsg_len < ELEMENTS_LIMIT; i++)
		put_element(message, first + i, add);
	mnl_attr_nest_end(message, nest);
	if (i == len)
		message->nlmsg_flags |= NLM_F_ACK;
	end_message(floor, message);
	return i;
}

static int change(struct floor_nft *floor, uint16_t type, size_t first, size_t len)
{
	size_t need = 4096 + len * ELEMENT_ROOM, done = 0;
	uint32_t sequence;

	if (need > floor->capacity) {
		char *buffer = realloc(floor->buffer, need);

		if (!buffer)
			return -ENOMEM;
		floor->buffer = buffer;
		floor->capacity = need;
	}
	floor->len = 0;
	put_batch(floor, NFNL_MSG_BATCH_BEGIN);
	while (done < len)
		done += put_elements(floor, type, first + done, len - done);
	sequence = floor->sequence;
	put_batch(floor, NFNL_MSG_BATCH_END);
	return commit(floor, sequence);
}

int floor_nft_add(struct floor_nft *floor, size_t first, size_t len)
{
	return change(floor, NFT_MSG_NEWSETELEM, first, len);
}

int floor_nft_delete(struct floor_nft *floor, size_t first, size_t len)
{
	return change(floor, NFT_MSG_DELSETELEM, first, len);
}

static void put_table(struct floor_nft *floor, uint16_t type)
{
	struct nlmsghdr *message =
		put_nft(floor, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : NLM_F_ACK);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, TABLE);
	end_message(floor, message);
}

static void put_map(struct floor_nft *floor)
{
	struct nlmsghdr *message = put_nft(floor, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_ACK);
	struct nlattr *nest;

	mnl_attr_put_strz(message, NFTA_SET_TABLE, TABLE);
	mnl_attr_put_strz(message, NFTA_SET_NAME, MAP);
	mnl_attr_put_u32(message, NFTA_SET_FLAGS, htonl(NFT_SET_MAP));
	mnl_attr_put_u32(message, NFTA_SET_KEY_TYPE, htonl(12 << 6 | 13));
	mnl_attr_put_u32(message, NFTA_SET_KEY_LEN, htonl(8));
	mnl_attr_put_u32(message, NFTA_SET_DATA_TYPE, htonl(7 << 6 | 13));
	mnl_attr_put_u32(message, NFTA_SET_DATA_LEN, htonl(8));
	mnl_attr_put_u32(message, NFTA_SET_ID, htonl(1));
	nest = mnl_attr_nest_start(message, NFTA_SET_EXPR);
	mnl_attr_put_strz(message, NFTA_EXPR_NAME, "counter");
	mnl_attr_nest_end(message, mnl_attr_nest_start(message, NFTA_EXPR_DATA));
	mnl_attr_nest_end(message, nest);
	end_message(floor, message);
}

static int make(struct floor_nft *floor)
{
	uint32_t sequence;

	floor->capacity = 4096;
	floor->buffer = malloc(floor->capacity);
	floor->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!floor->buffer || !floor->socket)
		return -ENOMEM;
	if (mnl_socket_bind(floor->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	put_batch(floor, NFNL_MSG_BATCH_BEGIN);
	put_table(floor, NFT_MSG_NEWTABLE);
	put_map(floor);
	sequence = floor->sequence;
	put_batch(floor, NFNL_MSG_BATCH_END);
	return commit(floor, sequence);
}

int floor_nft_open(struct floor_nft **ret_floor)
{
	struct floor_nft *floor = calloc(1, sizeof(*floor));
	int code = floor ? make(floor) : -ENOMEM;

	if (code == 0)
		*ret_floor = floor;
	else if (floor)
		floor_nft_close(floor);
	return code;
}

void floor_nft_close(struct floor_nft *floor)
{
	if (floor->socket && floor->buffer) {
		floor->len = 0;
		put_batch(floor, NFNL_MSG_BATCH_BEGIN);
		put_table(floor, NFT_MSG_DELTABLE);
		put_batch(floor, NFNL_MSG_BATCH_END);
		commit(floor, floor->sequence - 1);
	}
	if (floor->socket)
		mnl_socket_close(floor->socket);
	free(floor->buffer);
	free(floor);
}

static int parse_elements(const struct nlmsghdr *message, void *data)
{
	return nftnl_set_elems_nlmsg_parse(message, data) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static int count_element(struct nftnl_set_elem *element, void *data)
{
	(void)element;
	++*(size_t *)data;
	return 0;
}

/* Send the buffer, one request, and take in what it asks for. */
static int request(struct floor_nft *floor, size_t *ret_len)
{
	struct nftnl_set *set = nftnl_set_alloc();
	int more = MNL_CB_OK;
	ssize_t len;

	if (!set)
		return -ENOMEM;
	if (mnl_socket_sendto(floor->socket, floor->buffer, floor->len) < 0)
		more = MNL_CB_ERROR;
	while (more > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(floor->socket, floor->replies, RECEIVE_SIZE);
		more = len < 0 ? MNL_CB_ERROR :
				 mnl_cb_run(floor->replies, (size_t)len, floor->sequence,
					    mnl_socket_get_portid(floor->socket), parse_elements,
					    set);
	}
	*ret_len = 0;
	nftnl_set_elem_foreach(set, count_element, ret_len);
	nftnl_set_free(set);
	return more < 0 ? -errno : 0;
}

int floor_nft_get(struct floor_nft *floor, size_t first, size_t len, size_t *ret_len)
{
	floor->len = 0;
	if (len * ELEMENT_ROOM > floor->capacity ||
	    put_elements(floor, NFT_MSG_GETSETELEM, first, len) < len)
		return -EMSGSIZE;
	return request(floor, ret_len);
}

int floor_nft_dump(struct floor_nft *floor, size_t *ret_len)
{
	struct nlmsghdr *message;

	floor->len = 0;
	message = put_nft(floor, NFT_MSG_GETSETELEM, NLM_F_DUMP);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, MAP);
	end_message(floor, message);
	return request(floor, ret_len);
}
