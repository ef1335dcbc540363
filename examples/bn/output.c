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

char *safe_text(const char *text)
{
	const unsigned char *in = (const unsigned char *)text;
	char *safe = malloc(strlen(text) * 4 + 1), *out = safe;
	uint32_t code;

	if (!safe)
		out_of_memory();
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
	return safe;
}

void print_json_text(const char *text)
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
	}
	fputs(from, stdout);
}

void table_add(struct table *table, const char *text)
{
	if (table->cell_count == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 64;
		char **cells = reallocarray(table->cells, capacity, sizeof(*cells));

		if (!cells)
			out_of_memory();
		table->cells = cells;
		table->capacity = capacity;
	}
	table->cells[table->cell_count++] = safe_text(text);
}

void table_add_number(struct table *table, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	table_add(table, text);
}

static int column_width(const struct table *table, size_t column)
{
	size_t width = strlen(table->columns[column].title);

	if (width < (size_t)table->columns[column].min_width)
		width = (size_t)table->columns[column].min_width;
	for (size_t i = column; i < table->cell_count; i += table->column_count)
		if (strlen(table->cells[i]) > width)
			width = strlen(table->cells[i]);
	return (int)width;
}

static const char *table_cell(const struct table *table, size_t row, size_t column)
{
	if (row == 0)
		return table->columns[column].title;
	return table->cells[(row - 1) * table->column_count + column];
}

/* Blanks are owed, and paid only when something follows: no line ends in blanks. */
static void print_row(const struct table *table, const int *widths, size_t row)
{
	int owed = 0;

	for (size_t column = 0; column < table->column_count; column++) {
		const char *text = table_cell(table, row, column);
		int blanks = widths[column] - (int)strlen(text);

		if (table->columns[column].right) {
			owed += blanks;
			blanks = 0;
		}
		if (*text) {
			printf("%*s%s", owed, "", text);
			owed = 0;
		}
		owed += blanks + table->gap;
	}
	putchar('\n');
}

void table_print(struct table *table)
{
	size_t rows = table->cell_count / table->column_count + 1;
	int *widths = calloc(table->column_count, sizeof(*widths));

	if (!widths)
		out_of_memory();
	for (size_t column = 0; column < table->column_count; column++)
		widths[column] = column_width(table, column);
	for (size_t row = 0; row < rows; row++)
		print_row(table, widths, row);
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(widths);
	table->cells = NULL;
	table->cell_count = table->capacity = 0;
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
