/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking the base away. */
#include <stdio.h>

#include "firewall/iptables/iptables.h"

/* The administrator's chain stays as long as it has a rule, and so does what leads there. */
static bool serves_user(const rule_vector *rules, const struct rule *rule)
{
	for (size_t i = 0; rule->kind == RULE_USER_JUMP && i < rules->len; i++) {
		if (rules->items[i].kind == RULE_FOREIGN &&
		    rules->items[i].family == rule->family &&
		    rules->items[i].chain == CHAIN_FILTER_USER)
			return true;
	}
	return false;
}

/* Not the administrator's, which has its rules, and its jump; nor that of coexist=insert, which is
 * of networks in the other backend. */
static bool is_left(const char *chain)
{
	return is_own_chain(chain) && strcmp(chain, places[PLACE_USER].name) != 0 &&
	       strcmp(chain, COEXIST_CHAIN) != 0;
}

/* A chain of ours that is left although nothing of ours is. */
static int find_held(const struct table *table, void *data)
{
	const char *chain = table_first_chain(table);
	char *note = data;

	while (chain && !is_left(chain))
		chain = table_next_chain(table);
	if (!chain)
		return 0;
	snprintf(note, FIREWALL_NOTE_MAX,
		 "chain %s of table %s (%s) stays, without bridgenet's rules: others' rules are in "
		 "it, or lead to it",
		 chain, table_name(table->id), table->family == AF_INET ? "IPv4" : "IPv6");
	return 1;
}

/* Anything of ours at all? A look takes no lock, which somebody may hold for long. */
static int base_is_there(struct iptables *iptables, struct error *error)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	int r = iptables_list_locked(iptables, &rules, error);

	return r < 0 ? r : rules.len > 0;
}

int iptables_remove_base(struct firewall *firewall, struct error *error)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	CLEANUP_VECTOR rule_vector gone = { 0 };
	struct firewall_change change = { .flags = FIREWALL_MISSING_OK | FIREWALL_LEAVING };
	struct iptables *iptables = (struct iptables *)firewall;
	CLEANUP(xtables_unlock) int lock = -1;
	int r;

	r = base_is_there(iptables, error);
	if (r <= 0)
		return r;
	/* one lock over both: nobody makes a network between the look and the removal */
	r = xtables_lock(iptables, &lock, error);
	if (r == 0)
		r = iptables_list_locked(iptables, &rules, error);
	if (r < 0 || rules_have_network(&rules))
		return r;
	for (size_t i = 0; i < rules.len; i++) {
		if (rules.items[i].kind == RULE_FOREIGN || serves_user(&rules, &rules.items[i]))
			continue;
		if (vector_append(&gone, rules.items[i]) < 0)
			return error_oom(error);
	}
	change.remove = gone.items;
	change.remove_len = gone.len;
	/* what is held was said when it was left */
	if (!gone.len)
		return 0;
	r = iptables_apply_locked(iptables, &change, error);
	if (r == 0)
		r = iptables_each_table(iptables, find_held, firewall->note, error);
	return r < 0 ? r : 0;
}
