/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One table of one family: its chains and their rules. */
#include "firewall/iptables/table.h"

const char *table_name(enum table_id id)
{
	static const char *const names[] = { "raw", "filter", "nat" };

	return names[id];
}

/* ---- entries ---- */

static const struct {
	const char *name;
	int number;
} verdicts[] = {
	{ "ACCEPT", -NF_ACCEPT - 1 },
	{ "DROP", -NF_DROP - 1 },
	{ "RETURN", XT_RETURN },
	{ "QUEUE", -NF_QUEUE - 1 },
};

size_t entry_size(int family, const uint8_t *data)
{
	return family == AF_INET ? ((const struct ipt_entry *)data)->next_offset :
				   ((const struct ip6t_entry *)data)->next_offset;
}

struct xt_standard_target *entry_target(int family, const uint8_t *data)
{
	return (void *)(data + (family == AF_INET ?
					((const struct ipt_entry *)data)->target_offset :
					((const struct ip6t_entry *)data)->target_offset));
}

bool entry_verdict(int family, const uint8_t *data, int *ret_verdict)
{
	const struct xt_standard_target *target = entry_target(family, data);

	*ret_verdict = target->verdict;
	return !target->target.u.user.name[0];
}

/* ---- chains ---- */

/* Where in table->names it is or, false, belongs. */
static bool find_name(const struct table *table, const char *name, size_t *ret_at)
{
	size_t first = 0, end = table->names.len;
	int order = 1;

	/* they are read in that order, mostly */
	if (end && strcmp(table->chains.items[table->names.items[end - 1]].name, name) < 0)
		first = end;
	while (first < end) {
		size_t middle = first + (end - first) / 2;

		order = strcmp(table->chains.items[table->names.items[middle]].name, name);
		if (order == 0) {
			*ret_at = middle;
			return true;
		}
		if (order < 0)
			first = middle + 1;
		else
			end = middle;
	}
	*ret_at = first;
	return false;
}

static struct chain *find_chain(const struct table *table, const char *name)
{
	size_t at;

	return find_name(table, name, &at) ? &table->chains.items[table->names.items[at]] : NULL;
}

static int insert_number(number_vector *numbers, size_t at, uint32_t number)
{
	if (vector_append(numbers, number) < 0)
		return -ENOMEM;
	memmove(&numbers->items[at + 1], &numbers->items[at],
		(numbers->len - 1 - at) * sizeof(*numbers->items));
	numbers->items[at] = number;
	return 0;
}

struct chain *table_add_chain(struct table *table, const char *name, size_t at)
{
	uint32_t number = (uint32_t)table->chains.len;
	struct chain *chain = vector_push(&table->chains);
	size_t by_name;

	if (!chain)
		return NULL;
	*chain = (struct chain){ .hook = NO_HOOK };
	string_copy(chain->name, sizeof(chain->name), name);
	find_name(table, name, &by_name);
	if (insert_number(&table->names, by_name, number) < 0 ||
	    insert_number(&table->order, at, number) < 0)
		return NULL;
	return chain;
}

void table_close(struct table *table)
{
	for (size_t i = 0; i < table->chains.len; i++) {
		if (table->chains.items[i].capacity)
			free(table->chains.items[i].slots);
	}
	for (size_t i = 0; i < table->added.len; i++)
		free(table->added.items[i]);
	free(table->added.items);
	free(table->chains.items);
	free(table->order.items);
	free(table->names.items);
	free(table->slots);
	free(table->block);
	*table = (struct table){ 0 };
}

/* ---- looking ---- */

static const char *slot_target(const struct table *table, const struct slot *slot)
{
	int verdict;

	if (slot->chain == NEXT_RULE)
		return "";
	if (slot->chain != NO_CHAIN)
		return table->chains.items[slot->chain].name;
	if (!entry_verdict(table->family, slot->data, &verdict))
		return entry_target(table->family, slot->data)->target.u.user.name;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		if (verdicts[i].number == verdict)
			return verdicts[i].name;
	}
	return "";
}

int table_walk(const struct table *table, const char *name, table_fn fn, void *data)
{
	const struct chain *chain = find_chain(table, name);
	int r = 0;

	for (size_t i = 0; chain && i < chain->len && r == 0; i++) {
		const struct slot *slot = &chain->slots[i];
		const struct table_entry entry = { .family = table->family,
						   .data = slot->data,
						   .len = entry_size(table->family, slot->data),
						   .target = slot_target(table, slot),
						   .index = (unsigned int)i };

		r = fn(table, &entry, data);
	}
	return r;
}

bool table_has_chain(const struct table *table, const char *chain)
{
	return find_chain(table, chain);
}

const char *table_chain(const struct table *table, size_t at)
{
	return at < table->order.len ? table->chains.items[table->order.items[at]].name : NULL;
}

bool table_chain_is_empty(const struct table *table, const char *name)
{
	const struct chain *chain = find_chain(table, name);

	return !chain || !chain->len;
}

unsigned int table_references(const struct table *table, const char *name)
{
	const struct chain *chain = find_chain(table, name);

	return chain ? chain->references : 0;
}

/* ---- changing ---- */

/* A copy of the entry, that lasts as long as the table. NULL without memory. */
static uint8_t *add_entry(struct table *table, const struct entry *entry)
{
	uint8_t *data = malloc(entry->len);

	if (data && vector_append(&table->added, data) < 0) {
		free(data);
		return NULL;
	}
	return data ? memcpy(data, entry->data, entry->len) : NULL;
}

/* What a chain begins with, and what it ends with, match every packet. */
static int add_mark(struct table *table, const char *target, size_t size, struct slot *ret_slot)
{
	struct xt_standard_target *standard;
	struct entry entry = { 0 };
	struct entry_head head;

	entry_head(table->family, entry.data, &head);
	entry.len = head.len + XT_ALIGN(size);
	*head.target_offset = (uint16_t)head.len;
	*head.next_offset = (uint16_t)entry.len;
	standard = entry_target(table->family, entry.data);
	standard->target.u.user.target_size = (uint16_t)XT_ALIGN(size);
	string_copy(standard->target.u.user.name, sizeof(standard->target.u.user.name), target);
	*ret_slot = (struct slot){ add_entry(table, &entry), NEW_ENTRY, NO_CHAIN };
	return ret_slot->data ? 0 : -ENOMEM;
}

/* Among those of users, where libiptc would put it: they are in the order of their names. */
static size_t place_in_order(const struct table *table, const char *name)
{
	size_t at = table->order.len;

	for (; at > 0; at--) {
		const struct chain *chain = &table->chains.items[table->order.items[at - 1]];

		if (chain->hook != NO_HOOK || strcmp(chain->name, name) < 0)
			break;
	}
	return at;
}

int table_create_chain(struct table *table, const char *name)
{
	struct slot head, end;
	struct chain *chain;
	int r;

	if (find_chain(table, name))
		return 0;
	table->changed = true;
	r = add_mark(table, XT_ERROR_TARGET, sizeof(struct xt_error_target), &head);
	if (r == 0)
		r = add_mark(table, XT_STANDARD_TARGET, sizeof(struct xt_standard_target), &end);
	if (r < 0)
		return r;
	string_copy(((struct xt_error_target *)entry_target(table->family, head.data))->errorname,
		    XT_FUNCTION_MAXNAMELEN, name);
	entry_target(table->family, end.data)->verdict = XT_RETURN;
	chain = table_add_chain(table, name, place_in_order(table, name));
	if (!chain)
		return -ENOMEM;
	chain->head = head;
	chain->end = end;
	return 0;
}

static void drop_number(number_vector *numbers, uint32_t number)
{
	size_t at = 0;

	while (numbers->items[at] != number)
		at++;
	numbers->len--;
	memmove(&numbers->items[at], &numbers->items[at + 1],
		(numbers->len - at) * sizeof(*numbers->items));
}

void table_drop_chain(struct table *table, const char *name)
{
	const struct chain *chain = find_chain(table, name);
	uint32_t number;

	if (!chain || chain->hook != NO_HOOK || chain->len || chain->references)
		return;
	table->changed = true;
	number = (uint32_t)(chain - table->chains.items);
	drop_number(&table->order, number);
	drop_number(&table->names, number);
}

/* Verdicts and chains have names while a rule is made, and numbers in the kernel. */
static int set_target(struct table *table, const uint8_t *data, struct slot *slot)
{
	struct xt_standard_target *target = entry_target(table->family, data);
	char *name = target->target.u.user.name;
	struct chain *chain = NULL;
	size_t verdict = 0;

	if (target->target.u.user.target_size != XT_ALIGN(sizeof(*target)))
		return 0;
	while (verdict < ARRAY_SIZE(verdicts) && strcmp(verdicts[verdict].name, name) != 0)
		verdict++;
	if (verdict < ARRAY_SIZE(verdicts))
		target->verdict = verdicts[verdict].number;
	else
		chain = find_chain(table, name);
	if (verdict == ARRAY_SIZE(verdicts) && !chain)
		return -ENOENT;
	if (chain) {
		chain->references++;
		slot->chain = (uint32_t)(chain - table->chains.items);
	}
	memset(name, 0, sizeof(target->target.u.user.name));
	return 0;
}

/* Room for one more; those that were read are in the table's. */
static int grow_chain(struct chain *chain)
{
	struct slot *slots;

	if (chain->capacity)
		return vector_grow((void **)&chain->slots, &chain->capacity, chain->len, 1,
				   sizeof(*slots));
	slots = calloc(chain->len + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	if (chain->len)
		memcpy(slots, chain->slots, chain->len * sizeof(*slots));
	chain->slots = slots;
	chain->capacity = chain->len + 1;
	return 0;
}

int table_insert(struct table *table, const char *name, unsigned int index,
		 const struct entry *entry)
{
	struct slot slot = { .number = NEW_ENTRY, .chain = NO_CHAIN };
	struct chain *chain = find_chain(table, name);
	size_t at;
	int r;

	if (!chain)
		return -ENOENT;
	slot.data = add_entry(table, entry);
	if (!slot.data || grow_chain(chain) < 0)
		return -ENOMEM;
	r = set_target(table, slot.data, &slot);
	if (r < 0)
		return r;
	table->changed = true;
	at = index == TABLE_END ? chain->len : index;
	memmove(&chain->slots[at + 1], &chain->slots[at],
		(chain->len++ - at) * sizeof(*chain->slots));
	chain->slots[at] = slot;
	return 0;
}

static void delete_slot(struct table *table, struct chain *chain, size_t at)
{
	uint32_t leads_to = chain->slots[at].chain;

	table->changed = true;
	if (leads_to != NO_CHAIN && leads_to != NEXT_RULE)
		table->chains.items[leads_to].references--;
	chain->len--;
	memmove(&chain->slots[at], &chain->slots[at + 1],
		(chain->len - at) * sizeof(*chain->slots));
}

void table_delete(struct table *table, const char *name, unsigned int index)
{
	delete_slot(table, find_chain(table, name), index);
}

void table_delete_jumps(struct table *table, const char *name, const char *target)
{
	struct chain *chain = find_chain(table, name);

	for (size_t i = chain ? chain->len : 0; i > 0; i--) {
		if (strcmp(slot_target(table, &chain->slots[i - 1]), target) == 0)
			delete_slot(table, chain, i - 1);
	}
}
