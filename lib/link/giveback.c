/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was found of the host's settings (found.c), given back. */
#include <errno.h>
#include <stdio.h>

#include "link/private.h"

/* ---- which interface it was ---- */

/* Whose line is it? "" of what is about all, or about none. */
static void interface_of(const struct found_line *line, char interface[static IFNAMSIZ])
{
	if (sscanf(line->key, FOUND_LINK "%15[^/]", interface) != 1 &&
	    sscanf(line->key, "net/%*[^/]/conf/%15[^/]", interface) != 1)
		interface[0] = '\0';
}

/* Of the interface that has the name now nothing was found, but of another one. What is handed on
 * may be of both. */
static bool is_of_another(struct link_handle *handle, const found_line_vector *lines,
			  const char *interface)
{
	char name[IFNAMSIZ];
	uint32_t index = 0;
	bool known = false;

	for (size_t i = 0; i < lines->len; i++) {
		if (!found_line_is_of_link(&lines->items[i], "index", name) ||
		    strcmp(name, interface) != 0)
			continue;
		if (!known)
			index = link_index(handle, interface);
		known = true;
		if ((uint32_t)lines->items[i].value == index)
			return false;
	}
	return known;
}

static int lines_read(struct link_handle *handle, const char *found, found_line_vector *lines,
		      struct error *error)
{
	CLEANUP_VECTOR found_line_vector all = { 0 };
	char interface[IFNAMSIZ];
	int r = found_lines(found, &all, error);

	for (size_t i = 0; i < all.len && r == 0; i++) {
		interface_of(&all.items[i], interface);
		if (!is_of_another(handle, &all, interface))
			r = vector_append(lines, all.items[i]) < 0 ? error_oom(error) : 0;
	}
	return r;
}

/* What `all` was; 0 also if it was left so. *ret_turned_on: it was not. */
static int all_were(const found_line_vector *lines, int family, bool *ret_turned_on)
{
	char interface[IFNAMSIZ];
	int were = 0;

	*ret_turned_on = false;
	for (size_t i = 0; i < lines->len; i++) {
		if (!found_line_is(&lines->items[i], family, "forwarding", interface) ||
		    strcmp(interface, "all") != 0)
			continue;
		were = lines->items[i].value;
		*ret_turned_on |= were == 0;
	}
	return were;
}

/* Of an interface that was found with a value of its own: what it has now, if that is not our 1 and
 * so someone's, else what was found. */
static int confs_plan(const found_line_vector *lines, int family, conf_vector *confs)
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
		if (!found_line_is(&lines->items[i], family, "forwarding", conf.name) ||
		    strcmp(conf.name, "all") == 0 ||
		    sysctl_interface_read(sysctl_family(family), conf.name, "forwarding") != 1)
			continue;
		conf.forwarding = lines->items[i].value;
		r = vector_append(confs, conf);
	}
	return r;
}

/* Writing 0 to `all` clears every interface's own value, so those are written after it. */
static int forwarding_off(struct link_handle *handle, const found_line_vector *lines, int family,
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
static int forwarding_finish(struct link_handle *handle, const found_line_vector *lines, int family,
			     struct error *error)
{
	char interface[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (found_line_is(&lines->items[i], family, "forwarding", interface) &&
		    strcmp(interface, "all") != 0 &&
		    sysctl_interface_read(sysctl_family(family), interface, "forwarding") == 0)
			r = conf_write(handle, family, interface, "forwarding",
				       lines->items[i].value, error);
	}
	return r;
}

/* After forwarding is off again: until then, 1 would be to take none. */
static int accept_ra_give_back(struct link_handle *handle, const found_line_vector *lines,
			       struct error *error)
{
	char interface[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (found_line_is(&lines->items[i], AF_INET6, "accept_ra", interface) &&
		    sysctl_interface_read("ipv6", interface, "accept_ra") == 2 &&
		    sysctl_interface_read("ipv6", interface, "forwarding") == 0)
			r = conf_write(handle, AF_INET6, interface, "accept_ra",
				       lines->items[i].value, error);
	}
	return r;
}

/* Where it is still as it was set. That file of all is never written. */
static int conf_give_back(struct link_handle *handle, const found_line_vector *lines, int family,
			  const char *key, struct error *error)
{
	char interface[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (found_line_is(&lines->items[i], family, key, interface) &&
		    !(strcmp(interface, "all") == 0 && strcmp(key, "force_forwarding") == 0) &&
		    sysctl_interface_read(sysctl_family(family), interface, key) == 1)
			r = conf_write(handle, family, interface, key, lines->items[i].value,
				       error);
	}
	return r;
}

static int forwarding_give_back(struct link_handle *handle, const found_line_vector *lines,
				int family, struct error *error)
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
		r = conf_give_back(handle, lines, family, "forwarding", error);
	if (r == 0 && family == AF_INET6)
		r = conf_give_back(handle, lines, family, "force_forwarding", error);
	/* with forwarding off it is on, whatever it was before */
	if (r == 0 && family == AF_INET && turned_on)
		r = conf_give_back(handle, lines, family, "accept_redirects", error);
	return r == 0 && turned_on && family == AF_INET6 ?
		       accept_ra_give_back(handle, lines, error) :
		       r;
}

/* One that was adopted takes them again. */
static int advertisements_give_back(struct link_handle *handle, const found_line_vector *lines,
				    struct error *error)
{
	char bridge[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (found_line_is_of_link(&lines->items[i], "accept_ra", bridge) &&
		    sysctl_interface_read("ipv6", bridge, "accept_ra") == 0)
			r = conf_write(handle, AF_INET6, bridge, "accept_ra", lines->items[i].value,
				       error);
	}
	return r;
}

/* Who gave it a port or an address since may need it up. What was on it when it was down needs
 * that no more than before, and our own is gone by now. */
static int bridge_is_used(struct link_handle *handle, const char *bridge, uint32_t index,
			  const found_line_vector *lines, struct error *error)
{
	int ports = bridge_ports(handle, index, false, error), addresses;
	char name[IFNAMSIZ];

	if (ports < 0)
		return ports;
	addresses = bridge_addresses(handle, index, error);
	if (addresses < 0)
		return addresses;
	for (size_t i = 0; i < lines->len; i++) {
		const struct found_line *line = &lines->items[i];

		if (((found_line_is_of_link(line, "ports", name) && ports > line->value) ||
		     (found_line_is_of_link(line, "addresses", name) && addresses > line->value)) &&
		    strcmp(name, bridge) == 0)
			return 1;
	}
	return 0;
}

static int bridge_down(struct link_handle *handle, const char *bridge,
		       const found_line_vector *lines, struct error *error)
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

static int bridges_give_back(struct link_handle *handle, const found_line_vector *lines,
			     struct error *error)
{
	char bridge[IFNAMSIZ];
	int r = 0;

	for (size_t i = 0; i < lines->len && r == 0; i++) {
		if (found_line_is_of_link(&lines->items[i], "ports", bridge))
			r = bridge_down(handle, bridge, lines, error);
	}
	return r;
}

int host_give_back(struct link_handle *handle, const char *found, bool ipv4, bool ipv6,
		   struct error *error)
{
	CLEANUP_VECTOR found_line_vector lines = { 0 };
	int first, r = lines_read(handle, found, &lines, error);

	if (r < 0)
		return r;
	/* What can't be given back keeps nothing else from it; the first failure is told. */
	first = conf_give_back(handle, &lines, AF_INET, "route_localnet", error);
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
static int bridge_off(struct link_handle *handle, const char *bridge,
		      const found_line_vector *lines, int family, const char *key,
		      struct error *error)
{
	char interface[IFNAMSIZ];
	int r;

	for (size_t i = 0; i < lines->len; i++) {
		const struct found_line *line = &lines->items[i];

		if (line->value != 0 || !found_line_is(line, family, key, interface) ||
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
	CLEANUP_VECTOR found_line_vector lines = { 0 };
	int first = host_give_back(handle, found, false, false, error), r;

	r = lines_read(handle, found, &lines, first ? NULL : error);
	first = first ? first : r;
	for_each_family(family) {
		r = bridge_off(handle, bridge, &lines, family, "forwarding", first ? NULL : error);
		first = first ? first : r;
	}
	r = bridge_off(handle, bridge, &lines, AF_INET6, "force_forwarding", first ? NULL : error);
	return first ? first : r;
}
