/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/inotify.h>

#include "store/private.h"

/* Each commit writes the file of the generation, and what replaces files changes the directory. */
#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define DIRECTORY_EVENTS \
	(IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

int store_watch(const struct store *store, int inotify, struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	int r = 0;

	/* nothing is there to be watched, and nothing is made by who may not */
	if (!store->place.path || store->generation_fd < 0)
		return 0;
	path = place_path(&store->place, PLACE_GENERATION);
	if (!path)
		return error_oom(error);
	if (inotify_add_watch(inotify, store->place.path, DIRECTORY_EVENTS) < 0 ||
	    inotify_add_watch(inotify, path, FILE_EVENTS) < 0)
		r = -errno;
	/* it was removed just now: the next call makes it anew */
	if (r == 0 || r == -ENOENT)
		return 0;
	return error_set(error, r, BN_REASON_KERNEL, "cannot watch the state in %s: %s%s",
			 store->directory, errno_text(-r),
			 r == -ENOSPC ? "; raise fs.inotify.max_user_watches" : "");
}
