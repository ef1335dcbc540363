/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

enum {
	NETNS = 256,
	PID,
	NETWORK,
	IFNAME,
	IP,
	MAC,
	ROUTE,
	GATEWAY_PRIORITY,
	HOSTNAME,
	LABEL,
	OPT,
	SAME_NETWORK,
	DELETE_EMPTY,
	MOVE_PORTS
};

static int apply_port(bn_endpoint_spec *spec, const struct arguments *arguments, size_t i)
{
	bn_port_spec *port;
	int r = publish_spec(arguments, i, &port);

	if (r < 0)
		return r;
	r = bn_endpoint_spec_add_port(spec, port);
	bn_port_spec_free(port);
	return r;
}

/* [TYPE,]DEST[=VIA][,METRIC] */
static int apply_route(const struct cli *cli, bn_endpoint_spec *spec, const char *text)
{
	char *copy = strdup(text), *rest = copy, *first, *metric, *destination;
	const char *type = NULL, *gateway;
	int r;

	if (!copy)
		out_of_memory();
	first = strsep(&rest, ",");
	if (rest && !strpbrk(first, "/.:=")) {
		type = first;
		first = strsep(&rest, ",");
	}
	metric = strsep(&rest, ",");
	argument_split(first, &destination, &gateway);
	if (rest || (!type && !gateway))
		cli_usage(cli, "the route '%s' is not [TYPE,]DEST[=VIA][,METRIC]", text);
	r = bn_endpoint_spec_add_typed_route(
		spec, type ? type : "unicast", destination, gateway,
		metric ? (uint32_t)argument_number(cli, metric, 0, UINT32_MAX) : 0);
	free(destination);
	free(copy);
	return r;
}

/* KEY=VALUE, with what goes before all keys of its kind. */
static int apply_option(bn_endpoint_spec *spec, const char *prefix, const char *text)
{
	const char *value;
	char *name, *key;
	int r;

	argument_split(text, &name, &value);
	if (asprintf(&key, "%s%s", prefix, name) < 0)
		out_of_memory();
	r = bn_endpoint_spec_set_option(spec, key, value ? value : "");
	free(key);
	free(name);
	return r;
}

static int apply_argument(const struct cli *cli, bn_endpoint_spec *spec,
			  const struct arguments *arguments, size_t i)
{
	const char *value = arguments->items[i].value;

	switch (arguments->items[i].option) {
	case IFNAME:
		return bn_endpoint_spec_set_interface_name(spec, value);
	case IP:
		return bn_endpoint_spec_add_address(spec, value);
	case MAC:
		return bn_endpoint_spec_set_mac(spec, value);
	case ROUTE:
		return apply_route(cli, spec, value);
	case GATEWAY_PRIORITY:
		return bn_endpoint_spec_set_gateway_priority(
			spec, argument_number(cli, value, INT32_MIN, INT32_MAX));
	case HOSTNAME:
		return bn_endpoint_spec_set_option(spec, "hostname", value);
	case LABEL:
		return apply_option(spec, "label.", value);
	case OPT:
		return apply_option(spec, "", value);
	case NETNS:
	case PID:
	case NETWORK:
	case SAME_NETWORK:
	case OVER_LISTENER:
	case SKIP_FAMILY:
		return 0; /* of the call, not of the spec */
	case PORT_OPT:
		return 0; /* of the port before it */
	default:
		return apply_port(spec, arguments, i);
	}
}

static void print_attached(const bn_endpoint *endpoint)
{
	char *name = safe_text(bn_endpoint_interface_name(endpoint));

	printf("%s", name);
	free(name);
	for (size_t i = 0; i < bn_endpoint_address_count(endpoint); i++)
		printf(" %s", bn_endpoint_address_at(endpoint, i));
	putchar('\n');
}

static int attach(struct cli *cli, const bn_endpoint_spec_list *specs, uint32_t flags)
{
	bn_endpoint_list *endpoints;
	size_t count;
	int r;

	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_endpoints_attach(cli->ctx, specs, flags, &endpoints);
	if (r < 0)
		return cli_fail(cli, r);
	count = bn_endpoint_list_len(endpoints);
	if (cli->json && count == 1)
		json_print(json_endpoint(bn_endpoint_list_at(endpoints, 0), false));
	else if (cli->json)
		json_print_list(endpoints, count, json_endpoint_at);
	for (size_t i = 0; !cli->json && i < count; i++)
		print_attached(bn_endpoint_list_at(endpoints, i));
	bn_endpoint_list_free(endpoints);
	return EXIT_SUCCESS;
}

static int apply_sandbox(const struct cli *cli, bn_endpoint_spec *spec,
			 const struct arguments *arguments)
{
	const char *path = arguments_value(arguments, NETNS);
	const char *pid = arguments_value(arguments, PID);

	if (path)
		return bn_endpoint_spec_set_sandbox_path(spec, path);
	if (!pid)
		return 0; /* that of the host */
	return bn_endpoint_spec_set_sandbox_pid(spec, argument_number(cli, pid, 1, INT32_MAX));
}

/* Those of one network, of which the first is at `first`; the next --network is behind them. */
static struct arguments of_network(const struct arguments *arguments, size_t first)
{
	struct arguments part = { .items = arguments->items + first };

	while (first + part.len < arguments->len && part.items[part.len].option != NETWORK)
		part.len++;
	return part;
}

/* 0, or 1 with the reason on standard error. */
static int add_spec(struct cli *cli, bn_endpoint_spec_list *specs,
		    const struct arguments *arguments, const char *network,
		    const struct arguments *part)
{
	bn_endpoint_spec *spec;
	int r, status = 0;

	check_port_options(cli, part);
	r = bn_endpoint_spec_new(network, arguments->words[1], &spec);
	if (r < 0)
		return cli_fail(cli, r);
	r = apply_sandbox(cli, spec, arguments);
	for (size_t i = 0; i < part->len && r >= 0; i++) {
		r = apply_argument(cli, spec, part, i);
		if (r < 0)
			status = argument_fail(&part->items[i], r);
	}
	if (r >= 0)
		r = bn_endpoint_spec_list_add(specs, spec);
	bn_endpoint_spec_free(spec);
	return r < 0 && status == 0 ? cli_fail(cli, r) : status;
}

static int add_specs(struct cli *cli, bn_endpoint_spec_list *specs,
		     const struct arguments *arguments)
{
	struct arguments part = of_network(arguments, 0);
	int status = add_spec(cli, specs, arguments, arguments->words[0], &part);

	for (size_t i = part.len; i < arguments->len && status == 0; i += part.len) {
		const char *network = arguments->items[i++].value;

		part = of_network(arguments, i);
		status = add_spec(cli, specs, arguments, network, &part);
	}
	return status;
}

int attach_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "netns", required_argument, NULL, NETNS },
		{ "pid", required_argument, NULL, PID },
		{ "network", required_argument, NULL, NETWORK },
		{ "ifname", required_argument, NULL, IFNAME },
		{ "ip", required_argument, NULL, IP },
		{ "mac", required_argument, NULL, MAC },
		PUBLISH_OPTIONS,
		{ "route", required_argument, NULL, ROUTE },
		{ "gateway-priority", required_argument, NULL, GATEWAY_PRIORITY },
		{ "hostname", required_argument, NULL, HOSTNAME },
		{ "label", required_argument, NULL, LABEL },
		{ "opt", required_argument, NULL, OPT },
		{ "same-network", no_argument, NULL, SAME_NETWORK },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_endpoint_spec_list *specs;
	uint32_t flags;
	int r, given, status;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 2, 2);
	given = arguments_has(&arguments, NETNS) + arguments_has(&arguments, PID);
	if (given > 1 || (given == 0 && strcmp(arguments.words[0], "host") != 0))
		cli_usage(cli, "one of --netns and --pid is needed");
	flags = publish_flags(&arguments);
	if (arguments_has(&arguments, SAME_NETWORK))
		flags |= BN_ATTACH_SAME_NETWORK;
	r = bn_endpoint_spec_list_new(&specs);
	if (r < 0) {
		arguments_free(&arguments);
		return cli_fail(cli, r);
	}
	status = add_specs(cli, specs, &arguments);
	if (status == 0)
		status = attach(cli, specs, flags);
	bn_endpoint_spec_list_free(specs);
	arguments_free(&arguments);
	return status;
}

static int detach_many(struct cli *cli, const char *network, char **endpoints, size_t count,
		       uint32_t flags)
{
	bn_name_list *names;
	int r = bn_name_list_new(&names);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count && r >= 0; i++)
		r = bn_name_list_add(names, endpoints[i]);
	if (r >= 0)
		r = bn_endpoints_detach(cli->ctx, network, names, flags);
	bn_name_list_free(names);
	return r;
}

int detach_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "delete-empty", no_argument, NULL, DELETE_EMPTY },
		{ "move-ports", no_argument, NULL, MOVE_PORTS },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	uint32_t flags;
	size_t count;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 2, WORDS_ANY);
	/* what the kernel has to end, it ends while this process does, which waits for that */
	flags = BN_DETACH_ASYNC;
	if (arguments_has(&arguments, DELETE_EMPTY))
		flags |= BN_DETACH_DELETE_EMPTY;
	if (arguments_has(&arguments, MOVE_PORTS))
		flags |= BN_DETACH_MOVE_PORTS;
	argv = arguments.words;
	count = arguments.word_count - 1;
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	if (count == 1)
		r = bn_endpoint_detach(cli->ctx, argv[0], argv[1], flags);
	else
		r = detach_many(cli, argv[0], argv + 1, count, flags);
	return r < 0 ? cli_fail(cli, r) : EXIT_SUCCESS;
}

int collect_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct arguments arguments;
	bn_endpoint_list *list;
	const char *network;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 1);
	network = arguments.word_count ? arguments.words[0] : NULL;
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_endpoints_collect(cli->ctx, network, 0, &list);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json)
		json_print_list(list, bn_endpoint_list_len(list), json_endpoint_at);
	for (size_t i = 0; !cli->json && i < bn_endpoint_list_len(list); i++)
		printf("%s %s\n", bn_endpoint_network(bn_endpoint_list_at(list, i)),
		       bn_endpoint_id(bn_endpoint_list_at(list, i)));
	bn_endpoint_list_free(list);
	return EXIT_SUCCESS;
}

static void add_addresses(struct text *text, const bn_endpoint *endpoint)
{
	for (size_t i = 0; i < bn_endpoint_address_count(endpoint); i++) {
		text_add(text, i ? ", " : "");
		text_add(text, bn_endpoint_address_at(endpoint, i));
	}
}

static const char *status_text(const bn_endpoint *endpoint)
{
	const char *state = bn_endpoint_state(endpoint);

	if (strcmp(state, "sandbox-gone") == 0)
		return "sandbox gone";
	return *state ? state : "unknown";
}

void print_endpoints(const bn_endpoint_list *list)
{
	static const struct column columns[] = {
		{ "NETWORK", 7, false },   { "ENDPOINT", 8, false }, { "STATUS", 6, false },
		{ "INTERFACE", 9, false }, { "ADDRESS", 7, false },  { "PORTS", 5, false },
	};
	struct table table = { .columns = columns, .column_count = LENGTH(columns), .gap = 3 };
	struct text text = { 0 };

	for (size_t i = 0; i < bn_endpoint_list_len(list); i++) {
		const bn_endpoint *endpoint = bn_endpoint_list_at(list, i);

		table_add(&table, bn_endpoint_network(endpoint));
		table_add(&table, bn_endpoint_id(endpoint));
		table_add(&table, status_text(endpoint));
		table_add(&table, bn_endpoint_interface_name(endpoint));
		text_clear(&text);
		add_addresses(&text, endpoint);
		table_add(&table, text.chars);
		text_clear(&text);
		text_add_ports(&text, endpoint);
		table_add(&table, text.chars);
	}
	free(text.chars);
	table_print(&table);
}

/* As ip(8) shows it. */
static void print_route(const bn_endpoint *endpoint, size_t i)
{
	uint32_t metric = bn_endpoint_route_metric_at(endpoint, i);
	char text[128];
	int len = snprintf(text, sizeof(text), "%s via %s",
			   bn_endpoint_route_destination_at(endpoint, i),
			   bn_endpoint_route_gateway_at(endpoint, i));

	if (metric)
		snprintf(text + len, sizeof(text) - (size_t)len, " metric %" PRIu32, metric);
	print_field("Route:", text);
}

static void print_endpoint_details(const bn_endpoint *endpoint)
{
	putchar('\n');
	print_field("Endpoint:", bn_endpoint_id(endpoint));
	print_field("Network:", bn_endpoint_network(endpoint));
	if (*bn_endpoint_sandbox(endpoint))
		print_field("Namespace:", bn_endpoint_sandbox(endpoint));
	if (*bn_endpoint_host_interface_name(endpoint))
		print_field("Host end:", bn_endpoint_host_interface_name(endpoint));
	for (size_t i = 0; i < bn_endpoint_gateway_count(endpoint); i++)
		print_field("Gateway:", bn_endpoint_gateway_at(endpoint, i));
	for (size_t i = 0; i < bn_endpoint_route_count(endpoint); i++)
		print_route(endpoint, i);
	for (size_t i = 0; i < bn_endpoint_option_count(endpoint); i++)
		print_option(bn_endpoint_option_key_at(endpoint, i),
			     bn_endpoint_option_value_at(endpoint, i));
	if (bn_endpoint_interface(endpoint))
		print_interface(bn_endpoint_interface(endpoint));
}

int ps_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_endpoint_list *list;
	bool verbose;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 0);
	verbose = arguments_has(&arguments, 'v');
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_endpoints_list(cli->ctx, NULL, verbose ? BN_GET_INTERFACE : 0, &list);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json)
		json_print_list(list, bn_endpoint_list_len(list),
				verbose ? json_endpoint_at_whole : json_endpoint_at);
	else
		print_endpoints(list);
	for (size_t i = 0; verbose && !cli->json && i < bn_endpoint_list_len(list); i++)
		print_endpoint_details(bn_endpoint_list_at(list, i));
	bn_endpoint_list_free(list);
	return EXIT_SUCCESS;
}
