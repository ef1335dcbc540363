/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An endpoint as it is beside what the state says of it. */
#ifndef BN_OPS_JUDGE_H
#define BN_OPS_JUDGE_H

#include "ops/inspection.h"

struct judged {
	const struct endpoint *endpoint;
	const struct network *network;
	struct link_sight *host; /* NULL: it has no link */
	/* Of its sandbox; NULL while that is not looked into. */
	const struct link_within *within;
	const link_route_vector *routes;
};
/* sandbox NULL: it can't be looked into. */
int judge(bn_ctx *ctx, struct inspection *inspection, const struct sandbox *sandbox,
	  const struct judged *judged);
int judge_gone(bn_ctx *ctx, struct inspection *inspection, const struct endpoint *endpoint);

#endif
