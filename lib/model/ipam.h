/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Address management as arithmetic: which subnet, which address. Who has which is the store's. */
#ifndef BN_MODEL_IPAM_H
#define BN_MODEL_IPAM_H

#include "model/records.h"

/*
 * The first subnet of Docker's default pools (172.17.0.0/16 ... 172.31.0.0/16, then sixteen /20 of
 * 192.168.0.0/16) that meets none of the `taken` prefixes. -ENOSPC with BN_REASON_POOL_EXHAUSTED.
 */
int ipam_pick_ipv4(const struct prefix *taken, size_t len, struct prefix *ret_subnet,
		   struct error *error);

/* The same for IPv6: the first free /64 of fd<global_id>::/48 (RFC 4193). */
int ipam_pick_ipv6(const uint8_t global_id[static 5], const struct prefix *taken, size_t len,
		   struct prefix *ret_subnet, struct error *error);

/* Does a route of the host stand in the way of an automatic subnet? Default routes and the halves
 * of the address space that VPNs use (prefix_len 0 and 1) don't. */
bool ipam_route_blocks(const struct prefix *destination);

/* A subnet a user gave: masked (else the sentence says the right one), unicast, not loopback, at
 * least /30 or /126... whatever leaves room for a gateway and an endpoint; gateway and range
 * inside. Picks the gateway when unset: the first of the range, or of the
 * subnet. -EINVAL, or -ERANGE with BN_REASON_ADDRESS_OUTSIDE. */
int ipam_complete_subnet(struct subnet *subnet, struct error *error);

/* Bring network->reserved into the order that is searched below; what is there twice stays once. */
void ipam_sort_reserved(struct network *network);
bool ipam_is_reserved(const struct network *network, const struct addr *addr);

/* May this address be given to an endpoint that asks for it? Not outside, not the network's own address, nor (IPv4,
 * below /31) broadcast, nor gateway, nor reserved. 0 or negative with a sentence. */
int ipam_check_address(const struct network *network, const struct addr *addr, struct error *error);

/* The addresses that options name as default gateways: of a family that the network has, and in its
 * subnet. -EINVAL, -ERANGE */
int ipam_check_default_gateways(const struct network *network, struct error *error);

/*
 * The first usable address at or after *from (family 0: the first of all) in the range of dynamic
 * addresses; false at its end. Skips what ipam_check_address() refuses, in one walk along the
 * reserved ones, and the default gateway, which one endpoint may be. The caller asks again with the successor while the address is in use.
 */
bool ipam_next_address(const struct network *network, int family, const struct addr *from,
		       struct addr *ret_addr);

#endif
