/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frame of every verb. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "api/api.h"
#include "base/fault.h"

/* What any verb may return; each need has those of the needs before it too. */
static const short common_errnos[][20] = {
	[CTX_READ] = {
		API_ERRNO(EINVAL, "An argument is NULL or malformed, as one of a spec's setters "
				  "was given it, flags has a bit that the call "
				  "does not know, or the beginning of an id fits more than one "
				  "network, or is too short to change something by."),
		API_ERRNO(ECHILD, "The context was made before a fork; make one in the child."),
		API_ERRNO(EBUSY, "With BN_REASON_BUSY: the context is in a call already, of "
				 "another thread or the one that logs; or, from those that change "
				 "something, another call was at the same thing until the time "
				 "limit; try again."),
		API_ERRNO(ECANCELED, "bn_ctx_cancel() ended the call, or was called when none ran; "
				     "what the call had begun is undone."),
		API_ERRNO(EPERM, "No privilege."),
		API_ERRNO(EACCES, "No privilege for a file: of the state, of /proc/sys, or the "
				  "xtables lock; or the state directory is another user's, or "
				  "others can write it or what leads to it."),
		API_ERRNO(EROFS, "Such a file is on a file system that can't be written."),
		API_ERRNO(ENOENT, "The directory that the state directory would be made in does "
				  "not exist."),
		API_ERRNO(ENOTDIR, "The path of the state directory leads through a file, or ends "
				   "in a symbolic link."),
		API_ERRNO(ENAMETOOLONG, "The path of the state directory, or a part of it, is too "
					"long."),
		API_ERRNO(ENOSPC, "The file system of the state is full."),
		API_ERRNO(EMFILE, "The process has no descriptor left."),
		API_ERRNO(ENFILE, "The system has no descriptor left."),
		API_ERRNO(ENOMEM, "Out of memory."),
		API_ERRNO(EOPNOTSUPP, "The kernel or this build lacks the backend that was asked "
				      "for, or has none at all; a library that the backend loads "
				      "is not installed; or a newer version has made the state."),
		API_ERRNO(EAGAIN, "Other programs kept changing what was to be read or changed; "
				  "try again."),
		API_ERRNO(ETIMEDOUT, "The call took longer than the context allows, or another "
				     "program held a lock for that long; what the call had begun "
				     "is undone, which may take 2 s more and is then left to the "
				     "next call."),
		API_ERRNO(EIO, "The state is damaged, or the system refused with an errno that is "
			       "in none of the lists; the message says which."),
	},
	[CTX_LINKS] = {
		API_ERRNO(EXDEV, "From those that look at the kernel: the state is about another "
				 "network namespace than the thread is in. A state is bound to the "
				 "namespace in which its first network is made, until its last is "
				 "deleted, or the state is taken over (state.take-over in "
				 "bridgenet-options(7))."),
	},
	[CTX_RULES] = {
		API_ERRNO(EEXIST, "From those that change something or list the kernel's rules, "
				  "with BN_REASON_BACKEND_MISMATCH: the state is in another "
				  "backend than the context asks for."),
	},
	[CTX_CHANGE] = {
		API_ERRNO(EADDRINUSE, "From those that change something: somebody had taken the "
				      "library's rules out, and when they were put back, a rule of "
				      "somebody else had one of the ports."),
	},
};

static enum ctx_need need_of(const struct api_call *call, uint32_t flags)
{
	if (flags & call->looks)
		return CTX_RULES;
	return flags && call->flags_need > call->need ? call->flags_need : call->need;
}

/* False: another call has it. */
static bool claim(bn_ctx *ctx)
{
	return !atomic_exchange(&ctx->busy, true);
}

int api_claim(bn_ctx *ctx, const struct api_call *call, uint32_t flags)
{
	if (!ctx)
		return -EINVAL;
	/* Before the claim: a thread that the child does not have may be in a call. */
	if (fork_guard_is_child(&ctx->guard))
		return error_set(&ctx->error, -ECHILD, BN_REASON_INVALID,
				 "the context was made before a fork; make one in the child");
	if (!claim(ctx))
		return API_REFUSED;
	error_clear(&ctx->error);
	if (flags & ~call->flags)
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "flags 0x%x are unknown to this call", flags & ~call->flags);
	return 0;
}

int api_open(bn_ctx *ctx, const struct api_call *call, uint32_t flags)
{
	int r = cancel_open(&ctx->cancel);

	if (r < 0)
		return error_set(&ctx->error, r, BN_REASON_KERNEL,
				 "cannot make an eventfd for the context: %s", errno_text(-r));
	return ops_begin(ctx, need_of(call, flags));
}

int api_enter(bn_ctx *ctx, const struct api_call *call, uint32_t flags)
{
	int r = api_claim(ctx, call, flags);

	return r < 0 ? r : api_open(ctx, call, flags);
}

static bool has(const short *numbers, size_t len, int number)
{
	for (size_t i = 0; i < len; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static bool is_listed(const struct api_call *call, int number)
{
	bool listed = has(call->errnos, ARRAY_SIZE(call->errnos), number);

	for (int need = 0; !call->setting && !listed && need <= (int)need_of(call, ~call->looks);
	     need++)
		listed = has(common_errnos[need], ARRAY_SIZE(common_errnos[need]), number);
	return listed;
}

#ifdef BN_CHECKS
/* Under these reasons the system's own errno is passed up, which can be any. */
static bool is_of_system(int reason)
{
	return reason == BN_REASON_KERNEL || reason == BN_REASON_STATE ||
	       reason == BN_REASON_SANDBOX_INVALID;
}

/* A code that only the library itself understands, or a failure without a sentence: no test gets
 * past it. */
static void check_failure(const struct api_call *call, const struct error *error, int r)
{
	if ((error->message[0] || FAULTS) && (is_listed(call, -r) || is_of_system(error->reason)))
		return;
	dprintf(STDERR_FILENO, "%s: %s (%d) is not in its table, or has no sentence: '%s'\n",
		call->names, errno_text(-r), -r, error->message);
	__builtin_trap();
}
#endif

/* What a caller who is short of time is to know. */
static void say_limits(const bn_ctx *ctx, const struct api_call *call, struct error *error)
{
	char before[sizeof(error->message)];

	string_copy(before, sizeof(before), error->message);
	error_set(error, error->code, error->reason, "%s; the limit was %u ms%s", before,
		  ctx->timeout_ms,
		  call->need == CTX_CHANGE ? ", undoing may take 2 s more, and what is left then "
					     "is undone by the next call" :
					     "");
}

static int finish(bn_ctx *ctx, const struct api_call *call, int r)
{
	struct error *error = &ctx->error;

	if (r >= 0) {
		error_clear(error);
		return 0;
	}
#ifdef BN_CHECKS
	check_failure(call, error, r);
#endif
	if (!error->message[0])
		error_set(error, r, BN_REASON_KERNEL, "the call failed: %s", errno_text(-r));
	if (error->reason == BN_REASON_TIMEOUT)
		say_limits(ctx, call, error);
	/* no caller can be ready for what no page names */
	error->code = is_listed(call, -r) ? r : -EIO;
	return error->code;
}

int api_leave(bn_ctx *ctx, const struct api_call *call, int r)
{
	if (!ctx)
		return r;
	if (r == API_REFUSED)
		return -EBUSY;
	r = finish(ctx, call, r);
	if (!call->setting && !fork_guard_is_child(&ctx->guard))
		ops_end(ctx);
	if (!call->setting)
		cancel_forget(&ctx->cancel);
	ctx->busy = false;
	return r;
}

int api_missing(bn_ctx *ctx, const char *what)
{
	if (!ctx)
		return -EINVAL;
	if (!claim(ctx))
		return -EBUSY;
	error_clear(&ctx->error);
	error_set(&ctx->error, -EINVAL, BN_REASON_INVALID, "%s is missing (NULL)", what);
	ctx->busy = false;
	return -EINVAL;
}

int api_oom(bn_ctx *ctx)
{
	if (!ctx)
		return -ENOMEM;
	if (!claim(ctx))
		return -EBUSY;
	error_clear(&ctx->error);
	error_oom(&ctx->error);
	ctx->busy = false;
	return -ENOMEM;
}
