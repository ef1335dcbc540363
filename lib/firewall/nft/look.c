/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the base stands in the kernel, and what else is there in its place. */
#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h> /* libnftnl's headers use FILE */

#include <libnftnl/rule.h>

#include "firewall/nft/nft.h"

#define LOOK_ROOM 256

void nft_base_state_clear(struct nft_base_state *state)
{
	rules_clear(&state->foreign);
	free(state->copies.items);
	memset(state, 0, sizeof(*state));
}

struct reader {
	struct nft_base_state *state;
	struct nft *nft;              /* with its digests */
	char (*texts)[RULE_TEXT_MAX]; /* of the fixed rules; NULL: not needed yet */
	size_t next[CHAIN_COUNT];     /* our rules count only in their order */
};

/* ---- table, chains and sets ---- */

static uint32_t number_of(const struct nlattr *attribute)
{
	return attribute && mnl_attr_validate(attribute, MNL_TYPE_U32) == 0 ?
		       ntohl(mnl_attr_get_u32(attribute)) :
		       0;
}

static bool text_is(const struct nlattr *attribute, const char *text)
{
	return attribute && mnl_attr_get_payload_len(attribute) == strlen(text) + 1 &&
	       memcmp(mnl_attr_get_payload(attribute), text, strlen(text) + 1) == 0;
}

static void table_read(const struct nlmsghdr *message, struct nft_base_state *state)
{
	const struct nlattr *attributes[NFTA_TABLE_MAX + 1], *userdata;
	struct nft_comment comment;

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_TABLE_MAX);
	if (!text_is(attributes[NFTA_TABLE_NAME], NFT_TABLE))
		return;
	nft_comment_text(NFT_TABLE_COMMENT, &comment);
	userdata = attributes[NFTA_TABLE_USERDATA];
	state->table = true;
	state->own = userdata && mnl_attr_get_payload_len(userdata) == comment.len &&
		     memcmp(mnl_attr_get_payload(userdata), comment.data, comment.len) == 0;
	state->table_flags = number_of(attributes[NFTA_TABLE_FLAGS]);
}

static void say_stranger(struct nft_base_state *state, const char *what, const char *name,
			 const char *how)
{
	if (!state->stranger[0])
		snprintf(state->stranger, sizeof(state->stranger),
			 "%s %s of the nftables table %s is not ours (%s): rename or delete it",
			 what, name, state->of->name, how);
}

static void say_strange_chain(struct nft_base_state *state, const char *name,
			      const struct nlattr *type, const struct nlattr *const *hook)
{
	static const char *const hooks[] = {
		[NF_INET_PRE_ROUTING] = "prerouting",   [NF_INET_LOCAL_IN] = "input",
		[NF_INET_FORWARD] = "forward",          [NF_INET_LOCAL_OUT] = "output",
		[NF_INET_POST_ROUTING] = "postrouting", [NF_INET_INGRESS] = "ingress",
	};
	uint32_t number = number_of(hook[NFTA_HOOK_HOOKNUM]);
	char how[80] = "it has no hook";

	if (type)
		snprintf(how, sizeof(how), "type %.16s, hook %s, priority %d",
			 mnl_attr_get_str(type), number < ARRAY_SIZE(hooks) ? hooks[number] : "?",
			 (int)number_of(hook[NFTA_HOOK_PRIORITY]));
	say_stranger(state, "chain", name, how);
}

/* Its policy, and what else is said of it, are its maker's business. */
static void chain_read(const struct nlmsghdr *message, struct nft_base_state *state)
{
	const struct nlattr *attributes[NFTA_CHAIN_MAX + 1], *hook[NFTA_HOOK_MAX + 1];
	const struct nft_chain *ours;
	enum rule_chain chain;

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_CHAIN_MAX);
	if (!text_is(attributes[NFTA_CHAIN_TABLE], NFT_TABLE) || !attributes[NFTA_CHAIN_NAME])
		return;
	chain = nft_chain_by_name(state->of, mnl_attr_get_str(attributes[NFTA_CHAIN_NAME]));
	if (chain == CHAIN_COUNT)
		return;
	ours = &nft_chains[chain];
	netlink_nested(attributes[NFTA_CHAIN_HOOK], hook, NFTA_HOOK_MAX);
	state->chain[chain] =
		ours->type ? text_is(attributes[NFTA_CHAIN_TYPE], ours->type) &&
				     number_of(hook[NFTA_HOOK_HOOKNUM]) == ours->hook &&
				     (int)number_of(hook[NFTA_HOOK_PRIORITY]) == ours->priority :
			     !attributes[NFTA_CHAIN_HOOK];
	state->settled[chain] = attributes[NFTA_CHAIN_POLICY] &&
				number_of(attributes[NFTA_CHAIN_POLICY]) != NF_ACCEPT;
	if (!state->chain[chain])
		say_strange_chain(state, ours->name, attributes[NFTA_CHAIN_TYPE], hook);
}

/* Flags that say what a set can take; others tell how it was made. */
#define SET_FORM                                                                                   \
	(NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_TIMEOUT | \
	 NFT_SET_EVAL | NFT_SET_OBJECT | NFT_SET_CONCAT)

static bool set_is_ours(size_t id, const struct nlattr *const *attributes)
{
	const struct nft_fixed *fixed = nft_fixed_at(id);
	bool map = fixed->value[0];

	return (number_of(attributes[NFTA_SET_FLAGS]) & SET_FORM) == nft_set_flags(fixed) &&
	       number_of(attributes[NFTA_SET_KEY_TYPE]) == nft_fields_type(fixed->key) &&
	       number_of(attributes[NFTA_SET_KEY_LEN]) == nft_fields_size(fixed->key) &&
	       (!map ||
		(number_of(attributes[NFTA_SET_DATA_TYPE]) == nft_fields_type(fixed->value) &&
		 number_of(attributes[NFTA_SET_DATA_LEN]) == nft_fields_size(fixed->value)));
}

static void set_read(const struct nlmsghdr *message, struct nft_base_state *state)
{
	const struct nlattr *attributes[NFTA_SET_MAX + 1];

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_SET_MAX);
	for (size_t i = state->of->first; i < state->of->end; i++) {
		if (!nft_fixed_at(i) || !nft_fixed_at(i)->set ||
		    !text_is(attributes[NFTA_SET_NAME], nft_fixed_at(i)->set))
			continue;
		state->set[i] = set_is_ours(i, attributes);
		if (!state->set[i])
			say_stranger(state, nft_fixed_at(i)->value[0] ? "map" : "set",
				     nft_fixed_at(i)->set, "its keys, values or flags are others");
	}
}

/* ---- rules ---- */

/* A rule that was read. */
struct found_rule {
	enum rule_chain chain;
	uint64_t digest;
	const char *text; /* NULL: the digest says it */
};

/* The first of our rules that it is, from that one on; NFT_FIXED: none. */
static size_t find_fixed(const struct reader *reader, const struct found_rule *found, size_t first)
{
	for (; first < NFT_FIXED; first++) {
		if (kind_of(nft_fixed_kind(first))->chain != found->chain ||
		    !nft_fixed_has_rule(first))
			continue;
		if (found->text ? strcmp(found->text, reader->texts[first]) == 0 :
				  found->digest == reader->nft->digests[first])
			break;
	}
	return first;
}

static bool is_fixed(struct reader *reader, const struct found_rule *found, const struct rule *read)
{
	struct nft_base_state *state = reader->state;
	size_t id = find_fixed(reader, found, reader->next[found->chain]);

	if (id == NFT_FIXED)
		return false;
	state->handle[id] = read->handle;
	state->packets[id] = read->packets;
	state->bytes[id] = read->bytes;
	reader->next[found->chain] = id + 1;
	return true;
}

static int make_texts(struct reader *reader)
{
	if (reader->texts)
		return 0;
	reader->texts = calloc(NFT_FIXED, sizeof(*reader->texts));
	if (!reader->texts)
		return -ENOMEM;
	for (size_t i = reader->state->of->first; i < reader->state->of->end; i++) {
		struct nftnl_rule *rule;

		if (!nft_fixed_has_rule(i))
			continue;
		rule = nft_fixed_build(i);
		if (!rule)
			return -ENOMEM;
		nft_rule_text(rule, reader->texts[i]);
		nftnl_rule_free(rule);
	}
	return 0;
}

static int foreign_read(struct nftnl_rule *kernel, const struct rule *read,
			struct nft_base_state *state)
{
	if (vector_append(&state->foreign, *read) < 0)
		return -ENOMEM;
	return nft_foreign_decode(kernel, &state->foreign.items[state->foreign.len - 1]);
}

/* Somebody else's, or one of ours of which this kernel says more than we know. */
static int unknown_read(struct nftnl_rule *kernel, const struct rule *read, struct reader *reader)
{
	struct nft_base_state *state = reader->state;
	char text[RULE_TEXT_MAX];
	const struct found_rule found = { read->chain, 0, text };
	int r = make_texts(reader);
	size_t id;

	if (r < 0)
		return r;
	nft_rule_text(kernel, text);
	if (is_fixed(reader, &found, read))
		return 0;
	/* of a listing that was loaded once more, or out of its place */
	id = find_fixed(reader, &found, 0);
	if (id < NFT_FIXED)
		return vector_append(&state->copies,
				     ((struct nft_copy){ id, read->chain, read->handle }));
	return foreign_read(kernel, read, state);
}

static int rule_read(const struct nlmsghdr *message, struct reader *reader)
{
	const struct nlattr *attributes[NFTA_RULE_MAX + 1];
	struct rule read = { .kind = RULE_FOREIGN };
	struct found_rule found = { 0 };
	struct nftnl_rule *kernel;
	int r = 0;

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_RULE_MAX);
	if (!attributes[NFTA_RULE_CHAIN] || !attributes[NFTA_RULE_HANDLE])
		return 0;
	read.chain =
		nft_chain_by_name(reader->state->of, mnl_attr_get_str(attributes[NFTA_RULE_CHAIN]));
	/* A chain that someone else made in our table has no place in the listing. */
	if (read.chain == CHAIN_COUNT)
		return 0;
	found.chain = read.chain;
	read.handle = be64toh(mnl_attr_get_u64(attributes[NFTA_RULE_HANDLE]));
	found.digest = nft_rule_digest(attributes[NFTA_RULE_EXPRESSIONS], &read);
	if (is_fixed(reader, &found, &read))
		return 0;
	if (!reader->nft->extra_digests) {
		r = nft_extra_digests_make(reader->nft);
		if (r < 0 || is_fixed(reader, &found, &read))
			return r;
	}
	kernel = nftnl_rule_alloc();
	if (!kernel)
		return -ENOMEM;
	if (nft_rule_parse(message, kernel))
		r = unknown_read(kernel, &read, reader);
	nftnl_rule_free(kernel);
	return r;
}

/* ---- what has become of ours ---- */

/* Rules of extras that stand between the two. They were given their handles there if they were made
 * with the others, and later ones if not. */
static uint64_t extras_between(const struct nft_base_state *state, size_t from, uint64_t handle,
			       size_t to)
{
	size_t low = from < to ? from : to, high = from < to ? to : from;
	uint64_t count = 0;

	for (size_t i = low + 1; i < high; i++)
		count += nft_fixed_has_rule(i) && nft_fixed_extra(i) && state->handle[i] &&
			 (state->handle[i] < handle) != (state->handle[i] < state->handle[to]);
	return count;
}

/* The next of our rules that stands, in that direction, and how many handles away it should be; of
 * the same chain if there is one. NFT_FIXED: none. */
static size_t neighbour(const struct nft_base_state *state, size_t id, uint64_t handle, int step,
			bool same_chain, uint64_t *ret_distance)
{
	enum rule_chain chain = kind_of(nft_fixed_kind(id))->chain;
	uint64_t distance = 0;

	for (size_t i = id + (size_t)step; i < NFT_FIXED; i += (size_t)step) {
		if (!nft_fixed_always_stands(i))
			continue;
		if (same_chain && kind_of(nft_fixed_kind(i))->chain != chain)
			break;
		distance++;
		if (state->handle[i]) {
			*ret_distance = distance + extras_between(state, id, handle, i);
			return i;
		}
	}
	return NFT_FIXED;
}

/* 1: its handle is as far from the neighbours' as that of ours was; 0: not; -1: there are none. */
static int fits_between(const struct nft_base_state *state, size_t id, uint64_t handle,
			bool same_chain)
{
	uint64_t below = 0, above = 0;
	size_t before = neighbour(state, id, handle, -1, same_chain, &below);
	size_t behind = neighbour(state, id, handle, 1, same_chain, &above);

	if (before == NFT_FIXED && behind == NFT_FIXED)
		return -1;
	return (before == NFT_FIXED || state->handle[before] + below == handle) &&
	       (behind == NFT_FIXED || state->handle[behind] == handle + above);
}

/* Who alters a rule leaves it its handle, and ours were given theirs one after the other, when the
 * base was made or loaded: nobody else can have one of these. */
static void find_altered(struct nft_base_state *state)
{
	for (size_t id = state->of->first; id < state->of->end && state->foreign.len; id++) {
		if (!nft_fixed_always_stands(id) || state->handle[id])
			continue;
		for (size_t i = 0; i < state->foreign.len; i++) {
			const struct rule *foreign = &state->foreign.items[i];
			int fits;

			if (foreign->chain != kind_of(nft_fixed_kind(id))->chain ||
			    foreign->chain == CHAIN_FILTER_USER)
				continue;
			fits = fits_between(state, id, foreign->handle, false);
			if (fits > 0)
				state->altered[id] = foreign->handle;
		}
	}
}

/* ---- asking ---- */

static int base_message(const struct nlmsghdr *message, void *data)
{
	struct reader *reader = data;

	switch (NFNL_MSG_TYPE(message->nlmsg_type)) {
	case NFT_MSG_NEWGEN:
		return nft_generation_message(message, &reader->state->generation);
	case NFT_MSG_NEWTABLE:
		table_read(message, reader->state);
		return 0;
	case NFT_MSG_NEWCHAIN:
		chain_read(message, reader->state);
		return 0;
	case NFT_MSG_NEWSET:
		set_read(message, reader->state);
		return 0;
	case NFT_MSG_NEWRULE:
		return rule_read(message, reader);
	default:
		return 0;
	}
}

/* In one exchange; each of these is there or not. That chains without a hook are there, those who
 * jump to them say. */
static int look_at_frame(struct nft *nft, bool all, struct reader *reader, struct nft_reply *reply)
{
	struct nlmsghdr *message;
	int r;

	nft_requests_begin(nft);
	if (!nft_batch_message(nft, NFT_MSG_GETGEN, 0, 0) ||
	    !nft_object_message(nft, NFT_MSG_GETTABLE, 0, NFTA_TABLE_NAME, LOOK_ROOM))
		return -ENOMEM;
	for (enum rule_chain i = nft->table->first_chain; i < nft->table->end_chain; i++) {
		if (!all && !nft_chains[i].type)
			continue;
		message = nft_object_message(nft, NFT_MSG_GETCHAIN, 0, NFTA_CHAIN_TABLE, LOOK_ROOM);
		if (!message)
			return -ENOMEM;
		mnl_attr_put_strz(message, NFTA_CHAIN_NAME, nft_chains[i].name);
	}
	r = nft_batch_send(nft, base_message, reader, reply);
	return r == -ENOENT ? 0 : r;
}

static int dump(struct nft *nft, uint16_t type, uint16_t table, struct reader *reader,
		struct nft_reply *reply)
{
	nft_requests_begin(nft);
	if (!nft_object_message(nft, type, NLM_F_DUMP, table, LOOK_ROOM))
		return -ENOMEM;
	return nft_batch_send(nft, base_message, reader, reply);
}

int nft_base_look(struct nft *nft, bool all, struct nft_base_state *state, struct nft_reply *reply)
{
	struct reader reader = { .state = state, .nft = nft };
	int r;

	state->of = nft->table;
	memset(reply, 0, sizeof(*reply));
	r = nft_digests_make(nft);
	if (r < 0)
		return r;
	r = look_at_frame(nft, all, &reader, reply);
	if (r == 0 && state->table)
		r = dump(nft, NFT_MSG_GETRULE, NFTA_RULE_TABLE, &reader, reply);
	if (r == 0 && state->table && all)
		r = dump(nft, NFT_MSG_GETSET, NFTA_SET_TABLE, &reader, reply);
	free(reader.texts);
	find_altered(state);
	/* the table has gone since */
	return r == -ENOENT ? -ERESTART : r;
}

void nft_base_state_whole(const struct nft *nft, struct nft_base_state *state)
{
	state->of = nft->table;
	for (size_t i = state->of->first; i < state->of->end; i++)
		state->handle[i] =
			nft_fixed_always_stands(i) ||
			(nft_fixed_has_rule(i) && !(nft_fixed_extra(i) & ~nft->inspected_extra));
}

/* What one of these rules jumps to or looks into is there. */
bool nft_base_is_whole(const struct nft_base_state *state)
{
	if (!state->table || state->table_flags & NFT_TABLE_F_DORMANT)
		return false;
	for (enum rule_chain i = state->of->first_chain; i < state->of->end_chain; i++) {
		if (nft_chains[i].type && !state->chain[i])
			return false;
	}
	for (size_t i = state->of->first; i < state->of->end; i++) {
		if (nft_fixed_always_stands(i) && !state->handle[i])
			return false;
	}
	return true;
}

static bool is_owned(struct nft *nft)
{
	struct nft_base_state state = { .of = nft->table };
	struct reader reader = { .state = &state, .nft = nft };
	struct nft_reply reply = { 0 };
	int r = look_at_frame(nft, false, &reader, &reply);

	return r == 0 && state.table_flags & NFT_TABLE_F_OWNER;
}

int nft_table_error(struct nft *nft, struct error *error, int r, const struct nft_reply *reply,
		    const char *what)
{
	if (r != -EPERM || !is_owned(nft))
		return nft_error(error, r, reply, what);
	return error_set(error, -EPERM, BN_REASON_KERNEL,
			 "could not %s: another program's socket owns the nftables table %s "
			 "(flags owner); end that program or delete its table",
			 what, nft->table->name);
}

/* As a rule that is not ours, of that chain. Takes the text, NULL for none left. */
static int say(rule_vector *rules, enum rule_chain chain, enum rule_target target, char *text)
{
	const struct rule row = {
		.kind = RULE_FOREIGN, .chain = chain, .target = target, .foreign = text
	};

	if (text && vector_append(rules, row) == 0)
		return 0;
	free(text);
	return -ENOMEM;
}

static char *policy_text(const struct nft_table *table, const char *chain)
{
	char *text;
	int len = asprintf(
		&text,
		"the policy of chain %s is drop, so what none of its rules takes is "
		"dropped, until it is accept again (nft 'add chain %s %s { policy accept; }')",
		chain, table->name, chain);

	return len < 0 ? NULL : text;
}

static char *dormant_text(const struct nft_table *table)
{
	char *text;
	int len = asprintf(&text,
			   "the table %s is dormant: none of its rules is in force until that flag "
			   "is cleared (nft add table %s)",
			   table->name, table->name);

	return len < 0 ? NULL : text;
}

int nft_say_state(const struct nft_base_state *state, rule_vector *rules)
{
	int r = 0;

	if (state->table_flags & NFT_TABLE_F_DORMANT)
		r = say(rules, state->of->first_chain, TARGET_OTHER, dormant_text(state->of));
	for (enum rule_chain i = state->of->first_chain; i < state->of->end_chain && r == 0; i++)
		if (state->settled[i])
			r = say(rules, i, TARGET_DROP, policy_text(state->of, nft_chains[i].name));
	return r;
}
