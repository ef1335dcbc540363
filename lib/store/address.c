/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which addresses are in use, and which one is given out next: one that never was, else the one
 * released longest ago.
 *
 * Only the last RELEASED_MAX that were released are remembered: each is a row, and goes with its
 * network in one transaction. One that is forgotten counts as never given out. It is found again
 * when the search for such a one has come to the end of the range and, since some were forgotten
 * meanwhile, begins at its start once more: by then it is the one that was released longest ago,
 * or nearly so.
 */
#include <errno.h>

#include "model/ipam.h"
#include "store/private.h"

static int family_number(int family)
{
	return family == AF_INET ? 4 : 6;
}

#define RELEASED_MAX 4096

/* networks.forgotten */
static int family_bit(int family)
{
	return family == AF_INET ? 1 : 2;
}

/* The key of `addresses`. */
#define ADDRESS(network, addr) TEXT(network), INT(family_number((addr)->family)), ADDR(addr)

int address_check(struct store *store, const struct endpoint *endpoint, const struct addr *addr,
		  struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *holder = NULL;
	char text[ADDR_TEXT_MAX];
	int r;

	if (!addr_is_set(addr))
		return 0;
	r = statement_look_up(store, STATEMENT_ADDRESS_HOLDER,
			      VALUES(ADDRESS(endpoint->network, addr)), &holder, error);
	if (r <= 0 || sqlite3_column_int(holder, 0))
		return r < 0 ? r : 0;
	if (sqlite3_column_int64(holder, 2) || sqlite3_column_int(holder, 3))
		return error_set(error, -EBUSY, BN_REASON_BUSY,
				 "address %s of network %s is just being taken or given up by "
				 "another process; try again",
				 addr_format(addr, text), endpoint->network);
	return error_set(error, -EADDRINUSE, BN_REASON_ADDRESS_IN_USE,
			 "address %s of network %s is already used by endpoint %s; detach that one "
			 "or choose another address",
			 addr_format(addr, text), endpoint->network, column_text(holder, 1));
}

int address_take(struct store *store, const struct endpoint *endpoint, const struct addr *addr,
		 struct error *error)
{
	int r;

	if (!addr_is_set(addr))
		return 0;
	r = statement_run(store, STATEMENT_ADDRESS_TAKE,
			  VALUES(ADDRESS(endpoint->network, addr), INT(endpoint->sequence)), error);
	if (r < 0 || sqlite3_changes(store->database) == 1)
		return r;
	r = address_check(store, endpoint, addr, error);
	return r < 0 ? r : store_damaged_error(store, "an address", error);
}

static int set_forgotten(struct store *store, const char *network, int family, bool forgotten,
			 struct error *error)
{
	int bit = family_bit(family);

	return statement_run(store, STATEMENT_ADDRESS_SET_FORGOTTEN,
			     VALUES(TEXT(network), INT(bit), INT(forgotten ? bit : 0)), error);
}

int address_release(struct store *store, const char *network, const struct addr *addr,
		    struct error *error)
{
	int r;

	if (!addr_is_set(addr))
		return 0;
	r = statement_run(store, STATEMENT_ADDRESS_RELEASE, VALUES(ADDRESS(network, addr)), error);
	if (r == 0)
		r = statement_run(store, STATEMENT_ADDRESS_FORGET_OLDEST,
				  VALUES(TEXT(network), INT(family_number(addr->family)),
					 INT(RELEASED_MAX)),
				  error);
	if (r < 0 || sqlite3_changes(store->database) == 0)
		return r;
	return set_forgotten(store, network, addr->family, true, error);
}

/* How far the addresses that we chose have come; family 0 before the first. And whether some were
 * forgotten since the search for new ones began at the start of the range. */
static int read_highest(struct store *store, const char *network, int family, struct addr *ret_addr,
			bool *ret_forgotten, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_ADDRESS_HIGHEST,
				  VALUES(TEXT(network), INT(family_number(family)),
					 INT(family_bit(family))),
				  &row, error);

	if (r < 0)
		return r;
	if (r == 0)
		return network_unknown_error(network, error);
	*ret_forgotten = sqlite3_column_int(row, 1) != 0;
	return column_addr(row, 0, ret_addr) < 0 ? store_damaged_error(store, "an address", error) :
						   0;
}

/* Was it given out before, or is it in use? 1 or 0 */
static int is_known(struct store *store, const char *network, const struct addr *addr,
		    struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;

	return statement_look_up(store, STATEMENT_ADDRESS_HOLDER, VALUES(ADDRESS(network, addr)),
				 &row, error);
}

static int set_highest(struct store *store, const char *network, const struct addr *addr,
		       struct error *error)
{
	return statement_run(store, STATEMENT_ADDRESS_SET_HIGHEST, VALUES(ADDRESS(network, addr)),
			     error);
}

/*
 * The first address at or after that one which is not known. Highest becomes that address and not
 * its successor, so that it is not lost when it is picked and then not taken; what is known is
 * stepped over once, also when there is nothing behind it. 1, or 0 if there is none.
 */
static int pick_from(struct store *store, const struct network *network, int family,
		     struct addr from, struct addr *ret_addr, struct error *error)
{
	const struct addr end = ipam_range(network_subnet(network, family)).last;
	struct addr addr = from;
	int known = true, r;

	while (known && ipam_next_address(network, family, &from, &addr)) {
		known = is_known(store, network->name, &addr, error);
		if (known < 0)
			return known;
		if (!addr_add(&addr, 1, &from))
			break;
	}
	if (known)
		addr = end;
	r = set_highest(store, network->name, &addr, error);
	if (r < 0 || known)
		return r;
	*ret_addr = addr;
	return 1;
}

/* One that was never given out, as far as is remembered: 1, or 0 if there is none. */
static int pick_new(struct store *store, const struct network *network, int family,
		    struct addr *ret_addr, struct error *error)
{
	const struct addr start = { 0 };
	struct addr highest;
	bool forgotten = false;
	int r = read_highest(store, network->name, family, &highest, &forgotten, error);

	if (r == 0)
		r = pick_from(store, network, family, highest, ret_addr, error);
	if (r != 0 || !forgotten)
		return r;
	/* what is forgotten from now on is for the round after this one */
	r = set_forgotten(store, network->name, family, false, error);
	return r < 0 ? r : pick_from(store, network, family, start, ret_addr, error);
}

/* 1, or 0 if there is none. */
static int pick_released(struct store *store, const struct network *network, int family,
			 struct addr *ret_addr, struct error *error)
{
	struct addr addr = { .family = family };
	int r;

	for (;;) {
		CLEANUP_STATEMENT sqlite3_stmt *oldest = NULL;

		r = statement_look_up(store, STATEMENT_ADDRESS_OLDEST,
				      VALUES(TEXT(network->name), INT(family_number(family))),
				      &oldest, error);
		if (r <= 0)
			return r;
		if (column_addr(oldest, 0, &addr) < 0)
			return store_damaged_error(store, "an address", error);
		/* it may have been one that was asked for, outside the range */
		if (ipam_is_dynamic(network, &addr))
			break;
		r = statement_run(store, STATEMENT_ADDRESS_FORGET,
				  VALUES(ADDRESS(network->name, &addr)), error);
		if (r < 0)
			return r;
	}
	*ret_addr = addr;
	return 1;
}

int store_address_pick(struct store *store, const struct network *network, int family,
		       struct addr *ret_addr, struct error *error)
{
	const struct subnet *subnet = network_subnet(network, family);
	char text[RANGE_TEXT_MAX];
	struct range range;
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if (!subnet)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "network %s has no IPv%d subnet to take an address from",
				 network->name, family_number(family));
	r = pick_new(store, network, family, ret_addr, error);
	if (r == 0)
		r = pick_released(store, network, family, ret_addr, error);
	if (r < 0)
		return r;
	if (r > 0)
		return 0;
	range = ipam_range(subnet);
	return error_set(error, -ENOSPC, BN_REASON_ADDRESS_EXHAUSTED,
			 "network %s has no free address left in %s; detach an endpoint or create "
			 "a network with a larger %s",
			 network->name, range_format(&range, text),
			 addr_is_set(&subnet->range.first) ? "ip-range" : "subnet");
}
