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

/* All that are attached by one call, in order. */
struct group {
	struct attach *items;
	size_t len;
	size_t at; /* the one that is at work */
	bool is_reserved;
	struct operation operation;
	struct rows rows; /* of all of them, which have what is in them */
};

static void group_clear(struct group *group)
{
	for (size_t i = 0; i < group->len; i++)
		attach_clear(&group->items[i]);
	free(group->items);
	free(group->rows.networks.items);
	free(group->rows.endpoints.items);
	free(group->rows.ports.items);
}

static struct rows rows_of(const struct attach *attach)
{
	return rows_view(&attach->network, &attach->endpoint, attach->ports.items,
			 attach->ports.len);
}

static int collect_rows(bn_ctx *ctx, struct group *group)
{
	struct rows *rows = &group->rows;

	for (size_t i = 0; i < group->len; i++) {
		const struct attach *attach = &group->items[i];

		if (vector_append(&rows->networks, attach->network) < 0 ||
		    vector_append(&rows->endpoints, attach->endpoint) < 0)
			return error_oom(&ctx->error);
		for (size_t j = 0; j < attach->ports.len; j++)
			if (vector_append(&rows->ports, attach->ports.items[j]) < 0)
				return error_oom(&ctx->error);
	}
	return 0;
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
	    (endpoint_has_address(endpoint) || endpoint->routes.len || attach->request->mac_given ||
	     attach->request->ports_len || endpoint->interface[0] ||
	     endpoint_needs_interface(&endpoint->policy)))
		r = no_interface_error(ctx, &attach->network);
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
	endpoint_copy_addresses(endpoint, asked);
	memcpy(endpoint->interface, asked->interface, sizeof(endpoint->interface));
	memcpy(endpoint->mac, asked->mac, sizeof(endpoint->mac));
}

/* Which an earlier one of the group is about to make. */
static int use_made(bn_ctx *ctx, const char *name, struct attach *attach)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);

	for (size_t i = 0; i < networks.len && r >= 0; i++) {
		if (strcmp(networks.items[i].name, name) != 0)
			continue;
		attach->network = networks.items[i];
		networks.items[i] = (struct network){ 0 };
		return 0;
	}
	return r < 0 ? r : -ESTALE;
}

/* NULL: there is none. */
static const char *name_of_made(const struct group *group, const struct attach *attach)
{
	for (const struct attach *other = group->items; other < attach; other++)
		if (other->makes_network &&
		    (strcmp(attach->request->network, other->network.name) == 0 ||
		     strcmp(attach->request->network, other->network.id) == 0))
			return other->network.name;
	return NULL;
}

/* `bridge`, and what has come back without its bridge, is made on first use, by the same operation.
 * -ESTALE: only now it turns out that it is to be made. */
static int use_network(bn_ctx *ctx, const struct group *group, const struct operation *operation,
		       struct attach *attach)
{
	const char *made = name_of_made(group, attach);
	int r;

	if (made)
		return use_made(ctx, made, attach);
	r = store_network_use(ctx->store, attach->request->network, &attach->network, &ctx->error);
	if (r < 0)
		return r;
	if (network_is_ready(&attach->network))
		return 0;
	if (attach->network.persistent[0]) {
		attach->makes_network = true;
		return network_reserve_again(ctx, operation, &attach->network);
	}
	if (!attach->has_view)
		return -ESTALE;
	network_clear(&attach->network);
	attach->makes_network = true;
	return network_reserve(ctx, operation, &default_network_request, &attach->view,
			       &attach->network);
}

static bool picks_before(const struct attach *attach)
{
	return !attach->picks_inside &&
	       ports_have_picks(attach->request->ports, attach->request->ports_len);
}

static int reserve_rows(bn_ctx *ctx, const struct group *group, const struct operation *operation,
			struct attach *attach)
{
	const struct endpoint_request *request = attach->request;
	bool picks = picks_before(attach);
	int r;

	r = use_network(ctx, group, operation, attach);
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
		ports_empty(&attach->ports);
		r = ports_choose(ctx, &attach->network, &attach->endpoint, request->ports,
				 request->ports_len, request->port_flags, &attach->ports);
	}
	if (r >= 0)
		r = ports_reserve(ctx, operation, &attach->network, request->ports,
				  request->ports_len, &attach->ports);
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
	ports_empty(&attach->ports);
	r = store_network_get(ctx->store, request->network, &network, &ctx->error);
	if (r == -ENOENT) /* it may be in a moment */
		return 0;
	if (r < 0)
		return r;
	string_copy(shape.network, sizeof(shape.network), network.name);
	shape.ipv4.addr.family = network.ipv4.prefix.addr.family;
	if (!sysctl_disables_ipv6(&shape))
		shape.ipv6.addr.family = network.ipv6.prefix.addr.family;
	if (!network_is_ready(&network) && !network.persistent[0])
		shape.ipv4.addr.family = AF_INET;
	attach->picked_ipv4 = shape.ipv4.addr.family;
	attach->picked_ipv6 = shape.ipv6.addr.family;
	return ports_choose(ctx, &network, &shape, request->ports, request->ports_len,
			    request->port_flags, &attach->ports);
}

static int reserve_all(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct group *group = verb;
	int r = 0;

	for (size_t i = 0; i < group->len; i++)
		forget(&group->items[i]);
	for (group->at = 0; group->at < group->len && r >= 0; group->at++) {
		r = reserve_rows(ctx, group, operation, &group->items[group->at]);
		if (r < 0)
			break;
	}
	return r;
}

static int try_to_reserve(bn_ctx *ctx, struct group *group)
{
	int r = 0;

	for (size_t i = 0; i < group->len && r >= 0; i++)
		if (picks_before(&group->items[i]))
			r = pick_ports(ctx, &group->items[i]);
	return r < 0 ? r :
		       operation_reserve(ctx, OPERATION_ATTACH, reserve_all, group,
					 &group->operation);
}

static int reserve_group(bn_ctx *ctx, struct group *group)
{
	struct attach *attach;
	int r = 0;

	for (int tries = 0; tries <= PICK_TRIES; tries++) {
		r = try_to_reserve(ctx, group);
		attach = &group->items[group->at < group->len ? group->at : 0];
		if (r == -ESTALE && !attach->has_view) {
			r = host_view_read(ctx, &default_network_request, &attach->view);
			if (r < 0)
				return r;
			attach->has_view = true;
			r = -ESTALE;
		} else if (r != -ESTALE && (r >= 0 || !picks_before(attach) ||
					    ctx->error.reason != BN_REASON_PORT_IN_USE)) {
			return r;
		}
	}
	return r != -ESTALE ? r :
			      error_set(&ctx->error, -EBUSY, BN_REASON_BUSY,
					"network %s is deleted and created all the time; try again",
					attach->request->network);
}

/* ---- attach ---- */

static int make_endpoint(bn_ctx *ctx, const struct operation *operation, struct attach *attach)
{
	const struct driver_ops *driver = driver_of(&attach->network);
	int r = 0;

	if (attach->makes_network)
		r = network_make(ctx, operation, &attach->network);
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

/* Each has its result; NULL: none. */
static int prepare(bn_ctx *ctx, const struct attach *attach, const struct result *results, size_t i)
{
	const struct rows rows = rows_of(attach);

	return results ? result_prepare(ctx, &results[i], &rows) : 0;
}

static int make_all(bn_ctx *ctx, struct group *group, const struct result *results)
{
	int r = 0;

	for (size_t i = 0; i < group->len && r >= 0; i++)
		r = prepare(ctx, &group->items[i], results, i);
	for (size_t i = 0; i < group->len && r >= 0; i++) {
		struct attach *attach = &group->items[i];

		group->at = i;
		r = make_endpoint(ctx, &group->operation, attach);
		if (r < 0 || !attach->metric_step)
			continue;
		r = store_metric(ctx, attach);
		if (r >= 0)
			r = prepare(ctx, attach, results, i);
	}
	return r;
}

/* In the kernel, and settled: all of it or nothing. */
static int attach_once(bn_ctx *ctx, struct group *group, const struct result *results)
{
	struct rows first;
	int r;

	r = reserve_group(ctx, group);
	if (r < 0)
		return r;
	group->is_reserved = true;
	first = rows_of(group->items);
	if (group->len > 1)
		r = collect_rows(ctx, group);
	if (r >= 0)
		r = make_all(ctx, group, results);
	if (r >= 0)
		r = operation_settle(ctx, &group->operation);
	if (r < 0)
		return operation_fail(ctx, &group->operation,
				      group->len > 1 ? &group->rows : &first, r);
	for (size_t i = 0; i < group->len; i++) {
		const struct driver_ops *driver = driver_of(&group->items[i].network);

		if (driver->endpoint_announce)
			driver->endpoint_announce(ctx, &group->items[i]);
	}
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

static int check_one_sandbox(bn_ctx *ctx, const struct attach *first, const struct attach *attach)
{
	if ((first->sandbox.fd < 0) == (attach->sandbox.fd < 0) &&
	    (first->sandbox.fd < 0 || sandbox_is_same(&first->sandbox, &attach->sandbox)))
		return 0;
	return error_set(&ctx->error, -EINVAL, BN_REASON_SANDBOX_INVALID,
			 "endpoint %s is to be in namespace %s and endpoint %s in %s; one call "
			 "attaches those of one namespace",
			 first->endpoint.id,
			 first->sandbox.fd < 0 ? "of the host" : sandbox_name(&first->sandbox),
			 attach->endpoint.id,
			 attach->sandbox.fd < 0 ? "that of the host" :
						  sandbox_name(&attach->sandbox));
}

static int begin_group(bn_ctx *ctx, struct group *group, const struct endpoint_request *requests,
		       size_t len, const unsigned int *first_interfaces)
{
	bool picks = false;
	int r = 0;

	group->items = calloc(len, sizeof(*group->items));
	if (!group->items)
		return error_oom(&ctx->error);
	for (; group->len < len && r >= 0; group->len++) {
		struct attach *attach = &group->items[group->len];

		*attach = (struct attach){
			.request = &requests[group->len],
			.sandbox.fd = -1,
			.announcer.fd = -1,
			.first_interface = first_interfaces[group->len],
			.first = group->items,
			.picks_inside = picks,
		};
		picks |= ports_have_picks(attach->request->ports, attach->request->ports_len);
		r = begin_attach(ctx, attach);
		if (r >= 0)
			r = check_one_sandbox(ctx, group->items, attach);
	}
	return r;
}

static bool is_about_picked_name(bn_ctx *ctx, const struct attach *attach)
{
	const char *asked = attach->endpoint.policy.host_interface_name;

	return ctx->error.reason == BN_REASON_INTERFACE_EXISTS && ctx->error.code == -EEXIST &&
	       !attach->request->endpoint.interface[0] &&
	       (!asked[0] || !link_is_known(ctx->link, asked));
}

static void take_attached(struct group *group, struct attached *ret_attached)
{
	for (size_t i = 0; i < group->len; i++) {
		struct attach *attach = &group->items[i];

		ret_attached[i] = (struct attached){ attach->endpoint, attach->held };
		attach->endpoint = (struct endpoint){ 0 };
		attach->held = (held_vector){ 0 };
	}
}

int ops_attach(bn_ctx *ctx, const struct endpoint_request *requests, size_t len,
	       const struct result *results, struct attached *ret_attached)
{
	CLEANUP_FREE unsigned int *first_interfaces = calloc(len, sizeof(*first_interfaces));
	int r;

	if (!first_interfaces)
		return error_oom(&ctx->error);
	for (int tries = 0;; tries++) {
		CLEANUP(group_clear) struct group group = { 0 };
		const struct attach *attach;

		r = begin_group(ctx, &group, requests, len, first_interfaces);
		if (r < 0)
			return r;
		r = attach_once(ctx, &group, results);
		if (r >= 0) {
			take_attached(&group, ret_attached);
			return 0;
		}
		/* somebody else's interface has the name that we picked: take the next */
		attach = &group.items[group.at < group.len ? group.at : 0];
		if (!group.is_reserved || !is_about_picked_name(ctx, attach) ||
		    tries == INTERFACE_TRIES)
			return r;
		first_interfaces[attach - group.items] = attach->interface_number + 1;
		error_clear(&ctx->error);
	}
}
