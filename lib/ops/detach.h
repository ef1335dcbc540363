/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_DETACH_H
#define BN_OPS_DETACH_H

#include "ops/context.h"

/* Take endpoints of a network, with their ports (in the same order), out of the kernel. What is
 * gone already is no error; on failure the rules stand again. */
int endpoints_demolish(bn_ctx *ctx, const struct network *network, const endpoint_vector *endpoints,
		       const port_vector *ports, bool quick);

/* Of the other endpoints in an endpoint's namespace, those whose interface still is there. (The
 * kernel gives the number of a namespace that is gone to the next.) */
int siblings_find(bn_ctx *ctx, const struct endpoint *endpoint, endpoint_vector *ret_siblings);

/* The endpoint's interface is gone, and with it a default route that may have been: the sibling
 * that is the gateway now gets it. */
void pass_gateway_on(bn_ctx *ctx, const struct endpoint *gone);

#endif
