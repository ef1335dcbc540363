/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a dump has shown, so that it can be compared with the next one of the same. */
#include <linux/if_addr.h>
#include <linux/if_link.h>

#include "link/private.h"

#define SHOWN_FIRST 256 /* places, a power of two as ever after */

/* What of a message says which object it is about, and what of it changes by itself. */
struct identity {
	int type;
	size_t header;
	bool header_alone;
	int passed; /* an attribute: ages and times to live */
};

static const struct identity identities[] = {
	/* counts, and timers of a bridge's ports */
	{ .type = RTM_NEWLINK,
	  .header = offsetof(struct ifinfomsg, ifi_flags),
	  .header_alone = true },
	{ .type = RTM_NEWADDR, .header = sizeof(struct ifaddrmsg), .passed = IFA_CACHEINFO },
	{ .type = RTM_NEWROUTE, .header = sizeof(struct rtmsg), .passed = RTA_CACHEINFO },
};

static uint64_t identify(const struct nlmsghdr *message)
{
	struct identity identity = { .header = (size_t)nlmsg_datalen(message),
				     .header_alone = true };
	const struct nlattr *attribute;
	uint64_t number;
	int left;

	for (size_t i = 0; i < ARRAY_SIZE(identities); i++)
		if (identities[i].type == message->nlmsg_type &&
		    identities[i].header <= identity.header)
			identity = identities[i];
	number = hash_bytes(HASH_START, nlmsg_data(message), identity.header);
	if (identity.header_alone)
		return number;
	nlmsg_for_each_attr(attribute, message, (int)identity.header,
			    left) if (nla_type(attribute) != identity.passed)
		number = hash_bytes(number, attribute, (size_t)attribute->nla_len);
	return number;
}

/* Where it is, or would be: a free place holds 0. */
static uint64_t *place_of(const struct shown *shown, uint64_t number)
{
	size_t i = number & (shown->capacity - 1);

	while (shown->numbers[i] && shown->numbers[i] != number)
		i = (i + 1) & (shown->capacity - 1);
	return &shown->numbers[i];
}

static int shown_grow(struct shown *shown)
{
	struct shown grown = { .capacity = shown->capacity ? shown->capacity * 2 : SHOWN_FIRST };

	grown.numbers = calloc(grown.capacity, sizeof(*grown.numbers));
	if (!grown.numbers)
		return -ENOMEM;
	for (size_t i = 0; i < shown->capacity; i++)
		if (shown->numbers[i])
			*place_of(&grown, shown->numbers[i]) = shown->numbers[i];
	grown.len = shown->len;
	free(shown->numbers);
	*shown = grown;
	return 0;
}

int shown_add(struct shown *shown, const struct nlmsghdr *message)
{
	const uint64_t number = identify(message);
	uint64_t *place;

	if (shown->len * 2 >= shown->capacity && shown_grow(shown) < 0)
		return -ENOMEM;
	place = place_of(shown, number);
	if (*place)
		return 0;
	*place = number;
	shown->len++;
	return 1;
}

bool shown_has(const struct shown *shown, const struct nlmsghdr *message)
{
	return shown->len && *place_of(shown, identify(message));
}

bool shown_same(const struct shown *a, const struct shown *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->capacity; i++)
		if (a->numbers[i] && !*place_of(b, a->numbers[i]))
			return false;
	return true;
}

void shown_clear(struct shown *shown)
{
	free(shown->numbers);
	*shown = (struct shown){ 0 };
}
