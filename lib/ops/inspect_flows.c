/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flows that have outlived what they led to. Only those are judged of which there can be no doubt:
 * an address within a subnet of ours that nobody has, and answers nobody; and a port of UDP that
 * the state leads elsewhere. One of TCP may go on for as long as its endpoint is there.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <syslog.h>

#include "link/around.h"
#include "link/bridge.h"
#include "model/policy.h"
#include "model/port.h"
#include "ops/inspection.h"
#include "ops/recover.h"
#include "ops/rows.h"

struct mapping {
	struct addr host, to;
	uint16_t first, count, to_first;
};
typedef VECTOR(struct mapping) mapping_vector;

struct lost_flow {
	uint16_t port, to_port; /* 0: it is the address that nobody has */
	struct addr addr;
	bool is_others; /* somebody is there whom the state does not know */
};
typedef VECTOR(struct lost_flow) lost_vector;

struct judge {
	prefix_vector subnets;   /* ours alone */
	addr_vector known;       /* sorted: whose they are */
	mapping_vector mappings; /* of UDP, by first port */
	uint32_t widest;         /* of them */
	lost_vector lost;        /* each once, sorted */
	bool drops;              /* those that are lost, and no others */
	bool failed;             /* for want of memory */
};

#define LOST_MAX 4096 /* of one look */

static void judge_clear(struct judge *judge)
{
	free(judge->subnets.items);
	free(judge->known.items);
	free(judge->mappings.items);
	free(judge->lost.items);
}

/* ---- what there may be ---- */

static int compare_addrs(const void *left, const void *right)
{
	return addr_compare(left, right);
}

/* Where there is an interface of somebody else's on the bridge, there may be others beyond it. */
static bool is_ours_alone(const struct network *network)
{
	return network_has_rules(network) && !network->bridge_adopted;
}

static int know(struct judge *judge, const struct addr *addr)
{
	return addr_is_set(addr) ? vector_append(&judge->known, *addr) : 0;
}

static int know_subnet(struct judge *judge, const struct subnet *subnet)
{
	const struct addr last = prefix_last(&subnet->prefix);
	int r = vector_append(&judge->subnets, subnet->prefix);

	if (r == 0)
		r = know(judge, &subnet->prefix.addr);
	if (r == 0)
		r = know(judge, &last);
	return r < 0 ? r : know(judge, &subnet->gateway);
}

static int know_network(struct judge *judge, const struct network *network)
{
	int r = 0;

	if (!is_ours_alone(network))
		return 0;
	for_each_family(family)
		for_each_subnet(subnet, network, family)
			if (r == 0)
				r = know_subnet(judge, subnet);
	if (r == 0)
		r = know(judge, &network->policy.default_gateway_ipv4);
	if (r == 0)
		r = know(judge, &network->policy.default_gateway_ipv6);
	/* these are kept for others */
	for (size_t i = 0; i < network->reserved.len && r == 0; i++)
		r = know(judge, &network->reserved.items[i]);
	return r;
}

static int know_endpoint(struct judge *judge, const struct endpoint *endpoint)
{
	int r = 0;

	for_each_family(family)
		for_each_address(prefix, endpoint, family)
			if (r == 0)
				r = know(judge, &prefix->addr);
	return r;
}

static int know_port(struct judge *judge, const struct port *port, const struct endpoint *endpoint)
{
	int r = 0;

	for_each_family(family) {
		const struct prefix *prefix = endpoint_prefix(endpoint, family);
		struct mapping mapping = {
			.host = port->host_addr,
			.first = port->host_port,
			.count = port->count,
			.to_first = port->container_port,
		};

		if (!prefix || !port_has_family(port, family) || r < 0)
			continue;
		mapping.to = prefix->addr;
		if (mapping.count > judge->widest)
			judge->widest = mapping.count;
		r = vector_append(&judge->mappings, mapping);
	}
	return r;
}

static int know_ports(struct judge *judge, const struct rows *rows)
{
	const endpoint_vector *endpoints = &rows->endpoints;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < rows->ports.len && r == 0; i++) {
		const struct port *port = &rows->ports.items[i];
		size_t tries = 0;

		if (port->protocol != IPPROTO_UDP)
			continue;
		/* neighbours mostly belong to the same */
		while (tries++ < endpoints->len && !port_is_of(port, &endpoints->items[at]))
			at = (at + 1) % endpoints->len;
		if (tries <= endpoints->len)
			r = know_port(judge, port, &endpoints->items[at]);
	}
	return r;
}

static int know_rows(struct judge *judge, const struct rows *rows)
{
	int r = 0;

	for (size_t i = 0; i < rows->networks.len && r == 0; i++)
		r = know_network(judge, &rows->networks.items[i]);
	for (size_t i = 0; i < rows->endpoints.len && r == 0; i++)
		r = know_endpoint(judge, &rows->endpoints.items[i]);
	return r < 0 ? r : know_ports(judge, rows);
}

static int compare_mappings(const void *left, const void *right)
{
	const struct mapping *a = left, *b = right;

	return a->first - b->first;
}

static void sort_known(struct judge *judge)
{
	if (judge->known.len)
		qsort(judge->known.items, judge->known.len, sizeof(*judge->known.items),
		      compare_addrs);
	if (judge->mappings.len)
		qsort(judge->mappings.items, judge->mappings.len, sizeof(*judge->mappings.items),
		      compare_mappings);
}

/* ---- each flow ---- */

static bool is_within(const struct judge *judge, const struct addr *addr)
{
	for (size_t i = 0; i < judge->subnets.len; i++)
		if (prefix_contains(&judge->subnets.items[i], addr))
			return true;
	return false;
}

static bool is_known(const struct judge *judge, const struct addr *addr)
{
	return judge->known.len &&
	       bsearch(addr, judge->known.items, judge->known.len, sizeof(*addr), compare_addrs);
}

static bool is_of_nobody(const struct judge *judge, const struct addr *addr)
{
	return is_within(judge, addr) && !is_known(judge, addr);
}

static bool takes(const struct mapping *mapping, const struct conntrack_flow *flow)
{
	return flow->asked_port >= mapping->first &&
	       flow->asked_port < (uint32_t)mapping->first + mapping->count &&
	       mapping->to.family == flow->to.family &&
	       (!addr_is_set(&mapping->host) || addr_is_unspecified(&mapping->host) ||
		addr_compare(&mapping->host, &flow->asked) == 0);
}

static bool leads_there(const struct mapping *mapping, const struct conntrack_flow *flow)
{
	return addr_compare(&mapping->to, &flow->to) == 0 &&
	       flow->to_port - mapping->to_first == flow->asked_port - mapping->first;
}

/* Is it of a port that is led elsewhere? */
static bool is_led_past(const struct judge *judge, const struct conntrack_flow *flow)
{
	const mapping_vector *mappings = &judge->mappings;
	size_t low = 0, high = mappings->len;
	bool taken = false;

	if (flow->protocol != IPPROTO_UDP || !flow->is_translated ||
	    addr_compare(&flow->asked, &flow->to) == 0 || !is_within(judge, &flow->to))
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (mappings->items[middle].first + judge->widest <= flow->asked_port)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < mappings->len && mappings->items[low].first <= flow->asked_port; low++) {
		if (!takes(&mappings->items[low], flow))
			continue;
		if (leads_there(&mappings->items[low], flow))
			return false;
		taken = true;
	}
	return taken;
}

static int compare_lost(const void *left, const void *right)
{
	const struct lost_flow *a = left, *b = right;

	if (a->port != b->port)
		return a->port - b->port;
	return a->to_port != b->to_port ? a->to_port - b->to_port :
					  addr_compare(&a->addr, &b->addr);
}

static bool is_lost(const struct judge *judge, const struct lost_flow *flow)
{
	return judge->lost.len &&
	       bsearch(flow, judge->lost.items, judge->lost.len, sizeof(*flow), compare_lost);
}

/* Each once, in order: there are few. */
static void note_lost(struct judge *judge, const struct lost_flow *flow)
{
	size_t at = judge->lost.len;

	if (is_lost(judge, flow) || at == LOST_MAX)
		return;
	if (vector_append(&judge->lost, *flow) < 0) {
		judge->failed = true;
		return;
	}
	for (; at > 0 && compare_lost(&judge->lost.items[at - 1], flow) > 0; at--)
		judge->lost.items[at] = judge->lost.items[at - 1];
	judge->lost.items[at] = *flow;
}

static bool meet(struct judge *judge, const struct lost_flow *flow)
{
	if (judge->drops)
		return is_lost(judge, flow);
	note_lost(judge, flow);
	return false;
}

/* A question that nobody has answered is forgotten by itself, unless it is asked again and again of
 * what it was led to. */
static bool judge_flow(void *userdata, const struct conntrack_flow *flow)
{
	const struct addr *const ends[] = { &flow->from, &flow->to };
	struct judge *judge = userdata;

	if (!flow->is_answered && !flow->is_translated)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (is_of_nobody(judge, ends[i]))
			return meet(judge, &(struct lost_flow){ .addr = *ends[i] });
	return is_led_past(judge, flow) && meet(judge, &(struct lost_flow){
							       .port = flow->asked_port,
							       .to_port = flow->to_port,
							       .addr = flow->to,
						       });
}

/* ---- looking ---- */

static const struct network *network_at(const struct rows *rows, const struct addr *addr)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (network_subnet_with(&rows->networks.items[i], addr))
			return &rows->networks.items[i];
	return NULL;
}

/* A translation of somebody else's comes before ours: who is led past is his. */
static bool has_shadows(const struct inspection *inspection)
{
	for (size_t i = 0; i < inspection->findings.len; i++)
		if (inspection->findings.items[i].code == FINDING_RULE_SHADOWS)
			return true;
	return false;
}

/* Whose guest may it have been that nobody answers for now? */
static int note_guests(bn_ctx *ctx, const struct link_holder *holders, struct judge *judge)
{
	uint32_t bridge = 0;
	int guests = 0;

	for (size_t i = 0; i < judge->lost.len && guests >= 0; i++) {
		if (!holders[i].bridge)
			continue;
		if (holders[i].bridge != bridge)
			guests = bridge_ports(ctx->link, holders[i].bridge, true, &ctx->error);
		bridge = holders[i].bridge;
		if (!judge->lost.items[i].port && guests > 0)
			judge->lost.items[i].is_others = true;
	}
	return guests < 0 ? guests : 0;
}

/* Somebody may have put a guest of his own on the bridge. An endpoint that was there had the MAC of
 * its address, and its neighbours remember it for a while. */
static int note_others(bn_ctx *ctx, const struct rows *rows, bool shadows, struct judge *judge)
{
	CLEANUP_VECTOR VECTOR(struct link_holder) holders = { 0 };
	int r;

	for (size_t i = 0; i < judge->lost.len; i++) {
		const struct addr *addr = &judge->lost.items[i].addr;
		const struct network *network = network_at(rows, addr);
		const struct link_holder holder = {
			.addr = *addr,
			.bridge = network ? link_index(ctx->link, network->bridge) : 0,
		};

		if (vector_append(&holders, holder) < 0)
			return error_oom(&ctx->error);
	}
	r = link_holders_get(ctx->link, holders.items, holders.len, &ctx->error);
	for (size_t i = 0; i < holders.len && r >= 0; i++) {
		const struct link_holder *holder = &holders.items[i];
		uint8_t mac[MAC_LEN];

		mac_from_addr(&holder->addr, 0, mac);
		judge->lost.items[i].is_others =
			judge->lost.items[i].port ?
				shadows :
				holder->is_neighbour && memcmp(mac, holder->mac, MAC_LEN) != 0;
	}
	return r < 0 ? r : note_guests(ctx, holders.items, judge);
}

static int find_lost(bn_ctx *ctx, struct inspection *inspection, const struct lost_flow *flow)
{
	const struct network *network = network_at(&inspection->rows, &flow->addr);
	char addr[ADDR_TEXT_MAX], object[PORT_TEXT_MAX], is[64];
	const struct finding finding = {
		.code = FINDING_FLOWS_STALE,
		.network = network ? network->name : NULL,
		.object = object,
		.is = is,
	};
	bool brackets = flow->port && flow->addr.family == AF_INET6;

	if (flow->is_others)
		return 0;
	addr_format(&flow->addr, addr);
	snprintf(object, sizeof(object), "%s%s%s", brackets ? "[" : "", addr, brackets ? "]" : "");
	snprintf(is, sizeof(is), "nobody has that address");
	if (flow->port) {
		snprintf(object + strlen(object), sizeof(object) - strlen(object), ":%u/udp",
			 flow->to_port);
		snprintf(is, sizeof(is), "port %u/udp of the host leads elsewhere", flow->port);
	}
	return inspection_find(ctx, inspection, &finding);
}

static int judge_all(bn_ctx *ctx, struct judge *judge)
{
	int r;

	sort_known(judge);
	if (!judge->subnets.len)
		return 0;
	r = conntrack_each(&ctx->conntrack, judge_flow, judge, &ctx->deadline, &ctx->error);
	return r >= 0 && judge->failed ? error_oom(&ctx->error) : r;
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP(judge_clear) struct judge judge = { 0 };
	int r = know_rows(&judge, &inspection->rows);

	if (r == 0)
		r = know_rows(&judge, &inspection->moving);
	if (r < 0)
		return error_oom(&ctx->error);
	r = judge_all(ctx, &judge);
	if (r >= 0 && judge.lost.len)
		r = note_others(ctx, &inspection->rows, has_shadows(inspection), &judge);
	for (size_t i = 0; i < judge.lost.len && r >= 0; i++)
		r = find_lost(ctx, inspection, &judge.lost.items[i]);
	return r;
}

/* ---- putting right ---- */

/* Those that are lost still: of what is there by now nothing is. */
static int drop_lost(bn_ctx *ctx, const struct rows *rows, bool shadows)
{
	CLEANUP(judge_clear) struct judge found = { 0 };
	CLEANUP(judge_clear) struct judge judge = { .drops = true };
	int r = know_rows(&found, rows);

	if (r == 0)
		r = know_rows(&judge, rows);
	if (r < 0)
		return error_oom(&ctx->error);
	r = judge_all(ctx, &found);
	if (r >= 0 && found.lost.len)
		r = note_others(ctx, rows, shadows, &found);
	for (size_t i = 0; i < found.lost.len && r >= 0; i++)
		if (!found.lost.items[i].is_others)
			note_lost(&judge, &found.lost.items[i]);
	return r < 0 ? r : judge_all(ctx, &judge);
}

static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = operation_hold(ctx);

	if (r >= 0)
		r = rows_load_all(ctx, &rows);
	if (r >= 0)
		r = drop_lost(ctx, &rows, has_shadows(inspection));
	store_rollback(ctx->store);
	if (r < 0)
		ctx_log(ctx, LOG_ERR, "flows stay: %s", ctx->error.message);
	return 0;
}

const struct inspector inspect_flows = { "flows", false, look, mend, .is_apart = true };
