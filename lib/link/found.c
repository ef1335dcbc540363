/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an operation finds of the host's settings before it changes them, as lines "KEY VALUE" that
 * outlive the process; giveback.c gives back just that. A key is the path of a sysctl, or of a
 * link:
 *
 *	net/ipv4/conf/all/forwarding 0    all is turned on, and what has no line here was off
 *	net/ipv4/conf/eth1/forwarding 1
 *	net/ipv4/conf/all/accept_redirects 0
 *	net/ipv6/conf/eth0/accept_ra 1
 *	net/ipv6/conf/eth0/force_forwarding 0
 *	                                  this interface is turned on
 *	net/ipv6/conf/all/force_forwarding 0
 *	                                  or would be, of either family, but there is none
 *	net/ipv4/conf/eth0/forwarding 0   and so is this one, where all can't be written
 *	net/ipv4/conf/all/forwarding 1    and so is the next one, where all was on already, ...
 *	net/ipv4/conf/br0/forwarding 0
 *	net/ipv4/conf/br0/route_localnet 0
 *	link/br0/accept_ra 1              of a bridge that takes no router advertisements meanwhile
 *	link/br0/ports 2                  of a bridge that was down: what was on it
 *	link/br0/index 7                  what is said of br0 was found of this interface
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "link/private.h"

#define KEY_FORMAT "63"

/* ---- saying what is found ---- */

typedef VECTOR(char) text_vector;

static int put_line(text_vector *text, int value, const char *format, ...) PRINTF(3, 4);
static int put_line(text_vector *text, int value, const char *format, ...)
{
	char line[FOUND_KEY_MAX + 16];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(line, FOUND_KEY_MAX, format, arguments);
	va_end(arguments);
	len += snprintf(line + len, sizeof(line) - (size_t)len, " %d\n", value);
	if (vector_reserve(text, (size_t)len) < 0)
		return -ENOMEM;
	memcpy(text->items + text->len, line, (size_t)len);
	text->len += (size_t)len;
	return 0;
}

static int put_conf(text_vector *text, int family, const char *interface, const char *key,
		    int value)
{
	return put_line(text, value, "net/%s/conf/%s/%s", sysctl_family(family), interface, key);
}

/* Another interface may come to have the name. */
static int put_index(struct link_handle *handle, text_vector *text, const char *interface)
{
	uint32_t index = link_index(handle, interface);

	return index ? put_line(text, (int)index, FOUND_LINK "%s/index", interface) : 0;
}

static int found_forwarding(struct link_handle *handle, int family, const char *adopted,
			    text_vector *text, struct error *error)
{
	CLEANUP_VECTOR setting_vector plan = { 0 };
	int r = forwarding_plan(handle, family, adopted, &plan, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < plan.len && r == 0; i++) {
		const struct host_setting *setting = &plan.items[i];

		r = put_conf(text, family, setting->interface, setting->key, setting->was);
		/* each that is turned on by itself */
		if (r == 0 && setting->was == 0 && setting->wanted == 1 &&
		    strcmp(setting->interface, "all") != 0)
			r = put_index(handle, text, setting->interface);
	}
	return r < 0 ? error_oom(error) : 0;
}

struct ports_query {
	uint32_t bridge;
	bool foreign;
	int count;
};

static bool is_ours(const struct link_info *info)
{
	return strncmp(info->alias, ALIAS_MARK, strlen(ALIAS_MARK)) == 0 ||
	       info->group == LINK_GROUP_NEWBORN;
}

static int count_port(void *userdata, const struct nlmsghdr *reply)
{
	struct ports_query *query = userdata;
	struct link_info info;

	if (!reply)
		query->count = 0;
	else if (link_info_parse(reply, &info))
		query->count += info.bridge == query->bridge && !(query->foreign && is_ours(&info));
	return 0;
}

int bridge_ports(struct link_handle *handle, uint32_t bridge, bool foreign, struct error *error)
{
	struct ports_query query = { bridge, foreign, 0 };
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = count_port, .userdata = &query };
	int r;

	rtnl_add_link(&batch, RTM_GETLINK, 0, 0);
	rtnl_put_u32(&batch, IFLA_MASTER, bridge);
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_dump(handle, &batch);
	return r < 0 ? rtnl_failure(error, &batch, r, "list the ports of a bridge") : query.count;
}

int bridge_addresses(struct link_handle *handle, uint32_t bridge, struct error *error)
{
	CLEANUP_VECTOR address_vector addresses = { 0 };
	int count = 0, r = link_addresses(handle, bridge, false, &addresses, error);

	for (size_t i = 0; i < addresses.len; i++)
		count += !addr_is_link_local(&addresses.items[i].address.addr);
	return r < 0 ? r : count;
}

/* What was on it. */
static int found_down(struct link_handle *handle, const char *bridge, uint32_t index,
		      text_vector *text, struct error *error)
{
	int ports = bridge_ports(handle, index, false, error), addresses, r;

	if (ports < 0)
		return ports;
	addresses = bridge_addresses(handle, index, error);
	if (addresses < 0)
		return addresses;
	r = put_line(text, ports, FOUND_LINK "%s/ports", bridge);
	if (r == 0)
		r = put_line(text, addresses, FOUND_LINK "%s/addresses", bridge);
	return r < 0 ? error_oom(error) : 0;
}

static int found_bridge(struct link_handle *handle, const char *bridge, bool ipv4, bool links_only,
			text_vector *text, struct error *error)
{
	int localnet = ipv4 ? sysctl_interface_read("ipv4", bridge, "route_localnet") : 1;
	int accept_ra = sysctl_interface_read("ipv6", bridge, "accept_ra"), others, r;
	struct link_info info;

	r = link_info_get(handle, bridge, NULL, &info, error);
	if (r < 0)
		return r == -ENODEV ? 0 : r; /* adopting it will say so */
	others = bridge_ports(handle, info.interface.index, true, error);
	if (others < 0)
		return others;
	if (localnet >= 0 && localnet != 1)
		r = put_conf(text, AF_INET, bridge, "route_localnet", localnet);
	if (r == 0 && accept_ra > 0 && !others && !links_only)
		r = put_line(text, accept_ra, FOUND_LINK "%s/accept_ra", bridge);
	if (r == 0)
		r = put_line(text, (int)info.interface.index, FOUND_LINK "%s/index", bridge);
	if (r < 0)
		return error_oom(error);
	if (info.interface.flags & IFF_UP)
		return 0;
	return found_down(handle, bridge, info.interface.index, text, error);
}

int host_found(struct link_handle *handle, bool ipv4, bool ipv6, const char *adopted_bridge,
	       bool links_only, char **ret_found, struct error *error)
{
	CLEANUP_VECTOR text_vector text = { 0 };
	int r = 0;

	if (ipv4)
		r = found_forwarding(handle, AF_INET, adopted_bridge, &text, error);
	if (r == 0 && ipv6)
		r = found_forwarding(handle, AF_INET6, adopted_bridge, &text, error);
	if (r == 0 && adopted_bridge)
		r = found_bridge(handle, adopted_bridge, ipv4, links_only, &text, error);
	if (r == 0 && vector_append(&text, '\0') < 0)
		r = error_oom(error);
	if (r == 0)
		*ret_found = TAKE_POINTER(text.items);
	return r;
}

/* ---- what was found ---- */

int found_lines(const char *found, found_line_vector *lines, struct error *error)
{
	while (*found) {
		struct found_line line;

		if (sscanf(found, "%" KEY_FORMAT "s %d", line.key, &line.value) == 2 &&
		    vector_append(lines, line) < 0)
			return error_oom(error);
		found += strcspn(found, "\n");
		found += *found == '\n';
	}
	return 0;
}

bool found_line_is(const struct found_line *line, int family, const char *key,
		   char interface[static IFNAMSIZ])
{
	char start[FOUND_KEY_MAX], end[FOUND_KEY_MAX];
	size_t len = strlen(line->key), start_len, end_len;

	start_len = (size_t)snprintf(start, sizeof(start), "net/%s/conf/", sysctl_family(family));
	end_len = (size_t)snprintf(end, sizeof(end), "/%s", key);
	if (len <= start_len + end_len || len - start_len - end_len >= IFNAMSIZ ||
	    strncmp(line->key, start, start_len) != 0 ||
	    strcmp(line->key + len - end_len, end) != 0)
		return false;
	memcpy(interface, line->key + start_len, len - start_len - end_len);
	interface[len - start_len - end_len] = '\0';
	return true;
}

bool found_line_is_of_link(const struct found_line *line, const char *key,
			   char interface[static IFNAMSIZ])
{
	const char *end = strrchr(line->key, '/');

	return end && strcmp(end + 1, key) == 0 &&
	       sscanf(line->key, FOUND_LINK "%15[^/]", interface) == 1;
}

static bool is_of_forwarding(const struct found_line *line, bool ipv4, bool ipv6)
{
	static const char *const keys[] = { "forwarding", "force_forwarding", "accept_ra",
					    "accept_redirects" };
	char interface[IFNAMSIZ];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if ((ipv4 && found_line_is(line, AF_INET, keys[i], interface)) ||
		    (ipv6 && found_line_is(line, AF_INET6, keys[i], interface)))
			return true;
	}
	return false;
}

/* Is the line about an interface that was off, and is again? */
static bool is_off_again(const struct found_line *line)
{
	static const char *const keys[] = { "forwarding", "force_forwarding" };
	char interface[IFNAMSIZ];

	for_each_family(family) {
		for (size_t i = 0; i < ARRAY_SIZE(keys) && line->value == 0; i++) {
			if (found_line_is(line, family, keys[i], interface) &&
			    strcmp(interface, "all") != 0)
				return sysctl_interface_read(sysctl_family(family), interface,
							     keys[i]) == 0;
		}
	}
	return false;
}

int host_found_forwarding(const char *found, bool ipv4, bool ipv6, char **ret_found,
			  struct error *error)
{
	CLEANUP_VECTOR found_line_vector lines = { 0 };
	CLEANUP_VECTOR text_vector text = { 0 };
	char interface[IFNAMSIZ];
	int r = found_lines(found, &lines, error);

	for (size_t i = 0; i < lines.len && r == 0; i++)
		if (is_of_forwarding(&lines.items[i], ipv4, ipv6) && !is_off_again(&lines.items[i]))
			r = put_line(&text, lines.items[i].value, "%s", lines.items[i].key);
	for (size_t i = 0; i < lines.len && r == 0 && text.len; i++)
		if (found_line_is_of_link(&lines.items[i], "index", interface))
			r = put_line(&text, lines.items[i].value, "%s", lines.items[i].key);
	if (r == 0)
		r = vector_append(&text, '\0');
	if (r == -ENOMEM)
		return error_oom(error);
	if (r == 0)
		*ret_found = TAKE_POINTER(text.items);
	return r;
}

static bool has_line(const found_line_vector *lines, const struct found_line *line)
{
	for (size_t i = 0; i < lines->len; i++)
		if (lines->items[i].value == line->value &&
		    strcmp(lines->items[i].key, line->key) == 0)
			return true;
	return false;
}

int host_found_beyond(const char *found, const char *known, char **ret_found, struct error *error)
{
	CLEANUP_VECTOR found_line_vector lines = { 0 };
	CLEANUP_VECTOR found_line_vector others = { 0 };
	CLEANUP_VECTOR text_vector text = { 0 };
	int r = found_lines(found, &lines, error);

	if (r == 0)
		r = found_lines(known, &others, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < lines.len && r == 0; i++)
		if (!has_line(&others, &lines.items[i]))
			r = put_line(&text, lines.items[i].value, "%s", lines.items[i].key);
	if (r == 0)
		r = vector_append(&text, '\0');
	if (r < 0)
		return error_oom(error);
	*ret_found = TAKE_POINTER(text.items);
	return 0;
}

/* Something was off and is turned on; not an interface for which all were on (see above). */
bool host_found_off(const char *found, int family)
{
	char interface[IFNAMSIZ];
	bool all_on = false;
	struct found_line line;

	for (; *found; found += *found == '\n') {
		if (sscanf(found, "%" KEY_FORMAT "s %d", line.key, &line.value) != 2)
			line.key[0] = '\0';
		found += strcspn(found, "\n");
		if (found_line_is(&line, family, "force_forwarding", interface) && !line.value)
			return true;
		if (!found_line_is(&line, family, "forwarding", interface)) {
			all_on = false;
			continue;
		}
		if (!line.value && !all_on)
			return true;
		all_on = line.value && strcmp(interface, "all") == 0;
	}
	return false;
}

bool host_found_no_way(const char *found, int family)
{
	char line[FOUND_KEY_MAX];

	snprintf(line, sizeof(line), "net/%s/conf/all/force_forwarding 0\n", sysctl_family(family));
	return strstr(found, line) != NULL;
}
