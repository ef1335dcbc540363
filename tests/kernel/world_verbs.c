/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs: each makes what it asks for, calls, and writes down what it got. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- networks ---- */

static const char *const subnets[][2] = {
	{ "172.30.0.0/24", "fd00:30::/64" }, { "172.31.0.0/24", "fd00:31::/64" },
	{ "172.29.0.0/24", "fd00:29::/64" }, { "172.28.0.0/24", "fd00:28::/64" },
	{ "172.27.0.0/24", "fd00:27::/64" }, { "172.26.0.0/24", "fd00:26::/64" },
	{ "172.25.0.0/24", "fd00:25::/64" },
};

static void describe_network(const bn_network *network, char text[static ANSWER_MAX])
{
	size_t len = strlen(text);

	snprintf(text + len, ANSWER_MAX - len, "%s %s %s %s %zu endpoints; ",
		 bn_network_name(network), bn_network_bridge(network),
		 bn_network_subnet_count(network) ? bn_network_subnet_at(network, 0) : "-",
		 bn_network_subnet_count(network) > 1 ? bn_network_subnet_at(network, 1) : "-",
		 bn_network_endpoint_count(network));
}

static void add_subnet(bn_network_spec *spec, const char *const subnet[2])
{
	if (setting.family != FAMILY_IPV6)
		bn_network_spec_add_subnet(spec, subnet[0]);
	if (setting.family != FAMILY_IPV4)
		bn_network_spec_add_subnet(spec, subnet[1]);
}

static bn_network_spec *network_spec(const char *name, const char *bridge,
				     const char *const subnet[2])
{
	bn_network_spec *spec;

	if (bn_network_spec_new(name, &spec) < 0)
		abort();
	bn_network_spec_set_bridge(spec, bridge);
	bn_network_spec_set_ipv4(spec, setting.family != FAMILY_IPV6);
	add_subnet(spec, subnet);
	return spec;
}

static int create_of(bn_ctx *ctx, char text[static ANSWER_MAX], bn_network_spec *spec,
		     uint32_t flags)
{
	bn_network *network = NULL;
	int r = bn_network_create(ctx, spec, flags, &network);

	if (r == 0)
		describe_network(network, text);
	bn_network_free(network);
	bn_network_spec_free(spec);
	return r;
}

static int create_network(bn_ctx *ctx, char text[static ANSWER_MAX], const char *name,
			  const char *bridge, const char *const subnet[2], uint32_t flags)
{
	return create_of(ctx, text, network_spec(name, bridge, subnet), flags);
}

static int create(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return create_network(ctx, text, "front", "front0", subnets[0], 0);
}

static int create_back(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return create_network(ctx, text, "back", "back0", subnets[1], 0);
}

/* One that outlives the state. */
static int create_kept(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_network_spec *spec = network_spec("kept", "kept0", subnets[5]);

	bn_network_spec_set_persistent(spec, 1);
	return create_of(ctx, text, spec, 0);
}

static int delete_kept(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_network_delete(ctx, "kept", 0);
}

/* Of two subnets of a family. */
static int create_spare(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_network_spec *spec = network_spec("spare", "spare0", subnets[2]);

	add_subnet(spec, subnets[6]);
	return create_of(ctx, text, spec, 0);
}

static int create_side(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return create_network(ctx, text, "side", "side0", subnets[4], 0);
}

/* The subnet of another. */
static int create_same(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return create_network(ctx, text, "back", "back0", subnets[0], 0);
}

static int create_existing_ok(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return create_network(ctx, text, "front", "front0", subnets[0], BN_CREATE_EXISTING_OK);
}

/* The bridge is the host's. */
static int create_adopting(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return create_network(ctx, text, "adopted", HOST_BRIDGE, subnets[3], 0);
}

static int get_network(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_network *network = NULL;
	int r = bn_network_get(ctx, "front", 0, &network);

	if (r == 0)
		describe_network(network, text);
	bn_network_free(network);
	return r;
}

static int delete_front(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_network_delete(ctx, "front", 0);
}

static int delete_missing_ok(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_network_delete(ctx, "front", BN_DELETE_MISSING_OK);
}

static int delete_all(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_network_delete(ctx, "front", BN_DELETE_ENDPOINTS);
}

static int delete_spare(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_network_delete(ctx, "spare", 0);
}

static int delete_spare_all(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_network_delete(ctx, "spare", BN_DELETE_ENDPOINTS);
}

/* Who is outside gets to all ports, and neighbours to each other no more; or all as it was. */
static int update_network(bn_ctx *ctx, char text[static ANSWER_MAX], const char *mode,
			  const char *icc)
{
	bn_network *network = NULL;
	bn_network_spec *spec;
	int r;

	if (bn_network_spec_new("front", &spec) < 0)
		abort();
	if (setting.family != FAMILY_IPV6)
		bn_network_spec_set_option(spec, "gateway-mode-ipv4", mode);
	if (setting.family != FAMILY_IPV4)
		bn_network_spec_set_option(spec, "gateway-mode-ipv6", mode);
	bn_network_spec_set_option(spec, "icc", icc);
	r = bn_network_update(ctx, spec, 0, &network);
	if (r == 0)
		describe_network(network, text);
	bn_network_free(network);
	bn_network_spec_free(spec);
	return r;
}

static int update(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return update_network(ctx, text, "nat-unprotected", "no");
}

static int update_back(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return update_network(ctx, text, "", "");
}

/* The bridge and both ends of all links. */
static int update_mtu(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_network *network = NULL;
	bn_network_spec *spec;
	int r;

	if (bn_network_spec_new("front", &spec) < 0)
		abort();
	bn_network_spec_set_mtu(spec, 1400);
	r = bn_network_update(ctx, spec, 0, &network);
	if (r == 0)
		describe_network(network, text);
	bn_network_spec_free(spec);
	bn_network_free(network);
	return r;
}

/* ---- endpoints ---- */

struct wanted {
	const char *network, *id;
	size_t sandbox;
	const char *ipv4, *ipv6; /* NULL: any */
	const char *ports[3];
	int priority; /* of its default route */
	uint32_t flags;
	bool limited; /* both ways */
	/* in the second subnets of the network */
	const char *second_ipv4, *second_ipv6;
};

static void describe_endpoint(const bn_endpoint *endpoint, char text[static ANSWER_MAX])
{
	size_t len = strlen(text);

	snprintf(text + len, ANSWER_MAX - len, "%s %s %s %s %s %s %zu ports, metric %u; ",
		 bn_endpoint_network(endpoint), bn_endpoint_id(endpoint),
		 bn_endpoint_state(endpoint), bn_endpoint_interface_name(endpoint),
		 bn_endpoint_address_at(endpoint, 0),
		 bn_endpoint_address_count(endpoint) > 1 ? bn_endpoint_address_at(endpoint, 1) :
							   "-",
		 bn_port_list_len(bn_endpoint_ports(endpoint)),
		 bn_endpoint_route_metric_at(endpoint, 0));
}

static void add_ports(bn_endpoint_spec *spec, const struct wanted *wanted)
{
	bn_port_spec *port;

	for (size_t i = 0; i < 3 && wanted->ports[i]; i++) {
		if (setting.family == FAMILY_IPV6 && strncmp(wanted->ports[i], "127.", 4) == 0)
			continue;
		if (bn_port_spec_new(wanted->ports[i], &port) < 0)
			abort();
		bn_endpoint_spec_add_port(spec, port);
		bn_port_spec_free(port);
	}
}

static bn_endpoint_spec *spec_of(const struct wanted *wanted)
{
	bn_endpoint_spec *spec;

	if (bn_endpoint_spec_new(wanted->network, wanted->id, &spec) < 0)
		abort();
	bn_endpoint_spec_set_sandbox_path(spec, sandbox_path(wanted->sandbox));
	if (wanted->ipv4 && setting.family != FAMILY_IPV6)
		bn_endpoint_spec_add_address(spec, wanted->ipv4);
	if (wanted->ipv6 && setting.family != FAMILY_IPV4)
		bn_endpoint_spec_add_address(spec, wanted->ipv6);
	if (wanted->second_ipv4 && setting.family != FAMILY_IPV6)
		bn_endpoint_spec_add_address(spec, wanted->second_ipv4);
	if (wanted->second_ipv6 && setting.family != FAMILY_IPV4)
		bn_endpoint_spec_add_address(spec, wanted->second_ipv6);
	add_ports(spec, wanted);
	bn_endpoint_spec_set_gateway_priority(spec, wanted->priority);
	if (wanted->limited) {
		bn_endpoint_spec_set_option(spec, "rate-in", "20M");
		bn_endpoint_spec_set_option(spec, "rate-out", "20M");
	}
	return spec;
}

static int attach_endpoint(bn_ctx *ctx, char text[static ANSWER_MAX], const struct wanted *wanted)
{
	bn_endpoint *endpoint = NULL;
	bn_endpoint_spec *spec = spec_of(wanted);
	int r;

	r = bn_endpoint_attach(ctx, spec, wanted->flags, &endpoint);
	if (r == 0)
		describe_endpoint(endpoint, text);
	bn_endpoint_free(endpoint);
	bn_endpoint_spec_free(spec);
	return r;
}

static int attach(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front", "new", 2, "172.30.0.20", "fd00:30::20", { NULL },
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int attach_ports(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front",       "served",      3,
		"172.30.0.30", "fd00:30::30", { "8080:80", "8443-8446:443-446", "6000:60/udp" },
	};

	return attach_endpoint(ctx, text, &wanted);
}

/* On three networks, of which the second is made by it. */
static int attach_several(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted[] = {
		{ "front", "several", 2, "172.30.0.40", "fd00:30::40", { "8040:80" } },
		{ "bridge", "several", 2, NULL, NULL, { NULL } },
		{ "spare",
		  "several",
		  2,
		  "172.29.0.40",
		  "fd00:29::40",
		  { "8041:80" },
		  3,
		  .second_ipv4 = "172.25.0.40",
		  .second_ipv6 = "fd00:25::40" },
	};
	bn_endpoint_list *list = NULL;
	bn_endpoint_spec_list *specs;
	int r;

	if (bn_endpoint_spec_list_new(&specs) < 0)
		abort();
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		bn_endpoint_spec *spec = spec_of(&wanted[i]);

		bn_endpoint_spec_set_option(spec, "sysctl.net.ipv4.conf.IFNAME.log_martians", "1");
		bn_endpoint_spec_add_typed_route(spec, "blackhole", "10.66.0.0/16", NULL,
						 (uint32_t)i + 1);
		if (i == 2)
			bn_endpoint_spec_set_option(spec, "routes-for",
						    setting.family == FAMILY_IPV6 ? "fd67::/64" :
										    "10.67.0.0/16");
		bn_endpoint_spec_list_add(specs, spec);
		bn_endpoint_spec_free(spec);
	}
	r = bn_endpoints_attach(ctx, specs, 0, &list);
	for (size_t i = 0; r == 0 && i < bn_endpoint_list_len(list); i++)
		describe_endpoint(bn_endpoint_list_at(list, i), text);
	bn_endpoint_list_free(list);
	bn_endpoint_spec_list_free(specs);
	return r;
}

static int attach_limited(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front", "limited", 2, "172.30.0.50", "fd00:30::50", { NULL }, .limited = true,
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int detach_limited(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "front", "limited", 0);
}

static int update_endpoint(bn_ctx *ctx, char text[static ANSWER_MAX], const char *network,
			   const char *id, const char *const (*options)[2])
{
	bn_endpoint *endpoint = NULL;
	bn_endpoint_spec *spec;
	int r;

	if (bn_endpoint_spec_new(network, id, &spec) < 0)
		abort();
	for (; (*options)[0]; options++)
		bn_endpoint_spec_set_option(spec, (*options)[0], (*options)[1]);
	r = bn_endpoint_update(ctx, spec, 0, &endpoint);
	if (r == 0)
		describe_endpoint(endpoint, text);
	bn_endpoint_free(endpoint);
	bn_endpoint_spec_free(spec);
	return r;
}

/* Of all that an update changes, but what siblings are about. */
static int update_most(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	const char *const options[][2] = {
		{ "mtu", "1400" },
		{ "rate-in", "20M" },
		{ "anti-spoof", "full" },
		{ "metric", "7" },
		{ "label.tier", "front" },
		{ "routes-for", setting.family == FAMILY_IPV6 ? "fd68::/64" : "10.68.0.0/16" },
		{ NULL },
	};

	return update_endpoint(ctx, text, "front", "web", options);
}

/* What leaves goes by another, by IPv4 at least. */
static int update_ways(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const char *const options[][2] = {
		{ "gateway-priority-ipv4", "9" },
		{ "gateway-priority-ipv6", "3" },
		{ NULL },
	};

	return update_endpoint(ctx, text, "spare", "twin", options);
}

static int update_no_way(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const char *const options[][2] = { { "default-route", "no" }, { NULL } };

	return update_endpoint(ctx, text, "front", "web", options);
}

static int attach_web(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front",       "web",         0,
		"172.30.0.12", "fd00:30::12", { "8799:1337", "127.0.0.1:5353:53" },
	};

	return attach_endpoint(ctx, text, &wanted);
}

/* The same endpoint in another place. */
static int attach_moved(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front", "web", 0, "172.30.0.77", "fd00:30::77", { "8799:1337" },
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int update_web(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_endpoint *endpoint = NULL;
	bn_endpoint_spec *spec;
	int r;

	if (bn_endpoint_spec_new("front", "web", &spec) < 0)
		abort();
	bn_endpoint_spec_set_option(spec, "label.tier", "front");
	bn_endpoint_spec_set_option(spec, "hostname", "web");
	r = bn_endpoint_update(ctx, spec, 0, &endpoint);
	if (r == 0)
		describe_endpoint(endpoint, text);
	bn_endpoint_free(endpoint);
	bn_endpoint_spec_free(spec);
	return r;
}

static int attach_db(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front", "db", 1, "172.30.0.13", "fd00:30::13", { NULL },
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int attach_lost(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front", "lost", LOST_SANDBOX, "172.30.0.40", "fd00:30::40", { "7100:71" },
	};

	return attach_endpoint(ctx, text, &wanted);
}

/* Where the one that is lost was, which may be there still. */
static int attach_instead(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front", "found", 2, "172.30.0.40", "fd00:30::40", { "7100:71" },
	};

	return attach_endpoint(ctx, text, &wanted);
}

/* The network that is made when it is first asked for. */
static int attach_bridge(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = { "bridge", "web", 0, NULL, NULL, { "7000:70" } };

	return attach_endpoint(ctx, text, &wanted);
}

/* In one sandbox: two that are there, and two that come, on one network so that there are no more. */

static int attach_first(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"front", "web", 0, "172.30.0.12", "fd00:30::12", { "8799:1337" }, 2, 0,
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int attach_second(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"spare",
		"twin",
		0,
		"172.29.0.12",
		"fd00:29::12",
		{ "8900:90" },
		1,
		0,
		.second_ipv4 = "172.25.0.12",
		.second_ipv6 = "fd00:25::12",
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int attach_better(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"side",        "better",      0, "172.27.0.20",
		"fd00:27::20", { "8270:27" }, 5, BN_ATTACH_SAME_NETWORK,
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int attach_extra(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	static const struct wanted wanted = {
		"side",        "extra",       0,  "172.27.0.21",
		"fd00:27::21", { "8271:27" }, -1, BN_ATTACH_SAME_NETWORK,
	};

	return attach_endpoint(ctx, text, &wanted);
}

static int detach_extra(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "side", "extra", 0);
}

static int detach_second(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "spare", "twin", 0);
}

static int detach(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "front", "web", 0);
}

static int detach_db(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "front", "db", 0);
}

static int detach_lost(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "front", "lost", 0);
}

static int collect(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_endpoint_list *list = NULL;
	int r = bn_endpoints_collect(ctx, NULL, 0, &list);

	for (size_t i = 0; r == 0 && i < bn_endpoint_list_len(list); i++)
		describe_endpoint(bn_endpoint_list_at(list, i), text);
	bn_endpoint_list_free(list);
	return r;
}

static int detach_quick(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "front", "web", BN_DETACH_QUICK);
}

static int detach_async(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "front", "web", BN_DETACH_ASYNC);
}

static int detach_web_and_db(bn_ctx *ctx, uint32_t flags)
{
	bn_name_list *names;
	int r;

	if (bn_name_list_new(&names) < 0)
		abort();
	bn_name_list_add(names, "web");
	bn_name_list_add(names, "db");
	r = bn_endpoints_detach(ctx, "front", names, flags);
	bn_name_list_free(names);
	return r;
}

static int detach_both(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return detach_web_and_db(ctx, 0);
}

/* The network goes with the last of them, and one that is empty goes as well. */
static int detach_last(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return detach_web_and_db(ctx, BN_DETACH_DELETE_EMPTY | BN_DETACH_MISSING_OK);
}

/* ---- ports ---- */

/* Each port of UDP has all flows of the machine looked through, once for each verb: one has one. */

/* Without the host port, when it was picked. */
static void describe_port(const bn_port *port, char text[static ANSWER_MAX])
{
	bool picked = bn_port_host_port(port) >= 30000;
	size_t len = strlen(text);

	snprintf(text + len, ANSWER_MAX - len, "%s %s %s %u+%u:%u; ", bn_port_network(port),
		 bn_port_endpoint(port), bn_port_protocol(port),
		 picked ? 0 : bn_port_host_port(port), bn_port_count(port),
		 bn_port_container_port(port));
}

static int publish_mapping(bn_ctx *ctx, char text[static ANSWER_MAX], const char *mapping)
{
	bn_port *port = NULL;
	bn_port_spec *spec;
	int r;

	if (bn_port_spec_new(mapping, &spec) < 0)
		abort();
	r = bn_port_publish(ctx, "front", "web", spec, 0, &port);
	if (r == 0)
		describe_port(port, text);
	bn_port_free(port);
	bn_port_spec_free(spec);
	return r;
}

static int publish(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return publish_mapping(ctx, text, "8080:81");
}

static int publish_pick(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return publish_mapping(ctx, text, "82");
}

static int publish_range(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return publish_mapping(ctx, text, "9000-9003:9000-9003");
}

static int unpublish(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_port_spec *spec;
	int r;

	(void)text;
	if (bn_port_spec_new("9000-9003:9000-9003", &spec) < 0)
		abort();
	r = bn_port_unpublish(ctx, "front", "web", spec, 0);
	bn_port_spec_free(spec);
	return r;
}

static int move_ports(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_port_list *list = NULL;
	int r = bn_port_move(ctx, "front", "web", "spare", "twin", NULL, 0, &list);

	for (size_t i = 0; r == 0 && i < bn_port_list_len(list); i++)
		describe_port(bn_port_list_at(list, i), text);
	bn_port_list_free(list);
	return r;
}

/* The ports have lists from then on. */
static int update_port(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_port *port = NULL;
	bn_port_spec *spec;
	int r;

	if (bn_port_spec_new("8799:1337", &spec) < 0)
		abort();
	bn_port_spec_set_option(spec, "allow-from", "192.0.2.0/24,2001:db8::/32");
	bn_port_spec_set_option(spec, "deny-from", "192.0.2.7,2001:db8::7");
	r = bn_port_publish(ctx, "front", "web", spec, BN_PUBLISH_UPDATE, &port);
	if (r == 0)
		describe_port(port, text);
	bn_port_free(port);
	bn_port_spec_free(spec);
	return r;
}

static int detach_moving(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_endpoint_detach(ctx, "front", "web", BN_DETACH_MOVE_PORTS);
}

/* ---- the others ---- */

static int move(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	(void)text;
	return bn_backend_switch(
		ctx, strcmp(setting.backend, "nftables") == 0 ? "iptables-legacy" : "nftables", 0);
}

static int list_networks(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_network_list *list = NULL;
	int r = bn_networks_list(ctx, 0, &list);

	for (size_t i = 0; r == 0 && i < bn_network_list_len(list); i++)
		describe_network(bn_network_list_at(list, i), text);
	bn_network_list_free(list);
	return r;
}

static int list_endpoints(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_endpoint_list *list = NULL;
	int r = bn_endpoints_list(ctx, NULL, 0, &list);

	for (size_t i = 0; r == 0 && i < bn_endpoint_list_len(list); i++)
		describe_endpoint(bn_endpoint_list_at(list, i), text);
	bn_endpoint_list_free(list);
	return r;
}

static int list_ports(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_port_list *list = NULL;
	int r = bn_ports_list(ctx, NULL, NULL, 0, &list);

	for (size_t i = 0; r == 0 && i < bn_port_list_len(list); i++)
		describe_port(bn_port_list_at(list, i), text);
	bn_port_list_free(list);
	return r;
}

/* What is wrong, and stays so. */
static void describe_left(const bn_finding_list *list, char text[static ANSWER_MAX])
{
	for (size_t i = 0; i < bn_finding_list_len(list); i++) {
		const bn_finding *finding = bn_finding_list_at(list, i);
		size_t len = strlen(text);

		if (!bn_finding_repaired(finding))
			snprintf(text + len, ANSWER_MAX - len, "%s; ", bn_finding_text(finding));
	}
}

static int check(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_finding_list *list = NULL;
	int r = bn_check(ctx, NULL, NULL, 0, &list);

	if (r == 0)
		describe_left(list, text);
	bn_finding_list_free(list);
	return r;
}

static int repair_with(bn_ctx *ctx, char text[static ANSWER_MAX], uint32_t flags)
{
	bn_finding_list *list = NULL;
	int r = bn_repair(ctx, NULL, NULL, flags, &list);

	if (r == 0)
		describe_left(list, text);
	bn_finding_list_free(list);
	return r;
}

static int repair(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return repair_with(ctx, text, 0);
}

static int repair_unknown(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	return repair_with(ctx, text, BN_REPAIR_REMOVE_UNKNOWN);
}

/* Half of what another verb is doing may be there: only that there is anything is the same. */
static int list_rules(bn_ctx *ctx, char text[static ANSWER_MAX])
{
	bn_rule_list *list = NULL;
	int r = bn_rules_list(ctx, NULL, BN_RULES_VERBOSE, &list);

	if (r == 0)
		strcpy(text, bn_rule_list_len(list) ? "rules" : "no rules");
	bn_rule_list_free(list);
	return r;
}

#define EMPTY IN(WORLD_EMPTY)
#define BARE IN(WORLD_BARE)
#define FULL IN(WORLD_FULL)
#define FLUSHED IN(WORLD_FLUSHED)
#define LOST IN(WORLD_LOST)
#define JOINED IN(WORLD_JOINED)

const struct verb verbs[] = {
	{ "create", { create }, EMPTY | BARE, EMPTY },
	{ "create-back", { create_back }, EMPTY | BARE | FULL | FLUSHED | LOST, FLUSHED | FULL },
	{ "create-kept", { create_kept }, EMPTY | BARE, EMPTY },
	{ "keep-and-delete", { create_kept, delete_kept }, EMPTY | BARE, 0 },
	{ "create-same-subnet", { create_same }, EMPTY | BARE, 0 },
	{ "create-spare", { create_spare }, 0, 0 },
	{ "create-side", { create_side }, 0, 0 },
	{ "create-existing-ok", { create_existing_ok }, EMPTY | BARE | FULL, 0 },
	{ "create-adopting", { create_adopting }, EMPTY | BARE, EMPTY },
	{ "get-network", { get_network }, EMPTY | BARE | FULL, 0 },
	{ "update", { update }, BARE | FULL | FLUSHED | LOST, FULL | FLUSHED },
	{ "update-back", { update_back }, 0, 0 },
	{ "update-and-back", { update, update_back }, FULL, 0 },
	{ "update-endpoint", { update_web }, FULL | JOINED, FULL },
	{ "update-mtu", { update_mtu }, BARE | FULL | LOST, FULL },
	{ "attach", { attach }, BARE | FULL, FULL },
	{ "attach-ports", { attach_ports }, FULL | FLUSHED | LOST, FULL | FLUSHED },
	{ "attach-several", { attach_several }, FULL, FULL },
	{ "attach-limited", { attach_limited }, FULL | LOST, FULL },
	{ "visit-limited", { attach_limited, detach_limited }, FULL, 0 },
	{ "attach-bridge", { attach_bridge }, EMPTY | BARE | FULL, EMPTY | FULL },
	{ "attach-web", { attach_web }, 0, 0 },
	{ "attach-db", { attach_db }, 0, 0 },
	{ "attach-first", { attach_first }, 0, 0 },
	{ "attach-second", { attach_second }, 0, 0 },
	{ "attach-better", { attach_better }, JOINED, JOINED },
	{ "attach-extra", { attach_extra }, JOINED, 0 },
	{ "visit", { attach_extra, detach_extra }, 0, 0 },
	{ "detach", { detach }, FULL | FLUSHED | JOINED, FULL | FLUSHED | JOINED },
	{ "detach-second", { detach_second }, JOINED, JOINED },
	{ "update-most", { update_most }, FULL | FLUSHED, FULL },
	{ "update-ways", { update_ways }, JOINED, JOINED },
	{ "update-no-way", { update_no_way }, JOINED, JOINED },
	{ "detach-db", { detach_db }, FLUSHED, 0 },
	{ "attach-lost", { attach_lost }, 0, 0 },
	{ "attach-instead", { attach_instead }, LOST, 0 },
	{ "detach-lost", { detach_lost }, LOST, 0 },
	{ "collect", { collect }, FULL | LOST | JOINED, LOST },
	{ "detach-quick", { detach_quick }, FULL | JOINED, FULL | JOINED },
	{ "detach-async", { detach_async }, FULL | JOINED, FULL | JOINED },
	{ "detach-several", { detach_both }, FULL, FULL },
	{ "detach-delete-empty", { detach_last }, BARE | FULL, FULL },
	{ "detach-and-attach", { detach, attach_moved }, FULL | JOINED, 0 },
	{ "publish", { publish }, FULL | FLUSHED | JOINED, FULL },
	{ "publish-pick", { publish_pick }, FULL, FULL },
	{ "publish-range", { publish_range }, 0, 0 },
	{ "unpublish", { unpublish }, FULL | FLUSHED, FULL | FLUSHED },
	{ "port-update", { update_port }, FULL | JOINED, FULL },
	{ "port-move", { move_ports }, JOINED, JOINED },
	{ "detach-moving", { detach_moving }, JOINED, JOINED },
	{ "delete", { delete_front }, BARE, BARE },
	{ "delete-missing-ok", { delete_missing_ok }, BARE, 0 },
	{ "delete-spare", { delete_spare }, FULL | FLUSHED, FULL },
	{ "delete-spare-endpoints", { delete_spare_all }, JOINED, JOINED },
	{ "delete-endpoints", { delete_all }, BARE | FULL | FLUSHED | LOST, FULL | BARE },
	{ "delete-and-create", { delete_all, create, attach_web }, BARE | FULL, 0 },
	{ "switch", { move }, BARE | FULL | LOST, FULL },
	{ "repair", { repair }, EMPTY | BARE | FULL | FLUSHED | LOST | JOINED, FLUSHED | LOST },
	{ "repair-unknown", { repair_unknown }, BARE | FULL | JOINED, 0 },
	/* those that fail */
	{ "create-fails", { create }, EMPTY, 0, "settle", -EIO },
	{ "create-back-fails", { create_back }, EMPTY | BARE | FULL, 0, "settle", -EIO },
	{ "create-kept-fails", { create_kept }, EMPTY | BARE, 0, "settle", -EIO },
	{ "create-adopting-fails", { create_adopting }, EMPTY | BARE, 0, "settle", -EIO },
	{ "update-fails", { update }, BARE | FULL | FLUSHED, 0, "settle", -EIO },
	{ "update-endpoint-fails", { update_web }, FULL, 0, "settle", -EIO },
	{ "update-mtu-fails", { update_mtu }, FULL, 0, "settle", -EIO },
	{ "attach-ports-fails", { attach_ports }, FULL | FLUSHED, 0, "settle", -EIO },
	{ "attach-several-fails", { attach_several }, FULL, 0, "settle", -EIO },
	{ "attach-limited-fails", { attach_limited }, FULL, 0, "settle", -EIO },
	{ "attach-better-fails", { attach_better }, JOINED, 0, "settle", -EIO },
	{ "update-most-fails", { update_most }, FULL, 0, "settle", -EIO },
	{ "update-ways-fails", { update_ways }, JOINED, 0, "settle", -EIO },
	{ "attach-bridge-fails", { attach_bridge }, EMPTY | FULL, 0, "settle", -EIO },
	{ "publish-fails", { publish }, FULL | FLUSHED, 0, "settle", -EIO },
	{ "detach-retried", { detach }, FULL, 0, "finish", 0 },
	{ "detach-second-retried", { detach_second }, JOINED, 0, "finish", 0 },
	{ "unpublish-retried", { unpublish }, FULL, 0, "finish", 0 },
	{ "port-move-retried", { move_ports }, JOINED, 0, "finish", 0 },
	{ "detach-moving-retried", { detach_moving }, JOINED, 0, "finish", 0 },
	{ "collect-retried", { collect }, LOST, 0, "finish", 0 },
	{ "delete-retried", { delete_all }, BARE | FULL, 0, "finish", 0 },
	/* those that only look */
	{ "list-networks", { list_networks }, EMPTY | BARE | FULL, 0 },
	{ "list-endpoints", { list_endpoints }, FULL | LOST, 0 },
	{ "list-ports", { list_ports }, FULL, 0 },
	{ "list-rules", { list_rules }, EMPTY | BARE | FULL | FLUSHED, 0 },
	{ "check", { check }, EMPTY | BARE | FULL | JOINED, 0 },
};
const size_t verbs_len = sizeof(verbs) / sizeof(*verbs);
