/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

static void port_range(uint32_t first, uint32_t count, char text[static 16])
{
	if (count > 1)
		snprintf(text, 16, "%" PRIu32 "-%" PRIu32, first, first + count - 1);
	else
		snprintf(text, 16, "%" PRIu32, first);
}

char *port_text(const bn_port *port, bool ipv6)
{
	const char *address = bn_port_host_address(port);
	char host[16], container[16], *text;

	if (!*address)
		address = ipv6 ? "::" : "0.0.0.0";
	ipv6 = strchr(address, ':') && *address != '[';
	port_range(bn_port_host_port(port), bn_port_count(port), host);
	port_range(bn_port_container_port(port), bn_port_count(port), container);
	if (asprintf(&text, "%s%s%s:%s->%s/%s", ipv6 ? "[" : "", address, ipv6 ? "]" : "", host,
		     container, bn_port_protocol(port)) < 0)
		out_of_memory();
	return text;
}

static void append_port(char **text, const bn_port *port, bool ipv6)
{
	char *one = port_text(port, ipv6), *longer;

	if (asprintf(&longer, "%s%s%s", *text, **text ? ", " : "", one) < 0)
		out_of_memory();
	free(one);
	free(*text);
	*text = longer;
}

char *endpoint_ports_text(const bn_endpoint *endpoint)
{
	const bn_port_list *ports = bn_endpoint_ports(endpoint);
	bool has_ipv4 = false, has_ipv6 = false;
	char *text = strdup("");

	if (!text)
		out_of_memory();
	for (size_t i = 0; i < bn_endpoint_address_count(endpoint); i++) {
		if (strchr(bn_endpoint_address_at(endpoint, i), ':'))
			has_ipv6 = true;
		else
			has_ipv4 = true;
	}
	for (size_t i = 0; i < bn_port_list_len(ports); i++) {
		const bn_port *port = bn_port_list_at(ports, i);
		bool everywhere = !*bn_port_host_address(port);

		if (has_ipv4 || !everywhere)
			append_port(&text, port, false);
		if (has_ipv6 && everywhere)
			append_port(&text, port, true);
	}
	return text;
}

static int collect_specs(const struct arguments *arguments, bn_port_spec_list **ret_specs)
{
	bn_port_spec_list *specs;
	bn_port_spec *spec;
	int r = bn_port_spec_list_new(&specs);

	if (r < 0)
		return r;
	for (size_t i = 0; i < arguments->len && r >= 0; i++) {
		r = bn_port_spec_new(arguments->items[i].value, &spec);
		if (r < 0)
			break;
		r = bn_port_spec_list_add(specs, spec);
		bn_port_spec_free(spec);
	}
	if (r < 0)
		bn_port_spec_list_free(specs);
	else
		*ret_specs = specs;
	return r;
}

static int publish(struct cli *cli, char **words, const bn_port_spec_list *specs)
{
	bn_port_list *ports;
	int r = bn_ports_publish(cli->ctx, words[0], words[1], specs, 0, &ports);

	if (r < 0)
		return r;
	if (cli->json)
		json_print(json_ports(ports));
	for (size_t i = 0; !cli->json && i < bn_port_list_len(ports); i++) {
		char *text = port_text(bn_port_list_at(ports, i), false);

		print_line(text);
		free(text);
	}
	bn_port_list_free(ports);
	return 0;
}

static int unpublish(struct cli *cli, char **words, const bn_port_spec_list *specs)
{
	return bn_ports_unpublish(cli->ctx, words[0], words[1], specs, 0);
}

static int ports_command(struct cli *cli, int argc, char **argv,
			 int (*change)(struct cli *cli, char **words,
				       const bn_port_spec_list *specs))
{
	static const struct option options[] = {
		{ "publish", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_port_spec_list *specs;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 2, 2);
	if (!arguments.len)
		cli_usage(cli, "a port is needed: -p SPEC");
	argv = arguments.words;
	r = collect_specs(&arguments, &specs);
	arguments_free(&arguments);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli_open(cli) != 0) {
		bn_port_spec_list_free(specs);
		return EXIT_FAILURE;
	}
	r = change(cli, argv, specs);
	bn_port_spec_list_free(specs);
	return r < 0 ? cli_fail(cli, r) : EXIT_SUCCESS;
}

int publish_command(struct cli *cli, int argc, char **argv)
{
	return ports_command(cli, argc, argv, publish);
}

int unpublish_command(struct cli *cli, int argc, char **argv)
{
	return ports_command(cli, argc, argv, unpublish);
}
