/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/endpoint.h"

#include <errno.h>
#include <stdio.h>

#include "base/fault.h"
#include "model/sysctl.h"
#include "ops/network.h"
#include "ops/recover.h"
#include "ops/resolve.h"

#define INTERFACE_TRIES 64

static void attach_clear(struct attach *attach)
{
	network_clear(&attach->network);
	link_visit_close(attach->visit);
	sandbox_close(&attach->sandbox);
	endpoint_clear(&attach->endpoint);
	ports_clear(&attach->ports);
	held_clear(&attach->held);
	endpoints_clear(&attach->siblings);
	free(attach->sources.items);
	link_announcer_close(&attach->announcer);
	rules_clear(&attach->rules);
	host_view_clear(&attach->view);
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
		r = sandbox_open_fd(request->sandbox_fd, request->sandbox_fd_number,
				    &attach->sandbox, &ctx->error);
	else
		return 0;
	if (r < 0)
		return r;
	attach->is_host = ctx_is_at(ctx, &attach->sandbox);
	string_copy(endpoint->sandbox, sizeof(endpoint->sandbox), attach->sandbox.path);
	endpoint->sandbox_device = attach->sandbox.device;
	endpoint->sandbox_inode = attach->sandbox.inode;
	endpoint->sandbox_cookie = attach->sandbox.cookie;
	return 0;
}

static int check_sandbox(bn_ctx *ctx, const struct attach *attach)
{
	if (driver_of(&attach->network)->in_host) {
		if (attach->sandbox.fd < 0 || attach->is_host)
			return 0;
		return error_set(&ctx->error, -EINVAL, BN_REASON_SANDBOX_INVALID,
				 "namespace %s of endpoint %s is not the host's own, which is what "
				 "network %s gives; name none, or attach to another network",
				 sandbox_name(&attach->sandbox), attach->endpoint.id,
				 attach->network.name);
	}
	if (attach->sandbox.fd < 0)
		return error_set(
			&ctx->error, -EINVAL, BN_REASON_SANDBOX_INVALID,
			"endpoint %s names no network namespace; give a path, a process or "
			"a descriptor",
			attach->endpoint.id);
	if (attach->is_host)
		return error_set(&ctx->error, -EINVAL, BN_REASON_SANDBOX_INVALID,
				 "namespace %s of endpoint %s is the host's own; give that of a "
				 "container, or attach to network host",
				 sandbox_name(&attach->sandbox), attach->endpoint.id);
	return 0;
}

static int check_request(bn_ctx *ctx, struct attach *attach)
{
	const struct driver_ops *driver = driver_of(&attach->network);
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	r = check_sandbox(ctx, attach);
	if (r >= 0)
		r = endpoint_id_check(endpoint->id, &ctx->error);
	if (r >= 0 && endpoint->interface[0])
		r = interface_name_check(endpoint->interface, &ctx->error);
	if (r >= 0)
		r = options_check(&endpoint->options, OPTION_ENDPOINT, &endpoint->policy,
				  &ctx->error);
	if (r >= 0 && driver->no_interface &&
	    (endpoint->ipv4.addr.family || endpoint->ipv6.addr.family || endpoint->routes.len ||
	     attach->request->mac_given || attach->request->ports_len || endpoint->interface[0] ||
	     endpoint->policy.rate_in || endpoint->policy.rate_out))
		r = error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			      "network %s gives no interface of its own, so addresses, routes, a "
			      "MAC, an interface name, rates and ports have no meaning there; "
			      "attach to a bridge network",
			      attach->network.name);
	if (r >= 0 && driver->endpoint_check)
		r = driver->endpoint_check(ctx, attach);
	return r;
}

/* ---- reserve ---- */

/* What an earlier try has found. */
static void forget(struct attach *attach)
{
	const struct endpoint *asked = &attach->request->endpoint;
	struct endpoint *endpoint = &attach->endpoint;

	network_clear(&attach->network);
	endpoints_clear(&attach->siblings);
	attach->sources.len = 0;
	attach->makes_network = false;
	endpoint->ipv4 = asked->ipv4;
	endpoint->ipv6 = asked->ipv6;
	memcpy(endpoint->interface, asked->interface, sizeof(endpoint->interface));
	memcpy(endpoint->mac, asked->mac, sizeof(endpoint->mac));
}

/* `bridge` is made on first use, by the same operation. -ESTALE: only now it turns out that it is
 * to be made. */
static int use_network(bn_ctx *ctx, const struct operation *operation, struct attach *attach)
{
	int r;

	r = store_network_use(ctx->store, attach->request->network, &attach->network, &ctx->error);
	if (r < 0)
		return r;
	if (network_is_ready(&attach->network))
		return 0;
	if (!attach->has_view)
		return -ESTALE;
	network_clear(&attach->network);
	attach->makes_network = true;
	return network_reserve(ctx, operation, &default_network_request, &attach->view,
			       &attach->network);
}

static int reserve_rows(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct attach *attach = verb;
	const struct endpoint_request *request = attach->request;
	bool picks = ports_have_picks(request->ports, request->ports_len);
	int r;

	forget(attach);
	r = use_network(ctx, operation, attach);
	if (r < 0)
		return r;
	string_copy(attach->endpoint.network, sizeof(attach->endpoint.network),
		    attach->network.name);
	r = check_request(ctx, attach);
	if (r >= 0 && driver_of(&attach->network)->endpoint_reserve)
		r = driver_of(&attach->network)->endpoint_reserve(ctx, operation, attach);
	if (r >= 0)
		r = store_endpoint_insert(ctx->store, operation, &attach->endpoint, &ctx->error);
	/* the network was made anew since the ports were picked */
	if (r >= 0 && picks &&
	    (attach->endpoint.ipv4.addr.family != attach->picked_ipv4 ||
	     attach->endpoint.ipv6.addr.family != attach->picked_ipv6))
		return -ESTALE;
	if (r >= 0 && !picks) {
		attach->ports.len = 0;
		r = ports_choose(ctx, &attach->network, &attach->endpoint, request->ports,
				 request->ports_len, request->port_flags, &attach->ports);
	}
	if (r >= 0)
		r = ports_reserve(ctx, operation, request->ports, request->ports_len,
				  &attach->ports);
	return r < 0 ? r : FAULT("attach.reserve");
}

/* Picking a port takes trial binds, which must not keep other writers waiting. Which ones are
 * picked depends on the families, which are those of the network as it is now. */
static int pick_ports(bn_ctx *ctx, struct attach *attach)
{
	CLEANUP(network_clear) struct network network = { 0 };
	const struct endpoint_request *request = attach->request;
	struct endpoint shape = attach->endpoint;
	int r;

	attach->picked_ipv4 = attach->picked_ipv6 = AF_UNSPEC;
	attach->ports.len = 0;
	r = store_network_get(ctx->store, request->network, &network, &ctx->error);
	if (r == -ENOENT) /* it may be in a moment */
		return 0;
	if (r < 0)
		return r;
	string_copy(shape.network, sizeof(shape.network), network.name);
	shape.ipv4.addr.family = network.ipv4.prefix.addr.family;
	if (!sysctl_disables_ipv6(&shape))
		shape.ipv6.addr.family = network.ipv6.prefix.addr.family;
	if (!network_is_ready(&network))
		shape.ipv4.addr.family = AF_INET;
	attach->picked_ipv4 = shape.ipv4.addr.family;
	attach->picked_ipv6 = shape.ipv6.addr.family;
	return ports_choose(ctx, &network, &shape, request->ports, request->ports_len,
			    request->port_flags, &attach->ports);
}

static int reserve_endpoint(bn_ctx *ctx, struct attach *attach)
{
	const struct endpoint_request *request = attach->request;
	bool picks = ports_have_picks(request->ports, request->ports_len);
	int r;

	for (int tries = 0; tries <= PICK_TRIES; tries++) {
		r = picks ? pick_ports(ctx, attach) : 0;
		if (r >= 0)
			r = operation_reserve(ctx, OPERATION_ATTACH, reserve_rows, attach,
					      &attach->operation);
		if (r == -ESTALE && !attach->has_view) {
			r = host_view_read(ctx, &default_network_request, &attach->view);
			if (r < 0)
				return r;
			attach->has_view = true;
		} else if (r != -ESTALE &&
			   (r >= 0 || !picks || ctx->error.reason != BN_REASON_PORT_IN_USE)) {
			return r;
		}
	}
	return r != -ESTALE ? r :
			      error_set(&ctx->error, -EBUSY, BN_REASON_BUSY,
					"network %s is deleted and created all the time; try again",
					request->network);
}

/* ---- attach ---- */

static int make_endpoint(bn_ctx *ctx, struct attach *attach)
{
	const struct driver_ops *driver = driver_of(&attach->network);
	int r = 0;

	if (attach->makes_network)
		r = network_make(ctx, &attach->operation, &attach->network);
	if (r >= 0 && driver->endpoint_create)
		r = driver->endpoint_create(ctx, attach);
	return r;
}

/* A default route of somebody else's had the metric that was reserved. */
static int store_metric(bn_ctx *ctx, const struct attach *attach)
{
	int r = store_begin(ctx->store, &ctx->error);

	if (r >= 0)
		r = store_endpoint_set_metric(ctx->store, &attach->endpoint, &ctx->error);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* In the kernel, and settled: all of it or nothing. */
static int attach_once(bn_ctx *ctx, struct attach *attach, const struct result *result)
{
	const struct driver_ops *driver;
	struct rows rows;
	int r;

	r = reserve_endpoint(ctx, attach);
	if (r < 0)
		return r;
	rows = rows_view(&attach->network, &attach->endpoint, attach->ports.items,
			 attach->ports.len);
	r = result_prepare(ctx, result, &rows);
	if (r >= 0)
		r = make_endpoint(ctx, attach);
	if (r >= 0 && attach->metric_step) {
		r = store_metric(ctx, attach);
		if (r >= 0)
			r = result_prepare(ctx, result, &rows);
	}
	if (r >= 0)
		r = operation_settle(ctx, &attach->operation);
	if (r < 0)
		return operation_fail(ctx, &attach->operation, &rows, r);
	driver = driver_of(&attach->network);
	if (driver->endpoint_announce)
		driver->endpoint_announce(ctx, attach);
	return 0;
}

/* The thread that goes into the sandbox does so beside the reservation. */
static int begin_attach(bn_ctx *ctx, struct attach *attach)
{
	int r;

	if (endpoint_copy(&attach->endpoint, &attach->request->endpoint) < 0)
		return error_oom(&ctx->error);
	r = open_sandbox(ctx, attach);
	if (r < 0 || attach->sandbox.fd < 0 || attach->is_host)
		return r;
	return link_visit_start(ctx->link, &attach->sandbox, &attach->visit, &ctx->error);
}

static bool is_about_picked_name(bn_ctx *ctx, const struct attach *attach)
{
	const char *asked = attach->endpoint.policy.host_interface_name;

	return ctx->error.reason == BN_REASON_INTERFACE_EXISTS && ctx->error.code == -EEXIST &&
	       !attach->request->endpoint.interface[0] &&
	       (!asked[0] || !link_is_known(ctx->link, asked));
}

int ops_attach(bn_ctx *ctx, const struct endpoint_request *request, const struct result *result,
	       struct endpoint *ret_endpoint, held_vector *ret_held)
{
	unsigned int first_interface = 0;
	int r;

	for (int tries = 0;; tries++) {
		CLEANUP(attach_clear)
		struct attach attach = {
			.request = request,
			.sandbox.fd = -1,
			.announcer.fd = -1,
			.first_interface = first_interface,
		};

		r = begin_attach(ctx, &attach);
		if (r >= 0)
			r = attach_once(ctx, &attach, result);
		if (r >= 0) {
			*ret_endpoint = attach.endpoint;
			*ret_held = attach.held;
			attach.endpoint = (struct endpoint){ 0 };
			attach.held = (held_vector){ 0 };
			return 0;
		}
		/* somebody else's interface has the name that we picked: take the next */
		if (!is_about_picked_name(ctx, &attach) || tries == INTERFACE_TRIES)
			return r;
		first_interface = attach.interface_number + 1;
		error_clear(&ctx->error);
	}
}
