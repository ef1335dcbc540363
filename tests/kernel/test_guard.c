/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * With each backend: the host is never seen to forward for networks without the guard that they
 * asked for, at whatever step one looks, fails or dies; and after the last of them it is as before.
 */
#include "verb_stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"

#define TRIES 10
#define STEPS_MAX 64

static int steps_left = -1; /* before the fault; negative: never */
static bool dies;           /* rather than fails */
static unsigned int looks;  /* at a host that forwards */
static bool beside;         /* a network that has no guard, and IPv4 alone */
static bool watches;        /* as it forwards for networks alone */

static bool is_guarded(int family)
{
	char command[512];
	const char *six = family == 6 ? "6" : "";

	snprintf(command, sizeof(command),
		 "nft list set inet bridgenet guard-stopped 2>/dev/null | grep -q 'ipv%d' || "
		 "ip%stables-legacy-save -t filter | "
		 "awk '/^-A BRIDGENET-FORWARD -j BRIDGENET-GUARD/ {jump = 1} "
		 "/^-A BRIDGENET-GUARD -j DROP/ {drop = 1} END {exit !(jump && drop)}'",
		 family, six);
	return system(command) == 0;
}

static bool is_on(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = 0;

	if (!file)
		return false;
	if (fscanf(file, "%d", &value) != 1)
		value = 0;
	fclose(file);
	return value == 1;
}

static void look_at_host(void)
{
	bool ipv4 = is_on("/proc/sys/net/ipv4/ip_forward");
	bool ipv6 = is_on("/proc/sys/net/ipv6/conf/all/forwarding") ||
		    is_on("/proc/sys/net/ipv6/conf/up0/force_forwarding");

	looks += ipv4 && ipv6;
	if ((ipv4 && !beside && !is_guarded(4)) || (ipv6 && !is_guarded(6)))
		abort();
}

static int fault(const char *step)
{
	if (step_is_tolerated(step))
		return 0;
	if (watches)
		look_at_host();
	if (steps_left < 0 || steps_left-- > 0)
		return 0;
	if (dies)
		kill(getpid(), SIGKILL);
	return -EIO;
}

static void settings(char text[static SNAPSHOT_MAX])
{
	FILE *pipe = popen("grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf "
			   "--include=*forwarding --include=accept_ra",
			   "r");
	size_t len;

	assert_non_null(pipe);
	len = fread(text, 1, SNAPSHOT_MAX - 1, pipe);
	text[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
}

static int create_guarded(bn_ctx *ctx)
{
	assert_int_equal(bn_ctx_set_option(ctx, "forwarding", "guard"), 0);
	return create(ctx);
}

static int move_there(bn_ctx *ctx)
{
	(void)ctx;
	for (size_t i = 0; firewall_backends[i]; i++) {
		bn_ctx *by_state;
		int r;

		if (strcmp(firewall_backends[i]->name, backend) == 0)
			continue;
		assert_int_equal(bn_ctx_new(0, &by_state), 0);
		assert_int_equal(bn_ctx_set_state_dir(by_state, state_dir), 0);
		r = bn_backend_switch(by_state, firewall_backends[i]->name, 0);
		bn_ctx_free(by_state);
		return r;
	}
	return 0;
}

/* The verb in a process of its own, from where `prepare` has led; true when it met no fault. */
static bool try_verb(verb_fn verb, int step)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		steps_left = step;
		dies = step % 2;
		verb(new_context());
		_exit(steps_left >= 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGKILL);
	return WIFEXITED(status) && WEXITSTATUS(status);
}

/* What the dead left a call takes up for 2 s at most (ops/recover.c), which a machine that does other
 * things may take for a part of it: then the next one goes on. */
static bool is_late(bn_ctx *ctx)
{
	return strstr(bn_error_message(ctx),
		      "what an earlier call has left can't be taken out: the time limit was over");
}

static void at_every_step(verb_fn prepare, verb_fn verb)
{
	static char before[SNAPSHOT_MAX], after[SNAPSHOT_MAX];
	bool through = false;
	bn_ctx *ctx;
	int r;

	settings(before);
	for (int step = 0; !through; step++) {
		r = 0;
		assert_in_range(step, 0, STEPS_MAX);
		if (prepare)
			run(prepare);
		through = try_verb(verb, step);
		assert_int_equal(bn_ctx_new(0, &ctx), 0);
		assert_int_equal(bn_ctx_set_state_dir(ctx, state_dir), 0);
		assert_int_equal(bn_ctx_set_timeout_ms(ctx, 100000), 0);
		for (int i = 0; i < TRIES && (r == 0 ? i == 0 : is_late(ctx)); i++)
			r = bn_network_delete(ctx, "front", BN_DELETE_MISSING_OK);
		if (r < 0)
			fail_msg("step %d: %s", step, bn_error_message(ctx));
		bn_ctx_free(ctx);
		settings(after);
		assert_same(before, after);
		if (beside)
			continue;
		assert_int_not_equal(system("nft list ruleset | grep -q guard-"), 0);
		assert_int_not_equal(system("iptables-legacy-save | grep -q GUARD"), 0);
	}
	assert_true(looks);
}

static void test_making(void **state)
{
	(void)state;
	at_every_step(NULL, create_guarded);
}

static void test_deleting(void **state)
{
	(void)state;
	at_every_step(create_guarded, delete);
}

static void test_moving(void **state)
{
	(void)state;
	at_every_step(create_guarded, move_there);
}

static int set_up(void **state)
{
	(void)state;
	watches = false;
	if (system("ip link add up0 type veth peer name up1 && ip link set up0 up && "
		   "ip link set up1 up && ip link add other0 up type bridge && "
		   "ip addr add 2001:db8::1/64 dev up0 nodad && "
		   "ip -6 route add default via 2001:db8::2 dev up0 && "
		   "echo 0 > /proc/sys/net/ipv4/ip_forward && "
		   "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding") != 0)
		return -1;
	watches = true;
	return 0;
}

static int create_back(bn_ctx *ctx)
{
	bn_network_spec *spec;
	int r;

	assert_int_equal(bn_network_spec_new("back", &spec), 0);
	bn_network_spec_add_subnet(spec, "172.31.0.0/24");
	r = bn_network_create(ctx, spec, 0, NULL);
	bn_network_spec_free(spec);
	return r;
}

static int delete_back(bn_ctx *ctx)
{
	return bn_network_delete(ctx, "back", 0);
}

static int set_up_beside(void **state)
{
	beside = true;
	if (set_up(state) < 0)
		return -1;
	run(create_back);
	return 0;
}

static int take_down(void **state)
{
	steps_left = -1;
	watches = false;
	if (beside)
		run(delete_back);
	beside = false;
	if (system("ip link del up0; ip link del other0") != 0)
		return -1;
	return tidy(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_making, set_up, take_down),
		/* the base stands, and the guard comes to it */
		cmocka_unit_test_setup_teardown(test_making, set_up_beside, take_down),
		cmocka_unit_test_setup_teardown(test_deleting, set_up, take_down),
		cmocka_unit_test_setup_teardown(test_moving, set_up, take_down),
	};

	fault_hook = fault;
	return RUN_WITH_BACKENDS(tests);
}
