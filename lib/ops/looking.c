/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was heard says only where to look: what is wrong is told from the kernel and the state, as a
 * check does. So it is the same whoever changed what, a verb of another process among them, and who
 * puts back what was changed is not told of.
 */
#include <errno.h>
#include <stdio.h>

#include "model/policy.h"
#include "ops/inspection.h"
#include "ops/watch.h"

#define LOOKS_MAX 5 /* while others are at work on the state */
#define BASE_TOLD_MS 100

/* What a check only notes is no event, but for listeners; and what is of the whole host is none of
 * a network's. */
static bool is_told(const struct inspection *inspection, const struct finding *finding)
{
	if (inspection->network && !finding->network[0])
		return false;
	return finding->severity > BN_SEVERITY_NOTE || finding->code == FINDING_PORT_LISTENER;
}

int watch_look(bn_watch *watch, const struct watch_parts *parts, const char *network,
	       const char *endpoint, finding_vector *findings)
{
	CLEANUP(inspection_forget)
	struct inspection inspection = { .network = network, .endpoint = endpoint };
	int r = inspection_look(&watch->ctx, &inspection, parts->inspectors, INSPECT_ALL);

	if (r < 0)
		return r;
	for (size_t i = 0; i < inspection.findings.len; i++) {
		const struct finding *finding = &inspection.findings.items[i];

		if (finding->inspector >= parts->told && is_told(&inspection, finding) &&
		    findings_add(findings, finding) < 0)
			return error_oom(&watch->ctx.error);
	}
	return r;
}

/* ---- the state ---- */

static int tell_change(void *data, enum watched_change change, const char *network,
		       const char *endpoint)
{
	static const struct {
		const char *before, *between, *after;
	} sentences[] = {
		[NETWORK_MADE] = { "network ", "", " was made" },
		[NETWORK_CHANGED] = { "network ", "", " was changed" },
		[NETWORK_DELETED] = { "network ", "", " was deleted" },
		[ENDPOINT_ATTACHED] = { "endpoint ", " was attached to network ", "" },
		[ENDPOINT_CHANGED] = { "endpoint ", " on network ", " was changed" },
		[ENDPOINT_PORTS_CHANGED] = { "ports of endpoint ", " on network ",
					     " were changed" },
		[ENDPOINT_DETACHED] = { "endpoint ", " was detached from network ", "" },
	};
	struct bn_event event = { .kind = "state" };
	struct text_buffer text = { 0 };
	bn_watch *watch = data;

	string_copy(event.network, sizeof(event.network), network);
	string_copy(event.endpoint, sizeof(event.endpoint), endpoint);
	/* what was heard of it while it was being made has been passed over */
	if (change != NETWORK_DELETED && change != ENDPOINT_DETACHED &&
	    suspects_add(watch, network, endpoint, 0) < 0)
		return -ENOMEM;
	text_put(&text, sentences[change].before);
	if (endpoint[0])
		text_put(&text, endpoint);
	text_put(&text, sentences[change].between);
	text_put(&text, network);
	text_put(&text, sentences[change].after);
	if (text_end(&text, &event.text) < 0)
		event.text = NULL;
	return events_put(&watch->queue, &event);
}

int watch_state(bn_watch *watch)
{
	struct watched before = watch->watched, after = { 0 };
	bn_ctx *ctx = &watch->ctx;
	uint64_t generation = 0;
	int r = store_generation(ctx->store, &generation, &ctx->error);

	if (r >= 0 && watch->replaced)
		r = store_watch(ctx->store, watch->inotify, &ctx->error);
	if (r < 0 || (generation == watch->generation && !watch->replaced))
		return r;
	r = watched_load(ctx, &after);
	if (r < 0) {
		watched_clear(&after);
		return r;
	}
	watch->watched = after;
	watch->generation = generation;
	watch->replaced = false;
	r = watched_compare(&before, &after, tell_change, watch);
	watched_clear(&before);
	return r < 0 ? error_oom(&ctx->error) : 0;
}

/* ---- rules ---- */

/* Networks that are there to stay have rules. */
static int has_rules(bn_ctx *ctx)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r = store_networks(ctx->store, STORE_STANDING, &networks, &ctx->error);

	for (size_t i = 0; i < networks.len && r >= 0; i++)
		if (network_has_rules(&networks.items[i]))
			return 1;
	return r;
}

/* Who it was comes last, and may have come only now. */
static void hear_program(bn_watch *watch)
{
	struct firewall_news news;

	if (watch->program[0])
		return;
	watch->rules->backend->hear(watch->rules, watch->ctx.firewall, &news);
	string_copy(watch->program, sizeof(watch->program), news.program);
	watch->tasks[TASK_BASE].pending |= news.ours;
}

static int tell_rules(bn_watch *watch, finding_vector *findings, const finding_vector *said)
{
	int r;

	if (findings->len)
		hear_program(watch);
	r = events_put_findings(&watch->queue, "rules", watch->program, findings, said);
	findings_clear(&watch->said_rules);
	watch->said_rules = *findings;
	*findings = (finding_vector){ 0 };
	watch->program[0] = '\0';
	return r < 0 ? error_oom(&watch->ctx.error) : 0;
}

/* All of it gone is found at once, and told at once; what is heard of the same right after that
 * waits, as it may be put back by then. */
static int tell_base(bn_watch *watch)
{
	struct bn_event event = { .kind = "rules" };
	uint64_t now = clock_now_ms();

	if (watch->base_told_at && now - watch->base_told_at < BASE_TOLD_MS) {
		watch->tasks[TASK_BASE].pending = true;
		return 0;
	}
	watch->base_told_at = now;
	hear_program(watch);
	string_copy(event.program, sizeof(event.program), watch->program);
	watch->program[0] = '\0';
	if (events_say(&watch->queue, &event,
		       "the base of the rules is gone, or a part of it, so that what is to be kept "
		       "out may pass, and ports may lead nowhere; repair makes it again") < 0)
		return error_oom(&watch->ctx.error);
	return 0;
}

int watch_base(bn_watch *watch)
{
	bn_ctx *ctx = &watch->ctx;
	int r = ctx->firewall->backend->stands(watch->rules, ctx->firewall, &ctx->error);

	if (r > 0) {
		watch->base_looks = 0;
		watch->base_told_at = 0;
		watch->tasks[TASK_RULES].pending = true;
		return 0;
	}
	if (r == 0)
		r = has_rules(ctx);
	if (r <= 0)
		return r;
	/* the last network may be on its way out, or the first one on its way in */
	if (ctx->look.has_operations && watch->base_looks < LOOKS_MAX) {
		watch->base_looks++;
		watch->tasks[TASK_BASE].pending = true;
		return 0;
	}
	watch->base_looks = 0;
	return tell_base(watch);
}

static int look_at_rules(bn_watch *watch, enum watch_task task, const finding_vector *said)
{
	CLEANUP(findings_clear) finding_vector findings = { 0 };
	static const struct watch_parts rules = { { &inspect_rules, &inspect_coexist }, 0 };
	int r = watch_look(watch, &rules, NULL, NULL, &findings);

	if (r < 0)
		return r;
	if (r == 0 && findings.len && watch->rules_looks < LOOKS_MAX) {
		watch->rules_looks++;
		watch->tasks[task].pending = true;
		return 0;
	}
	watch->rules_looks = 0;
	return tell_rules(watch, &findings, said);
}

int watch_rules(bn_watch *watch)
{
	const struct firewall_backend *backend = watch->rules->backend;
	uint32_t changed = FIREWALL_CHANGED_OURS;

	/* one that others were in the way of is to be looked at again, whatever it is now */
	if (backend->changed && !watch->rules_looks)
		changed = backend->changed(watch->rules, watch->ctx.firewall);
	if (watch->frames_changed)
		changed |= FIREWALL_CHANGED_OURS;
	watch->frames_changed = false;
	if (changed & FIREWALL_CHANGED_OURS)
		return look_at_rules(watch, TASK_RULES, NULL);
	watch->tasks[TASK_OTHERS].pending |= changed != 0;
	return 0;
}

int watch_others(bn_watch *watch)
{
	/* there is nothing that they could be in the way of */
	if (watch->base_told_at)
		return 0;
	return look_at_rules(watch, TASK_OTHERS, &watch->said_rules);
}

/* ---- listeners ---- */

int watch_ports(bn_watch *watch)
{
	CLEANUP(findings_clear) finding_vector findings = { 0 };
	CLEANUP(findings_clear) finding_vector listeners = { 0 };
	static const struct watch_parts ports = { { &inspect_ports }, 0 };
	int r = watch_look(watch, &ports, NULL, NULL, &findings);

	if (r < 0)
		return r;
	for (size_t i = 0; i < findings.len; i++)
		if (findings.items[i].code == FINDING_PORT_LISTENER &&
		    findings_add(&listeners, &findings.items[i]) < 0)
			return error_oom(&watch->ctx.error);
	if (events_put_findings(&watch->queue, "listener", "", &listeners, &watch->said_listeners) <
	    0)
		return error_oom(&watch->ctx.error);
	findings_clear(&watch->said_listeners);
	watch->said_listeners = listeners;
	listeners = (finding_vector){ 0 };
	return 0;
}
