/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the state knows: networks, endpoints, ports. Plain values; copied with the functions
 * below. */
#ifndef BN_MODEL_RECORDS_H
#define BN_MODEL_RECORDS_H

#include <netinet/in.h>

#include "model/addr.h"
#include "model/names.h"
#include "model/options.h"

enum driver { DRIVER_BRIDGE, DRIVER_HOST, DRIVER_NONE, DRIVER_COUNT };
const char *driver_name(enum driver driver); /* "bridge", "host", "null" */

struct subnet {
	struct prefix prefix; /* prefix.addr.family 0: the network lacks this family */
	struct addr gateway;  /* family 0: there is none */
	struct range range;   /* family 0: the whole subnet */
};

#define SUBNETS_MAX 8 /* of a family, that a network can have */

/* Those of each family, in the order in which they were given: the first by its own name, and then
 * as many as there are. Of each an endpoint has an address, at the same place. */
#define SUBNETS_OF_BOTH                                  \
	union {                                          \
		struct subnet ipv4;                      \
		struct subnet ipv4_subnets[SUBNETS_MAX]; \
	};                                               \
	union {                                          \
		struct subnet ipv6;                      \
		struct subnet ipv6_subnets[SUBNETS_MAX]; \
	}

#define PERSISTENT_DIR_MAX 256

struct network {
	char name[NETWORK_NAME_MAX + 1];
	char id[ID_LEN + 1];
	enum driver driver;
	char bridge[IFNAMSIZ]; /* "" for host and none, and before the first use */
	bool bridge_adopted;   /* it was there before us: never deleted */
	/* The directory with its definition; "": it goes with the state. One that has come back
	 * from there has no bridge, but the name that its bridge is to have. */
	char persistent[PERSISTENT_DIR_MAX];
	char planned_bridge[IFNAMSIZ];
	uint32_t mtu;
	SUBNETS_OF_BOTH;
	VECTOR(struct addr) reserved; /* sorted, each once: ipam_sort_reserved() */
	struct options options;
	struct network_policy policy; /* what the options decide */
};

enum route_type { ROUTE_UNICAST, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT };
#define ROUTE_TYPE_COUNT 4
const char *route_type_name(enum route_type type); /* "unicast", "blackhole", ... */

struct route {
	struct prefix destination;
	struct addr gateway; /* unspecified: none, as the destination is on the link, or nowhere */
	uint32_t metric;     /* 0: the kernel's default */
	uint8_t type;        /* enum route_type */
};
uint32_t route_metric(const struct route *route); /* as the kernel has it */

#define SANDBOX_PATH_MAX 256

struct endpoint {
	char network[NETWORK_NAME_MAX + 1];
	char id[ENDPOINT_ID_MAX + 1];
	char sandbox[SANDBOX_PATH_MAX]; /* "" when only a descriptor was given */
	/* Which namespace it is, whatever its path: an inode number comes again after the namespace
	 * has gone, a cookie never before the next boot. */
	uint64_t sandbox_device, sandbox_inode, sandbox_cookie; /* cookie 0: the kernel has none */
	char interface[IFNAMSIZ];                               /* "" for host and none */
	char host_interface[IFNAMSIZ];
	uint8_t mac[MAC_LEN];
	uint32_t mtu;
	/* addresses with the length of their subnets; family 0: none */
	union {
		struct prefix ipv4;
		struct prefix ipv4_addresses[SUBNETS_MAX];
	};
	union {
		struct prefix ipv6;
		struct prefix ipv6_addresses[SUBNETS_MAX];
	};
	struct addr gateway_ipv4, gateway_ipv6; /* of its default routes; family 0: the network's */
	int gateway_priority;                   /* of families without one of their own */
	uint32_t metric_ipv4, metric_ipv6;      /* of its default routes; 0: it has none */
	uint64_t sequence;                      /* order of attaching */
	bool leaving;                           /* an operation is about to remove it */
	VECTOR(struct route) routes;
	struct options options;
	struct endpoint_policy policy; /* what the options decide */
};

/* What was given for a mapping beside its text. Few mappings have any: those that have share one
 * that nobody changes. */
struct port_options {
	unsigned int holders;
	struct options options;
	struct port_policy policy; /* what the options decide */
};

/* A mapping of `count` consecutive ports. */
struct port {
	char network[NETWORK_NAME_MAX + 1];
	char endpoint[ENDPOINT_ID_MAX + 1];
	uint8_t protocol;      /* IPPROTO_TCP, _UDP, _SCTP */
	struct addr host_addr; /* family 0: every address of both families */
	/* or, with such a host_addr: of this interface, for what arrives by it; "": of any */
	char interface[IFNAMSIZ];
	uint16_t host_port;      /* first; 0 in a request: pick one */
	uint16_t container_port; /* first */
	uint16_t count;
	uint8_t routed;     /* PORT_ROUTED_*: the families in which it holds no port of the host */
	bool over_listener; /* a process of the host may listen there: that was meant */
	struct port_options *options; /* NULL: none; each copy of the mapping holds them */
};
#define PORT_ROUTED_IPV4 0x1u
#define PORT_ROUTED_IPV6 0x2u

typedef VECTOR(struct network) network_vector;
typedef VECTOR(struct endpoint) endpoint_vector;
typedef VECTOR(struct port) port_vector;

/*
 * For which families only what enters or leaves a bridge of ours is forwarded, as it is we who have
 * turned forwarding on; and the bridges of others whose own frames, which br_netfilter shows as if
 * they were forwarded, pass.
 */
struct guard_bridge {
	char name[IFNAMSIZ];
};

struct guard {
	bool ipv4, ipv6;
	VECTOR(struct guard_bridge) bridges; /* sorted, each once */
};

/* Networks with endpoints of theirs and ports of those: all of the state, or what is at hand. Where
 * there are many of them, endpoints are sorted by network and id, ports like their endpoints. */
struct rows {
	network_vector networks;
	endpoint_vector endpoints;
	port_vector ports;
	struct guard guard;
};

void network_clear(struct network *network);
int endpoint_copy(struct endpoint *dst, const struct endpoint *src); /* 0, -ENOMEM */
void endpoint_clear(struct endpoint *endpoint);
void networks_clear(network_vector *networks);
void endpoints_clear(endpoint_vector *endpoints);
/* *ret_options: NULL for no options. What options_check() says; -ENOMEM */
int port_options_new(const struct options *options, struct port_options **ret_options,
		     struct error *error);
void port_clear(struct port *port);
void port_copy(struct port *dst, const struct port *src); /* dst: as port_clear() leaves it */
bool port_options_equal(const struct port_options *a, const struct port_options *b);
void ports_clear(port_vector *ports);
void ports_empty(port_vector *ports); /* the same, and it keeps its room */
void rows_clear(struct rows *rows);
void guard_clear(struct guard *guard);
/* To be read and not cleared: they stay the caller's. endpoint, ports: may be NULL. */
struct rows rows_view(const struct network *network, const struct endpoint *endpoint,
		      const struct port *ports, size_t ports_len);

/* The first subnet of that family, NULL if the network lacks it: by its gateway lead default
 * routes, and to its address published ports. */
const struct subnet *network_subnet(const struct network *network, int family);
const struct prefix *endpoint_prefix(const struct endpoint *endpoint, int family);
/* The i-th of that family, from 0 on; NULL: there are no more. */
const struct subnet *network_subnet_at(const struct network *network, int family, size_t i);
const struct prefix *endpoint_prefix_at(const struct endpoint *endpoint, int family, size_t i);
/* The next of the same family; NULL: it was the last. */
const struct subnet *network_subnet_after(const struct network *network,
					  const struct subnet *subnet);
const struct prefix *endpoint_prefix_after(const struct endpoint *endpoint,
					   const struct prefix *prefix);
/* That in which an address is, NULL: none. */
const struct subnet *network_subnet_with(const struct network *network, const struct addr *addr);
/* The same of what may be changed, set or not: SUBNETS_MAX of them. */
struct subnet *network_subnets(struct network *network, int family);
struct prefix *endpoint_prefixes(struct endpoint *endpoint, int family);
/* At which place an endpoint has that address; SUBNETS_MAX: it has not. */
size_t endpoint_place(const struct endpoint *endpoint, const struct addr *addr);
/* Do two networks overlap? A pair of subnets that do. */
bool networks_overlap(const struct network *a, const struct network *b, const struct subnet **ret_a,
		      const struct subnet **ret_b);
bool endpoint_has_address(const struct endpoint *endpoint); /* of either family */
void endpoint_copy_addresses(struct endpoint *dst, const struct endpoint *src);

/* Those of one family, each of them. */
/* clang-format off */
#define for_each_subnet(it, network, family)                                         \
	for (const struct subnet *it = network_subnet(network, family); it;          \
	     it = network_subnet_after(network, it))
#define for_each_address(it, endpoint, family)                                       \
	for (const struct prefix *it = endpoint_prefix(endpoint, family); it;        \
	     it = endpoint_prefix_after(endpoint, it))
/* clang-format on */
static inline uint32_t endpoint_metric(const struct endpoint *endpoint, int family)
{
	return family == AF_INET6 ? endpoint->metric_ipv6 : endpoint->metric_ipv4;
}
/* By which its default route leads, and what has its address; of a family that both have. */
const struct addr *endpoint_gateway(const struct endpoint *endpoint, const struct network *network,
				    int family);
void endpoint_set_metric(struct endpoint *endpoint, int family, uint32_t metric);
/* By which it comes before others of its sandbox as the way out. */
int endpoint_priority(const struct endpoint *endpoint, int family);
static inline bool guard_has(const struct guard *guard, int family)
{
	return family == AF_INET ? guard->ipv4 : guard->ipv6;
}
/* Lines "ipv4", "ipv6" and "bridge NAME", in any order and any number of times. 0, -ENOMEM */
int guard_parse(const char *text, struct guard *ret_guard);
/* Is all that the one has in the other? */
bool guard_includes(const struct guard *guard, const struct guard *part);
bool port_is_of(const struct port *port, const struct endpoint *endpoint);

#endif
