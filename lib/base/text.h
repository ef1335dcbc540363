/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_BASE_TEXT_H
#define BN_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All of it, always ended; 0, or -ENAMETOOLONG when it does not fit (dst is then ""). */
int string_copy(char *dst, size_t size, const char *src);

/* In decimal digits, ended; there is room for it. The end is returned, as of stpcpy(). */
char *number_format(uint32_t number, char *text);

/* A text that grows: begin with { 0 }. */
struct text_buffer {
	char *items;
	size_t len, capacity;
	bool failed; /* for want of memory: then all of it is */
};
void text_put(struct text_buffer *text, const char *more);
/* What was put, the caller's to free. 0, -ENOMEM */
int text_end(struct text_buffer *text, char **ret_text);

/* FNV-1a, for names and tables, not against an enemy: begin with HASH_START, go on with a
 * result. */
#define HASH_START 0xcbf29ce484222325u
uint64_t hash_text(uint64_t hash, const char *text);
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len);

#endif
