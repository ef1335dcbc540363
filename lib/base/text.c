/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vector.h"

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

char *number_format(uint32_t number, char *text)
{
	char digits[10];
	size_t len = 0;

	do
		digits[len++] = (char)('0' + number % 10);
	while (number /= 10);
	while (len > 0)
		*text++ = digits[--len];
	*text = '\0';
	return text;
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3u;
	return hash;
}

uint64_t hash_text(uint64_t hash, const char *text)
{
	return hash_bytes(hash, text, strlen(text));
}

void text_put(struct text_buffer *text, const char *more)
{
	size_t len = strlen(more);

	if (text->failed || vector_reserve(text, len + 1) < 0) {
		text->failed = true;
		return;
	}
	memcpy(text->items + text->len, more, len + 1);
	text->len += len;
}

int text_end(struct text_buffer *text, char **ret_text)
{
	/* nothing was put yet */
	if (!text->items)
		text_put(text, "");
	if (text->failed) {
		free(text->items);
		return -ENOMEM;
	}
	*ret_text = text->items;
	return 0;
}
