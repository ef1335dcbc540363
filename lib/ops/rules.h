/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules in the kernel, of the backend in use. */
#ifndef BN_OPS_RULES_H
#define BN_OPS_RULES_H

#include "model/difference.h"
#include "ops/plan.h"

/* What has never stood before, in one commit. When the base is gone (a first network, or somebody
 * flushed it), or what those scopes of the rows have (rows NULL: what any network has), it is made
 * again with the rules of everything in the state: rules to be added must belong to rows that are
 * in it. */
int rules_add(bn_ctx *ctx, const rule_vector *rules, const struct rows *rows, uint32_t scopes);
/* The same of all rules of the state, in a backend that it is not in yet, with the base. */
int rules_put(bn_ctx *ctx, struct firewall *firewall, const rule_vector *rules);
/* Make all again, with what is on its way: for what reaches beyond its own rows. */
int rules_rebuild(bn_ctx *ctx);
/* Inside a transaction, the base as it was made, unless nothing is planned, with what is missing of
 * that, which is all that is STORE_STANDING, and without the others, in one commit for each table;
 * what is right stays as it is. Counters of what is added go on from those that it has. -EEXIST,
 * -EADDRINUSE: something is in the way, which a list need not show while parts of the base are
 * missing. */
int rules_repair(bn_ctx *ctx, const rule_vector *planned, const rule_vector *add,
		 const rule_vector *remove);
/* Inside a transaction, what the one guard had rules for and the other has not. */
int rules_remove_guard(bn_ctx *ctx, const struct guard *before, const struct guard *after);
/* Before it, of what has stood unless somebody flushed it: where a backend can look up single
 * rules, all is made again if one of them is missing; elsewhere they are to be added with the
 * others, which costs no more than the look. */
int rules_add_flushed(bn_ctx *ctx, const rule_vector *stood, rule_vector *rules);
/* 1: they were mappings that no packet has ever met. Rules that are gone already are no error.
 * Their rows must be marked in the state, or on their way back. settled: all of them were put
 * there, and nobody has begun to take them out; rows: as for rules_add(). */
int rules_remove(bn_ctx *ctx, const rule_vector *rules, bool settled, const struct rows *rows);

/* A step of a change from one plan to another, in one commit for each table. What is in both stays,
 * with its counters. settled: the rules to remove are there, as for
 * rules_remove(). */
int rules_change_step(bn_ctx *ctx, const struct rules_difference *difference,
		      const struct rules_step *step, bool settled);
/* All of the state again, inside a transaction, without those that it has no more. */
int rules_change_lost(bn_ctx *ctx, rule_vector *gone);
/* The one in the place of the others, in one commit; what is in both stays as it is. Rows and
 * scopes are those of what is added, as for rules_add(); settled: as for rules_remove(). */
int rules_exchange(bn_ctx *ctx, rule_vector *add, rule_vector *remove, bool settled,
		   const struct rows *rows, uint32_t scopes);

/* What rows had rules for that the state has no more, inside a transaction. part: PLAN_LETTING_IN
 * or PLAN_OTHERS. */
int rules_remove_lost(bn_ctx *ctx, const struct rows *lost, const struct rows *standing,
		      uint32_t part);

#endif
