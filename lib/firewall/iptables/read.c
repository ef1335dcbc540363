/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table as the kernel has it: one block of entries, read with two socket options. The entries stay
 * where they are in it; a chain only lists them.
 */
#include <sys/socket.h>

#include "firewall/iptables/table.h"

#define ATTEMPTS 30 /* against programs that change the table between its size and its entries */

/* Both families have the same requests, beside what is in the entries. */
_Static_assert(sizeof(struct ipt_get_entries) == sizeof(struct ip6t_get_entries) &&
		       sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo) &&
		       IPT_SO_GET_ENTRIES == IP6T_SO_GET_ENTRIES,
	       "both families are read in the same way");

/* It ends within `room` bytes, and its target within it. */
static bool entry_is_sound(int family, const uint8_t *data, size_t room)
{
	size_t head = family == AF_INET ? sizeof(struct ipt_entry) : sizeof(struct ip6t_entry);
	size_t size, target;

	if (room < head)
		return false;
	size = entry_size(family, data);
	target = (size_t)((const uint8_t *)entry_target(family, data) - data);
	return size <= room && size % _Alignof(struct ipt_entry) == 0 && target >= head &&
	       target % _Alignof(struct xt_entry_target) == 0 &&
	       target + sizeof(struct xt_standard_target) <= size &&
	       memchr(entry_target(family, data)->target.u.user.name, '\0',
		      sizeof(entry_target(family, data)->target.u.user.name));
}

/* What comes next in the block. */
struct reader {
	struct table *table;
	uint32_t offset, number, slots;
	struct chain *chain; /* that it is of */
};

static int hook_at(const struct table *table, uint32_t offset)
{
	for (int hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
		if (table->info.valid_hooks & 1u << hook && table->info.hook_entry[hook] == offset)
			return hook;
	}
	return NO_HOOK;
}

/* The last entry of a chain that is not the kernel's own leads back. */
static int end_user_chain(struct reader *reader)
{
	struct chain *chain = reader->chain;
	const struct slot *last;
	int verdict;

	reader->chain = NULL;
	if (!chain)
		return 0;
	if (chain->hook != NO_HOOK || !chain->len)
		return -EBADMSG;
	last = &chain->slots[--chain->len];
	chain->end = (struct slot){ last->data, last->number, NO_CHAIN };
	return entry_verdict(reader->table->family, last->data, &verdict) && verdict == XT_RETURN ?
		       0 :
		       -EBADMSG;
}

static int begin_chain(struct reader *reader, const char *name, int hook, const uint8_t *data)
{
	static const char *const hooks[NF_INET_NUMHOOKS] = { "PREROUTING", "INPUT", "FORWARD",
							     "OUTPUT", "POSTROUTING" };
	struct table *table = reader->table;
	struct chain *chain;
	int r = end_user_chain(reader);

	if (r < 0)
		return r;
	chain = table_add_chain(table, hook == NO_HOOK ? name : hooks[hook], table->order.len);
	if (!chain)
		return -ENOMEM;
	chain->hook = hook;
	chain->slots = &table->slots[reader->slots];
	chain->start = reader->offset;
	if (hook == NO_HOOK) {
		chain->head = (struct slot){ data, reader->number, NO_CHAIN };
		chain->start += (uint32_t)entry_size(table->family, data);
	}
	reader->chain = chain;
	return 0;
}

static int read_entry(struct reader *reader, const uint8_t *data, bool is_last)
{
	struct table *table = reader->table;
	const struct xt_standard_target *target = entry_target(table->family, data);
	const struct slot slot = { data, reader->number, NO_CHAIN };
	int hook = hook_at(table, reader->offset), r = 0;

	if (strcmp(target->target.u.user.name, XT_ERROR_TARGET) == 0) {
		const char *name = ((const struct xt_error_target *)target)->errorname;

		if (is_last) {
			table->end = slot;
			return end_user_chain(reader);
		}
		if ((const uint8_t *)name + XT_FUNCTION_MAXNAMELEN >
			    data + entry_size(table->family, data) ||
		    !memchr(name, '\0', XT_FUNCTION_MAXNAMELEN))
			return -EBADMSG;
		return begin_chain(reader, name, NO_HOOK, data);
	}
	if (hook != NO_HOOK)
		r = begin_chain(reader, NULL, hook, data);
	if (r < 0 || !reader->chain)
		return r < 0 ? r : -EBADMSG;
	hook = reader->chain->hook;
	if (hook != NO_HOOK && table->info.underflow[hook] == reader->offset) {
		reader->chain->end = slot;
		reader->chain = NULL;
		return 0;
	}
	reader->chain->slots[reader->chain->len++] = slot;
	reader->slots++;
	return 0;
}

/* The chain whose first rule is at the offset: they are in the order of the block yet. */
static uint32_t chain_at(const struct table *table, uint32_t offset)
{
	uint32_t first = 0, end = (uint32_t)table->chains.len;

	while (first < end) {
		uint32_t middle = first + (end - first) / 2;

		if (table->chains.items[middle].start < offset)
			first = middle + 1;
		else
			end = middle;
	}
	return first < table->chains.len && table->chains.items[first].start == offset ? first :
											 NO_CHAIN;
}

/* Who jumps where. */
static int read_jumps(struct table *table)
{
	for (size_t i = 0; i < table->slots_len; i++) {
		struct slot *slot = &table->slots[i];
		int verdict;

		if (!entry_verdict(table->family, slot->data, &verdict) || verdict < 0)
			continue;
		if (slot->data + entry_size(table->family, slot->data) ==
		    table->entries + verdict) {
			slot->chain = NEXT_RULE;
			continue;
		}
		slot->chain = chain_at(table, (uint32_t)verdict);
		if (slot->chain == NO_CHAIN)
			return -EBADMSG;
		table->chains.items[slot->chain].references++;
	}
	return 0;
}

static int read_entries(struct table *table)
{
	struct reader reader = { .table = table };
	uint32_t size = table->info.size;
	int r = 0;

	table->slots = calloc(table->info.num_entries, sizeof(*table->slots));
	if (!table->slots)
		return -ENOMEM;
	for (; reader.offset < size && r == 0; reader.number++) {
		const uint8_t *data = table->entries + reader.offset;

		if (reader.number >= table->info.num_entries ||
		    !entry_is_sound(table->family, data, size - reader.offset))
			return -EBADMSG;
		r = read_entry(&reader, data,
			       reader.offset + entry_size(table->family, data) == size);
		reader.offset += (uint32_t)entry_size(table->family, data);
	}
	table->slots_len = reader.slots;
	if (r == 0 && (!table->end.data || reader.number != table->info.num_entries))
		return -EBADMSG;
	return r < 0 ? r : read_jumps(table);
}

/* -EAGAIN: somebody changed it between the two. */
static int read_block(struct table *table)
{
	int level = table->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	socklen_t len = sizeof(table->info);

	string_copy(table->info.name, sizeof(table->info.name), table_name(table->id));
	if (getsockopt(table->fd, level, IPT_SO_GET_INFO, &table->info, &len) < 0)
		return -errno;
	len = (socklen_t)(sizeof(*table->block) + table->info.size);
	table->block = malloc(len);
	if (!table->block)
		return -ENOMEM;
	string_copy(table->block->name, sizeof(table->block->name), table_name(table->id));
	table->block->size = table->info.size;
	table->entries = (const uint8_t *)table->block->entrytable;
	return getsockopt(table->fd, level, IPT_SO_GET_ENTRIES, table->block, &len) < 0 ? -errno :
											  0;
}

static int table_open_error(int family, enum table_id id, int code, struct error *error)
{
	const char *tables = family == AF_INET ? "ip_tables" : "ip6_tables";

	switch (code) {
	case ENOENT:
	case ENOPROTOOPT:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
	case ESRCH:
		return error_set(error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
				 "the kernel has no table %s of %s: load the modules %s and "
				 "%stable_%s, or use nftables",
				 table_name(id), tables, tables, family == AF_INET ? "ip" : "ip6",
				 table_name(id));
	case ENOMEM:
		return error_oom(error);
	case EPERM:
	case EACCES:
		return error_set(error, -EPERM, BN_REASON_PRIVILEGE,
				 "reading table %s of %s needs CAP_NET_ADMIN and CAP_NET_RAW in "
				 "this network namespace; run as root",
				 table_name(id), tables);
	default:
		return error_set(error, -code, BN_REASON_KERNEL, "can't read table %s of %s: %s",
				 table_name(id), tables, errno_text(code));
	}
}

int table_open(const struct iptables *iptables, int family, enum table_id id,
	       struct table *ret_table, struct error *error)
{
	int r = -EAGAIN;

	for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++) {
		*ret_table = (struct table){ .family = family,
					     .id = id,
					     .fd = iptables->fd[FAMILY_INDEX(family)] };
		r = read_block(ret_table);
		if (r == 0)
			r = read_entries(ret_table);
		if (r < 0)
			table_close(ret_table);
	}
	return r < 0 ? table_open_error(family, id, -r, error) : 0;
}
