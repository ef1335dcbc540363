/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/fault.h"
#include "model/ipam.h"
#include "ops/detach.h"
#include "ops/operation.h"
#include "ops/port.h"
#include "ops/rules.h"

#define INTERFACE_TRIES 64

/* One attach on its way. */
struct attach {
	const struct endpoint_request *request;
	bool hold;
	struct network network;
	struct sandbox sandbox;
	struct endpoint endpoint;
	struct published published;
	endpoint_vector siblings;     /* other endpoints in the same namespace */
	unsigned int first_interface; /* where the search for a free ethN starts */
	struct operation operation;
	rule_vector rules;
};

static void attach_clear(struct attach *attach)
{
	network_clear(&attach->network);
	sandbox_close(&attach->sandbox);
	endpoint_clear(&attach->endpoint);
	published_clear(&attach->published);
	endpoints_clear(&attach->siblings);
	rules_clear(&attach->rules);
}

/* ---- what is asked ---- */

static int open_sandbox(bn_ctx *ctx, struct attach *attach)
{
	const struct endpoint_request *request = attach->request;
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	if (request->sandbox_path)
		r = sandbox_open_path(request->sandbox_path, &attach->sandbox, &ctx->error);
	else if (request->sandbox_pid > 0)
		r = sandbox_open_pid(request->sandbox_pid, &attach->sandbox, &ctx->error);
	else if (request->sandbox_fd >= 0)
		r = sandbox_open_fd(request->sandbox_fd, &attach->sandbox, &ctx->error);
	else if (attach->network.driver == DRIVER_HOST)
		r = 0;
	else
		r = error_set(&ctx->error, -EINVAL, BN_REASON_SANDBOX_INVALID,
			      "endpoint %s names no network namespace; give a path, a process or "
			      "a descriptor",
			      endpoint->id);
	if (r >= 0 && attach->sandbox.is_host && attach->network.driver != DRIVER_HOST)
		r = error_set(&ctx->error, -EINVAL, BN_REASON_SANDBOX_INVALID,
			      "namespace %s of endpoint %s is the host's own; give that of a "
			      "container, or attach to network host",
			      attach->sandbox.path, endpoint->id);
	if (r < 0)
		return r;
	string_copy(endpoint->sandbox, sizeof(endpoint->sandbox), attach->sandbox.path);
	endpoint->sandbox_device = attach->sandbox.device;
	endpoint->sandbox_inode = attach->sandbox.inode;
	return 0;
}

static int check_address(bn_ctx *ctx, const struct network *network, struct prefix *address,
			 int family)
{
	const struct subnet *subnet = network_subnet(network, family);
	char text[ADDR_TEXT_MAX];

	if (!address->addr.family)
		return 0;
	if (!subnet)
		return error_set(&ctx->error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "address %s: network %s has no %s subnet",
				 addr_format(&address->addr, text), network->name,
				 family == AF_INET ? "IPv4" : "IPv6");
	address->len = subnet->prefix.len;
	return ipam_check_address(network, &address->addr, &ctx->error);
}

static int check_routes(bn_ctx *ctx, const struct attach *attach)
{
	char gateway[ADDR_TEXT_MAX], destination[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < attach->endpoint.routes.len; i++) {
		const struct route *route = &attach->endpoint.routes.items[i];
		const struct subnet *subnet =
			network_subnet(&attach->network, route->gateway.family);

		if (!subnet || !prefix_contains(&subnet->prefix, &route->gateway))
			return error_set(&ctx->error, -EINVAL, BN_REASON_ADDRESS_OUTSIDE,
					 "the route to %s goes by way of %s, which is not in the "
					 "subnet of network %s",
					 prefix_format(&route->destination, destination),
					 addr_format(&route->gateway, gateway),
					 attach->network.name);
	}
	return 0;
}

static int check_request(bn_ctx *ctx, struct attach *attach)
{
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	r = endpoint_id_check(endpoint->id, &ctx->error);
	if (r >= 0 && endpoint->interface[0])
		r = interface_name_check(endpoint->interface, &ctx->error);
	if (r >= 0)
		r = options_check(&endpoint->options, OPTION_ENDPOINT, NULL, &ctx->error);
	if (r >= 0 && attach->network.driver != DRIVER_BRIDGE &&
	    (endpoint->ipv4.addr.family || endpoint->ipv6.addr.family || endpoint->routes.len ||
	     attach->request->mac_given || attach->request->ports_len || endpoint->interface[0]))
		r = error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			      "network %s gives no interface of its own, so addresses, routes, a "
			      "MAC, an interface name and ports have no meaning there; attach to a "
			      "bridge network",
			      attach->network.name);
	if (r >= 0)
		r = check_address(ctx, &attach->network, &endpoint->ipv4, AF_INET);
	if (r >= 0)
		r = check_address(ctx, &attach->network, &endpoint->ipv6, AF_INET6);
	if (r >= 0)
		r = check_routes(ctx, attach);
	return r;
}

/* ---- reserve ---- */

static bool name_in_use(const struct attach *attach, const char *name)
{
	for (size_t i = 0; i < attach->siblings.len; i++)
		if (strcmp(attach->siblings.items[i].interface, name) == 0)
			return true;
	return false;
}

static void choose_interface(struct attach *attach)
{
	struct endpoint *endpoint = &attach->endpoint;

	for (unsigned int i = attach->first_interface;; i++) {
		snprintf(endpoint->interface, sizeof(endpoint->interface), "eth%u", i);
		if (!name_in_use(attach, endpoint->interface))
			return;
	}
}

static int pick_address(bn_ctx *ctx, const struct network *network, int family,
			struct prefix *address)
{
	const struct subnet *subnet = network_subnet(network, family);

	if (!subnet || address->addr.family)
		return 0;
	address->len = subnet->prefix.len;
	return store_address_pick(ctx->store, network, family, &address->addr, &ctx->error);
}

/* The network was read before the transaction. */
static int check_unchanged(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(network_clear) struct network now = { 0 };
	int r;

	r = store_network_get(ctx->store, network->name, &now, &ctx->error);
	if (r < 0)
		return r;
	if (strcmp(now.id, network->id) == 0 && strcmp(now.bridge, network->bridge) == 0 &&
	    prefix_compare(&now.ipv4.prefix, &network->ipv4.prefix) == 0 &&
	    prefix_compare(&now.ipv6.prefix, &network->ipv6.prefix) == 0)
		return 0;
	return error_set(&ctx->error, -ESTALE, BN_REASON_NETWORK_UNKNOWN,
			 "network %s was deleted and made again meanwhile; try again",
			 network->name);
}

static int reserve_bridged(bn_ctx *ctx, struct attach *attach)
{
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	r = check_unchanged(ctx, &attach->network);
	if (r >= 0)
		r = pick_address(ctx, &attach->network, AF_INET, &endpoint->ipv4);
	if (r >= 0)
		r = pick_address(ctx, &attach->network, AF_INET6, &endpoint->ipv6);
	if (r < 0)
		return r;
	if (!attach->request->endpoint.interface[0])
		choose_interface(attach);
	if (!attach->request->mac_given)
		mac_from_addr(endpoint->ipv4.addr.family ? &endpoint->ipv4.addr :
							   &endpoint->ipv6.addr,
			      endpoint->mac);
	endpoint->mtu = attach->network.mtu;
	return 0;
}

/* Another name each time: after a quick detach the last one may live on for a while. */
static int name_host_interface(bn_ctx *ctx, struct attach *attach)
{
	char salted[ENDPOINT_ID_MAX + 18];
	uint64_t salt;

	if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return error_set(&ctx->error, -EIO, BN_REASON_KERNEL,
				 "the kernel gives no random bytes for an interface name");
	snprintf(salted, sizeof(salted), "%s/%016" PRIx64, attach->endpoint.id, salt);
	host_interface_name(attach->network.id, salted, attach->endpoint.host_interface);
	return 0;
}

/* What takes calls to the kernel and so stands before the transaction. */
static int prepare_bridged(bn_ctx *ctx, struct attach *attach)
{
	int r;

	r = siblings_find(ctx, &attach->endpoint, &attach->siblings);
	return r < 0 ? r : name_host_interface(ctx, attach);
}

static int reserve_rows(bn_ctx *ctx, struct attach *attach, bool picks)
{
	int r = 0;

	if (attach->network.driver == DRIVER_BRIDGE)
		r = prepare_bridged(ctx, attach);
	if (r >= 0)
		r = operation_begin(ctx, OPERATION_ATTACH, &attach->operation);
	if (r >= 0 && attach->network.driver == DRIVER_BRIDGE)
		r = reserve_bridged(ctx, attach);
	if (r >= 0)
		r = store_endpoint_insert(ctx->store, &attach->operation, &attach->endpoint,
					  &ctx->error);
	if (r >= 0)
		r = ports_reserve(ctx, &attach->operation, &attach->published.ports, picks);
	if (r >= 0)
		r = FAULT("attach.reserve");
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* Which ports are picked depends on the families, which are those of the network. */
static struct endpoint with_families(const struct attach *attach)
{
	struct endpoint endpoint = attach->endpoint;

	endpoint.ipv4.addr.family = attach->network.ipv4.prefix.addr.family;
	endpoint.ipv6.addr.family = attach->network.ipv6.prefix.addr.family;
	return endpoint;
}

static int reserve(bn_ctx *ctx, struct attach *attach)
{
	const struct endpoint_request *request = attach->request;
	bool picks = ports_have_picks(request->ports, request->ports_len);
	const struct endpoint shape = with_families(attach);
	int r;

	for (int tries = 0;; tries++) {
		r = ports_choose(ctx, &shape, request->ports, request->ports_len,
				 &attach->published.ports);
		if (r < 0)
			return r;
		r = reserve_rows(ctx, attach, picks);
		if (r >= 0 || !picks || tries == PICK_TRIES ||
		    ctx->error.reason != BN_REASON_PORT_IN_USE)
			return r;
		attach->published.ports.len = 0;
		endpoints_clear(&attach->siblings);
		attach->endpoint.ipv4 = request->endpoint.ipv4;
		attach->endpoint.ipv6 = request->endpoint.ipv6;
		r = check_request(ctx, attach);
		if (r < 0)
			return r;
	}
}

/* ---- kernel ---- */

static int default_gateways(bn_ctx *ctx, const struct attach *attach,
			    struct link_endpoint_config *config)
{
	size_t len = attach->siblings.len;
	CLEANUP_FREE const struct endpoint **candidates = calloc(len + 1, sizeof(*candidates));

	if (!candidates)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < len; i++)
		candidates[i] = &attach->siblings.items[i];
	candidates[len++] = &attach->endpoint;
	if (ipam_gateway_endpoint(candidates, len, AF_INET) == &attach->endpoint)
		config->gateway_ipv4 = attach->network.ipv4.gateway;
	if (ipam_gateway_endpoint(candidates, len, AF_INET6) == &attach->endpoint)
		config->gateway_ipv6 = attach->network.ipv6.gateway;
	return 0;
}

static int build_link(bn_ctx *ctx, struct attach *attach)
{
	char alias[ALIAS_MAX];
	struct link_endpoint_config config = {
		.endpoint = &attach->endpoint,
		.bridge = attach->network.bridge,
		.alias = alias,
	};

	link_alias(attach->network.id, attach->endpoint.id, alias);
	if (default_gateways(ctx, attach, &config) < 0)
		return -ENOMEM;
	return link_endpoint_create(ctx->link, &attach->sandbox, &config, &ctx->error);
}

/* The default route that the link took from a sibling goes back to it. */
static void undo_link(bn_ctx *ctx, const struct attach *attach)
{
	const char *names[] = { attach->endpoint.host_interface };
	struct error cause;
	int r;

	ctx_undo_begin(ctx, &cause);
	r = link_endpoints_delete(ctx->link, names, 1, &ctx->error);
	pass_gateway_on(ctx, &attach->endpoint);
	ctx_undo_end(ctx, &cause, r);
}

static int build_bridged(bn_ctx *ctx, struct attach *attach)
{
	const port_vector *ports = &attach->published.ports;
	int r;

	r = ports_probe(ctx, &attach->endpoint, ports, attach->hold, &attach->published);
	if (r >= 0)
		r = rules_plan_endpoint(ctx, &attach->network, &attach->endpoint, &attach->rules);
	if (r >= 0)
		r = rules_plan_ports(ctx, &attach->endpoint, ports->items, ports->len,
				     &attach->rules);
	if (r >= 0)
		r = FAULT("attach.rules");
	/* the drops stand before there is an interface that they are about */
	if (r >= 0)
		r = rules_add(ctx, &attach->rules);
	if (r < 0)
		return r;
	r = FAULT("attach.link");
	if (r >= 0)
		r = build_link(ctx, attach);
	if (r < 0) {
		undo_link(ctx, attach);
		rules_undo_add(ctx, &attach->rules);
		return r;
	}
	r = FAULT("attach.flows");
	if (r >= 0)
		r = rules_drop_flows(ctx, &attach->endpoint, 1, ports->items, ports->len, true);
	if (r < 0) {
		undo_link(ctx, attach);
		rules_undo_add(ctx, &attach->rules);
	}
	return r;
}

static int build(bn_ctx *ctx, struct attach *attach)
{
	switch (attach->network.driver) {
	case DRIVER_HOST:
		return 0;
	case DRIVER_NONE:
		return link_loopback_up(&attach->sandbox, ctx->deadline, &ctx->error);
	case DRIVER_BRIDGE:
		break;
	}
	return build_bridged(ctx, attach);
}

/* Reserve, build, settle. */
static int attach_once(bn_ctx *ctx, struct attach *attach)
{
	int r;

	r = reserve(ctx, attach);
	if (r < 0)
		return r;
	r = build(ctx, attach);
	if (r >= 0) {
		r = operation_settle(ctx, &attach->operation);
		if (r < 0 && attach->network.driver == DRIVER_BRIDGE) {
			undo_link(ctx, attach);
			rules_undo_add(ctx, &attach->rules);
		}
	}
	if (r < 0)
		operation_abandon(ctx, &attach->operation);
	return r;
}

static int prepare(bn_ctx *ctx, struct attach *attach)
{
	int r;

	r = ops_network_ready(ctx, attach->request->network, &attach->network);
	if (r >= 0 && endpoint_copy(&attach->endpoint, &attach->request->endpoint) < 0)
		r = error_oom(&ctx->error);
	if (r < 0)
		return r;
	string_copy(attach->endpoint.network, sizeof(attach->endpoint.network),
		    attach->network.name);
	r = check_request(ctx, attach);
	return r < 0 ? r : open_sandbox(ctx, attach);
}

int ops_attach(bn_ctx *ctx, const struct endpoint_request *request, bool hold,
	       struct endpoint *ret_endpoint, struct published *ret_published)
{
	unsigned int first_interface = 0;
	int r;

	for (int tries = 0;; tries++) {
		CLEANUP(attach_clear)
		struct attach attach = {
			.request = request,
			.hold = hold,
			.sandbox.fd = -1,
			.first_interface = first_interface,
		};

		r = prepare(ctx, &attach);
		if (r >= 0)
			r = attach_once(ctx, &attach);
		if (r >= 0) {
			*ret_endpoint = attach.endpoint;
			*ret_published = attach.published;
			attach.endpoint = (struct endpoint){ 0 };
			attach.published = (struct published){ 0 };
			return 0;
		}
		if (r == -ESTALE && tries < INTERFACE_TRIES) {
			error_clear(&ctx->error);
			continue;
		}
		/* somebody else's interface has the name that we picked: take the next */
		if (ctx->error.reason != BN_REASON_INTERFACE_EXISTS ||
		    request->endpoint.interface[0] || tries == INTERFACE_TRIES ||
		    sscanf(attach.endpoint.interface, "eth%u", &first_interface) != 1)
			return r == -ESTALE ? -EBUSY : r;
		first_interface++;
		error_clear(&ctx->error);
	}
}

/* ---- look up ---- */

int ops_endpoint_get(bn_ctx *ctx, const char *name, const char *id, struct endpoint *ret_endpoint)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r;

	r = store_network_get(ctx->store, name, &network, &ctx->error);
	if (r < 0)
		return r;
	return store_endpoint_get(ctx->store, network.name, id, ret_endpoint, &ctx->error);
}
