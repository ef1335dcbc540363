/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel that lacks something, played by a seccomp filter that refuses the calls for it, or by
 * asking for what every kernel lacks; and a machine that lacks a library. */
#include "../case.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "bridgenet.h"

static char state_dir[] = "/tmp/bn-old-kernel-XXXXXX";

#define ARGUMENT(n) (uint32_t)(offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t))

#define XTABLES_FIRST_OPTION 64

static int install(struct sock_filter *filter, size_t len)
{
	struct sock_fprog program = { (unsigned short)len, filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

/* From now on socket(AF_NETLINK, ..., protocol) fails as it does without the protocol. */
static int refuse_netlink(uint32_t protocol)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(2)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(filter, sizeof(filter) / sizeof(*filter));
}

/* From now on the options of both families' xtables are as unknown as without them. */
static int refuse_xtables(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(1)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IP, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(2)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, XTABLES_FIRST_OPTION, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(filter, sizeof(filter) / sizeof(*filter));
}

static bool without_rules;

/* In place of libc's. While without_rules, who asks for the rules of routing asks for those of a
 * family that has none: a kernel without policy routing gives the same answer for all families, but
 * a filter does not see what is in a message. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	for (size_t i = 0; i < message->msg_iovlen && without_rules; i++) {
		struct nlmsghdr *header = message->msg_iov[i].iov_base;

		if (message->msg_iov[i].iov_len >= NLMSG_LENGTH(sizeof(struct fib_rule_hdr)) &&
		    header->nlmsg_type == RTM_GETRULE)
			((struct fib_rule_hdr *)NLMSG_DATA(header))->family = AF_UNIX;
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}

/* From now on, for this process, the library is an empty file. */
static int hide_library(const char *name)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "ldconfig -p | sed -n 's/^\t%s (.*=> //p' | "
		 "{ found=1; while read -r f; do mount --bind /dev/null \"$f\" || exit 1; found=0; "
		 "done; exit $found; }",
		 name);
	return unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	       system(command) != 0;
}

/* A network is refused, by a sentence with those words. */
static int create_refused(const char *backend, const char *const *words)
{
	bn_network_spec *spec;
	bn_ctx *ctx;
	int r;

	if (bn_ctx_new(0, &ctx) < 0 || bn_ctx_set_backend(ctx, backend) < 0 ||
	    bn_ctx_set_state_dir(ctx, state_dir) < 0 || bn_network_spec_new("front", &spec) < 0)
		return 1;
	r = bn_network_create(ctx, spec, 0, NULL);
	if (r != -EOPNOTSUPP || bn_error_reason(ctx) != BN_REASON_BACKEND_UNAVAILABLE) {
		fprintf(stderr, "%d %d %s\n", r, bn_error_reason(ctx), bn_error_message(ctx));
		return 1;
	}
	for (; *words; words++) {
		if (!strstr(bn_error_message(ctx), *words)) {
			fprintf(stderr, "no '%s' in: %s\n", *words, bn_error_message(ctx));
			return 1;
		}
	}
	bn_network_spec_free(spec);
	bn_ctx_free(ctx);
	return 0;
}

static int join_network(bn_ctx *ctx, const char *name, const char *subnet, int sandbox)
{
	bn_network_spec *network;
	bn_endpoint_spec *endpoint;
	int r;

	if (bn_network_spec_new(name, &network) < 0 ||
	    bn_network_spec_add_subnet(network, subnet) < 0 ||
	    bn_endpoint_spec_new(name, "web", &endpoint) < 0 ||
	    bn_endpoint_spec_set_sandbox_fd(endpoint, sandbox) < 0)
		return 1;
	r = bn_network_create(ctx, network, 0, NULL);
	if (r == 0)
		r = bn_endpoint_attach(ctx, endpoint, 0, NULL);
	bn_endpoint_spec_free(endpoint);
	bn_network_spec_free(network);
	return r < 0;
}

static void count_warning(void *userdata, int level, const char *message)
{
	if (level > LOG_WARNING)
		return;
	fprintf(stderr, "%s\n", message);
	++*(int *)userdata;
}

/* On a host of its own, a namespace is put on two networks, and taken off the first. */
static int join_two(void)
{
	int host, sandbox, warnings = 0;
	char directory[sizeof(state_dir) + 8];
	bn_ctx *ctx;

	snprintf(directory, sizeof(directory), "%s/two", state_dir);
	if (unshare(CLONE_NEWNET) < 0 || (sandbox = open("/proc/self/ns/net", O_RDONLY)) < 0 ||
	    unshare(CLONE_NEWNET) < 0 || (host = open("/proc/self/ns/net", O_RDONLY)) < 0 ||
	    bn_ctx_new(0, &ctx) < 0 || bn_ctx_set_state_dir(ctx, directory) < 0 ||
	    bn_ctx_set_log(ctx, count_warning, &warnings) < 0)
		return 1;
	without_rules = true;
	if (join_network(ctx, "front", "10.81.0.0/24", sandbox) ||
	    join_network(ctx, "back", "10.82.0.0/24", sandbox) ||
	    setns(sandbox, CLONE_NEWNET) < 0 ||
	    system("test $(ip rule | wc -l) = 3 && test $(ip route show default | wc -l) = 2") ||
	    setns(host, CLONE_NEWNET) < 0 || bn_endpoint_detach(ctx, "front", "web", 0) < 0 ||
	    setns(sandbox, CLONE_NEWNET) < 0 ||
	    system("test \"$(ip route show default | cut -d ' ' -f 3)\" = 10.82.0.1") ||
	    setns(host, CLONE_NEWNET) < 0 || bn_endpoint_detach(ctx, "back", "web", 0) < 0) {
		fprintf(stderr, "%s\n", bn_error_message(ctx));
		return 1;
	}
	bn_ctx_free(ctx);
	close(sandbox);
	close(host);
	return warnings;
}

/* What the child could do goes with it; it must have left nothing of its own either. */
static void wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* nothing was touched: lo is all there is, and forwarding is off */
	assert_int_equal(system("test $(ip -o link show type bridge | wc -l) = 0"), 0);
	assert_int_equal(system("test $(cat /proc/sys/net/ipv4/ip_forward) = 0"), 0);
}

static void skip_without(const char *backend)
{
	bn_ctx *ctx;
	int r;

	assert_int_equal(bn_ctx_new(0, &ctx), 0);
	r = bn_ctx_set_backend(ctx, backend);
	bn_ctx_free(ctx);
	if (r < 0)
		skip();
}

static void test_no_nf_tables(void **state)
{
	static const char *const words[] = { "nf_tables", NULL };
	pid_t pid;

	(void)state;
	skip_without("nftables");
	pid = fork();
	if (!pid)
		_exit(refuse_netlink(NETLINK_NETFILTER) || create_refused("nftables", words));
	wait_for(pid);
}

static void test_no_xtables(void **state)
{
	static const char *const words[] = { "legacy xtables", "ip_tables", "nftables", NULL };
	pid_t pid;

	(void)state;
	skip_without("iptables-legacy");
	pid = fork();
	if (!pid)
		_exit(refuse_xtables() || create_refused("iptables-legacy", words));
	wait_for(pid);
}

static void test_no_libip4tc(void **state)
{
	static const char *const words[] = { "libip4tc.so.2", "libip4tc2", "nftables", NULL };
	pid_t pid;

	(void)state;
	skip_without("iptables-legacy");
	pid = fork();
	if (!pid)
		_exit(hide_library("libip4tc\\.so\\.2") ||
		      create_refused("iptables-legacy", words));
	wait_for(pid);
}

/* Endpoints do without the rules by which answers leave. */
static void test_no_policy_routing(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid)
		_exit(join_two());
	wait_for(pid);
}

static int setup(void **state)
{
	(void)state;
	/* a new namespace may have what the machine has */
	return !mkdtemp(state_dir) || unshare(CLONE_NEWNET) < 0 ||
			       system("echo 0 >/proc/sys/net/ipv4/ip_forward") != 0 ?
		       -1 :
		       0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", state_dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_nf_tables),
		cmocka_unit_test(test_no_xtables),
		cmocka_unit_test(test_no_libip4tc),
		cmocka_unit_test(test_no_policy_routing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
