/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fields of packets and rules that keys and values of sets are made of; and what follows of a
 * fixed rule from these and from its kind. */
#include "firewall/nft/nft.h"

/* clang-format off */
#define FRAME(offset) HEADER_FRAME, (offset)
#define NETWORK(offset) NFT_PAYLOAD_NETWORK_HEADER, (offset)
#define TRANSPORT(offset) NFT_PAYLOAD_TRANSPORT_HEADER, (offset)
#define META(key) 0, NFT_META_##key
#define CONNTRACK(key) HEADER_CONNTRACK, NFT_CT_##key
#define VALUE 0, 0 /* looked up, not with */
#define RULE(form, member) FORM_##form, offsetof(struct rule, member)
/* clang-format on */

/* nft's numbers of data types, from its TYPE_* */
const struct nft_field_type nft_fields[FIELD_COUNT] = {
	[FIELD_SOURCE4] = { 4, 7, false, AF_INET, NETWORK(12), RULE(PREFIX, source) },
	[FIELD_SOURCE6] = { 16, 8, false, AF_INET6, NETWORK(8), RULE(PREFIX, source) },
	[FIELD_DESTINATION4] = { 4, 7, false, AF_INET, NETWORK(16), RULE(PREFIX, destination) },
	[FIELD_DESTINATION6] = { 16, 8, false, AF_INET6, NETWORK(24), RULE(PREFIX, destination) },
	[FIELD_SOURCE4_NET] = { 4, 7, false, AF_INET, NETWORK(12), RULE(NET, source) },
	[FIELD_SOURCE6_NET] = { 16, 8, false, AF_INET6, NETWORK(8), RULE(NET, source) },
	[FIELD_DESTINATION4_NET] = { 4, 7, false, AF_INET, NETWORK(16), RULE(NET, destination) },
	[FIELD_DESTINATION6_NET] = { 16, 8, false, AF_INET6, NETWORK(24), RULE(NET, destination) },
	[FIELD_PROTOCOL] = { 1, 12, false, AF_UNSPEC, META(L4PROTO), RULE(BYTE, protocol) },
	[FIELD_SOURCE_PORT] = { 2, 13, false, AF_UNSPEC, TRANSPORT(0), FORM_NONE, 0 },
	[FIELD_PORT] = { 2, 13, false, AF_UNSPEC, TRANSPORT(2), RULE(PORT, host_port) },
	[FIELD_ORIGINAL4] = { 4, 7, false, AF_INET, CONNTRACK(DST_IP), RULE(PREFIX, destination) },
	[FIELD_ORIGINAL6] = { 16, 8, false, AF_INET6, CONNTRACK(DST_IP6),
			      RULE(PREFIX, destination) },
	/* as meta has it, it would be turned round by nft(8) where there are ranges beside it */
	[FIELD_ORIGINAL_PROTOCOL] = { 1, 12, false, AF_UNSPEC, CONNTRACK(PROTOCOL),
				      RULE(BYTE, protocol) },
	[FIELD_ORIGINAL_PORT] = { 2, 13, false, AF_UNSPEC, CONNTRACK(PROTO_DST),
				  RULE(PORT, host_port) },
	[FIELD_FAMILY] = { 1, 2, true, AF_UNSPEC, META(NFPROTO), RULE(FAMILY, family) },
	[FIELD_IN] = { IFNAMSIZ, 41, true, AF_UNSPEC, META(IIFNAME), RULE(NAME, in) },
	[FIELD_OUT] = { IFNAMSIZ, 41, true, AF_UNSPEC, META(OIFNAME), RULE(NAME, out) },
	[FIELD_TO4] = { 4, 7, false, AF_INET, VALUE, RULE(ADDR, to) },
	[FIELD_TO6] = { 16, 8, false, AF_INET6, VALUE, RULE(ADDR, to) },
	[FIELD_TO_PORT] = { 2, 13, false, AF_UNSPEC, VALUE, RULE(PORT, to_port) },
	[FIELD_MAC] = { MAC_LEN, 9, false, AF_UNSPEC, FRAME(6), RULE(MAC, mac) },
	[FIELD_ARP_MAC] = { MAC_LEN, 9, false, AF_UNSPEC, NETWORK(8), RULE(MAC, mac) },
	[FIELD_ARP_SOURCE] = { 4, 7, false, AF_INET, NETWORK(14), RULE(PREFIX, source) },
	/* a number to nft(8), which has had no word for it for long: see set_userdata() */
	[FIELD_TARGET6] = { 16, 4, false, AF_INET6, TRANSPORT(8), RULE(PREFIX, destination) },
};

size_t nft_fields_size(const uint8_t fields[static FIELDS_MAX])
{
	size_t size = 0;

	/* A single field is not padded; all but the last of several are, and nft pads that too. */
	if (!fields[1])
		return nft_fields[fields[0]].size;
	for (size_t i = 0; i < FIELDS_MAX && fields[i]; i++)
		size += FIELD_SPACE(fields[i]);
	return size;
}

uint32_t nft_fields_type(const uint8_t fields[static FIELDS_MAX])
{
	uint32_t type = 0;

	for (size_t i = 0; i < FIELDS_MAX && fields[i]; i++)
		type = type << 6 | nft_fields[fields[i]].type;
	return type;
}

bool nft_fixed_has_rule(size_t id)
{
	return nft_fixed_at(id) && nft_fixed_at(id)->comment && nft_fixed_is_here(id);
}

bool nft_fixed_always_stands(size_t id)
{
	return nft_fixed_has_rule(id) && !nft_fixed_extra(id);
}

uint32_t nft_fixed_extra(size_t id)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);

	if (!fixed || fixed->part == NFT_PART_PASS)
		return 0;
	return (fixed->counts ? NFT_COUNTS : 0) |
	       (kind_of(nft_fixed_kind(id))->target == TARGET_LOG ? NFT_LOGS : 0);
}

bool nft_fixed_takes_part(size_t rule, size_t part)
{
	int family = nft_fixed_family(part);

	return part < rule && nft_fixed_kind(part) == nft_fixed_kind(rule) &&
	       !nft_fixed_has_rule(part) && (!family || family == nft_fixed_family(rule));
}

int nft_fixed_family(size_t id)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);
	int family = fixed->family;

	switch (kind_of(nft_fixed_kind(id))->families) {
	case FAMILIES_IPV4:
		return AF_INET;
	case FAMILIES_IPV6:
		return AF_INET6;
	case FAMILIES_PRESENT:
	case FAMILIES_EACH:
	case FAMILIES_ALL:
	case FAMILIES_GUARDED:
		break;
	case FAMILIES_NONE:
		return AF_UNSPEC;
	}
	for (size_t i = 0; i < FIELDS_MAX && !family; i++) {
		family = nft_fields[fixed->key[i]].family;
		if (!family)
			family = nft_fields[fixed->value[i]].family;
	}
	return family;
}

enum nft_ranges nft_fixed_ranges(const struct nft_fixed *fixed)
{
	for (size_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++) {
		if (nft_fields[fixed->key[i]].form == FORM_NET)
			return fixed->key[1] ? RANGES_CONCATENATED : RANGES_SINGLE;
	}
	return RANGES_NONE;
}
