/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The MTU of what stands. A veth pair drops what is longer than the end that it comes out at takes,
 * and says so to nobody. */
#include <errno.h>

#include "base/fault.h"
#include "link/private.h"

/* Of interfaces of the host; those that have gone meanwhile are passed over. */
static int set_host_ends(struct link_handle *handle, const index_vector *indexes, uint32_t mtu,
			 struct error *error)
{
	int r = 0;

	for (size_t done = 0; done < indexes->len && r == 0;) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };

		for (; done < indexes->len && batch.len < RTNL_BATCH_MAX; done++) {
			rtnl_add_link(&batch, RTM_NEWLINK, 0, indexes->items[done]);
			rtnl_put_u32(&batch, IFLA_MTU, mtu);
		}
		r = rtnl_run_surely(handle, &batch, -ENODEV, "link.mtu.host");
		if (r < 0)
			rtnl_failure(error, &batch, r,
				     "set the MTU %u of the interfaces of endpoints", mtu);
	}
	return r;
}

static int put_inside(struct link_handle *inside, const struct endpoint *endpoint, uint32_t mtu,
		      struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r;

	rtnl_add_named(&batch, RTM_NEWLINK, 0, endpoint->interface);
	rtnl_put_u32(&batch, IFLA_MTU, mtu);
	r = rtnl_run_passing(inside, &batch, -ENODEV);
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "set the MTU %u of interface %s of endpoint %s", mtu,
			    endpoint->interface, endpoint->id);
}

/* One whose namespace is gone has no other end. */
static int set_inside(struct link_handle *handle, const struct endpoint *endpoint, uint32_t mtu,
		      struct error *error)
{
	CLEANUP_RTNL struct link_handle inside = { .fd = -1 };
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	int r = FAULT("link.mtu.sandbox");

	if (r == 0)
		r = sandbox_reopen(endpoint, &sandbox, error);
	if (r == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (r < 0)
		return r;
	r = -ENOBUFS;
	/* As for link_sources_sync(). */
	for (int i = 0; i < OUTCOME_LOOKS && r < 0 && inside.fd < 0; i++) {
		error_clear(error);
		r = sandbox_link_open(&sandbox, handle->deadline, &inside, error);
		if (r < 0)
			return r;
		r = put_inside(&inside, endpoint, mtu, error);
	}
	return r;
}

int link_endpoints_set_mtu(struct link_handle *handle, const struct link_end *ends, size_t len,
			   uint32_t mtu, bool grows, struct error *error)
{
	CLEANUP_VECTOR index_vector indexes = { 0 };
	int r = link_ends_find(handle, ends, len, &indexes, error);

	if (r < 0 || !indexes.len)
		return r < 0 ? r : 0;
	if (grows)
		r = set_host_ends(handle, &indexes, mtu, error);
	for (size_t i = 0; i < len && r == 0; i++)
		r = set_inside(handle, ends[i].endpoint, mtu, error);
	return r < 0 || grows ? r : set_host_ends(handle, &indexes, mtu, error);
}
