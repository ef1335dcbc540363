/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/metric.h"

#include <errno.h>
#include <stdio.h>

#define ALONE 100 /* of priority 0 */
#define GAP 4     /* between different priorities, where there is room: others may come between */
#define BELOW_MAX 1000000

#define METRIC_END ((uint64_t)UINT32_MAX + 1)

/* Numbers never change, so there is room between those that are likely: a gap for each priority up
 * to 16, and then for each that is four times as high. */
static uint64_t preferred(int priority)
{
	int64_t above = priority, gaps = above < 16 ? above : 16;

	if (above <= 0)
		return (uint64_t)(ALONE - ALONE * (above > -BELOW_MAX ? above : -BELOW_MAX));
	for (int64_t limit = 16; limit < above && gaps < ALONE / GAP - 1; limit *= 4)
		gaps++;
	return (uint64_t)(ALONE - GAP * gaps);
}

static bool is_taken(const endpoint_vector *siblings, int family, uint64_t metric)
{
	for (size_t i = 0; i < siblings->len; i++)
		if (endpoint_metric(&siblings->items[i], family) == metric)
			return true;
	return false;
}

static int choose_asked(const endpoint_vector *siblings, const struct endpoint *endpoint,
			int family, uint32_t *ret_metric, uint64_t *ret_end, struct error *error)
{
	uint32_t asked = endpoint->policy.metric, other;
	uint64_t metric = asked;

	while (is_taken(siblings, family, metric))
		metric++;
	for (size_t i = 0; i < siblings->len; i++) {
		other = endpoint_metric(&siblings->items[i], family);
		if (other > metric && other < *ret_end)
			*ret_end = other;
	}
	if (metric == METRIC_END)
		return error_set(error, -ENOSPC, BN_REASON_METRIC_NONE_FREE,
				 "endpoint %s: the other endpoints of its namespace have every "
				 "metric from %u on; give a lower one",
				 endpoint->id, asked);
	*ret_metric = (uint32_t)metric;
	return 0;
}

/* The last of those that the kernel has to prefer, and the first of those that it must not. */
static void neighbours(const endpoint_vector *siblings, int family, int priority,
		       const struct endpoint **before, const struct endpoint **after)
{
	*before = *after = NULL;
	for (size_t i = 0; i < siblings->len; i++) {
		const struct endpoint *other = &siblings->items[i];
		uint32_t metric = endpoint_metric(other, family);

		if (!metric)
			continue;
		if (endpoint_priority(other, family) < priority) {
			if (!*after || metric < endpoint_metric(*after, family))
				*after = other;
		} else if (!*before || metric > endpoint_metric(*before, family)) {
			*before = other;
		}
	}
}

#define OTHER_MAX (NETWORK_NAME_MAX + ENDPOINT_ID_MAX + 80)

static const char *other_text(const struct endpoint *other, int family, char text[static OTHER_MAX])
{
	snprintf(text, OTHER_MAX, "endpoint %s of network %s, of priority %d, has %u", other->id,
		 other->network, endpoint_priority(other, family), endpoint_metric(other, family));
	return text;
}

static int none_free_error(const struct endpoint *endpoint, int family,
			   const struct endpoint *before, const struct endpoint *after,
			   struct error *error)
{
	char first[OTHER_MAX] = "", second[OTHER_MAX] = "";

	if (before)
		other_text(before, family, first);
	if (after)
		other_text(after, family, second);
	return error_set(error, -ENOSPC, BN_REASON_METRIC_NONE_FREE,
			 "no metric is free for endpoint %s of network %s, of priority %d: %s%s%s; "
			 "give it a metric, or attach them in another order",
			 endpoint->id, endpoint->network, endpoint_priority(endpoint, family),
			 first, before && after ? ", and " : "", second);
}

int metric_choose(const endpoint_vector *siblings, const struct endpoint *endpoint, int family,
		  uint32_t *ret_metric, uint64_t *ret_end, struct error *error)
{
	int priority = endpoint_priority(endpoint, family);
	uint64_t metric = preferred(priority), first = 0, end = METRIC_END, gap;
	const struct endpoint *before, *after;

	*ret_end = METRIC_END;
	if (endpoint->policy.metric)
		return choose_asked(siblings, endpoint, family, ret_metric, ret_end, error);
	neighbours(siblings, family, priority, &before, &after);
	if (before)
		first = endpoint_metric(before, family);
	if (after)
		end = endpoint_metric(after, family);
	if (first + 1 >= end)
		return none_free_error(endpoint, family, before, after, error);
	if (metric <= first)
		metric = first + (endpoint_priority(before, family) == priority ? 1 : GAP);
	if (metric >= end) {
		gap = (end - first) / 2;
		metric = end - (gap < GAP ? gap : GAP);
	}
	*ret_metric = (uint32_t)metric;
	*ret_end = end;
	return 0;
}

const struct endpoint *metric_best(const endpoint_vector *endpoints, int family)
{
	const struct endpoint *best = NULL;

	for (size_t i = 0; i < endpoints->len; i++) {
		const struct endpoint *endpoint = &endpoints->items[i];
		uint32_t metric = endpoint_metric(endpoint, family);

		if (metric && endpoint_prefix(endpoint, family) &&
		    (!best || metric < endpoint_metric(best, family)))
			best = endpoint;
	}
	return best;
}
