/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which bridges the host has. */
#include <errno.h>
#include <linux/if_link.h>

#include "link/private.h"

struct bridges_query {
	struct guard *guard;
	size_t before; /* how many there were */
};

/* An older kernel tells of all links. */
static bool is_bridge(struct nlattr *info)
{
	struct nlattr *attrs[IFLA_INFO_MAX + 1];

	return info && nla_parse_nested(attrs, IFLA_INFO_MAX, info, NULL) >= 0 &&
	       attrs[IFLA_INFO_KIND] &&
	       strcmp(nla_get_string(attrs[IFLA_INFO_KIND]), "bridge") == 0;
}

static int take_bridge(void *userdata, const struct nlmsghdr *reply)
{
	struct bridges_query *query = userdata;
	struct nlattr *attrs[IFLA_MAX + 1];
	struct guard_bridge *bridge;

	if (!reply) {
		query->guard->bridges.len = query->before;
		return 0;
	}
	if (reply->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) <
		    0 ||
	    !attrs[IFLA_IFNAME] || !is_bridge(attrs[IFLA_LINKINFO]))
		return 0;
	bridge = vector_push(&query->guard->bridges);
	if (!bridge)
		return -ENOMEM;
	nla_strlcpy(bridge->name, attrs[IFLA_IFNAME], sizeof(bridge->name));
	return 0;
}

int link_bridges(struct link_handle *handle, struct guard *guard, struct error *error)
{
	struct bridges_query query = { guard, guard->bridges.len };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_bridge, .userdata = &query };
	struct nlattr *info;
	int r;

	rtnl_add_link(&batch, RTM_GETLINK, 0, 0);
	info = rtnl_nest(&batch, IFLA_LINKINFO);
	rtnl_put_string(&batch, IFLA_INFO_KIND, "bridge");
	rtnl_nest_end(&batch, info);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_dump(handle, &batch);
	return r < 0 ? rtnl_failure(error, &batch, r, "list the host's bridges") : 0;
}
