/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many endpoints networks have, and how many addresses those. */
#include <errno.h>

#include "model/ipam.h"
#include "store/private.h"

int store_endpoint_count(struct store *store, const char *network, size_t *ret_count,
			 struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_ENDPOINT_COUNT, VALUES(TEXT(network)), &row,
				  error);

	if (r <= 0)
		return r;
	*ret_count = (size_t)sqlite3_column_int64(row, 0);
	return 0;
}

int store_endpoint_counts(struct store *store, const network_vector *networks, size_t *ret_counts,
			  struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r;

	for (size_t i = 0; i < networks->len; i++)
		ret_counts[i] = 0;
	if (networks->len == 1)
		return store_endpoint_count(store, networks->items->name, ret_counts, error);
	r = statement_get(store, STATEMENT_ENDPOINT_COUNTS, NULL, &row, error);
	if (r < 0)
		return r;
	/* both come by name */
	for (size_t i = 0; i < networks->len && (r = statement_step(store, row, error)) > 0;) {
		while (i < networks->len &&
		       strcmp(networks->items[i].name, column_text(row, 0)) < 0)
			i++;
		if (i < networks->len && strcmp(networks->items[i].name, column_text(row, 0)) == 0)
			ret_counts[i] = (size_t)sqlite3_column_int64(row, 1);
	}
	return r < 0 ? r : 0;
}

/* number: of which subnet. */
static int count_address(const struct network *network, const struct addr *addr, int64_t number,
			 struct address_usage *usage)
{
	struct subnet_usage *subnet;
	int family;
	size_t at;

	if (!address_place(number, &family, &at))
		return -EINVAL;
	subnet = family == AF_INET ? &usage->ipv4[at] : &usage->ipv6[at];
	subnet->endpoints++;
	subnet->dynamic += ipam_is_dynamic(network, addr);
	return 0;
}

int store_address_usages(struct store *store, const network_vector *networks,
			 struct address_usage *ret_usages, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	bool one = networks->len == 1;
	struct addr addr;
	size_t i = 0;
	int r;

	if (networks->len)
		memset(ret_usages, 0, networks->len * sizeof(*ret_usages));
	r = statement_get(store, one ? STATEMENT_ADDRESS_USED_NETWORK : STATEMENT_ADDRESS_USED,
			  VALUES(TEXT(one ? networks->items->name : NULL)), &row, error);
	if (r < 0)
		return r;
	/* both come by name */
	while (i < networks->len && (r = statement_step(store, row, error)) > 0) {
		while (i < networks->len &&
		       strcmp(networks->items[i].name, column_text(row, 0)) < 0)
			i++;
		if (i == networks->len || strcmp(networks->items[i].name, column_text(row, 0)) != 0)
			continue;
		if (column_addr(row, 1, &addr) < 0 ||
		    count_address(&networks->items[i], &addr, sqlite3_column_int64(row, 2),
				  &ret_usages[i]) < 0)
			return store_damaged_error(store, "an address", error);
	}
	return r < 0 ? r : 0;
}
