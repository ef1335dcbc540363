/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Address space that subnets are picked from. */
#ifndef BN_MODEL_POOL_H
#define BN_MODEL_POOL_H

#include "model/options.h"

/* "10.99.0.0/16:24", subnets of /24 out of 10.99.0.0/16. -EINVAL */
int pool_parse(const char *text, struct subnet_pool *ret_pool, struct error *error);

/* Those of Docker: 31 subnets. */
extern const struct subnet_pool default_pools_ipv4[];
extern const size_t default_pools_ipv4_len;
/* fd<global_id>::/48 (RFC 4193), by /64. */
struct subnet_pool pool_unique_local(const uint8_t global_id[static 5]);

/*
 * The first subnet of the pools of that family, in their order, that meets none of the prefixes
 * that are taken, which are masked and sorted; of `len` bits, 0: as each pool is cut. -ENOSPC
 * BN_REASON_POOL_EXHAUSTED, -EINVAL if no pool is large enough for one.
 */
int pool_pick(const struct subnet_pool *pools, size_t pools_len, int family, uint8_t len,
	      const prefix_vector *taken, struct prefix *ret_subnet, struct error *error);
/* May it have been picked from them? */
bool pools_have(const struct subnet_pool *pools, size_t pools_len, const struct prefix *subnet);
bool pools_have_family(const subnet_pool_vector *pools, int family);

#endif
