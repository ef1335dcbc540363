/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules: what the state plans beside what the kernel has. The backend says what of its base is not
 * as it was made (inspect() of firewall.h); all else is told by two lists.
 */
#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "ops/base.h"
#include "ops/comparison.h"
#include "ops/inspection.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/rules.h"
#include "ops/strays.h"

#define PLAN_ALL (PLAN_ROWS | PLAN_GUARD)

/* ---- looking ---- */

static int append_rows(struct rows *rows, const struct rows *more)
{
#define APPEND(list)                                                                   \
	do {                                                                           \
		if (more->list.len && vector_reserve(&rows->list, more->list.len) < 0) \
			return -ENOMEM;                                                \
		for (size_t i = 0; i < more->list.len; i++)                            \
			rows->list.items[rows->list.len++] = more->list.items[i];      \
	} while (0)
	APPEND(networks);
	APPEND(endpoints);
	APPEND(ports);
#undef APPEND
	return 0;
}

/* A view: the rows stay the inspection's. */
static void drop_rows(struct rows *rows)
{
	free(rows->networks.items);
	free(rows->endpoints.items);
	free(rows->ports.items);
}

/* What is being changed has to be there only where that does not take it out. */
static int plan_moving(bn_ctx *ctx, rule_vector *planned, struct comparison *comparison)
{
	CLEANUP(rows_clear) struct rows standing = { 0 };
	CLEANUP(rules_clear) rule_vector after = { 0 };
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = rows_load_standing(ctx, &standing);
	if (r >= 0)
		r = rules_plan(ctx, PLAN_ALL, &standing, &after);
	store_rollback(ctx->store);
	if (r < 0)
		return r;
	rules_sort(&after);
	comparison_keep(planned, &after);
	for (size_t i = 0; i < after.len; i++)
		if (vector_append(&comparison->allowed, after.items[i]) < 0)
			return error_oom(&ctx->error);
	return 0;
}

static int plan_look(bn_ctx *ctx, struct inspection *inspection, struct comparison *comparison)
{
	uint32_t scopes = inspection->network ? PLAN_ROWS : PLAN_ALL;
	rule_vector *planned = &inspection->planned;
	int r = 0;

	comparison->planned = planned;
	/* the same state was looked at before */
	if (inspection->generation && planned->len)
		return 0;
	r = rules_plan(ctx, scopes, &inspection->rows, planned);
	if (r >= 0)
		rules_sort(planned);
	if (r < 0 || !ctx->look.has_operations)
		return r;
	r = rules_plan(ctx, scopes, &comparison->rows, &comparison->allowed);
	if (r >= 0)
		r = plan_moving(ctx, planned, comparison);
	rules_sort(&comparison->allowed);
	return r;
}

static void set_inspector(struct inspection *inspection, size_t first)
{
	for (; first < inspection->findings.len; first++)
		inspection->findings.items[first].inspector = inspection->inspector;
}

static int inspect_base(bn_ctx *ctx, struct inspection *inspection)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	size_t first = inspection->findings.len;
	int r;

	if (!backend->inspect)
		return 0;
	r = firewall_inspect(ctx->firewall, &inspection->planned, !inspection->network,
			     &inspection->findings, &ctx->error);
	set_inspector(inspection, first);
	return r;
}

/* A repair has made them what they are to be, and nobody else has changed any since. */
static bool is_as_repaired(const bn_ctx *ctx, const struct inspection *inspection)
{
	const struct firewall_backend *backend = ctx->firewall->backend;

	return inspection->generation && ctx->ruled == inspection->generation &&
	       backend->is_as_left && backend->is_as_left(ctx->firewall);
}

/* What is asked about is there, and nothing else is looked at. */
static int all_is_there(bn_ctx *ctx, const struct inspection *inspection)
{
	const rule_vector *planned = &inspection->planned;
	CLEANUP(rules_clear) rule_vector found = { 0 };
	size_t count = 0;
	int r;

	if (!inspection->network || !comparison_tells_owners(ctx))
		return 0;
	r = planned->len ? firewall_list(ctx->firewall, planned, &found, &ctx->error) : 0;
	for (size_t i = 0; i < found.len; i++)
		count += comparison_is_about(&found.items[i]);
	return r < 0 ? r : count == planned->len;
}

/* ---- what is found ---- */

#define EACH_OF_KIND 64 /* more than these are told of together */

static void put_others(size_t others, char text[static RULE_LINE_MAX])
{
	size_t len = strlen(text);

	if (others)
		snprintf(text + len, RULE_LINE_MAX - len, " (and %zu others of its kind)", others);
}

static int missing_severity(const struct rule *rule)
{
	bool lets_pass = rule->jump == CHAIN_FRAMES_ALLOWED;

	return rule->target == TARGET_DROP || (rule_leads_on(rule) && !lets_pass) ?
		       BN_SEVERITY_OPEN :
		       BN_SEVERITY_BROKEN;
}

static int find_missing(bn_ctx *ctx, struct inspection *inspection, const struct missing *missing,
			size_t others)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	const struct extra *taken = comparison_taken(missing);
	char should_be[RULE_LINE_MAX], is[RULE_LINE_MAX] = "";

	rule_render_line(backend, missing->rule, should_be);
	put_others(others, should_be);
	if (taken)
		rule_render_line(backend, taken->rule, is);
	return inspection_find(ctx, inspection,
			       &(struct finding){
				       .code = taken ? FINDING_RULE_TAKEN : FINDING_RULE_MISSING,
				       .severity = missing_severity(missing->rule),
				       .network = others ? "" : missing->rule->network,
				       .endpoint = others ? "" : missing->rule->endpoint,
				       .should_be = should_be,
				       .is = is,
			       });
}

static int find_all_missing(bn_ctx *ctx, struct inspection *inspection,
			    const struct comparison *comparison)
{
	const struct missing *missing = comparison->missing.items;
	size_t len = comparison->missing.len, next;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i = next) {
		size_t others;

		for (next = i + 1; next < len; next++)
			if (missing[next].rule->kind != missing[i].rule->kind)
				break;
		others = next - i > EACH_OF_KIND ? next - i - 1 : 0;
		for (size_t j = i; j < next && r == 0; j += others + 1)
			if (!comparison_replaced(comparison, &missing[j]))
				r = find_missing(ctx, inspection, &missing[j], others);
	}
	return r;
}

static const struct finding *extra_finding(const struct extra *extra, struct finding *finding)
{
	static const enum finding_code codes[] = {
		[EXTRA_NOBODYS_NOW] = FINDING_RULE_STRAY,
		[EXTRA_NOBODYS] = FINDING_RULE_STRAY,
		[EXTRA_ALTERED] = FINDING_RULE_ALTERED,
		[EXTRA_FOREIGN] = FINDING_RULE_ALIEN,
	};
	const struct rule *owner = extra->of ? extra->of : extra->rule;

	finding->code = codes[extra->is];
	if (extra->is != EXTRA_FOREIGN) {
		finding->network = owner->network;
		finding->endpoint = owner->endpoint;
	}
	if (extra->of)
		finding->severity = missing_severity(extra->of);
	return finding;
}

static int find_extra(bn_ctx *ctx, struct inspection *inspection, const struct extra *extra,
		      size_t others)
{
	const struct firewall_backend *backend = ctx->firewall->backend;
	char is[RULE_LINE_MAX], should_be[RULE_LINE_MAX] = "", chain[CHAIN_NAME_MAX];
	char object[CHAIN_NAME_MAX + sizeof("chain ")];
	struct finding finding = { .is = is, .should_be = should_be, .object = object };

	rule_render_line(backend, extra->rule, is);
	put_others(others, is);
	firewall_chain_name(backend, extra->rule, chain);
	snprintf(object, sizeof(object), "chain %s", chain);
	if (extra->of)
		rule_render_line(backend, extra->of, should_be);
	else if (extra->is == EXTRA_FOREIGN)
		string_copy(should_be, sizeof(should_be), "none without a mark of ours");
	return inspection_find(ctx, inspection, extra_finding(extra, &finding));
}

static int find_unknown(bn_ctx *ctx, struct inspection *inspection, const struct extra *first,
			size_t count)
{
	char object[48], is[RULE_LINE_MAX];

	snprintf(object, sizeof(object), "%zu rules", count);
	rule_render_line(ctx->firewall->backend, first->rule, is);
	put_others(0, is);
	return inspection_find(ctx, inspection,
			       &(struct finding){ .code = FINDING_RULES_UNKNOWN,
						  .network = first->rule->network,
						  .object = object,
						  .is = is });
}

static int compare_networks(const void *a, const void *b)
{
	const struct extra *const *left = a, *const *right = b;
	int order = strcmp((*left)->rule->network, (*right)->rule->network);

	return order ? order : rule_compare((*left)->rule, (*right)->rule);
}

/* One finding for each network. */
static int find_all_unknown(bn_ctx *ctx, struct inspection *inspection,
			    const struct comparison *comparison)
{
	CLEANUP_VECTOR VECTOR(const struct extra *) unknown = { 0 };
	int r = 0;

	for (size_t i = 0; i < comparison->extras.len && r == 0; i++)
		if (comparison->extras.items[i].is == EXTRA_UNKNOWN)
			r = vector_append(&unknown, &comparison->extras.items[i]);
	if (r < 0)
		return error_oom(&ctx->error);
	if (unknown.len)
		qsort(unknown.items, unknown.len, sizeof(*unknown.items), compare_networks);
	for (size_t i = 0, next; i < unknown.len && r == 0; i = next) {
		for (next = i + 1; next < unknown.len; next++)
			if (strcmp(unknown.items[next]->rule->network,
				   unknown.items[i]->rule->network) != 0)
				break;
		r = find_unknown(ctx, inspection, unknown.items[i], next - i);
	}
	return r;
}

/* Of one network or endpoint only what is in the place of its rules is told of. */
static bool is_told(const struct inspection *inspection, const struct extra *extra)
{
	return extra->is != EXTRA_UNKNOWN && (!inspection->network || extra->is == EXTRA_ALTERED);
}

static int find_all_extras(bn_ctx *ctx, struct inspection *inspection,
			   const struct comparison *comparison)
{
	const struct extra *extras = comparison->extras.items;
	size_t len = comparison->extras.len, next;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i = next) {
		size_t others;

		for (next = i + 1; next < len; next++)
			if (extras[next].rule->kind != extras[i].rule->kind ||
			    extras[next].is != extras[i].is)
				break;
		others = next - i > EACH_OF_KIND ? next - i - 1 : 0;
		for (size_t j = i; j < next && r == 0; j += others + 1)
			if (is_told(inspection, &extras[j]))
				r = find_extra(ctx, inspection, &extras[j], others);
	}
	return r < 0 || inspection->network ? r : find_all_unknown(ctx, inspection, comparison);
}

/* ---- the look ---- */

static int note_strays(bn_ctx *ctx, const struct comparison *comparison, rule_vector *strays)
{
	for (size_t i = 0; i < comparison->extras.len; i++) {
		const struct extra *extra = &comparison->extras.items[i];

		if (extra->is == EXTRA_NOBODYS_NOW && vector_append(strays, *extra->rule) < 0)
			return error_oom(&ctx->error);
	}
	rules_sort(strays);
	return 0;
}

/* What may still come to belong to another state is not told of yet. */
static void pass_new(struct comparison *comparison, const rule_vector *strays)
{
	for (size_t i = 0; i < comparison->extras.len; i++) {
		struct extra *extra = &comparison->extras.items[i];

		if (extra->is == EXTRA_NOBODYS_NOW && !comparison_has(strays, extra->rule))
			extra->is = EXTRA_UNKNOWN;
	}
}

static int compare(bn_ctx *ctx, struct inspection *inspection, struct comparison *comparison)
{
	int r = comparison_make(ctx, comparison);

	/* with that flag all go, whoever's they are */
	if (r >= 0 && !inspection->network && !(inspection->flags & BN_REPAIR_REMOVE_UNKNOWN))
		r = note_strays(ctx, comparison, &inspection->strays);
	if (r < 0 || !inspection->strays.len)
		return r;
	r = strays_wait(ctx);
	if (r >= 0) {
		comparison_again(comparison);
		r = comparison_make(ctx, comparison);
	}
	if (r >= 0)
		pass_new(comparison, &inspection->strays);
	return r;
}

static int look_with(bn_ctx *ctx, struct inspection *inspection, struct comparison *comparison)
{
	int r = plan_look(ctx, inspection, comparison);

	if (r >= 0)
		r = inspect_base(ctx, inspection);
	/* that says it all */
	if (r >= 0 && (inspection_has(inspection, FINDING_RULES_GONE, NULL, NULL) ||
		       is_as_repaired(ctx, inspection)))
		return 0;
	/* from here on is_as_left() would be about this look, and not about the repair */
	ctx->ruled = 0;
	if (r >= 0)
		r = all_is_there(ctx, inspection);
	if (r != 0)
		return r < 0 ? r : 0;
	r = compare(ctx, inspection, comparison);
	if (r >= 0)
		r = find_all_missing(ctx, inspection, comparison);
	return r < 0 ? r : find_all_extras(ctx, inspection, comparison);
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP(comparison_clear) struct comparison comparison = { 0 };
	int r = 0;

	if (append_rows(&comparison.rows, &inspection->rows) < 0 ||
	    append_rows(&comparison.rows, &inspection->moving) < 0)
		r = error_oom(&ctx->error);
	if (r >= 0)
		r = look_with(ctx, inspection, &comparison);
	drop_rows(&comparison.rows);
	return r;
}

/* ---- putting right ---- */

static bool can_be_mended(const struct inspection *inspection)
{
	for (size_t i = 0; i < inspection->findings.len; i++) {
		const struct finding *finding = &inspection->findings.items[i];
		bool unknown = finding->code == FINDING_RULES_UNKNOWN ||
			       finding->code == FINDING_RULE_TAKEN;

		if (finding->inspector != inspection->inspector ||
		    finding->code == FINDING_RULE_ALIEN || finding->code == FINDING_RULE_SHADOWS)
			continue;
		if (!unknown || inspection->flags & BN_REPAIR_REMOVE_UNKNOWN)
			return true;
	}
	return false;
}

static bool is_to_go(const struct inspection *inspection, const struct extra *extra)
{
	switch (extra->is) {
	case EXTRA_ALTERED:
		return true;
	case EXTRA_FOREIGN:
		return false;
	case EXTRA_UNKNOWN:
		return inspection->flags & BN_REPAIR_REMOVE_UNKNOWN;
	case EXTRA_NOBODYS_NOW:
	case EXTRA_NOBODYS:
		break;
	}
	if (inspection->network)
		return false;
	/* what has come since the look waits for the next one */
	return extra->is == EXTRA_NOBODYS || inspection->flags & BN_REPAIR_REMOVE_UNKNOWN ||
	       comparison_has(&inspection->strays, extra->rule);
}

/* 1: that is all that differs; 0: something stays as it is. */
static int change_of(bn_ctx *ctx, const struct inspection *inspection,
		     const struct comparison *comparison, rule_vector *add, rule_vector *remove)
{
	size_t count = comparison->missing.len + comparison->extras.len;
	int r = vector_reserve(add, comparison->missing.len);

	for (size_t i = 0; i < comparison->missing.len && r == 0; i++) {
		const struct missing *missing = &comparison->missing.items[i];
		const struct extra *taken = comparison_taken(missing);
		const struct extra *altered = comparison_replaced(comparison, missing);

		if (taken && !is_to_go(inspection, taken))
			continue;
		r = vector_append(add, *missing->rule);
		if (r == 0 && altered) {
			add->items[add->len - 1].packets = altered->rule->packets;
			add->items[add->len - 1].bytes = altered->rule->bytes;
		}
	}
	for (size_t i = 0; i < comparison->extras.len && r == 0; i++)
		if (is_to_go(inspection, &comparison->extras.items[i]))
			r = vector_append(remove, *comparison->extras.items[i].rule);
	return r < 0 ? error_oom(&ctx->error) : add->len + remove->len == count;
}

/* What a mend goes by. */
struct mending {
	struct comparison comparison;
	struct rows rows; /* that it refers to */
	rule_vector planned;
	bool all; /* the rules of all that stands are what they are to be, afterwards */
};

static void mending_clear(struct mending *mending)
{
	comparison_clear(&mending->comparison);
	rows_clear(&mending->rows);
	rules_clear(&mending->planned);
}

/* All that stands is to be there, whatever was asked about: a base without it would pass for
 * whole. */
static int plan_standing(bn_ctx *ctx, struct mending *mending)
{
	CLEANUP(rows_clear) struct rows standing = { 0 };
	int r = rows_load_standing(ctx, &standing);

	if (r >= 0)
		r = rules_plan(ctx, PLAN_ALL, &standing, &mending->planned);
	if (r >= 0)
		r = rows_load_all(ctx, &mending->rows);
	if (r >= 0 && ctx->look.has_operations)
		r = rules_plan(ctx, PLAN_ALL, &mending->rows, &mending->comparison.allowed);
	rules_sort(&mending->planned);
	rules_sort(&mending->comparison.allowed);
	mending->comparison.planned = &mending->planned;
	mending->comparison.rows = mending->rows;
	return r;
}

/* Mostly the state is still the one that was looked at. 1: so it is, and all of it was. */
static int plan_mend(bn_ctx *ctx, const struct inspection *inspection, struct mending *mending)
{
	uint64_t generation = 0;
	int r = store_generation(ctx->store, &generation, &ctx->error);

	if (r < 0)
		return r;
	if (inspection->network || ctx->look.has_operations || !inspection->generation ||
	    generation != inspection->generation)
		return plan_standing(ctx, mending);
	mending->comparison.planned = &inspection->planned;
	mending->comparison.rows = inspection->rows;
	return 1;
}

/* Something may be in the way that does not show while parts of the base are missing: -ESTALE, once
 * they are back. */
static int mend_held(bn_ctx *ctx, const struct inspection *inspection, bool again,
		     struct mending *mending)
{
	CLEANUP_VECTOR rule_vector add = { 0 };
	CLEANUP_VECTOR rule_vector remove = { 0 };
	const rule_vector *planned;
	int same = plan_mend(ctx, inspection, mending), r = same;

	if (r >= 0)
		r = comparison_make(ctx, &mending->comparison);
	if (r >= 0)
		r = change_of(ctx, inspection, &mending->comparison, &add, &remove);
	if (r < 0)
		return r;
	mending->all = same && r;
	planned = mending->comparison.planned;
	ctx_log(ctx, LOG_INFO, "putting back %zu rules, and taking out %zu", add.len, remove.len);
	r = rules_repair(ctx, planned, &add, &remove);
	if ((r == -EEXIST || r == -EADDRINUSE) && !again) {
		error_clear(&ctx->error);
		r = rules_repair(ctx, planned, NULL, NULL);
		return r < 0 ? r : -ESTALE;
	}
	return r < 0 || planned->len ? r : base_leave(ctx);
}

/* Of a state that has rules, and on which nobody is at work, nothing was written. */
static int end_hold(bn_ctx *ctx, const struct mending *mending)
{
	if (!ctx->look.has_operations && mending->comparison.planned->len)
		return 0;
	return store_commit(ctx->store, &ctx->error);
}

static int mend_once(bn_ctx *ctx, const struct inspection *inspection, bool again)
{
	CLEANUP(mending_clear) struct mending mending = { 0 };
	int ended, r = operation_hold(ctx);

	if (r >= 0)
		r = mend_held(ctx, inspection, again, &mending);
	if (r >= 0 || r == -ESTALE) {
		ended = end_hold(ctx, &mending);
		r = ended < 0 ? ended : r;
	}
	store_rollback(ctx->store);
	ctx->ruled = r >= 0 && mending.all ? inspection->generation : 0;
	return r;
}

static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	int r;

	if (!can_be_mended(inspection))
		return 0;
	r = mend_once(ctx, inspection, false);
	return r == -ESTALE ? mend_once(ctx, inspection, true) : r;
}

const struct inspector inspect_rules = { "rules", true, look, mend };
