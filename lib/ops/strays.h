/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of ours in the kernel that no state has: of a saved rule set that was loaded again. */
#ifndef BN_OPS_STRAYS_H
#define BN_OPS_STRAYS_H

#include "ops/context.h"

/* Those that keep rules from being added: this state has no such rule, and what its owner would
 * have in another state does not stand, or, where rules don't say whose they are, it leads a port
 * to where nobody of another state can be. Appends. */
int strays_find(bn_ctx *ctx, const rule_vector *add, rule_vector *ret_strays);

#endif
