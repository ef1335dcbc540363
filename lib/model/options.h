/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Key/value options: the table of known keys, and a sorted list of what was given. */
#ifndef BN_MODEL_OPTIONS_H
#define BN_MODEL_OPTIONS_H

#include <stdint.h>

#include "base/error.h"
#include "base/vector.h"

enum option_scope { OPTION_NETWORK, OPTION_ENDPOINT, OPTION_CONTEXT };

struct option {
	char *key;
	char *value;
};

struct options {
	struct option *items;
	size_t len, capacity;
};

/*
 * What options decide, typed once, when a spec is judged or a row is read: what has a few values
 * goes by these, what is a number by that, and nothing looks at its text. The first value of each
 * enum is the default; those of numbers are in the table.
 */
enum internal { INTERNAL_NO };
enum icc { ICC_YES };
enum masquerade { MASQUERADE_YES };
enum gateway_mode { GATEWAY_MODE_NAT };
enum source_ports { SOURCE_PORTS_RANDOM, SOURCE_PORTS_KEEP };
struct network_policy {
	uint8_t internal, icc, masquerade;            /* of these enums */
	uint8_t gateway_mode_ipv4, gateway_mode_ipv6; /* enum gateway_mode */
	uint8_t source_ports;                         /* enum source_ports */
	uint32_t advertise_count, advertise_interval_ms;
};

enum default_route { DEFAULT_ROUTE_YES, DEFAULT_ROUTE_NO };
struct endpoint_policy {
	uint8_t default_route; /* enum default_route */
	uint32_t metric;       /* 0: none was asked for */
};

enum comments { COMMENTS_NO, COMMENTS_YES };
enum take_over { TAKE_OVER_NO, TAKE_OVER_IF_GONE, TAKE_OVER_YES };
enum forwarding { FORWARDING_ON, FORWARDING_GUARD, FORWARDING_REQUIRE };
enum sandbox_ipv6 { SANDBOX_IPV6_OFF, SANDBOX_IPV6_LEAVE };
struct context_policy {
	uint8_t iptables_comments; /* enum comments */
	uint8_t take_over;         /* enum take_over */
	uint8_t sandbox_ipv6;      /* enum sandbox_ipv6 */
	uint8_t forwarding;        /* enum forwarding */
};

/* Set or replace. -EINVAL for a key or value with a control character, -ENOMEM. No look at the
 * table: that is options_check(). */
int options_set(struct options *options, const char *key, const char *value);
const char *options_get(const struct options *options, const char *key); /* NULL if unset */
int options_copy(struct options *dst, const struct options *src);
void options_clear(struct options *options);

/* Every key must be in the table for that scope and its value legal; those that decide something go
 * into *ret_policy, the scope's, and so do the defaults of numbers that are not given. -ENOTSUP
 * with BN_REASON_OPTION_UNKNOWN, or -EINVAL. */
int options_check(const struct options *options, enum option_scope scope, void *ret_policy,
		  struct error *error);

/* One line "key=value\n" each, and back; what the store keeps. NULL text is the empty list. */
int options_serialize(const struct options *options, char **ret_text);
int options_parse(const char *text, struct options *ret_options);

#endif
