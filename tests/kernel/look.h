/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of look(). */
#ifndef BN_TEST_LOOK_H
#define BN_TEST_LOOK_H

#include <stddef.h>

#define LINES_MAX 4096

struct lines {
	char *at[LINES_MAX];
	size_t len;
};

/* Without what is random. */
void look_add(struct lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Those of the host, and of each sandbox. */
void look_namespaces(struct lines *lines);

#endif
