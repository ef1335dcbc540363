/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the tables differ from what they are to be, beyond rules that are missing or nobody's: what
 * a repair would do about them is done, and told, and not committed.
 */
#include <stdio.h>

#include "firewall/iptables/iptables.h"

struct look {
	struct iptables *iptables;
	const rule_vector *planned;
	finding_vector *findings;
	struct error *error;
	bool whole; /* planned: all of it */
};

/* needed: none but those that only networks have which have the family. */
static bool has_rules(const rule_vector *rules, int family, enum table_id id, bool needed)
{
	for (size_t i = 0; i < rules->len; i++) {
		const struct rule *rule = &rules->items[i];

		if (rule->family == family && rule_table(rule) == id &&
		    (!needed || kind_of(rule->kind)->families != FAMILIES_ALL))
			return true;
	}
	return false;
}

static bool is_gone(const struct table *table)
{
	const char *chain = table_first_chain(table);

	while (chain && (!is_own_chain(chain) || strcmp(chain, COEXIST_CHAIN) == 0))
		chain = table_next_chain(table);
	return !chain;
}

static int report_gone(const struct look *look, int family, enum table_id id)
{
	char object[64];
	const struct finding finding = { .code = FINDING_RULES_GONE,
					 .object = object,
					 .is = "without chains of ours" };

	snprintf(object, sizeof(object), "table %s (%s)", table_name(id),
		 family == AF_INET ? "IPv4" : "IPv6");
	return findings_add(look->findings, &finding);
}

static int look_into(const struct look *look, struct table *table)
{
	struct edit edit = { .table = table,
			     .flags = FIREWALL_BASE | FIREWALL_REPAIR | FIREWALL_MISSING_OK,
			     .is_part = !look->whole,
			     .findings = look->findings };
	const rule_vector *base = &look->iptables->rules;
	int r = items_pick(&edit.add, base->items, base->len, table);

	if (r == 0)
		r = items_pick(&edit.add, look->planned->items, look->planned->len, table);
	if (r == 0 && edit.add.len && is_gone(table))
		r = report_gone(look, table->family, table->id);
	else if (r == 0)
		r = edit_table(&edit, look->error);
	if (r == 0)
		r = foreign_look(&edit);
	free(edit.add.items);
	return r;
}

/* Only those that there is something to be in, or may be something of ours. */
static int look_at(const struct look *look, int family, enum table_id id)
{
	const struct iptables *iptables = look->iptables;
	struct table table;
	int r;

	if (iptables->fd[FAMILY_INDEX(family)] < 0 ||
	    (!look->whole && !has_rules(look->planned, family, id, false)))
		return 0;
	/* a kernel may lack a table that no network needs */
	if (!iptables_table_exists(family, id))
		return has_rules(look->planned, family, id, true) ? report_gone(look, family, id) :
								    0;
	r = deadline_check(iptables->base.deadline);
	if (r < 0)
		return deadline_error(look->error, r, "before the xtables tables were read");
	r = table_open(&iptables->iptc[FAMILY_INDEX(family)], family, id, &table, look->error);
	if (r < 0)
		return r;
	r = look_into(look, &table);
	table_close(&table);
	return r;
}

int iptables_inspect(struct firewall *firewall, const rule_vector *planned, bool whole,
		     finding_vector *findings, struct error *error)
{
	const struct look look = { (struct iptables *)firewall, planned, findings, error, whole };
	int r = 0;

	if (!planned->len)
		return 0;
	for (enum table_id id = 0; id < TABLE_COUNT && r == 0; id++)
		for (int f = 0; f < FAMILY_COUNT && r == 0; f++)
			r = look_at(&look, FAMILY_OF(f), id);
	return r == -ENOMEM ? error_oom(error) : r;
}
