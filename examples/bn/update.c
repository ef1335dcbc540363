/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "bn.h"

enum { MTU = 256, LABEL, OPT, GATEWAY_PRIORITY };

/* KEY=VALUE, with what goes before all keys of its kind. KEY alone: the default again. */
static void split_option(const char *prefix, const char *text, char **ret_key,
			 const char **ret_value)
{
	char *name;

	argument_split(text, &name, ret_value);
	if (asprintf(ret_key, "%s%s", prefix, name) < 0)
		out_of_memory();
	free(name);
	if (!*ret_value)
		*ret_value = "";
}

/* ---- networks ---- */

static int apply_to_network(const struct cli *cli, bn_network_spec *spec,
			    const struct argument *argument)
{
	const char *value;
	char *key;
	int r;

	if (argument->option == MTU)
		return bn_network_spec_set_mtu(spec, (uint32_t)argument_number(cli, argument->value,
									       1, INT32_MAX));
	split_option(argument->option == LABEL ? "label." : "", argument->value, &key, &value);
	r = bn_network_spec_set_option(spec, key, value);
	free(key);
	return r;
}

static int update_network(struct cli *cli, const bn_network_spec *spec)
{
	bn_network *network;
	int r;

	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_network_update(cli->ctx, spec, 0, &network);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json)
		json_print(json_network(network));
	bn_network_free(network);
	return EXIT_SUCCESS;
}

int network_update_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "mtu", required_argument, NULL, MTU },
		{ "label", required_argument, NULL, LABEL },
		{ "opt", required_argument, NULL, OPT },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_network_spec *spec;
	int r, status = EXIT_FAILURE;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 1, 1);
	r = bn_network_spec_new(arguments.words[0], &spec);
	if (r < 0) {
		arguments_free(&arguments);
		return cli_fail(cli, r);
	}
	for (size_t i = 0; i < arguments.len && r >= 0; i++) {
		r = apply_to_network(cli, spec, &arguments.items[i]);
		if (r < 0)
			status = argument_fail(&arguments.items[i], r);
	}
	if (r >= 0)
		status = update_network(cli, spec);
	bn_network_spec_free(spec);
	arguments_free(&arguments);
	return status;
}

/* ---- endpoints ---- */

static int apply_to_endpoint(const struct cli *cli, bn_endpoint_spec *spec,
			     const struct argument *argument)
{
	const char *value;
	char *key;
	int r;

	if (argument->option == GATEWAY_PRIORITY)
		return bn_endpoint_spec_set_gateway_priority(
			spec, argument_number(cli, argument->value, INT32_MIN, INT32_MAX));
	split_option(argument->option == LABEL ? "label." : "", argument->value, &key, &value);
	r = bn_endpoint_spec_set_option(spec, key, value);
	free(key);
	return r;
}

static int update_endpoint(struct cli *cli, const bn_endpoint_spec *spec)
{
	bn_endpoint *endpoint;
	int r;

	if (cli_open(cli) != 0)
		return EXIT_FAILURE;
	r = bn_endpoint_update(cli->ctx, spec, 0, &endpoint);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli->json)
		json_print(json_endpoint(endpoint, false));
	bn_endpoint_free(endpoint);
	return EXIT_SUCCESS;
}

int endpoint_update_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "gateway-priority", required_argument, NULL, GATEWAY_PRIORITY },
		{ "label", required_argument, NULL, LABEL },
		{ "opt", required_argument, NULL, OPT },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_endpoint_spec *spec;
	int r, status = EXIT_FAILURE;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 2, 2);
	r = bn_endpoint_spec_new(arguments.words[0], arguments.words[1], &spec);
	if (r < 0) {
		arguments_free(&arguments);
		return cli_fail(cli, r);
	}
	for (size_t i = 0; i < arguments.len && r >= 0; i++) {
		r = apply_to_endpoint(cli, spec, &arguments.items[i]);
		if (r < 0)
			status = argument_fail(&arguments.items[i], r);
	}
	if (r >= 0)
		status = update_endpoint(cli, spec);
	bn_endpoint_spec_free(spec);
	arguments_free(&arguments);
	return status;
}
