/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which bridges the host has. */
#include <errno.h>

#include "link/private.h"

struct bridges_query {
	struct guard *guard;
	size_t before; /* how many there were */
};

static int take_bridge(void *userdata, const struct nlmsghdr *reply)
{
	struct bridges_query *query = userdata;
	struct guard_bridge *bridge;
	struct link_info info;

	if (!reply) {
		query->guard->bridges.len = query->before;
		return 0;
	}
	if (!link_info_parse(reply, &info) || strcmp(info.kind, "bridge") != 0)
		return 0;
	bridge = vector_push(&query->guard->bridges);
	if (!bridge)
		return -ENOMEM;
	string_copy(bridge->name, sizeof(bridge->name), info.interface.name);
	return 0;
}

int link_bridges(struct link_handle *handle, struct guard *guard, struct error *error)
{
	struct bridges_query query = { guard, guard->bridges.len };

	return links_dump_kind(handle, "bridge", take_bridge, &query, error);
}
