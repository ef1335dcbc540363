/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/interface.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "model/sysctl.h"

#define DEFAULT_PREFIX "eth"

/* ---- what is asked ---- */

int interface_check_mtu(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint)
{
	uint32_t mtu = endpoint->policy.mtu;

	if (!mtu || mtu >= IPV6_MTU_MIN || !network_subnet(network, AF_INET6) ||
	    sysctl_disables_ipv6(endpoint))
		return 0;
	return error_set(
		&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
		"option mtu of endpoint %s is %u, and network %s has IPv6, which needs %d; "
		"give that or more, or turn IPv6 off for the endpoint",
		endpoint->id, mtu, network->name, IPV6_MTU_MIN);
}

static int check_without_ipv6(bn_ctx *ctx, const struct attach *attach)
{
	const struct endpoint *endpoint = &attach->endpoint;

	if (!sysctl_disables_ipv6(endpoint))
		return 0;
	if (endpoint_prefix(&attach->request->endpoint, AF_INET6))
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "option sysctl.net.ipv6.conf.IFNAME.disable_ipv6 turns IPv6 off "
				 "for endpoint %s, which is to have an IPv6 address; leave one of "
				 "them out",
				 endpoint->id);
	if (!network_subnet(&attach->network, AF_INET) &&
	    network_subnet(&attach->network, AF_INET6))
		return error_set(&ctx->error, -EINVAL, BN_REASON_OPTION_CONFLICT,
				 "option sysctl.net.ipv6.conf.IFNAME.disable_ipv6 turns IPv6 off "
				 "for endpoint %s, and network %s has nothing else; leave it out, "
				 "or attach to another network",
				 endpoint->id, attach->network.name);
	return 0;
}

static int check_host_name(bn_ctx *ctx, const struct attach *attach)
{
	const struct endpoint *endpoint = &attach->endpoint;

	if (!endpoint->policy.host_interface_name[0] || endpoint->options.len == 0 ||
	    strcmp(endpoint->policy.host_interface_name, attach->network.bridge) != 0)
		return 0;
	return error_set(&ctx->error, -EEXIST, BN_REASON_INTERFACE_EXISTS,
			 "%s is the bridge of network %s; choose another host-interface-name for "
			 "endpoint %s",
			 attach->network.bridge, attach->network.name, endpoint->id);
}

int interface_check(bn_ctx *ctx, const struct attach *attach)
{
	CLEANUP_VECTOR sysctl_vector sysctls = { 0 };
	int r = sysctls_of(&attach->endpoint, &sysctls, &ctx->error);

	if (r >= 0)
		r = check_without_ipv6(ctx, attach);
	if (r >= 0)
		r = interface_check_mtu(ctx, &attach->network, &attach->endpoint);
	return r < 0 ? r : check_host_name(ctx, attach);
}

/* ---- names ---- */

/* Another each time: after a quick detach the last one may live on for a while. Or the one that is
 * asked for, which no other of ours may have: what goes by the name alone before the link has its
 * alias would be taken for that one's. */
static int name_host_end(bn_ctx *ctx, struct attach *attach)
{
	struct endpoint *endpoint = &attach->endpoint;
	char salted[ENDPOINT_ID_MAX + 18];
	uint64_t salt;

	if (endpoint->policy.host_interface_name[0]) {
		string_copy(endpoint->host_interface, sizeof(endpoint->host_interface),
			    endpoint->policy.host_interface_name);
		return store_host_interface_check(ctx->store, endpoint, &ctx->error);
	}
	if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return error_set(&ctx->error, -EIO, BN_REASON_KERNEL,
				 "the kernel gives no random bytes for an interface name");
	snprintf(salted, sizeof(salted), "%s/%016" PRIx64, endpoint->id, salt);
	host_interface_name(attach->network.id, salted, endpoint->host_interface);
	return 0;
}

static bool name_in_use(const struct attach *attach, const char *name)
{
	for (size_t i = 0; i < attach->siblings.len; i++)
		if (strcmp(attach->siblings.items[i].interface, name) == 0)
			return true;
	return false;
}

static int name_end_inside(bn_ctx *ctx, struct attach *attach)
{
	const char *prefix = attach->network.policy.interface_prefix;
	struct endpoint *endpoint = &attach->endpoint;
	char name[IFNAMSIZ + 16];

	if (attach->request->endpoint.interface[0])
		return 0;
	for (unsigned int i = attach->first_interface;; i++) {
		snprintf(name, sizeof(name), "%s%u", prefix[0] ? prefix : DEFAULT_PREFIX, i);
		if (string_copy(endpoint->interface, sizeof(endpoint->interface), name) < 0)
			return error_set(&ctx->error, -ENAMETOOLONG, BN_REASON_INTERFACE_EXISTS,
					 "interface %s of endpoint %s would have too long a name; "
					 "name one, or give network %s a shorter interface-prefix",
					 name, endpoint->id, attach->network.name);
		attach->interface_number = i;
		if (!name_in_use(attach, endpoint->interface))
			return 0;
	}
}

int interface_choose(bn_ctx *ctx, struct attach *attach)
{
	struct endpoint *endpoint = &attach->endpoint;
	int r;

	endpoint->mtu = endpoint->policy.mtu ? endpoint->policy.mtu : attach->network.mtu;
	r = name_host_end(ctx, attach);
	return r < 0 ? r : name_end_inside(ctx, attach);
}
