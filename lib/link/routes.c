/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The routes of a sandbox that decide by which of its endpoints something leaves. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "link/private.h"

/*
 * A sandbox of several endpoints has these rules, in each family, after its own and before the
 * table main: in main all but default routes, then for each source a table with the default route
 * of its endpoint. A rule that somebody adds without a number comes before them.
 */
#define PRIORITY_MAIN 32764
#define PRIORITY_SOURCE 32765
/* The table of an endpoint: this and the index of its interface, which no other link of the sandbox
 * has, nor gets soon after it. The kernel empties it when the link goes. */
#define TABLE_FIRST 0x62000000u

/* ---- default routes ---- */

/* In the order of the batches below; step: how far the metrics are from those of the endpoint. */
static size_t default_routes(const struct link_endpoint_config *config, uint32_t index,
			     uint32_t step, struct rtnl_route routes[static 2])
{
	const struct addr *gateways[] = { &config->gateway_ipv4, &config->gateway_ipv6 };
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(gateways); i++)
		if (gateways[i]->family)
			routes[len++] = (struct rtnl_route){
				.gateway = gateways[i],
				.index = index,
				.metric = endpoint_metric(config->endpoint, gateways[i]->family) +
					  step,
			};
	return len;
}

/* Just these; what is not there is no error. */
static int remove_routes(struct link_handle *inside, const struct rtnl_route *routes, size_t len)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };

	for (size_t i = 0; i < len; i++)
		rtnl_add_route(&batch, RTM_DELROUTE, 0, &routes[i]);
	return rtnl_run_passing(inside, &batch, -ESRCH);
}

/* -EEXIST: one of them is somebody else's, and neither is ours. */
static int add_routes(struct link_handle *inside, const struct link_endpoint_config *config,
		      const struct rtnl_route *routes, size_t len, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	char gateway[ADDR_TEXT_MAX] = "";
	int r;

	for (size_t i = 0; i < len; i++)
		rtnl_add_route(&batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &routes[i]);
	r = rtnl_run_step(inside, &batch, "link.route.default");
	for (size_t i = 0; r == -EEXIST && i < batch.len; i++)
		if (batch.results[i] < 0 && batch.results[i] != -EEXIST) {
			batch.failed = i;
			r = batch.results[i];
		}
	for (size_t i = 0; r == -EEXIST && i < batch.len; i++)
		if (batch.results[i] == 0 && remove_routes(inside, &routes[i], 1) < 0)
			return rtnl_failure(error, NULL, -EIO,
					    "take back a default route of endpoint %s",
					    config->endpoint->id);
	if (r == 0 || r == -EEXIST)
		return r;
	if (batch.failed < batch.len)
		addr_format(routes[batch.failed].gateway, gateway);
	return rtnl_failure(error, &batch, r, "set the default route via %s over %s of endpoint %s",
			    gateway, config->endpoint->interface, config->endpoint->id);
}

void routes_put_default(struct rtnl_batch *batch, const struct link_endpoint_config *config,
			uint32_t index)
{
	struct rtnl_route routes[2];
	size_t len = default_routes(config, index, 0, routes);

	for (size_t i = 0; i < len; i++)
		rtnl_add_route(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &routes[i]);
}

int routes_add_default(struct link_handle *inside, const struct link_endpoint_config *config,
		       uint32_t index, bool again, uint32_t *ret_step, struct error *error)
{
	struct rtnl_route routes[2];
	uint32_t step;
	size_t len;
	int r;

	if (!default_routes(config, index, 0, routes))
		return 0;
	for (step = 0; step < config->metric_room; step++, again = false) {
		len = default_routes(config, index, step, routes);
		*ret_step = step;
		r = again ? remove_routes(inside, routes, len) : 0;
		if (r < 0)
			return rtnl_failure(error, NULL, r, "set the default route of endpoint %s",
					    config->endpoint->id);
		r = add_routes(inside, config, routes, len, error);
		if (r != -EEXIST)
			return r;
	}
	return error_set(error, -ENOSPC, BN_REASON_METRIC_NONE_FREE,
			 "the namespace of endpoint %s has default routes of others of every "
			 "metric from %u up to that of the next endpoint; give it another metric",
			 config->endpoint->id, routes[0].metric - *ret_step);
}

/* What somebody else has put in their places stays. */
int routes_keep_default(struct link_handle *inside, const struct link_endpoint_config *config,
			uint32_t index, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r;

	routes_put_default(&batch, config, index);
	r = rtnl_run_passing(inside, &batch, -EEXIST);
	return r == 0 ? 0 :
			rtnl_failure(error, &batch, r, "set the default route of endpoint %s",
				     config->endpoint->id);
}

/* ---- by source ---- */

struct rules_query {
	int family;
	rtnl_rule_vector *rules;
};

static int take_rule(void *userdata, const struct nlmsghdr *reply)
{
	struct rules_query *query = userdata;
	struct nlattr *attrs[FRA_MAX + 1];
	const struct fib_rule_hdr *header;
	struct rtnl_rule rule = { 0 };

	if (!reply) {
		query->rules->len = 0;
		return 0;
	}
	if (reply->nlmsg_type != RTM_NEWRULE ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*header), attrs, FRA_MAX, NULL) < 0 ||
	    !attrs[FRA_PROTOCOL] || nla_get_u8(attrs[FRA_PROTOCOL]) != PROTOCOL_OURS ||
	    !attrs[FRA_PRIORITY] || !attrs[FRA_TABLE])
		return 0;
	header = nlmsg_data(reply);
	if (header->family != query->family)
		return 0;
	rule.priority = nla_get_u32(attrs[FRA_PRIORITY]);
	rule.table = nla_get_u32(attrs[FRA_TABLE]);
	if (attrs[FRA_SRC] && nla_len(attrs[FRA_SRC]) == (int)addr_size(query->family)) {
		rule.source.family = query->family;
		memcpy(rule.source.bytes, nla_data(attrs[FRA_SRC]), addr_size(query->family));
	}
	return vector_append(query->rules, rule);
}

int routes_rules_read(struct link_handle *inside, int family, rtnl_rule_vector *rules)
{
	struct rules_query query = { family, rules };
	const struct fib_rule_hdr header = { .family = (uint8_t)family };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_rule, .userdata = &query };

	rtnl_add(&batch, RTM_GETRULE, 0, &header, sizeof(header));
	return rtnl_dump(inside, &batch);
}

bool routes_has_rule(const rtnl_rule_vector *rules, const struct rtnl_rule *rule)
{
	for (size_t i = 0; i < rules->len; i++)
		if (memcmp(&rules->items[i], rule, sizeof(*rule)) == 0)
			return true;
	return false;
}

int routes_rules_wanted(struct link_handle *inside, const source_vector *sources, int family,
			rtnl_rule_vector *rules)
{
	const struct rtnl_rule main = { .priority = PRIORITY_MAIN, .table = RT_TABLE_MAIN };

	for (size_t i = 0; i < sources->len; i++) {
		const struct link_source *source = &sources->items[i];
		struct rtnl_rule rule = { .priority = PRIORITY_SOURCE, .source = source->address };
		uint32_t index = 0;

		if (source->way == SOURCE_BY_RULE && source->address.family == family)
			index = link_index(inside, source->interface);
		if (!index)
			continue;
		rule.table = TABLE_FIRST + index;
		if ((!rules->len && vector_append(rules, main) < 0) ||
		    vector_append(rules, rule) < 0)
			return -ENOMEM;
	}
	return 0;
}

const struct link_source *routes_source_of(const source_vector *sources, const struct addr *address)
{
	for (size_t i = 0; i < sources->len; i++)
		if (addr_compare(&sources->items[i].address, address) == 0)
			return &sources->items[i];
	return NULL;
}

/* One that is down, just goes, or has lost its address has no route. */
static bool is_about_the_link(int r)
{
	return r == -ENETDOWN || r == -ENETUNREACH || r == -EHOSTUNREACH || r == -ENODEV ||
	       r == -EINVAL;
}

/* All of them, as whoever set the link down and up again has lost the route. */
static int fill_tables(struct link_handle *inside, const source_vector *sources,
		       const rtnl_rule_vector *rules)
{
	int r = 0;

	for (size_t i = 0; i < rules->len && r == 0;) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };

		for (; i < rules->len && batch.len < RTNL_BATCH_MAX; i++) {
			const struct rtnl_rule *rule = &rules->items[i];
			const struct link_source *source = routes_source_of(sources, &rule->source);

			if (!source)
				continue;
			rtnl_add_route(&batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
				       &(struct rtnl_route){
					       .gateway = &source->gateway,
					       .index = rule->table - TABLE_FIRST,
					       .table = rule->table,
				       });
		}
		r = rtnl_run(inside, &batch);
		for (size_t j = 0; j < batch.len && batch.failed < batch.len; j++) {
			r = is_about_the_link(batch.results[j]) ? 0 : batch.results[j];
			if (r < 0)
				return r;
		}
	}
	return r;
}

/* RTM_NEWRULE or RTM_DELRULE; of those that are to come, not what is there. */
static int change_rules(struct link_handle *inside, int family, int type,
			const rtnl_rule_vector *rules, const rtnl_rule_vector *there)
{
	bool adds = type == RTM_NEWRULE;
	int r = 0;

	for (size_t i = 0; i < rules->len && r == 0;) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };

		for (; i < rules->len && batch.len < RTNL_BATCH_MAX; i++) {
			/* that of main is the first to come and the last to go */
			const struct rtnl_rule *rule = &rules->items[adds ? i : rules->len - 1 - i];

			if (!adds || !routes_has_rule(there, rule))
				rtnl_add_rule(&batch, type, family, rule);
		}
		r = rtnl_run_passing(inside, &batch, adds ? -EEXIST : -ENOENT);
	}
	return r;
}

/* Is the link there, and not cut off? */
static bool is_live(const struct link_handle *inside, uint32_t index)
{
	struct ifreq request = { .ifr_ifindex = (int)index };

	return ioctl(inside->fd, SIOCGIFNAME, &request) == 0 &&
	       ioctl(inside->fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_RUNNING;
}

/* It is of an address that we know of, or of a link that has gone. Others are those of another
 * state, which knows as little of ours. */
static bool is_ours_to_remove(const struct link_handle *inside, const source_vector *sources,
			      const struct rtnl_rule *rule)
{
	return routes_source_of(sources, &rule->source) ||
	       !is_live(inside, rule->table - TABLE_FIRST);
}

/* Of the rules that are found, those that are to go; that of main with the last. */
static int rules_to_go(const struct link_handle *inside, const source_vector *sources,
		       const rtnl_rule_vector *wanted, const rtnl_rule_vector *found,
		       rtnl_rule_vector *gone)
{
	bool some_stay = wanted->len;

	for (size_t i = 0; i < found->len; i++)
		some_stay |= found->items[i].source.family &&
			     !is_ours_to_remove(inside, sources, &found->items[i]);
	for (size_t i = 0; i < found->len; i++) {
		const struct rtnl_rule *rule = &found->items[i];
		bool goes = rule->source.family ? is_ours_to_remove(inside, sources, rule) :
						  !some_stay;

		if (goes && !routes_has_rule(wanted, rule) && vector_append(gone, *rule) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Of rules that are to go; and the default routes of interfaces that are cut off. Those of links
 * that have gone have gone with them. */
static int empty_tables(struct link_handle *inside, int family, const rtnl_rule_vector *gone,
			const source_vector *sources)
{
	const struct addr any = { .family = family };
	struct rtnl_route route = { .gateway = &any };
	int r = 0;

	for (size_t i = 0; i < gone->len && r == 0; i++) {
		route.table = gone->items[i].table;
		route.index = route.table - TABLE_FIRST;
		if (gone->items[i].source.family)
			r = remove_routes(inside, &route, 1);
	}
	for (size_t i = 0; i < sources->len && r == 0; i++) {
		const struct link_source *source = &sources->items[i];

		if (source->way != SOURCE_GONE || source->address.family != family ||
		    !source->metric)
			continue;
		route = (struct rtnl_route){
			.gateway = &source->gateway,
			.index = link_index(inside, source->interface),
			.metric = source->metric,
		};
		if (route.index)
			r = remove_routes(inside, &route, 1);
	}
	return r;
}

static int sync_family(struct link_handle *inside, const source_vector *sources, int family)
{
	CLEANUP_VECTOR rtnl_rule_vector wanted = { 0 }, found = { 0 }, gone = { 0 };
	int r;

	r = routes_rules_read(inside, family, &found);
	/* a kernel without policy routing: all leaves by the best default route */
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		return 0;
	if (r == 0)
		r = routes_rules_wanted(inside, sources, family, &wanted);
	/* A rule is what is known of a table: it stands as long as there may be something in it. */
	if (r == 0)
		r = change_rules(inside, family, RTM_NEWRULE, &wanted, &found);
	if (r == 0)
		r = fill_tables(inside, sources, &wanted);
	if (r == 0)
		r = rules_to_go(inside, sources, &wanted, &found, &gone);
	if (r == 0)
		r = empty_tables(inside, family, &gone, sources);
	return r < 0 ? r : change_rules(inside, family, RTM_DELRULE, &gone, NULL);
}

int routes_sync_sources(struct link_handle *inside, const source_vector *sources,
			struct error *error)
{
	int r = FAULT("link.route.sources");

	if (r == 0)
		r = sync_family(inside, sources, AF_INET);
	if (r == 0 && inside->has_ipv6)
		r = sync_family(inside, sources, AF_INET6);
	if (r == 0)
		return 0;
	return rtnl_failure(error, NULL, r, "set the rules by which answers leave a namespace");
}

int link_sources_sync(struct link_handle *handle, const struct sandbox *sandbox,
		      const source_vector *sources, struct error *error)
{
	CLEANUP_RTNL struct link_handle inside = { .fd = -1 };
	int r = -ENOBUFS;

	/* An answer on it was lost, where it is closed: the same once more does no harm. */
	for (int i = 0; i < OUTCOME_LOOKS && r < 0 && inside.fd < 0; i++) {
		error_clear(error);
		r = sandbox_link_open(sandbox, handle->deadline, &inside, error);
		if (r < 0)
			return r;
		r = routes_sync_sources(&inside, sources, error);
	}
	return r;
}

/* ---- of an endpoint that stands ---- */

/* Of one side of a change, those that the other does not have. */
static size_t ways_of(const struct link_ways *ways, bool new, uint32_t index,
		      struct rtnl_route routes[static 2])
{
	const struct addr *gateways[] = { &ways->gateway_ipv4, &ways->gateway_ipv6 };
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(gateways); i++) {
		uint32_t before = endpoint_metric(ways->before, gateways[i]->family);
		uint32_t after = endpoint_metric(ways->after, gateways[i]->family);
		uint32_t metric = new ? after : before;

		if (gateways[i]->family && metric && before != after)
			routes[len++] = (struct rtnl_route){
				.gateway = gateways[i],
				.index = index,
				.metric = metric,
			};
	}
	return len;
}

struct defaults_query {
	uint32_t index; /* of an interface, and what is asked about it: the metrics of a family */
	const struct endpoint *endpoint;
	default_vector *others;
	bool has; /* it has such a route by that interface */
};

static int take_default(void *userdata, const struct nlmsghdr *reply)
{
	struct defaults_query *query = userdata;
	struct link_default found = { 0 };
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtmsg *route;

	if (!reply) {
		query->others->len = 0;
		return 0;
	}
	route = nlmsg_data(reply);
	/* A kernel without strict checking shows other tables too. */
	if (reply->nlmsg_type != RTM_NEWROUTE || route->rtm_table != RT_TABLE_MAIN ||
	    route->rtm_dst_len || (route->rtm_flags & RTM_F_CLONED) ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(*route), attrs, RTA_MAX, NULL) < 0)
		return 0;
	found.family = route->rtm_family;
	if (attrs[RTA_PRIORITY])
		found.metric = nla_get_u32(attrs[RTA_PRIORITY]);
	if (attrs[RTA_OIF] && nla_get_u32(attrs[RTA_OIF]) == query->index &&
	    found.metric == endpoint_metric(query->endpoint, found.family)) {
		query->has = true;
		return 0;
	}
	return vector_append(query->others, found);
}

static int read_defaults(struct link_handle *inside, int family, struct defaults_query *query)
{
	const struct rtmsg route = { .rtm_family = (uint8_t)family, .rtm_table = RT_TABLE_MAIN };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_default, .userdata = query };
	int r;

	rtnl_add(&batch, RTM_GETROUTE, 0, &route, sizeof(route));
	r = rtnl_dump(inside, &batch);
	/* a table that has had no route yet does not exist */
	return r == -ENOENT ? 0 : r;
}

/* What is there of that metric may be ours, of an earlier try. */
static int find_own(struct link_handle *inside, const struct link_ways *ways,
		    const struct rtnl_route *route)
{
	CLEANUP_VECTOR default_vector others = { 0 };
	struct defaults_query query = {
		.index = route->index,
		.endpoint = ways->after,
		.others = &others,
	};
	int r = read_defaults(inside, route->gateway->family, &query);

	return r < 0 ? r : query.has ? 0 : -EEXIST;
}

static int add_way(struct link_handle *inside, const struct link_ways *ways,
		   const struct rtnl_route *route, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	char gateway[ADDR_TEXT_MAX];
	int r;

	rtnl_add_route(&batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
	r = rtnl_run_step(inside, &batch, "link.route.default");
	if (r == -EEXIST)
		r = find_own(inside, ways, route);
	if (r == 0 || is_about_the_link(r))
		return 0;
	if (r == -EEXIST)
		return error_set(error, -EEXIST, BN_REASON_METRIC_NONE_FREE,
				 "somebody has just given the namespace of endpoint %s a default "
				 "route of metric %u; remove it, or give the endpoint another "
				 "metric",
				 ways->after->id, route->metric);
	return rtnl_failure(error, &batch, r, "set the default route via %s over %s of endpoint %s",
			    addr_format(route->gateway, gateway), ways->after->interface,
			    ways->after->id);
}

static int change_ways(struct link_handle *inside, const struct link_ways *ways,
		       struct error *error)
{
	uint32_t index = rtnl_link_index(inside, ways->after->interface);
	struct rtnl_route routes[2];
	int r = 0;

	if (!index)
		return 0;
	if (ways->between->len)
		r = routes_sync_sources(inside, ways->between, error);
	for (size_t i = 0, len = ways_of(ways, true, index, routes); i < len && r == 0; i++)
		r = add_way(inside, ways, &routes[i], error);
	if (r < 0)
		return r;
	r = FAULT("link.route.change");
	if (r == 0)
		r = remove_routes(inside, routes, ways_of(ways, false, index, routes));
	if (r < 0)
		return rtnl_failure(error, NULL, r, "remove the default routes of endpoint %s",
				    ways->before->id);
	return ways->sources->len ? routes_sync_sources(inside, ways->sources, error) : 0;
}

int link_ways_change(struct link_handle *handle, const struct sandbox *sandbox,
		     const struct link_ways *ways, struct error *error)
{
	CLEANUP_RTNL struct link_handle inside = { .fd = -1 };
	int r = -ENOBUFS;

	/* As for link_sources_sync(). */
	for (int i = 0; i < OUTCOME_LOOKS && r < 0 && inside.fd < 0; i++) {
		error_clear(error);
		r = sandbox_link_open(sandbox, handle->deadline, &inside, error);
		if (r < 0)
			return r;
		r = change_ways(&inside, ways, error);
	}
	return r;
}

int link_ways_of_others(struct link_handle *handle, const struct sandbox *sandbox,
			const struct endpoint *endpoint, default_vector *others,
			struct error *error)
{
	CLEANUP_RTNL struct link_handle inside = { .fd = -1 };
	struct defaults_query query = { .endpoint = endpoint, .others = others };
	int r = sandbox_link_open(sandbox, handle->deadline, &inside, error);

	if (r < 0)
		return r;
	query.index = rtnl_link_index(&inside, endpoint->interface);
	if (!query.index || !is_live(&inside, query.index))
		return error_set(error, -ENODEV, BN_REASON_KERNEL,
				 "interface %s of endpoint %s is not there, or down, so it can "
				 "have no default route; set it up, or attach the endpoint anew",
				 endpoint->interface, endpoint->id);
	r = read_defaults(&inside, AF_UNSPEC, &query);
	return r < 0 ? rtnl_failure(error, NULL, r, "list the default routes of endpoint %s",
				    endpoint->id) :
		       0;
}
