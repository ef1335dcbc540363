/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of model/ share: cmocka, and values made from text. */
#ifndef BN_TESTS_FIXTURE_H
#define BN_TESTS_FIXTURE_H

#include "../case.h"

#include <errno.h>
#include <stdio.h>

#include "model/port.h"
#include "plan_parts.h"

__attribute__((unused)) static struct addr addr_of(const char *text)
{
	struct addr addr = { 0 };

	if (addr_parse(text, &addr) < 0)
		fail_msg("the test's own address '%s' is malformed", text);
	return addr;
}

__attribute__((unused)) static struct prefix prefix_of(const char *text)
{
	struct prefix prefix = { 0 };

	if (prefix_parse(text, &prefix) < 0)
		fail_msg("the test's own prefix '%s' is malformed", text);
	return prefix;
}

/* A bridge network named `bridge` on bn0; either subnet may be NULL. */
__attribute__((unused)) static struct network network_of(const char *ipv4, const char *ipv6)
{
	struct network network = { .name = "bridge", .driver = DRIVER_BRIDGE, .bridge = "bn0" };

	if (ipv4) {
		network.ipv4.prefix = prefix_of(ipv4);
		addr_add(&network.ipv4.prefix.addr, 1, &network.ipv4.gateway);
	}
	if (ipv6) {
		network.ipv6.prefix = prefix_of(ipv6);
		addr_add(&network.ipv6.prefix.addr, 1, &network.ipv6.gateway);
	}
	return network;
}

/* Endpoint `web` of that network; either address may be NULL. */
__attribute__((unused)) static struct endpoint endpoint_of(const char *ipv4, const char *ipv6)
{
	struct endpoint endpoint = { .network = "bridge", .id = "web", .interface = "eth0" };

	if (ipv4)
		endpoint.ipv4 = prefix_of(ipv4);
	if (ipv6)
		endpoint.ipv6 = prefix_of(ipv6);
	return endpoint;
}

__attribute__((unused)) static struct port port_of(const char *text)
{
	struct port_request request = { 0 };
	struct error error = { 0 };

	if (port_parse(text, &request, &error) < 0)
		fail_msg("the test's own port '%s': %s", text, error.message);
	return request.port;
}

/* A call failed as it should: code, reason, and the whole sentence. */
#define assert_error(ret, expected_code, expected_reason, error, sentence) \
	do {                                                               \
		assert_int_equal(ret, expected_code);                      \
		assert_int_equal((error).code, expected_code);             \
		assert_int_equal((error).reason, expected_reason);         \
		assert_string_equal((error).message, sentence);            \
	} while (0)

#endif
