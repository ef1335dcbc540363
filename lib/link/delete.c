/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deleting many links in the time of one. */
#include <errno.h>
#include <sys/random.h>

#include "link/private.h"

typedef VECTOR(uint32_t) index_vector;

static bool link_is_ours(struct nlmsghdr *reply)
{
	struct nlattr *alias, *group;

	group = nlmsg_find_attr(reply, sizeof(struct ifinfomsg), IFLA_GROUP);
	if (group && nla_get_u32(group) == LINK_GROUP_NEWBORN)
		return true;
	alias = nlmsg_find_attr(reply, sizeof(struct ifinfomsg), IFLA_IFALIAS);
	return alias && nla_len(alias) >= (int)strlen(ALIAS_MARK) &&
	       memcmp(nla_data(alias), ALIAS_MARK, strlen(ALIAS_MARK)) == 0;
}

static int take_ours(void *userdata, const struct nlmsghdr *reply)
{
	index_vector *indexes = userdata;
	const struct ifinfomsg *link = nlmsg_data(reply);

	if (reply->nlmsg_type != RTM_NEWLINK || !link_is_ours((struct nlmsghdr *)reply))
		return 0;
	return vector_append(indexes, (uint32_t)link->ifi_index);
}

static int find_ours(struct link_handle *handle, const char *const *names, size_t len,
		     index_vector *indexes, struct error *error)
{
	while (len > 0) {
		CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_ours, .userdata = indexes };
		size_t some = len < RTNL_BATCH_MAX ? len : RTNL_BATCH_MAX;
		int r;

		for (size_t i = 0; i < some; i++) {
			rtnl_add_named(&batch, RTM_GETLINK, 0, names[i]);
			rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		}
		/* Links that went meanwhile are no failure. */
		r = rtnl_run_passing(handle, &batch, -ENODEV);
		if (r < 0)
			return rtnl_failure(error, &batch, r, "look up interface %s",
					    names[batch.failed < some ? batch.failed : 0]);
		names += some;
		len -= some;
	}
	return 0;
}

static int set_group(struct link_handle *handle, const index_vector *indexes, uint32_t group)
{
	for (size_t done = 0; done < indexes->len;) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };
		int r;

		for (; done < indexes->len && batch.len < RTNL_BATCH_MAX && !batch.error; done++) {
			rtnl_add_link(&batch, RTM_SETLINK, 0, indexes->items[done]);
			rtnl_put_u32(&batch, IFLA_GROUP, group);
		}
		r = rtnl_run_surely(handle, &batch, -ENODEV, "link.delete.group");
		if (r < 0)
			return r;
	}
	return 0;
}

/* Each request to delete waits some 20 ms for the whole system to let go of what it deletes, so
 * all go in one, which names a group that only they are in. */
static int delete_indexes(struct link_handle *handle, const index_vector *indexes)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	uint32_t group = 0;
	int r = 0;

	if (indexes->len > 1) {
		if (getrandom(&group, sizeof(group), 0) != sizeof(group))
			return -errno;
		/* Where the value is shown as signed, keep it positive; 0 is everyone's. */
		group = (group & 0x7fffffffu) | 0x40000000u;
		r = set_group(handle, indexes, group);
		if (r < 0)
			return r;
	}
	rtnl_add_link(&batch, RTM_DELLINK, 0, group ? 0 : indexes->items[0]);
	if (group)
		rtnl_put_u32(&batch, IFLA_GROUP, group);
	return rtnl_run_surely(handle, &batch, -ENODEV, "link.delete");
}

/* What the kernel is at it does not break off, so what is begun goes on past the call's end. */
static int delete_to_the_end(struct link_handle *handle, const index_vector *indexes)
{
	const struct deadline *deadline = handle->deadline;
	int r;

	handle->deadline = NULL;
	r = delete_indexes(handle, indexes);
	handle->deadline = deadline;
	return r;
}

int link_endpoints_delete(struct link_handle *handle, const char *const *host_interfaces,
			  size_t len, struct error *error)
{
	CLEANUP_VECTOR index_vector indexes = { 0 };
	int r = find_ours(handle, host_interfaces, len, &indexes, error);

	if (r < 0 || !indexes.len)
		return r;
	r = delete_to_the_end(handle, &indexes);
	if (r < 0)
		rtnl_failure(error, NULL, r, "delete the %zu interfaces %s%s", indexes.len,
			     host_interfaces[0], len > 1 ? ", ..." : "");
	return r;
}

int link_endpoint_delete_owned(struct link_handle *handle, const char *host_interface,
			       const char *alias, struct error *error)
{
	struct link_info info;
	index_vector indexes = { .items = &info.interface.index, .len = 1 };
	int r = link_info_get(handle, host_interface, NULL, &info, error);

	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	if (strcmp(info.alias, alias) != 0 && info.group != LINK_GROUP_NEWBORN)
		return 0;
	r = delete_to_the_end(handle, &indexes);
	return r < 0 ? rtnl_failure(error, NULL, r, "delete interface %s", host_interface) : 1;
}
