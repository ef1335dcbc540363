/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules in the kernel, of the backend in use. */
#ifndef BN_OPS_RULES_H
#define BN_OPS_RULES_H

#include "ops/context.h"

/* All that rows have rules for: the base has none. */
#define PLAN_ROWS (PLAN_NETWORKS | PLAN_ENDPOINTS | PLAN_PORTS)

/* Appends. scopes: PLAN_* */
int rules_plan(bn_ctx *ctx, uint32_t scopes, const struct rows *rows, rule_vector *rules);

/* One commit. When the base is gone (a first network, or somebody flushed it), it is made again
 * with the rules of everything in the state. */
int rules_add(bn_ctx *ctx, const rule_vector *rules);
/* Rules that are gone already are no error. */
int rules_remove(bn_ctx *ctx, const rule_vector *rules);
/* Put back what rules_remove() took, or take what rules_add() put, on the way out of a failure:
 * keeps the error that led there. */
void rules_undo_add(bn_ctx *ctx, const rule_vector *rules);
void rules_undo_remove(bn_ctx *ctx, const rule_vector *rules);

#endif
