/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "api/api.h"
#include "model/ipam.h"

static void network_snapshot_clear(struct bn_network *network)
{
	network_clear(&network->record);
	free(network->reserved);
	interface_free(network->interface);
}

static void add_subnet(struct bn_network *network, const struct network *record,
		       const struct subnet *subnet, const struct subnet_usage *usage)
{
	size_t i = network->subnet_count;

	prefix_format(&subnet->prefix, network->subnets[i]);
	addr_format(&subnet->gateway, network->gateways[i]);
	if (subnet->range.first.family)
		range_format(&subnet->range, network->ranges[i]);
	network->used[i] = ipam_count_used(record, subnet, usage->endpoints);
	network->free[i] = ipam_count_free(record, subnet, usage->dynamic);
	network->subnet_count++;
}

static int read_bridge(bn_ctx *ctx, struct bn_network *network)
{
	CLEANUP(interface_clear) struct interface data = { 0 };
	int r = list_bridge(ctx, &network->record, &data);

	if (r <= 0)
		return r;
	network->interface = interface_new(&data);
	return network->interface ? 0 : error_oom(&ctx->error);
}

/* All but the record; the caller clears the snapshot. */
static int network_snapshot_prepare(bn_ctx *ctx, const struct network *record,
				    const struct network_counts *counts, struct bn_network *network)
{
	network->endpoint_count = counts->endpoints;
	for_each_family(family) {
		const struct subnet_usage *usage = family == AF_INET ? counts->addresses.ipv4 :
								       counts->addresses.ipv6;

		for_each_subnet(subnet, record, family)
			add_subnet(network, record, subnet, usage++);
	}
	network->reserved = calloc(record->reserved.len + 1, sizeof(*network->reserved));
	if (!network->reserved)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < record->reserved.len; i++)
		addr_format(&record->reserved.items[i], network->reserved[i]);
	return 0;
}

int network_snapshot_of_rows(bn_ctx *ctx, const struct rows *rows, void *snapshot)
{
	struct network_counts counts;
	int r = list_counts(ctx, rows->networks.items, &counts);

	return r < 0 ? r : network_snapshot_prepare(ctx, rows->networks.items, &counts, snapshot);
}

/* Takes the record over, also on failure. */
static int network_snapshot_fill(bn_ctx *ctx, struct network *record,
				 const struct network_counts *counts, uint32_t flags,
				 struct bn_network *network)
{
	int r = network_snapshot_prepare(ctx, record, counts, network);

	network->record = *record;
	*record = (struct network){ 0 };
	return r < 0 || !(flags & BN_GET_INTERFACE) ? r : read_bridge(ctx, network);
}

/* ---- verbs ---- */

static const struct api_call network_create = {
	.names = "bn_network_create",
	.flags = BN_CREATE_EXISTING_OK | BN_CREATE_HOST_SUBNET_OK,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(EEXIST, "The name, id or bridge belongs to another network; or the "
				  "name is that of a built-in one; with BN_CREATE_EXISTING_OK, the "
				  "network is not as the spec says."),
		API_ERRNO(EADDRINUSE, "A subnet overlaps that of another network, or without "
				      "BN_CREATE_HOST_SUBNET_OK one that the host itself is in."),
		API_ERRNO(ENOSPC, "No subnet of the pools is free, or every address of the "
				  "subnet is reserved."),
		API_ERRNO(EINVAL, "A name, id, subnet, gateway, range, pool, MTU, interface name "
				  "or option value is malformed, a subnet has host bits set, or "
				  "the device "
				  "is no bridge."),
		API_ERRNO(ENAMETOOLONG, "A name is longer than a network's or an interface's can "
					"be."),
		API_ERRNO(ERANGE, "A gateway, range or reserved address is outside the subnet."),
		API_ERRNO(EOPNOTSUPP, "An option or the driver is not known, the bridge to adopt "
				      "has IPv6 turned "
				      "off, the kernel has no packet filter for the backend, "
				      "forwarding is off and the context says to require it, or a "
				      "firewall takes no rules for coexist=insert."),
		API_ERRNO(EAFNOSUPPORT, "The kernel lacks IPv6, or an MTU below 1280 rules it out, "
					"and the network is to have it."),
		API_ERRNO(ENODEV, "The bridge to adopt went away meanwhile."),
	},
};

int bn_network_create(bn_ctx *ctx, const bn_network_spec *spec, uint32_t flags,
		      bn_network **ret_network)
{
	CLEANUP(network_clear) struct network record = { 0 };
	CLEANUP(network_spec_settled_clear) struct bn_network_spec settled = { 0 };
	CLEANUP_FREE struct addr *reserved = NULL;
	struct network_request request = { 0 };
	struct result result = { 0 };
	bn_network *network = NULL;
	int r;

	if (!spec)
		return api_missing(ctx, "the network spec");
	r = api_enter(ctx, &network_create, flags);
	if (r >= 0)
		r = network_spec_settle(spec, &ctx->options, &settled, &ctx->error);
	if (r >= 0)
		r = network_spec_parse(&settled, &ctx->deadline, &request, &reserved, &ctx->error);
	if (r >= 0 && ret_network) {
		network = calloc(1, sizeof(*network));
		result = (struct result){ network_snapshot_of_rows, network };
		r = network ? 0 : error_oom(&ctx->error);
	}
	request.existing_ok = flags & BN_CREATE_EXISTING_OK;
	request.host_subnet_ok = flags & BN_CREATE_HOST_SUBNET_OK;
	if (r >= 0)
		r = ops_network_create(ctx, &request, &result, &record);
	if (r >= 0 && network) {
		network->record = record;
		record = (struct network){ 0 };
		*ret_network = TAKE_POINTER(network);
	}
	free(request.pools.items);
	bn_network_free(network);
	return api_leave(ctx, &network_create, r);
}

static const struct api_call network_delete = {
	.names = "bn_network_delete",
	.flags = BN_DELETE_MISSING_OK | BN_DELETE_ENDPOINTS,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
		API_ERRNO(EBUSY, "The network still has endpoints, or another process is at work "
				 "on it."),
		API_ERRNO(EPERM, "No privilege; or the network is built in and can't be deleted."),
	},
};

int bn_network_delete(bn_ctx *ctx, const char *name, uint32_t flags)
{
	int r;

	if (!name)
		return api_missing(ctx, "the network's name");
	r = api_enter(ctx, &network_delete, flags);
	if (r >= 0)
		r = ops_network_delete(ctx, name, flags);
	return api_leave(ctx, &network_delete, r);
}

/* One, or all of them. */
static int read_list(bn_ctx *ctx, const char *name, uint32_t flags, bn_network_list *list)
{
	CLEANUP(networks_clear) network_vector records = { 0 };
	counts_vector counts = { 0 };
	int r;

	r = list_networks(ctx, name, &records, &counts);
	if (r >= 0 && vector_reserve(&list->networks, records.len) < 0)
		r = error_oom(&ctx->error);
	for (size_t i = 0; i < records.len && r >= 0; i++)
		r = network_snapshot_fill(ctx, &records.items[i], &counts.items[i], flags,
					  vector_push(&list->networks));
	free(counts.items);
	return r;
}

static int network_list_new(bn_ctx *ctx, const struct api_call *call, const char *name,
			    uint32_t flags, bn_network_list **ret_list)
{
	bn_network_list *list;
	int r;

	r = api_enter(ctx, call, flags);
	if (r < 0)
		return r;
	list = calloc(1, sizeof(*list));
	r = list ? read_list(ctx, name, flags, list) : error_oom(&ctx->error);
	if (r >= 0)
		*ret_list = TAKE_POINTER(list);
	bn_network_list_free(list);
	return r;
}

static const struct api_call network_get = {
	.names = "bn_network_get",
	.flags = BN_GET_INTERFACE,
	.flags_need = CTX_LINKS,
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
	},
};

int bn_network_get(bn_ctx *ctx, const char *name, uint32_t flags, bn_network **ret_network)
{
	bn_network_list *list = NULL;
	bn_network *network;
	int r;

	if (!name || !ret_network)
		return api_missing(ctx, "the network's name or the result");
	r = network_list_new(ctx, &network_get, name, flags, &list);
	if (r >= 0) {
		network = malloc(sizeof(*network));
		r = network ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0) {
		*network = list->networks.items[--list->networks.len];
		*ret_network = network;
	}
	bn_network_list_free(list);
	return api_leave(ctx, &network_get, r);
}

static const struct api_call networks_list = {
	.names = "bn_networks_list",
	.flags = BN_GET_INTERFACE,
	.flags_need = CTX_LINKS,
};

int bn_networks_list(bn_ctx *ctx, uint32_t flags, bn_network_list **ret_list)
{
	if (!ret_list)
		return api_missing(ctx, "the result");
	return api_leave(ctx, &networks_list,
			 network_list_new(ctx, &networks_list, NULL, flags, ret_list));
}

/* ---- snapshots ---- */

GETTER(size_t, bn_network_list_len, bn_network_list, self->networks.len, 0)
GETTER_AT(const bn_network *, bn_network_list_at, bn_network_list, bn_network_list_len,
	  &self->networks.items[i], NULL)

void bn_network_list_free(bn_network_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->networks.len; i++)
		network_snapshot_clear(&list->networks.items[i]);
	free(list->networks.items);
	free(list);
}

void bn_network_free(bn_network *network)
{
	if (!network)
		return;
	network_snapshot_clear(network);
	free(network);
}

GETTER(const char *, bn_network_name, bn_network, self->record.name, "")
GETTER(const char *, bn_network_id, bn_network, self->record.id, "")
GETTER(const char *, bn_network_driver, bn_network, driver_name(self->record.driver), "")
GETTER(const char *, bn_network_bridge, bn_network, self->record.bridge, "")
GETTER(uint32_t, bn_network_mtu, bn_network, self->record.mtu, 0)
GETTER(int, bn_network_is_persistent, bn_network, self->record.persistent[0] != 0, 0)
GETTER(size_t, bn_network_subnet_count, bn_network, self->subnet_count, 0)
GETTER_AT(const char *, bn_network_subnet_at, bn_network, bn_network_subnet_count, self->subnets[i],
	  "")
GETTER_AT(const char *, bn_network_gateway_at, bn_network, bn_network_subnet_count,
	  self->gateways[i], "")
GETTER_AT(const char *, bn_network_ip_range_at, bn_network, bn_network_subnet_count,
	  self->ranges[i], "")
GETTER_AT(uint64_t, bn_network_addresses_used_at, bn_network, bn_network_subnet_count,
	  self->used[i], 0)
GETTER_AT(uint64_t, bn_network_addresses_free_at, bn_network, bn_network_subnet_count,
	  self->free[i], 0)
GETTER(size_t, bn_network_reserved_count, bn_network, self->record.reserved.len, 0)
GETTER_AT(const char *, bn_network_reserved_at, bn_network, bn_network_reserved_count,
	  self->reserved[i], "")
GETTER(size_t, bn_network_option_count, bn_network, self->record.options.len, 0)
GETTER_AT(const char *, bn_network_option_key_at, bn_network, bn_network_option_count,
	  self->record.options.items[i].key, "")
GETTER_AT(const char *, bn_network_option_value_at, bn_network, bn_network_option_count,
	  self->record.options.items[i].value, "")
GETTER(size_t, bn_network_endpoint_count, bn_network, self->endpoint_count, 0)
GETTER(const bn_interface *, bn_network_interface, bn_network, self->interface, NULL)
