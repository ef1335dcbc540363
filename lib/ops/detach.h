/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_DETACH_H
#define BN_OPS_DETACH_H

#include "ops/engine.h"

/* Take endpoints of a network, with their ports (in the same order), out of the kernel. What is
 * gone already is no error; on failure the rules stand again. */
int endpoints_demolish(struct engine *engine, const struct network *network,
		       const endpoint_vector *endpoints, const port_vector *ports, bool quick);

#endif
