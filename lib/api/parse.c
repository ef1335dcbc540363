/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Specs -> requests: text becomes values, with a sentence for what can't. */
#include <errno.h>

#include "api/api.h"
#include "model/ipam.h"

/* There may be any number of them. */
static int parse_check(const struct deadline *deadline, size_t i, struct error *error)
{
	int r = i % 256 ? 0 : deadline_check(deadline);

	return r < 0 ? deadline_error(error, r, "before the spec was read") : 0;
}

static int parse_address(const char *text, const char *what, struct addr *ret_addr,
			 struct error *error)
{
	if (addr_parse(text, ret_addr) < 0)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "%s '%.64s' is not an IPv4 or IPv6 address", what, text);
	return 0;
}

static int parse_prefix(const char *text, const char *what, struct prefix *ret_prefix,
			struct error *error)
{
	if (prefix_parse(text, ret_prefix) < 0)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "%s '%.64s' is not of the form 172.30.0.0/16 or fd00:30::/64",
				 what, text);
	return 0;
}

/* ---- options ---- */

static int setter_error(const char *key, const char *value, const char *setter, struct error *error)
{
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "option %s=%.32s and %s() say two things; leave one out", key, value,
			 setter);
}

/* yes or no to 1 or 0. given: what the setter said, -1 for nothing. */
static int take_family(struct options *options, const char *key, const char *setter, int *given,
		       struct error *error)
{
	CLEANUP_FREE char *value = options_take(options, key);
	int enable = value && strcmp(value, "yes") == 0;

	if (!value)
		return 0;
	if (!enable && strcmp(value, "no") != 0)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "option %s can't be '%.32s'; give yes or no", key, value);
	if (*given != -1 && *given != enable)
		return setter_error(key, value, setter, error);
	*given = enable;
	return 0;
}

static int take_mtu(struct options *options, uint32_t *mtu, struct error *error)
{
	CLEANUP_FREE char *value = options_take(options, "mtu");
	unsigned long number;
	char *end;

	if (!value)
		return 0;
	number = strtoul(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end || number > 65535)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "option mtu can't be '%.32s'; give a number from 68 to 65535, or "
				 "0",
				 value);
	if (*mtu && *mtu != number)
		return setter_error("mtu", value, "bn_network_spec_set_mtu", error);
	*mtu = (uint32_t)number;
	return 0;
}

/* *name: the setter's, and the caller's; "" or NULL for none. */
static int take_name(struct options *options, const char *key, const char *setter, char **name,
		     struct error *error)
{
	CLEANUP_FREE char *value = options_take(options, key);

	if (!value)
		return 0;
	if (*name && (*name)[0] && strcmp(*name, value) != 0)
		return setter_error(key, value, setter, error);
	free(*name);
	*name = TAKE_POINTER(value);
	return 0;
}

/* What a setter, or the option for it, has said. */
static bool is_said(const struct bn_network_spec *spec, const char *key)
{
	if (strcmp(key, "ipv4") == 0)
		return spec->ipv4 != -1;
	if (strcmp(key, "ipv6") == 0)
		return spec->ipv6 != -1;
	if (strcmp(key, "mtu") == 0)
		return spec->mtu || options_get(&spec->options, "mtu-from");
	if (strcmp(key, "bridge") == 0)
		return spec->bridge[0];
	return options_get(&spec->options, key);
}

static int take_setters(struct bn_network_spec *spec, struct error *error)
{
	int r;

	r = take_family(&spec->options, "ipv4", "bn_network_spec_set_ipv4", &spec->ipv4, error);
	if (r >= 0)
		r = take_family(&spec->options, "ipv6", "bn_network_spec_set_ipv6", &spec->ipv6,
				error);
	if (r >= 0)
		r = take_mtu(&spec->options, &spec->mtu, error);
	return r < 0 ? r :
		       take_name(&spec->options, "bridge", "bn_network_spec_set_bridge",
				 &spec->bridge, error);
}

#define NETWORK_DEFAULT "network-default."
static int add_defaults(const struct options *context, struct bn_network_spec *spec,
			struct error *error)
{
	for (size_t i = 0; i < context->len; i++) {
		const char *key = context->items[i].key;

		if (strncmp(key, NETWORK_DEFAULT, strlen(NETWORK_DEFAULT)) != 0 ||
		    is_said(spec, key + strlen(NETWORK_DEFAULT)))
			continue;
		if (options_set(&spec->options, key + strlen(NETWORK_DEFAULT),
				context->items[i].value) < 0)
			return error_oom(error);
	}
	return 0;
}

int network_spec_settle(const struct bn_network_spec *spec, const struct options *context,
			struct bn_network_spec *settled, struct error *error)
{
	int r;

	*settled = *spec;
	settled->options = (struct options){ 0 };
	settled->bridge = strdup(spec->bridge);
	if (!settled->bridge || options_copy(&settled->options, &spec->options) < 0)
		return error_oom(error);
	r = options_normalise(&settled->options, OPTION_NETWORK, error);
	if (r >= 0)
		r = take_setters(settled, error);
	if (r >= 0)
		r = add_defaults(context, settled, error);
	return r < 0 ? r : take_setters(settled, error);
}

void network_spec_settled_clear(struct bn_network_spec *settled)
{
	free(settled->bridge);
	options_clear(&settled->options);
}

/* ---- networks ---- */

static struct subnet *subnets_of(struct network_request *request, int family, size_t **ret_len)
{
	*ret_len = family == AF_INET ? &request->ipv4_len : &request->ipv6_len;
	return family == AF_INET ? request->ipv4_subnets : request->ipv6_subnets;
}

static int parse_subnet(const char *text, struct network_request *request, struct error *error)
{
	struct prefix prefix;
	struct subnet *subnet;
	size_t *len;
	int r = parse_prefix(text, "subnet", &prefix, error);

	if (r < 0)
		return r;
	subnet = subnets_of(request, prefix.addr.family, &len);
	if (*len == SUBNETS_MAX)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "subnet %s is one too many of its family; a network takes up to "
				 "%d of IPv4 and %d of IPv6",
				 text, SUBNETS_MAX, SUBNETS_MAX);
	subnet += (*len)++;
	subnet->prefix = prefix;
	/* any of that size */
	if (addr_is_unspecified(&prefix.addr) && prefix.len) {
		subnet->prefix.addr = (struct addr){ 0 };
		*(prefix.addr.family == AF_INET ? &request->want_ipv4 : &request->want_ipv6) = true;
	}
	return 0;
}

/* Whose gateway or range it is: of the one that it is in, or where that is none, of the first,
 * which complains of it. NULL: there is no subnet of the family by name. */
static struct subnet *subnet_with(struct network_request *request, const struct addr *addr)
{
	size_t *len;
	struct subnet *subnets = subnets_of(request, addr->family, &len), *named = NULL;

	for (size_t i = 0; i < *len; i++) {
		if (!subnets[i].prefix.addr.family)
			continue;
		if (prefix_contains(&subnets[i].prefix, addr))
			return &subnets[i];
		if (!named)
			named = &subnets[i];
	}
	return named;
}

static int parse_gateway(const char *text, struct network_request *request, struct error *error)
{
	struct addr addr;
	struct subnet *subnet;
	int r = parse_address(text, "gateway", &addr, error);

	if (r < 0)
		return r;
	subnet = subnet_with(request, &addr);
	if (!subnet || addr_is_set(&subnet->gateway))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "gateway %s needs one subnet of its family that has no gateway "
				 "yet",
				 text);
	subnet->gateway = addr;
	return 0;
}

static int parse_range(const char *text, struct network_request *request, struct error *error)
{
	struct range range;
	struct subnet *subnet;
	int r = ipam_parse_range(text, &range, error);

	if (r < 0)
		return r;
	subnet = subnet_with(request, &range.first);
	if (!subnet || subnet->range.first.family)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "ip-range %s needs one subnet of its family that has no range yet",
				 text);
	subnet->range = range;
	return 0;
}

static int parse_pool(const char *text, struct network_request *request, struct error *error)
{
	struct subnet_pool *pool = vector_push(&request->pools);

	return pool ? pool_parse(text, pool, error) : error_oom(error);
}

static int parse_each(const struct bn_name_list *texts, struct network_request *request,
		      int (*parse)(const char *, struct network_request *, struct error *),
		      struct error *error)
{
	int r = 0;

	for (size_t i = 0; i < texts->names.len && r >= 0; i++)
		r = parse(texts->names.items[i], request, error);
	return r;
}

static int parse_families(const struct bn_network_spec *spec, struct network_request *request,
			  struct error *error)
{
	bool ipv4 = request->ipv4_len || request->want_ipv4;
	bool ipv6 = request->ipv6_len || request->want_ipv6;

	if ((spec->ipv4 == 0 && ipv4) || (spec->ipv6 == 0 && ipv6))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "network %s is to do without IPv%d but is given such a subnet",
				 spec->name, spec->ipv4 == 0 && ipv4 ? 4 : 6);
	request->ipv4_given = spec->ipv4 != -1;
	request->ipv6_given = spec->ipv6 != -1;
	request->want_ipv6 = spec->ipv6 == 1 || ipv6;
	request->want_ipv4 = spec->ipv4 == 1 || ipv4 || (spec->ipv4 == -1 && !ipv6);
	return 0;
}

static int parse_driver(const char *text, struct error *error)
{
	if (!text || strcmp(text, driver_name(DRIVER_BRIDGE)) == 0)
		return 0;
	for (enum driver i = 0; i < DRIVER_COUNT; i++)
		if (strcmp(text, driver_name(i)) == 0)
			return error_set(error, -EINVAL, BN_REASON_NETWORK_BUILTIN,
					 "driver %s has one network, which is built in; use that, "
					 "or driver bridge",
					 text);
	return error_set(error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			 "driver '%.64s' is not one of this library; use bridge", text);
}

static int parse_mtu(const struct bn_network_spec *spec, struct network_request *request,
		     struct error *error)
{
	/* below 1280 there is no IPv6 (RFC 8200), below 68 no IPv4 (RFC 791) */
	uint32_t least = request->want_ipv6 ? 1280 : 68;

	request->mtu = spec->mtu;
	if (spec->mtu && (spec->mtu < least || spec->mtu > 65535))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "mtu %u of network %s is not between %u and 65535", spec->mtu,
				 spec->name, least);
	return 0;
}

static int parse_reserved(const struct bn_name_list *texts, const struct deadline *deadline,
			  struct network_request *request, struct addr **reserved,
			  struct error *error)
{
	int r = 0;

	*reserved = calloc(texts->names.len + 1, sizeof(**reserved));
	if (!*reserved)
		return error_oom(error);
	for (size_t i = 0; i < texts->names.len && r >= 0; i++) {
		r = parse_check(deadline, i, error);
		if (r >= 0)
			r = parse_address(texts->names.items[i], "reserved address",
					  &(*reserved)[i], error);
	}
	request->reserved = *reserved;
	request->reserved_len = texts->names.len;
	return r;
}

int network_spec_parse(const struct bn_network_spec *spec, const struct deadline *deadline,
		       struct network_request *request, struct addr **reserved, struct error *error)
{
	int r;

	*request = (struct network_request){
		.name = spec->name,
		.id = spec->id ? spec->id : "",
		.persistent = spec->persistent,
		.bridge = spec->bridge,
		.options = &spec->options,
	};
	r = spec_failure_error(&spec->failure, error);
	if (r >= 0)
		r = network_name_check(spec->name, error);
	if (r >= 0 && spec->id)
		r = id_check(spec->id, error);
	if (r >= 0)
		r = parse_driver(spec->driver, error);
	if (r >= 0 && spec->bridge[0])
		r = bridge_name_check(spec->bridge, error);
	if (r >= 0)
		r = parse_each(&spec->subnets, request, parse_subnet, error);
	if (r >= 0)
		r = parse_each(&spec->gateways, request, parse_gateway, error);
	if (r >= 0)
		r = parse_each(&spec->ranges, request, parse_range, error);
	if (r >= 0)
		r = parse_each(&spec->pools, request, parse_pool, error);
	if (r >= 0)
		r = parse_families(spec, request, error);
	if (r >= 0)
		r = parse_mtu(spec, request, error);
	return r < 0 ? r : parse_reserved(&spec->reserved, deadline, request, reserved, error);
}

void port_requests_free(struct port_request *requests, size_t len)
{
	for (size_t i = 0; requests && i < len; i++)
		port_clear(&requests[i].port);
	free(requests);
}

int port_specs_parse(const struct bn_port_spec *specs, size_t len, const struct deadline *deadline,
		     struct port_request **requests, struct error *error)
{
	int r = 0;

	*requests = calloc(len + 1, sizeof(**requests));
	if (!*requests)
		return error_oom(error);
	for (size_t i = 0; i < len && r >= 0; i++) {
		r = parse_check(deadline, i, error);
		if (r >= 0)
			r = spec_failure_error(&specs[i].failure, error);
		if (r >= 0)
			r = port_parse(specs[i].mapping, &(*requests)[i], error);
		if (r >= 0)
			r = port_options_new(&specs[i].options, &(*requests)[i].port.options,
					     error);
	}
	return r;
}

static int parse_addresses(const struct bn_name_list *texts, struct endpoint *endpoint,
			   struct error *error)
{
	struct addr addr;
	struct prefix *places;
	size_t len;
	int r;

	for (size_t i = 0; i < texts->names.len; i++) {
		r = parse_address(texts->names.items[i], "address", &addr, error);
		if (r < 0)
			return r;
		places = endpoint_prefixes(endpoint, addr.family);
		for (len = 0; len < SUBNETS_MAX && places[len].addr.family;)
			len++;
		if (len == SUBNETS_MAX)
			return error_set(error, -EINVAL, BN_REASON_INVALID,
					 "address %s is one too many of its family; an endpoint "
					 "takes one of each subnet of its network, of which there "
					 "are up to %d",
					 texts->names.items[i], SUBNETS_MAX);
		places[len].addr = addr;
	}
	return 0;
}

static int parse_route_type(const struct route_text *text, struct route *route, struct error *error)
{
	while (route->type < ROUTE_TYPE_COUNT &&
	       strcmp(text->type, route_type_name(route->type)) != 0)
		route->type++;
	if (route->type < ROUTE_TYPE_COUNT)
		return 0;
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "route to %.64s can't be of type '%.32s'; give unicast, blackhole, "
			 "unreachable or prohibit",
			 text->destination, text->type);
}

static int parse_route_gateway(const struct route_text *text, struct route *route,
			       struct error *error)
{
	int family = route->destination.addr.family, r;

	route->gateway.family = family;
	if (!text->gateway[0])
		return 0;
	if (route->type != ROUTE_UNICAST)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "%s route to %s leads nowhere, so it has no gateway; give none",
				 text->type, text->destination);
	r = parse_address(text->gateway, "route by way of", &route->gateway, error);
	if (r < 0)
		return r;
	if (route->gateway.family != family)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "route to %s by way of %s mixes IPv4 and IPv6", text->destination,
				 text->gateway);
	if (addr_is_unspecified(&route->gateway))
		return error_set(
			error, -EINVAL, BN_REASON_INVALID,
			"route to %s by way of %s: that is no machine's address; name one, "
			"or none for what is on the link",
			text->destination, text->gateway);
	return 0;
}

static int parse_route(const struct route_text *text, struct route *route, struct error *error)
{
	char right[PREFIX_TEXT_MAX];
	struct prefix masked;
	int r;

	*route = (struct route){ .metric = text->metric };
	r = parse_prefix(text->destination, "route to", &route->destination, error);
	if (r >= 0)
		r = parse_route_type(text, route, error);
	if (r < 0)
		return r;
	masked = prefix_mask(&route->destination);
	if (!prefix_is_masked(&route->destination))
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "route to %s has host bits set; use %s", text->destination,
				 prefix_format(&masked, right));
	return parse_route_gateway(text, route, error);
}

static int parse_routes(const struct bn_endpoint_spec *spec, const struct deadline *deadline,
			struct endpoint *endpoint, struct error *error)
{
	struct route *route;
	int r = 0;

	for (size_t i = 0; i < spec->routes.len && r >= 0; i++) {
		route = vector_push(&endpoint->routes);
		if (!route)
			return error_oom(error);
		r = parse_check(deadline, i, error);
		if (r >= 0)
			r = parse_route(&spec->routes.items[i], route, error);
	}
	return r;
}

static int parse_endpoint_options(const struct bn_endpoint_spec *spec, struct endpoint *endpoint,
				  struct error *error)
{
	CLEANUP_FREE char *interface = spec->interface ? strdup(spec->interface) : NULL;
	int r;

	if ((spec->interface && !interface) || options_copy(&endpoint->options, &spec->options) < 0)
		return error_oom(error);
	r = options_normalise(&endpoint->options, OPTION_ENDPOINT, error);
	if (r >= 0)
		r = take_name(&endpoint->options, "interface-name",
			      "bn_endpoint_spec_set_interface_name", &interface, error);
	if (r >= 0 && interface)
		r = interface_name_check(interface, error);
	if (r >= 0 && interface)
		string_copy(endpoint->interface, sizeof(endpoint->interface), interface);
	return r;
}

int endpoint_spec_parse(const struct bn_endpoint_spec *spec, const struct deadline *deadline,
			struct endpoint_request *request, struct port_request **ports,
			struct error *error)
{
	struct endpoint *endpoint = &request->endpoint;
	int r;

	request->sandbox_path = spec->sandbox_path;
	request->sandbox_pid = spec->sandbox_pid;
	request->sandbox_fd = spec->sandbox_fd;
	request->sandbox_fd_number = spec->sandbox_fd_number;
	r = spec_failure_error(&spec->failure, error);
	if (r >= 0)
		r = endpoint_id_check(spec->endpoint, error);
	if (r < 0)
		return r;
	string_copy(endpoint->id, sizeof(endpoint->id), spec->endpoint);
	/* an id of a network is longer than a name: ops looks it up */
	request->network = spec->network;
	endpoint->gateway_priority = spec->gateway_priority;
	request->gateway_priority_given = spec->gateway_priority_given;
	r = parse_endpoint_options(spec, endpoint, error);
	if (r < 0)
		return r;
	if (spec->mac && mac_parse(spec->mac, endpoint->mac) < 0)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "MAC '%.32s' is not a unicast address like 02:42:ac:11:00:02",
				 spec->mac);
	request->mac_given = spec->mac != NULL;
	r = parse_addresses(&spec->addresses, endpoint, error);
	if (r >= 0)
		r = parse_routes(spec, deadline, endpoint, error);
	if (r >= 0)
		r = port_specs_parse(spec->ports.specs.items, spec->ports.specs.len, deadline,
				     ports, error);
	request->ports = *ports;
	request->ports_len = spec->ports.specs.len;
	return r;
}
