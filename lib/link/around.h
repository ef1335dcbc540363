/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host has beside networks: who listens, who has addresses, and what bears our mark
 * although nobody may know of it. */
#ifndef BN_LINK_AROUND_H
#define BN_LINK_AROUND_H

#include "link/link.h"

/* ---- sockets.c ---- */

/* A socket of the host that takes in what comes. */
struct link_listener {
	uint8_t protocol; /* IPPROTO_TCP, _UDP */
	uint16_t port;
	struct addr addr; /* unspecified: every one of its family, and of IPv4 but for ipv6_only */
	bool ipv6_only;
	uint32_t inode;
};
typedef VECTOR(struct link_listener) listener_vector;
/* Append those at these ports (first 0: at all), as far as the kernel lists them. A dump of few
 * ports is short, whatever there is at others. */
int link_listeners(uint8_t protocol, uint16_t first, uint16_t last, const struct deadline *deadline,
		   listener_vector *listeners, struct error *error);
/* addr: unspecified for any of its family */
bool link_listener_takes(const struct link_listener *listener, const struct addr *addr);
/* "process 1234 (nginx)", or "" if it can't be found in time. */
#define SOCKET_OWNER_MAX 64
void link_listener_owner(const struct link_listener *listener, const struct deadline *deadline,
			 char ret_owner[static SOCKET_OWNER_MAX]);

/* ---- holder.c: who has an address, as the host sees it ---- */

struct link_holder {
	struct addr addr; /* these two filled by the caller */
	uint32_t bridge;  /* on which it should be; 0: neighbours are not asked about */
	/* How the host sends there: matched is the length of the prefix that decides. */
	bool is_routed, is_local; /* at all; to itself */
	uint8_t matched;
	uint32_t interface; /* 0: by several, or none */
	/* Who answers for it on the bridge. */
	bool is_neighbour;
	uint8_t mac[MAC_LEN];
};
int link_holders_get(struct link_handle *handle, struct link_holder *holders, size_t len,
		     struct error *error);
/* What the host's own addresses, and its routes of main, lead to: by interface. */
struct link_reach {
	struct prefix prefix;
	uint32_t interface; /* 0: as above */
};
typedef VECTOR(struct link_reach) reach_vector;
int link_reaches(struct link_handle *handle, reach_vector *reaches, struct error *error);

/* ---- marked.c: what is ours by its mark, be it in the state or not ---- */

struct link_marked {
	uint32_t index;
	char name[IFNAMSIZ], kind[16], alias[ALIAS_MAX];
};
typedef VECTOR(struct link_marked) marked_vector;
/* Append links of the host with an alias of ours, less those that a quick detach has left to their
 * namespaces. */
int link_marked_list(struct link_handle *handle, marked_vector *marked, struct error *error);
/* 1; 0 if it is gone, or is another by now. */
int link_marked_delete(struct link_handle *handle, const struct link_marked *marked,
		       struct error *error);
/* A route of link_behind_change(). */
struct link_behind {
	struct prefix destination;
	struct addr gateway;
	uint32_t interface;
};
typedef VECTOR(struct link_behind) behind_vector;
int link_behinds_list(struct link_handle *handle, behind_vector *behinds, struct error *error);
/* What is gone is passed over. */
int link_behind_remove(struct link_handle *handle, const struct link_behind *behind,
		       struct error *error);

#endif
