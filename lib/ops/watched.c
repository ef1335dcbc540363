/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/watched.h"

#include <errno.h>

#include "model/definition.h"
#include "ops/rows.h"

void watched_clear(struct watched *watched)
{
	free(watched->networks.items);
	free(watched->endpoints.items);
	*watched = (struct watched){ 0 };
}

/* ---- numbers for what there is ---- */

#define HASH(hash, value) hash_bytes((hash), &(value), sizeof(value))

static uint64_t hash_addr(uint64_t hash, const struct addr *addr)
{
	hash = HASH(hash, addr->family);
	return hash_bytes(hash, addr->bytes, addr_size(addr->family));
}

static uint64_t hash_prefix(uint64_t hash, const struct prefix *prefix)
{
	return hash_addr(HASH(hash, prefix->len), &prefix->addr);
}

static uint64_t hash_options(uint64_t hash, const struct options *options)
{
	for (size_t i = 0; i < options->len; i++) {
		hash = hash_text(hash, options->items[i].key);
		hash = hash_text(hash, options->items[i].value);
	}
	return hash;
}

static uint64_t hash_endpoint(const struct endpoint *endpoint)
{
	uint64_t hash = HASH_START;

	/* one that was detached and attached again is another */
	hash = HASH(hash, endpoint->sequence);
	hash = hash_text(hash, endpoint->interface);
	hash = hash_text(hash, endpoint->host_interface);
	hash = hash_bytes(hash, endpoint->mac, sizeof(endpoint->mac));
	hash = HASH(hash, endpoint->mtu);
	for_each_family(family)
		for_each_address(prefix, endpoint, family)
			hash = hash_prefix(hash, prefix);
	hash = HASH(hash, endpoint->metric_ipv4);
	hash = HASH(hash, endpoint->metric_ipv6);
	return hash_options(hash, &endpoint->options);
}

static uint64_t hash_port(uint64_t hash, const struct port *port)
{
	hash = HASH(hash, port->protocol);
	hash = hash_addr(hash, &port->host_addr);
	hash = hash_text(hash, port->interface);
	hash = HASH(hash, port->host_port);
	hash = HASH(hash, port->container_port);
	hash = HASH(hash, port->count);
	hash = HASH(hash, port->routed);
	return port->options ? hash_options(hash, &port->options->options) : hash;
}

/* ---- what there is ---- */

static int compare_networks(const void *left, const void *right)
{
	const struct watched_network *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static int compare_endpoints(const void *left, const void *right)
{
	const struct watched_endpoint *a = left, *b = right;
	int r = strcmp(a->network, b->network);

	return r ? r : strcmp(a->id, b->id);
}

static int add_network(const struct network *network, struct watched *watched)
{
	struct watched_network *added = vector_push(&watched->networks);
	CLEANUP_FREE char *text = NULL;

	if (!added || definition_format(network, &text) < 0)
		return -ENOMEM;
	string_copy(added->name, sizeof(added->name), network->name);
	string_copy(added->id, sizeof(added->id), network->id);
	string_copy(added->bridge, sizeof(added->bridge), network->bridge);
	added->content = hash_text(HASH(HASH_START, network->mtu), text);
	return 0;
}

static int add_endpoint(const struct endpoint *endpoint, struct watched *watched)
{
	struct watched_endpoint *added = vector_push(&watched->endpoints);

	if (!added)
		return -ENOMEM;
	string_copy(added->network, sizeof(added->network), endpoint->network);
	string_copy(added->id, sizeof(added->id), endpoint->id);
	added->content = hash_endpoint(endpoint);
	return 0;
}

/* Ports come like their endpoints. */
static void add_ports(const port_vector *ports, struct watched *watched)
{
	struct watched_endpoint key = { 0 }, *endpoint = NULL;

	for (size_t i = 0; i < ports->len; i++) {
		const struct port *port = &ports->items[i];

		if (!endpoint || strcmp(endpoint->id, port->endpoint) != 0 ||
		    strcmp(endpoint->network, port->network) != 0) {
			string_copy(key.network, sizeof(key.network), port->network);
			string_copy(key.id, sizeof(key.id), port->endpoint);
			endpoint = watched->endpoints.len ?
					   bsearch(&key, watched->endpoints.items,
						   watched->endpoints.len, sizeof(key),
						   compare_endpoints) :
					   NULL;
		}
		if (endpoint)
			endpoint->ports = hash_port(endpoint->ports, port);
	}
}

int watched_load(bn_ctx *ctx, struct watched *watched)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = rows_read(ctx, NULL, NULL, &rows);

	if (r < 0)
		return r;
	for (size_t i = 0; i < rows.networks.len && r == 0; i++)
		r = add_network(&rows.networks.items[i], watched);
	for (size_t i = 0; i < rows.endpoints.len && r == 0; i++)
		r = add_endpoint(&rows.endpoints.items[i], watched);
	if (r < 0)
		return error_oom(&ctx->error);
	if (watched->networks.len)
		qsort(watched->networks.items, watched->networks.len,
		      sizeof(*watched->networks.items), compare_networks);
	if (watched->endpoints.len)
		qsort(watched->endpoints.items, watched->endpoints.len,
		      sizeof(*watched->endpoints.items), compare_endpoints);
	add_ports(&rows.ports, watched);
	return 0;
}

const struct watched_network *watched_by_bridge(const struct watched *watched, const char *bridge)
{
	for (size_t i = 0; i < watched->networks.len; i++)
		if (strcmp(watched->networks.items[i].bridge, bridge) == 0)
			return &watched->networks.items[i];
	return NULL;
}

const struct watched_network *watched_by_id(const struct watched *watched, const char *digits,
					    size_t len)
{
	for (size_t i = 0; i < watched->networks.len; i++)
		if (strncmp(watched->networks.items[i].id, digits, len) == 0)
			return &watched->networks.items[i];
	return NULL;
}

/* ---- what has changed ---- */

static int compare_network(const struct watched_network *before,
			   const struct watched_network *after, watched_fn fn, void *data)
{
	if (strcmp(before->id, after->id) != 0) {
		int r = fn(data, NETWORK_DELETED, before->name, "");

		return r < 0 ? r : fn(data, NETWORK_MADE, after->name, "");
	}
	if (!before->bridge[0] != !after->bridge[0])
		return fn(data, after->bridge[0] ? NETWORK_MADE : NETWORK_DELETED, after->name, "");
	if (before->content != after->content || strcmp(before->bridge, after->bridge) != 0)
		return fn(data, NETWORK_CHANGED, after->name, "");
	return 0;
}

static int compare_endpoint(const struct watched_endpoint *before,
			    const struct watched_endpoint *after, watched_fn fn, void *data)
{
	int r = 0;

	if (before->content != after->content)
		r = fn(data, ENDPOINT_CHANGED, after->network, after->id);
	if (r >= 0 && before->ports != after->ports)
		r = fn(data, ENDPOINT_PORTS_CHANGED, after->network, after->id);
	return r;
}

/* Which of two sorted lists has the next one: below 0 the first, above 0 the second, 0 both. */
#define NEXT(list, i, j, compare)       \
	((i) == before->list.len ? 1 :  \
	 (j) == after->list.len  ? -1 : \
				   compare(&before->list.items[i], &after->list.items[j]))

static int compare_all_networks(const struct watched *before, const struct watched *after,
				watched_fn fn, void *data)
{
	int r = 0;

	for (size_t i = 0, j = 0;
	     r >= 0 && (i < before->networks.len || j < after->networks.len);) {
		int next = NEXT(networks, i, j, compare_networks);

		if (next < 0)
			r = fn(data, NETWORK_DELETED, before->networks.items[i++].name, "");
		else if (next > 0)
			r = fn(data, NETWORK_MADE, after->networks.items[j++].name, "");
		else
			r = compare_network(&before->networks.items[i++],
					    &after->networks.items[j++], fn, data);
	}
	return r;
}

/* gone: of those that have gone, or else of the others. */
static int compare_all_endpoints(const struct watched *before, const struct watched *after,
				 bool gone, watched_fn fn, void *data)
{
	int r = 0;

	for (size_t i = 0, j = 0;
	     r >= 0 && (i < before->endpoints.len || j < after->endpoints.len);) {
		int next = NEXT(endpoints, i, j, compare_endpoints);
		const struct watched_endpoint *one = next < 0 ? &before->endpoints.items[i] :
								&after->endpoints.items[j];

		if (next < 0 && gone)
			r = fn(data, ENDPOINT_DETACHED, one->network, one->id);
		else if (next > 0 && !gone)
			r = fn(data, ENDPOINT_ATTACHED, one->network, one->id);
		else if (next == 0 && !gone)
			r = compare_endpoint(&before->endpoints.items[i], one, fn, data);
		i += next <= 0;
		j += next >= 0;
	}
	return r;
}

int watched_compare(const struct watched *before, const struct watched *after, watched_fn fn,
		    void *data)
{
	/* as it may have been: endpoints went before their networks, and came after them */
	int r = compare_all_endpoints(before, after, true, fn, data);

	if (r >= 0)
		r = compare_all_networks(before, after, fn, data);
	return r < 0 ? r : compare_all_endpoints(before, after, false, fn, data);
}
