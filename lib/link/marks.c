/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links that bridgenet made, of whatever state directory, by their aliases. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "link/private.h"

#define MARK "bridgenet:"

static int take_mark(void *userdata, const struct nlmsghdr *reply)
{
	mark_vector *marks = userdata;
	struct nlattr *attrs[IFLA_MAX + 1];
	const struct link_mark *last;

	if (!reply) { /* of a dump that starts anew */
		marks->len = 0;
		return 0;
	}
	if (reply->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse((struct nlmsghdr *)reply, sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) <
		    0 ||
	    !attrs[IFLA_IFALIAS])
		return 0;
	if (!vector_push(marks))
		return -ENOMEM;
	nla_strlcpy(marks->items[marks->len - 1].alias, attrs[IFLA_IFALIAS], ALIAS_MAX);
	last = &marks->items[marks->len - 1];
	if (strncmp(last->alias, MARK, strlen(MARK)) != 0)
		marks->len--;
	return 0;
}

int link_marks(struct link_handle *handle, mark_vector *marks, struct error *error)
{
	CLEANUP_BATCH struct rtnl_batch batch = { .reply = take_mark, .userdata = marks };
	const struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
	int r;

	rtnl_add(&batch, RTM_GETLINK, 0, &header, sizeof(header));
	rtnl_put_u32(&batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_dump(handle, &batch);
	return r < 0 ? rtnl_failure(error, &batch, r, "list the links of bridgenet") : 0;
}
