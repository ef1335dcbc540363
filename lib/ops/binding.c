/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a state is about: a network namespace, of a boot. With the boot everything went that the
 * rows describe, so they go as well; with the namespace too, but that it has gone can't be seen for
 * sure, so the user says it.
 */
#include "ops/context.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

#define KEY "namespace"

/* "DEVICE:INODE COOKIE BOOT"; the first release knew the first word alone. */
static void binding_format(const struct binding *binding, char text[static META_MAX])
{
	snprintf(text, META_MAX, "%" PRIu64 ":%" PRIu64 " %" PRIu64 " %s", binding->device,
		 binding->inode, binding->cookie, binding->boot);
}

static int parse_recorded(bn_ctx *ctx, const char *text, struct binding *ret_binding)
{
	struct binding binding = { 0 };

	if (sscanf(text, "%" SCNu64 ":%" SCNu64 " %" SCNu64 " %39s", &binding.device,
		   &binding.inode, &binding.cookie, binding.boot) < 2)
		return error_set(&ctx->error, -EBADMSG, BN_REASON_STATE,
				 "the state in %s is damaged (which namespace it is about can't be "
				 "read); detach everything and remove that directory",
				 ctx->state_dir);
	*ret_binding = binding;
	return 0;
}

/* "" where /proc does not say it. */
static void read_boot(char boot[static BOOT_MAX])
{
	CLEANUP_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, boot, BOOT_MAX - 1);

	boot[len < 0 ? 0 : len] = '\0';
	boot[strcspn(boot, " \n")] = '\0';
}

static bool is_of_another_boot(const bn_ctx *ctx, const struct binding *recorded)
{
	return recorded->boot[0] && ctx->here.boot[0] &&
	       strcmp(recorded->boot, ctx->here.boot) != 0;
}

static bool is_here(const bn_ctx *ctx, const struct binding *recorded)
{
	const struct binding *here = &ctx->here;

	if (recorded->cookie && here->cookie)
		return recorded->cookie == here->cookie;
	return recorded->device == here->device && recorded->inode == here->inode;
}

bool ctx_is_at(const bn_ctx *ctx, const struct sandbox *sandbox)
{
	const struct binding binding = {
		.device = sandbox->device,
		.inode = sandbox->inode,
		.cookie = sandbox->cookie,
	};

	return is_here(ctx, &binding);
}

/* What the sockets of the context see must be what its thread sees. */
int ctx_check_thread(bn_ctx *ctx)
{
	struct binding *here = &ctx->here;
	uint64_t device, inode;
	int r;

	if (seat_is_kept(&ctx->seat))
		return 0;
	r = sandbox_current(&device, &inode, &ctx->error);
	if (r < 0)
		return r;
	if (!here->inode) {
		here->device = device;
		here->inode = inode;
		here->cookie = sandbox_current_cookie();
		return 0;
	}
	if (here->device == device && here->inode == inode) {
		seat_take(&ctx->seat);
		return 0;
	}
	return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
			 "the context was first used in another network namespace than this "
			 "thread is in now; make a context for each");
}

static int check_recorded(bn_ctx *ctx, const struct binding *recorded, const char *text)
{
	if (is_here(ctx, recorded)) {
		string_copy(ctx->bound, sizeof(ctx->bound), text);
		return 0;
	}
	return error_set(&ctx->error, -EXDEV, BN_REASON_STATE,
			 "the state in %s is about another network namespace (%.60s); go there, or "
			 "use another state directory here, or, if that namespace has gone, take "
			 "the state over with bn --take-over-state=if-gone (option "
			 "state.take-over of a context)",
			 ctx->state_dir, text);
}

/* Is a state that says so about nothing, or for sure about here? */
static bool is_bound(const bn_ctx *ctx, const char *text)
{
	return !text[0] || strcmp(text, ctx->bound) == 0;
}

static int check_text(bn_ctx *ctx, const char *text)
{
	struct binding recorded;
	int r;

	if (is_bound(ctx, text))
		return 0;
	r = parse_recorded(ctx, text, &recorded);
	return r < 0 ? r : check_recorded(ctx, &recorded, text);
}

int ctx_check_state(bn_ctx *ctx)
{
	char text[META_MAX];
	int r;

	r = store_meta_get(ctx->store, KEY, text, &ctx->error);
	return r < 0 ? r : check_text(ctx, text);
}

int ctx_check_look(bn_ctx *ctx)
{
	return check_text(ctx, ctx->look.about);
}

/* ---- taking over ---- */

/* 1: it is to be taken over. */
static int check_take_over(bn_ctx *ctx, const struct binding *recorded, const char *text)
{
	const struct sandbox sandbox = {
		.fd = -1,
		.device = recorded->device,
		.inode = recorded->inode,
		.cookie = recorded->cookie,
	};

	if (ctx->policy.take_over == TAKE_OVER_NO || is_here(ctx, recorded))
		return 0;
	if (ctx->policy.take_over == TAKE_OVER_YES || !sandbox_exists(&sandbox))
		return 1;
	return error_set(&ctx->error, -EXDEV, BN_REASON_STATE,
			 "the network namespace that the state in %s is about still exists "
			 "(%.60s), so the state isn't taken over; remove its networks from "
			 "there, or insist with bn --take-over-state=yes (option "
			 "state.take-over of a context)",
			 ctx->state_dir, text);
}

/* 0, also when another process was faster: it is to be looked at again. */
static int take_over(bn_ctx *ctx, const char *text)
{
	int r = store_take_over(ctx->store, KEY, text, &ctx->error);

	if (r > 0)
		ctx_log(ctx, LOG_NOTICE,
			"the state in %s was about a network namespace that is gone or given up "
			"(%s): it is empty now",
			ctx->state_dir, text);
	return r < 0 ? r : 0;
}

/* ---- a state of the first release ---- */

/* The endpoints' namespaces, as far as they can still be found. */
static void find_cookies(endpoint_vector *endpoints)
{
	for (size_t i = 0; i < endpoints->len; i++) {
		struct endpoint *endpoint = &endpoints->items[i];
		CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };

		if (sandbox_reopen(endpoint, &sandbox, NULL) == 0)
			endpoint->sandbox_cookie = sandbox.cookie;
	}
}

static int record_all(bn_ctx *ctx, const endpoint_vector *endpoints)
{
	char text[META_MAX];
	int r;

	r = ctx_check_state(ctx);
	binding_format(&ctx->here, text);
	if (r >= 0)
		r = store_meta_set(ctx->store, KEY, text, &ctx->error);
	for (size_t i = 0; i < endpoints->len && r >= 0; i++)
		r = store_endpoint_set_cookie(ctx->store, &endpoints->items[i], &ctx->error);
	return r;
}

static int record_again(bn_ctx *ctx)
{
	CLEANUP(endpoints_clear) endpoint_vector endpoints = { 0 };
	int r;

	r = store_endpoints(ctx->store, NULL, STORE_PENDING, &endpoints, &ctx->error);
	if (r < 0)
		return r;
	find_cookies(&endpoints);
	r = store_begin(ctx->store, &ctx->error);
	if (r >= 0)
		r = record_all(ctx, &endpoints);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

/* ---- a call begins ---- */

/* *recorded is not filled if the state is bound. */
static int look(bn_ctx *ctx, struct binding *recorded)
{
	int r = store_look(ctx->store, &ctx->look, &ctx->error);

	if (r >= 0 && !is_bound(ctx, ctx->look.about))
		r = parse_recorded(ctx, ctx->look.about, recorded);
	/* the rows of another boot may be older than their last change, and go all the same */
	if (r >= 0 && !is_of_another_boot(ctx, recorded))
		r = store_check(ctx->store, &ctx->error);
	return r;
}

int ctx_begin_state(bn_ctx *ctx, enum ctx_need need)
{
	const char *text = ctx->look.about;
	struct binding recorded;
	int r;

	if (!ctx->here.boot[0])
		read_boot(ctx->here.boot);
	for (;;) {
		recorded = (struct binding){ 0 };
		r = look(ctx, &recorded);
		if (r < 0 || is_bound(ctx, text))
			return r;
		if (is_of_another_boot(ctx, &recorded))
			r = 1;
		else
			r = need == CTX_READ ? 0 : check_take_over(ctx, &recorded, text);
		if (r <= 0)
			break;
		r = take_over(ctx, text);
		if (r < 0)
			return r;
	}
	if (r < 0 || need == CTX_READ)
		return r;
	r = check_recorded(ctx, &recorded, text);
	if (r >= 0 && need == CTX_CHANGE && !recorded.boot[0] && ctx->here.boot[0])
		r = record_again(ctx);
	return r;
}

/* ---- binding ---- */

int ctx_bind_state(bn_ctx *ctx)
{
	char here[META_MAX];
	int r;

	r = ctx_check_state(ctx);
	if (r < 0)
		return r;
	binding_format(&ctx->here, here);
	r = store_meta_set(ctx->store, KEY, here, &ctx->error);
	return r < 0 ? r :
		       store_meta_set(ctx->store, "backend", ctx->firewall->backend->name,
				      &ctx->error);
}

int ctx_release_state(bn_ctx *ctx)
{
	int r = store_meta_set(ctx->store, KEY, "", &ctx->error);

	return r < 0 ? r : store_meta_set(ctx->store, "backend", "", &ctx->error);
}
