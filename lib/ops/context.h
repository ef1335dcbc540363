/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a context works with: the state, the kernel's links and the packet filter. */
#ifndef BN_OPS_CONTEXT_H
#define BN_OPS_CONTEXT_H

#include <limits.h>

#include "base/process.h"
#include "firewall/firewall.h"
#include "link/link.h"
#include "store/store.h"

#define BOOT_MAX 40

/* A network namespace, of a boot. */
struct binding {
	uint64_t device, inode, cookie; /* cookie 0: the kernel has none */
	char boot[BOOT_MAX];            /* "": not known */
};

struct bn_ctx {
	struct fork_guard guard; /* a child must not use its parent's context */
	atomic_bool busy;        /* a call runs: all below is its own, but for `cancel` */

	/* settings */
	char state_dir[PATH_MAX];
	char backend[32];       /* asked for; "": detect */
	struct options options; /* of the context */
	struct context_policy policy;
	uint32_t timeout_ms;
	bn_log_fn log;
	void *log_userdata;

	/* opened by the first verb that needs them */
	struct store *store;
	struct link_handle *link;
	struct firewall *firewall;
	struct conntrack *conntrack;
	char backend_reason[160];

	struct seat seat;
	struct binding here;    /* where the sockets were opened; inode 0: nowhere yet */
	char bound[META_MAX];   /* what a state that is about here was last found to say */
	struct store_look look; /* the last one */

	struct cancel cancel;
	struct deadline deadline; /* of the running call; store, link and firewall point to it */
	uint32_t recover_ms;      /* left to it for what dead processes left */
	struct error left;        /* why some of that stays; code 0: none does */
	bool changed;             /* the running operation has, or may have, changed the kernel */
	/* the generation of the state whose rules the running call has put right, all of them; 0:
	 * it has not */
	uint64_t ruled;
	struct error error;
};

/* What a verb needs before it can start. */
enum ctx_need {
	CTX_READ,   /* the state, for reading */
	CTX_LINKS,  /* and links, for reading */
	CTX_RULES,  /* the state and the packet filter, for reading */
	CTX_CHANGE, /* everything, for changing it */
};
void ctx_close(bn_ctx *ctx);
/* In a forked child: what is shared with the parent stays as it is. */
void ctx_close_in_child(bn_ctx *ctx);

/* Each opens what is not open yet. The state, which may have been replaced since: to change it, or
 * to read it where it can't be written. */
int ctx_open_store(bn_ctx *ctx, bool write);
int ctx_open_links(bn_ctx *ctx);

/* The backend that the state was made with, or else asked for, or else detected; by the last look
 * at it, or by one of its own. */
int ctx_open_backend(bn_ctx *ctx);
int ctx_open_firewall(bn_ctx *ctx);

/* Open one beside the one in use, for the caller to close. */
int ctx_try_backend(bn_ctx *ctx, const struct firewall_backend *backend,
		    struct firewall **ret_firewall);

/* ---- binding.c: which network namespace, of which boot, a state is about ---- */

/* The thread is still where the context was first used. */
int ctx_check_thread(bn_ctx *ctx);
/* Is the namespace the one that a call which has checked its thread is in? */
bool ctx_is_at(const bn_ctx *ctx, const struct sandbox *sandbox);
/* When a call begins, after that: -EBADMSG for a state that is older than it was, -EXDEV for one of
 * another namespace, but for CTX_READ. One of another boot becomes an empty one; one of another
 * namespace too, if the context says so. One of the first release learns what that did not
 * record. What it has found is in ctx->look, and the first transaction goes on from there. */
int ctx_begin_state(bn_ctx *ctx, enum ctx_need need);

/* -EXDEV if the state is about another namespace. Cheap; inside a transaction, too. */
int ctx_check_state(bn_ctx *ctx);
int ctx_check_look(bn_ctx *ctx); /* by the last look */
/* Inside a transaction: checks that, and from then on the state is about this network namespace,
 * and in this backend; or, when the last network goes, about none. */
int ctx_bind_state(bn_ctx *ctx);
int ctx_release_state(bn_ctx *ctx);

/* ---- a call's own, and what is not ---- */

/* Work that is not the call's own has time of its own, and its failures are not the call's:
 * afterwards the error and the time that was left stand again. */
struct aside {
	struct error error;
	struct deadline deadline;
	uint64_t begun;
};
void ctx_aside_begin(bn_ctx *ctx, uint32_t ms, struct aside *ret_aside);
void ctx_aside_end(bn_ctx *ctx, const struct aside *aside);
void ctx_log(bn_ctx *ctx, int level, const char *format, ...) PRINTF(3, 4);

#endif
