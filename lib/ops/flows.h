/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_FLOWS_H
#define BN_OPS_FLOWS_H

#include "ops/context.h"

/* Flows that conntrack remembers would go on as they did: drop those of the UDP ports among the
 * rows, once for all. published: what does not go to the endpoint, else what does. */
int flows_drop(bn_ctx *ctx, const struct rows *rows, bool published);

#endif
