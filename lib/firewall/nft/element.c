/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes and goes: set elements, one or two for a rule, and back. */
#include <arpa/inet.h>
#include <endian.h>

#include "firewall/nft/nft.h"
#include "model/port.h"

/* ---- comments ---- */

void nft_comment_text(const char *text, struct nft_comment *ret_comment)
{
	size_t len = strlen(text);

	if (len > COMMENT_MAX - 1)
		len = COMMENT_MAX - 1;
	ret_comment->data[0] = 0;
	ret_comment->data[1] = (uint8_t)(len + 1);
	memcpy(ret_comment->data + 2, text, len);
	ret_comment->data[2 + len] = '\0';
	ret_comment->len = (uint8_t)(len + 3);
}

void nft_comment_owner(const struct rule *rule, struct nft_comment *ret_comment)
{
	char owner[sizeof(rule->network) + sizeof(rule->endpoint)], *end;

	ret_comment->len = 0;
	if (!rule->network[0])
		return;
	end = stpcpy(owner, rule->network);
	if (rule->endpoint[0])
		stpcpy(stpcpy(end, "/"), rule->endpoint);
	nft_comment_text(owner, ret_comment);
}

/* Of a type that nft(8) does not know, and passes over. */
static const uint8_t first_mark[2] = { 0x62, 0 };

void nft_comment_mark(struct nft_comment *comment)
{
	memcpy(comment->data + comment->len, first_mark, sizeof(first_mark));
	comment->len += sizeof(first_mark);
}

/* The comment before it says how long it is itself. */
static void take_mark(struct nft_element_view *view)
{
	size_t len = view->userdata_len, at = len >= 2 ? 2u + view->userdata[1] : 0;

	view->first = at && view->userdata[0] == 0 && len == at + sizeof(first_mark) &&
		      memcmp(view->userdata + at, first_mark, sizeof(first_mark)) == 0;
	if (view->first)
		view->userdata_len = at;
}

static void decode_owner(const struct nft_element_view *view, struct rule *rule)
{
	char owner[sizeof(rule->network) + sizeof(rule->endpoint)];
	size_t len = view->userdata_len;
	char *slash;

	if (len < 3 || view->userdata[0] != 0 || view->userdata[1] != len - 2 ||
	    len - 2 > sizeof(owner) || view->userdata[len - 1] != '\0')
		return;
	memcpy(owner, view->userdata + 2, len - 2);
	slash = strchr(owner, '/');
	if (slash)
		*slash = '\0';
	if (string_copy(rule->network, sizeof(rule->network), owner) < 0 || !slash)
		return;
	string_copy(rule->endpoint, sizeof(rule->endpoint), slash + 1);
}

/* ---- encoding ---- */

_Static_assert(offsetof(struct prefix, addr) == 0, "a prefix begins with its address");

static void field_encode(enum nft_field field, const struct rule *rule, uint8_t *data)
{
	const struct nft_field_type *type = &nft_fields[field];
	const void *member = (const char *)rule + type->member;
	uint16_t port;

	switch ((enum nft_form)type->form) {
	case FORM_NONE:
		break;
	case FORM_ADDR:
	case FORM_PREFIX:
	case FORM_NET:
		memcpy(data, ((const struct addr *)member)->bytes, type->size);
		break;
	case FORM_NAME:
		memcpy(data, member, strnlen(member, IFNAMSIZ - 1));
		break;
	case FORM_PORT:
		port = htons(*(const uint16_t *)member);
		memcpy(data, &port, sizeof(port));
		break;
	case FORM_BYTE:
		*data = *(const uint8_t *)member;
		break;
	case FORM_FAMILY:
		*data = (uint8_t)rule->family;
		break;
	case FORM_MAC:
		memcpy(data, member, MAC_LEN);
		break;
	}
}

static void fields_encode(const uint8_t fields[static FIELDS_MAX], const struct rule *rule,
			  uint8_t *data)
{
	for (size_t i = 0; i < FIELDS_MAX && fields[i]; i++) {
		field_encode(fields[i], rule, data);
		data += FIELD_SPACE(fields[i]);
	}
}

static bool field_is_set(enum nft_field field, const struct rule *rule)
{
	const struct nft_field_type *type = &nft_fields[field];
	const void *member = (const char *)rule + type->member;

	if (type->form == FORM_ADDR || type->form == FORM_PREFIX || type->form == FORM_NET)
		return ((const struct addr *)member)->family == type->family;
	if (type->form == FORM_MAC)
		return mac_is_set(member);
	return type->form != FORM_NAME || *(const char *)member;
}

static bool key_has(const struct nft_fixed *fixed, size_t member)
{
	for (size_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++) {
		if (nft_fields[fixed->key[i]].member == member)
			return true;
	}
	return false;
}

/* A port of one address is not one of every address, nor is a subnet's rule one of the bridge. */
static bool key_has_addresses(const struct nft_fixed *fixed, const struct rule *rule)
{
	const struct kind *kind = kind_of(rule->kind);
	bool source = kind->source.is != ADDRESS_FIXED && addr_is_set(&rule->source.addr);
	bool destination = kind->destination.is != ADDRESS_FIXED &&
			   addr_is_set(&rule->destination.addr);

	return key_has(fixed, offsetof(struct rule, source)) == source &&
	       key_has(fixed, offsetof(struct rule, destination)) == destination;
}

/* Is the rule an element of this set? */
static bool set_takes(size_t id, const struct rule *rule)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);
	int family = fixed ? nft_fixed_family(id) : AF_UNSPEC;

	if (!fixed || !fixed->set || (family && family != rule->family))
		return false;
	for (size_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++) {
		if (!field_is_set(fixed->key[i], rule))
			return false;
	}
	return fixed->part || key_has_addresses(fixed, rule);
}

static int element_encode(const struct rule *rule, size_t set, nft_element_vector *elements)
{
	struct nft_element *element = vector_push(elements);

	if (!element)
		return -ENOMEM;
	element->rule = rule;
	element->set = (uint16_t)set;
	fields_encode(nft_fixed_at(set)->key, rule, element->key);
	fields_encode(nft_fixed_at(set)->value, rule, element->value);
	return 0;
}

/* Where a range of a single field ends; one up to the last address there is has no end. */
static int end_encode(const struct rule *rule, size_t set, nft_element_vector *elements)
{
	struct nft_element last = { .rule = rule, .set = (uint16_t)set };
	size_t size = nft_fields_size(nft_fixed_at(set)->key);
	struct nft_element *element;

	fields_encode(nft_fixed_at(set)->key, rule, last.key);
	nft_element_key_end(&last, last.key);
	while (size > 0 && ++last.key[size - 1] == 0)
		size--;
	if (!size)
		return 0;
	element = vector_push(elements);
	if (!element)
		return -ENOMEM;
	*element = last;
	element->end = true;
	return 0;
}

static int rule_encode(const struct rule *rule, nft_element_vector *elements, struct error *error)
{
	bool taken = false;
	int r = 0;

	for (size_t i = NFT_FIXED_OF(rule->kind); i < NFT_FIXED_OF(rule->kind + 1); i++) {
		if (!set_takes(i, rule))
			continue;
		r = element_encode(rule, i, elements);
		if (r == 0 && nft_fixed_ranges(nft_fixed_at(i)) == RANGES_SINGLE)
			r = end_encode(rule, i, elements);
		if (r < 0)
			return error_oom(error);
		taken = true;
	}
	if (!taken || rule->count > 1)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "a rule of kind %d for %d ports can't be said in nftables",
				 (int)rule->kind, (int)rule->count);
	return 0;
}

int nft_element_order(const void *a, const void *b)
{
	const struct nft_element *left = a, *right = b;
	int order;

	if (left->set != right->set)
		return left->set < right->set ? -1 : 1;
	order = memcmp(left->key, right->key, sizeof(left->key));
	/* The kernel wants a range to be closed before the next is opened. */
	return order ? order : (int)right->end - (int)left->end;
}

void nft_element_key_end(const struct nft_element *element, uint8_t key_end[static KEY_MAX])
{
	const struct nft_fixed *fixed = nft_fixed_at(element->set);
	uint8_t *data = key_end;

	memmove(key_end, element->key, KEY_MAX);
	for (size_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++) {
		const struct nft_field_type *type = &nft_fields[fixed->key[i]];
		const struct prefix *prefix =
			(const void *)((const char *)element->rule + type->member);
		size_t bits = type->size * 8u;

		for (size_t bit = type->form == FORM_NET ? prefix->len : bits; bit < bits; bit++)
			data[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		data += FIELD_SPACE(fixed->key[i]);
	}
}

int nft_elements_encode(const struct rule *rules, size_t len, nft_element_vector *elements,
			struct error *error)
{
	bool sorted = true;

	for (size_t i = 0; i < len; i++) {
		size_t before = elements->len;
		int r;

		if (rules[i].kind == RULE_FOREIGN || kind_of(rules[i].kind)->scope == PLAN_BASE)
			continue;
		r = rule_encode(&rules[i], elements, error);
		if (r < 0)
			return r;
		for (size_t j = before ? before : 1; j < elements->len; j++)
			sorted = sorted && nft_element_order(&elements->items[j - 1],
							     &elements->items[j]) <= 0;
	}
	if (!sorted)
		qsort(elements->items, elements->len, sizeof(*elements->items), nft_element_order);
	return 0;
}

static bool is_same_part(const struct nft_element *a, const struct nft_element *b)
{
	return nft_fixed_at(a->set)->part && nft_element_order(a, b) == 0 &&
	       kind_of(a->rule->kind)->scope == PLAN_NETWORKS &&
	       strcmp(a->rule->network, b->rule->network) == 0;
}

void nft_elements_join(nft_element_vector *elements)
{
	size_t kept = 0;

	for (size_t i = 0; i < elements->len; i++)
		if (!kept || !is_same_part(&elements->items[kept - 1], &elements->items[i]))
			elements->items[kept++] = elements->items[i];
	elements->len = kept;
}

/* ---- in words ---- */

const struct prefix *nft_element_prefix(const struct nft_element *element)
{
	const struct nft_field_type *type = &nft_fields[nft_fixed_at(element->set)->key[0]];

	if ((type->form != FORM_NET && type->form != FORM_PREFIX) || element->rule->host_port)
		return NULL;
	return (const void *)((const char *)element->rule + type->member);
}

bool nft_element_has_subnet(const struct nft_element *element)
{
	const struct prefix *prefix = nft_element_prefix(element);

	return prefix && prefix->len < addr_size(prefix->addr.family) * 8;
}

void nft_element_describe(const struct nft_element *element, char text[static ELEMENT_TEXT_MAX])
{
	const struct rule *rule = element->rule;
	const struct prefix *prefix = nft_element_prefix(element);
	char address[ADDR_TEXT_MAX], subnet[PREFIX_TEXT_MAX], mac[MAC_TEXT_MAX];

	if (mac_is_set(rule->mac))
		snprintf(text, ELEMENT_TEXT_MAX, "MAC %s", mac_format(rule->mac, mac));
	else if (rule_is_of_frames(rule))
		snprintf(text, ELEMENT_TEXT_MAX, "link %s", rule->in);
	else if (nft_element_has_subnet(element))
		snprintf(text, ELEMENT_TEXT_MAX, "subnet %s", prefix_format(prefix, subnet));
	else if (prefix)
		snprintf(text, ELEMENT_TEXT_MAX, "address %s", addr_format(&prefix->addr, address));
	else if (!rule->host_port)
		snprintf(text, ELEMENT_TEXT_MAX, "bridge %s", rule->in[0] ? rule->in : rule->out);
	else if (addr_is_set(&rule->destination.addr))
		snprintf(text, ELEMENT_TEXT_MAX, "port %u/%s of %s", (unsigned int)rule->host_port,
			 protocol_name(rule->protocol),
			 addr_format(&rule->destination.addr, address));
	else
		snprintf(text, ELEMENT_TEXT_MAX, "port %u/%s", (unsigned int)rule->host_port,
			 protocol_name(rule->protocol));
}

/* ---- decoding ---- */

static void view_bytes(const struct nlattr *attribute, const uint8_t **ret_bytes, size_t *ret_len)
{
	if (!attribute)
		return;
	*ret_bytes = attribute_payload(attribute);
	*ret_len = attribute_payload_len(attribute);
}

static uint64_t counter_value(const struct nlattr *attribute)
{
	uint64_t value = 0;

	if (attribute && attribute_payload_len(attribute) == sizeof(value))
		memcpy(&value, attribute_payload(attribute), sizeof(value));
	return be64toh(value);
}

static void view_counter(const struct nlattr *expression, struct nft_element_view *view)
{
	const struct nlattr *counter[NFTA_COUNTER_MAX + 1];

	netlink_nested(netlink_of(expression, NFTA_EXPR_DATA), counter, NFTA_COUNTER_MAX);
	view->counts = counter[NFTA_COUNTER_PACKETS];
	view->packets = counter_value(counter[NFTA_COUNTER_PACKETS]);
	view->bytes = counter_value(counter[NFTA_COUNTER_BYTES]);
}

static uint32_t view_number(const struct nlattr *attribute)
{
	if (!attribute || mnl_attr_validate(attribute, MNL_TYPE_U32) < 0)
		return 0;
	return ntohl(mnl_attr_get_u32(attribute));
}

/* Of up to so many, not of more. */
static void view_connections(const struct nlattr *expression, struct nft_element_view *view)
{
	const struct nlattr *limit[NFTA_CONNLIMIT_MAX + 1];

	netlink_nested(netlink_of(expression, NFTA_EXPR_DATA), limit, NFTA_CONNLIMIT_MAX);
	if (view_number(limit[NFTA_CONNLIMIT_FLAGS]) == NFT_CONNLIMIT_F_INV)
		view->connections = view_number(limit[NFTA_CONNLIMIT_COUNT]);
}

/* Others than these are none that our sets have. */
static void view_expression(const struct nlattr *expression, struct nft_element_view *view)
{
	const struct nlattr *name = netlink_of(expression, NFTA_EXPR_NAME);

	if (strcmp(nft_text(name), "counter") == 0)
		view_counter(expression, view);
	else if (strcmp(nft_text(name), "connlimit") == 0)
		view_connections(expression, view);
}

static void view_data(const struct nlattr *nest, const uint8_t **ret_bytes, size_t *ret_len)
{
	view_bytes(netlink_of(nest, NFTA_DATA_VALUE), ret_bytes, ret_len);
}

int nft_element_view(const struct nlattr *element, struct nft_element_view *ret_view)
{
	const struct nlattr *attributes[NFTA_SET_ELEM_MAX + 1], *expression;

	memset(ret_view, 0, sizeof(*ret_view));
	netlink_nested(element, attributes, NFTA_SET_ELEM_MAX);
	view_data(attributes[NFTA_SET_ELEM_KEY], &ret_view->key, &ret_view->key_len);
	view_data(attributes[NFTA_SET_ELEM_KEY_END], &ret_view->key_end, &ret_view->key_end_len);
	view_data(attributes[NFTA_SET_ELEM_DATA], &ret_view->value, &ret_view->value_len);
	view_bytes(attributes[NFTA_SET_ELEM_USERDATA], &ret_view->userdata,
		   &ret_view->userdata_len);
	take_mark(ret_view);
	if (attributes[NFTA_SET_ELEM_EXPR])
		view_expression(attributes[NFTA_SET_ELEM_EXPR], ret_view);
	if (attributes[NFTA_SET_ELEM_EXPRESSIONS])
		for_each_nested(expression, attributes[NFTA_SET_ELEM_EXPRESSIONS])
			view_expression(expression, ret_view);
	ret_view->end = view_number(attributes[NFTA_SET_ELEM_FLAGS]) & NFT_SET_ELEM_INTERVAL_END;
	return ret_view->key ? 0 : -EBADMSG;
}

int nft_message_elements(const struct nlmsghdr *message, nft_element_fn element, void *data)
{
	const struct nlattr *attributes[NFTA_SET_ELEM_LIST_MAX + 1], *attribute;
	struct nft_element_view view;
	int r = 0;

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWSETELEM &&
	    NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_DELSETELEM)
		return 0;
	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_SET_ELEM_LIST_MAX);
	if (!attributes[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 0;
	for_each_nested(attribute, attributes[NFTA_SET_ELEM_LIST_ELEMENTS]) {
		r = nft_element_view(attribute, &view);
		if (r == 0)
			r = element(&view, data);
		if (r < 0)
			break;
	}
	return r;
}

static bool key_end_matches(const struct nft_element *element, const struct nft_element_view *view)
{
	uint8_t key_end[KEY_MAX];

	if (nft_fixed_ranges(nft_fixed_at(element->set)) != RANGES_CONCATENATED)
		return true;
	nft_element_key_end(element, key_end);
	return view->key_end_len == view->key_len &&
	       memcmp(view->key_end, key_end, view->key_len) == 0;
}

bool nft_element_matches(const struct nft_element *element, const struct nft_element_view *view)
{
	const struct nft_fixed *fixed = nft_fixed_at(element->set);
	size_t value_len = fixed->value[0] ? nft_fields_size(fixed->value) : 0;
	struct nft_comment comment;

	nft_comment_owner(element->rule, &comment);
	return !element->unlike && view->key_len == nft_fields_size(fixed->key) &&
	       memcmp(view->key, element->key, view->key_len) == 0 &&
	       key_end_matches(element, view) && view->value_len == value_len &&
	       (!value_len || memcmp(view->value, element->value, value_len) == 0) &&
	       view->connections == element->rule->connections &&
	       view->userdata_len == comment.len &&
	       (!comment.len || memcmp(view->userdata, comment.data, comment.len) == 0);
}

/* end: the same field in the last key of the range. False if the range is not a prefix. */
static bool net_decode(const uint8_t *data, const uint8_t *end, size_t size, struct prefix *prefix)
{
	size_t bits = size * 8, len = 0;

	while (len < bits && !((data[len / 8] ^ end[len / 8]) & 0x80 >> len % 8))
		len++;
	prefix->len = (uint8_t)len;
	for (; len < bits; len++) {
		if (data[len / 8] & 0x80 >> len % 8 || !(end[len / 8] & 0x80 >> len % 8))
			return false;
	}
	return true;
}

static bool field_decode(enum nft_field field, const uint8_t *data, const uint8_t *end,
			 struct rule *rule)
{
	const struct nft_field_type *type = &nft_fields[field];
	void *member = (char *)rule + type->member;

	switch ((enum nft_form)type->form) {
	case FORM_NONE:
		return false;
	case FORM_NET:
		if (end && !net_decode(data, end, type->size, member))
			return false;
		*(struct addr *)member = (struct addr){ .family = type->family };
		memcpy(((struct addr *)member)->bytes, data, type->size);
		break;
	case FORM_PREFIX:
		((struct prefix *)member)->len = (uint8_t)(type->size * 8);
		__attribute__((fallthrough));
	case FORM_ADDR:
		*(struct addr *)member = (struct addr){ .family = type->family };
		memcpy(((struct addr *)member)->bytes, data, type->size);
		break;
	case FORM_NAME:
		memcpy(member, data, IFNAMSIZ);
		return data[IFNAMSIZ - 1] == '\0';
	case FORM_PORT:
		*(uint16_t *)member = (uint16_t)(data[0] << 8 | data[1]);
		rule->count = 1;
		break;
	case FORM_BYTE:
		*(uint8_t *)member = *data;
		break;
	case FORM_FAMILY:
		rule->family = *data;
		return rule->family == AF_INET || rule->family == AF_INET6;
	case FORM_MAC:
		memcpy(member, data, MAC_LEN);
		break;
	}
	return true;
}

/* end: NULL, or as long as data. */
static bool fields_decode(const uint8_t fields[static FIELDS_MAX], const uint8_t *data,
			  const uint8_t *end, size_t len, struct rule *rule)
{
	if (!fields[0])
		return true;
	if (len != nft_fields_size(fields))
		return false;
	for (size_t i = 0, offset = 0; i < FIELDS_MAX && fields[i]; i++) {
		if (!field_decode(fields[i], data + offset, end ? end + offset : NULL, rule))
			return false;
		offset += FIELD_SPACE(fields[i]);
	}
	return true;
}

void nft_element_blank(size_t set, struct rule *ret_rule)
{
	rule_init(ret_rule, kind_of(nft_fixed_kind(set)), nft_fixed_family(set));
}

bool nft_element_decode(const struct nft_fixed *fixed, const struct nft_element_view *view,
			struct rule *rule)
{
	if (view->key_end && view->key_end_len != view->key_len)
		return false;
	if (!fields_decode(fixed->key, view->key, view->key_end, view->key_len, rule) ||
	    !fields_decode(fixed->value, view->value, NULL, view->value_len, rule))
		return false;
	if (fixed->counts && !view->connections)
		return false;
	rule->connections = view->connections;
	decode_owner(view, rule);
	rule->packets = view->packets;
	rule->bytes = view->bytes;
	return true;
}

bool nft_element_goes_unseen(const struct nft_element *element, const struct nft_element_view *view)
{
	const struct nft_fixed *fixed = nft_fixed_at(element->set);
	struct rule rule;

	if (nft_fixed_ranges(fixed) == RANGES_SINGLE)
		return false;
	nft_element_blank(element->set, &rule);
	return fixed->part || !nft_element_decode(fixed, view, &rule);
}
