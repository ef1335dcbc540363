/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which flows end: a few deletions by what they match, or one look through all flows. */
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>

#include "firewall/ctnetlink.h"
#include "firewall/firewall.h"

/*
 * A deletion looks through all flows in the kernel, in 0.12 ms and 0.2 us for each flow; a dump of
 * a port takes 10 ms and 0.3 us for each, one of all 10 ms and 3 us (2 cores, 262,144 buckets).
 */
#define QUERIES_MAX 16
#define QUERIES_TIMES_FLOWS_MAX 40000 /* where the dump would be one of a port */

/* All of one family. */
struct flow_drop {
	int family;
	struct addr *addresses; /* of FLOWS_OF_ADDRESS, sorted */
	size_t addresses_len;
	struct sorted_filter {
		const struct flow_filter *filter;
		uint32_t end; /* behind the highest port of this and all before */
	} * mappings;         /* the others, by first port */
	size_t mappings_len;
	struct addr *local; /* single addresses, sorted, less those that no mapping is for */
	size_t local_len;
	struct prefix *wide; /* of more than one, less 127.0.0.0/8 */
	size_t wide_len;
	struct flow_query queries[QUERIES_MAX];
	size_t queries_len;
};

static int addr_order(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static bool has_addr(const struct addr *addrs, size_t len, const struct addr *addr)
{
	return len && bsearch(addr, addrs, len, sizeof(*addr), addr_order);
}

static bool is_anywhere(const struct flow_filter *filter)
{
	return !addr_is_set(&filter->host_addr) || addr_is_unspecified(&filter->host_addr);
}

/* ---- for the kernel to drop ---- */

/* False: they are too many. */
static bool add_query(struct flow_drop *drop, const struct flow_query *query)
{
	if (drop->queries_len == QUERIES_MAX)
		return false;
	drop->queries[drop->queries_len++] = *query;
	return true;
}

static bool query_address(struct flow_drop *drop, const struct addr *addr)
{
	const struct flow_query from = { .flow.original.source = *addr };
	const struct flow_query to = { .flow.reply.source = *addr };

	return add_query(drop, &from) && add_query(drop, &to);
}

/* A query for each address that the host has. */
static bool query_anywhere(struct flow_drop *drop, const struct flow_query *query)
{
	static const struct addr loopback = { AF_INET, { 127, 0, 0, 1 } };
	struct flow_query one = *query;

	if (drop->wide_len)
		return false;
	/* All of 127.0.0.0/8 is the host's own, and who asks there comes from the first of it. */
	if (drop->family == AF_INET) {
		one.flow.original.source = loopback;
		if (!add_query(drop, &one))
			return false;
	}
	one = *query;
	for (size_t i = 0; i < drop->local_len; i++) {
		one.flow.original.destination = drop->local[i];
		if (!add_query(drop, &one))
			return false;
	}
	return true;
}

static bool query_mapping(struct flow_drop *drop, const struct flow_filter *filter)
{
	struct flow_query query = { .status_mask = IPS_DST_NAT };
	struct flow_tuple *original = &query.flow.original, *reply = &query.flow.reply;

	original->protocol = filter->protocol;
	if (!is_anywhere(filter))
		original->destination = filter->host_addr;
	/* what no rule has led anywhere went to the host itself, so not to the endpoint */
	query.flow.status = filter->kind == FLOWS_PAST_MAPPING || filter->kind == FLOWS_STRAIGHT ?
				    0 :
				    IPS_DST_NAT;
	for (uint32_t n = 0; n < filter->count; n++) {
		original->destination_port = (uint16_t)(filter->host_port + n);
		if (filter->kind == FLOWS_OF_MAPPING) {
			reply->protocol = filter->protocol;
			reply->source = filter->to;
			reply->source_port = (uint16_t)(filter->to_port + n);
		}
		if (filter->kind != FLOWS_OF_MAPPING && is_anywhere(filter)) {
			if (!query_anywhere(drop, &query))
				return false;
		} else if (!add_query(drop, &query)) {
			return false;
		}
	}
	return true;
}

/* -EINVAL: a dump has to do it, or should. */
static int delete_by_queries(struct conntrack *ct, uint64_t flows, struct flow_drop *drop)
{
	for (size_t i = 0; i < drop->addresses_len; i++)
		if (!query_address(drop, &drop->addresses[i]))
			return -EINVAL;
	for (size_t i = 0; i < drop->mappings_len; i++)
		if (!query_mapping(drop, drop->mappings[i].filter))
			return -EINVAL;
	if (!drop->addresses_len && drop->queries_len > 1 &&
	    drop->queries_len * flows > QUERIES_TIMES_FLOWS_MAX)
		return -EINVAL;
	return ctnetlink_delete(ct, drop->queries, drop->queries_len);
}

/* ---- by a dump ---- */

/* IPv6 has no rule for ::1 and fe80::/10. */
static bool is_local(const struct flow_drop *drop, const struct addr *addr)
{
	if (drop->family == AF_INET && addr_is_loopback(addr))
		return true;
	for (size_t i = 0; i < drop->wide_len; i++)
		if (prefix_contains(&drop->wide[i], addr))
			return true;
	return has_addr(drop->local, drop->local_len, addr);
}

static bool mapping_takes(const struct flow_drop *drop, const struct flow_filter *filter,
			  const struct flow *flow)
{
	const struct flow_tuple *original = &flow->original, *reply = &flow->reply;
	uint32_t offset = (uint32_t)original->destination_port - filter->host_port;
	bool endpoint;

	if (original->protocol != filter->protocol || offset >= filter->count)
		return false;
	if (!is_anywhere(filter) && addr_compare(&filter->host_addr, &original->destination) != 0)
		return false;
	endpoint = addr_compare(&reply->source, &filter->to) == 0 &&
		   reply->source_port == filter->to_port + offset;
	if (filter->kind == FLOWS_OF_MAPPING)
		return endpoint && (flow->status & IPS_DST_NAT);
	if (filter->kind == FLOWS_STRAIGHT)
		return endpoint && !(flow->status & IPS_DST_NAT);
	return filter->kind == FLOWS_PAST_MAPPING && !endpoint &&
	       (!is_anywhere(filter) || is_local(drop, &original->destination));
}

static bool drop_takes(const void *userdata, const struct flow *flow)
{
	const struct flow_drop *drop = userdata;
	size_t low = 0, high = drop->mappings_len;
	uint16_t port = flow->original.destination_port;

	if (has_addr(drop->addresses, drop->addresses_len, &flow->original.source) ||
	    has_addr(drop->addresses, drop->addresses_len, &flow->reply.source))
		return true;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (drop->mappings[middle].filter->host_port <= port)
			low = middle + 1;
		else
			high = middle;
	}
	/* Backwards as long as any range that began before may still reach the port. */
	while (low-- > 0 && drop->mappings[low].end > port) {
		if (mapping_takes(drop, drop->mappings[low].filter, flow))
			return true;
	}
	return false;
}

/*
 * By what all have in common. Only of the original tuple, as Linux 5.8 to 5.14 compare replies
 * wrong; so an address, which may be at either end, takes a dump of all flows.
 */
static bool common_query(const struct flow_drop *drop, struct flow_query *ret_query)
{
	struct flow_tuple *original = &ret_query->flow.original;
	const struct flow_filter *first;

	*ret_query = (struct flow_query){ 0 };
	if (drop->addresses_len)
		return false;
	first = drop->mappings->filter;
	for (size_t i = 1; i < drop->mappings_len; i++)
		if (drop->mappings[i].filter->protocol != first->protocol)
			return false;
	original->protocol = first->protocol;
	if (drop->mappings_len == 1 && first->count == 1)
		original->destination_port = first->host_port;
	return true;
}

static int delete_by_dump(struct conntrack *ct, const struct flow_drop *drop)
{
	struct flow_query query;
	bool narrow;

	if (!drop->addresses_len && drop->mappings->filter->kind == FLOWS_LED_AWAY)
		return 0;
	narrow = common_query(drop, &query);
	return ctnetlink_delete_each(ct, narrow ? &query : NULL, drop_takes, drop);
}

/* ---- both families ---- */

static int mapping_order(const void *a, const void *b)
{
	const struct sorted_filter *left = a, *right = b;

	return (int)left->filter->host_port - (int)right->filter->host_port;
}

static void sort_filters(struct flow_drop *drop, const struct flow_filter *filters, size_t len)
{
	uint32_t end = 0;

	for (size_t i = 0; i < len; i++) {
		if (filters[i].to.family != drop->family)
			continue;
		if (filters[i].kind == FLOWS_OF_ADDRESS)
			drop->addresses[drop->addresses_len++] = filters[i].to;
		else if (filters[i].count)
			drop->mappings[drop->mappings_len++].filter = &filters[i];
	}
	qsort(drop->addresses, drop->addresses_len, sizeof(*drop->addresses), addr_order);
	qsort(drop->mappings, drop->mappings_len, sizeof(*drop->mappings), mapping_order);
	for (size_t i = 0; i < drop->mappings_len; i++) {
		const struct flow_filter *filter = drop->mappings[i].filter;
		uint32_t last = (uint32_t)filter->host_port + filter->count;

		end = last > end ? last : end;
		drop->mappings[i].end = end;
	}
}

static void sort_local(struct flow_drop *drop, const struct prefix *local, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		const struct prefix *prefix = &local[i];

		if (prefix->addr.family != drop->family || addr_is_loopback(&prefix->addr) ||
		    addr_is_link_local(&prefix->addr))
			continue;
		if (prefix->len < addr_size(drop->family) * 8)
			drop->wide[drop->wide_len++] = *prefix;
		else
			drop->local[drop->local_len++] = prefix->addr;
	}
	qsort(drop->local, drop->local_len, sizeof(*drop->local), addr_order);
	for (size_t i = 0; i < drop->local_len; i++)
		if (!kept || addr_compare(&drop->local[kept - 1], &drop->local[i]) != 0)
			drop->local[kept++] = drop->local[i];
	drop->local_len = kept;
}

static int drop_family(struct conntrack *ct, uint64_t flows, struct flow_drop *drop)
{
	int r;

	if (!drop->addresses_len && !drop->mappings_len)
		return 0;
	ct->family = drop->family;
	r = delete_by_queries(ct, flows, drop);
	return r == -EINVAL || r == -EOPNOTSUPP || r == -ENOENT ? delete_by_dump(ct, drop) : r;
}

static int drop_flows(struct conntrack *ct, const struct flow_filter *filters, size_t len,
		      const struct prefix *local, size_t local_len)
{
	CLEANUP_FREE struct addr *addresses = calloc(len, sizeof(*addresses));
	CLEANUP_FREE struct sorted_filter *mappings = calloc(len, sizeof(*mappings));
	CLEANUP_FREE struct addr *singles = calloc(local_len + 1, sizeof(*singles));
	CLEANUP_FREE struct prefix *wide = calloc(local_len + 1, sizeof(*wide));
	uint64_t flows = 0;
	int r;

	if (!addresses || !mappings || !singles || !wide)
		return -ENOMEM;
	r = ctnetlink_count(ct, &flows);
	for_each_family(family) {
		struct flow_drop drop = {
			.family = family,
			.addresses = addresses,
			.mappings = mappings,
			.local = singles,
			.wide = wide,
		};

		if (r < 0 || !flows)
			break;
		sort_filters(&drop, filters, len);
		sort_local(&drop, local, local_len);
		r = drop_family(ct, flows, &drop);
	}
	return r;
}

bool conntrack_is_of_packets(struct conntrack **handle, const struct deadline *deadline)
{
	uint64_t inserted = 0;
	int r;

	if (!*handle && ctnetlink_open(handle) < 0)
		return false;
	(*handle)->deadline = deadline;
	r = ctnetlink_count_inserted(*handle, &inserted);
	if (r < 0) {
		conntrack_close(*handle);
		*handle = NULL;
	}
	return r == 0 && !inserted;
}

/* r: of what was done with the handle. */
static int finish(struct conntrack **handle, int r, struct error *error)
{
	if (r < 0) {
		/* of a dump that was not heard to its end there is more to come */
		conntrack_close(*handle);
		*handle = NULL;
	}
	switch (r) {
	case 0:
	/* no nfnetlink; and what that says for a subsystem that the kernel does not have */
	case -EPROTONOSUPPORT:
	case -EINVAL:
	case -EOPNOTSUPP:
		return 0;
	case -ENOMEM:
		return error_oom(error);
	case -ETIMEDOUT:
	case -ECANCELED:
		return deadline_error(error, r, "before flows of the past were dropped");
	case -EPERM:
		return error_set(error, r, BN_REASON_PRIVILEGE,
				 "no privilege to drop flows: run as root or with CAP_NET_ADMIN");
	default:
		return error_set(error, r, BN_REASON_KERNEL,
				 "the kernel refused to drop flows of the past: %s",
				 errno_text(-r));
	}
}

int conntrack_drop_flows(struct conntrack **handle, const struct flow_filter *filters, size_t len,
			 const struct prefix *local, size_t local_len,
			 const struct deadline *deadline, struct error *error)
{
	int r = 0;

	if (!len)
		return 0;
	if (!*handle)
		r = ctnetlink_open(handle);
	if (r == 0) {
		(*handle)->deadline = deadline;
		r = drop_flows(*handle, filters, len, local, local_len);
	}
	return finish(handle, r, error);
}

/* ---- one by one ---- */

struct each_query {
	bool (*ends)(void *userdata, const struct conntrack_flow *flow);
	void *userdata;
};

static bool show_flow(const void *userdata, const struct flow *flow)
{
	const struct each_query *query = userdata;
	const struct conntrack_flow shown = {
		.protocol = flow->original.protocol,
		.is_translated = flow->status & IPS_NAT_MASK,
		.is_answered = flow->status & IPS_SEEN_REPLY,
		.from = flow->original.source,
		.asked = flow->original.destination,
		.asked_port = flow->original.destination_port,
		.to = flow->reply.source,
		.to_port = flow->reply.source_port,
	};

	return query->ends(query->userdata, &shown);
}

int conntrack_each(struct conntrack **handle,
		   bool (*ends)(void *userdata, const struct conntrack_flow *flow), void *userdata,
		   const struct deadline *deadline, struct error *error)
{
	const struct each_query query = { ends, userdata };
	uint64_t flows = 0;
	int r = *handle ? 0 : ctnetlink_open(handle);

	if (r == 0) {
		(*handle)->deadline = deadline;
		r = ctnetlink_count(*handle, &flows);
	}
	/* both families are in one table, and walking it takes its time */
	if (r == 0 && flows) {
		(*handle)->family = AF_UNSPEC;
		r = ctnetlink_delete_each(*handle, NULL, show_flow, &query);
	}
	return finish(handle, r, error);
}
