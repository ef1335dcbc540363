/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/difference.h"

#include <errno.h>

static void step_clear(struct rules_step *step)
{
	rules_clear(&step->add);
	rules_clear(&step->remove);
}

void rules_difference_clear(struct rules_difference *difference)
{
	step_clear(&difference->shut);
	step_clear(&difference->rest);
	rules_clear(&difference->kept);
}

/* ---- what is in one alone ---- */

static int compare(const void *a, const void *b)
{
	return rule_compare(a, b);
}

static int copy(const rule_vector *from, rule_vector *to)
{
	if (!from->len)
		return 0;
	if (vector_reserve(to, from->len) < 0)
		return -ENOMEM;
	memcpy(to->items, from->items, from->len * sizeof(*from->items));
	to->len = from->len;
	return 0;
}

/* Those of `all` that are among the others, or not. */
static int pick(const rule_vector *all, const rule_vector *others, bool among,
		rule_vector *ret_rules)
{
	CLEANUP_VECTOR rule_vector sorted = { 0 };

	if (copy(others, &sorted) < 0 || vector_reserve(ret_rules, all->len) < 0)
		return -ENOMEM;
	rules_sort(&sorted);
	for (size_t i = 0; i < all->len; i++) {
		const struct rule *rule = &all->items[i];
		bool found = sorted.len && bsearch(rule, sorted.items, sorted.len,
						   sizeof(*sorted.items), compare);

		if (found == among)
			ret_rules->items[ret_rules->len++] = *rule;
	}
	return 0;
}

/* ---- what that does ---- */

/* What a rule does for what it matches. A jump comes before what it leads to counts, and goes after
 * that, like a drop. */
enum effect { EFFECT_SHUTS, EFFECT_OPENS, EFFECT_NONE };

static enum effect effect_of(const struct rule *rule)
{
	switch (rule->target) {
	case TARGET_JUMP:
		/* what is accepted there may stand there already */
		return rule->jump == CHAIN_FILTER_PEERS || rule->jump == CHAIN_FILTER_OPEN ||
				       rule->jump == CHAIN_FILTER_TRUSTED ?
			       EFFECT_OPENS :
			       EFFECT_SHUTS;
	case TARGET_DROP:
		return EFFECT_SHUTS;
	case TARGET_ACCEPT:
	case TARGET_DNAT:
	case TARGET_RETURN: /* past the drops behind it */
	case TARGET_GOTO:
		return EFFECT_OPENS;
	case TARGET_SNAT:
	case TARGET_MASQUERADE:
	case TARGET_CLAMP_MSS:
	case TARGET_LOG:
	case TARGET_OTHER:
		break;
	}
	return EFFECT_NONE;
}

/* Is it met before the hooks where the others are? There, one that goes and one that comes are best
 * exchanged in one go. */
static bool is_early(const struct rule *rule)
{
	const char *table = rule_table_name(rule->chain);

	return strcmp(table, "raw") == 0 || strcmp(table, "mangle") == 0;
}

static bool covers_address(const struct prefix *outer, bool outer_not, const struct prefix *inner,
			   bool inner_not)
{
	if (!outer->addr.family || outer_not || inner_not)
		return !outer->addr.family ||
		       (outer_not == inner_not && prefix_compare(outer, inner) == 0);
	return inner->addr.family && prefix_covers(outer, inner);
}

/* Does the one match all that the other does, at the same place and to the same end? Then the two
 * need not stand beside each other, and often can't. */
static bool covers(const struct rule *outer, const struct rule *inner)
{
	return outer->chain == inner->chain && outer->target == inner->target &&
	       outer->family == inner->family && outer->jump == inner->jump &&
	       outer->in_not == inner->in_not && outer->out_not == inner->out_not &&
	       outer->match == inner->match && outer->protocol == inner->protocol &&
	       outer->host_port == inner->host_port && outer->count == inner->count &&
	       strcmp(outer->in, inner->in) == 0 && strcmp(outer->out, inner->out) == 0 &&
	       covers_address(&outer->source, outer->source_not, &inner->source,
			      inner->source_not) &&
	       covers_address(&outer->destination, outer->destination_not, &inner->destination,
			      inner->destination_not);
}

static bool is_covered(const struct rule *rule, const rule_vector *by)
{
	for (size_t i = 0; i < by->len; i++)
		if (covers(&by->items[i], rule))
			return true;
	return false;
}

/* ---- the steps ---- */

static int move_where(rule_vector *from, const bool *moves, rule_vector *to)
{
	size_t kept = 0;

	if (vector_reserve(to, from->len) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < from->len; i++) {
		rule_vector *slot = moves[i] ? to : from;

		slot->items[moves[i] ? to->len++ : kept++] = from->items[i];
	}
	from->len = kept;
	return 0;
}

/* What comes and shuts, but for what was shut already by one that goes. */
static int split_added(struct rules_difference *difference)
{
	rule_vector *add = &difference->rest.add;
	CLEANUP_FREE bool *moves = calloc(add->len + 1, sizeof(*moves));

	if (!moves)
		return -ENOMEM;
	for (size_t i = 0; i < add->len; i++)
		moves[i] = effect_of(&add->items[i]) == EFFECT_SHUTS &&
			   !is_covered(&add->items[i], &difference->rest.remove);
	return move_where(add, moves, &difference->shut.add);
}

/* What goes that let pass, before others can; and what makes room for one that shuts more. */
static int split_removed(struct rules_difference *difference)
{
	rule_vector *remove = &difference->rest.remove;
	CLEANUP_FREE bool *moves = calloc(remove->len + 1, sizeof(*moves));

	if (!moves)
		return -ENOMEM;
	for (size_t i = 0; i < remove->len; i++) {
		const struct rule *rule = &remove->items[i];

		moves[i] = effect_of(rule) == EFFECT_OPENS ?
				   is_early(rule) :
				   is_covered(rule, &difference->shut.add);
	}
	return move_where(remove, moves, &difference->shut.remove);
}

static bool has_effect(const rule_vector *rules, enum effect effect)
{
	for (size_t i = 0; i < rules->len; i++)
		if (effect_of(&rules->items[i]) == effect)
			return true;
	return false;
}

static int move_all(rule_vector *from, rule_vector *to)
{
	if (vector_reserve(to, from->len) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < from->len; i++)
		to->items[to->len++] = from->items[i];
	from->len = 0;
	return 0;
}

int rules_difference(const rule_vector *before, const rule_vector *after,
		     struct rules_difference *ret_difference)
{
	struct rules_step *shut = &ret_difference->shut, *rest = &ret_difference->rest;
	int r;

	r = pick(after, before, false, &rest->add);
	if (r == 0)
		r = pick(before, after, false, &rest->remove);
	if (r == 0)
		r = pick(after, before, true, &ret_difference->kept);
	if (r == 0)
		r = split_added(ret_difference);
	if (r == 0)
		r = split_removed(ret_difference);
	if (r < 0 || has_effect(&rest->add, EFFECT_OPENS) ||
	    has_effect(&rest->remove, EFFECT_SHUTS))
		return r;
	r = move_all(&rest->add, &shut->add);
	return r < 0 ? r : move_all(&rest->remove, &shut->remove);
}
