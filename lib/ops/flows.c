/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/flows.h"

#include <errno.h>

#include "model/port.h"

typedef VECTOR(struct flow_filter) filter_vector;

static int add_filters(const struct port *port, const struct endpoint *endpoint, bool published,
		       filter_vector *filters)
{
	struct flow_filter *filter;
	const struct prefix *address;

	for_each_family(family) {
		address = endpoint_prefix(endpoint, family);
		if (!address || !port_has_family(port, family))
			continue;
		filter = vector_push(filters);
		if (!filter)
			return -ENOMEM;
		*filter = (struct flow_filter){
			.host_addr = port->host_addr,
			.host_port = port->host_port,
			.count = port->count,
			.to = address->addr,
			.to_port = port->container_port,
			.published = published,
		};
	}
	return 0;
}

static int drop_filtered(bn_ctx *ctx, const filter_vector *filters)
{
	CLEANUP_FREE struct addr *local = NULL;
	prefix_vector addresses = { 0 };
	int r;

	r = link_local_addresses(ctx->link, &addresses, &ctx->error);
	if (r >= 0) {
		local = calloc(addresses.len + 1, sizeof(*local));
		r = local ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0) {
		for (size_t i = 0; i < addresses.len; i++)
			local[i] = addresses.items[i].addr;
		r = conntrack_drop_flows(filters->items, filters->len, local, addresses.len,
					 &ctx->deadline, &ctx->error);
	}
	free(addresses.items);
	return r;
}

int flows_drop(bn_ctx *ctx, const struct rows *rows, bool published)
{
	filter_vector filters = { 0 };
	int r = 0;

	for (size_t i = 0; i < rows->endpoints.len; i++)
		for (size_t j = 0; j < rows->ports.len && r >= 0; j++)
			if (rows->ports.items[j].protocol == IPPROTO_UDP &&
			    port_is_of(&rows->ports.items[j], &rows->endpoints.items[i]))
				r = add_filters(&rows->ports.items[j], &rows->endpoints.items[i],
						published, &filters);
	if (r < 0)
		error_oom(&ctx->error);
	else if (filters.len)
		r = drop_filtered(ctx, &filters);
	free(filters.items);
	return r;
}
