/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

static void add_range(struct text *text, uint32_t first, uint32_t count)
{
	char numbers[24];

	if (count > 1)
		snprintf(numbers, sizeof(numbers), "%" PRIu32 "-%" PRIu32, first,
			 first + count - 1);
	else
		snprintf(numbers, sizeof(numbers), "%" PRIu32, first);
	text_add(text, numbers);
}

static bool is_routed(const bn_port *port, bool ipv6)
{
	return strcmp(bn_port_mode(port, ipv6 ? "ipv6" : "ipv4"), "routed") == 0;
}

void text_add_port(struct text *text, const bn_port *port, bool ipv6)
{
	const char *address = bn_port_host_address(port);
	bool routed;

	if (!*address)
		address = ipv6 ? "::" : "0.0.0.0";
	ipv6 = strchr(address, ':') && *address != '[';
	routed = is_routed(port, ipv6);
	if (!routed) {
		text_add(text, ipv6 ? "[" : "");
		text_add(text, address);
		text_add(text, ipv6 ? "]:" : ":");
		add_range(text, bn_port_host_port(port), bn_port_count(port));
		text_add(text, "->");
	}
	add_range(text, bn_port_container_port(port), bn_port_count(port));
	text_add(text, "/");
	text_add(text, bn_port_protocol(port));
	text_add(text, routed ? " (routed)" : "");
}

void text_add_ports(struct text *text, const bn_endpoint *endpoint)
{
	const bn_port_list *ports = bn_endpoint_ports(endpoint);
	bool has_ipv4 = false, has_ipv6 = false;
	const char *between = "";

	for (size_t i = 0; i < bn_endpoint_address_count(endpoint); i++) {
		if (strchr(bn_endpoint_address_at(endpoint, i), ':'))
			has_ipv6 = true;
		else
			has_ipv4 = true;
	}
	for (size_t i = 0; i < bn_port_list_len(ports); i++) {
		const bn_port *port = bn_port_list_at(ports, i);
		bool everywhere = !*bn_port_host_address(port);

		if (has_ipv4 || !everywhere) {
			text_add(text, between);
			text_add_port(text, port, false);
			between = ", ";
		}
		/* at an address of its own it is the same in both */
		if (has_ipv6 && everywhere &&
		    !(has_ipv4 && is_routed(port, false) && is_routed(port, true))) {
			text_add(text, between);
			text_add_port(text, port, true);
			between = ", ";
		}
	}
}

uint32_t publish_flags(const struct arguments *arguments)
{
	return (arguments_has(arguments, OVER_LISTENER) ? BN_PUBLISH_OVER_LISTENER : 0) |
	       (arguments_has(arguments, SKIP_FAMILY) ? BN_PUBLISH_SKIP_FAMILY : 0) |
	       (arguments_has(arguments, UPDATE) ? BN_PUBLISH_UPDATE : 0);
}

int publish_spec(const struct arguments *arguments, size_t i, bn_port_spec **ret_spec)
{
	bn_port_spec *spec;
	int r = bn_port_spec_new(arguments->items[i++].value, &spec);

	if (r < 0)
		return r;
	for (; i < arguments->len && arguments->items[i].option != 'p' && r >= 0; i++) {
		const char *value;
		char *key;

		if (arguments->items[i].option != PORT_OPT)
			continue;
		argument_split(arguments->items[i].value, &key, &value);
		r = bn_port_spec_set_option(spec, key, value ? value : "");
		free(key);
	}
	if (r < 0)
		bn_port_spec_free(spec);
	else
		*ret_spec = spec;
	return r;
}

void check_port_options(const struct cli *cli, const struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->len && arguments->items[i].option != 'p'; i++)
		if (arguments->items[i].option == PORT_OPT)
			cli_usage(cli,
				  "--port-opt %s stands before every -p; it is of the port "
				  "before it",
				  arguments->items[i].value);
}

static int collect_specs(const struct arguments *arguments, bn_port_spec_list **ret_specs)
{
	bn_port_spec_list *specs;
	bn_port_spec *spec;
	int r = bn_port_spec_list_new(&specs);

	if (r < 0)
		return r;
	for (size_t i = 0; i < arguments->len && r >= 0; i++) {
		if (arguments->items[i].option != 'p')
			continue;
		r = publish_spec(arguments, i, &spec);
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

static void print_ports(const struct cli *cli, const bn_port_list *ports)
{
	if (cli->json)
		json_print_list(ports, bn_port_list_len(ports), json_port_at);
	for (size_t i = 0; !cli->json && i < bn_port_list_len(ports); i++) {
		struct text text = { 0 };

		text_add_port(&text, bn_port_list_at(ports, i), false);
		print_line(text.chars);
		free(text.chars);
	}
}

static int publish(struct cli *cli, char **words, const bn_port_spec_list *specs, uint32_t flags)
{
	bn_port_list *ports;
	int r = bn_ports_publish(cli->ctx, words[0], words[1], specs, flags, &ports);

	if (r < 0)
		return r;
	print_ports(cli, ports);
	bn_port_list_free(ports);
	return 0;
}

static int unpublish(struct cli *cli, char **words, const bn_port_spec_list *specs, uint32_t flags)
{
	return bn_ports_unpublish(cli->ctx, words[0], words[1], specs, flags);
}

static int ports_command(struct cli *cli, int argc, char **argv, const struct option *options,
			 int (*change)(struct cli *cli, char **words,
				       const bn_port_spec_list *specs, uint32_t flags))
{
	struct arguments arguments;
	bn_port_spec_list *specs;
	uint32_t flags;
	int r;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 2, 2);
	check_port_options(cli, &arguments);
	if (!arguments_has(&arguments, 'p'))
		cli_usage(cli, "a port is needed: -p SPEC");
	argv = arguments.words;
	flags = publish_flags(&arguments);
	r = collect_specs(&arguments, &specs);
	arguments_free(&arguments);
	if (r < 0)
		return cli_fail(cli, r);
	if (cli_open(cli) != 0) {
		bn_port_spec_list_free(specs);
		return EXIT_FAILURE;
	}
	r = change(cli, argv, specs, flags);
	bn_port_spec_list_free(specs);
	return r < 0 ? cli_fail(cli, r) : EXIT_SUCCESS;
}

int publish_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		PUBLISH_OPTIONS,
		{ "update", no_argument, NULL, UPDATE },
		{ NULL, 0, NULL, 0 },
	};

	return ports_command(cli, argc, argv, options, publish);
}

int unpublish_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "publish", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};

	return ports_command(cli, argc, argv, options, unpublish);
}

static int move(struct cli *cli, char **words, const bn_port_spec *spec)
{
	bn_port_list *ports;
	int r = bn_port_move(cli->ctx, words[0], words[1], words[2], words[3], spec, 0, &ports);

	if (r < 0)
		return r;
	print_ports(cli, ports);
	bn_port_list_free(ports);
	return 0;
}

int move_command(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "publish", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments;
	bn_port_spec *spec = NULL;
	int r = 0;

	arguments_parse(cli, argc, argv, 0, options, &arguments);
	arguments_words(cli, &arguments, 4, 4);
	if (arguments.len > 1)
		cli_usage(cli, "one port at most: without -p all are moved");
	argv = arguments.words;
	if (arguments.len)
		r = publish_spec(&arguments, 0, &spec);
	arguments_free(&arguments);
	if (r < 0)
		return cli_fail(cli, r);
	r = cli_open(cli);
	if (r == 0) {
		r = move(cli, argv, spec);
		r = r < 0 ? cli_fail(cli, r) : EXIT_SUCCESS;
	}
	bn_port_spec_free(spec);
	return r;
}
