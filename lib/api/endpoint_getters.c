/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the snapshot of an endpoint says. */
#include "api/api.h"

static const char *life_text(enum life life)
{
	static const char *const texts[] = {
		[LIFE_UNKNOWN] = "",
		[LIFE_RUNNING] = "running",
		[LIFE_CUT] = "cut",
		[LIFE_GONE] = "sandbox-gone",
	};

	return texts[life];
}

GETTER(const char *, bn_endpoint_state, bn_endpoint, life_text(self->life), "")
GETTER(const char *, bn_endpoint_network, bn_endpoint, self->record.network, "")
GETTER(const char *, bn_endpoint_id, bn_endpoint, self->record.id, "")
GETTER(const char *, bn_endpoint_sandbox, bn_endpoint, self->record.sandbox, "")
GETTER(const char *, bn_endpoint_interface_name, bn_endpoint, self->record.interface, "")
GETTER(const char *, bn_endpoint_host_interface_name, bn_endpoint, self->record.host_interface, "")
GETTER(const char *, bn_endpoint_mac, bn_endpoint, self->mac, "")
GETTER(uint32_t, bn_endpoint_mtu, bn_endpoint, self->record.mtu, 0)
GETTER(size_t, bn_endpoint_address_count, bn_endpoint, self->address_count, 0)
GETTER_AT(const char *, bn_endpoint_address_at, bn_endpoint, bn_endpoint_address_count,
	  self->addresses[i], "")
GETTER(size_t, bn_endpoint_gateway_count, bn_endpoint, self->gateway_count, 0)
GETTER_AT(const char *, bn_endpoint_gateway_at, bn_endpoint, bn_endpoint_gateway_count,
	  self->gateways[i], "")
GETTER(int, bn_endpoint_gateway_priority, bn_endpoint, self->record.gateway_priority, 0)
GETTER(size_t, bn_endpoint_route_count, bn_endpoint, self->routes.len, 0)
GETTER_AT(const char *, bn_endpoint_route_destination_at, bn_endpoint, bn_endpoint_route_count,
	  self->routes.items[i].destination, "")
GETTER_AT(const char *, bn_endpoint_route_type_at, bn_endpoint, bn_endpoint_route_count,
	  self->routes.items[i].type, "")
GETTER_AT(const char *, bn_endpoint_route_gateway_at, bn_endpoint, bn_endpoint_route_count,
	  self->routes.items[i].gateway, "")
GETTER_AT(uint32_t, bn_endpoint_route_metric_at, bn_endpoint, bn_endpoint_route_count,
	  self->routes.items[i].metric, 0)
GETTER(size_t, bn_endpoint_option_count, bn_endpoint, self->options.len, 0)
GETTER_AT(const char *, bn_endpoint_option_key_at, bn_endpoint, bn_endpoint_option_count,
	  self->options.items[i].key, "")
GETTER_AT(const char *, bn_endpoint_option_value_at, bn_endpoint, bn_endpoint_option_count,
	  self->options.items[i].value, "")
GETTER(const bn_port_list *, bn_endpoint_ports, bn_endpoint, &self->ports, NULL)
GETTER(const bn_interface *, bn_endpoint_interface, bn_endpoint, self->interface, NULL)
