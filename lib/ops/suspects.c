/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose links something was heard of: what of theirs is not as it should be is found by a look. */
#include <errno.h>

#include "ops/inspection.h"
#include "ops/watch.h"

#define SUSPECTS_MAX 64 /* of more than these all are looked at, in one go */
#define SAID_MS 1000    /* the same is not looked at again so soon */
#define AGAIN_MS 20     /* others are just at it */
#define LOOKS_MAX 5

static struct suspect *find(bn_watch *watch, const char *network, const char *endpoint)
{
	for (size_t i = 0; i < watch->suspects.len; i++) {
		struct suspect *suspect = &watch->suspects.items[i];

		if (strcmp(suspect->network, network) == 0 &&
		    strcmp(suspect->endpoint, endpoint) == 0)
			return suspect;
	}
	return NULL;
}

int suspects_add(bn_watch *watch, const char *network, const char *endpoint, uint64_t not_before)
{
	struct suspect *suspect = find(watch, network, endpoint);

	if (suspect) {
		suspect->pending = true;
		return 0;
	}
	if (watch->suspects.len >= SUSPECTS_MAX) {
		watch->all_suspects = true;
		return 0;
	}
	suspect = vector_push(&watch->suspects);
	if (!suspect)
		return -ENOMEM;
	string_copy(suspect->network, sizeof(suspect->network), network);
	string_copy(suspect->endpoint, sizeof(suspect->endpoint), endpoint);
	suspect->pending = true;
	suspect->not_before = not_before;
	return 0;
}

/* One that the state does not have yet is looked at when it has. */
void suspects_hear(void *data, const char *owner, const char *name)
{
	const char *slash = strchr(owner, '/');
	size_t len = slash ? (size_t)(slash - owner) : strlen(owner);
	const struct watched_network *network = NULL;
	bn_watch *watch = data;
	int r = 0;

	if (len)
		network = watched_by_id(&watch->watched, owner, len);
	else if (name[0])
		network = watched_by_bridge(&watch->watched, name);
	if (network)
		r = suspects_add(watch, network->name, slash ? slash + 1 : "", 0);
	else if (!len && !name[0])
		r = suspects_add(watch, "", "", 0);
	/* without memory for one of them */
	if (r < 0)
		watch->all_suspects = true;
}

uint64_t suspects_due(const bn_watch *watch)
{
	uint64_t due = watch->all_suspects ? 0 : UINT64_MAX;

	for (size_t i = 0; i < watch->suspects.len; i++) {
		const struct suspect *suspect = &watch->suspects.items[i];

		if (suspect->pending && suspect->not_before < due)
			due = suspect->not_before;
	}
	return due;
}

/* Those that are not pending are kept for as long as they are not to be looked at again. */
static void forget_old(bn_watch *watch, uint64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->suspects.len; i++) {
		const struct suspect *suspect = &watch->suspects.items[i];

		if (suspect->pending || suspect->not_before > now)
			watch->suspects.items[kept++] = *suspect;
	}
	watch->suspects.len = kept;
}

/* ---- looking ---- */

/* The parts that a suspect is looked at by: of the host they see what others go by. */
static const struct watch_parts of_host = { { &inspect_host }, 0 };
static const struct watch_parts of_network = { { &inspect_host, &inspect_bridges }, 0 };
static const struct watch_parts of_endpoint = { { &inspect_host, &inspect_endpoints }, 1 };
static const struct watch_parts of_all = { { &inspect_host, &inspect_bridges, &inspect_endpoints },
					   0 };

static int look_at(bn_watch *watch, struct suspect *suspect, uint64_t now)
{
	const char *network = suspect->network[0] ? suspect->network : NULL;
	const char *endpoint = suspect->endpoint[0] ? suspect->endpoint : NULL;
	CLEANUP(findings_clear) finding_vector findings = { 0 };
	const struct watch_parts *parts = endpoint ? &of_endpoint :
					  network  ? &of_network :
						     &of_host;
	int r = watch_look(watch, parts, network, endpoint, &findings);

	/* it has gone, or goes */
	if (r == -ENOENT) {
		error_clear(&watch->ctx.error);
		suspect->pending = false;
		return 0;
	}
	if (r < 0)
		return r;
	if (r == 0 && findings.len && suspect->looks < LOOKS_MAX) {
		suspect->looks++;
		suspect->not_before = now + AGAIN_MS;
		return 0;
	}
	suspect->pending = false;
	suspect->looks = 0;
	suspect->not_before = findings.len ? now + SAID_MS : 0;
	return events_put_findings(&watch->queue, "link", "", &findings, NULL);
}

static int look_at_all(bn_watch *watch)
{
	CLEANUP(findings_clear) finding_vector findings = { 0 };
	int r = link_watch_learn(watch->links, watch->ctx.link, &watch->ctx.error);

	if (r >= 0)
		r = watch_look(watch, &of_all, NULL, NULL, &findings);
	if (r < 0)
		return r;
	/* what others are just at is no harm: they stay suspects for the next look */
	if (r == 0 && findings.len && watch->all_looks < LOOKS_MAX) {
		watch->all_looks++;
		return 0;
	}
	watch->all_suspects = false;
	watch->all_looks = 0;
	watch->suspects.len = 0;
	return events_put_findings(&watch->queue, "link", "", &findings, NULL);
}

int suspects_look(bn_watch *watch)
{
	uint64_t now = clock_now_ms();
	int r = 0;

	if (watch->all_suspects)
		return look_at_all(watch);
	for (size_t i = 0; i < watch->suspects.len && r >= 0; i++) {
		struct suspect *suspect = &watch->suspects.items[i];

		if (suspect->pending && suspect->not_before <= now)
			r = look_at(watch, suspect, now);
	}
	forget_old(watch, now);
	return r;
}
