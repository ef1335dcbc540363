/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/port.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

/* What a mapping's text is made of: pieces of one copy of it. */
struct port_text {
	const char *whole;
	const char *host_addr; /* NULL: none was given */
	const char *host;      /* "": none */
	const char *container;
	const char *protocol; /* NULL: none was given */
};

struct port_span {
	unsigned int first, last;
};

static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {
	{ IPPROTO_TCP, "tcp" },
	{ IPPROTO_UDP, "udp" },
	{ IPPROTO_SCTP, "sctp" },
};

const char *protocol_name(uint8_t protocol)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (protocols[i].number == protocol)
			return protocols[i].name;
	}
	return "all";
}

static int malformed(const char *text, const char *why, struct error *error)
{
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "port mapping '%.96s' is malformed: %s; give "
			 "[hostIP:][hostPort[-last]:]containerPort[-last][/tcp|udp|sctp]",
			 text, why);
}

/* Cut the copy `text` into its pieces. */
static int port_text_split(char *text, struct port_text *pieces, struct error *error)
{
	char *slash = strrchr(text, '/'), *rest = text, *colon;

	if (slash) {
		*slash = '\0';
		pieces->protocol = slash + 1;
	}
	if (*rest == '[') {
		char *bracket = strchr(rest, ']');

		if (!bracket || bracket[1] != ':')
			return malformed(pieces->whole, "'[' without ']:'", error);
		*bracket = '\0';
		pieces->host_addr = rest + 1;
		rest = bracket + 2;
		if (!strchr(rest, ':'))
			return malformed(pieces->whole,
					 "after the host address two ports are due, "
					 "the first of which may be empty",
					 error);
	}
	colon = strrchr(rest, ':');
	pieces->container = colon ? colon + 1 : rest;
	if (!colon)
		return 0;
	*colon = '\0';
	pieces->host = rest;
	colon = strrchr(rest, ':');
	if (!colon)
		return 0;
	if (pieces->host_addr)
		return malformed(pieces->whole, "it has too many colons", error);
	*colon = '\0';
	pieces->host_addr = rest;
	pieces->host = colon + 1;
	if (strchr(rest, ':'))
		return malformed(pieces->whole, "an IPv6 address stands in brackets", error);
	return 0;
}

static int port_number_parse(const char *digits, size_t len, const char *whole,
			     unsigned int *ret_port, struct error *error)
{
	unsigned int port = 0;

	if (len == 0 || strspn(digits, "0123456789") < len)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "'%.*s' in '%.96s' is not a port; give a number between 1 and "
				 "65535 or a range such as 8000-8010",
				 (int)(len < 32 ? len : 32), digits, whole);
	for (size_t i = 0; i < len && port <= UINT16_MAX; i++)
		port = port * 10 + (unsigned int)(digits[i] - '0');
	if (port == 0 || port > UINT16_MAX)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "port %.*s in '%.96s' is not between 1 and 65535",
				 (int)(len < 32 ? len : 32), digits, whole);
	*ret_port = port;
	return 0;
}

static int port_span_parse(const char *text, const char *whole, struct port_span *ret_span,
			   struct error *error)
{
	size_t len = strcspn(text, "-");
	struct port_span span;
	int r;

	r = port_number_parse(text, len, whole, &span.first, error);
	if (r < 0)
		return r;
	span.last = span.first;
	if (text[len]) {
		const char *last = text + len + 1;

		r = port_number_parse(last, strlen(last), whole, &span.last, error);
		if (r < 0)
			return r;
	}
	if (span.last < span.first)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "range %s in '%.96s' runs backwards; give %u-%u", text, whole,
				 span.last, span.first);
	*ret_span = span;
	return 0;
}

static int protocol_parse(const struct port_text *pieces, uint8_t *ret_protocol,
			  struct error *error)
{
	const char *name = pieces->protocol ? pieces->protocol : "tcp";

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (strcasecmp(protocols[i].name, name) == 0) {
			*ret_protocol = protocols[i].number;
			return 0;
		}
	}
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "protocol '%.32s' in '%.96s' is not known; use tcp, udp or sctp", name,
			 pieces->whole);
}

/* "%eth0" */
static int interface_parse(const struct port_text *pieces, struct port *port, struct error *error)
{
	const char *name = pieces->host_addr + 1;
	int r = interface_name_check(name, error);

	if (r < 0)
		return r;
	if (strcmp(name, "lo") == 0)
		return error_set(
			error, -EINVAL, BN_REASON_INVALID,
			"nothing arrives by lo but what this host sends itself, so '%.96s' "
			"would never be reached; give 127.0.0.1",
			pieces->whole);
	string_copy(port->interface, sizeof(port->interface), name);
	return 0;
}

static int host_addr_parse(const struct port_text *pieces, struct port *port, struct error *error)
{
	struct addr addr = { 0 };

	if (pieces->host_addr && pieces->host_addr[0] == '%')
		return interface_parse(pieces, port, error);
	if (pieces->host_addr &&
	    (addr_parse(pieces->host_addr, &addr) < 0 || addr_is_multicast(&addr)))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "'%.64s' in '%.96s' is not an address of a host; give one such as "
				 "192.0.2.1 or [2001:db8::1]",
				 pieces->host_addr, pieces->whole);
	addr_unmap(&addr);
	port->host_addr = addr;
	return 0;
}

static int host_span_apply(const struct port_text *pieces, const struct port_span *container,
			   struct port_request *request, struct error *error)
{
	struct port_span host;
	int r;

	if (!pieces->host || !pieces->host[strspn(pieces->host, "0")])
		return 0;
	r = port_span_parse(pieces->host, pieces->whole, &host, error);
	if (r < 0)
		return r;
	request->port.host_port = (uint16_t)host.first;
	if (host.last - host.first == container->last - container->first)
		return 0;
	if (container->last != container->first)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "ranges of unequal length in '%.96s': %u host and %u "
				 "container ports; make them equal",
				 pieces->whole, host.last - host.first + 1,
				 container->last - container->first + 1);
	request->host_range_last = (uint16_t)host.last;
	return 0;
}

int port_parse(const char *text, struct port_request *ret_request, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(text);
	struct port_text pieces = { .whole = text };
	struct port_request request = { 0 };
	struct port_span container;
	int r;

	if (!copy)
		return error_oom(error);
	r = port_text_split(copy, &pieces, error);
	if (r < 0)
		return r;
	if (!pieces.container[0])
		return malformed(text, "the container port is missing", error);
	r = port_span_parse(pieces.container, text, &container, error);
	if (r < 0)
		return r;
	request.port.container_port = (uint16_t)container.first;
	request.port.count = (uint16_t)(container.last - container.first + 1);
	r = protocol_parse(&pieces, &request.port.protocol, error);
	if (r == 0)
		r = host_addr_parse(&pieces, &request.port, error);
	if (r == 0)
		r = host_span_apply(&pieces, &container, &request, error);
	if (r == 0)
		*ret_request = request;
	return r;
}

/* "80" or "80-90". */
static char *span_format(uint16_t first, uint16_t count, char *end)
{
	end = number_format(first, end);
	return count > 1 ? number_format(first + count - 1u, stpcpy(end, "-")) : end;
}

const char *port_host_format(const struct port *port, char text[static PORT_HOST_MAX])
{
	text[0] = '\0';
	if (port->interface[0])
		stpcpy(stpcpy(text, "%"), port->interface);
	else if (addr_is_set(&port->host_addr))
		addr_format(&port->host_addr, text);
	return text;
}

int port_host_compare(const struct port *a, const struct port *b)
{
	int order = addr_compare(&a->host_addr, &b->host_addr);

	return order ? order : strcmp(a->interface, b->interface);
}

const char *port_format(const struct port *port, char text[static PORT_TEXT_MAX])
{
	bool brackets = port->host_addr.family == AF_INET6;
	char host[PORT_HOST_MAX], *end = text;
	bool has_address = *port_host_format(port, host);

	if (has_address) {
		end = stpcpy(end, brackets ? "[" : "");
		end = stpcpy(end, host);
		end = stpcpy(end, brackets ? "]:" : ":");
	}
	if (port->host_port)
		end = span_format(port->host_port, port->count, end);
	if (port->host_port || has_address)
		end = stpcpy(end, ":");
	end = span_format(port->container_port, port->count, end);
	stpcpy(stpcpy(end, "/"), protocol_name(port->protocol));
	return text;
}

static bool meet_in_family(const struct port *a, const struct port *b, int family)
{
	const struct addr *left = &a->host_addr, *right = &b->host_addr;

	if (!port_holds_family(a, family) || !port_holds_family(b, family))
		return false;
	return !addr_is_set(left) || !addr_is_set(right) || addr_is_unspecified(left) ||
	       addr_is_unspecified(right) || addr_compare(left, right) == 0;
}

bool port_collides(const struct port *a, const struct port *b)
{
	/* What is yet to be picked takes nothing. */
	if (!a->host_port || !b->host_port || a->protocol != b->protocol)
		return false;
	return a->host_port < b->host_port + b->count && b->host_port < a->host_port + a->count &&
	       (meet_in_family(a, b, AF_INET) || meet_in_family(a, b, AF_INET6));
}

void port_bits_set(uint8_t bits[static PORT_BITS], uint32_t first, uint32_t count)
{
	for (uint32_t n = first; n < first + count; n++)
		bits[n / 8] = (uint8_t)(bits[n / 8] | 1u << n % 8);
}

uint32_t port_bits_last(const uint8_t bits[static PORT_BITS], uint32_t first, uint32_t count)
{
	for (uint32_t n = first + count; n-- > first;)
		if (bits[n / 8] & 1u << n % 8)
			return n;
	return 0;
}

bool port_names_host(const struct port *port)
{
	return addr_is_set(&port->host_addr) || port->interface[0];
}

/* May the mapping have come of the request? */
static bool may_come_of(const struct port *port, const struct port_request *request,
			const struct addr *bind)
{
	bool is_bound = !port_names_host(&request->port) && !port->interface[0] &&
			addr_compare(&port->host_addr, bind) == 0;
	const struct port *asked = &request->port;
	unsigned int last = request->host_range_last ? request->host_range_last : asked->host_port;

	if (port->protocol != asked->protocol || port->container_port != asked->container_port ||
	    port->count != asked->count || (!is_bound && port_host_compare(port, asked) != 0))
		return false;
	return !asked->host_port ||
	       (port->host_port >= asked->host_port && port->host_port <= last);
}

size_t port_request_find(const struct port_request *request, const struct addr *bind,
			 const struct port *ports, size_t len, size_t from)
{
	for (; from < len; from++)
		if (may_come_of(&ports[from], request, bind))
			return from;
	return len;
}

bool port_has_family(const struct port *port, int family)
{
	return !addr_is_set(&port->host_addr) || port->host_addr.family == family;
}

bool port_holds_family(const struct port *port, int family)
{
	uint8_t routed = family == AF_INET ? PORT_ROUTED_IPV4 : PORT_ROUTED_IPV6;

	return port_has_family(port, family) && !(port->routed & routed);
}

bool port_host_side(const struct port *port, const struct endpoint *endpoint, struct port *ret_side)
{
	bool ipv4 = port_holds_family(port, AF_INET) && endpoint_prefix(endpoint, AF_INET);
	bool ipv6 = port_holds_family(port, AF_INET6) && endpoint_prefix(endpoint, AF_INET6);

	*ret_side = *port;
	if (!addr_is_set(&port->host_addr) && ipv4 != ipv6)
		ret_side->host_addr.family = ipv4 ? AF_INET : AF_INET6;
	return ipv4 || ipv6;
}
