/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What conntrack remembers would go on as it did: flows end with what they led to. */
#ifndef BN_OPS_FLOWS_H
#define BN_OPS_FLOWS_H

#include "ops/context.h"

/* Of the UDP ports among the rows, in two steps: before their rules are there, and after. What
 * goes to their endpoints then stays. local: what the host has for its own, which the first
 * finds out. */
int flows_drop_led_away(bn_ctx *ctx, const struct rows *rows, prefix_vector *ret_local);
int flows_drop_past(bn_ctx *ctx, const struct rows *rows, const prefix_vector *local);

/* Of ports whose rules are gone. unmet: those were mappings that no packet has ever met. */
int flows_drop_ports(bn_ctx *ctx, const struct rows *rows, bool unmet);
/* Of ports that have gone elsewhere, those of UDP. */
int flows_drop_moved(bn_ctx *ctx, const struct rows *rows);
/* Of all that the endpoints did, as soon as no packet of theirs comes any more. */
int flows_drop_endpoints(bn_ctx *ctx, const struct rows *rows);
/* Both of these, less what is also of rows that stand. */
int flows_drop_lost(bn_ctx *ctx, const struct rows *lost, const struct rows *standing);

#endif
