/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The builders: they keep text, and judge nothing but NULL. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "api/api.h"

static int set_string(char **slot, const char *value)
{
	char *copy;

	if (!value)
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

int spec_set_option(struct options *options, const char *key, const char *value)
{
	return key && value ? options_set(options, key, value) : -EINVAL;
}

/* ---- what a setter failed with ---- */

int spec_keep_failure(struct spec_failure *failure, const char *setter, const char *value, int r)
{
	if (r >= 0 || failure->code)
		return r;
	failure->code = r;
	failure->setter = setter;
	if (value)
		snprintf(failure->value, sizeof(failure->value), "%s", value);
	return r;
}

static int keep_number_failure(struct spec_failure *failure, const char *setter, int value, int r)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	return spec_keep_failure(failure, setter, text, r);
}

int spec_failure_error(const struct spec_failure *failure, struct error *error)
{
	if (!failure->code)
		return 0;
	return error_set(error, failure->code,
			 failure->code == -EINVAL ? BN_REASON_INVALID : BN_REASON_NONE,
			 "%s() had failed for '%s': %s; make the spec anew, and look at what its "
			 "setters return",
			 failure->setter, failure->value, errno_text(-failure->code));
}

/* Setters: what is done with `spec`, which fails for a value that is NULL, or what its member
 * becomes. Each is declared, and described, in bridgenet.h. */
#define SETTER(name, object, parameter, value, set)                                               \
	int name(object *spec, parameter)                                                         \
	{                                                                                         \
		return spec ? spec_keep_failure(&spec->failure, #name, (value), (set)) : -EINVAL; \
	}
#define NUMBER_SETTER(name, object, parameter, member, value) \
	int name(object *spec, parameter)                     \
	{                                                     \
		if (!spec)                                    \
			return -EINVAL;                       \
		spec->member = (value);                       \
		return 0;                                     \
	}

/* ---- names ---- */

static void names_clear(struct bn_name_list *list)
{
	for (size_t i = 0; i < list->names.len; i++)
		free(list->names.items[i]);
	free(list->names.items);
}

int bn_name_list_new(bn_name_list **ret_list)
{
	bn_name_list *list;

	if (!ret_list)
		return -EINVAL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*ret_list = list;
	return 0;
}

static int names_add(struct bn_name_list *list, const char *name)
{
	char *copy;

	if (!name)
		return -EINVAL;
	copy = strdup(name);
	if (!copy || vector_reserve(&list->names, 1) < 0) {
		free(copy);
		return -ENOMEM;
	}
	list->names.items[list->names.len++] = copy;
	return 0;
}

int bn_name_list_add(bn_name_list *list, const char *name)
{
	return list ? spec_keep_failure(&list->failure, __func__, name, names_add(list, name)) :
		      -EINVAL;
}

void bn_name_list_free(bn_name_list *list)
{
	if (!list)
		return;
	names_clear(list);
	free(list);
}

/* ---- networks ---- */

int bn_network_spec_new(const char *name, bn_network_spec **ret_spec)
{
	bn_network_spec *spec;

	if (!name || !ret_spec)
		return -EINVAL;
	spec = calloc(1, sizeof(*spec));
	if (!spec)
		return -ENOMEM;
	spec->ipv4 = -1;
	spec->ipv6 = -1;
	if (set_string(&spec->name, name) < 0 || set_string(&spec->bridge, "") < 0) {
		bn_network_spec_free(spec);
		return -ENOMEM;
	}
	*ret_spec = spec;
	return 0;
}

void bn_network_spec_free(bn_network_spec *spec)
{
	if (!spec)
		return;
	free(spec->name);
	free(spec->id);
	free(spec->driver);
	free(spec->bridge);
	names_clear(&spec->subnets);
	names_clear(&spec->gateways);
	names_clear(&spec->ranges);
	names_clear(&spec->reserved);
	names_clear(&spec->pools);
	options_clear(&spec->options);
	free(spec);
}

SETTER(bn_network_spec_set_id, bn_network_spec, const char *id, id, set_string(&spec->id, id))
SETTER(bn_network_spec_set_driver, bn_network_spec, const char *driver, driver,
       set_string(&spec->driver, driver))
SETTER(bn_network_spec_add_subnet, bn_network_spec, const char *cidr, cidr,
       names_add(&spec->subnets, cidr))
NUMBER_SETTER(bn_network_spec_set_ipv4, bn_network_spec, int enable, ipv4, enable != 0)
NUMBER_SETTER(bn_network_spec_set_ipv6, bn_network_spec, int enable, ipv6, enable != 0)
SETTER(bn_network_spec_add_gateway, bn_network_spec, const char *address, address,
       names_add(&spec->gateways, address))
SETTER(bn_network_spec_add_ip_range, bn_network_spec, const char *range, range,
       names_add(&spec->ranges, range))

int bn_network_spec_add_pool(bn_network_spec *spec, const char *base, uint32_t prefix_len)
{
	char text[128];
	int r = -EINVAL;

	if (!spec)
		return r;
	if (base) {
		snprintf(text, sizeof(text), "%.100s:%u", base, prefix_len);
		r = names_add(&spec->pools, text);
	}
	return spec_keep_failure(&spec->failure, __func__, base, r);
}

/* A named one may be the default gateway as well: Docker says that so. */
static int add_reserved(bn_network_spec *spec, const char *text)
{
	static const char *const gateways[][2] = {
		{ "DefaultGatewayIPv4", "default-gateway-ipv4" },
		{ "DefaultGatewayIPv6", "default-gateway-ipv6" },
	};
	const char *address = text ? strchr(text, '=') : NULL, *known;

	if (!address)
		return names_add(&spec->reserved, text);
	for (size_t i = 0; i < ARRAY_SIZE(gateways); i++) {
		size_t len = strlen(gateways[i][0]);

		if (len != (size_t)(address - text) || strncmp(text, gateways[i][0], len) != 0)
			continue;
		known = options_get(&spec->options, gateways[i][1]);
		if (known && strcmp(known, address + 1) != 0)
			return -EINVAL;
		if (options_set(&spec->options, gateways[i][1], address + 1) < 0)
			return -ENOMEM;
	}
	return address == text ? -EINVAL : names_add(&spec->reserved, address + 1);
}

SETTER(bn_network_spec_add_reserved, bn_network_spec, const char *address, address,
       add_reserved(spec, address))
NUMBER_SETTER(bn_network_spec_set_persistent, bn_network_spec, int enable, persistent, enable != 0)
NUMBER_SETTER(bn_network_spec_set_mtu, bn_network_spec, uint32_t mtu, mtu, mtu)
SETTER(bn_network_spec_set_bridge, bn_network_spec, const char *interface_name, interface_name,
       set_string(&spec->bridge, interface_name))

int bn_network_spec_set_option(bn_network_spec *spec, const char *key, const char *value)
{
	return spec ? spec_keep_failure(&spec->failure, __func__, key,
					spec_set_option(&spec->options, key, value)) :
		      -EINVAL;
}

/* ---- endpoints ---- */

int bn_endpoint_spec_new(const char *network, const char *endpoint, bn_endpoint_spec **ret_spec)
{
	bn_endpoint_spec *spec;

	if (!network || !endpoint || !ret_spec)
		return -EINVAL;
	spec = calloc(1, sizeof(*spec));
	if (!spec)
		return -ENOMEM;
	spec->sandbox_fd = -1;
	if (set_string(&spec->network, network) < 0 || set_string(&spec->endpoint, endpoint) < 0) {
		bn_endpoint_spec_free(spec);
		return -ENOMEM;
	}
	*ret_spec = spec;
	return 0;
}

static void route_text_clear(struct route_text *route)
{
	free(route->type);
	free(route->destination);
	free(route->gateway);
}

void bn_endpoint_spec_free(bn_endpoint_spec *spec)
{
	if (!spec)
		return;
	free(spec->network);
	free(spec->endpoint);
	free(spec->sandbox_path);
	cleanup_close(&spec->sandbox_fd);
	free(spec->interface);
	free(spec->mac);
	names_clear(&spec->addresses);
	for (size_t i = 0; i < spec->routes.len; i++)
		route_text_clear(&spec->routes.items[i]);
	free(spec->routes.items);
	options_clear(&spec->options);
	port_specs_clear(&spec->ports);
	free(spec);
}

/* The last one said is meant. */
static void forget_sandbox(bn_endpoint_spec *spec)
{
	free(spec->sandbox_path);
	spec->sandbox_path = NULL;
	spec->sandbox_pid = 0;
	cleanup_close(&spec->sandbox_fd);
	spec->sandbox_fd = -1;
}

static int set_sandbox_path(bn_endpoint_spec *spec, const char *path)
{
	char *copy = NULL;
	int r = set_string(&copy, path);

	if (r < 0)
		return r;
	forget_sandbox(spec);
	spec->sandbox_path = copy;
	return 0;
}

SETTER(bn_endpoint_spec_set_sandbox_path, bn_endpoint_spec, const char *path, path,
       set_sandbox_path(spec, path))

int bn_endpoint_spec_set_sandbox_pid(bn_endpoint_spec *spec, int pid)
{
	if (!spec)
		return -EINVAL;
	if (pid <= 0)
		return keep_number_failure(&spec->failure, __func__, pid, -EINVAL);
	forget_sandbox(spec);
	spec->sandbox_pid = pid;
	return 0;
}

static int set_sandbox_fd(bn_endpoint_spec *spec, int fd)
{
	int copy;

	if (fd < 0)
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return errno == EMFILE ? -EMFILE : -EBADF;
	forget_sandbox(spec);
	spec->sandbox_fd = copy;
	spec->sandbox_fd_number = fd;
	return 0;
}

int bn_endpoint_spec_set_sandbox_fd(bn_endpoint_spec *spec, int fd)
{
	return spec ? keep_number_failure(&spec->failure, __func__, fd, set_sandbox_fd(spec, fd)) :
		      -EINVAL;
}

SETTER(bn_endpoint_spec_set_interface_name, bn_endpoint_spec, const char *name, name,
       set_string(&spec->interface, name))
SETTER(bn_endpoint_spec_add_address, bn_endpoint_spec, const char *address, address,
       names_add(&spec->addresses, address))
SETTER(bn_endpoint_spec_set_mac, bn_endpoint_spec, const char *mac, mac,
       set_string(&spec->mac, mac))

static int add_route(bn_endpoint_spec *spec, const char *type, const char *destination,
		     const char *gateway, uint32_t metric)
{
	struct route_text route = { .metric = metric };

	if (!type || !destination)
		return -EINVAL;
	if (set_string(&route.type, type) < 0 || set_string(&route.destination, destination) < 0 ||
	    set_string(&route.gateway, gateway ? gateway : "") < 0 ||
	    vector_append(&spec->routes, route) < 0) {
		route_text_clear(&route);
		return -ENOMEM;
	}
	return 0;
}

int bn_endpoint_spec_add_route(bn_endpoint_spec *spec, const char *destination, const char *gateway)
{
	if (!spec)
		return -EINVAL;
	return spec_keep_failure(&spec->failure, __func__, destination,
				 gateway ? add_route(spec, "unicast", destination, gateway, 0) :
					   -EINVAL);
}

int bn_endpoint_spec_add_typed_route(bn_endpoint_spec *spec, const char *type,
				     const char *destination, const char *gateway, uint32_t metric)
{
	return spec ? spec_keep_failure(&spec->failure, __func__, destination,
					add_route(spec, type, destination, gateway, metric)) :
		      -EINVAL;
}

int bn_endpoint_spec_set_gateway_priority(bn_endpoint_spec *spec, int priority)
{
	if (!spec)
		return -EINVAL;
	spec->gateway_priority = priority;
	spec->gateway_priority_given = true;
	return 0;
}

int bn_endpoint_spec_set_option(bn_endpoint_spec *spec, const char *key, const char *value)
{
	return spec ? spec_keep_failure(&spec->failure, __func__, key,
					spec_set_option(&spec->options, key, value)) :
		      -EINVAL;
}

SETTER(bn_endpoint_spec_add_port, bn_endpoint_spec, const bn_port_spec *port,
       port ? port->mapping : NULL, port_specs_add(&spec->ports, port))

/* ---- lists of them ---- */

static int copy_words(const bn_endpoint_spec *spec, bn_endpoint_spec *copy)
{
	int r = 0;

	if (spec->sandbox_path)
		r = set_string(&copy->sandbox_path, spec->sandbox_path);
	if (r == 0 && spec->interface)
		r = set_string(&copy->interface, spec->interface);
	if (r == 0 && spec->mac)
		r = set_string(&copy->mac, spec->mac);
	for (size_t i = 0; i < spec->addresses.names.len && r == 0; i++)
		r = names_add(&copy->addresses, spec->addresses.names.items[i]);
	for (size_t i = 0; i < spec->routes.len && r == 0; i++) {
		const struct route_text *route = &spec->routes.items[i];

		r = add_route(copy, route->type, route->destination, route->gateway, route->metric);
	}
	for (size_t i = 0; i < spec->ports.specs.len && r == 0; i++)
		r = port_specs_add(&copy->ports, &spec->ports.specs.items[i]);
	return r == 0 ? options_copy(&copy->options, &spec->options) : r;
}

static int copy_spec(const bn_endpoint_spec *spec, bn_endpoint_spec **ret_copy)
{
	bn_endpoint_spec *copy = NULL;
	int r = bn_endpoint_spec_new(spec->network, spec->endpoint, &copy);

	if (r < 0)
		return r;
	copy->sandbox_pid = spec->sandbox_pid;
	copy->sandbox_fd_number = spec->sandbox_fd_number;
	copy->gateway_priority = spec->gateway_priority;
	copy->failure = spec->failure;
	if (spec->sandbox_fd >= 0) {
		copy->sandbox_fd = fcntl(spec->sandbox_fd, F_DUPFD_CLOEXEC, 0);
		r = copy->sandbox_fd < 0 ? -errno : 0;
	}
	if (r == 0)
		r = copy_words(spec, copy);
	if (r == 0)
		*ret_copy = TAKE_POINTER(copy);
	bn_endpoint_spec_free(copy);
	return r;
}

int bn_endpoint_spec_list_new(bn_endpoint_spec_list **ret_list)
{
	bn_endpoint_spec_list *list;

	if (!ret_list)
		return -EINVAL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*ret_list = list;
	return 0;
}

static int specs_add(bn_endpoint_spec_list *list, const bn_endpoint_spec *spec)
{
	int r;

	if (!spec)
		return -EINVAL;
	if (vector_reserve(&list->specs, 1) < 0)
		return -ENOMEM;
	r = copy_spec(spec, &list->specs.items[list->specs.len]);
	list->specs.len += r == 0;
	return r;
}

int bn_endpoint_spec_list_add(bn_endpoint_spec_list *list, const bn_endpoint_spec *spec)
{
	return list ? spec_keep_failure(&list->failure, __func__, spec ? spec->endpoint : NULL,
					specs_add(list, spec)) :
		      -EINVAL;
}

void bn_endpoint_spec_list_free(bn_endpoint_spec_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->specs.len; i++)
		bn_endpoint_spec_free(list->specs.items[i]);
	free(list->specs.items);
	free(list);
}
