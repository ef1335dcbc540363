/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/util.h"

#include <errno.h>
#include <unistd.h>

void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

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

int string_copy(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);

	if (len >= size) {
		dst[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(dst, src, len + 1);
	return 0;
}

uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}
