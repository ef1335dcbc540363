/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A growing array: struct { T *items; size_t len, capacity; }. vector_reserve() makes room for
 * `more` items and returns 0 or -ENOMEM, as does vector_append(), which adds a value; vector_push()
 * returns the new zeroed item or NULL.
 */
#ifndef BN_BASE_VECTOR_H
#define BN_BASE_VECTOR_H

#include <string.h>

#include "base/macro.h"

#define VECTOR(type)                  \
	struct {                      \
		type *items;          \
		size_t len, capacity; \
	}
#define vector_reserve(vector, more)                                                       \
	vector_grow((void **)&(vector)->items, &(vector)->capacity, (vector)->len, (more), \
		    sizeof(*(vector)->items))
#define vector_push(vector)                                                                \
	(vector_reserve((vector), 1) < 0 ?                                                 \
		 NULL :                                                                    \
		 (__typeof__((vector)->items))memset(&(vector)->items[(vector)->len++], 0, \
						     sizeof(*(vector)->items)))

#define vector_append(vector, value)                                \
	({                                                          \
		int appended_ = vector_reserve((vector), 1);        \
		if (appended_ == 0)                                 \
			(vector)->items[(vector)->len++] = (value); \
		appended_;                                          \
	})
/* Of items that own nothing: the pointer to them comes first. */
#define CLEANUP_VECTOR CLEANUP(cleanup_free)

int vector_grow(void **items, size_t *capacity, size_t len, size_t more, size_t size);

#endif
