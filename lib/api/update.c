/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs that change what stands. */
#include <errno.h>

#include "api/api.h"

/* ---- networks ---- */

static const struct api_call network_update = {
	.names = "bn_network_update",
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network; or it is network bridge, which nobody has used "
				  "yet."),
		API_ERRNO(EPERM, "No privilege; or the network is built in and can't be changed."),
		API_ERRNO(EBUSY, "With BN_REASON_NOT_LIVE: it differs in something that can't "
				 "change "
				 "while the network stands; else another process is at work on it, "
				 "or "
				 "on what is attached to it."),
		API_ERRNO(EINVAL, "A name, MTU or option value is malformed, or options exclude "
				  "each "
				  "other."),
		API_ERRNO(ENAMETOOLONG, "A name is longer than a network's or an interface's can "
					"be."),
		API_ERRNO(ERANGE, "An address is outside the subnet."),
		API_ERRNO(EADDRINUSE, "With anti-spoof=full, a MAC is that of another such "
				      "endpoint of the host."),
		API_ERRNO(EOPNOTSUPP, "An option is not known, the kernel lacks what it needs, "
				      "or a firewall takes no rules for coexist=insert."),
		API_ERRNO(ENODEV, "Somebody has deleted the network's bridge."),
	},
};

/* Which MTU the host would give a network is asked when it is made. */
static int check_mtu_option(const bn_network_spec *changes, struct error *error)
{
	CLEANUP(options_clear) struct options own = { 0 };
	const char *mtu;
	int r;

	if (options_copy(&own, &changes->options) < 0)
		return error_oom(error);
	r = options_normalise(&own, OPTION_NETWORK, error);
	mtu = r < 0 ? NULL : options_get(&own, "mtu");
	if (!mtu || (*mtu && strcmp(mtu, "0") != 0))
		return r;
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "option mtu of network %s can't become '%s' while it stands; give it in "
			 "bytes, or name the interface that has it (mtu-from)",
			 changes->name, mtu);
}

int bn_network_update(bn_ctx *ctx, const bn_network_spec *changes, uint32_t flags,
		      bn_network **ret_network)
{
	CLEANUP(network_clear) struct network record = { 0 };
	CLEANUP(network_spec_settled_clear) struct bn_network_spec settled = { 0 };
	CLEANUP_FREE struct addr *reserved = NULL;
	/* those of the context are for networks that it makes */
	static const struct options no_defaults;
	struct network_request request = { 0 };
	struct result result = { 0 };
	bn_network *network = NULL;
	size_t endpoint_count = 0;
	int r;

	if (!changes)
		return api_missing(ctx, "the network spec");
	r = api_enter(ctx, &network_update, flags);
	if (r >= 0)
		r = check_mtu_option(changes, &ctx->error);
	if (r >= 0)
		r = network_spec_settle(changes, &no_defaults, &settled, &ctx->error);
	if (r >= 0)
		r = network_spec_parse(&settled, &ctx->deadline, &request, &reserved, &ctx->error);
	if (r >= 0 && ret_network) {
		network = calloc(1, sizeof(*network));
		result = (struct result){ network_snapshot_of_rows, network };
		r = network ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0)
		r = ops_network_update(ctx, &request, &result, &record, &endpoint_count);
	if (r >= 0 && network) {
		network->record = record;
		network->endpoint_count = endpoint_count;
		record = (struct network){ 0 };
		*ret_network = TAKE_POINTER(network);
	}
	free(request.pools.items);
	bn_network_free(network);
	return api_leave(ctx, &network_update, r);
}

/* ---- endpoints ---- */

/* Its row is as it was until the update is settled; how it lives is not about that. */
static int prepare_updated(bn_ctx *ctx, const struct rows *rows, void *snapshot)
{
	const struct endpoint *endpoint = rows->endpoints.items;
	CLEANUP(rows_clear) struct rows now = { 0 };
	CLEANUP_FREE enum life *lives = NULL;
	int r = life_read(ctx, endpoint->network, endpoint->id, &now, &lives);

	return r < 0 ? r : endpoint_snapshot_of_rows(ctx, rows, *lives, snapshot);
}

static const struct api_call endpoint_update = {
	.names = "bn_endpoint_update",
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(ENOENT, "No such network, endpoint or namespace."),
		API_ERRNO(EBUSY, "With BN_REASON_NOT_LIVE: it differs in something that can't "
				 "change "
				 "while the endpoint is attached; else another call is at it, or "
				 "at "
				 "its network."),
		API_ERRNO(ENOSPC, "No metric is free for its default route."),
		API_ERRNO(EINVAL, "A name, address, MAC, route, port or option value is malformed, "
				  "options exclude each other, or the file is no network "
				  "namespace."),
		API_ERRNO(EBADF, "bn_endpoint_spec_set_sandbox_fd() had been given no open "
				 "descriptor."),
		API_ERRNO(ENAMETOOLONG, "A name is longer than an endpoint's or an interface's can "
					"be, or the path of the namespace too long."),
		API_ERRNO(EADDRINUSE, "With anti-spoof=full, a MAC is that of another such "
				      "endpoint of the host."),
		API_ERRNO(EOPNOTSUPP, "An option is not known, or the kernel lacks what it needs."),
		API_ERRNO(ENODEV, "Somebody has deleted the endpoint's interface."),
	},
};

int bn_endpoint_update(bn_ctx *ctx, const bn_endpoint_spec *changes, uint32_t flags,
		       bn_endpoint **ret_endpoint)
{
	CLEANUP(endpoint_clear) struct endpoint record = { 0 };
	struct port_request *ports = NULL;
	struct endpoint_request request = { 0 };
	struct result result = { 0 };
	bn_endpoint *endpoint = NULL;
	int r;

	if (!changes)
		return api_missing(ctx, "the endpoint spec");
	r = api_enter(ctx, &endpoint_update, flags);
	if (r >= 0)
		r = endpoint_spec_parse(changes, &ctx->deadline, &request, &ports, &ctx->error);
	if (r >= 0 && ret_endpoint) {
		endpoint = calloc(1, sizeof(*endpoint));
		result = (struct result){ prepare_updated, endpoint };
		r = endpoint ? 0 : error_oom(&ctx->error);
	}
	if (r >= 0)
		r = ops_endpoint_update(ctx, &request, &result, &record);
	if (r >= 0 && endpoint) {
		endpoint->record = record;
		record = (struct endpoint){ 0 };
		*ret_endpoint = TAKE_POINTER(endpoint);
	}
	bn_endpoint_free(endpoint);
	port_requests_free(ports, request.ports_len);
	endpoint_clear(&request.endpoint);
	return api_leave(ctx, &endpoint_update, r);
}
