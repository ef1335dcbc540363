/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the base is not as it was made, and what others have put there. */
#include "firewall/nft/nft.h"

#define INSPECT_LOOKS 4 /* at a rule set that others change all the time */
#define OBJECT_MAX 120
#define HOW_MAX 200

struct inspection {
	const struct nft_base_state *state;
	const rule_vector *planned;
	finding_vector *findings;
};

static int find(const struct inspection *inspection, const struct finding *finding)
{
	return findings_add(inspection->findings, finding);
}

static void table_object(const struct nft_base_state *state, char text[static OBJECT_MAX])
{
	snprintf(text, OBJECT_MAX, "the nftables table %s", state->of->name);
}

static void chain_object(const struct nft_base_state *state, enum rule_chain chain,
			 char text[static OBJECT_MAX])
{
	snprintf(text, OBJECT_MAX, "chain %s of the nftables table %s", nft_chain_name(chain),
		 state->of->name);
}

/* ---- the table ---- */

static bool has_rules(const struct nft_base_state *state)
{
	for (size_t i = state->of->first; i < state->of->end; i++)
		if (state->handle[i])
			return true;
	return false;
}

static int find_gone(const struct inspection *inspection)
{
	char object[OBJECT_MAX];

	table_object(inspection->state, object);
	return find(inspection,
		    &(struct finding){ .code = FINDING_RULES_GONE,
				       .object = object,
				       .is = inspection->state->table ? "empty" : "not there" });
}

static int find_of_table(const struct inspection *inspection)
{
	const struct nft_base_state *state = inspection->state;
	char object[OBJECT_MAX];
	int r = 0;

	table_object(state, object);
	if (state->table_flags & NFT_TABLE_F_DORMANT)
		r = find(inspection, &(struct finding){ .code = FINDING_TABLE_DORMANT,
							.object = object,
							.is = "dormant",
							.should_be = "in force" });
	if (r == 0 && state->table_flags & NFT_TABLE_F_OWNER)
		r = find(inspection, &(struct finding){ .code = FINDING_RULES_BASE,
							.object = object,
							.is = "owned by another program's socket",
							.should_be = "nobody's but ours: end that "
								     "program" });
	if (r == 0 && state->stranger[0])
		r = find(inspection, &(struct finding){ .code = FINDING_RULES_BASE,
							.object = object,
							.is = state->stranger,
							.should_be = "without that" });
	return r;
}

/* ---- chains and their rules ---- */

/* Is there to be the rule of that number, of that chain? Of an extra, where there is an element for
 * it. */
static bool is_expected(const struct inspection *inspection, size_t id, enum rule_chain chain)
{
	enum rule_kind kind = nft_fixed_kind(id);
	int family;

	if (!nft_fixed_has_rule(id) || kind_of(kind)->chain != chain)
		return false;
	if (nft_fixed_always_stands(id))
		return true;
	family = nft_fixed_family(id);
	for (size_t i = 0; i < inspection->planned->len; i++)
		if (inspection->planned->items[i].kind == kind &&
		    (!family || inspection->planned->items[i].family == family))
			return true;
	return false;
}

static bool is_moved(const struct nft_base_state *state, size_t id)
{
	for (size_t i = 0; i < state->copies.len; i++)
		if (state->copies.items[i].id == id)
			return !state->handle[id];
	return false;
}

static const struct rule *foreign_by_handle(const struct nft_base_state *state, uint64_t handle)
{
	for (size_t i = 0; i < state->foreign.len; i++)
		if (state->foreign.items[i].handle == handle)
			return &state->foreign.items[i];
	return NULL;
}

/* A rule of ours that is not in its place. */
static int find_displaced(const struct inspection *inspection, size_t id, const char *object)
{
	const struct nft_base_state *state = inspection->state;
	const struct rule *altered = foreign_by_handle(state, state->altered[id]);
	const char *comment = nft_fixed_at(id)->comment;
	char how[HOW_MAX];

	if (altered)
		return find(inspection, &(struct finding){ .code = FINDING_RULE_ALTERED,
							   .severity = BN_SEVERITY_OPEN,
							   .object = object,
							   .is = altered->foreign,
							   .should_be = comment });
	if (is_moved(state, id))
		return find(inspection, &(struct finding){ .code = FINDING_RULES_ORDER,
							   .object = object,
							   .is = comment,
							   .should_be = "before the next" });
	snprintf(how, sizeof(how), "without the rule '%s'", comment);
	return find(inspection, &(struct finding){ .code = FINDING_RULES_BASE,
						   .object = object,
						   .is = how,
						   .should_be = "with it" });
}

struct rule_count {
	size_t all, missing, displaced, twice;
};

static struct rule_count count_rules(const struct inspection *inspection, enum rule_chain chain)
{
	const struct nft_base_state *state = inspection->state;
	struct rule_count count = { 0 };

	for (size_t id = state->of->first; id < state->of->end; id++) {
		if (!is_expected(inspection, id, chain))
			continue;
		count.all++;
		count.missing += !state->handle[id];
		count.displaced += state->altered[id] || is_moved(state, id);
	}
	for (size_t i = 0; i < state->copies.len; i++)
		count.twice += state->copies.items[i].chain == chain &&
			       state->handle[state->copies.items[i].id];
	return count;
}

static int find_twice(const struct inspection *inspection, const char *object, size_t count)
{
	char how[HOW_MAX];

	if (!count)
		return 0;
	snprintf(how, sizeof(how), "%zu copies", count);
	return find(inspection,
		    &(struct finding){ .code = FINDING_RULE_TWICE, .object = object, .is = how });
}

static int find_of_chain(const struct inspection *inspection, enum rule_chain chain)
{
	const struct nft_base_state *state = inspection->state;
	const struct rule_count count = count_rules(inspection, chain);
	bool there = state->chain[chain];
	char object[OBJECT_MAX];
	int r;

	chain_object(state, chain, object);
	r = find_twice(inspection, object, count.twice);
	/* of one that is not ours its table was told already */
	if (r == 0 && (!there || (count.all && count.missing == count.all && !count.displaced)) &&
	    !state->stranger[0])
		return find(inspection, &(struct finding){ .code = FINDING_RULES_BASE,
							   .object = object,
							   .is = there ? "empty" : "not there",
							   .should_be = "with our rules" });
	for (size_t id = state->of->first; id < state->of->end && r == 0 && there; id++) {
		if (!state->handle[id] && is_expected(inspection, id, chain))
			r = find_displaced(inspection, id, object);
	}
	return r;
}

/* ---- what others have put there ---- */

static bool was_ours(const struct nft_base_state *state, uint64_t handle)
{
	for (size_t id = state->of->first; id < state->of->end; id++)
		if (state->altered[id] == handle)
			return true;
	return false;
}

static int find_alien(const struct inspection *inspection, const struct rule *rule)
{
	char object[OBJECT_MAX], how[HOW_MAX];

	chain_object(inspection->state, rule->chain, object);
	snprintf(how, sizeof(how), "none (nft delete rule %s %s handle %llu)",
		 inspection->state->of->name, nft_chain_name(rule->chain),
		 (unsigned long long)rule->handle);
	return find(inspection, &(struct finding){ .code = FINDING_RULE_ALIEN,
						   .severity = rule->target == TARGET_DROP ?
								       BN_SEVERITY_BROKEN :
								       BN_SEVERITY_OPEN,
						   .object = object,
						   .is = rule->foreign,
						   .should_be = how });
}

static int find_aliens(const struct inspection *inspection)
{
	const struct nft_base_state *state = inspection->state;
	char object[OBJECT_MAX], how[HOW_MAX];
	int r = 0;

	for (size_t i = 0; i < state->foreign.len && r == 0; i++) {
		const struct rule *rule = &state->foreign.items[i];

		if (rule->chain != CHAIN_FILTER_USER && !was_ours(state, rule->handle))
			r = find_alien(inspection, rule);
	}
	for (enum rule_chain i = state->of->first_chain; i < state->of->end_chain && r == 0; i++) {
		if (!state->settled[i])
			continue;
		chain_object(state, i, object);
		snprintf(how, sizeof(how), "none (nft 'add chain %s %s { policy accept; }')",
			 state->of->name, nft_chain_name(i));
		r = find(inspection, &(struct finding){ .code = FINDING_RULE_ALIEN,
							.severity = BN_SEVERITY_BROKEN,
							.object = object,
							.is = "policy drop",
							.should_be = how });
	}
	return r;
}

/* ---- all of it ---- */

static int find_all(const struct inspection *inspection)
{
	const struct nft_base_state *state = inspection->state;
	int r;

	if (!state->table || !has_rules(state))
		return find_gone(inspection);
	r = find_of_table(inspection);
	for (enum rule_chain i = state->of->first_chain; i < state->of->end_chain && r == 0; i++)
		r = find_of_chain(inspection, i);
	return r == 0 ? find_aliens(inspection) : r;
}

/* 1: all of it is of one rule set. */
static int look_once(struct nft *nft, bool all, struct nft_base_state *state,
		     struct nft_reply *reply)
{
	uint32_t after = 0;
	int r;

	nft_base_state_clear(state);
	r = nft_base_look(nft, all, state, reply);
	/* those without a hook are there when something jumps to them */
	for (enum rule_chain i = state->of->first_chain; i < state->of->end_chain && !all; i++)
		state->chain[i] |= state->table && !nft_chains[i].type;
	if (r == 0)
		r = nft_generation(nft, &after, reply);
	if (r == -ERESTART)
		return 0;
	return r < 0 ? r : after == state->generation;
}

static int inspect(struct nft *nft, const rule_vector *planned, bool all, finding_vector *findings,
		   struct nft_reply *reply)
{
	struct nft_base_state state = { 0 };
	const struct inspection inspection = { &state, planned, findings };
	bool packets = nft->table == &nft_packets, still;
	size_t before = findings->len;
	int r = 0;

	for (unsigned int attempt = 0; attempt < INSPECT_LOOKS && r == 0; attempt++) {
		if (attempt)
			r = deadline_back_off(nft->base.deadline, attempt);
		if (r == 0)
			r = look_once(nft, all, &state, reply);
	}
	still = r > 0;
	if (r >= 0)
		r = find_all(&inspection);
	if (r == 0 && all && packets)
		r = nft_find_shadows(nft, planned, findings, reply);
	nft->inspected = still && r == 0 && findings->len == before ? state.generation : 0;
	nft->inspected_all = all;
	nft->inspected_extra = nft_rules_extra(planned);
	nft_base_state_clear(&state);
	return r;
}

/* Has a look since which nothing has changed said all that this one would? */
static bool is_known(const struct nft *nft, const rule_vector *planned, bool whole)
{
	return nft->inspected_all ||
	       (!whole && !(nft_rules_extra(planned) & ~nft->inspected_extra));
}

int nft_inspect(struct firewall *firewall, const rule_vector *planned, bool whole,
		finding_vector *findings, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	struct nft_reply reply = { 0 };
	uint32_t generation = 0;
	int r = 0;

	/* nothing relies on it */
	if (!planned->len)
		return 0;
	if (nft->inspected && is_known(nft, planned, whole))
		r = nft_generation(nft, &generation, &reply);
	if (r == 0 && (!generation || generation != nft->inspected))
		r = inspect(nft, planned, whole, findings, &reply);
	return r < 0 ? nft_error(error, r, &reply, "look at the nftables rules") : 0;
}
