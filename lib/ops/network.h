/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_NETWORK_H
#define BN_OPS_NETWORK_H

#include "ops/driver.h"
#include "ops/operation.h"

int ops_network_create(bn_ctx *ctx, const struct network_request *request,
		       const struct result *result, struct network *ret_network);
/* `bridge` as it is, made on first use. */
int ops_network_ready(bn_ctx *ctx, const char *name, struct network *ret_network);
int ops_network_delete(bn_ctx *ctx, const char *name, uint32_t flags);

#endif
