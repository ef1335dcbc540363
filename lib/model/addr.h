/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses, prefixes and MAC addresses as values. */
#ifndef BN_MODEL_ADDR_H
#define BN_MODEL_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/text.h"
#include "base/vector.h"

#define IPV6_MTU_MIN 1280 /* below it the kernel has no IPv6 on a device */

#define ADDR_TEXT_MAX 46 /* INET6_ADDRSTRLEN */
#define PREFIX_TEXT_MAX (ADDR_TEXT_MAX + 4)
#define RANGE_TEXT_MAX (2 * ADDR_TEXT_MAX)
#define MAC_LEN 6
#define MAC_TEXT_MAX 18

struct addr {
	int family;        /* AF_INET, AF_INET6; 0 (AF_UNSPEC) for none */
	uint8_t bytes[16]; /* network order; IPv4 in the first four, the rest zero */
};

struct prefix {
	struct addr addr;
	uint8_t len; /* prefix_len in bits */
};

/* Addresses one after another, both ends with it. */
struct range {
	struct addr first, last; /* of one family; 0: no range */
};

typedef VECTOR(struct addr) addr_vector;
typedef VECTOR(struct prefix) prefix_vector;

/* AF_INET, then AF_INET6. */
#define for_each_family(family) \
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0)

size_t addr_size(int family);                            /* 4 or 16; 0 for another family */
int addr_parse(const char *text, struct addr *ret_addr); /* 0, -EINVAL */
/* An IPv4 address that is written as one of IPv6 (::ffff:192.0.2.1) is one of IPv4. */
void addr_unmap(struct addr *addr);
const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_MAX]);
int addr_compare(const struct addr *a, const struct addr *b); /* by family, then value */
bool addr_is_set(const struct addr *addr);                    /* family != 0 */
bool addr_is_unspecified(const struct addr *addr);            /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *addr);               /* 127.0.0.0/8 or ::1 */
bool addr_is_multicast(const struct addr *addr);
bool addr_is_link_local(const struct addr *addr); /* fe80::/10 */
/* addr + offset; false when it leaves the address space. */
bool addr_add(const struct addr *addr, uint64_t offset, struct addr *ret_addr);

/* "172.17.0.0/16"; the host bits may be set (see prefix_is_masked). 0, -EINVAL */
int prefix_parse(const char *text, struct prefix *ret_prefix);
const char *prefix_format(const struct prefix *prefix, char text[static PREFIX_TEXT_MAX]);
bool prefix_is_masked(const struct prefix *prefix);
struct prefix prefix_mask(const struct prefix *prefix); /* host bits cleared */
bool prefix_contains(const struct prefix *prefix, const struct addr *addr);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
struct addr prefix_last(const struct prefix *prefix); /* all host bits set */
/* Orders by address, then by length. */
int prefix_compare(const struct prefix *a, const struct prefix *b);

void prefixes_sort(prefix_vector *prefixes); /* in that order: what covers before what it covers */

struct range prefix_range(const struct prefix *prefix); /* all of it */
/* "172.30.4.0/24", whatever the host bits, or "172.30.4.10-172.30.4.20". 0, -EINVAL */
int range_parse(const char *text, struct range *ret_range);
/* As a prefix where it is one. */
const char *range_format(const struct range *range, char text[static RANGE_TEXT_MAX]);
bool range_contains(const struct range *range, const struct addr *addr);
bool range_equals(const struct range *a, const struct range *b);
/* How many addresses it has, less `without`; what is more than fits is UINT64_MAX. */
uint64_t range_size(const struct range *range, uint64_t without);

static inline bool mac_is_set(const uint8_t mac[static MAC_LEN])
{
	return mac[0] || mac[1] || mac[2] || mac[3] || mac[4] || mac[5];
}
int mac_parse(const char *text, uint8_t ret_mac[static MAC_LEN]); /* unicast only; -EINVAL */
const char *mac_format(const uint8_t mac[static MAC_LEN], char text[static MAC_TEXT_MAX]);
/* 02:42 and the four bytes of an IPv4 address, or four of a hash of all of an IPv6 address.
 * variant: 0, or which of the others, all by hash. */
void mac_from_addr(const struct addr *addr, unsigned int variant, uint8_t ret_mac[static MAC_LEN]);
/* The address that a link with that MAC takes by itself: modified EUI-64 (RFC 4291). */
void mac_link_local(const uint8_t mac[static MAC_LEN], struct addr *ret_addr);

#endif
