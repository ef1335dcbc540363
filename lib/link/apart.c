/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the bridge itself keeps an endpoint from, on the port that its host end is: frames between
 * isolated ports, and those that a locked port sends with another MAC than its own.
 */
#include <errno.h>
#include <netinet/in.h> /* before the kernel's headers */

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>

#include "base/netlink.h"
#include "link/private.h"

/* Headers before 5.3 and 5.18 lack them. */
#define FLAG_STICKY 0x40
#define PORT_ISOLATED 33
#define PORT_LOCKED 39

/* An endpoint that asks for the port it publishes itself is answered by way of the port it came by.
 * Under br_netfilter the bridge does that by itself, which it refuses but in this mode, and the
 * module may come at any time. The kernel ignores all of it at the creation of the link. */
void apart_put(struct rtnl_batch *batch, const struct link_apart *apart, bool fresh)
{
	struct nlattr *info = rtnl_nest(batch, IFLA_LINKINFO), *data;

	rtnl_put_string(batch, IFLA_INFO_SLAVE_KIND, "bridge");
	data = rtnl_nest(batch, IFLA_INFO_SLAVE_DATA);
	rtnl_put_u8(batch, IFLA_BRPORT_MODE, 1);
	if (apart->isolated || !fresh)
		rtnl_put_u8(batch, PORT_ISOLATED, apart->isolated);
	if (apart->locked || !fresh) {
		rtnl_put_u8(batch, PORT_LOCKED, apart->locked);
		/* whoever is known needs not be learned */
		rtnl_put_u8(batch, IFLA_BRPORT_LEARNING, !apart->locked);
	}
	/* what was learned passes a lock that comes after it */
	if (apart->locked && !fresh)
		rtnl_put(batch, IFLA_BRPORT_FLUSH, NULL, 0);
	rtnl_nest_end(batch, data);
	rtnl_nest_end(batch, info);
}

/* A static entry would still move to a port that sends with its MAC, and is not locked. */
void apart_add_mac(struct rtnl_batch *batch, int type, uint32_t index,
		   const uint8_t mac[static MAC_LEN])
{
	const struct ndmsg header = {
		.ndm_family = AF_BRIDGE,
		.ndm_ifindex = (int)index,
		.ndm_state = NUD_NOARP,
		.ndm_flags = NTF_MASTER | FLAG_STICKY,
	};

	rtnl_add(batch, type, type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0, &header,
		 sizeof(header));
	rtnl_put(batch, NDA_LLADDR, mac, MAC_LEN);
}

static bool has_flag(const struct nlattr *data, int type)
{
	const struct nlattr *flag = nla_find(nla_data(data), nla_len(data), type);

	return flag && netlink_fits(flag, '1') && nla_get_u8(flag);
}

bool apart_parse(const struct nlmsghdr *reply, struct link_apart *ret_apart, bool *ret_hairpin)
{
	const struct nlattr *info, *data = NULL;

	if (reply->nlmsg_type != RTM_NEWLINK)
		return false;
	info = nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), IFLA_LINKINFO);
	if (info)
		data = nla_find(nla_data(info), nla_len(info), IFLA_INFO_SLAVE_DATA);
	if (!data)
		return false;
	*ret_apart =
		(struct link_apart){ has_flag(data, PORT_ISOLATED), has_flag(data, PORT_LOCKED) };
	*ret_hairpin = has_flag(data, IFLA_BRPORT_MODE);
	return true;
}

static int take_port(void *userdata, const struct nlmsghdr *reply)
{
	bool hairpin;

	apart_parse(reply, userdata, &hairpin);
	return 0;
}

int apart_check(struct link_handle *handle, const struct endpoint *endpoint, uint32_t index,
		const struct link_apart *apart, struct error *error)
{
	struct link_apart found = { 0 };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_port, .userdata = &found };
	int r;

	if (!apart->isolated && !apart->locked)
		return 0;
	rtnl_add_link(&batch, RTM_GETLINK, 0, index);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = FAULT("link.apart.check");
	if (r == 0)
		r = rtnl_run(handle, &batch);
	if (r < 0 && r != -EOPNOTSUPP)
		return rtnl_failure(error, &batch, r, "look up interface %s of endpoint %s",
				    endpoint->host_interface, endpoint->id);
	if (r == 0 && found.isolated >= apart->isolated && found.locked >= apart->locked)
		return 0;
	return error_set(
		error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
		"%s of endpoint %s needs a bridge with %s ports, which this kernel has not "
		"got; leave the option out",
		apart->locked ? "anti-spoof" : "icc=no", endpoint->id,
		apart->locked ? "locked" : "isolated");
}

/* What a port was told before is gone when it is told anew, but for the entry of its MAC, which is
 * first there and last to go: a locked port without one is mute. */
int link_apart_set(struct link_handle *handle, const struct link_end *end,
		   const struct link_apart *apart, struct error *error)
{
	const struct endpoint *endpoint = end->endpoint;
	CLEANUP_VECTOR index_vector indexes = { 0 };
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r = link_ends_find(handle, end, 1, &indexes, error);

	if (r < 0 || !indexes.len)
		return r;
	if (apart->locked)
		apart_add_mac(&batch, RTM_NEWNEIGH, indexes.items[0], endpoint->mac);
	rtnl_add_link(&batch, RTM_NEWLINK, 0, indexes.items[0]);
	apart_put(&batch, apart, false);
	if (!apart->locked)
		apart_add_mac(&batch, RTM_DELNEIGH, indexes.items[0], endpoint->mac);
	r = rtnl_run_surely(handle, &batch, -ENOENT, "link.apart.set");
	if (r < 0)
		return rtnl_failure(error, &batch, r, "set port %s of endpoint %s",
				    endpoint->host_interface, endpoint->id);
	return apart_check(handle, endpoint, indexes.items[0], apart, error);
}
