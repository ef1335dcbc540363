/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stale UDP flows in the real kernel, in a network namespace; conntrack(8) is the judge. */
#include "../case.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "firewall/firewall.h"

#define HOST "192.0.2.1"
#define ENDPOINT "172.30.0.2"
#define MANY 10000

static struct error error;
static struct addr local[2];

static struct addr addr_of(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("this failed: %s", command);
}

/* A flow of client:sport to address:dport that is answered by source:source_port. */
static void make_flow(const char *protocol, const char *client, uint16_t sport, const char *address,
		      uint16_t dport, const char *source, uint16_t source_port)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "conntrack -I -p %s -s %s -d %s --sport %u --dport %u -r %s -q %s "
		 "--reply-port-src %u --reply-port-dst %u -t 600 %s >/dev/null 2>&1",
		 protocol, client, address, sport, dport, source, client, source_port, sport,
		 strcmp(protocol, "tcp") == 0 ? "--state ESTABLISHED" : "");
	run(command);
}

/* The flows left, as "client-port,client-port,..." in ascending order: each has its own. */
static void assert_flows(const char *expected)
{
	char text[256] = "";
	FILE *pipe = popen("{ conntrack -L -f ipv4; conntrack -L -f ipv6; } 2>/dev/null | "
			   "sed -n 's/^[^=]*=[^=]*=[^=]*=\\([0-9]*\\).*/\\1/p' | sort -n | "
			   "tr '\\n' ','",
			   "r");

	assert_non_null(pipe);
	if (!fgets(text, sizeof(text), pipe))
		text[0] = '\0';
	assert_int_equal(pclose(pipe), 0);
	assert_string_equal(text, expected);
}

static int drop(const struct flow_filter *filters, size_t len)
{
	error_clear(&error);
	return conntrack_drop_flows(filters, len, local, ARRAY_SIZE(local), 0, &error);
}

static struct flow_filter filter_of(const char *host, uint16_t host_port, uint16_t count,
				    const char *to, uint16_t to_port, bool published)
{
	struct flow_filter filter = { .host_port = host_port,
				      .count = count,
				      .to = addr_of(to),
				      .to_port = to_port,
				      .published = published };

	if (host)
		filter.host_addr = addr_of(host);
	return filter;
}

static int setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	local[0] = addr_of("2001:db8::1");
	local[1] = addr_of(HOST);
	return 0;
}

static void test_published(void **state)
{
	struct flow_filter filters[] = {
		filter_of(NULL, 53, 1, ENDPOINT, 5353, true),
		filter_of(NULL, 53, 1, "fd30::2", 5353, true),
	};

	(void)state;
	make_flow("udp", "192.0.2.9", 1, HOST, 53, HOST, 53);           /* went to the host */
	make_flow("udp", "192.0.2.9", 2, HOST, 53, "172.30.0.9", 5353); /* to a former endpoint */
	make_flow("udp", "192.0.2.9", 3, HOST, 53, ENDPOINT, 5353);     /* to the endpoint */
	make_flow("udp", "192.0.2.9", 4, HOST, 54, HOST, 54);           /* another port */
	make_flow("udp", "192.0.2.9", 5, "192.0.2.8", 53, "192.0.2.8", 53); /* another host */
	make_flow("tcp", "192.0.2.9", 6, HOST, 53, HOST, 53);               /* another protocol */
	make_flow("udp", "127.0.0.1", 7, "127.0.0.1", 53, "127.0.0.1", 53); /* the host's own */
	make_flow("udp", "2001:db8::9", 8, "2001:db8::1", 53, "2001:db8::1", 53);
	make_flow("udp", "2001:db8::9", 9, "2001:db8::1", 53, "fd30::2", 5353);
	make_flow("udp", "192.0.2.9", 10, HOST, 53, ENDPOINT, 5354); /* its port has changed */
	assert_flows("1,2,3,4,5,6,7,8,9,10,");
	assert_int_equal(drop(filters, 1), 0);
	assert_flows("3,4,5,6,8,9,");
	assert_int_equal(drop(filters, 2), 0);
	assert_flows("3,4,5,6,9,");
}

static void test_unpublished(void **state)
{
	struct flow_filter filter = filter_of(NULL, 100, 10, ENDPOINT, 5000, false);

	(void)state;
	make_flow("udp", "192.0.2.9", 1, HOST, 100, ENDPOINT, 5000);
	make_flow("udp", "192.0.2.9", 2, HOST, 109, ENDPOINT, 5009);
	make_flow("udp", "192.0.2.9", 3, HOST, 110, ENDPOINT, 5010);     /* behind the range */
	make_flow("udp", "192.0.2.9", 4, HOST, 99, ENDPOINT, 4999);      /* before it */
	make_flow("udp", "192.0.2.9", 5, HOST, 101, ENDPOINT, 5000);     /* another mapping */
	make_flow("udp", "192.0.2.9", 6, HOST, 101, "172.30.0.3", 5001); /* another endpoint */
	make_flow("udp", "192.0.2.9", 7, HOST, 101, HOST, 101);          /* the host itself */
	assert_int_equal(drop(&filter, 1), 0);
	assert_flows("3,4,5,6,7,");
}

static void test_bound(void **state)
{
	struct flow_filter filter = filter_of("192.0.2.2", 53, 1, ENDPOINT, 5353, true);

	(void)state;
	make_flow("udp", "192.0.2.9", 1, HOST, 53, HOST, 53);
	make_flow("udp", "192.0.2.9", 2, "192.0.2.2", 53, "192.0.2.2", 53);
	assert_int_equal(drop(&filter, 1), 0);
	assert_flows("1,");
}

/* Many filters, of which some meet: each flow is judged by those of its port. */
static void test_many_filters(void **state)
{
	struct flow_filter *filters = calloc(MANY + 2, sizeof(*filters));

	(void)state;
	assert_non_null(filters);
	for (size_t i = 0; i < MANY; i++)
		filters[i] = filter_of(HOST, (uint16_t)(60000 - i), 1, ENDPOINT,
				       (uint16_t)(60000 - i), true);
	filters[MANY] = filter_of("192.0.2.2", 1000, 64000, "172.30.0.3", 2000, false);
	filters[MANY + 1] = filter_of("192.0.2.2", 500, 10, "172.30.0.3", 1500, false);
	make_flow("udp", "192.0.2.9", 1, HOST, 50001, HOST, 50001);
	make_flow("udp", "192.0.2.9", 2, HOST, 60000, HOST, 60000);
	make_flow("udp", "192.0.2.9", 3, HOST, 50000, HOST, 50000);
	make_flow("udp", "192.0.2.9", 4, HOST, 55555, ENDPOINT, 55555);
	make_flow("udp", "192.0.2.9", 5, "192.0.2.2", 64000, "172.30.0.3", 65000);
	make_flow("udp", "192.0.2.9", 6, "192.0.2.2", 55555, "172.30.0.3", 56555);
	make_flow("udp", "192.0.2.9", 7, "192.0.2.2", 505, "172.30.0.3", 1505);
	make_flow("udp", "192.0.2.9", 8, "192.0.2.2", 600, "172.30.0.3", 1600);
	assert_int_equal(drop(filters, MANY + 2), 0);
	assert_flows("3,4,8,");
	free(filters);
}

static void test_many_flows(void **state)
{
	struct flow_filter filter = filter_of(NULL, 53, 1, ENDPOINT, 5353, true);

	(void)state;
	/* More than one answer of the dump holds. */
	for (uint16_t i = 1; i <= 500; i++)
		make_flow("udp", "192.0.2.9", i, HOST, 53, HOST, 53);
	make_flow("udp", "192.0.2.9", 600, HOST, 53, ENDPOINT, 5353);
	assert_int_equal(drop(&filter, 1), 0);
	assert_flows("600,");
}

static void test_deadline(void **state)
{
	struct flow_filter filter = filter_of(NULL, 53, 1, ENDPOINT, 5353, true);
	const struct deadline passed = { .end = 1 };

	(void)state;
	make_flow("udp", "192.0.2.9", 1, HOST, 53, HOST, 53);
	assert_int_equal(conntrack_drop_flows(&filter, 1, local, ARRAY_SIZE(local), &passed,
					      &error),
			 -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	assert_flows("1,");
	assert_int_equal(drop(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_published, setup),
		cmocka_unit_test_setup(test_unpublished, setup),
		cmocka_unit_test_setup(test_bound, setup),
		cmocka_unit_test_setup(test_many_filters, setup),
		cmocka_unit_test_setup(test_many_flows, setup),
		cmocka_unit_test_setup(test_deadline, setup),
	};

	return cmocka_run_group_tests_name("conntrack", tests, NULL, NULL);
}
