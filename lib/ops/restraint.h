/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the link of an endpoint holds it to: rates, its own MAC, and the way to the bridge alone. */
#ifndef BN_OPS_RESTRAINT_H
#define BN_OPS_RESTRAINT_H

#include "ops/context.h"

/* Can it be held to that at all? */
int restraint_check_network(bn_ctx *ctx, const struct network *network);
int restraint_check(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint);

struct link_apart restraint_apart(const struct network *network, const struct endpoint *endpoint);

/* Of driver_ops: from the one to the other, in the kernel. */
int restraint_update_network(bn_ctx *ctx, const struct network *before,
			     const struct network *after);
int restraint_update(bn_ctx *ctx, const struct network *network, const struct endpoint *before,
		     const struct endpoint *after);

#endif
