/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A change of the plan: the tables that it touches are read and edited first, so that what can fail
 * has failed before the first commit; then each is committed, in an order in which nothing is open
 * that should not be, wherever the process dies.
 */
#include "firewall/iptables/iptables.h"

#define ATTEMPTS 30 /* against programs that don't take the lock */

struct step {
	struct table table;
	struct edit edit;
	bool whole; /* the base stands in it, with the change */
	bool tried; /* to be committed */
};

struct change {
	struct iptables *iptables;
	struct firewall_change what;
	const rule_vector *base; /* NULL: it is not looked at */
	bool adds_more_than_ports;
	/* of two rounds, where things come and go */
	struct step steps[2 * TABLE_COUNT * FAMILY_COUNT];
	size_t len;
	struct error *error;
};

/* ---- one table ---- */

static void step_clear(struct step *step)
{
	free(step->edit.add.items);
	free(step->edit.remove.items);
	table_close(&step->table);
	*step = (struct step){ 0 };
}

/* The base of this table: whole, or to be added with the change. */
static int step_base(struct change *change, struct step *step)
{
	uint32_t flags = change->what.flags;
	CLEANUP_VECTOR item_vector base = { 0 };
	int r = 0;

	if (change->base)
		r = items_pick(&base, change->base->items, change->base->len, &step->table);
	if (r == 0 && (flags & FIREWALL_REPAIR || !(flags & (FIREWALL_BASE | FIREWALL_LEAVING))))
		r = items_pick(&base, change->what.stand, change->what.stand_len, &step->table);
	if (r == 0)
		r = base_check(&step->edit, &base);
	if (r == 0 && !(flags & FIREWALL_REPAIR))
		r = dispatch_check(&step->edit);

	/* with FIREWALL_LEAVING the base itself may be what is taken out */
	step->whole = r == 0 && change->base && !(flags & FIREWALL_LEAVING);
	return r == FIREWALL_BASE_MISSING && flags & FIREWALL_LEAVING ? 0 : r;
}

/* Read and edit, from the beginning. */
static int step_prepare(struct change *change, struct step *step, int family, enum table_id id)
{
	const struct iptables *iptables = change->iptables;
	struct edit *edit = &step->edit;
	int r;

	step_clear(step);
	r = table_open(&iptables->iptc[FAMILY_INDEX(family)], family, id, &step->table,
		       change->error);
	if (r < 0)
		return r;
	*edit = (struct edit){ .table = &step->table,
			       .flags = change->what.flags,
			       .comments = iptables->comments };
	r = items_pick(&edit->add, change->what.add, change->what.add_len, &step->table);
	if (r == 0)
		r = items_pick(&edit->remove, change->what.remove, change->what.remove_len,
			       &step->table);
	if (r == 0)
		r = step_base(change, step);
	if (r == -ENOMEM)
		return error_oom(change->error);
	return r < 0 ? r : edit_table(edit, change->error);
}

/* So that the next change need not read it again to know that the base stands. */
static void remember_table(struct iptables *iptables, const struct step *step)
{
	int family = step->table.family;
	struct known_table *known = &iptables->known[FAMILY_INDEX(family)][step->table.id];

	if (!step->whole || iptables_table_info(iptables, family, step->table.id, known) < 0)
		*known = (struct known_table){ 0 };
}

static int step_commit(struct change *change, struct step *step)
{
	int family = step->table.family, r = -EAGAIN;
	enum table_id id = step->table.id;

	for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++) {
		if (i > 0) {
			r = step_prepare(change, step, family, id);
			if (r < 0)
				return r;
		}
		step->tried = true;
		r = table_commit(&step->table);
	}
	if (r < 0)
		return iptables_commit_error(change->iptables, &step->table, r, change->error);
	remember_table(change->iptables, step);
	return 0;
}

/* ---- all of them ---- */

/* needed: none but those that only networks have which have the family. */
static bool has_rules(const struct rule *rules, size_t len, int family, enum table_id id,
		      bool needed)
{
	for (size_t i = 0; i < len; i++) {
		if (rules[i].family == family && rule_table(&rules[i]) == id &&
		    (!needed || kind_of(rules[i].kind)->families != FAMILIES_ALL))
			return true;
	}
	return false;
}

/* It must be read: the change is about it, or others may have changed it since the base stood. */
static bool is_concerned(const struct change *change, int family, enum table_id id)
{
	const struct known_table *known = &change->iptables->known[FAMILY_INDEX(family)][id];
	struct known_table now;

	if (has_rules(change->what.add, change->what.add_len, family, id, false) ||
	    has_rules(change->what.remove, change->what.remove_len, family, id, false))
		return true;
	/* the base has nothing in it */
	if (!has_rules(change->iptables->rules.items, change->iptables->rules.len, family, id,
		       false))
		return has_rules(change->what.stand, change->what.stand_len, family, id, false) ||
		       (change->what.flags & FIREWALL_REPAIR && iptables_table_exists(family, id));
	/* a network or an endpoint comes, which relies on all of the base */
	if (change->what.flags & FIREWALL_BASE || change->adds_more_than_ports)
		return true;
	if (change->what.flags & FIREWALL_LEAVING)
		return false;
	return iptables_table_info(change->iptables, family, id, &now) < 0 ||
	       now.entries != known->entries || now.size != known->size;
}

static int change_prepare_table(struct change *change, int family, enum table_id id)
{
	struct step *step = &change->steps[change->len];
	bool needed = has_rules(change->what.add, change->what.add_len, family, id, true);
	int r;

	if (change->iptables->fd[FAMILY_INDEX(family)] < 0 && needed)
		return error_set(change->error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
				 "the kernel has no legacy xtables for IPv6: load the module "
				 "ip6_tables, use nftables, or leave IPv6 out");
	if (change->iptables->fd[FAMILY_INDEX(family)] < 0 || !is_concerned(change, family, id))
		return 0;
	/* Nothing is changed until the last of them is read. */
	r = deadline_check(change->iptables->base.deadline);
	if (r < 0)
		return deadline_error(change->error, r, "before the xtables tables were read");
	r = step_prepare(change, step, family, id);
	/* A kernel may lack a table of IPv6 that no network needs. */
	if (r == -EOPNOTSUPP && family == AF_INET6 && !needed) {
		error_clear(change->error);
		step_clear(step);
		return 0;
	}
	change->len++;
	return r;
}

/* In the order of their commits. A mapping to an endpoint must not stand before the drops do. */
static int change_prepare(struct change *change)
{
	bool removes = !change->what.add_len && change->what.remove_len &&
		       !(change->what.flags & FIREWALL_REPAIR);
	int r = 0;

	for (int i = 0; i < TABLE_COUNT && r == 0; i++) {
		enum table_id id = (enum table_id)(removes ? TABLE_COUNT - 1 - i : i);

		for (int f = 0; f < FAMILY_COUNT && r == 0; f++)
			r = change_prepare_table(change, FAMILY_OF(f), id);
	}
	return r;
}

/* What the step did, the other way round: to take out what it put in, and to put in what it took
 * out, but nothing that stood before or was missing. */
static int reverse_of(const struct edit *edit, rule_vector *add, rule_vector *remove)
{
	int r = 0;

	for (size_t i = 0; i < edit->remove.len && r == 0; i++) {
		if (edit->remove.items[i].found)
			r = vector_append(add, *edit->remove.items[i].rule);
	}
	for (size_t i = 0; i < edit->add.len && r == 0; i++) {
		if (!edit->add.items[i].found && !edit->add.items[i].moved)
			r = vector_append(remove, *edit->add.items[i].rule);
	}
	return r;
}

/* Is there anything to commit? What was tried last may never have been done. */
static bool has_work(const struct edit *edit)
{
	for (size_t i = 0; i < edit->remove.len; i++) {
		if (edit->remove.items[i].found)
			return true;
	}
	for (size_t i = 0; i < edit->add.len; i++) {
		if (!edit->add.items[i].found)
			return true;
	}
	return false;
}

/* The lock is held, and what made the change fail is likely to be met elsewhere. */
static int step_undo(struct change *change, struct step *step)
{
	CLEANUP_VECTOR rule_vector add = { 0 };
	CLEANUP_VECTOR rule_vector remove = { 0 };
	struct error ignored = { 0 };
	struct change reverse = { .iptables = change->iptables, .error = &ignored };
	int r = reverse_of(&step->edit, &add, &remove);

	reverse.what = (struct firewall_change){ .add = add.items,
						 .add_len = add.len,
						 .remove = remove.items,
						 .remove_len = remove.len,
						 .flags = FIREWALL_MISSING_OK | FIREWALL_LEAVING };
	if (r == 0)
		r = step_prepare(&reverse, step, step->table.family, step->table.id);
	return r < 0 || !has_work(&step->edit) ? r : step_commit(&reverse, step);
}

/* One table has its part of the change, and another has not. */
static int half_done(struct change *change)
{
	struct error cause = { 0 };

	if (change->error)
		cause = *change->error;
	return error_set(
		change->error, OUTCOME_UNKNOWN, BN_REASON_UNKNOWN_OUTCOME,
		"%s; and what was changed in other tables before can't be taken back, which "
		"the next call tries again",
		cause.message[0] ? cause.message : "the rule base is missing");
}

/* What can be put right is, before what can't: drops, if a port is taken. */
static int change_repair(struct change *change)
{
	size_t tried = change->len;
	int prepared = change_prepare(change), r = 0;

	while (r == 0 && tried + (prepared < 0) < change->len)
		r = step_commit(change, &change->steps[tried++]);
	return prepared < 0 ? prepared : r;
}

/* Read, edit and commit; all that was committed before is undone on failure. */
static int change_apply(struct change *change)
{
	size_t committed = change->len;
	int r, undone = 0;

	if (change->what.flags & FIREWALL_REPAIR)
		return change_repair(change);
	r = change_prepare(change);
	while (r == 0 && committed < change->len) {
		r = step_commit(change, &change->steps[committed]);
		/* it may have failed when the table was replaced, but the counters were not */
		committed += r == 0 || change->steps[committed].tried;
	}
	while (r < 0 && committed > 0)
		undone |= step_undo(change, &change->steps[--committed]);
	return undone < 0 ? half_done(change) : r;
}

static void steps_clear(struct change *change)
{
	for (size_t i = 0; i < change->len; i++)
		step_clear(&change->steps[i]);
	change->len = 0;
}

/* Things come and go in one call: all that comes, and what has to make room for it in the table of
 * ports; then the rest of what goes. */
static int change_both(struct change *change)
{
	const struct rule *remove = change->what.remove;
	size_t len = change->what.remove_len;
	CLEANUP_VECTOR rule_vector first = { 0 };
	CLEANUP_VECTOR rule_vector rest = { 0 };
	int r;

	for (size_t i = 0; i < len; i++) {
		/* what a port's lists were is not to be mixed with what they are from now on */
		bool at_once = rule_table(&remove[i]) == TABLE_NAT ||
			       remove[i].match & RULE_ORIGINAL;
		rule_vector *to = at_once ? &first : &rest;

		if (vector_append(to, remove[i]) < 0)
			return error_oom(change->error);
	}
	change->what.remove = first.items;
	change->what.remove_len = first.len;
	r = change_apply(change);
	change->what.add_len = 0;
	change->what.remove = rest.items;
	change->what.remove_len = rest.len;
	change->what.flags &= ~(FIREWALL_BASE | FIREWALL_REPAIR);
	if (r == 0 && rest.len)
		r = change_apply(change);
	/* they point to the rules */
	steps_clear(change);
	return r;
}

int iptables_apply_locked(struct iptables *iptables, const struct firewall_change *change,
			  struct error *error)
{
	struct change work = {
		.iptables = iptables, .what = *change, .base = &iptables->rules, .error = error
	};
	bool both = change->add_len && change->remove_len;
	int r;

	if (change->flags & FIREWALL_REPAIR) {
		work.what.flags |= FIREWALL_BASE;
		both = change->remove_len;
	}
	for (size_t i = 0; i < change->add_len; i++)
		work.adds_more_than_ports |= kind_of(change->add[i].kind)->scope != PLAN_PORTS;
	r = both ? change_both(&work) : change_apply(&work);
	steps_clear(&work);
	return r;
}

int iptables_apply(struct firewall *firewall, const struct firewall_change *change,
		   struct error *error)
{
	struct iptables *iptables = (struct iptables *)firewall;
	CLEANUP(xtables_unlock) int lock = -1;
	int r;

	r = xtables_lock(iptables, &lock, error);
	return r < 0 ? r : iptables_apply_locked(iptables, change, error);
}
