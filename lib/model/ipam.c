/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/ipam.h"

#include <errno.h>

static bool meets_any(const struct prefix *prefix, const struct prefix *taken, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (prefix_overlaps(prefix, &taken[i]))
			return true;
	}
	return false;
}

/* The first block of `block_len` bits in the pool, from the `first`-th on, that is not taken. */
static bool pool_pick(const struct prefix *pool, uint8_t block_len, uint64_t first,
		      const struct prefix *taken, size_t len, struct prefix *ret_block)
{
	struct prefix block;

	for (uint64_t n = first; prefix_block(pool, block_len, n, &block); n++) {
		if (meets_any(&block, taken, len))
			continue;
		*ret_block = block;
		return true;
	}
	return false;
}

int ipam_pick_ipv4(const struct prefix *taken, size_t len, struct prefix *ret_subnet,
		   struct error *error)
{
	/* The first /16 of 172.16.0.0/12 is left alone, as Docker does. */
	static const struct prefix pool_172 = { { AF_INET, { 172, 16 } }, 12 };
	static const struct prefix pool_192 = { { AF_INET, { 192, 168 } }, 16 };

	if (pool_pick(&pool_172, 16, 1, taken, len, ret_subnet) ||
	    pool_pick(&pool_192, 20, 0, taken, len, ret_subnet))
		return 0;
	return error_set(error, -ENOSPC, BN_REASON_POOL_EXHAUSTED,
			 "no IPv4 subnet is free: those of 172.17.0.0/16 to 172.31.0.0/16 and "
			 "192.168.0.0/16 are used by networks or routes of this host; give a "
			 "subnet, or delete a network");
}

int ipam_pick_ipv6(const uint8_t global_id[static 5], const struct prefix *taken, size_t len,
		   struct prefix *ret_subnet, struct error *error)
{
	struct prefix pool = { { AF_INET6, { 0xfd } }, 48 };
	char text[PREFIX_TEXT_MAX];

	memcpy(pool.addr.bytes + 1, global_id, 5);
	if (pool_pick(&pool, 64, 0, taken, len, ret_subnet))
		return 0;
	return error_set(error, -ENOSPC, BN_REASON_POOL_EXHAUSTED,
			 "no IPv6 subnet is free: every /64 of %s is used by networks or routes of "
			 "this host; give a subnet, or delete a network",
			 prefix_format(&pool, text));
}

bool ipam_route_blocks(const struct prefix *destination)
{
	return destination->len > 1;
}

/* The ends of a subnet that no host may have. A subnet of two addresses has none (RFC 3021 for
 * IPv4; RFC 6164 for IPv6, where the kernel too joins the router anycast address below /127 only).
 */
static bool is_subnet_end(const struct prefix *subnet, const struct addr *addr)
{
	unsigned int bits = (unsigned int)addr_size(subnet->addr.family) * 8;
	struct prefix masked = prefix_mask(subnet);
	struct addr last = prefix_last(subnet);

	if (subnet->len + 1u >= bits)
		return false;
	if (addr_compare(addr, &masked.addr) == 0)
		return true;
	return addr->family == AF_INET && addr_compare(addr, &last) == 0;
}

/* The address space that is no network's to have. */
static const struct {
	struct prefix prefix;
	const char *what;
} special_prefixes[] = {
	{ { { AF_INET, { 0 } }, 8 }, "no network's, it means this host" },
	{ { { AF_INET, { 127 } }, 8 }, "for the loopback interface" },
	{ { { AF_INET, { 224 } }, 4 }, "for multicast" },
	{ { { AF_INET, { 255, 255, 255, 255 } }, 32 }, "for broadcast" },
	{ { { AF_INET6, { 0 } }, 127 }, "for the loopback interface" },
	{ { { AF_INET6, { [10] = 0xff, [11] = 0xff } }, 96 }, "for IPv4 addresses in IPv6 form" },
	{ { { AF_INET6, { 0xfe, 0x80 } }, 10 }, "for link-local addresses" },
	{ { { AF_INET6, { 0xff } }, 8 }, "for multicast" },
};

static int check_prefix(const char *what, const struct prefix *prefix, struct error *error)
{
	struct prefix masked = prefix_mask(prefix);
	char text[PREFIX_TEXT_MAX], right[PREFIX_TEXT_MAX];

	prefix_format(prefix, text);
	if (!prefix_is_masked(prefix))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "%s %s has host bits set; use %s", what, text,
				 prefix_format(&masked, right));
	for (size_t i = 0; i < ARRAY_SIZE(special_prefixes); i++) {
		if (!prefix_overlaps(prefix, &special_prefixes[i].prefix))
			continue;
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "%s %s can't be used: %s is %s; use one such as %s", what, text,
				 prefix_format(&special_prefixes[i].prefix, right),
				 special_prefixes[i].what,
				 prefix->addr.family == AF_INET ? "172.30.0.0/16" : "fd00:30::/64");
	}
	return 0;
}

static const struct prefix *dynamic_range(const struct subnet *subnet)
{
	return addr_is_set(&subnet->range.addr) ? &subnet->range : &subnet->prefix;
}

/* The first address of the dynamic range that a host may have, other than `except`. */
static bool first_usable(const struct subnet *subnet, const struct addr *except,
			 struct addr *ret_addr)
{
	const struct prefix *range = dynamic_range(subnet);
	struct addr addr = prefix_mask(range).addr;
	bool more = true;

	for (; more && prefix_contains(range, &addr); more = addr_add(&addr, 1, &addr)) {
		if (is_subnet_end(&subnet->prefix, &addr) || addr_compare(&addr, except) == 0)
			continue;
		*ret_addr = addr;
		return true;
	}
	return false;
}

static int check_range(const struct subnet *subnet, struct error *error)
{
	char text[PREFIX_TEXT_MAX], outer[PREFIX_TEXT_MAX];
	int r;

	if (!addr_is_set(&subnet->range.addr))
		return 0;
	r = check_prefix("ip-range", &subnet->range, error);
	if (r < 0)
		return r;
	if (!prefix_covers(&subnet->prefix, &subnet->range))
		return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "ip-range %s is not inside subnet %s; give a part of the subnet",
				 prefix_format(&subnet->range, text),
				 prefix_format(&subnet->prefix, outer));
	return 0;
}

static int complete_gateway(struct addr *gateway, const struct subnet *subnet, struct error *error)
{
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];
	struct addr none = { 0 };

	prefix_format(&subnet->prefix, subnet_text);
	if (!addr_is_set(gateway) && !first_usable(subnet, &none, gateway))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "subnet %s has no address for the gateway in its ip-range; give a "
				 "gateway or a wider ip-range",
				 subnet_text);
	addr_format(gateway, text);
	if (!prefix_contains(&subnet->prefix, gateway))
		return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "gateway %s is outside subnet %s; give an address of the subnet",
				 text, subnet_text);
	if (is_subnet_end(&subnet->prefix, gateway))
		return error_set(
			error, -EINVAL, BN_REASON_INVALID,
			"gateway %s is the %s address of subnet %s, which no host may "
			"have; give another",
			text, addr_compare(gateway, &subnet->prefix.addr) == 0 ? "first" : "last",
			subnet_text);
	return 0;
}

int ipam_complete_subnet(struct subnet *subnet, struct error *error)
{
	struct addr gateway = subnet->gateway, endpoint;
	char text[PREFIX_TEXT_MAX];
	int r;

	r = check_prefix("subnet", &subnet->prefix, error);
	if (r < 0)
		return r;
	if (subnet->prefix.len == addr_size(subnet->prefix.addr.family) * 8)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "subnet %s has no room for a gateway and an endpoint; use /%d or "
				 "shorter",
				 prefix_format(&subnet->prefix, text), subnet->prefix.len - 1);
	r = check_range(subnet, error);
	if (r == 0)
		r = complete_gateway(&gateway, subnet, error);
	if (r < 0)
		return r;
	if (!first_usable(subnet, &gateway, &endpoint))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "ip-range %s has no address for an endpoint beside the gateway; "
				 "widen it, or give a gateway outside it",
				 prefix_format(dynamic_range(subnet), text));
	subnet->gateway = gateway;
	return 0;
}

static int compare_addrs(const void *left, const void *right)
{
	return addr_compare(left, right);
}

void ipam_sort_reserved(struct network *network)
{
	struct addr *items = network->reserved.items;
	size_t kept = 0, len = network->reserved.len, sorted = 1;

	while (sorted < len && addr_compare(&items[sorted - 1], &items[sorted]) < 0)
		sorted++;
	if (sorted >= len)
		return;
	qsort(items, len, sizeof(*items), compare_addrs);
	for (size_t i = 0; i < len; i++)
		if (!kept || addr_compare(&items[kept - 1], &items[i]) != 0)
			items[kept++] = items[i];
	network->reserved.len = kept;
}

/* The first reserved address that is not before this one. */
static size_t find_reserved(const struct network *network, const struct addr *addr)
{
	size_t first = 0, end = network->reserved.len;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (addr_compare(&network->reserved.items[middle], addr) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

bool ipam_is_reserved(const struct network *network, const struct addr *addr)
{
	size_t i = find_reserved(network, addr);

	return i < network->reserved.len && addr_compare(&network->reserved.items[i], addr) == 0;
}

int ipam_check_address(const struct network *network, const struct addr *addr, struct error *error)
{
	const struct subnet *subnet = network_subnet(network, addr->family);
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];

	if (!subnet)
		return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "address %s can't be given: network %s has no %s subnet",
				 addr_format(addr, text), network->name,
				 addr->family == AF_INET6 ? "IPv6" : "IPv4");
	if (!prefix_contains(&subnet->prefix, addr))
		return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "address %s is outside subnet %s of network %s; give one inside",
				 addr_format(addr, text),
				 prefix_format(&subnet->prefix, subnet_text), network->name);
	if (is_subnet_end(&subnet->prefix, addr))
		return error_set(
			error, -EINVAL, BN_REASON_INVALID,
			"address %s is the %s of subnet %s of network %s, which no endpoint "
			"may have; give another",
			addr_format(addr, text),
			addr_compare(addr, &subnet->prefix.addr) == 0 ? "first" : "last",
			prefix_format(&subnet->prefix, subnet_text), network->name);
	if (addr_compare(addr, &subnet->gateway) == 0)
		return error_set(error, -EADDRINUSE, BN_REASON_ADDRESS_IN_USE,
				 "address %s is the gateway of network %s; give another",
				 addr_format(addr, text), network->name);
	if (ipam_is_reserved(network, addr))
		return error_set(error, -EADDRINUSE, BN_REASON_ADDRESS_IN_USE,
				 "address %s is reserved in network %s; give another",
				 addr_format(addr, text), network->name);
	return 0;
}

static const struct addr *default_gateway(const struct network *network, int family)
{
	return family == AF_INET6 ? &network->policy.default_gateway_ipv6 :
				    &network->policy.default_gateway_ipv4;
}

int ipam_check_default_gateways(const struct network *network, struct error *error)
{
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];

	for_each_family(family) {
		const struct subnet *subnet = network_subnet(network, family);
		const struct addr *gateway = default_gateway(network, family);
		const char *version = family == AF_INET ? "4" : "6";

		if (!addr_is_set(gateway))
			continue;
		addr_format(gateway, text);
		if (!subnet)
			return error_set(
				error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				"option default-gateway-ipv%s is %s, and network %s has no "
				"IPv%s; leave it out, or give the network such a subnet",
				version, text, network->name, version);
		if (!prefix_contains(&subnet->prefix, gateway))
			return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
					 "option default-gateway-ipv%s is %s, which is outside "
					 "subnet %s of network %s; give an address in it",
					 version, text, prefix_format(&subnet->prefix, subnet_text),
					 network->name);
		if (is_subnet_end(&subnet->prefix, gateway))
			return error_set(error, -EINVAL, BN_REASON_INVALID,
					 "option default-gateway-ipv%s is %s, which no host in "
					 "subnet %s of network %s may have; give another",
					 version, text, prefix_format(&subnet->prefix, subnet_text),
					 network->name);
	}
	return 0;
}

bool ipam_next_address(const struct network *network, int family, const struct addr *from,
		       struct addr *ret_addr)
{
	const struct subnet *subnet = network_subnet(network, family);
	const struct prefix *range;
	struct addr addr;
	bool more = true;
	size_t reserved;

	if (!subnet)
		return false;
	range = dynamic_range(subnet);
	addr = prefix_mask(range).addr;
	if (addr_is_set(from) && addr_compare(from, &addr) > 0)
		addr = *from;
	reserved = find_reserved(network, &addr);
	for (; more && prefix_contains(range, &addr); more = addr_add(&addr, 1, &addr)) {
		if (reserved < network->reserved.len &&
		    addr_compare(&network->reserved.items[reserved], &addr) == 0) {
			reserved++;
			continue;
		}
		if (is_subnet_end(&subnet->prefix, &addr) ||
		    addr_compare(&addr, &subnet->gateway) == 0 ||
		    addr_compare(&addr, default_gateway(network, family)) == 0)
			continue;
		*ret_addr = addr;
		return true;
	}
	return false;
}
