/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the addresses of networks and endpoints are theirs alone, and flows go to no others. */
#include <errno.h>
#include <stdio.h>

#include "link/around.h"
#include "model/ipam.h"
#include "model/policy.h"
#include "model/port.h"
#include "ops/inspection.h"
#include "ops/rows.h"

/* ---- who has them ---- */

struct asked {
	const struct network *network;
	const struct endpoint *endpoint; /* NULL: it is the network's own */
};

struct address_look {
	VECTOR(struct link_holder) holders;
	VECTOR(struct asked) asked; /* of each */
	reach_vector reaches;       /* of everything alone */
};

static void look_clear(struct address_look *look)
{
	free(look->holders.items);
	free(look->asked.items);
	free(look->reaches.items);
}

static int add_holder(struct address_look *look, const struct asked *asked, const struct addr *addr,
		      uint32_t bridge)
{
	const struct link_holder holder = { .addr = *addr, .bridge = bridge };

	if (vector_append(&look->holders, holder) < 0)
		return -ENOMEM;
	return vector_append(&look->asked, *asked);
}

static int add_network(struct address_look *look, const struct network *network, uint32_t bridge)
{
	const struct asked asked = { network, NULL };
	int r = 0;

	for_each_family(family)
		for_each_subnet(subnet, network, family) {
			const struct addr *addr = subnet_host_addr(network, subnet);

			if (addr && r == 0)
				r = add_holder(look, &asked, addr, bridge);
		}
	return r;
}

static int add_endpoint(struct address_look *look, const struct network *network,
			const struct endpoint *endpoint, uint32_t bridge)
{
	const struct asked asked = { network, endpoint };
	int r = 0;

	for_each_family(family)
		for_each_address(prefix, endpoint, family)
			if (network_has_host(network, family) && r == 0)
				r = add_holder(look, &asked, &prefix->addr, bridge);
	return r;
}

static int collect(bn_ctx *ctx, const struct rows *rows, struct address_look *look)
{
	size_t at = 0;
	int r = 0;

	/* both are sorted by network */
	for (size_t i = 0; i < rows->networks.len && r == 0; i++) {
		const struct network *network = &rows->networks.items[i];
		uint32_t bridge =
			network_has_rules(network) ? link_index(ctx->link, network->bridge) : 0;

		while (at < rows->endpoints.len &&
		       strcmp(rows->endpoints.items[at].network, network->name) < 0)
			at++;
		if (!bridge)
			continue;
		r = add_network(look, network, bridge);
		for (; at < rows->endpoints.len && r == 0 &&
		       strcmp(rows->endpoints.items[at].network, network->name) == 0;
		     at++)
			r = add_endpoint(look, network, &rows->endpoints.items[at], bridge);
	}
	if (r < 0)
		return error_oom(&ctx->error);
	return link_holders_get(ctx->link, look->holders.items, look->holders.len, &ctx->error);
}

static int find_twice(bn_ctx *ctx, struct inspection *inspection, const struct asked *asked,
		      const struct addr *addr, const char *is)
{
	char text[ADDR_TEXT_MAX];
	const struct finding finding = {
		.code = FINDING_ADDRESS_TWICE,
		.network = asked->network->name,
		.endpoint = asked->endpoint ? asked->endpoint->id : NULL,
		.object = addr_format(addr, text),
		.is = is,
	};

	return inspection_find(ctx, inspection, &finding);
}

/* The bridge that lacks its address, or is down, is found otherwise: then what leads to more of the
 * world than the network has matches. */
static bool is_led_away(const struct asked *asked, const struct link_holder *holder)
{
	const struct subnet *subnet = network_subnet_with(asked->network, &holder->addr);

	return holder->is_routed && holder->interface && holder->interface != holder->bridge &&
	       (holder->is_local || (subnet && holder->matched >= subnet->prefix.len));
}

static int judge_holder(bn_ctx *ctx, struct inspection *inspection, const struct asked *asked,
			const struct link_holder *holder)
{
	char is[64], name[IFNAMSIZ], mac[MAC_TEXT_MAX];
	int r = 0;

	if (is_led_away(asked, holder) || (asked->endpoint && holder->is_local)) {
		link_name(ctx->link, holder->interface, name);
		snprintf(is, sizeof(is),
			 holder->is_local ? "the host has it on %s" : "the host has a route by %s",
			 name);
		r = find_twice(ctx, inspection, asked, &holder->addr, is);
	}
	if (r < 0 || !asked->endpoint || !holder->is_neighbour ||
	    memcmp(holder->mac, asked->endpoint->mac, MAC_LEN) == 0)
		return r;
	snprintf(is, sizeof(is), "%s answers for it on %s", mac_format(holder->mac, mac),
		 asked->network->bridge);
	return find_twice(ctx, inspection, asked, &holder->addr, is);
}

/* ---- what the host reaches by other ways ---- */

static int find_overlap(bn_ctx *ctx, struct inspection *inspection, const struct network *network,
			const struct prefix *subnet, const struct link_reach *reach)
{
	char object[PREFIX_TEXT_MAX], prefix[PREFIX_TEXT_MAX], name[IFNAMSIZ];
	char is[PREFIX_TEXT_MAX + IFNAMSIZ + 8];
	const struct finding finding = {
		.code = FINDING_SUBNET_OVERLAP,
		.network = network->name,
		.object = prefix_format(subnet, object),
		.is = is,
	};

	link_name(ctx->link, reach->interface, name);
	snprintf(is, sizeof(is), "%s%s%s", prefix_format(&reach->prefix, prefix),
		 name[0] ? " by " : "", name);
	return inspection_find(ctx, inspection, &finding);
}

/* Its bridge may be called otherwise by now. */
static int judge_reaches(bn_ctx *ctx, struct inspection *inspection, const reach_vector *reaches,
			 size_t at)
{
	const struct network *network = &inspection->rows.networks.items[at];
	uint32_t bridge = inspection->bridges[at].index;
	int r = 0;

	for (size_t i = 0; i < reaches->len && r >= 0; i++) {
		const struct link_reach *reach = &reaches->items[i];

		for_each_subnet(subnet, network, reach->prefix.addr.family)
			if (r >= 0 && reach->interface != bridge &&
			    ipam_route_blocks(&reach->prefix) &&
			    prefix_overlaps(&subnet->prefix, &reach->prefix))
				r = find_overlap(ctx, inspection, network, &subnet->prefix, reach);
	}
	return r;
}

static int look_at_reaches(bn_ctx *ctx, struct inspection *inspection, struct address_look *look)
{
	int r = link_reaches(ctx->link, &look->reaches, &ctx->error);

	for (size_t i = 0; i < inspection->rows.networks.len && r >= 0; i++)
		if (network_has_rules(&inspection->rows.networks.items[i]))
			r = judge_reaches(ctx, inspection, &look->reaches, i);
	return r;
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP(look_clear) struct address_look look = { 0 };
	int r = collect(ctx, &inspection->rows, &look);

	for (size_t i = 0; i < look.holders.len && r >= 0; i++)
		r = judge_holder(ctx, inspection, &look.asked.items[i], &look.holders.items[i]);
	if (r >= 0 && !inspection->network)
		r = look_at_reaches(ctx, inspection, &look);
	return r;
}

const struct inspector inspect_addresses = { "addresses", true, look, NULL, .is_apart = true };
