/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From one plan to another. */
#ifndef BN_MODEL_DIFFERENCE_H
#define BN_MODEL_DIFFERENCE_H

#include "model/rule.h"

/*
 * In two steps. First what shuts, which lets nothing in that was not let in before; then the rest,
 * which has what lets in. Whoever is on his way meanwhile meets the old rules in one hook and the
 * new ones in the next, so that neither of the two alone would let him in. Where nothing is opened,
 * or nothing shut, all is in one step.
 */
struct rules_step {
	rule_vector add, remove;
};

struct rules_difference {
	struct rules_step shut, rest;
	rule_vector kept; /* what is in both plans */
};

/* The steps are in the order of the plans. *ret_difference is empty at first, and cleared by the
 * caller, also on failure. 0, -ENOMEM */
int rules_difference(const rule_vector *before, const rule_vector *after,
		     struct rules_difference *ret_difference);
void rules_difference_clear(struct rules_difference *difference);

#endif
