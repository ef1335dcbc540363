/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From one state of rows to another, in the kernel: what an update does, and what undoes it. */
#ifndef BN_OPS_CHANGE_H
#define BN_OPS_CHANGE_H

#include "ops/context.h"

/*
 * A network; or a network, an endpoint of it and that one's ports, of which the endpoint changes.
 * What is the same in both stays as it is. First the rules that shut, then links, then the rules
 * that open. before_stands: all that it had is in the kernel, and nothing else; if not, whatever is
 * there of the one becomes the other.
 */
int change_make(bn_ctx *ctx, const struct rows *before, const struct rows *after,
		bool before_stands);
/* What an operation was changing is as before. */
int change_undo(bn_ctx *ctx, const struct operation *operation);
/* What an operation has changed, though it was undone by another meanwhile, is as the state has it
 * now. In a transaction of its own. */
int change_lost(bn_ctx *ctx, const struct rows *after);

#endif
