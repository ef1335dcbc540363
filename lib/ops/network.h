/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_NETWORK_H
#define BN_OPS_NETWORK_H

#include "ops/driver.h"
#include "ops/operation.h"

int ops_network_create(bn_ctx *ctx, const struct network_request *request,
		       const struct result *result, struct network *ret_network);
int ops_network_delete(bn_ctx *ctx, const char *name, uint32_t flags);

/* `bridge`, as it is made on first use. */
extern const struct network_request default_network_request;
/* The parts of making a network, for whoever makes one on its way: the row, in the transaction, as
 * network_resolve(); and what is in the kernel. */
int network_reserve(bn_ctx *ctx, const struct operation *operation,
		    const struct network_request *request, const struct host_view *view,
		    struct network *network);
/* One that has come back without its bridge: as it was defined. */
int network_reserve_again(bn_ctx *ctx, const struct operation *operation, struct network *network);
int network_make(bn_ctx *ctx, const struct operation *operation, const struct network *network);
/* All of that one, when nothing is attached to it; nothing to be done where it has been made. */
int network_make_again(bn_ctx *ctx, const char *name);
/* To the log: what leaves with an address that the host does not have. */
void network_say_addresses(bn_ctx *ctx, const struct network *network);
/* May a network of that kind be deleted at all? -EPERM, or -ENOENT for one not made yet. */
int network_check_deletable(bn_ctx *ctx, const struct network *network);

#endif
