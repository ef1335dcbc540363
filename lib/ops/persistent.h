/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks that outlive the state. */
#ifndef BN_OPS_PERSISTENT_H
#define BN_OPS_PERSISTENT_H

#include "ops/context.h"

/* Those that are defined become part of a state that has not had them yet; their bridges come with
 * the first endpoint. What is damaged is passed over, and said to the log. When a call begins: the
 * state is looked at again. */
int persistent_load(bn_ctx *ctx, enum ctx_need need);
/* All that are whole and, of a directory that is not to be trusted, none; the rest goes on.
 * Appends, and complains of what is not. */
typedef void (*complain_fn)(void *userdata, const struct error *error);
int persistent_read(bn_ctx *ctx, network_vector *networks, complain_fn complain, void *userdata);
/* Take in one that was read, in a transaction. 1; or 0, and why to the log, if it can't be there
 * beside what there is. */
int persistent_define(bn_ctx *ctx, const struct network *network);
/* Where the definition of one that is to be made will be: fills network->persistent. -EINVAL,
 * -EEXIST for a file of that name. */
int persistent_resolve(bn_ctx *ctx, struct network *network);
/* It stands, and is about to be settled. */
int persistent_write(bn_ctx *ctx, const struct network *network);
/* It goes. What is gone already is no error. */
int persistent_remove(bn_ctx *ctx, const struct network *network);
/* After -ENOENT for a network of that name: is that because its definition is damaged? Then another
 * error that says so; r else. */
int persistent_explain(bn_ctx *ctx, const char *network, int r);

#endif
