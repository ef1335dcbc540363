/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of the state to rules, with the guard that the state asks for. */
#ifndef BN_OPS_PLAN_H
#define BN_OPS_PLAN_H

#include "ops/context.h"

/* The guard of the state, with what is on its way. */
int rules_guard(bn_ctx *ctx, struct guard *guard);
/* Appends. scopes: PLAN_*; with that guard, or the state's: the rows need not have it. */
int rules_plan_guarded(bn_ctx *ctx, uint32_t traits, uint32_t scopes, const struct rows *rows,
		       const struct guard *guard, rule_vector *rules);
int rules_plan_with(bn_ctx *ctx, uint32_t traits, uint32_t scopes, const struct rows *rows,
		    rule_vector *rules);
int rules_plan(bn_ctx *ctx, uint32_t scopes, const struct rows *rows, rule_vector *rules);

#endif
