/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "model/ipam.h"

bool network_picks_subnet(const struct network_request *request)
{
	return (request->want_ipv4 && !request->ipv4.prefix.addr.family) ||
	       (request->want_ipv6 && !request->ipv6.prefix.addr.family);
}

static int push_prefix(prefix_vector *prefixes, const struct prefix *prefix)
{
	struct prefix *slot = vector_push(prefixes);

	if (!slot)
		return -ENOMEM;
	*slot = *prefix;
	return 0;
}

/* Subnets an automatic choice must keep away from: other networks' and what the host routes. */
static int taken_prefixes(bn_ctx *ctx, prefix_vector *taken)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	prefix_vector routed = { 0 };
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	for (size_t i = 0; i < networks.len && r >= 0; i++) {
		if (networks.items[i].ipv4.prefix.addr.family)
			r = push_prefix(taken, &networks.items[i].ipv4.prefix);
		if (r >= 0 && networks.items[i].ipv6.prefix.addr.family)
			r = push_prefix(taken, &networks.items[i].ipv6.prefix);
	}
	if (r >= 0)
		r = link_routed_prefixes(ctx->link, &routed, &ctx->error);
	for (size_t i = 0; i < routed.len && r >= 0; i++)
		if (ipam_route_blocks(&routed.items[i]))
			r = push_prefix(taken, &routed.items[i]);
	free(routed.items);
	return r == -ENOMEM ? error_oom(&ctx->error) : r;
}

/* The 40 random bits of this state's own fd00::/8 network (RFC 4193), chosen once. */
static int global_id_in_transaction(bn_ctx *ctx, uint8_t ret_id[static 5])
{
	char text[META_MAX];
	int r;

	r = store_meta_get(ctx->store, "ipv6.global-id", text, &ctx->error);
	if (r < 0)
		return r;
	if (sscanf(text, "%2hhx%2hhx%2hhx%2hhx%2hhx", &ret_id[0], &ret_id[1], &ret_id[2],
		   &ret_id[3], &ret_id[4]) == 5)
		return 0;
	if (getrandom(ret_id, 5, 0) != 5)
		return error_set(&ctx->error, -EIO, BN_REASON_KERNEL,
				 "the kernel gives no random bytes");
	snprintf(text, sizeof(text), "%02x%02x%02x%02x%02x", ret_id[0], ret_id[1], ret_id[2],
		 ret_id[3], ret_id[4]);
	return store_meta_set(ctx->store, "ipv6.global-id", text, &ctx->error);
}

static int ipv6_global_id(bn_ctx *ctx, uint8_t ret_id[static 5])
{
	int r;

	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = global_id_in_transaction(ctx, ret_id);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

static bool is_reserved(const struct network *network, const struct addr *addr)
{
	for (size_t i = 0; i < network->reserved.len; i++)
		if (addr_compare(&network->reserved.items[i], addr) == 0)
			return true;
	return false;
}

/* A gateway that nobody asked for keeps away from the reserved addresses. */
static int complete_subnet(bn_ctx *ctx, const struct network *network, struct subnet *subnet)
{
	bool chosen = !addr_is_set(&subnet->gateway);
	int r;

	if (!subnet->prefix.addr.family)
		return 0;
	r = ipam_complete_subnet(subnet, &ctx->error);
	while (r >= 0 && chosen && is_reserved(network, &subnet->gateway)) {
		if (!addr_add(&subnet->gateway, 1, &subnet->gateway))
			return error_set(&ctx->error, -ENOSPC, BN_REASON_ADDRESS_EXHAUSTED,
					 "every address of network %s is reserved; name a gateway",
					 network->name);
		r = ipam_complete_subnet(subnet, &ctx->error);
	}
	return r;
}

static int pick_subnets(bn_ctx *ctx, const struct network_request *request, struct network *network)
{
	prefix_vector taken = { 0 };
	uint8_t global_id[5];
	int r = 0;

	network->ipv4 = request->ipv4;
	network->ipv6 = request->ipv6;
	if (network_picks_subnet(request))
		r = taken_prefixes(ctx, &taken);
	if (r >= 0 && request->want_ipv4 && !network->ipv4.prefix.addr.family)
		r = ipam_pick_ipv4(taken.items, taken.len, &network->ipv4.prefix, &ctx->error);
	if (r >= 0 && request->want_ipv6 && !network->ipv6.prefix.addr.family) {
		r = ipv6_global_id(ctx, global_id);
		if (r >= 0)
			r = ipam_pick_ipv6(global_id, taken.items, taken.len, &network->ipv6.prefix,
					   &ctx->error);
	}
	free(taken.items);
	if (r >= 0)
		r = complete_subnet(ctx, network, &network->ipv4);
	if (r >= 0)
		r = complete_subnet(ctx, network, &network->ipv6);
	return r;
}

static int check_reserved(bn_ctx *ctx, const struct network *network)
{
	const struct subnet *subnet;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < network->reserved.len; i++) {
		subnet = network_subnet(network, network->reserved.items[i].family);
		if (!subnet || !prefix_contains(&subnet->prefix, &network->reserved.items[i]))
			return error_set(&ctx->error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
					 "reserved address %s is in no subnet of network %s",
					 addr_format(&network->reserved.items[i], text),
					 network->name);
	}
	return 0;
}

/* The default network has its id before it has a bridge. */
static int choose_id(bn_ctx *ctx, struct network *network)
{
	CLEANUP(network_clear) struct network builtin = { 0 };
	uint8_t bytes[32];
	int r;

	if (strcmp(network->name, DEFAULT_NETWORK) == 0) {
		r = store_network_get(ctx->store, DEFAULT_NETWORK, &builtin, &ctx->error);
		if (r >= 0)
			string_copy(network->id, sizeof(network->id), builtin.id);
		return r;
	}
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return error_set(&ctx->error, -EIO, BN_REASON_KERNEL,
				 "the kernel gives no random bytes for an id");
	id_format(bytes, network->id);
	return 0;
}

/* What is as it was asked. */
static int copy_request(bn_ctx *ctx, const struct network_request *request, struct network *network)
{
	string_copy(network->name, sizeof(network->name), request->name);
	network->driver = request->driver;
	network->mtu = request->mtu;
	if (vector_reserve(&network->reserved, request->reserved_len) < 0 ||
	    options_copy(&network->options, request->options) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < request->reserved_len; i++)
		*vector_push(&network->reserved) = request->reserved[i];
	return 0;
}

int network_resolve(bn_ctx *ctx, const struct network_request *request, struct network *network)
{
	int r;

	r = network_name_check(request->name, &ctx->error);
	if (r < 0)
		return r;
	if (strcmp(request->name, "host") == 0 || strcmp(request->name, "none") == 0 ||
	    strcmp(request->name, "default") == 0)
		return error_set(&ctx->error, -EEXIST, BN_REASON_NETWORK_BUILTIN,
				 "the name %s belongs to a built-in network; choose another",
				 request->name);
	r = copy_request(ctx, request, network);
	if (r >= 0)
		r = options_check(&network->options, OPTION_NETWORK, &network->policy, &ctx->error);
	if (r >= 0)
		r = choose_id(ctx, network);
	if (r >= 0)
		r = pick_subnets(ctx, request, network);
	if (r >= 0)
		r = check_reserved(ctx, network);
	if (r >= 0)
		r = driver_of(network)->network_resolve(ctx, request, network);
	if (r >= 0 && !network->mtu)
		r = link_default_mtu(ctx->link, &network->mtu, &ctx->error);
	return r;
}
