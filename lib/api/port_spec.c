/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The builders of ports. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/api.h"

static void port_spec_clear(struct bn_port_spec *spec)
{
	free(spec->mapping);
	options_clear(&spec->options);
}

static int port_spec_new(char *mapping, bn_port_spec **ret_spec)
{
	bn_port_spec *spec = mapping ? calloc(1, sizeof(*spec)) : NULL;

	if (!spec) {
		free(mapping);
		return -ENOMEM;
	}
	spec->mapping = mapping;
	*ret_spec = spec;
	return 0;
}

int bn_port_spec_new(const char *mapping, bn_port_spec **ret_spec)
{
	return mapping && ret_spec ? port_spec_new(strdup(mapping), ret_spec) : -EINVAL;
}

/* "80" or "80-89" */
static void format_span(uint32_t first, uint32_t count, char *text, size_t size)
{
	if (count == 1)
		snprintf(text, size, "%" PRIu32, first);
	else
		snprintf(text, size, "%" PRIu32 "-%" PRIu64, first, (uint64_t)first + count - 1);
}

int bn_port_spec_new_parts(const char *host_address, uint32_t host_port, uint32_t container_port,
			   uint32_t count, const char *protocol, bn_port_spec **ret_spec)
{
	bool has_address = host_address && *host_address;
	bool brackets = has_address && strchr(host_address, ':') && *host_address != '[';
	char host[40] = "", container[40], *mapping = NULL;

	if (!count || !ret_spec)
		return -EINVAL;
	if (host_port)
		format_span(host_port, count, host, sizeof(host));
	format_span(container_port, count, container, sizeof(container));
	if (asprintf(&mapping, "%s%s%s%s%s%s%s/%s", brackets ? "[" : "",
		     has_address ? host_address : "", brackets ? "]" : "", has_address ? ":" : "",
		     host, host_port || has_address ? ":" : "", container,
		     protocol ? protocol : "tcp") < 0)
		return -ENOMEM;
	return port_spec_new(mapping, ret_spec);
}

int bn_port_spec_set_option(bn_port_spec *spec, const char *key, const char *value)
{
	return spec ? spec_keep_failure(&spec->failure, __func__, key,
					spec_set_option(&spec->options, key, value)) :
		      -EINVAL;
}

void bn_port_spec_free(bn_port_spec *spec)
{
	if (!spec)
		return;
	port_spec_clear(spec);
	free(spec);
}

void port_specs_clear(struct bn_port_spec_list *list)
{
	for (size_t i = 0; i < list->specs.len; i++)
		port_spec_clear(&list->specs.items[i]);
	free(list->specs.items);
}

int bn_port_spec_list_new(bn_port_spec_list **ret_list)
{
	bn_port_spec_list *list;

	if (!ret_list)
		return -EINVAL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*ret_list = list;
	return 0;
}

int port_specs_add(struct bn_port_spec_list *list, const struct bn_port_spec *spec)
{
	struct bn_port_spec copy = { 0 };

	if (!spec)
		return -EINVAL;
	copy.failure = spec->failure;
	copy.mapping = strdup(spec->mapping);
	if (!copy.mapping || options_copy(&copy.options, &spec->options) < 0 ||
	    vector_append(&list->specs, copy) < 0) {
		port_spec_clear(&copy);
		return -ENOMEM;
	}
	return 0;
}

int bn_port_spec_list_add(bn_port_spec_list *list, const bn_port_spec *spec)
{
	return list ? spec_keep_failure(&list->failure, __func__, spec ? spec->mapping : NULL,
					port_specs_add(list, spec)) :
		      -EINVAL;
}

void bn_port_spec_list_free(bn_port_spec_list *list)
{
	if (!list)
		return;
	port_specs_clear(list);
	free(list);
}
