/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "link/private.h"

/* IFLA_BR_FDB_MAX_LEARNED of the headers of Linux 6.7; older kernels pass over it. */
#define BRIDGE_FDB_MAX_LEARNED 49

/* Without a limit an endpoint that makes up source addresses fills the kernel's memory. The 1023
 * ports that a bridge can have may have 16 machines each behind them; all of it is some 2 MB. What
 * is not learned any more is still reached, as a frame for an unknown address goes to each port. */
#define LEARNED_MAX 16384

#define ADOPTION_UNDO_MS 2000

/* An alternative name of someone else's bridge, which the version before gave it, says that it was
 * us who set route_localnet. */
#define LOCALNET_MARK_MAX (IFNAMSIZ + 32)
static const char *localnet_mark(const char *bridge, char mark[static LOCALNET_MARK_MAX])
{
	snprintf(mark, LOCALNET_MARK_MAX, "bridgenet-route-localnet-%s", bridge);
	return mark;
}

static struct prefix gateway_prefix(const struct subnet *subnet)
{
	return (struct prefix){ subnet->gateway, subnet->prefix.len };
}

static bool has_family(const struct subnet *subnet)
{
	return subnet->prefix.addr.family != 0;
}

static bool has_gateway(const struct subnet *subnet)
{
	return has_family(subnet) && addr_is_set(&subnet->gateway);
}

/* ---- a bridge of our own ---- */

/* An address of its own: else it would change as ports with lower ones come and go. */
void bridge_own_mac(const struct bridge_config *config, uint8_t mac[static MAC_LEN])
{
	mac_from_addr(has_gateway(&config->ipv4) ? &config->ipv4.gateway :
		      has_gateway(&config->ipv6) ? &config->ipv6.gateway :
						   &config->stand_in,
		      0, mac);
}

void bridge_mac(struct link_handle *handle, const struct bridge_config *config,
		uint8_t ret_mac[static MAC_LEN])
{
	struct ifreq answer;

	if (link_is_known(handle, config->name) &&
	    rtnl_link_ask(handle, config->name, SIOCGIFHWADDR, &answer))
		memcpy(ret_mac, answer.ifr_hwaddr.sa_data, MAC_LEN);
	else
		bridge_own_mac(config, ret_mac);
}

/* fe80:: and the MAC as RFC 4291 makes an interface identifier of it. */
struct prefix bridge_link_local(const struct bridge_config *config)
{
	struct prefix prefix = { { AF_INET6, { 0xfe, 0x80 } }, 64 };
	uint8_t *id = prefix.addr.bytes + 8, mac[MAC_LEN];

	bridge_own_mac(config, mac);
	memcpy(id, mac, 3);
	memcpy(id + 5, mac + 3, 3);
	id[0] ^= 2;
	id[3] = 0xff;
	id[4] = 0xfe;
	return prefix;
}

#define MTU_MAX 65535

/* With another MTU than it is to have: see bridge_mark(). */
static int make_bridge(struct link_handle *handle, const struct bridge_config *config,
		       struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	struct nlattr *info, *data;
	uint8_t mac[MAC_LEN];
	int r;

	bridge_own_mac(config, mac);
	rtnl_add_named(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, config->name);
	rtnl_put(&batch, IFLA_ADDRESS, mac, sizeof(mac));
	rtnl_put_u32(&batch, IFLA_GROUP, LINK_GROUP_NEWBORN);
	rtnl_put_u32(&batch, IFLA_MTU, config->mtu < MTU_MAX ? config->mtu + 1 : MTU_MAX - 1);
	info = rtnl_nest(&batch, IFLA_LINKINFO);
	rtnl_put_string(&batch, IFLA_INFO_KIND, "bridge");
	data = rtnl_nest(&batch, IFLA_INFO_DATA);
	rtnl_put_u32(&batch, IFLA_BR_STP_STATE, 0);
	rtnl_put_u32(&batch, BRIDGE_FDB_MAX_LEARNED, LEARNED_MAX);
	rtnl_nest_end(&batch, data);
	rtnl_nest_end(&batch, info);
	r = rtnl_run_step(handle, &batch, "link.bridge.create");
	if (batch.lost)
		r = link_was_made(handle, config->name, r, NULL);
	if (r == -EEXIST)
		return error_set(error, r, BN_REASON_INTERFACE_EXISTS,
				 "the host has an interface %s already; choose another bridge name "
				 "or delete it",
				 config->name);
	return r < 0 ? rtnl_failure(error, &batch, r, "create bridge %s", config->name) : 0;
}

/* Where the kernel can be told so, in place of all: see forwarding.c. */
static int force_forwarding(const struct bridge_config *config, struct error *error)
{
	struct error cause = { 0 };
	int r;

	if (!has_force_forwarding() || sysctl_interface_read("ipv6", "all", "forwarding") > 0)
		return 0;
	r = sysctl_interface_write("ipv6", config->name, "force_forwarding", 1, &cause);
	if (r == 0)
		return 0;
	return error_set(error, r, cause.reason,
			 "cannot set net.ipv6.conf.%s.force_forwarding to 1: %s; make /proc/sys "
			 "writable, or set net.ipv6.conf.all.forwarding to 1 yourself",
			 config->name, errno_text(-r));
}

/* The host itself gives addresses there, and takes none from an endpoint that says that it is a
 * router. `forwarding` is not set: for IPv6 it only says what the host is to its neighbours, and
 * `all` decides. And whichever interface it is written to, the kernel takes away the default routes
 * that routers advertised on any interface without accept_ra=2. */
int bridge_set_ipv6(const struct bridge_config *config, char note[static LINK_NOTE_MAX],
		    struct error *error)
{
	bool has = has_family(&config->ipv6);
	struct error cause = { 0 };
	int r = FAULT("link.bridge.sysctl");

	if (r < 0)
		return r;
	r = sysctl_interface_write("ipv6", config->name, "disable_ipv6", !has, &cause);
	if (r < 0 && has)
		return error_set(error, r, cause.reason, "%s", cause.message);
	/* it does as well without; the first is the gravest */
	if (r == 0)
		r = sysctl_interface_write("ipv6", config->name, "accept_ra", 0, &cause);
	else
		sysctl_interface_write("ipv6", config->name, "accept_ra", 0, NULL);
	if (r < 0)
		string_copy(note, LINK_NOTE_MAX, cause.message);
	return has ? force_forwarding(config, error) : 0;
}

/* Where the host forwards, a new interface need not: `default` may say otherwise than `all`. Not by
 * files, which can't be written everywhere. */
static void put_bridge_ipv4(struct rtnl_batch *batch, const struct bridge_config *config)
{
	static const int conf[][2] = {
		{ IPV4_DEVCONF_FORWARDING, 1 },
		{ IPV4_DEVCONF_ROUTE_LOCALNET, 1 },
	};

	rtnl_add_named(batch, RTM_NEWLINK, 0, config->name);
	rtnl_put_ipv4_conf(batch, conf, ARRAY_SIZE(conf));
}

/* The alias, which creating ignores, and the MTU: only when it is changed afterwards does the
 * bridge keep it instead of following its ports. */
int bridge_mark(struct link_handle *handle, const struct bridge_config *config, bool has_ipv6,
		struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r;

	rtnl_add_named(&batch, RTM_NEWLINK, 0, config->name);
	rtnl_put_string(&batch, IFLA_IFALIAS, config->alias);
	rtnl_put_u32(&batch, IFLA_GROUP, 0);
	rtnl_put_u32(&batch, IFLA_MTU, config->mtu);
	if (has_ipv6)
		rtnl_put_no_addr_gen(&batch);
	if (has_family(&config->ipv4))
		put_bridge_ipv4(&batch, config);
	r = rtnl_run_surely(handle, &batch, 0, "link.bridge.mark");
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "set the alias, and the MTU %u, of bridge %s",
			    config->mtu, config->name);
}

static size_t bridge_gateways_of(const struct bridge_config *config,
				 struct prefix ret_gateways[static BRIDGE_ADDRESSES])
{
	size_t len = 0;

	for (size_t i = 0; i < SUBNETS_MAX; i++)
		if (has_gateway(&config->ipv4_subnets[i]))
			ret_gateways[len++] = gateway_prefix(&config->ipv4_subnets[i]);
	/* as those of endpoints */
	for (size_t i = SUBNETS_MAX; i-- > 0;)
		if (has_gateway(&config->ipv6_subnets[i]))
			ret_gateways[len++] = gateway_prefix(&config->ipv6_subnets[i]);
	return len;
}

size_t bridge_addresses_of(const struct bridge_config *config,
			   struct prefix ret_addresses[static BRIDGE_ADDRESSES])
{
	size_t len = bridge_gateways_of(config, ret_addresses);

	/* Without a link-local address the host can't look for neighbours of packets it forwards,
	 * and the kernel's own would be tentative for a second. */
	if (!config->adopt && has_family(&config->ipv6))
		ret_addresses[len++] = bridge_link_local(config);
	return len;
}

static const struct address_info *find_address(const address_vector *addresses,
					       const struct prefix *address)
{
	for (size_t i = 0; i < addresses->len; i++) {
		if (prefix_compare(&addresses->items[i].address, address) == 0)
			return &addresses->items[i];
	}
	return NULL;
}

/* Those that it lacks, and up. */
int bridge_put_addresses(struct link_handle *handle, const struct bridge_config *config,
			 uint32_t index, bool is_up, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	CLEANUP_VECTOR address_vector addresses = { 0 };
	struct prefix wanted[BRIDGE_ADDRESSES];
	size_t len = bridge_addresses_of(config, wanted);
	int r = link_addresses(handle, index, false, &addresses, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++) {
		if (find_address(&addresses, &wanted[i]))
			continue;
		rtnl_add_address(&batch, RTM_NEWADDR, index, &wanted[i], PROTOCOL_OURS);
		/* so it is the last one that is waited for */
		if (wanted[i].addr.family == AF_INET6 && !addr_is_link_local(&wanted[i].addr))
			rtnl_watch_address(handle, index, &wanted[i].addr);
	}
	if (!is_up)
		rtnl_add_link_up(&batch, index);
	r = rtnl_run_surely(handle, &batch, -EEXIST,
			    config->adopt ? "link.bridge.adopt" : "link.bridge.address");
	if (r < 0) {
		rtnl_unwatch_address(handle);
		return rtnl_failure(error, &batch, r, "give bridge %s its addresses", config->name);
	}
	if (handle->watched_index)
		rtnl_await_address(handle);
	return 0;
}

static int create_own_bridge(struct link_handle *handle, const struct bridge_config *config,
			     char note[static LINK_NOTE_MAX], struct error *error)
{
	bool has_ipv6 = handle->has_ipv6 && config->mtu >= IPV6_MTU_MIN;
	int r;

	if (has_family(&config->ipv6) && !handle->has_ipv6)
		return error_set(error, -EAFNOSUPPORT, BN_REASON_UNSUPPORTED,
				 "bridge %s cannot have IPv6 (MTU %u): this kernel has none; leave "
				 "the IPv6 subnet out",
				 config->name, config->mtu);
	if (has_family(&config->ipv6) && !has_ipv6)
		return error_set(error, -EAFNOSUPPORT, BN_REASON_UNSUPPORTED,
				 "bridge %s cannot have IPv6 with an MTU of %u; give 1280 or more",
				 config->name, config->mtu);
	r = make_bridge(handle, config, error);
	if (r < 0)
		return r;
	/* Sysctls before the MTU: below 1280 the kernel takes those of IPv6 away. */
	r = handle->has_ipv6 ? bridge_set_ipv6(config, note, error) : 0;
	if (r == 0)
		r = bridge_mark(handle, config, has_ipv6, error);
	if (r == 0)
		r = bridge_put_addresses(handle, config, rtnl_link_index(handle, config->name),
					 false, error);
	if (r < 0)
		rtnl_delete_link(handle, rtnl_link_index(handle, config->name));
	return r;
}

/* ---- someone else's bridge ---- */

/* The mark goes last, so that what was set is never without it. */
static int clear_localnet(struct link_handle *handle, const struct bridge_config *config,
			  uint32_t index, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	char mark[LOCALNET_MARK_MAX];
	struct nlattr *list;
	int r;

	r = conf_write(handle, AF_INET, config->name, "route_localnet", 0, error);
	if (r < 0)
		return r;
	rtnl_add_link(&batch, RTM_DELLINKPROP, 0, index);
	list = rtnl_nest(&batch, IFLA_PROP_LIST);
	rtnl_put_string(&batch, IFLA_ALT_IFNAME, localnet_mark(config->name, mark));
	rtnl_nest_end(&batch, list);
	r = rtnl_run_surely(handle, &batch, -ENOENT, "link.bridge.localnet");
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "take the name %s from bridge %s", mark,
			    config->name);
}

/* With other ports it is by this bridge that the host learns of its routers, maybe. */
static void refuse_advertisements(const struct bridge_config *config, int others,
				  char note[static LINK_NOTE_MAX])
{
	int accepts = sysctl_interface_read("ipv6", config->name, "accept_ra");
	struct error cause = { 0 };

	if (accepts <= 0)
		return;
	if (!others) {
		if (sysctl_interface_write("ipv6", config->name, "accept_ra", 0, &cause) < 0)
			string_copy(note, LINK_NOTE_MAX, cause.message);
		return;
	}
	/* one that forwards takes them only with 2 */
	if (sysctl_interface_read("ipv6", config->name, "disable_ipv6") == 0 &&
	    (accepts > 1 || sysctl_interface_read("ipv6", config->name, "forwarding") == 0))
		snprintf(note, LINK_NOTE_MAX,
			 "endpoints can send router advertisements to the host, which takes them "
			 "on bridge %s, as that has other ports; where it needs none, set "
			 "net.ipv6.conf.%s.accept_ra=0",
			 config->name, config->name);
}

int bridge_check_adopted(const struct bridge_config *config, struct link_info *info, int found,
			 struct error *error)
{
	if (found == -ENODEV)
		return error_set(error, -ENODEV, BN_REASON_BRIDGE_INVALID,
				 "bridge %s does not exist; create it first or leave the bridge "
				 "name out",
				 config->name);
	if (found < 0)
		return found;
	if (strcmp(info->kind, "bridge") != 0)
		return error_set(error, -EINVAL, BN_REASON_BRIDGE_INVALID,
				 "interface %s is not a bridge (%s); give another bridge name",
				 config->name, info->kind[0] ? info->kind : "a device");
	if (has_family(&config->ipv6) &&
	    sysctl_interface_read("ipv6", config->name, "disable_ipv6") != 0)
		return error_set(error, -EOPNOTSUPP, BN_REASON_BRIDGE_INVALID,
				 "bridge %s has no IPv6; turn it on with "
				 "net.ipv6.conf.%s.disable_ipv6=0 or leave the IPv6 subnet out",
				 config->name, config->name);
	return 0;
}

/* With time of its own: what fails may have taken all there was. */
static void undo_adoption(struct link_handle *handle, const struct bridge_config *config)
{
	const struct deadline *deadline = handle->deadline;
	const struct deadline undo = deadline_after(ADOPTION_UNDO_MS);

	handle->deadline = &undo;
	bridge_delete(handle, config, NULL, NULL);
	handle->deadline = deadline;
}

static int adopt_bridge(struct link_handle *handle, const struct bridge_config *config,
			char note[static LINK_NOTE_MAX], struct error *error)
{
	struct link_info info;
	int others, r;

	r = link_info_get(handle, config->name, NULL, &info, error);
	r = bridge_check_adopted(config, &info, r, error);
	if (r < 0)
		return r;
	others = bridge_ports(handle, info.interface.index, true, error);
	if (others < 0)
		return others;
	r = bridge_put_addresses(handle, config, info.interface.index,
				 info.interface.flags & IFF_UP, error);
	if (r == 0)
		r = FAULT("link.bridge.localnet");
	if (r == 0 && has_family(&config->ipv4))
		r = conf_write(handle, AF_INET, config->name, "route_localnet", 1, error);
	if (r < 0)
		undo_adoption(handle, config);
	else if (!config->links_only)
		refuse_advertisements(config, others, note);
	return r;
}

static int release_bridge(struct link_handle *handle, const struct bridge_config *config,
			  const struct link_info *info, bool *changed, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	struct prefix gateways[BRIDGE_ADDRESSES];
	size_t len = bridge_gateways_of(config, gateways);
	CLEANUP_VECTOR address_vector addresses = { 0 };
	int r;

	if (info->has_altname) {
		*changed = true;
		r = clear_localnet(handle, config, info->interface.index, error);
		if (r < 0)
			return r;
	}
	r = link_addresses(handle, info->interface.index, false, &addresses, error);
	for (size_t i = 0; r == 0 && i < len; i++) {
		const struct address_info *found = find_address(&addresses, &gateways[i]);

		if (found && found->protocol == PROTOCOL_OURS)
			rtnl_add_address(&batch, RTM_DELADDR, info->interface.index, &gateways[i],
					 0);
	}
	*changed |= batch.len > 0;
	if (r == 0)
		r = rtnl_run_surely(handle, &batch, -EADDRNOTAVAIL, "link.bridge.release");
	if (r == 0 || r == -ENODEV)
		return 0;
	return rtnl_failure(error, &batch, r, "take the addresses of network bridge %s away",
			    config->name);
}

int bridge_create(struct link_handle *handle, const struct bridge_config *config, char *ret_note,
		  struct error *error)
{
	char note[LINK_NOTE_MAX] = "";
	int r;

	if (config->adopt)
		r = adopt_bridge(handle, config, note, error);
	else
		r = create_own_bridge(handle, config, note, error);
	if (r == 0 && ret_note)
		string_copy(ret_note, LINK_NOTE_MAX, note);
	return r;
}

/* Somebody may have taken its alias away, or written his own over it. */
bool bridge_was_ours(const struct bridge_config *config, const struct link_info *info)
{
	uint8_t mac[MAC_LEN];

	bridge_own_mac(config, mac);
	return strcmp(info->kind, "bridge") == 0 &&
	       strcmp(info->interface.name, config->name) == 0 &&
	       memcmp(info->interface.mac, mac, MAC_LEN) == 0 &&
	       strncmp(info->alias, ALIAS_MARK, strlen(ALIAS_MARK)) != 0;
}

/* Of ours, however it was renamed; another may have made one of its name. */
int bridge_find(struct link_handle *handle, const struct bridge_config *config,
		struct link_info *ret_info, struct error *error)
{
	char mark[LOCALNET_MARK_MAX];
	struct link_info named;
	bool was_ours;
	int r = link_info_get(handle, config->name, localnet_mark(config->name, mark), &named,
			      error);

	if (r < 0 && (config->adopt || r != -ENODEV))
		return r;
	if (r == 0 && (config->adopt || strcmp(named.alias, config->alias) == 0 ||
		       named.group == LINK_GROUP_NEWBORN)) {
		*ret_info = named;
		return 0;
	}
	was_ours = r == 0 && bridge_was_ours(config, &named);
	r = link_find_alias(handle, "bridge", config->alias, ret_info, error);
	if (r == -ENODEV && was_ours) {
		*ret_info = named;
		return 0;
	}
	return r;
}

int bridge_delete(struct link_handle *handle, const struct bridge_config *config, bool *ret_changed,
		  struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	struct link_info info;
	const index_vector indexes = { .items = &info.interface.index, .len = 1 };
	bool ignored;
	int r;

	if (!ret_changed)
		ret_changed = &ignored;
	*ret_changed = false;
	r = bridge_find(handle, config, &info, error);
	if (r < 0)
		return r == -ENODEV ? 0 : r;
	if (config->adopt)
		return release_bridge(handle, config, &info, ret_changed, error);
	rtnl_add_link(&batch, RTM_DELLINK, 0, info.interface.index);
	r = links_delete(handle, &batch, &indexes, "link.bridge.delete");
	*ret_changed = r == 0 || batch.lost;
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "delete bridge %s", config->name);
}

int bridge_set_mtu(struct link_handle *handle, const struct bridge_config *config,
		   struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	struct link_info info;
	int r;

	if (config->adopt)
		return 0;
	r = bridge_find(handle, config, &info, error);
	if (r == -ENODEV) {
		error_clear(error);
		return 0;
	}
	if (r < 0)
		return r;
	rtnl_add_link(&batch, RTM_NEWLINK, 0, info.interface.index);
	rtnl_put_u32(&batch, IFLA_MTU, config->mtu);
	r = rtnl_run_surely(handle, &batch, -ENODEV, "link.bridge.mtu");
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "set the MTU %u of bridge %s", config->mtu,
			    config->name);
}
