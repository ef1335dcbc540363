/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

void ctx_log(bn_ctx *ctx, int level, const char *format, ...)
{
	char message[512];
	va_list arguments;

	if (!ctx->log)
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	ctx->log(ctx->log_userdata, level, message);
}

void ctx_aside_begin(bn_ctx *ctx, uint32_t ms, struct aside *ret_aside)
{
	*ret_aside = (struct aside){ ctx->error, ctx->deadline, clock_now_ms() };
	error_clear(&ctx->error);
	ctx->deadline = deadline_after(ms);
}

void ctx_aside_end(bn_ctx *ctx, const struct aside *aside)
{
	ctx->error = aside->error;
	ctx->deadline = aside->deadline;
	if (ctx->deadline.end)
		ctx->deadline.end += clock_now_ms() - aside->begun;
}

/* The state may have been deleted or replaced since the last call, or be there only now. */
int ctx_open_store(bn_ctx *ctx, bool write)
{
	int r;

	if (ctx->store && store_is_stale(ctx->store)) {
		store_close(ctx->store);
		ctx->store = NULL;
	}
	if (ctx->store)
		return 0;
	r = store_open(ctx->state_dir, false, &ctx->deadline, &ctx->store, &ctx->error);
	if (r != -EROFS || write)
		return r;
	error_clear(&ctx->error);
	return store_open(ctx->state_dir, true, &ctx->deadline, &ctx->store, &ctx->error);
}

/* In the state, of the namespace that the firewall was opened in, for a number may mean another
 * thing elsewhere; the key is 0 where that one can't be told for sure. */
static uint64_t memory_key(const bn_ctx *ctx, uint64_t key)
{
	const struct binding *here = &ctx->here;

	if (!here->cookie || !here->boot[0])
		return 0;
	key = hash_bytes(key, &here->cookie, sizeof(here->cookie));
	return hash_text(key, here->boot);
}

static uint64_t recall(void *data, uint64_t key)
{
	const bn_ctx *ctx = data;

	key = memory_key(ctx, key);
	return key && ctx->store ? store_hint_get(ctx->store, key) : 0;
}

static void keep(void *data, uint64_t key, uint64_t number)
{
	const bn_ctx *ctx = data;

	key = memory_key(ctx, key);
	if (key && ctx->store)
		store_hint_set(ctx->store, key, number);
}

int ctx_try_backend(bn_ctx *ctx, const struct firewall_backend *backend,
		    struct firewall **ret_firewall)
{
	const struct firewall_config config = {
		.lock_file = options_get(&ctx->options, "iptables.lock-file"),
		.comments = ctx->policy.iptables_comments == COMMENTS_YES,
	};
	int r;

	r = backend->open(&config, ret_firewall, &ctx->error);
	if (r >= 0) {
		(*ret_firewall)->deadline = &ctx->deadline;
		(*ret_firewall)->memory = (struct firewall_memory){ recall, keep, ctx };
	}
	return r;
}

/* The one that is open is it. */
static void keep_backend(bn_ctx *ctx, const char *reason)
{
	snprintf(ctx->backend_reason, sizeof(ctx->backend_reason), "%s", reason);
	ctx_log(ctx, LOG_DEBUG, "backend %s: %s", ctx->firewall->backend->name, reason);
}

static int try_backend(bn_ctx *ctx, const struct firewall_backend *backend, const char *reason)
{
	int r;

	r = ctx_try_backend(ctx, backend, &ctx->firewall);
	if (r >= 0)
		keep_backend(ctx, reason);
	return r;
}

static void ctx_close_firewall(bn_ctx *ctx)
{
	if (ctx->firewall)
		firewall_close(ctx->firewall);
	ctx->firewall = NULL;
}

/* Asks a backend about its tables: 1, 0, negative. */
typedef int (*question_fn)(struct firewall *firewall, struct error *error);

/* The first backend whose answer is yes is left open: 1, else 0. Negative: one could not say. */
static int find_backend(bn_ctx *ctx, bool present, const char *reason)
{
	const struct firewall_backend *const *backend;
	question_fn question;
	int r;

	for (backend = firewall_backends; *backend; backend++) {
		r = ctx_try_backend(ctx, *backend, &ctx->firewall);
		if (r < 0 && r != -EOPNOTSUPP && r != -EPERM)
			return r;
		if (r < 0) {
			/* what this kernel lacks has no rules, and what is not for us is not in use
			 * by us */
			error_clear(&ctx->error);
			continue;
		}
		question = present ? (*backend)->present : (*backend)->in_use;
		r = question(ctx->firewall, &ctx->error);
		if (r > 0) {
			keep_backend(ctx, reason);
			return 1;
		}
		ctx_close_firewall(ctx);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The one that holds our rules, else the one that the host's own firewall uses, else the first that
 * opens. */
static int detect_backend(bn_ctx *ctx)
{
	const struct firewall_backend *const *backend;
	struct error first = { 0 };
	int r;

	r = find_backend(ctx, true, "it holds bridgenet's rules already");
	if (r == 0)
		r = find_backend(ctx, false, "the host's own firewall uses it");
	if (r != 0)
		return r < 0 ? r : 0;
	for (backend = firewall_backends; *backend; backend++) {
		r = try_backend(ctx, *backend, "the first that this kernel has");
		if (r >= 0)
			return 0;
		if (!first.message[0] || first.code == -EOPNOTSUPP)
			first = ctx->error;
		error_clear(&ctx->error);
	}
	ctx->error = first;
	return first.code;
}

int ctx_open_backend(bn_ctx *ctx)
{
	const char *recorded = ctx->look.backend;
	const char *wanted = recorded[0] ? recorded : ctx->backend;

	if (ctx->firewall && (!wanted[0] || strcmp(wanted, ctx->firewall->backend->name) == 0))
		return 0;
	/* moved by another process since it was opened */
	ctx_close_firewall(ctx);
	if (recorded[0] && ctx->backend[0] && strcmp(recorded, ctx->backend) != 0)
		return error_set(&ctx->error, -EEXIST, BN_REASON_BACKEND_MISMATCH,
				 "the state in %s was made with backend %s, not %s; use that one, "
				 "or move it with bn_backend_switch() (bn backend switch %s)",
				 ctx->state_dir, recorded, ctx->backend, ctx->backend);
	if (ctx->backend[0])
		return try_backend(ctx, firewall_backend_by_name(ctx->backend),
				   "asked for by name");
	if (recorded[0] && !firewall_backend_by_name(recorded))
		return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
				 "the state in %s was made with backend %s, which this build of "
				 "the library lacks; use a build that has it",
				 ctx->state_dir, recorded);
	if (recorded[0])
		return try_backend(ctx, firewall_backend_by_name(recorded),
				   "the state was made with it");
	return detect_backend(ctx);
}

int ctx_open_firewall(bn_ctx *ctx)
{
	int r;

	r = store_meta_get(ctx->store, "backend", ctx->look.backend, &ctx->error);
	return r < 0 ? r : ctx_open_backend(ctx);
}

/* ---- a call begins ---- */

int ctx_open_links(bn_ctx *ctx)
{
	return ctx->link ? 0 : link_open(&ctx->deadline, &ctx->link, &ctx->error);
}

static void ctx_close_kernel(bn_ctx *ctx)
{
	ctx_close_firewall(ctx);
	conntrack_close(ctx->conntrack);
	ctx->conntrack = NULL;
	seat_leave(&ctx->seat);
}

/* The kernel may make both wait, for rules and for links that were deleted: so for both at once. */
void ctx_close(bn_ctx *ctx)
{
	ctx_close_kernel(ctx);
	link_close(ctx->link);
	ctx->link = NULL;
	store_close(ctx->store);
	ctx->store = NULL;
}

void ctx_close_in_child(bn_ctx *ctx)
{
	link_close_in_child(ctx->link);
	ctx->link = NULL;
	ctx_close_kernel(ctx);
	store_close_in_child(ctx->store);
	ctx->store = NULL;
}
