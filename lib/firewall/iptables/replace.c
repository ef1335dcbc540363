/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table in place of the one that was read, all at once. The kernel begins to count anew, and gives
 * what the old entries had counted until then: that is added to those that are still there.
 */
#include <sys/socket.h>

#include "base/fault.h"
#include "firewall/iptables/table.h"

_Static_assert(sizeof(struct ipt_replace) == sizeof(struct ip6t_replace) &&
		       offsetof(struct ipt_replace, counters) ==
			       offsetof(struct ip6t_replace, counters) &&
		       IPT_SO_SET_REPLACE == IP6T_SO_SET_REPLACE &&
		       IPT_SO_SET_ADD_COUNTERS == IP6T_SO_SET_ADD_COUNTERS,
	       "both families are written in the same way");

struct replacement {
	struct ipt_replace *request;
	struct xt_counters *old;
	struct xt_counters_info *counters;
	uint32_t *numbers;  /* that the entries had in the old table */
	uint32_t size, len; /* of the entries so far */
};

static struct chain *chain_in_order(const struct table *table, size_t at)
{
	return &table->chains.items[table->order.items[at]];
}

/* Where each chain begins, and how much it is in all. */
static void lay_out(struct table *table, struct replacement *new)
{
	for (size_t i = 0; i < table->order.len; i++) {
		struct chain *chain = chain_in_order(table, i);

		if (chain->hook == NO_HOOK) {
			new->size += (uint32_t)entry_size(table->family, chain->head.data);
			new->len++;
		}
		chain->start = new->size;
		for (size_t j = 0; j < chain->len; j++)
			new->size += (uint32_t)entry_size(table->family, chain->slots[j].data);
		new->size += (uint32_t)entry_size(table->family, chain->end.data);
		new->len += (uint32_t)chain->len + 1;
	}
	new->size += (uint32_t)entry_size(table->family, table->end.data);
	new->len++;
}

static void put(const struct table *table, struct replacement *new, const struct slot *slot)
{
	uint8_t *data = (uint8_t *)new->request->entries + new->size;
	size_t size = entry_size(table->family, slot->data);

	memcpy(data, slot->data, size);
	new->size += (uint32_t)size;
	new->numbers[new->len++] = slot->number;
	if (slot->chain == NEXT_RULE)
		entry_target(table->family, data)->verdict = (int)new->size;
	else if (slot->chain != NO_CHAIN)
		entry_target(table->family, data)->verdict =
			(int)table->chains.items[slot->chain].start;
}

static void put_all(const struct table *table, struct replacement *new)
{
	new->size = new->len = 0;
	for (size_t i = 0; i < table->order.len; i++) {
		const struct chain *chain = chain_in_order(table, i);

		if (chain->hook == NO_HOOK)
			put(table, new, &chain->head);
		else
			new->request->hook_entry[chain->hook] = new->size;
		for (size_t j = 0; j < chain->len; j++)
			put(table, new, &chain->slots[j]);
		if (chain->hook != NO_HOOK)
			new->request->underflow[chain->hook] = new->size;
		put(table, new, &chain->end);
	}
	put(table, new, &table->end);
}

/* All memory that it takes: none may be missing once the table is in its place. */
static int make_room(const struct table *table, struct replacement *new)
{
	new->request = malloc(sizeof(*new->request) + new->size);
	new->old = malloc(table->info.num_entries * sizeof(*new->old));
	new->counters = malloc(sizeof(*new->counters) + new->len * sizeof(*new->old));
	new->numbers = malloc(new->len * sizeof(*new->numbers));
	if (!new->request || !new->old || !new->counters || !new->numbers)
		return -ENOMEM;
	*new->request = (struct ipt_replace){ .valid_hooks = table->info.valid_hooks,
					      .num_entries = new->len,
					      .size = new->size,
					      .num_counters = table->info.num_entries,
					      .counters = new->old };
	*new->counters = (struct xt_counters_info){ .num_counters = new->len };
	string_copy(new->request->name, sizeof(new->request->name), table_name(table->id));
	string_copy(new->counters->name, sizeof(new->counters->name), table_name(table->id));
	return 0;
}

static int send_option(const struct table *table, int option, const void *data, size_t size)
{
	int level = table->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

	return setsockopt(table->fd, level, option, data, (socklen_t)size) < 0 ? -errno : 0;
}

static int replace(struct table *table, const struct replacement *new)
{
	int r = send_option(table, IPT_SO_SET_REPLACE, new->request,
			    sizeof(*new->request) + new->size);

	if (r < 0)
		return r;
	table->info.num_entries = new->len;
	table->info.size = new->size;
	for (uint32_t i = 0; i < new->len; i++) {
		new->counters->counters[i] = new->numbers[i] == NEW_ENTRY ?
						     (struct xt_counters){ 0 } :
						     new->old[new->numbers[i]];
	}
	return send_option(table, IPT_SO_SET_ADD_COUNTERS, new->counters,
			   sizeof(*new->counters) + new->len * sizeof(*new->old));
}

int table_commit(struct table *table)
{
	struct replacement new = { 0 };
	int r = FAULT("iptables.commit");

	if (r < 0 || !table->changed)
		return r;
	lay_out(table, &new);
	r = make_room(table, &new);
	if (r == 0) {
		put_all(table, &new);
		r = replace(table, &new);
	}
	free(new.request);
	free(new.old);
	free(new.counters);
	free(new.numbers);
	return r;
}
