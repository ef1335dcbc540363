/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose a rule is, where the kernel's rules do not say it themselves. */
#ifndef BN_MODEL_OWNER_H
#define BN_MODEL_OWNER_H

#include "model/rule.h"

/* Fill in network and endpoint of each rule, by its bridge, its addresses, and the label of its
 * network (names.h) that it has for a network; who is not among the records keeps the label.
 * 0, -ENOMEM */
int owners_find(rule_vector *rules, const network_vector *networks,
		const endpoint_vector *endpoints);

#endif
