/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel asks for the links of an endpoint and of a network, without a library of any
 * kind: the floor that what makes, deletes and lists them is measured against. attach.c and detach.c
 * are programs of their own, too, with -DFLOOR_MAIN.
 */
#ifndef BN_BENCH_FLOOR_FLOOR_H
#define BN_BENCH_FLOOR_FLOOR_H

#include <stddef.h>
#include <stdint.h>

#include <linux/rtnetlink.h>

/* One sendmsg() full of messages. */
struct floor_batch {
	_Alignas(struct nlmsghdr) char buffer[8192];
	size_t len;
	uint32_t messages;
};

struct floor_link {
	int fd, own_namespace;
	int bridge; /* index */
	int dual;   /* an IPv6 address, too, fd00:250::<n>, and a default route */
};

/* Make the bridge `floor0` in the caller's namespace, up. All return 0 or a negative errno. */
int floor_link_open(struct floor_link *floor);
void floor_link_close(struct floor_link *floor); /* the bridge and what is on it stay */

/* A veth pair of the bridge, `floor<n>` at both ends, into the namespace; address 10.250.x.y,
 * default route; two batches. The calling thread visits the namespace for its socket. */
int floor_attach(struct floor_link *floor, int sandbox, unsigned int n);
/* One: RTM_DELLINK. More: into a group, and that deleted at once. */
int floor_detach(struct floor_link *floor, unsigned int first, unsigned int count);

/* What a quick detach comes to: off the bridge and down, by one message. */
int floor_cut(struct floor_link *floor, unsigned int n);
/* One dump of the links of the namespace; how many are up and on a bridge. */
int floor_list(struct floor_link *floor, size_t *ret_len);
/* The bridge `other<n>`, up, with 10.251.<n>.1/24, by one batch; and gone again. */
int floor_network_create(struct floor_link *floor, unsigned int n);
int floor_network_delete(struct floor_link *floor, unsigned int n);

/* For all of these files. */
struct nlmsghdr *floor_put_message(struct floor_batch *batch, int type, int flags,
				   const void *header, size_t len);
struct nlmsghdr *floor_put_link(struct floor_batch *batch, int type, int flags, int index);
void *floor_put(struct floor_batch *batch, int attribute, const void *data, size_t len);
void floor_end_nest(struct floor_batch *batch, struct rtattr *nest);
/* index: where to store the peer's index that an echoed RTM_NEWLINK tells; may be NULL. */
int floor_run(int fd, struct floor_batch *batch, int *index);
/* A number of 32 bits out of an RTM_NEWLINK, 0 if it has none. */
int floor_link_number(struct nlmsghdr *message, int attribute);
double floor_now(void);  /* microseconds */
int floor_sandbox(void); /* a fresh namespace */
void floor_report(const char *what, double *values, size_t len);

#endif
