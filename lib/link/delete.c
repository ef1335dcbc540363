/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deleting many links in the time of one, and that beside the caller; and cutting them off. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/netlink.h"
#include "base/thread.h"
#include "link/private.h"

#define DELETIONS_MAX 16 /* of a handle at once */

/* ---- beside the caller ---- */

/*
 * In less than a millisecond the kernel has shut a link, taken it out of all lists and waited for
 * the packets that had met it; then it lets go of the lock that all of rtnetlink waits for, and
 * waits some 16 ms for whoever may still remember the device. By then the link has nothing to do
 * with anybody, and what is left of it ends though the process dies. So a thread waits for that,
 * and the call goes on.
 */
enum outcome { RUNNING, DELETED, REFUSED };

struct deletion {
	struct deletion *next;
	pthread_t id;
	int fd;
	atomic_int outcome;
	union {
		struct nlmsghdr header;
		char bytes[64];
	} request;
};

/* There is an answer only to what is refused. */
static void *delete_links(void *argument)
{
	struct deletion *deletion = argument;
	const struct nlmsghdr *request = &deletion->request.header;
	char answer;
	bool deleted = send(deletion->fd, request, request->nlmsg_len, 0) >= 0 &&
		       recv(deletion->fd, &answer, sizeof(answer), 0) < 0;

	deletion->outcome = deleted ? DELETED : REFUSED;
	return NULL;
}

static void end_oldest(struct link_handle *handle)
{
	struct deletion *oldest = handle->deletions;

	pthread_join(oldest->id, NULL);
	handle->deletions = oldest->next;
	close(oldest->fd);
	free(oldest);
}

void link_deletions_await(struct link_handle *handle)
{
	while (handle->deletions)
		end_oldest(handle);
}

void deletions_forget(struct link_handle *handle)
{
	while (handle->deletions) {
		struct deletion *deletion = handle->deletions;

		handle->deletions = deletion->next;
		close(deletion->fd);
		free(deletion);
	}
}

/* Where the next one has its place. */
static struct deletion **make_room(struct link_handle *handle)
{
	struct deletion **end = &handle->deletions;
	size_t len = 0;

	while (handle->deletions && handle->deletions->outcome != RUNNING)
		end_oldest(handle);
	for (; *end; end = &(*end)->next)
		len++;
	if (len < DELETIONS_MAX)
		return end;
	end_oldest(handle);
	return make_room(handle);
}

/* NULL where there is no room for a thread. */
static struct deletion *deletion_start(struct link_handle *handle, const struct nlmsghdr *request)
{
	struct deletion **place = make_room(handle);
	struct deletion *deletion = calloc(1, sizeof(*deletion));

	if (!deletion)
		return NULL;
	memcpy(&deletion->request, request, request->nlmsg_len);
	deletion->request.header.nlmsg_flags = NLM_F_REQUEST;
	deletion->fd = netlink_open(NETLINK_ROUTE);
	if (deletion->fd >= 0 && FAULT("link.delete.thread") == 0 &&
	    thread_start(delete_links, deletion, &deletion->id) == 0) {
		*place = deletion;
		return deletion;
	}
	cleanup_close(&deletion->fd);
	free(deletion);
	return NULL;
}

/* Asked without a lock. */
static bool is_listed(const struct deletion *deletion, uint32_t index)
{
	struct ifreq request = { .ifr_ifindex = (int)index };

	return ioctl(deletion->fd, SIOCGIFNAME, &request) == 0;
}

/* Whoever is given the lock comes after all that was done under it. By then the index may be that
 * of somebody else's link, which this does nothing to. */
static bool is_out_of_sight(struct link_handle *handle, uint32_t index)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r;

	rtnl_add_link(&batch, RTM_SETLINK, 0, index);
	r = rtnl_run(handle, &batch);
	return r == 0 || r == -ENODEV;
}

/* False: some may be there still. */
static bool delete_beside(struct link_handle *handle, const struct nlmsghdr *request,
			  const index_vector *indexes)
{
	const struct deletion *deletion = deletion_start(handle, request);
	unsigned int attempt = 0;
	size_t gone = 0;

	/* all of them: one may have gone by another's hand before the request */
	while (deletion && gone < indexes->len) {
		int outcome = deletion->outcome;

		if (outcome == DELETED || !is_listed(deletion, indexes->items[gone]))
			gone++;
		else if (outcome == REFUSED)
			return false;
		else
			deadline_pause(NULL, attempt++);
	}
	return deletion && is_out_of_sight(handle, indexes->items[0]);
}

/* What the kernel is at it does not break off, so what is begun goes on past the call's end. */
int links_delete(struct link_handle *handle, struct rtnl_batch *batch, const index_vector *indexes,
		 const char *step)
{
	const struct deadline *deadline = handle->deadline;
	int r = batch->error ? batch->error : FAULT(step);

	if (r == 0)
		r = deadline_check(deadline);
	if (r < 0)
		return r;
	handle->deadline = NULL;
	if (!delete_beside(handle, nlmsg_hdr(batch->messages[0]), indexes))
		r = rtnl_run_surely(handle, batch, -ENODEV, "link.delete.here");
	handle->deadline = deadline;
	return r;
}

/* ---- many at once ---- */

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
	return links_delete(handle, &batch, indexes, "link.delete");
}

/* So do the groups. */
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

	if (r == 0)
		r = detours_find(handle, ends, len, &indexes, error);
	if (r < 0 || !indexes.len)
		return r;
	r = delete_to_the_end(handle, &indexes);
	if (r < 0)
		rtnl_failure(error, NULL, r, "delete the %zu interfaces %s%s", indexes.len,
			     ends[0].endpoint->host_interface, len > 1 ? ", ..." : "");
	return r;
}

/* Nothing else would take them away: they are not of the namespace that dies. */
static int delete_detours(struct link_handle *handle, const struct link_end *ends, size_t len,
			  struct error *error)
{
	CLEANUP_VECTOR index_vector indexes = { 0 };
	int r = detours_find(handle, ends, len, &indexes, error);

	if (r < 0 || !indexes.len)
		return r;
	r = delete_to_the_end(handle, &indexes);
	return r < 0 ? rtnl_failure(error, NULL, r,
				    "delete the interface of rate-out of endpoint %s",
				    ends[0].endpoint->id) :
		       0;
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
	return r < 0 ? r : delete_detours(handle, ends, len, error);
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
