/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_ENDPOINT_H
#define BN_OPS_ENDPOINT_H

#include "ops/driver.h"
#include "ops/operation.h"

struct attached {
	struct endpoint endpoint;
	held_vector held; /* of each of its ports, in their order, when they are to be held */
};
/* One or more of one sandbox, in that order, all or none. Results and what is returned are
 * arrays of as many; results NULL: none is asked for. */
int ops_attach(bn_ctx *ctx, const struct endpoint_request *requests, size_t len,
	       const struct result *results, struct attached *ret_attached);

#endif
