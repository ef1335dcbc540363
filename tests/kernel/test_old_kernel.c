/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel that lacks something, played by a seccomp filter that refuses the sockets for it. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridgenet.h"

static char state_dir[] = "/tmp/bn-old-kernel-XXXXXX";

#define ARGUMENT(n) (uint32_t)(offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t))

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
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

static int create_refused(void)
{
	bn_network_spec *spec;
	bn_ctx *ctx;
	int r;

	if (refuse_netlink(NETLINK_NETFILTER) || bn_ctx_new(0, &ctx) < 0 ||
	    bn_ctx_set_state_dir(ctx, state_dir) < 0 || bn_network_spec_new("front", &spec) < 0)
		return 1;
	r = bn_network_create(ctx, spec, 0, NULL);
	if (r != -EOPNOTSUPP || bn_error_reason(ctx) != BN_REASON_BACKEND_UNAVAILABLE ||
	    !strstr(bn_error_message(ctx), "nf_tables")) {
		fprintf(stderr, "%d %d %s\n", r, bn_error_reason(ctx), bn_error_message(ctx));
		return 1;
	}
	bn_network_spec_free(spec);
	bn_ctx_free(ctx);
	return 0;
}

static void test_no_nf_tables(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid)
		_exit(create_refused());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* nothing was touched: lo is all there is, and forwarding is off */
	assert_int_equal(system("test $(ip -o link show type bridge | wc -l) = 0"), 0);
	assert_int_equal(system("test $(cat /proc/sys/net/ipv4/ip_forward) = 0"), 0);
}

static int setup(void **state)
{
	(void)state;
	return !mkdtemp(state_dir) || unshare(CLONE_NEWNET) < 0 ? -1 : 0;
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
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_nf_tables) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
