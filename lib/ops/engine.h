/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a context works with: the state, the kernel's links and the packet filter. */
#ifndef BN_OPS_ENGINE_H
#define BN_OPS_ENGINE_H

#include <limits.h>

#include "firewall/firewall.h"
#include "link/link.h"
#include "store/store.h"

struct engine {
	/* settings */
	char state_dir[PATH_MAX];
	char backend[32];               /* asked for; "": detect */
	struct options options;         /* of the context */
	uint32_t timeout_ms;
	bn_log_fn log;
	void *log_userdata;

	/* opened by the first verb that needs them */
	struct store *store;
	bool store_read_only;
	struct link_handle *link;
	struct firewall *firewall;
	char backend_reason[160];

	uint64_t namespace_device, namespace_inode;     /* where the sockets were opened; 0: none */

	deadline_ms deadline;           /* of the running call */
	bool undo_failed;               /* something of the running call is still in the kernel */
	struct error error;
};

/* What a verb needs before it can start. */
enum engine_need {
	ENGINE_READ,                    /* the state, without privilege if need be */
	ENGINE_LINKS,                   /* and links, for reading */
	ENGINE_RULES,                   /* the state and the packet filter, for reading */
	ENGINE_CHANGE,                  /* everything, and what dead processes left is cleaned up */
};
int engine_start(struct engine *engine, enum engine_need need);
void engine_close(struct engine *engine);

/* The backend that the state was made with, or else asked for, or else detected. */
int engine_open_firewall(struct engine *engine);

/* Open one beside the one in use, for the caller to close. */
int engine_try_backend(struct engine *engine, const struct firewall_backend *backend,
		       struct firewall **ret_firewall);

/* A millisecond's pause, before another look at what another process is at; false once the time of
 * the call is up. */
bool engine_nap(const struct engine *engine);

/* Inside a transaction: from now on the state is about this network namespace, and is refused in
 * any other; or, when the last network goes, about none. */
int engine_bind_state(struct engine *engine);
int engine_release_state(struct engine *engine);

/* Undoing begins, and must not fail for want of time: that may be why it begins. Keeps the error
 * that led here in *ret_cause, for engine_undo_end(), which puts it back. r: of the undoing. */
void engine_undo_begin(struct engine *engine, struct error *ret_cause);
void engine_undo_end(struct engine *engine, const struct error *cause, int r);
void engine_log(struct engine *engine, int level, const char *format, ...) PRINTF(3, 4);

#endif
