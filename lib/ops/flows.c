/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/flows.h"

#include <errno.h>

#include "model/policy.h"
#include "model/port.h"

typedef VECTOR(struct flow_filter) filter_vector;

static int add_endpoints(const struct rows *rows, filter_vector *filters)
{
	for (size_t i = 0; i < rows->endpoints.len; i++) {
		for_each_family(family)
			for_each_address(address, &rows->endpoints.items[i], family) {
				const struct flow_filter filter = {
					.kind = FLOWS_OF_ADDRESS,
					.to = address->addr,
				};

				if (vector_append(filters, filter) < 0)
					return -ENOMEM;
			}
	}
	return 0;
}

static const struct network *network_of(const struct rows *rows, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, endpoint->network) == 0)
			return &rows->networks.items[i];
	return NULL;
}

/* Of a routed network there is nothing that leads a flow: it goes to the endpoint by itself. */
static bool fill_filter(const struct rows *rows, const struct port *port,
			const struct endpoint *endpoint, const struct addr *address,
			struct flow_filter *filter)
{
	const struct network *network = network_of(rows, endpoint);

	filter->to = *address;
	filter->protocol = port->protocol;
	filter->host_addr = port->host_addr;
	filter->host_port = port->host_port;
	filter->count = port->count;
	filter->to_port = port->container_port;
	if (!network || !network_routes(network, address->family))
		return true;
	if (filter->kind != FLOWS_OF_MAPPING)
		return false;
	filter->kind = FLOWS_STRAIGHT;
	filter->host_addr = filter->to;
	filter->host_port = port->container_port;
	return true;
}

static int add_port(const struct rows *rows, const struct port *port,
		    const struct endpoint *endpoint, enum flow_kind kind, filter_vector *filters)
{
	for_each_family(family)
		for_each_address(address, endpoint, family) {
			struct flow_filter filter = { .kind = kind };

			if (!port_has_family(port, family) ||
			    !fill_filter(rows, port, endpoint, &address->addr, &filter))
				continue;
			if (vector_append(filters, filter) < 0)
				return -ENOMEM;
			/* it is the first that a port leads to, where it leads anywhere */
			if (filter.kind != FLOWS_STRAIGHT)
				break;
		}
	return 0;
}

/* protocol 0: all */
static int add_ports(const struct rows *rows, enum flow_kind kind, uint8_t protocol,
		     filter_vector *filters)
{
	const endpoint_vector *endpoints = &rows->endpoints;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < rows->ports.len && r >= 0; i++) {
		const struct port *port = &rows->ports.items[i];
		size_t tries = 0;

		if (protocol && port->protocol != protocol)
			continue;
		/* neighbours mostly belong to the same */
		while (tries++ < endpoints->len && !port_is_of(port, &endpoints->items[at]))
			at = (at + 1) % endpoints->len;
		if (tries <= endpoints->len)
			r = add_port(rows, port, &endpoints->items[at], kind, filters);
	}
	return r;
}

/* r: of what has made the filters. */
static int drop_filtered(bn_ctx *ctx, const filter_vector *filters, const prefix_vector *local,
			 int r)
{
	if (r < 0)
		return error_oom(&ctx->error);
	return conntrack_drop_flows(&ctx->conntrack, filters->items, filters->len, local->items,
				    local->len, &ctx->deadline, &ctx->error);
}

/* TCP ends by itself: the host, or whatever the flow went to, does not know of the connection. */
int flows_drop_led_away(bn_ctx *ctx, const struct rows *rows, prefix_vector *ret_local)
{
	CLEANUP_VECTOR filter_vector filters = { 0 };
	int r = add_ports(rows, FLOWS_LED_AWAY, IPPROTO_UDP, &filters);

	if (r >= 0 && filters.len) {
		r = link_local_prefixes(ctx->link, ret_local, &ctx->error);
		if (r < 0)
			return r;
	}
	return drop_filtered(ctx, &filters, ret_local, r);
}

int flows_drop_past(bn_ctx *ctx, const struct rows *rows, const prefix_vector *local)
{
	CLEANUP_VECTOR filter_vector filters = { 0 };
	int r = add_ports(rows, FLOWS_PAST_MAPPING, IPPROTO_UDP, &filters);

	return drop_filtered(ctx, &filters, local, r);
}

/*
 * To look through all flows of the host is most of what an unpublish costs. A mapping counts each
 * connection that it leads, so that one which has counted nothing, as long as there was the port,
 * has none: but for those that somebody has put into the table without a packet, of which the
 * kernel tells that there were any, and where somebody has set the counters of our elements to 0
 * (nft reset, of which it tells nothing).
 */
static bool ports_have_none(bn_ctx *ctx, bool unmet)
{
	return unmet && conntrack_is_of_packets(&ctx->conntrack, &ctx->deadline);
}

static int drop_of_mappings(bn_ctx *ctx, const struct rows *rows, uint8_t protocol)
{
	CLEANUP_VECTOR filter_vector filters = { 0 };
	const prefix_vector none = { 0 };
	int r = add_ports(rows, FLOWS_OF_MAPPING, protocol, &filters);

	return drop_filtered(ctx, &filters, &none, r);
}

int flows_drop_ports(bn_ctx *ctx, const struct rows *rows, bool unmet)
{
	return ports_have_none(ctx, unmet) ? 0 : drop_of_mappings(ctx, rows, 0);
}

int flows_drop_moved(bn_ctx *ctx, const struct rows *rows)
{
	return drop_of_mappings(ctx, rows, IPPROTO_UDP);
}

int flows_drop_endpoints(bn_ctx *ctx, const struct rows *rows)
{
	CLEANUP_VECTOR filter_vector filters = { 0 };
	const prefix_vector none = { 0 };
	int r = add_endpoints(rows, &filters);

	return drop_filtered(ctx, &filters, &none, r);
}

/* ---- of what is lost ---- */

static bool is_same_filter(const struct flow_filter *a, const struct flow_filter *b)
{
	return a->kind == b->kind && addr_compare(&a->to, &b->to) == 0 &&
	       a->protocol == b->protocol && addr_compare(&a->host_addr, &b->host_addr) == 0 &&
	       a->host_port == b->host_port && a->count == b->count && a->to_port == b->to_port;
}

static void subtract(filter_vector *filters, const filter_vector *others)
{
	size_t kept = 0;

	for (size_t i = 0; i < filters->len; i++) {
		bool found = false;

		for (size_t j = 0; j < others->len && !found; j++)
			found = is_same_filter(&filters->items[i], &others->items[j]);
		if (!found)
			filters->items[kept++] = filters->items[i];
	}
	filters->len = kept;
}

static int add_all(const struct rows *rows, filter_vector *filters)
{
	int r = add_endpoints(rows, filters);

	return r < 0 ? r : add_ports(rows, FLOWS_OF_MAPPING, 0, filters);
}

int flows_drop_lost(bn_ctx *ctx, const struct rows *lost, const struct rows *standing)
{
	CLEANUP_VECTOR filter_vector filters = { 0 };
	CLEANUP_VECTOR filter_vector others = { 0 };
	const prefix_vector none = { 0 };
	int r = add_all(lost, &filters);

	if (r >= 0)
		r = add_all(standing, &others);
	if (r >= 0)
		subtract(&filters, &others);
	return drop_filtered(ctx, &filters, &none, r);
}
