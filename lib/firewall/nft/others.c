/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "firewall/nft/others.h"

#include <arpa/inet.h>
#include <libnftnl/rule.h>

#define ROOM 512

const char *others_family(uint8_t family)
{
	return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV4 ? "ip" : "ip6";
}

static uint32_t number_of(const struct nlattr *attribute)
{
	return attribute && netlink_fits(attribute, '4') ? ntohl(mnl_attr_get_u32(attribute)) : 0;
}

/* names: attributes with a text, NULL at the end. */
struct asked {
	uint16_t type, flags;
	uint8_t family;
	struct {
		uint16_t attribute;
		const char *text;
	} names[2];
};

static int ask(struct others *others, const struct asked *asked, nft_message_fn fn, void *data)
{
	struct nlmsghdr *message;
	struct nfgenmsg *head;
	int r;

	nft_requests_begin(others->nft);
	message = nft_batch_message(others->nft, asked->type, asked->flags, ROOM);
	if (!message)
		return -ENOMEM;
	head = mnl_nlmsg_get_payload(message);
	head->nfgen_family = asked->family;
	for (size_t i = 0; i < ARRAY_SIZE(asked->names); i++)
		if (asked->names[i].text)
			mnl_attr_put_strz(message, asked->names[i].attribute, asked->names[i].text);
	r = nft_batch_send(others->nft, fn, data, &others->reply);
	/* gone since */
	return r == -ENOENT ? 0 : r;
}

/* ---- chains ---- */

static bool is_at_forward(const struct nlattr *chain_hook)
{
	const struct nlattr *hook[NFTA_HOOK_MAX + 1];

	if (!chain_hook || !netlink_fits(chain_hook, 'n'))
		return false;
	netlink_nested(chain_hook, hook, NFTA_HOOK_MAX);
	return hook[NFTA_HOOK_HOOKNUM] && number_of(hook[NFTA_HOOK_HOOKNUM]) == NF_INET_FORWARD;
}

static int chain_message(const struct nlmsghdr *message, void *data)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[NFTA_CHAIN_MAX + 1];
	struct others_chain chain = { .family = head->nfgen_family };
	struct others *others = data;

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWCHAIN ||
	    (chain.family != NFPROTO_IPV4 && chain.family != NFPROTO_IPV6 &&
	     chain.family != NFPROTO_INET))
		return 0;
	netlink_attributes(message, sizeof(*head), attributes, NFTA_CHAIN_MAX);
	if (!is_at_forward(attributes[NFTA_CHAIN_HOOK]) ||
	    string_copy(chain.table, sizeof(chain.table), nft_text(attributes[NFTA_CHAIN_TABLE])) <
		    0 ||
	    string_copy(chain.name, sizeof(chain.name), nft_text(attributes[NFTA_CHAIN_NAME])) < 0)
		return 0;
	if (chain.family == NFPROTO_INET && strcmp(chain.table, NFT_TABLE) == 0)
		return 0;
	chain.drops = attributes[NFTA_CHAIN_POLICY] &&
		      number_of(attributes[NFTA_CHAIN_POLICY]) == NF_DROP;
	return vector_append(&others->chains, chain);
}

int others_read(struct nft *nft, struct others *ret_others)
{
	const struct asked asked = { .type = NFT_MSG_GETCHAIN,
				     .flags = NLM_F_DUMP,
				     .family = NFPROTO_UNSPEC };

	*ret_others = (struct others){ .nft = nft };
	return ask(ret_others, &asked, chain_message, ret_others);
}

/* ---- what a table has ---- */

static void forget_table(struct others *others)
{
	for (size_t i = 0; i < others->rules.len; i++)
		nftnl_rule_free(others->rules.items[i].kernel);
	for (size_t i = 0; i < others->sets.len; i++)
		free(others->sets.items[i].elements.items);
	others->rules.len = others->sets.len = 0;
	others->of = NULL;
}

void others_clear(struct others *others)
{
	forget_table(others);
	free(others->rules.items);
	free(others->sets.items);
	free(others->chains.items);
	*others = (struct others){ 0 };
}

static int rule_message(const struct nlmsghdr *message, void *data)
{
	struct others *others = data;
	struct others_rule rule = { .kernel = NULL };

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWRULE)
		return 0;
	rule.kernel = nftnl_rule_alloc();
	if (!rule.kernel)
		return -ENOMEM;
	if (!nft_rule_parse(message, rule.kernel) ||
	    string_copy(rule.chain, sizeof(rule.chain),
			nftnl_rule_get_str(rule.kernel, NFTNL_RULE_CHAIN)) < 0) {
		nftnl_rule_free(rule.kernel);
		return 0;
	}
	if (vector_append(&others->rules, rule) == 0)
		return 0;
	nftnl_rule_free(rule.kernel);
	return -ENOMEM;
}

static int table_message(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attributes[NFTA_TABLE_MAX + 1];

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWTABLE)
		return 0;
	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_TABLE_MAX);
	*(uint32_t *)data = number_of(attributes[NFTA_TABLE_FLAGS]);
	return 0;
}

int others_read_table(struct others *others, const struct others_chain *chain)
{
	struct asked asked = { .type = NFT_MSG_GETTABLE,
			       .family = chain->family,
			       .names = { { NFTA_TABLE_NAME, chain->table } } };
	int r;

	if (others->of && others->of->family == chain->family &&
	    strcmp(others->of->table, chain->table) == 0)
		return 0;
	forget_table(others);
	others->flags = 0;
	r = ask(others, &asked, table_message, &others->flags);
	asked.type = NFT_MSG_GETRULE;
	asked.flags = NLM_F_DUMP;
	asked.names[0].attribute = NFTA_RULE_TABLE;
	if (r == 0)
		r = ask(others, &asked, rule_message, others);
	if (r == 0)
		others->of = chain;
	return r;
}

/* ---- sets ---- */

static int read_verdict(const struct nlattr *data, struct others_element *element)
{
	const struct nlattr *value[NFTA_DATA_MAX + 1], *verdict[NFTA_VERDICT_MAX + 1];

	netlink_nested(data, value, NFTA_DATA_MAX);
	if (!value[NFTA_DATA_VERDICT])
		return 0;
	netlink_nested(value[NFTA_DATA_VERDICT], verdict, NFTA_VERDICT_MAX);
	element->verdict = (int)number_of(verdict[NFTA_VERDICT_CODE]);
	return string_copy(element->chain, sizeof(element->chain),
			   nft_text(verdict[NFTA_VERDICT_CHAIN]));
}

static int take_element(const struct nlattr *attribute, struct others_set *set)
{
	const struct nlattr *attributes[NFTA_SET_ELEM_MAX + 1], *key[NFTA_DATA_MAX + 1];
	struct others_element element = { .verdict = NFT_CONTINUE };

	netlink_nested(attribute, attributes, NFTA_SET_ELEM_MAX);
	netlink_nested(attributes[NFTA_SET_ELEM_KEY], key, NFTA_DATA_MAX);
	if (attributes[NFTA_SET_ELEM_KEY_END] || !key[NFTA_DATA_VALUE] ||
	    attribute_payload_len(key[NFTA_DATA_VALUE]) > FACT_MAX ||
	    read_verdict(attributes[NFTA_SET_ELEM_DATA], &element) < 0) {
		set->odd = true;
		return 0;
	}
	element.len = attribute_payload_len(key[NFTA_DATA_VALUE]);
	memcpy(element.key, attribute_payload(key[NFTA_DATA_VALUE]), element.len);
	element.end = number_of(attributes[NFTA_SET_ELEM_FLAGS]) & NFT_SET_ELEM_INTERVAL_END;
	set->intervals |= element.end;
	return vector_append(&set->elements, element);
}

static int elements_message(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attributes[NFTA_SET_ELEM_LIST_MAX + 1], *element;
	int r = 0;

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_SET_ELEM_LIST_MAX);
	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWSETELEM ||
	    !attributes[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 0;
	for_each_nested(element, attributes[NFTA_SET_ELEM_LIST_ELEMENTS]) {
		if (r == 0)
			r = take_element(element, data);
	}
	return r;
}

static int compare_elements(const void *left, const void *right)
{
	const struct others_element *a = left, *b = right;
	int order = memcmp(a->key, b->key, sizeof(a->key));

	return order ? order : b->end - a->end;
}

const struct others_set *others_set(struct others *others, const char *name, int *ret_r)
{
	const struct asked asked = { .type = NFT_MSG_GETSETELEM,
				     .flags = NLM_F_DUMP,
				     .family = others->of->family,
				     .names = { { NFTA_SET_ELEM_LIST_TABLE, others->of->table },
						{ NFTA_SET_ELEM_LIST_SET, name } } };
	struct others_set *set;

	for (size_t i = 0; i < others->sets.len; i++)
		if (strcmp(others->sets.items[i].name, name) == 0)
			return &others->sets.items[i];
	set = vector_push(&others->sets);
	*ret_r = set ? 0 : -ENOMEM;
	if (!set)
		return NULL;
	/* of one whose name is too long nothing is known */
	if (string_copy(set->name, sizeof(set->name), name) < 0)
		set->odd = true;
	else
		*ret_r = ask(others, &asked, elements_message, set);
	if (set->elements.len)
		qsort(set->elements.items, set->elements.len, sizeof(*set->elements.items),
		      compare_elements);
	return *ret_r < 0 ? NULL : set;
}
