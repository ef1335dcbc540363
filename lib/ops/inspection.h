/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel beside the state, part by part. Each part has a row: how it is looked at, and how it
 * is put right. Looking changes nothing, and may be done while others work. Putting right is done
 * in write transactions (operation_hold() of recover.h), a short one for each thing, in which the
 * state is asked once more whether it is so and that nobody else is at it: rows_use(). It only goes
 * on: one that dies half way leaves what the next look finds.
 */
#ifndef BN_OPS_INSPECTION_H
#define BN_OPS_INSPECTION_H

#include "link/bridge.h"
#include "model/finding.h"
#include "model/rule.h"
#include "ops/context.h"

struct inspection {
	const char *network, *endpoint; /* of that alone; NULL: all */
	char name[NETWORK_NAME_MAX + 1];
	uint32_t flags; /* BN_REPAIR_* */
	/* Of the state that the last look was about, if nobody was at work on it meanwhile: as long
	 * as it is that, what is below stays. 0: not. */
	uint64_t generation;
	/* What has to be there: it stands, and nobody is at it. network, endpoint: only theirs. */
	struct rows rows;
	rule_vector planned; /* rules of those; sorted, once the rules were looked at */
	/* What may be there as well: it comes, or goes. */
	struct rows moving;
	struct host_text host; /* what networks keep about it; of everything alone */
	/* Of each network of the rows, as inspect_host has seen it: for those who look after it. */
	struct bridge_sight *bridges;
	char (*aliases)[ALIAS_MAX];
	bool repairs; /* what is no fault, and yet to be made, is found too */
	/* Of everything alone: some rows belong to nothing, and are not among those above. What the
	 * kernel has of them looks like nobody's. */
	bool is_damaged;
	finding_vector findings;
	size_t inspector; /* that looks, of those that were asked to */
	/* Rules that were STRAYS_NOBODYS_NOW (strays.h) when they were looked at; sorted. */
	rule_vector strays;
};

struct inspector {
	const char *name; /* for the log */
	bool of_part;     /* it is also asked about one network or endpoint */
	/* Appends to the findings: inspection_find(). */
	int (*look)(bn_ctx *ctx, struct inspection *inspection);
	/* Puts right what its look has found in `inspection`, and tries all of it: what can't be
	 * put right is the next look's to say, and why is for the log. Negative: nothing further is
	 * to be tried, for what it is relied on for. NULL: there is nothing that it could do. */
	int (*mend)(bn_ctx *ctx, const struct inspection *inspection);
	bool is_apart; /* what others put right changes nothing of what it finds */
};

/* In the order in which they mend: rules before what they protect. */
extern const struct inspector inspect_rules;
extern const struct inspector inspect_coexist;
extern const struct inspector inspect_definitions;
extern const struct inspector inspect_host;
extern const struct inspector inspect_bridges;
extern const struct inspector inspect_endpoints;
extern const struct inspector inspect_ports;
extern const struct inspector inspect_addresses;
extern const struct inspector inspect_flows;
extern const struct inspector inspect_strays;

void inspection_forget(struct inspection *inspection);
/* One look by those inspectors, which end with NULL, over the rows of one state. parts: a bit for
 * each that looks. 1: nobody was at work on the state meanwhile; 0: what is found may be of what
 * others are just at; -ENOENT: what is asked about is not there. */
#define INSPECT_ALL UINT32_MAX
int inspection_look(bn_ctx *ctx, struct inspection *inspection,
		    const struct inspector *const *inspectors, uint32_t parts);

int inspection_find(bn_ctx *ctx, struct inspection *inspection, const struct finding *finding);
/* Of a mend, how one thing has gone: why it could not be put right is for the log, and the others
 * are tried. Negative: the time is up. */
int inspection_pass(bn_ctx *ctx, int r);
/* Is there anything that this inspector has found with that code about that network and endpoint
 * (NULL: any)? */
bool inspection_has(const struct inspection *inspection, enum finding_code code,
		    const char *network, const char *endpoint);

#endif
