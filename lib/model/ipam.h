/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Address management as arithmetic: which subnet, which address. Who has which is the store's. */
#ifndef BN_MODEL_IPAM_H
#define BN_MODEL_IPAM_H

#include "model/pool.h"
#include "model/records.h"

/* May that address space be a network's: masked (else the sentence says the right one), unicast,
 * not loopback? `what` it is, "subnet". -EINVAL */
int ipam_check_prefix(const char *what, const struct prefix *prefix, struct error *error);

/* Does a route of the host stand in the way of an automatic subnet? Default routes and the halves
 * of the address space that VPNs use (prefix_len 0 and 1) don't. */
bool ipam_route_blocks(const struct prefix *destination);

/* range_parse(), with a sentence for a prefix with host bits set, and for what is none. */
int ipam_parse_range(const char *text, struct range *ret_range, struct error *error);
/* Where dynamic addresses come from. */
struct range ipam_range(const struct subnet *subnet);

/*
 * What a user asked for becomes whole: the prefix is fit for use, gateway and range are inside, and
 * there is room for the gateway, if there is to be one, and an endpoint. Picks the gateway when
 * unset: the first of the range, or of the subnet, that is not reserved. -EINVAL, or -ERANGE with
 * BN_REASON_ADDRESS_OUTSIDE; then *subnet is as it was.
 */
int ipam_complete_subnet(const struct network *network, struct subnet *subnet, struct error *error);

/* Bring network->reserved into the order that is searched below; what is there twice stays once. */
void ipam_sort_reserved(struct network *network);
bool ipam_is_reserved(const struct network *network, const struct addr *addr);

/* Do two subnets of the network overlap? -EADDRINUSE */
int ipam_check_subnets(const struct network *network, struct error *error);

/* May this address be given to an endpoint that asks for it? Not outside, not the network's own
 * address, nor (IPv4, below /31) broadcast, nor gateway, nor reserved. 0 or negative with a
 * sentence. */
int ipam_check_address(const struct network *network, const struct addr *addr, struct error *error);

/* The addresses that options name as default gateways: of a family that the network has, and in a
 * subnet of it. -EINVAL, -ERANGE */
int ipam_check_default_gateways(const struct network *network, struct error *error);

/*
 * The first usable address at or after *from (family 0: the first of all) in the range of dynamic
 * addresses of a subnet; false at its end. Skips what ipam_check_address() refuses, in one walk
 * along the reserved ones, and the default gateway, which one endpoint may be. The caller asks
 * again with the successor while the address is in use.
 */
bool ipam_next_address(const struct network *network, const struct subnet *subnet,
		       const struct addr *from, struct addr *ret_addr);
/* Does it ever give that one, of any subnet? */
bool ipam_is_dynamic(const struct network *network, const struct addr *addr);

/* Those of endpoints, of which there are so many, the gateway, and what is reserved. */
uint64_t ipam_count_used(const struct network *network, const struct subnet *subnet,
			 uint64_t endpoints);
/* How many it can still give, when so many of them are taken; UINT64_MAX if it is no less. */
uint64_t ipam_count_free(const struct network *network, const struct subnet *subnet,
			 uint64_t taken);

#endif
