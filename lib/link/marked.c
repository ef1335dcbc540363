/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links and routes of the host that are ours by their mark. */
#include <errno.h>
#include <linux/if_link.h>

#include "link/private.h"

struct marked_query {
	marked_vector *marked;
	const char *kind;
	size_t before; /* how many there were */
};

/* A quick detach leaves a pair that is down and on no bridge, and goes with its namespace. */
static bool is_cut(const struct link_info *info)
{
	return strcmp(info->kind, "veth") == 0 && !info->bridge &&
	       !(info->interface.flags & IFF_UP);
}

static int take_marked(void *userdata, const struct nlmsghdr *reply)
{
	struct marked_query *query = userdata;
	struct link_marked *marked;
	struct link_info info;

	if (!reply) {
		query->marked->len = query->before;
		return 0;
	}
	/* an older kernel tells of all kinds */
	if (!link_info_parse(reply, &info) || strcmp(info.kind, query->kind) != 0 ||
	    strncmp(info.alias, ALIAS_MARK, strlen(ALIAS_MARK)) != 0 || is_cut(&info))
		return 0;
	marked = vector_push(query->marked);
	if (!marked)
		return -ENOMEM;
	marked->index = info.interface.index;
	string_copy(marked->name, sizeof(marked->name), info.interface.name);
	string_copy(marked->kind, sizeof(marked->kind), info.kind);
	string_copy(marked->alias, sizeof(marked->alias), info.alias);
	return 0;
}

int link_marked_list(struct link_handle *handle, marked_vector *marked, struct error *error)
{
	static const char *const kinds[] = { "bridge", "veth", "ifb" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++) {
		struct marked_query query = { marked, kinds[i], marked->len };

		r = links_dump_kind(handle, kinds[i], take_marked, &query, error);
	}
	return r;
}

struct same_query {
	const struct link_marked *marked;
	bool same;
};

static int take_same(void *userdata, const struct nlmsghdr *reply)
{
	struct same_query *query = userdata;
	struct link_info info;

	if (link_info_parse(reply, &info))
		query->same = info.interface.index == query->marked->index &&
			      strcmp(info.kind, query->marked->kind) == 0 &&
			      strcmp(info.alias, query->marked->alias) == 0;
	return 0;
}

int link_marked_delete(struct link_handle *handle, const struct link_marked *marked,
		       struct error *error)
{
	struct same_query query = { marked, false };
	CLEANUP_BATCH struct rtnl_batch question = { .reply = take_same, .userdata = &query };
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	uint32_t index = marked->index;
	const index_vector indexes = { .items = &index, .len = 1 };
	int r;

	rtnl_add_link(&question, RTM_GETLINK, 0, index);
	rtnl_put_u32(&question, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_run_passing(handle, &question, -ENODEV);
	if (r < 0)
		return rtnl_failure(error, &question, r, "look up interface %s", marked->name);
	if (!query.same)
		return 0;
	rtnl_add_link(&batch, RTM_DELLINK, 0, index);
	r = links_delete(handle, &batch, &indexes, "link.marked.delete");
	return r == 0 ? 1 : rtnl_failure(error, &batch, r, "delete interface %s", marked->name);
}

/* ---- routes ---- */

struct behinds_query {
	behind_vector *behinds;
	size_t before;
};

static int take_behind(void *userdata, const struct nlmsghdr *reply)
{
	struct behinds_query *query = userdata;
	struct nlattr *attrs[RTA_MAX + 1];
	struct link_behind behind = { 0 };
	const struct rtmsg *route;

	if (!reply) {
		query->behinds->len = query->before;
		return 0;
	}
	route = nlmsg_data(reply);
	/* A kernel without strict checking shows other tables and protocols too. */
	if (reply->nlmsg_type != RTM_NEWROUTE || route->rtm_protocol != PROTOCOL_OURS ||
	    route->rtm_table != RT_TABLE_MAIN || route->rtm_type != RTN_UNICAST ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0 ||
	    !attrs[RTA_OIF] ||
	    !attr_addr(attrs[RTA_DST], route->rtm_family, &behind.destination.addr) ||
	    !attr_addr(attrs[RTA_GATEWAY], route->rtm_family, &behind.gateway))
		return 0;
	behind.destination.len = route->rtm_dst_len;
	behind.interface = nla_get_u32(attrs[RTA_OIF]);
	return vector_append(query->behinds, behind);
}

int link_behinds_list(struct link_handle *handle, behind_vector *behinds, struct error *error)
{
	for_each_family(family) {
		const struct rtmsg header = {
			.rtm_family = (uint8_t)family,
			.rtm_table = RT_TABLE_MAIN,
			.rtm_protocol = PROTOCOL_OURS,
		};
		struct behinds_query query = { behinds, behinds->len };
		CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_behind,
							  .userdata = &query };
		int r;

		if (family == AF_INET6 && !handle->has_ipv6)
			continue;
		rtnl_add(&batch, RTM_GETROUTE, 0, &header, sizeof(header));
		r = rtnl_dump(handle, &batch);
		/* a table that has had no route yet does not exist */
		if (r < 0 && r != -ENOENT)
			return rtnl_failure(error, &batch, r, "list the routes of the host");
	}
	return 0;
}

int link_behind_remove(struct link_handle *handle, const struct link_behind *behind,
		       struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	const struct rtnl_route route = {
		.destination = &behind->destination,
		.gateway = &behind->gateway,
		.index = behind->interface,
		.is_ours = true,
	};
	char text[PREFIX_TEXT_MAX];
	int r;

	rtnl_add_route(&batch, RTM_DELROUTE, 0, &route);
	r = rtnl_run_surely(handle, &batch, -ESRCH, "link.behind.remove");
	if (r == 0 || r == -ENODEV)
		return 0;
	return rtnl_failure(error, &batch, r, "remove the host's route to %s",
			    prefix_format(&behind->destination, text));
}
