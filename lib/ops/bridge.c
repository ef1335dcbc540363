/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver of bridge networks: a bridge for each network, a veth pair for each endpoint. */
#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "base/fault.h"
#include "model/ipam.h"
#include "model/policy.h"
#include "model/sysctl.h"
#include "ops/behind.h"
#include "ops/driver.h"
#include "ops/flows.h"
#include "ops/interface.h"
#include "ops/mtu.h"
#include "ops/routing.h"
#include "ops/restraint.h"
#include "ops/rules.h"
#include "ops/wiring.h"

/* ---- networks ---- */

static bool has_bridge(const network_vector *networks, const char *bridge)
{
	for (size_t i = 0; i < networks->len; i++)
		if (strcmp(networks->items[i].bridge, bridge) == 0)
			return true;
	return false;
}

/* The device: the one named (adopted when it exists, with its MTU if none is asked for), bn0 or the
 * next free for the default network, else one that is named after the id. */
static int resolve_bridge(bn_ctx *ctx, const struct network_request *request,
			  struct network *network)
{
	CLEANUP(networks_clear) network_vector others = { 0 };
	uint32_t mtu;
	int r;

	if (request->bridge[0]) {
		string_copy(network->bridge, sizeof(network->bridge), request->bridge);
		network->bridge_adopted = link_mtu(ctx->link, network->bridge, &mtu);
		if (network->bridge_adopted && !network->mtu)
			network->mtu = mtu;
	}
	r = restraint_check_network(ctx, network);
	if (r < 0 || request->bridge[0])
		return r;
	if (strcmp(network->name, DEFAULT_NETWORK) != 0) {
		bridge_name(network->id, network->bridge);
		return 0;
	}
	r = store_networks(ctx->store, STORE_PENDING, &others, &ctx->error);
	for (unsigned int i = 0; i < 1000 && r >= 0; i++) {
		snprintf(network->bridge, sizeof(network->bridge), "bn%u", i);
		if (has_bridge(&others, network->bridge))
			continue;
		r = link_exists(ctx->link, network->bridge, &ctx->error);
		if (r <= 0)
			return r;
	}
	if (r < 0)
		return r;
	return error_set(&ctx->error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
			 "bn0 to bn999 are all taken; name a bridge for network %s", network->name);
}

/* Bridges that are joined somewhere are not to have one MAC. */
static void stand_in_of_id(const char *id, struct addr *ret_addr)
{
	uint32_t hash = (uint32_t)hash_text(HASH_START, id);

	*ret_addr = (struct addr){ .family = AF_INET };
	memcpy(ret_addr->bytes, &hash, sizeof(hash));
}

static void take_subnets(const struct network *network, int family,
			 struct subnet subnets[static SUBNETS_MAX])
{
	size_t len = 0;

	if (!network_has_host(network, family))
		return;
	for_each_subnet(subnet, network, family) {
		subnets[len] = *subnet;
		if (!subnet_host_addr(network, subnet))
			subnets[len].gateway = (struct addr){ 0 };
		len++;
	}
}

struct bridge_config bridge_config_of(const struct network *network, char alias[static ALIAS_MAX])
{
	struct bridge_config config = {
		.name = network->bridge,
		.alias = alias,
		.mtu = network->mtu,
		.stand_in = network->ipv4.prefix.addr,
		.adopt = network->bridge_adopted,
		.links_only = !network_is_managed(network),
	};

	link_alias(network->id, NULL, alias);
	if (!addr_is_set(&config.stand_in))
		config.stand_in = network->ipv6.prefix.addr;
	if (!addr_is_set(&config.stand_in))
		stand_in_of_id(network->id, &config.stand_in);
	take_subnets(network, AF_INET, config.ipv4_subnets);
	take_subnets(network, AF_INET6, config.ipv6_subnets);
	return config;
}

static int plan_network(bn_ctx *ctx, const struct network *network, rule_vector *rules)
{
	const struct rows rows = rows_view(network, NULL, NULL, 0);

	return rules_plan(ctx, PLAN_NETWORKS, &rows, rules);
}

/* The drops stand before there is a device that they are about. */
static int create_bridge(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	char alias[ALIAS_MAX];
	const struct bridge_config config = bridge_config_of(network, alias);
	char note[LINK_NOTE_MAX];
	int r;

	r = plan_network(ctx, network, &rules);
	if (r >= 0)
		r = FAULT("network.rules");
	if (r >= 0)
		r = rules_add(ctx, &rules, NULL, 0);
	if (r < 0)
		return r;
	r = FAULT("network.bridge");
	if (r < 0)
		return r;
	ctx->changed = true;
	r = bridge_create(ctx->link, &config, note, &ctx->error);
	if (r >= 0 && note[0])
		ctx_log(ctx, LOG_WARNING, "network %s: %s", network->name, note);
	return r;
}

static int remove_bridge(bn_ctx *ctx, const struct network *network)
{
	char alias[ALIAS_MAX];
	const struct bridge_config config = bridge_config_of(network, alias);
	bool changed = false;
	int r;

	r = bridge_delete(ctx->link, &config, &changed, &ctx->error);
	ctx->changed |= changed || r == OUTCOME_UNKNOWN;
	return r;
}

bool port_is_on_loopback(const struct port *port)
{
	const struct addr *host = &port->host_addr;

	return port_holds_family(port, AF_INET) &&
	       (!addr_is_set(host) || addr_is_unspecified(host) || addr_is_loopback(host));
}

static int check_bridge(bn_ctx *ctx, const struct rows *rows, uint32_t *ret_bridge)
{
	const struct network *network = rows->networks.items;
	char alias[ALIAS_MAX];
	const struct bridge_config config = bridge_config_of(network, alias);
	bool localnet = false;

	for (size_t i = 0; i < rows->ports.len; i++)
		localnet |= port_is_on_loopback(&rows->ports.items[i]);
	return bridge_ready(ctx->link, &config, localnet, network->name, ret_bridge, &ctx->error);
}

/* ---- endpoints: what is asked ---- */

/* To the place of its subnet. */
static int place_address(bn_ctx *ctx, const struct network *network, const struct addr *address,
			 struct prefix places[static SUBNETS_MAX])
{
	const struct subnet *subnet = network_subnet_with(network, address);
	char text[ADDR_TEXT_MAX], subnet_text[PREFIX_TEXT_MAX];
	struct prefix *place;

	if (!network_subnet(network, address->family))
		return error_set(&ctx->error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
				 "address %s: network %s has no %s subnet",
				 addr_format(address, text), network->name,
				 address->family == AF_INET ? "IPv4" : "IPv6");
	if (!subnet)
		return ipam_check_address(network, address, &ctx->error);
	place = &places[subnet - network_subnet(network, address->family)];
	if (addr_is_set(&place->addr))
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "address %s is the second in subnet %s of network %s; an endpoint "
				 "takes one of each subnet",
				 addr_format(address, text),
				 prefix_format(&subnet->prefix, subnet_text), network->name);
	place->addr = *address;
	place->len = subnet->prefix.len;
	return ipam_check_address(network, address, &ctx->error);
}

static int place_addresses(bn_ctx *ctx, struct attach *attach, int family)
{
	struct prefix places[SUBNETS_MAX] = { 0 };
	int r = 0;

	for_each_address(address, &attach->request->endpoint, family)
		if (r >= 0)
			r = place_address(ctx, &attach->network, &address->addr, places);
	if (r >= 0)
		memcpy(endpoint_prefixes(&attach->endpoint, family), places, sizeof(places));
	return r;
}

static int check_bridged(bn_ctx *ctx, struct attach *attach)
{
	int r;

	r = place_addresses(ctx, attach, AF_INET);
	if (r >= 0)
		r = place_addresses(ctx, attach, AF_INET6);
	if (r >= 0)
		r = interface_check(ctx, attach);
	return r < 0 ? r : routing_check(ctx, attach);
}

/* ---- reserve ---- */

/* One of the same call has no link yet. */
static bool comes_before(const struct attach *attach, const struct endpoint *endpoint)
{
	for (const struct attach *other = attach->first; other < attach; other++)
		if (strcmp(other->endpoint.network, endpoint->network) == 0 &&
		    strcmp(other->endpoint.id, endpoint->id) == 0)
			return true;
	return false;
}

/* Who bridges two interfaces of one network, for containers in a container say, has made a ring, in
 * which every broadcast goes round as fast as the machine can. One whose interface somebody has
 * deleted is in nobody's way. */
static int check_only_one(bn_ctx *ctx, const struct attach *attach)
{
	const struct network *network = &attach->network;

	for (size_t i = 0; i < attach->siblings.len && !attach->request->same_network; i++) {
		const struct endpoint *sibling = &attach->siblings.items[i];
		const struct link_end end = { sibling, network->id };
		int r;

		if (strcmp(sibling->network, network->name) != 0)
			continue;
		r = comes_before(attach, sibling);
		if (r == 0)
			r = link_endpoint_is_there(ctx->link, &end, &ctx->error);
		if (r > 0)
			r = error_set(&ctx->error, -EEXIST, BN_REASON_ENDPOINT_EXISTS,
				      "namespace %s is on network %s already, as endpoint %s; "
				      "detach that one, attach to another network, or allow a "
				      "second endpoint on the same one",
				      sandbox_name(&attach->sandbox), sibling->network,
				      sibling->id);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Of each subnet for which none was asked for. */
static int pick_addresses(bn_ctx *ctx, const struct network *network, int family,
			  struct endpoint *endpoint)
{
	struct prefix *places = endpoint_prefixes(endpoint, family);
	size_t at = 0;
	int r = 0;

	for_each_subnet(subnet, network, family) {
		if (r >= 0 && !places[at].addr.family) {
			places[at].len = subnet->prefix.len;
			r = store_address_pick(ctx->store, network, family, at, &places[at].addr,
					       &ctx->error);
		}
		at++;
	}
	return r;
}

static int choose_mac(bn_ctx *ctx, struct attach *attach)
{
	const struct network *network = &attach->network;
	struct endpoint *endpoint = &attach->endpoint;
	char alias[ALIAS_MAX], mac[MAC_TEXT_MAX];
	const struct bridge_config config = bridge_config_of(network, alias);
	uint8_t bridge[MAC_LEN];

	bridge_mac(ctx->link, &config, bridge);
	if (!attach->request->mac_given)
		return store_mac_pick(ctx->store, endpoint, bridge, &ctx->error);
	if (memcmp(endpoint->mac, bridge, MAC_LEN) != 0)
		return 0;
	return error_set(&ctx->error, -EADDRINUSE, BN_REASON_ADDRESS_IN_USE,
			 "MAC address %s is that of bridge %s of network %s; choose another for "
			 "endpoint %s or give none",
			 mac_format(bridge, mac), network->bridge, network->name, endpoint->id);
}

static int reserve_bridged(bn_ctx *ctx, const struct operation *operation, struct attach *attach)
{
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	r = store_siblings(ctx->store, operation, endpoint, &attach->siblings, &ctx->error);
	if (r >= 0)
		r = check_only_one(ctx, attach);
	if (r >= 0)
		r = interface_choose(ctx, attach);
	if (r >= 0)
		r = pick_addresses(ctx, &attach->network, AF_INET, endpoint);
	if (r >= 0 && !sysctl_disables_ipv6(endpoint))
		r = pick_addresses(ctx, &attach->network, AF_INET6, endpoint);
	if (r >= 0)
		r = routing_choose(ctx, attach);
	if (r < 0)
		return r;
	r = restraint_check(ctx, &attach->network, endpoint);
	if (r >= 0)
		r = choose_mac(ctx, attach);
	if (r >= 0)
		r = behind_check(ctx, &attach->network, endpoint);
	return r < 0 ? r : routing_choose_sources(ctx, attach);
}

/* ---- kernel ---- */

static int create_link(bn_ctx *ctx, struct attach *attach, uint32_t bridge)
{
	const struct network *network = &attach->network;
	struct endpoint *endpoint = &attach->endpoint;
	CLEANUP(wiring_clear) struct wiring wiring = { 0 };
	struct link_endpoint_made made;
	int r = wiring_make(ctx, network, endpoint, &wiring);

	if (r < 0)
		return r;
	wiring.config.visit = attach->visit;
	wiring.config.bridge_index = bridge;
	wiring.config.metric_room = attach->metric_room;
	wiring.config.sources = &attach->sources;
	r = link_endpoint_create(ctx->link, &attach->sandbox, &wiring.config, &made, &ctx->error);
	if (r < 0)
		return r;
	attach->announcer = made.announcer;
	attach->metric_step = made.metric_step;
	for_each_family(family)
		if (endpoint_metric(endpoint, family))
			endpoint_set_metric(endpoint, family,
					    endpoint_metric(endpoint, family) + made.metric_step);
	if (made.note[0])
		ctx_log(ctx, LOG_WARNING, "%s", made.note);
	return link_shape(ctx->link, network, NULL, endpoint, &ctx->error);
}

/* On somebody else's bridge route_localnet is on for ports that are not ours, so this is not left
 * to whoever has flushed a table. */
static int add_loopback_guards(bn_ctx *ctx, const struct network *network, rule_vector *rules)
{
	CLEANUP(rules_clear) rule_vector guards = { 0 };
	size_t kept = 0;
	int r;

	if (!network->bridge_adopted || !network_subnet(network, AF_INET))
		return 0;
	r = plan_network(ctx, network, &guards);
	for (size_t i = 0; i < guards.len; i++)
		if (guards.items[i].kind == RULE_LOOPBACK_DROP ||
		    guards.items[i].kind == RULE_LOOPBACK_SOURCE_DROP)
			guards.items[kept++] = guards.items[i];
	guards.len = kept;
	return r < 0 ? r : rules_add_flushed(ctx, &guards, rules);
}

static int create_bridged(bn_ctx *ctx, struct attach *attach)
{
	const struct rows rows = rows_view(&attach->network, &attach->endpoint, attach->ports.items,
					   attach->ports.len);
	CLEANUP_VECTOR prefix_vector local = { 0 };
	uint32_t bridge;
	int r;

	r = check_bridge(ctx, &rows, &bridge);
	if (r >= 0)
		r = behind_check_host(ctx, &attach->endpoint, NULL);
	if (r >= 0)
		r = ports_probe(ctx, &attach->endpoint, &attach->ports, attach->request->port_flags,
				&attach->held);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ENDPOINTS | PLAN_PORTS, &rows, &attach->rules);
	if (r >= 0)
		r = FAULT("attach.rules");
	if (r >= 0)
		r = flows_drop_led_away(ctx, &rows, &local);
	if (r >= 0)
		r = add_loopback_guards(ctx, &attach->network, &attach->rules);
	/* the drops stand before there is an interface that they are about */
	if (r >= 0)
		r = rules_add(ctx, &attach->rules, &rows, PLAN_NETWORKS);
	if (r < 0)
		return r;
	r = FAULT("attach.link");
	if (r < 0)
		return r;
	ctx->changed = true;
	r = create_link(ctx, attach, bridge);
	if (r >= 0)
		r = behind_add(ctx, &attach->network, &attach->endpoint, NULL);
	if (r >= 0)
		r = FAULT("attach.flows");
	return r < 0 ? r : flows_drop_past(ctx, &rows, &local);
}

/* The first has gone out with the link. The endpoint stands: what time there is left is taken. */
static void announce_bridged(bn_ctx *ctx, struct attach *attach)
{
	const struct network_policy *policy = &attach->network.policy;

	for (uint32_t i = 1; i < policy->advertise_count; i++) {
		const struct deadline pause =
			deadline_within(&ctx->deadline, policy->advertise_interval_ms);

		deadline_wait(&pause, -1);
		if (deadline_check(&ctx->deadline) < 0)
			break;
		link_announce(&attach->announcer);
	}
}

/* ---- update ---- */

static int check_network_update(bn_ctx *ctx, const struct network *before, struct network *after)
{
	int r = mtu_check_network(ctx, before, after);

	return r < 0 ? r : restraint_check_network(ctx, after);
}

static int update_network(bn_ctx *ctx, const struct network *before, const struct network *after)
{
	char alias[ALIAS_MAX];
	const struct bridge_config config = bridge_config_of(after, alias);
	int r = restraint_update_network(ctx, before, after);

	return r < 0 ? r : mtu_update_network(ctx, &config, before, after);
}

static int check_endpoint_update(bn_ctx *ctx, const struct operation *operation,
				 const struct network *network, const struct endpoint *before,
				 struct endpoint *after)
{
	int r;

	if (after->policy.mtu != before->policy.mtu)
		after->mtu = after->policy.mtu ? after->policy.mtu : network->mtu;
	r = interface_check_mtu(ctx, network, after);
	if (r >= 0)
		r = mtu_check_endpoint(ctx, before, after);
	if (r >= 0)
		r = restraint_check(ctx, network, after);
	if (r >= 0)
		r = behind_check(ctx, network, after);
	if (r >= 0)
		r = behind_check_host(ctx, after, before);
	return r < 0 ? r : routing_choose_again(ctx, operation, network, before, after);
}

static int update_endpoint(bn_ctx *ctx, const struct network *network,
			   const struct endpoint *before, const struct endpoint *after)
{
	int r = restraint_update(ctx, network, before, after);

	if (r >= 0)
		r = mtu_update_endpoint(ctx, network, before, after);
	if (r >= 0)
		r = behind_remove(ctx, network, before, after);
	if (r >= 0)
		r = behind_add(ctx, network, after, before);
	return r < 0 ? r : routing_update(ctx, network, before, after);
}

const struct driver_ops bridge_driver = {
	.network_resolve = resolve_bridge,
	.network_create = create_bridge,
	.network_remove = remove_bridge,
	.network_check = check_bridge,
	.network_update_check = check_network_update,
	.network_update = update_network,
	.endpoint_check = check_bridged,
	.endpoint_reserve = reserve_bridged,
	.endpoint_create = create_bridged,
	.endpoint_announce = announce_bridged,
	.endpoint_update_check = check_endpoint_update,
	.endpoint_update = update_endpoint,
};
