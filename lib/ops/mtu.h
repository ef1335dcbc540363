/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The MTU of bridge networks and of their endpoints, and its change while they stand. */
#ifndef BN_OPS_MTU_H
#define BN_OPS_MTU_H

#include "link/bridge.h"
#include "ops/context.h"

/* Can that be, of what stands? In a transaction. */
int mtu_check_network(bn_ctx *ctx, const struct network *before, const struct network *after);
int mtu_check_endpoint(bn_ctx *ctx, const struct endpoint *before, const struct endpoint *after);

/* Of driver_ops: from the one to the other, in the kernel. bridge: as the network is to be. */
int mtu_update_network(bn_ctx *ctx, const struct bridge_config *bridge,
		       const struct network *before, const struct network *after);
int mtu_update_endpoint(bn_ctx *ctx, const struct network *network, const struct endpoint *before,
			const struct endpoint *after);

#endif
