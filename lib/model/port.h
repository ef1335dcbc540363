/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Port mappings: their text form and what collides. */
#ifndef BN_MODEL_PORT_H
#define BN_MODEL_PORT_H

#include "model/records.h"

#define PORT_TEXT_MAX 96

/*
 * What docker run -p takes: [hostIP:][hostPort[-last]:]containerPort[-last][/protocol].
 * No host port, or 0: host_port 0, pick one. host_range_last is non-zero for a range of host ports
 * with one container port: any free one of it. Unequal lengths, a reversed range, a container port
 * 0 or more than 65535, an unknown protocol: -EINVAL with a sentence. network and endpoint are left
 * empty.
 */
struct port_request {
	struct port port;
	uint16_t host_range_last;
};
int port_parse(const char *text, struct port_request *ret_request, struct error *error);
/* Does it name an address or an interface of the host? */
bool port_names_host(const struct port *port);
/* The first of the mappings, from that index on, that the request may have made; len if there is
 * none. Of a request that leaves the host port open there may be several. bind: the address that
 * one which names nothing of the host may have got, as well as none. */
size_t port_request_find(const struct port_request *request, const struct addr *bind,
			 const struct port *ports, size_t len, size_t from);
const char *port_format(const struct port *port, char text[static PORT_TEXT_MAX]);
/* Of the host's side the address, or "%eth0"; "" for every address. */
#define PORT_HOST_MAX (ADDR_TEXT_MAX > IFNAMSIZ + 1 ? ADDR_TEXT_MAX : IFNAMSIZ + 1)
const char *port_host_format(const struct port *port, char text[static PORT_HOST_MAX]);
int port_host_compare(const struct port *a, const struct port *b);
const char *protocol_name(uint8_t protocol); /* "tcp", "udp", "sctp", "all" for 0 */

/* True if both would take the same host port: same protocol, ranges that meet, and addresses that
 * are equal or one of which stands for every address of the family, which an interface does. */
bool port_collides(const struct port *a, const struct port *b);

/* A bit for each port. */
#define PORT_BITS 8192
void port_bits_set(uint8_t bits[static PORT_BITS], uint32_t first, uint32_t count);
/* The last of those ports whose bit is set, 0 if none is. */
uint32_t port_bits_last(const uint8_t bits[static PORT_BITS], uint32_t first, uint32_t count);

/* Does the mapping apply to this family, for an endpoint with (or without) such an address? */
bool port_has_family(const struct port *port, int family);
/* Does it hold ports of the host in that family? Not where its endpoint's network is routed. */
bool port_holds_family(const struct port *port, int family);
/* As the host's side of it: with the family as its address if there is but one in which it holds
 * ports for such an endpoint. False: there is none. */
bool port_host_side(const struct port *port, const struct endpoint *endpoint,
		    struct port *ret_side);

#endif
