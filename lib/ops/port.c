/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/port.h"

#include <errno.h>
#include <stdio.h>

#include "base/fault.h"
#include "ops/operation.h"
#include "ops/rules.h"

void published_clear(struct published *published)
{
	for (size_t i = 0; published->fds && i < published->ports.len; i++) {
		for (size_t j = 0; j < published->fds[i].len; j++)
			cleanup_close(&published->fds[i].items[j]);
		free(published->fds[i].items);
	}
	free(published->fds);
	published->fds = NULL;
	ports_clear(&published->ports);
}

/* ---- what is asked ---- */

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
	r = hostport_check(&side, 1, &ctx->error);
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

static void own(struct port *port, const struct endpoint *endpoint)
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
			own(port, endpoint);
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
		struct published *ret_published)
{
	CLEANUP_FREE struct port *sides = calloc(ports->len + 1, sizeof(*sides));
	int r;

	if (!sides)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < ports->len; i++)
		sides[i] = host_side(endpoint, &ports->items[i]);
	r = ports->len ? hostport_check(sides, ports->len, &ctx->error) : 0;
	if (r < 0 || !hold || !ports->len)
		return r;
	ret_published->fds = calloc(ports->len, sizeof(*ret_published->fds));
	if (!ret_published->fds)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < ports->len && r >= 0; i++)
		r = hostport_hold(&sides[i], &ret_published->fds[i], &ctx->error);
	return r;
}

/* ---- publish ---- */

/* One publish on its way. */
struct publish {
	const char *network, *id;
	const struct port_request *requests;
	size_t len;
	struct endpoint endpoint;
	struct operation operation;
};

static int choose(bn_ctx *ctx, struct publish *publish, port_vector *ports)
{
	int r;

	endpoint_clear(&publish->endpoint);
	r = ops_endpoint_get(ctx, publish->network, publish->id, &publish->endpoint);
	if (r >= 0)
		r = ports_choose(ctx, &publish->endpoint, publish->requests, publish->len, ports);
	return r;
}

/* Picking a port takes trial binds, which must not keep other writers waiting; without any, all
 * that is read is read in the transaction, where it costs least. */
static int reserve_once(bn_ctx *ctx, struct publish *publish, bool picks, port_vector *ports)
{
	int r;

	r = picks ? choose(ctx, publish, ports) : 0;
	if (r >= 0)
		r = operation_begin(ctx, OPERATION_PUBLISH, &publish->operation);
	if (r >= 0 && !picks)
		r = choose(ctx, publish, ports);
	if (r >= 0)
		r = ports_reserve(ctx, &publish->operation, ports, picks);
	if (r >= 0)
		r = FAULT("publish.reserve");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

static int reserve(bn_ctx *ctx, struct publish *publish, port_vector *ports)
{
	bool picks = ports_have_picks(publish->requests, publish->len);
	int r;

	for (int tries = 0;; tries++) {
		r = reserve_once(ctx, publish, picks, ports);
		if (r != -EADDRINUSE || !picks || tries == PICK_TRIES)
			return r;
		ports->len = 0;
	}
}

static int build(bn_ctx *ctx, const struct endpoint *endpoint, bool hold,
		 struct published *published)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	const port_vector *ports = &published->ports;
	int r;

	r = ports_probe(ctx, endpoint, ports, hold, published);
	if (r >= 0)
		r = FAULT("publish.rules");
	if (r >= 0)
		r = rules_plan_ports(ctx, endpoint, ports->items, ports->len, &rules);
	if (r >= 0)
		r = rules_add(ctx, &rules);
	if (r < 0)
		return r;
	r = FAULT("publish.flows");
	if (r >= 0)
		r = rules_drop_flows(ctx, endpoint, 1, ports->items, ports->len, true);
	if (r < 0)
		rules_undo_add(ctx, &rules);
	return r;
}

static int build_and_settle(bn_ctx *ctx, const struct publish *publish, bool hold,
			    struct published *published)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = build(ctx, &publish->endpoint, hold, published);
	if (r < 0)
		return r;
	r = operation_settle(ctx, &publish->operation);
	if (r < 0 && rules_plan_ports(ctx, &publish->endpoint, published->ports.items,
				      published->ports.len, &rules) >= 0)
		rules_undo_add(ctx, &rules);
	return r;
}

int ops_publish(bn_ctx *ctx, const char *network, const char *id,
		const struct port_request *requests, size_t len, bool hold,
		struct published *ret_published)
{
	CLEANUP(published_clear) struct published published = { 0 };
	struct publish publish = {
		.network = network,
		.id = id,
		.requests = requests,
		.len = len,
	};
	int r;

	r = reserve(ctx, &publish, &published.ports);
	if (r >= 0) {
		r = build_and_settle(ctx, &publish, hold, &published);
		if (r < 0)
			operation_abandon(ctx, &publish.operation);
	}
	endpoint_clear(&publish.endpoint);
	if (r < 0)
		return r;
	*ret_published = published;
	published = (struct published){ 0 };
	return 0;
}

/* ---- unpublish ---- */

/* A request without a host port means the endpoint's mapping to that container port. */
static int find_port(bn_ctx *ctx, const struct endpoint *endpoint, struct port *port)
{
	CLEANUP(ports_clear) port_vector existing = { 0 };
	int r;

	r = store_ports(ctx->store, endpoint->network, endpoint->id, 0, &existing, &ctx->error);
	for (size_t i = 0; i < existing.len && r >= 0; i++)
		if (existing.items[i].protocol == port->protocol &&
		    existing.items[i].container_port == port->container_port &&
		    existing.items[i].count == port->count &&
		    addr_compare(&existing.items[i].host_addr, &port->host_addr) == 0) {
			port->host_port = existing.items[i].host_port;
			return 0;
		}
	if (r < 0)
		return r;
	return error_set(&ctx->error, -ENOENT, BN_REASON_PORT_UNKNOWN,
			 "endpoint %s of network %s publishes no port to %u/%s; list its ports",
			 endpoint->id, endpoint->network, port->container_port,
			 protocol_name(port->protocol));
}

static int compare_host_side(const void *left, const void *right)
{
	const struct port *a = left, *b = right;
	int order = (int)a->protocol - (int)b->protocol;

	if (!order)
		order = addr_compare(&a->host_addr, &b->host_addr);
	if (!order)
		order = (int)a->host_port - (int)b->host_port;
	if (!order)
		order = (int)a->container_port - (int)b->container_port;
	return order ? order : (int)a->count - (int)b->count;
}

/* What is named twice is meant once. */
static void drop_repeats(port_vector *ports)
{
	size_t kept = 0;

	if (ports->len)
		qsort(ports->items, ports->len, sizeof(*ports->items), compare_host_side);
	for (size_t i = 0; i < ports->len; i++)
		if (!kept || compare_host_side(&ports->items[kept - 1], &ports->items[i]) != 0)
			ports->items[kept++] = ports->items[i];
	ports->len = kept;
}

static int name_ports(bn_ctx *ctx, const struct publish *publish, bool missing_ok,
		      port_vector *ret_ports)
{
	struct port *port;
	int r = 0;

	if (vector_reserve(ret_ports, publish->len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < publish->len && r >= 0; i++) {
		port = vector_push(ret_ports);
		*port = publish->requests[i].port;
		own(port, &publish->endpoint);
		if (!port->host_port)
			r = find_port(ctx, &publish->endpoint, port);
		if (r == -ENOENT && missing_ok) {
			error_clear(&ctx->error);
			ret_ports->len--;
			r = 0;
		}
	}
	drop_repeats(ret_ports);
	return r;
}

/* Marks those that exist; with missing_ok the others leave the list. */
static int mark(bn_ctx *ctx, const struct operation *operation, bool missing_ok, port_vector *ports)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < ports->len && r >= 0; i++) {
		r = store_port_mark(ctx->store, operation, &ports->items[i], &ctx->error);
		if (r >= 0) {
			ports->items[kept++] = ports->items[i];
		} else if (r == -ENOENT && missing_ok) {
			error_clear(&ctx->error);
			r = 0;
		}
	}
	ports->len = kept;
	return r;
}

static int reserve_removal(bn_ctx *ctx, struct publish *publish, bool missing_ok,
			   port_vector *ports)
{
	int r;

	r = operation_begin(ctx, OPERATION_UNPUBLISH, &publish->operation);
	if (r >= 0)
		r = ops_endpoint_get(ctx, publish->network, publish->id, &publish->endpoint);
	if (r >= 0)
		r = name_ports(ctx, publish, missing_ok, ports);
	if (r >= 0)
		r = mark(ctx, &publish->operation, missing_ok, ports);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

static int remove_and_settle(bn_ctx *ctx, const struct publish *publish, const port_vector *ports)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = rules_plan_ports(ctx, &publish->endpoint, ports->items, ports->len, &rules);
	if (r >= 0)
		r = rules_remove(ctx, &rules);
	if (r >= 0) {
		r = rules_drop_flows(ctx, &publish->endpoint, 1, ports->items, ports->len, false);
		if (r < 0)
			rules_undo_remove(ctx, &rules);
	}
	if (r < 0) {
		operation_abandon(ctx, &publish->operation);
		return r;
	}
	return operation_settle(ctx, &publish->operation);
}

int ops_unpublish(bn_ctx *ctx, const char *network, const char *id,
		  const struct port_request *requests, size_t len, uint32_t flags)
{
	CLEANUP(ports_clear) port_vector ports = { 0 };
	struct publish publish = {
		.network = network,
		.id = id,
		.requests = requests,
		.len = len,
	};
	bool missing_ok = flags & BN_UNPUBLISH_MISSING_OK;
	int r;

	r = reserve_removal(ctx, &publish, missing_ok, &ports);
	if (r >= 0) {
		r = remove_and_settle(ctx, &publish, &ports);
	} else if (r == -ENOENT && missing_ok) {
		error_clear(&ctx->error);
		r = 0;
	}
	endpoint_clear(&publish.endpoint);
	return r;
}
