/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

static const struct good_port {
	const char *text;
	const char *formatted;
	const char *host_addr;
	uint16_t host_port, container_port, count, host_range_last;
	uint8_t protocol;
} good_ports[] = {
	{ "80", "80/tcp", "", 0, 80, 1, 0, IPPROTO_TCP },
	{ ":80", "80/tcp", "", 0, 80, 1, 0, IPPROTO_TCP },
	{ "8080:80", "8080:80/tcp", "", 8080, 80, 1, 0, IPPROTO_TCP },
	{ "1:65535", "1:65535/tcp", "", 1, 65535, 1, 0, IPPROTO_TCP },
	{ "127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp", "127.0.0.1", 8080, 80, 1, 0, IPPROTO_TCP },
	{ "127.0.0.1::80", "127.0.0.1::80/tcp", "127.0.0.1", 0, 80, 1, 0, IPPROTO_TCP },
	{ "0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp", "0.0.0.0", 8080, 80, 1, 0, IPPROTO_TCP },
	{ "[::1]:8080:80", "[::1]:8080:80/tcp", "::1", 8080, 80, 1, 0, IPPROTO_TCP },
	{ "[::]::80", "[::]::80/tcp", "::", 0, 80, 1, 0, IPPROTO_TCP },
	{ "[FD00:0::2]:8080:80/udp", "[fd00::2]:8080:80/udp", "fd00::2", 8080, 80, 1, 0,
	  IPPROTO_UDP },
	{ "8000-8010:9000-9010", "8000-8010:9000-9010/tcp", "", 8000, 9000, 11, 0, IPPROTO_TCP },
	{ "8000-8010:80", "8000:80/tcp", "", 8000, 80, 1, 8010, IPPROTO_TCP },
	{ "8000-8010:80-80", "8000:80/tcp", "", 8000, 80, 1, 8010, IPPROTO_TCP },
	{ "8000-8000:80", "8000:80/tcp", "", 8000, 80, 1, 0, IPPROTO_TCP },
	{ "9000-9010", "9000-9010/tcp", "", 0, 9000, 11, 0, IPPROTO_TCP },
	{ "1-65535:1-65535", "1-65535:1-65535/tcp", "", 1, 1, 65535, 0, IPPROTO_TCP },
	{ "10.0.0.1:53:53/udp", "10.0.0.1:53:53/udp", "10.0.0.1", 53, 53, 1, 0, IPPROTO_UDP },
	{ "80:80/SCTP", "80:80/sctp", "", 80, 80, 1, 0, IPPROTO_SCTP },
	{ "00080:080/Tcp", "80:80/tcp", "", 80, 80, 1, 0, IPPROTO_TCP },
	{ "0:80", "80/tcp", "", 0, 80, 1, 0, IPPROTO_TCP },
	{ "%eth0:8080:80", "%eth0:8080:80/tcp", "%eth0", 8080, 80, 1, 0, IPPROTO_TCP },
	{ "%br-1.2::80-81", "%br-1.2::80-81/tcp", "%br-1.2", 0, 80, 2, 0, IPPROTO_TCP },
	{ "[::ffff:192.0.2.1]:8080:80", "192.0.2.1:8080:80/tcp", "192.0.2.1", 8080, 80, 1, 0,
	  IPPROTO_TCP },
	{ "127.0.0.1:00:80-81", "127.0.0.1::80-81/tcp", "127.0.0.1", 0, 80, 2, 0, IPPROTO_TCP },
};

static void test_port_parse(void **state)
{
	char text[PORT_HOST_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_ports); i++) {
		const struct good_port *good = &good_ports[i];
		struct port_request request = { 0 };
		struct error error = { 0 };

		if (port_parse(good->text, &request, &error) < 0)
			fail_msg("%s: %s", good->text, error.message);
		assert_string_equal(port_host_format(&request.port, text), good->host_addr);
		assert_int_equal(request.port.host_port, good->host_port);
		assert_int_equal(request.port.container_port, good->container_port);
		assert_int_equal(request.port.count, good->count);
		assert_int_equal(request.port.protocol, good->protocol);
		assert_int_equal(request.host_range_last, good->host_range_last);
		assert_string_equal(request.port.network, "");
		assert_string_equal(request.port.endpoint, "");
	}
}

static void test_port_format_is_parsed_back(void **state)
{
	char text[PORT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_ports); i++) {
		struct port port = port_of(good_ports[i].text), again;

		assert_string_equal(port_format(&port, text), good_ports[i].formatted);
		again = port_of(text);
		assert_memory_equal(&again, &port, sizeof(port));
	}
}

#define FORM "give [hostIP:][hostPort[-last]:]containerPort[-last][/tcp|udp|sctp]"

static const struct {
	const char *text, *sentence;
} malformed[] = {
	{ "", "port mapping '' is malformed: the container port is missing; " FORM },
	{ "8080:", "port mapping '8080:' is malformed: the container port is missing; " FORM },
	{ "/tcp", "port mapping '/tcp' is malformed: the container port is missing; " FORM },
	{ "65536:80", "port 65536 in '65536:80' is not between 1 and 65535" },
	{ "80:65536", "port 65536 in '80:65536' is not between 1 and 65535" },
	{ "0-9:80", "port 0 in '0-9:80' is not between 1 and 65535" },
	{ "80:0", "port 0 in '80:0' is not between 1 and 65535" },
	{ "18446744073709551696:80", "port 18446744073709551696 in "
				     "'18446744073709551696:80' is not between 1 and 65535" },
	{ "8000-8010:9000-9009", "ranges of unequal length in '8000-8010:9000-9009': 11 "
				 "host and 10 container ports; "
				 "make them equal" },
	{ "8000:9000-9009",
	  "ranges of unequal length in '8000:9000-9009': 1 host and 10 container ports; "
	  "make them equal" },
	{ "8010-8000:80", "range 8010-8000 in '8010-8000:80' runs backwards; give 8000-8010" },
	{ "80:80/icmp", "protocol 'icmp' in '80:80/icmp' is not known; use tcp, udp or sctp" },
	{ "80:80/", "protocol '' in '80:80/' is not known; use tcp, udp or sctp" },
	{ "web:80", "'web' in 'web:80' is not a port; give a number between 1 and 65535 or a "
		    "range such as 8000-8010" },
	{ "-80:80", "'' in '-80:80' is not a port; give a number between 1 and 65535 or a "
		    "range such as 8000-8010" },
	{ "80-:80", "'' in '80-:80' is not a port; give a number between 1 and 65535 or a "
		    "range such as 8000-8010" },
	{ "80-90-95", "'90-95' in '80-90-95' is not a port; give a number between 1 and 65535 "
		      "or a range such as 8000-8010" },
	{ " 80", "' 80' in ' 80' is not a port; give a number between 1 and 65535 or a range "
		 "such as 8000-8010" },
	{ "+80", "'+80' in '+80' is not a port; give a number between 1 and 65535 or a range "
		 "such as 8000-8010" },
	{ "1.2.3:80:80", "'1.2.3' in '1.2.3:80:80' is not an address of a host; give one such "
			 "as 192.0.2.1 or [2001:db8::1]" },
	{ ":80:80", "'' in ':80:80' is not an address of a host; give one such as 192.0.2.1 "
		    "or [2001:db8::1]" },
	{ "224.0.0.1:80:80", "'224.0.0.1' in '224.0.0.1:80:80' is not an address of a host; "
			     "give one such as 192.0.2.1 or [2001:db8::1]" },
	{ "::1:80:80", "port mapping '::1:80:80' is malformed: an IPv6 address stands in "
		       "brackets; " FORM },
	{ "[::1]:80", "port mapping '[::1]:80' is malformed: after the host address two ports "
		      "are due, the first of which may be empty; " FORM },
	{ "[::1", "port mapping '[::1' is malformed: '[' without ']:'; " FORM },
	{ "[::1]80:80", "port mapping '[::1]80:80' is malformed: '[' without ']:'; " FORM },
	{ "[::1]:1:2:3", "port mapping '[::1]:1:2:3' is malformed: it has too many colons; " FORM },
};

static void test_port_parse_refuses(void **state)
{
	struct port_request request = { .host_range_last = 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		struct error error = { 0 };

		assert_error(port_parse(malformed[i].text, &request, &error), -EINVAL,
			     BN_REASON_INVALID, error, malformed[i].sentence);
	}
	assert_int_equal(request.host_range_last, 7);
	assert_int_equal(port_parse("x", &request, NULL), -EINVAL);
}

static void test_port_parse_of_endless_text(void **state)
{
	struct port_request request;
	struct error error = { 0 };
	char text[5000];

	(void)state;
	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(port_parse(text, &request, &error), -EINVAL);
	memset(text, ':', sizeof(text) - 1);
	assert_int_equal(port_parse(text, &request, &error), -EINVAL);
	memset(text, '[', sizeof(text) - 1);
	assert_int_equal(port_parse(text, &request, &error), -EINVAL);
	memset(text, '-', sizeof(text) - 1);
	assert_int_equal(port_parse(text, &request, &error), -EINVAL);
}

static void check_collision(const char *a_text, const char *b_text, bool expected)
{
	struct port a = port_of(a_text), b = port_of(b_text);

	if (port_collides(&a, &b) != expected || port_collides(&b, &a) != expected)
		fail_msg("%s and %s", a_text, b_text);
}

static void test_port_collides(void **state)
{
	(void)state;
	check_collision("80:80", "80:81", true);
	check_collision("80:80", "81:80", false);
	check_collision("80:80", "80:80/udp", false);
	check_collision("80-90:80-90", "90:1", true);
	check_collision("80-90:80-90", "91:1", false);
	check_collision("80-90:80-90", "79:1", false);
	check_collision("80-90:80-90", "85-86:1-2", true);
	check_collision("65535:1", "65535:2", true);
	check_collision("1-65535:1-65535", "65535:2", true);
	check_collision("80:80", "10.0.0.1:80:80", true);
	check_collision("80:80", "[fd00::1]:80:80", true);
	check_collision("0.0.0.0:80:80", "10.0.0.1:80:80", true);
	check_collision("0.0.0.0:80:80", "[fd00::1]:80:80", false);
	check_collision("0.0.0.0:80:80", "[::]:80:80", false);
	check_collision("[::]:80:80", "[::1]:80:80", true);
	check_collision("10.0.0.1:80:80", "10.0.0.1:80:81", true);
	check_collision("10.0.0.1:80:80", "10.0.0.2:80:80", false);
	check_collision("80", "80", false);
	check_collision("80", "80:80", false);
}

/* What holds no port of the host in a family takes none there. */
static void test_port_routed(void **state)
{
	static const struct {
		const char *mapping;
		uint8_t routed;
		const char *other;
		bool collides;
	} cases[] = {
		{ "80:80", PORT_ROUTED_IPV6, "80:80", true },
		{ "80:80", PORT_ROUTED_IPV6, "[::]:80:80", false },
		{ "80:80", PORT_ROUTED_IPV6, "0.0.0.0:80:80", true },
		{ "80:80", PORT_ROUTED_IPV4, "192.0.2.1:80:80", false },
		{ "80:80", PORT_ROUTED_IPV4 | PORT_ROUTED_IPV6, "80:80", false },
		{ "0.0.0.0:80:80", PORT_ROUTED_IPV6, "80:80", true },
	};
	struct endpoint both = endpoint_of("172.17.0.4/16", "fd00::4/64");
	struct endpoint ipv4 = endpoint_of("172.17.0.4/16", NULL);
	struct port side;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct port a = port_of(cases[i].mapping), b = port_of(cases[i].other);

		a.routed = cases[i].routed;
		if (port_collides(&a, &b) != cases[i].collides ||
		    port_collides(&b, &a) != cases[i].collides)
			fail_msg("%s with %u, and %s", cases[i].mapping, a.routed, cases[i].other);
	}
	side = port_of("80:80");
	assert_true(port_host_side(&side, &both, &side));
	assert_int_equal(side.host_addr.family, AF_UNSPEC);
	assert_true(port_host_side(&side, &ipv4, &side));
	assert_int_equal(side.host_addr.family, AF_INET);
	side = port_of("80:80");
	side.routed = PORT_ROUTED_IPV4;
	assert_false(port_host_side(&side, &ipv4, &side));
	assert_true(port_host_side(&side, &both, &side));
	assert_int_equal(side.host_addr.family, AF_INET6);
}

/* What a request finds among the mappings that one endpoint has. */
static void test_port_request_find(void **state)
{
	static const char *const mappings[] = {
		"8003:80",           "127.0.0.1:32768:80",  "32769:80/udp",
		"32770-32772:90-92", "9000-9002:91-93/udp", "32773:443",
		"32774:443",
	};
	static const struct {
		const char *request;
		size_t first, next; /* ARRAY_SIZE(mappings): none */
	} cases[] = {
		{ "8000-8010:80", 0, 7 },
		{ "8003-8004:80", 0, 7 },
		{ "8000-8003:80", 0, 7 },
		{ "8004-8010:80", 7, 7 },
		{ "8000-8002:80", 7, 7 },
		{ "80", 0, 7 },
		{ "0:80", 0, 7 },
		{ "127.0.0.1::80", 1, 7 },
		{ "127.0.0.2::80", 7, 7 },
		{ "0.0.0.0::80", 7, 7 },
		{ "80/udp", 2, 7 },
		{ "80/sctp", 7, 7 },
		{ "90-92", 3, 7 },
		{ "90", 7, 7 },
		{ "90-91", 7, 7 },
		{ "91-93/udp", 4, 7 },
		{ "9000-9002:91-93/udp", 4, 7 },
		{ "91-93", 7, 7 },
		{ "443", 5, 6 },
		{ "32774-32775:443", 6, 7 },
		{ "8003:80", 0, 7 },
		{ "8003:81", 7, 7 },
	};
	static const struct addr none;
	struct port ports[ARRAY_SIZE(mappings)];
	size_t len = ARRAY_SIZE(mappings), first;

	(void)state;
	for (size_t i = 0; i < len; i++)
		ports[i] = port_of(mappings[i]);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct port_request request;
		struct error error = { 0 };

		assert_int_equal(port_parse(cases[i].request, &request, &error), 0);
		first = port_request_find(&request, &none, ports, len, 0);
		if (first != cases[i].first ||
		    port_request_find(&request, &none, ports, len, first + 1) != cases[i].next)
			fail_msg("%s: %zu", cases[i].request, first);
	}
	assert_int_equal(port_request_find(&(struct port_request){ 0 }, &none, NULL, 0, 0), 0);
}

static void test_port_has_family(void **state)
{
	struct port any = port_of("80:80"), ipv4 = port_of("0.0.0.0:80:80");
	struct port ipv6 = port_of("[fd00::1]:80:80");

	(void)state;
	assert_true(port_has_family(&any, AF_INET) && port_has_family(&any, AF_INET6));
	assert_true(port_has_family(&ipv4, AF_INET));
	assert_false(port_has_family(&ipv4, AF_INET6));
	assert_true(port_has_family(&ipv6, AF_INET6));
	assert_false(port_has_family(&ipv6, AF_INET));
}

static void test_protocol_name(void **state)
{
	(void)state;
	assert_string_equal(protocol_name(IPPROTO_TCP), "tcp");
	assert_string_equal(protocol_name(IPPROTO_UDP), "udp");
	assert_string_equal(protocol_name(IPPROTO_SCTP), "sctp");
	assert_string_equal(protocol_name(0), "all");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_parse),
		cmocka_unit_test(test_port_format_is_parsed_back),
		cmocka_unit_test(test_port_parse_refuses),
		cmocka_unit_test(test_port_parse_of_endless_text),
		cmocka_unit_test(test_port_collides),
		cmocka_unit_test(test_port_routed),
		cmocka_unit_test(test_port_request_find),
		cmocka_unit_test(test_port_has_family),
		cmocka_unit_test(test_protocol_name),
	};

	return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
