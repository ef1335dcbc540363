/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_COLLECT_H
#define BN_OPS_COLLECT_H

#include "ops/operation.h"

/* Detaches what has lost its namespace, of that network (NULL: of all), in one operation; what
 * other operations are at is passed over. result: of the rows that go. */
int ops_collect(bn_ctx *ctx, const char *network, const struct result *result);
/* Those of these, which have been found without. */
int ops_collect_found(bn_ctx *ctx, const struct endpoint *const *endpoints, size_t len);

#endif
