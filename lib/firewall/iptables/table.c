/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One table of one family, as libiptc holds it between reading and committing. */
#include "firewall/iptables/iptables.h"
#include "firewall/iptables/kernel.h"
#include "base/fault.h"

const char table_hooks[HOOK_COUNT][CHAIN_NAME_MAX] = { "PREROUTING", "INPUT", "FORWARD", "OUTPUT",
						       "POSTROUTING" };

const char *table_name(enum table_id id)
{
	static const char *const names[] = { "raw", "mangle", "filter", "nat" };

	return names[id];
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

int table_open(const struct iptc *iptc, int family, enum table_id id, struct table *ret_table,
	       struct error *error)
{
	int code;

	*ret_table = (struct table){ .iptc = iptc, .family = family, .id = id };
	errno = 0;
	ret_table->handle = iptc->init(table_name(id));
	code = abs(errno); /* libiptc also says -ENOMEM */
	if (ret_table->handle && code != ENOMEM)
		return 0;
	/* Where an allocation fails while it reads, libiptc may give out the part of the table that
	 * it has by then, and committing that would take away the rest. */
	table_close(ret_table);
	return table_open_error(family, id, code ? code : EIO, error);
}

void table_close(struct table *table)
{
	if (table->handle)
		table->iptc->free(table->handle);
	table->handle = NULL;
}

bool table_has_chain(const struct table *table, const char *chain)
{
	return table->iptc->is_chain(chain, table->handle);
}

int table_walk(const struct table *table, const char *chain, table_fn fn, void *data)
{
	struct table_entry entry = { .family = table->family };
	struct entry_head head;
	int r = 0;

	for (entry.data = table->iptc->first_rule(chain, table->handle); entry.data && r == 0;
	     entry.data = table->iptc->next_rule(entry.data, table->handle)) {
		entry_head(table->family, (void *)entry.data, &head);
		entry.len = *head.next_offset;
		entry.target = table->iptc->get_target(entry.data, table->handle);
		if (!entry.target)
			return -EBADMSG;
		r = fn(table, &entry, data);
		entry.index++;
	}
	return r;
}

const char *table_first_chain(const struct table *table)
{
	return table->iptc->first_chain(table->handle);
}

const char *table_next_chain(const struct table *table)
{
	return table->iptc->next_chain(table->handle);
}

bool table_chain_is_empty(const struct table *table, const char *chain)
{
	return !table->iptc->first_rule(chain, table->handle);
}

unsigned int table_references(const struct table *table, const char *chain)
{
	unsigned int references = 0;

	return table->iptc->get_references(&references, chain, table->handle) ? references : 0;
}

/* libiptc's own functions give 1 for success. */
static int iptc_result(int success)
{
	if (success)
		return 0;
	return errno ? -abs(errno) : -EIO;
}

int table_create_chain(struct table *table, const char *chain)
{
	if (table_has_chain(table, chain))
		return 0;
	table->changed = true;
	return iptc_result(table->iptc->create_chain(chain, table->handle));
}

int table_drop_chain(struct table *table, const char *chain)
{
	if (!table_has_chain(table, chain) || table->iptc->builtin(chain, table->handle) ||
	    !table_chain_is_empty(table, chain) || table_references(table, chain))
		return 0;
	table->changed = true;
	return iptc_result(table->iptc->delete_chain(chain, table->handle));
}

int table_insert(struct table *table, const char *chain, unsigned int index,
		 const struct entry *entry)
{
	table->changed = true;
	if (index == TABLE_END)
		return iptc_result(table->iptc->append_entry(chain, entry->data, table->handle));
	return iptc_result(table->iptc->insert_entry(chain, entry->data, index, table->handle));
}

int table_delete(struct table *table, const char *chain, unsigned int index)
{
	table->changed = true;
	return iptc_result(table->iptc->delete_num_entry(chain, index, table->handle));
}

struct search {
	const char *target;
	unsigned int index;
};

static int is_jump(const struct table *table, const struct table_entry *entry, void *data)
{
	struct search *search = data;

	(void)table;
	if (strcmp(entry->target, search->target) != 0)
		return 0;
	search->index = entry->index;
	return 1;
}

int table_delete_jumps(struct table *table, const char *chain, const char *target)
{
	struct search search = { target, TABLE_END };
	int r = 0;

	while (r == 0 && table_walk(table, chain, is_jump, &search) > 0)
		r = table_delete(table, chain, search.index);
	return r;
}

/* libiptc keeps what rules have counted, but lets the policies of the kernel's own chains begin
 * anew, unless they are set. That is to what they had counted when the table was read. */
static int keep_policies(struct table *table)
{
	const struct iptc *iptc = table->iptc;
	struct xt_counters counters;
	int r = 0;

	for (size_t i = 0; i < HOOK_COUNT && r == 0; i++) {
		const char *chain = table_hooks[i];
		const char *policy = iptc->get_policy(chain, &counters, table->handle);

		if (policy)
			r = iptc_result(iptc->set_policy(chain, policy, &counters, table->handle));
	}
	return r;
}

int table_commit(struct table *table)
{
	int r = FAULT("iptables.commit");

	/* to set them is a change */
	if (r == 0 && table->changed)
		r = keep_policies(table);
	if (r < 0)
		return r;
	errno = 0;
	return iptc_result(table->iptc->commit(table->handle));
}
