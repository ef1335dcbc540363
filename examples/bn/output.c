/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bn.h"

_Noreturn void out_of_memory(void)
{
	fputs("bn: out of memory\n", stderr);
	exit(EXIT_FAILURE);
}

/* The length of the UTF-8 sequence at text, 0 if it is none. */
static size_t utf8_decode(const unsigned char *text, uint32_t *ret_code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code = *text;
	size_t len = code < 0x80       ? 1 :
		     code >> 5 == 0x6  ? 2 :
		     code >> 4 == 0xe  ? 3 :
		     code >> 3 == 0x1e ? 4 :
					 0;

	if (len > 1)
		code &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++) {
		if (text[i] >> 6 != 0x2)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if (len && (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)))
		return 0;
	*ret_code = code;
	return len;
}

/* Control characters, and those that turn the direction of the text around them. */
static bool code_is_safe(uint32_t code)
{
	return code >= 0x20 && !(code >= 0x7f && code < 0xa0) &&
	       !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069) &&
	       code != 0x200e && code != 0x200f;
}

/* Room for that many more characters and a NUL. */
static char *text_room(struct text *text, size_t more)
{
	size_t needed = text->len + more + 1;
	char *chars;

	if (needed > text->capacity) {
		needed += needed / 2;
		chars = realloc(text->chars, needed);
		if (!chars)
			out_of_memory();
		text->chars = chars;
		text->capacity = needed;
	}
	return text->chars + text->len;
}

void text_clear(struct text *text)
{
	text->len = 0;
	*text_room(text, 0) = '\0';
}

void text_add(struct text *text, const char *more)
{
	size_t len = strlen(more);

	memcpy(text_room(text, len), more, len + 1);
	text->len += len;
}

static void text_add_safe(struct text *text, const char *more)
{
	const unsigned char *in = (const unsigned char *)more;
	char *out = text_room(text, strlen(more) * 4);
	uint32_t code;

	while (*in) {
		size_t len = utf8_decode(in, &code);
		bool good = len && code_is_safe(code);

		for (size_t i = 0; i < (len ? len : 1); i++, in++) {
			if (good)
				*out++ = (char)*in;
			else
				out += sprintf(out, "\\x%02x", *in);
		}
	}
	*out = '\0';
	text->len = (size_t)(out - text->chars);
}

char *safe_text(const char *text)
{
	struct text safe = { 0 };

	text_add_safe(&safe, text);
	return safe.chars;
}

void print_json_text(const char *text, const char *margin)
{
	const char *from = text;
	uint32_t code = 0;

	while (*text) {
		size_t len = utf8_decode((const unsigned char *)text, &code);

		/* what is below it the encoder has escaped, or made for the layout */
		if (code >= 0x7f && !code_is_safe(code)) {
			printf("%.*s\\u%04" PRIx32, (int)(text - from), from, code);
			from = text + len;
		}
		text += len ? len : 1;
		if (text[-1] == '\n') {
			printf("%.*s%s", (int)(text - from), from, margin);
			from = text;
		}
	}
	fputs(from, stdout);
}

void table_add(struct table *table, const char *text)
{
	size_t column = table->cell_count++ % table->column_count;
	size_t before = table->cells.len, width;

	text_add_safe(&table->cells, text);
	width = table->cells.len++ - before;
	if (table->widths[column] < width)
		table->widths[column] = width;
}

void table_add_number(struct table *table, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	table_add(table, text);
}

static void print_blanks(size_t count)
{
	while (count-- > 0)
		putchar_unlocked(' ');
}

/* Blanks are owed, and paid only when something follows: no line ends in blanks. */
static void print_cell(const struct table *table, size_t column, const char *text, size_t *owed)
{
	size_t len = strlen(text), blanks = table->widths[column] - len;

	if (table->columns[column].right) {
		*owed += blanks;
		blanks = 0;
	}
	if (len) {
		print_blanks(*owed);
		fwrite_unlocked(text, 1, len, stdout);
		*owed = 0;
	}
	*owed += blanks + table->gap;
}

static void print_titles(struct table *table)
{
	size_t owed = 0;

	for (size_t i = 0; i < table->column_count; i++) {
		const struct column *column = &table->columns[i];
		size_t least = strlen(column->title);

		if (least < column->min_width)
			least = column->min_width;
		if (table->widths[i] < least)
			table->widths[i] = least;
		print_cell(table, i, column->title, &owed);
	}
	putchar('\n');
}

void table_print(struct table *table)
{
	const char *text = table->cells.chars;
	size_t owed = 0;

	print_titles(table);
	for (size_t i = 0; i < table->cell_count; i++, text += strlen(text) + 1) {
		size_t column = i % table->column_count;

		print_cell(table, column, text, &owed);
		if (column + 1 < table->column_count)
			continue;
		putchar('\n');
		owed = 0;
	}
	free(table->cells.chars);
	table->cells = (struct text){ 0 };
	table->cell_count = 0;
}

void print_line(const char *text)
{
	char *safe = safe_text(text);

	printf("%s\n", safe);
	free(safe);
}

void print_field(const char *name, const char *value)
{
	char *safe = safe_text(value);

	printf("%-12s %s\n", name, safe);
	free(safe);
}

void print_option(const char *key, const char *value)
{
	char *text;

	if (asprintf(&text, "%s=%s", key, value) < 0)
		out_of_memory();
	print_field("Option:", text);
	free(text);
}

void print_interface(const bn_interface *interface_)
{
	char *name = safe_text(bn_interface_name(interface_));

	printf("%s: flags=%" PRIu32 "<%s>  mtu %" PRIu32 "  index %" PRIu32 "\n", name,
	       bn_interface_flags(interface_), bn_interface_flags_text(interface_),
	       bn_interface_mtu(interface_), bn_interface_index(interface_));
	free(name);
	for (size_t i = 0; i < bn_interface_address_count(interface_); i++) {
		const char *address = bn_interface_address_at(interface_, i);

		printf("        %s %s\n", strchr(address, ':') ? "inet6" : "inet", address);
	}
	printf("        ether %s\n"
	       "        RX packets %" PRIu64 "  bytes %" PRIu64 "  errors %" PRIu64
	       "  dropped %" PRIu64 "\n"
	       "        TX packets %" PRIu64 "  bytes %" PRIu64 "  errors %" PRIu64
	       "  dropped %" PRIu64 "\n",
	       bn_interface_mac(interface_), bn_interface_rx_packets(interface_),
	       bn_interface_rx_bytes(interface_), bn_interface_rx_errors(interface_),
	       bn_interface_rx_dropped(interface_), bn_interface_tx_packets(interface_),
	       bn_interface_tx_bytes(interface_), bn_interface_tx_errors(interface_),
	       bn_interface_tx_dropped(interface_));
}
