/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What differs from one driver of networks to another: a row of functions for each. Where there is
 * nothing to do, there is no function.
 */
#ifndef BN_OPS_DRIVER_H
#define BN_OPS_DRIVER_H

#include "link/bridge.h"
#include "ops/ports.h"

#define DEFAULT_NETWORK "bridge"

struct network_request {
	enum driver driver;
	const char *name;
	const char *id; /* "": a random one */
	/* prefix family 0 with want_*: pick one, of that length, or length 0: as its pool is cut */
	SUBNETS_OF_BOTH;
	size_t ipv4_len, ipv6_len; /* how many; 0: one, to be picked, with want_* */
	bool want_ipv4, want_ipv6;
	subnet_pool_vector pools; /* to pick from; of a family that has none here: the context's */
	uint32_t mtu;             /* 0: that of an adopted bridge, or of the default route */
	const char *bridge;       /* "": derive one */
	const struct addr *reserved;
	size_t reserved_len;
	const struct options *options;
	bool persistent;     /* it has a definition that outlives the state */
	bool existing_ok;    /* BN_CREATE_EXISTING_OK: one is fine that is equal in what is given */
	bool host_subnet_ok; /* BN_CREATE_HOST_SUBNET_OK */
	bool ipv4_given, ipv6_given; /* want_* was said, and is no default; of the others, what is
				      * no default was */
};

/* What a network is chosen by of what the host shows. */
struct host_view {
	prefix_vector taken; /* that it has, if a subnet is to be picked */
	uint32_t mtu;
	bool has_subnet; /* the host is in a subnet that was named, or was a moment ago */
};

struct endpoint_request {
	const char *network;      /* name or id */
	struct endpoint endpoint; /* what the caller fixed; prefixes with any length */
	bool mac_given, gateway_priority_given;
	const char *sandbox_path; /* one of these three; NULL, 0, -1 */
	int sandbox_pid, sandbox_fd;
	int sandbox_fd_number; /* which the caller knows it by */
	const struct port_request *ports;
	size_t ports_len;
	uint32_t port_flags; /* BN_PUBLISH_* */
	bool same_network;   /* its namespace may have another endpoint on the network */
};

/* One attach on its way. */
struct attach {
	const struct endpoint_request *request;
	struct network network;
	struct endpoint endpoint;
	port_vector ports;
	held_vector held;
	struct sandbox sandbox;
	bool is_host;             /* the sandbox is the namespace that the caller is in */
	struct link_visit *visit; /* there; NULL: none was begun */
	endpoint_vector siblings; /* other endpoints in the same namespace */
	uint64_t metric_room;     /* so many steps up its default routes have their place */
	uint32_t metric_step;     /* that it took up, as others' were in the way */
	source_vector sources;    /* of all of them */
	struct link_announcer announcer;
	unsigned int first_interface;  /* where the search for a free name starts */
	unsigned int interface_number; /* and has ended */
	rule_vector rules;
	/* `bridge` is made by the first who attaches to it */
	bool has_view;
	struct host_view view;
	bool makes_network;
	const struct attach *first; /* of its call: those from it on come before this one */
	bool picks_inside;          /* ports, in the transaction, as another has picked before it */
	int picked_ipv4, picked_ipv6; /* the families that ports were picked for; 0: not this one */
};

struct driver_ops {
	bool in_host;      /* its endpoints live in the host's namespace */
	bool no_interface; /* they get none, and so no address, route, MAC or port */

	/* Networks. A driver without these has the networks that are built in. In the transaction;
	 * in the kernel, rules and all; and the device alone out of the kernel, where what is gone
	 * already is no error. Undoing is removing (removal.h). */
	int (*network_resolve)(bn_ctx *ctx, const struct network_request *request,
			       struct network *network);
	int (*network_create)(bn_ctx *ctx, const struct network *network);
	int (*network_remove)(bn_ctx *ctx, const struct network *network);
	/* Is the device as endpoints and ports need it, which are just being made? ret_index: for
	 * an endpoint, which joins it; NULL for ports. */
	int (*network_check)(bn_ctx *ctx, const struct rows *rows, uint32_t *ret_index);
	/*
	 * An update (change.h). In the transaction: can the network be like that, and what changes
	 * with what was asked for (`after` has its options, policy and MTU). In the kernel: what is
	 * about links, from the one to the other, between the rules that shut and those that open.
	 * An update that fails, or dies, is undone by the same call the other way round, however
	 * much of it was done: what is as it is to be already stays as it is, and what is gone is
	 * no error. ctx->changed is set before anything is changed.
	 */
	int (*network_update_check)(bn_ctx *ctx, const struct network *before,
				    struct network *after);
	int (*network_update)(bn_ctx *ctx, const struct network *before,
			      const struct network *after);

	/* Endpoints: what is asked of one, and what it gets, in the transaction; in the kernel; and
	 * once it stands. */
	int (*endpoint_check)(bn_ctx *ctx, struct attach *attach);
	int (*endpoint_reserve)(bn_ctx *ctx, const struct operation *operation,
				struct attach *attach);
	int (*endpoint_create)(bn_ctx *ctx, struct attach *attach);
	void (*endpoint_announce)(bn_ctx *ctx, struct attach *attach);
	/* The same as of networks. `after` has its options and policy, and may get another MTU or
	 * metric. */
	int (*endpoint_update_check)(bn_ctx *ctx, const struct operation *operation,
				     const struct network *network, const struct endpoint *before,
				     struct endpoint *after);
	int (*endpoint_update)(bn_ctx *ctx, const struct network *network,
			       const struct endpoint *before, const struct endpoint *after);
	/* The addresses that an endpoint has, if they are not those of its record. */
	int (*endpoint_addresses)(bn_ctx *ctx, prefix_vector *ret_addresses);
};

extern const struct driver_ops bridge_driver; /* bridge.c */
/* What the network's bridge is asked to be. Of a family that the host is not on it knows nothing.
 * Its alias is kept in `alias`. */
struct bridge_config bridge_config_of(const struct network *network, char alias[static ALIAS_MAX]);
/* Is the port to be had at the host's own loopback addresses, which wants route_localnet? */
bool port_is_on_loopback(const struct port *port);
const struct driver_ops *driver_of(const struct network *network);

/* Nothing holds an endpoint that has no interface to such a policy: -EOPNOTSUPP. */
bool endpoint_needs_interface(const struct endpoint_policy *policy);
int no_interface_error(bn_ctx *ctx, const struct network *network);

/* Of a driver that makes networks: is it made? `bridge` is on first use. */
bool network_is_ready(const struct network *network);

#endif
