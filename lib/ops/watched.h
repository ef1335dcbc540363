/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a watch has seen in the state: a name and a number for each network and endpoint. */
#ifndef BN_OPS_WATCHED_H
#define BN_OPS_WATCHED_H

#include "ops/context.h"

struct watched_network {
	char name[NETWORK_NAME_MAX + 1];
	char id[ID_LEN + 1];
	char bridge[IFNAMSIZ]; /* "": it is not made yet */
	uint64_t content;
};

struct watched_endpoint {
	char network[NETWORK_NAME_MAX + 1];
	char id[ENDPOINT_ID_MAX + 1];
	uint64_t content, ports;
};

/* Sorted by name. */
struct watched {
	VECTOR(struct watched_network) networks;
	VECTOR(struct watched_endpoint) endpoints;
};

/* Of all that is settled. */
int watched_load(bn_ctx *ctx, struct watched *watched);
void watched_clear(struct watched *watched);
/* That has the bridge of that name, or an id that begins so; NULL: there is none. */
const struct watched_network *watched_by_bridge(const struct watched *watched, const char *bridge);
const struct watched_network *watched_by_id(const struct watched *watched, const char *digits,
					    size_t len);

enum watched_change {
	NETWORK_MADE,
	NETWORK_CHANGED,
	NETWORK_DELETED,
	ENDPOINT_ATTACHED,
	ENDPOINT_CHANGED,
	ENDPOINT_PORTS_CHANGED,
	ENDPOINT_DETACHED
};
/* endpoint: "" of a network. 0, or what ends it. */
typedef int (*watched_fn)(void *data, enum watched_change change, const char *network,
			  const char *endpoint);
int watched_compare(const struct watched *before, const struct watched *after, watched_fn fn,
		    void *data);

#endif
