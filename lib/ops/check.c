/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <errno.h>
#include <syslog.h>

#include "ops/inspection.h"
#include "ops/operation.h"
#include "ops/rows.h"

static const struct inspector *const inspectors[] = {
	&inspect_rules,
	&inspect_coexist,
	&inspect_definitions,
	&inspect_host,
	&inspect_bridges,
	&inspect_endpoints,
	&inspect_ports,
	&inspect_addresses,
	&inspect_flows,
	&inspect_strays,
	NULL,
};

/* ---- looking ---- */

#define RULES_ALONE 0x1u /* the first of them */

/* Both are sorted. */
static void keep_common(finding_vector *findings, const finding_vector *others)
{
	size_t kept = 0;

	for (size_t i = 0; i < findings->len; i++) {
		if (findings_have(others, &findings->items[i]))
			findings->items[kept++] = findings->items[i];
		else
			finding_clear(&findings->items[i]);
	}
	findings->len = kept;
}

#define LOOKS 4
#define LOOK_BACK_OFF 3 /* the first pause is of 8 ms */

/* While others are at work a part may be seen before they are at it and another after that: what is
 * wrong is still so at the next look. */
static int look(bn_ctx *ctx, struct inspection *inspection, uint32_t parts)
{
	CLEANUP(findings_clear) finding_vector last = { 0 };
	int r = inspection_look(ctx, inspection, inspectors, parts);

	for (unsigned int i = 1; i < LOOKS && r == 0 && inspection->findings.len; i++) {
		findings_clear(&last);
		last = inspection->findings;
		inspection->findings = (finding_vector){ 0 };
		r = deadline_back_off(&ctx->deadline, LOOK_BACK_OFF + i);
		if (r < 0)
			return deadline_error(&ctx->error, r,
					      "while others changed what was looked at");
		r = inspection_look(ctx, inspection, inspectors, parts);
	}
	if (r == 0)
		keep_common(&inspection->findings, &last);
	return r;
}

static int open_all(bn_ctx *ctx)
{
	int r = ctx_open_links(ctx);

	return r < 0 ? r : ctx_open_firewall(ctx);
}

int ops_check(bn_ctx *ctx, const char *network, const char *endpoint, finding_vector *findings)
{
	CLEANUP(inspection_forget)
	struct inspection inspection = { .network = network, .endpoint = endpoint };
	int r = open_all(ctx);

	if (r >= 0)
		r = look(ctx, &inspection, INSPECT_ALL);
	if (r < 0)
		return r;
	*findings = inspection.findings;
	inspection.findings = (finding_vector){ 0 };
	return 0;
}

/* ---- putting right ---- */

static bool has_found(const struct inspection *inspection, size_t inspector)
{
	for (size_t i = 0; i < inspection->findings.len; i++)
		if (inspection->findings.items[i].inspector == inspector)
			return true;
	return false;
}

static int mend(bn_ctx *ctx, struct inspection *inspection)
{
	int r = 0;

	for (size_t i = 0; inspectors[i] && r >= 0; i++) {
		if (!inspectors[i]->mend || !has_found(inspection, i))
			continue;
		/* else what the kernel has of rows that are damaged would be taken out */
		if (inspection->is_damaged && inspectors[i] != &inspect_strays)
			continue;
		ctx_log(ctx, LOG_INFO, "repairing %s", inspectors[i]->name);
		inspection->inspector = i;
		r = inspectors[i]->mend(ctx, inspection);
		store_rollback(ctx->store);
	}
	return r;
}

/* What was found first, and what shows only once that is put right; repaired is what is not found
 * any more. Both are sorted. */
static int note_found(bn_ctx *ctx, finding_vector *all, const finding_vector *now)
{
	CLEANUP(findings_clear) finding_vector more = { 0 };

	for (size_t i = 0; i < all->len; i++)
		all->items[i].repaired = !findings_have(now, &all->items[i]);
	for (size_t i = 0; i < now->len; i++)
		if (!findings_have(all, &now->items[i]) && findings_add(&more, &now->items[i]) < 0)
			return error_oom(&ctx->error);
	if (vector_reserve(all, more.len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < more.len; i++)
		all->items[all->len++] = more.items[i];
	more.len = 0;
	findings_sort(all);
	return 0;
}

/* To walk over all connections once more takes its time. */
static uint32_t parts_again(const struct inspection *inspection)
{
	uint32_t parts = 0;

	for (size_t i = 0; inspectors[i]; i++)
		if (!inspectors[i]->is_apart || has_found(inspection, i))
			parts |= 1u << i;
	return parts;
}

/* An endpoint that has lost its namespace is detached, and nothing is wrong with it any more. */
static int look_again(bn_ctx *ctx, struct inspection *inspection)
{
	int r = look(ctx, inspection, parts_again(inspection));

	if (r != -ENOENT || !inspection->endpoint)
		return r;
	error_clear(&ctx->error);
	inspection_forget(inspection);
	return 0;
}

#define ROUNDS 3 /* of putting right what shows only when something else is right */

/* What the rules keep out waits for nothing else to be looked at. */
static int mend_rules(bn_ctx *ctx, struct inspection *inspection, finding_vector *all)
{
	int r = 0;

	if (!inspection->network && !(inspection->flags & BN_REPAIR_PLAN))
		r = inspection_look(ctx, inspection, inspectors, RULES_ALONE);
	/* others are at work: their rules are on their way */
	if (r <= 0 || !inspection->findings.len)
		return r;
	r = note_found(ctx, all, &inspection->findings);
	return r < 0 ? r : mend(ctx, inspection);
}

int ops_repair(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
	       finding_vector *findings)
{
	CLEANUP(inspection_forget)
	struct inspection inspection = {
		.network = network, .endpoint = endpoint, .flags = flags, .repairs = true
	};
	CLEANUP(findings_clear) finding_vector all = { 0 };
	size_t left;
	int r = open_all(ctx);

	if (r >= 0)
		r = mend_rules(ctx, &inspection, &all);
	if (r >= 0)
		r = look(ctx, &inspection, INSPECT_ALL);
	if (r >= 0)
		r = note_found(ctx, &all, &inspection.findings);
	for (int round = 0; round < ROUNDS && r >= 0; round++) {
		left = inspection.findings.len;
		if ((flags & BN_REPAIR_PLAN) || !left)
			break;
		r = mend(ctx, &inspection);
		if (r >= 0)
			r = look_again(ctx, &inspection);
		if (r >= 0)
			r = note_found(ctx, &all, &inspection.findings);
		/* what is left is not to be put right from here */
		if (round > 0 && inspection.findings.len >= left)
			break;
	}
	if (r < 0)
		return operation_result(ctx, r);
	*findings = all;
	all = (finding_vector){ 0 };
	return 0;
}
