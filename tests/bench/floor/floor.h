/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel asks for an endpoint's links, without a library of any kind: the floor that
 * attach and detach are measured against. Each of the two files is also a program of its own, with
 * -DFLOOR_MAIN.
 */
#ifndef BN_BENCH_FLOOR_FLOOR_H
#define BN_BENCH_FLOOR_FLOOR_H

#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

/* One sendmsg() full of messages. */
struct floor_batch {
	_Alignas(struct nlmsghdr) char buffer[8192];
	size_t len;
	uint32_t messages;
};

struct floor_link {
	int fd, own_namespace;
	int bridge; /* index */
};

/* Make the bridge `floor0` in the caller's namespace, up. All return 0 or a negative errno. */
int floor_link_open(struct floor_link *floor);
void floor_link_close(struct floor_link *floor); /* the bridge and what is on it stay */

/* A veth pair of the bridge, `floor<n>` at both ends, into the namespace; address 10.250.x.y,
 * default route; two batches. The calling thread visits the namespace for its socket. */
int floor_attach(struct floor_link *floor, int sandbox, unsigned int n);
/* One: RTM_DELLINK. More: into a group, and that deleted at once. */
int floor_detach(struct floor_link *floor, unsigned int first, unsigned int count);

/* For both files. */
struct nlmsghdr *floor_put_link(struct floor_batch *batch, int type, int flags, int index);
void *floor_put(struct floor_batch *batch, int attribute, const void *data, size_t len);
/* index: where to store the peer's index that an echoed RTM_NEWLINK tells; may be NULL. */
int floor_run(int fd, struct floor_batch *batch, int *index);
double floor_now(void);  /* microseconds */
int floor_sandbox(void); /* a fresh namespace */
void floor_report(const char *what, double *values, size_t len);

#endif
