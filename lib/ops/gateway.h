/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Endpoints that share a namespace, and which of them has its default routes. */
#ifndef BN_OPS_GATEWAY_H
#define BN_OPS_GATEWAY_H

#include "ops/context.h"

/* Of the other endpoints in an endpoint's namespace, those whose interface still is there. (The
 * kernel gives the number of a namespace that is gone to the next.) */
int siblings_find(bn_ctx *ctx, const struct endpoint *endpoint, endpoint_vector *ret_siblings);

/* The endpoint's interface is gone, and with it a default route that may have been: the sibling
 * that is the gateway now gets it. */
void gateway_pass_on(bn_ctx *ctx, const struct endpoint *gone);
/* The endpoint's interface stands by now: has the sibling that was to be the gateway gone
 * meanwhile, and found nobody there to pass it on to? */
void gateway_take(bn_ctx *ctx, const struct endpoint *endpoint, struct sandbox *sandbox);

#endif
