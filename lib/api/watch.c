/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "api/api.h"
#include "ops/watch.h"

static const struct api_call new = {
	.names = "bn_watch_new",
	.flags = BN_WATCH_LISTENERS,
	.need = CTX_RULES,
	.errnos = {
		API_ERRNO(EMFILE, "The process has no descriptor left, or the user no inotify "
				  "instance (fs.inotify.max_user_instances)."),
		API_ERRNO(ENOSPC, "The file system of the state is full, or the user has no "
				  "inotify watch left (fs.inotify.max_user_watches)."),
	},
};

int bn_watch_new(bn_ctx *ctx, uint32_t flags, bn_watch **ret_watch)
{
	int r;

	if (!ret_watch)
		return api_missing(ctx, "the result");
	r = api_enter(ctx, &new, flags);
	if (r >= 0)
		r = watch_new(ctx, flags, ret_watch);
	return api_leave(ctx, &new, r);
}

void bn_watch_free(bn_watch *watch)
{
	watch_free(watch);
}

GETTER(int, bn_watch_fd, bn_watch, self->sources.epoll, -1)

static const struct api_call next = {
	.names = "bn_watch_next",
	.setting = true,
	.errnos = {
		API_ERRNO(EAGAIN, "Nothing has happened that was not told yet; poll the "
				  "descriptor."),
		API_ERRNO(EINVAL, "An argument is NULL, flags is not 0, or the thread is in "
				  "another network namespace than the watch."),
		API_ERRNO(ECHILD, "The watch was made before a fork."),
		API_ERRNO(ENOMEM, "Out of memory; what was heard is looked at by the next call."),
	},
};

int bn_watch_next(bn_watch *watch, uint32_t flags, bn_event **ret_event)
{
	if (!watch || !ret_event || flags & ~next.flags)
		return -EINVAL;
	if (fork_guard_is_child(&watch->ctx.guard))
		return -ECHILD;
	return watch_next(watch, ret_event);
}

void bn_event_free(bn_event *event)
{
	event_free(event);
}

GETTER(const char *, bn_event_kind, bn_event, self->kind, "")
GETTER(const char *, bn_event_text, bn_event, self->text, "")
GETTER(const char *, bn_event_network, bn_event, self->network, "")
GETTER(const char *, bn_event_endpoint, bn_event, self->endpoint, "")
GETTER(const char *, bn_event_program, bn_event, self->program, "")
