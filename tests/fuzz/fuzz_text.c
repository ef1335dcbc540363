/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What reads texts of users and of files gets arbitrary bytes. An input is the number of the reader,
 * and the text; what was understood is written again, which must read the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/definition.h"
#include "model/hosts.h"
#include "model/ipam.h"
#include "model/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* A reader that says no gives a sentence. */
static bool is_taken(int r, const struct error *error)
{
	demand(r >= 0 || !error || error->message[0], "a refusal has a sentence");
	return r >= 0;
}

static void read_address(char *text)
{
	char again[ADDR_TEXT_MAX];
	struct addr addr, other;

	if (addr_parse(text, &addr) < 0)
		return;
	addr_format(&addr, again);
	demand(addr_parse(again, &other) == 0 && addr_compare(&addr, &other) == 0,
	       "an address reads as it was written");
}

static void read_prefix(char *text)
{
	char again[PREFIX_TEXT_MAX];
	struct prefix prefix, other;

	if (prefix_parse(text, &prefix) < 0)
		return;
	demand(prefix.len <= addr_size(prefix.addr.family) * 8, "a prefix is no longer than that");
	prefix_format(&prefix, again);
	demand(prefix_parse(again, &other) == 0 && other.len == prefix.len &&
		       addr_compare(&prefix.addr, &other.addr) == 0,
	       "a prefix reads as it was written");
}

static void read_range(char *text)
{
	char again[RANGE_TEXT_MAX];
	struct range range, other;
	struct error error = { 0 };

	if (!is_taken(ipam_parse_range(text, &range, &error), &error))
		return;
	demand(range.first.family == range.last.family &&
		       addr_compare(&range.first, &range.last) <= 0,
	       "a range goes up");
	range_format(&range, again);
	demand(ipam_parse_range(again, &other, NULL) >= 0 && range_equals(&range, &other),
	       "a range reads as it was written");
}

static void read_mac(char *text)
{
	uint8_t mac[MAC_LEN], other[MAC_LEN];
	char again[MAC_TEXT_MAX];

	if (mac_parse(text, mac) < 0)
		return;
	mac_format(mac, again);
	demand(mac_parse(again, other) == 0 && memcmp(mac, other, sizeof(mac)) == 0,
	       "a MAC reads as it was written");
}

static void read_port(char *text)
{
	struct port_request request = { 0 }, other = { 0 };
	char again[PORT_TEXT_MAX];
	struct error error = { 0 };

	if (!is_taken(port_parse(text, &request, &error), &error))
		return;
	demand(request.port.count >= 1 && request.port.container_port >= 1 &&
		       request.port.container_port + request.port.count <= 65536 &&
		       request.port.host_port + request.port.count <= 65536,
	       "ports are within their bounds");
	port_format(&request.port, again);
	if (request.host_range_last || !request.port.host_port)
		return;
	demand(port_parse(again, &other, NULL) >= 0 && port_collides(&request.port, &other.port) &&
		       request.port.container_port == other.port.container_port &&
		       request.port.count == other.port.count,
	       "a mapping reads as it was written");
}

static void read_names(char *text)
{
	struct error error = { 0 };

	if (is_taken(interface_name_check(text, &error), &error))
		demand(strlen(text) < IFNAMSIZ && !strchr(text, '/'), "a link can have that name");
	error = (struct error){ 0 };
	if (is_taken(network_name_check(text, &error), &error))
		demand(strlen(text) <= NETWORK_NAME_MAX, "a name has room");
	error = (struct error){ 0 };
	if (is_taken(endpoint_id_check(text, &error), &error))
		demand(strlen(text) <= ENDPOINT_ID_MAX && !strchr(text, '/'), "an id has room");
}

static void read_serialized(char *text)
{
	struct options options = { 0 }, other = { 0 };
	char *again = NULL, *twice = NULL;

	if (options_parse(text, &options) == 0 && options_serialize(&options, &again) == 0) {
		demand(options_parse(again, &other) == 0 && options_serialize(&other, &twice) == 0,
		       "what was written is read");
		demand((!again && !twice) || strcmp(again, twice) == 0,
		       "options read as they were written");
	}
	free(again);
	free(twice);
	options_clear(&options);
	options_clear(&other);
}

union any_policy {
	struct network_policy network;
	struct endpoint_policy endpoint;
	struct port_policy port;
	struct context_policy context;
};

static void check_options(const struct options *given, enum option_scope scope)
{
	union any_policy policy = { 0 };
	struct options options = { 0 };
	struct error error = { 0 };
	int r = options_copy(&options, given);

	if (r == 0)
		r = options_normalise(&options, scope, &error);
	if (r == 0)
		r = options_check(&options, scope, &policy, &error);
	if (is_taken(r, &error))
		options_check_conflicts(&options, scope, &error);
	policy_clear(scope, &policy);
	options_clear(&options);
}

/* A key and a value in turns, a line each. */
static void read_options(char *text)
{
	struct options options = { 0 };
	char *rest = text, *key, *value;

	while ((key = strsep(&rest, "\n")) && (value = strsep(&rest, "\n")))
		options_set(&options, key, value);
	for (int scope = 0; scope < (int)OPTION_CONTEXT + 1; scope++)
		check_options(&options, (enum option_scope)scope);
	options_clear(&options);
}

static void read_definition(char *text)
{
	struct network network = { 0 }, other = { 0 };
	struct error error = { 0 };
	char *again = NULL, *twice = NULL, *copy = NULL;

	if (!is_taken(definition_parse(text, &network, &error), &error))
		return;
	if (definition_format(&network, &again) == 0 && (copy = strdup(again))) {
		demand(definition_parse(copy, &other, &error) == 0, "what was written is read");
		demand(definition_format(&other, &twice) < 0 || strcmp(again, twice) == 0,
		       "a definition reads as it was written");
		network_clear(&other);
	}
	network_clear(&network);
	free(again);
	free(twice);
	free(copy);
}

static void read_guard(char *text)
{
	struct guard guard = { 0 };

	if (guard_parse(text, &guard) == 0)
		demand(guard_includes(&guard, &guard), "a guard has what it has");
	guard_clear(&guard);
}

static void read_resolver(char *text)
{
	const addr_vector none = { 0 };
	bool loopback = false;
	char *file = NULL;

	if (resolver_file(text, &none, true, true, &file, &loopback) == 0)
		demand(strstr(file, "nameserver ") != NULL, "somebody is asked for names");
	free(file);
}

static void (*const readers[])(char *text) = {
	read_address, read_prefix,     read_range,      read_mac,   read_port,     read_names,
	read_options, read_serialized, read_definition, read_guard, read_resolver,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 1)
		return 0;
	/* of its very size, so that a byte too far is seen */
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	readers[data[0] % ARRAY_SIZE(readers)](text);
	free(text);
	return 0;
}
