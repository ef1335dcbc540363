/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/update.h"

#include <errno.h>
#include <stdio.h>

#include "base/fault.h"
#include "model/option_table.h"
#include "model/policy.h"
#include "ops/change.h"
#include "ops/opened.h"
#include "ops/network.h"
#include "ops/recover.h"
#include "ops/resolve.h"
#include "ops/rows.h"

/* ---- options ---- */

/* The default, which is what is not set has. A key that says it all has no value when it is set. */
static bool unsets(const struct option *change, enum option_scope scope)
{
	const struct known_option *known = option_find(scope, change->key);

	/* of one that is not known options_check() says so */
	return known && strcmp(change->value, known->type == &option_empty ? "no" : "") == 0;
}

static int merge_options(bn_ctx *ctx, enum option_scope scope, const struct options *changes,
			 struct options *options)
{
	int r = 0;

	for (size_t i = 0; i < changes->len && r >= 0; i++) {
		const struct option *change = &changes->items[i];

		if (unsets(change, scope))
			free(options_take(options, change->key));
		else
			r = options_set(options, change->key, change->value);
	}
	return r < 0 ? error_oom(&ctx->error) : 0;
}

static int not_live_error(bn_ctx *ctx, const char *whose, const char *what, const char *is,
			  const char *asked)
{
	return error_set(
		&ctx->error, -EBUSY, BN_REASON_NOT_LIVE,
		"%s of %s is %s and can't become %s while that stands; leave it as it is, or "
		"make it anew",
		what, whose, is && is[0] ? is : "the default",
		asked && asked[0] ? asked : "the default");
}

/* Given, or by default. */
static const char *value_of(const struct option *option, const struct known_option *known,
			    char text[static OPTION_LEGAL_MAX])
{
	if (option)
		return option->value;
	option_default(known, text);
	return text;
}

/* Both are sorted by key. */
static int check_live(bn_ctx *ctx, enum option_scope scope, const char *whose,
		      const struct options *before, const struct options *after)
{
	for (size_t i = 0, j = 0; i < before->len || j < after->len;) {
		const struct option *is = i < before->len ? &before->items[i] : NULL;
		const struct option *to = j < after->len ? &after->items[j] : NULL;
		int order = !is ? 1 : !to ? -1 : strcmp(is->key, to->key);
		char is_text[OPTION_LEGAL_MAX], to_text[OPTION_LEGAL_MAX], what[96];
		const struct known_option *known;
		const char *old, *new;

		known = option_find(scope, order <= 0 ? is->key : to->key);
		old = value_of(order <= 0 ? is : NULL, known, is_text);
		new = value_of(order >= 0 ? to : NULL, known, to_text);
		i += order <= 0;
		j += order >= 0;
		if (known->live != LIVE_NO || strcmp(old, new) == 0)
			continue;
		snprintf(what, sizeof(what), "option %.80s", order <= 0 ? is->key : to->key);
		return not_live_error(ctx, whose, what, old, new);
	}
	return 0;
}

/* Merge, and judge. before: the same as options. */
static int update_options(bn_ctx *ctx, enum option_scope scope, const char *whose,
			  const struct options *changes, const struct options *before,
			  struct options *options, void *policy)
{
	int r;

	r = merge_options(ctx, scope, changes, options);
	if (r >= 0)
		r = options_check(options, scope, policy, &ctx->error);
	return r < 0 ? r : check_live(ctx, scope, whose, before, options);
}

/* ---- networks ---- */

struct network_update {
	const struct network_request *request;
	struct network before, after;
	size_t endpoint_count;
};

static void network_update_clear(struct network_update *update)
{
	network_clear(&update->before);
	network_clear(&update->after);
}

static int check_changeable(bn_ctx *ctx, const struct network *network)
{
	if (!driver_of(network)->network_create)
		return error_set(&ctx->error, -EPERM, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and can't be changed", network->name);
	if (network_is_ready(network))
		return 0;
	if (network->persistent[0])
		return error_set(&ctx->error, -ENOENT, BN_REASON_NETWORK_UNKNOWN,
				 "network %s has come back without its bridge, which the first "
				 "endpoint brings; attach one, or delete the network",
				 network->name);
	return error_set(&ctx->error, -ENOENT, BN_REASON_NETWORK_BUILTIN,
			 "network %s is built in and not in use; create it as it is to be",
			 network->name);
}

/* What has no option, and does not change. */
static int check_setters(bn_ctx *ctx, const struct network_request *request,
			 const struct network *network)
{
	static const struct options no_options;
	struct network_request asked = *request;
	struct error error;
	int r;

	asked.options = &no_options;
	asked.mtu = 0;
	r = network_check_equal(ctx, &asked, network);
	if (r != -EEXIST)
		return r;
	error = ctx->error;
	return error_set(&ctx->error, -EBUSY, BN_REASON_NOT_LIVE, "%s", error.message);
}

static int check_published(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(ports_clear) port_vector ports = { 0 };
	char text[PORT_TEXT_MAX];
	int r;

	r = store_ports(ctx->store, network->name, NULL, 0, &ports, &ctx->error);
	if (r < 0 || !ports.len)
		return r;
	return error_set(
		&ctx->error, -EBUSY, BN_REASON_NOT_LIVE,
		"option internal of network %s can't become yes while endpoint %s publishes "
		"port %s (of %zu in all); unpublish them first",
		network->name, ports.items->endpoint, port_format(ports.items, text), ports.len);
}

static int check_isolated(bn_ctx *ctx, const struct network *before, const struct network *after)
{
	static const char *const words[] = { "nat", "nat-unprotected", "routed", "isolated" };

	for_each_family(family) {
		bool ipv4 = family == AF_INET;
		uint8_t is = ipv4 ? before->policy.gateway_mode_ipv4 :
				    before->policy.gateway_mode_ipv6;
		uint8_t asked = ipv4 ? after->policy.gateway_mode_ipv4 :
				       after->policy.gateway_mode_ipv6;

		if (is == asked || (is != GATEWAY_MODE_ISOLATED && asked != GATEWAY_MODE_ISOLATED))
			continue;
		return not_live_error(ctx, after->name,
				      ipv4 ? "option gateway-mode-ipv4" :
					     "option gateway-mode-ipv6",
				      words[is], words[asked]);
	}
	return 0;
}

/* Where a family is routed from then on, nothing of the host leads to the port. */
static int check_named(bn_ctx *ctx, const struct network *before, const struct network *after,
		       const struct port *port)
{
	char text[PORT_TEXT_MAX];

	for_each_family(family) {
		bool begins = !network_routes(before, family) && network_routes(after, family);
		bool named = addr_is_set(&port->host_addr) &&
			     !addr_is_unspecified(&port->host_addr);

		if (begins && port_has_family(port, family) && (named || port->interface[0]))
			return error_set(
				&ctx->error, -EBUSY, BN_REASON_NOT_LIVE,
				"option gateway-mode-%s of network %s can't become routed "
				"while endpoint %s publishes port %s, which names an address "
				"or interface of the host; unpublish it first",
				family == AF_INET ? "ipv4" : "ipv6", after->name, port->endpoint,
				port_format(port, text));
	}
	return 0;
}

/* A port that was open at the endpoint's own address has none of the host that could lead there,
 * and others may have it. */
static int check_routed(bn_ctx *ctx, const struct network *before, const struct network *after)
{
	CLEANUP(ports_clear) port_vector ports = { 0 };
	bool ipv4 = network_routes(before, AF_INET) && !network_routes(after, AF_INET);
	bool ipv6 = network_routes(before, AF_INET6) && !network_routes(after, AF_INET6);
	uint8_t ends = (uint8_t)((ipv4 ? PORT_ROUTED_IPV4 : 0) | (ipv6 ? PORT_ROUTED_IPV6 : 0));
	char text[PORT_TEXT_MAX];
	int r = 0;

	if (ends || network_routes(after, AF_INET) || network_routes(after, AF_INET6))
		r = store_ports(ctx->store, after->name, NULL, 0, &ports, &ctx->error);
	for (size_t i = 0; i < ports.len && r >= 0; i++) {
		r = check_named(ctx, before, after, &ports.items[i]);
		if (r < 0 || !(ports.items[i].routed & ends))
			continue;
		r = error_set(&ctx->error, -EBUSY, BN_REASON_NOT_LIVE,
			      "option gateway-mode-%s of network %s can't stop being routed while "
			      "endpoint %s publishes port %s, which has no port of the host; "
			      "unpublish it first",
			      ipv4 ? "ipv4" : "ipv6", after->name, ports.items[i].endpoint,
			      port_format(&ports.items[i], text));
	}
	return r;
}

/* Nobody would be kept away any more. */
static int check_lists(bn_ctx *ctx, const struct network *after)
{
	CLEANUP(ports_clear) port_vector ports = { 0 };
	char text[PORT_TEXT_MAX];
	int r;

	r = store_ports(ctx->store, after->name, NULL, 0, &ports, &ctx->error);
	for (size_t i = 0; i < ports.len && r >= 0; i++) {
		const struct port *port = &ports.items[i];
		const char *option = port->options ? port_way_round(port, after, AF_INET) : NULL;

		if (port->options && !option)
			option = port_way_round(port, after, AF_INET6);
		if (option)
			r = error_set(&ctx->error, -EBUSY, BN_REASON_NOT_LIVE,
				      "option %s of network %s can't let endpoints be reached at "
				      "their own addresses while endpoint %s publishes port %s "
				      "with lists of who reaches it; take the lists off first",
				      option, after->name, port->endpoint, port_format(port, text));
	}
	return r;
}

static int check_opened(bn_ctx *ctx, const struct network *after)
{
	CLEANUP(ports_clear) port_vector ports = { 0 };
	int r = store_ports(ctx->store, after->name, NULL, 0, &ports, &ctx->error);

	return r < 0 ? r : opened_check_all(ctx, after, &ports);
}

/* What is attached would keep its default routes, or lack them. */
static int check_way_out(bn_ctx *ctx, const struct network *before, const struct network *after)
{
	char whose[NETWORK_NAME_MAX + sizeof(", which has endpoints")];

	snprintf(whose, sizeof(whose), "%s, which has endpoints", after->name);
	for_each_family(family)
		if (network_leads_out(before, family) != network_leads_out(after, family))
			return not_live_error(
				ctx, whose, "option internal",
				before->policy.internal == INTERNAL_YES ? "yes" : "no",
				after->policy.internal == INTERNAL_YES ? "yes" : "no");
	return 0;
}

static int check_network(bn_ctx *ctx, const struct network *before, struct network *after,
			 size_t endpoint_count)
{
	const struct driver_ops *driver = driver_of(after);
	bool shuts = after->policy.internal == INTERNAL_YES &&
		     before->policy.internal != INTERNAL_YES;
	int r;

	r = network_check_policy(ctx, after);
	if (r >= 0)
		r = check_isolated(ctx, before, after);
	if (r >= 0 && shuts)
		r = check_published(ctx, after);
	if (r >= 0)
		r = check_routed(ctx, before, after);
	if (r >= 0)
		r = check_lists(ctx, after);
	if (r >= 0)
		r = check_opened(ctx, after);
	if (r >= 0 && endpoint_count)
		r = check_way_out(ctx, before, after);
	if (r >= 0 && driver->network_update_check)
		r = driver->network_update_check(ctx, before, after);
	return r;
}

static int load_network(bn_ctx *ctx, struct network_update *update)
{
	const char *name = update->request->name;
	int r;

	network_update_clear(update);
	r = store_network_use_alone(ctx->store, name, &update->before, &ctx->error);
	if (r >= 0)
		r = check_changeable(ctx, &update->before);
	/* a copy of its own */
	if (r >= 0)
		r = store_network_use(ctx->store, name, &update->after, &ctx->error);
	return r < 0 ? r :
		       store_endpoint_count(ctx->store, update->before.name,
					    &update->endpoint_count, &ctx->error);
}

static int reserve_network(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct network_update *update = verb;
	const struct network_request *request = update->request;
	struct network *before = &update->before, *after = &update->after;
	char whose[NETWORK_NAME_MAX + sizeof("network ")];
	int r;

	r = load_network(ctx, update);
	if (r < 0)
		return r;
	snprintf(whose, sizeof(whose), "network %s", after->name);
	r = update_options(ctx, OPTION_NETWORK, whose, request->options, &before->options,
			   &after->options, &after->policy);
	if (r >= 0)
		r = check_setters(ctx, request, before);
	if (r >= 0 && request->mtu)
		after->mtu = request->mtu;
	if (r >= 0)
		r = network_take_mtu(ctx, after, request->mtu);
	if (r >= 0)
		r = check_network(ctx, before, after, update->endpoint_count);
	if (r >= 0)
		r = store_network_update(ctx->store, operation, after, &ctx->error);
	return r < 0 ? r : FAULT("update.reserve");
}

/* In the kernel, and settled: all of it or nothing. */
static int make_update(bn_ctx *ctx, const struct operation *operation, const struct result *result,
		       const struct rows *before, const struct rows *after)
{
	int r;

	r = result_prepare(ctx, result, after);
	if (r >= 0)
		r = change_make(ctx, before, after, true);
	if (r >= 0)
		r = operation_settle(ctx, operation);
	return r < 0 ? operation_fail(ctx, operation, after, r) : 0;
}

int ops_network_update(bn_ctx *ctx, const struct network_request *request,
		       const struct result *result, struct network *ret_network,
		       size_t *ret_endpoint_count)
{
	CLEANUP(network_update_clear) struct network_update update = { .request = request };
	struct operation operation;
	struct rows before, after;
	int r;

	r = operation_reserve(ctx, OPERATION_UPDATE, reserve_network, &update, &operation);
	if (r < 0)
		return r;
	before = rows_view(&update.before, NULL, NULL, 0);
	after = rows_view(&update.after, NULL, NULL, 0);
	r = make_update(ctx, &operation, result, &before, &after);
	if (r < 0)
		return r;
	network_say_addresses(ctx, &update.after);
	*ret_network = update.after;
	*ret_endpoint_count = update.endpoint_count;
	update.after = (struct network){ 0 };
	return 0;
}

/* ---- endpoints ---- */

struct endpoint_update {
	const struct endpoint_request *request;
	struct network network;
	struct endpoint before, after;
	port_vector ports;
};

static void endpoint_update_clear(struct endpoint_update *update)
{
	network_clear(&update->network);
	endpoint_clear(&update->before);
	endpoint_clear(&update->after);
	ports_clear(&update->ports);
}

static int load_endpoint(bn_ctx *ctx, struct endpoint_update *update)
{
	const struct endpoint_request *request = update->request;
	const char *network;
	int r;

	endpoint_update_clear(update);
	r = store_network_use(ctx->store, request->network, &update->network, &ctx->error);
	if (r < 0)
		return r;
	network = update->network.name;
	r = store_endpoint_use(ctx->store, network, request->endpoint.id, &update->before,
			       &ctx->error);
	if (r >= 0 && endpoint_copy(&update->after, &update->before) < 0)
		r = error_oom(&ctx->error);
	return r < 0 ? r :
		       store_ports(ctx->store, network, request->endpoint.id, 0, &update->ports,
				   &ctx->error);
}

static int check_sandbox(bn_ctx *ctx, const char *whose, const struct endpoint_request *request,
			 const struct endpoint *endpoint)
{
	CLEANUP_SANDBOX struct sandbox asked = { .fd = -1 };
	struct sandbox is = sandbox_of(endpoint);
	int r = 0;

	if (request->sandbox_path)
		r = sandbox_open_path(request->sandbox_path, &asked, &ctx->error);
	else if (request->sandbox_pid > 0)
		r = sandbox_open_pid(request->sandbox_pid, &asked, &ctx->error);
	else if (request->sandbox_fd >= 0)
		r = sandbox_open_fd(request->sandbox_fd, request->sandbox_fd_number, &asked,
				    &ctx->error);
	if (r < 0 || asked.fd < 0 || sandbox_is_same(&asked, &is))
		return r;
	return not_live_error(ctx, whose, "the namespace",
			      endpoint->sandbox[0] ? endpoint->sandbox : "another one",
			      sandbox_name(&asked));
}

static int check_addresses(bn_ctx *ctx, const char *whose, const struct endpoint *asked,
			   const struct endpoint *is)
{
	char text[ADDR_TEXT_MAX] = "none", asked_text[ADDR_TEXT_MAX];

	for_each_family(family)
		for_each_address(one, asked, family) {
			const struct prefix *first = endpoint_prefix(is, family);

			if (endpoint_place(is, &one->addr) < SUBNETS_MAX)
				continue;
			if (first)
				addr_format(&first->addr, text);
			return not_live_error(ctx, whose, "the address", text,
					      addr_format(&one->addr, asked_text));
		}
	return 0;
}

static bool has_route(const struct endpoint *endpoint, const struct route *route)
{
	for (size_t i = 0; i < endpoint->routes.len; i++) {
		const struct route *is = &endpoint->routes.items[i];

		if (prefix_compare(&is->destination, &route->destination) == 0 &&
		    addr_compare(&is->gateway, &route->gateway) == 0 && is->type == route->type &&
		    route_metric(is) == route_metric(route))
			return true;
	}
	return false;
}

/* A list is said whole. */
static int check_routes(bn_ctx *ctx, const char *whose, const struct endpoint *asked,
			const struct endpoint *is)
{
	char text[PREFIX_TEXT_MAX], count[32];

	for (size_t i = 0; i < asked->routes.len; i++)
		if (!has_route(is, &asked->routes.items[i]))
			return not_live_error(ctx, whose, "the list of routes", "without it",
					      prefix_format(&asked->routes.items[i].destination,
							    text));
	if (!asked->routes.len || asked->routes.len == is->routes.len)
		return 0;
	snprintf(count, sizeof(count), "of %zu", is->routes.len);
	return not_live_error(ctx, whose, "the list of routes", count, "shorter");
}

static int check_ports(bn_ctx *ctx, const char *whose, const struct endpoint_update *update)
{
	const struct addr *bind = network_bind(&update->network);
	const port_vector *ports = &update->ports;

	for (size_t i = 0; i < update->request->ports_len; i++) {
		const struct port_request *asked = &update->request->ports[i];
		char text[PORT_TEXT_MAX];
		size_t at = port_request_find(asked, bind, ports->items, ports->len, 0);

		/* options that are not said are not meant */
		if (at < ports->len &&
		    (!asked->port.options ||
		     port_options_equal(asked->port.options, ports->items[at].options)))
			continue;
		return error_set(&ctx->error, -EBUSY, BN_REASON_NOT_LIVE,
				 "port %s is not published by %s, which an update does not change; "
				 "publish it",
				 port_format(&asked->port, text), whose);
	}
	return 0;
}

static int check_names(bn_ctx *ctx, const char *whose, const struct endpoint_request *request,
		       const struct endpoint *is)
{
	const struct endpoint *asked = &request->endpoint;
	char text[MAC_TEXT_MAX], asked_text[MAC_TEXT_MAX];

	if (asked->interface[0] && strcmp(asked->interface, is->interface) != 0)
		return not_live_error(ctx, whose, "the interface name", is->interface,
				      asked->interface);
	if (request->mac_given && memcmp(asked->mac, is->mac, MAC_LEN) != 0)
		return not_live_error(ctx, whose, "the MAC address", mac_format(is->mac, text),
				      mac_format(asked->mac, asked_text));
	return 0;
}

/* What has no option, and does not change. */
static int check_attached(bn_ctx *ctx, const char *whose, const struct endpoint_update *update)
{
	const struct endpoint_request *request = update->request;
	const struct endpoint *is = &update->before, *asked = &request->endpoint;
	int r = check_sandbox(ctx, whose, request, is);

	if (r >= 0)
		r = check_names(ctx, whose, request, is);
	if (r >= 0)
		r = check_addresses(ctx, whose, asked, is);
	if (r >= 0)
		r = check_routes(ctx, whose, asked, is);
	return r < 0 ? r : check_ports(ctx, whose, update);
}

static int reserve_endpoint(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct endpoint_update *update = verb;
	struct endpoint *before = &update->before, *after = &update->after;
	const struct driver_ops *driver;
	char whose[ENDPOINT_ID_MAX + NETWORK_NAME_MAX + sizeof("endpoint  of network ")];
	int r;

	r = load_endpoint(ctx, update);
	if (r < 0)
		return r;
	driver = driver_of(&update->network);
	snprintf(whose, sizeof(whose), "endpoint %s of network %s", after->id, after->network);
	r = update_options(ctx, OPTION_ENDPOINT, whose, &update->request->endpoint.options,
			   &before->options, &after->options, &after->policy);
	if (r >= 0)
		r = check_attached(ctx, whose, update);
	if (update->request->gateway_priority_given)
		after->gateway_priority = update->request->endpoint.gateway_priority;
	if (r >= 0 && driver->endpoint_update_check)
		r = driver->endpoint_update_check(ctx, operation, &update->network, before, after);
	if (r >= 0)
		r = store_endpoint_update(ctx->store, operation, after, &ctx->error);
	return r < 0 ? r : FAULT("update.reserve");
}

int ops_endpoint_update(bn_ctx *ctx, const struct endpoint_request *request,
			const struct result *result, struct endpoint *ret_endpoint)
{
	CLEANUP(endpoint_update_clear) struct endpoint_update update = { .request = request };
	struct operation operation;
	struct rows before, after;
	int r;

	r = operation_reserve(ctx, OPERATION_UPDATE, reserve_endpoint, &update, &operation);
	if (r < 0)
		return r;
	before = rows_view(&update.network, &update.before, update.ports.items, update.ports.len);
	after = rows_view(&update.network, &update.after, update.ports.items, update.ports.len);
	r = make_update(ctx, &operation, result, &before, &after);
	if (r < 0)
		return r;
	*ret_endpoint = update.after;
	update.after = (struct endpoint){ 0 };
	return 0;
}
