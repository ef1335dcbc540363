/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

size_t addr_size(int family)
{
	if (family == AF_INET)
		return 4;
	return family == AF_INET6 ? 16 : 0;
}

static unsigned int addr_bits(int family)
{
	return (unsigned int)addr_size(family) * 8;
}

int addr_parse(const char *text, struct addr *ret_addr)
{
	struct addr addr = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(addr.family, text, addr.bytes) != 1)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

void addr_unmap(struct addr *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr ipv4 = { .family = AF_INET };

	if (addr->family != AF_INET6 || memcmp(addr->bytes, mapped, sizeof(mapped)) != 0)
		return;
	memcpy(ipv4.bytes, addr->bytes + sizeof(mapped), 4);
	*addr = ipv4;
}

/* inet_ntop() goes by way of printf, which is most of what a long listing costs. */
static void ipv4_format(const uint8_t bytes[static 4], char *text)
{
	for (size_t i = 0; i < 4; i++) {
		text = number_format(bytes[i], text);
		if (i < 3)
			*text++ = '.';
	}
}

const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_MAX])
{
	if (addr->family == AF_INET)
		ipv4_format(addr->bytes, text);
	else if (!inet_ntop(addr->family, addr->bytes, text, ADDR_TEXT_MAX))
		text[0] = '\0';
	return text;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, addr_size(a->family));
}

bool addr_is_set(const struct addr *addr)
{
	return addr->family != AF_UNSPEC;
}

bool addr_is_unspecified(const struct addr *addr)
{
	static const uint8_t zero[16];

	return addr_is_set(addr) && memcmp(addr->bytes, zero, addr_size(addr->family)) == 0;
}

bool addr_is_link_local(const struct addr *addr)
{
	return addr->family == AF_INET6 && addr->bytes[0] == 0xfe &&
	       (addr->bytes[1] & 0xc0) == 0x80;
}

bool addr_is_loopback(const struct addr *addr)
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (addr->family == AF_INET)
		return addr->bytes[0] == 127;
	return addr->family == AF_INET6 && memcmp(addr->bytes, loopback, sizeof(loopback)) == 0;
}

bool addr_is_multicast(const struct addr *addr)
{
	if (addr->family == AF_INET)
		return (addr->bytes[0] & 0xf0) == 0xe0;
	return addr->family == AF_INET6 && addr->bytes[0] == 0xff;
}

bool addr_add(const struct addr *addr, uint64_t offset, struct addr *ret_addr)
{
	struct addr sum = *addr;
	unsigned int carry = 0;

	for (size_t i = addr_size(addr->family); i-- > 0;) {
		carry += sum.bytes[i] + (unsigned int)(offset & 0xff);
		sum.bytes[i] = (uint8_t)carry;
		carry >>= 8;
		offset >>= 8;
	}
	if (carry || offset)
		return false;
	*ret_addr = sum;
	return true;
}

int prefix_parse(const char *text, struct prefix *ret_prefix)
{
	const char *slash = strchr(text, '/');
	char addr_text[ADDR_TEXT_MAX];
	struct prefix prefix;
	unsigned int len = 0;
	size_t digits;

	if (!slash || (size_t)(slash - text) >= sizeof(addr_text))
		return -EINVAL;
	memcpy(addr_text, text, (size_t)(slash - text));
	addr_text[slash - text] = '\0';
	digits = strspn(slash + 1, "0123456789");
	if (digits == 0 || digits > 3 || slash[1 + digits] || (digits > 1 && slash[1] == '0'))
		return -EINVAL;
	for (size_t i = 1; i <= digits; i++)
		len = len * 10 + (unsigned int)(slash[i] - '0');
	if (addr_parse(addr_text, &prefix.addr) < 0 || len > addr_bits(prefix.addr.family))
		return -EINVAL;
	prefix.len = (uint8_t)len;
	*ret_prefix = prefix;
	return 0;
}

const char *prefix_format(const struct prefix *prefix, char text[static PREFIX_TEXT_MAX])
{
	char *end;

	text[0] = '\0';
	if (!addr_is_set(&prefix->addr))
		return text;
	addr_format(&prefix->addr, text);
	end = text + strlen(text);
	*end++ = '/';
	number_format(prefix->len, end);
	return text;
}

/* The mask of a prefix of `len` bits over its i-th byte. */
static uint8_t mask_byte(unsigned int len, size_t i)
{
	if (len >= (i + 1) * 8)
		return 0xff;
	if (len <= i * 8)
		return 0;
	return (uint8_t)(0xff00u >> (len - i * 8));
}

struct prefix prefix_mask(const struct prefix *prefix)
{
	struct prefix masked = *prefix;

	for (size_t i = 0; i < addr_size(masked.addr.family); i++)
		masked.addr.bytes[i] &= mask_byte(masked.len, i);
	return masked;
}

bool prefix_is_masked(const struct prefix *prefix)
{
	struct prefix masked = prefix_mask(prefix);

	return addr_compare(&masked.addr, &prefix->addr) == 0;
}

bool prefix_contains(const struct prefix *prefix, const struct addr *addr)
{
	if (!addr_is_set(addr) || addr->family != prefix->addr.family)
		return false;
	for (size_t i = 0; i < addr_size(addr->family); i++) {
		if ((addr->bytes[i] ^ prefix->addr.bytes[i]) & mask_byte(prefix->len, i))
			return false;
	}
	return true;
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->len <= inner->len && prefix_contains(outer, &inner->addr);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

struct addr prefix_last(const struct prefix *prefix)
{
	struct addr last = prefix->addr;

	for (size_t i = 0; i < addr_size(last.family); i++)
		last.bytes[i] |= (uint8_t)~mask_byte(prefix->len, i);
	return last;
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : a->len - b->len;
}

static int compare_prefixes(const void *left, const void *right)
{
	return prefix_compare(left, right);
}

void prefixes_sort(prefix_vector *prefixes)
{
	if (prefixes->len)
		qsort(prefixes->items, prefixes->len, sizeof(*prefixes->items), compare_prefixes);
}

/* ---- ranges ---- */

struct range prefix_range(const struct prefix *prefix)
{
	const struct prefix masked = prefix_mask(prefix);

	return (struct range){ masked.addr, prefix_last(&masked) };
}

int range_parse(const char *text, struct range *ret_range)
{
	const char *dash = strchr(text, '-');
	char first[ADDR_TEXT_MAX];
	struct prefix prefix;
	struct range range;

	if (!dash) {
		if (prefix_parse(text, &prefix) < 0)
			return -EINVAL;
		*ret_range = prefix_range(&prefix);
		return 0;
	}
	if ((size_t)(dash - text) >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	if (addr_parse(first, &range.first) < 0 || addr_parse(dash + 1, &range.last) < 0 ||
	    range.first.family != range.last.family || addr_compare(&range.first, &range.last) > 0)
		return -EINVAL;
	*ret_range = range;
	return 0;
}

static bool range_is_prefix(const struct range *range, struct prefix *ret_prefix)
{
	struct prefix prefix = { range->first, 0 };
	struct addr last;

	for (unsigned int len = 0; len <= addr_bits(range->first.family); len++) {
		prefix.len = (uint8_t)len;
		last = prefix_last(&prefix);
		if (!prefix_is_masked(&prefix) || addr_compare(&last, &range->last) != 0)
			continue;
		*ret_prefix = prefix;
		return true;
	}
	return false;
}

const char *range_format(const struct range *range, char text[static RANGE_TEXT_MAX])
{
	char last[ADDR_TEXT_MAX];
	struct prefix prefix;

	text[0] = '\0';
	if (!addr_is_set(&range->first))
		return text;
	if (range_is_prefix(range, &prefix))
		return prefix_format(&prefix, text);
	addr_format(&range->first, text);
	strcat(text, "-");
	return strcat(text, addr_format(&range->last, last));
}

bool range_contains(const struct range *range, const struct addr *addr)
{
	return addr_is_set(addr) && addr->family == range->first.family &&
	       addr_compare(&range->first, addr) <= 0 && addr_compare(addr, &range->last) <= 0;
}

bool range_equals(const struct range *a, const struct range *b)
{
	return addr_compare(&a->first, &b->first) == 0 && addr_compare(&a->last, &b->last) == 0;
}

uint64_t range_size(const struct range *range, uint64_t without)
{
	uint64_t words[2] = { 0 }; /* the difference, its upper half first */
	int borrow = 0;

	for (size_t i = addr_size(range->first.family), shift = 0; i-- > 0; shift += 8) {
		int byte = range->last.bytes[i] - range->first.bytes[i] - borrow;

		borrow = byte < 0;
		words[shift < 64] |= (uint64_t)(uint8_t)byte << shift % 64;
	}
	/* it is one more than the difference */
	if (without == 0) {
		/* all of the IPv6 addresses are 2^128 */
		if (++words[1] == 0 && ++words[0] == 0)
			return UINT64_MAX;
	} else {
		if (words[1] < without - 1 && words[0]-- == 0)
			return 0;
		words[1] -= without - 1;
	}
	return words[0] ? UINT64_MAX : words[1];
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mac_parse(const char *text, uint8_t ret_mac[static MAC_LEN])
{
	static const uint8_t zero[MAC_LEN];
	uint8_t mac[MAC_LEN];

	if (strlen(text) != MAC_TEXT_MAX - 1)
		return -EINVAL;
	for (size_t i = 0; i < MAC_LEN; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || text[3 * i + 2] != (i + 1 < MAC_LEN ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	/* The lowest bit of the first byte marks a group; the kernel refuses it and all zeroes. */
	if (mac[0] & 1 || memcmp(mac, zero, MAC_LEN) == 0)
		return -EINVAL;
	memcpy(ret_mac, mac, MAC_LEN);
	return 0;
}

const char *mac_format(const uint8_t mac[static MAC_LEN], char text[static MAC_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *end = text;

	for (size_t i = 0; i < MAC_LEN; i++) {
		*end++ = digits[mac[i] >> 4];
		*end++ = digits[mac[i] & 0xf];
		*end++ = i + 1 < MAC_LEN ? ':' : '\0';
	}
	return text;
}

/* The lowest 32 bits of this hash never agree for addresses that differ in one byte, or in two that
 * follow each other. */
void mac_from_addr(const struct addr *addr, unsigned int variant, uint8_t ret_mac[static MAC_LEN])
{
	uint64_t hash = HASH_START;

	ret_mac[0] = 0x02;
	ret_mac[1] = 0x42;
	if (addr->family == AF_INET && variant == 0) {
		memcpy(ret_mac + 2, addr->bytes, 4);
		return;
	}
	for (unsigned int i = 0; i <= variant; i++)
		hash = hash_bytes(hash, addr->bytes, addr_size(addr->family));
	for (size_t i = 2; i < MAC_LEN; i++, hash >>= 8)
		ret_mac[i] = (uint8_t)hash;
}

void mac_link_local(const uint8_t mac[static MAC_LEN], struct addr *ret_addr)
{
	*ret_addr = (struct addr){ AF_INET6, { 0xfe, 0x80, [11] = 0xff, [12] = 0xfe } };
	memcpy(&ret_addr->bytes[8], mac, 3);
	memcpy(&ret_addr->bytes[13], mac + 3, 3);
	ret_addr->bytes[8] ^= 0x02;
}
