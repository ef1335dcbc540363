/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state as it is kept, whatever the kernel has; of one that is damaged what can be read. */
#include <stdlib.h>

#include "bn.h"

struct dump {
	struct cli *cli;
	json_t *networks, *endpoints, *ports, *errors;
};

/* Returns whether there was a failure. */
static bool fails(struct dump *dump, int r)
{
	if (r >= 0)
		return false;
	json_append(dump->errors, json_text(bn_error_message(dump->cli->ctx)));
	cli_fail(dump->cli, r);
	return true;
}

/* network, endpoint: NULL for all. Nothing is added when it fails. */
static int add_endpoints(struct dump *dump, const char *network)
{
	bn_endpoint_list *list;
	int r = bn_endpoints_list(dump->cli->ctx, network, 0, &list);

	if (r < 0)
		return r;
	for (size_t i = 0; i < bn_endpoint_list_len(list); i++)
		json_append(dump->endpoints, json_endpoint_at(list, i));
	bn_endpoint_list_free(list);
	return 0;
}

static int add_ports(struct dump *dump, const char *network, const char *endpoint)
{
	bn_port_list *list;
	int r = bn_ports_list(dump->cli->ctx, network, endpoint, 0, &list);

	if (r < 0)
		return r;
	for (size_t i = 0; i < bn_port_list_len(list); i++)
		json_append(dump->ports, json_port_at(list, i));
	bn_port_list_free(list);
	return 0;
}

/* Of a part that can't be read the others may be. */
static void dump_network(struct dump *dump, const char *network, bool endpoints, bool ports)
{
	bn_endpoint_list *list = NULL;

	if (endpoints)
		fails(dump, add_endpoints(dump, network));
	if (!ports || add_ports(dump, network, NULL) >= 0)
		return;
	if (fails(dump, bn_endpoints_list(dump->cli->ctx, network, 0, &list)))
		return;
	for (size_t i = 0; i < bn_endpoint_list_len(list); i++)
		fails(dump, add_ports(dump, network, bn_endpoint_id(bn_endpoint_list_at(list, i))));
	bn_endpoint_list_free(list);
}

static void dump_all(struct dump *dump)
{
	bn_network_list *list = NULL;
	bool endpoints, ports;

	if (fails(dump, bn_networks_list(dump->cli->ctx, 0, &list)))
		return;
	endpoints = add_endpoints(dump, NULL) < 0;
	ports = add_ports(dump, NULL, NULL) < 0;
	for (size_t i = 0; i < bn_network_list_len(list); i++) {
		json_append(dump->networks, json_network_at(list, i));
		if (endpoints || ports)
			dump_network(dump, bn_network_name(bn_network_list_at(list, i)), endpoints,
				     ports);
	}
	bn_network_list_free(list);
}

int state_dump_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct dump dump = { .cli = cli };
	struct arguments arguments;
	json_t *object;
	bool whole;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 0, 0);
	arguments_free(&arguments);
	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	dump.networks = json_array();
	dump.endpoints = json_array();
	dump.ports = json_array();
	dump.errors = json_array();
	dump_all(&dump);
	whole = json_array_size(dump.errors) == 0;
	object = json_object();
	json_set(object, "networks", dump.networks);
	json_set(object, "endpoints", dump.endpoints);
	json_set(object, "ports", dump.ports);
	json_set(object, "errors", dump.errors);
	json_print(object);
	return whole ? EXIT_SUCCESS : EXIT_FAILURE;
}
