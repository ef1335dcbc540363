/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/options.h"

#include <errno.h>

static bool has_control_character(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

/* Where the key is, or where it belongs. */
static size_t option_position(const struct options *options, const char *key, bool *ret_found)
{
	size_t first = 0, end = options->len;

	*ret_found = false;
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		int order = strcmp(options->items[middle].key, key);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

int options_set(struct options *options, const char *key, const char *value)
{
	CLEANUP_FREE char *key_copy = NULL, *value_copy = NULL;
	size_t position;
	bool found;

	/* '=' ends the key in the serialized form. */
	if (!key || !value || !key[0] || strchr(key, '=') || has_control_character(key) ||
	    has_control_character(value))
		return -EINVAL;
	value_copy = strdup(value);
	if (!value_copy)
		return -ENOMEM;
	position = option_position(options, key, &found);
	if (found) {
		free(options->items[position].value);
		options->items[position].value = TAKE_POINTER(value_copy);
		return 0;
	}
	key_copy = strdup(key);
	if (!key_copy || vector_reserve(options, 1) < 0)
		return -ENOMEM;
	memmove(&options->items[position + 1], &options->items[position],
		(options->len - position) * sizeof(*options->items));
	options->items[position].key = TAKE_POINTER(key_copy);
	options->items[position].value = TAKE_POINTER(value_copy);
	options->len++;
	return 0;
}

const char *options_get(const struct options *options, const char *key)
{
	bool found;
	size_t position = option_position(options, key, &found);

	return found ? options->items[position].value : NULL;
}

char *options_take(struct options *options, const char *key)
{
	bool found;
	size_t position = option_position(options, key, &found);
	char *value;

	if (!found)
		return NULL;
	value = options->items[position].value;
	free(options->items[position].key);
	options->len--;
	memmove(&options->items[position], &options->items[position + 1],
		(options->len - position) * sizeof(*options->items));
	return value;
}

int options_copy(struct options *dst, const struct options *src)
{
	struct options copy = { 0 };

	for (size_t i = 0; i < src->len; i++) {
		int r = options_set(&copy, src->items[i].key, src->items[i].value);

		if (r < 0) {
			options_clear(&copy);
			return r;
		}
	}
	*dst = copy;
	return 0;
}

void options_clear(struct options *options)
{
	for (size_t i = 0; i < options->len; i++) {
		free(options->items[i].key);
		free(options->items[i].value);
	}
	free(options->items);
	*options = (struct options){ 0 };
}

int options_serialize(const struct options *options, char **ret_text)
{
	size_t size = 1;
	char *text, *end;

	for (size_t i = 0; i < options->len; i++)
		size += strlen(options->items[i].key) + strlen(options->items[i].value) + 2;
	text = malloc(size);
	if (!text)
		return -ENOMEM;
	end = text;
	for (size_t i = 0; i < options->len; i++) {
		end = stpcpy(end, options->items[i].key);
		*end++ = '=';
		end = stpcpy(end, options->items[i].value);
		*end++ = '\n';
	}
	*end = '\0';
	*ret_text = text;
	return 0;
}

/* Set "key=value"; the line is cut up. */
static int options_parse_line(char *line, struct options *options)
{
	char *equals = strchr(line, '=');

	if (!equals)
		return -EINVAL;
	*equals = '\0';
	return options_set(options, line, equals + 1);
}

int options_parse(const char *text, struct options *ret_options)
{
	struct options options = { 0 };
	CLEANUP_FREE char *copy = strdup(text ? text : "");
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *line = copy, *end; r == 0 && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end) {
			r = -EINVAL;
			break;
		}
		*end = '\0';
		r = options_parse_line(line, &options);
	}
	if (r < 0) {
		options_clear(&options);
		return r;
	}
	*ret_options = options;
	return 0;
}
