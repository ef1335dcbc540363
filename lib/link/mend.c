/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody has changed of the host end of an endpoint is put back, and nothing else. */
#include <errno.h>
#include <linux/if_link.h>

#include "link/private.h"

/* Before Linux 6.2 an interface that is up can't be renamed. */
static int rename_end(struct link_handle *handle, const struct link_sight *sight, bool down)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };

	rtnl_add_link(&batch, RTM_NEWLINK, 0, sight->index);
	if (down)
		rtnl_put_flags(&batch, 0, IFF_UP);
	rtnl_add_link(&batch, RTM_NEWLINK, 0, sight->index);
	rtnl_put_string(&batch, IFLA_IFNAME, sight->end.endpoint->host_interface);
	return rtnl_run_surely(handle, &batch, 0, "link.mend.name");
}

static int give_name(struct link_handle *handle, const struct link_sight *sight, bool *ret_down,
		     struct error *error)
{
	const struct endpoint *endpoint = sight->end.endpoint;
	int r;

	if (strcmp(sight->name, endpoint->host_interface) == 0)
		return 0;
	if (sight->is_taken)
		return error_set(error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
				 "the interface of endpoint %s is called %s now, and another has "
				 "its name %s; rename or delete that one",
				 endpoint->id, sight->name, endpoint->host_interface);
	r = rename_end(handle, sight, false);
	*ret_down = r == -EBUSY;
	if (r == -EBUSY)
		r = rename_end(handle, sight, true);
	return r < 0 ? rtnl_failure(error, NULL, r, "rename interface %s of endpoint %s",
				    sight->name, endpoint->id) :
		       0;
}

/* What a port is told is lost when it leaves; so it comes back down, and up when it is told all. */
static void put_on_bridge(struct rtnl_batch *batch, uint32_t index, uint32_t bridge)
{
	rtnl_add_link(batch, RTM_NEWLINK, 0, index);
	rtnl_put_flags(batch, 0, IFF_UP);
	rtnl_add_link(batch, RTM_NEWLINK, 0, index);
	rtnl_put_u32(batch, IFLA_MASTER, bridge);
}

static bool is_apart(const struct link_sight *sight, const struct link_apart *apart)
{
	return sight->hairpin && sight->apart.isolated == apart->isolated &&
	       sight->apart.locked == apart->locked;
}

int link_end_mend(struct link_handle *handle, const struct link_sight *sight,
		  const struct link_endpoint_config *config, struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	const struct link_apart *apart = &config->apart;
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	uint32_t bridge = config->bridge_index;
	bool was_down = false, joins = bridge && sight->bridge != bridge;
	int r = give_name(handle, sight, &was_down, error);

	if (r < 0)
		return r;
	if (joins)
		put_on_bridge(&batch, sight->index, bridge);
	if (apart->locked && (joins || !sight->apart.locked || sight->lacks_mac))
		apart_add_mac(&batch, RTM_NEWNEIGH, sight->index, endpoint->mac);
	rtnl_add_link(&batch, RTM_NEWLINK, 0, sight->index);
	if (strcmp(sight->alias, config->alias) != 0)
		rtnl_put_string(&batch, IFLA_IFALIAS, config->alias);
	if (sight->mtu != endpoint->mtu)
		rtnl_put_u32(&batch, IFLA_MTU, endpoint->mtu);
	if (joins || (sight->bridge && !is_apart(sight, apart)))
		apart_put(&batch, apart, false);
	rtnl_add_link_up(&batch, sight->index);
	r = rtnl_run_surely(handle, &batch, 0, "link.mend.end");
	if (r < 0)
		return rtnl_failure(error, &batch, r, "set up interface %s of endpoint %s",
				    endpoint->host_interface, endpoint->id);
	if (joins || was_down || !(sight->flags & IFF_UP)) {
		rtnl_settle_carrier(handle, endpoint->host_interface);
		rtnl_settle_carrier(handle, config->bridge);
	}
	return 0;
}
