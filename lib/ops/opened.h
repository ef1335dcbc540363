/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports that are open at their endpoint's own address: there, no two can be one. */
#ifndef BN_OPS_OPENED_H
#define BN_OPS_OPENED_H

#include "ops/context.h"

/* Does none of the mappings of one endpoint open what another of them does: those that are to come,
 * one that is to come beside others, or all that there are of the network's? -EADDRINUSE */
int opened_check_added(bn_ctx *ctx, const struct network *network, const port_vector *ports);
int opened_check_one(bn_ctx *ctx, const struct network *network, const struct port *port,
		     const struct port *beside, size_t len);
int opened_check_all(bn_ctx *ctx, const struct network *network, const port_vector *ports);

#endif
