/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define FINDINGS_MAX 32 /* of a look that are told one by one */

void event_free(struct bn_event *event)
{
	if (!event)
		return;
	free(event->text);
	free(event);
}

void events_clear(struct event_queue *queue)
{
	struct bn_event *event;

	while ((event = events_take(queue)))
		event_free(event);
	free(queue->events.items);
	*queue = (struct event_queue){ 0 };
}

size_t events_len(const struct event_queue *queue)
{
	return queue->events.len - queue->first;
}

struct bn_event *events_take(struct event_queue *queue)
{
	struct bn_event *event;

	if (!events_len(queue))
		return NULL;
	event = queue->events.items[queue->first++];
	if (!events_len(queue))
		queue->events.len = queue->first = 0;
	return event;
}

int events_put(struct event_queue *queue, const struct bn_event *event)
{
	struct bn_event *added = event->text ? malloc(sizeof(*added)) : NULL;

	if (added && vector_append(&queue->events, added) == 0) {
		*added = *event;
		return 0;
	}
	free(event->text);
	free(added);
	return -ENOMEM;
}

int events_say(struct event_queue *queue, const struct bn_event *event, const char *format, ...)
{
	struct bn_event said = *event;
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vasprintf(&said.text, format, arguments);
	va_end(arguments);
	if (len < 0)
		said.text = NULL;
	return events_put(queue, &said);
}

static int put_finding(struct event_queue *queue, const char *kind, const char *program,
		       const struct finding *finding)
{
	struct bn_event event = { .kind = kind };

	string_copy(event.network, sizeof(event.network), finding->network);
	string_copy(event.endpoint, sizeof(event.endpoint), finding->endpoint);
	string_copy(event.program, sizeof(event.program), program);
	if (finding_text(finding, &event.text) < 0)
		event.text = NULL;
	return events_put(queue, &event);
}

int events_put_findings(struct event_queue *queue, const char *kind, const char *program,
			const finding_vector *findings, const finding_vector *said)
{
	struct bn_event rest = { .kind = kind };
	size_t told = 0, more = 0;
	int r = 0;

	for (size_t i = 0; i < findings->len && r == 0; i++) {
		if (said && findings_have(said, &findings->items[i]))
			continue;
		if (told == FINDINGS_MAX) {
			more++;
			continue;
		}
		r = put_finding(queue, kind, program, &findings->items[i]);
		told++;
	}
	if (r < 0 || !more)
		return r;
	string_copy(rest.program, sizeof(rest.program), program);
	return events_say(queue, &rest, "and %zu more of that kind, which a check lists", more);
}
