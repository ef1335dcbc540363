/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A system call of any verb fails, with an errno that it may have: the verb does without it, or says
 * so in a sentence and has undone what it did; and then the next call, or a repair, in turn, finds all
 * in order.
 *
 * As many of each verb as are done in a minute, others each day; with BN_SOAK=1 each one, with each backend and
 * family; with BN_SECONDS some of them, until they are over.
 */
#include "tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FAULTS_IN_CI 8 /* of each verb, others each day */
#define FAULTS_IN_ROUND 12
#define CODES_MAX 6

/* What is closed or unmapped can't be kept open, and what ends a process or a thread ends it. */
static const struct {
	long number;
	int codes[CODES_MAX];
} failing[] = {
	{ SYS_openat,
	  { EMFILE, ENOMEM, EINTR } }, /* of settings, what is forbidden is done without */
	{ SYS_socket, { EMFILE, ENOBUFS, EPERM, ENOMEM } },
	{ SYS_bind, { ENOMEM, EPERM } },
	{ SYS_setsockopt, { ENOMEM, EPERM, ENOBUFS } },
	{ SYS_getsockopt, { ENOMEM, ENOBUFS } },
	{ SYS_sendmsg, { ENOBUFS, ENOMEM, EINTR, EAGAIN, EPERM } },
	{ SYS_sendto, { ENOBUFS, ENOMEM, EINTR, EAGAIN, EPERM } },
	{ SYS_recvmsg, { ENOBUFS, EINTR, ENOMEM, EIO } },
	{ SYS_recvfrom, { ENOBUFS, EINTR, ENOMEM, EIO } },
	{ SYS_read, { EIO, EINTR, ENOMEM } },
	{ SYS_write, { ENOSPC, EIO, EINTR, EBUSY, EPERM } },
	{ SYS_pread64, { EIO, EINTR } },
	{ SYS_pwrite64, { ENOSPC, EIO, EINTR } },
	{ SYS_ftruncate, { ENOSPC, EIO, EINTR } },
	{ SYS_fallocate, { ENOSPC, EIO } },
	{ SYS_fsync, { EIO, ENOSPC } },
	{ SYS_fcntl, { ENOMEM, EINTR, EAGAIN, EMFILE } },
	{ SYS_flock, { EINTR, ENOMEM } },
	{ SYS_mkdir, { ENOSPC, EPERM, EIO } },
	{ SYS_mkdirat, { ENOSPC, EPERM, EIO } },
	{ SYS_mknodat, { ENOSPC, EPERM, EIO } },
	{ SYS_unlink, { EBUSY, EPERM, EIO } },
	{ SYS_unlinkat, { EBUSY, EPERM, EIO } },
	{ SYS_renameat, { ENOSPC, EPERM, EIO } },
	{ SYS_newfstatat, { EIO, ENOMEM } },
	{ SYS_fstat, { EIO } },
	{ SYS_readlink, { EIO, ENOMEM } },
	{ SYS_getdents64, { EIO, ENOMEM } },
	{ SYS_ioctl, { EPERM, EBUSY, ENOMEM } },
	{ SYS_setns, { EPERM, ENOMEM } },
	{ SYS_mmap, { ENOMEM } },
	{ SYS_clone3, { EAGAIN, ENOMEM } },
	{ SYS_eventfd2, { EMFILE, ENOMEM } },
	{ SYS_ppoll, { EINTR, ENOMEM } },
	{ SYS_poll, { EINTR, ENOMEM } },
};

static size_t find_failing(long number)
{
	size_t i = 0;

	while (i < sizeof(failing) / sizeof(*failing) && failing[i].number != number)
		i++;
	return i;
}

/* What reads or sets flags of a descriptor; and whether a device is there is asked by binding to it,
 * and which number it has by an ioctl, which say by their errno that there is none. */
static bool always_works(long number, const uint64_t *arguments)
{
	if (number == SYS_fcntl)
		return arguments[1] == F_GETFD || arguments[1] == F_SETFD ||
		       arguments[1] == F_GETFL || arguments[1] == F_SETFL;
	if (number == SYS_ioctl)
		return arguments[1] == SIOCGIFINDEX || arguments[1] == SIOCGIFNAME ||
		       arguments[1] == SIOCGIFMTU;
	return number == SYS_setsockopt && arguments[1] == SOL_SOCKET &&
	       arguments[2] == SO_BINDTODEVICE;
}

static bool can_fail(long number, const uint64_t *arguments)
{
	return find_failing(number) < sizeof(failing) / sizeof(*failing) &&
	       !always_works(number, arguments);
}

/* Each errno in its turn. */
static int code_of(long number, size_t n)
{
	const int *codes = failing[find_failing(number)].codes;
	size_t len = 0;

	while (len < CODES_MAX && codes[len])
		len++;
	return codes[n % len];
}

static struct answer *answer;

static bool fault(const struct trial *trial, const struct point *point, size_t n, const char *how,
		  const char *what)
{
	char name[24];

	return trial_fault(trial, answer, "%s, point %zu, fails: %s: %s%s",
			   system_call_name(point->number, name), n,
			   strerror(code_of(point->number, n)), how, what);
}

static bool is_sentence(const char *text)
{
	return strlen(text) > 20 && !strstr(text, "(null)") && !strstr(text, "Success");
}

/* Is what has happened what was said? Of what only goes on, as far as it came. */
static const char *judge(const struct trial *trial, enum standing standing, bool open)
{
	if (trial_goes_on(trial)) {
		if (answer->r < 0)
			return is_sentence(answer->message) ? NULL : "it says nothing";
		return !answer->text[0] && standing == STANDS_BETWEEN ? "it is not all: " : NULL;
	}
	if (standing == STANDS_BETWEEN)
		return "neither before nor after: ";
	if (answer->r == 0 && standing != STANDS_AFTER)
		return "it says that it is done, and it isn't";
	if (answer->r < 0 && !open && standing != STANDS_BEFORE)
		return "it says that it failed, and it is done";
	if (answer->r < 0 && !is_sentence(answer->message))
		return "it says nothing";
	return NULL;
}

static bool fail_at(const struct trial *trial, size_t n)
{
	const struct tracing tracing = { .counts = can_fail, .n = n, .code = code_of };
	bool well = true, open;
	enum standing standing;
	char what[WHAT_MAX];
	struct point point;
	const char *wrong;

	memset(answer, 0, sizeof(*answer));
	if (trace_verb(trial, &tracing, &point, answer) != 0)
		well = fault(trial, &point, n, "it crashes or hangs", "");
	if (point.count <= n)
		return trial_again_unseen(trial);
	figure_add(FIGURE_FAULTS, 1);
	figure_add(FIGURE_FAULTS_TOLD, answer->r < 0);
	if (trial->world != WORLD_FLUSHED && missing_drops(what, sizeof(what)))
		well = fault(trial, &point, n, "without protection: ", what);
	open = trial_left_open(trial, answer);
	if (open && trial_recover(trial, n / 2, what) < 0)
		well = fault(trial, &point, n, "", what);
	standing = trial_look(what);
	if (standing == STANDS_BETWEEN && answer->r == 0)
		standing = trial_visit(what);
	if (standing == STANDS_BETWEEN && answer->r == 0)
		standing = trial_look_past_settings();
	wrong = well ? judge(trial, standing, open) : NULL;
	if (wrong)
		well = fault(trial, &point, n, wrong, what);
	if (!open && trial_recover(trial, n / 2, what) < 0)
		well = fault(trial, &point, n, "", what);
	if (!open && trial_look(what) == STANDS_BETWEEN && standing != STANDS_AFTER)
		well = fault(trial, &point, n, "after the next call, too: ", what);
	if (trial_again(trial, what) < 0)
		well = fault(trial, &point, n, "", what);
	return well;
}

static bool fail_everywhere(const struct trial *trial)
{
	const struct tracing tracing = { .counts = can_fail, .n = NEVER };
	size_t stride = 1, faults = 0;
	char what[WHAT_MAX];
	struct point point;

	if (!answer)
		answer = shared_new(sizeof(*answer));
	if (trial_begin(trial) < 0)
		return false;
	trace_verb(trial, &tracing, &point, answer);
	if (!trial_again_unseen(trial))
		return false;
	if (is_timed() || !is_soak())
		stride = point.count * SHARE / (is_timed() ? FAULTS_IN_ROUND : FAULTS_IN_CI) + 1;
	for (size_t n = first_of(stride), count = point.count; n < count && !time_is_over();
	     n += stride)
		faults += !fail_at(trial, n);
	if (trial_end(what) < 0)
		faults += !trial_fault(trial, NULL, "%s", what);
	return faults == 0;
}

static void test_each_fails(void **state)
{
	(void)state;
	if (!trace_can_fail())
		skip();
	trials_run(fail_everywhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
