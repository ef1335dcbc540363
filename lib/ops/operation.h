/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_OPS_OPERATION_H
#define BN_OPS_OPERATION_H

#include "ops/engine.h"

/* The second transaction: what the operation reserved stands, what it marked is gone. */
int operation_settle(struct engine *engine, const struct operation *operation);

/* As if it had never been; keeps the error that led here. */
void operation_abandon(struct engine *engine, const struct operation *operation);

/* Undo a half-made network in the kernel; keeps the error that led here. */
void network_demolish(struct engine *engine, const struct network *network);

/* Take the rule base away once no network is left. */
int remove_base_if_unused(struct engine *engine);

#endif
