/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of persistent networks, one for each, NAME.network. A file is written beside its place
 * and renamed, so that it is there whole or not at all, also after the power has gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/definition.h"
#include "store/definitions.h"
#include "store/place.h"

#define SUFFIX ".network"
#define FILE_MAX (1024 * 1024)

typedef char file_name[NETWORK_NAME_MAX + sizeof("." SUFFIX)];

static void name_file(const char *network, file_name name)
{
	snprintf(name, sizeof(file_name), "%s" SUFFIX, network);
}

/* Of one network there is one writer, which its operation in the state makes sure of; so what a
 * dead one has left is found. */
static void name_temporary(const char *network, file_name name)
{
	snprintf(name, sizeof(file_name), ".%s" SUFFIX, network);
}

static int file_error(const char *directory, const char *name, const char *what, int code,
		      struct error *error)
{
	return error_set(error, -code, BN_REASON_STATE, "can't %s %s/%s: %s", what, directory, name,
			 errno_text(code));
}

/* The names in it last as long as what they stand for. */
static int sync_directory(const struct place *place)
{
	CLEANUP_CLOSE int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* ---- write ---- */

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t written = write(fd, text, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		len -= (size_t)written;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_file(const struct place *place, const char *temporary, const char *name,
		      const char *text)
{
	CLEANUP_CLOSE int fd = openat(place->fd, temporary,
				      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_all(fd, text);

	if (r == 0 && renameat(place->fd, temporary, place->fd, name) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlinkat(place->fd, temporary, 0);
	return r < 0 ? r : sync_directory(place);
}

int definition_write(const char *directory, const struct network *network, struct error *error)
{
	CLEANUP(place_close) struct place place = { .fd = -1 };
	CLEANUP_FREE char *text = NULL;
	file_name name, temporary;
	int r = place_open(directory, true, &place, error);

	if (r < 0)
		return r;
	if (definition_format(network, &text) < 0)
		return error_oom(error);
	if (strlen(text) > FILE_MAX)
		return error_set(
			error, -ENAMETOOLONG, BN_REASON_INVALID,
			"the definition of network %s takes %zu bytes, and one that is kept "
			"%d at most; give it fewer reserved addresses or shorter labels",
			network->name, strlen(text), FILE_MAX);
	name_file(network->name, name);
	name_temporary(network->name, temporary);
	unlinkat(place.fd, temporary, 0);
	r = write_file(&place, temporary, name, text);
	return r < 0 ? file_error(directory, name, "write", -r, error) : 0;
}

/* ---- read ---- */

/* What is no file of ours: a sentence that says why. */
static int read_text(const struct place *place, const char *directory, const char *name,
		     char **ret_text, struct error *error)
{
	CLEANUP_CLOSE int fd =
		openat(place->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	CLEANUP_FREE char *text = NULL;
	struct stat status;
	ssize_t len;

	if (fd < 0 && errno == ELOOP)
		return error_set(error, -EBADMSG, BN_REASON_STATE,
				 "%s/%s is a symbolic link, and no definition of a network; remove "
				 "it",
				 directory, name);
	if (fd < 0 || fstat(fd, &status) < 0)
		return file_error(directory, name, "read", errno, error);
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX)
		return error_set(error, -EBADMSG, BN_REASON_STATE,
				 "%s/%s is no definition of a network; remove it", directory, name);
	if ((status.st_uid != geteuid() && status.st_uid != 0) || (status.st_mode & 022))
		return error_set(error, -EACCES, BN_REASON_STATE,
				 "%s/%s is another user's, or others can write it; remove it, or "
				 "make it your own, mode 0600",
				 directory, name);
	text = malloc((size_t)status.st_size + 1);
	if (!text)
		return error_oom(error);
	len = read(fd, text, (size_t)status.st_size);
	if (len < 0)
		return file_error(directory, name, "read", errno, error);
	text[len] = '\0';
	/* behind a NUL nothing is read */
	if (strlen(text) != (size_t)len)
		text[0] = '\0';
	*ret_text = TAKE_POINTER(text);
	return 0;
}

static int read_definition(const struct place *place, const char *directory, const char *name,
			   struct network *ret_network, struct error *error)
{
	CLEANUP_FREE char *text = NULL;
	struct error why = { 0 };
	file_name own;
	int r = read_text(place, directory, name, &text, error);

	if (r < 0)
		return r;
	r = definition_parse(text, ret_network, &why);
	if (r == -ENOMEM)
		return error_oom(error);
	if (r == 0) {
		name_file(ret_network->name, own);
		if (strcmp(own, name) == 0 &&
		    string_copy(ret_network->persistent, sizeof(ret_network->persistent),
				directory) == 0)
			return 0;
		network_clear(ret_network);
		error_set(&why, -EBADMSG, BN_REASON_STATE, "it is of another network");
	}
	return error_set(error, -EBADMSG, BN_REASON_STATE,
			 "%s/%s is damaged, or no definition of a network (%.200s); repair or "
			 "remove it",
			 directory, name, why.message);
}

int definition_read(const char *directory, const char *network, struct network *ret_network,
		    struct error *error)
{
	CLEANUP(place_close) struct place place = { .fd = -1 };
	file_name name;
	int r = place_open(directory, false, &place, error);

	if (r <= 0)
		return r;
	if (strlen(network) > NETWORK_NAME_MAX || strchr(network, '/'))
		return 0;
	name_file(network, name);
	if (faccessat(place.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = read_definition(&place, directory, name, ret_network, error);
	return r < 0 ? r : 1;
}

static bool is_definition(const char *name)
{
	size_t len = strlen(name), suffix = sizeof(SUFFIX) - 1;

	return name[0] != '.' && len > suffix && len < sizeof(file_name) &&
	       strcmp(name + len - suffix, SUFFIX) == 0;
}

int definitions_read(const char *directory, network_vector *networks,
		     void (*complain)(void *userdata, const struct error *error), void *userdata,
		     struct error *error)
{
	CLEANUP(place_close) struct place place = { .fd = -1 };
	const struct dirent *entry;
	struct network network;
	struct error why;
	int fd, r = place_open(directory, false, &place, error);
	DIR *list;

	if (r <= 0)
		return r;
	fd = openat(place.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		r = file_error(directory, "", "list", errno, error);
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r >= 0 && (entry = readdir(list))) {
		if (!is_definition(entry->d_name))
			continue;
		network = (struct network){ 0 };
		why = (struct error){ 0 };
		if (vector_reserve(networks, 1) < 0)
			r = error_oom(error);
		else if (read_definition(&place, directory, entry->d_name, &network, &why) < 0)
			complain(userdata, &why);
		else
			networks->items[networks->len++] = network;
	}
	closedir(list);
	return r;
}

/* ---- remove ---- */

int definition_remove(const char *directory, const struct network *network, struct error *error)
{
	CLEANUP(place_close) struct place place = { .fd = -1 };
	CLEANUP(network_clear) struct network found = { 0 };
	struct error why = { 0 };
	file_name name, temporary;
	int r = place_open(directory, false, &place, error);

	if (r <= 0)
		return r;
	name_file(network->name, name);
	name_temporary(network->name, temporary);
	unlinkat(place.fd, temporary, 0);
	/* another network of that name may have been made since, by another state */
	if (read_definition(&place, directory, name, &found, &why) == 0 &&
	    strcmp(found.id, network->id) != 0)
		return 0;
	if (unlinkat(place.fd, name, 0) < 0 && errno != ENOENT)
		return file_error(directory, name, "remove", errno, error);
	r = sync_directory(&place);
	return r < 0 ? file_error(directory, name, "remove", -r, error) : 0;
}
