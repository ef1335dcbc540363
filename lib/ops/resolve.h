/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_RESOLVE_H
#define BN_OPS_RESOLVE_H

#include "ops/driver.h"

/* From what is asked of a network to what it will be: fill *network, for the caller to clear also
 * on failure. What is picked is free at the moment; reserving it may still fail when another
 * process was faster. */
int network_resolve(bn_ctx *ctx, const struct network_request *request, struct network *network);
/* Is there a subnet that nobody named? */
bool network_picks_subnet(const struct network_request *request);

#endif
