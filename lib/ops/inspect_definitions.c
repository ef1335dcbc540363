/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Persistent networks: what defines them, beside what the state has. The state has taken them in
 * when it was empty; what could not be read then is looked at here alone. */
#include <errno.h>
#include <stdio.h>

#include "ops/inspection.h"
#include "ops/persistent.h"
#include "ops/recover.h"

/* One in the state by that name is for persistent_define() to judge: here it is there. */
static bool has_network(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->networks.len; i++)
		if (strcmp(rows->networks.items[i].name, name) == 0)
			return true;
	return false;
}

struct damage {
	bn_ctx *ctx;
	struct inspection *inspection;
	int error;
};

static void find_damage(void *userdata, const struct error *error)
{
	struct damage *damage = userdata;
	const struct finding finding = {
		.code = FINDING_DEFINITION_DAMAGED,
		.is = error->message,
	};

	if (damage->error >= 0)
		damage->error = inspection_find(damage->ctx, damage->inspection, &finding);
}

static int find_missing(bn_ctx *ctx, struct inspection *inspection, const struct network *network)
{
	char object[PERSISTENT_DIR_MAX + NETWORK_NAME_MAX + sizeof("/.network")];
	const struct finding finding = {
		.code = FINDING_DEFINITION_MISSING,
		.network = network->name,
		.object = object,
	};

	snprintf(object, sizeof(object), "%s/%s.network", network->persistent, network->name);
	return inspection_find(ctx, inspection, &finding);
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	struct damage damage = { .ctx = ctx, .inspection = inspection };
	int r = persistent_read(ctx, &networks, find_damage, &damage);

	if (r >= 0)
		r = damage.error;
	for (size_t i = 0; i < networks.len && r >= 0; i++)
		if (!has_network(&inspection->rows, networks.items[i].name) &&
		    !has_network(&inspection->moving, networks.items[i].name))
			r = find_missing(ctx, inspection, &networks.items[i]);
	return r;
}

static void ignore(void *userdata, const struct error *error)
{
	(void)userdata;
	(void)error;
}

/* Read in the transaction: the file of one that is deleted goes before its row. */
static int define_missing(bn_ctx *ctx, const struct inspection *inspection)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r = persistent_read(ctx, &networks, ignore, NULL);

	for (size_t i = 0; i < networks.len && r >= 0; i++)
		if (inspection_has(inspection, FINDING_DEFINITION_MISSING, networks.items[i].name,
				   NULL))
			r = persistent_define(ctx, &networks.items[i]);
	return r;
}

static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	int r = operation_hold(ctx);

	if (r >= 0)
		r = define_missing(ctx, inspection);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return inspection_pass(ctx, r);
}

const struct inspector inspect_definitions = { "definitions", false, look, mend };
