/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/reach.h"

/* Endpoints and ports of each sort that rules tell apart. */
static const struct endpoint_policy policies[] = {
	{ .anti_spoof = ENDPOINT_ANTI_SPOOF_INHERIT },
	{ .anti_spoof = ENDPOINT_ANTI_SPOOF_NO },
	{ .anti_spoof = ENDPOINT_ANTI_SPOOF_MAC },
	{ .anti_spoof = ENDPOINT_ANTI_SPOOF_FULL },
};

static const struct addr host_addresses[] = {
	{ .family = AF_UNSPEC },       { .family = AF_INET },
	{ AF_INET, { 127, 0, 0, 1 } }, { AF_INET, { 192, 0, 2, 1 } },
	{ .family = AF_INET6 },        { AF_INET6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } },
};

struct sample {
	struct endpoint endpoints[ARRAY_SIZE(policies)];
	struct port ports[ARRAY_SIZE(host_addresses)]; /* of the first */
	rule_vector rules;
};

static void sample_clear(struct sample *sample)
{
	rules_clear(&sample->rules);
}

static void fill_endpoints(const struct network *network, struct sample *sample)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct endpoint *endpoint = &sample->endpoints[i];

		memcpy(endpoint->network, network->name, sizeof(endpoint->network));
		endpoint->id[0] = (char)('a' + i);
		/* of several subnets all get the same rules */
		endpoint->ipv4 = network->ipv4.prefix;
		endpoint->ipv6 = network->ipv6.prefix;
		endpoint->policy = policies[i];
	}
}

static void fill_ports(struct sample *sample)
{
	for (size_t i = 0; i < ARRAY_SIZE(host_addresses); i++) {
		struct port *port = &sample->ports[i];

		memcpy(port->network, sample->endpoints->network, sizeof(port->network));
		memcpy(port->endpoint, sample->endpoints->id, sizeof(port->endpoint));
		port->protocol = IPPROTO_TCP;
		port->host_addr = host_addresses[i];
		port->host_port = (uint16_t)(i + 1);
		port->container_port = 1;
		port->count = 1;
	}
}

static int take_sample(uint32_t traits, const struct network *network, struct sample *sample)
{
	struct rows rows = rows_view(network, NULL, sample->ports, ARRAY_SIZE(sample->ports));

	fill_endpoints(network, sample);
	fill_ports(sample);
	rows.endpoints.items = sample->endpoints;
	rows.endpoints.len = ARRAY_SIZE(sample->endpoints);
	return plan_rules(traits, PLAN_ENDPOINTS | PLAN_PORTS, &rows, &sample->rules);
}

static bool are_same(const rule_vector *a, const rule_vector *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (rule_compare(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}

bool plan_reaches_endpoints(uint32_t traits, const struct network *before,
			    const struct network *after)
{
	CLEANUP(sample_clear) struct sample old = { 0 };
	CLEANUP(sample_clear) struct sample new = { 0 };

	/* without memory: as far as it can */
	return take_sample(traits, before, &old) < 0 || take_sample(traits, after, &new) < 0 ||
	       !are_same(&old.rules, &new.rules);
}
