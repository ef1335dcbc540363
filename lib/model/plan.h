/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* State -> rules. Pure: the same state gives the same rules in the same order. */
#ifndef BN_MODEL_PLAN_H
#define BN_MODEL_PLAN_H

#include "model/rule.h"

/* What a backend can say in a rule, where backends differ. */
#define PLAN_BOTH_FAMILIES 0x1u /* one base rule serves IPv4 and IPv6 */
#define PLAN_POSTROUTING_IN \
	0x2u                  /* the in-interface is known after routing; without it the
					 * masquerade rule matches the source subnet instead */
#define PLAN_PORT_RANGES 0x4u /* a range of ports is one rule, not one each */
#define PLAN_OWN_CHAINS \
	0x8u              /* our rules stand in chains of our own, and those of the
					 * networks in chains below: to each a rule jumps */
#define PLAN_OWNERS 0x10u /* a rule in the kernel says whose it is */

/* What to plan: the rules of these. */
#define PLAN_BASE 0x1u
#define PLAN_NETWORKS 0x2u
#define PLAN_ENDPOINTS 0x4u
#define PLAN_PORTS 0x8u
#define PLAN_ALL (PLAN_BASE | PLAN_NETWORKS | PLAN_ENDPOINTS | PLAN_PORTS)

/* Appends to *rules, not sorted. What has no network or endpoint among the rows has no rules. 0,
 * -ENOMEM */
int plan_rules(uint32_t traits, uint32_t scopes, const struct rows *rows, rule_vector *rules);

#endif
