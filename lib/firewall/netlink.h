/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walking through netlink attributes: libmnl's own loops convert lengths without saying so. */
#ifndef BN_FIREWALL_NETLINK_H
#define BN_FIREWALL_NETLINK_H

#include <libmnl/libmnl.h>

#define for_each_between(attribute, first, end)                                                \
	for ((attribute) = (first);                                                            \
	     mnl_attr_ok((attribute), (int)((const char *)(end) - (const char *)(attribute))); \
	     (attribute) = mnl_attr_next(attribute))
#define for_each_nested(attribute, nest)                            \
	for_each_between(attribute, mnl_attr_get_payload(nest),     \
			 (const char *)mnl_attr_get_payload(nest) + \
				 mnl_attr_get_payload_len(nest))
/* The attributes of a message, behind `skip` bytes of its payload. */
#define for_each_attribute(attribute, message, skip)                             \
	for_each_between(attribute, mnl_nlmsg_get_payload_offset(message, skip), \
			 mnl_nlmsg_get_payload_tail(message))

#endif
