/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules of others, as far as they bear upon ours: those that let past ours what ours decide about,
 * and those that translate or drop it first. Of what an entry matches only interfaces, states,
 * addresses and ports are looked at; whatever else it says narrows it, which is not counted on.
 */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firewall/iptables/iptables.h"
#include "model/port.h"

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(name, *names) != 0)
		names++;
	return *names;
}

static bool is_drop(const struct table_entry *entry)
{
	static const char *const drops[] = { "DROP", "REJECT", NULL };

	return is_one_of(entry->target, drops);
}

/* ---- is it about what ours are about? ---- */

/* An interface that a rule names, which is none of a network that is to be there. */
static bool is_other_device(const struct edit *edit, const char *name, bool negated, bool prefix)
{
	size_t len = prefix ? strlen(name) : IFNAMSIZ;

	if (!name[0] || negated)
		return false;
	for (size_t i = 0; i < edit->add.len; i++) {
		const struct rule *rule = edit->add.items[i].rule;

		if (!(kind_of(rule->kind)->scope & PLAN_NETWORKS))
			continue;
		if (strncmp(rule->in, name, len) == 0 || strncmp(rule->out, name, len) == 0)
			return false;
	}
	return true;
}

static bool has_guard(const struct edit *edit)
{
	for (size_t i = 0; i < edit->add.len; i++)
		if (edit->add.items[i].rule->kind == RULE_GUARD_JUMP)
			return true;
	return false;
}

/* Could what it matches be what our rules of that place decide about? In chains of our own all
 * could. */
static bool concerns(const struct edit *edit, enum place place, const struct table_entry *entry)
{
	struct rule rule;
	bool prefix = entry_decode(entry, &rule) == DECODED_PREFIX, in, out;

	/* what was let through before */
	if (rule.match & RULE_STATE_ESTABLISHED)
		return false;
	if (places[place].type != PLACE_BUILTIN)
		return true;
	if (place == PLACE_RAW_PREROUTING || place == PLACE_MANGLE_PREROUTING)
		return strcmp(rule.in, LOOPBACK_DEVICE) != 0 || rule.in_not || prefix;
	in = is_other_device(edit, rule.in, rule.in_not, prefix);
	if (place == PLACE_INPUT)
		return !in;
	out = is_other_device(edit, rule.out, rule.out_not, prefix);
	return !in || !out || has_guard(edit);
}

/* ---- what lets past ---- */

struct past_search {
	const struct edit *edit;
	enum place place;
	bool nested;        /* in a chain that others lead to */
	item_vector chains; /* that are led to, from `flat` */
	unsigned int index;
};

static int find_past(const struct table *table, const struct table_entry *entry, void *data)
{
	static const char *const verdicts[] = { "ACCEPT", "QUEUE", "NFQUEUE", NULL };
	struct past_search *search = data;
	struct rule rule = { 0 };
	int decoded;

	if (is_own_chain(entry->target) || is_drop(entry))
		return 0;
	if (!search->nested) {
		decoded = place_read(search->place, entry, &rule);
		if (decoded == 0 && rule.kind != RULE_FOREIGN)
			return 0;
	}
	if (is_one_of(entry->target, verdicts) ||
	    (strcmp(entry->target, "RETURN") == 0 && !search->nested)) {
		search->index = entry->index;
		return concerns(search->edit, search->place, entry);
	}
	if (!table_has_chain(table, entry->target) || !concerns(search->edit, search->place, entry))
		return 0;
	/* who goes there does not come back to us */
	if (entry_decode(entry, &rule) >= 0 && rule.target == TARGET_GOTO && !search->nested) {
		search->index = entry->index;
		return 1;
	}
	if (chain_note(&search->chains, entry->target, search->nested) < 0)
		return -ENOMEM;
	search->chains.items[search->chains.len - 1].flat = entry->index;
	return 0;
}

/* 1 if a chain of others lets past, or one that it leads to. */
static int chain_lets_past(const struct past_search *from, const char *chain)
{
	struct past_search search = { .edit = from->edit, .place = from->place, .nested = true };
	int r = chain_note(&search.chains, chain, false);

	for (size_t i = 0; i < search.chains.len && r == 0; i++)
		r = table_walk(search.edit->table, search.chains.items[i].chain, find_past,
			       &search);
	free(search.chains.items);
	return r;
}

int foreign_first_past(const struct edit *edit, enum place place, const char *chain,
		       unsigned int *ret_index)
{
	struct past_search search = { .edit = edit, .place = place, .index = TABLE_END };
	int found, r = 0;

	*ret_index = TABLE_END;
	/* in nat others know better, and the administrator's chain is theirs */
	if (edit->table->id == TABLE_NAT || place == PLACE_USER)
		return 0;
	found = table_walk(edit->table, chain, find_past, &search);
	if (found > 0)
		*ret_index = search.index;
	for (size_t i = 0; i < search.chains.len && r == 0 && found >= 0; i++) {
		r = chain_lets_past(&search, search.chains.items[i].chain);
		if (r > 0)
			*ret_index = (unsigned int)search.chains.items[i].flat;
	}
	free(search.chains.items);
	return found < 0 ? found : r < 0 ? r : 0;
}

/* ---- in chains of ours ---- */

int foreign_note(const struct edit *edit, enum place place, const struct table_entry *entry,
		 const struct item *item, struct foreign_notes *notes)
{
	bool builtin = places[place].type == PLACE_BUILTIN;
	char text[ENTRY_TEXT_MAX];
	struct finding finding = { .code = FINDING_RULE_ALIEN,
				   .is = text,
				   .should_be = "rules of ours alone" };

	if (!edit->findings || place == PLACE_USER || strcmp(entry->target, COEXIST_CHAIN) == 0 ||
	    (builtin && !is_own_chain(entry->target)))
		return 0;
	entry_text(entry, text);
	/* what leads from elsewhere into chains of ours lets nothing in that ours don't */
	if (builtin) {
		finding.severity = BN_SEVERITY_NOTE;
		finding.should_be = "what leads there as it was made";
		return edit_report(edit, &finding, item->chain);
	}
	finding.network = item->rule->network;
	if (edit->table->id == TABLE_NAT || is_drop(entry))
		finding.severity = BN_SEVERITY_BROKEN;
	if (vector_append(&notes->indexes, entry->index) < 0)
		return -ENOMEM;
	return edit_report(edit, &finding, item->chain);
}

/* What stands behind ours changes nothing. */
void foreign_notes_end(const struct edit *edit, struct foreign_notes *notes)
{
	finding_vector *findings = edit->findings;

	for (size_t i = 0; i < notes->indexes.len; i++) {
		struct finding *finding = &findings->items[findings->len - notes->indexes.len + i];

		if (notes->indexes.items[i] > notes->last_of_ours)
			finding->severity = BN_SEVERITY_NOTE;
	}
	notes->indexes.len = 0;
	notes->last_of_ours = 0;
}

/* ---- before ours ---- */

/* A chain, and what all that gets there matches, as far as it is known. */
struct way {
	char chain[CHAIN_NAME_MAX];
	struct rule limits;
};

struct shadow_search {
	const struct edit *edit;
	const char *hook;
	const struct way *way;
	bool nested;
	VECTOR(struct way) ways;
};

/* Is it an address of this host? */
static bool is_local(const struct addr *addr)
{
	CLEANUP_CLOSE int fd = socket(addr->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in ipv4 = { .sin_family = AF_INET };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

	memcpy(&ipv4.sin_addr, addr->bytes, sizeof(ipv4.sin_addr));
	memcpy(&ipv6.sin6_addr, addr->bytes, sizeof(ipv6.sin6_addr));
	if (addr->family == AF_INET)
		return bind(fd, (const struct sockaddr *)&ipv4, sizeof(ipv4)) == 0;
	return bind(fd, (const struct sockaddr *)&ipv6, sizeof(ipv6)) == 0;
}

static bool addresses_meet(const struct prefix *theirs, const struct prefix *ours, int *local)
{
	if (!theirs->addr.family)
		return true;
	if (ours->addr.family)
		return prefix_overlaps(theirs, ours);
	if (*local < 0)
		*local = theirs->len == addr_size(theirs->addr.family) * 8 &&
			 is_local(&theirs->addr);
	return *local;
}

/* The first published port that it takes packets of. */
static const struct rule *find_shadowed(const struct edit *edit, const struct rule *limits)
{
	int local = -1; /* asked once for all of them */

	for (size_t i = 0; i < edit->add.len; i++) {
		const struct rule *rule = edit->add.items[i].rule;

		if (rule->target != TARGET_DNAT ||
		    (limits->protocol && limits->protocol != rule->protocol))
			continue;
		if (limits->count && (rule->host_port >= limits->host_port + limits->count ||
				      limits->host_port >= rule->host_port + rule->count))
			continue;
		if (addresses_meet(&limits->destination, &rule->destination, &local))
			return rule;
	}
	return NULL;
}

/* Of the way and of the entry; false for what says more than is understood, and no port. */
static bool narrow(const struct shadow_search *search, const struct table_entry *entry,
		   struct rule *limits)
{
	struct rule rule;
	int decoded = entry_decode(entry, &rule);

	*limits = (struct rule){ 0 };
	if (search->way)
		*limits = search->way->limits;
	if (rule.protocol)
		limits->protocol = rule.protocol;
	if (rule.count) {
		limits->host_port = rule.host_port;
		limits->count = rule.count;
	}
	if (rule.destination.addr.family && !rule.destination_not)
		limits->destination = rule.destination;
	return decoded >= 0 && (decoded == 0 || limits->count);
}

static int note_way(struct shadow_search *search, const char *chain, const struct rule *limits)
{
	struct way way = { .limits = *limits };

	for (size_t i = 0; i < search->ways.len; i++)
		if (strcmp(search->ways.items[i].chain, chain) == 0)
			return 0;
	string_copy(way.chain, sizeof(way.chain), chain);
	return vector_append(&search->ways, way);
}

static int report_shadow(const struct shadow_search *search, const struct table_entry *entry,
			 const struct rule *rule)
{
	char text[ENTRY_TEXT_MAX];
	const struct finding finding = { .code = FINDING_RULE_SHADOWS,
					 .network = rule->network,
					 .endpoint = rule->endpoint,
					 .is = text };

	entry_text(entry, text);
	return edit_report(search->edit, &finding, search->way ? search->way->chain : search->hook);
}

#define OURS_FOUND 1

static int find_shadow(const struct table *table, const struct table_entry *entry, void *data)
{
	static const char *const takers[] = { "DNAT", "REDIRECT", "ACCEPT", "NETMAP", NULL };
	struct shadow_search *search = data;
	const struct rule *shadowed;
	struct rule limits;
	bool takes;

	if (strcmp(entry->target, places[PLACE_PORTS].name) == 0)
		return OURS_FOUND;
	takes = is_one_of(entry->target, takers) ||
		(strcmp(entry->target, "RETURN") == 0 && !search->nested);
	if (is_own_chain(entry->target) || (!takes && !table_has_chain(table, entry->target)))
		return 0;
	if (!narrow(search, entry, &limits) && takes)
		return 0;
	shadowed = find_shadowed(search->edit, &limits);
	if (!shadowed)
		return 0;
	return takes ? report_shadow(search, entry, shadowed) :
		       note_way(search, entry->target, &limits);
}

static int look_at_nat(const struct edit *edit, const char *hook)
{
	struct shadow_search search = { .edit = edit, .hook = hook };
	int r = table_walk(edit->table, hook, find_shadow, &search);

	search.nested = true;
	for (size_t i = 0; i < search.ways.len && r >= 0; i++) {
		const struct way way = search.ways.items[i];

		search.way = &way;
		r = table_walk(edit->table, way.chain, find_shadow, &search);
	}
	free(search.ways.items);
	return r < 0 ? r : 0;
}

/* That others keep something out is theirs to say; but who looks for why should see it. */
static int find_drop(const struct table *table, const struct table_entry *entry, void *data)
{
	const struct edit *edit = data;
	char text[ENTRY_TEXT_MAX];
	const struct finding finding = { .code = FINDING_RULE_SHADOWS,
					 .severity = BN_SEVERITY_NOTE,
					 .is = text };
	struct rule rule;
	int decoded = entry_decode(entry, &rule);

	(void)table;
	if (strcmp(entry->target, places[PLACE_OWN_FORWARD].name) == 0)
		return OURS_FOUND;
	if (!is_drop(entry) || !concerns(edit, PLACE_FORWARD, entry) ||
	    is_other_device(edit, rule.out, rule.out_not, decoded == DECODED_PREFIX))
		return 0;
	entry_text(entry, text);
	return edit_report(edit, &finding, places[PLACE_FORWARD].name);
}

int foreign_look(const struct edit *edit)
{
	int r = 0;

	if (edit->table->id == TABLE_FILTER)
		r = table_walk(edit->table, places[PLACE_FORWARD].name, find_drop, (void *)edit);
	if (edit->table->id != TABLE_NAT)
		return r < 0 ? r : 0;
	r = look_at_nat(edit, places[PLACE_NAT_PREROUTING].name);
	return r < 0 ? r : look_at_nat(edit, places[PLACE_NAT_OUTPUT].name);
}
