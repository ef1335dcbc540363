/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports in the place of others: of one endpoint those that another of its sandbox had. */
#ifndef BN_OPS_MOVE_H
#define BN_OPS_MOVE_H

#include "ops/operation.h"
#include "ops/ports.h"

/* requests: which ports, NULL for all. */
int ops_move(bn_ctx *ctx, const char *network, const char *id, const char *to_network,
	     const char *to_id, const struct port_request *requests, size_t len,
	     const struct result *result);

/* Those that the requests mean, with the options of the requests from now on. */
int ops_update_ports(bn_ctx *ctx, const char *network, const char *id,
		     const struct port_request *requests, size_t len, const struct result *result);

/*
 * Inside the transaction of an OPERATION_DETACH_MOVE: what its endpoints publish goes to others of
 * their sandboxes that stay, each to the one whose default route comes first there; what none can
 * have goes with its endpoint.
 */
int move_ports_on(bn_ctx *ctx, const struct operation *operation, struct removal *removal);

#endif
