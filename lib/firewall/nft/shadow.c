/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules of others that take a published port before ours are asked: the first translation of a
 * connection is the only one. Only what names a port is looked at, in chains at our hook and where
 * these jump to; what else such a rule asks for is in its text.
 */
#include <arpa/inet.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "firewall/nft/nft.h"

#define SHADOW_ROOM 256
#define NAME_ROOM 256

struct foreign_chain {
	uint8_t family; /* NFPROTO_* */
	char table[NAME_ROOM], name[NAME_ROOM];
};

struct foreign_rule {
	uint16_t first, last; /* ports that it is about */
	uint8_t protocol;
	bool takes, named; /* it leads away or drops; it names ports */
	char in_chain[NAME_ROOM], jump[NAME_ROOM];
	struct rule rule; /* as it is told */
};

struct shadow_look {
	VECTOR(struct foreign_chain) chains; /* that come before ours */
	VECTOR(struct foreign_rule) rules;   /* of one table */
	const struct foreign_chain *of;
};

static uint32_t number_of(const struct nlattr *attribute)
{
	return attribute && mnl_attr_validate(attribute, MNL_TYPE_U32) == 0 ?
		       ntohl(mnl_attr_get_u32(attribute)) :
		       0;
}

static bool comes_before(const struct nlattr *const *attributes)
{
	const struct nlattr *hook[NFTA_HOOK_MAX + 1];
	const struct nft_chain *ours = &nft_chains[CHAIN_NAT_PREROUTING];
	bool nat = attributes[NFTA_CHAIN_TYPE] &&
		   strcmp(mnl_attr_get_str(attributes[NFTA_CHAIN_TYPE]), "nat") == 0;
	int priority;

	if (!attributes[NFTA_CHAIN_HOOK])
		return false;
	netlink_nested(attributes[NFTA_CHAIN_HOOK], hook, NFTA_HOOK_MAX);
	priority = (int)number_of(hook[NFTA_HOOK_PRIORITY]);
	return number_of(hook[NFTA_HOOK_HOOKNUM]) == NF_INET_PRE_ROUTING &&
	       (priority < ours->priority || (nat && priority == ours->priority));
}

static int chain_message(const struct nlmsghdr *message, void *data)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[NFTA_CHAIN_MAX + 1];
	struct shadow_look *look = data;
	struct foreign_chain *chain;
	uint8_t family = head->nfgen_family;

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWCHAIN ||
	    (family != NFPROTO_IPV4 && family != NFPROTO_IPV6 && family != NFPROTO_INET))
		return 0;
	netlink_attributes(message, sizeof(*head), attributes, NFTA_CHAIN_MAX);
	if (!attributes[NFTA_CHAIN_TABLE] || !attributes[NFTA_CHAIN_NAME] ||
	    !comes_before(attributes) ||
	    (family == NFPROTO_INET &&
	     strcmp(mnl_attr_get_str(attributes[NFTA_CHAIN_TABLE]), NFT_TABLE) == 0))
		return 0;
	chain = vector_push(&look->chains);
	if (!chain)
		return -ENOMEM;
	chain->family = family;
	string_copy(chain->table, NAME_ROOM, mnl_attr_get_str(attributes[NFTA_CHAIN_TABLE]));
	string_copy(chain->name, NAME_ROOM, mnl_attr_get_str(attributes[NFTA_CHAIN_NAME]));
	return 0;
}

/* ---- what a rule says of ports ---- */

struct reading {
	struct foreign_rule *rule;
	bool protocol, port; /* what was loaded last */
};

static void read_load(struct reading *reading, const char *name, struct nftnl_expr *expression)
{
	reading->protocol = reading->port = false;
	if (strcmp(name, "meta") == 0)
		reading->protocol = nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY) ==
				    NFT_META_L4PROTO;
	else
		reading->port = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_BASE) ==
					NFT_PAYLOAD_TRANSPORT_HEADER &&
				nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET) == 2 &&
				nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_LEN) == 2;
}

static uint16_t port_of(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static void read_compare(struct reading *reading, struct nftnl_expr *expression)
{
	uint32_t operation = nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_OP), len = 0;
	const uint8_t *data = nftnl_expr_get(expression, NFTNL_EXPR_CMP_DATA, &len);
	struct foreign_rule *rule = reading->rule;

	if (!data || !len)
		return;
	if (reading->protocol && operation == NFT_CMP_EQ)
		rule->protocol = data[0];
	if (!reading->port || len != 2)
		return;
	if (operation == NFT_CMP_EQ)
		rule->first = rule->last = port_of(data);
	else if (operation == NFT_CMP_GTE)
		rule->first = port_of(data);
	else if (operation == NFT_CMP_LTE)
		rule->last = port_of(data);
	rule->named |= operation != NFT_CMP_NEQ;
}

static void read_range(struct reading *reading, struct nftnl_expr *expression)
{
	uint32_t from_len = 0, to_len = 0;
	const uint8_t *from = nftnl_expr_get(expression, NFTNL_EXPR_RANGE_FROM_DATA, &from_len);
	const uint8_t *to = nftnl_expr_get(expression, NFTNL_EXPR_RANGE_TO_DATA, &to_len);

	if (!reading->port || !from || !to || from_len != 2 || to_len != 2 ||
	    nftnl_expr_get_u32(expression, NFTNL_EXPR_RANGE_OP) != NFT_RANGE_EQ)
		return;
	reading->rule->first = port_of(from);
	reading->rule->last = port_of(to);
	reading->rule->named = true;
}

static void read_verdict(struct foreign_rule *rule, struct nftnl_expr *expression)
{
	const char *chain = nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN);

	if (!nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT))
		return;
	rule->takes |= (int)nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT) == NF_DROP;
	if (chain)
		string_copy(rule->jump, NAME_ROOM, chain);
}

static bool is_translation(const char *name, struct nftnl_expr *expression)
{
	const char *target = strcmp(name, "target") == 0 ?
				     nftnl_expr_get_str(expression, NFTNL_EXPR_TG_NAME) :
				     NULL;

	if (target)
		return strcmp(target, "DNAT") == 0 || strcmp(target, "REDIRECT") == 0;
	return strcmp(name, "redir") == 0 ||
	       (strcmp(name, "nat") == 0 &&
		nftnl_expr_get_u32(expression, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_DNAT);
}

static int read_expression(struct nftnl_expr *expression, void *data)
{
	const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
	struct reading *reading = data;

	if (strcmp(name, "meta") == 0 || strcmp(name, "payload") == 0)
		read_load(reading, name, expression);
	else if (strcmp(name, "cmp") == 0)
		read_compare(reading, expression);
	else if (strcmp(name, "range") == 0)
		read_range(reading, expression);
	else if (strcmp(name, "immediate") == 0)
		read_verdict(reading->rule, expression);
	else
		reading->rule->takes |= is_translation(name, expression);
	return 0;
}

static int decode(const struct nlmsghdr *message, struct nftnl_rule *kernel,
		  struct shadow_look *look)
{
	struct foreign_rule *rule;
	struct reading reading = { 0 };

	if (!nft_rule_parse(message, kernel))
		return 0;
	rule = vector_push(&look->rules);
	if (!rule)
		return -ENOMEM;
	rule->last = UINT16_MAX;
	rule->rule.kind = RULE_FOREIGN;
	rule->rule.family = look->of->family == NFPROTO_INET ? AF_UNSPEC : look->of->family;
	string_copy(rule->in_chain, NAME_ROOM, nftnl_rule_get_str(kernel, NFTNL_RULE_CHAIN));
	reading.rule = rule;
	nftnl_expr_foreach(kernel, read_expression, &reading);
	return rule->takes && rule->named ? nft_foreign_decode(kernel, &rule->rule) : 0;
}

static int rule_message(const struct nlmsghdr *message, void *data)
{
	struct nftnl_rule *kernel;
	int r;

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWRULE)
		return 0;
	kernel = nftnl_rule_alloc();
	if (!kernel)
		return -ENOMEM;
	r = decode(message, kernel, data);
	nftnl_rule_free(kernel);
	return r;
}

/* ---- asking ---- */

static int dump(struct nft *nft, uint16_t type, uint8_t family, const char *table,
		nft_message_fn fn, struct shadow_look *look, struct nft_reply *reply)
{
	struct nlmsghdr *message;
	struct nfgenmsg *head;
	int r;

	nft_requests_begin(nft);
	message = nft_batch_message(nft, type, NLM_F_DUMP, SHADOW_ROOM + NAME_ROOM);
	if (!message)
		return -ENOMEM;
	head = mnl_nlmsg_get_payload(message);
	head->nfgen_family = family;
	if (table)
		mnl_attr_put_strz(message, NFTA_RULE_TABLE, table);
	r = nft_batch_send(nft, fn, look, reply);
	/* gone since */
	return r == -ENOENT ? 0 : r;
}

static void rules_forget(struct shadow_look *look)
{
	for (size_t i = 0; i < look->rules.len; i++)
		free(look->rules.items[i].rule.foreign);
	look->rules.len = 0;
}

/* ---- beside ours ---- */

static const struct rule *shadowed(const struct foreign_rule *foreign, const rule_vector *planned)
{
	const struct prefix *address = &foreign->rule.destination;

	for (size_t i = 0; i < planned->len; i++) {
		const struct rule *rule = &planned->items[i];

		if (rule->target != TARGET_DNAT || rule->protocol != foreign->protocol ||
		    rule->host_port < foreign->first || rule->host_port > foreign->last ||
		    (foreign->rule.family && foreign->rule.family != rule->family))
			continue;
		/* what comes in by an interface is for none of loopback's */
		if (addr_is_loopback(&rule->destination.addr) ||
		    (addr_is_set(&address->addr) && !foreign->rule.destination_not &&
		     addr_is_set(&rule->destination.addr) &&
		     !prefix_overlaps(address, &rule->destination)))
			continue;
		return rule;
	}
	return NULL;
}

/* In the chain itself, or where it jumps to. */
static bool is_reached(const struct shadow_look *look, const struct foreign_rule *rule)
{
	if (strcmp(rule->in_chain, look->of->name) == 0)
		return true;
	for (size_t i = 0; i < look->rules.len; i++)
		if (strcmp(look->rules.items[i].in_chain, look->of->name) == 0 &&
		    strcmp(look->rules.items[i].jump, rule->in_chain) == 0)
			return true;
	return false;
}

static int find_shadow(const struct shadow_look *look, const struct foreign_rule *foreign,
		       const struct rule *ours, finding_vector *findings)
{
	const char *family = look->of->family == NFPROTO_INET ? "inet" :
			     look->of->family == NFPROTO_IPV4 ? "ip" :
								"ip6";
	char object[2 * NAME_ROOM + 64], should_be[RULE_LINE_MAX];

	snprintf(object, sizeof(object), "chain %s of the nftables table %s %s", foreign->in_chain,
		 family, look->of->table);
	rule_render_line(&nft_backend, ours, should_be);
	return findings_add(findings, &(struct finding){ .code = FINDING_RULE_SHADOWS,
							 .network = ours->network,
							 .endpoint = ours->endpoint,
							 .object = object,
							 .is = foreign->rule.foreign,
							 .should_be = should_be });
}

static int find_in_table(const struct shadow_look *look, const rule_vector *planned,
			 finding_vector *findings)
{
	const struct foreign_rule *last = NULL;
	bool reached = false;
	int r = 0;

	for (size_t i = 0; i < look->rules.len && r == 0; i++) {
		const struct foreign_rule *foreign = &look->rules.items[i];
		const struct rule *ours;

		if (!foreign->takes || !foreign->named)
			continue;
		/* the rules of a chain come one after the other */
		if (!last || strcmp(last->in_chain, foreign->in_chain) != 0)
			reached = is_reached(look, foreign);
		last = foreign;
		if (!reached)
			continue;
		ours = shadowed(foreign, planned);
		if (ours)
			r = find_shadow(look, foreign, ours, findings);
	}
	return r;
}

int nft_find_shadows(struct nft *nft, const rule_vector *planned, finding_vector *findings,
		     struct nft_reply *reply)
{
	struct shadow_look look = { 0 };
	int r = dump(nft, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NULL, chain_message, &look, reply);

	for (size_t i = 0; i < look.chains.len && r == 0; i++) {
		look.of = &look.chains.items[i];
		r = dump(nft, NFT_MSG_GETRULE, look.of->family, look.of->table, rule_message, &look,
			 reply);
		if (r == 0)
			r = find_in_table(&look, planned, findings);
		rules_forget(&look);
	}
	free(look.rules.items);
	free(look.chains.items);
	return r;
}
