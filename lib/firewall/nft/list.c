/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's rules and elements as rules of the plan. */
#include "firewall/nft/nft.h"

struct dump {
	enum nft_set set;
	nft_element_fn element;
	void *data;
};

static int elements_message(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attribute, *element;
	struct nft_element_view view;
	struct dump *dump = data;
	int r;

	if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWSETELEM)
		return 0;
	for_each_attribute(attribute, message, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		for_each_nested(element, attribute) {
			r = nft_element_view(element, &view);
			if (r == 0)
				r = dump->element(dump->set, &view, dump->data);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int nft_set_dump(struct nft *nft, enum nft_set set, nft_element_fn element, void *data,
		 struct nft_reply *reply)
{
	struct dump dump = { .set = set, .element = element, .data = data };
	struct nlmsghdr *message;

	memset(reply, 0, sizeof(*reply));
	nft_requests_begin(nft);
	message = nft_batch_message(nft, NFT_MSG_GETSETELEM, NLM_F_DUMP, 256);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, nft_sets[set].name);
	return nft_batch_send(nft, elements_message, &dump, reply);
}

/* ---- listing ---- */

struct listing {
	rule_vector *rules;
	const char *network; /* NULL: all */
	rule_vector parts;   /* elements that belong to the rule of another */
};

static int list_element(enum nft_set set, const struct nft_element_view *view, void *data)
{
	struct listing *listing = data;
	rule_vector *rules = nft_sets[set].part ? &listing->parts : listing->rules;
	struct rule *rule;

	if (vector_reserve(rules, 1) < 0)
		return -ENOMEM;
	rule = &rules->items[rules->len];
	/* An element of another form is no rule of ours. */
	if (!nft_element_decode(set, view, rule))
		return 0;
	if (listing->network && !nft_sets[set].part && strcmp(rule->network, listing->network) != 0)
		return 0;
	rules->len++;
	return 0;
}

/* A part and its rule have this in common. */
static int part_order(const void *a, const void *b)
{
	const struct rule *left = a, *right = b;
	int order = (int)left->kind - (int)right->kind;

	if (!order)
		order = left->family - right->family;
	if (order)
		return order;
	switch (left->kind) {
	case RULE_DIRECT_DROP:
		return prefix_compare(&left->destination, &right->destination);
	case RULE_HAIRPIN_MASQUERADE:
		return strcmp(left->out, right->out);
	default:
		return strcmp(left->in, right->in);
	}
}

static void join_part(struct rule *rule, const struct rule *part)
{
	switch (rule->kind) {
	case RULE_DIRECT_DROP:
		memcpy(rule->in, part->in, sizeof(rule->in));
		rule->in_not = true;
		break;
	case RULE_MASQUERADE:
		memcpy(rule->out, part->out, sizeof(rule->out));
		rule->out_not = true;
		break;
	default:
		rule->packets += part->packets;
		rule->bytes += part->bytes;
		break;
	}
}

static void join_parts(struct listing *listing, size_t first)
{
	rule_vector *parts = &listing->parts;

	if (!parts->len)
		return;
	qsort(parts->items, parts->len, sizeof(*parts->items), part_order);
	for (size_t i = first; i < listing->rules->len; i++) {
		struct rule *rule = &listing->rules->items[i];
		const struct rule *part;

		if (rule->kind != RULE_DIRECT_DROP && rule->kind != RULE_MASQUERADE &&
		    rule->kind != RULE_HAIRPIN_MASQUERADE)
			continue;
		part = bsearch(rule, parts->items, parts->len, sizeof(*rule), part_order);
		if (part)
			join_part(rule, part);
	}
}

static const struct rule *find_base(const rule_vector *plan, const struct nft_fixed_rule *fixed)
{
	for (size_t i = 0; i < plan->len; i++) {
		if (plan->items[i].kind == (enum rule_kind)fixed->kind &&
		    plan->items[i].family == fixed->family)
			return &plan->items[i];
	}
	return NULL;
}

static int list_base(const struct nft_base_state *state, struct listing *listing)
{
	rule_vector plan = { 0 };
	int r = plan_rules(NFT_TRAITS, PLAN_BASE, NULL, &plan);

	for (size_t i = 0; r == 0 && i < nft_fixed_rules_len; i++) {
		const struct rule *base = find_base(&plan, &nft_fixed_rules[i]);
		struct rule *rule;

		if (!base || !state->handle[i] || nft_fixed_rules[i].set != SET_NONE)
			continue;
		rule = vector_push(listing->rules);
		if (!rule) {
			r = -ENOMEM;
			break;
		}
		*rule = *base;
		rule->handle = state->handle[i];
		rule->packets = state->packets[i];
		rule->bytes = state->bytes[i];
	}
	rules_clear(&plan);
	return r;
}

static int list_foreign_rules(struct nft_base_state *state, struct listing *listing)
{
	for (size_t i = 0; i < state->foreign.len; i++) {
		struct rule *rule = vector_push(listing->rules);

		if (!rule)
			return -ENOMEM;
		*rule = state->foreign.items[i];
		state->foreign.items[i].foreign = NULL;
	}
	return 0;
}

static int list_elements(struct nft *nft, const struct nft_base_state *state,
			 struct listing *listing, struct nft_reply *reply)
{
	size_t first = listing->rules->len;
	int r = 0;

	/* An element does nothing where no rule looks it up. */
	for (size_t i = 0; r == 0 && i < nft_fixed_rules_len; i++) {
		if (nft_fixed_rules[i].set == SET_NONE || !state->handle[i])
			continue;
		r = nft_set_dump(nft, nft_fixed_rules[i].set, list_element, listing, reply);
		/* Gone since: the generation tells. */
		if (r == -ENOENT)
			r = 0;
	}
	if (r == 0)
		join_parts(listing, first);
	return r;
}

/* -ERESTART when the rule set changed meanwhile. */
static int list_once(struct nft *nft, struct listing *listing, struct nft_reply *reply)
{
	struct nft_base_state state = { 0 };
	uint32_t before = 0, after = 0;
	int r = nft_generation(nft, &before, reply);

	if (r == 0)
		r = nft_base_state_read(nft, &state, reply);
	if (r == 0 && !listing->network)
		r = list_base(&state, listing);
	if (r == 0 && !listing->network)
		r = list_foreign_rules(&state, listing);
	if (r == 0)
		r = list_elements(nft, &state, listing, reply);
	if (r == 0)
		r = nft_generation(nft, &after, reply);
	nft_base_state_clear(&state);
	return r < 0 ? r : before != after ? -ERESTART : 0;
}

int nft_list(struct firewall *firewall, const char *network, rule_vector *rules,
	     struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	rule_vector found = { 0 };
	struct listing listing = { .rules = &found, .network = network };
	struct nft_reply reply = { 0 };
	int r = -ERESTART;

	for (int i = 0; i < NFT_ATTEMPTS && r == -ERESTART; i++) {
		rules_clear(&found);
		listing.parts.len = 0;
		r = list_once(nft, &listing, &reply);
	}
	free(listing.parts.items);
	if (r == 0)
		r = vector_reserve(rules, found.len);
	if (r == 0) {
		rules_sort(&found);
		if (found.len)
			memcpy(rules->items + rules->len, found.items,
			       found.len * sizeof(*found.items));
		rules->len += found.len;
		free(found.items);
		return 0;
	}
	rules_clear(&found);
	return nft_error(error, r == -ERESTART ? -EAGAIN : r, &reply, "read the nftables rules");
}
