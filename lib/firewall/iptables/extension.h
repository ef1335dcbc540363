/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands in an entry: its matches, and its target. */
#ifndef BN_FIREWALL_IPTABLES_EXTENSION_H
#define BN_FIREWALL_IPTABLES_EXTENSION_H

#include "firewall/iptables/iptables.h"

/* A match or the target of an entry: its own header is measured. */
struct extension {
	const char *name;
	uint8_t revision;
	const uint8_t *data;
	size_t len; /* of data */
};

/* The offset behind the extension at `offset`, 0 if it is malformed. */
size_t extension_read(const uint8_t *data, size_t offset, size_t end,
		      struct extension *ret_extension);
bool extension_is(const struct extension *extension, const char *name, uint8_t revision,
		  size_t size);

/* What a match of ours says, into the rule where there is one; false, or 0, for another. */
bool match_ports(const struct extension *match, uint16_t *ret_first, uint16_t *ret_last);
bool match_state(const struct extension *match, struct rule *rule);
bool match_is_stray_source(const struct extension *match);
uint32_t match_icmp(const struct extension *match, int family);
bool match_is_asked_dns(const struct extension *match);
bool match_begins(const struct extension *match);
/* The number; 0 of what is none of ours. */
uint32_t match_connections(const struct extension *match, int family);
bool match_is_limit(const struct extension *match);
bool match_is_syn(const struct extension *match);
bool match_read(const struct extension *match, struct rule *rule);

#endif
