/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deleting many links in the time of one, and cutting them off. */
#include <errno.h>
#include <sys/random.h>

#include "link/private.h"

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

int link_endpoints_delete(struct link_handle *handle, const struct link_end *ends, size_t len,
			  struct error *error)
{
	CLEANUP_VECTOR index_vector indexes = { 0 };
	int r = link_ends_find(handle, ends, len, &indexes, error);

	if (r < 0 || !indexes.len)
		return r;
	r = delete_to_the_end(handle, &indexes);
	if (r < 0)
		rtnl_failure(error, NULL, r, "delete the %zu interfaces %s%s", indexes.len,
			     ends[0].endpoint->host_interface, len > 1 ? ", ..." : "");
	return r;
}

int link_endpoints_cut(struct link_handle *handle, const struct link_end *ends, size_t len,
		       struct error *error)
{
	CLEANUP_VECTOR index_vector indexes = { 0 };
	int r = link_ends_find(handle, ends, len, &indexes, error);

	for (size_t done = 0; done < indexes.len && r == 0;) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };

		for (; done < indexes.len && batch.len < RTNL_BATCH_MAX && !batch.error; done++) {
			rtnl_add_link(&batch, RTM_NEWLINK, 0, indexes.items[done]);
			rtnl_put_u32(&batch, IFLA_MASTER, 0);
			rtnl_put_flags(&batch, 0, IFF_UP);
		}
		r = rtnl_run_surely(handle, &batch, -ENODEV, "link.endpoint.cut");
		if (r < 0)
			rtnl_failure(error, &batch, r, "cut interface %s%s off its bridge",
				     ends[0].endpoint->host_interface, len > 1 ? ", ..." : "");
	}
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
