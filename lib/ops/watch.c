/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors are heard, and what was heard makes tasks. A task is done at once, and then not for a
 * while that depends on what it has cost, so that who changes things all the time, ours or not,
 * costs no more than a small part of the time.
 */
#include "ops/watch.h"

#include <errno.h>
#include <sys/inotify.h>

#include "ops/recover.h"

#define TIMEOUT_MS 1000
#define QUIET_MS 10          /* of what was heard */
#define OTHERS_QUIET_MS 1000 /* the rules of others */
#define AGAIN_MS 1000        /* after a task that failed */

enum { SOURCE_STATE, SOURCE_RULES, SOURCE_OTHERS, SOURCE_LINKS, SOURCE_FRAMES };

/* ---- opening ---- */

static int copy_settings(const bn_ctx *from, bn_ctx *to, struct error *error)
{
	memcpy(to->state_dir, from->state_dir, sizeof(to->state_dir));
	memcpy(to->backend, from->backend, sizeof(to->backend));
	to->timeout_ms = TIMEOUT_MS;
	if (options_copy(&to->options, &from->options) < 0)
		return error_oom(error);
	return options_check(&to->options, OPTION_CONTEXT, &to->policy, error);
}

static int system_error(struct error *error, int r, const char *what)
{
	return r >= 0 ? 0 :
			error_set(error, r, error_reason(-r, BN_REASON_KERNEL),
				  "cannot make %s: %s", what, errno_text(-r));
}

static void drop_rules(bn_watch *watch)
{
	sources_set(&watch->sources, SOURCE_RULES, -1);
	sources_set(&watch->sources, SOURCE_OTHERS, -1);
	sources_set(&watch->sources, SOURCE_FRAMES, -1);
	if (watch->rules)
		watch->rules->backend->unwatch(watch->rules);
	if (watch->frames)
		watch->frames->backend->unwatch(watch->frames);
	watch->rules = watch->frames = NULL;
}

/* Of the backend that the state is in by now. */
static int follow_backend(bn_watch *watch)
{
	struct firewall *firewall = watch->ctx.firewall;
	int r;

	if (watch->rules && watch->rules->backend == firewall->backend)
		return 0;
	drop_rules(watch);
	r = firewall->backend->watch(firewall, &watch->rules, &watch->ctx.error);
	if (r < 0)
		return r;
	r = firewall_watch_frames(firewall, &watch->frames, &watch->ctx.error);
	if (r < 0)
		return r;
	watch->tasks[TASK_BASE].pending = true;
	watch->tasks[TASK_TICK].pending = watch->rules->others < 0;
	r = sources_set(&watch->sources, SOURCE_RULES, watch->rules->ours);
	if (r == 0)
		r = sources_set(&watch->sources, SOURCE_OTHERS, watch->rules->others);
	if (r == 0 && watch->frames)
		r = sources_set(&watch->sources, SOURCE_FRAMES, watch->frames->ours);
	return system_error(&watch->ctx.error, r, "a set of descriptors");
}

static int begin(bn_watch *watch)
{
	int r = ops_begin(&watch->ctx, CTX_RULES);

	if (r >= 0)
		r = ctx_open_links(&watch->ctx);
	return r < 0 ? r : follow_backend(watch);
}

static int open_sources(bn_watch *watch)
{
	bn_ctx *ctx = &watch->ctx;
	int r = system_error(&ctx->error, sources_open(&watch->sources), "a set of descriptors");

	if (r < 0)
		return r;
	watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = system_error(&ctx->error, watch->inotify < 0 ? -errno : 0, "an inotify descriptor");
	if (r == 0)
		r = sources_set(&watch->sources, SOURCE_STATE, watch->inotify);
	return system_error(&ctx->error, r, "a set of descriptors");
}

/* First it listens, and then it looks. */
static int open_all(bn_watch *watch)
{
	bn_ctx *ctx = &watch->ctx;
	int r = open_sources(watch);

	if (r >= 0)
		r = begin(watch);
	if (r >= 0)
		r = link_watch_open(ctx->link, &watch->links, &ctx->error);
	if (r >= 0)
		r = system_error(&ctx->error,
				 sources_set(&watch->sources, SOURCE_LINKS,
					     link_watch_fd(watch->links)),
				 "a set of descriptors");
	if (r >= 0)
		r = store_watch(ctx->store, watch->inotify, &ctx->error);
	if (r >= 0)
		r = store_generation(ctx->store, &watch->generation, &ctx->error);
	if (r >= 0)
		r = watched_load(ctx, &watch->watched);
	/* what is wrong already is for a check to say */
	watch->tasks[TASK_BASE].pending = false;
	ops_end(ctx);
	return r;
}

int watch_new(bn_ctx *ctx, uint32_t flags, bn_watch **ret_watch)
{
	bn_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return error_oom(&ctx->error);
	if (fork_guard_open(&watch->ctx.guard) < 0) {
		free(watch);
		return error_oom(&ctx->error);
	}
	watch->ctx.cancel = (struct cancel)CANCEL_NONE;
	watch->sources = (struct sources)SOURCES_NONE;
	watch->inotify = -1;
	watch->flags = flags;
	watch->tasks[TASK_PORTS].pending = flags & BN_WATCH_LISTENERS;
	r = copy_settings(ctx, &watch->ctx, &ctx->error);
	if (r >= 0) {
		r = open_all(watch);
		ctx->error = watch->ctx.error;
	}
	if (r < 0) {
		watch_free(watch);
		return r;
	}
	sources_sleep(&watch->sources, 0);
	*ret_watch = watch;
	return 0;
}

void watch_free(bn_watch *watch)
{
	bool child;

	if (!watch)
		return;
	child = fork_guard_is_child(&watch->ctx.guard);
	/* what is in the set stays there for the parent */
	if (!child)
		drop_rules(watch);
	else if (watch->rules)
		watch->rules->backend->unwatch(watch->rules);
	if (child && watch->frames)
		watch->frames->backend->unwatch(watch->frames);
	link_watch_close(watch->links);
	cleanup_close(&watch->inotify);
	sources_close(&watch->sources);
	if (child)
		ctx_close_in_child(&watch->ctx);
	else
		ctx_close(&watch->ctx);
	fork_guard_close(&watch->ctx.guard);
	cancel_close(&watch->ctx.cancel);
	options_clear(&watch->ctx.options);
	policy_clear(OPTION_CONTEXT, &watch->ctx.policy);
	watched_clear(&watch->watched);
	free(watch->suspects.items);
	findings_clear(&watch->said_rules);
	findings_clear(&watch->said_listeners);
	events_clear(&watch->queue);
	free(watch);
}

/* ---- hearing ---- */

static void hear_state(bn_watch *watch)
{
	_Alignas(struct inotify_event) char buffer[4096];
	const struct inotify_event *event;
	ssize_t len;

	while ((len = read(watch->inotify, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (const struct inotify_event *)(buffer + at);
			watch->replaced |= event->mask & ~(uint32_t)IN_MODIFY;
			watch->tasks[TASK_STATE].pending = true;
		}
	}
}

static void hear_rules(bn_watch *watch)
{
	struct firewall_news news;

	watch->rules->backend->hear(watch->rules, watch->ctx.firewall, &news);
	watch->tasks[TASK_BASE].pending |= news.ours;
	watch->tasks[TASK_OTHERS].pending |= news.others;
	if (news.program[0])
		string_copy(watch->program, sizeof(watch->program), news.program);
	else if (news.ours)
		watch->program[0] = '\0';
}

static void hear_frames(bn_watch *watch)
{
	struct firewall_news news;

	watch->frames->backend->hear(watch->frames, watch->ctx.firewall, &news);
	watch->frames_changed |= news.ours;
	watch->tasks[TASK_RULES].pending |= news.ours;
	if (news.ours)
		string_copy(watch->program, sizeof(watch->program), news.program);
}

static int tell_lost(bn_watch *watch, const char *why)
{
	const struct bn_event event = { .kind = "lost" };

	return events_say(&watch->queue, &event, "%s: look at everything", why);
}

static int hear_links(bn_watch *watch)
{
	int r = link_watch_hear(watch->links, suspects_hear, watch);

	if (r != -ENOBUFS)
		return r;
	watch->all_suspects = true;
	return tell_lost(watch, "changes of links came faster than they were read");
}

static int hear(bn_watch *watch)
{
	uint32_t ready = sources_poll(&watch->sources);
	int r = 0;

	for (size_t i = 0; i < SOURCES_MAX && r >= 0; i++) {
		if (!(ready & 1u << i))
			continue;
		if (i == SOURCE_STATE)
			hear_state(watch);
		else if (i == SOURCE_LINKS)
			r = hear_links(watch);
		else if (i == SOURCE_FRAMES)
			hear_frames(watch);
		else
			hear_rules(watch);
		sources_mute(&watch->sources, i,
			     clock_now_ms() + (i == SOURCE_OTHERS ? OTHERS_QUIET_MS : QUIET_MS));
	}
	return r;
}

/* ---- tasks ---- */

/* How often, and how much of the time at most: what others change who have nothing to do with us
 * is to cost next to nothing. */
static const struct pace {
	uint32_t least_ms, most_ms, share; /* of `share` parts of the time it takes one */
} paces[TASK_COUNT] = {
	[TASK_STATE] = { 10, 1000, 20 },   [TASK_BASE] = { 10, 100, 500 },
	[TASK_RULES] = { 10, 10000, 400 }, [TASK_OTHERS] = { 1000, 60000, 500 },
	[TASK_LINKS] = { 10, 1000, 20 },   [TASK_PORTS] = { 1000, 60000, 100 },
	[TASK_TICK] = { 1000, 1000, 1 },
};

static uint64_t next_time(enum watch_task task, uint64_t begun_ns)
{
	const struct pace *pace = &paces[task];
	uint64_t now = clock_now_ns(), pause = (now - begun_ns) * pace->share / 1000000;

	if (pause < pace->least_ms)
		pause = pace->least_ms;
	return now / 1000000 + (pause < pace->most_ms ? pause : pace->most_ms);
}

/* One that is never done with. */
static bool is_tick(const bn_watch *watch, enum watch_task task)
{
	return task == TASK_PORTS ? watch->flags & BN_WATCH_LISTENERS :
				    task == TASK_TICK && watch->rules && watch->rules->others < 0;
}

static int run_task(bn_watch *watch, enum watch_task task)
{
	int r = begin(watch);

	if (r < 0)
		return r;
	switch (task) {
	case TASK_STATE:
		return watch_state(watch);
	case TASK_BASE:
		return watch_base(watch);
	case TASK_RULES:
		return watch_rules(watch);
	case TASK_OTHERS:
		return watch_others(watch);
	case TASK_LINKS:
		return suspects_look(watch);
	case TASK_PORTS:
		return watch_ports(watch);
	case TASK_TICK:
		hear_rules(watch);
		return 0;
	case TASK_COUNT:
		break;
	}
	return 0;
}

/* It can't be looked at now: that is told, once, and tried again. */
static int tell_failure(bn_watch *watch, enum watch_task task, int r)
{
	const struct error *error = &watch->ctx.error;

	if (r == -ENOMEM || (r == -EINVAL && error->reason == BN_REASON_INVALID))
		return r;
	if (strcmp(watch->failure, error->message) == 0)
		return 0;
	string_copy(watch->failure, sizeof(watch->failure), error->message);
	watch->failed = task;
	return tell_lost(watch, error->message);
}

static int do_task(bn_watch *watch, enum watch_task task)
{
	uint64_t begun = clock_now_ns();
	int r;

	watch->tasks[task].pending = false;
	r = run_task(watch, task);
	ops_end(&watch->ctx);
	if (r < 0) {
		watch->tasks[task].pending = true;
		watch->tasks[task].not_before = clock_now_ms() + AGAIN_MS;
		return tell_failure(watch, task, r);
	}
	if (task == watch->failed)
		watch->failure[0] = '\0';
	watch->tasks[task].pending |= is_tick(watch, task);
	watch->tasks[task].not_before = next_time(task, begun);
	return 0;
}

static uint64_t due(const bn_watch *watch, enum watch_task task)
{
	uint64_t not_before = watch->tasks[task].not_before, suspect;

	if (watch->tasks[task].pending)
		return not_before;
	if (task != TASK_LINKS)
		return UINT64_MAX;
	suspect = suspects_due(watch);
	return suspect > not_before ? suspect : not_before;
}

static int do_tasks(bn_watch *watch)
{
	int r = 0;

	for (enum watch_task task = 0; task < TASK_COUNT && r >= 0; task++)
		if (due(watch, task) <= clock_now_ms())
			r = do_task(watch, task);
	return r;
}

static void go_to_sleep(bn_watch *watch)
{
	uint64_t first = UINT64_MAX;

	for (enum watch_task task = 0; task < TASK_COUNT; task++)
		if (due(watch, task) < first)
			first = due(watch, task);
	sources_sleep(&watch->sources, events_len(&watch->queue) ? 0 : first);
}

int watch_next(bn_watch *watch, struct bn_event **ret_event)
{
	struct bn_event *event = events_take(&watch->queue);
	int r = 0;

	if (!event) {
		r = hear(watch);
		if (r >= 0)
			r = do_tasks(watch);
		event = events_take(&watch->queue);
	}
	go_to_sleep(watch);
	if (!event)
		return r < 0 ? r : -EAGAIN;
	*ret_event = event;
	return 0;
}
