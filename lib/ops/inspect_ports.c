/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has changed on the host beside its published ports: who listens there, and on what. */
#include <errno.h>
#include <stdio.h>

#include "link/around.h"
#include "model/port.h"
#include "ops/inspection.h"

/* Of so many mappings each is asked about; of more the host's sockets are listed, once. */
#define ASKED_MAX 4
#define OWNERS_MAX 32 /* programs that are looked for: each is a walk through /proc */

struct owner {
	uint32_t inode;
	char name[SOCKET_OWNER_MAX];
};

struct ports_look {
	listener_vector listeners; /* by protocol and port */
	VECTOR(struct owner) owners;
	struct addr gone, there; /* the last addresses that the host lacked, or had */
};

static void look_clear(struct ports_look *look)
{
	free(look->listeners.items);
	free(look->owners.items);
}

/* ---- who listens ---- */

static int compare_listeners(const void *left, const void *right)
{
	const struct link_listener *a = left, *b = right;

	return a->protocol != b->protocol ? a->protocol - b->protocol : a->port - b->port;
}

static size_t count_mappings(const port_vector *ports, uint8_t protocol)
{
	size_t count = 0;

	for (size_t i = 0; i < ports->len; i++)
		count += ports->items[i].protocol == protocol && !ports->items[i].over_listener;
	return count;
}

static int list_protocol(bn_ctx *ctx, const port_vector *ports, uint8_t protocol,
			 listener_vector *listeners)
{
	size_t count = count_mappings(ports, protocol);
	int r = 0;

	if (count > ASKED_MAX)
		return link_listeners(protocol, 0, 0, &ctx->deadline, listeners, &ctx->error);
	for (size_t i = 0; i < ports->len && count && r >= 0; i++) {
		const struct port *port = &ports->items[i];

		if (port->protocol == protocol && !port->over_listener)
			r = link_listeners(protocol, port->host_port,
					   (uint16_t)(port->host_port + port->count - 1),
					   &ctx->deadline, listeners, &ctx->error);
	}
	return r;
}

static const char *owner_of(bn_ctx *ctx, struct ports_look *look,
			    const struct link_listener *listener)
{
	static const char nobody[] = "a process of this host";
	struct owner *owner;

	for (size_t i = 0; i < look->owners.len; i++)
		if (look->owners.items[i].inode == listener->inode)
			return look->owners.items[i].name;
	if (look->owners.len == OWNERS_MAX)
		return nobody;
	owner = vector_push(&look->owners);
	if (!owner)
		return nobody;
	owner->inode = listener->inode;
	link_listener_owner(listener, &ctx->deadline, owner->name);
	if (!owner->name[0])
		string_copy(owner->name, sizeof(owner->name), nobody);
	return owner->name;
}

/* "192.0.2.7:8080/tcp", "8080/tcp" */
static const char *side_format(const struct port *side, uint16_t number,
			       char text[static PORT_TEXT_MAX])
{
	bool brackets = side->host_addr.family == AF_INET6;
	char host[PORT_HOST_MAX] = "";

	if (port_names_host(side) && (side->interface[0] || !addr_is_unspecified(&side->host_addr)))
		port_host_format(side, host);
	snprintf(text, PORT_TEXT_MAX, "%s%s%s%s%u/%s", brackets && host[0] ? "[" : "", host,
		 brackets && host[0] ? "]" : "", host[0] ? ":" : "", number,
		 protocol_name(side->protocol));
	return text;
}

static bool is_in_the_way(const struct link_listener *listener, const struct port *side)
{
	if (addr_is_set(&side->host_addr))
		return link_listener_takes(listener, &side->host_addr);
	return true;
}

static size_t first_listener(const listener_vector *listeners, const struct port *side)
{
	const struct link_listener key = { .protocol = side->protocol, .port = side->host_port };
	size_t low = 0, high = listeners->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_listeners(&listeners->items[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of several at one port the first. */
static int judge_listeners(bn_ctx *ctx, struct inspection *inspection, struct ports_look *look,
			   const struct port *side)
{
	const listener_vector *listeners = &look->listeners;
	uint32_t said = 0;
	int r = 0;

	for (size_t i = first_listener(listeners, side); i < listeners->len && r >= 0; i++) {
		const struct link_listener *listener = &listeners->items[i];
		char text[PORT_TEXT_MAX];
		struct finding finding = {
			.code = FINDING_PORT_LISTENER,
			.network = side->network,
			.endpoint = side->endpoint,
		};

		if (listener->protocol != side->protocol ||
		    listener->port >= (uint32_t)side->host_port + side->count)
			break;
		if (listener->port == said || !is_in_the_way(listener, side))
			continue;
		said = listener->port;
		finding.object = side_format(side, listener->port, text);
		finding.is = owner_of(ctx, look, listener);
		r = inspection_find(ctx, inspection, &finding);
	}
	return r;
}

/* ---- of what address ---- */

/* 1: the host has it, as publishing would find; neighbours mostly are of the same. */
static int host_has(bn_ctx *ctx, struct ports_look *look, const struct port *side)
{
	int r;

	if (addr_compare(&side->host_addr, &look->there) == 0)
		return 1;
	if (addr_compare(&side->host_addr, &look->gone) == 0)
		return 0;
	r = hostport_check(side, 1, HOSTPORT_NONE, &ctx->deadline, &ctx->error);
	if (r == -EADDRNOTAVAIL) {
		error_clear(&ctx->error);
		look->gone = side->host_addr;
		return 0;
	}
	look->there = side->host_addr;
	return r < 0 ? r : 1;
}

static int judge_address(bn_ctx *ctx, struct inspection *inspection, struct ports_look *look,
			 const struct port *side)
{
	char text[PORT_TEXT_MAX], why[PORT_TEXT_MAX], host[PORT_HOST_MAX];
	struct finding finding = {
		.code = FINDING_PORT_ADDRESS_GONE,
		.network = side->network,
		.endpoint = side->endpoint,
		.object = text,
		.is = why,
	};
	int r;

	if (side->interface[0]) {
		r = link_is_known(ctx->link, side->interface);
		snprintf(why, sizeof(why), "the host has no interface %s now", side->interface);
	} else if (addr_is_set(&side->host_addr) && !addr_is_unspecified(&side->host_addr)) {
		r = host_has(ctx, look, side);
		snprintf(why, sizeof(why), "the host does not have the address %s now",
			 port_host_format(side, host));
	} else {
		return 0;
	}
	if (r != 0)
		return r < 0 ? r : 0;
	side_format(side, side->host_port, text);
	return inspection_find(ctx, inspection, &finding);
}

/* ---- each ---- */

static int judge_ports(bn_ctx *ctx, struct inspection *inspection, struct ports_look *look)
{
	const endpoint_vector *endpoints = &inspection->rows.endpoints;
	const port_vector *ports = &inspection->rows.ports;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < ports->len && r >= 0; i++) {
		const struct port *port = &ports->items[i];
		struct port side;
		size_t tries = 0;

		/* neighbours mostly belong to the same */
		while (tries++ < endpoints->len && !port_is_of(port, &endpoints->items[at]))
			at = (at + 1) % endpoints->len;
		if (tries > endpoints->len || !port_host_side(port, &endpoints->items[at], &side))
			continue;
		r = judge_address(ctx, inspection, look, &side);
		if (r >= 0 && !side.over_listener)
			r = judge_listeners(ctx, inspection, look, &side);
	}
	return r;
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	CLEANUP(look_clear) struct ports_look look = { 0 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(protocols) && r >= 0; i++)
		r = list_protocol(ctx, &inspection->rows.ports, protocols[i], &look.listeners);
	if (look.listeners.len)
		qsort(look.listeners.items, look.listeners.len, sizeof(*look.listeners.items),
		      compare_listeners);
	return r < 0 ? r : judge_ports(ctx, inspection, &look);
}

const struct inspector inspect_ports = { "ports", true, look, NULL, .is_apart = true };
