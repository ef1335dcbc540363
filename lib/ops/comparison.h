/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the state plans beside what the kernel has, but for the base and for others' rules in our
 * chains, which the backend tells of: inspect() of firewall.h.
 */
#ifndef BN_OPS_COMPARISON_H
#define BN_OPS_COMPARISON_H

#include "ops/context.h"

/* What a rule is that the kernel has and the state has not. */
enum extra_is {
	EXTRA_UNKNOWN,     /* it may be of another state */
	EXTRA_NOBODYS_NOW, /* as strays.h has it */
	EXTRA_NOBODYS,
	EXTRA_ALTERED, /* one of ours, with other words */
	EXTRA_FOREIGN  /* in a place of ours, without our mark */
};
struct extra {
	const struct rule *rule, *of; /* of: the missing one in whose place it is */
	enum extra_is is;
	bool names_others; /* a bridge or subnet of another state */
};
struct missing {
	const struct rule *rule;
	const struct extra *taken; /* what has its place, and is not known to be ours */
};

struct comparison {
	const rule_vector *planned; /* what has to be there; sorted, as all of these */
	rule_vector allowed,        /* what may be there as well */
		kernel;             /* what is there */
	struct rows rows;           /* of the state, with what comes and goes; the caller's */
	VECTOR(struct missing) missing;
	VECTOR(struct extra) extras;
};

void comparison_clear(struct comparison *comparison);

/* Of planned, allowed and rows, which are filled: all the rest, with one look at the kernel. */
int comparison_make(bn_ctx *ctx, struct comparison *comparison);
/* For another look: what was planned stays. */
void comparison_again(struct comparison *comparison);
/* What is EXTRA_ALTERED in the place of that one; NULL: it is just missing. */
const struct extra *comparison_replaced(const struct comparison *comparison,
					const struct missing *missing);
/* What is in its way, and may be another state's; NULL: nothing. */
const struct extra *comparison_taken(const struct missing *missing);
bool comparison_has(const rule_vector *rules, const struct rule *rule);
/* Is the rule of those that are compared? The base, and others' rules in our chains, are the
 * backend's to tell of. */
bool comparison_is_about(const struct rule *rule);
/* Does the kernel say whose a rule is? Else that is told by what it matches. */
bool comparison_tells_owners(const bn_ctx *ctx);
/* Only what is in both, which are sorted, stays. */
void comparison_keep(rule_vector *rules, const rule_vector *others);

#endif
