/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/base.h"

#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "model/policy.h"
#include "ops/coexist.h"
#include "ops/rows.h"
#include "ops/rules.h"

int base_needs_of(bn_ctx *ctx, struct base_needs *ret_needs)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r = store_networks(ctx->store, STORE_PENDING, &networks, &ctx->error);

	*ret_needs = (struct base_needs){ 0 };
	for (size_t i = 0; i < networks.len && r >= 0; i++) {
		const struct network *network = &networks.items[i];

		ret_needs->state |= network->bridge[0] != '\0';
		if (!network_has_rules(network))
			continue;
		ret_needs->rules = true;
		ret_needs->ipv4 |= network_is_forwarded(network, AF_INET);
		ret_needs->ipv6 |= network_is_forwarded(network, AF_INET6);
	}
	return r;
}

static int remove_base(bn_ctx *ctx, struct firewall *firewall)
{
	int r;

	firewall->note[0] = '\0';
	r = firewall_remove_base(firewall, &ctx->error);
	if (r >= 0 && firewall->note[0])
		ctx_log(ctx, LOG_NOTICE, "%s", firewall->note);
	return r;
}

int base_leave(bn_ctx *ctx)
{
	struct base_needs needs;
	int r = base_needs_of(ctx, &needs);

	if (r < 0 || needs.rules)
		return r;
	r = FAULT("base.remove");
	if (r >= 0)
		r = remove_base(ctx, ctx->firewall);
	return r < 0 || needs.state ? r : ctx_release_state(ctx);
}

/* ---- moving between backends ---- */

static int plan_state(bn_ctx *ctx, const struct firewall *firewall, rule_vector *rules)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r;

	r = rows_load(ctx, NULL, NULL, &rows);
	return r < 0 ? r :
		       rules_plan_with(ctx, firewall->backend->traits(), PLAN_ROWS | PLAN_GUARD,
				       &rows, rules);
}

int base_put_state(bn_ctx *ctx, struct firewall *firewall)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = plan_state(ctx, firewall, &rules);
	return r < 0 ? r : rules_put(ctx, firewall, &rules);
}

int base_take_rules(bn_ctx *ctx, struct firewall *firewall, const rule_vector *rules)
{
	const struct firewall_change change = {
		.remove = rules->items,
		.remove_len = rules->len,
		.flags = FIREWALL_MISSING_OK | FIREWALL_LEAVING | FIREWALL_PACKETS,
	};
	int r;

	r = firewall_apply(firewall, &change, &ctx->error);
	if (r >= 0 || r == FIREWALL_BASE_MISSING)
		r = remove_base(ctx, firewall);
	return r;
}

static int take_state(bn_ctx *ctx, struct firewall *firewall)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r;

	r = plan_state(ctx, firewall, &rules);
	return r < 0 ? r : base_take_rules(ctx, firewall, &rules);
}

int base_take_others(bn_ctx *ctx)
{
	const struct firewall_backend *const *backend;
	struct firewall *other;
	int r = coexist_move(ctx);

	for (backend = firewall_backends; *backend && r >= 0; backend++) {
		if (*backend == ctx->firewall->backend)
			continue;
		r = ctx_try_backend(ctx, *backend, &other);
		if (r == -EOPNOTSUPP) {
			/* what this kernel lacks holds nothing of ours */
			error_clear(&ctx->error);
			r = 0;
			continue;
		}
		if (r < 0)
			return r;
		r = take_state(ctx, other);
		firewall_close(other);
	}
	return r;
}
