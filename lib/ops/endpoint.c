/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/endpoint.h"

#include <errno.h>
#include <stdio.h>

#include "base/fault.h"
#include "ops/network.h"
#include "ops/recover.h"

#define INTERFACE_TRIES 64

static void attach_clear(struct attach *attach)
{
	network_clear(&attach->network);
	sandbox_close(&attach->sandbox);
	endpoint_clear(&attach->endpoint);
	ports_clear(&attach->ports);
	held_clear(&attach->held);
	endpoints_clear(&attach->siblings);
	rules_clear(&attach->rules);
}

/* ---- what is asked ---- */

static int open_sandbox(bn_ctx *ctx, struct attach *attach)
{
	const struct endpoint_request *request = attach->request;
	struct endpoint *endpoint = &attach->endpoint;
	bool in_host = driver_of(&attach->network)->in_host;
	int r;

	if (request->sandbox_path)
		r = sandbox_open_path(request->sandbox_path, &attach->sandbox, &ctx->error);
	else if (request->sandbox_pid > 0)
		r = sandbox_open_pid(request->sandbox_pid, &attach->sandbox, &ctx->error);
	else if (request->sandbox_fd >= 0)
		r = sandbox_open_fd(request->sandbox_fd, &attach->sandbox, &ctx->error);
	else if (in_host)
		r = 0;
	else
		r = error_set(&ctx->error, -EINVAL, BN_REASON_SANDBOX_INVALID,
			      "endpoint %s names no network namespace; give a path, a process or "
			      "a descriptor",
			      endpoint->id);
	if (r >= 0 && attach->sandbox.is_host && !in_host)
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

static int check_request(bn_ctx *ctx, struct attach *attach)
{
	const struct driver_ops *driver = driver_of(&attach->network);
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	r = endpoint_id_check(endpoint->id, &ctx->error);
	if (r >= 0 && endpoint->interface[0])
		r = interface_name_check(endpoint->interface, &ctx->error);
	if (r >= 0)
		r = options_check(&endpoint->options, OPTION_ENDPOINT, NULL, &ctx->error);
	if (r >= 0 && driver->no_interface &&
	    (endpoint->ipv4.addr.family || endpoint->ipv6.addr.family || endpoint->routes.len ||
	     attach->request->mac_given || attach->request->ports_len || endpoint->interface[0]))
		r = error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			      "network %s gives no interface of its own, so addresses, routes, a "
			      "MAC, an interface name and ports have no meaning there; attach to a "
			      "bridge network",
			      attach->network.name);
	if (r >= 0 && driver->endpoint_check)
		r = driver->endpoint_check(ctx, attach);
	return r;
}

/* ---- reserve ---- */

static int reserve_rows(bn_ctx *ctx, struct attach *attach, bool picks)
{
	const struct driver_ops *driver = driver_of(&attach->network);
	int r = 0;

	if (driver->endpoint_prepare)
		r = driver->endpoint_prepare(ctx, attach);
	if (r >= 0)
		r = operation_begin(ctx, OPERATION_ATTACH, &attach->operation);
	if (r >= 0 && driver->endpoint_reserve)
		r = driver->endpoint_reserve(ctx, attach);
	if (r >= 0)
		r = store_endpoint_insert(ctx->store, &attach->operation, &attach->endpoint,
					  &ctx->error);
	if (r >= 0)
		r = ports_reserve(ctx, &attach->operation, &attach->ports, picks);
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

static int reserve_endpoint(bn_ctx *ctx, struct attach *attach)
{
	const struct endpoint_request *request = attach->request;
	bool picks = ports_have_picks(request->ports, request->ports_len);
	const struct endpoint shape = with_families(attach);
	int r;

	for (int tries = 0;; tries++) {
		r = ports_choose(ctx, &shape, request->ports, request->ports_len, &attach->ports);
		if (r < 0)
			return r;
		r = reserve_rows(ctx, attach, picks);
		if (r >= 0 || !picks || tries == PICK_TRIES ||
		    ctx->error.reason != BN_REASON_PORT_IN_USE)
			return r;
		attach->ports.len = 0;
		endpoints_clear(&attach->siblings);
		attach->endpoint.ipv4 = request->endpoint.ipv4;
		attach->endpoint.ipv6 = request->endpoint.ipv6;
		r = check_request(ctx, attach);
		if (r < 0)
			return r;
	}
}

/* ---- attach ---- */

/* In the kernel, and settled: all of it or nothing. */
static int create_endpoint(bn_ctx *ctx, struct attach *attach)
{
	const struct driver_ops *driver = driver_of(&attach->network);
	int r = 0;

	if (driver->endpoint_create)
		r = driver->endpoint_create(ctx, attach);
	if (r < 0)
		return r;
	r = operation_settle(ctx, &attach->operation);
	if (r < 0 && driver->endpoint_undo)
		driver->endpoint_undo(ctx, attach);
	return r;
}

static int attach_once(bn_ctx *ctx, struct attach *attach, const struct result *result)
{
	struct rows rows;
	int r;

	r = reserve_endpoint(ctx, attach);
	if (r < 0)
		return r;
	rows = rows_view(&attach->network, &attach->endpoint, attach->ports.items,
			 attach->ports.len);
	r = result_prepare(ctx, result, &rows);
	if (r >= 0)
		r = create_endpoint(ctx, attach);
	if (r < 0)
		operation_abandon(ctx, &attach->operation);
	return r;
}

static int begin_attach(bn_ctx *ctx, struct attach *attach)
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
		if (r == -ESTALE && tries == INTERFACE_TRIES)
			return -EBUSY;
		if (r == -ESTALE) {
			error_clear(&ctx->error);
			continue;
		}
		/* somebody else's interface has the name that we picked: take the next */
		if (ctx->error.reason != BN_REASON_INTERFACE_EXISTS ||
		    request->endpoint.interface[0] || tries == INTERFACE_TRIES ||
		    sscanf(attach.endpoint.interface, "eth%u", &first_interface) != 1)
			return r;
		first_interface++;
		error_clear(&ctx->error);
	}
}
