/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/rule.h"

#include <stdio.h>

/* NULL: there is none of that family, so it says nothing. */
const struct prefix *kind_fixed(const struct kind_address_match *match, int family)
{
	if (match->is != ADDRESS_FIXED)
		return NULL;
	if (match->fixed.addr.family == family)
		return &match->fixed;
	return match->other.addr.family == family && family ? &match->other : NULL;
}

static void fill_fixed(const struct kind_address_match *match, int family,
		       struct prefix *ret_prefix, bool *ret_negated)
{
	const struct prefix *fixed = kind_fixed(match, family);

	if (fixed)
		*ret_prefix = *fixed;
	if (!fixed && match->is == ADDRESS_FIXED)
		*ret_negated = false;
}

void rule_init(struct rule *rule, const struct kind *kind, int family)
{
	*rule = (struct rule){
		.kind = kind->kind,
		.family = family,
		.chain = kind->chain,
		.target = kind->target,
		.jump = kind->jump,
		.match = kind->match,
		.in_not = kind->in.negated,
		.out_not = kind->out.negated,
		.source_not = kind->source.negated,
		.destination_not = kind->destination.negated,
		.random_ports = kind->random_ports,
		.reason = kind->reason,
		.protocol = kind->protocol,
	};
	if (kind->in.is == DEVICE_LOOPBACK)
		string_copy(rule->in, sizeof(rule->in), LOOPBACK_DEVICE);
	if (kind->out.is == DEVICE_LOOPBACK)
		string_copy(rule->out, sizeof(rule->out), LOOPBACK_DEVICE);
	fill_fixed(&kind->source, family, &rule->source, &rule->source_not);
	fill_fixed(&kind->destination, family, &rule->destination, &rule->destination_not);
}

static bool device_fits(enum kind_device is, uint32_t traits, const char *name)
{
	switch (is) {
	case DEVICE_ANY:
		return !name[0];
	case DEVICE_LOOPBACK:
		return strcmp(name, LOOPBACK_DEVICE) == 0;
	case DEVICE_BRIDGE:
	case DEVICE_EACH:
	case DEVICE_OTHER_BRIDGE:
	case DEVICE_PORT:
	case DEVICE_ENDPOINT:
		return name[0];
	case DEVICE_BRIDGE_IF_KNOWN:
		return !name[0] == !(traits & PLAN_POSTROUTING_IN);
	}
	return false;
}

static bool address_fits(const struct kind_address_match *match, int family, uint32_t traits,
			 const struct prefix *prefix, bool negated)
{
	const struct prefix *fixed = kind_fixed(match, family);
	bool set = addr_is_set(&prefix->addr);

	if (match->is == ADDRESS_FIXED && !fixed)
		return !set && !negated;
	if (negated != match->negated)
		return false;
	switch (match->is) {
	case ADDRESS_ANY:
		return !set;
	case ADDRESS_FIXED:
		return prefix_compare(fixed, prefix) == 0;
	case ADDRESS_SUBNET:
	case ADDRESS_SUBNET_OR_HOST:
	case ADDRESS_ENDPOINT:
	case ADDRESS_ALLOWED:
	case ADDRESS_DENIED:
	case ADDRESS_EACH:
		return set;
	case ADDRESS_SUBNET_FOR_DEVICE:
		return set || traits & PLAN_POSTROUTING_IN;
	case ADDRESS_SUBNET_IF_ADOPTED:
	case ADDRESS_HOST:
		return true;
	}
	return false;
}

bool rule_fits(const struct rule *rule, const struct kind *kind, uint32_t traits)
{
	return rule->target == kind->target && rule->match == kind->match &&
	       rule->reason == kind->reason && rule->random_ports == kind->random_ports &&
	       rule->in_not == kind->in.negated && rule->out_not == kind->out.negated &&
	       !rule->host_port == !(kind->host_ports || kind->container_ports) &&
	       (rule->host_port || rule->protocol == kind->protocol) &&
	       mac_is_set(rule->mac) == kind->mac && !rule->connections == !kind->connections &&
	       device_fits(kind->in.is, traits, rule->in) &&
	       device_fits(kind->out.is, traits, rule->out) &&
	       address_fits(&kind->source, rule->family, traits, &rule->source, rule->source_not) &&
	       address_fits(&kind->destination, rule->family, traits, &rule->destination,
			    rule->destination_not);
}

void rules_clear(rule_vector *rules)
{
	for (size_t i = 0; i < rules->len; i++)
		free(rules->items[i].foreign);
	free(rules->items);
	*rules = (rule_vector){ 0 };
}

/* Less, equal, greater as -1, 0, 1, for any two integers of one type. */
#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_place(const struct rule *a, const struct rule *b)
{
	int order = COMPARE(a->chain, b->chain);

	if (!order)
		order = COMPARE(a->kind, b->kind);
	return order ? order : COMPARE(a->family, b->family);
}

static int compare_owner(const struct rule *a, const struct rule *b)
{
	int order = strcmp(a->network, b->network);

	return order ? order : strcmp(a->endpoint, b->endpoint);
}

/* What it matches and does, in the order that a reader of a listing looks for. */
static int compare_rest(const struct rule *a, const struct rule *b)
{
	int order;

	if ((order = COMPARE(a->protocol, b->protocol)) ||
	    (order = prefix_compare(&a->destination, &b->destination)) ||
	    (order = COMPARE(a->host_port, b->host_port)) ||
	    (order = COMPARE(a->count, b->count)) || (order = COMPARE(a->target, b->target)) ||
	    (order = strcmp(a->in, b->in)) || (order = COMPARE(a->in_not, b->in_not)) ||
	    (order = strcmp(a->out, b->out)) || (order = COMPARE(a->out_not, b->out_not)) ||
	    (order = memcmp(a->mac, b->mac, sizeof(a->mac))) ||
	    (order = prefix_compare(&a->source, &b->source)) ||
	    (order = COMPARE(a->source_not, b->source_not)) ||
	    (order = COMPARE(a->destination_not, b->destination_not)) ||
	    (order = COMPARE(a->match, b->match)) ||
	    (order = COMPARE(a->random_ports, b->random_ports)) ||
	    (order = COMPARE(a->connections, b->connections)) ||
	    (order = COMPARE(a->reason, b->reason)) ||
	    (order = strcmp(a->logged_as, b->logged_as)) ||
	    (order = addr_compare(&a->to, &b->to)) || (order = COMPARE(a->to_port, b->to_port)))
		return order;
	if (rule_leads_on(a) && (order = COMPARE(a->jump, b->jump)))
		return order;
	return strcmp(a->foreign ? a->foreign : "", b->foreign ? b->foreign : "");
}

int rule_compare(const struct rule *a, const struct rule *b)
{
	int order = compare_place(a, b);

	if (!order)
		order = compare_owner(a, b);
	return order ? order : compare_rest(a, b);
}

int rule_compare_unowned(const struct rule *a, const struct rule *b)
{
	int order = compare_place(a, b);

	return order ? order : compare_rest(a, b);
}

/* What others put in one chain stays in the order in which the kernel runs through it. */
static int compare_pointers(const void *left, const void *right)
{
	const struct rule *a = *(const struct rule *const *)left;
	const struct rule *b = *(const struct rule *const *)right;
	int order = 0;

	if (a->kind != RULE_FOREIGN || b->kind != RULE_FOREIGN || a->chain != b->chain)
		order = rule_compare(a, b);
	return order ? order : COMPARE(a, b);
}

static int compare_rules(const void *left, const void *right)
{
	return rule_compare(left, right);
}

/* What decides nearly every comparison, in two words that need no look at the rules themselves. */
#define KEY_WORDS 2
struct sort_key {
	/* destination, host port; chain, kind, family, owner, protocol */
	uint64_t words[KEY_WORDS];
	const struct rule *rule;
};

static int compare_keys(const void *left, const void *right)
{
	const struct sort_key *a = left, *b = right;

	return compare_pointers(&a->rule, &b->rule);
}

/* An owner, by one of its rules, and its place among the owners. */
struct owner {
	const struct rule *rule;
	uint32_t rank;
};

static int compare_owners(const void *left, const void *right)
{
	return compare_owner((*(struct owner *const *)left)->rule,
			     (*(struct owner *const *)right)->rule);
}

/* The slot of the rule's owner in a table of a power of two, more than there are owners. */
static struct owner *owner_slot(struct owner *table, size_t size, const struct rule *rule)
{
	uint64_t i = hash_text(hash_text(HASH_START, rule->network), rule->endpoint);
	struct owner *slot;

	for (;; i++) {
		slot = &table[i & (size - 1)];
		if (!slot->rule || compare_owner(slot->rule, rule) == 0)
			return slot;
	}
}

/* Give each owner its place in the order of names, and each rule, by slots[], its owner. `owners`
 * has room for all. Neighbours mostly belong to the same. */
static void owners_rank(const rule_vector *rules, struct owner *table, size_t size,
			struct owner **owners, struct owner **slots)
{
	struct owner *slot = NULL;
	size_t len = 0;

	for (size_t i = 0; i < rules->len; i++) {
		const struct rule *rule = &rules->items[i];

		if (!slot || compare_owner(slot->rule, rule) != 0)
			slot = owner_slot(table, size, rule);
		slots[i] = slot;
		if (slot->rule)
			continue;
		slot->rule = rule;
		owners[len++] = slot;
	}
	qsort(owners, len, sizeof(*owners), compare_owners);
	for (size_t i = 0; i < len; i++)
		owners[i]->rank = (uint32_t)i;
}

_Static_assert(CHAIN_COUNT <= 1 << 5 && RULE_KIND_COUNT <= 1 << 8, "a key has room for them");

static struct sort_key sort_key(const struct rule *rule, uint32_t owner)
{
	const struct addr *addr = &rule->destination.addr;
	uint64_t place = (uint64_t)rule->chain << 59 | (uint64_t)rule->kind << 51, port;

	if (rule->kind == RULE_FOREIGN)
		return (struct sort_key){ { 0, place }, rule };
	place |= (uint64_t)rule->family << 43 | (uint64_t)owner << 8 | rule->protocol;
	port = (uint64_t)addr->family << 60;
	for (size_t i = 0; i < 4 && addr_is_set(addr); i++)
		port |= (uint64_t)addr->bytes[i] << (52 - 8 * i);
	/* The rest of an IPv6 address comes before the port, and there is no room for it. */
	if (addr->family != AF_INET6)
		port |= (uint64_t)(rule->destination.len & 0x3f) << 16 | rule->host_port;
	return (struct sort_key){ { port, place }, rule };
}

/* By one byte of the keys, those that agree in it as they were. */
static void sort_by_byte(const struct sort_key *from, struct sort_key *to, size_t len, size_t word,
			 unsigned int shift)
{
	size_t starts[257] = { 0 };

	for (size_t i = 0; i < len; i++)
		starts[(from[i].words[word] >> shift & 0xff) + 1]++;
	for (size_t i = 1; i < 257; i++)
		starts[i] += starts[i - 1];
	for (size_t i = 0; i < len; i++)
		to[starts[from[i].words[word] >> shift & 0xff]++] = from[i];
}

/* Byte by byte, from the last to count on, but for those in which all agree. Where the sorted keys
 * are: there or in *spare. */
static struct sort_key *sort_words(struct sort_key *keys, struct sort_key *spare, size_t len)
{
	uint64_t differ[KEY_WORDS] = { 0 };
	struct sort_key *sorted;

	for (size_t i = 1; i < len; i++)
		for (size_t word = 0; word < KEY_WORDS; word++)
			differ[word] |= keys[i].words[word] ^ keys[0].words[word];
	for (size_t word = 0; word < KEY_WORDS; word++) {
		for (unsigned int shift = 0; shift < 64; shift += 8) {
			if (!(differ[word] >> shift & 0xff))
				continue;
			sort_by_byte(keys, spare, len, word, shift);
			sorted = spare;
			spare = keys;
			keys = sorted;
		}
	}
	return keys;
}

/* What the words leave open. */
static void sort_equals(struct sort_key *keys, size_t len)
{
	for (size_t first = 0, next; first < len; first = next) {
		next = first + 1;
		while (next < len &&
		       memcmp(keys[first].words, keys[next].words, sizeof(keys->words)) == 0)
			next++;
		if (next - first > 1)
			qsort(keys + first, next - first, sizeof(*keys), compare_keys);
	}
}

/* Move each rule to the place of its key, in place: a second array would cost more than the moves,
 * in page faults. Each round of the outer loop follows one circle of moves. */
static void rules_move(rule_vector *rules, struct sort_key *keys)
{
	struct rule *items = rules->items, kept;

	for (size_t start = 0; start < rules->len; start++) {
		size_t hole = start, from = (size_t)(keys[start].rule - items);

		kept = items[start];
		while (from != start) {
			items[hole] = items[from];
			keys[hole].rule = &items[hole];
			hole = from;
			from = (size_t)(keys[hole].rule - items);
		}
		items[hole] = kept;
		keys[hole].rule = &items[hole];
	}
}

/*
 * Sort by keys: a rule is some three hundred bytes, and looking at two of them for each comparison
 * takes ten times as long. False without memory for it.
 */
static bool sort_by_keys(rule_vector *rules)
{
	CLEANUP_FREE struct sort_key *keys = malloc(2 * rules->len * sizeof(*keys));
	CLEANUP_FREE struct owner **owners = malloc(2 * rules->len * sizeof(*owners));
	CLEANUP_FREE struct owner *table = NULL;
	struct owner **slots;
	struct sort_key *sorted;
	size_t size = 2;

	while (size < rules->len * 2)
		size *= 2;
	table = calloc(size, sizeof(*table));
	if (!keys || !owners || !table)
		return false;
	slots = owners + rules->len;
	owners_rank(rules, table, size, owners, slots);
	for (size_t i = 0; i < rules->len; i++)
		keys[i] = sort_key(&rules->items[i], slots[i]->rank);
	sorted = sort_words(keys, keys + rules->len, rules->len);
	sort_equals(sorted, rules->len);
	rules_move(rules, sorted);
	return true;
}

static bool is_sorted(const rule_vector *rules)
{
	const struct rule *items = rules->items;

	for (size_t i = 1; i < rules->len; i++) {
		const struct rule *pair[] = { &items[i - 1], &items[i] };

		if (compare_pointers(&pair[0], &pair[1]) > 0)
			return false;
	}
	return true;
}

void rules_sort(rule_vector *rules)
{
	if (!is_sorted(rules) && !sort_by_keys(rules))
		qsort(rules->items, rules->len, sizeof(*rules->items), compare_rules);
}

static const char *const log_words[LOGS_COUNT] = {
	[LOGS_LOOPBACK] = "loopback", [LOGS_FORGED] = "forged",   [LOGS_DIRECT] = "direct",
	[LOGS_OUTSIDE] = "outside",   [LOGS_HOST] = "host",       [LOGS_INTERNAL] = "internal",
	[LOGS_ICC] = "icc",           [LOGS_NO_PORT] = "no-port", [LOGS_DENIED] = "denied",
	[LOGS_INVALID] = "invalid",
};
/* "loopback" is the longest */
_Static_assert(sizeof("bn ") + NETWORK_LABEL_MAX + sizeof("loopback: ") - 1 <= LOG_PREFIX_MAX,
	       "the longest label fits");

void rule_log_prefix(const struct rule *rule, char text[static LOG_PREFIX_MAX])
{
	snprintf(text, LOG_PREFIX_MAX, "bn %s%s%s: ", rule->logged_as,
		 rule->logged_as[0] ? " " : "", log_words[rule->reason]);
}

bool rule_log_read(const char *prefix, struct rule *rule)
{
	char text[LOG_PREFIX_MAX];
	const char *space;

	if (strncmp(prefix, "bn ", 3) != 0)
		return false;
	prefix += 3;
	space = strchr(prefix, ' ');
	rule->logged_as[0] = '\0';
	/* behind the colon there is another */
	if (space && space[1])
		snprintf(rule->logged_as, sizeof(rule->logged_as), "%.*s", (int)(space - prefix),
			 prefix);
	for (rule->reason = LOGS_NOTHING + 1; rule->reason < LOGS_COUNT; rule->reason++) {
		rule_log_prefix(rule, text);
		if (strcmp(text + 3, prefix) == 0)
			return true;
	}
	rule->reason = LOGS_NOTHING;
	return false;
}

const char *rule_target_name(const struct rule *rule)
{
	switch (rule->target) {
	case TARGET_ACCEPT:
		return "ACCEPT";
	case TARGET_DROP:
		return "DROP";
	case TARGET_LOG:
		return "LOG";
	case TARGET_DNAT:
		return "DNAT";
	case TARGET_SNAT:
		return "SNAT";
	case TARGET_MASQUERADE:
		return "MASQUERADE";
	case TARGET_CLAMP_MSS:
		return "TCPMSS";
	case TARGET_RETURN:
		return "RETURN";
	case TARGET_JUMP:
	case TARGET_GOTO:
	case TARGET_OTHER:
		break;
	}
	return "-";
}

const char *rule_table_name(enum rule_chain chain)
{
	switch (chain) {
	case CHAIN_RAW_PREROUTING:
	case CHAIN_RAW_SOURCES:
		return "raw";
	case CHAIN_MANGLE_PREROUTING:
	case CHAIN_MANGLE_DIRECT:
	case CHAIN_MANGLE_FORWARD:
	case CHAIN_MANGLE_CLAMP:
		return "mangle";
	case CHAIN_FILTER_INPUT:
	case CHAIN_FILTER_INVALID:
	case CHAIN_FILTER_HOST:
	case CHAIN_FILTER_FORWARD:
	case CHAIN_FILTER_USER:
	case CHAIN_FILTER_TO:
	case CHAIN_FILTER_SOURCES:
	case CHAIN_FILTER_PEERS:
	case CHAIN_FILTER_OPEN:
	case CHAIN_FILTER_TRUSTED:
	case CHAIN_FILTER_FROM:
	case CHAIN_FILTER_GUARD:
		return "filter";
	case CHAIN_NAT_PREROUTING:
	case CHAIN_NAT_OUTPUT:
	case CHAIN_NAT_PORTS:
	case CHAIN_NAT_POSTROUTING:
	case CHAIN_COUNT:
		break;
	case CHAIN_FRAMES:
	case CHAIN_FRAMES_JUDGED:
	case CHAIN_FRAMES_ALLOWED:
		return "bridge";
	}
	return "nat";
}
