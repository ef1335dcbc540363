/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/rule.h"

void rules_clear(rule_vector *rules)
{
	for (size_t i = 0; i < rules->len; i++)
		free(rules->items[i].foreign);
	free(rules->items);
	*rules = (rule_vector){0};
}

/* Less, equal, greater as -1, 0, 1, for any two integers of one type. */
#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* The order that a reader of a listing looks for. */
static int compare_place(const struct rule *a, const struct rule *b)
{
	int order;

	if ((order = COMPARE(a->chain, b->chain)) || (order = COMPARE(a->kind, b->kind)) ||
	    (order = COMPARE(a->family, b->family)) || (order = strcmp(a->network, b->network)) ||
	    (order = strcmp(a->endpoint, b->endpoint)) ||
	    (order = COMPARE(a->protocol, b->protocol)) ||
	    (order = prefix_compare(&a->destination, &b->destination)))
		return order;
	return COMPARE(a->host_port, b->host_port);
}

/* Everything else that makes two rules differ. */
static int compare_rest(const struct rule *a, const struct rule *b)
{
	int order;

	if ((order = COMPARE(a->count, b->count)) || (order = COMPARE(a->target, b->target)) ||
	    (order = strcmp(a->in, b->in)) || (order = COMPARE(a->in_not, b->in_not)) ||
	    (order = strcmp(a->out, b->out)) || (order = COMPARE(a->out_not, b->out_not)) ||
	    (order = prefix_compare(&a->source, &b->source)) ||
	    (order = COMPARE(a->destination_not, b->destination_not)) ||
	    (order = COMPARE(a->match, b->match)) || (order = addr_compare(&a->to, &b->to)) ||
	    (order = COMPARE(a->to_port, b->to_port)))
		return order;
	if (a->target == TARGET_JUMP && (order = COMPARE(a->jump, b->jump)))
		return order;
	return strcmp(a->foreign ? a->foreign : "", b->foreign ? b->foreign : "");
}

int rule_compare(const struct rule *a, const struct rule *b)
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

/* Sorts pointers, since a rule is some hundred bytes; false without memory for them. */
static bool sort_by_pointers(rule_vector *rules)
{
	const struct rule **order = malloc(rules->len * sizeof(*order));
	struct rule *sorted = malloc(rules->len * sizeof(*sorted));

	if (!order || !sorted) {
		free(order);
		free(sorted);
		return false;
	}
	for (size_t i = 0; i < rules->len; i++)
		order[i] = &rules->items[i];
	qsort(order, rules->len, sizeof(*order), compare_pointers);
	for (size_t i = 0; i < rules->len; i++)
		sorted[i] = *order[i];
	free(order);
	free(rules->items);
	rules->items = sorted;
	rules->capacity = rules->len;
	return true;
}

static bool is_sorted(const rule_vector *rules)
{
	const struct rule *items = rules->items;

	for (size_t i = 1; i < rules->len; i++) {
		const struct rule *pair[] = {&items[i - 1], &items[i]};

		if (compare_pointers(&pair[0], &pair[1]) > 0)
			return false;
	}
	return true;
}

void rules_sort(rule_vector *rules)
{
	if (!is_sorted(rules) && !sort_by_pointers(rules))
		qsort(rules->items, rules->len, sizeof(*rules->items), compare_rules);
}

const char *rule_target_name(const struct rule *rule)
{
	switch (rule->target) {
	case TARGET_ACCEPT:
		return "ACCEPT";
	case TARGET_DROP:
		return "DROP";
	case TARGET_DNAT:
		return "DNAT";
	case TARGET_MASQUERADE:
		return "MASQUERADE";
	case TARGET_JUMP:
		return rule->jump == CHAIN_FILTER_USER ? "BRIDGENET-USER" : "BRIDGENET-PORTS";
	case TARGET_OTHER:
		break;
	}
	return "-";
}

const char *rule_table_name(enum rule_chain chain)
{
	switch (chain) {
	case CHAIN_RAW_PREROUTING:
		return "raw";
	case CHAIN_FILTER_FORWARD:
	case CHAIN_FILTER_USER:
		return "filter";
	case CHAIN_NAT_PREROUTING:
	case CHAIN_NAT_OUTPUT:
	case CHAIN_NAT_PORTS:
	case CHAIN_NAT_POSTROUTING:
	case CHAIN_COUNT:
		break;
	}
	return "nat";
}
