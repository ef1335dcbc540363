/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "link/private.h"

int link_uplink(struct link_handle *handle, int family, char ret_name[static IFNAMSIZ],
		struct error *error)
{
	CLEANUP_VECTOR prefix_vector routes = { 0 };
	struct host_routes query = { .prefixes = &routes };
	int r = routes_each(handle, family, RT_TABLE_MAIN, routes_take, &query, error);

	/* gone since: as if it had been so before */
	if (r < 0 || !query.interface || !if_indextoname(query.interface, ret_name))
		ret_name[0] = '\0';
	return r;
}
