/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of one network, endpoint or port alone. */
#ifndef BN_TESTS_PLAN_PARTS_H
#define BN_TESTS_PLAN_PARTS_H

#include "model/plan.h"

/* network NULL: that of the endpoint, on a bridge bn0; endpoint, port: may be NULL. */
static inline int plan_parts(uint32_t traits, uint32_t scopes, const struct network *network,
			     const struct endpoint *endpoint, const struct port *port,
			     rule_vector *rules)
{
	struct network stand_in = { .driver = DRIVER_BRIDGE, .bridge = "bn0" };
	struct port owned = { 0 };
	struct rows rows;

	if (endpoint)
		string_copy(stand_in.name, sizeof(stand_in.name), endpoint->network);
	if (port) {
		owned = *port;
		string_copy(owned.network, sizeof(owned.network), endpoint->network);
		string_copy(owned.endpoint, sizeof(owned.endpoint), endpoint->id);
	}
	rows = rows_view(network ? network : &stand_in, endpoint, &owned, port ? 1 : 0);
	return plan_rules(traits, scopes, &rows, rules);
}

#endif
