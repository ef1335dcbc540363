/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#define HOSTNAME_MAX 63

static bool is_host_name(const char *value)
{
	static const char letters_and_digits[] = "abcdefghijklmnopqrstuvwxyz"
						 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	const char *label = value;

	if (strlen(value) > HOSTNAME_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(label, ".");

		if (len == 0 || label[0] == '-' || label[len - 1] == '-')
			return false;
		for (size_t i = 0; i < len; i++) {
			if (label[i] != '-' && !strchr(letters_and_digits, label[i]))
				return false;
		}
		if (!label[len])
			return true;
		label += len + 1;
	}
}

static bool is_path(const char *value)
{
	return value[0] == '/' && strlen(value) < 4096;
}

/* The known keys. A key that ends in '.' stands for all that begin with it and go on. */
struct known_option {
	enum option_scope scope;
	const char *key;
	bool (*is_legal)(const char *value); /* NULL: any value, or one of `words` */
	const char *legal;                   /* for a sentence; NULL: the words */
	const char *const *words;            /* the values of the enum, in its order, and NULL */
	uint32_t first, last;                /* of a number; last 0: it is none */
	uint32_t number;                     /* unless one is given */
	size_t field;                        /* where it goes in the policy */
};

/* clang-format off */
#define WORDS(...) .words = (const char *const[]){ __VA_ARGS__, NULL }
#define NUMBER(from, to, default_) .first = from, .last = to, .number = default_, \
				   .legal = "a number from " #from " to " #to
#define NETWORK(name) .field = offsetof(struct network_policy, name)
#define ENDPOINT(name) .field = offsetof(struct endpoint_policy, name)
#define CONTEXT(name) .field = offsetof(struct context_policy, name)

static const struct known_option known_options[] = {
	{ OPTION_NETWORK, "label.", .is_legal = NULL },
	{ OPTION_NETWORK, "internal", WORDS("no"), NETWORK(internal) },
	{ OPTION_NETWORK, "icc", WORDS("yes"), NETWORK(icc) },
	{ OPTION_NETWORK, "masquerade", WORDS("yes"), NETWORK(masquerade) },
	{ OPTION_NETWORK, "gateway-mode-ipv4", WORDS("nat"), NETWORK(gateway_mode_ipv4) },
	{ OPTION_NETWORK, "gateway-mode-ipv6", WORDS("nat"), NETWORK(gateway_mode_ipv6) },
	{ OPTION_NETWORK, "source-ports", WORDS("random", "keep"), NETWORK(source_ports) },
	{ OPTION_NETWORK, "advertise-count", NUMBER(0, 3, 1), NETWORK(advertise_count) },
	{ OPTION_NETWORK, "advertise-interval-ms", NUMBER(100, 2000, 1000),
	  NETWORK(advertise_interval_ms) },

	{ OPTION_ENDPOINT, "label.", .is_legal = NULL },
	{ OPTION_ENDPOINT, "hostname", .is_legal = is_host_name,
	  .legal = "a host name: letters, digits and '-' in parts joined by '.', 63 bytes at "
		   "most" },
	{ OPTION_ENDPOINT, "default-route", WORDS("yes", "no"), ENDPOINT(default_route) },
	{ OPTION_ENDPOINT, "metric", NUMBER(1, 4294967295, 0), ENDPOINT(metric) },

	{ OPTION_CONTEXT, "iptables.comments", WORDS("no", "yes"), CONTEXT(iptables_comments),
	  .legal = "yes or no" },
	{ OPTION_CONTEXT, "iptables.lock-file", .is_legal = is_path, .legal = "an absolute path" },
	{ OPTION_CONTEXT, "state.take-over", WORDS("no", "if-gone", "yes"), CONTEXT(take_over) },
	{ OPTION_CONTEXT, "sandbox-ipv6", WORDS("off", "leave"), CONTEXT(sandbox_ipv6) },
	{ OPTION_CONTEXT, "forwarding", WORDS("on", "guard", "require"), CONTEXT(forwarding) },
};
/* clang-format on */

static const struct known_option *known_option_find(enum option_scope scope, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_options); i++) {
		const struct known_option *known = &known_options[i];
		size_t len = strlen(known->key);

		if (known->scope != scope)
			continue;
		if (strcmp(known->key, key) == 0 && known->key[len - 1] != '.')
			return known;
		if (known->key[len - 1] == '.' && strncmp(known->key, key, len) == 0 && key[len])
			return known;
	}
	return NULL;
}

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

static const char *const scope_names[] = {
	[OPTION_NETWORK] = "a network",
	[OPTION_ENDPOINT] = "an endpoint",
	[OPTION_PORT] = "a port",
	[OPTION_CONTEXT] = "a context",
};

#define LIST_MAX 300

/* "a, b and c": one more, of which `rest` are still to come. */
static void list_add(char list[static LIST_MAX], const char *word, size_t rest)
{
	size_t len = strlen(list);

	snprintf(list + len, LIST_MAX - len, "%s%s", !len ? "" : rest ? ", " : " and ", word);
}

static int unknown_error(const char *key, enum option_scope scope, struct error *error)
{
	char list[LIST_MAX] = "", name[64];
	size_t rest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(known_options); i++)
		rest += known_options[i].scope == scope;
	for (size_t i = 0; i < ARRAY_SIZE(known_options); i++) {
		const char *known = known_options[i].key;

		if (known_options[i].scope != scope)
			continue;
		snprintf(name, sizeof(name), "%s%s", known,
			 known[strlen(known) - 1] == '.' ? "NAME" : "");
		list_add(list, name, --rest);
	}
	return error_set(error, -ENOTSUP, BN_REASON_OPTION_UNKNOWN,
			 "option '%.80s' is not known for %s; it takes %s", key, scope_names[scope],
			 list);
}

static int value_error(const struct option *option, const struct known_option *known,
		       struct error *error)
{
	char list[LIST_MAX] = "";
	size_t len = 0;

	while (known->words && known->words[len])
		len++;
	for (size_t i = 0; i < len; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? " or " : "",
			 known->words[i]);
	return error_set(error, -EINVAL, BN_REASON_INVALID, "option %s can't be '%.80s'; give %s",
			 option->key, option->value, known->legal ? known->legal : list);
}

/* The value of the enum, -1 for none of them. */
static int find_word(const char *const *words, const char *value)
{
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], value) == 0)
			return i;
	}
	return -1;
}

/* Decimal digits, and no more of them than are needed. */
static int parse_number(const char *value, uint32_t *ret_number)
{
	unsigned long long number = 0;
	size_t len = strlen(value);

	if (len == 0 || len > 10 || (len > 1 && value[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		number = number * 10 + (unsigned long long)(value[i] - '0');
	}
	if (number > UINT32_MAX)
		return -EINVAL;
	*ret_number = (uint32_t)number;
	return 0;
}

/* false if the value is none of those that the option can have. */
static bool decide(const struct known_option *known, const char *value, uint8_t *policy)
{
	uint32_t number;
	int word;

	if (known->is_legal && !known->is_legal(value))
		return false;
	if (known->last) {
		if (parse_number(value, &number) < 0 || number < known->first ||
		    number > known->last)
			return false;
		memcpy(policy + known->field, &number, sizeof(number));
	}
	if (known->words) {
		word = find_word(known->words, value);
		if (word < 0)
			return false;
		policy[known->field] = (uint8_t)word;
	}
	return true;
}

static void set_defaults(const struct options *options, enum option_scope scope, uint8_t *policy)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_options); i++) {
		const struct known_option *known = &known_options[i];

		if (known->scope == scope && known->last && !options_get(options, known->key))
			memcpy(policy + known->field, &known->number, sizeof(known->number));
	}
}

void policy_clear(enum option_scope scope, void *policy)
{
	struct network_policy *network = policy;
	struct endpoint_policy *endpoint = policy;
	struct port_policy *port = policy;
	struct context_policy *context = policy;

	switch (scope) {
	case OPTION_NETWORK:
		free(network->nat_exclude.items);
		free(network->trusted.items);
		free(network->trusted_interfaces.items);
		free(network->dns.items);
		*network = (struct network_policy){ 0 };
		break;
	case OPTION_ENDPOINT:
		free(endpoint->routes_for.items);
		*endpoint = (struct endpoint_policy){ 0 };
		break;
	case OPTION_PORT:
		free(port->allow_from.items);
		free(port->deny_from.items);
		*port = (struct port_policy){ 0 };
		break;
	case OPTION_CONTEXT:
		*context = (struct context_policy){ 0 };
		break;
	}
}

int endpoint_policy_copy(struct endpoint_policy *dst, const struct endpoint_policy *src)
{
	struct endpoint_policy copy = *src;

	copy.routes_for = (prefix_vector){ 0 };
	if (vector_reserve(&copy.routes_for, src->routes_for.len) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < src->routes_for.len; i++)
		copy.routes_for.items[copy.routes_for.len++] = src->routes_for.items[i];
	*dst = copy;
	return 0;
}

int options_check(const struct options *options, enum option_scope scope, void *ret_policy,
		  struct error *error)
{
	/* the context's is set by one option at a time */
	if (scope != OPTION_CONTEXT)
		policy_clear(scope, ret_policy);
	set_defaults(options, scope, ret_policy);
	for (size_t i = 0; i < options->len; i++) {
		const struct option *option = &options->items[i];
		const struct known_option *known = known_option_find(scope, option->key);

		if (!known)
			return unknown_error(option->key, scope, error);
		if (!decide(known, option->value, ret_policy))
			return value_error(option, known, error);
	}
	return 0;
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
