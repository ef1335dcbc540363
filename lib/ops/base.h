/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rule base, and the rules of the whole state at once: what is about no network of its own. */
#ifndef BN_OPS_BASE_H
#define BN_OPS_BASE_H

#include "ops/context.h"

/* Does any network, but for that one (may be NULL), have a bridge that the base and forwarding
 * serve? 1, 0, negative. */
int base_is_needed(bn_ctx *ctx, const struct network *but);

/* Once no network is left there is nothing that the rule base serves, and any backend may be chosen
 * for the next. A base that stays is harmless: the failure is only logged. */
void base_remove_if_unused(bn_ctx *ctx);
/* The same for the rules alone, before the last network's row goes: so they go also if this process
 * dies meanwhile. */
void base_remove_rules_but(bn_ctx *ctx, const struct network *last);

/* ---- moving between backends ---- */

/* What the state says, as rules of that backend: in its tables, or out of them with the base. */
int base_put_state(bn_ctx *ctx, struct firewall *firewall);
int base_take_state(bn_ctx *ctx, struct firewall *firewall);
/* The same of rules that were planned before. */
int base_take_rules(bn_ctx *ctx, struct firewall *firewall, const rule_vector *rules);
/* Out of all backends but the one that the state is in: the move from or to one of them came to
 * nothing. */
int base_take_others(bn_ctx *ctx);

#endif
