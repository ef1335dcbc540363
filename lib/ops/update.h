/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing what stands: the options of a network or an endpoint. */
#ifndef BN_OPS_UPDATE_H
#define BN_OPS_UPDATE_H

#include "ops/driver.h"
#include "ops/operation.h"

/* request: what it says is to be so, the rest stays. -EBUSY BN_REASON_NOT_LIVE for what can't
 * change while it stands. *ret_network: as it is then, with so many endpoints. */
int ops_network_update(bn_ctx *ctx, const struct network_request *request,
		       const struct result *result, struct network *ret_network,
		       size_t *ret_endpoint_count);
int ops_endpoint_update(bn_ctx *ctx, const struct endpoint_request *request,
			const struct result *result, struct endpoint *ret_endpoint);

#endif
