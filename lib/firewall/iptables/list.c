/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's entries as rules of the plan. */
#include "firewall/iptables/iptables.h"

struct listing {
	rule_vector *rules;
	item_vector chains; /* of networks, and of the tree below them */
	enum place place;
	enum rule_kind node; /* of whose rules this is a node; RULE_FOREIGN: a whole chain */
	const char *label;   /* of the network */
};

static void label_of(const char *chain, char label[static NETWORK_LABEL_MAX])
{
	size_t len = strcspn(chain + 3, ":");

	if (len >= NETWORK_LABEL_MAX)
		len = NETWORK_LABEL_MAX - 1;
	memcpy(label, chain + 3, len);
	label[len] = '\0';
}

static int list_foreign_entry(const struct table_entry *entry, struct rule *rule)
{
	char text[ENTRY_TEXT_MAX];

	entry_text(entry, text);
	rule->kind = RULE_FOREIGN;
	if (rule_leads_on(rule))
		rule->target = TARGET_OTHER;
	rule->foreign = strdup(text);
	return rule->foreign ? 0 : -ENOMEM;
}

/* A node of jumps to networks ends with one that is a rule of the chain that it hangs from. */
static bool leaves_node(const struct listing *listing, const struct rule *rule)
{
	return listing->node != RULE_FOREIGN && rule->kind != RULE_FOREIGN &&
	       rule->kind != listing->node;
}

static int list_entry(const struct table *table, const struct table_entry *entry, void *data)
{
	struct listing *listing = data;
	const struct place_info *place = &places[listing->place];
	struct rule *rule = vector_push(listing->rules);
	bool leads_on;
	bool is_node_jump, to_dispatch;
	int decoded;

	if (!rule)
		return -ENOMEM;
	decoded = place_read(listing->place, entry, rule);
	if (decoded != 0)
		rule->kind = RULE_FOREIGN;
	to_dispatch = dispatch_read(entry, decoded, rule) != RULE_FOREIGN;
	is_node_jump = to_dispatch || place_is_node_jump(listing->place, decoded, rule);
	/* By a jump of ours, or through the tree: others may jump to where they like. */
	leads_on = to_dispatch || (strncmp(entry->target, "BN-", 3) == 0 &&
				   (rule->kind != RULE_FOREIGN || is_node_jump));
	if (leads_on && chain_note(&listing->chains, entry->target,
				   table_references(table, entry->target) > 1) < 0)
		return -ENOMEM;
	/* What leads through the tree is no rule of the plan, nor are others' in the kernel's
	 * chains. */
	if ((leads_on && is_node_jump) || leaves_node(listing, rule) ||
	    (rule->kind == RULE_FOREIGN && place->type == PLACE_BUILTIN)) {
		listing->rules->len--;
		return decoded < 0 && place->type != PLACE_BUILTIN ? decoded : 0;
	}
	if (leads_on && place->type != PLACE_NETWORK)
		label_of(entry->target, rule->label);
	else
		string_copy(rule->label, sizeof(rule->label), listing->label);
	string_copy(rule->network, sizeof(rule->network), rule->label);
	return rule->kind == RULE_FOREIGN ? list_foreign_entry(entry, rule) : 0;
}

int iptables_each_table(const struct iptables *iptables, int (*fn)(const struct table *, void *),
			void *data, struct error *error)
{
	struct table table;
	int r = 0;

	for (int f = 0; f < FAMILY_COUNT; f++) {
		for (enum table_id id = 0; id < TABLE_COUNT && r == 0; id++) {
			if (iptables->fd[f] < 0 || !iptables_table_exists(FAMILY_OF(f), id))
				continue;
			r = deadline_check(iptables->base.deadline);
			if (r < 0)
				return deadline_error(error, r,
						      "before the xtables tables were read");
			r = table_open(&iptables->iptc[f], FAMILY_OF(f), id, &table, error);
			if (r < 0)
				return r;
			r = fn(&table, data);
			table_close(&table);
		}
	}
	if (r == -ENOMEM)
		return error_oom(error);
	if (r < 0)
		return error_set(error, r, BN_REASON_KERNEL,
				 "an entry of the xtables tables is malformed; see "
				 "iptables-legacy-save");
	return r;
}

static void begin_chain(struct listing *listing, enum table_id id, const char *chain,
			char label[static NETWORK_LABEL_MAX])
{
	listing->node = dispatch_kind(chain);
	label[0] = '\0';
	if (listing->node != RULE_FOREIGN) {
		listing->place = rule_place(&(struct rule){ .kind = listing->node });
		return;
	}
	label_of(chain, label);
	listing->place = network_place(id, chain);
}

static int list_table(const struct table *table, void *data)
{
	struct listing listing = { .rules = data, .node = RULE_FOREIGN, .label = "" };
	char label[NETWORK_LABEL_MAX], chain[CHAIN_NAME_MAX];
	int r = 0;

	for (enum place i = 0; i < PLACE_COUNT && r == 0; i++) {
		if (places[i].table != table->id || places[i].type == PLACE_NETWORK)
			continue;
		listing.place = i;
		place_chain(i, "", chain);
		r = table_walk(table, chain, list_entry, &listing);
	}
	listing.label = label;
	for (size_t i = 0; i < listing.chains.len && r == 0; i++) {
		memcpy(chain, listing.chains.items[i].chain, sizeof(chain));
		begin_chain(&listing, table->id, chain, label);
		r = table_walk(table, chain, list_entry, &listing);
	}
	free(listing.chains.items);
	return r;
}

int iptables_list_locked(struct iptables *iptables, rule_vector *rules, struct error *error)
{
	return iptables_each_table(iptables, list_table, rules, error);
}

int iptables_list(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
		  struct error *error)
{
	struct iptables *iptables = (struct iptables *)firewall;
	CLEANUP(xtables_unlock) int lock = -1;
	int r;

	(void)wanted;
	/* Counters are incomplete between a commit and the putting back of the old ones. */
	r = xtables_lock(iptables, &lock, error);
	return r < 0 ? r : iptables_list_locked(iptables, rules, error);
}

bool rules_have_network(const rule_vector *rules)
{
	for (size_t i = 0; i < rules->len; i++) {
		if (rules->items[i].kind != RULE_FOREIGN &&
		    !(kind_of(rules->items[i].kind)->scope & (PLAN_BASE | PLAN_GUARD)))
			return true;
	}
	return false;
}

int iptables_present(struct firewall *firewall, struct error *error)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };
	/* no lock: somebody may hold it for long, or it can't be opened */
	int r = iptables_list_locked((struct iptables *)firewall, &rules, error);

	return r < 0 ? r : rules_have_network(&rules);
}

static int is_of_others(const struct table *table, const struct table_entry *entry, void *data)
{
	(void)table;
	(void)data;
	return strncmp(entry->target, "BRIDGENET", 9) != 0 && strncmp(entry->target, "BN-", 3) != 0;
}

static int table_in_use(const struct table *table, void *data)
{
	int r = 0;

	for (size_t i = 0; i < HOOK_COUNT && r == 0; i++)
		r = table_walk(table, table_hooks[i], is_of_others, data);
	return r;
}

int iptables_in_use(struct firewall *firewall, struct error *error)
{
	return iptables_each_table((struct iptables *)firewall, table_in_use, NULL, error);
}
