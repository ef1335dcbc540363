/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_RESOLVE_H
#define BN_OPS_RESOLVE_H

#include "ops/driver.h"

/* Before the transaction, for it can be much. */
int host_view_read(bn_ctx *ctx, const struct network_request *request, struct host_view *view);
void host_view_clear(struct host_view *view);

/* From what is asked of a network to what it will be, inside the transaction that inserts it: fill
 * *network, for the caller to clear also on failure. -EEXIST when there is one. */
int network_resolve(bn_ctx *ctx, const struct network_request *request,
		    const struct host_view *view, struct network *network);

/* Do its options fit what it is, for one that is made and one that is updated? */
int network_check_policy(bn_ctx *ctx, const struct network *network);

/* The MTU is that of the link of option mtu-from, where there is one. given: one was asked for. */
int network_take_mtu(bn_ctx *ctx, struct network *network, bool given);

/* Is the network that there is as is asked, in all that is said of it? 0, or -EEXIST naming the
 * first difference. */
int network_check_equal(bn_ctx *ctx, const struct network_request *request,
			const struct network *network);

#endif
