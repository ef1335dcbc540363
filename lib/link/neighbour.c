/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host believes of its neighbours: which MAC has an address. */
#include <errno.h>
#include <linux/neighbour.h>

#include "link/private.h"

struct neighbours {
	const struct endpoint *endpoint;
	uint32_t bridge;
	struct rtnl_batch replace;
};

static void add_neighbour(struct rtnl_batch *batch, int type, int flags, uint32_t bridge,
			  const struct addr *addr, uint16_t state)
{
	struct ndmsg header = {
		.ndm_family = (uint8_t)addr->family,
		.ndm_ifindex = (int)bridge,
		.ndm_state = state,
	};

	rtnl_add(batch, type, flags, &header, sizeof(header));
	rtnl_put(batch, NDA_DST, addr->bytes, addr_size(addr->family));
}

/* An entry without a MAC is of a packet that waits for one: it need not wait longer. What is
 * permanent, or learned by a program that tells the kernel, is somebody else's. */
static int take_neighbour(void *userdata, const struct nlmsghdr *reply)
{
	struct neighbours *neighbours = userdata;
	const struct endpoint *endpoint = neighbours->endpoint;
	const struct ndmsg *entry = nlmsg_data(reply);
	struct nlattr *attrs[NDA_MAX + 1];
	struct addr address = { .family = entry->ndm_family };

	if (reply->nlmsg_type != RTM_NEWNEIGH ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*entry), attrs, NDA_MAX, NULL) < 0 ||
	    !attrs[NDA_DST] || nla_len(attrs[NDA_DST]) != (int)addr_size(address.family))
		return 0;
	memcpy(address.bytes, nla_data(attrs[NDA_DST]), addr_size(address.family));
	if (entry->ndm_state & (NUD_PERMANENT | NUD_NOARP) || entry->ndm_flags & NTF_EXT_LEARNED)
		return 0;
	if (attrs[NDA_LLADDR] && nla_len(attrs[NDA_LLADDR]) == MAC_LEN &&
	    memcmp(nla_data(attrs[NDA_LLADDR]), endpoint->mac, MAC_LEN) == 0)
		return 0;
	/* not created, should it go meanwhile; used at once, and looked after later */
	add_neighbour(&neighbours->replace, RTM_NEWNEIGH, NLM_F_REPLACE, neighbours->bridge,
		      &address, NUD_STALE);
	rtnl_put(&neighbours->replace, NDA_LLADDR, endpoint->mac, MAC_LEN);
	return 0;
}

static int replace(struct link_handle *handle, struct neighbours *neighbours, struct error *error)
{
	struct rtnl_batch *batch = &neighbours->replace;
	char mac[MAC_TEXT_MAX];
	int r;

	if (!batch->len && !batch->error)
		return 0;
	r = rtnl_run_surely(handle, batch, -ENOENT, "link.neighbour.replace");
	if (r == 0)
		return 0;
	return rtnl_failure(error, batch, r, "tell the host that endpoint %s has MAC address %s",
			    neighbours->endpoint->id, mac_format(neighbours->endpoint->mac, mac));
}

int link_neighbour_replace(struct link_handle *handle, uint32_t bridge,
			   const struct endpoint *endpoint, struct error *error)
{
	struct neighbours neighbours = { .endpoint = endpoint, .bridge = bridge };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_neighbour,
						  .userdata = &neighbours };
	int r;

	for_each_family(family)
		for_each_address(address, endpoint, family)
			add_neighbour(&batch, RTM_GETNEIGH, 0, bridge, &address->addr, NUD_NONE);
	r = rtnl_run_passing(handle, &batch, -ENOENT);
	/* Before Linux 5.0 one entry can't be asked for; the host learns by the advertisement. */
	if (r < 0 && r != -EOPNOTSUPP)
		r = rtnl_failure(error, &batch, r, "look up endpoint %s among the neighbours",
				 endpoint->id);
	else
		r = replace(handle, &neighbours, error);
	rtnl_batch_clear(&neighbours.replace);
	return r;
}
