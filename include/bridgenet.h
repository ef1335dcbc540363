/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libbridgenet: what a container's bridge network is made of, for any program.
 *
 * Conventions, true of every function here:
 *
 *  - A call that can fail returns 0 or a negative errno. Its result comes through the last
 *    parameter (ret_...), which is untouched on failure. After a failed call with a context,
 *    bn_error_message() says in one sentence what was wrong and what to do.
 *  - What has no context fails with -EINVAL, for NULL, or -ENOMEM. What any verb may return is in
 *    bridgenet-errors(7); the comment of a verb names what matters most of its own, its page all.
 *  - Strings are UTF-8, ended by NUL. Setters copy what they are given. Getters return memory that
 *    belongs to the object asked and lives as long as it does; they never return NULL unless said.
 *    Of NULL, and past the end, they say "", 0 or NULL.
 *  - Specs are inputs, built with setters and judged as a whole by the call that takes them. A spec
 *    or list keeps the first failure of a setter, which that call then fails with, in words: who
 *    does not look at what setters return misses nothing.
 *    Networks, endpoints, ports, rules and lists are snapshots: they never change, hold no pointer
 *    to the context and may be freed in any order. Freeing NULL does nothing.
 *  - flags is 0 or the flags named for that call; any other bit is -EINVAL.
 *  - A context is used by one thread at a time; different contexts are independent, in one process
 *    or many. A call while another runs in the context is -EBUSY at once, and changes nothing in
 *    it: as long as that one runs, bn_error_*() speak of the refusal, afterwards of its own result.
 *    Only bn_ctx_cancel() is for other threads. A context made before fork() is refused in the
 *    child with -ECHILD.
 */
#ifndef BRIDGENET_H
#define BRIDGENET_H

#ifndef BN_CDEF
#include <stddef.h>
#include <stdint.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bn_ctx bn_ctx;
typedef struct bn_name_list bn_name_list;
typedef struct bn_network_spec bn_network_spec;
typedef struct bn_network bn_network;
typedef struct bn_network_list bn_network_list;
typedef struct bn_endpoint_spec bn_endpoint_spec;
typedef struct bn_endpoint_spec_list bn_endpoint_spec_list; /* Since: 0.2 */
typedef struct bn_endpoint bn_endpoint;
typedef struct bn_endpoint_list bn_endpoint_list;
typedef struct bn_port_spec bn_port_spec;
typedef struct bn_port_spec_list bn_port_spec_list;
typedef struct bn_port bn_port;
typedef struct bn_port_list bn_port_list;
typedef struct bn_interface bn_interface;
typedef struct bn_name bn_name;
typedef struct bn_names bn_names;
typedef struct bn_finding bn_finding;
typedef struct bn_finding_list bn_finding_list;
typedef struct bn_watch bn_watch; /* Since: 0.2 */
typedef struct bn_event bn_event;
typedef struct bn_sandbox_files bn_sandbox_files;
typedef struct bn_option bn_option;
typedef struct bn_option_list bn_option_list;
typedef struct bn_rule bn_rule;
typedef struct bn_rule_list bn_rule_list;

/* ---- Version and features ------------------------------------------------------------------- */

/* The version of the library at run time: major << 16 | minor << 8 | patch. Since: 0.1 */
uint32_t bn_version(void);

/* The same as text, "0.1.0". Since: 0.1 */
const char *bn_version_string(void);

/* 1 if this build has the named feature ("nftables", ...), else 0; the names
 * are in bridgenet(7). Since: 0.1 */
int bn_has_feature(const char *name);

/* ---- Context -------------------------------------------------------------------------------- */

/* Called during a call on the context, on the calling thread; level is that of syslog(3), message
 * is one formatted line. It must not call back into the context. */
typedef void (*bn_log_fn)(void *userdata, int level, const char *message);

/* Make a context. Nothing is opened before the first verb, which works in the network namespace
 * that the calling thread is in then. flags: 0. Since: 0.1 */
int bn_ctx_new(uint32_t flags, bn_ctx **ret_ctx);

/* Close and free. Networks, endpoints and ports stay. It waits for what BN_DETACH_ASYNC left to a
 * thread, some 16 ms: no thread is there afterwards. In a forked child it closes what is the
 * child's own to close, and the parent's calls go on. Since: 0.1 */
void bn_ctx_free(bn_ctx *ctx);

/* The settings below are taken before the first verb, afterwards they are -EBUSY. */

/* Where the state is kept; default "/run/bridgenet", or what the library was configured
 * with. An absolute path, of a directory that is for its owner alone: reading the state needs what
 * owning it needs; see bridgenet-state(5). Since: 0.1 */
int bn_ctx_set_state_dir(bn_ctx *ctx, const char *path);

/* "nftables", "iptables-legacy" or "auto" (default). -EINVAL for a name that this build does not
 * know; whether the host has it is found by the first verb. Since: 0.1 */
int bn_ctx_set_backend(bn_ctx *ctx, const char *name);

/* See bridgenet-options(7) for the keys, such as "iptables.lock-file"; an unknown one is
 * -EOPNOTSUPP. Since: 0.1 */
int bn_ctx_set_option(bn_ctx *ctx, const char *key, const char *value);

/* How long one call may take, in milliseconds; default 10000, 0 for no limit. It ends within 100 ms
 * of that with -ETIMEDOUT, but for what the kernel won't break off, such as the deletion of a link.
 * What it had begun is then undone, for which there are 2 s more; what is left after them is undone
 * by the next call that changes something. Since: 0.1 */
int bn_ctx_set_timeout_ms(bn_ctx *ctx, uint32_t timeout_ms);

/* Where log lines go; NULL (default) for nowhere. May be set between any two calls. Since: 0.1 */
int bn_ctx_set_log(bn_ctx *ctx, bn_log_fn log, void *userdata);

/* The verb that runs on the context ends with -ECANCELED, BN_REASON_CANCELLED, as soon as it can;
 * if none runs, the next one does. What it had begun is undone, which can't be cancelled; a verb
 * that is done by then succeeds. From any thread, and from a signal handler. Since: 0.2 */
void bn_ctx_cancel(bn_ctx *ctx);

/* The backend in use, and why it was picked; "" before the first verb. Since: 0.1 */
const char *bn_ctx_backend(const bn_ctx *ctx);
const char *bn_ctx_backend_reason(const bn_ctx *ctx);

/* Move the networks, endpoints and ports of the state to another backend: the new rules stand
 * before the old ones go, and connections survive. flags: 0. Errors: -EINVAL unknown name,
 * -EOPNOTSUPP, -EADDRINUSE a port is taken there, -EBUSY other calls are at work until the time
 * limit, -ETIMEDOUT. Since: 0.1 */
int bn_backend_switch(bn_ctx *ctx, const char *name, uint32_t flags);

/* ---- Options --------------------------------------------------------------------------------- */

/* The options that this library knows, in the order of bridgenet-options(7). scope: "network",
 * "endpoint", "port" or "context", NULL for all. flags: 0. To be freed. -EINVAL, -ENOMEM; there is
 * no context that could say more. Since: 0.2 */
int bn_options_list(const char *scope, uint32_t flags, bn_option_list **ret_list);

/* What a list has belongs to it. Since: 0.2 */
size_t bn_option_list_len(const bn_option_list *list);
const bn_option *bn_option_list_at(const bn_option_list *list, size_t i);
void bn_option_list_free(bn_option_list *list);

/* What is known of an option. Since: 0.2 */
const char *bn_option_scope(const bn_option *option);
const char *bn_option_key(const bn_option *option);     /* "internal", "label.NAME" */
const char *bn_option_type(const bn_option *option);    /* its values, in words */
const char *bn_option_default(const bn_option *option); /* in words; "" for none */
const char *bn_option_live(const bn_option *option);    /* can it be changed: "no", "yes", or "new"
							 * for what is made from then on */
const char *bn_option_alias(const bn_option *option);   /* another's name for it, "" for none */
const char *bn_option_since(const bn_option *option);   /* "0.2" */
const char *bn_option_description(const bn_option *option);

/* ---- Errors --------------------------------------------------------------------------------- */

/* Why a call failed, finer than errno. New values may be added. */
#define BN_REASON_NONE 0
#define BN_REASON_INVALID 1 /* an argument is malformed */
#define BN_REASON_NETWORK_UNKNOWN 2
#define BN_REASON_NETWORK_EXISTS 3
#define BN_REASON_NETWORK_IN_USE 4  /* it still has endpoints */
#define BN_REASON_NETWORK_BUILTIN 5 /* host and none can't be made or deleted */
#define BN_REASON_ENDPOINT_UNKNOWN 6
#define BN_REASON_ENDPOINT_EXISTS 7
#define BN_REASON_PORT_UNKNOWN 8
#define BN_REASON_PORT_IN_USE 9    /* published by another endpoint */
#define BN_REASON_PORT_LISTENER 10 /* a process of the host uses it */
#define BN_REASON_PORT_NONE_FREE 11
#define BN_REASON_SUBNET_OVERLAP 12
#define BN_REASON_POOL_EXHAUSTED 13 /* no free subnet */
#define BN_REASON_ADDRESS_IN_USE 14
#define BN_REASON_ADDRESS_OUTSIDE 15
#define BN_REASON_ADDRESS_EXHAUSTED 16 /* no free address in the subnet */
#define BN_REASON_SANDBOX_GONE 17      /* no such namespace */
#define BN_REASON_SANDBOX_INVALID 18   /* not a network namespace */
#define BN_REASON_INTERFACE_EXISTS 19  /* the interface name is taken */
#define BN_REASON_BRIDGE_INVALID 20    /* no bridge, another network's, or not as it has to be */
#define BN_REASON_BRIDGE_FULL 21       /* the kernel takes 1023 ports on a bridge */
#define BN_REASON_BACKEND_UNAVAILABLE 22
#define BN_REASON_BACKEND_MISMATCH 23 /* the state was made with another backend */
#define BN_REASON_PRIVILEGE 24
#define BN_REASON_STATE 25 /* the state directory can't be used */
#define BN_REASON_TIMEOUT 26
#define BN_REASON_OPTION_UNKNOWN 27
#define BN_REASON_KERNEL 28 /* the kernel refused; see bn_error_kernel_message() */
#define BN_REASON_UNSUPPORTED 29
/* Since: 0.2 */
#define BN_REASON_BUSY 30             /* another call is at it, or in the context; try again */
#define BN_REASON_OPTION_CONFLICT 31  /* options that exclude each other */
#define BN_REASON_NOT_LIVE 32         /* it can't change while it stands */
#define BN_REASON_CANCELLED 33        /* by bn_ctx_cancel() */
#define BN_REASON_UNKNOWN_OUTCOME 34  /* the kernel's answer is lost; the next call looks again */
#define BN_REASON_METRIC_NONE_FREE 35 /* of default routes, between those of other endpoints */

/* Of the last call on the context; a call that succeeds clears them. For the thread that made it,
 * before the next call: a text lasts until then. Since: 0.1 */
const char *bn_error_message(const bn_ctx *ctx);
int bn_error_reason(const bn_ctx *ctx);                 /* BN_REASON_* */
int bn_error_errno(const bn_ctx *ctx);                  /* positive, as errno is */
const char *bn_error_kernel_message(const bn_ctx *ctx); /* the kernel's own words, "" for none */

/* "PORT_IN_USE" for BN_REASON_PORT_IN_USE; "UNKNOWN" for a number without a name. Since: 0.1 */
const char *bn_reason_name(int reason);

/* ---- Lists of names, as an input ------------------------------------------------------------ */

/* Names that a call takes many of, in the order in which they are added. Since: 0.1 */
int bn_name_list_new(bn_name_list **ret_list);
int bn_name_list_add(bn_name_list *list, const char *name);
void bn_name_list_free(bn_name_list *list);

/* ---- Networks ------------------------------------------------------------------------------- */

#define BN_CREATE_EXISTING_OK 0x1u    /* one that is as the spec says is no error. Since: 0.2 */
#define BN_CREATE_HOST_SUBNET_OK 0x2u /* the host may be in the subnet. Since: 0.2 */
#define BN_DELETE_MISSING_OK 0x1u     /* an unknown network is no error */
#define BN_DELETE_ENDPOINTS 0x2u      /* detach what is still attached */
#define BN_GET_INTERFACE 0x1u         /* read the live interface, see bn_network_interface() */

/* A network that is to be made; name: a letter or digit, then letters, digits, '_', '.' and '-', at
 * most 60. Since: 0.1 */
int bn_network_spec_new(const char *name, bn_network_spec **ret_spec);
void bn_network_spec_free(bn_network_spec *spec);

/* The id that it is to have, 64 hexadecimal digits in small letters, the first 12 of which no other
 * network has; default random. `bridge` has its own from the start. Since: 0.2 */
int bn_network_spec_set_id(bn_network_spec *spec, const char *id);

/* "bridge" (default). Of "host" and "null" there is one network each, which is built in.
 * Since: 0.2 */
int bn_network_spec_set_driver(bn_network_spec *spec, const char *driver);

/* "172.30.0.0/16", "fd00:30::/64"; of each family one, or (since 0.2) up to 8, which don't overlap:
 * each has its gateway on the bridge, and each endpoint an address of each. By the first of a family
 * lead the default routes of endpoints, and to its address published ports. "0.0.0.0/28" and "::/80"
 * (since 0.2) mean any of that size from the pools. Given none, an IPv4 subnet is picked from the
 * pools, skipping what the host routes and its nameservers. Since: 0.1 */
int bn_network_spec_add_subnet(bn_network_spec *spec, const char *cidr);

/* Pick subnets of prefix_len bits out of "10.99.0.0/16", rather than from the pools of the context;
 * of several, in their order, what the first ones have no more. Since: 0.2 */
int bn_network_spec_add_pool(bn_network_spec *spec, const char *base, uint32_t prefix_len);

/* Ask for (1) or do without (0) a family; asked for without a subnet, one is picked. Since: 0.1 */
int bn_network_spec_set_ipv4(bn_network_spec *spec, int enable);
int bn_network_spec_set_ipv6(bn_network_spec *spec, int enable);

/* The bridge's own address in the subnet that contains it; default its first. Since: 0.1 */
int bn_network_spec_add_gateway(bn_network_spec *spec, const char *address);

/* Addresses that are not chosen by the caller come from here; inside a subnet: a CIDR or (since
 * 0.2) "172.30.4.10-172.30.4.20", both ends with it. Since: 0.1 */
int bn_network_spec_add_ip_range(bn_network_spec *spec, const char *range);

/* An address that is never given to an endpoint; "NAME=ADDRESS", Docker's form, says whose it is, to
 * who reads it. Of DefaultGatewayIPv4 and DefaultGatewayIPv6 it is option "default-gateway-ipv4" or
 * "-ipv6" too. Since: 0.1, with a name since 0.2 */
int bn_network_spec_add_reserved(bn_network_spec *spec, const char *address);

/* It outlives the state: its definition is kept in the context's persistent-dir, see
 * bridgenet-options(7) and bridgenet-state(5). After a reboot the network is there as it was, with
 * its id, subnets and options; its bridge, of the same name, comes with the first endpoint. Until it
 * is deleted. Since: 0.2 */
int bn_network_spec_set_persistent(bn_network_spec *spec, int enable);

/* In bytes; 0 (default): that of a bridge that is adopted, else of the interface of the host's
 * default route, at most 65535. Since: 0.1 */
int bn_network_spec_set_mtu(bn_network_spec *spec, uint32_t mtu);

/* An existing bridge is adopted and never deleted; default "bn-" and 12 digits of the id. A name
 * with '+', '*', '"' or '\' is refused. Since: 0.1 */
int bn_network_spec_set_bridge(bn_network_spec *spec, const char *interface_name);

/* See bridgenet-options(7) for the keys; "label.NAME" takes any value. Since: 0.1 */
int bn_network_spec_set_option(bn_network_spec *spec, const char *key, const char *value);

/* Make the network and its bridge. ret_network may be NULL. flags: BN_CREATE_*; EXISTING_OK takes
 * the one that is there, if it is equal in all that the spec sets; without HOST_SUBNET_OK a subnet
 * must not overlap what the host has on another interface than the bridge. Errors: -EEXIST name, id or
 * bridge taken, or what is there differs, -EADDRINUSE subnet overlaps, -ENOSPC pools exhausted,
 * -ERANGE an address is outside the subnet, -EOPNOTSUPP unknown option. Since: 0.1 */
int bn_network_create(bn_ctx *ctx, const bn_network_spec *spec, uint32_t flags,
		      bn_network **ret_network);

/* name is a name, an id or an unambiguous beginning of an id, here and in every verb that takes a
 * network: of at least 12 digits where something is changed, of 4 where it is only read. flags:
 * BN_DELETE_*. Errors: -ENOENT, -EBUSY endpoints attached, -EPERM it is built in. Since: 0.1 */
int bn_network_delete(bn_ctx *ctx, const char *name, uint32_t flags);

/* Change a network that stands, with all that is attached: what the spec sets is to be so, a list is
 * given whole, an option of value "" is the default again (a label goes; an MTU is named), and the
 * rest stays as it is. Connections and counters stay, but for what the change shuts out; each table of rules is
 * committed once, and only where something is opened and something shut at the same time, twice, so
 * that nothing gets in between that neither the old nor the new network lets in. All of it or
 * nothing. ret_network may be NULL. flags: 0. Errors: -ENOENT, -EBUSY BN_REASON_NOT_LIVE what can't
 * change while the network stands, and differs; -EPERM it is built in, -EINVAL, -EOPNOTSUPP as
 * bn_network_create(). Since: 0.2 */
int bn_network_update(bn_ctx *ctx, const bn_network_spec *changes, uint32_t flags,
		      bn_network **ret_network);

/* A snapshot of one network, or of all in the order of their names; to be freed. flags:
 * BN_GET_INTERFACE. Errors: -ENOENT. Since: 0.1 */
int bn_network_get(bn_ctx *ctx, const char *name, uint32_t flags, bn_network **ret_network);
int bn_networks_list(bn_ctx *ctx, uint32_t flags, bn_network_list **ret_list);

/* What a list has belongs to it. Since: 0.1 */
size_t bn_network_list_len(const bn_network_list *list);
const bn_network *bn_network_list_at(const bn_network_list *list, size_t i);
void bn_network_list_free(bn_network_list *list);

/* Free what bn_network_create() or bn_network_get() gave, not what a list has. Since: 0.1 */
void bn_network_free(bn_network *network);

/* What a network says of itself. ..._at(i) is asked for i below the ..._count(). Since: 0.1 */
const char *bn_network_name(const bn_network *network);
const char *bn_network_id(const bn_network *network);      /* 64 hex digits */
const char *bn_network_driver(const bn_network *network);  /* "bridge", "host", "null" */
const char *bn_network_bridge(const bn_network *network);  /* "" if not made yet */
uint32_t bn_network_mtu(const bn_network *network);        /* in bytes */
int bn_network_is_persistent(const bn_network *network);   /* 1 or 0; since: 0.2 */
size_t bn_network_subnet_count(const bn_network *network); /* IPv4 first */
const char *bn_network_subnet_at(const bn_network *network, size_t i);   /* "172.17.0.0/16" */
const char *bn_network_gateway_at(const bn_network *network, size_t i);  /* of the same subnet */
const char *bn_network_ip_range_at(const bn_network *network, size_t i); /* too; "" if none */

/* How many addresses of a subnet are taken: by endpoints, those that are just attached or detached
 * too, by the gateway, and as reserved; and how many an attach that names none can still be given,
 * UINT64_MAX for that many or more. Since: 0.2 */
uint64_t bn_network_addresses_used_at(const bn_network *network, size_t i);
uint64_t bn_network_addresses_free_at(const bn_network *network, size_t i);

/* What else a network says of itself. Since: 0.1 */
size_t bn_network_reserved_count(const bn_network *network);
const char *bn_network_reserved_at(const bn_network *network, size_t i); /* an address */
size_t bn_network_option_count(const bn_network *network);
const char *bn_network_option_key_at(const bn_network *network, size_t i);
const char *bn_network_option_value_at(const bn_network *network, size_t i);
size_t bn_network_endpoint_count(const bn_network *network); /* attached at that time */

/* The bridge device as the kernel shows it, which belongs to the network; NULL without
 * BN_GET_INTERFACE or a device. Since: 0.1 */
const bn_interface *bn_network_interface(const bn_network *network);

/* ---- Endpoints ------------------------------------------------------------------------------ */

#define BN_ATTACH_HOLD_PORTS 0x1u    /* as BN_PUBLISH_HOLD_PORTS */
#define BN_ATTACH_OVER_LISTENER 0x2u /* as BN_PUBLISH_OVER_LISTENER. Since: 0.2 */
#define BN_ATTACH_SKIP_FAMILY 0x4u   /* as BN_PUBLISH_SKIP_FAMILY. Since: 0.2 */
#define BN_ATTACH_SAME_NETWORK 0x8u  /* a namespace that is on the network already. Since: 0.2 */
#define BN_DETACH_MISSING_OK 0x1u    /* an unknown network or endpoint is no error */
#define BN_DETACH_QUICK 0x2u         /* cut off at once, the link dies with its namespace */
#define BN_DETACH_DELETE_EMPTY 0x4u  /* and the network, if none is left in it. Since: 0.2 */
#define BN_DETACH_ASYNC 0x8u         /* a thread sees the kernel end what is settled. Since: 0.2 */
/* What it publishes goes on by another endpoint of its namespace, as bn_port_move() has it: the one
 * whose default route comes first there. What none can have goes with it. Since: 0.2 */
#define BN_DETACH_MOVE_PORTS 0x10u

/* An endpoint that is to be attached; endpoint: an id of the caller's choice, unique in the
 * network, of the form of a network's name, at most 64. Since: 0.1 */
int bn_endpoint_spec_new(const char *network, const char *endpoint, bn_endpoint_spec **ret_spec);
void bn_endpoint_spec_free(bn_endpoint_spec *spec);

/* The network namespace to join: a file, a process's, or an open descriptor, which is duplicated
 * (-EBADF, -EMFILE); the last that is set counts. Since: 0.1 */
int bn_endpoint_spec_set_sandbox_path(bn_endpoint_spec *spec, const char *path);
int bn_endpoint_spec_set_sandbox_pid(bn_endpoint_spec *spec, int pid);
int bn_endpoint_spec_set_sandbox_fd(bn_endpoint_spec *spec, int fd);

/* Default: the first free of eth0, eth1, ... Since: 0.1 */
int bn_endpoint_spec_set_interface_name(bn_endpoint_spec *spec, const char *name);

/* A fixed address; at most one of each subnet, default its next free. Since: 0.1 */
int bn_endpoint_spec_add_address(bn_endpoint_spec *spec, const char *address);

/* "02:42:ac:11:00:02", which no other endpoint of the network nor its bridge may have; default 02:42
 * and the IPv4 address, else four bytes of a hash. Since: 0.1 */
int bn_endpoint_spec_set_mac(bn_endpoint_spec *spec, const char *mac);

/* A static route: "10.8.0.0/16" by way of an address in the subnet. Since: 0.1 */
int bn_endpoint_spec_add_route(bn_endpoint_spec *spec, const char *destination,
			       const char *gateway);

/* Of a type: "unicast" (gateway NULL: it is on the link), or, without a gateway, "blackhole",
 * "unreachable" or "prohibit", which are there for as long as the endpoint, whatever else it has.
 * metric: 0 for the kernel's default. Since: 0.2 */
int bn_endpoint_spec_add_typed_route(bn_endpoint_spec *spec, const char *type,
				     const char *destination, const char *gateway, uint32_t metric);

/* Each endpoint has a default route, with a metric: of several in a namespace the highest priority
 * gets the lowest, the first attached among equals, so that the kernel uses its route, and the next
 * when that is gone; default 0. A lone endpoint of priority 0 has 100. Options "metric" and
 * "default-route" say otherwise. Since: 0.1 */
int bn_endpoint_spec_set_gateway_priority(bn_endpoint_spec *spec, int priority);

/* See bridgenet-options(7) for the keys; "label.NAME" takes any value. Since: 0.1 */
int bn_endpoint_spec_set_option(bn_endpoint_spec *spec, const char *key, const char *value);

/* Published together with the attach: all or nothing. The port spec is copied. Since: 0.1 */
int bn_endpoint_spec_add_port(bn_endpoint_spec *spec, const bn_port_spec *port);

/* Usable, with its ports, when the call returns. flags: BN_ATTACH_*. ret_endpoint may be NULL.
 * Errors: -ENOENT network or namespace unknown, -EEXIST endpoint or interface taken, or the
 * namespace is on the network already, -EADDRINUSE address, MAC or host port taken, -ENOSPC no
 * address left, -EXFULL bridge full, -EBUSY the network is being deleted. Since: 0.1 */
int bn_endpoint_attach(bn_ctx *ctx, const bn_endpoint_spec *spec, uint32_t flags,
		       bn_endpoint **ret_endpoint);

/* Several endpoints of one namespace, say one for each of its networks; add copies the spec.
 * Since: 0.2 */
int bn_endpoint_spec_list_new(bn_endpoint_spec_list **ret_list);
int bn_endpoint_spec_list_add(bn_endpoint_spec_list *list, const bn_endpoint_spec *spec);
void bn_endpoint_spec_list_free(bn_endpoint_spec_list *list);
/* Attach them in that order, in one operation, all or none. flags: BN_ATTACH_*. ret_list, which may
 * be NULL, has them in the order of the specs. Errors: as of bn_endpoint_attach(), -EINVAL also for
 * more than one namespace. Since: 0.2 */
int bn_endpoints_attach(bn_ctx *ctx, const bn_endpoint_spec_list *specs, uint32_t flags,
			bn_endpoint_list **ret_list);
/* Change an endpoint that is attached, as bn_network_update() does a network; ports are published and
 * unpublished instead. ret_endpoint may be NULL. flags: 0. Errors: -ENOENT, -EBUSY
 * BN_REASON_NOT_LIVE what can't change while it is attached, and differs. Since: 0.2 */
int bn_endpoint_update(bn_ctx *ctx, const bn_endpoint_spec *changes, uint32_t flags,
		       bn_endpoint **ret_endpoint);

/* Take an endpoint away with its ports, or many of one network in one operation, all or none.
 * flags: BN_DETACH_*; QUICK and ASYNC exclude each other. Errors: -ENOENT, -EBUSY another call is
 * at it. Since: 0.1 */
int bn_endpoint_detach(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags);
int bn_endpoints_detach(bn_ctx *ctx, const char *network, const bn_name_list *endpoints,
			uint32_t flags);

/* Detach, in one operation, what has lost its namespace ("sandbox-gone" below), of a network or
 * with NULL of all; ret_list may be NULL: what went, as it was. What another call is at is passed
 * over, and what is merely cut off stays. Cheap when nothing is to be done: it is for every
 * program that changes something. It looks for links first, and for a namespace only where the
 * link is gone; an endpoint that never had one, on network none, goes where the kernel tells of
 * the namespace itself (from Linux 6.18 on) and stays otherwise. flags: 0. Errors: -ENOENT no such
 * network. Since: 0.2 */
int bn_endpoints_collect(bn_ctx *ctx, const char *network, uint32_t flags,
			 bn_endpoint_list **ret_list);

/* A descriptor that is the endpoint's namespace for sure, whatever its path leads to by now, for
 * the caller to close; on network host the host's own. One that was given as a descriptor, or by a
 * process that has ended, is found as long as a process or a mount has it. flags: 0. Errors:
 * -ENOENT BN_REASON_SANDBOX_GONE. Since: 0.2 */
int bn_endpoint_open_sandbox(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
			     int *ret_fd);

/* A snapshot of one endpoint, or of those of a network, or with NULL of all; to be freed. flags:
 * BN_GET_INTERFACE. Errors: -ENOENT. Since: 0.1 */
int bn_endpoint_get(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
		    bn_endpoint **ret_endpoint);
int bn_endpoints_list(bn_ctx *ctx, const char *network, uint32_t flags,
		      bn_endpoint_list **ret_list);

/* What a list has belongs to it. Since: 0.1 */
size_t bn_endpoint_list_len(const bn_endpoint_list *list);
const bn_endpoint *bn_endpoint_list_at(const bn_endpoint_list *list, size_t i);
void bn_endpoint_list_free(bn_endpoint_list *list);

/* Free what bn_endpoint_attach() or bn_endpoint_get() gave, not what a list has. Since: 0.1 */
void bn_endpoint_free(bn_endpoint *endpoint);

/* What an endpoint says of itself. ..._at(i) is asked for i below the ..._count(). Since: 0.1 */
const char *bn_endpoint_network(const bn_endpoint *endpoint); /* the network's name */
const char *bn_endpoint_id(const bn_endpoint *endpoint);
const char *bn_endpoint_sandbox(const bn_endpoint *endpoint);        /* a path, "" if not known */
const char *bn_endpoint_interface_name(const bn_endpoint *endpoint); /* in the namespace */
const char *bn_endpoint_host_interface_name(const bn_endpoint *endpoint);  /* on the bridge */
const char *bn_endpoint_mac(const bn_endpoint *endpoint);                  /* "02:42:ac:11:00:02" */
uint32_t bn_endpoint_mtu(const bn_endpoint *endpoint);                     /* in bytes */
size_t bn_endpoint_address_count(const bn_endpoint *endpoint);             /* IPv4 first */
const char *bn_endpoint_address_at(const bn_endpoint *endpoint, size_t i); /* "172.17.0.2/16" */
size_t bn_endpoint_gateway_count(const bn_endpoint *endpoint); /* one of a family, IPv4 first */
const char *bn_endpoint_gateway_at(const bn_endpoint *endpoint, size_t i);
int bn_endpoint_gateway_priority(const bn_endpoint *endpoint);

/* How it was when the snapshot was made: "running"; "sandbox-gone", its namespace is gone; "cut",
 * the namespace is there, but the link is deleted, down or off the network's bridge; "" when that
 * could not be seen: from another network namespace than the state is about, say. Since: 0.2 */
const char *bn_endpoint_state(const bn_endpoint *endpoint);

/* Its routes as they were installed: of each family the default route, if it has one, "0.0.0.0/0"
 * or "::/0", then the static ones. Since: 0.2 */
size_t bn_endpoint_route_count(const bn_endpoint *endpoint);
const char *bn_endpoint_route_destination_at(const bn_endpoint *endpoint, size_t i);
const char *bn_endpoint_route_type_at(const bn_endpoint *endpoint, size_t i); /* "unicast", ... */
const char *bn_endpoint_route_gateway_at(const bn_endpoint *endpoint, size_t i);
uint32_t bn_endpoint_route_metric_at(const bn_endpoint *endpoint, size_t i);

/* Its options. Since: 0.1 */
size_t bn_endpoint_option_count(const bn_endpoint *endpoint);
const char *bn_endpoint_option_key_at(const bn_endpoint *endpoint, size_t i);
const char *bn_endpoint_option_value_at(const bn_endpoint *endpoint, size_t i);

/* Its ports, as bn_ports_list() gives them, which belong to the endpoint. Since: 0.1 */
const bn_port_list *bn_endpoint_ports(const bn_endpoint *endpoint);

/* The interface in the namespace, which belongs to the endpoint; NULL without BN_GET_INTERFACE or
 * when it is gone. Since: 0.1 */
const bn_interface *bn_endpoint_interface(const bn_endpoint *endpoint);

/* ---- Interfaces, as the kernel shows them --------------------------------------------------- */

/* When the snapshot that it belongs to was made. The counters are the kernel's, of the interface
 * itself: what an endpoint has received, its host end has sent. Since: 0.1 */
const char *bn_interface_name(const bn_interface *interface_);
uint32_t bn_interface_index(const bn_interface *interface_);
const char *bn_interface_mac(const bn_interface *interface_);        /* "02:42:ac:11:00:02" */
uint32_t bn_interface_mtu(const bn_interface *interface_);           /* in bytes */
uint32_t bn_interface_flags(const bn_interface *interface_);         /* IFF_* of netdevice(7) */
const char *bn_interface_flags_text(const bn_interface *interface_); /* "UP BROADCAST RUNNING" */
size_t bn_interface_address_count(const bn_interface *interface_);
const char *bn_interface_address_at(const bn_interface *interface_, size_t i); /* with /len */
uint64_t bn_interface_rx_packets(const bn_interface *interface_);
uint64_t bn_interface_rx_bytes(const bn_interface *interface_);
uint64_t bn_interface_rx_errors(const bn_interface *interface_);
uint64_t bn_interface_rx_dropped(const bn_interface *interface_);
uint64_t bn_interface_tx_packets(const bn_interface *interface_);
uint64_t bn_interface_tx_bytes(const bn_interface *interface_);
uint64_t bn_interface_tx_errors(const bn_interface *interface_);
uint64_t bn_interface_tx_dropped(const bn_interface *interface_);

/* ---- Published ports ------------------------------------------------------------------------ */

#define BN_PUBLISH_HOLD_PORTS 0x1u /* keep sockets bound to the host ports, see below */
/* The caller has the ports itself, by sockets of its own: no socket of the host is in the way. Not
 * with HOLD_PORTS. Since: 0.2 */
#define BN_PUBLISH_OVER_LISTENER 0x2u
/* A mapping on an address of a family that the endpoint lacks is passed over, not refused; it has
 * no place in the result, which is NULL if it was the only one. Since: 0.2 */
#define BN_PUBLISH_SKIP_FAMILY 0x4u
/* The mapping is there already, and is to have the options of the spec in the place of those that it
 * has: in one commit, and connections that are established stay. No other flag. Since: 0.2 */
#define BN_PUBLISH_UPDATE 0x8u
#define BN_UNPUBLISH_MISSING_OK 0x1u /* a port that is not published is no error */

/* "[hostIP:][hostPort[-last]:]containerPort[-last][/tcp|udp|sctp]", as docker run -p takes it;
 * an IPv6 address stands in brackets. Malformed text is found by the call that takes the spec.
 * Since: 0.1 */
int bn_port_spec_new(const char *mapping, bn_port_spec **ret_spec);
void bn_port_spec_free(bn_port_spec *spec);

/* The same by its parts. host_address: NULL or "" for every one, IPv6 with or without brackets;
 * host_port: the first of count, 0 to have them picked; protocol: NULL for "tcp". Since: 0.2 */
int bn_port_spec_new_parts(const char *host_address, uint32_t host_port, uint32_t container_port,
			   uint32_t count, const char *protocol, bn_port_spec **ret_spec);
/* What the mapping is to have beside: bridgenet-options(7) lists the keys. The call that takes the
 * spec refuses what it does not know. Since: 0.2 */
int bn_port_spec_set_option(bn_port_spec *spec, const char *key, const char *value);

/* A list for the calls that publish many; it copies what is added. Since: 0.1 */
int bn_port_spec_list_new(bn_port_spec_list **ret_list);
int bn_port_spec_list_add(bn_port_spec_list *list, const bn_port_spec *spec);
void bn_port_spec_list_free(bn_port_spec_list *list);

/* Publish on a live endpoint: one, or many in one operation, all or none. flags: BN_PUBLISH_*.
 * ret_... may be NULL. Errors: -EADDRINUSE taken by an endpoint or a process, -ENOENT, -EINVAL,
 * -ENOSPC no ephemeral port free. Since: 0.1 */
int bn_port_publish(bn_ctx *ctx, const char *network, const char *endpoint,
		    const bn_port_spec *spec, uint32_t flags, bn_port **ret_port);
int bn_ports_publish(bn_ctx *ctx, const char *network, const char *endpoint,
		     const bn_port_spec_list *specs, uint32_t flags, bn_port_list **ret_list);

/* Take mappings away again, all or none, by the specs that made them or by ones that name the ports
 * that the mappings have. Of a spec that leaves the host port open one mapping alone may fit.
 * flags: BN_UNPUBLISH_*. Errors: -ENOENT, -EINVAL several fit. Since: 0.1 */
int bn_port_unpublish(bn_ctx *ctx, const char *network, const char *endpoint,
		      const bn_port_spec *spec, uint32_t flags);
int bn_ports_unpublish(bn_ctx *ctx, const char *network, const char *endpoint,
		       const bn_port_spec_list *specs, uint32_t flags);

/* To another endpoint of the same namespace, in one step: the one that spec names as for
 * bn_port_unpublish(), or all for NULL. Options stay, counters begin anew. TCP goes on where it went
 * for as long as the old endpoint is there, UDP is led to the new one. flags: 0. ret_list may be
 * NULL. Errors: -ENOENT, -EINVAL not one namespace, or no address of that family. Since: 0.2 */
int bn_port_move(bn_ctx *ctx, const char *network, const char *endpoint, const char *to_network,
		 const char *to_endpoint, const bn_port_spec *spec, uint32_t flags,
		 bn_port_list **ret_list);

/* A snapshot of the mappings of an endpoint, of a network, or of all, to be freed: either name may
 * be NULL. flags: 0. Errors: -ENOENT no such network. Since: 0.1 */
int bn_ports_list(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
		  bn_port_list **ret_list);

/* What a list has belongs to it. Since: 0.1 */
size_t bn_port_list_len(const bn_port_list *list);
const bn_port *bn_port_list_at(const bn_port_list *list, size_t i);
void bn_port_list_free(bn_port_list *list);

/* Free what bn_port_publish() gave, not what a list has. Since: 0.1 */
void bn_port_free(bn_port *port);

/* What a mapping says of itself. Since: 0.1 */
const char *bn_port_network(const bn_port *port); /* whose it is */
const char *bn_port_endpoint(const bn_port *port);
const char *bn_port_protocol(const bn_port *port);     /* "tcp", "udp", "sctp" */
const char *bn_port_host_address(const bn_port *port); /* "" for every address of the host */
uint32_t bn_port_host_port(const bn_port *port);       /* the first of count */
uint32_t bn_port_container_port(const bn_port *port);
uint32_t bn_port_count(const bn_port *port);
const char *bn_port_text(const bn_port *port); /* in the form bn_port_spec_new() takes */
/* How it is reached in that family, "ipv4" or "ipv6": "nat" by the host's port, "routed" at the
 * endpoint's own address and the container port, "" not at all. Since: 0.2 */
const char *bn_port_mode(const bn_port *port, const char *family);

/* The options that were given for it, sorted by key; "" past the end. Since: 0.2 */
size_t bn_port_option_count(const bn_port *port);
const char *bn_port_option_key_at(const bn_port *port, size_t i);
const char *bn_port_option_value_at(const bn_port *port, size_t i);

/* With BN_PUBLISH_HOLD_PORTS: descriptors bound to the host ports, closed with the snapshot; dup()
 * those that are to live longer. -1 past the end. Since: 0.1 */
size_t bn_port_fd_count(const bn_port *port);
int bn_port_fd_at(const bn_port *port, size_t i);

/* ---- Names ---------------------------------------------------------------------------------- */

/* The names of endpoints, a row for each name and address: id, option hostname, options alias.NAME.
 * network NULL: of all networks. flags: 0. To be freed. Errors: -ENOENT. Since: 0.2 */
int bn_names_list(bn_ctx *ctx, const char *network, uint32_t flags, bn_names **ret_names);

/* What a list has belongs to it. Since: 0.2 */
size_t bn_names_len(const bn_names *names);
const bn_name *bn_names_at(const bn_names *names, size_t i);
void bn_names_free(bn_names *names);

/* What a name says of itself. Since: 0.2 */
const char *bn_name_text(const bn_name *name);
const char *bn_name_network(const bn_name *name);
const char *bn_name_endpoint(const bn_name *name);
const char *bn_name_address(const bn_name *name); /* "172.17.0.2" */

/* The text of a hosts(5) and a resolv.conf(5) for the namespace of an endpoint, as things are now;
 * nothing is written. flags: 0. To be freed. Errors: -ENOENT, -EOPNOTSUPP the endpoint has no
 * address of its own, -EADDRNOTAVAIL no nameserver can be reached from there. Since: 0.2 */
int bn_sandbox_files_get(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
			 bn_sandbox_files **ret_files);
void bn_sandbox_files_free(bn_sandbox_files *files);
const char *bn_sandbox_files_hosts(const bn_sandbox_files *files);
const char *bn_sandbox_files_resolv_conf(const bn_sandbox_files *files);

/* ---- Check and repair ----------------------------------------------------------------------- */

/* How bad it is. */
#define BN_SEVERITY_NOTE 1   /* to be known; nothing fails of it */
#define BN_SEVERITY_BROKEN 2 /* something does not work */
#define BN_SEVERITY_OPEN 3   /* lets in what is to be refused */

/* What of the kernel is not as the state has it: rules, bridges, interfaces, namespaces, routes,
 * settings of the host, and what nobody owns. network NULL: all; with network and endpoint NULL, of
 * that network and its endpoints; with both, of that endpoint. Nothing is changed. flags: 0. 0 also
 * with findings; the list is to be freed. Errors: -ENOENT. Since: 0.2 */
int bn_check(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
	     bn_finding_list **ret_list);

#define BN_REPAIR_PLAN 0x1u           /* say what is wrong, and change nothing */
#define BN_REPAIR_REMOVE_UNKNOWN 0x2u /* what is marked as ours, and unknown here, goes too */

/* Puts right what bn_check() finds, as far as that can be done: what is right stays, with its
 * counters and connections, and drops come before what they protect. Endpoints whose namespace is
 * gone are detached. What was found is in the list, each with whether it is repaired; 0 also where
 * some is not. Errors: -ENOENT. Since: 0.2 */
int bn_repair(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
	      bn_finding_list **ret_list);

/* What a list has belongs to it. Since: 0.2 */
size_t bn_finding_list_len(const bn_finding_list *list);
const bn_finding *bn_finding_list_at(const bn_finding_list *list, size_t i);
void bn_finding_list_free(bn_finding_list *list);

/* What a finding says of itself: "bridge-down"; whose it is, "" for nobody's; what thing it is, how
 * it is, and how it should be; and all of it in a sentence. Since: 0.2 */
const char *bn_finding_code(const bn_finding *finding);
int bn_finding_severity(const bn_finding *finding); /* BN_SEVERITY_* */
const char *bn_finding_network(const bn_finding *finding);
const char *bn_finding_endpoint(const bn_finding *finding);
const char *bn_finding_object(const bn_finding *finding);
const char *bn_finding_is(const bn_finding *finding);
const char *bn_finding_should_be(const bn_finding *finding);
const char *bn_finding_text(const bn_finding *finding);
int bn_finding_repaired(const bn_finding *finding);

/* ---- Watching ------------------------------------------------------------------------------- */

#define BN_WATCH_LISTENERS 0x1u

/* Tell from now on when somebody harms what the library has made, in the network namespace that the
 * thread is in, or when the state is changed. It outlives the context, whose settings it takes, has
 * no thread, and keeps no endpoint's namespace alive. To be freed; for use by one thread at a time.
 * With BN_WATCH_LISTENERS the host's listeners are looked at each second. Errors: -EMFILE, -ENOSPC.
 * Since: 0.2 */
int bn_watch_new(bn_ctx *ctx, uint32_t flags, bn_watch **ret_watch);

/* The watch's own descriptor, to be polled for POLLIN: then bn_watch_next() is to be called until
 * it returns -EAGAIN. -1 for NULL. Since: 0.2 */
int bn_watch_fd(const bn_watch *watch);

/* The next event, to be freed. flags: 0. What was heard is looked at here, so it may take some
 * milliseconds, but does not wait for an event. It has no context: the negative errno is all that
 * there is. Errors: -EAGAIN nothing has happened, -EINVAL, also for a thread in another namespace,
 * -ECHILD, -ENOMEM. Since: 0.2 */
int bn_watch_next(bn_watch *watch, uint32_t flags, bn_event **ret_event);

/* Close the descriptor, too. Since: 0.2 */
void bn_watch_free(bn_watch *watch);
void bn_event_free(bn_event *event);

/* What an event says of itself: "rules", "link", "listener", "state" or "lost" (something was not
 * heard: look at everything); a sentence; whose it is, "" for nobody's or everybody's; and which
 * program committed the rules, "" where that is not known. Since: 0.2 */
const char *bn_event_kind(const bn_event *event);
const char *bn_event_text(const bn_event *event);
const char *bn_event_network(const bn_event *event);
const char *bn_event_endpoint(const bn_event *event);
const char *bn_event_program(const bn_event *event);

/* ---- Rules ---------------------------------------------------------------------------------- */

#define BN_RULES_VERBOSE 0x1u

/* Every packet-filter rule of the library, read from the kernel, in the order in which a packet
 * meets them; network may be NULL for all. To be freed. Of one network those are looked up which it
 * should have; a rule that bears its name and that the state knows nothing of is in the list of
 * all. A published port is one rule per family, also where the backend keeps it as a map element.
 * With BN_RULES_VERBOSE the getters of the second group below speak too, else they say "" and 0.
 * Errors: -ENOENT, -EPERM, -EAGAIN the rules kept changing. Since: 0.1 */
int bn_rules_list(bn_ctx *ctx, const char *network, uint32_t flags, bn_rule_list **ret_list);

/* The same list for what the state says should be there; needs nothing but the state. Errors:
 * -ENOENT. Since: 0.1 */
int bn_rules_plan(bn_ctx *ctx, const char *network, uint32_t flags, bn_rule_list **ret_list);

/* What a list has belongs to it. Since: 0.1 */
size_t bn_rule_list_len(const bn_rule_list *list);
const bn_rule *bn_rule_list_at(const bn_rule_list *list, size_t i);
void bn_rule_list_free(bn_rule_list *list);

/* What a rule says of itself: where it stands, what it matches and what it does. Since: 0.1 */
const char *bn_rule_family(const bn_rule *rule); /* "ipv4", "ipv6", "any"; "bridge": of frames */
const char *bn_rule_table(const bn_rule *rule);  /* "raw", "mangle", "nat", "filter", "bridge" */
const char *bn_rule_chain(const bn_rule *rule);
const char *bn_rule_target(const bn_rule *rule);   /* "DNAT", "MASQUERADE", "DROP", ... */
const char *bn_rule_protocol(const bn_rule *rule); /* "all", "tcp", ... */
const char *bn_rule_source(const bn_rule *rule);   /* "0.0.0.0/0" for anywhere */
const char *bn_rule_destination(const bn_rule *rule);
const char *bn_rule_extra(const bn_rule *rule); /* "tcp dpt:8799 to:172.17.0.4:1337" */

/* The same with BN_RULES_VERBOSE: the kernel's own counters, and whose it is. Since: 0.1 */
uint64_t bn_rule_packets(const bn_rule *rule);
uint64_t bn_rule_bytes(const bn_rule *rule);
const char *bn_rule_in_interface(const bn_rule *rule); /* "*" for any, "!bn0" for any other */
const char *bn_rule_out_interface(const bn_rule *rule);
uint64_t bn_rule_handle(const bn_rule *rule);     /* 0 where the kernel gives none */
const char *bn_rule_network(const bn_rule *rule); /* the owner; "" for the library's own */
const char *bn_rule_endpoint(const bn_rule *rule);
const char *bn_rule_purpose(const bn_rule *rule); /* one sentence */

#ifdef __cplusplus
}
#endif

#endif
