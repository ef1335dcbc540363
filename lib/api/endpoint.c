/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/api.h"
#include "model/policy.h"

static void endpoint_snapshot_clear(struct bn_endpoint *endpoint)
{
	endpoint_clear(&endpoint->record);
	options_clear(&endpoint->options);
	free(endpoint->addresses);
	free(endpoint->routes.items);
	port_list_clear(&endpoint->ports);
	interface_free(endpoint->interface);
}

static void endpoint_list_clear(struct bn_endpoint_list *list)
{
	for (size_t i = 0; i < list->endpoints.len; i++)
		endpoint_snapshot_clear(&list->endpoints.items[i]);
	free(list->endpoints.items);
	*list = (struct bn_endpoint_list){ 0 };
}

static int add_addresses(bn_ctx *ctx, const struct network *network, const struct endpoint *record,
			 prefix_vector *shared, struct bn_endpoint *endpoint)
{
	prefix_vector addresses = { 0 };
	int r;

	r = list_addresses(ctx, network, record, shared, &addresses);
	if (r >= 0) {
		endpoint->addresses = calloc(addresses.len + 1, sizeof(*endpoint->addresses));
		r = endpoint->addresses ? 0 : error_oom(&ctx->error);
	}
	for (size_t i = 0; i < addresses.len && r >= 0; i++)
		prefix_format(&addresses.items[i], endpoint->addresses[endpoint->address_count++]);
	free(addresses.items);
	return r;
}

static void add_gateways(const struct network *network, const struct endpoint *record,
			 struct bn_endpoint *endpoint)
{
	for_each_family(family)
		if (network_leads_out(network, family) &&
		    addr_is_set(endpoint_gateway(record, network, family)))
			addr_format(endpoint_gateway(record, network, family),
				    endpoint->gateways[endpoint->gateway_count++]);
}

/* There is room for it. */
static void add_route(struct bn_endpoint *endpoint, const struct route *record)
{
	struct bn_endpoint_route *route = &endpoint->routes.items[endpoint->routes.len++];

	route->type = route_type_name(record->type);
	prefix_format(&record->destination, route->destination);
	if (addr_is_unspecified(&record->gateway))
		route->gateway[0] = '\0';
	else
		addr_format(&record->gateway, route->gateway);
	route->metric = route_metric(record);
}

static int add_routes(bn_ctx *ctx, const struct network *network, const struct endpoint *record,
		      struct bn_endpoint *endpoint)
{
	if (vector_reserve(&endpoint->routes, record->routes.len + 2) < 0)
		return error_oom(&ctx->error);
	for_each_family(family) {
		uint32_t metric = endpoint_metric(record, family);

		if (metric && network_subnet(network, family) && endpoint_prefix(record, family))
			add_route(endpoint,
				  &(struct route){
					  .destination.addr.family = family,
					  .gateway = *endpoint_gateway(record, network, family),
					  .metric = metric,
				  });
	}
	for (size_t i = 0; i < record->routes.len; i++)
		add_route(endpoint, &record->routes.items[i]);
	return 0;
}

/* A metric that was asked for may have been taken: it is what was chosen that is shown. */
static int add_options(bn_ctx *ctx, const struct endpoint *record, struct bn_endpoint *endpoint)
{
	char metric[16];
	uint32_t number = endpoint_metric(record, record->ipv4.addr.family ? AF_INET : AF_INET6);
	int r = options_copy(&endpoint->options, &record->options);

	if (r >= 0 && number && options_get(&endpoint->options, "metric")) {
		snprintf(metric, sizeof(metric), "%" PRIu32, number);
		r = options_set(&endpoint->options, "metric", metric);
	}
	return r < 0 ? error_oom(&ctx->error) : 0;
}

/* All but the record; the caller clears the snapshot. */
static int endpoint_snapshot_prepare(bn_ctx *ctx, const struct network *network,
				     const struct endpoint *record, const struct port *ports,
				     size_t ports_len, prefix_vector *shared, enum life life,
				     struct bn_endpoint *endpoint)
{
	const struct rows rows = rows_view(network, record, ports, ports_len);
	int r;

	endpoint->life = life;
	r = port_list_fill(&endpoint->ports, &rows, &ctx->error);
	if (r >= 0)
		r = add_addresses(ctx, network, record, shared, endpoint);
	if (r >= 0)
		r = add_routes(ctx, network, record, endpoint);
	if (r >= 0)
		r = add_options(ctx, record, endpoint);
	add_gateways(network, record, endpoint);
	if (record->interface[0])
		mac_format(record->mac, endpoint->mac);
	return r;
}

int endpoint_snapshot_of_rows(bn_ctx *ctx, const struct rows *rows, enum life life,
			      struct bn_endpoint *endpoint)
{
	prefix_vector shared = { 0 };
	int r;

	/* what another try has left */
	endpoint_snapshot_clear(endpoint);
	*endpoint = (struct bn_endpoint){ 0 };
	r = endpoint_snapshot_prepare(ctx, rows->networks.items, rows->endpoints.items,
				      rows->ports.items, rows->ports.len, &shared, life, endpoint);
	free(shared.items);
	return r;
}

static int prepare_attached(bn_ctx *ctx, const struct rows *rows, void *snapshot)
{
	return endpoint_snapshot_of_rows(ctx, rows, LIFE_RUNNING, snapshot);
}

/* What can't be read any more, because the namespace or the interface is gone, is no error. */
static int read_interface(bn_ctx *ctx, struct bn_endpoint *endpoint)
{
	CLEANUP(interface_clear) struct interface data = { 0 };
	int r = list_interface(ctx, &endpoint->record, &data);

	if (r <= 0)
		return r;
	endpoint->interface = interface_new(&data);
	return endpoint->interface ? 0 : error_oom(&ctx->error);
}

static int read_interfaces(bn_ctx *ctx, bn_endpoint_list *list)
{
	int r = 0;

	for (size_t i = 0; i < list->endpoints.len && r >= 0; i++)
		r = read_interface(ctx, &list->endpoints.items[i]);
	return r;
}

/* ---- verbs ---- */

static const struct api_call endpoint_attach = {
	.names = "bn_endpoint_attach, bn_endpoints_attach",
	.flags = PORT_FLAGS | BN_ATTACH_SAME_NETWORK,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or namespace."),
		API_ERRNO(EEXIST, "The network has an endpoint of that id, or without "
				  "BN_ATTACH_SAME_NETWORK one in that namespace, or the namespace "
				  "has an interface of that name."),
		API_ERRNO(EADDRINUSE, "An address or MAC is taken, or a host port is published or "
				      "used by a process."),
		API_ERRNO(EADDRNOTAVAIL, "The host has no such address to publish a port on."),
		API_ERRNO(ENOSPC, "The network has no address left, or the host no port; or no "
				  "metric is free for its default route."),
		API_ERRNO(ERANGE, "An address is outside the subnet."),
		API_ERRNO(EXFULL, "The bridge has as many ports as the kernel takes, 1023."),
		API_ERRNO(EBUSY, "Another call is making or deleting the network, or is at the "
				 "endpoint."),
		API_ERRNO(EINVAL, "A name, address, MAC, route, port or option value is malformed, "
				  "the file is no network namespace, or no namespace is named."),
		API_ERRNO(EBADF, "bn_endpoint_spec_set_sandbox_fd() had been given no open "
				 "descriptor."),
		API_ERRNO(ENAMETOOLONG, "A name is longer than an endpoint's or an interface's can "
					"be, or the path of the namespace too long."),
		API_ERRNO(EOPNOTSUPP, "An option is not known, the kernel lacks what one needs, a "
				      "port can't be published there, or network bridge is made on "
				      "first use where forwarding is off and the context says to "
				      "require it."),
		API_ERRNO(EAFNOSUPPORT, "The kernel lacks IPv4, which network bridge is made with "
					"on first use."),
		API_ERRNO(ENODEV, "Somebody has deleted or renamed the network's bridge, or "
				  "deletes the interface while it is set up."),
		API_ERRNO(ENETDOWN, "The network's bridge is down, has lost its address or does "
				    "not forward."),
	},
};

/* What an attach of some works on, as many of each. */
struct attachment {
	size_t len;
	struct endpoint_request *requests;
	struct port_request **ports;
	struct result *results;
	struct attached *attached;
};

static void attachment_clear(struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->len; i++) {
		endpoint_clear(&attachment->requests[i].endpoint);
		port_requests_free(attachment->ports[i], attachment->requests[i].ports_len);
		endpoint_clear(&attachment->attached[i].endpoint);
		held_clear(&attachment->attached[i].held);
	}
	free(attachment->requests);
	free(attachment->ports);
	free(attachment->results);
	free(attachment->attached);
}

static int attachment_init(struct attachment *attachment, size_t len, struct error *error)
{
	attachment->requests = calloc(len, sizeof(*attachment->requests));
	attachment->ports = calloc(len, sizeof(*attachment->ports));
	attachment->results = calloc(len, sizeof(*attachment->results));
	attachment->attached = calloc(len, sizeof(*attachment->attached));
	if (!attachment->requests || !attachment->ports || !attachment->results ||
	    !attachment->attached)
		return error_oom(error);
	attachment->len = len;
	return 0;
}

/* endpoints: as many, empty; or NULL, when nobody asks for them. */
static int attach_all(bn_ctx *ctx, bn_endpoint_spec *const *specs, size_t len, uint32_t flags,
		      struct bn_endpoint *endpoints)
{
	CLEANUP(attachment_clear) struct attachment attachment = { 0 };
	int r;

	r = port_flags_check(flags & PORT_FLAGS, endpoints, &ctx->error);
	if (r >= 0)
		r = attachment_init(&attachment, len, &ctx->error);
	for (size_t i = 0; i < len && r >= 0; i++) {
		struct endpoint_request *request = &attachment.requests[i];

		r = endpoint_spec_parse(specs[i], &ctx->deadline, request, &attachment.ports[i],
					&ctx->error);
		request->port_flags = flags & PORT_FLAGS;
		request->same_network = flags & BN_ATTACH_SAME_NETWORK;
		if (endpoints)
			attachment.results[i] = (struct result){ prepare_attached, &endpoints[i] };
	}
	if (r >= 0)
		r = ops_attach(ctx, attachment.requests, len, attachment.results,
			       attachment.attached);
	for (size_t i = 0; i < len && r >= 0 && endpoints; i++) {
		endpoints[i].record = attachment.attached[i].endpoint;
		attachment.attached[i].endpoint = (struct endpoint){ 0 };
		port_list_hold(&endpoints[i].ports, &attachment.attached[i].held);
	}
	return r;
}

int bn_endpoint_attach(bn_ctx *ctx, const bn_endpoint_spec *spec, uint32_t flags,
		       bn_endpoint **ret_endpoint)
{
	bn_endpoint_spec *one = (bn_endpoint_spec *)spec;
	bn_endpoint *endpoint = NULL;
	int r;

	if (!spec)
		return api_missing(ctx, "the endpoint spec");
	r = api_enter(ctx, &endpoint_attach, flags);
	if (r >= 0 && ret_endpoint) {
		endpoint = calloc(1, sizeof(*endpoint));
		r = endpoint ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0)
		r = attach_all(ctx, &one, 1, flags, endpoint);
	if (r >= 0 && endpoint)
		*ret_endpoint = TAKE_POINTER(endpoint);
	bn_endpoint_free(endpoint);
	return api_leave(ctx, &endpoint_attach, r);
}

int bn_endpoints_attach(bn_ctx *ctx, const bn_endpoint_spec_list *specs, uint32_t flags,
			bn_endpoint_list **ret_list)
{
	bn_endpoint_list *list = NULL;
	int r;

	if (!specs)
		return api_missing(ctx, "the list of endpoint specs");
	r = api_enter(ctx, &endpoint_attach, flags);
	if (r >= 0)
		r = spec_failure_error(&specs->failure, &ctx->error);
	if (r >= 0) {
		list = calloc(1, sizeof(*list));
		r = list && vector_reserve(&list->endpoints, specs->specs.len) >= 0 ?
			    0 :
			    error_oom(&ctx->error);
	}
	for (size_t i = 0; i < specs->specs.len && r >= 0; i++)
		list->endpoints.items[list->endpoints.len++] = (struct bn_endpoint){ 0 };
	if (r >= 0 && specs->specs.len)
		r = attach_all(ctx, specs->specs.items, specs->specs.len, flags,
			       ret_list ? list->endpoints.items : NULL);
	if (r >= 0 && ret_list)
		*ret_list = TAKE_POINTER(list);
	bn_endpoint_list_free(list);
	return api_leave(ctx, &endpoint_attach, r);
}

static const struct api_call endpoint_detach = {
	.names = "bn_endpoint_detach, bn_endpoints_detach",
	.flags = BN_DETACH_MISSING_OK | BN_DETACH_QUICK | BN_DETACH_DELETE_EMPTY |
		 BN_DETACH_ASYNC | BN_DETACH_MOVE_PORTS,
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint."),
		API_ERRNO(EBUSY, "Another call is at the endpoint."),
	},
};

/* list_failure: of the list that the ids come from. */
static int detach(bn_ctx *ctx, const char *network, const char *const *ids, size_t len,
		  const struct spec_failure *list_failure, uint32_t flags)
{
	int r;

	if (!network)
		return api_missing(ctx, "the network");
	r = api_enter(ctx, &endpoint_detach, flags);
	if (r >= 0 && (flags & BN_DETACH_QUICK) && (flags & BN_DETACH_ASYNC))
		r = error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
			      "a quick detach deletes no link, so there is nothing to wait for: "
			      "give either BN_DETACH_QUICK or BN_DETACH_ASYNC");
	if (r >= 0)
		r = spec_failure_error(list_failure, &ctx->error);
	if (r >= 0)
		r = ops_detach(ctx, network, ids, len, flags);
	return api_leave(ctx, &endpoint_detach, r);
}

static const struct spec_failure no_failure;

int bn_endpoint_detach(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags)
{
	if (!endpoint)
		return api_missing(ctx, "the endpoint");
	return detach(ctx, network, &endpoint, 1, &no_failure, flags);
}

int bn_endpoints_detach(bn_ctx *ctx, const char *network, const bn_name_list *endpoints,
			uint32_t flags)
{
	if (!endpoints)
		return api_missing(ctx, "the list of endpoints");
	return detach(ctx, network, (const char *const *)endpoints->names.items,
		      endpoints->names.len, &endpoints->failure, flags);
}

/* Rows are sorted: networks by name, endpoints and ports likewise below them. The list has copies
 * of the records. */
static int endpoint_list_fill(bn_ctx *ctx, const struct rows *rows, const enum life *lives,
			      bn_endpoint_list *list)
{
	const port_vector *ports = &rows->ports;
	size_t network = 0, first = 0, next = 0;
	prefix_vector shared = { 0 };
	int r = 0;

	if (vector_reserve(&list->endpoints, rows->endpoints.len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < rows->endpoints.len && r >= 0; i++, first = next) {
		const struct endpoint *record = &rows->endpoints.items[i];
		struct bn_endpoint *endpoint = vector_push(&list->endpoints);

		while (network < rows->networks.len &&
		       strcmp(rows->networks.items[network].name, record->network) != 0)
			network++;
		if (network == rows->networks.len) {
			r = error_set(&ctx->error, -EBADMSG, BN_REASON_STATE,
				      "the state in %s is damaged (endpoint %s has no network); "
				      "detach everything and remove that directory",
				      ctx->state_dir, record->id);
			break;
		}
		while (next < ports->len && port_is_of(&ports->items[next], record))
			next++;
		r = endpoint_snapshot_prepare(ctx, &rows->networks.items[network], record,
					      ports->items + first, next - first, &shared, lives[i],
					      endpoint);
		if (r >= 0 && endpoint_copy(&endpoint->record, record) < 0)
			r = error_oom(&ctx->error);
	}
	free(shared.items);
	return r;
}

/* One, or all of them. */
static int endpoint_list_new(bn_ctx *ctx, const struct api_call *call, const char *network,
			     const char *id, uint32_t flags, bn_endpoint_list **ret_list)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	CLEANUP_FREE enum life *lives = NULL;
	bn_endpoint_list *list;
	int r;

	r = api_enter(ctx, call, flags);
	if (r >= 0)
		r = life_read(ctx, network, id, &rows, &lives);
	if (r < 0)
		return r;
	list = calloc(1, sizeof(*list));
	r = list ? endpoint_list_fill(ctx, &rows, lives, list) : error_oom(&ctx->error);
	if (r >= 0 && (flags & BN_GET_INTERFACE))
		r = read_interfaces(ctx, list);
	if (r >= 0)
		*ret_list = TAKE_POINTER(list);
	bn_endpoint_list_free(list);
	return r;
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
	bn_endpoint_list *list = NULL;
	bn_endpoint *endpoint;
	int r;

	if (!network || !id || !ret_endpoint)
		return api_missing(ctx, "the network, the endpoint or the result");
	r = endpoint_list_new(ctx, &endpoint_get, network, id, flags, &list);
	if (r >= 0) {
		endpoint = malloc(sizeof(*endpoint));
		r = endpoint ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0) {
		*endpoint = list->endpoints.items[--list->endpoints.len];
		*ret_endpoint = endpoint;
	}
	bn_endpoint_list_free(list);
	return api_leave(ctx, &endpoint_get, r);
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
	if (!ret_list)
		return api_missing(ctx, "the result");
	return api_leave(ctx, &endpoints_list,
			 endpoint_list_new(ctx, &endpoints_list, network, NULL, flags, ret_list));
}

static const struct api_call endpoints_collect = {
	.names = "bn_endpoints_collect",
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
	},
};

/* What an earlier try has made is replaced. */
static int prepare_collected(bn_ctx *ctx, const struct rows *rows, void *snapshot)
{
	CLEANUP_FREE enum life *lives = calloc(rows->endpoints.len + 1, sizeof(*lives));
	struct bn_endpoint_list *list = snapshot;

	if (!lives)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < rows->endpoints.len; i++)
		lives[i] = LIFE_GONE;
	endpoint_list_clear(list);
	return endpoint_list_fill(ctx, rows, lives, list);
}

int bn_endpoints_collect(bn_ctx *ctx, const char *network, uint32_t flags,
			 bn_endpoint_list **ret_list)
{
	struct result result = { 0 };
	bn_endpoint_list *list = NULL;
	int r;

	r = api_enter(ctx, &endpoints_collect, flags);
	if (r >= 0 && ret_list) {
		list = calloc(1, sizeof(*list));
		result = (struct result){ prepare_collected, list };
		r = list ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0)
		r = ops_collect(ctx, network, &result);
	if (r >= 0 && list)
		*ret_list = TAKE_POINTER(list);
	bn_endpoint_list_free(list);
	return api_leave(ctx, &endpoints_collect, r);
}

static const struct api_call endpoint_open_sandbox = {
	.names = "bn_endpoint_open_sandbox",
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint, or its namespace is gone."),
		API_ERRNO(EACCES, "The namespace was not found, and not every process may be "
				  "looked at."),
		API_ERRNO(EXDEV, "On network host: the state is about another network namespace "
				 "than the thread is in."),
	},
};

int bn_endpoint_open_sandbox(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
			     int *ret_fd)
{
	int r;

	if (!network || !endpoint || !ret_fd)
		return api_missing(ctx, "the network, the endpoint or the result");
	r = api_enter(ctx, &endpoint_open_sandbox, flags);
	if (r >= 0)
		r = ops_open_sandbox(ctx, network, endpoint, ret_fd);
	return api_leave(ctx, &endpoint_open_sandbox, r);
}

/* ---- snapshots ---- */

GETTER(size_t, bn_endpoint_list_len, bn_endpoint_list, self->endpoints.len, 0)
GETTER_AT(const bn_endpoint *, bn_endpoint_list_at, bn_endpoint_list, bn_endpoint_list_len,
	  &self->endpoints.items[i], NULL)

void bn_endpoint_list_free(bn_endpoint_list *list)
{
	if (!list)
		return;
	endpoint_list_clear(list);
	free(list);
}

void bn_endpoint_free(bn_endpoint *endpoint)
{
	if (!endpoint)
		return;
	endpoint_snapshot_clear(endpoint);
	free(endpoint);
}
