/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The base: the table, its chains, sets and fixed rules, made and taken away. */
#include <arpa/inet.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter_ipv4.h>

#include "firewall/nft/nft.h"

#define OBJECT_ROOM 4096
/* The first translation of a connection is the only one: the administrator's own comes before ours.
 * Of two chains of one priority the kernel asks the younger first. */
#define AFTER_OTHERS 5

static const struct {
	const char *name;
	const char *type; /* NULL: not a base chain */
	uint32_t hook;
	int priority;
} chains[CHAIN_COUNT] = {
	[CHAIN_RAW_PREROUTING] = { "raw-prerouting", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW },
	[CHAIN_RAW_SOURCES] = { "sources", NULL, 0, 0 },
	[CHAIN_NAT_PREROUTING] = { "nat-prerouting", "nat", NF_INET_PRE_ROUTING,
				   NF_IP_PRI_NAT_DST + AFTER_OTHERS },
	[CHAIN_NAT_OUTPUT] = { "nat-output", "nat", NF_INET_LOCAL_OUT,
			       NF_IP_PRI_NAT_DST + AFTER_OTHERS },
	[CHAIN_NAT_PORTS] = { "ports", NULL, 0, 0 },
	[CHAIN_FILTER_FORWARD] = { "filter-forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER },
	[CHAIN_FILTER_USER] = { "BRIDGENET-USER", NULL, 0, 0 },
	[CHAIN_FILTER_TO] = { "to-networks", NULL, 0, 0 },
	[CHAIN_FILTER_FROM] = { "from-networks", NULL, 0, 0 },
	[CHAIN_NAT_POSTROUTING] = { "nat-postrouting", "nat", NF_INET_POST_ROUTING,
				    NF_IP_PRI_NAT_SRC + AFTER_OTHERS },
};

const char *nft_chain_name(enum rule_chain chain)
{
	return chain < CHAIN_COUNT ? chains[chain].name : "";
}

/* CHAIN_COUNT: none of ours. */
static enum rule_chain nft_chain_by_name(const char *name)
{
	enum rule_chain chain = 0;

	while (chain < CHAIN_COUNT && strcmp(chains[chain].name, name) != 0)
		chain++;
	return chain;
}

/* ---- making ---- */

static int table_add(struct nft *nft)
{
	struct nlmsghdr *message;
	struct nft_comment comment;

	message = nft_object_message(nft, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFTA_TABLE_NAME,
				     OBJECT_ROOM);
	if (!message)
		return -ENOMEM;
	nft_comment_text("bridgenet: networks, endpoints and published ports", &comment);
	mnl_attr_put(message, NFTA_TABLE_USERDATA, comment.len, comment.data);
	return 0;
}

static int chain_add(struct nft *nft, enum rule_chain chain)
{
	struct nlmsghdr *message;
	struct nlattr *hook;

	message = nft_object_message(nft, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFTA_CHAIN_TABLE,
				     OBJECT_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, chains[chain].name);
	if (!chains[chain].type)
		return 0;
	hook = mnl_attr_nest_start(message, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(message, NFTA_HOOK_HOOKNUM, htonl(chains[chain].hook));
	mnl_attr_put_u32(message, NFTA_HOOK_PRIORITY, htonl((uint32_t)chains[chain].priority));
	mnl_attr_nest_end(message, hook);
	mnl_attr_put_strz(message, NFTA_CHAIN_TYPE, chains[chain].type);
	return 0;
}

/* nft(8) keeps the byte order of keys and values here: 0 for several fields, 1 host, 2 network. */
static void set_userdata(const struct nft_fixed *fixed, struct nftnl_udata_buf *data)
{
	bool host_order = nft_fields[fixed->key[0]].host_order;

	nftnl_udata_put_u32(data, NFTNL_UDATA_SET_KEYBYTEORDER,
			    fixed->key[1] ? 0 :
			    host_order    ? 1 :
					    2);
	if (fixed->value[0])
		nftnl_udata_put_u32(data, NFTNL_UDATA_SET_DATABYTEORDER, 0);
}

/* A set of ranges of several fields, and how long each field is. */
static int set_fill_ranges(struct nftnl_set *set, const struct nft_fixed *fixed)
{
	uint8_t lengths[FIELDS_MAX];
	uint32_t len = 0;

	while (len < FIELDS_MAX && fixed->key[len]) {
		lengths[len] = nft_fields[fixed->key[len]].size;
		len++;
	}
	return nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, lengths, len) < 0 ? -ENOMEM : 0;
}

static uint32_t set_flags(const struct nft_fixed *fixed)
{
	switch (nft_fixed_ranges(fixed)) {
	case RANGES_SINGLE:
		return NFT_SET_INTERVAL;
	case RANGES_CONCATENATED:
		return NFT_SET_INTERVAL | NFT_SET_CONCAT;
	case RANGES_NONE:
		break;
	}
	return fixed->value[0] ? NFT_SET_MAP : 0;
}

static int set_fill(struct nftnl_set *set, uint32_t id, const struct nft_fixed *fixed)
{
	struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(64);
	struct nftnl_expr *counter = fixed->part ? NULL : nftnl_expr_alloc("counter");
	int r = data && (counter || fixed->part) ? 0 : -ENOMEM;

	if (counter)
		nftnl_set_add_expr(set, counter);
	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, NFT_TABLE) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, fixed->set) < 0)
		r = -ENOMEM;
	nftnl_set_set_u32(set, NFTNL_SET_ID, id);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, set_flags(fixed));
	if (nft_fixed_ranges(fixed) == RANGES_CONCATENATED && set_fill_ranges(set, fixed) < 0)
		r = -ENOMEM;
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, nft_fields_type(fixed->key));
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, (uint32_t)nft_fields_size(fixed->key));
	if (fixed->value[0]) {
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, nft_fields_type(fixed->value));
		nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, (uint32_t)nft_fields_size(fixed->value));
	}
	if (data) {
		set_userdata(fixed, data);
		if (nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data),
				       nftnl_udata_buf_len(data)) < 0)
			r = -ENOMEM;
		nftnl_udata_buf_free(data);
	}
	return r;
}

static int set_add(struct nft *nft, size_t id)
{
	struct nftnl_set *set = nftnl_set_alloc();
	struct nlmsghdr *message;
	int r = -ENOMEM;

	if (!set)
		return -ENOMEM;
	message = nft_batch_message(nft, NFT_MSG_NEWSET, NLM_F_CREATE, OBJECT_ROOM);
	if (message)
		r = set_fill(set, (uint32_t)id + 1, nft_fixed_at(id));
	if (r == 0)
		nftnl_set_nlmsg_build_payload(message, set);
	nftnl_set_free(set);
	return r;
}

static bool has_set(size_t id)
{
	return nft_fixed_at(id) && nft_fixed_at(id)->set;
}

/* Before the next of our rules that stands, so that the order is the right one; else at the end. */
static int rule_add(struct nft *nft, const struct nft_base_state *state, size_t index)
{
	enum rule_chain chain = kind_of(nft_fixed_kind(index))->chain;
	struct nftnl_rule *rule;
	struct nlmsghdr *message;
	size_t next = index + 1;
	uint64_t before = 0;

	while (!before && next < NFT_FIXED && kind_of(nft_fixed_kind(next))->chain == chain)
		before = state->handle[next++];
	message = nft_batch_message(nft, NFT_MSG_NEWRULE,
				    before ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_APPEND,
				    OBJECT_ROOM);
	if (!message)
		return -ENOMEM;
	rule = nft_fixed_build(index);
	if (!rule)
		return -ENOMEM;
	if (before)
		nftnl_rule_set_u64(rule, NFTNL_RULE_POSITION, before);
	nftnl_rule_nlmsg_build_payload(message, rule);
	nftnl_rule_free(rule);
	return 0;
}

int nft_base_add(struct nft *nft, const struct nft_base_state *state)
{
	int r = table_add(nft);

	for (enum rule_chain i = 0; r == 0 && i < CHAIN_COUNT; i++)
		r = chain_add(nft, i);
	for (size_t i = 0; r == 0 && i < NFT_FIXED; i++) {
		if (has_set(i))
			r = set_add(nft, i);
	}
	for (size_t i = 0; r == 0 && i < NFT_FIXED; i++) {
		if (nft_fixed_has_rule(i) && !state->handle[i])
			r = rule_add(nft, state, i);
	}
	return r;
}

/* ---- reading ---- */

void nft_base_state_clear(struct nft_base_state *state)
{
	rules_clear(&state->foreign);
	memset(state, 0, sizeof(*state));
}

struct reader {
	struct nft_base_state *state;
	char (*expected)[RULE_TEXT_MAX];
	size_t next[CHAIN_COUNT]; /* our rules count only in their order */
};

static int counter_read(struct nftnl_expr *expression, void *data)
{
	struct rule *rule = data;

	if (strcmp(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME), "counter") == 0) {
		rule->packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
		rule->bytes = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
	}
	return 0;
}

static int rule_read(struct nftnl_rule *kernel, struct reader *reader)
{
	struct nft_base_state *state = reader->state;
	enum rule_chain chain = nft_chain_by_name(nftnl_rule_get_str(kernel, NFTNL_RULE_CHAIN));
	struct rule read = { .kind = RULE_FOREIGN, .chain = chain };
	char text[RULE_TEXT_MAX];

	/* A chain that someone else made in our table has no place in the listing. */
	if (chain == CHAIN_COUNT)
		return 0;
	nftnl_expr_foreach(kernel, counter_read, &read);
	read.handle = nftnl_rule_get_u64(kernel, NFTNL_RULE_HANDLE);
	nft_rule_text(kernel, text);
	for (size_t i = reader->next[chain]; i < NFT_FIXED; i++) {
		if (!nft_fixed_has_rule(i) || kind_of(nft_fixed_kind(i))->chain != chain ||
		    strcmp(text, reader->expected[i]) != 0)
			continue;
		state->handle[i] = read.handle;
		state->packets[i] = read.packets;
		state->bytes[i] = read.bytes;
		reader->next[chain] = i + 1;
		return 0;
	}
	if (vector_append(&state->foreign, read) < 0)
		return -ENOMEM;
	return nft_foreign_decode(kernel, &state->foreign.items[state->foreign.len - 1]);
}

static int rule_message(const struct nlmsghdr *message, void *data)
{
	struct nftnl_rule *rule;
	int r = 0;

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWRULE)
		return 0;
	rule = nftnl_rule_alloc();
	if (!rule)
		return -ENOMEM;
	if (nftnl_rule_nlmsg_parse(message, rule) == 0)
		r = rule_read(rule, data);
	nftnl_rule_free(rule);
	return r;
}

static int expected_texts(char texts[][RULE_TEXT_MAX])
{
	for (size_t i = 0; i < NFT_FIXED; i++) {
		struct nftnl_rule *rule;

		if (!nft_fixed_has_rule(i))
			continue;
		rule = nft_fixed_build(i);
		if (!rule)
			return -ENOMEM;
		nft_rule_text(rule, texts[i]);
		nftnl_rule_free(rule);
	}
	return 0;
}

int nft_base_state_read(struct nft *nft, struct nft_base_state *state, struct nft_reply *reply)
{
	CLEANUP_FREE char(*expected)[RULE_TEXT_MAX] = calloc(NFT_FIXED, sizeof(*expected));
	struct reader reader = { .state = state, .expected = expected };

	memset(reply, 0, sizeof(*reply));
	if (!expected || expected_texts(expected) < 0)
		return -ENOMEM;
	nft_requests_begin(nft);
	if (!nft_object_message(nft, NFT_MSG_GETRULE, NLM_F_DUMP, NFTA_RULE_TABLE, OBJECT_ROOM))
		return -ENOMEM;
	return nft_batch_send(nft, rule_message, &reader, reply);
}

/* ---- asking ---- */

/* nft(8) also writes where the first range does not begin yet, into a set without any. */
static int element_found(const struct nft_element_view *view, void *data)
{
	*(bool *)data |= !view->end;
	return 0;
}

int nft_present(struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply;
	bool found = false;
	int r = 0;

	for (size_t i = 0; i < NFT_FIXED && !found; i++) {
		if (!has_set(i) || kind_of(nft_fixed_kind(i))->scope != PLAN_NETWORKS)
			continue;
		r = nft_set_dump(nft, i, element_found, &found, &reply);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return nft_error(error, r, &reply, "read the nftables rules");
	}
	return found;
}

static int table_message(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attributes[NFTA_TABLE_NAME + 1];

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_TABLE_NAME);
	if (attributes[NFTA_TABLE_NAME] &&
	    strcmp(mnl_attr_get_str(attributes[NFTA_TABLE_NAME]), NFT_TABLE) != 0)
		*(bool *)data = true;
	return 0;
}

int nft_in_use(struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	bool found = false;
	int r;

	nft_requests_begin(nft);
	r = nft_batch_message(nft, NFT_MSG_GETTABLE, NLM_F_DUMP, 0) ? 0 : -ENOMEM;
	if (r == 0)
		r = nft_batch_send(nft, table_message, &found, &reply);
	return r < 0 ? nft_error(error, r, &reply, "read the nftables tables") : found;
}

/* ---- taking away ---- */

struct base {
	struct nft_base_state state;
	bool chain[CHAIN_COUNT], set[NFT_FIXED]; /* to be deleted */
	bool keep[CHAIN_COUNT];                  /* it holds somebody's rule */
	bool in_use;                             /* a set has an element */
	bool foreign;
	bool found; /* a chain or a set to be deleted */
};

static int chain_message(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attributes[NFTA_CHAIN_MAX + 1];
	struct base *base = data;
	enum rule_chain chain;

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_CHAIN_MAX);
	if (!attributes[NFTA_CHAIN_TABLE] || !attributes[NFTA_CHAIN_NAME] ||
	    strcmp(mnl_attr_get_str(attributes[NFTA_CHAIN_TABLE]), NFT_TABLE) != 0)
		return 0;
	chain = nft_chain_by_name(mnl_attr_get_str(attributes[NFTA_CHAIN_NAME]));
	if (chain < CHAIN_COUNT && !base->keep[chain])
		base->chain[chain] = base->found = true;
	return 0;
}

static int base_read(struct nft *nft, struct base *base, struct nft_reply *reply)
{
	int r = nft_base_state_read(nft, &base->state, reply);

	for (size_t i = 0; r == 0 && i < base->state.foreign.len; i++)
		base->foreign = base->keep[base->state.foreign.items[i].chain] = true;
	/* The administrator's rules stay in force. */
	if (base->keep[CHAIN_FILTER_USER])
		base->keep[CHAIN_FILTER_FORWARD] = true;
	for (size_t i = 0; r == 0 && i < NFT_FIXED; i++) {
		if (!has_set(i))
			continue;
		r = nft_set_dump(nft, i, element_found, &base->in_use, reply);
		base->set[i] = r == 0;
		base->found |= base->set[i];
		if (r == -ENOENT)
			r = 0;
	}
	if (r < 0)
		return r;
	nft_requests_begin(nft);
	if (!nft_batch_message(nft, NFT_MSG_GETCHAIN, NLM_F_DUMP, 0))
		return -ENOMEM;
	return nft_batch_send(nft, chain_message, base, reply);
}

/* Rules before the chains they jump to and the sets they look into. */
static int parts_delete(struct nft *nft, const struct base *base)
{
	struct nlmsghdr *message;

	for (size_t i = 0; i < NFT_FIXED; i++) {
		if (!base->state.handle[i] ||
		    (nft_fixed_kind(i) == RULE_USER_JUMP && base->keep[CHAIN_FILTER_USER]))
			continue;
		message = nft_object_message(nft, NFT_MSG_DELRULE, 0, NFTA_RULE_TABLE, OBJECT_ROOM);
		if (!message)
			return -ENOMEM;
		mnl_attr_put_strz(message, NFTA_RULE_CHAIN,
				  nft_chain_name(kind_of(nft_fixed_kind(i))->chain));
		mnl_attr_put_u64(message, NFTA_RULE_HANDLE, htobe64(base->state.handle[i]));
	}
	for (size_t i = 0; i < CHAIN_COUNT; i++) {
		if (!base->chain[i])
			continue;
		message =
			nft_object_message(nft, NFT_MSG_DELCHAIN, 0, NFTA_CHAIN_TABLE, OBJECT_ROOM);
		if (!message)
			return -ENOMEM;
		mnl_attr_put_strz(message, NFTA_CHAIN_NAME, chains[i].name);
	}
	for (size_t i = 0; i < NFT_FIXED; i++) {
		if (!base->set[i])
			continue;
		message = nft_object_message(nft, NFT_MSG_DELSET, 0, NFTA_SET_TABLE, OBJECT_ROOM);
		if (!message)
			return -ENOMEM;
		mnl_attr_put_strz(message, NFTA_SET_NAME, nft_fixed_at(i)->set);
	}
	return 0;
}

static int base_delete(struct nft *nft, struct nft_reply *reply)
{
	struct base base = { 0 };
	uint32_t generation = 0;
	int r = nft_generation(nft, &generation, reply);

	if (r == 0)
		r = base_read(nft, &base, reply);
	if (r < 0 || base.in_use || !base.found)
		goto out;
	/* Whatever is decided here holds only for the rule set that was read. */
	r = nft_batch_begin(nft, generation);
	if (r == 0 && base.foreign)
		r = parts_delete(nft, &base);
	else if (r == 0 &&
		 !nft_object_message(nft, NFT_MSG_DELTABLE, 0, NFTA_TABLE_NAME, OBJECT_ROOM))
		r = -ENOMEM;
	if (r == 0)
		r = nft_batch_commit(nft, reply);
out:
	nft_base_state_clear(&base.state);
	return r;
}

/* It begins with a look, so it also tells what became of one whose answer was lost. */
static int base_delete_again(struct nft *nft, struct nft_reply *reply)
{
	const struct deadline *deadline = nft->base.deadline;
	const struct deadline look = deadline_after(OUTCOME_LOOK_MS);
	int r = OUTCOME_UNKNOWN;

	nft->base.deadline = &look;
	for (int i = 0; i < OUTCOME_LOOKS && r != 0 && r != -ERESTART; i++)
		r = base_delete(nft, reply);
	nft->base.deadline = deadline;
	return r == 0 || r == -ERESTART ? r : OUTCOME_UNKNOWN;
}

int nft_remove_base(struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	int r = -ERESTART;

	for (int i = 0; i < NFT_ATTEMPTS && r == -ERESTART; i++) {
		r = base_delete(nft, &reply);
		if (reply.lost)
			r = base_delete_again(nft, &reply);
	}
	if (r == OUTCOME_UNKNOWN)
		return error_unknown_outcome(error, "remove the nftables base");
	return r < 0 ? nft_error(error, r, &reply, "remove the nftables base") : 0;
}
