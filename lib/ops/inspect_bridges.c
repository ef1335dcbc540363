/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bridges: whether they are there, and as they were made. */
#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "ops/driver.h"
#include "ops/inspection.h"
#include "ops/network.h"
#include "ops/recover.h"
#include "ops/rows.h"

/* ---- looking ---- */

struct look {
	bn_ctx *ctx;
	struct inspection *inspection;
	const struct network *network;
	const struct bridge_sight *sight;
};

static int find(const struct look *look, enum finding_code code, const char *is,
		const char *should_be)
{
	const struct finding finding = {
		.code = code,
		.network = look->network->name,
		.object = look->network->bridge,
		.is = is,
		.should_be = should_be,
	};

	return inspection_find(look->ctx, look->inspection, &finding);
}

#define WORDS_MAX (ALIAS_MAX + 64)

static int look_at_absent(const struct look *look)
{
	const struct bridge_sight *sight = look->sight;
	char is[WORDS_MAX];

	switch (sight->presence) {
	case BRIDGE_MISSING:
		return sight->config.adopt ?
			       find(look, FINDING_BRIDGE_LEFT, "does not exist any more", NULL) :
			       find(look, FINDING_BRIDGE_MISSING, NULL, NULL);
	case BRIDGE_TAKEN:
		if (strcmp(sight->name, look->network->bridge) != 0)
			snprintf(is, sizeof(is), "another name of interface %s", sight->name);
		else if (strcmp(sight->kind, "bridge") == 0)
			snprintf(is, sizeof(is), "another bridge");
		else
			snprintf(is, sizeof(is), "an interface of another kind (%s)",
				 sight->kind[0] ? sight->kind : "a device");
		return find(look, FINDING_BRIDGE_TAKEN, is, NULL);
	case BRIDGE_RENAMED:
		snprintf(is, sizeof(is), "is called %s now", sight->name);
		return sight->config.adopt ? find(look, FINDING_BRIDGE_LEFT, is, NULL) :
					     find(look, FINDING_BRIDGE_RENAMED, sight->name,
						  look->network->bridge);
	case BRIDGE_THERE:
		break;
	}
	return 0;
}

static int look_at_mtu(const struct look *look)
{
	char is[WORDS_MAX], should_be[WORDS_MAX];

	if (look->sight->mtu == look->sight->config.mtu)
		return 0;
	snprintf(is, sizeof(is), "the MTU %u", look->sight->mtu);
	snprintf(should_be, sizeof(should_be), "%u", look->sight->config.mtu);
	return find(look, FINDING_BRIDGE_CHANGED, is, should_be);
}

static int look_at_mac(const struct look *look)
{
	char is[WORDS_MAX], should_be[MAC_TEXT_MAX], text[MAC_TEXT_MAX];
	uint8_t mac[MAC_LEN];

	bridge_own_mac(&look->sight->config, mac);
	if (memcmp(look->sight->mac, mac, MAC_LEN) == 0)
		return 0;
	snprintf(is, sizeof(is), "the MAC address %s", mac_format(look->sight->mac, text));
	return find(look, FINDING_BRIDGE_CHANGED, is, mac_format(mac, should_be));
}

static int look_at_alias(const struct look *look)
{
	const char *alias = look->sight->alias, *wanted = look->sight->config.alias;
	char is[WORDS_MAX];

	if (strcmp(alias, wanted) == 0)
		return 0;
	snprintf(is, sizeof(is), alias[0] ? "the alias %s" : "no alias", alias);
	return find(look, FINDING_BRIDGE_CHANGED, is, wanted);
}

static int look_at_one(const struct look *look)
{
	const struct bridge_sight *sight = look->sight;
	char address[PREFIX_TEXT_MAX];
	int r = 0;

	if (!sight->is_up)
		r = find(look, FINDING_BRIDGE_DOWN, NULL, NULL);
	/* somebody else's is as it pleases him */
	if (r >= 0 && !sight->config.adopt)
		r = look_at_mtu(look);
	if (r >= 0 && !sight->config.adopt)
		r = look_at_mac(look);
	if (r >= 0 && !sight->config.adopt)
		r = look_at_alias(look);
	for (size_t i = 0; i < sight->lacking_len && r >= 0; i++)
		r = find(look, FINDING_BRIDGE_ADDRESS_MISSING, NULL,
			 prefix_format(&sight->lacking[i], address));
	return r;
}

/* It is no fault that it has no bridge, before anything is attached to it. */
static bool is_unmade(const struct network *network)
{
	return network->persistent[0] && !network_is_ready(network);
}

static int look_at_network(const struct look *look)
{
	const struct finding unmade = {
		.code = FINDING_NETWORK_UNMADE,
		.network = look->network->name,
		.object = look->network->planned_bridge,
	};
	int r;

	if (is_unmade(look->network))
		return look->inspection->repairs ?
			       inspection_find(look->ctx, look->inspection, &unmade) :
			       0;
	if (!look->network->bridge[0])
		return 0;
	r = look_at_absent(look);
	if (r >= 0 && (look->sight->presence == BRIDGE_THERE ||
		       (look->sight->presence == BRIDGE_RENAMED && !look->sight->config.adopt)))
		r = look_at_one(look);
	return r;
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	int r = 0;

	for (size_t i = 0; i < inspection->rows.networks.len && r >= 0; i++) {
		const struct look look = {
			.ctx = ctx,
			.inspection = inspection,
			.network = &inspection->rows.networks.items[i],
			.sight = &inspection->bridges[i],
		};

		r = look_at_network(&look);
	}
	return r;
}

/* ---- putting right ---- */

/* One that is made again has no ports: those are put back with their endpoints. */
static int restore(bn_ctx *ctx, const char *name)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	char alias[ALIAS_MAX], note[LINK_NOTE_MAX];
	struct bridge_config config;
	int r = operation_hold(ctx);

	if (r >= 0)
		r = rows_use_network(ctx, name, &rows);
	if (r >= 0) {
		config = bridge_config_of(rows.networks.items, alias);
		r = bridge_restore(ctx->link, &config, note, &ctx->error);
	}
	store_rollback(ctx->store);
	if (r >= 0 && note[0])
		ctx_log(ctx, LOG_WARNING, "network %s: %s", name, note);
	return inspection_pass(ctx, r);
}

static bool is_to_restore(const struct inspection *inspection, const char *network)
{
	static const enum finding_code codes[] = {
		FINDING_BRIDGE_MISSING, FINDING_BRIDGE_RENAMED,         FINDING_BRIDGE_DOWN,
		FINDING_BRIDGE_CHANGED, FINDING_BRIDGE_ADDRESS_MISSING,
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (inspection_has(inspection, codes[i], network, NULL))
			return true;
	return false;
}

static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	const network_vector *networks = &inspection->rows.networks;
	int r = 0;

	for (size_t i = 0; i < networks->len && r >= 0; i++) {
		const char *name = networks->items[i].name;

		if (is_unmade(&networks->items[i]))
			r = inspection_pass(ctx, network_make_again(ctx, name));
		else if (is_to_restore(inspection, name))
			r = restore(ctx, name);
	}
	return r;
}

const struct inspector inspect_bridges = { "bridges", true, look, mend };
