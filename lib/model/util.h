/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_MODEL_UTIL_H
#define BN_MODEL_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define CLEANUP(function) __attribute__((cleanup(function)))
#define PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}
#define CLEANUP_FREE CLEANUP(cleanup_free)

void cleanup_close(int *fd);
#define CLEANUP_CLOSE CLEANUP(cleanup_close)

/* Hand the value over and forget it, so that its cleanup does nothing. */
#define TAKE_POINTER(pointer) \
	({ __typeof__(pointer) taken_ = (pointer); (pointer) = NULL; taken_; })
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/*
 * A growing array: struct { T *items; size_t len, capacity; }. vector_reserve() makes room for
 * `more` items and returns 0 or -ENOMEM; vector_push() returns the new zeroed item or NULL.
 */
#define VECTOR(type) struct { type *items; size_t len, capacity; }
int vector_grow(void **items, size_t *capacity, size_t len, size_t more, size_t size);
#define vector_reserve(vector, more) \
	vector_grow((void **)&(vector)->items, &(vector)->capacity, (vector)->len, (more), \
		    sizeof(*(vector)->items))
#define vector_push(vector) \
	(vector_reserve((vector), 1) < 0 ? NULL : \
	 (__typeof__((vector)->items))memset(&(vector)->items[(vector)->len++], 0, \
					     sizeof(*(vector)->items)))

/* Copy as much as fits, always ended; 0, or -ENAMETOOLONG when it did not fit (dst is then ""). */
int string_copy(char *dst, size_t size, const char *src);

/* FNV-1a, for names and tables, not against an enemy: begin with HASH_START, go on with a
 * result. */
#define HASH_START 0xcbf29ce484222325u
uint64_t hash_text(uint64_t hash, const char *text);

/* Milliseconds of CLOCK_MONOTONIC at which a call must end; 0 for never. */
typedef uint64_t deadline_ms;

#endif
