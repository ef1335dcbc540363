/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/vector.h"

#include <errno.h>
#include <stdint.h>

int vector_grow(void **items, size_t *capacity, size_t len, size_t more, size_t size)
{
	size_t needed, wanted;
	void *grown;

	if (__builtin_add_overflow(len, more, &needed))
		return -ENOMEM;
	if (needed <= *capacity)
		return 0;
	/* Half as much again, so that pushing n items one by one stays linear in n. */
	if (__builtin_add_overflow(needed, needed / 2 + 4, &wanted) || wanted > SIZE_MAX / size)
		return -ENOMEM;
	grown = realloc(*items, wanted * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*capacity = wanted;
	return 0;
}
