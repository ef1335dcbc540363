/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which endpoints live: whether their namespaces are there, and their links lead anywhere. */
#ifndef BN_OPS_LIFE_H
#define BN_OPS_LIFE_H

#include "ops/context.h"

enum life {
	LIFE_UNKNOWN, /* it can't be seen from here */
	LIFE_RUNNING,
	LIFE_CUT,  /* the link is deleted, down or off its bridge */
	LIFE_GONE, /* the namespace is gone */
};

/* rows_read(), and of each endpoint how it is; *ret_lives is freed by the caller. */
int life_read(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows,
	      enum life **ret_lives);

/* *ret_fd is the namespace of an endpoint. -ENOENT BN_REASON_SANDBOX_GONE. */
int ops_open_sandbox(bn_ctx *ctx, const char *network, const char *endpoint, int *ret_fd);

#endif
