/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ports.h"

#include <errno.h>
#include <stdio.h>

#include "model/policy.h"
#include "ops/opened.h"

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

static const char *family_name(int family)
{
	return family == AF_INET ? "IPv4" : "IPv6";
}

/* It is for a family that the endpoint does not have. */
static bool is_for_another(const struct endpoint *endpoint, const struct port *port)
{
	return port->host_addr.family && !endpoint_prefix(endpoint, port->host_addr.family);
}

static int internal_error(bn_ctx *ctx, const struct network *network, const char *text)
{
	return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
			 "port %s can't be published on network %s, which is internal: nobody "
			 "reaches it from outside; leave the port out, or use another network",
			 text, network->name);
}

static int check_lists(bn_ctx *ctx, const struct network *network, const struct port *port)
{
	char text[PORT_TEXT_MAX];

	if (!port->options)
		return 0;
	for_each_family(family) {
		const char *option = port_way_round(port, network, family);

		if (option)
			return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
					 "port %s can't have lists on network %s, whose endpoints "
					 "option %s lets be reached past them, at their own "
					 "addresses; give no list, or a network without",
					 port_format(port, text), network->name, option);
	}
	return 0;
}

static int check_port(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		      const struct port *port)
{
	const struct addr *host = &port->host_addr;
	char text[PORT_TEXT_MAX];

	port_format(port, text);
	if (!network_is_managed(network))
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "port %s can't be published on network %s, which is not managed "
				 "and has no rules; leave the port out, or use another network",
				 text, network->name);
	if (!endpoint_has_address(endpoint))
		return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "port %s can't be published on network %s, whose endpoints have "
				 "no address of their own; attach to a bridge network",
				 text, endpoint->network);
	if (network_is_internal(network))
		return internal_error(ctx, network, text);
	if (is_for_another(endpoint, port))
		return error_set(&ctx->error, -EINVAL, BN_REASON_UNSUPPORTED,
				 "port %s asks for an %s address of the host, but endpoint %s has "
				 "no %s address; leave it out",
				 text, family_name(host->family), endpoint->id,
				 family_name(host->family));
	if (host->family == AF_INET6 && addr_is_loopback(host))
		return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "port %s can't be published on ::1, from which the kernel does "
				 "not forward; use 127.0.0.1",
				 text);
	if (addr_is_link_local(host))
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "port %s can't be published on a link-local address, which the "
				 "kernel does not forward; use another IPv6 address of the host",
				 text);
	return check_lists(ctx, network, port);
}

bool port_is_pick(const struct port_request *request)
{
	return !request->port.host_port || request->host_range_last;
}

/* ---- routed ---- */

static bool is_routed(const struct network *network, const struct endpoint *endpoint, int family)
{
	return endpoint_prefix(endpoint, family) && network_routes(network, family);
}

/* What is named of the host, where there is nothing of the host about it. */
static int check_routed(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
			const struct port_request *request)
{
	const struct port *port = &request->port;
	const struct addr *host = &port->host_addr;
	bool alone = is_routed(network, endpoint, AF_INET) != !endpoint_prefix(endpoint, AF_INET) &&
		     is_routed(network, endpoint, AF_INET6) != !endpoint_prefix(endpoint, AF_INET6);
	char text[PORT_TEXT_MAX];

	if (addr_is_set(host) && !addr_is_unspecified(host) &&
	    is_routed(network, endpoint, host->family))
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "port %s asks for an address of the host, but network %s routes "
				 "%s: endpoint %s is reached at its own address, by everybody; "
				 "leave the address out",
				 port_format(port, text), network->name, family_name(host->family),
				 endpoint->id);
	if (port->interface[0] &&
	    (is_routed(network, endpoint, AF_INET) || is_routed(network, endpoint, AF_INET6)))
		return error_set(
			&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
			"port %s asks for an interface of the host, but network %s is routed: "
			"endpoint %s is reached at its own address, by everybody; leave the "
			"interface out",
			port_format(port, text), network->name, endpoint->id);
	if (!alone || !port->host_port ||
	    (port->host_port == port->container_port && !request->host_range_last))
		return 0;
	return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
			 "port %s asks for another port of the host, but network %s is routed: "
			 "endpoint %s is reached at its own address, at port %u; leave the host "
			 "port out",
			 port_format(port, text), network->name, endpoint->id,
			 port->container_port);
}

/* *port, of the request: which families hold no port of the host. True: none does, and there is
 * none to be picked. */
static bool route_port(const struct network *network, const struct endpoint *endpoint,
		       struct port *port)
{
	struct port side;

	port->routed = (uint8_t)((is_routed(network, endpoint, AF_INET) ? PORT_ROUTED_IPV4 : 0) |
				 (is_routed(network, endpoint, AF_INET6) ? PORT_ROUTED_IPV6 : 0));
	if (!port->routed || port_host_side(port, endpoint, &side))
		return false;
	port->routed = PORT_ROUTED_IPV4 | PORT_ROUTED_IPV6;
	port->host_port = port->container_port;
	return true;
}

bool ports_have_picks(const struct port_request *requests, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (port_is_pick(&requests[i]))
			return true;
	return false;
}

void port_set_owner(struct port *port, const struct endpoint *endpoint)
{
	string_copy(port->network, sizeof(port->network), endpoint->network);
	string_copy(port->endpoint, sizeof(port->endpoint), endpoint->id);
}

int ports_take_over(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		    struct port *port)
{
	const struct port_request request = { .port = *port };
	int r;

	port_set_owner(port, endpoint);
	r = check_port(ctx, network, endpoint, port);
	if (r >= 0)
		r = check_routed(ctx, network, endpoint, &request);
	if (r >= 0)
		route_port(network, endpoint, port);
	return r;
}

/* ---- choosing ---- */

/* What can't be chosen of a protocol and an address. */
struct pool {
	uint8_t protocol;
	struct addr host_addr;
	/* by the state, by this request, or by a process, as a trial has shown */
	uint8_t taken[PORT_BITS];
	/* Reserved in the kernel; after a trial that failed also what any socket has, on whatever
	 * address, which is left alone as long as there are others. */
	uint8_t avoid[PORT_BITS];
	bool listed;
};

/* The choice for one request. */
struct choice {
	const struct network *network;
	const struct endpoint *endpoint;
	port_vector *ports; /* with host port 0 where none is chosen yet */
	VECTOR(struct pool *) pools;
	struct ephemeral_ports ephemeral;
	uint32_t next; /* where the search of that range goes on */
};

static void choice_clear(struct choice *choice)
{
	for (size_t i = 0; i < choice->pools.len; i++)
		free(choice->pools.items[i]);
	free(choice->pools.items);
}

static void pool_take(struct pool *pool, const struct port *port)
{
	const struct port probe = { .protocol = pool->protocol,
				    .host_addr = pool->host_addr,
				    .host_port = port->host_port,
				    .count = port->count };

	if (port_collides(&probe, port))
		port_bits_set(pool->taken, port->host_port, port->count);
}

static int pool_new(bn_ctx *ctx, struct choice *choice, const struct port *port,
		    struct pool **ret_pool)
{
	CLEANUP_FREE struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool || vector_reserve(&choice->pools, 1) < 0)
		return error_oom(&ctx->error);
	pool->protocol = port->protocol;
	pool->host_addr = port->host_addr;
	memcpy(pool->avoid, choice->ephemeral.reserved, sizeof(pool->avoid));
	r = store_ports_taken(ctx->store, port->protocol, &port->host_addr, pool->taken,
			      &ctx->error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < choice->ports->len; i++)
		pool_take(pool, &choice->ports->items[i]);
	*ret_pool = *vector_push(&choice->pools) = TAKE_POINTER(pool);
	return 0;
}

static int pool_of(bn_ctx *ctx, struct choice *choice, const struct port *port,
		   struct pool **ret_pool)
{
	for (size_t i = 0; i < choice->pools.len; i++) {
		struct pool *pool = choice->pools.items[i];

		if (pool->protocol == port->protocol &&
		    addr_compare(&pool->host_addr, &port->host_addr) == 0) {
			*ret_pool = pool;
			return 0;
		}
	}
	return pool_new(ctx, choice, port, ret_pool);
}

/* 1: no process of the host uses it, 0: one does, negative: error. */
static int try_port(bn_ctx *ctx, const struct port *side)
{
	int r = hostport_check(side, 1, HOSTPORT_ANY, &ctx->deadline, &ctx->error);

	if (r != -EADDRINUSE)
		return r < 0 ? r : 1;
	error_clear(&ctx->error);
	return 0;
}

/* The pool learns which of the ports a process has. */
static int find_used(bn_ctx *ctx, struct pool *pool, struct port side)
{
	uint32_t end = (uint32_t)side.host_port + side.count;
	int r = 0;

	if (!pool->listed)
		link_used_ports(pool->protocol, &ctx->deadline, pool->avoid);
	pool->listed = true;
	if (side.count == 1)
		port_bits_set(pool->taken, side.host_port, 1);
	for (uint32_t number = side.host_port; side.count > 1 && number < end && r >= 0; number++) {
		const struct port one = { .protocol = side.protocol,
					  .host_addr = side.host_addr,
					  .host_port = (uint16_t)number,
					  .count = 1 };

		r = try_port(ctx, &one);
		if (r == 0)
			port_bits_set(pool->taken, number, 1);
	}
	return r < 0 ? r : 0;
}

/* 1 and port->host_port, the first of first..last that is free; 0: none is. */
static int pick_between(bn_ctx *ctx, const struct choice *choice, struct pool *pool,
			const uint8_t *avoid, uint32_t first, uint32_t last, struct port *port)
{
	struct port side;
	int r;

	port_host_side(port, choice->endpoint, &side);

	while (first + side.count - 1 <= last) {
		uint32_t stop = port_bits_last(pool->taken, first, side.count);

		if (!stop && avoid)
			stop = port_bits_last(avoid, first, side.count);
		if (stop) {
			first = stop + 1;
			continue;
		}
		side.host_port = (uint16_t)first;
		r = try_port(ctx, &side);
		if (r > 0)
			port->host_port = side.host_port;
		if (r != 0)
			return r;
		r = find_used(ctx, pool, side);
		if (r < 0)
			return r;
		/* or what was in the way has gone meanwhile */
		first++;
	}
	return 0;
}

static int pick_in_range(bn_ctx *ctx, const struct choice *choice, struct pool *pool,
			 const struct port_request *request, struct port *port)
{
	uint32_t first = request->port.host_port, last = request->host_range_last;
	int r = pick_between(ctx, choice, pool, NULL, first, last, port);

	if (r != 0)
		return r < 0 ? r : 0;
	return error_set(&ctx->error, -ENOSPC, BN_REASON_PORT_NONE_FREE,
			 "none of the host ports %u-%u is free; give a wider range", first, last);
}

static int pick_ephemeral(bn_ctx *ctx, struct choice *choice, struct pool *pool, struct port *port)
{
	const struct ephemeral_ports *range = &choice->ephemeral;
	const uint8_t *const avoid[] = { pool->avoid, range->reserved };
	uint32_t wrapped = choice->next + port->count - 2;
	int r = 0;

	if (wrapped > range->last)
		wrapped = range->last;
	for (size_t i = 0; i < ARRAY_SIZE(avoid) && r == 0; i++) {
		r = pick_between(ctx, choice, pool, avoid[i], choice->next, range->last, port);
		if (r == 0)
			r = pick_between(ctx, choice, pool, avoid[i], range->first, wrapped, port);
	}
	if (r == 0)
		return error_set(&ctx->error, -ENOSPC, BN_REASON_PORT_NONE_FREE,
				 "no port between %u and %u is free on the host; name a host port",
				 range->first, range->last);
	if (r < 0)
		return r;
	choice->next = (uint32_t)port->host_port + port->count;
	if (choice->next > range->last)
		choice->next = range->first;
	return 0;
}

/* Where the last call's search ended. */
static int choice_begin(bn_ctx *ctx, struct choice *choice)
{
	const struct ephemeral_ports *range = &choice->ephemeral;
	char text[META_MAX];
	uint32_t last = 0;
	int r;

	r = hostport_ephemeral(&choice->ephemeral, &ctx->error);
	if (r >= 0)
		r = store_meta_get(ctx->store, "port.last", text, &ctx->error);
	if (r < 0)
		return r;
	sscanf(text, "%u", &last);
	choice->next = last < range->first || last >= range->last ? range->first : last + 1;
	return 0;
}

static int pick_port(bn_ctx *ctx, struct choice *choice, const struct port_request *request,
		     struct port *port)
{
	struct pool *pool = NULL;
	int r;

	r = pool_of(ctx, choice, port, &pool);
	if (r < 0)
		return r;
	r = request->host_range_last ? pick_in_range(ctx, choice, pool, request, port) :
				       pick_ephemeral(ctx, choice, pool, port);
	for (size_t i = 0; i < choice->pools.len && r >= 0; i++)
		pool_take(choice->pools.items[i], port);
	return r;
}

/* What is asked for, as mappings; a host port that is to be picked is 0. *picks: which requests
 * they are of. */
static int name_ports(bn_ctx *ctx, const struct choice *choice, const struct port_request *requests,
		      size_t len, uint32_t flags, const struct port_request **picks)
{
	const struct endpoint *endpoint = choice->endpoint;
	port_vector *ports = choice->ports;
	bool has_none = !endpoint_has_address(endpoint);
	int r = 0;

	for (size_t i = 0; i < len && r >= 0; i++) {
		struct port *port;

		if (flags & BN_PUBLISH_SKIP_FAMILY && !has_none &&
		    is_for_another(endpoint, &requests[i].port))
			continue;
		picks[ports->len] = port_is_pick(&requests[i]) ? &requests[i] : NULL;
		port = vector_push(ports);
		port_copy(port, &requests[i].port);
		port_set_owner(port, endpoint);
		port->over_listener = flags & BN_PUBLISH_OVER_LISTENER;
		if (!port_names_host(port))
			port->host_addr = *network_bind(choice->network);
		r = check_port(ctx, choice->network, endpoint, port);
		if (r >= 0)
			r = check_routed(ctx, choice->network, endpoint, &requests[i]);
		if (route_port(choice->network, endpoint, port))
			picks[ports->len - 1] = NULL;
		else if (port_is_pick(&requests[i]))
			port->host_port = 0;
	}
	return r;
}

int ports_choose(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		 const struct port_request *requests, size_t len, uint32_t flags,
		 port_vector *ret_ports)
{
	CLEANUP(choice_clear)
	struct choice choice = { .network = network, .endpoint = endpoint, .ports = ret_ports };
	CLEANUP_FREE const struct port_request **picks = calloc(len + 1, sizeof(*picks));
	int r;

	if (!picks || vector_reserve(ret_ports, len) < 0)
		return error_oom(&ctx->error);
	r = name_ports(ctx, &choice, requests, len, flags, picks);
	if (r >= 0 && ports_have_picks(requests, len))
		r = choice_begin(ctx, &choice);
	/* What is named stands by now, so that none of it is picked for another; and what has a
	 * range comes before what may be any. */
	for (int any = 0; any <= 1 && r >= 0; any++)
		for (size_t i = 0; i < ret_ports->len && r >= 0; i++)
			if (picks[i] && (picks[i]->host_range_last == 0) == any)
				r = pick_port(ctx, &choice, picks[i], &ret_ports->items[i]);
	return r;
}

int ports_reserve(bn_ctx *ctx, const struct operation *operation, const struct network *network,
		  const struct port_request *requests, size_t len, const port_vector *ports)
{
	const struct port *picked = NULL;
	char last[META_MAX];
	int r;

	r = opened_check_added(ctx, network, ports);
	if (r < 0)
		return r;
	r = store_ports_insert(ctx->store, operation, ports->items, ports->len, &ctx->error);
	/* they are in the same order, but some may have been passed over */
	for (size_t i = 0, port = 0; i < len && port < ports->len; i++) {
		if (port_request_find(&requests[i], network_bind(network), &ports->items[port], 1,
				      0) != 0)
			continue;
		if (!requests[i].port.host_port &&
		    ports->items[port].routed != (PORT_ROUTED_IPV4 | PORT_ROUTED_IPV6))
			picked = &ports->items[port];
		port++;
	}
	if (r < 0 || !picked)
		return r;
	snprintf(last, sizeof(last), "%u", picked->host_port + picked->count - 1u);
	return store_meta_set(ctx->store, "port.last", last, &ctx->error);
}

static enum hostport_rule rule_of(uint32_t flags)
{
	return flags & BN_PUBLISH_OVER_LISTENER ? HOSTPORT_NONE : HOSTPORT_LISTENERS;
}

int ports_probe(bn_ctx *ctx, const struct endpoint *endpoint, const port_vector *ports,
		uint32_t flags, held_vector *ret_held)
{
	CLEANUP_FREE struct port *sides = calloc(ports->len + 1, sizeof(*sides));
	bool hold = flags & BN_PUBLISH_HOLD_PORTS;
	size_t len = 0;
	int r;

	if (!sides || (hold && vector_reserve(ret_held, ports->len) < 0))
		return error_oom(&ctx->error);
	for (size_t i = 0; i < ports->len; i++)
		len += port_host_side(&ports->items[i], endpoint, &sides[len]);
	r = len ? hostport_check(sides, len, rule_of(flags), &ctx->deadline, &ctx->error) : 0;
	for (size_t i = 0; hold && i < ports->len && r >= 0; i++) {
		fd_vector *fds = vector_push(ret_held);
		struct port side;

		if (port_host_side(&ports->items[i], endpoint, &side))
			r = hostport_hold(&side, &ctx->deadline, fds, &ctx->error);
	}
	return r;
}
