/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of an endpoint's mappings are meant by requests. */
#include <errno.h>
#include <stdio.h>

#include "model/policy.h"
#include "ops/ports.h"

#define NAMED_MAX 4 /* mappings that a sentence names */

static int several_error(bn_ctx *ctx, const struct endpoint *endpoint, const struct addr *bind,
			 const struct port_request *request, const port_vector *existing,
			 size_t first)
{
	char asked[PORT_TEXT_MAX], names[NAMED_MAX * (PORT_TEXT_MAX + 2) + 1] = "";
	char text[PORT_TEXT_MAX], *end = names;
	size_t found = 0;

	for (size_t i = first; i < existing->len;
	     i = port_request_find(request, bind, existing->items, existing->len, i + 1)) {
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

int ports_find(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	       const struct port_request *request, const port_vector *existing,
	       struct port *ret_port)
{
	const struct addr *bind = network_bind(network);
	size_t len = existing->len,
	       first = port_request_find(request, bind, existing->items, len, 0);

	/* there is one such mapping at most, and whether it is there the state says */
	if (!port_is_pick(request)) {
		*ret_port = request->port;
		if (first < len)
			ret_port->host_addr = existing->items[first].host_addr;
		ret_port->options = NULL;
		port_set_owner(ret_port, endpoint);
		return 0;
	}
	if (first == len)
		return error_set(&ctx->error, -ENOENT, BN_REASON_PORT_UNKNOWN,
				 "endpoint %s of network %s publishes no port to %u/%s that way; "
				 "list its ports",
				 endpoint->id, endpoint->network, request->port.container_port,
				 protocol_name(request->port.protocol));
	if (port_request_find(request, bind, existing->items, len, first + 1) < len)
		return several_error(ctx, endpoint, bind, request, existing, first);
	*ret_port = existing->items[first];
	ret_port->options = NULL;
	return 0;
}

static int compare_host_side(const void *left, const void *right)
{
	const struct port *a = left, *b = right;
	int order = (int)a->protocol - (int)b->protocol;

	if (!order)
		order = port_host_compare(a, b);
	if (!order)
		order = (int)a->host_port - (int)b->host_port;
	if (!order)
		order = (int)a->container_port - (int)b->container_port;
	return order ? order : (int)a->count - (int)b->count;
}

static bool is_in_order(const port_vector *ports)
{
	for (size_t i = 1; i < ports->len; i++)
		if (compare_host_side(&ports->items[i - 1], &ports->items[i]) >= 0)
			return false;
	return true;
}

/* What is named twice is meant once. */
static void drop_repeats(port_vector *ports)
{
	size_t kept = 0;

	if (is_in_order(ports))
		return;
	if (ports->len)
		qsort(ports->items, ports->len, sizeof(*ports->items), compare_host_side);
	for (size_t i = 0; i < ports->len; i++)
		if (!kept || compare_host_side(&ports->items[kept - 1], &ports->items[i]) != 0)
			ports->items[kept++] = ports->items[i];
	ports->len = kept;
}

int ports_name(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	       const struct port_request *requests, size_t len, bool missing_ok, port_vector *ports)
{
	CLEANUP(ports_clear) port_vector existing = { 0 };
	int r = 0;

	if (!requests || addr_is_set(network_bind(network)) || ports_have_picks(requests, len))
		r = store_ports(ctx->store, endpoint->network, endpoint->id, 0, &existing,
				&ctx->error);
	if (!requests)
		len = existing.len;
	if (r >= 0 && vector_reserve(ports, len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < len && r >= 0; i++) {
		struct port *port = vector_push(ports);

		if (!requests) {
			*port = existing.items[i];
			port->options = NULL;
			continue;
		}
		r = ports_find(ctx, network, endpoint, &requests[i], &existing, port);
		if (r == -ENOENT && missing_ok) {
			error_clear(&ctx->error);
			ports->len--;
			r = 0;
		}
	}
	drop_repeats(ports);
	return r;
}
