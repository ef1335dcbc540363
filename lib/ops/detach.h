/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_DETACH_H
#define BN_OPS_DETACH_H

#include "ops/context.h"

/* Endpoints of a network, in one operation. */
int ops_detach(bn_ctx *ctx, const char *network, const char *const *ids, size_t len,
	       uint32_t flags);

#endif
