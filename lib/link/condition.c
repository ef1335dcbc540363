/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bridges beside what they should be. One is looked up by its name, many are dumped: with the
 * settings that interfaces have of their own, which come with the link. */
/* Before those of Linux, which define the same unless they see it. */
#include <netinet/in.h>

#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "link/private.h"

/* Headers before Linux 6.17 lack it. */
#define DEVCONF_FORCED_FORWARDING (DEVCONF_ACCEPT_RA_MIN_LFT + 1)

/* ---- what there is ---- */

struct seen_bridge {
	struct link_info info;
	struct bridge_values values;
};

struct seen {
	VECTOR(struct seen_bridge) bridges; /* by name */
	address_vector addresses;           /* by interface */
};

static void seen_clear(struct seen *seen)
{
	free(seen->bridges.items);
	free(seen->addresses.items);
}

/* -1: the kernel does not tell. */
static int value_of(struct nlattr *list, size_t index)
{
	if (!list || nla_len(list) < (int)((index + 1) * sizeof(int32_t)))
		return -1;
	return ((const int32_t *)nla_data(list))[index];
}

static struct nlattr *find_list(struct nlattr *families, int family, int list)
{
	struct nlattr *one = families ? nla_find(nla_data(families), nla_len(families), family) :
					NULL;

	return one ? nla_find(nla_data(one), nla_len(one), list) : NULL;
}

static struct bridge_values values_of(const struct nlmsghdr *reply)
{
	struct nlattr *families =
		nlmsg_find_attr((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), IFLA_AF_SPEC);
	struct nlattr *ipv4 = find_list(families, AF_INET, IFLA_INET_CONF);
	struct nlattr *ipv6 = find_list(families, AF_INET6, IFLA_INET6_CONF);

	/* IPv4's are counted from 1 */
	return (struct bridge_values){
		.forwarding = value_of(ipv4, IPV4_DEVCONF_FORWARDING - 1),
		.route_localnet = value_of(ipv4, IPV4_DEVCONF_ROUTE_LOCALNET - 1),
		.disable_ipv6 = value_of(ipv6, DEVCONF_DISABLE_IPV6),
		.accept_ra = value_of(ipv6, DEVCONF_ACCEPT_RA),
		.force_forwarding = value_of(ipv6, DEVCONF_FORCED_FORWARDING),
	};
}

static int take_bridge(void *userdata, const struct nlmsghdr *reply)
{
	struct seen *seen = userdata;
	struct seen_bridge bridge;

	if (!reply) {
		seen->bridges.len = 0;
		return 0;
	}
	if (!link_info_parse(reply, &bridge.info))
		return 0;
	bridge.values = values_of(reply);
	return vector_append(&seen->bridges, bridge);
}

static int compare_names(const void *left, const void *right)
{
	const struct seen_bridge *a = left, *b = right;

	return strcmp(a->info.interface.name, b->info.interface.name);
}

static int compare_indexes(const void *left, const void *right)
{
	const struct address_info *a = left, *b = right;

	return (a->index > b->index) - (a->index < b->index);
}

static int see_all(struct link_handle *handle, struct seen *seen, struct error *error)
{
	int r = links_dump_kind(handle, "bridge", take_bridge, seen, error);

	seen->addresses.len = 0;
	if (r == 0)
		r = link_addresses(handle, 0, false, &seen->addresses, error);
	if (r < 0)
		return r;
	if (seen->bridges.len)
		qsort(seen->bridges.items, seen->bridges.len, sizeof(*seen->bridges.items),
		      compare_names);
	if (seen->addresses.len)
		qsort(seen->addresses.items, seen->addresses.len, sizeof(*seen->addresses.items),
		      compare_indexes);
	return 0;
}

static bool is_its(const struct bridge_config *config, const struct link_info *info)
{
	return strcmp(info->kind, "bridge") == 0 &&
	       strcmp(info->interface.name, config->name) == 0 &&
	       (config->adopt || strcmp(info->alias, config->alias) == 0 ||
		info->group == LINK_GROUP_NEWBORN || bridge_was_ours(config, info));
}

/* All are looked through where it is not what has its name. */
static int see_one(struct link_handle *handle, const struct bridge_config *config,
		   struct seen *seen, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_bridge, .userdata = seen };
	int r;

	rtnl_add_named(&batch, RTM_GETLINK, 0, config->name);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_run(handle, &batch);
	if (r < 0 && r != -ENODEV)
		return rtnl_failure(error, &batch, r, "look up bridge %s", config->name);
	if (seen->bridges.len == 1 && is_its(config, &seen->bridges.items->info))
		return link_addresses(handle, seen->bridges.items->info.interface.index, false,
				      &seen->addresses, error);
	return see_all(handle, seen, error);
}

/* ---- which it is ---- */

static bool has_address(const struct seen *seen, uint32_t index, const struct prefix *address)
{
	const struct address_info key = { .index = index };
	const struct address_info *items = seen->addresses.items, *found = NULL;
	size_t i;

	if (seen->addresses.len)
		found = bsearch(&key, items, seen->addresses.len, sizeof(key), compare_indexes);
	if (!found)
		return false;
	for (i = (size_t)(found - items); i > 0 && items[i - 1].index == index;)
		i--;
	for (; i < seen->addresses.len && items[i].index == index; i++)
		if (prefix_compare(&items[i].address, address) == 0)
			return true;
	return false;
}

static const struct seen_bridge *find_named(const struct seen *seen, const char *name)
{
	struct seen_bridge key;

	string_copy(key.info.interface.name, sizeof(key.info.interface.name), name);
	return seen->bridges.len ? bsearch(&key, seen->bridges.items, seen->bridges.len,
					   sizeof(key), compare_names) :
				   NULL;
}

/* Under another name: ours by its alias, somebody else's by the address that it has of the
 * network. */
static const struct seen_bridge *find_renamed(const struct seen *seen,
					      const struct bridge_config *config)
{
	struct prefix addresses[BRIDGE_ADDRESSES];
	size_t len = bridge_addresses_of(config, addresses);

	for (size_t i = 0; i < seen->bridges.len; i++) {
		const struct link_info *info = &seen->bridges.items[i].info;

		if (config->adopt ? len && has_address(seen, info->interface.index, &addresses[0]) :
				    strcmp(info->alias, config->alias) == 0)
			return &seen->bridges.items[i];
	}
	return NULL;
}

static void take_condition(const struct seen *seen, const struct seen_bridge *found,
			   struct bridge_sight *sight)
{
	const struct interface *interface = &found->info.interface;
	struct prefix addresses[BRIDGE_ADDRESSES];
	size_t len = bridge_addresses_of(&sight->config, addresses);

	string_copy(sight->name, sizeof(sight->name), interface->name);
	string_copy(sight->alias, sizeof(sight->alias), found->info.alias);
	sight->index = interface->index;
	sight->mtu = interface->mtu;
	sight->is_up = interface->flags & IFF_UP;
	memcpy(sight->mac, interface->mac, MAC_LEN);
	sight->values = found->values;
	for (size_t i = 0; i < len; i++)
		if (!has_address(seen, interface->index, &addresses[i]))
			sight->lacking[sight->lacking_len++] = addresses[i];
}

/* Nothing of the network's: what else has the name? */
static int look_for_other(struct link_handle *handle, const struct bridge_config *config,
			  struct bridge_sight *sight, struct error *error)
{
	struct link_info info;
	int r = link_info_get(handle, config->name, NULL, &info, error);

	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	sight->presence = BRIDGE_TAKEN;
	string_copy(sight->name, sizeof(sight->name), info.interface.name);
	string_copy(sight->kind, sizeof(sight->kind), info.kind);
	return 0;
}

static int judge(struct link_handle *handle, const struct seen *seen, struct bridge_sight *sight,
		 struct error *error)
{
	const struct bridge_config *config = &sight->config;
	const struct seen_bridge *found = find_named(seen, config->name);

	if (found && is_its(config, &found->info)) {
		sight->presence = BRIDGE_THERE;
	} else {
		found = find_renamed(seen, config);
		sight->presence = found ? BRIDGE_RENAMED : BRIDGE_MISSING;
	}
	if (!found)
		return look_for_other(handle, config, sight, error);
	take_condition(seen, found, sight);
	return 0;
}

int bridges_look(struct link_handle *handle, struct bridge_sight *sights, size_t len,
		 struct error *error)
{
	CLEANUP(seen_clear) struct seen seen = { 0 };
	int r = 0;

	if (len == 1 && sights->config.name)
		r = see_one(handle, &sights->config, &seen, error);
	else if (len > 1)
		r = see_all(handle, &seen, error);
	for (size_t i = 0; i < len && r == 0; i++)
		if (sights[i].config.name)
			r = judge(handle, &seen, &sights[i], error);
	return r == -ENOMEM ? error_oom(error) : r;
}

/* ---- its settings ---- */

struct wanted {
	const struct bridge_sight *sight;
	link_setting_vector *lacking;
	int error;
};

static void want(struct wanted *wanted, int family, const char *key, int is, int should_be)
{
	struct link_setting setting = { .family = family, .key = key, .is = is };

	/* of a family that it has not: -1 */
	if (is < 0 || is == should_be || wanted->error < 0)
		return;
	setting.should_be = should_be;
	/* nobody's bridge is adopted that has it off */
	setting.others = wanted->sight->config.adopt && strcmp(key, "disable_ipv6") == 0;
	string_copy(setting.interface, sizeof(setting.interface), wanted->sight->config.name);
	wanted->error = vector_append(wanted->lacking, setting);
}

/* As bridge_create() treats one: with ports of others it takes them as the host wants. */
static int want_advertisements(struct link_handle *handle, struct wanted *wanted,
			       struct error *error)
{
	const struct bridge_sight *sight = wanted->sight;
	int others = 0;

	if (sight->config.adopt && sight->config.links_only)
		return 0;
	if (sight->config.adopt && sight->values.accept_ra > 0)
		others = bridge_ports(handle, sight->index, true, error);
	if (others == 0)
		want(wanted, AF_INET6, "accept_ra", sight->values.accept_ra, 0);
	return others < 0 ? others : 0;
}

int bridge_settings_lacking(struct link_handle *handle, const struct bridge_sight *sight,
			    link_setting_vector *lacking, struct error *error)
{
	const struct bridge_config *config = &sight->config;
	const struct bridge_values *values = &sight->values;
	struct wanted wanted = { .sight = sight, .lacking = lacking };
	bool ipv4 = config->ipv4.prefix.addr.family, ipv6 = config->ipv6.prefix.addr.family;
	int r;

	if (ipv4) {
		/* of IPv4 0, 1, and whatever else is on */
		want(&wanted, AF_INET, "forwarding",
		     values->forwarding > 0 ? 1 : values->forwarding, 1);
		want(&wanted, AF_INET, "route_localnet", values->route_localnet, 1);
	}
	if (ipv6 || !config->adopt)
		want(&wanted, AF_INET6, "disable_ipv6", values->disable_ipv6, !ipv6);
	if (ipv6 && values->force_forwarding == 0 &&
	    sysctl_interface_read("ipv6", "all", "forwarding") == 0)
		want(&wanted, AF_INET6, "force_forwarding", 0, 1);
	r = want_advertisements(handle, &wanted, error);
	return wanted.error < 0 ? error_oom(error) : r;
}

int link_setting_write(struct link_handle *handle, const struct link_setting *setting,
		       struct error *error)
{
	return conf_write(handle, setting->family, setting->interface, setting->key,
			  setting->should_be, error);
}
