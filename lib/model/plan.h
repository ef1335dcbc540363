/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows -> rules. Pure: the same rows give the same rules in the same order. */
#ifndef BN_MODEL_PLAN_H
#define BN_MODEL_PLAN_H

#include "model/rule.h"

/* scopes: whose rules are wanted, PLAN_BASE and so on, and which part of them; rows may be NULL for
 * the base alone. Appends to *rules, not sorted. What has no network or endpoint among the rows has
 * no rules. 0, -ENOMEM */
int plan_rules(uint32_t traits, uint32_t scopes, const struct rows *rows, rule_vector *rules);
/* Those of one row alone. */
int plan_kind(const struct kind *kind, uint32_t traits, const struct rows *rows,
	      rule_vector *rules);

#endif
