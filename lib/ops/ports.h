/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ports of an attach and of a publish: which ports of the host, and that nobody has them. */
#ifndef BN_OPS_PORTS_H
#define BN_OPS_PORTS_H

#include "model/port.h"
#include "ops/context.h"

/* Descriptors that keep the host's own processes off ports: of each port some, or none at all. */
typedef VECTOR(fd_vector) held_vector;
void held_clear(held_vector *held);

#define PICK_TRIES 16 /* of a whole request, against other processes that pick at the same time */

/* Requests -> mappings with a host port each, or none where the network is routed, owned by the
 * endpoint, in the order of the requests, less those that are passed over. flags: BN_PUBLISH_*,
 * here and below; those of BN_ATTACH_* that are about ports are the same. A picked port is free at
 * the moment; reserving it may still fail with -EADDRINUSE when another process was faster. */
int ports_choose(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		 const struct port_request *requests, size_t len, uint32_t flags,
		 port_vector *ret_ports);
bool ports_have_picks(const struct port_request *requests, size_t len);
bool port_is_pick(const struct port_request *request);
/* The mapping is the endpoint's. */
void port_set_owner(struct port *port, const struct endpoint *endpoint);
/* Which of the endpoint's mappings a request means, without its options, which the state says;
 * existing: those it has, or none if no request leaves open which port of the host, or which
 * address of a network that gives one. -ENOENT BN_REASON_PORT_UNKNOWN; -EINVAL when several fit,
 * and the sentence names them. */
int ports_find(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	       const struct port_request *request, const port_vector *existing,
	       struct port *ret_port);

/* Inside a transaction: those of the endpoint that the requests mean, or all for no requests.
 * Appends. missing_ok: one that there is none of is passed over. */
int ports_name(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
	       const struct port_request *requests, size_t len, bool missing_ok,
	       port_vector *ports);
/* *port, of another endpoint, becomes this one's. Negative with the sentence if it can't be. */
int ports_take_over(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		    struct port *port);

/* Inside a transaction: what ports_choose() made of the requests. The next search for a free port
 * begins after the last that was picked. */
int ports_reserve(bn_ctx *ctx, const struct operation *operation, const struct network *network,
		  const struct port_request *requests, size_t len, const port_vector *ports);

/* No process of the host uses them, unless it may; with BN_PUBLISH_HOLD_PORTS, descriptors that
 * keep it so. */
int ports_probe(bn_ctx *ctx, const struct endpoint *endpoint, const port_vector *ports,
		uint32_t flags, held_vector *ret_held);

#endif
