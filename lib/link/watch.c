/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One socket hears of links, addresses and routes of the host and of every namespace that a link of
 * the host leads to: the kernel says by its number which of them a message is about. Nothing is
 * kept there, neither descriptor nor socket, so a namespace ends when it would have ended.
 *
 * A link of ours may be renamed, or lose its alias: from when it is first seen it is known by its
 * index.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netconf.h>
#include <sys/socket.h>

#include "base/netlink.h"
#include "link/private.h"

#define QUEUE (4 << 20)
#define DATAGRAM_MAX 32768
#define DATAGRAMS 1000 /* that are read at once */

struct known_link {
	uint32_t index;
	int32_t peer_namespace; /* -1: none */
	char owner[ALIAS_MAX];  /* what its alias says; "": a bridge that is not marked as ours */
	char name[IFNAMSIZ];    /* by which it was first seen */
};

/* By the number of a namespace. */
enum mark { NAMESPACE_OTHERS, NAMESPACE_OURS, NAMESPACE_TOLD /* since hearing began */ };

struct link_watch {
	int fd;
	VECTOR(struct known_link) links; /* by index */
	VECTOR(uint8_t) namespaces;      /* enum mark */
};

struct hearing {
	struct link_watch *watch;
	link_news_fn news;
	void *data;
	int32_t namespace_; /* that the datagram is about; -1: the host's */
};

/* ---- which are ours ---- */

/* Where it is, or belongs. */
static size_t place_of(const struct link_watch *watch, uint32_t index)
{
	size_t first = 0, end = watch->links.len;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (watch->links.items[middle].index < index)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static struct known_link *find_known(const struct link_watch *watch, uint32_t index)
{
	size_t place = place_of(watch, index);

	if (place == watch->links.len || watch->links.items[place].index != index)
		return NULL;
	return &watch->links.items[place];
}

static struct known_link *add_known(struct link_watch *watch, uint32_t index)
{
	size_t place = place_of(watch, index);
	struct known_link *link;

	if (!vector_push(&watch->links))
		return NULL;
	link = &watch->links.items[place];
	memmove(link + 1, link, (watch->links.len - 1 - place) * sizeof(*link));
	*link = (struct known_link){ .index = index, .peer_namespace = -1 };
	return link;
}

static void forget(struct link_watch *watch, struct known_link *link)
{
	struct known_link *end = watch->links.items + watch->links.len--;

	memmove(link, link + 1, (size_t)(end - link - 1) * sizeof(*link));
}

/* The numbers are the smallest that are free. */
static int mark_namespace(struct link_watch *watch, int32_t number)
{
	size_t place = (size_t)number, len = watch->namespaces.len;

	if (place >= len) {
		if (vector_reserve(&watch->namespaces, place + 1 - len) < 0)
			return -ENOMEM;
		memset(watch->namespaces.items + len, NAMESPACE_OTHERS, place + 1 - len);
		watch->namespaces.len = place + 1;
	}
	watch->namespaces.items[place] = NAMESPACE_OURS;
	return 0;
}

/* What is ours, or may have been taken for a network. 0, -ENOMEM; *ret_link: NULL for others. */
static int learn(struct link_watch *watch, const struct link_info *info,
		 struct known_link **ret_link)
{
	struct known_link *link = find_known(watch, info->interface.index);
	bool marked = strncmp(info->alias, ALIAS_MARK, strlen(ALIAS_MARK)) == 0;

	if (!link && (marked || strcmp(info->kind, "bridge") == 0)) {
		link = add_known(watch, info->interface.index);
		if (!link)
			return -ENOMEM;
		string_copy(link->name, sizeof(link->name), info->interface.name);
	}
	if (link && marked)
		string_copy(link->owner, sizeof(link->owner), info->alias + strlen(ALIAS_MARK));
	/* the end of a namespace takes the number away, and says which one that was */
	*ret_link = link;
	if (!link || info->peer_namespace < 0)
		return 0;
	link->peer_namespace = info->peer_namespace;
	return mark_namespace(watch, info->peer_namespace);
}

static int take_link(void *userdata, const struct nlmsghdr *reply)
{
	struct known_link *link;
	struct link_info info;

	if (!reply || !link_info_parse(reply, &info))
		return 0;
	return learn(userdata, &info, &link);
}

/* ---- what is heard ---- */

static void tell(const struct hearing *hearing, const struct known_link *link)
{
	if (link)
		hearing->news(hearing->data, link->owner, link->name);
}

static void tell_of_namespace(const struct hearing *hearing, int32_t namespace_)
{
	const struct link_watch *watch = hearing->watch;
	size_t place = (size_t)namespace_;

	if (namespace_ < 0 || place >= watch->namespaces.len ||
	    watch->namespaces.items[place] != NAMESPACE_OURS)
		return;
	watch->namespaces.items[place] = NAMESPACE_TOLD;
	for (size_t i = 0; i < watch->links.len; i++)
		if (watch->links.items[i].peer_namespace == namespace_)
			tell(hearing, &watch->links.items[i]);
}

static int hear_link(const struct hearing *hearing, const struct nlmsghdr *message)
{
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	struct known_link *link = NULL;
	struct link_info info;
	int r = 0;

	/* a bridge tells of its ports in a form of its own, and of one that left as if it died */
	if (header->ifi_family != AF_UNSPEC)
		link = find_known(hearing->watch, (uint32_t)header->ifi_index);
	else if (link_info_parse(message, &info))
		r = learn(hearing->watch, &info, &link);
	tell(hearing, link);
	return r;
}

static void hear_link_gone(const struct hearing *hearing, const struct nlmsghdr *message)
{
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	struct known_link *link = find_known(hearing->watch, (uint32_t)header->ifi_index);

	tell(hearing, link);
	if (link && header->ifi_family == AF_UNSPEC)
		forget(hearing->watch, link);
}

/* That attribute of a message, which is a number. */
static bool number_of(const struct nlmsghdr *message, size_t header, uint16_t type,
		      int32_t *ret_number)
{
	const struct nlattr *attribute;

	for_each_between(attribute, mnl_nlmsg_get_payload_offset(message, header),
			 mnl_nlmsg_get_payload_tail(message)) {
		if (attribute_type(attribute) != type ||
		    attribute_payload_len(attribute) < sizeof(*ret_number))
			continue;
		memcpy(ret_number, attribute_payload(attribute), sizeof(*ret_number));
		return true;
	}
	return false;
}

static void hear_setting(const struct hearing *hearing, const struct nlmsghdr *message)
{
	int32_t index;

	if (!number_of(message, sizeof(struct netconfmsg), NETCONFA_IFINDEX, &index))
		return;
	if (index < 0)
		hearing->news(hearing->data, "", "");
	else
		tell(hearing, find_known(hearing->watch, (uint32_t)index));
}

static size_t header_of(uint16_t type)
{
	switch (type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return sizeof(struct ifinfomsg);
	case RTM_DELADDR:
		return sizeof(struct ifaddrmsg);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return sizeof(struct rtmsg);
	case RTM_NEWNETCONF:
		return sizeof(struct netconfmsg);
	case RTM_DELNSID:
		return sizeof(struct rtgenmsg);
	default:
		return SIZE_MAX;
	}
}

/* What comes is no harm, but for a default route that takes the place of another. */
static bool is_harmless(const struct nlmsghdr *message)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(message);

	return message->nlmsg_type == RTM_NEWROUTE && route->rtm_dst_len;
}

static int hear_of_host(const struct hearing *hearing, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *address = mnl_nlmsg_get_payload(message);
	int32_t number;

	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
		return hear_link(hearing, message);
	case RTM_DELLINK:
		hear_link_gone(hearing, message);
		break;
	case RTM_DELADDR:
		tell(hearing, find_known(hearing->watch, address->ifa_index));
		break;
	case RTM_DELROUTE:
		if (number_of(message, sizeof(struct rtmsg), RTA_OIF, &number))
			tell(hearing, find_known(hearing->watch, (uint32_t)number));
		break;
	case RTM_NEWNETCONF:
		hear_setting(hearing, message);
		break;
	case RTM_DELNSID:
		if (number_of(message, sizeof(struct rtgenmsg), NETNSA_NSID, &number))
			tell_of_namespace(hearing, number);
		break;
	}
	return 0;
}

static int hear_message(const struct nlmsghdr *message, const struct hearing *hearing)
{
	size_t header = header_of(message->nlmsg_type);

	if (header == SIZE_MAX || mnl_nlmsg_get_payload_len(message) < NLMSG_ALIGN(header) ||
	    is_harmless(message))
		return 0;
	if (hearing->namespace_ < 0)
		return hear_of_host(hearing, message);
	tell_of_namespace(hearing, hearing->namespace_);
	return 0;
}

/* ---- the socket ---- */

static const int groups[] = {
	RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR,  RTNLGRP_IPV6_IFADDR,  RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_NSID,
};

/* Groups that a kernel lacks have nothing to tell. */
static int open_socket(void)
{
	int on = 1, queue = QUEUE, fd = netlink_open_listener(NETLINK_ROUTE);

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof(queue)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue));
	setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on));
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]));
	return fd;
}

/* The length of the next datagram, 0 for one that is passed over, or -errno. */
static ssize_t receive(const struct link_watch *watch, void *buffer, size_t size,
		       int32_t *ret_namespace)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int)) * 2];
	struct sockaddr_nl sender = { 0 };
	struct iovec part = { buffer, size };
	struct msghdr datagram = {
		.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len = recvmsg(watch->fd, &datagram, 0);
	struct cmsghdr *item;

	if (len < 0)
		return errno == EINTR ? 0 : -errno;
	*ret_namespace = -1;
	for (item = CMSG_FIRSTHDR(&datagram); item; item = CMSG_NXTHDR(&datagram, item))
		if (item->cmsg_level == SOL_NETLINK && item->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			memcpy(ret_namespace, CMSG_DATA(item), sizeof(*ret_namespace));
	return sender.nl_pid || datagram.msg_flags & MSG_TRUNC ? 0 : len;
}

int link_watch_hear(struct link_watch *watch, link_news_fn news, void *data)
{
	_Alignas(struct nlmsghdr) char buffer[DATAGRAM_MAX];
	struct hearing hearing = { watch, news, data, -1 };
	int r = 0, lost = 0;

	for (size_t i = 0; i < watch->namespaces.len; i++)
		if (watch->namespaces.items[i] == NAMESPACE_TOLD)
			watch->namespaces.items[i] = NAMESPACE_OURS;
	for (int i = 0; i < DATAGRAMS && r == 0; i++) {
		ssize_t len = receive(watch, buffer, sizeof(buffer), &hearing.namespace_);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;
		int left = (int)len;

		if (len == -EAGAIN)
			break;
		/* what had been queued before comes still */
		if (len == -ENOBUFS)
			lost = -ENOBUFS;
		else if (len < 0)
			return (int)len;
		for (; r == 0 && left > 0 && netlink_message_fits(message, left);
		     message = mnl_nlmsg_next(message, &left))
			r = hear_message(message, &hearing);
	}
	return r < 0 ? r : lost;
}

int link_watch_fd(const struct link_watch *watch)
{
	return watch->fd;
}

void link_watch_close(struct link_watch *watch)
{
	if (!watch)
		return;
	cleanup_close(&watch->fd);
	free(watch->links.items);
	free(watch->namespaces.items);
	free(watch);
}

/* What is there already; it is heard of from before it is asked for. */
int link_watch_learn(struct link_watch *watch, struct link_handle *handle, struct error *error)
{
	int r = links_dump_kind(handle, "veth", take_link, watch, error);

	return r < 0 ? r : links_dump_kind(handle, "bridge", take_link, watch, error);
}

int link_watch_open(struct link_handle *handle, struct link_watch **ret_watch, struct error *error)
{
	struct link_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return error_oom(error);
	r = watch->fd = open_socket();
	if (r < 0)
		error_set(error, r, error_reason(-r, BN_REASON_KERNEL),
			  "cannot listen to changes of the host's links: %s", errno_text(-r));
	else
		r = link_watch_learn(watch, handle, error);
	if (r < 0) {
		link_watch_close(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}
