/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The base: the table, its chains, sets and fixed rules, made and taken away. */
#include <arpa/inet.h>
#include <endian.h>
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
/* Of a bridge, whose first hook has the number of the others' (NF_BR_PRI_NAT_DST_BRIDGED): what is
 * judged has not been translated. <linux/netfilter_bridge.h> does not go with libc's headers. */
#define BEFORE_BR_NETFILTER (-300)

const struct nft_chain nft_chains[CHAIN_COUNT] = {
	[CHAIN_RAW_PREROUTING] = { "raw-prerouting", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW },
	[CHAIN_RAW_SOURCES] = { "sources", NULL, 0, 0 },
	[CHAIN_MANGLE_PREROUTING] = { "mangle-prerouting", "filter", NF_INET_PRE_ROUTING,
				      NF_IP_PRI_MANGLE },
	[CHAIN_MANGLE_DIRECT] = { "direct", NULL, 0, 0 },
	[CHAIN_NAT_PREROUTING] = { "nat-prerouting", "nat", NF_INET_PRE_ROUTING,
				   NF_IP_PRI_NAT_DST + AFTER_OTHERS },
	[CHAIN_NAT_OUTPUT] = { "nat-output", "nat", NF_INET_LOCAL_OUT,
			       NF_IP_PRI_NAT_DST + AFTER_OTHERS },
	[CHAIN_NAT_PORTS] = { "ports", NULL, 0, 0 },
	[CHAIN_FILTER_INPUT] = { "filter-input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER },
	[CHAIN_FILTER_HOST] = { "to-host", NULL, 0, 0 },
	[CHAIN_FILTER_INVALID] = { "unconnected", NULL, 0, 0 },
	[CHAIN_MANGLE_FORWARD] = { "mangle-forward", "filter", NF_INET_FORWARD, NF_IP_PRI_MANGLE },
	[CHAIN_MANGLE_CLAMP] = { "clamp", NULL, 0, 0 },
	[CHAIN_FILTER_FORWARD] = { "filter-forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER },
	[CHAIN_FILTER_USER] = { "BRIDGENET-USER", NULL, 0, 0 },
	[CHAIN_FILTER_TO] = { "to-networks", NULL, 0, 0 },
	[CHAIN_FILTER_SOURCES] = { "sources-of-ports", NULL, 0, 0 },
	[CHAIN_FILTER_PEERS] = { "peers", NULL, 0, 0 },
	[CHAIN_FILTER_TRUSTED] = { "trusted", NULL, 0, 0 },
	[CHAIN_FILTER_OPEN] = { "open-peers", NULL, 0, 0 },
	[CHAIN_FILTER_FROM] = { "from-networks", NULL, 0, 0 },
	[CHAIN_FILTER_GUARD] = { "guard", NULL, 0, 0 },
	[CHAIN_NAT_POSTROUTING] = { "nat-postrouting", "nat", NF_INET_POST_ROUTING,
				    NF_IP_PRI_NAT_SRC + AFTER_OTHERS },
	[CHAIN_FRAMES] = { "frames", "filter", NF_INET_PRE_ROUTING, BEFORE_BR_NETFILTER },
	[CHAIN_FRAMES_JUDGED] = { "frames-judged", NULL, 0, 0 },
	[CHAIN_FRAMES_ALLOWED] = { "frames-allowed", NULL, 0, 0 },
};

const struct nft_table nft_packets = {
	.name = "inet " NFT_TABLE,
	.family = NFPROTO_INET,
	.first_chain = 0,
	.end_chain = CHAIN_FRAMES_FIRST,
	.first = 0,
	.end = NFT_FIXED_OF(RULE_FRAMES_FIRST),
};
const struct nft_table nft_frames = {
	.name = "bridge " NFT_TABLE,
	.family = NFPROTO_BRIDGE,
	.first_chain = CHAIN_FRAMES_FIRST,
	.end_chain = CHAIN_COUNT,
	.first = NFT_FIXED_OF(RULE_FRAMES_FIRST),
	.end = NFT_FIXED,
};

const char *nft_chain_name(enum rule_chain chain)
{
	return chain < CHAIN_COUNT ? nft_chains[chain].name : "";
}

enum rule_chain nft_chain_by_name(const struct nft_table *table, const char *name)
{
	enum rule_chain chain = table->first_chain;

	while (chain < table->end_chain && strcmp(nft_chains[chain].name, name) != 0)
		chain++;
	return chain < table->end_chain ? chain : CHAIN_COUNT;
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
	nft_comment_text(NFT_TABLE_COMMENT, &comment);
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
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, nft_chains[chain].name);
	if (!nft_chains[chain].type)
		return 0;
	hook = mnl_attr_nest_start(message, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(message, NFTA_HOOK_HOOKNUM, htonl(nft_chains[chain].hook));
	mnl_attr_put_u32(message, NFTA_HOOK_PRIORITY, htonl((uint32_t)nft_chains[chain].priority));
	mnl_attr_nest_end(message, hook);
	mnl_attr_put_strz(message, NFTA_CHAIN_TYPE, nft_chains[chain].type);
	return 0;
}

/* nft(8) takes a number of that many bits only from a set that says by which expressions it is
 * looked up in. Its numbers, as those of nftables' src/expression.h and udata. */
enum { TYPEOF_EXPRESSION, TYPEOF_DATA };
enum { EXPRESSION_PAYLOAD = 7, EXPRESSION_META = 9, EXPRESSION_CONCATENATION = 13 };
enum { PAYLOAD_DESCRIPTION, PAYLOAD_TYPE, PAYLOAD_BASE, PAYLOAD_OFFSET, PAYLOAD_LENGTH };

static void put_typeof_field(struct nftnl_udata_buf *data, uint8_t index,
			     const struct nft_field_type *type)
{
	struct nftnl_udata *outer = nftnl_udata_nest_start(data, index), *inner;
	bool meta = !type->header;

	nftnl_udata_put_u32(data, TYPEOF_EXPRESSION, meta ? EXPRESSION_META : EXPRESSION_PAYLOAD);
	inner = nftnl_udata_nest_start(data, TYPEOF_DATA);
	if (meta) {
		nftnl_udata_put_u32(data, 0, type->place);
	} else {
		nftnl_udata_put_u32(data, PAYLOAD_DESCRIPTION, 0);
		nftnl_udata_put_u32(data, PAYLOAD_TYPE, 0);
		nftnl_udata_put_u32(data, PAYLOAD_BASE, type->header + 1u);
		nftnl_udata_put_u32(data, PAYLOAD_OFFSET, type->place * 8u);
		nftnl_udata_put_u32(data, PAYLOAD_LENGTH, type->size * 8u);
	}
	nftnl_udata_nest_end(data, inner);
	nftnl_udata_nest_end(data, outer);
}

static void put_typeof(struct nftnl_udata_buf *data, const struct nft_fixed *fixed)
{
	struct nftnl_udata *outer = nftnl_udata_nest_start(data, NFTNL_UDATA_SET_KEY_TYPEOF);
	struct nftnl_udata *inner;

	nftnl_udata_put_u32(data, TYPEOF_EXPRESSION, EXPRESSION_CONCATENATION);
	inner = nftnl_udata_nest_start(data, TYPEOF_DATA);
	for (uint8_t i = 0; i < FIELDS_MAX && fixed->key[i]; i++)
		put_typeof_field(data, i, &nft_fields[fixed->key[i]]);
	nftnl_udata_nest_end(data, inner);
	nftnl_udata_nest_end(data, outer);
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
	if (memchr(fixed->key, FIELD_TARGET6, FIELDS_MAX))
		put_typeof(data, fixed);
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

uint32_t nft_set_flags(const struct nft_fixed *fixed)
{
	uint32_t flags = fixed->value[0] ? NFT_SET_MAP : 0;

	switch (nft_fixed_ranges(fixed)) {
	case RANGES_SINGLE:
		return flags | NFT_SET_INTERVAL;
	case RANGES_CONCATENATED:
		return flags | NFT_SET_INTERVAL | NFT_SET_CONCAT;
	case RANGES_NONE:
		break;
	}
	return flags;
}

/* Of lines in the log, of each element. */
static int set_limit(struct nftnl_set *set)
{
	struct nftnl_expr *limit = nftnl_expr_alloc("limit");

	if (!limit)
		return -ENOMEM;
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, LOG_RATE);
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, LOG_BURST);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_set_add_expr(set, limit);
	return 0;
}

/* What each element has. The kernel stops at the first that does not match, so that only what is
 * met by the rule is counted. Ours say their own number of connections; others' have none. */
static int set_expressions(struct nftnl_set *set, size_t id)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);
	struct nftnl_expr *expression;

	if (fixed->counts) {
		expression = nftnl_expr_alloc("connlimit");
		if (!expression)
			return -ENOMEM;
		nftnl_expr_set_u32(expression, NFTNL_EXPR_CONNLIMIT_COUNT, UINT32_MAX);
		nftnl_expr_set_u32(expression, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
		nftnl_set_add_expr(set, expression);
	}
	if (fixed->part)
		return 0;
	if (nft_fixed_extra(id) & NFT_LOGS && set_limit(set) < 0)
		return -ENOMEM;
	expression = nftnl_expr_alloc("counter");
	if (!expression)
		return -ENOMEM;
	nftnl_set_add_expr(set, expression);
	return 0;
}

static int set_fill(const struct nft *nft, struct nftnl_set *set, size_t id, const char *table)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);
	struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(256);
	bool several = nft_fixed_extra(id) && !fixed->part;
	int r = data ? set_expressions(set, id) : -ENOMEM;

	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, table) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, fixed->set) < 0)
		r = -ENOMEM;
	nftnl_set_set_u32(set, NFTNL_SET_ID, (uint32_t)id + 1);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, nft->table->family);
	/* without which the kernel takes one expression alone */
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS,
			  nft_set_flags(fixed) | (several ? NFT_SET_EXPR : 0));
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

int nft_set_add(struct nft *nft, size_t id, const char *table)
{
	struct nftnl_set *set = nftnl_set_alloc();
	struct nlmsghdr *message;
	int r = -ENOMEM;

	if (!set)
		return -ENOMEM;
	message = nft_batch_message(nft, NFT_MSG_NEWSET, NLM_F_CREATE, OBJECT_ROOM);
	if (message)
		r = set_fill(nft, set, id, table);
	if (r == 0)
		nftnl_set_nlmsg_build_payload(message, set);
	nftnl_set_free(set);
	return r;
}

bool nft_has_set(size_t id)
{
	return nft_fixed_at(id) && nft_fixed_at(id)->set && nft_fixed_is_here(id);
}

/* In the place of what it has become; or before the next of our rules that stands, so that the
 * order is the right one; else at the end. */
static int rule_add(struct nft *nft, const struct nft_base_state *state, size_t index)
{
	enum rule_chain chain = kind_of(nft_fixed_kind(index))->chain;
	uint64_t before = 0, altered = state->altered[index];
	struct nftnl_rule *rule;
	struct nlmsghdr *message;
	size_t next = index + 1;

	while (!before && next < NFT_FIXED && kind_of(nft_fixed_kind(next))->chain == chain) {
		before = state->handle[next] ? state->handle[next] : state->altered[next];
		next++;
	}
	message = nft_batch_message(nft, NFT_MSG_NEWRULE,
				    altered ? NLM_F_REPLACE :
				    before  ? NLM_F_CREATE :
					      NLM_F_CREATE | NLM_F_APPEND,
				    OBJECT_ROOM);
	if (!message)
		return -ENOMEM;
	rule = nft_fixed_build(index);
	if (!rule)
		return -ENOMEM;
	if (altered)
		nftnl_rule_set_u64(rule, NFTNL_RULE_HANDLE, altered);
	else if (before)
		nftnl_rule_set_u64(rule, NFTNL_RULE_POSITION, before);
	nftnl_rule_nlmsg_build_payload(message, rule);
	nftnl_rule_free(rule);
	return 0;
}

int nft_rule_delete(struct nft *nft, enum rule_chain chain, uint64_t handle)
{
	struct nlmsghdr *message =
		nft_object_message(nft, NFT_MSG_DELRULE, 0, NFTA_RULE_TABLE, OBJECT_ROOM);

	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, nft_chain_name(chain));
	mnl_attr_put_u64(message, NFTA_RULE_HANDLE, htobe64(handle));
	return 0;
}

/* After the chains: in a batch that puts the table in force the kernel takes no new base chain
 * any more. */
static int table_wake(struct nft *nft, const struct nft_base_state *state)
{
	struct nlmsghdr *message;

	if (!(state->table_flags & NFT_TABLE_F_DORMANT))
		return 0;
	message = nft_object_message(nft, NFT_MSG_NEWTABLE, 0, NFTA_TABLE_NAME, OBJECT_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_u32(message, NFTA_TABLE_FLAGS,
			 htonl(state->table_flags & ~(uint32_t)NFT_TABLE_F_DORMANT));
	return 0;
}

/* Does that part of the base belong there now? */
static bool is_due(size_t id, uint32_t extra)
{
	return !(nft_fixed_extra(id) & ~extra);
}

int nft_base_add(struct nft *nft, const struct nft_base_state *state, uint32_t extra)
{
	int r = state->table ? 0 : table_add(nft);

	for (size_t i = 0; r == 0 && i < state->copies.len; i++)
		r = nft_rule_delete(nft, state->copies.items[i].chain,
				    state->copies.items[i].handle);
	for (enum rule_chain i = nft->table->first_chain; r == 0 && i < nft->table->end_chain; i++)
		r = state->chain[i] ? 0 : chain_add(nft, i);
	for (size_t i = nft->table->first; r == 0 && i < nft->table->end; i++) {
		if (nft_has_set(i) && !state->set[i] && is_due(i, extra))
			r = nft_set_add(nft, i, NFT_TABLE);
	}
	for (size_t i = nft->table->first; r == 0 && i < nft->table->end; i++) {
		if (nft_fixed_has_rule(i) && !state->handle[i] && is_due(i, extra))
			r = rule_add(nft, state, i);
	}
	return r == 0 ? table_wake(nft, state) : r;
}

int nft_base_check(const struct nft_base_state *state, struct error *error)
{
	if (state->stranger[0])
		return error_set(error, -EEXIST, BN_REASON_KERNEL, "%s", state->stranger);
	if (state->table && !state->own && state->table_flags & NFT_TABLE_F_DORMANT)
		return error_set(
			error, -EEXIST, BN_REASON_KERNEL,
			"the nftables table %s is not ours, and dormant: none of its rules would "
			"be in force; clear its flag, or rename or delete it",
			state->of->name);
	return 0;
}

/* ---- asking ---- */

/* In a transaction that can't be made: the last message is about a table that is not there. Where
 * the chain is refused, or the table, that is said first. */
int nft_can_have(struct nft *nft, struct error *error)
{
	static const char nobodys[] = NFT_TABLE "-nobodys";
	struct nft_reply reply = { 0 };
	struct nlmsghdr *message;
	uint32_t last;
	int r = nft_batch_begin(nft, 0);

	if (r == 0)
		r = table_add(nft);
	if (r == 0)
		r = chain_add(nft, nft->table->first_chain);
	message = r == 0 ? nft_batch_message(nft, NFT_MSG_DELTABLE, 0, OBJECT_ROOM) : NULL;
	if (!message)
		return error_oom(error);
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, nobodys);
	last = nft->sequence;
	r = nft_batch_commit(nft, NULL, NULL, &reply);
	if (r == 0 || !reply.code)
		return r < 0 ? nft_error(error, r, &reply, "ask for nftables tables") : 1;
	/* what stands there already has its say when it is used */
	return reply.sequence == last || r == -EEXIST || r == -EPERM || r == -EBUSY;
}

int nft_element_found(const struct nft_element_view *view, void *found)
{
	*(bool *)found |= !view->end;
	return 0;
}

int nft_present(struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply;
	bool found = false;
	int r = 0;

	for (size_t i = nft->table->first; i < nft->table->end && !found; i++) {
		/* that of an extra may be missing, and says nothing that the others don't */
		if (!nft_has_set(i) || nft_fixed_extra(i) ||
		    kind_of(nft_fixed_kind(i))->scope != PLAN_NETWORKS)
			continue;
		r = nft_set_dump(nft, i, nft_element_found, &found, &reply);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return nft_error(error, r, &reply, "read the nftables rules");
	}
	return found;
}

static int table_message(const struct nlmsghdr *message, void *data)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(message);
	bool may_be_ours = head->nfgen_family == NFPROTO_INET ||
			   head->nfgen_family == NFPROTO_BRIDGE;
	const struct nlattr *attributes[NFTA_TABLE_NAME + 1];

	netlink_attributes(message, sizeof(*head), attributes, NFTA_TABLE_NAME);
	if (attributes[NFTA_TABLE_NAME] &&
	    (!may_be_ours || strcmp(mnl_attr_get_str(attributes[NFTA_TABLE_NAME]), NFT_TABLE) != 0))
		*(bool *)data = true;
	return 0;
}

int nft_in_use(struct firewall *firewall, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	struct nlmsghdr *message;
	struct nfgenmsg *head;
	bool found = false;
	int r;

	nft_requests_begin(nft);
	message = nft_batch_message(nft, NFT_MSG_GETTABLE, NLM_F_DUMP, 0);
	r = message ? 0 : -ENOMEM;
	if (r == 0) {
		/* those of all families: iptables-nft(8) has its own in ip and ip6 */
		head = mnl_nlmsg_get_payload(message);
		head->nfgen_family = NFPROTO_UNSPEC;
	}
	if (r == 0)
		r = nft_batch_send(nft, table_message, &found, &reply);
	return r < 0 ? nft_error(error, r, &reply, "read the nftables tables") : found;
}
