/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "link/private.h"

#ifndef NS_GET_ID /* Linux 6.18; of a network namespace the cookie of its sockets */
#define NS_GET_ID _IOR(0xb7, 13, uint64_t)
#endif
#ifndef SO_NETNS_COOKIE /* Linux 5.14 */
#define SO_NETNS_COOKIE 71
#endif

#ifndef STATX_ATTR_MOUNT_ROOT /* Linux 5.8 */
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

#define COOKIE_MS 1000 /* a thread that makes a socket needs less than one of them */

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

/* The link itself says where it leads to, and nothing need be opened for that. */
static bool read_seat(const struct seat *seat, char name[static SEAT_NAME_MAX])
{
	ssize_t len = readlinkat(seat->fd, "", name, SEAT_NAME_MAX - 1);

	name[len < 0 ? 0 : len] = '\0';
	return len > 0;
}

void seat_take(struct seat *seat)
{
	seat_leave(seat);
	seat->fd = open("/proc/thread-self/ns/net", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (seat->fd < 0)
		return;
	seat->thread = gettid();
	if (!read_seat(seat, seat->name))
		seat_leave(seat);
}

bool seat_is_kept(const struct seat *seat)
{
	char name[SEAT_NAME_MAX];

	return seat->thread && seat->thread == gettid() && read_seat(seat, name) &&
	       strcmp(name, seat->name) == 0;
}

void seat_leave(struct seat *seat)
{
	if (seat->thread)
		close(seat->fd);
	seat->thread = 0;
}

/* ---- cookies ---- */

static uint64_t cookie_of_socket(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

uint64_t sandbox_current_cookie(void)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? 0 : cookie_of_socket(fd);
}

uint64_t sandbox_cookie_inside(int fd)
{
	const struct deadline deadline = deadline_after(COOKIE_MS);
	const struct sandbox sandbox = { .fd = fd };
	struct link_handle handle = { .fd = -1 };
	uint64_t cookie;

	if (sandbox_link_open(&sandbox, &deadline, &handle, NULL) < 0)
		return 0;
	cookie = cookie_of_socket(handle.fd);
	rtnl_close(&handle);
	return cookie;
}

static uint64_t cookie_of_namespace(int fd)
{
	uint64_t cookie;

	return ioctl(fd, NS_GET_ID, &cookie) == 0 ? cookie : sandbox_cookie_inside(fd);
}

bool sandbox_is_same(const struct sandbox *a, const struct sandbox *b)
{
	if (a->cookie && b->cookie)
		return a->cookie == b->cookie;
	return a->device == b->device && a->inode == b->inode;
}

/* ---- opening ---- */

int sandbox_identify(int fd, const char *name, struct sandbox *sandbox, struct error *error)
{
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
	sandbox->cookie = cookie_of_namespace(fd);
	sandbox->device = status.st_dev;
	sandbox->inode = status.st_ino;
	snprintf(sandbox->name, sizeof(sandbox->name), "net:[%" PRIu64 "]", sandbox->inode);
	return 0;
}

const char *sandbox_name(const struct sandbox *sandbox)
{
	return sandbox->path[0] ? sandbox->path : sandbox->name;
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

/* Has it a place in the file system? One that is mounted nowhere is no root, which is told sooner
 * than by a look into /proc; true also where the kernel does not say, or musl before 1.2.5 can't
 * ask. */
static bool is_mounted(int fd)
{
#ifdef STATX_TYPE
	struct statx status;

	return statx(fd, "", AT_EMPTY_PATH, 0, &status) < 0 ||
	       !(status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
	       status.stx_attributes & STATX_ATTR_MOUNT_ROOT;
#else
	return fd >= 0;
#endif
}

/* An nsfs descriptor shows its bind mount, or "net:[...]" when it has none. */
static void keep_path_of(struct sandbox *sandbox, int fd)
{
	char link[48], path[SANDBOX_PATH_MAX];
	struct stat status;
	ssize_t len;

	if (!is_mounted(fd))
		return;
	snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return;
	path[len] = '\0';
	if (path[0] == '/' && stat(path, &status) == 0 && status.st_dev == sandbox->device &&
	    status.st_ino == sandbox->inode)
		keep_path(sandbox, path);
}

int sandbox_open_fd(int fd, int number, struct sandbox *ret_sandbox, struct error *error)
{
	struct sandbox sandbox = { .fd = -1 };
	CLEANUP_CLOSE int copy = -1;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "descriptor %d", number);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return error_set(error, -errno, BN_REASON_SANDBOX_INVALID,
				 "cannot use %s as a network namespace: %s", name,
				 errno_text(errno));
	r = sandbox_identify(copy, name, &sandbox, error);
	if (r < 0)
		return r;
	snprintf(sandbox.name, sizeof(sandbox.name), "net:[%" PRIu64 "] (%s)", sandbox.inode, name);
	keep_path_of(&sandbox, copy);
	sandbox.fd = take_fd(&copy);
	*ret_sandbox = sandbox;
	return 0;
}

/* What was given as a descriptor has no path. */
static int open_stored_path(const struct endpoint *endpoint, const struct sandbox *attached,
			    struct sandbox *ret_sandbox, struct error *error)
{
	CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
	int r;

	if (!endpoint->sandbox[0])
		return error_set(error, -ENOENT, BN_REASON_SANDBOX_GONE,
				 "namespace %s of endpoint %s was given as a descriptor and has "
				 "no path to find it by",
				 attached->name, endpoint->id);
	r = sandbox_open_path(endpoint->sandbox, &sandbox, error);
	if (r == -EINVAL || (r == 0 && !sandbox_is_same(&sandbox, attached)))
		return error_set(error, -ENOENT, BN_REASON_SANDBOX_GONE,
				 "%s is no longer the namespace that endpoint %s was attached to",
				 endpoint->sandbox, endpoint->id);
	if (r < 0)
		return r;
	*ret_sandbox = sandbox;
	sandbox.fd = -1;
	return 0;
}

int sandbox_reopen(const struct endpoint *endpoint, struct sandbox *ret_sandbox,
		   struct error *error)
{
	const struct sandbox attached = sandbox_of(endpoint);
	int r = open_stored_path(endpoint, &attached, ret_sandbox, error);

	if (r == 0 || sandbox_open_number(&attached, ret_sandbox) < 0)
		return r;
	error_clear(error);
	return 0;
}

void sandbox_close(struct sandbox *sandbox)
{
	if (sandbox->fd >= 0)
		close(sandbox->fd);
	sandbox->fd = -1;
}
