/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bridges of networks: making them, whether they are as they should be, and putting that
 * right. */
#ifndef BN_LINK_BRIDGE_H
#define BN_LINK_BRIDGE_H

#include "link/link.h"

/* ---- bridge.c ---- */

struct bridge_config {
	const char *name;
	const char *alias; /* link_alias() */
	uint32_t mtu;
	SUBNETS_OF_BOTH;      /* the gateway addresses, if any, with the subnets' lengths */
	struct addr stand_in; /* what its MAC is made of if it has none */
	bool adopt;           /* must exist and be a bridge; only addresses are added */
	bool links_only;      /* and nothing of an adopted one is changed: it is brought up */
};
/*
 * Create (or adopt), address, bring up; IPv6 off on it (disable_ipv6=1) unless it has a subnet,
 * accept_ra 0, forwarding of its families on, route_localnet 1 when it has IPv4. All or nothing.
 * When not adopting -EEXIST BN_REASON_INTERFACE_EXISTS, when adopting -ENODEV, or -EINVAL
 * BN_REASON_BRIDGE_INVALID for another kind. ret_note may be NULL, or has room for LINK_NOTE_MAX:
 * what is not as it should be, for the log; "" for nothing.
 */
int bridge_create(struct link_handle *handle, const struct bridge_config *config, char *ret_note,
		  struct error *error);
/* The MAC that one of our own is given. */
void bridge_own_mac(const struct bridge_config *config, uint8_t ret_mac[static MAC_LEN]);
/* The MAC that the bridge has, be it adopted or made by an older version; before it is there, the
 * one that it is to get. */
void bridge_mac(struct link_handle *handle, const struct bridge_config *config,
		uint8_t ret_mac[static MAC_LEN]);
/* Delete it if its alias is ours; of an adopted one only take back the addresses we added and the
 * sysctls. A bridge that is gone is no error. *ret_changed, which may be NULL: whether anything was
 * changed, also on failure. */
int bridge_delete(struct link_handle *handle, const struct bridge_config *config, bool *ret_changed,
		  struct error *error);
/* That of the configuration. One that is adopted keeps its own, and one that is gone is no
 * error. */
int bridge_set_mtu(struct link_handle *handle, const struct bridge_config *config,
		   struct error *error);

/* ---- restore.c ---- */

/*
 * As bridge_create() would have made it, of what is there: under its name again, up, with its
 * addresses, and if it is ours alias, MTU, MAC and settings; and anew if it is gone. What is so
 * already stays so, as do ports, and what else it has. -EEXIST BN_REASON_INTERFACE_EXISTS:
 * something else has its name; of an adopted one -ENODEV, -EINVAL BN_REASON_BRIDGE_INVALID.
 */
int bridge_restore(struct link_handle *handle, const struct bridge_config *config,
		   char ret_note[static LINK_NOTE_MAX], struct error *error);

/* ---- condition.c: bridges beside what they should be ---- */

enum bridge_presence {
	BRIDGE_MISSING,
	BRIDGE_TAKEN,   /* and something else has its name */
	BRIDGE_RENAMED, /* it is called otherwise */
	BRIDGE_THERE,
};
#define BRIDGE_ADDRESSES (2 * SUBNETS_MAX + 1)
/* What it is set to by itself; -1: the kernel does not tell. */
struct bridge_values {
	int forwarding, route_localnet; /* of IPv4 */
	int disable_ipv6, accept_ra, force_forwarding;
};
struct bridge_sight {
	struct bridge_config config; /* the caller's; without a name: passed over */
	enum bridge_presence presence;
	char name[IFNAMSIZ]; /* as it is called, or what has its name: that by its first name */
	char kind[16];       /* of what has its name; "": a device */
	/* of one that is there or renamed */
	char alias[ALIAS_MAX];
	uint8_t mac[MAC_LEN];
	uint32_t index, mtu;
	bool is_up;
	struct bridge_values values;
	struct prefix lacking[BRIDGE_ADDRESSES]; /* of the addresses that it is given */
	size_t lacking_len;
};
/* One with few look-ups, many with two dumps. */
int bridges_look(struct link_handle *handle, struct bridge_sight *sights, size_t len,
		 struct error *error);

/* net.<family>.conf.<interface>.<key> */
struct link_setting {
	int family;
	char interface[IFNAMSIZ]; /* or "all" */
	const char *key;
	int is, should_be;
	bool others; /* whose device it is of decides about it */
};
typedef VECTOR(struct link_setting) link_setting_vector;
/* Append what bridge_create() would set of one that is there. */
int bridge_settings_lacking(struct link_handle *handle, const struct bridge_sight *sight,
			    link_setting_vector *lacking, struct error *error);
int link_setting_write(struct link_handle *handle, const struct link_setting *setting,
		       struct error *error);
/* Do the frames on bridges pass the rules for IP (br_netfilter), of that family? */
bool link_frames_are_filtered(int family);

/* Append what host_forwarding_enable() would turn on. each: also interfaces that are turned on one
 * by one, for which all routes are looked at. */
int host_forwarding_lacking(struct link_handle *handle, int family, bool each,
			    link_setting_vector *lacking, struct error *error);

/* ---- ready.c ---- */

/*
 * Is the bridge of a network as its endpoints need it: there under its name and ours, up, with its
 * gateway addresses, forwarding, and with route_localnet where localnet asks for it? -ENODEV or
 * -ENETDOWN, BN_REASON_BRIDGE_INVALID; the sentence says what to do. ret_index: for who joins it;
 * NULL for who does not.
 */
int bridge_ready(struct link_handle *handle, const struct bridge_config *config, bool localnet,
		 const char *network, uint32_t *ret_index, struct error *error);

/* ---- bridges.c ---- */

/* Append those of the host, whoever's. */
int link_bridges(struct link_handle *handle, struct guard *guard, struct error *error);

/* found.c: how many ports a bridge has, all or only those that are not ours. */
int bridge_ports(struct link_handle *handle, uint32_t bridge, bool foreign, struct error *error);

#endif
