/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Namespaces that no path leads to any more: by their numbers, where the kernel has that, and after
 * that, for the rest of the program, as on one that has not, by what /proc shows.
 */
#include "link_stage.h"

#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MOUNT "/run/netns/searched"
#define OTHER "/run/netns/other"
#define NOBODY 65534

/* ---- places where a namespace may be ---- */

static struct endpoint endpoint_in(const struct sandbox *sandbox, const char *path)
{
	struct endpoint endpoint = endpoint_number(0, false);

	string_copy(endpoint.sandbox, sizeof(endpoint.sandbox), path);
	endpoint.sandbox_device = sandbox->device;
	endpoint.sandbox_inode = sandbox->inode;
	endpoint.sandbox_cookie = sandbox->cookie;
	return endpoint;
}

static void mount_at(const char *path, const struct sandbox *sandbox)
{
	char source[32];
	int fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", sandbox->fd);
	assert_int_equal(mount(source, path, NULL, MS_BIND, NULL), 0);
}

static void unmount(const char *path)
{
	umount2(path, MNT_DETACH);
	unlink(path);
}

static pid_t process_in(const struct sandbox *sandbox)
{
	int pipes[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setns(sandbox->fd, CLONE_NEWNET) < 0)
			_exit(1);
		/* what it has of its parent is not what it is to be found by */
		close(sandbox->fd);
		if (write(pipes[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	close(pipes[1]);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- looking ---- */

static void assert_found(const struct endpoint *endpoint)
{
	struct sandbox found = { .fd = -1 };

	if (sandbox_find(endpoint, &link_deadline, &found, &error) < 0)
		fail_msg("%s", error.message);
	assert_true(found.fd >= 0 && found.inode == endpoint->sandbox_inode);
	assert_true(fcntl(found.fd, F_GETFD) & FD_CLOEXEC);
	sandbox_close(&found);
}

static void assert_not_found(const struct endpoint *endpoint, int code, int reason)
{
	struct sandbox found = { .fd = -1 };
	char name[64];

	assert_int_equal(sandbox_find(endpoint, &link_deadline, &found, &error), code);
	assert_int_equal(error.reason, reason);
	assert_int_equal(found.fd, -1);
	snprintf(name, sizeof(name), "net:[%" PRIu64 "]", endpoint->sandbox_inode);
	assert_non_null(strstr(error.message, name));
	error_clear(&error);
}

static enum sandbox_sight sight_of(const struct endpoint *endpoint)
{
	enum sandbox_sight sight;

	assert_int_equal(sandboxes_look(&endpoint, 1, &link_deadline, &sight, &error), 0);
	return sight;
}

/* ---- by number ---- */

/* Nobody is in it, and no mount has it: a descriptor is enough. */
static void test_number(void **state)
{
	struct sandbox made = sandbox_new(), found = { .fd = -1 };
	struct endpoint endpoint = endpoint_in(&made, "");

	(void)state;
	if (sandbox_reopen(&endpoint, &found, &error) < 0) {
		sandbox_close(&made);
		skip();
	}
	assert_true(found.cookie == made.cookie && found.inode == made.inode);
	sandbox_close(&found);
	assert_found(&endpoint);
	assert_int_equal(sight_of(&endpoint), SANDBOX_THERE);
	assert_false(sandbox_number_is_gone(made.cookie, made.inode));
	sandbox_close(&made);
	assert_true(sandbox_number_is_gone(endpoint.sandbox_cookie, endpoint.sandbox_inode));
	assert_int_equal(sight_of(&endpoint), SANDBOX_GONE);
	assert_not_found(&endpoint, -ENOENT, BN_REASON_SANDBOX_GONE);
	/* one that is not known by it says nothing */
	assert_false(sandbox_number_is_gone(0, endpoint.sandbox_inode));
}

/* ---- in /proc ---- */

static int forget_numbers(void **state)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open_by_handle_at, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBADF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	(void)state;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

static int clear_mounts(void **state)
{
	(void)state;
	unmount(MOUNT);
	unmount(OTHER);
	return 0;
}

static void test_process(void **state)
{
	struct sandbox made = sandbox_new();
	struct endpoint endpoint = endpoint_in(&made, "");
	pid_t pid = process_in(&made);

	(void)state;
	sandbox_close(&made);
	assert_found(&endpoint);
	assert_int_equal(sight_of(&endpoint), SANDBOX_THERE);
	/* that is the number of another by now */
	endpoint.sandbox_cookie++;
	assert_not_found(&endpoint, -ENOENT, BN_REASON_SANDBOX_GONE);
	assert_int_equal(sight_of(&endpoint), SANDBOX_GONE);
	endpoint.sandbox_cookie--;
	end_process(pid);
	assert_not_found(&endpoint, -ENOENT, BN_REASON_SANDBOX_GONE);
	assert_int_equal(sight_of(&endpoint), SANDBOX_GONE);
	assert_false(sandbox_number_is_gone(endpoint.sandbox_cookie, endpoint.sandbox_inode));
}

/* Its own path leads to a stranger. */
static void test_mount(void **state)
{
	struct sandbox made = sandbox_new(), stranger = sandbox_new();
	struct endpoint endpoint = endpoint_in(&made, OTHER);

	(void)state;
	mount_at(OTHER, &stranger);
	mount_at(MOUNT, &made);
	sandbox_close(&made);
	assert_found(&endpoint);
	assert_int_equal(sight_of(&endpoint), SANDBOX_THERE);
	unmount(MOUNT);
	assert_not_found(&endpoint, -ENOENT, BN_REASON_SANDBOX_GONE);
	assert_int_equal(sight_of(&endpoint), SANDBOX_GONE);
	sandbox_close(&stranger);
}

static void test_many(void **state)
{
	struct sandbox first = sandbox_new(), second = sandbox_new(), third = sandbox_new();
	struct endpoint endpoints[] = {
		endpoint_in(&first, MOUNT),
		endpoint_in(&second, ""),
		endpoint_in(&third, ""),
		endpoint_in(&third, OTHER),
	};
	const struct endpoint *pointers[] = { &endpoints[3], &endpoints[0], &endpoints[1],
					      &endpoints[2] };
	enum sandbox_sight sights[4];
	pid_t pid = process_in(&second);

	(void)state;
	mount_at(MOUNT, &first);
	sandbox_close(&first);
	sandbox_close(&second);
	sandbox_close(&third);
	assert_int_equal(sandboxes_look(pointers, 4, &link_deadline, sights, &error), 0);
	assert_int_equal(sights[0], SANDBOX_GONE);
	assert_int_equal(sights[1], SANDBOX_THERE);
	assert_int_equal(sights[2], SANDBOX_THERE);
	assert_int_equal(sights[3], SANDBOX_GONE);
	end_process(pid);
}

/* Who may not look at processes can't say that it is gone. */
static void test_without_privilege(void **state)
{
	struct sandbox made = sandbox_new();
	struct endpoint endpoint = endpoint_in(&made, "");

	(void)state;
	sandbox_close(&made);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(sight_of(&endpoint), SANDBOX_HIDDEN);
	assert_not_found(&endpoint, -EACCES, BN_REASON_PRIVILEGE);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(sight_of(&endpoint), SANDBOX_GONE);
}

static void test_time_is_up(void **state)
{
	struct sandbox made = sandbox_new(), found;
	struct endpoint endpoint = endpoint_in(&made, "");
	const struct deadline past = { .end = 1 };

	(void)state;
	sandbox_close(&made);
	assert_int_equal(sandbox_find(&endpoint, &past, &found, &error), -ETIMEDOUT);
	assert_int_equal(error.reason, BN_REASON_TIMEOUT);
	error_clear(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),
		cmocka_unit_test_setup_teardown(test_process, forget_numbers, clear_mounts),
		cmocka_unit_test_teardown(test_mount, clear_mounts),
		cmocka_unit_test_teardown(test_many, clear_mounts),
		cmocka_unit_test(test_without_privilege),
		cmocka_unit_test(test_time_is_up),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
