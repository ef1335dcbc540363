/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Namespaces that no path leads to any more: by their numbers, where the kernel opens them by
 * these, and else among the processes and mounts that /proc shows. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "link/private.h"

struct sandbox sandbox_of(const struct endpoint *endpoint)
{
	struct sandbox sandbox = {
		.fd = -1,
		.device = endpoint->sandbox_device,
		.inode = endpoint->sandbox_inode,
		.cookie = endpoint->sandbox_cookie,
	};

	snprintf(sandbox.name, sizeof(sandbox.name), "net:[%" PRIu64 "]", sandbox.inode);
	return sandbox;
}

/* ---- by number ---- */

#ifndef FD_NSFS_ROOT /* Linux 6.18 */
#define FD_NSFS_ROOT (-10003)
#endif
#define NSFS_HANDLE_TYPE 0xf1

/* A descriptor, or -errno: of one that is gone -ESTALE. */
static int open_number(uint64_t cookie, uint64_t inode)
{
	const struct {
		uint64_t id;
		uint32_t type, inode;
	} namespace = { cookie, CLONE_NEWNET, (uint32_t)inode };
	union {
		struct file_handle handle;
		unsigned char bytes[sizeof(struct file_handle) + sizeof(namespace)];
	} name = { .handle = { .handle_bytes = sizeof(namespace),
			       .handle_type = NSFS_HANDLE_TYPE } };
	int fd;

	if (!cookie)
		return -EOPNOTSUPP;
	memcpy(name.bytes + offsetof(struct file_handle, f_handle), &namespace, sizeof(namespace));
	fd = open_by_handle_at(FD_NSFS_ROOT, &name.handle, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sandbox_open_number(const struct sandbox *wanted, struct sandbox *ret_sandbox)
{
	struct sandbox sandbox = { .fd = -1 };
	CLEANUP_CLOSE int fd = open_number(wanted->cookie, wanted->inode);
	int r;

	if (fd < 0)
		return fd;
	r = sandbox_identify(fd, wanted->name, &sandbox, NULL);
	if (r < 0 || !sandbox_is_same(&sandbox, wanted))
		return -ENOENT;
	sandbox.fd = take_fd(&fd);
	*ret_sandbox = sandbox;
	return 0;
}

/* Does a number that opens nothing say that there is nothing? Where our own opens it does. */
static bool numbers_are_known(void)
{
	uint64_t device, inode;
	CLEANUP_CLOSE int fd = -1;

	if (sandbox_current(&device, &inode, NULL) < 0)
		return false;
	fd = open_number(sandbox_current_cookie(), inode);
	return fd >= 0;
}

bool sandbox_number_is_gone(uint64_t cookie, uint64_t inode)
{
	CLEANUP_CLOSE int fd = open_number(cookie, inode);

	return fd == -ESTALE && numbers_are_known();
}

/* ---- in /proc ---- */

struct sought {
	struct sandbox sandbox; /* with the descriptor, when that is kept */
	enum sandbox_sight sight;
	size_t index; /* the caller's */
};

struct search {
	struct sought *sought;
	size_t len, left;
	bool keep;    /* the descriptors */
	bool partial; /* there was something that could not be looked at */
	const struct deadline *deadline;
};

/* Of what was opened, and not of the path, which may lead elsewhere by now. */
static bool is_sought(int fd, struct sought *sought)
{
	struct sandbox found = { .fd = -1 };

	if (sandbox_identify(fd, "", &found, NULL) < 0 ||
	    !sandbox_is_same(&found, &sought->sandbox))
		return false;
	sought->sandbox = found;
	return true;
}

static void look_at(struct search *search, int directory_fd, const char *path,
		    struct sought *sought)
{
	CLEANUP_CLOSE int fd =
		openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool same = fd >= 0 && is_sought(fd, sought);

	/* nothing that is gone has that number, unless it was given again: better to take it for
	 * there than for gone */
	if (!same && (fd >= 0 || search->keep))
		return;
	sought->sight = SANDBOX_THERE;
	search->left--;
	if (search->keep)
		sought->sandbox.fd = take_fd(&fd);
}

static void look_at_path(struct search *search, int directory_fd, const char *path)
{
	struct stat status;

	if (fstatat(directory_fd, path, &status, 0) < 0) {
		search->partial |= errno == EACCES || errno == EPERM;
		return;
	}
	for (size_t i = 0; i < search->len; i++) {
		struct sought *sought = &search->sought[i];

		if (sought->sight != SANDBOX_THERE && status.st_ino == sought->sandbox.inode &&
		    status.st_dev == sought->sandbox.device)
			look_at(search, directory_fd, path, sought);
	}
}

static int search_processes(struct search *search)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	char path[NAME_MAX + 8];
	int r = 0;

	search->partial |= !processes;
	while (processes && search->left && r == 0 && (entry = readdir(processes))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		r = deadline_check(search->deadline);
		snprintf(path, sizeof(path), "%s/ns/net", entry->d_name);
		look_at_path(search, dirfd(processes), path);
	}
	if (processes)
		closedir(processes);
	return r;
}

static int search_mounts(struct search *search)
{
	FILE *mounts = fopen("/proc/thread-self/mountinfo", "re");
	char *line = NULL, root[64], point[PATH_MAX];
	size_t size = 0;
	int r = 0;

	search->partial |= !mounts;
	while (mounts && search->left && r == 0 && getline(&line, &size, mounts) > 0) {
		r = deadline_check(search->deadline);
		if (sscanf(line, "%*d %*d %*s %63s %4095s", root, point) == 2 &&
		    strncmp(root, "net:[", 5) == 0)
			look_at_path(search, AT_FDCWD, point);
	}
	free(line);
	if (mounts)
		fclose(mounts);
	return r;
}

/* Once for all that are sought. */
static int search_run(struct search *search, struct error *error)
{
	int r;

	search->left = search->len;
	r = search_processes(search);
	if (r == 0)
		r = search_mounts(search);
	if (r < 0)
		return deadline_error(error, r, "while it looked for a network namespace");
	for (size_t i = 0; i < search->len && search->partial; i++)
		if (search->sought[i].sight == SANDBOX_GONE)
			search->sought[i].sight = SANDBOX_HIDDEN;
	return 0;
}

/* ---- what is asked ---- */

bool sandbox_exists(const struct sandbox *sandbox)
{
	struct sought sought = { .sandbox = *sandbox };
	struct search search = { .sought = &sought, .len = 1 };

	return search_run(&search, NULL) == 0 && sought.sight == SANDBOX_THERE;
}

int sandbox_find(const struct endpoint *endpoint, const struct deadline *deadline,
		 struct sandbox *ret_sandbox, struct error *error)
{
	struct sought sought = { .sandbox = sandbox_of(endpoint) };
	struct search search = { &sought, 1, .keep = true, .deadline = deadline };
	int r = sandbox_reopen(endpoint, ret_sandbox, NULL);

	if (r == 0)
		return 0;
	r = search_run(&search, error);
	if (r < 0)
		return r;
	if (sought.sight == SANDBOX_THERE) {
		*ret_sandbox = sought.sandbox;
		return 0;
	}
	if (sought.sight == SANDBOX_HIDDEN)
		return error_set(error, -EACCES, BN_REASON_PRIVILEGE,
				 "namespace %s of endpoint %s on network %s was not found, and not "
				 "every process may be looked at; run as root",
				 sought.sandbox.name, endpoint->id, endpoint->network);
	return error_set(error, -ENOENT, BN_REASON_SANDBOX_GONE,
			 "namespace %s of endpoint %s on network %s is gone: no process and no "
			 "mount has it%s%s; detach the endpoint",
			 sought.sandbox.name, endpoint->id, endpoint->network,
			 endpoint->sandbox[0] ? ", nor is it at " : "", endpoint->sandbox);
}

int sandboxes_look(const struct endpoint *const *endpoints, size_t len,
		   const struct deadline *deadline, enum sandbox_sight *sights, struct error *error)
{
	CLEANUP_FREE struct sought *sought = calloc(len + 1, sizeof(*sought));
	struct search search = { .sought = sought, .deadline = deadline };
	int r;

	if (!sought)
		return error_oom(error);
	for (size_t i = 0; i < len; i++) {
		CLEANUP_SANDBOX struct sandbox sandbox = { .fd = -1 };
		struct sought *one = &sought[search.len];

		*one = (struct sought){ .sandbox = sandbox_of(endpoints[i]), .index = i };
		if (sandbox_reopen(endpoints[i], &sandbox, NULL) == 0)
			sights[i] = SANDBOX_THERE;
		else if (sandbox_number_is_gone(one->sandbox.cookie, one->sandbox.inode))
			sights[i] = SANDBOX_GONE;
		else
			search.len++;
	}
	r = search.len ? search_run(&search, error) : 0;
	for (size_t i = 0; i < search.len && r == 0; i++)
		sights[sought[i].index] = sought[i].sight;
	return r;
}
