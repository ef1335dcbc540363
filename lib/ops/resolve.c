/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "model/ipam.h"
#include "model/policy.h"
#include "ops/persistent.h"

static const struct subnet *asked_subnets(const struct network_request *request, int family)
{
	return family == AF_INET ? request->ipv4_subnets : request->ipv6_subnets;
}

/* How many subnets it is to have: where it is to have any, and none is said, one. */
static size_t count_asked(const struct network_request *request, int family)
{
	size_t len = family == AF_INET ? request->ipv4_len : request->ipv6_len;

	return len ? len : family == AF_INET ? request->want_ipv4 : request->want_ipv6;
}

static bool picks(const struct network_request *request, int family)
{
	for (size_t i = 0; i < count_asked(request, family); i++)
		if (!asked_subnets(request, family)[i].prefix.addr.family)
			return true;
	return false;
}

/* What an automatic choice keeps away from of what the host has: a packet for a nameserver that
 * everybody there needs is not to end on a bridge. */
static int read_taken(bn_ctx *ctx, const struct network_request *request, prefix_vector *taken)
{
	CLEANUP_VECTOR addr_vector servers = { 0 };
	int r = 0;

	if (!picks(request, AF_INET) && !picks(request, AF_INET6))
		return 0;
	r = link_routed_prefixes(ctx->link, taken, &ctx->error);
	if (r >= 0)
		r = link_nameservers(&servers, &ctx->error);
	for (size_t i = 0; i < servers.len && r >= 0; i++) {
		const struct addr *addr = &servers.items[i];
		const struct prefix prefix = { *addr, (uint8_t)(addr_size(addr->family) * 8) };

		r = vector_append(taken, prefix) < 0 ? error_oom(&ctx->error) : 0;
	}
	return r;
}

/* Of those that were named: one that is picked keeps away from more. */
static int check_host_subnet(bn_ctx *ctx, const struct network_request *request,
			     const struct prefix *prefix)
{
	char subnet[PREFIX_TEXT_MAX], taken[PREFIX_TEXT_MAX];
	struct link_on_link found;
	int r = link_find_on_link(ctx->link, prefix, request->bridge, &found, &ctx->error);

	if (r <= 0)
		return r;
	return error_set(&ctx->error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
			 "subnet %s overlaps %s on the host's own interface %s; choose another, or "
			 "allow a subnet of the host's",
			 prefix_format(prefix, subnet), prefix_format(&found.prefix, taken),
			 found.interface);
}

static int check_host_subnets(bn_ctx *ctx, const struct network_request *request)
{
	int r = 0;

	for_each_family(family)
		for (size_t i = 0; i < count_asked(request, family) && r == 0; i++) {
			const struct prefix *prefix = &asked_subnets(request, family)[i].prefix;

			if (prefix->addr.family && !request->host_subnet_ok)
				r = check_host_subnet(ctx, request, prefix);
		}
	return r;
}

int host_view_read(bn_ctx *ctx, const struct network_request *request, struct host_view *view)
{
	int r = read_taken(ctx, request, &view->taken);

	if (r >= 0 && !request->mtu)
		r = link_default_mtu(ctx->link, request->want_ipv4 ? AF_INET : AF_INET6, &view->mtu,
				     &ctx->error);
	if (r >= 0) {
		r = check_host_subnets(ctx, request);
		view->has_subnet = r == -EADDRINUSE;
		if (r == -EADDRINUSE) {
			error_clear(&ctx->error);
			r = 0;
		}
	}
	return r;
}

void host_view_clear(struct host_view *view)
{
	free(view->taken.items);
	*view = (struct host_view){ 0 };
}

static int push_taken(prefix_vector *taken, const struct prefix *prefix)
{
	struct prefix masked = prefix_mask(prefix);

	return prefix->addr.family && ipam_route_blocks(prefix) ? vector_append(taken, masked) : 0;
}

/* Subnets an automatic choice must keep away from, in order: other networks' and what the host has.
 */
static int taken_prefixes(bn_ctx *ctx, const struct host_view *view, prefix_vector *taken)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);
	for (size_t i = 0; i < networks.len; i++)
		for_each_family(family)
			for_each_subnet(subnet, &networks.items[i], family)
				if (r >= 0)
					r = push_taken(taken, &subnet->prefix);
	for (size_t i = 0; i < view->taken.len && r >= 0; i++)
		r = push_taken(taken, &view->taken.items[i]);
	prefixes_sort(taken);
	return r == -ENOMEM ? error_oom(&ctx->error) : r;
}

/* The 40 random bits of this state's own fd00::/8 network (RFC 4193), chosen once. */
static int ipv6_global_id(bn_ctx *ctx, uint8_t ret_id[static 5])
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

/* The pools of the call, of the context, or the default ones; *ula is room for one. */
static int find_pools(bn_ctx *ctx, const struct network_request *request, int family,
		      struct subnet_pool *ula, const struct subnet_pool **ret_pools,
		      size_t *ret_len)
{
	const subnet_pool_vector *const given[] = { &request->pools, &ctx->policy.pools };
	uint8_t global_id[5];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		if (!pools_have_family(given[i], family))
			continue;
		*ret_pools = given[i]->items;
		*ret_len = given[i]->len;
		return 0;
	}
	if (family == AF_INET) {
		*ret_pools = default_pools_ipv4;
		*ret_len = default_pools_ipv4_len;
		return 0;
	}
	r = ipv6_global_id(ctx, global_id);
	if (r < 0)
		return r;
	*ula = pool_unique_local(global_id);
	*ret_pools = ula;
	*ret_len = 1;
	return 0;
}

static int pick_subnet(bn_ctx *ctx, const struct network_request *request, int family,
		       prefix_vector *taken, struct subnet *subnet)
{
	const struct subnet_pool *pools;
	struct subnet_pool ula;
	size_t len;
	int r = find_pools(ctx, request, family, &ula, &pools, &len);

	if (r >= 0)
		r = pool_pick(pools, len, family, subnet->prefix.len, taken, &subnet->prefix,
			      &ctx->error);
	if (r < 0)
		return r;
	/* the next one is another */
	if (push_taken(taken, &subnet->prefix) < 0)
		return error_oom(&ctx->error);
	prefixes_sort(taken);
	return 0;
}

/* Those that are named beside one that is picked: that keeps away from them, too. */
static int take_named(bn_ctx *ctx, const struct network_request *request, prefix_vector *taken)
{
	for_each_family(family)
		for (size_t i = 0; i < count_asked(request, family); i++)
			if (push_taken(taken, &asked_subnets(request, family)[i].prefix) < 0)
				return error_oom(&ctx->error);
	prefixes_sort(taken);
	return 0;
}

static int pick_subnets(bn_ctx *ctx, const struct network_request *request,
			const struct host_view *view, struct network *network)
{
	CLEANUP_VECTOR prefix_vector taken = { 0 };
	int r = 0;

	memcpy(network->ipv4_subnets, request->ipv4_subnets, sizeof(network->ipv4_subnets));
	memcpy(network->ipv6_subnets, request->ipv6_subnets, sizeof(network->ipv6_subnets));
	if (picks(request, AF_INET) || picks(request, AF_INET6)) {
		r = taken_prefixes(ctx, view, &taken);
		if (r >= 0)
			r = take_named(ctx, request, &taken);
	}
	for_each_family(family)
		for (size_t i = 0; i < count_asked(request, family) && r >= 0; i++) {
			struct subnet *subnet = &network_subnets(network, family)[i];

			if (!subnet->prefix.addr.family)
				r = pick_subnet(ctx, request, family, &taken, subnet);
			if (r >= 0)
				r = ipam_complete_subnet(network, subnet, &ctx->error);
		}
	return r < 0 ? r : ipam_check_subnets(network, &ctx->error);
}

static int check_reserved(bn_ctx *ctx, const struct network *network)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < network->reserved.len; i++) {
		if (!network_subnet_with(network, &network->reserved.items[i]))
			return error_set(&ctx->error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
					 "reserved address %s is in no subnet of network %s",
					 addr_format(&network->reserved.items[i], text),
					 network->name);
	}
	return 0;
}

int network_check_policy(bn_ctx *ctx, const struct network *network)
{
	int r = ipam_check_default_gateways(network, &ctx->error);

	if (r >= 0 && network_is_managed(network) && !network_subnet(network, AF_INET) &&
	    !network_subnet(network, AF_INET6))
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "network %s has neither IPv4 nor IPv6; ask for one, or for links "
				 "alone (managed=no)",
				 network->name);
	return r < 0 ? r : interface_prefix_check(network->policy.interface_prefix, &ctx->error);
}

int network_take_mtu(bn_ctx *ctx, struct network *network, bool given)
{
	const char *from = network->policy.mtu_from;
	uint32_t mtu;

	if (!from[0])
		return 0;
	if (given)
		return error_set(
			&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
			"network %s is to have an MTU of %u and that of %s (mtu-from); give "
			"one of the two",
			network->name, network->mtu, from);
	if (!link_mtu(ctx->link, from, &mtu))
		return error_set(&ctx->error, -ENODEV, BN_REASON_INVALID,
				 "the host has no interface %s, whose MTU network %s is to have "
				 "(mtu-from); name another",
				 from, network->name);
	/* lo has more than any other link can have */
	network->mtu = mtu < UINT16_MAX ? mtu : UINT16_MAX;
	return 0;
}

/* The name is free; the default network has its id before it has a bridge. */
static int choose_id(bn_ctx *ctx, const char *asked, struct network *network)
{
	uint8_t bytes[32];
	int r;

	r = store_network_check_name(ctx->store, network->name, network->id, &ctx->error);
	if (r < 0)
		return r;
	if (network->id[0] && asked[0] && strcmp(network->id, asked) != 0)
		return error_set(&ctx->error, -EEXIST, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and has the id %.12s already; give none",
				 network->name, network->id);
	if (asked[0])
		string_copy(network->id, sizeof(network->id), asked);
	if (network->id[0])
		return 0;
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return error_set(&ctx->error, -EIO, BN_REASON_KERNEL,
				 "the kernel gives no random bytes for an id");
	id_format(bytes, network->id);
	return 0;
}

static int check_overlap(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(networks_clear) network_vector others = { 0 };
	char mine[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	const struct subnet *a, *b;
	int r;

	r = store_networks(ctx->store, STORE_PENDING, &others, &ctx->error);
	for (size_t i = 0; i < others.len && r >= 0; i++) {
		if (!networks_overlap(network, &others.items[i], &a, &b))
			continue;
		/* one that is on its way, in or out, is waited for */
		r = store_network_check_idle(ctx->store, others.items[i].name, &ctx->error);
		if (r >= 0)
			r = error_set(&ctx->error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
				      "subnet %s overlaps %s of network %s; choose another",
				      prefix_format(&a->prefix, mine),
				      prefix_format(&b->prefix, theirs), others.items[i].name);
	}
	return r;
}

static int copy_reserved(const struct network_request *request, struct network *network)
{
	if (vector_reserve(&network->reserved, request->reserved_len) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < request->reserved_len; i++)
		*vector_push(&network->reserved) = request->reserved[i];
	ipam_sort_reserved(network);
	return 0;
}

static int choose_life(bn_ctx *ctx, const struct network_request *request, struct network *network)
{
	if (!request->persistent)
		return 0;
	if (strcmp(network->name, DEFAULT_NETWORK) == 0)
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "network %s can't be persistent: it is there always, and made on "
				 "first use; choose another name",
				 network->name);
	return persistent_resolve(ctx, network);
}

/* What is as it was asked. */
static int copy_request(bn_ctx *ctx, const struct network_request *request, struct network *network)
{
	string_copy(network->name, sizeof(network->name), request->name);
	network->driver = request->driver;
	network->mtu = request->mtu;
	if (copy_reserved(request, network) < 0 ||
	    options_copy(&network->options, request->options) < 0)
		return error_oom(&ctx->error);
	return 0;
}

static int check_builtin_name(bn_ctx *ctx, const char *name)
{
	if (strcmp(name, "host") != 0 && strcmp(name, "none") != 0 && strcmp(name, "default") != 0)
		return 0;
	return error_set(&ctx->error, -EEXIST, BN_REASON_NETWORK_BUILTIN,
			 "the name %s belongs to a built-in network; choose another", name);
}

int network_resolve(bn_ctx *ctx, const struct network_request *request,
		    const struct host_view *view, struct network *network)
{
	int r;

	r = network_name_check(request->name, &ctx->error);
	if (r >= 0)
		r = check_builtin_name(ctx, request->name);
	if (r >= 0)
		r = copy_request(ctx, request, network);
	if (r >= 0)
		r = options_check(&network->options, OPTION_NETWORK, &network->policy, &ctx->error);
	if (r >= 0)
		r = network_take_mtu(ctx, network, request->mtu);
	/* by its name first: whoever makes one twice is to hear that, and not of its own subnet */
	if (r >= 0)
		r = choose_id(ctx, request->id, network);
	if (r >= 0)
		r = choose_life(ctx, request, network);
	if (r >= 0)
		r = pick_subnets(ctx, request, view, network);
	if (r >= 0)
		r = check_reserved(ctx, network);
	if (r >= 0)
		r = network_check_policy(ctx, network);
	if (r >= 0)
		r = check_overlap(ctx, network);
	/* again: it may have been the bridge of a network that has gone since */
	if (r >= 0 && view->has_subnet)
		r = check_host_subnets(ctx, request);
	if (r >= 0)
		r = driver_of(network)->network_resolve(ctx, request, network);
	if (r >= 0 && !network->mtu)
		network->mtu = view->mtu;
	return r;
}

/* ---- one that is there already ---- */

static int difference(bn_ctx *ctx, const struct network *network, const char *what, const char *is,
		      const char *asked)
{
	return error_set(
		&ctx->error, -EEXIST, BN_REASON_NETWORK_EXISTS,
		"network %s is there, and its %s is %s, not %s; delete it first, or ask for what "
		"it is",
		network->name, what, is[0] ? is : "not set", asked);
}

static int check_prefix(bn_ctx *ctx, const struct network *network, const char *what,
			const struct prefix *is, const struct prefix *asked)
{
	char text[PREFIX_TEXT_MAX] = "", asked_text[PREFIX_TEXT_MAX];

	if (!asked->addr.family || prefix_compare(is, asked) == 0)
		return 0;
	if (is->addr.family)
		prefix_format(is, text);
	return difference(ctx, network, what, text, prefix_format(asked, asked_text));
}

static int check_range(bn_ctx *ctx, const struct network *network, const struct range *is,
		       const struct range *asked)
{
	char text[RANGE_TEXT_MAX], asked_text[RANGE_TEXT_MAX];

	if (!asked->first.family || range_equals(is, asked))
		return 0;
	return difference(ctx, network, "address range", range_format(is, text),
			  range_format(asked, asked_text));
}

/* One that was picked is what a pick would be now, but for what is taken. */
static int check_pick(bn_ctx *ctx, const struct network_request *request,
		      const struct network *network, const struct subnet *is, uint8_t len)
{
	int family = is->prefix.addr.family;
	char text[PREFIX_TEXT_MAX], asked[8];

	prefix_format(&is->prefix, text);
	snprintf(asked, sizeof(asked), "a /%u", len);
	if (len && len != is->prefix.len)
		return difference(ctx, network, "subnet", text, asked);
	if (pools_have_family(&request->pools, family) &&
	    !pools_have(request->pools.items, request->pools.len, &is->prefix))
		return difference(ctx, network, "subnet", text, "one of the pools given");
	return 0;
}

static int check_subnet(bn_ctx *ctx, const struct network *network, const struct subnet *is,
			const struct subnet *asked)
{
	char text[ADDR_TEXT_MAX], asked_text[ADDR_TEXT_MAX];
	int r;

	r = check_prefix(ctx, network, "subnet", &is->prefix, &asked->prefix);
	if (r >= 0)
		r = check_range(ctx, network, &is->range, &asked->range);
	if (r < 0 || !addr_is_set(&asked->gateway) ||
	    addr_compare(&is->gateway, &asked->gateway) == 0)
		return r;
	return difference(ctx, network, "gateway", addr_format(&is->gateway, text),
			  addr_format(&asked->gateway, asked_text));
}

/* In the order in which they are asked for. */
static int check_subnets(bn_ctx *ctx, const struct network_request *request,
			 const struct network *network, int family)
{
	static const struct subnet none;
	size_t len = family == AF_INET ? request->ipv4_len : request->ipv6_len;
	char text[PREFIX_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < count_asked(request, family) && r >= 0; i++) {
		const struct subnet *is = network_subnet_at(network, family, i);
		const struct subnet *asked = &asked_subnets(request, family)[i];

		if (asked->prefix.addr.family)
			r = check_subnet(ctx, network, is ? is : &none, asked);
		else if (is)
			r = check_pick(ctx, request, network, is, asked->prefix.len);
		else if (i > 0)
			r = difference(ctx, network, "list of subnets", "shorter", "this one");
	}
	if (r < 0 || !len || !network_subnet_at(network, family, len))
		return r;
	prefix_format(&network_subnet_at(network, family, len)->prefix, text);
	return error_set(&ctx->error, -EEXIST, BN_REASON_NETWORK_EXISTS,
			 "network %s is there, and has subnet %s, too; delete it first, or ask for "
			 "what it is",
			 network->name, text);
}

static int check_family(bn_ctx *ctx, const struct network *network, int family, bool given,
			bool wanted)
{
	static const char *const words[] = { "off", "on" };
	bool has = network_subnet(network, family);

	if (!given || has == wanted)
		return 0;
	return difference(ctx, network, family == AF_INET ? "IPv4" : "IPv6", words[has],
			  words[wanted]);
}

static int check_options(bn_ctx *ctx, const struct network *network, const struct options *asked)
{
	const char *is;

	for (size_t i = 0; i < asked->len; i++) {
		is = options_get(&network->options, asked->items[i].key);
		if (!is || strcmp(is, asked->items[i].value) != 0)
			return difference(ctx, network, asked->items[i].key, is ? is : "",
					  asked->items[i].value);
	}
	return 0;
}

static int check_reserved_equal(bn_ctx *ctx, const struct network *network,
				const struct network_request *request)
{
	CLEANUP(network_clear) struct network asked = { 0 };
	char text[ADDR_TEXT_MAX];

	if (!request->reserved_len)
		return 0;
	if (copy_reserved(request, &asked) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < asked.reserved.len; i++)
		if (!ipam_is_reserved(network, &asked.reserved.items[i]))
			return difference(ctx, network, "list of reserved addresses", "without it",
					  addr_format(&asked.reserved.items[i], text));
	if (asked.reserved.len != network->reserved.len)
		return difference(ctx, network, "list of reserved addresses", "longer", "this one");
	return 0;
}

int network_check_equal(bn_ctx *ctx, const struct network_request *request,
			const struct network *network)
{
	char is[16], asked[16];
	int r;

	if (request->id[0] && strcmp(request->id, network->id) != 0)
		return difference(ctx, network, "id", network->id, request->id);
	if (request->persistent && !network->persistent[0])
		return difference(ctx, network, "life", "that of the state", "persistent");
	r = check_subnets(ctx, request, network, AF_INET);
	if (r >= 0)
		r = check_subnets(ctx, request, network, AF_INET6);
	if (r >= 0)
		r = check_family(ctx, network, AF_INET, request->ipv4_given, request->want_ipv4);
	if (r >= 0)
		r = check_family(ctx, network, AF_INET6, request->ipv6_given, request->want_ipv6);
	if (r >= 0)
		r = check_options(ctx, network, request->options);
	if (r >= 0)
		r = check_reserved_equal(ctx, network, request);
	if (r >= 0 && request->bridge[0] && strcmp(request->bridge, network->bridge) != 0 &&
	    strcmp(request->bridge, network->planned_bridge) != 0)
		r = difference(ctx, network, "bridge", network->bridge, request->bridge);
	if (r < 0 || !request->mtu || request->mtu == network->mtu)
		return r;
	snprintf(is, sizeof(is), "%u", network->mtu);
	snprintf(asked, sizeof(asked), "%u", request->mtu);
	return difference(ctx, network, "MTU", is, asked);
}
