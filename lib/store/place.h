/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory of a state: for its owner alone, and the same from one call to the next. */
#ifndef BN_STORE_PLACE_H
#define BN_STORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum place_file {
	PLACE_DATABASE,
	PLACE_JOURNAL,
	PLACE_INDEX, /* of the journal, in shared memory */
	PLACE_LOCKS,
	PLACE_GENERATION,
	PLACE_FILES
};

struct place {
	char *path; /* resolved, for what takes no descriptor */
	int fd;     /* the directory, by O_PATH; -1: none */
	struct place_id {
		uint64_t device, inode; /* inode 0: not there */
	} directory, files[PLACE_FILES];
	/* The directory changed then, which was long before all files were last found in it; 0: not
	 * so. */
	int64_t settled_ns;
};

/* Opens the directory, after making it if that is asked: 1, or 0 if there is none. -EACCES if
 * others could change what is in it: it, or what leads there, is theirs or can be written by
 * them. */
int place_open(const char *directory, bool make, struct place *ret_place, struct error *error);
void place_close(struct place *place);
/* Makes the file where it is missing, and takes it from others' sight. */
int place_secure_file(struct place *place, enum place_file file, struct error *error);
/* The directory, and those files that are there, go from others' sight. */
int place_secure(struct place *place, struct error *error);
/* Not for database files: to close any descriptor of one drops SQLite's locks on it. */
int place_open_file(struct place *place, enum place_file file, int flags, struct error *error);
char *place_path(const struct place *place, enum place_file file); /* NULL: out of memory */
bool place_has(const struct place *place, enum place_file file);
bool place_is_read_only(const struct place *place);
/* What place_is_same() compares with. */
void place_remember(struct place *place);
/* Are the directory and the first so many files still what was opened? */
bool place_is_same(struct place *place, enum place_file end);

/* Was nothing in the directory touched, nor that renamed or removed, since place_is_same() last
 * found everything there? Asks less, and not what leads there. False where that is not known. */
bool place_is_untouched(const struct place *place);

#endif
