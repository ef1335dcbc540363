/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The device by way of which an endpoint's packets go that wait for their turn (ifb): it has the
 * alias of the endpoint, and a name that follows from that of the host end, so that whoever has
 * neither a limit nor such a device is told without a message.
 */
#include <errno.h>
#include <linux/if_link.h>

#include "link/private.h"

static bool is_ours(const struct link_info *info, const char *alias)
{
	return strcmp(info->kind, "ifb") == 0 &&
	       (strcmp(info->alias, alias) == 0 || info->group == LINK_GROUP_NEWBORN);
}

/* *ret_index 0: there is none. One that may have been renamed is looked for where there should be
 * one. */
static int find(struct link_handle *handle, const char *network_id, const struct endpoint *endpoint,
		uint32_t *ret_index, struct error *error)
{
	char name[IFNAMSIZ], alias[ALIAS_MAX];
	struct link_info info;
	int r = -ENODEV;

	*ret_index = 0;
	detour_name(endpoint->host_interface, name);
	link_alias(network_id, endpoint->id, alias);
	if (link_is_known(handle, name)) {
		r = link_info_get(handle, name, NULL, &info, error);
		if (r == 0 && !is_ours(&info, alias))
			r = -ENODEV;
	}
	if (r == -ENODEV && endpoint->policy.rate_out)
		r = link_find_alias(handle, "ifb", alias, &info, error);
	if (r == 0)
		*ret_index = info.interface.index;
	return r == -ENODEV ? 0 : r;
}

static int create(struct link_handle *handle, const struct endpoint *endpoint, uint32_t *ret_index,
		  struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	char name[IFNAMSIZ];
	struct nlattr *info;
	int r;

	detour_name(endpoint->host_interface, name);
	rtnl_add_named(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name);
	rtnl_put_u32(&batch, IFLA_MTU, endpoint->mtu);
	rtnl_put_u32(&batch, IFLA_GROUP, LINK_GROUP_NEWBORN);
	rtnl_put_u32(&batch, IFLA_NUM_TX_QUEUES, 1);
	rtnl_put_u32(&batch, IFLA_NUM_RX_QUEUES, 1);
	info = rtnl_nest(&batch, IFLA_LINKINFO);
	rtnl_put_string(&batch, IFLA_INFO_KIND, "ifb");
	rtnl_nest_end(&batch, info);
	r = rtnl_run_step(handle, &batch, "link.detour.create");
	if (r == 0 || batch.lost)
		r = link_was_made(handle, name, r < 0 ? r : -ENODEV, ret_index);
	if (r == -EOPNOTSUPP)
		return error_set(
			error, r, BN_REASON_UNSUPPORTED,
			"rate-out of endpoint %s needs a device of the kind ifb, which "
			"this kernel has not got; load the module, or leave the option out",
			endpoint->id);
	if (r == -EEXIST)
		return error_set(error, r, BN_REASON_INTERFACE_EXISTS,
				 "the host has an interface %s already, which rate-out of endpoint "
				 "%s needs; delete it",
				 name, endpoint->id);
	return r < 0 ? rtnl_failure(error, &batch, r, "create interface %s of endpoint %s", name,
				    endpoint->id) :
		       0;
}

/* As the host end: the alias can't be given at birth. It comes up once it has no address to get. */
static int mark(struct link_handle *handle, const struct network *network,
		const struct endpoint *endpoint, uint32_t index, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	char alias[ALIAS_MAX];
	int r;

	link_alias(network->id, endpoint->id, alias);
	rtnl_add_link(&batch, RTM_NEWLINK, 0, index);
	rtnl_put_string(&batch, IFLA_IFALIAS, alias);
	rtnl_put_u32(&batch, IFLA_GROUP, 0);
	if (handle->has_ipv6 && endpoint->mtu >= IPV6_MTU_MIN)
		rtnl_put_no_addr_gen(&batch);
	rtnl_add_link_up(&batch, index);
	r = rtnl_run_surely(handle, &batch, 0, "link.detour.mark");
	return r == 0 ? 0 :
			rtnl_failure(error, &batch, r,
				     "mark the interface of rate-out of "
				     "endpoint %s",
				     endpoint->id);
}

int detour_make(struct link_handle *handle, const struct network *network,
		const struct endpoint *endpoint, uint32_t *ret_index, bool *ret_new,
		struct error *error)
{
	int r = find(handle, network->id, endpoint, ret_index, error);

	if (r < 0)
		return r;
	*ret_new = !*ret_index;
	if (*ret_new)
		r = create(handle, endpoint, ret_index, error);
	return r < 0 ? r : mark(handle, network, endpoint, *ret_index, error);
}

int detours_find(struct link_handle *handle, const struct link_end *ends, size_t len,
		 index_vector *indexes, struct error *error)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		uint32_t index;

		r = find(handle, ends[i].network_id, ends[i].endpoint, &index, error);
		if (r == 0 && index && index_add(indexes, index) < 0)
			r = error_oom(error);
	}
	return r;
}

int detour_remove(struct link_handle *handle, const struct network *network,
		  const struct endpoint *endpoint, struct error *error)
{
	uint32_t index;
	int r = find(handle, network->id, endpoint, &index, error);

	if (r == 0 && index)
		r = rtnl_delete_link(handle, index);
	return r == 0 || r == -ENODEV ?
		       0 :
		       rtnl_failure(error, NULL, r,
				    "delete the interface of rate-out of endpoint %s",
				    endpoint->id);
}
