/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "sysctl."
#define PARTS 5

/* What is of the whole namespace, or of another interface, is not the endpoint's to change; and no
 * part may lead out of its directory. */
static bool is_part(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((text[i] < 'a' || text[i] > 'z') && (text[i] < '0' || text[i] > '9') &&
		    text[i] != '_' && text[i] != '-')
			return false;
	return len > 0;
}

static bool part_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* net.FAMILY.KIND.IFNAME.KEY */
static bool path_of(const char *key, const char *interface, char path[static SYSCTL_PATH_MAX])
{
	const char *parts[PARTS];
	size_t lens[PARTS], i;

	for (i = 0; i < PARTS; i++) {
		parts[i] = key;
		lens[i] = strcspn(key, ".");
		key += lens[i];
		if (i < PARTS - 1 && *key++ != '.')
			return false;
	}
	if (*key || !part_is(parts[0], lens[0], "net") || !part_is(parts[3], lens[3], "IFNAME") ||
	    !is_part(parts[2], lens[2]) || !is_part(parts[4], lens[4]))
		return false;
	if (!part_is(parts[1], lens[1], "ipv4") && !part_is(parts[1], lens[1], "ipv6") &&
	    !part_is(parts[1], lens[1], "mpls"))
		return false;
	return snprintf(path, SYSCTL_PATH_MAX, "net/%.*s/%.*s/%s/%.*s", (int)lens[1], parts[1],
			(int)lens[2], parts[2], interface, (int)lens[4],
			parts[4]) < SYSCTL_PATH_MAX;
}

int sysctls_of(const struct endpoint *endpoint, sysctl_vector *sysctls, struct error *error)
{
	for (size_t i = 0; i < endpoint->options.len; i++) {
		const struct option *option = &endpoint->options.items[i];
		struct sysctl sysctl = { .value = option->value };

		if (strncmp(option->key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		if (!path_of(option->key + strlen(PREFIX), endpoint->interface, sysctl.path))
			return error_set(
				error, -EINVAL, BN_REASON_INVALID,
				"option %.120s is not about the interface of endpoint %s; "
				"give sysctl.net.FAMILY.KIND.IFNAME.KEY, with ipv4, ipv6 "
				"or mpls, such as sysctl.net.ipv4.conf.IFNAME.log_martians",
				option->key, endpoint->id);
		if (!option->value[0])
			return error_set(error, -EINVAL, BN_REASON_INVALID,
					 "option %.120s of endpoint %s has no value; give one",
					 option->key, endpoint->id);
		if (vector_append(sysctls, sysctl) < 0)
			return error_oom(error);
	}
	return 0;
}

bool sysctl_disables_ipv6(const struct endpoint *endpoint)
{
	const char *value =
		options_get(&endpoint->options, PREFIX "net.ipv6.conf.IFNAME.disable_ipv6");

	return value && strtol(value, NULL, 10) != 0;
}
