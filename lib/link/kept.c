/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bridge that was looked at last: two files of its settings stay open. The kernel lets them be
 * read as long as the link is there under the name that it had, and no longer: they say which link
 * it is, too, and one that was found to be ours is not asked for again.
 */
#include <unistd.h>

#include "link/private.h"

struct kept_bridge {
	char alias[ALIAS_MAX];
	uint32_t index;
	bool joined;
	int localnet, forwarding;
};

void kept_bridge_forget(struct link_handle *handle)
{
	struct kept_bridge *kept = handle->kept;

	if (!kept)
		return;
	if (kept->localnet >= 0)
		close(kept->localnet);
	if (kept->forwarding >= 0)
		close(kept->forwarding);
	free(kept);
	handle->kept = NULL;
}

void kept_bridge_keep(struct link_handle *handle, const struct bridge_config *config,
		      uint32_t index, bool joined)
{
	struct kept_bridge *kept;

	kept_bridge_forget(handle);
	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return;
	handle->kept = kept;
	string_copy(kept->alias, sizeof(kept->alias), config->alias);
	kept->index = index;
	kept->joined = joined;
	kept->localnet = sysctl_interface_open("ipv4", config->name, "route_localnet");
	kept->forwarding = sysctl_interface_open("ipv4", config->name, "forwarding");
	/* is what has the name now what had it when it was found to be ours? */
	if (kept->localnet < 0 || kept->forwarding < 0 ||
	    rtnl_link_index(handle, config->name) != index)
		kept_bridge_forget(handle);
}

bool kept_bridge_read(struct link_handle *handle, const struct bridge_config *config, bool joins,
		      struct kept_settings *ret_settings)
{
	const struct kept_bridge *kept = handle->kept;
	int localnet, forwarding;

	if (!kept || strcmp(kept->alias, config->alias) != 0 || (joins && !kept->joined))
		return false;
	localnet = sysctl_value_of(kept->localnet);
	forwarding = sysctl_value_of(kept->forwarding);
	*ret_settings = (struct kept_settings){ kept->index, localnet > 0, forwarding > 0 };
	return localnet >= 0 && forwarding >= 0;
}
