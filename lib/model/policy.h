/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the options of a network mean for those who reach it and whom it reaches. */
#ifndef BN_MODEL_POLICY_H
#define BN_MODEL_POLICY_H

#include "model/records.h"

enum gateway_mode network_gateway_mode(const struct network *network, int family);
/* Has it rules, and does the host have a part in it? If not, there are links and nothing else. */
bool network_is_managed(const struct network *network);
/* One without a bridge has nothing that there could be rules about. */
bool network_has_rules(const struct network *network);
/* Does it need the host to forward? */
bool network_is_forwarded(const struct network *network, int family);
/* Nobody but the host and endpoints of its own is reached, or reaches it. */
bool network_is_internal(const struct network *network);
/* Do endpoints get a default route, by the bridge or whom default-gateway names? */
bool network_leads_out(const struct network *network, int family);
/* Is the host on it in that family? It is not if that is isolated, or nothing is managed. */
bool network_has_host(const struct network *network, int family);
/* Its endpoints stand behind addresses of the host: ports are mapped, and what leaves may be
 * masqueraded. */
bool network_translates(const struct network *network, int family);
/* Its endpoints are reached at their own addresses, where a port of theirs is published. */
bool network_routes(const struct network *network, int family);
/* Is a mapping such a port? */
bool port_opens(const struct port *port, const struct network *network, int family);
/* What the network gives a mapping that names nothing of the host; family 0: every address. */
const struct addr *network_bind(const struct network *network);
/* By which option is its endpoint reached past the mapping, at its own address, so that lists of
 * the mapping would keep nobody away? NULL: by none. */
const char *port_way_round(const struct port *port, const struct network *network, int family);
/* They are reached there at any port. */
bool network_is_unprotected(const struct network *network, int family);
/* Are its endpoints reached by everybody at their own addresses, where a port is published? */
bool network_is_direct(const struct network *network, int family);
/* Are they by some? Of those that are named by address; and of any. */
bool network_trusts_sources(const struct network *network, int family);
bool network_trusts(const struct network *network, int family);
/* Is there anybody beyond the bridge who may send straight to an endpoint's address? Who that is
 * the rules about what gets to the network say. */
bool network_is_entered(const struct network *network, int family);
/* Is there an address in its subnet that is the bridge's, or that of who stands in for it? */
bool network_keeps_gateway(const struct network *network, int family);
/* What leaves takes that address of the host; NULL: whichever the host takes. */
const struct addr *network_snat_addr(const struct network *network, int family);
/* Do answers from beyond the bridge come straight to an endpoint's address? Nothing gave the host's
 * to what they answer. */
bool network_awaits_answers(const struct network *network, int family);
/* Is all that arrives from beyond the bridge for an address of the network astray? */
bool network_is_closed(const struct network *network, int family);
/* The host's own address on the bridge, in the first subnet; NULL: it has none of that family.
 * Where it has one there, it has one in each. */
const struct addr *network_host_addr(const struct network *network, int family);
const struct addr *subnet_host_addr(const struct network *network, const struct subnet *subnet);
/* What it reaches of the host: nothing where that is not on it. */
enum host_access network_host_access(const struct network *network, int family);
/* How the mapping of that endpoint is reached in a family: "nat", "routed", or "". */
const char *port_mode(const struct port *port, const struct endpoint *endpoint,
		      const struct network *network, int family);

/* The endpoint's, else the network's. */
enum anti_spoof endpoint_anti_spoof(const struct network *network, const struct endpoint *endpoint);

#endif
