/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "link/private.h"
#include "model/port.h"

/* From as many ports on it is cheaper to list the host's sockets than to try each port. */
#define LIST_FROM 128

#define PORT_RANGE "/proc/sys/net/ipv4/ip_local_port_range"
#define PORTS_RESERVED "/proc/sys/net/ipv4/ip_local_reserved_ports"

/* The address to bind for a family; false if the mapping is not for that family. */
static bool bind_address(const struct port *port, int family, struct addr *ret_addr)
{
	if (port->host_addr.family && port->host_addr.family != family)
		return false;
	*ret_addr = (struct addr){ .family = family };
	if (port->host_addr.family)
		*ret_addr = port->host_addr;
	return true;
}

static int port_socket(int family, uint8_t protocol)
{
	int type = protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);
	int on = 1;

	if (fd < 0)
		return -errno;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	return fd;
}

static int bind_socket(int fd, const struct addr *addr, uint16_t number, bool reuse)
{
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(number) };
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(number) };
	int on = reuse;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	memcpy(&ipv4.sin_addr, addr->bytes, sizeof(ipv4.sin_addr));
	memcpy(&ipv6.sin6_addr, addr->bytes, sizeof(ipv6.sin6_addr));
	if (addr->family == AF_INET6)
		return bind(fd, (struct sockaddr *)&ipv6, sizeof(ipv6)) < 0 ? -errno : 0;
	return bind(fd, (struct sockaddr *)&ipv4, sizeof(ipv4)) < 0 ? -errno : 0;
}

/*
 * hold: without SO_REUSEADDR, since two sockets with it share a port as long as neither listens;
 * with it only against what is left of closed connections. A probe uses it from the start, but not
 * for UDP, where it would never conflict. 1: the kernel has no such sockets, or no such family.
 */
static int take_port(const struct addr *addr, uint8_t protocol, uint16_t number, bool hold,
		     int *ret_fd)
{
	CLEANUP_CLOSE int fd = port_socket(addr->family, protocol);
	bool reuse = protocol == IPPROTO_TCP;
	int r;

	if (fd == -EAFNOSUPPORT || fd == -EPROTONOSUPPORT || fd == -ESOCKTNOSUPPORT)
		return 1;
	if (fd < 0)
		return fd;
	r = bind_socket(fd, addr, number, reuse && !hold);
	if (r == -EADDRINUSE && hold && reuse)
		r = bind_socket(fd, addr, number, true);
	/* A family that is turned off, where no address was asked for. */
	if (r == -EADDRNOTAVAIL && addr_is_unspecified(addr))
		return 1;
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int port_error(const struct addr *addr, uint8_t protocol, uint16_t number, int code,
		      const struct deadline *deadline, struct error *error)
{
	char text[ADDR_TEXT_MAX], owner[SOCKET_OWNER_MAX];
	const char *name = protocol_name(protocol);

	addr_format(addr, text);
	switch (code) {
	case -EADDRINUSE:
		socket_owner(addr, protocol, number, deadline, owner);
		return error_set(error, code, BN_REASON_PORT_LISTENER,
				 "host port %u/%s is used by %s; stop it or choose another port",
				 number, name, owner[0] ? owner : "a process of this host");
	case -EADDRNOTAVAIL:
		return error_set(error, code, BN_REASON_INVALID,
				 "%s is not an address of this host, so port %u/%s cannot be "
				 "published on it; give one that is, or none for all",
				 text, number, name);
	case -EACCES:
	case -EPERM:
		return error_set(error, code, BN_REASON_PRIVILEGE,
				 "host port %u/%s needs privilege; run as root or choose a port "
				 "from 1024 on",
				 number, name);
	default:
		return error_set(error, code, BN_REASON_KERNEL,
				 "cannot try host port %u/%s on %s: %s", number, name, text,
				 errno_text(-code));
	}
}

/* A connection that goes out from a port keeps others from binding it, but nothing that comes in
 * for the port is for it: it has its peer. */
static bool is_in_the_way(const struct addr *addr, uint8_t protocol, uint16_t number,
			  enum hostport_rule rule, const struct deadline *deadline)
{
	return rule == HOSTPORT_ANY || protocol == IPPROTO_SCTP ||
	       socket_listens(addr, protocol, number, deadline);
}

/* ---- suspects: ports that some socket of the host has ---- */

struct suspects {
	bool listed; /* bits tell; else every port is one */
	uint8_t bits[8192];
	struct addr host; /* the last address that proved to be one of this host */
};

static bool bit_is_set(const uint8_t *bits, uint16_t number)
{
	return bits[number / 8] & 1u << number % 8;
}

static void set_bit(uint8_t *bits, uint16_t number)
{
	bits[number / 8] = (uint8_t)(bits[number / 8] | 1u << number % 8);
}

static void mark_suspect(void *userdata, const struct socket_info *info)
{
	struct suspects *suspects = userdata;

	set_bit(suspects->bits, info->port);
}

/* Kernels before 6.8 don't list sockets of TCP that are bound and do not listen, and some list
 * none: a socket of our own shows it. */
static void list_suspects(uint8_t protocol, const struct deadline *deadline,
			  struct suspects *suspects)
{
	const struct addr any = { .family = AF_INET };
	struct sockaddr_in own = { 0 };
	const struct socket_ports every_port = { 0 };
	socklen_t len = sizeof(own);
	CLEANUP_CLOSE int fd = -1;

	if (take_port(&any, protocol, 0, true, &fd) != 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		return;
	if (sockets_each(AF_INET, protocol, every_port, deadline, mark_suspect, suspects) < 0)
		return;
	sockets_each(AF_INET6, protocol, every_port, deadline, mark_suspect, suspects);
	suspects->listed = bit_is_set(suspects->bits, ntohs(own.sin_port));
}

/* With a list, a bind is for the suspects, and for an address not met before. */
static bool is_clear(const struct suspects *suspects, const struct addr *addr, uint16_t number)
{
	return suspects && suspects->listed && !bit_is_set(suspects->bits, number) &&
	       (addr_is_unspecified(addr) || addr_compare(&suspects->host, addr) == 0);
}

/* Thousands may have to be tried. */
static int check_time(const struct deadline *deadline, uint16_t number, struct error *error)
{
	int r = deadline_check(deadline);

	return r < 0 ? deadline_error(error, r, "before host port %u was tried", number) : 0;
}

/* What one request is judged by. */
struct judge {
	enum hostport_rule rule;
	const struct deadline *deadline;
	struct suspects *suspects; /* NULL: there are too few ports for a list */
	struct error *error;
};

/* 1: the kernel has no such sockets, or no such family. */
static int check_number(const struct judge *judge, const struct addr *addr, uint8_t protocol,
			uint16_t number)
{
	CLEANUP_CLOSE int fd = -1;
	int r;

	if (is_clear(judge->suspects, addr, number))
		return 0;
	r = check_time(judge->deadline, number, judge->error);
	if (r < 0)
		return r;
	r = take_port(addr, protocol, judge->rule == HOSTPORT_NONE ? 0 : number, false, &fd);
	if (r == -EADDRINUSE &&
	    !is_in_the_way(addr, protocol, number, judge->rule, judge->deadline))
		return 0;
	if (r < 0)
		return port_error(addr, protocol, number, r, judge->deadline, judge->error);
	if (r == 0 && judge->suspects)
		judge->suspects->host = *addr;
	return r;
}

static int check_mapping(const struct judge *judge, const struct port *port)
{
	/* the address is the same for all of them */
	uint32_t count = judge->rule == HOSTPORT_NONE ? 1 : port->count;
	int r = 0;

	for_each_family(family) {
		struct addr addr;

		if (!bind_address(port, family, &addr))
			continue;
		r = 0;
		for (uint32_t n = 0; n < count && r == 0; n++)
			r = check_number(judge, &addr, port->protocol,
					 (uint16_t)(port->host_port + n));
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_protocol(const struct port *ports, size_t len, uint8_t protocol,
			  const struct judge *asked)
{
	CLEANUP_FREE struct suspects *suspects = NULL;
	struct judge judge = *asked;
	size_t total = 0;
	int r = 0;

	for (size_t i = 0; i < len; i++) {
		if (ports[i].protocol == protocol)
			total += ports[i].count;
	}
	if (total >= LIST_FROM && protocol != IPPROTO_SCTP && judge.rule != HOSTPORT_NONE) {
		suspects = calloc(1, sizeof(*suspects));
		if (!suspects)
			return error_oom(judge.error);
		list_suspects(protocol, judge.deadline, suspects);
		judge.suspects = suspects;
	}
	for (size_t i = 0; r == 0 && i < len; i++) {
		if (ports[i].protocol == protocol)
			r = check_mapping(&judge, &ports[i]);
	}
	return r;
}

int hostport_check(const struct port *ports, size_t len, enum hostport_rule rule,
		   const struct deadline *deadline, struct error *error)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	const struct judge judge = { .rule = rule, .deadline = deadline, .error = error };
	int r = FAULT("link.hostport.check");

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(protocols); i++)
		r = check_protocol(ports, len, protocols[i], &judge);
	return r;
}

static int hold_port(const struct addr *addr, uint8_t protocol, uint16_t number,
		     const struct deadline *deadline, fd_vector *fds, struct error *error)
{
	CLEANUP_CLOSE int fd = -1;
	int r = check_time(deadline, number, error);

	if (r < 0)
		return r;
	if (vector_reserve(fds, 1) < 0)
		return error_oom(error);
	r = take_port(addr, protocol, number, true, &fd);
	if (r < 0)
		return port_error(addr, protocol, number, r, deadline, error);
	/* It says that it is not connected, and has done it: from then on whoever looks for sockets
	 * that take something in can tell it from those. */
	if (r == 0 && protocol == IPPROTO_UDP)
		shutdown(fd, SHUT_RDWR);
	if (r == 0)
		fds->items[fds->len++] = take_fd(&fd);
	return 0;
}

int hostport_hold(const struct port *port, const struct deadline *deadline, fd_vector *fds,
		  struct error *error)
{
	size_t before = fds->len;
	int r = 0;

	for_each_family(family) {
		struct addr addr;

		if (!bind_address(port, family, &addr))
			continue;
		for (uint32_t n = 0; r == 0 && n < port->count; n++)
			r = hold_port(&addr, port->protocol, (uint16_t)(port->host_port + n),
				      deadline, fds, error);
	}
	while (r < 0 && fds->len > before)
		close(fds->items[--fds->len]);
	return r;
}

/* ---- ports to pick from ---- */

/* "8080,9000-9100\n"; a list may be as long as the file. */
static void parse_reserved_ports(FILE *file, struct ephemeral_ports *ports)
{
	unsigned int first, last;
	int separator;

	while (fscanf(file, "%5u", &first) == 1) {
		last = first;
		separator = fgetc(file);
		if (separator == '-') {
			if (fscanf(file, "%5u", &last) != 1)
				return;
			separator = fgetc(file);
		}
		for (unsigned int n = first; n <= last && n <= UINT16_MAX; n++)
			set_bit(ports->reserved, (uint16_t)n);
		if (separator != ',')
			return;
	}
}

int hostport_ephemeral(struct ephemeral_ports *ret_ports, struct error *error)
{
	unsigned int first = 0, last = 0;
	FILE *file = fopen(PORT_RANGE, "re");
	int fields;

	if (!file)
		return error_set(error, -errno, BN_REASON_KERNEL, "cannot read %s: %s", PORT_RANGE,
				 errno_text(errno));
	fields = fscanf(file, "%5u %5u", &first, &last);
	fclose(file);
	if (fields != 2 || first == 0 || first > last || last > UINT16_MAX)
		return error_set(error, -EINVAL, BN_REASON_KERNEL,
				 "%s does not hold a range of ports", PORT_RANGE);
	*ret_ports = (struct ephemeral_ports){ .first = (uint16_t)first, .last = (uint16_t)last };
	file = fopen(PORTS_RESERVED, "re");
	if (file) {
		parse_reserved_ports(file, ret_ports);
		fclose(file);
	}
	return 0;
}
