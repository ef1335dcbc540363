/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Flows of conntrack's default zone, by netlink messages. Private to conntrack.c. */
#ifndef BN_FIREWALL_CTNETLINK_H
#define BN_FIREWALL_CTNETLINK_H

#include "base/clock.h"
#include "base/vector.h"
#include "model/addr.h"

struct flow_tuple {
	struct addr source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol;
};

/* What conntrack remembers of a flow: packets of its first one's way, and of the way back. */
struct flow {
	struct flow_tuple original, reply;
	uint32_t status; /* IPS_* */
};

/* Flows that are equal in all that is set: an address that has a family, a number that is not 0.
 * Ports are looked at beside a protocol alone. */
struct flow_query {
	struct flow flow;
	uint32_t status_mask; /* these bits of the status */
};

struct conntrack {
	int fd;
	int family;                      /* of the next request */
	const struct deadline *deadline; /* of it too */
	uint32_t sequence;               /* of the last request */
	size_t awaited;                  /* answers to it */
	int result;                      /* the first failure of them */
	bool exact;                      /* it is about flows that may be gone */
	VECTOR(char) messages;
	bool (*takes)(const void *userdata, const struct flow *flow);
	const void *userdata;
	uint64_t count;
	bool told; /* what there is to count */
};

/* 0, -EPROTONOSUPPORT, another negative errno. */
int ctnetlink_open(struct conntrack **ret_ct);

/* How many flows of any kind the namespace has. */
int ctnetlink_count(struct conntrack *ct, uint64_t *ret_count);

/* How many of them were put there other than by a packet, as long as the namespace is there;
 * -ENODATA: the kernel does not say. */
int ctnetlink_count_inserted(struct conntrack *ct, uint64_t *ret_count);

/* Drop what matches any of the queries: the kernel looks through all flows for each. -EINVAL, and
 * nothing is changed, before Linux 6.12; and for what it does not compare, or not right: IPv6
 * addresses, ports but those of TCP and UDP, a query that asks for no part of a tuple. */
int ctnetlink_delete(struct conntrack *ct, const struct flow_query *queries, size_t len);

/* Look through all flows once, at the most at those that match the query, and drop each that is
 * taken. -EINVAL or -EOPNOTSUPP: the kernel has no flows. */
int ctnetlink_delete_each(struct conntrack *ct, const struct flow_query *query,
			  bool (*takes)(const void *userdata, const struct flow *flow),
			  const void *userdata);

#endif
