/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/network.h"

#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "model/policy.h"
#include "ops/coexist.h"
#include "ops/persistent.h"
#include "ops/recover.h"
#include "ops/resolve.h"
#include "ops/rows.h"
#include "ops/settings.h"
#include "ops/siblings.h"

static const struct options no_options;
const struct network_request default_network_request = {
	.name = DEFAULT_NETWORK,
	.id = "",
	.want_ipv4 = true,
	.bridge = "",
	.options = &no_options,
};

/* ---- create ---- */

int network_reserve(bn_ctx *ctx, const struct operation *operation,
		    const struct network_request *request, const struct host_view *view,
		    struct network *network)
{
	int r;

	r = network_resolve(ctx, request, view, network);
	if (r >= 0)
		r = store_network_insert(ctx->store, operation, network, &ctx->error);
	if (r >= 0)
		r = ctx_bind_state(ctx);
	return r < 0 ? r : settings_record(ctx, operation, network);
}

int network_reserve_again(bn_ctx *ctx, const struct operation *operation, struct network *network)
{
	uint32_t mtu;
	char own[IFNAMSIZ];
	int r;

	string_copy(network->bridge, sizeof(network->bridge), network->planned_bridge);
	bridge_name(network->id, own);
	network->bridge_adopted = strcmp(own, network->bridge) != 0 &&
				  link_mtu(ctx->link, network->bridge, &mtu);
	r = store_network_insert(ctx->store, operation, network, &ctx->error);
	if (r >= 0)
		r = ctx_bind_state(ctx);
	return r < 0 ? r : settings_record(ctx, operation, network);
}

int network_make(bn_ctx *ctx, const struct operation *operation, const struct network *network)
{
	int r;

	r = driver_of(network)->network_create(ctx, network);
	/* what our own rules keep out is kept out by then */
	if (r >= 0 && coexist_inserts(network))
		r = coexist_open(ctx, network, operation->kind == OPERATION_NETWORK_CREATE);
	/* last, so that there is next to nothing left that could ask for turning it off again */
	return r < 0 ? r : settings_change(ctx, operation, network);
}

struct creation {
	const struct network_request *request;
	struct host_view view;
	struct network network;
};

static void creation_clear(struct creation *creation)
{
	host_view_clear(&creation->view);
	network_clear(&creation->network);
}

/* -EALREADY: it is there, as it is asked for. */
static int find_existing(bn_ctx *ctx, struct creation *creation)
{
	int r;

	error_clear(&ctx->error);
	network_clear(&creation->network);
	r = store_network_use(ctx->store, creation->request->name, &creation->network, &ctx->error);
	if (r >= 0)
		r = network_check_equal(ctx, creation->request, &creation->network);
	return r < 0 ? r : -EALREADY;
}

static int reserve_network(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct creation *creation = verb;
	int r;

	network_clear(&creation->network);
	r = network_reserve(ctx, operation, creation->request, &creation->view, &creation->network);
	/* one of its name: no subnet of its own was chosen then */
	if (r == -EEXIST && ctx->error.reason == BN_REASON_NETWORK_EXISTS &&
	    creation->request->existing_ok && !network_subnet(&creation->network, AF_INET) &&
	    !network_subnet(&creation->network, AF_INET6))
		return find_existing(ctx, creation);
	return r < 0 ? r : FAULT("network.reserve");
}

/* In the kernel, and settled: all of it or nothing. */
static int create_network(bn_ctx *ctx, const struct creation *creation,
			  const struct operation *operation, const struct result *result)
{
	const struct rows rows = rows_view(&creation->network, NULL, NULL, 0);
	int r;

	r = result_prepare(ctx, result, &rows);
	if (r >= 0)
		r = network_make(ctx, operation, &creation->network);
	/* what would be left of it is taken out with the rest */
	if (r >= 0)
		r = persistent_write(ctx, &creation->network);
	if (r >= 0)
		r = operation_settle(ctx, operation);
	return r < 0 ? operation_fail(ctx, operation, &rows, r) : 0;
}

static bool is_local(const prefix_vector *local, const struct addr *addr)
{
	for (size_t i = 0; i < local->len; i++)
		if (prefix_contains(&local->items[i], addr))
			return true;
	return false;
}

void network_say_addresses(bn_ctx *ctx, const struct network *network)
{
	CLEANUP_VECTOR prefix_vector local = { 0 };
	struct error ignored = { 0 };
	char text[ADDR_TEXT_MAX];

	for_each_family(family) {
		const struct addr *addr = network_snat_addr(network, family);

		if (!addr || (!local.len && link_local_prefixes(ctx->link, &local, &ignored) < 0))
			continue;
		if (!is_local(&local, addr))
			ctx_log(ctx, LOG_WARNING,
				"what leaves network %s has the address %s, which is none of this "
				"host's: answers get here only if they are routed to it",
				network->name, addr_format(addr, text));
	}
}

int ops_network_create(bn_ctx *ctx, const struct network_request *request,
		       const struct result *result, struct network *ret_network)
{
	CLEANUP(creation_clear) struct creation creation = { .request = request };
	struct operation operation;
	struct rows rows;
	int r;

	r = host_view_read(ctx, request, &creation.view);
	if (r >= 0)
		r = operation_reserve(ctx, OPERATION_NETWORK_CREATE, reserve_network, &creation,
				      &operation);
	if (r == -EALREADY) {
		rows = rows_view(&creation.network, NULL, NULL, 0);
		r = result_prepare(ctx, result, &rows);
	} else if (r >= 0) {
		r = create_network(ctx, &creation, &operation, result);
	}
	if (r < 0)
		return r;
	ctx_log(ctx, LOG_INFO, "network %s is on bridge %s", creation.network.name,
		creation.network.bridge);
	network_say_addresses(ctx, &creation.network);
	coexist_say(ctx, &creation.network);
	*ret_network = creation.network;
	creation.network = (struct network){ 0 };
	return 0;
}

/* ---- make again ---- */

struct comeback {
	const char *name;
	struct network network;
};

static void comeback_clear(struct comeback *comeback)
{
	network_clear(&comeback->network);
}

static int reserve_comeback(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct comeback *comeback = verb;
	int r;

	network_clear(&comeback->network);
	r = store_network_use(ctx->store, comeback->name, &comeback->network, &ctx->error);
	if (r >= 0 && network_is_ready(&comeback->network))
		r = -EALREADY;
	return r < 0 ? r : network_reserve_again(ctx, operation, &comeback->network);
}

/* As an attach would, to nothing. */
int network_make_again(bn_ctx *ctx, const char *name)
{
	CLEANUP(comeback_clear) struct comeback comeback = { .name = name };
	struct operation operation;
	struct rows rows;
	int r = operation_reserve(ctx, OPERATION_ATTACH, reserve_comeback, &comeback, &operation);

	if (r < 0)
		return r == -EALREADY ? 0 : r;
	rows = rows_view(&comeback.network, NULL, NULL, 0);
	r = network_make(ctx, &operation, &comeback.network);
	if (r >= 0)
		r = operation_settle(ctx, &operation);
	return r < 0 ? operation_fail(ctx, &operation, &rows, r) : 0;
}

/* ---- delete ---- */

int network_check_deletable(bn_ctx *ctx, const struct network *network)
{
	if (!driver_of(network)->network_remove)
		return error_set(&ctx->error, -EPERM, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and can't be deleted", network->name);
	if (network_is_ready(network) || network->persistent[0])
		return 0;
	return error_set(&ctx->error, -ENOENT, BN_REASON_NETWORK_BUILTIN,
			 "network %s is built in and not in use; there is nothing to delete",
			 network->name);
}

struct deletion {
	const char *name;
	bool endpoints; /* detach what is attached */
	struct removal removal;
};

static void deletion_clear(struct deletion *deletion)
{
	removal_clear(&deletion->removal);
}

static int mark_endpoints(bn_ctx *ctx, const struct operation *operation, const char *network,
			  struct rows *rows)
{
	int r;

	r = store_endpoints(ctx->store, network, STORE_PENDING, &rows->endpoints, &ctx->error);
	for (size_t i = 0; i < rows->endpoints.len && r >= 0; i++)
		r = siblings_mark(ctx, operation, &rows->endpoints.items[i]);
	return r < 0 ? r : store_ports(ctx->store, network, NULL, 0, &rows->ports, &ctx->error);
}

static int reserve_deletion(bn_ctx *ctx, const struct operation *operation, void *verb)
{
	struct deletion *deletion = verb;
	struct rows *rows = &deletion->removal.rows;
	const char *name;
	int r;

	removal_clear(&deletion->removal);
	deletion->removal.networks = deletion->removal.endpoints = true;
	deletion->removal.settled = true;
	r = rows_use_network_alone(ctx, deletion->name, rows);
	if (r >= 0)
		r = network_check_deletable(ctx, rows->networks.items);
	if (r < 0)
		return r;
	name = rows->networks.items->name;
	if (deletion->endpoints)
		r = mark_endpoints(ctx, operation, name, rows);
	if (r >= 0)
		r = store_network_check_empty(ctx->store, operation, name, &ctx->error);
	if (r >= 0)
		r = store_network_mark(ctx->store, operation, name, &ctx->error);
	return r < 0 ? r : FAULT("delete.reserve");
}

int ops_network_delete(bn_ctx *ctx, const char *name, uint32_t flags)
{
	CLEANUP(deletion_clear)
	struct deletion deletion = { .name = name, .endpoints = flags & BN_DELETE_ENDPOINTS };
	struct operation operation;
	int r;

	r = operation_reserve(ctx, OPERATION_NETWORK_DELETE, reserve_deletion, &deletion,
			      &operation);
	if (r == -ENOENT && (flags & BN_DELETE_MISSING_OK)) {
		error_clear(&ctx->error);
		return 0;
	}
	return r < 0 ? r : operation_carry_out(ctx, &operation, &deletion.removal);
}
