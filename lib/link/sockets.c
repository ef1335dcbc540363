/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <unistd.h>

#include "link/private.h"

/* States of TCP, as the kernel numbers them. */
#define STATE_SYN_RECEIVED 3
#define STATE_TIME_WAIT 6
#define STATE_CLOSE 7
#define STATE_LISTEN 10
#define STATE_NEW_SYN_RECEIVED 12
#define STATE_BOUND_INACTIVE 13
/* Everything that holds a port for long, bound but idle sockets among it (Linux 6.8). */
#define STATES_BOUND \
	(~(1u << STATE_SYN_RECEIVED | 1u << STATE_TIME_WAIT | 1u << STATE_NEW_SYN_RECEIVED))

#define SHUT_BIT_READ 0x1 /* RCV_SHUTDOWN, in what the kernel says of a socket */

#define LINKS_MAX 200000 /* descriptors looked at before giving up */

static const struct socket_ports every_port;

static struct socket_ports one_port(uint16_t port)
{
	return (struct socket_ports){ .first = port, .last = port };
}

static uint32_t states_of(uint8_t protocol, struct socket_ports ports)
{
	if (ports.listening && protocol == IPPROTO_TCP)
		return 1u << STATE_LISTEN;
	return STATES_BOUND | (ports.first ? 1u << STATE_TIME_WAIT : 0);
}

struct socket_walk {
	uint8_t protocol;
	socket_fn function;
	void *userdata;
};

/* A socket of UDP is in one of two of them. */
static bool is_connected(uint8_t state)
{
	return state != STATE_CLOSE && state != STATE_LISTEN && state != STATE_BOUND_INACTIVE;
}

/* 0 if the kernel does not say. */
static uint8_t read_byte(const struct nlmsghdr *reply, int type)
{
	const struct nlattr *attribute =
		nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct inet_diag_msg), type);

	return attribute && nla_len(attribute) > 0 ? *(const uint8_t *)nla_data(attribute) : 0;
}

/* One of UDP that was shut down takes nothing: hostport_hold() does that to those of ours. */
static bool listens(const struct nlmsghdr *reply, uint8_t protocol)
{
	const struct inet_diag_msg *message = nlmsg_data(reply);

	if (protocol == IPPROTO_TCP)
		return message->idiag_state == STATE_LISTEN;
	return message->idiag_state == STATE_CLOSE &&
	       !(read_byte(reply, INET_DIAG_SHUTDOWN) & SHUT_BIT_READ);
}

static int take_socket(void *userdata, const struct nlmsghdr *reply)
{
	const struct socket_walk *walk = userdata;
	const struct inet_diag_msg *message;
	struct socket_info info = { 0 };

	if (!reply || reply->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    reply->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
		return 0;
	message = nlmsg_data(reply);
	info.addr.family = message->idiag_family;
	memcpy(info.addr.bytes, message->id.idiag_src, addr_size(message->idiag_family));
	addr_unmap(&info.addr);
	info.port = ntohs(message->id.idiag_sport);
	info.inode = message->idiag_inode;
	info.connected = is_connected(message->idiag_state);
	info.listens = listens(reply, walk->protocol);
	info.ipv6_only = read_byte(reply, INET_DIAG_SKV6ONLY);
	walk->function(walk->userdata, &info);
	return 0;
}

/* A program of two steps, for the kernel to run on each: to pass over a step is to fail it. */
static void put_ports(struct rtnl_batch *batch, struct socket_ports ports)
{
	const struct inet_diag_bc_op program[] = {
		{ .code = INET_DIAG_BC_S_GE, .yes = 8, .no = 20 },
		{ .no = ports.first },
		{ .code = INET_DIAG_BC_S_LE, .yes = 8, .no = 12 },
		{ .no = ports.last },
	};

	rtnl_put(batch, INET_DIAG_REQ_BYTECODE, program, sizeof(program));
}

int sockets_each(int family, uint8_t protocol, struct socket_ports ports,
		 const struct deadline *deadline, socket_fn function, void *userdata)
{
	struct inet_diag_req_v2 query = {
		.sdiag_family = (uint8_t)family,
		.sdiag_protocol = protocol,
		.idiag_states = states_of(protocol, ports),
	};
	struct socket_walk walk = { protocol, function, userdata };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_socket, .userdata = &walk };
	CLEANUP_RTNL struct link_handle handle = { .fd = -1,
						   .single_use = true,
						   .deadline = deadline };
	int r;

	r = rtnl_open_family(&handle, NETLINK_SOCK_DIAG);
	if (r < 0)
		return -EOPNOTSUPP;
	rtnl_add(&batch, SOCK_DIAG_BY_FAMILY, 0, &query, sizeof(query));
	if (ports.first)
		put_ports(&batch, ports);
	r = rtnl_dump(&handle, &batch);
	return r == -ENOENT || r == -EINVAL ? -EOPNOTSUPP : r;
}

static void take_port(void *userdata, const struct socket_info *info)
{
	port_bits_set(userdata, info->port, 1);
}

void link_used_ports(uint8_t protocol, const struct deadline *deadline,
		     uint8_t bits[static PORT_BITS])
{
	for_each_family(family)
		sockets_each(family, protocol, every_port, deadline, take_port, bits);
}

/* ---- who has a port ---- */

struct port_query {
	const struct addr *addr;
	uint16_t port;
	bool listened, connected;
};

/* One of IPv6 may take IPv4 too, at any address. */
static bool takes_in(const struct addr *own, bool ipv6_only, const struct addr *addr)
{
	if (own->family != addr->family)
		return own->family == AF_INET6 && !ipv6_only && addr_is_unspecified(own);
	return addr_is_unspecified(own) || addr_is_unspecified(addr) ||
	       addr_compare(own, addr) == 0;
}

static void judge_socket(void *userdata, const struct socket_info *info)
{
	struct port_query *query = userdata;

	if (info->port != query->port)
		return;
	if (info->connected)
		query->connected = true;
	else
		query->listened |= takes_in(&info->addr, info->ipv6_only, query->addr);
}

bool socket_listens(const struct addr *addr, uint8_t protocol, uint16_t port,
		    const struct deadline *deadline)
{
	struct port_query query = { .addr = addr, .port = port };

	for_each_family(family) {
		if (sockets_each(family, protocol, one_port(port), deadline, judge_socket, &query) <
		    0)
			return true;
	}
	return query.listened || !query.connected;
}

struct owner_query {
	const struct addr *addr;
	uint16_t port;
	uint32_t inode;
	bool connected;
};

/* Of several one that listens, and of those one that is bound to just that address. */
static void match_owner(void *userdata, const struct socket_info *info)
{
	struct owner_query *query = userdata;
	bool exact = addr_compare(&info->addr, query->addr) == 0;

	if (info->port != query->port || !info->inode)
		return;
	if (!exact && !addr_is_unspecified(&info->addr) && !addr_is_unspecified(query->addr))
		return;
	if (query->inode && info->connected >= query->connected &&
	    (!exact || info->connected > query->connected))
		return;
	query->inode = info->inode;
	query->connected = info->connected;
}

/* Does the process have the socket open? *links is what is left to look at. */
static bool process_has(int proc, const char *process, const char *target, unsigned int *links)
{
	char path[64], text[64];
	struct dirent *entry;
	bool found = false;
	DIR *directory;
	int fd;

	snprintf(path, sizeof(path), "%.20s/fd", process);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && *links > 0 && (entry = readdir(directory))) {
		ssize_t len = readlinkat(fd, entry->d_name, text, sizeof(text) - 1);

		(*links)--;
		text[len < 0 ? 0 : len] = '\0';
		found = strcmp(text, target) == 0;
	}
	closedir(directory);
	return found;
}

static void describe_process(int proc, const char *process, char owner[static SOCKET_OWNER_MAX])
{
	char path[64], name[32] = "";
	CLEANUP_CLOSE int fd = -1;
	ssize_t len = 0;

	snprintf(path, sizeof(path), "%.20s/comm", process);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		len = read(fd, name, sizeof(name) - 1);
	name[len < 0 ? 0 : len] = '\0';
	name[strcspn(name, "\n")] = '\0';
	/* A process picks its own name. */
	for (char *c = name; *c; c++) {
		if (!isprint((unsigned char)*c))
			*c = '?';
	}
	snprintf(owner, SOCKET_OWNER_MAX, "process %.20s (%s)", process, name);
}

static void find_process(uint32_t inode, const struct deadline *deadline,
			 char owner[static SOCKET_OWNER_MAX])
{
	unsigned int links = LINKS_MAX;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	char target[32];

	if (!proc)
		return;
	snprintf(target, sizeof(target), "socket:[%u]", inode);
	while (links > 0 && deadline_check(deadline) == 0 && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !process_has(dirfd(proc), entry->d_name, target, &links))
			continue;
		describe_process(dirfd(proc), entry->d_name, owner);
		break;
	}
	closedir(proc);
}

void socket_owner(const struct addr *addr, uint8_t protocol, uint16_t port,
		  const struct deadline *deadline, char ret_owner[static SOCKET_OWNER_MAX])
{
	struct owner_query query = { .addr = addr, .port = port };

	ret_owner[0] = '\0';
	sockets_each(addr->family, protocol, one_port(port), deadline, match_owner, &query);
	/* A socket of IPv6 may hold the port for IPv4 too. */
	if (!query.inode)
		sockets_each(addr->family == AF_INET ? AF_INET6 : AF_INET, protocol, one_port(port),
			     deadline, match_owner, &query);
	if (query.inode)
		find_process(query.inode, deadline, ret_owner);
}

/* ---- those that listen ---- */

struct listeners_query {
	listener_vector *listeners;
	uint8_t protocol;
	bool failed; /* for want of memory */
};

static void add_listener(void *userdata, const struct socket_info *info)
{
	struct listeners_query *query = userdata;
	const struct link_listener listener = {
		.protocol = query->protocol,
		.port = info->port,
		.addr = info->addr,
		.ipv6_only = info->ipv6_only,
		.inode = info->inode,
	};

	if (info->listens && vector_append(query->listeners, listener) < 0)
		query->failed = true;
}

int link_listeners(uint8_t protocol, uint16_t first, uint16_t last, const struct deadline *deadline,
		   listener_vector *listeners, struct error *error)
{
	const struct socket_ports ports = { first, last, .listening = true };
	struct listeners_query query = { .listeners = listeners, .protocol = protocol };

	for_each_family(family) {
		size_t before = listeners->len;
		int r = sockets_each(family, protocol, ports, deadline, add_listener, &query);

		if (deadline_ended(r))
			return deadline_error(error, r,
					      "while the sockets of the host were listed");
		/* what is not told to its end is not told */
		if (r < 0)
			listeners->len = before;
	}
	return query.failed ? error_oom(error) : 0;
}

bool link_listener_takes(const struct link_listener *listener, const struct addr *addr)
{
	return takes_in(&listener->addr, listener->ipv6_only, addr);
}

void link_listener_owner(const struct link_listener *listener, const struct deadline *deadline,
			 char ret_owner[static SOCKET_OWNER_MAX])
{
	ret_owner[0] = '\0';
	if (listener->inode)
		find_process(listener->inode, deadline, ret_owner);
}
