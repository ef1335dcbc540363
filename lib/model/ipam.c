/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/ipam.h"

#include <errno.h>

#include "model/policy.h"

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

int ipam_check_prefix(const char *what, const struct prefix *prefix, struct error *error)
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

static const struct addr *default_gateway(const struct network *network, int family)
{
	return family == AF_INET6 ? &network->policy.default_gateway_ipv6 :
				    &network->policy.default_gateway_ipv4;
}

/* Of endpoints' default routes. It may be an endpoint's, of one who asks for it by name. */
static bool is_router(const struct network *network, const struct addr *addr)
{
	return addr_compare(addr, default_gateway(network, addr->family)) == 0;
}

/* Is it not to be chosen for an endpoint or the bridge? */
static bool is_kept(const struct network *network, const struct addr *addr)
{
	return is_router(network, addr) || ipam_is_reserved(network, addr);
}

struct range ipam_range(const struct subnet *subnet)
{
	return addr_is_set(&subnet->range.first) ? subnet->range : prefix_range(&subnet->prefix);
}

int ipam_parse_range(const char *text, struct range *ret_range, struct error *error)
{
	struct prefix prefix;
	int r = 0;

	if (prefix_parse(text, &prefix) == 0)
		r = ipam_check_prefix("ip-range", &prefix, error);
	if (r == 0 && range_parse(text, ret_range) < 0)
		r = error_set(error, -EINVAL, BN_REASON_INVALID,
			      "ip-range '%.100s' is not of the form 172.30.4.0/24 or "
			      "172.30.4.10-172.30.4.20, fd00:30::4:0/112 or "
			      "fd00:30::10-fd00:30::20, the first address before the last",
			      text);
	return r;
}

/* The first address of the dynamic range that a host may have and nobody is to keep away from,
 * other than `except`. */
static bool first_usable(const struct network *network, const struct subnet *subnet,
			 const struct addr *except, struct addr *ret_addr)
{
	const struct range range = ipam_range(subnet);
	struct addr addr = range.first;
	bool more = true;

	for (; more && range_contains(&range, &addr); more = addr_add(&addr, 1, &addr)) {
		if (is_subnet_end(&subnet->prefix, &addr) || addr_compare(&addr, except) == 0 ||
		    is_kept(network, &addr))
			continue;
		*ret_addr = addr;
		return true;
	}
	return false;
}

static int check_range(const struct subnet *subnet, struct error *error)
{
	char text[RANGE_TEXT_MAX], outer[PREFIX_TEXT_MAX];
	const struct range *range = &subnet->range;

	if (!addr_is_set(&range->first) || (prefix_contains(&subnet->prefix, &range->first) &&
					    prefix_contains(&subnet->prefix, &range->last)))
		return 0;
	return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
			 "ip-range %s is not inside subnet %s; give a part of the subnet",
			 range_format(range, text), prefix_format(&subnet->prefix, outer));
}

static int check_gateway(const struct subnet *subnet, struct error *error)
{
	const struct addr *gateway = &subnet->gateway;
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];

	if (!prefix_contains(&subnet->prefix, gateway))
		return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "gateway %s is outside subnet %s; give an address of the subnet",
				 addr_format(gateway, text),
				 prefix_format(&subnet->prefix, subnet_text));
	if (is_subnet_end(&subnet->prefix, gateway))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "gateway %s is the %s address of subnet %s, which no host may "
				 "have; give another",
				 addr_format(gateway, text),
				 addr_compare(gateway, &subnet->prefix.addr) == 0 ? "first" :
										    "last",
				 prefix_format(&subnet->prefix, subnet_text));
	return 0;
}

static int complete_gateway(const struct network *network, struct subnet *subnet,
			    struct error *error)
{
	static const struct addr none;
	bool wanted = network_keeps_gateway(network, subnet->prefix.addr.family);
	char text[PREFIX_TEXT_MAX];

	prefix_format(&subnet->prefix, text);
	if (!wanted && addr_is_set(&subnet->gateway))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "subnet %s of network %s has no use for a gateway: the bridge has "
				 "no address there, and nothing is beyond it; give none",
				 text, network->name);
	if (!wanted)
		return 0;
	if (subnet->prefix.len == addr_size(subnet->prefix.addr.family) * 8)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "subnet %s has no room for a gateway and an endpoint; use /%d or "
				 "shorter",
				 text, subnet->prefix.len - 1);
	if (!addr_is_set(&subnet->gateway) &&
	    !first_usable(network, subnet, &none, &subnet->gateway))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "subnet %s has no address for the gateway in its ip-range that is "
				 "not reserved; give a gateway or a wider ip-range",
				 text);
	return check_gateway(subnet, error);
}

int ipam_complete_subnet(const struct network *network, struct subnet *subnet, struct error *error)
{
	struct subnet completed = *subnet;
	char text[RANGE_TEXT_MAX];
	struct addr endpoint;
	struct range range;
	int r;

	r = ipam_check_prefix("subnet", &subnet->prefix, error);
	if (r == 0)
		r = check_range(subnet, error);
	if (r == 0)
		r = complete_gateway(network, &completed, error);
	if (r < 0)
		return r;
	range = ipam_range(subnet);
	if (!first_usable(network, subnet, &completed.gateway, &endpoint))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "%s %s has no address for an endpoint beside the gateway and what "
				 "is reserved; widen it, or give a gateway outside it",
				 addr_is_set(&subnet->range.first) ? "ip-range" : "subnet",
				 range_format(&range, text));
	subnet->gateway = completed.gateway;
	return 0;
}

int ipam_check_subnets(const struct network *network, struct error *error)
{
	char text[PREFIX_TEXT_MAX], other_text[PREFIX_TEXT_MAX];

	for_each_family(family)
		for_each_subnet(subnet, network, family)
			for_each_subnet(other, network, family) {
				if (other <= subnet ||
				    !prefix_overlaps(&subnet->prefix, &other->prefix))
					continue;
				return error_set(error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
						 "subnets %s and %s of network %s overlap; choose "
						 "another in place of one of them",
						 prefix_format(&subnet->prefix, text),
						 prefix_format(&other->prefix, other_text),
						 network->name);
			}
	return 0;
}

static int outside_error(const struct network *network, const struct addr *addr,
			 struct error *error)
{
	const struct subnet *first = network_subnet(network, addr->family);
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];

	addr_format(addr, text);
	if (!first)
		return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "address %s can't be given: network %s has no %s subnet", text,
				 network->name, addr->family == AF_INET6 ? "IPv6" : "IPv4");
	if (network_subnet_after(network, first))
		return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "address %s is outside all subnets of network %s; give one "
				 "inside, such as of %s",
				 text, network->name, prefix_format(&first->prefix, subnet_text));
	return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
			 "address %s is outside subnet %s of network %s; give one inside", text,
			 prefix_format(&first->prefix, subnet_text), network->name);
}

int ipam_check_address(const struct network *network, const struct addr *addr, struct error *error)
{
	const struct subnet *subnet = network_subnet_with(network, addr);
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];

	if (!subnet)
		return outside_error(network, addr, error);
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

int ipam_check_default_gateways(const struct network *network, struct error *error)
{
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];

	for_each_family(family) {
		const struct subnet *first = network_subnet(network, family);
		const struct addr *gateway = default_gateway(network, family);
		const struct subnet *subnet = network_subnet_with(network, gateway);
		const char *version = family == AF_INET ? "4" : "6";

		if (!addr_is_set(gateway))
			continue;
		addr_format(gateway, text);
		if (!first)
			return error_set(
				error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				"option default-gateway-ipv%s is %s, and network %s has no "
				"IPv%s; leave it out, or give the network such a subnet",
				version, text, network->name, version);
		if (!subnet)
			return error_set(error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
					 "option default-gateway-ipv%s is %s, which is outside "
					 "%s %s of network %s; give an address in it",
					 version, text,
					 network_subnet_after(network, first) ?
						 "all subnets, such as" :
						 "subnet",
					 prefix_format(&first->prefix, subnet_text), network->name);
		if (is_subnet_end(&subnet->prefix, gateway))
			return error_set(error, -EINVAL, BN_REASON_INVALID,
					 "option default-gateway-ipv%s is %s, which no host in "
					 "subnet %s of network %s may have; give another",
					 version, text, prefix_format(&subnet->prefix, subnet_text),
					 network->name);
	}
	return 0;
}

bool ipam_next_address(const struct network *network, const struct subnet *subnet,
		       const struct addr *from, struct addr *ret_addr)
{
	const struct range range = ipam_range(subnet);
	struct addr addr = range.first;
	bool more = true;
	size_t reserved;

	if (addr_is_set(from) && addr_compare(from, &addr) > 0)
		addr = *from;
	reserved = find_reserved(network, &addr);
	for (; more && range_contains(&range, &addr); more = addr_add(&addr, 1, &addr)) {
		if (reserved < network->reserved.len &&
		    addr_compare(&network->reserved.items[reserved], &addr) == 0) {
			reserved++;
			continue;
		}
		if (is_subnet_end(&subnet->prefix, &addr) ||
		    addr_compare(&addr, &subnet->gateway) == 0 || is_router(network, &addr))
			continue;
		*ret_addr = addr;
		return true;
	}
	return false;
}

bool ipam_is_dynamic(const struct network *network, const struct addr *addr)
{
	const struct subnet *subnet = network_subnet_with(network, addr);
	struct addr next;

	return subnet && ipam_next_address(network, subnet, addr, &next) &&
	       addr_compare(addr, &next) == 0;
}

/* ---- how many ---- */

uint64_t ipam_count_used(const struct network *network, const struct subnet *subnet,
			 uint64_t endpoints)
{
	uint64_t count = endpoints + addr_is_set(&subnet->gateway);

	for (size_t i = 0; i < network->reserved.len; i++)
		count += prefix_contains(&subnet->prefix, &network->reserved.items[i]) &&
			 addr_compare(&subnet->gateway, &network->reserved.items[i]) != 0;
	return count;
}

uint64_t ipam_count_free(const struct network *network, const struct subnet *subnet, uint64_t taken)
{
	const struct range range = ipam_range(subnet), all = prefix_range(&subnet->prefix);
	const struct addr others[] = { all.first, all.last, subnet->gateway,
				       network->policy.default_gateway_ipv4,
				       network->policy.default_gateway_ipv6 };

	for (size_t i = 0; i < network->reserved.len; i++)
		taken += range_contains(&range, &network->reserved.items[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		bool counts = range_contains(&range, &others[i]) &&
			      !ipam_is_dynamic(network, &others[i]) &&
			      !ipam_is_reserved(network, &others[i]);

		for (size_t j = 0; j < i; j++)
			counts &= addr_compare(&others[i], &others[j]) != 0;
		taken += counts;
	}
	return range_size(&range, taken);
}
