/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an operation finds of the host's settings before it changes them, as lines "KEY VALUE" that
 * outlive the process, and giving back just that. A key is the path of a sysctl, or of a link:
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
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "link/private.h"

#define KEY_MAX 64
#define KEY_FORMAT "63"
#define LINK_KEY "link/"

/* ---- saying what is found ---- */

typedef VECTOR(char) text_vector;

static int put_line(text_vector *text, int value, const char *format, ...) PRINTF(3, 4);
static int put_line(text_vector *text, int value, const char *format, ...)
{
	char line[KEY_MAX + 16];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(line, KEY_MAX, format, arguments);
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

static int found_forwarding(struct link_handle *handle, int family, const char *adopted,
			    text_vector *text, struct error *error)
{
	CLEANUP_VECTOR setting_vector plan = { 0 };
	int r = forwarding_plan(handle, family, adopted, &plan, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < plan.len && r == 0; i++)
		r = put_conf(text, family, plan.items[i].interface, plan.items[i].key,
			     plan.items[i].was);
	return r < 0 ? error_oom(error) : 0;
}

struct ports_query {
	uint32_t bridge;
	bool foreign;
	int count;
};

static bool is_ours(struct nlattr *const *attrs)
{
	return (attrs[IFLA_IFALIAS] && strncmp(nla_get_string(attrs[IFLA_IFALIAS]), ALIAS_MARK,
					       strlen(ALIAS_MARK)) == 0) ||
	       (attrs[IFLA_GROUP] && nla_get_u32(attrs[IFLA_GROUP]) == LINK_GROUP_NEWBORN);
}

static int count_port(void *userdata, const struct nlmsghdr *reply)
{
	struct ports_query *query = userdata;
	struct nlattr *attrs[IFLA_MAX + 1];

	if (!reply) {
		query->count = 0;
		return 0;
	}
	if (nlmsg_parse((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) <
	    0)
		return 0;
	query->count += attrs[IFLA_MASTER] && nla_get_u32(attrs[IFLA_MASTER]) == query->bridge &&
			!(query->foreign && is_ours(attrs));
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

/* Without those of link-local scope, which the kernel gives to what comes up. */
static int bridge_addresses(struct link_handle *handle, uint32_t bridge, struct error *error)
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
	r = put_line(text, ports, LINK_KEY "%s/ports", bridge);
	if (r == 0)
		r = put_line(text, addresses, LINK_KEY "%s/addresses", bridge);
	return r < 0 ? error_oom(error) : 0;
}

static int found_bridge(struct link_handle *handle, const char *bridge, bool ipv4,
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
	if (r == 0 && accept_ra > 0 && !others)
		r = put_line(text, accept_ra, LINK_KEY "%s/accept_ra", bridge);
	if (r < 0)
		return error_oom(error);
	if (info.interface.flags & IFF_UP)
		return 0;
	return found_down(handle, bridge, info.interface.index, text, error);
}

int host_found(struct link_handle *handle, bool ipv4, bool ipv6, const char *adopted_bridge,
	       char **ret_found, struct error *error)
{
	CLEANUP_VECTOR text_vector text = { 0 };
	int r = 0;

	if (ipv4)
		r = found_forwarding(handle, AF_INET, adopted_bridge, &text, error);
	if (r == 0 && ipv6)
		r = found_forwarding(handle, AF_INET6, adopted_bridge, &text, error);
	if (r == 0 && adopted_bridge)
		r = found_bridge(handle, adopted_bridge, ipv4, &text, error);
	if (r == 0 && vector_append(&text, '\0') < 0)
		r = error_oom(error);
	if (r == 0)
		*ret_found = TAKE_POINTER(text.items);
	return r;
}

/* ---- giving back ---- */

struct line {
	char key[KEY_MAX];
	int value;
};
typedef VECTOR(struct line) line_vector;

static int lines_read(const char *found, line_vector *lines, struct error *error)
{
	while (*found) {
		struct line line;

		if (sscanf(found, "%" KEY_FORMAT "s %d", line.key, &line.value) == 2 &&
		    vector_append(lines, line) < 0)
			return error_oom(error);
		found += strcspn(found, "\n");
		found += *found == '\n';
	}
	return 0;
}

/* Is the line about that setting of a family's interfaces, and of which? */
static bool line_is(const struct line *line, int family, const char *key,
		    char interface[static IFNAMSIZ])
{
	char start[KEY_MAX], end[KEY_MAX];
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

static bool is_of_forwarding(const struct line *line, bool ipv4, bool ipv6)
{
	static const char *const keys[] = { "forwarding", "force_forwarding", "accept_ra",
					    "accept_redirects" };
	char interface[IFNAMSIZ];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if ((ipv4 && line_is(line, AF_INET, keys[i], interface)) ||
		    (ipv6 && line_is(line, AF_INET6, keys[i], interface)))
			return true;
	}
	return false;
}

/* Is the line about an interface that was off, and is again? */
static bool is_off_again(const struct line *line)
{
	static const char *const keys[] = { "forwarding", "force_forwarding" };
	char interface[IFNAMSIZ];

	for_each_family(family) {
		for (size_t i = 0; i < ARRAY_SIZE(keys) && line->value == 0; i++) {
			if (line_is(line, family, keys[i], interface) &&
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
	CLEANUP_VECTOR line_vector lines = { 0 };
	CLEANUP_VECTOR text_vector text = { 0 };
	int r = lines_read(found, &lines, error);

	for (size_t i = 0; i < lines.len && r == 0; i++)
		if (is_of_forwarding(&lines.items[i], ipv4, ipv6) && !is_off_again(&lines.items[i]))
			r = put_line(&text, lines.items[i].value, "%s", lines.items[i].key);
	if (r == 0)
		r = vector_append(&text, '\0');
	if (r == -ENOMEM)
		return error_oom(error);
	if (r == 0)
		*ret_found = TAKE_POINTER(text.items);
	return r;
}

/* Something was off and is turned on; not an interface for which all were on (see above). */
bool host_found_off(const char *found, int family)
{
	char interface[IFNAMSIZ];
	bool all_on = false;
	struct line line;

	for (; *found; found += *found == '\n') {
		if (sscanf(found, "%" KEY_FORMAT "s %d", line.key, &line.value) != 2)
			line.key[0] = '\0';
		found += strcspn(found, "\n");
		if (line_is(&line, family, "force_forwarding", interface) && !line.value)
			return true;
		if (!line_is(&line, family, "forwarding", interface)) {
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
	char line[KEY_MAX];

	snprintf(line, sizeof(line), "net/%s/conf/all/force_forwarding 0\n", sysctl_family(family));
	return strstr(found, line) != NULL;
}

/* What `all` was; 0 also if it was left so. *ret_turned_on: it was not. */
static int all_were(const line_vector *lines, int family, bool *ret_turned_on)
{
	char interface[IFNAMSIZ];
	int were = 0;

	*ret_turned_on = false;
	for (size_t i = 0; i < lines->len; i++) {
		if (!line_is(&lines->items[i], family, "forwarding", interface) ||
		    strcmp(interface, "all") != 0)
			continue;
		were = lines->items[i].value;
		*ret_turned_on |= were == 0;
	}
	return were;
}

/* Of an interface that was found with a value of its own: what it has now, if that is not our 1 and
 * so someone's, else what was found. */
static int confs_plan(const line_vector *lines, int family, conf_vector *confs)
{
	struct conf conf = { 0 };
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < confs->len; i++) {
		if (confs->items[i].forwarding && confs->items[i].forwarding != 1)
			confs->items[kept++] = confs->items[i];
	}
	confs->len = kept;
	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (!line_is(&lines->items[i], family, "forwarding", conf.name) ||
		    strcmp(conf.name, "all") == 0 ||
		    sysctl_interface_read(sysctl_family(family), conf.name, "forwarding") != 1)
			continue;
		conf.forwarding = lines->items[i].value;
		r = vector_append(confs, conf);
	}
	return r;
}

/* Writing 0 to `all` clears every interface's own value, so those are written after it. */
static int forwarding_off(struct link_handle *handle, const line_vector *lines, int family,
			  struct error *error)
{
	CLEANUP_VECTOR conf_vector confs = { 0 };
	int r = confs_read(handle, family, &confs, error);

	if (r == 0 && confs_plan(lines, family, &confs) < 0)
		r = error_oom(error);
	if (r == 0)
		r = FAULT("link.give-back");
	if (r == 0)
		r = sysctl_interface_write(sysctl_family(family), "all", "forwarding", 0, error);
	for (size_t i = 0; i < confs.len && r == 0; i++)
		r = conf_write(handle, family, confs.items[i].name, "forwarding",
			       confs.items[i].forwarding, error);
	return r;
}

/* It is off: by the one that gave it back and died on the way, so that it goes on here, or by
 * someone else, who can't be told from it. What is set by now stays. */
static int forwarding_finish(struct link_handle *handle, const line_vector *lines, int family,
			     struct error *error)
{
	char interface[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (line_is(&lines->items[i], family, "forwarding", interface) &&
		    strcmp(interface, "all") != 0 &&
		    sysctl_interface_read(sysctl_family(family), interface, "forwarding") == 0)
			r = conf_write(handle, family, interface, "forwarding",
				       lines->items[i].value, error);
	}
	return r;
}

/* After forwarding is off again: until then, 1 would be to take none. */
static int accept_ra_give_back(struct link_handle *handle, const line_vector *lines,
			       struct error *error)
{
	char interface[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (line_is(&lines->items[i], AF_INET6, "accept_ra", interface) &&
		    sysctl_interface_read("ipv6", interface, "accept_ra") == 2 &&
		    sysctl_interface_read("ipv6", interface, "forwarding") == 0)
			r = conf_write(handle, AF_INET6, interface, "accept_ra",
				       lines->items[i].value, error);
	}
	return r;
}

/* Of what was found off, and was turned on by itself or goes on with something else. That file of
 * all is never written. */
static int each_off(struct link_handle *handle, const line_vector *lines, int family,
		    const char *key, struct error *error)
{
	char interface[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (lines->items[i].value == 0 &&
		    line_is(&lines->items[i], family, key, interface) &&
		    !(strcmp(interface, "all") == 0 && strcmp(key, "force_forwarding") == 0) &&
		    sysctl_interface_read(sysctl_family(family), interface, key) == 1)
			r = conf_write(handle, family, interface, key, 0, error);
	}
	return r;
}

static int forwarding_give_back(struct link_handle *handle, const line_vector *lines, int family,
				struct error *error)
{
	bool turned_on;
	int were = all_were(lines, family, &turned_on);
	int all = sysctl_forwarding_of_all(family, error), r = 0;

	if (all == -EAFNOSUPPORT) {
		error_clear(error);
		return 0;
	}
	if (all < 0)
		return all;
	if (turned_on && all == 1)
		r = forwarding_off(handle, lines, family, error);
	else if (turned_on && all == 0)
		r = forwarding_finish(handle, lines, family, error);
	else if (all == were)
		/* else someone has set all of them since */
		r = each_off(handle, lines, family, "forwarding", error);
	if (r == 0 && family == AF_INET6)
		r = each_off(handle, lines, family, "force_forwarding", error);
	/* with forwarding off it is on, whatever it was before */
	if (r == 0 && family == AF_INET && turned_on)
		r = each_off(handle, lines, family, "accept_redirects", error);
	return r == 0 && turned_on && family == AF_INET6 ?
		       accept_ra_give_back(handle, lines, error) :
		       r;
}

static int localnet_give_back(struct link_handle *handle, const line_vector *lines,
			      struct error *error)
{
	char interface[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (line_is(&lines->items[i], AF_INET, "route_localnet", interface) &&
		    sysctl_interface_read("ipv4", interface, "route_localnet") == 1)
			r = conf_write(handle, AF_INET, interface, "route_localnet",
				       lines->items[i].value, error);
	}
	return r;
}

/* One that was adopted takes them again. */
static int advertisements_give_back(struct link_handle *handle, const line_vector *lines,
				    struct error *error)
{
	char bridge[IFNAMSIZ], key[KEY_MAX];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (sscanf(lines->items[i].key, LINK_KEY "%15[^/]", bridge) != 1)
			continue;
		snprintf(key, sizeof(key), LINK_KEY "%s/accept_ra", bridge);
		if (strcmp(lines->items[i].key, key) == 0 &&
		    sysctl_interface_read("ipv6", bridge, "accept_ra") == 0)
			r = conf_write(handle, AF_INET6, bridge, "accept_ra", lines->items[i].value,
				       error);
	}
	return r;
}

/* Who gave it a port or an address since may need it up. What was on it when it was down needs
 * that no more than before, and our own is gone by now. */
static int bridge_is_used(struct link_handle *handle, const char *bridge, uint32_t index,
			  const line_vector *lines, struct error *error)
{
	char ports_key[KEY_MAX], addresses_key[KEY_MAX];
	int ports = bridge_ports(handle, index, false, error), addresses;

	if (ports < 0)
		return ports;
	addresses = bridge_addresses(handle, index, error);
	if (addresses < 0)
		return addresses;
	snprintf(ports_key, sizeof(ports_key), LINK_KEY "%s/ports", bridge);
	snprintf(addresses_key, sizeof(addresses_key), LINK_KEY "%s/addresses", bridge);
	for (size_t i = 0; i < lines->len; i++) {
		const struct line *line = &lines->items[i];

		if ((strcmp(line->key, ports_key) == 0 && ports > line->value) ||
		    (strcmp(line->key, addresses_key) == 0 && addresses > line->value))
			return 1;
	}
	return 0;
}

static int bridge_down(struct link_handle *handle, const char *bridge, const line_vector *lines,
		       struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	struct link_info info;
	int r = link_info_get(handle, bridge, NULL, &info, error);

	if (r == -ENODEV ||
	    (r == 0 && (strcmp(info.kind, "bridge") != 0 || !(info.interface.flags & IFF_UP))))
		return 0;
	if (r == 0)
		r = bridge_is_used(handle, bridge, info.interface.index, lines, error);
	if (r != 0)
		return r < 0 ? r : 0;
	rtnl_add_link(&batch, RTM_NEWLINK, 0, info.interface.index);
	rtnl_put_flags(&batch, 0, IFF_UP);
	r = rtnl_run_surely(handle, &batch, -ENODEV, "link.give-back.bridge");
	if (r == 0)
		return 0;
	return rtnl_failure(error, &batch, r, "take bridge %s down again", bridge);
}

static int bridges_give_back(struct link_handle *handle, const line_vector *lines,
			     struct error *error)
{
	char bridge[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (sscanf(lines->items[i].key, LINK_KEY "%15[^/]/ports", bridge) == 1 &&
		    strcmp(strrchr(lines->items[i].key, '/'), "/ports") == 0)
			r = bridge_down(handle, bridge, lines, error);
	}
	return r;
}

int host_give_back(struct link_handle *handle, const char *found, bool ipv4, bool ipv6,
		   struct error *error)
{
	CLEANUP_VECTOR line_vector lines = { 0 };
	int first, r = lines_read(found, &lines, error);

	if (r < 0)
		return r;
	/* What can't be given back keeps nothing else from it; the first failure is told. */
	first = localnet_give_back(handle, &lines, error);
	r = advertisements_give_back(handle, &lines, first ? NULL : error);
	first = first ? first : r;
	r = bridges_give_back(handle, &lines, first ? NULL : error);
	first = first ? first : r;
	for_each_family(family) {
		if (!(family == AF_INET ? ipv4 : ipv6))
			continue;
		r = forwarding_give_back(handle, &lines, family, first ? NULL : error);
		first = first ? first : r;
	}
	return first;
}

/* Others may need that of an uplink. */
static int bridge_off(struct link_handle *handle, const char *bridge, const line_vector *lines,
		      int family, const char *key, struct error *error)
{
	char interface[IFNAMSIZ];
	int r;

	for (size_t i = 0; i < lines->len; i++) {
		const struct line *line = &lines->items[i];

		if (line->value != 0 || !line_is(line, family, key, interface) ||
		    strcmp(interface, bridge) != 0 ||
		    sysctl_interface_read(sysctl_family(family), bridge, key) != 1)
			continue;
		r = is_uplink(handle, family, bridge, error);
		if (r == 0)
			r = conf_write(handle, family, bridge, key, 0, error);
		return r < 0 ? r : 0;
	}
	return 0;
}

int host_give_back_bridge(struct link_handle *handle, const char *found, const char *bridge,
			  struct error *error)
{
	CLEANUP_VECTOR line_vector lines = { 0 };
	int first = host_give_back(handle, found, false, false, error), r;

	r = lines_read(found, &lines, first ? NULL : error);
	first = first ? first : r;
	for_each_family(family) {
		r = bridge_off(handle, bridge, &lines, family, "forwarding", first ? NULL : error);
		first = first ? first : r;
	}
	r = bridge_off(handle, bridge, &lines, AF_INET6, "force_forwarding", first ? NULL : error);
	return first ? first : r;
}
