/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of the interface of an endpoint: the names of both ends, the MTU, and settings in the sandbox. */
#ifndef BN_OPS_INTERFACE_H
#define BN_OPS_INTERFACE_H

#include "ops/driver.h"

/* What is asked, of a network that is known. */
int interface_check(bn_ctx *ctx, const struct attach *attach);
int interface_check_mtu(bn_ctx *ctx, const struct network *network,
			const struct endpoint *endpoint);
/* Known the others of the sandbox, and in the transaction. */
int interface_choose(bn_ctx *ctx, struct attach *attach);

#endif
