/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "floor.h"

struct nlmsghdr *floor_put_message(struct floor_batch *batch, int type, int flags,
				   const void *header, size_t len)
{
	struct nlmsghdr *message = (struct nlmsghdr *)(batch->buffer + batch->len);

	memset(message, 0, NLMSG_SPACE(len));
	message->nlmsg_len = (uint32_t)NLMSG_SPACE(len);
	message->nlmsg_type = (uint16_t)type;
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	message->nlmsg_seq = ++batch->messages;
	memcpy(NLMSG_DATA(message), header, len);
	batch->len += message->nlmsg_len;
	return message;
}

struct nlmsghdr *floor_put_link(struct floor_batch *batch, int type, int flags, int index)
{
	struct ifinfomsg header = { .ifi_index = index };

	return floor_put_message(batch, type, flags, &header, sizeof(header));
}

/* The last message of the batch grows with it. */
static struct nlmsghdr *last_message(struct floor_batch *batch)
{
	char *at = batch->buffer;

	while (at + ((struct nlmsghdr *)at)->nlmsg_len < batch->buffer + batch->len)
		at += ((struct nlmsghdr *)at)->nlmsg_len;
	return (struct nlmsghdr *)at;
}

void *floor_put(struct floor_batch *batch, int attribute, const void *data, size_t len)
{
	struct nlmsghdr *message = last_message(batch);
	struct rtattr *attr = (struct rtattr *)(batch->buffer + batch->len);

	memset(attr, 0, RTA_SPACE(len));
	attr->rta_type = (uint16_t)attribute;
	attr->rta_len = (uint16_t)RTA_LENGTH(len);
	if (len > 0)
		memcpy(RTA_DATA(attr), data, len);
	message->nlmsg_len += (uint32_t)RTA_SPACE(len);
	batch->len += RTA_SPACE(len);
	return attr;
}

void floor_end_nest(struct floor_batch *batch, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)(batch->buffer + batch->len - (char *)nest);
}

int floor_link_number(struct nlmsghdr *message, int attribute)
{
	char *at = (char *)NLMSG_DATA(message) + sizeof(struct ifinfomsg);

	while (at < (char *)message + message->nlmsg_len) {
		struct rtattr *attr = (struct rtattr *)at;

		if (attr->rta_type == attribute)
			return *(int *)RTA_DATA(attr);
		at += RTA_ALIGN(attr->rta_len);
	}
	return 0;
}

int floor_run(int fd, struct floor_batch *batch, int *index)
{
	_Alignas(struct nlmsghdr) char buffer[16384];
	uint32_t open = batch->messages;
	int result = 0;

	if (send(fd, batch->buffer, batch->len, 0) < 0)
		return -errno;
	while (open > 0) {
		ssize_t received = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *message;

		if (received < 0)
			return -errno;
		for (char *at = buffer; at < buffer + received;
		     at += NLMSG_ALIGN(message->nlmsg_len)) {
			struct nlmsgerr *answer;

			message = (struct nlmsghdr *)at;
			answer = NLMSG_DATA(message);
			if (message->nlmsg_type == RTM_NEWLINK && index)
				*index = floor_link_number(message, IFLA_LINK);
			if (message->nlmsg_type != NLMSG_ERROR)
				continue;
			open--;
			if (answer->error && !result)
				result = answer->error;
		}
	}
	return result;
}

static int open_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), on = 1;

	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return fd;
}

static void set_up(struct nlmsghdr *message)
{
	struct ifinfomsg *header = NLMSG_DATA(message);

	header->ifi_flags = header->ifi_change = IFF_UP;
}

static void put_no_addr_gen(struct floor_batch *batch)
{
	uint8_t none = IN6_ADDR_GEN_MODE_NONE;
	struct rtattr *families = floor_put(batch, IFLA_AF_SPEC, NULL, 0);
	struct rtattr *ipv6 = floor_put(batch, AF_INET6, NULL, 0);

	floor_put(batch, IFLA_INET6_ADDR_GEN_MODE, &none, 1);
	floor_end_nest(batch, ipv6);
	floor_end_nest(batch, families);
}

static void put_end(struct floor_batch *batch, const char *name)
{
	uint32_t mtu = 1500, one = 1;

	floor_put(batch, IFLA_IFNAME, name, strlen(name) + 1);
	floor_put(batch, IFLA_MTU, &mtu, 4);
	floor_put(batch, IFLA_NUM_TX_QUEUES, &one, 4);
	floor_put(batch, IFLA_NUM_RX_QUEUES, &one, 4);
}

int floor_link_open(struct floor_link *floor)
{
	struct floor_batch batch = { .len = 0 };
	struct rtattr *info;
	int r;

	floor->fd = open_socket();
	floor->own_namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (floor->fd < 0 || floor->own_namespace < 0)
		return -errno;
	set_up(floor_put_link(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0));
	floor_put(&batch, IFLA_IFNAME, "floor0", 7);
	info = floor_put(&batch, IFLA_LINKINFO, NULL, 0);
	floor_put(&batch, IFLA_INFO_KIND, "bridge", 7);
	floor_end_nest(&batch, info);
	r = floor_run(floor->fd, &batch, NULL);
	floor->bridge = (int)if_nametoindex("floor0");
	return r;
}

void floor_link_close(struct floor_link *floor)
{
	close(floor->fd);
	close(floor->own_namespace);
}

static void put_pair(struct floor_batch *batch, const char *name, unsigned int n, int sandbox)
{
	const uint8_t mac[] = { 2, 0x42, 10, 250, (uint8_t)(n >> 8), (uint8_t)n };
	struct ifinfomsg peer = { .ifi_family = AF_UNSPEC };
	struct rtattr *info, *data, *nest;
	uint32_t fd = (uint32_t)sandbox;

	floor_put_link(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, 0);
	put_end(batch, name);
	info = floor_put(batch, IFLA_LINKINFO, NULL, 0);
	floor_put(batch, IFLA_INFO_KIND, "veth", 5);
	data = floor_put(batch, IFLA_INFO_DATA, NULL, 0);
	nest = floor_put(batch, VETH_INFO_PEER, &peer, sizeof(peer));
	put_end(batch, name);
	floor_put(batch, IFLA_ADDRESS, mac, sizeof(mac));
	floor_put(batch, IFLA_NET_NS_FD, &fd, 4);
	floor_end_nest(batch, nest);
	floor_end_nest(batch, data);
	floor_end_nest(batch, info);
}

static void put_inside(struct floor_batch *batch, int index, unsigned int n)
{
	const uint8_t address[] = { 10, 250, (uint8_t)(n >> 8), (uint8_t)n };
	const uint8_t broadcast[] = { 10, 250, 255, 255 }, gateway[] = { 10, 250, 255, 254 };
	struct ifaddrmsg header = { AF_INET, 16, 0, RT_SCOPE_UNIVERSE, (uint32_t)index };
	struct rtmsg route = {
		.rtm_family = AF_INET,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_type = RTN_UNICAST,
	};

	set_up(floor_put_link(batch, RTM_NEWLINK, 0, 1));
	floor_put_link(batch, RTM_NEWLINK, 0, index);
	put_no_addr_gen(batch);
	floor_put_message(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	floor_put(batch, IFA_LOCAL, address, 4);
	floor_put(batch, IFA_ADDRESS, address, 4);
	floor_put(batch, IFA_BROADCAST, broadcast, 4);
	set_up(floor_put_link(batch, RTM_NEWLINK, 0, index));
	floor_put_message(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof(route));
	floor_put(batch, RTA_GATEWAY, gateway, 4);
	floor_put(batch, RTA_OIF, &index, 4);
}

/* Of the host's address nothing is known here: the way is enough. */
static void put_inside_ipv6(struct floor_batch *batch, int index, unsigned int n)
{
	const uint8_t address[16] = { 0xfd, 0, 2, 0x50, [14] = (uint8_t)(n >> 8), (uint8_t)n };
	const uint8_t gateway[16] = { 0xfd, 0, 2, 0x50, [14] = 255, 254 };
	struct ifaddrmsg header = { AF_INET6, 64, IFA_F_NODAD, RT_SCOPE_UNIVERSE, (uint32_t)index };
	struct rtmsg route = {
		.rtm_family = AF_INET6,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_type = RTN_UNICAST,
	};

	floor_put_message(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	floor_put(batch, IFA_LOCAL, address, sizeof(address));
	floor_put(batch, IFA_ADDRESS, address, sizeof(address));
	floor_put_message(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof(route));
	floor_put(batch, RTA_GATEWAY, gateway, sizeof(gateway));
	floor_put(batch, RTA_OIF, &index, 4);
}

int floor_attach(struct floor_link *floor, int sandbox, unsigned int n)
{
	struct floor_batch host = { .len = 0 }, inside = { .len = 0 };
	char name[IFNAMSIZ];
	int index = 0, fd, r;

	snprintf(name, sizeof(name), "floor%u", n % 100000 + 1);
	put_pair(&host, name, n + 1, sandbox);
	set_up(floor_put_link(&host, RTM_NEWLINK, 0, 0));
	floor_put(&host, IFLA_IFNAME, name, strlen(name) + 1);
	floor_put(&host, IFLA_IFALIAS, "floor", 6);
	floor_put(&host, IFLA_MASTER, &floor->bridge, 4);
	put_no_addr_gen(&host);
	r = floor_run(floor->fd, &host, &index);
	if (r < 0)
		return r;
	if (setns(sandbox, CLONE_NEWNET) < 0)
		return -errno;
	fd = open_socket();
	if (setns(floor->own_namespace, CLONE_NEWNET) < 0)
		return -errno;
	/* Before Linux 6.2 there is no echo; in a fresh namespace it is the second. */
	put_inside(&inside, index ? index : 2, n + 1);
	if (floor->dual)
		put_inside_ipv6(&inside, index ? index : 2, n + 1);
	r = floor_run(fd, &inside, NULL);
	close(fd);
	return r;
}

double floor_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int floor_sandbox(void)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd = -1;

	if (unshare(CLONE_NEWNET) == 0)
		fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	close(own);
	return fd;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void floor_report(const char *what, double *values, size_t len)
{
	qsort(values, len, sizeof(*values), compare);
	printf("%-40s p10 %9.1f us   p50 %9.1f us\n", what, values[len / 10], values[len / 2]);
}

#ifdef FLOOR_MAIN
#define WARM_UP 10
#define RUNS 90

int main(void)
{
	struct floor_link floor;
	double values[RUNS];
	int r;

	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return 1;
	}
	r = floor_link_open(&floor);
	for (unsigned int n = 0; r == 0 && n < WARM_UP + RUNS; n++) {
		int sandbox = floor_sandbox();
		double start = floor_now();

		r = floor_attach(&floor, sandbox, n);
		if (n >= WARM_UP)
			values[n - WARM_UP] = floor_now() - start;
		/* the sandbox stays, with what is in it, until the end */
	}
	if (r < 0) {
		fprintf(stderr, "attach: %s\n", strerror(-r));
		return 1;
	}
	floor_report("attach, bare netlink", values, RUNS);
	floor_link_close(&floor);
	return 0;
}
#endif
