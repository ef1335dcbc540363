/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What nf_tables' answers have to be for those who read them. libnftnl reads a name where there is
 * none, and ends the program for an attribute that is not as long as it thinks.
 */
#include <arpa/inet.h>
#include <libnftnl/rule.h>

#include "firewall/nft/nft.h"

#define NESTS_MAX 4 /* of expressions in expressions */

/* ---- messages ---- */

static const char generation_forms[] = { [NFTA_GEN_ID] = '4' };

static const char table_forms[] = { [NFTA_TABLE_NAME] = 's', [NFTA_TABLE_FLAGS] = '4' };

static const char chain_forms[] = {
	[NFTA_CHAIN_TABLE] = 's',
	[NFTA_CHAIN_NAME] = 's',
	[NFTA_CHAIN_POLICY] = '4',
	[NFTA_CHAIN_TYPE] = 's',
};

static const char set_forms[] = { [NFTA_SET_NAME] = 's' };

static const char rule_forms[] = {
	[NFTA_RULE_EXPRESSIONS] = 'n', [NFTA_RULE_COMPAT] = 'n',      [NFTA_RULE_TABLE] = 's',
	[NFTA_RULE_CHAIN] = 's',       [NFTA_RULE_HANDLE] = '8',      [NFTA_RULE_POSITION] = '8',
	[NFTA_RULE_ID] = '4',          [NFTA_RULE_POSITION_ID] = '4',
};

#define TYPE(message) (NFNL_SUBSYS_NFTABLES << 8 | (message))
#define SHAPE(message, forms)                                                \
	{                                                                    \
		TYPE(message), sizeof(struct nfgenmsg), forms, sizeof(forms) \
	}
#define HEADER_ALONE(message)                                   \
	{                                                       \
		TYPE(message), sizeof(struct nfgenmsg), NULL, 0 \
	}

/* Elements are many, and their reader looks at each length. */
static const struct netlink_shape shapes[] = {
	HEADER_ALONE(NFT_MSG_NEWSETELEM),        HEADER_ALONE(NFT_MSG_DELSETELEM),
	SHAPE(NFT_MSG_NEWRULE, rule_forms),      SHAPE(NFT_MSG_NEWCHAIN, chain_forms),
	SHAPE(NFT_MSG_NEWSET, set_forms),        SHAPE(NFT_MSG_NEWTABLE, table_forms),
	SHAPE(NFT_MSG_NEWGEN, generation_forms),
};

bool nft_message_is_whole(const struct nlmsghdr *message)
{
	return netlink_is_whole(message, shapes, ARRAY_SIZE(shapes));
}

const char *nft_text(const struct nlattr *attribute)
{
	return attribute && netlink_fits(attribute, 's') ? attribute_payload(attribute) : "";
}

/* ---- expressions ---- */

/* Of the attributes from 1 on, as netlink_fits() has them, and 'd' data, 'v' a verdict, 'e' an
 * expression, 'l' a list of them; '.' of any form. */
static const struct {
	const char *name, *forms;
} expressions[] = {
	{ "bitwise", "444dd4d4" }, { "byteorder", "44444" },
	{ "cmp", "44d" },          { "connlimit", "44" },
	{ "counter", "88" },       { "ct", "4414" },
	{ "dup", "44" },           { "dynset", "s44448e.4l" },
	{ "exthdr", "4144444" },   { "fib", "444" },
	{ "flow_offload", "s" },   { "fwd", "444" },
	{ "hash", "4444444s4" },   { "immediate", "4d" },
	{ "inner", "4444e" },      { "last", "48" },
	{ "limit", "88444" },      { "log", "2s4244" },
	{ "lookup", "s4444" },     { "masq", "444" },
	{ "match", "s4." },        { "meta", "444" },
	{ "nat", "4444444" },      { "notrack", "" },
	{ "numgen", "4444s4" },    { "objref", "4s4s4" },
	{ "osf", "414" },          { "payload", "44444444" },
	{ "queue", "2224" },       { "quota", "84.8" },
	{ "range", "44dd" },       { "redir", "444" },
	{ "reject", "41" },        { "rt", "44" },
	{ "socket", "444" },       { "synproxy", "214" },
	{ "target", "s4." },       { "tproxy", "444" },
	{ "tunnel", "444" },       { "xfrm", "4414" },
};

static bool nest_fits(const struct nlattr *nest, const char *forms, unsigned int depth);

static bool expression_fits(const struct nlattr *expression, unsigned int depth)
{
	const struct nlattr *attributes[NFTA_EXPR_MAX + 1];
	const char *name;

	if (!nest_fits(expression, "sn", depth))
		return false;
	netlink_nested(expression, attributes, NFTA_EXPR_MAX);
	name = nft_text(attributes[NFTA_EXPR_NAME]);
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++)
		if (attributes[NFTA_EXPR_DATA] && strcmp(expressions[i].name, name) == 0)
			return nest_fits(attributes[NFTA_EXPR_DATA], expressions[i].forms, depth);
	return name[0];
}

static bool list_fits(const struct nlattr *list, unsigned int depth)
{
	const struct nlattr *item;

	for_each_nested(item, list) {
		if (!expression_fits(item, depth))
			return false;
	}
	return true;
}

/* A jump has somewhere to go, which libnftnl does not doubt. */
static bool verdict_fits(const struct nlattr *verdict, unsigned int depth)
{
	const struct nlattr *attributes[NFTA_VERDICT_MAX + 1];
	uint32_t code;

	if (!nest_fits(verdict, "4s4", depth))
		return false;
	netlink_nested(verdict, attributes, NFTA_VERDICT_MAX);
	if (!attributes[NFTA_VERDICT_CODE])
		return false;
	code = ntohl(mnl_attr_get_u32(attributes[NFTA_VERDICT_CODE]));
	return (code != (uint32_t)NFT_JUMP && code != (uint32_t)NFT_GOTO) ||
	       attributes[NFTA_VERDICT_CHAIN];
}

static bool attribute_fits(const struct nlattr *attribute, char form, unsigned int depth)
{
	switch (form) {
	case 'd':
		return nest_fits(attribute, ".v", depth);
	case 'v':
		return verdict_fits(attribute, depth);
	case 'e':
		return expression_fits(attribute, depth + 1);
	case 'l':
		return netlink_fits(attribute, 'n') && list_fits(attribute, depth + 1);
	default:
		return netlink_fits(attribute, form);
	}
}

static bool nest_fits(const struct nlattr *nest, const char *forms, unsigned int depth)
{
	size_t len = strlen(forms);
	const struct nlattr *attribute;

	if (depth > NESTS_MAX || !netlink_fits(nest, 'n'))
		return false;
	for_each_nested(attribute, nest) {
		uint16_t type = attribute_type(attribute);

		if (type && type <= len && !attribute_fits(attribute, forms[type - 1], depth))
			return false;
	}
	return true;
}

bool nft_rule_parse(const struct nlmsghdr *message, struct nftnl_rule *rule)
{
	const struct nlattr *attributes[NFTA_RULE_MAX + 1];

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_RULE_MAX);
	if (attributes[NFTA_RULE_EXPRESSIONS] && !list_fits(attributes[NFTA_RULE_EXPRESSIONS], 0))
		return false;
	if (attributes[NFTA_RULE_COMPAT] && !nest_fits(attributes[NFTA_RULE_COMPAT], "44", 0))
		return false;
	return nftnl_rule_nlmsg_parse(message, rule) == 0;
}
