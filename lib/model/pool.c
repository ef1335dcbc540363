/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/pool.h"

#include <errno.h>
#include <stdio.h>

#include "model/ipam.h"

const struct subnet_pool default_pools_ipv4[] = {
	{ { { AF_INET, { 172, 17 } }, 16 }, 16 },  { { { AF_INET, { 172, 18 } }, 16 }, 16 },
	{ { { AF_INET, { 172, 19 } }, 16 }, 16 },  { { { AF_INET, { 172, 20 } }, 14 }, 16 },
	{ { { AF_INET, { 172, 24 } }, 14 }, 16 },  { { { AF_INET, { 172, 28 } }, 14 }, 16 },
	{ { { AF_INET, { 192, 168 } }, 16 }, 20 },
};
const size_t default_pools_ipv4_len = ARRAY_SIZE(default_pools_ipv4);

struct subnet_pool pool_unique_local(const uint8_t global_id[static 5])
{
	struct subnet_pool pool = { { { AF_INET6, { 0xfd } }, 48 }, 64 };

	memcpy(pool.base.addr.bytes + 1, global_id, 5);
	return pool;
}

/* ---- as text ---- */

static int pool_error(const char *text, struct error *error)
{
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "pool '%.80s' is not of the form 10.99.0.0/16:24 or fd00:99::/48:64",
			 text);
}

/* Cut in two where the length of the subnets begins. */
static int parse_parts(const char *text, struct prefix *ret_base, unsigned int *ret_len)
{
	const char *slash = strchr(text, '/'), *colon = slash ? strchr(slash, ':') : NULL;
	char base[PREFIX_TEXT_MAX];
	size_t digits;

	if (!colon || (size_t)(colon - text) >= sizeof(base))
		return -EINVAL;
	memcpy(base, text, (size_t)(colon - text));
	base[colon - text] = '\0';
	digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 3 || colon[1 + digits] || (digits > 1 && colon[1] == '0'))
		return -EINVAL;
	*ret_len = (unsigned int)atoi(colon + 1);
	return prefix_parse(base, ret_base);
}

int pool_parse(const char *text, struct subnet_pool *ret_pool, struct error *error)
{
	struct prefix base;
	unsigned int len, most;
	int r;

	if (parse_parts(text, &base, &len) < 0)
		return pool_error(text, error);
	r = ipam_check_prefix("pool", &base, error);
	if (r < 0)
		return r;
	most = (unsigned int)addr_size(base.addr.family) * 8 - 1;
	if (len < base.len || len > most)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "pool %s can't be cut into subnets of /%u; give a length from %u "
				 "to %u",
				 text, len, base.len, most);
	*ret_pool = (struct subnet_pool){ base, (uint8_t)len };
	return 0;
}

/* ---- picking ---- */

/* What is taken comes in order, and of two prefixes one has the other or they don't meet: so a
 * block that is behind what has been looked at stays so. */
static bool pick_block(const struct prefix *base, uint8_t len, const prefix_vector *taken,
		       struct prefix *ret_block)
{
	struct prefix block = { base->addr, len };

	for (size_t i = 0; i < taken->len; i++) {
		const struct prefix *other = &taken->items[i];
		struct addr last = prefix_last(&block), theirs = prefix_last(other);

		if (!prefix_overlaps(&block, other)) {
			if (addr_compare(&other->addr, &last) > 0)
				break;
			continue;
		}
		if (addr_compare(&theirs, &last) > 0)
			last = theirs;
		if (!addr_add(&last, 1, &block.addr) || !prefix_contains(base, &block.addr))
			return false;
	}
	*ret_block = block;
	return true;
}

#define LIST_MAX 300

static const char *format_pools(const struct subnet_pool *pools, size_t len, int family,
				char list[static LIST_MAX])
{
	char text[PREFIX_TEXT_MAX];
	size_t used = 0;

	list[0] = '\0';
	for (size_t i = 0; i < len; i++) {
		if (pools[i].base.addr.family != family)
			continue;
		prefix_format(&pools[i].base, text);
		if (used + strlen(text) + 8 > LIST_MAX) {
			strcat(list, ", ...");
			break;
		}
		used += (size_t)snprintf(list + used, LIST_MAX - used, "%s%s", used ? ", " : "",
					 text);
	}
	return list;
}

int pool_pick(const struct subnet_pool *pools, size_t pools_len, int family, uint8_t len,
	      const prefix_vector *taken, struct prefix *ret_subnet, struct error *error)
{
	int version = family == AF_INET ? 4 : 6;
	char list[LIST_MAX];
	bool fits = false;

	for (size_t i = 0; i < pools_len; i++) {
		const struct prefix *base = &pools[i].base;

		if (base->addr.family != family || (len && len < base->len))
			continue;
		fits = true;
		if (pick_block(base, len ? len : pools[i].prefix_len, taken, ret_subnet))
			return 0;
	}
	format_pools(pools, pools_len, family, list);
	if (!fits)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "no IPv%d pool is as large as a subnet of /%u: they are %s; ask "
				 "for a smaller one, or give another pool or a subnet",
				 version, len, list);
	return error_set(error, -ENOSPC, BN_REASON_POOL_EXHAUSTED,
			 "no IPv%d subnet%s is free in the pools %s: networks, routes or "
			 "nameservers of this host are everywhere; give a subnet or a pool, or "
			 "delete a network",
			 version, len ? " of that size" : "", list);
}

bool pools_have(const struct subnet_pool *pools, size_t pools_len, const struct prefix *subnet)
{
	for (size_t i = 0; i < pools_len; i++)
		if (prefix_covers(&pools[i].base, subnet))
			return true;
	return false;
}

bool pools_have_family(const subnet_pool_vector *pools, int family)
{
	for (size_t i = 0; i < pools->len; i++)
		if (pools->items[i].base.addr.family == family)
			return true;
	return false;
}
