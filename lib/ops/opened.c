/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/opened.h"

#include <errno.h>

#include "model/policy.h"
#include "model/port.h"

/* PORT_ROUTED_*: the families in which it is open at the endpoint's own address. */
static uint8_t opened(const struct network *network, const struct port *port)
{
	bool alone = addr_is_loopback(&port->host_addr);
	uint8_t bits = 0;

	for_each_family(family) {
		uint8_t bit = family == AF_INET ? PORT_ROUTED_IPV4 : PORT_ROUTED_IPV6;
		bool direct = network_is_direct(network, family) || network_trusts(network, family);

		if (port_has_family(port, family) && (port->routed & bit || (direct && !alone)))
			bits |= bit;
	}
	return bits;
}

/* Do both open a port there? Only one rule can say so. */
static bool open_the_same(const struct network *network, const struct port *a, const struct port *b)
{
	return a->protocol == b->protocol && a->container_port < b->container_port + b->count &&
	       b->container_port < a->container_port + a->count &&
	       opened(network, a) & opened(network, b);
}

static int check_opened(bn_ctx *ctx, const struct network *network, const struct port *port,
			const struct port *others, size_t len)
{
	char mine[PORT_TEXT_MAX], theirs[PORT_TEXT_MAX];

	for (size_t i = 0; i < len; i++) {
		if (strcmp(port->endpoint, others[i].endpoint) != 0 ||
		    !open_the_same(network, port, &others[i]))
			continue;
		return error_set(&ctx->error, -EADDRINUSE, BN_REASON_PORT_IN_USE,
				 "port %s of endpoint %s is open at its own address already, by "
				 "%s, as network %s is routed, or reached directly; publish it "
				 "once",
				 port_format(port, mine), port->endpoint,
				 port_format(&others[i], theirs), port->network);
	}
	return 0;
}

int opened_check_added(bn_ctx *ctx, const struct network *network, const port_vector *ports)
{
	CLEANUP(ports_clear) port_vector existing = { 0 };
	const struct port *port = ports->items;
	bool opens = false;
	int r;

	for (size_t i = 0; i < ports->len; i++)
		opens |= opened(network, &port[i]) != 0;
	if (!opens)
		return 0;
	r = store_ports(ctx->store, port->network, port->endpoint, STORE_PENDING, &existing,
			&ctx->error);
	for (size_t i = 0; i < ports->len && r >= 0; i++) {
		r = check_opened(ctx, network, &port[i], existing.items, existing.len);
		if (r >= 0)
			r = check_opened(ctx, network, &port[i], port, i);
	}
	return r;
}

int opened_check_one(bn_ctx *ctx, const struct network *network, const struct port *port,
		     const struct port *beside, size_t len)
{
	CLEANUP(ports_clear) port_vector existing = { 0 };
	int r;

	if (!opened(network, port))
		return 0;
	r = check_opened(ctx, network, port, beside, len);
	if (r >= 0)
		r = store_ports(ctx->store, port->network, port->endpoint, STORE_PENDING, &existing,
				&ctx->error);
	return r < 0 ? r : check_opened(ctx, network, port, existing.items, existing.len);
}

int opened_check_all(bn_ctx *ctx, const struct network *network, const port_vector *ports)
{
	int r = 0;

	for (size_t i = 0; i < ports->len && r >= 0; i++)
		if (opened(network, &ports->items[i]))
			r = check_opened(ctx, network, &ports->items[i], ports->items, i);
	return r;
}
