/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>

#include "model/fault.h"
#include "model/ipam.h"
#include "ops/operation.h"
#include "ops/ops.h"
#include "ops/rules.h"

#define DEFAULT_NETWORK "bridge"
#define RESERVE_TRIES 16        /* against other processes that pick at the same time */

struct bridge_config network_bridge_config(const struct network *network, const char *alias)
{
	return (struct bridge_config){
		.name = network->bridge,
		.alias = alias,
		.mtu = network->mtu,
		.ipv4 = network->ipv4,
		.ipv6 = network->ipv6,
		.adopt = network->bridge_adopted,
	};
}

/* ---- what the new network will be ---- */

static bool picks_subnet(const struct network_request *request)
{
	return (request->want_ipv4 && !request->ipv4.prefix.addr.family) ||
	       (request->want_ipv6 && !request->ipv6.prefix.addr.family);
}

static int push_prefix(prefix_vector *prefixes, const struct prefix *prefix)
{
	struct prefix *slot = vector_push(prefixes);

	if (!slot)
		return -ENOMEM;
	*slot = *prefix;
	return 0;
}

/* Subnets an automatic choice must keep away from: other networks' and what the host routes. */
static int taken_prefixes(struct engine *engine, prefix_vector *taken)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	prefix_vector routed = { 0 };
	int r;

	r = store_networks(engine->store, STORE_PENDING, &networks, &engine->error);
	for (size_t i = 0; i < networks.len && r >= 0; i++) {
		if (networks.items[i].ipv4.prefix.addr.family)
			r = push_prefix(taken, &networks.items[i].ipv4.prefix);
		if (r >= 0 && networks.items[i].ipv6.prefix.addr.family)
			r = push_prefix(taken, &networks.items[i].ipv6.prefix);
	}
	if (r >= 0)
		r = link_routed_prefixes(engine->link, &routed, &engine->error);
	for (size_t i = 0; i < routed.len && r >= 0; i++)
		if (ipam_route_blocks(&routed.items[i]))
			r = push_prefix(taken, &routed.items[i]);
	free(routed.items);
	return r == -ENOMEM ? error_oom(&engine->error) : r;
}

/* The 40 random bits of this state's own fd00::/8 network (RFC 4193), chosen once. */
static int global_id_in_transaction(struct engine *engine, uint8_t ret_id[static 5])
{
	char text[FACT_MAX];
	int r;

	r = store_fact_get(engine->store, "ipv6.global-id", text, &engine->error);
	if (r < 0)
		return r;
	if (sscanf(text, "%2hhx%2hhx%2hhx%2hhx%2hhx", &ret_id[0], &ret_id[1], &ret_id[2],
		   &ret_id[3], &ret_id[4]) == 5)
		return 0;
	if (getrandom(ret_id, 5, 0) != 5)
		return error_set(&engine->error, -EIO, BN_REASON_KERNEL,
				 "the kernel gives no random bytes");
	snprintf(text, sizeof(text), "%02x%02x%02x%02x%02x", ret_id[0], ret_id[1], ret_id[2],
		 ret_id[3], ret_id[4]);
	return store_fact_set(engine->store, "ipv6.global-id", text, &engine->error);
}

static int ipv6_global_id(struct engine *engine, uint8_t ret_id[static 5])
{
	int r;

	r = store_begin(engine->store, &engine->error);
	if (r >= 0)
		r = global_id_in_transaction(engine, ret_id);
	if (r >= 0)
		r = store_commit(engine->store, &engine->error);
	store_rollback(engine->store);
	return r;
}

static bool is_reserved(const struct network *network, const struct addr *addr)
{
	for (size_t i = 0; i < network->reserved.len; i++)
		if (addr_compare(&network->reserved.items[i], addr) == 0)
			return true;
	return false;
}

/* A gateway that nobody asked for keeps away from the reserved addresses. */
static int complete_subnet(struct engine *engine, const struct network *network,
			   struct subnet *subnet)
{
	bool chosen = !addr_is_set(&subnet->gateway);
	int r;

	if (!subnet->prefix.addr.family)
		return 0;
	r = ipam_complete_subnet(subnet, &engine->error);
	while (r >= 0 && chosen && is_reserved(network, &subnet->gateway)) {
		if (!addr_add(&subnet->gateway, 1, &subnet->gateway))
			return error_set(&engine->error, -ENOSPC, BN_REASON_ADDRESS_EXHAUSTED,
					 "every address of network %s is reserved; name a gateway",
					 network->name);
		r = ipam_complete_subnet(subnet, &engine->error);
	}
	return r;
}

static int pick_subnets(struct engine *engine, const struct network_request *request,
			struct network *network)
{
	prefix_vector taken = { 0 };
	uint8_t global_id[5];
	int r = 0;

	network->ipv4 = request->ipv4;
	network->ipv6 = request->ipv6;
	if (picks_subnet(request))
		r = taken_prefixes(engine, &taken);
	if (r >= 0 && request->want_ipv4 && !network->ipv4.prefix.addr.family)
		r = ipam_pick_ipv4(taken.items, taken.len, &network->ipv4.prefix, &engine->error);
	if (r >= 0 && request->want_ipv6 && !network->ipv6.prefix.addr.family) {
		r = ipv6_global_id(engine, global_id);
		if (r >= 0)
			r = ipam_pick_ipv6(global_id, taken.items, taken.len,
					   &network->ipv6.prefix, &engine->error);
	}
	free(taken.items);
	if (r >= 0)
		r = complete_subnet(engine, network, &network->ipv4);
	if (r >= 0)
		r = complete_subnet(engine, network, &network->ipv6);
	return r;
}

static int check_reserved(struct engine *engine, const struct network *network)
{
	const struct subnet *subnet;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < network->reserved.len; i++) {
		subnet = network_subnet(network, network->reserved.items[i].family);
		if (!subnet || !prefix_contains(&subnet->prefix, &network->reserved.items[i]))
			return error_set(&engine->error, -ERANGE, BN_REASON_ADDRESS_OUTSIDE,
					 "reserved address %s is in no subnet of network %s",
					 addr_format(&network->reserved.items[i], text),
					 network->name);
	}
	return 0;
}

/* The default network has its id before it has a bridge. */
static int choose_id(struct engine *engine, struct network *network)
{
	CLEANUP(network_clear) struct network builtin = { 0 };
	uint8_t bytes[32];
	int r;

	if (strcmp(network->name, DEFAULT_NETWORK) == 0) {
		r = store_network_get(engine->store, DEFAULT_NETWORK, &builtin, &engine->error);
		if (r >= 0)
			string_copy(network->id, sizeof(network->id), builtin.id);
		return r;
	}
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return error_set(&engine->error, -EIO, BN_REASON_KERNEL,
				 "the kernel gives no random bytes for an id");
	id_format(bytes, network->id);
	return 0;
}

/* The device: the one named (adopted when it exists), bn0 or the next free for the default
 * network, else one that is named after the id. */
static int choose_bridge(struct engine *engine, const struct network_request *request,
			 struct network *network)
{
	int r = 0;

	if (request->bridge[0]) {
		string_copy(network->bridge, sizeof(network->bridge), request->bridge);
		r = link_exists(engine->link, network->bridge, &engine->error);
		network->bridge_adopted = r == 1;
		return r < 0 ? r : 0;
	}
	if (strcmp(network->name, DEFAULT_NETWORK) != 0) {
		bridge_name(network->id, network->bridge);
		return 0;
	}
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(network->bridge, sizeof(network->bridge), "bn%u", i);
		r = link_exists(engine->link, network->bridge, &engine->error);
		if (r <= 0)
			return r;
	}
	return error_set(&engine->error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
			 "bn0 to bn999 are all taken; name a bridge for network %s",
			 network->name);
}

static int design(struct engine *engine, const struct network_request *request,
		  struct network *network)
{
	struct addr *slot;
	int r;

	r = network_name_check(request->name, &engine->error);
	if (r < 0)
		return r;
	if (strcmp(request->name, "host") == 0 || strcmp(request->name, "none") == 0 ||
	    strcmp(request->name, "default") == 0)
		return error_set(&engine->error, -EEXIST, BN_REASON_NETWORK_BUILTIN,
				 "the name %s belongs to a built-in network; choose another",
				 request->name);
	string_copy(network->name, sizeof(network->name), request->name);
	network->driver = DRIVER_BRIDGE;
	for (size_t i = 0; i < request->reserved_len; i++) {
		slot = vector_push(&network->reserved);
		if (!slot)
			return error_oom(&engine->error);
		*slot = request->reserved[i];
	}
	if (options_copy(&network->options, request->options) < 0)
		return error_oom(&engine->error);
	r = options_check(&network->options, OPTION_NETWORK, &engine->error);
	if (r >= 0)
		r = choose_id(engine, network);
	if (r >= 0)
		r = pick_subnets(engine, request, network);
	if (r >= 0)
		r = check_reserved(engine, network);
	if (r >= 0)
		r = choose_bridge(engine, request, network);
	network->mtu = request->mtu;
	if (r >= 0 && !network->mtu)
		r = link_default_mtu(engine->link, &network->mtu, &engine->error);
	return r;
}

/* ---- reserve ---- */

static int check_overlap(struct engine *engine, const struct network *network)
{
	static const int families[] = { AF_INET, AF_INET6 };
	CLEANUP(networks_clear) network_vector others = { 0 };
	char mine[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	const struct subnet *a, *b;
	int r;

	r = store_networks(engine->store, STORE_PENDING, &others, &engine->error);
	for (size_t i = 0; i < others.len && r >= 0; i++)
		for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
			a = network_subnet(network, families[f]);
			b = network_subnet(&others.items[i], families[f]);
			if (!a || !b || !prefix_overlaps(&a->prefix, &b->prefix))
				continue;
			return error_set(&engine->error, -EADDRINUSE, BN_REASON_SUBNET_OVERLAP,
					 "subnet %s overlaps %s of network %s; choose another",
					 prefix_format(&a->prefix, mine),
					 prefix_format(&b->prefix, theirs), others.items[i].name);
		}
	return r;
}

static int reserve(struct engine *engine, const struct network *network,
		   struct operation *operation)
{
	int r;

	r = store_begin(engine->store, &engine->error);
	if (r >= 0)
		r = store_operation_open(engine->store, OPERATION_NETWORK_CREATE, operation,
					 &engine->error);
	if (r >= 0)
		r = check_overlap(engine, network);
	if (r >= 0)
		r = store_network_insert(engine->store, operation, network, &engine->error);
	if (r >= 0)
		r = store_fact_set(engine->store, "backend", engine->firewall->backend->name,
				   &engine->error);
	if (r >= 0)
		r = FAULT("network.reserve");
	if (r >= 0)
		r = store_commit(engine->store, &engine->error);
	store_rollback(engine->store);
	return r;
}

/* ---- kernel ---- */

/* What was turned on for a network, in case it comes to nothing. */
struct forwarding {
	bool ipv4, ipv6;
};

static int enable_forwarding(struct engine *engine, const struct network *network,
			     struct forwarding *changed)
{
	int r = 0;

	if (network->ipv4.prefix.addr.family)
		r = sysctl_forwarding_enable(AF_INET, &changed->ipv4, &engine->error);
	if (r >= 0 && network->ipv6.prefix.addr.family)
		r = sysctl_forwarding_enable(AF_INET6, &changed->ipv6, &engine->error);
	return r;
}

static void restore_forwarding(const struct forwarding *changed)
{
	sysctl_forwarding_restore(AF_INET, changed->ipv4);
	sysctl_forwarding_restore(AF_INET6, changed->ipv6);
}

/* The drops stand before there is a device that they are about. */
static int build(struct engine *engine, const struct network *network)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	char alias[ALIAS_MAX];
	struct bridge_config config;
	int r;

	link_alias(network->id, NULL, alias);
	config = network_bridge_config(network, alias);
	if (plan_network(engine->firewall->backend->traits, network, &rules) < 0)
		return error_oom(&engine->error);
	r = FAULT("network.rules");
	if (r >= 0)
		r = rules_add(engine, &rules);
	if (r < 0)
		return r;
	r = FAULT("network.bridge");
	if (r >= 0)
		r = bridge_create(engine->link, &config, &engine->error);
	if (r < 0)
		rules_undo_add(engine, &rules);
	return r;
}

/* Once no network is left the base has nothing to serve. */
int remove_base_if_unused(struct engine *engine)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r;

	r = store_networks(engine->store, STORE_PENDING, &networks, &engine->error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < networks.len; i++)
		if (networks.items[i].bridge[0])
			return 0;
	return engine->firewall->backend->remove_base(engine->firewall, &engine->error);
}

void network_demolish(struct engine *engine, const struct network *network)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	struct error cause = engine->error;
	char alias[ALIAS_MAX];
	struct bridge_config config;

	link_alias(network->id, NULL, alias);
	config = network_bridge_config(network, alias);
	if (bridge_delete(engine->link, &config, &engine->error) < 0 ||
	    plan_network(engine->firewall->backend->traits, network, &rules) < 0 ||
	    rules_remove(engine, &rules) < 0)
		engine_log(engine, LOG_ERR, "undo: %s", engine->error.message);
	engine->error = cause;
}

/* Between the transactions: the kernel, all of it or nothing. */
static int build_and_settle(struct engine *engine, const struct network *network,
			    const struct operation *operation)
{
	struct forwarding forwarding = { 0 };
	int r;

	r = enable_forwarding(engine, network, &forwarding);
	if (r >= 0)
		r = build(engine, network);
	if (r >= 0) {
		r = operation_settle(engine, operation);
		if (r < 0)
			network_demolish(engine, network);
	}
	if (r < 0)
		restore_forwarding(&forwarding);
	return r;
}

int ops_network_create(struct engine *engine, const struct network_request *request,
		       struct network *ret_network)
{
	CLEANUP(network_clear) struct network network = { 0 };
	struct operation operation;
	struct error cause;
	int r;

	for (int tries = 0;; tries++) {
		r = design(engine, request, &network);
		if (r < 0)
			return r;
		r = reserve(engine, &network, &operation);
		if (r >= 0)
			break;
		/* another process took the subnet that was picked meanwhile: pick again */
		if (r != -EADDRINUSE || !picks_subnet(request) || tries == RESERVE_TRIES)
			return r;
		network_clear(&network);
		network = (struct network){ 0 };
		error_clear(&engine->error);
	}
	r = build_and_settle(engine, &network, &operation);
	if (r < 0) {
		operation_abandon(engine, &operation);
		cause = engine->error;
		if (remove_base_if_unused(engine) < 0)
			engine_log(engine, LOG_ERR, "undo: %s", engine->error.message);
		engine->error = cause;
		return r;
	}
	engine_log(engine, LOG_INFO, "network %s is on bridge %s", network.name, network.bridge);
	*ret_network = network;
	network = (struct network){ 0 };
	return 0;
}

/* The default network is being made by another process: wait until it stands, or that process is
 * dead and what it left has been undone. */
static int wait_for_default(struct engine *engine)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (engine->deadline &&
	    (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 > engine->deadline)
		return error_set(&engine->error, -ETIMEDOUT, BN_REASON_TIMEOUT,
				 "network %s is still being made by another process; try again",
				 DEFAULT_NETWORK);
	error_clear(&engine->error);
	nanosleep(&pause, NULL);
	return ops_recover(engine);
}

int ops_network_ready(struct engine *engine, const char *name, struct network *ret_network)
{
	static const struct options no_options;
	const struct network_request request = {
		.name = DEFAULT_NETWORK,
		.want_ipv4 = true,
		.bridge = "",
		.options = &no_options,
	};
	struct network network = { 0 };
	int r;

	for (;;) {
		r = store_network_get(engine->store, name, &network, &engine->error);
		if (r < 0)
			return r;
		if (network.driver != DRIVER_BRIDGE || network.bridge[0]) {
			*ret_network = network;
			return 0;
		}
		network_clear(&network);
		r = ops_network_create(engine, &request, ret_network);
		if (r != -EEXIST && r != -EADDRINUSE)
			return r;
		r = wait_for_default(engine);
		if (r < 0)
			return r;
	}
}

/* ---- delete ---- */

static int detach_all(struct engine *engine, const struct network *network)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	CLEANUP_FREE const char **ids = NULL;
	int r;

	r = store_endpoints(engine->store, network->name, 0, &endpoints, &engine->error);
	if (r < 0 || !endpoints.len)
		return r;
	ids = calloc(endpoints.len, sizeof(*ids));
	if (!ids)
		return error_oom(&engine->error);
	for (size_t i = 0; i < endpoints.len; i++)
		ids[i] = endpoints.items[i].id;
	return ops_detach(engine, network->name, ids, endpoints.len, BN_DETACH_MISSING_OK);
}

static int reserve_delete(struct engine *engine, const struct network *network,
			  struct operation *operation)
{
	size_t endpoints = 0;
	int r;

	r = store_begin(engine->store, &engine->error);
	if (r >= 0)
		r = store_operation_open(engine->store, OPERATION_NETWORK_DELETE, operation,
					 &engine->error);
	if (r >= 0)
		r = store_endpoint_count(engine->store, network->name, &endpoints, &engine->error);
	if (r >= 0 && endpoints)
		r = error_set(&engine->error, -EBUSY, BN_REASON_NETWORK_IN_USE,
			      "network %s still has %zu endpoint%s; detach %s first",
			      network->name, endpoints, endpoints == 1 ? "" : "s",
			      endpoints == 1 ? "it" : "them");
	if (r >= 0)
		r = store_network_mark(engine->store, operation, network->name, &engine->error);
	if (r >= 0)
		r = store_commit(engine->store, &engine->error);
	store_rollback(engine->store);
	return r;
}

int ops_network_delete(struct engine *engine, const char *name, uint32_t flags)
{
	CLEANUP(network_clear) struct network network = { 0 };
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	struct operation operation;
	struct bridge_config config;
	char alias[ALIAS_MAX];
	int r;

	r = store_network_get(engine->store, name, &network, &engine->error);
	if (r == -ENOENT && (flags & BN_DELETE_MISSING_OK)) {
		error_clear(&engine->error);
		return 0;
	}
	if (r < 0)
		return r;
	if (network.driver != DRIVER_BRIDGE)
		return error_set(&engine->error, -EPERM, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and can't be deleted", network.name);
	if (!network.bridge[0])
		return flags & BN_DELETE_MISSING_OK ? 0 :
		       error_set(&engine->error, -ENOENT, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and not in use; there is nothing to "
				 "delete", network.name);
	if (flags & BN_DELETE_ENDPOINTS) {
		r = detach_all(engine, &network);
		if (r < 0)
			return r;
	}

	r = reserve_delete(engine, &network, &operation);
	if (r < 0)
		return r;
	link_alias(network.id, NULL, alias);
	config = network_bridge_config(&network, alias);
	if (plan_network(engine->firewall->backend->traits, &network, &rules) < 0)
		r = error_oom(&engine->error);
	if (r >= 0)
		r = rules_remove(engine, &rules);
	if (r >= 0) {
		r = bridge_delete(engine->link, &config, &engine->error);
		if (r < 0)
			rules_undo_remove(engine, &rules);
	}
	if (r < 0) {
		operation_abandon(engine, &operation);
		return r;
	}
	r = operation_settle(engine, &operation);
	return r < 0 ? r : remove_base_if_unused(engine);
}
