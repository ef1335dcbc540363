/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies behind an endpoint that forwards, as the clients of a VPN do: option routes-for. */
#ifndef BN_OPS_BEHIND_H
#define BN_OPS_BEHIND_H

#include "ops/context.h"

/* Can it be, as far as the state tells? In the transaction. */
int behind_check(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint);
/* And as far as the host does; before anything is changed. except: those that it has already, or
 * NULL. */
int behind_check_host(bn_ctx *ctx, const struct endpoint *endpoint, const struct endpoint *except);
/* The host's routes there; less those that the other has, or NULL. What is there, or gone, is no
 * error of the latter. */
int behind_add(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	       const struct endpoint *except);
int behind_remove(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		  const struct endpoint *except);

#endif
