/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What namespaces have of interfaces, addresses, routes and rules, by one socket each: four dumps are as
 * quick as the two that getifaddrs() takes and the files of routes together, and no process runs.
 *
 * The table of an interface is named after that one, whose index is another each time.
 */
#include "look.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

#define LINKS_MAX 64
#define TABLES_MAX 64
#define TABLE_OURS 0x62000000u

static struct view {
	struct lines *lines;
	const char *name;
	bool is_sandbox;
	struct link {
		unsigned int index;
		bool is_seen; /* it is up, and not lo */
		char name[IFNAMSIZ];
	} links[LINKS_MAX];
	size_t links_len;
	/* by whose interface the default route of a table goes */
	struct table {
		int family;
		uint32_t number;
		const char *by;
	} tables[TABLES_MAX];
	size_t tables_len;
} inside;

typedef void (*take_fn)(const struct nlmsghdr *message);

static void dump(int fd, int type, take_fn take)
{
	struct {
		struct nlmsghdr header;
		char body[32];
	} request = { { sizeof(request), (uint16_t)type, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, "" };
	static char reply[64 * 1024] __attribute__((aligned(NLMSG_ALIGNTO)));

	if (type == RTM_GETLINK) {
		struct rtattr *mask = (struct rtattr *)(request.body + sizeof(struct ifinfomsg));
		const uint32_t no_numbers = RTEXT_FILTER_SKIP_STATS;

		mask->rta_type = IFLA_EXT_MASK;
		mask->rta_len = RTA_LENGTH(sizeof(no_numbers));
		memcpy(RTA_DATA(mask), &no_numbers, sizeof(no_numbers));
		request.header.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)) + mask->rta_len;
	}
	if (send(fd, &request, request.header.nlmsg_len, 0) < 0)
		abort();
	for (;;) {
		ssize_t len = recv(fd, reply, sizeof(reply), 0);

		if (len <= 0)
			abort();
		for (struct nlmsghdr *message = (struct nlmsghdr *)reply; NLMSG_OK(message, len);
		     message = NLMSG_NEXT(message, len)) {
			if (message->nlmsg_type == NLMSG_ERROR)
				abort();
			if (message->nlmsg_type == NLMSG_DONE)
				return;
			take(message);
		}
	}
}

/* Of a message whose own header has that size, or of another attribute. */
static void parse(const struct rtattr *attr, size_t len, int max, const struct rtattr *attrs[])
{
	memset(attrs, 0, sizeof(*attrs) * (size_t)(max + 1));
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len))
		if ((attr->rta_type & NLA_TYPE_MASK) <= max)
			attrs[attr->rta_type & NLA_TYPE_MASK] = attr;
}

static void parse_message(const struct nlmsghdr *message, size_t header, int max,
			  const struct rtattr *attrs[])
{
	const char *first = (const char *)NLMSG_DATA(message) + NLMSG_ALIGN(header);

	parse((const struct rtattr *)first, message->nlmsg_len - NLMSG_SPACE(header), max, attrs);
}

static uint32_t number(const struct rtattr *attr, uint32_t otherwise)
{
	return attr ? *(const uint32_t *)RTA_DATA(attr) : otherwise;
}

static const char *address_text(int family, const struct rtattr *attr, char text[static 64])
{
	if (!attr || !inet_ntop(family, RTA_DATA(attr), text, 64))
		strcpy(text, family == AF_INET ? "0.0.0.0" : "::");
	return text;
}

/* ---- interfaces ---- */

/* One of those that the kernel numbers from 0 on for IPv6, and from 1 on for IPv4. */
static int conf(const struct rtattr *list, size_t i)
{
	return list && RTA_PAYLOAD(list) >= (i + 1) * 4 ? ((const int *)RTA_DATA(list))[i] : -1;
}

static void add_settings(const struct rtattr *families, const char *name)
{
	const struct rtattr *by_family[AF_INET6 + 1],
		*ipv4[IFLA_INET_CONF + 1] = { 0 }, *ipv6[IFLA_INET6_CONF + 1] = { 0 };

	parse(RTA_DATA(families), RTA_PAYLOAD(families), AF_INET6, by_family);
	if (by_family[AF_INET])
		parse(RTA_DATA(by_family[AF_INET]), RTA_PAYLOAD(by_family[AF_INET]), IFLA_INET_CONF,
		      ipv4);
	if (by_family[AF_INET6])
		parse(RTA_DATA(by_family[AF_INET6]), RTA_PAYLOAD(by_family[AF_INET6]),
		      IFLA_INET6_CONF, ipv6);
	look_add(inside.lines,
		 "%s settings %s ignore_routes_with_linkdown %d %d disable_ipv6 %d accept_ra %d",
		 inside.name, name,
		 conf(ipv4[IFLA_INET_CONF], IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN - 1),
		 conf(ipv6[IFLA_INET6_CONF], DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN),
		 conf(ipv6[IFLA_INET6_CONF], DEVCONF_DISABLE_IPV6),
		 conf(ipv6[IFLA_INET6_CONF], DEVCONF_ACCEPT_RA));
}

static void take_link(const struct nlmsghdr *message)
{
	const struct ifinfomsg *header = NLMSG_DATA(message);
	struct link *link = &inside.links[inside.links_len++];
	const struct rtattr *attrs[IFLA_AF_SPEC + 1];

	if (inside.links_len == LINKS_MAX)
		abort();
	parse_message(message, sizeof(*header), IFLA_AF_SPEC, attrs);
	link->index = (unsigned int)header->ifi_index;
	link->is_seen = header->ifi_flags & IFF_UP && !(header->ifi_flags & IFF_LOOPBACK);
	snprintf(link->name, sizeof(link->name), "%s", (const char *)RTA_DATA(attrs[IFLA_IFNAME]));
	if (inside.is_sandbox && attrs[IFLA_AF_SPEC] && !(header->ifi_flags & IFF_LOOPBACK))
		add_settings(attrs[IFLA_AF_SPEC], link->name);
}

static const struct link *link_of(unsigned int index)
{
	static const struct link none = { 0, true, "-" };

	for (size_t i = 0; i < inside.links_len; i++)
		if (inside.links[i].index == index)
			return &inside.links[i];
	return &none;
}

static void take_address(const struct nlmsghdr *message)
{
	const struct ifaddrmsg *header = NLMSG_DATA(message);
	const struct link *link = link_of(header->ifa_index);
	const struct rtattr *attrs[IFA_LOCAL + 1];
	char text[64];

	parse_message(message, sizeof(*header), IFA_LOCAL, attrs);
	address_text(header->ifa_family, attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS],
		     text);
	/* the kernel's own come when there is a carrier */
	if (link->is_seen && strncmp(text, "fe80:", 5) != 0)
		look_add(inside.lines, "%s address %s %s/%d", inside.name, link->name, text,
			 header->ifa_prefixlen);
}

/* ---- routes, and the rules that say by which of them ---- */

static const char *table_text(int family, uint32_t table, char text[static 64])
{
	static const char *const names[] = { "default", "main", "local" };
	const char *by = "nothing";

	if (table >= RT_TABLE_DEFAULT && table <= RT_TABLE_LOCAL) {
		strcpy(text, names[table - RT_TABLE_DEFAULT]);
	} else if (table >= TABLE_OURS) {
		for (size_t i = 0; i < inside.tables_len; i++)
			if (inside.tables[i].number == table && inside.tables[i].family == family)
				by = inside.tables[i].by;
		snprintf(text, 64, "that-of-%s", by);
	} else {
		snprintf(text, 64, "%u", table);
	}
	return text;
}

static void note_table(int family, uint32_t number, const char *by)
{
	if (inside.tables_len == TABLES_MAX)
		abort();
	inside.tables[inside.tables_len++] = (struct table){ family, number, by };
}

static void take_route(const struct nlmsghdr *message)
{
	const struct rtmsg *header = NLMSG_DATA(message);
	const struct rtattr *attrs[RTA_TABLE + 1];
	char to[64], by[64], table_name[64];
	const struct link *link;
	uint32_t table;

	if (header->rtm_family != AF_INET && header->rtm_family != AF_INET6)
		return;
	parse_message(message, sizeof(*header), RTA_TABLE, attrs);
	table = number(attrs[RTA_TABLE], header->rtm_table);
	link = link_of(number(attrs[RTA_OIF], 0));
	address_text(header->rtm_family, attrs[RTA_DST], to);
	if (table >= TABLE_OURS && !header->rtm_dst_len)
		note_table(header->rtm_family, table, link->name);
	/* what the kernel adds by itself comes when there is a carrier, too */
	if (table == RT_TABLE_LOCAL || strncmp(to, "fe80:", 5) == 0)
		return;
	look_add(inside.lines, "%s route %s to %s/%d by %s metric %u protocol %d in %s",
		 inside.name, link->name, to, header->rtm_dst_len,
		 address_text(header->rtm_family, attrs[RTA_GATEWAY], by),
		 number(attrs[RTA_PRIORITY], 0), header->rtm_protocol,
		 table_text(header->rtm_family, table, table_name));
}

/* Those of our own; the letter keeps a priority from being taken for what is random. */
static void take_rule(const struct nlmsghdr *message)
{
	const struct fib_rule_hdr *header = NLMSG_DATA(message);
	const struct rtattr *attrs[FRA_MAX + 1];
	uint32_t table, priority;
	char from[64], name[64];

	if (header->family != AF_INET && header->family != AF_INET6)
		return;
	parse_message(message, sizeof(*header), FRA_MAX, attrs);
	table = number(attrs[FRA_TABLE], header->table);
	priority = number(attrs[FRA_PRIORITY], 0);
	look_add(inside.lines, "%s rule IPv%d n%u from %s/%d table %s suppress %d protocol %d",
		 inside.name, header->family == AF_INET ? 4 : 6, priority,
		 address_text(header->family, attrs[FRA_SRC], from), header->src_len,
		 table_text(header->family, table, name),
		 (int)number(attrs[FRA_SUPPRESS_PREFIXLEN], UINT32_MAX),
		 attrs[FRA_PROTOCOL] ? *(const uint8_t *)RTA_DATA(attrs[FRA_PROTOCOL]) : 0);
}

static void look_inside(struct lines *lines, const char *name, bool is_sandbox)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	inside = (struct view){ .lines = lines, .name = name, .is_sandbox = is_sandbox };
	if (fd < 0)
		abort();
	dump(fd, RTM_GETLINK, take_link);
	dump(fd, RTM_GETADDR, take_address);
	dump(fd, RTM_GETROUTE, take_route);
	dump(fd, RTM_GETRULE, take_rule);
	close(fd);
}

void look_namespaces(struct lines *lines)
{
	int host = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	look_inside(lines, "host", false);
	for (size_t i = 0; i < SANDBOXES; i++) {
		int fd = open(sandbox_path(i), O_RDONLY | O_CLOEXEC);

		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
			abort();
		close(fd);
		look_inside(lines, strrchr(sandbox_path(i), '/') + 1, true);
	}
	if (setns(host, CLONE_NEWNET) < 0)
		abort();
	close(host);
}
