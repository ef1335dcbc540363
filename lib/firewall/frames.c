/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules about frames are in a table of nftables' own for them, with either backend: iptables has
 * none for them. So what is asked of a backend is asked of two objects here, and each gets its
 * rules. What keeps something out is there first, and goes last.
 */
#include <errno.h>

#include "firewall/firewall.h"

#ifdef HAVE_NFTABLES
extern const struct firewall_backend nft_backend;

/* The object of the frames; it is opened when it is first needed. */
static int frames_of(struct firewall *firewall, struct firewall **ret_frames, struct error *error)
{
	int r = firewall->frames ? 0 : nft_open_frames(&firewall->frames, error);

	if (r < 0)
		return r;
	firewall->frames->deadline = firewall->deadline;
	firewall->frames->memory = firewall->memory;
	*ret_frames = firewall->frames;
	return 0;
}

static const struct firewall_backend *namer(const struct firewall_backend *backend,
					    const struct rule *rule)
{
	return rule_is_of_frames(rule) ? &nft_backend : backend;
}
#else
int nft_has_frames(struct firewall *firewall, struct error *error)
{
	(void)firewall;
	(void)error;
	return 0;
}

static int frames_of(struct firewall *firewall, struct firewall **ret_frames, struct error *error)
{
	(void)firewall;
	*ret_frames = NULL;
	return error_set(error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
			 "this build of the library has no nftables, which rules about frames are "
			 "made in");
}

static const struct firewall_backend *namer(const struct firewall_backend *backend,
					    const struct rule *rule)
{
	(void)rule;
	return backend;
}
#endif

uint32_t firewall_traits(void)
{
#ifdef HAVE_NFTABLES
	return PLAN_FRAMES;
#else
	return 0;
#endif
}

void firewall_close(struct firewall *firewall)
{
	if (!firewall)
		return;
	if (firewall->frames)
		firewall->frames->backend->close(firewall->frames);
	firewall->backend->close(firewall);
}

int firewall_has_frames(struct firewall *firewall, struct error *error)
{
	struct firewall *frames;
	int r = frames_of(firewall, &frames, error);

	if (r == -EOPNOTSUPP) {
		error_clear(error);
		return 0;
	}
	return r < 0 ? r : nft_has_frames(frames, error);
}

void firewall_chain_name(const struct firewall_backend *backend, const struct rule *rule,
			 char name[static CHAIN_NAME_MAX])
{
	namer(backend, rule)->chain_name(rule, name);
}

void firewall_jump_name(const struct firewall_backend *backend, const struct rule *rule,
			char name[static CHAIN_NAME_MAX])
{
	namer(backend, rule)->jump_name(rule, name);
}

/* ---- which is whose ---- */

static bool have_frames(const struct rule *rules, size_t len)
{
	/* mostly they are sorted */
	for (size_t i = len; i-- > 0;)
		if (rule_is_of_frames(&rules[i]))
			return true;
	return false;
}

/* Views of those that are about frames, or of the others. */
static int pick(const struct rule *rules, size_t len, bool frames, rule_vector *ret_views)
{
	for (size_t i = 0; i < len; i++)
		if (rule_is_of_frames(&rules[i]) == frames &&
		    vector_append(ret_views, rules[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* A part of a change, which is valid as long as the vectors are. */
struct part {
	struct firewall_change change;
	rule_vector add, remove, stand;
};

static void part_clear(struct part *part)
{
	free(part->add.items);
	free(part->remove.items);
	free(part->stand.items);
}

static int part_of(const struct firewall_change *whole, bool frames, struct part *part)
{
	int r = pick(whole->add, whole->add_len, frames, &part->add);

	if (r == 0)
		r = pick(whole->remove, whole->remove_len, frames, &part->remove);
	if (r == 0)
		r = pick(whole->stand, whole->stand_len, frames, &part->stand);
	part->change = (struct firewall_change){
		.add = part->add.items,
		.add_len = part->add.len,
		.remove = part->remove.items,
		.remove_len = part->remove.len,
		.stand = part->stand.items,
		.stand_len = part->stand.len,
		.flags = whole->flags,
	};
	return r;
}

/* ---- changes ---- */

/* The table is there as long as something is in it. */
static int frames_leave(struct firewall *frames, struct error *error)
{
	frames->note[0] = '\0';
	return frames->backend->remove_base(frames, error);
}

static int apply_frames(struct firewall *firewall, struct part *part, struct error *error)
{
	struct firewall_change *change = &part->change;
	bool stays = change->add_len || change->stand_len;
	struct firewall *frames;
	int r = frames_of(firewall, &frames, error);

	if (r < 0)
		return r;
	change->flags &= ~FIREWALL_FIRST;
	if (!stays) {
		change->flags &= ~(FIREWALL_BASE | FIREWALL_REPAIR);
		change->flags |= FIREWALL_LEAVING;
	}
	change->stand = NULL;
	change->stand_len = 0;
	r = frames->backend->apply(frames, change, error);
	/* there is nothing to be removed from */
	if (r == FIREWALL_BASE_MISSING && !stays)
		r = 0;
	return r < 0 || stays ? r : frames_leave(frames, error);
}

static bool is_empty(const struct firewall_change *change)
{
	return !change->add_len && !change->remove_len &&
	       !(change->flags & (FIREWALL_BASE | FIREWALL_REPAIR));
}

static int apply_parts(struct firewall *firewall, struct part *frames, struct part *packets,
		       struct error *error)
{
	bool first = frames->change.add_len || frames->change.stand_len;
	bool asked = frames->change.add_len || frames->change.remove_len ||
		     (frames->change.stand_len && frames->change.flags & FIREWALL_REPAIR);
	bool begun = false;
	int r = 0;

	firewall->partly = firewall->unmet = false;
	if (first && asked)
		r = apply_frames(firewall, frames, error);
	begun = first && asked && r == 0;
	if (r == 0 && !is_empty(&packets->change)) {
		r = firewall->backend->apply(firewall, &packets->change, error);
		begun |= r == 0;
	}
	if (r == 0 && !first && asked)
		r = apply_frames(firewall, frames, error);
	firewall->partly |= r < 0 && begun;
	return r;
}

int firewall_apply(struct firewall *firewall, const struct firewall_change *change,
		   struct error *error)
{
	CLEANUP(part_clear) struct part frames = { 0 };
	CLEANUP(part_clear) struct part packets = { 0 };

	if (!have_frames(change->add, change->add_len) &&
	    !have_frames(change->remove, change->remove_len) &&
	    !have_frames(change->stand, change->stand_len))
		return firewall->backend->apply(firewall, change, error);
	if (part_of(change, true, &frames) < 0 || part_of(change, false, &packets) < 0)
		return error_oom(error);
	if (change->flags & FIREWALL_PACKETS)
		return firewall->backend->apply(firewall, &packets.change, error);
	return apply_parts(firewall, &frames, &packets, error);
}

int firewall_remove_base(struct firewall *firewall, struct error *error)
{
	struct firewall *frames;
	int r = firewall->backend->remove_base(firewall, error);

	if (r < 0 || !firewall->frames)
		return r;
	r = frames_of(firewall, &frames, error);
	return r < 0 ? r : frames_leave(frames, error);
}

/* ---- looks ---- */

/* 1, or 0 where there can be none: what has no nftables has no frames. */
static int frames_if_any(struct firewall *firewall, struct firewall **ret_frames,
			 struct error *error)
{
	int r = frames_of(firewall, ret_frames, error);

	if (r == -EOPNOTSUPP || r == -EPERM) {
		error_clear(error);
		return 0;
	}
	return r < 0 ? r : 1;
}

/* wanted: NULL for all. */
static int list_frames(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
		       struct error *error)
{
	struct firewall *frames;
	int r = frames_if_any(firewall, &frames, error);

	return r <= 0 ? r : frames->backend->list(frames, wanted, rules, error);
}

int firewall_list(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
		  struct error *error)
{
	bool looks_up = firewall->backend->traits() & PLAN_OWNERS;
	CLEANUP_VECTOR rule_vector packets = { 0 };
	CLEANUP_VECTOR rule_vector frames = { 0 };
	bool have = wanted && have_frames(wanted->items, wanted->len);
	int r;

	if (have && (pick(wanted->items, wanted->len, true, &frames) < 0 ||
		     pick(wanted->items, wanted->len, false, &packets) < 0))
		return error_oom(error);
	r = firewall->backend->list(firewall, have ? &packets : wanted, rules, error);
	if (r < 0 || (wanted && looks_up && !have))
		return r;
	return list_frames(firewall, wanted && looks_up ? &frames : NULL, rules, error);
}

int firewall_inspect(struct firewall *firewall, const rule_vector *planned, bool all,
		     finding_vector *findings, struct error *error)
{
	CLEANUP_VECTOR rule_vector packets = { 0 };
	CLEANUP_VECTOR rule_vector of_frames = { 0 };
	struct firewall *frames;
	int r;

	if (!have_frames(planned->items, planned->len))
		return firewall->backend->inspect(firewall, planned, all, findings, error);
	if (pick(planned->items, planned->len, true, &of_frames) < 0 ||
	    pick(planned->items, planned->len, false, &packets) < 0)
		return error_oom(error);
	r = firewall->backend->inspect(firewall, &packets, all, findings, error);
	if (r >= 0)
		r = frames_of(firewall, &frames, error);
	return r < 0 ? r : frames->backend->inspect(frames, &of_frames, true, findings, error);
}

int firewall_watch_frames(struct firewall *firewall, struct firewall_watch **ret_watch,
			  struct error *error)
{
	struct firewall *frames;
	int r = frames_if_any(firewall, &frames, error);

	if (r < 0)
		return r;
	*ret_watch = NULL;
	if (r == 0 || frames->backend == firewall->backend)
		return 0;
	return frames->backend->watch(frames, ret_watch, error);
}
