/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines of "KEY VALUE", the first of which says what it is, and the last that it is whole. A subnet
 * comes before its gateway and range.
 */
#include "model/definition.h"

#include <errno.h>
#include <stdio.h>

#include "model/ipam.h"
#include "model/policy.h"

static const char first_line[] = "bridgenet-network 1";
static const char last_line[] = "end";

/* ---- to text ---- */

static void put_line(struct text_buffer *text, const char *key, const char *value)
{
	text_put(text, key);
	text_put(text, " ");
	text_put(text, value);
	text_put(text, "\n");
}

static void put_subnet(struct text_buffer *text, const struct subnet *subnet)
{
	char value[RANGE_TEXT_MAX];

	put_line(text, "subnet", prefix_format(&subnet->prefix, value));
	if (addr_is_set(&subnet->gateway))
		put_line(text, "gateway", addr_format(&subnet->gateway, value));
	if (addr_is_set(&subnet->range.first))
		put_line(text, "ip-range", range_format(&subnet->range, value));
}

int definition_format(const struct network *network, char **ret_text)
{
	char value[ADDR_TEXT_MAX], mtu[16];
	struct text_buffer text = { 0 };

	text_put(&text, first_line);
	text_put(&text, "\n");
	put_line(&text, "name", network->name);
	put_line(&text, "id", network->id);
	put_line(&text, "bridge", network->bridge[0] ? network->bridge : network->planned_bridge);
	number_format(network->mtu, mtu);
	put_line(&text, "mtu", mtu);
	for_each_family(family)
		for_each_subnet(subnet, network, family)
			put_subnet(&text, subnet);
	for (size_t i = 0; i < network->reserved.len; i++)
		put_line(&text, "reserved", addr_format(&network->reserved.items[i], value));
	/* a value has no line end in it, and a key no '=' */
	for (size_t i = 0; i < network->options.len; i++) {
		text_put(&text, "option ");
		text_put(&text, network->options.items[i].key);
		text_put(&text, "=");
		text_put(&text, network->options.items[i].value);
		text_put(&text, "\n");
	}
	text_put(&text, last_line);
	text_put(&text, "\n");
	return text_end(&text, ret_text);
}

/* ---- from text ---- */

static int take_name(const char *value, struct network *network)
{
	return network_name_check(value, NULL) < 0 ?
		       -EBADMSG :
		       string_copy(network->name, sizeof(network->name), value);
}

static int take_id(const char *value, struct network *network)
{
	return id_check(value, NULL) < 0 ? -EBADMSG :
					   string_copy(network->id, sizeof(network->id), value);
}

static int take_bridge(const char *value, struct network *network)
{
	return bridge_name_check(value, NULL) < 0 ?
		       -EBADMSG :
		       string_copy(network->bridge, sizeof(network->bridge), value);
}

static int take_mtu(const char *value, struct network *network)
{
	char *end;
	unsigned long mtu = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || mtu < 68 || mtu > 65535)
		return -EBADMSG;
	network->mtu = (uint32_t)mtu;
	return 0;
}

static int take_subnet(const char *value, struct network *network)
{
	struct prefix prefix;
	size_t len = 0;

	if (prefix_parse(value, &prefix) < 0)
		return -EBADMSG;
	while (network_subnet_at(network, prefix.addr.family, len))
		len++;
	if (len == SUBNETS_MAX)
		return -EBADMSG;
	network_subnets(network, prefix.addr.family)[len].prefix = prefix;
	return 0;
}

/* What is said of a subnet follows it; NULL: there is none. */
static struct subnet *last_subnet(struct network *network, int family)
{
	size_t len = 0;

	while (network_subnet_at(network, family, len))
		len++;
	return len ? &network_subnets(network, family)[len - 1] : NULL;
}

static int take_gateway(const char *value, struct network *network)
{
	struct subnet *subnet;
	struct addr addr;

	if (addr_parse(value, &addr) < 0)
		return -EBADMSG;
	subnet = last_subnet(network, addr.family);
	if (!subnet)
		return -EBADMSG;
	subnet->gateway = addr;
	return 0;
}

static int take_range(const char *value, struct network *network)
{
	struct subnet *subnet;
	struct range range;

	if (ipam_parse_range(value, &range, NULL) < 0)
		return -EBADMSG;
	subnet = last_subnet(network, range.first.family);
	if (!subnet)
		return -EBADMSG;
	subnet->range = range;
	return 0;
}

static int take_reserved(const char *value, struct network *network)
{
	struct addr addr;

	return addr_parse(value, &addr) < 0 ? -EBADMSG : vector_append(&network->reserved, addr);
}

static int take_option(char *value, struct network *network)
{
	char *equals = strchr(value, '=');
	int r;

	if (!equals)
		return -EBADMSG;
	*equals = '\0';
	r = options_set(&network->options, value, equals + 1);
	return r == -EINVAL ? -EBADMSG : r;
}

static int take_line(char *line, struct network *network)
{
	static const struct {
		const char *key;
		int (*take)(const char *value, struct network *network);
	} keys[] = {
		{ "name", take_name },      { "id", take_id },
		{ "bridge", take_bridge },  { "mtu", take_mtu },
		{ "subnet", take_subnet },  { "gateway", take_gateway },
		{ "ip-range", take_range }, { "reserved", take_reserved },
	};
	char *value = strchr(line, ' ');

	if (!value)
		return -EBADMSG;
	*value++ = '\0';
	if (strcmp(line, "option") == 0)
		return take_option(value, network);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].key, line) == 0)
			return keys[i].take(value, network);
	return -EBADMSG;
}

/* What none of the lines says by itself. */
static int check_whole(struct network *network, struct error *error)
{
	int r;

	if (!network->name[0] || !network->id[0] || !network->bridge[0] || !network->mtu)
		return error_set(error, -EBADMSG, BN_REASON_STATE,
				 "it has no name, id, bridge or mtu");
	r = options_check(&network->options, OPTION_NETWORK, &network->policy, error);
	if (r >= 0 && network_is_managed(network) && !network_subnet(network, AF_INET) &&
	    !network_subnet(network, AF_INET6))
		return error_set(error, -EBADMSG, BN_REASON_STATE, "it has no subnet");
	ipam_sort_reserved(network);
	for_each_family(family)
		for (size_t i = 0; r >= 0 && network_subnet_at(network, family, i); i++)
			r = ipam_complete_subnet(network, &network_subnets(network, family)[i],
						 error);
	return r < 0 ? r : ipam_check_subnets(network, error);
}

static int parse_lines(char *text, struct network *network, struct error *error)
{
	char *rest = text, *line, shown[60];
	bool whole = false;
	int r = 0;

	for (unsigned int number = 1; r == 0 && (line = strsep(&rest, "\n")) && rest; number++) {
		snprintf(shown, sizeof(shown), "%s", line);
		if (number == 1)
			r = strcmp(line, first_line) == 0 ? 0 : -EBADMSG;
		else if (whole)
			r = -EBADMSG;
		else if (strcmp(line, last_line) == 0)
			whole = true;
		else
			r = take_line(line, network);
		if (r < 0 && r != -ENOMEM)
			return error_set(error, -EBADMSG, BN_REASON_STATE,
					 "line %u can't be understood: '%s'", number, shown);
	}
	if (r < 0)
		return error_oom(error);
	return whole && !*line ? 0 :
				 error_set(error, -EBADMSG, BN_REASON_STATE, "its end is missing");
}

int definition_parse(char *text, struct network *ret_network, struct error *error)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r = parse_lines(text, &network, error);

	if (r == 0)
		r = check_whole(&network, error);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return -EBADMSG;
	*ret_network = network;
	memset(&network, 0, sizeof(network));
	return 0;
}
