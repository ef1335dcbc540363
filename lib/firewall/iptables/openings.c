/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The FORWARD chain of others, for networks whose own rules stand elsewhere: what it does with
 * their packets, and a chain of ours at its head that lets these pass. Where our rules stand in
 * these tables themselves an accept of theirs is final, and none is put before them.
 */
#include <stdio.h>

#include "base/fault.h"
#include "firewall/iptables/extension.h"
#include "firewall/iptables/kernel.h"

#define ATTEMPTS 30 /* against programs that don't take the lock */
#define STEPS_MAX 100000
#define DEPTH_MAX 16
#define HOOK "FORWARD"

bool iptables_may_stop(void)
{
	return iptables_table_exists(AF_INET, TABLE_FILTER) ||
	       iptables_table_exists(AF_INET6, TABLE_FILTER);
}

/* ---- what stops ---- */

struct judging {
	const struct table *table;
	const struct packet *packet;
	bool own_tables;
	bool may_pass, behind; /* behind: our own rules come after it */
	size_t steps;
	char *cause; /* BARRIER_TEXT */
};

static enum match match_name(const char *name, const char *wanted, const unsigned char *mask,
			     bool inverted)
{
	struct fact fact;
	enum match match;

	fact_interface(&fact, name);
	match = fact_match(&fact, wanted, mask, IFNAMSIZ);
	return inverted ? match_not(match) : match;
}

static enum match match_address(const struct packet *packet, const struct prefix *prefix,
				const uint8_t *address, const uint8_t *mask, bool inverted)
{
	struct fact fact;
	enum match match;

	fact_address(&fact, prefix, packet->family);
	match = fact_match(&fact, address, mask, addr_size(packet->family));
	return inverted ? match_not(match) : match;
}

static bool names_protocol(const struct table_entry *entry)
{
	const struct ipt_entry *ipv4 = entry->data;
	const struct ip6t_entry *ipv6 = entry->data;

	return entry->family == AF_INET ? ipv4->ip.proto || ipv4->ip.flags & IPT_F_FRAG :
					  ipv6->ipv6.flags & IP6T_F_PROTO && ipv6->ipv6.proto;
}

/* What entry_decode() has measured. */
static enum match match_entry(const struct table_entry *entry, const struct packet *packet)
{
	enum match match = names_protocol(entry) ? MATCH_NARROW : MATCH_YES;
	struct extension extension;
	struct entry_head head;
	size_t offset;

	entry_head(entry->family, (void *)entry->data, &head);
	match = match_both(match, match_name(packet->in, head.in, head.in_mask,
					     *head.inverted & IPT_INV_VIA_IN));
	match = match_both(match, match_name(packet->out, head.out, head.out_mask,
					     *head.inverted & IPT_INV_VIA_OUT));
	match = match_both(match, match_address(packet, packet->source, head.source,
						head.source_mask, *head.inverted & IPT_INV_SRCIP));
	match = match_both(match,
			   match_address(packet, packet->destination, head.destination,
					 head.destination_mask, *head.inverted & IPT_INV_DSTIP));
	for (offset = head.len; offset && offset < *head.target_offset;) {
		offset = extension_read(entry->data, offset, *head.target_offset, &extension);
		if (offset)
			match = match_both(match,
					   xtables_match(extension.name, extension.revision,
							 extension.data, extension.len, packet));
	}
	return match;
}

struct chain_entry {
	char target[CHAIN_NAME_MAX], text[ENTRY_TEXT_MAX];
	bool goes; /* and does not come back */
	enum match match;
};
typedef VECTOR(struct chain_entry) chain_entries;

struct collecting {
	const struct judging *judging;
	chain_entries entries;
};

/* A walk can't begin another: what matches is noted, and judged after it. */
static int collect(const struct table *table, const struct table_entry *entry, void *data)
{
	struct collecting *collecting = data;
	struct chain_entry noted = { .match = MATCH_NO };
	struct rule rule;

	(void)table;
	if (entry_decode(entry, &rule) < 0)
		return 0;
	noted.match = match_entry(entry, collecting->judging->packet);
	if (noted.match <= MATCH_NARROW)
		return 0;
	noted.goes = rule.target == TARGET_GOTO;
	string_copy(noted.target, sizeof(noted.target), entry->target);
	entry_text(entry, noted.text);
	return vector_append(&collecting->entries, noted);
}

static int judge_chain(struct judging *judging, const char *chain, unsigned int depth,
		       enum fate *ret_fate);

/* FATE_UNKNOWN: on to the next. */
static int judge_entry(struct judging *judging, const char *chain, const struct chain_entry *entry,
		       unsigned int depth, enum fate *ret_fate)
{
	const char *target = entry->target;
	enum fate fate = FATE_UNKNOWN;
	int r = 0;

	*ret_fate = FATE_UNKNOWN;
	/* elsewhere it is of another state, or just about to go */
	if (strcmp(target, places[PLACE_OWN_FORWARD].name) == 0)
		fate = judging->own_tables ? FATE_PASSES : FATE_UNKNOWN;
	else if (strcmp(target, "ACCEPT") == 0)
		fate = FATE_PASSES;
	else if (strcmp(target, "DROP") == 0 || strcmp(target, "REJECT") == 0)
		fate = FATE_STOPS;
	else if (strcmp(target, "QUEUE") == 0 || strcmp(target, "NFQUEUE") == 0)
		fate = FATE_MAY_PASS;
	else if (strcmp(target, "RETURN") == 0)
		fate = FATE_GOES_ON;
	else if (table_has_chain(judging->table, target))
		r = judge_chain(judging, target, depth + 1, &fate);
	if (r < 0 || fate == FATE_UNKNOWN ||
	    (fate == FATE_GOES_ON && !entry->goes && strcmp(target, "RETURN") != 0))
		return r;
	if (entry->match != MATCH_YES || fate == FATE_MAY_PASS) {
		judging->may_pass |= fate != FATE_STOPS;
		return 0;
	}
	if (fate == FATE_STOPS && !judging->cause[0])
		snprintf(judging->cause, BARRIER_TEXT, "the rule of chain %s: %.300s", chain,
			 entry->text);
	*ret_fate = fate;
	return 0;
}

static int judge_chain(struct judging *judging, const char *chain, unsigned int depth,
		       enum fate *ret_fate)
{
	struct collecting collecting = { .judging = judging };
	int r = 0;

	*ret_fate = FATE_MAY_PASS;
	if (depth > DEPTH_MAX || judging->steps > STEPS_MAX)
		return 0;
	r = table_walk(judging->table, chain, collect, &collecting);
	*ret_fate = FATE_UNKNOWN;
	for (size_t i = 0; i < collecting.entries.len && r == 0 && *ret_fate == FATE_UNKNOWN; i++) {
		judging->steps++;
		r = judge_entry(judging, chain, &collecting.entries.items[i], depth, ret_fate);
	}
	free(collecting.entries.items);
	if (*ret_fate == FATE_UNKNOWN)
		*ret_fate = FATE_GOES_ON;
	return r;
}

static int judge(const struct table *table, const struct passage *passage,
		 const struct subnet *subnet, enum passing passing, struct barrier *barrier)
{
	struct xt_counters counters;
	const char *policy = table->iptc->get_policy(HOOK, &counters, table->handle);
	struct packet packet;
	char cause[BARRIER_TEXT] = "";
	struct judging judging = {
		.table = table, .packet = &packet, .own_tables = passage->own_tables, .cause = cause
	};
	enum fate fate;
	int r;

	if (!passage_packet(passage, subnet, passing, &packet))
		return 0;
	r = judge_chain(&judging, HOOK, 0, &fate);
	if (fate == FATE_GOES_ON && policy && strcmp(policy, "DROP") == 0) {
		fate = FATE_STOPS;
		snprintf(cause, sizeof(cause), "its policy is DROP");
	}
	if (r < 0 || fate != FATE_STOPS)
		return r;
	barrier_note(barrier, passage, subnet, passing, cause);
	barrier->may_pass |= judging.may_pass;
	return 0;
}

static int judge_all(const struct table *table, const struct passage *passage,
		     struct barrier *barrier)
{
	int r = 0;

	for_each_subnet(subnet, passage->network, table->family) {
		for (enum passing i = 0; i < PASSING_COUNT && r == 0; i++)
			r = judge(table, passage, subnet, i, barrier);
	}
	return r;
}

static enum keeper keeper_of(const struct table *table)
{
	enum keeper keeper = KEEPER_NONE;

	for (const char *chain = table_first_chain(table); chain && keeper == KEEPER_NONE;
	     chain = table_next_chain(table))
		keeper = keeper_by_chain(chain);
	return keeper;
}

struct search {
	const struct passage *passages;
	size_t len;
	barrier_vector *barriers;
};

static int look_at_table(const struct table *table, const struct search *search)
{
	bool ipv4 = table->family == AF_INET;
	enum keeper keeper = keeper_of(table);
	int r = 0;

	for (size_t i = 0; i < search->len && r == 0; i++) {
		const struct passage *passage = &search->passages[i];
		struct barrier barrier = { .passage = i,
					   .family = ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6,
					   .is_ours_in = passage->own_tables,
					   .keeper = keeper,
					   .chain = HOOK };

		if (network_passes(passage->network, table->family))
			r = judge_all(table, passage, &barrier);
		if (r < 0 || !barrier.stops)
			continue;
		snprintf(barrier.object, sizeof(barrier.object),
			 "chain " HOOK " of the iptables-legacy table filter (%s)",
			 ipv4 ? "IPv4" : "IPv6");
		barrier_set_remedy(&barrier, passage->network->bridge,
				   ipv4 ? "iptables-legacy" : "ip6tables-legacy");
		r = vector_append(search->barriers, barrier);
	}
	return r;
}

static int look_at_filter(const struct table *table, void *search)
{
	return table->id == TABLE_FILTER ? look_at_table(table, search) : 0;
}

int iptables_find_barriers(struct firewall *firewall, const struct passage *passages, size_t len,
			   barrier_vector *barriers, struct error *error)
{
	struct search search = { passages, len, barriers };

	return iptables_each_table((struct iptables *)firewall, look_at_filter, &search, error);
}

/* ---- what is there ---- */

static bool read_opening(const struct table_entry *entry, struct opening *ret_opening)
{
	struct rule rule;
	bool from;

	if (entry_decode(entry, &rule) != 0 || rule.target != TARGET_ACCEPT || rule.in_not ||
	    rule.out_not || rule.match || rule.protocol || rule.source.addr.family ||
	    rule.destination.addr.family || !rule.in[0] == !rule.out[0])
		return false;
	from = rule.in[0];
	*ret_opening =
		(struct opening){ .from = from,
				  .family = entry->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6,
				  .chain = HOOK,
				  .packets = rule.packets,
				  .bytes = rule.bytes };
	memcpy(ret_opening->bridge, from ? rule.in : rule.out, IFNAMSIZ);
	snprintf(ret_opening->object, sizeof(ret_opening->object),
		 "chain " HOOK " of the iptables-legacy table filter (%s)",
		 entry->family == AF_INET ? "IPv4" : "IPv6");
	return true;
}

static int note_opening(const struct table *table, const struct table_entry *entry, void *openings)
{
	struct opening opening;

	(void)table;
	return read_opening(entry, &opening) ? vector_append((opening_vector *)openings, opening) :
					       0;
}

static int find_in_table(const struct table *table, void *openings)
{
	return table->id == TABLE_FILTER ?
		       table_walk(table, COEXIST_CHAIN, note_opening, openings) :
		       0;
}

int iptables_find_openings(struct firewall *firewall, opening_vector *openings, struct error *error)
{
	return iptables_each_table((struct iptables *)firewall, find_in_table, openings, error);
}

/* ---- putting in and taking out ---- */

struct own_entries {
	const char *bridge;
	VECTOR(unsigned int) indexes;
};

static int note_own(const struct table *table, const struct table_entry *entry, void *data)
{
	struct own_entries *own = data;
	struct opening opening;

	(void)table;
	return read_opening(entry, &opening) && strcmp(opening.bridge, own->bridge) == 0 ?
		       vector_append(&own->indexes, entry->index) :
		       0;
}

static int take_out(struct table *table, const char *bridge)
{
	struct own_entries own = { .bridge = bridge };
	int r;

	if (!table_has_chain(table, COEXIST_CHAIN))
		return 0;
	r = table_walk(table, COEXIST_CHAIN, note_own, &own);
	for (size_t i = own.indexes.len; i > 0 && r == 0; i--)
		r = table_delete(table, COEXIST_CHAIN, own.indexes.items[i - 1]);
	free(own.indexes.items);
	if (r < 0 || !table_chain_is_empty(table, COEXIST_CHAIN))
		return r;
	r = table_delete_jumps(table, HOOK, COEXIST_CHAIN);
	return r < 0 ? r : table_drop_chain(table, COEXIST_CHAIN);
}

static int put_rule(struct table *table, const char *bridge, bool from)
{
	struct rule rule = { .family = table->family, .target = TARGET_ACCEPT };
	struct entry entry;

	string_copy(from ? rule.in : rule.out, IFNAMSIZ, bridge);
	entry_encode(&rule, "", 0, &entry);
	return table_insert(table, COEXIST_CHAIN, TABLE_END, &entry);
}

static int put_jump(struct table *table)
{
	struct rule rule = { .family = table->family, .target = TARGET_JUMP };
	struct entry entry;
	int r = table_delete_jumps(table, HOOK, COEXIST_CHAIN);

	entry_encode(&rule, COEXIST_CHAIN, 0, &entry);
	return r < 0 ? r : table_insert(table, HOOK, 0, &entry);
}

static bool is_barred(const barrier_vector *barriers, int family)
{
	for (size_t i = 0; barriers && i < barriers->len; i++)
		if (barriers->items[i].family == (family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6))
			return true;
	return false;
}

static int edit(struct table *table, const char *bridge, bool puts)
{
	int r = take_out(table, bridge);

	if (r < 0 || !puts)
		return r;
	r = table_create_chain(table, COEXIST_CHAIN);
	if (r == 0)
		r = put_rule(table, bridge, true);
	if (r == 0)
		r = put_rule(table, bridge, false);
	return r < 0 ? r : put_jump(table);
}

static int set_in_family(struct iptables *iptables, int family, const char *bridge, bool puts,
			 struct error *error)
{
	struct table table;
	int r = -EAGAIN;

	for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++) {
		r = deadline_check(iptables->base.deadline);
		if (r < 0)
			return deadline_error(error, r, "before the xtables tables were read");
		r = table_open(&iptables->iptc[FAMILY_INDEX(family)], family, TABLE_FILTER, &table,
			       error);
		if (r < 0)
			return r;
		r = edit(&table, bridge, puts);
		if (r == 0 && table.changed)
			r = FAULT("iptables.openings");
		if (r == 0 && table.changed)
			r = table_commit(&table);
		if (r < 0 && r != -EAGAIN)
			r = iptables_commit_error(iptables, &table, r, error);
		table_close(&table);
	}
	if (r == -EAGAIN)
		r = error_set(error, r, BN_REASON_KERNEL,
			      "table filter kept changing while it was written, by a program that "
			      "does not take the xtables lock; try again");
	return r;
}

/* Nothing to take out is seen without the lock, which somebody may hold. */
static int has_any(struct iptables *iptables, const char *bridge, struct error *error)
{
	CLEANUP_VECTOR opening_vector openings = { 0 };
	int r = iptables_find_openings(&iptables->base, &openings, error);

	for (size_t i = 0; i < openings.len && r == 0; i++)
		if (strcmp(openings.items[i].bridge, bridge) == 0)
			return 1;
	return r;
}

int iptables_set_openings(struct firewall *firewall, const char *owner, const char *bridge,
			  const barrier_vector *barriers, struct error *error)
{
	struct iptables *iptables = (struct iptables *)firewall;
	CLEANUP(xtables_unlock) int lock = -1;
	int r = barriers ? (int)barriers->len : has_any(iptables, bridge, error);

	(void)owner;
	if (r <= 0)
		return r;
	r = xtables_lock(iptables, &lock, error);
	for_each_family(family) {
		bool puts = is_barred(barriers, family);

		if (r < 0 || iptables->fd[FAMILY_INDEX(family)] < 0 || (barriers && !puts) ||
		    !iptables_table_exists(family, TABLE_FILTER))
			continue;
		r = set_in_family(iptables, family, bridge, puts, error);
	}
	return r;
}
