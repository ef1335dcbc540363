/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Endpoints as they are inside their sandbox. */
#include <netinet/in.h> /* before the kernel's headers */

#include <errno.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>

#include "link/private.h"

struct look {
	struct link_handle inside;
	struct link_within *ends;
	size_t len;
};

/* ---- interfaces ---- */

static void read_settings(const struct nlattr *spec, struct link_within *end)
{
	const struct nlattr *ipv6 = nla_find(nla_data(spec), nla_len(spec), AF_INET6);
	const struct nlattr *conf =
		ipv6 ? nla_find(nla_data(ipv6), nla_len(ipv6), IFLA_INET6_CONF) : NULL;
	int32_t values[DEVCONF_MAX] = { 0 };

	if (!conf)
		return;
	nla_memcpy(values, conf, sizeof(values));
	end->has_settings = true;
	end->disable_ipv6 = values[DEVCONF_DISABLE_IPV6];
	end->accept_ra = values[DEVCONF_ACCEPT_RA];
}

static int take_interface(void *userdata, const struct nlmsghdr *reply)
{
	struct look *look = userdata;
	struct link_info info;
	struct nlattr *spec;

	if (!link_info_parse(reply, &info))
		return 0;
	spec = nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), IFLA_AF_SPEC);
	for (size_t i = 0; i < look->len; i++) {
		struct link_within *end = &look->ends[i];

		if (end->asked != info.interface.index) {
			end->is_taken |= strcmp(info.interface.name, end->endpoint->interface) == 0;
			continue;
		}
		end->index = info.interface.index;
		end->flags = info.interface.flags;
		end->mtu = info.interface.mtu;
		memcpy(end->mac, info.interface.mac, MAC_LEN);
		memcpy(end->name, info.interface.name, sizeof(end->name));
		if (spec)
			read_settings(spec, end);
	}
	return 0;
}

/* By name too: somebody else's may have it. */
static int look_at_interfaces(struct look *look)
{
	int r = 0;

	for (size_t done = 0; done < look->len && r == 0;) {
		CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_interface,
							  .userdata = look };

		for (; done < look->len && batch.len < RTNL_BATCH_MAX - 1; done++) {
			const struct link_within *end = &look->ends[done];

			rtnl_add_named(&batch, RTM_GETLINK, 0, end->endpoint->interface);
			rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
			if (!end->asked)
				continue;
			rtnl_add_link(&batch, RTM_GETLINK, 0, end->asked);
			rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		}
		r = rtnl_run_passing(&look->inside, &batch, -ENODEV);
	}
	return r;
}

static void take_address(struct link_within *end, const struct prefix *found)
{
	int family = found->addr.family;
	size_t i = 0;

	for_each_address(address, end->endpoint, family)
		end->has[family == AF_INET6][i++] |= prefix_compare(found, address) == 0;
}

static int look_at_addresses(struct look *look)
{
	int r = 0;

	for (size_t i = 0; i < look->len && r == 0; i++) {
		CLEANUP_VECTOR address_vector addresses = { 0 };
		struct link_within *end = &look->ends[i];

		if (end->index)
			r = link_addresses(&look->inside, end->index, false, &addresses, NULL);
		/* it has gone since */
		if (r == -ENODEV) {
			end->index = 0;
			r = 0;
		}
		for (size_t j = 0; j < addresses.len; j++) {
			const struct prefix *address = &addresses.items[j].address;

			take_address(end, address);
		}
	}
	return r;
}

/* ---- routes ---- */

struct routes_query {
	uint32_t table;
	link_route_vector *routes;
	size_t before;
};

static int take_route(void *userdata, const struct nlmsghdr *reply)
{
	struct routes_query *query = userdata;
	struct nlattr *attrs[RTA_MAX + 1];
	struct link_route found = { 0 };
	const struct rtmsg *route;

	if (!reply) {
		query->routes->len = query->before;
		return 0;
	}
	route = nlmsg_data(reply);
	if (reply->nlmsg_type != RTM_NEWROUTE || route->rtm_flags & RTM_F_CLONED ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0 ||
	    !static_route_type(route->rtm_type, &found.type))
		return 0;
	/* A kernel without strict checking shows other tables too. */
	if ((attrs[RTA_TABLE] ? nla_get_u32(attrs[RTA_TABLE]) : route->rtm_table) != query->table)
		return 0;
	found.destination.addr.family = found.gateway.family = route->rtm_family;
	found.destination.len = route->rtm_dst_len;
	attr_addr(attrs[RTA_DST], route->rtm_family, &found.destination.addr);
	attr_addr(attrs[RTA_GATEWAY], route->rtm_family, &found.gateway);
	if (attrs[RTA_OIF])
		found.index = nla_get_u32(attrs[RTA_OIF]);
	if (attrs[RTA_PRIORITY])
		found.metric = nla_get_u32(attrs[RTA_PRIORITY]);
	return vector_append(query->routes, found);
}

static int read_table(struct link_handle *inside, int family, uint32_t table,
		      link_route_vector *routes)
{
	const struct rtmsg header = { .rtm_family = (uint8_t)family };
	struct routes_query query = { table, routes, routes->len };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_route, .userdata = &query };
	int r;

	rtnl_add(&batch, RTM_GETROUTE, 0, &header, sizeof(header));
	rtnl_put_u32(&batch, RTA_TABLE, table);
	r = rtnl_dump(inside, &batch);
	/* a table that has had no route yet does not exist */
	return r == -ENOENT ? 0 : r;
}

static int read_main(struct look *look, link_route_vector *routes)
{
	int r = read_table(&look->inside, AF_INET, RT_TABLE_MAIN, routes);

	return r < 0 || !look->inside.has_ipv6 ?
		       r :
		       read_table(&look->inside, AF_INET6, RT_TABLE_MAIN, routes);
}

/* Does the table of a rule lead where the source is to leave? */
static int leads(struct look *look, const struct rtnl_rule *rule, const struct link_source *source)
{
	CLEANUP_VECTOR link_route_vector routes = { 0 };
	int r = read_table(&look->inside, source->address.family, rule->table, &routes);

	for (size_t i = 0; i < routes.len && r == 0; i++)
		if (!routes.items[i].destination.len &&
		    addr_compare(&routes.items[i].gateway, &source->gateway) == 0)
			r = 1;
	return r;
}

/* The first of the rules is that of main, of nobody. */
static int look_at_sources(struct look *look, const source_vector *sources, int family)
{
	CLEANUP_VECTOR rtnl_rule_vector wanted = { 0 }, found = { 0 };
	int r = routes_rules_wanted(&look->inside, sources, family, &wanted);

	if (r < 0 || !wanted.len)
		return r;
	r = routes_rules_read(&look->inside, family, &found);
	/* as when they are set */
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		return 0;
	for (size_t i = 1; i < wanted.len && r >= 0; i++) {
		const struct rtnl_rule *rule = &wanted.items[i];

		for (size_t j = 0; j < look->len && r >= 0; j++) {
			struct link_within *end = &look->ends[j];
			size_t at = endpoint_place(end->endpoint, &rule->source);

			if (at == SUBNETS_MAX)
				continue;
			r = leads(look, rule, routes_source_of(sources, &rule->source));
			end->lacks_source[family == AF_INET6][at] =
				r == 0 || !routes_has_rule(&found, rule) ||
				!routes_has_rule(&found, wanted.items);
		}
	}
	return r < 0 ? r : 0;
}

/* ---- all of it ---- */

static int look_inside(struct look *look, const source_vector *sources, link_route_vector *routes)
{
	int r = look_at_interfaces(look);

	if (r == 0)
		r = look_at_addresses(look);
	if (r == 0)
		r = read_main(look, routes);
	if (r == 0)
		r = look_at_sources(look, sources, AF_INET);
	if (r == 0 && look->inside.has_ipv6)
		r = look_at_sources(look, sources, AF_INET6);
	return r;
}

int link_within_get(struct link_handle *handle, const struct sandbox *sandbox,
		    const source_vector *sources, struct link_within *ends, size_t len,
		    link_route_vector *routes, struct error *error)
{
	struct look look = { .inside.fd = -1, .ends = ends, .len = len };
	int32_t number;
	int r = namespace_number(handle, sandbox, &number);

	if (r < 0)
		return rtnl_failure(error, NULL, r, "look up network namespace %s",
				    sandbox_name(sandbox));
	r = sandbox_link_open(sandbox, handle->deadline, &look.inside, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++) {
		const struct link_sight *host = ends[i].host;
		bool is_here = host->index && number >= 0 && host->peer_namespace == number;

		ends[i] = (struct link_within){ .endpoint = ends[i].endpoint,
						.host = host,
						.asked = is_here ? host->peer : 0 };
	}
	r = look_inside(&look, sources, routes);
	rtnl_close(&look.inside);
	return r < 0 ? rtnl_failure(error, NULL, r, "look into network namespace %s",
				    sandbox_name(sandbox)) :
		       0;
}
