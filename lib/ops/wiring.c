/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/wiring.h"

#include "model/policy.h"
#include "ops/restraint.h"

int wiring_make(bn_ctx *ctx, const struct network *network, const struct endpoint *endpoint,
		struct wiring *wiring)
{
	struct link_endpoint_config *config = &wiring->config;

	*config = (struct link_endpoint_config){
		.endpoint = endpoint,
		.bridge = network->bridge,
		.alias = wiring->alias,
		.apart = restraint_apart(network, endpoint),
		.leaves_ipv6 = ctx->policy.sandbox_ipv6 == SANDBOX_IPV6_LEAVE,
		.sysctls = &wiring->sysctls,
		.announces = network->policy.advertise_count > 0,
	};
	link_alias(network->id, endpoint->id, wiring->alias);
	if (endpoint->metric_ipv4 && endpoint_prefix(endpoint, AF_INET))
		config->gateway_ipv4 = *endpoint_gateway(endpoint, network, AF_INET);
	if (endpoint->metric_ipv6 && endpoint_prefix(endpoint, AF_INET6))
		config->gateway_ipv6 = *endpoint_gateway(endpoint, network, AF_INET6);
	return sysctls_of(endpoint, &wiring->sysctls, &ctx->error);
}

void wiring_clear(struct wiring *wiring)
{
	free(wiring->sysctls.items);
	wiring->sysctls = (sysctl_vector){ 0 };
}
