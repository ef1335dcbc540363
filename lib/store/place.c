/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory of a state. Who can write in it, or in a directory that leads there, could put
 * another state under the library's feet; who can read a file of it can hold every writer up, for a
 * lock for reading is all that takes.
 *
 * Files are made and changed by name under the descriptor of the directory, and database files are
 * never opened here: closing any descriptor of one drops the locks that SQLite holds on it for any
 * store of this process.
 */
#include "store/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const names[PLACE_FILES] = {
	[PLACE_DATABASE] = "state.db",     [PLACE_JOURNAL] = "state.db-wal",
	[PLACE_INDEX] = "state.db-shm",    [PLACE_LOCKS] = "operations.lock",
	[PLACE_GENERATION] = "generation",
};

#define OPEN_DIRECTORY (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define SETTLED_NS INT64_C(200000000)
#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)

static int system_error(const char *path, const char *what, int number, struct error *error)
{
	return error_set(error, -number, BN_REASON_STATE,
			 "%s the state directory %s: %s; use a directory that this user can write",
			 what, path, errno_text(number));
}

static struct place_id id_of(const struct stat *status)
{
	return (struct place_id){ status->st_dev, status->st_ino };
}

static bool is_same_id(const struct place_id *a, const struct place_id *b)
{
	return a->device == b->device && a->inode == b->inode;
}

/* ---- whose it is ---- */

static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool read = file && fgets(line, size, file);

	if (file)
		fclose(file);
	return read;
}

/* In a user namespace, whatever belongs to users that it does not know, among them the machine's
 * own root, shows as the overflow user's. */
static bool is_unknown_user(uid_t owner)
{
	unsigned long first, outside, count, overflow;
	char line[64];

	if (!read_line("/proc/self/uid_map", line, sizeof(line)) ||
	    sscanf(line, "%lu %lu %lu", &first, &outside, &count) != 3 ||
	    (first == 0 && outside == 0 && count == UINT32_MAX))
		return false;
	return read_line("/proc/sys/kernel/overflowuid", line, sizeof(line)) &&
	       sscanf(line, "%lu", &overflow) == 1 && owner == overflow;
}

static int check_parent(const char *directory, const char *parent, const struct stat *status,
			struct error *error)
{
	if (status->st_uid != 0 && status->st_uid != geteuid() && !is_unknown_user(status->st_uid))
		return error_set(
			error, -EACCES, BN_REASON_STATE,
			"the state directory %s is below %s, which belongs to user %u, who "
			"could replace the state; use one that is below directories of "
			"root or your own",
			directory, parent, status->st_uid);
	if (!(status->st_mode & WRITABLE_BY_OTHERS) || (status->st_mode & S_ISVTX))
		return 0;
	return error_set(error, -EACCES, BN_REASON_STATE,
			 "the state directory %s is below %s, which others can write (mode %04o), "
			 "so they could replace the state; chmod go-w that, or use another",
			 directory, parent, status->st_mode & 07777);
}

static int check_owner(const char *directory, const struct stat *status, struct error *error)
{
	if (status->st_uid != geteuid())
		return error_set(error, -EACCES, BN_REASON_STATE,
				 "the state directory %s belongs to user %u and a state is for its "
				 "owner alone; run as that user, or use a directory of your own",
				 directory, status->st_uid);
	if (!(status->st_mode & WRITABLE_BY_OTHERS))
		return 0;
	return error_set(
		error, -EACCES, BN_REASON_STATE,
		"others can write in the state directory %s (mode %04o); make sure of what "
		"is in it and chmod 700 it, or use another",
		directory, status->st_mode & 07777);
}

/* ---- the way there ---- */

/* Opens what a path without symbolic links leads to, and judges each directory on the way. */
static int open_parent(const char *directory, const char *path, int *ret_fd, struct error *error)
{
	CLEANUP_CLOSE int fd = open("/", OPEN_DIRECTORY);
	char name[NAME_MAX + 1], *parent;
	struct stat status;
	const char *at = path;
	size_t len;
	int next, r;

	for (;;) {
		if (fd < 0 || fstat(fd, &status) < 0)
			return system_error(directory, "can't reach", errno, error);
		parent = strndup(path, at == path ? 1 : (size_t)(at - path));
		if (!parent)
			return error_oom(error);
		r = check_parent(directory, parent, &status, error);
		free(parent);
		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (r < 0 || len == 0 || len > NAME_MAX)
			break;
		memcpy(name, at, len);
		name[len] = '\0';
		at += len;
		next = openat(fd, name, OPEN_DIRECTORY);
		close(fd);
		fd = next;
	}
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* Cuts the path into its parent, resolved, and the last name. */
static int resolve(const char *directory, char **ret_parent, char **ret_name, struct error *error)
{
	CLEANUP_FREE char *path = strdup(directory), *name = NULL;
	size_t len = strlen(directory);
	char *slash;

	while (len > 0 && directory[len - 1] == '/')
		len--;
	if (!path)
		return error_oom(error);
	path[len] = '\0';
	slash = strrchr(path, '/');
	name = strdup(slash ? slash + 1 : ".");
	if (!name)
		return error_oom(error);
	if (slash)
		*slash = '\0';
	*ret_parent = realpath(path[0] ? path : "/", NULL);
	if (!*ret_parent)
		return system_error(directory, "can't reach", errno, error);
	*ret_name = TAKE_POINTER(name);
	return 0;
}

/* 1, or 0 if it is not there. */
static int open_directory(const char *directory, int parent_fd, const char *name, bool make,
			  int *ret_fd, struct error *error)
{
	struct stat status;

	if (make && mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
		return system_error(directory, "can't make", errno, error);
	*ret_fd = openat(parent_fd, name, OPEN_DIRECTORY);
	if (*ret_fd >= 0)
		return 1;
	if (errno == ENOENT && !make)
		return 0;
	if (errno == ENOTDIR && fstatat(parent_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(status.st_mode))
		return error_set(error, -ENOTDIR, BN_REASON_STATE,
				 "the state directory %s is a symbolic link, which could lead "
				 "elsewhere with the next call; name what it leads to",
				 directory);
	return system_error(directory, "can't open", errno, error);
}

int place_open(const char *directory, bool make, struct place *ret_place, struct error *error)
{
	CLEANUP_FREE char *parent = NULL, *name = NULL;
	CLEANUP_CLOSE int parent_fd = -1;
	CLEANUP(place_close) struct place place = { .fd = -1 };
	struct stat status;
	int r = resolve(directory, &parent, &name, error);

	if (r == 0)
		r = open_parent(directory, parent, &parent_fd, error);
	if (r == 0)
		r = open_directory(directory, parent_fd, name, make, &place.fd, error);
	if (r <= 0)
		return r;
	if (fstat(place.fd, &status) < 0)
		return system_error(directory, "can't examine", errno, error);
	place.directory = id_of(&status);
	if (asprintf(&place.path, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name) < 0) {
		place.path = NULL;
		return error_oom(error);
	}
	r = check_owner(directory, &status, error);
	if (r < 0)
		return r;
	*ret_place = place;
	place = (struct place){ .fd = -1 };
	return 1;
}

void place_close(struct place *place)
{
	cleanup_close(&place->fd);
	free(place->path);
	*place = (struct place){ .fd = -1 };
}

/* ---- for the owner alone ---- */

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < PLACE_FILES; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Nobody shall lose the sight of what is not the library's: the directory may be /etc. */
static int check_contents(const struct place *place, struct error *error)
{
	int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!stream) {
		r = system_error(place->path, "can't list", errno, error);
		cleanup_close(&fd);
		return r;
	}
	while (r == 0 && (entry = readdir(stream)))
		if (!is_ours(entry->d_name))
			r = error_set(error, -EACCES, BN_REASON_STATE,
				      "others can look into the state directory %s, and it is not "
				      "the state's alone: %.64s is there; chmod 700 it, or use "
				      "another",
				      place->path, entry->d_name);
	closedir(stream);
	return r;
}

static int secure_directory(const struct place *place, struct error *error)
{
	struct stat status;
	int r;

	if (fstat(place->fd, &status) < 0)
		return system_error(place->path, "can't examine", errno, error);
	if ((status.st_mode & 0777) == 0700)
		return 0;
	r = check_contents(place, error);
	if (r == 0 && fchmodat(place->fd, ".", 0700, 0) < 0)
		r = system_error(place->path, "can't set the mode of", errno, error);
	return r;
}

static int file_error(const struct place *place, enum place_file file, const char *what,
		      struct error *error)
{
	int number = errno;

	return error_set(error, -number, BN_REASON_STATE,
			 "can't %s %s/%s: %s; use a directory that this user can write", what,
			 place->path, names[file], errno_text(number));
}

/* 1, or 0 if it is not there. */
static int check_file(const struct place *place, enum place_file file, struct error *error)
{
	struct stat status;

	if (fstatat(place->fd, names[file], &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : file_error(place, file, "examine", error);
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_nlink > 1)
		return error_set(error, -EACCES, BN_REASON_STATE,
				 "%s/%s is not a file of this user with that one name; remove it "
				 "if nobody needs it, or use another directory",
				 place->path, names[file]);
	if ((status.st_mode & 0777) != 0600 && fchmodat(place->fd, names[file], 0600, 0) < 0)
		return file_error(place, file, "set the mode of", error);
	return 1;
}

int place_secure_file(struct place *place, enum place_file file, struct error *error)
{
	int r = check_file(place, file, error);

	if (r != 0)
		return r < 0 ? r : 0;
	if (mknodat(place->fd, names[file], S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return file_error(place, file, "make", error);
	r = check_file(place, file, error);
	return r < 0 ? r : 0;
}

int place_secure(struct place *place, struct error *error)
{
	int r = secure_directory(place, error);

	for (enum place_file i = 0; i < PLACE_FILES && r >= 0; i++)
		r = check_file(place, i, error);
	return r < 0 ? r : 0;
}

/* ---- its files ---- */

int place_open_file(struct place *place, enum place_file file, int flags, struct error *error)
{
	int fd = openat(place->fd, names[file], flags | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? file_error(place, file, "open", error) : fd;
}

char *place_path(const struct place *place, enum place_file file)
{
	char *path;

	return asprintf(&path, "%s/%s", place->path, names[file]) < 0 ? NULL : path;
}

bool place_has(const struct place *place, enum place_file file)
{
	return faccessat(place->fd, names[file], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool place_is_read_only(const struct place *place)
{
	return faccessat(place->fd, names[PLACE_DATABASE], W_OK, AT_EACCESS) < 0 && errno == EROFS;
}

static struct place_id id_of_file(const struct place *place, enum place_file file)
{
	struct stat status;

	if (fstatat(place->fd, names[file], &status, AT_SYMLINK_NOFOLLOW) < 0)
		return (struct place_id){ 0 };
	return id_of(&status);
}

void place_remember(struct place *place)
{
	for (enum place_file i = 0; i < PLACE_FILES; i++)
		place->files[i] = id_of_file(place, i);
}

static int64_t nanoseconds(const struct timespec *time)
{
	return time->tv_sec * INT64_C(1000000000) + time->tv_nsec;
}

/* Whatever comes and goes in a directory changes its time, which is as coarse as the clock's tick:
 * one that is some ticks old says that nothing did since. */
static void note_settled(struct place *place, const struct stat *status)
{
	int64_t changed = nanoseconds(&status->st_ctim);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	place->settled_ns = nanoseconds(&now) - changed > SETTLED_NS ? changed : 0;
}

static bool is_as_settled(const struct place *place, const struct stat *status)
{
	return place->settled_ns && place->settled_ns == nanoseconds(&status->st_ctim);
}

bool place_is_untouched(const struct place *place)
{
	struct stat status;

	return fstat(place->fd, &status) == 0 && status.st_nlink > 0 &&
	       is_as_settled(place, &status);
}

bool place_is_same(struct place *place, enum place_file end)
{
	struct place_id id;
	struct stat status;

	if (fstatat(AT_FDCWD, place->path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	id = id_of(&status);
	if (!is_same_id(&id, &place->directory))
		return false;
	if (is_as_settled(place, &status))
		return true;
	for (enum place_file i = 0; i < end; i++) {
		id = id_of_file(place, i);
		if (!is_same_id(&id, &place->files[i]))
			return false;
	}
	if (end == PLACE_FILES)
		note_settled(place, &status);
	return true;
}
