/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A change that does not fit one transaction: without privilege outside a user namespace the kernel
 * takes no more at once than twice net.core.wmem_max, which is some 5,000 rules.
 */
#include "firewall/nft/nft.h"

/* A little less than would fit if all were equally long. */
static size_t fitting(const struct nft *nft, size_t len)
{
	size_t most = len / (nft->batch_len / nft->send_limit + 2);

	return most ? most : 1;
}

/* What lets in comes last, and goes first. */
static int rank(const struct rule *rule)
{
	if (rule->target == TARGET_DROP)
		return 0;
	return rule->target == TARGET_DNAT ? 2 : 1;
}

static int adding_order(const void *a, const void *b)
{
	int order = rank(a) - rank(b);

	return order ? order : rule_compare(a, b);
}

static int removing_order(const void *a, const void *b)
{
	return adding_order(b, a);
}

struct side {
	bool removes;
	uint32_t flags;
	size_t most; /* rules in one transaction, as far as is known */
};

static int apply_some(struct nft *nft, const struct side *side, const struct rule *rules,
		      size_t len, struct error *error)
{
	struct firewall_change change = { .flags = side->flags };

	if (side->removes) {
		change.remove = rules;
		change.remove_len = len;
	} else {
		change.add = rules;
		change.add_len = len;
	}
	return nft_apply_once(nft, &change, error);
}

/* In the order of the rules, each time as many as fit. */
static int apply_in_order(struct nft *nft, struct side *side, const struct rule *rules, size_t len,
			  struct error *error)
{
	size_t done = 0;
	int r = 0;

	while (done < len && r == 0) {
		size_t some = side->most < len - done ? side->most : len - done;

		r = apply_some(nft, side, &rules[done], some, error);
		if (r == 0) {
			nft->base.partly = true;
			done += some;
		} else if (r == -EMSGSIZE && some > 1) {
			error_clear(error);
			side->most = fitting(nft, some);
			r = 0;
		}
	}
	return r;
}

static int apply_side(struct nft *nft, struct side *side, const struct rule *rules, size_t len,
		      struct error *error)
{
	/* no more than a view of them: what they own stays theirs */
	CLEANUP_FREE struct rule *sorted = NULL;

	if (!len)
		return 0;
	sorted = malloc(len * sizeof(*sorted));
	if (!sorted)
		return error_oom(error);
	memcpy(sorted, rules, len * sizeof(*sorted));
	qsort(sorted, len, sizeof(*sorted), side->removes ? removing_order : adding_order);
	return apply_in_order(nft, side, sorted, len, error);
}

/* What it fails after stays, and the caller undoes it as what a dead process has left. */
static int apply_parts(struct nft *nft, const struct firewall_change *change, struct error *error)
{
	struct side side = {
		.removes = true,
		/* Of what was added in part, a part that is all there may have somebody else's
		 * element under one of its keys. */
		.flags = change->flags | FIREWALL_MISSING_OK,
		.most = fitting(nft, change->add_len + change->remove_len),
	};
	int r;

	r = apply_side(nft, &side, change->remove, change->remove_len, error);
	side.removes = false;
	side.flags = change->flags;
	if (r == 0)
		r = apply_side(nft, &side, change->add, change->add_len, error);
	return r;
}

int nft_apply(struct firewall *firewall, const struct firewall_change *change, struct error *error)
{
	struct nft *nft = (struct nft *)firewall;
	int r;

	firewall->partly = false;
	r = nft_apply_once(nft, change, error);
	if (r != -EMSGSIZE || !nft->send_limit)
		return r;
	error_clear(error);
	r = apply_parts(nft, change, error);
	firewall->unmet = false;
	return r;
}
