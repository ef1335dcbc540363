/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a verb may return: what is in its table, and never a code of the library's own. */
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"

#include "api/api.h"

static const struct api_call changing = {
	.names = "changing",
	.need = CTX_CHANGE,
	.errnos = { API_ERRNO(ERANGE, "") },
};
static const struct api_call reading = { .names = "reading", .flags_need = CTX_RULES };
static const struct api_call setting = {
	.names = "setting",
	.setting = true,
	.errnos = { API_ERRNO(EBUSY, "") },
};

static int leave(const struct api_call *call, int r, int reason, bn_ctx *ctx)
{
	*ctx = (bn_ctx){ 0 };
	error_set(&ctx->error, r, reason, "the sentence");
	return api_leave(ctx, call, r);
}

static void test_listed(void **state)
{
	static const struct {
		const struct api_call *call;
		int number;
	} cases[] = {
		{ &changing, ERANGE }, { &changing, EINVAL },     { &changing, EXDEV },
		{ &changing, EEXIST }, { &changing, EADDRINUSE }, { &reading, ENOMEM },
		{ &reading, EEXIST },  { &setting, EBUSY },
	};
	bn_ctx ctx;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(leave(cases[i].call, -cases[i].number, BN_REASON_INVALID, &ctx),
				 -cases[i].number);
		assert_int_equal(bn_error_errno(&ctx), cases[i].number);
		assert_string_equal(bn_error_message(&ctx), "the sentence");
	}
	assert_int_equal(leave(&changing, 0, BN_REASON_INVALID, &ctx), 0);
	assert_string_equal(bn_error_message(&ctx), "");
	assert_int_equal(api_leave(NULL, &changing, -EINVAL), -EINVAL);
}

static void test_errno_of_the_system(void **state)
{
	static const int reasons[] = { BN_REASON_KERNEL, BN_REASON_STATE,
				       BN_REASON_SANDBOX_INVALID };
	bn_ctx ctx;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		assert_int_equal(leave(&changing, -ENETDOWN, reasons[i], &ctx), -EIO);
		assert_int_equal(bn_error_errno(&ctx), EIO);
		assert_int_equal(bn_error_reason(&ctx), reasons[i]);
		assert_string_equal(bn_error_message(&ctx), "the sentence");
	}
}

/* A process that leaves that way is killed, which is how a test of the library notices. */
static void assert_caught(const struct api_call *call, int r, int reason, const char *sentence)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		static const int traps[] = { SIGILL, SIGTRAP };
		bn_ctx ctx = { 0 };

		for (size_t i = 0; i < ARRAY_SIZE(traps); i++)
			signal(traps[i], SIG_DFL);
		close(STDERR_FILENO);
		if (sentence)
			error_set(&ctx.error, r, reason, "%s", sentence);
		api_leave(&ctx, call, r);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void test_leaks_are_caught(void **state)
{
	(void)state;
	assert_caught(&changing, -ESTALE, BN_REASON_NETWORK_UNKNOWN, "deleted meanwhile");
	assert_caught(&changing, -ENOTCONN, BN_REASON_NONE, NULL);
	assert_caught(&changing, -ERANGE, BN_REASON_NONE, NULL);
	/* what looks at less may return less */
	assert_caught(&reading, -EADDRINUSE, BN_REASON_PORT_IN_USE, "taken");
	assert_caught(&setting, -EIO, BN_REASON_INVALID, "not of a verb");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_errno_of_the_system),
		cmocka_unit_test(test_leaks_are_caught),
	};

	return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
