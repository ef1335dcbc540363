/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "floor.h"

#define CHUNK 64

static void put_name(struct floor_batch *batch, unsigned int n)
{
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "floor%u", n % 100000 + 1);
	floor_put(batch, IFLA_IFNAME, name, strlen(name) + 1);
}

int floor_detach(struct floor_link *floor, unsigned int first, unsigned int count)
{
	struct floor_batch delete = { .len = 0 };
	uint32_t group = 0x40000000u + first;

	floor_put_link(&delete, RTM_DELLINK, 0, 0);
	if (count == 1) {
		put_name(&delete, first);
		return floor_run(floor->fd, &delete, NULL);
	}
	for (unsigned int n = first; n < first + count;) {
		struct floor_batch batch = { .len = 0 };
		int r;

		for (; n < first + count && batch.messages < CHUNK; n++) {
			floor_put_link(&batch, RTM_SETLINK, 0, 0);
			put_name(&batch, n);
			floor_put(&batch, IFLA_GROUP, &group, 4);
		}
		r = floor_run(floor->fd, &batch, NULL);
		if (r < 0)
			return r;
	}
	floor_put(&delete, IFLA_GROUP, &group, 4);
	return floor_run(floor->fd, &delete, NULL);
}

int floor_cut(struct floor_link *floor, unsigned int n)
{
	struct floor_batch batch = { .len = 0 };
	struct ifinfomsg *header = NLMSG_DATA(floor_put_link(&batch, RTM_NEWLINK, 0, 0));
	uint32_t none = 0;

	header->ifi_change = IFF_UP;
	put_name(&batch, n);
	floor_put(&batch, IFLA_MASTER, &none, 4);
	return floor_run(floor->fd, &batch, NULL);
}

#ifdef FLOOR_MAIN
#define RUNS 20
#define MANY 32

static int measure(struct floor_link *floor, const char *what, unsigned int count)
{
	double values[RUNS];

	for (unsigned int i = 0; i < RUNS; i++) {
		double start;
		int r = 0;

		for (unsigned int n = 0; r == 0 && n < count; n++)
			r = floor_attach(floor, floor_sandbox(), n);
		start = floor_now();
		if (r == 0)
			r = floor_detach(floor, 0, count);
		if (r < 0)
			return r;
		values[i] = floor_now() - start;
	}
	floor_report(what, values, RUNS);
	return 0;
}

int main(void)
{
	struct floor_link floor;
	int r;

	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return 1;
	}
	r = floor_link_open(&floor);
	if (r == 0)
		r = measure(&floor, "detach of one, bare netlink", 1);
	if (r == 0)
		r = measure(&floor, "detach of 32, bare netlink", MANY);
	if (r < 0) {
		fprintf(stderr, "detach: %s\n", strerror(-r));
		return 1;
	}
	floor_link_close(&floor);
	return 0;
}
#endif
