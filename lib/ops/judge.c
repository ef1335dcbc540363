/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/judge.h"

#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"
#include "model/policy.h"
#include "model/sysctl.h"
#include "ops/restraint.h"

#define WORDS_MAX 320

/* One who is judged, and what is said of that. */
struct bench {
	bn_ctx *ctx;
	struct inspection *inspection;
	const struct judged *judged;
	int result;
};

static void say_worse(struct bench *bench, enum finding_code code, int severity, const char *object,
		      const char *is, const char *should_be)
{
	const struct finding finding = {
		.code = code,
		.severity = severity,
		.network = bench->judged->endpoint->network,
		.endpoint = bench->judged->endpoint->id,
		.object = object,
		.is = is,
		.should_be = should_be,
	};

	if (bench->result >= 0)
		bench->result = inspection_find(bench->ctx, bench->inspection, &finding);
}

static void say(struct bench *bench, enum finding_code code, const char *object, const char *is,
		const char *should_be)
{
	say_worse(bench, code, 0, object, is, should_be);
}

static void say_number(struct bench *bench, enum finding_code code, const char *object,
		       const char *what, uint32_t is, uint32_t should_be)
{
	char found[64], wanted[64];

	if (is == should_be)
		return;
	snprintf(found, sizeof(found), "%s %u", what, is);
	snprintf(wanted, sizeof(wanted), "%s %u", what, should_be);
	say(bench, code, object, found, wanted);
}

/* ---- the host end ---- */

static const char *whose(bool is_taken)
{
	return is_taken ? "another's of that name" : "nothing of that name";
}

/* One that has no bridge of that name is the bridge's to say. Is it where it belongs? */
static bool judge_place(struct bench *bench, const struct link_sight *sight)
{
	const char *bridge = bench->judged->network->bridge;
	uint32_t index = link_index(bench->ctx->link, bridge);
	char name[IFNAMSIZ];

	if (sight->bridge == index ? index != 0 : sight->bridge && !index)
		return index;
	if (!sight->bridge)
		say(bench, FINDING_LINK_OFF_BRIDGE, sight->name, "no bridge", bridge);
	else if (link_name(bench->ctx->link, sight->bridge, name))
		say(bench, FINDING_LINK_OFF_BRIDGE, sight->name, name, bridge);
	return false;
}

static void judge_port(struct bench *bench, const struct link_sight *sight)
{
	const struct link_apart apart =
		restraint_apart(bench->judged->network, bench->judged->endpoint);
	const struct {
		bool is, should_be;
		const char *name;
	} flags[] = {
		{ sight->hairpin, true, "hairpin" },
		{ sight->apart.isolated, apart.isolated, "isolated" },
		{ sight->apart.locked, apart.locked, "locked" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		char is[32], should_be[32];

		if (flags[i].is == flags[i].should_be)
			continue;
		snprintf(is, sizeof(is), "%s %s", flags[i].name, flags[i].is ? "on" : "off");
		snprintf(should_be, sizeof(should_be), "%s %s", flags[i].name,
			 flags[i].should_be ? "on" : "off");
		/* the latter two keep others, and itself, from what is not to be */
		say_worse(bench, FINDING_LINK_CHANGED,
			  i > 0 && flags[i].should_be ? BN_SEVERITY_OPEN : 0, sight->name, is,
			  should_be);
	}
}

static void judge_host(struct bench *bench)
{
	const struct link_sight *sight = bench->judged->host;
	const struct endpoint *endpoint = bench->judged->endpoint;
	char alias[ALIAS_MAX], is[ALIAS_MAX + 16], should_be[ALIAS_MAX + 16], mac[MAC_TEXT_MAX];

	if (!sight->index) {
		say(bench, FINDING_LINK_MISSING, endpoint->host_interface, whose(sight->is_taken),
		    "");
		return;
	}
	if (strcmp(sight->name, endpoint->host_interface) != 0)
		say(bench, FINDING_LINK_RENAMED, endpoint->host_interface, sight->name,
		    endpoint->host_interface);
	link_alias(bench->judged->network->id, endpoint->id, alias);
	if (strcmp(sight->alias, alias) != 0) {
		snprintf(is, sizeof(is), "alias '%s'", sight->alias);
		snprintf(should_be, sizeof(should_be), "alias '%s'", alias);
		say(bench, FINDING_LINK_CHANGED, sight->name, is, should_be);
	}
	if (!(sight->flags & IFF_UP))
		say(bench, FINDING_LINK_DOWN, sight->name, "", "");
	if (judge_place(bench, sight))
		judge_port(bench, sight);
	if (sight->lacks_mac)
		say(bench, FINDING_LINK_CHANGED, sight->name, "no entry of its MAC on the bridge",
		    mac_format(endpoint->mac, mac));
	say_number(bench, FINDING_LINK_CHANGED, sight->name, "MTU", sight->mtu, endpoint->mtu);
	if (sight->unlimited_in)
		say(bench, FINDING_LINK_CHANGED, sight->name, "no rate-in",
		    options_get(&endpoint->options, "rate-in"));
	if (sight->unlimited_out)
		say(bench, FINDING_LINK_CHANGED, sight->name, "no rate-out",
		    options_get(&endpoint->options, "rate-out"));
}

static void judge_behind(struct bench *bench)
{
	const struct endpoint *endpoint = bench->judged->endpoint;
	const prefix_vector *list = &endpoint->policy.routes_for;
	const char *bridge = bench->judged->network->bridge;
	char text[PREFIX_TEXT_MAX], gateway[ADDR_TEXT_MAX], should_be[WORDS_MAX];

	for (size_t i = 0; i < list->len && bench->result >= 0; i++) {
		const struct prefix *destination = &list->items[i];

		bench->result = link_behind_is_there(bench->ctx->link, bridge, destination,
						     &bench->ctx->error);
		if (bench->result != 0)
			continue;
		addr_format(&endpoint_prefix(endpoint, destination->addr.family)->addr, gateway);
		snprintf(should_be, sizeof(should_be), "%s via %s dev %s, in the host",
			 prefix_format(destination, text), gateway, bridge);
		say(bench, FINDING_ROUTE_MISSING, "", "", should_be);
	}
}

/* ---- in the sandbox ---- */

static void judge_settings(struct bench *bench, const struct link_within *within)
{
	const struct endpoint *endpoint = bench->judged->endpoint;
	bool with_ipv6 = endpoint->ipv6.addr.family;
	uint32_t disabled = within->disable_ipv6 != 0;

	if (!within->has_settings || bench->ctx->policy.sandbox_ipv6 == SANDBOX_IPV6_LEAVE)
		return;
	say_number(bench, FINDING_INTERFACE_CHANGED, within->name, "disable_ipv6", disabled,
		   !with_ipv6);
	/* what is asked for is looked at by itself */
	if (with_ipv6 && !options_get(&endpoint->options, "sysctl.net.ipv6.conf.IFNAME.accept_ra"))
		say_number(bench, FINDING_INTERFACE_CHANGED, within->name, "accept_ra",
			   (uint32_t)within->accept_ra, 0);
}

static void judge_sysctls(struct bench *bench, const struct sandbox *sandbox)
{
	/* as it is called now */
	struct endpoint endpoint = *bench->judged->endpoint;
	CLEANUP_VECTOR sysctl_vector sysctls = { 0 };
	CLEANUP_FREE bool *differ = NULL;
	struct error *error = &bench->ctx->error;
	char should_be[WORDS_MAX];

	memcpy(endpoint.interface, bench->judged->within->name, sizeof(endpoint.interface));
	if (bench->result >= 0)
		bench->result = sysctls_of(&endpoint, &sysctls, error);
	if (bench->result < 0 || !sysctls.len)
		return;
	differ = calloc(sysctls.len, sizeof(*differ));
	bench->result = differ ? link_sysctls_differ(sandbox, &sysctls, differ, error) :
				 error_oom(error);
	for (size_t i = 0; i < sysctls.len && bench->result >= 0; i++) {
		if (!differ[i])
			continue;
		snprintf(should_be, sizeof(should_be), "%s = %.200s", sysctls.items[i].path,
			 sysctls.items[i].value);
		say(bench, FINDING_INTERFACE_CHANGED, endpoint.interface, "another value",
		    should_be);
	}
}

static void judge_interface(struct bench *bench, const struct link_within *within)
{
	const struct endpoint *endpoint = bench->judged->endpoint;
	char is[64], should_be[64], mac[MAC_TEXT_MAX];

	if (strcmp(within->name, endpoint->interface) != 0)
		say(bench, FINDING_INTERFACE_RENAMED, endpoint->interface, within->name,
		    endpoint->interface);
	if (!(within->flags & IFF_UP))
		say(bench, FINDING_INTERFACE_DOWN, within->name, "", "");
	if (memcmp(within->mac, endpoint->mac, MAC_LEN) != 0) {
		snprintf(is, sizeof(is), "MAC %s", mac_format(within->mac, mac));
		snprintf(should_be, sizeof(should_be), "MAC %s", mac_format(endpoint->mac, mac));
		say(bench, FINDING_INTERFACE_CHANGED, within->name, is, should_be);
	}
	say_number(bench, FINDING_INTERFACE_CHANGED, within->name, "MTU", within->mtu,
		   endpoint->mtu);
	for_each_family(family) {
		const bool *has = within->has[family == AF_INET6];

		for_each_address(address, endpoint, family) {
			char text[PREFIX_TEXT_MAX];

			if (!*has++)
				say(bench, FINDING_ADDRESS_MISSING, within->name, "",
				    prefix_format(address, text));
		}
	}
}

static void format_route(const struct link_route *route, const char *interface,
			 char text[static WORDS_MAX])
{
	char destination[PREFIX_TEXT_MAX], gateway[ADDR_TEXT_MAX] = "";
	bool leads = route->type == ROUTE_UNICAST;

	prefix_format(&route->destination, destination);
	if (leads && !addr_is_unspecified(&route->gateway))
		addr_format(&route->gateway, gateway);
	snprintf(text, WORDS_MAX, "%s%s%s%s%s%s%s metric %u",
		 leads ? "" : route_type_name(route->type), leads ? "" : " ",
		 route->destination.len ? destination : "default", gateway[0] ? " via " : "",
		 gateway, leads ? " dev " : "", leads ? interface : "", route->metric);
}

/* One of that destination and metric is in its place, whatever it is. */
static void judge_route(struct bench *bench, const struct link_route *wanted)
{
	const struct judged *judged = bench->judged;
	const struct link_route *found = NULL;
	char is[WORDS_MAX], should_be[WORDS_MAX];

	for (size_t i = 0; i < judged->routes->len; i++) {
		const struct link_route *route = &judged->routes->items[i];

		if (route->metric != wanted->metric ||
		    prefix_compare(&route->destination, &wanted->destination) != 0)
			continue;
		found = route;
		if (route->type == wanted->type &&
		    (wanted->type != ROUTE_UNICAST ||
		     (route->index == wanted->index &&
		      addr_compare(&route->gateway, &wanted->gateway) == 0)))
			return;
	}
	format_route(wanted, judged->within->name, should_be);
	if (!found) {
		say(bench, FINDING_ROUTE_MISSING, "", "", should_be);
		return;
	}
	format_route(found,
		     found->index == judged->within->index ? judged->within->name :
							     "another interface",
		     is);
	say(bench, FINDING_ROUTE_REPLACED, "", is, should_be);
}

static void judge_routes(struct bench *bench, const struct link_within *within)
{
	const struct endpoint *endpoint = bench->judged->endpoint;

	for_each_family(family)
		if (endpoint_metric(endpoint, family) && endpoint_prefix(endpoint, family))
			judge_route(bench,
				    &(struct link_route){
					    .destination.addr.family = family,
					    .gateway = *endpoint_gateway(
						    endpoint, bench->judged->network, family),
					    .index = within->index,
					    .metric = endpoint_metric(endpoint, family),
				    });
	for (size_t i = 0; i < endpoint->routes.len; i++) {
		const struct route *route = &endpoint->routes.items[i];

		judge_route(bench, &(struct link_route){
					   .destination = route->destination,
					   .gateway = route->gateway,
					   .index = within->index,
					   .metric = route_metric(route),
					   .type = route->type,
				   });
	}
}

/* In a sandbox of several. */
static void judge_sources(struct bench *bench, const struct link_within *within)
{
	const struct endpoint *endpoint = bench->judged->endpoint;
	char address[ADDR_TEXT_MAX], gateway[ADDR_TEXT_MAX], should_be[WORDS_MAX];

	for_each_family(family) {
		const bool *lacks = within->lacks_source[family == AF_INET6];

		for_each_address(prefix, endpoint, family) {
			if (!*lacks++)
				continue;
			addr_format(&prefix->addr, address);
			addr_format(endpoint_gateway(endpoint, bench->judged->network, family),
				    gateway);
			snprintf(should_be, sizeof(should_be), "from %s by %s dev %s", address,
				 gateway, within->name);
			say(bench, FINDING_ROUTE_MISSING, "", "", should_be);
		}
	}
}

static void judge_within(struct bench *bench, const struct sandbox *sandbox)
{
	const struct link_within *within = bench->judged->within;

	/* the one has gone with the other */
	if (!within->index && (bench->judged->host->index || within->is_taken))
		say(bench, FINDING_INTERFACE_MISSING, bench->judged->endpoint->interface,
		    whose(within->is_taken), "");
	if (!within->index)
		return;
	judge_interface(bench, within);
	judge_settings(bench, within);
	judge_routes(bench, within);
	judge_sources(bench, within);
	judge_sysctls(bench, sandbox);
}

/* ---- all of it ---- */

/* One that leads nowhere misleads nobody. */
static void judge_path(struct bench *bench, const struct sandbox *sandbox)
{
	const char *path = bench->judged->endpoint->sandbox;
	CLEANUP_SANDBOX struct sandbox other = { .fd = -1 };

	/* it was opened by way of it, or of that of another endpoint */
	if (!path[0] || strcmp(sandbox->path, path) == 0)
		return;
	if (sandbox_open_path(path, &other, NULL) >= 0 && !sandbox_is_same(&other, sandbox))
		say(bench, FINDING_SANDBOX_PATH, path, other.name, sandbox->name);
}

int judge(bn_ctx *ctx, struct inspection *inspection, const struct sandbox *sandbox,
	  const struct judged *judged)
{
	struct bench bench = { ctx, inspection, judged, 0 };
	const struct sandbox attached = sandbox_of(judged->endpoint);

	if (sandbox)
		judge_path(&bench, sandbox);
	else
		say(&bench, FINDING_SANDBOX_HIDDEN, attached.name,
		    "no path leads there, and not every process may be looked at", "");
	if (judged->host)
		judge_host(&bench);
	judge_behind(&bench);
	if (sandbox && judged->within)
		judge_within(&bench, sandbox);
	return bench.result;
}

int judge_gone(bn_ctx *ctx, struct inspection *inspection, const struct endpoint *endpoint)
{
	const struct judged judged = { .endpoint = endpoint };
	struct bench bench = { ctx, inspection, &judged, 0 };
	const struct sandbox attached = sandbox_of(endpoint);

	say(&bench, FINDING_SANDBOX_GONE, endpoint->sandbox[0] ? endpoint->sandbox : attached.name,
	    "", "");
	return bench.result;
}
