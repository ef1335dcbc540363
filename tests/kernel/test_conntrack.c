/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Flows of the real kernel, in a network namespace; conntrack(8) is the judge. Each case is also
 * played to kernels that know less: what they don't know they pass over. */
#include "../case.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/netlink.h"
#include "firewall/ctnetlink.h"
#include "firewall/firewall.h"

#define HOST "192.0.2.1"
#define SECOND "192.0.2.2"
#define CLIENT "192.0.2.9"
#define ENDPOINT "172.30.0.2"
#define OTHER "172.30.0.3"
#define MANY 10000

/* Which requests a kernel knows to filter. */
static const struct kernel {
	bool deletes, dumps;
} whole = { true, true }, of_5_8 = { false, true }, of_4_19 = { false, false };

static const struct kernel *kernel = &whole;
static size_t deletions, dumps; /* requests; only deletions by what matches */
static struct conntrack *handle;
static struct error error;
static struct prefix local[16];
static size_t local_len;

/* ---- an older kernel ---- */

/* Its attribute becomes one that no kernel has. */
static void forget_filter(struct nlmsghdr *message, bool known)
{
	const struct nlattr *attribute;
	bool dump = message->nlmsg_flags & NLM_F_DUMP;

	for_each_between(attribute,
			 (struct nlattr *)((char *)message + NLMSG_LENGTH(sizeof(struct nfgenmsg))),
			 (char *)message + message->nlmsg_len) {
		if (mnl_attr_get_type(attribute) != CTA_FILTER)
			continue;
		deletions += !dump;
		if (!known)
			((struct nlattr *)attribute)->nla_type = 1000;
	}
}

/* In place of libc's. */
ssize_t sendmsg(int fd, const struct msghdr *datagram, int flags)
{
	struct nlmsghdr *message = datagram->msg_iov->iov_base;
	int left = (int)datagram->msg_iov->iov_len;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		int type = message->nlmsg_type & 0xff;

		dumps += type == IPCTNL_MSG_CT_GET;
		if (type == IPCTNL_MSG_CT_GET || type == IPCTNL_MSG_CT_DELETE)
			forget_filter(message,
				      type == IPCTNL_MSG_CT_GET ? kernel->dumps : kernel->deletes);
	}
	return syscall(SYS_sendmsg, fd, datagram, flags);
}

/* ---- flows ---- */

static struct addr addr_of(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

/* conntrack -I; each flow is known by its original source port. */
static void make(const char *format, ...) PRINTF(1, 2);
static void make(const char *format, ...)
{
	char arguments[256], command[512];
	va_list list;

	va_start(list, format);
	vsnprintf(arguments, sizeof(arguments), format, list);
	va_end(list);
	snprintf(command, sizeof(command), "conntrack -I -t 600 %s >/dev/null 2>&1", arguments);
	if (system(command) != 0)
		fail_msg("this failed: %s", command);
}

static const char *state_of(const char *protocol)
{
	if (strcmp(protocol, "tcp") == 0)
		return "--state ESTABLISHED";
	return strcmp(protocol, "sctp") == 0 ? "--state ESTABLISHED --orig-vtag 1 --reply-vtag 2" :
					       "";
}

/* A flow that goes where it is sent. */
static void make_flow(const char *protocol, const char *client, uint16_t sport, const char *address,
		      uint16_t dport)
{
	make("-p %s -s %s -d %s --sport %u --dport %u %s", protocol, client, address, sport, dport,
	     state_of(protocol));
}

/* One that a rule has led elsewhere. */
static void make_led(const char *protocol, const char *client, uint16_t sport, const char *address,
		     uint16_t dport, const char *to, uint16_t to_port)
{
	bool ipv6 = strchr(to, ':');

	make("-p %s -s %s -d %s --sport %u --dport %u -g %s%s%s:%u %s", protocol, client, address,
	     sport, dport, ipv6 ? "[" : "", to, ipv6 ? "]" : "", to_port, state_of(protocol));
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

/* ---- filters ---- */

static int drop(const struct flow_filter *filters, size_t len)
{
	error_clear(&error);
	deletions = dumps = 0;
	return conntrack_drop_flows(&handle, filters, len, local, local_len, 0, &error);
}

/* By so many dumps where the kernel deletes what matches, else by so many. */
static void assert_dumps(size_t where_deleted, size_t else_)
{
	assert_int_equal(dumps, kernel->deletes ? where_deleted : else_);
}

static struct flow_filter mapping_of(enum flow_kind kind, uint8_t protocol, const char *host,
				     uint16_t host_port, uint16_t count, const char *to,
				     uint16_t to_port)
{
	struct flow_filter filter = { .kind = kind,
				      .protocol = protocol,
				      .host_port = host_port,
				      .count = count,
				      .to = addr_of(to),
				      .to_port = to_port };

	if (host)
		filter.host_addr = addr_of(host);
	return filter;
}

static struct flow_filter address_of(const char *address)
{
	return (struct flow_filter){ .kind = FLOWS_OF_ADDRESS, .to = addr_of(address) };
}

/* What has just been published, before and after; of another kernel all is done after. */
static void publish(struct flow_filter *filters, size_t len, enum flow_kind kind)
{
	for (size_t i = 0; i < len; i++)
		filters[i].kind = kind;
	assert_int_equal(drop(filters, len), 0);
}

static void add_local(const char *text)
{
	assert_int_equal(prefix_parse(text, &local[local_len++]), 0);
}

static int setup(void **state)
{
	kernel = *state;
	local_len = 0;
	conntrack_close(handle);
	handle = NULL;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	add_local("127.0.0.0/8");
	add_local("127.0.0.1/32");
	add_local("::1/128");
	add_local("fe80::1/128");
	add_local("2001:db8::1/128");
	add_local(HOST "/32");
	add_local(HOST "/32");
	return 0;
}

/* ---- published ---- */

static void test_published(void **state)
{
	struct flow_filter filters[] = {
		mapping_of(0, IPPROTO_UDP, NULL, 53, 1, ENDPOINT, 5353),
		mapping_of(0, IPPROTO_UDP, NULL, 53, 1, "fd30::2", 5353),
	};

	(void)state;
	make_flow("udp", CLIENT, 1, HOST, 53);                    /* went to the host */
	make_led("udp", CLIENT, 2, HOST, 53, "172.30.0.9", 5353); /* to a former endpoint */
	make_flow("udp", CLIENT, 4, HOST, 54);                    /* another port */
	make_flow("udp", CLIENT, 5, "192.0.2.8", 53);             /* another host */
	make_flow("tcp", CLIENT, 6, HOST, 53);                    /* another protocol */
	make_flow("udp", "127.0.0.1", 7, "127.0.0.53", 53);       /* the host's own */
	make_flow("udp", "2001:db8::9", 8, "2001:db8::1", 53);    /* the other family */
	make_flow("udp", "::1", 9, "::1", 53);                    /* no rule leads that away */
	make_flow("udp", "fe80::9", 10, "fe80::1", 53);           /* nor that */
	make_led("udp", CLIENT, 11, "192.0.2.8", 53, OTHER, 53);  /* led by way of the host */
	make("-p udp -s 192.0.2.9 -d 192.0.2.1 --sport 12 --dport 53 -w 5"); /* of a zone */
	publish(filters, 2, FLOWS_LED_AWAY);
	assert_int_equal(dumps, 0);
	/* the mapping is there by now */
	make_led("udp", CLIENT, 20, HOST, 53, ENDPOINT, 5353);
	make_led("udp", "2001:db8::9", 21, "2001:db8::1", 53, "fd30::2", 5353);
	publish(filters, 1, FLOWS_PAST_MAPPING);
	assert_dumps(0, 1);
	assert_flows("4,5,6,8,9,10,11,12,20,21,");
	publish(filters, 2, FLOWS_PAST_MAPPING);
	assert_dumps(1, 2);
	assert_flows("4,5,6,9,10,11,12,20,21,");
}

static void test_published_at_one_address(void **state)
{
	struct flow_filter filter = mapping_of(0, IPPROTO_UDP, SECOND, 53, 2, ENDPOINT, 5353);

	(void)state;
	make_flow("udp", CLIENT, 1, HOST, 53);
	make_flow("udp", CLIENT, 2, SECOND, 53);
	make_flow("udp", CLIENT, 3, SECOND, 54);
	make_flow("udp", CLIENT, 4, SECOND, 55);
	make_led("udp", CLIENT, 5, SECOND, 54, OTHER, 5353);
	publish(&filter, 1, FLOWS_LED_AWAY);
	make_led("udp", CLIENT, 6, SECOND, 54, ENDPOINT, 5354);
	publish(&filter, 1, FLOWS_PAST_MAPPING);
	assert_dumps(0, 1);
	assert_flows("1,4,6,");
}

/* A route makes many addresses local: more than a kernel can be asked for one by one. */
static void test_published_at_routed_addresses(void **state)
{
	struct flow_filter filter = mapping_of(0, IPPROTO_UDP, NULL, 53, 1, ENDPOINT, 5353);

	(void)state;
	add_local("10.99.0.0/24");
	make_flow("udp", CLIENT, 1, "10.99.0.77", 53);
	make_flow("udp", CLIENT, 2, "10.99.1.77", 53);
	make_flow("udp", CLIENT, 3, HOST, 53);
	make_led("udp", CLIENT, 4, "10.99.0.78", 53, OTHER, 53);
	publish(&filter, 1, FLOWS_LED_AWAY);
	make_led("udp", CLIENT, 5, "10.99.0.78", 53, ENDPOINT, 5353);
	publish(&filter, 1, FLOWS_PAST_MAPPING);
	assert_int_equal(dumps, 1);
	assert_flows("2,5,");
}

/* ---- unpublished ---- */

static void test_mappings(void **state)
{
	const struct flow_filter filters[] = {
		mapping_of(FLOWS_OF_MAPPING, IPPROTO_TCP, NULL, 80, 1, ENDPOINT, 80),
		mapping_of(FLOWS_OF_MAPPING, IPPROTO_SCTP, SECOND, 80, 1, ENDPOINT, 80),
		mapping_of(FLOWS_OF_MAPPING, IPPROTO_UDP, "2001:db8::1", 53, 1, "fd30::2", 5353),
	};

	(void)state;
	make_led("tcp", CLIENT, 1, HOST, 80, ENDPOINT, 80);
	make_led("tcp", CLIENT, 2, SECOND, 80, ENDPOINT, 80);
	make_led("tcp", "127.0.0.1", 3, "127.0.0.1", 80, ENDPOINT, 80);
	make_led("tcp", CLIENT, 4, HOST, 81, ENDPOINT, 80); /* of another mapping */
	make_led("tcp", CLIENT, 5, HOST, 80, ENDPOINT, 81); /* of another mapping */
	make_led("tcp", CLIENT, 6, HOST, 80, OTHER, 80);    /* of another endpoint */
	make_led("udp", CLIENT, 7, HOST, 80, ENDPOINT, 80); /* of another protocol */
	make_flow("tcp", OTHER, 8, ENDPOINT, 80);           /* straight to the endpoint */
	make_flow("tcp", CLIENT, 9, HOST, 80);              /* to the host */
	make_flow("tcp", ENDPOINT, 10, CLIENT, 80);         /* from the endpoint */
	make_led("sctp", CLIENT, 11, SECOND, 80, ENDPOINT, 80);
	make_led("sctp", CLIENT, 12, HOST, 80, ENDPOINT, 80); /* where it is not bound */
	make_led("sctp", CLIENT, 16, SECOND, 81, ENDPOINT, 81);
	make_led("sctp", CLIENT, 17, SECOND, 80, OTHER, 80);
	make_led("udp", "2001:db8::9", 13, "2001:db8::1", 53, "fd30::2", 5353);
	make_led("udp", "2001:db8::9", 14, "2001:db8::2", 53, "fd30::2", 5353);
	make("-p tcp -s 192.0.2.9 -d 192.0.2.1 --sport 15 --dport 80 -g 172.30.0.2:80 "
	     "--state ESTABLISHED -w 5");
	assert_int_equal(drop(filters, 1), 0);
	assert_dumps(0, 1);
	assert_flows("4,5,6,7,8,9,10,11,12,13,14,15,16,17,");
	assert_int_equal(drop(filters, ARRAY_SIZE(filters)), 0);
	assert_int_equal(dumps, 2);
	assert_flows("4,5,6,7,8,9,10,12,14,15,16,17,");
}

static void test_range(void **state)
{
	const struct flow_filter filter =
		mapping_of(FLOWS_OF_MAPPING, IPPROTO_UDP, NULL, 100, 10, ENDPOINT, 5000);

	(void)state;
	make_led("udp", CLIENT, 1, HOST, 100, ENDPOINT, 5000);
	make_led("udp", CLIENT, 2, HOST, 109, ENDPOINT, 5009);
	make_led("udp", CLIENT, 3, HOST, 110, ENDPOINT, 5010); /* behind the range */
	make_led("udp", CLIENT, 4, HOST, 99, ENDPOINT, 4999);  /* before it */
	make_led("udp", CLIENT, 5, HOST, 101, ENDPOINT, 5000); /* another mapping */
	make_led("udp", CLIENT, 6, HOST, 101, OTHER, 5001);    /* another endpoint */
	make_flow("udp", CLIENT, 7, HOST, 101);                /* the host itself */
	assert_int_equal(drop(&filter, 1), 0);
	assert_dumps(0, 1);
	assert_flows("3,4,5,6,7,");
}

/* ---- detached ---- */

static void test_addresses(void **state)
{
	const struct flow_filter filters[] = { address_of(ENDPOINT), address_of("fd30::2") };

	(void)state;
	make_led("tcp", CLIENT, 1, HOST, 8080, ENDPOINT, 80);
	make_led("sctp", CLIENT, 2, HOST, 8080, ENDPOINT, 80);
	make_flow("udp", OTHER, 3, ENDPOINT, 53);
	make("-p udp -s 172.30.0.2 -d 192.0.2.9 --sport 4 --dport 53 -n 192.0.2.1:40000");
	make("-p gre -s 172.30.0.2 -d 192.0.2.9 --srckey 5 --dstkey 5");
	make_led("tcp", ENDPOINT, 6, HOST, 8080, ENDPOINT, 80); /* to itself, by the host */
	make_flow("tcp", OTHER, 7, CLIENT, 80);
	make_led("tcp", CLIENT, 8, HOST, 8080, OTHER, 80);
	make_flow("tcp", CLIENT, 9, HOST, 22);
	make_flow("tcp", "172.30.0.20", 10, "172.30.0.21", 22);
	make_led("tcp", "2001:db8::9", 11, "2001:db8::1", 8080, "fd30::2", 80);
	make_flow("tcp", "fd30::2", 12, "2001:db8::9", 80);
	make_flow("tcp", "fd30::3", 13, "2001:db8::9", 80);
	make("-p tcp -s 172.30.0.2 -d 192.0.2.9 --sport 14 --dport 80 --state ESTABLISHED -w 5");
	make("-p tcp -s 172.30.0.2 -d 192.0.2.9 --sport 15 --dport 80 --state ESTABLISHED "
	     "--orig-zone 5");
	assert_int_equal(drop(filters, 1), 0);
	assert_dumps(0, 1);
	assert_flows("7,8,9,10,11,12,13,14,15,");
	assert_int_equal(drop(filters, 2), 0);
	assert_dumps(1, 2);
	assert_flows("7,8,9,10,13,14,15,");
}

/* ---- many ---- */

/* More endpoints than are asked for one by one. */
static void test_many_addresses(void **state)
{
	struct flow_filter filters[1000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		filters[i] = address_of("172.30.0.0");
		filters[i].to.bytes[2] = (uint8_t)(i / 256);
		filters[i].to.bytes[3] = (uint8_t)(999 - i);
	}
	make_flow("udp", "172.30.0.231", 1, CLIENT, 53);
	make_led("tcp", CLIENT, 2, HOST, 53, "172.30.3.0", 53);
	make_flow("udp", "172.30.4.0", 3, CLIENT, 53);
	make_flow("udp", CLIENT, 4, HOST, 53);
	assert_int_equal(drop(filters, ARRAY_SIZE(filters)), 0);
	assert_int_equal(dumps, 1);
	assert_int_equal(deletions, 0);
	assert_flows("3,4,");
}

/* Many filters, of which some meet: each flow is judged by those of its port. */
static void test_many_mappings(void **state)
{
	struct flow_filter *filters = calloc(MANY + 2, sizeof(*filters));

	(void)state;
	assert_non_null(filters);
	for (size_t i = 0; i < MANY; i++)
		filters[i] = mapping_of(FLOWS_PAST_MAPPING, IPPROTO_UDP, HOST,
					(uint16_t)(60000 - i), 1, ENDPOINT, (uint16_t)(60000 - i));
	filters[MANY] = mapping_of(FLOWS_OF_MAPPING, IPPROTO_UDP, SECOND, 1000, 64000, OTHER, 2000);
	filters[MANY + 1] = mapping_of(FLOWS_OF_MAPPING, IPPROTO_UDP, SECOND, 500, 10, OTHER, 1500);
	make_flow("udp", CLIENT, 1, HOST, 50001);
	make_flow("udp", CLIENT, 2, HOST, 60000);
	make_flow("udp", CLIENT, 3, HOST, 50000);
	make_led("udp", CLIENT, 4, HOST, 55555, ENDPOINT, 55555);
	make_led("udp", CLIENT, 5, SECOND, 64000, OTHER, 65000);
	make_led("udp", CLIENT, 6, SECOND, 55555, OTHER, 56555);
	make_led("udp", CLIENT, 7, SECOND, 505, OTHER, 1505);
	make_led("udp", CLIENT, 8, SECOND, 600, OTHER, 1600);
	assert_int_equal(drop(filters, MANY + 2), 0);
	assert_int_equal(dumps, 1);
	assert_flows("3,4,8,");
	free(filters);
}

/* More than one answer of a dump holds, and than are deleted at once. */
static void test_many_flows(void **state)
{
	struct flow_filter filter =
		mapping_of(FLOWS_PAST_MAPPING, IPPROTO_UDP, NULL, 53, 1, ENDPOINT, 5353);

	(void)state;
	for (uint16_t i = 1; i <= 500; i++)
		make_flow("udp", CLIENT, i, HOST, 53);
	make_led("udp", CLIENT, 600, HOST, 53, ENDPOINT, 5353);
	assert_int_equal(drop(&filter, 1), 0);
	assert_dumps(0, 1);
	assert_flows("600,");
}

/* ---- what must not be ---- */

static void test_deadline(void **state)
{
	const struct flow_filter filters[] = {
		mapping_of(FLOWS_PAST_MAPPING, IPPROTO_UDP, NULL, 53, 1, ENDPOINT, 5353),
		address_of(CLIENT),
	};
	const struct deadline passed = { .end = 1 };

	(void)state;
	make_flow("udp", CLIENT, 1, HOST, 53);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		assert_int_equal(conntrack_drop_flows(&handle, &filters[i], 1, local, local_len,
						      &passed, &error),
				 -ETIMEDOUT);
		assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	}
	assert_flows("1,");
	assert_int_equal(drop(NULL, 0), 0);
}

/* Without a tuple to compare, a request would be for everything. */
static void test_never_all(void **state)
{
	const struct flow_query queries[] = {
		{ .flow.original.source = addr_of("192.0.2.77") },
		{ .status_mask = 1 << 5 },
		{ .flow.reply.source = addr_of("fd30::77") },
		{ .flow.original = { .protocol = IPPROTO_SCTP, .destination_port = 77 } },
	};
	struct conntrack *ct;

	(void)state;
	make_flow("udp", CLIENT, 1, HOST, 53);
	make_led("udp", CLIENT, 2, HOST, 53, ENDPOINT, 53);
	assert_int_equal(ctnetlink_open(&ct), 0);
	ct->family = AF_INET;
	assert_int_equal(ctnetlink_delete(ct, queries, 2), -EINVAL);
	for (size_t i = 1; i < ARRAY_SIZE(queries); i++)
		assert_int_equal(ctnetlink_delete(ct, &queries[i], 1), -EINVAL);
	assert_int_equal(ctnetlink_delete(ct, queries, 1), kernel->deletes ? 0 : -EINVAL);
	conntrack_close(ct);
	assert_flows("1,2,");
}

#define EACH_KERNEL(test)                                                                     \
	cmocka_unit_test_prestate_setup_teardown(test, setup, NULL, (void *)&whole),          \
		cmocka_unit_test_prestate_setup_teardown(test, setup, NULL, (void *)&of_5_8), \
		cmocka_unit_test_prestate_setup_teardown(test, setup, NULL, (void *)&of_4_19)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KERNEL(test_published),
		EACH_KERNEL(test_published_at_one_address),
		EACH_KERNEL(test_published_at_routed_addresses),
		EACH_KERNEL(test_mappings),
		EACH_KERNEL(test_range),
		EACH_KERNEL(test_addresses),
		EACH_KERNEL(test_many_addresses),
		EACH_KERNEL(test_many_mappings),
		EACH_KERNEL(test_many_flows),
		EACH_KERNEL(test_deadline),
		EACH_KERNEL(test_never_all),
	};
	int failed;

	failed = cmocka_run_group_tests_name("conntrack", tests, NULL, NULL);
	conntrack_close(handle);
	return failed;
}
