/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/plan.h"

int rules_guard(bn_ctx *ctx, struct guard *guard)
{
	CLEANUP(host_text_clear) struct host_text text = { 0 };
	int r = store_networks_found(ctx->store, STORE_PENDING, &text, &ctx->error);

	if (r < 0)
		return r;
	return guard_parse(text.guard, guard) < 0 ? error_oom(&ctx->error) : 0;
}

int rules_plan_guarded(bn_ctx *ctx, uint32_t traits, uint32_t scopes, const struct rows *rows,
		       const struct guard *guard, rule_vector *rules)
{
	struct rows guarded = *rows;

	guarded.guard = *guard;
	return plan_rules(traits, scopes, &guarded, rules) < 0 ? error_oom(&ctx->error) : 0;
}

int rules_plan_with(bn_ctx *ctx, uint32_t traits, uint32_t scopes, const struct rows *rows,
		    rule_vector *rules)
{
	CLEANUP(guard_clear) struct guard guard = { 0 };
	int r = 0;

	if (scopes & (PLAN_NETWORKS | PLAN_GUARD))
		r = rules_guard(ctx, &guard);
	return r < 0 ? r : rules_plan_guarded(ctx, traits, scopes, rows, &guard, rules);
}

int rules_plan(bn_ctx *ctx, uint32_t scopes, const struct rows *rows, rule_vector *rules)
{
	return rules_plan_with(ctx, ctx->firewall->backend->traits(), scopes, rows, rules);
}
