/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is, but for rows (rows.h). Each call sees one state of it. */
#ifndef BN_OPS_LIST_H
#define BN_OPS_LIST_H

#include "ops/context.h"

/* What else there is to say of a network. */
struct network_counts {
	size_t endpoints;
	struct address_usage addresses;
};
typedef VECTOR(struct network_counts) counts_vector;

/* The network of that name or id, or all; and of each what is counted. */
int list_networks(bn_ctx *ctx, const char *network, network_vector *networks,
		  counts_vector *counts);
/* Of one that is at hand, whatever is under way. */
int list_counts(bn_ctx *ctx, const struct network *network, struct network_counts *ret_counts);
/* network, endpoint: of that one alone. An unknown network is an error; an endpoint that is not
 * there has no ports. */
int list_ports(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows);

/* The rules in the kernel, or those that should be there; network: of that one alone, without the
 * base. */
int list_rules(bn_ctx *ctx, const char *network, const struct firewall_backend **ret_backend,
	       rule_vector *rules);
int list_plan(bn_ctx *ctx, const char *network, const struct firewall_backend **ret_backend,
	      rule_vector *rules);

/* What the kernel shows of a network's bridge, or inside an endpoint's namespace: 1, or 0 if there
 * is no such interface, or none any more. */
int list_bridge(bn_ctx *ctx, const struct network *network, struct interface *ret_interface);
int list_interface(bn_ctx *ctx, const struct endpoint *endpoint, struct interface *ret_interface);
/* The addresses that an endpoint of the network has now. Appends. *shared is what the endpoints of
 * a listing have in common, read once: empty at first, for the caller to free. */
int list_addresses(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		   prefix_vector *shared, prefix_vector *addresses);

#endif
