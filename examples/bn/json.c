/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "bn.h"

#define MARGIN "  " /* of what is a level below */

void json_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		out_of_memory();
}

void json_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		out_of_memory();
}

json_t *json_text(const char *text)
{
	json_t *value = json_string(text);
	char *safe;

	if (value)
		return value;
	/* it was not UTF-8 */
	safe = safe_text(text);
	value = json_string(safe);
	free(safe);
	if (!value)
		out_of_memory();
	return value;
}

/* The key is the user's, so it may be no UTF-8 either. */
static void json_set_option(json_t *object, const char *key, const char *value)
{
	json_t *name = json_text(key);

	json_set(object, json_string_value(name), json_text(value));
	json_decref(name);
}

/* What is more than the library of JSON can say is shown as the most that it can. */
json_t *json_number(uint64_t number)
{
	if (number > INT64_MAX)
		number = INT64_MAX;
	return json_integer((json_int_t)number);
}

json_t *json_interface(const bn_interface *interface_)
{
	json_t *object = json_object(), *addresses = json_array();

	json_set(object, "name", json_text(bn_interface_name(interface_)));
	json_set(object, "index", json_number(bn_interface_index(interface_)));
	json_set(object, "mac", json_text(bn_interface_mac(interface_)));
	json_set(object, "mtu", json_number(bn_interface_mtu(interface_)));
	json_set(object, "flags", json_number(bn_interface_flags(interface_)));
	json_set(object, "flags_text", json_text(bn_interface_flags_text(interface_)));
	for (size_t i = 0; i < bn_interface_address_count(interface_); i++)
		json_append(addresses, json_text(bn_interface_address_at(interface_, i)));
	json_set(object, "addresses", addresses);
	json_set(object, "rx_packets", json_number(bn_interface_rx_packets(interface_)));
	json_set(object, "rx_bytes", json_number(bn_interface_rx_bytes(interface_)));
	json_set(object, "rx_errors", json_number(bn_interface_rx_errors(interface_)));
	json_set(object, "rx_dropped", json_number(bn_interface_rx_dropped(interface_)));
	json_set(object, "tx_packets", json_number(bn_interface_tx_packets(interface_)));
	json_set(object, "tx_bytes", json_number(bn_interface_tx_bytes(interface_)));
	json_set(object, "tx_errors", json_number(bn_interface_tx_errors(interface_)));
	json_set(object, "tx_dropped", json_number(bn_interface_tx_dropped(interface_)));
	return object;
}

static json_t *json_subnets(const bn_network *network)
{
	json_t *array = json_array();

	for (size_t i = 0; i < bn_network_subnet_count(network); i++) {
		json_t *object = json_object();

		json_set(object, "subnet", json_text(bn_network_subnet_at(network, i)));
		json_set(object, "gateway", json_text(bn_network_gateway_at(network, i)));
		json_set(object, "ip_range", json_text(bn_network_ip_range_at(network, i)));
		json_set(object, "addresses_used",
			 json_number(bn_network_addresses_used_at(network, i)));
		json_set(object, "addresses_free",
			 json_number(bn_network_addresses_free_at(network, i)));
		json_append(array, object);
	}
	return array;
}

json_t *json_network(const bn_network *network)
{
	json_t *object = json_object(), *reserved = json_array(), *options = json_object();

	json_set(object, "id", json_text(bn_network_id(network)));
	json_set(object, "name", json_text(bn_network_name(network)));
	json_set(object, "driver", json_text(bn_network_driver(network)));
	json_set(object, "bridge", json_text(bn_network_bridge(network)));
	json_set(object, "mtu", json_number(bn_network_mtu(network)));
	json_set(object, "persistent", json_boolean(bn_network_is_persistent(network)));
	json_set(object, "subnets", json_subnets(network));
	for (size_t i = 0; i < bn_network_reserved_count(network); i++)
		json_append(reserved, json_text(bn_network_reserved_at(network, i)));
	json_set(object, "reserved", reserved);
	for (size_t i = 0; i < bn_network_option_count(network); i++)
		json_set_option(options, bn_network_option_key_at(network, i),
				bn_network_option_value_at(network, i));
	json_set(object, "options", options);
	json_set(object, "endpoint_count", json_number(bn_network_endpoint_count(network)));
	return object;
}

json_t *json_network_at(const void *list, size_t i)
{
	return json_network(bn_network_list_at(list, i));
}

static json_t *json_port(const bn_port *port)
{
	json_t *object = json_object(), *options = json_object();

	json_set(object, "network", json_text(bn_port_network(port)));
	json_set(object, "endpoint", json_text(bn_port_endpoint(port)));
	json_set(object, "protocol", json_text(bn_port_protocol(port)));
	json_set(object, "host_address", json_text(bn_port_host_address(port)));
	json_set(object, "host_port", json_number(bn_port_host_port(port)));
	json_set(object, "container_port", json_number(bn_port_container_port(port)));
	json_set(object, "count", json_number(bn_port_count(port)));
	json_set(object, "text", json_text(bn_port_text(port)));
	json_set(object, "mode_ipv4", json_text(bn_port_mode(port, "ipv4")));
	json_set(object, "mode_ipv6", json_text(bn_port_mode(port, "ipv6")));
	for (size_t i = 0; i < bn_port_option_count(port); i++)
		json_set_option(options, bn_port_option_key_at(port, i),
				bn_port_option_value_at(port, i));
	json_set(object, "options", options);
	return object;
}

json_t *json_port_at(const void *list, size_t i)
{
	return json_port(bn_port_list_at(list, i));
}

static json_t *json_ports(const bn_port_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < bn_port_list_len(list); i++)
		json_append(array, json_port_at(list, i));
	return array;
}

static json_t *json_routes(const bn_endpoint *endpoint)
{
	json_t *array = json_array();

	for (size_t i = 0; i < bn_endpoint_route_count(endpoint); i++) {
		json_t *object = json_object();

		json_set(object, "type", json_text(bn_endpoint_route_type_at(endpoint, i)));
		json_set(object, "destination",
			 json_text(bn_endpoint_route_destination_at(endpoint, i)));
		json_set(object, "gateway", json_text(bn_endpoint_route_gateway_at(endpoint, i)));
		json_set(object, "metric", json_number(bn_endpoint_route_metric_at(endpoint, i)));
		json_append(array, object);
	}
	return array;
}

json_t *json_endpoint(const bn_endpoint *endpoint, bool with_interface)
{
	json_t *object = json_object(), *addresses = json_array(), *gateways = json_array();
	json_t *options = json_object();
	const bn_interface *interface_ = bn_endpoint_interface(endpoint);

	json_set(object, "network", json_text(bn_endpoint_network(endpoint)));
	json_set(object, "endpoint", json_text(bn_endpoint_id(endpoint)));
	json_set(object, "state", json_text(bn_endpoint_state(endpoint)));
	json_set(object, "sandbox", json_text(bn_endpoint_sandbox(endpoint)));
	json_set(object, "interface_name", json_text(bn_endpoint_interface_name(endpoint)));
	json_set(object, "host_interface_name",
		 json_text(bn_endpoint_host_interface_name(endpoint)));
	json_set(object, "mac", json_text(bn_endpoint_mac(endpoint)));
	json_set(object, "mtu", json_number(bn_endpoint_mtu(endpoint)));
	for (size_t i = 0; i < bn_endpoint_address_count(endpoint); i++)
		json_append(addresses, json_text(bn_endpoint_address_at(endpoint, i)));
	json_set(object, "addresses", addresses);
	for (size_t i = 0; i < bn_endpoint_gateway_count(endpoint); i++)
		json_append(gateways, json_text(bn_endpoint_gateway_at(endpoint, i)));
	json_set(object, "gateways", gateways);
	json_set(object, "routes", json_routes(endpoint));
	json_set(object, "gateway_priority", json_integer(bn_endpoint_gateway_priority(endpoint)));
	for (size_t i = 0; i < bn_endpoint_option_count(endpoint); i++)
		json_set_option(options, bn_endpoint_option_key_at(endpoint, i),
				bn_endpoint_option_value_at(endpoint, i));
	json_set(object, "options", options);
	json_set(object, "ports", json_ports(bn_endpoint_ports(endpoint)));
	if (with_interface)
		json_set(object, "interface",
			 interface_ ? json_interface(interface_) : json_null());
	return object;
}

json_t *json_endpoint_at(const void *list, size_t i)
{
	return json_endpoint(bn_endpoint_list_at(list, i), false);
}

json_t *json_endpoint_at_whole(const void *list, size_t i)
{
	return json_endpoint(bn_endpoint_list_at(list, i), true);
}

json_t *json_endpoints(const bn_endpoint_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < bn_endpoint_list_len(list); i++)
		json_append(array, json_endpoint_at(list, i));
	return array;
}

static json_t *json_rule(const bn_rule *rule)
{
	json_t *object = json_object();

	json_set(object, "family", json_text(bn_rule_family(rule)));
	json_set(object, "table", json_text(bn_rule_table(rule)));
	json_set(object, "chain", json_text(bn_rule_chain(rule)));
	json_set(object, "packets", json_number(bn_rule_packets(rule)));
	json_set(object, "bytes", json_number(bn_rule_bytes(rule)));
	json_set(object, "target", json_text(bn_rule_target(rule)));
	json_set(object, "protocol", json_text(bn_rule_protocol(rule)));
	json_set(object, "in_interface", json_text(bn_rule_in_interface(rule)));
	json_set(object, "out_interface", json_text(bn_rule_out_interface(rule)));
	json_set(object, "source", json_text(bn_rule_source(rule)));
	json_set(object, "destination", json_text(bn_rule_destination(rule)));
	json_set(object, "extra", json_text(bn_rule_extra(rule)));
	json_set(object, "handle", json_number(bn_rule_handle(rule)));
	json_set(object, "network", json_text(bn_rule_network(rule)));
	json_set(object, "endpoint", json_text(bn_rule_endpoint(rule)));
	json_set(object, "purpose", json_text(bn_rule_purpose(rule)));
	return object;
}

json_t *json_rule_at(const void *list, size_t i)
{
	return json_rule(bn_rule_list_at(list, i));
}

static void print_value(json_t *value, const char *margin)
{
	char *text = value ? json_dumps(value, JSON_INDENT(sizeof(MARGIN) - 1)) : NULL;

	if (!text)
		out_of_memory();
	/* a failure to write stays in the stream, where main() finds it */
	print_json_text(text, margin);
	free(text);
	json_decref(value);
}

void json_print_line(json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	if (!text)
		out_of_memory();
	print_json_text(text, "");
	putchar('\n');
	free(text);
	json_decref(value);
}

void json_print(json_t *value)
{
	print_value(value, "");
	putchar('\n');
}

void json_print_list(const void *list, size_t len, json_at_fn at)
{
	putchar('[');
	for (size_t i = 0; i < len; i++) {
		fputs(i ? ",\n" MARGIN : "\n" MARGIN, stdout);
		print_value(at(list, i), MARGIN);
	}
	printf("%s]\n", len ? "\n" : "");
}
