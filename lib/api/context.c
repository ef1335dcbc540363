/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <unistd.h>

#include "api/api.h"

#define DEFAULT_TIMEOUT_MS 10000

int bn_ctx_new(uint32_t flags, bn_ctx **ret_ctx)
{
	bn_ctx *ctx;

	if (flags || !ret_ctx)
		return -EINVAL;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	if (fork_guard_open(&ctx->guard) < 0) {
		free(ctx);
		return -ENOMEM;
	}
	ctx->cancel = (struct cancel)CANCEL_NONE;
	ctx->timeout_ms = DEFAULT_TIMEOUT_MS;
	_Static_assert(sizeof(DEFAULT_STATE_DIR) <= sizeof(ctx->state_dir), "--with-state-dir");
	string_copy(ctx->state_dir, sizeof(ctx->state_dir), DEFAULT_STATE_DIR);
	*ret_ctx = ctx;
	return 0;
}

void bn_ctx_free(bn_ctx *ctx)
{
	if (!ctx)
		return;
	if (fork_guard_is_child(&ctx->guard))
		ctx_close_in_child(ctx);
	else
		ctx_close(ctx);
	fork_guard_close(&ctx->guard);
	cancel_close(&ctx->cancel);
	options_clear(&ctx->options);
	policy_clear(OPTION_CONTEXT, &ctx->policy);
	free(ctx);
}

static const struct api_call setting = {
	.names = "bn_ctx_new, bn_ctx_set_state_dir, bn_ctx_set_backend, bn_ctx_set_option, "
		 "bn_ctx_set_timeout_ms, bn_ctx_set_log",
	.setting = true,
	.errnos = {
		API_ERRNO(EINVAL, "An argument is NULL or malformed, flags is not 0, or the "
				  "backend is not known to this build."),
		API_ERRNO(EOPNOTSUPP, "The option is not known."),
		API_ERRNO(ENOMEM, "Out of memory."),
		API_ERRNO(EBUSY, "The setting comes after the first verb, or while another thread "
				 "is in a call on the context."),
		API_ERRNO(ECHILD, "The context was made before a fork."),
	},
};

void bn_ctx_cancel(bn_ctx *ctx)
{
	int before = errno;

	/* the eventfd is the parent's too */
	if (ctx && !fork_guard_is_child(&ctx->guard))
		cancel_ask(&ctx->cancel);
	errno = before;
}

/* Settings are for before the first verb. */
static int check_setting(bn_ctx *ctx, const char *value)
{
	int r = api_claim(ctx, &setting, 0);

	if (r < 0)
		return r;
	if (!value)
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "the setting is missing (NULL)");
	if (ctx->store)
		return error_set(&ctx->error, -EBUSY, BN_REASON_INVALID,
				 "the context is in use already; set it up before its first call");
	return 0;
}

int bn_ctx_set_state_dir(bn_ctx *ctx, const char *path)
{
	int r = check_setting(ctx, path);

	if (r >= 0 && (path[0] != '/' || strlen(path) >= sizeof(ctx->state_dir)))
		r = error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
			      "state directory '%.64s' is not an absolute path", path);
	if (r >= 0)
		string_copy(ctx->state_dir, sizeof(ctx->state_dir), path);
	return api_leave(ctx, &setting, r);
}

int bn_ctx_set_backend(bn_ctx *ctx, const char *name)
{
	int r = check_setting(ctx, name);

	if (r >= 0 && strcmp(name, "auto") == 0)
		name = "";
	else if (r >= 0 && !firewall_backend_by_name(name))
		r = error_set(&ctx->error, -EINVAL, BN_REASON_BACKEND_UNAVAILABLE,
			      "backend '%.32s' is unknown to this build; use nftables, "
			      "iptables-legacy or auto, if it was built with that",
			      name);
	if (r >= 0)
		string_copy(ctx->backend, sizeof(ctx->backend), name);
	return api_leave(ctx, &setting, r);
}

int bn_ctx_set_option(bn_ctx *ctx, const char *key, const char *value)
{
	CLEANUP(options_clear) struct options one = { 0 };
	int r = check_setting(ctx, key && value ? value : NULL);

	if (r < 0)
		return api_leave(ctx, &setting, r);
	r = options_set(&one, key, value);
	if (r == -EINVAL)
		error_set(&ctx->error, r, BN_REASON_INVALID,
			  "the option of the context is not legal: a key has no '=', and "
			  "neither key nor value a control character");
	if (r >= 0)
		r = options_normalise(&one, OPTION_CONTEXT, &ctx->error);
	if (r >= 0)
		r = options_check(&one, OPTION_CONTEXT, &ctx->policy, &ctx->error);
	for (size_t i = 0; i < one.len && r >= 0; i++)
		r = options_set(&ctx->options, one.items[i].key, one.items[i].value);
	if (r == -ENOMEM)
		error_oom(&ctx->error);
	return api_leave(ctx, &setting, r);
}

int bn_ctx_set_timeout_ms(bn_ctx *ctx, uint32_t timeout_ms)
{
	int r = check_setting(ctx, "");

	if (r >= 0)
		ctx->timeout_ms = timeout_ms;
	return api_leave(ctx, &setting, r);
}

int bn_ctx_set_log(bn_ctx *ctx, bn_log_fn log, void *userdata)
{
	int r = api_claim(ctx, &setting, 0);

	if (r >= 0) {
		ctx->log = log;
		ctx->log_userdata = userdata;
	}
	return api_leave(ctx, &setting, r);
}

const char *bn_ctx_backend(const bn_ctx *ctx)
{
	return ctx && ctx->firewall ? ctx->firewall->backend->name : "";
}

const char *bn_ctx_backend_reason(const bn_ctx *ctx)
{
	return ctx && ctx->firewall ? ctx->backend_reason : "";
}

static const struct api_call backend_switch = {
	.names = "bn_backend_switch",
	.need = CTX_CHANGE,
	.errnos = {
		API_ERRNO(EINVAL, "The name is not known to this build, or flags is not 0."),
		API_ERRNO(EOPNOTSUPP, "The host lacks the backend."),
		API_ERRNO(EBUSY, "Other calls were at work on the state until the time limit."),
		API_ERRNO(ETIMEDOUT, "Another program held the xtables lock until the time "
				     "limit."),
		API_ERRNO(EADDRINUSE, "In the new backend a rule of somebody else has a port that "
				      "is "
				      "published."),
	},
};

/* Whatever backend was asked for: the state is in another, and that is to change. */
int bn_backend_switch(bn_ctx *ctx, const char *name, uint32_t flags)
{
	char asked[sizeof(ctx->backend)];
	int r;

	if (!name)
		return api_missing(ctx, "the name of the backend");
	r = api_claim(ctx, &backend_switch, flags);
	if (r < 0)
		return api_leave(ctx, &backend_switch, r);
	memcpy(asked, ctx->backend, sizeof(asked));
	ctx->backend[0] = '\0';
	r = api_open(ctx, &backend_switch, flags);
	if (r >= 0)
		r = ops_backend_switch(ctx, name);
	memcpy(ctx->backend, asked, sizeof(asked));
	/* where nothing has been made yet, the next call goes by what is asked for */
	if (r >= 0 && (asked[0] || strcmp(ctx->firewall->backend->name, name) != 0))
		string_copy(ctx->backend, sizeof(ctx->backend), name);
	return api_leave(ctx, &backend_switch, r);
}

/* ---- errors ---- */

/* While a call runs its error is its own: who asks then was refused. */
#define BUSY_OR(refused, value) (self->busy ? (refused) : (value))
GETTER(const char *, bn_error_message, bn_ctx,
       BUSY_OR("the context is in another call; use one context in each thread, or try again",
	       self->error.message),
       "")
GETTER(int, bn_error_reason, bn_ctx, BUSY_OR(BN_REASON_BUSY, self->error.reason), BN_REASON_NONE)
GETTER(int, bn_error_errno, bn_ctx, BUSY_OR(EBUSY, -self->error.code), 0)
GETTER(const char *, bn_error_kernel_message, bn_ctx, BUSY_OR("", self->error.kernel), "")

const char *bn_reason_name(int reason)
{
	static const char *const names[] = {
		[BN_REASON_NONE] = "NONE",
		[BN_REASON_INVALID] = "INVALID",
		[BN_REASON_NETWORK_UNKNOWN] = "NETWORK_UNKNOWN",
		[BN_REASON_NETWORK_EXISTS] = "NETWORK_EXISTS",
		[BN_REASON_NETWORK_IN_USE] = "NETWORK_IN_USE",
		[BN_REASON_NETWORK_BUILTIN] = "NETWORK_BUILTIN",
		[BN_REASON_ENDPOINT_UNKNOWN] = "ENDPOINT_UNKNOWN",
		[BN_REASON_ENDPOINT_EXISTS] = "ENDPOINT_EXISTS",
		[BN_REASON_PORT_UNKNOWN] = "PORT_UNKNOWN",
		[BN_REASON_PORT_IN_USE] = "PORT_IN_USE",
		[BN_REASON_PORT_LISTENER] = "PORT_LISTENER",
		[BN_REASON_PORT_NONE_FREE] = "PORT_NONE_FREE",
		[BN_REASON_SUBNET_OVERLAP] = "SUBNET_OVERLAP",
		[BN_REASON_POOL_EXHAUSTED] = "POOL_EXHAUSTED",
		[BN_REASON_ADDRESS_IN_USE] = "ADDRESS_IN_USE",
		[BN_REASON_ADDRESS_OUTSIDE] = "ADDRESS_OUTSIDE",
		[BN_REASON_ADDRESS_EXHAUSTED] = "ADDRESS_EXHAUSTED",
		[BN_REASON_SANDBOX_GONE] = "SANDBOX_GONE",
		[BN_REASON_SANDBOX_INVALID] = "SANDBOX_INVALID",
		[BN_REASON_INTERFACE_EXISTS] = "INTERFACE_EXISTS",
		[BN_REASON_BRIDGE_INVALID] = "BRIDGE_INVALID",
		[BN_REASON_BRIDGE_FULL] = "BRIDGE_FULL",
		[BN_REASON_BACKEND_UNAVAILABLE] = "BACKEND_UNAVAILABLE",
		[BN_REASON_BACKEND_MISMATCH] = "BACKEND_MISMATCH",
		[BN_REASON_PRIVILEGE] = "PRIVILEGE",
		[BN_REASON_STATE] = "STATE",
		[BN_REASON_TIMEOUT] = "TIMEOUT",
		[BN_REASON_OPTION_UNKNOWN] = "OPTION_UNKNOWN",
		[BN_REASON_KERNEL] = "KERNEL",
		[BN_REASON_UNSUPPORTED] = "UNSUPPORTED",
		[BN_REASON_BUSY] = "BUSY",
		[BN_REASON_OPTION_CONFLICT] = "OPTION_CONFLICT",
		[BN_REASON_NOT_LIVE] = "NOT_LIVE",
		[BN_REASON_CANCELLED] = "CANCELLED",
		[BN_REASON_UNKNOWN_OUTCOME] = "UNKNOWN_OUTCOME",
		[BN_REASON_METRIC_NONE_FREE] = "METRIC_NONE_FREE",
	};

	if (reason < 0 || (size_t)reason >= ARRAY_SIZE(names) || !names[reason])
		return "UNKNOWN";
	return names[reason];
}

/* ---- version ---- */

uint32_t bn_version(void)
{
	return BN_VERSION_MAJOR << 16 | BN_VERSION_MINOR << 8 | BN_VERSION_PATCH;
}

const char *bn_version_string(void)
{
	return PACKAGE_VERSION;
}

int bn_has_feature(const char *name)
{
	return name && firewall_backend_by_name(name);
}
