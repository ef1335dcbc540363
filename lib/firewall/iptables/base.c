/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking the base away. */
#include "firewall/iptables/iptables.h"

/* What keeps a chain of ours: somebody's rule in it. */
static bool holds_foreign(const rule_vector *rules, const struct rule *rule)
{
	char chain[CHAIN_NAME_MAX] = "", name[CHAIN_NAME_MAX] = "";

	iptables_jump_name(rule, chain);
	for (size_t i = 0; i < rules->len && chain[0]; i++) {
		const struct rule *other = &rules->items[i];

		if (other->kind != RULE_FOREIGN || other->family != rule->family ||
		    rule_table(other) != rule_table(rule))
			continue;
		iptables_chain_name(other, name);
		if (strcmp(name, chain) == 0)
			return true;
	}
	return false;
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
	struct firewall_change change = { .flags = FIREWALL_MISSING_OK };
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
		if (rules.items[i].kind == RULE_FOREIGN || holds_foreign(&rules, &rules.items[i]))
			continue;
		if (vector_append(&gone, rules.items[i]) < 0)
			return error_oom(error);
	}
	change.remove = gone.items;
	change.remove_len = gone.len;
	return gone.len ? iptables_apply_locked(iptables, &change, error) : 0;
}
