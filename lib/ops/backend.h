/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_BACKEND_H
#define BN_OPS_BACKEND_H

#include "ops/context.h"

/* Move all that the state describes. Nothing to do when it is there already. */
int ops_backend_switch(bn_ctx *ctx, const char *name);

#endif
