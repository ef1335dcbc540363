/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/veth.h>
#include <stdio.h>
#include <unistd.h>

#include "link/private.h"

#define LOOPBACK_INDEX 1 /* the kernel gives it to lo in every namespace */
#define FIRST_INDEX 2    /* and this to the first interface that is made there, and to no other */

/* May the link be told about IPv6? A kernel, or a link, without it refuses the attribute. */
static bool knows_ipv6(const struct link_handle *handle, const struct endpoint *endpoint)
{
	return handle->has_ipv6 && endpoint->mtu >= IPV6_MTU_MIN;
}

static void put_veth_end(struct rtnl_batch *batch, const char *name, uint32_t mtu)
{
	rtnl_put_string(batch, IFLA_IFNAME, name);
	rtnl_put_u32(batch, IFLA_MTU, mtu);
	/* The default, a queue for each possible CPU, costs a quarter of the whole attach. */
	rtnl_put_u32(batch, IFLA_NUM_TX_QUEUES, 1);
	rtnl_put_u32(batch, IFLA_NUM_RX_QUEUES, 1);
}

/* A bridge without an address of its own takes the lowest of its ports', and whoever knows that one
 * loses the bridge when it changes: ours come last, and no two on a bridge are the same. */
void host_end_mac(const struct endpoint *endpoint, uint8_t ret_mac[static MAC_LEN])
{
	memcpy(ret_mac, endpoint->mac, MAC_LEN);
	ret_mac[0] = ret_mac[0] == 0xfe ? 0xfa : 0xfe;
}

/* The peer is born in the sandbox under its final name: moving or renaming a link later takes
 * milliseconds under the lock that all of rtnetlink waits for. */
static void add_pair(struct rtnl_batch *batch, const struct endpoint *endpoint, uint32_t bridge,
		     int sandbox_fd)
{
	struct ifinfomsg peer = { .ifi_family = AF_UNSPEC };
	struct nlattr *info, *data, *nest;
	uint8_t host_mac[MAC_LEN];

	host_end_mac(endpoint, host_mac);
	rtnl_add_link(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, 0);
	put_veth_end(batch, endpoint->host_interface, endpoint->mtu);
	rtnl_put(batch, IFLA_ADDRESS, host_mac, sizeof(host_mac));
	rtnl_put_u32(batch, IFLA_GROUP, LINK_GROUP_NEWBORN);
	rtnl_put_u32(batch, IFLA_MASTER, bridge);
	rtnl_put_flags(batch, IFF_UP, IFF_UP);
	info = rtnl_nest(batch, IFLA_LINKINFO);
	rtnl_put_string(batch, IFLA_INFO_KIND, "veth");
	data = rtnl_nest(batch, IFLA_INFO_DATA);
	nest = rtnl_nest(batch, VETH_INFO_PEER);
	rtnl_append(batch, &peer, sizeof(peer));
	put_veth_end(batch, endpoint->interface, endpoint->mtu);
	rtnl_put(batch, IFLA_ADDRESS, endpoint->mac, MAC_LEN);
	rtnl_put_u32(batch, IFLA_NET_NS_FD, (uint32_t)sandbox_fd);
	rtnl_nest_end(batch, nest);
	rtnl_nest_end(batch, data);
	rtnl_nest_end(batch, info);
}

/* The kernel says EEXIST for either end. */
static int name_taken_error(struct link_handle *handle, const struct sandbox *sandbox,
			    const struct endpoint *endpoint, struct error *error)
{
	if (link_is_known(handle, endpoint->host_interface))
		return error_set(error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
				 "the host has an interface %s already, which endpoint %s needs; "
				 "delete it%s",
				 endpoint->host_interface, endpoint->id,
				 endpoint->policy.host_interface_name[0] ?
					 ", or choose another host-interface-name" :
					 "");
	return error_set(error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
			 "interface %s exists already in namespace %s; choose another name for "
			 "endpoint %s",
			 endpoint->interface, sandbox_name(sandbox), endpoint->id);
}

static int pair_error(const struct sandbox *sandbox, const struct link_endpoint_config *config,
		      const struct rtnl_batch *batch, int code, struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	char mac[MAC_TEXT_MAX];

	switch (code) {
	case -EADDRNOTAVAIL:
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "MAC address %s of endpoint %s is not one that an interface can "
				 "have; give a unicast address",
				 mac_format(endpoint->mac, mac), endpoint->id);
	case -EXFULL:
		return error_set(error, code, BN_REASON_BRIDGE_FULL,
				 "bridge %s has 1023 ports, which is all that the kernel allows; "
				 "attach endpoint %s to another network",
				 config->bridge, endpoint->id);
	case -EOPNOTSUPP:
		return error_set(error, -EINVAL, BN_REASON_BRIDGE_INVALID,
				 "%s is not a bridge that endpoint %s could join; see what "
				 "bn_check() (bn check) says of it",
				 config->bridge, endpoint->id);
	default:
		return rtnl_failure(error, batch, code,
				    "create the veth pair %s and %s of endpoint %s in namespace %s",
				    endpoint->host_interface, endpoint->interface, endpoint->id,
				    sandbox_name(sandbox));
	}
}

int link_was_made(struct link_handle *handle, const char *name, int lost, uint32_t *ret_index)
{
	const struct deadline *deadline = handle->deadline;
	const struct deadline look = deadline_after(OUTCOME_LOOK_MS);
	struct link_info info;
	int r = OUTCOME_UNKNOWN;

	handle->deadline = &look;
	for (int i = 0; i < OUTCOME_LOOKS && r != 0 && r != -ENODEV; i++)
		r = link_info_get(handle, name, NULL, &info, NULL);
	handle->deadline = deadline;
	if (r == -ENODEV)
		return lost;
	if (r < 0)
		return OUTCOME_UNKNOWN;
	if (info.group != LINK_GROUP_NEWBORN)
		return lost;
	if (ret_index)
		*ret_index = info.interface.index;
	return 0;
}

static int take_newborn(void *userdata, const struct nlmsghdr *reply)
{
	struct link_info info;

	if (link_info_parse(reply, &info) && info.group == LINK_GROUP_NEWBORN)
		*(uint32_t *)userdata = info.interface.index;
	return 0;
}

/* *ret_index: of the pair to delete, on failure too; 0: there is none. */
static int create_pair(struct link_handle *handle, const struct sandbox *sandbox,
		       const struct link_endpoint_config *config, uint32_t *ret_index,
		       struct error *error)
{
	uint32_t index = 0;
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_newborn, .userdata = &index };
	int r;

	add_pair(&batch, config->endpoint, config->bridge_index, sandbox->fd);
	r = rtnl_run_step(handle, &batch, "link.endpoint.create");
	/* from here on it goes by its index, which a kernel before 6.2 does not tell */
	if (batch.lost || (r == 0 && !index))
		r = link_was_made(handle, config->endpoint->host_interface, r < 0 ? r : -ENODEV,
				  &index);
	*ret_index = r == 0 ? index : 0;
	if (r == -EEXIST)
		return name_taken_error(handle, sandbox, config->endpoint, error);
	return r < 0 ? pair_error(sandbox, config, &batch, r, error) : 0;
}

/* Apart from the creation, which ignores the alias and refuses IFLA_AF_SPEC, and after it has
 * succeeded, since a stranger's link may have the name. The link is up by then, but without a
 * carrier it has done nothing yet that the second of the two is to prevent. */
static int mark_pair(struct link_handle *handle, const struct link_endpoint_config *config,
		     uint32_t index, struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r;

	if (config->apart.locked)
		apart_add_mac(&batch, RTM_NEWNEIGH, index, endpoint->mac);
	rtnl_add_link(&batch, RTM_NEWLINK, 0, index);
	rtnl_put_string(&batch, IFLA_IFALIAS, config->alias);
	rtnl_put_u32(&batch, IFLA_GROUP, 0);
	apart_put(&batch, &config->apart, true);
	if (knows_ipv6(handle, endpoint))
		rtnl_put_no_addr_gen(&batch);
	r = rtnl_run_surely(handle, &batch, 0, "link.endpoint.mark");
	if (r == 0)
		return apart_check(handle, endpoint, index, &config->apart, error);
	return rtnl_failure(error, &batch, r, "mark interface %s of endpoint %s",
			    endpoint->host_interface, endpoint->id);
}

static bool sets_ipv4_conf(const struct link_endpoint_config *config, const char *key)
{
	char path[SYSCTL_PATH_MAX];

	snprintf(path, sizeof(path), "net/ipv4/conf/%s/%s", config->endpoint->interface, key);
	for (size_t i = 0; config->sysctls && i < config->sysctls->len; i++)
		if (strcmp(config->sysctls->items[i].path, path) == 0)
			return true;
	return false;
}

/* What was not asked for otherwise. A link that is cut off is passed over. The other has no effect
 * before the next change of the link's address, which is link_announce()'s. */
static void put_conf(struct rtnl_batch *batch, const struct link_endpoint_config *config)
{
	const struct {
		const char *key;
		int number, value;
	} all[] = {
		{ "ignore_routes_with_linkdown", IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN, 1 },
		{ "arp_notify", IPV4_DEVCONF_ARP_NOTIFY, config->announces },
	};
	int conf[ARRAY_SIZE(all)][2];
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (sets_ipv4_conf(config, all[i].key))
			continue;
		conf[len][0] = all[i].number;
		conf[len++][1] = all[i].value;
	}
	if (len)
		rtnl_put_ipv4_conf(batch, conf, len);
}

/* Of addresses of IPv6 that are as good the kernel takes the one that came last for its own
 * packets, of IPv4 the first. */
static void put_addresses(struct rtnl_batch *batch, const struct endpoint *endpoint, uint32_t index)
{
	size_t len = 0;

	for_each_address(address, endpoint, AF_INET)
		rtnl_add_address(batch, RTM_NEWADDR, index, address, 0);
	while (endpoint_prefix_at(endpoint, AF_INET6, len))
		len++;
	while (len-- > 0)
		rtnl_add_address(batch, RTM_NEWADDR, index,
				 endpoint_prefix_at(endpoint, AF_INET6, len), 0);
}

/* Here and in what follows: `passed` is -EEXIST when all is done again, as an answer was lost.
 * *routed: with default routes, which become false where they are not to be had as easily. */
static int address_interface(struct link_handle *inside, const struct link_endpoint_config *config,
			     uint32_t index, int passed, bool *routed, struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	size_t addressed;
	int r;

	rtnl_add_link_up(&batch, LOOPBACK_INDEX);
	/* By itself, as the kernel would look at IFF_UP before it. */
	if (config->leaves_ipv6 && !endpoint->ipv6.addr.family && knows_ipv6(inside, endpoint)) {
		rtnl_add_link(&batch, RTM_NEWLINK, 0, index);
		rtnl_put_no_addr_gen(&batch);
	}
	put_addresses(&batch, endpoint, index);
	rtnl_add_link_up(&batch, index);
	put_conf(&batch, config);
	addressed = batch.len;
	if (*routed)
		routes_put_default(&batch, config, index);
	r = FAULT("link.endpoint.address");
	if (r == 0)
		r = rtnl_run_passing(inside, &batch, passed);
	if (r < 0 && batch.failed >= addressed && batch.failed < batch.len) {
		*routed = false;
		return 0;
	}
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "set up interface %s of endpoint %s",
			    endpoint->interface, endpoint->id);
}

/* Of those of IPv6 that are not there yet, the one that comes last. NULL: none. */
static const struct addr *awaited_address(const struct link_endpoint_config *config)
{
	size_t i = 0;

	for_each_address(address, config->endpoint, AF_INET6)
		if (!config->has_ipv6 || !config->has_ipv6[i++])
			return &address->addr;
	return NULL;
}

static int configure_sandbox(struct link_handle *inside, const struct link_endpoint_config *config,
			     int passed, uint32_t *step, struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	uint32_t index = rtnl_link_index(inside, endpoint->interface);
	/* where there never was another interface, nobody can have left rules or routes */
	bool first = index == FIRST_INDEX, routed = first && !passed;
	const struct addr *awaited = awaited_address(config);
	int r;

	if (!index)
		return error_set(error, -ENODEV, BN_REASON_KERNEL,
				 "interface %s of endpoint %s vanished while it was being set up",
				 endpoint->interface, endpoint->id);
	if (awaited)
		rtnl_watch_address(inside, index, awaited);
	r = address_interface(inside, config, index, passed, &routed, error);
	if (r == 0)
		r = routes_add_static(inside, endpoint, index, passed, error);
	/* before the route that may be a better one than what the others use */
	if (r == 0 && (!first || config->again))
		r = routes_sync_sources(inside, config->sources, error);
	if (r == 0 && config->again)
		r = routes_keep_default(inside, config, index, error);
	else if (r == 0 && !routed)
		r = routes_add_default(inside, config, index, first || passed, step, error);
	if (r < 0)
		return r;
	rtnl_settle_carrier(inside, endpoint->interface);
	if (awaited)
		rtnl_await_address(inside);
	return 0;
}

/* The socket is closed when an answer on it is lost: all is done again by another. What fails in
 * the end goes with the pair. */
static int configure_surely(const struct sandbox *sandbox, struct link_handle *inside,
			    const struct link_endpoint_config *config, uint32_t *step,
			    struct error *error)
{
	int r = configure_sandbox(inside, config, config->again ? -EEXIST : 0, step, error);

	for (int i = 1; i < OUTCOME_LOOKS && r < 0 && inside->fd < 0; i++) {
		error_clear(error);
		r = sandbox_link_open(sandbox, inside->deadline, inside, error);
		if (r == 0)
			r = configure_sandbox(inside, config, -EEXIST, step, error);
	}
	return r;
}

/* The socket and the files of the sandbox. */
struct inside {
	struct link_handle handle;
	int ipv6, ndisc_notify;
};

static void inside_close(struct inside *inside)
{
	rtnl_close(&inside->handle);
	if (inside->ipv6 >= 0)
		close(inside->ipv6);
	if (inside->ndisc_notify >= 0)
		close(inside->ndisc_notify);
}

static void visit_close_pointer(struct link_visit **visit)
{
	link_visit_close(*visit);
}

/* *ret_index: of the pair to delete; 0: there is none. */
static int create_endpoint(struct link_handle *handle, const struct sandbox *sandbox,
			   const struct link_endpoint_config *config, uint32_t *ret_index,
			   struct error *error)
{
	int r;

	/* What waits for the address has passed the rules before those of the endpoint stood: it
	 * goes to a bridge where nobody has that MAC yet. */
	r = link_neighbour_replace(handle, config->bridge_index, config->endpoint, error);
	if (r == 0)
		r = create_pair(handle, sandbox, config, ret_index, error);
	if ((r == -ENODEV || r == -EINVAL) &&
	    link_index(handle, config->bridge) != config->bridge_index)
		r = error_set(error, -ENODEV, BN_REASON_BRIDGE_INVALID,
			      "bridge %s of network %s has just been deleted; have bn_repair() "
			      "(bn repair) make it again",
			      config->bridge, config->endpoint->network);
	return r < 0 ? r : mark_pair(handle, config, *ret_index, error);
}

static int enter(const struct sandbox *sandbox, const struct link_endpoint_config *config,
		 struct link_visit *visit, struct inside *inside, char note[static LINK_NOTE_MAX],
		 struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	int r = visit_end(visit, &inside->handle, &inside->ipv6, error);

	if (r == 0)
		r = FAULT("link.endpoint.enter");
	if (r == 0 && inside->handle.has_ipv6)
		r = ipv6_set_up(config, inside->ipv6, note, error);
	if (r == 0 && config->sysctls && config->sysctls->len)
		r = sysctls_write(sandbox, config, error);
	if (r == 0 && endpoint->ipv6.addr.family && config->announces)
		inside->ndisc_notify = ipv6_open_notify(inside->ipv6, endpoint->interface);
	return r;
}

static int make_endpoint(struct link_handle *handle, const struct sandbox *sandbox,
			 const struct link_endpoint_config *config, struct link_visit *visit,
			 struct inside *inside, struct link_endpoint_made *made,
			 struct error *error)
{
	uint32_t index = 0;
	int r;

	r = create_endpoint(handle, sandbox, config, &index, error);
	if (r == 0)
		r = enter(sandbox, config, visit, inside, made->note, error);
	if (r == 0)
		r = configure_surely(sandbox, &inside->handle, config, &made->metric_step, error);
	if (r == 0)
		r = link_neighbour_replace(handle, config->bridge_index, config->endpoint, error);
	if (r < 0 && index)
		rtnl_delete_link(handle, index);
	return r;
}

int link_endpoint_create(struct link_handle *handle, const struct sandbox *sandbox,
			 const struct link_endpoint_config *config,
			 struct link_endpoint_made *ret_made, struct error *error)
{
	const struct endpoint *endpoint = config->endpoint;
	struct link_endpoint_made result = { .announcer.fd = -1 };
	CLEANUP(inside_close)
	struct inside inside = { .handle = { .fd = -1 }, .ipv6 = -1, .ndisc_notify = -1 };
	CLEANUP(visit_close_pointer) struct link_visit *own = NULL;
	int r = 0;

	if (!config->visit)
		r = link_visit_start(handle, sandbox, &own, error);
	if (r == 0)
		r = make_endpoint(handle, sandbox, config, own ? own : config->visit, &inside,
				  &result, error);
	if (r < 0)
		return r;
	/* The port first, then the bridge: its own carrier comes with its first port. */
	rtnl_settle_carrier(handle, endpoint->host_interface);
	rtnl_settle_carrier(handle, config->bridge);
	if (config->announces)
		announcer_begin(&result.announcer, endpoint, &inside.handle, inside.ndisc_notify);
	*ret_made = result;
	return 0;
}

int link_loopback_up(const struct sandbox *sandbox, struct link_visit *visit, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	CLEANUP(inside_close)
	struct inside inside = { .handle = { .fd = -1 }, .ipv6 = -1, .ndisc_notify = -1 };
	int r = visit_end(visit, &inside.handle, &inside.ipv6, error);

	if (r < 0)
		return r;
	rtnl_add_link_up(&batch, LOOPBACK_INDEX);
	r = rtnl_run(&inside.handle, &batch);
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "bring up lo in namespace %s", sandbox_name(sandbox));
}

/* ---- one that stands ---- */

/* Where somebody else has its name, or the kernel renames none that is up, it stays as it is: down
 * it would lose its routes. */
static int set_interface(struct link_handle *inside, const struct link_within *within,
			 struct endpoint *endpoint, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch name = { 0 }, batch = { 0 };
	int r;

	if (strcmp(within->name, endpoint->interface) != 0) {
		rtnl_add_link(&name, RTM_NEWLINK, 0, within->index);
		rtnl_put_string(&name, IFLA_IFNAME, endpoint->interface);
		if (rtnl_run(inside, &name) < 0)
			memcpy(endpoint->interface, within->name, sizeof(endpoint->interface));
	}
	rtnl_add_link(&batch, RTM_NEWLINK, 0, within->index);
	if (memcmp(within->mac, endpoint->mac, MAC_LEN) != 0)
		rtnl_put(&batch, IFLA_ADDRESS, endpoint->mac, MAC_LEN);
	if (within->mtu != endpoint->mtu)
		rtnl_put_u32(&batch, IFLA_MTU, endpoint->mtu);
	r = rtnl_run_surely(inside, &batch, 0, "link.mend.inside");
	return r == 0 ? 0 :
			rtnl_failure(error, &batch, r, "set up interface %s of endpoint %s",
				     endpoint->interface, endpoint->id);
}

/* Rules are made by the name that an interface has now. */
static int rename_sources(struct link_endpoint_config *config, const char *was,
			  source_vector *sources, struct error *error)
{
	const char *now = config->endpoint->interface;

	if (strcmp(now, was) == 0)
		return 0;
	for (size_t i = 0; i < config->sources->len; i++) {
		struct link_source source = config->sources->items[i];

		if (strcmp(source.interface, was) == 0)
			string_copy(source.interface, sizeof(source.interface), now);
		if (vector_append(sources, source) < 0)
			return error_oom(error);
	}
	config->sources = sources;
	config->sysctls = NULL;
	return 0;
}

int link_endpoint_mend(struct link_handle *handle, const struct sandbox *sandbox,
		       const struct link_within *within, const struct link_endpoint_config *config,
		       struct error *error)
{
	CLEANUP(inside_close)
	struct inside inside = { .handle = { .fd = -1 }, .ipv6 = -1, .ndisc_notify = -1 };
	CLEANUP(visit_close_pointer) struct link_visit *visit = NULL;
	/* under the name that it can have */
	struct endpoint endpoint = *config->endpoint;
	struct link_endpoint_config its = *config;
	CLEANUP_VECTOR source_vector sources = { 0 };
	char note[LINK_NOTE_MAX];
	uint32_t step;
	int r;

	its.endpoint = &endpoint;
	its.has_ipv6 = within->has[1];
	r = link_visit_start(handle, sandbox, &visit, error);
	if (r == 0)
		r = visit_end(visit, &inside.handle, &inside.ipv6, error);
	if (r == 0)
		r = set_interface(&inside.handle, within, &endpoint, error);
	if (r == 0)
		r = rename_sources(&its, config->endpoint->interface, &sources, error);
	if (r == 0 && inside.handle.has_ipv6)
		r = ipv6_set_up(&its, inside.ipv6, note, error);
	if (r == 0 && its.sysctls && its.sysctls->len)
		r = sysctls_write(sandbox, &its, error);
	return r < 0 ? r : configure_surely(sandbox, &inside.handle, &its, &step, error);
}
