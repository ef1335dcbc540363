/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of ours in the kernel that no state has: of a saved rule set that was loaded again. */
#ifndef BN_OPS_STRAYS_H
#define BN_OPS_STRAYS_H

#include "ops/context.h"

/*
 * Those that keep rules from being added, and that this state has not. Another state puts rules in
 * before its links, so these tell nothing of it by not being there: of an endpoint, or a port, a
 * rule is a stray when its address, or where it leads to, is in a subnet of this state, or when it
 * leads to where nothing is routed; of a network, when no bridge stands that its rules name, nor
 * comes for a while, which is waited for. *ret_strays is to be empty before.
 */
int strays_find(bn_ctx *ctx, struct firewall *firewall, const rule_vector *add,
		rule_vector *ret_strays);

#endif
