/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The routes that an endpoint was asked to have in its sandbox. Those that lead nowhere are of no
 * interface, and don't go with it: they are marked as ours.
 */
#include <errno.h>

#include "link/private.h"

#define LOOPBACK_INDEX 1 /* of IPv6, the interface of what leads nowhere */

static const uint8_t kernel_types[ROUTE_TYPE_COUNT] = {
	[ROUTE_UNICAST] = RTN_UNICAST,
	[ROUTE_BLACKHOLE] = RTN_BLACKHOLE,
	[ROUTE_UNREACHABLE] = RTN_UNREACHABLE,
	[ROUTE_PROHIBIT] = RTN_PROHIBIT,
};

bool static_route_type(uint8_t kernel_type, uint8_t *ret_type)
{
	for (uint8_t i = 0; i < ROUTE_TYPE_COUNT; i++)
		if (kernel_types[i] == kernel_type) {
			*ret_type = i;
			return true;
		}
	return false;
}

static bool leads_nowhere(const struct route *route)
{
	return route->type != ROUTE_UNICAST;
}

static struct rtnl_route route_of(const struct route *route, uint32_t index)
{
	return (struct rtnl_route){
		.type = kernel_types[route->type],
		.destination = &route->destination,
		.gateway = &route->gateway,
		.index = leads_nowhere(route) ? 0 : index,
		.metric = route_metric(route),
		.is_ours = leads_nowhere(route),
	};
}

static int route_failed(const struct endpoint *endpoint, const struct route *route,
			const struct rtnl_batch *batch, int r, struct error *error)
{
	char destination[PREFIX_TEXT_MAX], gateway[ADDR_TEXT_MAX];

	prefix_format(&route->destination, destination);
	if (leads_nowhere(route))
		return rtnl_failure(error, batch, r, "add %s route %s of endpoint %s",
				    route_type_name(route->type), destination, endpoint->id);
	if (addr_is_unspecified(&route->gateway))
		return rtnl_failure(error, batch, r, "add route %s, on the link, of endpoint %s",
				    destination, endpoint->id);
	addr_format(&route->gateway, gateway);
	return rtnl_failure(error, batch, r, "add route %s via %s of endpoint %s", destination,
			    gateway, endpoint->id);
}

int routes_add_static(struct link_handle *inside, const struct endpoint *endpoint, uint32_t index,
		      int passed, struct error *error)
{
	size_t done = 0;

	while (done < endpoint->routes.len) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };
		const struct route *routes = endpoint->routes.items + done;
		size_t len = endpoint->routes.len - done;
		int r;

		if (len > RTNL_BATCH_MAX)
			len = RTNL_BATCH_MAX;
		for (size_t i = 0; i < len; i++) {
			const struct rtnl_route route = route_of(&routes[i], index);

			rtnl_add_route(&batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route);
		}
		r = rtnl_run_passing(inside, &batch, passed);
		if (r < 0 && batch.failed == batch.len)
			return rtnl_failure(error, &batch, r, "set the routes of endpoint %s",
					    endpoint->id);
		if (r < 0)
			return route_failed(endpoint, &routes[batch.failed], &batch, r, error);
		done += len;
	}
	return 0;
}

/* ---- what stays when the interface goes ---- */

bool link_routes_stay(const struct endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->routes.len; i++)
		if (leads_nowhere(&endpoint->routes.items[i]))
			return true;
	return false;
}

static int remove_static(struct link_handle *inside, const struct endpoint *endpoint)
{
	int r = FAULT("link.route.remove");

	for (size_t i = 0; i < endpoint->routes.len && r == 0;) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };

		for (; i < endpoint->routes.len && batch.len < RTNL_BATCH_MAX; i++) {
			const struct route *route = &endpoint->routes.items[i];
			struct rtnl_route found = route_of(route, 0);

			if (!leads_nowhere(route))
				continue;
			/* where the type is not asked for */
			if (route->gateway.family == AF_INET6)
				found.index = LOOPBACK_INDEX;
			rtnl_add_route(&batch, RTM_DELROUTE, 0, &found);
		}
		r = rtnl_run_passing(inside, &batch, -ESRCH);
	}
	return r;
}

int link_routes_remove(struct link_handle *handle, const struct sandbox *sandbox,
		       const struct endpoint *endpoint, struct error *error)
{
	CLEANUP_RTNL struct link_handle inside = { .fd = -1 };
	int r = -ENOBUFS;

	/* As for link_sources_sync(). */
	for (int i = 0; i < OUTCOME_LOOKS && r < 0 && inside.fd < 0; i++) {
		error_clear(error);
		r = sandbox_link_open(sandbox, handle->deadline, &inside, error);
		if (r < 0)
			return r;
		r = remove_static(&inside, endpoint);
		if (r < 0)
			rtnl_failure(error, NULL, r, "remove the routes of endpoint %s",
				     endpoint->id);
	}
	return r;
}

/* ---- in the host ---- */

int link_behind_change(struct link_handle *handle, const char *bridge,
		       const struct endpoint *endpoint, const struct prefix *destination, bool adds,
		       bool again, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	const struct rtnl_route route = {
		.destination = destination,
		.gateway = &endpoint_prefix(endpoint, destination->addr.family)->addr,
		.index = link_index(handle, bridge),
		.is_ours = true,
	};
	char text[PREFIX_TEXT_MAX];
	int r;

	if (!route.index && !adds)
		return 0;
	rtnl_add_route(&batch, adds ? RTM_NEWROUTE : RTM_DELROUTE,
		       adds ? NLM_F_CREATE | NLM_F_EXCL : 0, &route);
	r = rtnl_run_surely(handle, &batch,
			    !adds ? -ESRCH :
			    again ? -EEXIST :
				    0,
			    "link.route.behind");
	/* the bridge has just gone */
	if (r == 0 || (!adds && r == -ENODEV))
		return 0;
	return rtnl_failure(error, &batch, r, "%s the host's route to %s by endpoint %s",
			    adds ? "add" : "remove", prefix_format(destination, text),
			    endpoint->id);
}

struct behind {
	bool is_ours;
	uint8_t len;
	uint32_t index;
};

/* The kernel is asked for the route that it would take there, as it stands in its table. */
static int take_behind(void *userdata, const struct nlmsghdr *reply)
{
	struct behind *found = userdata;
	const struct rtmsg *route = nlmsg_data(reply);
	struct nlattr *attrs[RTA_MAX + 1];

	if (reply->nlmsg_type != RTM_NEWROUTE ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0)
		return 0;
	found->is_ours = route->rtm_protocol == PROTOCOL_OURS;
	found->len = route->rtm_dst_len;
	if (attrs[RTA_OIF])
		found->index = nla_get_u32(attrs[RTA_OIF]);
	return 0;
}

int link_behind_is_there(struct link_handle *handle, const char *bridge,
			 const struct prefix *destination, struct error *error)
{
	const struct rtmsg header = {
		.rtm_family = (uint8_t)destination->addr.family,
		.rtm_dst_len = (uint8_t)(addr_size(destination->addr.family) * 8),
		.rtm_flags = RTM_F_FIB_MATCH,
	};
	struct behind found = { 0 };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_behind, .userdata = &found };
	char text[PREFIX_TEXT_MAX];
	int r;

	rtnl_add(&batch, RTM_GETROUTE, 0, &header, sizeof(header));
	rtnl_put(&batch, RTA_DST, destination->addr.bytes, addr_size(destination->addr.family));
	r = rtnl_run(handle, &batch);
	if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL)
		return 0;
	if (r < 0)
		return rtnl_failure(error, &batch, r, "look up the host's route to %s",
				    prefix_format(destination, text));
	return found.is_ours && found.len == destination->len &&
	       found.index == link_index(handle, bridge);
}
