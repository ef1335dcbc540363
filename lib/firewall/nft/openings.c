/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of ours at the head of others' chains, and which of these want some. */
#include <endian.h>
#include <arpa/inet.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "base/fault.h"
#include "firewall/nft/others.h"

#define MARK "bridgenet:"
#define READ "read the nftables rules"
#define CHANGE "change the rules that let networks pass others' chains"
#define ROOM 256

static void say_chain(const struct others_chain *chain, char text[static 200])
{
	snprintf(text, 200, "chain %s of the nftables table %s %s", chain->name,
		 others_family(chain->family), chain->table);
}

/* ---- what stops ---- */

/* iptables-nft(8) has its tables there, and its own name for each chain of the kernel. */
static const char *tool_of(const struct others_chain *chain)
{
	if (chain->family == NFPROTO_INET || strcmp(chain->table, "filter") != 0 ||
	    strcmp(chain->name, "FORWARD") != 0)
		return NULL;
	return chain->family == NFPROTO_IPV4 ? "iptables-nft" : "ip6tables-nft";
}

static enum keeper keeper_of(const struct others *others, const struct others_chain *chain)
{
	enum keeper keeper = KEEPER_NONE;

	if (strcmp(chain->table, "firewalld") == 0)
		return KEEPER_FIREWALLD;
	for (size_t i = 0; i < others->rules.len && keeper == KEEPER_NONE; i++)
		keeper = keeper_by_chain(others->rules.items[i].chain);
	return keeper;
}

static int judge_subnet(struct others *others, const struct others_chain *chain,
			const struct passage *passage, const struct subnet *subnet,
			struct barrier *barrier)
{
	char cause[BARRIER_TEXT];
	int r = 0;

	for (enum passing i = 0; i < PASSING_COUNT && r == 0; i++) {
		struct packet packet;
		enum fate fate;

		if (!passage_packet(passage, subnet, i, &packet))
			continue;
		r = others_judge(others, chain, &packet, &fate, cause);
		if (fate != FATE_STOPS && fate != FATE_MAY_PASS)
			continue;
		barrier_note(barrier, passage, subnet, i, cause);
		barrier->may_pass |= fate == FATE_MAY_PASS;
	}
	return r;
}

static int judge_all(struct others *others, const struct others_chain *chain,
		     const struct passage *passage, struct barrier *barrier)
{
	int r = 0;

	for_each_family(family) {
		if (!network_passes(passage->network, family) ||
		    (chain->family != NFPROTO_INET &&
		     chain->family != (family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6)))
			continue;
		for_each_subnet(subnet, passage->network, family) {
			if (r == 0)
				r = judge_subnet(others, chain, passage, subnet, barrier);
		}
	}
	return r;
}

static int look_at_chain(struct others *others, const struct others_chain *chain,
			 const struct passage *passages, size_t len, barrier_vector *barriers)
{
	int r = others_read_table(others, chain);

	for (size_t i = 0; i < len && r == 0 && !(others->flags & NFT_TABLE_F_DORMANT); i++) {
		struct barrier barrier = { .passage = i, .family = chain->family };

		r = judge_all(others, chain, &passages[i], &barrier);
		if (r < 0 || !barrier.stops)
			continue;
		barrier.is_owned = others->flags & NFT_TABLE_F_OWNER;
		barrier.keeper = keeper_of(others, chain);
		memcpy(barrier.table, chain->table, sizeof(barrier.table));
		memcpy(barrier.chain, chain->name, sizeof(barrier.chain));
		say_chain(chain, barrier.object);
		barrier_set_remedy(&barrier, passages[i].network->bridge, tool_of(chain));
		r = vector_append(barriers, barrier);
	}
	return r;
}

int nft_find_barriers(struct firewall *firewall, const struct passage *passages, size_t len,
		      barrier_vector *barriers, struct error *error)
{
	struct others others;
	int r = others_read((struct nft *)firewall, &others);

	for (size_t i = 0; i < others.chains.len && r == 0; i++)
		r = look_at_chain(&others, &others.chains.items[i], passages, len, barriers);
	if (r < 0)
		r = nft_error(error, r, &others.reply, READ);
	others_clear(&others);
	return r;
}

/* ---- what is there ---- */

/* The digits of the network's id in its comment. */
static bool read_owner(struct nftnl_rule *kernel, char owner[static ID_SHORT_LEN + 1])
{
	uint32_t len = 0;
	const uint8_t *data = nftnl_rule_get_data(kernel, NFTNL_RULE_USERDATA, &len);
	size_t mark = sizeof(MARK) - 1;

	/* type, length, text, as nft_comment_text() has it */
	if (!data || len != mark + ID_SHORT_LEN + 3 || data[0] != 0 || data[1] != len - 2 ||
	    memcmp(data + 2, MARK, mark) != 0 || data[len - 1])
		return false;
	memcpy(owner, data + 2 + mark, ID_SHORT_LEN + 1);
	return strspn(owner, "0123456789abcdef") == ID_SHORT_LEN;
}

struct opening_reading {
	struct opening *opening;
	unsigned int place;
	bool ours;
};

static int read_expression(struct nftnl_expr *expression, void *data)
{
	static const char *const names[] = { "meta", "cmp", "counter", "immediate" };
	struct opening_reading *reading = data;
	struct opening *opening = reading->opening;
	const void *name;
	uint32_t key, len = 0;

	if (reading->place >= ARRAY_SIZE(names) ||
	    strcmp(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME), names[reading->place]) != 0)
		return -1;
	switch (reading->place++) {
	case 0:
		key = nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY);
		opening->from = key == NFT_META_IIFNAME;
		return opening->from || key == NFT_META_OIFNAME ? 0 : -1;
	case 1:
		name = nftnl_expr_get(expression, NFTNL_EXPR_CMP_DATA, &len);
		if (!name || len != IFNAMSIZ || ((const char *)name)[IFNAMSIZ - 1] ||
		    nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_OP) != NFT_CMP_EQ)
			return -1;
		memcpy(opening->bridge, name, IFNAMSIZ);
		return 0;
	case 2:
		opening->packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
		opening->bytes = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
		return 0;
	default:
		reading->ours = nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT) &&
				nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT) == NF_ACCEPT;
		return 0;
	}
}

bool others_read_opening(const struct others_chain *chain, struct nftnl_rule *kernel,
			 struct opening *ret_opening)
{
	struct opening_reading reading = { .opening = ret_opening };

	*ret_opening = (struct opening){ .family = chain->family };
	if (!read_owner(kernel, ret_opening->owner) ||
	    nftnl_expr_foreach(kernel, read_expression, &reading) < 0 || !reading.ours)
		return false;
	memcpy(ret_opening->table, chain->table, sizeof(ret_opening->table));
	memcpy(ret_opening->chain, chain->name, sizeof(ret_opening->chain));
	say_chain(chain, ret_opening->object);
	ret_opening->handle = nftnl_rule_get_u64(kernel, NFTNL_RULE_HANDLE);
	return true;
}

static int find_all(struct nft *nft, opening_vector *openings, struct nft_reply *reply)
{
	struct others others;
	int r = others_read(nft, &others);

	for (size_t i = 0; i < others.chains.len && r == 0; i++) {
		const struct others_chain *chain = &others.chains.items[i];

		r = others_read_table(&others, chain);
		for (size_t j = 0; j < others.rules.len && r == 0; j++) {
			struct opening opening;

			if (strcmp(others.rules.items[j].chain, chain->name) == 0 &&
			    others_read_opening(chain, others.rules.items[j].kernel, &opening))
				r = vector_append(openings, opening);
		}
	}
	*reply = others.reply;
	others_clear(&others);
	return r;
}

int nft_find_openings(struct firewall *firewall, opening_vector *openings, struct error *error)
{
	struct nft_reply reply = { 0 };
	int r = find_all((struct nft *)firewall, openings, &reply);

	return r < 0 ? nft_error(error, r, &reply, READ) : 0;
}

/* ---- putting in and taking out ---- */

static struct nlmsghdr *begin(struct nft *nft, uint16_t type, uint16_t flags, uint8_t family,
			      const char *table, const char *chain)
{
	struct nlmsghdr *message = nft_batch_message(nft, type, flags, ROOM + 2 * OTHERS_NAME);
	struct nfgenmsg *head;

	if (!message)
		return NULL;
	head = mnl_nlmsg_get_payload(message);
	head->nfgen_family = family;
	mnl_attr_put_strz(message, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, chain);
	return message;
}

static int take_out(struct nft *nft, const struct opening *opening)
{
	struct nlmsghdr *message =
		begin(nft, NFT_MSG_DELRULE, 0, opening->family, opening->table, opening->chain);

	if (!message)
		return -ENOMEM;
	mnl_attr_put_u64(message, NFTA_RULE_HANDLE, htobe64(opening->handle));
	return 0;
}

static struct nlattr *expression_begin(struct nlmsghdr *message, const char *name,
				       struct nlattr **ret_data)
{
	struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);

	mnl_attr_put_strz(message, NFTA_EXPR_NAME, name);
	*ret_data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
	return element;
}

static void expression_end(struct nlmsghdr *message, struct nlattr *element, struct nlattr *data)
{
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, element);
}

static void put_match(struct nlmsghdr *message, bool from, const char *bridge)
{
	char name[IFNAMSIZ] = { 0 };
	struct nlattr *data, *element = expression_begin(message, "meta", &data), *value;

	string_copy(name, sizeof(name), bridge);
	mnl_attr_put_u32(message, NFTA_META_KEY, htonl(from ? NFT_META_IIFNAME : NFT_META_OIFNAME));
	mnl_attr_put_u32(message, NFTA_META_DREG, htonl(NFT_REG_1));
	expression_end(message, element, data);
	element = expression_begin(message, "cmp", &data);
	mnl_attr_put_u32(message, NFTA_CMP_SREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(message, NFTA_CMP_OP, htonl(NFT_CMP_EQ));
	value = mnl_attr_nest_start(message, NFTA_CMP_DATA);
	mnl_attr_put(message, NFTA_DATA_VALUE, sizeof(name), name);
	mnl_attr_nest_end(message, value);
	expression_end(message, element, data);
}

static void put_accept(struct nlmsghdr *message)
{
	struct nlattr *data, *element = expression_begin(message, "counter", &data), *value, *code;

	expression_end(message, element, data);
	element = expression_begin(message, "immediate", &data);
	mnl_attr_put_u32(message, NFTA_IMMEDIATE_DREG, htonl(NFT_REG_VERDICT));
	value = mnl_attr_nest_start(message, NFTA_IMMEDIATE_DATA);
	code = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
	mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(NF_ACCEPT));
	mnl_attr_nest_end(message, code);
	mnl_attr_nest_end(message, value);
	expression_end(message, element, data);
}

/* As the first of the chain. */
static int put_in(struct nft *nft, const struct barrier *barrier, const char *owner,
		  const char *bridge, bool from)
{
	struct nlmsghdr *message = begin(nft, NFT_MSG_NEWRULE, NLM_F_CREATE, barrier->family,
					 barrier->table, barrier->chain);
	char text[sizeof(MARK) + ID_SHORT_LEN];
	struct nft_comment comment;
	struct nlattr *list;

	if (!message)
		return -ENOMEM;
	list = mnl_attr_nest_start(message, NFTA_RULE_EXPRESSIONS);
	put_match(message, from, bridge);
	put_accept(message);
	mnl_attr_nest_end(message, list);
	snprintf(text, sizeof(text), MARK "%.*s", ID_SHORT_LEN, owner);
	nft_comment_text(text, &comment);
	mnl_attr_put(message, NFTA_RULE_USERDATA, comment.len, comment.data);
	return 0;
}

static bool is_at(const struct opening *opening, const struct barrier *barrier)
{
	return opening->family == barrier->family && strcmp(opening->table, barrier->table) == 0 &&
	       strcmp(opening->chain, barrier->chain) == 0;
}

static bool is_to_go(const struct opening *opening, const char *owner,
		     const barrier_vector *barriers)
{
	if (strncmp(opening->owner, owner, ID_SHORT_LEN) != 0)
		return false;
	for (size_t i = 0; barriers && i < barriers->len; i++)
		if (is_at(opening, &barriers->items[i]))
			return true;
	return !barriers;
}

/* 1: there is nothing to do. */
static int gather(struct nft *nft, const opening_vector *openings, const char *owner,
		  const char *bridge, const barrier_vector *barriers)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < openings->len && r == 0; i++) {
		if (!is_to_go(&openings->items[i], owner, barriers))
			continue;
		r = take_out(nft, &openings->items[i]);
		any = true;
	}
	for (size_t i = 0; barriers && i < barriers->len && r == 0; i++) {
		r = put_in(nft, &barriers->items[i], owner, bridge, false);
		if (r == 0)
			r = put_in(nft, &barriers->items[i], owner, bridge, true);
		any = true;
	}
	return r < 0 ? r : !any;
}

static int set_once(struct nft *nft, const char *owner, const char *bridge,
		    const barrier_vector *barriers, struct nft_reply *reply)
{
	CLEANUP_VECTOR opening_vector openings = { 0 };
	uint32_t generation = 0;
	int r = nft_generation(nft, &generation, reply);

	if (r == 0)
		r = find_all(nft, &openings, reply);
	if (r == 0)
		r = nft_batch_begin(nft, generation);
	if (r == 0)
		r = gather(nft, &openings, owner, bridge, barriers);
	if (r != 0)
		return r > 0 ? 0 : r;
	r = FAULT("nft.openings");
	if (r == 0)
		r = nft_batch_commit(nft, NULL, NULL, reply);
	/* what was known of our own base is so still */
	if (r == 0 && nft->generation == generation)
		nft->generation = nft_generation_next(generation);
	return r;
}

/* Each time it is found out anew what there is: so the answer may be lost, or the chain be gone. */
int nft_set_openings(struct firewall *firewall, const char *owner, const char *bridge,
		     const barrier_vector *barriers, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	int r = -ERESTART;

	if (barriers && !barriers->len)
		return 0;
	for (unsigned int i = 0; i < NFT_ATTEMPTS; i++) {
		r = set_once(nft, owner, bridge, barriers, &reply);
		if (r != -ERESTART && r != -EINTR && !reply.lost)
			break;
		r = r == 0 ? 0 : deadline_check(nft->base.deadline) < 0 ? r : -ERESTART;
	}
	return r < 0 ? nft_error(error, r, &reply, CHANGE) : 0;
}
