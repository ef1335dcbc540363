/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs. Each reads the state, reserves, changes the kernel and settles; when a step fails, the
 * steps before it are undone. Requests are parsed already (api/), but judged here. All expect
 * ctx_start() to have been called; the reason of a failure is in ctx->error.
 */
#ifndef BN_OPS_OPS_H
#define BN_OPS_OPS_H

#include "model/port.h"
#include "ops/context.h"

struct network_request {
	const char *name;
	struct subnet ipv4, ipv6; /* prefix family 0 with want_*: pick one */
	bool want_ipv4, want_ipv6;
	uint32_t mtu;       /* 0: that of the default route */
	const char *bridge; /* "": derive one */
	const struct addr *reserved;
	size_t reserved_len;
	const struct options *options;
};

int ops_network_create(bn_ctx *ctx, const struct network_request *request,
		       struct network *ret_network);
/* `bridge` as it is, made on first use. */
int ops_network_ready(bn_ctx *ctx, const char *name, struct network *ret_network);
int ops_network_delete(bn_ctx *ctx, const char *name, uint32_t flags);
/* What a network's bridge device is asked to be. */
struct bridge_config network_bridge_config(const struct network *network, const char *alias);

struct endpoint_request {
	const char *network;      /* name or id */
	struct endpoint endpoint; /* what the caller fixed; prefixes with any length */
	bool mac_given;
	const char *sandbox_path; /* one of these three; NULL, 0, -1 */
	int sandbox_pid, sandbox_fd;
	const struct port_request *ports;
	size_t ports_len;
};

/* What a publish gives: the mappings as they stand, and the descriptors that hold them. */
struct published {
	port_vector ports;
	fd_vector *fds; /* one vector a port, NULL without holding */
};
void published_clear(struct published *published);

int ops_attach(bn_ctx *ctx, const struct endpoint_request *request, bool hold,
	       struct endpoint *ret_endpoint, struct published *ret_published);
int ops_detach(bn_ctx *ctx, const char *network, const char *const *ids, size_t len,
	       uint32_t flags);
/* An endpoint by the network's name or id. */
int ops_endpoint_get(bn_ctx *ctx, const char *network, const char *id,
		     struct endpoint *ret_endpoint);

int ops_publish(bn_ctx *ctx, const char *network, const char *endpoint,
		const struct port_request *requests, size_t len, bool hold,
		struct published *ret_published);
int ops_unpublish(bn_ctx *ctx, const char *network, const char *endpoint,
		  const struct port_request *requests, size_t len, uint32_t flags);

/* Move all that the state describes. Nothing to do when it is there already. */
int ops_backend_switch(bn_ctx *ctx, const char *name);

/* Finish or undo what processes that died half way have left. */
int ops_recover(bn_ctx *ctx);

#endif
