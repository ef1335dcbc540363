/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metrics of default routes: which endpoint of a sandbox the kernel prefers. */
#ifndef BN_MODEL_METRIC_H
#define BN_MODEL_METRIC_H

#include "model/records.h"

/*
 * A number in a family for one more endpoint among the others of its sandbox: the kernel prefers
 * the lowest. 100 for one of priority 0 that is alone, lower for higher priorities and higher for
 * lower ones; behind those of its own priority. Or what its option asks for, or the next number
 * that none has. Those that lack the family count, so that families differ only where priorities
 * do. *ret_end: up to below it the next numbers would do as well. -ENOSPC
 * BN_REASON_METRIC_NONE_FREE.
 */
int metric_choose(const endpoint_vector *siblings, const struct endpoint *endpoint, int family,
		  uint32_t *ret_metric, uint64_t *ret_end, struct error *error);

/* The endpoint of the lowest metric that has a default route of the family; NULL if none has. */
const struct endpoint *metric_best(const endpoint_vector *endpoints, int family);

#endif
