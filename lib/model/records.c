/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/records.h"

#include <errno.h>

#define IPV6_METRIC 1024 /* the kernel gives it to a route of IPv6 that asks for none */

const char *driver_name(enum driver driver)
{
	static const char *const names[DRIVER_COUNT] = {
		[DRIVER_BRIDGE] = "bridge",
		[DRIVER_HOST] = "host",
		[DRIVER_NONE] = "null",
	};

	return names[driver];
}

const char *route_type_name(enum route_type type)
{
	static const char *const names[ROUTE_TYPE_COUNT] = {
		[ROUTE_UNICAST] = "unicast",
		[ROUTE_BLACKHOLE] = "blackhole",
		[ROUTE_UNREACHABLE] = "unreachable",
		[ROUTE_PROHIBIT] = "prohibit",
	};

	return names[type];
}

uint32_t route_metric(const struct route *route)
{
	return route->metric || route->gateway.family != AF_INET6 ? route->metric : IPV6_METRIC;
}

void network_clear(struct network *network)
{
	options_clear(&network->options);
	policy_clear(OPTION_NETWORK, &network->policy);
	free(network->reserved.items);
	*network = (struct network){ 0 };
}

int endpoint_copy(struct endpoint *dst, const struct endpoint *src)
{
	struct endpoint copy = *src;

	memset(&copy.routes, 0, sizeof(copy.routes));
	if (vector_reserve(&copy.routes, src->routes.len) < 0)
		return -ENOMEM;
	if (options_copy(&copy.options, &src->options) < 0) {
		free(copy.routes.items);
		return -ENOMEM;
	}
	if (endpoint_policy_copy(&copy.policy, &src->policy) < 0) {
		options_clear(&copy.options);
		free(copy.routes.items);
		return -ENOMEM;
	}
	for (size_t i = 0; i < src->routes.len; i++)
		copy.routes.items[copy.routes.len++] = src->routes.items[i];
	*dst = copy;
	return 0;
}

void endpoint_clear(struct endpoint *endpoint)
{
	options_clear(&endpoint->options);
	policy_clear(OPTION_ENDPOINT, &endpoint->policy);
	free(endpoint->routes.items);
	*endpoint = (struct endpoint){ 0 };
}

void networks_clear(network_vector *networks)
{
	for (size_t i = 0; i < networks->len; i++)
		network_clear(&networks->items[i]);
	free(networks->items);
	*networks = (network_vector){ 0 };
}

void endpoints_clear(endpoint_vector *endpoints)
{
	for (size_t i = 0; i < endpoints->len; i++)
		endpoint_clear(&endpoints->items[i]);
	free(endpoints->items);
	*endpoints = (endpoint_vector){ 0 };
}

/* What lies in another of them says nothing more; and no set of ranges takes both. */
static void drop_contained(prefix_vector *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->len; i++) {
		const struct prefix *prefix = &list->items[i];
		bool contained = false;

		for (size_t j = 0; j < list->len && !contained; j++)
			contained = list->items[j].len < prefix->len &&
				    prefix_contains(&list->items[j], &prefix->addr);
		if (!contained)
			list->items[kept++] = *prefix;
	}
	list->len = kept;
}

/* A prefix of no bits is none in a rule of iptables: everywhere is two halves. */
static int split_everywhere(prefix_vector *list)
{
	for (size_t i = 0; i < list->len; i++) {
		struct prefix half = list->items[i];

		if (half.len)
			continue;
		list->items[i].len = half.len = 1;
		half.addr.bytes[0] = 0x80;
		if (vector_append(list, half) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int make_list(prefix_vector *list)
{
	drop_contained(list);
	return split_everywhere(list);
}

int port_options_new(const struct options *options, struct port_options **ret_options,
		     struct error *error)
{
	struct port_options *made;
	int r;

	*ret_options = NULL;
	if (!options->len)
		return 0;
	made = calloc(1, sizeof(*made));
	if (!made)
		return error_oom(error);
	made->holders = 1;
	r = options_check(options, OPTION_PORT, &made->policy, error);
	if (r >= 0 &&
	    (options_copy(&made->options, options) < 0 || make_list(&made->policy.allow_from) < 0 ||
	     make_list(&made->policy.deny_from) < 0))
		r = error_oom(error);
	if (r < 0) {
		struct port port = { .options = made };

		port_clear(&port);
		return r;
	}
	*ret_options = made;
	return 0;
}

void port_clear(struct port *port)
{
	struct port_options *options = port->options;

	if (options && --options->holders == 0) {
		options_clear(&options->options);
		policy_clear(OPTION_PORT, &options->policy);
		free(options);
	}
	*port = (struct port){ 0 };
}

void port_copy(struct port *dst, const struct port *src)
{
	*dst = *src;
	if (dst->options)
		dst->options->holders++;
}

bool port_options_equal(const struct port_options *a, const struct port_options *b)
{
	if (!a || !b)
		return a == b;
	if (a->options.len != b->options.len)
		return false;
	for (size_t i = 0; i < a->options.len; i++) {
		if (strcmp(a->options.items[i].key, b->options.items[i].key) != 0 ||
		    strcmp(a->options.items[i].value, b->options.items[i].value) != 0)
			return false;
	}
	return true;
}

void ports_empty(port_vector *ports)
{
	for (size_t i = 0; i < ports->len; i++)
		port_clear(&ports->items[i]);
	ports->len = 0;
}

void ports_clear(port_vector *ports)
{
	ports_empty(ports);
	free(ports->items);
	*ports = (port_vector){ 0 };
}

void rows_clear(struct rows *rows)
{
	networks_clear(&rows->networks);
	endpoints_clear(&rows->endpoints);
	ports_clear(&rows->ports);
	guard_clear(&rows->guard);
}

struct rows rows_view(const struct network *network, const struct endpoint *endpoint,
		      const struct port *ports, size_t ports_len)
{
	return (struct rows){
		.networks = { .items = (struct network *)network, .len = network ? 1 : 0 },
		.endpoints = { .items = (struct endpoint *)endpoint, .len = endpoint ? 1 : 0 },
		.ports = { .items = (struct port *)ports, .len = ports_len },
	};
}

struct subnet *network_subnets(struct network *network, int family)
{
	return family == AF_INET6 ? network->ipv6_subnets : network->ipv4_subnets;
}

struct prefix *endpoint_prefixes(struct endpoint *endpoint, int family)
{
	return family == AF_INET6 ? endpoint->ipv6_addresses : endpoint->ipv4_addresses;
}

const struct subnet *network_subnet_at(const struct network *network, int family, size_t i)
{
	const struct subnet *subnets = family == AF_INET6 ? network->ipv6_subnets :
							    network->ipv4_subnets;

	if (!addr_size(family) || i >= SUBNETS_MAX || !addr_is_set(&subnets[i].prefix.addr))
		return NULL;
	return &subnets[i];
}

const struct prefix *endpoint_prefix_at(const struct endpoint *endpoint, int family, size_t i)
{
	const struct prefix *prefixes = family == AF_INET6 ? endpoint->ipv6_addresses :
							     endpoint->ipv4_addresses;

	if (!addr_size(family) || i >= SUBNETS_MAX || !addr_is_set(&prefixes[i].addr))
		return NULL;
	return &prefixes[i];
}

const struct subnet *network_subnet(const struct network *network, int family)
{
	return network_subnet_at(network, family, 0);
}

const struct prefix *endpoint_prefix(const struct endpoint *endpoint, int family)
{
	return endpoint_prefix_at(endpoint, family, 0);
}

const struct subnet *network_subnet_after(const struct network *network,
					  const struct subnet *subnet)
{
	int family = subnet->prefix.addr.family;
	const struct subnet *first = network_subnet(network, family);

	return network_subnet_at(network, family, (size_t)(subnet - first) + 1);
}

const struct prefix *endpoint_prefix_after(const struct endpoint *endpoint,
					   const struct prefix *prefix)
{
	int family = prefix->addr.family;
	const struct prefix *first = endpoint_prefix(endpoint, family);

	return endpoint_prefix_at(endpoint, family, (size_t)(prefix - first) + 1);
}

const struct subnet *network_subnet_with(const struct network *network, const struct addr *addr)
{
	for_each_subnet(subnet, network, addr->family)
		if (prefix_contains(&subnet->prefix, addr))
			return subnet;
	return NULL;
}

size_t endpoint_place(const struct endpoint *endpoint, const struct addr *addr)
{
	size_t at = 0;

	for_each_address(prefix, endpoint, addr->family) {
		if (addr_compare(&prefix->addr, addr) == 0)
			return at;
		at++;
	}
	return SUBNETS_MAX;
}

bool networks_overlap(const struct network *a, const struct network *b, const struct subnet **ret_a,
		      const struct subnet **ret_b)
{
	for_each_family(family)
		for_each_subnet(one, a, family)
			for_each_subnet(other, b, family) {
				if (!prefix_overlaps(&one->prefix, &other->prefix))
					continue;
				*ret_a = one;
				*ret_b = other;
				return true;
			}
	return false;
}

bool endpoint_has_address(const struct endpoint *endpoint)
{
	return endpoint_prefix(endpoint, AF_INET) || endpoint_prefix(endpoint, AF_INET6);
}

void endpoint_copy_addresses(struct endpoint *dst, const struct endpoint *src)
{
	memcpy(dst->ipv4_addresses, src->ipv4_addresses, sizeof(dst->ipv4_addresses));
	memcpy(dst->ipv6_addresses, src->ipv6_addresses, sizeof(dst->ipv6_addresses));
}

const struct addr *endpoint_gateway(const struct endpoint *endpoint, const struct network *network,
				    int family)
{
	const struct addr *own = family == AF_INET6 ? &endpoint->gateway_ipv6 :
						      &endpoint->gateway_ipv4;

	return addr_is_set(own) ? own : &network_subnet(network, family)->gateway;
}

void endpoint_set_metric(struct endpoint *endpoint, int family, uint32_t metric)
{
	*(family == AF_INET6 ? &endpoint->metric_ipv6 : &endpoint->metric_ipv4) = metric;
}

int endpoint_priority(const struct endpoint *endpoint, int family)
{
	const struct endpoint_policy *policy = &endpoint->policy;

	if (family == AF_INET6 && policy->has_gateway_priority_ipv6)
		return policy->gateway_priority_ipv6;
	if (family == AF_INET && policy->has_gateway_priority_ipv4)
		return policy->gateway_priority_ipv4;
	return endpoint->gateway_priority;
}

bool port_is_of(const struct port *port, const struct endpoint *endpoint)
{
	return strcmp(port->endpoint, endpoint->id) == 0 &&
	       strcmp(port->network, endpoint->network) == 0;
}
