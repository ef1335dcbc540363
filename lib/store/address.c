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

/* One of the subnets of a network: all of this is of each by itself. */
struct subnet_place {
	int family;
	size_t at;
};

static int family_number(int family)
{
	return family == AF_INET ? 4 : 6;
}

/* addresses.family; of the first subnet it is the family's number. */
#define PLACE_STEP 16
static int place_number(const struct subnet_place *place)
{
	return family_number(place->family) + PLACE_STEP * (int)place->at;
}

bool address_place(int64_t number, int *ret_family, size_t *ret_at)
{
	int64_t family = number % PLACE_STEP;

	*ret_family = family == 4 ? AF_INET : AF_INET6;
	*ret_at = (size_t)(number / PLACE_STEP);
	return (family == 4 || family == 6) && number >= 0 && *ret_at < SUBNETS_MAX;
}

#define RELEASED_MAX 4096

/* networks.forgotten */
static int place_bit(const struct subnet_place *place)
{
	return (place->family == AF_INET ? 1 : 2) << (2 * place->at);
}

/* The key of `addresses`. */
#define ADDRESS(network, place, addr) TEXT(network), INT(place_number(place)), ADDR(addr)

static int address_check(struct store *store, const struct endpoint *endpoint,
			 const struct subnet_place *place, const struct addr *addr,
			 struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *holder = NULL;
	char text[ADDR_TEXT_MAX];
	int r = statement_look_up(store, STATEMENT_ADDRESS_HOLDER,
				  VALUES(ADDRESS(endpoint->network, place, addr)), &holder, error);

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

static int address_take(struct store *store, const struct endpoint *endpoint,
			const struct subnet_place *place, const struct addr *addr,
			struct error *error)
{
	int r = statement_run(
		store, STATEMENT_ADDRESS_TAKE,
		VALUES(ADDRESS(endpoint->network, place, addr), INT(endpoint->sequence)), error);

	if (r < 0 || sqlite3_changes(store->database) == 1)
		return r;
	r = address_check(store, endpoint, place, addr, error);
	return r < 0 ? r : store_damaged_error(store, "an address", error);
}

static int set_forgotten(struct store *store, const char *network, const struct subnet_place *place,
			 bool forgotten, struct error *error)
{
	int bit = place_bit(place);

	return statement_run(store, STATEMENT_ADDRESS_SET_FORGOTTEN,
			     VALUES(TEXT(network), INT(bit), INT(forgotten ? bit : 0)), error);
}

static int address_release(struct store *store, const struct endpoint *endpoint,
			   const struct subnet_place *place, const struct addr *addr,
			   struct error *error)
{
	const char *network = endpoint->network;
	int r = statement_run(store, STATEMENT_ADDRESS_RELEASE,
			      VALUES(ADDRESS(network, place, addr)), error);

	if (r == 0)
		r = statement_run(
			store, STATEMENT_ADDRESS_FORGET_OLDEST,
			VALUES(TEXT(network), INT(place_number(place)), INT(RELEASED_MAX)), error);
	if (r < 0 || sqlite3_changes(store->database) == 0)
		return r;
	return set_forgotten(store, network, place, true, error);
}

typedef int (*address_fn)(struct store *store, const struct endpoint *endpoint,
			  const struct subnet_place *place, const struct addr *addr,
			  struct error *error);

static int each_address(struct store *store, const struct endpoint *endpoint, address_fn run,
			struct error *error)
{
	int r = 0;

	for_each_family(family) {
		struct subnet_place place = { .family = family };

		for_each_address(prefix, endpoint, family) {
			if (r == 0)
				r = run(store, endpoint, &place, &prefix->addr, error);
			place.at++;
		}
	}
	return r;
}

int addresses_check(struct store *store, const struct endpoint *endpoint, struct error *error)
{
	return each_address(store, endpoint, address_check, error);
}

int addresses_take(struct store *store, const struct endpoint *endpoint, struct error *error)
{
	return each_address(store, endpoint, address_take, error);
}

int addresses_release(struct store *store, const struct endpoint *endpoint, struct error *error)
{
	return each_address(store, endpoint, address_release, error);
}

/* How far the addresses that we chose have come; family 0 before the first. And whether some were
 * forgotten since the search for new ones began at the start of the range. */
static int read_highest(struct store *store, const char *network, const struct subnet_place *place,
			struct addr *ret_addr, bool *ret_forgotten, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_ADDRESS_HIGHEST,
				  VALUES(TEXT(network), INT(place_number(place)),
					 INT(place_bit(place))),
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
static int is_known(struct store *store, const char *network, const struct subnet_place *place,
		    const struct addr *addr, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;

	return statement_look_up(store, STATEMENT_ADDRESS_HOLDER,
				 VALUES(ADDRESS(network, place, addr)), &row, error);
}

static int set_highest(struct store *store, const char *network, const struct subnet_place *place,
		       const struct addr *addr, struct error *error)
{
	return statement_run(store,
			     place->at ? STATEMENT_SEARCH_SET : STATEMENT_ADDRESS_SET_HIGHEST,
			     VALUES(ADDRESS(network, place, addr)), error);
}

/*
 * The first address at or after that one which is not known. Highest becomes that address and not
 * its successor, so that it is not lost when it is picked and then not taken; what is known is
 * stepped over once, also when there is nothing behind it. 1, or 0 if there is none.
 */
static int pick_from(struct store *store, const struct network *network,
		     const struct subnet_place *place, struct addr from, struct addr *ret_addr,
		     struct error *error)
{
	const struct subnet *subnet = network_subnet_at(network, place->family, place->at);
	const struct addr end = ipam_range(subnet).last;
	struct addr addr = from;
	int known = true, r;

	while (known && ipam_next_address(network, subnet, &from, &addr)) {
		known = is_known(store, network->name, place, &addr, error);
		if (known < 0)
			return known;
		if (!addr_add(&addr, 1, &from))
			break;
	}
	if (known)
		addr = end;
	r = set_highest(store, network->name, place, &addr, error);
	if (r < 0 || known)
		return r;
	*ret_addr = addr;
	return 1;
}

/* One that was never given out, as far as is remembered: 1, or 0 if there is none. */
static int pick_new(struct store *store, const struct network *network,
		    const struct subnet_place *place, struct addr *ret_addr, struct error *error)
{
	const struct addr start = { 0 };
	struct addr highest;
	bool forgotten = false;
	int r = read_highest(store, network->name, place, &highest, &forgotten, error);

	if (r == 0)
		r = pick_from(store, network, place, highest, ret_addr, error);
	if (r != 0 || !forgotten)
		return r;
	/* what is forgotten from now on is for the round after this one */
	r = set_forgotten(store, network->name, place, false, error);
	return r < 0 ? r : pick_from(store, network, place, start, ret_addr, error);
}

/* 1, or 0 if there is none. */
static int pick_released(struct store *store, const struct network *network,
			 const struct subnet_place *place, struct addr *ret_addr,
			 struct error *error)
{
	struct addr addr = { .family = place->family };
	int r;

	for (;;) {
		CLEANUP_STATEMENT sqlite3_stmt *oldest = NULL;

		r = statement_look_up(store, STATEMENT_ADDRESS_OLDEST,
				      VALUES(TEXT(network->name), INT(place_number(place))),
				      &oldest, error);
		if (r <= 0)
			return r;
		if (column_addr(oldest, 0, &addr) < 0)
			return store_damaged_error(store, "an address", error);
		/* it may have been one that was asked for, outside the range */
		if (ipam_is_dynamic(network, &addr))
			break;
		r = statement_run(store, STATEMENT_ADDRESS_FORGET,
				  VALUES(ADDRESS(network->name, place, &addr)), error);
		if (r < 0)
			return r;
	}
	*ret_addr = addr;
	return 1;
}

int store_address_pick(struct store *store, const struct network *network, int family, size_t at,
		       struct addr *ret_addr, struct error *error)
{
	const struct subnet *subnet = network_subnet_at(network, family, at);
	const struct subnet_place place = { family, at };
	char text[RANGE_TEXT_MAX];
	struct range range;
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	if (!subnet)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "network %s has no IPv%d subnet to take an address from",
				 network->name, family_number(family));
	r = pick_new(store, network, &place, ret_addr, error);
	if (r == 0)
		r = pick_released(store, network, &place, ret_addr, error);
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

/* ---- those of an endpoint, in its row ---- */

int column_addresses(sqlite3_stmt *row, int column, struct prefix ret_addresses[static SUBNETS_MAX])
{
	const char *text = column_text(row, column);
	char word[PREFIX_TEXT_MAX];
	size_t len = 0;
	int r;

	while ((r = next_word(&text, word, sizeof(word))) > 0)
		if (len == SUBNETS_MAX || prefix_parse(word, &ret_addresses[len++]) < 0)
			return -EINVAL;
	return r;
}

const char *format_addresses(const struct endpoint *endpoint, int family,
			     char text[static ADDRESSES_TEXT_MAX])
{
	char word[PREFIX_TEXT_MAX], *end = text;

	*end = '\0';
	for_each_address(prefix, endpoint, family) {
		if (end != text)
			end = stpcpy(end, " ");
		end = stpcpy(end, prefix_format(prefix, word));
	}
	return text;
}
