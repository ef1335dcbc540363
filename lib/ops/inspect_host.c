/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings of the host, and those of bridges, that networks need. */
#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "model/policy.h"
#include "ops/driver.h"
#include "ops/inspection.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/rules.h"
#include "ops/settings.h"

/* ---- looking ---- */

static int look_at_bridges(bn_ctx *ctx, struct inspection *inspection)
{
	const network_vector *networks = &inspection->rows.networks;
	size_t len = networks->len;

	inspection->bridges = calloc(len + 1, sizeof(*inspection->bridges));
	inspection->aliases = calloc(len + 1, sizeof(*inspection->aliases));
	if (!inspection->bridges || !inspection->aliases)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < len; i++)
		if (networks->items[i].bridge[0])
			inspection->bridges[i].config =
				bridge_config_of(&networks->items[i], inspection->aliases[i]);
	return bridges_look(ctx->link, inspection->bridges, len, &ctx->error);
}

#define SETTING_TEXT_MAX 64

/* As sysctl(8) takes it: dots in the name of an interface would part it. */
static void name_setting(const struct link_setting *setting, char text[static SETTING_TEXT_MAX])
{
	char mark = strchr(setting->interface, '.') ? '/' : '.';

	snprintf(text, SETTING_TEXT_MAX, "net%cipv%c%cconf%c%s%c%s", mark,
		 setting->family == AF_INET ? '4' : '6', mark, mark, setting->interface, mark,
		 setting->key);
}

/* network NULL: it is the host's. */
static int find_setting(bn_ctx *ctx, struct inspection *inspection, const struct network *network,
			const struct link_setting *setting, struct finding finding)
{
	char object[SETTING_TEXT_MAX], is[16], should_be[16];

	name_setting(setting, object);
	snprintf(is, sizeof(is), "%d", setting->is);
	snprintf(should_be, sizeof(should_be), "%d", setting->should_be);
	finding.network = network ? network->name : NULL;
	finding.object = object;
	finding.is = is;
	finding.should_be = should_be;
	return inspection_find(ctx, inspection, &finding);
}

static bool is_of_bridge(const struct inspection *inspection, const char *interface)
{
	for (size_t i = 0; i < inspection->rows.networks.len; i++)
		if (strcmp(inspection->rows.networks.items[i].bridge, interface) == 0)
			return true;
	return false;
}

/* A network that needs it. */
static const struct network *find_forwarded(const struct inspection *inspection, int family)
{
	const network_vector *networks = &inspection->rows.networks;

	for (size_t i = 0; i < networks->len; i++)
		if (network_has_rules(&networks->items[i]) &&
		    network_is_forwarded(&networks->items[i], family))
			return &networks->items[i];
	return NULL;
}

/* What is found of the bridges is said of their networks; not where *ret_all, as turning it on for
 * all turns it on there. */
static int look_at_forwarding(bn_ctx *ctx, struct inspection *inspection, int family, bool *ret_all)
{
	const bool required = ctx->policy.forwarding == FORWARDING_REQUIRE;
	const struct finding finding = {
		.code = required ? FINDING_FORWARDING_REQUIRED : FINDING_FORWARDING_OFF,
	};
	CLEANUP_VECTOR link_setting_vector lacking = { 0 };
	int r;

	if (!find_forwarded(inspection, family))
		return 0;
	r = host_forwarding_lacking(ctx->link, family, !inspection->network, &lacking, &ctx->error);
	for (size_t i = 0; i < lacking.len && r >= 0; i++) {
		const struct link_setting *setting = &lacking.items[i];

		*ret_all |= strcmp(setting->interface, "all") == 0;
		if (!is_of_bridge(inspection, setting->interface))
			r = find_setting(ctx, inspection, NULL, setting, finding);
	}
	return r;
}

static bool has_port_on_loopback(const struct inspection *inspection, const struct network *network)
{
	const port_vector *ports = &inspection->rows.ports;

	for (size_t i = 0; i < ports->len; i++)
		if (strcmp(ports->items[i].network, network->name) == 0 &&
		    port_is_on_loopback(&ports->items[i]))
			return true;
	return false;
}

/* From a bridge that takes router advertisements endpoints tell the host where to send. */
static int severity_of(const struct inspection *inspection, const struct network *network,
		       const struct link_setting *setting)
{
	if (strcmp(setting->key, "accept_ra") == 0)
		return BN_SEVERITY_OPEN;
	if (strcmp(setting->key, "disable_ipv6") == 0 && setting->should_be)
		return BN_SEVERITY_NOTE;
	if (strcmp(setting->key, "route_localnet") == 0 &&
	    !has_port_on_loopback(inspection, network))
		return BN_SEVERITY_NOTE;
	return BN_SEVERITY_BROKEN;
}

static bool is_forwarding(const struct link_setting *setting)
{
	return strcmp(setting->key, "forwarding") == 0 ||
	       strcmp(setting->key, "force_forwarding") == 0;
}

static int look_at_settings(bn_ctx *ctx, struct inspection *inspection, size_t network, bool all)
{
	const struct network *of = &inspection->rows.networks.items[network];
	CLEANUP_VECTOR link_setting_vector lacking = { 0 };
	int r = bridge_settings_lacking(ctx->link, &inspection->bridges[network], &lacking,
					&ctx->error);

	for (size_t i = 0; i < lacking.len && r >= 0; i++) {
		const struct link_setting *setting = &lacking.items[i];
		const struct finding finding = {
			.code = setting->others        ? FINDING_SETTING_OTHERS :
				is_forwarding(setting) ? FINDING_FORWARDING_OFF :
							 FINDING_SETTING_CHANGED,
			.severity = severity_of(inspection, of, setting),
		};

		if (all && setting->family == AF_INET && is_forwarding(setting))
			continue;
		r = find_setting(ctx, inspection, of, setting, finding);
	}
	return r;
}

/* Between isolated ports the bridge carries nothing, not even what comes back translated. */
static int look_at_frames(bn_ctx *ctx, struct inspection *inspection, const struct network *network)
{
	const struct finding finding = {
		.code = FINDING_FRAMES_FILTERED,
		.network = network->name,
		.object = "net.bridge.bridge-nf-call-iptables",
		.is = "1",
		.should_be = "0",
	};
	size_t i = 0;

	while (i < inspection->rows.ports.len &&
	       strcmp(inspection->rows.ports.items[i].network, network->name) != 0)
		i++;
	if (network->policy.icc != ICC_NO || i == inspection->rows.ports.len ||
	    !link_frames_are_filtered(AF_INET))
		return 0;
	return inspection_find(ctx, inspection, &finding);
}

static int look(bn_ctx *ctx, struct inspection *inspection)
{
	const network_vector *networks = &inspection->rows.networks;
	bool all_ipv4 = false, all_ipv6 = false;
	int r = look_at_bridges(ctx, inspection);

	if (r >= 0)
		r = look_at_forwarding(ctx, inspection, AF_INET, &all_ipv4);
	if (r >= 0)
		r = look_at_forwarding(ctx, inspection, AF_INET6, &all_ipv6);
	for (size_t i = 0; i < networks->len && r >= 0; i++) {
		/* what is called otherwise, or is not there, is put right as a whole */
		if (inspection->bridges[i].presence != BRIDGE_THERE)
			continue;
		r = look_at_settings(ctx, inspection, i, all_ipv4);
		if (r >= 0)
			r = look_at_frames(ctx, inspection, &networks->items[i]);
	}
	return r;
}

/* ---- putting right ---- */

static int write_lacking(bn_ctx *ctx, const struct network *network)
{
	CLEANUP_VECTOR link_setting_vector lacking = { 0 };
	struct bridge_sight sight = { 0 };
	char alias[ALIAS_MAX];
	int first = 0, r;

	sight.config = bridge_config_of(network, alias);
	r = bridges_look(ctx->link, &sight, 1, &ctx->error);
	if (r >= 0 && sight.presence == BRIDGE_THERE)
		r = bridge_settings_lacking(ctx->link, &sight, &lacking, &ctx->error);
	/* all of them are tried, and the first that fails is told */
	for (size_t i = 0; i < lacking.len && r >= 0; i++) {
		int failed = lacking.items[i].others ?
				     0 :
				     link_setting_write(ctx->link, &lacking.items[i],
							first ? NULL : &ctx->error);

		first = first ? first : failed;
	}
	return r < 0 ? r : first;
}

static int mend_settings(bn_ctx *ctx, const char *name)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = operation_hold(ctx);

	if (r >= 0)
		r = rows_use_network(ctx, name, &rows);
	if (r >= 0)
		r = write_lacking(ctx, rows.networks.items);
	store_rollback(ctx->store);
	return inspection_pass(ctx, r);
}

static int mend_forwarding(bn_ctx *ctx, const struct network *network, int family)
{
	bool guards = false;
	int r = operation_hold(ctx);

	if (r >= 0)
		r = settings_keep_again(ctx, network, family, &guards);
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	if (r >= 0 && guards)
		r = rules_rebuild(ctx);
	if (r >= 0)
		r = operation_hold(ctx);
	if (r >= 0)
		r = settings_turn_on(ctx, family);
	store_rollback(ctx->store);
	return inspection_pass(ctx, r);
}

static bool has_host_finding(const struct inspection *inspection, int family)
{
	const char *word = family == AF_INET ? "ipv4" : "ipv6";

	for (size_t i = 0; i < inspection->findings.len; i++) {
		const struct finding *finding = &inspection->findings.items[i];

		if (finding->code == FINDING_FORWARDING_OFF && !finding->network[0] &&
		    strstr(finding->object, word))
			return true;
	}
	return false;
}

static int mend(bn_ctx *ctx, const struct inspection *inspection)
{
	const network_vector *networks = &inspection->rows.networks;
	int r = 0;

	for_each_family(family) {
		const struct network *network = find_forwarded(inspection, family);

		if (r >= 0 && network && has_host_finding(inspection, family))
			r = mend_forwarding(ctx, network, family);
	}
	for (size_t i = 0; i < networks->len && r >= 0; i++) {
		const char *name = networks->items[i].name;

		if (inspection_has(inspection, FINDING_SETTING_CHANGED, name, NULL) ||
		    inspection_has(inspection, FINDING_FORWARDING_OFF, name, NULL))
			r = mend_settings(ctx, name);
	}
	return r;
}

const struct inspector inspect_host = { "the host's settings", true, look, mend };
