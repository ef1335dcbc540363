/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules that the kernel shows are understood, whatever stands in them; damaged ones are survived. */
#include "firewall_stage.h"

#include <libnftnl/rule.h>

#include "base/netlink.h"
#include "firewall/nft/nft.h"

const struct firewall_backend *const backend = &nft_backend;

/* libnftnl loses what it had read of an expression that it then refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnftnl";
}

/* One a line, so that a kernel that lacks something lacks it alone. */
static const char *const rules[] = {
	"ip saddr & 255.255.0.0 == 10.1.0.0 counter accept",
	"tcp dport 80-90 ct state established,related accept",
	"tcp dport { 22, 80 } ip daddr . tcp dport { 10.0.0.1 . 22 } drop",
	"meta mark set meta mark and 0xff or 0x100",
	"ct mark set 7 ct direction original ct original ip saddr 10.0.0.1",
	"limit rate 10/second burst 5 packets log prefix \"seen \" level info",
	"log group 3 snaplen 64 queue-threshold 2",
	"ct count over 10 reject with icmpx admin-prohibited",
	"quota over 10 mbytes drop",
	"fib saddr . iif oif missing drop",
	"numgen inc mod 3 vmap { 0 : accept, 1 : drop, 2 : continue }",
	"jhash ip saddr mod 2 seed 0xbeef == 1 accept",
	"tcp option maxseg size set rt mtu",
	"exthdr frag exists drop",
	"ipsec in ip saddr 10.0.0.1 accept",
	"socket transparent 1 accept",
	"osf name Linux accept",
	"synproxy mss 1460 wscale 7 timestamp sack-perm",
	"queue flags bypass to 1-3",
	"update @met { ip saddr timeout 10s limit rate 5/second } drop",
	"counter name \"seen\" jump other",
	"iifname \"lo\" notrack",
	"last drop",
	"tcp sport != 1000-2000 th dport & 1 == 1 drop",
	"udp checksum set 0 goto other",
};

static VECTOR(struct nlmsghdr *) heard;

static int keep(const struct nlmsghdr *message, void *data)
{
	struct nlmsghdr *copy;

	(void)data;
	if (!message)
		return 0;
	if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
		return netlink_result(message) < 0 ? netlink_result(message) : 1;
	copy = malloc(message->nlmsg_len);
	assert_non_null(copy);
	memcpy(copy, message, message->nlmsg_len);
	assert_return_code(vector_append(&heard, copy), 0);
	return 0;
}

static void hear_rules(void)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} request = { .header = { .nlmsg_len = sizeof(request),
				  .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	struct iovec part = { &request, sizeof(request) };
	struct deadline deadline = deadline_after(5000);
	int fd = netlink_open(NETLINK_NETFILTER);

	assert_return_code(fd, 0);
	assert_return_code(netlink_send(fd, &part, 1), 0);
	assert_return_code(netlink_receive(fd, &deadline, keep, NULL), 0);
	close(fd);
}

static void forget_rules(void)
{
	for (size_t i = 0; i < heard.len; i++)
		free(heard.items[i]);
	free(heard.items);
	memset(&heard, 0, sizeof(heard));
}

static bool is_understood(const struct nlmsghdr *message)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	bool understood;

	assert_non_null(rule);
	understood = nft_message_is_whole(message) && nft_rule_parse(message, rule);
	nftnl_rule_free(rule);
	return understood;
}

static size_t add_rules(void)
{
	size_t added = 0;

	run("nft 'add table inet other; add chain inet other other;"
	    " add counter inet other seen;"
	    " add set inet other met { type ipv4_addr; flags dynamic, timeout; size 100; };"
	    " add chain inet other first { type filter hook prerouting priority -300; }'");
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		char command[512];

		snprintf(command, sizeof(command), "nft 'add rule inet other first %s' 2>/dev/null",
			 rules[i]);
		if (system(command) == 0)
			added++;
		else
			print_message("the kernel or nft(8) lacks: %s\n", rules[i]);
	}
	return added;
}

static void test_understood(void **state)
{
	size_t added = add_rules();

	(void)state;
	hear_rules();
	assert_true(added > ARRAY_SIZE(rules) / 2);
	assert_int_equal(heard.len, added);
	for (size_t i = 0; i < heard.len; i++)
		if (!is_understood(heard.items[i]))
			fail_msg("rule %zu of those that were added", i);
	forget_rules();
}

static void test_damaged(void **state)
{
	static const uint8_t values[] = { 0, 1, 3, 5, 255 };
	size_t refused = 0;

	(void)state;
	add_rules();
	hear_rules();
	for (size_t i = 0; i < heard.len; i++) {
		uint8_t *bytes = (uint8_t *)heard.items[i];

		for (size_t at = NLMSG_LENGTH(sizeof(struct nfgenmsg));
		     at < heard.items[i]->nlmsg_len; at++) {
			uint8_t before = bytes[at];

			for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
				bytes[at] = values[j];
				refused += !is_understood(heard.items[i]);
			}
			bytes[at] = before;
		}
		assert_true(is_understood(heard.items[i]));
	}
	assert_true(refused > 0);
	forget_rules();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_understood, stage_setup, stage_teardown),
		cmocka_unit_test_setup_teardown(test_damaged, stage_setup, stage_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
