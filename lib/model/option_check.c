/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the options that were given decide. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/option_table.h"

/* ---- policies ---- */

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
		free(context->pools.items);
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

/* ---- sentences ---- */

/* How many letters have to be changed, added or left out to make the one of the other. */
#define KEY_MAX 64
static size_t distance(const char *a, const char *b)
{
	size_t row[KEY_MAX + 1], len = strlen(b);

	if (strlen(a) > KEY_MAX || len > KEY_MAX)
		return KEY_MAX;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t before = row[0]; /* of the row above, one to the left */

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t changed = before + (a[i - 1] != b[j - 1]);
			size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			before = row[j];
			row[j] = changed < shorter ? changed : shorter;
		}
	}
	return row[len];
}

/* Of the scope, or NULL: what can't be meant. */
static const struct known_option *nearest(const char *key, enum option_scope scope)
{
	const struct known_option *known, *best = NULL;
	size_t best_distance = strlen(key) / 3 + 1;

	for (size_t i = 0; (known = option_at(i)); i++) {
		size_t now = known->scope == scope ? distance(key, known->key) : KEY_MAX;

		if (now <= best_distance && (!best || now < best_distance)) {
			best = known;
			best_distance = now;
		}
	}
	return best;
}

#define DOCKER "com.docker."
static int unknown_error(const char *key, enum option_scope scope, struct error *error)
{
	const struct known_option *near = nearest(key, scope);

	if (strncmp(key, DOCKER, strlen(DOCKER)) == 0 && scope != OPTION_CONTEXT &&
	    strncmp(key, DOCKER "network.", strlen(DOCKER "network.")) != 0)
		return error_set(error, -ENOTSUP, BN_REASON_OPTION_UNKNOWN,
				 "option '%.80s' is not known for %s; if it is to be kept, give it "
				 "as label.%.80s",
				 key, option_scope_text(scope), key);
	if (!near)
		return error_set(error, -ENOTSUP, BN_REASON_OPTION_UNKNOWN,
				 "option '%.80s' is not known for %s; bridgenet-options(7) has "
				 "those that are",
				 key, option_scope_text(scope));
	return error_set(error, -ENOTSUP, BN_REASON_OPTION_UNKNOWN,
			 "option '%.80s' is not known for %s; the nearest that is is %s%s", key,
			 option_scope_text(scope), near->key, near->rest ? near->rest : "");
}

static int value_error(const struct option *option, const struct known_option *known,
		       struct error *error)
{
	char legal[OPTION_LEGAL_MAX];

	option_legal(known, legal);
	return error_set(error, -EINVAL, BN_REASON_INVALID, "option %s can't be '%.80s'; give %s",
			 option->key, option->value, legal);
}

/* ---- deciding ---- */

/* A network option under the key that says that it is the default. */
static int check_default(const char *key, const char *value, struct error *error)
{
	struct network_policy policy = { 0 };
	struct options one = { 0 };
	int r;

	r = options_set(&one, key, value);
	if (r >= 0)
		r = options_check(&one, OPTION_NETWORK, &policy, error);
	/* alone it may lack the one that it goes with */
	if (r == -EINVAL && error && error->reason == BN_REASON_OPTION_CONFLICT) {
		error_clear(error);
		r = 0;
	}
	policy_clear(OPTION_NETWORK, &policy);
	options_clear(&one);
	return r;
}

static int decide(const struct known_option *known, const struct option *option, uint8_t *policy,
		  struct error *error)
{
	uint8_t nowhere[sizeof(struct addr) + IFNAMSIZ];
	int r;

	/* what follows is a name, which files and nameservers tell */
	if (known->type == &option_empty &&
	    option_host_name.decide(known, option->key + strlen(known->key), NULL) < 0)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "option %.80s can't be: '%.64s' is no host name (letters, digits "
				 "and '-' in parts joined by '.', 63 bytes at most)",
				 option->key, option->key + strlen(known->key));
	if (known->type == &option_network_option)
		return check_default(option->key + strlen(known->key), option->value, error);
	r = known->type->decide ?
		    known->type->decide(known, option->value,
					known->setter ? nowhere : policy + known->field) :
		    0;
	if (r >= 0 && known->has_field)
		*(bool *)(policy + known->has_field) = true;
	return r == -EINVAL ? value_error(option, known, error) : r < 0 ? error_oom(error) : 0;
}

static void set_defaults(const struct options *options, enum option_scope scope, uint8_t *policy)
{
	const struct known_option *known;

	for (size_t i = 0; (known = option_at(i)); i++) {
		if (known->scope == scope && known->number && !options_get(options, known->key))
			memcpy(policy + known->field, &known->number, sizeof(known->number));
	}
}

int options_check(const struct options *options, enum option_scope scope, void *ret_policy,
		  struct error *error)
{
	int r = 0;

	/* the context's is set by one option at a time */
	if (scope != OPTION_CONTEXT)
		policy_clear(scope, ret_policy);
	set_defaults(options, scope, ret_policy);
	for (size_t i = 0; i < options->len && r >= 0; i++) {
		const struct option *option = &options->items[i];
		const struct known_option *known = option_find(scope, option->key);

		r = known ? decide(known, option, ret_policy, error) :
			    unknown_error(option->key, scope, error);
	}
	return r < 0 ? r : options_check_conflicts(options, scope, error);
}
