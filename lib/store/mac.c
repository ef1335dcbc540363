/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MAC addresses: two interfaces on one bridge that have the same take each other's packets. */
#include <errno.h>
#include <sys/random.h>

#include "store/private.h"

/* STATEMENT_ENDPOINT_MAC */
enum { ID, REMOVAL, PENDING };

int mac_check(struct store *store, const struct endpoint *endpoint, struct error *error)
{
	static const uint8_t none[MAC_LEN];
	CLEANUP_STATEMENT sqlite3_stmt *holder = NULL;
	char mac[MAC_TEXT_MAX];
	int r;

	if (memcmp(endpoint->mac, none, MAC_LEN) == 0)
		return 0;
	r = statement_look_up(store, STATEMENT_ENDPOINT_MAC,
			      VALUES(TEXT(endpoint->network), TEXT(mac_format(endpoint->mac, mac))),
			      &holder, error);
	if (r <= 0)
		return r;
	if (sqlite3_column_int64(holder, REMOVAL) || sqlite3_column_int(holder, PENDING))
		return error_set(error, -EBUSY, BN_REASON_BUSY,
				 "MAC address %s of network %s is just being taken or given up by "
				 "another process; try again",
				 mac, endpoint->network);
	return error_set(error, -EADDRINUSE, BN_REASON_ADDRESS_IN_USE,
			 "MAC address %s of network %s is already used by endpoint %s; detach that "
			 "one, choose another MAC address or give none",
			 mac, endpoint->network, column_text(holder, ID));
}

/* 1 or 0 */
static int is_used(struct store *store, const char *network, const uint8_t mac[static MAC_LEN],
		   struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *holder = NULL;
	char text[MAC_TEXT_MAX];

	return statement_look_up(store, STATEMENT_ENDPOINT_MAC,
				 VALUES(TEXT(network), TEXT(mac_format(mac, text))), &holder,
				 error);
}

int store_mac_pick(struct store *store, struct endpoint *endpoint,
		   const uint8_t bridge[static MAC_LEN], struct error *error)
{
	const struct addr *addr = addr_is_set(&endpoint->ipv4.addr) ? &endpoint->ipv4.addr :
								      &endpoint->ipv6.addr;
	struct addr random = { .family = AF_INET };
	int r = transaction_check(store, error);

	if (r < 0)
		return r;
	/* who has no address is not to have the MAC of one on another host's bridge */
	if (!addr_is_set(addr)) {
		if (getrandom(random.bytes, 4, 0) != 4)
			return error_set(error, -EIO, BN_REASON_KERNEL,
					 "the kernel gives no random bytes for a MAC address");
		addr = &random;
	}
	for (unsigned int variant = 0;; variant++) {
		mac_from_addr(addr, variant, endpoint->mac);
		if (memcmp(endpoint->mac, bridge, MAC_LEN) == 0)
			continue;
		r = is_used(store, endpoint->network, endpoint->mac, error);
		if (r <= 0)
			return r;
	}
}
