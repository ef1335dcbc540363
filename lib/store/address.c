/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which addresses are in use, and which one is given out next. */
#include <errno.h>

#include "model/ipam.h"
#include "store/private.h"

static int family_number(int family)
{
	return family == AF_INET ? 4 : 6;
}

/* The key of `addresses`. */
#define ADDRESS(network, addr) TEXT(network), INT(family_number((addr)->family)), ADDR(addr)

int address_take(struct store *store, const struct endpoint *endpoint, const struct addr *addr,
		 struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *holder = NULL;
	char text[ADDR_TEXT_MAX];
	int r;

	if (!addr_is_set(addr))
		return 0;
	r = statement_look_up(store, STATEMENT_ADDRESS_HOLDER,
			      VALUES(ADDRESS(endpoint->network, addr)), &holder, error);
	if (r < 0)
		return r;
	if (r > 0 && !sqlite3_column_int(holder, 0) &&
	    (sqlite3_column_int64(holder, 2) || sqlite3_column_int(holder, 3)))
		return error_set(error, -EBUSY, BN_REASON_BUSY,
				 "address %s of network %s is just being taken or given up by "
				 "another process; try again",
				 addr_format(addr, text), endpoint->network);
	if (r > 0 && !sqlite3_column_int(holder, 0))
		return error_set(error, -EADDRINUSE, BN_REASON_ADDRESS_IN_USE,
				 "address %s of network %s is already used by endpoint %s; detach "
				 "that one or choose another address",
				 addr_format(addr, text), endpoint->network,
				 column_text(holder, 1));
	return statement_run(store, STATEMENT_ADDRESS_TAKE,
			     VALUES(ADDRESS(endpoint->network, addr), INT(endpoint->sequence)),
			     error);
}

int address_release(struct store *store, const char *network, const struct addr *addr,
		    struct error *error)
{
	if (!addr_is_set(addr))
		return 0;
	return statement_run(store, STATEMENT_ADDRESS_RELEASE, VALUES(ADDRESS(network, addr)),
			     error);
}

/* How far the addresses that we chose have come; family 0 before the first. */
static int read_highest(struct store *store, const char *network, int family, struct addr *ret_addr,
			struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_ADDRESS_HIGHEST,
				  VALUES(TEXT(network), INT(family_number(family))), &row, error);

	if (r < 0)
		return r;
	if (r == 0)
		return network_unknown_error(network, error);
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

/*
 * The first address, from the highest on, that was never given out. Highest becomes that address
 * and not its successor, so that it is not lost when it is picked and then not taken; what was
 * taken by request above it is stepped over once. 1, or 0 if there is none.
 */
static int pick_new(struct store *store, const struct network *network, int family,
		    struct addr *ret_addr, struct error *error)
{
	struct addr from, addr;
	int known, r = read_highest(store, network->name, family, &from, error);

	if (r < 0)
		return r;
	do {
		if (!ipam_next_address(network, family, &from, &addr))
			return 0;
		known = is_known(store, network->name, &addr, error);
		if (known < 0)
			return known;
	} while (known && addr_add(&addr, 1, &from));
	if (known)
		return 0;
	r = statement_run(store, STATEMENT_ADDRESS_SET_HIGHEST,
			  VALUES(ADDRESS(network->name, &addr)), error);
	if (r < 0)
		return r;
	*ret_addr = addr;
	return 1;
}

/* May it be chosen for a caller? It may have been one that was asked for, outside the range. */
static bool is_dynamic(const struct network *network, const struct addr *addr)
{
	struct addr next;

	return ipam_next_address(network, addr->family, addr, &next) &&
	       addr_compare(addr, &next) == 0;
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
		if (is_dynamic(network, &addr))
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
	char text[PREFIX_TEXT_MAX];
	bool has_range;
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
	has_range = addr_is_set(&subnet->range.addr);
	return error_set(error, -ENOSPC, BN_REASON_ADDRESS_EXHAUSTED,
			 "network %s has no free address left in %s; detach an endpoint or create "
			 "a network with a larger %s",
			 network->name,
			 prefix_format(has_range ? &subnet->range : &subnet->prefix, text),
			 has_range ? "ip-range" : "subnet");
}
