/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* By which ways what an endpoint sends leaves its sandbox. */
#ifndef BN_OPS_ROUTING_H
#define BN_OPS_ROUTING_H

#include "ops/driver.h"

/* Of the routes that are asked for, what can be told without the others of the sandbox. */
int routing_check(bn_ctx *ctx, const struct attach *attach);
/* Known who they are, and which addresses it has: its gateways, and the metrics of its default
 * routes. */
int routing_choose(bn_ctx *ctx, struct attach *attach);
int routing_choose_sources(bn_ctx *ctx, struct attach *attach);

/* Of one that stands: in the transaction, the metrics that it gets by other options, which can't be
 * while another call is at work in its sandbox; and then in the kernel (driver.h). */
int routing_choose_again(bn_ctx *ctx, const struct operation *operation,
			 const struct network *network, const struct endpoint *before,
			 struct endpoint *after);
int routing_update(bn_ctx *ctx, const struct network *network, const struct endpoint *before,
		   const struct endpoint *after);

/* What has not gone with the interfaces of these. Only logged when it can't be done. */
void routing_remove(bn_ctx *ctx, const endpoint_vector *endpoints);

#endif
