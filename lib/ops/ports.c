/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ports.h"

#include <errno.h>
#include <stdio.h>

void held_clear(held_vector *held)
{
	for (size_t i = 0; i < held->len; i++) {
		for (size_t j = 0; j < held->items[i].len; j++)
			cleanup_close(&held->items[i].items[j]);
		free(held->items[i].items);
	}
	free(held->items);
	*held = (held_vector){ 0 };
}

static int check_port(bn_ctx *ctx, const struct endpoint *endpoint, const struct port *port)
{
	const struct addr *host = &port->host_addr;
	char text[PORT_TEXT_MAX];

	port_format(port, text);
	if (!endpoint->ipv4.addr.family && !endpoint->ipv6.addr.family)
		return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "port %s can't be published on network %s, whose endpoints have "
				 "no address of their own; attach to a bridge network",
				 text, endpoint->network);
	if (host->family && !endpoint_prefix(endpoint, host->family))
		return error_set(&ctx->error, -EINVAL, BN_REASON_UNSUPPORTED,
				 "port %s asks for an %s address of the host, but endpoint %s has "
				 "no %s address",
				 text, host->family == AF_INET ? "IPv4" : "IPv6", endpoint->id,
				 host->family == AF_INET ? "IPv4" : "IPv6");
	if (host->family == AF_INET6 && addr_is_loopback(host))
		return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "port %s can't be published on ::1, from which the kernel does "
				 "not forward; use 127.0.0.1",
				 text);
	return 0;
}

static bool collides_with_chosen(const struct port *port, const port_vector *chosen)
{
	for (size_t i = 0; i < chosen->len; i++)
		if (port_collides(port, &chosen->items[i]))
			return true;
	return false;
}

static bool in_ephemeral_range(const struct ephemeral_ports *ephemeral, uint32_t first,
			       uint32_t count)
{
	if (first < ephemeral->first || first + count - 1 > ephemeral->last)
		return false;
	for (uint32_t port = first; port < first + count; port++)
		if (ephemeral->reserved[port / 8] & (1u << (port % 8)))
			return false;
	return true;
}

/* On every address means: of the families that the endpoint has. */
static struct port host_side(const struct endpoint *endpoint, const struct port *port)
{
	struct port narrowed = *port;

	if (!port->host_addr.family && !endpoint->ipv6.addr.family)
		narrowed.host_addr.family = AF_INET;
	else if (!port->host_addr.family && !endpoint->ipv4.addr.family)
		narrowed.host_addr.family = AF_INET6;
	return narrowed;
}

/* 1: free, 0: not, negative: error. */
static int is_free(bn_ctx *ctx, const struct endpoint *endpoint, const struct port *port,
		   const port_vector *chosen)
{
	struct port side = host_side(endpoint, port);
	int r;

	if (collides_with_chosen(port, chosen))
		return 0;
	r = store_port_taken(ctx->store, port, &ctx->error);
	if (r)
		return r < 0 ? r : 0;
	r = hostport_check(&side, 1, &ctx->deadline, &ctx->error);
	if (r == -EADDRINUSE) {
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : 1;
}

static int pick_in_range(bn_ctx *ctx, const struct endpoint *endpoint,
			 const struct port_request *request, const port_vector *chosen,
			 struct port *port)
{
	int r;

	for (uint32_t candidate = request->port.host_port; candidate <= request->host_range_last;
	     candidate++) {
		port->host_port = (uint16_t)candidate;
		r = is_free(ctx, endpoint, port, chosen);
		if (r)
			return r < 0 ? r : 0;
	}
	return error_set(&ctx->error, -ENOSPC, BN_REASON_PORT_NONE_FREE,
			 "none of the host ports %u-%u is free; give a wider range",
			 request->port.host_port, request->host_range_last);
}

static int pick_ephemeral(bn_ctx *ctx, const struct endpoint *endpoint, const port_vector *chosen,
			  struct port *port)
{
	struct ephemeral_ports ephemeral;
	char text[META_MAX];
	uint32_t candidate, last = 0;
	int r;

	r = hostport_ephemeral(&ephemeral, &ctx->error);
	if (r >= 0)
		r = store_meta_get(ctx->store, "port.last", text, &ctx->error);
	if (r < 0)
		return r;
	sscanf(text, "%u", &last);
	candidate = last < ephemeral.first ? ephemeral.first : last + 1;
	for (uint32_t i = 0; i <= (uint32_t)(ephemeral.last - ephemeral.first); i++, candidate++) {
		if (candidate > ephemeral.last)
			candidate = ephemeral.first;
		if (!in_ephemeral_range(&ephemeral, candidate, port->count))
			continue;
		port->host_port = (uint16_t)candidate;
		r = is_free(ctx, endpoint, port, chosen);
		if (r)
			return r < 0 ? r : 0;
	}
	return error_set(&ctx->error, -ENOSPC, BN_REASON_PORT_NONE_FREE,
			 "no port between %u and %u is free on the host; name a host port",
			 ephemeral.first, ephemeral.last);
}

static bool is_pick(const struct port_request *request)
{
	return !request->port.host_port || request->host_range_last;
}

void port_set_owner(struct port *port, const struct endpoint *endpoint)
{
	string_copy(port->network, sizeof(port->network), endpoint->network);
	string_copy(port->endpoint, sizeof(port->endpoint), endpoint->id);
}

int ports_choose(bn_ctx *ctx, const struct endpoint *endpoint, const struct port_request *requests,
		 size_t len, port_vector *ret_ports)
{
	struct port *port;
	int r = 0;

	if (vector_reserve(ret_ports, len) < 0)
		return error_oom(&ctx->error);
	/* named ports first, so that none of them is picked for another */
	for (int picks = 0; picks < 2; picks++)
		for (size_t i = 0; i < len; i++) {
			if (is_pick(&requests[i]) != (picks == 1))
				continue;
			port = vector_push(ret_ports);
			*port = requests[i].port;
			port_set_owner(port, endpoint);
			r = check_port(ctx, endpoint, port);
			if (r < 0)
				return r;
			if (!picks)
				continue;
			ret_ports->len--;
			r = requests[i].host_range_last ?
				    pick_in_range(ctx, endpoint, &requests[i], ret_ports, port) :
				    pick_ephemeral(ctx, endpoint, ret_ports, port);
			if (r < 0)
				return r;
			ret_ports->len++;
		}
	return 0;
}

bool ports_have_picks(const struct port_request *requests, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (is_pick(&requests[i]))
			return true;
	return false;
}

int ports_reserve(bn_ctx *ctx, const struct operation *operation, const port_vector *ports,
		  bool picked)
{
	char last[META_MAX];
	int r = 0;

	for (size_t i = 0; i < ports->len && r >= 0; i++)
		r = store_port_insert(ctx->store, operation, &ports->items[i], &ctx->error);
	if (r >= 0 && picked) {
		const struct port *port = &ports->items[ports->len - 1];

		snprintf(last, sizeof(last), "%u", port->host_port + port->count - 1u);
		r = store_meta_set(ctx->store, "port.last", last, &ctx->error);
	}
	return r;
}

int ports_probe(bn_ctx *ctx, const struct endpoint *endpoint, const port_vector *ports, bool hold,
		held_vector *ret_held)
{
	CLEANUP_FREE struct port *sides = calloc(ports->len + 1, sizeof(*sides));
	int r;

	if (!sides || (hold && vector_reserve(ret_held, ports->len) < 0))
		return error_oom(&ctx->error);
	for (size_t i = 0; i < ports->len; i++)
		sides[i] = host_side(endpoint, &ports->items[i]);
	r = ports->len ? hostport_check(sides, ports->len, &ctx->deadline, &ctx->error) : 0;
	for (size_t i = 0; hold && i < ports->len && r >= 0; i++)
		r = hostport_hold(&sides[i], &ctx->deadline, vector_push(ret_held), &ctx->error);
	return r;
}

/* ---- which one is meant ---- */

#define NAMED_MAX 4 /* mappings that a sentence names */

static int several_error(bn_ctx *ctx, const struct endpoint *endpoint,
			 const struct port_request *request, const port_vector *existing,
			 size_t first)
{
	char asked[PORT_TEXT_MAX], names[NAMED_MAX * (PORT_TEXT_MAX + 2) + 1] = "";
	char text[PORT_TEXT_MAX], *end = names;
	size_t found = 0;

	for (size_t i = first; i < existing->len;
	     i = port_request_find(request, existing->items, existing->len, i + 1)) {
		if (found++ >= NAMED_MAX)
			continue;
		if (found > 1)
			end = stpcpy(end, ", ");
		end = stpcpy(end, port_format(&existing->items[i], text));
	}
	snprintf(text, sizeof(text), " and %zu more", found > NAMED_MAX ? found - NAMED_MAX : 0);
	return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
			 "port %s can be any of %zu that endpoint %s of network %s publishes: "
			 "%s%s; name the host port",
			 port_format(&request->port, asked), found, endpoint->id, endpoint->network,
			 names, found > NAMED_MAX ? text : "");
}

int ports_find(bn_ctx *ctx, const struct endpoint *endpoint, const struct port_request *request,
	       const port_vector *existing, struct port *ret_port)
{
	size_t first, len = existing->len;

	/* there is one such mapping at most, and whether it is there the state says */
	if (!is_pick(request)) {
		*ret_port = request->port;
		port_set_owner(ret_port, endpoint);
		return 0;
	}
	first = port_request_find(request, existing->items, len, 0);
	if (first == len)
		return error_set(&ctx->error, -ENOENT, BN_REASON_PORT_UNKNOWN,
				 "endpoint %s of network %s publishes no port to %u/%s that way; "
				 "list its ports",
				 endpoint->id, endpoint->network, request->port.container_port,
				 protocol_name(request->port.protocol));
	if (port_request_find(request, existing->items, len, first + 1) < len)
		return several_error(ctx, endpoint, request, existing, first);
	*ret_port = existing->items[first];
	return 0;
}
