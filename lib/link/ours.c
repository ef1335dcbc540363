/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which links are ours, whatever they are called by now. Names are looked up first, as each is one
 * short question; what another has made under a name of ours does not have the alias, and what is
 * ours and was renamed has it still: that one is found in a dump, which only that case pays for.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>

#include "link/private.h"

/* ---- by alias ---- */

struct alias_query {
	const char *kind, *alias;
	struct link_info *info;
	bool found;
};

static int take_alias(void *userdata, const struct nlmsghdr *reply)
{
	struct alias_query *query = userdata;
	struct link_info info;

	if (!reply || !link_info_parse(reply, &info) || strcmp(info.kind, query->kind) != 0 ||
	    strcmp(info.alias, query->alias) != 0)
		return 0;
	*query->info = info;
	query->found = true;
	return 0;
}

int link_find_alias(struct link_handle *handle, const char *kind, const char *alias,
		    struct link_info *ret_info, struct error *error)
{
	struct alias_query query = { kind, alias, ret_info, false };
	int r = links_dump_kind(handle, kind, take_alias, &query, error);

	if (r < 0)
		return r;
	return query.found ? 0 : -ENODEV;
}

/* ---- host ends of endpoints ---- */

struct sought {
	const struct link_end *end;
	char alias[ALIAS_MAX];
	bool named, renamed; /* it was found so */
};

/* One that nobody's alias says anything of. */
struct candidate {
	uint32_t index;
	int32_t peer_namespace; /* its number here; -1: this one */
	uint8_t mac[MAC_LEN];
};

struct ends_query {
	struct sought *sought; /* by alias */
	size_t len;
	index_vector *indexes;
	VECTOR(struct candidate) candidates;
};

static int compare_sought(const void *left, const void *right)
{
	const struct sought *a = left, *b = right;

	return strcmp(a->alias, b->alias);
}

/* By alias; NULL without memory. */
static struct sought *sought_new(const struct link_end *ends, size_t len)
{
	struct sought *sought = calloc(len + 1, sizeof(*sought));

	for (size_t i = 0; sought && i < len; i++) {
		sought[i].end = &ends[i];
		link_alias(ends[i].network_id, ends[i].endpoint->id, sought[i].alias);
	}
	if (sought)
		qsort(sought, len, sizeof(*sought), compare_sought);
	return sought;
}

static struct sought *find_sought(const struct ends_query *query, const struct link_info *info)
{
	struct sought key;

	string_copy(key.alias, sizeof(key.alias), info->alias);
	for (size_t i = 0; info->group == LINK_GROUP_NEWBORN && i < query->len; i++)
		if (strcmp(query->sought[i].end->endpoint->host_interface, info->interface.name) ==
		    0)
			return &query->sought[i];
	return bsearch(&key, query->sought, query->len, sizeof(key), compare_sought);
}

/* The answer to a name. */
static int take_named(void *userdata, const struct nlmsghdr *reply)
{
	struct ends_query *query = userdata;
	struct link_info info;
	struct sought *sought;

	if (!link_info_parse(reply, &info))
		return 0;
	sought = find_sought(query, &info);
	if (!sought || sought->named)
		return 0;
	sought->named = true;
	return vector_append(query->indexes, info.interface.index);
}

/* A quick detach may have left another of the same alias to its namespace: each goes. */
static int take_any(void *userdata, const struct nlmsghdr *reply)
{
	struct ends_query *query = userdata;
	struct candidate candidate;
	struct link_info info;
	struct sought *sought;

	if (!reply)
		query->candidates.len = 0;
	if (!reply || !link_info_parse(reply, &info) || strcmp(info.kind, "veth") != 0)
		return 0;
	sought = find_sought(query, &info);
	if (sought && !sought->named) {
		sought->renamed = true;
		return index_add(query->indexes, info.interface.index);
	}
	if (strncmp(info.alias, ALIAS_MARK, strlen(ALIAS_MARK)) == 0)
		return 0;
	candidate = (struct candidate){ info.interface.index, info.peer_namespace, { 0 } };
	memcpy(candidate.mac, info.interface.mac, MAC_LEN);
	return vector_append(&query->candidates, candidate);
}

static int look_up_names(struct link_handle *handle, struct ends_query *query, struct error *error)
{
	for (size_t done = 0; done < query->len;) {
		CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_named, .userdata = query };
		size_t first = done;
		int r;

		for (; done < query->len && batch.len < RTNL_BATCH_MAX && !batch.error; done++) {
			rtnl_add_named(&batch, RTM_GETLINK, 0,
				       query->sought[done].end->endpoint->host_interface);
			rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		}
		/* Links that went meanwhile are no failure. */
		r = rtnl_run_passing(handle, &batch, -ENODEV);
		if (r < 0)
			return rtnl_failure(error, &batch, r,
					    "look up the interface of endpoint %s",
					    query->sought[first].end->endpoint->id);
	}
	return 0;
}

/* ---- by what else is ours ---- */

static int take_number(void *userdata, const struct nlmsghdr *reply)
{
	struct nlattr *number;

	if (reply->nlmsg_type != RTM_NEWNSID)
		return 0;
	number = nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct rtgenmsg), NETNSA_NSID);
	if (number)
		*(int32_t *)userdata = nla_get_s32(number);
	return 0;
}

int namespace_number(struct link_handle *handle, const struct sandbox *sandbox, int32_t *ret_number)
{
	const struct rtgenmsg header = { .rtgen_family = AF_UNSPEC };
	int32_t number = -1;
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_number, .userdata = &number };
	int r;

	rtnl_add(&batch, RTM_GETNSID, 0, &header, sizeof(header));
	rtnl_put_u32(&batch, NETNSA_FD, (uint32_t)sandbox->fd);
	r = rtnl_run(handle, &batch);
	if (r == 0)
		*ret_number = number;
	return r;
}

/* One that has lost its alias too: with the MAC that we gave it, and the other end in the
 * endpoint's namespace. */
static int match_candidates(struct link_handle *handle, const struct ends_query *query,
			    const struct endpoint *endpoint)
{
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	uint8_t mac[MAC_LEN];
	int32_t number = -1;
	int r = 0;

	host_end_mac(endpoint, mac);
	for (size_t i = 0; i < query->candidates.len && r == 0; i++) {
		const struct candidate *candidate = &query->candidates.items[i];

		if (memcmp(candidate->mac, mac, MAC_LEN) != 0 || candidate->peer_namespace < 0)
			continue;
		if (sandbox.fd < 0) {
			if (sandbox_find(endpoint, handle->deadline, &sandbox, NULL) < 0)
				return 0;
			if (namespace_number(handle, &sandbox, &number) < 0)
				return 0;
		}
		if (candidate->peer_namespace == number)
			r = index_add(query->indexes, candidate->index);
	}
	return r;
}

static int look_for_lost(struct link_handle *handle, struct ends_query *query, struct error *error)
{
	size_t named = 0;
	int r;

	for (size_t i = 0; i < query->len; i++)
		named += query->sought[i].named;
	if (named == query->len)
		return 0;
	r = links_dump_kind(handle, "veth", take_any, query, error);
	for (size_t i = 0; i < query->len && r == 0; i++) {
		const struct sought *sought = &query->sought[i];

		if (!sought->named && !sought->renamed)
			r = match_candidates(handle, query, sought->end->endpoint);
	}
	return r;
}

int link_ends_find(struct link_handle *handle, const struct link_end *ends, size_t len,
		   index_vector *indexes, struct error *error)
{
	CLEANUP_FREE struct sought *sought = sought_new(ends, len);
	struct ends_query query = { .sought = sought, .len = len, .indexes = indexes };
	int r;

	if (!sought)
		return error_oom(error);
	r = look_up_names(handle, &query, error);
	if (r == 0)
		r = look_for_lost(handle, &query, error);
	free(query.candidates.items);
	return r == -ENOMEM ? error_oom(error) : r;
}

/* ---- where they are ---- */

struct places_query {
	struct sought *sought; /* by alias */
	size_t len;
	const struct link_end *ends;
	struct link_place *places; /* in the order of the ends */
};

/* Of two with that alias the one that is cut off was left by a quick detach. */
static int take_place(void *userdata, const struct nlmsghdr *reply)
{
	struct places_query *query = userdata;
	struct link_place *place;
	struct link_info info;
	struct sought key, *sought;

	if (!reply || !link_info_parse(reply, &info) || strcmp(info.kind, "veth") != 0)
		return 0;
	string_copy(key.alias, sizeof(key.alias), info.alias);
	sought = bsearch(&key, query->sought, query->len, sizeof(key), compare_sought);
	if (!sought)
		return 0;
	place = &query->places[sought->end - query->ends];
	if (!place->is_there || info.bridge)
		*place = (struct link_place){ true, info.interface.flags & IFF_UP, info.bridge };
	return 0;
}

int link_places_get(struct link_handle *handle, const struct link_end *ends, size_t len,
		    struct link_place *places, struct error *error)
{
	CLEANUP_FREE struct sought *sought = sought_new(ends, len);
	struct places_query query = { sought, len, ends, places };

	if (!sought)
		return error_oom(error);
	memset(places, 0, len * sizeof(*places));
	return links_dump_kind(handle, "veth", take_place, &query, error);
}

int link_endpoint_is_there(struct link_handle *handle, const struct link_end *end,
			   struct error *error)
{
	CLEANUP_VECTOR index_vector indexes = { 0 };
	int r = link_ends_find(handle, end, 1, &indexes, error);

	return r < 0 ? r : indexes.len > 0;
}
