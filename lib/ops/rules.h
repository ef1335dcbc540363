/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From state to rules in the kernel. */
#ifndef BN_OPS_RULES_H
#define BN_OPS_RULES_H

#include "ops/context.h"

int rules_plan_network(bn_ctx *ctx, const struct network *network, rule_vector *rules);
/* The rules of endpoints and ports, whose networks are looked up. Appends. */
int rules_plan_endpoint(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
			rule_vector *rules);
int rules_plan_ports(bn_ctx *ctx, const struct endpoint *endpoint, const struct port *ports,
		     size_t len, rule_vector *rules);
/* Of everything in the state; network: of that one alone, without the base. */
int rules_plan_state(bn_ctx *ctx, uint32_t traits, const char *network, rule_vector *rules);

/* Of the kernel; network: of that one alone. */
int rules_list(bn_ctx *ctx, const char *network, rule_vector *rules);

/* One commit. When the base is gone (a first network, or somebody flushed it), it is made again
 * with the rules of everything in the state. */
int rules_add(bn_ctx *ctx, const rule_vector *rules);
/* Rules that are gone already are no error. */
int rules_remove(bn_ctx *ctx, const rule_vector *rules);
/* Put back what rules_remove() took, or take what rules_add() put, on the way out of a failure:
 * keeps the error that led there. */
void rules_undo_add(bn_ctx *ctx, const rule_vector *rules);
void rules_undo_remove(bn_ctx *ctx, const rule_vector *rules);

/* Drop the stale conntrack flows of the UDP ports among these, once for all. */
int rules_drop_flows(bn_ctx *ctx, const struct endpoint *endpoints, size_t endpoints_len,
		     const struct port *ports, size_t ports_len, bool published);

#endif
