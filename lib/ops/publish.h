/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_PUBLISH_H
#define BN_OPS_PUBLISH_H

#include "ops/operation.h"
#include "ops/ports.h"

/* flags: BN_PUBLISH_*. *ret_held: of each of the ports, in their order, if they are held. */
int ops_publish(bn_ctx *ctx, const char *network, const char *endpoint,
		const struct port_request *requests, size_t len, uint32_t flags,
		const struct result *result, held_vector *ret_held);
int ops_unpublish(bn_ctx *ctx, const char *network, const char *endpoint,
		  const struct port_request *requests, size_t len, uint32_t flags);

#endif
