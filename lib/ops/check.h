/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel against the state, and putting it right. */
#ifndef BN_OPS_CHECK_H
#define BN_OPS_CHECK_H

#include "model/finding.h"
#include "ops/context.h"

/* network, endpoint: of that alone; NULL: all. *findings is to be empty before. */
int ops_check(bn_ctx *ctx, const char *network, const char *endpoint, finding_vector *findings);
/* flags: BN_REPAIR_*. Those found before, with what is repaired by now. */
int ops_repair(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
	       finding_vector *findings);

#endif
