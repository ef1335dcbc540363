/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links, addresses, routes, namespaces and sysctls: what an endpoint is made of in the kernel. */
#ifndef BN_LINK_LINK_H
#define BN_LINK_LINK_H

#include "base/clock.h"
#include "model/port.h"
#include "model/sysctl.h"

/* A netlink socket in the namespace of the thread that opened it; its calls end by the deadline,
 * of which it keeps the pointer. */
struct link_handle;
int link_open(const struct deadline *deadline, struct link_handle **ret_handle,
	      struct error *error);
/* Ends with link_deletions_await(), but in a forked child, where its parent's threads are not. */
void link_close(struct link_handle *handle);
void link_close_in_child(struct link_handle *handle);
/* Of each function that changes something: OUTCOME_UNKNOWN (base/error.h), if an answer of the
 * kernel was lost, and what stands could not be seen in OUTCOME_LOOKS looks. */

/* ---- sandbox.c: network namespaces ---- */

struct sandbox {
	int fd; /* -1: none */
	uint64_t device, inode;
	uint64_t cookie;             /* never given again before the next boot; 0: not known */
	char path[SANDBOX_PATH_MAX]; /* "" if it has none that lasts */
	char name[64];               /* what it goes by then */
};
/* -ENOENT BN_REASON_SANDBOX_GONE; -EINVAL BN_REASON_SANDBOX_INVALID for what is no network
 * namespace; each with a sentence. */
int sandbox_open_path(const char *path, struct sandbox *ret_sandbox, struct error *error);
int sandbox_open_pid(int pid, struct sandbox *ret_sandbox, struct error *error);
/* fd is dup()ed; number: what the caller's descriptor is called. */
int sandbox_open_fd(int fd, int number, struct sandbox *ret_sandbox, struct error *error);
/* For a sentence: its path, or "net:[4026532345] (descriptor 5)". */
const char *sandbox_name(const struct sandbox *sandbox);
/* The namespace an endpoint was attached to, if its path still leads there, or the kernel opens it
 * by its number; else -ENOENT. Cheap. */
int sandbox_reopen(const struct endpoint *endpoint, struct sandbox *ret_sandbox,
		   struct error *error);
void sandbox_close(struct sandbox *sandbox);
/* What an endpoint was attached to, without a descriptor. */
struct sandbox sandbox_of(const struct endpoint *endpoint);
/* An older kernel may have no cookie for one of the two, or an older version of the library. */
bool sandbox_is_same(const struct sandbox *a, const struct sandbox *b);
/* Which namespace the calling thread is in. */
int sandbox_current(uint64_t *ret_device, uint64_t *ret_inode, struct error *error);
uint64_t sandbox_current_cookie(void);

/* In which a thread was last found: whether it is still there can be asked for a sixth of what
 * sandbox_current() takes. */
#define SEAT_NAME_MAX 32
struct seat {
	pid_t thread;             /* 0: none */
	int fd;                   /* the link /proc/thread-self/ns/net */
	char name[SEAT_NAME_MAX]; /* what it led to */
};
/* Of the calling thread, in place of what there was; without a descriptor left there is none. */
void seat_take(struct seat *seat);
/* By the same thread, which is where it was? */
bool seat_is_kept(const struct seat *seat);
void seat_leave(struct seat *seat);
#define CLEANUP_SANDBOX CLEANUP(sandbox_close)

/* ---- search.c: namespaces that no path leads to any more ---- */

/* Is it seen to exist: has a process it, or a mount that we see? */
bool sandbox_exists(const struct sandbox *sandbox);
/* The same as sandbox_reopen(), and looks through /proc: -ENOENT BN_REASON_SANDBOX_GONE, or -EACCES
 * when not all of that may be looked at. */
int sandbox_find(const struct endpoint *endpoint, const struct deadline *deadline,
		 struct sandbox *ret_sandbox, struct error *error);
/* Is it known for sure, and at once, that there is none of these numbers any more? From Linux 6.18
 * on. */
bool sandbox_number_is_gone(uint64_t cookie, uint64_t inode);
/* Are the namespaces of many endpoints there? /proc is looked through once at most. */
enum sandbox_sight { SANDBOX_GONE, SANDBOX_THERE, SANDBOX_HIDDEN /* there, or gone */ };
int sandboxes_look(const struct endpoint *const *endpoints, size_t len,
		   const struct deadline *deadline, enum sandbox_sight *sights,
		   struct error *error);

/* ---- visit.c ---- */

/*
 * A thread that goes into a sandbox, opens there what is needed to work on it from outside, and
 * ends: the caller's thread is never in another namespace. The sandbox is the caller's, and stays
 * as long.
 */
struct link_visit;
int link_visit_start(const struct link_handle *handle, const struct sandbox *sandbox,
		     struct link_visit **ret_visit, struct error *error);
void link_visit_close(struct link_visit *visit); /* waits for it; NULL: nothing */

/* ---- watch.c ---- */

/* Changes of links of ours, of what the host has set, and of what is inside of the namespaces that
 * links of ours lead to, from when it is opened. */
struct link_watch;
int link_watch_open(struct link_handle *handle, struct link_watch **ret_watch, struct error *error);
int link_watch_fd(const struct link_watch *watch);
/* Something may have been changed of a link of that owner, or in the namespace that it leads to:
 * "<network_id[12]>" or "<network_id[12]>/<endpoint id>"; "" and a name: of a bridge that was not
 * marked by us; "" and "": of the settings of the whole host. */
typedef void (*link_news_fn)(void *data, const char *owner, const char *name);
/* What is there to be heard: 0, -ENOBUFS some of it was lost, -ENOMEM, or -errno of the socket. */
int link_watch_hear(struct link_watch *watch, link_news_fn news, void *data);
/* After some of it was lost. */
int link_watch_learn(struct link_watch *watch, struct link_handle *handle, struct error *error);
void link_watch_close(struct link_watch *watch);

/* ---- endpoint.c: the veth pair ---- */

/* How what has an address of an endpoint leaves its sandbox. */
enum source_way {
	SOURCE_BY_BEST, /* by the best default route */
	SOURCE_BY_RULE, /* by its gateway, whatever the best default route is */
	SOURCE_GONE,    /* no more; its interface may be there still, cut off */
};
struct link_source {
	enum source_way way;
	char interface[IFNAMSIZ];
	struct addr address, gateway;
	uint32_t metric; /* of its default route in main; 0: it has none */
};
typedef VECTOR(struct link_source) source_vector;

/* What the bridge keeps an endpoint from, by itself. */
struct link_apart {
	bool isolated; /* it and the others that are so don't see each other's frames */
	bool locked;   /* what it sends has its own MAC, which no other port can take */
};

struct link_sight;
struct link_within;
struct link_endpoint_config {
	const struct endpoint *endpoint;
	struct link_apart apart;
	struct link_visit *visit; /* to its sandbox, which was begun before; NULL: none */
	const char *bridge;
	uint32_t bridge_index; /* of bridge_ready() */
	const char *alias;
	/* Default routes to set, family 0: none; of the endpoint's metrics, or, where there is one
	 * of somebody else's, the first of the metric_room steps up from those that is free. */
	struct addr gateway_ipv4, gateway_ipv6;
	uint64_t metric_room;
	const source_vector *sources; /* those of the sandbox, with it */
	bool leaves_ipv6;             /* where /proc/sys can't be written IPv6 stays as it is */
	const sysctl_vector *sysctls; /* in the sandbox */
	bool announces;               /* tell the neighbours which MAC its addresses have */
	/* It stood before: what of it is there in the sandbox stays, and a default route that
	 * somebody else has put in the place of one of its own. */
	bool again;
	const bool *has_ipv6; /* and which of its addresses of IPv6 are there; NULL: none */
};

/* Repeats what was announced. fd -1: nothing was. */
struct link_announcer {
	int fd;
	char interface[IFNAMSIZ];
	uint8_t mac[MAC_LEN];
};
void link_announce(const struct link_announcer *announcer);
void link_announcer_close(struct link_announcer *announcer);

#define LINK_NOTE_MAX 300
struct link_endpoint_made {
	uint32_t metric_step; /* what its metrics are to be raised by */
	struct link_announcer announcer;
	char note[LINK_NOTE_MAX]; /* what is not as it should be, for the log; "" for nothing */
};
/*
 * Two batches (host, sandbox): the pair with its peer born in the sandbox, everything set, up, and
 * forwarding before it returns: the first packet in either direction passes. All or nothing.
 * -EEXIST BN_REASON_INTERFACE_EXISTS: the name is taken inside; -EXFULL BN_REASON_BRIDGE_FULL;
 * -ENOSPC BN_REASON_METRIC_NONE_FREE. ret_made->announcer is the caller's to close.
 */
int link_endpoint_create(struct link_handle *handle, const struct sandbox *sandbox,
			 const struct link_endpoint_config *config,
			 struct link_endpoint_made *ret_made, struct error *error);
/* mend.c: what differs of a host end that is there; bridge_index 0: it stays where it is. -EEXIST:
 * somebody else has its name. */
int link_end_mend(struct link_handle *handle, const struct link_sight *sight,
		  const struct link_endpoint_config *config, struct error *error);
/* What is missing inside, of one whose interface is there, and the rules of all its sources. */
int link_endpoint_mend(struct link_handle *handle, const struct sandbox *sandbox,
		       const struct link_within *within, const struct link_endpoint_config *config,
		       struct error *error);
/* After another endpoint of the sandbox has gone. */
int link_sources_sync(struct link_handle *handle, const struct sandbox *sandbox,
		      const source_vector *sources, struct error *error);
/* The default routes of an endpoint that stands: how they change, and meanwhile. */
struct link_ways {
	const struct endpoint *before, *after;
	struct addr gateway_ipv4, gateway_ipv6; /* family 0: it has no default route */
	/* of all endpoints of the sandbox, none where it is alone; until the new route stands and
	 * the old one is gone, and then */
	const source_vector *between, *sources;
};
/* The new ones come before the old ones go. What is so already stays so; where the interface is
 * gone, or down, it has none. */
int link_ways_change(struct link_handle *handle, const struct sandbox *sandbox,
		     const struct link_ways *ways, struct error *error);
struct link_default {
	int family;
	uint32_t metric;
};
typedef VECTOR(struct link_default) default_vector;
/* The default routes of a sandbox, but those that the endpoint has by its metrics. -ENODEV: its
 * interface is not there, or down. */
int link_ways_of_others(struct link_handle *handle, const struct sandbox *sandbox,
			const struct endpoint *endpoint, default_vector *others,
			struct error *error);
/* static.c: does the endpoint have routes in its sandbox that don't go with its interface? And they
 * go; what is gone is passed over. */
bool link_routes_stay(const struct endpoint *endpoint);
int link_routes_remove(struct link_handle *handle, const struct sandbox *sandbox,
		       const struct endpoint *endpoint, struct error *error);
/* A route of the host to what lies behind an endpoint on that bridge, marked as ours. again: it may
 * be there. When it goes, what is gone is passed over, the bridge too. */
int link_behind_change(struct link_handle *handle, const char *bridge,
		       const struct endpoint *endpoint, const struct prefix *destination, bool adds,
		       bool again, struct error *error);
/* 1, 0 */
int link_behind_is_there(struct link_handle *handle, const char *bridge,
			 const struct prefix *destination, struct error *error);
/* The host end of an endpoint: it has the alias of link_alias(), whatever it is called by now. */
struct link_end {
	const struct endpoint *endpoint;
	const char *network_id;
};
/* mtu.c: of both ends of each, which takes what the other sends at all times; those that are gone
 * are passed over. */
int link_endpoints_set_mtu(struct link_handle *handle, const struct link_end *ends, size_t len,
			   uint32_t mtu, bool grows, struct error *error);
/*
 * Many in one request by group. Those that are gone are passed over, as is what another has made
 * under the name of one. When it returns they are out of sight: no packet, list or bridge has them
 * any more, their names are free at both ends, and nothing can stop the kernel from ending what is
 * left of it, for which it takes some 16 ms: link_deletions_await().
 */
int link_endpoints_delete(struct link_handle *handle, const struct link_end *ends, size_t len,
			  struct error *error);
/* Until all that was deleted by this handle is gone for good. */
void link_deletions_await(struct link_handle *handle);
/* Down and off their bridges: isolated at once. */
int link_endpoints_cut(struct link_handle *handle, const struct link_end *ends, size_t len,
		       struct error *error);
/* 1 if the host has it, 0 if not. */
int link_endpoint_is_there(struct link_handle *handle, const struct link_end *end,
			   struct error *error);
/* Of each, whatever it is called: what bridge it is on, by its index, 0 for none, and whether it is
 * up. By way of all pairs of the host: for those that are not to be found by name. */
struct link_place {
	bool is_there, up;
	uint32_t bridge;
};
int link_places_get(struct link_handle *handle, const struct link_end *ends, size_t len,
		    struct link_place *places, struct error *error);
/* sight.c: all that can be seen of a host end without going into the sandbox. */
struct link_sight {
	struct link_end end; /* filled by the caller */
	uint32_t index;      /* 0: there is none */
	char name[IFNAMSIZ], alias[ALIAS_MAX];
	bool is_taken; /* another interface has its name */
	uint32_t flags, mtu, bridge;
	struct link_apart apart;
	bool hairpin;
	bool lacks_mac; /* it is locked, and its bridge does not know who is behind it: mute */
	/* the other end: its index, in the namespace of that number here; -1: in this one */
	uint32_t peer;
	int32_t peer_namespace;
	bool unlimited_in, unlimited_out; /* a rate that it has is not in force */
};
int link_sights_get(struct link_handle *handle, struct link_sight *sights, size_t len,
		    struct error *error);
/* within.c: and what is inside, of all that are in one sandbox. */
struct link_within {
	const struct endpoint *endpoint; /* filled by the caller, as is the next */
	const struct link_sight *host;
	uint32_t asked, index; /* of the pair's other end; 0: it is not there */
	char name[IFNAMSIZ];
	bool is_taken; /* another interface has its name */
	uint32_t flags, mtu;
	uint8_t mac[MAC_LEN];
	bool has[2][SUBNETS_MAX]; /* of IPv4 and IPv6: which of its addresses */
	bool has_settings;        /* the next two, which an interface without IPv6 has not */
	int disable_ipv6, accept_ra;
	bool lacks_source[2][SUBNETS_MAX]; /* of each of them: its way out by its own gateway */
};
struct link_route {
	struct prefix destination;
	struct addr gateway; /* unspecified: none */
	uint32_t index, metric;
	uint8_t type; /* enum route_type */
};
typedef VECTOR(struct link_route) link_route_vector;
/* Appends the routes of table main. sources: those of all endpoints in the sandbox. */
int link_within_get(struct link_handle *handle, const struct sandbox *sandbox,
		    const source_vector *sources, struct link_within *ends, size_t len,
		    link_route_vector *routes, struct error *error);
/* sysctl.c: which of them have another value now? */
int link_sysctls_differ(const struct sandbox *sandbox, const sysctl_vector *sysctls, bool *differ,
			struct error *error);
/* By its name alone, and only if the alias is just this, or not given yet: 1 if it was deleted, as
 * above, 0 if there is none, or it is another's. */
int link_endpoint_delete_owned(struct link_handle *handle, const char *host_interface,
			       const char *alias, struct error *error);

/* ---- apart.c ---- */

/* Of an endpoint that is there; of one that is gone it is no error. -EOPNOTSUPP
 * BN_REASON_UNSUPPORTED: an older kernel. */
int link_apart_set(struct link_handle *handle, const struct link_end *end,
		   const struct link_apart *apart, struct error *error);

/* ---- shape.c: bandwidth ---- */

/* Does a packet of its MTU pass at all? -EINVAL with a sentence. */
int link_shape_check(const struct endpoint *endpoint, struct error *error);
/* Hold an endpoint that is there to the rates of its policy. before: as it was, or may be; NULL: it
 * has just been made. -EOPNOTSUPP BN_REASON_UNSUPPORTED where the kernel can't. What fails leaves
 * any of the two: to be called again, with the two exchanged. Of one that is gone it is no error,
 * where it was there before. */
int link_shape(struct link_handle *handle, const struct network *network,
	       const struct endpoint *before, const struct endpoint *endpoint, struct error *error);

/* `none`: lo alone. */
int link_loopback_up(const struct sandbox *sandbox, struct link_visit *visit, struct error *error);
/* ---- inspect.c: what the kernel shows ---- */

struct interface {
	char name[IFNAMSIZ];
	uint32_t index, mtu, flags;
	uint8_t mac[MAC_LEN];
	prefix_vector addresses;
	uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped;
	uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped;
};
void interface_clear(struct interface *interface);
/* -ENODEV if there is none, or one with another alias; NULL: whatever that is. */
int link_interface_get(struct link_handle *handle, const char *name, const char *alias,
		       struct interface *ret_interface, struct error *error);
/* The same inside a sandbox. */
int sandbox_interface_get(const struct sandbox *sandbox, const char *name,
			  const struct deadline *deadline, struct interface *ret_interface,
			  struct error *error);

/* Whom the host asks for names, as its resolv.conf says. Appends. */
int link_nameservers(addr_vector *servers, struct error *error);
/* Destinations of every table's unicast routes and the prefixes of every address of the host. */
int link_routed_prefixes(struct link_handle *handle, prefix_vector *ret_prefixes,
			 struct error *error);
/* onlink.c: 1 if the host is in part of a subnet, or the subnet in part of what the host is in, by
 * an interface other than lo and that one (""; a bridge to be adopted, of which it doesn't count),
 * else 0. ret_found is where. The host is in the prefixes of its addresses, those on tunnels too;
 * in what routes say is on a link, and in their gateways, but not on tunnels, which are given whole
 * parts of the world as routes. Links without broadcast are tunnels. */
struct link_on_link {
	struct prefix prefix; /* an address with its length, or what a route says */
	char interface[IFNAMSIZ];
};
int link_find_on_link(struct link_handle *handle, const struct prefix *subnet, const char *except,
		      struct link_on_link *ret_found, struct error *error);
/* Every address of the host itself. */
int link_local_addresses(struct link_handle *handle, prefix_vector *ret_addresses,
			 struct error *error);
/* The same, less what length they were given with, and what is local by a route, which may be for
 * many at once (AnyIP). Some may be there twice. */
int link_local_prefixes(struct link_handle *handle, prefix_vector *ret_prefixes,
			struct error *error);
/* 1 if there is a link of that name, 0 if not. */
int link_exists(struct link_handle *handle, const char *name, struct error *error);
/* The same without the lock that all of rtnetlink waits for, and then its index, 0 for none. True
 * also when it can't be told. */
bool link_is_known(struct link_handle *handle, const char *name);
uint32_t link_index(struct link_handle *handle, const char *name);
/* False, and "", if there is none of that index any more. */
bool link_name(struct link_handle *handle, uint32_t index, char ret_name[static IFNAMSIZ]);
/* Of host ends: what bridge they are on, by its index, and whether they are up. */
struct link_port {
	const char *name; /* filled by the caller */
	uint32_t bridge;  /* 0: on none, or there is no such link */
	bool up;
};
int link_ports_get(struct link_handle *handle, struct link_port *ports, size_t len,
		   struct error *error);
/* False if there is no link of that name. Takes no lock that others wait for. */
bool link_mtu(struct link_handle *handle, const char *name, uint32_t *ret_mtu);
/* MTU of the interface of the default route, of that family before the other, as far as our links
 * can have it; 1500 without one. */
int link_default_mtu(struct link_handle *handle, int first, uint32_t *ret_mtu, struct error *error);

/* The interface of the host's default route of that family; "": there is none. */
int link_uplink(struct link_handle *handle, int family, char ret_name[static IFNAMSIZ],
		struct error *error);

/* ---- found.c, giveback.c: what is changed of the host's settings, and giving it back ---- */

/*
 * What making a network will change, as it is now: forwarding of a family where it is off (which
 * writes every interface's own value), accept_ra of those that would stop taking router
 * advertisements, and of a bridge to be adopted whether it is up and its route_localnet. *ret_found
 * is "" when nothing will be changed, and is freed by the caller; adopted_bridge may be NULL.
 * -EAFNOSUPPORT: the kernel lacks the family.
 */
int host_found(struct link_handle *handle, bool ipv4, bool ipv6, const char *adopted_bridge,
	       bool links_only, char **ret_found, struct error *error);
/* The part of it that is about forwarding of those families, and still to be given back. */
int host_found_forwarding(const char *found, bool ipv4, bool ipv6, char **ret_found,
			  struct error *error);
/* Does it say that forwarding of the family was off, and is turned on? */
bool host_found_off(const char *found, int family);
/* Where interfaces are turned on one by one: was there none that leads further than its link? */
bool host_found_no_way(const char *found, int family);
/* Turn forwarding on where it is off. For IPv6 the interfaces that learn routes from router
 * advertisements (accept_ra 1) get accept_ra 2 first, or the host would lose them. */
int host_forwarding_enable(struct link_handle *handle, bool ipv4, bool ipv6,
			   const char *adopted_bridge, struct error *error);
/* What is found now and is not in what is known. */
int host_found_beyond(const char *found, const char *known, char **ret_found, struct error *error);
/*
 * Give back what was found, where it is still what we set: what someone has changed since stays,
 * and what is gone is passed over. Forwarding of a family, and accept_ra with it, only where that
 * is asked for: another network may rely on it by now. A bridge that was down goes down again
 * unless it has more ports or addresses than it had; so after bridge_delete(). May be called again
 * at any time after it failed or died. -EROFS, -EACCES and the like, after all else was tried.
 */
int host_give_back(struct link_handle *handle, const char *found, bool ipv4, bool ipv6,
		   struct error *error);
/* The same of what is the adopted bridge's own, by which no route leads any more: forwarding that
 * was turned on of it alone, too. */
int host_give_back_bridge(struct link_handle *handle, const char *found, const char *bridge,
			  struct error *error);

/* ---- hostport.c: ports of the host's own sockets ---- */

/* Which sockets of the host are in the way of a mapping. */
enum hostport_rule {
	HOSTPORT_LISTENERS, /* those that take in what comes there */
	HOSTPORT_ANY,       /* those that only connect out as well: of a port that is picked */
	HOSTPORT_NONE       /* none: the address is to be one of this host */
};

/*
 * Refuse a mapping whose host port a process of the host uses: trial bind; for many ports the
 * sockets are dumped first (sock_diag) and only suspects are bound. -EADDRINUSE
 * BN_REASON_PORT_LISTENER; the sentence names the process where /proc shows it. A protocol without
 * sockets in this kernel (SCTP) is passed over. Addresses not of this host: -EADDRNOTAVAIL.
 */
int hostport_check(const struct port *ports, size_t len, enum hostport_rule rule,
		   const struct deadline *deadline, struct error *error);

/* Sockets bound to every host port of the mapping, both families for no address. Appends to the
 * vector; on failure those appended are closed. */
typedef VECTOR(int) fd_vector;
int hostport_hold(const struct port *port, const struct deadline *deadline, fd_vector *fds,
		  struct error *error);

/* ip_local_port_range less ip_local_reserved_ports: is this port one to pick for port 0? */
struct ephemeral_ports {
	uint16_t first, last;
	uint8_t reserved[PORT_BITS];
};
int hostport_ephemeral(struct ephemeral_ports *ret_ports, struct error *error);

/* Set the bits of ports that sockets of the host have, on whatever address, as far as the kernel
 * lists them (sockets.c). */
void link_used_ports(uint8_t protocol, const struct deadline *deadline,
		     uint8_t bits[static PORT_BITS]);

#endif
