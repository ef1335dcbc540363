/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Endpoints of several networks in one sandbox. What one gets there depends on the others, so what
 * is done in a sandbox is done one after another.
 */
#ifndef BN_OPS_SIBLINGS_H
#define BN_OPS_SIBLINGS_H

#include "ops/context.h"

/*
 * Of these endpoints of a sandbox, how what has their addresses is to leave: by the gateway of
 * each, except of the one that has the best default route, or is alone. network: that of the
 * endpoints of its name; others are looked up. May be NULL.
 */
int sources_choose(bn_ctx *ctx, const endpoint_vector *endpoints, const struct network *network,
		   source_vector *ret_sources);

/* To be removed by the operation, unless another is at work in its sandbox: -EBUSY. */
int siblings_mark(bn_ctx *ctx, const struct operation *operation, const struct endpoint *endpoint);

/* Those that stay behind in the sandboxes of these. Only logged when it can't be done: answers of
 * all find their way until then, and the next visit does it. */
void siblings_set_sources(bn_ctx *ctx, const endpoint_vector *gone);

#endif
