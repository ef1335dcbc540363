/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard of forwarding, as text and as a value. */
#include <errno.h>

#include "model/records.h"

#define BRIDGE "bridge "

void guard_clear(struct guard *guard)
{
	free(guard->bridges.items);
	*guard = (struct guard){ 0 };
}

static int compare_bridges(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_line(struct guard *guard, const char *line)
{
	struct guard_bridge *bridge;

	guard->ipv4 |= strcmp(line, "ipv4") == 0;
	guard->ipv6 |= strcmp(line, "ipv6") == 0;
	if (strncmp(line, BRIDGE, strlen(BRIDGE)) != 0)
		return 0;
	bridge = vector_push(&guard->bridges);
	if (!bridge)
		return -ENOMEM;
	string_copy(bridge->name, sizeof(bridge->name), line + strlen(BRIDGE));
	return 0;
}

static void sort_bridges(struct guard *guard)
{
	struct guard_bridge *items = guard->bridges.items;
	size_t len = 0;

	if (guard->bridges.len)
		qsort(items, guard->bridges.len, sizeof(*items), compare_bridges);
	for (size_t i = 0; i < guard->bridges.len; i++)
		if (!len || strcmp(items[len - 1].name, items[i].name) != 0)
			items[len++] = items[i];
	guard->bridges.len = len;
}

int guard_parse(const char *text, struct guard *ret_guard)
{
	CLEANUP(guard_clear) struct guard guard = { 0 };
	char line[sizeof(BRIDGE) + IFNAMSIZ];
	int r = 0;

	while (*text && r == 0) {
		size_t len = strcspn(text, "\n");

		line[0] = '\0';
		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
		}
		r = add_line(&guard, line);
		text += len + (text[len] == '\n');
	}
	if (r < 0)
		return r;
	sort_bridges(&guard);
	*ret_guard = guard;
	guard = (struct guard){ 0 };
	return 0;
}

bool guard_includes(const struct guard *guard, const struct guard *part)
{
	if ((part->ipv4 && !guard->ipv4) || (part->ipv6 && !guard->ipv6))
		return false;
	for (size_t i = 0; i < part->bridges.len; i++)
		if (!guard->bridges.len ||
		    !bsearch(&part->bridges.items[i], guard->bridges.items, guard->bridges.len,
			     sizeof(*guard->bridges.items), compare_bridges))
			return false;
	return true;
}
