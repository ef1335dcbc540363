/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a change of a network reaches. */
#ifndef BN_MODEL_REACH_H
#define BN_MODEL_REACH_H

#include "model/plan.h"

/* Can the rules of its endpoints, or of their ports, differ between the one network and the other,
 * which is the same with other options? Found without any of them, for there may be many. */
bool plan_reaches_endpoints(uint32_t traits, const struct network *before,
			    const struct network *after);

#endif
