/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

enum {
	SUBNET = 256,
	GATEWAY,
	IP_RANGE,
	RESERVE,
	IPV6,
	MTU,
	BRIDGE,
	OPT,
	EXISTING_OK,
	HOST_SUBNET,
	POOL,
	PERSISTENT,
	ID
};

/* "10.99.0.0/16:24": what follows the last colon is the length. */
static int add_pool(const struct cli *cli, bn_network_spec *spec, const char *text)
{
	const char *colon = strrchr(text, ':');
	char *base;
	int r;

	if (!colon || !strchr(text, '/'))
		cli_usage(cli, "'%s' is no pool: give CIDR:LENGTH", text);
	base = strndup(text, (size_t)(colon - text));
	if (!base)
		out_of_memory();
	r = bn_network_spec_add_pool(spec, base, (uint32_t)argument_number(cli, colon + 1, 0, 128));
	free(base);
	return r;
}

static int apply_argument(const struct cli *cli, bn_network_spec *spec,
			  const struct argument *argument)
{
	const char *value;
	char *key;
	int r;

	switch (argument->option) {
	case SUBNET:
		return bn_network_spec_add_subnet(spec, argument->value);
	case GATEWAY:
		return bn_network_spec_add_gateway(spec, argument->value);
	case IP_RANGE:
		return bn_network_spec_add_ip_range(spec, argument->value);
	case RESERVE:
		return bn_network_spec_add_reserved(spec, argument->value);
	case ID:
		return bn_network_spec_set_id(spec, argument->value);
	case PERSISTENT:
		return bn_network_spec_set_persistent(spec, 1);
	case POOL:
		return add_pool(cli, spec, argument->value);
	case IPV6:
		return bn_network_spec_set_ipv6(spec, 1);
	case MTU:
		return bn_network_spec_set_mtu(spec, (uint32_t)argument_number(cli, argument->value,
									       0, INT32_MAX));
	case BRIDGE:
		return bn_network_spec_set_bridge(spec, argument->value);
	case EXISTING_OK:
	case HOST_SUBNET:
		return 0; /* of the call, not of the spec */
	default:
		argument_split(argument->value, &key, &value);
		r = bn_network_spec_set_option(spec, key, value ? value : "");
		free(key);
		return r;
	}
}

static int create(struct cli *cli, const bn_network_spec *spec, uint32_t flags)
{
	bn_network *network;
	int r;

	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_network_create(cli->ctx, spec, flags, &network);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json)
		json_print(json_network(network));
	else
		printf("%s\n", bn_network_id(network));
	bn_network_free(network);
	return EXIT_SUCCESS;
}

int network_create_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "subnet", required_argument, NULL, SUBNET },
		{ "gateway", required_argument, NULL, GATEWAY },
		{ "aux-address", required_argument, NULL, RESERVE },
		{ "id", required_argument, NULL, ID },
		{ "persistent", no_argument, NULL, PERSISTENT },
		{ "pool", required_argument, NULL, POOL },
		{ "ip-range", required_argument, NULL, IP_RANGE },
		{ "reserve", required_argument, NULL, RESERVE },
		{ "ipv6", no_argument, NULL, IPV6 },
		{ "mtu", required_argument, NULL, MTU },
		{ "bridge", required_argument, NULL, BRIDGE },
		{ "opt", required_argument, NULL, OPT },
		{ "existing-ok", no_argument, NULL, EXISTING_OK },
		{ "host-subnet-ok", no_argument, NULL, HOST_SUBNET },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_network_spec *spec;
	uint32_t flags;
	int r, status = EXIT_FAILURE;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 1, 1);
	flags = (arguments_has(&arguments, EXISTING_OK) ? BN_CREATE_EXISTING_OK : 0) |
		(arguments_has(&arguments, HOST_SUBNET) ? BN_CREATE_HOST_SUBNET_OK : 0);
	r = bn_network_spec_new(arguments.words[0], &spec);
	if (r < 0) {
		arguments_free(&arguments);
		return cli_fail(cli, r);
	}
	for (size_t i = 0; i < arguments.len && r >= 0; i++) {
		r = apply_argument(cli, spec, &arguments.items[i]);
		if (r < 0)
			status = argument_fail(&arguments.items[i], r);
	}
	if (r >= 0)
		status = create(cli, spec, flags);
	bn_network_spec_free(spec);
	arguments_free(&arguments);
	return status;
}

static void print_networks(const bn_network_list *list)
{
	static const struct column columns[] = {
		{ "NETWORK ID", 12, false },
		{ "NAME", 7, false },
		{ "DRIVER", 6, false },
	};
	struct table table = { .columns = columns, .column_count = LENGTH(columns), .gap = 3 };
	char id[13];

	for (size_t i = 0; i < bn_network_list_len(list); i++) {
		const bn_network *network = bn_network_list_at(list, i);

		snprintf(id, sizeof(id), "%.12s", bn_network_id(network));
		table_add(&table, id);
		table_add(&table, bn_network_name(network));
		table_add(&table, bn_network_driver(network));
	}
	table_print(&table);
}

int network_ls_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_network_list *list;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 0);
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_networks_list(cli->ctx, 0, &list);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json)
		json_print_list(list, bn_network_list_len(list), json_network_at);
	else
		print_networks(list);
	bn_network_list_free(list);
	return EXIT_SUCCESS;
}

static void print_subnet(const bn_network *network, size_t i)
{
	const char *range = bn_network_ip_range_at(network, i);
	const char *gateway = bn_network_gateway_at(network, i);
	uint64_t free = bn_network_addresses_free_at(network, i);
	char text[256], count[24] = "2^64 or more";

	if (free != UINT64_MAX)
		snprintf(count, sizeof(count), "%" PRIu64, free);
	snprintf(text, sizeof(text), "%s, %s%s%s%s, %" PRIu64 " used, %s free",
		 bn_network_subnet_at(network, i), *gateway ? "gateway " : "no gateway", gateway,
		 *range ? ", addresses from " : "", range, bn_network_addresses_used_at(network, i),
		 count);
	print_field("Subnet:", text);
}

static void print_network(const bn_network *network, const bn_endpoint_list *endpoints)
{
	char text[16];

	print_field("Name:", bn_network_name(network));
	print_field("ID:", bn_network_id(network));
	print_field("Driver:", bn_network_driver(network));
	if (*bn_network_bridge(network))
		print_field("Bridge:", bn_network_bridge(network));
	if (bn_network_mtu(network)) {
		snprintf(text, sizeof(text), "%u", bn_network_mtu(network));
		print_field("MTU:", text);
	}
	if (bn_network_is_persistent(network))
		print_field("Persistent:", "yes");
	for (size_t i = 0; i < bn_network_subnet_count(network); i++)
		print_subnet(network, i);
	for (size_t i = 0; i < bn_network_reserved_count(network); i++)
		print_field("Reserved:", bn_network_reserved_at(network, i));
	for (size_t i = 0; i < bn_network_option_count(network); i++)
		print_option(bn_network_option_key_at(network, i),
			     bn_network_option_value_at(network, i));
	snprintf(text, sizeof(text), "%zu", bn_endpoint_list_len(endpoints));
	print_field("Endpoints:", text);
	if (bn_endpoint_list_len(endpoints)) {
		putchar('\n');
		print_endpoints(endpoints);
	}
	if (bn_network_interface(network)) {
		putchar('\n');
		print_interface(bn_network_interface(network));
	}
}

static void print_network_json(const bn_network *network, const bn_endpoint_list *endpoints)
{
	const bn_interface *interface_ = bn_network_interface(network);
	json_t *object = json_network(network);

	json_set(object, "endpoint_count", json_number(bn_endpoint_list_len(endpoints)));
	json_set(object, "endpoints", json_endpoints(endpoints));
	json_set(object, "interface", interface_ ? json_interface(interface_) : json_null());
	json_print(object);
}

int network_inspect_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_endpoint_list *endpoints = NULL;
	bn_network *network;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 1, 1);
	argv = arguments.words;
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_network_get(cli->ctx, argv[0], BN_GET_INTERFACE, &network);
	if (r < 0)
		return cli_fail(cli, r);
	/* by its id: another of that name is not the one that was found, and of one that went
	 * meanwhile the endpoints went first */
	r = bn_endpoints_list(cli->ctx, bn_network_id(network), 0, &endpoints);
	if (r < 0 && bn_error_reason(cli->ctx) != BN_REASON_NETWORK_UNKNOWN) {
		bn_network_free(network);
		return cli_fail(cli, r);
	}
	if (cli->json)
		print_network_json(network, endpoints);
	else
		print_network(network, endpoints);
	bn_endpoint_list_free(endpoints);
	bn_network_free(network);
	return EXIT_SUCCESS;
}

int network_rm_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	size_t count;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 1, WORDS_ANY);
	argv = arguments.words;
	count = arguments.word_count;
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	for (size_t i = 0; i < count; i++) {
		r = bn_network_delete(cli->ctx, argv[i], 0);
		if (r < 0)
			return cli_fail(cli, r);
		print_line(argv[i]);
	}
	return EXIT_SUCCESS;
}
