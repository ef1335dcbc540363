/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host where addresses and links of others come and go all the time. */
#include "link_stage.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "link/private.h"

#define STANDING 1000 /* addresses of each family that stay: of each some three parts of a dump */
#define LISTS 3

static uint32_t device; /* that all of them are on */

static struct prefix standing(int family, unsigned int n)
{
	struct prefix prefix = { .addr = address(family == AF_INET ? "10.64.0.0" : "fd64::"),
				 .len = family == AF_INET ? 32 : 128 };

	assert_true(addr_add(&prefix.addr, n + 1, &prefix.addr));
	return prefix;
}

/* ---- the other program ---- */

static struct link_handle *other; /* NULL: it rests */
static unsigned int changes;

/* An address of IPv6 comes before those that are there, so all of them move on. */
static void change_something(struct link_handle *own)
{
	static bool there;
	const struct prefix addresses[] = { prefix("10.65.0.1/32"), prefix("fd65::1/128") };
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		rtnl_add_address(&batch, there ? RTM_DELADDR : RTM_NEWADDR, device, &addresses[i],
				 0);
	assert_int_equal(rtnl_run(own, &batch), 0);
	there = !there;
	changes++;
}

/* In place of libc's: whatever is read, something has just changed. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	struct link_handle *own = other;

	if (own) {
		other = NULL;
		change_something(own);
		other = own;
	}
	return syscall(SYS_recvmsg, fd, message, flags);
}

/* ---- what is shown ---- */

static void add_standing(void)
{
	for (unsigned int n = 0; n < STANDING; n += RTNL_BATCH_MAX / 2) {
		CLEANUP_BATCH struct rtnl_batch batch = { 0 };

		for (unsigned int i = n; i < n + RTNL_BATCH_MAX / 2 && i < STANDING; i++) {
			for_each_family(family) {
				const struct prefix address = standing(family, i);

				rtnl_add_address(&batch, RTM_NEWADDR, device, &address, 0);
			}
		}
		assert_int_equal(rtnl_run(handle, &batch), 0);
	}
}

static int compare(const void *left, const void *right)
{
	return prefix_compare(left, right);
}

/* All that stand are there, and nothing twice. */
static void assert_shows_all(void)
{
	prefix_vector shown = { 0 };

	assert_int_equal(link_local_addresses(handle, &shown, &error), 0);
	qsort(shown.items, shown.len, sizeof(*shown.items), compare);
	for (size_t i = 1; i < shown.len; i++)
		assert_int_not_equal(compare(&shown.items[i - 1], &shown.items[i]), 0);
	for (unsigned int i = 0; i < STANDING; i++) {
		for_each_family(family) {
			const struct prefix address = standing(family, i);

			assert_non_null(bsearch(&address, shown.items, shown.len,
						sizeof(*shown.items), compare));
		}
	}
	free(shown.items);
}

static void test_addresses_come_and_go(void **state)
{
	struct link_handle *own;

	(void)state;
	IP_RUN(host_ns, "link", "add", "lk-busy", "up", "type", "veth");
	device = link_index(handle, "lk-busy");
	add_standing();
	assert_shows_all();
	assert_int_equal(link_open(NULL, &own, NULL), 0);
	for (int i = 0; i < LISTS; i++) {
		other = own;
		assert_shows_all();
		other = NULL;
	}
	/* it is not looked for without an end */
	assert_in_range(changes, 2 * LISTS, 100 * LISTS);
	link_close(own);
	IP_RUN(host_ns, "link", "del", "lk-busy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_come_and_go),
	};

	return cmocka_run_group_tests_name("busy host", tests, stage_setup, stage_teardown);
}
