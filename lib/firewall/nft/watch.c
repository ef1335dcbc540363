/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who changes a rule set tells all that listen, one message for each object and in the end one that
 * says who it was. Two sockets hear that. One lets pass, by a filter in the kernel, only what is
 * about tables of our name, so that others may commit as fast as they can without waking anybody;
 * the other hears the last message of each commit, and is read now and then. Both have tiny
 * buffers, and no errors for what does not fit: what is heard says that there is something to look
 * at, not what it is.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "firewall/nft/nft.h"

#define QUEUE 4096         /* of a socket, which the kernel doubles */
#define FILTER_MESSAGES 60 /* of a datagram: with more of them it is let pass */
#define FILTER_PER_MESSAGE 24
#define FILTER_MAX (FILTER_MESSAGES * FILTER_PER_MESSAGE + 8)
#define DATAGRAM_HEAD 512 /* as much of one as is read */

struct nft_watch {
	struct firewall_watch base;
	uint32_t port; /* of who changed our table last; 0: not heard */
};

struct filter {
	struct sock_filter steps[FILTER_MAX];
	unsigned short len;
};

static void step(struct filter *filter, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	filter->steps[filter->len++] = (struct sock_filter){ code, jt, jf, k };
}

/* Lengths and types are in the order of the host, which the filter reads as that of the network. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LENGTH_HIGH 1
#define LENGTH_LOW 0
#define HOST16(value) ((uint32_t)((value) << 8 & 0xff00) | ((value) >> 8 & 0xff))
#else
#define LENGTH_HIGH 2
#define LENGTH_LOW 3
#define HOST16(value) (value)
#endif

/* The name of the table is the first attribute of every message about what a table has. */
#define NAME_PLACE (sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg) + sizeof(struct nlattr))
_Static_assert(sizeof(NFT_TABLE) == 10, "the filter compares ten bytes");
#define TEXT4(text)                                                                         \
	((uint32_t)(text)[0] << 24 | (uint32_t)(text)[1] << 16 | (uint32_t)(text)[2] << 8 | \
	 (uint32_t)(text)[3])

/* X is where the message begins; to read past the end is to be done, and to be let pass no more. */
static void filter_message(struct filter *filter)
{
	static const char name[] = NFT_TABLE;

	step(filter, BPF_LD | BPF_W | BPF_IND, NAME_PLACE, 0, 0);
	step(filter, BPF_JMP | BPF_JEQ | BPF_K, TEXT4(name), 0, 5);
	step(filter, BPF_LD | BPF_W | BPF_IND, NAME_PLACE + 4, 0, 0);
	step(filter, BPF_JMP | BPF_JEQ | BPF_K, TEXT4(name + 4), 0, 3);
	step(filter, BPF_LD | BPF_H | BPF_IND, NAME_PLACE + 8, 0, 0);
	step(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)name[8] << 8, 0, 1);
	step(filter, BPF_RET | BPF_K, UINT32_MAX, 0, 0);
	/* X += the length, up to the next boundary */
	step(filter, BPF_LD | BPF_B | BPF_IND, LENGTH_HIGH, 0, 0);
	step(filter, BPF_ALU | BPF_LSH | BPF_K, 8, 0, 0);
	step(filter, BPF_ST, 0, 0, 0);
	step(filter, BPF_LD | BPF_B | BPF_IND, LENGTH_LOW, 0, 0);
	step(filter, BPF_ST, 1, 0, 0);
	step(filter, BPF_STX, 2, 0, 0);
	step(filter, BPF_LDX | BPF_MEM, 0, 0, 0);
	step(filter, BPF_LD | BPF_MEM, 1, 0, 0);
	step(filter, BPF_ALU | BPF_OR | BPF_X, 0, 0, 0);
	step(filter, BPF_ALU | BPF_ADD | BPF_K, 3, 0, 0);
	step(filter, BPF_ALU | BPF_AND | BPF_K, ~3u, 0, 0);
	step(filter, BPF_LDX | BPF_MEM, 2, 0, 0);
	step(filter, BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0);
	step(filter, BPF_MISC | BPF_TAX, 0, 0, 0);
}

static void filter_of_table(struct filter *filter)
{
	step(filter, BPF_LDX | BPF_IMM, 0, 0, 0);
	for (size_t i = 0; i < FILTER_MESSAGES; i++)
		filter_message(filter);
	step(filter, BPF_RET | BPF_K, UINT32_MAX, 0, 0);
}

#define TYPE_OF(type) HOST16(NFNL_SUBSYS_NFTABLES << 8 | (type))

static void filter_of_ends(struct filter *filter)
{
	step(filter, BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type), 0, 0);
	step(filter, BPF_JMP | BPF_JEQ | BPF_K, TYPE_OF(NFT_MSG_NEWGEN), 0, 1);
	step(filter, BPF_RET | BPF_K, UINT32_MAX, 0, 0);
	step(filter, BPF_RET | BPF_K, 0, 0, 0);
}

/* A descriptor, or -errno. */
static int listen_with(void (*make)(struct filter *filter))
{
	int group = NFNLGRP_NFTABLES, queue = QUEUE, on = 1;
	CLEANUP_CLOSE int fd = netlink_open_listener(NETLINK_NETFILTER);
	struct filter filter = { .len = 0 };
	struct sock_fprog program;

	if (fd < 0)
		return fd;
	make(&filter);
	program = (struct sock_fprog){ filter.len, filter.steps };
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return take_fd(&fd);
}

void nft_unwatch(struct firewall_watch *watch)
{
	if (!watch)
		return;
	cleanup_close(&watch->ours);
	cleanup_close(&watch->others);
	free(watch);
}

int nft_watch(struct firewall *firewall, struct firewall_watch **ret_watch, struct error *error)
{
	struct nft_watch *watch = calloc(1, sizeof(*watch));
	int r;

	(void)firewall;
	if (!watch)
		return error_oom(error);
	watch->base = (struct firewall_watch){ &nft_backend, -1, -1 };
	r = watch->base.ours = listen_with(filter_of_table);
	if (r >= 0)
		r = watch->base.others = listen_with(filter_of_ends);
	if (r < 0) {
		nft_unwatch(&watch->base);
		return error_set(error, r, error_reason(-r, BN_REASON_KERNEL),
				 "cannot listen to changes of the nftables rules: %s",
				 errno_text(-r));
	}
	*ret_watch = &watch->base;
	return 0;
}

/* The beginning of the next datagram of the kernel's: NULL without one. */
static const struct nlmsghdr *next_message(int fd, void *buffer)
{
	for (;;) {
		struct sockaddr_nl sender = { 0 };
		socklen_t size = sizeof(sender);
		ssize_t len =
			recvfrom(fd, buffer, DATAGRAM_HEAD, 0, (struct sockaddr *)&sender, &size);

		if (len < 0 && errno != EINTR && errno != ENOBUFS)
			return NULL;
		if (len >= (ssize_t)sizeof(struct nlmsghdr) && sender.nl_pid == 0)
			return buffer;
	}
}

static void read_program(const struct nlmsghdr *message, char program[static FIREWALL_PROGRAM_MAX])
{
	const struct nlattr *attributes[NFTA_GEN_MAX + 1], *name;

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)) ||
	    message->nlmsg_len > DATAGRAM_HEAD)
		return;
	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_GEN_MAX);
	name = attributes[NFTA_GEN_PROC_NAME];
	if (name && mnl_attr_validate(name, MNL_TYPE_NUL_STRING) == 0)
		string_copy(program, FIREWALL_PROGRAM_MAX, mnl_attr_get_str(name));
}

void nft_hear(struct firewall_watch *base, struct firewall *firewall,
	      struct firewall_news *ret_news)
{
	_Alignas(struct nlmsghdr) char buffer[DATAGRAM_HEAD];
	struct nft_watch *watch = (struct nft_watch *)base;
	char program[FIREWALL_PROGRAM_MAX] = "";
	const struct nlmsghdr *message;

	(void)firewall;
	*ret_news = (struct firewall_news){ 0 };
	while ((message = next_message(base->ours, buffer))) {
		ret_news->ours = true;
		watch->port = message->nlmsg_pid;
	}
	while ((message = next_message(base->others, buffer))) {
		ret_news->others = true;
		read_program(message, program);
		/* all messages of a commit have the number of the socket that it came by */
		if (message->nlmsg_pid == watch->port)
			string_copy(ret_news->program, sizeof(ret_news->program), program);
	}
	if (!watch->port)
		string_copy(ret_news->program, sizeof(ret_news->program), program);
	if (ret_news->program[0])
		watch->port = 0;
}

int nft_stands(struct firewall_watch *watch, struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_base_state state = { 0 };
	struct nft_reply reply = { 0 };
	int r = -ERESTART;

	(void)watch;
	for (int i = 0; i < NFT_ATTEMPTS && r == -ERESTART; i++) {
		nft_base_state_clear(&state);
		r = nft_base_look(nft, false, &state, &reply);
	}
	if (r == 0)
		r = nft_base_is_whole(&state);
	else
		r = nft_error(error, r, &reply, "read the nftables rules");
	nft_base_state_clear(&state);
	return r;
}
