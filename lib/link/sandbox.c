/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "link/private.h"

#define THREAD_STACK (256 * 1024) /* the sanitizers need more than the minimum */

int sandbox_current(uint64_t *ret_device, uint64_t *ret_inode, struct error *error)
{
	struct stat status;

	if (stat("/proc/thread-self/ns/net", &status) < 0)
		return error_set(error, -errno, BN_REASON_KERNEL,
				 "cannot examine /proc/thread-self/ns/net: %s; is /proc mounted?",
				 errno_text(errno));
	*ret_device = status.st_dev;
	*ret_inode = status.st_ino;
	return 0;
}

static int sandbox_identify(int fd, const char *name, struct sandbox *sandbox, struct error *error)
{
	uint64_t own_device, own_inode;
	struct statfs filesystem;
	struct stat status;

	if (fstatfs(fd, &filesystem) < 0 || fstat(fd, &status) < 0)
		return error_set(error, -errno, BN_REASON_SANDBOX_INVALID,
				 "cannot examine namespace %s: %s", name, errno_text(errno));
	if (filesystem.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return error_set(error, -EINVAL, BN_REASON_SANDBOX_INVALID,
				 "%s is not a network namespace; give a file such as "
				 "/proc/PID/ns/net or /run/netns/NAME",
				 name);
	sandbox->is_host = sandbox_current(&own_device, &own_inode, NULL) == 0 &&
			   own_device == status.st_dev && own_inode == status.st_ino;
	sandbox->device = status.st_dev;
	sandbox->inode = status.st_ino;
	return 0;
}

static bool path_is_relative_to_process(const char *path)
{
	return strncmp(path, "/proc/self/", 11) == 0 ||
	       strncmp(path, "/proc/thread-self/", 18) == 0 || strncmp(path, "/dev/fd/", 8) == 0;
}

/* The path that other processes can use later, "" if there is none. */
static void keep_path(struct sandbox *sandbox, const char *path)
{
	char directory[SANDBOX_PATH_MAX];
	int len;

	sandbox->path[0] = '\0';
	if (path_is_relative_to_process(path))
		return;
	if (path[0] == '/') {
		string_copy(sandbox->path, sizeof(sandbox->path), path);
		return;
	}
	if (!getcwd(directory, sizeof(directory)) || directory[0] != '/')
		return;
	len = snprintf(sandbox->path, sizeof(sandbox->path), "%s/%s", directory, path);
	if (len >= (int)sizeof(sandbox->path))
		sandbox->path[0] = '\0';
}

int sandbox_open_path(const char *path, struct sandbox *ret_sandbox, struct error *error)
{
	struct sandbox sandbox = { .fd = -1 };
	CLEANUP_CLOSE int fd = -1;
	int r;

	/* Without O_NONBLOCK a FIFO would keep us waiting for a writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ESRCH))
		return error_set(error, -ENOENT, BN_REASON_SANDBOX_GONE,
				 "network namespace %s does not exist; give the path of one that "
				 "does",
				 path);
	if (fd < 0)
		return error_set(error, -errno, error_reason(errno, BN_REASON_SANDBOX_INVALID),
				 "cannot open network namespace %s: %s", path, errno_text(errno));
	r = sandbox_identify(fd, path, &sandbox, error);
	if (r < 0)
		return r;
	keep_path(&sandbox, path);
	sandbox.fd = take_fd(&fd);
	*ret_sandbox = sandbox;
	return 0;
}

int sandbox_open_pid(int pid, struct sandbox *ret_sandbox, struct error *error)
{
	char path[64];
	int r;

	if (pid <= 0)
		return error_set(error, -EINVAL, BN_REASON_SANDBOX_INVALID,
				 "%d is no process id; give that of a process in the "
				 "namespace",
				 pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	r = sandbox_open_path(path, ret_sandbox, error);
	if (r == -ENOENT)
		return error_set(error, -ENOENT, BN_REASON_SANDBOX_GONE,
				 "process %d does not exist, so it has no network namespace; give "
				 "the id of one that runs",
				 pid);
	return r;
}

int sandbox_open_fd(int fd, struct sandbox *ret_sandbox, struct error *error)
{
	char name[32], link[48], path[SANDBOX_PATH_MAX];
	struct sandbox sandbox = { .fd = -1 };
	CLEANUP_CLOSE int copy = -1;
	struct stat status;
	ssize_t len;
	int r;

	snprintf(name, sizeof(name), "descriptor %d", fd);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return error_set(error, -errno, BN_REASON_SANDBOX_INVALID,
				 "cannot use %s as a network namespace: %s", name,
				 errno_text(errno));
	r = sandbox_identify(copy, name, &sandbox, error);
	if (r < 0)
		return r;
	snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", copy);
	len = readlink(link, path, sizeof(path) - 1);
	if (len > 0) {
		path[len] = '\0';
		/* An nsfs descriptor shows its bind mount, or "net:[...]" when it has none. */
		if (path[0] == '/' && stat(path, &status) == 0 && status.st_dev == sandbox.device &&
		    status.st_ino == sandbox.inode)
			keep_path(&sandbox, path);
	}
	sandbox.fd = take_fd(&copy);
	*ret_sandbox = sandbox;
	return 0;
}

int sandbox_reopen(const struct endpoint *endpoint, struct sandbox *ret_sandbox,
		   struct error *error)
{
	struct sandbox sandbox = { .fd = -1 };
	int r;

	if (!endpoint->sandbox[0])
		return error_set(error, -ENOENT, BN_REASON_SANDBOX_GONE,
				 "the namespace of endpoint %s was given as a descriptor and has "
				 "no path to find it by",
				 endpoint->id);
	r = sandbox_open_path(endpoint->sandbox, &sandbox, error);
	if (r == -EINVAL || (r == 0 && (sandbox.device != endpoint->sandbox_device ||
					sandbox.inode != endpoint->sandbox_inode))) {
		sandbox_close(&sandbox);
		return error_set(error, -ENOENT, BN_REASON_SANDBOX_GONE,
				 "%s is no longer the namespace that endpoint %s was attached to",
				 endpoint->sandbox, endpoint->id);
	}
	if (r < 0)
		return r;
	*ret_sandbox = sandbox;
	return 0;
}

void sandbox_close(struct sandbox *sandbox)
{
	if (sandbox->fd >= 0)
		close(sandbox->fd);
	sandbox->fd = -1;
}

static int sandbox_thread_work(struct sandbox_thread *thread)
{
	int r;

	if (setns(thread->sandbox->fd, CLONE_NEWNET) < 0)
		return rtnl_failure(&thread->error, NULL, -errno, "enter network namespace %s",
				    thread->sandbox->path);
	r = rtnl_open(&thread->handle, &thread->error);
	/* /proc/sys/net shows the namespace of the thread that looks. */
	thread->ipv6_off = sysctl_read("/proc/sys/net/ipv6/conf/default/disable_ipv6") == 1;
	if (r < 0 || !thread->enable_ipv6)
		return r;
	r = sysctl_interface_write("ipv6", thread->enable_ipv6, "disable_ipv6", 0, &thread->error);
	if (r < 0)
		rtnl_close(&thread->handle);
	return r;
}

static void *sandbox_thread_main(void *argument)
{
	struct sandbox_thread *thread = argument;

	thread->result = sandbox_thread_work(thread);
	return NULL;
}

static int sandbox_thread_create(struct sandbox_thread *thread)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int r = pthread_attr_init(&attributes);

	if (r != 0)
		return r;
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	/* The thread inherits the mask: the program's signal handlers must not run on it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread->id, &attributes, sandbox_thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r;
}

/* A socket stays in the namespace it was made in, so a thread that ends at once makes it: the
 * caller's thread is never in another namespace. */
int sandbox_thread_start(struct sandbox_thread *thread, const struct sandbox *sandbox,
			 const char *enable_ipv6, const struct deadline *deadline,
			 struct error *error)
{
	int r;

	*thread = (struct sandbox_thread){
		.sandbox = sandbox,
		.enable_ipv6 = enable_ipv6,
		.handle = { .fd = -1, .single_use = true, .deadline = deadline },
	};
	r = sandbox_thread_create(thread);
	if (r == 0)
		return 0;
	return error_set(error, -r, BN_REASON_KERNEL,
			 "cannot start a thread to enter network namespace %s: %s", sandbox->path,
			 errno_text(r));
}

int sandbox_thread_join(struct sandbox_thread *thread, struct link_handle *ret_handle,
			struct error *error)
{
	pthread_join(thread->id, NULL);
	if (thread->result < 0) {
		if (error)
			*error = thread->error;
		return thread->result;
	}
	*ret_handle = thread->handle;
	return 0;
}

int sandbox_link_open(const struct sandbox *sandbox, const char *enable_ipv6,
		      const struct deadline *deadline, struct link_handle *ret_handle,
		      struct error *error)
{
	struct sandbox_thread thread;
	int r = sandbox_thread_start(&thread, sandbox, enable_ipv6, deadline, error);

	return r < 0 ? r : sandbox_thread_join(&thread, ret_handle, error);
}
