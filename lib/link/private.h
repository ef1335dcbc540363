/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of link/ share besides the transport. */
#ifndef BN_LINK_PRIVATE_H
#define BN_LINK_PRIVATE_H

#include "base/fault.h"
#include "link/around.h"
#include "link/bridge.h"
#include "link/rtnl.h"

#define ALIAS_MARK "bridgenet:"
/* An alias can't be given to a link at its birth, a group can: ours until the alias is there, so
 * that what a process leaves that dies in between is told from a stranger's link. "bnet". */
#define LINK_GROUP_NEWBORN 0x626e6574u

/* ---- dump.c ---- */

/* What the messages of a dump were about, a number for each. */
struct shown {
	uint64_t *numbers;
	size_t len, capacity;
};
/* 1, 0 if it was there, -ENOMEM. */
int shown_add(struct shown *shown, const struct nlmsghdr *message);
bool shown_has(const struct shown *shown, const struct nlmsghdr *message);
bool shown_same(const struct shown *a, const struct shown *b);
void shown_clear(struct shown *shown);

/* ---- endpoint.c ---- */

/* The answer to a link's creation was lost: 0 if it was made, `lost` (the error) if not, or
 * OUTCOME_UNKNOWN. Nobody else makes one in the group of ours. ret_index: may be NULL. */
int link_was_made(struct link_handle *handle, const char *name, int lost, uint32_t *ret_index);
/* The MAC that the host end of an endpoint's pair is given. */
void host_end_mac(const struct endpoint *endpoint, uint8_t ret_mac[static MAC_LEN]);

/* ---- delete.c ---- */

typedef VECTOR(uint32_t) index_vector;
/* The only request of the batch deletes these: out of sight, as link_endpoints_delete() says. */
int links_delete(struct link_handle *handle, struct rtnl_batch *batch, const index_vector *indexes,
		 const char *step);
/* In a forked child, where the threads are not. */
void deletions_forget(struct link_handle *handle);

/* ---- ours.c ---- */

struct link_info;
/* Append the indexes of the host ends that are there. */
int link_ends_find(struct link_handle *handle, const struct link_end *ends, size_t len,
		   index_vector *indexes, struct error *error);
/* The number that a namespace has in ours; -1: it has none, so no link leads there. */
int namespace_number(struct link_handle *handle, const struct sandbox *sandbox,
		     int32_t *ret_number);
/* -ENODEV without a sentence. */
int link_find_alias(struct link_handle *handle, const char *kind, const char *alias,
		    struct link_info *ret_info, struct error *error);

/* ---- apart.c ---- */

/* Into a message about the host end; fresh: it has never been told anything. */
void apart_put(struct rtnl_batch *batch, const struct link_apart *apart, bool fresh);
/* RTM_NEWNEIGH or RTM_DELNEIGH, of the endpoint's own. */
void apart_add_mac(struct rtnl_batch *batch, int type, uint32_t index,
		   const uint8_t mac[static MAC_LEN]);
/* What a link says of itself as a port; false if it is none, or that is not about a link. */
bool apart_parse(const struct nlmsghdr *reply, struct link_apart *ret_apart, bool *ret_hairpin);
/* The kernel takes what it does not know of, and says nothing. */
int apart_check(struct link_handle *handle, const struct endpoint *endpoint, uint32_t index,
		const struct link_apart *apart, struct error *error);

/* ---- shape.c ---- */

/* Ours can be told from what others put in its place. */
#define SHAPE_ROOT TC_H_MAKE(0xb0e70000u, 0)
#define SHAPE_INGRESS TC_H_MAKE(TC_H_INGRESS, 0)

/* ---- detour.c: the device that what an endpoint sends is slowed down on ---- */

/* One that is there is taken as it is. */
int detour_make(struct link_handle *handle, const struct network *network,
		const struct endpoint *endpoint, uint32_t *ret_index, bool *ret_new,
		struct error *error);
/* Append the indexes of those that are there. */
int detours_find(struct link_handle *handle, const struct link_end *ends, size_t len,
		 index_vector *indexes, struct error *error);
int detour_remove(struct link_handle *handle, const struct network *network,
		  const struct endpoint *endpoint, struct error *error);

/* ---- bridge.c ---- */

int bridge_set_ipv6(const struct bridge_config *config, char note[static LINK_NOTE_MAX],
		    struct error *error);
/* Alias, MTU, and how it forwards IPv4. */
int bridge_mark(struct link_handle *handle, const struct bridge_config *config, bool has_ipv6,
		struct error *error);
/* Those that it lacks, and up. */
int bridge_put_addresses(struct link_handle *handle, const struct bridge_config *config,
			 uint32_t index, bool is_up, struct error *error);
/* Ours, however it was renamed. -ENODEV without a sentence. */
int bridge_find(struct link_handle *handle, const struct bridge_config *config,
		struct link_info *ret_info, struct error *error);
/* May it be adopted, or stay so? found: of looking it up. */
int bridge_check_adopted(const struct bridge_config *config, struct link_info *info, int found,
			 struct error *error);
/* By its name and its MAC, where its alias says nothing. */
bool bridge_was_ours(const struct bridge_config *config, const struct link_info *info);
/* What a bridge of ours has with its IPv6 subnet. */
struct prefix bridge_link_local(const struct bridge_config *config);
/* All that it is given; how many. */
size_t bridge_addresses_of(const struct bridge_config *config,
			   struct prefix ret_addresses[static BRIDGE_ADDRESSES]);

/* ---- kept.c ---- */

struct kept_settings {
	uint32_t index;
	bool localnet, forwards; /* of IPv4 */
};
/* False: the bridge is to be looked for as if for the first time. joins: of bridge_ready(). */
bool kept_bridge_read(struct link_handle *handle, const struct bridge_config *config, bool joins,
		      struct kept_settings *ret_settings);
/* It was found to be ours under that index. */
void kept_bridge_keep(struct link_handle *handle, const struct bridge_config *config,
		      uint32_t index, bool joined);
void kept_bridge_forget(struct link_handle *handle);

/* ---- neighbour.c ---- */

/*
 * Where the host has a neighbour on the bridge that has an address of the endpoint and another MAC,
 * left by one that had the address before, it gets the endpoint's: else the host would send to the
 * old one for most of a minute. An entry that is permanent, that others keep, or that goes
 * meanwhile, is passed over. Unless there is one to change, no lock is taken.
 */
int link_neighbour_replace(struct link_handle *handle, uint32_t bridge,
			   const struct endpoint *endpoint, struct error *error);

/* ---- visit.c ---- */

/* To be called once; what it has opened is the caller's. *ret_ipv6: the directory net.ipv6.conf of
 * the sandbox, by which its files are found from outside, too; or -errno. */
int visit_end(struct link_visit *visit, struct link_handle *ret_handle, int *ret_ipv6,
	      struct error *error);
/* All of it, for the socket. */
int sandbox_link_open(const struct sandbox *sandbox, const struct deadline *deadline,
		      struct link_handle *ret_handle, struct error *error);

/* In a thread that is in the sandbox for as long. */
typedef int (*visit_fn)(void *userdata, struct error *error);
int sandbox_run(const struct sandbox *sandbox, visit_fn function, void *userdata,
		struct error *error);

/* ---- ipv6.c ---- */

/* Of the endpoint's interface, on networks with IPv6 and without, by the directory of
 * visit_end(). */
int ipv6_set_up(const struct link_endpoint_config *config, int directory,
		char note[static LINK_NOTE_MAX], struct error *error);
/* Its ndisc_notify, for writing; -1: it can't be had. */
int ipv6_open_notify(int directory, const char *interface);

/* ---- sandbox.c ---- */

/* Whether it is a network namespace, and which; `name`: for a sentence. */
int sandbox_identify(int fd, const char *name, struct sandbox *sandbox, struct error *error);
/* Of a socket that is made there, for kernels that don't say it of the descriptor; 0: not known. */
uint64_t sandbox_cookie_inside(int fd);

/* ---- routes.c: inside a sandbox ---- */

/* The default routes of an endpoint, of its metrics, at the end of the batch. */
void routes_put_default(struct rtnl_batch *batch, const struct link_endpoint_config *config,
			uint32_t index);
/* By themselves. *ret_step: how far from those metrics they came to be. again: they may be there
 * already. */
int routes_add_default(struct link_handle *inside, const struct link_endpoint_config *config,
		       uint32_t index, bool again, uint32_t *ret_step, struct error *error);
/* The same, of those metrics alone. */
int routes_keep_default(struct link_handle *inside, const struct link_endpoint_config *config,
			uint32_t index, struct error *error);
/* Of our rules and tables there are then just those of the sources; in the order in which no packet
 * finds neither the old way nor the new. */
int routes_sync_sources(struct link_handle *inside, const source_vector *sources,
			struct error *error);

typedef VECTOR(struct rtnl_rule) rtnl_rule_vector;
/* Of ours, those that are there; and those that there are to be, that of main first, less those
 * whose interface is not there (any more, or yet). */
int routes_rules_read(struct link_handle *inside, int family, rtnl_rule_vector *rules);
int routes_rules_wanted(struct link_handle *inside, const source_vector *sources, int family,
			rtnl_rule_vector *rules);
bool routes_has_rule(const rtnl_rule_vector *rules, const struct rtnl_rule *rule);
const struct link_source *routes_source_of(const source_vector *sources,
					   const struct addr *address);

/* ---- static.c: inside a sandbox ---- */

/* False for one that no endpoint is given. ret_type: enum route_type. */
bool static_route_type(uint8_t kernel_type, uint8_t *ret_type);

/* passed: -EEXIST when they may be there already. */
int routes_add_static(struct link_handle *inside, const struct endpoint *endpoint, uint32_t index,
		      int passed, struct error *error);

/* ---- announce.c ---- */

/* For the first time; takes the socket over. ndisc_notify: of ipv6_open_notify(). */
void announcer_begin(struct link_announcer *announcer, const struct endpoint *endpoint,
		     struct link_handle *inside, int ndisc_notify);

/* ---- search.c ---- */

/* From Linux 6.18 on, whoever has it: a namespace that only an open descriptor keeps, too. */
int sandbox_open_number(const struct sandbox *wanted, struct sandbox *ret_sandbox);

/* ---- sysctl.c ---- */

/* net.<family>.conf.<interface>.<key>; family: "ipv4" or "ipv6". The value, negative on failure;
 * written only if it has another. */
int sysctl_interface_read(const char *family, const char *interface, const char *key);
int sysctl_interface_write(const char *family, const char *interface, const char *key, int value,
			   struct error *error);
/* The file, to be read by the other again and again. */
int sysctl_interface_open(const char *family, const char *interface, const char *key);
int sysctl_value_of(int fd);
bool sysctl_interface_is_writable(const char *family, const char *interface, const char *key);

/* Has the kernel IPv6? To be asked in the caller's namespace, where the file has been looked up
 * before: in a fresh one it takes the longer the more namespaces there are. */
bool sysctl_has_ipv6(void);
/* What was asked for, in the sandbox; what is so already is not written. */
int sysctls_write(const struct sandbox *sandbox, const struct link_endpoint_config *config,
		  struct error *error);
const char *sysctl_family(int family);
/* As above, and what goes away meanwhile is passed over; of IPv4 by netlink where files can't be
 * written. */
int conf_write(struct link_handle *handle, int family, const char *interface, const char *key,
	       int value, struct error *error);

/* ---- forwarding.c ---- */

/* The value of net.<family>.conf.all.forwarding. -EAFNOSUPPORT without the family. */
int sysctl_forwarding_of_all(int family, struct error *error);
/* From Linux 6.17 on an interface can be told to forward IPv6 where all don't, and goes on to take
 * router advertisements. That file of `all` writes every interface's. */
bool has_force_forwarding(void);

/* What an interface, or "default", is set to. */
struct conf {
	char name[IFNAMSIZ];
	uint32_t index; /* of IPv6, as is the last */
	int forwarding, accept_ra;
};
typedef VECTOR(struct conf) conf_vector;
/* Those that forward, or take router advertisements. */
int confs_read(struct link_handle *handle, int family, conf_vector *confs, struct error *error);

/* Of net.<family>.conf. wanted: the same as it was where another of them overwrites it, until it is
 * put back after that. */
struct host_setting {
	char interface[IFNAMSIZ]; /* or "all", "default" */
	const char *key;
	int was, wanted;
};
typedef VECTOR(struct host_setting) setting_vector;
/* Does a route lead further than the link by it? 1 or 0. */
int is_uplink(struct link_handle *handle, int family, const char *interface, struct error *error);
/* What turning on forwarding will set, in order. */
int forwarding_plan(struct link_handle *handle, int family, const char *adopted,
		    setting_vector *ret_plan, struct error *error);

/* ---- inspect.c ---- */

struct host_routes {
	prefix_vector *prefixes;
	size_t before; /* how many there were */
	/* of the best default route */
	uint32_t metric, interface;
};
int routes_take(void *userdata, const struct nlmsghdr *reply);
/* table 0: all */
int routes_each(struct link_handle *handle, int family, uint8_t table, rtnl_reply_fn take,
		struct host_routes *query, struct error *error);

/* ---- found.c ---- */

/* Without those of link-local scope, which the kernel gives to what comes up. */
int bridge_addresses(struct link_handle *handle, uint32_t bridge, struct error *error);

#define FOUND_KEY_MAX 64
#define FOUND_LINK "link/"
struct found_line {
	char key[FOUND_KEY_MAX];
	int value;
};
typedef VECTOR(struct found_line) found_line_vector;
int found_lines(const char *found, found_line_vector *lines, struct error *error);
/* Is the line about that setting of a family's interfaces, and of which? */
bool found_line_is(const struct found_line *line, int family, const char *key,
		   char interface[static IFNAMSIZ]);
bool found_line_is_of_link(const struct found_line *line, const char *key,
			   char interface[static IFNAMSIZ]);

/* ---- inspect.c ---- */

struct link_info {
	struct interface interface; /* without addresses and counters */
	uint32_t group, bridge;     /* bridge: or what else it is a port of; 0: of nothing */
	int32_t peer_namespace;     /* by its number here; -1: in this one, or there is none */
	char kind[16];
	char alias[ALIAS_MAX];
	bool has_altname; /* the one asked about */
};
/* False if that is not about a link. All but has_altname. */
bool link_info_parse(const struct nlmsghdr *reply, struct link_info *ret_info);
/* -ENODEV without a sentence. altname may be NULL. */
int link_info_get(struct link_handle *handle, const char *name, const char *altname,
		  struct link_info *ret_info, struct error *error);

/* Those of a kind; an older kernel tells of all links. */
int links_dump_kind(struct link_handle *handle, const char *kind, rtnl_reply_fn reply,
		    void *userdata, struct error *error);
bool index_is_in(const index_vector *indexes, uint32_t index);
int index_add(index_vector *indexes, uint32_t index); /* once; 0, -ENOMEM */

/* An address in a message; false if there is none of that family. */
bool attr_addr(const struct nlattr *attr, int family, struct addr *ret_addr);

struct address_info {
	struct prefix address;
	uint32_t index; /* of the interface */
	uint8_t protocol;
};
typedef VECTOR(struct address_info) address_vector;
/* Of one link, of all for index 0; prefix: what is on the link rather than our own address. */
int link_addresses(struct link_handle *handle, uint32_t index, bool prefix,
		   address_vector *addresses, struct error *error);

/* ---- sockets.c: the sockets of the host, through sock_diag ---- */

struct socket_info {
	struct addr addr;
	uint16_t port;
	uint32_t inode;
	bool connected; /* it has a peer, or had one: nothing new comes in by it */
	bool listens;   /* what comes is for it; false of one that is there to hold the port */
	bool ipv6_only; /* of IPv6, and takes no IPv4 */
};
typedef void (*socket_fn)(void *userdata, const struct socket_info *socket);
/* Every TCP or UDP socket that is bound, of a family; to one of the ports alone, or `first` 0 for
 * all, and then not what is left of closed connections. Those that listen are told without a walk
 * over all connections. -EOPNOTSUPP where the kernel can't tell. */
struct socket_ports {
	uint16_t first, last;
	bool listening; /* of TCP those alone */
};
int sockets_each(int family, uint8_t protocol, struct socket_ports ports,
		 const struct deadline *deadline, socket_fn function, void *userdata);
/* Does a socket take in what comes to the address and port? False only if there are sockets that
 * have the port, and all of them only go out from it. */
bool socket_listens(const struct addr *addr, uint8_t protocol, uint16_t port,
		    const struct deadline *deadline);
/* "process 1234 (nginx)" that has the port, or "" if it can't be found in time. */
void socket_owner(const struct addr *addr, uint8_t protocol, uint16_t port,
		  const struct deadline *deadline, char ret_owner[static SOCKET_OWNER_MAX]);

#endif
