/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Key/value options: the table of known keys, and a sorted list of what was given. */
#ifndef BN_MODEL_OPTIONS_H
#define BN_MODEL_OPTIONS_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vector.h"
#include "model/addr.h"

enum option_scope { OPTION_NETWORK, OPTION_ENDPOINT, OPTION_PORT, OPTION_CONTEXT };

struct option {
	char *key;
	char *value;
};

struct options {
	struct option *items;
	size_t len, capacity;
};

struct interface_name {
	char text[IFNAMSIZ];
};

typedef VECTOR(struct interface_name) interface_vector;

/*
 * What options decide, typed once, when a spec is judged or a row is read: what has a few values
 * goes by these, what is a number by that, and nothing looks at its text. The first value of each
 * enum is the default; those of numbers are in the table.
 */
enum internal { INTERNAL_NO, INTERNAL_YES };
enum icc { ICC_YES, ICC_NO };
enum masquerade { MASQUERADE_YES, MASQUERADE_NO };
enum gateway_mode {
	GATEWAY_MODE_NAT,
	GATEWAY_MODE_NAT_UNPROTECTED,
	GATEWAY_MODE_ROUTED,
	GATEWAY_MODE_ISOLATED
};
enum source_ports { SOURCE_PORTS_RANDOM, SOURCE_PORTS_KEEP };
enum mss_clamp { MSS_CLAMP_NO, MSS_CLAMP_YES };
enum direct_routing { DIRECT_ROUTING_NO, DIRECT_ROUTING_YES };
enum bridge_address { BRIDGE_ADDRESS_YES, BRIDGE_ADDRESS_NO };
enum managed { MANAGED_YES, MANAGED_NO };
enum isolate { ISOLATE_STRICT, ISOLATE_YES, ISOLATE_NO };
enum host_access { HOST_ACCESS_ALL, HOST_ACCESS_DNS_ICMP, HOST_ACCESS_PUBLISHED, HOST_ACCESS_NONE };
enum log_drops { LOG_DROPS_NO, LOG_DROPS_YES };
enum coexist { COEXIST_REPORT, COEXIST_INSERT };
enum anti_spoof { ANTI_SPOOF_NO, ANTI_SPOOF_MAC, ANTI_SPOOF_FULL };
struct network_policy {
	uint8_t internal, icc, masquerade;            /* of these enums */
	uint8_t gateway_mode_ipv4, gateway_mode_ipv6; /* enum gateway_mode */
	uint8_t source_ports;                         /* enum source_ports */
	uint8_t mss_clamp, direct_routing;
	uint8_t bridge_address_ipv4, bridge_address_ipv6; /* enum bridge_address */
	uint8_t managed, isolate, host_access, anti_spoof, coexist, log_drops;
	uint32_t advertise_count, advertise_interval_ms;
	/* of no family, empty: none was given */
	struct addr snat_ipv4, snat_ipv6, bind, default_gateway_ipv4, default_gateway_ipv6;
	char mtu_from[IFNAMSIZ], interface_prefix[IFNAMSIZ];
	prefix_vector nat_exclude, trusted; /* sorted, each once */
	interface_vector trusted_interfaces;
	addr_vector dns;
};

enum default_route { DEFAULT_ROUTE_YES, DEFAULT_ROUTE_NO };
enum rate_local { RATE_LOCAL_YES, RATE_LOCAL_NO };
enum endpoint_anti_spoof {
	ENDPOINT_ANTI_SPOOF_INHERIT, /* as the network's */
	ENDPOINT_ANTI_SPOOF_NO,
	ENDPOINT_ANTI_SPOOF_MAC,
	ENDPOINT_ANTI_SPOOF_FULL
};
struct endpoint_policy {
	uint8_t default_route;                                /* enum default_route */
	uint8_t anti_spoof;                                   /* enum endpoint_anti_spoof */
	uint8_t rate_local;                                   /* enum rate_local */
	uint32_t metric;                                      /* 0: none was asked for */
	uint32_t mtu;                                         /* 0: the network's */
	uint32_t connections;                                 /* 0: any number */
	int32_t gateway_priority_ipv4, gateway_priority_ipv6; /* if has_ */
	bool has_gateway_priority_ipv4, has_gateway_priority_ipv6;
	uint64_t rate_in, rate_out;   /* bits a second; 0: no limit */
	uint64_t burst_in, burst_out; /* bytes; 0: as the rate asks for */
	char host_interface_name[IFNAMSIZ];
	prefix_vector routes_for;
};

/* A source that is denied is refused whatever allows it; none allowed: all are. */
struct port_policy {
	prefix_vector allow_from, deny_from;
};

enum comments { COMMENTS_NO, COMMENTS_YES };
enum take_over { TAKE_OVER_NO, TAKE_OVER_IF_GONE, TAKE_OVER_YES };
enum forwarding { FORWARDING_ON, FORWARDING_GUARD, FORWARDING_REQUIRE };
enum sandbox_ipv6 { SANDBOX_IPV6_OFF, SANDBOX_IPV6_LEAVE };
struct subnet_pool {
	struct prefix base;
	uint8_t prefix_len; /* of the subnets that are taken from it */
};
typedef VECTOR(struct subnet_pool) subnet_pool_vector;
struct context_policy {
	subnet_pool_vector pools;  /* empty: Docker's */
	uint8_t iptables_comments; /* enum comments */
	uint8_t take_over;         /* enum take_over */
	uint8_t sandbox_ipv6;      /* enum sandbox_ipv6 */
	uint8_t forwarding;        /* enum forwarding */
};

/* Gives back what a policy of that scope owns, and leaves it empty. */
void policy_clear(enum option_scope scope, void *policy);
/* *dst: what policy_clear() leaves, or what was never a policy. 0, -ENOMEM */
int endpoint_policy_copy(struct endpoint_policy *dst, const struct endpoint_policy *src);

/* Set or replace. -EINVAL for a key or value with a control character, -ENOMEM. No look at the
 * table: that is options_check(). */
int options_set(struct options *options, const char *key, const char *value);
const char *options_get(const struct options *options, const char *key); /* NULL if unset */
/* Takes it out of the list: its value, which is the caller's to free; NULL if unset. */
char *options_take(struct options *options, const char *key);
int options_copy(struct options *dst, const struct options *src);
void options_clear(struct options *options);

/* Every key must be in the table for that scope and its value legal; those that decide something go
 * into *ret_policy, the scope's and a policy already or zeroed, and so do the defaults of numbers
 * that are not given. -ENOTSUP with BN_REASON_OPTION_UNKNOWN, -EINVAL, or -ENOMEM. */
int options_check(const struct options *options, enum option_scope scope, void *ret_policy,
		  struct error *error);

/* The part of that which is about more than one. -EINVAL with BN_REASON_OPTION_CONFLICT */
int options_check_conflicts(const struct options *options, enum option_scope scope,
			    struct error *error);

/* By our own keys and words, where they were given by another's name for them, or in other words.
 * What is not known stays. -EINVAL where two names of one say two things. */
int options_normalise(struct options *options, enum option_scope scope, struct error *error);

/* One line "key=value\n" each, and back; what the store keeps. NULL text is the empty list. */
int options_serialize(const struct options *options, char **ret_text);
int options_parse(const char *text, struct options *ret_options);

#endif
