/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "api/api.h"
#include "model/policy.h"

static void port_snapshot_clear(struct bn_port *port)
{
	for (size_t i = 0; i < port->fds.len; i++)
		cleanup_close(&port->fds.items[i]);
	free(port->fds.items);
	port_clear(&port->record);
}

/* *at: where the last one was found, which mostly is this one's too. */
static const struct endpoint *find_endpoint(const struct rows *rows, const struct port *port,
					    size_t *at)
{
	for (size_t i = 0; i < rows->endpoints.len; i++, (*at)++) {
		*at %= rows->endpoints.len;
		if (port_is_of(port, &rows->endpoints.items[*at]))
			return &rows->endpoints.items[*at];
	}
	return NULL;
}

static const struct network *find_network(const struct rows *rows, const struct port *port,
					  size_t *at)
{
	for (size_t i = 0; i < rows->networks.len; i++, (*at)++) {
		*at %= rows->networks.len;
		if (strcmp(rows->networks.items[*at].name, port->network) == 0)
			return &rows->networks.items[*at];
	}
	return NULL;
}

/* Of what has gone meanwhile it says nothing. */
static void set_modes(struct bn_port *port, const struct endpoint *endpoint,
		      const struct network *network)
{
	bool known = endpoint && network;

	port->mode_ipv4 = known ? port_mode(&port->record, endpoint, network, AF_INET) : "";
	port->mode_ipv6 = known ? port_mode(&port->record, endpoint, network, AF_INET6) : "";
}

int port_list_fill(struct bn_port_list *list, const struct rows *rows, struct error *error)
{
	size_t endpoint_at = 0, network_at = 0;
	struct bn_port *port;

	if (vector_reserve(&list->ports, rows->ports.len) < 0)
		return error_oom(error);
	for (size_t i = 0; i < rows->ports.len; i++) {
		port = vector_push(&list->ports);
		port_copy(&port->record, &rows->ports.items[i]);
		port_host_format(&port->record, port->host_addr);
		port_format(&port->record, port->text);
		set_modes(port, find_endpoint(rows, &port->record, &endpoint_at),
			  find_network(rows, &port->record, &network_at));
	}
	return 0;
}

void port_list_hold(struct bn_port_list *list, held_vector *held)
{
	for (size_t i = 0; i < held->len; i++)
		list->ports.items[i].fds = held->items[i];
	held->len = 0;
}

void port_list_clear(struct bn_port_list *list)
{
	for (size_t i = 0; i < list->ports.len; i++)
		port_snapshot_clear(&list->ports.items[i]);
	free(list->ports.items);
}

/* ---- verbs ---- */

/* A view: it borrows the spec. */
static struct bn_port_spec_list list_of_one(const bn_port_spec *spec)
{
	return (struct bn_port_spec_list){ .specs = { (struct bn_port_spec *)spec, 1, 0 } };
}

static const struct api_call port_publish = {
	.names = "bn_port_publish, bn_ports_publish",
	.flags = PORT_FLAGS | BN_PUBLISH_UPDATE,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint."),
		API_ERRNO(EADDRINUSE, "A host port is published by another endpoint, or used by a "
				      "process."),
		API_ERRNO(EADDRNOTAVAIL, "The host has no such address."),
		API_ERRNO(ENOSPC, "No host port is free, or one is published on too many single "
				  "addresses."),
		API_ERRNO(EBUSY, "Another call is at the endpoint or the port."),
		API_ERRNO(EINVAL, "A mapping is malformed, a port is 0 or more than 65535, the "
				  "ranges are of unequal length, the endpoint has no address of "
				  "that family, or the address is an IPv6 link-local one."),
		API_ERRNO(EOPNOTSUPP, "The address is ::1, from which the kernel does not forward, "
				      "or the network is host or none."),
		API_ERRNO(ENODEV, "Somebody has deleted or renamed the network's bridge."),
		API_ERRNO(ENETDOWN, "The network's bridge is down, has lost its address or does "
				    "not forward."),
	},
};

int port_flags_check(uint32_t flags, bool has_result, struct error *error)
{
	if (flags & BN_PUBLISH_UPDATE && flags & PORT_FLAGS)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "what is published already is neither held nor looked for: with "
				 "UPDATE give no other flag");
	if (!(flags & BN_PUBLISH_HOLD_PORTS))
		return 0;
	if (flags & BN_PUBLISH_OVER_LISTENER)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "ports that the caller has bound can't be bound by the library as "
				 "well: of HOLD_PORTS and OVER_LISTENER give one");
	if (!has_result)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "holding ports needs a result that keeps the descriptors");
	return 0;
}

static int prepare_published(bn_ctx *ctx, const struct rows *rows, void *snapshot)
{
	return port_list_fill(snapshot, rows, &ctx->error);
}

static int publish(bn_ctx *ctx, const char *network, const char *endpoint,
		   const struct bn_port_spec_list *specs, uint32_t flags, bn_port_list **ret_list)
{
	CLEANUP(held_clear) held_vector held = { 0 };
	struct port_request *requests = NULL;
	struct result result = { 0 };
	bn_port_list *list = NULL;
	int r;

	if (!network || !endpoint)
		return api_missing(ctx, "the network or the endpoint");
	r = api_enter(ctx, &port_publish, flags);
	if (r >= 0)
		r = port_flags_check(flags, ret_list, &ctx->error);
	if (r >= 0)
		r = spec_failure_error(&specs->failure, &ctx->error);
	if (r >= 0)
		r = port_specs_parse(specs->specs.items, specs->specs.len, &ctx->deadline,
				     &requests, &ctx->error);
	if (r >= 0 && ret_list) {
		list = calloc(1, sizeof(*list));
		result = (struct result){ prepare_published, list };
		r = list ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0 && flags & BN_PUBLISH_UPDATE)
		r = ops_update_ports(ctx, network, endpoint, requests, specs->specs.len, &result);
	else if (r >= 0)
		r = ops_publish(ctx, network, endpoint, requests, specs->specs.len, flags, &result,
				&held);
	if (r >= 0 && list) {
		port_list_hold(list, &held);
		*ret_list = TAKE_POINTER(list);
	}
	bn_port_list_free(list);
	port_requests_free(requests, specs->specs.len);
	return api_leave(ctx, &port_publish, r);
}

int bn_port_publish(bn_ctx *ctx, const char *network, const char *endpoint,
		    const bn_port_spec *spec, uint32_t flags, bn_port **ret_port)
{
	struct bn_port_spec_list one;
	bn_port_list *list = NULL;
	bn_port *port = NULL;
	int r;

	if (!spec)
		return api_missing(ctx, "the port spec");
	if (ret_port) {
		port = calloc(1, sizeof(*port));
		if (!port)
			return api_oom(ctx);
	}
	one = list_of_one(spec);
	r = publish(ctx, network, endpoint, &one, flags, ret_port ? &list : NULL);
	if (r >= 0 && port && list->ports.len) {
		*port = list->ports.items[0];
		list->ports.items[0] = (struct bn_port){ 0 };
		*ret_port = TAKE_POINTER(port);
	} else if (r >= 0 && port) {
		*ret_port = NULL; /* passed over */
	}
	bn_port_list_free(list);
	free(port);
	return r;
}

int bn_ports_publish(bn_ctx *ctx, const char *network, const char *endpoint,
		     const bn_port_spec_list *specs, uint32_t flags, bn_port_list **ret_list)
{
	if (!specs)
		return api_missing(ctx, "the list of port specs");
	return publish(ctx, network, endpoint, specs, flags, ret_list);
}

static const struct api_call port_unpublish = {
	.names = "bn_port_unpublish, bn_ports_unpublish",
	.flags = BN_UNPUBLISH_MISSING_OK,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint, or no such mapping to take away."),
		API_ERRNO(EBUSY, "Another call is at the endpoint or the port."),
		API_ERRNO(EINVAL, "A mapping is malformed, or a spec leaves open which of several "
				  "is meant."),
	},
};

static int unpublish(bn_ctx *ctx, const char *network, const char *endpoint,
		     const struct bn_port_spec_list *specs, uint32_t flags)
{
	struct port_request *requests = NULL;
	int r;

	if (!network || !endpoint)
		return api_missing(ctx, "the network or the endpoint");
	r = api_enter(ctx, &port_unpublish, flags);
	if (r >= 0)
		r = spec_failure_error(&specs->failure, &ctx->error);
	if (r >= 0)
		r = port_specs_parse(specs->specs.items, specs->specs.len, &ctx->deadline,
				     &requests, &ctx->error);
	if (r >= 0)
		r = ops_unpublish(ctx, network, endpoint, requests, specs->specs.len, flags);
	port_requests_free(requests, specs->specs.len);
	return api_leave(ctx, &port_unpublish, r);
}

int bn_port_unpublish(bn_ctx *ctx, const char *network, const char *endpoint,
		      const bn_port_spec *spec, uint32_t flags)
{
	struct bn_port_spec_list one;

	if (!spec)
		return api_missing(ctx, "the port spec");
	one = list_of_one(spec);
	return unpublish(ctx, network, endpoint, &one, flags);
}

int bn_ports_unpublish(bn_ctx *ctx, const char *network, const char *endpoint,
		       const bn_port_spec_list *specs, uint32_t flags)
{
	if (!specs)
		return api_missing(ctx, "the list of port specs");
	return unpublish(ctx, network, endpoint, specs, flags);
}

static const struct api_call port_move = {
	.names = "bn_port_move",
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network, endpoint or mapping."),
		API_ERRNO(EBUSY, "Another call is at one of the endpoints or ports."),
		API_ERRNO(EINVAL, "The endpoints are one, or in different namespaces, the other "
				  "has "
				  "no address of a mapping's family, or the spec is malformed or "
				  "leaves open which of several is meant."),
		API_ERRNO(EOPNOTSUPP, "The other endpoint is on network host or none."),
		API_ERRNO(ENODEV, "Somebody has deleted or renamed the network's bridge."),
		API_ERRNO(ENETDOWN, "The network's bridge is down, has lost its address or does "
				    "not forward."),
	},
};

static int move_port(bn_ctx *ctx, const char *network, const char *endpoint, const char *to_network,
		     const char *to_endpoint, const bn_port_spec *spec, bn_port_list *list)
{
	struct result result = { list ? prepare_published : NULL, list };
	struct port_request *requests = NULL;
	int r = 0;

	if (spec)
		r = port_specs_parse(spec, 1, &ctx->deadline, &requests, &ctx->error);
	if (r >= 0)
		r = ops_move(ctx, network, endpoint, to_network, to_endpoint, requests,
			     spec != NULL, &result);
	port_requests_free(requests, spec != NULL);
	return r;
}

int bn_port_move(bn_ctx *ctx, const char *network, const char *endpoint, const char *to_network,
		 const char *to_endpoint, const bn_port_spec *spec, uint32_t flags,
		 bn_port_list **ret_list)
{
	bn_port_list *list = NULL;
	int r;

	if (!network || !endpoint || !to_network || !to_endpoint)
		return api_missing(ctx, "a network or an endpoint");
	r = api_enter(ctx, &port_move, flags);
	if (r >= 0 && ret_list) {
		list = calloc(1, sizeof(*list));
		r = list ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0)
		r = move_port(ctx, network, endpoint, to_network, to_endpoint, spec, list);
	if (r >= 0 && list)
		*ret_list = TAKE_POINTER(list);
	bn_port_list_free(list);
	return api_leave(ctx, &port_move, r);
}

static const struct api_call ports_list = {
	.names = "bn_ports_list",
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
	},
};

int bn_ports_list(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
		  bn_port_list **ret_list)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	bn_port_list *list = NULL;
	int r;

	if (!ret_list)
		return api_missing(ctx, "the result");
	r = api_enter(ctx, &ports_list, flags);
	if (r >= 0)
		r = list_ports(ctx, network, endpoint, &rows);
	if (r >= 0) {
		list = calloc(1, sizeof(*list));
		r = list ? port_list_fill(list, &rows, &ctx->error) : error_oom(&ctx->error);
	}
	if (r >= 0)
		*ret_list = TAKE_POINTER(list);
	bn_port_list_free(list);
	return api_leave(ctx, &ports_list, r);
}

/* ---- snapshots ---- */

GETTER(size_t, bn_port_list_len, bn_port_list, self->ports.len, 0)
GETTER_AT(const bn_port *, bn_port_list_at, bn_port_list, bn_port_list_len, &self->ports.items[i],
	  NULL)

void bn_port_list_free(bn_port_list *list)
{
	if (!list)
		return;
	port_list_clear(list);
	free(list);
}

void bn_port_free(bn_port *port)
{
	if (!port)
		return;
	port_snapshot_clear(port);
	free(port);
}

GETTER(const char *, bn_port_network, bn_port, self->record.network, "")
GETTER(const char *, bn_port_endpoint, bn_port, self->record.endpoint, "")
GETTER(const char *, bn_port_protocol, bn_port, protocol_name(self->record.protocol), "")
GETTER(const char *, bn_port_host_address, bn_port, self->host_addr, "")
GETTER(uint32_t, bn_port_host_port, bn_port, self->record.host_port, 0)
GETTER(uint32_t, bn_port_container_port, bn_port, self->record.container_port, 0)
GETTER(uint32_t, bn_port_count, bn_port, self->record.count, 0)
GETTER(const char *, bn_port_text, bn_port, self->text, "")
const char *bn_port_mode(const bn_port *port, const char *family)
{
	if (!port || !family)
		return "";
	if (strcmp(family, "ipv4") == 0)
		return port->mode_ipv4;
	return strcmp(family, "ipv6") == 0 ? port->mode_ipv6 : "";
}

GETTER(size_t, bn_port_option_count, bn_port,
       self->record.options ? self->record.options->options.len : 0, 0)
GETTER_AT(const char *, bn_port_option_key_at, bn_port, bn_port_option_count,
	  self->record.options->options.items[i].key, "")
GETTER_AT(const char *, bn_port_option_value_at, bn_port, bn_port_option_count,
	  self->record.options->options.items[i].value, "")
GETTER(size_t, bn_port_fd_count, bn_port, self->fds.len, 0)
GETTER_AT(int, bn_port_fd_at, bn_port, bn_port_fd_count, self->fds.items[i], -1)
