/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a watch tells, in the order in which it was met. */
#ifndef BN_OPS_EVENT_H
#define BN_OPS_EVENT_H

#include "firewall/firewall.h"
#include "model/names.h"

struct bn_event {
	const char *kind;
	char *text;
	char network[NETWORK_NAME_MAX + 1], endpoint[ENDPOINT_ID_MAX + 1]; /* "": of none */
	char program[FIREWALL_PROGRAM_MAX];                                /* "": not known */
};

struct event_queue {
	VECTOR(struct bn_event *) events;
	size_t first; /* the next to be taken */
};

void event_free(struct bn_event *event);
void events_clear(struct event_queue *queue);
size_t events_len(const struct event_queue *queue);
struct bn_event *events_take(struct event_queue *queue); /* NULL: there is none */
/* A copy of all but the text, which is taken over; NULL is an event without memory for it. */
int events_put(struct event_queue *queue, const struct bn_event *event);
int events_say(struct event_queue *queue, const struct bn_event *event, const char *format, ...)
	PRINTF(3, 4);
/* For each, or, where there are many, for some and the rest together. None that `said`, sorted,
 * has (NULL: nothing). */
int events_put_findings(struct event_queue *queue, const char *kind, const char *program,
			const finding_vector *findings, const finding_vector *said);

#endif
