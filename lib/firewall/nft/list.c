/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's rules and elements as rules of the plan. */
#include "firewall/nft/nft.h"

struct dump {
	nft_element_fn element;
	void *data;
};

static int dump_message(const struct nlmsghdr *message, void *data)
{
	const struct dump *dump = data;

	return nft_message_elements(message, dump->element, dump->data);
}

int nft_set_dump(struct nft *nft, size_t set, nft_element_fn element, void *data,
		 struct nft_reply *reply)
{
	struct dump dump = { .element = element, .data = data };
	struct nlmsghdr *message;

	memset(reply, 0, sizeof(*reply));
	nft_requests_begin(nft);
	message = nft_object_message(nft, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFTA_SET_ELEM_LIST_TABLE,
				     256);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, nft_fixed_at(set)->set);
	return nft_batch_send(nft, dump_message, &dump, reply);
}

/* ---- listing ---- */

struct listing {
	rule_vector *rules;
	const struct nft_fixed *set; /* that is being read */
	struct rule blank;           /* of its elements */
	rule_vector parts;           /* elements that belong to the rule of another */
	rule_vector ends;            /* of ranges of a single field */
};

static int list_element(const struct nft_element_view *view, void *data)
{
	struct listing *listing = data;
	rule_vector *rules = view->end          ? &listing->ends :
			     listing->set->part ? &listing->parts :
						  listing->rules;
	struct rule *rule;

	if (vector_reserve(rules, 1) < 0)
		return -ENOMEM;
	rule = &rules->items[rules->len];
	*rule = listing->blank;
	/* An element of another form is no rule of ours. */
	if (!nft_element_decode(listing->set, view, rule))
		return 0;
	rules->len++;
	return 0;
}

/* What all sets of a kind have in their keys is the same in a rule's element and in its part. */
static bool in_both(enum rule_kind kind, enum nft_field field)
{
	size_t sets = 0, having = 0;

	for (size_t i = NFT_FIXED_OF(kind); i < NFT_FIXED_OF(kind + 1) && nft_fixed_at(i); i++) {
		if (nft_fixed_at(i)->part == NFT_PART_GUARD)
			continue;
		sets++;
		having += memchr(nft_fixed_at(i)->key, (int)field, FIELDS_MAX) != NULL;
	}
	return sets && having == sets;
}

static int part_order(const void *a, const void *b)
{
	const struct rule *left = a, *right = b;
	int order = (int)left->kind - (int)right->kind;

	if (!order)
		order = left->family - right->family;
	if (!order)
		order = prefix_compare(&left->destination, &right->destination);
	/* parts may do without */
	if (!order && addr_is_set(&left->source.addr) && addr_is_set(&right->source.addr))
		order = prefix_compare(&left->source, &right->source);
	if (!order)
		order = memcmp(left->mac, right->mac, sizeof(left->mac));
	if (!order && in_both(left->kind, FIELD_IN))
		order = strcmp(left->in, right->in);
	if (!order && in_both(left->kind, FIELD_OUT))
		order = strcmp(left->out, right->out);
	return order;
}

/* A device that only the exception names is the one that the rule negates. */
static void join_part(struct rule *rule, const struct rule *part)
{
	if (!rule->in[0])
		memcpy(rule->in, part->in, sizeof(rule->in));
	if (!rule->out[0])
		memcpy(rule->out, part->out, sizeof(rule->out));
	rule->packets += part->packets;
	rule->bytes += part->bytes;
}

static bool has_parts(enum rule_kind kind)
{
	for (size_t i = NFT_FIXED_OF(kind); i < NFT_FIXED_OF(kind + 1); i++) {
		if (nft_fixed_at(i) && nft_fixed_at(i)->part)
			return true;
	}
	return false;
}

static void join_parts(struct listing *listing, size_t first)
{
	rule_vector *parts = &listing->parts;
	enum rule_kind last = RULE_KIND_COUNT;
	bool has = false;

	if (!parts->len)
		return;
	qsort(parts->items, parts->len, sizeof(*parts->items), part_order);
	for (size_t i = first; i < listing->rules->len; i++) {
		struct rule *rule = &listing->rules->items[i];
		const struct rule *part;

		/* they come by kinds */
		if (rule->kind != last)
			has = has_parts(rule->kind);
		last = rule->kind;
		if (!has)
			continue;
		part = bsearch(rule, parts->items, parts->len, sizeof(*rule), part_order);
		if (part)
			join_part(rule, part);
	}
}

/* What the key of a set of ranges is in a rule. */
static struct prefix *range_of(struct rule *rule)
{
	return addr_is_set(&rule->source.addr) ? &rule->source : &rule->destination;
}

static int end_order(const void *a, const void *b)
{
	return prefix_compare(range_of((struct rule *)a), range_of((struct rule *)b));
}

/* The first behind the address; ends of the set are sorted, and ranges do not overlap. NULL: the
 * range goes to the last address there is. */
static struct rule *range_end(const rule_vector *ends, const struct addr *addr)
{
	size_t low = 0, high = ends->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr_compare(&range_of(&ends->items[middle])->addr, addr) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ends->len ? &ends->items[low] : NULL;
}

/* What begins at the address and stops before `end`; a single one if that is no prefix. */
static uint8_t range_len(const struct addr *addr, struct rule *end)
{
	struct prefix prefix = { .addr = *addr };
	uint8_t bits = (uint8_t)(addr_size(addr->family) * 8);

	for (; prefix.len < bits; prefix.len++) {
		const struct addr last = prefix_last(&prefix);
		struct addr next;
		bool ends = !addr_add(&last, 1, &next);

		if (prefix_is_masked(&prefix) &&
		    (end ? !ends && addr_compare(&next, &range_of(end)->addr) == 0 : ends))
			break;
	}
	return prefix.len;
}

/* The lengths of the ranges of one set, from the first rule on. */
static void close_ranges(struct listing *listing, size_t first)
{
	rule_vector *ends = &listing->ends, *rules = listing->rules;

	if (ends->len)
		qsort(ends->items, ends->len, sizeof(*ends->items), end_order);
	for (size_t i = first; i < rules->len; i++) {
		struct prefix *range = range_of(&rules->items[i]);

		range->len = range_len(&range->addr, range_end(ends, &range->addr));
	}
	ends->len = 0;
}

static int list_set(struct nft *nft, size_t set, struct listing *listing, struct nft_reply *reply)
{
	size_t first = listing->rules->len;
	int r;

	listing->set = nft_fixed_at(set);
	nft_element_blank(set, &listing->blank);
	r = nft_set_dump(nft, set, list_element, listing, reply);
	/* Gone since: the generation tells. */
	if (r == -ENOENT)
		r = 0;
	if (r == 0 && nft_fixed_ranges(listing->set) == RANGES_SINGLE)
		close_ranges(listing, first);
	return r;
}

static int list_base(const struct nft_base_state *state, struct listing *listing)
{
	for (size_t i = state->of->first; i < state->of->end; i++) {
		struct rule *rule;

		if (!state->handle[i] || nft_fixed_at(i)->set || nft_fixed_at(i)->part)
			continue;
		rule = vector_push(listing->rules);
		if (!rule)
			return -ENOMEM;
		rule_init(rule, kind_of(nft_fixed_kind(i)), nft_fixed_family(i));
		rule->handle = state->handle[i];
		rule->packets = state->packets[i];
		rule->bytes = state->bytes[i];
	}
	return 0;
}

static int list_foreign_rules(struct nft_base_state *state, struct listing *listing)
{
	for (size_t i = 0; i < state->foreign.len; i++) {
		if (vector_append(listing->rules, state->foreign.items[i]) < 0)
			return -ENOMEM;
		state->foreign.items[i].foreign = NULL;
	}
	return 0;
}

static bool is_looked_up(const struct nft_base_state *state, size_t set)
{
	if (!nft_fixed_at(set) || !nft_fixed_at(set)->set)
		return false;
	if (nft_fixed_has_rule(set))
		return state->handle[set];
	for (size_t i = set; i < NFT_FIXED_OF(nft_fixed_kind(set) + 1); i++) {
		if (state->handle[i] && nft_fixed_takes_part(i, set))
			return true;
	}
	return false;
}

static int list_elements(struct nft *nft, const struct nft_base_state *state,
			 struct listing *listing, struct nft_reply *reply)
{
	size_t first = listing->rules->len;
	int r = 0;

	/* An element does nothing where no rule looks it up. */
	for (size_t i = state->of->first; r == 0 && i < state->of->end; i++) {
		/* a guard says nothing that the others don't */
		if (is_looked_up(state, i) && nft_fixed_at(i)->part != NFT_PART_GUARD)
			r = list_set(nft, i, listing, reply);
	}
	if (r == 0)
		join_parts(listing, first);
	return r == 0 && listing->rules->len > first ?
		       nft_guards_check(nft, listing->rules, first, reply) :
		       r;
}

static int list_all(struct nft *nft, const struct nft_base_state *state, struct listing *listing,
		    struct nft_reply *reply)
{
	int r = list_base(state, listing);

	if (r == 0)
		r = list_foreign_rules((struct nft_base_state *)state, listing);
	if (r == 0)
		r = nft_say_state(state, listing->rules);
	return r < 0 ? r : list_elements(nft, state, listing, reply);
}

/* ---- some rules ---- */

/* A copy of a rule that is asked for, and how many of its elements the kernel lacks. */
struct asked {
	const rule_vector *wanted;
	rule_vector rules;
	size_t *lacking;
};

static void found_asked(struct nft_element *element, const struct nft_element_view *view,
			void *data)
{
	struct asked *asked = data;
	size_t i = (size_t)(element->rule - asked->wanted->items);

	if (!view || !nft_element_matches(element, view))
		return;
	asked->rules.items[i].packets += view->packets;
	asked->rules.items[i].bytes += view->bytes;
	asked->lacking[i]--;
}

/* Those of one set, which are next to each other, to be found in a dump of it. */
struct run {
	struct nft_element *first;
	size_t len;
	struct asked *asked;
};

static int run_element(const struct nft_element_view *view, void *data)
{
	const struct run *run = data;
	struct nft_element seeker = { .set = run->first->set }, *found;

	if (view->end || view->key_len > sizeof(seeker.key))
		return 0;
	memcpy(seeker.key, view->key, view->key_len);
	found = bsearch(&seeker, run->first, run->len, sizeof(*found), nft_element_order);
	if (!found)
		return 0;
	/* rules may have a part in common */
	while (found > run->first && nft_element_order(found - 1, &seeker) == 0)
		found--;
	for (; found < run->first + run->len && nft_element_order(found, &seeker) == 0; found++)
		found_asked(found, view, run->asked);
	return 0;
}

#define FEW 32 /* look-ups that are one exchange */
/* What a look-up costs, in elements of a dump. */
#define LOOKUP_COST 5

#define SET_COUNT 20 /* NFTA_SET_COUNT, from Linux 6.16 on */

static int count_message(const struct nlmsghdr *message, void *ret_count)
{
	const struct nlattr *attributes[SET_COUNT + 1];

	netlink_attributes(message, sizeof(struct nfgenmsg), attributes, SET_COUNT);
	if (attributes[SET_COUNT] && attribute_payload_len(attributes[SET_COUNT]) == 4)
		*(uint32_t *)ret_count = ntohl(mnl_attr_get_u32(attributes[SET_COUNT]));
	return 0;
}

/* 1: the set is better read as a whole; 0: not, or the kernel does not say how large it is. */
static int is_better_read(struct nft *nft, const struct run *run, struct nft_reply *reply)
{
	struct nlmsghdr *message;
	uint32_t count = 0;
	int r;

	if (run->len <= FEW)
		return 0;
	nft_requests_begin(nft);
	message = nft_object_message(nft, NFT_MSG_GETSET, 0, NFTA_SET_TABLE, 256);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_NAME, nft_fixed_at(run->first->set)->set);
	r = nft_batch_send(nft, count_message, &count, reply);
	return r < 0 ? r : count && count / LOOKUP_COST < run->len;
}

/* Sets of which much is asked for are read; *elements keeps those of the others. */
static int read_sets(struct nft *nft, nft_element_vector *elements, struct asked *asked,
		     struct nft_reply *reply)
{
	struct run run = { .asked = asked };
	size_t kept = 0, next;
	int r = 0;

	for (size_t first = 0; r >= 0 && first < elements->len; first = next) {
		run.first = elements->items + first;
		for (next = first + 1; next < elements->len; next++)
			if (elements->items[next].set != run.first->set)
				break;
		run.len = next - first;
		r = is_better_read(nft, &run, reply);
		if (r > 0) {
			r = nft_set_dump(nft, run.first->set, run_element, &run, reply);
		} else {
			memmove(elements->items + kept, run.first, run.len * sizeof(*run.first));
			kept += run.len;
		}
		/* gone since: the generation tells */
		if (r == -ENOENT)
			r = 0;
	}
	elements->len = kept;
	return r < 0 ? r : 0;
}

static int look_up(struct nft *nft, const struct nft_base_state *state, struct asked *asked,
		   struct nft_reply *reply)
{
	CLEANUP_VECTOR nft_element_vector elements = { 0 };
	size_t kept = 0;
	int r = nft_elements_encode(asked->wanted->items, asked->wanted->len, &elements, NULL);

	if (r < 0)
		return r;
	for (size_t i = 0; i < elements.len; i++) {
		const struct nft_element *element = &elements.items[i];

		asked->lacking[element->rule - asked->wanted->items] += !element->end;
		/* An element does nothing where no rule looks it up. */
		if (is_looked_up(state, element->set))
			elements.items[kept++] = *element;
	}
	elements.len = kept;
	r = read_sets(nft, &elements, asked, reply);
	return r < 0 ? r : nft_elements_look_up(nft, &elements, found_asked, asked, reply);
}

static int list_some(struct nft *nft, const struct nft_base_state *state, const rule_vector *wanted,
		     rule_vector *rules, struct nft_reply *reply)
{
	CLEANUP_FREE size_t *lacking = calloc(wanted->len + 1, sizeof(*lacking));
	struct asked asked = { .wanted = wanted, .lacking = lacking };
	int r = lacking ? vector_reserve(&asked.rules, wanted->len) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < wanted->len; i++)
		asked.rules.items[asked.rules.len++] = wanted->items[i];
	if (r == 0)
		r = look_up(nft, state, &asked, reply);
	if (r == 0)
		r = vector_reserve(rules, wanted->len);
	for (size_t i = 0; r == 0 && i < wanted->len; i++)
		if (!lacking[i])
			rules->items[rules->len++] = asked.rules.items[i];
	free(asked.rules.items);
	return r == 0 ? nft_say_state(state, rules) : r;
}

/* ---- looks ---- */

/* What one look has shown. */
struct look {
	rule_vector rules;   /* sorted */
	uint32_t generation; /* of the rule set that it is; 0: of more than one */
	bool shows_all;      /* no set has elements that nothing looks up yet */
};

static int list_rules(struct nft *nft, const rule_vector *wanted,
		      const struct nft_base_state *state, rule_vector *rules,
		      struct nft_reply *reply)
{
	struct listing listing = { .rules = rules };
	int r = wanted ? list_some(nft, state, wanted, rules, reply) :
			 list_all(nft, state, &listing, reply);

	free(listing.parts.items);
	free(listing.ends.items);
	return r;
}

static int look_once(struct nft *nft, const rule_vector *wanted, struct look *look,
		     struct nft_reply *reply)
{
	struct nft_base_state state = { 0 };
	uint32_t before = 0, after = 0;
	int r = nft_generation(nft, &before, reply);

	/* an inspection has found all of it just now */
	if (r == 0 && wanted && before == nft->inspected)
		nft_base_state_whole(nft, &state);
	else if (r == 0)
		r = nft_base_look(nft, false, &state, reply);
	if (r == 0)
		r = list_rules(nft, wanted, &state, &look->rules, reply);
	if (r == 0)
		r = nft_generation(nft, &after, reply);
	look->shows_all = !state.table || nft_base_is_whole(&state);
	nft_base_state_clear(&state);
	if (r < 0)
		return r;
	rules_sort(&look->rules);
	look->generation = before == after ? before : 0;
	return 0;
}

static bool same_rules(const rule_vector *a, const rule_vector *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++) {
		if (rule_compare(&a->items[i], &b->items[i]) != 0)
			return false;
	}
	return true;
}

/*
 * The rule set has one number for the tables of all, which changes with each commit of anybody. Who
 * commits all the time to tables of his own keeps no look from being right: two in a row that show
 * the same were not disturbed by what changed meanwhile.
 */
static int look_until_right(struct nft *nft, const rule_vector *wanted, struct look *look,
			    struct nft_reply *reply)
{
	struct look last = { 0 };
	bool right = false;
	int r = 0;

	for (unsigned int attempt = 0; r == 0 && !right; attempt++) {
		rules_clear(&last.rules);
		last = *look;
		*look = (struct look){ 0 };
		if (attempt)
			r = deadline_back_off(nft->base.deadline, attempt);
		if (r == 0)
			r = look_once(nft, wanted, look, reply);
		right = r == 0 &&
			(look->generation || (attempt && same_rules(&last.rules, &look->rules)));
	}
	rules_clear(&last.rules);
	return r;
}

int nft_list(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
	     struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	struct look look = { 0 };
	int r = look_until_right(nft, wanted, &look, &reply);

	if (!wanted)
		nft->followed = look.shows_all ? look.generation : 0;
	if (r == 0 && !rules->items) {
		*rules = look.rules;
		return 0;
	}
	if (r == 0)
		r = vector_reserve(rules, look.rules.len);
	if (r < 0) {
		rules_clear(&look.rules);
		return nft_error(error, r, &reply, "read the nftables rules");
	}
	if (look.rules.len)
		memcpy(rules->items + rules->len, look.rules.items,
		       look.rules.len * sizeof(*look.rules.items));
	rules->len += look.rules.len;
	free(look.rules.items);
	return 0;
}

bool nft_is_as_left(struct firewall *firewall)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	uint32_t generation = 0;

	return nft->followed && nft_generation(nft, &generation, &reply) == 0 &&
	       generation == nft->followed;
}
