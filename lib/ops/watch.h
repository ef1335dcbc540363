/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching what others do to what the library has made. */
#ifndef BN_OPS_WATCH_H
#define BN_OPS_WATCH_H

#include "ops/event.h"
#include "ops/sources.h"
#include "ops/watched.h"

/* What of it is looked at when something was heard. */
enum watch_task {
	TASK_STATE,  /* what has changed in the state */
	TASK_BASE,   /* does the rule base stand? That is seen at once */
	TASK_RULES,  /* are all rules there? */
	TASK_OTHERS, /* the same, as others' rules may be in their way */
	TASK_LINKS,  /* suspects */
	TASK_PORTS,  /* does somebody listen on a port? */
	TASK_TICK,   /* hear of rules, where nothing wakes for it */
	TASK_COUNT
};

/* endpoint "": a network's own; network "": the host. */
struct suspect {
	char network[NETWORK_NAME_MAX + 1], endpoint[ENDPOINT_ID_MAX + 1];
	uint64_t not_before; /* by clock_now_ms() */
	bool pending;
	uint8_t looks; /* that others were in the way of */
};

struct bn_watch {
	bn_ctx ctx; /* of its own, that looks */
	uint32_t flags;
	int inotify; /* for the state */
	struct firewall_watch *rules;
	struct firewall_watch *frames; /* NULL: what is told of them comes with the rules */
	bool frames_changed;
	struct link_watch *links;
	struct sources sources;
	struct {
		bool pending;
		uint64_t not_before;
	} tasks[TASK_COUNT];
	struct watched watched;
	uint64_t generation; /* of the state that was seen */
	bool replaced;       /* files of it were, or the directory */
	VECTOR(struct suspect) suspects;
	bool all_suspects;
	unsigned int all_looks; /* at them, while others were at work on the state */
	finding_vector said_rules, said_listeners; /* by the last look */
	uint8_t base_looks, rules_looks;           /* that others were in the way of */
	char program[FIREWALL_PROGRAM_MAX];        /* who changed rules last */
	uint64_t base_told_at; /* that it is gone, by clock_now_ms(); 0: it stands */
	enum watch_task failed;
	char failure[sizeof(((struct error *)0)->message)]; /* that was told; "": none */
	struct event_queue queue;
};

/* Of the settings of a context in the thread's network namespace, which it is not needed for
 * afterwards. */
int watch_new(bn_ctx *ctx, uint32_t flags, bn_watch **ret_watch);
void watch_free(bn_watch *watch);
/* -EAGAIN: nothing has happened; -EINVAL: the thread is in another namespace; -ENOMEM. */
int watch_next(bn_watch *watch, struct bn_event **ret_event);

/* ---- suspects.c ---- */

int suspects_add(bn_watch *watch, const char *network, const char *endpoint, uint64_t not_before);
/* Whose link it is: link_news_fn. */
void suspects_hear(void *watch, const char *owner, const char *name);
/* When the first of them is to be looked at; UINT64_MAX: there is none. */
uint64_t suspects_due(const bn_watch *watch);
int suspects_look(bn_watch *watch);

/* ---- looking.c ---- */

struct inspector;
struct watch_parts {
	const struct inspector *inspectors[4]; /* NULL at the end */
	size_t told;                           /* what those from that one on find */
};
/* One look by those: 1; or 0, and what is found may be of what others are just at. */
int watch_look(bn_watch *watch, const struct watch_parts *parts, const char *network,
	       const char *endpoint, finding_vector *findings);
int watch_state(bn_watch *watch);
int watch_base(bn_watch *watch);
int watch_rules(bn_watch *watch);
int watch_others(bn_watch *watch);
int watch_ports(bn_watch *watch);

#endif
