/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of ours in the kernel that no state has: of a saved rule set that was loaded again. */
#ifndef BN_OPS_STRAYS_H
#define BN_OPS_STRAYS_H

#include "ops/context.h"

/* What it takes to say whose a rule of the kernel is that this state has not. */
struct strays_view {
	const rule_vector *kernel;      /* all that is there */
	const network_vector *networks; /* of the state, with those that come or go */
	prefix_vector routed;           /* what the host routes to */
	/* whether a bridge stands that rules of that network name, as far as it was asked for */
	VECTOR(struct strays_network {
		const char *name;
		bool elsewhere;
	})
	known;
};
int strays_view(bn_ctx *ctx, const rule_vector *kernel, const network_vector *networks,
		struct strays_view *ret_view);
void strays_view_clear(struct strays_view *view);
/* What a network has is nobody's only if it was so before strays_wait(), too: another state puts it
 * in before its bridge. */
enum strays_verdict { STRAYS_MAYBE_OTHERS, STRAYS_NOBODYS_NOW, STRAYS_NOBODYS };
/* strays_verdict, or negative. */
int strays_judge(bn_ctx *ctx, struct strays_view *view, const struct rule *rule);
int strays_names_others(bn_ctx *ctx, const struct strays_view *view, const struct rule *rule);
int strays_wait(bn_ctx *ctx);
/* Are they of one kind, and about the same? In nftables only one of them can be there. */
bool strays_meet(const struct rule *a, const struct rule *b);

/*
 * Those that keep rules from being added, and that this state has not. Another state puts rules in
 * before its links, so these tell nothing of it by not being there: of an endpoint, or a port, a
 * rule is a stray when its address, or where it leads to, is in a subnet of this state, or when it
 * leads to where nothing is routed; of a network, when no bridge stands that its rules name, nor
 * comes for a while, which is waited for; of frames, when their port had such an address, or as of
 * a network when the port does not stand. *ret_strays is to be empty before.
 */
int strays_find(bn_ctx *ctx, struct firewall *firewall, const rule_vector *add,
		rule_vector *ret_strays);

#endif
