/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The types of options' values. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "model/names.h"
#include "model/option_table.h"
#include "model/pool.h"

#define HOSTNAME_MAX 63
#define PATH_SIZE 4096
/* Of one list; a value of that length is a file's business. */
#define LIST_LEN_MAX 4096

static int decide_word(const struct known_option *known, const char *value, void *field)
{
	for (uint8_t i = 0; known->words[i]; i++) {
		if (strcmp(known->words[i], value) != 0)
			continue;
		*(uint8_t *)field = i;
		return 0;
	}
	return -EINVAL;
}
const struct option_type option_word = { "word", NULL, decide_word };

/* Decimal digits, and no more of them than are needed. */
static int parse_digits(const char *value, size_t len, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (len == 0 || len > 18 || (len > 1 && value[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		number = number * 10 + (uint64_t)(value[i] - '0');
	}
	*ret_number = number;
	return 0;
}

static int decide_number(const struct known_option *known, const char *value, void *field)
{
	uint64_t number;
	uint32_t word;

	if (parse_digits(value, strlen(value), &number) < 0 || number < known->first ||
	    number > known->last)
		return -EINVAL;
	word = (uint32_t)number;
	memcpy(field, &word, sizeof(word));
	return 0;
}
const struct option_type option_number = { "number", NULL, decide_number };

static int decide_integer(const struct known_option *known, const char *value, void *field)
{
	bool negative = value[0] == '-';
	uint64_t number;
	int32_t integer;

	(void)known;
	if (parse_digits(value + negative, strlen(value + negative), &number) < 0 ||
	    number > (uint64_t)INT32_MAX + negative || (negative && number == 0))
		return -EINVAL;
	integer = (int32_t)(negative ? -(int64_t)number : (int64_t)number);
	memcpy(field, &integer, sizeof(integer));
	return 0;
}
const struct option_type option_integer = { "integer",
					    "a whole number from -2147483648 to 2147483647",
					    decide_integer };

/* A number and a letter for how many of that. */
static int parse_scaled(const char *value, const char *letters, uint64_t step, uint64_t *ret_number)
{
	size_t len = strlen(value);
	const char *letter = len ? strchr(letters, value[len - 1]) : NULL;
	uint64_t number, factor = 1;

	if (parse_digits(value, len - (letter != NULL), &number) < 0 || number == 0)
		return -EINVAL;
	for (const char *at = letters; letter && at <= letter; at++)
		factor *= step;
	return __builtin_mul_overflow(number, factor, ret_number) ? -EINVAL : 0;
}

/* Below, not one full packet a second would pass; above, the kernel's words for it end. */
#define RATE_MIN 1000ULL
#define RATE_MAX 1000000000000ULL
static int decide_rate(const struct known_option *known, const char *value, void *field)
{
	uint64_t number;

	(void)known;
	if (parse_scaled(value, "kMG", 1000, &number) < 0 || number < RATE_MIN || number > RATE_MAX)
		return -EINVAL;
	memcpy(field, &number, sizeof(number));
	return 0;
}
const struct option_type option_rate = {
	"rate", "bits a second, 1000 to 1000G, such as 20M (with k, M or G, of 1000)", decide_rate
};

#define BURST_MIN 2048ULL
#define BURST_MAX (1ULL << 30)
static int decide_bytes(const struct known_option *known, const char *value, void *field)
{
	uint64_t number;

	(void)known;
	if (parse_scaled(value, "kM", 1024, &number) < 0 || number < BURST_MIN ||
	    number > BURST_MAX)
		return -EINVAL;
	memcpy(field, &number, sizeof(number));
	return 0;
}
const struct option_type option_bytes = {
	"bytes", "a number of bytes, 2k to 1024M, such as 64k (with k or M, of 1024)", decide_bytes
};

/* ---- addresses ---- */

static int decide_address(const struct known_option *known, const char *value, void *field)
{
	struct addr addr;

	if (addr_parse(value, &addr) < 0 || (known->family && addr.family != known->family))
		return -EINVAL;
	memcpy(field, &addr, sizeof(addr));
	return 0;
}
const struct option_type option_address = { "address", NULL, decide_address };

/* A network, or one address. */
static int parse_network(const char *text, struct prefix *prefix)
{
	struct addr addr;

	if (addr_parse(text, &addr) >= 0) {
		*prefix = (struct prefix){ addr, (uint8_t)(addr_size(addr.family) * 8) };
		return 0;
	}
	return prefix_parse(text, prefix) < 0 || !prefix_is_masked(prefix) ? -EINVAL : 0;
}

/* In its place, if it is not there yet. */
static int insert_prefix(prefix_vector *list, const struct prefix *prefix)
{
	size_t at = list->len;

	while (at > 0 && prefix_compare(&list->items[at - 1], prefix) >= 0)
		at--;
	if (at < list->len && prefix_compare(&list->items[at], prefix) == 0)
		return 0;
	if (vector_reserve(list, 1) < 0)
		return -ENOMEM;
	memmove(&list->items[at + 1], &list->items[at], (list->len - at) * sizeof(*list->items));
	list->items[at] = *prefix;
	list->len++;
	return 0;
}

typedef int (*item_fn)(const struct known_option *known, const char *item, void *field);

/* Each of what commas part. */
static int each_item(const struct known_option *known, const char *value, item_fn add, void *field)
{
	char item[PREFIX_TEXT_MAX + 8];
	size_t count = 0;
	int r = 0;

	for (const char *at = value; r == 0;) {
		size_t len = strcspn(at, ",");

		if (len == 0 || len >= sizeof(item) || ++count > LIST_LEN_MAX)
			return -EINVAL;
		memcpy(item, at, len);
		item[len] = '\0';
		r = add(known, item, field);
		if (!at[len])
			break;
		at += len + 1;
	}
	return r;
}

static int add_prefix(const struct known_option *known, const char *item, void *field)
{
	struct prefix prefix;

	(void)known;
	return parse_network(item, &prefix) < 0 ? -EINVAL : insert_prefix(field, &prefix);
}

static int decide_prefixes(const struct known_option *known, const char *value, void *field)
{
	return each_item(known, value, add_prefix, field);
}
const struct option_type option_prefixes = {
	"CIDRs", "networks as ADDRESS/LENGTH without host bits, or addresses, parted by commas",
	decide_prefixes
};

static int add_address(const struct known_option *known, const char *item, void *field)
{
	addr_vector *list = field;
	struct addr addr;

	(void)known;
	return addr_parse(item, &addr) < 0 ? -EINVAL : vector_append(list, addr);
}

static int decide_addresses(const struct known_option *known, const char *value, void *field)
{
	return each_item(known, value, add_address, field);
}
const struct option_type option_addresses = { "addresses", "addresses parted by commas",
					      decide_addresses };

/* ---- names ---- */

static int decide_interface(const struct known_option *known, const char *value, void *field)
{
	(void)known;
	if (interface_name_check(value, NULL) < 0)
		return -EINVAL;
	string_copy(field, IFNAMSIZ, value);
	return 0;
}
const struct option_type option_interface = { "interface name",
					      "the name of an interface, 15 bytes at most",
					      decide_interface };

static int add_interface(interface_vector *list, const char *name)
{
	struct interface_name *slot;

	if (interface_name_check(name, NULL) < 0)
		return -EINVAL;
	for (size_t i = 0; i < list->len; i++)
		if (strcmp(list->items[i].text, name) == 0)
			return 0;
	slot = vector_push(list);
	if (!slot)
		return -ENOMEM;
	string_copy(slot->text, sizeof(slot->text), name);
	return 0;
}

/* The field is that of the prefixes; that of the interfaces is in the same policy. */
static int add_trusted(const struct known_option *known, const char *item, void *field)
{
	struct network_policy *policy =
		(void *)((uint8_t *)field - offsetof(struct network_policy, trusted));
	struct prefix prefix;

	(void)known;
	return parse_network(item, &prefix) >= 0 ? insert_prefix(&policy->trusted, &prefix) :
						   add_interface(&policy->trusted_interfaces, item);
}

static int decide_trusted(const struct known_option *known, const char *value, void *field)
{
	return each_item(known, value, add_trusted, field);
}
const struct option_type option_trusted = {
	"interfaces and CIDRs",
	"names of interfaces and networks as ADDRESS/LENGTH, parted by "
	"commas",
	decide_trusted
};

static int decide_host_name(const struct known_option *known, const char *value, void *field)
{
	static const char letters_and_digits[] = "abcdefghijklmnopqrstuvwxyz"
						 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	const char *label = value;

	(void)known;
	(void)field;
	if (strlen(value) > HOSTNAME_MAX)
		return -EINVAL;
	for (;;) {
		size_t len = strcspn(label, ".");

		if (len == 0 || label[0] == '-' || label[len - 1] == '-')
			return -EINVAL;
		for (size_t i = 0; i < len; i++) {
			if (label[i] != '-' && !strchr(letters_and_digits, label[i]))
				return -EINVAL;
		}
		if (!label[len])
			return 0;
		label += len + 1;
	}
}
const struct option_type option_host_name = {
	"host name",
	"a host name: letters, digits and '-' in parts joined by '.', 63 bytes at most",
	decide_host_name
};

static int decide_path(const struct known_option *known, const char *value, void *field)
{
	(void)known;
	(void)field;
	return value[0] == '/' && strlen(value) < PATH_SIZE ? 0 : -EINVAL;
}
const struct option_type option_path = { "path", "an absolute path", decide_path };

static int decide_path_or_none(const struct known_option *known, const char *value, void *field)
{
	return value[0] ? decide_path(known, value, field) : 0;
}
const struct option_type option_path_or_none = { "path", "an absolute path, or nothing",
						 decide_path_or_none };

static int decide_empty(const struct known_option *known, const char *value, void *field)
{
	(void)known;
	(void)field;
	return value[0] ? -EINVAL : 0;
}
const struct option_type option_empty = { "nothing", "nothing: the key says it all", decide_empty };

const struct option_type option_text = { "text", "any text", NULL };

/* ---- of a context ---- */

static int add_pool(const struct known_option *known, const char *item, void *field)
{
	subnet_pool_vector *list = field;
	struct subnet_pool pool;

	(void)known;
	return pool_parse(item, &pool, NULL) < 0 ? -EINVAL : vector_append(list, pool);
}

static int decide_pools(const struct known_option *known, const char *value, void *field)
{
	subnet_pool_vector pools = { 0 }, *list = field;
	int r = each_item(known, value, add_pool, &pools);

	if (r < 0) {
		free(pools.items);
		return r;
	}
	/* a context's options are set one at a time, and again */
	free(list->items);
	*list = pools;
	return 0;
}
const struct option_type option_pools = {
	"pools", "pools as ADDRESS/LENGTH:LENGTH, such as 10.0.0.0/8:24, parted by commas",
	decide_pools
};

static int decide_network_option(const struct known_option *known, const char *value, void *field)
{
	(void)known;
	(void)value;
	(void)field;
	return 0;
}
/* The value is judged as that of the option that it is the default of: options_check(). */
const struct option_type option_network_option = { "network option", "a value of that option",
						   decide_network_option };

/* ---- in words ---- */

void option_legal(const struct known_option *known, char text[static OPTION_LEGAL_MAX])
{
	size_t len = 0;

	text[0] = '\0';
	if (known->type->legal) {
		string_copy(text, OPTION_LEGAL_MAX, known->type->legal);
	} else if (known->type == &option_number) {
		snprintf(text, OPTION_LEGAL_MAX, "a number from %u to %u", known->first,
			 known->last);
	} else if (known->type == &option_address) {
		snprintf(text, OPTION_LEGAL_MAX, "an%s address",
			 known->family == AF_INET  ? " IPv4" :
			 known->family == AF_INET6 ? " IPv6" :
						     "");
	} else {
		for (size_t i = 0; known->words[i]; i++)
			len += (size_t)snprintf(text + len, OPTION_LEGAL_MAX - len, "%s%s",
						i ? " or " : "", known->words[i]);
	}
}

void option_default(const struct known_option *known, char text[static OPTION_LEGAL_MAX])
{
	if (known->default_)
		string_copy(text, OPTION_LEGAL_MAX, known->default_);
	else if (known->type == &option_number)
		snprintf(text, OPTION_LEGAL_MAX, "%u", known->number);
	else
		string_copy(text, OPTION_LEGAL_MAX, known->words ? known->words[0] : "");
}
