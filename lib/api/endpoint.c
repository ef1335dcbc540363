/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "api/api.h"

static void snapshot_clear(struct bn_endpoint *endpoint)
{
	endpoint_clear(&endpoint->record);
	for (size_t i = 0; i < endpoint->addresses.len; i++)
		free(endpoint->addresses.items[i]);
	free(endpoint->addresses.items);
	port_list_clear(&endpoint->ports);
	interface_free(endpoint->interface);
}

static int add_address(bn_ctx *ctx, struct bn_endpoint *endpoint, const struct prefix *address)
{
	char text[PREFIX_TEXT_MAX];
	char *copy;

	if (!address->addr.family)
		return 0;
	copy = strdup(prefix_format(address, text));
	if (!copy || vector_reserve(&endpoint->addresses, 1) < 0) {
		free(copy);
		return error_oom(&ctx->error);
	}
	endpoint->addresses.items[endpoint->addresses.len++] = copy;
	return 0;
}

/* On the host network an endpoint has the host's addresses, whatever they are now. */
static int add_host_addresses(bn_ctx *ctx, struct bn_endpoint *endpoint)
{
	prefix_vector addresses = { 0 };
	int r = 0;

	if (!ctx->link) {
		r = link_open(&ctx->link, &ctx->error);
		if (r >= 0)
			link_set_deadline(ctx->link, ctx->deadline);
	}
	if (r >= 0)
		r = link_local_addresses(ctx->link, &addresses, &ctx->error);
	for (size_t i = 0; i < addresses.len && r >= 0; i++)
		if (!addr_is_loopback(&addresses.items[i].addr))
			r = add_address(ctx, endpoint, &addresses.items[i]);
	free(addresses.items);
	return r;
}

static int add_addresses(bn_ctx *ctx, struct bn_endpoint *endpoint)
{
	static const int families[] = { AF_INET, AF_INET6 };
	CLEANUP(network_clear) struct network network = { 0 };
	const struct subnet *subnet;
	int r;

	r = store_network_get(ctx->store, endpoint->record.network, &network, &ctx->error);
	if (r < 0)
		return r;
	if (network.driver == DRIVER_HOST)
		return add_host_addresses(ctx, endpoint);
	r = add_address(ctx, endpoint, &endpoint->record.ipv4);
	if (r >= 0)
		r = add_address(ctx, endpoint, &endpoint->record.ipv6);
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		subnet = network_subnet(&network, families[f]);
		if (!subnet)
			continue;
		addr_format(&subnet->gateway, endpoint->gateways[endpoint->gateway_count]);
		endpoint->gateway_count++;
	}
	if (network.driver == DRIVER_BRIDGE)
		mac_format(endpoint->record.mac, endpoint->mac);
	return r;
}

/* What can't be read any more, because the namespace or the interface is gone, is no error. */
static int read_interface(bn_ctx *ctx, struct bn_endpoint *endpoint)
{
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	CLEANUP(interface_clear) struct interface data = { 0 };
	int r;

	if (!endpoint->record.interface[0])
		return 0;
	r = sandbox_reopen(&endpoint->record, &sandbox, &ctx->error);
	if (r >= 0)
		r = sandbox_interface_get(&sandbox, endpoint->record.interface, ctx->deadline,
					  &data, &ctx->error);
	if (r == -ENOENT || r == -ENODEV || r == -EINVAL) {
		error_clear(&ctx->error);
		return 0;
	}
	if (r < 0)
		return r;
	endpoint->interface = interface_new(&data);
	return endpoint->interface ? 0 : error_oom(&ctx->error);
}

/* Takes record and ports over, also on failure; the caller clears the snapshot. */
static int snapshot_fill(bn_ctx *ctx, struct endpoint *record, struct published *published,
			 uint32_t flags, struct bn_endpoint *endpoint)
{
	int r;

	endpoint->record = *record;
	*record = (struct endpoint){ 0 };
	r = port_list_fill(&endpoint->ports, published, &ctx->error);
	if (r >= 0)
		r = add_addresses(ctx, endpoint);
	if (r >= 0 && (flags & BN_GET_INTERFACE))
		r = read_interface(ctx, endpoint);
	return r;
}

static int snapshot_read(bn_ctx *ctx, struct endpoint *record, uint32_t flags,
			 struct bn_endpoint *endpoint)
{
	CLEANUP(published_clear) struct published published = { 0 };
	int r;

	r = store_ports(ctx->store, record->network, record->id, 0, &published.ports, &ctx->error);
	return r < 0 ? r : snapshot_fill(ctx, record, &published, flags, endpoint);
}

/* ---- verbs ---- */

static const struct api_call endpoint_attach = {
	.names = "bn_endpoint_attach",
	.flags = BN_ATTACH_HOLD_PORTS,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or namespace."),
		API_ERRNO(EEXIST, "The network has an endpoint of that id, or the namespace an "
				  "interface of that name."),
		API_ERRNO(EADDRINUSE, "An address is taken, or a host port is published or used by "
				      "a process."),
		API_ERRNO(EADDRNOTAVAIL, "The host has no such address to publish a port on."),
		API_ERRNO(ENOSPC, "The network has no address left, or the host no port."),
		API_ERRNO(ERANGE, "An address is outside the subnet."),
		API_ERRNO(EXFULL, "The bridge has as many ports as the kernel takes, 1023."),
		API_ERRNO(EBUSY, "Another call is making or deleting the network, or is at the "
				 "endpoint."),
		API_ERRNO(EINVAL, "A name, address, MAC, route, port or option value is malformed, "
				  "the file is no network namespace, or no namespace is named."),
		API_ERRNO(ENAMETOOLONG, "A name is longer than an endpoint's or an interface's can "
					"be, or the path of the namespace too long."),
		API_ERRNO(EOPNOTSUPP, "An option is not known, or a port can't be published "
				      "there."),
		API_ERRNO(EAFNOSUPPORT, "The kernel lacks IPv4, which network bridge is made with "
					"on first use."),
		API_ERRNO(ENODEV, "Somebody has deleted the network's bridge, or deletes the "
				  "interface while it is set up."),
	},
};

int bn_endpoint_attach(bn_ctx *ctx, const bn_endpoint_spec *spec, uint32_t flags,
		       bn_endpoint **ret_endpoint)
{
	struct endpoint_request request = { 0 };
	CLEANUP(endpoint_clear) struct endpoint record = { 0 };
	CLEANUP(published_clear) struct published published = { 0 };
	CLEANUP_FREE struct port_request *ports = NULL;
	bn_endpoint *endpoint = NULL;
	int r;

	if (!spec)
		return api_missing(ctx, "the endpoint spec");
	r = api_enter(ctx, &endpoint_attach, flags);
	if (r >= 0 && !ret_endpoint && (flags & BN_ATTACH_HOLD_PORTS))
		r = error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
			      "holding ports needs a result that keeps the descriptors");
	if (r >= 0)
		r = endpoint_spec_parse(spec, &request, &ports, &ctx->error);
	if (r >= 0 && ret_endpoint) {
		endpoint = calloc(1, sizeof(*endpoint));
		if (!endpoint)
			r = error_oom(&ctx->error);
	}
	if (r >= 0)
		r = ops_attach(ctx, &request, flags & BN_ATTACH_HOLD_PORTS, &record, &published);
	if (r >= 0 && endpoint) {
		r = snapshot_fill(ctx, &record, &published, 0, endpoint);
		if (r >= 0)
			*ret_endpoint = TAKE_POINTER(endpoint);
	}
	bn_endpoint_free(endpoint);
	endpoint_clear(&request.endpoint);
	return api_leave(ctx, &endpoint_attach, r);
}

static const struct api_call endpoint_detach = {
	.names = "bn_endpoint_detach, bn_endpoints_detach",
	.flags = BN_DETACH_MISSING_OK | BN_DETACH_QUICK,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint."),
		API_ERRNO(EBUSY, "Another call is at the endpoint."),
	},
};

static int detach(bn_ctx *ctx, const char *network, const char *const *ids, size_t len,
		  uint32_t flags)
{
	int r;

	if (!network)
		return api_missing(ctx, "the network");
	r = api_enter(ctx, &endpoint_detach, flags);
	if (r >= 0)
		r = ops_detach(ctx, network, ids, len, flags);
	return api_leave(ctx, &endpoint_detach, r);
}

int bn_endpoint_detach(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags)
{
	if (!endpoint)
		return api_missing(ctx, "the endpoint");
	return detach(ctx, network, &endpoint, 1, flags);
}

int bn_endpoints_detach(bn_ctx *ctx, const char *network, const bn_name_list *endpoints,
			uint32_t flags)
{
	if (!endpoints)
		return api_missing(ctx, "the list of endpoints");
	return detach(ctx, network, (const char *const *)endpoints->names.items,
		      endpoints->names.len, flags);
}

static const struct api_call endpoint_get = {
	.names = "bn_endpoint_get",
	.flags = BN_GET_INTERFACE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint."),
	},
};

int bn_endpoint_get(bn_ctx *ctx, const char *network, const char *id, uint32_t flags,
		    bn_endpoint **ret_endpoint)
{
	CLEANUP(endpoint_clear) struct endpoint record = { 0 };
	bn_endpoint *endpoint = NULL;
	int r;

	if (!network || !id || !ret_endpoint)
		return api_missing(ctx, "the network, the endpoint or the result");
	r = api_enter(ctx, &endpoint_get, flags);
	if (r >= 0)
		r = ops_endpoint_get(ctx, network, id, &record);
	if (r >= 0) {
		endpoint = calloc(1, sizeof(*endpoint));
		r = endpoint ? snapshot_read(ctx, &record, flags, endpoint) :
			       error_oom(&ctx->error);
	}
	if (r >= 0)
		*ret_endpoint = TAKE_POINTER(endpoint);
	bn_endpoint_free(endpoint);
	return api_leave(ctx, &endpoint_get, r);
}

static int fill_list(bn_ctx *ctx, const char *network, uint32_t flags, bn_endpoint_list *list)
{
	CLEANUP(endpoints_clear) endpoint_vector records = { 0 };
	CLEANUP(network_clear) struct network record = { 0 };
	struct bn_endpoint *slot;
	int r = 0;

	if (network)
		r = store_network_get(ctx->store, network, &record, &ctx->error);
	if (r >= 0)
		r = store_endpoints(ctx->store, network ? record.name : NULL, 0, &records,
				    &ctx->error);
	for (size_t i = 0; i < records.len && r >= 0; i++) {
		slot = vector_push(&list->endpoints);
		r = slot ? snapshot_read(ctx, &records.items[i], flags, slot) :
			   error_oom(&ctx->error);
	}
	return r;
}

static const struct api_call endpoints_list = {
	.names = "bn_endpoints_list",
	.flags = BN_GET_INTERFACE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
	},
};

int bn_endpoints_list(bn_ctx *ctx, const char *network, uint32_t flags, bn_endpoint_list **ret_list)
{
	bn_endpoint_list *list = NULL;
	int r;

	if (!ret_list)
		return api_missing(ctx, "the result");
	r = api_enter(ctx, &endpoints_list, flags);
	if (r >= 0) {
		list = calloc(1, sizeof(*list));
		r = list ? fill_list(ctx, network, flags, list) : error_oom(&ctx->error);
	}
	if (r >= 0)
		*ret_list = TAKE_POINTER(list);
	bn_endpoint_list_free(list);
	return api_leave(ctx, &endpoints_list, r);
}

/* ---- snapshots ---- */

size_t bn_endpoint_list_len(const bn_endpoint_list *list)
{
	return list ? list->endpoints.len : 0;
}

const bn_endpoint *bn_endpoint_list_at(const bn_endpoint_list *list, size_t i)
{
	return i < bn_endpoint_list_len(list) ? &list->endpoints.items[i] : NULL;
}

void bn_endpoint_list_free(bn_endpoint_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->endpoints.len; i++)
		snapshot_clear(&list->endpoints.items[i]);
	free(list->endpoints.items);
	free(list);
}

void bn_endpoint_free(bn_endpoint *endpoint)
{
	if (!endpoint)
		return;
	snapshot_clear(endpoint);
	free(endpoint);
}

const char *bn_endpoint_network(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.network : "";
}

const char *bn_endpoint_id(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.id : "";
}

const char *bn_endpoint_sandbox(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.sandbox : "";
}

const char *bn_endpoint_interface_name(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.interface : "";
}

const char *bn_endpoint_host_interface_name(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.host_interface : "";
}

const char *bn_endpoint_mac(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->mac : "";
}

uint32_t bn_endpoint_mtu(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.mtu : 0;
}

size_t bn_endpoint_address_count(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->addresses.len : 0;
}

const char *bn_endpoint_address_at(const bn_endpoint *endpoint, size_t i)
{
	return i < bn_endpoint_address_count(endpoint) ? endpoint->addresses.items[i] : "";
}

size_t bn_endpoint_gateway_count(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->gateway_count : 0;
}

const char *bn_endpoint_gateway_at(const bn_endpoint *endpoint, size_t i)
{
	return i < bn_endpoint_gateway_count(endpoint) ? endpoint->gateways[i] : "";
}

int bn_endpoint_gateway_priority(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.gateway_priority : 0;
}

size_t bn_endpoint_option_count(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->record.options.len : 0;
}

const char *bn_endpoint_option_key_at(const bn_endpoint *endpoint, size_t i)
{
	return i < bn_endpoint_option_count(endpoint) ? endpoint->record.options.items[i].key : "";
}

const char *bn_endpoint_option_value_at(const bn_endpoint *endpoint, size_t i)
{
	return i < bn_endpoint_option_count(endpoint) ? endpoint->record.options.items[i].value :
							"";
}

const bn_port_list *bn_endpoint_ports(const bn_endpoint *endpoint)
{
	return endpoint ? &endpoint->ports : NULL;
}

const bn_interface *bn_endpoint_interface(const bn_endpoint *endpoint)
{
	return endpoint ? endpoint->interface : NULL;
}
