/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of the state, together with those that they belong to. */
#ifndef BN_OPS_ROWS_H
#define BN_OPS_ROWS_H

#include "ops/context.h"

/* All that rows have rules for: the base has none. */
#define PLAN_ROWS (PLAN_NETWORKS | PLAN_ENDPOINTS | PLAN_PORTS)

/* Each of these appends. network: by name or id. */
int rows_load_network(bn_ctx *ctx, const char *network, struct rows *rows);
/* An endpoint of the network that was loaded last, without its ports. */
int rows_load_endpoint(bn_ctx *ctx, const char *id, struct rows *rows);
/* The same for a call that goes on to change them: -EBUSY while another makes or removes them.
 * Inside a transaction. */
int rows_use_network(bn_ctx *ctx, const char *network, struct rows *rows);
int rows_use_network_alone(bn_ctx *ctx, const char *network, struct rows *rows);
int rows_use_endpoint(bn_ctx *ctx, const char *id, struct rows *rows);
/* Those two, in the place of what is there of networks and endpoints. */
int rows_use(bn_ctx *ctx, const char *network, const char *id, struct rows *rows);
/* Settled networks with their endpoints and ports; of one network, or of one endpoint in it, unless
 * NULL. */
int rows_load(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows);
/* The same outside a transaction: all of one state. */
int rows_read(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows);
/* Add the networks and endpoints that those of the rows belong to, where they are missing. */
int rows_complete(bn_ctx *ctx, struct rows *rows);
/* All there is, with what comes and what goes. */
int rows_load_all(bn_ctx *ctx, struct rows *rows);
bool rows_have_network(const struct rows *rows, const char *name);
/* All of STORE_STANDING, inside a transaction. */
int rows_load_standing(bn_ctx *ctx, struct rows *rows);

#endif
