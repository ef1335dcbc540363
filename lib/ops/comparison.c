/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/comparison.h"

#include "model/owner.h"
#include "ops/strays.h"

void comparison_clear(struct comparison *comparison)
{
	rules_clear(&comparison->allowed);
	rules_clear(&comparison->kernel);
	free(comparison->missing.items);
	free(comparison->extras.items);
}

void comparison_again(struct comparison *comparison)
{
	rules_clear(&comparison->kernel);
	comparison->missing.len = comparison->extras.len = 0;
}

/* ---- the two lists ---- */

static int compare_rules(const void *a, const void *b)
{
	return rule_compare(a, b);
}

bool comparison_has(const rule_vector *rules, const struct rule *rule)
{
	return rules->len && bsearch(rule, rules->items, rules->len, sizeof(*rule), compare_rules);
}

bool comparison_tells_owners(const bn_ctx *ctx)
{
	return ctx->firewall->backend->traits() & PLAN_OWNERS;
}

bool comparison_is_about(const struct rule *rule)
{
	return rule->kind != RULE_FOREIGN && kind_of(rule->kind)->scope != PLAN_BASE;
}

static int read_kernel(bn_ctx *ctx, struct comparison *comparison)
{
	rule_vector *kernel = &comparison->kernel;
	int r = firewall_list(ctx->firewall, NULL, kernel, &ctx->error);

	if (r >= 0 && !comparison_tells_owners(ctx)) {
		r = owners_find(kernel, &comparison->rows.networks, &comparison->rows.endpoints);
		if (r < 0)
			return error_oom(&ctx->error);
		rules_sort(kernel);
	}
	return r;
}

/* Both are sorted, so one walk tells what only one of them has. */
static int find_differences(bn_ctx *ctx, struct comparison *comparison)
{
	const rule_vector *planned = comparison->planned, *kernel = &comparison->kernel;
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < planned->len || j < kernel->len)) {
		const struct rule *plan = i < planned->len ? &planned->items[i] : NULL;
		const struct rule *found = j < kernel->len ? &kernel->items[j] : NULL;
		int order = !plan ? 1 : !found ? -1 : rule_compare(plan, found);

		i += order <= 0;
		j += order >= 0;
		if (order < 0 && comparison_is_about(plan))
			r = vector_append(&comparison->missing, ((struct missing){ plan, NULL }));
		/* a second one of ours is the backend's to tell of */
		if (order > 0 && comparison_is_about(found) && !comparison_has(planned, found) &&
		    !comparison_has(&comparison->allowed, found))
			r = vector_append(&comparison->extras, ((struct extra){ .rule = found }));
	}
	return r < 0 ? error_oom(&ctx->error) : 0;
}

/* ---- whose the others are ---- */

/* Those that meet have all of this in common (strays_meet()). */
static int compare_places(const struct rule *a, const struct rule *b)
{
	int order = (int)a->kind - (int)b->kind;

	if (!order)
		order = a->family - b->family;
	if (!order)
		order = (int)a->protocol - (int)b->protocol;
	if (!order && kind_of(a->kind)->scope == PLAN_ENDPOINTS)
		order = prefix_compare(&a->destination, &b->destination);
	if (!order && kind_of(a->kind)->scope == PLAN_ENDPOINTS)
		order = prefix_compare(&a->source, &b->source);
	return order ? order : (int)a->host_port - (int)b->host_port;
}

static int compare_extras(const void *a, const void *b)
{
	return compare_places(((const struct extra *)a)->rule, ((const struct extra *)b)->rule);
}

static bool has_mark(const struct rule *rule)
{
	return rule->network[0];
}

static bool same_owner(const struct rule *a, const struct rule *b)
{
	return strcmp(a->network, b->network) == 0 && strcmp(a->endpoint, b->endpoint) == 0;
}

/* Of one owner they may differ in their devices: in nftables an exception is a part of its own. */
static bool is_in_place(const struct extra *extra, const struct rule *rule)
{
	const struct rule *found = extra->rule;

	if (extra->of && extra->of != rule)
		return false;
	return strays_meet(found, rule) ||
	       (same_owner(found, rule) && has_mark(rule) &&
		prefix_compare(&found->source, &rule->source) == 0 &&
		prefix_compare(&found->destination, &rule->destination) == 0);
}

/* The first that has the place of the rule, or NULL. */
static struct extra *extra_in_place(const struct comparison *comparison, const struct rule *rule)
{
	size_t low = 0, high = comparison->extras.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(comparison->extras.items[middle].rule, rule) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < comparison->extras.len; low++) {
		struct extra *extra = &comparison->extras.items[low];

		if (compare_places(extra->rule, rule) != 0)
			break;
		if (!extra->names_others && is_in_place(extra, rule))
			return extra;
	}
	return NULL;
}

/* What nobody has marked in the place of ours was ours, or is to make room for it. */
static void find_altered(bn_ctx *ctx, struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->missing.len; i++) {
		struct missing *missing = &comparison->missing.items[i];
		struct extra *extra = extra_in_place(comparison, missing->rule);

		if (!extra)
			continue;
		if (same_owner(extra->rule, missing->rule) || !has_mark(extra->rule)) {
			extra->is = EXTRA_ALTERED;
			extra->of = missing->rule;
		} else if (comparison_tells_owners(ctx)) {
			missing->taken = extra;
		}
	}
}

static int judge(bn_ctx *ctx, struct strays_view *view, struct extra *extra)
{
	static const enum extra_is verdicts[] = {
		[STRAYS_MAYBE_OTHERS] = EXTRA_UNKNOWN,
		[STRAYS_NOBODYS_NOW] = EXTRA_NOBODYS_NOW,
		[STRAYS_NOBODYS] = EXTRA_NOBODYS,
	};
	int r = 0;

	if (extra->is == EXTRA_ALTERED)
		return 0;
	if (comparison_tells_owners(ctx) && !has_mark(extra->rule)) {
		extra->is = EXTRA_FOREIGN;
		return 0;
	}
	r = strays_judge(ctx, view, extra->rule);
	if (r >= 0)
		extra->is = verdicts[r];
	return r < 0 ? r : 0;
}

/* What guards the host's forwarding has no owner: it is needed as long as anybody is there. */
static void judge_guard(struct comparison *comparison)
{
	bool others = false;

	for (size_t i = 0; i < comparison->extras.len; i++) {
		const struct extra *extra = &comparison->extras.items[i];

		others |= extra->is == EXTRA_UNKNOWN &&
			  kind_of(extra->rule->kind)->scope != PLAN_GUARD;
	}
	for (size_t i = 0; i < comparison->extras.len; i++) {
		struct extra *extra = &comparison->extras.items[i];

		if (kind_of(extra->rule->kind)->scope == PLAN_GUARD)
			extra->is = others ? EXTRA_UNKNOWN : EXTRA_NOBODYS;
	}
}

static int judge_extras(bn_ctx *ctx, struct comparison *comparison)
{
	CLEANUP(strays_view_clear) struct strays_view view = { 0 };
	int r;

	if (!comparison->extras.len)
		return 0;
	qsort(comparison->extras.items, comparison->extras.len, sizeof(*comparison->extras.items),
	      compare_extras);
	r = strays_view(ctx, &comparison->kernel, &comparison->rows.networks, &view);
	for (size_t i = 0; i < comparison->extras.len && r >= 0 && !comparison_tells_owners(ctx);
	     i++) {
		r = strays_names_others(ctx, &view, comparison->extras.items[i].rule);
		comparison->extras.items[i].names_others = r > 0;
	}
	if (r >= 0)
		find_altered(ctx, comparison);
	for (size_t i = 0; i < comparison->extras.len && r >= 0; i++)
		r = judge(ctx, &view, &comparison->extras.items[i]);
	judge_guard(comparison);
	return r;
}

int comparison_make(bn_ctx *ctx, struct comparison *comparison)
{
	int r;

	r = read_kernel(ctx, comparison);
	if (r >= 0)
		r = find_differences(ctx, comparison);
	return r < 0 ? r : judge_extras(ctx, comparison);
}

void comparison_keep(rule_vector *rules, const rule_vector *others)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->len; i++)
		if (comparison_has(others, &rules->items[i]))
			rules->items[kept++] = rules->items[i];
	rules->len = kept;
}

const struct extra *comparison_replaced(const struct comparison *comparison,
					const struct missing *missing)
{
	const struct extra *extra = extra_in_place(comparison, missing->rule);

	return extra && extra->is == EXTRA_ALTERED && extra->of == missing->rule ? extra : NULL;
}

const struct extra *comparison_taken(const struct missing *missing)
{
	return missing->taken && missing->taken->is == EXTRA_UNKNOWN ? missing->taken : NULL;
}
