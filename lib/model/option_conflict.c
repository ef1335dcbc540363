/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options that mean nothing beside each other. */
#include <errno.h>
#include <string.h>

#include "model/option_table.h"

/* Values are those that count: of an option that is not given its default. NULL is any that is
 * given. */
static const struct conflict {
	enum option_scope scope;
	const char *key, *value;
	const char *other, *other_value;
	bool needs; /* the other, with that value; else they exclude each other */
	const char *why;
} conflicts[] = {
	{ OPTION_NETWORK, "gateway-mode-ipv4", "isolated", "internal", "yes", true,
	  "a network that the host is not on leads nowhere" },
	{ OPTION_NETWORK, "gateway-mode-ipv6", "isolated", "internal", "yes", true,
	  "a network that the host is not on leads nowhere" },
	{ OPTION_NETWORK, "internal", "yes", "gateway-mode-ipv4", "nat-unprotected", false,
	  "nobody reaches an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "gateway-mode-ipv6", "nat-unprotected", false,
	  "nobody reaches an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "gateway-mode-ipv4", "routed", false,
	  "nobody reaches an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "gateway-mode-ipv6", "routed", false,
	  "nobody reaches an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "snat-ipv4", NULL, false,
	  "nothing leaves an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "snat-ipv6", NULL, false,
	  "nothing leaves an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "nat-exclude", NULL, false,
	  "nothing leaves an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "trusted", NULL, false,
	  "nobody reaches an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "direct-routing", "yes", false,
	  "nobody reaches an internal network" },
	{ OPTION_NETWORK, "internal", "yes", "default-gateway-ipv4", NULL, false,
	  "endpoints of an internal network have no default route" },
	{ OPTION_NETWORK, "internal", "yes", "default-gateway-ipv6", NULL, false,
	  "endpoints of an internal network have no default route" },
	{ OPTION_NETWORK, "snat-ipv4", NULL, "masquerade", "no", false,
	  "without masquerade no address is translated" },
	{ OPTION_NETWORK, "snat-ipv6", NULL, "masquerade", "no", false,
	  "without masquerade no address is translated" },
	{ OPTION_NETWORK, "nat-exclude", NULL, "masquerade", "no", false,
	  "without masquerade no address is translated" },
	{ OPTION_NETWORK, "snat-ipv4", NULL, "gateway-mode-ipv4", "routed", false,
	  "a routed network keeps its addresses" },
	{ OPTION_NETWORK, "snat-ipv6", NULL, "gateway-mode-ipv6", "routed", false,
	  "a routed network keeps its addresses" },
	{ OPTION_NETWORK, "managed", "no", "internal", "yes", false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "icc", "no", false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "masquerade", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "snat-ipv4", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "snat-ipv6", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "source-ports", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "nat-exclude", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "gateway-mode-ipv4", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "gateway-mode-ipv6", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "trusted", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "direct-routing", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "isolate", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "host-access", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "coexist", "insert", false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "log-drops", "yes", false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "mss-clamp", NULL, false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "anti-spoof", "full", false, "it has no rules" },
	{ OPTION_NETWORK, "managed", "no", "bridge-address-ipv4", "yes", false,
	  "the host has no part in it" },
	{ OPTION_NETWORK, "managed", "no", "bridge-address-ipv6", "yes", false,
	  "the host has no part in it" },
	{ OPTION_NETWORK, "managed", "no", "bind", NULL, false, "it has no ports" },
	{ OPTION_ENDPOINT, "burst-in", NULL, "rate-in", NULL, true, "it is a part of that rate" },
	{ OPTION_ENDPOINT, "burst-out", NULL, "rate-out", NULL, true, "it is a part of that rate" },
	{ OPTION_ENDPOINT, "metric", NULL, "default-route", "no", false,
	  "it is that of the default route" },
};

/* Has the option that value, given or by default? */
static bool has(const struct options *options, const char *key, const char *value)
{
	const char *is = options_get(options, key);

	return is && (!value || strcmp(is, value) == 0);
}

/* "KEY" or "KEY=VALUE". */
#define TEXT_MAX 64
static void say(const char *key, const char *value, char text[static TEXT_MAX])
{
	string_copy(text, TEXT_MAX, key);
	if (value) {
		strncat(text, "=", TEXT_MAX - strlen(text) - 1);
		strncat(text, value, TEXT_MAX - strlen(text) - 1);
	}
}

int options_check_conflicts(const struct options *options, enum option_scope scope,
			    struct error *error)
{
	char a[TEXT_MAX], b[TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(conflicts) && options->len; i++) {
		const struct conflict *conflict = &conflicts[i];

		if (conflict->scope != scope || !has(options, conflict->key, conflict->value) ||
		    has(options, conflict->other, conflict->other_value) == conflict->needs)
			continue;
		say(conflict->key, conflict->value, a);
		say(conflict->other, conflict->other_value, b);
		return conflict->needs ?
			       error_set(error, -EINVAL, BN_REASON_OPTION_CONFLICT,
					 "option %s needs %s: %s; give both or neither", a, b,
					 conflict->why) :
			       error_set(error, -EINVAL, BN_REASON_OPTION_CONFLICT,
					 "options %s and %s exclude each other: %s; leave one out",
					 a, b, conflict->why);
	}
	return 0;
}
