/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/records.h"

#include <errno.h>

const char *driver_name(enum driver driver)
{
	switch (driver) {
	case DRIVER_BRIDGE:
		return "bridge";
	case DRIVER_HOST:
		return "host";
	case DRIVER_NONE:
		break;
	}
	return "null";
}

static int items_copy(void **ret_items, size_t *ret_capacity, const void *items, size_t len,
		      size_t size)
{
	void *copy = NULL;

	if (len > 0) {
		copy = malloc(len * size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, items, len * size);
	}
	*ret_items = copy;
	*ret_capacity = len;
	return 0;
}

int network_copy(struct network *dst, const struct network *src)
{
	struct network copy = *src;

	if (options_copy(&copy.options, &src->options) < 0)
		return -ENOMEM;
	if (items_copy((void **)&copy.reserved.items, &copy.reserved.capacity, src->reserved.items,
		       src->reserved.len, sizeof(*src->reserved.items)) < 0) {
		options_clear(&copy.options);
		return -ENOMEM;
	}
	*dst = copy;
	return 0;
}

void network_clear(struct network *network)
{
	options_clear(&network->options);
	free(network->reserved.items);
	*network = (struct network){ 0 };
}

int endpoint_copy(struct endpoint *dst, const struct endpoint *src)
{
	struct endpoint copy = *src;

	if (options_copy(&copy.options, &src->options) < 0)
		return -ENOMEM;
	if (items_copy((void **)&copy.routes.items, &copy.routes.capacity, src->routes.items,
		       src->routes.len, sizeof(*src->routes.items)) < 0) {
		options_clear(&copy.options);
		return -ENOMEM;
	}
	*dst = copy;
	return 0;
}

void endpoint_clear(struct endpoint *endpoint)
{
	options_clear(&endpoint->options);
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

void ports_clear(port_vector *ports)
{
	free(ports->items);
	*ports = (port_vector){ 0 };
}

void rows_clear(struct rows *rows)
{
	networks_clear(&rows->networks);
	endpoints_clear(&rows->endpoints);
	ports_clear(&rows->ports);
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

const struct subnet *network_subnet(const struct network *network, int family)
{
	const struct subnet *subnet = family == AF_INET6 ? &network->ipv6 : &network->ipv4;

	return addr_size(family) && addr_is_set(&subnet->prefix.addr) ? subnet : NULL;
}

const struct prefix *endpoint_prefix(const struct endpoint *endpoint, int family)
{
	const struct prefix *prefix = family == AF_INET6 ? &endpoint->ipv6 : &endpoint->ipv4;

	return addr_size(family) && addr_is_set(&prefix->addr) ? prefix : NULL;
}

bool port_is_of(const struct port *port, const struct endpoint *endpoint)
{
	return strcmp(port->endpoint, endpoint->id) == 0 &&
	       strcmp(port->network, endpoint->network) == 0;
}
