/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's own neighbour entries, when an address comes back with another MAC. */
#include "link_stage.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "link/private.h"

#define OLD "02:00:00:00:00:99"

static const char *const addresses[] = { "172.30.0.2", "fd00:30::2" };

static struct sandbox sandbox;
static struct endpoint endpoint;
static char mac[MAC_TEXT_MAX];

/* With another port, as a bridge that has none loses its carrier, and then all of its neighbours. */
static int setup(void **state)
{
	int r = stage_setup_bridge(state);

	sandbox = sandbox_new();
	endpoint = endpoint_number(0, true);
	mac_format(endpoint.mac, mac);
	IP_RUN(host_ns, "link", "add", "lk-port", "master", BRIDGE, "up", "type", "veth", "peer",
	       "name", "lk-peer");
	IP_RUN(host_ns, "link", "set", "lk-peer", "up");
	return r;
}

static int teardown(void **state)
{
	int r;

	fault_hook = NULL;
	r = delete_one();
	sandbox_close(&sandbox);
	IP_RUN(host_ns, "link", "del", "lk-port");
	return r < 0 ? r : stage_teardown_bridge(state);
}

static void know(const char *address, const char *lladdr, const char *nud)
{
	IP_RUN(host_ns, "neigh", "replace", address, "lladdr", lladdr, "nud", nud, "dev", BRIDGE);
}

/* "MAC STATE" that the host has of the address on that interface; "" for none. */
static const char *known_on(const char *interface, const char *address)
{
	static char text[64];
	json_t *list = IP(host_ns, "neigh", "show", "to", address, "dev", interface, "nud", "all"),
	       *entry;

	entry = json_array_get(list, 0);
	text[0] = '\0';
	if (entry)
		snprintf(text, sizeof(text), "%s %s", text_of(entry, "lladdr"),
			 json_string_value(json_array_get(json_object_get(entry, "state"), 0)));
	json_decref(list);
	return text;
}

static void assert_known(const char *address, const char *lladdr, const char *nud)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s %s", lladdr, nud);
	assert_string_equal(known_on(BRIDGE, address), wanted);
}

static void assert_attached(void)
{
	if (attach(&sandbox, &endpoint) < 0)
		fail_msg("%s", error.message);
}

static void test_replaced(void **state)
{
	static const char *const states[][2] = {
		{ "reachable", "REACHABLE" }, { "stale", "STALE" },   { "delay", "DELAY" },
		{ "probe", "PROBE" },         { "failed", "FAILED" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(addresses); j++) {
			know(addresses[j], OLD, states[i][0]);
			assert_string_not_equal(known_on(BRIDGE, addresses[j]), "");
		}
		assert_attached();
		for (size_t j = 0; j < ARRAY_SIZE(addresses); j++)
			assert_known(addresses[j], mac, "STALE");
		assert_int_equal(delete_one(), 0);
	}
}

static void test_one_of_two(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		IP_RUN(host_ns, "neigh", "flush", "dev", BRIDGE);
		know(addresses[i], OLD, "reachable");
		assert_attached();
		assert_known(addresses[i], mac, "STALE");
		assert_string_equal(known_on(BRIDGE, addresses[!i]), "");
		assert_int_equal(delete_one(), 0);
	}
}

static void test_right_already(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		know(addresses[i], mac, "reachable");
	assert_attached();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_known(addresses[i], mac, "REACHABLE");
}

/* Nobody asks for what can't be wrong. */
static void test_none(void **state)
{
	(void)state;
	assert_attached();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_string_equal(known_on(BRIDGE, addresses[i]), "");
}

static void test_of_others(void **state)
{
	static const char *const states[][2] = { { "permanent", "PERMANENT" },
						 { "noarp", "NOARP" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(addresses); j++)
			know(addresses[j], OLD, states[i][0]);
		assert_attached();
		for (size_t j = 0; j < ARRAY_SIZE(addresses); j++)
			assert_known(addresses[j], OLD, states[i][1]);
		assert_int_equal(delete_one(), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		IP_RUN(host_ns, "neigh", "replace", addresses[i], "lladdr", OLD, "nud", "stale",
		       "extern_learn", "dev", BRIDGE);
	assert_attached();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_known(addresses[i], OLD, "STALE");
}

/* The same address elsewhere is another neighbour, and so is another address here. */
static void test_elsewhere(void **state)
{
	static const char *const near[] = { "172.30.0.3", "fd00:30::3" };

	(void)state;
	IP_RUN(host_ns, "link", "add", "lk-else", "up", "type", "bridge");
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		IP_RUN(host_ns, "neigh", "add", addresses[i], "lladdr", OLD, "nud", "reachable",
		       "dev", "lk-else");
		know(near[i], OLD, "reachable");
	}
	assert_attached();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		assert_string_equal(known_on("lk-else", addresses[i]), OLD " REACHABLE");
		assert_known(near[i], OLD, "REACHABLE");
	}
	IP_RUN(host_ns, "link", "del", "lk-else");
}

/* What was sent before anybody had the address arrives, and what has no answer yet is not in the
 * way. */
static void test_while_it_is_looked_for(void **state)
{
	static const char *const caches[] = { "arp_cache", "ndisc_cache" };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int s6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	/* for as long as a machine takes that does other things */
	for (size_t i = 0; i < ARRAY_SIZE(caches); i++)
		IP_RUN(host_ns, "ntable", "change", "name", caches[i], "dev", BRIDGE,
		       "mcast_probes", "60");
	inet_pton(AF_INET, addresses[0], &to.sin_addr);
	inet_pton(AF_INET6, addresses[1], &to6.sin6_addr);
	assert_int_equal(sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(sendto(s6, "x", 1, 0, (struct sockaddr *)&to6, sizeof(to6)), 1);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_known(addresses[i], "", "INCOMPLETE");
	assert_attached();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_memory_equal(known_on(BRIDGE, addresses[i]), mac, MAC_TEXT_MAX - 1);
	close(s);
	close(s6);
}

/* ---- what fails ---- */

static const char *failing_step;
static int failing_from, failing_code;

static int fail_at_step(const char *step)
{
	return strcmp(step, failing_step) == 0 && failing_from-- == 0 ? failing_code : 0;
}

static void fail_at(const char *step, int from, int code)
{
	failing_step = step;
	failing_from = from;
	failing_code = code;
	error_clear(&error);
	fault_hook = fail_at_step;
}

static void test_failure(void **state)
{
	(void)state;
	know(addresses[0], OLD, "reachable");
	fail_at("link.neighbour.replace", 0, -EIO);
	assert_int_equal(attach(&sandbox, &endpoint), -EIO);
	assert_non_null(strstr(error.message, "endpoint0"));
	assert_non_null(strstr(error.message, mac));
	assert_false(link_is_there(host_ns, "bv0"));
	assert_int_equal(link_count(sandbox.fd), 1);
	assert_known(addresses[0], OLD, "REACHABLE");
}

static void test_lost_answers(void **state)
{
	uint32_t bridge = rtnl_link_index(handle, BRIDGE);

	(void)state;
	know(addresses[0], OLD, "reachable");
	/* to the question */
	fail_at("netlink.receive", 0, -ENOBUFS);
	assert_int_equal(link_neighbour_replace(handle, bridge, &endpoint, &error), -ENOBUFS);
	assert_non_null(strstr(error.message, "endpoint0"));
	assert_known(addresses[0], OLD, "REACHABLE");
	/* to the change, which is asked for again */
	fail_at("netlink.receive", 1, -ENOBUFS);
	assert_int_equal(link_neighbour_replace(handle, bridge, &endpoint, &error), 0);
	assert_true(failing_from < 0);
	assert_known(addresses[0], mac, "STALE");
	/* a kernel that can't be asked for one entry */
	know(addresses[0], OLD, "reachable");
	fail_at("netlink.receive", 0, -EOPNOTSUPP);
	assert_int_equal(link_neighbour_replace(handle, bridge, &endpoint, &error), 0);
	assert_known(addresses[0], OLD, "REACHABLE");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replaced),
		TEST(test_one_of_two),
		TEST(test_right_already),
		TEST(test_none),
		TEST(test_of_others),
		TEST(test_elsewhere),
		TEST(test_while_it_is_looked_for),
		TEST(test_failure),
		TEST(test_lost_answers),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
