/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bridge that somebody has changed since it was made, as it was. */
#include <errno.h>
#include <linux/if_link.h>

#include "link/private.h"

/* Its name may have become an alternative one of it. Before Linux 6.2 one that is up keeps its
 * name; and one that is set down loses its addresses. */
static int rename_bridge(struct link_handle *handle, const struct bridge_config *config,
			 struct interface *interface, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch names = { 0 };
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	CLEANUP_BATCH struct rtnl_batch again = { 0 };
	struct nlattr *list;
	int r = 0;

	if (link_index(handle, config->name) == interface->index) {
		rtnl_add_link(&names, RTM_DELLINKPROP, 0, interface->index);
		list = rtnl_nest(&names, IFLA_PROP_LIST);
		rtnl_put_string(&names, IFLA_ALT_IFNAME, config->name);
		rtnl_nest_end(&names, list);
		r = rtnl_run_surely(handle, &names, -ENOENT, "link.bridge.name");
	}
	rtnl_add_link(&batch, RTM_NEWLINK, 0, interface->index);
	rtnl_put_string(&batch, IFLA_IFNAME, config->name);
	if (r == 0)
		r = rtnl_run_surely(handle, &batch, 0, "link.bridge.rename");
	if (r == -EBUSY) {
		interface->flags &= ~(uint32_t)IFF_UP;
		rtnl_add_link(&again, RTM_NEWLINK, 0, interface->index);
		rtnl_put_flags(&again, 0, IFF_UP);
		rtnl_add_link(&again, RTM_NEWLINK, 0, interface->index);
		rtnl_put_string(&again, IFLA_IFNAME, config->name);
		r = rtnl_run_surely(handle, &again, 0, "link.bridge.rename");
	}
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "give bridge %s its name %s back", interface->name,
			    config->name);
}

/* By itself: to set the MAC once more would have the kernel forget all neighbours, and a bridge
 * with an MTU below 1280 has nothing of IPv6 that could be set. */
static int set_shape(struct link_handle *handle, const struct bridge_config *config,
		     const struct interface *interface, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	uint8_t mac[MAC_LEN];
	int r;

	bridge_own_mac(config, mac);
	if (memcmp(mac, interface->mac, MAC_LEN) != 0) {
		rtnl_add_link(&batch, RTM_NEWLINK, 0, interface->index);
		rtnl_put(&batch, IFLA_ADDRESS, mac, sizeof(mac));
	}
	if (interface->mtu != config->mtu) {
		rtnl_add_link(&batch, RTM_NEWLINK, 0, interface->index);
		rtnl_put_u32(&batch, IFLA_MTU, config->mtu);
	}
	r = rtnl_run_surely(handle, &batch, 0, "link.bridge.shape");
	return r == 0 ? 0 :
			rtnl_failure(error, &batch, r, "set the MAC, and the MTU %u, of bridge %s",
				     config->mtu, config->name);
}

/* With the MTU it gets its IPv6 back, and an address by the kernel, which would serve nobody for as
 * long as that asks around whether another has it. */
static int forget_link_local(struct link_handle *handle, const struct bridge_config *config,
			     uint32_t index, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	const struct prefix local = bridge_link_local(config);
	int r;

	rtnl_add_address(&batch, RTM_DELADDR, index, &local, 0);
	r = rtnl_run_surely(handle, &batch, -EADDRNOTAVAIL, "link.bridge.local");
	return r == 0 ?
		       0 :
		       rtnl_failure(error, &batch, r, "give bridge %s its addresses", config->name);
}

static int restore_own(struct link_handle *handle, const struct bridge_config *config,
		       struct interface *interface, char note[static LINK_NOTE_MAX],
		       struct error *error)
{
	bool has_ipv6 = handle->has_ipv6 && config->mtu >= IPV6_MTU_MIN;
	int r = 0;

	if (strcmp(interface->name, config->name) != 0)
		r = rename_bridge(handle, config, interface, error);
	if (r == 0)
		r = set_shape(handle, config, interface, error);
	if (r == 0 && has_ipv6 && interface->mtu < IPV6_MTU_MIN)
		r = forget_link_local(handle, config, interface->index, error);
	if (r == 0)
		r = bridge_mark(handle, config, has_ipv6, error);
	if (r == 0 && has_ipv6)
		r = bridge_set_ipv6(config, note, error);
	return r < 0 ? r :
		       bridge_put_addresses(handle, config, interface->index,
					    interface->flags & IFF_UP, error);
}

int bridge_restore(struct link_handle *handle, const struct bridge_config *config,
		   char ret_note[static LINK_NOTE_MAX], struct error *error)
{
	struct link_info info;
	int r = bridge_find(handle, config, &info, error);

	ret_note[0] = '\0';
	if (config->adopt) {
		r = bridge_check_adopted(config, &info, r, error);
		return r < 0 ? r :
			       bridge_put_addresses(handle, config, info.interface.index,
						    info.interface.flags & IFF_UP, error);
	}
	if (r == -ENODEV)
		return bridge_create(handle, config, ret_note, error);
	return r < 0 ? r : restore_own(handle, config, &info.interface, ret_note, error);
}
