/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rule whose guard is missing is never looked at, so a listing does not have it. */
#include "firewall/nft/nft.h"

static bool is_guard(size_t set)
{
	return nft_fixed_at(set) && nft_fixed_at(set)->part == NFT_PART_GUARD &&
	       nft_fixed_at(set)->set;
}

static bool has_guard(enum rule_kind kind)
{
	for (size_t i = NFT_FIXED_OF(kind); i < NFT_FIXED_OF(kind + 1); i++)
		if (is_guard(i))
			return true;
	return false;
}

/* The guards of the rules; which rules have any comes in *ret_views, for them to point to. */
static int guards_encode(const struct rule *rules, size_t len, rule_vector *ret_views,
			 nft_element_vector *guards)
{
	enum rule_kind last = RULE_KIND_COUNT;
	bool has = false;
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		/* they come by kinds */
		if (rules[i].kind != last)
			has = rules[i].kind != RULE_FOREIGN && has_guard(rules[i].kind);
		last = rules[i].kind;
		if (!has)
			continue;
		r = vector_append(ret_views, rules[i]);
		/* where the rule is, to be found again */
		if (r == 0)
			ret_views->items[ret_views->len - 1].handle = i;
	}
	if (r == 0)
		r = nft_elements_encode(ret_views->items, ret_views->len, guards, NULL);
	for (size_t i = 0; i < guards->len && r == 0; i++)
		if (is_guard(guards->items[i].set) && !guards->items[i].end)
			guards->items[kept++] = guards->items[i];
	guards->len = kept;
	return r;
}

static int guard_element(const struct nft_element_view *view, void *data)
{
	const nft_element_vector *guards = data;
	struct nft_element seeker = { .set = guards->items->set };
	struct nft_element *found, *end = guards->items + guards->len;

	if (view->end || view->key_len > sizeof(seeker.key))
		return 0;
	memcpy(seeker.key, view->key, view->key_len);
	found = bsearch(&seeker, guards->items, guards->len, sizeof(*found), nft_element_order);
	/* rules may have one in common */
	while (found && found > guards->items && nft_element_order(found - 1, &seeker) == 0)
		found--;
	for (; found && found < end && nft_element_order(found, &seeker) == 0; found++)
		found->skip = true;
	return 0;
}

static int guards_find(struct nft *nft, nft_element_vector *guards, struct nft_reply *reply)
{
	size_t next;
	int r = 0;

	for (size_t first = 0; r == 0 && first < guards->len; first = next) {
		nft_element_vector of_set = { .items = guards->items + first };

		for (next = first + 1; next < guards->len; next++)
			if (guards->items[next].set != of_set.items->set)
				break;
		of_set.len = next - first;
		r = nft_set_dump(nft, of_set.items->set, guard_element, &of_set, reply);
		/* gone since: the generation tells */
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int nft_guards_check(struct nft *nft, rule_vector *rules, size_t first, struct nft_reply *reply)
{
	CLEANUP_VECTOR rule_vector views = { 0 };
	CLEANUP_VECTOR nft_element_vector guards = { 0 };
	size_t kept = first;
	int r = guards_encode(rules->items + first, rules->len - first, &views, &guards);

	if (r == 0)
		r = guards_find(nft, &guards, reply);
	if (r < 0)
		return r;
	for (size_t i = 0; i < guards.len; i++)
		if (!guards.items[i].skip)
			rules->items[first + guards.items[i].rule->handle].kind = RULE_KIND_COUNT;
	for (size_t i = first; i < rules->len; i++)
		if (rules->items[i].kind != RULE_KIND_COUNT)
			rules->items[kept++] = rules->items[i];
	rules->len = kept;
	return 0;
}
