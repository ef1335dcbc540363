/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link of an endpoint is put right, and what belongs to it in its sandbox. */
#ifndef BN_OPS_REWIRE_H
#define BN_OPS_REWIRE_H

#include "ops/context.h"

/*
 * What is there stays, and packets that pass go on passing; what is gone is made again, with the
 * addresses, the MAC and the names that it had. In a write transaction, as of rows_use(). sight: as
 * it was found. inside: what is in the sandbox is to be put right, too. -EBUSY while another
 * operation is at work in its sandbox.
 */
int rewire(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	   const struct link_sight *sight, bool inside);

#endif
