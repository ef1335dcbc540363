/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Key/value options: the table of known keys, and a sorted list of what was given. */
#ifndef BN_MODEL_OPTIONS_H
#define BN_MODEL_OPTIONS_H

#include "base/error.h"
#include "base/vector.h"

enum option_scope { OPTION_NETWORK, OPTION_ENDPOINT, OPTION_CONTEXT };

struct option {
	char *key;
	char *value;
};

struct options {
	struct option *items;
	size_t len, capacity;
};

/* Set or replace. -EINVAL for a key or value with a control character, -ENOMEM. No look at the
 * table: that is options_check(). */
int options_set(struct options *options, const char *key, const char *value);
const char *options_get(const struct options *options, const char *key); /* NULL if unset */
int options_copy(struct options *dst, const struct options *src);
void options_clear(struct options *options);

/* Every key must be in the table for that scope ("label.NAME", for endpoints "hostname") and
 * its value legal. -ENOTSUP with BN_REASON_OPTION_UNKNOWN, or -EINVAL. */
int options_check(const struct options *options, enum option_scope scope, struct error *error);

/* One line "key=value\n" each, and back; what the store keeps. NULL text is the empty list. */
int options_serialize(const struct options *options, char **ret_text);
int options_parse(const char *text, struct options *ret_options);

#endif
