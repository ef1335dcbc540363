/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking out of the kernel what rows describe: the one way, for whoever removes or undoes. */
#ifndef BN_OPS_REMOVAL_H
#define BN_OPS_REMOVAL_H

#include "ops/context.h"

/* Of the rows the ports go; and the endpoints and networks, or these are there to say whose the
 * ports are. */
struct removal {
	struct rows rows;
	/* Ports in the place of those, with what they belong to; all of them come in one step, and
	 * what they replace goes with it. None: it is a removal and no more. */
	struct rows replacing;
	bool endpoints, networks;
	size_t staying; /* but for the last networks, which are there to say whose endpoints are */
	bool settled;   /* they were, until the verb that removes them: their rules are there */
	bool quick;     /* interfaces are cut off, and left to their namespaces */
	bool async;     /* what the kernel has to do behind the scenes is not waited for */
	bool untouched; /* nothing has been changed, so none of the host's settings either */
};
void removal_clear(struct removal *removal);

/* What an operation makes or removes. Appends, so that one removal can serve many operations that
 * make or remove endpoints, or ports alone; rows_complete() then adds what all that belongs to. */
int removal_load(bn_ctx *ctx, const struct operation *operation, struct removal *removal);
/* That, for one alone. */
int removal_load_whole(bn_ctx *ctx, const struct operation *operation, struct removal *removal);

/*
 * In the order that keeps drops in force longest: first what lets in (the ports, their flows), then
 * what is let in to (interfaces and all their flows, bridges), then the rules that protected it.
 * What is gone already is no error. Negative: something is there still, which includes all that
 * protects it; to be tried again.
 */
int removal_run(bn_ctx *ctx, const struct operation *operation, const struct removal *removal);

/* The same of rows that are not in the state any more, inside a transaction: less what belongs to
 * those that are, which may have got the same addresses, ports and names. */
int removal_run_lost(bn_ctx *ctx, const struct rows *lost);

#endif
