/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rule base, and the rules of the whole state at once: what is about no network of its own. */
#ifndef BN_OPS_BASE_H
#define BN_OPS_BASE_H

#include "ops/context.h"

/* What networks with a bridge, those on their way included, rely on. */
struct base_needs {
	bool rules, ipv4, ipv6; /* the base, forwarding of a family */
	bool state;             /* which namespace it is about, as there is any network */
};
int base_needs_of(bn_ctx *ctx, struct base_needs *ret_needs);

/* In the transaction in which networks go: when none is left there is nothing that the rule base
 * serves, and the state is about no namespace and in no backend. */
int base_leave(bn_ctx *ctx);

/* ---- moving between backends ---- */

/* What the state says, as rules of that backend, into its tables. */
int base_put_state(bn_ctx *ctx, struct firewall *firewall);
/* Rules that were planned before out of them, with the base. */
int base_take_rules(bn_ctx *ctx, struct firewall *firewall, const rule_vector *rules);
/* Out of all backends but the one that the state is in: the move from or to one of them came to
 * nothing. */
int base_take_others(bn_ctx *ctx);

#endif
