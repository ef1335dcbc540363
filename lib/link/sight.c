/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host ends of endpoints as they are, whatever they are called. One or a few are asked for by
 * name; of many all links are listed once, which tells them by alias. What has lost both is known
 * by the MAC that we gave it, and by the namespace that its other end is in.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "link/private.h"

#define FEW 8 /* up to so many, questions by name are cheaper than a list of everything */

struct hunt {
	struct link_sight *sight;
	char alias[ALIAS_MAX];
	uint8_t mac[MAC_LEN];
};

/* One of the MAC of an endpoint, whose alias says nothing. */
struct candidate {
	struct hunt *hunt;
	struct link_sight sight;
};

struct hunters {
	struct hunt *hunts; /* by alias */
	struct hunt **by_mac;
	size_t len;
	VECTOR(struct candidate) candidates;
};

static int compare_aliases(const void *left, const void *right)
{
	const struct hunt *a = left, *b = right;

	return strcmp(a->alias, b->alias);
}

static int compare_macs(const void *left, const void *right)
{
	const struct hunt *const *a = left, *const *b = right;

	return memcmp((*a)->mac, (*b)->mac, MAC_LEN);
}

static void hunters_clear(struct hunters *hunters)
{
	free(hunters->hunts);
	free(hunters->by_mac);
	free(hunters->candidates.items);
}

static int hunters_make(struct hunters *hunters, struct link_sight *sights, size_t len)
{
	hunters->hunts = calloc(len + 1, sizeof(*hunters->hunts));
	hunters->by_mac = calloc(len + 1, sizeof(*hunters->by_mac));
	hunters->len = len;
	if (!hunters->hunts || !hunters->by_mac)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		struct hunt *hunt = &hunters->hunts[i];

		hunt->sight = &sights[i];
		link_alias(sights[i].end.network_id, sights[i].end.endpoint->id, hunt->alias);
		host_end_mac(sights[i].end.endpoint, hunt->mac);
	}
	qsort(hunters->hunts, len, sizeof(*hunters->hunts), compare_aliases);
	for (size_t i = 0; i < len; i++)
		hunters->by_mac[i] = &hunters->hunts[i];
	qsort(hunters->by_mac, len, sizeof(*hunters->by_mac), compare_macs);
	return 0;
}

/* ---- what is found ---- */

static void fill(struct link_sight *sight, const struct link_info *info,
		 const struct nlmsghdr *reply)
{
	struct nlattr *peer =
		nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), IFLA_LINK);

	*sight = (struct link_sight){
		.end = sight->end,
		.index = info->interface.index,
		.flags = info->interface.flags,
		.mtu = info->interface.mtu,
		.bridge = info->bridge,
		.peer = peer ? nla_get_u32(peer) : 0,
		.peer_namespace = info->peer_namespace,
	};
	string_copy(sight->name, sizeof(sight->name), info->interface.name);
	string_copy(sight->alias, sizeof(sight->alias), info->alias);
	apart_parse(reply, &sight->apart, &sight->hairpin);
}

/* A quick detach may have left another of the same alias to its namespace, which is cut off. */
static bool is_better(const struct link_sight *sight, const struct link_info *info)
{
	bool is_named = strcmp(info->interface.name, sight->end.endpoint->host_interface) == 0;
	bool was_named = strcmp(sight->name, sight->end.endpoint->host_interface) == 0;

	if (!sight->index || !sight->bridge != !info->bridge)
		return !sight->index || info->bridge;
	return is_named && !was_named;
}

static int add_candidates(struct hunters *hunters, const struct link_info *info,
			  const struct nlmsghdr *reply)
{
	size_t first = 0, end = hunters->len;

	while (first < end) {
		size_t middle = (first + end) / 2;

		if (memcmp(hunters->by_mac[middle]->mac, info->interface.mac, MAC_LEN) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	for (; first < hunters->len; first++) {
		struct candidate candidate = { .hunt = hunters->by_mac[first] };

		if (memcmp(candidate.hunt->mac, info->interface.mac, MAC_LEN) != 0)
			break;
		candidate.sight.end = candidate.hunt->sight->end;
		fill(&candidate.sight, info, reply);
		if (vector_append(&hunters->candidates, candidate) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take_end(void *userdata, const struct nlmsghdr *reply)
{
	struct hunters *hunters = userdata;
	struct link_info info;
	struct hunt key, *hunt;

	for (size_t i = 0; !reply && i < hunters->len; i++)
		hunters->hunts[i].sight->index = 0;
	if (!reply)
		hunters->candidates.len = 0;
	if (!reply || !link_info_parse(reply, &info) || strcmp(info.kind, "veth") != 0)
		return 0;
	string_copy(key.alias, sizeof(key.alias), info.alias);
	hunt = bsearch(&key, hunters->hunts, hunters->len, sizeof(key), compare_aliases);
	if (hunt && is_better(hunt->sight, &info))
		fill(hunt->sight, &info, reply);
	if (hunt || strncmp(info.alias, ALIAS_MARK, strlen(ALIAS_MARK)) == 0)
		return 0;
	return add_candidates(hunters, &info, reply);
}

static int ask_by_name(struct link_handle *handle, struct hunters *hunters)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_end, .userdata = hunters };

	for (size_t i = 0; i < hunters->len; i++) {
		rtnl_add_named(&batch, RTM_GETLINK, 0,
			       hunters->hunts[i].sight->end.endpoint->host_interface);
		rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	}
	return rtnl_run_passing(handle, &batch, -ENODEV);
}

static int match_candidates(struct link_handle *handle, const struct hunters *hunters)
{
	for (size_t i = 0; i < hunters->candidates.len; i++) {
		const struct candidate *candidate = &hunters->candidates.items[i];
		CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
		struct link_sight *sight = candidate->hunt->sight;
		int32_t number;

		if (sight->index || candidate->sight.peer_namespace < 0 ||
		    sandbox_find(sight->end.endpoint, handle->deadline, &sandbox, NULL) < 0)
			continue;
		if (namespace_number(handle, &sandbox, &number) == 0 &&
		    number == candidate->sight.peer_namespace)
			*sight = candidate->sight;
	}
	return deadline_check(handle->deadline);
}

static bool all_found(const struct hunters *hunters)
{
	for (size_t i = 0; i < hunters->len; i++)
		if (!hunters->hunts[i].sight->index)
			return false;
	return true;
}

static int hunt(struct link_handle *handle, struct hunters *hunters, struct error *error)
{
	int r = 0;

	if (hunters->len <= FEW) {
		r = ask_by_name(handle, hunters);
		if (r == 0)
			r = match_candidates(handle, hunters);
		if (r < 0)
			return rtnl_failure(error, NULL, r, "look up the interfaces of endpoints");
		if (all_found(hunters))
			return 0;
	}
	r = links_dump_kind(handle, "veth", take_end, hunters, error);
	return r < 0 ? r : match_candidates(handle, hunters);
}

bool link_name(struct link_handle *handle, uint32_t index, char ret_name[static IFNAMSIZ])
{
	struct ifreq request = { .ifr_ifindex = (int)index };

	ret_name[0] = '\0';
	if (!index || ioctl(handle->fd, SIOCGIFNAME, &request) < 0)
		return false;
	memcpy(ret_name, request.ifr_name, IFNAMSIZ);
	return true;
}

/* ---- a locked port ---- */

static int take_entry(void *userdata, const struct nlmsghdr *reply)
{
	const struct ndmsg *entry = nlmsg_data(reply);

	if (reply->nlmsg_type == RTM_NEWNEIGH)
		*(uint32_t *)userdata = (uint32_t)entry->ndm_ifindex;
	return 0;
}

/* Before Linux 5.0 one entry can't be asked for. */
static bool lacks_mac(struct link_handle *handle, const struct link_sight *sight)
{
	const struct ndmsg header = {
		.ndm_family = AF_BRIDGE,
		.ndm_ifindex = (int)sight->index,
		.ndm_flags = NTF_MASTER,
	};
	uint32_t port = 0;
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_entry, .userdata = &port };
	int r;

	rtnl_add(&batch, RTM_GETNEIGH, 0, &header, sizeof(header));
	rtnl_put(&batch, NDA_LLADDR, sight->end.endpoint->mac, MAC_LEN);
	r = rtnl_run(handle, &batch);
	return r == -ENOENT || (r == 0 && port != sight->index);
}

/* ---- rates ---- */

/* The kernel refuses the handle of another discipline than that which is there, and who has not
 * asked for an echo has no answer. */
static void ask_for_discipline(struct rtnl_batch *batch, uint32_t index, uint32_t parent,
			       uint32_t number)
{
	const struct tcmsg header = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)index,
		.tcm_parent = parent,
		.tcm_handle = number,
	};

	rtnl_add(batch, RTM_GETQDISC, NLM_F_ECHO, &header, sizeof(header));
}

static bool has_discipline(struct link_handle *handle, uint32_t index, uint32_t parent,
			   uint32_t number)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r;

	ask_for_discipline(&batch, index, parent, number);
	r = rtnl_run(handle, &batch);
	return r != -ENOENT && r != -EINVAL;
}

static void look_at_rates(struct link_handle *handle, struct link_sight *sight)
{
	const struct endpoint *endpoint = sight->end.endpoint;
	char name[IFNAMSIZ];
	uint32_t detour;

	if (!sight->index)
		return;
	if (endpoint->policy.rate_in)
		sight->unlimited_in = !has_discipline(handle, sight->index, TC_H_ROOT, SHAPE_ROOT);
	if (!endpoint->policy.rate_out)
		return;
	detour_name(endpoint->host_interface, name);
	detour = link_index(handle, name);
	sight->unlimited_out = !detour || !has_discipline(handle, detour, TC_H_ROOT, SHAPE_ROOT) ||
			       !has_discipline(handle, sight->index, TC_H_INGRESS, SHAPE_INGRESS);
}

int link_sights_get(struct link_handle *handle, struct link_sight *sights, size_t len,
		    struct error *error)
{
	CLEANUP(hunters_clear) struct hunters hunters = { 0 };
	int r;

	for (size_t i = 0; i < len; i++)
		sights[i] = (struct link_sight){ .end = sights[i].end };
	r = len ? hunters_make(&hunters, sights, len) : 0;
	if (r == 0 && len)
		r = hunt(handle, &hunters, error);
	if (r == -ENOMEM)
		return error_oom(error);
	for (size_t i = 0; i < len && r == 0; i++) {
		const char *name = sights[i].end.endpoint->host_interface;

		look_at_rates(handle, &sights[i]);
		sights[i].lacks_mac = sights[i].index && sights[i].apart.locked &&
				      lacks_mac(handle, &sights[i]);
		if (!sights[i].index || strcmp(sights[i].name, name) != 0)
			sights[i].is_taken = link_is_known(handle, name);
	}
	return r;
}
