/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Elements as messages, and looking up which the kernel has. */
#include <arpa/inet.h>
#include <endian.h>

#include "firewall/nft/nft.h"

/* An attribute holds 64 KiB at most; a message ends before that. */
#define ELEMENTS_LIMIT 60000
#define ELEMENT_ROOM 480
/* Requests sent at once: their answers, a page or two each, must fit the socket's queue. */
#define LOOKUPS 32

static int writer_open(struct nft_element_writer *writer, size_t set)
{
	struct nlmsghdr *message;
	struct nlattr *nest;

	message = nft_object_message(writer->nft, writer->type, writer->flags,
				     NFTA_SET_ELEM_LIST_TABLE, ELEMENT_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, nft_fixed_at(set)->set);
	nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	writer->nest = (size_t)((char *)nest - (char *)message);
	writer->set = (int)set;
	return 0;
}

#define COUNTER_SPACE 48
#define CONNECTIONS_SPACE 96 /* or a limit */
_Static_assert(2 * KEY_MAX + VALUE_MAX + sizeof(struct nft_comment) + 8 * sizeof(struct nlattr) +
			       COUNTER_SPACE + CONNECTIONS_SPACE <=
		       ELEMENT_ROOM,
	       "an element does not fit its room");

static void put_data(struct nlmsghdr *message, uint16_t type, const uint8_t *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put(message, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(message, nest);
}

/* What it begins with; else at nothing. type: of the attribute that it is in */
static void put_counter(struct nlmsghdr *message, uint16_t type, const struct rule *rule)
{
	struct nlattr *expression = mnl_attr_nest_start(message, type), *counter;

	mnl_attr_put_strz(message, NFTA_EXPR_NAME, "counter");
	counter = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
	mnl_attr_put_u64(message, NFTA_COUNTER_BYTES, htobe64(rule->bytes));
	mnl_attr_put_u64(message, NFTA_COUNTER_PACKETS, htobe64(rule->packets));
	mnl_attr_nest_end(message, counter);
	mnl_attr_nest_end(message, expression);
}

/* What the set has for each element, but with its own number of connections. */
static void put_connections(struct nlmsghdr *message, const struct rule *rule)
{
	struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_EXPRESSIONS);
	struct nlattr *expression = mnl_attr_nest_start(message, NFTA_LIST_ELEM), *data;

	mnl_attr_put_strz(message, NFTA_EXPR_NAME, "connlimit");
	data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
	mnl_attr_put_u32(message, NFTA_CONNLIMIT_COUNT, htonl(rule->connections));
	mnl_attr_put_u32(message, NFTA_CONNLIMIT_FLAGS, htonl(NFT_CONNLIMIT_F_INV));
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, expression);
	put_counter(message, NFTA_LIST_ELEM, rule);
	mnl_attr_nest_end(message, list);
}

static void put_limit(struct nlmsghdr *message)
{
	struct nlattr *expression = mnl_attr_nest_start(message, NFTA_LIST_ELEM), *data;

	mnl_attr_put_strz(message, NFTA_EXPR_NAME, "limit");
	data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
	mnl_attr_put_u64(message, NFTA_LIMIT_RATE, htobe64(LOG_RATE));
	mnl_attr_put_u64(message, NFTA_LIMIT_UNIT, htobe64(1));
	mnl_attr_put_u32(message, NFTA_LIMIT_BURST, htonl(LOG_BURST));
	mnl_attr_put_u32(message, NFTA_LIMIT_TYPE, htonl(NFT_LIMIT_PKTS));
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, expression);
}

/* Where the set has several for each element, all are to be said. */
static void put_counted(struct nlmsghdr *message, const struct nft_element *element)
{
	struct nlattr *list;

	if (!(nft_fixed_extra(element->set) & NFT_LOGS)) {
		put_counter(message, NFTA_SET_ELEM_EXPR, element->rule);
		return;
	}
	list = mnl_attr_nest_start(message, NFTA_SET_ELEM_EXPRESSIONS);
	put_limit(message);
	put_counter(message, NFTA_LIST_ELEM, element->rule);
	mnl_attr_nest_end(message, list);
}

int nft_element_write(struct nft_element_writer *writer, const struct nft_element *element)
{
	const struct nft_fixed *fixed = nft_fixed_at(element->set);
	uint8_t key_end[KEY_MAX];
	struct nft_comment comment;
	struct nlmsghdr *message;
	struct nlattr *item;
	int r = 0;

	if (writer->set != element->set)
		r = writer_open(writer, element->set);
	message = r < 0 ? NULL : nft_batch_room(writer->nft, ELEMENT_ROOM);
	if (message && message->nlmsg_len > ELEMENTS_LIMIT) {
		r = writer_open(writer, element->set);
		message = r < 0 ? NULL : nft_batch_room(writer->nft, ELEMENT_ROOM);
	}
	if (!message)
		return -ENOMEM;
	item = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
	put_data(message, NFTA_SET_ELEM_KEY, element->key, nft_fields_size(fixed->key));
	if (element->end)
		mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	if (nft_fixed_ranges(fixed) == RANGES_CONCATENATED) {
		nft_element_key_end(element, key_end);
		put_data(message, NFTA_SET_ELEM_KEY_END, key_end, nft_fields_size(fixed->key));
	}
	if (writer->values && fixed->value[0])
		put_data(message, NFTA_SET_ELEM_DATA, element->value,
			 nft_fields_size(fixed->value));
	if (writer->values && !element->end) {
		nft_comment_owner(element->rule, &comment);
		if (writer->first && fixed->value[0] && comment.len)
			nft_comment_mark(&comment);
		if (comment.len)
			mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, comment.len, comment.data);
	}
	if (writer->values && fixed->counts)
		put_connections(message, element->rule);
	else if (writer->counts && !element->end && !fixed->part && element->rule->packets)
		put_counted(message, element);
	mnl_attr_nest_end(message, item);
	mnl_attr_nest_end(message, (struct nlattr *)((char *)message + writer->nest));
	return 0;
}

/* ---- looking up what is there ---- */

struct lookup {
	struct nft_element *elements[LOOKUPS];
	size_t len;
	uint32_t first; /* sequence number of the first request */
	size_t index;   /* of the request that is being answered */
	bool seen[LOOKUPS];
	nft_found_fn found;
	void *data;
};

static int lookup_element(const struct nft_element_view *view, void *data)
{
	struct lookup *lookup = data;

	/* for the first key of a range that is not there, the end of the one before it */
	if (view->end)
		return 0;
	lookup->seen[lookup->index] = true;
	lookup->found(lookup->elements[lookup->index], view, lookup->data);
	return 0;
}

static int lookup_message(const struct nlmsghdr *message, void *data)
{
	struct lookup *lookup = data;

	lookup->index = message->nlmsg_seq - lookup->first;
	if (lookup->index >= lookup->len)
		return 0;
	return nft_message_elements(message, lookup_element, lookup);
}

static int lookup_some(struct nft *nft, struct lookup *lookup, struct nft_reply *reply)
{
	int r;

	memset(lookup->seen, 0, sizeof(lookup->seen));
	lookup->first = nft->sequence + 1;
	nft_requests_begin(nft);
	for (size_t i = 0; i < lookup->len; i++) {
		/* One element a request: the first that is missing ends a request. */
		struct nft_element_writer writer = { .nft = nft,
						     .type = NFT_MSG_GETSETELEM,
						     .set = -1 };

		r = nft_element_write(&writer, lookup->elements[i]);
		if (r < 0)
			return r;
	}
	r = nft_batch_send(nft, lookup_message, lookup, reply);
	if (r < 0 && r != -ENOENT)
		return r;
	for (size_t i = 0; i < lookup->len; i++) {
		if (!lookup->seen[i])
			lookup->found(lookup->elements[i], NULL, lookup->data);
	}
	return 0;
}

/* Where a range ends can't be asked for: with another that begins there the kernel misses it. What
 * is true of its first key, just before it in the order of keys, is true of it. */
static void ends_follow(nft_element_vector *elements)
{
	for (size_t i = 1; i < elements->len; i++) {
		struct nft_element *end = &elements->items[i];
		const struct nft_element *start = end - 1;

		if (!end->end)
			continue;
		while (start > elements->items && start->rule != end->rule)
			start--;
		end->skip = start->skip;
	}
}

/* Whether the range that has a key begins where that of the element does. */
struct range_probe {
	const struct nft_element *of;
	struct nft_element last, behind; /* its last key, and the next */
	bool has_last, has_behind;
};

static void found_range(struct nft_element *element, const struct nft_element_view *view,
			void *data)
{
	struct range_probe *probe = data;
	bool same = view && memcmp(view->key, probe->of->key, view->key_len) == 0;

	*(element == &probe->last ? &probe->has_last : &probe->has_behind) = same;
}

/* The kernel tells of a range its first key alone. */
static int look_at_range(struct nft *nft, nft_element_vector *elements, size_t i,
			 struct nft_reply *reply)
{
	struct nft_element *element = &elements->items[i];
	struct range_probe probe = { .of = element, .last = *element, .behind = *element };
	struct lookup lookup = { .elements = { &probe.last, &probe.behind },
				 .len = 2,
				 .found = found_range,
				 .data = &probe };
	size_t end = i + 1;
	int r;

	while (end < elements->len &&
	       (!elements->items[end].end || elements->items[end].rule != element->rule))
		end++;
	if (end == elements->len)
		return 0;
	nft_element_key_end(element, probe.last.key);
	memcpy(probe.behind.key, elements->items[end].key, sizeof(probe.behind.key));
	r = lookup_some(nft, &lookup, reply);
	element->unlike = !probe.has_last || probe.has_behind;
	return r;
}

static bool is_range(const struct nft_element *element)
{
	return !element->end && nft_fixed_ranges(nft_fixed_at(element->set)) == RANGES_SINGLE;
}

int nft_elements_look_up(struct nft *nft, nft_element_vector *elements, nft_found_fn found,
			 void *data, struct nft_reply *reply)
{
	struct lookup lookup = { .found = found, .data = data };
	int r = 0;

	for (size_t i = 0; r == 0 && i < elements->len; i++)
		if (is_range(&elements->items[i]))
			r = look_at_range(nft, elements, i, reply);
	for (size_t i = 0; r == 0 && i < elements->len; i++) {
		if (!elements->items[i].end)
			lookup.elements[lookup.len++] = &elements->items[i];
		if (lookup.len == LOOKUPS || (i + 1 == elements->len && lookup.len)) {
			r = lookup_some(nft, &lookup, reply);
			lookup.len = 0;
		}
	}
	ends_follow(elements);
	return r;
}

static int look_for_set(struct nft *nft, size_t set)
{
	struct nft_reply reply;
	struct nlmsghdr *message;

	nft_requests_begin(nft);
	message = nft_object_message(nft, NFT_MSG_GETSET, 0, NFTA_SET_TABLE, 256);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_NAME, nft_fixed_at(set)->set);
	return nft_batch_send(nft, NULL, NULL, &reply);
}

bool nft_set_is_missing(struct nft *nft, size_t set)
{
	int r = -ENOBUFS;

	for (int i = 0; i < OUTCOME_LOOKS && r < 0 && r != -ENOENT; i++)
		r = look_for_set(nft, set);
	return r == -ENOENT;
}
