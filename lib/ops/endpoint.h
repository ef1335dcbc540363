/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_ENDPOINT_H
#define BN_OPS_ENDPOINT_H

#include "ops/driver.h"
#include "ops/operation.h"

/* *ret_held: of each of the ports, in their order, when they are to be held. */
int ops_attach(bn_ctx *ctx, const struct endpoint_request *request, const struct result *result,
	       struct endpoint *ret_endpoint, held_vector *ret_held);

#endif
