/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the link of an endpoint on a bridge network is to be, by the state. */
#ifndef BN_OPS_WIRING_H
#define BN_OPS_WIRING_H

#include "ops/context.h"

struct wiring {
	struct link_endpoint_config config; /* without the bridge's index and the sources */
	char alias[ALIAS_MAX];
	sysctl_vector sysctls;
};
/* The rows are the caller's, and stay as long. */
int wiring_make(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		struct wiring *wiring);
void wiring_clear(struct wiring *wiring);

#endif
