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
	char owner[sizeof(rule->network) + sizeof(rule->endpoint)];

	ret_comment->len = 0;
	if (!rule->network[0])
		return;
	snprintf(owner, sizeof(owner), "%s%s%s", rule->network, rule->endpoint[0] ? "/" : "",
		 rule->endpoint);
	nft_comment_text(owner, ret_comment);
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

static void field_encode(enum nft_field field, const struct rule *rule, uint8_t *data)
{
	uint16_t port;

	switch (field) {
	case FIELD_SOURCE4:
	case FIELD_SOURCE6:
		memcpy(data, rule->source.addr.bytes, nft_fields[field].size);
		break;
	case FIELD_DESTINATION4:
	case FIELD_DESTINATION6:
		memcpy(data, rule->destination.addr.bytes, nft_fields[field].size);
		break;
	case FIELD_TO4:
	case FIELD_TO6:
		memcpy(data, rule->to.bytes, nft_fields[field].size);
		break;
	case FIELD_PROTOCOL:
		*data = rule->protocol;
		break;
	case FIELD_FAMILY:
		*data = (uint8_t)rule->family;
		break;
	case FIELD_PORT:
	case FIELD_TO_PORT:
		port = htons(field == FIELD_PORT ? rule->host_port : rule->to_port);
		memcpy(data, &port, sizeof(port));
		break;
	case FIELD_IN:
	case FIELD_OUT:
		memcpy(data, field == FIELD_IN ? rule->in : rule->out,
		       strnlen(field == FIELD_IN ? rule->in : rule->out, IFNAMSIZ - 1));
		break;
	case FIELD_NONE:
	case FIELD_COUNT:
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
	switch (field) {
	case FIELD_SOURCE4:
	case FIELD_SOURCE6:
		return rule->source.addr.family == nft_fields[field].family;
	case FIELD_DESTINATION4:
	case FIELD_DESTINATION6:
		return rule->destination.addr.family == nft_fields[field].family;
	case FIELD_IN:
		return rule->in[0];
	case FIELD_OUT:
		return rule->out[0];
	case FIELD_TO4:
	case FIELD_TO6:
		return rule->to.family == nft_fields[field].family;
	case FIELD_PROTOCOL:
	case FIELD_PORT:
	case FIELD_FAMILY:
	case FIELD_TO_PORT:
		return true;
	case FIELD_NONE:
	case FIELD_COUNT:
		break;
	}
	return false;
}

static bool has_destination(const struct nft_fixed *fixed)
{
	return fixed->key[0] == FIELD_DESTINATION4 || fixed->key[0] == FIELD_DESTINATION6;
}

/* Is the rule an element of this set? */
static bool set_takes(size_t id, const struct rule *rule)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);
	int family = fixed ? nft_fixed_family(id) : AF_UNSPEC;

	if (!fixed || (family && family != rule->family))
		return false;
	for (size_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++) {
		if (!field_is_set(fixed->key[i], rule))
			return false;
	}
	/* A port of one address is not one of every address. */
	return kind_of(rule->kind)->destination.is != ADDRESS_HOST ||
	       has_destination(fixed) == addr_is_set(&rule->destination.addr);
}

static int rule_encode(const struct rule *rule, nft_element_vector *elements, struct error *error)
{
	bool taken = false;

	for (size_t i = NFT_FIXED_OF(rule->kind); i < NFT_FIXED_OF(rule->kind + 1); i++) {
		struct nft_element *element;

		if (!set_takes(i, rule))
			continue;
		element = vector_push(elements);
		if (!element)
			return error_oom(error);
		element->rule = rule;
		element->set = (uint8_t)i;
		fields_encode(nft_fixed_at(i)->key, rule, element->key);
		fields_encode(nft_fixed_at(i)->value, rule, element->value);
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

	if (left->set != right->set)
		return left->set < right->set ? -1 : 1;
	return memcmp(left->key, right->key, sizeof(left->key));
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

/* ---- decoding ---- */

static void view_expression(const struct nlattr *expression, struct nft_element_view *view)
{
	const struct nlattr *attribute, *counter;

	for_each_nested(attribute, expression) {
		/* Other expressions have other attributes under these numbers, but our sets clone
		 * counters alone. */
		if (mnl_attr_get_type(attribute) != NFTA_EXPR_DATA)
			continue;
		for_each_nested(counter, attribute) {
			uint64_t value;

			if (mnl_attr_get_payload_len(counter) != sizeof(value))
				continue;
			memcpy(&value, mnl_attr_get_payload(counter), sizeof(value));
			if (mnl_attr_get_type(counter) == NFTA_COUNTER_PACKETS)
				view->packets = be64toh(value);
			else if (mnl_attr_get_type(counter) == NFTA_COUNTER_BYTES)
				view->bytes = be64toh(value);
		}
	}
}

static void view_data(const struct nlattr *data, const uint8_t **ret_bytes, size_t *ret_len)
{
	const struct nlattr *attribute;

	for_each_nested(attribute, data) {
		if (mnl_attr_get_type(attribute) != NFTA_DATA_VALUE)
			continue;
		*ret_bytes = mnl_attr_get_payload(attribute);
		*ret_len = mnl_attr_get_payload_len(attribute);
	}
}

int nft_element_view(const struct nlattr *element, struct nft_element_view *ret_view)
{
	const struct nlattr *attribute;

	memset(ret_view, 0, sizeof(*ret_view));
	for_each_nested(attribute, element) {
		switch (mnl_attr_get_type(attribute)) {
		case NFTA_SET_ELEM_KEY:
			view_data(attribute, &ret_view->key, &ret_view->key_len);
			break;
		case NFTA_SET_ELEM_DATA:
			view_data(attribute, &ret_view->value, &ret_view->value_len);
			break;
		case NFTA_SET_ELEM_USERDATA:
			ret_view->userdata = mnl_attr_get_payload(attribute);
			ret_view->userdata_len = mnl_attr_get_payload_len(attribute);
			break;
		case NFTA_SET_ELEM_EXPR:
			view_expression(attribute, ret_view);
			break;
		default:
			break;
		}
	}
	return ret_view->key ? 0 : -EBADMSG;
}

bool nft_element_matches(const struct nft_element *element, const struct nft_element_view *view)
{
	const struct nft_fixed *fixed = nft_fixed_at(element->set);
	size_t value_len = fixed->value[0] ? nft_fields_size(fixed->value) : 0;
	struct nft_comment comment;

	nft_comment_owner(element->rule, &comment);
	return view->key_len == nft_fields_size(fixed->key) &&
	       memcmp(view->key, element->key, view->key_len) == 0 &&
	       view->value_len == value_len &&
	       (!value_len || memcmp(view->value, element->value, value_len) == 0) &&
	       view->userdata_len == comment.len &&
	       (!comment.len || memcmp(view->userdata, comment.data, comment.len) == 0);
}

static void decode_address(enum nft_field field, const uint8_t *data, struct addr *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	ret_addr->family = nft_fields[field].family;
	memcpy(ret_addr->bytes, data, nft_fields[field].size);
}

static uint16_t decode_port(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static bool field_decode(enum nft_field field, const uint8_t *data, struct rule *rule)
{
	switch (field) {
	case FIELD_SOURCE4:
	case FIELD_SOURCE6:
		decode_address(field, data, &rule->source.addr);
		rule->source.len = (uint8_t)(nft_fields[field].size * 8);
		return true;
	case FIELD_DESTINATION4:
	case FIELD_DESTINATION6:
		decode_address(field, data, &rule->destination.addr);
		rule->destination.len = (uint8_t)(nft_fields[field].size * 8);
		return true;
	case FIELD_TO4:
	case FIELD_TO6:
		decode_address(field, data, &rule->to);
		return true;
	case FIELD_PROTOCOL:
		rule->protocol = *data;
		return true;
	case FIELD_FAMILY:
		rule->family = *data;
		return rule->family == AF_INET || rule->family == AF_INET6;
	case FIELD_PORT:
		rule->host_port = decode_port(data);
		rule->count = 1;
		return true;
	case FIELD_TO_PORT:
		rule->to_port = decode_port(data);
		return true;
	case FIELD_IN:
	case FIELD_OUT:
		memcpy(field == FIELD_IN ? rule->in : rule->out, data, IFNAMSIZ);
		return data[IFNAMSIZ - 1] == '\0';
	case FIELD_NONE:
	case FIELD_COUNT:
		break;
	}
	return false;
}

static bool fields_decode(const uint8_t fields[static FIELDS_MAX], const uint8_t *data, size_t len,
			  struct rule *rule)
{
	if (!fields[0])
		return true;
	if (len != nft_fields_size(fields))
		return false;
	for (size_t i = 0; i < FIELDS_MAX && fields[i]; i++) {
		if (!field_decode(fields[i], data, rule))
			return false;
		data += FIELD_SPACE(fields[i]);
	}
	return true;
}

bool nft_element_decode(size_t set, const struct nft_element_view *view, struct rule *rule)
{
	const struct nft_fixed *fixed = nft_fixed_at(set);

	rule_init(rule, kind_of(nft_fixed_kind(set)), nft_fixed_family(set));
	if (!fields_decode(fixed->key, view->key, view->key_len, rule) ||
	    !fields_decode(fixed->value, view->value, view->value_len, rule))
		return false;
	decode_owner(view, rule);
	rule->packets = view->packets;
	rule->bytes = view->bytes;
	return true;
}
